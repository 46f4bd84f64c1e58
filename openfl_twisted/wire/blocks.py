"""
Lines that are ended by CR LF, some of which say how many bytes follow them: what
the protocol of NATS is made of.
"""

from collections.abc import Callable, Iterator

NEWLINE = b"\r\n"
"""
What ends a line, and a block.
"""

MAX_LINE = 64 * 1024
"""
The longest line that is taken, in bytes: 64 KiB.
"""


class StreamError(ValueError):
    """
    The other side has sent what the protocol does not know, or more than it may.
    """


def numberIn(digits: bytes) -> int:
    """
    Read a number that is written in digits, and nothing else.

    @param digits: the digits, in ASCII; no sign, no space.
    @raise StreamError: if it is none, or has more than 19 digits.
    """
    if not digits.isdigit() or len(digits) > 19:
        raise StreamError(f"{digits[:20]!r} is no number")
    return int(digits)


class BlockSplitter:
    """
    Cuts a stream of bytes into lines and blocks.

    Any way to cut the stream into pieces gives the same, up to the same error.
    The work is linear in the bytes received.
    """

    def __init__(self, lengthOf: Callable[[bytes], int | None], maxBlock: int) -> None:
        """
        @param lengthOf: says how long the block behind a line is; C{None} if
            there is none.
        @param maxBlock: the longest block, in bytes.
        """
        self._lengthOf = lengthOf
        self._maxBlock = maxBlock
        # The line that was begun, or the whole line and its block that was begun.
        self._kept = bytearray()
        # How many bytes of it there must be to go on, if that is known.
        self._needed = 0
        # How many bytes of it have no newline in them.
        self._searched = 0

    @property
    def pending(self) -> int:
        """
        The bytes of what has not come to its end.
        """
        return len(self._kept)

    def receive(self, data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """
        Take the next piece of the stream. What comes of it must be taken to its
        end before the next piece.

        @param data: the piece.
        @return: lines, each with its block.
        @raise StreamError: if a line or a block is too long, has no end, or has
            a length that is none. The splitter cannot be used after it.
        """
        if self._kept:
            kept = self._kept
            kept += data
            if len(kept) < self._needed:
                return
            if not self._needed and kept.find(NEWLINE, self._searched) < 0:
                self._keep(kept)
                return
            data = bytes(kept)
            self._kept = bytearray()
        yield from self._split(data)

    def _split(self, data: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """
        Cut bytes that begin with a line, and keep the rest.
        """
        start = 0
        self._needed = 0
        while (end := data.find(NEWLINE, start)) >= 0:
            line = data[start:end]
            if len(line) > MAX_LINE:
                raise StreamError(f"a line is longer than {MAX_LINE} bytes")
            length = self._lengthOf(line)
            if length is None:
                start = end + 2
                yield line, None
                continue
            if length > self._maxBlock:
                raise StreamError(f"{length} bytes are announced, and may be {self._maxBlock}")
            begin = end + 2
            end = begin + length
            if len(data) < end + 2:
                self._kept += data[start:]
                self._needed = end + 2 - start
                return
            if data[end : end + 2] != NEWLINE:
                raise StreamError("a block is longer than was announced")
            start = end + 2
            yield line, data[begin:end]
        self._keep(bytearray(data[start:]))

    def _keep(self, kept: bytearray) -> None:
        """
        Keep a line that was begun.
        """
        if len(kept) > MAX_LINE + 1:
            raise StreamError(f"a line is longer than {MAX_LINE} bytes")
        self._kept = kept
        self._searched = max(0, len(kept) - 1)
