"""
Connections between a protocol and a peer that reads and sends when the test says so: a
bound TCP connection on a fake socket, and a L{BufferedTransport
<openfl_twisted.transports.buffered.BufferedTransport>}, with one interface for tests.
"""

from collections import deque
from collections.abc import Callable
from errno import ECONNRESET, EWOULDBLOCK
from functools import partial
from types import SimpleNamespace
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.posixbase import _DisconnectSelectableMixin
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.python import failure
from twisted.python.failure import Failure

from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.tcp import AcceptedTransport, ServerTransport
from openfl_twisted.transports.wrapper import ConnectionWrapper
from openfl_twisted.transports.writebatch import currentBatch
from tests.doubles import TightTransport
from tests.frames import REQUEST

HOST = "127.0.0.1"

_EOF = b""


class FakeSocket:
    """
    A socket that accepts a limited number of bytes.

    @ivar room: the number of bytes that it accepts; C{None} for any number.
    @ivar sends: the accepted bytes, one item for each call.
    @ivar incoming: the chunks to be received; empty bytes are the EOF.
    @ivar isReset: whether the peer has reset the connection.
    @ivar isShut: whether the write side is closed.
    @ivar isClosed: whether the socket is closed.
    """

    def __init__(self, room: int | None = None) -> None:
        self.room = room
        self.sends: list[bytes] = []
        self.incoming: deque[bytes] = deque()
        self.isReset = self.isShut = self.isClosed = False

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, *option: int) -> None:
        pass

    def fileno(self) -> int:
        return 7

    def recv(self, size: int) -> bytes:
        if self.isReset:
            raise ConnectionResetError(ECONNRESET, "reset by the peer")
        if not self.incoming:
            raise BlockingIOError(EWOULDBLOCK, "nothing was received")
        return self.incoming[0] and self.incoming.popleft()

    def send(self, data: bytes | memoryview) -> int:
        return self.sendmsg([data])

    def sendmsg(self, chunks: list[Any]) -> int:
        if self.isReset:
            raise ConnectionResetError(ECONNRESET, "reset by the peer")
        if self.room == 0:
            raise BlockingIOError(EWOULDBLOCK, "the buffer is full")
        accepted = b"".join(chunks)[: self.room]
        if self.room is not None:
            self.room -= len(accepted)
        if accepted:
            self.sends.append(accepted)
        return len(accepted)

    def shutdown(self, how: int) -> None:
        self.isShut = True

    def close(self) -> None:
        self.isClosed = True


class FakeReactor(_DisconnectSelectableMixin, Clock):
    """
    A reactor for L{FakeSocket}s. The test runs its iterations.

    @ivar hasBatch: whether a write batch is always active, as with the openfl reactor;
        if not, only reads are batches.
    @ivar readers: the selectables that wait for data.
    @ivar writers: the selectables that wait for a writable socket.
    @ivar errors: the exceptions raised by handlers.
    """

    def __init__(self, *, hasBatch: bool = False) -> None:
        super().__init__()
        self.hasBatch = hasBatch
        self.readers: dict[Any, None] = {}
        self.writers: dict[Any, None] = {}
        self.errors: list[BaseException] = []
        if hasBatch:
            currentBatch.waiting = []

    def addReader(self, reader: Any) -> None:
        self.readers[reader] = None

    def removeReader(self, reader: Any) -> None:
        self.readers.pop(reader, None)

    def addWriter(self, writer: Any) -> None:
        self.writers[writer] = None

    def removeWriter(self, writer: Any) -> None:
        self.writers.pop(writer, None)

    def turn(self) -> None:
        """
        Run delayed calls, then read and write.
        """
        self._runCalls()
        self._flush()
        # As epoll does, find all events before the first is handled.
        readable = [each for each in self.readers if each.socket.incoming or each.socket.isReset]
        writable = [each for each in self.writers if each.socket.room != 0 or each.socket.isReset]
        for each in readable:
            self._handle(each, self.readers, "doRead")
        for each in writable:
            self._handle(each, self.writers, "doWrite")
        self._flush()

    def _runCalls(self) -> None:
        # Those that they schedule have to wait, as with a real reactor.
        for call in [call for call in self.calls if call.getTime() <= self.seconds()]:
            if call.active():
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)

    def _flush(self) -> None:
        if self.hasBatch:
            currentBatch.flush()

    def _handle(self, selectable: Any, watched: dict[Any, None], method: str) -> None:
        if selectable not in watched:
            return
        isRead = False
        try:
            why = getattr(selectable, method)()
            isRead = method == "doRead"
        except Exception as error:
            why = error
            self.errors.append(error)
        if why:
            self._disconnectSelectable(selectable, why, isRead)


class Line:
    """
    A connection between a protocol and a peer.

    @ivar protocol: the protocol.
    @ivar clock: the clock of its timers.
    """

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.clock: Any = None

    @property
    def connection(self) -> Any:
        """
        The connection of the protocol.
        """
        return self.protocol.transport

    @property
    def sent(self) -> bytes:
        """
        All bytes that the peer has received.
        """
        return b"".join(self.writes)

    @property
    def writes(self) -> list[bytes]:
        """
        The same, one item for each write.
        """
        raise NotImplementedError

    @property
    def isClosed(self) -> bool:
        """
        Whether the connection is closed.
        """
        raise NotImplementedError

    @property
    def isHalfClosed(self) -> bool:
        """
        Whether the write side is closed.
        """
        raise NotImplementedError

    @property
    def isReading(self) -> bool:
        """
        Whether data of the peer is read.
        """
        raise NotImplementedError

    @classmethod
    def unaccepted(cls, data: bytes) -> bytes:
        """
        Return the first bytes that were written to a peer that does not read, if they
        count as not sent: they do unless another transport has them.
        """
        return data

    def arrive(self, *chunks: bytes) -> None:
        """
        Send chunks to the protocol, each in a read.
        """
        raise NotImplementedError

    def read(self, room: int | None = None) -> None:
        """
        Read as the peer.

        @param room: the number of bytes; C{None} for all data, now and later.
        """
        raise NotImplementedError

    def endRead(self) -> None:
        """
        Close the write side of the peer.
        """
        raise NotImplementedError

    def reset(self) -> None:
        """
        Reset the connection as the peer.
        """
        raise NotImplementedError

    def turn(self, times: int = 1) -> None:
        """
        Do iterations of the reactor.
        """
        raise NotImplementedError

    def within(self, do: Callable[[], object]) -> None:
        """
        Call something in a write batch, as if another connection had been read.
        """
        currentBatch.run(do)


class TCPLine(Line):
    """
    A bound TCP connection of Twisted's own reactors: each read is a batch.
    """

    hasBatch = False
    transportClass: Any = ServerTransport

    def __init__(
        self,
        protocol: Any,
        room: int | None = None,
        top: Callable[[Any], Any] | None = None,
    ) -> None:
        """
        @param protocol: the protocol.
        @param room: the number of bytes that the peer reads; C{None} for everything.
        @param top: makes the protocol of the transport, with a clock, if it is another.
        """
        super().__init__(protocol)
        self.clock = self.reactor = FakeReactor(hasBatch=self.hasBatch)
        self.socket = FakeSocket(room)
        protocol.clock = self.clock
        first = protocol if top is None else top(self.clock)
        port = SimpleNamespace(_realPortNumber=1)
        self.transport = self.transportClass(self.socket, first, (HOST, 1), port, 1, self.reactor)
        first.makeConnection(self.transport)

    @property
    def writes(self) -> list[bytes]:
        return self.socket.sends

    @property
    def isClosed(self) -> bool:
        return self.socket.isClosed

    @property
    def isHalfClosed(self) -> bool:
        return self.socket.isShut

    @property
    def isReading(self) -> bool:
        return self.transport in self.reactor.readers

    def arrive(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self.socket.incoming.append(chunk)
            self.turn()

    def read(self, room: int | None = None) -> None:
        self.socket.room = room
        self.turn()
        for _ in range(100):
            if self.transport not in self.reactor.writers or self.socket.room == 0:
                return
            self.turn()
        raise AssertionError("the connection always has something to send")

    def endRead(self) -> None:
        self.socket.incoming.append(_EOF)
        self.turn()

    def reset(self) -> None:
        self.socket.isReset = True
        self.turn()

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.reactor.turn()


class EpollLine(TCPLine):
    """
    A bound TCP connection of the openfl reactor: there is always a batch.
    """

    hasBatch = True
    transportClass = AcceptedTransport

    def within(self, do: Callable[[], object]) -> None:
        do()
        currentBatch.flush()


def makeWebSocket(protocol: Any, clock: Any, *, compress: bool) -> Any:
    """
    Make the WebSocket of a protocol.
    """
    factory = Factory.forProtocol(lambda: protocol)
    return WebSocketFactory(factory, clock=clock, compress=compress).buildProtocol(None)


class WebSocketLine(TCPLine):
    """
    A WebSocket on a TCP connection.
    """

    compress = False

    def __init__(self, protocol: Any, room: int | None = None) -> None:
        top = partial(makeWebSocket, protocol, compress=self.compress)
        super().__init__(protocol, room, top)
        self.arrive(REQUEST)


class CompressedLine(WebSocketLine):
    """
    The same with compressed messages.
    """

    compress = True


class BufferedLine(Line):
    """
    A L{BufferedTransport<openfl_twisted.transports.buffered.BufferedTransport>} on a
    transport of Twisted.
    """

    def __init__(self, protocol: Any, room: int | None = None) -> None:
        super().__init__(protocol)
        self.clock = protocol.clock = Clock()
        self._incoming: deque[bytes] = deque()
        self._readsAll = room is None
        top = self.top(protocol)
        self.transport = TightTransport(top, 1 << 30 if room is None else room)
        self.transport.atOnce = False
        top.makeConnection(self.transport)

    @classmethod
    def unaccepted(cls, data: bytes) -> bytes:
        return b""

    def top(self, protocol: Any) -> Any:
        """
        Return the protocol of the transport.
        """
        return protocol

    @property
    def writes(self) -> list[bytes]:
        # An aborted transport sends no more data; the peer reads the data already sent.
        if self._readsAll and not self.transport.closed:
            return self.transport.writes
        return [self.transport.delivered] if self.transport.delivered else []

    @property
    def isClosed(self) -> bool:
        return self.transport.closed

    @property
    def isHalfClosed(self) -> bool:
        return self.transport.halfClosed

    @property
    def isReading(self) -> bool:
        return not self.transport.closed and self.transport.producerState == "producing"

    def arrive(self, *chunks: bytes) -> None:
        for chunk in chunks:
            self._incoming.append(chunk)
            self.turn()

    def read(self, room: int | None = None) -> None:
        if room is None:
            self._readsAll = True
            self.transport.room = 1 << 30
            self.transport.drainAll()
        self.transport.drain()

    def endRead(self) -> None:
        self._incoming.append(_EOF)
        self.turn()

    def reset(self) -> None:
        self.transport._close(ConnectionLost())

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(0)
            while self._incoming and self.isReading:
                self._receive(self._incoming.popleft())
            if self._readsAll and not self.transport.closed:
                self.transport.drain()

    def _receive(self, chunk: bytes) -> None:
        protocol: Any = self.transport.protocol
        if chunk == _EOF:
            protocol.readConnectionLost()
            return
        try:
            protocol.dataReceived(chunk)
        except Exception as error:
            self.transport._close(error)


class WrapperLine(BufferedLine):
    """
    The same, but with the wrapper that a guard or protocol detection needs.
    """

    def top(self, protocol: Any) -> Any:
        return ConnectionWrapper(protocol, self.clock)


class BufferedWebSocketLine(BufferedLine):
    """
    A WebSocket on a transport of Twisted, with compressed messages.
    """

    def __init__(self, protocol: Any, room: int | None = None) -> None:
        super().__init__(protocol, room)
        self.arrive(REQUEST)

    def top(self, protocol: Any) -> Any:
        return makeWebSocket(protocol, self.clock, compress=True)


class Actor(StreamProtocol):
    """
    Writes each byte that it receives. Capital letters are commands.

    @ivar received: the received bytes.
    @ivar exceeded: number of times that the send queue exceeded its limit.
    @ivar dropped: the chunks reported as dropped.
    @ivar ends: the reasons of C{connectionLost}, by name.
    @ivar events: data, and the EOFs of both sides, in order.
    """

    maxQueue = 1000
    clock: Clock

    def __init__(self) -> None:
        self.received = b""
        self.exceeded = 0
        self.dropped: list[bytes] = []
        self.ends: list[str] = []
        self.events: list[Any] = []

    def getClock(self) -> Any:
        return self.clock

    def bytesReceived(self, data: bytes) -> None:
        self.deliverEach([data[at : at + 1] for at in range(len(data))], self.byteReceived)

    def byteReceived(self, byte: bytes) -> None:
        self.received += byte
        self.events.append(byte)
        match byte:
            case b"L":
                self.transport.loseConnection()
            case b"A":
                self.transport.abortConnection()
            case b"H":
                self.transport.loseWriteConnection()
            case b"P":
                self.transport.pauseProducing()
            case b"R":
                self.transport.pauseProducing()
                self.transport.resumeProducing()
            case b"X":
                raise ValueError("an error of the user's")
            case _:
                self.transport.write(byte)

    def sendQueueExceeded(self) -> None:
        self.exceeded += 1
        super().sendQueueExceeded()

    def sendQueueDropped(self, chunks: list[bytes]) -> None:
        self.dropped += chunks

    def readConnectionLost(self) -> None:
        self.events.append("EOF")
        super().readConnectionLost()

    def connectionLost(self, reason: Failure = failure.Failure(ConnectionDone())) -> None:  # noqa: B008
        super().connectionLost(reason)
        self.ends.append(type(reason.value).__name__)
        self.events.append("end")


LINES: tuple[type[Line], ...] = (TCPLine, EpollLine, BufferedLine, WrapperLine)
"""
All of them.
"""

__all__ = [
    "LINES",
    "Actor",
    "BufferedLine",
    "BufferedWebSocketLine",
    "CompressedLine",
    "Connection",
    "EpollLine",
    "FakeReactor",
    "FakeSocket",
    "Line",
    "TCPLine",
    "WebSocketLine",
    "WrapperLine",
]
