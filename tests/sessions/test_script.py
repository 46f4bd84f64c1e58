"""
Tests for L{openfl_twisted.sessions._script}.
"""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.sessions._masks import Known, Masks
from openfl_twisted.sessions._script import (
    Candidates,
    Difference,
    LooseScript,
    Script,
    describeKnown,
)
from openfl_twisted.sessions._session import CLIENT, SERVER, End, Gap, Header, Message, Session
from openfl_twisted.wire.dialects import DIALECTS, Dialect
from tests.segments import cuts
from tests.sessions.sessioncase import session, sessions, sides
from tests.sessions.strategies import endingSessions, masksOf, rawSessions

XML = DIALECTS["xml"]
Split = Callable[[bytes], Iterable[bytes]]


def whole(data: bytes) -> list[bytes]:
    """
    Return the data in one chunk.
    """
    return [data]


def bytewise(data: bytes) -> list[bytes]:
    """
    Return the data in chunks of one byte.
    """
    return [data[at : at + 1] for at in range(len(data))]


def play(one: Script, two: Script, split: Split = whole) -> None:
    """
    Play two scripts against each other until nothing is due.

    @raise Difference: if something differs.
    """
    while one.due or two.due:
        for sender, receiver in ((one, two), (two, one)):
            data = b""
            while sender.due:
                data += sender.take()
            for chunk in split(data):
                receiver.receive(chunk)
    for each in (one, two):
        each.peerClosed()
        assert each.isComplete


class ScriptCase(SynchronousTestCase):
    """
    Base class: the assertions for differences.
    """

    def assertDifference(self, call: Callable[..., object], *arguments: Any) -> str:
        """
        A call raises a L{Difference}. Return its text.
        """
        return str(self.assertRaises(Difference, call, *arguments))


class SelfPlayTests(ScriptCase):
    """
    The client of a session can be played against the server of the same session.
    """

    @given(st.one_of(endingSessions(), rawSessions()), st.data())
    def test_anySession(self, given: Session, data: Any) -> None:
        """
        Any session is completed, however the streams are split.
        """
        for split in (whole, bytewise, lambda sent: data.draw(cuts(sent))):
            play(Script(given, CLIENT), Script(given, SERVER), split)

    @given(st.one_of(sessions, rawSessions()), st.data())
    def test_progress(self, given: Session, data: Any) -> None:
        """
        The progress counts the messages of both sides.
        """
        client, server = Script(given, CLIENT), Script(given, SERVER)
        total = len(given.messages)
        self.assertEqual(client.progress, (0, total))
        play(client, server)
        self.assertEqual((client.progress, server.progress), ((total, total), (total, total)))

    @given(st.one_of(sessions, rawSessions()), st.data())
    def test_turns(self, given: Session, data: Any) -> None:
        """
        A message is due when everything before it has been received.
        """
        script = Script(given, data.draw(sides))
        turns = script.turns
        self.assertEqual([message for message, _ in turns], given.messages)
        for message, got in turns:
            if message.side == script.side:
                self.assertIs(script.due, message)
                self.assertEqual(script.take(), message.data)
            else:
                self.assertIsNone(script.due)
                script.receive(message.data)
            self.assertEqual(script.got, got)
        self.assertIsNone(script.due)

    @given(st.lists(st.integers(0, 999), min_size=1, max_size=5), st.data())
    def test_masks(self, numbers: list[int], data: Any) -> None:
        """
        Values that the server has made today are learned and sent back by the client.
        """
        lines = [line for n in numbers for line in (f"<key={n};", f">my={n};key={n};")]
        given = session(*lines)
        masks = masksOf(key="key=([0-9]+);")
        known = Known()
        for n in set(numbers):
            known.learn("key", str(n).encode(), str(n + 5000).encode())
        client, server = Script(given, CLIENT, masks), Script(given, SERVER, masks, known)
        play(client, server, lambda sent: data.draw(cuts(sent)))
        expected = known.valueOf("key", str(numbers[-1]).encode())
        self.assertEqual(client.known.texts()["key"], (expected or b"").decode())


class DifferenceTests(ScriptCase):
    """
    Differences are found and described.
    """

    @given(st.data())
    def test_anyByte(self, data: Any) -> None:
        """
        A byte that is changed outside of the holes is found; the error names the message, its
        line, its time and the place.
        """
        texts = data.draw(st.lists(st.text("abc", min_size=1, max_size=90), min_size=1, max_size=5))
        given = session(*(f"<k=12;{text}" for text in texts))
        number = data.draw(st.integers(1, len(texts)))
        at = data.draw(st.integers(5, len(texts[number - 1]) + 4))
        split = data.draw(st.sampled_from([whole, bytewise]))
        stream = bytearray(b"".join(each.data for each in given.messages))
        stream[sum(len(text) + 6 for text in texts[: number - 1]) + at] = ord("X")
        script = Script(given, CLIENT, masksOf(k="k=([0-9]+);"))

        def receive() -> None:
            for chunk in split(bytes(stream).replace(b"12;", b"3456;")):
                script.receive(chunk)

        lines = self.assertDifference(receive).split("\n")
        self.assertEqual(
            lines[0],
            f"a.session:{number + 1}: message {number} of {len(texts)}, sent by the server at"
            f" {number}.000 s, differs",
        )
        place = at + 1
        self.assertEqual(lines[3].strip(), f"^ character {place + 1}")
        column = lines[3].index("^")
        shown = f"k={{k}};{texts[number - 1]}"
        self.assertEqual(lines[1][column], shown[place])
        self.assertEqual(lines[2][column], "X")
        # The values of a message are learned when it has matched.
        self.assertEqual(lines[4:], ["  known: k='3456'"] if number > 1 else [])
        self.assertEqual(script.progress[0], number - 1)

    def test_text(self) -> None:
        """
        The messages are shown decoded, with holes as names, around the difference.
        """
        line = f"<%xt%lp%-1%101|{'1|' * 40}100|1%1440%"
        given = session(line, dialect="xml")
        script = Script(given, CLIENT)
        now = line[1:].replace("100|1", "101|1").encode() + b"\0"
        self.assertEqual(
            self.assertDifference(script.receive, now),
            "a.session:2: message 1 of 1, sent by the server at 1.000 s, differs\n"
            f"  recorded  ...{'1|' * 19}100|1' '1440'\n"
            f"  now       ...{'1|' * 19}101|1' '1440'\n"
            f"               {' ' * 40}^ character 101",
        )

    def test_shorter(self) -> None:
        """
        If a message is the beginning of the other one, the caret is at its end.
        """
        script = Script(session("<abcd"), CLIENT)
        lines = self.assertDifference(script.receive, b"ab\0").split("\n")
        self.assertEqual(
            lines[1:], ["  recorded  abcd", "  now       ab", "              ^ character 3"]
        )

    def test_invisible(self) -> None:
        """
        A difference that cannot be seen is shown with the bytes; holes are still names.
        """
        given = session("<p=abc;\r", hidden={"p": "p=(.*?);"})
        script = Script(given, CLIENT)
        text = self.assertDifference(script.receive, b"p=secret;\0")
        self.assertIn(r"b'p={p};\r\x00'", text)
        self.assertIn(r"b'p={p};\x00'", text)
        self.assertNotIn("secret", text)

    def test_surplus(self) -> None:
        """
        A message after the last one is an error.
        """
        script = Script(session("<a", end="client"), CLIENT)
        script.receive(b"a\0")
        self.assertEqual(
            self.assertDifference(script.receive, b"b" * 200 + b"\0"),
            f"a.session: the server said more than was recorded: {'b' * 100}...",
        )
        script = Script(session(), SERVER)
        self.assertEqual(
            self.assertDifference(script.receive, b"\x1b[2J\0"),
            r"a.session: the client said more than was recorded: \x1b[2J",
        )

    def test_missing(self) -> None:
        """
        A message that has not been received is an error.
        """
        script = Script(session("<a", ">x", "<joined name='Ben'"), CLIENT)
        script.receive(b"a\0")
        self.assertFalse(script.hasReceivedAll)
        self.assertEqual(
            self.assertDifference(script.checkComplete, "within 5 s"),
            "a.session:4: message 3 of 3 had not been received within 5 s: joined name='Ben'",
        )
        self.assertEqual(
            self.assertDifference(script.peerClosed),
            "a.session:4: message 3 of 3 had not been received when the connection was closed:"
            " joined name='Ben'",
        )

    def test_incomplete(self) -> None:
        """
        An incomplete message at the end is compared.
        """
        for line, error in (("<ab~", ""), ("<ac~", "differs"), ("<ab", "differs")):
            script = Script(session(line), CLIENT)
            if error:
                with self.assertRaises(Difference) as caught:
                    script.receive(b"ab")
                    script.peerClosed()
                self.assertIn(error, str(caught.exception))
            else:
                script.receive(b"ab")
                script.peerClosed()

    def test_completeAtTheEnd(self) -> None:
        """
        Values that an AMF cutter has not found yet are compared at the end.
        """
        given = Session(
            Header(dialect="amf3"), [Message(b"\x01", SERVER), Message(b"\x03", SERVER)]
        )
        script = Script(given, CLIENT)
        script._cutter._data += b"\x01\x03"  # type: ignore[attr-defined]
        script.peerClosed()
        self.assertTrue(script.isComplete)

    def test_known(self) -> None:
        """
        Given values and the values of hidden variables are not shown.
        """
        known = Known({"pw": "secret"})
        known.learn("key", b"1", b"a\x1b")
        known.learn("token", b"1", b"secret")
        self.assertEqual(describeKnown(known, {"token": "(x)"}), r"key='a\x1b', pw=***, token=***")
        self.assertEqual(describeKnown(Known(), {}), "")


class RawTests(ScriptCase):
    """
    In the dialect raw, the streams are compared.
    """

    def test_acrossLines(self) -> None:
        """
        The boundaries of lines and chunks do not matter; the error names the line that contains
        the difference.
        """
        given = session("<abc", ">x", "<de", "<fgh", dialect="raw")
        script = Script(given, CLIENT)
        script.receive(b"ab")
        self.assertIsNone(script.due)
        script.receive(b"cd")
        self.assertEqual((script.take(), script.progress), (b"x", (2, 4)))
        lines = self.assertDifference(script.receive, b"efXh").split("\n")
        self.assertEqual(
            lines,
            [
                "a.session:5: message 4 of 4, sent by the server at 4.000 s, differs",
                "  recorded  67 68  gh",
                "  now       58 68  Xh",
                "            ^ character 1",
            ],
        )
        self.assertEqual(script.got, 6)

    @given(rawSessions(), st.data())
    def test_anyByte(self, given: Session, data: Any) -> None:
        """
        A changed byte is found, and the error names its message.
        """
        side = data.draw(sides)
        script = Script(given, side)
        theirs = [each for each in given.messages if each.side != side]
        stream = bytearray(b"".join(each.data for each in theirs))
        if not stream:
            return
        at = data.draw(st.integers(0, len(stream) - 1))
        stream[at] ^= data.draw(st.integers(1, 255))
        ends = itertools.accumulate(len(each.data) for each in theirs)
        message = next(each for each, end in zip(theirs, ends, strict=True) if at < end)
        chunks = data.draw(cuts(bytes(stream)))

        def receive() -> None:
            for chunk in chunks:
                script.receive(chunk)

        text = self.assertDifference(receive)
        self.assertTrue(text.startswith(f"session:{message.line}: message {message.n} of "), text)
        self.assertEqual(script.got, at)

    def test_surplus(self) -> None:
        """
        Bytes after the last one are an error.
        """
        script = Script(session("<ab", dialect="raw"), CLIENT)
        self.assertEqual(
            self.assertDifference(script.receive, b"abcd"),
            "a.session: the server said more than was recorded: 63 64  cd",
        )

    def test_missing(self) -> None:
        """
        Bytes that have not been received are an error with their line.
        """
        script = Script(session("<ab", "<cd", dialect="raw"), CLIENT)
        script.receive(b"abc")
        self.assertEqual(
            self.assertDifference(script.peerClosed),
            "a.session:3: message 2 of 2 had not been received when the connection was closed:"
            " 63 64  cd",
        )

    def test_masks(self) -> None:
        """
        Masks need messages.
        """
        given = session("<ab", dialect="raw")
        error = self.assertRaises(ValueError, Script, given, CLIENT, masksOf(a="(a)"))
        self.assertEqual(
            str(error),
            "a.session: masks and hidden values need a dialect with messages, such as xml or lines",
        )
        Script(given, CLIENT, Masks())
        Script(given, CLIENT, masksOf(a="(a)"), dialect=DIALECTS["lines"])

    def test_changed(self) -> None:
        """
        A recorded value has one value of today.
        """
        given = session("<id=624", "<id=7", "<id=624", "<id=624 id=624")
        script = Script(given, CLIENT, masksOf(id="id=([0-9]+)"))
        script.receive(b"id=630\0id=8\0id=630\0")
        with self.assertRaises(Difference) as caught:
            script.receive(b"id=630 id=999\0")
        self.assertIn(
            "a.session:5: message 4 of 4, sent by the server at 4.000 s, differs\n"
            "  id is '999', but '630' was received before for the recorded '624'; if it may change,"
            ' use kind = "any"',
            str(caught.exception),
        )

    def test_changedInOneMessage(self) -> None:
        """
        Two values in one message must be consistent, too.
        """
        script = Script(session("<id=1 id=1"), CLIENT, masksOf(id="id=([0-9]+)"))
        self.assertIsNotNone(script.check(b"id=2 id=3\0"))


class TurnTests(ScriptCase):
    """
    Scripts skip messages, wait, and refuse gaps.
    """

    def test_skips(self) -> None:
        """
        Skipped messages are neither sent, nor expected, nor compared, nor counted.
        """
        masks = Masks.parse({"skip": [{"pattern": "^ping"}]})
        given = session("<ping1", ">a", ">ping2", "<b", "<ping3")
        client, server = Script(given, CLIENT, masks), Script(given, SERVER, masks)
        self.assertEqual(client.progress, (0, 2))
        client.receive(b"ping9\0")
        self.assertEqual((client.take(), client.due), (b"a\0", None))
        server.receive(b"ping\0ping\0a\0")
        client.receive(b"ping8\0" + server.take() + b"ping\0")
        self.assertTrue(client.isComplete and server.isComplete)
        wrong = Script(given, CLIENT, masks)
        text = self.assertDifference(wrong.receive, b"c\0")
        self.assertIn("a.session:5: message 4 of 5", text)

    def test_pause(self) -> None:
        """
        The pause is the time since the previous message of either side, at most 10 seconds.
        """
        given = session("<a", ">b", "<c", ">d", end="client")
        given.messages[1] = Message(b"b\0", CLIENT, 0.5, 2)
        given.messages[3] = Message(b"d\0", CLIENT, 99.0, 4)
        given.end = End(CLIENT, 101.5, 5)
        script = Script(given, CLIENT)
        script.receive(b"a\0")
        self.assertEqual(script.pause, 0.0)
        script.take()
        script.receive(b"c\0")
        self.assertEqual((script.pause, script.endPause), (10.0, 2.5))
        self.assertEqual(Script(session(), CLIENT).endPause, 0.0)
        self.assertEqual(Script(Session(end=End(CLIENT, 50.0)), CLIENT).endPause, 10.0)

    def test_gap(self) -> None:
        """
        A session with a gap cannot be played.
        """
        given = session("<a")
        given.gaps.append(Gap(5120, "disk", 1.0, 2, 3))
        error = self.assertRaises(ValueError, Script, given, CLIENT)
        self.assertEqual(
            str(error),
            "a.session:3: 5120 bytes were not recorded (disk); use --ignore-gaps to play the"
            " session without them",
        )

    def test_spoken(self) -> None:
        """
        A message that another script has sent counts if it is due and fits.
        """
        script = Script(session("<k=1;", ">k=1;"), SERVER, masksOf(k="k=(.);"))
        self.assertFalse(script.spoken(b"other\0"))
        self.assertTrue(script.spoken(b"k=2;\0"))
        self.assertFalse(script.spoken(b"k=2;\0"))
        self.assertEqual(script.known.texts(), {"k": "2"})

    def test_missingValues(self) -> None:
        """
        Hidden values of the own side must be given; values of the other side are learned.
        """
        hidden = {"p": "p=(.*?);", "t": "t=(.*?);"}
        given = session("<t={t};", ">p={p};t={t};", hidden=hidden)
        script = Script(given, CLIENT, masksOf(t="t=(.*?);"))
        self.assertEqual((script.missing(), script.learned()), ({"p", "t"}, {"t"}))
        self.assertEqual(Script(given, SERVER).missing(), {"t"})

    def test_dialect(self) -> None:
        """
        Another dialect can be used.
        """
        given = Session(
            Header(dialect="my:Dialect"), [Message(b"a\0", SERVER), Message(b"b\0", SERVER)]
        )
        script = Script(given, CLIENT, masksOf(a="(a)"), dialect=XML)
        script.receive(b"a\0b\0")
        self.assertTrue(script.isComplete)


def candidatesOf(*given: Session, masks: Masks | None = None, dialect: Dialect = XML) -> Candidates:
    """
    Create the candidates for the server of sessions.
    """
    return Candidates([Script(each, SERVER, masks, Known(), dialect) for each in given])


def said(candidates: Candidates) -> list[bytes]:
    """
    Return the messages that the server sends now.
    """
    found = []
    while candidates.current.due:
        found.append(candidates.take())
    return found


class CandidatesTests(ScriptCase):
    """
    L{Candidates} finds the session that a client plays.
    """

    def test_greeting(self) -> None:
        """
        The first session says the greeting; the other sessions learn its values from it, and stay
        candidates.
        """
        masks = masksOf(key="key=([0-9]+);", login="login=([0-9]+)")
        ann = session("<key=1;", ">login=1 ann", "<hi ann key=1;", name="ann")
        ben = session("<key=2;", ">login=2 ben", "<hi ben key=2;", name="ben")
        candidates = candidatesOf(ann, ben, masks=masks)
        self.assertEqual(said(candidates), [b"key=1;\0"])
        self.assertEqual(len(candidates.scripts), 2)
        candidates.receive(b"login=9 ben\0")
        self.assertEqual(said(candidates), [b"hi ben key=1;\0"])
        self.assertEqual(candidates.current.session.name, "ben")
        candidates.peerClosed()

    def test_otherGreeting(self) -> None:
        """
        A session with another greeting is removed after the greeting has been sent.
        """
        candidates = candidatesOf(session("<a", ">x"), session("<b", ">y"), session(">x"))
        self.assertEqual(said(candidates), [b"a\0"])
        self.assertEqual(len(candidates.scripts), 1)
        self.assertIn("differs", self.assertDifference(candidates.receive, b"y\0"))

    def test_silentFirst(self) -> None:
        """
        Sessions that begin with the client stay candidates until the client has sent something.
        """
        candidates = candidatesOf(
            session(">x", "<a"), session("<b", ">y", "<c"), session(">y", "<d")
        )
        self.assertEqual(said(candidates), [])
        candidates.receive(b"y\0")
        self.assertEqual(said(candidates), [b"b\0", b"c\0"])

    def test_emptySession(self) -> None:
        """
        A session without messages, or one that the client closes next, does not delay others.
        """
        empty, short = session(end="client", name="empty"), session(">x", name="short")
        candidates = candidatesOf(empty, short, session("<b", ">x", "<c"))
        self.assertEqual(said(candidates), [])
        candidates.receive(b"x\0")
        self.assertEqual(said(candidates), [b"b\0", b"c\0"])
        candidates = candidatesOf(empty, session("<b", ">x"))
        self.assertEqual(said(candidates), [b"b\0"])
        candidates = candidatesOf(session(">x", "<y", name="long"), short)
        candidates.receive(b"x\0")
        candidates.peerClosed()
        self.assertEqual(candidates.current.session.name, "short")

    def test_best(self) -> None:
        """
        If no session is left, the error is that of the session that has matched most, then of the
        first.
        """
        candidates = candidatesOf(session(">a", ">x", name="one"), session(">a", ">y", name="two"))
        candidates.receive(b"a\0")
        text = self.assertDifference(candidates.receive, b"z\0")
        self.assertTrue(text.startswith("one:3: message 2 of 2"), text)
        self.assertEqual(len(candidates.scripts), 1)

    def test_bestStream(self) -> None:
        """
        In the dialect raw, the session that has matched most bytes is named.
        """
        raw = DIALECTS["raw"]
        candidates = candidatesOf(
            session(">xyz", dialect="raw", name="one"),
            session(">abc", dialect="raw", name="two"),
            dialect=raw,
        )
        text = self.assertDifference(candidates.receive, b"abX")
        self.assertTrue(text.startswith("two:2: message 1 of 1"), text)

    def test_raw(self) -> None:
        """
        The bytes of the client select a session, also across lines.
        """
        candidates = candidatesOf(
            session(">ab", ">c", "<1", dialect="raw"),
            session(">abd", "<2", dialect="raw"),
            dialect=DIALECTS["raw"],
        )
        candidates.receive(b"ab")
        candidates.receive(b"d")
        self.assertEqual(said(candidates), [b"2"])
        candidates.peerClosed()

    def test_incomplete(self) -> None:
        """
        The incomplete message at the end selects a session.
        """
        one, two = session(">a", ">b~", name="one"), session(">a", ">bc~", name="two")
        candidates = candidatesOf(one, two)
        candidates.receive(b"a\0b")
        self.assertEqual(len(candidates.scripts), 2)
        candidates.peerClosed()
        self.assertEqual(candidates.current.session.name, "one")
        candidates = candidatesOf(one, two)
        candidates.receive(b"a\0bc")
        candidates.peerClosed()
        self.assertEqual(candidates.current.session.name, "two")

    def test_missing(self) -> None:
        """
        At the end, sessions with missing messages are removed; if none is left, the missing
        message is the error.
        """
        candidates = candidatesOf(session(">a", ">b", name="one"), session(">a", name="two"))
        candidates.receive(b"a\0")
        candidates.peerClosed()
        self.assertEqual(candidates.current.session.name, "two")
        candidates = candidatesOf(session(">a", ">b", name="one"))
        self.assertIn("one:2: message 1 of 2 had not", self.assertDifference(candidates.peerClosed))

    @given(st.lists(sessions, min_size=1, max_size=4), st.data())
    def test_anySession(self, found: list[Session], data: Any) -> None:
        """
        A client that plays the first of several sessions is served with it, if the server closes
        the connection.
        """
        found[0].end = End(SERVER)
        name = found[0].header.dialect
        alike = [each for each in found if each.header.dialect == name]
        candidates = candidatesOf(*alike, dialect=DIALECTS[name])
        client = Script(alike[0], CLIENT)
        while client.due or candidates.current.due:
            for message in said(candidates):
                for chunk in data.draw(cuts(message)):
                    client.receive(chunk)
            while client.due:
                candidates.receive(client.take())
        candidates.peerClosed()
        client.peerClosed()
        self.assertTrue(client.isComplete)


class LooseTests(ScriptCase):
    """
    L{LooseScript} answers messages in any order.
    """

    def loose(self, given: Session, masks: Masks | None = None) -> LooseScript:
        """
        Create a loose script for a session and masks.
        """
        return LooseScript(Script(given, SERVER, masks), XML)

    def test_answers(self) -> None:
        """
        Each message is answered as in the session; an unknown message is not answered.
        """
        script = self.loose(session("<hello", "<motd", ">a", "<1", "<2", ">b", ">c", "<3"))
        self.assertEqual(script.greeting(), [b"hello\0", b"motd\0"])
        self.assertEqual(script.receive(b"c"), ([], []))
        self.assertEqual(script.receive(b"\0a\0?\x1b\0b\0"), ([b"3\0", b"1\0", b"2\0"], [r"?\x1b"]))
        self.assertEqual((script.known, script.unknown), (3, 1))

    def test_next(self) -> None:
        """
        A message that occurs several times is answered as after its next place, then as after the
        first one.
        """
        script = self.loose(session(">a", "<1", ">a", "<2"))
        answers = [script.receive(b"a\0")[0] for _ in range(4)]
        self.assertEqual(answers, [[b"1\0"], [b"2\0"], [b"1\0"], [b"2\0"]])

    def test_masks(self) -> None:
        """
        Values are learned, and filled into answers; skipped messages are ignored.
        """
        masks = Masks.parse(
            {
                "variable": [{"name": "n", "pattern": "n=([a-z]+);"}],
                "skip": [{"pattern": "^ping"}],
            }
        )
        script = self.loose(session("<ping", ">n=ann;", "<ping", "<hi n=ann;"), masks)
        self.assertEqual(script.greeting(), [])
        self.assertEqual(script.receive(b"ping\0n=ben;\0"), ([b"hi n=ben;\0"], []))
        self.assertEqual((script.known, script.unknown), (1, 0))
        _, unknown = script.receive(b"my n=secret;\0")
        self.assertEqual(unknown, ["my n={n};"])
