"""
Tests for L{openfl_twisted.protocols.policyclient}.
"""

from hypothesis import given
from twisted.internet import error
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.policyclient import PolicyClientProtocol, askForPolicy
from openfl_twisted.wire.policy.file import MAX_POLICY_LENGTH, PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import PolicyError
from tests.doubles import TightTransport, Way
from tests.segments import cuts

POLICY = PolicyFile.forPort(80).toXML()


class PolicyClientTests(SynchronousTestCase):
    """
    L{askForPolicy} fetches a file.
    """

    def ask(self) -> Deferred[bytes]:
        """
        Start to connect to a server.
        """
        self.clock = Clock()
        self.way = Way()
        return askForPolicy(self.way, timeout=3, clock=self.clock)

    def connect(self) -> tuple[Deferred[bytes], TightTransport]:
        """
        Connect to a server.
        """
        asking = self.ask()
        protocol = self.way.factory.buildProtocol(None)  # type: ignore[arg-type]
        assert isinstance(protocol, PolicyClientProtocol)
        transport = TightTransport(protocol, 1000)
        protocol.makeConnection(transport)
        self.way.connecting.callback(protocol)
        return asking, transport

    def assertNothingWaits(self) -> None:
        """
        Assert that no timer is left.
        """
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(cuts(POLICY + b"\0"))
    def test_anyCut(self, pieces: list[bytes]) -> None:
        """
        The request is sent in one write. The file ends at its NUL byte, and the
        connection is closed.
        """
        asking, transport = self.connect()
        self.assertEqual(transport.writes, [REQUEST])
        for piece in pieces:
            self.assertNoResult(asking)
            transport.arrive(piece)
            if transport.disconnecting:
                break
        self.assertEqual(self.successResultOf(asking), POLICY)
        self.assertTrue(transport.disconnecting)
        self.assertNothingWaits()

    def test_withoutEnd(self) -> None:
        """
        A file without a NUL byte ends at EOF.
        """
        asking, transport = self.connect()
        transport.arrive(POLICY)
        self.assertNoResult(asking)
        transport.loseConnection()
        transport.drain()
        self.assertEqual(self.successResultOf(asking), POLICY)
        self.assertNothingWaits()

    def test_afterTheEnd(self) -> None:
        """
        Data that follows the NUL byte is ignored.
        """
        asking, transport = self.connect()
        transport.arrive(POLICY + b"\0more")
        transport.arrive(b"and more\0")
        transport.drain()
        self.assertEqual(self.successResultOf(asking), POLICY)

    def test_nothing(self) -> None:
        """
        A server that closes the connection without data has no file.
        """
        asking, transport = self.connect()
        transport.loseConnection()
        transport.drain()
        problem = self.failureResultOf(asking, PolicyError)
        self.assertEqual(problem.getErrorMessage(), "the server sent no data")

    def test_tooLong(self) -> None:
        """
        The longest file is accepted; one byte more closes the connection, with or
        without its NUL byte.
        """
        asking, transport = self.connect()
        transport.arrive(b"x" * MAX_POLICY_LENGTH)
        transport.arrive(b"\0")
        self.assertEqual(len(self.successResultOf(asking)), MAX_POLICY_LENGTH)
        for end in (b"", b"\0"):
            asking, transport = self.connect()
            transport.arrive(b"x" * MAX_POLICY_LENGTH)
            transport.arrive(b"x" + end)
            problem = self.failureResultOf(asking, PolicyError)
            self.assertEqual(problem.getErrorMessage(), "the file is longer than 65536 bytes")
            self.assertTrue(transport.closed)
            self.assertNothingWaits()

    def test_timeout(self) -> None:
        """
        The timeout includes the connection attempt and the answer, however slowly it
        arrives.
        """
        asking = self.ask()
        self.clock.advance(3)
        self.failureResultOf(asking, error.TimeoutError)
        self.assertTrue(self.way.cancelled)
        asking, transport = self.connect()
        for _ in range(29):
            transport.arrive(b"x")
            self.clock.advance(0.1)
        self.assertNoResult(asking)
        self.clock.advance(0.2)
        self.failureResultOf(asking, error.TimeoutError)
        self.assertTrue(transport.closed)
        self.assertNothingWaits()

    def test_cancelled(self) -> None:
        """
        Cancelling the request closes the connection.
        """
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, CancelledError)
        self.assertTrue(self.way.cancelled)
        asking, transport = self.connect()
        asking.cancel()
        self.assertTrue(transport.closed)
        self.failureResultOf(asking)
        self.assertNothingWaits()

    def test_noConnection(self) -> None:
        """
        A server that cannot be reached has no file.
        """
        asking = self.ask()
        self.way.connecting.errback(Failure(error.ConnectionRefusedError()))
        self.failureResultOf(asking, error.ConnectionRefusedError)
        self.assertNothingWaits()
