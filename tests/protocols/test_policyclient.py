"""
Tests for L{openfl_twisted.protocols.policyclient}.
"""

from hypothesis import given
from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.policyclient import PolicyClientProtocol, askForPolicy
from openfl_twisted.testing import MemoryNetwork, Peer
from openfl_twisted.wire.policy.file import MAX_POLICY_LENGTH, PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import PolicyError
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
        self.network = MemoryNetwork()
        self.network.attempts.hold()
        endpoint = TCP4ClientEndpoint(self.network.reactor, "192.0.2.1", 843)
        asking = askForPolicy(endpoint, timeout=3, clock=self.network.reactor)
        self.network.flush()
        return asking

    def connect(self) -> tuple[Deferred[bytes], Peer]:
        """
        Connect to a server.
        """
        asking = self.ask()
        return asking, self.network.attempts.held[0].answer(Factory.forProtocol(Peer))

    def send(self, server: Peer, data: bytes) -> None:
        """
        Send data, and run the network until it is idle.
        """
        server.send(data)
        self.network.flush()

    def assertNothingWaits(self) -> None:
        """
        Assert that no connection attempt and no timer is left.
        """
        self.assertEqual(self.network.attempts.held, [])
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    @given(cuts(POLICY + b"\0"))
    def test_anyCut(self, pieces: list[bytes]) -> None:
        """
        The request is sent in one write. The file ends at its NUL byte, and the
        connection is closed.
        """
        asking, server = self.connect()
        self.assertEqual(server.segments, [REQUEST])
        for piece in pieces:
            self.assertNoResult(asking)
            self.send(server, piece)
            if server.closed:
                break
        self.assertEqual(self.successResultOf(asking), POLICY)
        self.assertTrue(server.closed)
        self.assertNothingWaits()

    def test_withoutEnd(self) -> None:
        """
        A file without a NUL byte ends at EOF.
        """
        asking, server = self.connect()
        self.send(server, POLICY)
        self.assertNoResult(asking)
        server.close()
        self.network.flush()
        self.assertEqual(self.successResultOf(asking), POLICY)
        self.assertNothingWaits()

    def test_afterTheEnd(self) -> None:
        """
        Data that follows the NUL byte is ignored. A TCP transport of Twisted delivers nothing
        after C{loseConnection}, but others do.
        """
        protocol = PolicyClientProtocol()
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(POLICY + b"\0more")
        protocol.dataReceived(b"and more\0")
        protocol.connectionLost()
        self.assertEqual(self.successResultOf(protocol.answer), POLICY)

    def test_nothing(self) -> None:
        """
        A server that closes the connection without data has no file.
        """
        asking, server = self.connect()
        server.close()
        self.network.flush()
        problem = self.failureResultOf(asking, PolicyError)
        self.assertEqual(problem.getErrorMessage(), "the server sent no data")

    def test_tooLong(self) -> None:
        """
        The longest file is accepted; one byte more closes the connection, with or
        without its NUL byte.
        """
        asking, server = self.connect()
        self.send(server, b"x" * MAX_POLICY_LENGTH)
        self.send(server, b"\0")
        self.assertEqual(len(self.successResultOf(asking)), MAX_POLICY_LENGTH)
        for end in (b"", b"\0"):
            asking, server = self.connect()
            self.send(server, b"x" * MAX_POLICY_LENGTH)
            self.send(server, b"x" + end)
            problem = self.failureResultOf(asking, PolicyError)
            self.assertEqual(problem.getErrorMessage(), "the file is longer than 65536 bytes")
            self.assertTrue(server.closed)
            self.assertNothingWaits()

    def test_timeout(self) -> None:
        """
        The timeout includes the connection attempt and the answer, however slowly it
        arrives.
        """
        asking = self.ask()
        self.network.advance(3)
        self.failureResultOf(asking, error.TimeoutError)
        self.assertNothingWaits()
        asking, server = self.connect()
        for _ in range(29):
            self.send(server, b"x")
            self.network.advance(0.1)
        self.assertNoResult(asking)
        self.network.advance(0.2)
        self.failureResultOf(asking, error.TimeoutError)
        self.assertTrue(server.closed)
        self.assertNothingWaits()

    def test_cancelled(self) -> None:
        """
        Cancelling the request closes the connection.
        """
        asking = self.ask()
        asking.cancel()
        self.failureResultOf(asking, error.ConnectingCancelledError)
        self.assertNothingWaits()
        asking, server = self.connect()
        asking.cancel()
        self.network.flush()
        self.assertTrue(server.closed)
        self.failureResultOf(asking)
        self.assertNothingWaits()

    def test_noConnection(self) -> None:
        """
        A server that cannot be reached has no file.
        """
        asking = self.ask()
        self.network.attempts.held[0].refuse()
        self.failureResultOf(asking, error.ConnectionRefusedError)
        self.assertNothingWaits()
