"""
The vital signs of this process: event-loop lag, memory and uptime.
"""

import mmap
from collections import deque
from pathlib import Path

from twisted.internet.interfaces import IDelayedCall

from openfl_twisted.types import AnyClock

_INTERVAL = 0.25
"""
Time between two measurements of the lag: 0.25 seconds.
"""

_WINDOW = 10.0
"""
Time for which a lag is reported: 10 seconds.
"""

_STATM = Path("/proc/self/statm")
"""
On Linux, the second number in this file is the resident memory of the process (pages).
"""


class Vitals:
    """
    Measures the process. The event-loop lag is how late a repeated timer expires: for this time, a
    handler has delayed all connections.
    """

    def __init__(self, clock: AnyClock) -> None:
        """
        @param clock: an C{IReactorTime} provider.
        """
        self._clock = clock
        self._since = clock.seconds()
        self._due = 0.0
        self._timer: IDelayedCall | None = None
        # When the timer expired, and how late.
        self._lags: deque[tuple[float, float]] = deque(maxlen=int(_WINDOW / _INTERVAL) + 1)

    def start(self) -> None:
        """
        Start the timer that measures the lag. The uptime begins.
        """
        if self._timer is None:
            self._since = self._clock.seconds()
            self._schedule()

    def stop(self) -> None:
        """
        Stop the timer that measures the lag.
        """
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _schedule(self) -> None:
        self._due = self._clock.seconds() + _INTERVAL
        self._timer = self._clock.callLater(_INTERVAL, self._expired)

    def _expired(self) -> None:
        now = self._clock.seconds()
        self._lags.append((now, now - self._due))
        self._schedule()

    @property
    def lag(self) -> float:
        """
        The greatest event-loop lag of the last 10 seconds (seconds).
        """
        now = self._clock.seconds()
        lags = [lag for at, lag in self._lags if now - at <= _WINDOW]
        if self._timer is not None:
            lags.append(now - self._due)
        return max([0.0, *lags])

    @property
    def memory(self) -> int | None:
        """
        The resident memory of the process (bytes); C{None} on systems without C{/proc}, such as
        Windows and macOS.
        """
        try:
            return int(_STATM.read_bytes().split()[1]) * mmap.PAGESIZE
        except (OSError, IndexError, ValueError):
            return None

    @property
    def uptime(self) -> float:
        """
        The time since L{start} was called (seconds).
        """
        return self._clock.seconds() - self._since
