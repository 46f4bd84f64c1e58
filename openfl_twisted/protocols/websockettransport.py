"""
An open WebSocket as a transport: what looks like a TCP connection to a protocol
is a WebSocket to its peer.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.producing import ProducingProtocol
from openfl_twisted.protocols.sendqueue import IMessageTransport, Pull, Room
from openfl_twisted.wire.websocket import Arrival, End, Payload, Pings, WebSocketFrames

# How long a peer may take to read what was written before the end, in seconds.
_LINGER = 30.0

_ABNORMAL = 1006


class Settings(Protocol):
    """
    What a WebSocket is told of times; L{WebSocketFactory
    <openfl_twisted.protocols.websocket.WebSocketFactory>} says what they are.
    """

    closeTimeout: float
    pingInterval: float
    pongTimeout: float
    clock: IReactorTime


@implementer(ITransport, IConsumer, IPushProducer, IMessageTransport)
class WebSocketTransport(ProducingProtocol):
    """
    A WebSocket between a transport of bytes and a protocol.

    It is all that a TCP transport is, but is never closed half.

    @ivar wrappedProtocol: the protocol, as long as it is connected.
    @ivar disconnecting: whether the connection is being closed by this side.
    @ivar lost: whether it is lost.
    @ivar closeCode: why the peer has closed it, as its Close says: 1000 to 4999,
        1005 if that says nothing; 1006 if it has gone without a Close; and if it
        has done something that is not allowed, what it was told. C{None} while
        the connection is open.
    @ivar closeReason: the same in words, if there are any.
    """

    log = packageLogger()
    settings: Settings
    wrappedProtocol: Any = None
    disconnecting = False
    lost = False
    closeCode: int | None = None
    closeReason = ""
    _frames: WebSocketFrames
    _peer: IAddress | None = None
    # What comes of the read under way, or waits for this side to read again.
    _unread = b""
    _arrived: deque[Arrival]
    _paused = False
    _reading = False
    # Whether nothing that comes counts any more.
    _ended = False
    _clean = False
    _closeSent = False
    # The code and the words of our Close.
    _farewell = (1000, "")
    # Whether the transport beneath was asked to close by somebody else.
    _closingBeneath = False
    # The ping that came last while there was no room for its answer.
    _ping: bytes | None = None
    # Whether anything has come since it was last looked.
    _heard = False
    # There is one thing at a time to wait for: the head, silence, a pong, a Close, the end.
    _timer: IDelayedCall | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def begin(self, frames: WebSocketFrames, response: bytes, rest: bytes) -> None:
        """
        Answer, and connect the wrapped protocol.

        @param frames: the WebSocket, which has agreed to be one.
        @param response: how it says so.
        @param rest: what has come behind the request.
        """
        self._frames = frames
        self._arrived = deque()
        self._unread = rest
        self.beginProducing()
        self.transport.write(response)
        self._awaitSilence()
        # It may do anything at once, but gets nothing before it is connected.
        self._reading = True
        try:
            self.wrappedProtocol.makeConnection(self)
        except BaseException:
            self._ended = True
            raise
        finally:
            self._reading = False
        self._readOn()

    def framesReceived(self, data: bytes) -> None:
        """
        Take what comes.
        """
        self._heard = True
        self._unread = self._unread + data if self._unread else data
        self._readOn()

    # In

    def _readOn(self) -> None:
        """
        Deal with what has come, while this side reads.
        """
        if self._reading:
            return
        self._reading = True
        try:
            while not self._paused and not self._ended:
                if self._arrived:
                    self._take(self._arrived.popleft())
                elif self._unread:
                    length = self._frames.pieceLength
                    piece = self._unread[:length]
                    self._unread = self._unread[length:] if length else b""
                    self._arrived.extend(self._frames.receive(piece))
                else:
                    break
        except BaseException:
            # The reactor ends the connection; until then the wrapped protocol gets nothing more.
            self._ended = True
            raise
        finally:
            self._reading = False

    def _take(self, arrival: Arrival) -> None:
        """
        Deal with one thing that has come.
        """
        match arrival:
            case Payload(data):
                if not self.disconnecting:
                    self.wrappedProtocol.dataReceived(data)
            case Pings(payloads):
                if self.full:
                    # One who sends pings and does not read gets no heap of answers.
                    self._ping = payloads[-1]
                elif not self._closeSent:
                    self.transport.write(self._frames.pongs(payloads))
            case _:
                self._peerEnded(arrival)

    def _peerEnded(self, end: End) -> None:
        """
        The peer has sent its Close, or something that is not allowed.
        """
        self.closeCode, self.closeReason = end.code, end.reason
        self._clean = not end.fault
        if end.fault:
            self.log.warn(
                "{peer} closed: {code}: {reason}",
                peer=describe(self.getPeer()),
                code=end.code,
                reason=end.reason,
            )
        elif not self.disconnecting:
            # Who is beneath may want to say who has ended it.
            getattr(self.transport, "peerEnded", lambda: None)()
        if end.answer:
            self.transport.write(end.answer)
        self._end(self.settings.closeTimeout)

    def pauseProducing(self) -> None:
        """
        Stop reading from the peer.
        """
        if not self._ended and not self._closeSent:
            self._paused = True
            self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Read from the peer again.
        """
        if not self._paused:
            return
        self._paused = False
        # It could not be heard meanwhile.
        self._heard = True
        try:
            self._readOn()
        except Exception:
            # This is no read, after which the reactor would end the connection.
            self.log.failure("{peer} has failed", peer=describe(self.getPeer()))
            self.abortConnection()
        if not self._paused and not self._ended:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        Close the connection.
        """
        self.loseConnection()

    # Out

    def write(self, data: bytes) -> None:
        """
        Send bytes as one message.
        """
        self.writeMessages((data,))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several pieces of bytes as one message.
        """
        self.writeMessages((b"".join(iovec),))

    def writeMessages(self, messages: Sequence[bytes]) -> None:
        """
        Send several messages, in one write.
        """
        if self._closeSent or self._ended:
            return
        frames = self._frames.messages([message for message in messages if message])
        if frames:
            self.transport.write(frames)

    def getPeer(self) -> IAddress:
        """
        Get the address of the other side: of the client behind a trusted proxy.
        """
        peer: IAddress = self._peer or self.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        """
        Get the address of this side.
        """
        host: IAddress = self.transport.getHost()
        return host

    def roomAgain(self) -> None:
        """
        Answer the ping that came last while there was no room.
        """
        if self._ping is not None and not self._closeSent:
            self.transport.write(self._frames.pongs([self._ping]))
        self._ping = None

    # The end

    def transportClosing(self) -> None:
        """
        Say the end to the peer: the transport beneath was asked to close, and
        waits for no answer.
        """
        self._closingBeneath = True
        if self._closeSent and not self._ended:
            self._end(_LINGER)
        else:
            self.loseConnection()

    def closeAs(self, code: int, reason: str = "") -> None:
        """
        Say what is to stand in the Close, when this side closes the connection.

        @param code: why (RFC 6455, 7.4).
        @param reason: the same in words.
        """
        self._farewell = (code, reason)

    def loseConnection(self) -> None:
        """
        Close the connection once everything written so far has been sent.
        """
        if self._ended:
            return
        if not self.registered:
            # There is no WebSocket yet, to which an end could be said.
            self._end(self.settings.closeTimeout)
            return
        if not self.disconnecting:
            self.disconnecting = True
            self._arm(_LINGER, self._giveUp)
            if isinstance(self.producer, Room | Pull):
                self.producer.finish()
        self.producerGone()

    def loseWriteConnection(self) -> None:
        """
        Close the connection: it cannot be closed half.
        """
        self.loseConnection()

    def abortConnection(self) -> None:
        """
        Close the connection now; what has not been sent is dropped.
        """
        if not self.lost:
            self.disconnecting = self._ended = True
            self.transport.abortConnection()

    def producerGone(self) -> None:
        """
        Send the Close, if the connection is to be closed and nobody has
        anything more to send.
        """
        waits = self.disconnecting and not self._closeSent and not self._ended
        if not waits or self.producer is not None:
            return
        self._closeSent = True
        close = self._frames.close(*self._farewell)
        if close:
            self.transport.write(close)
        if self._closingBeneath:
            self._end(_LINGER)
            return
        self._arm(self.settings.closeTimeout, lambda: self._end(_LINGER))
        # The peer's Close must be read.
        self.resumeProducing()

    def _end(self, patience: float) -> None:
        """
        Close the transport: nothing more is to come from either side.

        @param patience: how long that may take, in seconds.
        """
        self.disconnecting = self._ended = True
        self._arm(patience, self._giveUp)
        self.transport.loseConnection()
        self.endProducing()

    def _giveUp(self) -> None:
        self.log.warn(
            "{peer} aborted: it has not let the connection close", peer=describe(self.getPeer())
        )
        self.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end: as a clean one if there was a Close from the peer, that
        was not for a mistake of its own.
        """
        self.lost = self.disconnecting = self._ended = True
        self._waitNoMore()
        if self.closeCode is None:
            self.closeCode = _ABNORMAL
        self.transportGone()
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is None:
            return
        if self._clean:
            reason = connectionDone
        elif reason.check(ConnectionDone):
            reason = Failure(ConnectionLost("without a Close of the WebSocket"))
        wrapped.connectionLost(reason)

    # Time

    def _arm(self, seconds: float, do: Callable[[], object]) -> None:
        """
        Wait for something; for nothing else any more.
        """
        self._waitNoMore()
        self._timer = self.settings.clock.callLater(seconds, do)

    def _waitNoMore(self) -> None:
        """
        Wait for nothing any more.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _awaitSilence(self) -> None:
        self._waitNoMore()
        self._heard = False
        if self.settings.pingInterval:
            self._arm(self.settings.pingInterval, self._lookAtSilence)

    def _lookAtSilence(self) -> None:
        """
        Send a ping if nothing has come. One whom we do not read from is not
        expected to answer.
        """
        if self._heard or self._paused:
            self._awaitSilence()
        else:
            self.transport.write(self._frames.ping())
            self._arm(self.settings.pongTimeout, self._lookForPong)

    def _lookForPong(self) -> None:
        """
        End the connection if still nothing has come. Anything is as good as a
        pong.
        """
        if self._heard or self._paused:
            self._awaitSilence()
            return
        self.log.warn(
            "{peer} closed: it has not answered a ping for {seconds:g} seconds",
            peer=describe(self.getPeer()),
            seconds=self.settings.pongTimeout,
        )
        self.abortConnection()
