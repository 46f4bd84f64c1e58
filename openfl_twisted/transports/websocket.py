"""
An open WebSocket as a connection: to a protocol it is like TCP, and to its peer a
WebSocket.

It has no queue of its own: it owns the connection beneath, whose send queue holds its
frames. Its states, above those of a connection:

  - B{opening}: the head of the request is awaited, see
    L{openfl_twisted.protocols.websocket}.
  - B{open}: messages are sent and received.
  - B{Close sent}: this side closes; when it has read everything, the peer has
    C{closeTimeout} for its Close. What is received before it is dropped.
  - B{ended}: both sides have sent their Close, or the wait is over; the connection
    beneath closes.
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
from zope.interface.declarations import Provides

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.connection import Connection, Owner
from openfl_twisted.transports.flowcontrol import PullAdapter, PushAdapter
from openfl_twisted.transports.limits import NO_LIMITS, ConnectionLimits
from openfl_twisted.transports.receivebuffer import MAX_WORK, ReceiveBuffer
from openfl_twisted.transports.sharedtimer import Group, SharedTimer
from openfl_twisted.wire.websocket.frames import Arrival, End, Pings, WebSocketFrames
from openfl_twisted.wire.websocket.messages import (
    PING,
    SHORT_HEADERS,
    makePongs,
    payloadsOf,
)

# Parts of compressed data that are read after this side has sent its Close.
_MAX_PIECES = 8

# The work of a control frame, a fragment or a compressed frame, which takes longer than a message.
_OTHER_WORK = 2

# Seconds that the peer has to read what was sent before the end.
_LINGER = 30.0

_ABNORMAL = 1006

GOING_AWAY = 1001
"""
The close code of a server that shuts down, or of an operator.
"""

MESSAGE_TOO_BIG = 1009
"""
The close code for a message that is too long.
"""


class Settings(Protocol):
    """
    The times of a WebSocket; see L{WebSocketFactory
    <openfl_twisted.protocols.websocket.WebSocketFactory>}.

    @ivar closeTimeout: in seconds.
    @ivar pingInterval: in seconds; 0 for no pings.
    @ivar pongTimeout: in seconds.
    @ivar clock: the clock.
    @ivar silences: the WebSockets that wait for C{pingInterval}.
    @ivar pongs: the WebSockets that wait for C{pongTimeout}.
    """

    closeTimeout: float
    pingInterval: float
    pongTimeout: float
    clock: IReactorTime
    silences: "SharedTimer[WebSocketTransport]"
    pongs: "SharedTimer[WebSocketTransport]"


class WebSocketTransport(Connection, TwistedProtocol):
    """
    A WebSocket between a connection and a protocol. It cannot be half-closed.

    @ivar transport: the connection beneath.
    @ivar closeCode: the code of the peer's Close: 1000 to 4999, 1005 if it has none;
        1006 if the connection was lost without a Close; after a violation of the
        protocol, the code that was sent. C{None} while the connection is open.
    @ivar closeReason: the reason of that Close.
    @ivar settings: the times, which many connections share.
    @ivar _flows: whether a write only has to be framed. If not, the slow way checks
        whether it is true again.
    @ivar _full: whether the connection beneath has paused this, its push producer.
    """

    __slots__ = (
        "_closeSent",
        "_ended",
        "_flows",
        "_frames",
        "_full",
        "_heard",
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
    # The opening handshake was received.
    hasReceived = True
    transport: Connection
    closeCode: int | None = None
    closeReason = ""
    _clean = False
    # Why the connection beneath is lost.
    _reason = connectionDone
    # The code and the reason of our Close.
    _farewell = (1000, "")
    # The last ping that was received while the peer did not read.
    _ping: bytes | None = None
    # Whether the connection beneath has us as its producer.
    _registered = False

    def __init__(self, settings: Settings) -> None:
        """
        @param settings: the times, which many connections share.
        """
        self.settings = settings
        self.connected = 0
        self.factory: Any = None
        self.transport = cast("Connection", None)
        self.protocol: Any = None
        self._frames = cast("WebSocketFrames", None)
        self.disconnecting = self.paused = self.delivering = self._flows = self._full = False
        self._closeSent = self._ended = self._lost = self._heard = False
        self.reading = True
        self.receiveBuffer: ReceiveBuffer | None = None
        self.work = 0
        self.owner: Owner | None = None
        self._tap: Callable[[bytes], object] | None = None
        self._producer: IPushProducer | None = None
        self._pull: PullAdapter | None = None
        self._peer: IAddress | None = None
        # One thing is awaited at a time: the head, a Close or the end; while the WebSocket is
        # open, data or a pong, for which many wait with one timer.
        self._timer: IDelayedCall | None = None
        self._waitsWith: Group[WebSocketTransport] | None = None

    @property
    def __providedBy__(self) -> Any:
        # What zope.interface asks: its own interfaces and those of the connection. It cannot be
        # half-closed, nor start TLS.
        if self.transport is None:
            return implementedBy(type(self))
        its = providedBy(self.transport) - IHalfCloseableProtocol - ITLSTransport
        return Provides(type(self), its)

    def __getattr__(self, name: str) -> Any:
        if name == "transport":
            # One that is being copied has none yet.
            raise AttributeError(name)
        return getattr(self.transport, name)

    def begin(self, frames: WebSocketFrames, response: bytes, rest: bytes) -> None:
        """
        Send the response, and connect the wrapped protocol.

        @param frames: the WebSocket.
        @param response: the response.
        @param rest: what was received after the request.
        """
        self._frames = frames
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

    # The contract of Connection

    def bind(self, owner: Owner) -> bool:
        """
        Limit the send queue of the connection beneath.
        """
        self.owner = owner
        return True

    def getClock(self) -> IReactorTime:
        """
        Return the clock of the settings.
        """
        return self.settings.clock

    @property
    def pending(self) -> int:
        """
        The length of the send queue (bytes).
        """
        return self.transport.pending

    @property
    def isLost(self) -> bool:
        """
        Whether the connection is lost.
        """
        return self._lost

    @property
    def isAborted(self) -> bool:
        """
        Whether this side has aborted the connection.
        """
        return self.transport.isAborted

    @property
    def isFull(self) -> bool:
        """
        Whether the peer does not read.
        """
        return self.transport.isFull

    @property
    def tap(self) -> Callable[[bytes], object] | None:
        """
        Called with each message that is written; C{None} for nobody.
        """
        return self._tap

    @tap.setter
    def tap(self, tap: Callable[[bytes], object] | None) -> None:
        self._tap = tap
        self._flows = False

    @property
    def wrappedProtocol(self) -> Any:
        """
        The protocol that has the connection; C{None} before and after that.
        """
        return self.protocol

    def getPeer(self) -> IAddress:
        """
        Return the address of the client, also behind a trusted proxy.
        """
        return self._peer or self.transport.getPeer()

    def getHost(self) -> IAddress:
        """
        Return the local address.
        """
        return self.transport.getHost()

    # The owner of the connection beneath

    @property
    def limits(self) -> ConnectionLimits:
        """
        Those of the owner of this connection.
        """
        return NO_LIMITS if self.owner is None else self.owner.limits

    def chunkReceived(self, data: bytes) -> None:
        """
        Process a chunk that the connection beneath has held.
        """
        self.dataReceived(data)

    def sendQueueExceeded(self) -> None:
        """
        Tell the owner.
        """
        if self.owner is not None:
            self.disconnecting = True
            self.dropReceived()
            self.owner.sendQueueExceeded()

    def queueDropped(self, chunks: list[bytes], sent: int) -> None:
        """
        Tell the owner which messages were dropped. One that was sent in part is one of
        them, as a whole.
        """
        if self.owner is None:
            return
        data, at = b"".join(chunks), 0
        if data.startswith(b"HTTP"):
            # The response is sent together with the first messages.
            at = data.index(b"\r\n\r\n") + 4
        messages = payloadsOf(data, at, sent)
        if messages:
            self.owner.queueDropped(messages, 0)

    @property
    def labels(self) -> Mapping[str, str]:
        """
        Those of the owner.
        """
        return {} if self.owner is None else self.owner.labels

    def limitExceeded(self, limit: str) -> None:
        """
        Tell the owner.
        """
        if self.owner is not None:
            self.owner.limitExceeded(limit)

    def disconnectedByOperator(self) -> None:
        """
        Tell the owner.
        """
        if self.owner is not None:
            self.owner.disconnectedByOperator()

    @property
    def unprocessed(self) -> int:
        """
        Never used: TLS starts before the WebSocket.
        """
        raise NotImplementedError

    def transportChanged(self, connection: Connection) -> None:
        """
        Never called: TLS starts before the WebSocket.
        """
        raise NotImplementedError

    def startTLS(self, *arguments: object) -> None:
        """
        Refuse to start TLS.

        @raise RuntimeError: always.
        """
        raise RuntimeError("startTLS cannot be called on a WebSocket: use wss instead")

    # Receiving

    def requestReceived(self, data: bytes) -> None:
        """
        Called with data before the WebSocket is open, see L{begin}.

        @param data: the data.
        """
        raise NotImplementedError

    def dataReceived(self, data: bytes) -> None:
        """
        Read frames: nearly always messages, which are delivered immediately.

        @param data: the bytes of frames, however the stream is split.
        """
        if self._ended:
            return
        if self._frames is None:
            self.requestReceived(data)
            return
        self._heard = True
        if self.disconnecting:
            self._findClose(data)
            return
        if self.receiveBuffer is not None or self.delivering or not self.reading:
            self._holdFrames(data)
            return
        self.work = 0
        if self._frames.compressed:
            self._holdFrames(data)
            self.readAgain()
        else:
            self._takeFrames(data)
            if self.receiveBuffer is not None:
                # Data was received within that.
                self.readAgain()

    def _holdFrames(self, data: bytes) -> None:
        """
        Hold the bytes of frames, so that they can be read in bounded steps.
        """
        length = self._frames.maxChunk or len(data)
        self.ensureBuffer().put(
            self._takeFrames, [data[at : at + length] for at in range(0, len(data), length or 1)]
        )

    def _findClose(self, data: bytes) -> None:
        """
        Read frames until the peer's Close, and drop messages. Very much compressed data
        is not worth it: the connection is closed without the peer's Close.
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
        Read frames, and deliver their payloads.
        """
        if self._ended:
            return
        frames = self._frames
        self.delivering = True
        try:
            arrived = frames.receive(data)
            if frames.compressed:
                # A read is divided into many calls.
                self.work += frames.others * _OTHER_WORK
            alone = len(arrived) == 1 and arrived[0].__class__ is bytes
            if alone and self.reading and not frames.compressed:
                # The usual case.
                self.protocol.dataReceived(arrived[0])
            elif arrived:
                self._deliverArrivals(arrived)
        except BaseException:
            # The reactor ends the connection; until then, nothing more is delivered.
            self._ended = True
            raise
        finally:
            self.delivering = False
        if frames.unfinished and not (self._ended or self.disconnecting):
            buffer = self.ensureBuffer()
            buffer.putBack(self._takeFrames, (b"",))
            buffer.yieldTurn()

    def _deliverArrivals(self, arrived: Sequence[Arrival]) -> None:
        """
        Deliver the events of the reader, until this side stops reading.
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
        Deliver one event of the reader.
        """
        match arrival:
            case End():
                self.closeReceived(arrival)
            case Pings(payloads):
                if self._full or (self._pull is not None and self.transport.isFull):
                    # A peer that sends pings and does not read gets no heap of pongs.
                    self._ping = payloads[-1]
                elif self._isOpen:
                    self.transport.write(makePongs(payloads))
            case _:
                if not self.disconnecting:
                    self._deliverPayload(arrival)

    def _deliverPayload(self, payload: bytes) -> None:
        """
        Deliver a payload, and count the work for it.
        """
        # One long payload is as much work as many messages, which the protocol counts itself.
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
        Whether anything can be sent to the peer.
        """
        return not (self._closeSent or self._ended or self._lost)

    def resumeProducing(self) -> None:
        """
        Deliver what was received in the meantime, then read again.
        """
        if self.paused:
            # The peer could not be heard.
            self._heard = True
        super().resumeProducing()

    def stopReading(self) -> None:
        """
        Read nothing from the connection beneath.
        """
        if not (self._lost or self._closeSent or self._ended):
            self.transport.pauseProducing()

    def startReading(self) -> None:
        """
        Read from the connection beneath.
        """
        if not self._lost:
            self.transport.resumeProducing()

    def dropReceived(self) -> None:
        """
        Deliver nothing more: this side closes the connection. What was received is
        still read, for the peer's Close.
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
        if self._flows and data.__class__ is bytes and 0 < len(data) < len(SHORT_HEADERS):
            self.transport.write(SHORT_HEADERS[len(data)] + data)
        else:
            # It may be kept, see makeMessages, and the caller can change what is not bytes.
            self.writeMessages((data if data.__class__ is bytes else bytes(memoryview(data)),))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several chunks as one message.
        """
        self.write(b"".join(iovec))

    def writeMessages(self, messages: Sequence[bytes]) -> None:
        """
        Send several messages.

        @param messages: the messages.
        """
        if not self._isOpen or (self.disconnecting and self._pull is None):
            return
        if self._tap is not None:
            for message in filter(None, messages):
                self._tap(message)
        self._flows = not (self._frames.compressed or self._tap or self.disconnecting)
        frames = self._frames.messages(messages)
        if frames:
            self.transport.write(frames)

    # Producers, see FlowListener

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer. It is stopped when nothing can be sent any more.

        @param producer: the producer.
        @param streaming: whether it is a push producer.
        @raise RuntimeError: if a producer is registered.
        """
        if self._producer is not None or self._pull is not None:
            raise RuntimeError("a producer is registered already")
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
        """
        Unregister the producer.
        """
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
        Pause the producer. A TCP connection calls this again with each write.
        """
        if not self._full:
            self._full = True
            if self._producer is not None:
                self._producer.pauseProducing()

    def bufferDrained(self) -> None:
        """
        Answer the last ping, and resume the producer. The peer has read.
        """
        self._full = False
        self._heard = True
        self._answerLastPing()
        if self._producer is not None:
            self._producer.resumeProducing()
        if self._closeSent and not self._ended:
            self._awaitClose(0.0)

    def produceOnce(self, producer: IPullProducer) -> None:
        """
        Have the pull producer produce.
        """
        self._answerLastPing()
        producer.resumeProducing()

    def _answerLastPing(self) -> None:
        if self._ping is not None and self._isOpen:
            self.transport.write(makePongs([self._ping]))
        self._ping = None

    def transportLost(self) -> None:
        """
        Stop the producer.
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
        """
        Close the connection.
        """
        self.loseConnection()

    def setCloseReason(self, code: int, reason: str = "") -> None:
        """
        Set the code and the reason of this side's Close.
        """
        self._farewell = (code, reason)

    def finishConnection(self) -> None:
        """
        Close the connection gracefully, because the server shuts down or an operator
        wants it.
        """
        if self._closeSent and not self._ended:
            # The peer's Close is not awaited any longer.
            self.closeWithin(_LINGER)
        else:
            self.setCloseReason(GOING_AWAY)
            self.loseConnection()

    def loseConnection(self) -> None:
        """
        Send a Close when everything written so far has been sent, and close the
        connection when the peer has answered it. A pull producer may finish before; a
        push producer is stopped.
        """
        buffer = self.receiveBuffer
        if buffer is not None and buffer.isEnding:
            buffer.discardSoon()
            return
        if self._ended or self._lost or self.disconnecting:
            return
        if not self._registered:
            # It is no WebSocket yet.
            self.closeWithin(self.settings.closeTimeout)
            return
        self.disconnecting = True
        self.reading = self._flows = False
        self.arm(_LINGER, self._giveUp)
        if self._pull is None:
            self._sendClose()

    def _sendClose(self) -> None:
        """
        Send the Close, and read until that of the peer.
        """
        if self._closeSent or self._ended:
            return
        self._stopProducer()
        close = self._frames.close(*self._farewell)
        if close:
            self.transport.write(close)
        self._closeSent = True
        self._awaitClose(_LINGER)
        self.dropReceived()
        if not self._ended:
            self.transport.resumeProducing()

    def _awaitClose(self, left: float) -> None:
        """
        Wait for the peer's Close. A peer that still reads what was written before ours
        has more time for it.

        @param left: how much more, if it is not finished in time (seconds).
        """
        timeout = self.settings.closeTimeout
        self.arm(timeout, partial(self._closeTimedOut, left - timeout))

    def _closeTimedOut(self, left: float) -> None:
        if not self.transport.isFull:
            self.closeWithin(_LINGER)
        elif left > 0:
            self._awaitClose(left)
        else:
            self._giveUp()

    def loseWriteConnection(self) -> None:
        """
        Close the connection: a WebSocket cannot be half-closed.
        """
        self.loseConnection()

    def abortConnection(self) -> None:
        """
        Close the connection immediately. What has not been sent is dropped.
        """
        buffer = self.receiveBuffer
        if buffer is not None and buffer.isEnding:
            buffer.discardSoon()
        elif not self._lost:
            self.receiveNoMore()
            self.transport.abortConnection()

    def closeReceived(self, end: End) -> None:
        """
        Answer the peer's Close, or a violation of the protocol, and close the
        connection.

        @param end: the code and the reason, the answer, and whether it is a violation.
        """
        if self._closeSent:
            # It can have been sent after these frames were read.
            end = end._replace(answer=b"", code=_ABNORMAL if end.fault else end.code)
        self.closeCode, self.closeReason = end.code, end.reason
        self._clean = not end.fault
        if end.fault:
            self.log.warn(
                "{peer} closed: {code}: {reason}",
                peer=describe(self.getPeer()),
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

    def receiveNoMore(self) -> None:
        """
        Deliver nothing more, and send no more messages.
        """
        self.disconnecting = self._ended = True
        self._flows = False
        self.dropReceived()

    def closeWithin(self, timeout: float) -> None:
        """
        Close the connection beneath.

        @param timeout: maximum time until it is closed (seconds).
        """
        self.receiveNoMore()
        self.arm(timeout, self._giveUp)
        if self._pull is not None:
            self.transport.unregisterProducer()
        self._stopProducer()
        self.transport.loseConnection()

    def _giveUp(self) -> None:
        self.log.warn(
            "{peer} aborted: it has not let the connection close", peer=describe(self.getPeer())
        )
        self.receiveNoMore()
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the wrapped protocol, after what is held: with C{ConnectionDone} if the
        peer has sent its Close.
        """
        self._lost = True
        self._flows = False
        self._reason = reason
        self.waitNoMore()
        self.transportLost()
        if self.protocol is None:
            self._ended = True
        elif self.receiveBuffer is None:
            self._notifyLost()
        else:
            self.receiveBuffer.holdEnd(self._notifyLost)

    def _notifyLost(self) -> None:
        self.receiveNoMore()
        if self.closeCode is None:
            self.closeCode = _ABNORMAL
        protocol, self.protocol = self.protocol, None
        reason = self._reason
        if self._clean:
            reason = connectionDone
        elif reason.check(ConnectionDone):
            reason = Failure(ConnectionLost("without a Close of the WebSocket"))
        protocol.connectionLost(reason)

    # Time

    def arm(self, seconds: float, do: Callable[[], object]) -> None:
        """
        Wait for something, and for nothing else.

        @param seconds: how long.
        @param do: called afterwards.
        """
        self.waitNoMore()
        self._timer = self.settings.clock.callLater(seconds, do)

    def waitNoMore(self) -> None:
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
        self.waitNoMore()
        self._heard = False
        if self.settings.pingInterval:
            self._waitsWith = self.settings.silences.wait(self)

    @property
    def _isExcused(self) -> bool:
        """
        Whether the peer need not answer a ping: it has sent something, is not read
        from, or has not read yet what was sent before. If it has vanished meanwhile,
        TCP detects that.
        """
        return self._heard or not self.reading or self.transport.isFull

    def checkSilence(self) -> None:
        """
        Send a ping if nothing was received for C{pingInterval}.
        """
        if self._isExcused:
            self._awaitData()
        else:
            self.transport.write(PING)
            self._waitsWith = self.settings.pongs.wait(self)

    def checkPong(self) -> None:
        """
        Close the connection if nothing was received for C{pongTimeout} after a ping.
        Anything counts as a pong.
        """
        if self._isExcused:
            self._awaitData()
            return
        self.log.warn(
            "{peer} closed: it has not answered a ping for {seconds:g} seconds",
            peer=describe(self.getPeer()),
            seconds=self.settings.pongTimeout,
        )
        self.abortConnection()
