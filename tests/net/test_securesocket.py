"""
C{SecureSocket} on a network in memory.
"""

from typing import Any

from twisted.internet import error
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import FakeTransport, IOPump, connect, makeFakeClient, makeFakeServer
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.errors import ArgumentError, IOError
from openfl_twisted.events import IOErrorEvent, OutputProgressEvent
from openfl_twisted.net import SecureSocket
from openfl_twisted.security import CertificateStatus
from openfl_twisted.tls import Trust
from openfl_twisted.utils import ByteArray
from tests.laboratory import PAST, Identity, authority, server
from tests.net.network import Network, record, types
from tests.tls.handshakes import Presenting

HOST = "127.0.0.1"
ROOT = authority()
TRUST = Trust(platform=False, anchors=(ROOT.certificate,))
GOOD = server(ROOT, names=[HOST])
EXPIRED = server(ROOT, names=[HOST], ends=PAST)


class Server(Protocol):
    """
    The other end: it notes what it gets.
    """

    def __init__(self) -> None:
        self.received = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True

    def send(self, data: bytes) -> None:
        """
        Send bytes.
        """
        assert self.transport is not None
        self.transport.write(data)


class SecureNetwork(Network):
    """
    A network in memory, with servers that speak TLS.
    """

    def meet(self, identity: Identity | None) -> tuple[Server, IOPump]:
        """
        Have a server accept the last attempt to connect. Nothing passes between
        the two until the pump is used.

        @param identity: who the server is; C{None} for one that says nothing.
        """
        self.turn()
        calling: Any = self.reactor.tcpClients[-1][2].buildProtocol(None)
        server = Server()
        serving: Any = server
        if identity is not None:
            serving = TLSMemoryBIOFactory(
                Presenting.of(identity), False, Factory.forProtocol(lambda: server), self.reactor
            ).buildProtocol(None)
        pump = connect(
            serving,
            makeFakeServer(serving),
            calling,
            makeFakeClient(calling),
            greet=False,
            clock=self.reactor,
        )
        return server, pump


class SecureSocketTests(SynchronousTestCase):
    """
    The life of a secure socket.
    """

    def setUp(self) -> None:
        self.network = SecureNetwork()
        self.socket = SecureSocket(trust=TRUST, reactor=self.network.reactor)
        self.events = record(self.socket)

    def begin(self, identity: Identity | None = GOOD) -> tuple[Server, IOPump]:
        """
        Connect to a server; nothing has passed yet.
        """
        self.socket.connect(HOST, 443)
        return self.network.meet(identity)

    def shakeHands(self, identity: Identity | None = GOOD) -> tuple[Server, IOPump]:
        """
        Connect to a server, and let both speak until they are silent.
        """
        server, pump = self.begin(identity)
        pump.flush()
        return server, pump

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
        [event] = self.events
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
        self.assertEqual(self.events, [])

    def test_trusted(self) -> None:
        """
        C{connect} comes when the server is trusted, and its certificate can be
        looked at.
        """
        seen = []
        self.socket.addEventListener("connect", lambda event: seen.append(self.state()))
        self.shakeHands()
        self.assertEqual(types(self.events), ["connect"])
        self.assertEqual(seen, [(True, CertificateStatus.TRUSTED, True, False)])
        certificate = self.socket.serverCertificate
        assert certificate is not None
        self.assertEqual(bytes(certificate.encoded), GOOD.der)

    def test_talk(self) -> None:
        """
        Bytes go both ways as with any C{Socket}.
        """
        server, pump = self.shakeHands()
        self.socket.writeUTFBytes("ping")
        self.socket.flush()
        server.send(b"pong")
        pump.flush()
        self.assertEqual(server.received, b"ping")
        self.assertEqual(self.socket.readUTFBytes(4), "pong")
        self.assertIn("socketData", types(self.events))

    def test_refused(self) -> None:
        """
        A server that is not trusted makes an C{ioError} that says why, and gets
        nothing. Its certificate is kept as the refused one.
        """
        server, _ = self.shakeHands(EXPIRED)
        self.assertEqual(
            self.ioErrorText(),
            "Error #2031: Socket Error. The certificate of CN=the server has expired: "
            "certificate has expired",
        )
        self.assertEqual(self.state(), (False, CertificateStatus.EXPIRED, False, True))
        self.assertEqual(server.received, b"")
        self.assertTrue(server.lost)

    def test_notReachable(self) -> None:
        """
        Without TCP nothing is known of a certificate, and the text says what
        has happened.
        """
        self.socket.connect(HOST, 443)
        self.network.refuse()
        self.assertIn("refused", self.ioErrorText())
        self.assertEqual(self.state(), (False, "unknown", False, False))

    def test_stalled(self) -> None:
        """
        C{timeout} covers the handshake: a server that says nothing makes an
        C{ioError}, and is left.
        """
        self.socket.timeout = 3000
        server, pump = self.shakeHands(None)
        self.network.reactor.advance(2.9)
        self.assertEqual(self.events, [])
        self.network.reactor.advance(0.2)
        pump.flush()
        self.assertIn("3 seconds", self.ioErrorText())
        self.assertEqual(self.socket.serverCertificateStatus, "unknown")
        self.assertTrue(server.lost)
        self.network.reactor.advance(100)
        self.assertEqual(len(self.events), 1)

    def test_closedInTheHandshake(self) -> None:
        """
        A server that goes away before the end of the handshake makes an
        C{ioError}, and no C{close}.
        """
        server, pump = self.shakeHands(None)
        assert server.transport is not None
        server.transport.loseConnection()
        pump.flush()
        self.assertIn("handshake failed: the connection was closed", self.ioErrorText())
        self.assertEqual(self.state(), (False, "unknown", False, False))

    def test_plainServer(self) -> None:
        """
        A server that speaks no TLS is named as such.
        """
        server, pump = self.shakeHands(None)
        server.send(b"220 mail.example ESMTP\r\n")
        pump.flush()
        self.assertIn("does not speak TLS", self.ioErrorText())

    def test_remoteClose(self) -> None:
        """
        What the server sent before it closed comes before C{close}; the status
        and the certificate stay.
        """
        server, pump = self.shakeHands()
        server.send(b"bye")
        assert server.transport is not None
        server.transport.loseConnection()
        pump.flush()
        self.assertEqual(types(self.events), ["connect", "socketData", "close"])
        self.assertEqual(self.state(), (False, CertificateStatus.TRUSTED, True, False))

    def test_truncated(self) -> None:
        """
        An end without TLS's own farewell is C{close} as well, without an error.
        """
        _, pump = self.shakeHands()
        transport = pump.client.transport
        assert isinstance(transport, FakeTransport)
        pump.client.connectionLost(Failure(error.ConnectionLost()))
        self.assertEqual(types(self.events), ["connect", "close"])

    def test_ownClose(self) -> None:
        """
        C{close} ends both sides without an event; the status stays until the
        next C{connect}.
        """
        server, pump = self.shakeHands()
        self.socket.close()
        pump.flush()
        self.assertTrue(server.lost)
        self.assertEqual(types(self.events), ["connect"])
        self.assertEqual(self.state(), (False, CertificateStatus.TRUSTED, True, False))
        self.begin()
        self.assertEqual(self.state(), (False, "unknown", False, False))

    def test_closeInTheHandshake(self) -> None:
        """
        C{close} gives up the handshake without an event.
        """
        server, pump = self.begin()
        self.socket.close()
        pump.flush()
        self.network.reactor.advance(100)
        self.assertEqual(self.events, [])
        self.assertTrue(server.lost)

    def test_connectInTheHandshake(self) -> None:
        """
        Another C{connect} gives up the handshake, and its outcome counts for
        nothing.
        """
        _, first = self.begin(EXPIRED)
        _, second = self.begin(GOOD)
        first.flush()
        self.assertEqual(self.events, [])
        second.flush()
        self.assertEqual(types(self.events), ["connect"])
        self.assertEqual(self.socket.serverCertificateStatus, CertificateStatus.TRUSTED)

    def test_again(self) -> None:
        """
        After a refusal the same socket can connect to a better server.
        """
        self.shakeHands(EXPIRED)
        self.shakeHands(GOOD)
        self.assertEqual(types(self.events), ["ioError", "connect"])
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
        self.assertEqual(types(self.events), ["ioError", "connect"])

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
        server, pump = self.shakeHands()
        data = bytes(300_000)
        self.socket.writeBytes(ByteArray(data))
        self.assertEqual(self.socket.bytesPending, len(data))
        pump.flush()
        self.network.turn()
        self.assertEqual(server.received, data)
        self.assertEqual(self.socket.bytesPending, 0)
        progress = [each for each in self.events if isinstance(each, OutputProgressEvent)]
        self.assertEqual(progress[-1].bytesPending, 0)
        self.assertEqual(progress[-1].bytesTotal, len(data))

    def test_maxUnread(self) -> None:
        """
        A limit on what lies unread holds back the network beneath TLS too.
        """
        calls: list[str] = []
        self.patch(FakeTransport, "pauseProducing", lambda _: calls.append("pause"))
        self.patch(FakeTransport, "resumeProducing", lambda _: calls.append("resume"))
        self.socket.maxUnread = 10
        server, pump = self.shakeHands()
        server.send(b"x" * 11)
        pump.flush()
        self.assertEqual(calls, ["pause"])
        self.socket.readUTFBytes(11)
        self.assertEqual(calls, ["pause", "resume"])

    def test_whenConnected(self) -> None:
        """
        Who waits for the connection hears why there is none.
        """
        self.socket.connect(HOST, 443)
        waiting = self.socket.whenConnected()
        _, pump = self.network.meet(EXPIRED)
        pump.flush()
        self.assertIn("has expired", self.failureResultOf(waiting).getErrorMessage())
