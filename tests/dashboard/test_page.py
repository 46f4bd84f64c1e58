"""
Tests for L{openfl_twisted.dashboard.page}.
"""

from functools import partial
from typing import Any
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from openfl_twisted.dashboard import streams
from openfl_twisted.dashboard.clientlist import View
from openfl_twisted.dashboard.page import _MAX_GUESSES, _MAX_REASON
from openfl_twisted.dashboard.streams import MAX_SHOWN
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from tests.dashboard.browser import Answer, Visit, visit
from tests.dashboard.servers import KEY, TOKEN, DashboardTestCase
from tests.doubles import linesOf


class PageTests(DashboardTestCase):
    """
    The page.
    """

    def test_files(self) -> None:
        """
        The page, its script and its style need no token, and load nothing from
        other servers.
        """
        scripts = ("dashboard", "server", "elements", "chart")
        for path, kind in [
            ("/", "text/html"),
            *((f"/{name}.js", "text/javascript") for name in scripts),
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
        The URL is logged, with the token if it was generated.
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
    All data and commands need the token.
    """

    def test_refused(self) -> None:
        """
        Requests with a wrong token or without one are refused.
        """
        for path in (
            "/state",
            "/messages/1",
            "/kick",
            "/say",
            "/block",
            "/unblock",
            "/closeroom",
            "/export.json",
            "/export.csv",
        ):
            self.clock.advance(_MAX_GUESSES)
            for key in ("", "Bearer ", TOKEN, KEY + "x", KEY[:-1], "Bearer gr\u00fc\u00dfe"):
                answer = self.get(path, Authorization=key)
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer.json, {"problem": "wrong dashboard token"})
        self.assertEqual(self.dashboard.state.streams, 0)

    def test_log(self) -> None:
        """
        Consecutive wrong tokens are one log line; requests without a token are not
        logged.
        """
        with capturedLogs() as logs:
            for key in ("", "Bearer x", "Bearer y", KEY, "Bearer z"):
                self.get("/kick", Authorization=key)
        line = "127.0.0.1:5 refused: wrong dashboard token"
        self.assertEqual(linesOf(logs), [line, line])

    def test_guessing(self) -> None:
        """
        Wrong tokens of one address are limited to ten, and one per second after
        that; beyond the limit the right token is refused too. The right token
        resets the count.
        """
        wrong = ["Bearer x"] * _MAX_GUESSES
        keys = [*wrong, "Bearer y", KEY]
        statuses = [self.get("/kick", Authorization=key).status for key in keys]
        self.assertEqual(statuses, [401] * _MAX_GUESSES + [429, 429])
        answer = self.get("/kick", Authorization=KEY)
        self.assertEqual(answer.headers["Retry-After"], "1")
        self.assertIn("too many wrong tokens", answer.json["problem"])
        self.clock.advance(1)
        self.assertEqual(self.get("/kick", Authorization=KEY).status, 405)
        statuses = [self.get("/kick", Authorization=key).status for key in [*wrong, KEY]]
        self.assertEqual(statuses, [401] * _MAX_GUESSES + [429])

    def test_guessers(self) -> None:
        """
        Other addresses are not limited. Only the latest 1,000 addresses are
        remembered.
        """

        def guess(host: str) -> int:
            visitor = Visit(self.dashboard.guard, peer=IPv4Address("TCP", host, 1))
            visitor.ask("GET", "/kick", Authorization="Bearer x")
            status = visitor.answer.status
            visitor.transport.drainAll()
            return status

        statuses = [guess("10.1.0.0") for _ in range(_MAX_GUESSES + 1)]
        self.assertEqual(statuses, [401] * _MAX_GUESSES + [429])
        for number in range(1000):
            self.assertEqual(guess(f"10.0.{number // 250}.{number % 250}"), 401)
        self.assertEqual(guess("10.1.0.0"), 401)

    @given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
    def test_any(self, text: str) -> None:
        """
        No other text is accepted as the token.
        """
        self.setUp()
        status = self.get("/kick", Authorization=f"Bearer {text}").status
        self.assertEqual(status, 405 if text.strip() == TOKEN else 401)

    def test_methods(self) -> None:
        """
        Streams need C{GET} and commands C{POST}.
        """
        self.assertEqual(self.post("/state", {}).status, 405)
        answer = self.get("/kick", Authorization=KEY)
        self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"))


class CommandTests(DashboardTestCase):
    """
    The commands of the dashboard.
    """

    def test_kick(self) -> None:
        """
        A client is disconnected; reason and operator are logged.
        """
        self.server.connect()
        client = self.server.connect()
        told: list[str] = []
        # As those have who are in a room.
        protocol: Any = self.server.factory.find(2)
        protocol = protocol.top.owner
        protocol.disconnectedByOperator = partial(told.append, "kicked")
        with capturedLogs() as logs:
            answer = self.post("/kick", {"id": 2, "reason": "too\nloud"})
        self.assertEqual((answer.status, answer.json), (200, {"kicked": 2}))
        self.assertTrue(client.closed)
        self.assertEqual(told, ["kicked"])
        self.assertEqual(
            linesOf(logs),
            ["192.168.1.1:54321 disconnected by operator: too loud (dashboard, 127.0.0.1:5)"],
        )
        client.close()
        self.assertEqual(self.post("/kick", {"id": 2}).status, 404)

    def test_reason(self) -> None:
        """
        The reason is optional, and its length is limited.
        """
        for reason, words in [({}, "no reason"), ({"reason": "x" * 999}, "x" * _MAX_REASON)]:
            self.setUp()
            self.server.connect()
            with capturedLogs() as logs:
                self.post("/kick", {"id": 1, **reason})
            self.assertIn(f" disconnected by operator: {words} (dashboard", linesOf(logs)[0])

    def test_block(self) -> None:
        """
        An address is blocked, and its clients are disconnected. The state contains the blocks.
        """
        client = self.server.connect()
        browser = self.watch()
        self.assertEqual(self.lastOf(browser)["blocked"], [])
        command = {"address": "192.168.1.1", "seconds": 60, "reason": "too\nloud"}
        with capturedLogs() as logs:
            answer = self.post("/block", command)
        block = {
            "address": "192.168.1.1",
            "until": self.clock.seconds() + 60,
            "reason": "too loud (dashboard, 127.0.0.1:5)",
        }
        self.assertEqual((answer.status, answer.json), (200, {"blocked": block}))
        self.assertTrue(client.closed)
        [line] = linesOf(logs)
        self.assertIn("192.168.1.1 blocked until 1970-01-01 00:01:00 UTC: too loud (dash", line)
        self.assertEqual(self.lastOf(browser)["blocked"], [block])
        answer = self.post("/unblock", {"address": "192.168.1.1"})
        self.assertEqual((answer.status, answer.json), (200, {"unblocked": "192.168.1.1"}))
        self.assertEqual(self.lastOf(browser)["blocked"], [])
        self.assertEqual(self.post("/unblock", {"address": "192.168.1.1"}).status, 404)

    def test_cannotBlock(self) -> None:
        """
        A server without a block list refuses the commands.
        """
        self.server.factory.blockList = None
        self.assertIsNone(self.lastOf(self.watch())["blocked"])
        command = {"address": "192.0.2.1", "seconds": 60}
        for path in ("/block", "/unblock"):
            answer = self.post(path, command)
            self.assertEqual(answer.status, 409)
            self.assertEqual(answer.json, {"problem": "this server cannot block addresses"})

    def test_error(self) -> None:
        """
        An error in a method of the application is logged, and the request is answered.
        """

        def broadcast(text: str) -> None:
            raise ValueError("broken")

        self.patch(self.server.wrapped, "broadcast", broadcast)
        answer = self.post("/say", {"text": "a"})
        self.assertEqual(answer.status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_say(self) -> None:
        """
        A message is sent to all clients.
        """
        clients = [self.server.connect(), self.server.connect()]
        answer = self.post("/say", {"text": "gr\u00fc\u00dfe"})
        self.assertEqual((answer.status, answer.json), (200, {"hearers": 2}))
        for client in clients:
            client.exchange()
            self.assertTrue(client.received.endswith("gr\u00fc\u00dfe\0".encode()))

    def test_nothingToSay(self) -> None:
        """
        A server without messages refuses the command.
        """
        self.open(ServerSocketExampleFactory())
        self.assertEqual(self.post("/say", {"text": "a"}).status, 409)

    def test_origin(self) -> None:
        """
        Pages of another origin, and HTML forms, are refused.
        """
        self.server.connect()
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
        Invalid input is refused with a reason.
        """
        self.server.connect()
        for path, body in [
            ("/kick", b""), ("/kick", b"{"), ("/kick", b"[" * 9999), ("/kick", b"\xff"),
            ("/kick", b"[]"), ("/kick", b"{}"), ("/kick", b'{"id": true}'),
            ("/kick", b'{"id": "1"}'), ("/kick", b'{"id": 1, "reason": 2}'),
            ("/block", b"{}"), ("/block", b'{"address": "192.0.2.1"}'),
            ("/block", b'{"address": "192.0.2.1", "seconds": true}'),
            ("/block", b'{"address": "192.0.2.1", "seconds": 0}'),
            ("/block", b'{"address": "192.0.2.1", "seconds": 1e999}'),
            ("/block", b'{"address": "192.0.2.1", "seconds": 1, "reason": 2}'),
            ("/block", b'{"address": "192.0.2.1:80", "seconds": 1}'),
            ("/block", b'{"address": 1, "seconds": 1}'),
            ("/unblock", b"{}"), ("/unblock", b'{"address": "a"}'),
            ("/closeroom", b"{}"), ("/closeroom", b'{"room": 1}'),
            ("/closeroom", b'{"room": "go", "reason": 1}'),
            ("/say", b"{}"), ("/say", b'{"text": 1}'), ("/say", b'{"text": "a\\u0000b"}'),
        ]:  # fmt: skip
            answer = self.post(path, body)
            self.assertEqual(answer.status, 400, (path, body))
            self.assertTrue(answer.json["problem"])

    @given(st.binary(max_size=100))
    def test_anything(self, body: bytes) -> None:
        """
        Any body gets a response.
        """
        self.setUp()
        for path in ("/kick", "/say", "/block", "/unblock", "/closeroom"):
            self.assertIn(self.post(path, body).status, (200, 400, 404))


class RoomTests(DashboardTestCase):
    """
    Closing a room.
    """

    def setUp(self) -> None:
        lobby = Lobby(clock=Clock())
        self.open(RoomFactory(XMLRoomProtocol, lobby))
        self.server.lobby = lobby

    def test_close(self) -> None:
        """
        The members receive the reason and are in no room; the operator is logged.
        """
        ann = self.server.connect(b'<join room="go" name="Ann"/>\0')
        other = self.server.connect(b'<join room="chess" name="Ben"/>\0')
        seen = len(other.received)
        with capturedLogs() as logs:
            answer = self.post("/closeroom", {"room": "go", "reason": "too\nloud"})
        self.assertEqual((answer.status, answer.json), (200, {"members": 1}))
        ann.exchange()
        other.exchange()
        self.assertTrue(
            ann.received.endswith(
                b'<error code="closed">the room was closed by the operator: too loud</error>\0'
            )
        )
        self.assertEqual(other.received[seen:], b"")
        self.assertEqual(
            linesOf(logs),
            ["127.0.0.1:5 closed the room go with 1 members: too loud (dashboard)"],
        )
        self.assertEqual(self.post("/closeroom", {"room": "go"}).status, 404)

    def test_noRooms(self) -> None:
        """
        A server without rooms refuses the command.
        """
        self.server.lobby = None
        self.assertEqual(self.post("/closeroom", {"room": "go"}).status, 404)


class ExportTests(DashboardTestCase):
    """
    The state and the history as files.
    """

    def ask(self, path: str) -> Answer:
        """
        Send a request with the token.
        """
        return self.get(path, Authorization=KEY)

    def test_json(self) -> None:
        """
        The export contains more clients than the page shows, the refusals and the history.
        """
        self.server.factory.maxConnections = MAX_SHOWN + 1
        for _ in range(MAX_SHOWN + 2):
            self.server.connect()
        self.dashboard.state.sample()
        answer = self.ask("/export.json")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/json"))
        state = answer.json
        self.assertEqual(len(state["clients"]), MAX_SHOWN + 1)
        self.assertEqual(state["refusals"]["connections"], 1)
        self.assertEqual(len(state["history"]["samples"]), 1)

    def test_limit(self) -> None:
        """
        The number of clients and of rooms in an export is limited.
        """
        self.patch(streams, "MAX_EXPORTED", 3)
        lobby = Lobby(clock=self.clock)
        self.open(RoomFactory(XMLRoomProtocol, lobby))
        self.server.lobby = lobby
        for number in range(4):
            self.server.connect(b'<join room="%d"/>\0' % number)
        state = self.ask("/export.json").json
        self.assertEqual((len(state["clients"]), len(state["rooms"]["shown"])), (3, 3))

    def test_csv(self) -> None:
        """
        A table is a CSV file, with the filter and the order of the page.
        """
        self.server.connect(b"abc")
        self.server.connect(b"abcdef")
        answer = self.ask("/export.csv?find=plain&sort=bytesIn&order=desc")
        self.assertEqual(answer.headers["Content-Type"], "text/csv; charset=utf-8")
        self.assertEqual(
            answer.headers["Content-Disposition"], 'attachment; filename="clients.csv"'
        )
        head, *rows = answer.body.decode().splitlines()
        column = head.split(",").index("bytesIn")
        self.assertEqual([row.split(",")[column] for row in rows], ["6", "3"])
        answer = self.ask("/export.csv?table=history")
        self.assertTrue(answer.body.startswith(b"time,clients,"))

    def test_parameters(self) -> None:
        """
        An unknown table, column or order is refused; the response contains the known ones.
        """
        for path, known in [
            ("/export.csv?table=x", "refusals"),
            ("/export.csv?sort=x", "bytesIn"),
            ("/export.json?order=x", "desc"),
            ("/state?sort=%FF", "bytesIn"),
        ]:
            answer = self.ask(path)
            self.assertEqual(answer.status, 400, path)
            self.assertIn(known, answer.json["problem"])

    @given(st.binary(max_size=20), st.sampled_from(("find", "sort", "order", "room", "table")))
    def test_anyParameter(self, value: bytes, name: str) -> None:
        """
        Any value of a parameter gets a response.
        """
        self.setUp()
        self.server.connect()
        quoted = quote(value)
        for path in ("/export.csv", "/export.json", "/state"):
            self.assertIn(self.ask(f"{path}?{name}={quoted}").status, (200, 400))

    def test_error(self) -> None:
        """
        An error is logged, and the request is answered.
        """

        def describeAll(view: View) -> None:
            raise ValueError("broken")

        self.patch(self.dashboard.state, "describeAll", describeAll)
        for path in ("/export.json", "/export.csv"):
            self.assertEqual(self.ask(path).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
