"""
PROXY protocol, for a server behind a proxy such as haproxy. The transport of the wrapped
protocol returns the address of the client, already in C{connectionMade}.

In contrast, Twisted's C{haproxy:} endpoint connects the wrapped protocol before the header is
received, waits indefinitely for the header, and accepts any text as an address.
"""

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.detection import DetectionProtocol
from openfl_twisted.transports.wrapper import ConnectionWrapper, WrapperFactory
from openfl_twisted.types import AnyClock, AnyFactory, AnyServerEndpoint
from openfl_twisted.wire.forwarded import IPAddress
from openfl_twisted.wire.proxyheader import (
    ProxyHeaderError,
    parseProxyHeader,
)

_HEADER_TIMEOUT = 10.0
"""
Maximum time until the PROXY header is complete (seconds).
"""

MAX_PENDING = 5000
"""
Maximum number of connections whose PROXY header is not complete.
"""


class _ProxyHeaderProtocol(DetectionProtocol):
    """
    Parses the PROXY header of one connection; created by L{ProxyProtocolFactory}.
    """

    factory: "ProxyProtocolFactory"
    _timeout: IDelayedCall | None = None

    def connectionMade(self) -> None:
        if self.factory.pending >= self.factory.maxPending:
            self._refuse(f"too many connections without a PROXY header ({self.factory.maxPending})")
            return
        self.factory.pending += 1
        self._timeout = self.factory.clock.callLater(_HEADER_TIMEOUT, self._timedOut)

    def inspect(self) -> None:
        try:
            header = parseProxyHeader(self.received)
        except ProxyHeaderError as problem:
            self._refuse(f"invalid PROXY header: {problem}")
            return
        if header is None:
            return
        self._stopWaiting()
        connection = self.transport
        if header.addresses is not None:
            peer, host = header.addresses.source, header.addresses.destination
            connection.setAddresses(_addressOf(*peer), _addressOf(*host))
        self.received = self.received[header.length :]
        # The header is not from the client.
        connection.bytesIn -= header.length
        wrapped = self.factory.wrappedFactory.buildProtocol(connection.getPeer())
        if wrapped is None:
            self.decided = True
            connection.loseConnection()
            return
        self.switchProtocol(self.connect(wrapped))

    def inspectAtEOF(self) -> bool:
        """
        Close the connection, because the PROXY header is not complete.
        """
        self.decided = True
        self.transport.loseConnection()
        return False

    def _timedOut(self) -> None:
        self._refuse(f"no complete PROXY header within {_HEADER_TIMEOUT:g} s")

    def _refuse(self, reason: str) -> None:
        self._stopWaiting()
        self.decided = True
        self.factory.refused += 1
        peer = describe(self.transport.getPeer())
        self.factory.log.warn("{peer} refused: {reason}", peer=peer, reason=reason)
        self.transport.abortConnection()

    def _stopWaiting(self) -> None:
        if self._timeout is not None:
            self.factory.pending -= 1
            if self._timeout.active():
                self._timeout.cancel()
            self._timeout = None

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._stopWaiting()
        super().connectionLost(reason)


def _addressOf(address: IPAddress, port: int) -> IAddress:
    kind = IPv4Address if address.version == 4 else IPv6Address
    return kind("TCP", str(address), port)


class ProxyProtocolFactory(WrapperFactory[Any]):
    """
    Parses the PROXY header of each connection to a wrapped factory.

    @ivar maxPending: maximum number of connections whose header is not complete.
    @ivar pending: number of connections whose header is not complete.
    @ivar refused: number of connections closed because of a missing or invalid PROXY header.
    """

    log = packageLogger()
    kind = "PROXY"

    def __init__(
        self,
        wrappedFactory: AnyFactory,
        *,
        maxPending: int = MAX_PENDING,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param maxPending: see L{maxPending} (default 5000).
        @param clock: the clock (default: the global reactor).
        """
        super().__init__(wrappedFactory)
        self.maxPending = maxPending
        self.pending = 0
        self.refused = 0
        self.clock = clockOrReactor(clock)

    def buildProtocol(self, addr: IAddress | None) -> ConnectionWrapper:
        return ConnectionWrapper(_ProxyHeaderProtocol(self), self.clock)


@implementer(IStreamServerEndpoint)
class ProxyProtocolEndpoint:
    """
    Listens on a wrapped endpoint for connections from a proxy.
    """

    def __init__(self, endpoint: AnyServerEndpoint, clock: AnyClock | None = None) -> None:
        """
        @param clock: the clock (default: the global reactor).
        """
        self._endpoint = endpoint
        self._clock = clock

    def listen(self, protocolFactory: AnyFactory) -> Deferred[IListeningPort]:
        factory = ProxyProtocolFactory(protocolFactory, clock=self._clock)
        listening: Deferred[IListeningPort] = self._endpoint.listen(factory)
        return listening
