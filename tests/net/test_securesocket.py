"""
Tests for L{openfl_twisted.net.securesocket}, on an in-memory network.
"""

from typing import Any

from twisted.internet.protocol import Factory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.errors import ArgumentError, IOError
from openfl_twisted.events import IOErrorEvent, OutputProgressEvent
from openfl_twisted.net import SecureSocket
from openfl_twisted.security import CertificateStatus
from openfl_twisted.testing import EventRecorder
from openfl_twisted.tls import Trust
from openfl_twisted.utils import ByteArray
from tests.laboratory import PAST, Identity, authority, server
from tests.net.network import Network, Peer
from tests.tls.handshakes import Presenting

HOST = "127.0.0.1"
ROOT = authority()
TRUST = Trust(platform=False, anchors=(ROOT.certificate,))
GOOD = server(ROOT, names=[HOST])
EXPIRED = server(ROOT, names=[HOST], ends=PAST)


class SecureNetwork(Network):
    """
    An in-memory network with TLS servers.
    """

    def accept(self, identity: Identity | None) -> Peer:
        """
        Let a server accept the latest connection attempt.

        @param identity: the server's certificate; C{None} for a server that sends
            nothing.
        """
        self.flush()
        server = Peer(self)
        factory: Any = Factory.forProtocol(lambda: server)
        if identity is not None:
            factory = TLSMemoryBIOFactory(Presenting.of(identity), False, factory, self.reactor)
        self.attempts.made[-1].answer(factory)
        return server


class SecureSocketTests(SynchronousTestCase):
    """
    Connections and events of L{SecureSocket}.
    """

    def setUp(self) -> None:
        self.network = SecureNetwork()
        self.socket = SecureSocket(trust=TRUST, reactor=self.network.reactor)
        self.recorder = EventRecorder(self.socket)

    def begin(self, identity: Identity | None = GOOD) -> Peer:
        """
        Connect to a server without completing the handshake.
        """
        self.network.latency = 1
        self.socket.connect(HOST, 443)
        return self.network.accept(identity)

    def shakeHands(self, identity: Identity | None = GOOD) -> Peer:
        """
        Connect to a server, and exchange data until both sides are idle.
        """
        self.socket.connect(HOST, 443)
        return self.network.accept(identity)

    def state(self) -> tuple[bool, str, bool, bool]:
        """
        Return whether it is connected, the status, and whether each certificate is
        available.
        """
        return (
            self.socket.connected,
            self.socket.serverCertificateStatus,
            self.socket.serverCertificate is not None,
            self.socket.refusedCertificate is not None,
        )

    def ioErrorText(self) -> str:
        """
        Return the text of the only event.
        """
        [event] = self.recorder.events
        assert isinstance(event, IOErrorEvent)
        self.assertEqual(event.errorID, 2031)
        return event.text

    def test_new(self) -> None:
        """
        Before the first connection, the status is unknown.
        """
        self.assertTrue(SecureSocket.isSupported)
        self.assertEqual(self.state(), (False, "unknown", False, False))
        with self.assertRaises(IOError):
            self.socket.writeByte(1)

    def test_wrongTrust(self) -> None:
        """
        The path of a file instead of a C{Trust} is refused.
        """
        wrong: Any = "ca.pem"
        with self.assertRaisesRegex(TypeError, "must be a Trust, not 'ca.pem': Trust.fromPEM"):
            SecureSocket(trust=wrong)

    def test_connecting(self) -> None:
        """
        Before the handshake is completed, the socket is not connected, and cannot
        write.
        """
        self.begin()
        self.assertEqual(self.state(), (False, "unknown", False, False))
        with self.assertRaises(IOError):
            self.socket.writeByte(1)
        self.assertEqual(self.recorder.events, [])

    def test_trusted(self) -> None:
        """
        C{connect} is dispatched after the server is trusted, and its certificate is
        available.
        """
        seen = []
        self.socket.addEventListener("connect", lambda event: seen.append(self.state()))
        self.shakeHands()
        self.assertEqual(self.recorder.types, ["connect"])
        self.assertEqual(seen, [(True, CertificateStatus.TRUSTED, True, False)])
        certificate = self.socket.serverCertificate
        assert certificate is not None
        self.assertEqual(bytes(certificate.encoded), GOOD.der)

    def test_talk(self) -> None:
        """
        Data is exchanged as with any C{Socket}.
        """
        server = self.shakeHands()
        self.socket.writeUTFBytes("ping")
        self.socket.flush()
        server.send(b"pong")
        self.network.flush()
        self.assertEqual(server.received, b"ping")
        self.assertEqual(self.socket.readUTFBytes(4), "pong")
        self.assertIn("socketData", self.recorder.types)

    def test_refused(self) -> None:
        """
        An untrusted server causes an C{ioError} with the reason, and receives no data.
        Its certificate is available as the refused one.
        """
        server = self.shakeHands(EXPIRED)
        self.assertEqual(
            self.ioErrorText(),
            "Error #2031: Socket Error. The certificate of CN=the server has expired: "
            "certificate has expired (since 2010-01-01 00:00 UTC).",
        )
        self.assertEqual(self.state(), (False, CertificateStatus.EXPIRED, False, True))
        self.assertEqual(server.received, b"")
        self.assertTrue(server.closed)

    def test_notReachable(self) -> None:
        """
        If the TCP connection fails, the status is unknown, and the text is the reason.
        """
        self.socket.connect(HOST, 443)
        self.network.turnAway()
        self.assertIn("refused", self.ioErrorText())
        self.assertEqual(self.state(), (False, "unknown", False, False))

    def test_stalled(self) -> None:
        """
        C{timeout} includes the handshake: a silent server causes an C{ioError}, and is
        disconnected.
        """
        self.socket.timeout = 3000
        server = self.shakeHands(None)
        self.network.reactor.advance(2.9)
        self.assertEqual(self.recorder.events, [])
        self.network.reactor.advance(0.2)
        self.network.flush()
        self.assertIn("3 seconds", self.ioErrorText())
        self.assertEqual(self.socket.serverCertificateStatus, "unknown")
        self.assertTrue(server.closed)
        self.network.reactor.advance(100)
        self.assertEqual(len(self.recorder.events), 1)

    def test_closedInTheHandshake(self) -> None:
        """
        A server that disconnects during the handshake causes an C{ioError}, and no
        C{close}.
        """
        server = self.shakeHands(None)
        server.close()
        self.assertIn("handshake failed: the connection was closed", self.ioErrorText())
        self.assertEqual(self.state(), (False, "unknown", False, False))

    def test_plainServer(self) -> None:
        """
        The text for a server without TLS names the reason.
        """
        server = self.shakeHands(None)
        server.send(b"220 mail.example ESMTP\r\n")
        self.network.flush()
        self.assertIn("does not speak TLS", self.ioErrorText())

    def test_remoteClose(self) -> None:
        """
        Data sent by the server before it closed is dispatched before C{close}. Status
        and certificate are kept.
        """
        server = self.shakeHands()
        server.send(b"bye")
        server.close()
        self.assertEqual(self.recorder.types, ["connect", "socketData", "close"])
        self.assertEqual(self.state(), (False, CertificateStatus.TRUSTED, True, False))

    def test_truncated(self) -> None:
        """
        A connection lost without C{close_notify} dispatches C{close}, without an error.
        """
        self.shakeHands()
        self.network.connections[-1].reset()
        self.network.flush()
        self.assertEqual(self.recorder.types, ["connect", "close"])

    def test_ownClose(self) -> None:
        """
        C{close} closes both sides without an event. The status is kept until the next
        C{connect}.
        """
        server = self.shakeHands()
        self.socket.close()
        self.network.flush()
        self.assertTrue(server.closed)
        self.assertEqual(self.recorder.types, ["connect"])
        self.assertEqual(self.state(), (False, CertificateStatus.TRUSTED, True, False))
        self.begin()
        self.assertEqual(self.state(), (False, "unknown", False, False))

    def test_closeInTheHandshake(self) -> None:
        """
        C{close} cancels the handshake without an event.
        """
        server = self.begin()
        self.socket.close()
        self.network.flush()
        self.network.reactor.advance(100)
        self.assertEqual(self.recorder.events, [])
        self.assertTrue(server.closed)

    def test_connectInTheHandshake(self) -> None:
        """
        Another C{connect} cancels the handshake and ignores its result.
        """
        self.begin(EXPIRED)
        self.begin(GOOD)
        self.assertEqual(self.recorder.events, [])
        self.network.advance(20)
        self.assertEqual(self.recorder.types, ["connect"])
        self.assertEqual(self.socket.serverCertificateStatus, CertificateStatus.TRUSTED)

    def test_again(self) -> None:
        """
        After a refusal the same socket can connect to a trusted server.
        """
        self.shakeHands(EXPIRED)
        self.shakeHands(GOOD)
        self.assertEqual(self.recorder.types, ["ioError", "connect"])
        self.assertEqual(self.state(), (True, CertificateStatus.TRUSTED, True, False))

    def test_added(self) -> None:
        """
        A certificate added as trusted is used from the next C{connect}.
        """
        self.socket.trust = Trust(platform=False)
        self.shakeHands()
        self.assertEqual(self.socket.serverCertificateStatus, CertificateStatus.UNTRUSTED_SIGNERS)
        self.socket.addBinaryChainBuildingCertificate(ByteArray(ROOT.der), True)
        self.shakeHands()
        self.assertEqual(self.recorder.types, ["ioError", "connect"])

    def test_addedNothing(self) -> None:
        """
        Invalid certificates cannot be added.
        """
        for wrong in (ByteArray(), b"-----BEGIN CERTIFICATE-----", GOOD.der[:-1]):
            with self.assertRaises(ArgumentError) as caught:
                self.socket.addBinaryChainBuildingCertificate(wrong, True)
            self.assertEqual(caught.exception.errorID, 2004)

    def test_outputProgress(self) -> None:
        """
        C{bytesPending} and C{outputProgress} report unsent bytes, also with TLS.
        """
        server = self.shakeHands()
        data = bytes(300_000)
        self.socket.writeBytes(ByteArray(data))
        self.assertEqual(self.socket.bytesPending, len(data))
        self.network.flush()
        self.network.step()
        self.assertEqual(server.received, data)
        self.assertEqual(self.socket.bytesPending, 0)
        progress = [each for each in self.recorder.events if isinstance(each, OutputProgressEvent)]
        self.assertEqual(progress[-1].bytesPending, 0)
        self.assertEqual(progress[-1].bytesTotal, len(data))

    def test_maxUnread(self) -> None:
        """
        C{maxUnread} pauses the underlying transport, also with TLS.
        """
        self.socket.maxUnread = 10
        server = self.shakeHands()
        incoming = self.network.connections[-1].toClient
        server.send(b"x" * 11, b"y")
        self.assertGreater(incoming.unread, 0)
        self.socket.readUTFBytes(11)
        self.network.flush()
        self.assertEqual((incoming.unread, self.socket.bytesAvailable), (0, 1))

    def test_whenConnected(self) -> None:
        """
        C{whenConnected} fails with the reason.
        """
        self.socket.connect(HOST, 443)
        waiting = self.socket.whenConnected()
        self.network.accept(EXPIRED)
        self.assertIn("has expired", self.failureResultOf(waiting).getErrorMessage())
