"""
A server in memory, with a dashboard.
"""

import json
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dashboard.measuring import Measurements
from openfl_twisted.dashboard.page import DashboardService
from openfl_twisted.dashboard.streams import _INTERVAL, DashboardState
from openfl_twisted.protocols.broadcast import BroadcastProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.pubsub import IPubSub
from openfl_twisted.sessions import Recorder
from openfl_twisted.tls.server import ServerCertificates
from openfl_twisted.transports.blocklist import BlockList
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.dialects import DIALECTS
from tests.dashboard.browser import Answer, Visit, visit
from tests.support.clients import Client


class MonitoredServer:
    """
    A broadcast server in memory.
    """

    def __init__(self, wrapped: Any = None, **limits: Any) -> None:
        self.clock = MemoryReactorClock()
        self.isDraining = False
        self.wrapped = wrapped or XMLSocketFactory(BroadcastProtocol)
        self.onePort = OnePortFactory(self.wrapped, clock=self.clock)
        self.blockList: BlockList | None = BlockList(now=self.clock.seconds)
        self.factory = GuardFactory(
            self.onePort, blockList=self.blockList, clock=self.clock, **limits
        )
        self.lobby: Lobby | None = None
        self.pubSub: IPubSub | None = None
        self.dialect = DIALECTS["xml"]
        self.recorder: Recorder | None = None
        self.certificates: ServerCertificates | None = None
        self.measurements: Measurements | None = None

    def connect(self, data: bytes = b"\0") -> Client:
        """
        Connect a client that sends data.
        """
        client = Client(self.factory, self.clock)
        client.send(data)
        return client


def stateOf(server: MonitoredServer) -> dict[str, Any]:
    """
    Return the state of a server.
    """
    state = DashboardState(server, server.clock).describe()
    assert state is not None
    return state


TOKEN = "the-token"
KEY = f"Bearer {TOKEN}"


class DashboardTestCase(SynchronousTestCase):
    """
    Base class: a server with a dashboard.
    """

    def setUp(self) -> None:
        self.open()

    def open(self, wrapped: Any = None, token: str | None = TOKEN) -> None:
        self.server = MonitoredServer(wrapped)
        self.clock = self.server.clock
        endpoint = TCP4ServerEndpoint(self.clock, 9101)
        self.dashboard = DashboardService(self.server, endpoint, token, self.clock)

    def get(self, path: str, **headers: str) -> Answer:
        """
        Send a request without the token.
        """
        return visit(self.dashboard.guard, path, headers)

    def post(self, path: str, body: bytes | dict[str, Any], **headers: str) -> Answer:
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        headers = {"Authorization": KEY, "Content_Type": "application/json", **headers}
        return visit(self.dashboard.guard, path, headers, method="POST", body=body)

    def watch(self, path: str = "/state", room: int = 1 << 20) -> Visit:
        browser = Visit(self.dashboard.guard, room)
        browser.ask("GET", path, Authorization=KEY)
        return browser

    def lastOf(self, browser: Visit) -> dict[str, Any]:
        """
        Wait for the next event, and return its payload.
        """
        self.clock.advance(_INTERVAL)
        return browser.events[-1][1]
