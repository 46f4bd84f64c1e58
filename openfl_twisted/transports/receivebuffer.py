"""
The receive buffer: what was received for a protocol that does not read at the
moment, and the end of the connection behind it.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.writebatch import currentBatch

MAX_WORK = 512
"""
Maximum number of messages of one connection that are handled before others are
served. A message sent to many receivers counts as several.
"""

LATE_END_TIMEOUT = 30.0
"""
Seconds for which the end of a connection waits for a protocol that is paused.
"""


class Reader(Protocol):
    """
    A connection with a receive buffer.

    @ivar reading: whether the protocol receives data.
    @ivar disconnecting: whether this side closes the connection.
    @ivar paused: whether the protocol has called C{pauseProducing}.
    @ivar work: the messages handled since others were served.
    @ivar receiveBuffer: the buffer; C{None} while nothing is held.
    """

    reading: bool
    disconnecting: bool
    paused: bool
    work: int
    receiveBuffer: "ReceiveBuffer | None"

    def stopReading(self) -> None:
        """
        Read nothing from the underlying transport.
        """

    def readAgain(self) -> None:
        """
        Deliver what is held, then read from the underlying transport.
        """

    def abortConnection(self) -> None:
        """
        Close the connection immediately.
        """

    def getPeer(self) -> Any:
        """
        Return the address of the peer, for the log.
        """


def _nothing() -> None:
    """
    Pass on no end: the caller does.
    """


class ReceiveBuffer:
    """
    Holds items for one connection. It exists only while something is held: items, a
    turn for others, or the end.
    """

    __slots__ = (
        "_blocked",
        "_clock",
        "_connection",
        "_delivering",
        "_end",
        "_first",
        "_groups",
        "_timer",
        "_turn",
    )

    log = packageLogger()

    def __init__(self, connection: Reader, clock: IReactorTime) -> None:
        """
        @param connection: the connection.
        @param clock: the clock.
        """
        self._connection = connection
        self._clock = clock
        # In groups: a read can have 65,536 items, and a tuple for each would take 5 MB.
        self._groups: deque[tuple[Callable[[Any], object], deque[Any]]] = deque()
        # What was put back since the last delivery; it comes before the groups.
        self._first: list[tuple[Callable[[Any], object], deque[Any]]] = []
        self._blocked = self._delivering = False
        self._turn: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._end: Callable[[], object] | None = None

    def put(self, receive: Callable[[Any], object], items: Iterable[Any]) -> None:
        """
        Hold items that were received after everything else.

        @param receive: the method to call with each item.
        @param items: the items.
        """
        groups, items = self._groups, deque(items)
        if groups and groups[-1][0] == receive:
            groups[-1][1].extend(items)
        elif items:
            groups.append((receive, items))

    def putBack(self, receive: Callable[[Any], object], items: Iterable[Any]) -> None:
        """
        Hold items that were being delivered. They come before everything else, but
        behind those that were put back before them in the same delivery.

        @param receive: the method to call with each item. An item that is a list
            counts as its length for L{MAX_WORK}.
        @param items: the items.
        """
        items = deque(items)
        if items:
            self._first.append((receive, items))

    def block(self) -> None:
        """
        Deliver nothing until L{unblock}. The protocol is not paused. It has no effect
        once this side closes the connection.
        """
        if not self._connection.disconnecting:
            self._blocked = True
            self._connection.reading = False
            self._connection.stopReading()

    def unblock(self) -> None:
        """
        Deliver again.
        """
        if self._blocked:
            self._blocked = False
            if self._turn is None:
                self._connection.readAgain()

    @property
    def isEnding(self) -> bool:
        """
        Whether the connection is lost.
        """
        return self._end is not None

    @property
    def isBlocked(self) -> bool:
        """
        Whether nothing can be delivered now, for another reason than a pause.
        """
        return self._blocked or self._turn is not None

    def yieldTurn(self) -> None:
        """
        Deliver the rest in the iteration of the reactor after the next one. In every
        other iteration, the other connections have the reactor for themselves.
        """
        connection = self._connection
        connection.reading = False
        connection.stopReading()
        if self._turn is None:
            self._turn = self._clock.callLater(0, self._skip)

    def _skip(self) -> None:
        self._turn = self._clock.callLater(0, self._takeTurn)

    def _takeTurn(self) -> None:
        self._turn = None
        self._connection.readAgain()

    def deliver(self) -> bool:
        """
        Deliver while the connection is reading. An exception of a handler closes the
        connection; it is logged, since the caller need not be the reactor.

        @return: whether nothing is held any more.
        """
        connection = self._connection
        if self._delivering:
            # A handler has paused and resumed.
            return False
        connection.work = 0
        self._delivering = True
        try:
            currentBatch.run(self._deliver)
        except Exception:
            self.log.failure(
                "unhandled error while serving {peer}", peer=describe(connection.getPeer())
            )
            connection.abortConnection()
            return False
        finally:
            self._delivering = False
        if self._first or self._groups or self._blocked or self._turn is not None:
            return False
        if self._end is not None and connection.paused:
            return False
        if connection.receiveBuffer is self:
            connection.receiveBuffer = None
            if self._end is not None:
                self.finish()
        return True

    def _deliver(self) -> None:
        connection, groups = self._connection, self._groups
        while True:
            if self._first:
                groups.extendleft(reversed(self._first))
                self._first.clear()
            if not groups or not connection.reading:
                return
            if connection.work >= MAX_WORK:
                self.yieldTurn()
                return
            receive, items = groups[0]
            item = items.popleft()
            if not items:
                groups.popleft()
            receive(item)
            connection.work += len(item) if type(item) is list else 1

    def deliverNow(self, *, drop: bool) -> None:
        """
        Deliver what is held for another reason than a pause; the connection is lost.

        @param drop: whether to drop it instead.
        """
        connection = self._connection
        self._blocked = False
        self._end = _nothing
        while not (drop or connection.paused or connection.disconnecting):
            if self._turn is not None:
                self._turn.cancel()
                self._turn = None
            connection.reading = True
            if self.deliver() or self._turn is None:
                break
        self.discard()
        connection.receiveBuffer = None

    def holdEnd(self, notify: Callable[[], object]) -> None:
        """
        Pass on the end of the connection when the protocol has received everything,
        or is paused for L{LATE_END_TIMEOUT} seconds.

        @param notify: tells the protocol.
        """
        self._end = notify
        self._blocked = False
        self._timer = self._clock.callLater(LATE_END_TIMEOUT, self._timedOut)
        if self._turn is None and not self._connection.paused:
            self._connection.readAgain()

    def _timedOut(self) -> None:
        self.log.warn(
            "{peer} closed: the last data was not read for {seconds:g} seconds",
            peer=describe(self._connection.getPeer()),
            seconds=LATE_END_TIMEOUT,
        )
        self.finish()

    def discardSoon(self) -> None:
        """
        Pass on the end in the next iteration of the reactor, without what is held.
        """
        self.discard()
        self._blocked = True
        self._connection.reading = False
        self._timer = self._clock.callLater(0, self.finish)

    def finish(self) -> None:
        """
        Pass on the end, without what is held.
        """
        self.discard()
        end, self._end = self._end, None
        self._connection.receiveBuffer = None
        if end is not None:
            end()

    def items(self) -> list[tuple[Callable[[Any], object], Any]]:
        """
        Return what is held: methods with an item each, in order.
        """
        return [(method, item) for method, items in (*self._first, *self._groups) for item in items]

    def discard(self) -> None:
        """
        Drop what is held, and wait for nothing.
        """
        self._first.clear()
        self._groups.clear()
        self._blocked = False
        for call in (self._turn, self._timer):
            if call is not None and call.active():
                call.cancel()
        self._turn = self._timer = None
