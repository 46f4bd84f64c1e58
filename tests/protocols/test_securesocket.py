"""
The client end of a C{SecureSocket} as a protocol, and any protocol in TLS.
"""

from typing import Any

from twisted.internet import error
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IHandshakeListener
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import AccumulatingProtocol, MemoryReactor
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.securesocket import (
    SecureEndpoint,
    SecureSocketFactory,
    SecureSocketProtocol,
)
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.tls import CertificateRefused, HandshakeFailed, Trust
from openfl_twisted.wire.x509.certificates import CertificateStatus, Verdict
from tests.doubles import Way
from tests.laboratory import HOST, PAST, Identity, authority, server
from tests.tls.handshakes import Presenting

ROOT = authority()
TRUST = Trust(platform=False, anchors=(ROOT.certificate,))
GOOD = server(ROOT)
EXPIRED = server(ROOT, ends=PAST)


def meet(calling: Any, clock: Clock, identity: Identity | None = GOOD) -> IOPump:
    """
    Connect to a TLS server that echoes messages. No data passes before the pump is
    used.

    @param identity: the server's certificate; C{None} for a server that sends nothing.
    """
    serving: Any = AccumulatingProtocol()
    if identity is not None:
        serving = TLSMemoryBIOFactory(
            Presenting.of(identity), False, XMLSocketFactory(EchoProtocol), clock
        ).buildProtocol(None)
    pump: IOPump = connect(
        serving,
        makeFakeServer(serving),
        calling,
        makeFakeClient(calling),
        greet=False,
        clock=clock,
    )
    return pump


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


class SecureSocketProtocolTests(SynchronousTestCase):
    """
    L{SecureSocketProtocol} and its factory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.client = Client()
        self.factory = SecureSocketFactory(
            lambda: self.client, HOST, TRUST, timeout=7, maxUnread=99, clock=self.clock
        )

    def test_trusted(self) -> None:
        """
        The protocol is connected when the server is trusted, exchanges data, and is
        notified of the end.
        """
        calling = self.factory.buildProtocol(None)
        pump = meet(calling, self.clock)
        self.assertEqual(self.client.heard, [])
        pump.flush()
        self.assertEqual(self.client.heard, ["connected, trusted", "hello"])
        self.assertEqual(self.client.verdict.certificate, GOOD.certificate)
        self.assertEqual(self.client.limits.maxUnread, 99)
        self.assertIs(self.client.factory, self.factory)
        self.client.transport.loseConnection()
        pump.flush()
        self.assertEqual(self.client.heard[2:], ["lost"])
        self.clock.advance(100)

    def test_refused(self) -> None:
        """
        If the server is not trusted, only C{handshakeFailed} is called, once.
        """
        meet(self.factory.buildProtocol(None), self.clock, EXPIRED).flush()
        [reason] = self.client.heard
        self.assertIsInstance(reason, CertificateRefused)
        self.assertEqual(self.client.serverCertificateStatus, CertificateStatus.EXPIRED)
        self.clock.advance(100)
        self.assertEqual(len(self.client.heard), 1)

    def test_timeout(self) -> None:
        """
        A server that does not complete the handshake is disconnected after the timeout.
        """
        pump = meet(self.factory.buildProtocol(None), self.clock, None)
        self.clock.advance(6.9)
        self.assertEqual(self.client.heard, [])
        self.clock.advance(0.1)
        pump.flush()
        [reason] = self.client.heard
        self.assertIsInstance(reason, error.TimeoutError)
        self.assertIn("7 seconds", str(reason))
        self.assertEqual(self.client.serverCertificateStatus, CertificateStatus.UNKNOWN)

    def test_lost(self) -> None:
        """
        A server that disconnects during the handshake is reported as such.
        """
        pump = meet(self.factory.buildProtocol(None), self.clock, None)
        pump.server.transport.loseConnection()
        pump.flush()
        [reason] = self.client.heard
        self.assertIsInstance(reason, HandshakeFailed)
        self.assertEqual(str(reason), "the TLS handshake failed: the connection was closed")

    def test_connectTCP(self) -> None:
        """
        The factory can be used with C{connectTCP}, which calls more methods than an
        endpoint.
        """
        reactor = MemoryReactor()
        connector = reactor.connectTCP("127.0.0.1", 443, self.factory)
        self.factory.doStart()
        self.factory.startedConnecting(connector)
        self.factory.clientConnectionFailed(connector, Failure(error.ConnectionRefusedError()))
        self.factory.doStop()
        self.assertEqual(self.client.heard, [])

    def test_logged(self) -> None:
        """
        The default C{handshakeFailed} logs the reason.
        """
        factory = SecureSocketFactory(SecureSocketProtocol, HOST, TRUST, clock=self.clock)
        with capturedLogs() as captured:
            meet(factory.buildProtocol(None), self.clock, EXPIRED).flush()
        [event] = captured
        self.assertIn("has expired", event["reason"])


class TLSWay(Way):
    """
    An endpoint with a TLS server.
    """

    def arrive(self, clock: Clock, identity: Identity | None = GOOD) -> IOPump:
        """
        Connect to a server.
        """
        calling: Any = self.factory.buildProtocol(None)  # type: ignore[arg-type]
        pump = meet(calling, clock, identity)
        self.connecting.callback(calling)
        return pump


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


class SecureEndpointTests(SynchronousTestCase):
    """
    Any protocol with L{SecureEndpoint}.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.way = TLSWay()
        self.verdicts: list[Verdict] = []
        self.endpoint = SecureEndpoint(
            self.way, HOST, TRUST, timeout=7, judged=self.verdicts.append, clock=self.clock
        )
        self.factory = Starting()

    def test_trusted(self) -> None:
        """
        C{connect} succeeds with the connected protocol when the server is trusted.
        """
        connecting = self.endpoint.connect(self.factory)
        pump = self.way.arrive(self.clock)
        self.assertNoResult(connecting)
        pump.flush()
        protocol = self.successResultOf(connecting)
        assert isinstance(protocol, Listener)
        self.assertEqual(protocol.heard, ["connected", "handshake completed"])
        self.assertIs(protocol.factory, self.factory)
        self.assertEqual([each.status for each in self.verdicts], [CertificateStatus.TRUSTED])

    def test_started(self) -> None:
        """
        The protocol's factory is started and stopped with that of the endpoint.
        """
        self.endpoint.connect(self.factory)
        self.assertTrue(self.factory.running)
        self.way.factory.doStop()
        self.assertFalse(self.factory.running)

    def test_refused(self) -> None:
        """
        C{connect} fails with the exact reason if the server is not trusted.
        """
        connecting = SecureEndpoint(self.way, HOST, TRUST, clock=self.clock).connect(self.factory)
        self.way.arrive(self.clock, EXPIRED).flush()
        failure = self.failureResultOf(connecting, CertificateRefused)
        self.assertEqual(failure.value.verdict.status, CertificateStatus.EXPIRED)

    def test_judged(self) -> None:
        """
        C{judged} is called before the failure.
        """
        connecting = self.endpoint.connect(self.factory)
        told: list[int] = []
        connecting.addErrback(lambda _: told.append(len(self.verdicts)))
        self.way.arrive(self.clock, EXPIRED).flush()
        self.assertEqual(told, [1])
        self.assertEqual(self.verdicts[0].status, CertificateStatus.EXPIRED)

    def test_unreachable(self) -> None:
        """
        C{connect} fails with the error of the underlying endpoint.
        """
        connecting = self.endpoint.connect(self.factory)
        self.way.connecting.errback(error.ConnectionRefusedError())
        self.failureResultOf(connecting, error.ConnectionRefusedError)
        self.assertEqual([each.status for each in self.verdicts], [CertificateStatus.UNKNOWN])

    def test_timeout(self) -> None:
        """
        C{connect} fails when the handshake takes too long.
        """
        connecting = self.endpoint.connect(self.factory)
        pump = self.way.arrive(self.clock, None)
        self.clock.advance(7)
        self.failureResultOf(connecting, error.TimeoutError)
        pump.flush()
        self.assertEqual(pump.server.closed, 1)

    def test_noProtocol(self) -> None:
        """
        If the factory returns no protocol, C{connect} fails, and the connection is
        closed.
        """
        self.patch(self.factory, "buildProtocol", lambda address: None)
        connecting = self.endpoint.connect(self.factory)
        pump = self.way.arrive(self.clock)
        pump.flush()
        self.failureResultOf(connecting, error.NoProtocol)
        self.clock.advance(100)

    def test_fault(self) -> None:
        """
        If the factory or C{connectionMade} raises, C{connect} fails, and the connection
        is closed.
        """

        def fault(*arguments: object) -> None:
            raise ValueError("a fault of the user's")

        targets: list[tuple[object, str]] = [
            (self.factory, "buildProtocol"),
            (Listener, "connectionMade"),
        ]
        for target, name in targets:
            self.patch(target, name, fault)
            connecting = self.endpoint.connect(self.factory)
            pump = self.way.arrive(self.clock)
            pump.flush()
            self.failureResultOf(connecting, ValueError)
            self.clock.advance(100)
            self.assertFalse(pump.client.connected)

    def test_cancelledBefore(self) -> None:
        """
        Cancelling C{connect} cancels the underlying connection attempt.
        """
        connecting = self.endpoint.connect(self.factory)
        connecting.cancel()
        self.failureResultOf(connecting, CancelledError)
        self.assertTrue(self.way.cancelled)
        self.assertEqual(self.verdicts, [])

    def test_cancelledInACallback(self) -> None:
        """
        A cancellation by C{judged}, by the factory, or by the protocol that is being
        connected, closes the connection. A protocol that was not connected is not.
        """
        connecting: Any = None

        def cancel(*arguments: object) -> Listener:
            connecting.cancel()
            listener.factory = self.factory
            return listener

        targets: list[tuple[object, str]] = [
            (self.verdicts, "append"),
            (self.factory, "buildProtocol"),
            (Listener, "connectionMade"),
        ]
        for target, name in targets:
            listener = Listener()
            clock, way = Clock(), TLSWay()
            judged = cancel if name == "append" else None
            if judged is None:
                self.patch(target, name, cancel)
            endpoint = SecureEndpoint(way, HOST, TRUST, judged=judged, clock=clock)
            connecting = endpoint.connect(self.factory)
            pump = way.arrive(clock)
            pump.flush()
            self.failureResultOf(connecting, CancelledError)
            self.assertEqual(listener.heard, [], name)
            self.assertFalse(pump.client.connected, name)
            clock.advance(100)

    def test_cancelledWhenRefused(self) -> None:
        """
        If C{judged} cancels for a refused certificate, C{connect} fails as cancelled.
        """
        endpoint = SecureEndpoint(
            self.way, HOST, TRUST, judged=lambda verdict: connecting.cancel(), clock=self.clock
        )
        connecting = endpoint.connect(self.factory)
        self.way.arrive(self.clock, EXPIRED).flush()
        self.failureResultOf(connecting, CancelledError)
        self.clock.advance(100)

    def test_cancelledInTheHandshake(self) -> None:
        """
        Cancelling during the handshake closes the connection, even if its last bytes
        were just received.
        """
        connecting = self.endpoint.connect(self.factory)
        pump = self.way.arrive(self.clock)
        pump.pump()
        connecting.cancel()
        pump.flush()
        self.failureResultOf(connecting, CancelledError)
        self.assertEqual(self.verdicts, [])
        self.clock.advance(100)
