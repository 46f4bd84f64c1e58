"""
Tests for L{openfl_twisted.dashboard.vitals}.
"""

import sys
import tempfile
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard import vitals
from openfl_twisted.dashboard.vitals import _INTERVAL, _WINDOW, Vitals


class VitalsTests(SynchronousTestCase):
    """
    L{Vitals}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.vitals = Vitals(self.clock)
        self.vitals.start()

    def test_lag(self) -> None:
        """
        The lag is how late the timer expires. The greatest lag is reported for ten seconds.
        """
        self.clock.pump([_INTERVAL] * 8)
        self.assertEqual(self.vitals.lag, 0)
        self.clock.advance(_INTERVAL + 3)
        self.clock.advance(_INTERVAL + 1)
        self.assertEqual(self.vitals.lag, 3)
        self.clock.pump([_INTERVAL] * int((_WINDOW - 1) / _INTERVAL))
        self.assertEqual(self.vitals.lag, 1)
        self.clock.pump([_INTERVAL] * int(2 / _INTERVAL))
        self.assertEqual(self.vitals.lag, 0)

    def test_running(self) -> None:
        """
        A lag is known before the late timer has expired.
        """
        self.clock.rightNow += _INTERVAL + 2
        self.assertEqual(self.vitals.lag, 2)

    def test_earlierClock(self) -> None:
        """
        If the clock is set back, the lag is not negative.
        """
        self.clock.rightNow -= 100
        self.assertEqual(self.vitals.lag, 0)

    def test_stop(self) -> None:
        """
        After the end, no timer runs. Both calls can be repeated.
        """
        self.vitals.start()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.vitals.stop()
        self.vitals.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(self.vitals.lag, 0)

    def test_uptime(self) -> None:
        """
        The uptime begins with the start.
        """
        self.clock.advance(5)
        self.assertEqual(self.vitals.uptime, 5)

    def test_memory(self) -> None:
        """
        The memory is a plausible number on Linux, and unknown on other systems.
        """
        memory = self.vitals.memory
        if sys.platform == "linux":
            assert memory is not None
            self.assertTrue(1 << 20 < memory < 1 << 40)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = Path(folder.name) / "statm"
        self.patch(vitals, "_STATM", path)
        self.assertIsNone(self.vitals.memory)
        for text in ("", "1 x"):
            path.write_text(text)
            self.assertIsNone(self.vitals.memory)
