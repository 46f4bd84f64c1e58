"""
Base classes of the stream protocols of this package and of their factories.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from functools import lru_cache, wraps
from inspect import Signature as CallSignature
from inspect import isasyncgenfunction, iscoroutinefunction, isfunction, isgeneratorfunction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Self, TypeVar, cast
from weakref import WeakSet

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.coroutines import (
    HandlerResult,
    RunningHandler,
    isCancellation,
    startHandler,
)
from openfl_twisted.logs import LATE_TIMEOUT, logHandlerError, logLateHandler, packageLogger
from openfl_twisted.overrides import (
    checkParameters,
    isOwn,
    startMethod,
    warnCaller,
    warnOfMethods,
)
from openfl_twisted.protocols.foreign import REASONS, FirstBytes, refuse
from openfl_twisted.similar import misspellingOf, similarTo
from openfl_twisted.transports.buffered import MAX_QUEUE, BufferedTransport
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.detectiontimer import DETECTION_TIMEOUT, DetectionTimer
from openfl_twisted.transports.fanout import (
    MAX_FAN_OUT,
    RECEIVER_WORK,
    WRITE_WORK,
    FanOutQueue,
)
from openfl_twisted.transports.keepalive import canHangUp, loseIfHungUp
from openfl_twisted.transports.limits import NO_LIMITS, ConnectionLimits, checkLimit
from openfl_twisted.transports.lowest import clockOf, lowestTransport
from openfl_twisted.transports.receivebuffer import MAX_WORK
from openfl_twisted.transports.writebatch import currentBatch
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.firstbytes import FOREIGN, Signature, isPartial
from openfl_twisted.wire.httprequest import hasRequestLine
from openfl_twisted.wire.policy.request import isRequest

_T = TypeVar("_T")

# The methods that are called by transports, which do not wait for a coroutine.
_SYNCHRONOUS = {
    "connectionLost",
    "dataReceived",
    "lineLengthExceeded",
    "makeConnection",
    "readConnectionLost",
    "sendQueueDropped",
    "sendQueueExceeded",
    "writeConnectionLost",
}

# The names of methods that are called when something has happened.
_callback = re.compile(r"[a-z][A-Za-z]*(ed|Made|Lost|ByOperator)|joinRoom")

# The class attributes that set a limit under another name, as in LineReceiver.
_ATTRIBUTES = {"maxLength": "MAX_LENGTH"}

# The classes whose handlers have returned something that was ignored, and logged.
_warned: "WeakSet[type]" = WeakSet()

# The value of "refused" if no protocol is refused.
_NONE: Collection[Signature] = frozenset()

INTERNAL_ERROR = 1011
"""
The WebSocket close code after an unhandled exception of this side.
"""

POLICY_VIOLATION = 1008
"""
The WebSocket close code for a peer that violates a limit or a rule.
"""

MESSAGE_NAMES = "_openflMessageNames"
"""
The attribute of a function that L{openfl_twisted.dispatch.handler} has decorated. Its value
contains the names of the messages.
"""

_HANG_UP_INTERVAL = 5.0
"""
Time between two checks for a lost connection while an asynchronous handler runs: 5 seconds.
"""

LIMITS = ("queue", "rate", "message")
"""
The limits that can disconnect a peer: the length of its send queue, the rate of its messages
and bytes, and the length of a message.
"""


@implementer(IHalfCloseableProtocol)
class StreamProtocol(Protocol):
    """
    A protocol with a limited send queue. While the protocol is paused, it receives no data.
    Subclasses override L{bytesReceived}.

    @cvar maxQueue: maximum length of the send queue for a slow peer (bytes; default 2 MiB; 0
        for no limit). A limit set by the factory takes precedence.
    @ivar limits: the limits of the connection, from its factory and its class.
    @ivar refused: the protocols whose clients are refused, for subclasses that call
        L{inspect}.
    """

    # Slots are faster than Twisted's class attributes, and save memory.
    __slots__ = ("_mayBeRequest", "connected", "factory", "limits", "refused", "transport")

    transport: Connection
    factory: Any
    log = packageLogger()
    # The methods for received data, one of which a subclass must override.
    _handlerNames: ClassVar[tuple[str, ...]] = ("bytesReceived",)
    # The class attributes that a subclass can set, except the limits.
    _settingNames: ClassVar[tuple[str, ...]] = ()
    # Whether the class calls the methods that the decorator handler marks.
    _dispatches = False
    maxQueue = MAX_QUEUE
    limits: ConnectionLimits
    refused: Collection[Signature]
    # The factory that errors suggest to users.
    _factoryName = "Factory.forProtocol"
    _firstBytes: FirstBytes | None = None
    # The timeout for inspecting the first bytes.
    _detectionTimer: DetectionTimer | None = None
    # Whether the first message can be an HTTP request with an unregistered method.
    _mayBeRequest: bool
    # Whether connectionLost was called.
    _isLost = False
    # The asynchronous handlers that are running; usually at most one.
    _running: tuple[RunningHandler, ...] = ()
    # The timer of the next check of the running handlers and of the connection. It can expire after
    # the handlers.
    _handlerTimer: IDelayedCall | None = None
    # The running handlers at the last check, and the time of their first check; None after a
    # warning.
    _checked: Mapping[RunningHandler, float | None] = MappingProxyType({})
    # The messages that are being sent to many receivers.
    _fanOuts: FanOutQueue | None = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        """
        Check the methods of the subclass. A method whose name is a misspelling of a method that
        is called when something happens, such as C{conectionMade}, is a warning.

        @raise TypeError: if a method that must not be a coroutine function is one, a handler
            is a generator, a method has the wrong parameters, or a limit is not a number.
        @raise ValueError: if a limit is negative.
        """
        super().__init_subclass__(**keywords)
        inherited = [vars(base) for base in cls.__mro__[1:]]
        # A missing handler raises an exception when the factory is created.
        callbacks = [
            name
            for each in inherited
            for name, value in each.items()
            if isfunction(value) and name not in cls._handlerNames and _callback.fullmatch(name)
        ]
        warnOfMethods(cls, lambda name: misspellingOf(name, callbacks))
        for name in vars(cls).keys() & {*cls._handlerNames}:
            if isgeneratorfunction(vars(cls)[name]) or isasyncgenfunction(vars(cls)[name]):
                raise TypeError(
                    f"{cls.__name__}.{name} is a generator function, and its body would not run:"
                    " use async def without yield, or decorate it with inlineCallbacks"
                )
        for name in _SYNCHRONOUS:
            # The method can be inherited from another class of the application.
            if iscoroutinefunction(getattr(cls, name, None)):
                raise TypeError(
                    f"{cls.__name__}.{name} cannot be a coroutine function: start a coroutine"
                    " in it with Deferred.fromCoroutine"
                )
        checkParameters(cls, cls._isCalled)
        _checkSettings(cls)
        lost = cls.connectionLost
        if isfunction(lost) and not (isOwn(lost) or lost in _completed):
            cls.connectionLost = _complete(lost)  # type: ignore[method-assign]

    @classmethod
    def _isCalled(cls, name: str, method: object) -> bool:
        """
        Return whether a method is called when something happens. The handler of a message is
        not such a method.
        """
        isNamed = name in cls._handlerNames or _callback.fullmatch(name) is not None
        return isNamed and not hasattr(method, MESSAGE_NAMES)

    @classmethod
    def checkHandlers(cls) -> None:
        """
        Check the handlers of the class. This is called when a factory is created.

        @raise TypeError: if a method is a handler, but is never called.
        """
        if cls._dispatches:
            return
        for base in cls.__mro__:
            for name, value in vars(base).items():
                if isfunction(value) and hasattr(value, MESSAGE_NAMES):
                    raise TypeError(
                        f"{cls.__name__}.{name} is a handler, but {cls.__name__} does not call"
                        " handlers: make it a subclass of XMLDispatchProtocol or"
                        " JSONDispatchProtocol"
                    )

    @classmethod
    def doStart(cls) -> NoReturn:
        """
        Called by Twisted when the class is passed instead of a factory.

        @raise TypeError: always.
        """
        raise TypeError(
            f"{cls.__name__} is a protocol, but a factory is needed: pass"
            f" {cls._factoryName}({cls.__name__})"
        )

    def __new__(cls, *args: object, **named: object) -> Self:
        """
        Set the attributes. They are not set in C{__init__}, because subclasses need not call
        C{__init__}: Twisted's C{Protocol} does not define it.
        """
        self = super().__new__(cls)
        # A subclass can define class attributes with the names of these slots.
        _setConnected(self, 0)
        _setFactory(self, None)
        _setTransport(self, None)
        self.refused = _NONE
        self._mayBeRequest = False
        return self

    if TYPE_CHECKING:
        # Coroutine functions can override it, but Twisted requires the type None.
        def connectionMade(self) -> Any:
            """
            Called when the connection is established. It can be a coroutine function.
            """

    def makeConnection(self, transport: ITransport) -> None:
        """
        Bind the transport, and call C{connectionMade}.
        """
        if isinstance(self.factory, StreamFactory):
            self.limits = self.factory.limitsOf(type(self))
            self.refused = self.factory.refused
        else:
            self.limits = _limitsOf(cast("Any", type(self)))
        # The rate limit can need the clock of the transport.
        self.transport = cast("Connection", transport)
        self.prepare()
        self.connected = 1
        self.transport = self.bindTransport(transport)
        try:
            # The result is not None if a subclass defines the method as a coroutine.
            result: object = self.connectionMade()
            if result is not None:
                self.handlerReturned(result)
        except Exception:
            self.handlerFailed(Failure())

    def prepare(self) -> None:
        """
        Called when the limits are known, before C{connectionMade}. The default does nothing.
        """

    def bindTransport(self, transport: ITransport) -> Any:
        """
        Bind a transport, or wrap it in a L{BufferedTransport}.

        @return: the connection to use as C{transport}.
        """
        if isinstance(transport, Connection) and transport.bind(self):
            return transport
        return BufferedTransport(transport, self)

    def transportChanged(self, connection: Connection) -> None:
        """
        Called when TLS has started: use C{connection}, which encrypts the data, as the
        transport.
        """
        before = self.transport.receiveBuffer
        self.transport = connection
        if before is not None:
            for _ in range(before.holds):
                connection.ensureBuffer().hold()
                before.release()

    @property
    def unprocessed(self) -> int:
        """
        Number of received bytes that this protocol holds unprocessed. If the number is not 0
        when TLS starts, the connection is aborted. Subclasses that hold more data override
        this property.
        """
        return 0 if self._firstBytes is None else len(self._firstBytes.received)

    def chunkReceived(self, data: bytes) -> None:
        """
        Process a chunk from the receive buffer.
        """
        result = self.bytesReceived(data)
        if result is not None:
            self.handlerReturned(result)

    def dataReceived(self, data: bytes) -> None:
        """
        Process a chunk in a write batch. While the protocol is paused or an asynchronous
        handler is running, the chunk is held. The chunk is dropped if this side has closed the
        connection.
        """
        transport = self.transport
        if not transport.hasReceived:
            transport.hasReceived = True
        if not transport.reading or (
            transport.receiveBuffer is not None and not transport.delivering
        ):
            if not transport.disconnecting:
                transport.ensureBuffer().put(self.bytesReceived, (data,))
            return
        transport.work = 0
        try:
            if currentBatch.waiting is None:
                result = currentBatch.run(self.bytesReceived, data)
            else:
                result = self.bytesReceived(data)
            if result is not None:
                self.handlerReturned(result)
        except Exception:
            self.handlerFailed(Failure())

    def deliverEach(self, items: Sequence[_T], receive: Callable[[_T], object]) -> None:
        """
        Call a method with each received item. If the method pauses reading, the remaining
        items are held until reading is resumed. If it closes the connection, the remaining
        items are dropped. After C{MAX_WORK} items, the remaining items are held until other
        connections have been served.

        @param items: the items, of one type. For C{MAX_WORK}, a list counts as the number of its
            elements.
        @param receive: the method to call.
        """
        areLists = bool(items) and isinstance(items[0], list)
        for number, item in enumerate(items):
            # An item can start TLS, which changes the transport.
            transport = self.transport
            if not transport.reading or not transport.hasReceived or transport.work >= MAX_WORK:
                self._deliverLater(items[number:], receive)
                return
            result = receive(item)
            transport.work += len(cast("Sized", item)) if areLists else 1
            if result is not None:
                self.handlerReturned(result)

    def _deliverLater(self, items: Sequence[_T], receive: Callable[[_T], object]) -> None:
        """
        Hold the items that L{deliverEach} cannot deliver now.
        """
        transport = self.transport
        if not transport.reading:
            if not transport.disconnecting:
                transport.ensureBuffer().putBack(receive, items)
        elif not transport.hasReceived:
            # A previous item has started TLS, but the remaining items were received in plaintext.
            transport.refusePlaintext()
        else:
            buffer = transport.ensureBuffer()
            buffer.putBack(receive, items)
            buffer.yieldTurn()

    # Asynchronous handlers

    def handlerReturned(self, result: object) -> bool:
        """
        Called with the result of a handler, unless the result is C{None}. If the handler is a
        coroutine function or has returned a Deferred, no data is delivered, and reading is
        paused, until the handler has ended. The handler is cancelled when the connection is
        lost.

        @return: whether the handler is running.
        """
        handler = startHandler(result)
        if handler is None:
            self._warnOfResult(result)
            return False
        if not handler.isRunning:
            handler.deferred.addErrback(self.handlerFailed)
            return False
        self._running += (handler,)
        self._holdReading()
        if self._handlerTimer is None and not self._isLost:
            self._startHandlerTimer()
        handler.deferred.addErrback(self._asyncFailed)
        handler.deferred.addCallback(self._handlerEnded, handler)
        if self._isLost:
            handler.cancel(self.getClock())
        return True

    def _warnOfResult(self, result: object) -> None:
        """
        Log the first result of a class that is neither a coroutine nor a Deferred.
        """
        cls = type(self)
        if cls not in _warned:
            _warned.add(cls)
            self.log.warn(
                "a handler of {name} has returned {result}, which is ignored: to send it, call a"
                " method such as sendMessage",
                name=cls.__name__,
                result=f"{result!r:.80}",
            )

    def _asyncFailed(self, reason: Failure) -> None:
        """
        Handle the error of an asynchronous handler. A handler that ends because it was
        cancelled has no error.
        """
        if not (self._isLost and isCancellation(reason)):
            self.handlerFailed(reason)

    def _handlerEnded(self, result: object, handler: RunningHandler) -> None:
        self._running = tuple(each for each in self._running if each is not handler)
        if self._isLost:
            return
        currentBatch.run(self.handlerFinished)
        self._releaseReading()

    def _startHandlerTimer(self) -> None:
        """
        Start the timer of the next check. A transport without a reactor, such as a test double,
        has no timer.
        """
        interval = LATE_TIMEOUT
        if canHangUp(self.transport):
            interval = _HANG_UP_INTERVAL
        elif not hasattr(lowestTransport(self.transport), "reactor"):
            return
        self._handlerTimer = self.getClock().callLater(interval, self._checkHandlers)

    def _checkHandlers(self) -> None:
        """
        Warn if a handler has run for a long time. Check whether the connection is lost, because
        the reactor does not report this while reading is paused. The timer expires even if its
        handler has ended, because starting a timer for each handler is slow.
        """
        self._handlerTimer = None
        now = self.getClock().seconds()
        checked = {handler: self._checked.get(handler, now) for handler in self._running}
        for handler, since in checked.items():
            if since is not None and now - since >= LATE_TIMEOUT:
                checked[handler] = None
                logLateHandler(self.log, handler, type(self), self.describePeer())
        self._checked = checked
        if self._running:
            self._startHandlerTimer()
            loseIfHungUp(self.transport)

    def _stopHandlerTimer(self) -> None:
        timer, self._handlerTimer = self._handlerTimer, None
        if timer is not None and timer.active():
            timer.cancel()

    def handlerFinished(self) -> None:
        """
        Called when an asynchronous handler has ended, before further data is delivered. The
        default does nothing.
        """

    def handlerFailed(self, reason: Failure) -> None:
        """
        Log an exception that a handler has raised, and close the connection. Written data is
        sent. On a WebSocket, the close code is 1011.

        @param reason: the exception.
        """
        logHandlerError(self.log, reason, self.transport.getPeer())
        self.closeWith(INTERNAL_ERROR, "")

    def spend(self, work: int) -> None:
        """
        Count additional work for the message being handled, such as sending the message to
        many recipients.

        @param work: the number of messages to count, see C{MAX_WORK}.
        """
        self.transport.work += work

    def countFanOut(self, receivers: int, length: int) -> bool:
        """
        Count the work of sending a message to several receivers.

        @param receivers: the number of receivers.
        @param length: the length of the message (bytes).
        @return: whether the message must be sent with L{fanOut}, because it takes too long to
            send it in one call, or because an earlier message was not sent to all receivers yet.
        """
        if receivers * (RECEIVER_WORK + length) > MAX_FAN_OUT or (
            self._fanOuts is not None and self._fanOuts.isBlocked
        ):
            return True
        self.transport.work += receivers * (WRITE_WORK + length) * MAX_WORK // MAX_FAN_OUT
        return False

    def fanOut(self, receivers: Iterable[_T], send: Callable[[_T], object], length: int) -> None:
        """
        Send a message from this peer to many receivers, in several reactor iterations. In the
        meantime, no further messages are received from this peer.

        @param receivers: the receivers.
        @param send: sends the message to a receiver. It must do nothing if the receiver has
            disconnected.
        @param length: the length of the message (bytes).
        """
        if self._fanOuts is None:
            self._fanOuts = FanOutQueue(self.getClock(), self._holdReading, self._releaseReading)
        self._fanOuts.fanOut(receivers, send, length)

    def _holdReading(self) -> None:
        """
        Hold received data until L{_releaseReading} is called.
        """
        if not (self._isLost or self.transport.disconnecting):
            self.transport.ensureBuffer().hold()

    def _releaseReading(self) -> None:
        buffer = self.transport.receiveBuffer
        if buffer is not None:
            buffer.release()

    def postpone(self, item: _T, receive: Callable[[_T], object]) -> bool:
        """
        Hold the item being handled, and all data received after it, until
        L{unblockReading}. The protocol is not paused.

        @param receive: the method to call with the item later.
        @return: whether the item is held; C{False} if the connection is closing or lost.
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
        Resume delivery after L{postpone}. Does nothing if the connection is lost.
        """
        buffer = self.transport.receiveBuffer
        if buffer is not None:
            buffer.unblock()

    def getClock(self) -> IReactorTime:
        """
        Return the clock of the factory. If the factory has no clock, return the reactor of the
        transport.
        """
        own = isinstance(self.factory, StreamFactory)
        clock = self.factory.clock if own else None
        return clockOf(self.transport) if clock is None else clock

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Handle the messages that are held, see C{finishReading}, and cancel a running
        handler. If an override does not call this method with C{super}, it is called after the
        override.
        """
        self.finishReading(reason)
        self._endInspection()
        self._stopHandlerTimer()
        self._isLost = True
        for handler in self._running:
            handler.cancel(self.getClock())
        super().connectionLost(reason)

    def finishReading(self, reason: Failure) -> None:
        """
        Called when the connection is lost. Handles the messages that were held while other
        connections were served. After a reset, these messages are dropped. If the
        transport needs no L{BufferedTransport}, see L{bindTransport}, it has already handled or
        dropped the messages before this call.

        @param reason: why the connection is lost.
        """
        buffer = self.transport.receiveBuffer
        if buffer is not None:
            buffer.deliverNow(drop=reason.check(ConnectionDone) is None)

    def bytesReceived(self, data: bytes) -> HandlerResult:
        """
        Called with each received chunk. Subclasses override this method.

        @param data: the chunk, of any length.
        """
        raise missingHandler(self)

    def inspect(self, data: bytes) -> bytes:
        """
        Check whether the connection begins with one of the C{refused} protocols. If so, the
        client is answered in its protocol, and the connection is closed. While more bytes are
        needed to decide, the received bytes are held, for at most 10 seconds. At EOF,
        L{heldBytes} returns the held bytes.

        @param data: the received bytes. Call this method only while C{refused} is not empty.
        @return: the bytes to process; empty while bytes are held. When the check is complete,
            C{refused} is empty.
        """
        first = self._firstBytes or FirstBytes(self.refused)
        # On a WebSocket, nothing is detected: the first bytes belong to a WebSocket message.
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
            self.refused = _NONE
            return first.received or data
        self.refused = _NONE
        self._refuse(found)
        return b""

    def refusesRequest(self, message: bytes) -> bool:
        """
        Refuse the client if its first message is an HTTP request with an unregistered method.
        L{inspect} does not detect such a request, because it would have to hold back the
        first word from every client.

        @return: whether the client is refused.
        """
        found, self._mayBeRequest = self._mayBeRequest and hasRequestLine(message), False
        if found:
            self._refuse(Signature.HTTP)
        return found

    def _refuse(self, signature: Signature) -> None:
        """
        Refuse a client that uses another protocol, and count the connection.
        """
        if isinstance(self.factory, StreamFactory):
            self.factory.foreign[signature.value] += 1
        refuse(self.transport, signature, REASONS[signature], self.log)

    def heldBytes(self) -> bytes:
        """
        Stop inspecting the first bytes. A client that has sent a policy request without its
        NUL byte is answered. A client that has sent part of an HTTP request is refused.

        @return: the bytes held by L{inspect}, to be processed.
        """
        first, refused = self._firstBytes, self.refused
        self._endInspection()
        self.refused = _NONE
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
        Process the bytes held by L{inspect}. Called when the timeout of the inspection
        expires.
        """
        buffer = self.transport.receiveBuffer
        held = self.heldBytes()
        if buffer is not None:
            # Put the held bytes before the contents of the buffer, because they were received
            # first.
            buffer.putBack(self.bytesReceived, (held,))
            return
        self.dataReceived(held)

    def readConnectionLost(self) -> None:
        """
        Called at EOF: send the queue, and close the connection.
        """
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        pass

    def sendQueueExceeded(self) -> None:
        """
        Abort the connection. Called when the send queue exceeds its limit.
        """
        self.log.warn(
            "{peer} disconnected: send queue exceeded {limit} bytes",
            peer=self.describePeer(),
            limit=self.limits.maxQueue,
        )
        self.limitExceeded("queue")
        self.transport.abortConnection()

    def queueDropped(self, chunks: list[bytes], sent: int) -> None:
        """
        Call L{sendQueueDropped} with the unsent data.

        @param chunks: the chunks that were not sent completely.
        @param sent: the number of bytes already sent from the first chunk.
        """
        chunks[0] = chunks[0][sent:]
        self.sendQueueDropped(chunks)

    def sendQueueDropped(self, chunks: list[bytes]) -> None:
        """
        Called when the connection ends with data in the send queue. Data counts as sent when
        the kernel has accepted it. Over TLS, or over a transport from another package, data
        counts as sent when that transport has accepted it.

        @param chunks: all unsent data, in order. The first chunk may be the rest of a partly
            sent write, and a chunk may contain several small writes. On a WebSocket, each
            chunk is the encoded payload of a message that was not sent completely.
        """

    @property
    def labels(self) -> Mapping[str, str]:
        """
        Labels that identify the client on the dashboard (default: no labels).
        """
        return {}

    def disconnectedByOperator(self) -> None:
        """
        Called before the client is disconnected by an operator. The default does nothing.
        """

    def limitExceeded(self, limit: str) -> None:
        """
        Count a connection that is closed because of a limit.

        @param limit: one of L{LIMITS}.
        """
        if isinstance(self.factory, StreamFactory):
            self.factory.cut[limit] += 1

    def closeFor(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        Disconnect the peer, and log why. On a WebSocket, the Close frame contains the
        reason.

        @param code: the WebSocket close code (RFC 6455, 7.4).
        """
        self.log.warn("{peer} disconnected: {reason}", peer=self.describePeer(), reason=reason)
        self.closeWith(code, reason)

    def closeWith(self, code: int, reason: str) -> None:
        """
        Close the connection. On a WebSocket, the Close frame contains the reason.

        @param code: the WebSocket close code (RFC 6455, 7.4).
        """
        self.transport.setCloseReason(code, reason)
        self.transport.loseConnection()

    def describePeer(self) -> str:
        """
        Return the address of the peer, for log lines.
        """
        return describe(self.transport.getPeer())


def _checkSettings(cls: type[StreamProtocol]) -> None:
    """
    Check the limits that a new protocol class sets. A misspelt limit or other setting is a warning.

    @raise TypeError: if a limit is not a number.
    @raise ValueError: if a limit is negative.
    """
    fields = ConnectionLimits._fields
    limits = [
        name for name in (_ATTRIBUTES.get(each, each) for each in fields) if hasattr(cls, name)
    ]
    settings = {name for base in cls.__mro__ for name in vars(base).get("_settingNames", ())}
    for name, value in vars(cls).items():
        if name in limits:
            checkLimit(f"{cls.__name__}.{name}", value)
        elif not (name.startswith("_") or isfunction(value)):
            right = misspellingOf(name, [*limits, *sorted(settings)])
            if right is not None:
                warnCaller(f"{cls.__name__}.{name} is not used: did you mean {right}?")


# The overrides of connectionLost that _complete has created.
_completed: "WeakSet[Callable[..., None]]" = WeakSet()


def _complete(override: Callable[..., None]) -> Callable[..., None]:
    """
    Wrap an override of C{connectionLost}. If it does not call the method of this package with
    C{super}, or raises an exception before, that method is called after it. Otherwise, the
    connection would stay in the factory and in its room, and its handlers would not be cancelled.
    """

    @wraps(override)
    def connectionLost(self: StreamProtocol, reason: Failure = connectionDone) -> None:
        try:
            override(self, reason)
        finally:
            # A protocol without a transport was never connected.
            if not self._isLost and self.transport is not None:
                methods = (vars(base).get("connectionLost") for base in type(self).__mro__)
                own: Any = next(method for method in methods if isOwn(method))
                own(self, reason)

    _completed.add(connectionLost)
    return connectionLost


def _describeMissing(cls: type) -> tuple[str, bool]:
    """
    Describe the handlers that a protocol class must override.

    @return: the description, and whether the class defines a similar name.
    """
    names: Sequence[str] = cls._handlerNames  # type: ignore[attr-defined]
    text = f"{cls.__name__} must override {' or '.join(names)}"
    inherited = {name for base in cls.__mro__[1:] for name in vars(base)}
    own = vars(cls).keys() - inherited - {*names}
    for name in names:
        similar = similarTo(name, own, 0.8)
        if similar:
            return f"{text}; it defines {similar}, did you mean {name}?", True
    return text, False


def missingHandler(protocol: object) -> NotImplementedError:
    """
    Create the error of a protocol that does not override a handler. If the class defines a
    method with a similar name, the error suggests the right name.

    @param protocol: the protocol.
    @return: the error.
    """
    return NotImplementedError(_describeMissing(type(protocol))[0])


_slots: Any = StreamProtocol
_setConnected = _slots.connected.__set__
_setFactory = _slots.factory.__set__
_setTransport = _slots.transport.__set__

_P = TypeVar("_P", bound=StreamProtocol)


@lru_cache(maxsize=256)
def _limitsOf(protocol: type) -> ConnectionLimits:
    """
    Return the limits that are set by the class attributes of a protocol.
    """
    names = {name: _ATTRIBUTES.get(name, name) for name in ConnectionLimits._fields}
    return ConnectionLimits(**{name: getattr(protocol, names[name], 0) for name in names})


# Methods that replace the handlers of a subclass.
_ALTERNATIVES = ("dataReceived", "lineReceived")


def _isHandling(cls: type[StreamProtocol]) -> bool:
    """
    Check whether a protocol class overrides one of its handlers.
    """
    base = next(each for each in cls.__mro__ if "_handlerNames" in vars(each))
    names = (*cls._handlerNames, *_ALTERNATIVES)
    return any(getattr(cls, name, None) is not getattr(base, name, None) for name in names)


def checkApplication(cls: type[StreamProtocol]) -> None:
    """
    Check that a protocol class is complete: it handles received data, and is created without
    arguments.

    @param cls: the class.
    @raise TypeError: if it is not.
    """
    if not cls._dispatches:
        # Otherwise, the only result is a warning, which the factory logs.
        cls.checkHandlers()
    if not _isHandling(cls):
        raise TypeError(_describeMissing(cls)[0])
    create: Any = cls.__init__
    if isfunction(create):
        try:
            CallSignature.from_callable(create).bind(None)
        except TypeError as problem:
            raise TypeError(
                f"{cls.__name__} is created without arguments, but its __init__ requires"
                f" arguments: {problem}"
            ) from None


def _checkProtocol(factory: object, protocol: Any) -> None:
    """
    Check the protocol of a factory.

    @raise TypeError: if it cannot create protocols, or is a class with a misspelt handler or a
        handler that is never called.
    """
    isClass = isinstance(protocol, type)
    if not callable(protocol) or (isClass and not issubclass(protocol, Protocol)):
        name = type(factory).__name__
        raise TypeError(
            f"{name} needs a protocol class, such as your subclass of"
            f" {name.replace('Factory', 'Protocol')}, not {protocol!r:.80}"
        )
    if isClass and issubclass(protocol, StreamProtocol):
        protocol.checkHandlers()
        if not _isHandling(protocol):
            text, isMisspelt = _describeMissing(protocol)
            if isMisspelt:
                raise TypeError(text)


def _settingFactory(build: Callable[..., Any]) -> Callable[..., Any]:
    """
    Wrap an override of C{buildProtocol}. If it does not set the attribute C{factory} of the
    protocol, which Twisted's method sets, this is done.
    """

    @wraps(build)
    def buildProtocol(self: StreamFactory[Any], addr: Any) -> Any:
        protocol = build(self, addr)
        if isinstance(protocol, StreamProtocol) and protocol.factory is None:
            protocol.factory = self
        return protocol

    return buildProtocol


class StreamFactory(Factory[_P]):
    """
    Base class of factories. The factory's limits override the limits of the protocol's class.

    @ivar given: the limits of the factory, by their names in L{ConnectionLimits}.
    @ivar refused: the protocols whose clients are refused.
    @ivar cut: number of connections closed by each of L{LIMITS}.
    @ivar foreign: number of connections closed because the client used another
        protocol, by the value of its L{Signature}.
    @ivar clock: the clock; C{None} for the reactor of each connection.
    """

    noisy = False
    clock: AnyClock | None = None
    refused: Collection[Signature] = _NONE

    def __init__(self, protocol: Callable[[], _P], **limits: float | None) -> None:
        """
        @param limits: limits of the connections, by their names in L{ConnectionLimits};
            C{None} for the limit of the protocol's class.
        """
        _checkProtocol(self, protocol)
        for name, limit in limits.items():
            if limit is not None:
                checkLimit(name, limit)
        self.protocol = protocol
        self.cut = dict.fromkeys(LIMITS, 0)
        self.foreign = {signature.value: 0 for signature in FOREIGN}
        self.given = {name: limit for name, limit in limits.items() if limit is not None}
        self._limits: tuple[type | None, ConnectionLimits] = (None, NO_LIMITS)

    def __init_subclass__(cls, **keywords: Any) -> None:
        """
        Complete an override of C{buildProtocol} that does not set the attribute C{factory}.
        """
        super().__init_subclass__(**keywords)
        build = vars(cls).get("buildProtocol")
        if isfunction(build) and not isOwn(build):
            cls.buildProtocol = _settingFactory(build)  # type: ignore[method-assign]

    @startMethod
    def doStart(self) -> None:
        """
        Called by Twisted when a port is opened.

        @raise TypeError: if a subclass overrides C{__init__}, but does not call it with C{super}.
        """
        if "given" not in vars(self):
            name = type(self).__name__
            raise TypeError(f"{name}.__init__ must call super().__init__(YourProtocol)")
        super().doStart()

    def limitsOf(self, protocol: type[StreamProtocol]) -> ConnectionLimits:
        """
        Return the limits of a protocol class. All protocols of the class share this object.
        """
        known, limits = self._limits
        if known is not protocol:
            limits = _limitsOf(cast("Any", protocol))._replace(**cast("dict[str, Any]", self.given))
            self._limits = (protocol, limits)
        return limits
