"""
Tests for L{openfl_twisted.protocols.telnet}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.telnet import TelnetFactory, TelnetProtocol, checkEncoding
from openfl_twisted.wire.telnet import escape
from tests.doubles import TightTransport
from tests.segments import cutStreams


class Reader(TelnetProtocol):
    """
    Collects received text.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def textReceived(self, text: str) -> None:
        self.texts.append(text)


def connect(
    encoding: str | None = None, newline: bytes | None = None
) -> tuple[Reader, TightTransport]:
    """
    Connect a protocol of a factory to a server.
    """
    factory = TelnetFactory(Reader, encoding=encoding, newline=newline)
    protocol = factory.buildProtocol(None)
    assert isinstance(protocol, Reader)
    transport = TightTransport(protocol, 1000)
    protocol.makeConnection(transport)
    return protocol, transport


class ReadTests(SynchronousTestCase):
    """
    Receiving text.
    """

    @given(
        cutStreams(st.text(st.characters(codec="utf-8", exclude_characters="\r")).map(str.encode))
    )
    def test_anyCut(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        Characters are complete, however the stream is split.
        """
        stream, pieces = cut
        protocol, _ = connect()
        for piece in pieces:
            protocol.dataReceived(piece)
        self.assertEqual("".join(protocol.texts), stream.decode())
        self.assertNotIn("", protocol.texts)

    @given(cutStreams(st.binary()))
    def test_anyBytes(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        For any bytes, the text and the answers do not depend on how the stream is
        split.
        """
        stream, pieces = cut
        (whole, wholeTransport), (protocol, transport) = connect(), connect()
        whole.dataReceived(stream)
        for piece in pieces:
            protocol.dataReceived(piece)
        for each in (whole, protocol):
            each.connectionLost(Failure(ConnectionDone()))
        self.assertEqual("".join(protocol.texts), "".join(whole.texts))
        self.assertEqual(transport.value(), wholeTransport.value())

    def test_options(self) -> None:
        """
        Options that the server requests are refused, in one write, before the text is
        delivered.
        """
        protocol, transport = connect()
        protocol.dataReceived(b"a\xff\xfd\x01\xff\xfb\x03b\r\n")
        self.assertEqual(transport.writes, [b"\xff\xfc\x01\xff\xfe\x03"])
        self.assertEqual(protocol.texts, ["ab\n"])

    def test_encoding(self) -> None:
        """
        Other encodings are decoded, including the byte that Telnet escapes.
        """
        protocol, _ = connect("latin-1")
        protocol.dataReceived(b"gr\xfc\xff\xff")
        self.assertEqual(protocol.texts, ["gr\xfc\xff"])

    def test_brokenText(self) -> None:
        """
        Undecodable bytes become U+FFFD, at the end, too.
        """
        protocol, transport = connect()
        protocol.dataReceived(b"a\x80b\xc3")
        self.assertEqual(protocol.texts, ["a\ufffdb"])
        protocol.readConnectionLost()
        self.assertEqual(protocol.texts, ["a\ufffdb", "\ufffd"])
        self.assertTrue(transport.closed)

    def test_nothingAfterTheEnd(self) -> None:
        """
        After C{loseConnection}, no text is delivered.
        """
        protocol, transport = connect()
        transport.atOnce = False
        protocol.dataReceived(b"a\xc3")
        protocol.transport.loseConnection()
        protocol.dataReceived(b"\xa4")
        transport.drain()
        self.assertTrue(transport.closed)
        self.assertEqual(protocol.texts, ["a"])

    def test_notOverridden(self) -> None:
        """
        Subclasses must implement C{textReceived}.
        """
        protocol = TelnetProtocol()
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(b"a")
        [error] = self.flushLoggedErrors(NotImplementedError)
        self.assertEqual(str(error.value), "TelnetProtocol must override textReceived")


class WriteTests(SynchronousTestCase):
    """
    Sending lines.
    """

    def test_sendLine(self) -> None:
        """
        Lines are terminated by CR and LF, or by the configured newline.
        """
        protocol, transport = connect()
        protocol.sendLine("grüße")
        self.assertEqual(transport.value(), "grüße\r\n".encode())
        protocol, transport = connect(newline=b"\n")
        protocol.sendLine("")
        self.assertEqual(transport.value(), b"\n")

    @given(st.text(st.characters(codec="latin-1")))
    def test_escaped(self, line: str) -> None:
        """
        The IAC byte is escaped.
        """
        protocol, transport = connect("latin-1")
        protocol.sendLine(line)
        self.assertEqual(transport.value(), escape(line.encode("latin-1")) + b"\r\n")

    def test_notInTheCharacterSet(self) -> None:
        """
        Unencodable characters become question marks.
        """
        for encoding, line in [("latin-1", "5 \u20ac"), (None, "5 \ud800")]:
            protocol, transport = connect(encoding)
            protocol.sendLine(line)
            self.assertEqual(transport.value(), b"5 ?\r\n")


class FactoryTests(SynchronousTestCase):
    """
    The settings of L{TelnetFactory}.
    """

    def test_settings(self) -> None:
        """
        The settings of the factory override those of the protocol's class.
        """
        protocol = TelnetFactory(Reader, encoding="koi8-r", newline=b"\n", maxQueue=7)
        made = protocol.buildProtocol(None)
        assert made is not None
        made.makeConnection(StringTransport())
        self.assertEqual((made.encoding, made.newline, made.limits.maxQueue), ("koi8-r", b"\n", 7))

    def test_encodings(self) -> None:
        """
        Unknown encodings, and encodings that are not a superset of ASCII, are refused.
        """
        for name in ["utf-8", "latin-1", "cp1252", "koi8-r", "shift_jis"]:
            self.assertEqual(checkEncoding(name), name)
        for name in ["", "nope", "hex", "idna", "a\0b", "undefined"]:
            error = self.assertRaises(ValueError, checkEncoding, name)
            self.assertEqual(str(error), f"unknown character set {name!r}")
        for name in ["utf-16", "utf-8-sig", "cp037", "punycode"]:
            error = self.assertRaises(ValueError, TelnetFactory, Reader, encoding=name)
            self.assertIn("must be a superset of ASCII", str(error))
