"""
C{Socket} and the sockets of C{ServerSocket}: numbers and strings in a stream of
bytes, over TCP.

The reading and writing methods are those of C{IDataInput} and C{IDataOutput},
see L{openfl_twisted.wire.dataio}.
"""

from collections.abc import Callable

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
from openfl_twisted.wire.dataio import BIG_ENDIAN, DataInput, DataOutput

MAX_UNREAD = 1024 * 1024
"""
The most bytes that may lie unread, if nobody says otherwise: 1 MiB. Flash
itself has no limit.
"""


class BinarySocketProtocol(StreamProtocol, DataInput, DataOutput):
    """
    One end of a C{Socket} connection, client or server. Subclasses override
    L{socketDataReceived}.

    What is written is collected, and sent by L{flush}. What is written while
    data is being received is sent by itself when that has been dealt with.

    @cvar maxUnread: maximum number of unread bytes; above it the connection is
        closed. 0 for no limit. The default is 1 MiB.
    """

    maxUnread = MAX_UNREAD

    def makeConnection(self, transport: ITransport) -> None:
        """
        Begin with nothing received and nothing written.
        """
        self.endian = BIG_ENDIAN
        self._unread = bytearray()
        self._unwritten: list[bytes | bytearray] = []
        super().makeConnection(transport)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Drop what has not been read, and what has not been flushed.

        A subclass that overrides this must call it.
        """
        self._unread = bytearray()
        self._unwritten = []
        super().connectionLost(reason)

    # What comes

    def bytesReceived(self, data: bytes) -> None:
        """
        Keep the bytes until they are read.
        """
        self._unread += data
        self.socketDataReceived(len(data))
        if self.transport.disconnecting:
            return
        if self._unwritten:
            self.flush()
        if 0 < self.limits.maxUnread < len(self._unread):
            self.unreadExceeded()

    def socketDataReceived(self, bytesLoaded: int) -> None:
        """
        Bytes came and can be read; override this. What is not read stays for
        the next time.

        @param bytesLoaded: how many have just come; see C{bytesAvailable} for
            all there are.
        """
        raise NotImplementedError

    def unreadExceeded(self) -> None:
        """
        More bytes lie unread than C{maxUnread}: the connection is closed.
        """
        self.log.warn(
            "{peer} closed: over {limit} bytes of it lie unread",
            peer=self.describePeer(),
            limit=self.limits.maxUnread,
        )
        self.transport.loseConnection()

    @property
    def bytesAvailable(self) -> int:
        """
        The bytes that can be read.
        """
        return len(self._unread)

    @property
    def unprocessed(self) -> int:
        return super().unprocessed + len(self._unread)

    def _take(self, length: int) -> bytes:
        if not 0 <= length <= len(self._unread):
            raise self._problems.endOfFile()
        data = bytes(self._unread[:length])
        # A bytearray gives up its beginning without moving the rest.
        del self._unread[:length]
        return data

    # What goes

    @property
    def bytesPending(self) -> int:
        """
        The bytes that have been written and wait: for L{flush}, and for a peer
        that does not read.
        """
        return sum(map(len, self._unwritten)) + self.transport.pending

    def _put(self, data: bytes | bytearray) -> None:
        self._unwritten.append(data)

    def flush(self) -> None:
        """
        Send what has been written, as one piece.
        """
        data = b"".join(self._unwritten)
        self._unwritten = []
        self.transport.write(data)


class BinarySocketFactory(StreamFactory[BinarySocketProtocol]):
    """
    Makes L{BinarySocketProtocol}s.
    """

    def __init__(
        self,
        protocol: Callable[[], BinarySocketProtocol],
        *,
        maxUnread: int | None = None,
        maxQueue: int | None = None,
    ) -> None:
        """
        @param protocol: makes a protocol: your subclass of
            L{BinarySocketProtocol}.
        @param maxUnread: how many bytes may lie unread; the protocol's
            C{maxUnread} if not given.
        @param maxQueue: how many bytes are held for a peer that does not read;
            the protocol's C{maxQueue} if not given.
        """
        super().__init__(protocol, maxUnread=maxUnread, maxQueue=maxQueue)
