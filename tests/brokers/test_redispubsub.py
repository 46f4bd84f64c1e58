"""
Tests for L{openfl_twisted.brokers.redispubsub}, with an in-memory server.
"""

from typing import Any

from hypothesis import given

from openfl_twisted.brokers.gathering import _NODES, _topicOf
from openfl_twisted.brokers.redisconnection import RedisLogin
from openfl_twisted.brokers.redispubsub import RedisPubSub
from openfl_twisted.brokers.redisreplies import command
from tests.brokers import pubsubcase
from tests.brokers.doubles import LIMITS, NODE, Broker, envelope
from tests.brokers.replies import streams

HELLO = b"%1\r\n$5\r\nproto\r\n:3\r\n"


class RedisPubSubTests(pubsubcase.BrokerPubSubCase):
    """
    L{RedisPubSub} with a Redis server.
    """

    PING = command(b"PING")
    GREETING = HELLO + b"+PONG\r\n"
    DENIED = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"

    def build(self, broker: Broker, **options: Any) -> RedisPubSub:
        options = {"login": RedisLogin(None, "secret")} | options
        return RedisPubSub(
            broker.endpoint,
            "redis://broker:6379",
            node=NODE,
            limits=LIMITS,
            clock=broker.clock,
            **options,
        )

    def topic(self, topic: str) -> bytes:
        return b"openfl:" + topic.encode()

    def delivery(self, topic: str, data: bytes) -> bytes:
        return b">" + command(b"message", self.topic(topic), data)[1:]

    def test_greeting(self) -> None:
        """
        The client selects the protocol, logs in, and then subscribes to its topics.
        """
        self.pubSub.subscribe("ü", self.received.append)
        self.pubSub.start()
        transport = self.broker.accept()
        self.assertEqual(
            transport.takeOutput(), command(b"HELLO", b"3", b"AUTH", b"default", b"secret")
        )
        transport.arrive(HELLO)
        topics = ("ü", _NODES, _topicOf(NODE))
        wanted = [command(b"SUBSCRIBE", f"openfl:{topic}".encode()) for topic in topics]
        self.assertEqual(transport.takeOutput(), b"".join(wanted) + command(b"PING"))

    def test_logins(self) -> None:
        """
        Without a login or password, no credentials are sent.
        """
        for login, words in [
            (RedisLogin("me", "x y"), [b"AUTH", b"me", b"x y"]),
            (RedisLogin(), []),
            (None, []),
        ]:
            broker = Broker()
            self.build(broker, login=login).start()
            self.assertEqual(broker.accept().takeOutput(), command(b"HELLO", b"3", *words))

    def test_passwordMissing(self) -> None:
        """
        A server that requires a password is reported as such.
        """
        broker = Broker()
        pubSub = self.build(broker, login=None)
        pubSub.start()
        broker.accept().arrive(b"-NOAUTH Authentication required.\r\n")
        self.assertEqual(pubSub.problem, "error reply: NOAUTH Authentication required.")

    def test_tooOld(self) -> None:
        """
        A server without the protocol is reported as too old. Its reply, which contains
        the password, is not shown.
        """
        self.pubSub.start()
        self.broker.accept().arrive(
            b"-ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `secret`, \r\n"
        )
        self.assertEqual(self.pubSub.problem, "the broker is too old: Redis 6 or newer is required")

    def test_passwordRepeated(self) -> None:
        """
        The password is removed from the server's error messages.
        """
        self.pubSub.start()
        self.broker.accept().arrive(b"-ERR what is secret\r\n")
        self.assertEqual(self.pubSub.problem, "error reply: ERR what is ***")

    def test_replies(self) -> None:
        """
        Replies to commands are ignored, except for errors.
        """
        transport = self.connect()
        transport.arrive(b":1\r\n>3\r\n+subscribe\r\n+openfl:a\r\n:1\r\n+PONG\r\n")
        transport.arrive(b">3\r\n$7\r\nmessage\r\n*0\r\n:1\r\n>1\r\n+invalidate\r\n")
        self.assertEqual((self.pubSub.refused, self.pubSub.reconnects), (0, 0))
        transport.arrive(b"-NOPERM this user has no permissions to access a channel\r\n")
        self.assertEqual(self.pubSub.refused, 1)
        self.assertIn("NOPERM", self.pubSub.problem)
        self.assertFalse(transport.closed)

    def test_limit(self) -> None:
        """
        A message far larger than the limit closes the connection as soon as its length is
        received.
        """
        transport = self.connect()
        transport.arrive(b">3\r\n$7\r\nmessage\r\n$8\r\nopenfl:a\r\n$100000000\r\n")
        self.assertTrue(transport.closed)
        self.assertIn("a string of 100000000 bytes", self.pubSub.problem)

    @given(streams)
    def test_anyBytes(self, stream: bytes) -> None:
        """
        Any bytes are ignored, or close the connection with the reason.
        """
        broker = Broker()
        pubSub = self.build(broker)
        pubSub.subscribe("a", self.received.append)
        pubSub.start()
        transport = broker.accept()
        transport.arrive(self.GREETING + stream)
        self.assertEqual(transport.closed, "invalid data from the broker" in pubSub.problem)

    def test_otherPublishers(self) -> None:
        """
        Messages of other publishers on a channel are counted and dropped.
        """
        self.pubSub.subscribe("a", self.received.append)
        transport = self.connect()
        transport.arrive(self.delivery("a", b"hi") + self.delivery("\x00", envelope(1, b"")))
        transport.arrive(b">3\r\n+message\r\n$8\r\nopenfl:\xff\r\n+x\r\n")
        self.assertEqual((self.pubSub.malformed, self.received), (1, []))
