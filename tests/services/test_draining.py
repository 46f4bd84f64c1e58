"""
Tests for L{openfl_twisted.services.draining}.
"""

import os
import signal
from itertools import product
from typing import Any, cast

from twisted.internet.error import ReactorNotRunning
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.logs import setLogLevel
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.proxyprotocol import ProxyProtocolFactory
from openfl_twisted.protocols.websocket import DRAINING, NO_MORE
from openfl_twisted.services import xmlserver
from openfl_twisted.services.draining import DrainService, stopReactor
from openfl_twisted.services.serving import DatagramService, ServerService
from tests.doubles import linesOf
from tests.frames import REQUEST, RESPONSE
from tests.support.clients import Client

HEALTH = b" /healthz HTTP/1.1\r\nHost: h\r\n\r\n"


class DrainingTestCase(SynchronousTestCase):
    """
    Creates a service of C{openfl-xml}.
    """

    def setUp(self) -> None:
        self.addCleanup(setLogLevel, LogLevel.info)
        self.reactor = MemoryReactorClock()

    def open(self, *arguments: str) -> ServerService:
        """
        Create a service and its L{DrainService}.
        """
        options = xmlserver.Options()
        options.parseOptions(["--drain-delay=5", "--drain-timeout=60", *arguments])
        service = xmlserver.makeService(options)
        assert isinstance(service, ServerService)
        service.factory.clock = self.reactor
        inner: Any = service.factory.wrappedFactory
        inner.clock = self.reactor
        self.service = service
        self.draining = DrainService(
            service, options["drain-delay"], options["drain-timeout"], self.reactor
        )
        self.draining.startService()
        self.addCleanup(self.draining.stopService)
        self.addCleanup(self.draining.ignoreSignal)
        return service

    def connect(self, *data: bytes) -> Client:
        """
        Connect a client, and send data.
        """
        client = Client(self.service.factory, self.reactor)
        for each in data:
            client.send(each)
        return client

    def health(self, method: bytes = b"GET") -> bytes:
        """
        Return the status of a health check.
        """
        client = self.connect(method + HEALTH)
        client.close()
        return client.received.split()[1]


class DrainTests(DrainingTestCase):
    """
    Draining of C{openfl-xml}.
    """

    def test_drain(self) -> None:
        """
        Health checks fail immediately. After the delay, new clients are refused, the others receive
        the farewell once, and the reactor is stopped when they have disconnected.
        """
        self.open("--echo", "--farewell=bye")
        first = self.connect(b"hello\0")
        self.assertEqual([self.health(b"HEAD"), self.health(b"OPTIONS")], [b"200", b"200"])
        with capturedLogs() as logs:
            self.draining.drain()
            self.draining.drain()
            for method in (b"GET", b"HEAD", b"OPTIONS"):
                self.assertEqual(self.health(method), b"503")
            second, third = self.connect(b"hello\0"), self.connect(REQUEST)
            self.assertEqual(second.received, b"hello\0")
            self.assertTrue(third.received.startswith(RESPONSE))
            self.reactor.advance(5)
            self.assertEqual(self.health(), b"503")
            for client in (first, second, third):
                client.exchange()
                self.assertEqual(client.received.count(b"bye\0"), 1)
            late = [self.connect(b"hello\0"), self.connect(b"hello\0")]
            self.assertEqual([each.closed for each in late], [True, True])
            refused = self.connect(REQUEST)
            self.assertIn(b" 503 ", refused.received)
            self.assertIn(NO_MORE.encode(), refused.received)
            refused.close()
            for client in (first, second):
                client.close()
            self.assertFalse(self.reactor.hasStopped)
            third.close()
        self.assertTrue(self.reactor.hasStopped)
        lines = linesOf(logs)
        for line in (
            "SIGUSR2 received: draining; clients are accepted for 5 s more (1 open)",
            "draining: new clients are refused (3 open)",
            "drained: all clients have disconnected; shutting down",
        ):
            self.assertEqual(lines.count(line), 1, lines)
        refusals = [line for line in lines if "the server is draining" in line]
        self.assertEqual(len(refusals), 1)
        self.assertEqual(self.service.factory.refusals["draining"], 3)
        self.service.farewell()

    def test_timeout(self) -> None:
        """
        The reactor is stopped after the delay and the timeout, with one log line.
        """
        self.open("--echo")
        client = self.connect(b"hello\0")
        self.draining.drain()
        with capturedLogs() as logs:
            self.reactor.advance(5)
            self.reactor.advance(59)
            self.assertFalse(self.reactor.hasStopped)
            self.reactor.advance(1)
        self.assertTrue(self.reactor.hasStopped)
        self.assertIn(
            "not drained within 60 s (--drain-timeout): shutting down (1 open)", linesOf(logs)
        )
        client.close()

    def test_noTimeout(self) -> None:
        """
        With a timeout of 0, the server waits without a limit.
        """
        service = self.open("--echo")
        draining = DrainService(service, 0, 0, self.reactor)
        draining.startService()
        self.addCleanup(draining.ignoreSignal)
        client = self.connect(b"hello\0")
        draining.drain()
        self.reactor.advance(1)
        self.reactor.advance(10**6)
        self.assertFalse(self.reactor.hasStopped)
        client.close()
        self.assertTrue(self.reactor.hasStopped)
        draining.stopService()

    def test_empty(self) -> None:
        """
        A server without clients still waits for the delay, so that the load balancer notices.
        """
        self.open("--echo")
        self.draining.drain()
        self.reactor.advance(4)
        self.assertFalse(self.reactor.hasStopped)
        self.reactor.advance(1)
        self.assertTrue(self.reactor.hasStopped)

    def test_noDelay(self) -> None:
        """
        With a delay of 0, new clients are refused immediately, and a server without clients stops.
        """
        self.open("--echo", "--drain-delay=0")
        client = self.connect(b"hello\0")
        self.draining.drain()
        self.reactor.advance(0)
        self.assertTrue(self.connect(b"hello\0").closed)
        self.assertFalse(self.reactor.hasStopped)
        client.close()
        self.assertTrue(self.reactor.hasStopped)

    def test_stopped(self) -> None:
        """
        If the service is stopped first, the reactor is not stopped again.
        """
        self.open("--echo")
        client = self.connect(b"hello\0")
        self.draining.drain()
        self.reactor.advance(5)
        self.draining.stopService()
        client.close()
        self.assertFalse(self.reactor.hasStopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_plain(self) -> None:
        """
        Without protocol detection, the ports are closed after the delay.
        """
        service = self.open("--echo", "--plain")
        self.assertEqual(len([*service]), 1)
        self.draining.drain()
        self.assertEqual(len([*service]), 1)
        self.reactor.advance(5)
        self.assertEqual([*service], [])

    def test_signal(self) -> None:
        """
        SIGUSR2 starts draining; afterwards, another SIGUSR2 does not end the process.
        """
        self.open("--echo")
        called: list[object] = []
        self.reactor.callFromThread = called.append  # type: ignore[attr-defined]
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR2)
        self.assertEqual(called, [self.draining.drain, self.draining.drain])

    def test_otherSites(self) -> None:
        """
        The method C{drain} of an C{http} factory is called.
        """
        service = self.open("--echo")
        detection = cast("OnePortFactory", service.factory.wrappedFactory)
        told: list[bool] = []

        class Site:
            def drain(self) -> None:
                told.append(True)

        cast("Any", detection).http = Site()
        service.failHealthChecks()
        self.assertEqual(told, [True])

    def test_words(self) -> None:
        """
        The answer says why.
        """
        self.open("--echo")
        self.connect(b"GET" + HEALTH)
        self.draining.drain()
        self.assertIn(DRAINING.encode(), self.connect(b"GET" + HEALTH).received)

    def test_udp(self) -> None:
        """
        A server with UDP ports stops after SIGUSR2: it has no connections.
        """
        service = DatagramService([], DatagramProtocol, self.reactor)
        self.reactor.callFromThread = lambda do: do()  # type: ignore[attr-defined]
        service.startService()
        os.kill(os.getpid(), signal.SIGUSR2)
        self.assertTrue(self.reactor.hasStopped)
        service.stopService()

    def test_stopReactor(self) -> None:
        """
        A reactor that is stopping already is ignored.
        """

        class Stopping:
            def stop(self) -> None:
                raise ReactorNotRunning

        stopReactor(Stopping())


class QuietTests(DrainingTestCase):
    """
    Log lines of connections that are not clients.
    """

    def lines(self, *data: bytes, end: str = "close") -> list[str]:
        """
        Connect, send data, end the connection, and return the log lines.

        @param end: the name of the client's method; empty to stay connected.
        """
        self.open("--echo")
        with capturedLogs() as logs:
            client = self.connect(*data)
            if end:
                getattr(client, end)()
        return [line.partition(" ")[2] for line in linesOf(logs)]

    def test_health(self) -> None:
        """
        Health checks, and connections without data, are logged only at level debug.
        """
        for data in ((), (b"GET" + HEALTH,), (b"HEAD" + HEALTH,), (b"OPTIONS / HTTP/1.0\r\n\r\n",)):
            self.assertEqual(self.lines(*data), [])
        self.open("--echo", "--log-level=debug")
        with capturedLogs() as logs:
            self.connect().close()
        [line] = linesOf(logs)
        self.assertTrue(line.endswith(" closed by the peer (0 open)"))

    def test_proxy(self) -> None:
        """
        A PROXY header does not count as data: the health checks of haproxy are logged only at
        level debug.
        """
        for header in (b"PROXY UNKNOWN\r\n", b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\n"):
            for data, separate in product((b"", b"GET" + HEALTH, b"hello\0"), (True, False)):
                service = self.open("--echo")
                with capturedLogs() as logs:
                    proxied = ProxyProtocolFactory(service.factory, clock=self.reactor)
                    client = Client(proxied, self.reactor)
                    for part in (header, data) if separate else (header + data,):
                        client.send(part)
                    client.close()
                lines = linesOf(logs)
                self.assertEqual(len(lines), 2 if data == b"hello\0" else 0, lines)
                for line in lines:
                    self.assertEqual(line.startswith("192.0.2.1:5 "), b"TCP4" in header)

    def test_clients(self) -> None:
        """
        A client is logged when its type is detected.
        """
        closed = "closed by the peer (0 open)"
        self.assertEqual(self.lines(b"hello\0"), ["opened (plain, 1 open)", closed])
        self.assertEqual(self.lines(b"xy", end=""), ["opened (plain, 1 open)"])
        self.assertEqual(self.lines(b"GET", end=""), [])
        self.assertEqual(self.lines(b"GET", end="lose"), ["opened (undetected, 0 open)", closed])
        dropped = "closed the connection in the middle of a message; 3 bytes dropped"
        self.assertEqual(self.lines(b"GET"), ["opened (plain, 1 open)", dropped, closed])
        self.assertEqual(self.lines(REQUEST)[0], "opened (websocket, 1 open)")

    def test_silent(self) -> None:
        """
        A client that sends no data is logged when the application is connected.
        """
        self.open("--echo")
        with capturedLogs() as logs:
            client = self.connect()
            self.assertEqual(logs, [])
            self.reactor.advance(1)
            client.close()
        self.assertEqual(
            [line.partition(" ")[2] for line in linesOf(logs)],
            ["opened (plain, 1 open)", "closed by the peer (0 open)"],
        )

    def test_halfClose(self) -> None:
        """
        A client that closes its side without sending data is logged only at level debug.
        """
        self.open("--echo")
        with capturedLogs() as logs:
            client = self.connect()
            client.finish()
            client.close()
        self.assertEqual(logs, [])

    def test_refused(self) -> None:
        """
        The first line of a refused client says that it was opened. Its type is not known.
        """
        found = self.lines(b"\x16\x03\x01\x00\x80\x01\x00\x00\x7c\x03\x03")
        self.assertEqual(found[0], "opened (undetected, 1 open)")
        self.assertTrue(any("no certificate" in line for line in found), found)
