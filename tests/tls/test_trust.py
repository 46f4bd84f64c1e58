"""
Tests for L{openfl_twisted.tls.trust}.
"""

import os
import sys
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.tls import Trust, trust
from openfl_twisted.wire.x509.certificates import CertificateStatus, Verdict
from tests.extensions import critical
from tests.laboratory import HOST, PAST, authority, server, toPEM
from tests.tls.handshakes import VERSIONS, Presenting, converse, newClient, shakeHands, written
from tests.tls.situations.scenes import INTERMEDIATE, LEAF, ROOT, STRANGER, trusting

NOBODY = Trust(platform=False)


def write(case: SynchronousTestCase, data: bytes) -> Path:
    """
    Create a file for the duration of a test.
    """
    folder = tempfile.TemporaryDirectory()
    case.addCleanup(folder.cleanup)
    path = Path(folder.name) / "file"
    path.write_bytes(data)
    return path


class FileTests(SynchronousTestCase):
    """
    Loading of files.
    """

    def file(self, data: bytes) -> Path:
        return write(self, data)

    def test_fromPEM(self) -> None:
        """
        All certificates of a file are trusted, and no CA of this machine.
        """
        path = self.file(b"some words\n" + toPEM([ROOT.certificate, STRANGER.certificate]))
        for spelled in (path, str(path)):
            read = Trust.fromPEM(spelled)
            self.assertEqual(read.anchors, (ROOT.certificate, STRANGER.certificate))
            self.assertFalse(read.platform)
            self.assertEqual(read, trusting(ROOT, STRANGER))

    def test_noCertificates(self) -> None:
        """
        The error for a file without a valid certificate contains its path.
        """
        pem = toPEM([ROOT.certificate])
        version = LEAF.rewrittenDER(b"\xa0\3\2\1\2", b"\xa0\3\2\1\7")
        for data in (b"", b"garbage", b"\xff\xfe", pem[:200], ROOT.der, pem.replace(b"A", b"!")):
            path = self.file(data)
            error = self.assertRaises(ValueError, Trust.fromPEM, path)
            self.assertEqual(str(error), f"{path}: the file contains no PEM certificate")
        self.assertRaises(ValueError, NOBODY.adding, version, True)

    def test_revocationListInFile(self) -> None:
        """
        CRLs in the file are used. A malformed one is an error with the path.
        """
        lists = [ROOT.revocationList(LEAF), STRANGER.revocationList()]
        pem = b"\n".join(each.public_bytes(Encoding.PEM) for each in lists)
        path = self.file(pem + toPEM([ROOT.certificate]))
        read = Trust.fromPEM(path)
        self.assertEqual((read.anchors, read.revoked), ((ROOT.certificate,), tuple(lists)))
        malformed = b"-----BEGIN X509 CRL-----\nYWJj\n-----END X509 CRL-----\n"
        path = self.file(toPEM([ROOT.certificate]) + malformed)
        error = self.assertRaises(ValueError, Trust.fromPEM, path)
        self.assertEqual(str(error), f"{path}: malformed certificate revocation list (CRL)")

    def test_noFile(self) -> None:
        """
        A missing file raises C{OSError}.
        """
        missing = Path(__file__).parent / "nothing"
        self.assertRaises(OSError, Trust.fromPEM, missing)
        self.assertRaises(OSError, NOBODY.addingRevocationList, missing)

    def test_addingRevocationList(self) -> None:
        """
        A CRL is loaded from PEM and from DER.
        """
        revoked = ROOT.revocationList(LEAF)
        for encoding in (Encoding.PEM, Encoding.DER):
            known = NOBODY.addingRevocationList(self.file(revoked.public_bytes(encoding)))
            self.assertEqual(known.revoked, (revoked,))
        again = known.addingRevocationList(self.file(revoked.public_bytes(Encoding.DER)))
        self.assertEqual(again.revoked, (revoked, revoked))

    def test_noRevocationList(self) -> None:
        """
        The error for an invalid CRL contains its path.
        """
        pem = ROOT.revocationList().public_bytes(Encoding.PEM)
        for data in (
            b"",
            b"garbage",
            toPEM([ROOT.certificate]),
            pem[:100],
            pem.replace(b"M", b"!"),
        ):
            path = self.file(data)
            error = self.assertRaises(ValueError, NOBODY.addingRevocationList, path)
            self.assertEqual(str(error), f"{path}: not a certificate revocation list (CRL)")


class AddingTests(SynchronousTestCase):
    """
    Certificates added by C{addBinaryChainBuildingCertificate}.
    """

    def statusWith(self, known: Trust) -> str:
        """
        Connect a client with a trust to a server that only sends its own certificate.
        """
        presenting = Presenting([LEAF.certificate], LEAF.key)
        return shakeHands(presenting, known).verdict.status

    def test_fourCases(self) -> None:
        """
        A root or intermediate added as trusted is a trust anchor; added as untrusted,
        it can only complete a path.
        """
        root, middle = ROOT.der, INTERMEDIATE.der
        for added, status in (
            ([], CertificateStatus.UNTRUSTED_SIGNERS),
            ([(root, True)], CertificateStatus.UNTRUSTED_SIGNERS),
            ([(middle, True)], CertificateStatus.TRUSTED),
            ([(root, True), (middle, False)], CertificateStatus.TRUSTED),
            ([(middle, False), (root, True)], CertificateStatus.TRUSTED),
            ([(root, False), (middle, False)], CertificateStatus.UNTRUSTED_SIGNERS),
            ([(root, False), (middle, True)], CertificateStatus.TRUSTED),
            ([(LEAF.der, True)], CertificateStatus.TRUSTED),
            ([(LEAF.der, False)], CertificateStatus.UNTRUSTED_SIGNERS),
            ([(root, False), (root, True), (middle, False)], CertificateStatus.TRUSTED),
        ):
            known = NOBODY
            for der, trusted in added:
                known = known.adding(der, trusted)
            self.assertEqual(self.statusWith(known), status)

    def test_fields(self) -> None:
        """
        A certificate is added to the matching field, and the original trust is
        unchanged.
        """
        known = NOBODY.adding(ROOT.der, True).adding(INTERMEDIATE.der, False)
        self.assertEqual(known.allAnchors, (ROOT.certificate,))
        self.assertEqual(known.usableIntermediates, (INTERMEDIATE.certificate,))
        self.assertEqual(known.pinned, frozenset())
        known = known.adding(LEAF.der, True).adding(STRANGER.der, False)
        self.assertEqual(known.pinned, {LEAF.certificate})
        self.assertEqual(known.usableIntermediates, (INTERMEDIATE.certificate,))
        self.assertEqual(NOBODY, Trust(platform=False))

    def test_noCertificate(self) -> None:
        """
        Data that is not a certificate, or has malformed names, is refused.
        """
        broken = LEAF.rewrittenDER(b"the server", b"\xff" * 10)
        for der in (b"", b"garbage", LEAF.der[:-1], LEAF.der + b"\0", toPEM(LEAF.chain), broken):
            for trusted in (True, False):
                self.assertRaises(ValueError, NOBODY.adding, der, trusted)


class ContextTests(SynchronousTestCase):
    """
    OpenSSL contexts are expensive, and cached.
    """

    def test_shared(self) -> None:
        """
        Equal trusts share a context, other trusts do not.
        """
        lists = ROOT.revocationList(LEAF), STRANGER.revocationList()
        some = [
            trusting(ROOT),
            trusting(STRANGER),
            trusting(ROOT, STRANGER),
            trusting(ROOT, revoked=lists[:1]),
            trusting(ROOT, revoked=lists[1:]),
            trusting(ROOT, hardRevocation=True),
            trusting(ROOT, profile="webpki"),
            trusting(ROOT, time=PAST),
            trusting(ROOT, intermediates=(INTERMEDIATE.certificate,)),
        ]
        contexts = [each.context() for each in some]
        self.assertEqual(len(set(map(id, contexts))), len(some))
        again = trusting(ROOT, revoked=(ROOT.revocationList(LEAF),))
        self.assertIsNot(again.context(), contexts[3])
        self.assertIs(trusting(ROOT, revoked=lists[:1]).context(), contexts[3])
        self.assertIs(trusting(ROOT).context(), contexts[0])

    def test_bounded(self) -> None:
        """
        The size of the cache is bounded.
        """
        first = trusting(ROOT, time=PAST).context()
        for seconds in range(trust._MAX_CONTEXTS):
            trusting(ROOT, time=PAST + timedelta(seconds=seconds + 1)).context()
        self.assertIsNot(trusting(ROOT, time=PAST).context(), first)

    def test_denies(self) -> None:
        """
        A context without a judge requests a certificate and refuses all.
        """
        context = trusting(ROOT).context()
        self.assertEqual(context.get_verify_mode() & SSL.VERIFY_PEER, SSL.VERIFY_PEER)
        for version in VERSIONS.values():
            serving = SSL.Connection(Presenting.of(LEAF, version=version).getContext(), None)
            serving.set_accept_state()
            calling: Any = SSL.Connection(context, None)
            calling.set_connect_state()
            calling.verdict = Verdict()
            self.assertRaises(SSL.Error, converse, calling, serving)

    def test_versions(self) -> None:
        """
        TLS 1.3 and 1.2 are offered, and no older version.
        """
        calling = newClient(trusting(ROOT))
        self.assertRaises(SSL.WantReadError, calling.do_handshake)
        # The extension "supported versions": number, length, length of the list, list.
        self.assertIn(b"\x00\x2b\0\5\4\3\4\3\3", written(calling))


class TimeTests(SynchronousTestCase):
    """
    The time at which certificates must be valid.
    """

    def test_now(self) -> None:
        """
        The default is the current time.
        """
        before = datetime.now(UTC)
        self.assertTrue(before <= NOBODY.now() <= datetime.now(UTC))

    def test_zones(self) -> None:
        """
        A time is converted from any time zone, for certificates and for OCSP responses.
        """
        leaf = server(INTERMEDIATE, ends=PAST)
        staple = INTERMEDIATE.staple(leaf, ends=PAST)
        for hours in (-12, 0, 14):
            zone = timezone(timedelta(hours=hours))
            for minutes, status in (
                (-30, CertificateStatus.TRUSTED),
                (30, CertificateStatus.EXPIRED),
            ):
                time = (PAST + timedelta(minutes=minutes)).astimezone(zone)
                known = trusting(ROOT, time=time, hardRevocation=True)
                self.assertEqual(known.now(), time)
                outcome = shakeHands(Presenting(leaf.chain, leaf.key, staple), known)
                self.assertEqual(outcome.verdict.status, status)

    def test_naive(self) -> None:
        """
        A time without a zone is local time, as usual in Python.
        """
        naive = datetime(2020, 6, 1)  # noqa: DTZ001
        self.assertEqual(trusting(time=naive).now(), naive.astimezone(UTC))


class PlatformTests(SynchronousTestCase):
    """
    The CAs of this machine.
    """

    def setUp(self) -> None:
        self.forget()
        self.addCleanup(self.forget)

    def forget(self) -> None:
        """
        Clear the cache of the CAs of this machine.
        """
        trust._platformAnchors.cache_clear()
        trust._contextFor.cache_clear()

    def test_otherFile(self) -> None:
        """
        SSL_CERT_FILE selects other CAs.
        """
        path = write(self, toPEM([ROOT.certificate]))
        named = {"SSL_CERT_FILE": str(path), "SSL_CERT_DIR": str(path) + ".none"}
        patched = patch.dict(os.environ, named)
        patched.start()
        self.addCleanup(patched.stop)
        self.assertEqual(Trust().allAnchors, (ROOT.certificate,))
        self.assertEqual(shakeHands(Presenting.of(LEAF), Trust()).verdict.status, "trusted")
        stranger = server(authority("Stranger"))
        status = shakeHands(Presenting.of(stranger), Trust()).verdict.status
        self.assertEqual(status, CertificateStatus.UNTRUSTED_SIGNERS)

    def test_folder(self) -> None:
        """
        CAs that are only in the directory SSL_CERT_DIR are trusted in both profiles,
        with their name constraints. Other CAs are not.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        number = X509.from_cryptography(ROOT.certificate).subject_name_hash()
        (Path(folder.name) / f"{number:08x}.0").write_bytes(toPEM([ROOT.certificate]))
        named = {"SSL_CERT_FILE": folder.name + ".none", "SSL_CERT_DIR": folder.name}
        patched = patch.dict(os.environ, named)
        patched.start()
        self.addCleanup(patched.stop)
        limited = authority(
            "Limited", ROOT, critical(x509.NameConstraints(None, [x509.DNSName("a.lab.test")]))
        )
        bypass = server(limited, names=["*.lab.test"])
        address = server(limited, names=["127.0.0.1"], name="a.lab.test")
        for known in (Trust(), Trust(profile="webpki")):
            self.assertFalse(known.isEmpty)
            for leaf, host, status in (
                (LEAF, HOST, CertificateStatus.TRUSTED),
                (server(authority("Stranger")), HOST, CertificateStatus.UNTRUSTED_SIGNERS),
                (server(None), HOST, CertificateStatus.UNTRUSTED_SIGNERS),
                (bypass, "a.lab.test", CertificateStatus.INVALID_CHAIN),
                (address, "127.0.0.1", CertificateStatus.TRUSTED),
            ):
                outcome = shakeHands(Presenting.of(leaf), known, host)
                self.assertEqual(outcome.verdict.status, status, str(outcome.reason))

    def test_tooLong(self) -> None:
        """
        A self-signed certificate at the end of a path that is too long does not become
        a trust anchor.
        """
        for length in (9, 10, 11, 12, 15):
            above = authority("Stranger")
            for number in range(length):
                above = authority(f"Intermediate {number}", above)
            leaf = server(above)
            root = above
            while root.issuer is not None:
                root = root.issuer
            serving = Presenting.of(leaf, root.certificate)
            self.assertNotEqual(shakeHands(serving, Trust()).verdict.status, "trusted", length)

    def test_nothing(self) -> None:
        """
        On a machine without CA certificates the error names the variable to set.
        """
        named = {"SSL_CERT_FILE": "/nonexistent", "SSL_CERT_DIR": "/nonexistent"}
        with patch.dict(os.environ, named):
            self.assertTrue(Trust().isEmpty)
            outcome = shakeHands(Presenting.of(LEAF), Trust())
        other = shakeHands(Presenting.of(LEAF), NOBODY)
        self.assertNotIn("on this machine", str(other.reason))
        self.assertEqual(outcome.verdict.status, CertificateStatus.UNTRUSTED_SIGNERS)
        self.assertIn(
            "no trusted certificate authority is installed on this machine (set SSL_CERT_FILE",
            str(outcome.reason),
        )

    def test_certifi(self) -> None:
        """
        On a machine without CA certificates, those of C{certifi} are trusted if it is
        installed. Variables take precedence.
        """
        path = write(self, toPEM([ROOT.certificate]))
        empty = SimpleNamespace(capath=None)
        context = SimpleNamespace(get_ca_certs=lambda binary_form: [])
        without = {key: value for key, value in os.environ.items() if "SSL_CERT" not in key}
        with (
            patch.dict(os.environ, without, clear=True),
            patch("ssl.get_default_verify_paths", return_value=empty),
            patch("ssl.create_default_context", return_value=context),
        ):
            with patch("certifi.where", return_value=str(path)):
                self.assertEqual(Trust().allAnchors, (ROOT.certificate,))
                self.forget()
                with patch.dict(os.environ, {"SSL_CERT_FILE": "/nonexistent"}):
                    self.assertEqual(Trust().allAnchors, ())
                self.forget()
                with patch.object(trust, "_hasDirectory", return_value=True):
                    self.assertEqual(Trust().allAnchors, ())
                self.forget()
            with patch.dict(sys.modules, {"certifi": None}):
                self.assertEqual(Trust().allAnchors, ())

    def test_additionalAnchors(self) -> None:
        """
        Trust anchors are used in addition to the CAs of this machine, which are last.
        """
        known = Trust(anchors=(ROOT.certificate,))
        self.assertEqual(known.allAnchors[0], ROOT.certificate)
        self.assertEqual(known.allAnchors[1:], Trust().allAnchors)
        status = shakeHands(Presenting.of(LEAF), known).verdict.status
        self.assertEqual(status, CertificateStatus.TRUSTED)

    def test_withoutPlatform(self) -> None:
        """
        With C{platform=False} the CAs of this machine are not trusted.
        """
        self.assertEqual(NOBODY.allAnchors, ())

    def test_certificates(self) -> None:
        """
        The CAs of this machine are certificates.
        """
        for anchor in Trust().allAnchors:
            self.assertIsInstance(anchor, x509.Certificate)
