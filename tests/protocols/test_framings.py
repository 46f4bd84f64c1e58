"""
L{openfl_twisted.protocols.xmlsocket} with framings other than NUL bytes.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, RoomProtocol
from openfl_twisted.wire.framing import FRAMINGS
from tests.doubles import linesOf
from tests.segments import cuts

FRAMED = sorted(FRAMINGS.keys() - {"raw"})


class Told(XMLSocketProtocol):
    """
    Stores the messages.
    """

    messages: list[str]

    def connectionMade(self) -> None:
        self.messages = []

    def messageReceived(self, message: str) -> None:
        self.messages.append(message)


class ToldLists(Told):
    """
    Stores the messages of each read together.
    """

    def messagesReceived(self, messages: list[str]) -> None:
        self.messages += messages


class ToldBytes(Told):
    """
    Stores the messages that arrive as bytes.
    """

    def lineReceived(self, line: bytes) -> None:
        self.messages.append(line.decode())


def serve(factory: XMLSocketFactory[Any]) -> tuple[Any, StringTransport]:
    """
    Connect a client.

    @return: the protocol of the server, and its transport.
    """
    protocol: Any = factory.buildProtocol(None)
    transport = StringTransport()
    protocol.makeConnection(transport)
    return protocol, transport


class FramingTests(SynchronousTestCase):
    """
    The C{framing} of a protocol or a factory.
    """

    @given(st.data())
    def test_segments(self, data: Any) -> None:
        """
        The messages are the same, however the stream is split, for each kind of handler.
        """
        framing = FRAMINGS[data.draw(st.sampled_from(FRAMED))]
        texts = st.text(
            st.characters(exclude_characters="\0\r\n", codec="utf-8"), max_size=20
        ).filter(lambda text: not text.startswith(("<policy", "GET")))
        messages = ["x", *data.draw(st.lists(texts, max_size=5))]
        stream = b"".join(framing.frame(message.encode()) for message in messages)
        chunks = data.draw(cuts(stream))
        for handler in (Told, ToldLists, ToldBytes):
            protocol, _ = serve(XMLSocketFactory(handler, framing=framing.name))
            for chunk in chunks:
                protocol.dataReceived(chunk)
            self.assertEqual(protocol.messages, messages)
            self.assertEqual(protocol.factory.messagesIn, len(messages))

    def test_raw(self) -> None:
        """
        With C{raw}, each chunk is a message.
        """
        protocol, transport = serve(XMLSocketFactory(EchoProtocol, framing="raw", maxLength=1))
        protocol.dataReceived(b"ab\0")
        protocol.dataReceived(b"c")
        self.assertEqual(transport.value(), b"ab\0c")

    def test_rawRequest(self) -> None:
        """
        With C{raw}, too, the first bytes are inspected: an HTTP request is refused.
        """
        protocol, transport = serve(XMLSocketFactory(EchoProtocol, framing="raw"))
        for chunk in (b"GET / HTTP/1.1", b"\r\nHost: h\r\n\r\n"):
            self.assertEqual(transport.value(), b"")
            protocol.dataReceived(chunk)
        self.assertEqual(transport.value()[:12], b"HTTP/1.1 400")
        self.assertTrue(transport.disconnecting)

    @given(st.sampled_from(["lines", "crlf", "nul"]), st.data())
    def test_request(self, name: str, data: Any) -> None:
        """
        An HTTP request with an unregistered method is refused, and none of its lines is a message.
        """
        protocol, transport = serve(XMLSocketFactory(Told, framing=name))
        request = b"WORD / HTTP/1.1\r\nHost: h\r\n\r\n<attack/>\r\n\0"
        for chunk in data.draw(cuts(request)):
            if not transport.disconnecting:
                protocol.dataReceived(chunk)
        self.assertEqual(protocol.messages, [])
        self.assertEqual(transport.value()[:12], b"HTTP/1.1 400")
        self.assertTrue(transport.disconnecting)

    def test_nulInside(self) -> None:
        """
        With another framing, a message can contain NUL characters.
        """
        protocol, transport = serve(XMLSocketFactory(Told, framing="u16"))
        protocol.dataReceived(b"\0\3a\0b")
        self.assertEqual(protocol.messages, ["a\0b"])
        protocol.sendMessage("c\0d")
        self.assertEqual(transport.value(), b"\0\3c\0d")

    def test_sent(self) -> None:
        """
        All methods that send use the framing.
        """
        for name, framing in FRAMINGS.items():
            factory = XMLSocketFactory(Told, framing=name)
            protocol, transport = serve(factory)
            expected = b""
            long = "\u20ac" * 100_000
            calls: tuple[tuple[Callable[[Any], object], Any], ...] = (
                (protocol.sendMessage, "a"),
                (protocol.sendMessage, long),
                (protocol.sendMessages, ["a", "b"]),
                (protocol.sendMessages, ["a"]),
                (protocol.sendMessages, []),
                (protocol.sendLine, b"a"),
                (factory.broadcast, "a"),
                (factory.broadcastMessages, ["a", "b"]),
            )
            for send, argument in calls:
                if name == "u16" and argument is long:
                    self.assertRaises(ValueError, send, argument)
                    continue
                send(argument)
                items = argument if isinstance(argument, list) else [argument]
                texts = [item if isinstance(item, bytes) else item.encode() for item in items]
                expected += b"".join(map(framing.frame, texts))
                self.assertEqual(transport.value(), expected)

    def test_classAttribute(self) -> None:
        """
        The framing can be an attribute of the protocol; that of the factory takes precedence.
        """

        class Lines(Told):
            framing = "lines"

        for factory, stream in (
            (XMLSocketFactory(Lines), b"ab\n"),
            (XMLSocketFactory(lambda: Lines()), b"ab\n"),
            (XMLSocketFactory(Lines, framing="nul"), b"ab\0"),
        ):
            protocol, transport = serve(factory)
            protocol.dataReceived(stream)
            self.assertEqual(protocol.messages, ["ab"])
            factory.broadcast("c")
            self.assertEqual(transport.value(), b"c" + stream[-1:])
        alone = Lines()
        alone.makeConnection(StringTransport())
        alone.dataReceived(b"ab\r\nc")
        self.assertEqual(alone.messages, ["ab"])

    def test_unknown(self) -> None:
        """
        An unknown framing is an error when the class or the factory is created.
        """
        wrong = "'xml' is not a framing: use one of nul, lines"
        error = self.assertRaises(ValueError, XMLSocketFactory, Told, framing="xml")
        self.assertIn(wrong, str(error))
        error = self.assertRaises(ValueError, type, "XML", (Told,), {"framing": "xml"})
        self.assertIn(wrong, str(error))
        error = self.assertRaises(ValueError, type, "XML", (Told,), {"framing": None})
        self.assertIn("None is not a framing", str(error))

    def test_tooLong(self) -> None:
        """
        A message above the limit closes the connection; earlier messages are delivered. Messages
        can be sent before it is closed.
        """

        class Explaining(Told):
            def lineLengthExceeded(self, line: Exception) -> None:
                self.sendMessage(str(line))

        for name in FRAMED:
            framing = FRAMINGS[name]
            protocol, transport = serve(XMLSocketFactory(Explaining, framing=name, maxLength=5))
            protocol.dataReceived(framing.frame(b"a") + framing.frame(b"b" * 20))
            self.assertEqual(protocol.messages, ["a"])
            self.assertTrue(transport.disconnecting)
            explained = framing.frame(b"a message is longer than 5 bytes")
            self.assertEqual(transport.value(), explained)

    def test_end(self) -> None:
        """
        An incomplete message at the end of the stream is dropped and logged, and messages can
        still be sent.
        """
        protocol, _ = serve(XMLSocketFactory(Told, framing="u32"))
        protocol.dataReceived(b"\0\0\0\2a")
        self.assertEqual(protocol.unprocessed, 5)
        with capturedLogs() as logs:
            protocol.readConnectionLost()
        self.assertIn("in the middle of a message; 5 bytes dropped", linesOf(logs)[0])
        protocol.connectionLost(connectionDone)
        self.assertEqual(protocol.messages, [])

    def test_rate(self) -> None:
        """
        The rate limits count the messages of the framing.
        """
        factory = XMLSocketFactory(Told, framing="lines", messageRate=1)
        protocol, transport = serve(factory)
        protocol.dataReceived(b"a\n" * 5)
        self.assertFalse(transport.disconnecting)
        protocol.dataReceived(b"a\n")
        self.assertTrue(transport.disconnecting)

    def test_rooms(self) -> None:
        """
        Rooms require NUL bytes, since they send encoded messages.
        """

        class Lines(RoomProtocol):
            framing = "lines"

        for create in (
            lambda: RoomFactory(Lines, Lobby()),
            lambda: RoomFactory(RoomProtocol, Lobby(), framing="lines"),
        ):
            error = self.assertRaises(ValueError, create)
            self.assertEqual(str(error), "rooms require the framing nul, not lines")
