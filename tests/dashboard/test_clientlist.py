"""
Tests for L{openfl_twisted.dashboard.clientlist}.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard import clientlist
from openfl_twisted.dashboard.clientlist import ORDERS, SORTS, ClientList, View, _Row, sortKey
from openfl_twisted.dashboard.merging import mergeStates
from openfl_twisted.dashboard.streams import DashboardState
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from tests.dashboard.servers import MonitoredServer, stateOf


class ClientListTests(SynchronousTestCase):
    """
    L{ClientList}.
    """

    def setUp(self) -> None:
        lobby = Lobby(clock=Clock())
        self.server = MonitoredServer(RoomFactory(XMLRoomProtocol, lobby))
        self.list = ClientList(lambda: self.server.factory, self.server.clock)
        self.addCleanup(self.list.stop)

    def selectAll(self, view: View, most: int) -> tuple[list[Any], int]:
        """
        Return the selected clients, and their number.
        """
        self.list.refresh()
        self.server.clock.advance(0)
        rows = self.list.rows()
        assert rows is not None
        return self.list.select(rows, view, most)

    def select(self, most: int = 10, **view: str) -> list[int]:
        """
        Return the numbers of the selected clients.
        """
        clients, _ = self.selectAll(View(**view), most)
        return [client["id"] for client in clients]

    def test_bytes(self) -> None:
        """
        The clients with the most or the fewest bytes are selected, however many clients the
        server has.
        """
        for length in (3, 9, 1, 5):
            self.server.connect(b"x" * length)
        self.assertEqual(self.select(2, sort="bytesIn", order="desc"), [2, 4])
        self.assertEqual(self.select(2, sort="bytesIn", order="asc"), [3, 1])

    def test_age(self) -> None:
        """
        By default, the newest clients come first.
        """
        for _ in range(4):
            self.server.connect()
        self.assertEqual(self.select(3), [4, 3, 2])
        self.assertEqual(self.select(3, order="desc"), [1, 2, 3])

    def test_room(self) -> None:
        """
        Clients in the same room are sorted by their names. Clients in no room come last in both
        orders.
        """
        self.server.connect(b"\0")
        for room, name in [("go", "Ann"), ("chess", "Ben"), ("chess", "Ann")]:
            self.server.connect(f'<join room="{room}" name="{name}"/>\0'.encode())
        self.assertEqual(self.select(sort="room"), [4, 3, 2, 1])
        self.assertEqual(self.select(sort="room", order="desc"), [2, 3, 4, 1])

    def test_rate(self) -> None:
        """
        The clients with the most bytes per second since the previous event are selected.
        """
        clients = [self.server.connect(b"x" * 100), self.server.connect(), self.server.connect()]
        view = View(sort="rate", order="desc")
        self.selectAll(view, 2)
        clients[1].send(b"y" * 20)
        clients[2].send(b"y" * 10)
        self.server.clock.advance(2 - 0.004)
        for _ in range(2):
            # A second stream has the same rates, a few milliseconds later.
            self.server.clock.advance(0.004)
            found, count = self.selectAll(view, 2)
            self.assertEqual([(each["id"], each["rate"]) for each in found], [(2, 10), (3, 5)])
            self.assertEqual(count, 3)

    def test_filter(self) -> None:
        """
        Only the clients that match the filter are sorted and counted.
        """
        for name in ("Ann", "Ben", "Anton"):
            self.server.connect(f'<join room="go" name="{name}"/>\0'.encode())
        clients, count = self.selectAll(View("an", "room", "desc"), 1)
        self.assertEqual(([client["name"] for client in clients], count), (["Anton"], 2))

    def test_columns(self) -> None:
        """
        Clients can be sorted by each column, even if a client has no value in it.
        """
        self.server.connect()
        self.server.connect(b'<join room="go"/>\0')
        for sort in SORTS:
            for order in ORDERS:
                self.assertEqual(sorted(self.select(sort=sort, order=order)), [1, 2])

    def test_reconnected(self) -> None:
        """
        A client that has disconnected after the clients were read is not shown.
        """
        self.patch(clientlist, "_PART", 2)
        clients = [self.server.connect() for _ in range(5)]
        self.assertEqual(self.select(), [5, 4, 3, 2, 1])
        clients[1].abort()
        rows = self.list.rows()
        assert rows is not None
        shown, _ = self.list.select(rows, View(), 10)
        self.assertEqual([client["id"] for client in shown], [5, 4, 3, 1])

    @given(
        st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 5)), min_size=1),
        st.sampled_from(ORDERS),
    )
    def test_merged(self, found: list[tuple[str, int | None]], order: str) -> None:
        """
        The merged clients of several processes are in the same order as those of one process.
        """
        server = MonitoredServer()
        state = stateOf(server)
        view = View(sort="pingTime", order=order)
        clients: list[dict[str, Any]] = [
            {"process": process, "pingTime": ping} for process, ping in found
        ]
        states = [
            {**state, "clients": [each for each in clients if each["process"] == process]}
            for process in "ab"
        ]
        merged = mergeStates(states, view, 3)["clients"]
        pings = [each["pingTime"] for each in merged]
        known = sorted(each for _, each in found if each is not None)
        if order == "desc":
            known.reverse()
        unknown = [None] * (len(found) - len(known))
        self.assertEqual(pings, [*known, *unknown][:3])

    def test_sortKey(self) -> None:
        """
        A client without a value comes after all others in both orders.
        """
        clients: list[dict[str, Any]] = [{"pingTime": None}, {"pingTime": 2}, {}, {"pingTime": 1}]
        for order, expected in [("asc", [1, 2, None, None]), ("desc", [2, 1, None, None])]:
            view = View(sort="pingTime", order=order)
            found = sorted(clients, key=partial(sortKey, view=view), reverse=view.isDescending)
            self.assertEqual([each.get("pingTime") for each in found], expected)


class LargeTests(SynchronousTestCase):
    """
    The clients of a large server are read in parts, so that no iteration of the reactor reads all
    of them.
    """

    def setUp(self) -> None:
        self.patch(clientlist, "_PART", 2)
        self.server = MonitoredServer(RoomFactory(XMLRoomProtocol, Lobby(clock=Clock())))
        self.clock = self.server.clock
        for number in range(7):
            self.server.connect(f'<join room="go" name="n{number % 3}-{number}"/>\0'.encode())
        self.reads: list[int] = []
        # The time that it takes to read a client (seconds).
        self.duration = 0.0
        read = _Row.read

        def count(row: _Row) -> None:
            self.reads.append(row.connection.id)
            self.clock.rightNow += self.duration
            read(row)

        self.patch(_Row, "read", count)
        self.state = DashboardState(self.server, self.clock)
        self.addCleanup(self.state.close)

    def test_parts(self) -> None:
        """
        Each iteration reads one part. The state is known when all clients were read.
        """
        parts: list[list[int]] = []
        calls: list[Callable[[], object]] = []
        self.patch(self.clock, "callLater", lambda delay, do, *args: calls.append(do))
        ready = self.state.refresh()
        self.assertIsNone(self.state.describe())
        self.assertNoResult(ready)
        while calls:
            parts.append(self.reads.copy())
            self.reads.clear()
            do = calls.pop(0)
            if do != self.state._clients._forget:
                do()
        self.successResultOf(ready)
        self.assertEqual([each for each in parts if each], [[1, 2], [3, 4], [5, 6], [7]])
        self.state._clients._drop = None

    def test_described(self) -> None:
        """
        Later, the clients are selected from the list without being read again.
        """
        self.state.refresh()
        self.clock.advance(0)
        self.reads.clear()
        state = self.state.describe(View("n1", "room", "desc"))
        assert state is not None
        self.assertEqual([client["id"] for client in state["clients"]], [5, 2])
        self.assertEqual((state["found"], state["connected"], self.reads), (2, 7, []))

    def test_sameObjects(self) -> None:
        """
        Clients are read again in the same objects, so that the garbage collector has no work.
        """
        self.state.refresh()
        self.clock.advance(0)
        before = self.state._clients.rows()
        self.server.connect(b'<join room="go" name="new"/>\0')
        self.state.refresh()
        self.clock.advance(0)
        after = self.state._clients.rows()
        assert before is not None
        assert after is not None
        self.assertEqual(after[:-1], before)
        self.assertEqual([row.room for row in after[-1:]], [("go", "new")])

    def test_export(self) -> None:
        """
        An export waits until the clients were read.
        """
        exported = self.state.export(View(sort="age", order="desc"))
        self.assertNoResult(exported)
        self.clock.advance(0)
        state = self.successResultOf(exported)
        self.assertEqual([client["id"] for client in state["clients"]], [*range(1, 8)])

    def test_pause(self) -> None:
        """
        Reading takes at most a fifth of the time: until then, the clients are not read again.
        """
        self.duration = 0.1
        self.state.refresh()
        self.clock.advance(0)
        self.reads.clear()
        self.clock.advance(1)
        self.successResultOf(self.state.refresh())
        self.assertEqual(self.reads, [])
        self.clock.advance(2)
        self.state.refresh()
        self.clock.advance(0)
        self.assertEqual(len(self.reads), 7)

    def test_dropped(self) -> None:
        """
        The list refers to closed connections, so it is dropped when no page needs it.
        """
        self.state.refresh()
        self.clock.advance(0)
        self.assertIsNotNone(self.state._clients.rows())
        self.clock.advance(60)
        self.assertIsNone(self.state._clients.rows())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped(self) -> None:
        """
        When the service stops, no clients are read, and no timer runs.
        """
        ready = self.state.refresh()
        self.state.close()
        self.clock.advance(0)
        self.assertEqual((self.reads, self.clock.getDelayedCalls()), ([], []))
        self.assertNoResult(ready)
