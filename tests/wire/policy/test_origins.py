"""
Tests for L{openfl_twisted.wire.policy.origins}.
"""

import idna
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.origins import originsOf
from openfl_twisted.wire.policy.rule import AccessRule

ALL_TYPES = originsOf(PolicyFile.forPort(8080), 8080)
NOBODY = originsOf(PolicyFile(), 8080)
SOME = originsOf(
    PolicyFile(
        (
            AccessRule("*.example.com", "8080"),
            AccessRule("127.0.0.1", "8000-9000"),
            AccessRule("[::1]", "*"),
            AccessRule("shop.example.org", "*", secure=True),
            AccessRule("other.example.org", "80"),
            AccessRule("*.null", "*"),
            AccessRule("bücher.example", "*"),
            AccessRule("*.xn--mnchen-3ya.example", "*"),
        )
    ),
    8080,
)


class OriginTests(SynchronousTestCase):
    """
    The rules of a policy file, for pages.
    """

    def test_permitted(self) -> None:
        """
        Host names and addresses are compared as the rules say, whatever the port
        of the page.
        """
        for origin in (
            "http://example.com",
            "HTTP://WWW.Example.COM:8000",
            "https://a.example.com:443",
            "http://127.0.0.1:9301",
            "http://[::1]:80",
            "https://shop.example.org",
            "http://xn--bcher-kva.example",
            "http://XN--BCHER-KVA.example:81",
            "http://bücher.example",
            "http://BÜCHER.example",
            "http://münchen.example",
            "http://a.xn--mnchen-3ya.example",
            "http://a.null",
        ):
            self.assertTrue(SOME(origin), origin)

    def test_refused(self) -> None:
        """
        Other hosts, other ports, and pages that did not come by https if that is
        asked for, may not connect; nor may what is no origin.
        """
        for origin in (
            "http://example.org",
            "http://badexample.com",
            "http://shop.example.org",
            "https://other.example.org",
            "http://example.com/",
            "http://user@example.com",
            "http://evil.org, http://example.com",
            "http://example.com:x",
            "example.com",
            "file://",
            "null",
            "NULL",
            "http://null",
            "http://a.bücher.example",
            "http://bucher.example",
            "http://" + "ü" * 300 + ".example",
            "http://ü..example",
            "",
        ):
            self.assertFalse(SOME(origin), origin)

    def test_without(self) -> None:
        """
        A program that is not in a browser has no origin, and may connect.
        """
        for permitted in (ALL_TYPES, NOBODY, SOME):
            self.assertTrue(permitted(None))

    def test_withoutPort(self) -> None:
        """
        Where there is no port, the domains of all rules count that grant
        anything.
        """
        permitted = originsOf(
            PolicyFile(
                (
                    AccessRule("a.example", "80,443"),
                    AccessRule("b.example", "1000-2000"),
                    AccessRule("c.example", "nothing"),
                )
            ),
            None,
        )
        for origin in ("http://a.example", "http://b.example", None):
            self.assertTrue(permitted(origin), origin)
        for origin in ("http://c.example", "http://d.example"):
            self.assertFalse(permitted(origin), origin)

    def test_null(self) -> None:
        """
        Where everybody may connect, pages that do not tell who they are may too.
        """
        self.assertTrue(ALL_TYPES("null"))
        self.assertFalse(NOBODY("null"))
        self.assertTrue(originsOf(PolicyFile.forPort(80), 80)("http://example.com"))

    def test_nullOnPurpose(self) -> None:
        """
        A rule for the domain null grants pages without an origin, and no other
        origin than the host of that name; with secure it does not, since they
        did not come by https.
        """
        for port in (8080, None):
            permitted = originsOf(PolicyFile((AccessRule("null", "8080"),)), port)
            self.assertTrue(permitted("null"))
            for origin in ("http://example.com", "http://a.null", "file://", "NULL", ""):
                self.assertFalse(permitted(origin), origin)
            secure = originsOf(PolicyFile((AccessRule("null", "8080", secure=True),)), port)
            self.assertFalse(secure("null"))
            below = originsOf(PolicyFile((AccessRule("*.null", "8080"),)), port)
            self.assertFalse(below("null"))
            self.assertTrue(below("http://a.null"))
        self.assertEqual(PolicyFile((AccessRule("null", "8080"),)).problems(8080), [])

    @given(st.text(st.characters(codec="utf-8"), max_size=20), st.booleans())
    def test_unicode(self, label: str, above: bool) -> None:
        """
        A name in Unicode and its punycode match in both directions, if the name
        has one; any other text is decided without an error.
        """
        name = f"{label}.example"
        try:
            inASCII = idna.encode(name, uts46=True).decode()
        except UnicodeError:
            inASCII = name
        star = "*." if above else ""
        for rule, origin in ((name, inASCII), (inASCII, name)):
            access = AccessRule(star + rule, "*")
            if label.isalnum() and access.problem is None:
                self.assertTrue(access.matchesDomain(origin), (rule, origin))
            originsOf(PolicyFile((access,)), 8080)(f"http://{origin}")

    @given(st.text(st.characters(codec="utf-8")))
    def test_anything(self, origin: str) -> None:
        """
        Whatever a header has, it is decided.
        """
        self.assertTrue(ALL_TYPES(origin))
        self.assertFalse(NOBODY(origin))
