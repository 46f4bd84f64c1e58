"""
C{SecureSocket} on a network in memory.
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
    A network in memory, with servers that speak TLS.
    """

    def meet(self, identity: Identity | None) -> Peer:
        """
        Have a server accept the last attempt to connect.

        @param identity: who the server is; C{None} for one that says nothing.
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
    The life of a secure socket.
    """

    def setUp(self) -> None:
        self.network = SecureNetwork()
        self.socket = SecureSocket(trust=TRUST, reactor=self.network.reactor)
        self.recorder = EventRecorder(self.socket)

    def begin(self, identity: Identity | None = GOOD) -> Peer:
        """
        Connect to a server that is so far away that no handshake is completed
        yet.
        """
        self.network.latency = 1
        self.socket.connect(HOST, 443)
        return self.network.meet(identity)

    def shakeHands(self, identity: Identity | None = GOOD) -> Peer:
        """
        Connect to a server, and let both speak until they are silent.
        """
        self.socket.connect(HOST, 443)
        return self.network.meet(identity)

    def state(self) -> tuple[bool, str, bool, bool]:
        """
        Get whether it is connected, the status, and whether there are
        certificates.
        """
        return (
            self.socket.connected,
            self.socket.serverCertificateStatus,
            self.socket.serverCertificate is not None,
            self.socket.refusedCertificate is not None,
        )

    def ioErrorText(self) -> str:
        """
        Get the text of the only event.
        """
        [event] = self.recorder.events
        assert isinstance(event, IOErrorEvent)
        self.assertEqual(event.errorID, 2031)
        return event.text

    def test_new(self) -> None:
        """
        Nothing is known before the first connection.
        """
        self.assertTrue(SecureSocket.isSupported)
        self.assertEqual(self.state(), (False, "unknown", False, False))
        with self.assertRaises(IOError):
            self.socket.writeByte(1)

    def test_connecting(self) -> None:
        """
        Until the handshake is completed there is no connection, and nothing can
        be written.
        """
        self.begin()
        self.assertEqual(self.state(), (False, "unknown", False, False))
        with self.assertRaises(IOError):
            self.socket.writeByte(1)
        self.assertEqual(self.recorder.events, [])

    def test_trusted(self) -> None:
        """
        C{connect} comes when the server is trusted, and its certificate can be
        looked at.
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
        Bytes go both ways as with any C{Socket}.
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
        A server that is not trusted makes an C{ioError} that says why, and gets
        nothing. Its certificate is kept as the refused one.
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
        Without TCP nothing is known of a certificate, and the text says what
        has happened.
        """
        self.socket.connect(HOST, 443)
        self.network.turnAway()
        self.assertIn("refused", self.ioErrorText())
        self.assertEqual(self.state(), (False, "unknown", False, False))

    def test_stalled(self) -> None:
        """
        C{timeout} covers the handshake: a server that says nothing makes an
        C{ioError}, and is left.
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
        A server that goes away before the end of the handshake makes an
        C{ioError}, and no C{close}.
        """
        server = self.shakeHands(None)
        server.close()
        self.assertIn("handshake failed: the connection was closed", self.ioErrorText())
        self.assertEqual(self.state(), (False, "unknown", False, False))

    def test_plainServer(self) -> None:
        """
        A server that speaks no TLS is named as such.
        """
        server = self.shakeHands(None)
        server.send(b"220 mail.example ESMTP\r\n")
        self.network.flush()
        self.assertIn("does not speak TLS", self.ioErrorText())

    def test_remoteClose(self) -> None:
        """
        What the server sent before it closed comes before C{close}; the status
        and the certificate stay.
        """
        server = self.shakeHands()
        server.send(b"bye")
        server.close()
        self.assertEqual(self.recorder.types, ["connect", "socketData", "close"])
        self.assertEqual(self.state(), (False, CertificateStatus.TRUSTED, True, False))

    def test_truncated(self) -> None:
        """
        An end without TLS's own farewell is C{close} as well, without an error.
        """
        self.shakeHands()
        self.network.connections[-1].reset()
        self.network.flush()
        self.assertEqual(self.recorder.types, ["connect", "close"])

    def test_ownClose(self) -> None:
        """
        C{close} ends both sides without an event; the status stays until the
        next C{connect}.
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
        C{close} gives up the handshake without an event.
        """
        server = self.begin()
        self.socket.close()
        self.network.flush()
        self.network.reactor.advance(100)
        self.assertEqual(self.recorder.events, [])
        self.assertTrue(server.closed)

    def test_connectInTheHandshake(self) -> None:
        """
        Another C{connect} gives up the handshake, and its outcome counts for
        nothing.
        """
        self.begin(EXPIRED)
        self.begin(GOOD)
        self.assertEqual(self.recorder.events, [])
        self.network.advance(20)
        self.assertEqual(self.recorder.types, ["connect"])
        self.assertEqual(self.socket.serverCertificateStatus, CertificateStatus.TRUSTED)

    def test_again(self) -> None:
        """
        After a refusal the same socket can connect to a better server.
        """
        self.shakeHands(EXPIRED)
        self.shakeHands(GOOD)
        self.assertEqual(self.recorder.types, ["ioError", "connect"])
        self.assertEqual(self.state(), (True, CertificateStatus.TRUSTED, True, False))

    def test_added(self) -> None:
        """
        A certificate that is added as trusted is believed from the next
        C{connect} on.
        """
        self.socket.trust = Trust(platform=False)
        self.shakeHands()
        self.assertEqual(self.socket.serverCertificateStatus, CertificateStatus.UNTRUSTED_SIGNERS)
        self.socket.addBinaryChainBuildingCertificate(ByteArray(ROOT.der), True)
        self.shakeHands()
        self.assertEqual(self.recorder.types, ["ioError", "connect"])

    def test_addedNothing(self) -> None:
        """
        What is no certificate cannot be added.
        """
        for wrong in (ByteArray(), b"-----BEGIN CERTIFICATE-----", GOOD.der[:-1]):
            with self.assertRaises(ArgumentError) as caught:
                self.socket.addBinaryChainBuildingCertificate(wrong, True)
            self.assertEqual(caught.exception.errorID, 2004)

    def test_outputProgress(self) -> None:
        """
        C{bytesPending} and C{outputProgress} tell what the network has not
        taken, inside TLS too.
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
        A limit on what lies unread holds back the network beneath TLS too.
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
        Who waits for the connection hears why there is none.
        """
        self.socket.connect(HOST, 443)
        waiting = self.socket.whenConnected()
        self.network.meet(EXPIRED)
        self.assertIn("has expired", self.failureResultOf(waiting).getErrorMessage())
