"""
Tests for L{openfl_twisted.wire.policy}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policy import (
    MAX_POLICY_LENGTH,
    REQUEST,
    AccessRule,
    PolicyError,
    PolicyFile,
    isRequest,
    mayBecomeRequest,
    parsePorts,
    requestLength,
)

REQUESTS = [REQUEST, b"<policy-file-request />\0", b" \r\n<policy-file-request\t/>\0"]


class RequestTests(SynchronousTestCase):
    """
    A request is recognized as it comes.
    """

    def test_whole(self) -> None:
        """
        White space is allowed in two places; what follows does not count.
        """
        for request in REQUESTS:
            self.assertEqual(requestLength(request), len(request))
            self.assertEqual(requestLength(request + b"more"), len(request))
            self.assertTrue(isRequest(request[:-1]))

    def test_notARequest(self) -> None:
        """
        Case matters, so does every character, and the end.
        """
        for message in [
            b"", b"<Policy-file-request/>", b"<policy-file-request>", b"x<policy-file-request/>",
            b"<policy-file-request/>x", b"< policy-file-request/>", b"<policy-file-request//>",
            b"<policy-file-request/>\n", b" " * 60 + b"<policy-file-request/>",
        ]:  # fmt: skip
            self.assertFalse(isRequest(message), message)
            self.assertEqual(requestLength(message + b"\0"), 0, message)

    def test_beginnings(self) -> None:
        """
        Every beginning of a request is one, and no other is.
        """
        for request in REQUESTS:
            for length in range(len(request)):
                self.assertTrue(mayBecomeRequest(request[:length]))
            for length in range(1, len(request)):
                self.assertFalse(mayBecomeRequest(request[:length] + b"!"), request[:length])
        self.assertFalse(mayBecomeRequest(REQUEST))
        self.assertFalse(mayBecomeRequest(b" " * 64))

    @given(st.sampled_from([b" ", b"\n", b"<", *REQUESTS]).flatmap(
        lambda start: st.binary(max_size=70).map(lambda rest: start + rest)
    ))  # fmt: skip
    def test_oneDecision(self, data: bytes) -> None:
        """
        Looked at byte by byte, a stream is decided once: either it becomes a
        request, or it cannot any more.
        """
        undecided = True
        for length in range(len(data) + 1):
            begun = data[:length]
            states = (mayBecomeRequest(begun), requestLength(begun) > 0)
            self.assertNotEqual(states, (True, True))
            if not undecided:
                self.assertEqual(states[0], False)
                self.assertEqual(states[1], requestLength(data) > 0)
            undecided = undecided and states == (True, False)


class PortsTests(SynchronousTestCase):
    """
    C{to-ports} is a list of ports and ranges.
    """

    def test_valid(self) -> None:
        """
        Single ports, ranges, all, and spaces around them.
        """
        self.assertEqual(parsePorts("80"), ((80, 80),))
        self.assertEqual(parsePorts("*"), ((1, 65535),))
        self.assertEqual(parsePorts(" 80 , 1000-2000"), ((80, 80), (1000, 2000)))
        self.assertEqual(parsePorts("0000080"), ((80, 80),))

    def test_invalid(self) -> None:
        """
        Anything else is refused.
        """
        for text in [
            "", "0", "70000", "200-100", "80,", "x", "1-2-3", "-5", "5-", "*-5", "1 0", "\u0663",
            "+80", "9" * 5000,
        ]:  # fmt: skip
            self.assertRaises(PolicyError, parsePorts, text)


class DecisionTests(SynchronousTestCase):
    """
    L{PolicyFile.permits} decides.
    """

    def permits(
        self,
        rule: AccessRule,
        domain: str,
        port: int,
        *,
        secure: bool = False,
        servedFrom: int = 843,
    ) -> bool:
        """
        Ask a file of one rule.
        """
        return PolicyFile((rule,)).permits(domain, port, secure=secure, servedFrom=servedFrom)

    def test_domains(self) -> None:
        """
        A pattern matches a host, or a host and all below it, or everything.
        """
        for pattern, domain, expected in [
            ("*", "anything.example", True),
            ("*", "192.0.2.1", True),
            ("www.example.com", "www.example.com", True),
            ("www.example.com", "WWW.Example.COM", True),
            ("WWW.example.com", "www.example.com", True),
            ("www.example.com", "example.com", False),
            ("www.example.com", "a.www.example.com", False),
            ("*.example.com", "example.com", True),
            ("*.example.com", "www.example.com", True),
            ("*.example.com", "a.b.example.com", True),
            ("*.example.com", "badexample.com", False),
            ("*.example.com", "example.com.evil.example", False),
            ("192.0.2.1", "192.0.2.1", True),
            ("192.0.2.*", "192.0.2.1", False),
            ("*.0.2.1", "192.0.2.1", False),
            ("127.0.0.1", "localhost", False),
            ("[::1]", "[::1]", True),
            ("*.[::1]", "[::1]", False),
            ("http://www.example.com", "www.example.com", True),
            ("www.example.*", "www.example.com", False),
            ("*example.com", "www.example.com", False),
            ("a.*.com", "a.b.com", False),
            ("*.com", "example.com", True),
            ("", "", False),
        ]:
            decided = self.permits(AccessRule(pattern, "80"), domain, 80)
            self.assertIs(decided, expected, (pattern, domain))

    def test_ports(self) -> None:
        """
        The port must be in the list; a list that is none grants nothing.
        """
        for ports, port, expected in [
            ("80", 80, True),
            ("80", 81, False),
            ("1000-2000", 1000, True),
            ("1000-2000", 2000, True),
            ("1000-2000", 2001, False),
            ("1-10,80", 80, True),
            ("*", 1, True),
            ("*", 65535, True),
            (None, 80, False),
            ("", 80, False),
            ("80,", 80, False),
        ]:
            decided = self.permits(AccessRule("*", ports), "a.example", port)
            self.assertIs(decided, expected, (ports, port))

    def test_secure(self) -> None:
        """
        A secure rule is for content that came by https.
        """
        rule = AccessRule("*", "80", secure=True)
        self.assertFalse(self.permits(rule, "a.example", 80))
        self.assertTrue(self.permits(rule, "a.example", 80, secure=True))

    def test_servingPort(self) -> None:
        """
        A file from port 1024 or above cannot grant a port below.
        """
        rule = AccessRule("*", "*")
        for served, port, expected in [
            (843, 80, True),
            (1023, 1023, True),
            (1024, 1023, False),
            (1024, 1024, True),
            (8080, 80, False),
        ]:
            decided = self.permits(rule, "a.example", port, servedFrom=served)
            self.assertIs(decided, expected, (served, port))

    def test_anyRule(self) -> None:
        """
        One rule that grants is enough, wherever it stands; without rules
        nothing is granted.
        """
        refusing, granting = AccessRule("b.example", "80"), AccessRule("a.example", "80")
        for rules in [(refusing, granting), (granting, refusing)]:
            self.assertTrue(PolicyFile(rules).permits("a.example", 80))
        self.assertFalse(PolicyFile().permits("a.example", 80))


class FileTests(SynchronousTestCase):
    """
    L{PolicyFile} is read and written.
    """

    def test_read(self) -> None:
        """
        A file of the usual form is read; what is unknown or nested is ignored.
        """
        policy = PolicyFile.fromXML(
            b'<?xml version="1.0"?>\n'
            b"<!DOCTYPE cross-domain-policy SYSTEM"
            b' "http://www.adobe.com/xml/dtds/cross-domain-policy.dtd">\n'
            b"<cross-domain-policy>\n"
            b'  <site-control permitted-cross-domain-policies="master-only"/>\n'
            b'  <allow-access-from domain="*.example.com" to-ports="80,1000-2000" secure="true"/>\n'
            b'  <allow-access-from domain="a.example"/>\n'
            b'  <allow-http-request-headers-from domain="*" headers="*"/>\n'
            b'  <other><allow-access-from domain="*" to-ports="*"/></other>\n'
            b"</cross-domain-policy>\0"
        )
        self.assertEqual(
            policy,
            PolicyFile(
                (AccessRule("*.example.com", "80,1000-2000", True), AccessRule("a.example", None)),
                "master-only",
            ),
        )

    def test_refused(self) -> None:
        """
        What is no policy file is refused, and says why.
        """
        for data, reason in [
            (b"", "not well-formed"),
            (b"<cross-domain-policy>", "not well-formed"),
            (b'<cross-domain-policy><a b="1" b="2"/></cross-domain-policy>', "not well-formed"),
            (b"<cross-domain-policy>&lol;</cross-domain-policy>", "not well-formed"),
            (b"<policy/>", "its root is <policy>"),
            (b"<cross-domain-policy>hello</cross-domain-policy>", "text between"),
            (b"<cross-domain-policy><a>hello</a></cross-domain-policy>", "text between"),
            (
                b'<!DOCTYPE a [<!ENTITY l "&k;">]><cross-domain-policy>&l;</cross-domain-policy>',
                "declarations of its own",
            ),
            (
                b'<!DOCTYPE a [<!ATTLIST r to-ports CDATA "*">]><cross-domain-policy/>',
                "declarations of its own",
            ),
            (b'<?xml version="1.0" encoding="no-such"?><cross-domain-policy/>', "cannot be read"),
            (b'<?xml version="1.0" encoding="idna"?><cross-domain-policy/>', "cannot be read"),
            (b" " * (MAX_POLICY_LENGTH + 1), "longer than"),
        ]:
            error = self.assertRaises(PolicyError, PolicyFile.fromXML, data)
            self.assertIn(reason, str(error))

    @given(st.binary() | st.binary().map(lambda data: b"<cross-domain-policy>" + data))
    def test_anyBytes(self, data: bytes) -> None:
        """
        Any bytes are a policy file or are refused; no other exception comes.
        """
        try:
            PolicyFile.fromXML(data)
        except PolicyError as error:
            self.assertNotEqual(str(error), "")

    def test_forPort(self) -> None:
        """
        The file for a port lets everybody connect to it, and to no other.
        """
        policy = PolicyFile.forPort(8080)
        self.assertEqual(
            policy.toXML(),
            b'<?xml version="1.0"?>\n<cross-domain-policy>'
            b'<allow-access-from domain="*" to-ports="8080" /></cross-domain-policy>',
        )
        self.assertTrue(policy.permits("a.example", 8080, servedFrom=8080))
        self.assertFalse(policy.permits("a.example", 8081, servedFrom=8080))

    @given(
        st.lists(
            st.builds(
                AccessRule,
                st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"])),
                st.none() | st.sampled_from(["*", "80", "1-2,3", "bad"]),
                st.booleans(),
            ),
            max_size=3,
        ),
        st.none() | st.sampled_from(["none", "all", "else"]),
    )
    def test_roundTrip(self, rules: list[AccessRule], siteControl: str | None) -> None:
        """
        What is written is read back, and holds no zero byte.
        """
        policy = PolicyFile(tuple(rules), siteControl)
        data = policy.toXML()
        self.assertNotIn(b"\0", data)
        try:
            back = PolicyFile.fromXML(data)
        except PolicyError:
            # Some characters are not allowed in XML at all.
            self.assertTrue(any(ord(c) in (0xFFFE, 0xFFFF) for rule in rules for c in rule.domain))
        else:
            self.assertEqual(back, policy)


class ProblemTests(SynchronousTestCase):
    """
    L{PolicyFile.problems} says what a file does not do.
    """

    def problems(
        self, *rules: AccessRule, control: str | None = None, port: int | None = None
    ) -> str:
        """
        Get the problems as one text.
        """
        return "\n".join(PolicyFile(rules, control).problems(port))

    def test_none(self) -> None:
        """
        A file in order has none.
        """
        rule = AccessRule("*", "80")
        self.assertEqual(self.problems(rule), "")
        self.assertEqual(self.problems(rule, control="all", port=843), "")
        self.assertFalse(PolicyFile((rule,)).grantsNothing)

    def test_rules(self) -> None:
        """
        Rules that grant nothing are named.
        """
        found = self.problems(
            AccessRule("*", "80"), AccessRule("*", None), AccessRule("a.*", "80"),
            AccessRule("*.192.0.2.1", "80"), AccessRule("", "80"), AccessRule("*", "x"),
        )  # fmt: skip
        self.assertIn("rule 2 grants nothing: it has no to-ports", found)
        self.assertIn("rule 3 grants nothing: its domain 'a.*' has a *", found)
        self.assertIn("rule 4 grants nothing: its domain '*.192.0.2.1' is an address", found)
        self.assertIn("rule 5 grants nothing: its domain is empty", found)
        for domain in ["*.", "a b", "a\x01"]:
            self.assertIn("is not one", self.problems(AccessRule(domain, "80")))
        self.assertIn("rule 6 grants nothing: its to-ports are wrong: 'x' is not a port", found)

    def test_nothing(self) -> None:
        """
        A file without a rule that grants is known as such.
        """
        self.assertIn("no rules", self.problems())
        self.assertTrue(PolicyFile().grantsNothing)
        self.assertTrue(PolicyFile((AccessRule("*", None),)).grantsNothing)

    def test_servingPort(self) -> None:
        """
        What a file cannot do from its port is named; for all ports nobody
        means those below 1024.
        """
        self.assertIn("below 1024", self.problems(AccessRule("*", "80"), port=8080))
        self.assertEqual(self.problems(AccessRule("*", "*"), port=8080), "")
        self.assertIn("only on port 843", self.problems(AccessRule("*"), control="all", port=8080))

    def test_siteControl(self) -> None:
        """
        An unknown meta-policy is named.
        """
        self.assertIn("counts as none", self.problems(AccessRule("*"), control="by-content-type"))
