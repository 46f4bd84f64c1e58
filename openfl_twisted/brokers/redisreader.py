"""
The parser of Redis replies: the protocol of txredisapi, with limits.

Importing txredisapi installs a reactor. So this module is imported only where a
reactor exists, see L{openfl_twisted.brokers.redisconnection.newReader}, and never
at the top of a module.

@see: U{https://redis.io/docs/latest/develop/reference/protocol-spec/}
"""

from collections.abc import Iterator
from typing import Any

from txredisapi import BaseRedisProtocol, ResponseError

from openfl_twisted.brokers.redisreplies import RedisProblem, Reply
from openfl_twisted.wire.lineblocks import StreamError, numberIn

# Minimum size that is counted for an item of a list (bytes).
_ITEM = 16

# The types that are read as lists: lists, and the sets, pushes and maps of RESP3. The number is the
# number of items for each announced element: in a map, a key and a value.
_LISTS = {"*": 1, "~": 1, ">": 1, "%": 2}

# The library copies the unread bytes with each line that it reads. With chunks of this size the
# work is linear in the received bytes.
_PIECE = 1024


class RedisReader(BaseRedisProtocol):
    """
    Parses replies as C{BaseRedisProtocol} does, but without a transport, and
    without a reactor iteration for each string.

    The length of a string or a list is checked where it is announced. The result
    does not depend on chunk boundaries.
    """

    def __init__(self, maxReply: int) -> None:
        """
        @param maxReply: maximum size of a reply with all its items (bytes).
        """
        super().__init__(charset=None, convertNumbers=False)
        self._maxReply = maxReply
        self._size = 0
        self._rest = b""
        self._replies: list[Reply] = []

    def receive(self, data: bytes) -> Iterator[Reply]:
        """
        Parse the next chunk of the stream.

        @return: the replies, to be consumed before the next chunk. Bulk strings are
            bytes, simple strings are text, and a map is a list in which keys and values
            alternate.
        @raise StreamError: if the bytes violate the protocol, or a reply is too
            large. The parser cannot be used after it.
        """
        for start in range(0, len(data), _PIECE):
            piece = data[start : start + _PIECE]
            while piece:
                problem: ValueError | None = None
                self._rest = b""
                try:
                    self.dataReceived(piece)
                except ValueError as raised:
                    problem = raised
                replies, self._replies = self._replies, []
                # The replies before an error are valid.
                yield from replies
                if problem is not None:
                    raise StreamError(str(problem)) from None
                piece = self._rest

    def setLineMode(self, extra: bytes = b"") -> None:
        """
        Parse lines again. The remaining bytes are kept for L{receive}, which parses
        them immediately; the library would do so in a later reactor iteration.

        @param extra: the bytes after a string.
        """
        self.line_mode = 1
        self._rest = extra

    def lineReceived(self, line: str) -> None:
        """
        Check a line, then parse it.

        @raise StreamError: if it is invalid, or announces a reply that exceeds the
            limit.
        """
        kind, text = line[:1], line[1:]
        self._size += len(line) + _ITEM
        if kind in _LISTS:
            count = -1 if text == "-1" else numberIn(text.encode()) * _LISTS[kind]
            self._check(count * _ITEM)
            line = f"*{count}"
        elif kind == "$":
            length = 0 if text == "-1" else numberIn(text.encode())
            if length > self._maxReply:
                raise StreamError(f"a string of {length} bytes exceeds {self._maxReply} bytes")
            self._check(length)
            self._size += length
        elif kind == "_":
            self._check(0)
            line = "$-1"
        elif kind and kind in "+-:":
            self._check(0)
        else:
            raise StreamError(f"{line[:40]!r} is not a Redis reply")
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        Refuse a line that is too long.

        @param line: the received part of it.
        @raise StreamError: always.
        """
        raise StreamError(f"a line is longer than {self.MAX_LENGTH} bytes")

    def handleMultiBulkElement(self, element: Any) -> None:
        """
        Handle a complete item of a list.

        @param element: the item, as the library has parsed it.
        """
        super().handleMultiBulkElement(_read(element))

    def replyReceived(self, reply: Any) -> None:
        self._size = 0
        self._replies.append(_read(reply))

    def _check(self, more: int) -> None:
        if self._size + more > self._maxReply:
            raise StreamError(f"a reply is larger than {self._maxReply} bytes")


def _read(reply: Any) -> Reply:
    """
    Convert a reply of the library, which has exceptions for errors.
    """
    match reply:
        case ResponseError():
            return RedisProblem(str(reply))
        case Exception():
            raise StreamError(str(reply))
    value: Reply = reply
    return value
