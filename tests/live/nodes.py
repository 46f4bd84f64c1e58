"""
Nodes that are connected by a broker.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred

from openfl_twisted.brokers.brokerurl import presenceFromURL, pubSubFromURL
from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.rooms.presence import IPresence
from openfl_twisted.rooms.pubsub import IPubSub
from tests.live.peers import pause, theReactor

LIMITS = BrokerLimits(retryDelay=0.05, maxRetryDelay=0.1, loginTimeout=60)


class Watcher:
    """
    Waits for notifications, and collects received messages.
    """

    def __init__(self) -> None:
        self.notifications: list[str] = []
        self.received: list[bytes] = []
        self._wanted: tuple[object, Deferred[None]] | None = None

    def up(self) -> None:
        self._record("up")

    def down(self, reason: str) -> None:
        self._record("down")

    def drained(self) -> None:
        self._record("drained")

    def gap(self, topic: str, node: bytes, missed: int) -> None:
        pass

    def receive(self, payload: bytes) -> None:
        self.received.append(payload)
        self._check(payload)

    def _record(self, notification: str) -> None:
        self.notifications.append(notification)
        self._check(notification)

    def _check(self, notification: object) -> None:
        if self._wanted is not None and self._wanted[0] == notification:
            (_, found), self._wanted = self._wanted, None
            found.callback(None)

    async def until(self, wanted: str | bytes) -> None:
        """
        Wait until a notification or message is received.
        """
        found: Deferred[None] = Deferred()
        self._wanted = (wanted, found)
        await found


@asynccontextmanager
async def node(url: str, limits: BrokerLimits = LIMITS) -> AsyncIterator[tuple[IPubSub, Watcher]]:
    """
    Subscribe to the topic C{room} while the block runs.
    """
    pubSub: Any = pubSubFromURL(url, theReactor(), limits=limits)
    watcher = Watcher()
    pubSub.addListener(watcher)
    pubSub.subscribe("room", watcher.receive)
    await pubSub.start()
    try:
        yield pubSub, watcher
    finally:
        await pubSub.stop()
        # The connection of an aborted handshake is closed one reactor iteration later.
        await pause(0)


@asynccontextmanager
async def present(url: str, node: bytes) -> AsyncIterator[IPresence]:
    """
    Connect a presence while the block runs.
    """
    presence: Any = presenceFromURL(url, theReactor(), node, limits=LIMITS)
    await presence.start()
    try:
        yield presence
    finally:
        await presence.stop()
