"""
Tests for L{openfl_twisted.wire.policy.file}.
"""

import codecs
import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policy.file import MAX_POLICY_LENGTH, PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule, PolicyError


class FileTests(SynchronousTestCase):
    """
    L{PolicyFile} is parsed and serialized.
    """

    def test_hostile(self) -> None:
        """
        A file with a long namespace, which would be copied for every name, with
        deeply nested elements, or with many elements or attributes is refused.
        """
        for data, words in (
            (f'<cross-domain-policy xmlns:a="{"u" * 201}"/>', "more than 200 bytes"),
            (
                f"<cross-domain-policy>{'<a>' * 100}{'</a>' * 100}</cross-domain-policy>",
                "more than 100 nested elements",
            ),
            (f"<cross-domain-policy>{'<a/>' * 5000}</cross-domain-policy>", "more than 5000 tags"),
            (
                "<cross-domain-policy " + " ".join(f"a{n}=''" for n in range(5001)) + "/>",
                "more than 5000 attributes",
            ),
        ):
            with self.assertRaises(PolicyError) as caught:
                PolicyFile.fromXML(data.encode())
            self.assertIn(words, str(caught.exception))

    def test_read(self) -> None:
        """
        A file of the usual form is parsed. Unknown elements and nested rules are ignored.
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
        Data that is not a policy file is refused, with the reason.
        """
        for data, reason in [
            (b"", "not well-formed"),
            (b"<cross-domain-policy>", "not well-formed"),
            (b'<cross-domain-policy><a b="1" b="2"/></cross-domain-policy>', "not well-formed"),
            (b"<cross-domain-policy>&lol;</cross-domain-policy>", "not well-formed"),
            (b"<policy/>", "the root element is <policy>"),
            (b"<cross-domain-policy>hello</cross-domain-policy>", "text between"),
            (b"<cross-domain-policy><a>hello</a></cross-domain-policy>", "text between"),
            (
                b'<!DOCTYPE a [<!ENTITY l "&k;">]><cross-domain-policy>&l;</cross-domain-policy>',
                "an internal DTD subset is not allowed",
            ),
            (
                b'<!DOCTYPE a [<!ATTLIST r to-ports CDATA "*">]><cross-domain-policy/>',
                "an internal DTD subset is not allowed",
            ),
            (b'<?xml version="1.0" encoding="no-such"?><cross-domain-policy/>', "cannot be parsed"),
            (b'<?xml version="1.0" encoding="idna"?><cross-domain-policy/>', "cannot be parsed"),
            (b" " * (MAX_POLICY_LENGTH + 1), "longer than"),
        ]:
            error = self.assertRaises(PolicyError, PolicyFile.fromXML, data)
            self.assertIn(reason, str(error))

    def test_entityBombs(self) -> None:
        """
        Entities are never expanded, however they are declared: a bomb is refused
        in little time.
        """
        laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 20))
        for declared, used in [
            (f'<!ENTITY l0 "ha">{laughs}', "&l19;"),
            (f'<!ENTITY l0 "ha">{laughs}', ""),
            ('<!ENTITY a "&b;"><!ENTITY b "&a;">', "&a;"),
            ('<!ENTITY a SYSTEM "file:///etc/hostname">', "&a;"),
            ('<!ENTITY a SYSTEM "http://192.0.2.1/">', "&a;"),
            ('<!ENTITY % a SYSTEM "http://192.0.2.1/"> %a;', ""),
            ('<!ENTITY a "*">', '<allow-access-from domain="&a;" to-ports="&a;"/>'),
            ("<!ELEMENT a ANY>", ""),
            ("", ""),
        ]:
            data = (
                f"<!DOCTYPE cross-domain-policy [{declared}]>"
                f"<cross-domain-policy>{used}</cross-domain-policy>"
            )
            before = time.process_time()
            error = self.assertRaises(PolicyError, PolicyFile.fromXML, data.encode())
            self.assertIn("an internal DTD subset is not allowed", str(error))
            self.assertLess(time.process_time() - before, 1)

    def test_knownEntities(self) -> None:
        """
        The entities of XML need no declaration. All others are undefined, also in
        an attribute, and also with an external DTD, which is not fetched.
        """
        rule = '<cross-domain-policy><allow-access-from domain="{}" to-ports="80"/>{}'
        end = "</cross-domain-policy>"
        policy = PolicyFile.fromXML((rule.format("&#42;.a&amp;b", "") + end).encode())
        self.assertEqual(policy.rules, (AccessRule("*.a&b", "80"),))
        doctype = '<!DOCTYPE cross-domain-policy SYSTEM "http://192.0.2.1/a.dtd">'
        for data in [rule.format("&nbsp;", "") + end, rule.format("*", "&nbsp;") + end]:
            for before in ("", doctype):
                self.assertRaises(PolicyError, PolicyFile.fromXML, (before + data).encode())
        known = rule.format("&lt;&#x2a;", "<!-- a & b -->") + end
        policy = PolicyFile.fromXML((doctype + known).encode())
        self.assertEqual(policy.rules, (AccessRule("<*", "80"),))

    def test_duplicateAttributes(self) -> None:
        """
        A repeated attribute makes the file invalid, with the same value or another.
        """
        for attributes in [
            'domain="*" domain="*" to-ports="80"',
            'domain="*" to-ports="80" to-ports="81"',
            'domain="*" to-ports="80" secure="true" secure="false"',
        ]:
            data = f"<cross-domain-policy><allow-access-from {attributes}/></cross-domain-policy>"
            error = self.assertRaises(PolicyError, PolicyFile.fromXML, data.encode())
            self.assertIn("duplicate attribute", str(error))

    def test_textNodes(self) -> None:
        """
        Text at any position makes a file invalid. White space and comments are ignored.
        """
        rule = '<allow-access-from domain="*" to-ports="80"'
        for inside in [
            f"x{rule}/>", f"{rule}/>x", f"{rule}>x</allow-access-from>", f"<a>x</a>{rule}/>",
            f"<![CDATA[x]]>{rule}/>", f"&#120;{rule}/>", f"{rule}/>&#160;x",
        ]:  # fmt: skip
            data = f"<cross-domain-policy>{inside}</cross-domain-policy>"
            error = self.assertRaises(PolicyError, PolicyFile.fromXML, data.encode())
            self.assertIn("text between", str(error))
        data = (
            f"<!-- a --><cross-domain-policy>\n\t<!-- x -->{rule}> </allow-access-from>\r\n"
            "<?a b?><![CDATA[ ]]></cross-domain-policy><!-- b -->\n"
        )
        self.assertEqual(PolicyFile.fromXML(data.encode()).rules, (AccessRule("*", "80"),))

    def test_wrongRoots(self) -> None:
        """
        Another root makes a file invalid: another case or namespace, a single
        rule, two roots. The reason contains the beginning of a long name.
        """
        rule = '<allow-access-from domain="*" to-ports="80"/>'
        for data, words in [
            (f"<Cross-Domain-Policy>{rule}</Cross-Domain-Policy>", "the root element is"),
            (f'<cross-domain-policy xmlns="a">{rule}</cross-domain-policy>', "the root element is"),
            (
                f"<a><cross-domain-policy>{rule}</cross-domain-policy></a>",
                "the root element is <a>",
            ),
            (rule, "the root element is <allow-access-from>"),
            ("<cross-domain-policy/><cross-domain-policy/>", "not well-formed"),
            ("<policy-file-request/>", "the root element is <policy-file-request>"),
            ("<" + "a" * 5000 + "/>", "the root element is <" + "a" * 60 + ">"),
        ]:
            error = self.assertRaises(PolicyError, PolicyFile.fromXML, data.encode())
            self.assertIn(words, str(error))
            self.assertLess(len(str(error)), 200)

    def test_encodings(self) -> None:
        """
        A byte order mark and a declared encoding are used. The NUL byte that
        terminates the file on the wire is not part of it.
        """
        text = (
            '<cross-domain-policy><allow-access-from domain="gr\xfc\xdfe" to-ports="80"/>'
            "</cross-domain-policy>"
        )
        declared = '<?xml version="1.0" encoding="{}"?>' + text
        rules = (AccessRule("gr\xfc\xdfe", "80"),)
        for data in [
            text.encode(),
            codecs.BOM_UTF8 + text.encode(),
            codecs.BOM_UTF8 + declared.format("UTF-8").encode(),
            declared.format("utf-8").encode(),
            declared.format("ISO-8859-1").encode("latin-1"),
            declared.format("windows-1252").encode("cp1252"),
            codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
            codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
            codecs.BOM_UTF16_LE + declared.format("UTF-16").encode("utf-16-le"),
        ]:
            self.assertEqual(PolicyFile.fromXML(data).rules, rules, data)
            if not data.startswith(codecs.BOM_UTF16_LE):
                self.assertEqual(PolicyFile.fromXML(data + b"\0").rules, rules, data)

    def test_wrongEncodings(self) -> None:
        """
        Bytes that do not have the declared encoding, an unknown encoding, and a
        second NUL byte make a file invalid.
        """
        text = '<cross-domain-policy><a b="\xfc"/></cross-domain-policy>'
        declared = '<?xml version="1.0" encoding="{}"?>' + text
        for data in [
            text.encode("latin-1"),
            declared.format("utf-8").encode("latin-1"),
            declared.format("us-ascii").encode("latin-1"),
            declared.format("UTF-16").encode(),
            declared.format("no-such").encode(),
            declared.format("zip").encode(),
            declared.format("").encode(),
            codecs.BOM_UTF8 + codecs.BOM_UTF8 + text.encode(),
            b" " + declared.format("utf-8").encode(),
            text.encode() + b"\0\0",
            b"\0" + text.encode(),
        ]:
            self.assertRaises(PolicyError, PolicyFile.fromXML, data)

    @given(st.binary() | st.binary().map(lambda data: b"<cross-domain-policy>" + data))
    def test_anyBytes(self, data: bytes) -> None:
        """
        Any bytes are a policy file, or are a C{PolicyError}.
        """
        try:
            PolicyFile.fromXML(data)
        except PolicyError as error:
            self.assertNotEqual(str(error), "")

    def test_forPort(self) -> None:
        """
        The file for a port grants it to all domains, and no other port.
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
        A serialized file is parsed to the same file, and contains no NUL byte.
        """
        policy = PolicyFile(tuple(rules), siteControl)
        data = policy.toXML()
        self.assertNotIn(b"\0", data)
        try:
            back = PolicyFile.fromXML(data)
        except PolicyError:
            # Some characters are not allowed in XML.
            self.assertTrue(any(ord(c) in (0xFFFE, 0xFFFF) for rule in rules for c in rule.domain))
        else:
            self.assertEqual(back, policy)


class ProblemTests(SynchronousTestCase):
    """
    L{PolicyFile.problems} lists probable mistakes.
    """

    def problems(
        self, *rules: AccessRule, control: str | None = None, port: int | None = None
    ) -> str:
        """
        Return the problems of a file as one text.
        """
        return "\n".join(PolicyFile(rules, control).problems(port))

    def test_none(self) -> None:
        """
        A correct file has no problems.
        """
        rule = AccessRule("*", "80")
        self.assertEqual(self.problems(rule), "")
        self.assertEqual(self.problems(rule, control="all", port=843), "")
        self.assertFalse(PolicyFile((rule,)).grantsNothing)

    def test_rules(self) -> None:
        """
        Rules that grant nothing are reported.
        """
        found = self.problems(
            AccessRule("*", "80"), AccessRule("*", None), AccessRule("a.*", "80"),
            AccessRule("*.192.0.2.1", "80"), AccessRule("", "80"), AccessRule("*", "x"),
        )  # fmt: skip
        self.assertIn("rule 2 grants nothing: it has no to-ports", found)
        self.assertIn("rule 3 grants nothing: its domain 'a.*' is invalid: * must be alone", found)
        self.assertIn("rule 4 grants nothing: its domain '*.192.0.2.1' is an IP address", found)
        self.assertIn("rule 5 grants nothing: its domain is empty", found)
        for domain in ["*.", "a b", "a\x01"]:
            self.assertIn("is not a valid domain", self.problems(AccessRule(domain, "80")))
        self.assertIn("rule 6 grants nothing: its to-ports are invalid: 'x' is not a port", found)

    def test_nothing(self) -> None:
        """
        A file without a rule that grants is reported.
        """
        self.assertIn("no rules", self.problems())
        self.assertTrue(PolicyFile().grantsNothing)
        self.assertTrue(PolicyFile((AccessRule("*", None),)).grantsNothing)

    def test_servingPort(self) -> None:
        """
        Rules and meta-policies without effect on the serving port are reported; a
        rule for all ports is not.
        """
        self.assertIn("below 1024", self.problems(AccessRule("*", "80"), port=8080))
        self.assertIn("below 1024", self.problems(AccessRule("*", "8080,80"), port=1024))
        self.assertEqual(self.problems(AccessRule("*", "80"), port=1023), "")
        self.assertEqual(self.problems(AccessRule("*", "*"), port=8080), "")
        self.assertIn("only on port 843", self.problems(AccessRule("*"), control="all", port=8080))

    def test_siteControl(self) -> None:
        """
        An unknown meta-policy is reported.
        """
        self.assertIn(
            "is treated as none", self.problems(AccessRule("*"), control="by-content-type")
        )

    def test_forbidding(self) -> None:
        """
        A master policy file that forbids itself is reported.
        """
        for control in ("none", "nonsense"):
            found = self.problems(AccessRule("*"), control=control, port=843)
            self.assertIn("forbids all policy files of this host, including this one", found)
        self.assertNotIn("forbids", self.problems(control="none", port=843))

    def test_unreached(self) -> None:
        """
        A rule that another one covers is reported (the later one of two equal
        rules), and so are rules below another element.
        """
        self.assertEqual(
            self.problems(
                AccessRule("a.example", "80"),
                AccessRule("b.a.example", "90"),
                AccessRule("*.a.example", "80-89"),
                AccessRule("A.example", "80"),
                AccessRule("*", None),
            ),
            "rule 5 grants nothing: it has no to-ports\n"
            "rule 1 has no effect: rule 3 grants all of its access\n"
            "rule 4 has no effect: rule 1 grants all of its access",
        )
        policy = PolicyFile.fromXML(
            b'<cross-domain-policy><allow-access-from domain="*" to-ports="80"/>'
            b'<x><allow-access-from domain="*" to-ports="*"/></x></cross-domain-policy>'
        )
        self.assertEqual(policy.misplaced, 1)
        [problem] = policy.problems()
        self.assertIn("1 <allow-access-from> elements are ignored", problem)

    def test_unknownSecure(self) -> None:
        """
        A value of secure that is neither true nor false counts as false, with a
        warning that shows it.
        """
        form = (
            '<cross-domain-policy><allow-access-from domain="*" to-ports="8080" secure="{}"/>'
            "</cross-domain-policy>"
        )
        for value in ("1", "yes", "", "0", "true false", "x" * 500):
            policy = PolicyFile.fromXML(form.format(value).encode())
            self.assertTrue(policy.permits("a.example", 8080))
            (problem,) = policy.problems(8080)
            self.assertTrue(problem.startswith(f"rule 1 has secure='{value[:80]}"), problem)
            self.assertTrue(problem.endswith("is treated as false: write true or false"), problem)
            self.assertLess(len(problem), 200)
        for value in ("false", " FALSE ", "true", "\nTrue"):
            problems = PolicyFile.fromXML(form.format(value).encode()).problems(8080, tls=True)
            self.assertEqual(problems, [], value)

    def test_secure(self) -> None:
        """
        A rule for content that was loaded over https is reported if the port is plain.
        """
        policy = PolicyFile((AccessRule("*", "8080", secure=True),))
        [problem] = policy.problems(8080)
        self.assertIn('rule 1 has secure="true": on a port without TLS', problem)
        self.assertEqual(policy.problems(8080, tls=True), [])

    def test_target(self) -> None:
        """
        A file that does not grant the port that serves it is reported, if
        programs connect to this port.
        """
        for ports, granted in [("8080", True), ("1-8080", True), ("*", True), ("8081", False)]:
            policy = PolicyFile((AccessRule("*", None), AccessRule("a.example", ports)))
            problem = "no rule grants port 8080, which serves the file"
            found = policy.problems(8080, isTarget=True)
            self.assertEqual(problem in found, not granted, ports)
            self.assertNotIn(problem, policy.problems(8080))
            self.assertNotIn("at which it is asked", str(policy.problems(isTarget=True)))

    def test_manyRules(self) -> None:
        """
        The longest file is checked in little time.
        """
        rule = '<allow-access-from domain="a{}.b.example" to-ports="80"/>'
        rules = "".join(rule.format(number) for number in range(1000))
        policy = PolicyFile.fromXML(f"<cross-domain-policy>{rules}</cross-domain-policy>".encode())
        before = time.process_time()
        self.assertEqual(policy.problems(843), [])
        self.assertLess(time.process_time() - before, 2)
