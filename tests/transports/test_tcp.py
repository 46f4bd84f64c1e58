"""
Tests for a bound TCP connection, L{openfl_twisted.transports.tcp}. The tests of
L{Behaviour} are those of a L{BufferedTransport
<openfl_twisted.transports.buffered.BufferedTransport>}, too.
"""

import re
import tracemalloc
from functools import partial
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.transports.receivebuffer import LATE_END_TIMEOUT, MAX_WORK
from openfl_twisted.transports.tcp import ServerTransport
from openfl_twisted.transports.writebatch import currentBatch
from tests.doubles import RecordingProducer, linesOf
from tests.frames import BINARY, frame
from tests.transports.lines import (
    Actor,
    BufferedLine,
    EpollLine,
    Line,
    TCPLine,
    WebSocketLine,
    WrapperLine,
)

LIMIT = 1000


class Text(XMLSocketProtocol):
    """
    Records each message, executes it as a command, and answers it.
    """

    clock: Any

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.events: list[Any] = []

    def getClock(self) -> Any:
        return self.clock

    def messageReceived(self, message: str) -> None:
        self.messages.append(message)
        self.events.append(message)
        match message:
            case "pause":
                self.transport.pauseProducing()
            case "again":
                self.transport.pauseProducing()
                self.transport.resumeProducing()
            case "close":
                self.transport.loseConnection()
            case "raise":
                raise ValueError("an error of the user's")
        self.sendMessage(message)

    def readConnectionLost(self) -> None:
        self.events.append("EOF")
        super().readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.events.append(type(reason.value).__name__)


class Pulled:
    """
    A pull producer.
    """

    def __init__(self, connection: Any, chunks: list[bytes]) -> None:
        self.connection = connection
        self.chunks = chunks
        self.stopped = 0

    def resumeProducing(self) -> None:
        if self.chunks:
            self.connection.write(self.chunks.pop(0))
        else:
            self.connection.unregisterProducer()

    def stopProducing(self) -> None:
        self.stopped += 1


class LineCase(SynchronousTestCase):
    """
    Connects protocols.
    """

    line: type[Line]

    def setUp(self) -> None:
        """
        Leave any write batch.
        """
        self.patch(currentBatch, "waiting", None)

    def connect(self, room: int | None = None, protocol: Any = None) -> tuple[Any, Line]:
        """
        Connect a protocol.

        @param room: the number of bytes that the peer reads; C{None} for everything.
        @param protocol: the protocol (default: an L{Actor}).
        """
        protocol = Actor() if protocol is None else protocol
        make: Any = self.line
        return protocol, make(protocol, room)


class Behaviour:
    """
    Tests of all connections.
    """

    class Tests(LineCase):
        """
        Tests for any L{Line}.
        """

        # Sending

        def test_oneWrite(self) -> None:
            """
            The replies of one read are sent in one write.
            """
            _, line = self.connect()
            line.arrive(b"abc", b"de")
            self.assertEqual(line.writes, [b"abc", b"de"])

        def test_manyReceivers(self) -> None:
            """
            During one read, the data for each of several connections is joined.
            """
            (one, first), (two, second) = self.connect(), self.connect()

            def tell() -> None:
                for byte in (b"1", b"2"):
                    for actor in (one, two):
                        actor.transport.write(byte)

            first.within(tell)
            self.assertEqual((first.sent, second.sent), (b"12", b"12"))
            self.assertEqual(len(first.writes), 1)

        def test_writeNow(self) -> None:
            """
            L{Connection.writeNow} keeps the order, calls the tap, and sends nothing after the
            connection was closed.
            """
            for room in (None, 1):
                actor, line = self.connect(room)
                heard: list[bytes] = []
                transport = actor.transport

                def send(transport: Any = transport, heard: list[bytes] = heard) -> None:
                    transport.writeNow(b"ab")
                    transport.write(b"c")
                    transport.writeNow(b"d")
                    transport.tap = heard.append
                    transport.writeNow(b"ef")

                line.within(send)
                line.read()
                self.assertEqual((line.sent, heard), (b"abcdef", [b"ef"]))
                transport.loseConnection()
                transport.writeNow(b"x")
                line.turn()
                self.assertEqual(line.sent, b"abcdef")

        def test_sequence(self) -> None:
            """
            A sequence is sent in order, also if it ends with an empty chunk.
            """
            for chunks in ([b"a", b"", b"bc"], [b"abc", b""], [b"", b"", b"abc"]):
                actor, line = self.connect()
                line.within(lambda a=actor, c=chunks: a.transport.writeSequence(c))  # type: ignore[misc]
                self.assertEqual(line.sent, b"abc")
                actor.transport.writeSequence(chunks)
                line.turn()
                self.assertEqual(line.sent, b"abcabc")
                actor.transport.writeSequence([b"", b""])
                actor.transport.writeSequence([])
                line.turn()
                self.assertEqual(line.sent, b"abcabc")

        def test_notBytes(self) -> None:
            """
            Text is refused when it is written; other bytes-like objects are copied, since
            the caller can change them.
            """
            actor, line = self.connect()
            self.assertRaises(TypeError, actor.transport.write, "text")
            self.assertRaises(TypeError, actor.transport.writeSequence, [b"a", "text"])
            array = bytearray(b"ab")

            def write() -> None:
                actor.transport.write(array)
                actor.transport.writeSequence([array, memoryview(array)])
                array[:] = b"xy"

            line.within(write)
            self.assertEqual(line.sent, b"ababab")

        def test_tap(self) -> None:
            """
            The tap receives each written chunk, and none that is not accepted.
            """
            actor, line = self.connect()
            tapped: list[bytes] = []
            actor.transport.tap = tapped.append
            line.arrive(b"ab")
            actor.transport.tap = None
            line.arrive(b"cL")
            actor.transport.tap = tapped.append
            actor.transport.write(b"late")
            line.turn()
            self.assertEqual((tapped, line.sent), ([b"a", b"b"], b"abc"))

        # The limit

        def test_held(self) -> None:
            """
            A peer that reads again receives everything, in order.
            """
            actor, line = self.connect(room=3)
            line.arrive(b"abcdef", b"gh")
            actor.transport.write(b"i")
            line.turn()
            self.assertGreater(actor.transport.pending, 0)
            line.read()
            self.assertEqual((line.sent, actor.transport.pending), (b"abcdefghi", 0))

        def test_disconnected(self) -> None:
            """
            A peer that does not read is disconnected when the queue exceeds the limit,
            with one log line. The dropped data is reported once.
            """
            actor, line = self.connect(room=0)
            line.arrive(b"a")
            with capturedLogs() as logs:
                for number in range(30):
                    line.within(lambda n=number: actor.transport.write(b"%02d" % n * 50))  # type: ignore[misc]
            line.turn(2)
            self.assertEqual(linesOf(logs).__len__(), 1)
            self.assertEqual((actor.exceeded, actor.ends), (1, ["ConnectionAborted"]))
            written = b"".join(b"%02d" % n * 50 for n in range(11))
            self.assertEqual(b"".join(actor.dropped), self.line.unaccepted(b"a") + written)
            line.read()
            self.assertEqual(actor.transport.pending, 0)
            self.assertNotIn(b"0", line.sent)

        def test_oneWriteOfAnySize(self) -> None:
            """
            One write of any size is allowed to a peer that reads, in or outside a batch,
            alone or after others, with a tap, and as a sequence.
            """
            large = b"x" * 100_000
            alone = [
                lambda c: c.write(large),
                lambda c: c.writeSequence([b"first", large, large]),
                lambda c: c.writeSequence([large, large, large]),
            ]
            together = [
                lambda c: (c.write(b"first"), c.write(large)),
                lambda c: (c.write(b"first"), c.writeSequence([large, b"\0"])),
            ]
            for room, tap, write in product((0, 1, 70_000), (None, id), alone + together):
                actor, line = self.connect(room=room)
                actor.transport.tap = tap
                line.within(lambda a=actor, w=write: w(a.transport))  # type: ignore[misc]
                line.read()
                self.assertEqual(actor.exceeded, 0, room)
                self.assertGreaterEqual(len(line.sent), len(large))
                if write in alone:
                    write(actor.transport)
                    line.read()
                    self.assertEqual(actor.exceeded, 0, room)

        def test_boundedInOneRead(self) -> None:
            """
            One read cannot queue much more than the limit for a peer that does not read,
            also with a tap.
            """
            for tap in (None, lambda data: None):
                actor, line = self.connect(room=0)
                actor.transport.tap = tap
                most = 0

                def write(actor: Any = actor) -> None:
                    nonlocal most
                    for _ in range(2000):
                        actor.transport.write(b"x" * 500)
                        most = max(most, actor.transport.pending)

                with capturedLogs():
                    line.within(write)
                self.assertEqual(actor.exceeded, 1)
                self.assertLess(most, 70_000)

        def test_manySmallWrites(self) -> None:
            """
            Many small writes to a peer that does not read cost little more than their
            bytes, also if it reads slowly.
            """

            class Patient(Actor):
                maxQueue = 1 << 20

            actor, line = self.connect(room=0, protocol=Patient())
            line.within(lambda: actor.transport.write(b"x" * 500_000))
            for _ in range(20_000):
                actor.transport.write(b"ab")
            self.assertLess(chunksOf(actor.transport), 1100)
            line.read()
            self.assertEqual(line.sent, b"x" * 500_000 + b"ab" * 20_000)

        def test_errorInExceeded(self) -> None:
            """
            Errors in C{sendQueueExceeded} and C{sendQueueDropped} are logged, and the
            connection is closed. The caller, which may write to others, is not affected.
            """

            class Faulty(Actor):
                def sendQueueExceeded(self) -> None:
                    raise ValueError("exceeded")

                def sendQueueDropped(self, chunks: list[bytes]) -> None:
                    raise ValueError("dropped")

            actor, line = self.connect(room=0, protocol=Faulty())
            line.arrive(b"a")
            for _ in range(3):
                line.within(lambda: actor.transport.write(b"x" * 600))
            line.turn(2)
            self.assertEqual(actor.ends, ["ConnectionAborted"])
            self.assertTrue(line.isClosed)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

        def test_errorInDropped(self) -> None:
            """
            An error in C{sendQueueDropped} does not keep a lost connection open.
            """

            class Faulty(Actor):
                def sendQueueDropped(self, chunks: list[bytes]) -> None:
                    raise ValueError("dropped")

            actor, line = self.connect(room=0, protocol=Faulty())
            line.arrive(b"a")
            line.within(lambda: actor.transport.write(b"x" * 600))
            line.reset()
            self.assertEqual(actor.ends, ["ConnectionLost"])
            self.assertTrue(line.isClosed)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

        # Producers

        def test_pushProducer(self) -> None:
            """
            A push producer is paused while the peer does not read. Only one can be
            registered.
            """
            actor, line = self.connect(room=0)
            producer = RecordingProducer()
            actor.transport.registerProducer(producer, True)
            self.assertRaises(RuntimeError, actor.transport.registerProducer, producer, True)
            line.arrive(b"a")
            self.assertEqual(producer.told, ["pause"])
            line.read()
            self.assertEqual(producer.told, ["pause", "resume"])
            actor.transport.unregisterProducer()
            actor.transport.loseConnection()
            line.turn(2)
            self.assertEqual(producer.told, ["pause", "resume"])

        def test_latePushProducer(self) -> None:
            """
            A push producer that is registered while the peer does not read is paused
            immediately.
            """
            actor, line = self.connect(room=0)
            line.arrive(b"a")
            for _ in range(2):
                producer = RecordingProducer()
                actor.transport.registerProducer(producer, True)
                self.assertEqual(producer.told, ["pause"])
                actor.transport.unregisterProducer()
            actor.transport.registerProducer(producer, True)
            line.read()
            self.assertEqual(producer.told, ["pause", "pause", "resume"])

        def test_ownTransport(self) -> None:
            """
            A protocol can register its own transport: nothing is read while the peer does
            not read. It is not stopped through itself.
            """
            actor, line = self.connect(room=0)
            actor.transport.registerProducer(actor.transport, True)
            line.arrive(b"a")
            self.assertFalse(line.isReading)
            line.arrive(b"b")
            self.assertEqual(actor.received, b"a")
            line.read()
            line.turn()
            self.assertTrue(line.isReading)
            self.assertEqual((actor.received, line.sent), (b"ab", b"ab"))
            line.arrive(b"L")
            line.turn(2)
            self.assertEqual(actor.ends, ["ConnectionDone"])

        def test_pullProducer(self) -> None:
            """
            A pull producer may finish before the connection is closed. Its chunks can be
            larger than the limit.
            """
            actor, line = self.connect()
            producer = Pulled(actor.transport, [b"one", b"x" * 5000, b"two"])
            actor.transport.registerProducer(producer, False)
            actor.transport.loseConnection()
            for _ in range(6):
                line.turn()
                line.read()
            self.assertEqual(line.sent, b"one" + b"x" * 5000 + b"two")
            self.assertEqual((actor.ends, actor.exceeded), (["ConnectionDone"], 0))

        def test_pullProducerOfLargeChunks(self) -> None:
            """
            A pull producer of large chunks works if the peer reads little at a time.
            """
            actor, line = self.connect(room=1)
            chunks = [b"x" * 5000, b"y" * 5000]
            actor.transport.registerProducer(Pulled(actor.transport, [*chunks]), False)
            for _ in range(10):
                line.turn()
                line.read(2000)
            line.read()
            self.assertEqual((line.sent, actor.exceeded), (b"".join(chunks), 0))

        def test_writesBesideAPullProducer(self) -> None:
            """
            While a pull producer keeps a connection open that is closing, any write is
            accepted, also a sequence and between two calls of the producer; when it is
            unregistered, none is.
            """
            for close, room in product(("loseConnection", "loseWriteConnection"), (None, 0, 2)):
                actor, line = self.connect(room=room)
                connection = actor.transport
                connection.registerProducer(Pulled(connection, [b"one", b"two"]), False)
                getattr(connection, close)()
                connection.write(b"beside")
                line.turn()
                connection.writeSequence([b"se", b"quence"])
                for _ in range(6):
                    line.read()
                    line.turn()
                connection.write(b"late")
                connection.writeSequence([b"la", b"te"])
                line.turn(3)
                self.assertEqual(
                    sorted(partsOf(line.sent)), ["beside", "one", "sequence", "two"], close
                )

        def test_producerIsStopped(self) -> None:
            """
            A producer of either kind is stopped once when the connection is lost; so is one
            that is registered later.
            """
            for streaming in (True, False):
                actor, line = self.connect()
                producer, late = RecordingProducer(), RecordingProducer()
                actor.transport.registerProducer(producer, streaming)
                line.reset()
                actor.transport.loseConnection()
                actor.transport.registerProducer(late, streaming)
                self.assertEqual((producer.told[-1], late.told), ("stop", ["stop"]))
                self.assertEqual(producer.told.count("stop"), 1)

        def test_stopRaises(self) -> None:
            """
            An error of a producer that is stopped does not keep the connection open.
            """

            class Faulty(RecordingProducer):
                def stopProducing(self) -> None:
                    raise ValueError("an error of the user's")

            actor, line = self.connect()
            actor.transport.registerProducer(Faulty(), True)
            self.assertRaises(ValueError, actor.transport.loseConnection)
            line.turn(2)
            self.assertEqual(actor.ends, ["ConnectionDone"])

        # Closing

        def test_close(self) -> None:
            """
            Data written before the close is sent, and later data is dropped. No more
            data is received.
            """
            for room in (None, 1):
                actor, line = self.connect(room=room)
                line.arrive(b"abLcd")
                actor.transport.write(b"late")
                actor.transport.writeSequence([b"late", b"r"])
                actor.transport.loseConnection()
                line.read()
                line.turn(2)
                self.assertEqual((line.sent, actor.received), (b"ab", b"abL"))
                self.assertEqual((actor.ends, actor.dropped), (["ConnectionDone"], []))

        def test_closeWithProducer(self) -> None:
            """
            A push producer does not keep the connection open; it is stopped once.
            """
            actor, line = self.connect(room=1)
            producer = RecordingProducer()
            actor.transport.registerProducer(producer, True)
            line.arrive(b"abcL")
            line.read()
            line.turn(2)
            self.assertEqual((line.sent, actor.ends), (b"abc", ["ConnectionDone"]))
            self.assertEqual(producer.told[-1], "stop")
            self.assertEqual(producer.told.count("stop"), 1)

        def test_abort(self) -> None:
            """
            Aborting drops the data that was written in the same read, and reports it once.
            """
            actor, line = self.connect()
            line.arrive(b"abA")
            actor.transport.write(b"late")
            actor.transport.abortConnection()
            line.turn(3)
            self.assertEqual((line.sent, b"".join(actor.dropped)), (b"", b"ab"))
            self.assertEqual(actor.ends, ["ConnectionAborted"])
            self.assertEqual(actor.transport.pending, 0)

        def test_reset(self) -> None:
            """
            A connection that is lost drops its queue, and reports it once.
            """
            actor, line = self.connect(room=0)
            line.arrive(b"a")
            line.within(lambda: actor.transport.write(b"bc"))
            line.reset()
            line.turn(3)
            dropped = self.line.unaccepted(b"a") + b"bc"
            self.assertEqual((b"".join(actor.dropped), actor.ends), (dropped, ["ConnectionLost"]))
            self.assertEqual(actor.transport.pending, 0)
            actor.transport.write(b"late")
            actor.transport.loseConnection()
            actor.transport.abortConnection()
            actor.transport.pauseProducing()
            actor.transport.resumeProducing()
            line.turn(3)
            self.assertEqual((b"".join(actor.dropped), len(actor.ends)), (dropped, 1))

        def test_halfClose(self) -> None:
            """
            The write side is closed when all data is sent; data is still received.
            """
            actor, line = self.connect(room=1)
            line.arrive(b"abcH")
            self.assertFalse(line.isClosed)
            line.read()
            self.assertEqual((line.sent, line.isHalfClosed), (b"abc", True))
            line.arrive(b"de")
            self.assertEqual((actor.received, actor.ends), (b"abcHde", []))
            line.arrive(b"L")
            line.turn(2)
            self.assertEqual(actor.ends, ["ConnectionDone"])

        def test_halfClosedByThePeer(self) -> None:
            """
            After the peer's EOF, the written data is sent, and the connection is
            closed.
            """
            actor, line = self.connect(room=1)
            line.arrive(b"abc")
            line.endRead()
            self.assertEqual(actor.ends, [])
            line.read()
            line.turn(2)
            self.assertEqual((line.sent, actor.ends), (b"abc", ["ConnectionDone"]))

        # Receiving

        def test_pause(self) -> None:
            """
            A protocol that has paused receives the rest of the read, and everything after
            it, in order, when it resumes.
            """
            text, line = self.connect(protocol=Text())
            line.arrive(b"a\0pause\0b\0pause\0c\0")
            line.arrive(b"d\0")
            self.assertEqual(text.messages, ["a", "pause"])
            text.transport.resumeProducing()
            self.assertEqual(text.messages, ["a", "pause", "b", "pause"])
            text.transport.resumeProducing()
            line.turn()
            self.assertEqual(text.messages, ["a", "pause", "b", "pause", "c", "d"])
            self.assertEqual(line.sent, b"a\0pause\0b\0pause\0c\0d\0")

        def test_pauseAndResume(self) -> None:
            """
            A handler can pause and resume.
            """
            text, line = self.connect(protocol=Text())
            line.arrive(b"again\0a\0pause\0again\0b\0again\0c\0")
            text.transport.resumeProducing()
            line.arrive(b"d\0")
            self.assertEqual(
                text.messages, ["again", "a", "pause", "again", "b", "again", "c", "d"]
            )

        def test_closeWhileHeld(self) -> None:
            """
            A message that closes the connection is the last one; those that are held are
            dropped.
            """
            text, line = self.connect(protocol=Text())
            line.arrive(b"pause\0a\0close\0b\0")
            text.transport.resumeProducing()
            line.turn(2)
            self.assertEqual(text.events, ["pause", "a", "close", "ConnectionDone"])
            self.assertEqual(line.sent, b"pause\0a\0")

        def test_handlerRaises(self) -> None:
            """
            Nothing is delivered after a handler has raised, whether or not it handled held
            data; the connection is closed.
            """
            for data in (b"a\0raise\0b\0", b"pause\0a\0raise\0b\0"):
                text, line = self.connect(protocol=Text())
                line.arrive(data)
                if data.startswith(b"pause"):
                    text.transport.resumeProducing()
                line.arrive(b"c\0")
                line.turn(2)
                self.assertEqual(text.events[-3:-1], ["a", "raise"])
                self.assertEqual(text.events[-1], "ConnectionDone")
                self.assertTrue(line.isClosed)
                self.flushLoggedErrors(ValueError)

        def test_postponeAndRaise(self) -> None:
            """
            An exception of a handler that has postponed its item closes the connection,
            too.
            """

            class Postponing(Actor):
                def byteReceived(self, byte: bytes) -> None:
                    self.received += byte
                    if byte == b"!":
                        self.postpone(byte, self.byteReceived)
                        raise ValueError("an error of the user's")

            actor, line = self.connect(protocol=Postponing())
            line.arrive(b"a!b")
            line.turn(3)
            self.assertEqual((actor.received, actor.ends), (b"a!", ["ConnectionDone"]))
            self.flushLoggedErrors(ValueError)

        def test_turns(self) -> None:
            """
            Many messages are handled in several reactor iterations, in order, followed
            by the next read.
            """
            text, line = self.connect(protocol=Text())
            count = 3 * MAX_WORK
            line.arrive(b"".join(b"%d\0" % number for number in range(count)))
            self.assertLess(len(text.messages), 2 * MAX_WORK)
            line.arrive(b"last\0")
            line.turn(10)
            self.assertEqual(text.messages, [*map(str, range(count)), "last"])

        def test_halfCloseIsHeld(self) -> None:
            """
            The peer's EOF is delivered after held messages.
            """
            text, line = self.connect(protocol=Text())
            line.arrive(b"".join(b"%d\0" % number for number in range(2 * MAX_WORK)))
            line.endRead()
            line.turn(6)
            self.assertEqual(len(text.messages), 2 * MAX_WORK)
            self.assertEqual(text.events[-3:], [str(2 * MAX_WORK - 1), "EOF", "ConnectionDone"])
            self.assertEqual(line.sent.count(b"\0"), 2 * MAX_WORK)


def accept(socket: Any, chunks: list[Any]) -> int:
    """
    Accept bytes as a L{FakeSocket<tests.transports.lines.FakeSocket>} does, and only count
    them.
    """
    accepted = min(socket.room, sum(map(len, chunks)))
    socket.room -= accepted
    socket.accepted = getattr(socket, "accepted", 0) + accepted
    return int(accepted)


def partsOf(sent: bytes) -> list[str]:
    """
    Return the words of C{test_writesBesideAPullProducer} in the order in which they were
    sent.
    """
    return re.findall("one|two|beside|sequence|late|.", sent.decode())


def chunksOf(connection: Any) -> int:
    """
    Return the number of chunks in a send queue.
    """
    queue = connection._unsent if hasattr(connection, "_unsent") else connection._tempDataBuffer
    return len(queue or ())


class LateEnd:
    """
    Tests of connections that can delay C{connectionLost}.
    """

    class Tests(LineCase):
        """
        The end of a connection waits for a protocol that has paused.
        """

        def pausedAndLost(self) -> tuple[Text, Line]:
            """
            Lose a connection whose protocol has paused.
            """
            text, line = self.connect(protocol=Text())
            line.arrive(b"pause\0a\0pause\0b\0")
            line.reset()
            line.turn(2)
            if isinstance(line, TCPLine):
                self.loseFromBelow(line)
            self.assertEqual(text.events, ["pause"])
            return text, line

        def loseFromBelow(self, line: TCPLine) -> None:
            """
            Lose a TCP connection that is not read: the reactor finds an error.
            """
            line.reactor._disconnectSelectable(
                line.transport,
                CONNECTION_LOST,
                False,
            )

        def test_resumed(self) -> None:
            """
            Held messages are delivered before the end.
            """
            text, line = self.pausedAndLost()
            text.transport.resumeProducing()
            self.assertEqual(text.events, ["pause", "a", "pause"])
            text.transport.resumeProducing()
            self.assertEqual(text.events, ["pause", "a", "pause", "b", "ConnectionLost"])
            self.assertEqual(line.clock.getDelayedCalls(), [])

        def test_timeout(self) -> None:
            """
            After a timeout, the held messages are dropped.
            """
            text, line = self.pausedAndLost()
            with capturedLogs() as logs:
                line.clock.advance(LATE_END_TIMEOUT - 0.1)
                self.assertEqual(text.events, ["pause"])
                line.clock.advance(0.2)
            self.assertEqual(text.events, ["pause", "ConnectionLost"])
            self.assertEqual(len(logs), 1)
            self.assertEqual(line.clock.getDelayedCalls(), [])

        def test_closed(self) -> None:
            """
            A protocol that closes the connection is notified in the next iteration,
            once.
            """
            for close in ("loseConnection", "abortConnection", "stopProducing"):
                text, line = self.pausedAndLost()
                getattr(text.transport, close)()
                getattr(text.transport, close)()
                text.transport.resumeProducing()
                self.assertEqual(text.events, ["pause"])
                line.turn(2)
                self.assertEqual(text.events, ["pause", "ConnectionLost"], close)
                self.assertEqual(line.clock.getDelayedCalls(), [])

        def test_raises(self) -> None:
            """
            After a handler has raised, only the end is delivered.
            """
            text, line = self.connect(protocol=Text())
            line.arrive(b"pause\0raise\0b\0")
            line.reset()
            line.turn()
            if isinstance(line, TCPLine):
                self.loseFromBelow(line)
            text.transport.resumeProducing()
            line.turn(2)
            self.assertEqual(text.events, ["pause", "raise", "ConnectionLost"])
            self.flushLoggedErrors(ValueError)

        def test_afterEOF(self) -> None:
            """
            A connection can be lost while held messages and the EOF of the peer wait.
            """
            text, line = self.connect(protocol=Text())
            line.arrive(b"pause\0a\0")
            if isinstance(line, TCPLine):
                line.reactor._disconnectSelectable(
                    line.transport,
                    CONNECTION_DONE,
                    True,
                )
                self.loseFromBelow(line)
            else:
                transport: Any = line
                transport.transport.protocol.readConnectionLost()
                line.reset()
            text.transport.resumeProducing()
            line.turn(2)
            self.assertEqual(text.events[:2], ["pause", "a"])
            self.assertEqual(text.events[-1], "ConnectionLost")
            self.assertEqual(line.clock.getDelayedCalls(), [])


class ImmediateEndTests(LineCase):
    """
    Connections whose transport calls C{connectionLost} of the protocol itself.
    """

    line = BufferedLine

    def endOf(self, data: bytes, reason: Exception) -> Text:
        """
        Receive data, and lose the connection.
        """
        text = Text()
        _, line = self.connect(protocol=text)
        line.arrive(data)
        cast("BufferedLine", line).transport._close(reason)
        self.assertEqual(text.events[-1], type(reason).__name__)
        self.assertTrue(line.isClosed)
        self.assertEqual(line.clock.getDelayedCalls(), [])
        text.transport.resumeProducing()
        line.turn(2)
        self.assertEqual(text.events[-1], type(reason).__name__)
        return text

    def test_paused(self) -> None:
        """
        A paused protocol is notified immediately; held messages are dropped.
        """
        for reason in (ConnectionDone(), ConnectionLost()):
            self.assertEqual(self.endOf(b"a\0pause\0b\0", reason).messages, ["a", "pause"])

    def test_turns(self) -> None:
        """
        Messages that are held so that others are served are delivered before the end,
        unless the connection was reset.
        """
        many = b"a\0" * 2 * MAX_WORK
        self.assertEqual(len(self.endOf(many, ConnectionDone()).messages), 2 * MAX_WORK)
        self.assertEqual(len(self.endOf(many, ConnectionLost()).messages), MAX_WORK)


class AbortedTests(LineCase):
    """
    Connections that the protocol has aborted.
    """

    def test_deliversNothing(self) -> None:
        """
        Only the end is delivered, once: no data, no EOF of the peer, and no data held
        by protocol detection.
        """
        for self.line, incoming in product(
            (TCPLine, EpollLine, BufferedLine, WrapperLine, WebSocketLine), (b"A", b"aP")
        ):
            actor, line = self.connect()
            connection = actor.transport
            connection.deliver(incoming)
            connection.abortConnection()
            connection.deliver(b"b")
            connection.deliverHalfClose()
            line.arrive(frame(BINARY, b"c"))
            connection.resumeProducing()
            line.endRead()
            line.turn(3)
            self.assertEqual(actor.received, incoming)
            self.assertEqual([each for each in actor.events if type(each) is str], ["end"])
            self.assertIn(actor.ends, (["ConnectionAborted"], ["ConnectionLost"]))

    def test_foreignProtocol(self) -> None:
        """
        For a protocol that has not bound the connection, too, only the end is
        delivered.
        """
        for make in (TCPLine, EpollLine):
            half = HalfCloseable()
            line: Any = make(half)
            line.arrive(b"a")
            line.transport.abortConnection()
            line.transport.deliver(b"b")
            line.transport.deliverHalfClose()
            line.arrive(b"c")
            line.endRead()
            line.turn(3)
            self.assertEqual(half.events, [b"a", "ConnectionAborted"])


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Protocol):
    """
    Records the calls of its transport, as any Twisted protocol can.
    """

    clock: Any

    def __init__(self) -> None:
        self.events: list[Any] = []

    def dataReceived(self, data: bytes) -> None:
        self.events.append(data)

    def readConnectionLost(self) -> None:
        self.events.append("EOF")

    def writeConnectionLost(self) -> None:
        raise NotImplementedError

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append(type(reason.value).__name__)


class OwnTests(LineCase):
    """
    Tests of TCP connections.
    """

    line = TCPLine

    def test_full(self) -> None:
        """
        The push producer is paused when the socket has not accepted everything, and
        resumed when everything is sent.
        """
        for room, inBatch in product((0, 1), (True, False)):
            actor, line = self.connect(room=room)
            producer = RecordingProducer()
            actor.transport.registerProducer(producer, True)
            if inBatch:
                line.within(lambda a=actor: a.transport.write(b"abc"))  # type: ignore[misc]
            else:
                actor.transport.write(b"abc")
                self.assertEqual((actor.transport.isFull, producer.told), (True, []))
                line.turn()
                if not room:
                    continue
            self.assertEqual((actor.transport.isFull, producer.told), (True, ["pause"]))
            actor.transport.write(b"d")
            line.read()
            self.assertEqual((actor.transport.isFull, producer.told), (False, ["pause", "resume"]))
            self.assertEqual(line.sent, b"abcd")

    def test_writeNow(self) -> None:
        """
        After the first write, L{Connection.writeNow} sends immediately, even outside a batch. The
        rest that the socket does not accept is sent later.
        """
        for room, sent in ((None, [b"abc"]), (1, [b"a"]), (0, [])):
            for inBatch in (True, False):
                actor, line = self.connect()
                assert isinstance(line, TCPLine)
                line.within(lambda a=actor: a.transport.write(b"-"))  # type: ignore[misc]
                line.socket.sends.clear()
                line.socket.room = room

                def write(actor: Any = actor, line: Any = line, sent: Any = sent) -> None:
                    actor.transport.writeNow(b"abc")
                    self.assertEqual(line.writes, sent)

                if inBatch:
                    line.within(write)
                else:
                    write()
                self.assertEqual(actor.transport.pending, 3 - len(b"".join(sent)))
                line.turn()
                self.assertEqual(actor.transport.isFull, room is not None)
                line.read()
                self.assertEqual((line.sent, actor.transport.pending), (b"abc", 0))

    def test_resetInWriteNow(self) -> None:
        """
        A lost connection does not call C{connectionLost} within L{Connection.writeNow}.
        """
        actor, line = self.connect()
        assert isinstance(line, TCPLine)
        fake = line.socket

        def write() -> None:
            fake.isReset = True
            actor.transport.writeNow(b"x")
            self.assertEqual(actor.ends, [])

        line.within(write)
        line.turn(2)
        self.assertEqual(actor.ends, ["ConnectionLost"])

    def test_portions(self) -> None:
        """
        A long send queue is not joined as a whole: neither for a peer that reads little
        at a time, nor with a long chunk in it. Each chunk is joined once.
        """

        class Patient(Actor):
            maxQueue = 0

        for lengths in ([4000] * 900, [100, 3_000_000] * 5 + [100] * 80):
            actor, connected = self.connect(room=0, protocol=Patient())
            line: Any = connected
            line.within(partial(actor.transport.write, b"first"))
            for length in lengths:
                actor.transport.write(bytes(length))
            line.socket.sendmsg = partial(accept, line.socket)
            joined = 0
            tracemalloc.start()
            try:
                while actor.transport.pending:
                    line.socket.room = 5000
                    held, _ = tracemalloc.get_traced_memory()
                    tracemalloc.reset_peak()
                    line.turn()
                    _, peak = tracemalloc.get_traced_memory()
                    self.assertLess(peak - held, 150_000)
                    if peak - held > 10_000:
                        joined += peak - held
            finally:
                tracemalloc.stop()
            self.assertEqual(line.socket.accepted, 5 + sum(lengths))
            self.assertLess(joined, 1.1 * sum(lengths))

    def test_eofOnce(self) -> None:
        """
        A protocol that keeps a half-closed connection open is notified of the EOF once,
        even if it pauses and resumes.
        """

        class Half(Text):
            def readConnectionLost(self) -> None:
                self.events.append("EOF")

        half, line = self.connect(protocol=Half())
        line.arrive(b"pause\0a\0")
        half.transport.startReading()
        line.endRead()
        self.assertEqual(half.events, ["pause"])
        half.transport.resumeProducing()
        line.turn(2)
        self.assertEqual(half.events, ["pause", "a", "EOF"])
        half.transport.pauseProducing()
        half.transport.resumeProducing()
        line.turn(2)
        self.assertEqual(half.events, ["pause", "a", "EOF"])
        half.transport.loseConnection()
        line.turn()
        self.assertEqual(half.events, ["pause", "a", "EOF", "ConnectionDone"])

    def test_failedInAWrite(self) -> None:
        """
        A long write to a lost connection does not call C{connectionLost} within the
        write.
        """
        for tap in (None, id):
            actor, line = self.connect()
            actor.transport.tap = tap

            def write(actor: Any = actor, line: Any = line) -> None:
                line.socket.isReset = True
                actor.transport.write(b"x" * 100_000)
                self.assertEqual(actor.ends, [])

            line.within(write)
            line.turn(2)
            self.assertEqual((actor.ends, actor.exceeded), (["ConnectionLost"], 0))

    def test_stopRaisesAtTheEnd(self) -> None:
        """
        If C{stopProducing} raises when the connection is lost, the protocol is still
        notified, once.
        """

        class Faulty(RecordingProducer):
            def stopProducing(self) -> None:
                raise ValueError("an error of the user's")

        actor, line = self.connect()
        actor.transport.registerProducer(Faulty(), True)
        self.assertRaises(ValueError, line.reset)
        self.assertEqual(actor.ends, ["ConnectionLost"])

    def test_counted(self) -> None:
        """
        Each byte is counted once.
        """
        actor, line = self.connect(room=2)
        line.arrive(b"abcd")
        line.read(1)
        self.assertEqual((actor.transport.bytesIn, actor.transport.bytesOut), (4, 3))
        line.read()
        self.assertEqual((actor.transport.bytesOut, actor.transport.pending), (4, 0))

    def test_unbind(self) -> None:
        """
        After C{unbind}, another protocol can use the connection: the producer is
        stopped, reading is resumed, and held data is dropped. The send queue is kept.
        """
        text, line = self.connect(room=0, protocol=Text())
        producer = RecordingProducer()
        text.transport.registerProducer(producer, True)
        line.arrive(b"pause\0a\0")
        connection = text.transport
        connection.unbind()
        self.assertEqual(producer.told[-1], "stop")
        actor = Actor()
        actor.clock = line.clock
        connection.switchProtocol(actor)
        actor.makeConnection(connection)
        line.arrive(b"b")
        line.read()
        self.assertEqual((actor.received, text.messages), (b"b", ["pause"]))
        self.assertEqual(line.sent, b"pause\0b")
        line.reset()
        self.assertEqual((actor.ends, text.events), (["ConnectionLost"], ["pause"]))

    def test_addresses(self) -> None:
        """
        The addresses are those of the socket, of either version of IP, unless a proxy
        reports others.
        """
        for client in (("127.0.0.1", 1), ("::1", 1, 0, 0)):
            _, line = self.connect()
            connection: Any = ServerTransport(
                cast("Any", line).socket,
                Actor(),
                client,
                cast("Any", SimpleNamespace(_realPortNumber=1)),
                1,
                line.clock,
            )
            address = IPv4Address if len(client) == 2 else IPv6Address
            self.assertEqual(connection.getPeer(), address("TCP", *client))
            peer, host = IPv4Address("TCP", "192.0.2.1", 1), IPv4Address("TCP", "192.0.2.2", 2)
            connection.setAddresses(peer, host)
            self.assertEqual((connection.getPeer(), connection.getHost()), (peer, host))

    def test_noDictionary(self) -> None:
        """
        A connection has no instance dictionary after sending and receiving, in a batch
        and outside, to slow and fast peers, over IPv4 and IPv6, and behind a proxy.
        """
        actor, line = self.connect(room=1)
        line.arrive(b"abc")
        actor.transport.write(b"d")
        line.read()
        actor.transport.write(b"e")
        line.read(0)
        line.within(lambda: actor.transport.write(b"x" * 100_000))
        line.read(10)
        line.read()
        actor.transport.setAddresses(None, None)
        actor.transport.registerProducer(RecordingProducer(), True)
        actor.transport.pauseProducing()
        actor.transport.resumeProducing()
        actor.transport.unregisterProducer()
        self.assertEqual(vars(actor.transport), {})


class TCPTests(Behaviour.Tests):
    line = TCPLine


class EpollTests(Behaviour.Tests):
    line = EpollLine


class BufferedTests(Behaviour.Tests):
    line = BufferedLine


class WrapperTests(Behaviour.Tests):
    line = WrapperLine


class TCPLateEndTests(LateEnd.Tests):
    line = TCPLine


class EpollLateEndTests(LateEnd.Tests):
    line = EpollLine


class WrapperLateEndTests(LateEnd.Tests):
    line = WrapperLine
