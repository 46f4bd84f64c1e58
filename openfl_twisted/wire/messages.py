"""
Text messages that are each ended by one zero byte: the framing of C{XMLSocket}.

The rule for everybody who collects bytes in here: a byte is searched once and
copied at most twice, however the stream was cut.
"""

import sys
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from openfl_twisted.wire.chunkbuffer import ChunkBuffer

T = TypeVar("T")

END = b"\0"
"""
What ends a message.
"""

MAX_LENGTH = 1024 * 1024
"""
The longest message that is taken if nobody says otherwise, in bytes: 1 MiB.
Flash itself has no limit.
"""


class MessageTooLong(Exception):
    """
    More bytes came without an end than a message may have.

    @ivar before: what was received complete before the message that is too
        long, in order.
    @ivar limit: the limit, in bytes.
    """

    def __init__(self, limit: int, before: Sequence[Any]) -> None:
        super().__init__(f"a message is longer than {limit} bytes")
        self.limit = limit
        self.before = before


# From this length on, in bytes, a search for each end is faster than one split, which looks at
# every byte by itself: for 60 kB the difference is 15 microseconds.
_LONG = 512


def _split(data: bytes, end: int) -> list[bytes]:
    """
    Do what C{data.split(END)} does, whichever way is the faster one for what
    comes: the first message tells, and only its bytes are looked at twice.

    @param end: where the first end is.
    """
    if end < _LONG:
        return data.split(END)
    parts, at = [], 0
    while end >= 0:
        parts.append(data[at:end])
        at = end + 1
        end = data.find(END, at)
    parts.append(data[at:])
    return parts


def splitWhole(data: bytes) -> list[bytes]:
    """
    Cut bytes into messages, where each is there from its beginning to its end.

    @param data: the bytes; the last one is a zero byte.
    @return: the messages, without their ends.
    """
    messages = _split(data, data.find(END))
    messages.pop()
    return messages


class MessageSplitter:
    """
    Cuts a stream of bytes into messages.

    Any way to cut the stream into pieces gives the same messages. The work is
    linear in the bytes received: many messages in one piece cost one split, and
    a message in many pieces is searched piece by piece.

    @ivar maxLength: maximum length of a message without its NUL byte (bytes);
        C{sys.maxsize} for no limit.
    """

    __slots__ = ("_begun", "maxLength")

    def __init__(self, maxLength: int = MAX_LENGTH) -> None:
        """
        @param maxLength: maximum length of a message without its NUL byte
            (bytes); 0 for no limit.
        """
        self.maxLength = maxLength or sys.maxsize
        self._begun = ChunkBuffer()

    @property
    def pending(self) -> int:
        """
        The bytes of the message whose end has not come.
        """
        return len(self._begun)

    def receive(self, data: bytes) -> list[bytes]:
        """
        Take the next piece of the stream.

        @param data: the piece.
        @return: the messages that it completes, without their ends.
        @raise MessageTooLong: if a message is over the limit. The splitter
            cannot be used after it until L{clear} is called.
        """
        begun = self._begun
        # If all bytes together are within the limit, then each message is.
        mayBeTooLong = len(begun) + len(data) > self.maxLength
        end = data.find(END)
        if end < 0:
            messages, rest = [], data
        else:
            messages = _split(data, end)
            rest = messages.pop()
        if begun and messages:
            messages[0] = begun.end(messages[0])
        if rest:
            begun.add(rest)
        if mayBeTooLong:
            self._checkLengths(messages)
        return messages

    def receiveTogether(self, data: bytes) -> bytes | None:
        """
        Take the next piece of the stream, for who wants the messages in one: it
        takes less work.

        @param data: the piece.
        @return: the messages that it completes, with a zero byte between two;
            C{None} if it completes none.
        @raise MessageTooLong: as L{receive} does.
        """
        begun = self._begun
        if len(begun) + len(data) > self.maxLength:
            messages = self.receive(data)
            return END.join(messages) if messages else None
        end = data.rfind(END)
        if end < 0:
            if data:
                begun.add(data)
            return None
        together, rest = data[:end], data[end + 1 :]
        if begun:
            together = begun.end(together)
        if rest:
            begun.add(rest)
        return together

    def _checkLengths(self, messages: list[bytes]) -> None:
        """
        Find the first message that is over the limit, complete or not.
        """
        for number, message in enumerate(messages):
            if len(message) > self.maxLength:
                raise MessageTooLong(self.maxLength, messages[:number])
        if len(self._begun) > self.maxLength:
            raise MessageTooLong(self.maxLength, messages)

    def takeRest(self) -> bytes:
        """
        Take the message that was begun and will not be ended.

        @return: its bytes; none if none was begun.
        """
        return self._begun.end()

    def clear(self) -> None:
        """
        Forget the message that was begun.
        """
        self._begun = ChunkBuffer()


class _Splitter(Protocol[T]):
    """
    What cuts a stream: L{MessageSplitter}, and
    L{LineSplitter<openfl_twisted.wire.lines.LineSplitter>}.
    """

    def receive(self, data: bytes) -> list[T]: ...


def receiveUpTo(splitter: _Splitter[T], data: bytes) -> tuple[list[T], MessageTooLong | None]:
    """
    Take the next piece of a stream, up to a message that is too long.

    @param splitter: cuts the stream.
    @param data: the piece.
    @return: what the piece completes before that message, and what was noticed
        of it, if there is one.
    """
    try:
        return splitter.receive(data), None
    except MessageTooLong as error:
        return list(error.before), error
