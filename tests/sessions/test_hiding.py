"""
Tests of C{--record-hide}: secrets never reach the disk.
"""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.sessions import _recorder
from openfl_twisted.sessions._recorder import Recorder
from openfl_twisted.sessions._session import Hider
from openfl_twisted.testing import EVERY_BYTE, Peer, atOffsets
from openfl_twisted.wire.dialects import DIALECTS
from tests.sessions.recordings import (
    SIZES,
    Answering,
    RecordingCase,
    WebSocketPeer,
    dataOf,
    endOf,
    told,
)

PASSWORD = {"password": "<pword>(.*?)</pword>"}
LOGIN = b"<login><pword>s3cret</pword></login>\0"


class HidingTests(RecordingCase):
    """
    Tests with a server that answers each message with the same message.
    """

    def checkHidden(self) -> None:
        """
        Check that the secret is not on the disk.
        """
        self.assertNotIn(b"s3cret", self.bytesOnDisk())
        self.assertNotIn(b"s3c", self.bytesOnDisk())

    def test_everyCut(self) -> None:
        """
        The secret is hidden, wherever the stream is cut, and wherever it ends.
        """
        for end in range(len(LOGIN) + 1):
            for cut in range(end + 1):
                self.setUp()
                self.record(hide=PASSWORD)
                client = self.connect(self.serve())
                self.network.connections[-1].toServer.split(atOffsets(2, 2 + cut))
                client.send(b"a\0" + LOGIN[:end])
                self.network.flush()
                client.close()
                self.network.flush()
                [session] = self.finish()
                self.checkHidden()
                wanted = b"a\0"
                if end == len(LOGIN):
                    wanted += b"<login><pword>{password}</pword></login>\0"
                self.assertEqual(dataOf(session, "client"), wanted)
                lengths = [(gap.length, gap.why) for gap in session.gaps]
                self.assertEqual(lengths, [(end, "hidden")] if 0 < end < len(LOGIN) else [])
                self.assertEqual(endOf(session), "client")

    @given(SIZES)
    def test_webSocket(self, sizes: list[int]) -> None:
        """
        The secret is hidden if it is divided into WebSocket messages.
        """
        self.setUp()
        self.record(hide=PASSWORD)
        client = self.connect(self.serve(), WebSocketPeer())
        self.network.connections[-1].toServer.split(EVERY_BYTE)
        self.network.flush()
        at = 0
        for size in [*sizes, len(LOGIN)]:
            client.say(LOGIN[at : at + size] or b"\0")
            at += size
            self.network.flush()
        self.finish()
        self.checkHidden()

    def test_path(self) -> None:
        """
        A secret in the path of a WebSocket is hidden.
        """
        self.record(hide={"token": "token=([^&]*)"})
        client = self.connect(self.serve(), WebSocketPeer(path="/a?token=s3cret&x=1"))
        self.network.flush()
        client.say(b"a\0")
        self.network.flush()
        [session] = self.finish()
        self.checkHidden()
        self.assertEqual(session.header.path, "/a?token={token}&x=1")

    def test_gapsAreNotWarned(self) -> None:
        """
        An incomplete message that is not recorded causes no warning about the disk.
        """
        self.record(hide=PASSWORD)
        client = self.connect(self.serve())

        def talk() -> None:
            client.send(LOGIN[:20])
            self.network.flush()
            self.finish()

        [warning] = self.warnings(talk)
        self.assertIn("the pattern of the secret password has matched nothing", warning)
        self.assertEqual(self.recorder.gaps, 1)

    def longMessages(self, **options: Any) -> tuple[Any, Peer, bytes]:
        """
        Send a message that is too long to be held, with a secret in each part, and a message
        after it.
        """
        self.patch(_recorder, "MAX_MESSAGE", 1000)
        self.record(**options)
        client = self.connect(self.serve(XMLSocketFactory(Answering, maxLength=1 << 20)))
        self.network.connections[-1].toServer.split([300] * 50)
        long = LOGIN[:-1] * 200 + b"\0"
        client.send(long + b"b\0" + LOGIN)
        self.network.flush()
        [session] = self.finish()
        return session, client, long

    def test_long(self) -> None:
        """
        A message that is too long to be held is a gap. The following messages are recorded.
        """
        session, client, long = self.longMessages(hide=PASSWORD)
        self.checkHidden()
        hidden = LOGIN.replace(b"s3cret", b"{password}")
        self.assertEqual(dataOf(session, "client"), b"b\0" + hidden)
        self.assertEqual(sum(gap.length for gap in session.gaps), len(long))
        self.assertIn(b"<<login>", client.received)

    def test_longShown(self) -> None:
        """
        Without secrets, a message that is too long to be held is recorded in parts.
        """
        session, client, long = self.longMessages()
        self.assertEqual(dataOf(session, "client"), long + b"b\0" + LOGIN)
        self.assertEqual(dataOf(session, "server"), client.received)
        whole = [message.data for message in session.messages if not message.isPartial]
        self.assertEqual([data for data in whole if data in (b"b\0", LOGIN)], [b"b\0", LOGIN])
        self.assertEqual(session.gaps, [])

    def test_longBinary(self) -> None:
        """
        After a message that is too long to be held, messages that begin with their length are
        recorded in parts.
        """
        self.patch(_recorder, "MAX_MESSAGE", 10)
        self.record("u32")
        client = self.connect(self.serve(XMLSocketFactory(Answering, maxLength=1 << 20)))
        client.send(b"\0\0\0\x01a\0\0\0\x20bcdefghijkl")
        self.network.flush()
        client.send(b"\0\0\0\x01c")
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(
            [message.data for message in session.messages if message.side == "client"],
            [b"\0\0\0\x01a", b"\0\0\0\x20bcdefghijkl", b"\0\0\0\x01c"],
        )

    def test_refused(self) -> None:
        """
        Patterns are refused if they are invalid, or messages cannot be changed.
        """
        for dialect in ("raw", "u16", "u32self", "amf0", "amf3"):
            with self.assertRaisesRegex(ValueError, f"dialect {dialect}: use xml or lines"):
                Recorder(self.folder, dialect, DIALECTS[dialect], hide=PASSWORD)
        for pattern in ("(", "x", "(a)(b)"):
            with self.assertRaisesRegex(ValueError, "^password: the pattern"):
                Recorder(self.folder, "xml", DIALECTS["xml"], hide={"password": pattern})

    def test_header(self) -> None:
        """
        The header contains the patterns.
        """
        self.record(hide=PASSWORD)
        self.connect(self.serve()).send(b"a\0")
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(session.header.hidden, PASSWORD)


class HiderTests(RecordingCase):
    """
    Tests for L{Hider}.
    """

    def hide(self, data: bytes, **patterns: str) -> bytes:
        return Hider(patterns).hide(data)

    def test_several(self) -> None:
        """
        A secret is hidden if its pattern matches text that contains another secret.
        """
        data = b"user=ann&token=s3cret;"
        both = {"user": "user=([a-z]+)", "token": "user=[a-z]+&token=([^;]+)"}
        for names in (["user", "token"], ["token", "user"]):
            self.assertEqual(
                self.hide(data, **{name: both[name] for name in names}),
                b"user={user}&token={token};",
            )

    def test_overlapping(self) -> None:
        """
        Secrets that overlap are hidden completely.
        """
        self.assertEqual(self.hide(b"<abcdef>", one="(abcd)", two="(cdef)"), b"<{one}>")
        self.assertEqual(self.hide(b"<abcdef>", one="(cd)", two="<(.*?)>"), b"<{two}>")
        self.assertEqual(self.hide(b"abcd", one="(?=(ab|bc))"), b"{one}d")

    def test_unmatchedGroup(self) -> None:
        """
        A match without its group hides nothing.
        """
        self.assertEqual(self.hide(b"abab", one="a(c)?b"), b"abab")

    @given(
        st.lists(st.sampled_from(["<p>", "</p>", "a", "\n", "<", "é", ".", "\\."])).map("".join),
        st.sampled_from(["<p>", ".", "é<", "a"]),
        st.sampled_from(["</p>", "\n", "."]),
        st.sampled_from("*+"),
    )
    def test_between(self, text: str, before: str, after: str, repeat: str) -> None:
        """
        A pattern of the common form hides the same text as its regular expression.
        """
        before, after = re.escape(before), re.escape(after)
        pattern = f"{before}(.{repeat}?){after}"
        same = f"(?:{before})(.{repeat}?){after}"
        self.assertEqual(self.hide(text.encode(), x=pattern), self.hide(text.encode(), x=same))

    def test_linear(self) -> None:
        """
        The common form of a pattern does not search a message again after each beginning.
        """
        steps = []

        class Counting(bytes):
            def find(self, *arguments: Any) -> int:
                steps.append(arguments)
                return super().find(*arguments)

        data = Counting(b"<pword>" * 10_000)
        self.assertEqual(Hider(PASSWORD).hide(data), data)
        self.assertEqual(len(steps), 2)

    def test_acrossMessages(self) -> None:
        """
        A pattern does not match parts of two messages.
        """
        self.record(hide=PASSWORD)
        client = self.connect(self.serve())
        data = b"<pword>one\0two</pword>\0" + LOGIN
        client.send(data)
        self.network.flush()
        [session] = self.finish()
        self.assertEqual(
            [message for side, message in told(session) if side == "client"],
            [b"<pword>one\0", b"two</pword>\0", LOGIN.replace(b"s3cret", b"{password}")],
        )
