"""
An open WebSocket as a transport: what looks like a TCP connection to a protocol
is a WebSocket to its peer.
"""

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
from openfl_twisted.protocols.producers import Pull, Room
from openfl_twisted.protocols.sending import MESSAGE_TOO_BIG
from openfl_twisted.protocols.sendqueue import IMessageTransport
from openfl_twisted.protocols.sharedtimer import Group, SharedTimer
from openfl_twisted.protocols.websocketreading import WebSocketReader
from openfl_twisted.wire.websocket.frames import End, WebSocketFrames
from openfl_twisted.wire.websocket.messages import PING

# How long either side may take to read what was written before the end, in seconds.
_LINGER = 30.0

_ABNORMAL = 1006


class Settings(Protocol):
    """
    What a WebSocket is told of times; L{WebSocketFactory
    <openfl_twisted.protocols.websocket.WebSocketFactory>} says what they are.

    @ivar closeTimeout: in seconds.
    @ivar pingInterval: in seconds; 0 for no pings.
    @ivar pongTimeout: in seconds.
    @ivar clock: for all of them.
    @ivar silences: who waits for C{pingInterval}.
    @ivar pongs: who waits for C{pongTimeout}.
    """

    closeTimeout: float
    pingInterval: float
    pongTimeout: float
    clock: IReactorTime
    silences: "SharedTimer[WebSocketTransport]"
    pongs: "SharedTimer[WebSocketTransport]"


@implementer(ITransport, IConsumer, IPushProducer, IMessageTransport)
class WebSocketTransport(WebSocketReader):
    """
    A WebSocket between a transport of bytes and a protocol.

    It is all that a TCP transport is, but is never closed half.

    @ivar closeCode: why the peer has closed it, as its Close says: 1000 to 4999,
        1005 if that says nothing; 1006 if it has gone without a Close; and if it
        has done something that is not allowed, what it was told. C{None} while
        the connection is open.
    @ivar closeReason: the same in words, if there are any.
    @ivar settings: the times, which many connections share.
    """

    __slots__ = ("_peer", "_timer", "_waitsWith", "settings")

    closeCode: int | None = None
    closeReason = ""
    _clean = False
    # Why the connection beneath is lost.
    _reason = connectionDone
    # The code and the words of our Close.
    _farewell = (1000, "")
    # Whether the transport beneath was asked to close by somebody else.
    _closingBeneath = False

    def __init__(self, settings: Settings) -> None:
        """
        @param settings: the times, which many connections share.
        """
        super().__init__()
        self.settings = settings
        self._peer: IAddress | None = None
        # There is one thing at a time to wait for: the head, a Close, the end; or, while the
        # WebSocket is open, silence or a pong, for which many wait with one timer.
        self._timer: IDelayedCall | None = None
        self._waitsWith: Group[WebSocketTransport] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "transport":
            # One that is being copied has none yet.
            raise AttributeError(name)
        return getattr(self.transport, name)

    @property
    def clock(self) -> IReactorTime:
        """
        The time.
        """
        return self.settings.clock

    def begin(self, frames: WebSocketFrames, response: bytes, rest: bytes) -> None:
        """
        Answer, and connect the wrapped protocol.

        @param frames: the WebSocket, which has agreed to be one.
        @param response: how it says so.
        @param rest: what has come behind the request.
        """
        self._frames = frames
        if rest:
            self._hold(rest)
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

    # Out

    def write(self, data: bytes) -> None:
        """
        Send bytes as one message.
        """
        # It may be kept, see makeMessages, and its owner may change what is not bytes.
        self.writeMessages((data if type(data) is bytes else bytes(data),))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several pieces of bytes as one message.
        """
        self.writeMessages((b"".join(iovec),))

    def writeMessages(self, messages: Sequence[bytes]) -> None:
        """
        Send several messages, in one write.
        """
        if self._closeSent or self._ended or self.lost:
            return
        frames = self._frames.messages(messages)
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

    # The end

    def stopProducing(self) -> None:
        """
        Close the connection.
        """
        self.loseConnection()

    def closeCame(self, end: End) -> None:
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
            if end.code == MESSAGE_TOO_BIG:
                getattr(self.wrappedProtocol, "limitReached", lambda limit: None)("message")
        elif not self.disconnecting and not self.lost:
            # Who is beneath may want to say who has ended it.
            getattr(self.transport, "peerEnded", lambda: None)()
        if self.lost:
            self._ended = True
            return
        if end.answer:
            self.transport.write(end.answer)
        self._end(self.settings.closeTimeout)

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
        if self.lost:
            self._endHeld()
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
        if self.lost:
            self._endHeld()
            return
        self.takeNoMore()
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
        self.takeNoMore()
        self._arm(patience, self._giveUp)
        # In TLS the peer's end has to be read.
        self._readBeneath()
        self.transport.loseConnection()
        self.endProducing()

    def _giveUp(self) -> None:
        self.log.warn(
            "{peer} aborted: it has not let the connection close", peer=describe(self.getPeer())
        )
        self.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end; but if the wrapped protocol does not read just now, what
        has come first, when it does.
        """
        self.lost = True
        self._reason = reason
        self._waitNoMore()
        self.transportGone()
        if self.wrappedProtocol is None:
            self.passEnd()
            return
        if self.disconnecting:
            # Nothing is given to it any more, but there may be a Close.
            self._paused = False
        self._readOn()
        if self.wrappedProtocol is not None:
            self._arm(_LINGER, self._notRead)

    def _notRead(self) -> None:
        self.log.warn(
            "{peer} closed: the last it has sent was not read for {seconds:g} seconds",
            peer=describe(self.getPeer()),
            seconds=_LINGER,
        )
        self.passEnd()

    def _endHeld(self) -> None:
        """
        Pass on the end without what has come before it. As with any transport
        that happens in the next turn of the reactor.
        """
        if self.wrappedProtocol is not None:
            self.takeNoMore()
            self._arm(0, self.passEnd)

    def passEnd(self) -> None:
        """
        Pass on the end: as a clean one if there was a Close from the peer, that
        was not for a mistake of its own.
        """
        self.takeNoMore()
        self._waitNoMore()
        self._forgetHeld()
        if self.closeCode is None:
            self.closeCode = _ABNORMAL
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is None:
            return
        reason = self._reason
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
        if self._waitsWith is not None:
            self._waitsWith.leave(self)
            self._waitsWith = None

    def _awaitSilence(self) -> None:
        self._waitNoMore()
        self._heard = False
        if self.settings.pingInterval:
            self._waitsWith = self.settings.silences.wait(self)

    @property
    def _isExcused(self) -> bool:
        """
        Whether the peer need not answer a ping: it has been heard, or cannot be,
        or has not read yet what stands before the ping. If it is gone with that
        unread, TCP notices.
        """
        return self._heard or self._paused or self.full

    def lookAtSilence(self) -> None:
        """
        Send a ping if nothing has come since silence is awaited, unless none can
        be answered.
        """
        if self._isExcused:
            self._awaitSilence()
        else:
            self.transport.write(PING)
            self._waitsWith = self.settings.pongs.wait(self)

    def lookForPong(self) -> None:
        """
        End the connection if still nothing has come. Anything is as good as a
        pong.
        """
        if self._isExcused:
            self._awaitSilence()
            return
        self.log.warn(
            "{peer} closed: it has not answered a ping for {seconds:g} seconds",
            peer=describe(self.getPeer()),
            seconds=self.settings.pongTimeout,
        )
        self.abortConnection()
