"""
Tests for L{openfl_twisted.wire.strictjson}.
"""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.strictjson import MAX_DEPTH, MAX_NUMBER, JSONError, readObject

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    # A longer number is refused.
    | st.integers(-(10**60), 10**60),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class ObjectTests(SynchronousTestCase):
    """
    L{readObject} accepts exactly one object.
    """

    @given(st.dictionaries(st.text(), values))
    def test_valid(self, value: dict[str, Any]) -> None:
        """
        Every object that Python writes is read, unless it is too deep.
        """
        self.assertEqual(readObject(json.dumps(value)), value)

    def test_refused(self) -> None:
        """
        Everything else is refused, with a short text that contains nothing of the message.
        """
        for text in (
            "",
            "secret",
            "[]",
            '"secret"',
            "null",
            "{",
            '{"secret"}',
            '{"a": 1} {}',
            '{"a": NaN}',
            '{"a": -Infinity}',
            '{"a": 1e999}',
            '{"a": -1e999}',
            '{"secret": 1, "secret": 2}',
            '{"a": {"b": 1, "b": 1}}',
            '{"a": "\n"}',
            '{"a": 01}',
            "{'a': 1}",
            '\ufeff{"a": 1}',
        ):
            problem = self.assertRaises(JSONError, readObject, text)
            self.assertNotIn("secret", str(problem))
            self.assertLess(len(str(problem)), 80)

    def test_numbers(self) -> None:
        """
        A number can have L{MAX_NUMBER} characters.
        """
        digits = "1" * MAX_NUMBER
        self.assertEqual(readObject(f'{{"a": {digits}}}'), {"a": int(digits)})
        for number in (digits + "1", "0." + digits, "-" + digits, "9" * 10_000):
            self.assertRaises(JSONError, readObject, f'{{"a": {number}}}')

    def test_depth(self) -> None:
        """
        There can be L{MAX_DEPTH} nested objects and arrays. Brackets in strings do not count.
        """
        inner = MAX_DEPTH - 1
        for text in (
            '{"a":' + "[" * inner + "]" * inner + "}",
            '{"a": [' + "{}," * 200 + "{}]}",
            json.dumps({"a": "[" * 200, '\\"[': "[\\" * 200}),
        ):
            self.assertEqual(readObject(text), json.loads(text))
        for text in (
            '{"a":' + "[" * (inner + 1) + "]" * (inner + 1) + "}",
            '{"a":' * 100_000,
            '{"a": ' + "[" * 100_000,
        ):
            problem = self.assertRaises(JSONError, readObject, text)
            self.assertIn("nested", str(problem))

    @given(st.text(st.sampled_from('{}[]":,\\a1e-.\n')) | st.text())
    def test_any(self, text: str) -> None:
        """
        Any text is either refused, or read as by Python.
        """
        try:
            found = readObject(text)
        except JSONError:
            return
        self.assertEqual(found, json.loads(text))
