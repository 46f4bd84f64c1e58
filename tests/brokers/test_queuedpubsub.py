"""
Tests for L{openfl_twisted.brokers.queuedpubsub} and L{openfl_twisted.brokers.outbox}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.brokers.outbox import BrokerLimits, Outbox, Waiting
from openfl_twisted.rooms.pubsub import IPubSub, PubSubState
from tests.brokers.doubles import LIMITS, NODE, OTHER, RecordingListener, envelope
from tests.brokers.lossybroker import LossyBroker, LossyPubSub
from tests.doubles import linesOf


class QueuedPubSubTests(SynchronousTestCase):
    """
    Two nodes in one process.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.broker = LossyBroker()
        self.one, self.other = self.node(NODE), self.node(OTHER)
        self.received: list[bytes] = []
        self.listener = RecordingListener()
        self.other.addListener(self.listener)

    def node(self, node: bytes) -> LossyPubSub:
        return LossyPubSub(self.broker, node=node, limits=LIMITS, clock=self.clock)

    def startNodes(self) -> None:
        """
        Start both nodes, and subscribe the second one to a topic.
        """
        for pubSub in (self.one, self.other):
            self.assertTrue(self.successResultOf(pubSub.start()))
        self.other.subscribe("a", self.received.append)

    def test_interface(self) -> None:
        """
        L{QueuedPubSub} implements L{IPubSub}.
        """
        self.assertIsInstance(self.one, IPubSub)
        self.assertEqual(repr(self.one), "<LossyPubSub memory: stopped>")

    def test_publish(self) -> None:
        """
        Messages are delivered in order to the nodes that have subscribed to the topic.
        """
        self.startNodes()
        for topic, payload in [("a", b"1"), ("b", b"2"), ("a", b"3")]:
            self.assertTrue(self.one.publish(topic, payload))
        self.assertEqual(self.received, [b"1", b"3"])
        self.assertEqual((self.one.published, self.other.received), (3, 2))
        self.assertEqual(self.listener.events, [("up",)])
        self.assertIs(self.other.state, PubSubState.UP)

    def test_alone(self) -> None:
        """
        A node does not receive its own messages.
        """
        pubSub = LossyPubSub(clock=self.clock)
        pubSub.start()
        pubSub.subscribe("a", self.received.append)
        self.assertTrue(pubSub.publish("a", b"1"))
        pubSub.arrived("a", envelope(1, b"1", pubSub.node))
        self.assertEqual((self.received, len(pubSub.node)), ([], 16))

    def test_unsubscribe(self) -> None:
        """
        An unsubscribed topic is not delivered. Subscribing again causes no gap.
        """
        self.startNodes()
        self.one.publish("a", b"1")
        self.other.unsubscribe("a")
        self.other.unsubscribe("a")
        self.one.publish("a", b"2")
        self.other.subscribe("a", self.received.append)
        self.one.publish("a", b"3")
        self.assertEqual((self.received, self.other.gaps), ([b"1", b"3"], 0))
        self.assertEqual(self.other.topics, ["a"])

    def test_wrongTopics(self) -> None:
        """
        A topic is text of 1 to 1024 bytes, and is subscribed to once.
        """
        self.startNodes()
        self.assertRaisesRegex(ValueError, "already", self.other.subscribe, "a", print)
        for topic, message in [
            ("", "not 0"),
            ("ü" * 513, "not 1026"),
            ("\ud800", "without surrogates"),
        ]:
            self.assertRaisesRegex(ValueError, message, self.one.publish, topic, b"")
            self.assertRaisesRegex(ValueError, message, self.one.subscribe, topic, print)

    def test_gap(self) -> None:
        """
        Lost messages are counted, and reported with the next message.
        """
        self.startNodes()
        self.one.publish("a", b"1")
        self.broker.copies = 0
        for _ in range(3):
            self.one.publish("a", b"lost")
        self.broker.copies = 1
        self.assertEqual(self.other.gaps, 0)
        self.one.publish("a", b"2")
        self.assertEqual(self.received, [b"1", b"2"])
        self.assertEqual((self.other.gaps, self.other.missed), (1, 3))
        self.assertEqual(self.listener.events, [("up",), ("gap", "a", NODE, 3)])

    def test_duplicates(self) -> None:
        """
        A repeated message is delivered once.
        """
        self.startNodes()
        self.broker.copies = 2
        self.one.publish("a", b"1")
        self.one.publish("a", b"2")
        self.assertEqual((self.received, self.other.duplicates), ([b"1", b"2"], 2))

    def test_restart(self) -> None:
        """
        A restarted node begins with low sequence numbers, which causes no gap.
        """
        self.startNodes()
        for _ in range(5):
            self.one.publish("a", b"1")
        again = self.node(NODE)
        again.start()
        again.publish("a", b"2")
        again.publish("a", b"3")
        self.assertEqual(self.received[5:], [b"2", b"3"])
        self.assertEqual((self.other.gaps, self.other.duplicates), (0, 0))

    @given(st.binary(max_size=60))
    def test_malformed(self, data: bytes) -> None:
        """
        Malformed data is counted and dropped.
        """
        pubSub = LossyPubSub(clock=self.clock)
        received: list[bytes] = []
        pubSub.subscribe("a", received.append)
        pubSub.arrived("a", data)
        pubSub.arrived("unknown", data)
        self.assertEqual(pubSub.malformed + len(received), 1)

    def test_callbackFails(self) -> None:
        """
        An exception of a callback or of a listener is logged, and delivery continues.
        """

        def fail(*_: object) -> None:
            raise KeyError

        self.startNodes()
        self.other.unsubscribe("a")
        self.other.subscribe("a", fail)
        listener: Any = RecordingListener()
        listener.up = fail
        late = self.node(b"l" * 16)
        late.addListener(listener)
        late.start()
        self.one.publish("a", b"1")
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)
        self.assertEqual(self.other.received, 1)

    def test_order(self) -> None:
        """
        A message that a callback publishes is delivered after the current one.
        """
        self.startNodes()
        order: list[bytes] = []
        third = self.node(b"t" * 16)
        third.start()
        third.subscribe("a", order.append)
        self.other.unsubscribe("a")
        self.other.subscribe("a", lambda payload: self.other.publish("a", b"re: " + payload))
        self.one.publish("a", b"1")
        self.assertEqual(order, [b"1", b"re: 1"])

    def test_down(self) -> None:
        """
        While the broker is unreachable, messages are queued. They are sent in order after
        reconnecting.
        """
        self.startNodes()
        self.broker.cut("gone")
        self.assertEqual((self.one.state, self.one.problem), (PubSubState.DOWN, "gone"))
        self.assertTrue(self.one.publish("a", b"1"))
        self.assertTrue(self.one.publish("a", b"2"))
        self.assertEqual((self.received, self.one.waiting, self.one.published), ([], 2, 0))
        self.broker.mend()
        self.assertEqual((self.received, self.one.waiting), ([b"1", b"2"], 0))
        self.assertEqual((self.one.published, self.one.reconnects), (2, 1))
        self.assertEqual(self.one.problem, "")
        self.assertEqual(self.listener.events, [("up",), ("down", "gone"), ("up",)])

    def test_downAtFirst(self) -> None:
        """
        A node can be started while the broker is unreachable.
        """
        self.broker.cut()
        self.assertFalse(self.successResultOf(self.one.start()))
        self.broker.mend()
        self.assertEqual((self.one.state, self.one.reconnects), (PubSubState.UP, 0))

    def test_downLoggedOnce(self) -> None:
        """
        Each reason is logged once in a row. Listeners are notified of the first one only.
        """
        self.startNodes()
        with capturedLogs() as logs:
            for reason in ("gone", "gone", "still gone"):
                self.other.wentDown(reason)
        self.assertEqual(
            linesOf(logs),
            [f"no connection to the broker memory:: {each}" for each in ("gone", "still gone")],
        )
        self.assertEqual(self.listener.events, [("up",), ("down", "gone")])

    def test_outboxFull(self) -> None:
        """
        Messages beyond the limits of the outbox are dropped and missed by the other
        nodes. This is logged once.
        """
        self.startNodes()
        self.one.publish("a", b"0")
        self.broker.cut()
        with capturedLogs() as logs:
            accepted = [self.one.publish("a", b"%d" % number) for number in range(1, 6)]
        self.assertEqual(accepted, [True, True, True, False, False])
        self.assertEqual(self.one.dropped, 2)
        self.assertEqual(len(linesOf(logs)), 1)
        self.assertIn("message to memory: dropped: the queue is full", linesOf(logs)[0])
        self.broker.mend()
        self.one.publish("a", b"6")
        self.assertEqual(self.received, [b"0", b"1", b"2", b"3", b"6"])
        self.assertEqual(self.other.missed, 2)

    def test_tooOld(self) -> None:
        """
        Messages queued for too long are dropped and missed by the other nodes.
        """
        self.startNodes()
        self.one.publish("a", b"0")
        self.broker.cut()
        self.one.publish("a", b"1")
        self.clock.advance(15)
        self.one.publish("a", b"2")
        self.clock.advance(6)
        self.broker.mend()
        self.assertEqual(self.received, [b"0", b"2"])
        self.assertEqual((self.one.dropped, self.other.missed), (1, 1))

    def test_tooLarge(self) -> None:
        """
        A payload that is too large is dropped and missed by the other nodes.
        """
        self.startNodes()
        sizes = [1000, 1001, 1]
        self.assertEqual(
            [self.one.publish("a", b"x" * size) for size in sizes], [True, False, True]
        )
        self.assertEqual(([*map(len, self.received)], self.other.missed), ([1000, 1], 1))

    def test_stop(self) -> None:
        """
        A stopped node receives and sends nothing, and can be started again.
        """
        self.startNodes()
        self.broker.cut()
        self.one.publish("a", b"1")
        self.successResultOf(self.one.stop())
        self.successResultOf(self.node(b"x" * 16).stop())
        self.assertEqual((self.one.waiting, self.one.dropped), (0, 1))
        self.assertFalse(self.one.publish("a", b"2"))
        self.assertIs(self.one.state, PubSubState.STOPPED)
        self.broker.mend()
        self.one.start()
        self.one.publish("a", b"3")
        self.assertEqual((self.received, self.one.reconnects), ([b"3"], 0))

    def test_refused(self) -> None:
        """
        Requests that the broker refuses are counted, and logged once.
        """
        with capturedLogs() as logs:
            for _ in range(3):
                self.one.wasRefused("not for you")
        self.assertEqual(linesOf(logs), ["the broker memory: refused an operation: not for you"])
        self.assertEqual((self.one.refused, self.one.problem), (3, "not for you"))


class OutboxTests(SynchronousTestCase):
    """
    L{Outbox} queues messages up to its limits.
    """

    @given(st.lists(st.one_of(st.binary(max_size=90), st.none())))
    def test_limits(self, steps: list[bytes | None]) -> None:
        """
        Messages are accepted in order, and the limits are never exceeded.
        """
        outbox = Outbox(BrokerLimits(maxBytes=100, maxMessages=4))
        expected: list[bytes] = []
        for data in steps:
            if data is None:
                if outbox:
                    self.assertEqual(outbox.take().data, expected.pop(0))
            elif outbox.offer(Waiting(0, "a", data)):
                expected.append(data)
            else:
                self.assertTrue(len(expected) == 4 or sum(map(len, expected)) + len(data) > 100)
            self.assertEqual((len(outbox), outbox.size), (len(expected), sum(map(len, expected))))
            self.assertTrue(len(outbox) <= 4 and outbox.size <= 100)
