"""
Tests for L{openfl_twisted.pytestplugin} in a separate pytest.
"""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.testing.pytestrun import runPytest

TESTS = """
import sys

BEFORE = {name for name in sys.modules if name.startswith(("openfl_twisted", "twisted"))}


def test_lazy():
    names = {"openfl_twisted", "openfl_twisted.lazyimports", "openfl_twisted.pytestplugin"}
    assert BEFORE <= names, BEFORE


def test_forgotten(memoryNetwork):
    import pytest

    from openfl_twisted.net import XMLSocket

    with pytest.raises(RuntimeError, match=r"^XMLSocket\\(\\) uses the global reactor, but"):
        XMLSocket()
    assert "twisted.internet.reactor" not in sys.modules


def test_network(memoryNetwork, certificateMaker):
    from openfl_twisted.testing import Peer, connectedPair

    tls = certificateMaker.make()
    pair = connectedPair(Peer(), Peer(), network=memoryNetwork, tls=tls)
    pair.client.send(b"hello")
    memoryNetwork.flush()
    assert pair.server.received == b"hello"
    assert "twisted.internet.reactor" not in sys.modules


async def test_async(memoryNetwork):
    raise AssertionError("the test must not run")


def test_failing(memoryNetwork):
    memoryNetwork.reactor.callLater(1, lambda: 1 / 0)
    memoryNetwork.advance(1)
"""


class PluginTests(SynchronousTestCase):
    """
    The pytest plugin has fixtures, and imports nothing before they are used.
    """

    def run_(self, *arguments: str) -> str:
        """
        Run the tests above.
        """
        return runPytest(Path(self.mktemp()), "test_others.py", TESTS, *arguments)

    def test_fixtures(self) -> None:
        """
        Tests without a fixture import nothing; exceptions in a network fail its
        test.
        """
        printed = self.run_()
        self.assertIn("4 passed, 2 errors", printed)
        self.assertIn("an async test cannot use memoryNetwork: define the test with def", printed)
        self.assertIn("ZeroDivisionError", printed)
        self.assertIn("ERROR at teardown of test_failing", printed)

    def test_listed(self) -> None:
        """
        C{pytest --fixtures} describes the fixtures.
        """
        printed = self.run_("--fixtures")
        self.assertIn("memoryNetwork", printed)
        self.assertIn("An in-memory network, created for each test.", printed)
        self.assertIn("certificateMaker [session scope]", printed)
