"""
The contracts between a connection, the protocol that owns it, and the guard that
counts it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableProtocol,
    IProducer,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.limits import ConnectionLimits
from openfl_twisted.transports.receivebuffer import ReceiveBuffer
from openfl_twisted.transports.states import State

_log = packageLogger()


class Owner(Protocol):
    """
    A protocol that owns a connection, see L{Connection.bind}.
    """

    @property
    def limits(self) -> ConnectionLimits:
        """
        The limits of the connection; C{maxQueue} is that of the send queue.
        """

    @property
    def unprocessed(self) -> int:
        """
        The number of received bytes that the protocol holds, such as a part of a message.
        """

    def chunkReceived(self, data: bytes) -> None:
        """
        Process a chunk that the connection has held.

        @param data: the chunk.
        """

    def sendQueueExceeded(self) -> None:
        """
        Called when the send queue is over its limit. It is empty then, and accepts
        nothing more.
        """

    def queueDropped(self, chunks: list[bytes], sent: int) -> None:
        """
        Called when the connection ends before everything was sent that was written.
        Bytes count as sent once the kernel has accepted them; over TLS and foreign
        transports, once the transport has accepted them.

        @param chunks: all unsent bytes, in order. Each chunk is a write, or several
            writes that were joined; the first one may have been sent in part.
        @param sent: the number of bytes of the first chunk that were sent.
        """

    @property
    def labels(self) -> Mapping[str, str]:
        """
        Names by which operators know the client, such as that of its room.
        """

    def limitExceeded(self, limit: str) -> None:
        """
        Called when the connection is closed by a limit of the transport.

        @param limit: its name.
        """

    def disconnectedByOperator(self) -> None:
        """
        Called before an operator closes the connection.
        """

    def transportChanged(self, connection: "Connection") -> None:
        """
        Use another connection from now on.

        @param connection: the connection.
        """

    def getClock(self) -> IReactorTime:
        """
        Return the clock.
        """


def reportDropped(owner: Owner, chunks: list[bytes], sent: int = 0) -> None:
    """
    Call an owner's C{queueDropped}. An error is logged: the connection has to be
    closed in any case, and the caller may be writing to others.

    @param owner: the owner.
    @param chunks: the chunks.
    @param sent: the number of bytes of the first chunk that were sent.
    """
    try:
        owner.queueDropped(chunks, sent)
    except Exception:
        _log.failure("error in sendQueueDropped")


def providesItself(interface: Any, protocol: Any) -> bool:
    """
    Check whether a protocol provides an interface itself. What wraps a transport, such
    as TLS, provides all interfaces of the transport, and forwards their methods to it.

    @param interface: C{IHalfCloseableProtocol} or C{IHandshakeListener}.
    @param protocol: the protocol.
    @return: whether it does.
    """
    methods = interface.names()
    return interface.providedBy(protocol) and all(hasattr(type(protocol), n) for n in methods)


class Guard(Protocol):
    """
    Counts a connection, and limits the time that it takes to close.
    """

    def closing(self) -> None:
        """
        Called when this side closes the connection.
        """

    def peerHalfClosed(self) -> None:
        """
        Called when the peer has closed its side first.
        """

    def transportLost(self) -> None:
        """
        Called when the connection is lost, before its protocol is told.
        """

    def ended(self, reason: Failure) -> None:
        """
        Called when its protocol was told.

        @param reason: why the connection is lost.
        """


@implementer(ITransport, IConsumer, IPushProducer)
class Connection:
    """
    A transport with a send queue and a receive buffer: everything that a protocol of
    this package expects of its transport, beyond C{ITransport}, C{IConsumer} and
    C{IPushProducer}.

    After C{loseConnection} or C{loseWriteConnection}, all writes of an owner are ignored,
    unless a pull producer is registered: until it is unregistered, the connection stays
    open and accepts every write, as Twisted's own transports do.

    @cvar preservesMessages: whether each write is a message of its own, as in a
        WebSocket.
    @cvar delivering: whether the connection calls the protocol with what it holds
        itself: that comes before anything in the receive buffer.
    @cvar requestPath: the path of the WebSocket handshake with its query:
        C{/path?query}; other connections have none.
    @ivar disconnecting: whether this side closes the connection.
    @ivar paused: whether the protocol has called C{pauseProducing}.
    @ivar reading: whether the protocol receives data: it has not paused, nothing is
        closing, and nobody else's turn is waited for.
    @ivar receiveBuffer: what was received while that was not so; C{None} for nothing.
    @ivar work: the messages handled since others were served, see
        L{MAX_WORK<openfl_twisted.transports.receivebuffer.MAX_WORK>}.
    @ivar hasReceived: whether the peer has sent anything; after the start of TLS,
        anything in TLS.
    @ivar tap: called with each chunk that is written; C{None} for nobody.
    @ivar protocol: receives the data, and the end.
    @ivar owner: the protocol that has bound it; C{None} for none.
    @ivar guard: counts the connection; C{None} for nobody.
    @ivar clientType: the type of the client, if protocol detection has found it, see
        L{openfl_twisted.transports.connectioninfo.CLIENT_TYPES}.
    @ivar bytesIn: number of bytes received.
    @ivar bytesOut: number of bytes sent.
    """

    preservesMessages = False
    delivering = False
    requestPath = "/"
    disconnecting: Any
    paused: bool
    reading: bool
    receiveBuffer: ReceiveBuffer | None
    work: int
    hasReceived: bool
    tap: Callable[[bytes], object] | None
    protocol: Any
    guard: Guard | None
    owner: Owner | None
    clientType: str | None
    bytesIn: int
    bytesOut: int

    if not TYPE_CHECKING:
        # Each implementation has slots for these.
        __slots__ = ()
    else:
        # Each implementation has its own, or those of Twisted.
        def __getattr__(self, name: str) -> Any: ...
        def write(self, data: bytes) -> None: ...
        def writeSequence(self, iovec: Iterable[bytes]) -> None: ...
        def loseConnection(self) -> None: ...
        def loseWriteConnection(self) -> None: ...
        def abortConnection(self) -> None: ...
        def registerProducer(self, producer: IProducer, streaming: bool) -> None: ...
        def unregisterProducer(self) -> None: ...
        def stopProducing(self) -> None: ...
        def getPeer(self) -> IAddress:
            raise NotImplementedError

        def getHost(self) -> IAddress:
            raise NotImplementedError

    @property
    def pending(self) -> int:
        """
        The length of the send queue (bytes).
        """
        raise NotImplementedError

    @property
    def isFull(self) -> bool:
        """
        Whether the peer does not read: what is written is held.
        """
        raise NotImplementedError

    @property
    def isLost(self) -> bool:
        """
        Whether the underlying connection is lost.
        """
        raise NotImplementedError

    @property
    def isAborted(self) -> bool:
        """
        Whether this side has aborted the connection.
        """
        raise NotImplementedError

    @property
    def state(self) -> State:
        """
        The state of the connection.
        """
        buffer = self.receiveBuffer
        if buffer is not None and buffer.isEnding:
            return State.ENDING
        if self.isLost:
            return State.LOST
        if self.isAborted:
            return State.ABORTED
        if self.disconnecting:
            return State.CLOSING
        return State.FULL if self.isFull else State.OPEN

    @property
    def hasWritten(self) -> bool:
        """
        Whether anything has been written.
        """
        return self.bytesOut > 0 or self.pending > 0

    def bind(self, owner: Owner) -> bool:
        """
        Limit the send queue as a protocol wants it, and call its methods.

        @param owner: the protocol.
        @return: whether the connection can be bound.
        """
        raise NotImplementedError

    def unbind(self) -> None:
        """
        Be as new for another protocol: without owner and receive buffer, and with the
        producer stopped.
        """
        raise NotImplementedError

    @property
    def isBound(self) -> bool:
        """
        Whether a protocol owns the connection.
        """
        return self.owner is not None

    def setAddresses(self, peer: IAddress, host: IAddress) -> None:
        """
        Have C{getPeer} and C{getHost} return other addresses.

        @param peer: the address of the client behind a proxy.
        @param host: the address to which the client connected.
        """
        raise NotImplementedError

    # Which protocol has the connection

    def switchProtocol(self, protocol: Any) -> None:
        """
        Have another protocol receive the data, and the end.

        @param protocol: the protocol; its C{makeConnection} is not called.
        """
        self.protocol = protocol

    def deliver(self, data: bytes) -> None:
        """
        Deliver bytes that were received before the protocol had the connection.

        @param data: the bytes.
        """
        if not data or self.disconnecting or self.isAborted:
            return
        if self.receiveBuffer is not None:
            # They were received before everything that is held.
            self.receiveBuffer.putBack(self._receive, (data,))
        elif self.isBound or self.reading:
            # An owner holds them itself if it does not read.
            self.protocol.dataReceived(data)
        else:
            self.ensureBuffer().put(self._receive, (data,))

    def _receive(self, data: bytes) -> None:
        """
        Deliver a chunk that was held, to the protocol that has the connection now.
        """
        if self.owner is None:
            self.protocol.dataReceived(data)
        else:
            self.owner.chunkReceived(data)

    def deliverHalfClose(self) -> None:
        """
        Tell the protocol that the peer has closed its side, after what is held. A
        protocol that does not know half-closed connections closes this side, too. One
        that has closed or aborted the connection is not told.
        """
        if self.disconnecting or self.isAborted:
            return
        if self.receiveBuffer is None:
            self._halfClosed(None)
        else:
            self.receiveBuffer.put(self._halfClosed, (None,))

    def _halfClosed(self, nothing: None) -> None:
        if providesItself(IHalfCloseableProtocol, self.protocol):
            self.protocol.readConnectionLost()
        else:
            self.loseConnection()

    def notifyLost(self, reason: Failure) -> None:
        """
        Tell the protocol and the guard that the connection is lost.

        @param reason: why.
        """
        guard = self.guard
        if guard is not None:
            guard.transportLost()
        try:
            self.protocol.connectionLost(reason)
        finally:
            self.guard = None
            if guard is not None:
                guard.ended(reason)

    def finishConnection(self) -> None:
        """
        Close the connection gracefully. TLS and WebSocket have a closing handshake, so
        what is above them closes first.
        """
        above = self._above
        if above is None:
            self.loseConnection()
        else:
            above.finishConnection()

    @property
    def _above(self) -> "Connection | None":
        """
        The WebSocket on this connection, or the connection in TLS on it.
        """
        top = self.protocol
        if isinstance(top, TLSMemoryBIOProtocol):
            top = top.wrappedProtocol
        return top if isinstance(top, Connection) else None

    @property
    def isClosing(self) -> bool:
        """
        Whether this side closes the connection, or what is above it.
        """
        above = self._above
        return bool(self.disconnecting) or (above is not None and above.isClosing)

    def setCloseReason(self, code: int, reason: str = "") -> None:
        """
        Set what the peer is told when this side closes the connection. TCP has nothing
        to tell it.

        @param code: the WebSocket close code (RFC 6455, 7.4).
        @param reason: the reason in words.
        """

    @property
    def top(self) -> "Connection":
        """
        The connection that the application has: this one, or the WebSocket or the
        connection in TLS on it.
        """
        above = self._above
        return self if above is None else above.top

    def peerHalfClosed(self) -> None:
        """
        Called from above: the peer ends the connection, although it is this side that
        closes it.
        """
        if self.guard is not None:
            self.guard.peerHalfClosed()

    def getClock(self) -> IReactorTime:
        """
        Return the clock of the receive buffer.
        """
        raise NotImplementedError

    def ensureBuffer(self) -> ReceiveBuffer:
        """
        Return the receive buffer; make one if there is none.
        """
        buffer = self.receiveBuffer
        if buffer is None:
            buffer = self.receiveBuffer = ReceiveBuffer(self, self.getClock())
        return buffer

    # TLS

    def refusesTLS(self) -> bool:
        """
        Abort the connection if TLS is to start and received plaintext is left: it could
        have been inserted by an attacker, and must not be processed as if it were
        protected by TLS.

        @return: whether the connection was aborted.
        """
        buffer = self.receiveBuffer
        held = [] if buffer is None else [item for _, item in buffer.items()]
        # An EOF is held as a Failure or None.
        left = any(item is not None and not isinstance(item, Failure) for item in held)
        if left or (self.owner is not None and self.owner.unprocessed):
            self.refusePlaintext()
            return True
        return False

    def refusePlaintext(self) -> None:
        """
        Abort the connection, because the peer has sent plaintext after the request to
        start TLS.
        """
        _log.warn(
            "{peer} aborted: plaintext was received between the request to start TLS and the "
            "TLS handshake",
            peer=describe(self.getPeer()),
        )
        self.abortConnection()

    # What the protocol and the receive buffer call

    def pauseProducing(self) -> None:
        """
        Deliver nothing to the protocol until C{resumeProducing}.
        """
        self.paused = True
        self.reading = False
        self.stopReading()

    def resumeProducing(self) -> None:
        """
        Deliver what was received in the meantime, then read from the peer again.
        """
        self.paused = False
        self.readAgain()

    def readAgain(self) -> None:
        """
        Deliver what is in the receive buffer, then read from the peer, unless the
        protocol is paused.
        """
        buffer = self.receiveBuffer
        if self.paused or self.disconnecting or (buffer is not None and buffer.isBlocked):
            return
        self.reading = True
        if (buffer is None or buffer.deliver()) and self.reading:
            self.startReading()

    def dropReceived(self) -> None:
        """
        Deliver nothing more: this side closes the connection.
        """
        self.reading = False
        buffer, self.receiveBuffer = self.receiveBuffer, None
        if buffer is not None:
            buffer.discard()

    def stopReading(self) -> Any:
        """
        Read nothing from the underlying transport.
        """
        raise NotImplementedError

    def startReading(self) -> Any:
        """
        Read from the underlying transport.
        """
        raise NotImplementedError
