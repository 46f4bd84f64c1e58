"""
The file format of sessions: JSON Lines, version 1.

The first line is the header. Each other line is an entry: messages of one side, a gap, or the end
of the connection. Unknown keys and entries are ignored, so that later versions can add some.
"""

import json
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from json.encoder import encode_basestring
from pathlib import Path
from typing import IO, Any, Final, Self

from openfl_twisted.wire.dialects import DIALECTS, Dialect

VERSION: Final = 1
"""
The version of the format.
"""

CLIENT: Final = "client"
SERVER: Final = "server"
SIDES = (CLIENT, SERVER)
"""
The sides of a connection.
"""

ENDS = (CLIENT, SERVER, "lost", "limit", "stopped")
"""
How a connection can end: the client or the server has closed it, it was lost, the recording has
reached its limit, or the recording was stopped.
"""

SUFFIX = ".session"
"""
The ending of the names of session files.
"""

# Longer lines are not read, so that another kind of file does not fill the memory (bytes).
_MAX_LINE = 256 * 1024 * 1024

# The control characters that a line does not contain as text, because they could control the
# terminal of a user who prints the file. JSON escapes those below a space.
_control = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

# The ASCII characters among them.
_ASCII_CONTROLS = bytes(each for each in range(128) if _control.match(chr(each)))

# Joins the data of several entries. It is a control character that JSON does not escape.
_BETWEEN = b"\x7f"

# A file can contain them as JSON escapes only.
_surrogate = re.compile("[\ud800-\udfff]")


# Matches the name of a secret.
_name = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class SessionError(ValueError):
    """
    A file is not a session. The text is one line with the name of the file and the number of the
    line.
    """


@dataclass(frozen=True)
class Header:
    """
    The first line of a session.

    @ivar dialect: the name of the dialect.
    @ivar kind: the client type: C{plain} or C{websocket}.
    @ivar path: the path of the WebSocket handshake; empty for other connections.
    @ivar started: the time when the connection was made (UTC, ISO 8601); empty if unknown.
    @ivar by: the program that has recorded the session.
    @ivar peer: the address of the client; empty if it was not recorded.
    @ivar hidden: the patterns of the removed secrets, by name.
    """

    dialect: str = "raw"
    kind: str = "plain"
    path: str = ""
    started: str = ""
    by: str = ""
    peer: str = ""
    hidden: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message.

    @ivar data: the bytes, with the terminator or the length.
    @ivar side: the side that has sent it: C{client} or C{server}.
    @ivar t: the time since the connection was made (seconds).
    @ivar n: the position in the run: messages of all connections are numbered in order.
    @ivar line: the number of the line in the file; 0 if it was not read from a file.
    @ivar isPartial: whether the message is incomplete, because the connection has ended.
    """

    data: bytes
    side: str
    t: float = 0.0
    n: int = 0
    line: int = 0
    isPartial: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """
    Bytes that were not recorded.

    @ivar length: the number of bytes.
    @ivar why: the reason.
    @ivar t: the time since the connection was made (seconds).
    @ivar n: the position in the run.
    @ivar line: the number of the line in the file.
    """

    length: int
    why: str
    t: float = 0.0
    n: int = 0
    line: int = 0


@dataclass(frozen=True, slots=True)
class End:
    """
    The end of a connection.

    @ivar how: one of L{ENDS}.
    @ivar t: the time since the connection was made (seconds).
    @ivar n: the position in the run.
    """

    how: str
    t: float = 0.0
    n: int = 0


Entry = Message | Gap | End


# Writing


def headerLine(header: Header) -> bytes:
    """
    Return the first line of a session.
    """
    values: dict[str, Any] = {"session": VERSION, "dialect": header.dialect, "kind": header.kind}
    for name in ("path", "started", "by", "peer", "hidden"):
        value = getattr(header, name)
        if value:
            values[name] = dict(value) if name == "hidden" else value
    text = json.dumps(values, ensure_ascii=False)
    if _control.search(text) or _surrogate.search(text):
        text = json.dumps(values)
    return f"{text}\n".encode()


def dataLine(t: float, n: int, side: str, data: bytes, isPartial: bool = False) -> bytes:
    """
    Return the line of messages.

    @param data: one or more messages of one side.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is None or _control.search(text):
        content = f'"base64": "{b64encode(data).decode()}"'
    else:
        content = f'"text": {encode_basestring(text)}'
    partial = ', "partial": true' if isPartial else ""
    return f'{{"t": {t:.4f}, "n": {n}, "from": "{side}", {content}{partial}}}\n'.encode()


def dataLines(events: Sequence[tuple[float, int, str, bytes]]) -> bytes:
    """
    Return the lines of several entries of messages, as L{dataLine} does for one entry. ASCII data
    of all entries is encoded together, which takes a fraction of the time.

    @param events: the time, the position in the run, the side and the data of each entry.
    """
    joined = _BETWEEN.join([data for _, _, _, data in events])
    controls = len(joined) - len(joined.translate(None, _ASCII_CONTROLS))
    if not joined.isascii() or controls >= len(events):
        return b"".join([dataLine(*event) for event in events])
    contents = encode_basestring(joined.decode("ascii"))[1:-1].split(_BETWEEN.decode())
    lines = [
        f'{{"t": {t:.4f}, "n": {n}, "from": "{side}", "text": "{content}"}}\n'
        for (t, n, side, _), content in zip(events, contents, strict=True)
    ]
    return "".join(lines).encode()


def gapLine(t: float, n: int, length: int, why: str) -> bytes:
    """
    Return the line of bytes that were not recorded.
    """
    return f'{{"t": {t:.4f}, "n": {n}, "gap": {length}, "why": {json.dumps(why)}}}\n'.encode()


def endLine(t: float, n: int, how: str) -> bytes:
    """
    Return the last line of a session.
    """
    return f'{{"t": {t:.4f}, "n": {n}, "end": "{how}"}}\n'.encode()


# Reading


class SessionReader:
    """
    Reads a session line by line, in constant memory.

    @ivar header: the header.
    @ivar warnings: the defects of the file that do not prevent reading it.
    """

    def __init__(self, stream: IO[bytes], name: str) -> None:
        """
        @param stream: the file.
        @param name: the name of the file, for errors.
        @raise SessionError: if the first line is not the header of a session.
        """
        self._stream = stream
        self._name = name
        self._line = 0
        self.warnings: list[str] = []
        self.header = self._readHeader()

    def _readHeader(self) -> Header:
        values = self._next()
        if not self._line:
            raise SessionError(f"{self._name}: the file is empty")
        if values is None or "session" not in values:
            raise SessionError(
                f'{self._name}: not a session file: the first line must be {{"session": 1, ...}}'
            )
        version = values["session"]
        if version != VERSION:
            raise SessionError(
                f"{self._name}: version {version!r:.20} of the format, but only version {VERSION}"
                " can be read: install a newer version of openfl-twisted"
            )
        texts = {}
        for key in ("dialect", "kind", "path", "started", "by", "peer"):
            if key in values:
                if not isinstance(values[key], str):
                    raise self._error(f"{key} must be text")
                texts[key] = values[key]
        hidden = values.get("hidden", {})
        if not isinstance(hidden, dict) or not all(isinstance(v, str) for v in hidden.values()):
            raise self._error("hidden must contain patterns by name")
        return Header(**texts, hidden=hidden)

    def _error(self, text: str) -> SessionError:
        return SessionError(f"{self._name}:{self._line}: {text}")

    def _next(self) -> dict[str, Any] | None:
        """
        Read a line.

        @return: the object; C{None} at the end of the file, or if the last line is incomplete.
        """
        line = self._stream.readline(_MAX_LINE)
        if not line:
            return None
        self._line += 1
        try:
            values = json.loads(line)
        except (ValueError, RecursionError):
            if self._line == 1:
                return None
            if not line.endswith(b"\n") and len(line) < _MAX_LINE:
                self.warnings.append(f"{self._name}:{self._line}: the last line is incomplete")
                return None
            raise self._error("invalid JSON") from None
        if not isinstance(values, dict):
            if self._line == 1:
                return None
            raise self._error("must be a JSON object")
        return values

    def __iter__(self) -> Iterator[Entry]:
        """
        Read the entries. A message here is a line, which can contain several messages.

        @raise SessionError: if a line is invalid.
        """
        hasEnded = False
        while (values := self._next()) is not None:
            entry = self._entryOf(values)
            if entry is None:
                continue
            if hasEnded:
                raise self._error("the session has already ended")
            hasEnded = isinstance(entry, End)
            yield entry
        if not hasEnded and not self.warnings:
            self.warnings.append(f"{self._name}: the end of the connection was not recorded")

    def _entryOf(self, values: dict[str, Any]) -> Entry | None:
        if not {"from", "gap", "end"} & values.keys():
            return None
        t, n = values.get("t", 0.0), values.get("n", 0)
        if not _isNumber(t) or not 0 <= t < 1e12:
            raise self._error("t must be a number of seconds from 0")
        if not isinstance(n, int) or isinstance(n, bool) or n < 0:
            raise self._error("n must be an integer from 0")
        if "end" in values:
            if values["end"] not in ENDS:
                raise self._error(f"end must be one of {', '.join(ENDS)}")
            return End(values["end"], t, n)
        if "gap" in values:
            length = values["gap"]
            if not isinstance(length, int) or isinstance(length, bool) or length < 0:
                raise self._error("gap must be a number of bytes")
            return Gap(length, str(values.get("why", "")), t, n, self._line)
        if values["from"] not in SIDES:
            raise self._error("from must be client or server")
        isPartial = values.get("partial") is True
        return Message(self._dataOf(values), values["from"], t, n, self._line, isPartial)

    def _dataOf(self, values: dict[str, Any]) -> bytes:
        if isinstance(values.get("text"), str):
            try:
                return values["text"].encode()  # type: ignore[no-any-return]
            except UnicodeEncodeError:
                raise self._error("text contains half of a surrogate pair") from None
        try:
            return b64decode(values["base64"], validate=True)
        except (KeyError, TypeError, ValueError, Base64Error):
            raise self._error("text or base64 must contain the data") from None


def _isNumber(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass
class Session:
    """
    A session.

    @ivar header: the header.
    @ivar messages: the messages of both sides, in order.
    @ivar end: the end; C{None} if it was not recorded.
    @ivar gaps: the bytes that were not recorded.
    @ivar name: the name of the file, for errors.
    @ivar warnings: the defects of the file that do not prevent reading it.
    """

    header: Header = field(default_factory=Header)
    messages: list[Message] = field(default_factory=list)
    end: End | None = None
    gaps: list[Gap] = field(default_factory=list)
    name: str = "session"
    warnings: list[str] = field(default_factory=list)

    @property
    def dialect(self) -> Dialect:
        """
        The dialect; C{raw} for a dialect that is not part of this package.
        """
        return DIALECTS.get(self.header.dialect, DIALECTS["raw"])

    @classmethod
    def load(cls, path: str | Path, dialect: Dialect | None = None) -> Self:
        """
        Read a file.

        @param path: the path of the file.
        @param dialect: the dialect (default: the dialect of the header, or C{raw} if it is not
            part of this package).
        @return: the session. Lines with several messages are split.
        @raise SessionError: if the file is not a session.
        @raise OSError: if the file cannot be read.
        """
        with open(path, "rb") as stream:
            return cls.read(stream, Path(path).name, dialect)

    @classmethod
    def read(cls, stream: IO[bytes], name: str = "session", dialect: Dialect | None = None) -> Self:
        """
        Read an open file, as L{load} does.

        @param stream: the file.
        @param name: the name of the file, for errors.
        """
        reader = SessionReader(stream, name)
        session = cls(reader.header, name=name)
        split = (session.dialect if dialect is None else dialect).split
        for entry in reader:
            if isinstance(entry, End):
                session.end = entry
            elif isinstance(entry, Gap):
                session.gaps.append(entry)
            else:
                messages = [
                    replace(entry, data=data, isPartial=False) for data in split(entry.data)
                ]
                if messages and entry.isPartial:
                    messages[-1] = replace(messages[-1], isPartial=True)
                session.messages += messages
        session.warnings = reader.warnings
        return session

    def save(self, path: str | Path) -> None:
        """
        Write a file, with one line for each message.

        @param path: the path; an existing file is replaced.
        """
        with open(path, "wb") as stream:
            stream.writelines(self.lines())

    def lines(self) -> Iterator[bytes]:
        """
        Return the lines of the file, with one line for each message.
        """
        yield headerLine(self.header)
        gaps = list(self.gaps)
        for entry in self.messages:
            while gaps and gaps[0].n < entry.n:
                yield _lineOf(gaps.pop(0))
            yield dataLine(entry.t, entry.n, entry.side, entry.data, entry.isPartial)
        yield from map(_lineOf, gaps)
        if self.end is not None:
            yield endLine(self.end.t, self.end.n, self.end.how)

    def hide(self, patterns: Mapping[str, str]) -> "Session":
        """
        Replace secrets with their names in braces. Incomplete messages become gaps, because a
        part of a secret cannot be recognized.

        @param patterns: regular expressions with one group, by name.
        @return: a new session.
        @raise ValueError: if a pattern is invalid.
        """
        hider = Hider(patterns)
        messages = []
        gaps = list(self.gaps)
        for each in self.messages:
            if each.isPartial:
                gaps.append(Gap(len(each.data), "hidden", each.t, each.n, each.line))
            else:
                messages.append(replace(each, data=hider.hide(each.data)))
        gaps.sort(key=lambda gap: gap.n)
        header = replace(self.header, hidden={**self.header.hidden, **patterns})
        return replace(self, header=header, messages=messages, gaps=gaps)


def _lineOf(gap: Gap) -> bytes:
    return gapLine(gap.t, gap.n, gap.length, gap.why)


def compilePattern(pattern: str) -> re.Pattern[bytes]:
    """
    Compile a pattern for messages. It is a regular expression of bytes with exactly one group;
    C{.} also matches line breaks.

    @raise ValueError: if the pattern is invalid. The text does not contain the pattern.
    """
    try:
        compiled = re.compile(pattern.encode(), re.DOTALL)
    except (re.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"the pattern is not a regular expression: {problem}") from None
    if compiled.groups != 1:
        raise ValueError(f"the pattern must have exactly one group, not {compiled.groups}")
    return compiled


# The common form of a pattern: any text between two literal texts.
_literal = r"((?:[^\\.^$*+?{}\[\]|()]|\\[^A-Za-z0-9])+)"
_between = re.compile(rf"{_literal}\(\.([*+])\?\){_literal}", re.DOTALL)
_escape = re.compile(r"\\(.)", re.DOTALL)


def _spanFinder(pattern: str) -> Callable[[bytes], Iterator[tuple[int, int]]]:
    """
    Return a function that finds the group of each match of a pattern.

    If the pattern is any text between two literal texts, the time is linear. A regular expression
    would search for the second text again after each occurrence of the first one, and block all
    threads in the meantime.

    @raise ValueError: if the pattern is invalid.
    """
    compiled = compilePattern(pattern)
    simple = _between.fullmatch(pattern)
    if simple is None:
        return lambda data: (match.span(1) for match in compiled.finditer(data))
    before, after = (_escape.sub(r"\1", simple[group]).encode() for group in (1, 3))
    shortest = 1 if simple[2] == "+" else 0

    def find(data: bytes) -> Iterator[tuple[int, int]]:
        at = data.find(before)
        while at >= 0:
            begin = at + len(before)
            end = data.find(after, begin + shortest)
            if end < 0:
                return
            yield begin, end
            at = data.find(before, end + len(after))

    return find


class Hider:
    """
    Replaces secrets in messages.

    @ivar used: the names in braces of the patterns that have matched.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        """
        @param patterns: regular expressions with one group, by name; see L{compilePattern}.
        @raise ValueError: if a pattern is invalid.
        """
        self.used: set[bytes] = set()
        self._finders: list[tuple[bytes, Callable[[bytes], Iterator[tuple[int, int]]]]] = []
        for name, pattern in patterns.items():
            if not _name.fullmatch(name) or pattern.startswith('"'):
                # For example, name="([^"]*)" without a name for the secret.
                raise ValueError(
                    f"{name}={pattern}: must begin with a name for the secret, such as"
                    f" secret={name}={pattern}"
                )
            try:
                self._finders.append((f"{{{name}}}".encode(), _spanFinder(pattern)))
            except ValueError as problem:
                raise ValueError(f"{name}: {problem}") from None

    def hide(self, data: bytes) -> bytes:
        """
        Replace the group of each match with the name in braces. All patterns search the original
        message. If groups overlap, they are replaced together, with the name of the first one.

        @param data: a complete message.
        """
        spans = [
            (begin, order, end, name)
            for order, (name, find) in enumerate(self._finders)
            for begin, end in find(data)
            if begin >= 0
        ]
        if not spans:
            return data
        self.used.update(name for _, _, _, name in spans)
        at = 0
        parts: list[bytes] = []
        for begin, _, end, name in sorted(spans):
            if begin >= at:
                parts += data[at:begin], name
            at = max(at, end)
        return b"".join([*parts, data[at:]])


def sessionFiles(paths: Iterable[str | Path]) -> list[Path]:
    """
    Return the session files among files and folders, in the order of their names.

    @param paths: files, folders of files that end with C{.session}, and folders of such folders,
        of which the last one is used: the folder of C{--record} contains a folder for each run.
    @raise SessionError: if a folder contains no session.
    """
    files: list[Path] = []
    for each in map(Path, paths):
        if not each.is_dir():
            files.append(each)
            continue
        runs = [each, *sorted(each.iterdir(), reverse=True)]
        found = next(filter(None, map(_sessionsIn, runs)), None)
        if found is None:
            raise SessionError(f"{each}: the folder contains no *{SUFFIX} file")
        files += found
    return files


def _sessionsIn(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))
