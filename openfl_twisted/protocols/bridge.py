"""
A bridge to a TCP server. With
L{OnePortFactory<openfl_twisted.protocols.oneport.OnePortFactory>}, browsers can reach
the server through WebSockets.

The stream from the server is split into messages, at NUL bytes by default. Each message is sent to
a browser as one WebSocket message, because OpenFL in a browser requires this.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor, tookTooLong
from openfl_twisted.protocols.gateway import Gateway, NotPermitted
from openfl_twisted.protocols.streamprotocol import POLICY_VIOLATION, StreamFactory, StreamProtocol
from openfl_twisted.transports.buffered import MAX_QUEUE
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.keepalive import keepAlive
from openfl_twisted.transports.wrapper import CLOSE_TIMEOUT
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.framing import NUL, RAW, FrameSplitter, Framing
from openfl_twisted.wire.messages import MAX_LENGTH, receiveUpTo

CONNECT_TIMEOUT = 10.0
"""
Default maximum time to connect to the server (seconds).
"""


HINT_TIME = 1.0
"""
Time without a NUL byte from the server until the log suggests another framing (seconds).
"""

# The WebSocket close code for a server that cannot be reached.
_BAD_GATEWAY = 1014


@dataclass(frozen=True)
class Target:
    """
    A server to which clients can be connected.

    @ivar name: the name of the server in the request path: C{chess} for C{/chess}.
    @ivar endpoint: the endpoint of the server.
    @ivar description: the endpoint, as text.
    @ivar framing: how the stream from the server is split.
    """

    name: str
    endpoint: IStreamClientEndpoint
    description: str
    framing: Framing = NUL


class _BridgeProtocol(StreamProtocol):
    """
    The connection to a client. It opens a connection to a server and forwards data in both
    directions.
    """

    factory: "BridgeFactory"
    _target: Target
    _connecting: Deferred[Any] | None = None
    _backend: "_BackendProtocol | None" = None
    _splitter: FrameSplitter | None = None
    # Warns of a server that sends no NUL byte. It is cancelled at the first one.
    _hint: IDelayedCall | None = None
    _hasMessages = False
    # Data received before the server is connected: TLS can deliver data even while reading is
    # paused.
    _early = b""
    # The PROXY header. It is stored because the addresses are unknown after the connection is lost.
    _header = b""
    _isLost = False

    def connectionMade(self) -> None:
        """
        Connect to the server. Reading from the client is paused until the server is connected.
        """
        target = self.factory.targetFor(self.transport.requestPath, self.transport.getPeer())
        if target is None:
            self.log.warn(
                "{peer} disconnected: no target has the name in the request path {path}",
                peer=self.describePeer(),
                path=f"{self.transport.requestPath:.200}",
            )
            self.closeWith(POLICY_VIOLATION, "unknown target")
            return
        self._target = target
        self._splitter = FrameSplitter(target.framing, self.factory.maxMessage)
        self._hasMessages = target.framing is not NUL
        self.transport.frameTexts(target.framing)
        if self.factory.proxyProtocol:
            self._header = _proxyHeader(self.transport)
        self.transport.pauseProducing()
        connecting: Deferred[Any] = target.endpoint.connect(
            StreamFactory(lambda: _BackendProtocol(self), **self.factory.given)
        )
        self._connecting = connecting
        if self.factory.connectTimeout:
            connecting.addTimeout(self.factory.connectTimeout, self.factory.clock, tookTooLong)
        connecting.addCallbacks(self._connected, self._refused, (target,), {}, (target,))

    def _connected(self, backend: "_BackendProtocol", target: Target) -> None:
        self._connecting = None
        backend.transport.write(self._header)
        if self._isLost:
            backend.transport.write(self._early)
            backend.close(self.factory.closeTimeout, self.factory.clock)
            return
        self._backend = backend
        self.log.info(
            "{peer} connected to {target}", peer=self.describePeer(), target=target.description
        )
        # Backpressure: pause reading from the client while the server does not read, and
        # conversely.
        self.transport.registerProducer(_Reader(backend.transport), True)
        backend.transport.registerProducer(_Reader(self.transport), True)
        early, self._early = self._early, b""
        backend.transport.write(early)
        self.transport.resumeProducing()

    def _refused(self, reason: Failure, target: Target) -> None:
        if self._connecting is None:
            # The client has disconnected.
            return
        self._connecting = None
        problem = reason.value
        if isinstance(problem, NotPermitted):
            self.log.warn(
                "{peer} disconnected: {problem}: {why}",
                peer=self.describePeer(),
                problem=problem,
                why=problem.reason,
            )
            self.closeWith(POLICY_VIOLATION, str(problem))
            return
        # Do not disclose addresses or errors from the internal network to the client.
        self.log.warn(
            "{peer} disconnected: cannot connect to {target}: {problem}",
            peer=self.describePeer(),
            target=target.description,
            problem=reason.getErrorMessage(),
        )
        self.closeWith(_BAD_GATEWAY, "the server is not available")

    def bytesReceived(self, data: bytes) -> None:
        if self._backend is not None:
            self._backend.transport.write(data)
        else:
            self._early += data

    def backendReceived(self, data: bytes) -> None:
        """
        Forward data from the server to the client.

        @param data: a chunk of the stream, of any length. Only complete messages are forwarded.
            A message that is too long closes the connection.
        """
        if self._target.framing is RAW:
            self.transport.write(data)
            return
        splitter = self._splitter
        if splitter is None:
            return
        messages, tooLong = receiveUpTo(splitter, data)
        if messages:
            self.transport.writeMessages(messages)
        if not self._hasMessages:
            self._watchNUL(bool(messages))
        if tooLong is not None:
            self._splitter = None
            self.log.warn(
                "{peer} disconnected: the server sent a message that is too long: {problem}",
                peer=self.describePeer(),
                problem=tooLong,
            )
            self.closeWith(_BAD_GATEWAY, "the server sent a message that is too long")

    def _watchNUL(self, isFound: bool) -> None:
        """
        Warn of a server that sends data without NUL bytes: nothing of it reaches the client.

        @param isFound: whether the server has sent a NUL byte.
        """
        if isFound:
            self._hasMessages = True
            self._cancelHint()
        elif self._hint is None:
            self._hint = self.factory.clock.callLater(HINT_TIME, self._warnOfFraming)

    def _cancelHint(self) -> None:
        hint, self._hint = self._hint, None
        if hint is not None and hint.active():
            hint.cancel()

    def _warnOfFraming(self) -> None:
        if self._splitter is None or self.factory.hasHinted:
            return
        self.factory.hasHinted = True
        self.log.warn(
            "{target} has sent {count} bytes without a NUL byte, so the client has received"
            " nothing; if the program uses Socket instead of XMLSocket, use --framing raw",
            target=self._target.description,
            count=self._splitter.pending,
        )

    def backendLost(self) -> None:
        """
        Called when the connection to the server is lost. Forwards the remaining data from the
        server, and closes the connection to the client.
        """
        self._backend = None
        self._cancelHint()
        if self._splitter is not None and self._splitter.pending:
            self.transport.write(self._splitter.takeRest())
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Close the connection to the server.
        """
        # Deliver held data: it must be sent to the server, even if the server is not connected yet.
        self.transport.paused = False
        super().connectionLost(reason)
        self._isLost = True
        self._cancelHint()
        # If the client has sent data, stay connecting: the data is sent to the server although the
        # client has disconnected.
        if self._connecting is not None and not self._early:
            connecting, self._connecting = self._connecting, None
            connecting.cancel()
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close(self.factory.closeTimeout, self.factory.clock)


@implementer(IPushProducer)
class _Reader:
    """
    A producer that is registered with one connection of the bridge, and pauses reading from
    the other connection. Stopping the producer does nothing, because the protocols close the
    connections when all data is sent.
    """

    def __init__(self, transport: Connection) -> None:
        self.pauseProducing = transport.pauseProducing
        self.resumeProducing = transport.resumeProducing

    def stopProducing(self) -> None:
        """
        Do nothing.
        """


class _BackendProtocol(StreamProtocol):
    """
    The connection to the server.
    """

    _closing: IDelayedCall | None = None

    def __init__(self, bridge: _BridgeProtocol) -> None:
        """
        @param bridge: receives the data from the server, and is notified when the connection
            to the server is lost.
        """
        self._bridge = bridge

    def connectionMade(self) -> None:
        """
        Enable TCP keepalive, to detect a server that has vanished.
        """
        keepAlive(self.transport)

    def close(self, timeout: float, clock: IReactorTime) -> None:
        """
        Close the connection when the send queue is empty.

        @param timeout: maximum time to close gracefully (seconds); then the connection
            is aborted.
        """
        self._closing = clock.callLater(timeout, self.transport.abortConnection)
        self.transport.loseConnection()

    def bytesReceived(self, data: bytes) -> None:
        self._bridge.backendReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport.paused = False
        super().connectionLost(reason)
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._bridge.backendLost()


class BridgeFactory(StreamFactory[_BridgeProtocol]):
    """
    Connects each client to one of several servers. The request path selects a server by name.
    A plain TCP client, or a client with the path C{/}, is connected to the first server. A
    client with an unknown name is refused.

    @ivar hasHinted: whether the log has suggested another framing.
    """

    clock: IReactorTime

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        connectTimeout: float = CONNECT_TIMEOUT,
        closeTimeout: float = CLOSE_TIMEOUT,
        proxyProtocol: bool = False,
        gateway: Gateway | None = None,
        maxMessage: int = MAX_LENGTH,
        maxQueue: int = MAX_QUEUE,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param targets: the targets, by name. The first is the default.
        @param connectTimeout: maximum time to connect to a server (seconds); 0 for no
            limit.
        @param closeTimeout: maximum time to send the remaining data from a disconnected client
            to the server (seconds).
        @param proxyProtocol: whether to send the client's address to the server in a
            PROXY protocol header, version 1.
        @param gateway: connects clients to servers that they name (default: only the targets).
        @param maxMessage: maximum length of a message from a server (bytes); 0 for no limit.
        @param maxQueue: maximum length of the send queue of each connection (bytes).
        @param clock: the clock (default: the global reactor).
        """
        super().__init__(_BridgeProtocol, maxQueue=maxQueue)
        self._targets = targets
        self.connectTimeout = connectTimeout
        self.closeTimeout = closeTimeout
        self.proxyProtocol = proxyProtocol
        self.maxMessage = maxMessage
        self.gateway = gateway
        self.hasHinted = False
        self.clock = clockOrReactor(clock)

    def targetFor(self, path: str, peer: IAddress) -> Target | None:
        """
        Return the target for a request path.

        @param path: the path including the query.
        @param peer: the address of the client.
        @return: the target; C{None} for an unknown name.
        """
        if self.gateway is not None:
            endpoint = self.gateway.endpointFor(path, peer)
            if endpoint is not None:
                return Target("", endpoint, f"tcp:{endpoint.server}", self.gateway.framing)
        name = path.partition("?")[0].strip("/")
        if not name:
            return next(iter(self._targets.values()), None)
        return self._targets.get(name)


def _proxyHeader(transport: Any) -> bytes:
    """
    Encode the PROXY protocol header (version 1) that contains the address of a client.

    Client and server address can be of different IP versions, for example behind a proxy that
    forwards client addresses. The IPv4 address is then mapped to IPv6. A UNIX socket is
    encoded as the unspecified address and port 0.

    @param transport: the connection to the client.
    @return: the header with its CRLF; C{PROXY UNKNOWN} for a client without an IP
        address.
    """
    peer, host = transport.getPeer(), transport.getHost()
    if not isinstance(peer, IPv4Address | IPv6Address):
        return b"PROXY UNKNOWN\r\n"
    if not isinstance(host, IPv4Address | IPv6Address):
        host = IPv4Address("TCP", "0.0.0.0", 0)  # noqa: S104 - not an address to listen on
    # The zone of a link-local address has no meaning on another machine.
    addresses = [each.host.partition("%")[0] for each in (peer, host)]
    family = "TCP4"
    if isinstance(peer, IPv6Address) or isinstance(host, IPv6Address):
        family = "TCP6"
        addresses = [each if ":" in each else f"::ffff:{each}" for each in addresses]
    return f"PROXY {family} {' '.join(addresses)} {peer.port} {host.port}\r\n".encode()
