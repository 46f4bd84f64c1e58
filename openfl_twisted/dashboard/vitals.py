"""
The health of a process: event-loop lag, memory, and uptime.
"""

import os
from collections import deque

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_INTERVAL = 0.5
"""
Seconds between two measurements of the lag.
"""

_WINDOW = 10.0
"""
Seconds for which a measured lag counts.
"""


class Vitals:
    """
    The health of this process.
    """

    def __init__(self, clock: IReactorTime) -> None:
        """
        @param clock: the reactor.
        """
        self._clock = clock
        self._began = clock.seconds()
        self._lags: deque[float] = deque(maxlen=int(_WINDOW / _INTERVAL))
        self._due = 0.0
        self._next: IDelayedCall | None = None

    def start(self) -> None:
        """
        Start measuring the lag. Do nothing if it is measured already.
        """
        if self._next is None:
            self._due = self._clock.seconds() + _INTERVAL
            self._next = self._clock.callLater(_INTERVAL, self._measure)

    def stop(self) -> None:
        """
        Stop measuring the lag. L{start} can be called again.
        """
        following, self._next = self._next, None
        if following is not None:
            following.cancel()

    def _measure(self) -> None:
        now = self._clock.seconds()
        self._lags.append(max(0.0, now - self._due))
        self._due = now + _INTERVAL
        self._next = self._clock.callLater(_INTERVAL, self._measure)

    @property
    def lag(self) -> float:
        """
        The greatest delay of a timer in the last 10 seconds (seconds).
        """
        return max(self._lags, default=0.0)

    @property
    def memory(self) -> int | None:
        """
        Resident memory of this process (bytes); C{None} if the system does not report it.
        """
        try:
            with open("/proc/self/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except OSError:
            return None

    @property
    def uptime(self) -> float:
        """
        Time since this object was created (seconds).
        """
        return self._clock.seconds() - self._began
