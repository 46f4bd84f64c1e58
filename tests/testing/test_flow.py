"""
Tests for L{openfl_twisted.testing.flow}.
"""

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.testing import (
    ConnectedPair,
    Flow,
    MemoryNetwork,
    Peer,
    connectedPair,
    everyByte,
    splitAt,
)
from openfl_twisted.testing.flow import WINDOW


class FlowTestCase(SynchronousTestCase):
    """
    Two peers with a connection between them.
    """

    def setUp(self) -> None:
        """
        Connect them.
        """
        self.network = MemoryNetwork()
        self.pair: ConnectedPair[Peer, Peer] = connectedPair(Peer(), Peer(), network=self.network)
        self.sender, self.reader = self.pair.client, self.pair.server
        self.flow: Flow = self.pair.connection.toServer

    def send(self, data: bytes) -> None:
        """
        Send, and let it arrive as far as it does.
        """
        self.sender.send(data)
        self.network.flush()


class CutTests(FlowTestCase):
    """
    A test says where the stream is cut.
    """

    def test_whole(self) -> None:
        """
        What is written in one turn is one segment.
        """
        self.sender.send(b"ab")
        self.sender.send(b"cd")
        self.network.flush()
        self.send(b"ef")
        self.assertEqual(self.reader.segments, [b"abcd", b"ef"])

    def test_cut(self) -> None:
        """
        Sizes cut what is written later, over many writes; then it is whole
        again. A size that is not above 0 does not count.
        """
        self.flow.split([1, 0, 3, -2, 2])
        for data in (b"ab", b"cdef", b"ghi"):
            self.send(data)
        self.assertEqual(self.reader.segments, [b"a", b"b", b"cd", b"ef", b"ghi"])

    def test_everyByte(self) -> None:
        """
        Each byte can be a segment.
        """
        self.flow.split(everyByte())
        self.send(b"abc")
        self.assertEqual(self.reader.segments, [b"a", b"b", b"c"])

    def test_cutAt(self) -> None:
        """
        Places are counted from where one is.
        """
        self.flow.split(splitAt(5, 2))
        self.send(b"abcdefg")
        self.assertEqual(self.reader.segments, [b"ab", b"cde", b"fg"])

    @given(st.binary(min_size=1, max_size=60), st.lists(st.integers(0, 20)))
    def test_anyCut(self, data: bytes, sizes: list[int]) -> None:
        """
        Any sizes cut just there, lose nothing, and invent nothing.
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
    A test says when something arrives.
    """

    def test_latency(self) -> None:
        """
        A segment is on its way as long as is said when it is written.
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
        A segment never overtakes another one, even when it is faster.
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
        What is held arrives segment by segment, or all at once; the end is a
        segment too.
        """
        self.flow.hold()
        self.flow.split(everyByte())
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
        A cable that is pulled tells nobody, and what is sent is lost for good.
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
        A connection can be dropped in both directions.
        """
        self.pair.connection.drop()
        self.send(b"lost")
        self.reader.send(b"lost")
        self.network.flush()
        self.assertEqual((self.reader.segments, self.sender.segments), ([], []))


class StallTests(FlowTestCase):
    """
    A reader is slow.
    """

    def test_stall(self) -> None:
        """
        What comes to a reader that does not read waits, up to the window; then
        it waits at the writer. All of it comes once he reads.
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
        The producer of a writer is paused while his transport is full.
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
        A reader that pauses its transport has as little.
        """
        self.reader.transport.pauseProducing()
        self.send(b"later")
        self.assertEqual((self.flow.unread, self.reader.segments), (5, []))
        self.reader.transport.resumeProducing()
        self.network.flush()
        self.assertEqual(self.reader.segments, [b"later"])

    def test_longSegment(self) -> None:
        """
        A reader takes at most 64 KiB at a time.
        """
        self.send(bytes(100_000))
        self.assertEqual([len(each) for each in self.reader.segments], [65536, 34464])


class EndTests(FlowTestCase):
    """
    A connection ends in the ways that there are.
    """

    def test_close(self) -> None:
        """
        What was sent comes before the end.
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
        A reset is no clean end.
        """
        self.sender.abort()
        self.network.flush()
        self.assertIsInstance(self.reader.reason, ConnectionLost)
        self.assertTrue(self.sender.closed)

    def test_reset(self) -> None:
        """
        A network that resets takes from both sides what is on its way.
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
        Who has sent all can still read, if the other side allows it.
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
        Who closes before he has read all resets, as Linux does.
        """
        self.flow.stall()
        self.send(b"never read")
        self.reader.close()
        self.network.flush()
        self.assertTrue(self.reader.closed)
        self.assertTrue(self.sender.closed)

    def test_sentToTheClosed(self) -> None:
        """
        Who sends to somebody who has closed is told so, once it has arrived.
        """
        self.pair.connection.toClient.hold()
        self.reader.close()
        self.network.flush()
        self.send(b"too late")
        self.assertFalse(self.sender.closed)
        self.pair.connection.toClient.release()
        self.network.flush()
        self.assertTrue(self.sender.closed)
