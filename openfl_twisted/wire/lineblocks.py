"""
The framing of NATS: lines terminated by CR LF. Some lines announce a block of bytes that
follows the line.
"""

from collections.abc import Callable, Iterator

# The terminator of lines and of blocks.
_NEWLINE = b"\r\n"

MAX_LINE = 64 * 1024
"""
Maximum length of a line, in bytes: 64 KiB.
"""


class StreamError(ValueError):
    """
    The peer has violated the protocol or exceeded a limit.
    """


def numberIn(digits: bytes) -> int:
    """
    Parse a decimal number without sign and spaces.

    @param digits: the digits, in ASCII.
    @raise StreamError: if the bytes are not a number, or have more than 19 digits.
    """
    if not digits.isdigit() or len(digits) > 19:
        raise StreamError(f"{digits[:20]!r} is not a number")
    return int(digits)


class LineBlockParser:
    """
    Parses a stream of lines and blocks.

    The result does not depend on chunk boundaries. The work is proportional to the number of
    received bytes.
    """

    def __init__(self, lengthOf: Callable[[bytes], int | None], maxBlock: int) -> None:
        """
        @param lengthOf: returns the length of the block that follows a line; C{None}
            for a line without a block.
        @param maxBlock: maximum length of a block (bytes).
        """
        self._lengthOf = lengthOf
        self._maxBlock = maxBlock
        # An incomplete line, or a line with its incomplete block.
        self._kept = bytearray()
        # The length at which the line and its block are complete; 0 if the length is not known yet.
        self._needed = 0
        # The number of bytes that were already searched and contain no newline.
        self._searched = 0

    @property
    def pending(self) -> int:
        """
        Number of buffered bytes.
        """
        return len(self._kept)

    def receive(self, data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """
        Parse the next chunk of the stream.

        @return: the lines, each with its block or C{None}. The iterator must be consumed
            before the next chunk is passed.
        @raise StreamError: if a line or a block is too long, has no terminator, or has an
            invalid length. The parser cannot be used after this error.
        """
        if self._kept:
            kept = self._kept
            kept += data
            if len(kept) < self._needed:
                return
            if not self._needed and kept.find(_NEWLINE, self._searched) < 0:
                self._keep(kept)
                return
            data = bytes(kept)
            self._kept = bytearray()
        yield from self._split(data)

    def _split(self, data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        start = 0
        self._needed = 0
        while (end := data.find(_NEWLINE, start)) >= 0:
            line = data[start:end]
            if len(line) > MAX_LINE:
                raise StreamError(f"a line is longer than {MAX_LINE} bytes")
            length = self._lengthOf(line)
            if length is None:
                start = end + 2
                yield line, None
                continue
            if length > self._maxBlock:
                raise StreamError(f"a block of {length} bytes exceeds {self._maxBlock} bytes")
            begin = end + 2
            end = begin + length
            if len(data) < end + 2:
                self._kept += data[start:]
                self._needed = end + 2 - start
                return
            if data[end : end + 2] != _NEWLINE:
                raise StreamError("a block is longer than announced")
            start = end + 2
            yield line, data[begin:end]
        self._keep(bytearray(data[start:]))

    def _keep(self, kept: bytearray) -> None:
        if len(kept) > MAX_LINE + 1:
            raise StreamError(f"a line is longer than {MAX_LINE} bytes")
        self._kept = kept
        self._searched = max(0, len(kept) - 1)
