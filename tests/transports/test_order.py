"""
Property tests for a bound TCP connection and for a L{BufferedTransport
<openfl_twisted.transports.buffered.BufferedTransport>}: whatever the protocol and the
peer do, every written byte is sent once and in order, or reported as dropped.
"""

from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.internet.protocol import connectionDone
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.transports import tcp
from openfl_twisted.transports.writebatch import currentBatch
from tests.transports.lines import (
    Actor,
    BufferedLine,
    BufferedWebSocketLine,
    CompressedLine,
    EpollLine,
    Line,
    TCPLine,
    WebSocketLine,
    WrapperLine,
)

LIMIT = 150_000
LARGEST = 200_000

sizes = st.integers(1, 9) | st.integers(60_000, 70_000) | st.integers(140_000, LARGEST)

actions = st.one_of(
    st.tuples(st.just("write"), sizes),
    st.tuples(st.just("sequence"), st.lists(st.just(0) | sizes, max_size=4)),
    st.tuples(st.just("pull"), st.lists(sizes, min_size=1, max_size=3)),
    st.tuples(
        st.sampled_from(
            ["own", "unregister", "pause", "resume", "close", "abort", "half", "tap", "raise"]
        ),
        st.none(),
    ),
    st.tuples(st.just("push"), st.lists(sizes, max_size=3)),
)

# Actions of the protocol: in a read, in a read of another connection, or elsewhere;
# or actions of the peer.
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["read", "batch", "timer"]), st.lists(actions, max_size=4)),
        st.tuples(st.just("peer"), st.just(0) | sizes),
        st.tuples(st.sampled_from(["turn", "EOF", "reset"]), st.none()),
    ),
    max_size=15,
)


class Push:
    """
    A push producer that records its calls, and writes when it is resumed.
    """

    isRegistered = True

    def __init__(self, script: "Script", lengths: list[int]) -> None:
        self.script = script
        self.lengths = lengths
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")
        while self.lengths and self.told[-1] == "resume":
            self.script.write(self.lengths.pop(0))

    def stopProducing(self) -> None:
        self.told.append("stop")


class Pull:
    """
    A pull producer of some chunks.
    """

    isRegistered = False

    def __init__(self, script: "Script", lengths: list[int]) -> None:
        self.script = script
        self.lengths = lengths
        self.told: list[str] = []

    def resumeProducing(self) -> None:
        assert "stop" not in self.told
        if self.lengths:
            self.script.write(self.lengths.pop(0))
        else:
            self.script.act("unregister", None)

    def stopProducing(self) -> None:
        self.told.append("stop")


class Script(Actor):
    """
    A protocol that executes commands, and computes which data must be sent and
    received.

    @ivar line: the connection.
    @ivar accepted: the written bytes that must be sent.
    @ivar isOver: whether this side has closed the connection.
    @ivar isAborted: whether it has aborted the connection.
    """

    maxQueue = 0
    line: Line

    def __init__(self) -> None:
        super().__init__()
        self.accepted = bytearray()
        self.arrived = b""
        self.isOver = self.isAborted = self.isHalf = self.isInRead = self.hasRaised = False
        self.producer: Any = None
        self.producers: list[Any] = []
        self.tapped: bytearray | None = None
        self.todo: list[list[tuple[str, Any]]] = []
        self._number = 0

    def bytesReceived(self, data: bytes) -> None:
        assert not self.isOver
        assert not self.isAborted
        assert not (self.transport.paused and self.producer is not self.transport)
        assert not self.hasRaised
        self.received += data
        self.isInRead = True
        try:
            for _ in data:
                self.actAll(self.todo.pop(0) if self.todo else [])
        finally:
            self.isInRead = False

    def actAll(self, wanted: list[tuple[str, Any]]) -> None:
        for name, argument in wanted:
            self.act(name, argument)

    def _make(self, length: int) -> bytes:
        self._number += 1
        return bytes([self._number % 251]) * length

    def _accept(self, data: bytes) -> None:
        if (
            not self.ends
            and not self.isAborted
            and not self.exceeded
            and (
                not (self.isOver or self.isHalf or self.hasRaised)
                or isinstance(self.producer, Pull)
            )
        ):
            self.accepted += data

    def write(self, length: int) -> None:
        data = self._make(length)
        self._accept(data)
        self.transport.write(data)

    def act(self, name: str, argument: Any) -> None:
        transport = self.transport
        isPulling = isinstance(self.producer, Pull)
        if self.hasRaised and name in ("pull", "push", "own"):
            # The connection is closing, and only some transports still accept a producer.
            return
        match name:
            case "write":
                self.write(argument)
            case "sequence":
                chunks = [self._make(length) for length in argument]
                self._accept(b"".join(chunks))
                transport.writeSequence(chunks)
            case "pull" if self.producer is None:
                self._register(Pull(self, list(argument)), streaming=False)
            case "push" if self.producer is None:
                self._register(Push(self, list(argument)), streaming=True)
            case "own" if self.producer is None:
                self._register(transport, streaming=True)
            case "unregister":
                if isinstance(self.producer, Push):
                    self.producer.isRegistered = False
                self.producer = None
                transport.unregisterProducer()
            case "pause":
                transport.pauseProducing()
            case "resume":
                transport.resumeProducing()
            case "close":
                self.isOver = True
                if not isPulling:
                    self.producer = None
                transport.loseConnection()
            case "abort":
                self.isAborted = True
                transport.abortConnection()
            case "half":
                self.isHalf = True
                transport.loseWriteConnection()
            case "raise" if self.isInRead:
                self.hasRaised = True
                raise ValueError("an error of the user's")
            case "tap":
                transport.tap = None if transport.tap else (lambda data: None)

    def _register(self, producer: Any, *, streaming: bool) -> None:
        if producer is not self.transport:
            self.producers.append(producer)
        self.producer = producer
        self.transport.registerProducer(producer, streaming)
        if self.isOver or self.isHalf or self.isAborted or self.exceeded or self.ends:
            self.producer = None

    def readConnectionLost(self) -> None:
        self.isOver = True
        if not isinstance(self.producer, Pull):
            self.producer = None
        super().readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.producer = None


class Limited(Script):
    """
    A script with a limit of the send queue.
    """

    maxQueue = LIMIT


class OrderTests(SynchronousTestCase):
    """
    Tests with each L{Line}.
    """

    def play(self, make: Any, script: Script, wanted: list[tuple[str, Any]]) -> Line:
        """
        Run a script on a connection.
        """
        # Discard the errors of the previous example.
        self.flushLoggedErrors(ValueError)
        currentBatch.waiting = None
        self.addCleanup(setattr, currentBatch, "waiting", None)
        line: Line = make(script, 0)
        script.line = line
        isReset = isRead = False
        for name, argument in wanted:
            match name:
                case "read" if not isRead and not isReset:
                    script.todo.append(argument)
                    script.arrived += b"."
                    line.arrive(b".")
                case "batch":
                    line.within(lambda a=argument: script.actAll(a))  # type: ignore[misc]
                case "timer":
                    script.actAll(argument)
                case "peer":
                    line.read(argument)
                case "turn":
                    line.turn()
                case "EOF" if not isRead and not isReset:
                    isRead = True
                    line.endRead()
                case "reset" if not isReset:
                    isReset = True
                    line.reset()
            self.check(script, line)
        if isReset and not script.ends:
            # A paused connection detects it only when it writes.
            script.isAborted = True
        self.finish(script, line)
        return line

    def check(self, script: Script, line: Line) -> None:
        """
        Check the invariants.
        """
        sent = line.sent
        self.assertEqual(sent, bytes(script.accepted[: len(sent)]))
        self.assertTrue(script.arrived.startswith(script.received))
        self.assertLessEqual(len(script.ends), 1)
        dropped = b"".join(script.dropped)
        self.assertLessEqual(len(sent) + len(dropped), len(script.accepted))
        self.assertTrue(script.accepted.endswith(dropped))
        connection = script.transport
        if isinstance(line, TCPLine) and not (script.ends or script.isAborted or script.exceeded):
            self.assertEqual(connection.pending, len(script.accepted) - len(sent))
        if script.maxQueue and not script.exceeded:
            # Twisted's own buffer comes on top of it.
            self.assertLess(connection.pending, 2 * LIMIT + 5 * LARGEST + (1 << 17))

    def finish(self, script: Script, line: Line) -> None:
        """
        Close the connection gracefully, and read all data as the peer.
        """
        for _ in range(12):
            line.turn()
            line.read(LARGEST)
            script.transport.resumeProducing()
        if not (script.isOver or script.ends or script.isAborted or script.exceeded):
            self.assertEqual(script.received, script.arrived)
        line.read()
        for _ in range(20):
            line.turn()
            line.read()
        self.assertNotIsInstance(script.producer, Pull)
        script.act("unregister", None)
        script.isOver = True
        script.transport.loseConnection()
        for _ in range(5):
            line.turn()
            line.read()
        self.check(script, line)
        self.assertEqual(len(script.ends), 1)
        self.assertNotIn("AssertionError", script.ends)
        self.assertTrue(line.isClosed)
        self.assertEqual(line.clock.getDelayedCalls(), [])
        if script.ends == ["ConnectionDone"] and not script.exceeded:
            self.assertEqual(line.sent, bytes(script.accepted))
            self.assertEqual(script.dropped, [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), script.hasRaised)
        if isinstance(line, TCPLine):
            self.assertEqual(line.sent + b"".join(script.dropped), bytes(script.accepted))
            self.assertEqual((line.reactor.readers, line.reactor.writers), ({}, {}))
        for producer in script.producers:
            self.assertLessEqual(producer.told.count("stop"), 1)
            if producer.isRegistered:
                self.assertNotEqual(producer.told[-1:], ["pause"])

    @example(BufferedLine, [("read", [("raise", None)]), ("batch", [("pull", [1]), ("write", 1)])])
    @given(st.sampled_from([TCPLine, EpollLine, BufferedLine, WrapperLine]), steps)
    def test_unlimited(self, make: Callable[..., Line], wanted: list[tuple[str, Any]]) -> None:
        """
        Without a limit, nothing is lost unless the connection is aborted or reset.
        """
        self.play(make, Script(), wanted)

    @given(st.sampled_from([TCPLine, EpollLine, BufferedLine, WrapperLine]), steps)
    def test_limited(self, make: Callable[..., Line], wanted: list[tuple[str, Any]]) -> None:
        """
        With a limit, a peer is disconnected once, and the queue is dropped.
        """
        script = Limited()
        with capturedLogs():
            self.play(make, script, wanted)
        self.assertLessEqual(script.exceeded, 1)

    @example(TCPLine, [*[(60_000, 0)] * 6, (60_000, 1), *[(60_000, 0)] * 6], 64)
    @given(
        st.sampled_from([TCPLine, EpollLine]),
        st.lists(st.tuples(st.integers(1, 60_000), st.just(0) | st.integers(0, 60_000))),
        st.sampled_from([1, 2, 64]),
    )
    def test_slowPeer(
        self, make: Callable[..., Line], turns: list[tuple[int, int]], chunks: int
    ) -> None:
        """
        The limit holds for a peer that reads little at a time, however many chunks the
        system sends in one call. The bytes that were written before it was known that the
        peer does not read do not count.
        """
        self.patch(tcp, "_MAX_CHUNKS", chunks)
        script = Limited()
        script.maxQueue = 400_000
        wanted = [
            step
            for length, room in turns
            for step in (("batch", [("write", length)]), ("peer", room))
        ]
        most = 0

        class Measured(make):  # type: ignore[misc, valid-type]
            def read(self, room: int | None = None) -> None:
                nonlocal most
                most = max(most, script.transport.pending)
                super().read(room)

        with capturedLogs():
            self.play(Measured, script, wanted)
        self.assertLess(most, script.maxQueue + (1 << 17))


class Losing(StreamProtocol):
    """
    Records the dropped messages.
    """

    maxQueue = 0
    clock: Any

    def __init__(self) -> None:
        self.dropped: list[bytes] = []

    def getClock(self) -> Any:
        return self.clock

    def sendQueueDropped(self, chunks: list[bytes]) -> None:
        self.dropped += chunks


class LostTests(SynchronousTestCase):
    """
    Messages that a peer has not received completely.
    """

    def setUp(self) -> None:
        self.patch(currentBatch, "waiting", None)

    @given(
        st.sampled_from(
            [TCPLine, WebSocketLine, CompressedLine, BufferedLine, BufferedWebSocketLine]
        ),
        st.lists(
            st.tuples(
                st.lists(st.integers(0, 300) | st.integers(0, 130_000), max_size=4),
                st.integers(0, 9) | st.integers(0, 200_000),
            ),
            max_size=6,
        ),
    )
    def test_counted(self, make: Any, steps: list[tuple[list[int], int]]) -> None:
        """
        The dropped messages and those that the peer has received completely are all that
        were written, for each length of their payloads. A foreign transport counts as the
        peer.
        """
        protocol = Losing()
        line = make(protocol, 0)
        random = Random(0)
        count = 0
        for lengths, room in steps:
            for length in lengths:
                # Random bytes, so that compressed messages are long, too.
                message = random.randbytes(length).replace(b"\0", b"0") + b"\0"
                line.within(lambda message=message: protocol.transport.write(message))
                count += 1
            line.read(room)
        protocol.transport.abortConnection()
        line.turn()
        sent = b"".join(line.transport.writes) if isinstance(line, BufferedLine) else line.sent
        if protocol.transport.preservesMessages:
            lost, received = len(protocol.dropped), completeFrames(sent)
        else:
            lost, received = b"".join(protocol.dropped).count(b"\0"), sent.count(b"\0")
        self.assertEqual(lost + received, count)


def completeFrames(sent: bytes) -> int:
    """
    Return the number of messages that a client has received completely after the
    response.
    """
    _, _, frames = sent.partition(b"\r\n\r\n")
    count = 0
    while len(frames) >= 2:
        size = {126: 2, 127: 8}.get(frames[1], 0)
        end = 2 + size + (int.from_bytes(frames[2 : 2 + size]) if size else frames[1])
        count += len(frames) >= max(end, 2 + size)
        frames = frames[end:] if len(frames) >= 2 + size else b""
    return count
