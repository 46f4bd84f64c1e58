"""
Pub/sub through Redis or Valkey, 6 or newer.

With RESP3, one connection can both publish and subscribe. Messages and subscriptions therefore
keep their order, and one ping checks both.
"""

from openfl_twisted.brokers.brokerlink import BrokerLink
from openfl_twisted.brokers.brokerpubsub import PREFIX, BrokerPubSub, PubSubConnection
from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.brokers.redisconnection import RedisConnection, RedisLogin
from openfl_twisted.brokers.redisreplies import RedisProblem, Reply, command
from openfl_twisted.types import AnyClock, AnyEndpoint
from openfl_twisted.wire.envelope import OVERHEAD

_PING = command(b"PING")


class _RedisPubSubConnection(RedisConnection, PubSubConnection):
    """
    A connection that publishes without waiting for replies.

    The login has succeeded when the server answers the C{PING} that is sent after the
    subscriptions.
    """

    def __init__(self, link: BrokerLink, pubSub: "RedisPubSub") -> None:
        """
        @param link: see
            L{BrokerConnection<openfl_twisted.brokers.brokerlink.BrokerConnection>}. The
            maximum length of a reply is derived from the link's C{maxPayload}.
        @param pubSub: the owner: it receives the messages, and supplies the login and
            the topics to subscribe to.
        """
        # A reply contains a payload, the name of a channel, and a few more bytes.
        super().__init__(link, pubSub.login, link.limits.maxPayload + OVERHEAD + 64 * 1024)
        self._pubSub = pubSub
        self._prefix = f"{pubSub.prefix}:".encode()
        # The subscribed topics by channel.
        self._topics: dict[bytes, str] = {}

    def welcomed(self) -> None:
        self.speaking = True
        self._pubSub.speaker = self
        for topic in self._pubSub.channels:
            self.subscribe(topic)
        self.writePing()

    def replyReceived(self, reply: Reply) -> None:
        # Most replies are messages, or the number of receivers of one.
        if isinstance(reply, list):
            if len(reply) == 3 and reply[0] == b"message":
                _, channel, payload = reply
                if isinstance(channel, bytes) and isinstance(payload, bytes):
                    topic = self._topics.get(channel)
                    if topic is not None:
                        self._pubSub.arrived(topic, payload)
        elif isinstance(reply, RedisProblem):
            self._pubSub.wasRefused(f"error reply: {reply.text}")
        elif reply == b"PONG" and self.link.connection is None:
            self.ready()

    def writePing(self) -> None:
        self.transport.write(_PING)

    def publish(self, topic: str, data: bytes) -> bool:
        self.transport.write(command(b"PUBLISH", self._channel(topic), data))
        return True

    def subscribe(self, topic: str) -> None:
        channel = self._channel(topic)
        self._topics[channel] = topic
        self.transport.write(command(b"SUBSCRIBE", channel))

    def unsubscribe(self, topic: str) -> None:
        channel = self._channel(topic)
        del self._topics[channel]
        self.transport.write(command(b"UNSUBSCRIBE", channel))

    def _channel(self, topic: str) -> bytes:
        return self._prefix + topic.encode()


class RedisPubSub(BrokerPubSub[_RedisPubSubConnection]):
    """
    Pub/sub through Redis.

    @ivar login: the login.
    """

    def __init__(
        self,
        endpoint: AnyEndpoint,
        description: str,
        *,
        login: RedisLogin | None = None,
        prefix: str = PREFIX,
        node: bytes | None = None,
        limits: BrokerLimits | None = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        All other parameters are described in L{BrokerPubSub}.

        @param endpoint: the endpoint of the server, including TLS if the server requires TLS.
        """
        super().__init__(
            endpoint, description, prefix=prefix, node=node, limits=limits, clock=clock
        )
        self.login = login or RedisLogin()

    def build(self, link: BrokerLink) -> _RedisPubSubConnection:
        return _RedisPubSubConnection(link, self)
