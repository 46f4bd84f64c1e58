"""
Every way has a program see the same.
"""

from twisted.trial.unittest import SynchronousTestCase

from tests.reactors.conversations import CONVERSATIONS, Boom, HalfRecorder, Recorder, played
from tests.reactors.ways import JOINING, STOCK, way


class EquivalenceTests(SynchronousTestCase):
    """
    The same conversations on every way.
    """

    def compare(self, make: type[Recorder]) -> None:
        """
        Play each on Twisted's own transports, and on the others.
        """
        for name in CONVERSATIONS:
            with way(STOCK) as stock:
                wanted = played(stock, name, make)
            failures = len(self.flushLoggedErrors(Boom))
            for other in JOINING:
                with way(other) as own:
                    self.assertEqual(played(own, name, make), wanted, f"{name}, {other}")
                self.assertEqual(len(self.flushLoggedErrors(Boom)), failures, f"{name}, {other}")

    def test_same(self) -> None:
        """
        What a server and its peer see does not depend on the way.
        """
        self.compare(Recorder)

    def test_sameByHalves(self) -> None:
        """
        Neither does it for a server that knows of half-closed connections.
        """
        self.compare(HalfRecorder)
