"""
Tests for L{openfl_twisted.testing._certificates}.
"""

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
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
from openfl_twisted.tls import Trust


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

    def test_saveAll(self) -> None:
        """
        A maker writes its CA with the CRL, and the credentials of each status with TLS. With
        the CA as trust anchor, each handshake has its status.
        """
        maker = CertificateMaker()
        folder = maker.save(Path(self.mktemp()) / "certificates")
        trust = Trust.fromPEM(folder / "ca.pem")
        self.assertEqual(trust.anchors, maker.trust.anchors)
        for status in STATUSES:
            path = folder / f"{status}.pem"
            if status == "unknown":
                self.assertFalse(path.exists())
                continue
            chain = tuple(x509.load_pem_x509_certificates(path.read_bytes()))
            key: Any = load_pem_private_key(path.read_bytes(), None)
            socket, _ = self.connect(Credentials(status, "localhost", chain, key, trust))
            self.assertEqual(socket.serverCertificateStatus, status)

    def test_saveKeys(self) -> None:
        """
        Files with keys are readable only by their owner, also if they replace other files.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        for name in ("ca-key.pem", "trusted.pem"):
            (folder / name).write_text("before")
            (folder / name).chmod(0o644)
        self.maker.save(str(folder))
        for path in folder.iterdir():
            hasKey = b"PRIVATE KEY" in path.read_bytes()
            self.assertEqual(hasKey, path.name != "ca.pem")
            if hasKey:
                self.assertEqual(path.stat().st_mode & 0o777, 0o600, path.name)
