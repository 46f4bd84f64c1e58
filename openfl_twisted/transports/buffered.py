"""
A connection over any Twisted transport: a send queue in front of it, and a receive
buffer.

What is written while the transport has no room is held, and bounded. A registered
producer is paused; over the limit, the peer is disconnected.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IProducer,
    IPullProducer,
    IPushProducer,
    IReactorTime,
    ITransport,
)
from zope.interface import implementer, providedBy
from zope.interface.declarations import Provides

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.connection import Connection, Owner, reportDropped
from openfl_twisted.transports.flowcontrol import PullAdapter, PushAdapter
from openfl_twisted.transports.receivebuffer import ReceiveBuffer
from openfl_twisted.transports.writebatch import currentBatch

_log = packageLogger()

MAX_QUEUE = 2 * 1024 * 1024
"""
Default for the maximum length of a send queue: 2 MiB. The buffers of the transport
and of the kernel come on top of it.
"""

PORTION = 64 * 1024
"""
Number of bytes that are written to the transport before the end of a batch.
"""

# So many chunks are joined, since a chunk costs more memory than its few bytes.
_LOOSE_CHUNKS = 1000

# The transport has an adapter as its producer; it has none any more, since this side closes; the
# connection is lost, and its producer is being stopped; everybody knows.
_OPEN, _CLOSING, _LOST, _EVERYBODY_KNOWS = range(4)

# Of the write side alone.
_NOT_ASKED, _ASKED, _HALF_CLOSED = range(3)


@implementer(ITransport, IConsumer, IPushProducer)
class BufferedTransport(Connection):
    """
    A transport with a bounded queue in front of it.

    It provides the interfaces of the transport, and forwards to it what is not about
    sending or reading. Bytes count as sent once the transport has accepted them: a TLS
    transport can lose some of them without C{sendQueueDropped}.

    The owner is the protocol of the transport: it is the transport that calls its
    C{connectionLost}, immediately. So the end of the connection does not wait for an
    owner that is paused, as it does on the connections of this package and with a
    L{ConnectionWrapper<openfl_twisted.transports.wrapper.ConnectionWrapper>}: held data
    is dropped. Data that is held so that others are served is delivered before that,
    unless the connection was reset.

    @ivar queued: whether it has data for the end of the batch.
    """

    # There is one for each connection.
    __slots__ = (
        "_aborted",
        "_dense",
        "_full",
        "_half",
        "_producer",
        "_pull",
        "_stage",
        "_transport",
        "_unsent",
        "_unsentLength",
        "bytesIn",
        "bytesOut",
        "disconnecting",
        "hasReceived",
        "owner",
        "paused",
        "queued",
        "reading",
        "receiveBuffer",
        "tap",
        "work",
    )

    def __init__(self, transport: ITransport, owner: Owner | None) -> None:
        """
        @param transport: the underlying transport.
        @param owner: the protocol; C{None} for a subclass that is bound later.
        """
        self._transport: Any = transport
        self.owner: Owner | None = None
        self.disconnecting = self.paused = self.hasReceived = self.queued = False
        self._aborted = False
        self.reading = True
        self.receiveBuffer: ReceiveBuffer | None = None
        self.work = self.bytesIn = self.bytesOut = 0
        self.tap: Callable[[bytes], object] | None = None
        # The send queue; None while it is empty, as it is most of the time.
        self._unsent: list[bytes] | None = None
        self._unsentLength = 0
        # The number of chunks at its beginning that have been joined.
        self._dense = 0
        # Whether the transport has no room.
        self._full = False
        self._stage = _OPEN
        # Whether the write side is to be closed when the queue is empty, or is closed.
        self._half = _NOT_ASKED
        # The registered producer, if it is a push producer.
        self._producer: IPushProducer | None = None
        # Or if it is a pull producer.
        self._pull: PullAdapter | None = None
        if owner is not None:
            self.bind(owner)

    @property
    def __providedBy__(self) -> Any:
        # What zope.interface asks: this provides its own interfaces and those of the transport.
        return Provides(type(self), providedBy(self._transport))

    def __getattr__(self, name: str) -> Any:
        if name == "_transport":
            # It is not connected yet, or is being copied.
            raise AttributeError(name)
        return getattr(self._transport, name)

    @property
    def isFull(self) -> bool:
        """
        Whether the transport has no room.
        """
        return self._full

    @property
    def isLost(self) -> bool:
        """
        Whether the connection is lost.
        """
        return self._stage >= _LOST

    @property
    def isAborted(self) -> bool:
        """
        Whether this side has aborted the connection.
        """
        return self._aborted

    @property
    def pending(self) -> int:
        """
        The length of the send queue (bytes).
        """
        return self._unsentLength

    def bind(self, owner: Owner) -> bool:
        """
        Limit the send queue as the owner wants it, and be the producer of the transport.
        """
        self.owner = owner
        self._transport.registerProducer(PushAdapter(self), True)
        return True

    def getClock(self) -> IReactorTime:
        """
        Return the clock of the owner.
        """
        return clockOrReactor(None) if self.owner is None else self.owner.getClock()

    # What the protocol calls

    def write(self, data: bytes) -> None:
        """
        Send bytes at the end of the batch.
        """
        if self.owner is None:
            # Like Twisted's own transports, until it is bound.
            self.bytesOut += len(data)
            self._transport.write(data)
            return
        if type(data) is not bytes:
            # The caller can change it before it is sent.
            data = bytes(memoryview(data))
        if not data or self._stage or ((self.disconnecting or self._half) and self._pull is None):
            return
        if self.tap is not None:
            self.tap(data)
        if self._unsent is None:
            self._unsent = [data]
            self._unsentLength = len(data)
        else:
            self._unsent.append(data)
            self._unsentLength += len(data)
        if self._full:
            self._limitQueue()
        elif currentBatch.waiting is None or self._unsentLength >= PORTION:
            # Also during a batch: whether the peer reads must be known before much is written.
            self.flush()
        elif not self.queued:
            self.queued = True
            currentBatch.waiting.append(self)

    def _limitQueue(self) -> None:
        """
        Keep the queue small, and within its limit.
        """
        unsent = self._unsent or []
        if len(unsent) - self._dense >= _LOOSE_CHUNKS:
            unsent[self._dense :] = [b"".join(unsent[self._dense :])]
            self._dense += 1
        if self.owner is not None and 0 < self.owner.limits.maxQueue < self._unsentLength:
            self._disconnectSlowPeer(self.owner)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several chunks.
        """
        if self.owner is None:
            chunks = [*iovec]
            self.bytesOut += sum(map(len, chunks))
            self._transport.writeSequence(chunks)
            return
        chunks = [each if type(each) is bytes else bytes(memoryview(each)) for each in iovec]
        self.write(b"".join(chunks))

    def loseConnection(self) -> None:
        """
        Close the connection when everything written so far has been sent.
        """
        if self._stage >= _LOST:
            self._endLate()
        if self.disconnecting or self._stage:
            return
        self.flush()
        self.disconnecting = True
        self._transport.loseConnection()
        self._readToTheEnd()
        self._finish()
        if self._pull is None:
            self._stopProducer()

    def abortConnection(self) -> None:
        """
        Close the connection immediately. The send queue is dropped.
        """
        if self._stage >= _LOST:
            self._endLate()
            return
        self.disconnecting = self._aborted = True
        self.dropReceived()
        self._drop()
        self._transport.abortConnection()

    def _endLate(self) -> None:
        """
        The connection is lost, but the transport may hold received data and the end
        for a protocol that is paused. They are not wanted any more.
        """
        if self._stage == _EVERYBODY_KNOWS:
            self._transport.loseConnection()

    def loseWriteConnection(self) -> None:
        """
        Close the write side when everything written so far has been sent. An owner can
        write nothing more; a pull producer may finish.
        """
        if self._stage or self._half:
            return
        self.flush()
        self._half = _ASKED
        if not self._full:
            self._halfCloseIfAsked()

    def startTLS(self, *arguments: Any) -> Any:
        """
        Start TLS. The send queue is sent before. If plaintext was received that the owner
        has not processed, the connection is aborted instead.

        @param arguments: those of the transport's C{startTLS}.
        @return: its result; C{None} if the connection is aborted.
        @raise RuntimeError: if the send queue is not empty because the peer does not
            read.
        """
        if self.refusesTLS():
            return None
        self.flush()
        if self._unsent is not None:
            raise RuntimeError("TLS cannot start: the peer has not read what was sent before it")
        self.hasReceived = False
        return self._transport.startTLS(*arguments)

    def getPeer(self) -> IAddress:
        """
        Return the address of the peer.
        """
        peer: IAddress = self._transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        """
        Return the local address.
        """
        host: IAddress = self._transport.getHost()
        return host

    def stopProducing(self) -> None:
        """
        Close the connection.
        """
        self.loseConnection()

    # Reading

    def stopReading(self) -> None:
        """
        Pause the transport.
        """
        self._transport.pauseProducing()

    def startReading(self) -> None:
        """
        Resume the transport.
        """
        self._transport.resumeProducing()

    def _readToTheEnd(self) -> None:
        """
        Drop what is received, and read until the peer closes the connection: TLS ends
        with a message of each side.
        """
        stopped = not self.reading
        self.dropReceived()
        if stopped and self._stage < _LOST:
            self.paused = False
            self._transport.resumeProducing()

    # Producers

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer. It is paused while the peer does not read, and stopped
        when the connection is lost.

        @param producer: the producer. It can be a transport: to pause it means not to
            read from its peer.
        @param streaming: whether it is a push producer.
        @raise RuntimeError: if a producer is registered.
        """
        if self._stage or self.disconnecting or self._half:
            if producer is not self:
                producer.stopProducing()
            return
        if self._producer is not None or self._pull is not None:
            raise RuntimeError("a producer is registered already")
        if streaming:
            self._producer = cast("IPushProducer", producer)
            if self._full:
                self._producer.pauseProducing()
        else:
            self._pull = PullAdapter(self, cast("IPullProducer", producer))
            self.flush()
            if not self._full:
                self._beginPulling(self._pull)

    def _pulling(self) -> bool:
        """
        Whether the transport calls a pull producer.
        """
        return self._pull is not None and self._pull.asked

    def _beginPulling(self, pull: PullAdapter) -> None:
        """
        Have the transport call the pull producer.
        """
        pull.asked = True
        # It is called when there is room; other writes must wait for that, too.
        self._full = True
        self._transport.unregisterProducer()
        self._transport.registerProducer(pull, False)

    def unregisterProducer(self) -> None:
        """
        Unregister the producer.
        """
        self._producer = None
        pull, self._pull = self._pull, None
        if pull is None or not pull.asked:
            # The transport never had one.
            return
        self._full = False
        self.flush()
        if self.disconnecting:
            self._closeAgain()
        self._halfCloseIfAsked()
        self._transport.unregisterProducer()
        if not self.disconnecting:
            self._transport.registerProducer(PushAdapter(self), True)
        elif not self._stage:
            self._stage = _CLOSING

    # The underlying transport

    def flush(self) -> None:
        """
        Write the queue to the transport, unless it has no room.
        """
        self.queued = False
        chunks = self._unsent
        if chunks is None or self._full:
            return
        self._unsent = None
        self.bytesOut += self._unsentLength
        self._unsentLength = self._dense = 0
        self._transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def _halfCloseIfAsked(self) -> None:
        if self._half == _ASKED:
            self._half = _HALF_CLOSED
            self._transport.loseWriteConnection()

    def _finish(self) -> None:
        """
        Let the transport close, once it has everything: it waits for its producer.
        """
        if not (self._stage or self._full or self._pull):
            self._stage = _CLOSING
            self._transport.unregisterProducer()

    def _drop(self) -> None:
        """
        Drop the queue.
        """
        chunks, self._unsent = self._unsent, None
        self._unsentLength = self._dense = 0
        if self._half == _ASKED:
            self._half = _HALF_CLOSED
        if chunks and self.owner is not None:
            reportDropped(self.owner, chunks)

    def _disconnectSlowPeer(self, owner: Owner) -> None:
        """
        Disconnect a peer that does not read.
        """
        self.disconnecting = True
        self._drop()
        self.dropReceived()
        try:
            owner.sendQueueExceeded()
        except Exception:
            # The caller may be writing to many; the others receive their data.
            _log.failure("error in sendQueueExceeded; the connection is closed")
            self.abortConnection()

    # What the transport calls, see FlowListener

    def bufferFull(self) -> None:
        """
        Hold what is written, and pause the producer.
        """
        self._full = True
        if self._producer is self and not self.hasReceived:
            # The peer's part of a TLS handshake must be read, or the greeting cannot be sent.
            return
        if self._producer is not None:
            self._producer.pauseProducing()

    def produceOnce(self, producer: IPullProducer) -> None:
        """
        Write the queue, then what the pull producer produces.
        """
        self._full = False
        self.flush()
        producer.resumeProducing()
        # The transport waits for it, also during a batch.
        self.flush()
        self._full = self._full or self._pulling()

    def bufferDrained(self) -> None:
        """
        Write the queue, and resume the producer.
        """
        self._full = False
        self.flush()
        if self.disconnecting and not self._full:
            self._closeAgain()
        if self._full:
            return
        self._halfCloseIfAsked()
        if self._pull is not None:
            self._beginPulling(self._pull)
        if self._producer is not None:
            self._producer.resumeProducing()
        if self.disconnecting:
            self._finish()
        elif not self._stage and self._pull is None and not self._full:
            # The peer may have ended TLS meanwhile. A TLS transport closes only when its producer
            # is unregistered.
            self._transport.unregisterProducer()
            self._transport.registerProducer(PushAdapter(self), True)

    def _closeAgain(self) -> None:
        """
        Ask the transport to close once more: this makes a TLS transport send what it
        has collected.
        """
        self._transport.loseConnection()

    def transportLost(self) -> None:
        """
        Drop the queue, and stop the producer.
        """
        self._stage = _LOST
        self._full = False
        if self._pull is not None:
            self._pull.asked = False
        self._drop()
        self._stopProducer()
        self._stage = _EVERYBODY_KNOWS

    def _stopProducer(self) -> None:
        producer = self._producer if self._pull is None else self._pull.producer
        self._producer = self._pull = None
        if producer is not None:
            producer.stopProducing()
