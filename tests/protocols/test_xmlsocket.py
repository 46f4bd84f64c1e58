"""
Tests for L{openfl_twisted.protocols.xmlsocket} and
L{openfl_twisted.protocols.broadcast}.
"""

import tracemalloc
from functools import partial
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.testing import connectedPair
from openfl_twisted.transports.detectiontimer import DETECTION_TIMEOUT
from openfl_twisted.transports.fanout import MAX_FAN_OUT
from openfl_twisted.transports.limits import ConnectionLimits
from openfl_twisted.transports.receivebuffer import MAX_WORK
from openfl_twisted.wire.firstbytes import Signature
from openfl_twisted.wire.messages import MAX_LENGTH
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from openfl_twisted.wire.policy.rule import AccessRule
from tests.doubles import (
    MessageTransport,
    RecordingProducer,
    TightTransport,
    linesOf,
)
from tests.segments import cuts, cutStreams

done = Failure(ConnectionDone())
FOREIGN_BYTES = [
    ("http", b"POST /a HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 400 "),
    ("http", b"GET /" + b"x" * 5000, b"HTTP/1.1 400 "),
    ("tls", b"\x16\x03\x01\x02\0\x01\0\x01\xfc", b"\x15\x03\x01\0\x02\x02\x28"),
    ("proxy", b"PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\n", b""),
    ("proxy", b"\r\n\r\n\0\r\nQUIT\n\x21", b""),
]
streams = st.lists(st.sampled_from([b"ask\0", b"\0", b"ab", b"close\0", b"x" * 11])).map(b"".join)


class Recorder(XMLSocketProtocol):
    """
    Records its messages; answers C{ask}, and closes the connection at C{close}.
    """

    MAX_LENGTH = 10

    def __init__(self) -> None:
        self.messages: list[str] = []

    @property
    def texts(self) -> list[str]:
        """
        All messages received.
        """
        return self.messages

    def messageReceived(self, message: str) -> None:
        self.messages.append(message)
        if message == "ask":
            self.sendMessage("answer")
        elif message == "close":
            self.transport.loseConnection()


def connected() -> tuple[Recorder, StringTransport]:
    """
    Connect a L{Recorder} that answers no policy requests.
    """
    recorder = Recorder()
    transport = StringTransport()
    recorder.makeConnection(transport)
    return recorder, transport


class ReceiveTests(SynchronousTestCase):
    """
    Receiving messages.
    """

    def test_messages(self) -> None:
        """
        Each message is delivered without its NUL byte; empty messages, too.
        """
        recorder, _ = connected()
        recorder.dataReceived(b"a\0\0<b/>\0c")
        self.assertEqual(recorder.messages, ["a", "", "<b/>"])
        recorder.dataReceived(b"\xc3")
        recorder.dataReceived(b"\xa9\0")
        self.assertEqual(recorder.messages[3:], ["c\u00e9"])

    @given(
        cutStreams(
            st.lists(st.sampled_from([b"ask\0", b"\0", b"ab", b"close\0", b"x" * 11])).map(b"".join)
        )
    )
    def test_anyCut(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        The messages and replies do not depend on how the stream is split.
        """
        stream, pieces = cut
        whole, wholeTransport = connected()
        whole.dataReceived(stream)
        recorder, transport = connected()
        for piece in pieces:
            recorder.dataReceived(piece)
        self.assertEqual(recorder.messages, whole.messages)
        self.assertEqual(transport.value(), wholeTransport.value())
        self.assertEqual(transport.disconnecting, wholeTransport.disconnecting)

    def test_closeInAHandler(self) -> None:
        """
        After the handler has closed the connection, no further message is delivered,
        not even one already received, as in Flash.
        """
        recorder, transport = connected()
        recorder.dataReceived(b"ask\0close\0ask\0")
        recorder.dataReceived(b"ask\0")
        self.assertEqual(recorder.messages, ["ask", "close"])
        self.assertEqual(transport.value(), b"answer\0")

    def test_replies(self) -> None:
        """
        The replies to all messages of one read are sent in one write.
        """
        recorder = Recorder()
        transport = TightTransport(recorder, 100)
        recorder.makeConnection(transport)
        recorder.dataReceived(b"ask\0ask\0ask\0")
        self.assertEqual(transport.writes, [b"answer\0" * 3])

    def test_notOverridden(self) -> None:
        """
        Subclasses must implement a handler. For a misspelt handler, the error suggests the
        right name.
        """

        class Misspelt(XMLSocketProtocol):
            def mesageReceived(self, message: str) -> None: ...

        wanted = "must override messageReceived or messagesReceived or lineReceived"
        for kind, text in (
            (XMLSocketProtocol, wanted),
            (Misspelt, f"{wanted}; it defines mesageReceived, did you mean messageReceived?"),
        ):
            protocol = kind()
            protocol.makeConnection(StringTransport())
            protocol.dataReceived(b"a\0")
            [error] = self.flushLoggedErrors(NotImplementedError)
            self.assertEqual(str(error.value), f"{kind.__name__} {text}")


class Batches(XMLSocketProtocol):
    """
    Receives messages in batches; answers those that begin with C{a}.
    """

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    @property
    def texts(self) -> list[str]:
        """
        All messages received.
        """
        return [message for batch in self.batches for message in batch]

    def messagesReceived(self, messages: list[str]) -> None:
        self.batches.append(messages)
        self.sendMessages([message.upper() for message in messages if message.startswith("a")])


class Bytes(XMLSocketProtocol):
    """
    Receives messages as bytes.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    def lineReceived(self, line: bytes) -> None:
        self.texts.append(line.decode())


class BatchTests(SynchronousTestCase):
    """
    Receiving and sending messages in batches.
    """

    def setUp(self) -> None:
        """
        Connect a protocol that receives batches.
        """
        self.batches = Batches()
        self.transport = TightTransport(self.batches, 1000)
        self.batches.makeConnection(self.transport)

    def test_messages(self) -> None:
        """
        All messages completed by one chunk are delivered as text in one batch, and the
        answers are sent in one write.
        """
        self.batches.dataReceived(b"a1\0b\0\0a2\0a")
        self.batches.dataReceived(b"\xc3")
        self.batches.dataReceived(b"\xa9\0")
        self.assertEqual(self.batches.batches, [["a1", "b", "", "a2"], ["a\u00e9"]])
        self.assertEqual(self.transport.writes, [b"A1\0A2\0", "A\u00c9\0".encode()])
        self.assertEqual((self.batches.messagesIn, self.batches.messagesOut), (5, 3))

    @given(st.lists(st.binary(max_size=6).map(lambda data: data.replace(b"\0", b"")), min_size=1))
    def test_sameText(self, messages: list[bytes]) -> None:
        """
        A message is decoded the same whichever messages arrive with it, valid or not.
        """
        together, alone = Batches(), Batches()
        for batches in (together, alone):
            batches.makeConnection(StringTransport())
        with capturedLogs():
            together.dataReceived(b"".join(message + b"\0" for message in messages))
            for message in messages:
                alone.dataReceived(message + b"\0")
        self.assertEqual(together.batches, [[text for (text,) in alone.batches]])

    def test_none(self) -> None:
        """
        Sending no messages sends nothing.
        """
        self.batches.sendMessages([])
        self.assertEqual(self.transport.writes, [])

    def test_paused(self) -> None:
        """
        A batch is held while the protocol is paused, and dropped when it has closed the
        connection.
        """
        self.batches.transport.pauseProducing()
        self.batches.dataReceived(b"a1\0b\0")
        self.batches.dataReceived(b"a2\0")
        self.assertEqual(self.batches.batches, [])
        self.batches.transport.resumeProducing()
        self.assertEqual(self.batches.batches, [["a1", "b"], ["a2"]])
        self.batches.transport.pauseProducing()
        self.batches.dataReceived(b"a3\0")
        self.batches.transport.loseConnection()
        self.batches.transport.resumeProducing()
        self.assertEqual(len(self.batches.batches), 2)

    @given(st.lists(st.sampled_from(["a", "b", "pause", "again", "close"]), max_size=30), st.data())
    def test_orderWithPauses(self, messages: list[str], data: st.DataObject) -> None:
        """
        However often a handler pauses and resumes, it receives every message once and
        in order, until it closes the connection.
        """

        class Pausing(Recorder):
            def messageReceived(self, message: str) -> None:
                super().messageReceived(message)
                if message in ("pause", "again"):
                    self.transport.pauseProducing()
                if message == "again":
                    self.transport.resumeProducing()

        pausing = Pausing()
        pausing.makeConnection(StringTransport(lenient=True))
        left = messages
        while left:
            count = data.draw(st.integers(1, len(left)))
            pausing.dataReceived("".join(f"{message}\0" for message in left[:count]).encode())
            left = left[count:]
            if data.draw(st.booleans()):
                pausing.transport.resumeProducing()
        for _ in messages:
            pausing.transport.resumeProducing()
        end = messages.index("close") + 1 if "close" in messages else len(messages)
        self.assertEqual(pausing.messages, messages[:end])

    def test_resumesImmediately(self) -> None:
        """
        A handler that pauses and resumes for each message is never called recursively.
        """
        depths: set[int] = set()

        class Waiting(Recorder):
            depth = 0

            def messageReceived(self, message: str) -> None:
                super().messageReceived(message)
                self.depth += 1
                depths.add(self.depth)
                self.transport.pauseProducing()
                self.transport.resumeProducing()
                self.depth -= 1

        waiting = Waiting()
        waiting.makeConnection(StringTransport())
        waiting.transport.pauseProducing()
        for _ in range(3):
            waiting.dataReceived(b"a\0" * 100)
        waiting.transport.resumeProducing()
        self.assertEqual((len(waiting.messages), depths), (300, {1}))
        waiting.dataReceived(b"b\0")
        self.assertEqual(waiting.messages[-1], "b")

    def test_broadcast(self) -> None:
        """
        Several messages are sent to all but one connection, in one write each; on a
        WebSocket, each is one write.
        """
        factory = XMLSocketFactory(Batches)
        protocols = [cast("Batches", factory.buildProtocol(None)) for _ in range(3)]
        transports: list[TightTransport] = [
            TightTransport(None, 1000),
            TightTransport(None, 1000),
            MessageTransport(room=1000),
        ]
        for protocol, transport in zip(protocols, transports, strict=True):
            protocol.makeConnection(transport)
        factory.broadcastMessages(["a", "b"], exclude=protocols[:1])
        self.assertEqual(
            [transport.writes for transport in transports], [[], [b"a\0b\0"], [b"a\0", b"b\0"]]
        )
        self.assertEqual(factory.messagesOut, 4)

    def test_sendApart(self) -> None:
        """
        On a WebSocket, several messages are sent in one write each.
        """
        batches, transport = Batches(), MessageTransport(room=1000)
        batches.makeConnection(transport)
        batches.sendMessages(["a", "b"])
        batches.sendMessages([])
        self.assertEqual((transport.writes, batches.messagesOut), ([b"a\0", b"b\0"], 2))

    def test_sendLong(self) -> None:
        """
        On a WebSocket, a long message is one write, too.
        """
        batches, transport = Batches(), MessageTransport(room=1_000_000)
        batches.makeConnection(transport)
        batches.sendMessage("a" * 100_000)
        batches.sendMessages(["a" * 100_000])
        batches.sendLine(b"a" * 100_000)
        self.assertEqual(transport.writes, [b"a" * 100_000 + b"\0"] * 3)
        self.assertEqual(batches.messagesOut, 3)

    def test_sendLongUncopied(self) -> None:
        """
        A long message is passed to a coalescing transport without a copy, together with
        its NUL byte; other transports receive one chunk.
        """
        line = b"a" * 100_000
        lines, transport = Batches(), TightTransport(room=1_000_000)
        lines.makeConnection(transport)
        lines.sendLine(line)
        lines.sendMessages(["b" * 60_000, "c" * 60_000])
        self.assertTrue(transport.writes[0] == line + b"\0")
        self.assertTrue(transport.writes[1] == b"b" * 60_000 + b"\0" + b"c" * 60_000 + b"\0")
        self.assertEqual(len(transport.writes), 2)

    def test_sendLongWhole(self) -> None:
        """
        A long message and its NUL byte are sent together, although the message fills
        the transport: neither a paused producer nor the limit of the send queue
        separates them.
        """
        batches, transport = Batches(), TightTransport(room=1000)
        batches.makeConnection(transport)
        batches.limits = ConnectionLimits(maxQueue=100)
        producer: Any = RecordingProducer()
        producer.pauseProducing = partial(batches.sendMessage, "paused")
        batches.transport.registerProducer(producer, True)
        batches.sendMessage("a" * 100_000)
        transport.drain()
        self.assertTrue(transport.delivered == b"a" * 100_000 + b"\0")
        transport.drain()
        self.assertEqual(transport.delivered[100_001:], b"paused\0")
        batches.transport.unregisterProducer()
        batches.sendMessage("a" * 100_000)
        batches.sendMessage("b" * 200)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(transport.writes[-1][-2:], b"a\0")


class LimitTests(SynchronousTestCase):
    """
    Invalid data closes at most one connection, with one log line.
    """

    def lines(self, recorder: Recorder, *pieces: bytes, lost: bool = False) -> list[str]:
        """
        Return the log lines for some chunks.
        """
        with capturedLogs() as logs:
            for piece in pieces:
                recorder.dataReceived(piece)
            if lost:
                recorder.connectionLost(done)
        return linesOf(logs)

    def test_tooLong(self) -> None:
        """
        A message above the limit closes the connection; previous messages are
        delivered.
        """
        recorder, transport = connected()
        lines = self.lines(recorder, b"ask\0" + b"x" * 11, b"\0ask\0", lost=True)
        self.assertEqual(
            lines, ["192.168.1.1:54321 disconnected: a message is longer than 10 bytes"]
        )
        self.assertTrue(transport.disconnecting)
        self.assertEqual((recorder.messages, transport.value()), (["ask"], b"answer\0"))

    def test_notUTF8(self) -> None:
        """
        Invalid UTF-8 is decoded as Flash does; this is logged once per connection.
        """
        recorder, transport = connected()
        lines = self.lines(recorder, b"\xff\0", b"\xe4\xb8\0ok\0")
        self.assertEqual(recorder.messages, ["\u00ff", "\u00e4\u00b8", "ok"])
        self.assertEqual(
            lines,
            [
                (
                    "192.168.1.1:54321 sent invalid UTF-8; decoding it like Flash Player"
                    " (logged once per connection)"
                )
            ],
        )
        self.assertFalse(transport.disconnecting)

    def test_incompleteMessage(self) -> None:
        """
        An incomplete message is dropped at the end, with a log line.
        """
        recorder, _ = connected()
        lines = self.lines(recorder, b"ask\0half", lost=True)
        self.assertEqual(recorder.messages, ["ask"])
        self.assertEqual(
            lines,
            ["192.168.1.1:54321 closed the connection in the middle of a message; 4 bytes dropped"],
        )

    def test_closedByThePeer(self) -> None:
        """
        At EOF, the replies are sent first, and an incomplete message is logged once.
        """
        recorder = Recorder()
        transport = TightTransport(recorder, 5)
        recorder.makeConnection(transport)
        recorder.dataReceived(b"ask\0half")
        with capturedLogs() as logs:
            recorder.readConnectionLost()
            self.assertEqual(transport.drainAll(), b"answer\0")
        self.assertTrue(transport.closed)
        self.assertEqual(len(logs), 1)

    def test_ownClose(self) -> None:
        """
        An incomplete message is not logged if this side has closed the connection.
        """
        recorder, transport = connected()
        transport.disconnecting = False
        recorder.dataReceived(b"ha")
        recorder.transport.loseConnection()
        self.assertEqual(self.lines(recorder, lost=True), [])


class SubclassTests(SynchronousTestCase):
    """
    Subclasses are defined like those of any Twisted protocol.
    """

    def test_classAttributes(self) -> None:
        """
        Protocols use the attributes of their class until they are assigned.
        """
        factory = XMLSocketFactory(Recorder)

        class Settled(Recorder):
            connected = 7

        settled: Any = Settled
        settled.factory = factory
        self.assertEqual((Settled().factory, Settled().connected), (factory, 7))
        self.assertEqual((Recorder().factory, Recorder().connected), (None, 0))
        self.assertIsNone(Recorder().transport)
        made = factory.buildProtocol(None)
        assert made is not None
        self.assertIs(made.factory, factory)


class LineReceiverTests(SynchronousTestCase):
    """
    The names of C{LineReceiver}.
    """

    def test_lines(self) -> None:
        """
        C{lineReceived} and C{sendLine} use bytes.
        """

        class Lines(XMLSocketProtocol):
            MAX_LENGTH = 5
            exceeded = False

            def lineReceived(self, line: bytes) -> None:
                self.sendLine(line[::-1])

            def lineLengthExceeded(self, line: object) -> None:
                self.exceeded = True

        lines = Lines()
        transport = StringTransport()
        lines.makeConnection(transport)
        lines.dataReceived(b"abc\0\xff\xfe\0")
        self.assertEqual(transport.value(), b"cba\0\xfe\xff\0")
        lines.dataReceived(b"abcdef")
        self.assertTrue(lines.exceeded)

    def test_delimiter(self) -> None:
        """
        A subclass cannot have another delimiter than the NUL byte, and the error says
        what to use instead.
        """
        with self.assertRaises(TypeError) as caught:
            type("Lines", (XMLSocketProtocol,), {"delimiter": b"\r\n"})
        self.assertEqual(
            str(caught.exception),
            "Lines.delimiter cannot be set: XMLSocket messages end with a NUL byte; use"
            " twisted.protocols.basic.LineReceiver for another delimiter",
        )


class NoLimitTests(SynchronousTestCase):
    """
    A limit of 0 means no limit.
    """

    def test_noLimit(self) -> None:
        """
        A message of any length is delivered, and any amount is queued for a peer that
        does not read.
        """
        message = b"x" * (MAX_LENGTH * 3) + b"\0"
        for pieces in ([message], [message[:5], message[5:]]):
            protocol = XMLSocketFactory(EchoProtocol, maxLength=0, maxQueue=0).buildProtocol(None)
            assert protocol is not None
            transport = TightTransport(protocol, 10)
            protocol.makeConnection(transport)
            for piece in pieces:
                transport.arrive(piece)
            self.assertFalse(transport.disconnecting or transport.closed)
            self.assertEqual(len(transport.drainAll()), len(message))


class PolicyRequestTests(SynchronousTestCase):
    """
    A policy request that is the first message is answered.
    """

    def answer(self, data: bytes, **options: object) -> tuple[Recorder, StringTransport]:
        """
        Send data to a protocol of a factory.
        """
        recorder = XMLSocketFactory(Recorder, maxLength=100, **options).buildProtocol(None)  # type: ignore[arg-type]
        assert isinstance(recorder, Recorder)
        transport = StringTransport()
        recorder.makeConnection(transport)
        recorder.dataReceived(data)
        return recorder, transport

    def test_answered(self) -> None:
        """
        A policy request is answered with the file for the port, and the connection is
        closed.
        """
        recorder, transport = self.answer(REQUEST + b"ask\0")
        port = transport.getHost().port
        self.assertEqual(transport.value(), PolicyFile.forPort(port).toXML() + b"\0")
        self.assertTrue(transport.disconnecting)
        self.assertEqual(recorder.messages, [])

    def test_counted(self) -> None:
        """
        The factory counts the requests by outcome.
        """
        recorder, _ = self.answer(REQUEST)
        factory = recorder.factory
        assert isinstance(factory, XMLSocketFactory)
        self.assertEqual((factory.answered, factory.unanswered), (1, 0))
        second = factory.buildProtocol(None)
        assert second is not None
        second.makeConnection(StringTransport(hostAddress=UNIXAddress(b"/run/a")))
        second.dataReceived(REQUEST)
        self.assertEqual((factory.answered, factory.unanswered), (1, 1))

    def test_ownFile(self) -> None:
        """
        Another policy file can be served.
        """
        policy = PolicyFile((AccessRule("a.example", "80"),))
        _, transport = self.answer(REQUEST, policy=policy)
        self.assertEqual(transport.value(), policy.toXML() + b"\0")

    def test_otherEnds(self) -> None:
        """
        A request that ends with LF or CRLF, or with EOF, is answered too, whatever its
        segmentation.
        """
        for request in (b"<policy-file-request/>\n", b"<policy-file-request/>\r\nmore"):
            for data in ([request], [request[at : at + 1] for at in range(len(request))]):
                recorder, transport = self.answer(b"")
                for each in data:
                    recorder.dataReceived(each)
                self.assertIn(b"</cross-domain-policy>\0", transport.value())
                self.assertTrue(transport.disconnecting)
        recorder, transport = self.answer(REQUEST[:-1])
        self.assertEqual(transport.value(), b"")
        recorder.readConnectionLost()
        self.assertIn(b"</cross-domain-policy>\0", transport.value())
        self.assertEqual(recorder.messages, [])

    def test_webSocket(self) -> None:
        """
        Players ask for the policy file over TCP alone: in a WebSocket, a request is a
        message.
        """
        recorder = XMLSocketFactory(Recorder, maxLength=100).buildProtocol(None)
        assert isinstance(recorder, Recorder)
        recorder.makeConnection(MessageTransport(recorder, 1000))
        recorder.dataReceived(REQUEST)
        self.assertEqual(recorder.messages, [REQUEST[:-1].decode()])

    def test_notFirst(self) -> None:
        """
        A later request, or a request without a policy, is a message.
        """
        text = REQUEST[:-1].decode()
        recorder, transport = self.answer(b"a\0" + REQUEST)
        self.assertEqual(recorder.messages, ["a", text])
        recorder, transport = self.answer(REQUEST, policy=None)
        self.assertEqual((recorder.messages, transport.value()), ([text], b""))


def runIteration(clock: Clock) -> None:
    """
    Run the only delayed call, but not the calls that it schedules.
    """
    [call] = clock.getDelayedCalls()
    run = cast("Any", call).func
    call.cancel()
    run()


class TurnTests(SynchronousTestCase):
    """
    After a number of messages, other connections are served.
    """

    def connect(self, make: Any = Recorder, maxLength: int = 100) -> tuple[Any, TightTransport]:
        """
        Connect a protocol of a factory with a clock.
        """
        self.clock = Clock()
        self.factory = XMLSocketFactory(make, maxLength=maxLength, clock=self.clock)
        protocol = self.factory.buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 1_000_000)
        protocol.makeConnection(transport)
        return protocol, transport

    def iterate(self) -> None:
        """
        Run two iterations of the reactor: others are served in the first. A clock
        would run what they schedule too.
        """
        runIteration(self.clock)
        if self.clock.getDelayedCalls():
            runIteration(self.clock)

    @given(st.integers(0, 3), st.sampled_from([Recorder, Batches, Bytes]))
    def test_order(self, reads: int, make: type) -> None:
        """
        Every second iteration of the reactor handles at most MAX_WORK messages, in
        order, and nothing is read in between.
        """
        protocol, transport = self.connect(make)
        expected = [str(number) for number in range(reads * MAX_WORK + 5)]
        protocol.dataReceived("".join(f"{each}\0" for each in expected).encode())
        for turn in range(1, reads + 1):
            self.assertEqual(protocol.texts, expected[: turn * MAX_WORK])
            self.assertEqual(transport.producerState, "paused")
            self.iterate()
        self.assertEqual(protocol.texts, expected)
        self.assertEqual(transport.producerState, "producing")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_memory(self) -> None:
        """
        Very many tiny messages that are held take little memory, whether they
        were received in one read or in many.
        """
        for data, reads in ((bytes(65536), 1), (bytes(16), 4096)):
            protocol, _ = self.connect(Bytes)
            protocol.dataReceived(bytes(MAX_WORK + 1))
            tracemalloc.start()
            try:
                for _ in range(reads):
                    protocol.dataReceived(data)
                self.assertLess(tracemalloc.get_traced_memory()[0], 1 << 20)
            finally:
                tracemalloc.stop()
            self.clock.advance(0)
            self.assertEqual(len(protocol.texts), 65536 + MAX_WORK + 1)

    def test_postponed(self) -> None:
        """
        A message that is postponed by C{messageReceived} is handled before the
        messages that were received with it and after it.
        """

        class Postponing(Recorder):
            def messageReceived(self, message: str) -> None:
                if message != "b" or not self.postpone("B", self.messageReceived):
                    super().messageReceived(message)

        protocol, transport = self.connect(Postponing)
        protocol.dataReceived(b"a\0b\0c\0d\0")
        protocol.dataReceived(b"e\0")
        self.assertEqual((protocol.messages, transport.producerState), (["a"], "paused"))
        protocol.unblockReading()
        self.clock.advance(0)
        self.assertEqual(protocol.messages, ["a", "B", "c", "d", "e"])
        self.assertEqual(transport.producerState, "producing")

    def test_furtherData(self) -> None:
        """
        Data that a TLS transport delivers in the meantime is handled after it.
        """
        protocol, _ = self.connect()
        protocol.dataReceived(b"a\0" * (MAX_WORK + 1))
        protocol.dataReceived(b"b\0")
        self.clock.advance(0)
        self.assertEqual(protocol.messages[MAX_WORK:], ["a", "b"])

    def test_pausedInBetween(self) -> None:
        """
        A protocol that pauses and resumes in the meantime gets the rest in order,
        and not before the next iteration.
        """
        protocol, transport = self.connect()
        protocol.dataReceived(b"a\0" * MAX_WORK + b"b\0")
        protocol.transport.pauseProducing()
        protocol.transport.resumeProducing()
        self.assertEqual(len(protocol.messages), MAX_WORK)
        self.assertEqual(transport.producerState, "paused")
        protocol.transport.pauseProducing()
        self.clock.advance(0)
        self.assertEqual(len(protocol.messages), MAX_WORK)
        protocol.transport.resumeProducing()
        self.assertEqual(protocol.messages[-1], "b")
        self.assertEqual(transport.producerState, "producing")

    def test_spend(self) -> None:
        """
        Messages that cost more than others are fewer in an iteration.
        """

        class Expensive(Recorder):
            def messageReceived(self, message: str) -> None:
                super().messageReceived(message)
                self.spend(MAX_WORK // 2)

        protocol, _ = self.connect(Expensive)
        protocol.dataReceived(b"a\0b\0c\0d\0e\0")
        counts = []
        while self.clock.getDelayedCalls():
            counts.append(len(protocol.messages))
            self.iterate()
        self.assertEqual((counts, protocol.messages), ([2, 4], ["a", "b", "c", "d", "e"]))

    def test_closed(self) -> None:
        """
        After the protocol has closed the connection, no further message is delivered.
        """
        protocol, _ = self.connect()
        protocol.dataReceived(b"a\0" * MAX_WORK + b"close\0b\0")
        self.clock.advance(0)
        self.assertEqual(protocol.messages[MAX_WORK:], ["close"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_fault(self) -> None:
        """
        An exception outside a read aborts the connection, with its traceback in
        the log.
        """

        class Faulty(Recorder):
            def messageReceived(self, message: str) -> None:
                super().messageReceived(message)
                if message == "b":
                    raise ValueError("a fault of the user's")

        protocol, transport = self.connect(Faulty)
        protocol.dataReceived(b"a\0" * MAX_WORK + b"b\0c\0")
        self.clock.advance(0)
        self.assertTrue(transport.closed)
        self.assertNotIn("c", protocol.messages)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_lost(self) -> None:
        """
        When the connection is closed, the rest is handled. After a reset it is dropped,
        so that resets cannot keep the server busy.
        """
        for reason, handled in [(ConnectionDone(), 3 * MAX_WORK), (ConnectionLost(), MAX_WORK)]:
            protocol, _ = self.connect()
            protocol.dataReceived(b"a\0" * 3 * MAX_WORK)
            protocol.connectionLost(Failure(reason))
            self.assertEqual(len(protocol.messages), handled)
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lostWhilePaused(self) -> None:
        """
        A protocol that has paused in the meantime does not receive the rest.
        """
        protocol, _ = self.connect()
        protocol.dataReceived(b"a\0" * 2 * MAX_WORK)
        protocol.transport.pauseProducing()
        protocol.connectionLost(done)
        self.assertEqual(len(protocol.messages), MAX_WORK)

    def test_broadcast(self) -> None:
        """
        Messages for many clients count as several: a limited number of clients receives
        them in an iteration. All clients receive the messages in order.
        """
        sender, _ = self.connect(BroadcastProtocol)
        receivers = self.addReceivers(2999)
        sender.dataReceived(b"a\0" * 200)
        sender.dataReceived(b"b\0")
        sent = self.sentByIteration(receivers)
        # Each receiver counts as 4,096 bytes and its messages.
        most = -(-MAX_FAN_OUT // (4096 + 400))
        self.assertEqual(sent[:5], [0, most, 2 * most, 3 * most, 2999])
        values = {receiver.value() for receiver in receivers}
        self.assertEqual(values, {b"a\0" * 200 + b"b\0"})

    def addReceivers(self, count: int) -> list[StringTransport]:
        """
        Connect clients that only receive.

        @return: their transports.
        """
        receivers = []
        for _ in range(count):
            other = self.factory.buildProtocol(None)
            assert other is not None
            receivers.append(StringTransport())
            other.makeConnection(cast("Any", receivers[-1]))
        return receivers

    def sentByIteration(self, receivers: list[StringTransport]) -> list[int]:
        """
        Run all reactor iterations.

        @return: the number of receivers that have received something before each of
            them.
        """
        sent = []
        while self.clock.getDelayedCalls():
            sent.append(sum(bool(receiver.value()) for receiver in receivers))
            self.iterate()
        return sent

    def test_longBroadcast(self) -> None:
        """
        A long message is sent to few clients in an iteration. Each client receives the
        messages of the sender in their order; a message of another client is not
        delayed.
        """
        sender, _ = self.connect(BroadcastProtocol, MAX_LENGTH)
        receivers = self.addReceivers(20)
        other = [*self.factory.connections][-1]
        long = b"a" * 1_000_000 + b"\0"
        sender.dataReceived(long)
        sender.dataReceived(b"b\0")
        self.assertEqual([receiver.value() for receiver in receivers], [b""] * 20)
        self.iterate()
        sent = [len(receiver.value()) for receiver in receivers]
        self.assertEqual(sorted(sent), [0] * 15 + [len(long)] * 5)
        self.assertFalse(sender.transport.reading)
        other.dataReceived(b"c\0")
        self.assertTrue(all(receiver.value().endswith(b"c\0") for receiver in receivers[:-1]))
        while self.clock.getDelayedCalls():
            self.iterate()
        self.assertTrue(sender.transport.reading)
        values = [receiver.value() for receiver in receivers]
        self.assertEqual({value.replace(b"c\0", b"") for value in values}, {long + b"b\0"})
        self.assertEqual(self.factory.messagesOut, 20 * 3)

    def test_lostReceivers(self) -> None:
        """
        A client that disconnects while a long message is sent to others receives
        nothing. A sender that disconnects does not end the message.
        """
        sender, _ = self.connect(BroadcastProtocol, MAX_LENGTH)
        receivers = self.addReceivers(20)
        sender.dataReceived(b"a" * 1_000_000 + b"\0")
        self.iterate()
        number = next(at for at, receiver in enumerate(receivers) if not receiver.value())
        lost = [*self.factory.connections][number + 1]
        lost.transport.transportLost()
        lost.connectionLost(Failure(ConnectionDone()))
        sender.connectionLost(Failure(ConnectionDone()))
        while self.clock.getDelayedCalls():
            self.iterate()
        self.assertEqual([bool(receiver.value()) for receiver in receivers].count(False), 1)
        self.assertEqual(receivers[number].value(), b"")

    def test_closingSender(self) -> None:
        """
        A long message is sent to all clients, whether the handler closes the connection before
        or while it is sent.
        """

        class Closing(BroadcastProtocol):
            def messageReceived(self, message: str) -> None:
                if message.startswith("a"):
                    self.transport.loseConnection()
                super().messageReceived(message)

        for message in "ab":
            sender, _ = self.connect(Closing, MAX_LENGTH)
            receivers = self.addReceivers(20)
            sender.dataReceived(message.encode() * 1_000_000 + b"\0")
            if message == "b":
                self.iterate()
                sender.transport.loseConnection()
            while self.clock.getDelayedCalls():
                self.iterate()
            self.assertTrue(all(receiver.value() for receiver in receivers))

    def test_serverBroadcast(self) -> None:
        """
        A message of the server is sent to all clients immediately.
        """
        self.connect(BroadcastProtocol, MAX_LENGTH)
        receivers = self.addReceivers(20)
        self.factory.broadcast("a" * 1_000_000)
        self.assertEqual({len(receiver.value()) for receiver in receivers}, {1_000_001})
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ForeignTests(SynchronousTestCase):
    """
    Without protocol detection, the first bytes of a connection can be those of
    another protocol.
    """

    def receive(self, chunks: list[bytes], **options: Any) -> tuple[Recorder, StringTransport]:
        """
        Connect to a factory, and send chunks.
        """
        factory = XMLSocketFactory(Recorder, maxLength=20_000, **options)
        recorder = factory.buildProtocol(None)
        assert isinstance(recorder, Recorder)
        transport = StringTransport()
        recorder.makeConnection(transport)
        for chunk in chunks:
            recorder.dataReceived(chunk)
        return recorder, transport

    @given(
        st.sampled_from(range(len(FOREIGN_BYTES))).flatmap(
            lambda number: st.tuples(
                st.just(number), cuts(FOREIGN_BYTES[number][1] + b"\0<attack/>\0")
            )
        )
    )
    def test_refused(self, case: tuple[int, list[bytes]]) -> None:
        """
        An HTTP request, a TLS handshake and a PROXY header are answered in their
        own protocol, closed, counted and logged, and no message is received.
        """
        number, chunks = case
        name, _, answer = FOREIGN_BYTES[number]
        with capturedLogs() as logs:
            recorder, transport = self.receive(chunks)
        self.assertEqual(recorder.messages, [])
        self.assertTrue(transport.value().startswith(answer))
        self.assertTrue(transport.disconnecting)
        assert isinstance(recorder.factory, XMLSocketFactory)
        self.assertEqual({key for key, count in recorder.factory.foreign.items() if count}, {name})
        [line] = linesOf(logs)
        self.assertIn(" refused: ", line)

    @given(cuts(b" /?a=b HTTP/1.1\r\nHost: h\r\n\r\n\0<attack/>\0"))
    def test_unregisteredMethod(self, chunks: list[bytes]) -> None:
        """
        An HTTP request with a method that is not registered is refused by its first
        message, also if that is long.
        """
        for method in (b"HACK", b"x" * 5000):
            with capturedLogs() as logs:
                recorder, transport = self.receive([method, *chunks])
            self.assertEqual(recorder.messages, [])
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 400 "))
            assert isinstance(recorder.factory, XMLSocketFactory)
            self.assertEqual(recorder.factory.foreign["http"], 1)
            [line] = linesOf(logs)
            self.assertIn(" refused: ", line)

    def test_passThrough(self) -> None:
        """
        Protocols that are passed through, and those after the first message, are
        messages.
        """
        for name, data, _ in FOREIGN_BYTES:
            expected = (data + b"\0end").decode("latin-1").split("\0")
            recorder, _ = self.receive([data, b"\0end\0"], passThrough={Signature(name)})
            self.assertEqual(recorder.messages, expected)
            recorder, _ = self.receive([b"first\0", data, b"\0end\0"])
            self.assertEqual(recorder.messages, ["first", *expected])
        data = b"HACK / HTTP/1.1\r\n\r\n"
        recorder, _ = self.receive([data, b"\0"], passThrough={Signature.HTTP})
        self.assertEqual(recorder.messages, [data.decode()])
        recorder, _ = self.receive([b"first\0", data, b"\0"])
        self.assertEqual(recorder.messages, ["first", data.decode()])

    @given(
        st.sampled_from([b"GET / HTTP/1.1", b"P", b"\r\n\r\n", b"\x16\x03\x01\x02", b"<a/>"]),
        st.data(),
    )
    def test_similar(self, start: bytes, data: st.DataObject) -> None:
        """
        A message that only begins like another protocol is received, at the
        latest at EOF.
        """
        stream = start + b"\0"
        recorder, transport = self.receive(data.draw(cuts(stream)))
        recorder.readConnectionLost()
        self.assertEqual(recorder.messages, [start.decode()])
        self.assertEqual(transport.value(), b"")

    @given(st.sampled_from([b"\r\n\r\n\0", b"\x16\x03\0", b"\x16\x03\0\x01"]), st.booleans())
    def test_silence(self, start: bytes, lost: bool) -> None:
        """
        Messages that begin like another protocol are received after 10 seconds of
        silence, and nothing is left to wait for when the connection is lost.
        """
        clock = Clock()
        recorder, _ = self.receive([start], clock=clock)
        self.assertEqual(recorder.messages, [])
        if lost:
            recorder.connectionLost(Failure(ConnectionDone()))
        else:
            clock.advance(DETECTION_TIMEOUT)
        self.assertEqual(recorder.messages, [start.partition(b"\0")[0].decode()])
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_silentPolicyRequest(self) -> None:
        """
        A policy request without its NUL byte is answered after 10 seconds of silence.
        """
        clock = Clock()
        recorder, transport = self.receive([REQUEST[:-1]], policy=PolicyFile.forPort, clock=clock)
        clock.advance(DETECTION_TIMEOUT)
        self.assertIn(b"<cross-domain-policy>", transport.value())
        self.assertEqual((recorder.messages, transport.disconnecting), ([], True))

    def test_faultAfterSilence(self) -> None:
        """
        A handler that raises after the silence ends the connection, with the
        error in the log.
        """
        clock = Clock()
        recorder, transport = self.receive([b"\r\n\r\n\0"], clock=clock)
        recorder.messageReceived = lambda message: 1 / 0  # type: ignore[method-assign,assignment]
        clock.advance(DETECTION_TIMEOUT)
        self.assertTrue(transport.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_webSocket(self) -> None:
        """
        A message of a WebSocket is not inspected.
        """
        recorder = XMLSocketFactory(Recorder, maxLength=100).buildProtocol(None)
        assert isinstance(recorder, Recorder)
        recorder.makeConnection(cast("Any", MessageTransport()))
        recorder.dataReceived(b"GET / HTTP/1.1\r\n\0")
        self.assertEqual(recorder.messages, ["GET / HTTP/1.1\r\n"])


class FactoryTests(SynchronousTestCase):
    """
    L{XMLSocketFactory} keeps its connections.
    """

    def test_limits(self) -> None:
        """
        The limits of the factory override those of the protocol's class.
        """
        for settings, maxLength, maxQueue in [
            ({"maxLength": 7, "maxQueue": 8}, 7, 8),
            ({}, 10, XMLSocketProtocol.maxQueue),
        ]:
            factory = XMLSocketFactory(Recorder, **cast("Any", settings))
            protocols = [factory.buildProtocol(None) for _ in range(2)]
            for protocol in protocols:
                assert protocol is not None
                protocol.makeConnection(StringTransport())
                self.assertEqual(protocol.limits[:2], (maxQueue, maxLength))
            self.assertIs(protocols[0].limits, protocols[1].limits)  # type: ignore[union-attr]

    def test_broadcast(self) -> None:
        """
        A message is sent to all connections, except the excluded ones.
        """
        factory = XMLSocketFactory(Recorder)
        protocols, transports = [], []
        for _ in range(3):
            protocol = factory.buildProtocol(None)
            assert protocol is not None
            protocols.append(protocol)
            transports.append(StringTransport())
            protocol.makeConnection(transports[-1])
        self.assertEqual([*factory.connections], protocols)
        self.assertEqual(factory.connections, set(protocols))
        factory.broadcast("a")
        factory.broadcast("b", exclude=protocols[:1])
        protocols[1].connectionLost(done)
        factory.broadcast("c")
        self.assertEqual(
            [transport.value() for transport in transports], [b"a\0c\0", b"a\0b\0", b"a\0b\0c\0"]
        )

    def test_bothEnds(self) -> None:
        """
        A client and a server of this package understand each other.
        """
        pair = connectedPair(Recorder(), XMLSocketFactory(EchoProtocol))
        pair.client.sendMessage("h\u00e9llo")
        pair.client.sendMessage("")
        pair.network.flush()
        self.assertEqual(pair.client.messages, ["h\u00e9llo", ""])
        pair.client.transport.loseConnection()
        pair.network.flush()


class BroadcastTests(SynchronousTestCase):
    """
    L{BroadcastProtocol} forwards messages.
    """

    def setUp(self) -> None:
        """
        Connect three clients.
        """
        self.factory = XMLSocketFactory(BroadcastProtocol, maxQueue=20, policy=None)
        self.clients = []
        for _ in range(3):
            protocol = self.factory.buildProtocol(None)
            assert protocol is not None
            transport = TightTransport(protocol, 30)
            protocol.makeConnection(transport)
            self.clients.append((protocol, transport))

    def test_forwarded(self) -> None:
        """
        All other clients receive each message, those of one read in one write, as valid
        UTF-8.
        """
        sender, transport = self.clients[0]
        sender.dataReceived(b"a\0b\xff\0")
        self.assertEqual(transport.writes, [])
        for _, transport in self.clients[1:]:
            self.assertEqual(transport.writes, [b"a\0b\xc3\xbf\0"])

    def test_slowReader(self) -> None:
        """
        A client that does not read is disconnected, and the others receive all
        messages.
        """
        sender = self.clients[0][0]
        with capturedLogs() as logs:
            for _ in range(10):
                sender.dataReceived(b"123456789\0")
                self.clients[1][1].drain()
        self.assertEqual(self.clients[1][1].drainAll(), b"123456789\0" * 10)
        self.assertEqual([transport.closed for _, transport in self.clients], [False, False, True])
        self.assertEqual(len(self.factory.connections), 2)
        self.assertEqual(len([line for line in linesOf(logs) if "send queue exceeded" in line]), 1)


class EchoTests(SynchronousTestCase):
    """
    L{EchoProtocol} sends messages back.
    """

    def test_backpressure(self) -> None:
        """
        While the client does not read, nothing is read from it.
        """
        echo = EchoProtocol()
        transport = TightTransport(echo, 5)
        echo.makeConnection(transport)
        echo.dataReceived(b"123456\0")
        self.assertEqual(transport.producerState, "paused")
        self.assertEqual(transport.drainAll(), b"123456\0")
        self.assertEqual(transport.producerState, "producing")

    def test_readsWait(self) -> None:
        """
        The messages of one read are answered in one write. Further reads are held while
        the client does not read its answers; they are answered in order when it does.
        """
        echo = EchoProtocol()
        transport = TightTransport(echo, 20)
        echo.makeConnection(transport)
        stream = b"".join(b"%06d\0" % number for number in range(100))
        echo.dataReceived(stream[:350])
        self.assertEqual(transport.value(), stream[:350])
        self.assertEqual(transport.producerState, "paused")
        echo.dataReceived(stream[350:])
        self.assertEqual(transport.value(), stream[:350])
        self.assertEqual(transport.drainAll(), stream)
        self.assertEqual(transport.producerState, "producing")

    def test_closedWhileReadsWait(self) -> None:
        """
        Held reads are dropped when the connection is closed.
        """
        echo = EchoProtocol()
        transport = TightTransport(echo, 20)
        echo.makeConnection(transport)
        echo.dataReceived(b"123456\0" * 20)
        echo.dataReceived(b"held\0")
        echo.transport.loseConnection()
        self.assertEqual(transport.drainAll(), b"123456\0" * 20)
        self.assertTrue(transport.closed)


class HandlerTests(SynchronousTestCase):
    """
    Which handler of text is called.
    """

    def test_subclass(self) -> None:
        """
        The handler that the most derived class overrides is called, although a base
        class overrides the other one.
        """

        class Shouting(EchoProtocol):
            def messageReceived(self, message: str) -> None:
                super().messageReceived(message.upper())

        class Counting(Shouting):
            def messagesReceived(self, messages: list[str]) -> None:
                self.sendMessage(f"{len(messages)} messages")

        class Neither(Counting):
            pass

        for kind, answer in (
            (Shouting, b"A\0B\0"),
            (Counting, b"2 messages\0"),
            (Neither, b"2 messages\0"),
        ):
            protocol, transport = kind(), StringTransport()
            protocol.makeConnection(transport)
            protocol.dataReceived(b"a\0b\0")
            self.assertEqual(transport.value(), answer)

    def test_forward(self) -> None:
        """
        A subclass of L{BroadcastProtocol} can change each message.
        """

        class Shouting(BroadcastProtocol):
            def messageReceived(self, message: str) -> None:
                super().messageReceived(message.upper())

        factory = XMLSocketFactory(Shouting)
        transports = [StringTransport(), StringTransport()]
        protocols = [factory.buildProtocol(None) for _ in transports]
        for protocol, transport in zip(protocols, transports, strict=True):
            assert protocol is not None
            protocol.makeConnection(transport)
        assert protocols[0] is not None
        protocols[0].dataReceived(b"a\0b\0")
        self.assertEqual([each.value() for each in transports], [b"", b"A\0B\0"])

    def test_line(self) -> None:
        """
        C{lineReceived} of the base class calls the same handler.
        """

        class Lines(EchoProtocol):
            def lineReceived(self, line: bytes) -> None:
                super().lineReceived(line + b"!")

            def messageReceived(self, message: str) -> None:
                self.sendMessage(message.upper())

        protocol, transport = Lines(), StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(b"a\0b\0")
        self.assertEqual(transport.value(), b"A!\0B!\0")


class CountTests(SynchronousTestCase):
    """
    Messages are counted.
    """

    def test_factory(self) -> None:
        """
        The factory counts the messages of its connections, and broadcasts.
        """
        factory = XMLSocketFactory(Recorder, policy=None)
        for _ in range(2):
            protocol = factory.buildProtocol(None)
            assert protocol is not None
            protocol.makeConnection(StringTransport())
            protocol.dataReceived(b"a\0ask\0b")
        factory.broadcast("c")
        self.assertEqual((factory.messagesIn, factory.messagesOut), (4, 4))

    def test_noFactory(self) -> None:
        """
        Without an L{XMLSocketFactory}, a connection counts its own messages.
        """
        recorder, _ = connected()
        recorder.dataReceived(b"a\0ask\0b")
        self.assertEqual((recorder.messagesIn, recorder.messagesOut), (2, 1))
        self.assertEqual((XMLSocketProtocol.messagesIn, XMLSocketProtocol.messagesOut), (0, 0))


class HeldFaultTests(SynchronousTestCase):
    """
    A message that was held raises an error.
    """

    def connect(self, *messages: str) -> tuple[XMLSocketFactory, XMLSocketProtocol, TightTransport]:
        """
        Connect a protocol that pauses at C{pause}, raises at C{raise}, and receives
        these messages.
        """

        class Raising(XMLSocketProtocol):
            def messageReceived(self, message: str) -> None:
                if message == "pause":
                    self.transport.pauseProducing()
                elif message == "raise":
                    raise ValueError("a fault of the user's")

        factory = XMLSocketFactory(Raising, clock=Clock())
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol)
        protocol.makeConnection(transport)
        transport.arrive("".join(f"{message}\0" for message in messages).encode())
        return factory, protocol, transport

    def test_lost(self) -> None:
        """
        If it raises at the end of the connection, the error is logged, and the factory
        forgets the connection.
        """
        factory, protocol, _ = self.connect(*["x"] * MAX_WORK, "raise")
        protocol.connectionLost(done)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(list(factory.connections), [])

    def test_resumed(self) -> None:
        """
        If it raises when reading is resumed, the error is logged and the connection
        closed; C{resumeProducing} raises no exception.
        """
        factory, protocol, transport = self.connect("pause", "raise", "x")
        protocol.transport.resumeProducing()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertTrue(transport.closed)
        self.assertEqual(list(factory.connections), [])

    def test_sendQueueExceeded(self) -> None:
        """
        If C{sendQueueExceeded} raises during a broadcast, the error is logged, that
        connection is closed, and the others receive the message.
        """

        class Raising(XMLSocketProtocol):
            def sendQueueExceeded(self) -> None:
                raise ValueError("a fault of the user's")

        factory = XMLSocketFactory(Raising, maxQueue=10)
        transports = []
        for room in (1, 1000):
            protocol = factory.buildProtocol(None)
            assert protocol is not None
            transport = TightTransport(protocol, room)
            protocol.makeConnection(transport)
            transports.append(transport)
        for _ in range(5):
            factory.broadcast("message")
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual([transport.closed for transport in transports], [True, False])
        self.assertEqual(transports[1].value(), b"message\0" * 5)
