"""
Tests for the ClientHello of L{openfl_twisted.tls.client}: the TLS versions and
cipher suites that a client offers.
"""

import contextlib
import struct
from dataclasses import dataclass, field

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.tls import CertificateRefused, HandshakeFailed, identities, trust
from openfl_twisted.tls.ciphers import CIPHERS
from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests import laboratory
from tests.laboratory import Identity, authority
from tests.tls.handshakes import (
    GREETING,
    TLS12,
    VERSIONS,
    Presenting,
    newClient,
    shakeHands,
    written,
)
from tests.tls.situations.scenes import LEAF, ROOT, trusting

FORWARD_SECRET = {
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256",
    0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256",
    0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
    0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305",
    0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305",
}
"""
The TLS 1.2 cipher suites that are allowed.
"""

TLS13_SUITES = {0x1301, 0x1302, 0x1303}
RENEGOTIATION = 0x00FF
"""
The cipher suite value that signals secure renegotiation (RFC 5746).
"""

SUPPORTED_VERSIONS = 43
PRE_SHARED_KEY, SESSION_TICKET = 41, 35
COMPRESS_CERTIFICATE = 27


@dataclass
class Hello:
    """
    A parsed ClientHello.

    @ivar suites: the cipher suites.
    @ivar compressions: the compression methods.
    @ivar extensions: the extensions, by number.
    """

    suites: list[int] = field(default_factory=list)
    compressions: bytes = b""
    extensions: dict[int, bytes] = field(default_factory=dict)


def helloOf(data: bytes) -> Hello:
    """
    Parse the first TLS record of a client.
    """
    kind, _, length = struct.unpack(">BHH", data[:5])
    assert kind == 22, "no handshake record"
    assert len(data) == 5 + length, "more than one record"
    assert data[5] == 1, "no ClientHello"
    body = data[9:]
    assert len(body) == int.from_bytes(data[6:9])
    hello, position = Hello(), 34
    position += 1 + body[position]
    [size] = struct.unpack_from(">H", body, position)
    hello.suites = list(struct.unpack_from(f">{size // 2}H", body, position + 2))
    position += 2 + size
    hello.compressions = body[position + 1 : position + 1 + body[position]]
    position += 1 + body[position] + 2
    while position < len(body):
        number, size = struct.unpack_from(">HH", body, position)
        hello.extensions[number] = body[position + 4 : position + 4 + size]
        position += 4 + size
    return hello


class HelloTests(SynchronousTestCase):
    """
    The bytes of the ClientHello.
    """

    def setUp(self) -> None:
        calling = newClient(trusting(ROOT))
        with contextlib.suppress(SSL.WantReadError):
            calling.do_handshake()
        self.hello = helloOf(written(calling))

    def test_suites(self) -> None:
        """
        The client offers the TLS 1.3 suites, and the TLS 1.2 suites with forward
        secrecy and authenticated encryption, and no other suite.
        """
        offered = set(self.hello.suites)
        self.assertEqual(offered - {RENEGOTIATION}, TLS13_SUITES | set(FORWARD_SECRET))
        self.assertEqual(len(self.hello.suites), len(offered))

    def test_versions(self) -> None:
        """
        The client offers TLS 1.3 and TLS 1.2, and no older version.
        """
        versions = self.hello.extensions[SUPPORTED_VERSIONS]
        self.assertEqual(versions, b"\4\3\4\3\3")

    def test_compression(self) -> None:
        """
        The client offers no compression, neither of data nor of certificates: a
        server cannot send more certificates than the handshake limit allows.
        """
        self.assertEqual(self.hello.compressions, b"\0")
        self.assertNotIn(COMPRESS_CERTIFICATE, self.hello.extensions)


class SessionTests(SynchronousTestCase):
    """
    Sessions of TLS.
    """

    def test_notResumed(self) -> None:
        """
        After a connection to a server that issues session tickets, the next
        connection offers no session, so its certificate is verified again.
        """
        trust = trusting(ROOT)
        for version in VERSIONS.values():
            outcome = shakeHands(Presenting.of(LEAF, version=version), trust)
            self.assertEqual(outcome.verdict.status, CertificateStatus.TRUSTED)
            calling = newClient(trust)
            with contextlib.suppress(SSL.WantReadError):
                calling.do_handshake()
            hello = helloOf(written(calling))
            self.assertNotIn(PRE_SHARED_KEY, hello.extensions)
            self.assertEqual(hello.extensions.get(SESSION_TICKET, b""), b"")


class SuiteTests(SynchronousTestCase):
    """
    Servers that offer only one TLS 1.2 cipher suite.
    """

    def shakeHands(self, leaf: Identity, suite: str) -> tuple[str, BaseException | None, bytes]:
        """
        Connect to a server with one TLS 1.2 suite.

        @return: the status, the reason of the disconnect, and what the server got.
        """
        presenting = Presenting.of(leaf, ciphers=f"{suite}:@SECLEVEL=0".encode(), version=TLS12)
        outcome = shakeHands(presenting, trusting(ROOT))
        return outcome.verdict.status, outcome.reason, outcome.received

    def test_weak(self) -> None:
        """
        With a server that offers only a suite without forward secrecy or with CBC,
        the handshake fails before any certificate is received.
        """
        leaf = laboratory.server(authority("Intermediate", ROOT), name="RSA", kind="RSA")
        for suite in (
            "AES128-SHA",
            "AES256-SHA256",
            "AES128-GCM-SHA256",
            "DHE-RSA-AES128-SHA",
            "DHE-RSA-AES128-GCM-SHA256",
            "ECDHE-RSA-AES128-SHA",
            "ECDHE-RSA-AES128-SHA256",
        ):
            status, reason, received = self.shakeHands(leaf, suite)
            self.assertEqual((status, received), (CertificateStatus.UNKNOWN, b""), suite)
            self.assertIsInstance(reason, HandshakeFailed, suite)
            self.assertFalse(isinstance(reason, CertificateRefused), suite)

    def test_strong(self) -> None:
        """
        With each suite that the client offers, the handshake completes.
        """
        rsa = laboratory.server(authority("Intermediate", ROOT), name="RSA", kind="RSA")
        for suite in FORWARD_SECRET.values():
            leaf = rsa if "RSA" in suite.split("-") else LEAF
            status, reason, received = self.shakeHands(leaf, suite)
            self.assertEqual((status, received), ("trusted", GREETING), suite)
            self.assertIsNone(reason, suite)

    def test_sameList(self) -> None:
        """
        Clients and servers use the same list.
        """
        self.assertIs(vars(identities)["CIPHERS"], CIPHERS)
        self.assertIs(vars(trust)["CIPHERS"], CIPHERS)
