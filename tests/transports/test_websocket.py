"""
Tests for L{openfl_twisted.protocols.websockettransport} and
L{openfl_twisted.protocols.producing}.
"""

import math
import zlib
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from websockets.client import ClientProtocol
from websockets.frames import Frame as ClientFrame
from websockets.uri import parse_uri
from zope.interface import alsoProvides
from zope.interface.verify import verifyObject

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
from openfl_twisted.protocols.websocket import WebSocketFactory, WebSocketProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import CertificateMaker, ConnectedPair, Peer, connectedPair
from openfl_twisted.transports.flowcontrol import PullAdapter
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.receivebuffer import MAX_WORK
from openfl_twisted.wire.websocket.messages import makePing
from tests.doubles import RecordingProducer, TightTransport, linesOf
from tests.frames import (
    BINARY,
    CLOSE,
    CONT,
    PING,
    PONG,
    REQUEST,
    RESPONSE,
    TEXT,
    closing,
    frame,
    framesIn,
    header,
)
from tests.segments import cutStreams
from tests.transports.websocketcase import Inner, WebSocketTestCase

CREDENTIALS = CertificateMaker().make()
CLOSED = (CLOSE, b"\3\xe8")
LEAVING = (CLOSE, b"\3\xe9")

# At least so many bytes are delivered before others are served, and at most a piece more.
TURN = 16 * 1024
PIECE = 1024


class Echo(Inner):
    """
    Writes what it receives.
    """

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        self.transport.write(data)


class Doing(Inner):
    """
    Executes the commands that it receives.
    """

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        for letter in data.decode():
            match letter:
                case "L":
                    self.transport.loseConnection()
                case "A":
                    self.transport.abortConnection()
                case "P":
                    self.transport.pauseProducing()
                case "R":
                    self.transport.resumeProducing()
                case "X":
                    raise ValueError("a fault of the user's")


class TransportTests(WebSocketTestCase):
    """
    A WebSocket can be used like a transport.
    """

    def test_interfaces(self) -> None:
        """
        A WebSocket provides the interfaces of the underlying transport, and preserves
        messages.
        """
        connection, _, _ = self.open()
        for interface in (ITransport, IConsumer, IPushProducer):
            self.assertTrue(verifyObject(interface, connection))
        self.assertFalse(ITCPTransport.providedBy(connection))
        secure = cast("Any", TightTransport())
        alsoProvides(secure, ITCPTransport, ISSLTransport)
        secure.getPeerCertificate = lambda: "a certificate"
        secure.negotiatedProtocol = b"http/1.1"
        wrapper = self.factory().buildProtocol(None)
        wrapper.makeConnection(secure)
        inTLS: Any = wrapper.wrappedProtocol
        self.assertTrue(ISSLTransport.providedBy(inTLS))
        self.assertTrue(ITCPTransport.providedBy(inTLS))
        self.assertEqual(inTLS.getPeerCertificate(), "a certificate")
        self.assertEqual(inTLS.negotiatedProtocol, b"http/1.1")

    def test_addresses(self) -> None:
        """
        The addresses are those of the connection.
        """
        connection, transport, _ = self.open()
        self.assertEqual(connection.getPeer(), transport.getPeer())
        self.assertEqual(connection.getHost(), transport.getHost())

    def test_writes(self) -> None:
        """
        Each write is one binary message; an empty write is none.
        """
        _, transport, inner = self.open()
        inner.transport.write(b"a\0")
        inner.transport.write(b"")
        inner.transport.writeSequence([b"b", b"", b"c\0"])
        inner.transport.writeSequence([])
        inner.transport.writeMessages([b"d\0", b"", b"e\0"])
        inner.transport.writeMessages([b""])
        self.assertEqual(
            [framesIn(written) for written in transport.writes],
            [[(BINARY, b"a\0")], [(BINARY, b"bc\0")], [(BINARY, b"d\0"), (BINARY, b"e\0")]],
        )

    def test_client(self) -> None:
        """
        A client of the C{websockets} library can communicate.
        """
        self.inner = Echo
        client = ClientProtocol(parse_uri("ws://localhost/"))
        client.send_request(client.connect())
        connection, transport = self.connect(self.factory())

        def exchange() -> list[bytes]:
            connection.dataReceived(b"".join(client.data_to_send()))
            transport.drain()
            client.receive_data(transport.delivered)
            transport.delivered = b""
            events = client.events_received()
            return [bytes(event.data) for event in events if isinstance(event, ClientFrame)]

        exchange()
        client.send_text("\N{EURO SIGN}".encode())
        client.send_ping(b"ping")
        self.assertEqual(exchange(), ["\N{EURO SIGN}".encode(), b"ping"])
        inner = connection.wrappedProtocol
        client.send_close(4001, "enough")
        exchange()
        self.assertEqual((connection.closeCode, connection.closeReason), (4001, "enough"))
        self.assertEqual(inner.told[-1], "done")
        assert client.close_rcvd is not None
        self.assertEqual(client.close_rcvd.code, 4001)


def steps() -> st.SearchStrategy[bytes]:
    """
    Generate valid streams of a client.
    """
    return st.lists(
        st.one_of(
            st.binary(max_size=300).map(lambda data: frame(BINARY, data)),
            st.text(st.characters(codec="utf-8")).map(
                lambda text: b"".join(
                    (
                        frame(TEXT, text.encode()[:3], fin=False),
                        frame(PING, b"inside"),
                        frame(CONT, text.encode()[3:]),
                    )
                )
            ),
            st.binary(max_size=125).map(lambda data: frame(PING, data)),
            st.binary(max_size=125).map(lambda data: frame(PONG, data)),
        )
    ).map(lambda frames: b"".join(frames) + closing(1000))


class ReadTests(WebSocketTestCase):
    """
    Receiving.
    """

    @given(cutStreams(steps()))
    def test_anyPieces(self, case: tuple[bytes, list[bytes]]) -> None:
        """
        However the client's stream is split, the protocol receives the same bytes, and
        the client the same answers.
        """
        stream, pieces = case
        self.inner = Echo
        results = []
        for cut in ([stream], pieces):
            self.clock = Clock()
            connection, transport, inner = self.open(room=100_000)
            for piece in cut:
                connection.dataReceived(piece)
            sent = framesIn(transport.drainAll())
            echoed = b"".join(payload for opcode, payload in sent if opcode in (BINARY, TEXT))
            self.assertEqual(echoed, inner.received)
            self.assertEqual(inner.told[-1], "done")
            self.assertTrue(transport.closed)
            others = [item for item in sent if item[0] not in (BINARY, TEXT)]
            self.assertEqual(others[-1], CLOSED)
            results.append((inner.received, others))
        self.assertEqual(results[0], results[1])

    def test_inOrder(self) -> None:
        """
        Payloads are delivered as frames arrive, before their message is complete.
        Payloads that arrive together are delivered together. Pings are answered in
        order.
        """
        self.inner = Echo
        connection, transport, inner = self.open()
        connection.dataReceived(frame(BINARY, b"a", fin=False))
        connection.dataReceived(frame(CONT, b"b", fin=False) + frame(CONT, b"c"))
        connection.dataReceived(frame(PING, b"1") + frame(BINARY, b"d") + frame(PING, b"2"))
        self.assertEqual(inner.told, ["made", b"a", b"bc", b"d"])
        self.assertEqual(
            framesIn(b"".join(transport.writes)),
            [(BINARY, b"a"), (BINARY, b"bc"), (PONG, b"1"), (BINARY, b"d"), (PONG, b"2")],
        )

    def test_manyFragments(self) -> None:
        """
        A message of very many fragments uses constant memory.
        """
        connection, _, inner = self.open()
        connection.dataReceived(frame(TEXT, b"", fin=False))
        for _ in range(50):
            connection.dataReceived(frame(CONT, b"x" * 100, fin=False) * 100)
        self.assertEqual(len(inner.received), 500_000)
        self.assertEqual(len(inner.told), 51)
        self.assertIsNone(connection.receiveBuffer)
        self.assertIsNone(connection._frames._held)

    def test_tooLong(self) -> None:
        """
        Text that is too long closes the connection at its header, with one log line.
        Later data is ignored.
        """
        connection, transport, inner = self.open(maxFrame=1000)
        with capturedLogs() as logs:
            connection.dataReceived(frame(BINARY, b"a") + header(TEXT, 1 << 40))
            connection.dataReceived(b"x" * 100)
        [(opcode, payload)] = framesIn(b"".join(transport.writes))
        self.assertEqual((opcode, payload[:2]), (CLOSE, (1009).to_bytes(2)))
        [line] = linesOf(logs)
        reason = payload[2:].decode()
        self.assertEqual(line, f"192.168.1.1:54321 disconnected: WebSocket error 1009: {reason}")
        self.assertIn("1099511627776", reason)
        transport.drain()
        self.assertTrue(transport.closed)
        self.assertEqual(inner.told, ["made", b"a", "ConnectionLost"])
        self.assertEqual((connection.closeCode, connection.closeReason), (1009, reason))

    def test_compressed(self) -> None:
        """
        Compressed data is processed in small portions, so that one read cannot produce
        much data. Without compression, data is not divided.
        """
        connection, transport = self.connect(self.factory(compress=True))
        connection.dataReceived(REQUEST)
        self.assertIn(b"permessage-deflate", transport.value())
        connection.dataReceived(frame(BINARY, b"x" * 3000))
        self.assertEqual(connection.wrappedProtocol.told, ["made", b"x" * 3000])
        messages = frame(BINARY, b"y" * 700) * 3
        connection.dataReceived(messages)
        self.assertEqual(connection.wrappedProtocol.received[3000:], b"y" * 2100)
        self.assertEqual(len(connection.wrappedProtocol.told), 5)

    def test_fault(self) -> None:
        """
        An exception of the protocol propagates to the reactor, which closes the
        connection. The protocol receives no further data.
        """
        self.inner = Doing
        connection, _, inner = self.open()
        self.assertRaises(ValueError, connection.dataReceived, frame(BINARY, b"X"))
        connection.dataReceived(frame(BINARY, b"a"))
        connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(inner.told, ["made", b"X", "ConnectionLost"])


class PauseTests(WebSocketTestCase):
    """
    Paused protocols.
    """

    inner = Doing

    def test_held(self) -> None:
        """
        Received data is held until the protocol resumes. Reading is paused.
        """
        connection, transport, inner = self.open()
        connection.dataReceived(frame(BINARY, b"P") + frame(PING, b"1") + frame(BINARY, b"b"))
        connection.dataReceived(frame(BINARY, b"P") + frame(BINARY, b"c") + closing(1000))
        connection.dataReceived(frame(BINARY, b"late"))
        self.assertEqual(transport.producerState, "paused")
        self.assertEqual((inner.told, transport.writes), (["made", b"P"], []))
        inner.transport.resumeProducing()
        self.assertEqual(inner.told, ["made", b"P", b"b", b"Pc"])
        self.assertEqual(framesIn(transport.value()), [(PONG, b"1")])
        self.assertEqual(transport.producerState, "paused")
        inner.transport.resumeProducing()
        self.assertEqual(framesIn(transport.value()), [(PONG, b"1"), CLOSED])
        transport.drain()
        self.assertEqual(inner.told[-1], "done")
        inner.transport.pauseProducing()
        inner.transport.resumeProducing()

    def test_resumed(self) -> None:
        """
        Reading resumes when the protocol calls C{resumeProducing}, not before.
        """
        connection, transport, inner = self.open()
        inner.transport.resumeProducing()
        inner.transport.pauseProducing()
        self.assertEqual(transport.producerState, "paused")
        inner.transport.resumeProducing()
        self.assertEqual(transport.producerState, "producing")
        connection.dataReceived(frame(BINARY, b"PR") + frame(PING) + frame(BINARY, b"a"))
        self.assertEqual(transport.producerState, "producing")
        self.assertEqual(inner.told, ["made", b"PR", b"a"])

    def test_beforeClose(self) -> None:
        """
        A protocol that holds data itself gets every message before the Close that
        follows them, also if they are compressed.
        """
        received: list[str] = []

        class Recorder(XMLSocketProtocol):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()

            def messageReceived(self, message: str) -> None:
                received.append(message)

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                super().connectionLost(reason)
                received.append(type(reason.value).__name__)

        for compress in (False, True):
            received.clear()
            wrapped = XMLSocketFactory(Recorder, clock=self.clock)
            factory = WebSocketFactory(wrapped, clock=self.clock, compress=compress)
            connection, transport = self.connect(factory)
            message = deflated if compress else partial(frame, BINARY)
            connection.dataReceived(REQUEST)
            connection.dataReceived(message(b"a\0") + frame(PING) + message(b"b\0"))
            connection.dataReceived(message(b"c\0") + closing(1000))
            connection.wrappedProtocol.transport.resumeProducing()
            transport.drain()
            self.assertEqual(received, ["a", "b", "c", "ConnectionDone"])

    def test_closing(self) -> None:
        """
        A paused connection resumes reading when it closes, to find the peer's Close
        after the dropped data.
        """
        connection, transport, inner = self.open()
        inner.transport.pauseProducing()
        connection.dataReceived(frame(BINARY, b"a") + closing(1000)[:3])
        inner.transport.loseConnection()
        inner.transport.pauseProducing()
        self.assertEqual(transport.producerState, "producing")
        connection.dataReceived(closing(1000)[3:])
        transport.drain()
        self.assertEqual(framesIn(transport.delivered), [CLOSED])
        self.assertEqual(inner.told, ["made", "done"])

    def test_fault(self) -> None:
        """
        An exception while held data is delivered closes the connection, with a log
        line.
        """
        connection, transport, inner = self.open()
        connection.dataReceived(frame(BINARY, b"P"))
        connection.dataReceived(frame(BINARY, b"X"))
        inner.transport.resumeProducing()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertTrue(transport.closed)
        self.assertEqual(inner.told, ["made", b"P", b"X", "ConnectionAborted"])


def deflated(data: bytes) -> bytes:
    """
    Return a compressed message.
    """
    compressor = zlib.compressobj(wbits=-15)
    compressed = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
    return frame(BINARY, compressed.removesuffix(b"\0\0\xff\xff"), rsv=4)


class TurnTests(WebSocketTestCase):
    """
    Small reads that produce much work.
    """

    inner = Doing

    def openCompressed(self) -> tuple[WebSocketProtocol, TightTransport, Inner]:
        """
        Connect a client that uses compression.
        """
        factory = self.factory(compress=True, pingInterval=0)
        connection, transport = self.connect(factory)
        connection.dataReceived(REQUEST)
        transport.drain()
        transport.writes.clear()
        return connection, transport, cast("Inner", connection.wrappedProtocol)

    def test_turns(self) -> None:
        """
        After each part of a large message, other connections are served; in the
        meantime, reading is paused.
        """
        data = bytes(1_000_000)
        for message in (deflated(data), frame(BINARY, data)):
            connection, transport, inner = self.openCompressed()
            seen: list[tuple[int, str]] = []

            def look(transport: TightTransport, inner: Inner, seen: list[tuple[int, str]]) -> None:
                seen.append((len(inner.received), transport.producerState))
                if len(seen) < 50:
                    self.clock.callLater(0, look, transport, inner, seen)

            look(transport, inner, seen)
            connection.dataReceived(message)
            self.clock.advance(0)
            self.assertEqual(seen[0], (0, "producing"))
            # In every other iteration, others are served.
            for (before, _), (after, state) in pairwise(seen[::2]):
                self.assertIn(after - before, range(TURN - PIECE, TURN + PIECE))
                self.assertEqual(state, "paused")
            self.assertEqual(inner.received, data)
            self.assertEqual(transport.producerState, "producing")
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_manyFrames(self) -> None:
        """
        With compression, too, other connections are served after a few hundred control
        frames.
        """
        connection, transport, _ = self.openCompressed()
        transport.delivered = b""
        transport.room = 1 << 20
        connection.dataReceived(frame(PING) * 5000)
        transport.drain()
        self.assertLess(len(framesIn(transport.delivered)), 600)
        self.clock.advance(0)
        transport.drain()
        self.assertEqual(len(framesIn(transport.delivered)), 5000)

    def test_countedByProtocol(self) -> None:
        """
        Other connections are served first, too, if the protocol counts its work itself,
        starting at zero with each call.
        """

        class Counting(StreamProtocol):
            received = 0

            def bytesReceived(self, data: bytes) -> None:
                self.received += len(data)

        wrapped = StreamFactory(Counting)
        factory = WebSocketFactory(wrapped, clock=self.clock, compress=True, pingInterval=0)
        connection, _ = self.connect(factory)
        connection.dataReceived(REQUEST)
        protocol = connection.wrappedProtocol
        connection.dataReceived(deflated(bytes(1_000_000)))
        self.assertIn(protocol.received, range(TURN - PIECE, TURN + PIECE))
        self.clock.pump([0] * 200)
        self.assertEqual(protocol.received, 1_000_000)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_plain(self) -> None:
        """
        Without compression, parts are as long as reads.
        """
        connection, transport, inner = self.open(pingInterval=0)
        connection.dataReceived(frame(BINARY, b" " * 65537))
        self.assertEqual((len(inner.received), transport.producerState), (65536, "paused"))
        self.clock.advance(0)
        self.assertEqual((len(inner.received), transport.producerState), (65537, "producing"))

    def test_inOrder(self) -> None:
        """
        Data received while others are served, as from a TLS transport, is delivered in
        order; C{resumeProducing} does not deliver it earlier.
        """
        connection, transport, inner = self.openCompressed()
        connection.dataReceived(deflated(b" " * 20_000) + frame(PING, b"1"))
        connection.dataReceived(frame(BINARY, b"abc") + frame(PING, b"2"))
        inner.transport.pauseProducing()
        inner.transport.resumeProducing()
        self.assertEqual((len(inner.received), transport.producerState), (TURN, "paused"))
        inner.transport.pauseProducing()
        self.clock.advance(0)
        self.assertEqual((len(inner.received), transport.producerState), (TURN, "paused"))
        inner.transport.resumeProducing()
        self.assertEqual(inner.received, b" " * 20_000 + b"abc")
        self.assertEqual(framesIn(transport.value()), [(PONG, b"1"), (PONG, b"2")])
        self.assertEqual(transport.producerState, "producing")

    def test_lostMeanwhile(self) -> None:
        """
        If the connection is lost while others are served, all received data is
        delivered, including a Close.
        """
        for close, told in [(closing(1000), "done"), (b"", "ConnectionLost")]:
            connection, transport, inner = self.openCompressed()
            connection.dataReceived(deflated(b" " * 200_000) + frame(PING) + close)
            connection.connectionLost(Failure(ConnectionDone()))
            self.assertEqual((len(inner.received), inner.told[-1]), (TURN, b" " * TURN))
            self.clock.pump([0] * 3)
            self.assertEqual((len(inner.received), inner.told[-1]), (200_000, told))
            self.assertEqual(transport.writes, [])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abortedMeanwhile(self) -> None:
        """
        If this side aborts the connection in the meantime, no further data is
        delivered.
        """
        connection, _, inner = self.openCompressed()
        connection.dataReceived(deflated(b" " * 200_000))
        inner.transport.abortConnection()
        self.assertEqual((len(inner.received), inner.told[-1]), (TURN, "ConnectionAborted"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedMeanwhile(self) -> None:
        """
        If this side closes the connection, the peer's Close is still found, unless very
        much compressed data precedes it.
        """
        random = Random(1).randbytes(20_000)
        for data, code in [(b" " * 200_000, 1000), (random, 1006)]:
            connection, transport, inner = self.openCompressed()
            inner.transport.pauseProducing()
            connection.dataReceived(deflated(data) + closing(1000))
            inner.transport.loseConnection()
            transport.drain()
            self.assertTrue(transport.closed)
            self.assertEqual((connection.closeCode, inner.received), (code, b""))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fault(self) -> None:
        """
        An exception in a later turn aborts the connection, with a log line.
        """
        connection, transport, inner = self.openCompressed()
        connection.dataReceived(deflated(b" " * TURN + b"X"))
        self.clock.advance(0)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertTrue(transport.closed)
        self.assertEqual(inner.told[-1], "ConnectionAborted")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lostDuringTurn(self) -> None:
        """
        If the connection is lost while the wrapped protocol handles many messages, the
        remaining messages and the Close are delivered, too.
        """
        received: list[str] = []
        told: list[object] = []

        class Recorder(XMLSocketProtocol):
            def messageReceived(self, message: str) -> None:
                received.append(message)

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                super().connectionLost(reason)
                told.append(reason.type)

        wrapped = XMLSocketFactory(Recorder, clock=self.clock)
        connection, _ = self.connect(WebSocketFactory(wrapped, clock=self.clock))
        connection.dataReceived(REQUEST)
        many = frame(BINARY, b"a\0" * (MAX_WORK + 1))
        connection.dataReceived(many + frame(PING) + frame(BINARY, b"b\0") + closing(1000))
        connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((received, told), (["a"] * MAX_WORK, []))
        self.clock.advance(0)
        self.assertEqual((received[MAX_WORK:], told), (["a", "b"], [ConnectionDone]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lists(self) -> None:
        """
        Messages that are handled as lists count as well, if pings separate the lists.
        """
        received: list[str] = []

        class Recorder(XMLSocketProtocol):
            def messagesReceived(self, messages: list[str]) -> None:
                received.extend(messages)

        wrapped = XMLSocketFactory(Recorder, clock=self.clock)
        connection, _ = self.connect(WebSocketFactory(wrapped, clock=self.clock))
        connection.dataReceived(REQUEST)
        connection.dataReceived((frame(BINARY, b"a\0" * 200) + frame(PING)) * 10)
        self.assertIn(len(received), range(MAX_WORK, MAX_WORK + 200))
        self.clock.advance(0)
        self.assertEqual(received, ["a"] * 2000)


class HeldTests(WebSocketTestCase):
    """
    Connections that are lost before the protocol has received all data.
    """

    inner: type[Inner] = Doing

    def hold(self, *frames: bytes) -> tuple[WebSocketProtocol, TightTransport, Inner]:
        """
        Pause a protocol, and lose the connection with undelivered data.
        """
        connection, transport, inner = self.open()
        connection.dataReceived(frame(BINARY, b"P"))
        connection.dataReceived(b"".join(frames))
        connection.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(inner.told, ["made", b"P"])
        return connection, transport, inner

    def test_given(self) -> None:
        """
        A protocol that resumes receives the held data, and then the end: a clean one if
        a valid Close was received.
        """
        for last, code, told in [
            (closing(4000), 4000, "done"),
            (b"", 1006, "ConnectionLost"),
            (frame(3), 1002, "ConnectionLost"),
        ]:
            connection, transport, inner = self.hold(frame(BINARY, b"a"), frame(PING), last)
            self.assertIsNone(connection.closeCode)
            self.clock.advance(29)
            with capturedLogs() as logs:
                inner.transport.resumeProducing()
            self.assertEqual(inner.told, ["made", b"P", b"a", told])
            self.assertEqual((connection.closeCode, len(logs)), (code, code == 1002))
            self.assertEqual((transport.writes, transport.producerState), ([], "paused"))
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pausedAgain(self) -> None:
        """
        The protocol may pause again.
        """
        _, _, inner = self.hold(frame(BINARY, b"P"), frame(PING), frame(BINARY, b"b"))
        inner.transport.resumeProducing()
        self.assertEqual(inner.told, ["made", b"P", b"P"])
        inner.transport.resumeProducing()
        self.assertEqual(inner.told, ["made", b"P", b"P", b"b", "ConnectionLost"])

    def test_notRead(self) -> None:
        """
        If the protocol does not resume, it is notified after a timeout, with one log
        line.
        """
        _, _, inner = self.hold(frame(BINARY, b"a"), closing(1000))
        self.clock.advance(29)
        with capturedLogs() as logs:
            self.clock.advance(1)
        self.assertEqual(inner.told, ["made", b"P", "ConnectionLost"])
        self.assertEqual(
            linesOf(logs),
            ["192.168.1.1:54321 closed: the application left data unread for 30 s"],
        )
        inner.transport.resumeProducing()
        self.assertEqual(inner.told, ["made", b"P", "ConnectionLost"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ended(self) -> None:
        """
        If the protocol closes the connection, it is notified in the next reactor
        iteration.
        """
        for end in ("loseConnection", "abortConnection", "stopProducing"):
            _, transport, inner = self.hold(frame(BINARY, b"a"))
            getattr(inner.transport, end)()
            inner.transport.resumeProducing()
            self.assertEqual(inner.told, ["made", b"P"])
            self.clock.advance(0)
            self.assertEqual(inner.told, ["made", b"P", "ConnectionLost"])
            getattr(inner.transport, end)()
            self.assertFalse(transport.disconnecting or transport.closed)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_endedInRead(self) -> None:
        """
        If the protocol closes the connection in a read, it receives no further data.
        """
        for letter in (b"A", b"L"):
            _, _, inner = self.hold(frame(BINARY, letter), frame(PING), frame(BINARY, b"b"))
            inner.transport.resumeProducing()
            self.clock.advance(0)
            self.assertEqual(inner.told, ["made", b"P", letter, "ConnectionLost"])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_writes(self) -> None:
        """
        Writes are dropped then, and producers are stopped.
        """
        connection, transport, inner = self.open()
        producer, late = RecordingProducer(), RecordingProducer()
        inner.transport.registerProducer(producer, True)
        connection.dataReceived(frame(BINARY, b"P"))
        connection.dataReceived(frame(BINARY, b"a"))
        connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(producer.told, ["stop"])
        inner.transport.write(b"late")
        inner.transport.registerProducer(late, True)
        self.assertEqual((transport.writes, late.told), ([], ["stop"]))
        inner.transport.resumeProducing()
        self.assertEqual(inner.told[-1], "ConnectionLost")

    def test_fault(self) -> None:
        """
        An exception while held data is delivered ends the connection, with a log line.
        """
        _, _, inner = self.hold(frame(BINARY, b"X"), frame(PING), frame(BINARY, b"b"))
        inner.transport.resumeProducing()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.clock.advance(0)
        self.assertEqual(inner.told, ["made", b"P", b"X", "ConnectionLost"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closing(self) -> None:
        """
        If this side was closing the connection, only a Close matters: the connection
        ends immediately.
        """
        for last, told in [(closing(1000), "done"), (b"", "ConnectionLost")]:
            connection, _, inner = self.open()
            inner.transport.registerProducer(RecordingProducer(), True)
            inner.transport.loseConnection()
            inner.transport.pauseProducing()
            connection.dataReceived(frame(BINARY, b"a") + last)
            connection.connectionLost(Failure(ConnectionLost()))
            self.assertEqual(inner.told, ["made", told])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothingHeld(self) -> None:
        """
        A paused protocol without undelivered data is notified immediately.
        """
        connection, _, inner = self.open()
        inner.transport.pauseProducing()
        connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(inner.told, ["made", "ConnectionLost"])

    def test_lostInRead(self) -> None:
        """
        A connection whose underlying transport is aborted during a read ends
        immediately.
        """

        class Losing(Inner):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.transport.abortConnection()

        self.inner = Losing
        for more, told in (
            (frame(PING) + frame(BINARY, b"b"), [b"a"]),
            (frame(BINARY, b"b"), [b"ab"]),
            (b"", [b"a"]),
        ):
            connection, _, inner = self.open()
            connection.dataReceived(frame(BINARY, b"a") + more)
            self.assertEqual(inner.told, ["made", *told, "ConnectionAborted"])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_moreInRead(self) -> None:
        """
        Data received during a read, as from TLS, is delivered after the data being
        delivered.
        """

        class Reading(Inner):
            def dataReceived(self, data: bytes) -> None:
                if data == b"a":
                    self.transport.dataReceived(frame(BINARY, b"b") + frame(PING))
                    self.transport.dataReceived(frame(BINARY, b"c"))
                super().dataReceived(data)

        self.inner = Reading
        connection, transport, inner = self.open()
        connection.dataReceived(frame(BINARY, b"a"))
        self.assertEqual(inner.told, ["made", b"a", b"b", b"c"])
        self.assertEqual(framesIn(transport.value()), [(PONG, b"")])

    @given(
        cutStreams(steps()),
        st.lists(st.sampled_from(["pause", "resume", "turn"])),
        st.booleans(),
    )
    def test_nothingIsLost(
        self, case: tuple[bytes, list[bytes]], deeds: list[str], compress: bool
    ) -> None:
        """
        However the stream is split and whenever the protocol reads, it receives all
        data and a clean end, although the connection is lost after the last byte.
        """
        stream, pieces = case
        self.inner = Inner
        self.clock = Clock()
        connection, _, other = self.open()
        connection.dataReceived(stream)
        self.clock = Clock()
        factory = self.factory(compress=compress)
        connection, _ = self.connect(factory, 100_000)
        connection.dataReceived(REQUEST)
        inner = connection.wrappedProtocol
        do = {
            "pause": inner.transport.pauseProducing,
            "resume": inner.transport.resumeProducing,
            "turn": lambda: self.clock.advance(0),
        }
        for number, piece in enumerate(pieces):
            if number < len(deeds):
                do[deeds[number]]()
            connection.dataReceived(piece)
        connection.connectionLost(Failure(ConnectionLost()))
        inner.transport.resumeProducing()
        self.clock.pump([0] * 10)
        self.assertEqual((inner.received, inner.told[-1]), (other.received, "done"))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FloodTests(WebSocketTestCase):
    """
    Pings of a peer that does not read.
    """

    def test_lastPing(self) -> None:
        """
        While the send queue is full, only the last ping is answered, when it is empty.
        """
        connection, transport, _ = self.open(room=10)
        connection.dataReceived(frame(PING, b"x" * 20))
        for number in range(1000):
            connection.dataReceived(frame(PING, b"-") * 100 + frame(PING, b"%d" % number))
        self.assertEqual(len(transport.writes), 1)
        transport.drain()
        self.assertEqual(
            framesIn(transport.delivered + transport.value()),
            [(PONG, b"x" * 20), (PONG, b"999")],
        )
        transport.drain()
        connection.dataReceived(frame(PING, b"again"))
        self.assertEqual(framesIn(transport.value()), [(PONG, b"again")])

    def test_turns(self) -> None:
        """
        Very many small control frames and fragments are processed over several reactor
        iterations, in order; in the meantime, reading is paused.
        """
        fragments = frame(CONT, b"a", fin=False) * 999 + frame(CONT, b"b")
        cases = [
            (frame(BINARY, b"a", fin=False) + fragments, b"a" * 1000 + b"b", 0),
            (frame(PING, b"p") * 1000 + frame(BINARY, b"b"), b"b", 1000),
            (frame(PONG) * 1000 + frame(BINARY, b"b"), b"b", 0),
        ]
        for stream, payload, pongs in cases:
            connection, transport, inner = self.open(room=1 << 20)
            iterations: list[str] = []

            def look(transport: TightTransport, iterations: list[str]) -> None:
                iterations.append(transport.producerState)
                if len(iterations) < 4:
                    self.clock.callLater(0, look, transport, iterations)

            look(transport, iterations)
            connection.dataReceived(stream)
            self.assertLess(len(inner.received), len(payload))
            self.clock.advance(0)
            self.assertEqual(iterations[1:3], ["paused", "paused"])
            self.assertEqual(inner.received, payload)
            self.assertEqual(transport.producerState, "producing")
            sent = framesIn(transport.delivered + transport.value())
            self.assertEqual(sent, [(PONG, b"p")] * pongs)

    def test_afterClose(self) -> None:
        """
        No ping is answered after a Close.
        """
        connection, transport, inner = self.open(room=10)
        inner.transport.write(b"x" * 20)
        connection.dataReceived(frame(PING, b"1"))
        inner.transport.loseConnection()
        transport.drain()
        connection.dataReceived(frame(PING, b"2"))
        self.assertEqual(
            framesIn(transport.delivered + transport.value()), [(BINARY, b"x" * 20), CLOSED]
        )


class ProducerTests(WebSocketTestCase):
    """
    Producers.
    """

    def test_push(self) -> None:
        """
        A push producer is paused while the send queue is full, also if it is registered
        then.
        """
        _, transport, inner = self.open(room=10)
        producer = RecordingProducer()
        inner.transport.registerProducer(producer, True)
        self.assertRaises(RuntimeError, inner.transport.registerProducer, producer, True)
        inner.transport.write(b"x" * 20)
        self.assertEqual(producer.told, ["pause"])
        transport.drain()
        self.assertEqual(producer.told, ["pause", "resume"])
        inner.transport.unregisterProducer()
        inner.transport.write(b"x" * 20)
        inner.transport.registerProducer(producer, True)
        self.assertEqual(producer.told, ["pause", "resume", "pause"])
        transport.drain()
        transport.abortConnection()
        self.assertEqual(producer.told, ["pause", "resume", "pause", "resume", "stop"])

    def test_lost(self) -> None:
        """
        A producer is stopped when the connection is lost, even if the transport does
        not stop its own producer.
        """
        connection, _, inner = self.open()
        producer = RecordingProducer()
        inner.transport.registerProducer(producer, True)
        connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(producer.told, ["stop"])

    def test_fullAgain(self) -> None:
        """
        The transport keeps its producer if the producer fills it again.
        """
        _, transport, inner = self.open(room=10)

        class Filling(RecordingProducer):
            def resumeProducing(self) -> None:
                inner.transport.write(b"y" * 20)

        inner.transport.registerProducer(Filling(), True)
        inner.transport.write(b"x" * 20)
        before = transport.producer
        transport.drain()
        self.assertIs(transport.producer, before)

    def test_pull(self) -> None:
        """
        A pull producer is called when the send queue is empty. A ping is answered then.
        """
        connection, transport, inner = self.open(room=10)
        rest = [b"one", b"two"]

        class Pulled(RecordingProducer):
            def resumeProducing(self) -> None:
                if rest:
                    inner.transport.write(rest.pop(0))
                else:
                    inner.transport.unregisterProducer()

        inner.transport.registerProducer(Pulled(), False)
        self.assertIsInstance(transport.producer, PullAdapter)
        connection.dataReceived(frame(PING, b"1"))
        self.assertEqual(framesIn(transport.value()), [(PONG, b"1")])
        transport.drain()
        self.assertEqual(framesIn(transport.value()), [(BINARY, b"one")])
        connection.dataReceived(frame(PING, b"2"))
        self.assertEqual(len(transport.writes), 3)
        inner.transport.loseConnection()
        transport.drain()
        transport.drain()
        transport.drain()
        self.assertEqual(
            framesIn(transport.delivered),
            [(PONG, b"1"), (BINARY, b"one"), (PONG, b"2"), (BINARY, b"two"), CLOSED],
        )

    def test_pullTakenBack(self) -> None:
        """
        A ping that waits for a pull producer is answered when the producer is
        unregistered.
        """
        connection, transport, inner = self.open()
        inner.transport.registerProducer(RecordingProducer(), False)
        connection.dataReceived(frame(PING, b"1"))
        inner.transport.unregisterProducer()
        self.assertEqual(framesIn(transport.value()), [(PONG, b"1")])

    def test_late(self) -> None:
        """
        A producer registered after the end of the connection is stopped.
        """
        for streaming in (True, False):
            connection, transport, inner = self.open()
            producer, late = RecordingProducer(), RecordingProducer()
            inner.transport.registerProducer(producer, streaming)
            connection.dataReceived(closing(1000))
            self.assertEqual(producer.told[-1], "stop")
            inner.transport.registerProducer(late, streaming)
            inner.transport.unregisterProducer()
            self.assertEqual(late.told, ["stop"])
            transport.drain()
            self.assertTrue(transport.closed)
            self.assertEqual(inner.told, ["made", "done"])

    def test_closingWhilePulling(self) -> None:
        """
        While a pull producer delays the Close, no data is delivered to the protocol,
        and all writes are accepted.
        """
        connection, transport, inner = self.open()
        inner.transport.registerProducer(RecordingProducer(), False)
        inner.transport.loseConnection()
        inner.transport.write(b"beside")
        connection.dataReceived(frame(BINARY, b"late"))
        connection.dataReceived(frame(PING) + frame(BINARY, b"later"))
        inner.transport.unregisterProducer()
        inner.transport.write(b"ignored")
        connection.dataReceived(frame(BINARY, b"last") + closing(1000))
        transport.drain()
        self.assertEqual(framesIn(transport.delivered), [(BINARY, b"beside"), (PONG, b""), CLOSED])
        self.assertEqual(inner.told, ["made", "done"])

    def test_lostWhilePulling(self) -> None:
        """
        Unregistering a pull producer when the transport is lost does not affect the
        transport.
        """
        connection, transport, inner = self.open()

        class Pulled(RecordingProducer):
            def stopProducing(self) -> None:
                super().stopProducing()
                inner.transport.unregisterProducer()

        producer = Pulled()
        inner.transport.registerProducer(producer, False)
        transport.abortConnection()
        self.assertEqual(producer.told, ["stop"])
        self.assertIsNone(connection.wrappedProtocol)


class CloseTests(WebSocketTestCase):
    """
    Closing handshakes.
    """

    inner = Doing

    def test_bySelf(self) -> None:
        """
        A Close is sent after the written data, and nothing after it. The peer's Close
        is awaited, and earlier data is dropped.
        """
        for close in ("loseConnection", "loseWriteConnection", "stopProducing"):
            connection, transport, inner = self.open()
            inner.transport.write(b"a")
            getattr(inner.transport, close)()
            inner.transport.write(b"b")
            inner.transport.loseConnection()
            self.assertTrue(inner.transport.disconnecting)
            self.assertFalse(transport.disconnecting)
            connection.dataReceived(frame(BINARY, b"c"))
            connection.dataReceived(closing(1000, b"bye"))
            transport.drain()
            self.assertEqual(framesIn(transport.delivered), [(BINARY, b"a"), CLOSED])
            self.assertEqual(inner.told, ["made", "done"])
            self.assertEqual((connection.closeCode, connection.closeReason), (1000, "bye"))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_inARead(self) -> None:
        """
        No data is delivered after the protocol has closed the connection in a read.
        """
        connection, transport, inner = self.open()
        connection.dataReceived(frame(BINARY, b"L") + frame(PING) + frame(BINARY, b"a"))
        self.assertEqual(inner.told, ["made", b"L"])
        self.assertEqual(framesIn(transport.value()), [CLOSED])

    def test_both(self) -> None:
        """
        If the protocol closes before the peer's Close is processed, the peer gets one
        Close, that of this side, however the stream is split. So it is if a violation
        follows instead.
        """
        for rest, end, code in (
            (closing(4000), "done", 4000),
            (frame(3), "ConnectionLost", 1006),
        ):
            data = frame(BINARY, b"L") + rest
            for at in range(7, len(data) + 1):
                with self.subTest(rest=rest, at=at):
                    connection, transport, inner = self.open()
                    inner.transport.setCloseReason(1008, "reason")
                    connection.dataReceived(data[:at])
                    connection.dataReceived(data[at:])
                    transport.drain()
                    self.assertEqual(
                        framesIn(transport.delivered), [(CLOSE, (1008).to_bytes(2) + b"reason")]
                    )
                    self.assertEqual(inner.told, ["made", b"L", end])
                    self.assertEqual(connection.closeCode, code)

    def test_unanswered(self) -> None:
        """
        A peer that sends no Close is disconnected after C{closeTimeout}; if it does not
        close the connection, it is aborted.
        """
        for stubborn in (False, True):
            connection, transport, inner = self.open(closeTimeout=3)
            inner.transport.loseConnection()
            if not stubborn:
                transport.drain()
            self.clock.advance(2.9)
            self.assertFalse(transport.disconnecting)
            self.clock.advance(0.1)
            self.assertTrue(transport.disconnecting)
            connection.dataReceived(closing(1000))
            with capturedLogs() as logs:
                self.clock.advance(30)
            self.assertTrue(transport.closed)
            self.assertEqual(len(logs), stubborn)
            self.assertEqual(connection.closeCode, 1006)
            self.assertEqual(
                inner.told, ["made", "ConnectionAborted" if stubborn else "ConnectionLost"]
            )

    def test_unread(self) -> None:
        """
        The peer has a limited time to read the data written before the Close; then the
        connection is aborted.
        """
        _, transport, inner = self.open(room=10)
        inner.transport.registerProducer(RecordingProducer(), True)
        inner.transport.write(b"x" * 20)
        inner.transport.loseConnection()
        self.assertEqual(len(transport.writes), 2)
        with capturedLogs() as logs:
            self.clock.pump([5] * 5 + [4.9])
            self.assertFalse(transport.closed)
            self.clock.advance(0.1)
        self.assertTrue(transport.closed)
        self.assertEqual(linesOf(logs), ["192.168.1.1:54321 aborted: close timed out"])

    def test_slow(self) -> None:
        """
        A slow peer has C{closeTimeout} to answer the Close after it has read all data.
        """
        for seconds, told in ((2.9, "done"), (3, "ConnectionLost")):
            connection, transport, inner = self.open(room=10, closeTimeout=3)
            inner.transport.write(b"x" * 20)
            inner.transport.loseConnection()
            self.clock.pump([2] * 10)
            self.assertFalse(transport.disconnecting)
            transport.drain()
            self.clock.advance(seconds)
            connection.dataReceived(closing(1000))
            transport.drain()
            self.assertEqual(inner.told, ["made", told])
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_byThePeer(self) -> None:
        """
        A Close of the peer is answered, and the connection ends cleanly, whatever the
        code.
        """
        for code in (1000, 1001, 4001):
            connection, transport, inner = self.open()
            connection.dataReceived(frame(BINARY, b"a") + closing(code, b"why"))
            inner.transport.write(b"late")
            connection.dataReceived(frame(BINARY, b"b"))
            inner.transport.loseConnection()
            transport.drain()
            self.assertEqual(framesIn(transport.delivered), [(CLOSE, code.to_bytes(2) + b"why")])
            self.assertEqual(inner.told, ["made", b"a", "done"])
            self.assertEqual((connection.closeCode, connection.closeReason), (code, "why"))

    def test_emptyClose(self) -> None:
        """
        A Close without a code, as OpenFL and Ruffle send it, is answered without a
        code, and C{closeCode} is 1005.
        """
        connection, transport, inner = self.open()
        connection.dataReceived(frame(CLOSE))
        transport.drain()
        self.assertEqual(framesIn(transport.delivered), [(CLOSE, b"")])
        self.assertEqual((connection.closeCode, inner.told[-1]), (1005, "done"))

    def test_withoutAClose(self) -> None:
        """
        A connection that ends without a Close is reported as lost; other reasons are
        unchanged.
        """
        for reason, told in [
            (ConnectionDone(), "ConnectionLost"),
            (ConnectionLost(), "ConnectionLost"),
            (ConnectionAborted(), "ConnectionAborted"),
        ]:
            connection, _, inner = self.open()
            self.assertIsNone(connection.closeCode)
            connection.connectionLost(Failure(reason))
            self.assertEqual(connection.closeCode, 1006)
            inner.transport.write(b"late")
            inner.transport.loseConnection()
            inner.transport.abortConnection()
            self.assertEqual(inner.told, ["made", told])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closeReason(self) -> None:
        """
        The Close contains the code and reason of C{setCloseReason}.
        """
        _, transport, inner = self.open()
        inner.transport.setCloseReason(4000, "enough")
        inner.transport.loseConnection()
        self.assertEqual(framesIn(transport.value()), [(CLOSE, b"\x0f\xa0enough")])

    def test_reset(self) -> None:
        """
        After both Closes, the reason why the underlying connection is lost does not
        matter.
        """
        connection, _, inner = self.open()
        connection.dataReceived(closing(1000))
        connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(inner.told, ["made", "done"])

    def test_abort(self) -> None:
        """
        An aborted connection ends immediately, without a Close.
        """
        connection, transport, inner = self.open()
        connection.dataReceived(frame(BINARY, b"A") + frame(BINARY, b"b") + frame(PING))
        self.assertEqual(transport.writes, [])
        self.assertEqual(inner.told, ["made", b"Ab", "ConnectionAborted"])

    def test_faultAfterClose(self) -> None:
        """
        A protocol violation of the peer after this side's Close ends the connection
        without another Close.
        """
        connection, transport, inner = self.open()
        inner.transport.loseConnection()
        with capturedLogs() as logs:
            connection.dataReceived(frame(3))
        self.assertEqual(
            linesOf(logs), ["192.168.1.1:54321 disconnected: WebSocket error 1006: invalid opcode"]
        )
        transport.drain()
        self.assertEqual(framesIn(transport.delivered), [CLOSED])
        self.assertEqual(inner.told, ["made", "ConnectionLost"])


class QueueTests(WebSocketTestCase):
    """
    WebSockets with a send queue and a guard.
    """

    def setUp(self) -> None:
        """
        Create a server that echoes messages to a slow client.
        """
        super().setUp()
        self.xml = XMLSocketFactory(EchoProtocol, maxQueue=10_000)
        self.guard = GuardFactory(WebSocketFactory(self.xml, clock=self.clock), clock=self.clock)
        self.guarded = self.guard.buildProtocol(None)
        self.transport = TightTransport(self.guarded, 500)
        self.guarded.makeConnection(self.transport)
        self.guarded.dataReceived(REQUEST)
        self.transport.drain()
        self.transport.delivered = b""
        [self.protocol] = self.xml.connections

    def write(self) -> list[tuple[int, bytes]]:
        """
        Write more messages than the transport accepts.
        """
        messages = [str(number) * 300 for number in range(6)]
        for message in messages:
            self.protocol.sendMessage(message)
        self.assertGreater(self.protocol.transport.pending, 0)
        return [(BINARY, message.encode() + b"\0") for message in messages]

    def test_tail(self) -> None:
        """
        Held messages arrive before the Close, each as one message.
        """
        expected = self.write()
        self.protocol.transport.loseConnection()
        self.assertEqual(framesIn(self.transport.drainAll()), [*expected, CLOSED])
        self.assertFalse(self.transport.closed)
        self.guarded.dataReceived(closing(1000))
        self.assertTrue(self.transport.closed)
        self.assertEqual(self.xml.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedBelow(self) -> None:
        """
        If the underlying connection is closed gracefully, held messages and a Close are
        sent, too.
        """
        expected = self.write()
        self.guard.closeAll(20)
        self.assertEqual(framesIn(self.transport.drainAll()), [*expected, LEAVING])
        self.assertFalse(self.transport.closed)
        self.guarded.dataReceived(closing(1001))
        self.assertTrue(self.transport.closed)
        self.assertEqual(self.xml.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedBelowLate(self) -> None:
        """
        If the underlying connection is closed gracefully while the peer's Close is
        awaited, the WebSocket stops waiting.
        """
        self.protocol.transport.loseConnection()
        self.transport.drain()
        self.guard.closeAll(20)
        self.assertTrue(self.transport.closed)
        self.assertEqual(framesIn(self.transport.delivered), [CLOSED])

    def test_pullProducerClosedBelow(self) -> None:
        """
        If the underlying connection is closed gracefully with a registered pull
        producer, its data is sent before the Close.
        """
        queue = self.protocol.transport
        rest = ["one", "two"]
        protocol = self.protocol

        class Pulled(RecordingProducer):
            def resumeProducing(self) -> None:
                if rest:
                    protocol.sendMessage(rest.pop(0))
                else:
                    queue.unregisterProducer()

        queue.unregisterProducer()
        queue.registerProducer(Pulled(), False)  # type: ignore[arg-type]
        self.guard.closeAll(20)
        for _ in range(5):
            self.transport.drain()
        self.assertEqual(
            framesIn(self.transport.delivered), [(BINARY, b"one\0"), (BINARY, b"two\0"), LEAVING]
        )
        self.guarded.dataReceived(closing(1001))
        self.assertTrue(self.transport.closed)

    @given(
        st.lists(st.binary(max_size=40).map(bytes.hex) | st.sampled_from(["drain", "ping"])),
        st.integers(0, 200),
        st.sampled_from(["protocol", "beneath"]),
        st.booleans(),
    )
    def test_everythingInOrder(
        self, steps: list[str], room: int, closer: str, atOnce: bool
    ) -> None:
        """
        Whenever the client reads and whichever side closes, it receives each message in
        order, and then a Close.
        """
        self.setUp()
        self.transport.room = room
        self.transport.atOnce = atOnce
        expected = []
        for step in steps:
            if step == "drain":
                self.transport.drain()
            elif step == "ping":
                self.guarded.dataReceived(frame(PING))
            else:
                self.protocol.sendMessage(step)
                expected.append((BINARY, step.encode() + b"\0"))
        if closer == "protocol":
            self.protocol.transport.loseConnection()
        else:
            self.guard.closeAll(20)
        sent = framesIn(self.transport.drainAll())
        last = CLOSED if closer == "protocol" else LEAVING
        self.assertEqual([item for item in sent if item[0] != PONG], [*expected, last])
        self.guarded.dataReceived(closing(1000))
        self.transport.drain()
        self.assertTrue(self.transport.closed)
        self.assertEqual(self.xml.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cutOff(self) -> None:
        """
        A client that does not read is disconnected, as on any connection.
        """
        with capturedLogs() as logs:
            for _ in range(50):
                self.protocol.sendMessage("x" * 300)
        self.assertTrue(self.transport.closed)
        self.assertIn("disconnected: send queue exceeded", linesOf(logs)[0])

    def test_readingIsPaused(self) -> None:
        """
        While a client does not read its echoes, nothing is read from it; all messages
        arrive when it reads.
        """
        message = b"x" * 400 + b"\0"
        for _ in range(3):
            self.guarded.dataReceived(frame(BINARY, message))
        self.assertEqual(self.transport.producerState, "paused")
        self.assertEqual(framesIn(self.transport.drainAll()), [(BINARY, message)] * 3)
        self.assertEqual(self.transport.producerState, "producing")


class TimeTests(WebSocketTestCase):
    """
    Pings.
    """

    def ping(self) -> tuple[int, bytes]:
        """
        Return the opcode and the payload of a ping that is sent now.
        """
        return framesIn(makePing(self.clock.seconds()))[0]

    def test_ping(self) -> None:
        """
        An idle peer is sent a ping; any data is an answer.
        """
        for answer in (frame(PONG), frame(BINARY, b"a")):
            connection, transport, _ = self.open(pingInterval=30, pongTimeout=20)
            for _ in range(3):
                transport.writes.clear()
                self.clock.advance(30)
                self.assertEqual(framesIn(b"".join(transport.writes)), [self.ping()])
                self.clock.advance(19)
                connection.dataReceived(answer)
                self.clock.advance(1)
            self.assertFalse(transport.closed)
            transport.abortConnection()

    def test_notSilent(self) -> None:
        """
        A peer that sends data is sent no ping.
        """
        connection, transport, _ = self.open(pingInterval=30)
        for _ in range(5):
            self.clock.advance(29)
            connection.dataReceived(frame(BINARY, b"a"))
        self.assertEqual(transport.writes, [])

    def test_noPong(self) -> None:
        """
        A peer that does not answer is disconnected, with one log line.
        """
        _, transport, inner = self.open(pingInterval=30, pongTimeout=20)
        with capturedLogs() as logs:
            self.clock.pump([30, 19])
            self.assertFalse(transport.closed)
            self.clock.advance(1)
        self.assertTrue(transport.closed)
        self.assertEqual(linesOf(logs), ["192.168.1.1:54321 disconnected: no pong within 20 s"])
        self.assertEqual(inner.told, ["made", "ConnectionAborted"])

    def test_paused(self) -> None:
        """
        A peer that is not read from is not expected to send data, nor just after that.
        """
        _, transport, inner = self.open(pingInterval=30, pongTimeout=20)
        inner.transport.pauseProducing()
        self.clock.pump([30] * 5)
        self.assertEqual(transport.writes, [])
        inner.transport.resumeProducing()
        self.clock.pump([30] * 2)
        self.assertEqual(len(transport.writes), 1)
        inner.transport.pauseProducing()
        self.clock.advance(19)
        inner.transport.resumeProducing()
        self.clock.advance(1)
        self.assertFalse(transport.closed)

    def test_notPaused(self) -> None:
        """
        Resuming without a pause does not count as received data.
        """
        _, transport, inner = self.open(pingInterval=30)
        self.clock.advance(29)
        inner.transport.resumeProducing()
        self.clock.advance(1)
        self.assertEqual(len(transport.writes), 1)

    def test_slow(self) -> None:
        """
        A peer that has not read the data written before a ping is not expected to
        answer, nor just after that.
        """
        connection, transport, inner = self.open(room=10, pingInterval=30, pongTimeout=20)
        inner.transport.write(b"x" * 20)
        self.clock.pump([30] * 5)
        self.assertEqual(len(transport.writes), 1)
        transport.drain()
        self.clock.advance(30)
        self.assertEqual(len(transport.writes), 1)
        self.clock.advance(30)
        self.assertEqual(framesIn(transport.value()), [self.ping()])
        inner.transport.write(b"x" * 20)
        self.clock.advance(20)
        self.assertFalse(transport.closed)
        transport.drain()
        self.clock.pump([30, 30])
        self.assertEqual(framesIn(transport.value()), [self.ping()])
        connection.abortConnection()

    def test_steady(self) -> None:
        """
        A peer that reads steadily is alive, although it sends nothing.
        """
        _, transport, inner = self.open(room=10, pingInterval=30, pongTimeout=20)
        for _ in range(10):
            inner.transport.write(b"x" * 20)
            self.clock.advance(25)
            transport.drain()
        self.assertNotIn(PING, [opcode for opcode, _ in framesIn(transport.delivered)])
        self.assertFalse(transport.closed)

    def test_pingTime(self) -> None:
        """
        The round-trip time of the last ping is known until the next ping, and passed to a function.
        An idle connection has no additional attribute before its first ping.
        """
        times: list[float] = []
        connection, transport, _ = self.open(
            pingInterval=30, pongTimeout=20, pingAnswered=times.append
        )
        self.assertNotIn("pingTime", vars(connection))
        for number in range(2):
            transport.writes.clear()
            self.clock.advance(30)
            self.assertIsNone(connection.pingTime)
            payload = framesIn(b"".join(transport.writes))[0][1]
            self.clock.advance(number + 1)
            connection.dataReceived(frame(BINARY, b"a") + frame(PONG, payload) * 3)
            self.assertEqual(connection.pingTime, number + 1)
            self.clock.advance(19 - number)
        self.assertEqual(times, [1, 2])

    def test_forgedPong(self) -> None:
        """
        A pong that is not the answer to the last ping, or whose time is impossible, is ignored.
        """
        times: list[float] = []
        connection, _, _ = self.open(pingInterval=30, pongTimeout=20, pingAnswered=times.append)
        connection.dataReceived(frame(PONG, framesIn(makePing(0))[0][1]))
        self.clock.advance(30)
        for time in (-1.0, 31.0, 9.0, math.nan, math.inf, -math.inf):
            connection.dataReceived(frame(PONG, framesIn(makePing(time))[0][1]))
        for payload in (b"x", b"x" * 9):
            connection.dataReceived(frame(PONG, payload))
        self.assertIsNone(connection.pingTime)
        self.assertEqual(times, [])

    def test_noPings(self) -> None:
        """
        With C{pingInterval} 0, no pings are sent.
        """
        _, transport, _ = self.open(pingInterval=0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(transport.writes, [])

    def test_closing(self) -> None:
        """
        While the connection is closing, no pings are sent.
        """
        _, transport, inner = self.open(pingInterval=1, closeTimeout=10)
        inner.transport.loseConnection()
        self.clock.pump([1] * 9)
        self.assertEqual(framesIn(b"".join(transport.writes)), [CLOSED])


def connectInTLS(factory: WebSocketFactory) -> ConnectedPair[Peer, Any]:
    """
    Open a WebSocket inside TLS. The response is removed from the data received.
    """
    pair = connectedPair(Peer(), factory, tls=CREDENTIALS)
    pair.client.send(REQUEST)
    pair.network.flush()
    assert pair.client.received == RESPONSE, pair.client.received
    pair.client.segments.clear()
    return pair


class TLSTests(WebSocketTestCase):
    """
    WebSockets inside TLS, whose transport closes differently.
    """

    def setUp(self) -> None:
        """
        Connect a client inside TLS.
        """
        super().setUp()
        self.xml = XMLSocketFactory(EchoProtocol)
        self.pair = connectInTLS(WebSocketFactory(self.xml, clock=self.clock))
        self.client = self.pair.client

    def test_tail(self) -> None:
        """
        Messages held when the connection is closed arrive before the Close, and the
        connection ends after the peer's Close.
        """
        [protocol] = self.xml.connections
        messages = ["x" * 100_000, "y" * 3000, "z"]
        self.pair.connection.toClient.window = 1000
        self.pair.connection.toClient.stall()
        for message in messages:
            protocol.sendMessage(message)
        self.pair.network.flush()
        self.assertGreater(protocol.transport.pending, 3000)
        protocol.transport.loseConnection()
        expected = [*((BINARY, message.encode() + b"\0") for message in messages), CLOSED]
        self.pair.connection.toClient.resume()
        self.pair.network.flush()
        self.assertEqual(framesIn(self.client.received), expected)
        self.assertFalse(self.client.closed)
        self.client.send(closing(1000))
        self.pair.network.flush()
        self.assertTrue(self.client.closed)
        self.assertEqual(self.xml.connections, set())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_byThePeer(self) -> None:
        """
        A Close is answered, and then TLS and TCP are closed.
        """
        self.client.send(frame(BINARY, b"hello\0") + closing(1000))
        self.pair.network.flush()
        self.assertEqual(framesIn(self.client.received), [(BINARY, b"hello\0"), CLOSED])
        self.assertTrue(self.client.closed)
        self.assertEqual(self.xml.connections, set())


class PausedTLSTests(WebSocketTestCase):
    """
    Paused protocols inside TLS.

    @cvar pauses: the payload of a frame that fills a TLS record. The next record is received
        in the same read of the TCP connection, but after the protocol has paused.
    """

    pauses = b"P" * ((1 << 14) - len(header(BINARY, 1 << 13) + b"mask"))

    def connectClient(self) -> tuple[ConnectedPair[Peer, Any], Inner]:
        """
        Connect a client to a protocol that pauses, and send all data of the client.
        """
        inner = Doing()
        pair = connectInTLS(WebSocketFactory(Factory.forProtocol(lambda: inner), clock=self.clock))
        pair.client.send(frame(BINARY, self.pauses) + frame(BINARY, b"abc") + closing(1000))
        return pair, inner

    def isReading(self, pair: ConnectedPair[Peer, Any]) -> bool:
        """
        Return whether the server reads from its TCP connection, as the client does.
        """
        return len(pair.network.reactor.getReaders()) == 2

    def test_resumed(self) -> None:
        """
        When the protocol resumes, the end of TLS is received, too.
        """
        pair, inner = self.connectClient()
        pair.network.flush()
        self.assertEqual(inner.told, ["made", self.pauses])
        self.assertFalse(self.isReading(pair))
        inner.transport.resumeProducing()
        self.assertTrue(self.isReading(pair))
        pair.network.flush()
        self.assertEqual(framesIn(pair.client.received), [CLOSED])
        self.assertTrue(pair.client.closed)
        self.assertEqual(inner.told, ["made", self.pauses, b"abc", "done"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """
        When the client has closed TLS and TCP before that, no data is lost.
        """
        pair, inner = self.connectClient()
        pair.client.close()
        pair.network.flush()
        self.assertTrue(pair.connection.closed)
        self.assertEqual(inner.told, ["made", self.pauses])
        inner.transport.resumeProducing()
        self.assertEqual(inner.told, ["made", self.pauses, b"abc", "done"])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class NoQueueTests(WebSocketTestCase):
    """
    Protocols without an owner, inside TLS.
    """

    def test_closesInTLS(self) -> None:
        """
        The registered producer does not keep the connection open.
        """
        inner = Echo()
        pair = connectInTLS(WebSocketFactory(Factory.forProtocol(lambda: inner), clock=self.clock))
        pair.connection.toClient.window = 100
        pair.connection.toClient.stall()
        data = b"x" * 200_000
        pair.client.send(frame(BINARY, data))
        pair.network.flush()
        pair.client.send(frame(PING, b"1") + closing(1000))
        pair.network.flush()
        self.assertEqual(pair.connection.toServer.unread, 0)
        pair.connection.toClient.resume()
        pair.network.flush()
        frames = [item for item in framesIn(pair.client.received) if item[0] != PONG]
        self.assertEqual(frames.pop(), CLOSED)
        self.assertEqual({opcode for opcode, _ in frames}, {BINARY})
        self.assertEqual(b"".join(payload for _, payload in frames), data)
        self.assertEqual((inner.received, inner.told[-1]), (data, "done"))
        self.assertTrue(pair.client.closed)
