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

from openfl_twisted.protocols.producers import Pull, Room
from openfl_twisted.protocols.reading import read

MAX_QUEUE = 2 * 1024 * 1024
"""
The most bytes that are held for a peer that does not read, if nobody says
otherwise: 2 MiB. What the transport and the kernel hold comes on top of it.
"""

PORTION = 64 * 1024
"""
So many bytes are handed over before the end of a read; and where it is watched
what the peer takes, no more than so many at once.
"""

# So many pieces that wait are made one, since a piece costs more memory than its few bytes.
_LOOSE_PIECES = 1000

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
    """

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

    def handedOver(self) -> None:
        """
        Bytes have been handed to the transport; only told to who watches.
        """

    def readsAgain(self) -> None:
        """
        Know that this side is about to read from the peer again.
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
    @ivar maxQueue: how many bytes are held for a peer that does not read.
    @ivar fresh: whether nothing has been written since the last piece came. If
        the transport joins what is written in a read itself, a first write goes
        straight to it: often it is the only one.
    @ivar heard: whether anything has come from the peer.
    @ivar paused: whether this side has stopped reading from the peer.
    @ivar tap: called with each piece that is written; C{None} for nobody.
    """

    # There is one for each connection.
    __slots__ = (
        "_dense",
        "_full",
        "_gone",
        "_halfClosing",
        "_joins",
        "_owner",
        "_producer",
        "_pullProducer",
        "_pulling",
        "_registered",
        "_toldAll",
        "_transport",
        "_unsent",
        "_unsentLength",
        "_watched",
        "disconnecting",
        "fresh",
        "heard",
        "keepsApart",
        "maxQueue",
        "paused",
        "tap",
    )

    def __init__(
        self, transport: ITransport, owner: QueueOwner, maxQueue: int, *, watched: bool = False
    ) -> None:
        """
        @param transport: where the bytes go.
        @param owner: hears what becomes of them.
        @param maxQueue: the limit, in bytes.
        @param watched: whether the owner wants to hear each time that bytes have
            been handed to the transport. Then that is done in portions of
            L{PORTION<sendqueue.PORTION>} bytes, so that what is pending here is
            what the peer has not taken; else everything there is goes at once.
        """
        self._transport: Any = transport
        self._owner = owner
        self._watched = watched
        self.keepsApart: bool = IMessageTransport.providedBy(transport)
        # Whether the transport joins what is written in a read itself. TLS on it does not.
        self._joins: bool = (
            getattr(transport, "joinsWrites", False)
            and not watched
            and not self.keepsApart
            and not ISSLTransport.providedBy(transport)
        )
        self.disconnecting = False
        self.fresh = False
        self.heard = False
        self.paused = False
        self.maxQueue = maxQueue
        self.tap: Callable[[bytes], object] | None = None
        # What has not been handed over; None while that is nothing, as it is most of the time.
        self._unsent: list[bytes] | None = None
        self._unsentLength = 0
        # How many of the pieces at the beginning have been made of many.
        self._dense = 0
        # Whether the transport has said that it has no room.
        self._full = False
        self._gone = False
        # Whether everybody here knows that the connection is lost.
        self._toldAll = False
        # Whether the write side is to be closed once everything has been handed over.
        self._halfClosing = False
        # Whoever makes what is written here, if that is a push producer.
        self._producer: IPushProducer | None = None
        # Or if it is a pull producer.
        self._pullProducer: IPullProducer | None = None
        # Whether the transport asks it, and not us.
        self._pulling = False
        # Whether the transport has us, or the pull producer, for its producer.
        self._registered = True
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
            or self._gone
            or (self.disconnecting and not (self._pulling and not self._full))
        ):
            # What a pull producer still has is sent before a connection is closed, as everywhere.
            return
        if self.tap is not None:
            self.tap(data)
        unsent = self._unsent
        if self._joins and self.fresh and unsent is None and not self._full:
            self.fresh = False
            self._transport.write(data)
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
        if cost > self.maxQueue:
            self._cutOff()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """
        Send several pieces of bytes, in one write.
        """
        if self.keepsApart:
            self.write(b"".join(iovec))
            return
        with read:
            for data in iovec:
                self.write(data)

    def loseConnection(self) -> None:
        """
        Close the connection once everything written so far has been sent.
        """
        if self._gone:
            self._endLate()
        if self.disconnecting or self._gone:
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
        if self._gone:
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
        if self._toldAll:
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
        self._owner.readsAgain()
        # What came before may have been enough again.
        if not self.paused:
            self._transport.resumeProducing()

    def _readOn(self) -> None:
        """
        Read the end that the peer says: inside TLS it takes two to close.
        """
        if self.paused and not self._gone:
            self.paused = False
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
        if self._producer is not None or self._pullProducer is not None:
            raise RuntimeError("there is a producer already")
        if not self._registered:
            # The connection is lost, or this side has closed it.
            producer.stopProducing()
        elif streaming:
            self._producer = cast("IPushProducer", producer)
            if self._full:
                self._producer.pauseProducing()
        else:
            self._pullProducer = cast("IPullProducer", producer)
            self.flush()
            if not self._full:
                self._beginPulling(self._pullProducer)

    def _beginPulling(self, producer: IPullProducer) -> None:
        """
        Have the transport ask the pull producer, not us.
        """
        self._pulling = True
        # It is asked when there is room; what others write has to wait for that too.
        self._full = True
        self._transport.unregisterProducer()
        self._transport.registerProducer(Pull(self, producer), False)

    def unregisterProducer(self) -> None:
        """
        Forget the producer.
        """
        self._producer = None
        if self._pullProducer is None:
            return
        self._pullProducer = None
        if not self._pulling:
            # The transport never got it.
            return
        self._pulling = self._full = False
        self.flush()
        if self.disconnecting:
            self._closeAgain()
        self._halfCloseIfAsked()
        self._transport.unregisterProducer()
        self._registered = not self.disconnecting
        if self._registered:
            self._transport.registerProducer(Room(self), True)

    # The way to the transport

    def flush(self) -> None:
        """
        Hand everything over in one write, unless the transport has no room;
        then it is handed over when it has.
        """
        pieces = self._unsent
        if pieces is None or self._full:
            return
        if self._watched:
            # Nobody watches a WebSocket so: the sockets that do are those of OpenFL's door.
            self._handOverPortions()
            self._owner.handedOver()
            return
        self._unsent = None
        self._unsentLength = self._dense = 0
        if self.keepsApart:
            self._transport.writeMessages(pieces)
        else:
            self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def _handOverPortions(self) -> None:
        """
        Hand over portions until the transport is full.
        """
        while self._unsent and not self._full:
            portion = self._takePortion(self._unsent)
            self._unsentLength -= len(portion)
            self._transport.write(portion)
        self._unsent = self._unsent or None

    def _takePortion(self, pieces: list[bytes]) -> bytes:
        """
        Take the next portion off the queue. A large piece is cut up once, not
        for each portion of it.
        """
        count = length = 0
        for piece in pieces:
            if count and length + len(piece) > PORTION:
                break
            count += 1
            length += len(piece)
        taken, pieces[:count] = pieces[:count], []
        self._dense = max(0, self._dense - count)
        data = taken[0] if count == 1 else b"".join(taken)
        if length <= PORTION:
            return data
        first, *rest = [data[at : at + PORTION] for at in range(0, length, PORTION)]
        pieces[:0] = rest
        self._dense += len(rest)
        return first

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
        if self._registered and not self._full and self._pullProducer is None:
            self._registered = False
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
        self._owner.sendQueueExceeded()

    # What the transport says

    def transportFull(self) -> None:
        """
        Hold what comes: the peer does not read as fast as is written.
        """
        self._full = True
        if self._producer is self and not self.heard:
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
        self._full = self._full or self._pulling

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
        if self._pullProducer is not None:
            self._beginPulling(self._pullProducer)
        if self._producer is not None:
            self._producer.resumeProducing()
        if self.disconnecting:
            self._finish()
        elif self._registered and self._pullProducer is None and not self._full:
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
        self._gone = True
        self._full = self._registered = self._pulling = False
        self._drop()
        self._stopProducer()
        self._toldAll = True

    def _stopProducer(self) -> None:
        """
        Tell whoever makes the bytes that nobody takes them any more.
        """
        producer = self._producer or self._pullProducer
        self._producer = self._pullProducer = None
        if producer is not None:
            producer.stopProducing()
