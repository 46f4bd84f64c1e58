"""
WebSockets for any protocol, for clients that run OpenFL in a browser or Ruffle on the web.

Each write is sent as one binary message: OpenFL in a browser loses the data that
follows the first NUL byte of a message, and Ruffle does not accept text messages.
Received messages, text or binary, are delivered as a byte stream.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    ITransport,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.coroutines import RunningHandler, startHandler
from openfl_twisted.logs import buildProtocol, logHandlerError
from openfl_twisted.protocols.allowing import (
    AllowHook,
    WebSocketRequest,
    allowHookOf,
    answerTo,
)
from openfl_twisted.transports.connectioninfo import HTTP, WEBSOCKET
from openfl_twisted.transports.sharedtimer import SharedTimer
from openfl_twisted.transports.websocket import WebSocketTransport
from openfl_twisted.transports.wrapper import ConnectionWrapper, WrapperFactory
from openfl_twisted.types import AnyClock, AnyFactory
from openfl_twisted.wire.forwarded import ForwardedAddress, IPNetwork, clientOf, reportedBy
from openfl_twisted.wire.httprequest import (
    MAX_HEAD,
    HeadCollector,
    HTTPAnswer,
    OtherRequest,
    RequestHead,
    parseHead,
)
from openfl_twisted.wire.websocket.frames import MAX_FRAME, WebSocketFrames
from openfl_twisted.wire.websocket.handshake import acceptUpgrade, checkUpgrade

_OPEN_TIMEOUT = 10.0
"""
Default maximum time until the head of the HTTP request is complete (seconds).
"""

CLOSE_TIMEOUT = 5.0
"""
Default maximum time until the peer answers a Close frame (seconds).
"""

PING_INTERVAL = 30.0
"""
Default time without received data until a ping is sent (seconds).
"""

_PONG_TIMEOUT = 20.0
"""
Default maximum time until the peer answers a ping (seconds).
"""

ALLOW_TIMEOUT = 10.0
"""
Default maximum time until C{allow} of the application has decided (seconds).
"""

# Maximum number of received characters in a log line.
_MAX_SHOWN = 200

SUBPROTOCOLS = ("binary",)
"""
The default subprotocols.
"""

NO_MORE = "The server accepts no more connections."
"""
The text of the answer 503.
"""

DRAINING = "The server is draining: it will stop when its clients have disconnected."
"""
The text of the answer 503 to a health check.
"""


class _Blocked(HTTPAnswer):
    """
    The answer to a request from a blocked address. It is logged by the guard.
    """

    def __init__(self) -> None:
        super().__init__(403, "This address is blocked.")


_SUCCESS = range(200, 300)
_TOO_MUCH = frozenset((408, 431))


class WebSocketProtocol(WebSocketTransport):
    """
    The server side of a WebSocket; created by L{WebSocketFactory}. This object is the
    transport of the wrapped protocol, which is connected after the opening handshake.

    @ivar requestPath: the path and query of the request.
    """

    __slots__ = ("_collector", "_head")

    factory: "WebSocketFactory"
    requestPath = "/"
    _otherwise: Callable[[bytes], HTTPAnswer | None] | None = None
    # The hook of the application, while it decides about the request.
    _deciding: RunningHandler | None = None
    # The data received after the request, while the hook decides.
    _early = b""

    def __init__(
        self,
        factory: "WebSocketFactory",
        otherwise: Callable[[bytes], HTTPAnswer | None] | None = None,
    ) -> None:
        """
        @param otherwise: called with all received data if the data is an HTTP request that
            does not open a WebSocket (default: refuse the request). If it returns C{None}, the
            WebSocket protocol ignores the connection. Otherwise, it returns the answer with
            which the request is refused.
        """
        super().__init__(factory)
        self.factory = factory
        self._collector: HeadCollector | None = None
        # The request; stored until connectionMade of the wrapped protocol has returned.
        self._head: RequestHead | None = None
        if otherwise is not None:
            self._otherwise = otherwise

    def logPrefix(self) -> str:
        return self.factory.logPrefix()

    def makeConnection(self, transport: ITransport) -> None:
        super().makeConnection(transport)
        self._collector = HeadCollector(self.factory.maxHead)
        self.startTimer(self.factory.openTimeout, self._openTimedOut)

    def requestReceived(self, data: bytes) -> None:
        if self._deciding is not None:
            self._holdEarly(data)
            return
        collector = cast("HeadCollector", self._collector)
        try:
            complete = collector.receive(data)
            if complete is None:
                return
            raw, rest = complete
            head = parseHead(raw)
            if self.factory.trustedProxies:
                self._findClient(head)
            checkUpgrade(head)
            self._check(head)
        except HTTPAnswer as answer:
            self._refuse(answer)
            return
        if self.factory.allow is None:
            self._open(head, rest)
        else:
            self._ask(self.factory.allow, head, rest)

    def _findClient(self, head: RequestHead) -> None:
        """
        Find the client of a trusted proxy, and check its address. A connection of a proxy can have
        requests of several clients.

        @raise HTTPAnswer: if the address is blocked.
        """
        peer, factory = self.transport.getPeer(), self.factory
        if not isinstance(peer, IPv4Address | IPv6Address):
            return
        proxy = (head.headers, peer.host, factory.trustedProxies, factory.forwardedHeader)
        client = clientOf(*proxy)
        if client is not None:
            self._peer = _addressOf(client)
        guard = self.transport.nearestGuard
        if guard is None:
            return
        # A blocked client must not be able to hide its address with another header field.
        for each in reportedBy(*proxy) if client is None else [client]:
            if not guard.permits(_addressOf(each)):
                raise _Blocked

    def _check(self, head: RequestHead) -> None:
        """
        Check the origin of the page.

        @raise HTTPAnswer: if the handshake is refused.
        """
        factory = self.factory
        origin = head.headers.get("origin")
        if not factory.accept:
            raise HTTPAnswer(403, "This port does not accept WebSocket connections.")
        if factory.origins is not None and not factory.origins(origin):
            text = f"The origin {_shown(origin)} may not connect."
            if origin is not None and origin.partition("://")[2] == head.headers.get("host"):
                text += " It has the address of this server: add a rule for it to the policy file."
            answer = HTTPAnswer(403, text)
            if factory.explainOrigin is not None:
                answer.remark = factory.explainOrigin(origin)
            raise answer

    def _open(self, head: RequestHead, rest: bytes) -> None:
        """
        Accept the WebSocket, and connect the wrapped protocol.

        @param rest: the data received after the head.
        """
        try:
            frames, response = self._accept(head)
        except HTTPAnswer as answer:
            self._refuse(answer)
            return
        self._collector = None
        self._head = head
        if head.path != "/":
            self.requestPath = head.path
        try:
            self.begin(frames, response, rest)
        finally:
            self._head = None

    def _refuse(self, refusal: HTTPAnswer) -> None:
        """
        Refuse the request, or pass a request that does not open a WebSocket to C{otherwise}.
        """
        collector = cast("HeadCollector", self._collector)
        self._collector = None
        answer: HTTPAnswer | None = refusal
        if self._otherwise is not None and isinstance(refusal, OtherRequest):
            self._ended = True
            self.stopTimer()
            answer = self._otherwise(bytes(collector.received))
        if answer is not None:
            self._answer(answer, body=not collector.isHEAD)

    # The hook of the application

    def _ask(self, allow: AllowHook, head: RequestHead, rest: bytes) -> None:
        """
        Call the hook with the request.
        """
        try:
            result = allow(WebSocketRequest.fromHead(head, self.getPeer()))
            handler = startHandler(result)
        except Exception:
            self._hookFailed(Failure())
            return
        if handler is None:
            self._decide(head, rest, result)
            return
        self._deciding = handler
        self._early = rest
        self.startTimer(self.factory.allowTimeout, self._hookTimedOut)
        handler.deferred.addCallbacks(partial(self._decided, head), self._notDecided)
        handler.deferred.addErrback(self.handlerFailed)
        self._checkEarly()

    def _decided(self, head: RequestHead, result: object) -> None:
        if self._deciding is not None and not self._ended:
            self._deciding = None
            rest, self._early = self._early, b""
            self._decide(head, rest, result)

    def _notDecided(self, reason: Failure) -> None:
        if self._deciding is not None and not self._ended:
            self._deciding = None
            self._hookFailed(reason)

    def _decide(self, head: RequestHead, rest: bytes, result: object) -> None:
        """
        Accept or refuse the request.

        @param result: the result of the hook.
        """
        try:
            refusal = answerTo(result)
        except TypeError:
            self._hookFailed(Failure())
            return
        if refusal is None:
            self._open(head, rest)
        else:
            self._refuse(refusal)

    def _hookFailed(self, reason: Failure) -> None:
        consequence = "; request answered with 500"
        logHandlerError(self.log, reason, self.getPeer(), consequence)
        self._refuse(HTTPAnswer(500, "The server cannot decide about this request."))

    def _hookTimedOut(self) -> None:
        self.log.warn(
            "{peer}: allow has not decided about the request within {seconds:g} s",
            peer=self.getPeer(),
            seconds=self.factory.allowTimeout,
        )
        self._cancelHook()
        self._refuse(HTTPAnswer(503, "The server has not decided about this request in time."))

    def _holdEarly(self, data: bytes) -> None:
        """
        Hold data that is received before the request is answered: at most C{maxHead} bytes.
        """
        self._early += data
        self._checkEarly()

    def _checkEarly(self) -> None:
        if len(self._early) > self.factory.maxHead:
            self._cancelHook()
            self._refuse(HTTPAnswer(400, "Data was sent before the handshake was accepted."))

    def _cancelHook(self) -> None:
        handler = self._deciding
        if handler is not None:
            self._deciding = None
            self._early = b""
            handler.cancel(self.factory.clock)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cancelHook()
        super().connectionLost(reason)

    def _accept(self, head: RequestHead) -> tuple[WebSocketFrames, bytes]:
        """
        Accept the WebSocket handshake, and create the wrapped protocol.

        @return: the frame parser and the response.
        @raise HTTPAnswer: if the handshake is refused.
        """
        factory = self.factory
        extension, response = acceptUpgrade(
            head, compress=factory.compress, subprotocols=factory.subprotocols
        )
        if self.transport.changeType(WEBSOCKET):
            self.protocol = buildProtocol(factory.wrappedFactory, self.getPeer())
        if self.protocol is None:
            raise HTTPAnswer(503, NO_MORE)
        return WebSocketFrames(factory.maxFrame, extension), response

    def _openTimedOut(self) -> None:
        collector, self._collector = self._collector, None
        answer = HTTPAnswer(408, f"No request was received for {self.factory.openTimeout:g} s.")
        self._answer(answer, body=collector is None or not collector.isHEAD)

    def _answer(self, answer: HTTPAnswer, *, body: bool) -> None:
        """
        Answer a request that does not open a WebSocket, and close the connection.
        """
        self.transport.clientType = HTTP
        if answer.status in _SUCCESS:
            if self.factory.isDraining:
                answer = HTTPAnswer(503, DRAINING)
            self.log.debug(
                "{peer}: health check answered with {status}",
                peer=self.getPeer(),
                status=answer.status,
            )
        else:
            self.factory.refusedRequests += 1
            log = self.log.warn if answer.status in _TOO_MUCH else self.log.info
            if isinstance(answer, _Blocked):
                log = self.log.debug
            log(
                "{peer} refused: HTTP request answered with {status} {answer}",
                peer=describe(self.getPeer()),
                status=answer.status,
                answer=f"{answer.text} ({answer.remark})" if answer.remark else answer.text,
            )
        self.transport.write(answer.encode(body=body))
        self.closeWithin(self.factory.closeTimeout)

    @property
    def requestHeaders(self) -> dict[str, str]:
        """
        The header fields of the request, by lower-case name; repeated fields are joined
        with commas.

        To save memory, the header fields are available only until C{connectionMade} of the
        wrapped protocol returns. Copy the fields that are needed later.

        @raise RuntimeError: if the header fields are no longer available.
        """
        if self._head is None:
            raise RuntimeError("requestHeaders is only available during connectionMade")
        return self._head.headers


class WebSocketFactory(WrapperFactory[Any]):
    """
    Accepts WebSockets for a wrapped factory, whose protocols use a WebSocket like a TCP
    connection.

    Each parameter of the constructor is also an attribute.

    @ivar silences: timer of the WebSockets that wait for C{pingInterval}, see
        L{SharedTimer}.
    @ivar pongs: timer of the WebSockets that wait for C{pongTimeout}.
    @ivar hasExplainedText: whether the log explains text messages without a NUL byte.
    @ivar refusedRequests: number of HTTP requests answered with an error.
    @ivar isDraining: whether health checks are answered with 503.
    @ivar explainOrigin: called with an C{Origin} that C{origins} refuses; returns why, for the log
        (default: no function).
    """

    kind = "WebSocket"
    isDraining = False
    explainOrigin: Callable[[str | None], str] | None = None

    def __init__(
        self,
        wrappedFactory: AnyFactory,
        *,
        maxHead: int = MAX_HEAD,
        maxFrame: int = MAX_FRAME,
        openTimeout: float = _OPEN_TIMEOUT,
        closeTimeout: float = CLOSE_TIMEOUT,
        pingInterval: float = PING_INTERVAL,
        pongTimeout: float = _PONG_TIMEOUT,
        origins: Callable[[str | None], bool] | None = None,
        trustedProxies: Sequence[IPNetwork] = (),
        forwardedHeader: str | None = None,
        compress: bool = False,
        subprotocols: Sequence[str] = SUBPROTOCOLS,
        pingAnswered: Callable[[float], object] | None = None,
        accept: bool = True,
        allow: AllowHook | None = None,
        allowTimeout: float = ALLOW_TIMEOUT,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param maxHead: maximum length of a request head (bytes).
        @param maxFrame: maximum length of a text message, a fragment or a compressed
            message, both before and after decompression (bytes). Other messages have no
            limit: their payload is delivered as it is received.
        @param openTimeout: maximum time until the request head is complete (seconds).
        @param closeTimeout: maximum time until the peer answers a Close frame, and maximum
            time until the peer closes the connection after its own Close frame (seconds).
        @param pingInterval: time without received data until a ping is sent (seconds);
            0 for no pings.
        @param pongTimeout: maximum time until the peer answers a ping (seconds).
        @param origins: called with the C{Origin} header of a request, or with C{None} if the
            header is missing; returns whether the request is accepted. See
            L{openfl_twisted.wire.policy.origins.originsOf} (default: accept all).
        @param trustedProxies: networks of proxies whose C{X-Forwarded-For} or C{Forwarded}
            header is used. If a request contains both headers, both are ignored.
        @param forwardedHeader: name of the only header in which a trusted proxy sends the client's
            address, such as C{X-Real-IP} (default: C{X-Forwarded-For} or C{Forwarded}).
        @param compress: whether to compress messages for clients that offer compression.
            Compression costs CPU time, and memory for each connection.
        @param subprotocols: subprotocols to agree to, in order of preference (default: C{binary},
            which some libraries require). Clients that offer no subprotocol need none.
        @param pingAnswered: called with the round-trip time of each answered ping (seconds;
            default: no function).
        @param accept: whether to accept WebSockets (default C{True}). If C{False}, every
            request is answered with an error.
        @param allow: called with each handshake, as a L{WebSocketRequest}; returns whether to
            accept it, or an HTTP status, see L{AllowHook} (default: the method C{allow} of the
            wrapped factory or of its protocol class, if it has one).
        @param allowTimeout: maximum time until C{allow} has decided (seconds); then the request is
            answered with 503.
        @param clock: the clock (default: the global reactor).
        """
        super().__init__(wrappedFactory)
        self.maxHead = maxHead
        self.maxFrame = maxFrame
        self.openTimeout = openTimeout
        self.closeTimeout = closeTimeout
        self.pingInterval = pingInterval
        self.pongTimeout = pongTimeout
        self.origins = origins
        self.trustedProxies = tuple(trustedProxies)
        self.forwardedHeader = forwardedHeader
        self.compress = compress
        self.subprotocols = tuple(subprotocols)
        self.pingAnswered = pingAnswered
        self.accept = accept
        self.allow = allowHookOf(wrappedFactory) if allow is None else allow
        self.allowTimeout = allowTimeout
        self.refusedRequests = 0
        self.hasExplainedText = False
        self.clock = clockOrReactor(clock)
        self.silences = SharedTimer(self.clock, pingInterval, WebSocketTransport.checkSilence)
        self.pongs = SharedTimer(self.clock, pongTimeout, WebSocketTransport.checkPong)

    def buildProtocol(self, addr: IAddress | None) -> ConnectionWrapper:
        return ConnectionWrapper(WebSocketProtocol(self), self.clock)


def _addressOf(client: ForwardedAddress) -> IAddress:
    kind = IPv4Address if client.address.version == 4 else IPv6Address
    return kind("TCP", str(client.address), client.port)


def _shown(text: str | None) -> str:
    """
    Return the C{repr} of received text, shortened for a log line.
    """
    shown = ascii(text)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
