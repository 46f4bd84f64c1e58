"""
Tests for L{openfl_twisted.dashboard.page}.
"""

import json
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard.page import MAX_GUESSES, MAX_REASON, DashboardService
from openfl_twisted.dashboard.streams import (
    INTERVAL,
    MAX_MESSAGES,
    MAX_SHOWN,
    MAX_STREAMS,
    MAX_TEXT,
)
from openfl_twisted.protocols.clients import innermost
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.memoryrelay import MemoryBroker, MemoryRelay
from tests.dashboard.browser import Answer, Visit, visit
from tests.dashboard.servers import Server
from tests.dashboard.test_metrics import Hearer
from tests.doubles import linesOf
from tests.frames import REQUEST as UPGRADE

TOKEN = "the-token"
KEY = f"Bearer {TOKEN}"


class DashboardTestCase(SynchronousTestCase):
    """
    A server with a dashboard.
    """

    def setUp(self) -> None:
        self.open()

    def open(self, wrapped: Any = None, token: str | None = TOKEN) -> None:
        """
        Make the server.
        """
        self.server = Server(wrapped)
        self.clock = self.server.clock
        endpoint = TCP4ServerEndpoint(self.clock, 9101)
        self.dashboard = DashboardService(self.server, endpoint, token, self.clock)

    def get(self, path: str, **headers: str) -> Answer:
        """
        Ask for something, without the token.
        """
        return visit(self.dashboard.guard, path, headers)

    def post(self, path: str, body: bytes | dict[str, Any], **headers: str) -> Answer:
        """
        Ask for a deed.
        """
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        headers = {"Authorization": KEY, "Content_Type": "application/json", **headers}
        return visit(self.dashboard.guard, path, headers, method="POST", body=body)

    def watch(self, path: str = "/state", room: int = 1 << 20) -> Visit:
        """
        Begin a stream.
        """
        browser = Visit(self.dashboard.guard, room)
        browser.ask("GET", path, Authorization=KEY)
        return browser

    def lastOf(self, browser: Visit) -> dict[str, Any]:
        """
        Wait for the next event, and get what it says.
        """
        self.clock.advance(INTERVAL)
        return browser.events[-1][1]


class PageTests(DashboardTestCase):
    """
    The page.
    """

    def test_files(self) -> None:
        """
        Everybody gets the page with its script and style, which are all its
        parts, and may be from nowhere else.
        """
        for path, kind in [
            ("/", "text/html"),
            ("/dashboard.js", "text/javascript"),
            ("/dashboard.css", "text/css"),
        ]:
            answer = self.get(path)
            self.assertEqual(answer.status, 200)
            self.assertTrue(answer.headers["Content-Type"].startswith(kind))
            self.assertIn("default-src 'self'", answer.headers["Content-Security-Policy"])
            for elsewhere in (b"://", b"innerHTML", b"style=", b"eval("):
                self.assertNotIn(elsewhere, answer.body)
        self.assertEqual(visit(self.dashboard.guard, "/", method="HEAD").body, b"")
        self.assertEqual(visit(self.dashboard.guard, "/", method="POST").status, 405)
        self.assertEqual(self.get("/other").status, 404)

    def test_start(self) -> None:
        """
        The log says where the dashboard is, and has the token if nobody has given
        one.
        """
        tokens = []
        for token in (TOKEN, None, None):
            self.open(token=token)
            with capturedLogs() as logs:
                self.dashboard.startService()
            self.dashboard.stopService()
            end = "" if token else f"#{self.dashboard.token}"
            self.assertEqual(linesOf(logs), [f"dashboard on http://0.0.0.0:9101/{end}"])
            tokens.append(self.dashboard.token)
        self.assertEqual(len(set(tokens)), 3)
        self.assertGreater(len(tokens[1]), 20)


class TokenTests(DashboardTestCase):
    """
    Nobody sees or does anything without the token.
    """

    def test_refused(self) -> None:
        """
        Without it, or with another, everything is refused.
        """
        for path in ("/state", "/messages/1", "/kick", "/say"):
            self.clock.advance(MAX_GUESSES)
            for key in ("", "Bearer ", TOKEN, KEY + "x", KEY[:-1], "Bearer gr\u00fc\u00dfe"):
                answer = self.get(path, Authorization=key)
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer.json, {"problem": "wrong dashboard token"})
        self.assertEqual(self.dashboard.state.streams, 0)

    def test_log(self) -> None:
        """
        Wrong ones are one line in the log until the right one comes; who only
        looks is none.
        """
        with capturedLogs() as logs:
            for key in ("", "Bearer x", "Bearer y", KEY, "Bearer z"):
                self.get("/kick", Authorization=key)
        line = "127.0.0.1:5 refused: wrong dashboard token"
        self.assertEqual(linesOf(logs), [line, line])

    def test_guessing(self) -> None:
        """
        Wrong tokens of one address are limited to ten, and one per second after
        that; meanwhile the right one is not accepted from there either. It resets
        the count.
        """
        wrong = ["Bearer x"] * MAX_GUESSES
        keys = [*wrong, "Bearer y", KEY]
        statuses = [self.get("/kick", Authorization=key).status for key in keys]
        self.assertEqual(statuses, [401] * MAX_GUESSES + [429, 429])
        answer = self.get("/kick", Authorization=KEY)
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertIn("too many wrong tokens", answer.json["problem"])
        self.clock.advance(1)
        self.assertEqual(self.get("/kick", Authorization=KEY).status, 405)
        statuses = [self.get("/kick", Authorization=key).status for key in [*wrong, KEY]]
        self.assertEqual(statuses, [401] * MAX_GUESSES + [429])

    def test_guessers(self) -> None:
        """
        Other addresses are not limited. Only the 1,000 most recent addresses are
        remembered.
        """

        def guess(host: str) -> int:
            visitor = Visit(self.dashboard.guard, peer=IPv4Address("TCP", host, 1))
            visitor.ask("GET", "/kick", Authorization="Bearer x")
            status = visitor.answer.status
            visitor.transport.drainAll()
            return status

        statuses = [guess("10.1.0.0") for _ in range(MAX_GUESSES + 1)]
        self.assertEqual(statuses, [401] * MAX_GUESSES + [429])
        for number in range(1000):
            self.assertEqual(guess(f"10.0.{number // 250}.{number % 250}"), 401)
        self.assertEqual(guess("10.1.0.0"), 401)

    @given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
    def test_any(self, text: str) -> None:
        """
        No text but the token is the token.
        """
        self.setUp()
        status = self.get("/kick", Authorization=f"Bearer {text}").status
        self.assertEqual(status, 405 if text.strip() == TOKEN else 401)

    def test_methods(self) -> None:
        """
        What shows is got, and what changes something is posted.
        """
        self.assertEqual(self.post("/state", {}).status, 405)
        answer = self.get("/kick", Authorization=KEY)
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"))


class CommandTests(DashboardTestCase):
    """
    What the dashboard can do.
    """

    def test_kick(self) -> None:
        """
        A client is closed, and the log says why and by whom.
        """
        self.server.call()
        client = self.server.call()
        told: list[str] = []
        # As those have who are in a room.
        innermost(self.server.factory.find(2)).kicked = partial(told.append, "kicked")
        with capturedLogs() as logs:
            answer = self.post("/kick", {"id": 2, "reason": "too\nloud"})
        self.assertEqual((answer.status, answer.json), (200, {"kicked": 2}))
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(told, ["kicked"])
        self.assertEqual(
            linesOf(logs),
            ["192.168.1.1:54321 kicked: too loud (dashboard, 127.0.0.1:5)"],
        )
        client.transport._close(ConnectionDone())
        self.assertEqual(self.post("/kick", {"id": 2}).status, 404)

    def test_reason(self) -> None:
        """
        A reason can be left out, and is not taken at any length.
        """
        for reason, words in [({}, "no reason"), ({"reason": "x" * 999}, "x" * MAX_REASON)]:
            self.setUp()
            self.server.call()
            with capturedLogs() as logs:
                self.post("/kick", {"id": 1, **reason})
            self.assertIn(f" kicked: {words} (dashboard", linesOf(logs)[0])

    def test_say(self) -> None:
        """
        A message goes to all who are connected.
        """
        clients = [self.server.call(), self.server.call()]
        answer = self.post("/say", {"text": "gr\u00fc\u00dfe"})
        self.assertEqual((answer.status, answer.json), (200, {"hearers": 2}))
        for client in clients:
            client.exchange()
            self.assertTrue(client.received.endswith("gr\u00fc\u00dfe\0".encode()))

    def test_nothingToSay(self) -> None:
        """
        A server that has no messages says none.
        """
        self.open(ServerSocketExampleFactory())
        self.assertEqual(self.post("/say", {"text": "a"}).status, 409)

    def test_origin(self) -> None:
        """
        The page of another site cannot do anything, nor one that only sends a
        form.
        """
        self.server.call()
        headers = {"Host": "127.0.0.1:9101"}
        for origin in ("http://evil.example", "null", "http://127.0.0.1:9102", ""):
            answer = self.post("/kick", {"id": 1}, Origin=origin, **headers)
            self.assertEqual(answer.status, 403)
        for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
            answer = self.post("/kick", {"id": 1}, Content_Type=kind)
            self.assertEqual(answer.status, 415)
        own = {"Origin": "http://127.0.0.1:9101", "Content_Type": "Application/JSON; charset=utf-8"}
        self.assertEqual(self.post("/kick", {"id": 1}, **own, **headers).status, 200)

    def test_badInput(self) -> None:
        """
        What makes no sense is refused in words.
        """
        self.server.call()
        for path, body in [
            ("/kick", b""), ("/kick", b"{"), ("/kick", b"[" * 9999), ("/kick", b"\xff"),
            ("/kick", b"[]"), ("/kick", b"{}"), ("/kick", b'{"id": true}'),
            ("/kick", b'{"id": "1"}'), ("/kick", b'{"id": 1, "reason": 2}'),
            ("/say", b"{}"), ("/say", b'{"text": 1}'), ("/say", b'{"text": "a\\u0000b"}'),
        ]:  # fmt: skip
            answer = self.post(path, body)
            self.assertEqual(answer.status, 400, (path, body))
            self.assertTrue(answer.json["problem"])

    @given(st.binary(max_size=100))
    def test_anything(self, body: bytes) -> None:
        """
        Whatever is posted, there is an answer.
        """
        self.setUp()
        for path in ("/kick", "/say"):
            self.assertIn(self.post(path, body).status, (200, 400, 404))


class StateTests(DashboardTestCase):
    """
    The stream of the state.
    """

    def test_clients(self) -> None:
        """
        It shows the clients, the newest first, with their traffic.
        """
        self.server.call(b"a\0b\0")
        self.server.call()
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
        self.assertEqual((state["rooms"], state["relay"]), (None, None))

    def test_interval(self) -> None:
        """
        It comes again and again, for as long as somebody looks on.
        """
        browser = self.watch()
        for count in (2, 3):
            self.clock.advance(INTERVAL)
            self.assertEqual(len(browser.events), count)
        self.assertEqual(browser.events[2][1]["time"] - browser.events[1][1]["time"], INTERVAL)
        browser.transport._close(ConnectionLost())
        self.assertEqual(self.dashboard.state.streams, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_noMessages(self) -> None:
        """
        Of a server without messages none are shown.
        """
        self.open(ServerSocketExampleFactory())
        state = self.lastOf(self.watch())
        self.assertIsNone(state["messages"])
        self.assertFalse(state["speaks"])

    def test_find(self) -> None:
        """
        Only those are shown in whom something is found; in whatever case.
        """
        self.server.call()
        self.server.call(UPGRADE)
        browser = self.watch("/state?find=WEBSOCK")
        state = self.lastOf(browser)
        self.assertEqual([client["id"] for client in state["clients"]], [2])
        self.assertEqual((state["found"], state["connected"]), (1, 2))
        self.assertEqual(self.lastOf(self.watch("/state?find=%FF"))["found"], 0)

    def test_several(self) -> None:
        """
        Several who look on see the same at the same time, each what he looks
        for.
        """
        self.server.call()
        browsers = [self.watch(), self.watch("/state?find=plain"), self.watch("/state?find=x")]
        self.clock.advance(INTERVAL)
        states = [browser.events[-1][1] for browser in browsers]
        self.assertEqual([state["found"] for state in states], [1, 1, 0])
        self.assertEqual(states[0], states[1])

    def test_maxShown(self) -> None:
        """
        It does not show all of very many.
        """
        self.server.factory.maxConnections = 0
        for _ in range(MAX_SHOWN + 1):
            self.server.call()
        state = self.lastOf(self.watch())
        ids = [client["id"] for client in state["clients"]]
        self.assertEqual((ids[0], ids[-1], len(ids)), (MAX_SHOWN + 1, 2, MAX_SHOWN))
        self.assertEqual(state["found"], MAX_SHOWN + 1)

    def test_rooms(self) -> None:
        """
        It shows the rooms, the fullest first.
        """
        lobby = self.server.lobby = Lobby(clock=self.clock)
        for room, name in [("chess", "Ann"), ("go", "Ann"), ("go", "Ben")]:
            lobby.join(room, Hearer(), name)
        self.assertEqual(
            self.lastOf(self.watch())["rooms"],
            {"rooms": 2, "members": 3, "lost": 0, "shown": [["go", 2], ["chess", 1]]},
        )

    def test_relay(self) -> None:
        """
        It shows how it is with the relay, and what was lost.
        """
        broker = MemoryBroker()
        relay = self.server.relay = MemoryRelay(broker, clock=self.clock)
        other = MemoryRelay(broker, clock=self.clock)
        for each in (relay, other):
            each.start()
        relay.subscribe("a", lambda payload: None)
        browser = self.watch()
        for copies in (1, 0, 0, 1):
            broker.copies = copies
            other.publish("a", b"x")
        self.clock.advance(INTERVAL)
        shown = self.lastOf(browser)["relay"]
        self.assertEqual((shown["state"], shown["gaps"], shown["missed"]), ("up", 1, 2))
        self.assertEqual(shown["description"], "memory:")
        broker.cut("no way")
        self.clock.advance(INTERVAL)
        shown = self.lastOf(browser)["relay"]
        self.assertEqual((shown["state"], shown["problem"]), ("down", "no way"))

    def test_slow(self) -> None:
        """
        To one who does not read nothing more is sent, and he is told how much
        he has missed.
        """
        browser = self.watch(room=10)
        other = self.watch()
        for _ in range(5):
            self.clock.advance(INTERVAL)
        self.assertEqual(len(browser.events), 1)
        self.assertEqual(len(other.events), 6)
        browser.transport.drain()
        state = self.lastOf(browser)
        self.assertEqual((state["missed"], state["missedByAll"]), (5, 5))

    def test_maxStreams(self) -> None:
        """
        Only so many look on.
        """
        for _ in range(MAX_STREAMS):
            self.watch()
        refused = self.watch()
        self.assertEqual(refused.answer.status, 503)
        self.assertIn(str(MAX_STREAMS), refused.answer.json["problem"])
        self.assertEqual(self.dashboard.state.streams, MAX_STREAMS)

    def test_stop(self) -> None:
        """
        At the end of the server the streams end.
        """
        self.dashboard.startService()
        browser = self.watch()
        self.server.call()
        client = self.watch("/messages/1")
        self.dashboard.stopService()
        for each in (browser, client):
            self.assertTrue(each.transport.disconnecting)
        self.assertEqual(self.dashboard.state.streams, 0)


class MessageTests(DashboardTestCase):
    """
    The stream of the messages of one client.
    """

    def test_messages(self) -> None:
        """
        It has what comes and what goes from now on, whatever it is.
        """
        first, second = self.server.call(b"before\0"), self.server.call()
        browser = self.watch("/messages/1")
        first.send("<b>gr\u00fc\u00dfe</b>\0\ud83d\0".encode("utf-8", "surrogatepass"))
        second.send(b"answer\0")
        name, event = [*browser.events, *self.next(browser)][-1]
        self.assertEqual(name, "messages")
        self.assertEqual(
            [(each["way"], each["text"]) for each in event["messages"]],
            [("in", "<b>gr\u00fc\u00dfe</b>"), ("in", "\ud83d"), ("out", "answer")],
        )
        self.assertEqual(self.next(browser), [])

    def next(self, browser: Visit) -> list[tuple[str, dict[str, Any]]]:
        """
        Wait for the next events.
        """
        before = len(browser.events)
        self.clock.advance(INTERVAL)
        return browser.events[before:]

    def test_limits(self) -> None:
        """
        A long message is cut, and of very many in one moment not all are shown;
        it is told how many are not.
        """
        client = self.server.call()
        browser = self.watch("/messages/1")
        client.send(b"x" * (MAX_TEXT + 1) + b"\0" + b"y\0" * MAX_MESSAGES)
        [(_, event)] = self.next(browser)
        messages = event["messages"]
        self.assertEqual(messages[0], {"way": "in", "text": "x" * MAX_TEXT, "length": MAX_TEXT + 1})
        self.assertEqual((len(messages), event["missed"]), (MAX_MESSAGES, 1))
        self.assertEqual(self.dashboard.state.missed, 1)

    def test_slow(self) -> None:
        """
        For one who does not read only so many are kept.
        """
        client = self.server.call()
        browser = self.watch("/messages/1", room=10)
        for _ in range(3):
            client.send(b"y\0" * MAX_MESSAGES)
            self.assertEqual(self.next(browser), [])
        browser.transport.drain()
        [(_, event)] = self.next(browser)
        self.assertEqual(
            (len(event["messages"]), event["missed"]), (MAX_MESSAGES, 2 * MAX_MESSAGES)
        )

    def test_several(self) -> None:
        """
        Several can listen to one client; once the last has gone nobody does.
        """
        client = self.server.call()
        [protocol] = self.server.wrapped.connections
        one, other = self.watch("/messages/1"), self.watch("/messages/1")
        client.send(b"a\0")
        for browser in (one, other):
            self.assertEqual(browser.events[-1][0], "begin")
        self.clock.advance(INTERVAL)
        for browser in (one, other):
            self.assertEqual(browser.events[-1][0], "messages")
        one.transport._close(ConnectionDone())
        self.assertIsNotNone(protocol.tap)
        other.transport._close(ConnectionDone())
        self.assertIsNone(protocol.tap)
        self.assertEqual(self.dashboard.state.streams, 0)

    def test_gone(self) -> None:
        """
        When the client goes, its last messages are shown, that it has gone, and
        the stream ends.
        """
        client = self.server.call()
        browser = self.watch("/messages/1")
        client.send(b"bye\0")
        client.transport._close(ConnectionDone())
        self.assertEqual([name for name, _ in self.next(browser)], ["messages", "gone"])
        self.assertTrue(browser.transport.disconnecting)
        self.assertEqual(self.dashboard.state.streams, 0)

    def test_nobody(self) -> None:
        """
        There is nothing to hear of who is not there, has no messages, or is
        listened to by somebody else.
        """
        self.server.call(b"<policy")
        self.server.call()
        [protocol] = self.server.wrapped.connections
        protocol.tap = lambda way, text: None
        for path, status in [
            ("/messages/1", 409), ("/messages/2", 409), ("/messages/3", 404), ("/messages", 404),
            ("/messages/x", 404), ("/messages/-1", 404), ("/messages/" + "9" * 9999, 404),
        ]:  # fmt: skip
            answer = self.watch(path).answer
            self.assertEqual(answer.status, status, path)
            self.assertTrue(answer.json["problem"])
        self.assertEqual(self.dashboard.state.streams, 0)
