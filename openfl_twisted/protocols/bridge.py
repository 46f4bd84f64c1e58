"""
A bridge to a server that only speaks TCP: behind
L{OnePortFactory<openfl_twisted.protocols.oneport.OnePortFactory>} browsers
reach it too.

The server's bytes are cut into messages at their zero bytes, and each leaves in
one piece: a WebSocket carries it as one message, which is what OpenFL in a
browser needs.
"""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor, tookTooLong
from openfl_twisted.protocols.streamprotocol import POLICY_VIOLATION, StreamFactory, StreamProtocol
from openfl_twisted.transports.buffered import MAX_QUEUE
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.keepalive import keepAlive
from openfl_twisted.transports.wrapper import CLOSE_TIMEOUT
from openfl_twisted.wire.messages import END, MAX_LENGTH, MessageSplitter, receiveUpTo

CONNECT_TIMEOUT = 10.0
"""
How many seconds connecting to the server may take, if nobody says otherwise.
"""


BAD_GATEWAY = 1014
"""
The code of WebSocket for a server behind that does not answer as it should.
"""


class BridgeFraming(enum.Enum):
    """
    How what the server sends is cut.
    """

    XML = "xml"
    """
    At its zero bytes, as C{XMLSocket} does.
    """

    RAW = "raw"
    """
    Not at all: for programs that use C{Socket}.
    """


@dataclass(frozen=True)
class Target:
    """
    A server to which clients can be connected.

    @ivar name: how it is called in a path: C{chess} is C{/chess}.
    @ivar endpoint: how to get there.
    @ivar description: where that is, for people.
    @ivar framing: how what it sends is cut.
    """

    name: str
    endpoint: IStreamClientEndpoint
    description: str
    framing: BridgeFraming = BridgeFraming.XML


class BridgeProtocol(StreamProtocol):
    """
    The connection to a client; it opens one to the server.
    """

    factory: "BridgeFactory"
    _connecting: Deferred[Any] | None = None
    _backend: "BackendProtocol | None" = None
    _splitter: MessageSplitter | None = None
    # What came before there was a server; TLS gives what it has although it was asked to pause.
    _early = b""
    # The PROXY header; a connection that is lost does not know its addresses any more.
    _header = b""
    _gone = False

    def connectionMade(self) -> None:
        """
        Connect to the server; until then nothing is read from the client.
        """
        target = self.factory.targetFor(self.transport.requestPath)
        if target is None:
            self.log.warn(
                "{peer} disconnected: no target has the name in the request path {path}",
                peer=self.describePeer(),
                path=self.transport.requestPath,
            )
            self.closeWith(POLICY_VIOLATION, "unknown target")
            return
        if target.framing is BridgeFraming.XML:
            self._splitter = MessageSplitter(self.factory.maxMessage)
        if self.factory.proxyProtocol:
            self._header = proxyHeader(self.transport)
        self.transport.pauseProducing()
        connecting: Deferred[Any] = target.endpoint.connect(self.factory.backendFor(self))
        self._connecting = connecting
        if self.factory.connectTimeout:
            connecting.addTimeout(self.factory.connectTimeout, self.factory.clock, tookTooLong)
        connecting.addCallbacks(self._connected, self._refused, (target,), {}, (target,))

    def _connected(self, backend: "BackendProtocol", target: Target) -> None:
        self._connecting = None
        backend.transport.write(self._header)
        if self._gone:
            backend.transport.write(self._early)
            backend.close(self.factory.closeTimeout, self.factory.clock)
            return
        self._backend = backend
        self.log.info(
            "{peer} is connected to {target}", peer=self.describePeer(), target=target.description
        )
        # Whoever does not read makes the other side wait.
        self.transport.registerProducer(_Reader(backend.transport), True)
        backend.transport.registerProducer(_Reader(self.transport), True)
        early, self._early = self._early, b""
        backend.transport.write(early)
        self.transport.resumeProducing()

    def _refused(self, reason: Failure, target: Target) -> None:
        if self._connecting is None:
            # The client has gone, and nobody wants to know.
            return
        self._connecting = None
        # The client must not learn about the addresses and errors of the inner network.
        self.log.warn(
            "{peer} disconnected: cannot connect to {target}: {problem}",
            peer=self.describePeer(),
            target=target.description,
            problem=reason.getErrorMessage(),
        )
        self.closeWith(BAD_GATEWAY, "the server is not available")

    def bytesReceived(self, data: bytes) -> None:
        """
        Hand it to the server.
        """
        if self._backend is not None:
            self._backend.transport.write(data)
        else:
            self._early += data

    def backendReceived(self, data: bytes) -> None:
        """
        Hand on what the server has sent.

        @param data: the bytes, cut as the network cut them. With
            L{BridgeFraming.XML} a message leaves when its zero byte has come;
            after one that is too long the client is closed, with L{BAD_GATEWAY}.
        """
        splitter = self._splitter
        if splitter is None:
            self.transport.write(data)
            return
        messages, tooLong = receiveUpTo(splitter, data)
        for message in messages:
            self.transport.write(message + END)
        if tooLong is not None:
            splitter.clear()
            self.log.warn(
                "{peer} disconnected: the server sent a message that is too long: {problem}",
                peer=self.describePeer(),
                problem=tooLong,
            )
            self.closeWith(BAD_GATEWAY, "the server sent a message that is too long")

    def backendLost(self) -> None:
        """
        The server has gone: send what it has said, and close.
        """
        self._backend = None
        if self._splitter is not None and self._splitter.pending:
            self.transport.write(self._splitter.takeRest())
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The client has gone: so does its connection to the server.
        """
        # What is held is for the server, also if it is not connected yet.
        self.transport.paused = False
        super().connectionLost(reason)
        self._gone = True
        # Whoever has said something and gone wants the server to have it.
        if self._connecting is not None and not self._early:
            connecting, self._connecting = self._connecting, None
            connecting.cancel()
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.close(self.factory.closeTimeout, self.factory.clock)


@implementer(IPushProducer)
class _Reader:
    """
    What one side reads is what the other side gets: its producer. That it is not
    wanted any more is said by the protocols, which know what is still to be
    sent.
    """

    def __init__(self, transport: Connection) -> None:
        self.pauseProducing = transport.pauseProducing
        self.resumeProducing = transport.resumeProducing

    def stopProducing(self) -> None:
        """
        Do nothing.
        """


class BackendProtocol(StreamProtocol):
    """
    The connection to the server.
    """

    _closing: IDelayedCall | None = None

    def __init__(self, bridge: BridgeProtocol) -> None:
        """
        @param bridge: gets what the server sends, and hears of the end.
        """
        self._bridge = bridge

    def connectionMade(self) -> None:
        """
        Have the kernel find out if the server vanishes.
        """
        keepAlive(self.transport)

    def close(self, timeout: float, clock: IReactorTime) -> None:
        """
        Close the connection when the server has taken everything, or when that
        takes too long.

        @param timeout: how many seconds the server has for that; then the
            connection is aborted.
        @param clock: for the time.
        """
        self._closing = clock.callLater(timeout, self.transport.abortConnection)
        self.transport.loseConnection()

    def bytesReceived(self, data: bytes) -> None:
        """
        Hand it to the client.
        """
        self._bridge.backendReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the other side.
        """
        self.transport.paused = False
        super().connectionLost(reason)
        if self._closing is not None and self._closing.active():
            self._closing.cancel()
        self._bridge.backendLost()


class BridgeFactory(StreamFactory[BridgeProtocol]):
    """
    Connects clients to servers of a table. A client on plain TCP, and one whose
    path is C{/}, gets the first; another path names one of the others. Nobody
    gets anywhere else.
    """

    clock: IReactorTime

    def __init__(
        self,
        targets: Mapping[str, Target],
        *,
        connectTimeout: float = CONNECT_TIMEOUT,
        closeTimeout: float = CLOSE_TIMEOUT,
        proxyProtocol: bool = False,
        maxMessage: int = MAX_LENGTH,
        maxQueue: int = MAX_QUEUE,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param targets: the table: a target by its name. It has one at least.
        @param connectTimeout: maximum time to connect to a server (seconds); 0 for
            no limit.
        @param closeTimeout: how many seconds a server gets to take what a client
            said that has gone.
        @param proxyProtocol: whether the server is told the client's address, in
            the header of the PROXY protocol, version 1.
        @param maxMessage: maximum length of a message of a server whose stream is
            split at NUL bytes (bytes); 0 for no limit.
        @param maxQueue: how many bytes wait for a side that does not read, when
            the other has been asked to wait and has sent them already.
        @param clock: for the time; the reactor if there is none.
        """
        super().__init__(BridgeProtocol, maxQueue=maxQueue)
        self._targets = targets
        self.connectTimeout = connectTimeout
        self.closeTimeout = closeTimeout
        self.proxyProtocol = proxyProtocol
        self.maxMessage = maxMessage
        self.clock = clockOrReactor(clock)

    def targetFor(self, path: str) -> Target | None:
        """
        Look up a target.

        @param path: the path of a request, and what follows it.
        @return: the target; C{None} if there is none of this name.
        """
        name = path.partition("?")[0].strip("/")
        if not name:
            return next(iter(self._targets.values()))
        return self._targets.get(name)

    def backendFor(self, bridge: BridgeProtocol) -> Factory[BackendProtocol]:
        """
        Make the factory of one connection to a server.

        @param bridge: the connection to the client for whom it is.
        """
        return StreamFactory(lambda: BackendProtocol(bridge), **self.given)


def proxyHeader(transport: Any) -> bytes:
    """
    Encode the header that sends the address of a client to the server: the PROXY
    protocol, version 1.

    If one address is IPv4 and the other IPv6, as behind a proxy that forwards the
    addresses of its visitors, the IPv4 address is mapped to IPv6. A UNIX socket at
    which the client arrives is written as the unspecified address and port 0.

    @param transport: the connection to the client.
    @return: the line, with its CRLF; C{PROXY UNKNOWN} if the client has no IP
        address.
    """
    peer, host = transport.getPeer(), transport.getHost()
    if not isinstance(peer, IPv4Address | IPv6Address):
        return b"PROXY UNKNOWN\r\n"
    if not isinstance(host, IPv4Address | IPv6Address):
        host = IPv4Address("TCP", "0.0.0.0", 0)  # noqa: S104 - nothing listens here
    # The zone of a link-local address has no meaning on another machine.
    addresses = [each.host.partition("%")[0] for each in (peer, host)]
    family = "TCP4"
    if isinstance(peer, IPv6Address) or isinstance(host, IPv6Address):
        family = "TCP6"
        addresses = [each if ":" in each else f"::ffff:{each}" for each in addresses]
    return f"PROXY {family} {' '.join(addresses)} {peer.port} {host.port}\r\n".encode()
