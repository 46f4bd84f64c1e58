"""
Masks: the parts of messages that may differ when a session is replayed.
"""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

from openfl_twisted.sessions._session import SIDES, Message, compilePattern

_Compute = Callable[[Mapping[str, str], str], str]

_KINDS = ("capture", "any")
_KEYS = {"name", "pattern", "kind", "compute"}


class MaskError(ValueError):
    """
    A file of masks is invalid. The text is one line that begins with the name of the file.
    """


@dataclass(frozen=True)
class Variable:
    """
    A part of a message that may differ.

    @ivar name: the name. Variables with the same name have the same value.
    @ivar pattern: matches the part in its group.
    @ivar isAny: whether the values are neither compared nor used.
    @ivar compute: called with the known values by name, and the recorded value; returns the value
        to send.
    """

    name: str
    pattern: re.Pattern[bytes]
    isAny: bool = False
    compute: _Compute | None = None


class Hole(NamedTuple):
    """
    A part of a message that a variable matches.

    @ivar begin: the index of its first byte.
    @ivar end: the index after its last byte.
    """

    begin: int
    end: int
    variable: Variable


class Known:
    """
    The values that are known while sessions are replayed. All sessions of a run share them, but
    the latest value of a variable is that of the own session, if it has one.

    @ivar given: the values that the user has given, by name.
    """

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        """
        @param given: see L{given}.
        """
        self.given = dict(given or {})
        self._values: dict[tuple[str, bytes], bytes] = {}
        self._latest: dict[str, bytes] = {}
        self._own: dict[str, bytes] = {}

    def forSession(self) -> "Known":
        """
        Return the known values for one session of a run.
        """
        known = Known()
        known.given, known._values, known._latest = self.given, self._values, self._latest
        return known

    def learn(self, name: str, recorded: bytes, value: bytes) -> None:
        """
        Store the value that replaces a recorded value.
        """
        self._values[name, recorded] = value
        self.note(name, value)

    def note(self, name: str, value: bytes) -> None:
        """
        Store the latest value of a variable.
        """
        self._latest[name] = self._own[name] = value

    def valueOf(self, name: str, recorded: bytes) -> bytes | None:
        """
        Return the value that replaces a recorded value; C{None} if it is not known.
        """
        return self._values.get((name, recorded))

    def texts(self) -> dict[str, str]:
        """
        Return the latest value of each variable, and the given values.
        """
        latest = {**self._latest, **self._own}
        texts = {name: value.decode("utf-8", "replace") for name, value in latest.items()}
        return {**texts, **self.given}


@dataclass
class Masks:
    """
    The variables of a protocol, and the messages to skip.

    @ivar variables: the variables. If the holes of two variables overlap, the hole that begins
        first is used, then the variable that is first in this list.
    @ivar skips: patterns of messages that are neither expected, nor compared, nor sent, with the
        side that sends them; C{None} for both sides.
    @ivar name: the name of the file, for errors.
    """

    variables: list[Variable] = field(default_factory=list)
    skips: list[tuple[str | None, re.Pattern[bytes]]] = field(default_factory=list)
    name: str = "masks"

    @classmethod
    def load(cls, path: str | Path, loadObject: Callable[[str], Any] | None = None) -> Self:
        """
        Read a TOML file.

        @param path: the path of the file.
        @param loadObject: returns the function for C{module:function} (default: C{compute} is
            refused).
        @raise MaskError: if the file is invalid.
        @raise OSError: if the file cannot be read.
        """
        with open(path, "rb") as stream:
            content = stream.read()
        name = Path(path).name
        try:
            return cls.parse(tomllib.loads(content.decode()), name, loadObject)
        except ValueError as problem:
            if isinstance(problem, MaskError):
                raise
            raise MaskError(f"{name}: {problem}") from None
        except RecursionError:
            raise MaskError(f"{name}: the tables are nested too deeply") from None

    @classmethod
    def parse(
        cls,
        tables: Mapping[str, Any],
        name: str = "masks",
        loadObject: Callable[[str], Any] | None = None,
    ) -> Self:
        """
        Create masks from the tables of a TOML file.

        @param tables: lists of tables C{variable} and C{skip}.
        @param name: the name of the file, for errors.
        @param loadObject: see L{load}.
        @raise MaskError: if a table is invalid.
        """
        unknown = tables.keys() - {"variable", "skip"}
        if unknown:
            raise MaskError(f"{name}: unknown table {min(unknown)}: use variable or skip")
        masks = cls(name=name)
        for number, table in enumerate(_tables(tables, "variable", name), 1):
            title = f"{name}: variable {table.get('name', number)}"
            masks.variables.append(_variableOf(title, table, loadObject))
        for number, table in enumerate(_tables(tables, "skip", name), 1):
            masks.skips.append(_skipOf(f"{name}: skip {number}", table))
        return masks

    def withHidden(self, hidden: Mapping[str, str]) -> "Masks":
        """
        Return masks that also contain the hidden parts of a session, which may differ. The value
        of a hidden part is computed as that of the variable with the same name.

        @param hidden: the patterns by name, from the header.
        @raise MaskError: if a pattern is invalid.
        """
        own = {variable.name: variable for variable in self.variables}
        added: list[Variable] = []
        for name, pattern in hidden.items():
            try:
                compiled = compilePattern(pattern)
            except ValueError as problem:
                raise MaskError(f"hidden {name}: {problem}") from None
            # Neither the pattern of the own variable nor the hidden pattern need match the name
            # in braces that has replaced the secret.
            variable = own.get(name, Variable(name, compiled, isAny=True))
            literal = re.compile(b"(" + re.escape(_inBraces(name)) + b")")
            added += replace(variable, pattern=compiled), replace(variable, pattern=literal)
        return Masks([*self.variables, *added], self.skips, self.name) if added else self

    def holes(self, data: bytes) -> list[Hole]:
        """
        Return the holes of a message, in order. They do not overlap.
        """
        found = [
            (match.start(1), order, match.end(1), variable)
            for order, variable in enumerate(self.variables)
            for match in variable.pattern.finditer(data)
            if match.start(1) >= 0
        ]
        found.sort(key=lambda each: each[:2])
        holes: list[Hole] = []
        at = 0
        for begin, _, end, variable in found:
            if begin >= at:
                holes.append(Hole(begin, end, variable))
                at = max(end, begin + 1)
        return holes

    def skipsMessage(self, message: Message) -> bool:
        """
        Return whether a message is skipped.
        """
        return self.skipsData(message.side, message.data)

    def skipsData(self, side: str, data: bytes) -> bool:
        """
        Return whether a message of a side is skipped.
        """
        return any(each in (None, side) and pattern.search(data) for each, pattern in self.skips)

    def matches(self, recorded: bytes, now: bytes) -> bool:
        """
        Return whether two messages are the same outside of their holes.

        @param recorded: the recorded message.
        @param now: the message of today.
        """
        if recorded == now:
            return True
        if not self.variables:
            return False
        first, second = self.holes(recorded), self.holes(now)
        return [each.variable.name for each in first] == [
            each.variable.name for each in second
        ] and _outside(recorded, first) == _outside(now, second)

    def values(self, recorded: bytes, now: bytes) -> Iterator[tuple[str, bytes, bytes]]:
        """
        Return the name, the recorded value and today's value of each captured hole of a message
        that has matched.
        """
        if self.variables:
            for hole, live in zip(self.holes(recorded), self.holes(now), strict=True):
                if not hole.variable.isAny:
                    old, new = recorded[hole.begin : hole.end], now[live.begin : live.end]
                    yield hole.variable.name, old, new

    def learn(self, recorded: bytes, now: bytes, known: Known) -> None:
        """
        Store the values of the holes of a message that has matched.
        """
        for name, old, new in self.values(recorded, now):
            known.learn(name, old, new)

    def changed(
        self, recorded: bytes, now: bytes, known: Known
    ) -> tuple[str, bytes, bytes, bytes] | None:
        """
        Find a value that differs from the one that was learned for the same recorded value.

        @return: the name, the recorded value, the learned value and today's value; C{None} if all
            values are consistent.
        """
        found: dict[tuple[str, bytes], bytes] = {}
        for name, old, new in self.values(recorded, now):
            before = found.setdefault((name, old), known.valueOf(name, old) or new)
            if before != new and name not in known.given:
                return name, old, before, new
        return None

    def fill(self, recorded: bytes, known: Known) -> bytes:
        """
        Replace the holes of a recorded message by today's values.

        @param recorded: the message.
        @param known: the values.
        @return: the message to send. A hole whose value is not known is unchanged.
        @raise MaskError: if C{compute} raises an exception, or does not return text.
        """
        if not self.variables and not known.given:
            return recorded
        parts: list[bytes] = []
        at = 0
        for hole in self.holes(recorded):
            old = recorded[hole.begin : hole.end]
            value = self._valueOf(hole.variable, old, known)
            if not hole.variable.isAny:
                known.note(hole.variable.name, value)
            parts += recorded[at : hole.begin], value
            at = hole.end
        return b"".join([*parts, recorded[at:]])

    def _valueOf(self, variable: Variable, old: bytes, known: Known) -> bytes:
        name = variable.name
        if name in known.given:
            # Bytes of the command line that are not UTF-8 are sent unchanged.
            return known.given[name].encode("utf-8", "surrogateescape")
        if variable.compute is None:
            value = None if variable.isAny else known.valueOf(name, old)
            return old if value is None else value
        try:
            computed = variable.compute(known.texts(), old.decode("utf-8", "replace"))
        except Exception as problem:
            # Importing it takes long.
            from openfl_twisted.commandline import describeError

            text = describeError(problem)
            names = ", ".join(sorted(known.texts())) or "nothing"
            raise MaskError(
                f"{self.name}: variable {name}: compute failed: {text}; known: {names}"
            ) from problem
        try:
            value = str.encode(computed)
        except (TypeError, UnicodeEncodeError):
            raise MaskError(
                f"{self.name}: variable {name}: compute must return text, not {computed!a:.80}"
            ) from None
        known.learn(name, old, value)
        return value

    def learned(self, messages: Iterable[Message]) -> set[str]:
        """
        Return the names of the variables whose values are learned from messages.

        @param messages: the messages to receive.
        """
        return {
            hole.variable.name
            for message in messages
            for hole in self.holes(message.data)
            if not hole.variable.isAny
        }

    def missing(self, messages: Iterable[Message], known: Known) -> set[str]:
        """
        Return the names of hidden values that must be given before messages can be sent.

        @param messages: the messages to send.
        """
        need: set[str] = set()
        for message in messages:
            for hole in self.holes(message.data):
                variable = hole.variable
                text = message.data[hole.begin : hole.end]
                if text == _inBraces(variable.name) and variable.compute is None:
                    need.add(variable.name)
        return need - known.given.keys()

    def unused(self, messages: Iterable[Message]) -> list[str]:
        """
        Return the variables and skips that match nothing in messages, described for a warning.
        """
        left = {id(variable): variable for variable in self.variables}
        skips = {pattern for _, pattern in self.skips}
        for message in messages:
            for hole in self.holes(message.data):
                left.pop(id(hole.variable), None)
            skips -= {each for each in skips if each.search(message.data)}
        variables = {each.name: each.pattern for each in left.values()}
        return [
            *(f"variable {name} {_textOf(each)}" for name, each in sorted(variables.items())),
            *(f"skip {text}" for text in sorted(map(_textOf, skips))),
        ]

    def mark(self, data: bytes) -> bytes:
        """
        Replace each hole by the name of its variable in braces.
        """
        parts: list[bytes] = []
        at = 0
        for hole in self.holes(data):
            parts += data[at : hole.begin], _inBraces(hole.variable.name)
            at = hole.end
        return b"".join([*parts, data[at:]])


def _textOf(pattern: re.Pattern[bytes]) -> str:
    return repr(pattern.pattern.decode("utf-8", "replace"))


def _inBraces(name: str) -> bytes:
    return f"{{{name}}}".encode("utf-8", "replace")


def _outside(data: bytes, holes: list[Hole]) -> list[bytes]:
    """
    Return the parts of a message between its holes.
    """
    at = 0
    parts = []
    for hole in holes:
        parts.append(data[at : hole.begin])
        at = hole.end
    return [*parts, data[at:]]


def _tables(tables: Mapping[str, Any], key: str, name: str) -> list[dict[str, Any]]:
    found = tables.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise MaskError(f"{name}: write each {key} as a table [[{key}]]")
    return found


def _text(title: str, table: Mapping[str, Any], key: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise MaskError(f"{title}: {key} must be text")
    return value


def _pattern(title: str, table: Mapping[str, Any]) -> re.Pattern[bytes]:
    try:
        return compilePattern(_text(title, table, "pattern"))
    except MaskError:
        raise
    except ValueError as problem:
        raise MaskError(f"{title}: {problem}") from None


def _variableOf(
    title: str, table: Mapping[str, Any], loadObject: Callable[[str], Any] | None
) -> Variable:
    unknown = table.keys() - _KEYS
    if unknown:
        raise MaskError(f"{title}: unknown key {min(unknown)}: use {', '.join(sorted(_KEYS))}")
    name = _text(title, table, "name")
    kind = table.get("kind", "capture")
    if kind not in _KINDS:
        raise MaskError(f"{title}: kind must be {' or '.join(_KINDS)}")
    compute: _Compute | None = None
    if "compute" in table:
        target = _text(title, table, "compute")
        if loadObject is None:
            raise MaskError(f"{title}: compute is not possible here")
        compute = loadObject(target)
        if not callable(compute):
            raise MaskError(f"{title}: compute={target} is not a function")
    return Variable(name, _pattern(title, table), kind == "any", compute)


def _skipOf(title: str, table: Mapping[str, Any]) -> tuple[str | None, re.Pattern[bytes]]:
    unknown = table.keys() - {"from", "pattern"}
    if unknown:
        raise MaskError(f"{title}: unknown key {min(unknown)}: use from, pattern")
    side = table.get("from")
    if side not in (None, *SIDES):
        raise MaskError(f"{title}: from must be client or server")
    try:
        pattern = re.compile(_text(title, table, "pattern").encode(), re.DOTALL)
    except (re.error, OverflowError, RecursionError, UnicodeEncodeError) as problem:
        raise MaskError(f"{title}: the pattern is not a regular expression: {problem}") from None
    return side, pattern
