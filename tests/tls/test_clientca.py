"""
Tests for mutual TLS: L{openfl_twisted.tls.clientca}, and the certificates of clients.
"""

import contextlib
import warnings
from datetime import UTC, datetime
from typing import Any, cast

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from OpenSSL.crypto import FILETYPE_ASN1, load_certificate
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import ClientFactory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.testing import MemoryNetwork, Peer
from openfl_twisted.tls import SecureConnectionCreator, Trust, clientNameOf
from openfl_twisted.tls.connection import ServerTLSFactory
from openfl_twisted.tls.identities import CertificateError, KeyPair
from openfl_twisted.tls.server import ServerCertificates
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.firstbytes import ALL_TYPES, ClientType
from tests.doubles import linesOf
from tests.frames import REQUEST, RESPONSE
from tests.tls.folders import AUTHORITY as SERVERS
from tests.tls.folders import Folder

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()
PAST = datetime(2020, 1, 1, tzinfo=UTC)


class Named(EchoProtocol):
    """
    Sends the name of the client at first, and with each message.
    """

    def connectionMade(self) -> None:
        super().connectionMade()
        self.sendMessage(f"hello {clientNameOf(self.transport)}")

    def messageReceived(self, message: str) -> None:
        self.sendMessage(f"{message} {clientNameOf(self.transport)}")


class Caller:
    """
    A TLS client, with or without a certificate.

    @ivar received: the decrypted data.
    @ivar isOver: whether the server has closed the connection.
    """

    def __init__(
        self,
        factory: Any,
        issued: trustme.LeafCert | None = None,
        version: int = SSL.TLS1_3_VERSION,
        encoded: bytes | None = None,
    ) -> None:
        """
        @param encoded: the certificate (DER), if it is not that of C{issued}.
        """
        self.received = b""
        self.clock: Clock = factory.clock
        self.protocol: Any = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
        if issued is not None:
            chain = [load_pem_x509_certificate(each.bytes()) for each in issued.cert_chain_pems]
            context.use_certificate(chain[0])
            if encoded is not None:
                with warnings.catch_warnings():
                    # cryptography cannot load a malformed certificate.
                    warnings.simplefilter("ignore", DeprecationWarning)
                    context.use_certificate(load_certificate(FILETYPE_ASN1, encoded))
            key = load_pem_private_key(issued.private_key_pem.bytes(), None)
            context.use_privatekey(cast("Any", key))
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self.exchange()

    @property
    def isOver(self) -> bool:
        return self.transport.disconnecting or self.transport.disconnected

    def exchange(self) -> None:
        for _ in range(5):
            with contextlib.suppress(SSL.Error):
                self.tls.do_handshake()
            try:
                self.received += self.tls.recv(1 << 16)
            except SSL.ZeroReturnError:
                self.tls.shutdown()
            except SSL.Error:
                pass
            with contextlib.suppress(SSL.Error):
                self.protocol.dataReceived(self.tls.bio_read(1 << 20))
            self.clock.advance(0.01)
            if self.transport.value():
                self.tls.bio_write(self.transport.value())
                self.transport.clear()

    def send(self, data: bytes) -> None:
        self.tls.sendall(data)
        self.exchange()

    def close(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class ClientCATestCase(SynchronousTestCase):
    """
    A server that requires certificates of its clients.
    """

    def setUp(self) -> None:
        self.folder = Folder(self)
        self.clock = Clock()
        self.file = self.folder.issue("server.pem", "localhost")
        self.ca = self.folder.write("ca.pem", AUTHORITY.cert_pem)
        self.certificates = ServerCertificates(self.file, clientCA=self.ca)

    def serve(self, **options: Any) -> GuardFactory:
        onePort = OnePortFactory(
            XMLSocketFactory(Named),
            tls=self.certificates.connectionCreator(self.clock),
            requireTLS=self.certificates.requiresClients,
            clock=self.clock,
            **options,
        )
        return GuardFactory(onePort, clock=self.clock)


class AcceptedTests(ClientCATestCase):
    """
    Clients with a certificate.
    """

    def test_name(self) -> None:
        """
        A client with a certificate is accepted. The log and the handler have its name.
        """
        issued = AUTHORITY.issue_cert("ann@games.example", common_name="ann")
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            with capturedLogs() as logs:
                caller = Caller(self.serve(), issued, version)
                caller.send(b"hi\0")
            self.assertEqual(caller.received, b"hello ann\0hi ann\0")
            [line] = [each for each in linesOf(logs) if "certificate" in each]
            self.assertTrue(line.startswith("192.168.1.1:54321: client certificate "), line)
            self.assertIn("CN=ann", line)
            caller.close()

    def test_webSocket(self) -> None:
        """
        The handler of a WebSocket gets the name too.
        """
        caller = Caller(self.serve(), AUTHORITY.issue_cert("a@games.example", common_name="ann"))
        caller.send(REQUEST)
        self.assertTrue(caller.received.startswith(RESPONSE), caller.received)
        self.assertTrue(caller.received.endswith(b"hello ann\0"), caller.received)
        caller.close()

    def test_plain(self) -> None:
        """
        On a port without protocol detection, the handler gets the name with the first message,
        since the protocol is connected before the handshake.
        """
        guard = GuardFactory(XMLSocketFactory(Named), clock=self.clock)
        creator = self.certificates.connectionCreator(self.clock)
        factory: Any = ServerTLSFactory(creator, guard, self.clock)
        factory.clock = self.clock
        caller = Caller(factory, AUTHORITY.issue_cert("a@games.example", common_name="ann"))
        caller.send(b"hi\0")
        self.assertEqual(caller.received, b"hello None\0hi ann\0")
        caller.close()

    def test_noCommonName(self) -> None:
        """
        Without a common name, the name is the whole subject.
        """
        caller = Caller(self.serve(), AUTHORITY.issue_cert("a@games.example"))
        caller.send(b"hi\0")
        self.assertTrue(caller.received.startswith(b"hello OU=Testing cert #"), caller.received)
        caller.close()

    def test_noCertificate(self) -> None:
        """
        On a server without C{--tls-client-ca}, and without TLS, clients have no name.
        """
        self.certificates = ServerCertificates(self.file)
        caller = Caller(self.serve(), AUTHORITY.issue_cert("a@games.example", common_name="ann"))
        caller.send(b"hi\0")
        self.assertEqual(caller.received, b"hello None\0hi None\0")
        caller.close()
        self.assertIsNone(clientNameOf(StringTransport()))


class RefusedTests(ClientCATestCase):
    """
    Clients without a valid certificate.
    """

    def refusal(self, issued: trustme.LeafCert | None) -> str:
        """
        Return the logged reason for which a client is refused.
        """
        reasons = set()
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            with capturedLogs() as logs:
                caller = Caller(self.serve(), issued, version)
            self.assertEqual(caller.received, b"")
            self.assertTrue(caller.isOver)
            [event] = [each for each in logs if "handshake" in each["log_format"]]
            self.assertEqual(event["log_level"], LogLevel.warn)
            reasons.add(event["reason"])
            caller.close()
        [reason] = reasons
        return str(reason)

    def test_none(self) -> None:
        """
        A client without a certificate is refused, with the reason in the log.
        """
        self.assertEqual(
            self.refusal(None),
            "the client sent no certificate, but this server requires one (--tls-client-ca)",
        )

    def test_stranger(self) -> None:
        """
        A certificate of another CA is refused.
        """
        reason = self.refusal(STRANGER.issue_cert("a@games.example", common_name="ann"))
        self.assertIn("the server refused the certificate ", reason)
        self.assertIn("CN=ann", reason)
        self.assertIn(": it is not signed by a CA of the server", reason)

    def test_malformed(self) -> None:
        """
        A certificate that cryptography cannot parse, or warns about, is refused with the reason in
        the log.
        """
        issued = STRANGER.issue_cert("a@games.example", common_name="ann")
        encoded = load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).public_bytes(
            Encoding.DER
        )
        version = encoded.index(b"\xa0\x03\x02\x01\x02")
        serial = version + 7
        for at, value, subject in [(version + 4, 4, "(malformed)"), (serial, 0x80, "CN=ann")]:
            with capturedLogs() as logs:
                changed = bytearray(encoded)
                changed[at] = value
                caller = Caller(self.serve(), issued, encoded=bytes(changed))
            self.assertTrue(caller.isOver)
            [event] = [each for each in logs if "handshake" in each["log_format"]]
            self.assertIn("the server refused the certificate ", event["reason"])
            self.assertIn(subject, event["reason"])
            caller.close()

    def test_expired(self) -> None:
        """
        An expired certificate is refused.
        """
        issued = AUTHORITY.issue_cert("a@games.example", not_after=PAST)
        self.assertIn(": it has expired", self.refusal(issued))

    def test_withoutTLS(self) -> None:
        """
        Clients without TLS are refused, whatever types the port accepts.
        """
        for accept in (ALL_TYPES, {ClientType.TLS, ClientType.WEBSOCKET}):
            for data in (b"hi\0", REQUEST, b""):
                guard = self.serve(accept=accept)
                protocol: Any = guard.buildProtocol(None)
                transport = StringTransport()
                protocol.makeConnection(transport)
                if data:
                    protocol.dataReceived(data)
                self.clock.advance(11)
                self.assertNotIn(b"hello", transport.value())
                self.assertNotIn(RESPONSE, transport.value())
                self.assertTrue(transport.disconnecting)
                protocol.connectionLost(Failure(ConnectionDone()))

    def test_types(self) -> None:
        """
        Inside TLS, only the accepted types are accepted.
        """
        accept = {ClientType.TLS, ClientType.WEBSOCKET}
        issued = AUTHORITY.issue_cert("a@games.example", common_name="ann")
        caller = Caller(self.serve(accept=accept), issued)
        caller.send(b"hi\0")
        self.assertEqual((caller.received, caller.isOver), (b"", True))
        caller.close()
        caller = Caller(self.serve(accept=accept), issued)
        caller.send(REQUEST)
        self.assertTrue(caller.received.startswith(RESPONSE))
        caller.close()


class FileTests(ClientCATestCase):
    """
    The file of the CAs.
    """

    def test_renewed(self) -> None:
        """
        A changed file is used for the next connection. If it is invalid, the previous one stays in
        use, with a warning.
        """
        issued = STRANGER.issue_cert("a@games.example", common_name="ann")
        self.assertTrue(Caller(self.serve(), issued).isOver)
        self.folder.write("ca.pem", AUTHORITY.cert_pem, STRANGER.cert_pem)
        for _ in range(2):
            caller = Caller(self.serve(), issued)
            caller.send(b"hi\0")
            self.assertEqual(caller.received, b"hello ann\0hi ann\0")
            caller.close()
            with capturedLogs() as logs:
                self.folder.write("ca.pem", b"broken")
                self.certificates.context()
            self.assertLessEqual(len(linesOf(logs)), 1)

    def test_problems(self) -> None:
        """
        A missing or invalid file is an error that names the file.
        """
        for path, words in [
            (self.folder.path / "missing.pem", "missing.pem: No such file or directory"),
            (self.folder.write("a.pem", b"x"), "a.pem: the file contains no PEM certificate"),
        ]:
            with self.assertRaisesRegex(CertificateError, words):
                ServerCertificates(self.file, clientCA=path)


class PresentingTests(ClientCATestCase):
    """
    A client of this package presents a certificate, as the links to brokers do.
    """

    def test_accepted(self) -> None:
        """
        The server accepts the client, whose trust anchors verify the server.
        """
        issued = AUTHORITY.issue_cert("a@games.example", common_name="server-1")
        path = self.folder.write("client.pem", issued.private_key_and_cert_chain_pem)
        trust = Trust.fromPEM(self.folder.write("servers.pem", SERVERS.cert_pem))
        pair = KeyPair.fromFiles(path, path)
        self.assertNotIn("PRIVATE", repr(pair))
        for certificate, received in [(pair, b"hello server-1\0"), (None, b"")]:
            creator = SecureConnectionCreator("localhost", trust, certificate)
            self.assertEqual(self.connect(creator), received)
        # The shared context has no certificate.
        self.assertEqual(self.connect(SecureConnectionCreator("localhost", trust)), b"")

    def connect(self, creator: SecureConnectionCreator) -> bytes:
        """
        Connect to the server, and return the received data.
        """

        class Eager(Peer):
            def connectionMade(self) -> None:
                self.send(b"x")

        network, peer = MemoryNetwork(), Eager()
        self.clock = reactor = network.reactor
        reactor.listenTCP(443, self.serve())
        reactor.connectSSL("127.0.0.1", 443, ClientFactory.forProtocol(lambda: peer), creator)
        network.flush()
        peer.close()
        network.flush()
        return peer.received
