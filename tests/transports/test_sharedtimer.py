"""
Tests for L{openfl_twisted.transports.sharedtimer}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.transports.sharedtimer import Group, SharedTimer

SECONDS = 64.0


class SharedTimerTests(SynchronousTestCase):
    """
    Many waiting objects.
    """

    def setUp(self) -> None:
        """
        Create a timer of some seconds.
        """
        self.clock = Clock()
        self.over: dict[int, float] = {}
        self.timer = SharedTimer(self.clock, SECONDS, self.called)

    def called(self, waiter: int) -> None:
        """
        Record an object whose time has expired, and when.
        """
        self.assertNotIn(waiter, self.over)
        self.over[waiter] = self.clock.seconds()

    @given(st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 30)), max_size=40))
    def test_anyTime(self, deeds: list[tuple[int, int | None]]) -> None:
        """
        An object is called when its time has expired, and hardly later, unless it has
        left. At most one delayed call exists, and none in the end.
        """
        self.setUp()
        came: dict[int, float] = {}
        left: set[int] = set()
        groups: list[Group[int]] = []
        for quarters, leaver in deeds:
            self.clock.pump([0.25] * quarters)
            if leaver is None:
                came[len(groups)] = self.clock.seconds()
                groups.append(self.timer.wait(len(groups)))
            elif leaver < len(groups):
                if leaver not in self.over:
                    left.add(leaver)
                groups[leaver].leave(leaver)
            waits = len(came) > len(left) + len(self.over)
            self.assertEqual(len(self.clock.getDelayedCalls()), int(waits))
        self.clock.pump([0.25] * 300)
        self.assertEqual(set(self.over), set(came) - left)
        for waiter, when in self.over.items():
            self.assertGreaterEqual(when - came[waiter], SECONDS)
            self.assertLessEqual(when - came[waiter], SECONDS * 65 / 64)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_callbacks(self) -> None:
        """
        A callback may wait again, and make other expired objects leave. Its exceptions
        are logged, and do not affect the others.
        """
        told: list[str] = []

        def over(waiter: str) -> None:
            told.append(waiter)
            for other in ("one", "two"):
                group.leave(other)
            if waiter == "again":
                raise ValueError("a fault")
            timer.wait("again")

        timer = SharedTimer(self.clock, SECONDS, over)
        for waiter in ("one", "two"):
            group = timer.wait(waiter)
        self.clock.advance(SECONDS)
        self.assertEqual(len(told), 1)
        self.clock.advance(SECONDS)
        self.assertEqual(told[1:], ["again"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_faultOfOne(self) -> None:
        """
        An exception of one callback does not affect the others.
        """
        told: list[int] = []

        def over(waiter: int) -> None:
            told.append(waiter)
            raise ValueError("a fault")

        timer = SharedTimer(self.clock, SECONDS, over)
        for waiter in range(3):
            timer.wait(waiter)
        self.clock.advance(SECONDS)
        self.assertEqual(sorted(told), [0, 1, 2])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)
