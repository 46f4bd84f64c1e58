"""
Tests for L{openfl_twisted.protocols.websocket}.
"""

from ipaddress import ip_network

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, ITLSTransport
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from zope.interface import alsoProvides

from openfl_twisted.protocols.websocket import WebSocketFactory, WebSocketProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.origins import originsOf
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import TightConnection, TightTransport, linesOf
from tests.frames import BINARY, KEY, REQUEST, RESPONSE, closing, frame, framesIn
from tests.segments import cuts
from tests.transports.websocketcase import Inner, WebSocketTestCase

done = Failure(ConnectionDone())
REFUSED = "192.168.1.1:54321 refused: HTTP request answered with"


class HandshakeTests(WebSocketTestCase):
    """
    The opening handshake.
    """

    def test_answer(self) -> None:
        """
        The protocol is connected when the request is complete, and receives the data
        that follows it.
        """
        connection, transport = self.connect(self.factory())
        connection.dataReceived(REQUEST[:-1])
        self.assertIsNone(connection.wrappedProtocol)
        self.assertEqual(transport.writes, [])
        connection.dataReceived(REQUEST[-1:] + frame(BINARY, b"hello")[:3])
        self.assertEqual(transport.writes, [RESPONSE])
        inner = connection.wrappedProtocol
        self.assertEqual(inner.told, ["made"])
        self.assertIs(inner.transport, connection)
        connection.dataReceived(frame(BINARY, b"hello")[3:])
        self.assertEqual(inner.told, ["made", b"hello"])

    @given(cuts(REQUEST + frame(BINARY, b"hello") + closing(1000, b"bye")))
    def test_anyPieces(self, pieces: list[bytes]) -> None:
        """
        The result of a conversation does not depend on how the stream is split.
        """
        self.clock = Clock()
        connection, transport = self.connect(self.factory())
        inner = Inner()
        connection.factory.wrappedFactory = Factory.forProtocol(lambda: inner)
        for piece in pieces:
            connection.dataReceived(piece)
        self.assertEqual(transport.drainAll(), RESPONSE + closing(1000, b"bye", mask=False))
        self.assertEqual(
            (inner.told[0], inner.received, inner.told[-1]), ("made", b"hello", "done")
        )
        self.assertTrue(transport.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_request(self) -> None:
        """
        The protocol can read the request path; the header fields are available in
        C{connectionMade} only.
        """

        class Looking(XMLSocketProtocol):
            origin = ""

            def connectionMade(self) -> None:
                self.origin = self.transport.requestHeaders["origin"]

        factory = XMLSocketFactory(Looking)
        for request, path in (
            (REQUEST, "/x/room?id=1"),
            (REQUEST.replace(b"x/room?id=1", b""), "/"),
        ):
            connection, _ = self.connect(WebSocketFactory(factory, clock=self.clock))
            connection.dataReceived(request)
            [protocol] = factory.connections
            assert isinstance(protocol, Looking)
            self.assertEqual(protocol.origin, "http://127.0.0.1:9301")
            self.assertEqual(protocol.transport.requestPath, path)
            self.assertRaises(RuntimeError, lambda of=protocol: of.transport.requestHeaders)
            connection.connectionLost()

    def test_refused(self) -> None:
        """
        A request that does not open a WebSocket, or is invalid, is answered and logged,
        and the connection is closed. Later data is ignored.
        """
        for request, status, words in [
            (b"<hello/>\0", b"400 Bad Request", "400 This is not an HTTP/1.1 request."),
            (b"GET / HTTP/1.1\r\n\r\n", b"426 Upgrade Required", "426 This port accepts WebSocket"),
            (b"GET / HTTP/1.1\r\nA: 1\n\n", b"400 Bad Request", "400 A header field"),
            (b"HEAD / HTTP/1.1\r\n\r\n", b"426 Upgrade Required", "426 This port"),
            (REQUEST.replace(b": 13", b": 8"), b"426 Upgrade", "426 "),
            (REQUEST.replace(KEY, b"a2V5"), b"400 Bad Request", "400 The key, a subprotocol"),
        ]:
            connection, transport = self.connect(self.factory())
            with capturedLogs() as logs:
                connection.dataReceived(request)
                connection.dataReceived(REQUEST)
            [line] = linesOf(logs)
            self.assertTrue(
                line.startswith(f"192.168.1.1:54321 refused: HTTP request answered with {words}"),
                line,
            )
            self.assertEqual(logs[0]["log_level"], LogLevel.info)
            transport.drain()
            self.assertTrue(transport.delivered.startswith(b"HTTP/1.1 " + status))
            self.assertEqual(transport.delivered.endswith(b"\n\n"), False)
            self.assertEqual(transport.delivered.endswith(b"\r\n\r\n"), request[:4] == b"HEAD")
            self.assertTrue(transport.closed)
            self.assertIsNone(connection.wrappedProtocol)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_openTimeout(self) -> None:
        """
        A request that is not complete in time is answered with an error. Incomplete
        data does not extend the time.
        """
        connection, transport = self.connect(self.factory(openTimeout=7))
        connection.dataReceived(b"GET ")
        self.clock.advance(6)
        connection.dataReceived(b"/")
        with capturedLogs() as logs:
            self.clock.advance(1)
        self.assertEqual(
            linesOf(logs),
            [f"{REFUSED} 408 No request was received for 7 s."],
        )
        self.assertEqual(logs[0]["log_level"], LogLevel.warn)
        connection.dataReceived(b" HTTP/1.1\r\n")
        transport.drain()
        self.assertTrue(transport.delivered.startswith(b"HTTP/1.1 408 Request Timeout\r\n"))
        self.assertTrue(transport.closed)

    def test_longHead(self) -> None:
        """
        A head that is too long is refused as early as possible.
        """
        connection, transport = self.connect(self.factory(maxHead=100))
        with capturedLogs() as logs:
            connection.dataReceived(b"GET /" + b"x" * 96)
        self.assertEqual(
            linesOf(logs),
            [f"{REFUSED} 431 The request head must have at most 100 bytes."],
        )
        self.assertEqual(logs[0]["log_level"], LogLevel.warn)
        transport.drain()
        self.assertTrue(transport.delivered.startswith(b"HTTP/1.1 431 "))

    def test_stubborn(self) -> None:
        """
        A client that does not close the connection is aborted.
        """
        connection, transport = self.connect(self.factory(closeTimeout=3))
        connection.dataReceived(b"\0")
        self.assertFalse(transport.closed)
        with capturedLogs() as logs:
            self.clock.advance(3)
        self.assertTrue(transport.closed)
        self.assertEqual(
            linesOf(logs),
            ["192.168.1.1:54321 aborted: close timed out"],
        )

    def test_noProtocol(self) -> None:
        """
        If the wrapped factory returns no protocol, the client receives an error.
        """

        class Full(Factory[Inner]):
            def buildProtocol(self, addr: object) -> None:
                return None

        connection, transport = self.connect(WebSocketFactory(Full(), clock=self.clock))
        connection.dataReceived(REQUEST)
        transport.drain()
        self.assertTrue(transport.delivered.startswith(b"HTTP/1.1 503 Service Unavailable\r\n"))
        self.assertTrue(transport.closed)

    def test_endsBefore(self) -> None:
        """
        A connection that ends before the handshake leaves no timer, whichever side ends
        it.
        """
        connection, transport = self.connect(self.factory())
        connection.dataReceived(REQUEST[:-1])
        connection.connectionLost(done)
        connection.dataReceived(REQUEST[-1:])
        self.assertEqual(transport.writes, [])
        connection, transport = self.connect(self.factory())
        connection.loseConnection()
        self.assertTrue(transport.closed)
        self.assertIsNone(connection.wrappedProtocol)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_faultInConnectionMade(self) -> None:
        """
        A protocol whose C{connectionMade} raises receives no data.
        """

        class Faulty(Inner):
            def connectionMade(self) -> None:
                raise ValueError("a fault of the user's")

        self.inner = Faulty
        connection, _ = self.connect(self.factory())
        self.assertRaises(ValueError, connection.dataReceived, REQUEST + frame(BINARY, b"a"))
        connection.dataReceived(frame(BINARY, b"b"))
        self.assertEqual(connection.wrappedProtocol.told, [])

    def test_readsInConnectionMade(self) -> None:
        """
        No data is delivered during C{connectionMade}.
        """

        class Hasty(Inner):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()
                self.transport.resumeProducing()
                super().connectionMade()

        self.inner = Hasty
        connection, _ = self.connect(self.factory())
        connection.dataReceived(REQUEST + frame(BINARY, b"a"))
        self.assertEqual(connection.wrappedProtocol.told, ["made", b"a"])

    def test_subprotocol(self) -> None:
        """
        A known subprotocol is accepted.
        """
        connection, transport = self.connect(self.factory(subprotocols=["chat"]))
        connection.dataReceived(
            REQUEST.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
        )
        self.assertIn(b"\r\nSec-WebSocket-Protocol: chat\r\n", transport.value())

    def test_halfClosed(self) -> None:
        """
        A WebSocket does not support half-close, although its transport does.
        """
        wrapper = self.factory().buildProtocol(None)
        transport = TightTransport(wrapper)
        alsoProvides(transport, IHalfCloseableProtocol)
        wrapper.makeConnection(transport)
        self.assertFalse(IHalfCloseableProtocol.providedBy(wrapper.wrappedProtocol))

    def test_noTLS(self) -> None:
        """
        The underlying transport can start TLS; a WebSocket does not provide
        C{ITLSTransport}.
        """
        wrapper = self.factory().buildProtocol(None)
        transport = TightTransport(wrapper)
        alsoProvides(transport, ITLSTransport)
        wrapper.makeConnection(transport)
        self.assertFalse(ITLSTransport.providedBy(wrapper.wrappedProtocol))
        self.assertRaises(RuntimeError, wrapper.wrappedProtocol.startTLS, None)


class OtherwiseTests(WebSocketTestCase):
    """
    Requests that do not open a WebSocket, with an C{otherwise} function.
    """

    def setUp(self) -> None:
        """
        Create an C{otherwise} function.
        """
        super().setUp()
        self.other: list[bytes] = []
        self.connection = WebSocketProtocol(self.factory(), self.other.append)
        self.transport = TightConnection(self.connection)
        self.connection.makeConnection(self.transport)

    def test_handedOver(self) -> None:
        """
        The function is called once with all data, as early as possible. The protocol
        does not answer, and does nothing afterwards.
        """
        for pieces in (
            [b"GET ", b"\0", b"rest"],
            [b"GET / HTTP/1.1\r\nA: 1\r\n", b"\r\nbody", b"x"],
        ):
            self.setUp()
            for piece in pieces:
                self.connection.dataReceived(piece)
            self.assertEqual(self.other, [pieces[0] + pieces[1]])
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertIsNone(self.transport.producer)
            self.connection.connectionLost(done)
            self.assertEqual(self.transport.writes, [])
            self.assertFalse(self.transport.closed)

    def test_notHandedOver(self) -> None:
        """
        Valid and invalid WebSocket requests, and requests that are too long or too
        late, are not passed to the function.
        """
        self.connection.dataReceived(REQUEST)
        self.assertEqual(self.transport.value(), RESPONSE)
        self.setUp()
        self.connection.dataReceived(REQUEST.replace(b": 13", b": 8"))
        self.setUp()
        self.connection.dataReceived(b"GET /" + b"x" * 20_000)
        self.setUp()
        self.clock.advance(10)
        self.assertIn(b" 408 ", self.transport.value())
        self.assertEqual(self.other, [])


class OriginTests(WebSocketTestCase):
    """
    Pages whose origin is not accepted.
    """

    def test_refused(self) -> None:
        """
        Other origins are refused with an error and one log line, in which non-ASCII
        characters are escaped.
        """
        policy = PolicyFile((AccessRule("example.com", "8080"),))
        factory = self.factory(origins=originsOf(policy, 8080))
        for origin, shown in [(b"null", "'null'"), (b"http://\xe4", r"'http://\xe4'")]:
            connection, transport = self.connect(factory)
            with capturedLogs() as logs:
                connection.dataReceived(REQUEST.replace(b"http://127.0.0.1:9301", origin))
            self.assertEqual(
                linesOf(logs),
                [f"{REFUSED} 403 The origin {shown} may not connect."],
            )
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 403 Forbidden\r\n"))
            self.assertIsNone(connection.wrappedProtocol)

    def test_ownPage(self) -> None:
        """
        If the page has the address of the server, the log line and the answer say what to do.
        """
        connection, transport = self.connect(self.factory(origins=lambda origin: False))
        with capturedLogs() as logs:
            connection.dataReceived(
                REQUEST.replace(b"http://127.0.0.1:9301", b"https://a:1").replace(
                    b"Host: 127.0.0.1:9301", b"Host: a:1"
                )
            )
        [line] = linesOf(logs)
        hint = "It has the address of this server: add a rule for it to the policy file."
        self.assertTrue(line.endswith(hint), line)
        self.assertIn(hint.encode(), transport.value())

    def test_long(self) -> None:
        """
        A long origin is shortened in the log and in the answer.
        """
        connection, transport = self.connect(self.factory(origins=lambda origin: False))
        with capturedLogs() as logs:
            connection.dataReceived(REQUEST.replace(b"http://127.0.0.1:9301", b"\xe4" * 10_000))
        [line] = linesOf(logs)
        self.assertTrue(line.endswith(r"\xe4\xe... may not connect."), line)
        self.assertLess(len(line), 300)
        self.assertLess(len(transport.value()), 500)

    def test_permitted(self) -> None:
        """
        Other origins, and clients without an origin, are accepted.
        """
        asked: list[str | None] = []

        def everybody(origin: str | None) -> bool:
            asked.append(origin)
            return True

        factory = self.factory(origins=everybody)
        for request in (REQUEST, REQUEST.replace(b"Origin", b"X-Origin")):
            connection, transport = self.connect(factory)
            connection.dataReceived(request)
            self.assertEqual(transport.value(), RESPONSE)
        self.assertEqual(asked, ["http://127.0.0.1:9301", None])


class ProxyTests(WebSocketTestCase):
    """
    Clients behind a trusted proxy.
    """

    def peers(
        self, field: bytes, address: object, only: str | None = None
    ) -> tuple[object, object]:
        """
        Return the peer for the factory and for the protocol.
        """
        asked: list[object] = []

        class Asked(Factory[Inner]):
            def buildProtocol(self, addr: object) -> Inner:
                asked.append(addr)
                return Inner()

        factory = WebSocketFactory(
            Asked(),
            trustedProxies=[ip_network("10.0.0.0/8")],
            forwardedHeader=only,
            clock=self.clock,
        )
        connection, _ = self.connect(factory, peerAddress=address)
        connection.dataReceived(REQUEST.replace(b"Pragma: no-cache", field))
        return asked[0], connection.wrappedProtocol.transport.getPeer()

    def test_behind(self) -> None:
        """
        The peer is the client of the proxy, if the proxy is trusted and sends its
        address.
        """
        proxy = IPv4Address("TCP", "10.1.1.1", 5000)
        stranger = IPv4Address("TCP", "192.0.2.9", 5000)
        unix = UNIXAddress("/run/proxy")
        for field, address, peer in [
            (b"X-Forwarded-For: 192.0.2.1", proxy, IPv4Address("TCP", "192.0.2.1", 0)),
            (b'Forwarded: for="[2001:db8::1]:47"', proxy, IPv6Address("TCP", "2001:db8::1", 47)),
            (b"X-Forwarded-For: somebody", proxy, proxy),
            (b"X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2", proxy, proxy),
            (b"X-Other: 192.0.2.1", proxy, proxy),
            (b"X-Forwarded-For: 192.0.2.1", stranger, stranger),
            (b"X-Forwarded-For: 192.0.2.1", unix, unix),
        ]:
            self.assertEqual(self.peers(field, address), (peer, peer))

    def test_forwardedHeader(self) -> None:
        """
        With C{forwardedHeader}, only the address in this header of a trusted proxy is used.
        """
        proxy = IPv4Address("TCP", "10.1.1.1", 5000)
        other = IPv4Address("TCP", "192.0.2.9", 5000)
        client = IPv4Address("TCP", "192.0.2.1", 0)
        for field, address, peer in [
            (b"X-Real-IP: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2", proxy, client),
            (b"X-Forwarded-For: 192.0.2.1", proxy, proxy),
            (b"X-Real-IP: 192.0.2.1\r\nX-Real-IP: 192.0.2.1", proxy, proxy),
            (b"X-Real-IP: 192.0.2.1", other, other),
        ]:
            self.assertEqual(self.peers(field, address, "x-real-ip"), (peer, peer))


class FactoryTests(WebSocketTestCase):
    """
    L{WebSocketFactory}.
    """

    def test_startAndStop(self) -> None:
        """
        The wrapped factory is started and stopped, too.
        """
        told: list[str] = []

        class Started(Factory[Inner]):
            noisy = False

            def startFactory(self) -> None:
                told.append("start")

            def stopFactory(self) -> None:
                told.append("stop")

        factory = WebSocketFactory(Started(), clock=self.clock)
        factory.doStart()
        self.assertEqual(told, ["start"])
        factory.doStop()
        self.assertEqual(told, ["start", "stop"])

    def test_logPrefix(self) -> None:
        """
        The log prefix contains the wrapped factory.
        """
        factory = self.factory()
        self.assertEqual(factory.logPrefix(), "Factory (WebSocket)")
        self.assertEqual(factory.buildProtocol(None).logPrefix(), "Factory (WebSocket)")

        class Unnamed:
            pass

        unnamed = WebSocketFactory(Unnamed(), clock=self.clock)  # type: ignore[arg-type]
        self.assertEqual(unnamed.logPrefix(), "Unnamed (WebSocket)")

    def test_reactor(self) -> None:
        """
        The default clock is the reactor.
        """
        from twisted.internet import reactor

        self.assertIs(WebSocketFactory(Factory.forProtocol(Inner)).clock, reactor)

    def test_xmlSocket(self) -> None:
        """
        Each message of an C{XMLSocket} is a WebSocket message, and those of one read
        are sent in one write.
        """

        class Twice(XMLSocketProtocol):
            def messageReceived(self, text: str) -> None:
                self.sendMessage(text)
                self.sendMessage(text.upper())

        factory = WebSocketFactory(XMLSocketFactory(Twice), clock=self.clock)
        connection = factory.buildProtocol(None)
        transport = TightTransport(connection, 1000)
        connection.makeConnection(transport)
        connection.dataReceived(REQUEST)
        transport.drain()
        connection.dataReceived(frame(BINARY, b"one\0two\0par") + frame(BINARY, b"tial\0"))
        [written] = transport.writes[1:]
        words = [b"one", b"ONE", b"two", b"TWO", b"partial", b"PARTIAL"]
        self.assertEqual(framesIn(written), [(BINARY, word + b"\0") for word in words])

    @given(st.binary(max_size=300))
    def test_garbage(self, data: bytes) -> None:
        """
        Random data before or after the handshake raises no exception.
        """
        self.clock = Clock()
        for start in (b"", REQUEST):
            connection, transport = self.connect(self.factory())
            with capturedLogs() as logs:
                connection.dataReceived(start + data)
                connection.loseConnection()
                transport.drainAll()
                self.clock.advance(100)
            self.assertTrue(transport.closed)
            self.assertFalse([event for event in logs if "log_failure" in event])
            self.assertEqual(self.clock.getDelayedCalls(), [])
