"""
Binary sockets: numbers in both byte orders, between a server and a client. Run it with
`python binarysocket.py`.
"""

import sys

from twisted.internet.defer import Deferred

from openfl_twisted import run
from openfl_twisted.events import ProgressEvent, ServerSocketConnectEvent
from openfl_twisted.net import ServerSocket, Socket
from openfl_twisted.utils import Endian


def onConnect(event: ServerSocketConnectEvent) -> None:
    """
    Add the numbers that a client sends.
    """
    socket: Socket = event.socket

    def onData(event: ProgressEvent) -> None:
        while socket.bytesAvailable >= 9:
            # The first byte selects the byte order.
            socket.endian = Endian.LITTLE_ENDIAN if socket.readBoolean() else Endian.BIG_ENDIAN
            socket.writeInt(socket.readInt() + socket.readInt())
        socket.flush()

    socket.addEventListener(ProgressEvent.SOCKET_DATA, onData)


async def main() -> None:
    """
    Add two numbers in each byte order.
    """
    server = ServerSocket()
    server.addEventListener(ServerSocketConnectEvent.CONNECT, onConnect)
    server.bind(0, "127.0.0.1")
    server.listen()
    for endian in (Endian.BIG_ENDIAN, Endian.LITTLE_ENDIAN):
        client = Socket("127.0.0.1", server.localPort)
        await client.whenConnected()
        answered: Deferred[ProgressEvent] = Deferred()
        client.addEventListener(ProgressEvent.SOCKET_DATA, answered.callback)
        client.endian = endian
        client.writeBoolean(endian == Endian.LITTLE_ENDIAN)
        client.writeInt(40)
        client.writeInt(2)
        client.flush()
        await answered
        sys.stdout.write(f"{endian}: {client.readInt()}\n")
        client.close()
    await server.close()


if __name__ == "__main__":
    run(main)
