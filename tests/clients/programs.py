"""
Native programs, and the commands that serve them.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from openfl_twisted.protocols.binarysocket import BinarySocketProtocol
from tests.live.peers import HOST, Process, portOf, stop, twistd

ANY_PORT = f"--listen=tcp:0:interface={HOST}"
Native = Callable[[str], list[str]]


@asynccontextmanager
async def command(*arguments: str) -> AsyncIterator[str]:
    """
    Context manager that runs a C{twistd} command.

    @return: its port.
    """
    server = twistd(*arguments, ANY_PORT)
    try:
        yield str(await portOf(server))
    finally:
        await stop(server)


async def lines(client: Process) -> list[str]:
    """
    Wait until a program exits.

    @return: the lines of its output.
    """
    assert await client.ended == 0, client.printed
    return client.printed.decode().strip().split("\n")


async def messages(client: Process) -> list[str]:
    """
    Wait until an C{XMLClient} exits.

    @return: the messages in its output. Native OpenFL keeps the NUL byte.
    """
    connected, *data = await lines(client)
    assert connected == "connect true"
    return [json.loads(line.removeprefix("data "), strict=False) for line in data]


class Numbers(BinarySocketProtocol):
    """
    Reads a value of each type and writes it back.
    """

    def connectionMade(self) -> None:
        self.endian = self.factory.endian

    def socketDataReceived(self, bytesLoaded: int) -> None:
        if self.bytesAvailable < 25:
            return
        self.writeBoolean(self.readBoolean())
        self.writeByte(self.readByte())
        self.writeShort(self.readShort())
        self.writeInt(self.readInt())
        self.writeFloat(self.readFloat())
        self.writeDouble(self.readDouble())
        self.writeUTF(self.readUTF())
