"""
The parser of Redis replies: the protocol of txredisapi, with limits.

Importing txredisapi installs a reactor. Therefore other modules import this module only when a
reactor exists, see L{openfl_twisted.brokers.redisconnection.newReader}, and never at their top
level.

@see: U{https://redis.io/docs/latest/develop/reference/protocol-spec/}
"""

from collections.abc import Iterator
from typing import Any

from txredisapi import BaseRedisProtocol, ResponseError

from openfl_twisted.brokers.redisreplies import RedisProblem, Reply
from openfl_twisted.wire.lineblocks import StreamError, numberIn

# The size that an item of a list counts for at least (bytes).
_ITEM = 16

# The types that are read as lists: lists, and the sets, pushes and maps of RESP3. The number is the
# number of items per announced element: 2 for a map (key and value), otherwise 1.
_LISTS = {"*": 1, "~": 1, ">": 1, "%": 2}

# The library copies the unread bytes with each line that it reads. With chunks of this size, the
# work is proportional to the number of received bytes.
_PIECE = 1024


class RedisReader(BaseRedisProtocol):
    """
    Parses replies like C{BaseRedisProtocol}, but needs neither a transport nor an additional
    reactor iteration for each string.

    The length of a string or list is checked as soon as the length is received. The result
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
        @raise StreamError: if the bytes violate the protocol, or a reply is too large. The
            parser cannot be used after this error.
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
                # Return the replies before an error: they are valid.
                yield from replies
                if problem is not None:
                    raise StreamError(str(problem)) from None
                piece = self._rest

    def setLineMode(self, extra: bytes = b"") -> None:
        """
        Parse lines again after a string. The remaining bytes are kept for L{receive}, which
        parses them immediately; the library would parse them in a later reactor iteration.

        @param extra: the bytes after a string.
        """
        self.line_mode = 1
        self._rest = extra

    def lineReceived(self, line: str) -> None:
        """
        Check a line, then parse the line.

        @raise StreamError: if the line is invalid, or announces a reply that exceeds the
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
        Reject a line that is too long.

        @param line: the received part of the line.
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
    Convert a reply from the library, which represents errors as exceptions.
    """
    match reply:
        case ResponseError():
            return RedisProblem(str(reply))
        case Exception():
            raise StreamError(str(reply))
    value: Reply = reply
    return value
