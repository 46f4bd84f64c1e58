"""
WebSockets, for OpenFL in a browser and for Ruffle on the web, in front of any
other protocol.

Each write is one binary message: OpenFL in a browser loses what stands behind
the first zero byte of a message, and Ruffle takes no text. What comes, in
messages of either kind, is a stream of bytes.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IProtocolFactory,
    IReactorTime,
    ITransport,
)

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.transports.sharedtimer import SharedTimer
from openfl_twisted.transports.websocket import WebSocketTransport
from openfl_twisted.transports.wrapper import ConnectionWrapper, WrapperFactory
from openfl_twisted.wire.forwarded import IPNetwork, clientOf
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

OPEN_TIMEOUT = 10.0
"""
How long the head of a request may take to arrive, in seconds.
"""

CLOSE_TIMEOUT = 5.0
"""
How long the peer may take to answer a Close, in seconds.
"""

PING_INTERVAL = 30.0
"""
After so many seconds without a byte from the peer it is sent a ping.
"""

PONG_TIMEOUT = 20.0
"""
How long the peer may take to answer a ping, in seconds.
"""

# So many characters of what comes are shown to people.
_MAX_SHOWN = 200

_SUCCESS = range(200, 300)
_TOO_MUCH = frozenset((408, 431))


class WebSocketProtocol(WebSocketTransport):
    """
    One connection; made by L{WebSocketFactory}.

    To the wrapped protocol this is its transport. It is connected when the
    handshake is done. Its C{connectionMade} and C{connectionLost} are called
    once each, or never, if there was no handshake.

    @ivar requestPath: the path of the request, with its query: C{/path?query}.
    """

    __slots__ = ("_collector", "_head")

    factory: "WebSocketFactory"
    requestPath = "/"
    _otherwise: Callable[[bytes], object] | None = None

    def __init__(
        self, factory: "WebSocketFactory", otherwise: Callable[[bytes], object] | None = None
    ) -> None:
        """
        @param factory: has the settings.
        @param otherwise: called with all the bytes that have come if they ask
            for no WebSocket, instead of an answer that says so. The transport
            is then free, and this protocol does nothing more.
        """
        super().__init__(factory)
        self.factory = factory
        self._collector: HeadCollector | None = None
        # The request, until the protocol has looked at it.
        self._head: RequestHead | None = None
        if otherwise is not None:
            self._otherwise = otherwise

    def logPrefix(self) -> str:
        """
        Name the wrapped factory too.
        """
        return self.factory.logPrefix()

    def makeConnection(self, transport: ITransport) -> None:
        """
        Give the request its time.
        """
        super().makeConnection(transport)
        self._collector = HeadCollector(self.factory.maxHead)
        self.startTimer(self.factory.openTimeout, self._openTimedOut)

    def requestReceived(self, data: bytes) -> None:
        """
        Collect the head of the request.
        """
        collector = cast("HeadCollector", self._collector)
        try:
            complete = collector.receive(data)
            if complete is None:
                return
            raw, rest = complete
            head = parseHead(raw)
            checkUpgrade(head)
            frames, response = self._accept(head)
        except HTTPAnswer as answer:
            self._collector = None
            if self._otherwise is None or not isinstance(answer, OtherRequest):
                self._answer(answer, body=not collector.isHEAD)
            else:
                self._ended = True
                self.stopTimer()
                self._otherwise(bytes(collector.received))
        else:
            self._collector = None
            self._head = head
            if head.path != "/":
                self.requestPath = head.path
            try:
                self.begin(frames, response, rest)
            finally:
                self._head = None

    def _accept(self, head: RequestHead) -> tuple[WebSocketFrames, bytes]:
        """
        Accept the WebSocket handshake, and make the wrapped protocol.

        @return: the WebSocket and the answer.
        @raise HTTPAnswer: if the handshake is refused.
        """
        factory = self.factory
        self._peer = self._behindProxy(head)
        origin = head.headers.get("origin")
        if not factory.accept:
            raise HTTPAnswer(403, "This port does not accept WebSocket connections.")
        if factory.origins is not None and not factory.origins(origin):
            raise HTTPAnswer(403, f"The origin {_shown(origin)} may not connect.")
        extension, response = acceptUpgrade(
            head, compress=factory.compress, subprotocols=factory.subprotocols
        )
        self.protocol = factory.wrappedFactory.buildProtocol(self.getPeer())
        if self.protocol is None:
            raise HTTPAnswer(503, "There is no room for another connection.")
        return WebSocketFrames(factory.maxFrame, extension), response

    def _behindProxy(self, head: RequestHead) -> IAddress | None:
        """
        Find out who is behind a trusted proxy.
        """
        peer = self.transport.getPeer()
        if not isinstance(peer, IPv4Address | IPv6Address):
            return None
        client = clientOf(head.headers, peer.host, self.factory.trustedProxies)
        if client is None:
            return None
        kind = IPv4Address if client.address.version == 4 else IPv6Address
        return kind("TCP", str(client.address), client.port)

    def _openTimedOut(self) -> None:
        collector, self._collector = self._collector, None
        answer = HTTPAnswer(408, f"No request was received for {self.factory.openTimeout:g} s.")
        self._answer(answer, body=collector is None or not collector.isHEAD)

    def _answer(self, answer: HTTPAnswer, *, body: bool) -> None:
        """
        Answer a request that opens no WebSocket, and close the connection.
        """
        if answer.status in _SUCCESS:
            self.log.debug("{peer} got an answer to a health check", peer=describe(self.getPeer()))
        else:
            self.factory.refusedRequests += 1
            log = self.log.warn if answer.status in _TOO_MUCH else self.log.info
            log(
                "{peer} sent an HTTP request that was refused: {status} {text}",
                peer=describe(self.getPeer()),
                status=answer.status,
                text=answer.text,
            )
        self.transport.write(answer.encode(body=body))
        self.closeWithin(self.factory.closeTimeout)

    @property
    def requestHeaders(self) -> dict[str, str]:
        """
        The header fields of the request: names in small letters; the values of
        several with one name are joined with commas.

        They are there until the C{connectionMade} of the protocol has returned,
        which can keep what it needs: few need any, and a browser sends more
        than all else that is held for an idle connection.

        @raise RuntimeError: if they are there no more.
        """
        if self._head is None:
            raise RuntimeError("the header fields are only there during connectionMade")
        return self._head.headers


class WebSocketFactory(WrapperFactory[Any]):
    """
    Puts WebSockets in front of another factory, whose protocols need not know.

    The parameters of its constructor are its attributes.

    @ivar silences: the open WebSockets from which nothing has come since they
        were looked at last, see L{SharedTimer}.
    @ivar pongs: those that were sent a ping and have not answered.
    @ivar refusedRequests: number of HTTP requests that were answered with an
        error.
    """

    kind = "WebSocket"

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        *,
        maxHead: int = MAX_HEAD,
        maxFrame: int = MAX_FRAME,
        openTimeout: float = OPEN_TIMEOUT,
        closeTimeout: float = CLOSE_TIMEOUT,
        pingInterval: float = PING_INTERVAL,
        pongTimeout: float = PONG_TIMEOUT,
        origins: Callable[[str | None], bool] | None = None,
        trustedProxies: Sequence[IPNetwork] = (),
        compress: bool = False,
        subprotocols: Sequence[str] = (),
        accept: bool = True,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param wrappedFactory: the factory for what is inside.
        @param maxHead: the longest head of a request, in bytes.
        @param maxFrame: maximum length of a text frame, a fragment or a compressed
            message, also after it has been inflated (bytes). Other messages have
            no limit: the wrapped protocol receives their payload as it arrives,
            as from TCP.
        @param openTimeout: how long the head may take to arrive, in seconds.
        @param closeTimeout: how long the peer may take to answer a Close, in
            seconds; and after its own, to let the connection end.
        @param pingInterval: after how many seconds of silence a ping is sent;
            0 for none.
        @param pongTimeout: how many seconds a silent peer then has.
        @param origins: decides about the header C{Origin} of a request, which
            is C{None} if there is none; see
            L{openfl_twisted.wire.policy.origins.originsOf}. Without it everybody may
            connect.
        @param trustedProxies: whose C{X-Forwarded-For} or C{Forwarded} is
            believed; if there are both, neither is.
        @param compress: whether messages are compressed for those who offer it.
            That costs time, and memory for each connection.
        @param subprotocols: which subprotocols to agree to if they are offered,
            the best first.
        @param accept: whether to accept WebSockets (default C{True}). If not,
            every request is answered, and no WebSocket is opened.
        @param clock: for the times; the reactor if there is none.
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
        self.compress = compress
        self.subprotocols = tuple(subprotocols)
        self.accept = accept
        self.refusedRequests = 0
        self.clock = clockOrReactor(clock)
        self.silences = SharedTimer(self.clock, pingInterval, WebSocketTransport.checkSilence)
        self.pongs = SharedTimer(self.clock, pongTimeout, WebSocketTransport.checkPong)

    def buildProtocol(self, addr: IAddress | None) -> ConnectionWrapper:
        """
        Make the WebSocket for a connection. The wrapped factory makes a protocol after
        the opening handshake.
        """
        return ConnectionWrapper(WebSocketProtocol(self), self.clock)


def _shown(text: str | None) -> str:
    """
    Write what has come as it is written in programs, and not all of it if it is
    long.
    """
    shown = ascii(text)
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
