"""
Protocols that send through a queue, and their factories: the base of those of
this package.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any, Self, TypeVar, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.foreign import REASONS, FirstBytes, refuse
from openfl_twisted.transports.buffered import MAX_QUEUE, BufferedTransport
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.detectiontimer import DETECTION_TIMEOUT, DetectionTimer
from openfl_twisted.transports.limits import NO_LIMITS, ConnectionLimits
from openfl_twisted.transports.receivebuffer import MAX_WORK
from openfl_twisted.transports.writebatch import currentBatch
from openfl_twisted.wire.firstbytes import FOREIGN, Signature, isPartial
from openfl_twisted.wire.httprequest import hasRequestLine
from openfl_twisted.wire.policy.request import isRequest

T = TypeVar("T")

# The client types that are refused once the first bytes are inspected.
_NOBODY: Collection[Signature] = frozenset()

POLICY_VIOLATION = 1008
"""
The code of WebSocket for a peer that may not do what it does.
"""


LIMITS = ("queue", "rate", "message")
"""
For what a connection is closed by a limit: more waits for it than may, it sends
more than it may, or one message that is too long.
"""


@implementer(IHalfCloseableProtocol)
class StreamProtocol(Protocol):
    """
    A protocol that owns its connection: its send queue is bounded, and it receives
    nothing while it has paused. Subclasses override L{bytesReceived}.

    @cvar maxQueue: maximum length of the send queue for a peer that does not read
        (bytes); 0 for no limit. The default is 2 MiB. It is for connections whose
        factory has no such limit.
    @ivar limits: the limits of the connection: those of the factory, and of the class.
    @ivar refused: the protocols whose clients are refused, for subclasses that
        call L{inspect}.
    """

    # Twisted has defaults for some of these in its classes. As slots they are found faster, and
    # take less memory.
    __slots__ = ("_mayBeRequest", "connected", "factory", "limits", "refused", "transport")

    transport: Connection
    factory: Any
    log = packageLogger()
    maxQueue = MAX_QUEUE
    limits: ConnectionLimits
    refused: Collection[Signature]
    _firstBytes: FirstBytes | None = None
    # Limits how long the first bytes are held.
    _detectionTimer: DetectionTimer | None = None
    # Whether the first message can be an HTTP request with a method that is not registered.
    _mayBeRequest: bool
    # Whether a handler has raised.
    _failed = False

    def __new__(cls, *args: object, **named: object) -> Self:
        """
        Make one that is not connected yet. Not in C{__init__}: Twisted's protocols have
        none, so those of programs do not call it.
        """
        self = super().__new__(cls)
        # As in all protocols of Twisted; a subclass may have something else in its class.
        _setConnected(self, 0)
        _setFactory(self, None)
        _setTransport(self, None)
        self.refused = _NOBODY
        self._mayBeRequest = False
        return self

    def makeConnection(self, transport: ITransport) -> None:
        """
        Own the connection.
        """
        if isinstance(self.factory, StreamFactory):
            self.limits = self.factory.limitsOf(type(self))
            self.refused = self.factory.refused
        else:
            self.limits = _limitsOf(cast("Any", type(self)))
        self.prepare()
        super().makeConnection(self.bindTransport(transport))

    def prepare(self) -> None:
        """
        Do nothing. Called with the limits before C{connectionMade}, for subclasses.
        """

    def bindTransport(self, transport: ITransport) -> Any:
        """
        Bind a transport; put a L{BufferedTransport} in front of one that cannot be
        bound.

        @param transport: the transport.
        @return: the connection, which becomes C{transport}.
        """
        if isinstance(transport, Connection) and transport.bind(self):
            return transport
        return BufferedTransport(transport, self)

    def transportChanged(self, connection: Connection) -> None:
        """
        Use another connection from now on.

        @param connection: the connection.
        """
        self.transport = connection

    @property
    def unprocessed(self) -> int:
        """
        The number of received bytes that this protocol holds. If there are any when TLS
        starts, the connection is aborted. Subclasses that hold more override this.
        """
        return 0 if self._firstBytes is None else len(self._firstBytes.received)

    def chunkReceived(self, data: bytes) -> None:
        """
        Process a chunk that the connection has held.

        @param data: the chunk.
        """
        self.bytesReceived(data)

    def dataReceived(self, data: bytes) -> None:
        """
        Process a chunk, and send what is written meanwhile. While this side does not
        read, the chunk is held. After this side has closed the connection, or a handler
        has raised, it is dropped: the reactor then ends the connection, but a TLS
        transport goes on with what it still has.
        """
        transport = self.transport
        if not transport.hasReceived:
            transport.hasReceived = True
        if not transport.reading or (
            transport.receiveBuffer is not None and not transport.delivering
        ):
            if not (transport.disconnecting or self._failed):
                transport.ensureBuffer().put(self.bytesReceived, (data,))
            return
        transport.work = 0
        try:
            if currentBatch.waiting is None:
                currentBatch.run(self.bytesReceived, data)
            else:
                self.bytesReceived(data)
        except BaseException:
            self._failed = True
            transport.dropReceived()
            raise

    def deliverEach(self, items: Sequence[T], receive: Callable[[T], object]) -> None:
        """
        Call a method with each item received, until this side is closing or stops
        reading. The rest is held until it reads again, so that a peer that does not
        read its answers gets no more of them. After C{MAX_WORK} items, the rest is held
        until other connections have been served.

        @param items: the items.
        @param receive: the method. An item that is a list counts as its length.
        """
        for number, item in enumerate(items):
            # An item can start TLS, and that changes it.
            transport = self.transport
            if not transport.reading:
                if not transport.disconnecting:
                    transport.ensureBuffer().putBack(receive, items[number:])
                return
            if not transport.hasReceived:
                # The items were received before TLS, which an item has started.
                transport.refusePlaintext()
                return
            if transport.work >= MAX_WORK:
                buffer = transport.ensureBuffer()
                buffer.putBack(receive, items[number:])
                buffer.yieldTurn()
                return
            receive(item)
            self.transport.work += len(item) if isinstance(item, list) else 1

    def spend(self, work: int) -> None:
        """
        Count further work for the message that is being handled, such as its
        receivers.

        @param work: in units of C{MAX_WORK}.
        """
        self.transport.work += work

    def postpone(self, item: T, receive: Callable[[T], object]) -> bool:
        """
        Hold the item that is being handled, and everything that was received after it,
        until L{unblockReading}, because the application cannot accept it. The protocol
        is not paused.

        @param item: the item.
        @param receive: the method that handles it.
        @return: whether it is held; C{False} once the connection is closing or lost.
        """
        transport = self.transport
        buffer = transport.receiveBuffer
        if transport.disconnecting or (buffer is not None and buffer.isEnding):
            return False
        buffer = transport.ensureBuffer()
        buffer.putBack(receive, (item,))
        buffer.block()
        return True

    def unblockReading(self) -> None:
        """
        Read and handle messages again. It is not an error if the connection is lost.
        """
        buffer = self.transport.receiveBuffer
        if buffer is not None:
            buffer.unblock()

    def getClock(self) -> IReactorTime:
        """
        Return the clock of the factory; the reactor if it has none.

        @return: the clock.
        """
        own = isinstance(self.factory, StreamFactory)
        return clockOrReactor(self.factory.clock if own else None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Handle what is held, see L{finishReading}.

        A subclass that overrides this must call it.
        """
        self.finishReading(reason)
        # Held first bytes of a client that has reset the connection are dropped.
        self._endInspection()
        super().connectionLost(reason)

    def finishReading(self, reason: Failure) -> None:
        """
        Handle the messages that are held so that others are served, when the connection
        is lost; after a reset they are dropped. A transport that is bound has done that
        before.

        @param reason: why the connection is lost.
        """
        buffer = self.transport.receiveBuffer
        if buffer is not None:
            buffer.deliverNow(drop=reason.check(ConnectionDone) is None)

    def bytesReceived(self, data: bytes) -> None:
        """
        Bytes came; override this.

        @param data: the bytes, cut as the network cut them.
        """
        raise NotImplementedError

    def inspect(self, data: bytes) -> bytes:
        """
        Check whether the connection begins with one of the C{refused} protocols.
        Such a client is answered, and the connection is closed. Bytes that do
        not decide yet are held, for 10 seconds at most; L{heldBytes} returns them at
        EOF.

        @param data: the received bytes, while C{refused} is not empty.
        @return: the bytes to process; C{refused} is empty then.
        """
        first = self._firstBytes or FirstBytes(self.refused)
        # A WebSocket is not TCP: its first bytes are those of a message.
        found = Signature.NONE if self.transport.preservesMessages else first.receive(data)
        if found is None:
            self._firstBytes = first
            if self._detectionTimer is None:
                self._detectionTimer = DetectionTimer(self.getClock(), DETECTION_TIMEOUT)
                self._detectionTimer.waitForDeadline(self._heldTooLong)
            return b""
        self._endInspection()
        if found is Signature.NONE:
            self._mayBeRequest = (
                Signature.HTTP in self.refused and not self.transport.preservesMessages
            )
            self.refused = _NOBODY
            return first.received or data
        self.refused = _NOBODY
        self._refuse(found)
        return b""

    def refusesRequest(self, message: bytes) -> bool:
        """
        Refuse the client if its first message is an HTTP request with a method
        that is not registered. L{inspect} cannot recognize it: it would have to
        hold the first word of every client.

        @param message: the first message.
        @return: whether the client is refused.
        """
        found, self._mayBeRequest = self._mayBeRequest and hasRequestLine(message), False
        if found:
            self._refuse(Signature.HTTP)
        return found

    def _refuse(self, signature: Signature) -> None:
        """
        Refuse a client of another protocol, and count it.
        """
        if isinstance(self.factory, StreamFactory):
            self.factory.foreign[signature.value] += 1
        refuse(self.transport, signature, REASONS[signature], self.log)

    def heldBytes(self) -> bytes:
        """
        Stop inspecting the first bytes. A client that has sent a policy request
        without its NUL byte is answered; one that has sent a part of an HTTP request
        is refused.

        @return: the bytes that L{inspect} holds, to be processed.
        """
        first, refused = self._firstBytes, self.refused
        self._endInspection()
        self.refused = _NOBODY
        if first is None or self.transport.disconnecting:
            return b""
        for signature, matches in ((Signature.POLICY, isRequest), (Signature.HTTP, isPartial)):
            if signature in refused and matches(first.received):
                self._refuse(signature)
                return b""
        return first.received

    def _endInspection(self) -> None:
        if self._firstBytes is not None:
            self._firstBytes = None
        if self._detectionTimer is not None:
            self._detectionTimer.cancel()
            self._detectionTimer = None

    def _heldTooLong(self) -> None:
        """
        Process the bytes that L{inspect} holds.
        """
        buffer = self.transport.receiveBuffer
        held = self.heldBytes()
        if buffer is not None:
            # They were received before everything that is held.
            buffer.putBack(self.bytesReceived, (held,))
            return
        try:
            self.dataReceived(held)
        except Exception:
            # The caller is not the reactor, which would end the connection.
            self.log.failure("unhandled error while serving {peer}", peer=self.describePeer())
            self.transport.abortConnection()

    def readConnectionLost(self) -> None:
        """
        The peer has closed its side: it gets what was written, and then this
        side is closed too.
        """
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Know that this side has been closed, as it wanted.
        """

    def sendQueueExceeded(self) -> None:
        """
        The peer has not read what it was sent, and the queue is at its limit:
        the connection is cut off.
        """
        self.log.warn(
            "{peer} cut off: it does not read, and over {limit} bytes wait for it",
            peer=self.describePeer(),
            limit=self.limits.maxQueue,
        )
        self.limitExceeded("queue")
        self.transport.abortConnection()

    def queueDropped(self, chunks: list[bytes], sent: int) -> None:
        """
        Call L{sendQueueDropped} with the unsent bytes.

        @param chunks: the chunks that were not sent completely.
        @param sent: the number of bytes of the first chunk that were sent.
        """
        chunks[0] = chunks[0][sent:]
        self.sendQueueDropped(chunks)

    def sendQueueDropped(self, chunks: list[bytes]) -> None:
        """
        Called when the connection ends before everything was sent that was written.
        Bytes count as sent once the kernel has accepted them; over TLS and foreign
        transports, once the transport has accepted them.

        @param chunks: all unsent bytes, in order. The first chunk may be the rest of a
            write that was sent in part; small writes may have been joined. On a
            WebSocket, the payload of each message that was not sent completely, as it
            is in its frame.
        """

    @property
    def labels(self) -> Mapping[str, str]:
        """
        Names by which operators know the client (default: none).
        """
        return {}

    def disconnectedByOperator(self) -> None:
        """
        Do nothing. Called before an operator closes the connection.
        """

    def limitExceeded(self, limit: str) -> None:
        """
        Have the factory count that this connection is closed by a limit.

        @param limit: one of L{LIMITS}.
        """
        if isinstance(self.factory, StreamFactory):
            self.factory.cut[limit] += 1

    def closeFor(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        Close the connection because of what the peer has done, with a line in
        the log. A WebSocket is told why.

        @param reason: why, in words.
        @param code: the same as a code of WebSocket (RFC 6455, 7.4).
        """
        self.log.warn("{peer} closed: {reason}", peer=self.describePeer(), reason=reason)
        self.closeWith(code, reason)

    def closeWith(self, code: int, reason: str) -> None:
        """
        Close the connection. On a WebSocket, the Close frame contains the reason.

        @param code: the reason as a code of WebSocket (RFC 6455, 7.4).
        @param reason: the reason in words.
        """
        self.transport.setCloseReason(code, reason)
        self.transport.loseConnection()

    def describePeer(self) -> str:
        """
        Name the other side for a log line.
        """
        return describe(self.transport.getPeer())


_slots: Any = StreamProtocol
_setConnected = _slots.connected.__set__
_setFactory = _slots.factory.__set__
_setTransport = _slots.transport.__set__

P = TypeVar("P", bound=StreamProtocol)

# The attributes of protocols that are not called as the limit is; this is that of LineReceiver.
_ATTRIBUTES = {"maxLength": "MAX_LENGTH"}


@lru_cache(maxsize=256)
def _limitsOf(protocol: type) -> ConnectionLimits:
    """
    Return the limits that a class of protocols has as attributes.
    """
    names = {name: _ATTRIBUTES.get(name, name) for name in ConnectionLimits._fields}
    return ConnectionLimits(**{name: getattr(protocol, names[name], 0) for name in names})


class StreamFactory(Factory[P]):
    """
    Makes protocols. The limits of the factory come before those of their class.

    @ivar given: the limits of the factory, by their names in L{ConnectionLimits}.
    @ivar refused: the protocols whose clients are refused.
    @ivar cut: how many connections have been closed by a limit, by its name in
        L{LIMITS}.
    @ivar foreign: number of connections closed because the client spoke another
        protocol, by the value of its L{Signature}.
    @ivar clock: the clock; C{None} for the reactor.
    """

    noisy = False
    clock: IReactorTime | None = None
    refused: Collection[Signature] = _NOBODY

    def __init__(self, protocol: Callable[[], P], **limits: float | None) -> None:
        """
        @param protocol: makes a protocol.
        @param limits: limits of the connections by their names in L{ConnectionLimits}; one that
            is C{None} is that of the protocol's class.
        """
        self.protocol = protocol
        self.cut = dict.fromkeys(LIMITS, 0)
        self.foreign = {signature.value: 0 for signature in FOREIGN}
        self.given = {name: limit for name, limit in limits.items() if limit is not None}
        self._limits: tuple[type | None, ConnectionLimits] = (None, NO_LIMITS)

    def limitsOf(self, protocol: type[StreamProtocol]) -> ConnectionLimits:
        """
        Return the limits of a protocol; all protocols of a class share one object.

        @param protocol: the class of the protocol.
        @return: the limits.
        """
        known, limits = self._limits
        if known is not protocol:
            limits = _limitsOf(cast("Any", protocol))._replace(**cast("dict[str, Any]", self.given))
            self._limits = (protocol, limits)
        return limits
