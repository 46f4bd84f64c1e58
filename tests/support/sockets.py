"""
Sockets with a full send buffer.
"""

from errno import ECONNRESET, EWOULDBLOCK


class TightSocket:
    """
    A socket that accepts a limited number of bytes.

    @ivar room: the number of bytes; C{None} if the connection is reset.
    @ivar sent: the accepted bytes.
    @ivar offered: the lengths of the data of each call.
    """

    def __init__(self) -> None:
        self.room: int | None = 0
        self.sent = b""
        self.offered: list[list[int]] = []

    def setblocking(self, flag: bool) -> None:
        pass

    def fileno(self) -> int:
        return 7

    def recv(self, size: int) -> bytes:
        if self.room is None:
            raise ConnectionResetError(ECONNRESET, "connection reset")
        return b"go"

    def send(self, data: bytes) -> int:
        return self.sendmsg([data])

    def sendmsg(self, pieces: list[bytes]) -> int:
        self.offered.append([*map(len, pieces)])
        if self.room is None:
            raise ConnectionResetError(ECONNRESET, "connection reset")
        if not self.room:
            raise BlockingIOError(EWOULDBLOCK, "the buffer is full")
        taken = b"".join(pieces)[: self.room]
        self.room -= len(taken)
        self.sent += taken
        return len(taken)

    def shutdown(self, how: int) -> None:
        pass

    def setsockopt(self, *options: object) -> None:
        pass

    def close(self) -> None:
        self.sent += b"."
