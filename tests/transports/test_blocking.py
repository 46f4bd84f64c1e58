"""
Tests for blocked addresses and connection rates in L{openfl_twisted.transports.guard}, also behind
proxies.
"""

from ipaddress import ip_network
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.pages import notFound
from twisted.web.server import Site

from openfl_twisted.logs import setLogLevel
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.proxyprotocol import ProxyProtocolFactory
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.transports import guard
from openfl_twisted.transports.blocklist import BlockList
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.hostlimit import QUIET, hostOf
from openfl_twisted.wire.policy.request import REQUEST as POLICY_REQUEST
from tests.doubles import TightTransport, linesOf
from tests.frames import BINARY, RESPONSE, closing, frame
from tests.frames import REQUEST as UPGRADE

PORT = IPv4Address("TCP", "127.0.0.1", 8080)
GOOD = IPv4Address("TCP", "192.0.2.1", 5000)
BAD = IPv4Address("TCP", "192.0.2.2", 5000)
BAD6 = IPv6Address("TCP", "2001:db8::7", 5000)
LATER = IPv6Address("TCP", "2001:db8::8", 5000)
PROXY = IPv4Address("TCP", "10.0.0.1", 5000)


def behind(client: str, request: bytes = UPGRADE) -> bytes:
    """
    Add the address of a client to a request.
    """
    return request.replace(b"Pragma: no-cache", b"X-Forwarded-For: " + client.encode())


class Caller:
    """
    A connection of a client, or of a proxy.
    """

    def __init__(self, factory: Any, peer: IAddress, data: bytes) -> None:
        protocol = factory.buildProtocol(peer)
        self.transport = TightTransport(protocol, 1 << 20, peerAddress=peer, hostAddress=PORT)
        protocol.makeConnection(self.transport)
        if not self.transport.closed:
            self.send(data)

    def send(self, data: bytes) -> None:
        self.transport.arrive(data)
        self.transport.drain()

    @property
    def received(self) -> bytes:
        return self.transport.delivered

    @property
    def isOpen(self) -> bool:
        return not (self.transport.closed or self.transport.disconnecting)


class GuardedTestCase(SynchronousTestCase):
    """
    A guarded server for all client types.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.blocks = BlockList()
        self.guard = self.makeGuard(blockList=self.blocks)

    def makeGuard(self, settings: Any = None, **options: Any) -> GuardFactory:
        def webSocket(*arguments: Any, **others: Any) -> WebSocketFactory:
            trusted = [ip_network("10.0.0.0/8")]
            return WebSocketFactory(*arguments, trustedProxies=trusted, **others)

        served = XMLSocketFactory(EchoProtocol)
        settings = settings or {}
        onePort = OnePortFactory(served, webSocket=webSocket, clock=self.clock, **settings)
        return GuardFactory(onePort, clock=self.clock, **options)

    def block(self, address: str) -> None:
        """
        Block an address, and wait until the WebSockets are closed.
        """
        self.blocks.block(address, 60, "spam")
        self.clock.advance(6)

    def call(self, peer: IAddress = GOOD, data: bytes = b"hello\0") -> Caller:
        return Caller(self.guard, peer, data)


class BlockTests(GuardedTestCase):
    """
    Connections from blocked addresses are refused.
    """

    def test_refused(self) -> None:
        """
        A blocked client is refused before its protocol is built, and counted. Other clients are
        served.
        """
        self.blocks.block("192.0.2.2", 60, "spam")
        self.blocks.block("2001:db8::", 60, "spam")
        built: list[object] = []
        build = self.guard.wrappedFactory.buildProtocol

        def buildProtocol(addr: object) -> Any:
            built.append(addr)
            return build(addr)

        self.patch(self.guard.wrappedFactory, "buildProtocol", buildProtocol)
        setLogLevel(LogLevel.debug)
        self.addCleanup(setLogLevel, LogLevel.info)
        with capturedLogs() as logs:
            self.assertTrue(self.call(BAD).transport.closed)
            self.assertTrue(self.call(BAD6).transport.closed)
        self.assertEqual(
            linesOf(logs),
            [
                "192.0.2.2:5000 refused: the address is blocked",
                "[2001:db8::7]:5000 refused: the address is blocked",
            ],
        )
        self.assertEqual({each["log_level"] for each in logs}, {LogLevel.debug})
        self.assertEqual(self.call().received, b"hello\0")
        self.assertEqual((self.guard.refusals["blocked"], self.guard.refused), (2, 2))
        self.assertEqual((self.guard.opened, built), (1, [GOOD]))

    def test_again(self) -> None:
        """
        After the block, the address is served again.
        """
        self.blocks.block("192.0.2.2", 60, "spam")
        self.assertTrue(self.call(BAD).transport.closed)
        self.blocks.unblock("192.0.2.2")
        self.assertEqual(self.call(BAD).received, b"hello\0")

    def test_policy(self) -> None:
        """
        A policy request from a blocked address is not answered on accept.
        """
        self.blocks.block("192.0.2.2", 60, "spam")
        self.assertIsNone(self.guard.firstAnswer(POLICY_REQUEST, BAD, PORT))
        self.assertIsNotNone(self.guard.firstAnswer(POLICY_REQUEST, GOOD, PORT))

    def test_disconnected(self) -> None:
        """
        The clients of a blocked address are disconnected; other clients are not.
        """
        bad = [self.call(BAD), self.call(BAD, UPGRADE), self.call(BAD6), self.call(LATER)]
        good = self.call()
        self.block("192.0.2.2")
        self.assertEqual([each.isOpen for each in bad], [False, False, True, True])
        bad[1].transport.drain()
        self.assertEqual(bad[1].received, RESPONSE + closing(1001, b"", mask=False))
        self.block("2001:db8::1")
        self.assertEqual([each.isOpen for each in bad], [False] * 4)
        good.send(b"again\0")
        self.assertEqual((good.isOpen, good.received), (True, b"hello\0again\0"))

    def test_notified(self) -> None:
        """
        The protocol of a disconnected client is notified, as after a disconnection by the
        dashboard. An exception in the protocol does not keep the client, or another one, connected.
        """
        told: list[object] = []

        class Player(EchoProtocol):
            def disconnectedByOperator(self) -> None:
                told.append(self)
                raise ValueError("broken")

        self.guard.wrappedFactory.wrappedFactory = XMLSocketFactory(Player)
        callers = [self.call(BAD), self.call(BAD)]
        self.blocks.block("192.0.2.2", 60, "spam")
        self.assertEqual(len(told), 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.assertEqual([each.isOpen for each in callers], [False, False])

    def test_noList(self) -> None:
        """
        Without a block list, no address is blocked.
        """
        guard = self.makeGuard()
        self.assertEqual(Caller(guard, BAD, b"hello\0").received, b"hello\0")
        self.assertIsNone(guard.blockList)


class ProxyTests(GuardedTestCase):
    """
    Behind a proxy, the address of the client is blocked.
    """

    def test_header(self) -> None:
        """
        The WebSocket of a blocked client that a trusted proxy reports is answered with 403. Other
        clients of the proxy are served.
        """
        self.blocks.block("192.0.2.2", 60, "spam")
        with capturedLogs() as logs:
            caller = self.call(PROXY, behind("192.0.2.2"))
        self.assertTrue(caller.received.startswith(b"HTTP/1.1 403 Forbidden\r\n"))
        self.assertTrue(caller.received.endswith(b"\r\n\r\nThis address is blocked.\n"))
        self.assertFalse(caller.isOpen)
        self.assertEqual(linesOf(logs), [])
        self.assertEqual(self.guard.refusals["blocked"], 1)
        self.assertEqual(self.call(PROXY, behind("192.0.2.1")).received, RESPONSE)

    def test_pages(self) -> None:
        """
        Requests of a blocked client for pages are answered with 403 too, also on a connection on
        which the proxy has sent requests of another client.
        """
        site = Site(notFound(), reactor=self.clock)
        self.guard = self.makeGuard({"http": site}, blockList=self.blocks)
        page = b"GET / HTTP/1.1\r\nHost: h\r\nPragma: no-cache\r\n\r\n"
        self.blocks.block("192.0.2.2", 60, "spam")
        bad = self.call(PROXY, behind("192.0.2.2", page))
        self.assertTrue(bad.received.startswith(b"HTTP/1.1 403 "), bad.received)
        caller = self.call(PROXY, behind("192.0.2.1", page))
        self.assertTrue(caller.received.startswith(b"HTTP/1.1 404 "), caller.received)
        caller.send(behind("192.0.2.2", page))
        self.assertIn(b"HTTP/1.1 403 Forbidden\r\n", caller.received)
        self.assertFalse(caller.isOpen)
        self.assertEqual(self.guard.refusals["blocked"], 2)

    def test_forged(self) -> None:
        """
        A client that is not a trusted proxy cannot use the address of another client.
        """
        self.blocks.block("192.0.2.2", 60, "spam")
        self.assertEqual(self.call(GOOD, behind("192.0.2.2")).received, RESPONSE)
        self.assertTrue(self.call(BAD, behind("192.0.2.1")).transport.closed)

    def test_disconnected(self) -> None:
        """
        The WebSockets of a client behind a proxy are disconnected, and no others. If the proxy is
        blocked, all its clients are disconnected.
        """
        bad, good = (self.call(PROXY, behind(f"192.0.2.{number}")) for number in (2, 1))
        self.block("192.0.2.2")
        self.assertEqual((bad.isOpen, good.isOpen), (False, True))
        good.send(frame(BINARY, b"hello\0"))
        self.assertTrue(good.received.endswith(b"hello\0"))
        self.block("10.0.0.1")
        self.assertFalse(good.isOpen)

    def test_guards(self) -> None:
        """
        If guards are nested, each guard can block the client.
        """
        outer = BlockList()
        self.guard = GuardFactory(self.guard, blockList=outer, clock=self.clock)
        outer.block("192.0.2.2", 60, "spam")
        self.blocks.block("192.0.2.3", 60, "spam")
        for number in (2, 3):
            received = self.call(PROXY, behind(f"192.0.2.{number}")).received
            self.assertTrue(received.startswith(b"HTTP/1.1 403 "), received)
        self.assertEqual(self.guard.refusals["blocked"], 1)
        self.assertEqual(self.guard.wrappedFactory.refusals["blocked"], 1)

    def test_manyClients(self) -> None:
        """
        When an address is blocked, the hosts of clients without a proxy are not computed again,
        because this takes long for IPv6.
        """
        asked: list[object] = []

        def count(address: IAddress) -> str | None:
            asked.append(address)
            return hostOf(address)

        clients = [self.call(LATER), self.call(GOOD, UPGRADE), self.call(PROXY, behind("::7"))]
        self.patch(guard, "hostOf", count)
        self.blocks.block("192.0.2.2", 60, "spam")
        self.assertEqual([each.isOpen for each in clients], [True] * 3)
        self.assertEqual(asked, [IPv6Address("TCP", "::7", 0)])

    def test_hidden(self) -> None:
        """
        A blocked client cannot hide its address with a header field, or a part of a field, that
        its proxy does not overwrite. Other clients with such fields are served.
        """
        fields = [
            "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: {}",
            "Forwarded: x\r\nX-Forwarded-For: {}",
            'Forwarded: for="\r\nForwarded: for={}',
            "X-Forwarded-For: 192.0.2.1\r\nForwarded: proto=http;for={}:80;by=10.0.0.1",
            "X-Forwarded-For: {}, ",
        ]
        self.blocks.block("192.0.2.2", 60, "spam")
        for field in fields:
            for client, answer in [("192.0.2.2", b"HTTP/1.1 403 "), ("192.0.2.3", RESPONSE)]:
                line = field.format(client).encode()
                caller = self.call(PROXY, UPGRADE.replace(b"Pragma: no-cache", line))
                self.assertTrue(caller.received.startswith(answer), (field, caller.received))
        # Header fields of a peer that is not a trusted proxy have no effect.
        self.assertEqual(self.call(GOOD, behind("192.0.2.2")).received, RESPONSE)
        self.assertEqual(self.guard.refusals["blocked"], len(fields))

    def test_proxyProtocol(self) -> None:
        """
        With the PROXY protocol, the address in the header is blocked, and counted for the
        connection rate.
        """
        self.guard = self.makeGuard(blockList=self.blocks, connectionRate=0.2)
        factory = ProxyProtocolFactory(self.guard, clock=self.clock)
        self.blocks.block("192.0.2.2", 60, "spam")

        def call(client: str) -> Caller:
            header = f"PROXY TCP4 {client} 10.0.0.9 5000 8080\r\n"
            return Caller(factory, PROXY, header.encode() + b"hello\0")

        self.assertTrue(call("192.0.2.2").transport.closed)
        good = call("192.0.2.1")
        self.assertEqual(good.received, b"hello\0")
        self.assertTrue(call("192.0.2.1").transport.closed)
        self.assertEqual(call("192.0.2.3").received, b"hello\0")
        refusals = self.guard.refusals
        self.assertEqual((refusals["blocked"], refusals["rate"]), (1, 1))
        self.blocks.block("192.0.2.1", 60, "spam")
        self.assertFalse(good.isOpen)


class RateTests(GuardedTestCase):
    """
    The connections per second of an address are limited.
    """

    def setUp(self) -> None:
        super().setUp()
        self.guard = self.makeGuard(connectionRate=2)

    def test_rate(self) -> None:
        """
        Connections beyond the rate are refused and counted. Other addresses are served. One line
        is logged for each burst.
        """
        with capturedLogs() as logs:
            isOpen = [self.call(BAD).isOpen for _ in range(14)]
        self.assertEqual(isOpen, [True] * 10 + [False] * 4)
        line = (
            "192.0.2.2 refused: connection rate per address reached (2 per second,"
            " --connection-rate); refusals are logged again after 60 s without one"
        )
        self.assertEqual([each for each in linesOf(logs) if "refused" in each], [line])
        self.assertEqual(self.guard.refusals["rate"], 4)
        self.assertTrue(self.call().isOpen)
        self.clock.advance(QUIET)
        with capturedLogs() as logs:
            isOpen = [self.call(BAD).isOpen for _ in range(12)]
        self.assertEqual(isOpen, [True] * 10 + [False] * 2)
        self.assertEqual([each for each in linesOf(logs) if "refused" in each], [line])

    def test_closed(self) -> None:
        """
        Closed connections count too.
        """
        for _ in range(10):
            self.call(BAD).transport._close(ConnectionDone())
        self.assertTrue(self.call(BAD).transport.closed)

    def test_policy(self) -> None:
        """
        Policy requests are not answered on accept, so that they are counted.
        """
        self.assertIsNone(self.guard.firstAnswer(POLICY_REQUEST, GOOD, PORT))

    def test_badLimit(self) -> None:
        """
        The rate must be a number from 0.
        """
        with self.assertRaisesRegex(ValueError, "connectionRate must be a number from 0"):
            self.makeGuard(connectionRate=-1)
