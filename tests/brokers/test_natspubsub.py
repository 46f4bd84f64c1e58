"""
Tests for L{openfl_twisted.brokers.natspubsub}, with an in-memory server.
"""

import json
from typing import Any
from unittest import mock

from twisted.internet import tcp
from twisted.internet.interfaces import IHandshakeListener
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from openfl_twisted.brokers.gathering import _NODES, _topicOf
from openfl_twisted.brokers.natspubsub import NATSLogin, NATSPubSub
from openfl_twisted.rooms.pubsub import PubSubState
from openfl_twisted.tls import SecureConnectionCreator
from openfl_twisted.wire import nats
from openfl_twisted.wire.nats import subjectOf
from tests.brokers import pubsubcase
from tests.brokers.doubles import LIMITS, NODE, Broker, BrokerPeer, envelope

INFO = b'INFO {"max_payload":1048576}\r\n'


def optionsOf(output: bytes) -> dict[str, object]:
    """
    Return the options of the C{CONNECT} command.
    """
    options: dict[str, object] = json.loads(output.split(b"\r\n")[0].removeprefix(b"CONNECT "))
    return options


class NATSPubSubTests(pubsubcase.BrokerPubSubCase):
    """
    L{NATSPubSub} with a NATS server.
    """

    PING = b"PING\r\n"
    GREETING = INFO + b"PONG\r\n"
    DENIED = INFO + b"-ERR 'Authorization Violation'\r\n"

    def build(self, broker: Broker, **options: Any) -> NATSPubSub:
        options = {"login": NATSLogin("someone", "secret")} | options
        return NATSPubSub(
            broker.endpoint,
            "nats://broker:4222",
            node=NODE,
            limits=LIMITS,
            clock=broker.clock,
            **options,
        )

    def topic(self, topic: str) -> bytes:
        return subjectOf("openfl", topic).rstrip(b"%")

    def delivery(self, topic: str, data: bytes) -> bytes:
        number = {"a": 1, _NODES: 2, "b": 4}[topic]
        return b"MSG %b %d %d\r\n%b\r\n" % (self.topic(topic), number, len(data), data)

    def test_greeting(self) -> None:
        """
        The client logs in, disables echo, and subscribes to its topics.
        """
        self.pubSub.subscribe("a", self.received.append)
        output = self.connect().takeOutput()
        options = optionsOf(output)
        self.assertEqual((options["user"], options["pass"]), ("someone", "secret"))
        self.assertEqual((options["echo"], options["tls_required"]), (False, False))
        own = nats.subscribe(nats.subjectOf("openfl", _topicOf(NODE)), 3)
        nodes = nats.subscribe(nats.subjectOf("openfl", _NODES), 2)
        self.assertIn(b"SUB openfl.a 1\r\n" + nodes + own + b"PING\r\n", output)

    def test_credentials(self) -> None:
        """
        A name without a password is sent as a token. Credentials are optional.
        """
        for login, expected in [(NATSLogin("t0ken"), {"auth_token": "t0ken"}), (None, {})]:
            broker = Broker()
            pubSub = self.build(broker, login=login)
            pubSub.start()
            transport = broker.accept()
            transport.arrive(self.GREETING)
            options = optionsOf(transport.takeOutput())
            self.assertEqual(
                {name: options[name] for name in options if name in ("user", "pass", "auth_token")},
                expected,
            )

    def test_pong(self) -> None:
        """
        A ping of the server is answered.
        """
        transport = self.connect()
        transport.takeOutput()
        transport.arrive(b"PING\r\n+OK\r\nPONG\r\n" + INFO)
        self.assertEqual(transport.takeOutput(), b"PONG\r\n")

    def test_earlyPong(self) -> None:
        """
        A pong before the login does not complete it.
        """
        self.pubSub.start()
        self.broker.accept().arrive(b"PONG\r\n")
        self.assertIs(self.pubSub.state, PubSubState.CONNECTING)

    def test_maxPayload(self) -> None:
        """
        Messages larger than the server's maximum payload are dropped, whether new or
        queued.
        """
        self.assertFalse(self.pubSub.publish("a", b"not started"))
        self.pubSub.start()
        self.assertTrue(self.pubSub.publish("a", b"x" * 100))
        self.assertTrue(self.pubSub.publish("a", b"y"))
        transport = self.broker.accept()
        transport.arrive(b'INFO {"max_payload":100}\r\nPONG\r\n')
        self.assertFalse(self.pubSub.publish("a", b"x" * 100))
        self.assertEqual((self.pubSub.published, self.pubSub.dropped), (1, 3))
        self.assertFalse(transport.closed)

    def test_permissions(self) -> None:
        """
        A permissions violation is counted, and the connection stays open.
        """
        transport = self.connect()
        transport.arrive(b"-ERR 'Permissions Violation for Publish to \"openfl.a\"'\r\n")
        self.assertFalse(transport.closed)
        self.assertEqual(self.pubSub.refused, 1)
        self.assertIn("Permissions Violation for Publish", self.pubSub.problem)

    def test_error(self) -> None:
        """
        Any other error closes the connection, and the data following it is ignored.
        """
        transport = self.connect()
        transport.arrive(b"-ERR 'Stale Connection'\r\n" + self.delivery("a", envelope(1, b"")))
        self.assertTrue(transport.closed)
        self.assertEqual(self.pubSub.problem, "error reply: Stale Connection")


class NATSSecurityTests(SynchronousTestCase):
    """
    The TLS handshake is completed before the login.
    """

    def setUp(self) -> None:
        self.broker = Broker()
        self.creator = SecureConnectionCreator("broker")

    def connect(self, tls: SecureConnectionCreator | None, *chunks: bytes) -> BrokerPeer:
        """
        Connect to a server.

        @param chunks: the chunks that the server sends.
        """
        self.pubSub = NATSPubSub(
            self.broker.endpoint,
            "nats+tls://broker:4222",
            login=NATSLogin("someone", "secret"),
            tls=tls,
            limits=LIMITS,
            clock=self.broker.clock,
        )
        self.pubSub.start()
        transport = self.broker.accept()
        for chunk in chunks:
            transport.arrive(chunk)
        return transport

    def test_tls(self) -> None:
        """
        The credentials are sent after the TLS handshake has completed.
        """
        for field in ("tls_required", "tls_available"):
            self.broker = Broker()
            # TLS that startTLS starts uses the global reactor, so the handshake is not played.
            with mock.patch.object(tcp.Client, "startTLS", autospec=True) as startTLS:
                transport = self.connect(self.creator, b'INFO {"%b":true}\r\n' % field.encode())
            [[client, creator]] = [call.args for call in startTLS.call_args_list]
            self.assertIs(creator, self.creator)
            self.assertEqual(transport.takeOutput(), b"")
            self.assertTrue(IHandshakeListener.providedBy(client.protocol))
            client.protocol.handshakeCompleted()
            options = optionsOf(transport.takeOutput())
            self.assertEqual((options["pass"], options["tls_required"]), ("secret", True))
            transport.arrive(b"PONG\r\n")
            self.assertIs(self.pubSub.state, PubSubState.UP)
            verifyObject(IHandshakeListener, self.pubSub._link.connection)

    def test_noTLS(self) -> None:
        """
        Nothing is sent to a server without TLS if TLS is required.
        """
        transport = self.connect(self.creator, INFO)
        self.assertEqual((transport.takeOutput(), transport.closed), (b"", True))
        self.assertIn("the broker does not support TLS", self.pubSub.problem)

    def test_requiresTLS(self) -> None:
        """
        Nothing is sent without TLS to a server that requires it.
        """
        transport = self.connect(None, b'INFO {"tls_required":true}\r\n')
        self.assertEqual((transport.takeOutput(), transport.closed), (b"", True))
        self.assertIn("nats+tls://", self.pubSub.problem)

    def test_injection(self) -> None:
        """
        Data received between C{INFO} and the TLS handshake closes the connection.
        """
        for more in (b"PONG\r\n", b"PO"):
            self.broker = Broker()
            transport = self.connect(self.creator, b'INFO {"tls_required":true}\r\n' + more)
            self.assertTrue(transport.closed)
            self.assertIn("before the TLS handshake", self.pubSub.problem)
