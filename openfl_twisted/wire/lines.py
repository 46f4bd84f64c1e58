"""
Lines of text, terminated by a newline or a NUL byte, for the echo servers of Adobe's
ActionScript guide.

A person who uses a terminal sends lines, and C{XMLSocket} sends NUL-terminated messages. The
guide tells C{XMLSocket} programs to end their messages with a newline as well.
"""

import re
import sys
from typing import NamedTuple

from openfl_twisted.wire.chunkbuffer import ChunkBuffer
from openfl_twisted.wire.messages import END, MessageTooLong

NEWLINE = b"\r\n"
"""
The terminator of sent lines.
"""

MAX_LINE_LENGTH = 64 * 1024
"""
Default maximum length of a line (bytes): 64 KiB.
"""


_ends = {
    "lines": re.compile(rb"\r\n?|\n"),
    "nul": re.compile(rb"\0"),
    "auto": re.compile(rb"\r\n?|\n|\0"),
}


class Line(NamedTuple):
    """
    One line.

    @ivar text: the line without its terminator; C{None} for a NUL byte that follows
        the newline of the previous line.
    @ivar end: the terminator for the answer: L{NEWLINE<lines.NEWLINE>} or
        L{END<messages.END>}.
    """

    text: bytes | None
    end: bytes


class LineSplitter:
    """
    Splits a byte stream into lines. The lines do not depend on chunk boundaries. Each line is
    returned as soon as the first byte of its terminator is received.

    @ivar maxLength: maximum length of a line without its terminator (bytes);
        C{sys.maxsize} for no limit.
    """

    def __init__(self, framing: str, maxLength: int = MAX_LINE_LENGTH) -> None:
        """
        @param framing: the terminator: C{lines} for CR, LF or CR LF, as in Java's
            C{BufferedReader.readLine}; C{nul} for a NUL byte; or C{auto} for both. With C{auto}, a
            NUL byte directly after a newline belongs to the newline.
        @param maxLength: maximum length of a line without its terminator (bytes); 0 for
            no limit.
        @raise KeyError: for any other framing.
        """
        self.maxLength = maxLength or sys.maxsize
        self._ends = _ends[framing]
        self._begun = ChunkBuffer()
        # The last byte of the previous newline, until further data is received.
        self._newline = b""

    @property
    def pending(self) -> int:
        """
        The number of buffered bytes of an incomplete line.
        """
        return len(self._begun)

    def receive(self, data: bytes) -> list[Line]:
        """
        Parse the next chunk of the stream.

        @raise MessageTooLong: if a line exceeds the limit.
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
        Return the rest of the stream at EOF: a line without a terminator.

        @return: the bytes of this line; empty if the stream ended with a terminator.
        """
        return self._begun.end()
