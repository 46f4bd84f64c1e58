"""
Tests for L{openfl_twisted.wire.policy.rule}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule, PolicyError, parsePorts


class PortsTests(SynchronousTestCase):
    """
    C{to-ports} is a list of ports and ranges.
    """

    def test_valid(self) -> None:
        """
        Ports, ranges and C{*} are parsed, with spaces around them.
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

    @given(st.text(st.characters(codec="utf-8")) | st.text("0123456789-,* "))
    def test_anyText(self, text: str) -> None:
        """
        Any text is a list of ports from 1 to 65535, or is refused.
        """
        try:
            ranges = parsePorts(text)
        except PolicyError as error:
            self.assertNotEqual(str(error), "")
        else:
            self.assertTrue(all(1 <= low <= high <= 65535 for low, high in ranges))


def covers(wide: AccessRule, narrow: AccessRule) -> bool:
    """
    Return whether a file reports that one rule grants all that a later one grants.
    """
    problem = "rule 2 has no effect: rule 1 grants all of its access"
    return problem in PolicyFile((wide, narrow)).problems()


class CoversTests(SynchronousTestCase):
    """
    L{PolicyFile.problems} finds rules that change nothing.
    """

    def test_covers(self) -> None:
        """
        A rule covers another if it includes all of its domains, ports and content.
        """
        for wide, narrow, expected in [
            (AccessRule("*"), AccessRule("a.example", "80"), True),
            (AccessRule("*"), AccessRule("*.a.example", "80"), True),
            (AccessRule("*"), AccessRule("192.0.2.1", "80"), True),
            (AccessRule("*.a.example"), AccessRule("a.example"), True),
            (AccessRule("*.a.example"), AccessRule("b.a.example"), True),
            (AccessRule("*.a.example"), AccessRule("*.b.a.example"), True),
            (AccessRule("*.A.example"), AccessRule("http://b.a.EXAMPLE"), True),
            (AccessRule("a.example"), AccessRule("a.example"), True),
            (AccessRule("a.example"), AccessRule("*.a.example"), False),
            (AccessRule("*.b.a.example"), AccessRule("*.a.example"), False),
            (AccessRule("*.a.example"), AccessRule("ba.example"), False),
            (AccessRule("a.example"), AccessRule("*"), False),
            (AccessRule("*", "1-10,11-20"), AccessRule("*", "5-15"), True),
            (AccessRule("*", "11-20,1-10,3-4"), AccessRule("*", "1-20"), True),
            (AccessRule("*", "1-10,12-20"), AccessRule("*", "5-15"), False),
            (AccessRule("*", "80"), AccessRule("*", "*"), False),
            (AccessRule("*", secure=True), AccessRule("*"), False),
            (AccessRule("*", secure=True), AccessRule("*", secure=True), True),
            (AccessRule("*"), AccessRule("*", secure=True), True),
        ]:
            self.assertIs(covers(wide, narrow), expected, (str(wide), str(narrow)))

    @given(
        *[
            st.builds(
                AccessRule,
                st.sampled_from(["*", "*.a.example", "a.example", "b.a.example", "*.b.a.example"]),
                st.lists(
                    st.tuples(st.integers(1, 6), st.integers(0, 3)), min_size=1, max_size=3
                ).map(lambda ranges: ",".join(f"{low}-{low + more}" for low, more in ranges)),
                st.booleans(),
            )
        ]
        * 2
    )
    def test_meaning(self, wide: AccessRule, narrow: AccessRule) -> None:
        """
        A rule grants all that a covered rule grants.
        """
        if not covers(wide, narrow):
            return
        for domain in ("a.example", "b.a.example", "c.b.a.example", "c.example", ""):
            for port in range(1, 10):
                for secure in (False, True):
                    asked = (domain, port)
                    if narrow.refusal(*asked, secure=secure, servedFrom=843) is None:
                        refusal = wide.refusal(*asked, secure=secure, servedFrom=843)
                        self.assertIsNone(refusal)
