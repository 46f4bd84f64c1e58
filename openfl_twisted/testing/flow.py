"""
One direction of a connection in memory: what is on its way, what has come, and
how it is cut.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from typing import NamedTuple

WINDOW = 128 * 1024
"""
How many bytes a network takes from a writer before the reader has read them,
where nothing else is said: 128 KiB. Beyond it the writer's transport keeps what
is written, and pauses its producer.
"""

# What can be on its way besides bytes: the end of what is sent (FIN), and a reset (RST).
_FINISH, _RESET = b"", None


class _Packet(NamedTuple):
    """
    Something on its way.
    """

    time: float
    data: bytes | None


class Flow:
    """
    The bytes that one side of a connection sends to the other, with the hands
    of a test on them.

    Each segment is one C{dataReceived} at the reader (the reader's transport
    takes at most 64 KiB at a time). Without L{cut} a segment is what the
    writer's transport has handed over at once, which is what was written in one
    turn of the reactor.

    @ivar latency: how long a segment is on its way, in seconds; for those that
        are written from now on.
    @ivar window: how many bytes are taken before the reader has read them; see
        L{WINDOW}.
    @ivar unread: how many bytes have come that the reader has not read.
    @ivar inFlight: how many bytes are on their way.
    @ivar delivered: how many bytes have come, ever.
    @ivar finished: whether the end of what is sent (FIN) has come.
    @ivar stalled: whether the reader does not read; see L{stall}.
    @ivar closed: whether the reader's socket is closed.
    @ivar onRefused: called when bytes come to a socket that is closed.
    @ivar onReset: called when a reset comes.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        moving: Callable[["Flow"], object],
        *,
        latency: float = 0,
        window: int = WINDOW,
        segments: Iterable[int] = (),
    ) -> None:
        """
        @param seconds: tells the time.
        @param moving: called when something is on its way that was not.
        @param latency: see the attribute.
        @param window: see the attribute.
        @param segments: see L{cut}.
        """
        self.latency = latency
        self.window = window
        self.unread = self.inFlight = self.delivered = 0
        self.finished = self.stalled = False
        self.closed = False
        self.onRefused: Callable[[], object] = lambda: None
        self.onReset: Callable[[], object] = lambda: None
        self._seconds = seconds
        self._moving = moving
        self._flying: deque[_Packet] = deque()
        self._arrived: deque[memoryview] = deque()
        self._held = self._dropped = self._ended = False
        self._sizes: Iterator[int] = iter(())
        self._left = 0
        self.cut(segments)

    # What a test does

    def cut(self, sizes: Iterable[int]) -> None:
        """
        Cut what is written from now on: the first segment ends after so many
        bytes, the next one after so many more, and so on; what comes after them
        is not cut. A segment is shorter where fewer bytes have been written:
        nothing waits for more.

        C{cut(itertools.repeat(1))} makes each byte a segment; a list of numbers
        from Hypothesis makes any cut there is.

        @param sizes: the sizes in bytes; those that are not above 0 do not
            count.
        """
        self._sizes = (size for size in sizes if size > 0)
        self._left = 0

    def hold(self) -> None:
        """
        Have nothing arrive until L{release}; not the end either.
        """
        self._held = True

    def release(self, segments: int | None = None) -> None:
        """
        Have arrive what is held.

        @param segments: how many segments arrive now (the end is one), while
            the rest is held; C{None} for all, and what is written later too.
        """
        if segments is None:
            self._held = False
        elif not self._dropped:
            for _ in range(min(segments, len(self._flying))):
                self._arrive(self._flying.popleft().data)
        self._moving(self)

    def drop(self) -> None:
        """
        Have nothing arrive any more, for good, as if a cable was pulled: bytes,
        the end and resets are lost, and nobody is told.
        """
        self._dropped = True

    def stall(self) -> None:
        """
        Have the reader not read, as if its program was busy. What comes waits,
        up to C{window}; then the writer's transport keeps what is written.
        """
        self.stalled = True

    def resume(self) -> None:
        """
        Have the reader read again.
        """
        self.stalled = False

    # What the sockets do

    @property
    def room(self) -> int:
        """
        How many bytes are taken now.
        """
        return max(0, self.window - self.inFlight - self.unread)

    @property
    def hasRoom(self) -> bool:
        """
        Whether it is worth while to write: whether a third of the window is
        free. This is Linux's rule, without which a reader of single bytes would
        make a writer of single bytes.
        """
        return 0 < self.window <= 3 * self.room

    @property
    def waiting(self) -> bool:
        """
        Whether something has come that the reader could take.
        """
        return bool(self._arrived) or self.finished

    def write(self, data: bytes | memoryview) -> int:
        """
        Take bytes from the writer.

        @param data: the bytes; they are copied.
        @return: how many were taken: as many as there is room for.
        """
        view = memoryview(data)[: self.room]
        taken = len(view)
        while view:
            if not self._left:
                self._left = next(self._sizes, 0) or len(view)
            piece = view[: self._left]
            self._left -= len(piece)
            view = view[len(piece) :]
            self._send(bytes(piece))
        self.inFlight += taken
        return taken

    def finish(self) -> None:
        """
        Send the end.
        """
        if not self._ended:
            self._ended = True
            self._send(_FINISH)

    def abort(self) -> None:
        """
        Send a reset, behind what was sent before.
        """
        self._ended = True
        self._send(_RESET)

    def read(self, size: int) -> bytes:
        """
        Give a segment to the reader.

        @param size: how many bytes it wants at most; the rest of a longer
            segment is the next one.
        @return: the bytes; none if there are none.
        """
        if not self._arrived:
            return b""
        head = self._arrived[0]
        if len(head) <= size:
            self._arrived.popleft()
        else:
            self._arrived[0] = head[size:]
        data = bytes(head[:size])
        self.unread -= len(data)
        return data

    def lose(self) -> None:
        """
        Lose what is on its way.
        """
        self._flying.clear()
        self.inFlight = 0

    def _send(self, data: bytes | None) -> None:
        self._flying.append(_Packet(self._seconds() + self.latency, data))
        self._moving(self)

    # What the network does

    @property
    def next(self) -> float | None:
        """
        When the next segment arrives; C{None} if none does.
        """
        if not self._flying or self._held or self._dropped:
            return None
        return self._flying[0].time

    def deliver(self, now: float) -> None:
        """
        Have arrive what is due.

        @param now: the time, in seconds of the network's clock.
        """
        while (time := self.next) is not None and time <= now:
            self._arrive(self._flying.popleft().data)

    def _arrive(self, data: bytes | None) -> None:
        if data is _RESET:
            self.onReset()
        elif not data:
            self.finished = True
        else:
            self.inFlight -= len(data)
            self.delivered += len(data)
            if self.closed:
                self.onRefused()
            else:
                self.unread += len(data)
                self._arrived.append(memoryview(data))


def everyByte() -> Iterable[int]:
    """
    Make sizes for L{Flow.cut} with which each byte is a segment of its own.

    @return: ones, without an end.
    """
    return repeat(1)


def cutAt(*places: int) -> Iterable[int]:
    """
    Make sizes for L{Flow.cut} from places in the stream: C{cutAt(2, 5)} makes
    segments of 2 and of 3 bytes, and leaves the rest as it is.

    @param places: how many bytes are before each cut, in any order.
    @return: the sizes; one that is not above 0 does not count.
    """
    ordered = sorted(places)
    return [end - begin for begin, end in zip(chain([0], ordered), ordered, strict=False)]
