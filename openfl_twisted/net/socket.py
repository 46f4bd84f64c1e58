"""
C{openfl.net.Socket}: a stream of bytes, with events.

Where OpenFL and Flash differ it is as in Flash: data comes before the end, the
end comes once, nothing comes after C{close}, and objects are AMF.
"""

from typing import Any, Self

from openfl_twisted.events import OutputProgressEvent, ProgressEvent
from openfl_twisted.net.link import LinkProtocol
from openfl_twisted.net.streamsocket import StreamSocket
from openfl_twisted.utils import ByteArray, IDataInput, IDataOutput


class Socket(StreamSocket, IDataInput, IDataOutput):
    """
    A connection to a server, or to a client that a C{ServerSocket} has got.

    It dispatches C{connect}, C{close}, C{socketData}, C{outputProgress} and
    C{ioError}. What is written is sent by C{flush}, or by itself at the end of
    the turn of the reactor; C{close} drops what was not flushed.

    @ivar autoflush: whether what is written is sent without C{flush}. Flash
        does so on some systems and not on Windows.
    """

    def __init__(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        autoflush: bool = True,
        reactor: Any = None,
    ) -> None:
        """
        @param host: where to connect at once; C{None} to connect later.
        @param port: the port for that.
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        self.autoflush = autoflush
        self._maxUnread = 0
        self.objectEncoding = ByteArray.defaultObjectEncoding
        self._unread = bytearray()
        self._unwritten: list[bytes | bytearray] = []
        self._pausedReading = False
        # How many bytes have been written since the connection was made.
        self._written = 0
        # Whether there is a flush, or an outputProgress, to come in this turn.
        self._flushing = self._progressing = False
        super().__init__(host, port, reactor)

    @property
    def localAddress(self) -> str | None:
        """
        The IP address of this side, or C{None} without a connection.
        """
        return self._link.address("getHost")

    @property
    def localPort(self) -> int:
        """
        The port of this side, or 0 without a connection.
        """
        return self._link.port("getHost")

    @property
    def remoteAddress(self) -> str | None:
        """
        The IP address of the other side, or C{None} without a connection.
        """
        return self._link.address("getPeer")

    @property
    def remotePort(self) -> int:
        """
        The port of the other side, or 0 without a connection.
        """
        return self._link.port("getPeer")

    @classmethod
    def accepted(cls, connection: LinkProtocol, reactor: Any = None) -> Self:
        """
        Make the socket of a connection that a server has got. It never
        dispatches C{connect}.

        @param connection: the protocol of the connection.
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        socket = cls(reactor=reactor)
        socket._link.accept(connection)
        return socket

    def _ended(self) -> None:
        self._unread = bytearray()
        self._unwritten = []
        self._written = 0
        self._pausedReading = False

    # Reading

    @property
    def bytesAvailable(self) -> int:
        return len(self._unread)

    @property
    def maxUnread(self) -> int:
        """
        Maximum number of unread bytes: above it, nothing more is read from the
        network. 0 for no limit (default), as in Flash. A change takes effect
        immediately.
        """
        return self._maxUnread

    @maxUnread.setter
    def maxUnread(self, value: int) -> None:
        self._maxUnread = value
        self._readAgain()

    def _readAgain(self) -> None:
        if self._pausedReading and not 0 < self._maxUnread < len(self._unread):
            self._pausedReading = False
            self._link.transport().resumeProducing()

    def _received(self, data: bytes) -> None:
        self._unread += data
        if 0 < self._maxUnread < len(self._unread):
            self._pausedReading = True
            self._link.transport().pauseProducing()
        self.dispatchEvent(ProgressEvent(ProgressEvent.SOCKET_DATA, bytesLoaded=len(data)))

    def _begin(self) -> None:
        self._link.transport()

    def _take(self, length: int) -> bytes:
        self._link.transport()
        if not 0 <= length <= len(self._unread):
            raise self._problems.endOfFile()
        data = bytes(self._unread[:length])
        # A bytearray gives up its beginning without moving the rest.
        del self._unread[:length]
        self._readAgain()
        return data

    def _window(self) -> tuple[bytes | bytearray, int]:
        self._link.transport()
        return self._unread, 0

    # Writing

    @property
    def bytesPending(self) -> int:
        """
        The bytes that have been written and that the network has not taken.
        """
        if self._link.connection is None:
            return 0
        return sum(map(len, self._unwritten)) + self._link.connection.transport.pending

    def _put(self, data: bytes | bytearray) -> None:
        self._link.transport()
        self._unwritten.append(data)
        self._written += len(data)
        if self.autoflush and not self._flushing:
            self._flushing = True
            self._link.reactor.callLater(0, self._flushAtTheEnd)

    def _flushAtTheEnd(self) -> None:
        self._flushing = False
        if self._unwritten:
            self.flush()

    def flush(self) -> None:
        """
        Send what has been written. What the peer does not take yet waits; see
        C{bytesPending} and C{outputProgress}.

        @raise errors.IOError: #2002, if there is no connection.
        """
        transport = self._link.transport()
        data = b"".join(self._unwritten)
        self._unwritten = []
        transport.write(data)

    def _progressed(self) -> None:
        if not self._progressing:
            self._progressing = True
            self._link.reactor.callLater(0, self._tellProgress)

    def _tellProgress(self) -> None:
        """
        Tell how much of what was written has been handed to the network.
        """
        self._progressing = False
        if self.connected:
            self.dispatchEvent(
                OutputProgressEvent(
                    OutputProgressEvent.OUTPUT_PROGRESS,
                    bytesPending=self.bytesPending,
                    bytesTotal=self._written,
                )
            )
