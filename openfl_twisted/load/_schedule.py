"""
A schedule of evenly spaced calls.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

# Minimum time between two calls of the reactor (seconds). Several calls of the schedule can be due
# at the same time.
_TICK = 0.001


class Schedule:
    """
    Calls a function with the numbers from 0, evenly spaced in time, with one timer. The calls
    do not wait for each other. If the process is late, the missed calls are made immediately,
    but at most a limited number; older ones are dropped.

    @ivar ended: fires after the last call, or when the schedule is stopped.
    @ivar dropped: number of dropped calls.
    @ivar latest: the longest time by which a call was late (seconds).
    """

    def __init__(
        self,
        clock: IReactorTime,
        now: Callable[[], float],
        do: Callable[[int], object],
        count: int,
        perSecond: float,
        maxMissed: int,
    ) -> None:
        """
        @param clock: the clock of the timer.
        @param now: returns the time; unlike a clock, it cannot be set (seconds).
        @param do: called with each number.
        @param count: the number of calls.
        @param perSecond: the number of calls per second.
        @param maxMissed: the maximum number of missed calls that are made immediately.
        """
        self.ended: Deferred[None] = Deferred()
        self.dropped = 0
        self.latest = 0.0
        self._clock = clock
        self._now = now
        self._do = do
        self._count = count
        self._perSecond = perSecond
        self._maxMissed = maxMissed
        self._next = 0
        self._start = 0.0
        self._timer: IDelayedCall | None = None
        self._over = False

    def start(self) -> None:
        """
        Make the first call, and start the timer.
        """
        self._start = self._now()
        self._tick()

    def stop(self) -> None:
        """
        Make no further calls; C{ended} fires.
        """
        if not self._over:
            self._over = True
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            self.ended.callback(None)

    def catchUp(self) -> None:
        """
        Make the calls that are due now.
        """
        if not self._over:
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            self._tick()

    def _tick(self) -> None:
        elapsed = self._now() - self._start
        due = min(int(elapsed * self._perSecond) + 1, self._count)
        self.latest = max(self.latest, elapsed - self._next / self._perSecond)
        missed = due - self._next - self._maxMissed
        if missed > 0:
            self.dropped += missed
            self._next += missed
        while self._next < due and not self._over:
            self._next += 1
            self._do(self._next - 1)
        if self._over:
            return
        if self._next >= self._count:
            self.stop()
            return
        delay = self._next / self._perSecond - elapsed
        self._timer = self._clock.callLater(max(delay, _TICK), self._tick)
