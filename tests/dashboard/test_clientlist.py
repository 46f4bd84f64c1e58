"""
Tests for L{openfl_twisted.dashboard.clientlist}.
"""

from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard.clientlist import ORDERS, SORTS, ClientList, View, sortKey
from openfl_twisted.dashboard.merging import mergeStates
from openfl_twisted.dashboard.streams import DashboardState
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from tests.dashboard.servers import MonitoredServer


class ClientListTests(SynchronousTestCase):
    """
    L{ClientList}.
    """

    def setUp(self) -> None:
        lobby = Lobby(clock=Clock())
        self.server = MonitoredServer(RoomFactory(XMLRoomProtocol, lobby))
        self.list = ClientList()

    def select(self, most: int = 10, **view: str) -> list[int]:
        """
        Return the numbers of the selected clients.
        """
        clients, _ = self.list.select(self.server.factory, View(**view), most)
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
        self.list.select(self.server.factory, view, 2)
        clients[1].send(b"y" * 20)
        clients[2].send(b"y" * 10)
        self.server.clock.advance(2)
        for _ in range(2):
            # A second stream at the same time has the same rates.
            found, count = self.list.select(self.server.factory, view, 2)
            self.assertEqual([(each["id"], each["rate"]) for each in found], [(2, 10), (3, 5)])
            self.assertEqual(count, 3)

    def test_filter(self) -> None:
        """
        Only the clients that match the filter are sorted and counted.
        """
        for name in ("Ann", "Ben", "Anton"):
            self.server.connect(f'<join room="go" name="{name}"/>\0'.encode())
        clients, count = self.list.select(self.server.factory, View("an", "room", "desc"), 1)
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

    @given(
        st.lists(st.tuples(st.sampled_from("ab"), st.none() | st.integers(0, 5)), min_size=1),
        st.sampled_from(ORDERS),
    )
    def test_merged(self, found: list[tuple[str, int | None]], order: str) -> None:
        """
        The merged clients of several processes are in the same order as those of one process.
        """
        server = MonitoredServer()
        state = DashboardState(server, server.clock).describe()
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
