"""
C{openfl.net.ServerSocket}: accepts TCP connections.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.python import runtime

from openfl_twisted import errors
from openfl_twisted.events import Event, ServerSocketConnectEvent
from openfl_twisted.logs import packageLogger
from openfl_twisted.net._boundsocket import BoundSocket, cannotBind
from openfl_twisted.net._handlers import refuseHandlers
from openfl_twisted.net._link import LinkProtocol
from openfl_twisted.net._reasons import invalidSocket
from openfl_twisted.net.socket import Socket
from openfl_twisted.transports.tcp import coalesceWrites
from openfl_twisted.wire.text import describeValue

_log = packageLogger()


class _AcceptedConnection(LinkProtocol):
    """
    The protocol of an accepted connection.
    """

    factory: "_AcceptingFactory"

    def connectionMade(self) -> None:
        self.factory.accepted(self)


class _AcceptingFactory(Factory[_AcceptedConnection]):
    protocol = _AcceptedConnection
    noisy = False

    def __init__(self, accepted: Callable[[LinkProtocol], object]) -> None:
        self.accepted = accepted


@refuseHandlers(onConnect="ServerSocketConnectEvent.CONNECT", onClose="Event.CLOSE")
class ServerSocket(BoundSocket):
    """
    A listening TCP socket. For each client, C{connect} is dispatched with a connected
    L{Socket}.

    A closed C{ServerSocket} cannot be bound again. Accepted sockets stay open.
    """

    # As in AIR, where the system can close the socket.
    _eventTypes = frozenset((Event.CLOSE, ServerSocketConnectEvent.CONNECT))

    def __init__(self, *, reactor: Any = None) -> None:
        super().__init__(reactor=reactor)
        self._bound: socket.socket | None = None
        self._port: IListeningPort | None = None
        # Whether the log contains a warning of the missing listener.
        self._hasWarned = False

    def _local(self) -> tuple[str | None, int]:
        return (None, 0) if self._bound is None else self._bound.getsockname()[:2]

    @property
    def listening(self) -> bool:
        """
        Whether the server accepts connections.
        """
        return self._port is not None

    def _open(self, port: int, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        # An in-memory reactor creates the listening socket itself.
        make = getattr(self._reactor, "makeSocket", socket.socket)
        bound: socket.socket = make(family, socket.SOCK_STREAM)
        try:
            bound.setblocking(False)
            # Like Twisted, allow a port that has connections in the state TIME_WAIT. On Windows,
            # the option would allow a port that another program uses.
            if runtime.platformType == "posix":
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind((address, port))
        except OSError as error:
            bound.close()
            raise cannotBind(address, port, error) from None
        self._bound = bound

    def listen(self, backlog: int = 0) -> None:
        """
        Accept connections. While there is no listener for C{connect}, they are aborted, and the
        first one is logged.

        @param backlog: maximum number of connections waiting to be accepted; 0, or more
            than the system permits, for the system's maximum.
        @raise errors.RangeError: #2006, if C{backlog} is negative.
        @raise errors.TypeError: without a number, if C{backlog} is not an integer.
        @raise errors.IOError: #2002, if this socket is not bound, or already listens.
        """
        if not isinstance(backlog, int):
            raise errors.TypeError(f"backlog must be an integer, not {describeValue(backlog)}")
        if backlog < 0:
            words = f"backlog must be from 0, not {backlog}"
            raise errors.RangeError.numbered(2006, words=words)
        if self._bound is None or self._port is not None:
            raise invalidSocket(
                "the socket is not bound: call bind first"
                if self._bound is None
                else "the socket is already listening"
            )
        try:
            self._bound.listen(min(backlog, socket.SOMAXCONN) or socket.SOMAXCONN)
        except OSError as error:
            raise invalidSocket(error.strerror) from None
        port: IListeningPort = self._reactor.adoptStreamPort(
            self._bound.fileno(), self._bound.family, _AcceptingFactory(self._accepted)
        )
        self._port = coalesceWrites(port)

    def _accepted(self, connection: LinkProtocol) -> None:
        """
        Dispatch C{connect} for an accepted connection. Without a listener, the connection is
        aborted, because it could never be used.
        """
        hasListener = self.hasEventListener(ServerSocketConnectEvent.CONNECT)
        # After a listener has called close(), the port may still deliver connections that it has
        # already accepted.
        if not (hasListener and self.listening):
            if self.listening and not self._hasWarned:
                self._hasWarned = True
                _log.warn(
                    "{peer} aborted: the ServerSocket at {host}, port {port} has no listener for"
                    " connect; add it before listen() with"
                    " addEventListener(ServerSocketConnectEvent.CONNECT, ...) (logged once)",
                    peer=connection.describePeer(),
                    host=self.localAddress,
                    port=self.localPort,
                )
            connection.transport.abortConnection()
            return
        accepted = Socket.accepted(connection, self._reactor)
        self.dispatchEvent(
            ServerSocketConnectEvent(ServerSocketConnectEvent.CONNECT, socket=accepted)
        )

    def close(self) -> Deferred[None]:
        """
        Stop accepting connections, permanently. No event is dispatched.

        @return: fires when the port is released; OpenFL returns nothing.
        @raise errors.Error: if this socket is not bound.
        """
        if self._bound is None:
            state = "already closed" if self._closed else "not bound"
            raise errors.Error(f"the socket cannot be closed, because it is {state}")
        bound, self._bound = self._bound, None
        port, self._port = self._port, None
        self._closed = True
        stopped: Deferred[Any] = succeed(None)
        if port is not None:
            stopped = maybeDeferred(port.stopListening)
        with contextlib.suppress(OSError):
            bound.close()
        return stopped
