"""
A WebSocket client: an endpoint that opens a WebSocket over the connection of another endpoint.

Each write is sent as one binary message. Received messages, text or binary, are delivered as a
byte stream.
"""

import secrets
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IDelayedCall,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidURI
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.typing import Origin
from websockets.uri import WebSocketURI, parse_uri
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.protocols.clientendpoints import clientEndpoint
from openfl_twisted.tls import Trust
from openfl_twisted.transports.layer import Layer
from openfl_twisted.wire.text import escape
from openfl_twisted.wire.websocket.frames import MAX_FRAME

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - the library was built without a C compiler
    from websockets.utils import apply_mask

CONNECT_TIMEOUT = 20.0
"""
Default maximum time of each step of a connection attempt (seconds).
"""

MAX_RESPONSE = 16 * 1024
"""
Maximum length of the head of the server's response (bytes).
"""

# The first byte of a message in one frame: FIN and the opcode.
_TEXT, _BINARY = 0x80 | Opcode.TEXT, 0x80 | Opcode.BINARY
_DATA_OPCODES = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)
_MASK = 0x80
_END_OF_HEAD = b"\r\n\r\n"

_T = TypeVar("_T")


def parseURL(text: str) -> WebSocketURI:
    """
    Parse a C{ws:} or C{wss:} URL.

    @raise ValueError: if the text is invalid.
    """
    try:
        # urlsplit checks the port, which the library does not.
        port = urlsplit(text).port
        uri = parse_uri(text)
    except (InvalidURI, ValueError) as problem:
        raise ValueError(f"{text!r} is not a WebSocket URL: {problem}") from None
    if port == 0:
        raise ValueError(f"{text!r}: the port must be from 1 to 65535")
    return uri


class HandshakeRefused(Exception):
    """
    The server has not accepted the WebSocket.
    """


class WebSocketClosed(ConnectionDone):
    """
    The server has closed the WebSocket with a Close frame. The text contains the close code.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def __str__(self) -> str:
        return self._text


@implementer(IStreamClientEndpoint)
class WebSocketEndpoint:
    """
    Opens WebSockets. For example, this endpoint connects a C{ClientService} to a server::

        WebSocketEndpoint.fromURL(reactor, "wss://game.example/chess")
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        uri: WebSocketURI,
        *,
        origin: str | None = None,
        timeout: float = CONNECT_TIMEOUT,
        clock: Any = None,
    ) -> None:
        """
        @param endpoint: connects to the server, with TLS for a C{wss:} URI.
        @param uri: the parsed URI.
        @param origin: the C{Origin} of the handshake, as browsers send it: the site of the page,
            such as C{"https://game.example"} (default: none).
        @param timeout: maximum time of the opening handshake (seconds).
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        """
        self._endpoint = endpoint
        self._uri = uri
        self._origin = origin
        self._timeout = timeout
        self._clock = clockOrReactor(clock)

    @classmethod
    def fromURL(
        cls,
        reactor: Any,
        url: str,
        *,
        origin: str | None = None,
        trust: Trust | None = None,
        timeout: float = CONNECT_TIMEOUT,
    ) -> Self:
        """
        Create the endpoint of a URL.

        @param reactor: an C{IReactorTCP}, C{IReactorPluggableNameResolver} and C{IReactorTime}
            provider.
        @param url: a C{ws:} or C{wss:} URL.
        @param origin: see L{__init__}.
        @param trust: the trust anchors for a C{wss:} URL (default: those of the system).
        @param timeout: maximum time of each step: to connect, for the TLS handshake, and for the
            opening handshake (seconds).
        @raise ValueError: if the URL is invalid.
        """
        uri = parseURL(url)
        used = (trust or Trust()) if uri.secure else None
        endpoint = clientEndpoint(reactor, uri.host, uri.port, timeout, used)
        return cls(endpoint, uri, origin=origin, timeout=timeout, clock=reactor)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Open a WebSocket.

        @return: fires with the protocol after the opening handshake; fails with
            L{HandshakeRefused}, or with the error from the wrapped endpoint. Cancel it to
            abort the connection attempt.
        """
        client = _WebSocketClient(
            self._uri, protocolFactory, self._origin, self._timeout, self._clock
        )
        factory = Factory.forProtocol(lambda: client)
        factory.noisy = False
        connecting = self._endpoint.connect(factory)

        def cancel(_: object) -> None:
            if client.transport is None:
                connecting.cancel()
            else:
                client.transport.abortConnection()

        client.outcome = Deferred(cancel)
        client.outcome.addBoth(client.stopTimer)
        connecting.addErrback(client.failed)
        return client.outcome


class _WebSocketClient(Layer):
    """
    The client side of a WebSocket: the transport of the wrapped protocol.
    """

    transport: Any = None
    outcome: Deferred[IProtocol]
    disconnecting = False

    def __init__(
        self,
        uri: WebSocketURI,
        factory: IProtocolFactory,
        origin: str | None,
        timeout: float,
        clock: IReactorTime,
    ) -> None:
        self._factory = factory
        self._timeout = timeout
        self._clock = clock
        self._timer: IDelayedCall | None = None
        sent = None if origin is None else Origin(origin)
        self._frames = ClientProtocol(uri, origin=sent, max_size=MAX_FRAME)
        self._inner: Any = None
        # The response, or an incomplete frame, and the length at which it must be examined again.
        self._held = bytearray()
        self._wanted = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    def failed(self, reason: Failure) -> None:
        """
        Report that the WebSocket was not opened.
        """
        if not self.outcome.called:
            self.outcome.errback(reason)

    def stopTimer(self, result: _T) -> _T:
        """
        Stop the timer of the opening handshake.

        @return: the argument.
        """
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        return result

    def _timedOut(self) -> None:
        text = f"the server has not answered within {self._timeout:g} seconds"
        self.failed(Failure(HandshakeRefused(text)))
        self.transport.abortConnection()

    # Called by the transport

    def connectionMade(self) -> None:
        self._frames.send_request(self._frames.connect())
        self._flush()
        self._timer = self._clock.callLater(self._timeout, self._timedOut)

    def dataReceived(self, data: bytes) -> None:
        self._held += data
        if self._inner is None:
            try:
                self._readResponse()
            except Exception:
                # Creating the wrapped protocol can raise any exception.
                self.failed(Failure())
                self.transport.abortConnection()
        if self._inner is not None and len(self._held) >= self._wanted:
            self._readFrames()

    def _readResponse(self) -> None:
        """
        Read the response if it is complete, and connect the wrapped protocol.

        @raise HandshakeRefused: if the WebSocket was not accepted.
        """
        end = self._held.find(_END_OF_HEAD, 0, MAX_RESPONSE)
        if end < 0:
            if len(self._held) >= MAX_RESPONSE:
                raise HandshakeRefused("the server's HTTP response is too long")
            return
        end += len(_END_OF_HEAD)
        head = bytes(self._held[:end])
        del self._held[:end]
        line = head.partition(b"\r\n")[0].decode("latin-1")
        if line[:12] != "HTTP/1.1 101":
            # The library would wait for the body.
            raise HandshakeRefused(f"the server has refused the WebSocket: {escape(line[:80])}")
        self._frames.receive_data(head)
        self._frames.events_received()
        if self._frames.handshake_exc is not None:
            reason = escape(str(self._frames.handshake_exc))
            raise HandshakeRefused(f"the server has refused the WebSocket: {reason}")
        if self.outcome.called:
            self.transport.abortConnection()
            return
        self._inner = self._factory.buildProtocol(self.transport.getPeer())
        self._inner.makeConnection(self)
        self.outcome.callback(self._inner)

    def _readFrames(self) -> None:
        held, self._held = bytes(self._held), bytearray()
        at, end, wanted = 0, len(held), 2
        payloads: list[bytes] = []
        while end - at >= 2:
            start, length = at + 2, held[at + 1]
            if 126 <= length < _MASK:
                size = 2 if length == 126 else 8
                start += size
                if start > end:
                    wanted = start - at
                    break
                length = int.from_bytes(held[at + 2 : start])
            elif length >= _MASK:
                # The library rejects a masked frame before it reads the payload.
                start, length = end, 0
            if length > MAX_FRAME:
                self._deliver(payloads)
                self._frames.fail(CloseCode.MESSAGE_TOO_BIG)
                self._flush()
                self._end()
                return
            stop = start + length
            if stop > end:
                wanted = stop - at
                break
            if held[at] in (_BINARY, _TEXT) and held[at + 1] < _MASK:
                payloads.append(held[start:stop])
            else:
                self._deliver(payloads)
                payloads = []
                self._readOther(held[at:stop])
            at = stop
        self._deliver(payloads)
        self._held, self._wanted = bytearray(held[at:]), wanted

    def _readOther(self, frame: bytes) -> None:
        """
        Read a frame that is not a message.
        """
        frames = self._frames
        frames.receive_data(frame)
        for event in frames.events_received():
            if isinstance(event, Frame) and event.opcode in _DATA_OPCODES:
                self._deliver([bytes(event.data)])
        self._flush()
        if frames.close_rcvd is not None or frames.parser_exc is not None:
            self._end()

    def _end(self) -> None:
        """
        Close the connection after the closing handshake or an error.
        """
        self.disconnecting = True
        self.transport.loseConnection()

    def _deliver(self, payloads: list[bytes]) -> None:
        data = b"".join(payloads)
        if data and not self.disconnecting:
            self._inner.dataReceived(data)

    def _flush(self) -> None:
        """
        Send the frames that the library has created.
        """
        self.transport.write(b"".join(self._frames.data_to_send()))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._inner is None:
            self.failed(Failure(HandshakeRefused("the server closed the connection")))
            return
        close = self._frames.close_rcvd
        if close is not None and reason.check(ConnectionDone):
            text = f" ({escape(close.reason)})" if close.reason else ""
            reason = Failure(WebSocketClosed(f"WebSocket close code {int(close.code)}{text}"))
        self._inner.connectionLost(reason)

    # Called by the wrapped protocol

    def write(self, data: bytes) -> None:
        """
        Send bytes as one message.
        """
        if self.disconnecting or not data:
            return
        length, mask = len(data), secrets.token_bytes(4)
        if length < 126:
            header = bytes((_BINARY, _MASK | length))
        elif length < 1 << 16:
            header = bytes((_BINARY, _MASK | 126)) + length.to_bytes(2)
        else:
            header = bytes((_BINARY, _MASK | 127)) + length.to_bytes(8)
        self.transport.write(header + mask + apply_mask(data, mask))

    def loseConnection(self) -> None:
        """
        Send a Close frame. The server then closes the connection.
        """
        if not self.disconnecting and self._frames.state is State.OPEN:
            self.disconnecting = True
            self._frames.send_close(CloseCode.NORMAL_CLOSURE)
            self._flush()

    def abortConnection(self) -> None:
        """
        Close the connection immediately, without a Close frame.
        """
        self.disconnecting = True
        self.transport.abortConnection()
