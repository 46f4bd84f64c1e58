"""
The connections on an in-memory network, and the faults of each direction.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, repeat
from typing import Any

from openfl_twisted.testing._settings import Setting, checkCount, checkSeconds

WINDOW = 128 * 1024
"""
Default maximum number of bytes in flight or unread (128 KiB). Above this number, the writer's
transport buffers further data and pauses its producer.
"""

# The segments that carry no data: FIN and RST.
_FIN, _RST = b"", None


class Flow:
    """
    The bytes sent in one direction of a connection. A test can split, delay and drop the
    bytes, and stall the reader.

    Each segment, up to 64 KiB, results in one call of the reader's C{dataReceived}. Without
    L{split}, a segment contains all data written in one iteration of the reactor.

    @ivar latency: the delay of segments (seconds). A change applies only to segments written
        later.
    @ivar window: the maximum number of bytes in flight or unread; see L{WINDOW}.
    @ivar unread: number of bytes that have arrived but were not read yet.
    @ivar inFlight: number of bytes that were sent but have not arrived yet.
    @ivar delivered: number of bytes that have arrived in total.
    @ivar finished: whether the FIN has arrived.
    @ivar stalled: whether the reader was stopped by L{stall}.
    @ivar closed: whether the reader's socket is closed.
    @ivar onRefused: called when data arrives at a closed socket (internal).
    @ivar onReset: called when a RST arrives (internal).
    """

    # Without a dictionary, assigning a misspelt attribute raises AttributeError.
    __slots__ = (
        "_arrived",
        "_dropped",
        "_ended",
        "_flying",
        "_held",
        "_latency",
        "_left",
        "_moving",
        "_seconds",
        "_sizes",
        "_window",
        "closed",
        "delivered",
        "finished",
        "inFlight",
        "onRefused",
        "onReset",
        "stalled",
        "unread",
    )

    latency = Setting(checkSeconds)
    window = Setting(checkCount)

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
        @param seconds: returns the current time.
        @param moving: called with the flow when a segment is sent.
        @param segments: the sizes of the segments, see L{split}.
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
        # The arrival time and the data of each segment in flight.
        self._flying: deque[tuple[float, bytes | None]] = deque()
        self._arrived: deque[memoryview] = deque()
        self._held = self._dropped = self._ended = False
        self._sizes: Iterator[int] = iter(())
        self._left = 0
        self.split(segments)

    # For tests

    def split(self, sizes: Iterable[int]) -> None:
        """
        Split data that is written after this call into segments of the given sizes. When all
        sizes are used, further data is not split. A segment is smaller than its size if less
        data is written in one iteration.

        C{split(EVERY_BYTE)} sends each byte in a separate segment, and C{split(atOffsets(2,
        5))} splits the stream at these offsets. A list of integers from Hypothesis splits the
        stream at random places.

        @param sizes: the sizes (bytes); sizes below 1 are ignored.
        @raise TypeError: if the sizes are not an iterable of integers.
        """
        self._sizes = (size for size in checkSizes("sizes", sizes) if size > 0)
        self._left = 0

    def hold(self) -> None:
        """
        Delay all segments, including the FIN, until L{release} is called.
        """
        self._held = True

    def release(self, segments: int | None = None) -> None:
        """
        Deliver delayed segments.

        @param segments: the number of segments to deliver now, while all other segments stay
            delayed. The FIN counts as a segment. By default, all delayed segments are
            delivered, and later segments are not delayed.
        @raise TypeError: if the number is not an integer.
        @raise ValueError: if the number is negative.
        """
        if segments is None:
            self._held = False
        elif not self._dropped:
            number = checkCount("release(): the number of segments", segments)
            for _ in range(min(number, len(self._flying))):
                self._arrive()
        self._moving(self)

    def drop(self) -> None:
        """
        Drop all segments sent after this call, including FIN and RST, as if a cable had been
        unplugged. Neither side is notified.
        """
        self._dropped = True

    def stall(self) -> None:
        """
        Stop the reader from reading, as if the reader's program were busy. Up to C{window}
        bytes arrive but stay unread. Further data is buffered by the writer's transport.
        """
        self.stalled = True

    def resume(self) -> None:
        """
        Let the reader read again after L{stall}.
        """
        self.stalled = False

    # For sockets

    @property
    def free(self) -> int:
        """
        Number of bytes that L{write} currently accepts.
        """
        return max(0, self.window - self.inFlight - self.unread)

    @property
    def writable(self) -> bool:
        """
        Whether at least a third of the window is free. Linux uses the same rule to avoid tiny
        writes when the reader reads tiny amounts.
        """
        return 0 < self.window <= 3 * self.free

    @property
    def readable(self) -> bool:
        """
        Whether data or the FIN has arrived.
        """
        return bool(self._arrived) or self.finished

    def write(self, data: bytes | memoryview) -> int:
        """
        Send bytes.

        @param data: the bytes, which are copied.
        @return: number of bytes accepted; at most L{free}.
        """
        view = memoryview(data)[: self.free]
        accepted = len(view)
        while view:
            if not self._left:
                self._left = next(self._sizes, 0) or len(view)
            segment = view[: self._left]
            self._left -= len(segment)
            view = view[len(segment) :]
            self._send(bytes(segment))
        self.inFlight += accepted
        return accepted

    def finish(self) -> None:
        """
        Send a FIN. Further calls have no effect.
        """
        if not self._ended:
            self._ended = True
            self._send(_FIN)

    def abort(self) -> None:
        """
        Send a RST after the data in flight.
        """
        self._ended = True
        self._send(_RST)

    def read(self, size: int) -> bytes:
        """
        Read a segment.

        @param size: the maximum number of bytes. The rest of a larger segment is returned by
            the next call.
        @return: the bytes; empty if there is no data.
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
        Drop the segments in flight.
        """
        self._flying.clear()
        self.inFlight = 0

    def _send(self, data: bytes | None) -> None:
        self._flying.append((self._seconds() + self.latency, data))
        self._moving(self)

    # For the network

    @property
    def next(self) -> float | None:
        """
        Arrival time of the next segment; C{None} if no segment will arrive.
        """
        if not self._flying or self._held or self._dropped:
            return None
        return self._flying[0][0]

    def deliver(self, now: float) -> None:
        """
        Deliver the segments that are due.

        @param now: the current time (seconds).
        """
        while (time := self.next) is not None and time <= now:
            self._arrive()

    def _arrive(self) -> None:
        _, data = self._flying.popleft()
        if data is _RST:
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


class MemoryConnection:
    """
    A connection on an in-memory network.

    @ivar toServer: the data that the client sends.
    @ivar toClient: the data that the server sends.
    """

    def __init__(self, toServer: Flow, toClient: Flow) -> None:
        self.toServer = toServer
        self.toClient = toClient

    @property
    def closed(self) -> bool:
        """
        Whether both sides have closed the connection.
        """
        return self.toServer.closed and self.toClient.closed

    def reset(self) -> None:
        """
        Reset the connection on both sides, like a router that has lost its state. Data in
        flight is lost, and both protocols are notified with C{ConnectionLost} in the next
        iteration of the reactor.
        """
        for flow in (self.toClient, self.toServer):
            flow.lose()
            flow.onReset()

    def drop(self) -> None:
        """
        Drop all further segments in both directions, see L{Flow.drop}.
        """
        self.toServer.drop()
        self.toClient.drop()


class _EveryByte:
    def __iter__(self) -> Iterator[int]:
        return repeat(1)

    def __repr__(self) -> str:
        return "EVERY_BYTE"


EVERY_BYTE: Iterable[int] = _EveryByte()
"""
The sizes for L{Flow.split} that put each byte into a separate segment.
"""


def atOffsets(*offsets: int) -> Iterable[int]:
    """
    Return the sizes for L{Flow.split} that split the stream at given offsets:
    C{split(atOffsets(2, 5))} makes segments of 2 and 3 bytes, and does not split the rest.

    @param offsets: the offsets, in any order (bytes).
    @return: the size of each segment (bytes).
    @raise TypeError: if an offset is not an integer.
    @raise ValueError: if an offset is negative.
    """
    ordered = sorted(checkCount("atOffsets(): an offset", each) for each in offsets)
    return [end - begin for begin, end in zip(chain([0], ordered), ordered, strict=False)]


def checkSizes(name: str, sizes: Any) -> Iterable[int]:
    """
    Check the sizes of segments.

    @param name: the name of the parameter or attribute, for the error.
    @return: the sizes.
    @raise TypeError: if the sizes are not an iterable of integers.
    """
    isText = isinstance(sizes, str | bytes)
    isWrong = isText or not isinstance(sizes, Iterable)
    if isWrong or (isinstance(sizes, list | tuple) and not all(isinstance(n, int) for n in sizes)):
        raise TypeError(
            f"{name} must be the sizes of segments in bytes, such as [2, 3], EVERY_BYTE or"
            f" atOffsets(2, 5), not {sizes!r:.80}"
        )
    return sizes  # type: ignore[no-any-return]
