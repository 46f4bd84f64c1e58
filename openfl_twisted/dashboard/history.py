"""
The history of a server: samples of its counters for one hour.
"""

from collections import deque
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any, NamedTuple

SAMPLING = 10.0
"""
Seconds between two samples.
"""

MAX_SAMPLES = 360
"""
Maximum number of samples; the oldest sample is dropped.
"""


class Sample(NamedTuple):
    """
    The state of a server at one point in time, and its traffic since the previous sample.

    @ivar time: when the sample was taken (seconds).
    @ivar clients: number of clients.
    @ivar messagesIn: number of messages received since the previous sample.
    @ivar messagesOut: number of messages sent since the previous sample.
    @ivar bytesIn: number of bytes received since the previous sample.
    @ivar bytesOut: number of bytes sent since the previous sample.
    @ivar lag: the greatest event-loop lag of all processes (seconds).
    """

    time: float
    clients: int
    messagesIn: int
    messagesOut: int
    bytesIn: int
    bytesOut: int
    lag: float


class History:
    """
    The samples of the last hour.

    @ivar count: number of samples taken, including samples that were dropped.
    """

    def __init__(self) -> None:
        self.count = 0
        self._samples: deque[Sample] = deque(maxlen=MAX_SAMPLES)
        # The counters of each process at its last sample.
        self._totals: dict[int, list[int]] = {}

    def add(
        self, time: float, reports: Mapping[int, dict[str, Any]], running: Collection[int]
    ) -> None:
        """
        Add a sample.

        @param time: the current time (seconds).
        @param reports: the counters of each process that has answered, see
            L{DashboardState.counters<openfl_twisted.dashboard.streams.DashboardState.counters>}.
        @param running: the running processes. The counters of all other processes are dropped.
        """
        traffic = [0] * 4
        for process, report in reports.items():
            before = self._totals.get(process, [0, 0, 0, 0])
            self._totals[process] = report["totals"]
            traffic = [
                total + now - then
                for total, now, then in zip(traffic, report["totals"], before, strict=True)
            ]
        self._totals = {key: value for key, value in self._totals.items() if key in running}
        clients = sum(report["clients"] for report in reports.values())
        lag = max((report["lag"] for report in reports.values()), default=0.0)
        self._samples.append(Sample._make([time, clients, *traffic, lag]))
        self.count += 1

    def since(self, count: int) -> list[Sample]:
        """
        Return the samples after the first ones.

        @param count: number of samples to omit, see L{count}; 0 for all samples.
        @return: the samples, oldest first.
        """
        dropped = self.count - len(self._samples)
        return list(islice(self._samples, max(0, count - dropped), None))
