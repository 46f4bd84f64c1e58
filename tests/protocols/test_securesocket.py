"""
The client end of a C{SecureSocket} as a protocol, and any protocol in TLS.
"""

from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.securesocket import (
    SecureEndpoint,
    SecureSocketFactory,
    SecureSocketProtocol,
)
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.testing import CertificateMaker, Credentials, MemoryNetwork, Peer
from openfl_twisted.tls import CertificateRefused, HandshakeFailed
from openfl_twisted.wire.x509.certificates import CertificateStatus, Verdict

MAKER = CertificateMaker()
HOST, TRUST = MAKER.host, MAKER.trust
GOOD = MAKER.make()
EXPIRED = MAKER.make(CertificateStatus.EXPIRED)


class SecureTestCase(SynchronousTestCase):
    """
    A client on a network that holds all connection attempts.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.network.attempts.hold()
        self.plain = TCP4ClientEndpoint(self.network.reactor, "192.0.2.1", 443)

    def answer(self, credentials: Credentials | None = GOOD) -> Any:
        """
        Accept the connection as a TLS server that echoes messages.

        @param credentials: the credentials of the server; C{None} for a server that sends nothing.
        @return: the server.
        """
        factory: Any = Factory.forProtocol(Peer)
        if credentials is not None:
            echo = XMLSocketFactory(EchoProtocol)
            factory = credentials.serverFactory(echo, self.network.reactor)
        self.network.flush()
        return self.network.attempts.held[0].answer(factory)


class Client(SecureSocketProtocol):
    """
    Sends a message when it is connected, and records its calls.
    """

    def __init__(self) -> None:
        self.heard: list[object] = []

    def connectionMade(self) -> None:
        self.heard.append(f"connected, {self.serverCertificateStatus}")
        self.writeUTFBytes("hello\0")
        self.flush()

    def socketDataReceived(self, bytesLoaded: int) -> None:
        self.heard.append(self.readUTFBytes(bytesLoaded))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.heard.append("lost")

    def handshakeFailed(self, reason: Failure) -> None:
        self.heard.append(reason.value)


class SecureSocketProtocolTests(SecureTestCase):
    """
    L{SecureSocketProtocol} and its factory.
    """

    def setUp(self) -> None:
        super().setUp()
        self.client = Client()
        self.factory = SecureSocketFactory(
            lambda: self.client, HOST, TRUST, timeout=7, maxUnread=99, clock=self.network.reactor
        )

    def test_trusted(self) -> None:
        """
        The protocol is connected when the server is trusted, exchanges data, and is
        notified of the end.
        """
        self.network.latency = 1
        self.plain.connect(self.factory)
        self.answer()
        self.network.advance(2)
        self.assertEqual(self.client.heard, [])
        self.network.advance(5)
        self.assertEqual(self.client.heard, ["connected, trusted", "hello"])
        self.assertEqual(self.client.verdict.certificate, GOOD.chain[0])
        self.assertEqual(self.client.limits.maxUnread, 99)
        self.assertIs(self.client.factory, self.factory)
        self.client.transport.loseConnection()
        self.network.advance(100)
        self.assertEqual(self.client.heard[2:], ["lost"])

    def test_refused(self) -> None:
        """
        If the server is not trusted, only C{handshakeFailed} is called, once.
        """
        self.plain.connect(self.factory)
        self.answer(EXPIRED)
        [reason] = self.client.heard
        self.assertIsInstance(reason, CertificateRefused)
        self.assertEqual(self.client.serverCertificateStatus, CertificateStatus.EXPIRED)
        self.network.advance(100)
        self.assertEqual(len(self.client.heard), 1)

    def test_timeout(self) -> None:
        """
        A server that does not complete the handshake is disconnected after the timeout.
        """
        self.plain.connect(self.factory)
        server = self.answer(None)
        self.network.advance(6.9)
        self.assertEqual(self.client.heard, [])
        self.assertFalse(server.closed)
        self.network.advance(0.1)
        [reason] = self.client.heard
        self.assertIsInstance(reason, error.TimeoutError)
        self.assertIn("7 seconds", str(reason))
        self.assertEqual(self.client.serverCertificateStatus, CertificateStatus.UNKNOWN)
        self.assertTrue(server.closed)

    def test_lost(self) -> None:
        """
        A server that disconnects during the handshake is reported as such.
        """
        self.plain.connect(self.factory)
        self.answer(None).close()
        self.network.flush()
        [reason] = self.client.heard
        self.assertIsInstance(reason, HandshakeFailed)
        self.assertEqual(str(reason), "the TLS handshake failed: the connection was closed")

    def test_connectTCP(self) -> None:
        """
        The factory can be used with C{connectTCP}, which calls more methods than an
        endpoint.
        """
        self.network.reactor.connectTCP("192.0.2.1", 443, self.factory)
        self.network.flush()
        self.network.attempts.held[0].refuse()
        self.network.check()
        self.assertEqual(self.client.heard, [])

    def test_logged(self) -> None:
        """
        The default C{handshakeFailed} logs the reason.
        """
        factory = SecureSocketFactory(SecureSocketProtocol, HOST, TRUST, clock=self.network.reactor)
        self.plain.connect(factory)
        with capturedLogs() as captured:
            self.answer(EXPIRED)
        [event] = captured
        self.assertIn("has expired", event["reason"])


@implementer(IHandshakeListener)
class Listener(Protocol):
    """
    Also listens to the end of the handshake.
    """

    def __init__(self) -> None:
        self.heard: list[str] = []

    def connectionMade(self) -> None:
        self.heard.append("connected")

    def handshakeCompleted(self) -> None:
        self.heard.append("handshake completed")


class Starting(Factory[Listener]):
    """
    Records when it is started and stopped.
    """

    noisy = False
    protocol = Listener
    running = False

    def startFactory(self) -> None:
        self.running = True

    def stopFactory(self) -> None:
        self.running = False


class SecureEndpointTests(SecureTestCase):
    """
    Any protocol with L{SecureEndpoint}.
    """

    def setUp(self) -> None:
        super().setUp()
        self.verdicts: list[Verdict] = []
        self.endpoint = SecureEndpoint(
            self.plain,
            HOST,
            TRUST,
            timeout=7,
            judged=self.verdicts.append,
            clock=self.network.reactor,
        )
        self.factory = Starting()

    def test_trusted(self) -> None:
        """
        C{connect} succeeds with the connected protocol when the server is trusted.
        """
        self.network.latency = 1
        connecting = self.endpoint.connect(self.factory)
        self.answer()
        self.network.advance(2)
        self.assertNoResult(connecting)
        self.network.advance(5)
        protocol = self.successResultOf(connecting)
        assert isinstance(protocol, Listener)
        self.assertEqual(protocol.heard, ["connected", "handshake completed"])
        self.assertIs(protocol.factory, self.factory)
        self.assertEqual([each.status for each in self.verdicts], [CertificateStatus.TRUSTED])

    def test_started(self) -> None:
        """
        The protocol's factory is started and stopped with that of the endpoint.
        """
        connecting = self.endpoint.connect(self.factory)
        self.assertTrue(self.factory.running)
        self.answer()
        self.assertTrue(self.factory.running)
        protocol: Any = self.successResultOf(connecting)
        protocol.transport.loseConnection()
        self.network.flush()
        self.assertFalse(self.factory.running)

    def test_refused(self) -> None:
        """
        C{connect} fails with the exact reason if the server is not trusted.
        """
        endpoint = SecureEndpoint(self.plain, HOST, TRUST, clock=self.network.reactor)
        connecting = endpoint.connect(self.factory)
        self.answer(EXPIRED)
        failure = self.failureResultOf(connecting, CertificateRefused)
        self.assertEqual(failure.value.verdict.status, CertificateStatus.EXPIRED)

    def test_judged(self) -> None:
        """
        C{judged} is called before the failure.
        """
        connecting = self.endpoint.connect(self.factory)
        told: list[int] = []
        connecting.addErrback(lambda _: told.append(len(self.verdicts)))
        self.answer(EXPIRED)
        self.assertEqual(told, [1])
        self.assertEqual(self.verdicts[0].status, CertificateStatus.EXPIRED)

    def test_unreachable(self) -> None:
        """
        C{connect} fails with the error of the underlying endpoint.
        """
        connecting = self.endpoint.connect(self.factory)
        self.network.flush()
        self.network.attempts.held[0].refuse()
        self.failureResultOf(connecting, error.ConnectionRefusedError)
        self.assertEqual([each.status for each in self.verdicts], [CertificateStatus.UNKNOWN])

    def test_timeout(self) -> None:
        """
        C{connect} fails when the handshake takes too long.
        """
        connecting = self.endpoint.connect(self.factory)
        server = self.answer(None)
        self.network.advance(7)
        self.failureResultOf(connecting, error.TimeoutError)
        self.assertTrue(server.closed)

    def test_noProtocol(self) -> None:
        """
        If the factory returns no protocol, C{connect} fails, and the connection is
        closed.
        """
        self.patch(self.factory, "buildProtocol", lambda address: None)
        connecting = self.endpoint.connect(self.factory)
        self.answer()
        self.failureResultOf(connecting, error.NoProtocol)
        self.network.advance(100)
        self.assertTrue(self.network.connections[0].closed)

    def test_fault(self) -> None:
        """
        If the factory or C{connectionMade} raises, C{connect} fails, and the connection
        is closed.
        """

        def fault(*arguments: object) -> None:
            raise ValueError("a fault of the user's")

        for target, name in ((Starting, "buildProtocol"), (Listener, "connectionMade")):
            self.setUp()
            patch = self.patch(target, name, fault)
            connecting = self.endpoint.connect(self.factory)
            self.answer()
            patch.restore()
            self.failureResultOf(connecting, ValueError)
            self.network.advance(100)
            self.assertTrue(self.network.connections[0].closed, name)

    def test_cancelledBefore(self) -> None:
        """
        Cancelling C{connect} cancels the underlying connection attempt.
        """
        connecting = self.endpoint.connect(self.factory)
        self.network.flush()
        [attempt] = self.network.attempts.held
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertTrue(attempt.over)
        self.assertEqual(self.verdicts, [])

    def test_cancelledInACallback(self) -> None:
        """
        A cancellation by C{judged}, by the factory, or by the protocol that is being
        connected, closes the connection. A protocol that was not connected is not.
        """
        connecting: Any = None
        listener = Listener()

        def build(*arguments: object) -> Listener:
            return listener

        def cancel(*arguments: object) -> Listener:
            connecting.cancel()
            return listener

        for name in ("judged", "buildProtocol", "connectionMade"):
            self.setUp()
            listener = Listener()
            if name == "connectionMade":
                self.patch(listener, name, cancel)
            made = cancel if name == "buildProtocol" else build
            self.patch(self.factory, "buildProtocol", made)
            judged = cancel if name == "judged" else None
            endpoint = SecureEndpoint(
                self.plain, HOST, TRUST, judged=judged, clock=self.network.reactor
            )
            connecting = endpoint.connect(self.factory)
            self.answer()
            self.failureResultOf(connecting, CancelledError)
            self.assertEqual(listener.heard, [], name)
            self.assertTrue(self.network.connections[0].closed, name)
            self.network.advance(100)

    def test_cancelledWhenRefused(self) -> None:
        """
        If C{judged} cancels for a refused certificate, C{connect} fails as cancelled.
        """
        endpoint = SecureEndpoint(
            self.plain,
            HOST,
            TRUST,
            judged=lambda verdict: connecting.cancel(),
            clock=self.network.reactor,
        )
        connecting = endpoint.connect(self.factory)
        self.answer(EXPIRED)
        self.failureResultOf(connecting, CancelledError)
        self.network.advance(100)

    def test_cancelledInTheHandshake(self) -> None:
        """
        Cancelling during the handshake closes the connection, even if its last bytes
        were just received.
        """
        for sent in (False, True):
            self.setUp()
            self.network.latency = 1
            connecting = self.endpoint.connect(self.factory)
            self.answer()
            [connection] = self.network.connections
            connection.toClient.stall()
            self.network.advance(3 if sent else 1)
            self.assertEqual(connection.toClient.unread > 0, sent)
            connecting.cancel()
            connection.toClient.resume()
            self.network.advance(100)
            self.failureResultOf(connecting, CancelledError)
            self.assertEqual(self.verdicts, [])
            self.assertTrue(connection.closed)
