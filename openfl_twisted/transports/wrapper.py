"""
What stands between a transport and a protocol while it has a job to do, and then
leaves.
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
    IProtocolFactory,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementedBy, implementer

from openfl_twisted.transports.buffered import BufferedTransport
from openfl_twisted.transports.connection import Connection, Guard, providesItself

P = TypeVar("P", bound=Any)

CLOSE_TIMEOUT = 30.0
"""
Seconds that a connection may take to close when this side has closed it; then it is
aborted.
"""


class WrapperFactory(Factory[P]):
    """
    A factory in front of another one.

    @ivar wrappedFactory: the other factory.
    @cvar kind: what this is, for the log.
    """

    noisy = False
    kind = ""

    def __init__(self, wrappedFactory: IProtocolFactory) -> None:
        """
        @param wrappedFactory: the factory of the wrapped protocols.
        """
        self.wrappedFactory = wrappedFactory

    def logPrefix(self) -> str:
        """
        Name the wrapped factory, too.
        """
        wrapped = ILoggingContext(self.wrappedFactory, None)
        name = type(self.wrappedFactory).__name__ if wrapped is None else wrapped.logPrefix()
        return f"{name} ({self.kind})"

    def doStart(self) -> None:
        """
        Start the wrapped factory, too.
        """
        self.wrappedFactory.doStart()
        super().doStart()

    def doStop(self) -> None:
        """
        Stop the wrapped factory, too.
        """
        self.wrappedFactory.doStop()
        super().doStop()


def _connect(connection: Connection, protocol: Any) -> None:
    protocol.makeConnection(connection)


@implementer(IProtocol, IHalfCloseableProtocol, IHandshakeListener, ILoggingContext)
class ConnectionWrapper(BufferedTransport):
    """
    Gives a protocol a L{Connection}. To a transport that is one, it is not needed: it
    hands it over, and leaves. In front of any other transport it stays: for that it
    is the protocol, and for the wrapped protocol it is the connection.

    Like Twisted's own transports, it has no limits until it is bound.
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
        @param begin: called with the connection and the protocol when there is one
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
        The protocol that has the connection.
        """
        return self.protocol

    def logPrefix(self) -> str:
        """
        Name the protocol.
        """
        context = ILoggingContext(self.protocol, None)
        return type(self.protocol).__name__ if context is None else context.logPrefix()

    # For the transport

    def makeConnection(self, transport: ITransport) -> None:
        """
        Hand over a connection, or become one.

        @param transport: the transport.
        """
        connection: Connection = self
        if isinstance(transport, Connection):
            connection = transport
        else:
            super().__init__(transport, None)
        connection.switchProtocol(self.protocol)
        self._begin(connection, self.protocol)

    def connectionMade(self) -> None:
        """
        Never called: L{makeConnection} calls that of the protocol.
        """

    def dataReceived(self, data: bytes) -> None:
        """
        Forward data to the protocol; hold it while it does not read, and drop it after
        an error: a TLS transport delivers what it has in either case.

        @param data: the data.
        """
        self.bytesIn += len(data)
        self.hasReceived = True
        if self._failed or self.disconnecting:
            return
        try:
            if self.receiveBuffer is None:
                self.deliver(data)
            else:
                self.receiveBuffer.put(self._receive, (data,))
        except BaseException:
            self._failed = True
            self.dropReceived()
            raise

    def handshakeCompleted(self) -> None:
        """
        Tell the protocol that the TLS handshake is completed.
        """
        if providesItself(IHandshakeListener, self.protocol):
            self.protocol.handshakeCompleted()

    def readConnectionLost(self) -> None:
        """
        Tell the protocol that the peer has closed its side.
        """
        if not self.isClosing:
            self.peerHalfClosed()
        self.deliverHalfClose()

    def writeConnectionLost(self) -> None:
        """
        Tell the protocol that this side is closed.
        """
        if providesItself(IHalfCloseableProtocol, self.protocol):
            self.protocol.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the protocol, after what is held, and the guard.

        @param reason: why the connection is lost.
        """
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        if self.guard is None and not self.isClosing and reason.check(ConnectionDone):
            # The peer has closed TLS; it is this side that then closes TCP.
            self.peerHalfClosed()
        if not self.isBound:
            self._producer = None
        self.transportLost()
        if self.receiveBuffer is None:
            self.notifyLost(reason)
        else:
            self.receiveBuffer.holdEnd(partial(self.notifyLost, reason))

    # For the protocol

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

    def peerHalfClosed(self) -> None:
        if self.guard is not None:
            self.guard.peerHalfClosed()
        elif isinstance(self._transport, TLSMemoryBIOProtocol):
            outer = self._transport.transport
            if isinstance(outer, Connection):
                outer.peerHalfClosed()

    def loseConnection(self) -> None:
        """
        Close the connection when everything written so far has been sent. The peer has
        L{CLOSE_TIMEOUT} seconds to read it, and to close TLS.
        """
        if not self.disconnecting and not self._stage:
            if self.guard is not None:
                self.guard.closing()
            elif self._closing is None and ISSLTransport.providedBy(self._transport):
                self._closing = self._clock.callLater(CLOSE_TIMEOUT, self.abortConnection)
        if self.isBound or self._stage:
            super().loseConnection()
        else:
            self.disconnecting = True
            self.dropReceived()
            self._transport.loseConnection()

    def _endLate(self) -> None:
        if self.receiveBuffer is not None and self.receiveBuffer.isEnding:
            self.receiveBuffer.discardSoon()

    # Like Twisted's own transports, until it is bound

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
