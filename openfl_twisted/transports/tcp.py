"""
TCP connections that send all data written during a batch in one call at the end of the batch.

Twisted's transports buffer written data, wait until the reactor reports that the socket
accepts data, and then send the data. This costs two C{epoll_ctl} calls and a second reactor
iteration for each message, although the socket nearly always accepts data immediately. The
transports in this module need one C{recv} and one C{send} per message.

For any Twisted program, these transports behave like Twisted's transports: they call the
protocol, the producer and C{connectionLost} in the same order. The only difference is that
sending data, and closing a connection from this side, do not wait for another reactor
iteration. After L{CoalescingTransport.bind}, the send queue has a limit, and data written
after C{loseConnection} is dropped.
"""

import socket
from collections.abc import Callable, Iterable
from errno import ENOBUFS
from functools import lru_cache, partial
from typing import Any, Self, TypeVar, cast

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IListeningPort, IProducer, IProtocol, IReactorTime
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python import log
from twisted.python.failure import Failure

from openfl_twisted.transports.buffered import BufferedTransport
from openfl_twisted.transports.connection import Connection, Owner, reportDropped
from openfl_twisted.transports.writebatch import currentBatch

_P = TypeVar("_P", bound=IListeningPort)


# An empty send queue, shared by all connections.
_NOTHING: Any = ()

# Maximum length of joined chunks (bytes): joining longer chunks costs more than sending them
# separately. This is also the number of queued bytes that are sent before the end of a batch.
_LONG = 64 * 1024

# Maximum number of chunks sent in one call; the limit of Linux (IOV_MAX) is 1024. If there are more
# chunks, the first chunks are joined, up to _LONG bytes and one more chunk.
_MAX_CHUNKS = 64 if hasattr(socket.socket, "sendmsg") else 1

# Number of small chunks that are joined into one chunk, to save memory.
_LOOSE_CHUNKS = 1000


class CoalescingTransport(Connection, tcp.Connection):
    """
    A mixin for Twisted's TCP transports.

    When the socket is readable, the reactor calls L{doRead}, which receives one chunk and
    calls the protocol's C{dataReceived}. The protocol calls L{write}, which appends the data
    to the send queue and adds the connection to the write batch. The batch calls L{flush},
    which sends the queue. If the socket does not accept the whole queue, the reactor calls
    L{doWrite} when the socket is writable. Invariants:

      - The send queue consists of C{dataBuffer}, whose first C{offset} bytes were already
        sent, and the chunks in C{_tempDataBuffer}. L{pending} is the length of the queue.
      - C{_writing} is true exactly while the reactor waits until the socket is writable. The
        connection is then in the state
        L{State.FULL<openfl_twisted.transports.states.State.FULL>}.
      - While C{_writing} is false, a connection with data in the queue is in the write batch.
      - C{_open} is true only if L{write} may skip all checks of the connection's state. Every
        method that changes this state resets C{_open}, and L{_isOpen} computes C{_open} again.

    @ivar owner: the protocol that has called L{bind}; C{None} if the protocol has not called
        it.
    @ivar queued: whether the connection is in the write batch.
    @ivar _open: whether L{write} may append data without checking the connection's state; C{None}
        if it may do so after calling the tap.
    @ivar _writing: whether the reactor waits until the socket is writable.
    @ivar _dense: the number of joined chunks at the beginning of the queue.
    @ivar _exempt: the value that C{bytesOut} will have when all data that was written before
        the reactor began to wait has been sent. The limit of the send queue does not apply to
        this data.
    @ivar _addresses: the addresses set by L{setAddresses}; C{None} without a proxy.
    """

    # Slots are faster than Twisted's class attributes. They also save the memory of an instance
    # dictionary, which is created only if the connection is half-closed or starts TLS.
    __slots__ = (
        "_addresses",
        "_dense",
        "_exempt",
        "_open",
        "_tempDataBuffer",
        "_tempDataLen",
        "_writing",
        "bytesIn",
        "bytesOut",
        "clientType",
        "connected",
        "dataBuffer",
        "disconnecting",
        "guard",
        "offset",
        "owner",
        "paused",
        "producer",
        "producerPaused",
        "protocol",
        "queued",
        "reactor",
        "reading",
        "receiveBuffer",
        "socket",
        "streamingProducer",
        "work",
    )

    # Prevent Twisted's code from joining chunks.
    SEND_LIMIT = 0
    # Without TLS, data can be sent before any data has been received.
    hasReceived = True
    _tap: Callable[[bytes], object] | None = None
    # Whether the peer has closed its write side.
    _hasReadAll = False
    # The connection inside TLS, if an owner has started TLS.
    _inTLS: BufferedTransport | None = None

    # Attributes of Twisted's classes, for type checkers.
    reactor: Any
    owner: Owner | None
    _open: bool | None
    _tempDataBuffer: list[bytes]
    _tempDataLen: int
    _writing: bool
    _addresses: tuple[IAddress, IAddress] | None

    def __new__(cls, *args: object, **named: object) -> Self:
        """
        Set the attributes before the C{__init__} methods of Twisted's classes are called.
        """
        self = super().__new__(cls)
        # Twisted sets the other attributes if they do not exist.
        self.connected = self.disconnecting = 0
        self._open = self.queued = self._writing = self.paused = False
        self.producerPaused = self.streamingProducer = False
        self.reading = True
        self.producer = self.receiveBuffer = self.owner = self.guard = self.clientType = None
        self._addresses = None
        self.dataBuffer = b""
        self.offset = self._dense = self._exempt = 0
        self.work = self.bytesIn = self.bytesOut = 0
        return self

    # The interface of Connection

    def bind(self, owner: Owner) -> bool:
        """
        Make a protocol the owner, and apply its limits. A TLS connection cannot have an owner,
        because its send queue is in Twisted's TLS protocol.
        """
        if self.TLS:
            return False
        self.owner = owner
        return True

    @property
    def isFull(self) -> bool:
        return self._writing

    @property
    def isLost(self) -> bool:
        return not self.connected

    @property
    def isAborted(self) -> bool:
        return self._aborting

    @property
    def tap(self) -> Callable[[bytes], object] | None:
        """
        Function that is called with each written chunk; C{None} for no function.
        """
        return self._tap

    @tap.setter
    def tap(self, tap: Callable[[bytes], object] | None) -> None:
        if tap is not None or self._tap is not None:
            self._tap = tap
        self._open = False

    def unbind(self) -> None:
        self.owner = None
        producer = self.producer
        if producer is not None:
            self.unregisterProducer()
            if producer is not self:
                producer.stopProducing()
        self.tap = None
        self.dropReceived()
        self.paused = False
        self.readAgain()

    def setAddresses(self, peer: IAddress, host: IAddress) -> None:
        self._addresses = peer, host

    def getPeer(self) -> IAddress:
        return super().getPeer() if self._addresses is None else self._addresses[0]

    def getHost(self) -> IAddress:
        return super().getHost() if self._addresses is None else self._addresses[1]

    @property
    def _above(self) -> Connection | None:
        return super()._above if self._inTLS is None else self._inTLS

    def getClock(self) -> IReactorTime:
        clock: IReactorTime = self.reactor if self.owner is None else self.owner.getClock()
        return clock

    @property
    def pending(self) -> int:
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    def stopReading(self) -> None:
        if self.fileno() != -1:
            tcp.Connection.stopReading(self)

    def startReading(self) -> None:
        """
        Start reading from the socket. If the connection has an owner, nothing happens after
        the peer's EOF.
        """
        if self.fileno() != -1 and not (self._hasReadAll and self.isBound):
            tcp.Connection.startReading(self)

    def _isOpen(self) -> bool:
        """
        Compute C{_open}. Return whether the connection's state allows writing without checks.
        """
        isOpen = bool(
            self.connected
            and not self.disconnecting
            and not self.TLS
            and not self._writeDisconnecting
            and not self._writeDisconnected
            and not self._aborting
            and (self.producer is None or self.streamingProducer)
        )
        self._open = (True if self._tap is None else None) if isOpen else False
        return isOpen

    # Receiving

    def doRead(self) -> Any:
        """
        Receive data and deliver it, then send the data that the protocol has written.
        """
        try:
            data = self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        self.bytesIn += len(data)
        try:
            self.protocol.dataReceived(data)
        except BaseException:
            # The reactor then closes the connection, and the send queue is dropped, as in Twisted.
            self.queued = False
            self.dropReceived()
            raise
        if self.queued:
            waiting = currentBatch.waiting
            if waiting and waiting[-1] is self:
                # In the usual case, this connection is the only connection in the batch.
                waiting.pop()
            self.flush()
        return None

    # Sending

    def write(self, data: bytes) -> None:
        if not self._open or data.__class__ is not bytes or not data:
            self._writeSpecial(data)
            return
        if self._tempDataBuffer:
            self._tempDataBuffer.append(data)
        else:
            self._tempDataBuffer = [data]
        self._tempDataLen = length = self._tempDataLen + len(data)
        if self._writing or length > _LONG:
            self._muchWritten()
        elif not self.queued:
            waiting = currentBatch.waiting
            if waiting is None:
                self._ask()
            else:
                self.queued = True
                waiting.append(self)

    def writeNow(self, data: bytes) -> None:
        if not self._open or self._writing or self.queued or len(data) > _LONG:
            self.write(data)
            return
        try:
            sent = self.socket.send(data)
        except OSError:
            # The next attempt, at the end of the batch, handles the error.
            sent = 0
        self.bytesOut += sent
        if sent != len(data):
            self.write(data[sent:])

    def _writeSpecial(self, data: bytes) -> None:
        """
        The slow path of L{write}: handles all states and types of data.
        """
        tap = self._tap
        if self._open is None and tap is not None and data.__class__ is bytes and data:
            tap(data)
            if self._open is None:
                self._writeOpen(data)
                return
        elif self.owner is not None:
            if data.__class__ is not bytes:
                # Copy a mutable buffer: the caller could change it before it is sent.
                data = bytes(memoryview(data))
            isClosing = self.disconnecting or self._writeDisconnecting
            if self._aborting or (isClosing and (self.producer is None or self.streamingProducer)):
                return
            if self._tap is not None and data and self.connected:
                self._tap(data)
        elif self._tap is not None:
            self._tapUnbound(data)
        if self._isOpen() and data.__class__ is bytes and data:
            self._writeOpen(data)
            return
        self._beginBuffer()
        super().write(data)
        if self.owner is not None and (self._writing or self._tempDataLen > _LONG):
            self._muchWritten()

    def _writeOpen(self, data: bytes) -> None:
        """
        Append data in an open connection without calling the tap.
        """
        self._open = True
        try:
            self.write(data)
        finally:
            if self._open and self._tap is not None:
                self._open = None

    def _tapUnbound(self, data: bytes) -> None:
        """
        Call the tap with data that is written without an owner, if Twisted sends the data.
        """
        isSent = self.connected and not self._writeDisconnected and not self._aborting
        if self._tap is not None and data and isSent:
            self._tap(bytes(data))

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        if self.owner is None:
            if self._tap is not None:
                iovec = [*iovec]
                self._tapUnbound(b"".join(iovec))
            self._beginBuffer()
            super().writeSequence(iovec)
            return
        chunks = [
            each if type(each) is bytes else bytes(memoryview(each)) for each in iovec if len(each)
        ]
        if len(chunks) > 1 and self._tap is None and (self._open or self._isOpen()):
            # Append all chunks except the last directly; write() then handles the batch and the
            # limit.
            last = chunks.pop()
            self._beginBuffer()
            self._tempDataBuffer += chunks
            self._tempDataLen += sum(map(len, chunks))
            self.write(last)
        elif chunks:
            self.write(b"".join(chunks))

    def _muchWritten(self) -> None:
        """
        Pause the producer, and enforce the limit of the send queue. Called after a write while
        the socket is not writable, and after a long write.
        """
        if self.owner is None:
            self._maybePauseProducer()
            self.startWriting()
            return
        if self._tempDataLen > _LONG and not self.dataBuffer:
            # Send long data before the end of the batch, to detect a peer that does not read.
            if self._open or self._isOpen():
                self.flush(inWrite=True)
            else:
                self._ask()
        chunks = self._tempDataBuffer
        if len(chunks) - self._dense >= _LOOSE_CHUNKS:
            chunks[self._dense :] = [b"".join(chunks[self._dense :])]
            self._dense += 1
        pending = self.pending
        written = self.bytesOut + pending
        if 0 < self.owner.limits.maxQueue < min(pending, written - self._exempt):
            self._open = False
            self._disconnectSlowPeer(self.owner)

    def _pauseProducer(self) -> None:
        """
        Pause the owner's push producer, because the socket accepts no more data.
        """
        producer = self.producer
        if (
            self.owner is not None
            and producer is not None
            and self.streamingProducer
            and not self.producerPaused
        ):
            self.producerPaused = True
            cast("Any", producer).pauseProducing()

    def _drop(self) -> None:
        chunks, sent = [*self._tempDataBuffer], self.offset
        if self.dataBuffer:
            chunks.insert(0, self.dataBuffer)
        self.dataBuffer, self.offset = b"", 0
        self._tempDataBuffer = _NOTHING
        self._tempDataLen = self._dense = self._exempt = 0
        if chunks and self.owner is not None:
            reportDropped(self.owner, chunks, sent)

    def flush(self, inWrite: bool = False) -> None:
        """
        Send the queue. Called at the end of the batch.

        @param inWrite: whether this method is called during L{write}; C{connectionLost} must
            then not be called before L{write} returns.
        """
        self.queued = False
        if not self._open and not self._isOpen():
            self._flushSpecial()
            return
        chunks = self._tempDataBuffer
        length = self._tempDataLen
        apart = False
        if len(chunks) == 1:
            data = chunks[0]
        elif length > _LONG and len(chunks) <= _MAX_CHUNKS:
            apart = True
        else:
            data = b"".join(chunks)
        try:
            sent = self.socket.sendmsg(chunks) if apart else self.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            # Call Twisted's code, which repeats the system call and reports the error.
            if not inWrite:
                log.callWithLogger(self, self._write)
                return
            self.reactor.callLater(0, log.callWithLogger, self, self._write)
            sent = 0
        if sent < length:
            if not apart:
                self._tempDataBuffer = [data]
            self._remove(sent)
            self._dense = len(self._tempDataBuffer)
            self._exempt = self.bytesOut + self.pending
            self._ask()
            self._pauseProducer()
            return
        self._tempDataBuffer = _NOTHING
        self._tempDataLen = 0
        self.bytesOut += sent
        if self.producerPaused and self.producer is not None:
            self._ask()

    def _flushSpecial(self) -> None:
        """
        The slow path of L{flush}: handles all states.
        """
        if self.producer is not None and self.connected:
            self._ask()
        else:
            log.callWithLogger(self, self._write)

    def _write(self) -> None:
        """
        Send data and close the connection, as the reactor does for a writable socket.
        """
        if not self.connected:
            return
        why = self.doWrite()
        if why:
            self.stopReading()
            self.stopWriting()
            self.connectionLost(Failure(why))
        elif self.dataBuffer:
            self._ask()

    def _remove(self, sent: int) -> None:
        """
        Remove sent data from the send queue.

        @param sent: the number of bytes that the socket has accepted.
        """
        self.bytesOut += sent
        first, chunks, at = self.dataBuffer, self._tempDataBuffer, 0
        sent += self.offset
        while sent >= len(first):
            sent -= len(first)
            if at == len(chunks):
                first = b""
                break
            first = chunks[at]
            self._tempDataLen -= len(first)
            at += 1
        self.dataBuffer, self.offset = first, sent
        if at:
            del chunks[:at]
            self._dense = max(0, self._dense - at)

    def _joinFirst(self) -> None:
        """
        Join the first chunks of the queue if there are many chunks. The limited queue of an
        owner is joined in portions.
        """
        chunks = self._tempDataBuffer
        if len(chunks) <= _MAX_CHUNKS:
            return
        count = length = 0
        for chunk in chunks:
            if count and self.owner is not None and max(length, len(chunk)) > _LONG:
                break
            length += len(chunk)
            count += 1
        if count > 1:
            chunks[:count] = [b"".join(chunks[:count])]
            self._dense = max(0, self._dense - count) + 1

    def writeSomeData(self, data: bytes | memoryview) -> Any:
        """
        Send as much of the queue as the socket accepts, and remove the sent data from the
        queue. Twisted's method sends at most 128 KiB of the first chunk.

        @param data: the unsent part of the first chunk.
        @return: the number of bytes that Twisted's code must remove, which is always 0; or the
            reason why the connection is lost.
        """
        self._joinFirst()
        chunks = [data, *self._tempDataBuffer[:_MAX_CHUNKS]]
        if not data and len(chunks) > 1:
            del chunks[0]
        try:
            if len(chunks) == 1 or _MAX_CHUNKS == 1:
                sent = self.socket.send(chunks[0])
            else:
                sent = self.socket.sendmsg(chunks)
        except OSError as error:
            if not isinstance(error, BlockingIOError) and error.errno != ENOBUFS:
                return CONNECTION_LOST
            sent = 0
        self._remove(sent)
        return 0

    def _beginBuffer(self) -> None:
        """
        Create the list of chunks if it does not exist, because Twisted's code appends to this
        list.
        """
        if self._tempDataBuffer is _NOTHING:
            self._tempDataBuffer = []

    def doWrite(self) -> Any:
        why = super().doWrite()
        if not self._tempDataBuffer and not self.TLS:
            self._tempDataBuffer = _NOTHING
        if self.dataBuffer and not why:
            self._pauseProducer()
        return why

    def _ask(self) -> None:
        """
        Tell the reactor to call L{doWrite} when the socket is writable.
        """
        if not self._writing:
            self._writing = True
            self._exempt = self.bytesOut + self.pending
        self.reactor.addWriter(self)

    def startWriting(self) -> None:
        """
        Send data at the end of the batch. Without a batch, send data when the socket is
        writable.
        """
        if self.queued:
            return
        # During a connection attempt, the reactor must wait until the socket is writable, which
        # means that the attempt has succeeded.
        if self.connected and not self._writing and currentBatch.waiting is not None:
            self.queued = True
            currentBatch.waiting.append(self)
        else:
            self._ask()

    def stopWriting(self) -> None:
        self.queued = False
        if self._writing:
            self._writing = False
            self._exempt = 0
            self.reactor.removeWriter(self)

    # Changes of state

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """
        Start TLS. The owner receives an encrypting connection through C{transportChanged}. If
        the owner has not processed all received plaintext, the connection is aborted instead.

        @raise RuntimeError: if the socket does not accept all queued plaintext.
        """
        if self.refusesTLS():
            return
        owner, tap = self.owner, self._tap
        producer, streaming = self.producer, self.streamingProducer
        if owner is not None:
            if self._tempDataLen:
                self.flush(inWrite=True)
            if self.pending:
                raise RuntimeError(
                    f"cannot start TLS: {self.pending} bytes of plaintext are queued; "
                    "wait until the peer has read them"
                )
            if producer is not None:
                self.unregisterProducer()
            self.tap = self.owner = None
        self._open = False
        self._beginBuffer()
        super().startTLS(ctx, normal)
        if owner is not None:
            inTLS = self._inTLS = BufferedTransport(cast("Any", self), owner)
            inTLS.tap = tap
            owner.transportChanged(inTLS)
            if producer is not None:
                own = cast("IProducer", inTLS)
                inTLS.registerProducer(own if producer is self else producer, streaming)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer. A push producer is paused immediately if the send queue of
        an owner is not empty.
        """
        self._open = False
        if self.owner is not None and (self.disconnecting or self._writeDisconnecting):
            if producer is not self:
                producer.stopProducing()
            return
        super().registerProducer(producer, streaming)
        if self.owner is not None and self.dataBuffer:
            self.producerPaused = False
            self._pauseProducer()

    def unregisterProducer(self) -> None:
        self._open = False
        super().unregisterProducer()

    def loseConnection(self) -> None:
        if self._endSoon():
            return
        self._open = False
        self.dropReceived()
        if self.guard is not None and self.connected:
            self.guard.closing()
        producer = None
        mayStop = self.connected and not self.disconnecting
        if self.owner is not None and self.streamingProducer and mayStop:
            producer, self.producer = self.producer, None
            self.producerPaused = False
        try:
            if producer is not None and producer is not self:
                producer.stopProducing()
        finally:
            super().loseConnection()

    def loseWriteConnection(self) -> None:
        """
        Close the write side when the send queue is empty. Further writes by an owner are
        dropped, but a registered pull producer may finish.
        """
        self._open = False
        if self.owner is None or self.connected:
            super().loseWriteConnection()

    def abortConnection(self) -> None:
        """
        Close the connection immediately, and drop the send queue.
        """
        if self._endSoon():
            return
        self._open = False
        self.dropReceived()
        if self.owner is not None and self.connected and not self._aborting:
            self.disconnecting = True
            self._drop()
        super().abortConnection()

    def readConnectionLost(self, reason: Failure) -> None:
        """
        Deliver the receive buffer, then notify the protocol of the peer's EOF.
        """
        self._hasReadAll = True
        if self.guard is not None and not self.isClosing:
            self.guard.peerHalfClosed()
        if self.receiveBuffer is None:
            super().readConnectionLost(reason)
        else:
            self.receiveBuffer.put(self._passEOF, (reason,))

    def _passEOF(self, reason: Failure) -> None:
        if self.connected:
            super().readConnectionLost(reason)

    def connectionLost(self, reason: Failure) -> None:
        """
        Deliver the receive buffer, then notify the protocol that the connection is lost.
        """
        if not hasattr(self, "socket"):
            return
        self._open = self.queued = False
        self._drop()
        if self.producer is self:
            # Otherwise, Twisted would call this connection's stopProducing, which closes the
            # connection.
            self.producer = None
        ending: Any = _Ending(self, self.protocol)
        self.protocol = ending
        try:
            super().connectionLost(reason)
        finally:
            # If a producer has raised an exception, Twisted has not called connectionLost of the
            # replacement.
            ending.connectionLost(reason)

    def notifyLost(self, reason: Failure) -> None:
        try:
            super().notifyLost(reason)
        finally:
            self.protocol = cast("Any", None)


class _Ending:
    """
    Replaces the protocol while Twisted's code closes the socket. The protocol's
    C{connectionLost} is delayed until the receive buffer is empty.
    """

    __slots__ = ("_connection", "_protocol")

    def __init__(self, connection: CoalescingTransport, protocol: Any) -> None:
        """
        @param connection: the connection.
        @param protocol: the protocol of the connection.
        """
        self._connection: CoalescingTransport | None = connection
        self._protocol = protocol

    def connectionLost(self, reason: Failure) -> None:
        """
        Notify the protocol. Further calls have no effect.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.protocol = self._protocol
        if connection.receiveBuffer is None:
            connection.notifyLost(reason)
        else:
            connection.receiveBuffer.holdEnd(partial(connection.notifyLost, reason), reason)


def _noFileno() -> int:
    """
    Return -1, the file descriptor of a closed socket.
    """
    return -1


@lru_cache(maxsize=256)
def _share(prefix: str, protocol: str, port: int) -> tuple[str, str, int]:
    """
    Return a tuple of the arguments. All connections with equal values share one tuple, to save
    memory.
    """
    return prefix, protocol, port


class AcceptedTransport(CoalescingTransport, tcp.Server):
    """
    A connection accepted from a client. Some attributes that Twisted stores for each
    connection are computed on demand: the strings for the log and C{repr}, and two shortcuts.
    """

    __slots__ = ("_names", "client", "server", "sessionno")

    def __init__(
        self,
        sock: socket.socket,
        protocol: IProtocol,
        client: tuple[Any, ...],
        server: tcp.Port | None,
        sessionno: int,
        reactor: Any,
    ) -> None:
        """
        See C{twisted.internet.tcp.Server}.

        @param sock: the socket.
        @param protocol: the protocol.
        @param client: the address of the peer, as returned by C{accept}.
        @param server: the port; C{None} for an adopted connection.
        @param sessionno: the number of the connection on its port.
        @param reactor: the reactor.
        """
        # The names of the first protocol, which can be replaced later.
        self._names = _share(
            str(self._getLogPrefix(protocol)),
            type(protocol).__name__,
            sock.getsockname()[1] if server is None else server._realPortNumber,  # noqa: SLF001
        )
        # Twisted allows None for the port of an adopted connection.
        super().__init__(sock, protocol, client, cast("tcp.Port", server), sessionno, reactor)
        self._tempDataBuffer = _NOTHING

    def _getLogstr(self) -> str:
        prefix, _, _ = self._names
        return f"{prefix},{self.sessionno},{self.hostname}"

    def _getRepstr(self) -> str:
        """
        Return the C{repr} of the connection.
        """
        _, protocol, port = self._names
        return f"<{protocol} #{self.sessionno} on {port}>"

    def _getFileno(self) -> Callable[[], int]:
        """
        Return a function that returns the file descriptor, or -1 if the connection is lost.
        """
        try:
            return self.socket.fileno
        except AttributeError:
            return _noFileno

    def _leaveOut(self, *made: object) -> None:
        """
        Do nothing when Twisted assigns or deletes the attribute.
        """

    def _getHostname(self) -> Any:
        """
        Return the address of the peer, without its port.
        """
        return self.client[0]

    def _getAddressType(self) -> type[IPv4Address | IPv6Address]:
        return IPv4Address if len(self.client) == 2 else IPv6Address

    _addressType = property(_getAddressType, _leaveOut)
    fileno = property(_getFileno, _leaveOut, _leaveOut)
    hostname = property(_getHostname, _leaveOut)
    logstr = property(_getLogstr, _leaveOut)
    repstr = property(_getRepstr, _leaveOut)


class ServerTransport(AcceptedTransport):
    """
    A connection accepted under a reactor other than C{openfl}: each read is a write batch.
    """

    def doRead(self) -> Any:
        batch = currentBatch
        if batch.waiting is not None:
            return super().doRead()
        # WriteBatch.run, inlined for speed.
        batch.waiting = []
        try:
            return super().doRead()
        finally:
            try:
                if batch.waiting:
                    batch.flush()
            finally:
                batch.waiting = None


def coalesceWrites(port: _P) -> _P:
    """
    Coalesce the writes on all connections that a port accepts after this call, see
    L{ServerTransport}. A port that is not a Twisted TCP port is returned unchanged.

    @param port: the port.
    @return: the port.
    """
    if isinstance(port, tcp.Port) and port.transport is tcp.Server:
        port.transport = ServerTransport
    return port
