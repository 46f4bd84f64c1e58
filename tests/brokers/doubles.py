"""
In-memory brokers.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from twisted.internet import error
from twisted.internet.interfaces import IProtocol, ITCPTransport
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from openfl_twisted.brokers.outbox import BrokerLimits
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


def envelope(sequence: int, payload: bytes, node: bytes = OTHER, *, first: bool = False) -> bytes:
    """
    Encode an envelope as another node publishes it.
    """
    return encode(Envelope(node, sequence, payload, first))


class RecordingListener:
    """
    Records the notifications of an L{IPubSub}.
    """

    def __init__(self) -> None:
        self.events: list[tuple[object, ...]] = []

    def up(self) -> None:
        self.events.append(("up",))

    def down(self, reason: str) -> None:
        self.events.append(("down", reason))

    def drained(self) -> None:
        self.events.append(("drained",))

    def gap(self, topic: str, node: bytes, missed: int) -> None:
        self.events.append(("gap", topic, node, missed))


class BrokerTransport(TightTransport):
    """
    The transport of an in-memory connection to the broker.

    @ivar tlsCreator: the argument of C{startTLS}.
    @ivar noDelay: whether Nagle's algorithm is disabled.
    """

    tlsCreator: object = None
    noDelay = False

    def __init__(self, protocol: IProtocol, capacity: int) -> None:
        super().__init__(protocol, capacity)
        alsoProvides(self, ITCPTransport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.noDelay = enabled

    def startTLS(self, creator: object) -> None:
        self.tlsCreator = creator

    def takeOutput(self) -> bytes:
        """
        Return the bytes written since the last call.
        """
        data: bytes = self.value()
        self.clear()
        return data

    def breakConnection(self) -> None:
        self._close(error.ConnectionLost())


class Broker:
    """
    An in-memory broker. The test accepts or refuses each connection attempt.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.way = Way()

    def accept(self, capacity: int = 1_000_000, kind: Any = BrokerTransport) -> BrokerTransport:
        """
        Accept a connection.

        @param capacity: number of bytes that can be written before the broker reads.
        @param kind: the class of the transport.
        """
        protocol: Any = self.way.factory.buildProtocol(None)  # type: ignore[arg-type]
        transport: BrokerTransport = kind(protocol, capacity)
        protocol.makeConnection(transport)
        self.way.connecting.callback(protocol)
        return transport

    def refuse(self) -> None:
        self.way.connecting.errback(Failure(error.ConnectionRefusedError()))


@contextmanager
def withoutHiredis() -> Iterator[None]:
    """
    Make C{import hiredis} fail while the block runs, as if it was not installed.
    """
    with mock.patch.dict(sys.modules, {"hiredis": None}):
        for name in [*sys.modules]:
            if name.startswith("openfl_twisted.brokers.redis"):
                del sys.modules[name]
        yield
