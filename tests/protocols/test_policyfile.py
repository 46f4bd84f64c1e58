"""
Tests for L{openfl_twisted.protocols.policyfile}.
"""

from hypothesis import given
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.policyfile import (
    PolicyFileFactory,
    PolicyFileProtocol,
    PolicySource,
    policyFor,
)
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import TightTransport, linesOf
from tests.segments import cuts

POLICY = PolicyFile((AccessRule("*", "80"),))
REPLY = POLICY.toXML() + b"\0"


class PolicyFileTests(SynchronousTestCase):
    """
    L{PolicyFileProtocol} answers one request.
    """

    def connect(self, policy: PolicySource = POLICY) -> tuple[PolicyFileProtocol, TightTransport]:
        """
        Connect a client to a server.
        """
        self.clock = Clock()
        self.factory = PolicyFileFactory(policy, clock=self.clock)
        protocol = self.factory.buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 1000)
        protocol.makeConnection(transport)
        return protocol, transport

    def assertEnded(self, transport: TightTransport, answer: bytes) -> None:
        """
        Assert that the client received an answer and the end, and that no timer runs.
        """
        self.assertEqual(transport.drainAll(), answer)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        counted = (self.factory.answered, self.factory.unanswered, self.factory.refused)
        self.assertEqual(sum(counted), 1)
        self.assertEqual(self.factory.answered, int(bool(answer)))

    @given(cuts(REQUEST))
    def test_anyCut(self, pieces: list[bytes]) -> None:
        """
        The request is answered in one write, however it is split.
        """
        protocol, transport = self.connect()
        for piece in pieces:
            protocol.dataReceived(piece)
        self.assertEqual(transport.writes, [REPLY])
        self.assertEnded(transport, REPLY)

    def test_noTimeout(self) -> None:
        """
        With a timeout of 0, a client has no time limit.
        """
        protocol, transport = self.connect()
        protocol.connectionLost(Failure(ConnectionDone()))
        self.factory.timeout = 0
        patient = self.factory.buildProtocol(None)
        assert patient is not None
        transport = TightTransport(patient, 1000)
        patient.makeConnection(transport)
        self.clock.advance(1000)
        self.assertFalse(transport.disconnecting)
        patient.dataReceived(REQUEST)
        self.assertEnded(transport, REPLY)

    def test_line(self) -> None:
        """
        An answered request is logged.
        """
        protocol, _ = self.connect()
        with capturedLogs() as logs:
            protocol.dataReceived(REQUEST)
        self.assertEqual(linesOf(logs), ["192.168.1.1:54321 received the policy file"])

    def test_withoutEnd(self) -> None:
        """
        A request that lacks only its NUL byte is answered after a second, or at EOF.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST[:-1])
        self.clock.advance(0.9)
        self.assertEqual(transport.writes, [])
        self.clock.advance(0.1)
        self.assertEnded(transport, REPLY)
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST[:-1])
        protocol.readConnectionLost()
        protocol.readConnectionLost()
        self.assertEnded(transport, REPLY)

    def test_otherEnds(self) -> None:
        """
        A request terminated by LF or CRLF, as C{nc} sends it, is answered immediately;
        data that follows is ignored.
        """
        for end in (b"\n", b"\r\n", b"\r\n\0", b"\0GET / HTTP/1.1\r\n", b"x"):
            protocol, transport = self.connect()
            protocol.dataReceived(REQUEST[:-1] + end)
            self.assertEnded(transport, REPLY)

    def test_lateEnd(self) -> None:
        """
        A request whose NUL byte arrives within the second is answered once.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(REQUEST[:-1])
        self.clock.advance(0.5)
        protocol.dataReceived(b"\0")
        self.assertEnded(transport, REPLY)

    def test_otherData(self) -> None:
        """
        Any other data closes the connection at the first wrong byte, with a log line.
        """
        for data in [b"G", b"<policy-file-requesT", b"\xff" * 70000]:
            protocol, transport = self.connect()
            with capturedLogs() as logs:
                protocol.dataReceived(data)
                protocol.dataReceived(REQUEST)
            self.assertEnded(transport, b"")
            self.assertEqual(
                linesOf(logs), ["192.168.1.1:54321 refused: client did not send a policy request"]
            )

    def test_silence(self) -> None:
        """
        A client without a complete request is disconnected after the timeout, even if
        it has sent data.
        """
        for begun in [b"", b"<policy-"]:
            protocol, transport = self.connect()
            with capturedLogs() as logs:
                protocol.dataReceived(begun)
                self.clock.advance(4.9)
                self.assertFalse(transport.disconnecting)
                self.clock.advance(0.1)
            self.assertEnded(transport, b"")
            self.assertIn("refused: no policy request within 5 s", linesOf(logs)[0])

    def test_halfClosed(self) -> None:
        """
        A client that sends EOF without a request is disconnected.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(b"<pol")
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        self.assertEnded(transport, b"")

    def test_lost(self) -> None:
        """
        When the connection is lost, the timers are cancelled.
        """
        protocol, _ = self.connect()
        protocol.dataReceived(REQUEST[:-1])
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limit(self) -> None:
        """
        A request above the maximum length is refused.
        """
        request = b" " * 10 + REQUEST
        for limit, answer in [(len(request), REPLY), (len(request) - 1, b"")]:
            protocol, transport = self.connect()
            self.factory.maxLength = limit
            protocol.dataReceived(request)
            self.assertEnded(transport, answer)

    def test_noPolicy(self) -> None:
        """
        A request on a port without a policy file closes the connection, with a log
        line.
        """
        protocol, transport = self.connect(None)
        with capturedLogs() as logs:
            protocol.dataReceived(REQUEST)
        self.assertEnded(transport, b"")
        self.assertIn("requested the policy file, but ", linesOf(logs)[0])
        self.assertEqual(self.factory.unanswered, 1)


class PolicyForTests(SynchronousTestCase):
    """
    L{policyFor} returns the file for a port.
    """

    def test_noPort(self) -> None:
        """
        A file for any port is available without a port; a file for one port is not.
        """
        self.assertIs(policyFor(POLICY, UNIXAddress(b"/a")), POLICY)
        self.assertIsNone(policyFor(PolicyFile.forPort, UNIXAddress(b"/a")))
