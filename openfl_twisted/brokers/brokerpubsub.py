"""
Pub/sub on one connection to a broker.
"""

from typing import Generic, TypeVar, cast

from twisted.internet.defer import Deferred

from openfl_twisted.brokers.brokerlink import BrokerConnection, BrokerLink, LinkUser
from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.brokers.queuedpubsub import QueuedPubSub
from openfl_twisted.rooms.pubsub import PubSubState
from openfl_twisted.types import AnyClock, AnyEndpoint


class PubSubConnection(BrokerConnection):
    """
    A connection that publishes and subscribes.

    @ivar speaking: whether commands can be written. Set to C{True} when the login is sent,
        directly before the subscriptions.
    """

    speaking = False

    def publish(self, topic: str, data: bytes) -> bool:
        """
        Write the command that publishes an envelope.

        @param topic: the topic, without the prefix.
        @param data: the envelope.
        @return: C{False} if the broker would always refuse the envelope.
        """
        raise NotImplementedError

    def subscribe(self, topic: str) -> None:
        """
        Write the command that subscribes to a topic.

        @param topic: the topic, without the prefix.
        """
        raise NotImplementedError

    def unsubscribe(self, topic: str) -> None:
        """
        Write the command that unsubscribes from a topic.

        @param topic: the topic, without the prefix.
        """
        raise NotImplementedError


C = TypeVar("C", bound=PubSubConnection)

PREFIX = "openfl"
"""
Default prefix of all topics and keys. Servers that share a broker, but not their
rooms, need different prefixes.
"""


class BrokerPubSub(QueuedPubSub, LinkUser, Generic[C]):
    """
    Base class of pub/sub through one broker. A subclass creates the connections.

    @ivar prefix: the prefix of all topics.
    @ivar speaker: the connection, as soon as commands can be written to it; otherwise C{None}.
    """

    def __init__(
        self,
        endpoint: AnyEndpoint,
        description: str,
        *,
        prefix: str = PREFIX,
        node: bytes | None = None,
        limits: BrokerLimits | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        All other parameters are described in L{QueuedPubSub}.

        @param description: the address of the broker as shown in logs, without passwords.
        """
        super().__init__(description, node=node, limits=limits, clock=clock)
        self.prefix = prefix
        self._link = BrokerLink(endpoint, description, self.build, self, self.limits, self.clock)
        self.speaker: C | None = None

    def build(self, link: BrokerLink) -> C:
        """
        Create a connection.

        @return: the protocol, not connected yet.
        """
        raise NotImplementedError

    def start(self) -> Deferred[bool]:
        self.state = PubSubState.CONNECTING
        return self._link.start()

    def stop(self) -> Deferred[None]:
        self.wasStopped()
        self.speaker = None
        return self._link.stop()

    def isWritable(self) -> bool:
        connection = self._link.connection
        return connection is not None and connection.writable

    def transmit(self, topic: str, data: bytes) -> bool:
        return cast("C", self._link.connection).publish(topic, data)

    def listen(self, topic: str) -> None:
        if self.speaker is not None:
            self.speaker.subscribe(topic)

    def ignore(self, topic: str) -> None:
        if self.speaker is not None:
            self.speaker.unsubscribe(topic)

    def pauseReading(self) -> None:
        if self._link.connection is not None:
            self._link.connection.pauseReading()

    def resumeReading(self) -> None:
        # A new connection is not paused.
        if self._link.connection is not None:
            self._link.connection.resumeReading()

    def linkUp(self) -> None:
        self.wentUp()

    def linkDown(self, reason: str) -> None:
        self.speaker = None
        self.wentDown(reason)

    def linkWritable(self) -> None:
        self.flush()
