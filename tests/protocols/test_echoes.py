"""
Tests for L{openfl_twisted.protocols.simpleserver} and
L{openfl_twisted.protocols.serversocketexample}, and for what they share.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.lineecho import LineEchoFactory, LineEchoProtocol
from openfl_twisted.protocols.serversocketexample import ServerSocketExampleFactory
from openfl_twisted.protocols.simpleserver import FaithfulServerFactory, SimpleServerFactory
from openfl_twisted.transports.detectiontimer import DETECTION_TIMEOUT
from openfl_twisted.transports.receivebuffer import MAX_WORK
from openfl_twisted.wire.firstbytes import Signature
from tests.doubles import TightTransport, linesOf
from tests.segments import cuts, cutStreams


def converse(factory: LineEchoFactory, *pieces: bytes, end: bool = False) -> tuple[bytes, bool]:
    """
    Exchange data with a server.

    @param pieces: the chunks sent by the client.
    @param end: whether the client then sends EOF.
    @return: the data received by the client, and whether the server has closed the
        connection.
    """
    factory.clock = Clock()
    protocol = factory.buildProtocol(None)
    assert protocol is not None
    transport = TightTransport(protocol, 1_000_000)
    protocol.makeConnection(transport)
    for piece in pieces:
        protocol.dataReceived(piece)
    if end:
        protocol.readConnectionLost()
    return transport.drainAll(), transport.closed


class TurnTests(SynchronousTestCase):
    """
    Very many lines are handled over several reactor iterations.
    """

    def test_lines(self) -> None:
        """
        Empty lines in one read are all answered, a limited number of them in one
        iteration.
        """
        clock = Clock()
        factory = SimpleServerFactory()
        factory.clock = clock
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 1_000_000)
        protocol.makeConnection(transport)
        protocol.dataReceived(b"\n" * 10_000)
        answer = b"Echo: \r\n"
        self.assertEqual(transport.value().count(answer), MAX_WORK)
        clock.advance(0)
        self.assertEqual(transport.value(), GREETING + answer * 10_000)

    def test_end(self) -> None:
        """
        When the connection is closed, the remaining lines are answered.
        """
        factory = SimpleServerFactory()
        factory.clock = Clock()
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        received: list[bytes] = []
        protocol.textReceived = lambda text, end: received.append(text)  # type: ignore[method-assign]
        protocol.makeConnection(TightTransport(protocol, 1_000_000))
        protocol.dataReceived(b"\n" * 10_000)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(len(received), 10_000)


class ForeignTests(SynchronousTestCase):
    """
    HTTP and TLS clients are refused unless there is no framing.
    """

    @given(
        st.sampled_from(["lines", "nul", "auto"]),
        cuts(b"POST / HTTP/1.1\r\nHost: h\r\n\r\nattack\r\n\0"),
    )
    def test_refused(self, framing: str, chunks: list[bytes]) -> None:
        """
        An HTTP request is answered and closed, and not echoed.
        """
        answer, closed = converse(SimpleServerFactory(framing=framing), *chunks)
        self.assertIn(b"HTTP/1.1 400 Bad Request\r\n", answer)
        self.assertNotIn(b"Echo: ", answer)
        self.assertTrue(closed)

    def test_passThrough(self) -> None:
        """
        An HTTP request that is passed through is echoed; so is a text that only
        begins like one, and any text without framing.
        """
        for factory, sent in [
            (SimpleServerFactory(passThrough={Signature.HTTP}), b"GET / HTTP/1.1\r\n"),
            (SimpleServerFactory(), b"get / lamp\r\n"),
            (SimpleServerFactory(framing="raw"), b"GET / HTTP/1.1\r\n"),
        ]:
            answer, closed = converse(factory, sent)
            self.assertIn(b"Echo: " + sent, answer)
            self.assertFalse(closed)

    def test_end(self) -> None:
        """
        At EOF, a part of a request is refused; other text is answered.
        """
        answer, _ = converse(SimpleServerFactory(), b"POST /aaa", end=True)
        self.assertIn(b"HTTP/1.1 400 Bad Request\r\n", answer)
        self.assertNotIn(b"Echo: ", answer)
        answer, _ = converse(SimpleServerFactory(), b"POST", end=True)
        self.assertIn(b"Echo: POST\r\n", answer)

    def test_silence(self) -> None:
        """
        The beginning of another protocol is held for 10 seconds: then it is a text,
        unless it is a part of an HTTP request.
        """
        for sent, words in [(b"\x16\x03\0", b"Echo: \x16\x03\0"), (b"GET /a", b"HTTP/1.1 400 ")]:
            factory = SimpleServerFactory()
            clock = factory.clock = Clock()
            protocol = factory.buildProtocol(None)
            assert protocol is not None
            transport = TightTransport(protocol, 1_000_000)
            protocol.makeConnection(transport)
            protocol.dataReceived(sent)
            clock.advance(DETECTION_TIMEOUT - 1)
            self.assertEqual(transport.value(), GREETING)
            clock.advance(1)
            self.assertIn(words, transport.value())
            self.assertEqual(clock.getDelayedCalls(), [])


GREETING = b"Enter EXIT to exit.\r\n"


class SimpleServerTests(SynchronousTestCase):
    """
    The corrected Java program.
    """

    def assertAnswers(
        self, sent: bytes, answer: bytes, *, closed: bool = False, end: bool = False
    ) -> None:
        """
        Assert the answer that follows the greeting, with automatic framing.
        """
        got = converse(SimpleServerFactory(), sent, end=end)
        self.assertEqual(got, (GREETING + answer, closed), sent)

    def test_answers(self) -> None:
        """
        An answer has the terminator of its message; a newline followed by a NUL is one
        terminator.
        """
        self.assertAnswers(b"", b"")
        self.assertAnswers(b"hello\n", b"Echo: hello\r\n")
        self.assertAnswers(b"hello\r\n", b"Echo: hello\r\n")
        self.assertAnswers(b"hello\0", b"Echo: hello\0")
        self.assertAnswers(b"hello\n\0", b"Echo: hello\r\n\0")
        self.assertAnswers(b"a\nb\n", b"Echo: a\r\nEcho: b\r\n")
        self.assertAnswers(b"\xc3\xa9\xff\n", b"Echo: \xc3\xa9\xff\r\n")

    def test_exit(self) -> None:
        """
        EXIT closes the connection, with or without surrounding blanks; it is
        case-sensitive. Data that follows is not answered.
        """
        self.assertAnswers(b"EXIT\n", b"Echo: EXIT\r\n", closed=True)
        self.assertAnswers(b" EXIT \r\n", b"Echo:  EXIT \r\n", closed=True)
        self.assertAnswers(b"\1EXIT\t\0", b"Echo: \1EXIT\t\0", closed=True)
        self.assertAnswers(b"exit\n", b"Echo: exit\r\n")
        self.assertAnswers(b"a\nEXIT\nb\n", b"Echo: a\r\nEcho: EXIT\r\n", closed=True)

    def test_exitOfAnXMLSocket(self) -> None:
        """
        The last answer to a client that terminates its messages with NUL ends with a
        NUL, too.
        """
        self.assertAnswers(b"a\n\0EXIT\n", b"Echo: a\r\n\0Echo: EXIT\r\n\0", closed=True)

    def test_noEnd(self) -> None:
        """
        Unterminated text is answered at EOF.
        """
        self.assertAnswers(b"no newline", b"Echo: no newline\r\n", closed=True, end=True)
        self.assertAnswers(b"a\n", b"Echo: a\r\n", closed=True, end=True)
        self.assertAnswers(b"EXIT\nb", b"Echo: EXIT\r\n", closed=True, end=True)

    @given(
        cutStreams(
            st.lists(st.sampled_from([b"\n", b"\r", b"\0", b"a", b"EXIT", b"x" * 9])).map(b"".join)
        ),
        st.sampled_from(["same", "none", "nul", "newline"]),
        st.sampled_from(["lines", "nul", "auto"]),
    )
    def test_anyCut(self, cut: tuple[bytes, list[bytes]], terminator: str, framing: str) -> None:
        """
        The answer does not depend on how the stream is split.
        """
        stream, pieces = cut

        def server() -> SimpleServerFactory:
            return SimpleServerFactory(framing=framing, terminator=terminator, maxLength=8)

        self.assertEqual(
            converse(server(), *pieces, end=True), converse(server(), stream, end=True)
        )

    def test_framings(self) -> None:
        """
        With line framing, a NUL is an ordinary character; with NUL framing, a newline
        is.
        """
        self.assertEqual(
            converse(SimpleServerFactory(framing="lines"), b"a\0b\n"),
            (GREETING + b"Echo: a\0b\r\n", False),
        )
        self.assertEqual(
            converse(SimpleServerFactory(framing="nul"), b"a\nb\0"),
            (GREETING + b"\0Echo: a\nb\0", False),
        )

    def test_terminators(self) -> None:
        """
        The terminator of answers can be selected. A NUL byte that follows a newline is
        then not answered.
        """
        for terminator, greeting, end in [
            ("none", b"", b""),
            ("nul", b"\0", b"\0"),
            ("newline", b"", b"\r\n"),
        ]:
            self.assertEqual(
                converse(SimpleServerFactory(terminator=terminator), b"a\n\0b\0"),
                (GREETING + greeting + b"Echo: a" + end + b"Echo: b" + end, False),
            )

    def test_tooLong(self) -> None:
        """
        A line above the limit closes the connection, with a log line; previous lines
        are answered.
        """
        with capturedLogs() as logs:
            got = converse(SimpleServerFactory(maxLength=5), b"a\n123456", b"\nb\n")
        self.assertEqual(got, (GREETING + b"Echo: a\r\n", True))
        self.assertEqual(
            linesOf(logs), ["192.168.1.1:54321 disconnected: a message is longer than 5 bytes"]
        )

    def test_backpressure(self) -> None:
        """
        While the client does not read, nothing is read from it.
        """
        protocol = SimpleServerFactory().buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 30)
        protocol.makeConnection(transport)
        protocol.dataReceived(b"abc\n")
        self.assertEqual(transport.producerState, "paused")
        transport.drain()
        self.assertEqual(transport.producerState, "producing")
        protocol.writeConnectionLost()


class FaithfulTests(SynchronousTestCase):
    """
    The guide's program; each case was measured with a JDK.
    """

    def test_conversations(self) -> None:
        """
        The server sends the greeting twice, accepts lines only, and closes the
        connection after the first.
        """
        for sent, end, answer, closed in [
            (b"", False, b"", False),
            (b"hello\n", False, b"Echo: hello\r\n", True),
            (b"EXIT\n", False, b"Echo: EXIT\r\n", True),
            (b" EXIT \r\n", False, b"Echo:  EXIT \r\n", True),
            (b"hello\nEXIT\n", False, b"Echo: hello\r\n", True),
            (b"hello\0", False, b"", False),
            (b"hello\0", True, b"Echo: hello\0\r\n", True),
            (b"hello\n\0", False, b"Echo: hello\r\n", True),
            (b"\0EXIT\n", False, b"Echo: \0EXIT\r\n", True),
            (b"", True, b"", True),
            (b"no newline", True, b"Echo: no newline\r\n", True),
        ]:
            factory = FaithfulServerFactory()
            self.assertEqual(
                converse(factory, sent, end=end), (GREETING * 2 + answer, closed), (sent, end)
            )
            if closed:
                self.successResultOf(factory.ended)
            else:
                self.assertNoResult(factory.ended)

    def test_oneClient(self) -> None:
        """
        A second client is refused.
        """
        factory = FaithfulServerFactory(maxLength=10)
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        protocol.makeConnection(TightTransport(protocol))
        self.assertEqual(protocol.limits.maxLength, 10)
        with capturedLogs() as logs:
            self.assertIsNone(factory.buildProtocol(None))
        self.assertEqual(linesOf(logs), ["None refused: this server serves only one client"])


class ServerSocketExampleTests(SynchronousTestCase):
    """
    The guide's ServerSocketExample.
    """

    def test_raw(self) -> None:
        """
        The greeting and the answers have no terminator; each chunk is answered.
        """
        self.assertEqual(
            converse(ServerSocketExampleFactory(), b"abc", b"d\0e\n"),
            (b"Connected.Echo -- abcEcho -- d\0e\n", False),
        )

    def test_cutCharacter(self) -> None:
        """
        A split character is answered when it is complete; an incomplete one is answered
        at the end.
        """
        self.assertEqual(
            converse(ServerSocketExampleFactory(), b"a\xc3", b"\xa9", b"\xe4", b"\xb8", end=True),
            (b"Connected.Echo -- aEcho -- \xc3\xa9Echo -- \xe4\xb8", True),
        )

    def test_terminator(self) -> None:
        """
        All sent text can be terminated.
        """
        self.assertEqual(
            converse(ServerSocketExampleFactory(terminator="nul"), b"abc"),
            (b"Connected.\0Echo -- abc\0", False),
        )

    def test_framing(self) -> None:
        """
        With framing each message is answered.
        """
        for framing, sent, greeted, answer in [
            ("nul", b"a\0b\0", b"\0", b"Echo -- a\0Echo -- b\0"),
            ("lines", b"a\nb\n", b"\r\n", b"Echo -- a\r\nEcho -- b\r\n"),
            ("auto", b"a\nb\0", b"\r\n", b"Echo -- a\r\nEcho -- b\0"),
        ]:
            self.assertEqual(
                converse(ServerSocketExampleFactory(framing=framing), sent),
                (b"Connected." + greeted + answer, False),
            )


class LineEchoTests(SynchronousTestCase):
    """
    L{LineEchoProtocol} is a base class.
    """

    def test_notOverridden(self) -> None:
        """
        Subclasses must implement C{greet} and C{textReceived}.
        """
        protocol = LineEchoProtocol()
        protocol.makeConnection(StringTransport())
        self.assertRaises(NotImplementedError, protocol.textReceived, b"a", b"\n")
        self.assertEqual(len(self.flushLoggedErrors(NotImplementedError)), 1)

    def test_resetDuringInspection(self) -> None:
        """
        The first bytes of a client that resets the connection are dropped, and no timer
        is left.
        """
        clock = Clock()
        factory = SimpleServerFactory(framing="lines")
        factory.clock = clock
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        protocol.makeConnection(TightTransport(protocol))
        protocol.dataReceived(b"GET /")
        self.assertNotEqual(clock.getDelayedCalls(), [])
        protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_unprocessed(self) -> None:
        """
        The protocol reports the bytes that it holds: a part of a line, of a character, or
        of a signature.
        """
        for framing, data, count in (
            ("lines", b"a\nbc", 2),
            ("lines", b"a\nbc\n", 0),
            ("lines", b"GET /", 5),
            ("raw", b"a\xe2\x82", 2),
        ):
            with self.subTest(data=data):
                protocol = SimpleServerFactory(framing=framing).buildProtocol(None)
                assert protocol is not None
                protocol.makeConnection(StringTransport())
                protocol.dataReceived(data)
                self.assertEqual(protocol.unprocessed, count)
                protocol.connectionLost(Failure(ConnectionDone()))
