"""
Tests for L{openfl_twisted.testing._attempts}.
"""

import errno
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.testing import MemoryNetwork, Peer


class AttemptTests(SynchronousTestCase):
    """
    A test answers connection attempts itself.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.network.attempts.hold()

    def connect(self, host: str = "192.0.2.1", port: int = 80) -> Deferred[Any]:
        """
        Start to connect, to an address that the network does not have.
        """
        kind = TCP6ClientEndpoint if ":" in host else TCP4ClientEndpoint
        endpoint = kind(self.network.reactor, host, port, timeout=30)
        waiting: Deferred[Any] = endpoint.connect(Factory.forProtocol(Peer))
        self.network.flush()
        self.assertNoResult(waiting)
        return waiting

    def test_answer(self) -> None:
        """
        A test accepts an attempt with a server of its own, at any address.
        """
        for host in ("192.0.2.1", "2001:db8::1"):
            waiting = self.connect(host)
            [attempt] = self.network.attempts.held
            self.assertEqual((attempt.host, attempt.port), (host, 80))
            server = attempt.answer(Factory.forProtocol(Peer))
            client = self.successResultOf(waiting)
            client.send(b"ping")
            server.send(b"pong")
            self.network.flush()
            self.assertEqual((client.received, server.received), (b"pong", b"ping"))
            self.assertEqual(client.transport.getPeer().host, host)
            self.assertEqual(server.transport.getPeer(), client.transport.getHost())
            self.assertEqual(self.network.attempts.held, [])

    def test_refuse(self) -> None:
        """
        A test lets an attempt fail with any error.
        """
        waiting = self.connect()
        self.network.attempts.held[0].refuse()
        self.failureResultOf(waiting, error.ConnectionRefusedError)
        waiting = self.connect()
        self.network.attempts.held[0].refuse(errno.ENETUNREACH)
        self.failureResultOf(waiting, error.NoRouteError)

    def test_over(self) -> None:
        """
        An attempt that is over cannot be answered.
        """
        waiting = self.connect()
        [attempt] = self.network.attempts.held
        waiting.cancel()
        self.failureResultOf(waiting)
        self.network.flush()
        self.assertTrue(attempt.over)
        self.assertEqual(self.network.attempts.held, [])
        for answer in (lambda: attempt.answer(Factory.forProtocol(Peer)), attempt.refuse):
            with self.assertRaises(ValueError) as caught:
                answer()
            self.assertEqual(
                str(caught.exception), "<Attempt to connect to 192.0.2.1 port 80> has already ended"
            )
        self.assertEqual(self.network.attempts.made, [attempt])

    def test_noProtocol(self) -> None:
        """
        If the factory builds no protocol, the connection is closed.
        """

        class Refusing(Factory[Peer]):
            def buildProtocol(self, addr: object) -> None:
                return None

        waiting = self.connect()
        self.assertIsNone(self.network.attempts.held[0].answer(Refusing()))
        self.assertTrue(self.successResultOf(waiting).closed)

    def test_release(self) -> None:
        """
        Released attempts are answered by the servers of the network.
        """
        self.network.reactor.listenTCP(80, Factory.forProtocol(Peer), interface="127.0.0.1")
        there, nobody = self.connect("127.0.0.1"), self.connect("127.0.0.1", 81)
        self.network.advance(5)
        self.network.attempts.release()
        self.network.flush()
        self.successResultOf(there)
        self.failureResultOf(nobody, error.ConnectionRefusedError)
        self.network.run(
            TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", 80).connect(
                Factory.forProtocol(Peer)
            )
        )
        self.assertEqual(len(self.network.attempts.made), 3)
