"""
Collects the chunks of a message until it is complete.
"""

# Chunks below this length, in bytes, are joined as they are added: separately, each would take
# more memory than its bytes.
_SMALL = 4096


class ChunkBuffer:
    """
    The chunks of an incomplete message, in order. Each byte is copied at most twice.
    """

    __slots__ = ("_chunks", "_length", "_tail")

    def __init__(self) -> None:
        self._chunks: list[bytes | bytearray] = []
        # The last chunk, if it is made of small ones.
        self._tail: bytearray | None = None
        self._length = 0

    def __len__(self) -> int:
        """
        The number of bytes in the buffer.
        """
        return self._length

    def add(self, data: bytes) -> None:
        """
        Add a chunk.

        @param data: the bytes.
        """
        length = len(data)
        self._length += length
        if length >= _SMALL:
            # The owner of what is not bytes can change it.
            self._chunks.append(bytes(data))
            self._tail = None
        elif self._tail is not None:
            self._tail += data
        else:
            self._tail = bytearray(data)
            self._chunks.append(self._tail)

    def end(self, data: bytes = b"") -> bytes:
        """
        Return everything, and empty the buffer.

        @param data: the last chunk; it is not added before.
        @return: all bytes.
        """
        chunks, self._chunks = self._chunks, []
        self._tail = None
        self._length = 0
        return b"".join([*chunks, data])
