"""
Tests for the hook C{allow}: L{openfl_twisted.protocols.allowing}, and its use by WebSockets.
"""

from functools import partial
from http import HTTPStatus
from ipaddress import ip_network
from itertools import pairwise
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.pages import notFound
from twisted.web.server import Site

from openfl_twisted.dispatch import XMLDispatchProtocol, handler
from openfl_twisted.protocols.allowing import WebSocketRequest, allowHookOf
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.websocket import ALLOW_TIMEOUT, WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.transports.wrapper import WrapperFactory
from openfl_twisted.wire.httprequest import MAX_HEAD
from tests.doubles import linesOf
from tests.frames import BINARY, REQUEST, RESPONSE, frame
from tests.support.clients import IDENTITY, PAGE, Client
from tests.tls.handshakes import Presenting
from tests.transports.websocketcase import Inner, WebSocketTestCase

HELLO = frame(BINARY, b"hello")
REFUSED = b"The server does not allow this connection.\n"


class HookTestCase(WebSocketTestCase):
    """
    WebSockets of an application with a hook.
    """

    def ask(self, allow: Any, data: bytes = REQUEST, **options: Any) -> tuple[Any, Any]:
        """
        Send a request to a server with a hook.
        """
        connection, transport = self.connect(self.factory(allow=allow, **options))
        connection.dataReceived(data)
        transport.drain()
        return connection, transport

    def assertAnswered(self, transport: Any, status: int) -> None:
        """
        Assert that a request was answered with an error, and the connection closed.
        """
        transport.drain()
        head, _, _ = transport.delivered.partition(b"\r\n")
        self.assertEqual(head, f"HTTP/1.1 {status} {HTTPStatus(status).phrase}".encode())
        self.assertTrue(transport.closed)


class RequestTests(HookTestCase):
    """
    The hook is called with the parsed handshake.
    """

    def test_request(self) -> None:
        """
        The request has the path, the parameters, the header fields, the cookies and the address.
        """
        asked: list[WebSocketRequest] = []

        def allow(request: WebSocketRequest) -> bool:
            asked.append(request)
            return True

        data = REQUEST.replace(b"/x/room?id=1", b"/x/%2F?id=1&name=A%20b&id=2&empty=&lone")
        data = data.replace(b"Pragma: no-cache", b"X-Token: abc\r\nCookie: s=1=2; t =3;x; s=4")
        self.ask(allow, data)
        [request] = asked
        self.assertEqual(request.path, "/x/%2F")
        self.assertEqual(request.query, {"id": "1", "name": "A b", "empty": "", "lone": ""})
        self.assertEqual(request.headers["x-token"], "abc")
        self.assertEqual(request.cookies, {"s": "1=2", "t": "3"})
        self.assertEqual(request.peer, IPv4Address("TCP", "192.168.1.1", 54321))

    def test_proxy(self) -> None:
        """
        The address is that of the client that a trusted proxy has reported.
        """
        asked: list[WebSocketRequest] = []
        data = REQUEST.replace(b"Pragma: no-cache", b"X-Forwarded-For: 192.0.2.7")
        trusted = [ip_network("192.168.1.1")]
        self.ask(asked.append, data, trustedProxies=trusted)
        self.assertEqual(asked[0].peer, IPv4Address("TCP", "192.0.2.7", 0))
        self.flushLoggedErrors(TypeError)

    def test_notAsked(self) -> None:
        """
        The hook is not called for other requests, and for those that are refused anyway.
        """
        asked: list[WebSocketRequest] = []
        requests: list[tuple[bytes, dict[str, Any]]] = [
            (PAGE, {}),
            (REQUEST.replace(b": 13", b": 8"), {}),
            (REQUEST, {"accept": False}),
            (REQUEST, {"origins": lambda origin: False}),
        ]
        for data, options in requests:
            self.ask(asked.append, data, **options)
        self.assertEqual(asked, [])


class ResultTests(HookTestCase):
    """
    The result of the hook.
    """

    def test_accepted(self) -> None:
        """
        With C{True}, the WebSocket is opened, and receives the data that follows the request.
        """
        connection, transport = self.ask(lambda request: True, REQUEST + HELLO)
        self.assertEqual(transport.delivered, RESPONSE)
        self.assertEqual(connection.wrappedProtocol.told, ["made", b"hello"])

    def test_refused(self) -> None:
        """
        With C{False} or a status, the request is answered with an error, without a protocol, and
        logged.
        """
        for result, status in [(False, 403), (401, 401), (HTTPStatus.NOT_FOUND, 404), (503, 503)]:
            with capturedLogs() as logs:
                connection, transport = self.ask(lambda request, result=result: result)
            self.assertAnswered(transport, status)
            self.assertTrue(transport.delivered.endswith(b"\r\n\r\n" + REFUSED))
            self.assertIsNone(connection.wrappedProtocol)
            [line] = linesOf(logs)
            self.assertIn(f"answered with {status} The server does not allow", line)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_invalid(self) -> None:
        """
        Any other result is an error of the application: the request is answered with 500.
        """
        for result in (None, 1, 0, 200, 302, 499, 600, "yes", [], object()):
            with capturedLogs() as logs:
                _, transport = self.ask(lambda request, result=result: result)
            self.assertAnswered(transport, 500)
            [problem] = self.flushLoggedErrors(TypeError)
            self.assertIn("allow must return True, False or an HTTP status", str(problem.value))
            self.assertIn("request answered with 500", linesOf(logs)[0])

    def test_exception(self) -> None:
        """
        An exception is logged with its traceback, and the request is answered with 500.
        """

        def allow(request: WebSocketRequest) -> bool:
            raise KeyError("token")

        async def allowLater(request: WebSocketRequest) -> bool:
            raise KeyError("token")

        for hook in (allow, allowLater):
            with capturedLogs() as logs:
                connection, transport = self.ask(hook)
            self.assertAnswered(transport, 500)
            self.assertNotIn(b"token", transport.delivered)
            self.assertIsNone(connection.wrappedProtocol)
            [problem] = self.flushLoggedErrors(KeyError)
            self.assertIn(hook.__name__, problem.getTraceback())
            place = f"unhandled error in {hook.__name__} while serving 192.168.1.1:54321"
            self.assertIn(f"{place}; request answered with 500", linesOf(logs)[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AsyncTests(HookTestCase):
    """
    The hook can be a coroutine function.
    """

    def test_immediately(self) -> None:
        """
        A coroutine that does not wait decides immediately.
        """

        async def allow(request: WebSocketRequest) -> bool:
            return request.query["id"] == "1"

        _, transport = self.ask(allow)
        self.assertEqual(transport.delivered, RESPONSE)
        _, transport = self.ask(allow, REQUEST.replace(b"id=1", b"id=2"))
        self.assertAnswered(transport, 403)

    def test_later(self) -> None:
        """
        Until the hook has decided, nothing is answered; data that is received in the meantime is
        delivered afterwards.
        """
        decision: Deferred[bool] = Deferred()
        connection, transport = self.ask(lambda request: decision, REQUEST + HELLO[:3])
        connection.dataReceived(HELLO[3:])
        self.clock.advance(ALLOW_TIMEOUT - 1)
        self.assertEqual((transport.delivered, connection.wrappedProtocol), (b"", None))
        decision.callback(True)
        transport.drain()
        self.assertEqual(transport.delivered, RESPONSE)
        self.assertEqual(connection.wrappedProtocol.told, ["made", b"hello"])
        connection.dataReceived(HELLO)
        self.assertEqual(connection.wrappedProtocol.received, b"hellohello")

    def test_refusedLater(self) -> None:
        """
        The request can be refused later.
        """
        for result, status in ((False, 403), (429, 429)):
            decision: Deferred[int] = Deferred()
            _, transport = self.ask(lambda request, decision=decision: decision)
            decision.callback(result)
            self.assertAnswered(transport, status)
        decision = Deferred()
        _, transport = self.ask(lambda request: decision)
        decision.errback(ValueError("broken"))
        self.assertAnswered(transport, 500)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_timeout(self) -> None:
        """
        A hook that does not decide in time is cancelled, with a warning, and the request is
        answered with 503. A later decision has no effect.
        """
        for ignoring in (False, True):
            decision: Deferred[bool] = Deferred(lambda _: None)

            async def allow(
                request: WebSocketRequest,
                decision: Deferred[bool] = decision,
                ignoring: bool = ignoring,
            ) -> bool:
                try:
                    return await decision
                except BaseException:
                    if ignoring:
                        return True
                    raise

            connection, transport = self.ask(allow, allowTimeout=3)
            with capturedLogs() as logs:
                self.clock.advance(3)
            self.assertAnswered(transport, 503)
            self.assertEqual(
                linesOf(logs)[0],
                "192.168.1.1:54321: allow has not decided about the request within 3 s",
            )
            self.assertEqual(logs[0]["log_level"], LogLevel.warn)
            self.assertIsNone(connection.wrappedProtocol)
            self.assertTrue(decision.called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_lost(self) -> None:
        """
        If the connection is lost, the hook is cancelled.
        """
        cancelled: list[object] = []
        decision: Deferred[bool] = Deferred(cancelled.append)
        connection, transport = self.ask(lambda request: decision)
        connection.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(cancelled, [decision])
        self.assertEqual((transport.delivered, self.clock.getDelayedCalls()), (b"", []))

    def test_closed(self) -> None:
        """
        If the server closes the connection, the decision has no effect.
        """
        for isGood in (True, False):
            decision: Deferred[bool] = Deferred()
            connection, transport = self.ask(lambda request, decision=decision: decision)
            transport.atOnce = False
            connection.finishConnection()
            if isGood:
                decision.callback(True)
            else:
                decision.errback(ValueError())
            transport.drain()
            self.assertEqual((transport.delivered, connection.wrappedProtocol), (b"", None))

    def test_tooMuchData(self) -> None:
        """
        A client that sends much data before the answer is refused.
        """
        connection, transport = self.ask(lambda request: Deferred())
        with capturedLogs() as logs:
            connection.dataReceived(bytes(MAX_HEAD))
            self.assertFalse(transport.closed)
            connection.dataReceived(b"x")
        self.assertAnswered(transport, 400)
        self.assertIn("Data was sent before the handshake was accepted", linesOf(logs)[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(st.integers(1, len(REQUEST + HELLO) - 1), st.booleans())
    def test_anyPieces(self, at: int, isLate: bool) -> None:
        """
        The result does not depend on how the stream is split.
        """
        self.clock = Clock()
        decision: Deferred[bool] = Deferred()
        data = REQUEST + HELLO
        connection, transport = self.ask(lambda request: decision, data[:at])
        if not isLate:
            decision.callback(True)
        connection.dataReceived(data[at:])
        if isLate:
            decision.callback(True)
        transport.drain()
        self.assertEqual(transport.delivered, RESPONSE)
        self.assertEqual(connection.wrappedProtocol.received, b"hello")

    @given(
        st.integers(0, 2 * MAX_HEAD),
        st.lists(st.integers(1, len(REQUEST) + 2 * MAX_HEAD), max_size=4),
    )
    def test_anyLength(self, length: int, cuts: list[int]) -> None:
        """
        The limit for data that is sent before the answer does not depend on how the stream is
        split.
        """
        self.clock = Clock()
        decision: Deferred[bool] = Deferred()
        data = REQUEST + bytes(length)
        ends = [*sorted(cuts), len(data)]
        connection, transport = self.ask(lambda request: decision, data[: ends[0]])
        for start, end in pairwise(ends):
            if start < end and not transport.closed:
                connection.dataReceived(data[start:end])
        transport.drain()
        self.assertEqual(transport.closed, length > MAX_HEAD)
        self.assertEqual(transport.delivered.startswith(b"HTTP/1.1 400 "), length > MAX_HEAD)
        connection.connectionLost(Failure(ConnectionLost()))
        self.assertTrue(decision.called)

    @given(
        st.lists(st.integers(0, len(REQUEST + HELLO)), max_size=6),
        st.integers(0, 7),
        st.integers(0, 8),
        st.sampled_from([True, False, 404, None, "error", "timeout"]),
    )
    def test_anyOrder(self, cuts: list[int], decide: int, lose: int, result: object) -> None:
        """
        Whenever the data arrives, the hook decides and the client disconnects: the hook is called
        once, after the whole request, and at most one protocol is connected, if the hook accepts.
        Nothing is left when the connection is lost.
        """
        self.clock = Clock()
        decision: Deferred[object] = Deferred()
        asked: list[WebSocketRequest] = []

        def allow(request: WebSocketRequest) -> Deferred[object]:
            asked.append(request)
            return decision

        data = REQUEST + HELLO
        connection, transport = self.ask(allow, b"")
        isLost, seen = False, 0
        for number, (start, end) in enumerate(pairwise([0, *sorted(cuts), len(data)])):
            if number == decide and not decision.called:
                self.settle(decision, result)
            if number == lose:
                isLost = True
                connection.connectionLost(Failure(ConnectionLost()))
            if not isLost and not transport.closed and not transport.disconnecting:
                connection.dataReceived(data[start:end])
                transport.drain()
                seen = end
        if not decision.called and not isLost:
            self.settle(decision, result)
            transport.drain()
        self.assertEqual(len(asked), seen >= len(REQUEST))
        accepted = transport.delivered.startswith(b"HTTP/1.1 101 ")
        self.assertEqual(transport.delivered.count(b"HTTP/1.1 "), bool(transport.delivered))
        self.assertLessEqual(accepted, result is True)
        if not isLost:
            self.assertEqual(accepted, result is True)
            if accepted:
                self.assertEqual(connection.wrappedProtocol.told, ["made", b"hello"])
            connection.connectionLost(Failure(ConnectionLost()))
        if asked:
            self.assertTrue(decision.called)
        else:
            # No one handles the error of a hook that was not called.
            decision.addErrback(lambda _: None)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.flushLoggedErrors(ValueError, TypeError)

    def settle(self, decision: Deferred[object], result: object) -> None:
        """
        Let the hook decide, fail or take too long.
        """
        if result == "error":
            decision.errback(ValueError())
        elif result == "timeout":
            self.clock.advance(ALLOW_TIMEOUT)
        else:
            decision.callback(result)

    def test_faultInTheProtocol(self) -> None:
        """
        An exception of the protocol in C{connectionMade} is logged, and closes the connection.
        """

        class Faulty(Inner):
            def connectionMade(self) -> None:
                raise ValueError("broken")

        self.inner = Faulty
        decision: Deferred[bool] = Deferred()
        _, transport = self.ask(lambda request: decision)
        decision.callback(True)
        transport.drain()
        self.assertTrue(transport.closed)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class Choosy(EchoProtocol):
    """
    A protocol with a hook.
    """

    asked: ClassVar[list[str]] = []

    @classmethod
    def allow(cls, request: WebSocketRequest) -> bool:
        cls.asked.append(request.path)
        return request.query.get("token") == "right"


class ApplicationTests(SynchronousTestCase):
    """
    The hook of an application, in any factory.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        Choosy.asked.clear()

    def test_found(self) -> None:
        """
        The hook is a method of the factory, or a class method or static method of its protocol
        class, also if other factories wrap the factory.
        """

        class Static(Protocol):
            @staticmethod
            def allow(request: WebSocketRequest) -> int:
                return 401

        class Deciding(XMLSocketFactory):
            def allow(self, request: WebSocketRequest) -> bool:
                return True

        static, deciding = Factory.forProtocol(Static), Deciding(Choosy)
        for factory, hook in [
            (XMLSocketFactory(Choosy), Choosy.allow),
            (WrapperFactory(WrapperFactory(XMLSocketFactory(Choosy))), Choosy.allow),
            (static, Static.allow),
            (deciding, deciding.allow),
            (XMLSocketFactory(EchoProtocol), None),
            (Factory.forProtocol(lambda: Inner()), None),
            (Factory(), None),
        ]:
            self.assertEqual(allowHookOf(factory), hook)

    def test_wrongMethod(self) -> None:
        """
        An instance method of the protocol is an error when the factory is created. The handler of
        a message is not a hook.
        """

        class Wrong(EchoProtocol):
            def allow(self, request: WebSocketRequest) -> bool:
                return True

        class Handling(XMLDispatchProtocol):
            @handler
            def allow(self, name: str) -> None: ...

        for make in (OnePortFactory, WebSocketFactory):
            with self.assertRaisesRegex(TypeError, "Wrong.allow is called before .* @classmethod"):
                make(XMLSocketFactory(Wrong), clock=self.clock)
            make(XMLSocketFactory(Handling), clock=self.clock)

    def test_everyPath(self) -> None:
        """
        The hook decides about each WebSocket: as the first request, after requests for pages, and
        inside TLS. Clients without a WebSocket are not affected.
        """
        tls: Any = Presenting.of(IDENTITY)
        onePort = OnePortFactory(
            XMLSocketFactory(Choosy),
            tls=tls,
            webSocket=partial(WebSocketFactory, openTimeout=5),
            http=Site(notFound(), reactor=self.clock),
            clock=self.clock,
        )
        guard = GuardFactory(onePort, clock=self.clock)
        right = REQUEST.replace(b"id=1", b"token=right")
        for inTLS in (False, True):
            for data, answer in [(REQUEST, b"HTTP/1.1 403 Forbidden\r\n"), (right, RESPONSE)]:
                for before in (b"", PAGE):
                    client = Client(guard, self.clock, inTLS=inTLS)
                    if before:
                        client.send(before)
                    self.assertEqual(b"HTTP/1.1 404 " in client.received, before == PAGE)
                    client.received = b""
                    client.send(data)
                    self.assertTrue(client.received.startswith(answer), client.received)
        self.assertEqual(Choosy.asked, ["/x/room"] * 8)
        client = Client(guard, self.clock)
        client.send(b"plain\0")
        self.assertEqual(client.received, b"plain\0")

    def test_given(self) -> None:
        """
        A hook that is passed to the factory replaces that of the application.
        """
        factory = WebSocketFactory(XMLSocketFactory(Choosy), allow=bool, clock=self.clock)
        self.assertIs(factory.allow, bool)
