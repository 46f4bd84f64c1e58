"""
Tests for L{openfl_twisted.protocols.ratelimit}, and for how clients are closed that
send too much.
"""

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.ratelimit import RateLimiter
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from tests.doubles import TightTransport, linesOf
from tests.frames import BINARY, CLOSE, RESPONSE, TEXT, frame, framesIn
from tests.frames import REQUEST as UPGRADE


class RateLimitTests(SynchronousTestCase):
    """
    The messages and bytes per second are limited.
    """

    def setUp(self) -> None:
        self.clock = Clock()

    def test_messages(self) -> None:
        """
        The rate of messages is limited, with bursts of five times as many.
        """
        limiter = RateLimiter(10, 0, self.clock)
        self.assertTrue(limiter.allows(50, 1_000_000))
        self.assertFalse(limiter.allows(1, 0))
        self.clock.advance(0.1)
        self.assertTrue(limiter.allows(1, 0))

    def test_bytes(self) -> None:
        """
        The rate of bytes is limited in the same way.
        """
        limiter = RateLimiter(0, 100, self.clock)
        self.assertTrue(limiter.allows(1_000_000, 500))
        self.assertFalse(limiter.allows(0, 1))

    def test_closed(self) -> None:
        """
        A client that exceeds the rate is disconnected with one log line, and its data
        is dropped.
        """
        factory = XMLSocketFactory(EchoProtocol, messageRate=1, clock=self.clock)
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 1000)
        protocol.makeConnection(transport)
        transport.arrive(b"a\0" * 5)
        with capturedLogs() as logs:
            transport.arrive(b"b\0")
        self.assertEqual(transport.drainAll(), b"a\0" * 5)
        self.assertTrue(transport.disconnecting)
        self.assertIn("disconnected: rate limit exceeded (1 messages/s)", linesOf(logs)[0])
        self.assertEqual(factory.cut, {"queue": 0, "rate": 1, "message": 0})

    def test_clock(self) -> None:
        """
        The clock of the factory measures the rates.
        """
        factory = XMLSocketFactory(EchoProtocol, messageRate=1, clock=self.clock)
        protocol = factory.buildProtocol(None)
        assert protocol is not None
        transport = TightTransport(protocol, 1000)
        protocol.makeConnection(transport)
        transport.arrive(b"a\0" * 5)
        self.clock.advance(100)
        transport.arrive(b"b\0" * 5)
        self.assertEqual(transport.drainAll(), b"a\0" * 5 + b"b\0" * 5)
        self.assertFalse(transport.disconnecting)

    def test_webSocket(self) -> None:
        """
        A WebSocket client receives a close code and a reason, and the connection is
        counted.
        """
        sixMessages = frame(BINARY, b"a\0" * 6)
        for echo, sent, code, limit in (
            (XMLSocketFactory(EchoProtocol, messageRate=1), sixMessages, 1008, "rate"),
            (XMLSocketFactory(EchoProtocol, maxLength=5), frame(BINARY, b"x" * 6), 1009, "message"),
            (XMLSocketFactory(EchoProtocol), frame(TEXT, b"x" * 13), 1009, "message"),
        ):
            factory = WebSocketFactory(echo, maxFrame=12, clock=self.clock)
            protocol = factory.buildProtocol(None)
            transport = TightTransport(protocol, 1 << 20)
            transport.atOnce = False
            protocol.makeConnection(transport)
            transport.arrive(UPGRADE + sent)
            [*_, (opcode, close)] = framesIn(transport.drainAll()[len(RESPONSE) :])
            self.assertEqual((opcode, int.from_bytes(close[:2])), (CLOSE, code))
            self.assertGreater(len(close), 2)
            self.assertEqual(echo.cut, {"queue": 0, "rate": 0, "message": 0} | {limit: 1})
