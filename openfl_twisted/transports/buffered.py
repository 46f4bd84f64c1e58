"""
A connection that wraps any Twisted transport: a send queue with a limit, and a receive
buffer.
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

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.transports.connection import Connection, Owner, reportDropped
from openfl_twisted.transports.declarations import declare
from openfl_twisted.transports.flowcontrol import PullAdapter, PushAdapter
from openfl_twisted.transports.receivebuffer import ReceiveBuffer
from openfl_twisted.transports.writebatch import currentBatch

MAX_QUEUE = 2 * 1024 * 1024
"""
Default maximum length of a send queue: 2 MiB. The buffers of the transport and of the kernel
are not included.
"""

PORTION = 64 * 1024
"""
Number of queued bytes that are written to the transport before the end of a batch.
"""

# Number of small chunks that are joined into one chunk, to save memory.
_LOOSE_CHUNKS = 1000

# The stages of a connection. Open: an adapter is registered as the producer of the transport.
# Closing: the adapter was unregistered, so that the transport can close. Lost: the transport is
# lost, and the protocol's producer is being stopped. Stopped: the protocol's producer was stopped.
_OPEN, _CLOSING, _LOST, _STOPPED = range(4)

# The stages of the write side. Writable: loseWriteConnection was not called. Half-closing: it was
# called, but the queue is not empty. Half-closed: the call was forwarded to the transport.
_WRITABLE, _HALF_CLOSING, _HALF_CLOSED = range(3)


@implementer(ITransport, IConsumer, IPushProducer)
class BufferedTransport(Connection):
    """
    A connection that wraps any Twisted transport.

    This object provides the interfaces of the underlying transport, and forwards all methods
    that do not concern sending or reading. The protocol uses this object as its transport. The
    underlying transport has an adapter as its producer, which calls L{bufferFull},
    L{bufferDrained} and L{transportLost}, see
    L{FlowListener<openfl_twisted.transports.flowcontrol.FlowListener>}. Invariants:

      - While the transport's buffer is full, written data is held in the queue, and the
        protocol's producer is paused.
      - While the transport's buffer is not full, the queue is empty, except during a write
        batch.
      - An adapter is registered with the transport until this side closes the
        connection and the queue is empty.

    Data counts as sent when the transport has accepted it. A TLS transport can therefore lose
    data without a call of C{sendQueueDropped}.

    The underlying transport calls C{connectionLost} of the owner directly. A paused owner
    therefore loses the data in the receive buffer, unlike with a
    L{ConnectionWrapper<openfl_twisted.transports.wrapper.ConnectionWrapper>}. If the owner is
    not paused, the receive buffer is delivered first, except after a reset of the connection.

    @ivar queued: whether the connection is in the write batch.
    """

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
        # The send queue; None if it is empty.
        self._unsent: list[bytes] | None = None
        self._unsentLength = 0
        # The number of joined chunks at the beginning of the queue.
        self._dense = 0
        # Whether the transport's buffer is full.
        self._full = False
        self._stage = _OPEN
        self._half = _WRITABLE
        # The protocol's producer: a push producer, or the adapter of a pull producer.
        self._producer: IPushProducer | None = None
        self._pull: PullAdapter | None = None
        if owner is not None:
            self.bind(owner)

    @property
    def __providedBy__(self) -> Any:
        # Called by zope.interface: return the interfaces of this class and of the transport.
        return declare(type(self), providedBy(self._transport))

    def __getattr__(self, name: str) -> Any:
        if name == "_transport":
            # makeConnection() was not called yet, or this object is being copied.
            raise AttributeError(name)
        return getattr(self._transport, name)

    @property
    def isFull(self) -> bool:
        return self._full

    @property
    def isLost(self) -> bool:
        return self._stage >= _LOST

    @property
    def isAborted(self) -> bool:
        return self._aborted

    @property
    def pending(self) -> int:
        return self._unsentLength

    def bind(self, owner: Owner) -> bool:
        self.owner = owner
        self._transport.registerProducer(PushAdapter(self), True)
        return True

    @property
    def underlying(self) -> Any:
        """
        The transport below this one.
        """
        return self._transport

    def getClock(self) -> IReactorTime:
        return clockOrReactor(None) if self.owner is None else self.owner.getClock()

    # Called by the protocol

    def write(self, data: bytes) -> None:
        if self.owner is None:
            # Without an owner, the queue has no limit, as in Twisted's transports.
            if self.tap is not None:
                self._tapUnbound(data)
            self.bytesOut += len(data)
            self._transport.write(data)
            return
        if type(data) is not bytes:
            # Copy a mutable buffer: the caller could change it before it is sent.
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
            # Write long data before the end of a batch, to detect a peer that does not read.
            self.flush()
        elif not self.queued:
            self.queued = True
            currentBatch.waiting.append(self)

    def _tapUnbound(self, data: bytes) -> None:
        """
        Call the tap with data that is written without an owner. TLS drops the data after this side
        has closed the connection, unless a producer is registered.
        """
        isClosed = self.isLost or (self.disconnecting and self._producer is None)
        if self.tap is not None and data and not isClosed:
            self.tap(bytes(data))

    def _limitQueue(self) -> None:
        """
        Join small chunks, and disconnect the peer if the queue exceeds its limit.
        """
        unsent = self._unsent or []
        if len(unsent) - self._dense >= _LOOSE_CHUNKS:
            unsent[self._dense :] = [b"".join(unsent[self._dense :])]
            self._dense += 1
        if self.owner is not None and 0 < self.owner.limits.maxQueue < self._unsentLength:
            self._disconnectSlowPeer(self.owner)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        if self.owner is None:
            chunks = [*iovec]
            if self.tap is not None:
                self._tapUnbound(b"".join(chunks))
            self.bytesOut += sum(map(len, chunks))
            self._transport.writeSequence(chunks)
            return
        chunks = [each if type(each) is bytes else bytes(memoryview(each)) for each in iovec]
        self.write(b"".join(chunks))

    def loseConnection(self) -> None:
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
        Close the connection immediately, and drop the send queue.
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
        Drop the received data that the transport may still hold for a paused protocol. Called
        when the protocol closes a connection that is already lost.
        """
        if self._stage == _STOPPED:
            self._transport.loseConnection()

    def loseWriteConnection(self) -> None:
        """
        Close the write side when the send queue is empty. Further writes by an owner are
        dropped, but a registered pull producer may finish.
        """
        if self._stage or self._half:
            return
        self.flush()
        self._half = _HALF_CLOSING
        if not self._full:
            self._halfCloseIfClosing()

    def startTLS(self, *arguments: Any) -> Any:
        """
        Send the queue, then start TLS. If the owner has not processed all received
        plaintext, the connection is aborted instead.

        @param arguments: the arguments of the transport's C{startTLS}.
        @return: the result of the transport's C{startTLS}; C{None} if the connection was
            aborted.
        @raise RuntimeError: if the queue cannot be sent because the transport's buffer
            is full.
        """
        if self.refusesTLS():
            return None
        self.flush()
        if self._unsent is not None:
            raise RuntimeError(
                f"cannot start TLS: {self._unsentLength} bytes of plaintext are queued; "
                "wait until the peer has read them"
            )
        self.hasReceived = False
        return self._transport.startTLS(*arguments)

    def getPeer(self) -> IAddress:
        peer: IAddress = self._transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        host: IAddress = self._transport.getHost()
        return host

    def stopProducing(self) -> None:
        self.loseConnection()

    # Reading

    def stopReading(self) -> None:
        self._transport.pauseProducing()

    def startReading(self) -> None:
        self._transport.resumeProducing()

    def _readToTheEnd(self) -> None:
        """
        Drop received data, and continue reading until the peer closes the connection, because
        the closing handshake of TLS needs an answer from the peer.
        """
        stopped = not self.reading
        self.dropReceived()
        if stopped and self._stage < _LOST:
            self.paused = False
            self._transport.resumeProducing()

    # Producers

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer. The producer is paused while the transport's buffer is full, and
        stopped when the connection is closed or lost.

        @param producer: the producer. A transport can be registered as the producer of another
            transport or of itself. Pausing such a producer pauses reading from its peer.
        @param streaming: whether the producer is a push producer.
        @raise RuntimeError: if a producer is already registered.
        """
        if self._stage or self.disconnecting or self._half:
            if producer is not self:
                producer.stopProducing()
            return
        if self._producer is not None or self._pull is not None:
            raise RuntimeError("a producer is already registered; call unregisterProducer first")
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
        Whether the adapter of a pull producer is registered with the transport.
        """
        return self._pull is not None and self._pull.asked

    def _beginPulling(self, pull: PullAdapter) -> None:
        """
        Register the adapter of a pull producer with the transport.
        """
        pull.asked = True
        # The transport calls the adapter when the transport's buffer is empty. Until then, other
        # writes are also held.
        self._full = True
        self._transport.unregisterProducer()
        self._transport.registerProducer(pull, False)

    def unregisterProducer(self) -> None:
        self._producer = None
        pull, self._pull = self._pull, None
        if pull is None or not pull.asked:
            return
        self._full = False
        self.flush()
        if self.disconnecting:
            self._closeAgain()
        self._halfCloseIfClosing()
        self._transport.unregisterProducer()
        if not self.disconnecting:
            self._transport.registerProducer(PushAdapter(self), True)
        elif not self._stage:
            self._stage = _CLOSING

    # Writing to the underlying transport

    def flush(self) -> None:
        """
        Write the queue to the transport if the transport's buffer is not full.
        """
        self.queued = False
        chunks = self._unsent
        if chunks is None or self._full:
            return
        self._unsent = None
        self.bytesOut += self._unsentLength
        self._unsentLength = self._dense = 0
        self._transport.write(chunks[0] if len(chunks) == 1 else b"".join(chunks))

    def _halfCloseIfClosing(self) -> None:
        if self._half == _HALF_CLOSING:
            self._half = _HALF_CLOSED
            self._transport.loseWriteConnection()

    def _finish(self) -> None:
        """
        Unregister this object's L{PushAdapter} from the transport if the whole queue was written.
        The transport can then close: it stays open while a producer is registered.
        """
        if not (self._stage or self._full or self._pull):
            self._stage = _CLOSING
            self._transport.unregisterProducer()

    def _drop(self) -> None:
        chunks, self._unsent = self._unsent, None
        self._unsentLength = self._dense = 0
        if self._half == _HALF_CLOSING:
            self._half = _HALF_CLOSED
        if chunks and self.owner is not None:
            reportDropped(self.owner, chunks)

    # Called by the transport, see FlowListener

    def bufferFull(self) -> None:
        """
        Hold written data, and pause the producer.
        """
        self._full = True
        if self._producer is self and not self.hasReceived:
            # Continue reading during the TLS handshake, because buffered data can only be sent
            # after the handshake.
            return
        if self._producer is not None:
            self._producer.pauseProducing()

    def produceOnce(self, producer: IPullProducer) -> None:
        """
        Write the queue, then call the pull producer.
        """
        self._full = False
        self.flush()
        producer.resumeProducing()
        # The transport expects the data before this method returns, even during a batch.
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
        self._halfCloseIfClosing()
        if self._pull is not None:
            self._beginPulling(self._pull)
        if self._producer is not None:
            self._producer.resumeProducing()
        if self.disconnecting:
            self._finish()
        elif not self._stage and self._pull is None and not self._full:
            # The peer may have closed TLS in the meantime. Register the producer again, because a
            # TLS transport closes only when its producer is unregistered.
            self._transport.unregisterProducer()
            self._transport.registerProducer(PushAdapter(self), True)

    def _closeAgain(self) -> None:
        """
        Call C{loseConnection} on the transport again, because a TLS transport then sends its
        buffered data.
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
        self._stage = _STOPPED

    def _stopProducer(self) -> None:
        producer = self._producer if self._pull is None else self._pull.producer
        self._producer = self._pull = None
        if producer is not None:
            producer.stopProducing()
