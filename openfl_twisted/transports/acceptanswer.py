"""
Ports that answer short requests when they accept a connection.

For a connection with one short request and one short answer, most of the cost is creating,
registering and closing a transport and a protocol. If the request has already been received
when the connection is accepted, the request is answered and the socket is closed without
creating a transport or a protocol. Any other connection is accepted normally.
"""

import contextlib
import socket
from errno import EAGAIN
from typing import Any, TypeVar

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IListeningPort
from zope.interface import Attribute, Interface

from openfl_twisted.logs import packageLogger

_P = TypeVar("_P", bound=IListeningPort)

_MAX_FIRST_BYTES = 512
"""
Maximum length of a request that is answered on accept (bytes).
"""

MAX_ANSWER = 16 * 1024
"""
Maximum length of an answer sent on accept (bytes). On a new connection, the kernel accepts an
answer of this length in one call.
"""

# MSG_MORE lets the kernel send the answer and the end of the connection in one segment.
_SEND = getattr(socket, "MSG_DONTWAIT", 0) | getattr(socket, "MSG_MORE", 0)

# Maximum number of connections answered in one reactor iteration.
_TURN = 64


class IAcceptAnswer(Interface):
    """
    A factory that can answer a connection based on the first received bytes.
    """

    firstWait: int = Attribute(
        "Seconds that the kernel may delay accepting a connection until data is received. The"
        " request is then nearly always available. Linux only; the delay can be a few seconds"
        " longer. 0 if the server may have to send first."
    )

    def firstAnswer(data: bytes, peer: IAddress, host: IAddress) -> bytes | None:  # noqa: N805
        """
        Return the answer to the first bytes on a connection. The connection is then closed,
        without a protocol.

        @param data: the received data, at most L{_MAX_FIRST_BYTES}.
        @param peer: the address of the client.
        @param host: the address of the port.
        @return: the answer; C{None} to accept the connection normally.
        """


class _Listener(socket.socket):
    """
    The socket of a port. C{accept} returns only connections that were not already answered.
    """

    log = packageLogger()

    def __init__(self, fileno: int, factory: Any, host: Any) -> None:
        super().__init__(fileno=fileno)
        self.setblocking(False)
        self._factory = factory
        self._host = host
        self._addressOf: Any = type(host)

    def accept(self) -> tuple[socket.socket, Any]:
        """
        Accept the next connection that is not answered.

        @raise BlockingIOError: if no connection is waiting, or the maximum number of
            connections was answered in this reactor iteration.
        """
        for _ in range(_TURN):
            connection, address = super().accept()
            try:
                if not self._answered(connection, address):
                    return connection, address
            except Exception:
                self.log.failure("{host} closed: error in firstAnswer", host=address[0])
            connection.close()
        raise BlockingIOError(EAGAIN, "enough connections were answered in this iteration")

    def _answered(self, connection: socket.socket, address: Any) -> bool:
        """
        Answer a connection if its request has already been received. Return whether the
        connection was answered.
        """
        if connection.gettimeout() is not None:
            # Make the socket non-blocking: a default timeout of the socket module would block the
            # reactor.
            connection.setblocking(False)
        try:
            data = connection.recv(_MAX_FIRST_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        if not data:
            return False
        peer = self._addressOf("TCP", *_withScope(address))
        answer: bytes | None = self._factory.firstAnswer(data, peer, self._host)
        if answer is None:
            return False
        # The peer may have closed the connection.
        with contextlib.suppress(OSError):
            # Read all data first: closing a socket with unread data would reset the connection.
            connection.recv(len(data), socket.MSG_DONTWAIT)
            connection.send(answer, _SEND)
        return True


def _withScope(address: Any) -> Any:
    """
    Append the scope of an IPv6 address to the host, as Twisted does.
    """
    if len(address) == 4 and address[3]:
        host, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        return (host, *address[1:])
    return address


def answerOnAccept(port: _P) -> _P:
    """
    Make a port answer connections on accept, if its factory provides L{IAcceptAnswer}. A port
    that is not a Twisted TCP port is returned unchanged.

    @param port: the port.
    @return: the port.
    """
    host = port.getHost()
    if (
        isinstance(port, tcp.Port)
        and isinstance(port.socket, socket.socket)
        and isinstance(host, IPv4Address | IPv6Address)
        and IAcceptAnswer.providedBy(port.factory)
        and hasattr(socket, "MSG_DONTWAIT")
    ):
        listener = _Listener(port.socket.detach(), port.factory, host)
        # The file descriptor stays the same, so that the reactor continues to watch it.
        port.socket = listener
        port.fileno = listener.fileno
        if port.factory.firstWait and hasattr(socket, "TCP_DEFER_ACCEPT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, port.factory.firstWait)
    return port
