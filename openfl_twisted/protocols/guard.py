"""
The guard at a port: counts, limits and logs the connections of any factory, and
ends them in good order.

Beneath it the wrapped protocol is as it was: any Twisted protocol will do.
"""

import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocolFactory,
    IReactorTime,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.protocols.policies import WrappingFactory
from twisted.python.failure import Failure

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.wrapping import WrappedConnection

MAX_CONNECTIONS = 10_000
"""
How many connections are open at once, if nobody says otherwise.
"""

CLOSE_TIMEOUT = 30.0
"""
How long a connection that this side closes may take to send what was written,
in seconds; then it is aborted.
"""

_TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)

# The times by which the kernel finds that a quiet peer is gone, in seconds: 60 + 4 * 15 = 120; and
# by which one must take what is sent to it, in milliseconds.
_KEEP_ALIVE = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
    ("TCP_USER_TIMEOUT", 120_000),
)


def keepAlive(transport: ITransport) -> None:
    """
    Have the kernel find out within two minutes that a peer is gone, or takes
    nothing of what is sent to it.

    A quiet client is nothing unusual, so no data can be asked of it; the
    kernel's own default would be two hours.

    @param transport: any transport; nothing is done if it is not a TCP one.
    """
    if not ITCPTransport.providedBy(transport):
        return
    lowest: Any = transport
    # Inside TLS, and behind other wrappers, the transport of TCP is further down.
    while ITCPTransport.providedBy(getattr(lowest, "transport", None)):
        lowest = lowest.transport
    handle = getattr(lowest, "getHandle", lambda: None)()
    # Twisted's UNIX sockets call themselves TCP transports too.
    if not isinstance(handle, socket.socket) or handle.family not in _TCP_FAMILIES:
        return
    # On some systems this fails for a connection that is lost already.
    with contextlib.suppress(OSError):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            # Each system has its own choice of these.
            if hasattr(socket, option):
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


class _RefusedConnection(Protocol):
    """
    A connection that is one too many.

    A factory may say so by making no protocol, but those that wrap it, TLS
    above all, do not expect it.
    """

    def connectionMade(self) -> None:
        """
        Close it.
        """
        cast("ITCPTransport", self.transport).abortConnection()


class GuardedConnection(WrappedConnection):
    """
    One connection; made by L{GuardFactory}.

    @ivar reads: how many pieces of data have come.
    @ivar readsSeen: how many of them had come when it was last looked whether
        the connection is idle.
    @ivar quietSpans: how many looks in a row have found nothing new.
    @ivar endedByPeer: whether the peer has closed its side first.
    """

    factory: "GuardFactory"
    reads = 0
    readsSeen = 0
    # A new connection may have been made just before the first look.
    quietSpans = -1
    endedByPeer = False
    _failed = False
    _closing: IDelayedCall | None = None

    def makeConnection(self, transport: ITransport) -> None:
        """
        Count the connection and pass it on.
        """
        keepAlive(transport)
        super().makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Count the piece and pass it on.
        """
        self.reads += 1
        if self._failed:
            return
        try:
            self.wrappedProtocol.dataReceived(data)
        except BaseException:
            # A TLS transport goes on with what it has, and must come to the end.
            self._failed = True
            raise

    def readConnectionLost(self) -> None:
        """
        Note who has closed first, and pass it on.
        """
        self.endedByPeer = not self.disconnecting
        super().readConnectionLost()

    def peerEnded(self) -> None:
        """
        Note who has closed first.
        """
        self.endedByPeer = True
        super().peerEnded()

    def loseConnection(self) -> None:
        """
        Close the connection, and see to it that this comes to an end even if
        the peer does not read.
        """
        self._limitClosing()
        super().loseConnection()

    def finishConnection(self) -> None:
        """
        Close the connection, as the factory wants it.
        """
        self._limitClosing()
        super().finishConnection()

    def _limitClosing(self) -> None:
        if self._closing is None and not self.lost:
            self._closing = self.factory.clock.callLater(self.factory.closeTimeout, self._giveUp)

    def _giveUp(self) -> None:
        self.factory.log.warn(
            "{peer} aborted: it has not let the connection close for {seconds:g} seconds",
            peer=describe(self.getPeer()),
            seconds=self.factory.closeTimeout,
        )
        self.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Count the connection out and pass it on.
        """
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        try:
            super().connectionLost(reason)
        finally:
            self.factory.connectionEnded(self, reason)


class GuardFactory(WrappingFactory[GuardedConnection]):
    """
    Guards the connections of another factory.

    @ivar log: where the lines go: one for each connection opened and closed,
        at the level C{info}; one for each limit that is reached, at the level
        C{warn}.
    @ivar opened: how many connections there have been.
    @ivar refused: how many have been refused, since there were too many.
    """

    protocol: Callable[..., GuardedConnection] = GuardedConnection
    log = packageLogger()
    noisy = False

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        *,
        maxConnections: int = MAX_CONNECTIONS,
        idleTimeout: float = 0.0,
        closeTimeout: float = CLOSE_TIMEOUT,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param wrappedFactory: whose connections they are.
        @param maxConnections: how many may be open at once; a further one is
            closed at once. 0 means as many as the system allows.
        @param idleTimeout: after how many seconds without a byte from the peer
            a connection is closed; it may take a quarter longer. 0, the
            default, means never: a quiet client is nothing unusual, and one
            that is gone is found by the kernel, see L{keepAlive}.
        @param closeTimeout: how long a connection that this side closes may
            take, in seconds.
        @param clock: for the times; the reactor if there is none.
        """
        super().__init__(wrappedFactory)
        self.clock = clockOrReactor(clock)
        self.maxConnections = maxConnections
        self.idleTimeout = idleTimeout
        self.closeTimeout = closeTimeout
        self.opened = 0
        self.refused = 0
        self._refusedNow = 0
        self._idleWatch = LoopingCall(self._closeIdle)
        self._idleWatch.clock = self.clock
        self._allEnded: list[Deferred[None]] = []

    @property
    def connections(self) -> int:
        """
        How many connections are open.
        """
        return len(self.protocols)

    def doStart(self) -> None:
        """
        Begin to watch for idle connections, when the first port is opened.
        """
        super().doStart()
        if self.idleTimeout and not self._idleWatch.running:
            self._idleWatch.start(self.idleTimeout / _IDLE_SPANS, now=False)

    def doStop(self) -> None:
        """
        End the watch when the last port is closed. Connections can go on.
        """
        super().doStop()
        if self._idleWatch.running and not self.numPorts:
            self._idleWatch.stop()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Guard a new connection; refuse it if there are too many.
        """
        if 0 < self.maxConnections <= len(self.protocols):
            self._refuse(addr)
            return _RefusedConnection()
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return _RefusedConnection() if wrapped is None else self.protocol(self, wrapped)

    def _refuse(self, addr: IAddress | None) -> None:
        self.refused += 1
        self._refusedNow += 1
        if self._refusedNow == 1:
            # One line for the limit, not one for each who knocks.
            self.log.warn(
                "{peer} refused: {limit} connections are open, as many as are allowed",
                peer=describe(addr),
                limit=self.maxConnections,
            )

    def registerProtocol(self, p: GuardedConnection) -> None:
        """
        Count a connection in.
        """
        super().registerProtocol(p)
        self.opened += 1
        self.log.info(
            "{peer} opened ({open} open)", peer=describe(p.getPeer()), open=len(self.protocols)
        )

    def connectionEnded(self, connection: GuardedConnection, reason: Failure) -> None:
        """
        Log the end of a connection that has been counted out.
        """
        self.log.info(
            "{peer} closed {reason} ({open} open)",
            peer=describe(connection.getPeer()),
            reason=_because(connection, reason),
            open=len(self.protocols),
        )
        if self._refusedNow:
            self.log.warn(
                "connections are accepted again; {refused} have been refused",
                refused=self._refusedNow,
            )
            self._refusedNow = 0
        if not self.protocols:
            waiting, self._allEnded = self._allEnded, []
            for ended in waiting:
                ended.callback(None)

    def _closeIdle(self) -> None:
        """
        Close the connections from which nothing has come for too long.
        """
        self._forEach(self._closeIfIdle)

    def _closeIfIdle(self, connection: GuardedConnection) -> None:
        if connection.reads != connection.readsSeen:
            connection.readsSeen = connection.reads
            connection.quietSpans = 0
            return
        connection.quietSpans += 1
        if connection.quietSpans == _IDLE_SPANS:
            self.log.info(
                "{peer} has been silent for {seconds:g} seconds",
                peer=describe(connection.getPeer()),
                seconds=self.idleTimeout,
            )
            connection.finishConnection()

    def closeAll(self, patience: float) -> Deferred[None]:
        """
        Close every connection: first in good order, and what is still open
        after a while at once.

        @param patience: how long they may take, in seconds.
        @return: fires when none is open any more.
        """
        if not self.protocols:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._allEnded.append(ended)
        late = self.clock.callLater(patience, self._abortAll)
        self._forEach(GuardedConnection.finishConnection)

        def stopWaiting(result: Any) -> Any:
            if late.active():
                late.cancel()
            return result

        return ended.addBoth(stopWaiting)

    def _abortAll(self) -> None:
        self._forEach(GuardedConnection.abortConnection)

    def _forEach(self, do: Callable[[GuardedConnection], object]) -> None:
        """
        Do something with each connection; the fault of one does not keep it
        from the others.
        """
        for connection in list(self.protocols):
            try:
                do(connection)
            except Exception:
                self.log.failure("{peer} has failed", peer=describe(connection.getPeer()))


# An idle connection is noticed after at least so many of these parts of its time.
_IDLE_SPANS = 4


def _because(connection: GuardedConnection, reason: Failure) -> str:
    """
    Say in words why a connection has ended.
    """
    if connection.endedByPeer and not reason.check(ConnectionAborted):
        return "by the peer"
    if connection.disconnecting or reason.check(ConnectionAborted):
        return "by this side"
    if reason.check(ConnectionDone):
        return "by the peer"
    return f"by a failure: {reason.getErrorMessage()}"
