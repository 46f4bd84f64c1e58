"""
Every regular expression of this package takes linear time.
"""

import importlib
import inspect
import pkgutil
import re
import sys
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted
from tests.regexsteps import Matcher, TooManySteps, literalsIn

# Methods that match at one position only.
ANCHORED = {"match", "fullmatch"}

# Expressions in a dictionary, or whose methods are called by another name.
ELSEWHERE = {"openfl_twisted.wire.lines": {"finditer"}}

# Steps per character, and constant steps.
PER_CHARACTER = 60
LEAST = 2000


def expressions() -> list[tuple[str, "re.Pattern[Any]", set[str]]]:
    """
    Return all expressions stored by modules, with the methods that are called.
    """
    found = []
    for module in pkgutil.walk_packages(openfl_twisted.__path__, "openfl_twisted."):
        loaded = importlib.import_module(module.name)
        source = inspect.getsource(loaded)
        for name, value in vars(loaded).items():
            for each in value.values() if isinstance(value, dict) else [value]:
                if isinstance(each, re.Pattern) and (
                    f"\n{name} = " in source or f"\n{name}: " in source
                ):
                    used = set(re.findall(rf"\b{name}\.([a-z]+)\(", source))
                    found.append(
                        (f"{module.name}.{name}", each, used | ELSEWHERE.get(module.name, set()))
                    )
    return found


EXPRESSIONS = expressions()


def steps(pattern: "re.Pattern[Any]", methods: set[str], text: str) -> int:
    """
    Count the steps for a text.
    """
    matcher = Matcher(pattern, LEAST + PER_CHARACTER * len(text))
    before = sys.getrecursionlimit()
    # A repeated group takes several calls for each repetition.
    sys.setrecursionlimit(before + 20 * len(text))
    try:
        if methods <= ANCHORED:
            matcher.match(text, full="fullmatch" in methods)
        else:
            matcher.everywhere(text)
    finally:
        sys.setrecursionlimit(before)
    return matcher.steps


class ExpressionTests(SynchronousTestCase):
    """
    The number of steps is bounded for any text.
    """

    def test_found(self) -> None:
        """
        The expressions of the package are found, with their methods.
        """
        self.assertGreater(len(EXPRESSIONS), 25)
        for name, _, methods in EXPRESSIONS:
            self.assertTrue(methods, name)

    def test_inline(self) -> None:
        """
        Modules do not call functions of C{re} with inline expressions, which this test
        cannot find, except for single character classes.
        """
        direct = []
        for module in pkgutil.walk_packages(openfl_twisted.__path__, "openfl_twisted."):
            source = inspect.getsource(importlib.import_module(module.name))
            direct += re.findall(
                r"\bre\.(?:search|match|fullmatch|sub|split|find\w+)\(r?b?(.+)", source
            )
        self.assertEqual(
            sorted(each.partition(",")[0] for each in direct),
            [r'"[0-9]+(\.[0-9]*)?|\.[0-9]+"', r'"[^A-Za-z0-9_\-]"'],
        )

    def test_matcher(self) -> None:
        """
        The matcher finds the matches of C{re}, and detects expressions with exponential
        or quadratic time.
        """
        for source, text in (
            (r"(a|b)*c", "abac"),
            (r"[^x]+?(?=b)", "aab"),
            (r"(?:a{2,3}+|b)\Z", "aaa"),
        ):
            pattern = re.compile(source)
            found = pattern.match(text)
            self.assertEqual(Matcher(pattern, 10_000).match(text), found and found.end())
        old = re.compile(r"(?:\ufeff|\s|<!--.*?-->|<\?.*?\?>)*<([A-Za-z]+)(?=[\s/>])", re.DOTALL)
        self.assertRaises(TooManySteps, steps, old, {"match"}, "<!---->" * 20 + "x")
        self.assertRaises(TooManySteps, steps, re.compile("a*b"), {"search"}, "a" * 300)

    @settings(deadline=None, max_examples=400)
    @given(st.data())
    def test_linear(self, data: st.DataObject) -> None:
        """
        The number of steps per character is bounded for text with many repetitions of
        any part.
        """
        _, pattern, methods = data.draw(st.sampled_from(EXPRESSIONS))
        character = st.sampled_from(literalsIn(pattern))
        piece = st.text(character, max_size=3)
        repeated = data.draw(
            st.lists(st.text(character, min_size=1, max_size=3), min_size=1, max_size=2)
        )
        count = 150 // sum(map(len, repeated))
        text = data.draw(piece) + "".join(each * count for each in repeated) + data.draw(piece)
        steps(pattern, methods, text)
