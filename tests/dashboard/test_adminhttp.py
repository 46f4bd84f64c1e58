"""
Tests for L{openfl_twisted.dashboard.adminhttp}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import SSL4ServerEndpoint, TCP4ServerEndpoint, UNIXServerEndpoint
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from openfl_twisted.dashboard.adminhttp import (
    _MAX_BODY,
    MAX_CONNECTIONS,
    REQUEST_TIMEOUT,
    AdminService,
)
from tests.dashboard.browser import Visit, visit


class Counting(Resource):
    """
    Responds to C{POST} with the length of the body, and never to C{GET}.
    """

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        assert request.content is not None
        return b"%d" % len(request.content.read())

    def render_GET(self, request: Request) -> int:
        return NOT_DONE_YET


class AdminServiceTests(SynchronousTestCase):
    """
    L{AdminService} serves a resource on its own port.
    """

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.opened: list[str] = []
        endpoint = TCP4ServerEndpoint(self.reactor, 9100)
        self.site = AdminService(endpoint, Counting(), self.opened.append, self.reactor)

    def test_start(self) -> None:
        """
        The port is opened once, and its URL is reported; a UNIX socket has no URL.
        """
        self.site.privilegedStartService()
        self.site.startService()
        self.addCleanup(self.site.stopService)
        self.assertEqual([port for port, *_ in self.reactor.tcpServers], [9100])
        self.assertEqual(self.opened, ["http://0.0.0.0:9100/"])
        unix = UNIXServerEndpoint(self.reactor, "/a")
        other = AdminService(unix, Counting(), self.opened.append, self.reactor)
        other.startService()
        self.addCleanup(other.stopService)
        self.assertTrue(self.opened[1].startswith("unix"), self.opened)

    def test_tls(self) -> None:
        """
        With TLS the URL is different, and ALPN offers only HTTP/1.1.
        """
        endpoint = SSL4ServerEndpoint(self.reactor, 9100, None)
        site = AdminService(endpoint, Counting(), self.opened.append, self.reactor)
        site.startService()
        self.addCleanup(site.stopService)
        self.assertEqual(self.opened, ["https://0.0.0.0:9100/"])
        self.assertEqual(
            IProtocolNegotiationFactory(site.guard).acceptableProtocols(), [b"http/1.1"]
        )

    def test_headers(self) -> None:
        """
        All responses have restrictive headers.
        """
        answer = visit(self.site.guard, "/", method="POST", body=b"abc")
        self.assertEqual((answer.status, answer.body), (200, b"3"))
        self.assertIn("default-src 'self'", answer.headers["Content-Security-Policy"])
        self.assertEqual(answer.headers["X-Content-Type-Options"], "nosniff")
        self.assertEqual(answer.headers["Cache-Control"], "no-store")

    @given(st.sampled_from([0, 1, _MAX_BODY, _MAX_BODY + 1, 2 * _MAX_BODY]), st.booleans())
    def test_maxBody(self, length: int, announced: bool) -> None:
        """
        A request with a large body is refused, whether its length is announced or
        not, and the body is not stored.
        """
        self.setUp()
        body = b"x" * length
        browser = Visit(self.site.guard)
        if announced:
            browser.transport.arrive(b"POST / HTTP/1.0\r\nContent-Length: %d\r\n\r\n" % length)
            browser.transport.arrive(body)
        else:
            browser.transport.arrive(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")
            for start in range(0, length, 4096):
                piece = body[start : start + 4096]
                if not browser.transport.closed:
                    browser.transport.arrive(b"%x\r\n%b\r\n" % (len(piece), piece))
            if not browser.transport.closed:
                browser.transport.arrive(b"0\r\n\r\n")
        self.assertEqual(browser.answer.status, 413 if length > _MAX_BODY else 200)
        if length > _MAX_BODY:
            self.assertTrue(browser.transport.disconnecting)

    def test_wholeBodyAtOnce(self) -> None:
        """
        A large body in one chunk is refused once.
        """
        browser = Visit(self.site.guard)
        browser.ask("POST", "/", b"x" * (_MAX_BODY + 1))
        self.assertEqual(browser.transport.value().count(b"HTTP/1."), 1)

    def test_manyPieces(self) -> None:
        """
        Data after a body that is too large is ignored.
        """
        browser = Visit(self.site.guard)
        browser.transport.atOnce = False
        browser.transport.arrive(b"POST / HTTP/1.0\r\nContent-Length: 99999\r\n\r\n")
        for _ in range(4):
            browser.transport.arrive(b"x" * _MAX_BODY)
        self.assertEqual(browser.transport.value().count(b"HTTP/1."), 1)

    def test_idle(self) -> None:
        """
        A connection without a complete request is closed after a timeout; one that
        waits for a response is not.
        """
        waiting, idle, half = (Visit(self.site.guard) for _ in range(3))
        waiting.ask("GET", "/")
        half.transport.arrive(b"GET / HT")
        self.reactor.advance(REQUEST_TIMEOUT)
        self.assertEqual(
            [each.transport.disconnecting for each in (waiting, idle, half)], [False, True, True]
        )

    def test_maxConnections(self) -> None:
        """
        The number of connections is limited.
        """
        for _ in range(MAX_CONNECTIONS):
            Visit(self.site.guard)
        self.assertTrue(Visit(self.site.guard).transport.closed)

    def test_quiet(self) -> None:
        """
        Requests are not logged.
        """
        with capturedLogs() as logs:
            visit(self.site.guard, "/", method="POST", body=b"abc")
        self.assertEqual(logs, [])

    def test_stop(self) -> None:
        """
        Stopping the service closes the connections.
        """
        self.site.startService()
        browser = Visit(self.site.guard)
        stopped = self.site.stopService()
        self.assertTrue(browser.transport.disconnecting)
        self.reactor.advance(1)
        self.assertTrue(browser.transport.closed)
        self.successResultOf(stopped)
