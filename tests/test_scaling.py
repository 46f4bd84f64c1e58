"""
The model of many nodes agrees with a simulation.
"""

import io
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.scaling import (
    NATS,
    REDIS,
    Load,
    demand,
    expected,
    main,
    needed,
    simulate,
)

PAGE = Path(__file__).parent.parent / "docs" / "topics" / "scaling.rst"


class ModelTests(SynchronousTestCase):
    """
    L{benchmarks.scaling}.
    """

    def test_simulation(self) -> None:
        """
        With 100 nodes, the model predicts the number of messages between nodes within
        2 %, and the other numbers exactly.
        """
        for routed in (False, True):
            load = Load(clients=2000, room=20, routed=routed)
            model, found = expected(load, 100), simulate(load, 100)
            self.assertEqual((found.published, found.delivered), (model.published, model.delivered))
            self.assertApproximates(found.arrived, model.arrived, 0.02 * model.arrived)

    def test_nodes(self) -> None:
        """
        The number of nodes is the smallest that is enough.
        """
        for clients in (1, 1000, 1_000_000):
            load = Load(clients=clients)
            found = needed(load, REDIS, 0.7)
            self.assertLessEqual(found.node, 0.7)
            if found.nodes > 1:
                self.assertGreater(demand(load, REDIS, found.nodes - 1).node, 0.7)

    def test_impossible(self) -> None:
        """
        A load for which no number of nodes is enough is an error.
        """
        with self.assertRaisesRegex(ValueError, "more than 1048576 nodes are needed"):
            needed(Load(clients=10**12), replace(REDIS, deliver=1e6), 0.7)

    def test_command(self) -> None:
        """
        The command prints the answer for both brokers, and the comparison.
        """
        with redirect_stdout(io.StringIO()) as printed:
            self.assertEqual(main(["--clients=100000", "--nodes=10", "--room=10"]), 0)
        text = printed.getvalue()
        self.assertEqual(text.count("fails first:"), 4)
        self.assertIn("delivered: model 9,000, simulation 9,000", text)

    def test_page(self) -> None:
        """
        The manual has the results of the model.
        """
        page = PAGE.read_text()
        costs = (REDIS.receive, REDIS.deliver)
        brokers = [
            getattr(each, name)
            for each in (REDIS, NATS)
            for name in ("publish", "arrive", "brokerIn", "brokerOut")
        ]
        for cost in [*costs, *brokers]:
            self.assertIn(f" {cost:g} \N{MICRO SIGN}s ", page)
        for routed in (False, True):
            load = Load(routed=routed)
            for name, broker in (("Redis", REDIS), ("NATS", NATS)):
                found = needed(load, broker, 0.7)
                self.assertIn(f" {found.nodes:,}", page)
                cores = f"{found.broker:.0f}" if found.broker >= 10 else f"{found.broker:.1f}"
                sent = f"{found.brokerBytes / 1e6:.0f} MB"
                if found.brokerBytes >= 1e9:
                    sent = f"{found.brokerBytes / 1e9:.0f} GB"
                [line] = [each for each in page.splitlines() if each.startswith(f"{name}: cores")]
                self.assertIn(f"{cores} cores, {sent}/s", line)
        few = needed(Load(clients=10_000, room=10), REDIS, 0.7)
        self.assertIn(
            f"10,000 clients in rooms of 10 need {few.nodes} nodes, and {few.broker * 100:.0f} %"
            " of a core of Redis",
            page,
        )
