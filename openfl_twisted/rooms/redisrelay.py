"""
A relay through the publish/subscribe of Redis or Valkey, 6 or newer. It needs no
library: L{openfl_twisted.wire.resp} says why.
"""

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from openfl_twisted.rooms.brokerlink import BrokerConnection, BrokerLink
from openfl_twisted.rooms.brokerrelay import PREFIX, BrokerRelay, RelayConnection
from openfl_twisted.rooms.outbox import RelayLimits
from openfl_twisted.wire.envelope import OVERHEAD
from openfl_twisted.wire.resp import MAX_REPLY, Push, RedisProblem, RESPReader, command

_PING = command(b"PING")


class RedisLogin:
    """
    Who we are for Redis. Its text has no password in it.
    """

    def __init__(self, user: str | None = None, password: str | None = None) -> None:
        """
        @param user: the user; C{None} for the one called C{default}.
        @param password: the password; C{None} if none is wanted.
        """
        self._user = user or "default"
        self._password = password

    def hello(self) -> bytes:
        """
        Write the first command, which also chooses the protocol.
        """
        words = [b"HELLO", b"3"]
        if self._password is not None:
            words += [b"AUTH", self._user.encode(), self._password.encode()]
        return command(*words)

    def problem(self, text: str) -> str:
        """
        Say why the broker has let nobody in.

        @param text: what it says; older servers repeat what they do not know,
            and so the password.
        """
        if "unknown command" in text.lower():
            return "the broker is too old: Redis 6 or newer is needed"
        if self._password:
            text = text.replace(self._password, "***")
        return f"the broker says: {text}"


class RedisConnection(BrokerConnection):
    """
    One connection to Redis.
    """

    greeted = False

    def __init__(self, link: BrokerLink, login: RedisLogin, maxReply: int = MAX_REPLY) -> None:
        super().__init__(link)
        self._login = login
        self._reader = RESPReader(maxReply)

    def welcomed(self) -> None:
        """
        The server knows who we are.
        """
        raise NotImplementedError

    def replyReceived(self, reply: Any) -> None:
        """
        The server has replied, or has something else to say.
        """
        raise NotImplementedError

    def connectionMade(self) -> None:
        """
        Introduce ourselves.
        """
        super().connectionMade()
        self.transport.write(self._login.hello())

    def read(self, data: bytes) -> Iterable[object]:
        """
        Read what the server has sent.
        """
        return self._reader.receive(data)

    def eventReceived(self, event: Any) -> None:
        """
        The server has said something.
        """
        if self.greeted:
            self.replyReceived(event)
        elif isinstance(event, RedisProblem):
            self.fail(self._login.problem(event.text))
        else:
            self.greeted = True
            self.welcomed()


class RedisRelayConnection(RedisConnection, RelayConnection):
    """
    The connection of a relay. It publishes without waiting for replies.

    When the server answers a C{PING} behind the topics, it has let us in.
    """

    def __init__(self, link: BrokerLink, relay: "RedisRelay") -> None:
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
        for topic in self._relay.topics:
            self.subscribe(topic)
        self.writePing()

    def replyReceived(self, reply: Any) -> None:
        """
        Take what was published; and to what was commanded, only what went wrong.
        """
        match reply:
            case Push([b"message", bytes(channel), bytes(payload)]):
                topic = channel[len(self._prefix) :].decode(errors="replace")
                self._relay.arrived(topic, payload)
            case RedisProblem(text):
                self._relay.wasRefused(f"the broker says: {text}")
            case b"PONG":
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
        """
        super().__init__(
            endpoint, description, prefix=prefix, node=node, limits=limits, clock=clock
        )
        self.login = login or RedisLogin()

    def build(self, link: BrokerLink) -> RedisRelayConnection:
        """
        Make a connection.
        """
        return RedisRelayConnection(link, self)
