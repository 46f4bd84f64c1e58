"""
A relay through the publish/subscribe of Redis or Valkey, 6 or newer.

It publishes and subscribes on one connection, which RESP3 allows: so what it
publishes keeps its order with the topics that it asks for, and one sign of life
is one for both.
"""

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from openfl_twisted.rooms.brokerlink import BrokerLink
from openfl_twisted.rooms.brokerrelay import PREFIX, BrokerRelay, RelayConnection
from openfl_twisted.rooms.outbox import RelayLimits
from openfl_twisted.rooms.redisconnection import (
    RedisConnection,
    RedisLogin,
    RedisProblem,
    Reply,
    checkInstalled,
    command,
)
from openfl_twisted.wire.envelope import OVERHEAD

_PING = command(b"PING")


class RedisRelayConnection(RedisConnection, RelayConnection):
    """
    The connection of a relay. It publishes without waiting for replies.

    When the server answers a C{PING} behind the topics, it has let us in.
    """

    def __init__(self, link: BrokerLink, relay: "RedisRelay") -> None:
        """
        @param link: see
            L{BrokerConnection<openfl_twisted.rooms.brokerlink.BrokerConnection>}.
            A reply may have its C{maxPayload} and 64 KiB more.
        @param relay: gets what comes, and has the topics and the login.
        """
        # What comes is a payload, the name of a channel, and a little more.
        super().__init__(link, relay.login, link.limits.maxPayload + OVERHEAD + 64 * 1024)
        self._relay = relay
        self._prefix = f"{relay.prefix}:".encode()

    def welcomed(self) -> None:
        """
        Ask for all topics.
        """
        self.speaking = True
        self._relay.speaker = self
        for topic in self._relay.channels:
            self.subscribe(topic)
        self.writePing()

    def replyReceived(self, reply: Reply) -> None:
        """
        Take what was published; and to what was commanded, only what went wrong.
        """
        match reply:
            case [b"message", bytes(channel), bytes(payload)]:
                topic = channel[len(self._prefix) :].decode(errors="replace")
                self._relay.arrived(topic, payload)
            case RedisProblem(text):
                self._relay.wasRefused(f"the broker says: {text}")
            case "PONG":
                if self.link.connection is None:
                    self.ready()

    def writePing(self) -> None:
        """
        Ask for a sign of life.
        """
        self.transport.write(_PING)

    def publish(self, topic: str, data: bytes) -> bool:
        """
        Publish something.
        """
        self.transport.write(command(b"PUBLISH", self._channel(topic), data))
        return True

    def subscribe(self, topic: str) -> None:
        """
        Ask for a topic.
        """
        self.transport.write(command(b"SUBSCRIBE", self._channel(topic)))

    def unsubscribe(self, topic: str) -> None:
        """
        Ask for it no more.
        """
        self.transport.write(command(b"UNSUBSCRIBE", self._channel(topic)))

    def _channel(self, topic: str) -> bytes:
        return self._prefix + topic.encode()


class RedisRelay(BrokerRelay[RedisRelayConnection]):
    """
    A relay through Redis.

    @ivar login: who we are.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        description: str,
        *,
        login: RedisLogin | None = None,
        prefix: str = PREFIX,
        node: bytes | None = None,
        limits: RelayLimits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param endpoint: how to get to the server; with TLS, if that is wanted.
        @param description: see L{BrokerRelay}.
        @param login: who we are; C{None} for nobody special.
        @param prefix: see L{BrokerRelay}.
        @param node: see L{BrokerRelay}.
        @param limits: see L{BrokerRelay}.
        @param clock: see L{BrokerRelay}.
        @raise ImportError: if txredisapi is not installed.
        """
        checkInstalled()
        super().__init__(
            endpoint, description, prefix=prefix, node=node, limits=limits, clock=clock
        )
        self.login = login or RedisLogin()

    def build(self, link: BrokerLink) -> RedisRelayConnection:
        """
        Make a connection.
        """
        return RedisRelayConnection(link, self)
