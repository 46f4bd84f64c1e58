"""
Tests for L{openfl_twisted.protocols.websocketclient}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from openfl_twisted.protocols import (
    EchoProtocol,
    OnePortFactory,
    XMLSocketFactory,
    XMLSocketProtocol,
)
from openfl_twisted.protocols.websocketclient import (
    MAX_RESPONSE,
    HandshakeRefused,
    WebSocketClosed,
    WebSocketEndpoint,
)
from openfl_twisted.testing import CertificateMaker, MemoryNetwork, Peer
from openfl_twisted.tls import HandshakeFailed, Trust
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.rule import AccessRule
from openfl_twisted.wire.websocket.frames import MAX_FRAME


class Transport(StringTransport):
    """
    A transport that records whether it was aborted.
    """

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True

    def getPeer(self) -> Any:
        return "peer"

    def getHost(self) -> Any:
        return "host"


class Direct:
    """
    An endpoint that connects immediately to a L{Transport}.
    """

    def __init__(self) -> None:
        self.transport = Transport()
        self.cancelled = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        Build the factory's protocol, and connect it immediately.
        """
        self.protocol = factory.buildProtocol(None)
        self.protocol.makeConnection(self.transport)
        connected: Deferred[Any] = Deferred()
        connected.callback(self.protocol)
        return connected


class Slow(Direct):
    """
    An endpoint that never connects.
    """

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        Return a Deferred that only counts its cancellation.
        """

        def cancel(_: object) -> None:
            self.cancelled += 1

        return Deferred(cancel)


def frame(opcode: Opcode, payload: bytes = b"", *, fin: bool = True, mask: bool = False) -> bytes:
    """
    Create a frame of the server, which is not masked.
    """
    return Frame(opcode, payload, fin).serialize(mask=mask)


class ClientTestCase(SynchronousTestCase):
    """
    Base class: connects a client to a server of the C{websockets} library.
    """

    def connect(self, url: str = "ws://h:8080/game?a=b") -> Deferred[Any]:
        """
        Send the request to the server.
        """
        self.direct = Direct()
        self.transport = self.direct.transport
        self.inner = Peer()
        endpoint: Any = self.direct
        self.clock = Clock()
        connected = WebSocketEndpoint(endpoint, parse_uri(url), clock=self.clock).connect(
            Factory.forProtocol(lambda: self.inner)
        )
        self.server = ServerProtocol()
        self.server.receive_data(self.transport.value())
        self.transport.clear()
        [request] = self.server.events_received()
        assert isinstance(request, Request)
        self.request = request
        self.server.send_response(self.server.accept(self.request))
        self.response = b"".join(self.server.data_to_send())
        return connected

    def receive(self, data: bytes) -> None:
        """
        Let the client receive data.
        """
        self.direct.protocol.dataReceived(data)

    def open(self) -> None:
        """
        Complete the opening handshake.
        """
        connected = self.connect()
        self.receive(self.response)
        self.assertIs(self.successResultOf(connected), self.inner)

    def sent(self) -> list[Frame]:
        """
        Return the frames that the client has sent.
        """
        self.server.receive_data(self.transport.value())
        self.transport.clear()
        events = self.server.events_received()
        self.assertIsNone(self.server.parser_exc)
        return [event for event in events if isinstance(event, Frame)]


class HandshakeTests(ClientTestCase):
    """
    The opening handshake.
    """

    def test_open(self) -> None:
        """
        The protocol is connected after the response, and receives the data after it.
        """
        connected = self.connect()
        self.assertEqual(self.request.path, "/game?a=b")
        self.assertEqual(self.request.headers["Host"], "h:8080")
        data = self.response + frame(Opcode.BINARY, b"hello")
        self.receive(data[:50])
        self.assertNoResult(connected)
        self.receive(data[50:])
        self.assertIs(self.successResultOf(connected), self.inner)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.inner.segments, [b"hello"])
        self.assertEqual(self.inner.transport.getPeer(), "peer")
        self.assertEqual(self.inner.transport.getHost(), "host")

    def refused(self, response: bytes) -> str:
        """
        Receive a response that refuses the WebSocket.

        @return: the error.
        """
        connected = self.connect()
        self.receive(response)
        self.assertTrue(self.transport.aborted)
        return str(self.failureResultOf(connected, HandshakeRefused).value)

    def test_refused(self) -> None:
        """
        The error contains the status of the response, escaped.
        """
        error = self.refused(b"HTTP/1.1 403 Forbidden\x1b[m\r\nContent-Length: 9\r\n\r\n")
        self.assertEqual(
            error, r"the server has refused the WebSocket: HTTP/1.1 403 Forbidden\x1b[m"
        )
        self.assertIn("refused the WebSocket", self.refused(b"HTTP/1.1 101 x\r\nA: b\r\n\r\n"))
        self.assertIn("refused the WebSocket", self.refused(b"HTTP/1.1 101 x\r\n\0\r\n\r\n"))
        self.assertIn("refused the WebSocket: nonsense", self.refused(b"nonsense\r\n\r\n"))

    def test_tooLong(self) -> None:
        """
        The length of the response is limited.
        """
        self.assertIn("too long", self.refused(b"x" * MAX_RESPONSE))

    def test_lost(self) -> None:
        """
        A connection lost during the handshake is an error.
        """
        connected = self.connect()
        self.direct.protocol.connectionLost()
        self.failureResultOf(connected, HandshakeRefused)

    def test_timeout(self) -> None:
        """
        The server must answer within the timeout.
        """
        connected = self.connect()
        self.receive(self.response[:-1])
        self.clock.advance(19.9)
        self.assertNoResult(connected)
        self.clock.advance(0.1)
        error = self.failureResultOf(connected, HandshakeRefused)
        self.assertEqual(str(error.value), "the server has not answered within 20 seconds")
        self.assertTrue(self.transport.aborted)
        self.receive(self.response[-1:])
        self.assertEqual(self.inner.transport, None)

    def test_cancel(self) -> None:
        """
        Cancelling aborts the connection, or cancels the connection attempt.
        """
        connected = self.connect()
        connected.cancel()
        self.failureResultOf(connected)
        self.assertTrue(self.transport.aborted)
        self.receive(self.response)
        self.direct.protocol.connectionLost()
        self.assertEqual(self.inner.transport, None)
        slow: Any = Slow()
        connected = WebSocketEndpoint(slow, parse_uri("ws://h"), clock=Clock()).connect(Factory())
        connected.cancel()
        self.failureResultOf(connected)
        self.assertEqual(slow.cancelled, 1)


class URLTests(SynchronousTestCase):
    """
    L{WebSocketEndpoint.fromURL}, with a server of this package.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork.forTest(self.addCleanup)

    def behindOnePort(self, server: Any = None, **settings: Any) -> OnePortFactory:
        """
        Create a server with protocol detection.
        """
        factory = server or XMLSocketFactory(EchoProtocol)
        return OnePortFactory(factory, clock=self.network.reactor, **settings)

    def open(self, url: str, **settings: Any) -> Deferred[Any]:
        """
        Start to open a WebSocket.
        """
        endpoint = WebSocketEndpoint.fromURL(self.network.reactor, url, **settings)
        connected = endpoint.connect(XMLSocketFactory(XMLSocketProtocol))
        self.network.flush()
        return connected

    def test_plain(self) -> None:
        """
        The WebSocket has the path of the URL.
        """
        server = XMLSocketFactory(EchoProtocol)
        self.network.reactor.listenTCP(8080, self.behindOnePort(server))
        connected = self.open("ws://localhost:8080/chess?token=1")
        self.successResultOf(connected)
        [connection] = server.connections
        self.assertEqual(connection.transport.requestPath, "/chess?token=1")

    def test_secure(self) -> None:
        """
        The certificate of a C{wss:} server is verified.
        """
        credentials = CertificateMaker().make("trusted")
        server = credentials.serverFactory(self.behindOnePort(), self.network.reactor)
        self.network.reactor.listenTCP(443, server)
        self.successResultOf(self.open("wss://localhost/", trust=credentials.trust))
        self.failureResultOf(
            self.open("wss://localhost/", trust=Trust(platform=False)), HandshakeFailed
        )

    def test_origin(self) -> None:
        """
        The server can refuse the origin.
        """
        policy = PolicyFile((AccessRule("game.example", "8080"),))
        self.network.reactor.listenTCP(8080, self.behindOnePort(policy=policy))
        url = "ws://localhost:8080"
        self.successResultOf(self.open(url, origin="https://game.example"))
        connected = self.open(url, origin="https://other.example")
        error = self.failureResultOf(connected, HandshakeRefused)
        self.assertIn("403 Forbidden", str(error.value))

    def test_invalid(self) -> None:
        """
        The error contains the URL.
        """
        error = self.assertRaises(ValueError, self.open, "http://localhost")
        self.assertIn("'http://localhost' is not a WebSocket URL", str(error))


class FrameTests(ClientTestCase):
    """
    Messages and control frames.
    """

    def test_sendMessages(self) -> None:
        """
        Each write is a binary message, masked, with the shortest header.
        """
        self.open()
        sizes = (1, 125, 126, 65_535, 65_536)
        for size in sizes:
            self.inner.send(b"x" * size)
        self.inner.transport.writeSequence([b"a", b"b"])
        self.inner.send(b"")
        frames = self.sent()
        self.assertEqual([len(each.data) for each in frames], [*sizes, 2])
        self.assertEqual({each.opcode for each in frames}, {Opcode.BINARY})

    @given(st.lists(st.integers(1, 70_000), max_size=5), st.integers(1, 100_000))
    def test_anyPieces(self, sizes: list[int], piece: int) -> None:
        """
        The received data does not depend on how the stream is split.
        """
        self.open()
        data = frame(Opcode.PONG, b"p")
        for size in sizes:
            data += frame(Opcode.BINARY, b"a" * size) + frame(Opcode.TEXT, b"b", fin=False)
            data += frame(Opcode.PING, b"?") + frame(Opcode.CONT, b"c")
        for at in range(0, len(data), piece):
            self.receive(data[at : at + piece])
        self.assertEqual(self.inner.received, b"".join(b"a" * size + b"bc" for size in sizes))
        self.assertEqual(
            [(each.opcode, bytes(each.data)) for each in self.sent()],
            [(Opcode.PONG, b"?")] * len(sizes),
        )

    def test_everyByte(self) -> None:
        """
        Frames can be received byte by byte.
        """
        self.open()
        data = b"".join(frame(Opcode.BINARY, b"a" * size) for size in (1, 126, 0, 66_000))
        for byte in data[:300]:
            self.receive(bytes([byte]))
        self.receive(data[300:])
        self.assertEqual(self.inner.received, b"a" * 66_127)

    def test_faults(self) -> None:
        """
        After a protocol violation, the client sends a Close frame and closes.
        """
        for data, code in [
            (frame(Opcode.BINARY, b"x", mask=True), 1002),
            (frame(Opcode.CONT, b"x"), 1002),
            (b"\x8f\x00", 1002),
            (b"\x82\x7f" + (MAX_FRAME + 1).to_bytes(8), 1009),
        ]:
            self.open()
            self.receive(data + frame(Opcode.BINARY, b"later"))
            [close] = self.sent()
            self.assertEqual(int.from_bytes(close.data[:2]), code)
            self.assertTrue(self.transport.disconnecting)
            self.assertEqual(self.inner.received, b"")

    def test_closedByServer(self) -> None:
        """
        A Close frame is answered. The protocol receives its code and reason.
        """
        for payload, text in [
            ((1001).to_bytes(2), "WebSocket close code 1001"),
            ((1008).to_bytes(2) + b"too\tfast", r"WebSocket close code 1008 (too\tfast)"),
            (b"", "WebSocket close code 1005"),
        ]:
            self.open()
            self.receive(frame(Opcode.CLOSE, payload))
            [close] = self.sent()
            self.assertEqual((close.opcode, bytes(close.data)), (Opcode.CLOSE, payload))
            self.assertTrue(self.transport.disconnecting)
            self.inner.send(b"late")
            self.assertEqual(self.transport.value(), b"")
            self.direct.protocol.connectionLost()
            assert isinstance(self.inner.reason, WebSocketClosed)
            self.assertEqual(str(self.inner.reason), text)

    def test_withoutClose(self) -> None:
        """
        Without a Close frame, the protocol receives the transport's reason.
        """
        self.open()
        self.direct.protocol.connectionLost()
        self.assertIs(type(self.inner.reason), ConnectionDone)

    def test_close(self) -> None:
        """
        The client sends a Close frame, and then drops messages until the server closes.
        """
        self.open()
        self.inner.close()
        self.inner.close()
        self.inner.transport.stopProducing()
        [close] = self.sent()
        self.assertEqual(int.from_bytes(close.data), 1000)
        self.receive(frame(Opcode.BINARY, b"late"))
        self.assertEqual(self.inner.received, b"")
        self.receive(frame(Opcode.CLOSE, (1000).to_bytes(2)))
        self.assertTrue(self.transport.disconnecting)

    def test_transport(self) -> None:
        """
        The client is a transport: it can be aborted and paused, and accepts a producer.
        """
        self.open()
        outer = self.inner.transport
        outer.registerProducer(self.inner, True)
        self.assertIs(self.transport.producer, self.inner)
        outer.unregisterProducer()
        outer.pauseProducing()
        self.assertEqual(self.transport.producerState, "paused")
        outer.resumeProducing()
        self.assertEqual(self.transport.producerState, "producing")
        self.inner.abort()
        self.assertTrue(self.transport.aborted)
