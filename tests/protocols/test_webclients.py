"""
WebSocket clients that send text messages: web pages, C{wscat} and game engines.
"""

import tracemalloc
from typing import Any
from zlib import compressobj, decompressobj

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.protocols.bridge import BridgeFactory, Target
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import MemoryNetwork, Peer, connectedPair
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.framing import FRAMINGS
from tests.doubles import linesOf
from tests.frames import BINARY, CONT, REQUEST, RESPONSE, TEXT, closing, frame, framesIn
from tests.segments import cuts


class Recording(XMLSocketProtocol):
    """
    Stores messages, and sends each back as bytes.
    """

    def connectionMade(self) -> None:
        self.messages: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        self.messages.append(line)
        self.sendLine(line)


class BinaryEcho(BinarySocketProtocol):
    """
    Sends all bytes back.
    """

    def socketDataReceived(self, bytesLoaded: int) -> None:
        data = ByteArray()
        self.readBytes(data)
        self.writeBytes(data)


class WebClient:
    """
    A WebSocket client of a factory.
    """

    def __init__(self, factory: IProtocolFactory, request: bytes = REQUEST, **options: Any) -> None:
        self.transport = StringTransport()
        sockets = WebSocketFactory(factory, clock=Clock(), **options)
        self.connection = sockets.buildProtocol(None)
        self.connection.makeConnection(self.transport)
        self.send(request)
        self.response: bytes = self.transport.value()
        self.transport.clear()

    def send(self, data: bytes) -> None:
        self.connection.dataReceived(data)

    def frames(self) -> list[tuple[int, bytes]]:
        """
        Return the frames that were received since the last call.
        """
        data = self.transport.value()
        self.transport.clear()
        return framesIn(data)

    def ask(self, *frames: bytes) -> list[tuple[int, bytes]]:
        """
        Send frames, and return the answers.
        """
        self.send(b"".join(frames))
        return self.frames()


class TextTests(SynchronousTestCase):
    """
    Text messages to a server with messages.
    """

    def test_withoutNUL(self) -> None:
        """
        A text message without a NUL byte is a message, and is answered with a text message
        without it.
        """
        client = WebClient(XMLSocketFactory(EchoProtocol))
        self.assertEqual(client.ask(frame(TEXT, b"hello")), [(TEXT, b"hello")])
        self.assertEqual(
            client.ask(frame(TEXT, b"a"), frame(TEXT, b""), frame(TEXT, "\u20ac".encode())),
            [(TEXT, b"a"), (TEXT, b""), (TEXT, "\u20ac".encode())],
        )

    def test_withNUL(self) -> None:
        """
        If the client's first text message ends with a NUL byte, the answers do, too.
        """
        client = WebClient(XMLSocketFactory(EchoProtocol))
        self.assertEqual(client.ask(frame(TEXT, b"hello\0")), [(TEXT, b"hello\0")])
        self.assertEqual(client.ask(frame(TEXT, b"hello")), [(TEXT, b"hello\0")])

    def test_severalInOne(self) -> None:
        """
        A text message that contains NUL bytes is several messages.
        """
        client = WebClient(XMLSocketFactory(EchoProtocol))
        self.assertEqual(client.ask(frame(TEXT, b"a\0b")), [(TEXT, b"a"), (TEXT, b"b")])

    def test_binary(self) -> None:
        """
        A client that sends binary messages, such as OpenFL HTML5 and Ruffle, is answered with
        binary messages that end with a NUL byte. Its messages are a stream.
        """
        client = WebClient(XMLSocketFactory(EchoProtocol))
        self.assertEqual(client.ask(frame(BINARY, b"hello\0")), [(BINARY, b"hello\0")])
        self.assertEqual(client.ask(frame(BINARY, b"he")), [])
        self.assertEqual(client.ask(frame(BINARY, b"llo\0")), [(BINARY, b"hello\0")])

    def test_broadcast(self) -> None:
        """
        A broadcast reaches each client in its own format.
        """
        factory = XMLSocketFactory(EchoProtocol)
        page, nul, openfl = (WebClient(factory) for _ in range(3))
        page.ask(frame(TEXT, b"a"))
        nul.ask(frame(TEXT, b"a\0"))
        plain = StringTransport()
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        protocol.makeConnection(plain)
        for _ in range(2):
            factory.broadcastMessages(["x", "y" * 200])
            self.assertEqual(page.frames(), [(TEXT, b"x"), (TEXT, b"y" * 200)])
            self.assertEqual(nul.frames(), [(TEXT, b"x\0"), (TEXT, b"y" * 200 + b"\0")])
            self.assertEqual(openfl.frames(), [(BINARY, b"x\0"), (BINARY, b"y" * 200 + b"\0")])
        self.assertEqual(plain.value(), (b"x\0" + b"y" * 200 + b"\0") * 2)

    def test_greeted(self) -> None:
        """
        A client that has received a binary message before its first text message is then answered
        with text messages, too.
        """

        class Greeting(EchoProtocol):
            def connectionMade(self) -> None:
                self.sendMessage("welcome")

        client = WebClient(XMLSocketFactory(Greeting))
        self.assertTrue(client.response.endswith(b"\x82\x08welcome\0"))
        self.assertEqual(client.ask(frame(TEXT, b"a")), [(TEXT, b"a")])

    def test_fragmentsOfBoth(self) -> None:
        """
        After a text message in fragments, a binary message in fragments is not text.
        """
        client = WebClient(XMLSocketFactory(Recording))
        parts = [frame(TEXT, b"a", fin=False), frame(CONT, b"b")]
        self.assertEqual(client.ask(*parts), [(TEXT, b"ab")])
        parts = [frame(BINARY, b"\xff", fin=False), frame(CONT, b"\xfe\0")]
        self.assertEqual(client.ask(*parts), [(BINARY, b"\xff\xfe")])

    @given(st.sampled_from(sorted(FRAMINGS)))
    def test_bridge(self, name: str) -> None:
        """
        A bridge forwards text messages in the framing of its server, and conversely.
        """
        framing, network, server = FRAMINGS[name], MemoryNetwork(), Peer()
        network.reactor.listenTCP(1, Factory.forProtocol(lambda: server))
        endpoint = clientFromString(network.reactor, "tcp:localhost:1")
        targets = {"x/room": Target("x/room", endpoint, "tcp:localhost:1", framing)}
        bridge = BridgeFactory(targets, clock=network.reactor)
        client = connectedPair(
            Peer(), WebSocketFactory(bridge, clock=network.reactor), network=network
        ).client
        client.send(REQUEST + frame(TEXT, b"ab") + frame(TEXT, b"cd"))
        network.flush()
        self.assertEqual(server.received, framing.frame(b"ab") + framing.frame(b"cd"))
        server.send(framing.frame(b"ef"))
        network.flush()
        self.assertEqual(client.received, RESPONSE + frame(TEXT, b"ef", mask=False))

    def test_notText(self) -> None:
        """
        A message that is not UTF-8 is sent as a binary message.
        """
        client = WebClient(XMLSocketFactory(Recording))
        self.assertEqual(
            client.ask(frame(TEXT, b"a"), frame(BINARY, b"\xff\0")),
            [(TEXT, b"a"), (BINARY, b"\xff")],
        )

    @given(st.data())
    def test_segments(self, data: Any) -> None:
        """
        Text messages are the same, however they are fragmented and the stream is split.
        """
        texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20)
        messages = data.draw(st.lists(texts, min_size=1, max_size=5))
        stream = b""
        for message in messages:
            first, *parts = data.draw(cuts(message.encode()))
            stream += frame(TEXT, first, fin=not parts)
            stream += b"".join(
                frame(CONT, part, fin=number == len(parts)) for number, part in enumerate(parts, 1)
            )
        client = WebClient(XMLSocketFactory(EchoProtocol))
        for chunk in data.draw(cuts(stream)):
            client.send(chunk)
        self.assertEqual(client.frames(), [(TEXT, message.encode()) for message in messages])

    def test_limit(self) -> None:
        """
        A text message in fragments has the limit of a frame.
        """
        client = WebClient(XMLSocketFactory(EchoProtocol), maxFrame=100)
        client.send(frame(TEXT, b"a" * 60, fin=False))
        self.assertEqual(
            client.ask(frame(CONT, b"a" * 60)),
            framesIn(closing(1009, b"frame with 120 bytes exceeds limit of 100 bytes", mask=False)),
        )

    def test_emptyFragments(self) -> None:
        """
        Empty fragments, which have no end, do not use memory.
        """
        client = WebClient(XMLSocketFactory(EchoProtocol))
        fragments = frame(TEXT, b"a", fin=False) + frame(CONT, b"", fin=False) * 250
        client.send(fragments)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(200):
            client.send(frame(CONT, b"", fin=False) * 250)
        after, _ = tracemalloc.get_traced_memory()
        self.assertLess(after - before, 100_000)
        self.assertEqual(client.ask(frame(CONT, b"b")), [(TEXT, b"ab")])

    def test_compressed(self) -> None:
        """
        Text messages can be compressed in both directions.
        """
        client = WebClient(XMLSocketFactory(EchoProtocol), compress=True)
        compressor = compressobj(wbits=-15)
        packed = compressor.compress(b"a" * 500) + compressor.flush(2)
        client.send(frame(TEXT, packed[:-4], rsv=4))
        data = client.transport.value()
        self.assertEqual(data[0], 0x80 | 0x40 | TEXT)
        self.assertEqual(
            decompressobj(wbits=-15).decompress(data[2:] + b"\0\0\xff\xff"), b"a" * 500
        )

    def test_explained(self) -> None:
        """
        The log explains the first text message without a NUL byte.
        """
        factory = XMLSocketFactory(EchoProtocol)
        client = WebClient(factory)
        with capturedLogs() as logs:
            client.ask(frame(TEXT, b"a"), frame(TEXT, b"b"))
            client.ask(frame(TEXT, b"c"))
        self.assertEqual(
            linesOf(logs),
            [
                (
                    "192.168.1.1:54321 sends text messages without a NUL byte: each is one message,"
                    " and is answered with text messages without a NUL byte (logged once)"
                )
            ],
        )
        with capturedLogs() as logs:
            WebClient(factory).ask(frame(TEXT, b"a\0"))
            WebClient(XMLSocketFactory(EchoProtocol, framing="u16")).ask(frame(TEXT, b"a"))
        self.assertEqual(linesOf(logs), [])

    @given(st.sampled_from(sorted(FRAMINGS)))
    def test_framings(self, name: str) -> None:
        """
        With another framing, a text message is one message of it, and so is each answer.
        """
        factory = XMLSocketFactory(Recording, framing=name)
        client = WebClient(factory)
        self.assertEqual(client.ask(frame(TEXT, b"ab")), [(TEXT, b"ab")])
        self.assertEqual(client.ask(frame(TEXT, b"c")), [(TEXT, b"c")])
        [protocol] = factory.connections
        self.assertEqual(protocol.messages, [b"ab", b"c"])
        other = WebClient(factory)
        framed = FRAMINGS[name].frame(b"ab")
        self.assertEqual(other.ask(frame(BINARY, framed)), [(BINARY, framed)])

    def test_tooLongForLength(self) -> None:
        """
        A text message that is too long for the length of the framing closes the connection.
        """
        client = WebClient(XMLSocketFactory(EchoProtocol, framing="u16"))
        self.assertEqual(client.ask(frame(TEXT, b"a" * 65536))[0][1][:2], b"\x03\xf1")


class RawTests(SynchronousTestCase):
    """
    Text messages to a server without messages.
    """

    def test_socket(self) -> None:
        """
        A text message counts as its bytes, and is answered with text.
        """
        client = WebClient(BinarySocketFactory(BinaryEcho))
        self.assertEqual(client.ask(frame(TEXT, b"ab")), [(TEXT, b"ab")])
        self.assertEqual(client.ask(frame(BINARY, b"\xff")), [(BINARY, b"\xff")])

    def test_fragments(self) -> None:
        """
        The fragments of a text message are delivered as they are received.
        """
        client = WebClient(BinarySocketFactory(BinaryEcho), maxFrame=100)
        for first in (TEXT, CONT, CONT):
            answer = client.ask(frame(first, b"a" * 60, fin=False))
            self.assertEqual(answer, [(TEXT, b"a" * 60)])


class SubprotocolTests(SynchronousTestCase):
    """
    Subprotocols.
    """

    def agreed(self, offered: bytes, **options: Any) -> bytes:
        """
        Return the server's response to a client that offers subprotocols.
        """
        header = b"Sec-WebSocket-Protocol: " + offered + b"\r\n\r\n"
        request = REQUEST[:-2] + header
        client = WebClient(Factory.forProtocol(BinaryEcho), request, **options)
        return client.response

    def test_binary(self) -> None:
        """
        The server agrees to C{binary} if a client offers it, since some clients require it.
        """
        self.assertIn(b"Sec-WebSocket-Protocol: binary\r\n", self.agreed(b"base64, binary"))

    def test_others(self) -> None:
        """
        The server agrees to the other subprotocols of its settings. A client that offers none
        gets none: browsers would refuse it.
        """
        self.assertEqual(self.agreed(b"chat"), RESPONSE)
        response = self.agreed(b"binary, chat", subprotocols=["chat"])
        self.assertIn(b"Sec-WebSocket-Protocol: chat\r\n", response)
        self.assertEqual(WebClient(Factory.forProtocol(BinaryEcho)).response, RESPONSE)
