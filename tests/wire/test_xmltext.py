"""
Tests for L{openfl_twisted.wire.xmltext}.
"""

from enum import Enum, IntEnum
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.strictxml import Node, readNodes
from openfl_twisted.wire.xmltext import element, formatValue

# Characters of XML. Text is received with normalized line ends only if they are not escaped.
texts = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\r\n<>&'\"]")
)


class Color(Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class ElementTests(SynchronousTestCase):
    """
    L{element} formats and escapes an element.
    """

    def test_children(self) -> None:
        """
        A child that is not text is probably a parameter.
        """
        wrong: Any = 3
        with self.assertRaises(TypeError) as caught:
            element("ok", "<a/>", wrong)
        self.assertEqual(
            str(caught.exception),
            "a child element must be XML text, not 3: pass a parameter by name, such as x=3",
        )

    def test_values(self) -> None:
        """
        Values are formatted as Flash writes them.
        """
        for value, text in (
            ("a", "a"),
            (True, "true"),
            (False, "false"),
            (-3, "-3"),
            (0.5, "0.5"),
            (1e22, "1e+22"),
            (Color.RED, "red"),
            (Number.ONE, "1"),
        ):
            self.assertEqual(formatValue(value), text)

    def test_refusedValues(self) -> None:
        """
        A value that is not finite, or has another type, is refused.
        """
        for value in (float("nan"), float("-inf")):
            self.assertRaises(ValueError, formatValue, value)
        others: list[Any] = [None, b"", [], 1j]
        for value in others:
            self.assertRaises(TypeError, formatValue, value)

    def test_parts(self) -> None:
        """
        An element has attributes, text and children. An attribute with the value C{None} is
        omitted.
        """
        self.assertEqual(element("at", who=1, x=None), '<at who="1"/>')
        self.assertEqual(
            element("msg", element("user", id=4), text="<a>", t="sys"),
            '<msg t="sys">&lt;a&gt;<user id="4"/></msg>',
        )

    def test_refused(self) -> None:
        """
        A name or character that XML does not allow is refused.
        """
        for name in ("", "1a", "a b", "a>", "<a", "a:b", "é"):
            self.assertRaises(ValueError, element, name)
            self.assertRaises(ValueError, element, "a", **{name: 1})
        for character in "\0\x01\x1f\ufffe\uffff":
            self.assertRaises(ValueError, element, "a", text=character)
            self.assertRaises(ValueError, element, "a", b=character)

    @given(texts, texts, texts)
    def test_roundTrip(self, one: str, two: str, three: str) -> None:
        """
        The parser returns the values unchanged.
        """
        message = element("a", element("b", text=two), text=one, c=three)
        self.assertEqual(
            readNodes(message.encode()), [Node(1, "a", {"c": three}, one), Node(2, "b", {}, two)]
        )
