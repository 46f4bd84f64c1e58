"""
Wrapper factories, and the connection of a wrapped protocol.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    ILoggingContext,
    IProducer,
    IProtocol,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementedBy, implementer

from openfl_twisted.overrides import startMethod
from openfl_twisted.transports.buffered import BufferedTransport
from openfl_twisted.transports.connection import (
    Connection,
    Guard,
    ProtocolTap,
    providesItself,
    withoutTap,
)
from openfl_twisted.types import AnyFactory

_P = TypeVar("_P", bound=Any)

CLOSE_TIMEOUT = 30.0
"""
Default maximum time to close a connection gracefully: 30 seconds. After this time, the
connection is aborted.
"""


class WrapperFactory(Factory[_P]):
    """
    Base class of factories that wrap another factory.

    @ivar wrappedFactory: the wrapped factory.
    @cvar kind: description of the wrapper, for log prefixes.
    """

    noisy = False
    kind = ""

    def __init__(self, wrappedFactory: AnyFactory) -> None:
        """
        @param wrappedFactory: the factory of the wrapped protocols.
        """
        if isinstance(wrappedFactory, type):
            name = wrappedFactory.__name__
            if issubclass(wrappedFactory, Factory):
                raise TypeError(
                    f"{type(self).__name__} needs a factory, not the class {name}: pass"
                    f" {name}(YourProtocol)"
                )
            raise TypeError(
                f"{type(self).__name__} needs a factory, not the class {name}: pass an instance,"
                f" such as XMLSocketFactory({name}) for a protocol"
            )
        self.wrappedFactory: Any = wrappedFactory

    def logPrefix(self) -> str:
        wrapped = ILoggingContext(self.wrappedFactory, None)
        name = type(self.wrappedFactory).__name__ if wrapped is None else wrapped.logPrefix()
        return f"{name} ({self.kind})"

    @startMethod
    def doStart(self) -> None:
        self.wrappedFactory.doStart()
        super().doStart()

    def doStop(self) -> None:
        self.wrappedFactory.doStop()
        super().doStop()


def _connect(connection: Connection, protocol: Any) -> None:
    protocol.makeConnection(connection)


@implementer(IProtocol, IHalfCloseableProtocol, IHandshakeListener, ILoggingContext)
class ConnectionWrapper(BufferedTransport):
    """
    Connects a protocol to a L{Connection} over any transport. The C{buildProtocol} method of a
    wrapper factory returns a C{ConnectionWrapper}.

    The transport calls L{makeConnection}:

      - If the transport itself is a L{Connection}, the transport calls the protocol directly
        after this call, and the wrapper is discarded.
      - Otherwise, the wrapper stays the protocol of the transport, and is the connection of
        the wrapped protocol.

    Without an owner, the send queue has no limit, as in Twisted's transports. Unlike in a
    plain L{BufferedTransport}, the call of C{connectionLost} on a paused protocol is delayed
    until the protocol has received all data.
    """

    __slots__ = (
        "_begin",
        "_clock",
        "_closing",
        "_failed",
        "_host",
        "_peer",
        "clientType",
        "guard",
        "protocol",
    )

    def __init__(
        self,
        protocol: Any,
        clock: IReactorTime,
        begin: Callable[[Connection, Any], object] = _connect,
    ) -> None:
        """
        @param protocol: the wrapped protocol.
        @param clock: the clock.
        @param begin: called with the connection and the protocol when the connection is made
            (default: call the protocol's C{makeConnection}).
        """
        self.protocol = protocol
        self._clock = clock
        self._begin = begin
        self._closing: IDelayedCall | None = None
        self._failed = False
        self._peer: IAddress | None = None
        self._host: IAddress | None = None
        self.guard: Guard | None = None
        self.clientType: str | None = None

    @property
    def __providedBy__(self) -> Any:
        if hasattr(self, "_transport"):
            return super().__providedBy__
        return implementedBy(type(self))

    @property
    def wrappedProtocol(self) -> Any:
        """
        The protocol that uses the connection.
        """
        return withoutTap(self.protocol)

    def logPrefix(self) -> str:
        context = ILoggingContext(self.protocol, None)
        return type(self.protocol).__name__ if context is None else context.logPrefix()

    # Called by the transport

    def makeConnection(self, transport: ITransport) -> None:
        """
        Connect the protocol to the transport, or to this wrapper.

        @param transport: the transport.
        """
        connection: Connection = self
        if isinstance(transport, Connection):
            connection = transport
        else:
            super().__init__(transport, None)
        above = connection.protocol
        if isinstance(above, ProtocolTap) and above.protocol is self:
            # The factory of the tap wraps the factory of this wrapper.
            above.protocol = self.protocol
        else:
            connection.switchProtocol(self.protocol)
        self._begin(connection, self.protocol)

    def connectionMade(self) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        """
        Deliver data to the protocol, or hold the data while the protocol is paused. After an
        exception in the protocol, data is dropped, because a TLS transport continues to
        deliver data.

        @param data: the data.
        """
        self.bytesIn += len(data)
        self.hasReceived = True
        if self._failed or self.disconnecting:
            return
        try:
            if self.receiveBuffer is not None:
                self.receiveBuffer.put(self._receive, (data,))
            elif self.owner is not None or self.reading:
                # An owner itself checks whether the connection is reading.
                self.protocol.dataReceived(data)
            else:
                self.ensureBuffer().put(self._receive, (data,))
        except BaseException:
            self._failed = True
            self.dropReceived()
            raise

    def handshakeCompleted(self) -> None:
        if providesItself(IHandshakeListener, self.protocol):
            self.protocol.handshakeCompleted()

    def readConnectionLost(self) -> None:
        if not self.isClosing:
            self.peerHalfClosed()
        self.deliverHalfClose()

    def writeConnectionLost(self) -> None:
        if providesItself(IHalfCloseableProtocol, self.protocol):
            self.protocol.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Deliver the receive buffer, then notify the guard and the protocol.

        @param reason: why the connection is lost.
        """
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        if self.guard is None and not self.isClosing and reason.check(ConnectionDone):
            # The peer was the first to close TLS, although this side then closes the TCP
            # connection.
            self.peerHalfClosed()
        if not self.isBound:
            self._producer = None
        self.transportLost()
        if self.receiveBuffer is None:
            self.notifyLost(reason)
        else:
            self.receiveBuffer.holdEnd(partial(self.notifyLost, reason), reason)

    # Called by the protocol

    def unbind(self) -> None:
        producer: IProducer | None = self._producer
        if self._pull is not None:
            producer = self._pull.producer
        if producer is not None or self.isBound:
            self._transport.unregisterProducer()
        self._producer = self._pull = None
        self.owner = None
        if producer is not None and producer is not self:
            producer.stopProducing()
        self.tap = None
        self._full = False
        self.dropReceived()
        self.paused = False
        self.readAgain()

    def getClock(self) -> IReactorTime:
        return self._clock if self.owner is None else self.owner.getClock()

    def setAddresses(self, peer: IAddress, host: IAddress) -> None:
        self._peer, self._host = peer, host

    def getPeer(self) -> IAddress:
        return self._peer or super().getPeer()

    def getHost(self) -> IAddress:
        return self._host or super().getHost()

    @property
    def nearestGuard(self) -> Guard | None:
        if self.guard is None and isinstance(self._transport, TLSMemoryBIOProtocol):
            outer = self._transport.transport
            return outer.guard if isinstance(outer, Connection) else None
        return self.guard

    def peerHalfClosed(self) -> None:
        guard = self.nearestGuard
        if guard is not None:
            guard.peerHalfClosed()

    def loseConnection(self) -> None:
        """
        Close the connection when the send queue is empty. The connection is aborted if the
        peer does not read the queue and close TLS within the close timeout of the guard, or
        within L{CLOSE_TIMEOUT} if there is no guard.
        """
        if not self.disconnecting and not self._stage:
            guard = self.nearestGuard
            if guard is not None:
                guard.closing()
            elif self._closing is None and ISSLTransport.providedBy(self._transport):
                self._closing = self._clock.callLater(CLOSE_TIMEOUT, self.abortConnection)
        if self.isBound or self._stage:
            super().loseConnection()
        else:
            self.disconnecting = True
            self.dropReceived()
            self._transport.loseConnection()

    def _endLate(self) -> None:
        self._endSoon()

    # Without an owner, producers are registered directly with the transport

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        if self.isBound:
            super().registerProducer(producer, streaming)
        else:
            self._producer = cast("IPushProducer", producer)
            self._transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        if self.isBound:
            super().unregisterProducer()
        else:
            self._producer = None
            self._transport.unregisterProducer()
