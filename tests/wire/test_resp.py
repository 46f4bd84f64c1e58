"""
Tests for L{openfl_twisted.wire.resp}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.blocks import StreamError
from openfl_twisted.wire.resp import Push, RedisProblem, RESPReader, command
from tests.segments import cutStreams

streams = st.lists(
    st.sampled_from(
        [
            b"+OK\r\n", b"-ERR no\r\n", b":12\r\n", b":-1\r\n", b":x\r\n", b"$3\r\nabc\r\n",
            b"$-1\r\n", b"$9999\r\n", b"*0\r\n", b"*2\r\n", b"*-1\r\n", b"%1\r\n", b"~1\r\n",
            b">2\r\n", b">0\r\n", b"*999\r\n", b"_\r\n", b"#t\r\n", b",1.5\r\n", b"=5\r\ntxt:a\r\n",
            b"!2\r\nno\r\n", b"?\r\n", b"\r\n",
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
    Write a reply as a server does.
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


def read(*pieces: bytes, maxReply: int = 1000) -> list[object]:
    """
    Read a stream, to its end or up to an error.
    """
    reader = RESPReader(maxReply)
    found: list[object] = []
    try:
        for piece in pieces:
            for each in reader.receive(piece):
                found.append(each)  # noqa: PERF402 - an error must not take away what came before
    except StreamError as problem:
        found.append(str(problem))
    return found


class RESPReaderTests(SynchronousTestCase):
    """
    L{RESPReader} reads what a server says.
    """

    @given(cutStreams(streams))
    def test_anyCut(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        Any cut gives the same, up to the same error.
        """
        stream, pieces = cut
        self.assertEqual(read(*pieces), read(stream))

    @given(st.binary())
    def test_anyBytes(self, stream: bytes) -> None:
        """
        No bytes whatever are any other error.
        """
        read(stream)

    @given(st.lists(values, max_size=3))
    def test_roundTrip(self, replies: list[Any]) -> None:
        """
        What a server writes is read, however it is nested.
        """
        self.assertEqual(read(b"".join(map(write, replies)), maxReply=10**6), replies)

    def test_kinds(self) -> None:
        """
        Every kind of reply is read.
        """
        for stream, value in [
            (b"+OK\r\n", b"OK"),
            (b"-ERR no\r\n", RedisProblem("ERR no")),
            (b"!6\r\nERR no\r\n", RedisProblem("ERR no")),
            (b":-12\r\n", -12),
            (b"(12\r\n", 12),
            (b"$2\r\n\r\n\r\n", b"\r\n"),
            (b"$0\r\n\r\n", b""),
            (b"$-1\r\n", None),
            (b"_\r\n", None),
            (b"*-1\r\n", None),
            (b"#t\r\n", 1),
            (b"#f\r\n", 0),
            (b",1.5\r\n", 1.5),
            (b"=5\r\ntxt:a\r\n", b"a"),
            (b"*0\r\n", []),
            (b">0\r\n", Push([])),
            (b"*2\r\n*1\r\n:1\r\n~1\r\n:2\r\n", [[1], [2]]),
            (b"%1\r\n+a\r\n:1\r\n", [b"a", 1]),
            (b">2\r\n+a\r\n*0\r\n", Push([b"a", []])),
        ]:
            self.assertEqual(read(stream), [value])

    def test_problems(self) -> None:
        """
        What the protocol does not have is an error, and so is what is too much.
        """
        for stream, says in [
            (b"\r\n", "is nothing that Redis says"),
            (b"HTTP/1.1 400\r\n", "is nothing that Redis says"),
            (b":a\r\n", "is no number"),
            (b",a\r\n", "is no number"),
            (b"*a\r\n", "is no number"),
            (b"$?\r\n", "is no number"),
            (b"$1001\r\n", "1001 bytes are announced"),
            (b"*63\r\n", "larger than 1000 bytes"),
            (b"*2\r\n$500\r\n" + b"a" * 500 + b"\r\n$500\r\n" + b"a" * 500 + b"\r\n", "larger"),
            (b"*1\r\n" * 9, "nested deeper than 8"),
        ]:
            self.assertIn(says, str(read(stream)[-1]))

    def test_eachReplyHasItsLimit(self) -> None:
        """
        Replies do not count together.
        """
        reply = b"$900\r\n" + b"a" * 900 + b"\r\n"
        self.assertEqual(read(reply * 3), [b"a" * 900] * 3)


class CommandTests(SynchronousTestCase):
    """
    L{command} writes commands.
    """

    def test_command(self) -> None:
        """
        A command is a list of strings, with any bytes in them.
        """
        self.assertEqual(
            command(b"PUBLISH", b"a", b"\r\n"),
            b"*3\r\n$7\r\nPUBLISH\r\n$1\r\na\r\n$2\r\n\r\n\r\n",
        )
