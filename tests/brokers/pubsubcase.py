"""
Tests for all brokers.
"""

from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IUNIXTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.brokers import brokerlink
from openfl_twisted.brokers.gathering import _BYE, _HERE, _NODES, HELLO, _topicOf
from openfl_twisted.rooms.pubsub import IPubSub, PubSubState
from openfl_twisted.transports.writebatch import currentBatch
from tests.brokers.doubles import (
    LIMITS,
    NODE,
    OTHER,
    Broker,
    BrokerPeer,
    RecordingListener,
    envelope,
)
from tests.doubles import linesOf


class BrokerPubSubCase(SynchronousTestCase):
    """
    The tests. Subclasses implement the protocol of a broker.
    """

    PING: bytes
    GREETING: bytes
    """
    The bytes that the broker sends to complete the login.
    """

    DENIED: bytes
    """
    The bytes that the broker sends after a wrong password.
    """

    def build(self, broker: Broker) -> Any:
        raise NotImplementedError

    def topic(self, topic: str) -> bytes:
        """
        Return the broker's name of a topic.
        """
        raise NotImplementedError

    def delivery(self, topic: str, data: bytes) -> bytes:
        """
        Return the bytes that the broker sends for a published message.
        """
        raise NotImplementedError

    def setUp(self) -> None:
        self.broker = Broker()
        self.clock = self.broker.clock
        self.pubSub = self.build(self.broker)
        self.listener = RecordingListener()
        self.pubSub.addListener(self.listener)
        self.received: list[bytes] = []

    def connect(self, capacity: int | None = None) -> BrokerPeer:
        """
        Start the L{IPubSub} and complete its login.
        """
        started: Deferred[bool] = self.pubSub.start()
        transport = self.logIn(capacity)
        self.assertTrue(self.successResultOf(started))
        return transport

    def logIn(self, capacity: int | None = None) -> BrokerPeer:
        """
        Accept a connection and complete the login.
        """
        transport = self.broker.accept(capacity)
        transport.arrive(self.GREETING)
        return transport

    def clientTransport(self) -> Any:
        """
        Return the transport of the client, whose reading is not paused.
        """
        readers = self.clock.getReaders()
        [client] = [reader for reader in readers if isinstance(reader, tcp.Client)]
        return client

    def congest(self) -> BrokerPeer:
        """
        Connect to a broker that does not read, and publish until one message waits.
        """
        peer = self.connect(capacity=10)
        while self.pubSub.waiting < 1:
            self.pubSub.publish("a", b"x")
        return peer

    def test_interface(self) -> None:
        """
        The class implements the interface, and its C{repr} contains no password.
        """
        self.assertIsInstance(self.pubSub, IPubSub)
        self.assertIn(" stopped>", repr(self.pubSub))
        for value in vars(self.pubSub).values():
            self.assertNotIn("secret", repr(value))

    def test_up(self) -> None:
        """
        The state is C{UP} as soon as the login is complete.
        """
        started = self.pubSub.start()
        self.assertIs(self.pubSub.state, PubSubState.CONNECTING)
        transport = self.broker.accept()
        transport.arrive(self.GREETING[:-1])
        self.assertNoResult(started)
        self.assertFalse(self.pubSub.isWritable())
        transport.arrive(self.GREETING[-1:])
        self.assertTrue(self.successResultOf(started))
        self.assertIs(self.pubSub.state, PubSubState.UP)
        self.assertEqual(self.listener.events, [("up",)])

    def test_publish(self) -> None:
        """
        A published message is written immediately, with Nagle's algorithm disabled.
        """
        transport = self.connect()
        transport.takeOutput()
        self.assertTrue(self.clientTransport().getTcpNoDelay())
        self.assertTrue(self.pubSub.publish("a", b"hello"))
        output = transport.takeOutput()
        self.assertIn(self.topic("a"), output)
        self.assertIn(b"hello\r\n", output)
        self.assertEqual(self.pubSub.published, 1)

    def test_otherTransports(self) -> None:
        """
        The transport does not have to be TCP.
        """
        self.patch(brokerlink, "ITCPTransport", IUNIXTransport)
        self.connect()
        self.assertIs(self.pubSub.state, PubSubState.UP)

    def test_receive(self) -> None:
        """
        Messages on subscribed topics are received.
        """
        self.pubSub.subscribe("a", self.received.append)
        transport = self.connect()
        transport.takeOutput()
        self.pubSub.subscribe("b", self.received.append)
        self.assertEqual(transport.takeOutput().count(self.topic("b")), 1)
        stream = b"".join(
            self.delivery(topic, envelope(number, topic.encode()))
            for number, topic in [(1, "a"), (1, "b"), (3, "a")]
        )
        for start in range(0, len(stream), 7):
            transport.arrive(stream[start : start + 7])
        self.assertEqual((self.received, self.pubSub.missed), ([b"a", b"b", b"a"], 1))

    def test_batch(self) -> None:
        """
        The messages of one read are delivered in one write batch, so that each member of
        a room gets them in one write.
        """
        batches: list[Any] = []
        self.pubSub.subscribe("a", lambda payload: batches.append(currentBatch.waiting))
        transport = self.connect()
        transport.arrive(b"".join(self.delivery("a", envelope(n, b"")) for n in (1, 2)))
        one, other = batches
        self.assertIsNotNone(one)
        self.assertIs(one, other)

    def test_unsubscribe(self) -> None:
        """
        The broker is asked to unsubscribe, and a message that still arrives is ignored.
        """
        self.pubSub.subscribe("a", self.received.append)
        transport = self.connect()
        delivery = self.delivery("a", envelope(1, b"1"))
        transport.takeOutput()
        self.pubSub.unsubscribe("a")
        self.assertIn(b"UNSUB", transport.takeOutput())
        transport.arrive(delivery)
        self.assertEqual(self.received, [])

    def test_unsubscribeWhileDown(self) -> None:
        """
        Topics can be subscribed and unsubscribed while the broker is not connected.
        """
        self.pubSub.subscribe("a", self.received.append)
        self.pubSub.unsubscribe("a")
        self.pubSub.subscribe("b", self.received.append)
        output = self.connect().takeOutput()
        self.assertNotIn(self.topic("a"), output)
        self.assertIn(self.topic("b"), output)

    def test_reconnect(self) -> None:
        """
        After a lost connection, the client reconnects, subscribes to its topics again,
        and then sends the queued messages.
        """
        self.pubSub.subscribe("a", self.received.append)
        transport = self.connect()
        transport.breakConnection()
        self.assertEqual(self.pubSub.state, PubSubState.DOWN)
        self.assertTrue(self.pubSub.publish("a", b"late"))
        self.assertEqual([events[0] for events in self.listener.events], ["up", "down"])
        self.clock.advance(2.5)
        transport = self.logIn()
        output = transport.takeOutput()
        self.assertLess(output.index(b"SUB"), output.index(b"late"))
        self.assertEqual((self.pubSub.state, self.pubSub.reconnects), (PubSubState.UP, 1))
        transport.arrive(self.delivery("a", envelope(9, b"1")))
        self.assertEqual(self.received, [b"1"])

    def announce(self, transport: BrokerPeer, kind: bytes, node: bytes = OTHER) -> None:
        """
        Receive the announcement of another node.
        """
        transport.arrive(self.delivery(_NODES, envelope(0, kind, node)))

    def interrupt(self, *nodes: bytes) -> BrokerPeer:
        """
        Start with other nodes, lose the connection, publish a message, and reconnect.
        """
        transport = self.connect()
        for node in nodes:
            self.announce(transport, HELLO, node)
        transport.breakConnection()
        self.assertTrue(self.pubSub.publish("a", b"kept"))
        self.clock.advance(2.5)
        transport = self.logIn()
        self.assertNotIn(b"kept", transport.takeOutput())
        return transport

    def test_gathering(self) -> None:
        """
        After an interruption, messages are held until the known nodes have announced
        themselves or answered. Then they are sent in order.
        """
        transport = self.interrupt(OTHER, b"x" * 16)
        self.assertTrue(self.pubSub.publish("a", b"later"))
        self.announce(transport, HELLO)
        self.assertIn(self.topic(_topicOf(OTHER)), transport.takeOutput())
        self.announce(transport, _HERE, b"x" * 16)
        output = transport.takeOutput()
        self.assertLess(output.index(b"kept"), output.index(b"later"))
        self.assertEqual((self.pubSub.waiting, self.pubSub.published), (0, 2))
        self.pubSub.publish("a", b"at once")
        self.assertIn(b"at once", transport.takeOutput())

    def test_gatheringTimeout(self) -> None:
        """
        Messages are held for nodes that do not return, once and until a timeout.
        """
        transport = self.interrupt(OTHER)
        self.clock.advance(LIMITS.gatherTimeout - 1)
        # Answer the ping.
        transport.arrive(self.delivery("a", b""))
        self.assertNotIn(b"kept", transport.takeOutput())
        self.clock.advance(1)
        self.assertIn(b"kept", transport.takeOutput())
        transport.breakConnection()
        self.pubSub.publish("a", b"again")
        self.clock.advance(2.5)
        self.assertIn(b"again", self.logIn().takeOutput())

    def test_stoppedNode(self) -> None:
        """
        A node announces that it stops. Messages are not held for a stopped node.
        """
        transport = self.connect()
        self.announce(transport, HELLO)
        self.announce(transport, _BYE)
        transport.breakConnection()
        self.pubSub.publish("a", b"kept")
        self.clock.advance(2.5)
        transport = self.logIn()
        self.assertIn(b"kept", transport.takeOutput())
        self.pubSub.stop()
        self.assertIn(envelope(0, _BYE, NODE), transport.takeOutput())

    def test_stoppedNodeWhileHolding(self) -> None:
        """
        Messages are no longer held for a node that announces that it stops.
        """
        transport = self.interrupt(OTHER)
        self.announce(transport, _BYE)
        self.assertIn(b"kept", transport.takeOutput())

    def test_interruptedAgain(self) -> None:
        """
        Held messages are kept during another interruption.
        """
        self.interrupt(OTHER).breakConnection()
        self.clock.advance(2.5)
        transport = self.logIn()
        self.assertNotIn(b"kept", transport.takeOutput())
        self.announce(transport, HELLO)
        self.assertIn(b"kept", transport.takeOutput())
        self.clock.advance(LIMITS.gatherTimeout)

    def test_invalidAnnouncements(self) -> None:
        """
        Announcements of this node are ignored. Malformed announcements are counted.
        """
        transport = self.interrupt(OTHER)
        self.announce(transport, HELLO, NODE)
        transport.arrive(self.delivery(_NODES, b"?"))
        self.assertNotIn(b"kept", transport.takeOutput())
        self.assertEqual((self.pubSub.malformed, self.pubSub.received), (1, 0))

    def test_congested(self) -> None:
        """
        A connected broker that does not read is congested as soon as the queue reaches
        half of its limits. Listeners are notified when it is drained.
        """
        transport = self.congest()
        self.assertFalse(self.pubSub.congested)
        self.pubSub.publish("a", b"x")
        self.assertTrue(self.pubSub.congested)
        self.assertEqual(self.listener.events, [("up",)])
        transport.drainAll()
        self.assertEqual(self.listener.events, [("up",), ("drained",)])
        self.assertFalse(self.pubSub.congested)
        self.assertEqual(self.pubSub.dropped, 0)

    def test_congestedAndLost(self) -> None:
        """
        Congestion ends when the broker is lost. Messages are then kept up to the limit.
        """
        transport = self.congest()
        for number in range(2):
            self.pubSub.publish("a", b"%d" % number)
        self.assertTrue(self.pubSub.congested)
        transport.breakConnection()
        self.assertEqual(self.listener.events[-1], ("drained",))
        self.assertFalse(self.pubSub.congested)

    def test_lastMessage(self) -> None:
        """
        While the connected broker is not congested, a message of any length is accepted.
        The next one is dropped.
        """
        transport = self.congest()
        self.assertFalse(self.pubSub.congested)
        self.assertTrue(self.pubSub.publish("a", b"x" * LIMITS.maxBytes))
        self.assertTrue(self.pubSub.congested)
        self.assertFalse(self.pubSub.publish("a", b"x"))
        transport.drainAll()
        self.assertEqual((self.pubSub.waiting, self.pubSub.dropped), (0, 1))

    def test_answerWhileCongested(self) -> None:
        """
        A reconnected node gets its answer even while the broker is congested, since that
        node holds its messages until then.
        """
        transport = self.congest()
        transport.takeOutput()
        self.announce(transport, HELLO)
        transport.drainAll()
        self.assertIn(envelope(0, _HERE, NODE), transport.takeOutput())

    def test_stoppedWhileCongested(self) -> None:
        """
        Congestion ends when the L{IPubSub} is stopped.
        """
        self.congest()
        for _ in range(2):
            self.pubSub.publish("a", b"x")
        self.assertTrue(self.pubSub.congested)
        self.pubSub.stop()
        self.assertEqual(self.listener.events[-1], ("drained",))

    def test_gapOverReconnect(self) -> None:
        """
        Messages published while the connection was lost are reported as missed.
        """
        self.pubSub.subscribe("a", self.received.append)
        transport = self.connect()
        transport.arrive(self.delivery("a", envelope(1, b"1")))
        transport.breakConnection()
        self.clock.advance(2.5)
        self.logIn().arrive(self.delivery("a", envelope(5, b"5")))
        self.assertEqual(self.listener.events[-1], ("gap", "a", OTHER, 3))

    def test_backoff(self) -> None:
        """
        The retry delay grows up to its limit, also if connections are opened without a
        login. A successful login resets it.
        """
        self.pubSub.start()
        waits = []
        for attempt in range(14):
            if attempt % 2:
                self.broker.refuse()
            else:
                self.broker.accept().breakConnection()
            tried, seconds = len(self.broker.attempts), 0
            while len(self.broker.attempts) == tried:
                self.clock.advance(0.5)
                seconds += 1
            waits.append(seconds / 2)
        self.assertLessEqual(waits[0], 3)
        self.assertGreater(waits[5], 8)
        self.assertTrue(60 <= waits[-1] <= 61.5, waits)
        self.logIn().breakConnection()
        self.clock.advance(2.5)
        self.logIn()
        self.assertIs(self.pubSub.state, PubSubState.UP)

    def test_refusedConnection(self) -> None:
        """
        A refused connection is reported and retried.
        """
        started = self.pubSub.start()
        with capturedLogs() as logs:
            self.broker.refuse()
        self.assertFalse(self.successResultOf(started))
        self.assertIn("refused", self.pubSub.problem)
        for transport in linesOf(logs):
            self.assertIn(self.pubSub.description, transport)
        self.assertEqual(self.listener.events, [("down", self.pubSub.problem)])
        self.clock.advance(2.5)
        self.logIn()
        self.assertEqual((self.pubSub.state, self.pubSub.reconnects), (PubSubState.UP, 0))

    def test_denied(self) -> None:
        """
        A wrong password is reported with the broker's message, without the password, and
        retried.
        """
        started = self.pubSub.start()
        with capturedLogs() as logs:
            self.broker.accept().arrive(self.DENIED)
        self.assertFalse(self.successResultOf(started))
        self.assertIn("error reply: ", self.pubSub.problem)
        self.assertIn(self.pubSub.problem, linesOf(logs)[0])
        self.assertNotIn("secret", " ".join(linesOf(logs)))
        self.clock.advance(2.5)
        self.logIn()
        self.assertIs(self.pubSub.state, PubSubState.UP)

    def test_loginTimeout(self) -> None:
        """
        A connection without a complete login is closed after the login timeout.
        """
        self.pubSub.start()
        transport = self.broker.accept()
        self.clock.advance(3.9)
        self.assertFalse(transport.closed)
        self.clock.advance(0.1)
        self.assertTrue(transport.closed)
        self.assertIn("completed the login within 4 seconds", self.pubSub.problem)

    def test_ping(self) -> None:
        """
        Pings are sent regularly. Any received data counts as an answer.
        """
        transport = self.connect()
        transport.takeOutput()
        for _ in range(5):
            self.clock.advance(10)
            self.assertEqual(transport.takeOutput(), self.PING)
            transport.arrive(self.delivery("a", b""))
            self.clock.advance(5)
        self.assertFalse(transport.closed)

    def test_pingTimeout(self) -> None:
        """
        The client disconnects from a broker that does not answer a ping, and reconnects.
        """
        transport = self.connect()
        self.clock.advance(10)
        self.clock.advance(4.9)
        self.assertFalse(transport.closed)
        self.clock.advance(0.1)
        self.assertTrue(transport.closed)
        self.assertEqual(self.pubSub.problem, "the broker has not answered a ping for 5 seconds")
        self.clock.advance(2.5)
        self.logIn()
        self.assertEqual(self.pubSub.reconnects, 1)

    def test_pauseReading(self) -> None:
        """
        While reading is paused, no message is received, and an unanswered ping is not a
        reason to disconnect. Messages are received when reading is resumed.
        """
        self.pubSub.pauseReading()
        self.pubSub.resumeReading()
        self.pubSub.subscribe("a", self.received.append)
        transport = self.connect()
        for _ in range(2):
            self.pubSub.pauseReading()
        self.clock.advance(10)
        self.clock.advance(5)
        self.assertFalse(transport.closed)
        self.clock.advance(10)
        for _ in range(2):
            self.pubSub.resumeReading()
        self.clock.advance(5)
        self.assertFalse(transport.closed)
        self.pubSub.pauseReading()
        transport.arrive(self.delivery("a", envelope(1, b"1")))
        self.assertEqual(self.received, [])
        self.pubSub.resumeReading()
        self.broker.network.flush()
        self.assertEqual(self.received, [b"1"])

    def test_slowBroker(self) -> None:
        """
        While the broker does not read, messages are queued up to the limit of the outbox,
        and then sent in order.
        """
        transport = self.connect(capacity=300)
        accepted = [
            self.pubSub.publish("a", b"<%04d>" % number + b"x" * 90) for number in range(1000)
        ]
        waiting = self.pubSub.waiting
        self.assertTrue(0 < waiting <= 3)
        self.assertFalse(accepted[-1])
        self.assertEqual(self.pubSub.published + waiting + self.pubSub.dropped, 1000)
        transport.drainAll()
        self.assertEqual(self.pubSub.waiting, 0)
        count = self.pubSub.published
        output = transport.takeOutput()
        order = [output.find(b"<%04d>" % number) for number in range(count)]
        self.assertEqual(order, sorted(order))
        self.assertNotIn(-1, order)

    def test_otherProtocol(self) -> None:
        """
        The client disconnects from a server of another protocol.
        """
        self.pubSub.start()
        with capturedLogs() as logs:
            self.broker.accept().arrive(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        self.assertIn("invalid data from the broker: ", self.pubSub.problem)
        self.assertEqual(len(linesOf(logs)), 2)

    def test_stop(self) -> None:
        """
        Stopping closes the connection and does not reconnect.
        """
        transport = self.connect()
        client = self.clientTransport()
        self.assertIsNotNone(client.producer)
        stopped = self.pubSub.stop()
        # TLS does not close while a producer is registered.
        self.assertIsNone(client.producer)
        transport.drainAll()
        self.successResultOf(stopped)
        self.assertTrue(transport.closed)
        self.assertIs(self.pubSub.state, PubSubState.STOPPED)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.listener.events, [("up",)])
        self.assertFalse(self.pubSub.publish("a", b""))

    def test_stopWhileConnecting(self) -> None:
        """
        Stopping cancels a connection attempt, and the Deferred of C{start} fires with
        C{False}.
        """
        started = self.pubSub.start()
        [attempt] = self.broker.attempts
        self.pubSub.stop()
        self.assertTrue(attempt.over)
        self.assertFalse(self.successResultOf(started))

    def test_stopWhileLoggingIn(self) -> None:
        """
        Stopping closes a connection without a complete login.
        """
        started = self.pubSub.start()
        transport = self.broker.accept()
        stopped = self.pubSub.stop()
        transport.drainAll()
        self.successResultOf(stopped)
        self.assertFalse(self.successResultOf(started))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopWhileRetrying(self) -> None:
        """
        Stopping cancels the timer of the next connection attempt.
        """
        self.pubSub.start()
        self.broker.refuse()
        self.successResultOf(self.pubSub.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopSlowBroker(self) -> None:
        """
        Stopping, also twice, aborts the connection of a broker that does not read.
        """
        transport = self.connect(capacity=10)
        self.pubSub.publish("a", b"never read")
        stopped = self.pubSub.stop()
        again = self.pubSub.stop()
        self.assertNoResult(stopped)
        transport.arrive(self.delivery("a", b""))
        self.clock.advance(5)
        self.assertTrue(transport.closed)
        self.successResultOf(stopped)
        self.successResultOf(again)

    def test_startAgain(self) -> None:
        """
        A stopped L{IPubSub} can be started again.
        """
        transport = self.connect()
        stopped = self.pubSub.stop()
        transport.drainAll()
        self.successResultOf(stopped)
        self.connect()
        self.assertEqual((self.pubSub.state, self.pubSub.reconnects), (PubSubState.UP, 0))
