"""
Tests for all brokers.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from openfl_twisted.brokers.gathering import BYE, HELLO, HERE, NODES, topicOf
from openfl_twisted.rooms.pubsub import IPubSub, PubSubState
from tests.brokers.doubles import LIMITS, NODE, OTHER, Broker, Line, Listening, sealed
from tests.doubles import TightTransport, linesOf


class BrokerPubSubCase(SynchronousTestCase):
    """
    The tests; subclasses have the protocol of a broker.
    """

    PING: bytes
    GREETING: bytes
    """
    The bytes of the broker until the login has succeeded.
    """

    DENIED: bytes
    """
    The bytes of the broker after a wrong password.
    """

    def build(self, broker: Broker) -> Any:
        raise NotImplementedError

    def topic(self, topic: str) -> bytes:
        """
        The name of a topic for the broker.
        """
        raise NotImplementedError

    def delivery(self, topic: str, data: bytes) -> bytes:
        """
        What the broker says when something was published.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        self.broker = Broker()
        self.clock = self.broker.clock
        self.pubSub = self.build(self.broker)
        self.listener = Listening()
        self.pubSub.addListener(self.listener)
        self.heard: list[bytes] = []

    def begin(self, room: int = 1_000_000) -> Line:
        """
        Start it, and accept its login.
        """
        started: Deferred[bool] = self.pubSub.start()
        line = self.letIn(room)
        self.assertTrue(self.successResultOf(started))
        return line

    def letIn(self, room: int = 1_000_000) -> Line:
        """
        Let the pubSub in.
        """
        line = self.broker.accept(room)
        line.arrive(self.GREETING)
        return line

    def test_interface(self) -> None:
        """
        The class implements the interface, and its C{repr} contains no password.
        """
        verifyObject(IPubSub, self.pubSub)
        self.assertIn(" stopped>", repr(self.pubSub))
        for value in vars(self.pubSub).values():
            self.assertNotIn("secret", repr(value))

    def test_up(self) -> None:
        """
        It is up when the broker has let it in, and not before.
        """
        started = self.pubSub.start()
        self.assertIs(self.pubSub.state, PubSubState.CONNECTING)
        line = self.broker.accept()
        line.arrive(self.GREETING[:-1])
        self.assertNoResult(started)
        self.assertFalse(self.pubSub.isWritable())
        line.arrive(self.GREETING[-1:])
        self.assertTrue(self.successResultOf(started))
        self.assertIs(self.pubSub.state, PubSubState.UP)
        self.assertEqual(self.listener.told, [("up",)])

    def test_publish(self) -> None:
        """
        What is published goes out at once, and the transport does not delay it.
        """
        line = self.begin()
        line.said()
        self.assertTrue(line.noDelay)
        self.assertTrue(self.pubSub.publish("a", b"hello"))
        said = line.said()
        self.assertIn(self.topic("a"), said)
        self.assertIn(b"hello\r\n", said)
        self.assertEqual(self.pubSub.published, 1)

    def test_otherTransports(self) -> None:
        """
        A transport need not be TCP.
        """
        self.pubSub.start()
        line = self.broker.accept(kind=TightTransport)
        line.arrive(self.GREETING)
        self.assertIs(self.pubSub.state, PubSubState.UP)

    def test_receive(self) -> None:
        """
        What others publish is heard, of the topics that were asked for.
        """
        self.pubSub.subscribe("a", self.heard.append)
        line = self.begin()
        line.said()
        self.pubSub.subscribe("b", self.heard.append)
        self.assertEqual(line.said().count(self.topic("b")), 1)
        stream = b"".join(
            self.delivery(topic, sealed(number, topic.encode()))
            for number, topic in [(1, "a"), (1, "b"), (3, "a")]
        )
        for start in range(0, len(stream), 7):
            line.arrive(stream[start : start + 7])
        self.assertEqual((self.heard, self.pubSub.missed), ([b"a", b"b", b"a"], 1))

    def test_unsubscribe(self) -> None:
        """
        The broker is asked for a topic no more, and what still comes is not
        heard.
        """
        self.pubSub.subscribe("a", self.heard.append)
        line = self.begin()
        delivery = self.delivery("a", sealed(1, b"1"))
        line.said()
        self.pubSub.unsubscribe("a")
        self.assertIn(b"UNSUB", line.said())
        line.arrive(delivery)
        self.assertEqual(self.heard, [])

    def test_unsubscribeWhileDown(self) -> None:
        """
        Topics can be asked for, or no more, while there is no connection.
        """
        self.pubSub.subscribe("a", self.heard.append)
        self.pubSub.unsubscribe("a")
        self.pubSub.subscribe("b", self.heard.append)
        said = self.begin().said()
        self.assertNotIn(self.topic("a"), said)
        self.assertIn(self.topic("b"), said)

    def test_reconnect(self) -> None:
        """
        When the connection is lost another one is opened, topics are asked for
        again, and what has waited goes out behind that.
        """
        self.pubSub.subscribe("a", self.heard.append)
        line = self.begin()
        line.lose()
        self.assertEqual(self.pubSub.state, PubSubState.DOWN)
        self.assertTrue(self.pubSub.publish("a", b"late"))
        self.assertEqual([told[0] for told in self.listener.told], ["up", "down"])
        self.clock.advance(2.5)
        line = self.letIn()
        said = line.said()
        self.assertLess(said.index(b"SUB"), said.index(b"late"))
        self.assertEqual((self.pubSub.state, self.pubSub.reconnects), (PubSubState.UP, 1))
        line.arrive(self.delivery("a", sealed(9, b"1")))
        self.assertEqual(self.heard, [b"1"])

    def announce(self, line: Line, kind: bytes, node: bytes = OTHER) -> None:
        """
        Let another node announce itself.
        """
        line.arrive(self.delivery(NODES, sealed(0, kind, node)))

    def interrupt(self, *nodes: bytes) -> Line:
        """
        Start with other nodes, lose the connection, publish a message, and connect
        again.
        """
        line = self.begin()
        for node in nodes:
            self.announce(line, HELLO, node)
        line.lose()
        self.assertTrue(self.pubSub.publish("a", b"kept"))
        self.clock.advance(2.5)
        line = self.letIn()
        self.assertNotIn(b"kept", line.said())
        return line

    def test_gathering(self) -> None:
        """
        After an interruption, messages are held until the nodes that were there
        before have announced themselves or answered; then they are sent in order.
        """
        line = self.interrupt(OTHER, b"x" * 16)
        self.assertTrue(self.pubSub.publish("a", b"later"))
        self.announce(line, HELLO)
        self.assertIn(self.topic(topicOf(OTHER)), line.said())
        self.announce(line, HERE, b"x" * 16)
        said = line.said()
        self.assertLess(said.index(b"kept"), said.index(b"later"))
        self.assertEqual((self.pubSub.waiting, self.pubSub.published), (0, 2))
        self.pubSub.publish("a", b"at once")
        self.assertIn(b"at once", line.said())

    def test_gatheringTimeout(self) -> None:
        """
        Nodes that do not return are waited for once, and not indefinitely.
        """
        line = self.interrupt(OTHER)
        self.clock.advance(LIMITS.gatherTimeout)
        self.assertIn(b"kept", line.said())
        line.lose()
        self.pubSub.publish("a", b"again")
        self.clock.advance(2.5)
        self.assertIn(b"again", self.letIn().said())

    def test_goodbye(self) -> None:
        """
        A node that has stopped is not waited for; a node says so when it stops.
        """
        line = self.begin()
        self.announce(line, HELLO)
        self.announce(line, BYE)
        line.lose()
        self.pubSub.publish("a", b"kept")
        self.clock.advance(2.5)
        line = self.letIn()
        self.assertIn(b"kept", line.said())
        self.pubSub.stop()
        self.assertIn(sealed(0, BYE, NODE), line.said())

    def test_goodbyeWhileWaiting(self) -> None:
        """
        A node that stops while it is waited for ends the wait.
        """
        line = self.interrupt(OTHER)
        self.announce(line, BYE)
        self.assertIn(b"kept", line.said())

    def test_interruptedAgain(self) -> None:
        """
        Another interruption while nodes are waited for keeps the messages.
        """
        self.interrupt(OTHER).lose()
        self.clock.advance(2.5)
        line = self.letIn()
        self.assertNotIn(b"kept", line.said())
        self.announce(line, HELLO)
        self.assertIn(b"kept", line.said())
        self.clock.advance(LIMITS.gatherTimeout)

    def test_strangeAnnouncements(self) -> None:
        """
        Announcements of this node are ignored, and others that are no envelopes
        are counted as malformed.
        """
        line = self.interrupt(OTHER)
        self.announce(line, HELLO, NODE)
        line.arrive(self.delivery(NODES, b"?"))
        self.assertNotIn(b"kept", line.said())
        self.assertEqual((self.pubSub.malformed, self.pubSub.received), (1, 0))

    def test_congested(self) -> None:
        """
        While the broker is connected and does not read, it is congested
        from half of its limits on, and listeners are told when it is drained.
        """
        line = self.begin(room=10)
        while self.pubSub.waiting < 1:
            self.pubSub.publish("a", b"x")
        self.assertFalse(self.pubSub.congested)
        self.pubSub.publish("a", b"x")
        self.assertTrue(self.pubSub.congested)
        self.assertEqual(self.listener.told, [("up",)])
        line.drainAll()
        self.assertEqual(self.listener.told, [("up",), ("drained",)])
        self.assertFalse(self.pubSub.congested)
        self.assertEqual(self.pubSub.dropped, 0)

    def test_congestedAndLost(self) -> None:
        """
        When the broker is lost, senders are no longer held back: messages are kept
        up to the limit.
        """
        line = self.begin(room=10)
        for number in range(3):
            self.pubSub.publish("a", b"%d" % number)
        self.assertTrue(self.pubSub.congested)
        line.lose()
        self.assertEqual(self.listener.told[-1], ("drained",))
        self.assertFalse(self.pubSub.congested)

    def test_lastMessage(self) -> None:
        """
        While the broker is connected and it is not congested, a message is
        not dropped, however long it is. The next one would be.
        """
        line = self.begin(room=10)
        while self.pubSub.waiting < 1:
            self.pubSub.publish("a", b"x")
        self.assertFalse(self.pubSub.congested)
        self.assertTrue(self.pubSub.publish("a", b"x" * LIMITS.maxBytes))
        self.assertTrue(self.pubSub.congested)
        self.assertFalse(self.pubSub.publish("a", b"x"))
        line.drainAll()
        self.assertEqual((self.pubSub.waiting, self.pubSub.dropped), (0, 1))

    def test_answerWhileCongested(self) -> None:
        """
        A node that is connected again gets its answer also while the broker does
        not read: that node holds its messages until it is there.
        """
        line = self.begin(room=10)
        while self.pubSub.waiting < 1:
            self.pubSub.publish("a", b"x")
        line.said()
        self.announce(line, HELLO)
        line.drainAll()
        self.assertIn(sealed(0, HERE, NODE), bytes(line.delivered))

    def test_stoppedWhileCongested(self) -> None:
        """
        When a congested L{IPubSub} is stopped, senders are no longer held back.
        """
        self.begin(room=10)
        for _ in range(3):
            self.pubSub.publish("a", b"x")
        self.assertTrue(self.pubSub.congested)
        self.pubSub.stop()
        self.assertEqual(self.listener.told[-1], ("drained",))

    def test_gapOverReconnect(self) -> None:
        """
        What was published while there was no connection is counted as lost.
        """
        self.pubSub.subscribe("a", self.heard.append)
        line = self.begin()
        line.arrive(self.delivery("a", sealed(1, b"1")))
        line.lose()
        self.clock.advance(2.5)
        self.letIn().arrive(self.delivery("a", sealed(5, b"5")))
        self.assertEqual(self.listener.told[-1], ("gap", "a", OTHER, 3))

    def test_backoff(self) -> None:
        """
        The time between attempts grows, also if the connection is opened and
        nobody is let in, up to the limit; success makes it short again.
        """
        self.pubSub.start()
        waits = []
        for attempt in range(14):
            if attempt % 2:
                self.broker.refuse()
            else:
                self.broker.accept().lose()
            tried, seconds = self.broker.way.connecting, 0
            while self.broker.way.connecting is tried:
                self.clock.advance(0.5)
                seconds += 1
            waits.append(seconds / 2)
        self.assertLessEqual(waits[0], 3)
        self.assertGreater(waits[5], 8)
        self.assertTrue(60 <= waits[-1] <= 61.5, waits)
        self.letIn().lose()
        self.clock.advance(2.5)
        self.letIn()
        self.assertIs(self.pubSub.state, PubSubState.UP)

    def test_refusedConnection(self) -> None:
        """
        A broker that is not there is told as such, and tried again.
        """
        started = self.pubSub.start()
        with capturedLogs() as logs:
            self.broker.refuse()
        self.assertFalse(self.successResultOf(started))
        self.assertIn("refused", self.pubSub.problem)
        for line in linesOf(logs):
            self.assertIn(self.pubSub.description, line)
        self.assertEqual(self.listener.told, [("down", self.pubSub.problem)])
        self.clock.advance(2.5)
        self.letIn()
        self.assertEqual((self.pubSub.state, self.pubSub.reconnects), (PubSubState.UP, 0))

    def test_denied(self) -> None:
        """
        A wrong password is told in the broker's words, without the password;
        and tried again, since it may become right.
        """
        started = self.pubSub.start()
        with capturedLogs() as logs:
            self.broker.accept().arrive(self.DENIED)
        self.assertFalse(self.successResultOf(started))
        self.assertIn("the broker says: ", self.pubSub.problem)
        self.assertIn(self.pubSub.problem, linesOf(logs)[0])
        self.assertNotIn("secret", " ".join(linesOf(logs)))
        self.clock.advance(2.5)
        self.letIn()
        self.assertIs(self.pubSub.state, PubSubState.UP)

    def test_loginTimeout(self) -> None:
        """
        A broker that lets nobody in is left when the time is over.
        """
        self.pubSub.start()
        line = self.broker.accept()
        self.clock.advance(3.9)
        self.assertFalse(line.closed)
        self.clock.advance(0.1)
        self.assertTrue(line.closed)
        self.assertIn("completed the login within 4 seconds", self.pubSub.problem)

    def test_ping(self) -> None:
        """
        A broker that is alive is asked again and again, and any sign of life
        will do.
        """
        line = self.begin()
        line.said()
        for _ in range(5):
            self.clock.advance(10)
            self.assertEqual(line.said(), self.PING)
            line.arrive(self.delivery("a", b""))
            self.clock.advance(5)
        self.assertFalse(line.closed)

    def test_silence(self) -> None:
        """
        A broker that is silent is left, and connected to again.
        """
        line = self.begin()
        self.clock.advance(10)
        self.clock.advance(4.9)
        self.assertFalse(line.closed)
        self.clock.advance(0.1)
        self.assertTrue(line.closed)
        self.assertEqual(self.pubSub.problem, "the broker has not answered a ping for 5 seconds")
        self.clock.advance(2.5)
        self.letIn()
        self.assertEqual(self.pubSub.reconnects, 1)

    def test_slowBroker(self) -> None:
        """
        While the broker does not read, messages wait in the outbox, up to its
        limit; then they go out in order.
        """
        line = self.begin(room=300)
        line.drain()
        taken = [self.pubSub.publish("a", b"<%02d>" % number + b"x" * 30) for number in range(12)]
        waiting = self.pubSub.waiting
        self.assertTrue(0 < waiting <= 3)
        self.assertFalse(taken[-1])
        self.assertEqual(self.pubSub.published + waiting + self.pubSub.dropped, 12)
        before = len(line.delivered)
        line.drainAll()
        self.assertEqual(self.pubSub.waiting, 0)
        count = self.pubSub.published
        order = [line.delivered[before:].find(b"<%02d>" % number) for number in range(count)]
        self.assertEqual(order, sorted(order))
        self.assertNotIn(-1, order)

    def test_notUnderstood(self) -> None:
        """
        A broker that speaks something else is left.
        """
        self.pubSub.start()
        with capturedLogs() as logs:
            self.broker.accept().arrive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertIn("the broker cannot be understood: ", self.pubSub.problem)
        self.assertEqual(len(linesOf(logs)), 2)

    def test_stop(self) -> None:
        """
        When it is stopped the connection is closed, and no other one is opened.
        """
        line = self.begin()
        stopped = self.pubSub.stop()
        line.drainAll()
        self.successResultOf(stopped)
        self.assertTrue(line.closed)
        self.assertIs(self.pubSub.state, PubSubState.STOPPED)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.listener.told, [("up",)])
        self.assertFalse(self.pubSub.publish("a", b""))

    def test_stopWhileConnecting(self) -> None:
        """
        It can be stopped while it connects, and who waits hears that it is not
        up.
        """
        started = self.pubSub.start()
        self.pubSub.stop()
        self.assertTrue(self.broker.way.cancelled)
        self.assertFalse(self.successResultOf(started))

    def test_stopWhileGreeting(self) -> None:
        """
        It can be stopped before it is let in.
        """
        started = self.pubSub.start()
        line = self.broker.accept()
        stopped = self.pubSub.stop()
        line.drainAll()
        self.successResultOf(stopped)
        self.assertFalse(self.successResultOf(started))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopWhileWaiting(self) -> None:
        """
        It can be stopped while it waits to connect again.
        """
        self.pubSub.start()
        self.broker.refuse()
        self.successResultOf(self.pubSub.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopASlowBroker(self) -> None:
        """
        A broker that does not read does not keep it from stopping, however often
        that is asked for.
        """
        line = self.begin()
        self.pubSub.publish("a", b"never read")
        stopped = self.pubSub.stop()
        again = self.pubSub.stop()
        self.assertNoResult(stopped)
        line.arrive(self.delivery("a", b""))
        self.clock.advance(5)
        self.assertTrue(line.closed)
        self.successResultOf(stopped)
        self.successResultOf(again)

    def test_startAgain(self) -> None:
        """
        It can be started again.
        """
        line = self.begin()
        stopped = self.pubSub.stop()
        line.drainAll()
        self.successResultOf(stopped)
        self.begin()
        self.assertEqual((self.pubSub.state, self.pubSub.reconnects), (PubSubState.UP, 0))
