"""
Tests for L{openfl_twisted.dashboard.history}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard.history import MAX_SAMPLES, SAMPLING, History
from tests.dashboard.servers import DashboardTestCase


def report(clients: int, *totals: int, lag: float = 0.0) -> dict[str, Any]:
    """
    Return the counters of a process.
    """
    return {"clients": clients, "totals": list(totals), "lag": lag}


class HistoryTests(SynchronousTestCase):
    """
    L{History}.
    """

    def setUp(self) -> None:
        self.history = History()

    def test_traffic(self) -> None:
        """
        A sample has the clients of all processes, their traffic since the last sample, and the
        greatest lag.
        """
        one, two = report(1, 1, 2, 3, 4, lag=0.25), report(2, 10, 20, 30, 40, lag=0.125)
        self.history.add(10, {1: one, 2: two}, {1, 2})
        self.history.add(20, {1: report(1, 2, 2, 5, 4), 2: report(0, 10, 21, 30, 41)}, {1, 2})
        self.assertEqual(
            self.history.since(0), [(10, 3, 11, 22, 33, 44, 0.25), (20, 1, 1, 1, 2, 1, 0.0)]
        )

    def test_processes(self) -> None:
        """
        The traffic of a process that has not answered is part of the next sample. A process that
        has ended does not reduce the traffic.
        """
        self.history.add(10, {1: report(1, 5, 0, 0, 0), 2: report(1, 7, 0, 0, 0)}, {1, 2})
        self.history.add(20, {}, {1, 2})
        self.history.add(30, {1: report(1, 6, 0, 0, 0), 3: report(1, 2, 0, 0, 0)}, {1, 3})
        self.assertEqual([sample.messagesIn for sample in self.history.since(0)], [12, 0, 3])
        self.assertEqual(set(self.history._totals), {1, 3})

    @given(st.integers(0, 2 * MAX_SAMPLES), st.integers(0, 2 * MAX_SAMPLES))
    def test_since(self, count: int, seen: int) -> None:
        """
        The last hour of samples is kept, and a reader receives each of them once.
        """
        self.setUp()
        for number in range(count):
            self.history.add(number, {}, ())
        expected = range(max(0, count - MAX_SAMPLES, seen), count)
        self.assertEqual([sample.time for sample in self.history.since(seen)], list(expected))


class SamplingTests(DashboardTestCase):
    """
    The history of a server in this process.
    """

    def test_hour(self) -> None:
        """
        A page that is opened later receives the samples taken since the service was started,
        then each further sample once.
        """
        self.dashboard.startService()
        self.addCleanup(self.dashboard.stopService)
        self.server.connect(b"a\0bc\0")
        self.clock.advance(SAMPLING)
        browser = self.watch()
        self.assertEqual([name for name, _ in browser.events], ["begin", "history"])
        history = browser.events[1][1]
        self.assertEqual(history["interval"], SAMPLING)
        [[time, clients, *traffic, _]] = history["samples"]
        self.assertEqual((time, clients, traffic), (SAMPLING, 1, [2, 0, 5, 0]))
        # The clock calls the function of an interval once in each call of advance().
        self.clock.pump([1.0] * int(SAMPLING + 1))
        later = [event for name, event in browser.events[2:] if name == "history"]
        self.assertEqual([[sample[0] for sample in each["samples"]] for each in later], [[20.0]])

    def test_lag(self) -> None:
        """
        A sample and the state have the lag of the event loop, the memory and the uptime.
        """
        self.dashboard.startService()
        self.addCleanup(self.dashboard.stopService)
        self.clock.advance(3)
        state = self.dashboard.state.describe()
        assert state is not None
        self.assertGreaterEqual(state["server"]["lag"], 2)
        self.assertEqual(state["server"]["uptime"], 3)
        self.assertGreater(state["server"]["memory"] or 1, 0)

    def test_stop(self) -> None:
        """
        After the service has stopped, no samples are taken, and no timer runs.
        """
        self.dashboard.startService()
        self.dashboard.stopService()
        before = self.dashboard.state.history.count
        self.clock.advance(2 * SAMPLING)
        self.assertEqual(self.dashboard.state.history.count, before)
