"""
TCP connections that send what was written during a batch in one go, at its end.

Twisted's own transports note what is written, ask the reactor when the socket
accepts bytes, and send then: two C{epoll_ctl} calls and a second iteration for each
message, although the socket nearly always accepts it immediately. Here, one C{recv}
and one C{send} are all that a message costs.

For any Twisted program these are Twisted's transports: they call the protocol, the
producer and C{connectionLost} in the same order. Only the bytes, and the end of a
connection that was closed, do not wait for another iteration. Once a protocol has
bound one, see L{CoalescingTransport.bind}, the send queue is limited, and what is
written after C{loseConnection} is not sent.
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

from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.buffered import BufferedTransport
from openfl_twisted.transports.connection import Connection, Owner, reportDropped
from openfl_twisted.transports.writebatch import currentBatch

P = TypeVar("P", bound=IListeningPort)

_log = packageLogger()

# An empty buffer. Twisted has a list for each connection.
_NOTHING: Any = ()

# Chunks of more than this, in bytes, are not joined: that would cost more than to send them as
# they are. So much is sent before the end of a batch.
_LONG = 64 * 1024

# Maximum number of chunks that are sent in one call, where there is one for it; IOV_MAX of Linux
# is 1024. If there are more, the first ones are joined, up to _LONG bytes and one more chunk.
_MAX_CHUNKS = 64 if hasattr(socket.socket, "sendmsg") else 1

# So many chunks of a send queue are joined.
_LOOSE_CHUNKS = 1000


class CoalescingTransport(Connection, tcp.Connection):
    """
    A mixin for the TCP transports of Twisted.

    @ivar owner: the protocol that has bound it; C{None} for any Twisted protocol.
    @ivar queued: whether it has data for the end of the batch.
    @ivar _open: whether there is nothing to do but to send. If not, the slow way
        checks whether it is true again.
    @ivar _writing: whether the reactor was asked when the socket accepts bytes.
    @ivar _dense: the number of chunks at the beginning of the send queue that have been
        joined.
    @ivar _exempt: the value of C{bytesOut} once everything is sent that was written
        before the reactor was asked; those bytes do not count for the limit.
    @ivar _addresses: the addresses of the client of a proxy, and of the proxy.
    """

    # Twisted has defaults for these in its classes. As slots they are found faster, and a
    # connection needs no dictionary, unless it closes one of its sides or starts TLS.
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

    # The send queue is the list, and dataBuffer its first chunk, of which a part may be sent:
    # Twisted's own code must not join them.
    SEND_LIMIT = 0
    # Without TLS, nothing must be received before something can be sent.
    hasReceived = True
    _tap: Callable[[bytes], object] | None = None
    # Whether the peer has closed its side.
    _hasReadAll = False
    # The connection in TLS, if an owner has started TLS.
    _inTLS: BufferedTransport | None = None

    # What Twisted's classes have without saying so to a type checker.
    reactor: Any
    owner: Owner | None
    _tempDataBuffer: list[bytes]
    _tempDataLen: int
    _writing: bool
    _addresses: tuple[IAddress, IAddress] | None

    def __new__(cls, *args: object, **named: object) -> Self:
        """
        Make one that is not connected yet.
        """
        self = super().__new__(cls)
        # Those that Twisted itself sets are missing until it does: it checks whether they exist.
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

    # The contract of Connection

    def bind(self, owner: Owner) -> bool:
        """
        Limit the send queue, unless this is TLS: then Twisted's TLS has a queue of its
        own.
        """
        if self.TLS:
            return False
        self.owner = owner
        return True

    @property
    def isFull(self) -> bool:
        """
        Whether the reactor waits until the socket accepts data.
        """
        return self._writing

    @property
    def isLost(self) -> bool:
        """
        Whether the connection is lost.
        """
        return not self.connected

    @property
    def isAborted(self) -> bool:
        """
        Whether this side has aborted the connection.
        """
        return self._aborting

    def unbind(self) -> None:
        """
        Be as new for another protocol.
        """
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
        """
        Have C{getPeer} and C{getHost} return other addresses.
        """
        self._addresses = peer, host

    def getPeer(self) -> IAddress:
        """
        Return the address of the peer.
        """
        return super().getPeer() if self._addresses is None else self._addresses[0]

    def getHost(self) -> IAddress:
        """
        Return the local address.
        """
        return super().getHost() if self._addresses is None else self._addresses[1]

    @property
    def _above(self) -> Connection | None:
        return super()._above if self._inTLS is None else self._inTLS

    def getClock(self) -> IReactorTime:
        """
        Return the clock of the owner, or the reactor.
        """
        clock: IReactorTime = self.reactor if self.owner is None else self.owner.getClock()
        return clock

    @property
    def pending(self) -> int:
        """
        The length of the send queue (bytes).
        """
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    @property
    def tap(self) -> Callable[[bytes], object] | None:
        """
        Called with each chunk that is written; C{None} for nobody.
        """
        return self._tap

    @tap.setter
    def tap(self, tap: Callable[[bytes], object] | None) -> None:
        if tap is not None or self._tap is not None:
            self._tap = tap
        self._open = False

    def stopReading(self) -> None:
        """
        Read nothing from the socket.
        """
        if self.fileno() != -1:
            tcp.Connection.stopReading(self)

    def startReading(self) -> None:
        """
        Read from the socket. After the EOF there is nothing to read; an owner is not
        told of it again.
        """
        if self.fileno() != -1 and not (self._hasReadAll and self.isBound):
            tcp.Connection.startReading(self)

    def _isOpen(self) -> bool:
        """
        Check whether there is nothing to do but to send. A tap is called before that.
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
        self._open = isOpen and self._tap is None
        return isOpen

    # Receiving

    def doRead(self) -> Any:
        """
        Receive data, and send what was written meanwhile.
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
            # The reactor ends the connection, and the send queue is dropped, as in Twisted.
            self.queued = False
            self.dropReceived()
            raise
        if self.queued:
            waiting = currentBatch.waiting
            if waiting and waiting[-1] is self:
                # Usually it is the only one, and the batch has nothing left to do.
                waiting.pop()
            self.flush()
        return None

    # Sending

    def write(self, data: bytes) -> None:
        """
        Send bytes at the end of the batch; without one, when the socket accepts them.
        """
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

    def _writeSpecial(self, data: bytes) -> None:
        """
        Do what L{write} does, in any state.
        """
        if self.owner is not None:
            if data.__class__ is not bytes:
                # The caller can change it before it is sent.
                data = bytes(memoryview(data))
            isClosing = self.disconnecting or self._writeDisconnecting
            if self._aborting or (isClosing and (self.producer is None or self.streamingProducer)):
                return
            if self._tap is not None and data and self.connected:
                self._tap(data)
        if self._isOpen() and data.__class__ is bytes and data:
            self._open = True
            try:
                self.write(data)
            finally:
                if self._tap is not None:
                    self._open = False
            return
        self._beginBuffer()
        super().write(data)
        if self.owner is not None and (self._writing or self._tempDataLen > _LONG):
            self._muchWritten()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several chunks.
        """
        if self.owner is None:
            self._beginBuffer()
            super().writeSequence(iovec)
            return
        chunks = [
            each if type(each) is bytes else bytes(memoryview(each)) for each in iovec if len(each)
        ]
        if len(chunks) > 1 and self._tap is None and (self._open or self._isOpen()):
            # Nothing is sent before the last of them.
            last = chunks.pop()
            self._beginBuffer()
            self._tempDataBuffer += chunks
            self._tempDataLen += sum(map(len, chunks))
            self.write(last)
        elif chunks:
            self.write(b"".join(chunks))

    def _muchWritten(self) -> None:
        """
        Pause the producer, and limit the send queue.
        """
        if self.owner is None:
            self._maybePauseProducer()
            self.startWriting()
            return
        if self._tempDataLen > _LONG and not self.dataBuffer:
            # Whether the peer reads must be known before much is written.
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
            self._disconnectSlowPeer(self.owner)

    def _pauseProducer(self) -> None:
        """
        Pause the push producer of an owner: the socket does not accept data.
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

    def _disconnectSlowPeer(self, owner: Owner) -> None:
        """
        Disconnect a peer that does not read.
        """
        self.disconnecting = True
        self._open = False
        self._drop()
        self.dropReceived()
        try:
            owner.sendQueueExceeded()
        except Exception:
            # The caller may be writing to many; the others receive their data.
            _log.failure("error in sendQueueExceeded; the connection is closed")
            self.abortConnection()

    def _drop(self) -> None:
        """
        Drop the send queue.
        """
        chunks, sent = [*self._tempDataBuffer], self.offset
        if self.dataBuffer:
            chunks.insert(0, self.dataBuffer)
        self.dataBuffer, self.offset = b"", 0
        self._tempDataBuffer = _NOTHING
        self._tempDataLen = self._dense = self._exempt = 0
        if chunks and self.owner is not None:
            reportDropped(self.owner, chunks, sent)

    def flush(self, *, inWrite: bool = False) -> None:
        """
        Send what was written; called at the end of the batch.

        @param inWrite: whether the protocol is writing, so that it must not be told now
            that the connection is lost.
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
            # Twisted's own code tries again, and reports the reason.
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
        Do what L{flush} does, in any state.
        """
        if self.producer is not None and self.connected:
            self._ask()
        else:
            log.callWithLogger(self, self._write)

    def _write(self) -> None:
        """
        Send and close, as the reactor does when the socket accepts bytes.
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
        Remove bytes from the send queue.

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
        Join the chunks that are sent next, if there are many. Those of an owner are
        joined in portions, since its queue is limited.
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
        Send as much of the send queue as the socket accepts, and remove it; Twisted's
        own method sends 128 KiB of its first chunk at most.

        @param data: the rest of the first chunk.
        @return: 0 bytes that are still to be removed, or why the connection is lost.
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
        Make the list to which Twisted's own code appends.
        """
        if self._tempDataBuffer is _NOTHING:
            self._tempDataBuffer = []

    def doWrite(self) -> Any:
        """
        Send what the socket accepts.
        """
        why = super().doWrite()
        if not self._tempDataBuffer and not self.TLS:
            # An empty list is not kept.
            self._tempDataBuffer = _NOTHING
        if self.dataBuffer and not why:
            self._pauseProducer()
        return why

    def _ask(self) -> None:
        """
        Ask the reactor to call L{doWrite} when the socket accepts bytes.
        """
        if not self._writing:
            self._writing = True
            self._exempt = self.bytesOut + self.pending
        self.reactor.addWriter(self)

    def startWriting(self) -> None:
        """
        Send at the end of the batch; without one, when the socket accepts bytes.
        """
        if self.queued:
            return
        # Before it is connected, this is how it learns that it is.
        if self.connected and not self._writing and currentBatch.waiting is not None:
            self.queued = True
            currentBatch.waiting.append(self)
        else:
            self._ask()

    def stopWriting(self) -> None:
        """
        Send nothing more.
        """
        self.queued = False
        if self._writing:
            self._writing = False
            self._exempt = 0
            self.reactor.removeWriter(self)

    # Changes of state

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """
        Start TLS. The owner gets another transport, which limits the queue in front of
        TLS. If plaintext was received that the owner has not processed, the connection is
        aborted instead.

        @raise RuntimeError: if the peer has not read what was sent before.
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
                    "TLS cannot start: the peer has not read what was sent before it"
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
        Register a producer. A push producer that is registered while the peer does not
        read is paused immediately.
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
        """
        Unregister the producer.
        """
        self._open = False
        super().unregisterProducer()

    def loseConnection(self) -> None:
        """
        Close the connection when everything written so far has been sent.
        """
        buffer = self.receiveBuffer
        if buffer is not None and buffer.isEnding:
            buffer.discardSoon()
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
        Close the write side when everything written so far has been sent. An owner can
        write nothing more; a pull producer may finish.
        """
        self._open = False
        if self.owner is None or self.connected:
            super().loseWriteConnection()

    def abortConnection(self) -> None:
        """
        Close the connection immediately. The send queue is dropped.
        """
        buffer = self.receiveBuffer
        if buffer is not None and buffer.isEnding:
            buffer.discardSoon()
            return
        self._open = False
        self.dropReceived()
        if self.owner is not None and self.connected and not self._aborting:
            self.disconnecting = True
            self._drop()
        super().abortConnection()

    def readConnectionLost(self, reason: Failure) -> None:
        """
        Tell the protocol that the peer has closed its side, after what is held.
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
        Tell the protocol that the connection is lost, after what is held.
        """
        if not hasattr(self, "socket"):
            return
        self._open = self.queued = False
        self._drop()
        if self.producer is self:
            # It would be closed as the producer.
            self.producer = None
        ending: Any = _Ending(self, self.protocol)
        self.protocol = ending
        try:
            super().connectionLost(reason)
        finally:
            # It has not been, if a producer has raised.
            ending.connectionLost(reason)

    def notifyLost(self, reason: Failure) -> None:
        """
        Tell the protocol and the guard that the connection is lost.
        """
        try:
            super().notifyLost(reason)
        finally:
            self.protocol = cast("Any", None)


class _Ending:
    """
    Takes the place of the protocol while Twisted's own code closes the socket: the
    protocol is told after the held data.
    """

    __slots__ = ("_connection", "_protocol")

    def __init__(self, connection: CoalescingTransport, protocol: Any) -> None:
        """
        @param connection: the connection.
        @param protocol: its protocol.
        """
        self._connection: CoalescingTransport | None = connection
        self._protocol = protocol

    def connectionLost(self, reason: Failure) -> None:
        """
        Tell the protocol, once.
        """
        connection, self._connection = self._connection, None
        if connection is None:
            return
        connection.protocol = self._protocol
        if connection.receiveBuffer is None:
            connection.notifyLost(reason)
        else:
            connection.receiveBuffer.holdEnd(partial(connection.notifyLost, reason))


def _noFileno() -> int:
    """
    Return the descriptor of a lost connection.
    """
    return -1


@lru_cache(maxsize=256)
def _share(prefix: str, protocol: str, port: int) -> tuple[str, str, int]:
    """
    Keep the names once that all connections of a port have.
    """
    return prefix, protocol, port


class AcceptedTransport(CoalescingTransport, tcp.Server):
    """
    A connection of a client. Twisted gives each some attributes that are made of
    others: two texts, for the log and for C{repr}, and two shortcuts. These are made
    when they are used.
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
        Do what C{twisted.internet.tcp.Server} does.

        @param sock: the socket.
        @param protocol: the protocol.
        @param client: the address of the peer, as C{accept} returns it.
        @param server: the port; C{None} for a connection that was adopted.
        @param sessionno: the number of the connection on its port.
        @param reactor: the reactor.
        """
        # As they are now: the protocol may be another one later.
        self._names = _share(
            str(self._getLogPrefix(protocol)),
            type(protocol).__name__,
            # As in Twisted's own.
            sock.getsockname()[1] if server is None else server._realPortNumber,  # noqa: SLF001
        )
        # A connection that was adopted has no port; Twisted's own code allows it.
        super().__init__(sock, protocol, client, cast("tcp.Port", server), sessionno, reactor)
        self._tempDataBuffer = _NOTHING

    def _getLogstr(self) -> str:
        """
        Return the prefix of log lines for this connection.
        """
        prefix, _, _ = self._names
        return f"{prefix},{self.sessionno},{self.hostname}"

    def _getRepstr(self) -> str:
        """
        Return the result of C{repr}.
        """
        _, protocol, port = self._names
        return f"<{protocol} #{self.sessionno} on {port}>"

    def _getFileno(self) -> Callable[[], int]:
        """
        Return a function that returns the descriptor: -1 once the connection is lost.
        """
        try:
            return self.socket.fileno
        except AttributeError:
            return _noFileno

    def _leaveOut(self, *made: object) -> None:
        """
        Do not keep what Twisted has made; so there is nothing to delete.
        """

    def _getHostname(self) -> Any:
        """
        Return the address of the peer, without the port.
        """
        return self.client[0]

    def _getAddressType(self) -> type[IPv4Address | IPv6Address]:
        """
        Return the class of the addresses.
        """
        return IPv4Address if len(self.client) == 2 else IPv6Address

    _addressType = property(_getAddressType, _leaveOut)
    fileno = property(_getFileno, _leaveOut, _leaveOut)
    hostname = property(_getHostname, _leaveOut)
    logstr = property(_getLogstr, _leaveOut)
    repstr = property(_getRepstr, _leaveOut)


class ServerTransport(AcceptedTransport):
    """
    A connection of a client, under any reactor: each read is a batch.
    """

    def doRead(self) -> Any:
        """
        Receive data, and send what was written meanwhile.
        """
        batch = currentBatch
        if batch.waiting is not None:
            return super().doRead()
        # What WriteBatch.run does, with fewer calls.
        batch.waiting = []
        try:
            return super().doRead()
        finally:
            try:
                if batch.waiting:
                    batch.flush()
            finally:
                batch.waiting = None


def coalesceWrites(port: P) -> P:
    """
    Have the connections of a port coalesce their writes, see L{ServerTransport}. The
    present connections stay as they are.

    This needs a port of C{twisted.internet.tcp}, which is what nearly all reactors
    have for TCP and for TLS over it. Any other port stays as it is.

    @param port: the port.
    @return: the port.
    """
    if isinstance(port, tcp.Port) and port.transport is tcp.Server:
        port.transport = ServerTransport
    return port
