"""
What comes in a WebSocket, on its way to the protocol behind: given while that
reads, held while it does not.
"""

from collections import deque
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.producing import ProducingProtocol
from openfl_twisted.wire.websocket.frames import Arrival, End, Pings, WebSocketFrames
from openfl_twisted.wire.websocket.messages import makePongs

# Nothing waits, as it is most of the time for most connections; never changed.
_NOTHING: deque[Any] = deque()


class WebSocketReader(ProducingProtocol):
    """
    Reads frames, and gives what is in them to a protocol. Subclasses say what a
    frame that ends the connection does, see L{closeCame}.

    @ivar wrappedProtocol: the protocol, as long as it is connected.
    @ivar disconnecting: whether the connection is being closed by this side.
    @ivar lost: whether it is lost. What came before the end is still given to a
        protocol that reads again, and then the end.
    """

    log = packageLogger()

    __slots__ = (
        "_arrived",
        "_closeSent",
        "_ended",
        "_frames",
        "_heard",
        "_paused",
        "_reading",
        "_stopped",
        "_unread",
        "disconnecting",
        "lost",
        "wrappedProtocol",
    )

    _turn: IDelayedCall | None = None
    # The ping that came last while there was no room for its answer.
    _ping: bytes | None = None
    _frames: WebSocketFrames
    # What waits to be dealt with: arrivals, and behind them what has not been looked at.
    _arrived: deque[Arrival]
    _unread: deque[bytes]

    def __init__(self) -> None:
        super().__init__()
        self.wrappedProtocol: Any = None
        self.disconnecting = False
        self.lost = False
        self._forgetHeld()
        self._paused = False
        self._reading = False
        # Whether the transport beneath does not read: for a pause, or for a turn of the reactor.
        self._stopped = False
        # Whether nothing that comes counts any more.
        self._ended = False
        self._closeSent = False
        # Whether anything has come since it was last looked.
        self._heard = False

    def framesReceived(self, data: bytes) -> None:
        """
        Take what comes: nearly always it is messages, which are given at once.

        @param data: the bytes of frames, cut as the network cut them.
        """
        self._heard = True
        frames = self._frames
        if self._reading or self._stopped or self.disconnecting or frames.compressed:
            self._hold(data)
            self._readOn()
            return
        arrived = frames.receive(data)
        if frames.unfinished:
            self._unread = deque((b"",))
            self._arrived = deque(arrived)
            self._readOn()
            return
        if not arrived:
            return
        if len(arrived) > 1 or type(arrived[0]) is not bytes:
            self._arrived = deque(arrived)
            self._readOn()
            return
        self._reading = True
        try:
            self.wrappedProtocol.dataReceived(arrived[0])
        except BaseException:
            self._ended = True
            raise
        finally:
            self._reading = False
        if self._unread or self.lost:
            # Both came within the read.
            self._readOn()

    def _hold(self, data: bytes) -> None:
        """
        Let something wait to be dealt with.
        """
        if not self._unread:
            self._unread = deque()
        length = self._frames.pieceLength or len(data)
        self._unread.extend([data[at : at + length] for at in range(0, len(data), length or 1)])

    @property
    def _waiting(self) -> bool:
        """
        Whether something has come that has not been dealt with.
        """
        return not self._ended and bool(self._arrived or self._unread)

    def _readOn(self) -> None:
        """
        Deal with what has come, while this side reads; but with one full payload,
        or the frames that one call reads, at most before others get a turn.
        """
        if self._reading or self._turn is not None:
            return
        self._reading = True
        taken = 0
        try:
            while self._waiting and not self._paused:
                if taken >= self._frames.maxPayload:
                    self._giveTurn()
                    return
                if not self._arrived:
                    self._arrived = deque(self._frames.receive(self._unread.popleft()))
                    if self._frames.unfinished:
                        self._unread.appendleft(b"")
                        taken = self._frames.maxPayload
                    continue
                arrival = self._arrived.popleft()
                if isinstance(arrival, bytes):
                    taken += len(arrival)
                self._take(arrival)
        except BaseException:
            # The reactor ends the connection; until then the wrapped protocol gets nothing more.
            self._ended = True
            raise
        finally:
            self._reading = False
        if not self._waiting:
            self._forgetHeld()
            if self.lost:
                self.passEnd()

    def _forgetHeld(self) -> None:
        """
        Let nothing wait, and take no memory for it.
        """
        self._arrived = _NOTHING
        self._unread = _NOTHING

    def _take(self, arrival: Arrival) -> None:
        """
        Deal with one thing that has come.
        """
        match arrival:
            case End():
                self.closeCame(arrival)
            case Pings(payloads):
                if self.full:
                    # One who sends pings and does not read gets no heap of answers.
                    self._ping = payloads[-1]
                elif self._open:
                    self.transport.write(makePongs(payloads))
            case _:
                if not self.disconnecting:
                    self.wrappedProtocol.dataReceived(arrival)

    @property
    def _open(self) -> bool:
        """
        Whether the peer can be sent anything.
        """
        return not (self._closeSent or self._ended or self.lost)

    def roomAgain(self) -> None:
        """
        Answer the ping that came last while there was no room. Room is also a
        sign of the peer: it has read.
        """
        self._heard = True
        if self._ping is not None and self._open:
            self.transport.write(makePongs([self._ping]))
        self._ping = None

    # Turns and pauses

    def _giveTurn(self) -> None:
        """
        Let the reactor see to others before this side reads on.
        """
        self._stopBeneath()
        self._turn = self.clock.callLater(0, self._turnOver)

    def _turnOver(self) -> None:
        self._turn = None
        self._goOn()

    def _goOn(self) -> None:
        """
        Deal with what has come, and read from the peer again.
        """
        # It could not be heard meanwhile.
        self._heard = True
        try:
            self._readOn()
        except Exception:
            # This is no read, after which the reactor would end the connection.
            self.log.failure("{peer} has failed", peer=describe(self.getPeer()))
            self.abortConnection()
        if self._turn is None and not self._paused and not self._ended:
            self._readBeneath()

    def _stopBeneath(self) -> None:
        """
        Have the transport beneath read nothing.
        """
        if not self._stopped and not self.lost:
            self._stopped = True
            self.transport.pauseProducing()

    def _readBeneath(self) -> None:
        """
        Have the transport beneath read again.
        """
        if self._stopped and not self.lost:
            self._stopped = False
            self.transport.resumeProducing()

    def pauseProducing(self) -> None:
        """
        Stop reading from the peer.
        """
        if not self._ended and not self._closeSent:
            self._paused = True
            self._stopBeneath()

    def resumeProducing(self) -> None:
        """
        Read from the peer again.
        """
        if self._paused and not self._ended:
            self._paused = False
            self._goOn()

    def takeNoMore(self) -> None:
        """
        Let nothing that has come count any more.
        """
        self.disconnecting = self._ended = True
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None

    # For subclasses

    @property
    def clock(self) -> IReactorTime:
        """
        The time.
        """
        raise NotImplementedError

    def getPeer(self) -> IAddress:
        """
        Get the address of the other side.
        """
        raise NotImplementedError

    def abortConnection(self) -> None:
        """
        Close the connection now.
        """
        raise NotImplementedError

    def closeCame(self, end: End) -> None:
        """
        The peer has sent its Close, or something that is not allowed.

        @param end: the code and the words, how to answer, and whether it is a
            mistake of the peer.
        """
        raise NotImplementedError

    def passEnd(self) -> None:
        """
        Tell the protocol that the connection is lost.
        """
        raise NotImplementedError
