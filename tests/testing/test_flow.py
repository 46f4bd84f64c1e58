"""
Tests for L{openfl_twisted.testing._flow}.
"""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.testing import (
    EVERY_BYTE,
    ConnectedPair,
    Flow,
    MemoryNetwork,
    Peer,
    atOffsets,
    connectedPair,
)
from openfl_twisted.testing._flow import WINDOW


class FlowTestCase(SynchronousTestCase):
    """
    Base class: two connected peers.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.pair: ConnectedPair[Peer, Peer] = connectedPair(Peer(), Peer(), network=self.network)
        self.sender, self.reader = self.pair.client, self.pair.server
        self.flow: Flow = self.pair.connection.toServer

    def send(self, data: bytes) -> None:
        """
        Send data, and flush the network.
        """
        self.sender.send(data)
        self.network.flush()


class SplitTests(FlowTestCase):
    """
    L{Flow.split} splits the stream.
    """

    def test_whole(self) -> None:
        """
        Data written in one iteration is one segment.
        """
        self.sender.send(b"ab")
        self.sender.send(b"cd")
        self.network.flush()
        self.send(b"ef")
        self.assertEqual(self.reader.segments, [b"abcd", b"ef"])

    def test_split(self) -> None:
        """
        The sizes split later data, over several writes; then it is not split. Sizes
        below 1 are ignored.
        """
        self.flow.split([1, 0, 3, -2, 2])
        for data in (b"ab", b"cdef", b"ghi"):
            self.send(data)
        self.assertEqual(self.reader.segments, [b"a", b"b", b"cd", b"ef", b"ghi"])

    def test_everyByte(self) -> None:
        """
        Each byte can be a segment.
        """
        self.flow.split(EVERY_BYTE)
        self.send(b"abc")
        self.assertEqual(self.reader.segments, [b"a", b"b", b"c"])

    def test_atOffsets(self) -> None:
        """
        Places count from the current position in the stream.
        """
        self.flow.split(atOffsets(5, 2))
        self.send(b"abcdefg")
        self.assertEqual(self.reader.segments, [b"ab", b"cde", b"fg"])

    @given(st.binary(min_size=1, max_size=60), st.lists(st.integers(0, 20)))
    def test_anySplit(self, data: bytes, sizes: list[int]) -> None:
        """
        Any sizes split exactly there, without losing or adding data.
        """
        self.setUp()
        self.flow.split(sizes)
        self.send(data)
        places = [place for place in accumulate(sizes) if place < len(data)]
        ends = sorted({place for place in places if place > 0} | {len(data)})
        self.assertEqual(list(accumulate(map(len, self.reader.segments))), ends)
        self.assertEqual(self.reader.received, data)


class DelayTests(FlowTestCase):
    """
    A test delays and drops data.
    """

    def test_latency(self) -> None:
        """
        A segment arrives after the latency at the time of writing.
        """
        self.flow.latency = 0.25
        self.send(b"slow")
        self.assertEqual((self.flow.inFlight, self.flow.delivered), (4, 0))
        self.network.advance(0.24)
        self.assertEqual(self.reader.received, b"")
        self.network.advance(0.01)
        self.assertEqual(self.reader.received, b"slow")
        self.assertEqual((self.flow.inFlight, self.flow.delivered), (0, 4))

    def test_order(self) -> None:
        """
        Segments stay in order if the latency decreases.
        """
        self.flow.latency = 1
        self.send(b"one ")
        self.flow.latency = 0
        self.send(b"two")
        self.assertEqual(self.reader.received, b"")
        self.network.advance(1)
        self.assertEqual(self.reader.received, b"one two")

    def test_hold(self) -> None:
        """
        Held segments are released one by one or together; the FIN is a segment too.
        """
        self.flow.hold()
        self.flow.split(EVERY_BYTE)
        self.send(b"abc")
        self.sender.close()
        self.network.advance(60)
        self.assertEqual(self.reader.segments, [])
        self.flow.release(2)
        self.network.flush()
        self.assertEqual(self.reader.segments, [b"a", b"b"])
        self.flow.release()
        self.network.flush()
        self.assertEqual(self.reader.segments, [b"a", b"b", b"c"])
        self.assertIsInstance(self.reader.reason, ConnectionDone)

    def test_drop(self) -> None:
        """
        Dropped data is lost, and neither side is notified.
        """
        self.flow.drop()
        self.send(b"lost")
        self.flow.release(1)
        self.flow.release()
        self.sender.abort()
        self.network.advance(60)
        self.assertEqual((self.reader.segments, self.reader.closed), ([], False))

    def test_bothDropped(self) -> None:
        """
        A connection is dropped in both directions.
        """
        self.pair.connection.drop()
        self.send(b"lost")
        self.reader.send(b"lost")
        self.network.flush()
        self.assertEqual((self.reader.segments, self.sender.segments), ([], []))


class StallTests(FlowTestCase):
    """
    The reader is slow.
    """

    def test_stall(self) -> None:
        """
        Data for a stalled reader is buffered up to the window, then at the writer.
        All of it arrives after L{Flow.resume}.
        """
        self.flow.window = 10
        self.flow.stall()
        self.send(b"x" * 25)
        self.assertEqual((self.flow.unread, self.flow.delivered), (10, 10))
        self.assertEqual(self.reader.segments, [])
        self.flow.resume()
        self.network.flush()
        self.assertEqual(self.reader.segments, [b"x" * 10, b"x" * 10, b"x" * 5])

    def test_backpressure(self) -> None:
        """
        The producer of a writer is paused while the transport is full.
        """
        told: list[str] = []

        class Producer:
            def pauseProducing(self) -> None:
                told.append("pause")

            def resumeProducing(self) -> None:
                told.append("resume")

            def stopProducing(self) -> None:
                told.append("stop")

        self.sender.transport.registerProducer(Producer(), True)
        self.flow.stall()
        self.send(bytes(WINDOW))
        self.assertEqual(told, ["pause", "resume"])
        self.send(bytes(100_000))
        self.assertEqual(told, ["pause", "resume", "pause"])
        self.flow.resume()
        self.network.flush()
        self.assertEqual(told, ["pause", "resume", "pause", "resume"])
        self.sender.abort()
        self.network.flush()
        self.assertEqual(told[4:], ["stop"])

    def test_pausedByTheProtocol(self) -> None:
        """
        A paused transport buffers data too.
        """
        self.reader.transport.pauseProducing()
        self.send(b"later")
        self.assertEqual((self.flow.unread, self.reader.segments), (5, []))
        self.reader.transport.resumeProducing()
        self.network.flush()
        self.assertEqual(self.reader.segments, [b"later"])

    def test_longSegment(self) -> None:
        """
        A reader receives at most 64 KiB at a time.
        """
        self.send(bytes(100_000))
        self.assertEqual([len(each) for each in self.reader.segments], [65536, 34464])


class EndTests(FlowTestCase):
    """
    A connection ends.
    """

    def test_close(self) -> None:
        """
        Pending data arrives before the end.
        """
        self.sender.send(b"last")
        self.sender.close()
        self.network.flush()
        self.assertEqual(self.reader.received, b"last")
        self.assertIsInstance(self.reader.reason, ConnectionDone)
        self.assertIsInstance(self.sender.reason, ConnectionDone)
        self.assertTrue(self.pair.connection.closed)

    def test_abort(self) -> None:
        """
        The other side loses an aborted connection uncleanly.
        """
        self.sender.abort()
        self.network.flush()
        self.assertIsInstance(self.reader.reason, ConnectionLost)
        self.assertTrue(self.sender.closed)

    def test_reset(self) -> None:
        """
        A reset by the network loses the data in flight, on both sides.
        """
        self.flow.latency = 1
        self.send(b"lost")
        self.pair.connection.reset()
        self.network.flush()
        self.assertEqual(self.reader.segments, [])
        for each in (self.sender, self.reader):
            self.assertIsInstance(each.reason, ConnectionLost)
        self.network.advance(10)
        self.assertEqual(self.reader.segments, [])

    def test_halfClosed(self) -> None:
        """
        After a half-close, data in the other direction still arrives.
        """
        self.reader.transport.stopReading()
        self.sender.transport.loseWriteConnection()
        self.network.flush()
        self.assertTrue(self.flow.finished)
        self.reader.send(b"answer")
        self.network.flush()
        self.assertEqual(self.sender.received, b"answer")
        self.assertFalse(self.sender.closed)

    def test_unreadAtTheEnd(self) -> None:
        """
        Closing with unread data resets the connection, as on Linux.
        """
        self.flow.stall()
        self.send(b"never read")
        self.reader.close()
        self.network.flush()
        self.assertTrue(self.reader.closed)
        self.assertTrue(self.sender.closed)

    def test_sentToTheClosed(self) -> None:
        """
        Data that arrives at a closed socket resets the connection.
        """
        self.pair.connection.toClient.hold()
        self.reader.close()
        self.network.flush()
        self.send(b"too late")
        self.assertFalse(self.sender.closed)
        self.pair.connection.toClient.release()
        self.network.flush()
        self.assertTrue(self.sender.closed)
