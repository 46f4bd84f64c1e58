"""
Streams of Server-Sent Events for the dashboard.

Events are sent at a fixed interval. Events that a slow browser cannot receive are
dropped, not queued. The next event contains the number of dropped ones.
"""

import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any

from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.dashboard.status import Monitored, ServerStatus, brokerCounters
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.transports.connectioninfo import ConnectionInfo
from openfl_twisted.transports.guard import GuardedConnection

INTERVAL = 0.5
"""
Seconds between two events.
"""

MAX_STREAMS = 16
"""
Maximum number of concurrent streams.
"""

MAX_SHOWN = 200
"""
Maximum number of clients, and of rooms, in an event.
"""

MAX_MESSAGES = 100
"""
Maximum number of messages in an event.
"""

MAX_TEXT = 1000
"""
Maximum number of characters shown of a message.
"""


class DashboardError(Exception):
    """
    A request to the dashboard failed. The text says why.

    @ivar status: the HTTP status.
    """

    def __init__(self, status: int, text: str) -> None:
        """
        @param status: the HTTP status of the response (400 or higher).
        @param text: the reason; it is sent to the browser.
        """
        super().__init__(text)
        self.status = status


@implementer(IPushProducer)
class _EventStream:
    """
    A stream of events. Base class of the streams.

    @ivar missed: number of events and messages dropped since the last event.
    """

    def __init__(self, request: Request) -> None:
        self.missed = 0
        self._request = request
        self._full = False
        request.setHeader("Content-Type", "text/event-stream; charset=utf-8")
        request.registerProducer(self, True)

    @property
    def ready(self) -> bool:
        """
        Whether an event can be sent now.
        """
        return not self._full

    def send(self, event: str, **data: Any) -> None:
        """
        Send an event.
        """
        data["missed"], self.missed = self.missed, 0
        # JSON contains no line breaks, and non-ASCII characters are escaped.
        self._request.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode("ascii"))

    def tick(self, describe: Callable[[str], dict[str, Any]]) -> None:
        """
        Send an event if there is something new. Subclasses must override this
        method.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """
        End the stream on the server's side.
        """
        self._request.unregisterProducer()
        self._request.finish()

    def ended(self) -> None:
        """
        Called when the stream has ended on either side.
        """

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False

    def stopProducing(self) -> None:
        self._full = True


class _StateStream(_EventStream):
    def __init__(self, request: Request, state: "DashboardState", find: str) -> None:
        super().__init__(request)
        self._state = state
        self._find = find.lower()

    def tick(self, describe: Callable[[str], dict[str, Any]]) -> None:
        if not self.ready:
            self.missed += 1
            self._state.missed += 1
            return
        self.send("state", **describe(self._find))


class _MessageStream(_EventStream):
    """
    The stream of a client's messages.
    """

    def __init__(
        self, request: Request, state: "DashboardState", connection: GuardedConnection
    ) -> None:
        super().__init__(request)
        self.connection = connection
        self._state = state
        self._messages: list[dict[str, Any]] = []

    def addMessage(self, way: str, text: str) -> None:
        """
        Add a message to the next event.

        @param way: C{"in"} if the server received the message, C{"out"} if it sent
            it.
        @param text: the message; L{MAX_TEXT} characters are shown. It is dropped if
            the event has L{MAX_MESSAGES} already.
        """
        if len(self._messages) >= MAX_MESSAGES:
            self.missed += 1
            self._state.missed += 1
        else:
            shown = {"way": way, "text": text[:MAX_TEXT], "length": len(text)}
            self._messages.append(shown)

    def tick(self, describe: Callable[[str], dict[str, Any]]) -> None:
        if not self.ready:
            return
        if self._messages or self.missed:
            messages, self._messages = self._messages, []
            self.send("messages", messages=messages)
        if self.connection.lost:
            self.send("gone")
            self.finish()

    def ended(self) -> None:
        self._state.untap(self)


class DashboardState:
    """
    The streams of a dashboard, and the state that they show.

    @ivar server: the status of the server.
    @ivar missed: number of events and messages dropped because a browser was too
        slow.
    @ivar clock: the C{IReactorTime} provider.
    """

    def __init__(self, service: Monitored, clock: IReactorTime | None = None) -> None:
        """
        @param service: the server.
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        self.server = ServerStatus(service)
        self.missed = 0
        self.clock = clockOrReactor(clock)
        self._streams: list[_EventStream] = []
        self._taps: dict[int, list[_MessageStream]] = {}
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = self.clock

    @property
    def streams(self) -> int:
        """
        Number of streams.
        """
        return len(self._streams)

    # Streams

    def showState(self, request: Request, find: str = "") -> None:
        """
        Respond to a request with a stream of the state.

        @param request: the request; it is finished when the stream ends.
        @param find: text to find in the address, the name, the room or the type of
            the clients to show (case-insensitive; empty for all).
        @raise DashboardError: if there are L{MAX_STREAMS} already.
        """
        self._begin(request, partial(_StateStream, request, self, find))

    def showMessages(self, request: Request, id: int) -> None:
        """
        Respond to a request with a stream of a client's messages.

        @param request: the request; it is finished when the stream ends.
        @param id: the number of the client's connection.
        @raise DashboardError: if there is no such client, it has no messages, or
            there are L{MAX_STREAMS} already.
        """
        connection = self.server.guard.find(id)
        if connection is None:
            raise DashboardError(404, "this client is no longer connected")
        protocol = connection.top.owner
        taps = self._taps.get(id)
        if not isinstance(protocol, XMLSocketProtocol):
            raise DashboardError(
                409, "this client does not use XMLSocket, so it has no messages to show"
            )
        if not taps and protocol.tap is not None:
            raise DashboardError(
                409, "the application has already set XMLSocketProtocol.tap for this client"
            )
        stream = self._begin(request, partial(_MessageStream, request, self, connection))
        if taps:
            taps.append(stream)
            return
        taps = self._taps[id] = [stream]

        def tap(way: str, text: str) -> None:
            for each in taps:
                each.addMessage(way, text)

        protocol.tap = tap

    def untap(self, stream: _MessageStream) -> None:
        """
        Remove a stream of messages. After the last one of a client, its messages
        are no longer tapped.

        @param stream: the stream that has ended.
        """
        id = stream.connection.id
        self._taps[id].remove(stream)
        if not self._taps[id]:
            del self._taps[id]
            protocol = stream.connection.top.owner
            # A lost connection may no longer have a wrapped protocol.
            if isinstance(protocol, XMLSocketProtocol):
                protocol.tap = None

    def _begin(self, request: Request, make: Callable[[], Any]) -> Any:
        if len(self._streams) >= MAX_STREAMS:
            raise DashboardError(503, f"the limit of {MAX_STREAMS} streams is reached")
        stream = make()
        self._streams.append(stream)
        request.notifyFinish().addBoth(partial(self._ended, stream))
        if not self._ticking.running:
            self._ticking.start(INTERVAL, now=False)
        # This also sends the header of the response.
        stream.send("begin")
        return stream

    def _ended(self, stream: _EventStream, result: Failure | None) -> None:
        self._streams.remove(stream)
        stream.ended()
        if not self._streams and self._ticking.running:
            self._ticking.stop()

    def _tick(self) -> None:
        # Streams with equal filters share the result.
        describe = cache(self.describe)
        for stream in list(self._streams):
            stream.tick(describe)

    def close(self) -> None:
        """
        End all streams.
        """
        for stream in list(self._streams):
            stream.finish()

    # The state as JSON

    def describe(self, find: str = "") -> dict[str, Any]:
        """
        Describe the state of the server.

        @param find: text to find in the address, the name, the room or the type of
            the clients to show (case-insensitive; empty for all).
        @return: a value for JSON: the latest L{MAX_SHOWN} matching clients, latest
            first, and their total number; the counters of the guard; C{bytes} and
            C{messages} as two numbers each, received and sent; C{rooms} and
            C{broker}. Parts that the server does not have are C{None}. Times are in
            seconds.
        """
        guard = self.server.guard
        if find:
            found = [client for client in guard.clients() if find in _searchText(client)]
            count = len(found)
        else:
            # Describing all clients would be expensive.
            found, count = guard.clients(MAX_SHOWN), guard.connections
        traffic = guard.traffic().values()
        messages = self.server.messages
        return {
            "time": self.clock.seconds(),
            "clients": [_shown(client) for client in found[: -MAX_SHOWN - 1 : -1]],
            "found": count,
            "connected": guard.connections,
            "limit": guard.maxConnections,
            "opened": guard.opened,
            "refused": sum(self.server.refusals.values()),
            "cut": sum(self.server.cut.values()),
            "waiting": guard.waiting(),
            "bytes": [sum(t.bytesIn for t in traffic), sum(t.bytesOut for t in traffic)],
            "messages": messages,
            "speaks": hasattr(self.server.served, "broadcast"),
            "missedByAll": self.missed,
            "rooms": self._rooms(),
            "broker": self._broker(),
        }

    def _rooms(self) -> dict[str, Any] | None:
        lobby = self.server.service.lobby
        if lobby is None:
            return None
        most = sorted(lobby.rooms.items(), key=lambda item: -len(item[1].members))
        return {
            "rooms": len(lobby.rooms),
            "members": lobby.members,
            "lost": lobby.lost,
            "shown": [[name, len(room.members)] for name, room in most[:MAX_SHOWN]],
        }

    def _broker(self) -> dict[str, Any] | None:
        pubSub = self.server.service.pubSub
        if pubSub is None:
            return None
        return {
            "state": pubSub.state.value,
            "description": pubSub.description,
            "problem": pubSub.problem,
            "waiting": pubSub.waiting,
            **brokerCounters(pubSub),
        }


def _shown(client: ConnectionInfo) -> dict[str, Any]:
    values = {**vars(client)}
    labels = values.pop("labels")
    return {**values, "name": labels.get("name"), "room": labels.get("room")}


def _searchText(client: ConnectionInfo) -> str:
    return "\n".join([client.address, client.kind, *client.labels.values()]).lower()
