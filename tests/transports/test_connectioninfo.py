"""
Tests for L{openfl_twisted.transports.connectioninfo}, and for what a guard tells of its
clients.
"""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.websocket import PING_INTERVAL, WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.transports.connectioninfo import CLIENT_TYPES, Traffic, inTLS
from openfl_twisted.transports.guard import REFUSALS, GuardFactory
from openfl_twisted.transports.wrapper import ConnectionWrapper
from openfl_twisted.wire.firstbytes import Signature
from openfl_twisted.wire.policy.request import REQUEST
from tests.doubles import TightTransport, linesOf
from tests.frames import BINARY, PING, PONG, frame
from tests.frames import REQUEST as UPGRADE
from tests.laboratory import authority, server
from tests.support.clients import Client as ClientType
from tests.support.greeters import Greeter, GreeterFactory
from tests.tls.handshakes import Presenting

IDENTITY = server(authority())


class ClientTestCase(SynchronousTestCase):
    """
    A guard and protocol detection for all client types, wrapping an echo server.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        tls: Any = Presenting.of(IDENTITY)
        self.door = OnePortFactory(XMLSocketFactory(EchoProtocol), tls=tls, clock=self.clock)
        self.guard = GuardFactory(self.door, clock=self.clock)

    def call(self, data: bytes = b"", *, inTLS: bool = False) -> ClientType:
        """
        Connect a client, and send data.
        """
        client = ClientType(self.guard, self.clock, inTLS=inTLS)
        if data:
            client.send(data)
        return client


class KindTests(ClientTestCase):
    """
    The guard knows the type of each client.
    """

    def kinds(self) -> list[str]:
        """
        Return the types of the connected clients.
        """
        return [client.kind for client in self.guard.clients()]

    def test_kinds(self) -> None:
        """
        Each client type has a name.
        """
        for data, encrypted, kind in [
            (b"a\0", False, "plain"),
            (UPGRADE, False, "websocket"),
            (b"a\0", True, "tls"),
            (UPGRADE, True, "websocket in tls"),
            (b"", False, "undetected"),
            (b"", True, "undetected"),
        ]:
            self.setUp()
            self.call(data, inTLS=encrypted)
            self.assertEqual(self.kinds(), [kind])
            self.assertIn(kind, CLIENT_TYPES)

    def test_policy(self) -> None:
        """
        A client that requests the policy file has the type C{policy}, inside TLS, too,
        and after it has disconnected.
        """
        for encrypted in (False, True):
            self.setUp()
            self.call(REQUEST, inTLS=encrypted).close()
            self.assertEqual([kind for kind, _ in self.guard.closed], ["policy"])

    def test_latePolicy(self) -> None:
        """
        A client that was greeted keeps its type.
        """
        client = self.call()
        self.clock.advance(1)
        self.assertEqual(self.kinds(), ["plain"])
        client.send(REQUEST)
        client.close()
        self.assertEqual(self.guard.closed, {("plain", "server"): 1})

    def test_http(self) -> None:
        """
        A client that sends HTTP requests has the type C{http}, whichever factory serves them.
        """
        wrapped = GreeterFactory(Greeter)
        self.guard.wrappedFactory = OnePortFactory(
            wrapped, passThrough={Signature.HTTP}, clock=self.clock
        )
        self.call(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(self.kinds(), ["http"])

    def test_withoutDetection(self) -> None:
        """
        Without protocol detection, a client is plain, or inside TLS.
        """
        for encrypted, kind in [(False, "plain"), (True, "tls")]:
            guard = GuardFactory(XMLSocketFactory(EchoProtocol), clock=Clock())
            connection = guard.buildProtocol(None)
            transport = TightTransport(connection)
            if encrypted:
                alsoProvides(transport, ISSLTransport)
            connection.makeConnection(transport)
            self.assertEqual([client.kind for client in guard.clients()], [kind])

    def test_webSocketFactory(self) -> None:
        """
        Without protocol detection, the client of a L{WebSocketFactory} is a WebSocket.
        """
        clock = Clock()
        factory = WebSocketFactory(XMLSocketFactory(EchoProtocol), clock=clock)
        guard = GuardFactory(factory, clock=clock)
        connection = guard.buildProtocol(None)
        transport = TightTransport(connection)
        connection.makeConnection(transport)
        connection.dataReceived(UPGRADE)
        self.assertEqual([client.kind for client in guard.clients()], ["websocket"])
        connection.abortConnection()

    def test_inTLS(self) -> None:
        """
        The types C{undetected} and C{policy} are the same inside TLS.
        """
        self.assertEqual(
            [inTLS(kind) for kind in ("plain", "websocket", "policy", "undetected")],
            ["tls", "websocket in tls", "policy", "undetected"],
        )


class SnapshotTests(ClientTestCase):
    """
    The guard describes its connections.
    """

    def test_client(self) -> None:
        """
        The description of a client contains its address, age and traffic.
        """
        self.call(b"abc\0")
        self.clock.advance(3)
        self.call(b"\0")
        first, second = self.guard.clients()
        self.assertEqual(first.address, "192.168.1.1:54321")
        self.assertEqual((first.id, second.id), (1, 2))
        self.assertEqual((first.age, second.age), (3, 0))
        self.assertEqual((first.bytesIn, first.bytesOut), (4, 4))
        self.assertEqual((first.waiting, first.labels), (0, {}))

    def test_newest(self) -> None:
        """
        C{newest} selects the clients that connected last.
        """
        for _ in range(3):
            self.call()
        for newest, ids in [(None, [1, 2, 3]), (4, [1, 2, 3]), (2, [2, 3]), (0, [])]:
            self.assertEqual([client.id for client in self.guard.clients(newest)], ids)

    def test_waiting(self) -> None:
        """
        The send queue of each client is reported, and the sum for all clients.
        """
        factory = BinarySocketFactory(BinarySocketProtocol)
        guard = GuardFactory(factory, clock=Clock())
        for _ in range(2):
            connection = guard.buildProtocol(None)
            connection.makeConnection(TightTransport(connection, 10))
            for _ in range(3):
                connection.wrappedProtocol.transport.write(b"x" * 20)
        self.assertEqual([client.waiting for client in guard.clients()], [40, 40])
        self.assertEqual(guard.waiting(), 80)

    def test_writeSequence(self) -> None:
        """
        Chunks that are written together are counted and forwarded.
        """
        guard = GuardFactory(Factory.forProtocol(EchoProtocol), clock=Clock())
        connection = guard.buildProtocol(None)
        transport = TightTransport(connection, 100)
        connection.makeConnection(transport)
        connection.writeSequence(iter([b"ab", b"c"]))
        self.assertEqual((connection.bytesOut, transport.value()), (3, b"abc"))

    def test_traffic(self) -> None:
        """
        The traffic of closed connections is included; undetected connections are
        excluded, so that no number decreases.
        """
        ended = self.call(b"ab\0")
        ended.close()
        self.call(b"c\0")
        half = self.call(b"<policy-file-re")
        self.assertEqual(self.guard.traffic(), {"plain": Traffic(5, 5)})
        self.assertEqual(self.guard.totalTraffic(), Traffic(20, 5))
        half.abort()
        traffic = self.guard.traffic()
        self.assertEqual(traffic["undetected"], Traffic(15, 0))
        # The result is a copy.
        traffic["plain"].bytesIn = 0
        self.assertEqual(self.guard.traffic()["plain"].bytesIn, 5)

    def test_webSocket(self) -> None:
        """
        The traffic of a WebSocket includes its handshake.
        """
        self.call(UPGRADE + frame(BINARY, b"a\0"))
        [client] = self.guard.clients()
        self.assertEqual(client.bytesIn, len(UPGRADE + frame(BINARY, b"a\0")))
        self.assertGreater(client.bytesOut, 100)

    def test_pingTime(self) -> None:
        """
        A WebSocket has the round-trip time of its last ping, inside TLS, too. Other connections
        have none.
        """
        for isSecure in (False, True):
            self.setUp()
            self.call(b"a\0", inTLS=isSecure)
            client = self.call(UPGRADE, inTLS=isSecure)
            self.assertEqual([each.pingTime for each in self.guard.clients()], [None, None])
            self.clock.advance(PING_INTERVAL)
            client.exchange()
            [(opcode, payload)] = client.messages
            self.assertEqual(opcode, PING)
            self.clock.advance(0.5)
            client.send(frame(PONG, payload))
            self.assertEqual([each.pingTime for each in self.guard.clients()], [None, 0.5])

    def test_closed(self) -> None:
        """
        Closed connections are counted by the side that has closed them.
        """
        self.call(b"\0").close()
        self.call(b"\0").abort()
        client = self.call(b"\0")
        client.server.underlying.abortConnection()
        self.assertTrue(client.closed)
        self.assertEqual(
            self.guard.closed,
            {("plain", "peer"): 1, ("plain", "failure"): 1, ("plain", "server"): 1},
        )


class KickTests(ClientTestCase):
    """
    A connection can be closed by its number.
    """

    def test_kick(self) -> None:
        """
        The connection is closed gracefully, and the log contains the reason.
        """
        self.call(b"\0")
        client = self.call(b"\0")
        with capturedLogs() as logs:
            self.assertTrue(self.guard.kick(2, "it is late"))
        self.assertTrue(client.closed)
        self.assertEqual(linesOf(logs), ["192.168.1.1:54321 disconnected by operator: it is late"])
        client.close()
        self.assertEqual([each.id for each in self.guard.clients()], [1])
        self.assertEqual(self.guard.closed, {("plain", "server"): 1})

    def test_unknownNumber(self) -> None:
        """
        An unknown number closes no connection.
        """
        with capturedLogs() as logs:
            self.assertFalse(self.guard.kick(1, "it is late"))
        self.assertEqual(linesOf(logs), [])


class AddressLimitTests(SynchronousTestCase):
    """
    The number of connections of one address is limited.
    """

    def setUp(self) -> None:
        self.guard = GuardFactory(XMLSocketFactory(EchoProtocol), maxPerAddress=2, clock=Clock())

    def connect(self, host: str) -> Any:
        """
        Connect a client.

        @return: the connection; C{None} if it is refused.
        """
        protocol = self.guard.buildProtocol(IPv4Address("TCP", host, 5))
        transport = TightTransport(protocol)
        protocol.makeConnection(transport)
        if not isinstance(protocol, ConnectionWrapper):
            self.assertTrue(transport.closed)
            return None
        return protocol

    def test_limit(self) -> None:
        """
        Connections above the limit are refused; other addresses are not. One line is
        logged until a connection of the address is closed.
        """
        one, _ = self.connect("10.0.0.1"), self.connect("10.0.0.1")
        with capturedLogs() as logs:
            self.assertIsNone(self.connect("10.0.0.1"))
            self.assertIsNone(self.connect("10.0.0.1"))
        line = (
            "10.0.0.1 refused: connection limit per address reached (2, --max-per-address); "
            "further refusals are not logged"
        )
        self.assertEqual(linesOf(logs), [line])
        self.assertIsNotNone(self.connect("10.0.0.2"))
        one.connectionLost(Failure(ConnectionDone()))
        self.assertIsNotNone(self.connect("10.0.0.1"))
        with capturedLogs() as logs:
            self.assertIsNone(self.connect("10.0.0.1"))
        self.assertEqual(linesOf(logs), [line])
        self.assertEqual(self.guard.refusals, {**dict.fromkeys(REFUSALS, 0), "address": 3})
        self.assertEqual((self.guard.refused, self.guard.opened), (3, 4))
