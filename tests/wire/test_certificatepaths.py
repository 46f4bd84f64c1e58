"""
Tests for L{openfl_twisted.wire.certificatepaths}.
"""

from typing import Any

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.certificatepaths import MAX_DEPTH, PathError, findPath, isUsual
from tests.extensions import critical, purposes, unknown
from tests.laboratory import BEGIN, HOST, PAST, Identity, authority, keyFor, server

ROOT = authority("Root")
MIDDLE = authority("Intermediate", ROOT)
LEAF = server(MIDDLE)
NOW = PAST.replace(year=2020)
SUBJECT = x509.DNSName(HOST)


def find(
    leaf: Identity, *others: Identity, anchors: tuple[Identity, ...] = (ROOT,), **options: Any
) -> list[x509.Certificate]:
    """
    Find a path.
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
    Paths that are there, and such that are not.
    """

    def refused(self, reason: str, *arguments: Identity, **options: Any) -> None:
        """
        Check that there is no path, and what is said of that.
        """
        error = self.assertRaises(PathError, find, *arguments, **options)
        self.assertIn(reason, str(error))
        # The certificates are not told, with all their bytes.
        self.assertNotIn("candidates exhausted", str(error))
        self.assertLess(len(str(error)), 300)

    def test_found(self) -> None:
        """
        A path leads from the server to an authority, in order.
        """
        expected = [each.certificate for each in (LEAF, MIDDLE, ROOT)]
        for webPKI in (True, False):
            self.assertEqual(find(LEAF, ROOT, MIDDLE, webPKI=webPKI), expected)

    def test_backFromAWrongTurn(self) -> None:
        """
        A path is found though another one of the same names leads nowhere.
        """
        wrong = authority("Intermediate", authority("Nobody"))
        for others in ((wrong, MIDDLE), (MIDDLE, wrong)):
            self.assertEqual(find(LEAF, *others)[1], MIDDLE.certificate)

    def test_nobodyTrusted(self) -> None:
        """
        Without an authority there is no path.
        """
        self.refused("no authority is trusted", LEAF, MIDDLE, anchors=())

    def test_notFound(self) -> None:
        """
        What is missing or wrong is told in a few words.
        """
        self.refused("no authority that is trusted leads to it", LEAF)
        self.refused("", LEAF, MIDDLE, anchors=(authority("Nobody"),))
        self.refused("valid at", LEAF, MIDDLE, time=BEGIN.replace(year=1999))
        self.refused("leaf certificate has no matching", LEAF, MIDDLE, subject=x509.DNSName("x.y"))

    def test_policies(self) -> None:
        """
        The rules of the web want more than we do.
        """
        plain = server(MIDDLE, without=[x509.AuthorityKeyIdentifier])
        self.refused("2.5.29.35: Certificate is missing", plain, MIDDLE)
        self.assertEqual(len(find(plain, MIDDLE, webPKI=False)), 3)
        limited = authority("Clients", ROOT, purposes("CLIENT_AUTH"))
        self.refused("", server(limited), limited)

    def test_noName(self) -> None:
        """
        A subject that C{cryptography} does not take has no path.
        """
        self.refused("invalid domain name", LEAF, MIDDLE, subject=x509.DNSName("a_b.example"))

    def test_constraints(self) -> None:
        """
        A wildcard for a name that its authority may not sign is refused, which
        OpenSSL does not see.
        """
        excluded = x509.NameConstraints(None, [x509.DNSName("games.lab.example")])
        limited = authority("Limited", ROOT, critical(excluded))
        leaf = server(limited, names=["*.lab.example"])
        subject = x509.DNSName("games.lab.example")
        for webPKI in (True, False):
            self.refused("", leaf, limited, subject=subject, webPKI=webPKI)

    def test_unknownExtension(self) -> None:
        """
        An extension that is critical and unknown is refused.
        """
        for webPKI in (True, False):
            self.refused("", server(MIDDLE, critical(unknown())), MIDDLE, webPKI=webPKI)

    def test_depth(self) -> None:
        """
        A path has an end.
        """
        above = [ROOT]
        for number in range(MAX_DEPTH + 1):
            above.append(authority(f"Intermediate {number}", above[-1]))
        self.assertEqual(len(find(server(above[-2]), *above)), MAX_DEPTH + 2)
        self.refused("", server(above[-1]), *above)

    def test_unusualKeys(self) -> None:
        """
        Keys are told apart that no authority of the web has.
        """
        self.assertTrue(isUsual(LEAF.certificate))
        self.assertTrue(isUsual(server(ROOT, name="RSA", kind="RSA").certificate))
        self.assertFalse(isUsual(server(ROOT, name="Ed", kind="Ed25519").certificate))

    def test_twins(self) -> None:
        """
        Two authorities of one name with different keys are no loop.
        """
        first = authority("Twin", ROOT)
        second = authority("Twin", first, key=keyFor("another"))
        leaf = server(second)
        expected = [each.certificate for each in (leaf, second, first, ROOT)]
        self.assertEqual(find(leaf, first, second), expected)

    def test_loops(self) -> None:
        """
        A path that comes back to an authority goes on from there at once.
        """
        # Two authorities that have signed each other; only one of the two ways leads to the root.
        one, other = keyFor("one"), keyFor("other")
        first = authority("One", authority("Other", key=other), key=one)
        back = authority("Other", authority("One", key=one), key=other)
        out = authority("One", ROOT, key=one)
        path = find(server(back), back, first, out)
        subjects = [certificate.subject for certificate in path]
        self.assertEqual(len(subjects), len(set(subjects)))
        self.assertEqual(path[-1], ROOT.certificate)
