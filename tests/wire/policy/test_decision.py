"""
Tests for L{openfl_twisted.wire.policy.decision}.
"""

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policy.address import Content
from openfl_twisted.wire.policy.decision import (
    _MAX_REASONS,
    Decision,
    decide,
    decideByOlderRules,
)
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule

GRANTS = "grants"
DOMAIN = "its domain does not match"
PORT = "it does not list port"
LOW = "cannot grant ports below 1024"
HTTPS = "it requires content loaded over HTTPS"
META = "no policy file is valid on this host"
NO_PORTS = "it has no to-ports"
WRONG_PORTS = "its to-ports are invalid"
STAR = "* must be alone"
ADDRESS = "is an IP address with a *"
EMPTY = "its domain is empty"
NO_DOMAIN = "content without a domain"


def plain(
    pattern: str, ports: str | None, content: str, port: int, expected: str
) -> tuple[AccessRule, str, bool, int, str | None, int, str]:
    """
    Return a row for a master policy file, without secure rules and secure content.
    """
    return AccessRule(pattern, ports), content, False, port, None, 843, expected


def served(
    ports: str, port: int, servedFrom: int, control: str | None, expected: str
) -> tuple[AccessRule, str, bool, int, str | None, int, str]:
    """
    Return a row for the port and the meta-policy of a file.
    """
    return AccessRule("*", ports), "a.example", False, port, control, servedFrom, expected


def loaded(
    rule: AccessRule, secure: bool, port: int, servedFrom: int, expected: str
) -> tuple[AccessRule, str, bool, int, str | None, int, str]:
    """
    Return a row for the scheme of the content.
    """
    return rule, "www.a.example", secure, port, None, servedFrom, expected


# A rule, the domain of the content, whether it was loaded over https, the port that it connects to,
# the meta-policy, the port that served the file, and a part of the reason.
TABLE = [
    # Domains.
    plain("*", "80", "anything.example", 80, GRANTS),
    plain("*", "80", "192.0.2.1", 80, GRANTS),
    plain("*", "80", "[::1]", 80, GRANTS),
    plain("*", "80", "", 80, GRANTS),
    plain(" * ", "80", "a.example", 80, GRANTS),
    plain("www.a.example", "80", "www.a.example", 80, GRANTS),
    plain("www.a.example", "80", "WWW.A.Example", 80, GRANTS),
    plain("WWW.a.example", "80", "www.a.example", 80, GRANTS),
    plain("www.a.example", "80", "a.example", 80, DOMAIN),
    plain("www.a.example", "80", "b.www.a.example", 80, DOMAIN),
    plain("www.a.example", "80", "wwwxa.example", 80, DOMAIN),
    plain("www.a.example", "80", "", 80, NO_DOMAIN),
    plain("*.a.example", "80", "a.example", 80, GRANTS),
    plain("*.a.example", "80", "www.a.example", 80, GRANTS),
    plain("*.a.example", "80", "c.b.a.example", 80, GRANTS),
    plain("*.a.example", "80", "C.B.A.EXAMPLE", 80, GRANTS),
    plain("*.a.example", "80", "bada.example", 80, DOMAIN),
    plain("*.a.example", "80", "a.example.evil.example", 80, DOMAIN),
    plain("*.a.example", "80", "", 80, NO_DOMAIN),
    plain("*.com", "80", "a.com", 80, GRANTS),
    plain("*.com", "80", "com", 80, GRANTS),
    plain("*.com", "80", "a.org", 80, DOMAIN),
    plain("192.0.2.1", "80", "192.0.2.1", 80, GRANTS),
    plain("192.0.2.1", "80", "192.0.2.10", 80, DOMAIN),
    plain("127.0.0.1", "80", "localhost", 80, DOMAIN),
    plain("localhost", "80", "127.0.0.1", 80, DOMAIN),
    plain("localhost", "80", "localhost", 80, GRANTS),
    plain("[::1]", "80", "[::1]", 80, GRANTS),
    plain("[::1]", "80", "[::2]", 80, DOMAIN),
    plain("192.0.2.*", "80", "192.0.2.1", 80, STAR),
    plain("*.0.2.1", "80", "192.0.2.1", 80, ADDRESS),
    plain("*.192.0.2.1", "80", "192.0.2.1", 80, ADDRESS),
    plain("*.[::1]", "80", "[::1]", 80, ADDRESS),
    plain("http://www.a.example", "80", "www.a.example", 80, GRANTS),
    plain("https://*.a.example", "80", "www.a.example", 80, GRANTS),
    plain("http://www.a.example", "80", "a.example", 80, DOMAIN),
    plain("www.a.*", "80", "www.a.example", 80, STAR),
    plain("*a.example", "80", "www.a.example", 80, STAR),
    plain("a.*.example", "80", "a.b.example", 80, STAR),
    plain("*.*.example", "80", "a.b.example", 80, STAR),
    plain("**", "80", "a.example", 80, STAR),
    plain("*.", "80", "a.example", 80, "is not a valid domain"),
    plain("a example", "80", "a example", 80, "is not a valid domain"),
    plain("", "80", "", 80, EMPTY),
    plain(" ", "80", "a.example", 80, EMPTY),
    plain("http://", "80", "a.example", 80, EMPTY),
    # Ports.
    plain("*", "80", "a.example", 81, PORT),
    plain("*", "1000-2000", "a.example", 999, PORT),
    plain("*", "1000-2000", "a.example", 1000, GRANTS),
    plain("*", "1000-2000", "a.example", 2000, GRANTS),
    plain("*", "1000-2000", "a.example", 2001, PORT),
    plain("*", "1-10,80", "a.example", 80, GRANTS),
    plain("*", " 1-10 , 80 ", "a.example", 80, GRANTS),
    plain("*", "80,*", "a.example", 9000, GRANTS),
    plain("*", "*", "a.example", 1, GRANTS),
    plain("*", "*", "a.example", 65535, GRANTS),
    plain("*", None, "a.example", 80, NO_PORTS),
    plain("*", "", "a.example", 80, WRONG_PORTS),
    plain("*", "0", "a.example", 80, WRONG_PORTS),
    plain("*", "70000", "a.example", 80, WRONG_PORTS),
    plain("*", "200-100", "a.example", 150, WRONG_PORTS),
    plain("*", "80,", "a.example", 80, WRONG_PORTS),
    plain("*", "80,x", "a.example", 80, WRONG_PORTS),
    plain("*", "1-2-3", "a.example", 2, WRONG_PORTS),
    plain("*", "1-*", "a.example", 80, WRONG_PORTS),
    # The port that serves the file.
    served("*", 80, 843, None, GRANTS),
    served("*", 80, 1, None, GRANTS),
    served("*", 1023, 1023, None, GRANTS),
    served("*", 1023, 1024, None, LOW),
    served("*", 1024, 1024, None, GRANTS),
    served("80,8080", 80, 8080, None, LOW),
    served("80,8080", 8080, 8080, None, GRANTS),
    served("1-65535", 843, 65535, None, LOW),
    served("8080", 8080, 80, None, GRANTS),
    # The meta-policy.
    served("*", 80, 843, "all", GRANTS),
    served("*", 80, 843, "master-only", GRANTS),
    served("*", 80, 843, "none", META),
    served("*", 80, 843, "by-content-type", META),
    served("*", 80, 843, "by-ftp-filename", META),
    served("*", 80, 843, "All", META),
    served("*", 80, 843, "", META),
    served("*", 8080, 8080, "none", GRANTS),
    served("*", 8080, 8080, "master-only", GRANTS),
    served("*", 8080, 8080, "nonsense", GRANTS),
    served("*", 80, 8080, "all", LOW),
    served("81", 80, 843, "all", PORT),
    # The scheme of the content.
    loaded(AccessRule("*", "80", True), False, 80, 843, HTTPS),
    loaded(AccessRule("*", "80", True), True, 80, 843, GRANTS),
    loaded(AccessRule("*", "80", False), True, 80, 843, GRANTS),
    loaded(AccessRule("*.a.example", "*", True), True, 8080, 8080, GRANTS),
    loaded(AccessRule("*.a.example", "*", True), False, 8080, 8080, HTTPS),
    loaded(AccessRule("*.a.example", "*", True), True, 80, 8080, LOW),
    loaded(AccessRule("b.example", "*", True), True, 80, 843, DOMAIN),
    loaded(AccessRule("*", "81", True), True, 80, 843, PORT),
]


class TableTests(SynchronousTestCase):
    """
    L{decide} and L{PolicyFile.permits} decide alike.
    """

    def test_table(self) -> None:
        """
        Each row is decided as expected, with the expected reason.
        """
        self.assertGreaterEqual(len(TABLE), 80)
        for row in TABLE:
            rule, domain, secure, port, control, servedFrom, expected = row
            policy = PolicyFile((rule,), control)
            decision = decide(policy, Content(domain, secure), port, servedFrom)
            [reason] = decision.reasons
            self.assertIn(expected, reason, row)
            self.assertIs(decision.permitted, expected is GRANTS, row)
            permitted = policy.permits(domain, port, secure=secure, servedFrom=servedFrom)
            self.assertIs(permitted, decision.permitted, row)

    def test_asRead(self) -> None:
        """
        A rule that was serialized and parsed is decided in the same way.
        """
        for rule, domain, secure, port, control, servedFrom, expected in TABLE:
            policy = PolicyFile.fromXML(PolicyFile((rule,), control).toXML())
            decision = decide(policy, Content(domain, secure), port, servedFrom)
            self.assertIs(decision.permitted, expected is GRANTS, (rule, policy))


class DecisionTests(SynchronousTestCase):
    """
    A L{Decision} contains its reasons.
    """

    def test_anyRule(self) -> None:
        """
        One rule that grants is sufficient, at any position. Each rule has a reason.
        """
        refusing, granting = AccessRule("b.example", "80"), AccessRule("a.example", "80", True)
        rule = "rule {} (domain 'b.example' to-ports '80')"
        refused = f"{rule} does not grant access: its domain does not match"
        granted = "rule {} (domain 'a.example' to-ports '80' secure) grants access"
        for rules, begins in [
            ((refusing, granting), (refused, granted)),
            ((granting, refusing), (granted, refused)),
        ]:
            decision = decide(PolicyFile(rules), Content("a.example", True), 80)
            self.assertTrue(decision.permitted)
            for number, (reason, begin) in enumerate(zip(decision.reasons, begins, strict=True), 1):
                self.assertTrue(reason.startswith(begin.format(number)), reason)

    def test_noRules(self) -> None:
        """
        Without rules nothing is granted.
        """
        decision = decide(PolicyFile(), Content("a.example"), 80)
        self.assertEqual(decision, Decision(False, ("there are no rules, so nothing is granted",)))

    def test_text(self) -> None:
        """
        The text contains a limited number of reasons.
        """
        self.assertEqual(str(Decision(True, ("one", "two"))), "one; two")
        text = str(Decision(True, tuple(map(str, range(_MAX_REASONS + 3)))))
        self.assertTrue(text.endswith(f"{_MAX_REASONS - 1}; and 3 more"), text)

    def test_strangeFile(self) -> None:
        """
        The reasons are printable and short, whatever the file contains.
        """
        rule = AccessRule("a\n\x1b[31m.example", "\x9b31m")
        [reason] = decide(PolicyFile((rule,)), Content("\n"), 80).reasons
        self.assertTrue(reason.isprintable(), reason)
        for rule in (AccessRule("a" * 60000, "1" * 60000), AccessRule("a " * 30000, "80")):
            [reason] = decide(PolicyFile((rule,)), Content("a.example"), 80).reasons
            self.assertLess(len(reason), 500)


class OlderRulesTests(SynchronousTestCase):
    """
    L{decideByOlderRules} tests hosts and ports only.
    """

    def test_rules(self) -> None:
        """
        The port must be 1024 or higher, and the host that of the content.
        """
        for domain, host, port, expected in [
            ("a.example", "a.example", 1024, True),
            ("A.example", "a.EXAMPLE", 65535, True),
            ("[::1]", "::1", 8080, True),
            ("a.example", "a.example", 1023, False),
            ("a.example", "www.a.example", 8080, False),
            ("www.a.example", "a.example", 8080, False),
            ("localhost", "127.0.0.1", 8080, False),
            ("", "", 8080, False),
        ]:
            decision = decideByOlderRules(Content(domain), host, port)
            self.assertIs(decision.permitted, expected, (domain, host, port))

    def test_reasons(self) -> None:
        """
        There is a reason for the host and one for the port.
        """
        decision = decideByOlderRules(Content("a.example"), "b.example", 80)
        self.assertEqual(
            decision.reasons,
            (
                "the content was loaded from 'a.example', not from 'b.example'",
                "port 80 is below 1024",
            ),
        )
        decision = decideByOlderRules(Content("a.example"), "a.example", 8080)
        self.assertEqual(
            decision.reasons,
            (
                "the content was loaded from 'a.example', the same host",
                "port 8080 is not below 1024",
            ),
        )
