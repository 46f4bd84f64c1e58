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
    Return the length of the block that a line with a dollar sign announces.
    """
    return numberIn(line[1:]) if line.startswith(b"$") else None


def parse(chunks: list[bytes], maxBlock: int = 5) -> Found:
    """
    Return the lines and blocks of a stream, up to an error, and the error.
    """
    splitter = LineBlockParser(lengthOf, maxBlock)
    found: Found = []
    try:
        for chunk in chunks:
            for each in splitter.receive(chunk):
                found.append(each)
    except StreamError as problem:
        found.append(str(problem))
    return found


class LineBlockParserTests(SynchronousTestCase):
    """
    L{LineBlockParser} parses lines and blocks.
    """

    def test_blocks(self) -> None:
        """
        A line is returned with its block. A newline in a block is data.
        """
        self.assertEqual(
            parse([b"a\r\n$2\r\n\r\n\r\n$0\r\n\r\nb\rc\n\r\n"]),
            [(b"a", None), (b"$2", b"\r\n"), (b"$0", b""), (b"b\rc\n", None)],
        )

    @given(cutStreams(streams))
    def test_anySplit(self, example: tuple[bytes, list[bytes]]) -> None:
        """
        The lines and blocks, and an error, do not depend on chunk boundaries.
        """
        stream, chunks = example
        self.assertEqual(parse(chunks), parse([stream]))

    def test_problems(self) -> None:
        """
        A block that is too long or longer than announced, and an invalid length,
        raise an error.
        """
        for stream, message in [
            (b"$6\r\n", "a block of 6 bytes exceeds 5 bytes"),
            (b"$2\r\nabc\r\n", "longer than announced"),
            (b"$-1\r\n", "b'-1' is not a number"),
            (b"$" + b"1" * 20 + b"\r\n", "is not a number"),
        ]:
            self.assertIn(message, str(parse([b"a\r\n" + stream])[1]))

    def test_longLine(self) -> None:
        """
        A line may have the maximum length. A longer line raises an error,
        complete or not.
        """
        message = [f"a line is longer than {MAX_LINE} bytes"]
        line = b"x" * MAX_LINE
        self.assertEqual(parse([line, b"\r", b"\n"]), [(line, None)])
        self.assertEqual(parse([line + b"x\r\n"]), message)
        self.assertEqual(parse([line, b"x", b"\r"]), message)

    def test_pending(self) -> None:
        """
        The bytes of an incomplete line or block are counted.
        """
        splitter = LineBlockParser(lengthOf, 5)
        self.assertEqual(list(splitter.receive(b"a\r\n$5\r\nab")), [(b"a", None)])
        self.assertEqual(splitter.pending, 6)
        self.assertEqual(list(splitter.receive(b"cde\r\n")), [(b"$5", b"abcde")])
        self.assertEqual(splitter.pending, 0)
