"""
What reads Redis: the protocol of txredisapi, held to limits.

txredisapi chooses the reactor when it is imported. So this module is imported
where a reactor is at hand, see L{openfl_twisted.rooms.redisconnection.newReader},
and by no other one at its top.

@see: U{https://redis.io/docs/latest/develop/reference/protocol-spec/}
"""

from collections.abc import Iterator
from typing import Any

from txredisapi import BaseRedisProtocol, ResponseError

from openfl_twisted.rooms.redisconnection import RedisProblem, Reply
from openfl_twisted.wire.blocks import StreamError

# What an item of a list counts, however short it is.
_ITEM = 16

# How many items there are for each that is counted: sets, maps and messages, which RESP3 adds,
# are read as lists.
_LISTS = {"*": 1, "~": 1, ">": 1, "%": 2}

# The library copies what it has not read with each line that it reads. With pieces no longer
# than this the work stays linear in what has come.
_PIECE = 1024


class RedisReader(BaseRedisProtocol):
    """
    Reads what a server sends, as C{BaseRedisProtocol} does; without a transport,
    and without the turns of the reactor that it takes for each string.

    The length of a string or a list is held to the limit where it is announced.
    Any way to cut the stream into pieces gives the same, up to the same error.
    """

    def __init__(self, maxReply: int) -> None:
        """
        @param maxReply: the largest reply with all that is in it, in bytes.
        """
        super().__init__(charset=None, convertNumbers=False)
        self._maxReply = maxReply
        self._size = 0
        self._rest = b""
        self._replies: list[Reply] = []

    def receive(self, data: bytes) -> Iterator[Reply]:
        """
        Take the next piece of the stream, and to its end what comes of it.

        @param data: the piece.
        @return: the replies. Strings are bytes, what is said in a line is text,
            and a map has its keys and values in turn.
        @raise StreamError: if it is not as the protocol has it, or a reply is too
            large. The reader cannot be used after it.
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
                # An error must not take away what came before it.
                yield from replies
                if problem is not None:
                    raise StreamError(str(problem)) from None
                piece = self._rest

    def setLineMode(self, extra: bytes = b"") -> None:
        """
        Read lines again. What is left is kept for L{receive}, which goes on at
        once; the library would in a later turn of the reactor.

        @param extra: what has come behind a string.
        """
        self.line_mode = 1
        self._rest = extra

    def lineReceived(self, line: str) -> None:
        """
        Read a line, if it can be one and is within the limits.

        @raise StreamError: if it cannot be one, or announces too much.
        """
        kind, text = line[:1], line[1:]
        self._size += len(line) + _ITEM
        if kind in _LISTS:
            count = -1 if text == "-1" else _numberIn(text) * _LISTS[kind]
            self._check(count * _ITEM)
            line = f"*{count}"
        elif kind == "$":
            length = 0 if text == "-1" else _numberIn(text)
            if length > self._maxReply:
                raise StreamError(f"{length} bytes are announced, and may be {self._maxReply}")
            self._check(length)
            self._size += length
        elif kind == "_":
            self._check(0)
            line = "$-1"
        elif kind and kind in "+-:":
            self._check(0)
        else:
            raise StreamError(f"{line[:40]!r} is nothing that Redis says")
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        """
        A line has no end.

        @param line: what has come of it.
        @raise StreamError: always.
        """
        raise StreamError(f"a line is longer than {self.MAX_LENGTH} bytes")

    def handleMultiBulkElement(self, element: Any) -> None:
        """
        An item of a list is complete.

        @param element: the item, as the library has read it.
        """
        super().handleMultiBulkElement(_read(element))

    def replyReceived(self, reply: Any) -> None:
        """
        A reply is complete.
        """
        self._size = 0
        self._replies.append(_read(reply))

    def _check(self, more: int) -> None:
        """
        Hold a reply to its limit.

        @param more: how many bytes are announced.
        """
        if self._size + more > self._maxReply:
            raise StreamError(f"a reply is larger than {self._maxReply} bytes")


def _read(reply: Any) -> Reply:
    """
    Take what the library makes of a reply: for problems it has exceptions.
    """
    match reply:
        case ResponseError():
            return RedisProblem(str(reply))
        case Exception():
            raise StreamError(str(reply))
    value: Reply = reply
    return value


def _numberIn(digits: str) -> int:
    """
    Read a number that is written in digits, and nothing else.
    """
    if not digits.isdecimal() or len(digits) > 19:
        raise StreamError(f"{digits[:20]!r} is no number")
    return int(digits)
