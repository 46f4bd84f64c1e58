"""
Text that is ended by a newline or by a zero byte, as the echo servers of the
guide take it: people type lines, C{XMLSocket} sends NUL-ended messages, and the
guide tells C{XMLSocket} programs to end their messages with a newline as well.
"""

import enum
import re
import sys
from typing import NamedTuple

from openfl_twisted.wire.chunkbuffer import ChunkBuffer
from openfl_twisted.wire.messages import END, MessageTooLong

NEWLINE = b"\r\n"
"""
How a line is ended in what is sent.
"""

MAX_LINE_LENGTH = 64 * 1024
"""
The longest line that is taken if nobody says otherwise, in bytes: 64 KiB.
"""


class Framing(enum.Enum):
    """
    What ends a message.
    """

    NONE = "none"
    """
    Nothing: whatever arrives together is a message.
    """

    LINE = "line"
    """
    CR, LF, or both in this order, as Java's C{BufferedReader.readLine} has it.
    A NUL is an ordinary character.
    """

    NUL = "nul"
    """
    A zero byte. CR and LF are ordinary characters.
    """

    AUTO = "auto"
    """
    A newline or a zero byte, whichever comes first; a zero byte directly behind
    a newline belongs to it.
    """


_ends = {
    Framing.LINE: re.compile(rb"\r\n?|\n"),
    Framing.NUL: re.compile(rb"\0"),
    Framing.AUTO: re.compile(rb"\r\n?|\n|\0"),
}


class Line(NamedTuple):
    """
    One line.

    @ivar text: the bytes without their end; C{None} if there is only an end,
        which is a second one for the line before: the zero byte behind a
        newline.
    @ivar end: the end to answer with: L{NEWLINE<lines.NEWLINE>} or
        L{END<messages.END>}.
    """

    text: bytes | None
    end: bytes


class LineSplitter:
    """
    Cuts a stream of bytes into lines.

    Any way to cut the stream into pieces gives the same lines, and each line is
    given as soon as its first end has come.

    @ivar maxLength: maximum length of a line without its end (bytes);
        C{sys.maxsize} for no limit.
    """

    def __init__(self, framing: Framing, maxLength: int = MAX_LINE_LENGTH) -> None:
        """
        @param framing: what ends a line; not L{Framing.NONE}.
        @param maxLength: maximum length of a line without its end (bytes); 0 for no
            limit.
        @raise KeyError: for L{Framing.NONE}, where there is nothing to split
            at.
        """
        self.maxLength = maxLength or sys.maxsize
        self._ends = _ends[framing]
        self._begun = ChunkBuffer()
        # The last byte of the newline that ended the line before, while nothing has come behind it.
        self._newline = b""

    @property
    def pending(self) -> int:
        """
        The number of bytes of the line whose end was not received.
        """
        return len(self._begun)

    def receive(self, data: bytes) -> list[Line]:
        """
        Take the next piece of the stream.

        @param data: the piece.
        @return: the lines that it ends.
        @raise MessageTooLong: if a line is over the limit.
        """
        lines: list[Line] = []
        start = 0
        if self._newline == b"\r" and data.startswith(b"\n"):
            start = 1
            self._newline = b"\n"
        for found in self._ends.finditer(data, start):
            text = data[start : found.start()]
            if self._begun:
                text = self._begun.end(text)
            if len(text) > self.maxLength:
                raise MessageTooLong(self.maxLength, lines)
            start = found.end()
            if found[0] == END:
                lines.append(Line(None if self._newline and not text else text, END))
                self._newline = b""
            else:
                lines.append(Line(text, NEWLINE))
                self._newline = found[0][-1:]
        if start < len(data):
            self._begun.add(data[start:])
            self._newline = b""
            if len(self._begun) > self.maxLength:
                raise MessageTooLong(self.maxLength, lines)
        return lines

    def finish(self) -> bytes:
        """
        Take what is left at the end of the stream: a line without an end.

        @return: its bytes; none if the stream has ended with the end of a line.
        """
        return self._begun.end()
