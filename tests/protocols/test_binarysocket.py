"""
Tests for L{openfl_twisted.protocols.binarysocket}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.wire.dataio import LITTLE_ENDIAN
from tests.doubles import TightTransport, linesOf
from tests.segments import cutStreams


class Adder(BinarySocketProtocol):
    """
    Reads pairs of numbers, each as soon as it is complete, and answers with their sum.
    """

    maxUnread = 20

    def __init__(self) -> None:
        self.loaded: list[int] = []

    def socketDataReceived(self, bytesLoaded: int) -> None:
        self.loaded.append(bytesLoaded)
        while self.bytesAvailable >= 8:
            self.writeInt(self.readInt() + self.readInt())


class Idle(BinarySocketProtocol):
    """
    Leaves all data unread.
    """

    maxUnread = 20

    def socketDataReceived(self, bytesLoaded: int) -> None:
        pass


def connect(protocol: BinarySocketProtocol) -> TightTransport:
    """
    Connect a protocol to a peer.
    """
    transport = TightTransport(protocol, 100)
    protocol.makeConnection(transport)
    return transport


class ReadTests(SynchronousTestCase):
    """
    Received data is kept until it is read.
    """

    def test_read(self) -> None:
        """
        Unread data is kept; C{bytesLoaded} counts the data just received.
        """
        adder = Adder()
        transport = connect(adder)
        adder.dataReceived(b"\0\0\0\1\0\0")
        self.assertEqual((adder.bytesAvailable, transport.writes), (6, []))
        adder.dataReceived(b"\0\2\0")
        self.assertEqual((adder.bytesAvailable, transport.writes), (1, [b"\0\0\0\3"]))
        self.assertEqual(adder.loaded, [6, 3])

    def test_tooFew(self) -> None:
        """
        A read that needs more bytes than available removes nothing.
        """
        idle = Idle()
        connect(idle)
        idle.dataReceived(b"abc")
        self.assertRaises(EOFError, idle.readInt)
        self.assertRaises(EOFError, idle.readUTFBytes, -1)
        self.assertEqual(idle.readUTFBytes(3), "abc")

    @given(cutStreams(st.binary(max_size=40)))
    def test_anyCut(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        The answers do not depend on how the stream is split.
        """
        stream, pieces = cut
        whole, adder = Adder(), Adder()
        wholeTransport, transport = connect(whole), connect(adder)
        whole.dataReceived(stream)
        for piece in pieces:
            adder.dataReceived(piece)
        self.assertEqual(transport.value(), wholeTransport.value())

    def test_tooMuchUnread(self) -> None:
        """
        If a program leaves too much data unread, the connection is closed, with a log
        line.
        """
        idle = Idle()
        transport = connect(idle)
        with capturedLogs() as logs:
            idle.dataReceived(b"x" * 20)
            self.assertFalse(transport.closed)
            idle.dataReceived(b"x")
        self.assertTrue(transport.closed)
        [line] = linesOf(logs)
        self.assertEqual(line, "192.168.1.1:54321 disconnected: unread data exceeded 20 bytes")

    def test_notOverridden(self) -> None:
        """
        Subclasses must implement C{socketDataReceived}.
        """
        protocol = BinarySocketProtocol()
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(b"a")
        [error] = self.flushLoggedErrors(NotImplementedError)
        self.assertEqual(str(error.value), "BinarySocketProtocol must override socketDataReceived")


class WriteTests(SynchronousTestCase):
    """
    Written data is held until C{flush}.
    """

    def test_flush(self) -> None:
        """
        Nothing is sent before C{flush}, and then all data in one write.
        """
        idle = Idle()
        transport = connect(idle)
        idle.writeShort(1)
        idle.endian = LITTLE_ENDIAN
        idle.writeShort(1)
        self.assertEqual((idle.bytesPending, transport.writes), (4, []))
        idle.flush()
        self.assertEqual((idle.bytesPending, transport.writes), (0, [b"\0\1\1\0"]))
        idle.flush()
        self.assertEqual(transport.writes, [b"\0\1\1\0"])

    def test_pendingForThePeer(self) -> None:
        """
        Data in the send queue counts as pending.
        """
        idle = Idle()
        transport = connect(idle)
        for _ in range(2):
            idle.writeUTFBytes("x" * 101)
            idle.flush()
        self.assertEqual(idle.bytesPending, 101)
        transport.drain()
        self.assertEqual(idle.bytesPending, 0)

    def test_closeDropsUnflushed(self) -> None:
        """
        Data that was not flushed before the close is dropped, as in Flash.
        """

        class Hasty(Idle):
            def socketDataReceived(self, bytesLoaded: int) -> None:
                self.writeByte(1)
                self.flush()
                self.writeByte(2)
                self.transport.loseConnection()

        hasty = Hasty()
        transport = connect(hasty)
        hasty.dataReceived(b"a")
        self.assertEqual(transport.drainAll(), b"\1")

    def test_lost(self) -> None:
        """
        After the connection is lost, there is no data to read.
        """
        idle = Idle()
        connect(idle)
        idle.dataReceived(b"abc")
        idle.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(idle.bytesAvailable, 0)


class FactoryTests(SynchronousTestCase):
    """
    L{BinarySocketFactory} sets limits.
    """

    def test_limits(self) -> None:
        """
        The limits of the factory override those of the protocol's class.
        """
        protocol = BinarySocketFactory(Idle, maxUnread=7, maxQueue=8).buildProtocol(None)
        assert protocol is not None
        protocol.makeConnection(TightTransport(protocol))
        self.assertEqual((protocol.limits.maxUnread, protocol.limits.maxQueue), (7, 8))
        protocol = BinarySocketFactory(Idle).buildProtocol(None)
        assert protocol is not None
        protocol.makeConnection(TightTransport(protocol))
        self.assertEqual(protocol.limits.maxUnread, 20)

    def test_noLimit(self) -> None:
        """
        With C{maxUnread} 0, any amount of data can be unread.
        """
        protocol = BinarySocketFactory(Idle, maxUnread=0).buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 1000)
        protocol.makeConnection(transport)
        transport.arrive(bytes(100))
        self.assertEqual((protocol.bytesAvailable, transport.disconnecting), (100, False))
