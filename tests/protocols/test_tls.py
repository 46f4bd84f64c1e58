"""
The way out inside TLS, whose transport behaves differently at its end: it takes
nothing after it was asked to close, unless it has a producer, and it does not
close while it has one.
"""

from typing import Any

from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.simpleserver import SimpleServerFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import (
    CertificateMaker,
    ConnectedPair,
    MemoryNetwork,
    Peer,
    connectedPair,
)
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST

CREDENTIALS = CertificateMaker().make()


class TLSTests(SynchronousTestCase):
    """
    Servers inside TLS.
    """

    def stall(self, factory: Factory[Any]) -> ConnectedPair[Peer, Any]:
        """
        Connect a client that does not read.
        """
        pair = connectedPair(Peer(), factory, tls=CREDENTIALS)
        pair.connection.toClient.window = 1000
        pair.connection.toClient.stall()
        return pair

    def read(self, pair: ConnectedPair[Peer, Any]) -> bytes:
        """
        Let the client read.

        @return: all data that it has read.
        """
        pair.connection.toClient.resume()
        pair.network.flush()
        return pair.client.received

    def test_bounded(self) -> None:
        """
        A client that does not read is disconnected, as without TLS.
        """
        factory = XMLSocketFactory(XMLSocketProtocol, maxQueue=100_000)
        pair = self.stall(factory)
        [connection] = factory.connections
        for _ in range(300):
            connection.sendMessage("x" * 1000)
            pair.network.flush()
        self.assertTrue(pair.connection.toServer.closed)
        self.assertEqual(connection.transport.pending, 0)
        self.assertEqual(factory.connections, set())

    def test_readingIsPaused(self) -> None:
        """
        While a client does not read, nothing is read from it; it receives all data, and
        the end.
        """
        factory = XMLSocketFactory(EchoProtocol)
        pair = self.stall(factory)
        [connection] = factory.connections
        message = b"x" * 100_000 + b"\0"
        pair.client.send(message)
        pair.network.flush()
        self.assertEqual(pair.connection.toServer.unread, 0)
        pair.client.send(message)
        pair.network.flush()
        self.assertGreater(pair.connection.toServer.unread, len(message))
        self.assertEqual(self.read(pair), message * 2)
        self.assertEqual(pair.connection.toServer.unread, 0)
        connection.transport.loseConnection()
        pair.network.flush()
        self.assertEqual(pair.client.received, message * 2)
        self.assertTrue(pair.client.closed)

    def test_tail(self) -> None:
        """
        Data held when the connection is closed arrives before the end, whichever side
        closes.
        """
        for closing in ("the protocol", "the guard"):
            xml = XMLSocketFactory(XMLSocketProtocol)
            guard = GuardFactory(xml, clock=Clock())
            pair = self.stall(guard)
            [connection] = xml.connections
            messages = ["x" * 100_000, "y" * 3000, "z"]
            for message in messages:
                connection.sendMessage(message)
            pair.network.flush()
            self.assertGreater(connection.transport.pending, 3000)
            if closing == "the guard":
                guard.closeAll(10)
            else:
                connection.transport.loseConnection()
            self.assertEqual(self.read(pair), "".join(m + "\0" for m in messages).encode())
            self.assertTrue(pair.client.closed)
            self.assertEqual(guard.connections, 0)

    def talk(
        self, factory: Factory[Any], message: bytes, network: MemoryNetwork | None = None
    ) -> ConnectedPair[Peer, Any]:
        """
        Connect a client to a server, and exchange data until both are idle.
        """
        pair = connectedPair(Peer(), factory, network=network, tls=CREDENTIALS)
        pair.client.send(message)
        pair.network.flush()
        return pair

    def test_writeThenClose(self) -> None:
        """
        An answer written in the same read as C{loseConnection} is sent first.
        """
        client = self.talk(SimpleServerFactory(), b"hello\nEXIT\n").client
        self.assertEqual(client.received, b"Enter EXIT to exit.\r\nEcho: hello\r\nEcho: EXIT\r\n")
        self.assertTrue(client.closed)

    def test_closeAfterEchoes(self) -> None:
        """
        A connection with a producer closes, and the client receives data longer than
        one TLS record.
        """
        factory = XMLSocketFactory(EchoProtocol)
        message = b"x" * 500_000 + b"\0"
        pair = self.talk(factory, message * 2)
        self.assertEqual(pair.client.received, message * 2)
        [connection] = factory.connections
        connection.transport.loseConnection()
        pair.network.flush()
        self.assertTrue(pair.client.closed)
        self.assertEqual(factory.connections, set())

    def test_policyRequest(self) -> None:
        """
        A policy request inside TLS is answered through all wrappers.
        """
        policy = PolicyFile.forPort(80)
        network = MemoryNetwork()
        door = OnePortFactory(SimpleServerFactory(), policy=policy, clock=network.reactor)
        factory = GuardFactory(door, clock=network.reactor)
        client = self.talk(factory, REQUEST, network).client
        self.assertEqual(client.received, policy.toXML() + b"\0")
        self.assertTrue(client.closed)
        self.assertEqual(factory.connections, 0)
