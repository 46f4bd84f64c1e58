"""
Measurements for the metrics (C{--metrics}): the sizes of messages, the time in handlers, the round
trips of WebSocket pings, and the vital signs of the process.

Without C{--metrics}, this module is not imported, and nothing is measured. With it, up to
L{_MAX_MEASURED} connections have a tap, see L{openfl_twisted.transports.tap}.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.dashboard.vitals import Vitals
from openfl_twisted.logs import buildProtocol
from openfl_twisted.transports.connection import Connection, Owner
from openfl_twisted.transports.tap import Tap
from openfl_twisted.transports.wrapper import ConnectionWrapper, WrapperFactory
from openfl_twisted.types import AnyClock, AnyFactory
from openfl_twisted.wire.framing import Prefixed, Terminated

_MAX_MEASURED = 100
"""
Maximum number of connections that are measured at the same time. With more clients, the messages
and handlers of a sample are measured, so that the cost is limited.
"""

# The upper bounds of the buckets. Messages from 16 bytes to 4 MiB:
_SIZES = tuple(float(4**power) for power in range(2, 12))

# Handlers from 10 microseconds to 5 seconds:
_DURATIONS = (1e-05, 0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)

# Round trips from 1 millisecond to 20 seconds:
_ROUND_TRIPS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)


class Histogram:
    """
    Counts values by their magnitude.

    @ivar bounds: the upper bounds of the buckets, ascending.
    @ivar counts: the number of values in each bucket; the last one has no upper bound.
    @ivar total: the sum of all values.
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """
        @param bounds: see L{bounds}.
        """
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """
        Count a value.

        @param times: the number of equal values.
        """
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times


class Measurements:
    """
    The measurements of a server.

    @ivar clock: the clock.
    @ivar vitals: the vital signs of the process.
    @ivar received: the sizes of received messages (bytes).
    @ivar sent: the sizes of sent messages (bytes).
    @ivar handlers: the time in the handlers for each read, or for each WebSocket message (seconds).
    @ivar pings: the round trips of WebSocket pings (seconds).
    @ivar hasClients: whether the messages of clients are measured.
    @ivar measured: the number of open connections that are measured.
    @ivar seconds: returns the time for L{handlers}.
    """

    def __init__(
        self, clock: AnyClock | None = None, seconds: Callable[[], float] = perf_counter
    ) -> None:
        """
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        self.clock = clockOrReactor(clock)
        self.seconds = seconds
        self.vitals = Vitals(self.clock)
        self.received = Histogram(_SIZES)
        self.sent = Histogram(_SIZES)
        self.handlers = Histogram(_DURATIONS)
        self.pings = Histogram(_ROUND_TRIPS)
        self.hasClients = False
        self.measured = 0

    def start(self) -> None:
        """
        Start measuring the event-loop lag.
        """
        self.vitals.start()

    def stop(self) -> None:
        """
        Stop measuring the event-loop lag.
        """
        self.vitals.stop()


class _Counter(Protocol):
    """
    Counts the messages of one direction of a connection. It holds no data.
    """

    def take(self, data: bytes) -> None:
        """
        Count the messages that the data completes.
        """


class _TerminatedCounter:
    """
    Counts messages that end with a terminator of one byte.
    """

    __slots__ = ("_begun", "_end", "_histogram")

    def __init__(self, end: bytes, histogram: Histogram) -> None:
        self._end = end
        self._histogram = histogram
        # The length of the incomplete message.
        self._begun = 0

    def take(self, data: bytes) -> None:
        histogram, length = self._histogram, len(data)
        end = data.find(self._end) + 1
        if 0 < end == length and not self._begun:
            # The usual case: one message. L{Histogram.observe}, inlined for speed.
            histogram.counts[bisect_left(histogram.bounds, length)] += 1
            histogram.total += length
            return
        if end:
            histogram.observe(self._begun + end)
            self._begun = 0
        if end < length:
            *messages, rest = data[end:].split(self._end)
            # Many messages usually have few different lengths, and are counted in C.
            for size, times in Counter(map(len, messages)).items():
                histogram.observe(size + 1, times)
            self._begun += len(rest)


class _PrefixedCounter:
    """
    Counts messages that begin with their length.
    """

    __slots__ = ("_framing", "_head", "_histogram", "_missing", "_size")

    def __init__(self, framing: Prefixed, histogram: Histogram) -> None:
        self._framing = framing
        self._histogram = histogram
        # The size of the incomplete message, and the number of bytes that it needs; 0 while its
        # length is incomplete, which is held.
        self._size = self._missing = 0
        self._head = b""

    def take(self, data: bytes) -> None:
        if self._missing > len(data):
            self._missing -= len(data)
            return
        if self._missing:
            self._histogram.observe(self._size)
            data, self._missing = data[self._missing :], 0
        data = self._head + data
        ends, length = self._framing.ends(data)
        start = 0
        for end in ends:
            self._histogram.observe(end - start)
            start = end
        self._head = data[start:]
        if len(self._head) >= self._framing.extra:
            self._size, self._missing, self._head = length, length - len(self._head), b""


class _RawCounter:
    """
    Counts each chunk as a message.
    """

    __slots__ = ("_histogram",)

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram

    def take(self, data: bytes) -> None:
        self._histogram.observe(len(data))


def _counterOf(dialect: object, histogram: Histogram) -> _Counter:
    """
    Return a counter for a dialect. Messages of AMF and of an application's own dialect are not
    divided, because each would be decoded a second time.
    """
    if isinstance(dialect, Terminated):
        return _TerminatedCounter(dialect.frame(b"")[-1:], histogram)
    if isinstance(dialect, Prefixed):
        return _PrefixedCounter(dialect, histogram)
    return _RawCounter(histogram)


class _Sizes:
    """
    Counts the messages of a connection: an observer of its tap.

    @ivar received: counts received data.
    @ivar written: counts written data.
    """

    __slots__ = ("_measurements", "received", "written")

    received: Callable[[bytes], object]
    written: Callable[[bytes], object]

    def __init__(self, measurements: Measurements, dialect: object) -> None:
        self._measurements = measurements
        # Attributes instead of methods, because they are called for each message.
        self.received = _counterOf(dialect, measurements.received).take
        self.written = _counterOf(dialect, measurements.sent).take

    def ended(self, byPeer: bool, isLost: bool) -> None:
        """
        Let another connection be measured. An incomplete message is not counted.
        """
        self._measurements.measured -= 1


class _MeasuringTap(Tap):
    """
    A tap that measures the time in the protocol.
    """

    __slots__ = ("_measurements",)

    def __init__(self, connection: Connection, measurements: Measurements, dialect: object) -> None:
        super().__init__(connection)
        self._measurements = measurements
        self.add(_Sizes(measurements, dialect))
        if self._observers:
            # The connection is not lost yet.
            measurements.measured += 1

    def dataReceived(self, data: bytes) -> None:
        measurements, observers = self._measurements, self._observers
        began = measurements.seconds()
        if len(observers) == 1 and self._connection.protocol is self:
            # The usual case, without further calls.
            observers[0].received(data)
            self.protocol.dataReceived(data)
        else:
            super().dataReceived(data)
        measurements.handlers.observe(measurements.seconds() - began)

    def bufferReceived(self, owner: Owner, data: bytes) -> None:
        measurements = self._measurements
        began = measurements.seconds()
        super().bufferReceived(owner, data)
        measurements.handlers.observe(measurements.seconds() - began)


class MeasuringFactory(WrapperFactory[Any]):
    """
    Measures the connections of another factory. It belongs between a
    L{OnePortFactory<openfl_twisted.protocols.OnePortFactory>} and the factory of the application,
    and wraps a factory that records.
    """

    kind = "measured"

    def __init__(
        self, wrappedFactory: AnyFactory, measurements: Measurements, dialect: object
    ) -> None:
        """
        @param wrappedFactory: the factory of the measured protocols.
        @param measurements: the measurements to add to.
        @param dialect: the dialect of the clients, see L{openfl_twisted.wire.dialects}. If its
            messages have a terminator or a length, they are counted. Otherwise, each read, write,
            or WebSocket message is counted.
        """
        super().__init__(wrappedFactory)
        self._measurements = measurements
        self._dialect = dialect
        measurements.hasClients = True

    def logPrefix(self) -> str:
        return super().logPrefix().removesuffix(f" ({self.kind})")

    def buildProtocol(self, addr: IAddress | None) -> Any:
        wrapped = buildProtocol(self.wrappedFactory, addr)
        if wrapped is None:
            return None
        return ConnectionWrapper(wrapped, self._measurements.clock, self._begin)

    def _begin(self, connection: Connection, protocol: Any) -> None:
        if self._measurements.measured < _MAX_MEASURED:
            _MeasuringTap(connection, self._measurements, self._dialect)
        protocol.makeConnection(connection)
