"""
C{openfl.net.ServerSocket}: a port to which programs connect.
"""

import contextlib
import socket
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory

from openfl_twisted import errors
from openfl_twisted.events import ServerSocketConnectEvent
from openfl_twisted.net.boundsocket import BoundSocket, invalidSocket
from openfl_twisted.net.link import LinkProtocol
from openfl_twisted.net.socket import Socket
from openfl_twisted.transports.tcp import coalesceWrites


class _AcceptedConnection(LinkProtocol):
    """
    A connection that a program has made to a server.
    """

    factory: "_AcceptingFactory"

    def connectionMade(self) -> None:
        self.factory.server.accepted(self)


class _AcceptingFactory(Factory[_AcceptedConnection]):
    protocol = _AcceptedConnection
    noisy = False

    def __init__(self, server: "_Server") -> None:
        self.server = server


class _Server:
    def __init__(self, owner: "ServerSocket", reactor: Any) -> None:
        self.owner = owner
        self.reactor = reactor

    def listen(self, bound: socket.socket) -> IListeningPort:
        port: IListeningPort = self.reactor.adoptStreamPort(
            bound.fileno(), bound.family, _AcceptingFactory(self)
        )
        return coalesceWrites(port)

    def accepted(self, connection: LinkProtocol) -> None:
        """
        Hand a socket to the listeners; without one nobody could ever use it.
        """
        heard = self.owner.hasEventListener(ServerSocketConnectEvent.CONNECT)
        # After close() in a listener, a port may still deliver further connections.
        if not (heard and self.owner.listening):
            connection.transport.abortConnection()
            return
        accepted = Socket.accepted(connection, self.reactor)
        self.owner.dispatchEvent(
            ServerSocketConnectEvent(ServerSocketConnectEvent.CONNECT, socket=accepted)
        )


class ServerSocket(BoundSocket):
    """
    A port to which programs connect. It dispatches C{connect} for each of them,
    with a L{Socket} that is connected already.

    A server that is closed cannot be bound again. The sockets that it has got
    stay open.

    @cvar isSupported: always true here.
    """

    isSupported = True

    def __init__(self, *, reactor: Any = None) -> None:
        """
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        super().__init__()
        if reactor is None:
            from twisted.internet import reactor
        self._server = _Server(self, reactor)
        self._bound: socket.socket | None = None
        self._port: IListeningPort | None = None

    @property
    def bound(self) -> bool:
        return self._bound is not None

    @property
    def listening(self) -> bool:
        """
        Whether it takes connections.
        """
        return self._port is not None

    @property
    def localAddress(self) -> str | None:
        """
        The address to which it is bound, or C{None}.
        """
        return None if self._bound is None else self._bound.getsockname()[0]

    @property
    def localPort(self) -> int:
        """
        The port to which it is bound, or 0.
        """
        return 0 if self._bound is None else self._bound.getsockname()[1]

    def _open(self, port: int, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # A reactor in memory has sockets of its own.
        make = getattr(self._server.reactor, "makeSocket", socket.socket)
        bound: socket.socket = make(family, socket.SOCK_STREAM)
        try:
            bound.setblocking(False)
            # As Twisted does: a port whose last connections are still fading is free.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address, port))
        except OSError as error:
            bound.close()
            raise invalidSocket(error.strerror) from None
        self._bound = bound

    def listen(self, backlog: int = 0) -> None:
        """
        Take connections.

        @param backlog: how many may wait to be taken; 0, or more than the
            system allows, means as many as it allows.
        @raise errors.RangeError: #2006, if it is negative.
        @raise errors.IOError: #2002, if this socket is not bound, or listens
            already.
        """
        if backlog < 0:
            raise errors.RangeError.numbered(2006)
        if self._bound is None or self._port is not None:
            raise invalidSocket("it is not bound" if self._bound is None else "it listens already")
        try:
            self._bound.listen(min(backlog, socket.SOMAXCONN) or socket.SOMAXCONN)
        except OSError as error:
            raise invalidSocket(error.strerror) from None
        self._port = self._server.listen(self._bound)

    def close(self) -> Deferred[None]:
        """
        Take no connections any more, for good. There is no event.

        @return: fires when the port is free; OpenFL has no such result.
        @raise errors.Error: if this socket is not bound.
        """
        if self._bound is None:
            raise errors.Error("the socket is not open")
        bound, self._bound = self._bound, None
        port, self._port = self._port, None
        self._closed = True
        stopped: Deferred[Any] = succeed(None)
        if port is not None:
            stopped = maybeDeferred(port.stopListening)
        with contextlib.suppress(OSError):
            bound.close()
        return stopped
