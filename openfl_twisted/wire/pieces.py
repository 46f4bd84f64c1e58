"""
The pieces of something that has not come whole.
"""

# Pieces below this length, in bytes, are put together as they come: one by one, each would take
# more memory than its bytes.
_SMALL = 4096


class Pieces:
    """
    What has come of something whose end has not: bytes in the order in which
    they came. Each is copied once, or twice if it came in a small piece.
    """

    __slots__ = ("_length", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes | bytearray] = []
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
        if type(data) is not bytes:
            # Its owner may change it.
            data = bytes(data)
        pieces = self._pieces
        if len(data) >= _SMALL:
            pieces.append(data)
        elif pieces and isinstance(pieces[-1], bytearray):
            pieces[-1] += data
        else:
            pieces.append(bytearray(data))
        self._length += len(data)

    def end(self, data: bytes = b"") -> bytes:
        """
        Take the last piece, and begin anew.

        @param data: the piece.
        @return: all the bytes.
        """
        pieces, self._pieces = self._pieces, []
        self._length = 0
        return b"".join([*pieces, data])
