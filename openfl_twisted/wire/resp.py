"""
RESP3, the protocol of Redis and Valkey, for a client.

It is our own for a reason: txredisapi, the library for Twisted, has no limit to
what a reply may be, cannot subscribe and publish on one connection, chooses the
reactor when it is imported, and without hiredis takes 26 microseconds and three
turns of that reactor for a message; here it is a fifth.

@see: U{https://redis.io/docs/latest/develop/reference/protocol-spec/}
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, Union

from openfl_twisted.wire.blocks import BlockSplitter, StreamError, numberIn

MAX_REPLY = 16 * 1024 * 1024
"""
The largest reply with all that is in it, in bytes, if nobody says otherwise:
16 MiB.
"""

MAX_DEPTH = 8
"""
How deep replies may be nested.
"""

# What an item of a list counts, however short it is.
_ITEM = 16


class RedisProblem(NamedTuple):
    """
    A reply that says that something went wrong.

    @ivar text: a code in capital letters, and words.
    """

    text: str


class Push(NamedTuple):
    """
    Something that is no reply: a message that was published, most of all.

    @ivar items: its kind, and what belongs to it.
    """

    items: "list[Reply]"


Reply: TypeAlias = Union[bytes, int, float, RedisProblem, "list[Reply]", Push, None]
"""
What a server says. Maps and sets are lists too, a map with keys and values in
turn.
"""

# How many items there are for each that is counted.
_LISTS = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2}


class _Open:
    """
    A list whose items have not all come.
    """

    __slots__ = ("isPush", "items", "missing")

    def __init__(self, isPush: bool, missing: int) -> None:
        self.isPush = isPush
        self.missing = missing
        self.items: list[Reply] = []


class RESPReader:
    """
    Reads what a server sends.

    Any way to cut the stream into pieces gives the same, up to the same error.
    """

    def __init__(self, maxReply: int = MAX_REPLY) -> None:
        """
        @param maxReply: the largest reply with all that is in it, in bytes.
        """
        self._blocks = BlockSplitter(_lengthOf, maxReply)
        self._maxReply = maxReply
        self._size = 0
        self._open: list[_Open] = []

    def receive(self, data: bytes) -> Iterator[Reply]:
        """
        Take the next piece of the stream, and to its end what comes of it.

        @param data: the piece.
        @raise StreamError: if it is not as the protocol has it, or a reply is too
            large.
        """
        for line, block in self._blocks.receive(data):
            self._size += len(line) + len(block or b"") + _ITEM
            width = _LISTS.get(line[0]) if line else None
            if width is None:
                value = _read(line, block)
            else:
                missing = -1 if line[1:] == b"-1" else numberIn(line[1:]) * width
                self._check(missing)
                if missing > 0:
                    self._open.append(_Open(line[:1] == b">", missing))
                    continue
                value = None if missing < 0 else Push([]) if line[:1] == b">" else []
            self._check(0)
            yield from self._close(value)

    def _check(self, missing: int) -> None:
        """
        Hold a reply to its limits.

        @param missing: how many items are announced.
        """
        if self._size + missing * _ITEM > self._maxReply:
            raise StreamError(f"a reply is larger than {self._maxReply} bytes")
        if missing > 0 and len(self._open) >= MAX_DEPTH:
            raise StreamError(f"a reply is nested deeper than {MAX_DEPTH}")

    def _close(self, value: Reply) -> Iterator[Reply]:
        """
        Put a value where it belongs, and give the reply that it completes.
        """
        while self._open:
            last = self._open[-1]
            last.items.append(value)
            last.missing -= 1
            if last.missing:
                return
            self._open.pop()
            value = Push(last.items) if last.isPush else last.items
        self._size = 0
        yield value


def _lengthOf(line: bytes) -> int | None:
    """
    Get the length of the string behind a line.
    """
    if line[:1] in (b"$", b"=", b"!") and line != b"$-1":
        return numberIn(line[1:])
    return None


def _read(line: bytes, block: bytes | None) -> Reply:
    """
    Read a value that has nothing in it.
    """
    kind, text = line[:1], line[1:]
    match kind:
        case b"$":
            return block
        case b"+":
            return text
        case b":" | b"(":
            return -numberIn(text[1:]) if text[:1] == b"-" else numberIn(text)
        case b"-":
            return RedisProblem(text.decode(errors="replace"))
        case b"!":
            return RedisProblem((block or b"").decode(errors="replace"))
        case b"_":
            return None
        case b"#":
            return int(text == b"t")
        case b"=":
            # Three letters that say what it is, and a colon.
            return (block or b"")[4:]
        case b",":
            try:
                return float(text)
            except ValueError:
                raise StreamError(f"{text[:20]!r} is no number") from None
    raise StreamError(f"{line[:40]!r} is nothing that Redis says")


def command(*words: bytes) -> bytes:
    """
    Write a command.

    @param words: its name, and what belongs to it.
    """
    return b"*%d\r\n" % len(words) + b"".join(
        [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    )
