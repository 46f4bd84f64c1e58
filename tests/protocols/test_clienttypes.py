"""
Every kind of client on one port: L{openfl_twisted.protocols.oneport} with TLS
and WebSocket.
"""

from functools import partial
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.logs import setLogLevel
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.testing import MemoryNetwork, Peer, connectedPair
from openfl_twisted.transports.detectiontimer import DETECTION_TIMEOUT
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.wrapper import CLOSE_TIMEOUT
from openfl_twisted.wire.firstbytes import ALL_TYPES, FOREIGN, ClientType, Signature
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import TightTransport, linesOf
from tests.frames import BINARY, CLOSE, RESPONSE, TEXT, closing, frame
from tests.frames import REQUEST as UPGRADE
from tests.support.clients import IDENTITY, PAGE, Client
from tests.support.greeters import Greeter, GreeterFactory
from tests.tls.handshakes import Presenting

POLICY = PolicyFile((AccessRule("*", "80"),))
ANSWER = POLICY.toXML() + b"\0"

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
ALERT = b"\x15\x03\x01\x00\x02\x02\x28"
PROXY_HEADERS = [
    b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n",
    b"PROXY UNKNOWN\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c",
]
REQUESTS = [
    (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n", b"405"),
    (b"HEAD / HTTP/1.1\r\n\r\n", b"426"),
    (b"PUT /a HTTP/1.0\r\n\r\n", b"405"),
    (b"get / HTTP/1.1\r\n\r\n", b"501"),
    (b"get / http/1.1\r\n\r\n", b"400"),
    (b"GET / Http/1.0\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000, b"431"),
    (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n", b"426"),
    (b"GET http://h/ HTTP/1.1\r\n\r\n", b"426"),
    (b"CONNECT h:443 HTTP/1.1\r\n\r\n", b"405"),
    (b"GET /\r\n", b"400"),
    (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
    (b"GET / HTTP/1.1\n\n", b"400"),
    (HEALTH, b"200"),
    (b"HEAD /healthz HTTP/1.1\r\n\r\n", b"200"),
    (b"OPTIONS * HTTP/1.1\r\n\r\n", b"200"),
]
# With and without an EOF.
ENDS = (Client.close, Client.abort)
SPLIT = [b"POST / HTTP/1.1\r\n\r\n\0<attack/>\0", b"GET /\r\n", HELLO, *PROXY_HEADERS]


class DetectionTestCase(SynchronousTestCase):
    """
    A port with protocol detection that wraps L{Greeter}s.
    """

    def setUp(self) -> None:
        self.open()

    def open(self, **settings: Any) -> None:
        """
        Open the port.
        """
        self.clock = Clock()
        self.wrapped = GreeterFactory(Greeter)
        settings = {"policy": POLICY, "tls": Presenting.of(IDENTITY), **settings}
        self.factory = OnePortFactory(self.wrapped, clock=self.clock, **settings)

    def call(self, **options: Any) -> Client:
        """
        Connect a client.
        """
        return Client(self.factory, self.clock, **options)

    @property
    def greeter(self) -> Greeter:
        """
        The only wrapped protocol.
        """
        [greeter] = self.wrapped.made
        return greeter


class DetectedTests(DetectionTestCase):
    """
    The client type is detected however the stream is split, inside TLS, too.
    """

    @given(st.booleans(), st.integers(1, 60))
    def test_plain(self, inTLS: bool, length: int) -> None:
        """
        A plain client communicates with the wrapped protocol directly.
        """
        self.open()
        client = self.call(inTLS=inTLS, length=length)
        client.send(b"GET the lamp\r\n")
        self.assertEqual(self.greeter.told, ["made"])
        self.assertEqual(self.greeter.received, b"GET the lamp\r\n")
        self.assertEqual(client.received, b"hello")

    @given(st.booleans(), st.integers(1, 60), st.sampled_from([b"\0", b"\n", b"\r\n", b"\0a\0"]))
    def test_policy(self, inTLS: bool, length: int, end: bytes) -> None:
        """
        A policy request is answered, whatever ends it, and no data of the connection
        is delivered.
        """
        self.open()
        client = self.call(inTLS=inTLS, length=length)
        client.send(REQUEST[:-1] + end)
        self.assertEqual(client.received, ANSWER)
        self.assertEqual(self.wrapped.made, [])

    @given(st.booleans(), st.integers(1, 60))
    def test_webSocket(self, inTLS: bool, length: int) -> None:
        """
        A WebSocket client communicates with the wrapped protocol like a plain client.
        """
        self.open()
        client = self.call(inTLS=inTLS, length=length)
        client.send(UPGRADE + frame(BINARY, b"ping"))
        self.assertEqual(self.greeter.told, ["made"])
        self.assertEqual(self.greeter.received, b"ping")
        self.assertEqual(client.messages, [(BINARY, b"hello")])

    def test_noTLSInTLS(self) -> None:
        """
        A TLS handshake inside TLS is refused.
        """
        client = self.call(inTLS=True)
        with capturedLogs() as logs:
            client.send(HELLO)
        self.assertEqual(self.wrapped.made, [])
        self.assertIn("client sent a TLS handshake inside TLS", linesOf(logs)[0])

    def test_silence(self) -> None:
        """
        A client that waits is greeted after C{greetingDelay}; inside TLS, the delay
        starts after the handshake.
        """
        for inTLS in (False, True):
            self.open(greetingDelay=2.0)
            client = self.call(inTLS=inTLS)
            self.clock.advance(1.9)
            self.assertEqual(self.wrapped.made, [])
            self.clock.advance(0.1)
            client.exchange()
            self.assertEqual(client.received, b"hello")

    def test_handshakeOnly(self) -> None:
        """
        Before the end of the TLS handshake, no greeting is sent, however long it takes.
        """
        client = self.call()
        client.arrive(b"\x16\x03\x01\x02\x00\x01")
        self.clock.advance(10)
        self.assertEqual(self.wrapped.made, [])

    def test_latePolicy(self) -> None:
        """
        A policy request is answered after the greeting, too, however it is split.
        """
        client = self.call(length=1)
        self.clock.advance(1)
        client.send(REQUEST)
        self.assertEqual(client.received, b"hello" + ANSWER)
        self.assertEqual(self.greeter.received, b"")

    def test_latePart(self) -> None:
        """
        An incomplete late policy request is delivered to the server after the detection
        timeout. A request that lacks only its NUL byte is answered after
        C{greetingDelay}.
        """
        client = self.call()
        self.clock.advance(1)
        client.send(b"<")
        self.clock.pump([1, DETECTION_TIMEOUT - 1])
        self.assertEqual(self.greeter.received, b"<")
        self.open()
        client = self.call()
        self.clock.advance(1)
        client.send(REQUEST[:-1])
        self.clock.advance(1)
        client.exchange()
        self.assertEqual(client.received, b"hello" + ANSWER)

    def test_lateWebSocket(self) -> None:
        """
        A WebSocket handshake and TLS after the greeting are refused: the client
        cannot understand the greeting.
        """
        for data, answer in [(UPGRADE, b"HTTP/1.1 400 "), (HELLO, ALERT)]:
            self.open()
            client = self.call()
            self.clock.advance(1)
            client.send(data)
            self.assertTrue(client.received.startswith(b"hello" + answer), client.received)
            self.assertEqual(self.greeter.received, b"")
            self.assertEqual(self.greeter.told, ["made", "lost"])

    def test_lostOnce(self) -> None:
        """
        For each client type, C{connectionLost} of the wrapped protocol is called once.
        """
        for inTLS, data, end in product((False, True), (b"plain", UPGRADE), ENDS):
            self.open()
            client = self.call(inTLS=inTLS)
            client.send(data)
            end(client)
            self.assertEqual(self.greeter.told, ["made", "lost"])
            self.assertEqual(self.factory.undetected, 0)

    def test_halfClosed(self) -> None:
        """
        For client types without half-close, the EOF closes the connection.
        """
        for inTLS in (False, True):
            self.open()
            client = self.call(inTLS=inTLS)
            client.send(UPGRADE if not inTLS else b"plain")
            client.finish()
            self.assertTrue(client.closed)
            client.server.writeConnectionLost()


class Pausing(Greeter):
    """
    Reads when the test resumes it.
    """

    def connectionMade(self) -> None:
        super().connectionMade()
        self.pausable.pauseProducing()

    @property
    def pausable(self) -> Any:
        """
        The transport to pause.
        """
        return self.transport


class Quiet(Greeter):
    """
    Sends no data on its own, like a chat server.
    """

    def connectionMade(self) -> None:
        self.told.append("made")
        registering: Any = self.transport
        registering.registerProducer(Pushing(self.told), True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.writeLate()

    def writeLate(self) -> None:
        """
        Use the transport of a lost connection, as protocols with timers do.
        """
        transport: Any = self.transport
        transport.write(b"late")
        transport.writeSequence([b"late"])
        transport.registerProducer(Pushing(self.told), True)
        transport.unregisterProducer()
        transport.pauseProducing()
        transport.resumeProducing()
        transport.stopProducing()
        transport.loseWriteConnection()
        transport.loseConnection()
        transport.abortConnection()
        self.told.append(f"{transport.getPeer().host} {transport.getHost().host}")


@implementer(IPushProducer)
class Pushing:
    """
    A producer that records when it is stopped.
    """

    def __init__(self, told: list[str]) -> None:
        self.told = told

    def pauseProducing(self) -> None:
        self.told.append("paused")

    def resumeProducing(self) -> None:
        self.told.append("resumed")

    def stopProducing(self) -> None:
        self.told.append("stopped")


class SlowTests(DetectionTestCase):
    """
    A client whose first bytes arrive after C{greetingDelay} is detected if the server
    has not written.
    """

    @given(st.booleans(), st.integers(1, 60))
    def test_webSocket(self, inTLS: bool, length: int) -> None:
        """
        A WebSocket handshake is accepted, in TLS too. The protocol that was
        connected in the meantime is disconnected; nothing that it writes later
        reaches the client.
        """
        self.open()
        self.wrapped.inner = Quiet
        client = self.call(inTLS=inTLS, length=length)
        self.clock.advance(1)
        [first] = self.wrapped.made
        self.assertEqual(first.told, ["made"])
        self.wrapped.inner = Greeter
        client.send(UPGRADE + frame(BINARY, b"ping"))
        self.assertEqual(client.messages, [(BINARY, b"hello")])
        self.assertEqual(self.wrapped.made[1].received, b"ping")
        self.assertEqual(first.told[:3], ["made", "stopped", "lost"])
        assert isinstance(first, Quiet)
        first.writeLate()
        client.send(frame(BINARY, b"pong"))
        self.assertEqual(self.wrapped.made[1].received, b"pingpong")
        self.assertEqual(client.messages, [(BINARY, b"hello")])
        client.close()
        self.assertEqual(self.wrapped.made[1].told, ["made", "lost"])
        self.assertEqual((first.told.count("lost"), first.received), (1, b""))
        self.assertEqual(self.factory.undetected, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_tls(self) -> None:
        """
        A TLS handshake is accepted.
        """
        self.wrapped.inner = Quiet
        client = self.call()
        self.clock.advance(1)
        self.wrapped.inner = Greeter
        client.startTLS()
        client.send(b"plain")
        self.assertEqual(client.received, b"hello")
        self.assertEqual([each.received for each in self.wrapped.made], [b"", b"plain"])

    def test_request(self) -> None:
        """
        Another HTTP request is answered.
        """
        self.wrapped.inner = Quiet
        client = self.call()
        self.clock.advance(1)
        client.send(HEALTH)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 200 OK"))
        self.assertTrue(client.closed)

    def test_plain(self) -> None:
        """
        Other data is delivered to the protocol that is already connected.
        """
        self.wrapped.inner = Quiet
        client = self.call()
        self.clock.advance(1)
        client.send(b"plain")
        self.assertEqual((self.greeter.received, self.greeter.told), (b"plain", ["made"]))

    def test_ending(self) -> None:
        """
        A WebSocket that was detected late is closed like any other, by the server and
        at the peer's EOF.
        """
        for end in ("finish", "half"):
            self.open()
            self.wrapped.inner = Quiet
            client = self.call()
            self.clock.advance(1)
            self.wrapped.inner = Greeter
            client.send(UPGRADE)
            self.assertEqual(client.server.clientType, "websocket")
            if end == "finish":
                client.server.finishConnection()
                client.exchange()
                self.assertEqual(client.messages[1:], [(CLOSE, (1001).to_bytes(2))])
            else:
                client.finish()
                self.assertTrue(client.closed)


class PausedTests(DetectionTestCase):
    """
    Data received together with the end is held for a paused protocol.
    """

    def lose(self, *, inTLS: bool = True) -> Pausing:
        """
        Send data as a client, and disconnect.
        """
        self.open()
        self.wrapped.inner = Pausing
        client = self.call(inTLS=inTLS)
        client.send(b"bye")
        client.lose()
        greeter = self.greeter
        assert isinstance(greeter, Pausing)
        self.assertEqual((greeter.told, greeter.received), (["made"], b""))
        return greeter

    def test_delivered(self) -> None:
        """
        The protocol receives all data, and then the end.
        """
        for inTLS in (False, True):
            greeter = self.lose(inTLS=inTLS)
            greeter.pausable.resumeProducing()
            self.assertEqual((greeter.told, greeter.received), (["made", "lost"], b"bye"))
            greeter.pausable.resumeProducing()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_paused(self) -> None:
        """
        If the protocol pauses again, the end is delayed, too.
        """
        self.patch(Pausing, "dataReceived", lambda greeter, data: greeter.pausable.pauseProducing())
        greeter = self.lose()
        greeter.pausable.resumeProducing()
        self.assertEqual(greeter.told, ["made"])
        greeter.pausable.resumeProducing()
        self.assertEqual(greeter.told, ["made", "lost"])

    def test_notForEver(self) -> None:
        """
        A protocol that never reads is notified after a timeout.
        """
        greeter = self.lose()
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertEqual((greeter.told, greeter.received), (["made", "lost"], b""))

    def test_closed(self) -> None:
        """
        A protocol that closes the connection itself receives no further data.
        """
        for end in ("loseConnection", "abortConnection"):
            greeter = self.lose()
            getattr(greeter.pausable, end)()
            self.clock.advance(0)
            self.assertEqual((greeter.told, greeter.received), (["made", "lost"], b""))
            self.assertEqual(self.clock.getDelayedCalls(), [])


class HTTPTests(DetectionTestCase):
    """
    HTTP requests that do not open a WebSocket.
    """

    @given(st.booleans(), st.integers(1, 60), st.sampled_from(REQUESTS))
    def test_refused(self, inTLS: bool, length: int, case: tuple[bytes, bytes]) -> None:
        """
        Every HTTP request that is not a WebSocket handshake is answered and closed, and
        none of its bytes is delivered to the wrapped protocol.
        """
        request, status = case
        self.open()
        client = self.call(inTLS=inTLS, length=length)
        client.send(request + b"\0<attack/>\0")
        self.assertTrue(client.received.startswith(b"HTTP/1.1 " + status), client.received)
        self.assertEqual(client.received.endswith(b"\r\n\r\n"), request.startswith(b"HEAD"))
        self.assertEqual(self.wrapped.made, [])
        refused = {"http": int(status >= b"400"), "tls": 0, "proxy": 0}
        self.assertEqual(self.factory.foreign, refused)

    def test_log(self) -> None:
        """
        A refused request is logged at level info, a health check at level debug.
        """
        setLogLevel(LogLevel.debug)
        self.addCleanup(setLogLevel, LogLevel.info)
        for request, words, level in [
            (PAGE, "refused: HTTP request answered with 426 This port", LogLevel.info),
            (HEALTH, "health check answered", LogLevel.debug),
        ]:
            with capturedLogs() as logs:
                self.call().send(request)
            self.assertIn(words, linesOf(logs)[-1])
            self.assertEqual(logs[-1]["log_level"], level)

    @given(st.data(), st.sampled_from(SPLIT), st.booleans(), st.booleans())
    def test_split(self, data: st.DataObject, request: bytes, inTLS: bool, greeted: bool) -> None:
        """
        The first bytes of another protocol are held through a silence, wherever
        the network splits them: the rest is refused, and nothing of it reaches
        the wrapped protocol.
        """
        cut = data.draw(st.integers(1, len(request) - 1))
        self.open(greetingDelay=0.5, **({} if inTLS else {"tls": None}))
        client = self.call(inTLS=inTLS)
        self.clock.advance(1 if greeted else 0)
        client.send(request[:cut])
        self.clock.pump([0.5] * 10)
        client.send(request[cut:])
        self.assertEqual([each.received for each in self.wrapped.made], [b""] * greeted)
        self.assertEqual(sum(self.factory.foreign.values()), 1)

    @given(st.sampled_from([b"GET /", b"POST /a HTTP/1.1", b"connect h:1"]), st.booleans())
    def test_incomplete(self, start: bytes, greeted: bool) -> None:
        """
        A request whose line is not complete within the time for detection, or at
        EOF, is refused; a pause of the network does not make it a message.
        """
        for atEOF in (False, True):
            self.open(greetingDelay=0.5)
            client = self.call()
            self.clock.advance(1 if greeted else 0)
            client.send(start)
            self.clock.advance(DETECTION_TIMEOUT - 0.5)
            self.assertFalse(client.closed)
            if atEOF:
                client.finish()
            else:
                self.clock.pump([0.5, 0.5])
            self.assertTrue(client.closed)
            self.assertEqual([each.received for each in self.wrapped.made], [b""] * greeted)
            self.assertEqual(self.factory.foreign["http"], 1)

    def test_lostIncomplete(self) -> None:
        """
        When the connection is lost, an incomplete request is not delivered to a
        protocol that has sent its greeting.
        """
        client = self.call()
        self.clock.advance(1)
        client.send(b"POST /a")
        client.lose()
        self.assertEqual((self.greeter.received, self.greeter.told), (b"", ["made", "lost"]))

    @given(st.sampled_from([REQUEST, HELLO, UPGRADE, *PROXY_HEADERS]), st.booleans())
    def test_lateProducer(self, data: bytes, streaming: bool) -> None:
        """
        If a late client of another protocol is answered or refused, the producer
        of a protocol that was connected before is stopped, and the connection is
        closed.
        """
        self.open(tls=None)
        client = self.call()
        self.clock.advance(1)
        transport: Any = self.greeter.transport
        transport.registerProducer(Pushing(self.greeter.told), streaming)
        self.greeter.told.clear()
        client.send(data)
        self.assertEqual(self.greeter.told[-2:], ["stopped", "lost"])
        self.assertTrue(client.closed)

    def test_lostPolicyRequest(self) -> None:
        """
        When the connection is lost, as at the end of TLS, a policy request without its
        NUL byte is not delivered to a protocol that has sent its greeting.
        """
        client = self.call(inTLS=True)
        self.clock.advance(1)
        client.send(REQUEST[:-1])
        assert client.tls is not None
        client.tls.shutdown()
        client.exchange()
        client.close()
        self.assertEqual((self.greeter.received, self.greeter.told), (b"", ["made", "lost"]))

    @given(st.booleans(), st.integers(1, 60))
    def test_passed(self, inTLS: bool, length: int) -> None:
        """
        A wrapped protocol that implements HTTP receives all data, even if WebSockets
        are not accepted.
        """
        accept = ALL_TYPES - {ClientType.WEBSOCKET} if length % 2 else ALL_TYPES
        self.open(passThrough={Signature.HTTP}, accept=accept)
        client = self.call(inTLS=inTLS, length=length)
        client.send(PAGE)
        client.send(b"more")
        self.assertEqual(self.greeter.received, PAGE + b"more")
        self.assertEqual(client.received, b"hello")

    def test_origin(self) -> None:
        """
        The policy file decides which pages can open a WebSocket.
        """
        for domain, status in (("127.0.0.1", b"101"), ("other.example", b"403")):
            self.open(policy=PolicyFile((AccessRule(domain, "80"),)))
            for client in (self.call(), self.call()):
                client.send(UPGRADE)
                self.assertEqual(client.received.split()[1], status)

    def test_nullOrigin(self) -> None:
        """
        A WebSocket of a page with a null origin is accepted if a rule allows the domain
        null or all domains.
        """
        upgrade = UPGRADE.replace(b"Origin: http://127.0.0.1:9301", b"Origin: null")
        for domain, status in (("null", b"101"), ("*", b"101"), ("127.0.0.1", b"403")):
            self.open(policy=PolicyFile((AccessRule(domain, "80"),)))
            client = self.call()
            client.send(upgrade)
            self.assertEqual(client.received.split()[1], status)

    def test_originWithoutPort(self) -> None:
        """
        On a UNIX socket without a port, only the domains of the policy count.
        """
        rules = (AccessRule("127.0.0.1", "81"), AccessRule("a.example", None))
        for policy, status in (
            (PolicyFile(rules), b"101"),
            (PolicyFile((AccessRule("other.example", "*"),)), b"403"),
            (PolicyFile.forPort, b"101"),
        ):
            self.open(policy=policy)
            for upgrade in (UPGRADE, UPGRADE.replace(b"Origin: http://127.0.0.1:9301\r\n", b"")):
                protocol: Any = self.factory.buildProtocol(None)
                transport = TightTransport(protocol, 1 << 20, hostAddress=UNIXAddress(b"/run/a"))
                protocol.makeConnection(transport)
                transport.arrive(upgrade)
                plain = b"Origin" not in upgrade
                self.assertEqual(transport.value().split()[1], b"101" if plain else status)

    def test_refusingRule(self) -> None:
        """
        If a page is refused, the log names the rule for its domain, or says that no rule
        matches. The answer contains no rule.
        """
        named = (
            "(rule 1 (domain '127.0.0.1' to-ports '81') does not grant access: "
            "it does not list port 80)"
        )
        for rule, words in (
            (AccessRule("127.0.0.1", "81"), named),
            (AccessRule("a.example", "80"), "(no rule of the policy file is for its domain)"),
        ):
            self.open(policy=PolicyFile((rule,)))
            with capturedLogs() as logs:
                client = self.call()
                client.send(UPGRADE.replace(b"Host: 127.0.0.1:9301", b"Host: a:1"))
            text = "403 The origin 'http://127.0.0.1:9301' may not connect."
            self.assertTrue(linesOf(logs)[-1].endswith(f"{text} {words}"), linesOf(logs))
            self.assertTrue(client.received.endswith(b" may not connect.\n"))

    def test_limits(self) -> None:
        """
        The limits of WebSockets can be set.
        """
        self.open(webSocket=partial(WebSocketFactory, maxFrame=10))
        client = self.call()
        client.send(UPGRADE + frame(TEXT, b"x" * 11))
        self.assertEqual(client.messages[-1][0], CLOSE)


class AcceptTests(DetectionTestCase):
    """
    Ports that accept some client types only.
    """

    def test_notAccepted(self) -> None:
        """
        Clients of a type that is not accepted are refused in their own protocol.
        """
        self.open(accept={ClientType.PLAIN})
        for data, answer, words in [
            (UPGRADE, b"HTTP/1.1 403 ", "403 This port does not accept WebSocket connections."),
            (HELLO, ALERT, "client sent a TLS handshake, but this port does not accept TLS"),
        ]:
            with capturedLogs() as logs:
                client = self.call()
                client.send(data)
            self.assertTrue(client.received.startswith(answer))
            self.assertTrue(client.closed)
            self.assertIn(words, linesOf(logs)[0])
        self.assertEqual(self.wrapped.made, [])

    def test_requiresTLS(self) -> None:
        """
        An HTTP request without TLS, to a port for TLS only, is answered with 400.
        """
        for accept in ({ClientType.TLS}, {ClientType.TLS, ClientType.POLICY}):
            self.open(accept=accept)
            with capturedLogs() as logs:
                client = self.call()
                client.send(PAGE)
            self.assertTrue(client.received.startswith(b"HTTP/1.1 400 "), client.received)
            self.assertIn(b"without TLS, which this port requires", client.received)
            self.assertTrue(client.closed)
            self.assertIn("without TLS", linesOf(logs)[0])
            self.assertEqual(self.factory.foreign["http"], 1)
        for accept in (
            {ClientType.TLS, ClientType.WEBSOCKET},
            {ClientType.WEBSOCKET},
            {ClientType.PLAIN},
        ):
            self.open(accept=accept)
            self.assertFalse(self.factory.requiresTLS)

    def test_plainInTLSOnly(self) -> None:
        """
        A port for TLS only accepts a plain client inside TLS, also one that waits
        for a greeting, and no plain client without TLS.
        """
        for accept in ({ClientType.TLS}, {ClientType.TLS, ClientType.POLICY}):
            for wait in (0, 1):
                self.open(accept=accept)
                client = self.call(inTLS=True)
                self.clock.advance(wait)
                client.send(b"plain")
                self.assertEqual((self.greeter.received, client.received), (b"plain", b"hello"))
                self.wrapped.made.clear()
                client = self.call()
                self.clock.advance(wait)
                client.send(b"plain")
                self.assertEqual(self.wrapped.made, [])
                self.assertTrue(client.closed)

    @given(st.integers(1, 60), st.booleans())
    def test_withoutCertificate(self, length: int, greeted: bool) -> None:
        """
        A TLS handshake on a port without a certificate is answered with an alert,
        closed, counted and logged; none of its bytes reach the wrapped protocol.
        """
        self.open(tls=None)
        with capturedLogs() as logs:
            client = self.call(length=length)
            self.clock.advance(greeted)
            client.send(HELLO + bytes(300))
        self.assertEqual(client.received, (b"hello" if greeted else b"") + ALERT)
        self.assertTrue(client.closed)
        self.assertEqual([each.received for each in self.wrapped.made], [b""] * greeted)
        self.assertEqual(self.factory.foreign, {"http": 0, "tls": 1, "proxy": 0})
        words = "refused: client sent a TLS handshake, but this port has no certificate"
        self.assertIn(words, linesOf(logs)[0])

    @given(st.integers(1, 60), st.sampled_from(PROXY_HEADERS))
    def test_proxyHeader(self, length: int, header: bytes) -> None:
        """
        A PROXY header that no proxy was configured to send is refused.
        """
        self.open()
        with capturedLogs() as logs:
            client = self.call(length=length)
            client.send(header + b"<attack/>\0")
        self.assertEqual((client.received, self.wrapped.made), (b"", []))
        self.assertTrue(client.closed)
        self.assertEqual(self.factory.foreign["proxy"], 1)
        self.assertIn("refused: peer sent a PROXY protocol header", linesOf(logs)[0])

    def test_passThrough(self) -> None:
        """
        Protocols that the wrapped protocol implements are passed to it.
        """
        self.open(tls=None, policy=None, passThrough=FOREIGN, accept={ClientType.PLAIN})
        for data in (REQUEST, HELLO, PAGE, *PROXY_HEADERS):
            self.wrapped.made.clear()
            self.call().send(data)
            self.assertEqual(self.greeter.received, data)

    def test_passThroughLate(self) -> None:
        """
        A wrapped protocol that implements HTTP and has sent first receives the request.
        """
        self.open(passThrough={Signature.HTTP})
        client = self.call()
        self.clock.advance(1)
        client.send(PAGE)
        self.assertEqual(self.greeter.received, PAGE)

    def test_notPlain(self) -> None:
        """
        If plain clients are not accepted, they are disconnected, with a log line.
        """
        self.open(accept={ClientType.WEBSOCKET, ClientType.TLS})
        with capturedLogs() as logs:
            client = self.call()
            client.send(b"hello")
        self.assertTrue(client.closed)
        self.assertEqual(self.wrapped.made, [])
        self.assertIn("""disconnected: client type "plain" is not accepted""", linesOf(logs)[0])

    def test_notPlainAndSilent(self) -> None:
        """
        A client without data is then disconnected after the detection timeout, without a warning:
        browsers open some connections in advance.
        """
        self.open(accept={ClientType.WEBSOCKET})
        client = self.call()
        self.clock.pump([0.5] * 19)
        self.assertFalse(client.closed)
        with capturedLogs() as logs:
            self.clock.pump([0.5] * 2)
        self.assertTrue(client.closed)
        self.assertIn("disconnected: no data was received", linesOf(logs)[0])
        self.assertEqual(logs[0]["log_level"], LogLevel.info)
        late = self.call()
        self.clock.advance(2)
        late.send(UPGRADE)
        self.assertEqual(late.messages, [(BINARY, b"hello")])


class LimitTests(DetectionTestCase):
    """
    Timeouts and limits.
    """

    def test_time(self) -> None:
        """
        A client with slow first bytes is plain after the detection timeout.
        """
        client = self.call()
        client.send(b" ")
        for _ in range(int(DETECTION_TIMEOUT / 0.4) - 1):
            self.clock.advance(0.4)
            client.send(b" ")
        self.assertEqual(len(self.wrapped.made), 0)
        self.clock.advance(0.4)
        self.assertTrue(self.greeter.received.startswith(b"   "))

    def test_many(self) -> None:
        """
        Undetected clients above the limit are disconnected, with one log line; when
        their number decreases, others are accepted again.
        """
        self.open(maxUndetected=2)
        with capturedLogs() as logs:
            clients = [self.call() for _ in range(4)]
        self.assertEqual([each.closed for each in clients], [False, False, True, True])
        [line] = linesOf(logs)
        self.assertIn("refused: too many clients whose type is not detected yet (2)", line)
        clients[0].send(b"plain")
        self.assertFalse(self.call().closed)
        with capturedLogs() as logs:
            self.call()
        self.assertEqual(len(logs), 1)

    def test_noLimit(self) -> None:
        """
        With a limit of 0, the number of undetected clients is unlimited.
        """
        self.open(maxUndetected=0)
        self.assertFalse(any(self.call().closed for _ in range(4)))


class ClosingTests(DetectionTestCase):
    """
    When the server closes connections, each client type is closed in its own way.
    """

    def open(self, **settings: Any) -> None:
        """
        Open a port with an echo server, protocol detection and a guard.
        """
        super().open(**settings)
        self.factory.wrappedFactory = XMLSocketFactory(EchoProtocol)
        self.guard = GuardFactory(self.factory, clock=self.clock, closeTimeout=100)

    def talk(self, data: bytes, *, inTLS: bool = False) -> Client:
        """
        Connect a client, send data, and close the connections.
        """
        client = Client(self.guard, self.clock, inTLS=inTLS)
        client.send(data)
        self.ended = self.guard.closeAll(90)
        return client

    def test_plain(self) -> None:
        """
        A plain client is disconnected.
        """
        client = self.talk(b"a\0")
        client.exchange()
        self.assertEqual(client.received, b"a\0")
        self.assertTrue(client.closed)
        self.successResultOf(self.ended)

    def test_undetected(self) -> None:
        """
        An undetected client is disconnected.
        """
        client = self.talk(b"GET")
        client.exchange()
        self.assertTrue(client.closed)
        self.clock.advance(100)

    def test_webSocket(self) -> None:
        """
        A WebSocket client receives a Close, and the connection ends after its answer.
        """
        client = self.talk(UPGRADE + frame(BINARY, b"a\0"))
        client.exchange()
        self.assertEqual(client.messages[1:], [(CLOSE, (1001).to_bytes(2))])
        self.assertFalse(client.closed)
        client.send(closing(1000))
        self.assertTrue(client.closed)
        self.successResultOf(self.ended)

    def test_closedBy(self) -> None:
        """
        The log contains the side that has closed a WebSocket, inside TLS, too.
        """
        for inTLS in (False, True):
            for close, words in ((True, "by the peer"), (False, "by the server")):
                self.open()
                with capturedLogs() as logs:
                    client = Client(self.guard, self.clock, inTLS=inTLS)
                    client.send(UPGRADE)
                    if not close:
                        self.guard.closeAll(1000)
                        client.exchange()
                    client.send(closing(1000))
                    if client.tls is not None:
                        client.tls.shutdown()
                        client.exchange()
                self.assertIn(f"closed {words} (0 open)", linesOf(logs)[-1])

    def test_opened(self) -> None:
        """
        The log names the client type of an opened connection, inside TLS, too.
        """
        for inTLS, data, kind in (
            (False, b"a\0", "plain"),
            (False, UPGRADE, "websocket"),
            (False, REQUEST, "policy"),
            (True, b"a\0", "tls"),
            (True, UPGRADE, "websocket in tls"),
        ):
            self.open()
            with capturedLogs() as logs:
                Client(self.guard, self.clock, inTLS=inTLS).send(data)
            self.assertTrue(linesOf(logs)[0].endswith(f" opened ({kind}, 1 open)"), linesOf(logs))

    def test_closedByTLS(self) -> None:
        """
        The peer ends a connection if it is the first to close TLS. If it closes TCP
        instead of answering the end of TLS, or a Close in TLS, this side has ended it.
        """
        for data, close, words in (
            (b"a\0", True, "by the peer"),
            (b"a\0", False, "by the server"),
            (UPGRADE, False, "by the server"),
        ):
            self.open()
            with capturedLogs() as logs:
                client = Client(self.guard, self.clock, inTLS=True)
                client.send(data)
                if close:
                    assert client.tls is not None
                    client.tls.shutdown()
                    client.exchange()
                else:
                    [protocol] = self.factory.wrappedFactory.connections
                    protocol.transport.loseConnection()
                    client.exchange()
                    client.finish()
                client.close()
            self.assertIn(f"closed {words} (0 open)", linesOf(logs)[-1])

    def test_tls(self) -> None:
        """
        A TLS client receives the TLS close, and the connection ends after the client's.
        """
        for data in (b"a\0", UPGRADE + frame(BINARY, b"a\0")):
            client = self.talk(data, inTLS=True)
            client.exchange()
            if data != b"a\0" and client.received.startswith(RESPONSE):
                client.send(closing(1000))
            assert client.tls is not None
            self.assertTrue(client.tls.get_shutdown() & SSL.RECEIVED_SHUTDOWN)
            self.assertFalse(client.closed)
            client.tls.shutdown()
            client.exchange()
            self.assertTrue(client.closed)
            self.successResultOf(self.ended)

    def test_undetectedInTLS(self) -> None:
        """
        While a connection is closing, no wrapped protocol is connected to it.
        """
        super().open()
        self.guard = GuardFactory(self.factory, clock=self.clock, closeTimeout=100)
        Client(self.guard, self.clock, inTLS=True)
        self.guard.closeAll(1000)
        self.clock.advance(5)
        self.assertEqual(self.wrapped.made, [])

    def test_stuckTLS(self) -> None:
        """
        A TLS client that does not answer is aborted after the close timeout of the guard,
        or 30 seconds without a guard.
        """
        for close in (True, False):
            self.open()
            client = Client(self.guard if close else self.factory, self.clock, inTLS=True)
            client.send(b"a\0")
            if close:
                self.guard.closeAll(1000)
            else:
                tls = client.server.wrappedProtocol
                tls.wrappedProtocol.loseConnection()
                tls.wrappedProtocol.loseConnection()
            self.clock.advance(99 if close else CLOSE_TIMEOUT - 1)
            self.assertFalse(client.closed)
            self.clock.advance(1)
            self.assertTrue(client.closed)


class PrivacyTests(SynchronousTestCase):
    """
    The log of a server.
    """

    def test_secrets(self) -> None:
        """
        Log lines do not contain the messages, paths, headers and cookies of clients.
        """
        network = MemoryNetwork.forTest(self.addCleanup)
        setLogLevel(LogLevel.debug)
        self.addCleanup(setLogLevel, LogLevel.info)
        clock = network.reactor
        behind = OnePortFactory(XMLSocketFactory(EchoProtocol), clock=clock)
        server = GuardFactory(behind, clock=clock)
        head = b"GET /secret?secret HTTP/1.1\r\nCookie: secret\r\nX-Token: secret\r\n"
        with capturedLogs() as logs:
            for sent, answer in [
                (b"secret\0", b"secret\0"),
                (
                    UPGRADE.replace(b"GET /x/room?id=1 HTTP/1.1\r\n", head)
                    + frame(TEXT, b"secret"),
                    b" 101 ",
                ),
                (head + b"Host: localhost\r\n\r\n", b" 426 "),
                (head.replace(b"GET", b"POST") + b"\r\n", b" 4"),
            ]:
                pair = connectedPair(Peer(), server, network=network)
                pair.client.send(sent)
                network.flush()
                self.assertIn(answer, pair.client.received)
                pair.client.abort()
                network.flush()
        lines = linesOf(logs)
        self.assertEqual(sum(" closed " in line for line in lines), 4, lines)
        self.assertEqual([line for line in lines if "secret" in line], [])
