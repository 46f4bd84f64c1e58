"""
Flex remoting over a binary socket. Run it with `python remoting.py`.
"""

import sys
from typing import Any

from twisted.internet.defer import Deferred

from openfl_twisted import errors, run
from openfl_twisted.events import ProgressEvent, ServerSocketConnectEvent
from openfl_twisted.net import ServerSocket, Socket
from openfl_twisted.utils import classAliases
from openfl_twisted.wire.amf import flex

flex.registerClasses(classAliases)


def onConnect(event: ServerSocketConnectEvent) -> None:
    """
    Answer each RemotingMessage of a client.
    """
    socket: Socket = event.socket

    def onData(event: ProgressEvent) -> None:
        while socket.bytesAvailable:
            try:
                request = socket.readObject()
            except errors.EOFError:
                # The rest of the message has not been received yet.
                return
            if isinstance(request, flex.RemotingMessage) and request.operation == "sort":
                answer = flex.AcknowledgeMessage.answering(
                    request, flex.ArrayCollection(sorted(request.body[0]))
                )
            else:
                answer = flex.ErrorMessage.answering(
                    request, faultCode="Server.Unknown", faultString="no such operation"
                )
            socket.writeObject(answer)
        socket.flush()

    socket.addEventListener(ProgressEvent.SOCKET_DATA, onData)


async def call(socket: Socket, operation: str, *arguments: Any) -> Any:
    """
    Send a RemotingMessage, and return the answer.
    """
    answered: Deferred[Any] = Deferred()

    def onData(event: ProgressEvent) -> None:
        try:
            answer = socket.readObject()
        except errors.EOFError:
            return
        socket.removeEventListener(ProgressEvent.SOCKET_DATA, onData)
        answered.callback(answer)

    socket.addEventListener(ProgressEvent.SOCKET_DATA, onData)
    socket.writeObject(
        flex.RemotingMessage(
            operation=operation,
            destination="lists",
            body=list(arguments),
            messageId=flex.newUID(),
        )
    )
    socket.flush()
    return await answered


async def main() -> None:
    """
    Call an existing operation, and an unknown one.
    """
    server = ServerSocket()
    server.addEventListener(ServerSocketConnectEvent.CONNECT, onConnect)
    server.bind(0, "127.0.0.1")
    server.listen()
    client = Socket("127.0.0.1", server.localPort)
    await client.whenConnected()
    answer = await call(client, "sort", flex.ArrayCollection([3, 1, 2]))
    sys.stdout.write(f"{answer.body}\n")
    answer = await call(client, "shuffle")
    sys.stdout.write(f"{answer.faultCode}: {answer.faultString}\n")
    client.close()
    await server.close()


if __name__ == "__main__":
    run(main)
