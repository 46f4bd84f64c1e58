"""
Who looks at a server: what is sent to them, and how much at most.

Each of them gets a stream of events (Server-Sent Events), a few in a second.
Nothing is kept for one who does not read: he misses it, and is told how much.
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
from openfl_twisted.dashboard.status import Overview, Watched, countsOf
from openfl_twisted.protocols.clients import innermost
from openfl_twisted.protocols.guardedconnection import GuardedConnection
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol

INTERVAL = 0.5
"""
After so many seconds there is the next event.
"""

MAX_WATCHERS = 16
"""
How many streams there are at once.
"""

MAX_SHOWN = 200
"""
How many clients, and how many rooms, an event shows.
"""

MAX_MESSAGES = 100
"""
How many messages of one client an event has at most.
"""

MAX_TEXT = 1000
"""
How many characters of a message are shown.
"""


class WatchError(Exception):
    """
    Something cannot be shown or done. The text says why, for people.

    @ivar status: the same as a status of HTTP.
    """

    def __init__(self, status: int, text: str) -> None:
        """
        @param status: what the browser gets as the status of the answer: 400 and
            more.
        @param text: why, for people; the browser gets it too.
        """
        super().__init__(text)
        self.status = status


@implementer(IPushProducer)
class Stream:
    """
    The events for one who looks on.

    @ivar missed: how much could not be sent since the last event that could.
    """

    def __init__(self, request: Request) -> None:
        """
        @param request: the request for the events.
        """
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

        @param event: its name, which the script of the page knows.
        @param data: what it says, for JSON. C{missed} is put beside it.
        """
        data["missed"], self.missed = self.missed, 0
        # In JSON there is no line break, and all that is not ASCII is escaped.
        self._request.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode("ascii"))

    def tick(self, describe: Callable[[str], dict[str, Any]]) -> None:
        """
        Send what is new; override this.

        @param describe: L{Watch.describe}, which all streams share.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """
        End the stream.
        """
        self._request.unregisterProducer()
        self._request.finish()

    def ended(self) -> None:
        """
        Know that the stream has ended, whoever has ended it.
        """

    def pauseProducing(self) -> None:
        """
        Send nothing, since it is not read.
        """
        self._full = True

    def resumeProducing(self) -> None:
        """
        Send again.
        """
        self._full = False

    def stopProducing(self) -> None:
        """
        Send nothing any more.
        """
        self._full = True


class StateStream(Stream):
    """
    Shows who is connected, and how much there is of everything.
    """

    def __init__(self, request: Request, watch: "Watch", find: str) -> None:
        """
        @param request: the request for the events.
        @param watch: counts what is missed by all.
        @param find: of the clients only those are shown in whose address, name,
            room or kind this is.
        """
        super().__init__(request)
        self._watch = watch
        self._find = find.lower()

    def tick(self, describe: Callable[[str], dict[str, Any]]) -> None:
        """
        Show it as it is now.
        """
        if not self.ready:
            self.missed += 1
            self._watch.missed += 1
            return
        self.send("state", **describe(self._find))


class MessageStream(Stream):
    """
    Shows the messages of one client.
    """

    def __init__(self, request: Request, watch: "Watch", connection: GuardedConnection) -> None:
        """
        @param request: the request for the events.
        @param watch: counts what is missed by all, and hears of the end.
        @param connection: whose messages they are; the stream ends with it.
        """
        super().__init__(request)
        self.connection = connection
        self._watch = watch
        self._messages: list[dict[str, Any]] = []

    def heard(self, way: str, text: str) -> None:
        """
        Take a message, for the next event.

        @param way: C{"in"} or C{"out"}, as seen from this server.
        @param text: the message, of which L{MAX_TEXT} characters are shown. It
            is missed if L{MAX_MESSAGES} wait already.
        """
        if len(self._messages) >= MAX_MESSAGES:
            self.missed += 1
            self._watch.missed += 1
        else:
            shown = {"way": way, "text": text[:MAX_TEXT], "length": len(text)}
            self._messages.append(shown)

    def tick(self, describe: Callable[[str], dict[str, Any]]) -> None:
        """
        Show the messages since the last time; and the end.
        """
        if not self.ready:
            return
        if self._messages or self.missed:
            messages, self._messages = self._messages, []
            self.send("messages", messages=messages)
        if self.connection.lost:
            self.send("gone")
            self.finish()

    def ended(self) -> None:
        """
        Listen no more.
        """
        self._watch.untap(self)


class Watch:
    """
    Everybody who looks at a server.

    @ivar overview: what there is to see.
    @ivar missed: how many events and messages were not sent to one who did not
        read fast enough.
    """

    def __init__(self, service: Watched, clock: IReactorTime | None = None) -> None:
        """
        @param service: the server.
        @param clock: for the times; the reactor if there is none.
        """
        self.overview = Overview(service)
        self.missed = 0
        self.clock = clockOrReactor(clock)
        self._streams: list[Stream] = []
        self._taps: dict[int, list[MessageStream]] = {}
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = self.clock

    @property
    def watchers(self) -> int:
        """
        How many streams there are.
        """
        return len(self._streams)

    # Streams

    def showState(self, request: Request, find: str = "") -> None:
        """
        Answer a request with the state, again and again.

        @param request: the request; it is not finished before the stream ends.
        @param find: which clients, see L{StateStream}; empty for all.
        @raise WatchError: if there are too many who look on.
        """
        self._begin(request, partial(StateStream, request, self, find))

    def showMessages(self, request: Request, id: int) -> None:
        """
        Answer a request with the messages of a client, from now on.

        @param request: the request; it is not finished before the client has
            gone.
        @param id: the number of its connection.
        @raise WatchError: if there is no such client, or it has no messages, or
            too many look on.
        """
        connection = self.overview.guard.find(id)
        if connection is None:
            raise WatchError(404, "this client is not connected any more")
        protocol = innermost(connection)
        taps = self._taps.get(id)
        if not isinstance(protocol, XMLSocketProtocol):
            raise WatchError(409, "this client has no messages that could be shown")
        if not taps and protocol.tap is not None:
            raise WatchError(409, "somebody else listens to this client")
        stream = self._begin(request, partial(MessageStream, request, self, connection))
        if taps:
            taps.append(stream)
            return
        taps = self._taps[id] = [stream]

        def heard(way: str, text: str) -> None:
            for each in taps:
                each.heard(way, text)

        protocol.tap = heard

    def untap(self, stream: MessageStream) -> None:
        """
        Hear that somebody does not listen to a client any more.

        @param stream: the one that has ended. With the last one for a client its
            messages are not looked at any more.
        """
        id = stream.connection.id
        self._taps[id].remove(stream)
        if not self._taps[id]:
            del self._taps[id]
            protocol = innermost(stream.connection)
            # Once it is lost there is less behind it.
            if isinstance(protocol, XMLSocketProtocol):
                protocol.tap = None

    def _begin(self, request: Request, make: Callable[[], Any]) -> Any:
        if len(self._streams) >= MAX_WATCHERS:
            raise WatchError(503, f"{MAX_WATCHERS} look on already, as many as may")
        stream = make()
        self._streams.append(stream)
        request.notifyFinish().addBoth(partial(self._left, stream))
        if not self._ticking.running:
            self._ticking.start(INTERVAL, now=False)
        # So that the headers leave, and who looks on sees something at once.
        stream.send("begin")
        return stream

    def _left(self, stream: Stream, result: Failure | None) -> None:
        """
        Hear that a stream has ended, in whichever way.
        """
        self._streams.remove(stream)
        stream.ended()
        if not self._streams and self._ticking.running:
            self._ticking.stop()

    def _tick(self) -> None:
        # What several want to see is looked for once.
        describe = cache(self.describe)
        for stream in list(self._streams):
            stream.tick(describe)

    def close(self) -> None:
        """
        End all streams.
        """
        for stream in list(self._streams):
            stream.finish()

    # What is shown

    def describe(self, find: str = "") -> dict[str, Any]:
        """
        Tell how it is with the server, for JSON.

        @param find: which clients, see L{StateStream}.
        @return: the newest L{MAX_SHOWN} of the clients that were found, the
            newest first, and how many were found; the counters of the guard;
            C{bytes} and C{messages} as two numbers, those that came and those
            that went; and C{rooms} and C{relay}. What the server has no part for
            is C{None}. Times are in seconds.
        """
        guard = self.overview.guard
        if find:
            found = [client for client in guard.clients() if find in _words(client)]
            count = len(found)
        else:
            # Of very many it costs much to look at each.
            found, count = guard.clients(MAX_SHOWN), guard.connections
        traffic = guard.traffic().values()
        messages = self.overview.messages
        return {
            "time": self.clock.seconds(),
            "clients": [vars(client) for client in found[: -MAX_SHOWN - 1 : -1]],
            "found": count,
            "connected": guard.connections,
            "limit": guard.maxConnections,
            "opened": guard.opened,
            "refused": sum(self.overview.refusals.values()),
            "cut": sum(self.overview.cut.values()),
            "waiting": guard.waiting(),
            "bytes": [sum(t.bytesIn for t in traffic), sum(t.bytesOut for t in traffic)],
            "messages": messages,
            "speaks": hasattr(self.overview.served, "broadcast"),
            "missedByAll": self.missed,
            "rooms": self._rooms(),
            "relay": self._relay(),
        }

    def _rooms(self) -> dict[str, Any] | None:
        lobby = self.overview.lobby
        if lobby is None:
            return None
        most = sorted(lobby.rooms.items(), key=lambda item: -len(item[1].members))
        return {
            "rooms": len(lobby.rooms),
            "members": lobby.members,
            "lost": lobby.lost,
            "shown": [[name, len(room.members)] for name, room in most[:MAX_SHOWN]],
        }

    def _relay(self) -> dict[str, Any] | None:
        relay = self.overview.relay
        if relay is None:
            return None
        return {
            "state": relay.state.value,
            "description": relay.description,
            "problem": relay.problem,
            "waiting": relay.waiting,
            **countsOf(relay),
        }


def _words(client: Any) -> str:
    """
    Name what can be looked for in a client.
    """
    return f"{client.address}\n{client.kind}\n{client.name or ''}\n{client.room or ''}".lower()
