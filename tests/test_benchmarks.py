"""
The statistics, tables and plots of the benchmarks.
"""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from benchmarks import plots, tables
from benchmarks.__main__ import PARTS, chosen, workloads, write
from benchmarks.brokers import measure
from benchmarks.calls import CALLS
from benchmarks.results import Profile, Results, asTyped, best, shares, steepest, verdicts
from benchmarks.servers import AS_TYPED, OURS, Server, servers
from benchmarks.workloads import GROWTHS, WORKLOADS, Workload
from openfl_twisted.rooms.pubsub import MemoryBroker, MemoryPubSub
from tests.brokers.lossybroker import LossyBroker, LossyPubSub

ROOT = Path(__file__).parent.parent

ECHO = Workload("echo", "echo", "echo", "echo", "echo", {}, goal=1.3, ahead="Node")
MEMORY = Workload("idle", "idle", "idle", "echo", "idle", {}, reference=None, goal=1200)


def results() -> Results:
    echo = {
        "ours twistd": [3.0, 8.0, 3.6],
        "ours bare": [2.0, 8.0, 3.0],
        "uvloop": [2.0, 10.0, 3.0],
        "Node": [4.0, 4.0, 4.0],
        "C": [1.0, 5.0, 1.5],
    }
    return Results(
        machine={"Python": "3"},
        costs={
            "ping-pong": echo,
            "idle": {"ours twistd": [1100.0, 1100.0]},
            "start": {"ours twistd": [0.3, 0.2, 0.4]},
            "connections-10": {"ours twistd": [2.0], "uvloop": [1.0]},
            "connections-100": {"ours twistd": [20.0]},
        },
        missing={"Java": "javac is not installed"},
        profiles={
            "ping-pong": Profile("ours twistd", {"doRead: self.socket.recv()": 0.5, "write": 0.004})
        },
    )


class StatisticsTests(SynchronousTestCase):
    """
    Computed values.
    """

    def test_paired(self) -> None:
        """
        A ratio is the median of the ratios of each round, not a ratio of medians. Its
        lowest and highest value are kept.
        """
        ours = verdicts(results().costs["ping-pong"])[0]
        ratio = ours.ratios["uvloop"]
        self.assertEqual((ours.cost.median, ours.cost.low, ours.cost.high), (3.6, 3.0, 8.0))
        self.assertEqual((ratio.median, ratio.low, ratio.high), (1.2, 0.8, 1.5))
        self.assertEqual(ours.value(ECHO), 1.2)

    def test_noReference(self) -> None:
        """
        Without a reference server, the goal is unknown.
        """
        [only] = verdicts({"ours": [1.0]})
        self.assertIsNone(only.value(ECHO))
        self.assertIsNone(only.reached(ECHO))

    def test_memory(self) -> None:
        """
        Memory is compared with the goal itself.
        """
        [only] = verdicts({"ours": [1100.0]})
        self.assertEqual((only.value(MEMORY), only.reached(MEMORY)), (1100.0, True))

    def test_reached(self) -> None:
        """
        The goals are reached if the ratio is low enough, and the cost is below that of a
        second server, if it was measured. Without a goal the result is unknown.
        """
        for cost, node, expected in (
            (1.3, None, True),
            (1.3, 1.4, True),
            (1.3, 1.2, False),
            (1.4, 2.0, False),
        ):
            costs = {"ours": [cost], "uvloop": [1.0]}
            if node is not None:
                costs["Node"] = [node]
            self.assertEqual(verdicts(costs)[0].reached(ECHO), expected)
        free = Workload("free", "free", "echo", "echo", "echo", {})
        self.assertIsNone(verdicts(costs)[0].reached(free))

    def test_best(self) -> None:
        """
        The best of our servers is the one with the lowest cost; other servers are
        ignored.
        """
        found = verdicts({"ours a": [2.0], "ours b": [1.5], "uvloop": [1.0]})
        own = best(found)
        assert own is not None
        self.assertEqual(own.server, "ours b")
        self.assertIsNone(best(found[2:]))

    def test_asTyped(self) -> None:
        """
        The headline is the result of the command with default options, or else the best
        of our servers.
        """
        found = verdicts({"ours b": [1.5], AS_TYPED: [2.0], "uvloop": [1.0]})
        self.assertIs(asTyped(found), found[1])
        self.assertIs(asTyped(found[:1]), found[0])
        self.assertIsNone(asTyped(found[2:]))

    def test_steepest(self) -> None:
        """
        The steepness is 0 for a constant cost per item, and 1 for a cost per item that
        grows linearly.
        """
        self.assertEqual(steepest([(10, 3.0), (100, 3.0)]), 0)
        self.assertAlmostEqual(steepest([(10, 3.0), (100, 3.0), (1000, 30.0)]), 1)
        self.assertEqual(steepest([(10, 3.0)]), 0)

    def test_shares(self) -> None:
        """
        The innermost functions of the stacks are counted, with their line numbers.
        """
        frame = f"test_shares ({__file__}:1)"
        seen = shares(f"main;run;{frame} 3\nmain;{frame} 3\nmain;unknown 1\n 1\n")
        self.assertEqual(seen, {'test_shares: """': 0.75, "unknown": 0.125, "not in Python": 0.125})

    def test_kept(self) -> None:
        """
        Saved results can be loaded.
        """
        path = Path(self.mktemp())
        results().save(path)
        self.assertEqual(Results.load(path), results())


class ChoosingTests(SynchronousTestCase):
    """
    Selection of workloads and servers.
    """

    def test_workloads(self) -> None:
        """
        Workloads are selected by name, and all points of a curve for growth. An unknown
        name is an error.
        """
        self.assertEqual(
            [each.name for each in workloads("speed", "idle,policy")], ["policy", "idle"]
        )
        self.assertEqual(workloads("growth", "rooms"), [*GROWTHS[2].points.values()])
        self.assertEqual(workloads("speed", None), WORKLOADS)
        with self.assertRaises(ValueError):
            workloads("speed", "idle,rooms")

    def test_servers(self) -> None:
        """
        Servers are selected by the beginning of their names. Their references are
        included.
        """
        found = [Server(name, {}) for name in ("ours a", "ours b", "uvloop", "Node", "Java")]
        names = [each.name for each in chosen(found, "ours,Node", [ECHO])]
        self.assertEqual(names, ["ours a", "ours b", "uvloop", "Node"])
        self.assertEqual(chosen(found, None, [ECHO]), found)

    def test_everyWorkload(self) -> None:
        """
        Each workload has a unique name, one of our servers and a reference.
        """
        points = [each for growth in GROWTHS for each in growth.points.values()]
        names = [each.name for each in (*WORKLOADS, *points)]
        self.assertEqual(len(names), len({*names}))
        folder = Path(self.mktemp())
        folder.mkdir()
        found = servers(folder)
        for workload in (*WORKLOADS, *points):
            if workload.load == "calls":
                self.assertIn(workload.name, CALLS)
                continue
            able = {each.name for each in found if workload.serves in each.commands}
            self.assertTrue(any(name.startswith(OURS) for name in able), workload.name)
            for reference in (workload.reference, workload.ahead):
                if reference is not None:
                    self.assertIn(reference, able)


class TableTests(SynchronousTestCase):
    """
    Generated tables and plots.
    """

    def test_number(self) -> None:
        """
        Numbers have three significant digits.
        """
        written = [tables.number(each) for each in (0.123, 1.234, 12.34, 1234.5, None)]
        self.assertEqual(written, ["0.12", "1.23", "12.3", "1,234", "\N{EN DASH}"])

    def test_speed(self) -> None:
        """
        The tables contain the messages per second, the goals and the costs of each
        server. Missing servers are named.
        """
        text = tables.text(results(), *PARTS["speed"])
        lines = [line.split("  ") for line in text.splitlines()]
        rows: dict[str, list[str]] = {}
        for line in lines:
            rows.setdefault(line[0], [cell.strip() for cell in line[1:] if cell])
        self.assertEqual(rows["messages per second"], ["openfl-twisted", "Node", "uvloop"])
        self.assertEqual(rows["ping-pong, 64 connections"], ["280,000", "250,000", "330,000"])
        self.assertEqual(
            rows["start until listening, elapsed time"][0], "0.30 (0.20\N{EN DASH}0.40) s"
        )
        self.assertEqual(rows["Node"], ["4.00", "1.33 (0.40\N{EN DASH}2.00) x uvloop"])
        self.assertEqual(rows["50%"], ["``doRead``", "``self.socket.recv()``"])
        self.assertNotIn("0%", rows)
        self.assertIn("* Java: ``javac is not installed``", text)
        self.assertNotIn("image::", text)

    def test_goals(self) -> None:
        """
        A row of the table of goals contains the result of our command, its ratios to
        other servers, and our fastest server.
        """
        dash = "\N{EN DASH}"
        [echo, idle, start] = tables.goals(results())
        self.assertEqual(
            echo,
            (
                "ping-pong, 64 connections",
                "3.60 \N{MICRO SIGN}s a message",
                f"1.20 (0.80{dash}1.50) x uvloop",
                "1.05, ahead of Node",
                "no",
                f"0.90 (0.75{dash}2.00)",
                f"2.40 (1.60{dash}3.00)",
                "3.00: ours bare",
            ),
        )
        self.assertEqual(idle[1:], ("1,100 B", dash, "1,000", "no", dash, dash, ""))
        self.assertEqual(start[4], "yes")

    def test_growth(self) -> None:
        """
        A row contains the measured costs of a server and their steepness.
        """
        nothing = tables.number(None)
        rows = tables.grown(results(), GROWTHS[0])
        self.assertEqual(rows[0], ("server", "10", "100", "1,000", "10,000", "steepest"))
        self.assertEqual(rows[1], ("ours twistd", "2.00", "20.0", nothing, nothing, "1.00"))
        self.assertEqual(rows[2], ("uvloop", "1.00", nothing, nothing, nothing, "0.00"))

    def test_written(self) -> None:
        """
        The tables, plots and numbers of the documentation are files, and each image of
        the tables exists.
        """
        folder = Path(self.mktemp())
        for kind in ("speed", "growth"):
            write(kind, results(), folder)
        topics, images = folder / "topics" / "speed", folder / "images"
        kept = json.loads((topics / "growth.json").read_text())
        self.assertEqual(kept["costs"], results().costs)
        text = "".join(path.read_text() for path in sorted(topics.glob("*.inc")))
        self.assertEqual(text.count("image::"), 4)
        for path in images.iterdir():
            self.assertIn(f"../images/{path.name}\n", text)
            self.assertTrue(ET.parse(path).getroot().tag.endswith("svg"))
        self.assertEqual(len([*images.iterdir()]), 4)

    def test_documentation(self) -> None:
        """
        The tables of the documentation are generated from its numbers.
        """
        kept = ROOT / "docs" / "topics" / "speed"
        for kind, parts in PARTS.items():
            measured = Results.load(kept / f"{kind}.json")
            for table in parts:
                path = Path(self.mktemp())
                tables.write(measured, path, table)
                self.assertEqual(path.read_text(), (kept / f"{table.__name__}.inc").read_text())

    def test_same(self) -> None:
        """
        The same numbers produce the same plots.
        """
        drawn = []
        for _ in range(2):
            folder = Path(self.mktemp())
            folder.mkdir()
            plots.bars(results(), folder)
            drawn.append((folder / "speed-echo.svg").read_bytes())
        self.assertEqual(*drawn)


class BrokerTests(SynchronousTestCase):
    """
    The measurement of message brokers.
    """

    def test_measure(self) -> None:
        """
        All messages are received, and their CPU time is measured.
        """
        broker = MemoryBroker()
        one, other = MemoryPubSub(broker), MemoryPubSub(broker)
        measured = measure(one, other, 20_000, 95)
        result = self.successResultOf(Deferred.fromCoroutine(measured))
        self.assertEqual((result.lost, other.received), (0, 100))
        self.assertGreater(min(result[:3]), 0)

    def test_lost(self) -> None:
        """
        Lost messages are counted, and do not stop the measurement.
        """
        broker = LosingBroker()
        sender = LossyPubSub(broker)
        measured = measure(sender, LossyPubSub(broker), 100_000, 20)
        result = self.successResultOf(Deferred.fromCoroutine(measured))
        self.assertEqual(result.lost, 5)


class LosingBroker(LossyBroker):
    """
    Loses every fourth message of a measurement.
    """

    def __init__(self) -> None:
        super().__init__()
        self._number = 0

    def deliver(self, sender: LossyPubSub, topic: str, data: bytes) -> None:
        if topic == "benchmark":
            self._number += 1
            if self._number % 4 == 2:
                return
        super().deliver(sender, topic, data)
