"""
Tests for L{openfl_twisted.tls.client} and L{openfl_twisted.tls.judge}, in addition to
L{tests.tls.test_laboratory}.
"""

import contextlib
import warnings
from typing import Any

from cryptography import x509
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from openfl_twisted.tls import (
    CertificateRefused,
    HandshakeFailed,
    SecureConnectionCreator,
    Trust,
    client,
    judge,
    trust,
    verdictOf,
)
from openfl_twisted.wire.x509._paths import findPath
from openfl_twisted.wire.x509.certificates import CertificateStatus, Finding, OwnCode, Verdict
from tests.extensions import critical, purposes
from tests.laboratory import HOST, PAST, Identity, authority, server
from tests.tls.handshakes import (
    GREETING,
    TLS12,
    TLS13,
    VERSIONS,
    Presenting,
    converse,
    newClient,
    shakeHands,
    showing,
)
from tests.tls.situations.costly import constraining
from tests.tls.situations.scenes import INTERMEDIATE, LEAF, ROOT, STRANGER, trusting
from tests.tls.situations.trusted import long

TRUST = trusting(ROOT)


class CreatorTests(SynchronousTestCase):
    """
    Connections before the handshake.
    """

    def test_interface(self) -> None:
        """
        L{SecureConnectionCreator} provides Twisted's interface.
        """
        verifyObject(IOpenSSLClientConnectionCreator, SecureConnectionCreator(HOST))

    def test_serverName(self) -> None:
        """
        A DNS name is sent in ASCII (SNI), an IP address is not sent.
        """
        for host, name in (
            ("Games.Example.", b"games.example"),
            ("bücher.example", b"xn--bcher-kva.example"),
            ("127.0.0.1", None),
            ("::1", None),
            ("not a name", None),
        ):
            context = Presenting.of(LEAF, version=TLS12).getContext()
            names: list[bytes | None] = []
            context.set_tlsext_servername_callback(
                lambda connection, names=names: names.append(connection.get_servername())  # type: ignore[misc]
            )
            serving = SSL.Connection(context, None)
            serving.set_accept_state()
            with contextlib.suppress(CertificateRefused):
                converse(newClient(TRUST, host), serving)
            # Without SNI the callback is not called.
            self.assertEqual(names, [name])

    def test_judges(self) -> None:
        """
        Each connection has its own judge, whose initial verdict is C{unknown}.
        """
        one, other = newClient(TRUST), newClient(TRUST)
        self.assertIsNot(one.judge, other.judge)
        self.assertIs(one.get_context(), other.get_context())
        self.assertTrue(one.get_verify_mode() & SSL.VERIFY_PEER)
        # Setting no options returns those that are set.
        self.assertTrue(one.set_options(0) & SSL.OP_NO_RENEGOTIATION)
        self.assertEqual(one.verdict, Verdict())
        self.assertEqual(one.judge.verdict.status, CertificateStatus.UNKNOWN)

    def test_platform(self) -> None:
        """
        By default, the CAs of this machine are trusted.
        """
        protocol: Any = None
        connection: Any = SecureConnectionCreator(HOST).clientConnectionForTLS(protocol)
        self.assertIs(connection.get_context(), Trust().context())


class VerdictTests(SynchronousTestCase):
    """
    Results available to programs.
    """

    def test_otherTransports(self) -> None:
        """
        The verdict of other connections is C{unknown}.
        """

        class Transport:
            def getHandle(self) -> object:
                return SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)

        self.assertEqual(verdictOf(Transport()), Verdict())

    def test_manyIntermediates(self) -> None:
        """
        OpenSSL accepts nine intermediate certificates. If there are more, another path is
        searched, which may have sixteen.
        """
        searched: list[int] = []

        def find(*arguments: Any, **options: Any) -> Any:
            searched.append(length)
            return findPath(*arguments, **options)

        self.patch(judge, "findPath", find)
        for length, status in ((9, "trusted"), (10, "trusted"), (16, "trusted")):
            scene = long(length)
            self.assertEqual(shakeHands(scene.server, scene.trust).verdict.status, status)
        self.assertEqual(searched, [10, 16])

    def test_notTooEarly(self) -> None:
        """
        A certificate is not reported as trusted before the handshake is completed.
        """
        for version in VERSIONS.values():
            serving = SSL.Connection(Presenting.of(LEAF, version=version).getContext(), None)
            serving.set_accept_state()
            calling = newClient(TRUST)
            seen = [each.status for each in converse(calling, serving)]
            self.assertEqual(seen[-1], CertificateStatus.TRUSTED)
            self.assertEqual(set(seen[:-1]), {CertificateStatus.UNKNOWN})
            self.assertEqual(calling.verdict.certificate, LEAF.certificate)

    def test_clientCertificateWanted(self) -> None:
        """
        If a server requires a client certificate and aborts, the reason is not its own
        certificate. In TLS 1.3 it is already trusted then.
        """
        outcome = shakeHands(Presenting.of(LEAF, asks=True), TRUST, version=TLS12)
        self.assertEqual(outcome.verdict.status, CertificateStatus.UNKNOWN)
        self.assertIsInstance(outcome.reason, HandshakeFailed)
        self.assertFalse(isinstance(outcome.reason, CertificateRefused))
        self.assertIn("alert", str(outcome.reason))
        outcome = shakeHands(Presenting.of(LEAF, asks=True), TRUST, version=TLS13)
        self.assertEqual(outcome.verdict.status, CertificateStatus.TRUSTED)
        self.assertIsInstance(outcome.reason, SSL.Error)
        self.assertEqual(outcome.received, b"")

    def test_reason(self) -> None:
        """
        The text of a failed handshake is the reason, with OpenSSL's error.
        """
        self.assertEqual(
            str(HandshakeFailed([("SSL routines", "", "wrong version number")], Verdict())),
            "the TLS handshake failed: the peer does not speak TLS",
        )
        self.assertEqual(
            str(HandshakeFailed([("SSL routines", "", "bad extension")], Verdict())),
            "the TLS handshake failed: bad extension",
        )
        nothing: list[list[object] | None] = [[], None]
        for problems in nothing:
            self.assertEqual(
                str(HandshakeFailed(problems, Verdict())),
                "the TLS handshake failed: the connection was closed",
            )
        verdict = Verdict(CertificateStatus.EXPIRED, Finding(10, 0), LEAF.certificate)
        self.assertEqual(str(CertificateRefused([], verdict)), verdict.text)


class DenialTests(SynchronousTestCase):
    """
    In case of doubt, connections are refused.
    """

    def test_notVerified(self) -> None:
        """
        If a handshake is completed without verification, it fails, and no data is sent.
        """
        for version in VERSIONS.values():
            for hearing, words in (
                (True, "status response"),
                (False, "certificate was not verified"),
            ):
                serving = SSL.Connection(Presenting.of(LEAF, version=version).getContext(), None)
                serving.set_accept_state()
                calling = newClient(TRUST)
                calling.set_verify(SSL.VERIFY_NONE, lambda *arguments: True)
                if not hearing:
                    calling.judge.stapled = lambda staple: True
                error = self.assertRaises(HandshakeFailed, converse, calling, serving)
                self.assertIn(words, str(error))
                self.assertEqual(calling.verdict.status, CertificateStatus.UNKNOWN)

    def test_internalError(self) -> None:
        """
        An internal exception refuses the certificate, and is logged.
        """

        def fail(*arguments: object, **options: object) -> None:
            raise ZeroDivisionError

        for name in ("verifyPath", "readStaple"):
            patched = self.patch(judge, name, fail)
            for version in VERSIONS.values():
                outcome = shakeHands(Presenting.of(LEAF), TRUST, version=version)
                self.assertEqual(outcome.verdict.status, CertificateStatus.INVALID)
                self.assertIn("internal error", str(outcome.reason))
                self.assertEqual(outcome.received, b"")
                self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            patched.restore()

    def test_longCountryCode(self) -> None:
        """
        A country code of three letters causes no warning, in the certificate of a
        server or of a responder.
        """
        odd, usual = (bytes.fromhex(each) for each in ("5504061303555341", "5504030c03555341"))
        leaf = server(INTERMEDIATE, name="USA").rewritten(usual, odd)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcome = shakeHands(Presenting.of(leaf), TRUST, "other.example")
            self.assertIn("C=USA is not valid for this server name", str(outcome.reason))
            proving = server(INTERMEDIATE, purposes("OCSP_SIGNING"), name="USA")
            proving = proving.rewritten(usual, odd)
        staple = INTERMEDIATE.staple(LEAF, responder=proving, byName=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            outcome = shakeHands(
                Presenting.of(LEAF, staple=staple), trusting(ROOT, hardRevocation=True)
            )
        self.assertEqual(outcome.verdict.status, CertificateStatus.TRUSTED)

    def test_helperAsRoot(self) -> None:
        """
        A path that ends at an untrusted certificate is refused, even if OpenSSL accepts
        it.
        """
        self.patch(trust, "isSelfIssued", lambda certificate: False)
        evil = authority("Evil", kind="Ed25519")
        known = trusting(ROOT, intermediates=(evil.certificate,))
        outcome = shakeHands(Presenting.of(server(evil)), known)
        self.assertEqual(outcome.verdict.status, CertificateStatus.UNTRUSTED_SIGNERS)
        self.assertIn("ends at a certificate that is not trusted", str(outcome.reason))
        self.assertEqual(outcome.received, b"")

    def test_strictProfileHasNoOddNames(self) -> None:
        """
        The profile C{webpki} refuses names that are not valid in the Web PKI.
        """
        leaf = server(INTERMEDIATE, names=["my_service.example"])
        for profile, status in (
            ("default", CertificateStatus.TRUSTED),
            ("webpki", CertificateStatus.INVALID_CHAIN),
        ):
            known = trusting(ROOT, profile=profile)
            outcome = shakeHands(Presenting.of(leaf), known, "my_service.example")
            self.assertEqual(outcome.verdict.status, status)

    def test_contextOutlivesRefusal(self) -> None:
        """
        Neither a refusal nor an acceptance affects the next connection with the same
        trust.
        """
        expired = server(INTERMEDIATE, ends=PAST)
        for leaf, status in [(LEAF, "trusted"), (expired, "expired"), (LEAF, "trusted")] * 2:
            outcome = shakeHands(Presenting.of(leaf), TRUST)
            self.assertEqual(outcome.verdict.status, status)
            self.assertEqual(outcome.received, GREETING if status == "trusted" else b"")

    def test_unreadableAuthority(self) -> None:
        """
        A certificate that cannot be parsed has no effect if it is not needed.
        """
        broken = authority("Broken", ROOT).rewrittenDER(b"\xa0\3\2\1\2", b"\xa0\3\2\1\7")
        expired = server(INTERMEDIATE, ends=PAST)
        outcome = shakeHands(showing(expired.der, broken, INTERMEDIATE.der), TRUST)
        self.assertEqual(outcome.verdict.status, CertificateStatus.EXPIRED)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_costly(self) -> None:
        """
        Certificates beyond a cost limit are refused in OpenSSL's first callback, before
        names are compared and before any path is searched or verified.
        """
        callbacks: list[int] = []

        class Counting(judge.Judge):
            def verify(self, *arguments: Any) -> bool:
                callbacks.append(arguments[2])
                return super().verify(*arguments)

        def fail(*arguments: object, **options: object) -> None:
            raise ZeroDivisionError

        self.patch(client, "Judge", Counting)
        self.patch(judge, "findPath", fail)
        self.patch(judge, "verifyPath", fail)
        for scene in (constraining(1000, 600), constraining(1000, 600, STRANGER)):
            callbacks.clear()
            outcome = shakeHands(scene.server, scene.trust, scene.host)
            self.assertEqual(len(callbacks), 1)
            self.assertEqual(outcome.verdict.status, CertificateStatus.INVALID)
            self.assertEqual(outcome.verdict.statuses, {CertificateStatus.INVALID})
            assert outcome.verdict.finding is not None
            self.assertEqual(outcome.verdict.finding.code, OwnCode.TOO_COSTLY)
            self.assertIn("its verification would cost too much", str(outcome.reason))
            self.assertEqual(outcome.received, b"")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_ownConstraints(self) -> None:
        """
        Name constraints of the client's own certificates are counted: those of all
        intermediates, and the largest number of one root.
        """

        def limited(name: str, count: int, issuer: Identity | None = None) -> Identity:
            excluded = [x509.DNSName(f"e{number}.x") for number in range(count)]
            constraints = critical(x509.NameConstraints(None, excluded))
            return authority(name, issuer, constraints)

        one, two = limited("One", 3), limited("Two", 5)
        middle, pinned = limited("Middle", 7, one), limited("Pinned", 11, two)
        self.assertEqual(trusting(ROOT).constraints, 0)
        self.assertEqual(trusting(one, two).constraints, 5)
        known = trusting(one, two, pinned, intermediates=(middle.certificate,))
        self.assertEqual(known.constraints, 5 + 11 + 7)

    def test_manyNames(self) -> None:
        """
        Ten thousand names exceed a handshake message of this client, and are refused
        before they are compared.
        """
        names = [f"name{number}.example" for number in range(10_000)]
        leaf = server(INTERMEDIATE, names=[*names, HOST])
        self.assertGreater(len(leaf.der), 100_000)
        outcome = shakeHands(Presenting.of(leaf), TRUST)
        self.assertNotEqual(outcome.verdict.status, CertificateStatus.TRUSTED)
        self.assertEqual(outcome.received, b"")
