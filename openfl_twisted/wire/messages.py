"""
NUL-terminated text messages: the framing of C{XMLSocket}.

However the stream is split, each byte is searched once and copied at most twice.
"""

import sys
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from openfl_twisted.wire.chunkbuffer import ChunkBuffer

_T = TypeVar("_T")

END = b"\0"
"""
The terminator of a message.
"""

MAX_LENGTH = 1024 * 1024
"""
Default maximum length of a message (bytes): 1 MiB. Flash has no limit.
"""


class MessageTooLong(Exception):
    """
    A message exceeds the maximum length. Its terminator may not have been received yet.

    @ivar before: the complete messages before the message that is too long, in order.
    @ivar limit: the maximum length (bytes).
    """

    def __init__(self, limit: int, before: Sequence[Any]) -> None:
        super().__init__(f"a message is longer than {limit} bytes")
        self.limit = limit
        self.before = before


# For messages of this length or longer, searching for each terminator is faster than calling
# split(), which examines each byte separately. For 60 kB, the difference is 15 microseconds.
_LONG = 512


def _split(data: bytes, end: int) -> list[bytes]:
    """
    Split data at each terminator, as C{data.split(END)} does. The length of the
    first message selects the faster method.

    @param end: position of the first terminator; negative for no terminator.
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
    Split data that consists of complete messages.

    @param data: the data; it ends with a terminator.
    @return: the messages, without their terminators.
    """
    messages = _split(data, data.find(END))
    messages.pop()
    return messages


class MessageSplitter:
    """
    Splits a byte stream into messages. The messages do not depend on chunk boundaries. The
    work is proportional to the number of bytes.

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
        Number of buffered bytes of an incomplete message.
        """
        return len(self._begun)

    def receive(self, data: bytes) -> list[bytes]:
        """
        Parse the next chunk of the stream.

        @return: the completed messages, without their terminators.
        @raise MessageTooLong: if a message exceeds the limit. The splitter cannot be
            used again before L{clear}.
        """
        begun = self._begun
        # If all bytes together are within the limit, each message is also within the limit.
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
        Parse the next chunk of the stream, and return the messages joined. This method is
        faster than L{receive}.

        @return: the completed messages, separated by NUL bytes; C{None} if no message is
            complete.
        @raise MessageTooLong: if a message exceeds the limit; see L{receive}.
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
        Raise L{MessageTooLong} for the first message that exceeds the limit, whether or not
        the message is complete.
        """
        for number, message in enumerate(messages):
            if len(message) > self.maxLength:
                raise MessageTooLong(self.maxLength, messages[:number])
        if len(self._begun) > self.maxLength:
            raise MessageTooLong(self.maxLength, messages)

    def clear(self) -> None:
        """
        Discard the incomplete message.
        """
        self._begun = ChunkBuffer()


class _Splitter(Protocol[_T]):
    """
    A stream splitter: L{MessageSplitter} or
    L{LineSplitter<openfl_twisted.wire.lines.LineSplitter>}.
    """

    def receive(self, data: bytes) -> list[_T]: ...


def receiveUpTo(splitter: _Splitter[_T], data: bytes) -> tuple[list[_T], MessageTooLong | None]:
    """
    Parse the next chunk of a stream, up to a message that exceeds the limit.

    @return: the completed messages before the message that is too long, and the error for this
        message; C{None} instead of the error if no message is too long.
    """
    try:
        return splitter.receive(data), None
    except MessageTooLong as error:
        return list(error.before), error
