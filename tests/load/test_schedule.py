"""
Tests for L{openfl_twisted.load._schedule}.
"""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.load._schedule import Schedule


class ScheduleTests(SynchronousTestCase):
    """
    L{Schedule}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.calls: list[tuple[float, int]] = []

    def schedule(self, count: int, perSecond: float, maxMissed: int = 1000) -> Schedule:
        """
        Create a schedule that records its calls.
        """
        return Schedule(self.clock, self.clock.seconds, self.record, count, perSecond, maxMissed)

    def record(self, number: int) -> None:
        """
        Record a call and its time.
        """
        self.calls.append((self.clock.seconds(), number))

    def test_even(self) -> None:
        """
        The calls are evenly spaced.
        """
        schedule = self.schedule(4, 2.0)
        schedule.start()
        self.clock.pump([0.25] * 8)
        self.assertEqual(self.calls, [(0.0, 0), (0.5, 1), (1.0, 2), (1.5, 3)])
        self.successResultOf(schedule.ended)
        self.assertEqual((schedule.latest, schedule.dropped), (0.0, 0))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fast(self) -> None:
        """
        Calls that are due within a millisecond share a timer.
        """
        schedule = self.schedule(20_000, 20_000.0)
        schedule.start()
        self.assertEqual(len(self.calls), 1)
        self.clock.pump([0.001] * 1001)
        self.assertEqual([number for _, number in self.calls], [*range(20_000)])
        self.assertLess(len({time for time, _ in self.calls}), 1002)

    def test_late(self) -> None:
        """
        Missed calls are made later. If there are too many, the oldest are dropped.
        """
        schedule = self.schedule(20, 10.0, 5)
        schedule.start()
        self.clock.advance(0.35)
        self.assertEqual([number for _, number in self.calls], [0, 1, 2, 3])
        self.assertEqual(schedule.dropped, 0)
        self.clock.advance(1.0)
        self.assertEqual([number for _, number in self.calls[4:]], [9, 10, 11, 12, 13])
        self.assertEqual(schedule.dropped, 5)
        self.assertAlmostEqual(schedule.latest, 0.95)

    def test_stop(self) -> None:
        """
        A stopped schedule makes no further calls, also if a call stops it.
        """
        schedule = self.schedule(9, 10.0)
        schedule.start()
        self.clock.advance(0.1)
        schedule.stop()
        schedule.stop()
        schedule.catchUp()
        self.clock.advance(1)
        self.assertEqual(len(self.calls), 2)
        inCall = Schedule(self.clock, self.clock.seconds, lambda _: inCall.stop(), 9, 10.0, 9)
        inCall.start()
        self.successResultOf(inCall.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_catchUp(self) -> None:
        """
        The calls that are due can be made before the timer expires.
        """
        schedule = self.schedule(3, 10_000.0)
        schedule.start()
        self.clock.rightNow = 0.0005
        schedule.catchUp()
        self.assertEqual(len(self.calls), 3)
        self.successResultOf(schedule.ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_empty(self) -> None:
        """
        A schedule without calls ends immediately.
        """
        schedule = self.schedule(0, 1.0)
        schedule.start()
        self.successResultOf(schedule.ended)
        self.assertEqual(self.calls, [])
