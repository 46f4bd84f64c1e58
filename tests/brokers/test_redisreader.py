"""
Tests for L{openfl_twisted.brokers.redisreader}, which reads replies with C{txredisapi}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.brokers.redisreader import RedisReader
from openfl_twisted.brokers.redisreplies import RedisProblem, command
from openfl_twisted.wire.lineblocks import StreamError
from tests.segments import cutStreams

streams = st.lists(
    st.sampled_from(
        [
            b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b":-1\r\n", b":x\r\n", b"$3\r\nabc\r\n",
            b"$-1\r\n", b"$9999\r\n", b"*0\r\n", b"*2\r\n", b"*-1\r\n", b"%1\r\n", b"~1\r\n",
            b">2\r\n", b">0\r\n", b"*999\r\n", b"_\r\n", b"$0\r\n\r\n", b"+QUEUED\r\n",
            b"+\xff\r\n", b"?\r\n", b"\r\n", b"$2000\r\n" + b"\r\n" * 1001,
        ]
    )
).map(b"".join)  # fmt: skip

values = st.recursive(
    st.one_of(st.binary(max_size=20), st.integers(-(10**18), 10**18), st.none()),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=20,
)


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


def read(*chunks: bytes, maxReply: int = 3000) -> list[object]:
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
        The result, up to the same error, does not depend on how the stream is split.
        """
        stream, chunks = split
        self.assertEqual(read(*chunks), read(stream))

    @given(st.binary())
    def test_anyBytes(self, stream: bytes) -> None:
        """
        Any bytes yield replies or a L{StreamError}.
        """
        read(stream)

    @given(st.lists(values, max_size=3))
    def test_roundTrip(self, replies: list[Any]) -> None:
        """
        Nested replies are read as they were written.
        """
        self.assertEqual(read(b"".join(map(write, replies)), maxReply=10**6), replies)

    def test_kinds(self) -> None:
        """
        Every type of reply is read.
        """
        for stream, value in [
            (b"+OK\r\n", "OK"),
            (b"+QUEUED\r\n", "QUEUED"),
            (b"-ERR no\r\n", RedisProblem("ERR no")),
            (b":-12\r\n", -12),
            (b"$2\r\n\r\n\r\n", b"\r\n"),
            (b"$0\r\n\r\n", b""),
            (b"$2\r\n12\r\n", b"12"),
            (b"$1\r\n\xff\r\n", b"\xff"),
            (b"$-1\r\n", None),
            (b"_\r\n", None),
            (b"*-1\r\n", None),
            (b"*0\r\n", []),
            (b">0\r\n", []),
            (b"*2\r\n*1\r\n:1\r\n~1\r\n:2\r\n", [[1], [2]]),
            (b"%1\r\n+a\r\n:1\r\n", ["a", 1]),
            (b"*2\r\n:1\r\n-ERR no\r\n", [1, RedisProblem("ERR no")]),
            (b">3\r\n$1\r\na\r\n*0\r\n_\r\n", [b"a", [], None]),
        ]:
            self.assertEqual(read(stream), [value])

    def test_problems(self) -> None:
        """
        Data outside of the protocol and data beyond the limits raise an error.
        """
        big = b"$2000\r\n" + b"a" * 2000 + b"\r\n"
        for stream, message in [
            (b"\r\n", "is not a Redis reply"),
            (b"HTTP/1.1 400\r\n", "is not a Redis reply"),
            (b":a\r\n", "to integer"),
            (b"*1\r\n:a\r\n", "to integer"),
            (b"*a\r\n", "is not a number"),
            (b"*%d\r\n" % 10**19, "is not a number"),
            (b"$?\r\n", "is not a number"),
            (b"$-2\r\n", "is not a number"),
            (b"$3001\r\n", "a string of 3001 bytes"),
            (b"*200\r\n", "larger than 3000 bytes"),
            (b"*2\r\n" + big + big, "larger than 3000 bytes"),
            (b"*1\r\n" * 200, "larger than 3000 bytes"),
            (b"*180\r\n" + b"_\r\n" * 180, "larger than 3000 bytes"),
            (b"*180\r\n" + b":1\r\n" * 180, "larger than 3000 bytes"),
            (b"+" + b"a" * 20_000, "longer than"),
            (b"-\xff\r\n", "decode"),
        ]:
            self.assertIn(message, str(read(stream)[-1]))

    def test_eachReplyHasItsLimit(self) -> None:
        """
        The limit applies to each reply separately.
        """
        reply = b"$2900\r\n" + b"a" * 2900 + b"\r\n"
        self.assertEqual(read(reply * 3), [b"a" * 2900] * 3)

    def test_work(self) -> None:
        """
        The work for a message does not depend on the amount of data received after it.
        """
        reader = RedisReader(1000)
        copied = 0
        split = reader.dataReceived

        def counting(data: bytes) -> None:
            nonlocal copied
            copied += len(data)
            split(data)

        self.patch(reader, "dataReceived", counting)
        stream = b"$5\r\nhello\r\n" * 10_000
        self.assertEqual(len(list(reader.receive(stream))), 10_000)
        self.assertLess(copied, 60 * len(stream))


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
