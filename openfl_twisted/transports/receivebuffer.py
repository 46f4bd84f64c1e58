"""
The receive buffer: received data that a connection cannot deliver yet, followed by the
loss of the connection.
"""

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.writebatch import currentBatch

MAX_WORK = 512
"""
Maximum number of messages from one connection that are handled before other connections are
served. A message that is sent to many receivers counts as several messages.
"""

LATE_END_TIMEOUT = 30.0
"""
Maximum time between the loss of a connection and the call of C{connectionLost} on a paused
protocol: 30 seconds.
"""


class Reader(Protocol):
    """
    A connection with a receive buffer, see
    L{Connection<openfl_twisted.transports.connection.Connection>}.

    @ivar reading: whether received data is delivered to the protocol.
    @ivar disconnecting: whether this side has closed the connection.
    @ivar paused: whether the protocol has called C{pauseProducing}.
    @ivar work: number of messages handled since other connections were last served.
    @ivar receiveBuffer: the receive buffer; C{None} if no items are held.
    """

    reading: bool
    disconnecting: bool
    paused: bool
    work: int
    receiveBuffer: "ReceiveBuffer | None"

    def stopReading(self) -> None:
        """
        Stop reading from the underlying transport.
        """

    def readAgain(self) -> None:
        """
        Deliver the receive buffer, then resume reading from the underlying transport.
        """

    def getPeer(self) -> Any:
        """
        Return the address of the peer, for log lines.
        """

    def handlerReturned(self, result: object) -> None:
        """
        Called with the result of a method that processes an item, if the result is not
        C{None}.
        """

    def handlerFailed(self, reason: Failure) -> None:
        """
        Log an exception raised by a method that processes an item, and close the connection.
        """


def _nothing() -> None:
    """
    Do nothing. This function replaces the notification of the protocol while
    L{ReceiveBuffer.deliverNow} runs, whose caller notifies the protocol itself.
    """


class ReceiveBuffer:
    """
    Holds received items for one connection, such as chunks, messages or the EOF. Items are
    stored in groups, together with the method that processes the items of the group.

    The connection or its protocol creates the buffer with C{ensureBuffer} when an item cannot
    be delivered. When the protocol resumes reading, the connection calls L{deliver}, and the
    emptied buffer removes itself from C{connection.receiveBuffer}. Invariants:

      - Each item is delivered once, and items are delivered in the order in which they were
        received.
      - Nothing is delivered while C{connection.reading} is false.
      - The loss of the connection is reported once, after the last item.

    The buffer can contain items although the protocol is not paused: the buffer is I{blocked}
    after the protocol has called L{block}, it is I{held} while an asynchronous handler runs or
    a message is sent to many receivers, and it I{yields its turn} after L{MAX_WORK} messages.

    @ivar holds: the number of calls of L{hold} without L{release}.
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
        "holds",
    )

    log = packageLogger()

    def __init__(self, connection: Reader, clock: IReactorTime) -> None:
        """
        @param connection: the connection.
        @param clock: the clock of the timers.
        """
        self._connection = connection
        self._clock = clock
        # Storing the method once per group saves memory: one read can contain 65,536 items.
        self._groups: deque[tuple[Callable[[Any], object], deque[Any]]] = deque()
        # The groups that were put back during the current delivery; they precede the other groups.
        self._first: list[tuple[Callable[[Any], object], deque[Any]]] = []
        self._blocked = self._delivering = False
        self.holds = 0
        self._turn: IDelayedCall | None = None
        self._timer: IDelayedCall | None = None
        self._end: Callable[[], object] | None = None

    def put(self, receive: Callable[[Any], object], items: Iterable[Any]) -> None:
        """
        Append items that were received after all items in the buffer.

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
        Insert items at the beginning of the buffer, after items that were already put back
        during the same delivery. Used for items that were received before the contents of the
        buffer.

        @param receive: the method to call with each item. For L{MAX_WORK}, a list counts as
            the number of its elements.
        @param items: the items.
        """
        items = deque(items)
        if items:
            self._first.append((receive, items))

    def block(self) -> None:
        """
        Stop delivery until L{unblock} is called, without pausing the protocol. This call is
        ignored after this side has closed the connection.
        """
        if not self._connection.disconnecting:
            self._blocked = True
            self._connection.reading = False
            self._connection.stopReading()

    def unblock(self) -> None:
        """
        Resume delivery after L{block}. While the protocol is paused, nothing is delivered.
        """
        if self._blocked:
            self._blocked = False
            if self._turn is None:
                self._connection.readAgain()

    def hold(self) -> None:
        """
        Stop delivery until L{release} is called as often as this method. If the connection is lost
        in the meantime, this is reported after the last release.
        """
        self.holds += 1
        self._connection.reading = False
        self._connection.stopReading()

    def release(self) -> None:
        """
        End one L{hold}. When all holds have ended, resume delivery.
        """
        if self.holds:
            self.holds -= 1
            if not self.holds:
                self._connection.readAgain()

    @property
    def isEnding(self) -> bool:
        """
        Whether the underlying transport is lost.
        """
        return self._end is not None

    @property
    def isBlocked(self) -> bool:
        """
        Whether delivery is currently stopped, independent of whether the protocol is paused.
        """
        return self._blocked or self.holds > 0 or self._turn is not None

    def yieldTurn(self) -> None:
        """
        Deliver the remaining items later: in the reactor iteration after the next iteration,
        so that other connections are served first.
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
        Deliver items while the connection is reading. An exception raised by a handler is
        passed to the connection, because the caller is not always the reactor.

        @return: whether the buffer is empty now.
        """
        connection = self._connection
        if self._delivering:
            # A handler that is being called has called resumeProducing.
            return False
        connection.work = 0
        self._delivering = True
        try:
            currentBatch.run(self._deliver)
        except Exception:
            connection.handlerFailed(Failure())
            return False
        finally:
            self._delivering = False
        if self._first or self._groups or self.isBlocked:
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
            result = receive(item)
            connection.work += len(item) if type(item) is list else 1
            if result is not None:
                connection.handlerReturned(result)

    def deliverNow(self, *, drop: bool) -> None:
        """
        Deliver the buffered items, even if delivery is blocked, and discard the buffer. If the
        connection is paused or closing, or the buffer is held, the items are dropped instead.
        A protocol whose C{connectionLost} cannot be delayed calls this method when the
        connection is lost.

        @param drop: whether to drop the items without delivering them.
        """
        connection = self._connection
        self._blocked = False
        self._end = _nothing
        while not (drop or connection.paused or connection.disconnecting or self.holds):
            if self._turn is not None:
                self._turn.cancel()
                self._turn = None
            connection.reading = True
            if self.deliver() or self._turn is None:
                break
        self.discard()
        connection.receiveBuffer = None

    def holdEnd(self, notify: Callable[[], object], reason: Failure) -> None:
        """
        Delay the notification that the connection is lost until the buffer is empty, but at
        most for L{LATE_END_TIMEOUT} seconds. If the connection was not closed cleanly while the
        buffer is held, the items are dropped, and the protocol is notified immediately, so that
        it can cancel its handler.

        @param notify: notifies the protocol.
        @param reason: why the connection is lost.
        """
        self._end = notify
        if self.holds and reason.check(ConnectionDone) is None:
            self.finish()
            return
        self._blocked = False
        self._timer = self._clock.callLater(LATE_END_TIMEOUT, self._timedOut)
        if self._turn is None and not self._connection.paused:
            self._connection.readAgain()

    def _timedOut(self) -> None:
        self.log.warn(
            "{peer} closed: the application left data unread for {seconds:g} s",
            peer=self._connection.getPeer(),
            seconds=LATE_END_TIMEOUT,
        )
        self.finish()

    def discardSoon(self) -> None:
        """
        Drop the items, and notify the protocol in the next reactor iteration.
        """
        self.discard()
        self._blocked = True
        self._connection.reading = False
        self._timer = self._clock.callLater(0, self.finish)

    def finish(self) -> None:
        """
        Drop the items, and notify the protocol if the connection is lost.
        """
        self.discard()
        end, self._end = self._end, None
        self._connection.receiveBuffer = None
        if end is not None:
            end()

    def items(self) -> list[tuple[Callable[[Any], object], Any]]:
        """
        Return the held items in order, each item with the method that processes it.
        """
        return [(method, item) for method, items in (*self._first, *self._groups) for item in items]

    def discard(self) -> None:
        """
        Drop the items, and cancel the timers.
        """
        self._first.clear()
        self._groups.clear()
        self._blocked = False
        self.holds = 0
        for call in (self._turn, self._timer):
            if call is not None and call.active():
                call.cancel()
        self._turn = self._timer = None
