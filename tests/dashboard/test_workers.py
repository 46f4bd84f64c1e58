"""
Tests for metrics and dashboard of several workers: L{openfl_twisted.dashboard.reports},
L{openfl_twisted.dashboard.workermetrics} and L{openfl_twisted.dashboard.workerstreams}.
"""

import json
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import fail
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard.clientlist import View
from openfl_twisted.dashboard.history import SAMPLING, Sample
from openfl_twisted.dashboard.reports import ServerReports
from openfl_twisted.dashboard.streams import (
    _INTERVAL,
    MAX_STREAMS,
    DashboardError,
    DashboardStreams,
)
from openfl_twisted.dashboard.workermetrics import WorkerMetricsService
from openfl_twisted.dashboard.workerstreams import WorkerDashboardService
from openfl_twisted.protocols.policyfile import PolicyFileFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.transports.blocklist import Block, BlockList
from openfl_twisted.wire.policy.file import PolicyFile
from tests.dashboard.browser import Answer, Visit, visit
from tests.dashboard.groups import FakeGroup, FakeWorker
from tests.dashboard.servers import KEY, TOKEN
from tests.doubles import linesOf


class WorkersTestCase(SynchronousTestCase):
    """
    Base class: a server with two workers.
    """

    def setUp(self) -> None:
        self.open()

    def open(self, wrapped: Any = None) -> None:
        """
        Create the workers.

        @param wrapped: the factory of both servers, or a function that creates a factory for each.
        """
        self.clock = MemoryReactorClock()
        wrapped = wrapped if callable(wrapped) else lambda wrapped=wrapped: wrapped
        self.one, self.two = FakeWorker(1, wrapped()), FakeWorker(1002, wrapped())
        self.group = FakeGroup(self.one, self.two)
        self.metrics = WorkerMetricsService(
            self.group, TCP4ServerEndpoint(self.clock, 9100), self.clock
        )
        self.dashboard = WorkerDashboardService(
            self.group, TCP4ServerEndpoint(self.clock, 9101), TOKEN, self.clock
        )

    def read(self) -> list[str]:
        """
        Request the metrics, and return the lines of the response.
        """
        answer = visit(self.metrics.guard, "/metrics", {})
        self.assertEqual(answer.status, 200)
        return answer.body.decode().splitlines()

    def watch(self, path: str = "/state") -> Visit:
        browser = Visit(self.dashboard.guard)
        browser.ask("GET", path, Authorization=KEY)
        return browser

    def post(self, path: str, **body: Any) -> Answer:
        headers = {"Authorization": KEY, "Content_Type": "application/json"}
        return visit(
            self.dashboard.guard, path, headers, method="POST", body=json.dumps(body).encode()
        )

    def next(self, browser: Visit) -> list[tuple[str, dict[str, Any]]]:
        """
        Wait for the next events.
        """
        before = len(browser.events)
        self.clock.advance(_INTERVAL)
        return browser.events[before:]


class MetricsTests(WorkersTestCase):
    """
    L{WorkerMetricsService}.
    """

    def test_sums(self) -> None:
        """
        The metrics are the sums of all workers, with the number of workers.
        """
        self.one.server.connect(b"a\0")
        self.two.server.connect(b"a\0b\0")
        self.group.restarts = 3
        found = self.read()
        for line in [
            'openfl_clients{type="plain"} 2.0',
            "openfl_messages_received_total 3.0",
            "openfl_clients_limit 20000.0",
            "openfl_workers 2.0",
            "openfl_workers_up 2.0",
            "openfl_worker_restarts_total 3.0",
        ]:
            self.assertIn(line, found)
        for name in ("openfl_workers", "process_resident_memory_bytes"):
            self.assertEqual(len([line for line in found if line.startswith(f"# TYPE {name} ")]), 1)

    def test_ended(self) -> None:
        """
        The counters of a worker that has ended are kept, its gauges are not.
        """
        self.one.server.connect(b"a\0")
        self.read()
        self.group.active = [FakeWorker(3), self.two]
        found = self.read()
        self.assertIn("openfl_messages_received_total 1.0", found)
        self.assertIn('openfl_clients{type="plain"} 0.0', found)
        self.group.active = []
        self.assertIn("openfl_messages_received_total 1.0", self.read())

    def test_noAnswer(self) -> None:
        """
        The last metrics of a worker that does not answer are used.
        """
        self.one.server.connect(b"a\0")
        self.read()
        self.one.ask = lambda question, **arguments: fail(DashboardError(503, "late"))  # type: ignore[method-assign]
        self.assertIn("openfl_messages_received_total 1.0", self.read())

    def test_disconnected(self) -> None:
        """
        The response waits for the workers; without a client it is dropped.
        """
        self.one.answering = False
        browser = Visit(self.metrics.guard)
        browser.ask("GET", "/metrics")
        self.assertEqual(browser.transport.value(), b"")
        browser.end()
        self.one.answer()
        self.assertEqual(browser.transport.value(), b"")
        self.one.answering = True
        self.assertIn("openfl_workers_up 2.0", self.read())


class StateTests(WorkersTestCase):
    """
    The stream of the state.
    """

    def test_clients(self) -> None:
        """
        An event has the clients of all workers, with unique numbers, and the workers.
        """
        self.one.server.connect(b"a\0")
        self.two.server.connect(b"a\0")
        browser = self.watch()
        [(name, state)] = self.next(browser)
        self.assertEqual(name, "state")
        self.assertEqual({client["id"] for client in state["clients"]}, {1001, 1002})
        self.assertEqual(state["connected"], 2)
        self.assertEqual(state["time"], self.clock.seconds())
        self.assertEqual(state["workers"], {"count": 2, "up": 2, "restarts": 0})
        self.two.server.connect(b"a\0")
        self.next(browser)
        self.assertEqual(self.next(browser)[0][1]["connected"], 3)

    def test_find(self) -> None:
        """
        Each filter is asked for; the states of a filter without a stream are dropped.
        """
        self.one.server.connect(b"a\0")
        browser = self.watch("/state?find=PLAIN")
        other = self.watch("/state?find=nothing")
        [(_, state)] = self.next(browser)
        self.assertEqual(state["found"], 1)
        self.assertEqual(other.events[-1][1]["found"], 0)
        other.end()
        self.next(browser)
        streams: Any = self.dashboard.state
        self.assertEqual(set(streams._states), {View("plain")})

    def test_briefly(self) -> None:
        """
        Streams that end before the next interval leave no states.
        """
        for number in range(10):
            self.watch(f"/state?find={number}").end()
        self.watch("/state?find=x")
        streams: Any = self.dashboard.state
        self.assertEqual(set(streams._states), {View("x")})

    def test_noAnswer(self) -> None:
        """
        Without an answer, no event is sent, and the worker is not asked again. The last
        state of a worker is shown until it answers or ends.
        """
        for worker in (self.one, self.two):
            worker.answering = False
        browser = self.watch()
        self.assertEqual(self.next(browser) + self.next(browser), [])
        self.assertEqual(self.one.questions, ["state"])
        self.one.server.connect(b"a\0")
        for worker in (self.one, self.two):
            worker.answer()
        self.assertEqual(self.next(browser)[0][1]["connected"], 1)
        self.one.waiting.pop()[0].errback(DashboardError(503, "late"))
        self.assertEqual(self.next(browser)[0][1]["connected"], 1)
        self.group.active.remove(self.one)
        [(_, state)] = self.next(browser)
        self.assertEqual((state["connected"], state["workers"]["up"]), (0, 1))

    def test_kick(self) -> None:
        """
        A client is disconnected by its own worker.
        """
        one, two = self.one.server.connect(), self.two.server.connect()
        self.assertEqual(self.post("/kick", id=1002, reason="spam").json, {"kicked": 1002})
        self.assertEqual((one.closed, two.closed), (False, True))
        for id in (1003, 9002, 1):
            answer = self.post("/kick", id=id)
            self.assertEqual((answer.status, answer.json["problem"][:11]), (404, "this client"))

    def test_broadcast(self) -> None:
        """
        A message is sent to the clients of all workers.
        """
        clients = [self.one.server.connect(), self.two.server.connect(), self.two.server.connect()]
        with capturedLogs() as logs:
            self.assertEqual(self.post("/say", text="hello").json, {"hearers": 3})
        for client in clients:
            client.exchange()
            self.assertIn(b"hello\0", client.received)
        self.assertEqual(linesOf(logs)[-1], "127.0.0.1:5 sent a message to 3 clients (dashboard)")

    def test_noBroadcast(self) -> None:
        """
        A server that does not send messages refuses the command.
        """
        self.open(PolicyFileFactory(PolicyFile.forPort(1)))
        self.assertEqual(self.post("/say", text="hello").status, 409)

    def test_someBroadcast(self) -> None:
        """
        If a worker does not answer, the message is sent by the others.
        """
        self.two.server.connect()
        self.one.ask = lambda question, **arguments: fail(DashboardError(503, "late"))  # type: ignore[method-assign]
        self.assertEqual(self.post("/say", text="hello").json, {"hearers": 1})
        self.group.active = []
        self.assertEqual(self.post("/say", text="hello").json, {"hearers": 0})

    def test_block(self) -> None:
        """
        The blocks are those of the supervisor. Without a block list, it refuses the command.
        """
        self.assertEqual(self.post("/block", address="192.0.2.1", seconds=60).status, 409)
        browser = self.watch()
        self.assertIsNone(self.next(browser)[0][1]["blocked"])
        self.group.blockList = BlockList(now=self.clock.seconds)
        until = self.clock.seconds() + 60
        answer = self.post("/block", address="192.0.2.1", seconds=60)
        [block] = self.next(browser)[0][1]["blocked"]
        self.assertEqual(answer.json, {"blocked": block})
        self.assertEqual((block["address"], block["until"]), ("192.0.2.1", until))
        self.assertEqual(self.post("/unblock", address="192.0.2.1").status, 200)
        self.assertEqual(self.group.blockList.blocks(), [])

    def test_blocks(self) -> None:
        """
        A worker replaces its blocks by those of the supervisor, and disconnects the clients.
        """
        client = self.one.server.connect()
        for address, until in (("192.0.2.1", 60.0), ("192.168.1.1", 60.5)):
            self.one.ask("blocks", blocks=[Block(address, until, "spam")])
            blocks = self.one.server.factory.blockList
            assert blocks is not None
            self.assertEqual(blocks.blocks(), [Block(address, until, "spam")])
            self.assertEqual(client.closed, address == "192.168.1.1")
        self.one.server.factory.blockList = None
        self.assertIsNone(self.successResultOf(self.one.ask("blocks", blocks=[])))

    def test_sort(self) -> None:
        """
        The clients of all workers are sorted together.
        """
        self.one.server.connect(b"abc\0")
        self.two.server.connect(b"a\0")
        self.two.server.connect(b"abcde\0")
        browser = self.watch("/state?sort=bytesIn&order=desc")
        [(_, state)] = self.next(browser)
        self.assertEqual([client["id"] for client in state["clients"]], [2002, 1001, 1002])

    def test_room(self) -> None:
        """
        An event has the members of a room in all workers. The room is closed in all workers.
        """
        clients = []
        self.open(lambda: RoomFactory(XMLRoomProtocol, Lobby(clock=Clock())))
        for worker, name in [(self.one, "Ann"), (self.two, "Ben")]:
            wrapped: Any = worker.server.wrapped
            worker.server.lobby = wrapped.lobby
            clients.append(worker.server.connect(f'<join room="go" name="{name}"/>\0'.encode()))
        browser = self.watch("/state?room=go")
        [(_, state)] = self.next(browser)
        members = [{"name": "Ann", "client": 1001}, {"name": "Ben", "client": 1002}]
        self.assertEqual(state["room"], {"name": "go", "count": 2, "members": members})
        self.assertEqual(self.post("/closeroom", room="go").json, {"members": 2})
        for client in clients:
            client.exchange()
            self.assertIn(b'<error code="closed">', client.received)
        self.assertEqual(self.post("/closeroom", room="go").status, 404)

    def test_server(self) -> None:
        """
        The state has the name of the command, the greatest lag and the memory of all processes.
        """
        for worker in (self.one, self.two):
            server: Any = worker.server
            server.commandName, server.hosts = "openfl-xml", [IPv4Address("TCP", "127.0.0.1", 8080)]
        browser = self.watch()
        self.one.server.clock.advance(3)
        self.next(browser)
        server = self.next(browser)[0][1]["server"]
        self.assertEqual((server["name"], server["ports"]), ("openfl-xml", ["127.0.0.1:8080"]))
        self.assertGreaterEqual(server["lag"], 2)
        self.assertEqual(server["uptime"], 3)

    def test_history(self) -> None:
        """
        The supervisor keeps the history of all workers. A worker that does not answer is omitted.
        """
        self.dashboard.startService()
        self.addCleanup(self.dashboard.stopService)
        self.one.server.connect(b"a\0")
        self.two.server.connect(b"a\0b\0")
        self.clock.advance(SAMPLING)
        self.one.ask = lambda question, **arguments: fail(DashboardError(503, "late"))  # type: ignore[method-assign]
        self.clock.advance(SAMPLING)
        self.two.ask = self.one.ask  # type: ignore[method-assign]
        self.clock.advance(SAMPLING)
        samples = [Sample(*sample) for sample in self.dashboard.state.history.since(0)]
        self.assertEqual([(each.clients, each.messagesIn) for each in samples], [(2, 3), (1, 0)])

    def test_export(self) -> None:
        """
        An export contains the clients of all workers that answer.
        """
        self.one.server.connect(b"a\0")
        self.two.server.connect(b"a\0")
        answer = visit(self.dashboard.guard, "/export.json", {"Authorization": KEY})
        self.assertEqual({client["id"] for client in answer.json["clients"]}, {1001, 1002})
        self.one.ask = lambda question, **arguments: fail(DashboardError(503, "late"))  # type: ignore[method-assign]
        answer = visit(self.dashboard.guard, "/export.csv", {"Authorization": KEY})
        self.assertEqual(len(answer.body.splitlines()), 2)
        self.two.ask = self.one.ask  # type: ignore[method-assign]
        answer = visit(self.dashboard.guard, "/export.csv", {"Authorization": KEY})
        self.assertEqual((answer.status, answer.json), (503, {"problem": "late"}))
        self.group.active = []
        answer = visit(self.dashboard.guard, "/export.csv", {"Authorization": KEY})
        self.assertEqual((answer.status, answer.json), (503, {"problem": "no worker is running"}))

    def test_failure(self) -> None:
        """
        An error of the supervisor is logged.
        """
        self.one.server.connect()
        self.one.answering = False
        browser = Visit(self.dashboard.guard)
        headers = {"Authorization": KEY, "Content_Type": "application/json"}
        browser.ask("POST", "/kick", b'{"id": 1001}', **headers)
        browser.end()
        self.one.answer()
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_abstract(self) -> None:
        """
        The base class has no state.
        """
        streams = DashboardStreams(self.clock)
        self.assertEqual(streams.views(), set())
        self.assertRaises(NotImplementedError, lambda: streams.blockList)


class MessageTests(WorkersTestCase):
    """
    The stream of a client's messages.
    """

    def test_messages(self) -> None:
        """
        An event has the messages of the client since the last one.
        """
        client = self.two.server.connect()
        browser = self.watch("/messages/1002")
        client.send(b"one\0two\0")
        [(name, event)] = self.next(browser)
        self.assertEqual(name, "messages")
        self.assertEqual([each["text"] for each in event["messages"]], ["one", "two"])
        self.assertEqual(self.next(browser), [])
        client.close()
        self.assertEqual([name for name, _ in self.next(browser)], ["gone"])
        self.assertEqual(self.two.questions[-1], "unmonitor")
        self.assertEqual(self.dashboard.state.streams, 0)

    def test_slow(self) -> None:
        """
        A worker is not asked again before it has answered, nor for a slow browser.
        """
        client = self.one.server.connect()
        browser = self.watch("/messages/1001")
        self.one.answering = False
        self.next(browser)
        self.next(browser)
        self.assertEqual(self.one.questions, ["monitor", "messages"])
        client.send(b"one\0")
        self.one.answer()
        self.assertEqual(browser.events[-1][0], "messages")

    def test_closed(self) -> None:
        """
        When the browser disconnects, the client is no longer monitored.
        """
        self.one.server.connect()
        [protocol] = self.one.server.wrapped.connections
        browser, other = self.watch("/messages/1001"), self.watch("/messages/1001")
        browser.end()
        self.assertIsNotNone(protocol.transport.tap)
        self.one.answering = False
        self.next(other)
        other.end()
        self.assertEqual(len(self.one.waiting), 2)
        self.one.answer()
        self.assertIsNone(protocol.transport.tap)

    def test_missing(self) -> None:
        """
        Without such a worker, the stream is refused; without such a client, its event says
        so.
        """
        self.assertEqual(self.watch("/messages/1003").answer.status, 404)
        browser = self.watch("/messages/9001")
        self.assertEqual(
            browser.events[1:],
            [("problem", {"problem": "this client is no longer connected", "missed": 0})],
        )
        self.assertEqual(self.dashboard.state.streams, 0)

    def test_ended(self) -> None:
        """
        When the worker ends, the stream ends, even if the browser has disconnected.
        """
        self.one.server.connect()
        browser, other = self.watch("/messages/1001"), self.watch("/messages/1001")
        self.one.answering = False
        self.next(browser)
        other.end()
        for asked, _, _ in self.one.waiting:
            asked.errback(DashboardError(503, "the worker has ended"))
        self.assertEqual(browser.events[-1][0], "problem")
        self.assertNotEqual(other.events[-1][0], "problem")

    def test_limit(self) -> None:
        """
        A worker has a limit of its own, and does not know other streams.
        """
        self.one.server.connect()
        reports = ServerReports(self.one.server, self.clock)
        for stream in range(MAX_STREAMS):
            reports.monitor(stream, 1)
        self.assertEqual(self.assertRaises(DashboardError, reports.monitor, 99, 1).status, 503)
        self.assertEqual(self.assertRaises(DashboardError, reports.messages, 99).status, 404)
        reports.unmonitor(99)
        reports.unmonitor(0)
        reports.monitor(99, 1)
