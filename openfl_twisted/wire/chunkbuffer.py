"""
Buffer for the chunks of an incomplete message.
"""

# Chunks below this length are joined when they are added (bytes): a separate object for a small
# chunk would take more memory than the chunk's content.
_SMALL = 4096


class ChunkBuffer:
    """
    The chunks of an incomplete message, in order. Each byte is copied at most twice.
    """

    __slots__ = ("_chunks", "_length", "_tail")

    def __init__(self) -> None:
        self._chunks: list[bytes | bytearray] = []
        # The last chunk, if it is being joined from small chunks.
        self._tail: bytearray | None = None
        self._length = 0

    def __len__(self) -> int:
        """
        Return the number of buffered bytes.
        """
        return self._length

    def add(self, data: bytes) -> None:
        """
        Add a chunk.
        """
        length = len(data)
        self._length += length
        if length >= _SMALL:
            # Copy a chunk that is not a bytes object: its owner may change it.
            self._chunks.append(bytes(data))
            self._tail = None
        elif self._tail is not None:
            self._tail += data
        else:
            self._tail = bytearray(data)
            self._chunks.append(self._tail)

    def end(self, data: bytes = b"") -> bytes:
        """
        Return all buffered bytes, and empty the buffer.

        @param data: the last chunk (default: empty).
        @return: the buffered bytes, followed by C{data}.
        """
        chunks, self._chunks = self._chunks, []
        self._tail = None
        self._length = 0
        return b"".join([*chunks, data])
