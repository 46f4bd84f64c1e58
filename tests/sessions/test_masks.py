"""
Tests for L{openfl_twisted.sessions._masks}.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.sessions import _masks
from openfl_twisted.sessions._masks import Known, MaskError, Masks, Variable
from openfl_twisted.sessions._session import CLIENT, SERVER, Message, compilePattern
from tests.sessions.strategies import masksOf, variable

patterns = st.sampled_from(
    [
        "k=([0-9]*);",
        "k=([0-9]+)",
        "(a*)",
        "(b+)",
        "<(.*?)>",
        "()",
        "a(b)?",
        "(?=(ab))",
        "(.)a",
        "x(.*)",
    ]
)
anyMasks = st.lists(
    st.builds(
        lambda name, pattern, isAny: Variable(name, compilePattern(pattern), isAny=isAny),
        st.sampled_from(["one", "two", "three"]),
        patterns,
        st.booleans(),
    ),
    max_size=4,
).map(Masks)
texts = st.lists(
    st.sampled_from([b"k=", b"1", b"22", b";", b"a", b"b", b"<", b">", b"x", b"\0", b"\xff"])
).map(b"".join)
digits = st.text("0123456789", min_size=1, max_size=4)


class LawTests(SynchronousTestCase):
    """
    The laws of holes, for any masks.
    """

    @given(anyMasks, texts)
    def test_holes(self, masks: Masks, data: bytes) -> None:
        """
        Holes are in order, do not overlap, and are groups of their variables.
        """
        at = 0
        for begin, end, found in masks.holes(data):
            self.assertTrue(at <= begin <= end <= len(data))
            at = end
            spans = {match.span(1) for match in found.pattern.finditer(data)}
            self.assertIn((begin, end), spans)

    @given(anyMasks, texts)
    def test_same(self, masks: Masks, data: bytes) -> None:
        """
        A message matches itself; without known values, it is filled with itself.
        """
        self.assertTrue(masks.matches(data, data))
        self.assertEqual(masks.fill(data, Known()), data)

    @given(anyMasks, texts, texts)
    def test_learn(self, masks: Masks, recorded: bytes, now: bytes) -> None:
        """
        Two messages match in both directions or in none. Values of messages that match can be
        learned.
        """
        matches = masks.matches(recorded, now)
        self.assertEqual(matches, masks.matches(now, recorded))
        if matches:
            masks.learn(recorded, now, Known())

    @given(st.lists(digits, max_size=5), st.lists(digits, max_size=5))
    def test_fill(self, old: list[str], new: list[str]) -> None:
        """
        Values that are learned from a message are filled into another one; the filled message
        matches its recording.
        """
        masks = masksOf(key="k=([0-9]+);")
        today = dict(zip(old, new, strict=False))
        known = Known()
        for recorded, value in today.items():
            one, two = f"<k={recorded};>".encode(), f"<k={value};>".encode()
            self.assertTrue(masks.matches(one, two))
            masks.learn(one, two, known)
        message = "".join(f"k={each};1" for each in old).encode()
        filled = masks.fill(message, known)
        expected = "".join(f"k={today.get(each, each)};1" for each in old).encode()
        self.assertEqual(filled, expected)
        self.assertTrue(masks.matches(message, filled))
        again = Known()
        masks.learn(message, filled, again)
        self.assertEqual(masks.fill(message, again), filled)

    @given(st.integers(0, 40), st.binary(min_size=1, max_size=1))
    def test_outside(self, at: int, byte: bytes) -> None:
        """
        A byte that is changed outside of the holes is a difference.
        """
        masks = masksOf(key="<k>([^<]*)</k>")
        recorded = b"<m><k>0123456789</k><k></k>, and other text"
        now = bytearray(recorded)
        now[at : at + 1] = byte
        inside = 6 <= at < 16 and byte != b"<"
        self.assertEqual(masks.matches(recorded, bytes(now)), inside or bytes(now) == recorded)


class HoleTests(SynchronousTestCase):
    """
    L{Masks} finds holes, and replaces their content.
    """

    def test_order(self) -> None:
        """
        If holes overlap, the hole that begins first is used, then the variable that is first.
        """
        masks = masksOf(a="(bc)", b="(abc)", c="(abcd)")
        self.assertEqual([hole[:2] for hole in masks.holes(b"abcd")], [(0, 3)])
        self.assertEqual(masks.mark(b"abcd-bc"), b"{b}d-{a}")

    def test_adjacent(self) -> None:
        """
        Holes can be adjacent.
        """
        masks = masksOf(a="([0-9]+)", b="([a-z]+)")
        self.assertEqual(masks.mark(b"12ab3"), b"{a}{b}{a}")
        self.assertTrue(masks.matches(b"12ab3", b"1b34"))
        self.assertFalse(masks.matches(b"12ab3", b"ab12c"))

    def test_group(self) -> None:
        """
        An optional group that has not matched is not a hole.
        """
        self.assertEqual(masksOf(a="a(b)?").holes(b"a"), [])

    def test_withoutVariables(self) -> None:
        """
        Without variables, messages must be equal, and nothing is learned.
        """
        known = Known()
        Masks().learn(b"a", b"b", known)
        self.assertFalse(Masks().matches(b"a", b"b"))
        self.assertEqual(known.texts(), {})

    def test_names(self) -> None:
        """
        Two names have two values for the same recorded value; one name has one value in all
        messages.
        """
        masks = masksOf(a="a=([0-9])", b="b=([0-9])")
        known = Known()
        masks.learn(b"a=1 b=1", b"a=2 b=3", known)
        self.assertEqual(masks.fill(b"b=1,a=1,a=9,1", known), b"b=3,a=2,a=9,1")
        # The latest value of a is the one that was sent last.
        self.assertEqual(known.texts(), {"a": "9", "b": "3"})
        self.assertEqual(known.valueOf("a", b"1"), b"2")
        self.assertIsNone(known.valueOf("a", b"2"))

    def test_any(self) -> None:
        """
        The values of kind any are neither learned nor used, but given values are.
        """
        masks = Masks([variable("t", "t=([0-9]+)", isAny=True)])
        known = Known()
        masks.learn(b"t=1", b"t=2", known)
        self.assertEqual(known.texts(), {})
        self.assertEqual(masks.fill(b"t=1", known), b"t=1")
        self.assertEqual(masks.fill(b"t=1", Known({"t": "5"})), b"t=5")

    def test_given(self) -> None:
        """
        A given value takes precedence over a learned one and over C{compute}. Bytes of the
        command line that are not UTF-8 are sent unchanged.
        """

        def compute(known: Mapping[str, str], recorded: str) -> str:
            raise AssertionError

        masks = Masks([variable("t", "t=([0-9]+)", compute=compute)])
        known = Known({"t": "\u00fc\udcff"})
        masks.learn(b"t=1", b"t=2", known)
        self.assertEqual(masks.fill(b"t=1", known), b"t=\xc3\xbc\xff")
        self.assertEqual(known.texts(), {"t": "\u00fc\udcff"})

    def test_skips(self) -> None:
        """
        A skipped message contains a match of the pattern, from the given side or from both.
        """
        masks = Masks(skips=[(SERVER, re.compile(b"^ping")), (None, re.compile(b"noise"))])
        self.assertTrue(masks.skipsData(SERVER, b"ping"))
        self.assertFalse(masks.skipsData(CLIENT, b"ping"))
        self.assertFalse(masks.skipsData(SERVER, b" ping"))
        self.assertTrue(masks.skipsMessage(Message(b"some noise", CLIENT)))

    def test_unused(self) -> None:
        """
        The variables that match nothing are named. A variable with two patterns is named if one
        of them matches nothing.
        """
        masks = Masks([variable("a", "(a)"), variable("b", "(b)"), variable("a", "(c)")])
        messages = [Message(b"aa", CLIENT)]
        self.assertEqual(masks.unused(messages), ["variable a '(c)'", "variable b '(b)'"])
        self.assertEqual(masks.unused([*messages, Message(b"bc", SERVER)]), [])
        masks = Masks(skips=[(SERVER, re.compile(b"^ping")), (None, re.compile(b"a"))])
        self.assertEqual(masks.unused(messages), ["skip '^ping'"])

    def test_learned(self) -> None:
        """
        The values of variables that are not of kind any are learned.
        """
        masks = Masks([variable("a", "(a)"), variable("b", "(b)", isAny=True)])
        self.assertEqual(masks.learned([Message(b"ab", SERVER)]), {"a"})


class ComputeTests(SynchronousTestCase):
    """
    C{compute} returns the value to send.
    """

    def fill(self, result: Any, known: Known | None = None) -> bytes:
        """
        Fill a message with a computed value.
        """

        def compute(values: Mapping[str, str], recorded: str) -> str:
            return result(values, recorded) if callable(result) else result  # type: ignore[no-any-return]

        masks = Masks([variable("p", "p=([^;]*)", compute=compute)], name="cp.toml")
        return masks.fill(b"p=old\xff;", known or Known())

    def test_result(self) -> None:
        """
        The function is called with the known values and the recorded value. Its result is sent
        and known.
        """
        known = Known({"g": "1"})
        known.learn("k", b"a", b"\xffb")
        seen: list[Any] = []

        def result(*arguments: Any) -> str:
            seen.extend(arguments)
            return "n\u00fc"

        self.assertEqual(self.fill(result, known), b"p=n\xc3\xbc;")
        self.assertEqual(seen, [{"k": "\ufffdb", "g": "1"}, "old\ufffd"])
        self.assertEqual(known.texts()["p"], "n\u00fc")

    def test_wrongType(self) -> None:
        """
        A result that is not text is an error.
        """
        for result, shown in (
            (None, "None"),
            (b"x", "b'x'"),
            (5, "5"),
            ("\ud800", r"'\ud800'"),
            ("a\u202e" * 100 + "\ud800", "'" + r"a\u202e" * 11 + "a\\"),
        ):
            error = self.assertRaises(MaskError, self.fill, result)
            expected = f"cp.toml: variable p: compute must return text, not {shown}"
            self.assertEqual(str(error)[: len(expected)], expected)
            self.assertTrue(str(error).isprintable())

    def test_exception(self) -> None:
        """
        An exception of the function is an error of one line.
        """

        class Unprintable(Exception):
            def __str__(self) -> str:
                raise ValueError

        def result(known: Mapping[str, str], recorded: str) -> str:
            raise problem

        for problem, text in (
            (KeyError("key"), "KeyError: 'key'"),
            (ValueError("two\nlines"), "ValueError: two lines"),
            (Unprintable(), "Unprintable"),
        ):
            error = self.assertRaises(MaskError, self.fill, result)
            self.assertIn(f"cp.toml: variable p: compute failed: {text}", str(error))
            self.assertNotIn("\n", str(error))
            self.assertIs(error.__cause__, problem)


class HiddenTests(SynchronousTestCase):
    """
    Hidden parts of a session differ from those of today.
    """

    def test_hidden(self) -> None:
        """
        A hidden value matches any value, also if its pattern does not match the name in braces.
        """
        masks = Masks().withHidden({"p": "p=([0-9]+);"})
        self.assertTrue(masks.matches(b"p={p};", b"p=12;"))
        self.assertFalse(masks.matches(b"p={p};", b"p=ab;"))
        self.assertFalse(masks.matches(b"p={p};1", b"p=12;2"))
        self.assertEqual(masks.fill(b"p={p};", Known({"p": "7"})), b"p=7;")

    def test_ownVariable(self) -> None:
        """
        A variable with the same name determines the sent value; the given masks are unchanged.
        """
        own = Masks([variable("p", "p=([0-9]+);", compute=lambda known, recorded: "5")])
        masks = own.withHidden({"p": "(unused)"})
        self.assertEqual(masks.fill(b"p={p};", Known()), b"p=5;")
        self.assertEqual(len(own.variables), 1)
        self.assertIs(own.withHidden({}), own)

    def test_invalid(self) -> None:
        """
        An invalid pattern of a header is an error.
        """
        error = self.assertRaises(MaskError, Masks().withHidden, {"p": "a"})
        self.assertEqual(str(error), "hidden p: the pattern must have exactly one group, not 0")

    def test_missing(self) -> None:
        """
        A hidden value that is sent must be given, unless it is computed.
        """
        masks = Masks().withHidden({"p": "p=(.*?);", "q": "q=(.*?);"})
        messages = [Message(b"p={p};q=2;", CLIENT), Message(b"p={q};", CLIENT)]
        self.assertEqual(masks.missing(messages, Known()), {"p"})
        self.assertEqual(masks.missing(messages, Known({"p": ""})), set())
        own = Masks([variable("p", "p=(.*?);", compute=lambda known, recorded: "")])
        self.assertEqual(own.withHidden({"p": "(x)"}).missing(messages, Known()), set())


class FileTests(SynchronousTestCase):
    """
    L{Masks.load} reads TOML files.
    """

    def load(self, content: str | bytes, **more: Any) -> Masks:
        """
        Load masks from a file C{cp.toml}.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        path = folder / "cp.toml"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return Masks.load(path, **more)

    def assertInvalid(self, content: str | bytes, error: str, **more: Any) -> None:
        """
        The content is refused with an error of one line.
        """
        problem = str(self.assertRaises(MaskError, self.load, content, **more))
        self.assertEqual(problem[: len(error)], error)
        self.assertNotIn("\n", problem)

    def test_load(self) -> None:
        """
        All keys are read.
        """

        def compute(known: Mapping[str, str], recorded: str) -> str:
            return ""

        masks = self.load(
            """
            [[variable]]
            name = "key"
            pattern = '<k>(\u00fc+)</k>'
            [[variable]]
            name = "time"
            pattern = "(.)"
            kind = "any"
            [[variable]]
            name = "p"
            pattern = "(a)"
            kind = "capture"
            compute = "hooks:password"
            [[skip]]
            from = "server"
            pattern = "^<ping"
            [[skip]]
            pattern = "x"
            """,
            loadObject={"hooks:password": compute}.get,
        )
        self.assertEqual(masks.name, "cp.toml")
        self.assertEqual(
            [
                (each.name, each.pattern.pattern, each.isAny, each.compute)
                for each in masks.variables
            ],
            [
                ("key", "<k>(\u00fc+)</k>".encode(), False, None),
                ("time", b"(.)", True, None),
                ("p", b"(a)", False, compute),
            ],
        )
        self.assertEqual(
            [(side, each.pattern) for side, each in masks.skips],
            [(SERVER, b"^<ping"), (None, b"x")],
        )
        self.assertTrue(masks.variables[1].pattern.flags & re.DOTALL)
        self.assertTrue(masks.skips[0][1].flags & re.DOTALL)

    def test_empty(self) -> None:
        """
        An empty file has no masks; a missing file is an C{OSError}.
        """
        self.assertEqual(self.load(""), Masks(name="cp.toml"))
        self.assertRaises(FileNotFoundError, Masks.load, "missing.toml")

    def test_notTOML(self) -> None:
        """
        Bytes that are not TOML are an error.
        """
        self.assertInvalid("[[variable", "cp.toml: ")
        self.assertInvalid(b"\xff", "cp.toml: ")
        self.assertInvalid("a=" + "[" * 9000, "cp.toml: the tables are nested too deeply")

    def test_tables(self) -> None:
        """
        Unknown tables and keys are errors.
        """
        self.assertInvalid("[[var]]", "cp.toml: unknown table var: use variable or skip")
        self.assertInvalid("[variable]", "cp.toml: write each variable as a table [[variable]]")
        self.assertInvalid("skip = [1]", "cp.toml: write each skip as a table [[skip]]")
        self.assertInvalid(
            "[[variable]]\nname='a'\nregex='(a)'",
            "cp.toml: variable a: unknown key regex: use compute, kind, name, pattern",
        )
        self.assertInvalid(
            "[[skip]]\nname='a'", "cp.toml: skip 1: unknown key name: use from, pattern"
        )

    def test_variables(self) -> None:
        """
        Invalid values of a variable are errors that name it.
        """
        title = "cp.toml: variable login: "
        for text, error in (
            ("", "pattern must be text"),
            ("pattern=5", "pattern must be text"),
            ("pattern=''", "pattern must be text"),
            ("pattern='a'", "the pattern must have exactly one group, not 0"),
            ("pattern='(a)(b)'", "the pattern must have exactly one group, not 2"),
            ("pattern='(a'", "the pattern is not a regular expression: "),
            ("pattern='(a)'\nkind='all'", "kind must be capture or any"),
            ("pattern='(a)'\nkind=['any']", "kind must be capture or any"),
            ("pattern='(a)'\ncompute=5", "compute must be text"),
            ("pattern='(a)'\ncompute='a:b'", "compute is not possible here"),
        ):
            self.assertInvalid(f"[[variable]]\nname='login'\n{text}", title + error)
        self.assertInvalid("[[variable]]\npattern='(a)'", "cp.toml: variable 1: name must be text")
        self.assertInvalid("[[variable]]\nname=5", "cp.toml: variable 5: name must be text")
        self.assertInvalid(
            "[[variable]]\nname='login'\npattern='(a)'\ncompute='a:b'",
            f"{title}compute=a:b is not a function",
            loadObject=lambda name: 5,
        )

    def test_skips(self) -> None:
        """
        Invalid values of a skipped message are errors with its number.
        """
        for text, error in (
            ("", "pattern must be text"),
            ("from='me'\npattern='a'", "from must be client or server"),
            ("from=['client']\npattern='a'", "from must be client or server"),
            ("pattern='(a'", "the pattern is not a regular expression: "),
            ("pattern='a{99999999999}'", "the pattern is not a regular expression: "),
        ):
            content = f"[[skip]]\npattern='a'\n[[skip]]\n{text}"
            self.assertInvalid(content, f"cp.toml: skip 2: {error}")

    def test_kinds(self) -> None:
        """
        All kinds of errors are a C{ValueError}.
        """
        self.assertTrue(issubclass(_masks.MaskError, ValueError))
