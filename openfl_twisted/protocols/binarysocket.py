"""
The binary protocol of C{Socket} and C{ServerSocket}: numbers and strings in a byte
stream.

The reading and writing methods are named as in C{IDataInput} and C{IDataOutput}, see
L{openfl_twisted.wire.dataio}.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from typing_extensions import TypeVar

from openfl_twisted.coroutines import HandlerResult
from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol, missingHandler
from openfl_twisted.wire.dataio import BIG_ENDIAN, DataInput, DataOutput

_MAX_UNREAD = 1024 * 1024
"""
Default maximum number of unread bytes: 1 MiB. Flash has no limit.
"""


class BinarySocketProtocol(StreamProtocol, DataInput, DataOutput):
    """
    One side of a C{Socket} connection, client or server. Subclasses override
    L{socketDataReceived}.

    Written data is collected until L{flush} is called. When L{socketDataReceived} returns, the
    data that it has written is flushed automatically.

    @cvar maxUnread: maximum number of unread bytes (default 1 MiB; 0 for no limit). Above this
        number, the connection is closed.
    """

    _handlerNames = ("socketDataReceived",)
    _factoryName = "BinarySocketFactory"
    maxUnread = _MAX_UNREAD

    def makeConnection(self, transport: ITransport) -> None:
        self.endian = BIG_ENDIAN
        self._unread = bytearray()
        self._unwritten: list[bytes | bytearray] = []
        super().makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Drop unread data, and data that was not flushed.
        """
        self._unread = bytearray()
        self._unwritten = []
        super().connectionLost(reason)

    # Receiving

    def bytesReceived(self, data: bytes) -> None:
        self._unread += data
        result = self.socketDataReceived(len(data))
        if result is None or not self.handlerReturned(result):
            self.handlerFinished()

    def handlerFinished(self) -> None:
        """
        Flush the written data, and check the number of unread bytes.
        """
        if self.transport.disconnecting:
            return
        if self._unwritten:
            self.flush()
        if 0 < self.limits.maxUnread < len(self._unread):
            self.unreadExceeded()

    def socketDataReceived(self, bytesLoaded: int) -> HandlerResult:
        """
        Called when data can be read. Subclasses override this method. Unread data is kept.

        @param bytesLoaded: number of bytes just received; C{bytesAvailable} also includes
            earlier unread bytes.
        """
        raise missingHandler(self)

    def unreadExceeded(self) -> None:
        """
        Close the connection. Called when there are more than C{maxUnread} unread bytes.
        """
        self.log.warn(
            "{peer} disconnected: unread data exceeded {limit} bytes",
            peer=self.describePeer(),
            limit=self.limits.maxUnread,
        )
        self.transport.loseConnection()

    @property
    def bytesAvailable(self) -> int:
        return len(self._unread)

    @property
    def unprocessed(self) -> int:
        return super().unprocessed + len(self._unread)

    def _take(self, length: int) -> bytes:
        if not 0 <= length <= len(self._unread):
            raise self._endOfFile(length)
        data = bytes(self._unread[:length])
        # Deleting the beginning of a bytearray does not copy the rest.
        del self._unread[:length]
        return data

    # Sending

    @property
    def bytesPending(self) -> int:
        """
        Number of written bytes that were not flushed yet or are in the send queue.
        """
        return sum(map(len, self._unwritten)) + self.transport.pending

    def _put(self, data: bytes | bytearray) -> None:
        self._unwritten.append(data)

    def flush(self) -> None:
        """
        Send the written data in one write.
        """
        data = b"".join(self._unwritten)
        self._unwritten = []
        self.transport.write(data)


_P = TypeVar("_P", bound=BinarySocketProtocol, default=Any)


class BinarySocketFactory(StreamFactory[_P]):
    """
    The factory of L{BinarySocketProtocol}.
    """

    def __init__(
        self,
        protocol: Callable[[], _P],
        *,
        maxUnread: int | None = None,
        maxQueue: int | None = None,
    ) -> None:
        """
        @param protocol: creates a protocol: your subclass of L{BinarySocketProtocol}.
        @param maxUnread: maximum number of unread bytes (default: C{maxUnread} of the
            protocol).
        @param maxQueue: maximum length of the send queue for a slow peer (bytes;
            default: C{maxQueue} of the protocol).
        """
        super().__init__(protocol, maxUnread=maxUnread, maxQueue=maxQueue)
