"""
Tests for L{openfl_twisted.sessions._ruffle} and L{openfl_twisted.sessions._wireshark}.
"""

import json
from base64 import b64encode
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.sessions._ruffle import fromRuffle, toRuffle
from openfl_twisted.sessions._session import CLIENT, ENDS, SERVER, End, Header, Message, Session
from openfl_twisted.sessions._wireshark import fromWireshark
from openfl_twisted.testing import ScriptedPeer
from openfl_twisted.wire.dialects import DIALECTS
from tests.segments import cuts
from tests.sessions.followed import FOLLOWED
from tests.sessions.sessioncase import session, sessions
from tests.sessions.strategies import jsonValues, rawSessions

RAW = DIALECTS["raw"]


def texts(found: Session) -> list[tuple[str, bytes]]:
    """
    Return the sides and data of messages.
    """
    return [(each.side, each.data) for each in found.messages]


def joined(found: Session) -> list[tuple[str, bytes]]:
    """
    Return the sides and data of messages; those of one side that follow each other are joined.
    """
    parts: list[tuple[str, bytes]] = []
    for side, data in texts(found):
        if parts and parts[-1][0] == side:
            parts[-1] = (side, parts[-1][1] + data)
        else:
            parts.append((side, data))
    return parts


class RuffleTests(SynchronousTestCase):
    """
    Scripts of Ruffle's socket tests are converted from and to sessions.
    """

    EVENTS = [
        {"type": "Receive", "expected": [60, 97, 0]},
        {"type": "Send", "payload": [98, 0, 255]},
        {"type": "WaitForDisconnect"},
    ]

    def test_script(self) -> None:
        """
        The client of the session is the SWF.
        """
        found = fromRuffle(json.dumps(self.EVENTS))
        self.assertEqual(found.header, Header(dialect="raw"))
        self.assertEqual(texts(found), [(CLIENT, b"<a\0"), (SERVER, b"b\0\xff")])
        self.assertEqual(found.end, End(CLIENT, 0.0, 3))
        self.assertEqual([each.n for each in found.messages], [1, 2])
        self.assertEqual(json.loads(toRuffle(found)), self.EVENTS)

    def test_ends(self) -> None:
        """
        An end other than that of the client is C{Disconnect}.
        """
        for how in ENDS:
            event = json.loads(toRuffle(session(end=how)))
            kind = "WaitForDisconnect" if how == CLIENT else "Disconnect"
            self.assertEqual(event, [{"type": kind}])
        self.assertEqual(toRuffle(session()), "[]\n")
        self.assertEqual(fromRuffle('[{"type": "Disconnect"}]').end, End(SERVER, 0.0, 1))

    @given(rawSessions())
    def test_roundTrip(self, given: Session) -> None:
        """
        A session is the same after both conversions, as is a script.
        """
        script = toRuffle(given)
        found = fromRuffle(script.encode())
        self.assertEqual(texts(found), texts(given))
        self.assertEqual(found.end and found.end.how, given.end and given.end.how)
        self.assertEqual(toRuffle(found), script)
        ScriptedPeer.fromRuffle(script)

    @given(sessions, st.data())
    def test_segments(self, given: Session, data: Any) -> None:
        """
        The messages are the same, however the events split the streams.
        """
        events = [
            {"type": "Receive", "expected": list(chunk)}
            if message.side == CLIENT
            else {"type": "Send", "payload": list(chunk)}
            for message in given.messages
            for chunk in data.draw(cuts(message.data))
        ]
        found = fromRuffle(json.dumps(events), given.header.dialect)
        self.assertEqual(texts(found), texts(given))
        self.assertEqual(found.header.dialect, given.header.dialect)

    def test_incomplete(self) -> None:
        """
        The incomplete messages of both sides are at the end.
        """
        events = [
            {"type": "Send", "payload": [97]},
            {"type": "Receive", "expected": [98]},
            {"type": "Send", "payload": [0, 99]},
        ]
        found = fromRuffle(json.dumps(events), "my:Dialect", DIALECTS["xml"])
        self.assertEqual(texts(found), [(SERVER, b"a\0"), (CLIENT, b"b"), (SERVER, b"c")])
        self.assertEqual([each.isPartial for each in found.messages], [False, True, True])
        found = fromRuffle(json.dumps(events[1:2]), "xml")
        self.assertEqual(found.messages, [Message(b"b", CLIENT, isPartial=True)])

    def test_invalid(self) -> None:
        """
        An invalid script is a C{ValueError} that names the event.
        """
        for text, error in (
            ("", "invalid Ruffle script: "),
            (b"\xff\xff", "invalid Ruffle script: "),
            ("[" * 100_000, "invalid Ruffle script: "),
            ("{}", "invalid Ruffle script: must be a list"),
            ("[5]", "invalid Ruffle script: event 1 is 5"),
            ('[{"type": "Disconnect"}, {}]', "invalid Ruffle script: event 2 is {}"),
            (
                '[{"type": "Disconnect"}, {"type": "Disconnect"}]',
                "invalid Ruffle script: event 2 is {'type': 'Disconnect'}",
            ),
            ('[{"type": ["Send"]}]', "invalid Ruffle script: event 1 is "),
            ('[{"type": "Send"}]', "invalid Ruffle script: event 1 is "),
            ('[{"type": "Send", "payload": 5}]', "invalid Ruffle script: event 1 is "),
            ('[{"type": "Send", "payload": "ab"}]', "invalid Ruffle script: event 1 is "),
            ('[{"type": "Send", "payload": [256]}]', "invalid Ruffle script: event 1 is "),
            ('[{"type": "Send", "payload": [1.5]}]', "invalid Ruffle script: event 1 is "),
        ):
            problem = self.assertRaises(ValueError, fromRuffle, text)
            self.assertTrue(str(problem).startswith(error), problem)
            self.assertLess(len(str(problem)), 200)

    @given(st.lists(st.dictionaries(st.sampled_from(["type", "payload", "expected"]), jsonValues)))
    def test_anyValues(self, events: list[Any]) -> None:
        """
        Any JSON values are converted, or are a C{ValueError}.
        """
        for event in events:
            try:
                fromRuffle(json.dumps([{"type": "Send", **event}]))
            except ValueError as problem:
                self.assertIn("invalid Ruffle script", str(problem))


def followed(packets: list[tuple[int, bytes]], width: int = 60) -> list[str]:
    """
    Return the output of tshark for packets of peers.
    """
    lines = ["peers:", "  - peer: 0", "  - peer: 1", "packets:"]
    for number, (peer, data) in enumerate(packets, 1):
        text = b64encode(data).decode()
        lines += [f"  - packet: {number}", f"    peer: {peer}", f"    timestamp: {number}.5"]
        lines += ["    data: !!binary |"]
        lines += [f"      {text[at : at + width]}" for at in range(0, len(text), width)]
    return [f"{line}\n" for line in lines]


class WiresharkTests(SynchronousTestCase):
    """
    A stream that Wireshark has reassembled is converted to a session.
    """

    def test_stream(self) -> None:
        """
        Peer 0 is the client; the time begins with the first packet; packets are cut into messages.
        """
        found = fromWireshark(FOLLOWED.splitlines(keepends=True), "my:Dialect", DIALECTS["xml"])
        self.assertEqual(found.header, Header(dialect="my:Dialect"))
        self.assertEqual(
            found.messages,
            [
                Message(b"x" * 47 + b"\0", SERVER, 1.25, 2),
                Message(b"<a>\0", CLIENT, 0.75, 3),
                Message(b"b", CLIENT, 0.75, 3, isPartial=True),
            ],
        )
        self.assertIsNone(found.end)

    @given(sessions, st.data())
    def test_segments(self, given: Session, data: Any) -> None:
        """
        The messages are the same, however the packets split the streams.
        """
        packets = [
            (0 if message.side == CLIENT else 1, chunk)
            for message in given.messages
            for chunk in data.draw(cuts(message.data))
        ]
        if not packets:
            return
        name = given.header.dialect
        lines = followed(packets, data.draw(st.sampled_from([4, 60, 76])))
        self.assertEqual(texts(fromWireshark(lines, name, DIALECTS[name])), texts(given))

    @given(rawSessions())
    def test_raw(self, given: Session) -> None:
        """
        In the dialect raw, each packet is a message.
        """
        packets = [(0 if each.side == CLIENT else 1, each.data) for each in given.messages]
        if packets:
            found = fromWireshark(followed(packets), "raw", RAW)
            self.assertEqual(texts(found), texts(given))

    def test_otherOutput(self) -> None:
        """
        Other lines of the output are ignored.
        """
        lines = ["\n", "====\n", "Node 0: a\n", *followed([(0, b"abc")]), "====\n", "\n"]
        self.assertEqual(texts(fromWireshark(lines, "raw", RAW)), [(CLIENT, b"abc")])

    def test_invalid(self) -> None:
        """
        Lines without packets, and invalid packets, are a C{ValueError}.
        """
        for lines in ([], ["peers:\n", "  - peer: 0\n"], ["packets:\n"]):
            error = self.assertRaises(ValueError, fromWireshark, lines, "raw", RAW)
            self.assertEqual(
                str(error),
                "no packets: expected the output of tshark -q -r FILE -z follow,tcp,yaml,0",
            )
        whole = followed([(0, b"abc")])
        for before, after in (
            ("peer: 0", "peer: a"),
            ("    timestamp: 1.5", "    timestamp: x"),
            ("    timestamp: 1.5", "    timestamp: nan"),
            ("    timestamp: 1.5", "    timestamp: inf"),
            ("    timestamp: 1.5", "    timestamp: -1"),
            ("    timestamp: 1.5", "    other: 5"),
            ("YWJj", "YWJ"),
            ("|\n      YWJj", "*"),
        ):
            lines = "".join(whole).replace(before, after).splitlines()
            error = self.assertRaises(ValueError, fromWireshark, lines, "raw", RAW)
            self.assertEqual(str(error), "invalid packet '1'")

    @given(st.lists(st.sampled_from([*FOLLOWED.splitlines(), "data: AA", "packet: \x1b", "x"])))
    def test_anyLines(self, lines: list[str]) -> None:
        """
        Any lines are converted, or are a C{ValueError} of one printable line.
        """
        try:
            fromWireshark(lines, "xml", DIALECTS["xml"])
        except ValueError as problem:
            self.assertTrue(str(problem).isprintable())
