"""
Many who wait equally long: one timer for all of them.

A timer for each connection takes more memory than all else that an idle one
needs.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from openfl_twisted.logs import packageLogger

T = TypeVar("T")

# Who comes within this part of the time goes with those who came just before.
_PART = 1 / 64


class Group(Generic[T]):
    """
    Those who came at about the same time.

    @ivar waiters: who still waits.
    @ivar began: when the first of them came.
    @ivar due: when the time of the last of them is over.
    """

    __slots__ = ("_timer", "began", "due", "waiters")

    def __init__(self, timer: "SharedTimer[T]", began: float) -> None:
        """
        @param timer: is told when somebody leaves.
        @param began: when the first of them came, in seconds by the timer's
            clock.
        """
        self._timer = timer
        self.waiters: set[T] = set()
        self.began = self.due = began

    def leave(self, waiter: T) -> None:
        """
        Wait no more; nothing if the time is over.

        @param waiter: who came with this group.
        """
        if waiter in self.waiters:
            self.waiters.remove(waiter)
            self._timer.left()


class SharedTimer(Generic[T]):
    """
    Calls for each who waits when his time is over: not before that, and no more
    than a 64th of it later.
    """

    log = packageLogger()

    def __init__(self, clock: IReactorTime, seconds: float, over: Callable[[T], object]) -> None:
        """
        @param clock: for the time.
        @param seconds: how long everybody waits.
        @param over: called with somebody whose time is over; he then waits no
            more.
        """
        self._clock = clock
        self._seconds = seconds
        self._over = over
        self._groups: deque[Group[T]] = deque()
        self._count = 0
        self._call: IDelayedCall | None = None
        # When the call is to come: a sum of times can differ by a hair from that.
        self._due = 0.0

    def wait(self, waiter: T) -> Group[T]:
        """
        Begin to wait.

        @param waiter: who waits; it is kept in a set, and may not be waiting
            already.
        @return: with whom, to leave before the time is over.
        """
        now = self._clock.seconds()
        if not self._groups or now - self._groups[-1].began > self._seconds * _PART:
            self._groups.append(Group(self, now))
        group = self._groups[-1]
        group.due = now + self._seconds
        group.waiters.add(waiter)
        self._count += 1
        self._callIfNeeded(now)
        return group

    def left(self) -> None:
        """
        Hear that somebody waits no more.
        """
        self._count -= 1
        if not self._count:
            self._groups.clear()
            if self._call is not None:
                self._call.cancel()
                self._call = None

    def _callIfNeeded(self, now: float) -> None:
        """
        Be called when the time of the first group is over.
        """
        if self._call is None and self._groups:
            self._due = self._groups[0].due
            self._call = self._clock.callLater(max(0.0, self._due - now), self._look)

    def _look(self) -> None:
        """
        Call for those whose time is over.
        """
        self._call = None
        now = max(self._due, self._clock.seconds())
        while self._groups and self._groups[0].due <= now:
            group = self._groups.popleft()
            for waiter in list(group.waiters):
                # What happens to one may have made others leave.
                if waiter in group.waiters:
                    group.leave(waiter)
                    self._callFor(waiter)
        self._callIfNeeded(self._clock.seconds())

    def _callFor(self, waiter: T) -> None:
        """
        Call for one; his fault does not keep the others waiting.
        """
        try:
            self._over(waiter)
        except Exception:
            self.log.failure("{waiter} has failed", waiter=waiter)
