"""
Tests for L{openfl_twisted.wire.framing}.
"""

from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.framing import FRAMINGS, FrameSplitter, framingOf
from openfl_twisted.wire.messages import MessageTooLong, receiveUpTo
from tests.costs import costsOf
from tests.segments import cuts

FRAMED = sorted(FRAMINGS.keys() - {"raw"})
contents = st.binary(max_size=30).map(lambda data: data.translate(None, b"\0\r\n"))


class FrameTests(SynchronousTestCase):
    """
    Frames of single messages.
    """

    def test_frames(self) -> None:
        """
        Each framing adds its own bytes to a message.
        """
        expected = {
            "nul": b"ab\0",
            "lines": b"ab\n",
            "crlf": b"ab\r\n",
            "u16": b"\0\2ab",
            "u32": b"\0\0\0\2ab",
            "raw": b"ab",
        }
        self.assertEqual({name: each.frame(b"ab") for name, each in FRAMINGS.items()}, expected)

    @given(st.sampled_from(sorted(FRAMINGS)), contents)
    def test_content(self, name: str, content: bytes) -> None:
        """
        The content of a frame is the message.
        """
        framing = FRAMINGS[name]
        self.assertEqual(framing.content(framing.frame(content)), content)

    def test_carriageReturn(self) -> None:
        """
        With C{lines} and C{crlf}, received lines end with LF or CR LF. With C{nul}, CR is part of
        the message.
        """
        for name in ("lines", "crlf"):
            splitter = FrameSplitter(FRAMINGS[name])
            frames = splitter.receive(b"a\nb\r\n\r\nc\rd\r\n")
            self.assertEqual([*map(FRAMINGS[name].content, frames)], [b"a", b"b", b"", b"c\rd"])
        self.assertEqual(FRAMINGS["nul"].content(b"a\r\0"), b"a\r")

    def test_tooLongForLength(self) -> None:
        """
        A message that is too long for its length is an error.
        """
        self.assertEqual(FRAMINGS["u16"].frame(b"a" * 65535)[:2], b"\xff\xff")
        error = self.assertRaises(ValueError, FRAMINGS["u16"].frame, b"a" * 65536)
        self.assertEqual(
            str(error),
            "a message of 65536 bytes is too long for the framing u16, whose length has 2 bytes",
        )

    def test_unknown(self) -> None:
        """
        An unknown name is an error that lists the names.
        """
        error = self.assertRaises(ValueError, framingOf, "xml")
        self.assertEqual(
            str(error), "'xml' is not a framing: use one of nul, lines, crlf, u16, u32, raw"
        )


class FrameSplitterTests(SynchronousTestCase):
    """
    L{FrameSplitter} splits a stream.
    """

    @given(st.data())
    def test_segments(self, data: Any) -> None:
        """
        The frames are the same, however the stream is split.
        """
        framing = FRAMINGS[data.draw(st.sampled_from(FRAMED))]
        frames = [*map(framing.frame, data.draw(st.lists(contents, max_size=6)))]
        splitter = FrameSplitter(framing)
        last = framing.frame(data.draw(contents))
        rest = last[: data.draw(st.integers(0, len(last) - 1))]
        chunks = data.draw(cuts(b"".join(frames) + rest))
        self.assertEqual([each for chunk in chunks for each in splitter.receive(chunk)], frames)
        self.assertEqual(splitter.pending, len(rest))
        self.assertEqual(splitter.takeRest(), rest)

    @given(st.data())
    def test_tooLong(self, data: Any) -> None:
        """
        The first message that exceeds the limit is an error, and the messages before it are
        returned, however the stream is split.
        """
        framing = FRAMINGS[data.draw(st.sampled_from(FRAMED))]
        before = data.draw(st.lists(st.just(b"abc"), max_size=3))
        stream = b"".join(map(framing.frame, [*before, b"a" * data.draw(st.integers(11, 30))]))
        splitter = FrameSplitter(framing, 10)
        found: list[bytes] = []
        with self.assertRaises(MessageTooLong) as caught:
            for chunk in data.draw(cuts(stream)):
                found += splitter.receive(chunk)
        found += caught.exception.before
        self.assertEqual([*map(framing.content, found)], before)
        self.assertEqual(str(caught.exception), "a message is longer than 10 bytes")

    @given(st.data())
    def test_tooLongByLength(self, data: Any) -> None:
        """
        The length at the beginning of a message that exceeds the limit is an error before its
        content is received, however the stream is split.
        """
        framing = FRAMINGS[data.draw(st.sampled_from(["u16", "u32"]))]
        for length, isTooLong in ((10, False), (11, True)):
            splitter = FrameSplitter(framing, 10)
            start = framing.frame(b"a" * length)[: framing.extra]
            chunks = data.draw(cuts(framing.frame(b"abc") + start))
            found: list[bytes] = []
            problem = None
            for chunk in chunks:
                frames, problem = receiveUpTo(splitter, chunk)
                found += frames
                if problem is not None:
                    break
            self.assertEqual((found, problem is not None), ([framing.frame(b"abc")], isTooLong))

    def test_manyFrames(self) -> None:
        """
        Splitting a chunk of many short messages takes few calls of Python functions, so that it
        does not delay other clients.
        """
        for name in FRAMED:
            splitter = FrameSplitter(FRAMINGS[name])
            data = FRAMINGS[name].frame(b"") * 1000
            costs = costsOf(partial(splitter.receive, data))
            self.assertLess(costs.calls, 20, name)

    @given(st.data())
    def test_exactLength(self, data: Any) -> None:
        """
        A message of the maximum length is accepted, however the stream is split.
        """
        framing = FRAMINGS[data.draw(st.sampled_from(FRAMED))]
        frames = [framing.frame(b"a" * 10)] * 2
        splitter = FrameSplitter(framing, 10)
        chunks = data.draw(cuts(b"".join(frames)))
        self.assertEqual([each for chunk in chunks for each in splitter.receive(chunk)], frames)

    def test_noLimit(self) -> None:
        """
        With a limit of 0, and with C{raw}, no message is too long.
        """
        self.assertEqual(len(FrameSplitter(FRAMINGS["lines"], 0).receive(b"a" * 9999 + b"\n")), 1)
        self.assertEqual(FrameSplitter(FRAMINGS["raw"], 1).receive(b"abc"), [b"abc"])
        self.assertEqual(FrameSplitter(FRAMINGS["raw"], 1).receive(b""), [])
