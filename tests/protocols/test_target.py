"""
Tests for L{openfl_twisted.protocols.target}.
"""

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.protocols.target import Target
from openfl_twisted.protocols.websocketclient import WebSocketEndpoint
from openfl_twisted.testing import MemoryNetwork
from openfl_twisted.tls import Trust


class TargetTests(SynchronousTestCase):
    """
    L{Target}.
    """

    def test_parse(self) -> None:
        """
        A target is a host and a port for TCP or TLS, or a WebSocket URL.
        """
        for text, host, port, secure in [
            ("tcp:localhost:1024", "localhost", 1024, False),
            ("tls:games.example:443", "games.example", 443, True),
            ("tcp:[::1]:1024", "::1", 1024, False),
            ("tcp:::1:1024", "::1", 1024, False),
            (r"tcp:\:\:1:1024", "::1", 1024, False),
            ("ws://h", "h", 80, False),
            ("ws://h:8080/game?a=b", "h", 8080, False),
            ("wss://h/game", "h", 443, True),
            ("ws://[::1]:8080", "::1", 8080, False),
        ]:
            target = Target.parse(text)
            self.assertEqual((target.host, target.port, target.secure), (host, port, secure))
            self.assertEqual(target.text, text)
            self.assertEqual(target.uri is not None, "//" in text)

    def test_invalid(self) -> None:
        """
        The error contains the target.
        """
        for text in (
            "", "h", "h:1", "udp:h:1", "tcp:1", "tcp::1", "tcp:h:0", "tcp:h:65536", "tcp:h:x",
            "tcp:h:", "http://h", "ws:h:1", "ws://", "ws://h:x", "ws://h:65536", "ws://h:0",
            "ws://h/#fragment", "ws://[::1",
        ):  # fmt: skip
            error = self.assertRaises(ValueError, Target.parse, text)
            self.assertIn(repr(text), str(error))
            self.assertNotIn("\n", str(error))

    def test_loopback(self) -> None:
        """
        Only C{localhost} and loopback addresses certainly belong to this machine.
        """
        for host in ("localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"):
            self.assertTrue(Target.parse(f"tcp:{host}:1").isLoopback, host)
        for host in ("games.example", "10.0.0.1", "0.0.0.0", "[::]", "localhost.games.example"):
            self.assertFalse(Target.parse(f"ws://{host}:1").isLoopback, host)

    def test_endpoint(self) -> None:
        """
        The endpoint belongs to the type of the target.
        """
        reactor = MemoryNetwork().reactor
        for text, kind in [
            ("tcp:127.0.0.1:1", TCP4ClientEndpoint),
            ("tls:127.0.0.1:1", SecureEndpoint),
            ("ws://127.0.0.1:1", WebSocketEndpoint),
            ("wss://127.0.0.1:1", WebSocketEndpoint),
        ]:
            endpoint = Target.parse(text).endpoint(reactor, 1.0, Trust())
            self.assertIsInstance(endpoint, kind)
