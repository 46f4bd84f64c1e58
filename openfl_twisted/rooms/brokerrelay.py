"""
A relay through a broker that is reached by a connection.
"""

from typing import Generic, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from openfl_twisted.rooms.baserelay import Relay
from openfl_twisted.rooms.brokerlink import BrokerConnection, BrokerLink, LinkUser
from openfl_twisted.rooms.outbox import RelayLimits
from openfl_twisted.rooms.relay import RelayState


class RelayConnection(BrokerConnection):
    """
    The connection of a relay.

    @ivar speaking: whether commands can be written: the broker knows who we are,
        and all topics were asked for.
    """

    speaking = False

    def publish(self, topic: str, data: bytes) -> bool:
        """
        Write the command that publishes something.

        @param topic: the topic, without the prefix.
        @param data: the envelope.
        @return: C{False} if the broker does not take anything like it.
        """
        raise NotImplementedError

    def subscribe(self, topic: str) -> None:
        """
        Write the command that asks for a topic.

        @param topic: the topic, without the prefix.
        """
        raise NotImplementedError

    def unsubscribe(self, topic: str) -> None:
        """
        Write the command that ends that.

        @param topic: the topic, without the prefix.
        """
        raise NotImplementedError


C = TypeVar("C", bound=RelayConnection)

PREFIX = "openfl"
"""
What stands in front of all topics, if nobody says otherwise. Servers that share
a broker, and not their rooms, have different ones.
"""


class BrokerRelay(Relay, LinkUser, Generic[C]):
    """
    A relay through a broker. Subclasses say which connection it has.

    @ivar prefix: what stands in front of all topics.
    @ivar speaker: the connection to which topics can be given, before and while
        it is ready; C{None} if there is none.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        description: str,
        *,
        prefix: str = PREFIX,
        node: bytes | None = None,
        limits: RelayLimits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param endpoint: how to get to the broker.
        @param description: where that is, for people; without passwords.
        @param prefix: what stands in front of all topics.
        @param node: see L{Relay}.
        @param limits: see L{Relay}.
        @param clock: see L{Relay}.
        """
        super().__init__(description, node=node, limits=limits, clock=clock)
        self.prefix = prefix
        self._link = BrokerLink(endpoint, description, self.build, self, self.limits, self.clock)
        self.speaker: C | None = None

    def build(self, link: BrokerLink) -> C:
        """
        Make a connection.

        @param link: to whom it belongs.
        @return: a connection that has not been opened.
        """
        raise NotImplementedError

    def start(self) -> Deferred[bool]:
        """
        Connect, and stay connected.
        """
        self.state = RelayState.CONNECTING
        return self._link.start()

    def stop(self) -> Deferred[None]:
        """
        Close the connection.
        """
        self.wasStopped()
        self.speaker = None
        return self._link.stop()

    def isWritable(self) -> bool:
        """
        Check whether the broker reads.
        """
        connection = self._link.connection
        return connection is not None and connection.writable

    def transmit(self, topic: str, data: bytes) -> bool:
        """
        Publish something.
        """
        return cast("C", self._link.connection).publish(topic, data)

    def listen(self, topic: str) -> None:
        """
        Ask for a topic.
        """
        if self.speaker is not None:
            self.speaker.subscribe(topic)

    def ignore(self, topic: str) -> None:
        """
        Ask for it no more.
        """
        if self.speaker is not None:
            self.speaker.unsubscribe(topic)

    def linkUp(self) -> None:
        """
        The broker is reached.
        """
        self.wentUp()

    def linkDown(self, reason: str) -> None:
        """
        The broker cannot be reached.
        """
        self.speaker = None
        self.wentDown(reason)

    def linkWritable(self) -> None:
        """
        Send what has waited.
        """
        self.flush()
