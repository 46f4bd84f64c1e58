"""
The server of the tutorial, and its players.
"""

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from openfl_twisted.net import XMLSocket
from tests.live.peers import HOST, portOf, run, twistd
from tests.support.ports import freePort

TUTORIAL = Path(__file__).parents[2] / "docs" / "examples" / "tutorial"


class Player:
    """
    A player that collects received messages.
    """

    def __init__(self, socket: XMLSocket) -> None:
        self.socket = socket
        self.messages = socket.messages()

    def send(self, *messages: str) -> None:
        for message in messages:
            self.socket.send(message)

    async def end(self) -> None:
        """
        Disconnect, and wait until the connection is lost.
        """
        ended = self.socket.whenClosed()
        self.socket.close()
        await ended

    async def until(self, wanted: str) -> list[str]:
        """
        Wait for a message that contains a text.

        @return: all messages up to it.
        """
        found = []
        async for message in self.messages:
            found.append(message)
            if wanted in message:
                return found
        raise AssertionError(f"{wanted} was not received, but {found}")


async def player(port: int) -> Player:
    socket = XMLSocket(HOST, port)
    await socket.whenConnected()
    return Player(socket)


@asynccontextmanager
async def board(step: str, *arguments: str) -> AsyncIterator[int]:
    """
    Run the server of a step while the block runs, with the command of the tutorial but
    another port.

    @return: its port.
    """
    with TemporaryDirectory() as folder:
        copy = Path(folder, step)
        shutil.copytree(TUTORIAL / step, copy)
        port = freePort()
        policy = copy / "policy.xml"
        if policy.exists():
            policy.write_text(policy.read_text().replace("8080", str(port)))
        listen = f"tcp:{port}:interface={HOST}"
        if step == "step1":
            options = ["openfl-xml", "--app=board:Player", f"--listen={listen}"]
            server = twistd(*options, path=str(copy))
        else:
            server = run(sys.executable, "board.py", listen, *arguments, path=str(copy))
        try:
            assert await portOf(server) == port
            yield port
        finally:
            server.transport.signalProcess("TERM")
            await server.ended
            assert "Traceback" not in server.printed.decode()
