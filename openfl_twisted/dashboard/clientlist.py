"""
The part of a server that a dashboard shows: filter, order, and the opened room.
"""

from collections.abc import Callable, Mapping
from heapq import nlargest, nsmallest
from operator import attrgetter
from typing import Any, NamedTuple

from openfl_twisted.addresses import describe
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


def _labelsOf(connection: GuardedConnection) -> Mapping[str, str]:
    owner = connection.top.owner
    return {} if owner is None else owner.labels


def _addressOf(connection: GuardedConnection) -> str:
    return describe(connection.top.getPeer())


def _roomOf(connection: GuardedConnection) -> tuple[str, str] | None:
    labels = _labelsOf(connection)
    return (labels["room"], labels.get("name") or "") if "room" in labels else None


_VALUES: dict[str, Callable[[GuardedConnection], Any]] = {
    "address": _addressOf,
    "kind": attrgetter("kind"),
    "room": _roomOf,
    "bytesIn": attrgetter("bytesIn"),
    "bytesOut": attrgetter("bytesOut"),
    "pingTime": lambda connection: getattr(connection.top, "pingTime", None),
    "waiting": attrgetter("top.pending"),
}
"""
The values of a connection by which L{sortKey} sorts. They take less time than a description of
the connection.
"""


class ClientList:
    """
    Selects the clients to show.
    """

    def __init__(self) -> None:
        self._measured = float("-inf")
        self._totals: dict[int, int] = {}
        self._rates: dict[int, float] = {}

    def select(self, guard: GuardFactory, view: View, most: int) -> tuple[list[Any], int]:
        """
        Select the clients to show.

        @param guard: the guard of the connections.
        @param view: filter and order.
        @param most: maximum number of clients.
        @return: the descriptions of the first clients, as values for JSON, and the number of all
            clients that match the filter.
        """
        now = guard.clock.seconds()
        found = list(guard.protocols)
        if view.find:
            found = [each for each in found if view.find in _searchText(each)]
        if view.sort == "rate":
            self._measure(guard, now)
        shown = [_shown(describeConnection(each, now)) for each in self._first(found, view, most)]
        if view.sort == "rate":
            for client in shown:
                client["rate"] = self._rates.get(client["id"], 0.0)
        return shown, len(found)

    def _first(
        self, found: list[GuardedConnection], view: View, most: int
    ) -> list[GuardedConnection]:
        if view.sort == "age":
            # The oldest connection is the first one.
            return found[:most] if view.isDescending else found[: -most - 1 : -1]
        valueOf = _VALUES.get(view.sort, self._rateOf)

        def key(connection: GuardedConnection) -> tuple[bool, Any]:
            value = valueOf(connection)
            return (value is not None) == view.isDescending, value

        choose = nlargest if view.isDescending else nsmallest
        return choose(most, found, key)

    def _rateOf(self, connection: GuardedConnection) -> float:
        return self._rates.get(connection.id, 0.0)

    def _measure(self, guard: GuardFactory, now: float) -> None:
        """
        Measure the bytes per second of all clients since the last call, once for each point in
        time.
        """
        elapsed = now - self._measured
        if elapsed <= 0:
            return
        before = self._totals
        self._totals = {each.id: each.bytesIn + each.bytesOut for each in list(guard.protocols)}
        self._rates = {
            id: (total - before[id]) / elapsed for id, total in self._totals.items() if id in before
        }
        self._measured = now


def _shown(client: ConnectionInfo) -> dict[str, Any]:
    values = {**vars(client)}
    labels = values.pop("labels")
    return {**values, "name": labels.get("name"), "room": labels.get("room")}


def _searchText(connection: GuardedConnection) -> str:
    labels = _labelsOf(connection).values()
    return "\n".join([_addressOf(connection), connection.kind, *labels]).lower()
