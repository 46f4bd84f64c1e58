"""
Tests for L{openfl_twisted.wire.lines}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.lines import Line, LineSplitter
from openfl_twisted.wire.messages import MessageTooLong
from tests.segments import cutStreams

streams = st.lists(st.sampled_from([b"\0", b"\r", b"\n", b"a", b"bc"])).map(b"".join)
framings = st.sampled_from(["lines", "nul", "auto"])


def eventsOf(framing: str, chunks: list[bytes], maxLength: int) -> list[Line | str | bytes]:
    """
    Return the lines of a stream, up to the first line that is too long.
    """
    splitter = LineSplitter(framing, maxLength)
    events: list[Line | str | bytes] = []
    for chunk in chunks:
        try:
            events += splitter.receive(chunk)
        except MessageTooLong as error:
            return [*events, *error.before, "too long"]
    return [*events, splitter.finish()]


class LineSplitterTests(SynchronousTestCase):
    """
    L{LineSplitter} splits a stream into lines.
    """

    def lines(self, framing: str, stream: bytes) -> list[Line]:
        """
        Return the lines of a stream that is received in one chunk.
        """
        return LineSplitter(framing).receive(stream)

    def test_line(self) -> None:
        """
        CR, LF and CR LF terminate a line; NUL is an ordinary character.
        """
        self.assertEqual(
            self.lines("lines", b"a\rb\nc\r\n\0d\n\r\n"),
            [
                Line(b"a", b"\r\n"),
                Line(b"b", b"\r\n"),
                Line(b"c", b"\r\n"),
                Line(b"\0d", b"\r\n"),
                Line(b"", b"\r\n"),
            ],
        )

    def test_nul(self) -> None:
        """
        NUL terminates a line; CR and LF are ordinary characters.
        """
        self.assertEqual(
            self.lines("nul", b"a\r\n\0\0b\0"),
            [Line(b"a\r\n", b"\0"), Line(b"", b"\0"), Line(b"b", b"\0")],
        )

    def test_auto(self) -> None:
        """
        A newline or NUL terminates a line. A NUL directly after a newline
        terminates the same line again.
        """
        self.assertEqual(
            self.lines("auto", b"a\nb\0c\r\n\0\0\n"),
            [
                Line(b"a", b"\r\n"),
                Line(b"b", b"\0"),
                Line(b"c", b"\r\n"),
                Line(None, b"\0"),
                Line(b"", b"\0"),
                Line(b"", b"\r\n"),
            ],
        )

    def test_firstTerminator(self) -> None:
        """
        A CR at the end of a chunk terminates the line immediately, although an LF
        may follow.
        """
        splitter = LineSplitter("auto")
        self.assertEqual(splitter.receive(b"a\r"), [Line(b"a", b"\r\n")])
        self.assertEqual(splitter.receive(b"\n"), [])
        self.assertEqual(splitter.receive(b"\0"), [Line(None, b"\0")])

    def test_finish(self) -> None:
        """
        A line without a terminator is returned at EOF, once.
        """
        splitter = LineSplitter("lines")
        splitter.receive(b"a\nbc")
        self.assertEqual((splitter.finish(), splitter.finish()), (b"bc", b""))

    def test_noLimit(self) -> None:
        """
        With a limit of 0, a line can have any length.
        """
        line = bytes(range(65, 91)) * 10_000
        splitter = LineSplitter("lines", 0)
        self.assertEqual(splitter.receive(line), [])
        self.assertEqual(splitter.receive(b"\n"), [Line(line, b"\r\n")])

    @given(framings, cutStreams(streams), st.integers(1, 6))
    def test_anySplit(self, framing: str, cut: tuple[bytes, list[bytes]], maxLength: int) -> None:
        """
        The lines, and the line that is too long, do not depend on chunk boundaries.
        """
        stream, chunks = cut
        self.assertEqual(
            eventsOf(framing, chunks, maxLength), eventsOf(framing, [stream], maxLength)
        )
