"""
Streams of Server-Sent Events for the dashboard.

Events are sent at a fixed interval. Events that a slow browser cannot receive are dropped, not
queued. The next event contains the number of dropped events.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from heapq import nlargest
from importlib.metadata import version
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Cooperator, LoopingCall
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.dashboard.clientlist import DEFAULT_VIEW, ClientList, View
from openfl_twisted.dashboard.history import SAMPLING, History
from openfl_twisted.dashboard.status import Monitored, ServerStatus, brokerCounters
from openfl_twisted.dashboard.vitals import Vitals
from openfl_twisted.logs import packageLogger
from openfl_twisted.transports.blocklist import Block, BlockList
from openfl_twisted.transports.guard import GuardedConnection
from openfl_twisted.transports.tap import Tap
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.dialects import Dialect
from openfl_twisted.wire.messages import MAX_LENGTH

_T = TypeVar("_T")
_log = packageLogger()

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

MAX_EXPORTED = 1000
"""
Maximum number of clients, and of rooms, of one process in an export.
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

NO_ROOM = "this room does not exist"
"""
The text of the error for an unknown room.
"""


Describe: TypeAlias = Callable[[View], dict[str, Any] | None]
"""
Describes the state of the server.
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

    def tick(self, describe: Describe) -> None:
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
    A stream of the server's state and history.

    @ivar view: the part of the state.
    """

    def __init__(self, request: Request, state: "DashboardStreams", view: View) -> None:
        super().__init__(request)
        self._state = state
        self.view = view
        # Number of samples that were sent or have been dropped.
        self._samples = 0

    def sendHistory(self) -> None:
        """
        Send the samples that were added to the history since the last call.
        """
        history = self._state.history
        if history.count > self._samples:
            samples = history.since(self._samples)
            self._samples = history.count
            self.send("history", interval=SAMPLING, samples=samples)

    def tick(self, describe: Describe) -> None:
        if not self.ready:
            self.missed += 1
            self._state.missed += 1
            return
        self.sendHistory()
        state = describe(self.view)
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

    def tick(self, describe: Describe) -> None:
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
    @ivar vitals: the health of this process.
    @ivar history: the samples of the last hour.
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
        self._sending = Cooperator(lambda: lambda: True, lambda do: self.clock.callLater(0, do))
        self.vitals = Vitals(self.clock)
        self.history = History()
        self._sampling = LoopingCall(self.sample)
        self._sampling.clock = self.clock

    @property
    def streams(self) -> int:
        """
        Number of streams.
        """
        return len(self._streams)

    # Subclasses must override these methods.

    def sample(self) -> Any:
        """
        Add a sample to the history.

        @return: C{None}, or a C{Deferred} that fires when the sample was added.
        """
        raise NotImplementedError

    def describe(self, view: View = DEFAULT_VIEW) -> dict[str, Any] | None:
        """
        Describe the state of the server.

        @param view: filter and order of the clients, and the room whose members are shown.
        @return: a value for JSON, see L{DashboardState.describe}; C{None} if the state is not
            known yet.
        """
        raise NotImplementedError

    def describeAll(self, view: View) -> Any:
        """
        Describe the state of the server for an export, with at most L{MAX_EXPORTED} clients and
        rooms of each process.

        @param view: filter and order of the clients.
        @return: a value for JSON, or a C{Deferred} that fires with it; see L{describe}.
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

    def closeRoom(self, room: str, reason: str) -> Any:
        """
        Close a room, and notify its members.

        @param room: the name of the room.
        @param reason: the reason for the members.
        @return: the number of members, or a C{Deferred} that fires with this number.
        @raise DashboardError: if the room does not exist.
        """
        raise NotImplementedError

    # History

    def start(self) -> None:
        """
        Start taking a sample every L{SAMPLING} seconds, and measuring the lag.
        """
        self.vitals.start()
        if not self._sampling.running:
            self._sampling.start(SAMPLING, now=False)

    def export(self, view: View) -> Deferred[dict[str, Any]]:
        """
        Return the state of the server and its history.

        @param view: see L{describeAll}.
        @return: fires with a value for JSON.
        """

        def addHistory(state: dict[str, Any]) -> dict[str, Any]:
            history = {"interval": SAMPLING, "samples": self.history.since(0)}
            return {**state, "history": history}

        return maybeDeferred(self.describeAll, view).addCallback(addHistory)

    # Streams

    def showState(self, request: Request, view: View = DEFAULT_VIEW) -> None:
        """
        Respond to a request with a stream of the state.

        @param request: the request; it is finished when the stream ends.
        @param view: see L{describe}.
        @raise DashboardError: if there are L{MAX_STREAMS} streams already.
        """
        stream = self.begin(request, partial(_StateStream, request, self, view))
        stream.sendHistory()

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

    def views(self) -> set[View]:
        """
        Return the views of all streams of the state.
        """
        return {stream.view for stream in self._streams if isinstance(stream, _StateStream)}

    def tick(self) -> None:
        """
        Called once per L{_INTERVAL}: let each stream send an event, one in each reactor iteration.
        """
        # Streams with equal views share one description of the state.
        describe = cache(self.describe)

        def send() -> Iterator[None]:
            for stream in list(self._streams):
                if stream in self._streams:
                    stream.tick(describe)
                    yield

        sent = self._sending.coiterate(send())
        sent.addErrback(lambda reason: _log.failure("cannot send the state", reason))

    def close(self) -> None:
        """
        End all streams, and take no more samples.
        """
        self.vitals.stop()
        if self._sampling.running:
            self._sampling.stop()
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
        self._clients = ClientList(lambda: self.server.guard, self.clock)
        self._version = version("openfl-twisted")

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

    def closeRoom(self, room: str, reason: str) -> int:
        lobby = self.server.service.lobby
        found = None if lobby is None else lobby.rooms.get(room)
        if lobby is None or found is None:
            raise DashboardError(404, NO_ROOM)
        return lobby.closeRoom(found, reason)

    # History

    def sample(self) -> None:
        self.history.add(self.clock.seconds(), {0: self.counters()}, {0})

    def counters(self) -> dict[str, Any]:
        """
        Return the counters of a sample.

        @return: a value for JSON: C{clients}, the number of clients; C{totals}, the numbers of
            messages and bytes received and sent since the start of the process; and the C{lag}.
        """
        guard = self.server.guard
        return {
            "clients": guard.connections,
            "totals": [*(self.server.messages or (0, 0)), *self._bytes()],
            "lag": self.vitals.lag,
        }

    def _bytes(self) -> list[int]:
        traffic = self.server.guard.totalTraffic()
        return [traffic.bytesIn, traffic.bytesOut]

    # The state as JSON

    def describe(self, view: View = DEFAULT_VIEW, most: int = MAX_SHOWN) -> dict[str, Any] | None:
        """
        Describe the state of the server.

        @param view: filter and order of the clients, and the room whose members are shown.
        @param most: maximum number of clients, and of rooms.
        @return: a value for JSON: the first clients in the order of the view, and C{found}, the
            number of clients that match the filter; the counters of the guard, with C{refusals}
            and C{cuts} by reason; C{bytes} and C{messages} as two numbers each, received and
            sent; C{rooms} and C{broker}; the C{room} of the view, with its members; whether the
            server is C{recording}; the C{blocked} addresses, see L{describeBlocks}; and the
            C{server}. The value is C{None} for a feature that
            the server does not have. Times are in seconds. C{None} if the server is large, and
            its clients have not been read yet, see L{refresh}.
        """
        guard = self.server.guard
        rows = self._clients.rows()
        if rows is None:
            return None
        clients, count = self._clients.select(rows, view, most)
        messages, recorder = self.server.messages, self.server.recorder
        refusals, cuts = self.server.refusals, self.server.cut
        return {
            "time": self.clock.seconds(),
            "server": self._server(),
            "clients": clients,
            "found": count,
            "connected": guard.connections,
            "limit": guard.maxConnections,
            "opened": guard.opened,
            "refused": sum(refusals.values()),
            "refusals": refusals,
            "cut": sum(cuts.values()),
            "cuts": cuts,
            "waiting": sum(row.waiting for row in rows),
            "bytes": self._bytes(),
            "messages": messages,
            "speaks": hasattr(self.server.served, "broadcast"),
            "missedByAll": self.missed,
            "rooms": self._rooms(most),
            "room": self._members(view.room, rows),
            "broker": self._broker(),
            "recording": recorder is not None and not recorder.isStopped,
            "blocked": self.describeBlocks(),
        }

    def describeAll(self, view: View) -> Any:
        return self.refresh().addCallback(lambda _: self.describe(view, MAX_EXPORTED))

    def refresh(self) -> Deferred[None]:
        """
        Read the clients of a large server again.

        @return: fires when L{describe} returns the state.
        """
        return self._clients.refresh()

    def showState(self, request: Request, view: View = DEFAULT_VIEW) -> None:
        super().showState(request, view)
        # Read the clients now, so that they are available for the first event.
        self.refresh()

    def tick(self) -> None:
        super().tick()
        if self.views():
            self.refresh()

    def close(self) -> None:
        super().close()
        self._clients.stop()

    def _server(self) -> dict[str, Any]:
        return {
            "name": self.server.name,
            "version": self._version,
            "ports": self.server.ports,
            "draining": self.server.isDraining,
            "uptime": self.vitals.uptime,
            "lag": self.vitals.lag,
            "memory": self.vitals.memory,
        }

    def _rooms(self, most: int) -> dict[str, Any] | None:
        lobby = self.server.service.lobby
        if lobby is None:
            return None
        largest = nlargest(most, lobby.rooms.values(), key=lambda room: len(room.members))
        return {
            "rooms": len(lobby.rooms),
            "members": lobby.members,
            "lost": lobby.lost,
            "shown": [[room.name, len(room.members)] for room in largest],
        }

    def _members(self, name: str, rows: Sequence[Any]) -> dict[str, Any] | None:
        lobby = self.server.service.lobby
        room = None if lobby is None else lobby.rooms.get(name)
        if room is None:
            return None
        numbers = {id(row.owner): row.connection.id for row in rows}
        return {
            "name": name,
            "count": len(room.members),
            "members": [
                {
                    "name": member.name,
                    "client": numbers.get(id(member.recipient)) if member.connected else None,
                }
                for member in islice(room.members.values(), MAX_SHOWN)
            ],
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
