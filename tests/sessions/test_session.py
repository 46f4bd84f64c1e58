"""
Tests for L{openfl_twisted.sessions._session}.
"""

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import sessions as package
from openfl_twisted.sessions import _session
from openfl_twisted.sessions._session import (
    CLIENT,
    SERVER,
    SIDES,
    End,
    Gap,
    Header,
    Hider,
    Message,
    Session,
    SessionError,
    SessionReader,
    compilePattern,
    dataLine,
    dataLines,
    endLine,
    gapLine,
    headerLine,
    sessionFiles,
)
from openfl_twisted.wire.dialects import DIALECTS
from tests.segments import cuts
from tests.sessions.sessioncase import session, sessions
from tests.sessions.strategies import fullSessions, jsonValues, times
from tests.support.messages import messages

ENTRY_KEYS = ["t", "n", "from", "text", "base64", "partial", "gap", "why", "end", "other"]
HEADER_KEYS = ["session", "dialect", "kind", "path", "started", "by", "peer", "hidden"]

keys = st.sampled_from([*HEADER_KEYS, *ENTRY_KEYS])
FIRST = b'{"session": 1, "dialect": "xml"}\n'


def load(content: bytes, name: str = "x.session") -> Session:
    """
    Read the content of a file.
    """
    return Session.read(io.BytesIO(content), name)


def saved(each: Session) -> bytes:
    """
    Return the content of the file of a session.
    """
    return b"".join(each.lines())


def withoutLines(each: Session) -> Session:
    """
    Return a session without the numbers of its lines.
    """
    return replace(
        each,
        messages=[replace(message, line=0) for message in each.messages],
        gaps=[replace(gap, line=0) for gap in each.gaps],
    )


class RoundTripTests(SynchronousTestCase):
    """
    A session that is saved and loaded is the same.
    """

    @given(fullSessions())
    def test_any(self, given: Session) -> None:
        """
        Any session is the same after it is saved and loaded; only a missing end is a warning.
        """
        found = load(saved(given))
        warnings, found.warnings = found.warnings, []
        self.assertEqual(withoutLines(found), given)
        expected = [] if given.end else ["x.session: the end of the connection was not recorded"]
        self.assertEqual(warnings, expected)

    @given(fullSessions())
    def test_safeToPrint(self, given: Session) -> None:
        """
        The lines of a session are UTF-8 without control characters, also if a peer has sent some.
        """
        for line in given.lines():
            text = line.decode().removesuffix("\n")
            self.assertIsNone(_session._control.search(text), text)
            self.assertNotIn("\n", text)
            self.assertTrue(json.loads(text))

    @given(st.binary(), st.sampled_from(SIDES), st.booleans())
    def test_data(self, data: bytes, side: str, isPartial: bool) -> None:
        """
        A line returns its bytes.
        """
        content = FIRST.replace(b"xml", b"raw") + dataLine(1.5, 3, side, data, isPartial)
        expected = [Message(data, side, 1.5, 3, 2, isPartial)] if data else []
        self.assertEqual(load(content).messages, expected)

    @given(
        st.lists(
            st.tuples(
                times,
                st.integers(1, 10**9),
                st.sampled_from(SIDES),
                # Text, with and without the separator and other control characters, or binary data.
                st.one_of(
                    st.text('a\0\n"\\').map(str.encode),
                    st.text("a\x7f\x1b").map(str.encode),
                    st.text("a\u20ac\u202e").map(str.encode),
                    st.binary(),
                ),
            )
        )
    )
    def test_severalLines(self, given: list[tuple[float, int, str, bytes]]) -> None:
        """
        Lines that are encoded together are the same as single lines.
        """
        self.assertEqual(dataLines(given), b"".join(dataLine(*each) for each in given))

    @given(st.data())
    def test_segments(self, data: Any) -> None:
        """
        The messages are the same, however the streams of both sides were split into lines.
        """
        given: Session = data.draw(sessions)
        split = DIALECTS[given.header.dialect]
        cutters = {side: split.cutter() for side in SIDES}
        content = headerLine(given.header)
        for message in given.messages:
            for chunk in data.draw(cuts(message.data)):
                whole = cutters[message.side].feed(chunk)
                if whole:
                    content += dataLine(message.t, message.n, message.side, whole)
        content += endLine(given.end.t, given.end.n, CLIENT) if given.end else b""
        self.assertEqual(withoutLines(load(content)).messages, given.messages)

    @given(st.data())
    def test_linesTogether(self, data: Any) -> None:
        """
        A line with several messages is the same as several lines.
        """
        name = data.draw(st.sampled_from(sorted(messages)))
        parts = data.draw(st.lists(messages[name], min_size=1))
        content = headerLine(Header(dialect=name)) + dataLine(1.0, 1, CLIENT, b"".join(parts))
        self.assertEqual([each.data for each in load(content).messages], parts)

    def test_file(self) -> None:
        """
        A session is saved to a file and loaded from it; the name is that of the file.
        """
        path = Path(self.mktemp())
        given = session(">a", "<b", end="client", name=path.name)
        given.save(path)
        given.save(str(path))
        found = Session.load(path)
        self.assertEqual(found, given)
        self.assertRaises(FileNotFoundError, Session.load, "missing")

    def test_dialect(self) -> None:
        """
        The dialect of the header splits lines, unless another one is given; for an unknown
        dialect, lines are not split.
        """
        content = FIRST + dataLine(0.0, 1, CLIENT, b"a\nb\0c\0") + endLine(0.0, 2, CLIENT)
        self.assertEqual([each.data for each in load(content).messages], [b"a\nb\0", b"c\0"])
        given = Session.read(io.BytesIO(content), dialect=DIALECTS["lines"])
        self.assertEqual([each.data for each in given.messages], [b"a\n", b"b\0c\0"])
        other = load(content.replace(b'"xml"', b'"game:Dialect"'))
        self.assertEqual([each.data for each in other.messages], [b"a\nb\0c\0"])
        self.assertIs(other.dialect, DIALECTS["raw"])

    def test_partial(self) -> None:
        """
        In an incomplete line with several messages, only the last message is incomplete.
        """
        content = FIRST + dataLine(0.0, 1, CLIENT, b"a\0b", isPartial=True)
        found = load(content).messages
        self.assertEqual([each.data for each in found], [b"a\0", b"b"])
        self.assertEqual([each.isPartial for each in found], [False, True])

    def test_gapOrder(self) -> None:
        """
        A gap is saved before the first message with a higher number; the order of the messages
        is that of the session, also without numbers.
        """
        given = session("<a", ">b", "<c")
        given.messages = [replace(given.messages[at], n=n) for at, n in enumerate((5, 0, 9))]
        given.gaps = [Gap(1, "disk", 0.0, 7), Gap(2, "disk", 0.0, 10)]
        kinds = [json.loads(line) for line in given.lines()][1:]
        found = [each.get("text", each.get("gap")) for each in kinds]
        self.assertEqual(found, ["a\0", "b\0", 1, "c\0", 2])

    def test_lazyNames(self) -> None:
        """
        All names of the package are exported; an unknown name is an C{AttributeError}.
        """
        for name in package.__all__:
            self.assertEqual(getattr(package, name).__name__, name)
        self.assertRaises(AttributeError, getattr, package, "Missing")


class FormatTests(SynchronousTestCase):
    """
    The lines have the documented format.
    """

    def test_lines(self) -> None:
        """
        Text is readable; other data is base64.
        """
        self.assertEqual(
            dataLine(0.00094, 7, CLIENT, b'<a b="c"/>\0\t\r\n'),
            b'{"t": 0.0009, "n": 7, "from": "client", "text": "<a b=\\"c\\"/>\\u0000\\t\\r\\n"}\n',
        )
        self.assertEqual(
            dataLine(0.6082, 41, SERVER, b"\0\3\0\xff", True),
            b'{"t": 0.6082, "n": 41, "from": "server", "base64": "AAMA/w==", "partial": true}\n',
        )
        self.assertIn(b'"base64"', dataLine(0.0, 1, CLIENT, b"a\x1b[2J"))
        self.assertIn(b'"base64"', dataLine(0.0, 1, CLIENT, "\u202e".encode()))
        self.assertEqual(endLine(1.5153, 9, "client"), b'{"t": 1.5153, "n": 9, "end": "client"}\n')
        self.assertEqual(
            gapLine(1.0, 9, 5, 'a "b"'),
            b'{"t": 1.0000, "n": 9, "gap": 5, "why": "a \\"b\\""}\n',
        )

    def test_header(self) -> None:
        """
        Empty values of the header are left out. Control characters are escaped.
        """
        self.assertEqual(
            headerLine(Header()), b'{"session": 1, "dialect": "raw", "kind": "plain"}\n'
        )
        line = headerLine(Header("xml", "websocket", "/g\u00fc", hidden={"a": "(\u00fc)"}))
        self.assertIn('"path": "/g\u00fc", "hidden": {"a": "(\u00fc)"}'.encode(), line)
        self.assertIn(rb'"path": "/\u009b\ud800"', headerLine(Header(path="/\x9b\ud800")))

    def test_unknown(self) -> None:
        """
        Unknown keys and entries are ignored.
        """
        content = (
            b'{"session": 1, "dialect": "xml", "new": [1]}\n{"new": 1}\n{}\n'
            b'{"from": "client", "text": "a\\u0000", "new": 2}\n{"end": "lost", "new": 3}\n'
            b'{"new": 4}\n'
        )
        found = load(content)
        self.assertEqual(found.messages, [Message(b"a\0", CLIENT, 0.0, 0, 4)])
        self.assertEqual((found.end, found.warnings), (End("lost"), []))

    def test_missingDialect(self) -> None:
        """
        The dialect of a header without one is C{raw}.
        """
        self.assertEqual(load(b'{"session": 1}\n{"end": "client"}').header, Header())


class ErrorTests(SynchronousTestCase):
    """
    An invalid file is one L{SessionError} with its name and line.
    """

    def assertInvalid(self, content: bytes, error: str) -> None:
        """
        The content is refused with an error.
        """
        self.assertEqual(str(self.assertRaises(SessionError, load, content)), error)

    def test_header(self) -> None:
        """
        The first line must be a header.
        """
        error = 'x.session: not a session file: the first line must be {"session": 1, ...}'
        self.assertInvalid(b"", "x.session: the file is empty")
        for content in (
            b"\n",
            b"[]\n",
            b"5\n",
            b"{}\n",
            b"\x89PNG",
            b'{"session": 1',
            b"[" * 10**5,
        ):
            self.assertInvalid(content, error)

    def test_version(self) -> None:
        """
        Another version is refused.
        """
        self.assertInvalid(
            b'{"session": 2}\n',
            "x.session: version 2 of the format, but only version 1 can be read: install a newer"
            " version of openfl-twisted",
        )

    def test_headerValues(self) -> None:
        """
        The values of the header must have the right types.
        """
        self.assertInvalid(b'{"session": 1, "path": 5}\n', "x.session:1: path must be text")
        for hidden in (b"[]", b'{"a": 1}', b"null"):
            self.assertInvalid(
                b'{"session": 1, "hidden": %b}\n' % hidden,
                "x.session:1: hidden must contain patterns by name",
            )

    def test_lines(self) -> None:
        """
        An invalid line is an error with its number.
        """
        data = b'"from": "client", "text": "a"'
        for line, error in (
            (b"{", "invalid JSON"),
            (b"", "invalid JSON"),
            (b"[]", "must be a JSON object"),
            (b'{"t": "1", %b}' % data, "t must be a number of seconds from 0"),
            (b'{"t": true, %b}' % data, "t must be a number of seconds from 0"),
            (b'{"t": NaN, %b}' % data, "t must be a number of seconds from 0"),
            (b'{"t": -1, %b}' % data, "t must be a number of seconds from 0"),
            (b'{"n": 1.5, %b}' % data, "n must be an integer from 0"),
            (b'{"n": true, %b}' % data, "n must be an integer from 0"),
            (b'{"n": -1, %b}' % data, "n must be an integer from 0"),
            (b'{"from": "me", "text": ""}', "from must be client or server"),
            (b'{"from": ["client"], "text": ""}', "from must be client or server"),
            (b'{"from": "client"}', "text or base64 must contain the data"),
            (b'{"from": "client", "text": 1}', "text or base64 must contain the data"),
            (b'{"from": "client", "base64": "*"}', "text or base64 must contain the data"),
            (b'{"from": "client", "base64": "QQ"}', "text or base64 must contain the data"),
            (b'{"from": "client", "base64": [1]}', "text or base64 must contain the data"),
            (b'{"from": "client", "text": "\\ud800"}', "text contains half of a surrogate pair"),
            (b'{"gap": "1"}', "gap must be a number of bytes"),
            (b'{"gap": true}', "gap must be a number of bytes"),
            (b'{"gap": -1}', "gap must be a number of bytes"),
            (b'{"end": "me"}', "end must be one of client, server, lost, limit, stopped"),
            (b'{"end": ["client"]}', "end must be one of client, server, lost, limit, stopped"),
        ):
            self.assertInvalid(FIRST + line + b"\n{}\n", f"x.session:2: {error}")

    def test_afterEnd(self) -> None:
        """
        Nothing can follow the end.
        """
        content = FIRST + endLine(1.0, 1, CLIENT) + dataLine(1.0, 2, CLIENT, b"a\0")
        self.assertInvalid(content, "x.session:3: the session has already ended")

    def test_longLine(self) -> None:
        """
        A line that is longer than the maximum is not read.
        """
        self.patch(_session, "_MAX_LINE", 60)
        content = FIRST + dataLine(1.0, 2, CLIENT, b"a" * 100) + endLine(1.0, 1, CLIENT)
        self.assertInvalid(content, "x.session:2: invalid JSON")

    @given(fullSessions(), st.data())
    def test_cut(self, given: Session, data: Any) -> None:
        """
        A file that is cut at any byte is read up to its last complete line with one warning, or is
        one L{SessionError}.
        """
        content = saved(given)
        at = data.draw(st.integers(0, len(content) - 1))
        header = content.index(b"\n")
        if at < header:
            error = self.assertRaises(SessionError, load, content[:at])
            words = "not a session file" if at else "the file is empty"
            self.assertTrue(str(error).startswith(f"x.session: {words}"))
            return
        found = load(content[:at])
        whole = content[: at + 1].count(b"\n") - 1
        entries = len(given.messages) + len(given.gaps)
        self.assertEqual(len(found.messages) + len(found.gaps), min(whole, entries))
        hasEnd = given.end is not None and at == len(content) - 1
        self.assertEqual(len(found.warnings), 0 if hasEnd else 1)

    def test_incompleteLine(self) -> None:
        """
        An incomplete last line is one warning.
        """
        found = load(FIRST + dataLine(1.0, 2, CLIENT, b"a\0") + b'{"t": 1')
        self.assertEqual(found.warnings, ["x.session:3: the last line is incomplete"])
        self.assertEqual(len(found.messages), 1)

    @given(
        st.dictionaries(keys, jsonValues, max_size=5),
        st.lists(st.dictionaries(keys, jsonValues, max_size=5), max_size=3),
    )
    def test_anyValues(self, header: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        """
        Any JSON values are read, or are one L{SessionError} of one line. The read session can be
        saved and loaded.
        """
        content = b"".join(
            json.dumps(values).encode() + b"\n" for values in ({"session": 1, **header}, *lines)
        )
        try:
            found = load(content)
        except SessionError as problem:
            self.assertTrue(str(problem).startswith("x.session:"), problem)
            self.assertTrue(str(problem).isprintable(), problem)
            return
        again = load(saved(found))
        self.assertEqual(
            [(each.side, each.data, each.n) for each in again.messages],
            [(each.side, each.data, each.n) for each in found.messages],
        )
        self.assertEqual(again.header, found.header)
        self.assertEqual(
            [(gap.length, gap.why) for gap in again.gaps],
            [(gap.length, gap.why) for gap in sorted(found.gaps, key=lambda gap: gap.n)],
        )

    @given(st.lists(st.binary(), max_size=4))
    def test_anyBytes(self, lines: list[bytes]) -> None:
        """
        Any bytes are read, or are a L{SessionError}.
        """
        try:
            load(FIRST + b"\n".join(lines))
        except SessionError as problem:
            self.assertTrue(str(problem).startswith("x.session:"), problem)

    def test_constantMemory(self) -> None:
        """
        L{SessionReader} reads a line when it is needed.
        """
        stream = io.BytesIO(FIRST + dataLine(0.0, 1, CLIENT, b"a\0") + b"invalid\n")
        entries = iter(SessionReader(stream, "x.session"))
        self.assertEqual(next(entries), Message(b"a\0", CLIENT, 0.0, 1, 2))
        self.assertRaises(SessionError, next, entries)


class HideTests(SynchronousTestCase):
    """
    L{Session.hide} and L{Hider} remove secrets.
    """

    def test_hide(self) -> None:
        """
        The group of each match is replaced by the name; the header contains the patterns.
        """
        given = session(">p=1;p=22;", "<q=1;", hidden={"q": "q=(.)"})
        found = given.hide({"p": "p=(.*?);", "x": "(9)?"})
        self.assertEqual([each.data for each in found.messages], [b"p={p};p={p};\0", b"q=1;\0"])
        self.assertEqual(found.header.hidden, {"q": "q=(.)", "p": "p=(.*?);", "x": "(9)?"})
        self.assertEqual(given.messages[0].data, b"p=1;p=22;\0")

    def test_partial(self) -> None:
        """
        An incomplete message becomes a gap, because it can contain a part of a secret.
        """
        given = session(">p=1;", ">p=2~", "<a")
        given.gaps.append(Gap(5, "disk", 9.0, 9))
        found = given.hide({"p": "p=(.*?);"})
        self.assertEqual([each.data for each in found.messages], [b"p={p};\0", b"a\0"])
        self.assertEqual(
            [(gap.length, gap.why) for gap in found.gaps], [(3, "hidden"), (5, "disk")]
        )
        self.assertNotIn(b"p=2", saved(found))

    def test_lineBreak(self) -> None:
        """
        A period also matches line breaks.
        """
        self.assertEqual(Hider({"a": "<(.*)>"}).hide(b"<b\nc>"), b"<{a}>")

    @given(st.binary(), st.sampled_from(["(a*)", "b(a)?", "(.)", "()", "a(.*?)b", "(?=(aa))"]))
    def test_laws(self, data: bytes, pattern: str) -> None:
        """
        The parts outside of the groups are unchanged.
        """
        self.assertEqual(Hider({}).hide(data), data)
        hidden = Hider({"a": pattern}).hide(data)
        if compilePattern(pattern).search(data) is None:
            self.assertEqual(hidden, data)

    def test_invalid(self) -> None:
        """
        An invalid pattern is a C{ValueError} that names it.
        """
        for name in ("", "1", "login name"):
            wrong = self.assertRaises(ValueError, Hider, {name: "(a)"})
            self.assertIn("must begin with a name for the secret", str(wrong))
        wrong = self.assertRaises(ValueError, Hider, {"name": '"([^"]*)"'})
        self.assertIn('such as secret=name="([^"]*)"', str(wrong))
        for pattern, error in (
            ("a", "n: the pattern must have exactly one group, not 0"),
            ("(a)(b)", "n: the pattern must have exactly one group, not 2"),
            ("(a", "n: the pattern is not a regular expression: "),
            ("(a{99999999999})", "n: the pattern is not a regular expression: "),
            ("(" * 9000 + ")" * 9000, "n: the pattern is not a regular expression: "),
            ("(\ud800)", "n: "),
        ):
            problem = self.assertRaises(ValueError, Hider, {"n": pattern})
            self.assertTrue(str(problem).startswith(error), problem)


class FilesTests(SynchronousTestCase):
    """
    L{sessionFiles} finds the sessions of folders.
    """

    def test_files(self) -> None:
        """
        The sessions of a folder are sorted by name; other files are ignored; files are taken as
        they are.
        """
        folder = Path(self.mktemp())
        os.mkdir(folder)
        error = self.assertRaises(SessionError, sessionFiles, [folder])
        self.assertEqual(str(error), f"{folder}: the folder contains no *.session file")
        for name in ("2.session", "1.session", "notes.txt"):
            (folder / name).touch()
        found = sessionFiles(["x", str(folder), folder / "notes.txt"])
        self.assertEqual(
            found,
            [Path("x"), folder / "1.session", folder / "2.session", folder / "notes.txt"],
        )
