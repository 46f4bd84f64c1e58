"""
Tests for L{openfl_twisted.dashboard.streams}.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost

from openfl_twisted.dashboard.clientlist import DEFAULT_VIEW, View
from openfl_twisted.dashboard.streams import (
    _INTERVAL,
    _MAX_MESSAGES,
    _MAX_TEXT,
    MAX_SHOWN,
    MAX_STREAMS,
)
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import RoomLimits
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.sessions import Recorder
from openfl_twisted.wire.dialects import DIALECTS
from tests.brokers.lossybroker import LossyBroker, LossyPubSub
from tests.dashboard.browser import Visit
from tests.dashboard.servers import DashboardTestCase
from tests.frames import REQUEST as UPGRADE
from tests.support.recipients import RecordingRecipient


class StateTests(DashboardTestCase):
    """
    L{StateStream} sends the state of the server.
    """

    def test_clients(self) -> None:
        """
        An event has the clients, latest first, with their traffic.
        """
        self.server.connect(b"a\0b\0")
        self.server.connect()
        browser = self.watch()
        self.assertEqual(browser.events, [("begin", {"missed": 0})])
        self.assertEqual(browser.answer.headers["Content-Type"], "text/event-stream; charset=utf-8")
        state = self.lastOf(browser)
        self.assertEqual([client["id"] for client in state["clients"]], [2, 1])
        first = state["clients"][1]
        self.assertEqual((first["kind"], first["bytesIn"]), ("plain", 4))
        self.assertEqual((state["connected"], state["opened"], state["refused"]), (2, 2, 0))
        self.assertEqual(state["messages"], [3, 1])
        self.assertEqual(state["bytes"], [5, 1])
        self.assertTrue(state["speaks"])
        self.assertEqual((state["rooms"], state["broker"]), (None, None))

    def test_interval(self) -> None:
        """
        Events are sent at a fixed interval until the last stream ends.
        """
        browser = self.watch()
        for count in (2, 3):
            self.clock.advance(_INTERVAL)
            self.assertEqual(len(browser.events), count)
        self.assertEqual(browser.events[2][1]["time"] - browser.events[1][1]["time"], _INTERVAL)
        browser.transport._close(ConnectionLost())
        self.assertEqual(self.dashboard.state.streams, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noMessages(self) -> None:
        """
        A server without messages has no message counters.
        """
        self.open(ServerSocketExampleFactory())
        state = self.lastOf(self.watch())
        self.assertIsNone(state["messages"])
        self.assertFalse(state["speaks"])

    def test_find(self) -> None:
        """
        A filter selects the matching clients, ignoring case.
        """
        self.server.connect()
        self.server.connect(UPGRADE)
        browser = self.watch("/state?find=WEBSOCK")
        state = self.lastOf(browser)
        self.assertEqual([client["id"] for client in state["clients"]], [2])
        self.assertEqual((state["found"], state["connected"]), (1, 2))
        self.assertEqual(self.lastOf(self.watch("/state?find=%FF"))["found"], 0)

    def test_several(self) -> None:
        """
        Concurrent streams have the same state, each with its own filter.
        """
        self.server.connect()
        browsers = [self.watch(), self.watch("/state?find=plain"), self.watch("/state?find=x")]
        self.clock.advance(_INTERVAL)
        states = [browser.events[-1][1] for browser in browsers]
        for state in states:
            # The memory can change between two events.
            del state["server"]["memory"]
        self.assertEqual([state["found"] for state in states], [1, 1, 0])
        self.assertEqual(states[0], states[1])

    def test_maxShown(self) -> None:
        """
        The number of clients in an event is limited.
        """
        self.server.factory.maxConnections = 0
        for _ in range(MAX_SHOWN + 1):
            self.server.connect()
        state = self.lastOf(self.watch())
        ids = [client["id"] for client in state["clients"]]
        self.assertEqual((ids[0], ids[-1], len(ids)), (MAX_SHOWN + 1, 2, MAX_SHOWN))
        self.assertEqual(state["found"], MAX_SHOWN + 1)

    def test_manyRooms(self) -> None:
        """
        The number of rooms in an event is limited.
        """
        lobby = self.server.lobby = Lobby(clock=self.clock)
        for number in range(MAX_SHOWN + 1):
            lobby.join(f"room {number}", RecordingRecipient())
        rooms = self.lastOf(self.watch())["rooms"]
        self.assertEqual((rooms["rooms"], len(rooms["shown"])), (MAX_SHOWN + 1, MAX_SHOWN))

    def test_rooms(self) -> None:
        """
        An event has the rooms, largest first.
        """
        lobby = self.server.lobby = Lobby(clock=self.clock)
        for room, name in [("chess", "Ann"), ("go", "Ann"), ("go", "Ben")]:
            lobby.join(room, RecordingRecipient(), name)
        self.assertEqual(
            self.lastOf(self.watch())["rooms"],
            {"rooms": 2, "members": 3, "lost": 0, "shown": [["go", 2], ["chess", 1]]},
        )

    def test_members(self) -> None:
        """
        An event has the members of the selected room, with the numbers of their clients.
        """
        lobby = Lobby(RoomLimits(resume=9), self.clock)
        self.open(RoomFactory(XMLRoomProtocol, lobby))
        self.server.lobby = lobby
        self.server.connect()
        self.server.connect(b'<join room="go" name="Ann"/>\0')
        left = self.server.connect(b'<join room="go" name="Ben"/>\0')
        left.abort()
        browser = self.watch("/state?room=go")
        members = [{"name": "Ann", "client": 2}, {"name": "Ben", "client": None}]
        self.assertEqual(
            self.lastOf(browser)["room"], {"name": "go", "count": 2, "members": members}
        )
        for path in ("/state", "/state?room=chess"):
            self.assertIsNone(self.lastOf(self.watch(path))["room"])

    def test_maxMembers(self) -> None:
        """
        The number of members in an event is limited.
        """
        lobby = self.server.lobby = Lobby(clock=self.clock)
        for _ in range(MAX_SHOWN + 1):
            lobby.join("go", RecordingRecipient())
        room = self.lastOf(self.watch("/state?room=go"))["room"]
        self.assertEqual((len(room["members"]), room["count"]), (MAX_SHOWN, MAX_SHOWN + 1))

    def test_server(self) -> None:
        """
        An event has the name of the server, its version and its ports.
        """
        server: Any = self.server
        server.commandName = "openfl-xml"
        server.hosts = [IPv4Address("TCP", "127.0.0.1", 8080)]
        shown = self.lastOf(self.watch())["server"]
        self.assertEqual((shown["name"], shown["ports"]), ("openfl-xml", ["127.0.0.1:8080"]))
        self.assertEqual(shown["version"], version("openfl-twisted"))
        self.assertFalse(shown["draining"])

    def test_reasons(self) -> None:
        """
        An event has the numbers of refused and disconnected clients by reason.
        """
        self.server.factory.maxConnections = 1
        for _ in range(3):
            self.server.connect()
        self.server.wrapped.cut["rate"] = 4
        state = self.lastOf(self.watch())
        self.assertEqual((state["refused"], state["refusals"]["connections"]), (2, 2))
        self.assertEqual((state["cut"], state["cuts"]["rate"]), (4, 4))

    def test_sort(self) -> None:
        """
        The shown clients are the first ones of all in the selected order.
        """
        self.server.factory.maxConnections = 0
        self.server.connect(b"the most bytes\0")
        for _ in range(MAX_SHOWN):
            self.server.connect()
        state = self.lastOf(self.watch("/state?sort=bytesIn&order=desc"))
        self.assertEqual(state["clients"][0]["id"], 1)
        self.assertEqual(len(state["clients"]), MAX_SHOWN)

    def test_broker(self) -> None:
        """
        An event has the state of the broker and its lost messages.
        """
        broker = LossyBroker()
        pubSub = self.server.pubSub = LossyPubSub(broker, clock=self.clock)
        other = LossyPubSub(broker, clock=self.clock)
        for each in (pubSub, other):
            each.start()
        pubSub.subscribe("a", lambda payload: None)
        browser = self.watch()
        for copies in (1, 0, 0, 1):
            broker.copies = copies
            other.publish("a", b"x")
        self.clock.advance(_INTERVAL)
        shown = self.lastOf(browser)["broker"]
        self.assertEqual((shown["state"], shown["gaps"], shown["missed"]), ("up", 1, 2))
        self.assertEqual(shown["description"], "memory:")
        broker.cut("no way")
        self.clock.advance(_INTERVAL)
        shown = self.lastOf(browser)["broker"]
        self.assertEqual((shown["state"], shown["problem"]), ("down", "no way"))

    def test_slow(self) -> None:
        """
        Events for a slow browser are dropped, and the next event has their number.
        """
        browser = self.watch(room=10)
        other = self.watch()
        for _ in range(5):
            self.clock.advance(_INTERVAL)
        self.assertEqual(len(browser.events), 1)
        self.assertEqual(len(other.events), 6)
        browser.transport.drain()
        state = self.lastOf(browser)
        self.assertEqual((state["missed"], state["missedByAll"]), (5, 5))

    def test_maxStreams(self) -> None:
        """
        The number of streams is limited.
        """
        for _ in range(MAX_STREAMS):
            self.watch()
        refused = self.watch()
        self.assertEqual(refused.answer.status, 503)
        self.assertIn(str(MAX_STREAMS), refused.answer.json["problem"])
        self.assertEqual(self.dashboard.state.streams, MAX_STREAMS)

    def test_stop(self) -> None:
        """
        Stopping the service ends the streams.
        """
        self.dashboard.startService()
        browser = self.watch()
        self.server.connect()
        client = self.watch("/messages/1")
        self.dashboard.stopService()
        for each in (browser, client):
            self.assertTrue(each.transport.disconnecting)
        self.assertEqual(self.dashboard.state.streams, 0)


class MessageTests(DashboardTestCase):
    """
    L{MessageStream} sends the messages of a client.
    """

    def test_messages(self) -> None:
        """
        An event has the messages received and sent since the last event.
        """
        first, second = self.server.connect(b"before\0"), self.server.connect()
        browser = self.watch("/messages/1")
        first.send("<b>gr\u00fc\u00dfe</b>\0\ud83d\0".encode("utf-8", "surrogatepass"))
        second.send(b"answer\0")
        name, event = [*browser.events, *self.next(browser)][-1]
        self.assertEqual(name, "messages")
        self.assertEqual(
            [(each["way"], each["text"]) for each in event["messages"]],
            [("in", "<b>gr\u00fc\u00dfe</b>"), ("in", "\\ud83d"), ("out", "answer")],
        )
        self.assertEqual(self.next(browser), [])

    def test_turns(self) -> None:
        """
        In each iteration of the reactor, at most one stream sends an event. Streams with equal
        views share one description.
        """
        for find in "aba":
            self.watch(f"/state?find={find}")
        described: list[str] = []
        describe = self.dashboard.state.describe

        def count(view: View = DEFAULT_VIEW) -> Any:
            described.append(view.find)
            return describe(view)

        self.patch(self.dashboard.state, "describe", count)
        calls: list[Callable[[], object]] = []
        self.patch(self.clock, "callLater", lambda delay, do: calls.append(do))
        self.dashboard.state.tick()
        counts = []
        while calls:
            calls.pop(0)()
            counts.append(len(described))
        self.assertEqual(counts[:2], [1, 2])
        self.assertEqual(described, ["a", "b"])

    def test_recording(self) -> None:
        """
        The state says whether sessions are recorded.
        """
        recorder = Recorder("tapes", "xml", DIALECTS["xml"], clock=self.clock)
        self.server.recorder = recorder
        for isStopped in (True, False):
            recorder.isStopped = isStopped
            state: Any = self.dashboard.state.describe()
            self.assertEqual(state["recording"], not isStopped)

    def test_bytes(self) -> None:
        """
        The messages of a server without text are shown as bytes.
        """
        self.server.dialect = DIALECTS["raw"]
        client = self.server.connect(b"before\0")
        browser = self.watch("/messages/1")
        client.send(b"\1a")
        [(_, event)] = self.next(browser)
        self.assertEqual(event["messages"], [{"way": "in", "text": "01 61  .a", "length": 9}])

    def next(self, browser: Visit) -> list[tuple[str, dict[str, Any]]]:
        """
        Wait for the next events.
        """
        before = len(browser.events)
        self.clock.advance(_INTERVAL)
        return browser.events[before:]

    def test_limits(self) -> None:
        """
        Long messages are truncated, and the number of messages in an event is
        limited; an event has the number of dropped ones.
        """
        client = self.server.connect()
        browser = self.watch("/messages/1")
        client.send(b"x" * (_MAX_TEXT + 1) + b"\0" + b"y\0" * _MAX_MESSAGES)
        [(_, event)] = self.next(browser)
        messages = event["messages"]
        self.assertEqual(
            messages[0], {"way": "in", "text": "x" * _MAX_TEXT, "length": _MAX_TEXT + 1}
        )
        self.assertEqual((len(messages), event["missed"]), (_MAX_MESSAGES, 1))
        self.assertEqual(self.dashboard.state.missed, 1)

    def test_slow(self) -> None:
        """
        The number of messages queued for a slow browser is limited.
        """
        client = self.server.connect()
        browser = self.watch("/messages/1", room=10)
        for _ in range(3):
            client.send(b"y\0" * _MAX_MESSAGES)
            self.assertEqual(self.next(browser), [])
        browser.transport.drain()
        [(_, event)] = self.next(browser)
        self.assertEqual(
            (len(event["messages"]), event["missed"]), (_MAX_MESSAGES, 2 * _MAX_MESSAGES)
        )

    def test_several(self) -> None:
        """
        Several streams can show one client; after the last one its messages are no
        longer tapped.
        """
        client = self.server.connect()
        [protocol] = self.server.wrapped.connections
        one, other = self.watch("/messages/1"), self.watch("/messages/1")
        client.send(b"a\0")
        for browser in (one, other):
            self.assertEqual(browser.events[-1][0], "begin")
        self.clock.advance(_INTERVAL)
        for browser in (one, other):
            self.assertEqual(browser.events[-1][0], "messages")
        one.transport._close(ConnectionDone())
        self.assertIsNotNone(protocol.transport.tap)
        other.transport._close(ConnectionDone())
        self.assertIsNone(protocol.transport.tap)
        self.assertEqual(self.dashboard.state.streams, 0)

    def test_gone(self) -> None:
        """
        When the client disconnects, its last messages and the end are sent, and the
        stream ends.
        """
        client = self.server.connect()
        browser = self.watch("/messages/1")
        client.send(b"bye\0")
        client.close()
        self.assertEqual([name for name, _ in self.next(browser)], ["messages", "gone"])
        self.assertTrue(browser.transport.disconnecting)
        self.assertEqual(self.dashboard.state.streams, 0)

    def test_nobody(self) -> None:
        """
        Streams of missing clients, and of clients whose type is not detected yet, are refused.
        """
        self.server.connect(b"<policy")
        for path, status in [
            ("/messages/1", 409), ("/messages/3", 404), ("/messages", 404),
            ("/messages/x", 404), ("/messages/-1", 404), ("/messages/" + "9" * 9999, 404),
        ]:  # fmt: skip
            answer = self.watch(path).answer
            self.assertEqual(answer.status, status, path)
            self.assertTrue(answer.json["problem"])
        self.assertEqual(self.dashboard.state.streams, 0)
