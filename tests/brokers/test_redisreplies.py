"""
Tests for L{openfl_twisted.brokers.redisreplies}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.brokers.redisreplies import RedisProblem, RedisReader, command
from openfl_twisted.wire.lineblocks import StreamError
from tests.brokers.replies import streams
from tests.segments import cutStreams

# Strings that look like announcements.
strings = st.lists(
    st.sampled_from([b"$1000", b"*99999999", b">12345678", b"\r", b"\n", b"\r\n", b"x" * 999, b"7"])
).map(b"".join)

values = st.recursive(
    st.one_of(
        st.binary(max_size=20), strings, st.integers(-(2**63), 2**63 - 1), st.none(),
        st.integers(1000, 1100).map(lambda count: [0] * count),
    ),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def write(value: Any) -> bytes:
    """
    Encode a reply as a server sends it.
    """
    match value:
        case None:
            return b"_\r\n"
        case int():
            return b":%d\r\n" % value
        case list():
            return b"*%d\r\n" % len(value) + b"".join(map(write, value))
        case _:
            return b"$%d\r\n%b\r\n" % (len(value), value)


def read(*chunks: bytes, maxReply: int = 100_000) -> list[object]:
    """
    Read a stream up to its end or the first error.
    """
    reader = RedisReader(maxReply)
    found: list[object] = []
    try:
        for chunk in chunks:
            for each in reader.receive(chunk):
                found.append(each)  # noqa: PERF402 - values before the error must be kept
    except StreamError as problem:
        found.append(str(problem))
    return found


class RedisReaderTests(SynchronousTestCase):
    """
    L{RedisReader} parses replies.
    """

    @given(cutStreams(streams))
    def test_anySplit(self, split: tuple[bytes, list[bytes]]) -> None:
        """
        Any bytes yield replies, or one L{StreamError} after the replies before it. The
        result does not depend on how the stream is split.
        """
        stream, chunks = split
        self.assertEqual(read(*chunks), read(stream))

    @given(st.lists(values, max_size=3), st.data())
    def test_roundTrip(self, replies: list[Any], data: st.DataObject) -> None:
        """
        Nested replies are read as they were written, however the stream is split.
        """
        stream = b"".join(map(write, replies))
        _, chunks = data.draw(cutStreams(st.just(stream)))
        self.assertEqual(read(*chunks, maxReply=10**7), replies)

    def test_kinds(self) -> None:
        """
        Every type of reply is read.
        """
        for stream, value in [
            (b"+OK\r\n", b"OK"),
            (b"+\xff\r\n", b"\xff"),
            (b"-ERR no\r\n", RedisProblem("ERR no")),
            (b"-\xff\r\n", RedisProblem("\ufffd")),
            (b":-12\r\n", -12),
            (b"$2\r\n\r\n\r\n", b"\r\n"),
            (b"$0\r\n\r\n", b""),
            (b"$2\r\n12\r\n", b"12"),
            (b"$-1\r\n", None),
            (b"_\r\n", None),
            (b"*-1\r\n", None),
            (b"*0\r\n", []),
            (b">0\r\n", []),
            (b"#f\r\n", False),
            (b"*2\r\n*1\r\n:1\r\n~1\r\n:2\r\n", [[1], [2]]),
            (b"%1\r\n+a\r\n:1\r\n", {b"a": 1}),
            (b"*2\r\n:1\r\n-ERR no\r\n", [1, RedisProblem("ERR no")]),
            (b">3\r\n$1\r\na\r\n*0\r\n_\r\n", [b"a", [], None]),
        ]:
            self.assertEqual(read(stream), [value])

    def test_problems(self) -> None:
        """
        Data outside of the protocol raises an error.
        """
        for stream in [
            b"\r\n",
            b"HTTP/1.1 400\r\n",
            b":a\r\n",
            b"*1\r\n:a\r\n",
            b"*a\r\n",
            b"*-2\r\n",
            b"*%d\r\n" % 10**19,
            b"*%d\r\n" % 10**20,
            b"*01000\r\n",
            b"$?\r\n",
            b"$-2\r\n",
            b"%1\r\n*0\r\n",
            b"*1\r\n" * 1100,
        ]:
            (problem,) = read(stream, maxReply=10**10)
            self.assertIsInstance(problem, str)

    def test_announcements(self) -> None:
        """
        A reply that announces too much is refused before its content is received, even
        if the content of an earlier string has the wrong length.
        """
        for stream, message in [
            (b"$3001\r", "a string of 3001 bytes exceeds 3000 bytes"),
            (b"=3001\r", "a string of 3001 bytes exceeds 3000 bytes"),
            (b"$4294967294\r", "a string of 4294967294 bytes"),
            (b"*2\r\n$2000\r\n" + bytes(2000) + b"\r\n$2000\r", "larger than 3000 bytes"),
            (b"*1000\r", "larger than 3000 bytes"),
            (b">1000\r", "larger than 3000 bytes"),
            (b"~1000\r", "larger than 3000 bytes"),
            (b"%1000\r", "a map of 1000 items"),
            (b"$1\r\naxx*1000\r", "larger than 3000 bytes"),
        ]:
            for chunks in ([stream], [bytes([each]) for each in stream]):
                self.assertIn(message, str(read(*chunks, maxReply=3000)[-1]))
        nested = b"*1000\r\n" * 100
        self.assertIn("larger than", str(read(nested, maxReply=1_000_000)[-1]))

    def test_size(self) -> None:
        """
        A reply is refused when more bytes than the limit were received of it.
        """
        for start, item in [(b"*900\r\n", b"$8\r\n12345678\r\n"), (b"", b"*1\r\n")]:
            reader = RedisReader(3000)
            list(reader.receive(start))
            with self.assertRaisesRegex(StreamError, "larger than 3000 bytes"):
                for _ in range(1 + 3000 // len(item)):
                    list(reader.receive(item))

    def test_lines(self) -> None:
        """
        A line must not be longer than 64 KiB, and is not searched again and again.
        """
        for start in (b"+", b":", b"*", b"$1000\r\n" + bytes(1002) + b"-"):
            reader = RedisReader(10**7)
            with self.assertRaisesRegex(StreamError, "a line is longer than 65536 bytes"):
                for chunk in [start, *[b"1" * 1000] * 68]:
                    list(reader.receive(chunk))

    def test_longString(self) -> None:
        """
        A string is not limited as a line is.
        """
        content = b"12345678\r\n" * 20_000
        stream = b"$%d\r\n%b\r\n" % (len(content), content)
        chunks = [stream[start : start + 1000] for start in range(0, len(stream), 1000)]
        self.assertEqual(read(*chunks, maxReply=300_000), [content])

    def test_eachReplyHasItsLimit(self) -> None:
        """
        The limit applies to each reply separately.
        """
        reply = b"$2900\r\n" + b"a" * 2900 + b"\r\n"
        self.assertEqual(read(*[reply] * 3, maxReply=3000), [b"a" * 2900] * 3)
        many = b"*10\r\n" + b"$5\r\nhello\r\n" * 10
        self.assertEqual(read(many * 3000, maxReply=3000), [[b"hello"] * 10] * 3000)


class CommandTests(SynchronousTestCase):
    """
    L{command} encodes commands.
    """

    def test_command(self) -> None:
        """
        A command is a list of strings of any bytes.
        """
        self.assertEqual(
            command(b"PUBLISH", b"a", b"\r\n"),
            b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$2\r\n\r\n\r\n",
        )
