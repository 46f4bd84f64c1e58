"""
Tests for L{openfl_twisted.dashboard.merging}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard.measuring import Measurements
from openfl_twisted.dashboard.merging import MergedMetrics, _mergeReports, mergeStates
from openfl_twisted.dashboard.metrics import fromReport, registryOf, report
from openfl_twisted.dashboard.status import BROKER_COUNTERS
from openfl_twisted.dashboard.streams import MAX_SHOWN
from openfl_twisted.rooms.lobby import Lobby
from tests.brokers.lossybroker import LossyBroker, LossyPubSub
from tests.dashboard.servers import MonitoredServer, stateOf
from tests.support.recipients import RecordingRecipient


def family(name: str, kind: str, **values: float) -> list[Any]:
    """
    Return a metric with the label C{a}.
    """
    return [name, kind, "meaning", [[name, {"a": key}, value] for key, value in values.items()]]


class ReportTests(SynchronousTestCase):
    """
    Merging metrics.
    """

    def test_sums(self) -> None:
        """
        Values with the same name and labels are added; others are kept.
        """
        one = [family("x", "counter", p=1, q=2), family("y", "gauge", p=5)]
        two = [family("x", "counter", q=3, r=4), family("z", "gauge", p=6)]
        self.assertEqual(
            _mergeReports([one, two]),
            [
                family("x", "counter", p=1, q=5, r=4),
                family("y", "gauge", p=5),
                family("z", "gauge", p=6),
            ],
        )

    def test_notSummed(self) -> None:
        """
        A gauge that cannot be added is the lowest or the highest value. A limit of 0 means no
        limit.
        """
        for name, values, merged in [
            ("openfl_broker_up", (1, 0), 0),
            ("process_start_time_seconds", (7, 5), 5),
            ("openfl_clients_limit", (5, 6), 11),
            ("openfl_clients_limit", (5, 0), 0),
            ("openfl_event_loop_lag_seconds", (5, 6), 6),
            ("openfl_build_info", (1, 1), 1),
        ]:
            reports = [[family(name, "gauge", p=value)] for value in values]
            self.assertEqual(_mergeReports(reports), [family(name, "gauge", p=merged)])

    def test_server(self) -> None:
        """
        The metrics of a server, merged with themselves, are twice the values.
        """
        server = MonitoredServer()
        server.connect(b"a\0b\0")
        found = report(registryOf(server).collect())
        merged = {name: samples for name, _, _, samples in _mergeReports([found, found])}
        self.assertIn(["openfl_messages_received_total", {}, 4], merged["openfl_messages_received"])
        self.assertIn(["openfl_clients", {"type": "plain"}, 2], merged["openfl_clients"])
        self.assertEqual(merged["openfl_clients_limit"][0][2], 20_000)

    def test_histograms(self) -> None:
        """
        Histograms are added, and those of a process that has ended are kept.
        """
        server = MonitoredServer()
        server.measurements = Measurements(server.clock)
        server.measurements.hasClients = True
        for value in (0.02, 0.3):
            server.measurements.pings.observe(value)
        found = report(registryOf(server).collect())
        merged = MergedMetrics()
        merged.update(1, found)
        merged.update(2, found)
        merged.end(1)
        families = {each.name: each for each in fromReport(merged.merge())}
        samples = {
            (each.name, each.labels.get("le")): each.value
            for each in families["openfl_websocket_ping_seconds"].samples
        }
        name = "openfl_websocket_ping_seconds"
        for bound, count in (("0.01", 0), ("0.025", 2), ("0.25", 2), ("0.5", 4), ("+Inf", 4)):
            self.assertEqual(samples[f"{name}_bucket", bound], count)
        self.assertEqual(samples[f"{name}_count", None], 4)
        self.assertAlmostEqual(samples[f"{name}_sum", None], 0.64)

    @given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans())))
    def test_monotonic(self, events: list[tuple[int, int, bool]]) -> None:
        """
        A counter never decreases when processes are updated and end.
        """
        merged, counts, last = MergedMetrics(), dict.fromkeys(range(4), 0), 0.0
        names = dict(enumerate(range(4)))
        for process, more, ends in events:
            counts[process] += more
            merged.update(names[process], [family("x", "counter", p=counts[process])])
            if ends:
                merged.end(names[process])
                counts[process] = 0
                names[process] += 4
            [[_, _, _, [[_, _, total]]]] = merged.merge()
            self.assertGreaterEqual(total, last)
            last = total

    def test_end(self) -> None:
        """
        The gauges of a process that has ended are dropped.
        """
        merged = MergedMetrics()
        merged.update(1, [family("x", "counter", p=1), family("y", "gauge", p=2)])
        merged.update(2, [family("y", "gauge", p=3)])
        merged.end(1)
        merged.end(7)
        self.assertEqual(
            merged.merge([family("z", "gauge", p=1)]),
            [family("z", "gauge", p=1), family("y", "gauge", p=3), family("x", "counter", p=1)],
        )


class StateTests(SynchronousTestCase):
    """
    Merging the states of the dashboard.
    """

    def test_clients(self) -> None:
        """
        The numbers are added; the clients are the newest of all.
        """
        states = []
        for number in range(2):
            server = MonitoredServer(maxConnections=number)
            for _ in range(2 if number == 0 else 1):
                server.connect(b"a\0")
                server.clock.advance(1 + number)
            states.append(stateOf(server))
        merged = mergeStates(states)
        self.assertEqual((merged["connected"], merged["found"], merged["opened"]), (3, 3, 3))
        self.assertEqual((merged["limit"], merged["messages"][0]), (0, 3))
        self.assertEqual(merged["bytes"][0], 6)
        self.assertEqual([client["age"] for client in merged["clients"]], [1, 2, 2])
        self.assertEqual((merged["rooms"], merged["broker"]), (None, None))
        self.assertTrue(merged["speaks"])
        self.assertEqual(set(merged) | {"time", "blocked"}, set(states[0]))

    def test_maxShown(self) -> None:
        """
        The number of clients is limited.
        """
        server = MonitoredServer(maxConnections=0)
        for _ in range(MAX_SHOWN):
            server.connect()
        state = stateOf(server)
        merged = mergeStates([{**state, "messages": None}] * 2)
        self.assertEqual((len(merged["clients"]), merged["found"]), (MAX_SHOWN, 2 * MAX_SHOWN))
        self.assertIsNone(merged["messages"])

    def test_rooms(self) -> None:
        """
        A room of several processes is one room with all members.
        """
        states = []
        for rooms in (["chess", "go"], ["go"]):
            server = MonitoredServer()
            server.lobby = Lobby(clock=server.clock)
            for room in rooms:
                server.lobby.join(room, RecordingRecipient(), "Ann")
            states.append(stateOf(server))
        self.assertEqual(
            mergeStates(states)["rooms"],
            {"rooms": 2, "members": 3, "lost": 0, "shown": [["go", 2], ["chess", 1]]},
        )

    def test_broker(self) -> None:
        """
        The state of the broker is that of a process which is not connected, if any.
        """
        states = []
        for isUp in (True, False, True):
            server, broker = MonitoredServer(), LossyBroker()
            server.pubSub = LossyPubSub(broker, clock=server.clock)
            server.pubSub.start()
            server.pubSub.publish("a", b"x")
            if not isUp:
                broker.cut("no way")
            states.append(stateOf(server))
        broker = mergeStates(states)["broker"]
        self.assertEqual((broker["state"], broker["problem"]), ("down", "no way"))
        self.assertEqual(broker["published"], 3)
        self.assertLessEqual(BROKER_COUNTERS.keys(), broker.keys())
        self.assertEqual(mergeStates([states[0], states[2]])["broker"]["state"], "up")
