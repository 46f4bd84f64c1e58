"""
The way out: what a protocol writes, on its way to a peer.

L{SendQueue} stands between a protocol and its transport and looks like a
transport to the protocol. Three rules:

  - What is written while a piece of data is being received leaves in B{one
    write for each receiver}, when the piece has been dealt with. A transport
    that keeps messages apart, L{IMessageTransport}, still gets each of them.
  - While the peer does not read, what is written is B{held here, and bounded}.
    A producer that is registered is paused; over the limit the peer is cut off.
  - What was written before C{loseConnection} is sent before the connection is
    closed; what is written after it is not sent.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol, cast

from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IProducer,
    IPullProducer,
    IPushProducer,
    ISSLTransport,
    ITransport,
)
from zope.interface import Interface, implementer, providedBy
from zope.interface.declarations import Provides

from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.producers import Pull, Room
from openfl_twisted.protocols.reading import read

_log = packageLogger()

MAX_QUEUE = 2 * 1024 * 1024
"""
The most bytes that are held for a peer that does not read, if nobody says
otherwise: 2 MiB. What the transport and the kernel hold comes on top of it.
"""

PORTION = 64 * 1024
"""
So many bytes are handed over before the end of a read; and by a
L{WatchedQueue<openfl_twisted.protocols.watchedqueue.WatchedQueue>} no more than
so many at once.
"""

# No read has such a number.
UNHEARD, HEARD = -1000, 256

# So many pieces that wait are made one, since a piece costs more memory than its few bytes.
_LOOSE_PIECES = 1000

# How far a connection is: the transport has us, or the pull producer, for its producer; it has
# not any more, since this side is closing; the connection is lost, which everybody here is being
# told; or has been told.
_OPEN, _CLOSING, _GONE, _EVERYBODY_KNOWS = range(4)

# What a piece that waits costs beside its bytes, where pieces cannot be made one.
_PIECE_COST = 64


class IMessageTransport(Interface):
    """
    A transport that keeps what is written at once together, and apart from what
    is written before and after: each C{write} is a message.
    """

    def writeMessages(messages: list[bytes]) -> None:  # noqa: N805 - zope has no self here
        """
        Send several messages, in one write if it can.

        @param messages: the messages, in order.
        """


class QueueOwner(Protocol):
    """
    Who writes into a L{SendQueue}, and hears what becomes of it.

    @ivar maxQueue: maximum length of the queue for a peer that does not read
        (bytes); 0 for no limit.
    """

    maxQueue: int

    def sendQueueExceeded(self) -> None:
        """
        The limit is passed; the queue is empty, and takes nothing more.
        """

    def sendQueueDropped(self, pieces: list[bytes]) -> None:
        """
        The connection ends without these having been handed over.

        @param pieces: what has waited, in order; small pieces may have been
            joined, and large ones cut.
        """

    def readsAgain(self) -> bool:
        """
        Called when this side is about to read from the peer again.

        @return: whether it is to read now.
        """


@implementer(ITransport, IConsumer, IPushProducer)
class SendQueue:
    """
    A transport with a bounded queue in front of it.

    It provides what the transport provides; what is not about sending goes
    straight through to it.

    @ivar disconnecting: whether the connection is being closed by this side.
    @ivar keepsApart: whether what is written at once is a message, see
        L{IMessageTransport}.
    @ivar lastRead: the read in which something was written straight to a
        transport that joins what is written in a read itself: a first write is
        often the only one. Until something has come from the peer it is the
        complement of that number, or L{UNHEARD<sendqueue.UNHEARD>}; then
        L{HEARD<sendqueue.HEARD>}, if nothing has been written so.
    @ivar paused: whether this side has stopped reading from the peer.
    @ivar tap: called with each piece that is written; C{None} for nobody.
    """

    # There is one for each connection.
    __slots__ = (
        "_dense",
        "_full",
        "_halfClosing",
        "_joins",
        "_owner",
        "_producer",
        "_pull",
        "_stage",
        "_stopped",
        "_transport",
        "_unsent",
        "_unsentLength",
        "disconnecting",
        "keepsApart",
        "lastRead",
        "paused",
        "tap",
    )

    def __init__(self, transport: ITransport, owner: QueueOwner) -> None:
        """
        @param transport: where the bytes go.
        @param owner: hears what becomes of them.
        """
        self._transport: Any = transport
        self._owner = owner
        self.keepsApart: bool = IMessageTransport.providedBy(transport)
        # Whether the transport joins what is written in a read itself. TLS on it does not.
        self._joins: bool = (
            getattr(transport, "joinsWrites", False)
            and not self.keepsApart
            and not ISSLTransport.providedBy(transport)
        )
        self.disconnecting = False
        self.lastRead = UNHEARD
        self.paused = False
        self.tap: Callable[[bytes], object] | None = None
        # What has not been handed over; None while that is nothing, as it is most of the time.
        self._unsent: list[bytes] | None = None
        self._unsentLength = 0
        # How many of the pieces at the beginning have been made of many.
        self._dense = 0
        # Whether the transport has said that it has no room.
        self._full = False
        self._stage = _OPEN
        # Whether reading is stopped although the protocol is not paused.
        self._stopped = False
        # Whether the write side is to be closed once everything has been handed over.
        self._halfClosing = False
        # Whoever makes what is written here, if that is a push producer.
        self._producer: IPushProducer | None = None
        # Or if it is a pull producer.
        self._pull: Pull | None = None
        cast("IConsumer", transport).registerProducer(Room(self), True)

    @property
    def __providedBy__(self) -> Any:
        # What zope.interface asks: we are what we are, and all that the transport is.
        return Provides(type(self), providedBy(self._transport))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def pending(self) -> int:
        """
        The bytes that are held here.
        """
        return self._unsentLength

    # What the protocol calls

    def write(self, data: bytes) -> None:
        """
        Send bytes.
        """
        if type(data) is not bytes:
            # Its owner may change it before it leaves.
            data = bytes(memoryview(data))
        if (
            not data
            or self._stage
            or (self.disconnecting and not (self._pulling() and not self._full))
        ):
            # What a pull producer still has is sent before a connection is closed, as everywhere.
            return
        if self.tap is not None:
            self.tap(data)
        unsent = self._unsent
        number = read.number if self.lastRead >= 0 else ~read.number
        if unsent is None and self._joins and self.lastRead != number and not self._full:
            self.lastRead = number
            try:
                self._transport.write(data)
            except Exception:
                self._giveUpInRead()
            return
        if unsent is None:
            self._unsent = [data]
            self._unsentLength = len(data)
            if read.depth:
                read.waiting.append(self)
        else:
            unsent.append(data)
            self._unsentLength += len(data)
        if self._full:
            self._hold()
        elif not read.depth or self._unsentLength >= PORTION:
            # Also within a read: whether the peer reads must be known before very much is written.
            self.flush()

    def _hold(self) -> None:
        """
        Keep what waits for the peer small, and within its limit.
        """
        unsent, cost = self._unsent or [], self._unsentLength
        if self.keepsApart:
            cost += _PIECE_COST * len(unsent)
        elif len(unsent) - self._dense >= _LOOSE_PIECES:
            unsent[self._dense :] = [b"".join(unsent[self._dense :])]
            self._dense += 1
        if 0 < self._owner.maxQueue < cost:
            self._cutOff()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several pieces of bytes, in one write. A transport that joins what
        is written gets them as they are; for any other they are made one.
        """
        pieces = [each if type(each) is bytes else bytes(memoryview(each)) for each in iovec]
        straight = self._joins and self._unsent is None and not self._full and self.tap is None
        if not straight or not any(pieces) or self._stage or self.disconnecting:
            self.write(b"".join(pieces))
            return
        try:
            self._transport.writeSequence(pieces)
        except Exception:
            self._giveUpInRead()

    def _giveUpInRead(self) -> None:
        """
        Deal with an exception that comes from writing straight to the transport:
        in a read, as at its end, the fault of one receiver must not keep the
        others waiting. Elsewhere it is for who writes.
        """
        if not read.depth:
            raise
        read.giveUp(self)

    def loseConnection(self) -> None:
        """
        Close the connection once everything written so far has been sent.
        """
        if self._stage >= _GONE:
            self._endLate()
        if self.disconnecting or self._stage:
            return
        self.flush()
        self.disconnecting = True
        self._transport.loseConnection()
        self._readOn()
        self._finish()

    def abortConnection(self) -> None:
        """
        Close the connection now; what has not been sent is dropped.
        """
        if self._stage >= _GONE:
            self._endLate()
            return
        self.disconnecting = True
        self._drop()
        self._transport.abortConnection()

    def _endLate(self) -> None:
        """
        The connection is lost, and the transport may hold what has come, and the
        end, for a protocol that has paused: it is not wanted any more.
        """
        if self._stage == _EVERYBODY_KNOWS:
            self._transport.loseConnection()

    def loseWriteConnection(self) -> None:
        """
        Close this side of the connection once everything written so far has
        been sent.
        """
        self.flush()
        if self._full:
            self._halfClosing = True
        else:
            self._transport.loseWriteConnection()

    def startTLS(self, *arguments: Any) -> Any:
        """
        Go on in TLS; what was written before is sent before.

        @param arguments: what the transport's C{startTLS} takes.
        @return: what that returns.
        @raise RuntimeError: if bytes wait here that the peer has not read.
        """
        self.flush()
        if self._unsent is not None:
            raise RuntimeError("the peer has not read what comes before TLS")
        self._joins = False
        return self._transport.startTLS(*arguments)

    def getPeer(self) -> IAddress:
        """
        Get the address of the other side.
        """
        peer: IAddress = self._transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        """
        Get the address of this side.
        """
        host: IAddress = self._transport.getHost()
        return host

    def pauseProducing(self) -> None:
        """
        Stop reading from the peer.
        """
        self.paused = True
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Read from the peer again.
        """
        self.paused = False
        # The held items may have paused it again.
        if self._owner.readsAgain() and not self.paused:
            self._transport.resumeProducing()

    def stopReading(self) -> None:
        """
        Read nothing from the peer until L{startReading}; the protocol is not
        paused. It has no effect once this side is closing.
        """
        if not self.disconnecting:
            self._stopped = True
            self._transport.pauseProducing()

    def startReading(self) -> None:
        """
        Read from the peer again, unless the protocol is paused. After the
        connection is lost, the transport delivers what it still holds.
        """
        self._stopped = False
        if not self.paused:
            self._transport.resumeProducing()

    def _readOn(self) -> None:
        """
        Read the end that the peer says: inside TLS it takes two to close.
        """
        if (self.paused or self._stopped) and self._stage < _GONE:
            self.paused = self._stopped = False
            self._transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        Close the connection.
        """
        self.loseConnection()

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Name who makes the bytes, so that it is paused while the peer does not
        read, and stopped when the connection is lost.

        @param producer: the producer. A transport can be one: pausing it stops
            reading from its peer.
        @param streaming: whether it is a push producer.
        @raise RuntimeError: if there is one already.
        """
        if self._producer is not None or self._pull is not None:
            raise RuntimeError("there is a producer already")
        if self._stage:
            # The connection is lost, or this side has closed it.
            producer.stopProducing()
        elif streaming:
            self._producer = cast("IPushProducer", producer)
            if self._full:
                self._producer.pauseProducing()
        else:
            self._pull = Pull(self, cast("IPullProducer", producer))
            self.flush()
            if not self._full:
                self._beginPulling(self._pull)

    def _pulling(self) -> bool:
        """
        Whether the transport asks a pull producer, and not us.
        """
        return self._pull is not None and self._pull.asked

    def _beginPulling(self, pull: Pull) -> None:
        """
        Have the transport ask the pull producer, not us.
        """
        pull.asked = True
        # It is asked when there is room; what others write has to wait for that too.
        self._full = True
        self._transport.unregisterProducer()
        self._transport.registerProducer(pull, False)

    def unregisterProducer(self) -> None:
        """
        Forget the producer.
        """
        self._producer = None
        pull, self._pull = self._pull, None
        if pull is None or not pull.asked:
            # The transport never got one.
            return
        self._full = False
        self.flush()
        if self.disconnecting:
            self._closeAgain()
        self._halfCloseIfAsked()
        self._transport.unregisterProducer()
        if not self.disconnecting:
            self._transport.registerProducer(Room(self), True)
        elif not self._stage:
            self._stage = _CLOSING

    # The way to the transport

    def flush(self) -> None:
        """
        Hand everything over in one write, unless the transport has no room;
        then it is handed over when it has.
        """
        pieces = self._unsent
        if pieces is None or self._full:
            return
        self._unsent = None
        self._unsentLength = self._dense = 0
        if self.keepsApart:
            self._transport.writeMessages(pieces)
        else:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _halfCloseIfAsked(self) -> None:
        """
        Close the write side, if that has waited for everything to be handed
        over.
        """
        if self._halfClosing:
            self._halfClosing = False
            self._transport.loseWriteConnection()

    def _finish(self) -> None:
        """
        Let the transport close, once it has everything: it waits for us.
        """
        if not (self._stage or self._full or self._pull):
            self._stage = _CLOSING
            self._transport.unregisterProducer()
            self._stopProducer()

    def _drop(self) -> None:
        """
        Forget what has not been handed over.
        """
        pieces, self._unsent = self._unsent, None
        self._unsentLength = self._dense = 0
        self._halfClosing = False
        if pieces:
            self._owner.sendQueueDropped(pieces)

    def _cutOff(self) -> None:
        """
        Give up a peer that does not read.
        """
        self._drop()
        self.disconnecting = True
        try:
            self._owner.sendQueueExceeded()
        except Exception:
            # The writer may be writing to many: the others get what it writes.
            _log.failure("error in sendQueueExceeded; the connection is closed")
            self.abortConnection()

    # What the transport says

    def transportFull(self) -> None:
        """
        Hold what comes: the peer does not read as fast as is written.
        """
        self._full = True
        if self._producer is self and self.lastRead < 0:
            # What is shaken hands with must be read, or the greeting could never leave.
            return
        if self._producer is not None:
            self._producer.pauseProducing()

    def transportPulls(self, producer: IPullProducer) -> None:
        """
        Go on, with what has waited and with what the pull producer makes.

        @param producer: the pull producer, which is asked once.
        """
        self._full = False
        self.flush()
        producer.resumeProducing()
        # Within a read it would wait for the end of that, and the transport for it.
        self.flush()
        self._full = self._full or self._pulling()

    def transportEmpty(self) -> None:
        """
        Go on: the transport has got rid of its bytes.
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
            # The peer may have ended TLS meanwhile; a TLS transport goes on with that only when its
            # producer has gone.
            self._transport.unregisterProducer()
            self._transport.registerProducer(Room(self), True)

    def transportClosing(self) -> None:
        """
        Take nothing more: the transport was asked to close.
        """
        if not self.disconnecting:
            self.flush()
            self.disconnecting = True
            self._closeAgain()
            self._readOn()
            self._finish()

    def transportClosingPulled(self) -> None:
        """
        Take nothing more: the transport was asked to close, and does when the
        pull producer is done.
        """
        self.disconnecting = True

    def _closeAgain(self) -> None:
        """
        Ask the transport once more to close: this makes a TLS transport send
        what it has collected.
        """
        self._transport.loseConnection()

    def transportGone(self) -> None:
        """
        Forget everything: the connection is lost.
        """
        self._stage = _GONE
        self._full = False
        if self._pull is not None:
            self._pull.asked = False
        self._drop()
        self._stopProducer()
        self._stage = _EVERYBODY_KNOWS

    def _stopProducer(self) -> None:
        """
        Tell whoever makes the bytes that nobody takes them any more.
        """
        producer = self._producer if self._pull is None else self._pull.producer
        self._producer = self._pull = None
        if producer is not None:
            producer.stopProducing()
