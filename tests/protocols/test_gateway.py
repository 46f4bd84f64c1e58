"""
Tests for L{openfl_twisted.protocols.gateway}.
"""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from websockets.client import ClientProtocol
from websockets.frames import Frame
from websockets.protocol import State
from websockets.uri import parse_uri

from openfl_twisted.protocols.bridge import BridgeFactory
from openfl_twisted.protocols.gateway import CONNECTION_RATE, Gateway, Rule, isPublic
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.testing import MemoryNetwork, Peer
from tests.doubles import linesOf

PUBLIC = "93.184.216.34"
PRIVATE = [
    "10.0.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "224.0.0.1",
    "255.255.255.255",
    "0.0.0.0",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    # Mapped, NAT64, the local prefix of NAT64, compatible, 6to4 and Teredo.
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "::10.0.0.1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    # Site-local, translated (SIIT), for documentation, segment routing, and unassigned.
    "fec0::1",
    "::ffff:0:10.0.0.1",
    "3fff::1",
    "5f00::1",
    "4000::1",
]


class Browser(Peer):
    """
    A WebSocket client.

    @ivar messages: the received messages.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.frames = ClientProtocol(parse_uri(f"ws://bridge.example{path}"))
        self.messages: list[bytes] = []

    def connectionMade(self) -> None:
        self.frames.send_request(self.frames.connect())
        self.flush()

    def say(self, message: bytes) -> None:
        self.frames.send_binary(message)
        self.flush()

    def flush(self) -> None:
        for data in filter(None, self.frames.data_to_send()):
            self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.frames.receive_data(data)
        for event in self.frames.events_received():
            if isinstance(event, Frame) and event.opcode == 2:
                self.messages.append(bytes(event.data))
        self.flush()

    @property
    def closeFrame(self) -> tuple[int | None, str | None]:
        """
        The code and the reason of the server's Close frame.
        """
        close = self.frames.close_rcvd
        return (None, None) if close is None else (int(close.code), close.reason)


class Echo(Peer):
    """
    A server that the gateway can reach.
    """

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(data)


class RuleTests(SynchronousTestCase):
    """
    Rules.
    """

    def permits(self, rule: str, *servers: str) -> list[bool]:
        """
        Return whether a rule permits servers.
        """
        parts = [server.rpartition(":") for server in servers]
        return [Rule.parse(rule).permits(host, int(port)) for host, _, port in parts]

    def test_names(self) -> None:
        """
        A rule names one server.
        """
        self.assertEqual(
            self.permits(
                "Game.Example.:9339",
                "game.example:9339",
                "game.example:1",
                "a.game.example:9339",
            ),
            [True, False, False],
        )
        self.assertEqual(self.permits("gr\u00fcn.example:1", "xn--grn-ioa.example:1"), [True])

    def test_wildcard(self) -> None:
        """
        C{*} permits the names below a name, and not the name itself.
        """
        self.assertEqual(
            self.permits(
                "*.old.example:1024-2000",
                "a.old.example:1024",
                "a.b.old.example:2000",
                "old.example:1024",
                "evilold.example:1024",
                "a.old.example:2001",
                "a.old.example:1023",
            ),
            [True, True, False, False, False, False],
        )

    def test_addresses(self) -> None:
        """
        A rule can name an address.
        """
        self.assertEqual(self.permits("192.168.1.20:80", "192.168.1.20:80"), [True])
        self.assertEqual(self.permits("[2001:DB8::1]:80", "2001:db8::1:80"), [True])

    def test_wrong(self) -> None:
        """
        An invalid rule is an error that says why.
        """
        for text, words in (
            ("game.example", "must be HOST:PORT or HOST:PORT-PORT"),
            ("*:80", "* can only be the first label, as in *.game.example"),
            ("a.*.example:80", "* can only be the first label"),
            ("*a.example:80", "* can only be the first label"),
            ("*.127.0.0.1:80", "'127.0.0.1' must be a host name or an IP address"),
            ("127.1:80", "'127.1' must be a host name or an IP address"),
            ("0x7f000001:80", "must be a host name or an IP address"),
            ("a..b:80", "must be a host name or an IP address"),
            ("a.example:0", "ports are numbers from 1 to 65535"),
            ("a.example:65536", "ports are numbers from 1 to 65535"),
            ("a.example:2000-1999", "ports are numbers from 1 to 65535"),
            ("a.example:1023-2000", "a range of ports must begin at 1024 or above"),
        ):
            error = self.assertRaises(ValueError, Rule.parse, text)
            self.assertIn(words, str(error))

    def test_public(self) -> None:
        """
        Addresses that are not public are recognized, also inside IPv6 addresses.
        """
        for text in PRIVATE:
            self.assertFalse(isPublic(ip_address(text)), text)
        for text in (PUBLIC, "2606:2800:220:1:248:1893:25c8:1946", f"64:ff9b::{PUBLIC}"):
            self.assertTrue(isPublic(ip_address(text)), text)
        self.assertTrue(isPublic(ip_address(f"::ffff:{PUBLIC}")))


class GatewayTests(SynchronousTestCase):
    """
    The gateway of a bridge.
    """

    def setUp(self) -> None:
        self.begin("game.example:9339", "*.old.example:1024-65535", "192.168.1.20:9339")

    def begin(self, *rules: str) -> None:
        """
        Start a bridge, and a game server on some addresses.
        """
        self.network = MemoryNetwork.forTest(self.addCleanup)
        self.gateway = Gateway(
            map(Rule.parse, rules), self.network.reactor, timeout=5, isLocal=lambda host: False
        )
        bridge = BridgeFactory({}, gateway=self.gateway, clock=self.network.reactor)
        self.port = self.network.reactor.listenTCP(
            9000, OnePortFactory(bridge, clock=self.network.reactor), interface="127.0.0.1"
        )
        self.network.addHost("game.example", PUBLIC)
        self.network.addHost("a.old.example", PUBLIC)
        self.network.addHost("lan", "192.168.1.20", "10.0.0.1")
        game = Factory.forProtocol(Echo)
        for host, port in ((PUBLIC, 9339), ("192.168.1.20", 9339), ("10.0.0.1", 9339)):
            self.network.reactor.listenTCP(port, game, interface=host)

    def visit(self, path: str) -> Browser:
        """
        Connect a browser to the bridge, and say hello.
        """
        browser = Browser(path)
        factory = Factory.forProtocol(lambda: browser)
        endpoint = TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", 9000)
        self.network.run(endpoint.connect(factory))
        self.network.flush()
        if browser.frames.state is State.OPEN:
            browser.say(b"hello\0")
            self.network.flush()
        return browser

    def assertPermitted(self, path: str) -> None:
        browser = self.visit(path)
        self.assertEqual(browser.messages, [b"hello\0"], path)
        browser.transport.loseConnection()
        self.network.flush()

    def assertRefused(self, path: str, server: str, why: str) -> None:
        """
        Check that a server is refused: the client learns only that it is not permitted, and the log
        says why.
        """
        with capturedLogs() as logs:
            browser = self.visit(path)
        self.assertEqual(browser.messages, [])
        self.assertEqual(browser.closeFrame, (1008, f"{server} is not permitted here"))
        [line] = [line for line in linesOf(logs) if "not permitted" in line]
        self.assertIn(f" disconnected: {server} is not permitted here: {why}", line)

    def test_permitted(self) -> None:
        """
        A server that a rule permits is reached; the connection is logged.
        """
        for path in (
            "/to/game.example/9339",
            "/to/GAME.example./9339",
            "/to/game%2eexample/9339?x=1",
            "/to/a.old.example/9339",
            "/to/192.168.1.20/9339",
        ):
            with capturedLogs() as logs:
                self.assertPermitted(path)
            self.assertTrue(any(" connected to tcp:" in line for line in linesOf(logs)), path)

    def test_noRule(self) -> None:
        """
        Without a rule, a server is refused, and its name is not looked up.
        """
        for host, port in (
            ("game.example", 25),
            ("old.example", 9339),
            ("evilold.example", 9339),
            (PUBLIC, 9339),
            ("lan", 9339),
            ("game.example", 99999),
        ):
            self.assertRefused(f"/to/{host}/{port}", f"{host}:{port}", "no rule permits it")

    def test_notAHost(self) -> None:
        """
        Text that some resolvers take for an address is refused.
        """
        for host in ("127.1", "0x7f000001", "2130706433", "a..b", "a%0ab", "%00", "-"):
            self.assertRefused(
                f"/to/{host}/9339", "this server:9339", "not a host name or an IP address"
            )

    def test_privateAddress(self) -> None:
        """
        A permitted name whose addresses are not public is refused, even if only one of them is
        not.
        """
        for text in PRIVATE:
            for addresses in ([text], [PUBLIC, text]):
                self.network.addHost("x.old.example", *addresses)
                self.network.advance(2)
                self.assertRefused(
                    "/to/x.old.example/9339",
                    "x.old.example:9339",
                    f"{text} is not a public address, and no rule names it",
                )

    def test_namedAddress(self) -> None:
        """
        A name may have a private address that a rule names.
        """
        self.network.addHost("x.old.example", "192.168.1.20")
        self.assertPermitted("/to/x.old.example/9339")
        self.assertRefused(
            "/to/x.old.example/9340",
            "x.old.example:9340",
            "192.168.1.20 is not a public address, and no rule names it",
        )

    def test_changingName(self) -> None:
        """
        A name is resolved once: if its address changes after the check, the connection goes to the
        address that was checked.
        """
        names = self.network.names
        isLocal = self.gateway.isLocal

        def change(address: str) -> bool:
            names["game.example"] = ["10.0.0.1"]
            return isLocal(address)

        self.gateway.ownPorts = lambda: {9339}
        self.gateway.isLocal = change
        self.assertPermitted("/to/game.example/9339")
        self.assertRefused(
            "/to/game.example/9339",
            "game.example:9339",
            "10.0.0.1 is not a public address, and no rule names it",
        )

    def test_missingName(self) -> None:
        """
        A permitted name that does not exist is refused with the same text.
        """
        self.assertRefused(
            "/to/missing.old.example/9339",
            "missing.old.example:9339",
            "DNS lookup failed: no results for hostname lookup: missing.old.example",
        )

    def test_ownPort(self) -> None:
        """
        The gateway never connects to its own server.
        """
        self.gateway.ownPorts = lambda: {9339}
        self.gateway.isLocal = lambda address: address == PUBLIC
        self.assertRefused(
            "/to/game.example/9339", "game.example:9339", f"{PUBLIC}:9339 is a port of this server"
        )
        nat64 = str(ip_address(f"64:ff9b::{PUBLIC}"))
        self.network.addHost("game.example", nat64)
        self.assertRefused(
            "/to/game.example/9339", "game.example:9339", f"{nat64}:9339 is a port of this server"
        )

    def test_rate(self) -> None:
        """
        The number of connections per minute from one client address is limited.
        """
        for _ in range(CONNECTION_RATE):
            self.assertPermitted("/to/game.example/9339")
        self.assertRefused(
            "/to/game.example/9339",
            "game.example:9339",
            f"more than {CONNECTION_RATE} connections per minute from this address",
        )
        self.network.advance(2)
        self.assertPermitted("/to/game.example/9339")

    def test_manyClients(self) -> None:
        """
        The number of stored rates is limited. The least recently used rates are dropped.
        """
        for number in range(10_100):
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            self.gateway.endpointFor("/to/game.example/9339", IPv4Address("TCP", address, 1))
        self.assertEqual(len(self.gateway._rates), 10_000)
        self.assertIn(address, self.gateway._rates)
        self.assertNotIn("10.0.0.0", self.gateway._rates)

    def test_otherPaths(self) -> None:
        """
        Any other path, and a client without a path, reaches no server.
        """
        for path in ("/", "/to", "/to/game.example", "/to/game.example/9339/x", "/to//9339"):
            with capturedLogs() as logs:
                browser = self.visit(path)
            self.assertEqual(browser.closeFrame, (1008, "unknown target"), path)
            self.assertTrue(any("no target has the name" in line for line in linesOf(logs)))

    @given(st.text(st.characters(codec="ascii"), max_size=30))
    def test_anyPath(self, text: str) -> None:
        """
        No path raises an exception.
        """
        peer = IPv4Address("TCP", "127.0.0.1", 1)
        for path in (f"/to/{text}/80", f"/to/{text}"):
            self.gateway.endpointFor(path, peer)

    def test_isLocal(self) -> None:
        """
        The addresses of the machine are recognized.
        """
        gateway = Gateway([], self.network.reactor, timeout=1)
        self.assertTrue(gateway.isLocal("127.0.0.1"))
        self.assertFalse(gateway.isLocal("192.0.2.1"))
        self.assertFalse(gateway.isLocal("2001:db8::1"))
