"""
Streams of Server-Sent Events for the dashboard.

Events are sent at a fixed interval. Events that a slow browser cannot receive are dropped, not
queued. The next event contains the number of dropped events.
"""

import json
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar

from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.dashboard.status import Monitored, ServerStatus, brokerCounters
from openfl_twisted.transports.blocklist import Block, BlockList
from openfl_twisted.transports.connectioninfo import ConnectionInfo
from openfl_twisted.transports.guard import GuardedConnection
from openfl_twisted.transports.tap import Tap
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.dialects import Dialect
from openfl_twisted.wire.messages import MAX_LENGTH

_T = TypeVar("_T")

_INTERVAL = 0.5
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

_MAX_MESSAGES = 100
"""
Maximum number of messages in an event.
"""

_MAX_TEXT = 1000
"""
Maximum number of characters of a message that are shown.
"""


GONE = "this client is no longer connected"
"""
The text of the error for an unknown client.
"""


class DashboardError(Exception):
    """
    A request to the dashboard failed. The text of the exception is the reason.

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
    Base class of the streams of events.

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

    def tick(self, describe: Callable[[str], dict[str, Any] | None]) -> None:
        """
        Send an event if there is new data. Subclasses must override this method.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """
        Complete the HTTP response, which ends the stream.
        """
        self._request.unregisterProducer()
        self._request.finish()

    def ended(self) -> None:
        """
        Called when the server or the browser has ended the stream.
        """

    def pauseProducing(self) -> None:
        self._full = True

    def resumeProducing(self) -> None:
        self._full = False

    def stopProducing(self) -> None:
        self._full = True


class _StateStream(_EventStream):
    """
    A stream of the server's state.

    @ivar find: the filter of the clients, in lower case.
    """

    def __init__(self, request: Request, state: "DashboardStreams", find: str) -> None:
        super().__init__(request)
        self._state = state
        self.find = find.lower()

    def tick(self, describe: Callable[[str], dict[str, Any] | None]) -> None:
        if not self.ready:
            self.missed += 1
            self._state.missed += 1
            return
        state = describe(self.find)
        if state is not None:
            self.send("state", **state)


class MessageStream(_EventStream):
    """
    A stream of a client's messages. Subclasses fetch the messages.
    """

    def __init__(self, request: Request, state: "DashboardStreams") -> None:
        """
        @param request: the request of the stream.
        @param state: the streams to which this stream belongs; counts the dropped messages.
        """
        super().__init__(request)
        self._state = state

    def take(self, messages: list[dict[str, Any]], missed: int, lost: bool) -> None:
        """
        Send an event with new messages, if there are any. End the stream if the client's
        connection is lost.

        @param messages: the messages since the last event.
        @param missed: number of messages dropped since the last event.
        @param lost: whether the client's connection is lost.
        """
        self.missed += missed
        self._state.missed += missed
        if messages or self.missed:
            self.send("messages", messages=messages)
        if lost:
            self.send("gone")
            self.finish()


class _MonitorStream(MessageStream):
    """
    The stream of the messages that a monitor collects.
    """

    def __init__(
        self, request: Request, state: "DashboardStreams", monitor: "MessageMonitor"
    ) -> None:
        super().__init__(request, state)
        self._monitor = monitor

    def tick(self, describe: Callable[[str], dict[str, Any] | None]) -> None:
        if self.ready:
            self.take(*self._monitor.take())

    def ended(self) -> None:
        self._monitor.close()


class MessageMonitor:
    """
    Collects the messages of a client until they are taken. It is an
    L{Observer<openfl_twisted.transports.tap.Observer>} of the client's connection.
    """

    def __init__(self, connection: GuardedConnection, dialect: Dialect) -> None:
        """
        @param connection: the connection of the client.
        @param dialect: divides the data into messages, and shows them.
        """
        self.connection = connection
        self._dialect = dialect
        self._cutters = {"in": dialect.cutter(), "out": dialect.cutter()}
        self._messages: list[dict[str, Any]] = []
        self._missed = 0
        self._tap = Tap.attach(connection.top, self)

    def received(self, data: bytes) -> None:
        self._add("in", data)

    def written(self, data: bytes) -> None:
        self._add("out", data)

    def ended(self, byPeer: bool, isLost: bool) -> None:
        """
        Show the incomplete messages.
        """
        for way, cutter in self._cutters.items():
            self._show(way, self._dialect.split(cutter.rest()))

    def _add(self, way: str, data: bytes) -> None:
        cutter = self._cutters[way]
        self._show(way, self._dialect.split(cutter.feed(data)))
        if cutter.pending > MAX_LENGTH:
            # The message is too long for the server, or is not one of this dialect.
            self._show(way, [cutter.rest()])

    def _show(self, way: str, messages: list[bytes]) -> None:
        """
        Add messages. L{_MAX_TEXT} characters of each are shown. Messages are dropped if
        L{_MAX_MESSAGES} messages are already collected.
        """
        free = max(0, _MAX_MESSAGES - len(self._messages))
        self._missed += max(0, len(messages) - free)
        for message in messages[:free]:
            text = self._dialect.show(message)
            self._messages.append({"way": way, "text": text[:_MAX_TEXT], "length": len(text)})

    def take(self) -> tuple[list[dict[str, Any]], int, bool]:
        """
        Return the collected messages, and remove them.

        @return: the messages, the number of dropped messages, and whether the
            connection is lost.
        """
        messages, self._messages = self._messages, []
        missed, self._missed = self._missed, 0
        return messages, missed, self.connection.lost

    def close(self) -> None:
        """
        Stop collecting.
        """
        self._tap.detach(self)


def monitorClient(server: ServerStatus, id: int) -> MessageMonitor:
    """
    Monitor the messages of a client. A client can have several monitors.

    @param server: the status of the server.
    @param id: the number of the client's connection.
    @return: the monitor; the caller must close it.
    @raise DashboardError: if there is no such client, or its client type is not detected yet.
    """
    connection = server.guard.find(id)
    if connection is None:
        raise DashboardError(404, GONE)
    if connection.top.owner is None:
        raise DashboardError(409, "this client has not sent a message yet")
    return MessageMonitor(connection, server.dialect)


class DashboardStreams:
    """
    The streams of a dashboard. Subclasses provide the state to show, and execute the
    commands.

    @ivar missed: number of events and messages dropped because a browser was too
        slow.
    @ivar clock: the C{IReactorTime} provider.
    """

    def __init__(self, clock: AnyClock | None = None) -> None:
        """
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        self.missed = 0
        self.clock = clockOrReactor(clock)
        self._streams: list[_EventStream] = []
        self._ticking = LoopingCall(self.tick)
        self._ticking.clock = self.clock

    @property
    def streams(self) -> int:
        """
        Number of streams.
        """
        return len(self._streams)

    # Subclasses must override these methods.

    def describe(self, find: str = "") -> dict[str, Any] | None:
        """
        Describe the state of the server.

        @param find: show only the clients whose address, name, room or type contains this text
            (case-insensitive; empty for all clients).
        @return: a value for JSON, see L{DashboardState.describe}; C{None} if the state is not
            known yet.
        """
        raise NotImplementedError

    def showMessages(self, request: Request, id: int) -> None:
        """
        Respond to a request with a stream of a client's messages.

        @param request: the request; it is finished when the stream ends.
        @param id: the number of the client's connection.
        @raise DashboardError: if there is no such client, the client's protocol has no
            messages, or there are L{MAX_STREAMS} streams already.
        """
        raise NotImplementedError

    def kick(self, id: int, reason: str) -> Any:
        """
        Disconnect a client.

        @param id: the number of the client's connection.
        @param reason: the reason, for the log.
        @return: C{None}, or a C{Deferred} that fires when the client is disconnected.
        @raise DashboardError: if there is no such client.
        """
        raise NotImplementedError

    def broadcast(self, text: str) -> Any:
        """
        Send a message to all clients.

        @param text: the message.
        @return: the number of clients, or a C{Deferred} that fires with this number.
        @raise DashboardError: if the server does not send messages.
        """
        raise NotImplementedError

    @property
    def blockList(self) -> BlockList | None:
        """
        The blocked addresses; C{None} if no addresses can be blocked.
        """
        raise NotImplementedError

    # Blocked addresses

    def block(self, address: str, seconds: float, reason: str) -> Block:
        """
        Refuse connections from an address, and disconnect its clients.

        @param address: see L{BlockList.block}.
        @param seconds: the time after which the block expires.
        @param reason: the reason, for the log and the page.
        @return: the block.
        @raise DashboardError: if a parameter is invalid, or no more addresses can be blocked.
        """
        return self._changeBlocks(lambda blocks: blocks.block(address, seconds, reason))

    def unblock(self, address: str) -> None:
        """
        Accept connections from an address again.

        @param address: see L{BlockList.block}.
        @raise DashboardError: if the address is invalid or not blocked.
        """
        if not self._changeBlocks(lambda blocks: blocks.unblock(address)):
            raise DashboardError(404, "this address is not blocked")

    def _changeBlocks(self, change: Callable[[BlockList], _T]) -> _T:
        blocks = self.blockList
        if blocks is None:
            raise DashboardError(409, "this server cannot block addresses")
        try:
            return change(blocks)
        except ValueError as problem:
            raise DashboardError(400, str(problem)) from None

    def describeBlocks(self) -> list[dict[str, Any]] | None:
        """
        Describe the blocked addresses.

        @return: a value for JSON: the fields of each L{Block}; C{None} if no addresses can be
            blocked.
        """
        blocks = self.blockList
        return None if blocks is None else [each._asdict() for each in blocks.blocks()]

    # Streams

    def showState(self, request: Request, find: str = "") -> None:
        """
        Respond to a request with a stream of the state.

        @param request: the request; it is finished when the stream ends.
        @param find: see L{describe}.
        @raise DashboardError: if there are L{MAX_STREAMS} streams already.
        """
        self.begin(request, partial(_StateStream, request, self, find))

    def begin(self, request: Request, make: Callable[[], Any]) -> Any:
        """
        Begin a stream.

        @param request: the request.
        @param make: creates the stream.
        @return: the stream.
        @raise DashboardError: if there are L{MAX_STREAMS} streams already.
        """
        if len(self._streams) >= MAX_STREAMS:
            raise DashboardError(503, f"the limit of {MAX_STREAMS} streams is reached")
        stream = make()
        self._streams.append(stream)
        request.notifyFinish().addBoth(partial(self._ended, stream))
        if not self._ticking.running:
            self._ticking.start(_INTERVAL, now=False)
        # This call also sends the header of the response.
        stream.send("begin")
        return stream

    def _ended(self, stream: _EventStream, result: Failure | None) -> None:
        self._streams.remove(stream)
        stream.ended()
        if not self._streams and self._ticking.running:
            self._ticking.stop()

    def filters(self) -> set[str]:
        """
        Return the filters of all streams of the server's state.

        @return: the strings to find.
        """
        return {stream.find for stream in self._streams if isinstance(stream, _StateStream)}

    def tick(self) -> None:
        """
        Called once per L{_INTERVAL}: let each stream send an event.
        """
        # Streams with equal filters share one description of the state.
        describe = cache(self.describe)
        for stream in list(self._streams):
            stream.tick(describe)

    def close(self) -> None:
        """
        End all streams.
        """
        for stream in list(self._streams):
            stream.finish()


class DashboardState(DashboardStreams):
    """
    The streams of the dashboard for a server that runs in this process.

    @ivar server: the status of the server.
    """

    def __init__(self, service: Monitored, clock: AnyClock | None = None) -> None:
        """
        @param service: the server.
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        super().__init__(clock)
        self.server = ServerStatus(service)

    def showMessages(self, request: Request, id: int) -> None:
        # begin() checks the limit of streams before it creates the monitor, so that no monitor is
        # left open.
        self.begin(request, lambda: _MonitorStream(request, self, self.monitor(id)))

    def monitor(self, id: int) -> MessageMonitor:
        """
        Monitor a client, see L{monitorClient}.

        @param id: the number of the client's connection.
        @return: the monitor; the caller must close it.
        """
        return monitorClient(self.server, id)

    def kick(self, id: int, reason: str) -> None:
        if not self.server.guard.kick(id, reason):
            raise DashboardError(404, GONE)

    def broadcast(self, text: str) -> int:
        served = self.server.served
        if not hasattr(served, "broadcast"):
            raise DashboardError(409, "this server cannot send messages to its clients")
        count = len(served.connections)
        served.broadcast(text)
        return count

    @property
    def blockList(self) -> BlockList | None:
        return self.server.guard.blockList

    # The state as JSON

    def describe(self, find: str = "") -> dict[str, Any]:
        """
        Describe the state of the server.

        @param find: show only the clients whose address, name, room or type contains this text
            (case-insensitive; empty for all clients).
        @return: a value for JSON: the latest L{MAX_SHOWN} matching clients, latest first, and
            their total number; the counters of the guard; C{bytes} and C{messages} as two
            numbers each, received and sent; C{rooms} and C{broker}; whether the server is
            C{recording}; the C{blocked} addresses, see L{describeBlocks}. The value is C{None}
            for a feature that the server does not have. Times are in seconds.
        """
        guard = self.server.guard
        if find:
            found = [client for client in guard.clients() if find in _searchText(client)]
            count = len(found)
        else:
            # Describing all clients would be expensive.
            found, count = guard.clients(MAX_SHOWN), guard.connections
        traffic = guard.traffic().values()
        messages, recorder = self.server.messages, self.server.recorder
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
            "recording": recorder is not None and not recorder.isStopped,
            "blocked": self.describeBlocks(),
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
