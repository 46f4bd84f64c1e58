"""
Tests for L{openfl_twisted.protocols.proxyprotocol}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.addresses import describe
from openfl_twisted.endpoints import serverEndpoint
from openfl_twisted.protocols.proxyprotocol import _HEADER_TIMEOUT, ProxyProtocolFactory
from openfl_twisted.transports.wrapper import ConnectionWrapper
from tests.doubles import TightTransport, linesOf
from tests.segments import cuts
from tests.support.greeters import Closer, Greeter, GreeterFactory

done = Failure(ConnectionDone())
HEADER = b"PROXY TCP4 192.0.2.1 192.0.2.2 51000 9000\r\n"
PROXY = "192.168.1.1:54321"


class Addressed(Greeter):
    """
    Records the addresses in C{connectionMade}.
    """

    def connectionMade(self) -> None:
        super().connectionMade()
        assert self.transport is not None
        addresses = (self.transport.getPeer(), self.transport.getHost())
        self.told.extend(map(describe, addresses))


class ProxyProtocolTests(SynchronousTestCase):
    """
    Connections from a proxy that sends the PROXY protocol.
    """

    def connect(
        self, inner: type[Greeter] = Addressed, **settings: Any
    ) -> tuple[ConnectionWrapper, TightTransport]:
        """
        Connect the proxy.
        """
        self.clock = Clock()
        self.wrapped = GreeterFactory(inner)
        self.factory = ProxyProtocolFactory(self.wrapped, clock=self.clock, **settings)
        return self.connectAgain()

    def connectAgain(self) -> tuple[ConnectionWrapper, TightTransport]:
        """
        Connect the proxy to the same factory.
        """
        connection = self.factory.buildProtocol(None)
        transport = TightTransport(connection, 1000)
        connection.makeConnection(transport)
        return connection, transport

    @given(cuts(HEADER + b"hello"))
    def test_addresses(self, chunks: list[bytes]) -> None:
        """
        The wrapped protocol is connected after the header, with the addresses in
        it, and receives the bytes after the header, however they are split.
        """
        connection, transport = self.connect()
        for chunk in chunks:
            connection.dataReceived(chunk)
        [greeter] = self.wrapped.made
        self.assertEqual(greeter.told, ["made", "192.0.2.1:51000", "192.0.2.2:9000"])
        self.assertEqual(greeter.received, b"hello")
        self.assertEqual(transport.drainAll(), b"hello")
        connection.connectionLost(done)
        self.assertEqual(greeter.told[-1], "lost")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ipv6(self) -> None:
        """
        IPv6 addresses are returned as C{IPv6Address}.
        """
        connection, _ = self.connect()
        connection.dataReceived(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n")
        self.assertEqual(self.wrapped.made[0].told[1:], ["[2001:db8::1]:1", "[::1]:2"])

    def test_local(self) -> None:
        """
        A connection that the proxy opens for itself has the proxy's address.
        """
        connection, _ = self.connect()
        connection.dataReceived(b"PROXY UNKNOWN\r\n")
        self.assertEqual(self.wrapped.made[0].told[1], PROXY)

    def assertRefused(self, transport: TightTransport, lines: list[str], reason: str) -> None:
        """
        Assert that a connection is aborted with one log line, and that no timer is
        left.
        """
        self.assertTrue(transport.closed)
        self.assertEqual(lines, [f"{PROXY} refused: {reason}"])
        self.assertEqual((self.factory.pending, self.clock.getDelayedCalls()), (0, []))
        self.assertEqual((self.wrapped.made, self.factory.refused), ([], 1))

    @given(st.sampled_from([b"GET / HTTP/1.1\r\n", b"PROXY TCP4 6.6.6.6\x1b[31m 1.1.1.1 5 6\r\n"]))
    def test_invalid(self, data: bytes) -> None:
        """
        A connection without a valid header is aborted; the log does not repeat
        the bytes.
        """
        connection, transport = self.connect()
        with capturedLogs() as logs:
            connection.dataReceived(data)
            connection.dataReceived(HEADER)
        [line] = linesOf(logs)
        self.assertTrue(line.isprintable())
        self.assertRefused(transport, [line], line.removeprefix(f"{PROXY} refused: "))

    def test_timeout(self) -> None:
        """
        A header that is not complete in time is refused, also if it arrives
        slowly; a complete one has no timeout.
        """
        connection, transport = self.connect()
        with capturedLogs() as logs:
            for byte in HEADER[:9]:
                connection.dataReceived(bytes((byte,)))
                self.clock.advance(1)
            self.assertFalse(transport.closed)
            self.clock.advance(_HEADER_TIMEOUT - 9)
        self.assertRefused(transport, linesOf(logs), "no complete PROXY header within 10 s")
        connection, transport = self.connect()
        connection.dataReceived(HEADER)
        self.clock.advance(_HEADER_TIMEOUT)
        self.assertFalse(transport.closed)

    def test_tooMany(self) -> None:
        """
        The number of connections without a header is limited; those that end or
        are complete do not count.
        """
        first, _ = self.connect(maxPending=1)
        with capturedLogs() as logs:
            _, transport = self.connectAgain()
        self.assertTrue(transport.closed)
        words = "too many connections without a PROXY header (1)"
        self.assertEqual(linesOf(logs), [f"{PROXY} refused: {words}"])
        first.dataReceived(HEADER)
        second, transport = self.connectAgain()
        self.assertFalse(transport.closed)
        second.connectionLost(done)
        _, transport = self.connectAgain()
        self.assertFalse(transport.closed)

    def test_lostEarly(self) -> None:
        """
        A connection that ends before its header is closed without a line: that is
        a health check.
        """
        with capturedLogs() as logs:
            connection, transport = self.connect()
            connection.readConnectionLost()
        self.assertTrue(transport.disconnecting)
        self.assertEqual((linesOf(logs), self.wrapped.made), ([], []))

    def test_closed(self) -> None:
        """
        A wrapped protocol that closes the connection at its beginning receives
        nothing; a factory that makes none closes it too.
        """
        connection, transport = self.connect(Closer)
        connection.dataReceived(HEADER + b"hello")
        self.assertEqual(self.wrapped.made[0].received, b"")
        connection, transport = self.connect()
        self.wrapped.buildProtocol = lambda addr: None  # type: ignore[method-assign,assignment,return-value]
        connection.dataReceived(HEADER + b"hello")
        self.assertTrue(transport.disconnecting)

    def test_endpoint(self) -> None:
        """
        C{haproxy:} before an endpoint listens for a proxy, also together with
        C{openfl:}.
        """
        for description in ("haproxy:tcp:80", "openfl:haproxy:tcp:80"):
            reactor = MemoryReactorClock()
            served = GreeterFactory(Greeter)
            self.successResultOf(serverEndpoint(reactor, description).listen(served))
            factory: Any = reactor.tcpServers[0][1]
            names = []
            while factory is not served:
                names.append(type(factory).__name__)
                factory = factory.wrappedFactory
            expected = ["ProxyProtocolFactory", "OnePortFactory"]
            self.assertEqual(names, expected[: 1 + ("openfl" in description)])
        with self.assertRaises(ValueError) as caught:
            serverEndpoint(MemoryReactorClock(), "haproxy:openfl:tcp:80")
        self.assertIn("write openfl:haproxy:", str(caught.exception))

    def test_names(self) -> None:
        """
        The log prefix contains the wrapped factory.
        """
        connection, _ = self.connect()
        self.assertEqual(connection.logPrefix(), "GreeterFactory (PROXY)")
