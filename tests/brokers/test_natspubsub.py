"""
Tests for L{openfl_twisted.brokers.natspubsub}, with a server in memory.
"""

import json
from typing import Any

from twisted.internet.interfaces import IHandshakeListener
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from openfl_twisted.brokers.gathering import NODES, topicOf
from openfl_twisted.brokers.natspubsub import NATSLogin, NATSPubSub
from openfl_twisted.rooms.pubsub import PubSubState
from openfl_twisted.tls import SecureConnectionCreator
from openfl_twisted.wire import nats
from openfl_twisted.wire.nats import subjectOf
from tests.brokers import pubsubcase
from tests.brokers.doubles import LIMITS, NODE, Broker, Line, sealed

INFO = b'INFO {"max_payload":1048576}\r\n'


def optionsOf(said: bytes) -> dict[str, object]:
    """
    Return the options of the C{CONNECT} command.
    """
    options: dict[str, object] = json.loads(said.split(b"\r\n")[0].removeprefix(b"CONNECT "))
    return options


class NATSPubSubTests(pubsubcase.BrokerPubSubCase):
    """
    L{NATSPubSub} and a server of NATS.
    """

    PING = b"PING\r\n"
    GREETING = INFO + b"PONG\r\n"
    DENIED = INFO + b"-ERR 'Authorization Violation'\r\n"

    def build(self, broker: Broker, **options: Any) -> NATSPubSub:
        options = {"login": NATSLogin("someone", "secret")} | options
        return NATSPubSub(
            broker.way,
            "nats://broker:4222",
            node=NODE,
            limits=LIMITS,
            clock=broker.clock,
            **options,
        )

    def topic(self, topic: str) -> bytes:
        return subjectOf("openfl", topic).rstrip(b"%")

    def delivery(self, topic: str, data: bytes) -> bytes:
        number = {"a": 1, NODES: 2, "b": 4}[topic]
        return b"MSG %b %d %d\r\n%b\r\n" % (self.topic(topic), number, len(data), data)

    def test_greeting(self) -> None:
        """
        The client logs in, wants nothing of its own back, and asks for its
        topics.
        """
        self.pubSub.subscribe("a", self.heard.append)
        said = self.begin().said()
        options = optionsOf(said)
        self.assertEqual((options["user"], options["pass"]), ("someone", "secret"))
        self.assertEqual((options["echo"], options["tls_required"]), (False, False))
        own = nats.subscribe(nats.subjectOf("openfl", topicOf(NODE)), 3)
        nodes = nats.subscribe(nats.subjectOf("openfl", NODES), 2)
        self.assertIn(b"SUB openfl.a 1\r\n" + nodes + own + b"PING\r\n", said)

    def test_credentials(self) -> None:
        """
        A name without a password is a token, and nobody need have one.
        """
        for login, expected in [(NATSLogin("t0ken"), {"auth_token": "t0ken"}), (None, {})]:
            broker = Broker()
            pubSub = self.build(broker, login=login)
            pubSub.start()
            line = broker.accept()
            line.arrive(self.GREETING)
            options = optionsOf(line.said())
            self.assertEqual(
                {name: options[name] for name in options if name in ("user", "pass", "auth_token")},
                expected,
            )

    def test_pong(self) -> None:
        """
        A ping of the server is answered.
        """
        line = self.begin()
        line.said()
        line.arrive(b"PING\r\n+OK\r\nPONG\r\n" + INFO)
        self.assertEqual(line.said(), b"PONG\r\n")

    def test_earlyPong(self) -> None:
        """
        An answer that was not asked for lets nobody in.
        """
        self.pubSub.start()
        self.broker.accept().arrive(b"PONG\r\n")
        self.assertIs(self.pubSub.state, PubSubState.CONNECTING)

    def test_maxPayload(self) -> None:
        """
        What the server does not take is not sent to it: neither at once nor when
        it has waited.
        """
        self.assertFalse(self.pubSub.publish("a", b"not started"))
        self.pubSub.start()
        self.assertTrue(self.pubSub.publish("a", b"x" * 100))
        self.assertTrue(self.pubSub.publish("a", b"y"))
        line = self.broker.accept()
        line.arrive(b'INFO {"max_payload":100}\r\nPONG\r\n')
        self.assertFalse(self.pubSub.publish("a", b"x" * 100))
        self.assertEqual((self.pubSub.published, self.pubSub.dropped), (1, 3))
        self.assertFalse(line.closed)

    def test_permissions(self) -> None:
        """
        A subject that is not for us is counted, and the rest goes on.
        """
        line = self.begin()
        line.arrive(b"-ERR 'Permissions Violation for Publish to \"openfl.a\"'\r\n")
        self.assertFalse(line.closed)
        self.assertEqual(self.pubSub.refused, 1)
        self.assertIn("Permissions Violation for Publish", self.pubSub.problem)

    def test_error(self) -> None:
        """
        Any other error is why the connection ends; what comes behind it does not
        matter.
        """
        line = self.begin()
        line.arrive(b"-ERR 'Stale Connection'\r\n" + self.delivery("a", sealed(1, b"")))
        self.assertTrue(line.closed)
        self.assertEqual(self.pubSub.problem, "the broker says: Stale Connection")


class NATSSecurityTests(SynchronousTestCase):
    """
    TLS begins before anything is said.
    """

    def setUp(self) -> None:
        self.broker = Broker()
        self.creator = SecureConnectionCreator("broker")

    def connect(self, tls: SecureConnectionCreator | None, *pieces: bytes) -> Line:
        """
        Connect to a server that sends these bytes.
        """
        self.pubSub = NATSPubSub(
            self.broker.way,
            "nats+tls://broker:4222",
            login=NATSLogin("someone", "secret"),
            tls=tls,
            limits=LIMITS,
            clock=self.broker.clock,
        )
        self.pubSub.start()
        line = self.broker.accept()
        for piece in pieces:
            line.arrive(piece)
        return line

    def test_tls(self) -> None:
        """
        Who we are is said when the server is trusted, and not before.
        """
        for word in ("tls_required", "tls_available"):
            self.broker = Broker()
            line = self.connect(self.creator, b'INFO {"%b":true}\r\n' % word.encode())
            self.assertIs(line.secured, self.creator)
            self.assertEqual(line.said(), b"")
            assert line.protocol is not None
            protocol: Any = line.protocol
            self.assertTrue(IHandshakeListener.providedBy(protocol))
            protocol.handshakeCompleted()
            options = optionsOf(line.said())
            self.assertEqual((options["pass"], options["tls_required"]), ("secret", True))
            line.arrive(b"PONG\r\n")
            self.assertIs(self.pubSub.state, PubSubState.UP)
            verifyObject(IHandshakeListener, protocol._protocol)

    def test_noTLS(self) -> None:
        """
        A server that has no TLS hears nothing.
        """
        line = self.connect(self.creator, INFO)
        self.assertEqual((line.said(), line.closed), (b"", True))
        self.assertIn("the broker does not support TLS", self.pubSub.problem)

    def test_wantsTLS(self) -> None:
        """
        A server that wants TLS hears nothing without.
        """
        line = self.connect(None, b'INFO {"tls_required":true}\r\n')
        self.assertEqual((line.said(), line.closed), (b"", True))
        self.assertIn("nats+tls://", self.pubSub.problem)

    def test_injection(self) -> None:
        """
        What somebody has put between the introduction and TLS is not taken.
        """
        for more in (b"PONG\r\n", b"PO"):
            self.broker = Broker()
            line = self.connect(self.creator, b'INFO {"tls_required":true}\r\n' + more)
            self.assertTrue(line.closed)
            self.assertIn("before TLS", self.pubSub.problem)
