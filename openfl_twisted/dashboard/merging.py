"""
Merges the metrics, and the dashboard states, from the processes of one server.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from openfl_twisted.dashboard.clientlist import DEFAULT_VIEW, View, sortKey
from openfl_twisted.dashboard.status import BROKER_COUNTERS
from openfl_twisted.dashboard.streams import MAX_SHOWN
from openfl_twisted.rooms.pubsub import PubSubState

Report: TypeAlias = list[Any]
"""
The metrics of a process, see L{openfl_twisted.dashboard.metrics.report}.
"""


def _sumOfLimits(limits: Sequence[float]) -> float:
    """
    Add limits; 0 means no limit.

    @param limits: the limits.
    @return: the sum; 0 if one of the limits is 0.
    """
    return sum(limits) if all(limits) else 0


_NOT_SUMMED: dict[str, Callable[[Sequence[float]], float]] = {
    "openfl_broker_up": min,
    "openfl_build_info": max,
    "openfl_clients_limit": _sumOfLimits,
    "openfl_event_loop_lag_seconds": max,
    "openfl_tls_certificate_expiry_timestamp_seconds": min,
    "process_max_fds": min,
    "process_start_time_seconds": min,
}
"""
The gauges whose values must not be added, and the functions that merge their values.
"""


def _mergeReports(reports: Iterable[Report]) -> Report:
    """
    Merge the metrics of several processes.

    @param reports: the metrics.
    @return: the metrics with all samples. Values with the same name and labels are added,
        except the gauges in L{_NOT_SUMMED}.
    """
    heads: dict[str, tuple[str, str]] = {}
    found: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], list[float]]] = {}
    for report in reports:
        for name, kind, meaning, samples in report:
            heads.setdefault(name, (kind, meaning))
            values = found.setdefault(name, {})
            for sample, labels, value in samples:
                values.setdefault((sample, tuple(sorted(labels.items()))), []).append(value)
    merged = []
    for name, (kind, meaning) in heads.items():
        merge = _NOT_SUMMED.get(name, sum)
        samples = [
            [sample, dict(labels), merge(values)]
            for (sample, labels), values in found[name].items()
        ]
        merged.append([name, kind, meaning, samples])
    return merged


class MergedMetrics:
    """
    The latest metrics of several processes. The counters and histograms of a process that
    has ended are kept, because their sums must not decrease.
    """

    def __init__(self) -> None:
        self._ended: Report = []
        self._latest: dict[int, Report] = {}

    def update(self, process: int, report: Report) -> None:
        """
        Replace the metrics of a process.

        @param process: the number of the process. Each process has its own number.
        @param report: the metrics of the process.
        """
        self._latest[process] = report

    def end(self, process: int) -> None:
        """
        Drop all metrics of a process except its counters and histograms.

        @param process: the number of the process.
        """
        report = self._latest.pop(process, [])
        kept = [family for family in report if family[1] in ("counter", "histogram")]
        self._ended = _mergeReports([self._ended, kept])

    def merge(self, *others: Report) -> Report:
        """
        Return the metrics of all processes.

        @param others: additional metrics to merge.
        @return: the merged metrics.
        """
        return _mergeReports([*others, *self._latest.values(), self._ended])


def mergeStates(
    states: Sequence[dict[str, Any]], view: View = DEFAULT_VIEW, most: int = MAX_SHOWN
) -> dict[str, Any]:
    """
    Merge the states of several processes for the dashboard.

    @param states: see L{DashboardState.describe
        <openfl_twisted.dashboard.streams.DashboardState.describe>}; at least one state. The
        clients' numbers must be unique.
    @param view: the order of the clients.
    @param most: maximum number of clients, and of rooms.
    @return: the state of the server, without the time and the blocked addresses.
    """
    merged: dict[str, Any] = {
        name: sum(state[name] for state in states)
        for name in ("found", "connected", "opened", "refused", "cut", "waiting", "missedByAll")
    }
    clients = [client for state in states for client in state["clients"]]
    clients.sort(key=lambda client: sortKey(client, view), reverse=view.isDescending)
    messages = [state["messages"] for state in states if state["messages"] is not None]
    return {
        **merged,
        "server": mergeServers([state["server"] for state in states]),
        "clients": clients[:most],
        "refusals": _mergeCounts([state["refusals"] for state in states]),
        "cuts": _mergeCounts([state["cuts"] for state in states]),
        "limit": _sumOfLimits([state["limit"] for state in states]),
        "bytes": _sums([state["bytes"] for state in states]),
        "messages": _sums(messages) if messages else None,
        "speaks": any(state["speaks"] for state in states),
        "recording": any(state["recording"] for state in states),
        "rooms": _mergeRooms([state["rooms"] for state in states if state["rooms"]], most),
        "room": _mergeMembers([state["room"] for state in states if state["room"]]),
        "broker": _mergeBrokers([state["broker"] for state in states if state["broker"]]),
    }


def _sums(pairs: Sequence[Sequence[int]]) -> list[int]:
    return [sum(numbers) for numbers in zip(*pairs, strict=True)]


def _mergeCounts(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    merged: dict[str, int] = {}
    for each in counts:
        for name, count in each.items():
            merged[name] = merged.get(name, 0) + count
    return merged


def mergeServers(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """
    Merge the descriptions of several processes. The lag is that of the slowest process, and the
    memory is the sum.

    @param found: the values of C{server} in the states of the processes; at least one.
    @return: the description of the server.
    """
    memory = [each["memory"] for each in found if each["memory"] is not None]
    return {
        **found[0],
        "ports": list(dict.fromkeys(port for each in found for port in each["ports"])),
        "draining": any(each["draining"] for each in found),
        "uptime": max(each["uptime"] for each in found),
        "lag": max(each["lag"] for each in found),
        "memory": sum(memory) if memory else None,
    }


def _mergeMembers(found: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """
    Merge the members of a room in several processes.
    """
    if not found:
        return None
    members = [member for room in found for member in room["members"]]
    return {
        "name": found[0]["name"],
        "count": sum(room["count"] for room in found),
        "members": members[:MAX_SHOWN],
    }


def _mergeRooms(found: Sequence[dict[str, Any]], limit: int) -> dict[str, Any] | None:
    """
    Merge the states of the rooms in several processes. Rooms with the same name become one
    room.

    @param limit: maximum number of rooms.
    """
    if not found:
        return None
    members: dict[str, int] = {}
    for rooms in found:
        for name, count in rooms["shown"]:
            members[name] = members.get(name, 0) + count
    shown = sum(len(rooms["shown"]) for rooms in found)
    most = sorted(members.items(), key=lambda item: -item[1])
    return {
        "rooms": sum(rooms["rooms"] for rooms in found) - (shown - len(members)),
        "members": sum(rooms["members"] for rooms in found),
        "lost": sum(rooms["lost"] for rooms in found),
        "shown": [list(each) for each in most[:limit]],
    }


def _mergeBrokers(found: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """
    Merge the states of the connections to the broker. If a connection is not up, the result
    has the state and the problem of that connection.
    """
    if not found:
        return None
    worst = min(found, key=lambda broker: broker["state"] == PubSubState.UP.value)
    return {
        **worst,
        **{name: sum(broker[name] for broker in found) for name in ("waiting", *BROKER_COUNTERS)},
    }
