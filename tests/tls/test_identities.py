"""
Tests for L{openfl_twisted.tls.identities}.
"""

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from OpenSSL import SSL
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.tls import trust
from openfl_twisted.tls.identities import CertificateError, Identity, load
from openfl_twisted.tls.server import ServerCertificates
from tests.extensions import critical, purposes, usage
from tests.laboratory import Identity as Maker
from tests.laboratory import authority, server, toPEM
from tests.tls.folders import Folder, served

ROOT = authority("Root")
INTERMEDIATE = authority("Intermediate", ROOT)
NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)


class IdentityTestCase(SynchronousTestCase):
    """
    Certificates in files.
    """

    def setUp(self) -> None:
        self.folder = Folder(self)

    def write(self, leaf: Maker, chain: Sequence[x509.Certificate] | None = None) -> Path:
        """
        Write a certificate with its key.
        """
        return leaf.save(self.folder.path / "server.pem", chain)

    def load(self, leaf: Maker, chain: Sequence[x509.Certificate] | None = None) -> Identity:
        """
        Write and read a certificate.
        """
        path = self.write(leaf, chain)
        return load(path, path, lambda name: None)  # type: ignore[arg-type, return-value]


class ContextTests(IdentityTestCase):
    """
    The settings of OpenSSL.
    """

    def test_options(self) -> None:
        """
        Clients cannot renegotiate, compress, or resume sessions, and the server chooses
        the cipher.
        """
        context = self.load(server(INTERMEDIATE)).context
        # Setting no options returns those that are set.
        options = context.set_options(0)
        for option in (
            SSL.OP_NO_COMPRESSION,
            SSL.OP_NO_RENEGOTIATION,
            SSL.OP_NO_TICKET,
            SSL.OP_CIPHER_SERVER_PREFERENCE,
        ):
            self.assertEqual(options & option, option)
        # Setting no modes returns those that are set, too.
        self.assertTrue(context.set_mode(0) & SSL.MODE_RELEASE_BUFFERS)
        self.assertEqual(context.set_session_cache_mode(SSL.SESS_CACHE_OFF), SSL.SESS_CACHE_OFF)


class ProblemTests(IdentityTestCase):
    """
    Certificates that clients refuse.
    """

    def problems(self, leaf: Maker, **options: Any) -> list[str]:
        """
        List the problems of a certificate.
        """
        return list(self.load(leaf, **options).problems(NOW))

    def test_none(self) -> None:
        """
        A good certificate has no problems.
        """
        self.assertEqual(self.problems(server(INTERMEDIATE)), [])
        self.assertEqual(self.problems(server(None)), [])

    def test_dates(self) -> None:
        """
        A certificate has a problem, with its date, if it has expired, expires within 14
        days, or is not yet valid.
        """
        early = NOW - timedelta(days=90)
        for begins, ends, problem in (
            (early, NOW - timedelta(days=1), "expired on 2026-11-28 12:00 UTC"),
            (early, NOW + timedelta(days=13), "expires on 2026-12-12 12:00 UTC"),
            (early, NOW + timedelta(days=15), None),
            (NOW + timedelta(days=1), NOW + timedelta(days=90), "is not valid before 2026-11-30"),
            # Short-lived certificates are renewed after two thirds of their validity.
            (NOW - timedelta(days=1), NOW + timedelta(days=5), None),
            (NOW - timedelta(days=5), NOW + timedelta(days=1), "expires on 2026-11-30 12:00 UTC"),
        ):
            found = self.problems(server(INTERMEDIATE, begins=begins, ends=ends))
            if problem is None:
                self.assertEqual(found, [])
            else:
                [text] = found
                self.assertIn(problem, text)

    def test_use(self) -> None:
        """
        A certificate that no client accepts from a server has a problem.
        """
        odd = ec.generate_private_key(ec.SECP224R1())
        for leaf, problem in (
            (server(INTERMEDIATE, purposes("CLIENT_AUTH")), "lacks serverAuth"),
            (server(INTERMEDIATE, critical(usage(key_agreement=True))), "lacks digitalSignature"),
            (server(INTERMEDIATE, without=[x509.SubjectAlternativeName]), "no subjectAltName"),
            (server(INTERMEDIATE, name="odd", key=odd), "on the curve secp224r1"),
        ):
            [text] = self.problems(leaf)
            self.assertIn(problem, text)
        for leaf in (
            server(INTERMEDIATE, purposes("CLIENT_AUTH", "SERVER_AUTH")),
            server(INTERMEDIATE, purposes("ANY_EXTENDED_KEY_USAGE")),
            server(INTERMEDIATE, without=[x509.ExtendedKeyUsage, x509.KeyUsage]),
            server(INTERMEDIATE, name="RSA", kind="RSA"),
        ):
            self.assertEqual(self.problems(leaf), [])

    def test_unreadable(self) -> None:
        """
        A certificate whose extensions cannot be parsed is refused.
        """
        wrong = x509.UnrecognizedExtension(x509.KeyUsage.oid, b"garbage")
        names = x509.UnrecognizedExtension(x509.ExtendedKeyUsage.oid, b"garbage")
        for extension in (wrong, names):
            leaf = server(INTERMEDIATE, extension)
            error = self.assertRaises(CertificateError, self.load, leaf)
            self.assertIn("the extensions of the certificate are malformed", str(error))

    def test_chain(self) -> None:
        """
        A chain without its intermediate, or in the wrong order, is a problem. A CA of
        the machine needs no intermediate.
        """
        lower = authority("Lower", INTERMEDIATE)
        leaf = server(lower)
        certificates = {each.name: each.certificate for each in (lower, INTERMEDIATE, ROOT)}
        self.assertEqual(self.problems(leaf), [])
        [text] = self.problems(leaf, chain=[leaf.certificate])
        self.assertIn("has no intermediate certificate in its file", text)
        self.assertIn("'CN=Lower'", text)
        wrong = [leaf.certificate, certificates["Intermediate"], certificates["Lower"]]
        [text] = self.problems(leaf, chain=wrong)
        self.assertIn("wrong order: CN=Intermediate is not the issuer of CN=the server", text)
        direct = server(ROOT)
        self.assertIn("no intermediate", self.problems(direct)[0])
        with patch.object(trust, "_platformAnchors", lambda: (ROOT.certificate,)):
            self.assertEqual(self.problems(direct), [])

    def test_described(self) -> None:
        """
        A certificate is described by its file, its names and its dates.
        """
        identity = self.load(server(INTERMEDIATE, names=["a.example", "10.0.0.1"]))
        self.assertEqual(
            str(identity),
            f"{identity.path}: for a.example, 10.0.0.1; valid from 2000-01-01 00:00 UTC to "
            "2100-01-01 00:00 UTC",
        )


class WordsTests(IdentityTestCase):
    """
    Errors of unusable files.
    """

    def problem(self, leaf: Maker, key: Maker, *more: Maker) -> str:
        """
        Return the error of loading a certificate with a key.
        """
        path = self.folder.write("chain.pem", toPEM(each.certificate for each in (leaf, *more)))
        other = key.save(self.folder.path / "key.pem", [])
        with self.assertRaises(CertificateError) as caught:
            ServerCertificates(path, other)
        return str(caught.exception)

    def test_kinds(self) -> None:
        """
        The error for a mismatch contains the types of the key and the certificate.
        """
        elliptic, rsa = server(INTERMEDIATE), server(INTERMEDIATE, name="RSA", kind="RSA")
        edwards = server(INTERMEDIATE, name="Ed", kind="Ed25519")
        text = "not the private key of"
        self.assertIn(
            "the key is RSA, the key of the certificate is EC", self.problem(elliptic, rsa)
        )
        self.assertIn(
            "the key is EC, the key of the certificate is Ed25519", self.problem(edwards, elliptic)
        )
        self.assertIn(text, self.problem(elliptic, rsa))
        another = server(INTERMEDIATE, name="another")
        self.assertIn("another public key", self.problem(elliptic, another))

    def test_short(self) -> None:
        """
        The error for a short RSA key contains its length.
        """
        short = server(INTERMEDIATE, name="short", kind="RSA-1024")
        self.assertIn("the RSA key of 1024 bits is too short; it must", self.problem(short, short))

    def test_order(self) -> None:
        """
        The error for a chain in the wrong order contains the position of the server's
        certificate.
        """
        leaf = server(INTERMEDIATE)
        text = self.problem(INTERMEDIATE, leaf, leaf)
        self.assertIn(
            "the chain is in the wrong order: the private key is that of certificate 2", text
        )

    def test_unknownKey(self) -> None:
        """
        A certificate with a public key of an unknown type is refused.
        """
        leaf = server(INTERMEDIATE)
        # The last byte of the OID of P-256.
        curve, other = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030177")
        odd = replace(leaf, certificate=leaf.rewritten(curve, other).certificate)
        self.assertIn("the key of the certificate is of an unknown type", self.problem(odd, leaf))

    def test_unsupported(self) -> None:
        """
        A certificate that OpenSSL refuses is refused with its reason.
        """
        key: Any = dsa.generate_private_key(1024)
        leaf = server(INTERMEDIATE, name="DSA", key=key)
        self.assertIn("OpenSSL cannot use this certificate: ", self.problem(leaf, leaf))


class RenewalTests(IdentityTestCase):
    """
    Renewed files, of which some are invalid or unreadable.
    """

    def test_besideBroken(self) -> None:
        """
        If one of two renewed files is invalid, the other is loaded. The invalid one is
        reported once, and its previous certificate stays in use.
        """
        for name in "abc":
            self.folder.issue(f"{name}.pem", f"{name}.example", common=name)
        certificates = ServerCertificates(self.folder.path)
        self.folder.issue("b.pem", "b.example", common="new b")
        self.folder.write("c.pem", b"half of a certifi")
        self.folder.write("d.pem", b"never good")
        with capturedLogs() as captured:
            for _ in range(2):
                self.assertEqual(served(certificates, b"b.example"), "new b")
                self.assertEqual(served(certificates, b"c.example"), "c")
                self.assertEqual(served(certificates, b"a.example"), "a")
        warnings = [each["problem"] for each in captured if each["log_level"] is LogLevel.warn]
        self.assertEqual(len(warnings), 2)
        self.assertIn("c.pem", str(warnings[0]))
        self.folder.issue("c.pem", "c.example", common="new c")
        self.assertEqual(served(certificates, b"c.example"), "new c")

    def test_removedFromFolder(self) -> None:
        """
        A certificate that is removed from a directory is no longer used, unless it is
        the last one.
        """
        paths = [self.folder.issue(f"{name}.pem", f"{name}.example", common=name) for name in "ab"]
        certificates = ServerCertificates(self.folder.path)
        paths[0].unlink()
        self.assertEqual(served(certificates, b"a.example"), "b")
        paths[1].unlink()
        with capturedLogs() as captured:
            self.assertEqual(served(certificates, b"a.example"), "b")
            self.assertEqual(served(certificates, b"a.example"), "b")
        self.assertEqual(len(captured), 1)

    def test_replacedByBroken(self) -> None:
        """
        The last certificate stays in use when its file becomes invalid.
        """
        path = self.folder.issue("a.pem", "a.example", common="a")
        certificates = ServerCertificates(self.folder.path)
        path.unlink()
        self.folder.write("b.pem", b"broken")
        self.assertEqual(served(certificates), "a")
        self.folder.issue("b.pem", "b.example", common="b")
        self.assertEqual(served(certificates), "b")
        self.assertEqual(len(certificates.identities), 1)

    def test_reload(self) -> None:
        """
        C{reload} loads all files again, and reports those that are still invalid.
        """
        for name in "ab":
            self.folder.issue(f"{name}.pem", f"{name}.example", common=name)
        certificates = ServerCertificates(self.folder.path)
        self.folder.write("b.pem", b"broken")
        for _ in range(2):
            with capturedLogs() as captured:
                certificates.reload()
            self.assertEqual(sorted(each["log_level"].name for each in captured), ["info", "warn"])

    def test_unreadable(self) -> None:
        """
        Files that this user cannot read are reported at the start, and not for each
        handshake.
        """
        self.folder.issue("a.pem", "a.example", common="a")
        denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        for path, method in (
            (self.folder.path, "os.listdir"),
            (self.folder.path / "a.pem", "pathlib.Path.read_bytes"),
            (self.folder.path / "a.pem", "pathlib.Path.stat"),
        ):
            certificates = ServerCertificates(path)
            with (
                capturedLogs() as captured,
                patch("pathlib.Path.read_bytes", side_effect=denied),
                patch(method, side_effect=denied),
            ):
                certificates.checkRenewals()
                for _ in range(3):
                    self.assertEqual(served(certificates), "a")
                self.folder.issue("a.pem", "a.example", common="a")
                self.assertEqual(served(certificates), "a")
            [event] = captured
            self.assertEqual(event["log_level"], LogLevel.warn)
            self.assertIn("renewed certificates cannot be loaded", event["log_format"])
            self.assertIn("Permission denied", str(event["problem"]))

    def test_readable(self) -> None:
        """
        At the start there is no such warning for readable or invalid files.
        """
        certificates = ServerCertificates(self.folder.issue("a.pem", "a.example", common="a"))
        with capturedLogs() as captured:
            certificates.checkRenewals()
            (self.folder.path / "a.pem").unlink()
            certificates.checkRenewals()
        self.assertEqual(captured, [])


class ReportTests(IdentityTestCase):
    """
    Warnings of a running server.
    """

    def test_daily(self) -> None:
        """
        The problems of a certificate are reported at the start, and once a day when a
        client connects.
        """
        times = [NOW]
        ends = NOW + timedelta(days=14, hours=12)
        path = self.write(server(INTERMEDIATE, ends=ends))
        certificates = ServerCertificates(path, now=lambda: times[0])
        served(certificates)
        with capturedLogs() as captured:
            certificates.report()
            times[0] += timedelta(hours=23)
            served(certificates)
        self.assertEqual(captured, [])
        with capturedLogs() as captured:
            times[0] += timedelta(hours=1)
            served(certificates)
            served(certificates)
        [event] = captured
        self.assertEqual(event["log_level"], LogLevel.warn)
        self.assertEqual(event["problem"], "expires on 2026-12-14 00:00 UTC")
        self.assertEqual(event["path"], str(path))

    def test_renewed(self) -> None:
        """
        A renewed file with a problem is reported when it is read.
        """
        certificates = ServerCertificates(self.write(server(INTERMEDIATE)))
        certificates.report()
        path = self.write(server(INTERMEDIATE, purposes("CLIENT_AUTH")))
        with capturedLogs() as captured:
            served(certificates)
            served(certificates)
        warnings = [each for each in captured if each["log_level"] is LogLevel.warn]
        self.assertEqual(len(warnings), 1)
        [problem] = certificates.problems()
        self.assertTrue(problem.startswith(f"{path}: the certificate is not valid for servers: "))

    def test_names(self) -> None:
        """
        The certificates in use are listed in the order of their files.
        """
        for name in "ba":
            self.folder.issue(f"{name}.pem", f"{name}.example")
        found = ServerCertificates(self.folder.path).identities
        self.assertEqual([each.names for each in found], [{"a.example"}, {"b.example"}])
        self.assertEqual({each.expiry.tzinfo for each in found}, {UTC})
