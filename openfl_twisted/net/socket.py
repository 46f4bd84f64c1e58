"""
C{openfl.net.Socket}: a byte stream, with events.

Where OpenFL and Flash differ, the behavior is Flash's: data is dispatched before
C{close}, C{close} is dispatched once, nothing is dispatched after C{close} is called,
and objects are encoded in AMF.
"""

from typing import Any, Self

from openfl_twisted import errors
from openfl_twisted.events import OutputProgressEvent, ProgressEvent
from openfl_twisted.net._handlers import refuseHandlers
from openfl_twisted.net._link import LinkProtocol
from openfl_twisted.net._streamsocket import StreamSocket
from openfl_twisted.utils import ByteArray, IDataInput, IDataOutput
from openfl_twisted.wire.text import describeValue


class _Buffers:
    """
    The changing state of a connection. It is separate from the socket, because setting an
    attribute of a socket is slow, see L{CheckedAttributes}.

    @ivar unread: the received data that the program has not read.
    @ivar unwritten: the written data that was not flushed.
    @ivar written: number of bytes written since the connection was established.
    @ivar pausedReading: whether reading is paused because of C{maxUnread}.
    @ivar flushing: whether a flush is scheduled for this reactor iteration.
    @ivar progressing: whether an C{outputProgress} event is scheduled for this reactor iteration.
    """

    __slots__ = ("flushing", "pausedReading", "progressing", "unread", "unwritten", "written")

    def __init__(self) -> None:
        self.flushing = self.progressing = False
        self.clear()

    def clear(self) -> None:
        """
        Drop the data of a connection.
        """
        self.unread = bytearray()
        self.unwritten: list[bytes | bytearray] = []
        self.written = 0
        self.pausedReading = False


@refuseHandlers(
    onData="ProgressEvent.SOCKET_DATA",
    onSocketData="ProgressEvent.SOCKET_DATA",
    onOutputProgress="OutputProgressEvent.OUTPUT_PROGRESS",
)
class Socket(StreamSocket, IDataInput, IDataOutput):
    """
    A TCP connection to a server, or a connection that a C{ServerSocket} has accepted.

    The socket dispatches C{connect}, C{close}, C{socketData}, C{outputProgress} and
    C{ioError}. Written data is sent by C{flush}, or automatically at the end of the reactor
    iteration. C{close} drops data that was not flushed.

    @ivar autoflush: whether written data is sent without C{flush}. In Flash, this depends on
        the platform: on Windows, written data is not sent without C{flush}.
    """

    _eventTypes = StreamSocket._eventTypes | {  # noqa: SLF001 - of the base class
        OutputProgressEvent.OUTPUT_PROGRESS,
        ProgressEvent.SOCKET_DATA,
    }

    def __init__(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        autoflush: bool = True,
        reactor: Any = None,
    ) -> None:
        """
        @param host: the host to connect to immediately; C{None} to connect later.
        @param port: the port to connect to.
        @param reactor: the reactor (default: the global reactor).
        """
        self.autoflush = autoflush
        self._maxUnread = 0
        self.objectEncoding = ByteArray.defaultObjectEncoding
        self._buffers = _Buffers()
        super().__init__(host, port, reactor)

    @property
    def localAddress(self) -> str | None:
        """
        The local IP address; C{None} if the socket is not connected.
        """
        return self._link.address("getHost")

    @property
    def localPort(self) -> int:
        """
        The local port; 0 if the socket is not connected.
        """
        return self._link.port("getHost")

    @property
    def remoteAddress(self) -> str | None:
        """
        The peer's IP address; C{None} if the socket is not connected.
        """
        return self._link.address("getPeer")

    @property
    def remotePort(self) -> int:
        """
        The peer's port; 0 if the socket is not connected.
        """
        return self._link.port("getPeer")

    @classmethod
    def accepted(cls, connection: LinkProtocol, reactor: Any = None) -> Self:
        """
        Create the socket of an accepted connection. Such a socket never dispatches C{connect}.

        @param reactor: the reactor (default: the global reactor).
        """
        socket = cls(reactor=reactor)
        socket._link.accept(connection)
        return socket

    def _ended(self) -> None:
        self._buffers.clear()

    # Reading

    @property
    def bytesAvailable(self) -> int:
        return len(self._buffers.unread)

    @property
    def maxUnread(self) -> int:
        """
        Maximum number of unread bytes (default 0 for no limit, as in Flash). Above the
        maximum, reading from the network is paused. A change takes effect immediately.
        """
        return self._maxUnread

    @maxUnread.setter
    def maxUnread(self, value: int) -> None:
        if not isinstance(value, int):
            raise errors.TypeError(f"maxUnread must be an integer, not {describeValue(value)}")
        self._maxUnread = value
        self._readAgain()

    def _readAgain(self) -> None:
        if self._buffers.pausedReading and not 0 < self._maxUnread < len(self._buffers.unread):
            self._buffers.pausedReading = False
            self._link.transport().resumeProducing()

    def _received(self, data: bytes) -> None:
        self._buffers.unread += data
        if 0 < self._maxUnread < len(self._buffers.unread):
            self._buffers.pausedReading = True
            self._link.transport().pauseProducing()
        self.dispatchEvent(ProgressEvent(ProgressEvent.SOCKET_DATA, bytesLoaded=len(data)))

    def _begin(self) -> None:
        self._link.transport()

    def _take(self, length: int) -> bytes:
        self._link.transport()
        unread = self._buffers.unread
        if not 0 <= length <= len(unread):
            raise self._endOfFile(length)
        data = bytes(unread[:length])
        # Deleting the beginning of a bytearray does not copy the rest.
        del unread[:length]
        self._readAgain()
        return data

    def _window(self) -> tuple[bytes | bytearray, int]:
        self._link.transport()
        return self._buffers.unread, 0

    # Writing

    @property
    def bytesPending(self) -> int:
        """
        The number of written bytes that the operating system has not accepted yet.
        """
        if self._link.connection is None:
            return 0
        return sum(map(len, self._buffers.unwritten)) + self._link.connection.transport.pending

    def _put(self, data: bytes | bytearray) -> None:
        self._link.transport()
        buffers = self._buffers
        buffers.unwritten.append(data)
        buffers.written += len(data)
        if self.autoflush and not buffers.flushing:
            buffers.flushing = True
            self._link.reactor.callLater(0, self._flushAtTheEnd)

    def _flushAtTheEnd(self) -> None:
        self._buffers.flushing = False
        if self._buffers.unwritten:
            self.flush()

    def flush(self) -> None:
        """
        Send the written data. Data that the peer does not accept yet is queued; see
        C{bytesPending} and C{outputProgress}.

        @raise errors.IOError: #2002, if the socket is not connected.
        """
        transport = self._link.transport()
        data = b"".join(self._buffers.unwritten)
        self._buffers.unwritten = []
        transport.write(data)

    def _progressed(self) -> None:
        if not self._buffers.progressing:
            self._buffers.progressing = True
            self._link.reactor.callLater(0, self._dispatchProgress)

    def _dispatchProgress(self) -> None:
        self._buffers.progressing = False
        if self.connected:
            self.dispatchEvent(
                OutputProgressEvent(
                    OutputProgressEvent.OUTPUT_PROGRESS,
                    bytesPending=self.bytesPending,
                    bytesTotal=self._buffers.written,
                )
            )
