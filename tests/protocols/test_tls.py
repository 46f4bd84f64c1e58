"""
The way out inside TLS, whose transport behaves differently at its end: it takes
nothing after it was asked to close, unless it has a producer, and it does not
close while it has one.
"""

import contextlib
from typing import Any

import trustme
from OpenSSL.SSL import TLS_METHOD, Connection, Context, WantReadError, ZeroReturnError
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.simpleserver import SimpleServerFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from tests.doubles import TightTransport


@implementer(IOpenSSLContextFactory)
class Contexts:
    """
    Returns a TLS context to Twisted.
    """

    def __init__(self, context: Context) -> None:
        self.context = context

    def getContext(self) -> Context:
        return self.context


def contexts() -> tuple[Context, Context]:
    """
    Return the contexts of a server and of a client that does not verify.
    """
    server, client = Context(TLS_METHOD), Context(TLS_METHOD)
    trustme.CA().issue_cert("localhost").configure_cert(server)
    return server, client


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


class SlowClient:
    """
    A client that reads when the test calls it, from a server with a small buffer.
    """

    def __init__(self, factory: Factory[Any], room: int = 1000) -> None:
        self.clock = Clock()
        server, client = contexts()
        wrapper = TLSMemoryBIOFactory(Contexts(server), False, factory, self.clock)
        serving = wrapper.buildProtocol(None)
        self.transport = TightTransport(serving, room)
        self.transport.atOnce = False
        serving.makeConnection(self.transport)
        self.connection = Connection(client, None)
        self.connection.set_connect_state()
        self.received = b""
        self.ended = False
        while not self.received and not self.ended:
            try:
                self.connection.do_handshake()
            except WantReadError:
                self.read()
            else:
                break
            finally:
                self.write()

    def write(self) -> None:
        """
        Deliver the client's data to the server.
        """
        with contextlib.suppress(WantReadError):
            data = self.connection.bio_read(1 << 20)
            if self.transport.protocol is not None:
                self.transport.protocol.dataReceived(data)

    def send(self, data: bytes) -> None:
        """
        Send bytes.
        """
        self.connection.sendall(data)
        self.write()

    def read(self) -> None:
        """
        Read the received data, so that more can be sent.
        """
        self.clock.advance(0)
        arrived = self.transport.value()
        if arrived:
            self.connection.bio_write(arrived)
        try:
            while True:
                self.received += self.connection.recv(1 << 16)
        except ZeroReturnError:
            self.ended = True
        except WantReadError:
            pass
        self.transport.drain()

    def readAll(self) -> None:
        """
        Read until the end of the connection.
        """
        for _ in range(10_000):
            self.read()
            if self.ended:
                self.connection.shutdown()
                self.write()
                self.transport.drain()
                return
        raise AssertionError("there is no end")


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
