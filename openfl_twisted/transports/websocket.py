"""
An open WebSocket as a connection, which a protocol uses like a TCP connection.

A WebSocket has no send queue of its own: the WebSocket is the owner of the underlying
connection, whose send queue contains the frames. In addition to the states of a connection, a
WebSocket has these stages:

  - B{opening}: the request head is incomplete, see
    L{openfl_twisted.protocols.websocket}.
  - B{open}: messages are sent and received.
  - B{Close sent}: this side has closed the WebSocket. Received messages are dropped. The peer
    must send its Close frame within C{closeTimeout} after it has read all sent data.
  - B{ended}: both sides have sent a Close frame, or the timeout has expired. The underlying
    connection is closed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, cast

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IProducer,
    IPullProducer,
    IPushProducer,
    IReactorTime,
    ITLSTransport,
)
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementedBy, providedBy

from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.connection import Connection, Guard, Owner, withoutTap
from openfl_twisted.transports.declarations import declare
from openfl_twisted.transports.flowcontrol import PullAdapter, PushAdapter
from openfl_twisted.transports.limits import NO_LIMITS, ConnectionLimits
from openfl_twisted.transports.receivebuffer import MAX_WORK, ReceiveBuffer
from openfl_twisted.transports.sharedtimer import Group, SharedTimer
from openfl_twisted.wire.framing import NUL, Framing
from openfl_twisted.wire.websocket.frames import TEXTS, Arrival, End, Pings, Pong, WebSocketFrames
from openfl_twisted.wire.websocket.messages import (
    SHORT_HEADERS,
    makePing,
    makePongs,
    payloadsOf,
    timeOf,
)

# Maximum number of portions of compressed data that are read after this side has sent its Close
# frame.
_MAX_PIECES = 8

# The number of messages that a control frame, a fragment or a compressed frame counts as.
_OTHER_WORK = 2

# Maximum seconds for the peer to read the send queue when this side closes the connection.
_LINGER = 30.0

_ABNORMAL = 1006

# Messages of this length or longer need a longer frame header.
_LONG = len(SHORT_HEADERS)

# The close code when the server shuts down, or an operator disconnects the client.
_GOING_AWAY = 1001

MESSAGE_TOO_BIG = 1009
"""
The close code for a message that exceeds the maximum length.
"""


class Settings(Protocol):
    """
    The timeouts of WebSockets; implemented by
    L{WebSocketFactory<openfl_twisted.protocols.websocket.WebSocketFactory>}.

    @ivar closeTimeout: maximum time until the peer answers a Close frame (seconds).
    @ivar pingInterval: time without received data until a ping is sent (seconds); 0 for
        no pings.
    @ivar pongTimeout: maximum time until the peer answers a ping (seconds).
    @ivar clock: the clock.
    @ivar hasExplainedText: whether the log explains text messages without a NUL byte.
    @ivar pingAnswered: called with the round-trip time of each answered ping (seconds); C{None} for
        no function.
    @ivar silences: timer of the WebSockets that wait for C{pingInterval}.
    @ivar pongs: timer of the WebSockets that wait for C{pongTimeout}.
    """

    closeTimeout: float
    pingInterval: float
    pongTimeout: float
    clock: IReactorTime
    hasExplainedText: bool
    pingAnswered: Callable[[float], object] | None
    silences: "SharedTimer[WebSocketTransport]"
    pongs: "SharedTimer[WebSocketTransport]"


class WebSocketTransport(Connection, TwistedProtocol):
    """
    A WebSocket between the underlying connection and a protocol. A WebSocket cannot be
    half-closed.

    This object is the protocol, the owner and the push producer of the underlying connection.
    L{dataReceived} parses frames and calls the protocol's C{dataReceived} with each payload.
    The protocol calls L{write}, which sends each chunk as one message. Invariants:

      - The protocol is connected from L{begin} until the WebSocket's L{connectionLost}. Before
        and after that, C{protocol} is C{None}.
      - Events are delivered in the order of their frames. While C{receiveBuffer} exists,
        received bytes are appended to the buffer without parsing.
      - After C{_closeSent}, no frame is sent. After C{_ended}, no frame is sent or
        parsed.
      - At most one timer runs: for the request head, the ping interval, the pong, the peer's
        Close frame, or the close of the underlying connection.

    @ivar transport: the underlying connection.
    @ivar closeCode: the code in the peer's Close frame, 1000 to 4999, or 1005 if the frame
        contains no code. The code is 1006 if the connection was lost without a Close frame.
        After a protocol violation by the peer, the code is the code in this side's Close
        frame. C{None} while the connection is open.
    @ivar closeReason: the reason that belongs to L{closeCode}.
    @ivar settings: the timeouts, shared by many connections.
    @ivar _flows: whether L{write} may send a message without checking the WebSocket's state.
        If false, L{writeMessages} computes the value again.
    @ivar _full: whether the underlying connection has paused its push producer, which is this
        WebSocket.
    """

    __slots__ = (
        "_closeSent",
        "_ended",
        "_flows",
        "_frames",
        "_full",
        "_isAlive",
        "_lost",
        "_peer",
        "_producer",
        "_pull",
        "_tap",
        "_timer",
        "_waitsWith",
        "connected",
        "delivering",
        "disconnecting",
        "factory",
        "owner",
        "paused",
        "protocol",
        "reading",
        "receiveBuffer",
        "settings",
        "transport",
        "work",
    )

    log = packageLogger()
    preservesMessages = True
    # Always true, because the peer has sent the opening handshake.
    hasReceived = True
    transport: Connection
    closeCode: int | None = None
    closeReason = ""
    _clean = False
    # Why the underlying connection was lost.
    _reason = connectionDone
    # The code and reason of the Close frame that this side sends.
    _ownClose = (1000, "")
    # The value of the underlying connection's bytesOut at the first frame, if HTTP responses were
    # queued before the handshake; otherwise 0.
    _framesFrom = 0
    # The last ping that was received while the send queue was not empty.
    _ping: bytes | None = None
    # Whether this WebSocket is registered as the producer of the underlying connection.
    _registered = False

    def __init__(self, settings: Settings) -> None:
        """
        @param settings: the timeouts, shared by many connections.
        """
        self.settings = settings
        self.connected = 0
        self.factory: Any = None
        self.transport = cast("Connection", None)
        self.protocol: Any = None
        self._frames = cast("WebSocketFrames", None)
        self.disconnecting = self.paused = self.delivering = self._flows = self._full = False
        self._closeSent = self._ended = self._lost = self._isAlive = False
        self.reading = True
        self.receiveBuffer: ReceiveBuffer | None = None
        self.work = 0
        self.owner: Owner | None = None
        self._tap: Callable[[bytes], object] | None = None
        self._producer: IPushProducer | None = None
        self._pull: PullAdapter | None = None
        self._peer: IAddress | None = None
        # The timer is used during the handshakes. While the WebSocket is open, many connections
        # share one timer, see SharedTimer.
        self._timer: IDelayedCall | None = None
        self._waitsWith: Group[WebSocketTransport] | None = None

    @property
    def guard(self) -> Guard | None:
        """
        The guard's record of the underlying connection. The guard is notified when the
        underlying connection is lost.
        """
        return self.transport.guard

    @guard.setter
    def guard(self, guard: Guard | None) -> None:
        self.transport.guard = guard

    @property
    def __providedBy__(self) -> Any:
        # Called by zope.interface: return the interfaces of this class and of the underlying
        # connection, except the interfaces for half-close and startTLS.
        if self.transport is None:
            return implementedBy(type(self))
        its = providedBy(self.transport)
        return declare(type(self), its, IHalfCloseableProtocol, ITLSTransport)

    def __getattr__(self, name: str) -> Any:
        if name == "transport":
            # This object is being copied.
            raise AttributeError(name)
        return getattr(self.transport, name)

    def begin(self, frames: WebSocketFrames, response: bytes, rest: bytes) -> None:
        """
        Send the response to the opening handshake, and connect the wrapped protocol. Called by
        a subclass when the handshake is accepted.

        @param frames: the frame parser.
        @param response: the HTTP response.
        @param rest: data received after the request.
        """
        self._frames = frames
        if self.transport.pending:
            start = self.transport.bytesOut + self.transport.pending
            self._framesFrom = start + len(response)
        self.transport.bind(self)
        self._registered = True
        self.transport.registerProducer(PushAdapter(self), True)
        self.transport.write(response)
        self._awaitData()
        try:
            self.protocol.makeConnection(self)
        except BaseException:
            self._ended = True
            raise
        if rest:
            self.dataReceived(rest)

    # The interface of Connection

    def bind(self, owner: Owner) -> bool:
        self.owner = owner
        return True

    def getClock(self) -> IReactorTime:
        return self.settings.clock

    @property
    def pending(self) -> int:
        return self.transport.pending

    @property
    def isLost(self) -> bool:
        return self._lost

    @property
    def isAborted(self) -> bool:
        return self.transport.isAborted

    @property
    def isFull(self) -> bool:
        return self.transport.isFull

    @property
    def tap(self) -> Callable[[bytes], object] | None:
        """
        Function that is called with each written message; C{None} for no function.
        """
        return self._tap

    @tap.setter
    def tap(self, tap: Callable[[bytes], object] | None) -> None:
        self._tap = tap
        self._flows = False

    @property
    def wrappedProtocol(self) -> Any:
        """
        The protocol that uses the WebSocket; C{None} before L{WebSocketTransport.begin} and
        after the connection is lost.
        """
        return withoutTap(self.protocol)

    def getPeer(self) -> IAddress:
        return self._peer or self.transport.getPeer()

    def getHost(self) -> IAddress:
        return self.transport.getHost()

    def frameTexts(self, framing: Framing) -> None:
        self._frames.texts = TEXTS[framing.name]

    # The owner of the underlying connection

    @property
    def limits(self) -> ConnectionLimits:
        """
        The limits of the owner.
        """
        return NO_LIMITS if self.owner is None else self.owner.limits

    def chunkReceived(self, data: bytes) -> None:
        """
        Process a chunk from the receive buffer of the underlying connection.
        """
        self.dataReceived(data)

    def sendQueueExceeded(self) -> None:
        """
        Notify the owner that the send queue exceeds its limit.
        """
        if self.owner is not None:
            self.disconnecting = True
            self.dropReceived()
            self.owner.sendQueueExceeded()

    def queueDropped(self, chunks: list[bytes], sent: int) -> None:
        """
        Report the dropped messages to the owner. A partly sent message is included with its
        whole payload.
        """
        if self.owner is None:
            return
        data, at = b"".join(chunks), 0
        if self._framesFrom:
            at = max(0, self._framesFrom - (self.transport.bytesOut - sent))
        elif data.startswith(b"HTTP"):
            # In the queue, the HTTP response precedes the first messages.
            at = data.index(b"\r\n\r\n") + 4
        messages = payloadsOf(data, at, sent)
        if messages:
            self.owner.queueDropped(messages, 0)

    @property
    def labels(self) -> Mapping[str, str]:
        """
        The owner's labels for the dashboard; empty without an owner.
        """
        return {} if self.owner is None else self.owner.labels

    def limitExceeded(self, limit: str) -> None:
        """
        Notify the owner that a limit disconnects the peer.
        """
        if self.owner is not None:
            self.owner.limitExceeded(limit)

    def disconnectedByOperator(self) -> None:
        """
        Notify the owner that an operator disconnects the client.
        """
        if self.owner is not None:
            self.owner.disconnectedByOperator()

    @property
    def unprocessed(self) -> int:
        """
        Not supported, because TLS can only be started before the WebSocket.
        """
        raise NotImplementedError

    def transportChanged(self, connection: Connection) -> None:
        """
        Not supported, because TLS can only be started before the WebSocket.
        """
        raise NotImplementedError

    def startTLS(self, *arguments: object) -> None:
        """
        Refuse to start TLS.

        @raise RuntimeError: always.
        """
        raise RuntimeError("startTLS cannot be called on a WebSocket: connect with wss:// instead")

    # Receiving

    def requestReceived(self, data: bytes) -> None:
        """
        Called with data received before C{begin}.

        @param data: the data.
        """
        raise NotImplementedError

    def dataReceived(self, data: bytes) -> None:
        """
        Parse frames, and deliver their payloads.

        @param data: a chunk of the stream of frames, of any length.
        """
        if self._ended:
            return
        frames = self._frames
        if frames is None:
            self.requestReceived(data)
            return
        self._isAlive = True
        if self.disconnecting:
            self._findClose(data)
            return
        if self.receiveBuffer is not None or self.delivering or not self.reading:
            self._holdFrames(data)
            return
        self.work = 0
        payload = frames.receiveShort(data)
        if payload is not None:
            self.delivering = True
            try:
                self.protocol.dataReceived(payload)
            except BaseException:
                # The reactor then closes the connection. Until it does, deliver no more data.
                self._ended = True
                raise
            finally:
                self.delivering = False
        elif frames.compressed:
            self._holdFrames(data)
        else:
            self._takeFrames(data)
        if self.receiveBuffer is not None:
            # The buffer contains compressed data, or data that was received during the call.
            self.readAgain()

    def _holdFrames(self, data: bytes) -> None:
        """
        Append received bytes to the receive buffer, in portions that can be parsed in bounded
        time.
        """
        length = self._frames.maxChunk or len(data)
        self.ensureBuffer().put(
            self._takeFrames, [data[at : at + length] for at in range(0, len(data), length or 1)]
        )

    def _findClose(self, data: bytes) -> None:
        """
        Parse frames until the peer's Close frame, and drop messages. If there is too much
        compressed data, the connection is closed without waiting for the peer's Close frame.
        """
        length = self._frames.maxChunk or len(data) or 1
        for at in range(0, len(data), length):
            if at >= _MAX_PIECES * length:
                self.closeWithin(_LINGER)
                return
            self._takeFrames(data[at : at + length])
            while self._frames.unfinished and not self._ended:
                self._takeFrames(b"")

    def _takeFrames(self, data: bytes) -> None:
        """
        Parse frames, and deliver their payloads.
        """
        if self._ended:
            return
        frames = self._frames
        self.delivering = True
        try:
            arrived = frames.receive(data)
            if frames.texts.answers:
                self._textReceived()
            if frames.compressed:
                # The data of one read is processed in many calls, so add the work instead of
                # resetting it.
                self.work += frames.others * _OTHER_WORK
            alone = len(arrived) == 1 and arrived[0].__class__ is bytes
            if alone and self.reading and not frames.compressed:
                self.protocol.dataReceived(arrived[0])
            elif arrived:
                self._deliverArrivals(arrived)
        except BaseException:
            # The reactor then closes the connection. Until it does, deliver no more data.
            self._ended = True
            raise
        finally:
            self.delivering = False
        if frames.unfinished and not (self._ended or self.disconnecting):
            buffer = self.ensureBuffer()
            buffer.putBack(self._takeFrames, (b"",))
            buffer.yieldTurn()

    def _textReceived(self) -> None:
        """
        Answer with text messages, and explain the first text message without a NUL byte.
        """
        self._flows = False
        framing, _, keepsEnd = self._frames.texts
        if framing is NUL and not keepsEnd and not self.settings.hasExplainedText:
            self.settings.hasExplainedText = True
            self.log.info(
                "{peer} sends text messages without a NUL byte: each is one message, and is"
                " answered with text messages without a NUL byte (logged once)",
                peer=self.getPeer(),
            )

    def _deliverArrivals(self, arrived: Sequence[Arrival]) -> None:
        """
        Deliver events from the frame parser until the protocol pauses reading or closes the
        connection.
        """
        for number, arrival in enumerate(arrived):
            if self._ended:
                return
            if not self.disconnecting and (not self.reading or self.work >= MAX_WORK):
                buffer = self.ensureBuffer()
                buffer.putBack(self._take, arrived[number:])
                if self.reading:
                    buffer.yieldTurn()
                return
            self._take(arrival)

    def _take(self, arrival: Arrival) -> None:
        """
        Handle an event from the frame parser.
        """
        match arrival:
            case bytes():
                if not self.disconnecting:
                    self._deliverPayload(arrival)
            case End():
                self.closeReceived(arrival)
            case Pings(payloads):
                if self._full or (self._pull is not None and self.transport.isFull):
                    # If the peer does not read, store the last ping, so that only this ping is
                    # answered later.
                    self._ping = payloads[-1]
                elif self._isOpen:
                    self.transport.write(makePongs(payloads))
            case Pong(payload):
                self._pongReceived(payload)

    def _pongReceived(self, payload: bytes) -> None:
        """
        Compute the round-trip time of the ping. The peer can send any pong: only the first answer
        to a ping is used, and the time is between 0 and C{pongTimeout}.
        """
        settings, group = self.settings, self._waitsWith
        sent = timeOf(payload)
        if (
            sent is None
            or self.pingTime is not None
            or group is None
            or group.timer is not settings.pongs
        ):
            return
        elapsed = settings.clock.seconds() - sent
        if 0 <= elapsed <= settings.pongTimeout:
            self.pingTime = elapsed
            if settings.pingAnswered is not None:
                settings.pingAnswered(elapsed)

    def _deliverPayload(self, payload: bytes) -> None:
        """
        Deliver a payload, and add to C{work} in proportion to its length.
        """
        # A long payload can contain many messages. The protocol additionally counts each message.
        work = self.work + len(payload) * MAX_WORK // self._frames.maxPayload
        self.work = 0
        delivering, self.delivering = self.delivering, True
        try:
            self.protocol.dataReceived(payload)
        finally:
            self.delivering = delivering
        self.work += work

    @property
    def _isOpen(self) -> bool:
        """
        Whether frames can be sent.
        """
        return not (self._closeSent or self._ended or self._lost)

    def resumeProducing(self) -> None:
        if self.paused:
            # Count the peer as alive: no data was read from the peer during the pause.
            self._isAlive = True
        super().resumeProducing()

    def stopReading(self) -> None:
        if not (self._lost or self._closeSent or self._ended):
            self.transport.pauseProducing()

    def startReading(self) -> None:
        if not self._lost:
            self.transport.resumeProducing()

    def dropReceived(self) -> None:
        """
        Deliver no more messages. Called when this side closes the connection. Received frames
        are still parsed, to find the peer's Close frame.
        """
        self.reading = False
        buffer, self.receiveBuffer = self.receiveBuffer, None
        if buffer is None:
            return
        held = buffer.items()
        buffer.discard()
        frames = [item for method, item in held if method == self._takeFrames]
        for method, item in held:
            if method == self._take:
                self._take(item)
        self._findClose(b"".join(frames))

    # Sending

    def write(self, data: bytes) -> None:
        """
        Send bytes as one message.
        """
        length = len(data)
        if self._flows and data.__class__ is bytes and 0 < length < _LONG:
            self.transport.write(SHORT_HEADERS[length] + data)
        else:
            # Copy a mutable buffer: makeMessages caches it, and the caller could change it.
            self.writeMessages((data if data.__class__ is bytes else bytes(memoryview(data)),))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several chunks as one message.
        """
        self.write(b"".join(iovec))

    def writeMessages(self, messages: Sequence[bytes]) -> None:
        if not self._isOpen or (self.disconnecting and self._pull is None):
            return
        if self._tap is not None:
            for message in filter(None, messages):
                self._tap(message)
        frames = self._frames
        self._flows = not (
            frames.compressed or frames.texts.answers or self._tap or self.disconnecting
        )
        data = frames.messages(messages)
        if data:
            self.transport.write(data)

    # Producers, see FlowListener

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer. The producer is paused while the peer does not read, and stopped
        when no more data can be sent.

        @param producer: the producer.
        @param streaming: whether the producer is a push producer.
        @raise RuntimeError: if a producer is already registered.
        """
        if self._producer is not None or self._pull is not None:
            raise RuntimeError("a producer is already registered; call unregisterProducer first")
        if not self._registered or self.disconnecting:
            producer.stopProducing()
        elif streaming:
            self._producer = cast("IPushProducer", producer)
            if self._full:
                self._producer.pauseProducing()
        else:
            self._full = False
            self._pull = PullAdapter(self, cast("IPullProducer", producer))
            self.transport.unregisterProducer()
            self.transport.registerProducer(self._pull, False)

    def unregisterProducer(self) -> None:
        self._producer = None
        pull, self._pull = self._pull, None
        if pull is not None and self._registered:
            if self.disconnecting:
                self._sendClose()
            self.transport.unregisterProducer()
            if not self.disconnecting:
                self.transport.registerProducer(PushAdapter(self), True)

    def bufferFull(self) -> None:
        """
        Pause the producer. A TCP connection calls this method again after each write.
        """
        if not self._full:
            self._full = True
            if self._producer is not None:
                self._producer.pauseProducing()

    def bufferDrained(self) -> None:
        """
        Answer the last ping, and resume the producer. Called when the peer has read the send
        queue.
        """
        self._full = False
        self._isAlive = True
        self._answerLastPing()
        if self._producer is not None:
            self._producer.resumeProducing()
        if self._closeSent and not self._ended:
            self._awaitClose(0.0)

    def produceOnce(self, producer: IPullProducer) -> None:
        """
        Answer the last ping, and call the pull producer.
        """
        self._answerLastPing()
        producer.resumeProducing()

    def _answerLastPing(self) -> None:
        if self._ping is not None and self._isOpen:
            self.transport.write(makePongs([self._ping]))
        self._ping = None

    def transportLost(self) -> None:
        """
        Stop the producer, because the underlying transport is lost.
        """
        self._registered = False
        self._stopProducer()

    def _stopProducer(self) -> None:
        producer: IProducer | None = self._producer
        if self._pull is not None:
            producer = self._pull.producer
        self._producer = self._pull = None
        if producer is not None and producer is not self:
            producer.stopProducing()

    # Closing

    def stopProducing(self) -> None:
        self.loseConnection()

    def setCloseReason(self, code: int, reason: str = "") -> None:
        self._ownClose = (code, reason)

    def finishConnection(self) -> None:
        """
        Close the connection gracefully, with the close code 1001 (going away).
        """
        if self._closeSent and not self._ended:
            # Do not wait any longer for the peer's Close frame.
            self.closeWithin(_LINGER)
        else:
            self.setCloseReason(_GOING_AWAY)
            self.loseConnection()

    def loseConnection(self) -> None:
        """
        Send a Close frame after all data written so far, and close the connection when the
        peer has answered the Close frame. A push producer is stopped; a pull producer may
        finish first.
        """
        if self._endSoon():
            return
        if self._ended or self._lost or self.disconnecting:
            return
        if not self._registered:
            # The WebSocket is not open yet.
            self.closeWithin(self.settings.closeTimeout)
            return
        self.disconnecting = True
        self.reading = self._flows = False
        self.startTimer(_LINGER, self._abortLate)
        if self._pull is None:
            self._sendClose()

    def _sendClose(self) -> None:
        """
        Send a Close frame, and read until the peer's Close frame.
        """
        if self._closeSent or self._ended:
            return
        self._stopProducer()
        close = self._frames.close(*self._ownClose)
        if close:
            self.transport.write(close)
        self._closeSent = True
        self._awaitClose(_LINGER)
        self.dropReceived()
        if not self._ended:
            self.transport.resumeProducing()

    def _awaitClose(self, left: float) -> None:
        """
        Start the timeout for the peer's Close frame.

        @param left: the total time until the connection is aborted if the peer does not read
            the send queue (seconds).
        """
        timeout = self.settings.closeTimeout
        self.startTimer(timeout, partial(self._closeTimedOut, left - timeout))

    def _closeTimedOut(self, left: float) -> None:
        if not self.transport.isFull:
            self.closeWithin(_LINGER)
        elif left > 0:
            self._awaitClose(left)
        else:
            self._abortLate()

    def loseWriteConnection(self) -> None:
        """
        Close the connection: a WebSocket cannot be half-closed.
        """
        self.loseConnection()

    def abortConnection(self) -> None:
        """
        Close the connection immediately, and drop the send queue.
        """
        if not self._endSoon() and not self._lost:
            self.stopReceiving()
            self.transport.abortConnection()

    def closeReceived(self, end: End) -> None:
        """
        Answer the peer's Close frame or protocol violation, and close the connection.

        @param end: the code and the reason, the answer to send, and whether the peer has
            violated the protocol.
        """
        if self._closeSent:
            # Send no answer: the frame was parsed before this side sent its Close frame.
            end = end._replace(answer=b"", code=_ABNORMAL if end.fault else end.code)
        self.closeCode, self.closeReason = end.code, end.reason
        self._clean = not end.fault
        if end.fault:
            self.log.warn(
                "{peer} disconnected: WebSocket error {code}: {reason}",
                peer=self.getPeer(),
                code=end.code,
                reason=end.reason,
            )
            if end.code == MESSAGE_TOO_BIG:
                self.limitExceeded("message")
        elif not self.disconnecting and not self._lost:
            self.transport.peerHalfClosed()
        if self._lost:
            self._ended = True
            return
        if end.answer:
            self.transport.write(end.answer)
        self.closeWithin(self.settings.closeTimeout)

    def stopReceiving(self) -> None:
        """
        Deliver no more data, and send no more messages.
        """
        self.disconnecting = self._ended = True
        self._flows = False
        self.dropReceived()

    def closeWithin(self, timeout: float) -> None:
        """
        Close the underlying connection, and abort it after a timeout.

        @param timeout: time until the underlying connection is aborted (seconds).
        """
        self.stopReceiving()
        self.startTimer(timeout, self._abortLate)
        if self._pull is not None:
            self.transport.unregisterProducer()
        self._stopProducer()
        self.transport.loseConnection()

    def _abortLate(self) -> None:
        self.log.warn("{peer} aborted: close timed out", peer=self.getPeer())
        self.stopReceiving()
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Deliver the receive buffer, then notify the protocol: with C{ConnectionDone} if the
        peer has sent its Close frame, otherwise with C{ConnectionLost}.
        """
        self._lost = True
        self._flows = False
        self._reason = reason
        self.stopTimer()
        self.transportLost()
        if self.protocol is None:
            self._ended = True
        elif self.receiveBuffer is None:
            self._notifyLost()
        else:
            self.receiveBuffer.holdEnd(self._notifyLost, self._lossReason)

    def _notifyLost(self) -> None:
        self.stopReceiving()
        if self.closeCode is None:
            self.closeCode = _ABNORMAL
        protocol, self.protocol = self.protocol, None
        protocol.connectionLost(self._lossReason)

    @property
    def _lossReason(self) -> Failure:
        """
        Why the connection is lost.
        """
        if self._clean:
            return connectionDone
        if self._reason.check(ConnectionDone):
            return Failure(ConnectionLost("the peer sent no WebSocket Close"))
        return self._reason

    # Timers

    def startTimer(self, seconds: float, do: Callable[[], object]) -> None:
        """
        Start a timer, which replaces a running timer.

        @param seconds: the time until the timer expires.
        @param do: called when the timer expires.
        """
        self.stopTimer()
        self._timer = self.settings.clock.callLater(seconds, do)

    def stopTimer(self) -> None:
        """
        Stop the timer.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if self._waitsWith is not None:
            self._waitsWith.leave(self)
            self._waitsWith = None

    def _awaitData(self) -> None:
        self.stopTimer()
        self._isAlive = False
        if self.settings.pingInterval:
            self._waitsWith = self.settings.silences.wait(self)

    @property
    def _isExcused(self) -> bool:
        """
        Whether the peer need not answer a ping: the peer has sent data, reading from the peer
        is paused, or the peer has not read the send queue. In the last two cases, TCP detects
        a vanished peer.
        """
        return self._isAlive or not self.reading or self.transport.isFull

    def checkSilence(self) -> None:
        """
        Send a ping if no data was received. Called after C{pingInterval}.
        """
        if self._isExcused:
            self._awaitData()
        else:
            # Only a connection that is sent a ping has an attribute for its time.
            self.pingTime = None
            self.transport.write(makePing(self.settings.clock.seconds()))
            self._waitsWith = self.settings.pongs.wait(self)

    def checkPong(self) -> None:
        """
        Abort the connection if no data was received since the ping. Called C{pongTimeout}
        seconds after a ping. Any data counts as a pong.
        """
        if self._isExcused:
            self._awaitData()
            return
        self.log.warn(
            "{peer} disconnected: no pong within {seconds:g} s",
            peer=self.getPeer(),
            seconds=self.settings.pongTimeout,
        )
        self.abortConnection()
