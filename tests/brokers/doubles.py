"""
In-memory brokers.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory

from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.testing import Attempt, MemoryNetwork, Peer
from openfl_twisted.wire.envelope import Envelope, encode

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


class BrokerPeer(Peer):
    """
    The broker's side of a connection. Its methods run the network until it is idle.
    """

    def __init__(self, network: MemoryNetwork, capacity: int | None) -> None:
        super().__init__()
        self._network = network
        self._capacity = capacity
        self._taken = 0

    def connectionMade(self) -> None:
        self.connection = self._network.connections[-1]
        if self._capacity is not None:
            self.connection.toServer.window = self._capacity
            self.connection.toServer.stall()

    @property
    def closed(self) -> bool:
        """
        Whether the client has closed the connection. The broker may not have noticed it.
        """
        self._network.flush()
        return self.connection.toClient.closed

    def arrive(self, data: bytes) -> None:
        """
        Send data, unless the connection is closed.
        """
        self.transport.write(data)
        self._network.flush()

    def takeOutput(self) -> bytes:
        """
        Return the bytes received since the last call.
        """
        self._network.flush()
        data = self.received[self._taken :]
        self._taken += len(data)
        return data

    def drainAll(self) -> None:
        """
        Read all data, now and later.
        """
        self.connection.toServer.resume()
        self._network.flush()

    def breakConnection(self) -> None:
        self.connection.reset()
        self._network.flush()


class Broker:
    """
    An in-memory broker. The test accepts or refuses each connection attempt.
    """

    def __init__(self) -> None:
        self.network = MemoryNetwork()
        self.network.attempts.hold()
        self.clock = self.network.reactor
        self.endpoint = TCP4ClientEndpoint(self.clock, "192.0.2.1", 6379)

    @property
    def attempts(self) -> list[Attempt]:
        """
        All connection attempts, in order.
        """
        self.network.flush()
        return self.network.attempts.made

    def accept(self, capacity: int | None = None) -> BrokerPeer:
        """
        Accept a connection.

        @param capacity: number of bytes that are in flight or unread at most, until the test
            calls L{BrokerPeer.drainAll} (default: the broker reads all data).
        """
        peer = BrokerPeer(self.network, capacity)
        self.attempts[-1].answer(Factory.forProtocol(lambda: peer))
        return peer

    def refuse(self) -> None:
        self.attempts[-1].refuse()


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
