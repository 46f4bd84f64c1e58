"""
Number of steps of a backtracking matcher for a regular expression: a bound for the time
of C{re}, independent of the machine.
"""

import re
from collections.abc import Callable, Iterator
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_Continue = Callable[[int], int | None]
_SPACE = frozenset(" \t\n\r\f\v")


class TooManySteps(Exception):
    """
    The matcher exceeded its maximum number of steps.
    """


class Matcher:
    """
    A backtracking matcher like that of C{re}, without optimizations. It supports the
    syntax used in this package.

    @ivar steps: number of steps so far.
    """

    def __init__(self, pattern: "re.Pattern[Any]", limit: int) -> None:
        """
        @param pattern: a regular expression for text or bytes.
        @param limit: the number of steps after which L{TooManySteps} is raised.
        """
        source = pattern.pattern
        self._tree = parser.parse(source, pattern.flags)
        self._ignoreCase = bool(pattern.flags & re.IGNORECASE)
        self._dotAll = bool(pattern.flags & re.DOTALL)
        self._limit = limit
        self._text = ""
        self.steps = 0

    def match(self, text: str, start: int = 0, *, full: bool = False) -> int | None:
        """
        Match at one position.

        @return: the end of the match, or C{None}.
        """
        self._text = text

        def accept(end: int) -> int | None:
            return end if not full or end == len(text) else None

        return self._sequence(list(self._tree), 0, start, accept)

    def everywhere(self, text: str) -> None:
        start = 0
        while start <= len(text):
            end = self.match(text, start)
            start = start + 1 if end is None or end == start else end

    def _step(self) -> None:
        self.steps += 1
        if self.steps > self._limit:
            raise TooManySteps(f"more than {self._limit} steps for {len(self._text)} characters")

    def _sequence(self, items: list[Any], index: int, at: int, then: _Continue) -> int | None:
        if index == len(items):
            return then(at)
        return self._item(items[index], at, lambda end: self._sequence(items, index + 1, end, then))

    def _item(self, item: Any, at: int, then: _Continue) -> int | None:
        self._step()
        code, about = item
        if self._isSingle(item):
            return then(at + 1) if self._accepts(item, at) else None
        if code is codes.SUBPATTERN:
            return self._sequence(list(about[3]), 0, at, then)
        if code is codes.BRANCH:
            for each in about[1]:
                end = self._sequence(list(each), 0, at, then)
                if end is not None:
                    return end
            return None
        if code in (codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT):
            return self._repeat(code, about, at, then)
        if code is codes.ATOMIC_GROUP:
            end = self._sequence(list(about), 0, at, lambda end: end)
            return None if end is None else then(end)
        if code in (codes.ASSERT, codes.ASSERT_NOT):
            direction, inner = about
            begin = at if direction > 0 else at - inner.getwidth()[1]
            fits = begin >= 0 and self._sequence(list(inner), 0, begin, lambda e: e) is not None
            return then(at) if fits == (code is codes.ASSERT) else None
        if code is codes.AT:
            fits = at == len(self._text) if about is codes.AT_END_STRING else at == 0
            return then(at) if fits else None
        raise NotImplementedError(code)

    def _repeat(self, code: Any, about: Any, at: int, then: _Continue) -> int | None:
        least, most, body = about
        if len(body) == 1 and self._isSingle(body[0]):
            return self._repeatSingle(code, about, at, then)
        if code is codes.POSSESSIVE_REPEAT:
            count, end = 0, at
            while count < most:
                following = self._sequence(list(body), 0, end, lambda e: e)
                if following is None or following == end:
                    break
                count, end = count + 1, following
            return then(end) if count >= least else None

        def again(count: int, here: int) -> int | None:
            def more() -> int | None:
                if count >= most:
                    return None
                return self._sequence(
                    list(body), 0, here, lambda end: again(count + 1, end) if end > here else None
                )

            def enough() -> int | None:
                return then(here) if count >= least else None

            first, second = (enough, more) if code is codes.MIN_REPEAT else (more, enough)
            end = first()
            return second() if end is None else end

        return again(0, at)

    def _repeatSingle(self, code: Any, about: Any, at: int, then: _Continue) -> int | None:
        """
        Repeat one character, without recursion.
        """
        least, most, body = about
        furthest = at
        while furthest - at < most and self._accepts(body[0], furthest):
            self._step()
            furthest += 1
        if furthest - at < least:
            return None
        ends: Iterator[int] = iter(range(furthest, at + least - 1, -1))
        if code is codes.POSSESSIVE_REPEAT:
            ends = iter((furthest,))
        elif code is codes.MIN_REPEAT:
            ends = iter(range(at + least, furthest + 1))
        for end in ends:
            self._step()
            found = then(end)
            if found is not None:
                return found
        return None

    @staticmethod
    def _isSingle(item: Any) -> bool:
        return item[0] in (codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN)

    def _accepts(self, item: Any, at: int) -> bool:
        if at >= len(self._text):
            return False
        code, about = item
        character = self._text[at]
        if code is codes.ANY:
            return self._dotAll or character != "\n"
        if code is codes.IN:
            return self._isIn(about, character)
        return self._same(about, character) == (code is codes.LITERAL)

    def _same(self, number: int, character: str) -> bool:
        if self._ignoreCase:
            return chr(number).lower() == character.lower()
        return number == ord(character)

    def _isIn(self, choices: list[Any], character: str) -> bool:
        cases = (
            {character, character.lower(), character.upper()} if self._ignoreCase else {character}
        )
        negated = choices[0][0] is codes.NEGATE
        found = any(self._chosen(choice, each) for choice in choices for each in cases)
        return found != negated

    def _chosen(self, choice: Any, character: str) -> bool:
        code, about = choice
        if code is codes.NEGATE:
            return False
        if code is codes.LITERAL:
            return bool(about == ord(character[0]))
        if code is codes.RANGE:
            return bool(about[0] <= ord(character[0]) <= about[1])
        if code is codes.CATEGORY:
            known: dict[Any, bool] = {
                codes.CATEGORY_SPACE: character in _SPACE,
                codes.CATEGORY_NOT_SPACE: character not in _SPACE,
                codes.CATEGORY_DIGIT: character.isdigit(),
                codes.CATEGORY_WORD: character.isalnum() or character == "_",
            }
            return known[about]
        raise NotImplementedError(code)


def literalsIn(pattern: "re.Pattern[Any]") -> list[str]:
    """
    Return the characters of an expression, from which attacks are generated.
    """
    found: set[str] = set()

    def look(items: Any) -> None:
        if (
            isinstance(items, tuple)
            and len(items) == 2
            and items[0] in (codes.LITERAL, codes.NOT_LITERAL)
        ):
            found.add(chr(items[1]))
        elif isinstance(items, tuple) and len(items) == 2 and items[0] is codes.RANGE:
            found.update((chr(items[1][0]), chr(items[1][1])))
        elif isinstance(items, tuple | list | parser.SubPattern):
            for item in items:
                look(item)

    look(parser.parse(pattern.pattern, pattern.flags))
    return sorted(found | {"a", "0", " ", "\n", "\u00e9", "\0"})
