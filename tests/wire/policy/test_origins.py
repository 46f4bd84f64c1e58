"""
Tests for L{openfl_twisted.wire.policy.origins}.
"""

import idna
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.origins import explainOrigin, originsOf
from openfl_twisted.wire.policy.rule import AccessRule

ALL_ORIGINS = originsOf(PolicyFile.forPort(8080), 8080)
NO_ORIGINS = originsOf(PolicyFile(), 8080)
SOME_ORIGINS = originsOf(
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
    The rules of a policy file, applied to pages.
    """

    def test_permitted(self) -> None:
        """
        Host names and addresses are compared as in rules, whatever the port of
        the page is.
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
            self.assertTrue(SOME_ORIGINS(origin), origin)

    def test_refused(self) -> None:
        """
        Other hosts, other ports, pages that were not loaded over https as
        required, and invalid origins may not connect.
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
            self.assertFalse(SOME_ORIGINS(origin), origin)

    def test_without(self) -> None:
        """
        A client without an origin, which is not a browser, may connect.
        """
        for permitted in (ALL_ORIGINS, NO_ORIGINS, SOME_ORIGINS):
            self.assertTrue(permitted(None))

    def test_withoutPort(self) -> None:
        """
        Without a port, the domains of all rules that grant anything may connect.
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
        Pages without an origin may connect if all domains may.
        """
        self.assertTrue(ALL_ORIGINS("null"))
        self.assertFalse(NO_ORIGINS("null"))
        self.assertTrue(originsOf(PolicyFile.forPort(80), 80)("http://example.com"))

    def test_nullOnPurpose(self) -> None:
        """
        A rule for the domain null grants pages without an origin, and no other
        origin except the host of that name. With secure it does not grant them.
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

    def test_explanations(self) -> None:
        """
        A refusal names the rules for the domain of the page, at most three.
        """
        a = "rule 1 (domain 'a.example'"
        secure = "it requires content loaded over HTTPS"
        for rules, control, port, explanation in [
            ([AccessRule("b.example")], None, 8080, "no rule of the policy file is for its domain"),
            ([], None, None, "no rule of the policy file is for its domain"),
            (
                [AccessRule("a.example", "80")],
                None,
                8080,
                f"{a} to-ports '80') does not grant access: it does not list port 8080",
            ),
            (
                [AccessRule("a.example", "*", secure=True)],
                None,
                None,
                f"{a} to-ports '*' secure) does not grant access: {secure}",
            ),
            (
                [AccessRule("a.example", None)],
                None,
                None,
                f"{a}) does not grant access: it has no to-ports",
            ),
            (
                [AccessRule("*", "*")],
                "none",
                843,
                "site-control 'none' forbids all policy files",
            ),
        ]:
            policy = PolicyFile(tuple(rules), control)
            self.assertFalse(originsOf(policy, port)("http://a.example"))
            self.assertEqual(explainOrigin(policy, port, "http://a.example"), explanation)
        many = PolicyFile((AccessRule("a.example", "80"),) * 9)
        self.assertEqual(explainOrigin(many, 8080, "http://a.example").count("rule "), 3)

    @given(st.text(), st.sampled_from([80, 843, 8080, None]))
    def test_anyExplanation(self, origin: str, port: int | None) -> None:
        """
        Any refused C{Origin} is explained.
        """
        policy = PolicyFile((AccessRule("a.example", "1000-2000"), AccessRule("*.b", "80", True)))
        self.assertTrue(explainOrigin(policy, port, origin))

    @given(st.text(st.characters(codec="utf-8"), max_size=20), st.booleans())
    def test_unicode(self, label: str, above: bool) -> None:
        """
        A Unicode name and its punycode match in both directions. Any other text
        is decided without an error.
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
        Any C{Origin} is decided.
        """
        self.assertTrue(ALL_ORIGINS(origin))
        self.assertFalse(NO_ORIGINS(origin))
