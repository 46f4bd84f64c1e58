"""
Input from broken or hostile servers: it is never trusted, and only raises the
exceptions of a handshake.
"""

import contextlib
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionClosed
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.tls import CertificateRefused, HandshakeFailed
from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.laboratory import HOST, PAST, authority, server
from tests.tls.handshakes import (
    GREETING,
    VERSIONS,
    Presenting,
    newClient,
    pour,
    shakeHands,
    showing,
    written,
)
from tests.tls.situations.scenes import INTERMEDIATE, LEAF, ROOT, STRANGER, trusting

TRUST = trusting(ROOT)
EXPIRED = server(INTERMEDIATE, ends=PAST)


def flightOf(calling: Any, presenting: Presenting) -> tuple[bytes, SSL.Connection]:
    """
    Return the data that a server sends in answer to a client's first message.
    """
    serving = SSL.Connection(presenting.getContext(), None)
    serving.set_accept_state()
    for end in (calling, serving):
        with contextlib.suppress(SSL.WantReadError):
            end.do_handshake()
        if end is calling:
            pour(calling, serving)
    return written(serving), serving


class TruncationTests(SynchronousTestCase):
    """
    A server that stops during the handshake.
    """

    def test_everyByte(self) -> None:
        """
        After every byte but the last the client waits, and does not trust the server
        yet.
        """
        for name, version in VERSIONS.items():
            calling = newClient(TRUST)
            flight, _ = flightOf(calling, Presenting.of(LEAF, version=version))
            # In TLS 1.2 the server sends the last message, in TLS 1.3 the client does.
            for byte in flight[:-1]:
                calling.bio_write(bytes([byte]))
                self.assertRaises(SSL.WantReadError, calling.do_handshake)
                self.assertEqual(calling.verdict.status, CertificateStatus.UNKNOWN, name)
            calling.bio_write(flight[-1:])
            with contextlib.suppress(SSL.WantReadError):
                calling.do_handshake()
            trusted = calling.verdict.status == CertificateStatus.TRUSTED
            self.assertEqual(trusted, name == "TLS 1.3")

    def test_closedAfterEveryByte(self) -> None:
        """
        If the connection is closed after any byte of the handshake, it is lost with an
        error of TLS or of the connection, and no data is leaked.
        """
        for version in VERSIONS.values():
            whole = len(flightOf(newClient(TRUST), Presenting.of(LEAF, version=version))[0])
            # The length of a signature varies by some bytes.
            for length in range(whole - 10):
                outcome = shakeHands(
                    Presenting.of(LEAF), TRUST, version=version, garble=Truncating(length)
                )
                self.assertIsInstance(outcome.reason, (HandshakeFailed, ConnectionClosed))
                self.assertEqual(outcome.received, b"")
                self.assertEqual(outcome.verdict.status, CertificateStatus.UNKNOWN)
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(max_examples=30)
    @given(st.sets(st.integers(1, 1200), max_size=40), st.sampled_from(list(VERSIONS.values())))
    def test_everySplit(self, places: set[int], version: int) -> None:
        """
        The result does not depend on how the server's data is split.
        """
        for leaf, status in ((LEAF, "trusted"), (EXPIRED, "expired")):
            outcome = shakeHands(
                Presenting.of(leaf),
                TRUST,
                version=version,
                garble=Splitting(places),
            )
            self.assertEqual(outcome.verdict.status, status)
            self.assertEqual(outcome.received, GREETING if leaf is LEAF else b"")


class Truncating:
    """
    Forwards only the first bytes of a server.
    """

    def __init__(self, length: int) -> None:
        self.left = length

    def __call__(self, data: bytes) -> list[bytes]:
        passed = data[: self.left]
        self.left -= len(passed)
        return [passed]


class Splitting:
    """
    Splits a server's data at several positions.
    """

    def __init__(self, places: set[int]) -> None:
        self.places = sorted(places)

    def __call__(self, data: bytes) -> list[bytes]:
        ends = [*(place for place in self.places if place < len(data)), len(data)]
        return [data[start:end] for start, end in pairwise([0, *ends])]


class Flipping:
    """
    Changes one bit of a server's data.
    """

    def __init__(self, place: int) -> None:
        self.place = place

    def __call__(self, data: bytes) -> list[bytes]:
        changed = bytearray(data)
        if 0 <= self.place < len(data) * 8:
            changed[self.place // 8] ^= 1 << self.place % 8
        self.place -= len(data) * 8
        return [bytes(changed)]


class FlipTests(SynchronousTestCase):
    """
    Data with one changed bit.
    """

    @settings(max_examples=150)
    @given(st.integers(0, 2000 * 8), st.sampled_from(list(VERSIONS.values())))
    def test_notTrusted(self, place: int, version: int) -> None:
        """
        Changing a bit never makes an untrusted server trusted.
        """
        for leaf, trust in ((EXPIRED, TRUST), (LEAF, trusting(STRANGER))):
            outcome = shakeHands(
                Presenting.of(leaf), trust, version=version, garble=Flipping(place)
            )
            self.assertNotEqual(outcome.verdict.status, CertificateStatus.TRUSTED)
            self.assertEqual((outcome.received, outcome.answered), (b"", b""))
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(max_examples=150)
    @given(st.integers(0, 2000 * 8), st.sampled_from(list(VERSIONS.values())))
    def test_trusted(self, place: int, version: int) -> None:
        """
        If a server is trusted despite a changed bit, its certificate is its own, and
        all data is delivered unchanged.
        """
        outcome = shakeHands(Presenting.of(LEAF), TRUST, version=version, garble=Flipping(place))
        if outcome.verdict.status == CertificateStatus.TRUSTED:
            self.assertEqual(outcome.verdict.certificate, LEAF.certificate)
            self.assertIn(outcome.received, (b"", GREETING))
        else:
            self.assertEqual((outcome.received, outcome.answered), (b"", b""))
            # The client waits for the rest of a message whose length was increased.
            self.assertIsInstance(outcome.reason, (SSL.Error, ConnectionClosed, type(None)))
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(max_examples=200)
    @given(st.data())
    def test_certificates(self, data: st.DataObject) -> None:
        """
        A certificate with changed bytes is verified or cannot be parsed. It raises no
        other exception, and is never taken for another one.
        """
        chain = [bytearray(each) for each in (LEAF.der, INTERMEDIATE.der)]
        for _ in range(data.draw(st.integers(1, 3))):
            der = data.draw(st.sampled_from(chain))
            der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
        outcome = shakeHands(showing(*map(bytes, chain)), TRUST)
        # A server without the private key cannot complete the handshake.
        self.assertNotEqual(outcome.verdict.status, CertificateStatus.TRUSTED)
        self.assertEqual(outcome.received, b"")
        self.assertIsInstance(outcome.reason, (HandshakeFailed, type(None)))
        self.assertEqual(self.flushLoggedErrors(), [])


class LargeTests(SynchronousTestCase):
    """
    Large inputs.
    """

    def refused(self, *chain: bytes) -> str:
        """
        Send certificates, and check that they are refused.

        @return: the reason.
        """
        outcome = shakeHands(showing(*chain), TRUST)
        self.assertIsInstance(outcome.reason, HandshakeFailed)
        self.assertNotEqual(outcome.verdict.status, CertificateStatus.TRUSTED)
        self.assertEqual(self.flushLoggedErrors(), [])
        return str(outcome.reason)

    def test_hundredKilobytes(self) -> None:
        """
        More than 100 KB of certificates are refused without parsing them.
        """
        self.assertIn("a TLS handshake message that is too long", self.refused(b"\0" * 110_000))
        large = server(INTERMEDIATE, names=[HOST, *(f"n{n}.example" for n in range(10_000))])
        self.assertIn(
            "a TLS handshake message that is too long", self.refused(large.der, INTERMEDIATE.der)
        )

    def test_largest(self) -> None:
        """
        A certificate just below the limit is verified like any other, with all its
        names.
        """
        names = [f"n{number}.example" for number in range(5000)]
        large = server(INTERMEDIATE, names=names)
        self.assertGreater(len(large.der), 70_000)
        self.assertIn("not valid for this server name", self.refused(large.der, INTERMEDIATE.der))

    def test_sameNames(self) -> None:
        """
        A hundred CAs with the issuer's name, of which none has signed the certificate,
        do not hide that its signer is unknown.
        """
        wrong = [authority("Intermediate", STRANGER, kind="P-256").der for _ in range(100)]
        self.assertIn(
            "not signed by a trusted certificate authority", self.refused(LEAF.der, *wrong)
        )

    def test_chainOfItself(self) -> None:
        """
        The same certificate two hundred times is verified as if it were sent once.
        """
        self.assertIn(
            "not signed by a trusted certificate authority", self.refused(*[LEAF.der] * 200)
        )

    def test_unparsable(self) -> None:
        """
        If a certificate cannot be parsed, the reason is the certificate and not TLS.
        """
        outcome = shakeHands(showing(LEAF.der[:-3]), TRUST)
        self.assertIsInstance(outcome.reason, CertificateRefused)
        self.assertEqual(outcome.verdict.status, CertificateStatus.INVALID)
