"""
Tests for L{openfl_twisted.tls.server}: certificates that are renewed while the server
runs.
"""

import contextlib
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogLevel, capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.tls import connection
from openfl_twisted.tls.identities import CertificateError
from openfl_twisted.tls.server import ServerCertificates, ServerConnectionCreator
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.writebatch import currentBatch
from tests.doubles import linesOf
from tests.tls.folders import AUTHORITY, Folder, client, served, shake
from tests.transports.lines import Actor, TCPLine

# A key on an unsupported curve, secp112r1.
ODD_KEY = b"""-----BEGIN EC PRIVATE KEY-----
MD4CAQEEDmSxD1dfKeUYGdCoxjWmoAcGBSuBBAAGoSADHgAEY2bl6FIg3Jd/bSna
nF06oqEkvWlK/99N65Rmzw==
-----END EC PRIVATE KEY-----
"""


class MinimalProtocol:
    """
    A protocol that does not keep its transport.
    """

    def makeConnection(self, transport: object) -> None:
        """
        Do nothing.
        """

    def connectionLost(self, reason: Failure) -> None:
        """
        Do nothing.
        """


class ServerCertificatesTests(SynchronousTestCase):
    """
    Selection and reloading of certificates.
    """

    def setUp(self) -> None:
        self.folder = Folder(self)

    def problem(self, *files: Path | str) -> str:
        """
        Return the error of loading files.
        """
        with self.assertRaises(CertificateError) as caught:
            ServerCertificates(*files)
        return str(caught.exception)

    def test_oneFile(self) -> None:
        """
        Certificate and key can be in one file. It is used for all clients.
        """
        certificates = ServerCertificates(self.folder.issue("a.pem", "a.example", common="a"))
        self.assertEqual(served(certificates), "a")
        self.assertEqual(served(certificates, b"b.example"), "a")

    def test_twoFiles(self) -> None:
        """
        The key can be in a separate file.
        """
        issued = AUTHORITY.issue_cert("a.example", common_name="a")
        chain = self.folder.write("chain.pem", *issued.cert_chain_pems)
        key = self.folder.write("key.pem", issued.private_key_pem)
        self.assertEqual(served(ServerCertificates(chain, key)), "a")

    def test_chain(self) -> None:
        """
        The intermediate certificates are sent.
        """
        between = AUTHORITY.create_child_ca()
        issued = between.issue_cert("a.example")
        path = self.folder.write("a.pem", issued.private_key_and_cert_chain_pem)
        server = SSL.Connection(ServerCertificates(path).context(), None)
        caller = SSL.Connection(client(), None)
        shake(server, caller)
        self.assertEqual(len(caller.get_peer_cert_chain() or []), 2)

    def test_byName(self) -> None:
        """
        In a directory the certificate is selected by SNI: an exact name, then a
        wildcard, then the first file.
        """
        self.folder.issue("1.pem", "first.example", common="first")
        self.folder.issue("2.pem", "*.games.example", common="wildcard")
        self.folder.issue("3.pem", "chess.games.example", common="chess")
        self.folder.write("notes.txt", b"none of them")
        certificates = ServerCertificates(self.folder.path)
        shown = {
            name: served(certificates, name)
            for name in (
                b"first.example",
                b"go.games.example",
                b"CHESS.games.example",
                b"a.b.games.example",
                b"other.example",
                None,
            )
        }
        self.assertEqual(
            shown,
            {
                b"first.example": "first",
                b"go.games.example": "wildcard",
                b"CHESS.games.example": "chess",
                b"a.b.games.example": "first",
                b"other.example": "first",
                None: "first",
            },
        )

    def test_nameless(self) -> None:
        """
        A certificate without names can be used.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "nobody")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(1))
        ).sign(key, hashes.SHA256())
        path = self.folder.write(
            "a.pem",
            certificate.public_bytes(Encoding.PEM),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        )
        self.assertEqual(served(ServerCertificates(path)), "nobody")

    def test_renewed(self) -> None:
        """
        A renewed file is used for the next handshake, and this is logged.
        """
        certificates = ServerCertificates(self.folder.issue("a.pem", "a.example", common="old"))
        self.assertEqual(served(certificates), "old")
        self.folder.issue("a.pem", "a.example", common="new")
        with capturedLogs() as captured:
            self.assertEqual(served(certificates), "new")
            self.assertEqual(served(certificates), "new")
        self.assertEqual(
            [event["log_format"] for event in captured], ["certificates reloaded from {path}"]
        )

    def test_renewedBesideOld(self) -> None:
        """
        If a certificate is renewed during a handshake with SNI, the new one is used.
        """
        certificates = ServerCertificates(self.folder.issue("a.pem", "a.example", common="old"))
        server = SSL.Connection(certificates.context(), None)
        caller = SSL.Connection(client(), None)
        caller.set_tlsext_host_name(b"a.example")
        self.folder.issue("a.pem", "a.example", common="new")
        shake(server, caller)
        certificate = caller.get_peer_certificate(as_cryptography=True)
        assert certificate is not None
        self.assertIn("CN=new", certificate.subject.rfc4514_string())

    def test_added(self) -> None:
        """
        A file added to a directory is used for the next handshake.
        """
        self.folder.issue("1.pem", "first.example", common="first")
        certificates = ServerCertificates(self.folder.path)
        self.folder.issue("2.pem", "second.example", common="second")
        self.assertEqual(served(certificates, b"second.example"), "second")

    def test_broken(self) -> None:
        """
        While a file is invalid its previous certificate stays in use, and this is
        logged once. When the file is valid again its new certificate is used.
        """
        certificates = ServerCertificates(self.folder.issue("a.pem", "a.example", common="old"))
        self.folder.write("a.pem", b"half of a certifi")
        with capturedLogs() as captured:
            self.assertEqual(served(certificates), "old")
            self.assertEqual(served(certificates), "old")
        [event] = captured
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertIn("the file contains no PEM certificate", event["problem"])
        self.folder.issue("a.pem", "a.example", common="new")
        self.assertEqual(served(certificates), "new")

    def test_removed(self) -> None:
        """
        While the file is missing, the previous certificate stays in use.
        """
        path = self.folder.issue("a.pem", "a.example", common="old")
        certificates = ServerCertificates(path)
        path.unlink()
        with capturedLogs() as captured:
            self.assertEqual(served(certificates), "old")
        self.assertIn("No such file", captured[0]["problem"])

    def test_problems(self) -> None:
        """
        The error for an unusable file contains the reason.
        """
        issued = AUTHORITY.issue_cert("a.example")
        key = load_pem_private_key(issued.private_key_pem.bytes(), None)
        chain = self.folder.write("chain.pem", *issued.cert_chain_pems)
        other = self.folder.write("other.pem", AUTHORITY.issue_cert("b").private_key_pem)
        rsa = self.folder.write(
            "rsa.pem", AUTHORITY.issue_cert("b", key_type=trustme.KeyType.RSA).private_key_pem
        )
        encrypted = self.folder.write(
            "encrypted.pem",
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")),
        )
        odd = self.folder.write("odd.pem", ODD_KEY)
        empty = self.folder.path / "empty"
        empty.mkdir()
        self.assertIn("No such file", self.problem(self.folder.path / "missing.pem"))
        self.assertIn("contains no PEM certificate", self.problem(other))
        self.assertIn("no PEM private key", self.problem(chain))
        self.assertIn("key values mismatch", self.problem(chain, other))
        self.assertIn("not the private key of", self.problem(chain, rsa))
        self.assertIn("no PEM private key", self.problem(chain, odd))
        self.assertIn("is encrypted", self.problem(chain, encrypted))
        self.assertIn("decrypt it with openssl pkey -in", self.problem(chain, encrypted))
        self.assertIn("the directory contains no *.pem file", self.problem(empty))
        self.assertIn("is a directory", self.problem(self.folder.path, other))

    def test_versionsAndCiphers(self) -> None:
        """
        The server accepts TLS 1.3, and TLS 1.2 with forward secrecy and authenticated
        encryption only.
        """
        certificates = ServerCertificates(self.folder.issue("a.pem", "a.example", common="a"))
        self.assertEqual(served(certificates), "a")
        self.assertEqual(served(certificates, newest=SSL.TLS1_2_VERSION), "a")
        with self.assertRaises(SSL.Error):
            served(certificates, newest=SSL.TLS1_1_VERSION, ciphers=b"ALL:@SECLEVEL=0")
        for ciphers in (b"ECDHE-ECDSA-AES128-SHA", b"AES128-GCM-SHA256"):
            with self.assertRaises(SSL.Error):
                served(certificates, newest=SSL.TLS1_2_VERSION, ciphers=ciphers)


class ServerConnectionTests(SynchronousTestCase):
    """
    Handshakes and their timeout.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        certificates = ServerCertificates(Folder(self).issue("a.pem", "a.example"))
        self.creator = ServerConnectionCreator(certificates, timeout=7, clock=self.clock)
        self.connect(Factory.forProtocol(EchoProtocol))

    def connect(self, wrapped: Factory[Any]) -> None:
        """
        Make a connection for a factory.
        """
        factory = TLSMemoryBIOFactory(self.creator, False, wrapped, self.clock)
        self.protocol = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)

    def test_stalled(self) -> None:
        """
        A client that does not complete the handshake in time is aborted, and this is
        logged.
        """
        with capturedLogs() as captured:
            self.clock.advance(6.9)
            self.assertFalse(self.transport.disconnecting)
            self.clock.advance(0.1)
        self.assertTrue(self.transport.disconnected)
        [event] = captured
        self.assertEqual(event["log_format"], "{peer} aborted: TLS handshake timed out")

    def test_disconnected(self) -> None:
        """
        The timeout is cancelled when the client disconnects.
        """
        self.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_completed(self) -> None:
        """
        The timeout is cancelled when the handshake is completed.
        """
        caller = SSL.Connection(client(), None)
        caller.set_connect_state()
        with contextlib.suppress(SSL.WantReadError):
            caller.do_handshake()
        self.protocol.dataReceived(caller.bio_read(1 << 20))
        self.clock.advance(0)
        caller.bio_write(self.transport.value())
        caller.do_handshake()
        self.protocol.dataReceived(caller.bio_read(1 << 20))
        self.clock.advance(100)
        self.assertFalse(self.transport.disconnecting)

    def test_lastAnswer(self) -> None:
        """
        A client that closes TLS after its last message receives the answer, however the
        stream is split, also if answers are sent at the end of a write batch.
        """
        echo = Factory.forProtocol(EchoProtocol)
        for length in (1, 30, 1 << 20):
            with self.subTest(length=length):
                self.connect(GuardFactory(echo, clock=self.clock))
                caller = self.call(SSL.TLS1_3_VERSION)
                caller.send(b"message\0")
                caller.shutdown()
                data = caller.bio_read(1 << 20)
                for at in range(0, len(data), length):
                    currentBatch.run(self.protocol.dataReceived, data[at : at + length])
                    self.clock.advance(0)
                caller.bio_write(self.transport.value())
                self.assertEqual(caller.recv(1 << 14), b"message\0")
                self.assertRaises(SSL.ZeroReturnError, caller.recv, 1)
                self.assertTrue(self.transport.disconnecting)

    def test_foreignProtocol(self) -> None:
        """
        If a protocol of Twisted uses TLS directly, or keeps no transport, nothing is flushed
        when the client closes TLS: the transport below TLS must not send while OpenSSL
        processes received data.
        """
        for protocol in (Protocol, MinimalProtocol):
            self.connect(Factory.forProtocol(protocol))
            flushed: list[str] = []
            transport: Any = self.transport
            transport.flush = partial(flushed.append, "flushed")
            caller = self.call(SSL.TLS1_3_VERSION)
            caller.shutdown()
            self.protocol.dataReceived(caller.bio_read(1 << 20))
            self.assertEqual(flushed, [])
            self.assertTrue(self.transport.disconnecting)

    def test_readSize(self) -> None:
        """
        After the handshake, at most 16 KiB are read from a socket at a time: many short
        records take long, and other clients must be served in between.
        """
        self.patch(currentBatch, "waiting", None)
        line = TCPLine(
            Actor(),
            top=lambda clock: TLSMemoryBIOFactory(
                self.creator, False, Factory.forProtocol(EchoProtocol), clock
            ).buildProtocol(None),
        )
        caller = SSL.Connection(client(), None)
        caller.set_connect_state()
        with contextlib.suppress(SSL.WantReadError):
            caller.do_handshake()
        line.arrive(caller.bio_read(1 << 20))
        caller.bio_write(line.sent)
        caller.do_handshake()
        self.assertEqual(line.transport.bufferSize, 1 << 16)
        line.arrive(caller.bio_read(1 << 20))
        self.assertEqual(line.transport.bufferSize, 1 << 14)

    def call(self, version: int) -> SSL.Connection:
        """
        Connect a client that offers no later version.
        """
        caller = SSL.Connection(client(newest=version), None)
        caller.set_connect_state()
        for _ in range(2):
            with contextlib.suppress(SSL.WantReadError):
                caller.do_handshake()
            self.exchange(caller)
        caller.do_handshake()
        return caller

    def exchange(self, caller: SSL.Connection) -> None:
        """
        Deliver the bytes of the client and of the server.
        """
        with contextlib.suppress(SSL.WantReadError):
            self.protocol.dataReceived(caller.bio_read(1 << 20))
        self.clock.advance(0)
        sent = self.transport.value()
        self.transport.clear()
        if sent:
            caller.bio_write(sent)

    def test_answers(self) -> None:
        """
        A client that has TLS answer more than the limit, although it sends no data, is
        closed, with one log line. Data does not count.
        """
        caller = self.call(SSL.TLS1_2_VERSION)
        handle = self.protocol.getHandle()
        before = handle._answered
        for _ in range(20):
            caller.send(b"x" * 1000 + b"\0")
            self.exchange(caller)
            self.assertEqual(len(caller.recv(1 << 14)), 1001)
        self.assertEqual(handle._answered, before)
        self.patch(connection, "_MAX_ANSWERS", before)
        caller.renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            caller.do_handshake()
        hello = caller.bio_read(1 << 20)
        self.protocol.dataReceived(hello)
        self.assertEqual(handle._answered - before, len(self.transport.value()))
        with capturedLogs() as captured:
            self.protocol.dataReceived(hello)
            self.protocol.dataReceived(hello)
        self.assertTrue(self.transport.disconnecting)
        reason = "answers to its TLS key updates and renegotiations exceed"
        self.assertEqual(
            linesOf(captured), [f"192.168.1.1:54321 disconnected: {reason} {before} bytes"]
        )

    def test_failed(self) -> None:
        """
        A client without TLS is refused immediately and once, whatever else it sends.
        """
        with capturedLogs() as captured:
            self.protocol.dataReceived(b"garbage without TLS")
            self.protocol.dataReceived(b"are you there?")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual([each["reason"] for each in captured], ["the client does not speak TLS"])
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.getTime() > 1], [])

    def test_plainHTTP(self) -> None:
        """
        An HTTP request without TLS is answered with 400, and the connection is closed.
        """
        for start in (b"GET / HTTP/1.1\r\n", b"CONNECT a:1 HTTP/1.1\r\n", b"POST /a HTTP/1.0\r\n"):
            self.setUp()
            with capturedLogs() as captured:
                self.protocol.dataReceived(start)
                self.protocol.dataReceived(b"Host: a\r\n\r\n")
            head, _, body = self.transport.value().partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 400 Bad Request\r\n"), head)
            self.assertEqual(body, b"This port requires TLS: use https or wss.\n")
            self.assertTrue(self.transport.disconnecting)
            [event] = captured
            self.assertIn("an HTTP request without TLS", event["reason"])
            self.protocol.connectionLost(Failure(ConnectionDone()))

    def test_systemError(self) -> None:
        """
        An error of the operating system fails the handshake with a log line.
        """
        self.patch(SSL.Connection, "do_handshake", self.failAsSystem)
        with capturedLogs() as captured:
            self.protocol.dataReceived(b"x")
        self.assertEqual([each["reason"] for each in captured], ["the connection was closed"])
        self.assertTrue(self.transport.disconnecting)

    def failAsSystem(self, *arguments: object) -> None:
        """
        Raise the exception that OpenSSL raises at EOF.
        """
        raise SSL.SysCallError(-1, "Unexpected EOF")

    def failure(self, context: SSL.Context) -> str:
        """
        Return the logged reason of a failed handshake.
        """
        caller = SSL.Connection(context, None)
        caller.set_connect_state()
        with capturedLogs() as captured:
            for _ in range(3):
                with contextlib.suppress(SSL.Error):
                    caller.do_handshake()
                with contextlib.suppress(SSL.Error):
                    self.protocol.dataReceived(caller.bio_read(1 << 20))
                self.clock.advance(0)
                if self.transport.value():
                    caller.bio_write(self.transport.value())
                    self.transport.clear()
        self.assertTrue(self.transport.disconnecting)
        [event] = captured
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual(event["log_format"], "{peer}: TLS handshake failed: {reason}")
        return str(event["reason"])

    def test_noCommonVersion(self) -> None:
        """
        The log line says that the client supports no TLS version of the server.
        """
        context = client(newest=SSL.TLS1_1_VERSION, ciphers=b"ALL:@SECLEVEL=0")
        self.assertIn("neither TLS 1.2 nor TLS 1.3", self.failure(context))

    def test_noCommonCipher(self) -> None:
        """
        The log line says that the client supports no cipher suite of the server.
        """
        context = client(newest=SSL.TLS1_2_VERSION, ciphers=b"AES128-GCM-SHA256")
        self.assertIn("no cipher suite in common", self.failure(context))

    def test_alert(self) -> None:
        """
        The log line contains the alert of a client that refuses the certificate.
        """
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            self.setUp()
            context = client(newest=version)
            context.set_verify(SSL.VERIFY_PEER, lambda *arguments: False)
            self.assertEqual(self.failure(context), "the client sent the alert 'unknown ca'")

    def test_endedByTheClient(self) -> None:
        """
        A client that sends C{close_notify} during the handshake is disconnected without
        an exception.
        """
        caller = SSL.Connection(client(newest=SSL.TLS1_2_VERSION), None)
        caller.set_connect_state()
        with contextlib.suppress(SSL.WantReadError):
            caller.do_handshake()
        self.protocol.dataReceived(caller.bio_read(1 << 20))
        self.assertFalse(self.transport.disconnecting)
        self.protocol.dataReceived(b"\x15\x03\x03\x00\x02\x01\x00")
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual([call for call in self.clock.getDelayedCalls() if call.getTime() > 1], [])
