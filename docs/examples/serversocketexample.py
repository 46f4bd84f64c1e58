"""
The ServerSocketExample of Adobe's guide: it greets each client and echoes the received
data. Run it with `python serversocketexample.py`.
"""

import sys

from twisted.internet.defer import Deferred

from openfl_twisted import run
from openfl_twisted.errors import Error
from openfl_twisted.events import Event, IOErrorEvent, ProgressEvent, ServerSocketConnectEvent
from openfl_twisted.net import ServerSocket, Socket


class ServerSocketExample:
    """
    An echo server.
    """

    def __init__(self, port: int = 8087, address: str = "127.0.0.1") -> None:
        self.clientSockets: list[Socket] = []
        try:
            # Create the server socket.
            self.serverSocket = ServerSocket()
            # Add the event listener.
            self.serverSocket.addEventListener(
                ServerSocketConnectEvent.CONNECT, self.connectHandler
            )
            # Bind to local port 8087.
            self.serverSocket.bind(port, address)
            # Listen for connections.
            self.serverSocket.listen()
            trace(f"listening on {self.serverSocket.localAddress}:{self.serverSocket.localPort}")
        except Error as error:
            trace(error)

    def connectHandler(self, event: ServerSocketConnectEvent) -> None:
        # The socket is provided by the event object.
        socket: Socket = event.socket
        self.clientSockets.append(socket)
        socket.addEventListener(ProgressEvent.SOCKET_DATA, self.socketDataHandler)
        socket.addEventListener(Event.CLOSE, self.onClientClose)
        socket.addEventListener(IOErrorEvent.IO_ERROR, self.onIOError)
        # Send a connect message.
        socket.writeUTFBytes("Connected.")
        socket.flush()
        trace("Sending connect message")

    def socketDataHandler(self, event: ProgressEvent) -> None:
        socket: Socket = event.target
        # Read the message from the socket.
        message = socket.readUTFBytes(socket.bytesAvailable)
        trace(f"Received: {message}")
        # Echo the received message back to the sender.
        message = "Echo -- " + message
        socket.writeUTFBytes(message)
        socket.flush()
        trace(f"Sending: {message}")

    def onClientClose(self, event: Event) -> None:
        self.clientSockets.remove(event.target)
        trace("Connection to client closed.")

    def onIOError(self, event: IOErrorEvent) -> None:
        trace(f"IOError: {event.text}")


def trace(message: object) -> None:
    sys.stdout.write(f"{message}\n")
    sys.stdout.flush()


async def main(port: str = "8087") -> None:
    """
    Run until the program is stopped.
    """
    ServerSocketExample(int(port))
    await Deferred()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
