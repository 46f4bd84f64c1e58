"""
Test doubles for transports and producers.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocol, IPushProducer, IReactorTime
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure

from openfl_twisted.transports.connection import Connection, Guard, Owner
from openfl_twisted.transports.receivebuffer import ReceiveBuffer
from openfl_twisted.transports.writebatch import currentBatch


@contextmanager
def batch() -> Iterator[None]:
    """
    Run the block in a write batch, as each read of the reactor does.
    """
    currentBatch.waiting = []
    try:
        yield
    finally:
        currentBatch.flush()
        currentBatch.waiting = None


def linesOf(logs: Iterable[LogEvent]) -> list[str]:
    """
    Return the formatted log lines.
    """
    return [formatEvent(event) for event in logs]


class TightTransport(StringTransport):
    """
    A transport to a peer that reads when the test calls L{drain}.

    Like a real transport it pauses its producer when its buffer is full, and resumes it
    when the buffer is empty. After C{loseConnection} it closes when the buffer is empty
    and no producer is registered.

    @ivar room: maximum number of buffered bytes before the buffer is full.
    @ivar writes: the written data, one item for each write.
    @ivar delivered: the data that the peer has read.
    @ivar closed: whether the connection is closed.
    @ivar atOnce: whether it closes as soon as possible. If not, it closes when the peer
        reads, as a real transport closes in the reactor.
    """

    atOnce = True

    def __init__(self, protocol: IProtocol | None = None, room: int = 10, **options: Any) -> None:
        super().__init__(lenient=True, **options)
        self.protocol = protocol
        self.room = room
        self.writes: list[bytes] = []
        self.delivered = b""
        self.closed = False
        self._paused = False
        self.halfClosed = False

    def write(self, data: bytes) -> None:
        if self.closed:
            return
        super().write(data)
        self.writes.append(data)
        producer: IPushProducer | None = self.producer
        if len(self.value()) > self.room and producer is not None and self.streaming:
            self._paused = True
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        super().unregisterProducer()
        self._paused = False
        if self.atOnce:
            self._closeIfDone()

    def loseConnection(self) -> None:
        super().loseConnection()
        if self.atOnce:
            self._closeIfDone()

    def loseWriteConnection(self) -> None:
        self.halfClosed = True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """
        Do nothing. Called by C{twisted.web}, because TLS provides C{ITCPTransport}.
        """

    def abortConnection(self) -> None:
        super().abortConnection()
        self.clear()
        self._close(ConnectionAborted())

    def arrive(self, data: bytes) -> None:
        """
        Deliver data to the protocol.
        """
        assert self.protocol is not None
        self.protocol.dataReceived(data)

    def drain(self) -> None:
        """
        Let the peer read the buffered data.
        """
        self.delivered += self.value()
        self.clear()
        producer: IPushProducer | None = self.producer
        if producer is not None and (self._paused or not self.streaming):
            self._paused = False
            producer.resumeProducing()
        self._closeIfDone()

    def drainAll(self) -> bytes:
        """
        Let the peer read until no more data is written.

        @return: all data that the peer has read.
        """
        while self.value():
            self.drain()
        return self.delivered

    def _closeIfDone(self) -> None:
        if self.disconnecting and self.producer is None and not self.value():
            self._close(ConnectionDone())

    def _close(self, reason: Exception) -> None:
        if self.closed:
            return
        self.closed = True
        if self.producer is not None:
            self.producer.stopProducing()
            self.producer = None
        if self.protocol is not None:
            self.protocol.connectionLost(Failure(reason))


class RecordingProducer:
    """
    A push producer that records the calls of its methods.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class TightConnection(Connection, TightTransport):
    """
    A connection that can own a protocol; its limit is infinite.
    """

    hasReceived = True

    def __init__(self, protocol: IProtocol | None = None, room: int = 10, **options: Any) -> None:
        TightTransport.__init__(self, protocol, room, **options)
        self.paused = False
        self.reading = True
        self.receiveBuffer: ReceiveBuffer | None = None
        self.work = self.bytesIn = self.bytesOut = 0
        self.tap: Callable[[bytes], object] | None = None
        self.guard: Guard | None = None
        self.owner: Owner | None = None
        self.clientType: str | None = None

    @property
    def pending(self) -> int:
        return len(self.value())

    @property
    def isFull(self) -> bool:
        return len(self.value()) > self.room

    def bind(self, owner: Owner) -> bool:
        self.owner = owner
        return True

    def getClock(self) -> IReactorTime:
        assert self.owner is not None
        return self.owner.getClock()

    def loseConnection(self) -> None:
        """
        Close the connection. A push producer does not keep it open.
        """
        producer: IPushProducer | None = self.producer
        if producer is not None and self.streaming:
            self.producer = None
            self._paused = False
            producer.stopProducing()
        super().loseConnection()

    def abortConnection(self) -> None:
        self.disconnecting = True
        self.clear()
        self._close(ConnectionAborted())

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def stopReading(self) -> None:
        TightTransport.pauseProducing(self)

    def startReading(self) -> None:
        if not self.closed:
            TightTransport.resumeProducing(self)


class MessageTransport(TightConnection):
    """
    A connection that preserves messages.
    """

    preservesMessages = True

    def writeMessages(self, messages: Iterable[bytes]) -> None:
        for message in messages:
            self.write(message)
