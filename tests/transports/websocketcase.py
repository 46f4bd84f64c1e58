"""
WebSockets in memory.
"""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.websocket import WebSocketFactory, WebSocketProtocol
from tests.doubles import TightConnection
from tests.frames import REQUEST, RESPONSE


class Inner(Protocol):
    """
    Records the calls.
    """

    transport: Any

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connectionMade(self) -> None:
        self.told.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.told.append("done" if reason.check(ConnectionDone) else type(reason.value).__name__)

    @property
    def received(self) -> bytes:
        """
        All received bytes.
        """
        return b"".join(piece for piece in self.told if isinstance(piece, bytes))


class WebSocketTestCase(SynchronousTestCase):
    """
    WebSockets that wrap L{Inner}s.
    """

    inner: type[Inner] = Inner

    def setUp(self) -> None:
        """
        Create a clock that the test advances.
        """
        self.clock = Clock()

    def factory(self, **options: Any) -> WebSocketFactory:
        """
        Make a factory.
        """
        return WebSocketFactory(Factory.forProtocol(self.inner), clock=self.clock, **options)

    def connect(
        self, factory: WebSocketFactory, room: int = 1000, **options: Any
    ) -> tuple[WebSocketProtocol, TightConnection]:
        """
        Connect a client that has sent no data.
        """
        transport = TightConnection(None, room, **options)
        factory.buildProtocol(None).makeConnection(transport)
        connection = transport.protocol
        assert isinstance(connection, WebSocketProtocol)
        return connection, transport

    def open(
        self, *, room: int = 1000, **options: Any
    ) -> tuple[WebSocketProtocol, TightConnection, Inner]:
        """
        Connect a client, and complete the opening handshake.
        """
        connection, transport = self.connect(self.factory(**options), room)
        connection.dataReceived(REQUEST)
        transport.drain()
        self.assertEqual(transport.delivered, RESPONSE)
        transport.writes.clear()
        transport.delivered = b""
        inner = connection.wrappedProtocol
        assert isinstance(inner, Inner)
        self.assertEqual(inner.told, ["made"])
        return connection, transport, inner
