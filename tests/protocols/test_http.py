"""
HTTP requests on the port of a game: L{openfl_twisted.protocols.oneport} with an HTTP factory.
"""

import re
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from openfl_twisted.endpoints import openflEndpoint
from openfl_twisted.protocols.httpchannel import STALL_TIMEOUT
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.proxyprotocol import ProxyProtocolFactory
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import MemoryNetwork, Peer
from openfl_twisted.transports.guard import REFUSALS, GuardFactory
from openfl_twisted.wire.firstbytes import ALL_TYPES, ClientType, Signature
from openfl_twisted.wire.httprequest import _METHODS
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import linesOf
from tests.frames import BINARY, RESPONSE, frame
from tests.frames import REQUEST as UPGRADE
from tests.support.clients import IDENTITY, PAGE, Client
from tests.support.greeters import Greeter, GreeterFactory
from tests.tls.handshakes import Presenting

OPEN = UPGRADE + frame(BINARY, b"ping")
POST = b"POST /form HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(OPEN), OPEN)
CHUNKED = (
    b"POST /form HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
    % (
        len(OPEN),
        OPEN,
    )
)
ASK = b"GET /later HTTP/1.1\r\nHost: h\r\n\r\n"
# Requests after the first, and parts of requests.
VARIOUS = [
    PAGE,
    POST,
    CHUNKED,
    b"\r\n" + PAGE,
    b"HEAD /a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /a HTTP/1.0\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: h\r\nmalformed\r\n\r\n",
    b"GET / HTTP/1.1\n\n",
    b"GET /a\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    b"WORD /a HTTP/1.1\r\nHost: h\r\n\r\n",
    b"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
    b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nmalformed\r\n",
    b"PUT /a HTTP/1.1\r\nContent-Length: malformed\r\n\r\n",
    UPGRADE.replace(b"GET", b"POST"),
    UPGRADE.replace(b"websocket", b"h2c"),
    b"message\0",
    b"G",
]
# Longer than the send buffers of the server and the network.
LONG = b"x" * 300_000
BUSY = b"The server accepts no more connections."


class Pages(Resource):
    """
    Answers each request with its method, path and body. The path C{/later} is answered when
    the test calls L{finish}.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []
        self.waiting: list[Any] = []
        self.isSecure = False

    def render(self, request: Any) -> Any:
        self.requests.append(request)
        self.isSecure = request.isSecure()
        if request.path == b"/later":
            self.waiting.append(request)
            return NOT_DONE_YET
        return self.answer(request)

    def answer(self, request: Any) -> bytes:
        """
        Return the body of the response.
        """
        body: bytes = b"<%s %s %s>" % (request.method, request.path, request.content.read())
        return body

    def finish(self) -> None:
        """
        Answer the oldest request for C{/later}.
        """
        request = self.waiting.pop(0)
        body = self.answer(request)
        request.setHeader(b"content-length", b"%d" % len(body))
        request.write(body)
        request.finish()


class HTTPTestCase(SynchronousTestCase):
    """
    A guarded port with a game that greets its clients, and with web pages.
    """

    def setUp(self) -> None:
        self.open()

    def open(self, **settings: Any) -> None:
        """
        Open the port. Limits are settings of the guard, others of the protocol detection.
        """
        self.clock = Clock()
        self.game = GreeterFactory(Greeter)
        self.pages = Pages()
        self.site = Site(self.pages, reactor=self.clock)
        limits = {name: settings.pop(name) for name in LIMITS & settings.keys()}
        settings = {"http": self.site, "tls": Presenting.of(IDENTITY), **settings}
        self.port = OnePortFactory(self.game, clock=self.clock, **settings)
        self.guard = GuardFactory(self.port, clock=self.clock, **limits)

    def call(self, *data: bytes, **options: Any) -> Client:
        """
        Connect a client, and send data.
        """
        client = Client(self.guard, self.clock, **options)
        for each in data:
            client.send(each)
        return client

    def bodies(self, client: Client) -> list[bytes]:
        """
        Return the bodies of the responses.
        """
        found = client.received.partition(b"HTTP/1.1 101 ")[0].split(b"HTTP/1.1 200 OK\r\n")
        self.assertEqual(found[0], b"")
        return [each.partition(b"\r\n\r\n")[2] for each in found[1:]]

    def kinds(self) -> list[str]:
        """
        Return the types of the connected clients.
        """
        return [client.kind for client in self.guard.clients()]


LIMITS = {"maxConnections", "maxPerAddress", "maxHTTP", "idleTimeout"}


class RequestTests(HTTPTestCase):
    """
    HTTP requests are served by the HTTP factory.
    """

    @given(st.sampled_from(sorted(_METHODS)), st.booleans(), st.integers(1, 60))
    def test_methods(self, method: str, inTLS: bool, length: int) -> None:
        """
        A request with any registered method is passed to the HTTP factory and never to the
        game, however the stream is split.
        """
        self.open()
        target = {"CONNECT": b"h:443", "OPTIONS": b"*"}.get(method, b"/a")
        version = b"2.0" if method == "PRI" else b"1.1"
        client = self.call(inTLS=inTLS, length=length)
        client.send(b"%s %s HTTP/%s\r\nHost: h\r\n\r\n" % (method.encode(), target, version))
        self.assertTrue(client.received.startswith(b"HTTP/1.1 "), client.received)
        self.assertEqual(self.game.made, [])
        # Twisted itself answers OPTIONS * and the preface of HTTP/2.
        answered = method not in ("OPTIONS", "PRI")
        methods = [each.method.decode() for each in self.pages.requests]
        self.assertEqual(methods, [method] * answered)
        self.assertEqual(self.pages.isSecure, inTLS and answered)
        self.assertLessEqual({*self.kinds()}, {"http"})

    @given(st.sampled_from([b"GET /\r\n", b"GET / HTTP/1.1\n\n", b"get / http/1.1\r\n\r\n"]))
    def test_malformed(self, data: bytes) -> None:
        """
        A malformed request is answered with 400 by the HTTP factory.
        """
        self.open()
        client = self.call(data + b"\r\n\r\n", length=1)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 400 "), client.received)
        self.assertEqual((self.game.made, self.pages.requests), ([], []))

    def test_longHead(self) -> None:
        """
        A request head above the limit is answered with 431, and not passed to the HTTP factory.
        """
        client = self.call(b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 431 "), client.received)
        self.assertEqual((self.game.made, self.pages.requests), ([], []))

    def test_late(self) -> None:
        """
        A request after the greeting of the game is refused; a request before it is served.
        """
        client = self.call()
        self.clock.advance(1)
        client.send(PAGE)
        self.assertTrue(client.received.startswith(b"helloHTTP/1.1 400 "), client.received)
        self.assertEqual(self.game.made[0].received, b"")

        class Silent(Greeter):
            connectionMade = Protocol.connectionMade

        self.game.inner = Silent
        client = self.call()
        self.clock.advance(1)
        client.send(PAGE)
        self.assertEqual(self.bodies(client), [b"<GET /index.html >"])

    def test_incomplete(self) -> None:
        """
        An incomplete request is answered with 400 or 408 after a timeout, and never passed to
        the game.
        """
        for data, status in ((b"POST /a", b"400"), (PAGE[:-1], b"408")):
            client = self.call(data)
            self.clock.pump([0.5] * 22)
            client.exchange()
            self.assertTrue(client.received.startswith(b"HTTP/1.1 " + status), client.received)
            self.assertTrue(client.closed)
        self.assertEqual((self.game.made, self.pages.requests), ([], []))

    def test_accept(self) -> None:
        """
        HTTP is served independently of the accepted client types; a WebSocket that is not
        accepted is refused with 403.
        """
        for accept in ({ClientType.PLAIN}, {ClientType.WEBSOCKET}, ALL_TYPES):
            self.open(accept=accept)
            client = self.call(PAGE)
            self.assertEqual(self.bodies(client), [b"<GET /index.html >"])
            client.send(UPGRADE)
            isAccepted = ClientType.WEBSOCKET in accept
            self.assertEqual(b"HTTP/1.1 101 " in client.received, isAccepted)
            self.assertEqual(b"HTTP/1.1 403 " in client.received, not isAccepted)

    def test_requiresTLS(self) -> None:
        """
        On a port for TLS only, HTTP is served inside TLS only.
        """
        self.open(accept={ClientType.TLS, ClientType.WEBSOCKET, ClientType.POLICY})
        self.open(accept={ClientType.TLS, ClientType.POLICY})
        self.assertTrue(self.call(PAGE).received.startswith(b"HTTP/1.1 400 "))
        self.assertEqual(self.bodies(self.call(PAGE, inTLS=True)), [b"<GET /index.html >"])

    def test_without(self) -> None:
        """
        Without an HTTP factory, C{/healthz} is answered, and other requests are refused.
        """
        self.open(http=None)
        for path, status in ((b"/healthz", b"200"), (b"/index.html", b"426")):
            client = self.call(b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % path)
            self.assertTrue(client.received.startswith(b"HTTP/1.1 " + status), client.received)
        self.assertEqual(list(self.guard.closed), [("http", "server")])

    def test_healthCheck(self) -> None:
        """
        With an HTTP factory, C{/healthz} is passed to it.
        """
        client = self.call(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        self.assertEqual(self.bodies(client), [b"<GET /healthz >"])


class PersistentTests(HTTPTestCase):
    """
    A connection can open a WebSocket after some HTTP requests.
    """

    @given(
        st.lists(st.sampled_from([PAGE, POST, CHUNKED, b"\r\n" + PAGE]), max_size=5),
        st.sampled_from([OPEN, b"\r\n" + OPEN]),
        st.booleans(),
        st.integers(1, 200) | st.just(1 << 20),
    )
    def test_pipelined(
        self, requests: list[bytes], upgrade: bytes, inTLS: bool, length: int
    ) -> None:
        """
        Requests are answered in order, and a WebSocket handshake after them opens a WebSocket
        to the game, however the stream is split. The body of a request is not inspected.
        """
        self.open()
        if not requests:
            upgrade = OPEN
        elif requests[0].startswith(b"\r\n"):
            requests[0] = PAGE
        client = self.call(b"".join(requests) + upgrade, inTLS=inTLS, length=length)
        expected = [
            b"<POST /form %s>" % OPEN if b"POST" in each else b"<GET /index.html >"
            for each in requests
        ]
        self.assertEqual(self.bodies(client), expected)
        _, response, frames = client.received.partition(RESPONSE)
        self.assertEqual((response, frames), (RESPONSE, b"\x82\x05hello"))
        [greeter] = self.game.made
        self.assertEqual((greeter.told, greeter.received), (["made"], b"ping"))
        self.assertEqual(self.kinds(), ["websocket in tls" if inTLS else "websocket"])

    @given(
        st.sampled_from([PAGE, POST, CHUNKED]),
        st.lists(st.sampled_from(VARIOUS), max_size=6),
        st.booleans(),
        st.integers(1, 100) | st.just(1 << 20),
    )
    def test_sameAsSite(self, first: bytes, rest: list[bytes], inTLS: bool, length: int) -> None:
        """
        The responses to any requests, valid or not, are those of the HTTP factory on a port
        without a game.
        """
        data = first + b"".join(rest)
        self.open()
        alone = Client(self.site, self.clock, length=length)
        alone.send(data)
        alone.close()
        self.open()
        client = self.call(data, inTLS=inTLS, length=length)
        received, expected = (
            re.sub(rb"Date: [^\r]*", b"Date: x", each) for each in (client.received, alone.received)
        )
        # A request that is not complete has a temporary file.
        client.close()
        self.assertEqual((received, self.game.made), (expected, []))

    def test_everyByte(self) -> None:
        """
        Two pages and a WebSocket handshake can be sent on one connection, each when the
        response to the previous request was received.
        """
        for length in (1, 1 << 20):
            self.open()
            client = self.call(PAGE, PAGE, UPGRADE, frame(BINARY, b"ping"), length=length)
            self.assertEqual(self.bodies(client), [b"<GET /index.html >"] * 2)
            self.assertEqual(self.game.made[0].received, b"ping")

    @given(st.integers(1, 200) | st.just(1 << 20))
    def test_asynchronous(self, length: int) -> None:
        """
        Data that is received while a request is handled is served after the response.
        """
        self.open()
        client = self.call(ASK + ASK + POST + OPEN, length=length)
        self.assertEqual((client.received, self.game.made), (b"", []))
        self.pages.finish()
        client.exchange()
        self.assertEqual(self.bodies(client), [b"<GET /later >"])
        self.pages.finish()
        client.exchange()
        later = [b"<GET /later >"] * 2
        self.assertEqual(self.bodies(client), [*later, b"<POST /form %s>" % OPEN])
        self.assertEqual(self.game.made[0].received, b"ping")

    def test_many(self) -> None:
        """
        Many requests in one chunk are served in portions, without recursion.
        """
        client = self.call()
        client.arrive(PAGE * 5000 + UPGRADE)
        served = len(self.pages.requests)
        self.assertLess(served, 1000)
        self.clock.pump([0] * 100)
        client.exchange()
        self.assertEqual(len(self.pages.requests), 5000)
        self.assertEqual(self.kinds(), ["websocket"])

    def test_close(self) -> None:
        """
        After a request with C{Connection: close}, or of HTTP/1.0, further data is dropped.
        """
        for request in (
            PAGE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
            PAGE.replace(b"1.1", b"1.0"),
        ):
            client = self.call(request + OPEN)
            client.send(OPEN)
            self.assertTrue(client.closed)
            self.assertEqual(self.game.made, [])

    def test_closing(self) -> None:
        """
        After the server has closed the connection, no further request is served.
        """
        client = self.call(ASK)
        self.guard.closeAll(3)
        self.pages.finish()
        client.send(UPGRADE)
        self.assertEqual(self.game.made, [])

    def test_closedWhileIdle(self) -> None:
        """
        A connection without a request is closed immediately when the server stops.
        """
        for inTLS in (False, True):
            client = self.call(PAGE, inTLS=inTLS)
            closed = self.guard.closeAll(30)
            client.exchange()
            if client.tls is not None:
                self.assertTrue(client.tls.get_shutdown())
                client.tls.shutdown()
                client.exchange()
            self.assertTrue(client.closed)
            self.successResultOf(closed)

    def test_slowHead(self) -> None:
        """
        An incomplete head of a later request is answered with 408.
        """
        client = self.call(PAGE)
        client.send(b"G")
        self.clock.advance(10)
        client.exchange()
        self.assertIn(b"HTTP/1.1 408 ", client.received)
        self.assertTrue(client.closed)

    def test_idle(self) -> None:
        """
        A connection without a request is closed without an answer after the timeout of the
        HTTP factory; no timers remain.
        """
        client = self.call(PAGE)
        answered = len(client.received)
        client.send(b"\r")
        self.clock.advance(59)
        self.assertFalse(client.closed)
        self.clock.advance(1)
        client.exchange()
        self.assertTrue(client.closed)
        self.assertEqual(len(client.received), answered)
        client.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slowBody(self) -> None:
        """
        A request whose body is incomplete after the timeout of the HTTP factory is closed, even
        if its data is still received.
        """
        client = self.call(POST[:80])
        for _ in range(59):
            self.clock.advance(1)
            client.send(b"x")
            self.assertFalse(client.closed)
        self.clock.advance(1)
        self.assertTrue(client.closed)
        self.assertEqual(self.pages.requests, [])

    @given(st.booleans(), st.integers(-1, 1), st.integers(7, 200) | st.just(1 << 20))
    def test_maxBody(self, isChunked: bool, over: int, length: int) -> None:
        """
        A request body above the limit is answered with 413, however it is sent and split.
        """
        self.open(maxBody=len(OPEN) - over)
        with capturedLogs() as logs:
            client = self.call((CHUNKED if isChunked else POST) + PAGE, length=length)
        client.close()
        if over <= 0:
            self.assertEqual(len(self.bodies(client)), 2)
            return
        self.assertTrue(client.received.startswith(b"HTTP/1.1 413 "), client.received)
        self.assertEqual(client.received.count(b"HTTP/1.1"), 1)
        self.assertTrue(client.closed)
        self.assertEqual((self.pages.requests, self.game.made), ([], []))
        [line] = [each for each in linesOf(logs) if "body" in each]
        self.assertIn(f"refused: HTTP request body exceeds {len(OPEN) - 1} bytes", line)

    def test_noMaxBody(self) -> None:
        """
        With C{maxBody=0}, the length of a request body is not limited.
        """
        self.open(maxBody=0)
        head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n"
        self.assertEqual(len(self.bodies(self.call(head, b"x" * 2_000_000))), 1)

    def test_refusedUpgrade(self) -> None:
        """
        A later WebSocket handshake from a page that the policy does not permit is refused.
        """
        self.open(policy=PolicyFile((AccessRule("other.example", "80"),)))
        client = self.call(PAGE, OPEN)
        self.assertIn(b"HTTP/1.1 403 ", client.received)
        self.assertEqual(self.game.made, [])

    def test_timers(self) -> None:
        """
        When the connection is lost, no timers remain, and a pending request is notified.
        """
        for data in (PAGE, ASK, PAGE + PAGE[:9], OPEN):
            self.open()
            client = self.call(data)
            client.abort()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertEqual((self.guard.connections, self.guard.http), (0, 0))

    def test_ownChannel(self) -> None:
        """
        With Twisted's C{HTTPChannel} as its protocol, an HTTP factory supports a later
        WebSocket. With any other protocol, the protocol keeps the connection.
        """

        class Channel(HTTPChannel):
            pass

        for channel, opened in ((HTTPChannel, 1), (Channel, 0)):
            self.open()
            self.site.protocol = cast("Any", channel)  # type: ignore[method-assign]
            client = self.call(PAGE, OPEN)
            self.assertEqual(len(self.game.made), opened)
            self.assertIn(b"<GET /index.html >", client.received)
            self.assertEqual(len(self.pages.requests), 2 - opened)

    def test_otherFactory(self) -> None:
        """
        The protocol of any other HTTP factory receives all data of its connections.
        """
        other = GreeterFactory(Greeter)
        self.open(http=other)
        client = self.call(PAGE + OPEN, length=7)
        client.send(OPEN)
        self.assertEqual(other.made[0].received, PAGE + OPEN + OPEN)
        self.assertEqual((self.game.made, self.kinds()), ([], ["http"]))

    def test_refusingFactory(self) -> None:
        """
        If the HTTP factory refuses a client, the request is answered with 503.
        """

        class Refusing(Factory[Any]):
            def buildProtocol(self, addr: object) -> None:
                return None

        self.open(http=Refusing())
        client = self.call(PAGE)
        self.assertTrue(client.received.startswith(b"HTTP/1.1 503 "), client.received)
        self.assertIn(BUSY, client.received)


class UnreadTests(HTTPTestCase):
    """
    Responses without a producer that the client has not read yet.
    """

    def open(self, **settings: Any) -> None:
        """
        Open a port whose responses are longer than the send buffer.
        """
        super().open(**settings)
        self.pages.answer = lambda request: LONG  # type: ignore[method-assign]

    def stall(self, data: bytes) -> Client:
        """
        Connect a client that does not read, and send data.
        """
        client = self.call()
        client.connection.toClient.stall()
        client.arrive(data)
        return client

    def read(self, client: Client) -> None:
        """
        Let a client read all that was sent.
        """
        client.connection.toClient.resume()
        client.exchange()

    def test_pipelined(self) -> None:
        """
        While the client does not read a response, the next request is not handled, even if it was
        received together with the previous one.
        """
        client = self.stall(PAGE * 3)
        self.assertEqual(len(self.pages.requests), 1)
        self.read(client)
        self.assertEqual(self.bodies(client), [LONG] * 3)

    def test_idleAfterwards(self) -> None:
        """
        When the client has read the response, the time until the next request begins.
        """
        client = self.stall(PAGE)
        self.clock.advance(50)
        self.read(client)
        self.assertEqual(self.bodies(client), [LONG])
        self.clock.advance(59)
        self.assertFalse(client.closed)
        self.clock.advance(2)
        self.assertTrue(client.closed)

    def test_severalWrites(self) -> None:
        """
        Several writes while the client does not read start one timeout, which ends when the client
        reads.
        """
        client = self.stall(ASK)
        [request] = self.pages.waiting
        request.setHeader(b"content-length", b"%d" % (4 * len(LONG)))
        for _ in range(3):
            request.write(LONG)
        self.read(client)
        self.assertEqual(client.received.count(LONG), 3)
        self.clock.pump([STALL_TIMEOUT] * 3)
        self.assertFalse(client.closed)
        request.write(LONG)
        request.finish()


class SettingTests(HTTPTestCase):
    """
    The setting C{http}.
    """

    def test_started(self) -> None:
        """
        The HTTP factory is started and stopped with the port, once.
        """
        http = GreeterFactory(Greeter)
        self.open(http=http)
        self.guard.doStart()
        self.assertEqual((http.started, self.game.started), (1, 1))
        self.guard.doStop()
        self.assertEqual((http.started, self.game.started), (0, 0))
        self.open(http=None, passThrough={Signature.HTTP})
        self.guard.doStart()
        self.assertEqual(self.game.started, 1)
        self.guard.doStop()
        self.assertEqual(self.game.started, 0)

    def test_passThrough(self) -> None:
        """
        With C{passThrough}, the wrapped factory is the HTTP factory.
        """
        self.open(http=None, passThrough={Signature.HTTP})
        self.assertIs(self.port.http, self.game)
        self.call(PAGE)
        self.assertEqual(self.game.made[0].received, PAGE)
        self.assertEqual(self.kinds(), ["http"])

    def test_mistakes(self) -> None:
        """
        A setting that is not a factory, and two HTTP factories, are reported.
        """
        for http in (True, Site, self.pages):
            problem = self.assertRaises(TypeError, OnePortFactory, self.game, http=http)
            self.assertIn("http must be a factory, not ", str(problem))
            self.assertIn("pass twisted.web.server.Site(root) for an IResource", str(problem))
        problem = self.assertRaises(
            ValueError, OnePortFactory, self.game, http=self.site, passThrough={Signature.HTTP}
        )
        self.assertEqual(
            str(problem), "http and passThrough={Signature.HTTP} cannot be used together"
        )


class ProxyTests(HTTPTestCase):
    """
    Requests from proxies.
    """

    @given(st.integers(1, 60))
    def test_proxyHeader(self, length: int) -> None:
        """
        After a PROXY header, pages and the game get the address in the header.
        """
        self.open()
        factory = ProxyProtocolFactory(self.guard, clock=self.clock)
        client = Client(factory, self.clock, length=length)
        client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 51000 9000\r\n" + PAGE + OPEN)
        self.assertEqual(self.bodies(client), [b"<GET /index.html >"])
        self.assertEqual(self.pages.requests[0].getClientAddress().host, "192.0.2.1")
        transport: Any = self.game.made[0].transport
        self.assertEqual(transport.getPeer().host, "192.0.2.1")
        self.assertEqual(self.game.made[0].received, b"ping")

    def test_trustedProxies(self) -> None:
        """
        Each WebSocket handshake on a connection from a trusted proxy has the forwarded address.
        """

        def webSocket(*arguments: Any, **settings: Any) -> WebSocketFactory:
            proxies = [ip_network("192.168.1.1")]
            return WebSocketFactory(*arguments, trustedProxies=proxies, **settings)

        self.open(webSocket=webSocket)
        forwarded = b"\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
        client = self.call(
            PAGE.replace(b"\r\n\r\n", forwarded), UPGRADE.replace(b"\r\n\r\n", forwarded)
        )
        self.assertEqual(self.bodies(client), [b"<GET /index.html >"])
        transport: Any = self.game.made[0].transport
        self.assertEqual(transport.getPeer().host, "192.0.2.7")


class LimitTests(HTTPTestCase):
    """
    HTTP connections have a limit of their own.
    """

    def test_places(self) -> None:
        """
        HTTP connections count neither for C{maxConnections} nor for C{maxPerAddress}.
        """
        self.open(maxConnections=2, maxPerAddress=2)
        for _ in range(5):
            self.call(PAGE)
        self.assertEqual((self.guard.http, self.guard.connections), (5, 5))
        players = [self.call(UPGRADE) for _ in range(3)]
        self.assertTrue(players.pop().closed)
        self.assertEqual(self.guard.refusals, {**dict.fromkeys(REFUSALS, 0), "connections": 1})
        for player in players:
            player.close()
        self.assertEqual((self.guard.http, self.guard.connections), (5, 5))
        self.assertEqual(self.bodies(self.call(PAGE)), [b"<GET /index.html >"])

    def test_lost(self) -> None:
        """
        A lost connection is not counted again if its last request is handled after the loss.
        """
        client = self.call(PAGE)
        [record] = self.guard.protocols
        client.abort()
        self.assertFalse(record.countAs("websocket"))
        self.assertEqual((self.guard.http, self.guard.connections), (0, 0))
        self.assertEqual(self.guard._hosts._open, {})

    def test_maximum(self) -> None:
        """
        Requests on connections above the limit are answered with 503, with one log line. When
        a connection is closed, a new one is accepted.
        """
        self.open(maxHTTP=2)
        first, _ = self.call(PAGE), self.call(PAGE)
        with capturedLogs() as logs:
            refused = [self.call(PAGE) for _ in range(3)]
        for client in refused:
            self.assertTrue(client.received.startswith(b"HTTP/1.1 503 "), client.received)
            self.assertTrue(client.closed)
        line = (
            "192.168.1.1:54321 refused: HTTP connection limit reached (2); further refusals are "
            "not logged"
        )
        self.assertEqual(linesOf(logs).count(line), 1)
        self.assertEqual(self.guard.refusals, {**dict.fromkeys(REFUSALS, 0), "http": 3})
        self.assertTrue(self.call(OPEN).received.startswith(RESPONSE))
        for client in (first, *refused):
            client.close()
        self.assertEqual(self.guard.http, 1)
        self.assertEqual(self.bodies(self.call(PAGE)), [b"<GET /index.html >"])
        with capturedLogs() as logs:
            self.call(PAGE)
        self.assertIn(line, linesOf(logs))

    def test_noMaximum(self) -> None:
        """
        0 means no limit.
        """
        self.open(maxHTTP=0)
        for _ in range(250):
            self.call(PAGE)
        self.assertEqual(self.guard.http, 250)

    def test_upgrade(self) -> None:
        """
        An HTTP connection that becomes a WebSocket counts as a client again. If there are too
        many clients, the handshake is answered with 503.
        """
        for limit in ("maxConnections", "maxPerAddress"):
            self.open(**{limit: 1})
            pages = [self.call(PAGE) for _ in range(2)]
            pages[0].send(OPEN)
            self.assertEqual(self.game.made[0].received, b"ping")
            with capturedLogs() as logs:
                pages[1].send(OPEN)
            self.assertIn(b"HTTP/1.1 503 ", pages[1].received)
            self.assertIn(BUSY, pages[1].received)
            self.assertIn("refused: connection limit ", linesOf(logs)[0])
            self.assertEqual((len(self.game.made), self.guard.http), (1, 0))
            self.assertTrue(pages[1].closed)
            pages[0].close()
            self.assertEqual((self.guard.http, self.guard.connections), (0, 0))
            self.assertIn(b"101", self.call(OPEN).received)

    def test_nested(self) -> None:
        """
        Each of two nested guards counts the connection.
        """
        outer = GuardFactory(self.guard, clock=self.clock, maxHTTP=1)
        client = Client(outer, self.clock)
        client.send(PAGE)
        self.assertEqual((outer.http, self.guard.http), (1, 1))
        other = Client(outer, self.clock)
        other.send(PAGE)
        self.assertTrue(other.received.startswith(b"HTTP/1.1 503 "))
        client.send(OPEN)
        self.assertEqual((outer.http, self.guard.http), (0, 0))

    def test_traffic(self) -> None:
        """
        The traffic of a client type never decreases when an HTTP connection becomes a
        WebSocket.
        """
        client = self.call(PAGE)
        self.assertEqual([*self.guard.traffic()], ["http"])
        before = self.guard.traffic()["http"]
        self.assertEqual(before.bytesIn, len(PAGE))
        client.send(UPGRADE)
        client.send(frame(BINARY, b"ping"))
        traffic = self.guard.traffic()
        self.assertEqual(traffic["http"].bytesIn, before.bytesIn + len(UPGRADE))
        self.assertEqual(traffic["http"].bytesOut, before.bytesOut)
        self.assertEqual(traffic["websocket"].bytesIn, len(frame(BINARY, b"ping")))
        [info] = self.guard.clients()
        self.assertEqual(info.bytesIn, len(PAGE + OPEN))
        client.close()
        self.assertEqual(self.guard.traffic(), traffic)
        self.assertEqual(list(self.guard.closed), [("websocket", "peer")])

    def test_idleTimeout(self) -> None:
        """
        The idle timeout of the guard does not close an HTTP connection on which data is sent.
        """
        self.open(idleTimeout=8)
        self.guard.doStart()
        client = self.call(ASK)
        idle = self.call(ASK)
        for _ in range(20):
            self.pages.waiting[0].write(b"x")
            client.exchange()
            self.clock.advance(1)
        self.assertFalse(client.closed)
        self.assertTrue(idle.closed)
        self.guard.doStop()


@implementer(IPushProducer)
class Download:
    """
    Writes a response while it is not paused.

    @ivar written: number of bytes written.
    """

    portion = 16 * 1024

    def __init__(self, request: Any, length: int) -> None:
        self.request = request
        self.left = length
        self.paused = self.stopped = False
        request.setHeader(b"content-length", b"%d" % length)
        request.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        while self.left and not (self.paused or self.stopped):
            portion = min(self.portion, self.left)
            self.left -= portion
            self.request.write(b"x" * portion)
        if not self.left and not self.stopped:
            self.stopped = True
            self.request.unregisterProducer()
            self.request.finish()

    def stopProducing(self) -> None:
        self.stopped = True


class Downloads(Resource):
    """
    A download at each path: its length.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.downloads: list[Download] = []
        self.lost: list[Any] = []

    def render_GET(self, request: Any) -> int:
        request.notifyFinish().addErrback(self.lost.append)
        self.downloads.append(Download(request, int(request.path[1:])))
        return NOT_DONE_YET


def get(length: int) -> bytes:
    """
    Return the request for a download.
    """
    return b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % length


class SlowClientTestCase(SynchronousTestCase):
    """
    A port with downloads on a network in memory.

    @cvar inTLS: whether the clients use TLS.
    """

    inTLS = False

    def setUp(self) -> None:
        self.network = MemoryNetwork.forTest(self.addCleanup)
        self.game: Any = GreeterFactory(Greeter)
        self.downloads = Downloads()
        self.isOpen = False

    def listen(self) -> None:
        """
        Open the port with the pages and the game.
        """
        reactor = self.network.reactor
        endpoint = openflEndpoint(
            TCP4ServerEndpoint(reactor, 80),
            http=Site(self.downloads, reactor=reactor),
            tls=Presenting.of(IDENTITY),
            clock=reactor,
        )
        port = self.network.run(endpoint.listen(self.game))
        self.addCleanup(port.stopListening)
        self.isOpen = True

    def connect(self) -> Any:
        """
        Connect a client. The first call opens the port.
        """
        if not self.isOpen:
            self.listen()
        client = Peer()
        reactor = self.network.reactor
        factory: Any = Factory.forProtocol(lambda: client)
        factory.noisy = False
        if self.inTLS:
            factory = TLSMemoryBIOFactory(CertificateOptions(), True, factory, reactor)
        TCP4ClientEndpoint(reactor, "127.0.0.1", 80).connect(factory)
        self.network.flush()
        self.addCleanup(self.network.flush)
        self.addCleanup(self.abort, client)
        return client

    def abort(self, client: Peer) -> None:
        """
        Close a connection at the end of a test.
        """
        if not client.closed:
            client.abort()

    @property
    def toClient(self) -> Any:
        """
        The data on its way to the client.
        """
        return self.network.connections[0].toClient


class SlowClientTests(SlowClientTestCase):
    """
    HTTP clients that read slowly or not at all.
    """

    def test_download(self) -> None:
        """
        A long download is sent completely, and then a WebSocket can be opened.
        """
        client = self.connect()
        client.send(get(3_000_000) + OPEN)
        self.network.flush()
        head, _, body = client.received.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(body[:3_000_000], b"x" * 3_000_000)
        self.assertEqual(body[3_000_000:], RESPONSE + b"\x82\x05hello")
        self.assertEqual(self.game.made[0].received, b"ping")

    def test_neverRead(self) -> None:
        """
        For a client that never reads, little data is buffered, the download is paused, and
        the client is disconnected after a timeout, with one log line.
        """
        client = self.connect()
        self.toClient.stall()
        client.send(get(100_000_000))
        self.network.flush()
        [download] = self.downloads.downloads
        self.assertTrue(download.paused)
        self.assertLess(100_000_000 - download.left, 500_000)
        with capturedLogs() as logs:
            self.network.advance(STALL_TIMEOUT - 1)
            self.assertEqual(self.downloads.lost, [])
            self.network.advance(STALL_TIMEOUT + 1)
        self.assertEqual(len(self.downloads.lost), 1)
        self.assertTrue(download.stopped)
        [line] = [each for each in linesOf(logs) if "disconnected" in each]
        self.assertIn("no part of an HTTP response was read for 60 s", line)

    def test_endNeverRead(self) -> None:
        """
        A client that does not read the end of a response is disconnected after a timeout.
        """
        client = self.connect()
        self.toClient.window = 10_000
        self.toClient.stall()
        client.send(get(30_000))
        self.network.advance(100)
        self.assertFalse(client.closed)
        self.network.advance(100)
        self.toClient.resume()
        self.network.flush()
        self.assertTrue(client.closed)
        self.assertLess(len(client.received), 30_000)

    def test_pipelinedWithoutReading(self) -> None:
        """
        While a client does not read a response, no further request is served. The requests are
        served when the client reads.
        """
        client = self.connect()
        self.toClient.stall()
        client.send(get(300_000) * 50 + OPEN)
        self.network.flush()
        self.assertLess(len(self.downloads.downloads), 4)
        self.network.advance(30)
        self.toClient.resume()
        self.network.flush()
        self.assertEqual(len(self.downloads.downloads), 50)
        self.assertEqual(client.received.count(b"HTTP/1.1 200 OK"), 50)
        self.assertTrue(client.received.endswith(RESPONSE + b"\x82\x05hello"))

    def test_readSlowly(self) -> None:
        """
        A client that reads slowly is not disconnected.
        """
        client = self.connect()
        self.toClient.window = 10_000
        client.send(get(300_000))
        rounds = 0
        while len(client.received) < 300_000:
            self.assertFalse(client.closed)
            self.toClient.stall()
            # The server can write more only when a part of the window is free.
            self.network.advance(STALL_TIMEOUT / 3)
            self.toClient.resume()
            self.network.step()
            rounds += 1
        self.assertGreater(rounds, 10)
        client.send(OPEN)
        self.network.flush()
        self.assertTrue(client.received.endswith(RESPONSE + b"\x82\x05hello"))


class SlowTLSClientTests(SlowClientTests):
    """
    The same clients in TLS.
    """

    inTLS = True


class DroppedMessageTests(SlowClientTestCase):
    """
    A WebSocket after a page, on one connection that is lost.
    """

    def test_droppedMessages(self) -> None:
        """
        If the connection is lost, only unsent messages of the WebSocket are reported as
        dropped, and not the unsent part of a page before it.
        """
        dropped: list[bytes] = []

        class Sender(XMLSocketProtocol):
            def connectionMade(self) -> None:
                super().connectionMade()
                for text in ("one", "two"):
                    self.sendMessage(text)

            def sendQueueDropped(self, messages: Sequence[bytes]) -> None:
                dropped.extend(messages)

        self.game = XMLSocketFactory(Sender)
        client = self.connect()
        client.send(get(1000) + UPGRADE)
        self.network.flush()
        length = len(client.received)
        # Each message has a frame header of two bytes.
        for unsent, expected in ((6, 1), (7, 2), (12, 2), (13, 2), (length - 50, 2)):
            dropped.clear()
            self.network.window = length - unsent
            client = self.connect()
            self.network.connections[-1].toClient.stall()
            client.send(get(1000) + UPGRADE)
            self.network.flush()
            client.abort()
            self.network.flush()
            self.assertEqual(dropped, [b"one\0", b"two\0"][-expected:])
