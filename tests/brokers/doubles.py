"""
Brokers in memory.
"""

from typing import Any

from twisted.internet import error
from twisted.internet.interfaces import IProtocol, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.rooms.pubsub import IPubSubListener
from openfl_twisted.wire.envelope import Envelope, encode
from tests.doubles import TightTransport, Way

NODE, OTHER = b"n" * 16, b"o" * 16

LIMITS = BrokerLimits(
    maxBytes=200,
    maxMessages=3,
    maxAge=20,
    maxPayload=1000,
    loginTimeout=4,
    pingInterval=10,
    pingTimeout=5,
    retryDelay=1,
    maxRetryDelay=60,
)


def sealed(sequence: int, payload: bytes, node: bytes = OTHER, *, first: bool = False) -> bytes:
    """
    Write what a node publishes.
    """
    return encode(Envelope(node, sequence, payload, first))


@implementer(IPubSubListener)
class Listening:
    """
    Records notifications.
    """

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def up(self) -> None:
        self.told.append(("up",))

    def down(self, reason: str) -> None:
        self.told.append(("down", reason))

    def drained(self) -> None:
        self.told.append(("drained",))

    def gap(self, topic: str, node: bytes, missed: int) -> None:
        self.told.append(("gap", topic, node, missed))


class Line(TightTransport):
    """
    The broker's end of a connection.

    @ivar secured: what TLS was begun with.
    @ivar noDelay: whether bytes leave without delay.
    """

    secured: object = None
    noDelay = False

    def __init__(self, protocol: IProtocol, room: int) -> None:
        super().__init__(protocol, room)
        alsoProvides(self, ITCPTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.noDelay = enabled

    def startTLS(self, creator: object) -> None:
        self.secured = creator

    def said(self) -> bytes:
        """
        Return the bytes written since the last call.
        """
        data: bytes = self.value()
        self.clear()
        return data

    def lose(self) -> None:
        """
        Have the connection be lost.
        """
        self._close(error.ConnectionLost())


class Broker:
    """
    A broker in memory, which accepts connections when the test says so.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.way = Way()

    def accept(self, room: int = 1_000_000, kind: Any = Line) -> Line:
        """
        Accept a connection.

        @param room: how many bytes the broker takes before it reads them.
        @param kind: makes the transport.
        """
        protocol: Any = self.way.factory.buildProtocol(None)  # type: ignore[arg-type]
        line: Line = kind(protocol, room)
        protocol.makeConnection(line)
        self.way.connecting.callback(protocol)
        return line

    def refuse(self) -> None:
        """
        Refuse a connection.
        """
        self.way.connecting.errback(Failure(error.ConnectionRefusedError()))
