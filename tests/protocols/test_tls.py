"""
The way out inside TLS, whose transport behaves differently at its end: it takes
nothing after it was asked to close, unless it has a producer, and it does not
close while it has one.
"""

from typing import Any

from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.simpleserver import SimpleServerFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from tests.support.tls import Contexts, SlowClient, contexts


class Client(Protocol):
    """
    Sends data, and collects the received data.
    """

    def __init__(self, message: bytes) -> None:
        self.message = message
        self.received = b""
        self.lost = False

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.message)

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = True


class TLSTests(SynchronousTestCase):
    """
    Servers inside TLS.
    """

    def test_bounded(self) -> None:
        """
        A client that does not read is disconnected, as without TLS.
        """
        factory = XMLSocketFactory(XMLSocketProtocol, maxQueue=100_000)
        client = SlowClient(factory)
        [connection] = factory.connections
        for _ in range(300):
            connection.sendMessage("x" * 1000)
            client.clock.advance(0)
        self.assertTrue(client.transport.closed)
        self.assertEqual(connection.transport.pending, 0)
        self.assertEqual(factory.connections, set())

    def test_readingIsPaused(self) -> None:
        """
        While a client does not read, nothing is read from it; it receives all data, and
        the end.
        """
        factory = XMLSocketFactory(EchoProtocol)
        client = SlowClient(factory)
        [connection] = factory.connections
        message = b"x" * 10_000 + b"\0"
        client.send(message)
        client.clock.advance(0)
        client.send(message)
        self.assertEqual(client.transport.producerState, "paused")
        while len(client.received) < 2 * len(message):
            client.read()
        connection.transport.loseConnection()
        client.readAll()
        self.assertEqual(client.received, message * 2)
        self.assertEqual(client.transport.producerState, "producing")

    def test_tail(self) -> None:
        """
        Data held when the connection is closed arrives before the end, whichever side
        closes.
        """
        for closing in ("the protocol", "the guard"):
            xml = XMLSocketFactory(XMLSocketProtocol)
            guard = GuardFactory(xml, clock=Clock())
            client = SlowClient(guard)
            [connection] = xml.connections
            messages = ["x" * 100_000, "y" * 3000, "z"]
            for message in messages:
                connection.sendMessage(message)
            client.clock.advance(0)
            self.assertGreater(connection.transport.pending, 3000)
            if closing == "the guard":
                guard.closeAll(10)
            else:
                connection.transport.loseConnection()
            client.readAll()
            self.assertEqual(client.received, "".join(m + "\0" for m in messages).encode())
            self.assertEqual(guard.connections, 0)

    def talk(self, factory: Factory[Any], message: bytes) -> tuple[Client, IOPump]:
        """
        Connect a client to a server, and exchange data until both are idle.
        """
        server, client = contexts()
        clock = Clock()
        serving = TLSMemoryBIOFactory(Contexts(server), False, factory, clock).buildProtocol(None)
        talking = Client(message)
        dialing = TLSMemoryBIOFactory(
            Contexts(client), True, Factory.forProtocol(lambda: talking), clock
        ).buildProtocol(None)
        ends = (serving, makeFakeServer(serving), dialing, makeFakeClient(dialing))
        pump: IOPump = connect(*ends, clock=clock)
        pump.flush()
        return talking, pump

    def test_writeThenClose(self) -> None:
        """
        An answer written in the same read as C{loseConnection} is sent first.
        """
        client, _ = self.talk(SimpleServerFactory(), b"hello\nEXIT\n")
        self.assertEqual(client.received, b"Enter EXIT to exit.\r\nEcho: hello\r\nEcho: EXIT\r\n")
        self.assertTrue(client.lost)

    def test_closeAfterEchoes(self) -> None:
        """
        A connection with a producer closes, and the client receives data longer than
        one TLS record.
        """
        factory = XMLSocketFactory(EchoProtocol)
        message = b"x" * 500_000 + b"\0"
        client, pump = self.talk(factory, message * 2)
        self.assertEqual(client.received, message * 2)
        [connection] = factory.connections
        connection.transport.loseConnection()
        pump.flush()
        self.assertTrue(client.lost)
        self.assertEqual(factory.connections, set())

    def test_policyRequest(self) -> None:
        """
        A policy request inside TLS is answered through all wrappers.
        """
        policy = PolicyFile.forPort(80)
        clock = Clock()
        door = OnePortFactory(SimpleServerFactory(), policy=policy, clock=clock)
        factory = GuardFactory(door, clock=clock)
        client, _ = self.talk(factory, REQUEST)
        self.assertEqual(client.received, policy.toXML() + b"\0")
        self.assertTrue(client.lost)
        self.assertEqual(factory.connections, 0)
