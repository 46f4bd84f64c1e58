"""
The guard at a port: counts, limits and logs the connections of any factory, and
closes them gracefully.
"""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocolFactory,
    IProtocolNegotiationFactory,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import LoopingCall
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.acceptanswer import IAcceptAnswer
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.connectioninfo import (
    POLICY,
    UNDETECTED,
    ConnectionInfo,
    Counted,
    Traffic,
    describeConnection,
    kindOf,
)
from openfl_twisted.transports.hostlimit import HostLimit, hostOf
from openfl_twisted.transports.keepalive import keepAlive
from openfl_twisted.transports.wrapper import CLOSE_TIMEOUT, ConnectionWrapper, WrapperFactory

MAX_CONNECTIONS = 10_000
"""
Default for the maximum number of connections.
"""


class GuardedConnection:
    """
    What a guard knows of one connection. It is not on the way of the data: the
    connection counts, and calls the methods of
    L{Guard<openfl_twisted.transports.connection.Guard>}.

    @ivar id: its number; no other connection of the factory has it.
    @ivar since: when it was opened, by the factory's clock.
    @ivar host: what it is counted for, see
        L{openfl_twisted.transports.hostlimit.hostOf}.
    @ivar endedByPeer: whether the peer has closed its side first.
    @ivar endedHere: whether this side was closing the connection when it was lost.
    @ivar seen: number of bytes received when it was last checked whether the
        connection is idle.
    @ivar quietSpans: number of checks in a row without new data.
    """

    __slots__ = (
        "_closing",
        "_connection",
        "_factory",
        "_kind",
        "_outer",
        "endedByPeer",
        "endedHere",
        "host",
        "id",
        "quietSpans",
        "seen",
        "since",
    )

    def __init__(self, factory: "GuardFactory", host: str | None) -> None:
        """
        @param factory: the factory.
        @param host: what the connection is counted for; C{None} for nothing.
        """
        self._factory = factory
        self._connection: Any = None
        # The record of a guard in front of this one.
        self._outer: Any = None
        self._closing: IDelayedCall | None = None
        self._kind: str | None = None
        self.host = host
        self.id = 0
        self.since = 0.0
        self.endedByPeer = self.endedHere = False
        self.seen = 0
        # A new connection can have been made just before the first check.
        self.quietSpans = -1

    def begin(self, connection: Connection, protocol: Any) -> None:
        """
        Count the connection, and connect the protocol.

        @param connection: the connection.
        @param protocol: the protocol.
        """
        self._connection = connection
        self._outer, connection.guard = connection.guard, self
        keepAlive(connection)
        self._factory.opening(self)
        protocol.makeConnection(connection)

    @property
    def top(self) -> Connection:
        """
        The connection that the application has.
        """
        return cast("Connection", self._connection.top)

    @property
    def lost(self) -> bool:
        """
        Whether the connection is lost.
        """
        return self._kind is not None

    @property
    def kind(self) -> str:
        """
        The type of the client, see L{openfl_twisted.transports.connectioninfo.CLIENT_TYPES}.
        """
        return kindOf(self._connection) if self._kind is None else self._kind

    @property
    def bytesIn(self) -> int:
        """
        Number of bytes received.
        """
        return cast("int", self._connection.bytesIn)

    @property
    def bytesOut(self) -> int:
        """
        Number of bytes sent.
        """
        return cast("int", self._connection.bytesOut)

    def getPeer(self) -> IAddress:
        """
        Return the address of the peer.
        """
        return cast("IAddress", self._connection.getPeer())

    def finishConnection(self) -> None:
        """
        Close the connection gracefully.
        """
        self.closing()
        self._connection.finishConnection()

    def abortConnection(self) -> None:
        """
        Close the connection immediately.
        """
        self._connection.abortConnection()

    # What the connection calls

    def closing(self) -> None:
        """
        Limit the time that it takes to close.
        """
        if self._closing is None and not self.lost:
            factory = self._factory
            self._closing = factory.clock.callLater(factory.closeTimeout, self._abortLate)

    def _abortLate(self) -> None:
        self._factory.log.warn(
            "{peer} aborted: it has not let the connection close for {seconds:g} seconds",
            peer=describe(self.getPeer()),
            seconds=self._factory.closeTimeout,
        )
        self.abortConnection()

    def peerHalfClosed(self) -> None:
        """
        Note who has closed first.
        """
        self.endedByPeer = True
        if self._outer is not None:
            self._outer.peerHalfClosed()

    def transportLost(self) -> None:
        """
        Keep the type of the client and whether this side closes the connection, and
        count it out.
        """
        self._kind = self.kind
        self.endedHere = self._connection.isClosing
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._factory.protocols.pop(self, None)
        if self._outer is not None:
            self._outer.transportLost()

    def ended(self, reason: Failure) -> None:
        """
        Log the end.
        """
        self._factory.connectionEnded(self, reason)
        if self._outer is not None:
            self._outer.ended(reason)


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


@implementer(IProtocolNegotiationFactory)
class GuardFactory(WrapperFactory[Any]):
    """
    Guards the connections of another factory.

    @ivar protocols: the records of the open connections, in the order in which they
        were opened.
    @ivar log: where the lines go: one for each connection opened and closed,
        at C{logLevel}; one for each limit that is reached, at the level
        C{warn}.
    @ivar logLevel: the level for those that are opened and closed, C{info} if
        nobody says otherwise.
    @ivar opened: how many connections there have been.
    @ivar refusals: how many have been refused, by the limit: C{connections} if
        there were too many, C{address} if there were too many from one.
    @ivar closed: how many have ended, by their kind and by who has ended them,
        L{ENDS}.
    """

    log = packageLogger()
    logLevel: Any = LogLevel.info
    kind = "guard"

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        *,
        maxConnections: int = MAX_CONNECTIONS,
        maxPerAddress: int = 0,
        idleTimeout: float = 0.0,
        closeTimeout: float = CLOSE_TIMEOUT,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param wrappedFactory: whose connections they are.
        @param maxConnections: how many may be open at once; a further one is
            closed at once. 0 means as many as the system allows.
        @param maxPerAddress: how many of them may come from one IP address, or
            with IPv6 from one network of 64 bits; 0, the default, means any
            number. Behind a proxy all have its address.
        @param idleTimeout: after how many seconds without a byte from the peer
            a connection is closed; it may take a quarter longer. 0, the
            default, means never: a quiet client is nothing unusual, and one
            that is gone is found by the kernel, see L{keepAlive}.
        @param closeTimeout: how long a connection that this side closes may
            take, in seconds.
        @param clock: for the times; the reactor if there is none.
        """
        super().__init__(wrappedFactory)
        if IAcceptAnswer.providedBy(wrappedFactory):
            alsoProvides(self, IAcceptAnswer)
        self.clock = clockOrReactor(clock)
        self.protocols: dict[GuardedConnection, None] = {}
        self.maxConnections = maxConnections
        self.idleTimeout = idleTimeout
        self.closeTimeout = closeTimeout
        self.opened = 0
        self.refusals = {"connections": 0, "address": 0}
        self.closed: dict[tuple[str, str], int] = {}
        self._hosts = HostLimit(maxPerAddress)
        self._ended: dict[str, Traffic] = {}
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

    @property
    def refused(self) -> int:
        """
        How many connections have been refused.
        """
        return sum(self.refusals.values())

    @property
    def maxPerAddress(self) -> int:
        """
        How many connections may come from one IP address, or one network of
        IPv6; 0 for any number.
        """
        return self._hosts.limit

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

    def acceptableProtocols(self) -> list[bytes]:
        """
        Name what is spoken, for endpoints with TLS: Twisted refuses every client
        that names something if nothing is named here, and browsers do name what
        a WebSocket begins with.
        """
        wrapped = IProtocolNegotiationFactory(self.wrappedFactory, None)
        return [b"http/1.1"] if wrapped is None else wrapped.acceptableProtocols()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Guard a new connection; refuse it if there are too many.
        """
        host = hostOf(addr)
        if 0 < self.maxConnections <= len(self.protocols):
            self._refuse(addr)
            return _RefusedConnection()
        if self._hosts.isFull(host):
            self._refuseHost(host)
            return _RefusedConnection()
        wrapped = self.wrappedFactory.buildProtocol(cast("IAddress", addr))
        if wrapped is None:
            return _RefusedConnection()
        return ConnectionWrapper(wrapped, self.clock, GuardedConnection(self, host).begin)

    @property
    def firstWait(self) -> int:
        """
        Wait as long as the wrapped factory wants to.
        """
        wait: int = cast("Any", self.wrappedFactory).firstWait
        return wait

    def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
        """
        Have the wrapped factory answer a connection at once, and count it; see
        L{IAcceptAnswer}, which this provides if the wrapped factory does.

        @param data: everything that has come.
        @param peer: the address of the other side, whose host may have too many.
        @param host: the address of the port.
        @return: the answer; C{None} if the connection is to go the normal way,
            as it is when there are too many.
        """
        if 0 < self.maxConnections <= len(self.protocols) or self._hosts.isFull(hostOf(peer)):
            # The normal way refuses it.
            return None
        answer: bytes | None = cast("Any", self.wrappedFactory).firstAnswer(data, peer, host)
        if answer is not None:
            self.opened += 1
            self._countOut(POLICY, "server", Traffic(len(data), len(answer)))
        return answer

    def _refuse(self, addr: IAddress | None) -> None:
        self.refusals["connections"] += 1
        self._refusedNow += 1
        if self._refusedNow == 1:
            # One line for the limit, not one for each who knocks.
            self.log.warn(
                "{peer} refused: {limit} connections are open, as many as are allowed",
                peer=describe(addr),
                limit=self.maxConnections,
            )

    def _refuseHost(self, host: str | None) -> None:
        self.refusals["address"] += 1
        if self._hosts.refused(host):
            self.log.warn(
                "{host} refused: {limit} connections from there are open, as many as are allowed",
                host=host,
                limit=self.maxPerAddress,
            )

    def opening(self, connection: GuardedConnection) -> None:
        """
        Count a connection in.

        @param connection: the connection.
        """
        self.protocols[connection] = None
        self.opened += 1
        connection.id = self.opened
        connection.since = self.clock.seconds()
        self._hosts.opened(connection.host)
        self.log.emit(
            self.logLevel,
            "{peer} opened ({open} open)",
            peer=describe(connection.getPeer()),
            open=len(self.protocols),
        )

    def connectionEnded(self, connection: GuardedConnection, reason: Failure) -> None:
        """
        Log the end of a connection that has been counted out, and keep what it
        has counted.

        @param connection: one that is not among C{protocols} any more.
        @param reason: how it has ended, as C{connectionLost} says.
        """
        by = _endedBy(connection, reason)
        self.log.emit(
            self.logLevel,
            "{peer} closed {reason} ({open} open)",
            peer=describe(connection.getPeer()),
            reason=ENDS[by].format(reason.getErrorMessage()),
            open=len(self.protocols),
        )
        self._hosts.closed(connection.host)
        self._countOut(connection.kind, by, connection)
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

    def _countOut(self, kind: str, by: str, counted: Counted) -> None:
        """
        Keep what a connection has counted that has ended.
        """
        self.closed[kind, by] = self.closed.get((kind, by), 0) + 1
        self._ended.setdefault(kind, Traffic()).add(counted)

    # Who is connected

    def clients(self, newest: int | None = None) -> list[ConnectionInfo]:
        """
        Get what is known of those that are connected, in the order in which
        they came.

        @param newest: how many at most, of those that came last; C{None} for
            all.
        """
        now = self.clock.seconds()
        connections = list(self.protocols)
        if newest is not None:
            connections = connections[max(0, len(connections) - newest) :]
        return [describeConnection(connection, now) for connection in connections]

    def traffic(self) -> dict[str, Traffic]:
        """
        Add up what connections have received and sent, those that have ended
        too.

        @return: it by the kind of the connections. What is not decided yet is
            not in it: so no number ever gets smaller.
        """
        total = {kind: Traffic(**vars(ended)) for kind, ended in self._ended.items()}
        for connection in list(self.protocols):
            kind = connection.kind
            if kind != UNDETECTED:
                total.setdefault(kind, Traffic()).add(connection)
        return total

    def waiting(self) -> int:
        """
        Count the bytes that wait for clients that do not read.

        @return: how many; what transports and the kernel hold for them is not in
            it.
        """
        return sum(connection.top.pending for connection in list(self.protocols))

    def find(self, id: int) -> GuardedConnection | None:
        """
        Find a connection by its number.

        @param id: the number, as L{GuardedConnection.id} and L{ConnectionInfo.id} have
            it. All connections are gone through.
        @return: the connection; C{None} if it is not open any more.
        """
        return next((found for found in self.protocols if found.id == id), None)

    def kick(self, id: int, reason: str) -> bool:
        """
        Close a connection gracefully. Its owner is told before.

        @param id: the number of the connection.
        @param reason: why, for the log.
        @return: whether it was open.
        """
        connection = self.find(id)
        if connection is None:
            return False
        self.log.info("{peer} kicked: {why}", peer=describe(connection.getPeer()), why=reason)
        owner = connection.top.owner
        if owner is not None:
            owner.disconnectedByOperator()
        connection.finishConnection()
        return True

    # Ending

    def _closeIdle(self) -> None:
        """
        Close the connections from which nothing has come for too long.
        """
        self._forEach(self._closeIfIdle)

    def _closeIfIdle(self, connection: GuardedConnection) -> None:
        if connection.bytesIn != connection.seen:
            connection.seen = connection.bytesIn
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

    def closeAll(self, timeout: float) -> Deferred[None]:
        """
        Close every connection: first in good order, and what is still open
        after a while at once.

        @param timeout: how long they may take, in seconds.
        @return: fires when none is open any more.
        """
        if not self.protocols:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._allEnded.append(ended)
        late = self.clock.callLater(timeout, self._abortAll)
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


ENDS = {"peer": "by the peer", "server": "by this side", "failure": "by a failure: {}"}
"""
Who can end a connection, and how the log says it.
"""


def _endedBy(connection: GuardedConnection, reason: Failure) -> str:
    """
    Say who has ended a connection.
    """
    if connection.endedByPeer and not reason.check(ConnectionAborted):
        return "peer"
    if connection.endedHere or reason.check(ConnectionAborted):
        return "server"
    return "peer" if reason.check(ConnectionDone) else "failure"
