"""
Tests for L{openfl_twisted.transports.buffered} and
L{openfl_twisted.protocols.streamprotocol}.
"""

import io
from typing import cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import ITransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.protocols.basic import FileSender
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.transports import buffered, progress
from openfl_twisted.transports.buffered import BufferedTransport
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.flowcontrol import PushAdapter
from openfl_twisted.transports.limits import ConnectionLimits
from openfl_twisted.transports.progress import ProgressTransport
from tests.doubles import (
    RecordingProducer,
    TightTransport,
    batch,
    linesOf,
)


class Sender(StreamProtocol):
    """
    Writes each received byte separately. Capital letters are commands.
    """

    maxQueue = 20

    def bytesReceived(self, data: bytes) -> None:
        for byte in data:
            match chr(byte):
                case "L":
                    self.transport.loseConnection()
                case "A":
                    self.transport.abortConnection()
                case "H":
                    self.transport.loseWriteConnection()
                case "X":
                    raise ValueError("a fault of the user's")
                case _:
                    self.transport.write(bytes([byte]))


class Owner:
    """
    Writes data, and records the calls of the connection.
    """

    def __init__(self, maxQueue: int = 1000) -> None:
        self.limits = ConnectionLimits(maxQueue=maxQueue)
        self.exceeded = 0
        self.queue: BufferedTransport | None = None
        self.pending: list[int] = []

    def sendQueueExceeded(self) -> None:
        self.exceeded += 1

    def queueDropped(self, chunks: list[bytes], sent: int) -> None:
        pass

    def handedOver(self) -> None:
        self.pending.append(cast("BufferedTransport", self.queue).pending)

    @property
    def unprocessed(self) -> int:
        return 0

    def chunkReceived(self, data: bytes) -> None:
        raise NotImplementedError

    @property
    def labels(self) -> dict[str, str]:
        raise NotImplementedError

    def limitExceeded(self, limit: str) -> None:
        raise NotImplementedError

    def disconnectedByOperator(self) -> None:
        raise NotImplementedError

    def handlerReturned(self, result: object) -> None:
        raise NotImplementedError

    def handlerFailed(self, reason: Failure) -> None:
        raise NotImplementedError

    def transportChanged(self, connection: Connection) -> None:
        raise NotImplementedError

    def getClock(self) -> Clock:
        return Clock()


def connect(room: int = 10) -> tuple[Sender, TightTransport]:
    """
    Connect a L{Sender} to a peer.
    """
    sender = Sender()
    transport = TightTransport(sender, room)
    sender.makeConnection(transport)
    return sender, transport


class OneWriteTests(SynchronousTestCase):
    """
    Data written during one read is sent in one write.
    """

    def test_oneWrite(self) -> None:
        """
        The replies to one chunk are joined.
        """
        sender, transport = connect()
        sender.dataReceived(b"abc")
        sender.dataReceived(b"de")
        self.assertEqual(transport.writes, [b"abc", b"de"])

    def test_sequenceInARead(self) -> None:
        """
        A sequence is joined with the other data of a read.
        """

        class Sequences(Sender):
            def bytesReceived(self, data: bytes) -> None:
                self.transport.writeSequence([data, b"-"])
                self.transport.write(data)

        sequences = Sequences()
        transport = TightTransport(sequences)
        sequences.makeConnection(transport)
        sequences.dataReceived(b"ab")
        self.assertEqual(transport.writes, [b"ab-ab"])

    def test_outsideARead(self) -> None:
        """
        Data written outside a read is sent immediately.
        """
        sender, transport = connect()
        sender.transport.write(b"a")
        self.assertEqual(transport.writes, [b"a"])
        sender.transport.writeSequence([b"b", b"", b"c"])
        self.assertEqual(transport.writes, [b"a", b"bc"])
        sender.transport.write(b"")
        self.assertEqual(transport.writes, [b"a", b"bc"])

    def test_manyReceivers(self) -> None:
        """
        During one read, the data for each of several connections is joined.
        """
        (one, _), (_, other) = connect(), connect()
        receiver = other.protocol
        assert isinstance(receiver, Sender)

        class Relay(Sender):
            def bytesReceived(self, data: bytes) -> None:
                for byte in data:
                    receiver.transport.write(bytes([byte]))

        relay = Relay()
        relay.makeConnection(StringTransport())
        relay.dataReceived(b"abc")
        self.assertEqual(other.writes, [b"abc"])
        self.assertEqual(one.transport.pending, 0)

    def test_faultInAHandler(self) -> None:
        """
        If a handler raises, the exception is logged, data written before is sent, and the
        connection is closed. No further data is received.
        """
        sender, transport = connect()
        sender.dataReceived(b"abXc")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertTrue(sender.transport.disconnecting)
        self.assertEqual(transport.writes, [b"ab"])
        sender.dataReceived(b"d")
        self.assertEqual(transport.writes, [b"ab"])

    def test_faultyReceiver(self) -> None:
        """
        A connection whose transport raises is aborted, with a log line; the others
        receive their data.
        """

        class Faulty(TightTransport):
            def write(self, data: bytes) -> None:
                raise ValueError("a fault of the transport's")

        faulty, other = Sender(), connect()[1]
        faulty.makeConnection(Faulty(faulty))
        receivers = [faulty, cast("Sender", other.protocol)]

        class Relay(Sender):
            def bytesReceived(self, data: bytes) -> None:
                for receiver in receivers:
                    receiver.transport.write(data)

        relay = Relay()
        relay.makeConnection(StringTransport())
        relay.dataReceived(b"abc")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(other.writes, [b"abc"])
        self.assertTrue(faulty.transport.disconnecting)

    def test_manySmallPieces(self) -> None:
        """
        A queue of very small chunks uses about as much memory as its bytes.
        """
        sender, transport = connect(room=0)
        sender.limits = ConnectionLimits(maxQueue=10_000)
        sender.transport.write(b"first")
        expected = b"first"
        for number in range(4000):
            piece = b"%02d" % (number % 100)
            sender.transport.write(piece)
            expected += piece
        self.assertLess(len(sender.transport._unsent or []), 1010)
        self.assertEqual(transport.drainAll(), expected)

    def test_startTLS(self) -> None:
        """
        Data written before C{startTLS} is sent before TLS starts.
        """
        begun = []

        class Upgraded(TightTransport):
            def startTLS(self, context: object) -> None:
                begun.append(self.value())

        class Upgrading(Sender):
            def bytesReceived(self, data: bytes) -> None:
                self.transport.write(b"go ahead")
                self.transport.startTLS(None)

        upgrading = Upgrading()
        upgrading.makeConnection(Upgraded(upgrading))
        upgrading.dataReceived(b"STARTTLS")
        self.assertEqual(begun, [b"go ahead"])

    def test_startTLSWithPlaintext(self) -> None:
        """
        Data that was received together with the request to start TLS, or is held, is not
        delivered: the connection is aborted.
        """

        class Upgraded(TightTransport):
            def startTLS(self, context: object) -> None:
                pass

        class Upgrading(Sender):
            def bytesReceived(self, data: bytes) -> None:
                self.deliverEach([data[at : at + 1] for at in range(len(data))], self.byteReceived)

            def byteReceived(self, byte: bytes) -> None:
                received.append(byte)
                if byte == b"S":
                    self.transport.startTLS(None)
                elif byte == b"P":
                    self.transport.pauseProducing()

        for data, startsLate in ((b"aSb", False), (b"aPSb", False), (b"aPb", True)):
            with self.subTest(data=data):
                received: list[bytes] = []
                upgrading = Upgrading()
                transport = Upgraded(upgrading)
                upgrading.makeConnection(transport)
                upgrading.dataReceived(data)
                if startsLate:
                    upgrading.transport.startTLS(None)
                upgrading.transport.resumeProducing()
                upgrading.dataReceived(b"c")
                self.assertEqual(b"".join(received), data[:-1])
                self.assertTrue(transport.disconnected)

    def test_startTLSTooEarly(self) -> None:
        """
        C{startTLS} raises while data is queued.
        """
        sender, _ = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"ef")
        self.assertRaises(RuntimeError, sender.transport.startTLS, None)

    def test_nestedReads(self) -> None:
        """
        If a write makes another protocol read immediately, as in memory, no data is
        lost.
        """
        inner, innerTransport = connect()

        class Loop(StringTransport):
            def write(self, data: bytes) -> None:
                inner.dataReceived(data)

        outer = Sender()
        outer.makeConnection(Loop())
        outer.dataReceived(b"abc")
        self.assertEqual(innerTransport.writes, [b"abc"])

    def test_notBytes(self) -> None:
        """
        Text is refused when it is written; other bytes-like objects are copied, since
        the caller can change them.
        """
        sender, transport = connect()
        self.assertRaises(TypeError, sender.transport.write, "text")
        self.assertRaises(TypeError, sender.transport.write, 5)
        array = bytearray(b"ab")
        sender.transport.write(array)  # type: ignore[arg-type]
        array[:] = b"xy"
        self.assertEqual(transport.value(), b"ab")


class QueueTests(SynchronousTestCase):
    """
    Data written while the peer does not read is held.
    """

    def test_held(self) -> None:
        """
        A full transport receives no data until it is empty; then it receives all data
        in order.
        """
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"ef")
        sender.transport.write(b"g")
        self.assertEqual(transport.writes, [b"abcd"])
        self.assertEqual(sender.transport.pending, 3)
        transport.drain()
        self.assertEqual(transport.writes, [b"abcd", b"efg"])
        self.assertEqual(sender.transport.pending, 0)

    def test_cutOff(self) -> None:
        """
        Above the limit, the peer is disconnected with one log line, and the queue is
        dropped.
        """
        sender, transport = connect(room=3)
        with capturedLogs() as logs:
            sender.dataReceived(b"abcd" + b"x" * 20)
            sender.dataReceived(b"x" * 20)
            self.assertFalse(transport.closed)
            sender.dataReceived(b"yyz")
        self.assertTrue(transport.closed)
        self.assertEqual(sender.transport.pending, 0)
        [line] = linesOf(logs)
        self.assertEqual(
            line,
            "192.168.1.1:54321 disconnected: send queue exceeded 20 bytes",
        )

    def test_limitIsForWhatIsHeld(self) -> None:
        """
        A single write can exceed the limit if the peer reads.
        """
        sender, transport = connect(room=3)
        sender.transport.write(b"x" * 100)
        self.assertEqual(transport.drainAll(), b"x" * 100)
        self.assertFalse(transport.closed)

    def test_producerIsPaused(self) -> None:
        """
        The producer is paused while the peer does not read.
        """
        sender, transport = connect(room=3)
        producer = RecordingProducer()
        sender.transport.registerProducer(producer, True)  # type: ignore[arg-type]
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"efgh")
        self.assertEqual(producer.told, ["pause"])
        transport.drain()
        self.assertEqual(producer.told, ["pause", "pause"])
        transport.drain()
        self.assertEqual(producer.told, ["pause", "pause", "resume"])

    def test_lateProducer(self) -> None:
        """
        A producer registered while the peer does not read is paused immediately. Only
        one can be registered, and it can be unregistered.
        """
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        producer = RecordingProducer()
        sender.transport.registerProducer(producer, True)  # type: ignore[arg-type]
        self.assertEqual(producer.told, ["pause"])
        self.assertRaises(RuntimeError, sender.transport.registerProducer, producer, True)
        sender.transport.unregisterProducer()
        transport.drain()
        self.assertEqual(producer.told, ["pause"])

    def test_ownTransportAsProducer(self) -> None:
        """
        A protocol can register its own transport as producer: while the peer does not
        read, nothing is read from it.
        """
        sender, transport = connect(room=3)
        sender.transport.registerProducer(sender.transport, True)
        sender.dataReceived(b"abcd")
        self.assertEqual(transport.producerState, "paused")
        transport.drain()
        self.assertEqual(transport.producerState, "producing")

    def test_notBeforeReceivedData(self) -> None:
        """
        Before any data was received, reading is not paused although the peer does not
        read: the TLS handshake may be incomplete.
        """
        sender, transport = connect(room=3)
        sender.transport.registerProducer(sender.transport, True)
        sender.transport.write(b"a long greeting")
        self.assertEqual(transport.producerState, "producing")

    def test_boundedWithinARead(self) -> None:
        """
        The limit applies within one read, even if the peer reads nothing of it.
        """
        self.patch(buffered, "PORTION", 10)

        class Amplifier(Sender):
            def bytesReceived(self, data: bytes) -> None:
                for _ in data:
                    self.transport.write(b"x" * 9)

        amplifier = Amplifier()
        transport = TightTransport(amplifier, 15)
        amplifier.makeConnection(transport)
        with capturedLogs():
            amplifier.dataReceived(b"y" * 100)
        self.assertTrue(transport.closed)
        self.assertLess(sum(map(len, transport.writes)), 40)

    def test_newProducerAfterAPause(self) -> None:
        """
        After each pause, the producer of the transport is registered again: a TLS
        transport whose peer has closed TLS closes only then.
        """
        sender, transport = connect(room=3)
        before = transport.producer
        sender.dataReceived(b"abcd")
        transport.drain()
        self.assertIsNotNone(transport.producer)
        self.assertIsNot(transport.producer, before)

    def test_resumesToClose(self) -> None:
        """
        A paused connection resumes reading when it closes: the TLS closing handshake
        must be received.
        """
        sender, transport = connect(room=3)
        sender.transport.registerProducer(RecordingProducer(), True)  # type: ignore[arg-type]
        sender.transport.pauseProducing()
        sender.transport.loseConnection()
        self.assertEqual(transport.producerState, "producing")

    def test_resumesToCloseWhenBlocked(self) -> None:
        """
        A blocked connection, too, reads until the peer's end when it closes.
        """
        for close in ("after", "before"):
            sender, transport = connect(room=3)
            sender.transport.registerProducer(RecordingProducer(), True)  # type: ignore[arg-type]
            if close == "before":
                sender.transport.loseConnection()
            sender.transport.ensureBuffer().block()
            if close == "after":
                sender.transport.loseConnection()
            self.assertEqual(transport.producerState, "producing")

    def test_pullProducer(self) -> None:
        """
        A pull producer is called by the transport. Its data is sent before the
        connection is closed.
        """
        sender, transport = connect(room=3)
        rest = [b"one", b"two"]

        class Pulled(RecordingProducer):
            def resumeProducing(self) -> None:
                if rest:
                    sender.transport.write(rest.pop(0))
                else:
                    sender.transport.unregisterProducer()

        producer = Pulled()
        sender.transport.registerProducer(producer, False)  # type: ignore[arg-type]
        self.assertRaises(RuntimeError, sender.transport.registerProducer, producer, True)
        sender.transport.loseConnection()
        for _ in range(3):
            self.assertFalse(transport.closed)
            transport.drain()
        self.assertEqual(transport.delivered, b"onetwo")
        self.assertTrue(transport.closed)

    def test_pullProducerInARead(self) -> None:
        """
        A pull producer registered during a read is called.
        """
        sender, transport = connect(room=3)
        producer = FileSender()
        with batch():
            sending = producer.beginFileTransfer(io.BytesIO(b"x" * 100_000), sender.transport)
            transport.drain()
        self.assertEqual(transport.drainAll(), b"x" * 100_000)
        self.successResultOf(sending)

    def test_latePullProducer(self) -> None:
        """
        A pull producer registered while the peer does not read is called when it does.
        Afterwards, the queue works as before.
        """
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"ef")
        rest = [b"one", b"two"]

        class Pulled(RecordingProducer):
            def resumeProducing(self) -> None:
                if rest:
                    sender.transport.write(rest.pop(0))
                else:
                    sender.transport.unregisterProducer()

        sender.transport.registerProducer(Pulled(), False)  # type: ignore[arg-type]
        self.assertEqual(len(rest), 2)
        self.assertEqual(transport.drainAll(), b"abcdefonetwo")
        sender.dataReceived(b"ghij")
        sender.dataReceived(b"kl")
        self.assertEqual(sender.transport.pending, 2)
        self.assertEqual(transport.drainAll(), b"abcdefonetwoghijkl")

    def test_besideAPullProducer(self) -> None:
        """
        Data written while a pull producer is registered counts for the limit, and stays
        in order.
        """
        sender, transport = connect(room=3)
        rest = [b"one", b"two"]

        class Pulled(RecordingProducer):
            def resumeProducing(self) -> None:
                if rest:
                    sender.transport.write(rest.pop(0))
                else:
                    sender.transport.unregisterProducer()

        sender.transport.registerProducer(Pulled(), False)  # type: ignore[arg-type]
        sender.transport.write(b"-beside-")
        sender.transport.loseWriteConnection()
        self.assertEqual(transport.writes, [])
        transport.drain()
        self.assertEqual(transport.drainAll(), b"-beside-onetwo")
        self.assertTrue(transport.halfClosed)
        sender, transport = connect(room=3)
        sender.transport.registerProducer(RecordingProducer(), False)  # type: ignore[arg-type]
        with capturedLogs():
            sender.transport.write(b"x" * 21)
        self.assertTrue(transport.closed)

    def test_pullProducerTakenBack(self) -> None:
        """
        A pull producer that is unregistered before the peer reads is never called.
        """
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        producer = RecordingProducer()
        sender.transport.registerProducer(producer, False)  # type: ignore[arg-type]
        sender.transport.unregisterProducer()
        transport.drainAll()
        self.assertEqual(producer.told, [])
        sender.transport.loseConnection()
        self.assertTrue(transport.closed)

    def test_greeting(self) -> None:
        """
        A protocol that writes first, and reads only while the queue is empty, still
        reads: otherwise the TLS handshake could not complete.
        """
        sender, transport = connect()
        sender.transport.registerProducer(sender.transport, True)
        sender.transport.write(b"ready")
        sender.transport.write(b"x" * 11)
        self.assertEqual(transport.producerState, "producing")
        sender.dataReceived(b"")
        transport.drain()
        sender.transport.write(b"x" * 11)
        self.assertEqual(transport.producerState, "paused")


class PortionTests(SynchronousTestCase):
    """
    L{ProgressTransport} writes data in portions.
    """

    def setUp(self) -> None:
        """
        Create a connection with small portions, whose owner counts them.
        """
        self.patch(buffered, "PORTION", 10)
        self.patch(progress, "PORTION", 10)
        self.begin()

    def begin(self) -> None:
        """
        Connect a new queue.
        """
        self.transport = TightTransport(room=15)
        owner = Owner(10_000)
        self.told = owner.pending
        self.queue = owner.queue = ProgressTransport(self.transport, owner)

    def test_portions(self) -> None:
        """
        C{pending} is the data that the peer has not accepted. Each portion is reported.
        """
        self.queue.write(b"x" * 45)
        self.assertEqual((self.transport.writes, self.told), ([b"x" * 10] * 2, [25]))
        self.transport.drain()
        self.assertEqual((len(self.transport.writes), self.told), (4, [25, 5]))
        self.transport.drain()
        self.assertEqual((self.transport.writes[4:], self.told), ([b"x" * 5], [25, 5, 0]))

    @given(st.lists(st.binary(max_size=40) | st.just("drain"), max_size=30))
    def test_everythingInOrder(self, steps: list[bytes | str]) -> None:
        """
        All bytes arrive in order, and C{pending} is correct.
        """
        self.begin()
        expected = b""
        for step in steps:
            if isinstance(step, bytes):
                self.queue.write(step)
                expected += step
            else:
                self.transport.drain()
            arrived = len(self.transport.delivered) + len(self.transport.value())
            self.assertEqual(self.queue.pending, len(expected) - arrived)
        self.queue.loseConnection()
        self.assertEqual(self.transport.drainAll(), expected)
        self.assertTrue(self.transport.closed)


class CloseTests(SynchronousTestCase):
    """
    Data written before the close is sent; data written after it is dropped.
    """

    def test_writeThenClose(self) -> None:
        """
        Data written in the same read is sent before the connection is closed. Later
        data is neither sent nor received.
        """
        sender, transport = connect()
        sender.dataReceived(b"abLcd")
        self.assertEqual(transport.writes, [b"ab"])
        self.assertTrue(sender.transport.disconnecting)
        self.assertTrue(transport.disconnecting)
        sender.dataReceived(b"ef")
        sender.transport.write(b"g")
        sender.transport.loseConnection()
        self.assertEqual(transport.drainAll(), b"ab")
        self.assertTrue(transport.closed)

    def test_closeWhileHeld(self) -> None:
        """
        Held data is sent when the peer reads, and then the connection is closed.
        """
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"efL")
        self.assertFalse(transport.closed)
        self.assertEqual(transport.drainAll(), b"abcdef")
        self.assertTrue(transport.closed)

    def test_closeWithProducer(self) -> None:
        """
        A push producer does not keep the connection open: it is stopped when the
        connection is closed.
        """
        sender, transport = connect(room=3)
        producer = RecordingProducer()
        sender.transport.registerProducer(producer, True)  # type: ignore[arg-type]
        sender.dataReceived(b"abcdL")
        self.assertEqual(producer.told, ["pause", "stop"])
        transport.drainAll()
        self.assertTrue(transport.closed)
        self.assertEqual(producer.told, ["pause", "stop"])

    def test_producerIsStopped(self) -> None:
        """
        When the connection is lost, a producer of either kind is stopped. So is a
        producer registered later.
        """
        for streaming in (True, False):
            sender, transport = connect()
            producer, late = RecordingProducer(), RecordingProducer()
            sender.transport.registerProducer(producer, streaming)  # type: ignore[arg-type]
            transport.abortConnection()
            self.assertEqual(producer.told[-1], "stop")
            sender.transport.unregisterProducer()
            sender.transport.registerProducer(late, streaming)  # type: ignore[arg-type]
            self.assertEqual(late.told, ["stop"])
            sender.transport.write(b"abc")
            sender.transport.loseConnection()
            self.assertEqual((sender.transport.pending, transport.writes), (0, []))

    def test_closedByThePeer(self) -> None:
        """
        After the peer's EOF, the written data is sent, and the connection is closed.
        """
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"ef")
        sender.readConnectionLost()
        sender.writeConnectionLost()
        self.assertEqual(transport.drainAll(), b"abcdef")
        self.assertTrue(transport.closed)

    def test_abort(self) -> None:
        """
        Held data is dropped.
        """
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"efA")
        sender.dataReceived(b"gh")
        self.assertTrue(transport.closed)
        self.assertEqual(transport.writes, [b"abcd"])

    def test_lateEnd(self) -> None:
        """
        Closing a lost connection closes the transport, which may still hold received
        data.
        """
        for end in ("loseConnection", "abortConnection"):
            sender, transport = connect()
            PushAdapter(sender.transport).stopProducing()
            getattr(sender.transport, end)()
            self.assertTrue(transport.disconnecting)
            self.assertFalse(transport.disconnected)

    def test_abortInARead(self) -> None:
        """
        Aborting drops data written in the same read.
        """
        sender, transport = connect()
        sender.dataReceived(b"abA")
        self.assertEqual(transport.writes, [])

    def test_halfClose(self) -> None:
        """
        The write side is closed when the transport has accepted all data.
        """
        sender, transport = connect()
        sender.dataReceived(b"abH")
        self.assertEqual((transport.writes, transport.halfClosed), ([b"ab"], True))
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"eH")
        self.assertFalse(transport.halfClosed)
        transport.drain()
        self.assertEqual((transport.writes, transport.halfClosed), ([b"abcd", b"e"], True))
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"H")
        self.assertFalse(transport.halfClosed)
        transport.drain()
        self.assertTrue(transport.halfClosed)

    def test_lost(self) -> None:
        """
        When the connection is lost, held data is dropped.
        """
        sender, transport = connect(room=3)
        sender.dataReceived(b"abcd")
        sender.dataReceived(b"ef")
        transport.abortConnection()
        self.assertEqual(sender.transport.pending, 0)

    @given(
        st.lists(st.sampled_from([b"abc", b"de", "drain", "out"]), max_size=20),
        st.integers(0, 8),
    )
    def test_everythingInOrder(self, steps: list[bytes | str], room: int) -> None:
        """
        Whenever the peer reads, it receives all data in order, and then the end of the
        connection.
        """
        sender, transport = connect(room)
        sender.limits = ConnectionLimits(maxQueue=1000)
        expected = b""
        for step in steps:
            if step == "drain":
                transport.drain()
            elif step == "out":
                sender.transport.write(b"!")
                expected += b"!"
            elif isinstance(step, bytes):
                sender.dataReceived(step)
                expected += step
        sender.transport.loseConnection()
        self.assertEqual(transport.drainAll(), expected)
        self.assertTrue(transport.closed)


class TransportTests(SynchronousTestCase):
    """
    The connection can be used like a transport.
    """

    def test_interfaces(self) -> None:
        """
        The connection provides the interfaces of the transport.
        """
        queue = BufferedTransport(StringTransport(), Owner())
        self.assertTrue(verifyObject(ITransport, queue))

    def test_passesThrough(self) -> None:
        """
        Methods that do not concern sending are forwarded to the transport.
        """
        sender, transport = connect()
        queue = sender.transport
        self.assertEqual(queue.getPeer(), transport.getPeer())
        self.assertEqual(queue.getHost(), transport.getHost())
        self.assertEqual(queue.delivered, b"")
        queue.pauseProducing()
        self.assertEqual(transport.producerState, "paused")
        queue.resumeProducing()
        self.assertEqual(transport.producerState, "producing")
        queue.stopProducing()
        self.assertTrue(transport.disconnecting)

    def test_bytesReceived(self) -> None:
        """
        Subclasses must implement C{bytesReceived}.
        """
        protocol = StreamProtocol()
        protocol.makeConnection(StringTransport())
        protocol.dataReceived(b"a")
        [error] = self.flushLoggedErrors(NotImplementedError)
        self.assertEqual(str(error.value), "StreamProtocol must override bytesReceived")
