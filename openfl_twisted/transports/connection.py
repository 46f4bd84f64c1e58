"""
The interfaces between a connection, the protocol that owns it, and its guard.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
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

from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.limits import ConnectionLimits
from openfl_twisted.transports.receivebuffer import ReceiveBuffer
from openfl_twisted.transports.states import State
from openfl_twisted.wire.framing import Framing

_log = packageLogger()


class Owner(Protocol):
    """
    A protocol that has called L{Connection.bind}. The connection calls these methods.
    """

    @property
    def limits(self) -> ConnectionLimits:
        """
        The limits of the connection. The connection enforces only C{maxQueue}; the owner
        enforces all other limits.
        """

    @property
    def unprocessed(self) -> int:
        """
        The number of received bytes that the protocol holds, such as part of a
        message.
        """

    def chunkReceived(self, data: bytes) -> None:
        """
        Process a chunk from the receive buffer.

        @param data: the chunk.
        """

    def sendQueueExceeded(self) -> None:
        """
        Called when the send queue has exceeded C{maxQueue}. The send queue was dropped, and
        further writes are dropped. The owner must abort the connection.
        """

    def queueDropped(self, chunks: list[bytes], sent: int) -> None:
        """
        Called when the connection ends with data in the send queue. Data counts as sent when
        the kernel has accepted it. Over TLS, or over a transport from another package, data
        counts as sent when that transport has accepted it.

        @param chunks: all unsent data, in order. A chunk is one write, or several joined
            writes. The first chunk may have been sent partly.
        @param sent: the number of bytes already sent from the first chunk.
        """

    @property
    def labels(self) -> Mapping[str, str]:
        """
        Labels that identify the client on the dashboard, such as its room.
        """

    def limitExceeded(self, limit: str) -> None:
        """
        Called when the transport disconnects the peer because of a limit.

        @param limit: the name of the limit.
        """

    def disconnectedByOperator(self) -> None:
        """
        Called before an operator disconnects the client.
        """

    def handlerReturned(self, result: object) -> object:
        """
        Called with the result of a method that has processed an item from the receive buffer,
        if the result is not C{None}.

        @param result: the result, such as a coroutine.
        """

    def handlerFailed(self, reason: Failure) -> None:
        """
        Log an exception raised by a method that has processed an item, and close the
        connection.

        @param reason: the exception.
        """

    def transportChanged(self, connection: "Connection") -> None:
        """
        Called when TLS has started: use C{connection}, which encrypts the data, as the
        transport.

        @param connection: the connection inside TLS.
        """

    def getClock(self) -> IReactorTime:
        """
        Return the clock of the receive buffer's timers.
        """


def reportDropped(owner: Owner, chunks: list[bytes], sent: int = 0) -> None:
    """
    Call C{queueDropped}, and log exceptions instead of raising them: the connection is closed
    in any case, and the caller may be writing to other connections.

    @param owner: the owner.
    @param chunks: the unsent chunks.
    @param sent: the number of bytes already sent from the first chunk.
    """
    try:
        owner.queueDropped(chunks, sent)
    except Exception:
        _log.failure("error in sendQueueDropped")


def providesItself(interface: Any, protocol: Any) -> bool:
    """
    Check whether a protocol itself implements an interface. In contrast, a wrapper such as TLS
    provides all interfaces of its transport, and forwards their methods to the transport.

    @param interface: C{IHalfCloseableProtocol} or C{IHandshakeListener}.
    @param protocol: the protocol.
    @return: whether the class of the protocol defines all methods of the interface.
    """
    methods = interface.names()
    return interface.providedBy(protocol) and all(hasattr(type(protocol), n) for n in methods)


class Guard(Protocol):
    """
    The interface of the record that a guard keeps of a connection, see
    L{GuardedConnection<openfl_twisted.transports.guard.GuardedConnection>}. The connection calls
    these methods.
    """

    def closing(self) -> None:
        """
        Called when this side closes the connection.
        """

    def peerHalfClosed(self) -> None:
        """
        Called when the peer is the first to close its side of the connection.
        """

    def announce(self, clientType: str | None = None) -> None:
        """
        Called when the log must contain the connection, because the peer is not only a health
        check.

        @param clientType: the client type, if it was just detected.
        """

    def countAs(self, clientType: str) -> bool:
        """
        Called when the client type is detected, and when it changes. HTTP connections have a
        separate limit.

        @param clientType: the client type.
        @return: whether the limit permits the connection. If not, the connection must be
            closed.
        """

    def permits(self, client: IAddress) -> bool:
        """
        Called with the address of a client that a trusted proxy has reported.

        @param client: the address of the client.
        @return: whether the address is not blocked. If it is, the client must be refused.
        """

    def transportLost(self) -> None:
        """
        Called when the connection is lost, before the protocol's C{connectionLost}.
        """

    def ended(self, reason: Failure) -> None:
        """
        Called after the protocol's C{connectionLost}.

        @param reason: why the connection is lost.
        """


class ProtocolTap:
    """
    Base class of a protocol between a connection and the owner of the connection, see
    L{openfl_twisted.transports.tap}.

    @ivar protocol: the protocol that receives the data after this object.
    """

    __slots__ = ()

    protocol: Any

    def bufferReceived(self, owner: Owner, data: bytes) -> None:
        """
        Pass a chunk from the receive buffer to the owner.
        """
        raise NotImplementedError


class _Taps:
    """
    Calls several functions with each written chunk.
    """

    __slots__ = ("functions",)

    def __init__(self, functions: tuple[Callable[[bytes], object], ...]) -> None:
        self.functions = functions

    def __call__(self, data: bytes) -> None:
        for function in self.functions:
            function(data)


def tapsOf(connection: "Connection") -> tuple[Callable[[bytes], object], ...]:
    """
    Return the functions that are called with each chunk written to a connection.
    """
    tap = connection.tap
    if isinstance(tap, _Taps):
        return tap.functions
    return () if tap is None else (tap,)


def withoutTap(protocol: Any) -> Any:
    """
    Return the protocol that a tap passes its data to. For any other protocol, return C{protocol}.
    """
    return protocol.protocol if isinstance(protocol, ProtocolTap) else protocol


@implementer(ITransport, IConsumer, IPushProducer)
class Connection:
    """
    The transport of protocols in this package. A connection has Twisted's transport
    interfaces, a limited send queue, a receive buffer, and a protocol that can be replaced.

    The underlying transport or the reactor calls this object when data is received and when
    the connection is lost. The protocol uses this object as its transport. Invariants:

      - C{protocol} receives data only while C{reading} is true.
      - C{reading} is false while C{paused}, C{disconnecting} or C{receiveBuffer.isBlocked} is
        true. L{readAgain} sets C{reading} to true.
      - While C{receiveBuffer} exists, received data is appended to it.
      - The protocol's C{connectionLost} is called once, after the receive buffer has been
        delivered or dropped.

    After C{loseConnection} or C{loseWriteConnection}, writes by an owner are dropped. However,
    while a pull producer is registered, writes are accepted and the connection stays open, as
    in Twisted's transports.

    @cvar preservesMessages: whether each write is sent as one message, as on a
        WebSocket.
    @cvar delivering: whether the connection is currently delivering events that it has parsed,
        such as WebSocket messages. These events precede the contents of the receive buffer.
    @cvar requestPath: the path and query of the WebSocket handshake; C{"/"} for other
        connections.
    @ivar pingTime: round-trip time of the last WebSocket ping that the peer has answered
        (seconds); C{None} before, while a ping is unanswered, and for other connections.
    @ivar disconnecting: whether this side has closed the connection.
    @ivar paused: whether the protocol has called C{pauseProducing}.
    @ivar reading: whether received data is delivered to the protocol.
    @ivar receiveBuffer: the data that the protocol has not received yet; C{None} if there is
        no such data.
    @ivar work: number of messages handled since other connections were last served, see
        L{MAX_WORK<openfl_twisted.transports.receivebuffer.MAX_WORK>}.
    @ivar hasReceived: whether the peer has sent data. Starting TLS resets this attribute.
    @ivar tap: function that is called with each written chunk; C{None} for no function. See
        L{addTap}.
    @ivar protocol: the protocol that receives data and the loss of the connection.
    @ivar owner: the protocol that has called L{bind}; C{None} if no protocol has called it.
    @ivar guard: the guard's record of the connection; C{None} without a guard.
    @ivar clientType: the client type found by protocol detection, one of
        L{openfl_twisted.transports.connectioninfo.CLIENT_TYPES}; C{None} without
        detection.
    @ivar bytesIn: number of bytes received, without a PROXY header.
    @ivar bytesOut: number of bytes sent.
    """

    preservesMessages = False
    delivering = False
    requestPath = "/"
    pingTime: float | None = None
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
        # The implementations have slots for these attributes.
        __slots__ = ()
    else:
        # The implementations define these methods, or inherit them from Twisted.
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
        Whether the transport accepts no more data, so that writes are held in the send
        queue.
        """
        raise NotImplementedError

    @property
    def isLost(self) -> bool:
        """
        Whether the underlying transport is lost.
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
    def nearestGuard(self) -> Guard | None:
        """
        The guard's record of this connection. If TLS runs over a guarded connection, the
        record of that connection.
        """
        return self.guard

    def changeType(self, clientType: str) -> bool:
        """
        Change the client type, and notify the guard.

        @param clientType: the new client type.
        @return: whether the limits of the guard permit the connection. If not, the type is
            not changed, and the connection must be closed.
        """
        guard = self.nearestGuard
        if guard is not None and not guard.countAs(clientType):
            return False
        self.clientType = clientType
        return True

    @property
    def hasWritten(self) -> bool:
        """
        Whether the protocol has written data.
        """
        return self.bytesOut > 0 or self.pending > 0

    def bind(self, owner: Owner) -> bool:
        """
        Make a protocol the owner of the connection: apply the protocol's limits, and call the
        methods of L{Owner}.

        @param owner: the protocol.
        @return: whether the connection supports an owner. If not, the protocol must wrap the
            connection in a
            L{BufferedTransport<openfl_twisted.transports.buffered.BufferedTransport>}.
        """
        raise NotImplementedError

    def unbind(self) -> None:
        """
        Remove the owner, the owner's producer and the receive buffer, so that another protocol
        can use the connection.
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
        Set the addresses that C{getPeer} and C{getHost} return.

        @param peer: the address of the client behind a proxy.
        @param host: the address to which the client connected.
        """
        raise NotImplementedError

    def writeMessages(self, messages: Sequence[bytes]) -> None:
        """
        Send several messages in one write. If the connection preserves messages, each message
        is sent separately; otherwise, all messages are joined.

        @param messages: the messages.
        """
        self.writeSequence(messages)

    def writeNow(self, data: bytes) -> None:
        """
        Send data immediately if the send queue is empty and the connection can do so; otherwise as
        C{write}. Use it for the only write to this connection in a handler: writes are not
        coalesced.

        @param data: the bytes to send, at least one.
        """
        self.write(data)

    def frameTexts(self, framing: Framing) -> None:
        """
        Set the framing of text messages that are received from a WebSocket: each of them is
        delivered as one message. The default does nothing, for other connections.

        @param framing: the framing of the protocol.
        """

    def addTap(self, tap: Callable[[bytes], object]) -> None:
        """
        Call a function with each written chunk.

        @param tap: the function.
        """
        self.tap = tap if self.tap is None else _Taps((*tapsOf(self), tap))

    def removeTap(self, tap: Callable[[bytes], object]) -> None:
        """
        Stop calling a function that L{addTap} has added.

        @param tap: the function. If it was not added, nothing happens.
        """
        taps = tapsOf(self)
        if tap in taps:
            left = tuple(each for each in taps if each != tap)
            self.tap = None if not left else left[0] if len(left) == 1 else _Taps(left)

    # Delivering to the protocol

    def switchProtocol(self, protocol: Any) -> None:
        """
        Set the protocol that receives data and the loss of the connection.

        @param protocol: the protocol; its C{makeConnection} is not called.
        """
        self.protocol = protocol

    def deliver(self, data: bytes) -> None:
        """
        Deliver data that was received before the connection was passed to the protocol.

        @param data: the data.
        """
        if not data or self.disconnecting or self.isAborted:
            return
        if self.receiveBuffer is not None:
            # Put the data before the contents of the buffer, because it was received first.
            self.receiveBuffer.putBack(self._receive, (data,))
        elif self.isBound or self.reading:
            # An owner itself checks whether the connection is reading.
            self.protocol.dataReceived(data)
        else:
            self.ensureBuffer().put(self._receive, (data,))

    def _receive(self, data: bytes) -> None:
        """
        Deliver a chunk from the receive buffer to the current protocol.
        """
        if self.owner is None:
            self.protocol.dataReceived(data)
        elif isinstance(self.protocol, ProtocolTap):
            self.protocol.bufferReceived(self.owner, data)
        else:
            self.owner.chunkReceived(data)

    def deliverHalfClose(self) -> None:
        """
        Deliver the receive buffer, then the peer's EOF. If the protocol does not support
        half-close, the connection is closed. The EOF is dropped if this side has already
        closed or aborted the connection.
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
        Notify the guard and the protocol that the connection is lost.

        @param reason: why the connection is lost.
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
        Close the connection gracefully. A WebSocket or TLS that runs over this connection is
        closed first, with its closing handshake.
        """
        above = self._above
        if above is None:
            self.loseConnection()
        else:
            above.finishConnection()

    @property
    def _above(self) -> "Connection | None":
        """
        The WebSocket, or the connection inside TLS, that runs over this connection; C{None} if
        the application uses this connection directly.
        """
        top = self.protocol
        if isinstance(top, TLSMemoryBIOProtocol):
            top = top.wrappedProtocol
        return top if isinstance(top, Connection) else None

    @property
    def isClosing(self) -> bool:
        """
        Whether this side has closed this connection, or a WebSocket or TLS that runs over this
        connection.
        """
        above = self._above
        return bool(self.disconnecting) or (above is not None and above.isClosing)

    def setCloseReason(self, code: int, reason: str = "") -> None:
        """
        Set the close code and reason that are sent when this side closes a WebSocket.
        Connections that are not WebSockets ignore this call.

        @param code: the WebSocket close code (RFC 6455, 7.4).
        @param reason: the reason, as text.
        """

    @property
    def top(self) -> "Connection":
        """
        The connection that the application uses: the WebSocket, or the connection inside TLS,
        that runs over this connection. If there is neither, this connection.
        """
        above = self._above
        return self if above is None else above.top

    def peerHalfClosed(self) -> None:
        """
        Notify the guard that the peer was the first to close a WebSocket or TLS that runs over
        this connection. The underlying transport is then closed by this side.
        """
        if self.guard is not None:
            self.guard.peerHalfClosed()

    def getClock(self) -> IReactorTime:
        """
        Return the clock of the receive buffer's timers.
        """
        raise NotImplementedError

    def ensureBuffer(self) -> ReceiveBuffer:
        """
        Return the receive buffer. If it does not exist, create it.
        """
        buffer = self.receiveBuffer
        if buffer is None:
            buffer = self.receiveBuffer = ReceiveBuffer(self, self.getClock())
        return buffer

    def _endSoon(self) -> bool:
        """
        Called when the protocol closes the connection. If the connection is already lost
        (L{State.ENDING}), drop the receive buffer, and notify the protocol in the next reactor
        iteration.

        @return: whether the connection is lost.
        """
        buffer = self.receiveBuffer
        if buffer is None or not buffer.isEnding:
            return False
        buffer.discardSoon()
        return True

    def _drop(self) -> None:
        """
        Drop the send queue, and report it to the owner.
        """
        raise NotImplementedError

    def _disconnectSlowPeer(self, owner: Owner) -> None:
        """
        Drop the send queue, and make the owner disconnect the peer.
        """
        self.disconnecting = True
        self._drop()
        self.dropReceived()
        try:
            owner.sendQueueExceeded()
        except Exception:
            # Do not raise the exception: the caller may be writing to other connections.
            _log.failure("{peer} aborted: error in sendQueueExceeded", peer=self.getPeer())
            self.abortConnection()

    # TLS

    def refusesTLS(self) -> bool:
        """
        Abort the connection if received plaintext is still unprocessed when TLS starts. An
        attacker could have inserted this plaintext, and it would be processed as if it had
        been protected by TLS.

        @return: whether the connection was aborted.
        """
        buffer = self.receiveBuffer
        held = [] if buffer is None else [item for _, item in buffer.items()]
        # An EOF is held as a Failure or None, and is not plaintext.
        left = any(item is not None and not isinstance(item, Failure) for item in held)
        if left or (self.owner is not None and self.owner.unprocessed):
            self.refusePlaintext()
            return True
        return False

    def refusePlaintext(self) -> None:
        """
        Abort the connection, because the peer has sent plaintext after the request to start
        TLS.
        """
        _log.warn(
            "{peer} aborted: plaintext was received between the request to start TLS and the "
            "TLS handshake",
            peer=self.getPeer(),
        )
        self.abortConnection()

    # Reading: called by the protocol and the receive buffer

    def handlerReturned(self, result: object) -> None:
        """
        Pass a result to the owner.

        @param result: the result of a method that has processed an item; not C{None}.
        """
        if self.owner is not None:
            self.owner.handlerReturned(result)

    def handlerFailed(self, reason: Failure) -> None:
        """
        Report an exception to the owner. Without an owner, log the exception, and abort the
        connection.

        @param reason: the exception that was raised while an item was processed.
        """
        if self.owner is not None:
            self.owner.handlerFailed(reason)
            return
        _log.failure(
            "unhandled error while serving {peer}; connection aborted", reason, peer=self.getPeer()
        )
        self.abortConnection()

    def pauseProducing(self) -> None:
        self.paused = True
        self.reading = False
        self.stopReading()

    def resumeProducing(self) -> None:
        """
        Deliver the receive buffer, then resume reading from the transport.
        """
        self.paused = False
        self.readAgain()

    def readAgain(self) -> None:
        """
        Deliver the receive buffer, then resume reading from the transport. Does nothing while
        the protocol is paused or the buffer is blocked.
        """
        buffer = self.receiveBuffer
        if self.paused or self.disconnecting or (buffer is not None and buffer.isBlocked):
            return
        self.reading = True
        if (buffer is None or buffer.deliver()) and self.reading:
            self.startReading()

    def dropReceived(self) -> None:
        """
        Drop the receive buffer, and deliver no more data. Called when this side closes the
        connection.
        """
        self.reading = False
        buffer, self.receiveBuffer = self.receiveBuffer, None
        if buffer is not None:
            buffer.discard()

    def stopReading(self) -> Any:
        """
        Stop reading from the underlying transport.
        """
        raise NotImplementedError

    def startReading(self) -> Any:
        """
        Start reading from the underlying transport.
        """
        raise NotImplementedError
