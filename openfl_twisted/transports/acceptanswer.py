"""
Ports that answer a request as they accept the connection on which it comes.

For a connection that is one short request and one short answer, most of the work
is to make a transport and a protocol, to have them watched and to take them down
again. If the request is there when the connection is accepted, nothing of this is
needed: it is read, answered and closed at once. Whatever else has come, or has
not come yet, goes the normal way, untouched.
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

P = TypeVar("P", bound=IListeningPort)

MAX_FIRST_BYTES = 512
"""
A request that is longer goes the normal way.
"""

MAX_ANSWER = 16 * 1024
"""
An answer that is longer goes the normal way, since it might not leave at once.
The kernel takes one of this length for a connection that has sent nothing yet.
"""

# So many connections are answered in a turn of the reactor, before others are looked after.
_TURN = 64


class IAcceptAnswer(Interface):
    """
    A factory that can answer some connections from their first bytes alone.
    """

    firstWait: int = Attribute(
        "For how many seconds the kernel may keep a connection to itself until something has come,"
        " so that there is nearly always something to answer. 0 if the server may have to speak"
        " first. Only Linux can; it may take a few seconds longer there."
    )

    def firstAnswer(data: bytes, peer: IAddress, host: IAddress) -> bytes | None:  # noqa: N805
        """
        Answer a connection for which no protocol is made; it is closed after it.

        @param data: everything that has come, at most L{MAX_FIRST_BYTES}.
        @param peer: the address of the other side.
        @param host: the address of the port.
        @return: the answer; C{None} if the connection is to go the normal way.
        """


class _Listener(socket.socket):
    """
    The socket of a port: what it accepts has not been answered.
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
        Accept the next connection that is not answered here.

        @raise BlockingIOError: if there is none, or if others have waited long
            enough.
        """
        for _ in range(_TURN):
            connection, address = super().accept()
            try:
                if not self._answered(connection, address):
                    return connection, address
            except Exception:
                self.log.failure("{host} failed to be answered", host=address[0])
            connection.close()
        raise BlockingIOError(EAGAIN, "it is the turn of others")

    def _answered(self, connection: socket.socket, address: Any) -> bool:
        """
        Answer a connection if what has come is enough for it.
        """
        if connection.gettimeout() is not None:
            # With a default for all sockets it would wait for what has not come.
            connection.setblocking(False)
        try:
            data = connection.recv(MAX_FIRST_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return False
        if not data:
            return False
        peer = self._addressOf("TCP", *_withScope(address))
        answer: bytes | None = self._factory.firstAnswer(data, peer, self._host)
        if answer is None:
            return False
        # The peer may be gone already, as it may be in the normal way.
        with contextlib.suppress(OSError):
            # What is left unread when a connection is closed makes it a reset.
            connection.recv(len(data), socket.MSG_DONTWAIT)
            connection.send(answer, socket.MSG_DONTWAIT)
        return True


def _withScope(address: Any) -> Any:
    """
    Write the scope of an IPv6 address that is not global as Twisted does: as a
    part of the host.
    """
    if len(address) == 4 and address[3]:
        host, _ = socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
        return (host, *address[1:])
    return address


def answerOnAccept(port: P) -> P:
    """
    Have a port ask its factory for an answer as it accepts a connection, see
    L{IAcceptAnswer}.

    Only a port of C{twisted.internet.tcp} can, whose factory provides that. Any
    other stays as it is.

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
        # The descriptor is the same, so whoever watches it goes on with that.
        port.socket = listener
        port.fileno = listener.fileno
        if port.factory.firstWait and hasattr(socket, "TCP_DEFER_ACCEPT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, port.factory.firstWait)
    return port
