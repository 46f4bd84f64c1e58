"""
The part of a server that a dashboard shows: filter, order, and the opened room.
"""

from collections.abc import Callable, Iterator, Mapping
from heapq import nlargest, nsmallest
from itertools import islice
from operator import attrgetter
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import Cooperator, SchedulerStopped
from twisted.python.failure import Failure

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.connectioninfo import ConnectionInfo, describeConnection
from openfl_twisted.transports.guard import GuardedConnection, GuardFactory

SORTS = (
    "age",
    "address",
    "kind",
    "room",
    "bytesIn",
    "bytesOut",
    "rate",
    "pingTime",
    "waiting",
)
"""
The columns by which the clients can be sorted: names in the state.
"""

ORDERS = ("asc", "desc")
"""
Ascending and descending order.
"""

_PART = 250
"""
Maximum number of clients that are read in one reactor iteration.
"""

_MEASURING = 0.4
"""
Minimum time in which bytes per second are measured (seconds).
"""

_KEPT = 30.0
"""
Time after which the list of a large server is dropped if its clients are not read again (seconds).
"""

_log = packageLogger()


class View(NamedTuple):
    """
    The parameters of a request for the state of the server.

    @ivar find: show only the clients whose address, name, room or type contains this text, in
        lower case; empty for all clients.
    @ivar sort: one of L{SORTS}.
    @ivar order: one of L{ORDERS}.
    @ivar room: the room whose members are shown; empty for none.
    """

    find: str = ""
    sort: str = "age"
    order: str = "asc"
    room: str = ""

    @property
    def isDescending(self) -> bool:
        """
        Whether the clients with the greatest values come first.
        """
        return self.order == "desc"


DEFAULT_VIEW = View()
"""
The newest clients, and no room.
"""


def sortKey(client: Mapping[str, Any], view: View) -> tuple[bool, Any]:
    """
    Return the key of a client for sorting. Clients without a value come last in both orders.

    @param client: a client of the state.
    @param view: the order.
    """
    value = client.get(view.sort)
    if view.sort == "room" and value is not None:
        value = (value, client.get("name") or "")
    return (value is not None) == view.isDescending, value


class _Row:
    """
    The values of a client by which it is found and sorted. They are read again in the same object:
    many new objects would let Python's garbage collector search the whole memory of the server.

    @ivar connection: the record of the client.
    @ivar owner: the protocol of the client.
    @ivar address: the address of the client.
    @ivar kind: the client type.
    @ivar room: the names of the room and of the member; C{None} if the client is in no room.
    @ivar bytesIn: number of bytes received.
    @ivar bytesOut: number of bytes sent.
    @ivar pingTime: the latency; C{None} if it is unknown.
    @ivar waiting: length of the send queue (bytes).
    @ivar text: the text that is searched, in lower case.
    """

    __slots__ = (
        "address",
        "bytesIn",
        "bytesOut",
        "connection",
        "kind",
        "owner",
        "pingTime",
        "room",
        "text",
        "waiting",
    )

    def __init__(self, connection: GuardedConnection) -> None:
        """
        @param connection: the record of the client.
        """
        self.connection = connection
        self.room: tuple[str, str] | None = None

    def read(self) -> None:
        """
        Store the current values of the connection, and of the labels of its owner.
        """
        connection = self.connection
        top = connection.top
        self.owner: Any = top.owner
        labels = {} if self.owner is None else self.owner.labels
        room = (labels["room"], labels.get("name") or "") if "room" in labels else None
        if room != self.room:
            self.room = room
        self.address = describe(top.getPeer())
        self.kind = connection.kind
        self.bytesIn, self.bytesOut = connection.bytesIn, connection.bytesOut
        self.pingTime: float | None = getattr(top, "pingTime", None)
        self.waiting = top.pending
        self.text = "\n".join([self.address, self.kind, *labels.values()]).lower()


class ClientList:
    """
    Selects the clients to show.

    It selects them from a list of the clients that have been read. The clients of a large server
    are read in parts, one in each reactor iteration, so that reading them does not delay the other
    clients. The list of a large server is older than its events, by about one interval.
    """

    def __init__(self, guard: Callable[[], GuardFactory], clock: IReactorTime) -> None:
        """
        @param guard: returns the guard of the connections.
        @param clock: the clock.
        """
        self._guard = guard
        self._clock = clock
        self._rows: list[_Row] | None = None
        self._measured = float("-inf")
        self._totals: dict[int, int] = {}
        self._rates: dict[int, float] = {}
        # Fires when all clients have been read; None while no clients are read.
        self._reading: Deferred[None] | None = None
        self._next = float("-inf")
        self._parts = Cooperator(
            lambda: lambda: True, lambda do: clock.callLater(0, do), started=False
        )
        self._drop: IDelayedCall | None = None

    # Reading

    def refresh(self) -> Deferred[None]:
        """
        Read the clients again, unless they have just been read.

        @return: fires when clients can be selected.
        """
        guard = self._guard()
        if len(guard.protocols) <= _PART or self._clock.seconds() < self._next:
            return succeed(None)
        if self._reading is None:
            self._reading = Deferred()
            self._parts.start()
            done = self._parts.coiterate(self._readParts(guard))
            done.addErrback(self._failed).addCallback(self._finished)
        waiting: Deferred[None] = Deferred()
        self._reading.addCallback(lambda _: waiting.callback(None))
        return waiting

    def _readParts(self, guard: GuardFactory) -> Iterator[None]:
        """
        Read all clients, and yield between two parts.
        """
        began = self._clock.seconds()
        connections = list(guard.protocols)
        known = {row.connection: row for row in self._rows or ()}
        rows: list[_Row] = []
        for start in range(0, len(connections), _PART):
            yield
            for connection in connections[start : start + _PART]:
                if not connection.lost:
                    row = known.get(connection) or _Row(connection)
                    row.read()
                    rows.append(row)
        yield
        self._measure(rows)
        self._rows = rows
        now = self._clock.seconds()
        # Reading takes a fifth of the time at most.
        self._next = now + 4 * (now - began)
        if self._drop is not None:
            self._drop.cancel()
        self._drop = self._clock.callLater(_KEPT, self._forget)

    def _failed(self, reason: Failure) -> None:
        if not reason.check(SchedulerStopped):
            _log.failure("cannot read the clients", reason)

    def _finished(self, _: object) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.callback(None)

    def _forget(self) -> None:
        """
        Drop the list, which refers to closed connections, because no clients are selected.
        """
        self._drop = None
        self._rows = None
        self._next = float("-inf")

    def stop(self) -> None:
        """
        Stop reading, and drop the list.
        """
        self._reading = None
        if self._parts.running:
            self._parts.stop()
        if self._drop is not None:
            self._drop.cancel()
        self._forget()

    # Selecting

    def rows(self) -> list[_Row] | None:
        """
        Return the clients that have been read, oldest first.

        @return: the clients; C{None} if the server is large, and L{refresh} has not read its
            clients yet.
        """
        guard = self._guard()
        if len(guard.protocols) > _PART:
            return self._rows
        rows = [_Row(each) for each in list(guard.protocols)]
        for row in rows:
            row.read()
        self._measure(rows)
        return rows

    def select(self, rows: list[_Row], view: View, most: int) -> tuple[list[Any], int]:
        """
        Select the clients to show.

        @param rows: the clients, see L{rows}.
        @param view: filter and order.
        @param most: maximum number of clients.
        @return: the descriptions of the first clients, as values for JSON, and the number of all
            clients that match the filter.
        """
        now = self._guard().clock.seconds()
        if view.find:
            rows = [row for row in rows if view.find in row.text]
        shown = [
            _shown(describeConnection(row.connection, now))
            for row in self._first(rows, view, most)
            if not row.connection.lost
        ]
        if view.sort == "rate":
            for client in shown:
                client["rate"] = self._rates.get(client["id"], 0.0)
        return shown, len(rows)

    def _first(self, rows: list[_Row], view: View, most: int) -> list[_Row]:
        if view.sort == "age":
            # The oldest connection is the first one.
            return rows[:most] if view.isDescending else rows[: -most - 1 : -1]
        choose = nlargest if view.isDescending else nsmallest
        if view.sort == "rate":
            return choose(most, rows, lambda row: self._rates.get(row.connection.id, 0.0))
        valueOf = attrgetter(view.sort)
        first = choose(most, [row for row in rows if valueOf(row) is not None], valueOf)
        if len(first) < most:
            without = (row for row in rows if valueOf(row) is None)
            first.extend(islice(without, most - len(first)))
        return first

    def _measure(self, rows: list[_Row]) -> None:
        """
        Measure the bytes per second of all clients since the last measurement. Streams with
        different views share the rates of an interval.
        """
        now = self._clock.seconds()
        elapsed = now - self._measured
        if elapsed < _MEASURING:
            return
        before = self._totals
        self._totals = {row.connection.id: row.bytesIn + row.bytesOut for row in rows}
        self._rates = {
            id: (total - before[id]) / elapsed for id, total in self._totals.items() if id in before
        }
        self._measured = now


def _shown(client: ConnectionInfo) -> dict[str, Any]:
    values = {**vars(client)}
    labels = values.pop("labels")
    return {**values, "name": labels.get("name"), "room": labels.get("room")}
