"""
The pieces of something that has not come whole.
"""

# ChunkBuffer below this length, in bytes, are put together as they come: one by one, each would take
# more memory than its bytes.
_SMALL = 4096


class ChunkBuffer:
    """
    What has come of something whose end has not: bytes in the order in which
    they came. Each is copied once, or twice if it came in a small piece.
    """

    __slots__ = ("_length", "_pieces", "_tail")

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray] = []
        # The last piece, if it is made of small ones.
        self._tail: bytearray | None = None
        self._length = 0

    def __len__(self) -> int:
        """
        The bytes that have come.
        """
        return self._length

    def add(self, data: bytes) -> None:
        """
        Take what has come.

        @param data: the bytes.
        """
        length = len(data)
        self._length += length
        if length >= _SMALL:
            # Its owner may change what is not bytes.
            self._pieces.append(bytes(data))
            self._tail = None
        elif self._tail is not None:
            self._tail += data
        else:
            self._tail = bytearray(data)
            self._pieces.append(self._tail)

    def end(self, data: bytes = b"") -> bytes:
        """
        Take the last piece, and begin anew.

        @param data: the piece.
        @return: all the bytes.
        """
        pieces, self._pieces = self._pieces, []
        self._tail = None
        self._length = 0
        return b"".join([*pieces, data])
