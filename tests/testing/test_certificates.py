"""
Tests for L{openfl_twisted.testing._certificates}.
"""

from pathlib import Path

from twisted.internet.ssl import PrivateCertificate
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.net import SecureSocket
from openfl_twisted.security import CertificateStatus
from openfl_twisted.testing import (
    STATUSES,
    CertificateMaker,
    Credentials,
    EventRecorder,
    MemoryNetwork,
    ScriptedPeer,
)


class CertificateTests(SynchronousTestCase):
    """
    L{CertificateMaker} makes credentials for every status.
    """

    maker = CertificateMaker()

    def connect(self, credentials: Credentials) -> tuple[SecureSocket, EventRecorder]:
        """
        Connect a L{SecureSocket} to a server that sends a greeting and closes.
        """
        network = MemoryNetwork()
        network.addHost("games.example", "192.0.2.1")
        peer = ScriptedPeer().send(b"welcome").close()
        network.reactor.listenTCP(443, credentials.serverFactory(peer, network.reactor))
        socket = SecureSocket(trust=credentials.trust, reactor=network.reactor)
        recorder = EventRecorder(socket)
        socket.connect(credentials.host, 443)
        network.flush()
        network.check()
        return socket, recorder

    def test_nine(self) -> None:
        """
        Flash has nine certificate statuses.
        """
        self.assertEqual(
            STATUSES,
            (
                "expired", "invalid", "invalidChain", "notYetValid", "principalMismatch",
                "revoked", "trusted", "unknown", "untrustedSigners",
            ),
        )  # fmt: skip

    def test_everyStatus(self) -> None:
        """
        Each handshake results in the requested status, and only C{trusted}
        connects.
        """
        for status in STATUSES:
            credentials = self.maker.make(status)
            self.assertEqual(credentials.status, status)
            socket, recorder = self.connect(credentials)
            self.assertEqual(socket.serverCertificateStatus, status)
            expected = ["connect", "socketData", "close"]
            self.assertEqual(recorder.types, expected if status == "trusted" else ["ioError"])

    def test_hosts(self) -> None:
        """
        A certificate is for a host name or an IP address.
        """
        for host in ("games.example", "127.0.0.1", "::1"):
            network = MemoryNetwork()
            network.addHost("games.example", "192.0.2.1")
            credentials = CertificateMaker(host).make()
            for family in ("", "::"):
                factory = credentials.serverFactory(ScriptedPeer(), network.reactor)
                network.reactor.listenTCP(443, factory, interface=family)
            socket = SecureSocket(trust=credentials.trust, reactor=network.reactor)
            socket.connect(host, 443)
            network.flush()
            self.assertEqual(socket.serverCertificateStatus, CertificateStatus.TRUSTED, host)

    def test_otherMaker(self) -> None:
        """
        Different makers do not trust each other.
        """
        credentials = self.maker.make()
        network = MemoryNetwork()
        factory = credentials.serverFactory(ScriptedPeer(), network.reactor)
        network.reactor.listenTCP(443, factory)
        socket = SecureSocket(trust=CertificateMaker().trust, reactor=network.reactor)
        socket.connect("localhost", 443)
        network.flush()
        self.assertEqual(socket.serverCertificateStatus, CertificateStatus.UNTRUSTED_SIGNERS)

    def test_wrongStatus(self) -> None:
        """
        An unknown status is refused, with a list of the known ones.
        """
        with self.assertRaises(ValueError) as caught:
            self.maker.make("good")
        self.assertIn("'good' must be one of expired, ", str(caught.exception))

    def test_save(self) -> None:
        """
        Key and certificates are written as PEM.
        """
        credentials = self.maker.make(CertificateStatus.INVALID_CHAIN)
        path = credentials.save(Path(self.mktemp()))
        text = path.read_text()
        self.assertEqual(text.count("BEGIN CERTIFICATE"), 2)
        read = PrivateCertificate.loadPEM(text)
        self.assertEqual(read.serialNumber(), credentials.chain[0].serial_number)
        key = read.privateKey.original.to_cryptography_key()
        self.assertEqual(key.private_numbers(), credentials.key.private_numbers())
