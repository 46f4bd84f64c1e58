"""
Tests for L{openfl_twisted.wire.lineblocks}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.lineblocks import MAX_LINE, LineBlockParser, StreamError, numberIn
from tests.segments import cutStreams

Found = list[tuple[bytes, bytes | None] | str]

streams = st.lists(
    st.sampled_from(
        [b"a", b"\r", b"\n", b"\r\n", b"$0\r\n", b"$2\r\n", b"$5\r\n", b"$9\r\n", b"$x\r\n", b"xy"]
    )
).map(b"".join)


def lengthOf(line: bytes) -> int | None:
    """
    A dollar announces a block.
    """
    return numberIn(line[1:]) if line.startswith(b"$") else None


def cut(pieces: list[bytes], maxBlock: int = 5) -> Found:
    """
    Cut a stream, to its end or up to an error.
    """
    splitter = LineBlockParser(lengthOf, maxBlock)
    found: Found = []
    try:
        for piece in pieces:
            for each in splitter.receive(piece):
                found.append(each)
    except StreamError as problem:
        found.append(str(problem))
    return found


class BlockSplitterTests(SynchronousTestCase):
    """
    L{LineBlockParser} finds lines and blocks.
    """

    def test_blocks(self) -> None:
        """
        A line that announces a block is given with it; a newline in the block
        ends nothing.
        """
        self.assertEqual(
            cut([b"a\r\n$2\r\n\r\n\r\n$0\r\n\r\nb\rc\n\r\n"]),
            [(b"a", None), (b"$2", b"\r\n"), (b"$0", b""), (b"b\rc\n", None)],
        )

    @given(cutStreams(streams))
    def test_anyCut(self, example: tuple[bytes, list[bytes]]) -> None:
        """
        Any cut gives the same, up to the same error.
        """
        stream, pieces = example
        self.assertEqual(cut(pieces), cut([stream]))

    def test_problems(self) -> None:
        """
        A block that is too long, or longer than announced, and a length that is
        none are errors.
        """
        for stream, says in [
            (b"$6\r\n", "a block of 6 bytes exceeds 5 bytes"),
            (b"$2\r\nabc\r\n", "longer than announced"),
            (b"$-1\r\n", "b'-1' is not a number"),
            (b"$" + b"1" * 20 + b"\r\n", "is not a number"),
        ]:
            self.assertIn(says, str(cut([b"a\r\n" + stream])[1]))

    def test_longLine(self) -> None:
        """
        A line may be as long as the limit, whether its end has come or not.
        """
        says = [f"a line is longer than {MAX_LINE} bytes"]
        line = b"x" * MAX_LINE
        self.assertEqual(cut([line, b"\r", b"\n"]), [(line, None)])
        self.assertEqual(cut([line + b"x\r\n"]), says)
        self.assertEqual(cut([line, b"x", b"\r"]), says)

    def test_pending(self) -> None:
        """
        What has not come to its end is known.
        """
        splitter = LineBlockParser(lengthOf, 5)
        self.assertEqual(list(splitter.receive(b"a\r\n$5\r\nab")), [(b"a", None)])
        self.assertEqual(splitter.pending, 6)
        self.assertEqual(list(splitter.receive(b"cde\r\n")), [(b"$5", b"abcde")])
        self.assertEqual(splitter.pending, 0)
