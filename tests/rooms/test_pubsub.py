"""
Tests for L{openfl_twisted.rooms.pubsub}.
"""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.rooms.pubsub import (
    IPubSub,
    MemoryBroker,
    MemoryPubSub,
    PubSubState,
)


class Listener:
    """
    Counts how often the broker is reported as reachable.
    """

    def __init__(self) -> None:
        self.ups = 0

    def up(self) -> None:
        self.ups += 1

    def down(self, reason: str) -> None:
        raise NotImplementedError

    def drained(self) -> None:
        raise NotImplementedError

    def gap(self, topic: str, node: bytes, missed: int) -> None:
        raise NotImplementedError


class MemoryPubSubTests(SynchronousTestCase):
    """
    L{MemoryPubSub} connects the nodes of one process.
    """

    def setUp(self) -> None:
        self.broker = MemoryBroker()
        self.one, self.other = MemoryPubSub(self.broker), MemoryPubSub(self.broker)
        for node in (self.one, self.other):
            self.assertTrue(self.successResultOf(node.start()))
        self.received: list[bytes] = []
        self.other.subscribe("a", self.received.append)

    def test_interface(self) -> None:
        """
        L{MemoryPubSub} implements L{IPubSub}, and its node name is random.
        """
        self.assertIsInstance(self.one, IPubSub)
        self.assertEqual(repr(self.one), "<MemoryPubSub memory: up>")
        self.assertEqual((len(self.one.node), self.one.congested), (16, False))
        self.assertNotEqual(self.one.node, self.other.node)
        self.assertEqual(MemoryPubSub(node=b"n" * 16).node, b"n" * 16)

    def test_publish(self) -> None:
        """
        A message is delivered to the other nodes that have subscribed to its topic.
        """
        self.one.subscribe("a", self.received.append)
        for topic, payload in [("a", b"1"), ("b", b"2"), ("a", b"3")]:
            self.assertTrue(self.one.publish(topic, payload))
        self.assertEqual(self.received, [b"1", b"3"])
        self.assertEqual((self.one.published, self.other.received, self.one.received), (3, 2, 0))

    def test_alone(self) -> None:
        """
        Without other nodes, a message is delivered to none.
        """
        node = MemoryPubSub()
        node.start()
        node.subscribe("a", self.received.append)
        self.assertTrue(node.publish("a", b"1"))
        self.assertEqual(self.received, [])

    def test_unsubscribe(self) -> None:
        """
        A topic can be unsubscribed from, and subscribed to again.
        """
        self.assertEqual(self.other.topics, ["a"])
        self.other.unsubscribe("a")
        self.other.unsubscribe("a")
        self.one.publish("a", b"1")
        self.other.subscribe("a", self.received.append)
        self.one.publish("a", b"2")
        self.assertEqual(self.received, [b"2"])

    def test_wrongTopics(self) -> None:
        """
        A topic is text of 1 to 1024 bytes, and subscribed to once.
        """
        self.assertRaisesRegex(ValueError, "already", self.other.subscribe, "a", print)
        for topic, message in [("", "not 0"), ("ü" * 513, "not 1026"), ("\ud800", "surrogates")]:
            self.assertRaisesRegex(ValueError, message, self.one.publish, topic, b"")
            self.assertRaisesRegex(ValueError, message, self.one.subscribe, topic, print)

    def test_exceptions(self) -> None:
        """
        An exception of a callback or of a listener is logged.
        """

        def fail(*_: object) -> None:
            raise KeyError

        third = MemoryPubSub(self.broker)
        listener: Any = Listener()
        listener.up = fail
        other = Listener()
        third.addListener(listener)
        third.addListener(other)
        third.start()
        third.subscribe("a", fail)
        self.one.publish("a", b"1")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)
        self.assertEqual((other.ups, third.received, self.received), (1, 1, [b"1"]))

    def test_order(self) -> None:
        """
        A message that a callback publishes is delivered after the current one.
        """
        third = MemoryPubSub(self.broker)
        third.start()
        third.subscribe("a", self.received.append)
        self.other.unsubscribe("a")
        self.other.subscribe("a", lambda payload: self.other.publish("a", b"re: " + payload))
        self.one.publish("a", b"1")
        self.assertEqual(self.received, [b"1", b"re: 1"])

    def test_stop(self) -> None:
        """
        A stopped node receives and sends nothing, and can be started again.
        """
        for node in (self.other, MemoryPubSub(self.broker)):
            self.successResultOf(node.stop())
            self.assertIs(node.state, PubSubState.STOPPED)
        self.one.publish("a", b"1")
        self.assertFalse(self.other.publish("a", b"2"))
        self.assertEqual((self.received, self.other.dropped), ([], 1))
        self.other.start()
        self.one.publish("a", b"3")
        self.assertEqual(self.received, [b"3"])
