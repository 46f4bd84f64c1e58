"""
The guard, which counts, limits and logs the connections of any factory, and closes them
gracefully.
"""

from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocolNegotiationFactory,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import LoopingCall
from twisted.logger import LogLevel
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import buildProtocol, packageLogger
from openfl_twisted.transports.acceptanswer import IAcceptAnswer
from openfl_twisted.transports.blocklist import Block, BlockList
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.connectioninfo import (
    HTTP,
    POLICY,
    UNDETECTED,
    ConnectionInfo,
    Counted,
    Traffic,
    describeConnection,
    kindOf,
)
from openfl_twisted.transports.hostlimit import QUIET, HostLimit, HostRate, hostOf
from openfl_twisted.transports.keepalive import keepAlive
from openfl_twisted.transports.limits import checkLimit
from openfl_twisted.transports.wrapper import CLOSE_TIMEOUT, ConnectionWrapper, WrapperFactory
from openfl_twisted.types import AnyClock, AnyFactory

MAX_CONNECTIONS = 10_000
"""
Default maximum number of connections, without HTTP connections.
"""

MAX_HTTP = 200
"""
Default maximum number of HTTP connections.
"""


class GuardedConnection:
    """
    The record that a L{GuardFactory} keeps of one connection.

    The record receives no data. The factory creates the record when a client connects. The
    connection then calls the methods of the record in this order:

      1. L{closing}, when this side closes the connection, and L{peerHalfClosed}, when the peer
         closes the connection first. Either call may be omitted.
      2. L{transportLost}, before the protocol's C{connectionLost}.
      3. L{ended}, after the protocol's C{connectionLost}.

    Invariants: the record is in C{GuardFactory.protocols} from L{begin} until
    L{transportLost}. The connection is counted for its host until L{ended}. The close timer
    runs only between L{closing} and L{transportLost}. A lost connection that still has data
    for a paused protocol (L{State.ENDING<openfl_twisted.transports.states.State.ENDING>})
    counts as open. A WebSocket, and TLS on a shared port, hold such data themselves, so their
    connection counts as lost when the TCP connection is lost.

    If a guard wraps another guard, the connection calls the record of the innermost guard.
    This record forwards all calls except L{closing} to the record of the next outer guard.

    @ivar id: number of the connection, unique in the factory.
    @ivar since: when the connection was opened (seconds, by the factory's clock).
    @ivar host: the host for which the connection is counted, see
        L{openfl_twisted.transports.hostlimit.hostOf}.
    @ivar isHTTP: whether the connection is counted as an HTTP connection.
    @ivar announced: whether the log contains that the connection was opened.
    @ivar endedBy: the side that was the first to close the connection, a key of L{ENDS}; C{None}
        if no side has closed it.
    """

    __slots__ = (
        "_connection",
        "_factory",
        "_kind",
        "_outer",
        "announced",
        "endedBy",
        "host",
        "id",
        "isHTTP",
        "since",
    )

    def __init__(self, factory: "GuardFactory", host: str | None) -> None:
        """
        @param factory: the factory.
        @param host: the host for which the connection is counted; C{None} if it is counted for
            no host.
        """
        self._factory = factory
        self._connection: Any = None
        # The record of the guard that wraps this guard.
        self._outer: Any = None
        self._kind: str | None = None
        self.host = host
        self.id = 0
        self.since = 0.0
        self.endedBy: str | None = None
        self.isHTTP = self.announced = False

    def begin(self, connection: Connection, protocol: Any) -> None:
        """
        Count the connection, and connect the protocol. Called when the transport is
        connected.

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
        The connection that the application uses.
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
        The client type, one of
        L{openfl_twisted.transports.connectioninfo.CLIENT_TYPES}.
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

    @property
    def traffic(self) -> Counted:
        """
        The traffic of the current client type, see L{countAs}.
        """
        counted = self._factory.countedTraffic.get(self)
        if counted is None:
            return self
        return Traffic(self.bytesIn - counted.bytesIn, self.bytesOut - counted.bytesOut)

    def addTraffic(self, total: Traffic) -> None:
        """
        Add L{traffic}, in less time.

        @param total: the traffic to which it is added.
        """
        connection, counted = self._connection, self._factory.countedTraffic.get(self)
        total.bytesIn += connection.bytesIn
        total.bytesOut += connection.bytesOut
        if counted is not None:
            total.bytesIn -= counted.bytesIn
            total.bytesOut -= counted.bytesOut

    def getPeer(self) -> IAddress:
        """
        Return the address of the peer.
        """
        return cast("IAddress", self._connection.getPeer())

    def isOf(self, hosts: Container[str | None]) -> bool:
        """
        Return whether the client, or the proxy that connects it, is one of several hosts.

        @param hosts: the hosts, see L{hostOf<openfl_twisted.transports.hostlimit.hostOf>}.
        """
        if self.host in hosts:
            return True
        top = self.top
        if top is self._connection:
            return False
        # Only the address that a proxy reports is another one. For IPv6, hostOf takes long.
        peer = top.getPeer()
        return peer != self.getPeer() and hostOf(peer) in hosts

    def finishConnection(self) -> None:
        """
        Close the connection gracefully, within C{closeTimeout}.
        """
        self.closing()
        self._connection.finishConnection()

    def abortConnection(self) -> None:
        """
        Close the connection immediately.
        """
        self._connection.abortConnection()

    # Called by the connection

    def closing(self) -> None:
        """
        Start the close timer.
        """
        factory = self._factory
        if self not in factory.closeTimers and not self.lost:
            timer = factory.clock.callLater(factory.closeTimeout, self._abortLate)
            factory.closeTimers[self] = timer

    def _abortLate(self) -> None:
        self._factory.log.warn(
            "{peer} aborted: close timed out after {seconds:g} s",
            peer=self.getPeer(),
            seconds=self._factory.closeTimeout,
        )
        self.abortConnection()

    def peerHalfClosed(self) -> None:
        """
        Called when the peer is the first to close its side of the connection.
        """
        self.endedBy = "peer"
        if self._outer is not None:
            self._outer.peerHalfClosed()

    def announce(self, clientType: str | None = None) -> None:
        """
        Log that the connection was opened, unless the log contains it already.

        @param clientType: the client type, if it was just detected (default: the client type of
            the connection).
        """
        if not self.announced:
            self.announced = True
            kind = self.kind if clientType is None else kindOf(self._connection, clientType)
            self._factory.logOpened(self, kind)
        if self._outer is not None:
            self._outer.announce(clientType)

    def countAs(self, clientType: str) -> bool:
        """
        Count the connection for the limits of its client type. Log that it was opened if it is not
        an HTTP connection, and the client has sent data.

        @param clientType: the client type.
        @return: whether the limit permits the connection.
        """
        if self.lost or (self._outer is not None and not self._outer.countAs(clientType)):
            return False
        isHTTP = clientType == HTTP
        if not isHTTP and self._factory.isDraining:
            self._factory.refuseDraining(self)
            return False
        if isHTTP != self.isHTTP:
            if not self._factory.typeChanged(self, isHTTP=isHTTP):
                return False
            self.isHTTP = isHTTP
            if self.kind != UNDETECTED:
                self._factory.countTraffic(self.kind, self.traffic)
                self._factory.countedTraffic[self] = Traffic(self.bytesIn, self.bytesOut)
        if not isHTTP and self.bytesIn:
            self.announce(clientType)
        return True

    def permits(self, client: IAddress) -> bool:
        """
        Check the address of a client that a trusted proxy has reported.

        @param client: the address of the client; the peer is the proxy.
        @return: whether the address is not blocked. If it is, the refusal is counted and logged.
        """
        if self._outer is not None and not self._outer.permits(client):
            return False
        return not self._factory.refusesBlocked(client)

    def transportLost(self) -> None:
        """
        Remove the record from the open connections. Store the client type and whether this
        side has closed the connection, because they cannot be determined later.
        """
        self._kind = self.kind
        if self.endedBy is None and self._connection.isClosing:
            self.endedBy = "server"
        timer = self._factory.closeTimers.pop(self, None)
        if timer is not None and timer.active():
            timer.cancel()
        self._factory.protocols.pop(self, None)
        self._factory.idle.pop(self, None)
        if self.isHTTP:
            self._factory.httpEnded()
        if self._outer is not None:
            self._outer.transportLost()

    def ended(self, reason: Failure) -> None:
        """
        Log and count the end of the connection.
        """
        self._factory.connectionEnded(self, reason)
        self._factory.countedTraffic.pop(self, None)
        if self._outer is not None:
            self._outer.ended(reason)


class _Idle(NamedTuple):
    """
    The result of an idle check.

    @ivar seen: number of bytes received so far, for HTTP connections also of bytes sent.
    @ivar checks: number of consecutive idle checks without new data.
    """

    seen: int
    checks: int


class _RefusedConnection(Protocol):
    """
    The protocol of a refused connection: aborts the connection. C{buildProtocol} must not
    return C{None} instead, because factories that wrap the guard's factory, such as the TLS
    factory, do not support C{None}.
    """

    def connectionMade(self) -> None:
        cast("ITCPTransport", self.transport).abortConnection()


@implementer(IProtocolNegotiationFactory)
class GuardFactory(WrapperFactory[Any]):
    """
    Guards the connections of another factory.

    @ivar protocols: the records of the open connections, oldest first.
    @ivar http: number of open HTTP connections.
    @ivar closeTimers: the close timers of the records whose connections are being closed.
    @ivar countedTraffic: the traffic of open connections that is already counted for a previous
        client type.
    @ivar idle: the results of the last idle check, by the record of the open connection.
    @ivar log: logs each opened and closed connection at C{logLevel}, and each limit
        that is reached at level C{warn}. If the wrapped factory detects client types, an opened
        connection is logged when the type is known. HTTP connections, and connections that are
        closed before they have sent data, are logged at level C{debug}.
    @ivar logLevel: level for opened and closed connections (default C{info}).
    @ivar opened: number of connections opened so far.
    @ivar refusals: number of refused connections, by limit: C{"connections"} for
        C{maxConnections}, C{"address"} for C{maxPerAddress}, C{"http"} for C{maxHTTP},
        C{"rate"} for C{connectionRate}, C{"blocked"} for C{blockList}, C{"draining"} after
        L{drain}.
    @ivar blockList: the blocked addresses; C{None} if no addresses can be blocked.
    @ivar isDraining: whether L{drain} was called.
    @ivar closed: number of closed connections, by client type, then by the side that closed
        the connection (a key of L{ENDS}).
    """

    log = packageLogger()
    logLevel: Any = LogLevel.info
    kind = "guard"

    def __init__(
        self,
        wrappedFactory: AnyFactory,
        *,
        maxConnections: int = MAX_CONNECTIONS,
        maxPerAddress: int = 0,
        maxHTTP: int = MAX_HTTP,
        idleTimeout: float = 0.0,
        closeTimeout: float = CLOSE_TIMEOUT,
        connectionRate: float = 0.0,
        blockList: BlockList | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param wrappedFactory: the factory of the guarded protocols.
        @param maxConnections: maximum number of connections; further connections are aborted.
            0 for no limit.
        @param maxPerAddress: maximum number of connections per IPv4 address or IPv6 /64
            network (default 0, no limit). Behind a proxy, all connections have the
            address of the proxy.
        @param maxHTTP: maximum number of HTTP connections (default 200; 0 for no limit).
            Requests on further connections are answered with 503. HTTP connections do not
            count for C{maxConnections} and C{maxPerAddress} after their first request.
        @param idleTimeout: time without received data until a connection is closed (seconds;
            default 0, no limit). The actual time can be up to a quarter longer. The time of
            asynchronous handlers does not count. On HTTP connections, sent data counts too.
            Vanished clients need no idle timeout: the kernel detects them, see L{keepAlive}.
        @param closeTimeout: maximum time to close a connection gracefully (seconds); then the
            connection is aborted.
        @param connectionRate: maximum number of connections per second from an IPv4 address or
            IPv6 /64 network (default 0, no limit). Bursts of five times the rate are allowed.
        @param blockList: the blocked addresses (default: addresses cannot be blocked). Behind a
            proxy, it is the address in the PROXY header, or in the header of a trusted proxy.
        @param clock: the clock (default: the global reactor).
        """
        super().__init__(wrappedFactory)
        for name, limit in (
            ("maxConnections", maxConnections),
            ("maxPerAddress", maxPerAddress),
            ("maxHTTP", maxHTTP),
            ("idleTimeout", idleTimeout),
            ("closeTimeout", closeTimeout),
            ("connectionRate", connectionRate),
        ):
            checkLimit(name, limit)
        if IAcceptAnswer.providedBy(wrappedFactory):
            alsoProvides(self, IAcceptAnswer)
        self.clock = clockOrReactor(clock)
        self.protocols: dict[GuardedConnection, None] = {}
        self.maxConnections = maxConnections
        self.maxHTTP = maxHTTP
        self.http = 0
        self.idleTimeout = idleTimeout
        self.closeTimeout = closeTimeout
        self.opened = 0
        self.refusals = dict.fromkeys(REFUSALS, 0)
        self.isDraining = False
        self._drained: Deferred[None] | None = None
        self._detects = bool(getattr(wrappedFactory, "detectsTypes", False))
        self.closed: dict[tuple[str, str], int] = {}
        self._hosts = HostLimit(maxPerAddress)
        self._rates = HostRate(connectionRate, self.clock) if connectionRate else None
        self.blockList = blockList
        if blockList is not None:
            blockList.addListener(self._disconnectBlocked)
        self.closeTimers: dict[GuardedConnection, IDelayedCall] = {}
        self.countedTraffic: dict[GuardedConnection, Traffic] = {}
        self._ended: dict[str, Traffic] = {}
        self._recentRefusals = 0
        self._refusesHTTP = False
        self._idleWatch = LoopingCall(self._closeIdle)
        self._idleWatch.clock = self.clock
        self.idle: dict[GuardedConnection, _Idle] = {}
        self._allEnded: list[Deferred[None]] = []

    @property
    def connections(self) -> int:
        """
        Number of open connections.
        """
        return len(self.protocols)

    @property
    def _isFull(self) -> bool:
        """
        Whether C{maxConnections} is reached.
        """
        return 0 < self.maxConnections <= self.clientCount

    @property
    def refused(self) -> int:
        """
        Number of refused connections.
        """
        return sum(self.refusals.values())

    @property
    def maxPerAddress(self) -> int:
        """
        Maximum number of connections per IPv4 address or IPv6 /64 network; 0 for no
        limit.
        """
        return self._hosts.limit

    def doStart(self) -> None:
        super().doStart()
        if self.idleTimeout and not self._idleWatch.running:
            self._idleWatch.start(self.idleTimeout / _IDLE_CHECKS, now=False)

    def doStop(self) -> None:
        super().doStop()
        if self._idleWatch.running and not self.numPorts:
            self._idleWatch.stop()

    def acceptableProtocols(self) -> list[bytes]:
        """
        Return the protocols that the wrapped factory accepts in ALPN; C{http/1.1} if the
        wrapped factory does not negotiate protocols. Browsers that open a WebSocket offer
        protocols, and Twisted refuses a TLS client if none of the offered protocols is
        acceptable.
        """
        wrapped = IProtocolNegotiationFactory(self.wrappedFactory, None)
        return [b"http/1.1"] if wrapped is None else wrapped.acceptableProtocols()

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if self.blockList is not None and self.refusesBlocked(addr):
            return _RefusedConnection()
        host = hostOf(addr)
        if self._isFull:
            self._refuse(addr)
            return _RefusedConnection()
        if self._hosts.isFull(host):
            self._refuseHost(host)
            return _RefusedConnection()
        if self._rates is not None and not self._rates.take(host):
            self._refuseRate(self._rates, host)
            return _RefusedConnection()
        wrapped = buildProtocol(self.wrappedFactory, addr)
        if wrapped is None:
            return _RefusedConnection()
        return ConnectionWrapper(wrapped, self.clock, GuardedConnection(self, host).begin)

    @property
    def firstWait(self) -> int:
        """
        The value of C{firstWait} in the wrapped factory.
        """
        wait: int = cast("Any", self.wrappedFactory).firstWait
        return wait

    def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
        """
        Call the wrapped factory's C{firstAnswer}, and count the answer. If a limit is reached,
        or with C{connectionRate}, the connection is accepted normally, and then counted or refused.

        @param data: the received data.
        @param peer: the address of the client.
        @param host: the address of the port.
        @return: the answer; C{None} to accept the connection normally.
        """
        client = hostOf(peer)
        if self._isFull or self._hosts.isFull(client) or self._rates is not None:
            return None
        if self.blockList is not None and self.blockList.isBlocked(client):
            return None
        answer: bytes | None = cast("Any", self.wrappedFactory).firstAnswer(data, peer, host)
        if answer is not None:
            self.opened += 1
            self._countClosed(POLICY, "server", Traffic(len(data), len(answer)))
        return answer

    def _refuse(self, addr: IAddress | None) -> None:
        self.refusals["connections"] += 1
        self._recentRefusals += 1
        if self._recentRefusals == 1:
            self.log.warn(
                "{peer} refused: connection limit reached ({limit}, --max-connections); "
                "further refusals are not logged",
                peer=addr,
                limit=self.maxConnections,
            )

    def _refuseHost(self, host: str | None) -> None:
        self.refusals["address"] += 1
        if self._hosts.refused(host):
            self.log.warn(
                "{host} refused: connection limit per address reached ({limit}, "
                "--max-per-address); further refusals are not logged",
                host=host,
                limit=self.maxPerAddress,
            )

    def _refuseRate(self, rates: HostRate, host: str | None) -> None:
        self.refusals["rate"] += 1
        if rates.refused(host):
            self.log.warn(
                "{host} refused: connection rate per address reached ({limit:g} per second, "
                "--connection-rate); refusals are logged again after {quiet:g} s without one",
                host=host,
                limit=rates.rate,
                quiet=QUIET,
            )

    def refusesBlocked(self, address: IAddress | None) -> bool:
        """
        Return whether an address is blocked. The refusal is counted and logged.

        @param address: the address of a client.
        """
        if self.blockList is None or not self.blockList.isBlocked(hostOf(address)):
            return False
        self.refusals["blocked"] += 1
        self.log.debug("{peer} refused: the address is blocked", peer=address)
        return True

    def opening(self, connection: GuardedConnection) -> None:
        """
        Count an opened connection.

        @param connection: the record of the connection.
        """
        self.protocols[connection] = None
        self.opened += 1
        connection.id = self.opened
        connection.since = self.clock.seconds()
        self._hosts.opened(connection.host)
        if not self._detects:
            connection.announce()

    def logOpened(self, connection: GuardedConnection, kind: str) -> None:
        """
        Log that a connection was opened.

        @param connection: the record of the connection.
        @param kind: the client type.
        """
        self.log.emit(
            self.logLevel,
            "{peer} opened ({kind}, {open} open)",
            peer=connection.getPeer(),
            kind=kind,
            open=len(self.protocols),
        )

    def typeChanged(self, connection: GuardedConnection, *, isHTTP: bool) -> bool:
        """
        Count a connection as an HTTP connection instead of a client, or as a client instead
        of an HTTP connection.

        @param connection: the record of the connection.
        @param isHTTP: whether it is an HTTP connection now.
        @return: whether the limits permit the connection. If not, nothing is changed.
        """
        if isHTTP:
            if 0 < self.maxHTTP <= self.http:
                self._refuseHTTP(connection)
                return False
            self.http += 1
            self._clientEnded(connection)
            return True
        if self._isFull:
            self._refuse(connection.getPeer())
            return False
        if self._hosts.isFull(connection.host):
            self._refuseHost(connection.host)
            return False
        self._hosts.opened(connection.host)
        self.httpEnded()
        return True

    def _refuseHTTP(self, connection: GuardedConnection) -> None:
        self.refusals["http"] += 1
        if not self._refusesHTTP:
            self._refusesHTTP = True
            self.log.warn(
                "{peer} refused: HTTP connection limit reached ({limit}); further refusals are "
                "not logged",
                peer=connection.getPeer(),
                limit=self.maxHTTP,
            )

    def httpEnded(self) -> None:
        """
        Count an HTTP connection no longer.
        """
        self.http -= 1
        self._refusesHTTP = False

    def _clientEnded(self, connection: GuardedConnection) -> None:
        """
        Count a connection no longer as a client.
        """
        self._hosts.closed(connection.host)
        if self._recentRefusals:
            self.log.warn(
                "accepting connections again; {refused} connections were refused",
                refused=self._recentRefusals,
            )
            self._recentRefusals = 0
        self._checkDrained()

    def connectionEnded(self, connection: GuardedConnection, reason: Failure) -> None:
        """
        Log and count a closed connection.

        @param connection: the record of the connection, which was already removed from
            C{protocols}.
        @param reason: why the connection was lost.
        """
        by = _endedBy(connection, reason)
        if connection.bytesIn and connection.kind != HTTP:
            connection.announce()
        self.log.emit(
            self.logLevel if connection.announced else LogLevel.debug,
            "{peer} closed {reason} ({open} open)",
            peer=connection.getPeer(),
            reason=ENDS[by].format(reason.getErrorMessage()),
            open=len(self.protocols),
        )
        self._countClosed(connection.kind, by, connection.traffic)
        if not connection.isHTTP:
            self._clientEnded(connection)
        if not self.protocols:
            waiting, self._allEnded = self._allEnded, []
            for ended in waiting:
                ended.callback(None)

    def _countClosed(self, kind: str, by: str, counted: Counted) -> None:
        """
        Count a closed connection, and add its traffic to the totals.
        """
        self.closed[kind, by] = self.closed.get((kind, by), 0) + 1
        self.countTraffic(kind, counted)

    def countTraffic(self, kind: str, counted: Counted) -> None:
        """
        Add traffic to the totals of a client type.

        @param kind: the client type.
        @param counted: the traffic.
        """
        self._ended.setdefault(kind, Traffic()).add(counted)

    # Open connections

    def clients(self, newest: int | None = None) -> list[ConnectionInfo]:
        """
        Return descriptions of the connected clients, oldest first.

        @param newest: maximum number of clients; older clients are omitted. C{None} for no
            limit.
        """
        now = self.clock.seconds()
        connections = list(self.protocols)
        if newest is not None:
            connections = connections[max(0, len(connections) - newest) :]
        return [describeConnection(connection, now) for connection in connections]

    def traffic(self) -> dict[str, Traffic]:
        """
        Return the bytes received and sent on open and closed connections.

        @return: the traffic by client type. Connections whose client type is not detected yet
            are omitted: their type changes later, and the traffic of a type must never
            decrease.
        """
        total = {kind: Traffic(**vars(ended)) for kind, ended in self._ended.items()}
        for connection in list(self.protocols):
            kind = connection.kind
            if kind != UNDETECTED:
                if kind not in total:
                    total[kind] = Traffic()
                connection.addTraffic(total[kind])
        return total

    def totalTraffic(self) -> Traffic:
        """
        Return the bytes received and sent on all connections. It takes less time than L{traffic}.
        """
        total = Traffic()
        for ended in self._ended.values():
            total.add(ended)
        for connection in self.protocols:
            connection.addTraffic(total)
        return total

    def waiting(self) -> int:
        """
        Return the total length of all send queues (bytes). The buffers of transports and of
        the kernel are not included.
        """
        return sum(connection.top.pending for connection in list(self.protocols))

    def find(self, id: int) -> GuardedConnection | None:
        """
        Find an open connection by its number, with a search through all connections.

        @param id: L{GuardedConnection.id} or L{ConnectionInfo.id}.
        @return: the record of the connection; C{None} if there is no open connection with this
            number.
        """
        return next((found for found in self.protocols if found.id == id), None)

    def kick(self, id: int, reason: str) -> bool:
        """
        Notify the owner of a client's connection, then close the connection gracefully.

        @param id: number of the connection.
        @param reason: why the client is disconnected, for the log.
        @return: whether the connection was open.
        """
        connection = self.find(id)
        if connection is None:
            return False
        self.log.info(
            "{peer} disconnected by operator: {why}",
            peer=connection.getPeer(),
            why=reason,
        )
        _disconnect(connection)
        return True

    def _disconnectBlocked(self, added: Sequence[Block]) -> None:
        """
        Disconnect the clients whose addresses were blocked.
        """
        blocked = {block.address for block in added}

        def disconnect(connection: GuardedConnection) -> None:
            if connection.isOf(blocked):
                _disconnect(connection)

        if blocked:
            self._forEach(disconnect)

    # Closing

    @property
    def clientCount(self) -> int:
        """
        Number of open connections that are not HTTP connections.
        """
        return len(self.protocols) - self.http

    def drain(self) -> Deferred[None]:
        """
        Refuse further clients. HTTP requests, such as health checks, are still served. Must be
        called once.

        @return: fires when all clients have disconnected.
        """
        self.isDraining = True
        drained = self._drained = Deferred()
        self._checkDrained()
        return drained

    def _checkDrained(self) -> None:
        drained = self._drained
        if drained is not None and self.clientCount <= 0:
            self._drained = None
            drained.callback(None)

    def refuseDraining(self, connection: GuardedConnection) -> None:
        """
        Count a client that is refused after L{drain}. The first refusal is logged. The caller
        closes the connection.

        @param connection: the record of the connection.
        """
        self.refusals["draining"] += 1
        if self.refusals["draining"] == 1:
            self.log.warn(
                "{peer} refused: the server is draining; further refusals are not logged",
                peer=connection.getPeer(),
            )

    def _closeIdle(self) -> None:
        previous, self.idle = self.idle, {}

        def check(connection: GuardedConnection) -> None:
            if connection.lost:
                return
            seen = connection.bytesIn + (connection.bytesOut if connection.isHTTP else 0)
            before = previous.get(connection)
            # The first check may follow directly after the connection was opened.
            checks = 0 if before is None or before.seen != seen else before.checks + 1
            if checks == _IDLE_CHECKS:
                buffer = connection.top.receiveBuffer
                if buffer is not None and buffer.holds:
                    # No data is received while a handler of this side runs.
                    checks = 0
            self.idle[connection] = _Idle(seen, checks)
            if checks == _IDLE_CHECKS:
                self._disconnectIdle(connection)

        self._forEach(check)

    def _disconnectIdle(self, connection: GuardedConnection) -> None:
        """
        Close a connection that was idle for C{idleTimeout}.
        """
        self.log.info(
            "{peer} disconnected: idle for {seconds:g} s",
            peer=connection.getPeer(),
            seconds=self.idleTimeout,
        )
        connection.finishConnection()

    def closeAll(self, timeout: float) -> Deferred[None]:
        """
        Close all connections gracefully. Connections that are still open after a timeout are
        aborted.

        @param timeout: the timeout (seconds).
        @return: fires when all connections are closed.
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
        Call a function with the record of each open connection. Exceptions of the function are
        logged.
        """
        for connection in list(self.protocols):
            try:
                do(connection)
            except Exception:
                self.log.failure(
                    "{peer}: error while closing the connection",
                    peer=connection.getPeer(),
                )


def _disconnect(connection: GuardedConnection) -> None:
    """
    Disconnect a client for the operator: notify its owner, then close its connection gracefully.
    """
    owner = connection.top.owner
    try:
        if owner is not None:
            owner.disconnectedByOperator()
    finally:
        connection.finishConnection()


REFUSALS = ("connections", "address", "rate", "http", "blocked", "draining")
"""
The reasons for refused connections, see L{GuardFactory.refusals}.
"""

# Number of idle checks during idleTimeout.
_IDLE_CHECKS = 4

ENDS = {"peer": "by the peer", "server": "by the server", "failure": "after an error: {}"}
"""
The sides that can close a connection, and the description of each side in the log.
"""


def _endedBy(connection: GuardedConnection, reason: Failure) -> str:
    """
    Return the key of L{ENDS} for a closed connection.
    """
    if reason.check(ConnectionAborted):
        return "server"
    return connection.endedBy or ("peer" if reason.check(ConnectionDone) else "failure")
