"""
Commands and replies of Redis, written and parsed by hiredis, with limits.

The parser of hiredis has no limit for the size of a reply, and allocates the items of a
list when their number is received. L{RedisReader} adds these limits:

  - It counts the bytes since the last complete reply. So a reply exceeds the limit by at
    most one chunk of the stream, and a nested or incomplete reply is limited as well.
  - It finds the lines that announce 1000 or more bytes or items before hiredis parses
    them, and adds up what a reply announces. Smaller lists are limited by the maximum
    depth of hiredis, 1024.
  - A line that is still incomplete is limited, because hiredis searches it again with
    each chunk.
  - A map must have fewer than 1000 items, because a server could choose integer keys so that
    each insertion takes linear time.

@see: U{https://redis.io/docs/latest/develop/reference/protocol-spec/}
"""

import re
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias, Union

from openfl_twisted.wire.lineblocks import MAX_LINE, StreamError

try:
    from hiredis import Reader, pack_command
except ImportError:
    raise ImportError("Redis requires hiredis: pip install 'openfl-twisted[redis]'") from None

# The size that an item of a list counts at least (bytes).
_ITEM = 16

# The end of a line that may announce 1000 or more bytes or items. The search for the first
# character is fast.
_LARGE = re.compile(rb"\r(?<=[0-9]{4}\r)")

# A line that announces a string or a list. A longer number is invalid, which hiredis checks.
_ANNOUNCEMENT = re.compile(rb"([$=*>~%|])([0-9]{4,19})\Z")
_LONGEST = 20

# A part of such a line, at the end of a chunk.
_INCOMPLETE = re.compile(rb"[$=*>~%|][0-9]{0,19}\Z")

# hiredis moves the unread bytes for each kilobyte that it reads. With chunks of this size the
# work is linear in the received bytes.
_PIECE = 64 * 1024

_NO_REPLY = object()


class RedisProblem(NamedTuple):
    """
    An error reply.

    @ivar text: an error code in capital letters, followed by a description.
    """

    text: str


Reply: TypeAlias = Union[
    bytes, int, float, RedisProblem, "list[Reply]", "dict[bytes | int | float, Reply]", None
]
"""
A reply from a server. Simple strings are bytes, too. A string or list that does not exist
is C{None}.
"""


def command(*words: bytes) -> bytes:
    """
    Encode a command.

    @param words: the name and the arguments of the command.
    @return: a RESP array of bulk strings, which may contain any bytes.
    """
    # The type of the library is that of a tuple of one word.
    return pack_command(words)  # type: ignore[arg-type, no-any-return]


class RedisReader:
    """
    Parses replies of RESP2 and RESP3.

    The replies do not depend on chunk boundaries.
    """

    def __init__(self, maxReply: int) -> None:
        """
        @param maxReply: maximum size of a reply with all its items (bytes).
        """
        self._reader = Reader(
            protocolError=StreamError,
            # An error reply is returned, and does not have to be an exception.
            replyError=RedisProblem,  # type: ignore[arg-type]
            notEnoughData=_NO_REPLY,
        )
        self._maxReply = maxReply
        self._held = b""
        # The bytes since the last complete reply, and the size that it has announced.
        self._size = 0
        self._announced = 0

    def receive(self, data: bytes) -> Iterator[Reply]:
        """
        Parse the next chunk of the stream.

        @return: the replies, to be consumed before the next chunk.
        @raise StreamError: if the bytes violate the protocol, or a reply is too
            large. The parser cannot be used after this error.
        """
        if self._held:
            data = self._held + data
        start = 0
        for line in _LARGE.finditer(data):
            end = line.start()
            found = _ANNOUNCEMENT.search(data, max(0, end - _LONGEST), end)
            if found is not None:
                yield from self._parse(data, start, found.start())
                start = found.start()
                # Otherwise it is part of a string.
                if not self._reader.has_data():
                    self._announce(found[1], int(found[2]))
        rest = _INCOMPLETE.search(data, max(0, len(data) - _LONGEST))
        end = len(data) if rest is None else rest.start()
        self._held = data[end:]
        yield from self._parse(data, start, end)

    def _announce(self, kind: bytes, count: int) -> None:
        """
        Check the announcement of a large string or list.
        """
        if kind == b"%":
            raise StreamError(f"a map of {count} items is too large")
        if kind in b"$=":
            if count > self._maxReply:
                raise StreamError(f"a string of {count} bytes exceeds {self._maxReply} bytes")
            self._announced += count
        else:
            self._announced += count * _ITEM
        self._check(self._announced)

    def _parse(self, data: bytes, start: int, end: int) -> Iterator[Reply]:
        reader = self._reader
        gets = reader.gets
        for begin in range(start, end, _PIECE):
            length = min(end - begin, _PIECE)
            self._size += length
            reader.feed(data, begin, length)
            try:
                while (reply := gets()) is not _NO_REPLY:
                    self._size = self._announced = 0
                    yield reply
            except (TypeError, MemoryError) as problem:
                # A list is the key of a map.
                raise StreamError(f"invalid reply: {problem}") from None
            self._check(self._size)
            # This includes at most one kilobyte that is parsed already.
            if reader.len() > self._announced + MAX_LINE:
                raise StreamError(f"a line is longer than {MAX_LINE} bytes")

    def _check(self, size: int) -> None:
        if size > self._maxReply:
            raise StreamError(f"a reply is larger than {self._maxReply} bytes")
