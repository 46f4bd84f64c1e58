"""
A timer shared by many objects that wait for the same length of time. A separate timer
for each idle connection would use more memory than the rest of the connection.
"""

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from openfl_twisted.logs import packageLogger

_T = TypeVar("_T")

# Objects form a group if they begin to wait within this fraction of the waiting time.
_PART = 1 / 64


class Group(Generic[_T]):
    """
    Objects that began to wait at about the same time.

    @ivar timer: the timer.
    @ivar waiters: the waiting objects.
    @ivar began: when the first object began to wait.
    @ivar due: when the time of the last object expires.
    """

    __slots__ = ("began", "due", "timer", "waiters")

    def __init__(self, timer: "SharedTimer[_T]", began: float) -> None:
        """
        @param timer: the timer.
        @param began: when the first object began to wait (seconds, by the timer's
            clock).
        """
        self.timer = timer
        self.waiters: set[_T] = set()
        self.began = self.due = began

    def leave(self, waiter: _T) -> None:
        """
        Remove an object, so that it no longer waits. Nothing happens if the time has already
        expired.

        @param waiter: an object that was added to this group.
        """
        if waiter in self.waiters:
            self.waiters.remove(waiter)
            self.timer.left()


class SharedTimer(Generic[_T]):
    """
    Calls a function for each waiting object when the waiting time of the object has expired.
    The call is delayed by at most 1/64 of the waiting time.
    """

    log = packageLogger()

    def __init__(self, clock: IReactorTime, seconds: float, over: Callable[[_T], object]) -> None:
        """
        @param clock: the clock.
        @param seconds: the time for which each object waits.
        @param over: called with each object whose time has expired, when the object is no
            longer waiting.
        """
        self._clock = clock
        self._seconds = seconds
        self._over = over
        self._groups: deque[Group[_T]] = deque()
        self._count = 0
        self._call: IDelayedCall | None = None
        # When the call is due. This value is stored, because the time from the clock can differ by
        # a rounding error.
        self._due = 0.0

    def wait(self, waiter: _T) -> Group[_T]:
        """
        Start the timer for an object.

        @param waiter: the object; it must be hashable, and must not be waiting already.
        @return: the group of the object. Call L{Group.leave} to stop waiting before the time
            expires.
        """
        now = self._clock.seconds()
        if not self._groups or now - self._groups[-1].began > self._seconds * _PART:
            self._groups.append(Group(self, now))
        group = self._groups[-1]
        group.due = now + self._seconds
        group.waiters.add(waiter)
        self._count += 1
        self._schedule(now)
        return group

    def left(self) -> None:
        """
        Called when an object has left its group before the waiting time has expired.
        """
        self._count -= 1
        if not self._count:
            self._groups.clear()
            if self._call is not None:
                self._call.cancel()
                self._call = None

    def _schedule(self, now: float) -> None:
        if self._call is None and self._groups:
            self._due = self._groups[0].due
            self._call = self._clock.callLater(max(0.0, self._due - now), self._expired)

    def _expired(self) -> None:
        self._call = None
        now = max(self._due, self._clock.seconds())
        while self._groups and self._groups[0].due <= now:
            group = self._groups.popleft()
            for waiter in list(group.waiters):
                # A callback may have removed other objects from the group.
                if waiter in group.waiters:
                    group.leave(waiter)
                    self._notify(waiter)
        self._schedule(self._clock.seconds())

    def _notify(self, waiter: _T) -> None:
        try:
            self._over(waiter)
        except Exception:
            self.log.failure("error in the timer callback of {waiter}", waiter=waiter)
