"""
Tests for L{openfl_twisted.protocols.bridge}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.bridge import BridgeFactory, Target, _proxyHeader
from openfl_twisted.wire.framing import FRAMINGS, NUL, RAW, Framing
from tests.doubles import TightTransport, Way, linesOf
from tests.segments import cuts
from tests.support.transports import PathTransport


class BridgeTestCase(SynchronousTestCase):
    """
    A bridge to two servers.
    """

    def setUp(self) -> None:
        self.begin()

    def begin(self, framing: Framing = NUL, **settings: Any) -> None:
        """
        Create the bridge.
        """
        self.clock = Clock()
        self.ways = {"chess": Way(), "go": Way()}
        targets = {
            name: Target(name, way, f"tcp:{name}.example:1", framing)
            for name, way in self.ways.items()
        }
        self.factory = BridgeFactory(targets, clock=self.clock, **settings)

    def call(self, path: str | None = None, room: int = 1_000_000) -> TightTransport:
        """
        Connect a client.

        @param path: its request path over a WebSocket; C{None} for plain TCP.
        @return: its transport.
        """
        client = self.factory.buildProtocol(None)
        if path is None:
            transport = TightTransport(client, room)
        else:
            transport = PathTransport(client, room)
            transport.requestPath = path
        transport.atOnce = False
        assert client is not None
        client.makeConnection(transport)
        return transport

    def answer(self, name: str = "chess", room: int = 1_000_000) -> TightTransport:
        """
        Accept the connection as the server.

        @return: the transport of the server.
        """
        way = self.ways[name]
        backend = way.factory.buildProtocol(None)  # type: ignore[arg-type]
        assert backend is not None
        transport = TightTransport(backend, room)
        transport.atOnce = False
        backend.makeConnection(transport)
        way.connecting.callback(backend)
        return transport


class BridgeTests(BridgeTestCase):
    """
    Forwarding.
    """

    def test_through(self) -> None:
        """
        Data is forwarded in both directions.
        """
        client = self.call()
        server = self.answer()
        client.arrive(b"he")
        client.arrive(b"llo\0")
        self.assertEqual(server.drainAll(), b"hello\0")
        server.arrive(b"well\0")
        self.assertEqual(client.drainAll(), b"well\0")

    def test_request(self) -> None:
        """
        The first bytes are not inspected without protocol detection: an HTTP request is forwarded.
        """
        client = self.call()
        server = self.answer()
        request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        client.arrive(request)
        self.assertEqual(server.drainAll(), request)

    def test_waits(self) -> None:
        """
        Until the server is connected, nothing is read from the client.
        """
        client = self.call()
        self.assertEqual(client.producerState, "paused")
        self.answer()
        self.assertEqual(client.producerState, "producing")

    def test_early(self) -> None:
        """
        Data received before the server is connected is kept for it.
        """
        client = self.call()
        client.arrive(b"he")
        client.arrive(b"llo\0")
        self.assertEqual(self.answer().drainAll(), b"hello\0")

    @given(cuts("one\0two\0three\0\0grüße\0".encode()))
    def test_messagesStayWhole(self, pieces: list[bytes]) -> None:
        """
        However the server's stream is split, each message is sent as one WebSocket
        message, with its NUL byte.
        """
        self.begin()
        client = self.call("/chess")
        server = self.answer()
        for piece in pieces:
            server.arrive(piece)
        whole = b"".join(pieces)
        self.assertEqual(client.writes, [each + b"\0" for each in whole.split(b"\0")[:-1]])

    @given(st.lists(st.binary(min_size=1)))
    def test_raw(self, pieces: list[bytes]) -> None:
        """
        With raw framing, data is forwarded as it is received.
        """
        self.begin(RAW)
        client = self.call()
        server = self.answer()
        for piece in pieces:
            server.arrive(piece)
        self.assertEqual(client.drainAll(), b"".join(pieces))

    def test_tooLong(self) -> None:
        """
        A message of the server that is too long closes both connections, with a log
        line.
        """
        self.begin(maxMessage=10)
        client = self.call()
        server = self.answer()
        with capturedLogs() as logs:
            server.arrive(b"a\0" + b"x" * 11)
        self.assertEqual(client.drainAll(), b"a\0")
        self.assertTrue(client.disconnecting)
        [line] = linesOf(logs)
        words = "the server sent a message that is too long: a message is longer than 10 bytes"
        self.assertIn(f"disconnected: {words}", line)

    @given(st.sampled_from(sorted(FRAMINGS.keys() - {"raw"})), st.data())
    def test_framings(self, name: str, data: Any) -> None:
        """
        With each framing, one message of the server is one WebSocket message, with the same bytes.
        """
        framing = FRAMINGS[name]
        self.begin(framing)
        client = self.call("/chess")
        server = self.answer()
        frames = [framing.frame(each) for each in (b"a", b"", b"bcd")]
        for piece in data.draw(cuts(b"".join(frames))):
            server.arrive(piece)
        self.assertEqual(client.writes, frames)

    def test_crlfToLines(self) -> None:
        """
        Lines keep their CR.
        """
        self.begin(FRAMINGS["lines"])
        client = self.call("/chess")
        self.answer().arrive(b"a\r\nb\n")
        self.assertEqual(client.writes, [b"a\r\n", b"b\n"])

    def test_hint(self) -> None:
        """
        If the server has sent no NUL byte one second after its first data, the log says once what
        to try.
        """
        with capturedLogs() as logs:
            for _ in range(2):
                client = self.call("/chess")
                server = self.answer()
                server.arrive(b"x" * 5)
                server.arrive(b"y" * 5)
                self.clock.advance(1)
                del self.ways["chess"].connecting
        self.assertEqual(client.writes, [])
        self.assertEqual(
            [line for line in linesOf(logs) if "NUL" in line],
            [
                (
                    "tcp:chess.example:1 has sent 10 bytes without a NUL byte, so the client has"
                    " received nothing; if the program uses Socket instead of XMLSocket, use"
                    " --framing raw"
                )
            ],
        )

    def test_noHint(self) -> None:
        """
        Without data, with a NUL byte in the first second, after a message that is too long, after
        either side has closed, and with another framing, the log suggests nothing.
        """
        with capturedLogs() as logs:
            self.begin(maxMessage=5)
            self.call("/chess")
            self.answer().arrive(b"x" * 6)
            self.clock.advance(2)
            self.begin()
            self.call("/chess")
            server = self.answer()
            self.clock.advance(2)
            server.arrive(b"x")
            self.clock.advance(0.9)
            server.arrive(b"\0")
            server.arrive(b"x")
            self.clock.advance(2)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            for end in ("client", "server"):
                self.begin()
                client = self.call("/chess")
                server = self.answer()
                server.arrive(b"x")
                {"client": client, "server": server}[end]._close(error.ConnectionDone())
                self.clock.advance(2)
            self.begin(FRAMINGS["u32"])
            self.call("/chess")
            self.answer().arrive(b"x")
            self.clock.advance(2)
        self.assertEqual([line for line in linesOf(logs) if "NUL" in line], [])

    def test_slowClient(self) -> None:
        """
        While the client does not read, nothing is read from the server.
        """
        client = self.call(room=10)
        server = self.answer()
        server.arrive(b"x" * 20 + b"\0")
        self.assertEqual(server.producerState, "paused")
        client.drainAll()
        self.assertEqual(server.producerState, "producing")

    def test_slowServer(self) -> None:
        """
        While the server does not read, nothing is read from the client.
        """
        client = self.call()
        server = self.answer(room=10)
        client.arrive(b"x" * 20)
        self.assertEqual(client.producerState, "paused")
        server.drainAll()
        self.assertEqual(client.producerState, "producing")


class TargetTests(BridgeTestCase):
    """
    Selecting the server.
    """

    def test_first(self) -> None:
        """
        Plain clients and clients without a path are connected to the first server.
        """
        for path in (None, "/", "/?a=b"):
            self.begin()
            self.call(path)
            self.assertTrue(hasattr(self.ways["chess"], "factory"))
            self.assertFalse(hasattr(self.ways["go"], "factory"))

    def test_named(self) -> None:
        """
        The request path selects a server.
        """
        for path in ("/go", "/go/", "/go?a=b"):
            self.begin()
            self.call(path)
            self.assertTrue(hasattr(self.ways["go"], "factory"))

    def test_unknown(self) -> None:
        """
        Unknown paths are refused. The log contains the beginning of the path.
        """
        with capturedLogs() as logs:
            client = self.call("/tcp:bank.example:80")
        self.assertTrue(client.disconnecting)
        [line] = linesOf(logs)
        self.assertIn("no target has the name in the request path /tcp:bank.example:80", line)
        with capturedLogs() as logs:
            self.call("/" + "a" * 10_000)
        self.assertLess(len(linesOf(logs)[0]), 400)
        for way in self.ways.values():
            self.assertFalse(hasattr(way, "factory"))


class EndTests(BridgeTestCase):
    """
    Closing.
    """

    def test_serverDisconnects(self) -> None:
        """
        When the server disconnects, its data is delivered first, including an
        incomplete message.
        """
        client = self.call()
        server = self.answer()
        server.arrive(b"bye\0and")
        server._close(error.ConnectionDone())
        self.assertEqual(client.drainAll(), b"bye\0and")
        self.assertTrue(client.disconnecting)

    def test_clientDisconnects(self) -> None:
        """
        When the client disconnects, its data is delivered first.
        """
        client = self.call()
        server = self.answer()
        client.arrive(b"bye")
        client._close(error.ConnectionDone())
        self.assertEqual(server.drainAll(), b"bye")
        self.assertTrue(server.disconnecting)

    def test_clientDisconnectsEarly(self) -> None:
        """
        When a client without data disconnects early, the connection attempt is
        cancelled.
        """
        client = self.call()
        with capturedLogs() as logs:
            client._close(error.ConnectionDone())
        self.assertTrue(self.ways["chess"].cancelled)
        self.assertEqual(logs, [])
        self.clock.advance(100)

    def test_dataBeforeDisconnect(self) -> None:
        """
        Data of a client that disconnects before the server is connected is still
        delivered.
        """
        client = self.call()
        client.arrive(b"bye\0")
        client._close(error.ConnectionDone())
        server = self.answer()
        self.assertEqual(server.drainAll(), b"bye\0")
        self.assertTrue(server.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slowServer(self) -> None:
        """
        A server that does not read is disconnected after C{closeTimeout}.
        """
        self.begin(closeTimeout=9)
        client = self.call()
        server = self.answer(room=1)
        client.arrive(b"bye\0")
        client._close(error.ConnectionDone())
        self.clock.advance(8.9)
        self.assertFalse(server.closed)
        self.clock.advance(0.1)
        self.assertTrue(server.closed)

    def test_noServer(self) -> None:
        """
        If the server cannot be reached, the client is disconnected, with a log line.
        """
        client = self.call()
        with capturedLogs() as logs:
            self.ways["chess"].connecting.errback(error.ConnectionRefusedError())
        self.assertTrue(client.disconnecting)
        [line] = linesOf(logs)
        self.assertIn("disconnected: cannot connect to tcp:chess.example:1: ", line)

    def test_silentServer(self) -> None:
        """
        Connecting has a timeout.
        """
        self.begin(connectTimeout=7)
        client = self.call()
        with capturedLogs() as logs:
            self.clock.advance(7)
        self.assertTrue(client.disconnecting)
        self.assertIn("within 7 seconds", linesOf(logs)[0])

    def test_noTimeout(self) -> None:
        """
        A timeout of 0 means no timeout.
        """
        self.begin(connectTimeout=0)
        client = self.call()
        self.clock.advance(1000)
        self.assertFalse(client.disconnecting)

    def test_cutOff(self) -> None:
        """
        A side that does not read is disconnected when its queue is full, and so is the
        other side.
        """
        self.begin(maxQueue=100)
        client = self.call(room=10)
        server = self.answer()
        server.arrive(b"x" * 20 + b"\0")
        server.arrive(b"y" * 100 + b"\0")
        self.assertFalse(client.closed)
        server._close(error.ConnectionDone())
        self.assertTrue(client.closed)


class ProxyTests(BridgeTestCase):
    """
    The PROXY header.
    """

    def test_header(self) -> None:
        """
        The PROXY header precedes all data.
        """
        self.begin(proxyProtocol=True)
        client = self.call()
        server = self.answer()
        client.arrive(b"hello\0")
        self.assertEqual(
            server.drainAll(), b"PROXY TCP4 192.168.1.1 10.0.0.1 54321 12345\r\nhello\0"
        )

    def test_lost(self) -> None:
        """
        The header also precedes the data of a client that has disconnected: this data
        can contain a header itself.
        """
        self.begin(proxyProtocol=True)
        client = self.call()
        client.arrive(b"PROXY TCP4 10.9.9.9 10.0.0.1 1 2\r\nbye\0")
        client._close(error.ConnectionDone())
        # As on a socket that is closed.
        client.getHost = client.getPeer = None  # type: ignore[assignment]
        self.assertTrue(
            self.answer().drainAll().startswith(b"PROXY TCP4 192.168.1.1 10.0.0.1 54321 12345\r\n")
        )

    def test_families(self) -> None:
        """
        IPv4 addresses are mapped if the other address is IPv6, and a client without an
        IP address is unknown.
        """
        visitor = IPv6Address("TCP", "2001:db8::5", 0)
        six = IPv6Address("TCP", "::1", 5)
        four = IPv4Address("TCP", "127.0.0.1", 6)
        for peer, host, header in (
            (six, six, b"PROXY TCP6 ::1 ::1 5 5\r\n"),
            (four, six, b"PROXY TCP6 ::ffff:127.0.0.1 ::1 6 5\r\n"),
            (visitor, four, b"PROXY TCP6 2001:db8::5 ::ffff:127.0.0.1 0 6\r\n"),
            (IPv6Address("TCP", "fe80::1%eth0", 7), six, b"PROXY TCP6 fe80::1 ::1 7 5\r\n"),
            (four, UNIXAddress(b"/a"), b"PROXY TCP4 127.0.0.1 0.0.0.0 6 0\r\n"),
            (six, UNIXAddress(b"/a"), b"PROXY TCP6 ::1 ::ffff:0.0.0.0 5 0\r\n"),
            (UNIXAddress(None), UNIXAddress(b"/a"), b"PROXY UNKNOWN\r\n"),
        ):
            transport = StringTransport(hostAddress=host, peerAddress=peer)
            self.assertEqual(_proxyHeader(transport), header)
