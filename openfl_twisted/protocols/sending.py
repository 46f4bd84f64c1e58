"""
Protocols that send through a queue, and their factories: the base of those of
this package.
"""

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Self, TypeVar

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.foreign import REASONS, FirstBytes, refuse
from openfl_twisted.protocols.patience import DECISION_TIME, Patience
from openfl_twisted.protocols.reading import read
from openfl_twisted.protocols.sendqueue import HEARD, MAX_QUEUE, SendQueue
from openfl_twisted.wire.firstbytes import FOREIGN, Signature, isPartial
from openfl_twisted.wire.httprequest import hasRequestLine
from openfl_twisted.wire.policy import isRequest

T = TypeVar("T")

POLICY_VIOLATION = 1008
"""
The code of WebSocket for a peer that may not do what it does.
"""

MESSAGE_TOO_BIG = 1009
"""
The code of WebSocket for a message that is too long.
"""


MAX_WORK = 512
"""
Maximum number of messages of one connection that are handled before others are
served. A message sent to many receivers counts as several, see
L{SendingProtocol.spend}.
"""


LIMITS = ("queue", "rate", "message")
"""
For what a connection is closed by a limit: more waits for it than may, it sends
more than it may, or one message that is too long.
"""


@implementer(IHalfCloseableProtocol)
class SendingProtocol(Protocol):
    """
    A protocol that sends through a L{SendQueue}. Subclasses override
    L{bytesReceived}.

    @cvar maxQueue: maximum length of the queue for a peer that does not read
        (bytes); 0 for no limit. The default is 2 MiB.
    @cvar refused: the protocols whose clients are refused, for subclasses that
        call L{inspect} (default none).
    """

    # Twisted has defaults for some of these in its classes. As slots, what is asked for each
    # message is found faster and takes less; what a program adds has a dictionary, as everywhere.
    __slots__ = (
        "_delivering",
        "_failed",
        "_undelivered",
        "_work",
        "connected",
        "factory",
        "transport",
    )

    transport: SendQueue
    factory: Any
    log = packageLogger()
    maxQueue = MAX_QUEUE
    refused: Collection[Signature] = frozenset()
    _firstBytes: FirstBytes | None = None
    # Limits how long the first bytes are held.
    _patience: Patience | None = None
    # Whether the first message can be an HTTP request with a method that is not registered.
    _mayBeRequest = False
    # The rest of the received items is handled then; None if nothing is left.
    _turn: IDelayedCall | None = None
    # The work counted at the beginning of each read: MAX_WORK while reading is blocked.
    _minWork = 0
    # Whether the connection is lost, so that reading cannot be blocked any more.
    _finishing = False
    _delivering: bool
    _failed: bool
    # What waits to be handed to a method; None if nothing does, and none is being handed out.
    # Items are in groups: a read can have 65,536, and a tuple for each would take 5 MB.
    _undelivered: deque[tuple[Callable[[Any], object], deque[Any]]] | None

    def __new__(cls, *args: object, **named: object) -> Self:
        """
        Make one that is not connected yet. Not in C{__init__}, which Twisted's
        protocols have not, so those of programs do not call it.
        """
        self = super().__new__(cls)
        # As in all protocols of Twisted; a subclass may have something else in its class.
        _setConnected(self, 0)
        _setFactory(self, None)
        _setTransport(self, None)
        self._failed = self._delivering = False
        # The work since the last time that others were served.
        self._work = 0
        self._undelivered = None
        return self

    def makeConnection(self, transport: ITransport) -> None:
        """
        Put a L{SendQueue} in front of the transport.
        """
        super().makeConnection(self.queueFor(transport))

    def queueFor(self, transport: ITransport) -> SendQueue:
        """
        Make the queue; subclasses that want to know more of it override this.

        @param transport: the transport beneath.
        @return: the queue, which becomes L{transport}.
        """
        return SendQueue(transport, self)

    def dataReceived(self, data: bytes) -> None:
        """
        Deal with a piece of data, and then send what that has made anybody
        write. Nothing is received any more once this side is closing, or has
        failed: the reactor then ends the connection, but a TLS transport goes
        on with what it still has.
        """
        transport = self.transport
        if transport.disconnecting or self._failed:
            return
        if transport.lastRead < 0:
            transport.lastRead = HEARD
        self._work = self._minWork
        # This is "with read", without the price of it: it is what every byte passes.
        read.number = (read.number + 1) & 0xFF
        read.depth += 1
        try:
            self.bytesReceived(data)
        except BaseException:
            self._failed = True
            raise
        finally:
            read.depth -= 1
            if read.waiting and not read.depth:
                read.flush()

    def deliver(self, items: Sequence[T], receive: Callable[[T], object]) -> None:
        """
        Call a method with each item received, until this side is closing or stops
        reading. Further items are held until it reads again, so that a peer that
        does not read its answers gets no more of them. After L{MAX_WORK} items
        the rest is held until other connections have been served; meanwhile
        nothing is read.

        @param items: the items.
        @param receive: the method. An item that is a list counts as its length.
        """
        transport = self.transport
        for number, item in enumerate(items):
            if self._undelivered is not None or transport.paused or self._work >= MAX_WORK:
                # What is held already was received before.
                held = self._undelivered = self._undelivered or deque()
                if held and held[-1][0] == receive:
                    held[-1][1].extend(items[number:])
                else:
                    held.append((receive, deque(items[number:])))
                if not transport.paused:
                    self._waitForTurn()
                return
            if transport.disconnecting:
                return
            receive(item)
            self._work += _workOf(item)

    def handOut(self, items: Sequence[T], receive: Callable[[T], object]) -> None:
        """
        Do what L{deliver} does, for what has been delivered in one and is now
        taken apart: what is left comes before everything else that waits.

        @param items: what it was taken apart into.
        @param receive: what takes each.
        """
        transport = self.transport
        first = self._undelivered[0] if self._undelivered else None
        for number, item in enumerate(items):
            if transport.disconnecting:
                return
            if transport.paused or self._work >= MAX_WORK:
                held = self._undelivered = self._undelivered or deque()
                # The method may have postponed its item, which was received before the rest.
                before = []
                while held and held[0] is not first:
                    before.append(held.popleft())
                held.appendleft((receive, deque(items[number:])))
                held.extendleft(reversed(before))
                if not transport.paused:
                    self._waitForTurn()
                return
            receive(item)
            self._work += 1

    def spend(self, work: int) -> None:
        """
        Count further work for the message that is being handled, such as its
        receivers.

        @param work: in units of L{MAX_WORK}.
        """
        self._work += work

    def readsAgain(self) -> bool:
        """
        Handle the items that were held, as long as this side reads. If one of them
        raises, the connection is closed and the error logged.

        @return: whether to read from the peer again.
        """
        if self._turn is not None or self._minWork:
            return False
        if self._undelivered is not None and not self._delivering:
            self._work = 0
            try:
                self._handleHeld()
            except Exception:
                # The caller is not the reactor, which would end the connection.
                self._fail()
                return False
        return self._turn is None and not self._minWork

    def _fail(self) -> None:
        """
        Log the current exception and end the connection, as the reactor does if
        L{dataReceived} raises.
        """
        self._failed = True
        self.log.failure("unhandled error while serving {peer}", peer=self.describePeer())
        self.transport.abortConnection()

    def blockReading(self) -> None:
        """
        Read and handle nothing more until L{unblockReading}, because the
        application cannot take it. The protocol is not paused. It has no effect
        once the connection is lost.
        """
        if not self._finishing:
            self._minWork = self._work = MAX_WORK
            self.transport.stopReading()

    def postpone(self, item: T, receive: Callable[[T], object]) -> bool:
        """
        Hold the item that is being handled, and call L{blockReading}.

        @param item: the item.
        @param receive: the method that handles it.
        @return: whether it is held; C{False} once the connection is lost.
        """
        if self._finishing:
            return False
        if self._undelivered is None:
            self._undelivered = deque()
        # The items held already were received after it.
        self._undelivered.appendleft((receive, deque((item,))))
        self.blockReading()
        return True

    def unblockReading(self) -> None:
        """
        Read and handle messages again. It is not an error if the connection is
        lost.
        """
        if self._minWork:
            self._minWork = 0
            if self._turn is None:
                self._takeTurn()

    def _handleHeld(self) -> None:
        """
        Handle the items that were held, until this side stops reading or others
        are to be served.
        """
        transport = self.transport
        self._delivering = True
        try:
            with read:
                while self._undelivered and not (transport.paused or transport.disconnecting):
                    if self._work >= MAX_WORK:
                        self._waitForTurn()
                        return
                    receive, items = self._undelivered[0]
                    item = items.popleft()
                    if not items:
                        self._undelivered.popleft()
                    receive(item)
                    self._work += _workOf(item)
        finally:
            self._delivering = False
            self._undelivered = self._undelivered or None

    def _waitForTurn(self) -> None:
        """
        Handle the rest in the iteration of the reactor after the next one, and read
        nothing until then. In every other iteration, the other connections have
        the reactor for themselves.
        """
        if self._turn is None and not self._minWork:
            self.transport.stopReading()
            self._turn = self._factoryClock.callLater(0, self._skipTurn)

    def _skipTurn(self) -> None:
        self._turn = self._factoryClock.callLater(0, self._takeTurn)

    @property
    def _factoryClock(self) -> IReactorTime:
        """
        The clock of the factory; the reactor if it has none.
        """
        own = isinstance(self.factory, SendingFactory)
        return clockOrReactor(self.factory.clock if own else None)

    def _takeTurn(self) -> None:
        """
        Handle the rest, and read again.
        """
        self._turn = None
        try:
            if self.readsAgain():
                self.transport.startReading()
        except Exception:
            # No reactor method was running that would end the connection.
            self._fail()

    def finishReading(self, reason: Failure) -> None:
        """
        Handle the items that were only held so that others are served. Called
        when the connection is lost; after a reset they are dropped.

        @param reason: why the connection is lost.
        """
        self._finishing = True
        while self._turn is not None or self._minWork:
            if self._turn is not None:
                self._turn.cancel()
                self._turn = None
            self._minWork = self._work = 0
            if reason.check(ConnectionDone) and self._undelivered is not None:
                self._handleHeld()

    def bytesReceived(self, data: bytes) -> None:
        """
        Bytes came; override this.

        @param data: the bytes, cut as the network cut them.
        """
        raise NotImplementedError

    def inspect(self, data: bytes) -> bytes:
        """
        Check whether the connection begins with one of the C{refused} protocols.
        Such a client is answered, and the connection is closed. Bytes that do
        not decide yet are held, for 10 seconds at most; L{heldBytes} returns them at
        EOF.

        @param data: the received bytes, while C{refused} is not empty.
        @return: the bytes to process; C{refused} is empty then.
        """
        first = self._firstBytes or FirstBytes(self.refused)
        # A WebSocket is not TCP: its first bytes are those of a message.
        found = Signature.NONE if self.transport.keepsApart else first.receive(data)
        if found is None:
            self._firstBytes = first
            if self._patience is None:
                self._patience = Patience(self._factoryClock, DECISION_TIME)
                self._patience.waitToTheEnd(self._heldTooLong)
            return b""
        self._endInspection()
        if found is Signature.NONE:
            self._mayBeRequest = Signature.HTTP in self.refused and not self.transport.keepsApart
            self.refused = frozenset()
            return first.received or data
        self.refused = frozenset()
        self._refuse(found)
        return b""

    def refusesRequest(self, message: bytes) -> bool:
        """
        Refuse the client if its first message is an HTTP request with a method
        that is not registered. L{inspect} cannot recognize it: it would have to
        hold the first word of every client.

        @param message: the first message.
        @return: whether the client is refused.
        """
        found, self._mayBeRequest = self._mayBeRequest and hasRequestLine(message), False
        if found:
            self._refuse(Signature.HTTP)
        return found

    def _refuse(self, signature: Signature) -> None:
        """
        Refuse a client of another protocol, and count it.
        """
        if isinstance(self.factory, SendingFactory):
            self.factory.foreign[signature.value] += 1
        refuse(self.transport, signature, REASONS[signature], self.log)

    def heldBytes(self) -> bytes:
        """
        Stop inspecting the first bytes. A client that has sent a policy request
        without its NUL byte is answered; one that has sent a part of an HTTP request
        is refused.

        @return: the bytes that L{inspect} holds, to be processed.
        """
        first, refused = self._firstBytes, self.refused
        self._endInspection()
        self.refused = frozenset()
        if first is None or self.transport.disconnecting:
            return b""
        for signature, matches in ((Signature.POLICY, isRequest), (Signature.HTTP, isPartial)):
            if signature in refused and matches(first.received):
                self._refuse(signature)
                return b""
        return first.received

    def _endInspection(self) -> None:
        self._firstBytes = None
        if self._patience is not None:
            self._patience.end()
            self._patience = None

    def _heldTooLong(self) -> None:
        """
        Process the bytes that L{inspect} holds.
        """
        try:
            self.dataReceived(self.heldBytes())
        except Exception:
            # No reactor method was running that would end the connection.
            self._fail()

    def readConnectionLost(self) -> None:
        """
        The peer has closed its side: it gets what was written, and then this
        side is closed too.
        """
        self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        Know that this side has been closed, as it wanted.
        """

    def sendQueueExceeded(self) -> None:
        """
        The peer has not read what it was sent, and the queue is at its limit:
        the connection is cut off.
        """
        self.log.warn(
            "{peer} cut off: it does not read, and over {limit} bytes wait for it",
            peer=self.describePeer(),
            limit=self.maxQueue,
        )
        self.limitReached("queue")
        self.transport.abortConnection()

    def sendQueueDropped(self, pieces: list[bytes]) -> None:
        """
        The connection ends without these having been handed over; see
        L{QueueOwner<openfl_twisted.protocols.sendqueue.QueueOwner>}.

        @param pieces: what has waited, in order, but not as it was written:
            small pieces may have been joined, and large ones cut.
        """

    def limitReached(self, limit: str) -> None:
        """
        Have the factory count that this connection is closed by a limit.

        @param limit: one of L{LIMITS}.
        """
        if isinstance(self.factory, SendingFactory):
            self.factory.cut[limit] += 1

    def closeFor(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        Close the connection because of what the peer has done, with a line in
        the log. A WebSocket is told why.

        @param reason: why, in words.
        @param code: the same as a code of WebSocket (RFC 6455, 7.4).
        """
        self.log.warn("{peer} closed: {reason}", peer=self.describePeer(), reason=reason)
        self.closeWith(code, reason)

    def closeWith(self, code: int, reason: str) -> None:
        """
        Close the connection. On a WebSocket, the Close frame contains the reason.

        @param code: the reason as a code of WebSocket (RFC 6455, 7.4).
        @param reason: the reason in words.
        """
        tell = getattr(self.transport, "closeAs", None)
        if tell is not None:
            tell(code, reason)
        self.transport.loseConnection()

    def describePeer(self) -> str:
        """
        Name the other side for a log line.
        """
        return describe(self.transport.getPeer())


def _workOf(item: object) -> int:
    """
    Count the messages in an item.
    """
    return len(item) if type(item) is list else 1


_slots: Any = SendingProtocol
_setConnected = _slots.connected.__set__
_setFactory = _slots.factory.__set__
_setTransport = _slots.transport.__set__

P = TypeVar("P", bound=SendingProtocol)


class SendingFactory(Factory[P]):
    """
    Makes protocols, and gives them the settings of this factory instead of
    those of their class.

    @ivar settings: the attributes of the protocols that are set.
    @ivar cut: how many connections have been closed by a limit, by its name in
        L{LIMITS}.
    @ivar foreign: number of connections closed because the client spoke another
        protocol, by the value of its L{Signature}.
    @ivar clock: the clock; C{None} for the reactor.
    """

    noisy = False
    clock: IReactorTime | None = None

    def __init__(self, protocol: Callable[[], P], **settings: Any) -> None:
        """
        @param protocol: makes a protocol.
        @param settings: attributes of the protocol; one that is C{None} is
            left as the class has it.
        """
        self.protocol = protocol
        self.cut = dict.fromkeys(LIMITS, 0)
        self.foreign = {signature.value: 0 for signature in FOREIGN}
        self.settings = {name: value for name, value in settings.items() if value is not None}

    def buildProtocol(self, addr: IAddress | None) -> P | None:
        """
        Make a protocol with the settings.
        """
        protocol = super().buildProtocol(addr)
        if protocol is not None:
            for name, value in self.settings.items():
                setattr(protocol, name, value)
        return protocol
