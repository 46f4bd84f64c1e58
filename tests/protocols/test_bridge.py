"""
Tests for L{openfl_twisted.protocols.bridge}.
"""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import error
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import TCP4ClientEndpoint, clientFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.bridge import BridgeFactory, Target, _proxyHeader
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.testing import CertificateMaker, MemoryConnection, MemoryNetwork, Peer
from openfl_twisted.wire.framing import FRAMINGS, NUL, RAW, Framing
from tests.doubles import TightTransport, linesOf
from tests.frames import BINARY, REQUEST, RESPONSE, frame, framesIn
from tests.segments import cuts

CREDENTIALS = CertificateMaker().make()

ADDRESSES = {"chess": "192.0.2.1", "go": "192.0.2.2"}


class Page(Peer):
    """
    A WebSocket client.
    """

    def __init__(self, path: str, data: bytes = b"") -> None:
        """
        @param data: sent with the request, in one segment.
        """
        super().__init__()
        self.request = REQUEST.replace(b"/x/room?id=1", path.encode()) + data

    def connectionMade(self) -> None:
        self.send(self.request)

    @property
    def messages(self) -> list[tuple[int, bytes]]:
        """
        The opcode and the payload of each received message.
        """
        return framesIn(self.received.removeprefix(RESPONSE))


def binary(messages: list[bytes]) -> list[tuple[int, bytes]]:
    """
    Return the messages as L{Page.messages} contains them.
    """
    return [(BINARY, message) for message in messages]


class Joining(Factory[Peer]):
    """
    Connects a peer.
    """

    noisy = False

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def buildProtocol(self, addr: object) -> Peer:
        return self.peer


class BridgeTestCase(SynchronousTestCase):
    """
    A bridge to two servers, on a network that holds all connection attempts.

    @ivar connection: the connection of the last client.
    """

    connection: MemoryConnection

    def setUp(self) -> None:
        self.begin()

    def begin(self, framing: Framing = NUL, **settings: Any) -> None:
        """
        Create the network and the bridge.
        """
        self.network = MemoryNetwork()
        self.network.attempts.hold()
        targets = {}
        for name, address in ADDRESSES.items():
            description = f"tcp:{name}.example:1"
            self.network.addHost(f"{name}.example", address)
            # The timeout is that of the bridge.
            endpoint = clientFromString(self.network.reactor, f"{description}:timeout=9999")
            targets[name] = Target(name, endpoint, description, framing)
        self.targets = targets
        self.factory = BridgeFactory(targets, clock=self.network.reactor, **settings)

    def call(self, client: Peer | None = None) -> Any:
        """
        Connect a client.

        @param client: the client (default: a plain TCP client).
        """
        client = Peer() if client is None else client
        factory: Any = self.factory
        if isinstance(client, Page):
            factory = WebSocketFactory(factory, pingInterval=0, clock=self.network.reactor)
        TCP4ClientEndpoint(self.network.reactor, "127.0.0.1", 1).connect(Joining(client))
        self.network.flush()
        self.network.attempts.held[-1].answer(factory)
        self.connection = self.network.connections[-1]
        return client

    def callThenLeave(self, data: bytes = b"") -> None:
        """
        Connect a client that sends data and disconnects before the server is connected.

        The client has a L{TightTransport}: a TCP transport whose reading is paused, in memory as
        on the real network, delivers neither data nor the end.
        """
        client = self.factory.buildProtocol(None)
        assert client is not None
        transport = TightTransport(client)
        client.makeConnection(transport)
        if data:
            transport.arrive(data)
        transport._close(error.ConnectionDone())
        # As on a socket that is closed.
        transport.getHost = transport.getPeer = None  # type: ignore[assignment]
        self.network.flush()

    def answer(self, factory: Any = None) -> Any:
        """
        Accept the connection as the server.

        @param factory: the factory of the server (default: of a L{Peer}).
        @return: the server.
        """
        return self.network.attempts.held[0].answer(factory or Factory.forProtocol(Peer))

    def answerSlowly(self, room: int) -> tuple[Peer, MemoryConnection]:
        """
        Accept the connection as a server that does not read.

        @param room: the number of bytes that are in flight or unread at most.
        """
        server = self.answer()
        connection = self.network.connections[-1]
        connection.toServer.window = room
        connection.toServer.stall()
        return server, connection

    def send(self, peer: Peer, *pieces: bytes) -> None:
        """
        Send data, each piece in its own segment, and run the network until it is idle.
        """
        peer.transport.socket.outgoing.split([len(piece) for piece in pieces])
        peer.send(b"".join(pieces))
        self.network.flush()

    def close(self, peer: Peer) -> None:
        """
        Close the connection of a peer.
        """
        peer.close()
        self.network.flush()

    def asked(self) -> list[str]:
        """
        Return the addresses that the bridge has connected to.
        """
        return [attempt.host for attempt in self.network.attempts.made[1:]]


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
        self.send(client, b"he", b"llo\0")
        self.assertEqual(server.received, b"hello\0")
        self.send(server, b"well\0")
        self.assertEqual(client.received, b"well\0")

    def test_request(self) -> None:
        """
        The first bytes are not inspected without protocol detection: an HTTP request is forwarded.
        """
        client = self.call()
        server = self.answer()
        request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        self.send(client, request)
        self.assertEqual(server.received, request)

    def test_waits(self) -> None:
        """
        Until the server is connected, nothing is read from the client.
        """
        client = self.call()
        self.send(client, b"hello\0")
        self.assertEqual(self.connection.toServer.unread, 6)
        server = self.answer()
        self.assertEqual(self.connection.toServer.unread, 0)
        self.assertEqual(server.received, b"hello\0")

    def test_early(self) -> None:
        """
        Data received before the server is connected is kept for it.
        """
        self.call(Page("/chess", frame(BINARY, b"he") + frame(BINARY, b"llo\0")))
        self.assertEqual(self.connection.toServer.unread, 0)
        self.assertEqual(self.answer().received, b"hello\0")

    @given(cuts("one\0two\0three\0\0grüße\0".encode()))
    def test_messagesStayWhole(self, pieces: list[bytes]) -> None:
        """
        However the server's stream is split, each message is sent as one WebSocket
        message, with its NUL byte.
        """
        self.begin()
        client = self.call(Page("/chess"))
        self.send(self.answer(), *pieces)
        messages = [each + b"\0" for each in b"".join(pieces).split(b"\0")[:-1]]
        self.assertEqual(client.messages, binary(messages))

    @given(st.lists(st.binary(min_size=1)))
    def test_raw(self, pieces: list[bytes]) -> None:
        """
        With raw framing, data is forwarded as it is received.
        """
        self.begin(RAW)
        client = self.call()
        server = self.answer()
        for piece in pieces:
            self.send(server, piece)
        self.assertEqual(client.segments, pieces)

    def test_tooLong(self) -> None:
        """
        A message of the server that is too long closes both connections, with a log
        line.
        """
        self.begin(maxMessage=10)
        client = self.call()
        server = self.answer()
        with capturedLogs() as logs:
            self.send(server, b"a\0" + b"x" * 11)
        self.assertEqual(client.received, b"a\0")
        self.assertTrue(client.closed)
        self.assertTrue(server.closed)
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
        client = self.call(Page("/chess"))
        frames = [framing.frame(each) for each in (b"a", b"", b"bcd")]
        self.send(self.answer(), *data.draw(cuts(b"".join(frames))))
        self.assertEqual(client.messages, binary(frames))

    def test_crlfToLines(self) -> None:
        """
        Lines keep their CR.
        """
        self.begin(FRAMINGS["lines"])
        client = self.call(Page("/chess"))
        self.send(self.answer(), b"a\r\nb\n")
        self.assertEqual(client.messages, binary([b"a\r\n", b"b\n"]))

    def test_hint(self) -> None:
        """
        If the server has sent no NUL byte one second after its first data, the log says once what
        to try.
        """
        with capturedLogs() as logs:
            for _ in range(2):
                client = self.call(Page("/chess"))
                self.send(self.answer(), b"x" * 5, b"y" * 5)
                self.network.advance(1)
        self.assertEqual(client.messages, [])
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
            self.call(Page("/chess"))
            self.send(self.answer(), b"x" * 6)
            self.network.advance(2)
            self.begin()
            self.call(Page("/chess"))
            server = self.answer()
            self.network.advance(2)
            self.send(server, b"x")
            self.network.advance(0.9)
            self.send(server, b"\0", b"x")
            self.network.advance(2)
            self.assertEqual(self.network.reactor.getDelayedCalls(), [])
            for end in ("client", "server"):
                self.begin()
                client = self.call(Page("/chess"))
                # The connection to a server that does not read stays open for a while.
                server, _ = self.answerSlowly(1)
                self.send(client, frame(BINARY, b"unread"))
                self.send(server, b"x")
                self.close({"client": client, "server": server}[end])
                self.network.advance(2)
            self.begin(FRAMINGS["u32"])
            self.call(Page("/chess"))
            self.send(self.answer(), b"x")
            self.network.advance(2)
        self.assertEqual([line for line in linesOf(logs) if "NUL" in line], [])

    def test_slowClient(self) -> None:
        """
        While the client does not read, nothing is read from the server.
        """
        client = self.call()
        self.connection.toClient.window = 10_000
        self.connection.toClient.stall()
        server = self.answer()
        incoming = self.network.connections[-1].toClient
        # More than the window and the buffer of the transport.
        message = b"x" * 80_000 + b"\0"
        self.send(server, message)
        self.assertEqual(incoming.unread, 0)
        self.send(server, b"more\0")
        self.assertEqual(incoming.unread, 5)
        self.connection.toClient.resume()
        self.network.flush()
        self.assertEqual(incoming.unread, 0)
        self.assertEqual(client.received, message + b"more\0")

    def test_slowServer(self) -> None:
        """
        While the server does not read, nothing is read from the client.
        """
        client = self.call()
        server, connection = self.answerSlowly(10_000)
        incoming = self.connection.toServer
        data = b"x" * 80_000
        self.send(client, data)
        self.assertEqual(incoming.unread, 0)
        self.send(client, b"more")
        self.assertEqual(incoming.unread, 4)
        connection.toServer.resume()
        self.network.flush()
        self.assertEqual(incoming.unread, 0)
        self.assertEqual(server.received, data + b"more")


class TargetTests(BridgeTestCase):
    """
    Selecting the server.
    """

    def test_first(self) -> None:
        """
        Plain clients and clients without a path are connected to the first server.
        """
        for client in (Peer(), Page("/"), Page("/?a=b")):
            self.begin()
            self.call(client)
            self.assertEqual(self.asked(), [ADDRESSES["chess"]])

    def test_named(self) -> None:
        """
        The request path selects a server.
        """
        for path in ("/go", "/go/", "/go?a=b"):
            self.begin()
            self.call(Page(path))
            self.assertEqual(self.asked(), [ADDRESSES["go"]])

    def test_unknown(self) -> None:
        """
        Unknown paths are refused. The log contains the beginning of the path.
        """
        words = "no target has the name in the request path"
        with capturedLogs() as logs:
            client = self.call(Page("/tcp:bank.example:80"))
        self.assertTrue(client.messages)
        [line] = linesOf(logs)
        self.assertIn(f"{words} /tcp:bank.example:80", line)
        self.assertEqual(self.asked(), [])
        self.begin()
        with capturedLogs() as logs:
            self.call(Page("/" + "a" * 10_000))
        [line] = linesOf(logs)
        self.assertIn(f"{words} /aaa", line)
        self.assertLess(len(line), 400)
        self.assertEqual(self.asked(), [])


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
        self.send(server, b"bye\0and")
        self.close(server)
        self.assertEqual(client.received, b"bye\0and")
        self.assertTrue(client.closed)

    def test_clientDisconnects(self) -> None:
        """
        When the client disconnects, its data is delivered first.
        """
        client = self.call()
        server = self.answer()
        self.send(client, b"bye")
        self.close(client)
        self.assertEqual(server.received, b"bye")
        self.assertTrue(server.closed)

    def test_clientDisconnectsEarly(self) -> None:
        """
        When a client without data disconnects early, the connection attempt is
        cancelled.
        """
        with capturedLogs() as logs:
            self.callThenLeave()
        self.assertEqual(self.network.attempts.held, [])
        self.assertEqual(logs, [])
        self.network.advance(100)

    def test_dataBeforeDisconnect(self) -> None:
        """
        Data of a client that disconnects before the server is connected is still
        delivered.
        """
        self.callThenLeave(b"bye\0")
        server = self.answer()
        self.assertEqual(server.received, b"bye\0")
        self.assertTrue(server.closed)
        self.assertEqual(self.network.reactor.getDelayedCalls(), [])

    def test_slowServer(self) -> None:
        """
        A server that does not read is disconnected after C{closeTimeout}.
        """
        self.begin(closeTimeout=9)
        client = self.call()
        server, connection = self.answerSlowly(1)
        self.send(client, b"bye\0")
        self.close(client)
        self.network.advance(8.9)
        self.assertFalse(connection.toClient.closed)
        self.network.advance(0.1)
        self.assertTrue(connection.toClient.closed)
        connection.toServer.resume()
        self.network.flush()
        self.assertIsInstance(server.reason, error.ConnectionLost)

    def test_noServer(self) -> None:
        """
        If the server cannot be reached, the client is disconnected, with a log line.
        """
        client = self.call()
        with capturedLogs() as logs:
            self.network.attempts.held[0].refuse()
        self.assertTrue(client.closed)
        [line] = linesOf(logs)
        self.assertIn("disconnected: cannot connect to tcp:chess.example:1: ", line)

    def test_silentServer(self) -> None:
        """
        Connecting has a timeout.
        """
        self.begin(connectTimeout=7)
        client = self.call()
        self.network.advance(6.9)
        self.assertFalse(client.closed)
        with capturedLogs() as logs:
            self.network.advance(0.1)
        self.assertTrue(client.closed)
        self.assertIn("within 7 seconds", linesOf(logs)[0])

    def test_noTimeout(self) -> None:
        """
        A timeout of 0 means no timeout.
        """
        self.begin(connectTimeout=0)
        client = self.call()
        self.network.advance(1000)
        self.assertFalse(client.closed)

    def test_cutOff(self) -> None:
        """
        A side that does not read is disconnected when its queue is full, and so is the
        other side.
        """
        self.begin(maxQueue=100)
        chess = self.targets["chess"]
        endpoint = SecureEndpoint(
            chess.endpoint, CREDENTIALS.host, CREDENTIALS.trust, clock=self.network.reactor
        )
        self.targets["chess"] = replace(chess, endpoint=endpoint)
        client = self.call()
        self.connection.toClient.window = 10_000
        self.connection.toClient.stall()
        server = Peer()
        self.answer(CREDENTIALS.serverFactory(Joining(server), self.network.reactor))
        # TLS delivers data and the end while the bridge has paused it.
        server.send(b"x" * 80_000 + b"\0")
        server.send(b"y" * 100 + b"\0")
        self.close(server)
        self.assertTrue(server.closed)
        self.assertTrue(self.connection.toServer.closed)
        self.connection.toClient.resume()
        self.network.flush()
        self.assertIsInstance(client.reason, error.ConnectionLost)


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
        self.send(client, b"hello\0")
        peer, host = client.transport.getHost(), client.transport.getPeer()
        header = f"PROXY TCP4 {peer.host} {host.host} {peer.port} {host.port}\r\n"
        self.assertEqual(server.received, header.encode() + b"hello\0")

    def test_lost(self) -> None:
        """
        The header also precedes the data of a client that has disconnected: this data
        can contain a header itself.
        """
        self.begin(proxyProtocol=True)
        data = b"PROXY TCP4 10.9.9.9 10.0.0.1 1 2\r\nbye\0"
        self.callThenLeave(data)
        header = b"PROXY TCP4 192.168.1.1 10.0.0.1 54321 12345\r\n"
        self.assertEqual(self.answer().received, header + data)

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
