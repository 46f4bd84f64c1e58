"""
The state of a server for another process: a worker's responses to the requests from its
supervisor, as values for JSON. The supervisor merges the responses of all workers, see
L{openfl_twisted.dashboard.merging}.
"""

from collections.abc import Callable
from typing import Any

from openfl_twisted.dashboard.clientlist import View
from openfl_twisted.dashboard.status import Monitored
from openfl_twisted.dashboard.streams import (
    GONE,
    MAX_SHOWN,
    MAX_STREAMS,
    DashboardError,
    DashboardState,
    MessageMonitor,
)
from openfl_twisted.transports.blocklist import Block


class ServerReports:
    """
    Answers a supervisor's requests about a server, and executes commands from the supervisor's
    dashboard.
    """

    def __init__(self, service: Monitored, clock: Any = None) -> None:
        """
        @param service: the server.
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        self._service = service
        self._state = DashboardState(service, clock)
        self._monitors: dict[int, MessageMonitor] = {}
        self._collect: Callable[[], Any] | None = None

    def answers(self) -> dict[str, Callable[..., Any]]:
        """
        Return the functions that answer the requests.

        @return: maps the name of each request to the function that answers the request. The
            functions can raise L{DashboardError}.
        """
        return {
            "metrics": self.metrics,
            "state": self.state,
            "blocks": self.blocks,
            "counters": self.counters,
            "closeroom": self.closeRoom,
            "kick": self.kick,
            "broadcast": self.broadcast,
            "monitor": self.monitor,
            "messages": self.messages,
            "unmonitor": self.unmonitor,
        }

    def metrics(self) -> list[Any]:
        """
        Return the metrics of the server and of this process.

        @return: see L{openfl_twisted.dashboard.metrics.report}.
        """
        # Import the module here, because only --metrics requires prometheus-client.
        from openfl_twisted.dashboard.metrics import registryOf, report

        if self._collect is None:
            self._collect = registryOf(self._service).collect
        return report(self._collect())

    def state(self, find: str, sort: str, order: str, room: str, most: int = MAX_SHOWN) -> Any:
        """
        Return the state of the server.

        @param find: see L{View}, as C{sort}, C{order} and C{room}.
        @param most: maximum number of clients, and of rooms.
        @return: a C{Deferred} that fires with the state, see L{DashboardState.describe}.
        """
        self._state.vitals.start()
        view = View(find, sort, order, room)

        def describe(_: object) -> dict[str, Any]:
            # The supervisor has the list of blocked addresses.
            return {**(self._state.describe(view, most) or {}), "blocked": None}

        return self._state.refresh().addCallback(describe)

    def blocks(self, blocks: list[Any]) -> None:
        """
        Replace the list of blocked addresses, and disconnect their clients.

        @param blocks: the fields of each L{Block}.
        """
        blockList = self._state.blockList
        if blockList is not None:
            blockList.replace([Block(*each) for each in blocks])

    def counters(self) -> dict[str, Any]:
        """
        Return the counters of the server.

        @return: see L{DashboardState.counters}.
        """
        self._state.vitals.start()
        return self._state.counters()

    def closeRoom(self, room: str, reason: str) -> int:
        """
        Close a room in this process.

        @param room: the name of the room.
        @param reason: the reason for the members.
        @return: the number of members.
        """
        return self._state.closeRoom(room, reason)

    def kick(self, id: int, reason: str) -> None:
        """
        Disconnect a client.

        @param id: the number of the client's connection.
        @param reason: the reason, for the log.
        """
        self._state.kick(id, reason)

    def broadcast(self, text: str) -> int:
        """
        Send a message to all clients of this process.

        @param text: the message.
        @return: the number of clients.
        """
        return self._state.broadcast(text)

    def monitor(self, stream: int, id: int) -> None:
        """
        Start collecting the messages of a client.

        @param stream: a number for L{messages} and L{unmonitor}.
        @param id: the number of the client's connection.
        @raise DashboardError: see L{monitorClient<openfl_twisted.dashboard.streams.monitorClient>};
            or if there are L{MAX_STREAMS} monitors already.
        """
        if len(self._monitors) >= MAX_STREAMS:
            raise DashboardError(503, f"the limit of {MAX_STREAMS} streams is reached")
        self._monitors[stream] = self._state.monitor(id)

    def messages(self, stream: int) -> list[Any]:
        """
        Return the messages that were collected since the last call.

        @param stream: see L{monitor}.
        @return: see L{MessageMonitor.take}.
        @raise DashboardError: if the number is unknown.
        """
        monitor = self._monitors.get(stream)
        if monitor is None:
            raise DashboardError(404, GONE)
        return list(monitor.take())

    def unmonitor(self, stream: int) -> None:
        """
        Stop collecting the messages of a client.

        @param stream: see L{monitor}; an unknown number is ignored.
        """
        monitor = self._monitors.pop(stream, None)
        if monitor is not None:
            monitor.close()
