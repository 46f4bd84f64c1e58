"""
Tests for L{openfl_twisted.transports.guard}.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509 import load_pem_x509_certificate
from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from openfl_twisted.logs import setLogLevel
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.testing import MemoryNetwork, Peer, connectedPair
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.wrapper import ConnectionWrapper
from tests.doubles import TightTransport, linesOf
from tests.frames import PONG, REQUEST, RESPONSE, frame

done = Failure(ConnectionDone())


class Inner(Protocol):
    """
    Records the calls.
    """

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connectionMade(self) -> None:
        self.told.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.told.append(data)

    def connectionLost(self, reason: Failure = done) -> None:
        self.told.append("lost")


@implementer(IHalfCloseableProtocol)
class HalfInner(Inner):
    """
    Also supports half-closed connections.
    """

    def readConnectionLost(self) -> None:
        self.told.append("read lost")

    def writeConnectionLost(self) -> None:
        self.told.append("write lost")


class GuardTestCase(SynchronousTestCase):
    """
    A guard that wraps L{Inner}s.
    """

    inner = Inner

    def guard(self, **options: Any) -> GuardFactory:
        """
        Create a guard with a clock that the test advances.
        """
        self.clock = Clock()
        return GuardFactory(Factory.forProtocol(self.inner), clock=self.clock, **options)

    def connect(self, guard: GuardFactory) -> tuple[ConnectionWrapper, TightTransport]:
        """
        Connect a client.
        """
        connection = guard.buildProtocol(None)
        assert isinstance(connection, ConnectionWrapper)
        transport = TightTransport(connection, 10)
        connection.makeConnection(transport)
        return connection, transport

    def assertRefused(self, guard: GuardFactory) -> None:
        """
        Assert that a client is refused.
        """
        protocol = guard.buildProtocol(None)
        self.assertNotIsInstance(protocol, ConnectionWrapper)
        transport = TightTransport(protocol)
        protocol.makeConnection(transport)
        self.assertTrue(transport.closed)

    def told(self, connection: ConnectionWrapper) -> list[Any]:
        """
        Return the calls of the wrapped protocol.
        """
        assert isinstance(connection.wrappedProtocol, Inner)
        return connection.wrappedProtocol.told


class CountTests(GuardTestCase):
    """
    Connections are counted and logged.
    """

    def test_passesOn(self) -> None:
        """
        All calls are forwarded to the wrapped protocol, and it can write.
        """
        guard = self.guard()
        connection, transport = self.connect(guard)
        told = self.told(connection)
        connection.dataReceived(b"abc")
        connection.write(b"def")
        self.assertEqual((guard.connections, guard.opened), (1, 1))
        connection.loseConnection()
        transport.drain()
        self.assertEqual(told, ["made", b"abc", "lost"])
        self.assertEqual(transport.delivered, b"def")
        self.assertEqual((guard.connections, guard.opened), (0, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def lines(self, reason: Exception | None, *, abort: bool = False) -> Sequence[LogEvent]:
        """
        Return the log lines of one connection.
        """
        guard = self.guard()
        with capturedLogs() as logs:
            connection, _ = self.connect(guard)
            if reason is not None:
                connection.connectionLost(Failure(reason))
            elif abort:
                connection.abortConnection()
            else:
                connection.loseConnection()
        return logs

    def test_lateAbort(self) -> None:
        """
        Aborting a lost connection has no effect.
        """
        connection, transport = self.connect(self.guard())
        connection.connectionLost(Failure(ConnectionDone()))
        connection.abortConnection()
        self.assertFalse(transport.disconnected)

    def test_lines(self) -> None:
        """
        An opened and a closed connection are logged, the latter with the reason.
        """
        for reason, abort, words in [
            (ConnectionDone(), False, "by the peer"),
            (ConnectionLost("no route"), False, "after an error: Connection to the other side"),
            (None, False, "by the server"),
            (None, True, "by the server"),
        ]:
            opened, closed = linesOf(self.lines(reason, abort=abort))
            self.assertEqual(opened, "192.168.1.1:54321 opened (plain, 1 open)")
            self.assertTrue(closed.startswith(f"192.168.1.1:54321 closed {words}"), closed)
            self.assertTrue(closed.endswith("(0 open)"), closed)

    def test_halfClosedByThePeer(self) -> None:
        """
        If the peer has sent EOF first, the connection is closed by the peer.
        """
        self.inner = HalfInner
        guard = self.guard()
        connection, _ = self.connect(guard)
        with capturedLogs() as logs:
            connection.readConnectionLost()
            connection.loseConnection()
        self.assertEqual(linesOf(logs), ["192.168.1.1:54321 closed by the peer (0 open)"])

    def test_level(self) -> None:
        """
        The lines of connections can be omitted from the log.
        """
        setLogLevel(LogLevel.warn)
        self.addCleanup(setLogLevel, LogLevel.info)
        self.assertEqual(self.lines(None), [])

    def test_faultInTheWrappedProtocol(self) -> None:
        """
        A connection is counted as closed even if C{connectionLost} of the wrapped
        protocol raises.
        """

        class Faulty(Inner):
            def connectionLost(self, reason: Failure = done) -> None:
                raise ValueError("a fault of the user's")

        self.inner = Faulty
        guard = self.guard()
        connection, _ = self.connect(guard)
        self.assertRaises(ValueError, connection.connectionLost, done)
        self.assertEqual(guard.connections, 0)

    def test_faultInAHandler(self) -> None:
        """
        After an exception of a handler, no further data is delivered: a TLS transport
        would continue to deliver its data.
        """

        class Faulty(Inner):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                raise ValueError("a fault of the user's")

        self.inner = Faulty
        connection, _ = self.connect(self.guard())
        told = self.told(connection)
        self.assertRaises(ValueError, connection.dataReceived, b"a")
        connection.dataReceived(b"b")
        connection.connectionLost(done)
        self.assertEqual(told, ["made", b"a", "lost"])

    def test_faultInOneConnection(self) -> None:
        """
        An exception while one connection is closed does not affect the others.
        """
        guard = self.guard()
        (_, first), (_, second) = self.connect(guard), self.connect(guard)

        def fail() -> None:
            raise ValueError("a fault of the transport's")

        first.loseConnection = fail  # type: ignore[method-assign]
        ended = guard.closeAll(3)
        self.assertTrue(second.closed)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        del first.loseConnection
        self.clock.advance(3)
        self.successResultOf(ended)

    def test_refusedByTheWrappedFactory(self) -> None:
        """
        If the wrapped factory returns no protocol, the connection is closed.
        """

        class Refusing(Factory[Any]):
            def buildProtocol(self, addr: object) -> None:
                return None

        guard = GuardFactory(Refusing(), clock=Clock())
        self.assertRefused(guard)
        self.assertEqual(guard.opened, 0)

    def test_halfClose(self) -> None:
        """
        A wrapped protocol that provides C{IHalfCloseableProtocol} is notified of the
        EOF; otherwise the connection is closed.
        """
        connection, transport = self.connect(self.guard())
        connection.readConnectionLost()
        connection.writeConnectionLost()
        self.assertTrue(transport.disconnecting)
        self.inner = HalfInner
        connection, _ = self.connect(self.guard())
        connection.readConnectionLost()
        connection.writeConnectionLost()
        self.assertEqual(self.told(connection), ["made", "read lost", "write lost"])


class LimitTests(GuardTestCase):
    """
    The number of connections is limited.
    """

    def test_maxConnections(self) -> None:
        """
        Connections above the limit are refused. The first refusal is logged, and so is
        the first connection accepted again.
        """
        guard = self.guard(maxConnections=2)
        first, _ = self.connect(guard)
        self.connect(guard)
        with capturedLogs() as logs:
            for _ in range(3):
                self.assertRefused(guard)
            first.connectionLost(done)
            self.connect(guard)
        self.assertEqual(guard.refused, 3)
        lines = linesOf(logs)
        self.assertEqual(
            lines[0],
            "None refused: connection limit reached (2, --max-connections); "
            "further refusals are not logged",
        )
        self.assertEqual(lines[2], "accepting connections again; 3 connections were refused")
        self.assertEqual(len(lines), 4)

    def test_noLimit(self) -> None:
        """
        0 means no limit.
        """
        guard = self.guard(maxConnections=0)
        self.connect(guard)
        self.assertIsNotNone(guard.buildProtocol(None))


class TimeTests(GuardTestCase):
    """
    Timeouts of connections.
    """

    def test_idle(self) -> None:
        """
        A connection without received data is closed after the timeout, at most a
        quarter later; a connection that receives data is not.
        """
        guard = self.guard(idleTimeout=8)
        guard.doStart()
        self.clock.advance(1)
        _, quietTransport = self.connect(guard)
        busy, busyTransport = self.connect(guard)
        with capturedLogs() as logs:
            for second in range(10):
                busy.dataReceived(b"a")
                self.clock.advance(1)
                self.assertEqual(quietTransport.closed, second >= 8)
            self.assertFalse(busyTransport.closed)
        self.assertIn("192.168.1.1:54321 disconnected: idle for 8 s", linesOf(logs))
        # The record of a closed connection is not kept until the next check.
        self.assertEqual([*guard.idle], [*guard.protocols])
        guard.doStop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_idleWebSocket(self) -> None:
        """
        A WebSocket that answers pings is not idle; without pings, it is.
        """
        for interval, isClosed in ((30, False), (0, True)):
            network = MemoryNetwork.forTest(self.addCleanup)
            webSocket = WebSocketFactory(
                Factory.forProtocol(Inner), pingInterval=interval, clock=network.reactor
            )
            guard = GuardFactory(webSocket, idleTimeout=120, clock=network.reactor)
            pair = connectedPair(Peer(), guard, network=network)
            guard.doStart()
            pair.client.send(REQUEST)
            for _ in range(30):
                before = len(pair.client.received)
                network.advance(10)
                ping = pair.client.received[before:].removeprefix(RESPONSE)
                if ping and not pair.client.closed:
                    # The payload follows the header of two bytes.
                    pair.client.send(frame(PONG, ping[2:]))
            self.assertEqual(pair.client.closed, isClosed, interval)
            guard.doStop()

    def test_idleDuringHandler(self) -> None:
        """
        While an asynchronous handler runs, no data is received, so the connection is not idle.
        It is idle afterwards.
        """
        guard = self.guard(idleTimeout=8)
        guard.doStart()
        connection, transport = self.connect(guard)
        connection.ensureBuffer().hold()
        self.clock.pump([1] * 30)
        self.assertFalse(transport.closed)
        connection.ensureBuffer().release()
        self.clock.pump([1] * 10)
        self.assertTrue(transport.closed)
        guard.doStop()

    def test_noIdle(self) -> None:
        """
        Without C{idleTimeout}, idle connections are not closed.
        """
        self.guard().doStart()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_severalPorts(self) -> None:
        """
        Idle connections are closed as long as a port is open.
        """
        guard = self.guard(idleTimeout=8)
        guard.doStart()
        guard.doStart()
        guard.doStop()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        guard.doStop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closeTimeout(self) -> None:
        """
        A peer that does not read the send queue before the close is disconnected.
        """
        guard = self.guard(closeTimeout=5)
        connection, transport = self.connect(guard)
        connection.write(b"abc")
        with capturedLogs() as logs:
            connection.loseConnection()
            connection.loseConnection()
            self.clock.advance(4)
            self.assertFalse(transport.closed)
            self.clock.advance(1)
        self.assertTrue(transport.closed)
        self.assertIn("aborted: close timed out after 5 s", linesOf(logs)[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closeAll(self) -> None:
        """
        Written data is sent, for at most the timeout.
        """
        guard = self.guard()
        self.assertIsNone(self.successResultOf(guard.closeAll(3)))
        _, ready = self.connect(guard)
        (one, slow), (other, stuck) = self.connect(guard), self.connect(guard)
        for connection in (one, other):
            connection.write(b"abc")
        ended = guard.closeAll(3)
        self.assertTrue(ready.closed)
        slow.drain()
        self.assertTrue(slow.closed)
        self.assertNoResult(ended)
        self.clock.advance(3)
        self.assertTrue(stuck.closed)
        self.assertIsNone(self.successResultOf(ended))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closeAllTwice(self) -> None:
        """
        Each call of C{closeAll} returns a Deferred that fires.
        """
        guard = self.guard()
        _, transport = self.connect(guard)
        transport.write(b"abc")
        first, second = guard.closeAll(3), guard.closeAll(4)
        transport.drain()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closedAfterItIsLost(self) -> None:
        """
        C{closeAll} does not wait for connections that are lost.
        """
        connection, _ = self.connect(self.guard())
        connection.connectionLost(done)
        connection.loseConnection()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closeAllInTime(self) -> None:
        """
        No timer remains if all connections have closed in time.
        """
        guard = self.guard()
        connection, transport = self.connect(guard)
        connection.write(b"abc")
        ended = guard.closeAll(3)
        transport.drain()
        self.successResultOf(ended)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class NegotiationTests(GuardTestCase):
    """
    Inside TLS, a client can offer protocols (ALPN, RFC 7301).
    """

    def negotiate(self, *names: bytes) -> bytes:
        """
        Complete a TLS handshake with a client that offers protocols, through a TLS
        endpoint.

        @return: the negotiated protocol.
        """
        guard = self.guard()
        issued = trustme.CA().issue_cert("localhost")
        # Twisted's types are those of pyOpenSSL, whose use is deprecated.
        identity: dict[str, Any] = {
            "privateKey": load_pem_private_key(issued.private_key_pem.bytes(), None),
            "certificate": load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()),
        }
        options = CertificateOptions(**identity)
        protocol = TLSMemoryBIOFactory(options, False, guard, self.clock).buildProtocol(None)
        transport = TightTransport(protocol, 1 << 20)
        protocol.makeConnection(transport)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        if names:
            context.set_alpn_protos(list(names))
        client = SSL.Connection(context, None)
        client.set_connect_state()
        for _ in range(4):
            with contextlib.suppress(SSL.WantReadError):
                client.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                transport.arrive(client.bio_read(1 << 20))
            self.clock.advance(0)
            if transport.value():
                client.bio_write(transport.value())
                transport.clear()
        self.assertIsNotNone(client.get_cipher_version())
        return bytes(client.get_alpn_proto_negotiated())

    def test_browser(self) -> None:
        """
        A client that offers HTTP/1.1, as browsers do, is accepted; so is a client that
        offers nothing.
        """
        self.assertEqual(self.negotiate(b"http/1.1"), b"http/1.1")
        self.assertEqual(self.negotiate(b"h2", b"http/1.1"), b"http/1.1")
        self.assertEqual(self.negotiate(), b"")

    def test_wrapped(self) -> None:
        """
        A wrapped factory can negotiate protocols itself.
        """

        @implementer(IProtocolNegotiationFactory)
        class Naming(Factory[Any]):
            def acceptableProtocols(self) -> list[bytes]:
                return [b"xml"]

        self.assertEqual(GuardFactory(Naming(), clock=Clock()).acceptableProtocols(), [b"xml"])
