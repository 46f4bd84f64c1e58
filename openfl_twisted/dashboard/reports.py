"""
The state of a server for another process: the answers of a worker to the questions of
its supervisor, as values for JSON. The supervisor merges them, see
L{openfl_twisted.dashboard.merging}.
"""

from collections.abc import Callable
from typing import Any

from openfl_twisted.dashboard.status import Monitored
from openfl_twisted.dashboard.streams import (
    GONE,
    MAX_STREAMS,
    DashboardError,
    DashboardState,
    MessageMonitor,
)


class ServerReports:
    """
    Answers the questions of a supervisor about a server, and executes the commands of its
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
        Return the answers.

        @return: a function for each question. They can raise L{DashboardError}.
        """
        return {
            "metrics": self.metrics,
            "state": self.state,
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
        # Only --metrics requires prometheus-client.
        from openfl_twisted.dashboard.metrics import registryOf, report

        if self._collect is None:
            self._collect = registryOf(self._service).collect
        return report(self._collect())

    def state(self, find: str) -> dict[str, Any]:
        """
        Return the state of the server.

        @param find: see L{DashboardState.describe}.
        @return: see there.
        """
        return self._state.describe(find)

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
        Collect the messages of a client.

        @param stream: a number for L{messages} and L{unmonitor}.
        @param id: the number of the client's connection.
        @raise DashboardError: if there is no such client, it has no messages, or
            there are L{MAX_STREAMS} monitors already.
        """
        if len(self._monitors) >= MAX_STREAMS:
            raise DashboardError(503, f"the limit of {MAX_STREAMS} streams is reached")
        self._monitors[stream] = self._state.monitors.open(id)

    def messages(self, stream: int) -> list[Any]:
        """
        Return the messages that were collected since the last question.

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
        Collect no more messages.

        @param stream: see L{monitor}; an unknown number is ignored.
        """
        monitor = self._monitors.pop(stream, None)
        if monitor is not None:
            monitor.close()
