"""
Tests for L{openfl_twisted.wire.x509._paths}.
"""

from types import SimpleNamespace
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import PublicKeyAlgorithmOID
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.x509 import _paths as paths
from openfl_twisted.wire.x509._costs import MAX_COMPARISONS, MAX_DEPTH, MAX_FAILURES, MAX_STEPS
from openfl_twisted.wire.x509._paths import (
    PathError,
    _isUsual,
    findPath,
    mayConstrainNames,
    obstacleTo,
    verifyPath,
)
from openfl_twisted.wire.x509.certificates import unwarned
from tests.extensions import UNKNOWN_1, UNKNOWN_2, critical, purposes, unknown
from tests.laboratory import BEGIN, HOST, PAST, Identity, authority, keyFor, server

ROOT = authority("Root")
MIDDLE = authority("Intermediate", ROOT)
LEAF = server(MIDDLE)
STRANGER = authority("Stranger")
NOW = PAST.replace(year=2020)
SUBJECT = x509.DNSName(HOST)


def find(
    leaf: Identity, *others: Identity, anchors: tuple[Identity, ...] = (ROOT,), **options: Any
) -> list[x509.Certificate]:
    """
    Return a path for certificates.
    """
    properties: dict[str, Any] = {"subject": SUBJECT, "time": NOW, "webPKI": True, **options}
    return findPath(
        leaf.certificate,
        [other.certificate for other in others],
        [anchor.certificate for anchor in anchors],
        **properties,
    )


class PathTests(SynchronousTestCase):
    """
    L{findPath} finds valid paths.
    """

    def refused(self, reason: str, *arguments: Identity, **options: Any) -> None:
        """
        Check that no path is found, and the reason.
        """
        error = self.assertRaises(PathError, find, *arguments, **options)
        self.assertIn(reason, str(error))
        # The certificates are not quoted with all their bytes.
        self.assertNotIn("candidates exhausted", str(error))
        self.assertLess(len(str(error)), 300)

    def test_found(self) -> None:
        """
        A path leads from the server certificate to a trust anchor, in order.
        """
        expected = [each.certificate for each in (LEAF, MIDDLE, ROOT)]
        for webPKI in (True, False):
            self.assertEqual(find(LEAF, ROOT, MIDDLE, webPKI=webPKI), expected)

    def test_backtracking(self) -> None:
        """
        A path is found although another one with the same names leads to no trust anchor.
        """
        wrong = authority("Intermediate", authority("Untrusted"))
        for others in ((wrong, MIDDLE), (MIDDLE, wrong)):
            self.assertEqual(find(LEAF, *others)[1], MIDDLE.certificate)

    def test_noAnchors(self) -> None:
        """
        Without a trust anchor no path is valid.
        """
        self.refused("no certificate authority is trusted", LEAF, MIDDLE, anchors=())

    def test_notFound(self) -> None:
        """
        The error contains the reason in a few words.
        """
        self.refused("no path leads to a trusted certificate authority", LEAF)
        self.refused("", LEAF, MIDDLE, anchors=(authority("Untrusted"),))
        self.refused("valid at", LEAF, MIDDLE, time=BEGIN.replace(year=1999))
        self.refused("leaf certificate has no matching", LEAF, MIDDLE, subject=x509.DNSName("x.y"))

    def test_policies(self) -> None:
        """
        The rules for web CAs are stricter than the default ones.
        """
        plain = server(MIDDLE, without=[x509.AuthorityKeyIdentifier])
        self.refused("2.5.29.35: Certificate is missing", plain, MIDDLE)
        self.assertEqual(len(find(plain, MIDDLE, webPKI=False)), 3)
        limited = authority("Clients", ROOT, purposes("CLIENT_AUTH"))
        self.refused("", server(limited), limited)

    def test_noName(self) -> None:
        """
        A subject that C{cryptography} does not support has no path.
        """
        self.refused("invalid domain name", LEAF, MIDDLE, subject=x509.DNSName("a_b.example"))

    def test_constraints(self) -> None:
        """
        A wildcard that includes an excluded name is refused. OpenSSL accepts it.
        """
        excluded = x509.NameConstraints(None, [x509.DNSName("games.lab.example")])
        limited = authority("Limited", ROOT, critical(excluded))
        leaf = server(limited, names=["*.lab.example"])
        subject = x509.DNSName("games.lab.example")
        for webPKI in (True, False):
            self.refused("", leaf, limited, subject=subject, webPKI=webPKI)

    def test_unknownExtension(self) -> None:
        """
        An unknown critical extension is refused.
        """
        for webPKI in (True, False):
            self.refused("", server(MIDDLE, critical(unknown())), MIDDLE, webPKI=webPKI)

    def test_depth(self) -> None:
        """
        The length of a path is limited.
        """
        above = [ROOT]
        for number in range(MAX_DEPTH + 1):
            above.append(authority(f"Intermediate {number}", above[-1]))
        self.assertEqual(len(find(server(above[-2]), *above)), MAX_DEPTH + 2)
        self.refused("", server(above[-1]), *above)

    def test_unusualKeys(self) -> None:
        """
        Keys that web CAs may not have are recognized.
        """
        self.assertTrue(_isUsual(LEAF.certificate))
        self.assertTrue(_isUsual(server(ROOT, name="RSA", kind="RSA").certificate))
        self.assertFalse(_isUsual(server(ROOT, name="Ed", kind="Ed25519").certificate))
        for curve, usual in (
            (ec.SECP521R1(), True),
            (ec.SECP224R1(), False),
            (ec.BrainpoolP512R1(), False),
        ):
            key = ec.generate_private_key(curve)
            self.assertEqual(_isUsual(authority("Curve", key=key).certificate), usual)
        # The tests cannot create certificates with these keys.
        for algorithm in (PublicKeyAlgorithmOID.RSASSA_PSS, PublicKeyAlgorithmOID.ED448):
            self.assertFalse(
                _isUsual(cast("Any", SimpleNamespace(public_key_algorithm_oid=algorithm)))
            )

    def test_unknownKeys(self) -> None:
        """
        A key on a curve that C{cryptography} does not support is unusual. A
        malformed key is left to the verifier.
        """
        curve, other = bytes.fromhex("2a8648ce3d030107"), bytes.fromhex("2a8648ce3d030177")
        self.assertFalse(_isUsual(MIDDLE.rewritten(curve, other).certificate))
        point = MIDDLE.certificate.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        broken = MIDDLE.rewritten(point, point[:1] + bytes(64))
        self.assertTrue(_isUsual(broken.certificate))

    def test_obstacles(self) -> None:
        """
        Each path that C{cryptography} cannot verify has a reason; other paths have none.
        """
        odd = authority("Odd", kind="Ed25519")
        mapping = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("2.5.29.33"), bytes.fromhex("300c300a060355040306032a0304")
        )
        for path, reason in (
            ([LEAF, MIDDLE, ROOT], ""),
            ([LEAF], ""),
            ([server(odd), odd], "neither RSA nor P-256"),
            ([LEAF, MIDDLE, authority("Root").versionOne()], "version 1"),
            ([LEAF, authority("Maps", ROOT, critical(mapping)), ROOT], "policyMappings"),
            ([LEAF, authority("Maps", ROOT, mapping), ROOT], ""),
            ([server(MIDDLE, names=[HOST, "a.example."]), MIDDLE, ROOT], "ends with a dot"),
            ([server(MIDDLE, without=[x509.SubjectAlternativeName]), MIDDLE, ROOT], ""),
        ):
            found = obstacleTo([each.certificate for each in path])
            self.assertIn(reason, found)
            self.assertEqual(found == "", reason == "")

    def test_blame(self) -> None:
        """
        The error records whether the server certificate itself breaks a rule.
        """
        twice = [unknown(number=1), unknown(number=2)]
        middle = authority("Bad", ROOT)
        broken = authority("Broken", ROOT, *twice).rewritten(UNKNOWN_2, UNKNOWN_1)
        directory = x509.DirectoryName(ROOT.certificate.subject)
        unsupported = authority("U", ROOT, critical(x509.NameConstraints([directory], None)))
        brokenLeaf = server(MIDDLE, *twice).rewritten(UNKNOWN_2, UNKNOWN_1)
        for path, blamed in (
            ([LEAF.numbered(b"\xff\0"), MIDDLE.der, ROOT.der], True),
            ([brokenLeaf.der, MIDDLE.der, ROOT.der], True),
            ([server(middle).der, middle.numbered(b"\xff\0"), ROOT.der], False),
            ([server(broken).der, broken.der, ROOT.der], False),
            ([LEAF.der, STRANGER.der, ROOT.der], False),
            ([server(unsupported).der, unsupported.der, ROOT.der], False),
        ):
            for webPKI in (True, False):
                with unwarned(), self.assertRaises(PathError) as caught:
                    certificates = [x509.load_der_x509_certificate(each) for each in path]
                    verifyPath(certificates, SUBJECT, NOW, webPKI=webPKI)
                self.assertEqual(caught.exception.blamesLeaf, blamed, str(caught.exception))

    def test_constrained(self) -> None:
        """
        Certificates with name constraints are found, and certificates whose
        extensions cannot be parsed count as such.
        """
        excluded = x509.NameConstraints(None, [x509.DNSName("other.example")])
        self.assertTrue(mayConstrainNames(authority("Limited", ROOT, excluded).certificate))
        twice = authority("Twice", ROOT, unknown(number=1), unknown(number=2))
        broken = twice.rewritten(UNKNOWN_2, UNKNOWN_1)
        self.assertTrue(mayConstrainNames(broken.certificate))
        for each in (ROOT, MIDDLE, LEAF, twice):
            self.assertFalse(mayConstrainNames(each.certificate))

    def test_onePath(self) -> None:
        """
        One path is verified unchanged: no other certificate replaces a wrong one.
        A trusted server certificate is a path by itself.
        """
        wrong = authority("Intermediate", authority("Untrusted"))
        path = [each.certificate for each in (LEAF, MIDDLE, ROOT)]
        verifyPath(path, SUBJECT, NOW, webPKI=True)
        for bad in ([path[0], wrong.certificate, path[2]], [path[0], path[2]]):
            self.assertRaises(PathError, verifyPath, bad, SUBJECT, NOW, webPKI=False)
        own = server(None).certificate
        verifyPath([own], SUBJECT, NOW, webPKI=False)

    def test_sameNames(self) -> None:
        """
        A path of CAs with the same name is refused: the verifier would try each
        key on each signature.
        """
        above = ROOT
        for number in range(MAX_DEPTH):
            above = authority("Same", above, key=keyFor(f"same {number}"))
        leaf = server(above)
        path = [*leaf.chain, ROOT.certificate]
        error = self.assertRaises(PathError, verifyPath, path, SUBJECT, NOW, webPKI=False)
        self.assertIn(f"exceeds {MAX_STEPS} signature checks", str(error))

    def test_twins(self) -> None:
        """
        Two CAs with the same name and different keys are not a loop.
        """
        first = authority("Twin", ROOT)
        second = authority("Twin", first, key=keyFor("another"))
        leaf = server(second)
        expected = [each.certificate for each in (leaf, second, first, ROOT)]
        self.assertEqual(find(leaf, first, second), expected)

    def test_loops(self) -> None:
        """
        A path never contains a CA twice.
        """
        # Two CAs that have signed each other. Only one of the two directions leads to the root.
        one, other = keyFor("one"), keyFor("other")
        first = authority("One", authority("Other", key=other), key=one)
        back = authority("Other", authority("One", key=one), key=other)
        out = authority("One", ROOT, key=one)
        path = find(server(back), back, first, out)
        subjects = [certificate.subject for certificate in path]
        self.assertEqual(len(subjects), len(set(subjects)))
        self.assertEqual(path[-1], ROOT.certificate)


class CostTests(SynchronousTestCase):
    """
    Limits of the search for a path.
    """

    def setUp(self) -> None:
        self.signatures = self.paths = 0

        def isSignedBy(*arguments: Any) -> bool:
            self.signatures += 1
            return bool(original(*arguments))

        def verify(*arguments: Any, **options: Any) -> None:
            self.paths += 1
            verifyPath(*arguments, **options)

        original: Any = vars(paths)["isSignedBy"]
        self.patch(paths, "isSignedBy", isSignedBy)
        self.patch(paths, "verifyPath", verify)

    def crossSigned(self, count: int, copies: int = 1) -> list[Identity]:
        """
        Make CAs that have all signed each other.
        """
        every = [authority(f"Cross {number}") for number in range(count)]
        return [
            authority(subject.name, issuer, key=subject.key)
            for subject in every
            for issuer in every
            for _ in range(copies)
            if subject is not issuer or count == 1
        ]

    def test_crossSigned(self) -> None:
        """
        CAs that have signed each other form millions of paths. Only a few
        signatures are verified, and no path.
        """
        for count, copies in ((1, 3), (1, 300), (2, 1), (2, 50), (3, 1), (6, 1), (10, 2)):
            self.signatures = 0
            others = self.crossSigned(count, copies)
            self.assertRaises(PathError, find, server(others[0]), *others)
            self.assertLessEqual(self.signatures, MAX_STEPS)
            self.assertEqual(self.paths, 0)

    def test_crossSignedByRoot(self) -> None:
        """
        If a trust anchor has signed one of them, few paths are verified, whether
        one is valid or not.
        """
        others = self.crossSigned(5)
        limited = x509.NameConstraints(None, [x509.DNSName(HOST)])
        for extensions in ([], [critical(limited)]):
            self.signatures = self.paths = 0
            signed = authority("Cross 4", ROOT, *extensions, key=keyFor("Cross 4", "P-256"))
            try:
                find(server(others[0]), *others, signed)
            except PathError:
                self.assertTrue(extensions)
            self.assertLessEqual(self.signatures, MAX_STEPS)

    def test_paths(self) -> None:
        """
        Of many paths that all break a name constraint, only as many are verified as
        the limit of comparisons allows. Paths without name constraints are free.
        """
        excluded = [x509.DNSName(HOST), *(x509.DNSName(f"e{number}.x") for number in range(9))]
        limited = critical(x509.NameConstraints(None, excluded))
        above = authority("Above", ROOT, limited)
        wrong = [authority("Twin", above, key=keyFor("twin")) for _ in range(6)]
        # The path has eight other names.
        for count, expected in ((492, 2), (493, 1), (10, 6)):
            self.paths = 0
            names = [HOST, *(f"n{number}.y" for number in range(count - 1))]
            leaf = server(wrong[0], names=names)
            self.assertRaises(PathError, find, leaf, above, *wrong)
            self.assertEqual(self.paths, expected)
            self.assertEqual(10 * (count + 8) * 2 <= MAX_COMPARISONS, expected > 1)
            free = authority("Twin", ROOT, key=keyFor("twin"))
            self.assertEqual(find(leaf, above, *wrong, free)[1], free.certificate)

    def test_sameNames(self) -> None:
        """
        Hundreds of CAs with the issuer's name are not all tried, and none of them if
        no trust anchor has the name of their issuer.
        """
        wrong = [authority("Intermediate", STRANGER, key=keyFor("wrong")) for _ in range(200)]
        self.assertRaises(PathError, find, LEAF, *wrong, anchors=(ROOT,))
        self.assertEqual(self.signatures, 0)
        named = authority("Root", key=keyFor("wrong"))
        wrong = [authority("Intermediate", named, key=keyFor("wrong")) for _ in range(200)]
        error = self.assertRaises(PathError, find, LEAF, *wrong, anchors=(ROOT,))
        self.assertIn(f"exceeds {MAX_STEPS} signature checks", str(error))
        self.assertEqual(self.signatures, MAX_FAILURES)
