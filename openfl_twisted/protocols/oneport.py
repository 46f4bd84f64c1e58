"""
Protocol detection: all client types on one port, for any wrapped protocol. The first bytes
from the client determine the client type:

  - Policy requests are answered.
  - A WebSocket handshake opens a WebSocket, which the wrapped protocol uses like a TCP
    connection.
  - Any other HTTP request is served by a separate factory, such as a C{Site} of
    C{twisted.web}. Without this factory, the request is refused with an answer.
  - A TLS handshake starts TLS. Inside TLS, detection begins again.
  - TLS on a port without a certificate, and PROXY headers, are refused.
  - All other bytes are delivered to the wrapped protocol.

The wrapped protocol is connected when the client type is known. It is also connected after a
short time without data (C{greetingDelay}), so that a server that sends first can greet a
waiting client. Detection then continues until the first bytes exclude every signature, for at
most 10 seconds. A client that sends late is still served according to its type, unless the
wrapped protocol has already written data.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import portOf
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import buildProtocol, packageLogger
from openfl_twisted.overrides import startMethod
from openfl_twisted.protocols.allowing import allowHookOf
from openfl_twisted.protocols.foreign import REASONS, refuse
from openfl_twisted.protocols.policyfile import (
    PolicySource,
    answerRequest,
    checkPolicy,
    firstAnswer,
    policyFor,
)
from openfl_twisted.protocols.websocket import NO_MORE, WebSocketFactory, WebSocketProtocol
from openfl_twisted.tls.connection import ServerTLSFactory
from openfl_twisted.transports.acceptanswer import IAcceptAnswer
from openfl_twisted.transports.closed import ClosedTransport
from openfl_twisted.transports.connectioninfo import HTTP, PLAIN, POLICY, UNDETECTED
from openfl_twisted.transports.detection import DetectionProtocol
from openfl_twisted.transports.detectiontimer import DetectionTimer
from openfl_twisted.transports.limits import checkLimit
from openfl_twisted.transports.wrapper import ConnectionWrapper, WrapperFactory
from openfl_twisted.types import AnyClock, AnyFactory
from openfl_twisted.wire.firstbytes import (
    ALL_TYPES,
    FOREIGN,
    ClientType,
    Signature,
    isPartial,
    recognize,
)
from openfl_twisted.wire.httprequest import HTTPAnswer
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.origins import explainOrigin, originsOf
from openfl_twisted.wire.policy.request import isRequest

GREETING_DELAY = 0.5
"""
Default time without data after which the application may send first: 0.5 seconds.
"""

MAX_BODY = 1024 * 1024
"""
Default maximum length of the body of an HTTP request: 1 MiB.
"""

_MAX_UNDETECTED = 5000
"""
Default maximum number of clients whose type is not detected.
"""


@implementer(IHandshakeListener)
class _OnePortProtocol(DetectionProtocol):
    """
    Detects the client type of one connection, and passes the connection to the protocol for
    this client type. Inside TLS, another instance detects the client type again.
    """

    factory: "OnePortFactory"

    __slots__ = ("_detectionTimer", "_inTLS", "_isCounted")

    def __init__(self, factory: "OnePortFactory", *, inTLS: bool = False) -> None:
        """
        @param factory: provides the settings and the counters.
        @param inTLS: whether the transport is TLS.
        """
        super().__init__(factory)
        self._detectionTimer: DetectionTimer | None = None
        # Whether the factory counts this client in "undetected".
        self._isCounted = False
        self._inTLS = inTLS

    def connectionMade(self) -> None:
        self.transport.clientType = UNDETECTED
        if not self._inTLS:
            self._begin()

    def handshakeCompleted(self) -> None:
        """
        Start the detection inside TLS.
        """
        self._begin()

    def _begin(self) -> None:
        if 0 < self.factory.maxUndetected <= self.factory.undetected:
            self.factory.refuse(self.transport.getPeer())
            self.decided = True
            self.transport.abortConnection()
            return
        self._isCounted = True
        self.factory.undetected += 1
        self._expectMore()

    def _endDetection(self) -> None:
        """
        Stop the timer, and tell the factory that the client type is detected.
        """
        if self._detectionTimer is not None:
            self._detectionTimer.cancel()
            self._detectionTimer = None
        if self._isCounted:
            self._isCounted = False
            self.factory.decided()

    def _expectMore(self) -> None:
        """
        Restart the timer. A client that has received a greeting can still request the policy
        file before the timeout.
        """
        if self._detectionTimer is None:
            self._detectionTimer = DetectionTimer(self.factory.clock, self.factory.greetingDelay)
        self._detectionTimer.expectMore(partial(self.callOrAbort, self._timedOut))

    # Detecting

    def inspect(self) -> None:
        match recognize(self.received, self.factory.signatures):
            case Signature.POLICY:
                self._answer()
            case Signature.TLS if ClientType.TLS not in self.factory.accept or self._inTLS:
                self._refuse(Signature.TLS)
            case Signature.PROXY:
                self._refuse(Signature.PROXY)
            case Signature.HTTP if self.factory.requiresTLS and not self._inTLS:
                self._refuse(Signature.HTTP)
            case Signature.NONE:
                self._switchToWrapped()
            case None:
                self._expectMore()
            case signature:
                self._switchTo(signature)

    def inspectAtEOF(self) -> bool:
        if isRequest(self.received):
            self._answer()
            return False
        if self._isPartialRequest():
            self._refuse(Signature.HTTP)
            return False
        self._switchToWrapped()
        return True

    def _isPartialRequest(self) -> bool:
        """
        Check whether the first bytes are an incomplete HTTP request, on a port that
        refuses requests.
        """
        return Signature.HTTP in self.factory.refused and isPartial(self.received)

    def _timedOut(self) -> None:
        """
        Called after C{greetingDelay}, and again when the detection timeout expires. First
        bytes that match part of a signature are held until the detection timeout, because
        they could continue as an HTTP request, a TLS handshake or a PROXY header.
        """
        if self.transport.disconnecting:
            self._endDetection()
        elif isRequest(self.received):
            # Some clients never send the NUL byte of the policy request.
            self._answer()
        elif not self.received and self._acceptsPlain:
            self._announce(PLAIN)
            self._connect()
        elif self._waitForDeadline():
            pass
        elif self._isPartialRequest():
            self._refuse(Signature.HTTP)
        else:
            if self.received:
                self.factory.log.info(
                    "{peer}: protocol detection timed out after an incomplete request; "
                    "treating it as a plain client",
                    peer=self.transport.getPeer(),
                )
            self._switchToWrapped()

    @property
    def _acceptsPlain(self) -> bool:
        """
        Whether a plain client is accepted. Inside TLS, a port that requires TLS accepts plain
        clients even if C{accept} contains C{tls} only.
        """
        factory = self.factory
        if factory.requiresTLS and not self._inTLS:
            return False
        return ClientType.PLAIN in factory.accept or factory.onlyTLS

    def _waitForDeadline(self) -> bool:
        """
        Set the timer to the detection timeout instead of C{greetingDelay}, which can be 0.

        @return: C{False} if the detection timeout has already expired.
        """
        if self._detectionTimer is None or self._detectionTimer.isExpired:
            return False
        self._detectionTimer.waitForDeadline(partial(self.callOrAbort, self._timedOut))
        return True

    def _answer(self) -> None:
        """
        Answer the client's policy request, and close the connection.
        """
        self._endDetection()
        self.decided = True
        connection = self.transport
        if connection.clientType == UNDETECTED:
            connection.clientType = POLICY
        self._announce()
        self.received = b""
        self._disconnectWrapped()
        if answerRequest(connection, self.factory.policy, self.factory.log):
            self.factory.answered += 1
        else:
            self.factory.unanswered += 1

    def _announce(self, clientType: str | None = None) -> None:
        """
        Log the connection before the log contains what happens to it.

        @param clientType: the client type, if it was just detected.
        """
        guard = self.transport.nearestGuard
        if guard is not None:
            guard.announce(clientType)

    def _refuse(self, signature: Signature) -> None:
        """
        Refuse a client that uses another protocol.
        """
        self._announce()
        self._endDetection()
        self.decided = True
        self.received = b""
        self.factory.countRefused(signature)
        reason = REASONS[signature]
        if signature is Signature.HTTP:
            reason = "client sent a late or incomplete HTTP request"
            if self.factory.requiresTLS and not self._inTLS:
                reason = "client sent an HTTP request without TLS, which this port requires"
        elif signature is Signature.TLS and self._inTLS:
            reason = "client sent a TLS handshake inside TLS"
        elif signature is Signature.TLS and self.factory.hasTLS:
            reason = "client sent a TLS handshake, but this port does not accept TLS"
        self._disconnectWrapped()
        refuse(self.transport, signature, reason, self.factory.log)

    def _switchTo(self, signature: Signature) -> None:
        """
        Pass the connection to TLS or a WebSocket. A wrapped protocol that is already connected
        is disconnected first. However, if the wrapped protocol has written data, a client
        whose protocol is in C{refused} is refused, and any other client is treated as a plain
        client.
        """
        if self.wrappedProtocol is not None:
            if self.transport.hasWritten:
                if signature in self.factory.refused:
                    self._refuse(signature)
                else:
                    self._switchToWrapped()
                return
            self._disconnectWrapped()
            self.transport.clientType = UNDETECTED
        self._endDetection()
        protocol: IProtocol
        if signature is Signature.TLS:
            protocol = self.factory.buildTLS(self.transport.getPeer())
        else:
            protocol = self._buildWebSocket()
        self.switchProtocol(self.connect(protocol))

    def _buildWebSocket(self) -> WebSocketProtocol:
        """
        Return the protocol that parses the head of an HTTP request.
        """
        otherwise = None if self.factory.http is None else self._serveHTTP
        return self.factory.buildWebSocket(self.transport.getHost(), otherwise)

    def _serveHTTP(self, data: bytes) -> HTTPAnswer | None:
        """
        Pass the connection to the HTTP factory.

        @param data: the beginning of the request, with a complete head if it is well-formed.
        @return: the answer with which the request is refused; C{None} if it is served.
        """
        connection = self.transport
        if not connection.changeType(HTTP):
            return HTTPAnswer(503, NO_MORE)
        protocol = self.factory.buildHTTP(connection.getPeer(), self._nextRequest)
        if protocol is None:
            return HTTPAnswer(503, NO_MORE)
        self.received = data
        self.switchProtocol(self.connect(protocol))
        return None

    def _nextRequest(self, data: bytes) -> None:
        """
        Inspect the next request on a persistent HTTP connection.

        @param data: the beginning of the request.
        """
        connection = self.transport
        self.connect(self._buildWebSocket())
        # A chunk can contain many requests, which must not be served recursively.
        connection.ensureBuffer()
        connection.deliver(data)
        connection.readAgain()

    def _disconnectWrapped(self) -> None:
        """
        Disconnect a wrapped protocol that was connected before the client type was known,
        because the wrapped protocol must not receive or send bytes of another protocol.
        """
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is None:
            return
        connection = self.transport
        wrapped.transport = ClosedTransport(connection.getPeer(), connection.getHost())
        connection.unbind()
        wrapped.connectionLost(Failure(ConnectionDone()))

    # Connecting the wrapped protocol

    def _connect(self) -> None:
        """
        Connect the wrapped protocol.
        """
        self._endDetection()
        connection = self.transport
        if not connection.changeType(PLAIN):
            self.decided = True
            self.received = b""
            connection.abortConnection()
            return
        wrapped = buildProtocol(self.factory.wrappedFactory, connection.getPeer())
        if wrapped is None:
            self.decided = True
            self.received = b""
            connection.loseConnection()
            return
        self.wrappedProtocol = self.connect(wrapped)
        connection.switchProtocol(self)

    def _switchToWrapped(self) -> None:
        """
        Pass the connection of a plain client to the wrapped protocol.
        """
        self._endDetection()
        if self.wrappedProtocol is None:
            if not self._acceptsPlain:
                if self.received:
                    self.factory.log.warn(
                        '{peer} disconnected: client type "plain" is not accepted on this port',
                        peer=self.transport.getPeer(),
                    )
                else:
                    # Such as a connection that a browser has opened in advance.
                    self.factory.log.info(
                        "{peer} disconnected: no data was received",
                        peer=self.transport.getPeer(),
                    )
                self.decided = True
                self.received = b""
                self.transport.loseConnection()
                return
            self._connect()
        if self.wrappedProtocol is not None:
            wrapped, self.wrappedProtocol = self.wrappedProtocol, None
            self.switchProtocol(wrapped)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Notify a wrapped protocol that is already connected. An incomplete request is dropped,
        because inside TLS this method is called without C{readConnectionLost}.
        """
        self._endDetection()
        if not self.decided and (self._isPartialRequest() or isRequest(self.received)):
            self.received = b""
        super().connectionLost(reason)


@implementer(IAcceptAnswer)
class OnePortFactory(WrapperFactory[Any]):
    """
    Detects the client type of each connection to a wrapped factory.

    @ivar wrappedFactory: the factory of the wrapped protocols.
    @ivar policy: the answer to policy requests, see
        L{openfl_twisted.protocols.policyfile.PolicySource}. The policy also decides which web
        pages can open a WebSocket. The attribute can be changed at any time.
    @ivar accept: the accepted client types.
    @ivar http: the factory that serves HTTP requests; C{None} if they are refused.
    @ivar refused: the protocols whose clients are refused.
    @ivar signatures: the signatures to detect.
    @ivar greetingDelay: time without data after which the wrapped protocol is connected, so
        that the wrapped protocol can send first (seconds).
    @ivar maxBody: maximum length of a request body (bytes).
    @ivar maxUndetected: maximum number of clients whose type is not detected yet.
    @ivar undetected: number of clients whose type is not detected yet.
    @ivar refusals: number of clients refused because of C{maxUndetected}.
    @ivar answered: number of policy requests answered with the policy file.
    @ivar unanswered: number of policy requests without a policy file for the port.
    @ivar hasTLS: whether the port has a certificate.
    @ivar requiresTLS: whether only TLS clients and policy requests are accepted.
    @ivar onlyTLS: whether C{accept} contains no other client type.
    @ivar detectsTypes: whether a connection is logged only when its client type is known.
    @ivar isDraining: whether health checks are answered with 503, see L{drain}.
    """

    log = packageLogger()
    kind = "one port"
    detectsTypes = True
    isDraining = False
    # A client that has sent no data may be waiting for the server to send first.
    firstWait = 0

    def __init__(
        self,
        wrappedFactory: AnyFactory,
        *,
        policy: PolicySource = PolicyFile.forPort,
        accept: Collection[ClientType] = ALL_TYPES,
        tls: IOpenSSLServerConnectionCreator | None = None,
        requireTLS: bool = False,
        webSocket: Callable[..., WebSocketFactory] = WebSocketFactory,
        http: AnyFactory | None = None,
        passThrough: Collection[Signature] = (),
        greetingDelay: float = GREETING_DELAY,
        maxBody: int = MAX_BODY,
        maxUndetected: int = _MAX_UNDETECTED,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param policy: the answer to policy requests (default: allow all domains to
            connect to the port of the connection). C{None} for no answer.
        @param accept: the accepted client types. A client of another type is answered in its
            own protocol, if possible, and the connection is closed.
        @param tls: creates TLS connections, see
            L{openfl_twisted.tls.server.ServerConnectionCreator} (default: no TLS).
        @param requireTLS: whether to refuse all clients without TLS, except policy requests
            (default C{False}, unless C{accept} contains only C{TLS}). Inside TLS, the other types
            of C{accept} are accepted.
        @param webSocket: creates the WebSocket factory from the wrapped factory; pass
            C{functools.partial(WebSocketFactory, ...)} for other limits.
        @param http: the factory for HTTP requests that do not open a WebSocket, such as
            C{twisted.web.server.Site(root)} (default: refuse the requests). If it is an
            C{HTTPFactory} whose C{protocol} is Twisted's, HTTP/1.1 is used, and a connection
            can open a WebSocket after some requests, as connections from proxies do. The
            protocols of any other factory keep their connections.
        @param passThrough: members of L{FOREIGN<openfl_twisted.wire.firstbytes.FOREIGN>} that
            the wrapped protocol implements itself (default: none). Clients of these protocols
            are treated as plain clients. C{Signature.HTTP} means that the wrapped factory is
            also the C{http} factory.
        @param maxBody: maximum length of a request body for an C{HTTPFactory} whose
            C{protocol} is Twisted's (bytes; default 1 MiB); 0 for no limit. A longer body is
            answered with 413.
        @param maxUndetected: maximum number of clients whose type is not detected yet; further
            clients are aborted. 0 for no limit.
        @param clock: the clock (default: the global reactor).
        @raise TypeError: if a parameter has a wrong type.
        @raise ValueError: if both C{http} and C{passThrough} name a factory for HTTP requests.
        """
        super().__init__(wrappedFactory)
        checkPolicy(policy)
        checkLimit("greetingDelay", greetingDelay)
        checkLimit("maxBody", maxBody)
        if isinstance(accept, str):
            raise TypeError(
                f"accept must be a set of client types, not {accept!r:.80}: use"
                f" parseClientTypes({accept!r:.80})"
            )
        self.policy = policy
        self.accept = frozenset(accept)
        self.hasTLS = tls is not None
        if tls is None:
            self.accept -= {ClientType.TLS}
        if policy is None:
            self.accept -= {ClientType.POLICY}
        self.onlyTLS = ClientType.TLS in self.accept <= {ClientType.TLS, ClientType.POLICY}
        self.requiresTLS = requireTLS or self.onlyTLS
        self.refused = FOREIGN.difference(passThrough)
        self.http = http
        if http is not None:
            _checkHTTP(http)
        # Report a wrong hook now, and not when the first client connects.
        allowHookOf(wrappedFactory)
        if Signature.HTTP not in self.refused:
            if http is not None:
                raise ValueError("http and passThrough={Signature.HTTP} cannot be used together")
            self.http = wrappedFactory
        self.signatures = self.refused | {_SIGNATURES[each] for each in self.accept}
        self.greetingDelay = greetingDelay
        self.maxBody = maxBody
        self.maxUndetected = maxUndetected
        self.undetected = 0
        self.refusals = 0
        self._foreign = {signature.value: 0 for signature in FOREIGN}
        self.answered = 0
        self.unanswered = 0
        self._refusing = False
        self.clock = clockOrReactor(clock)
        self._makeWebSockets = webSocket
        # The factories by port, because the policy for WebSockets depends on the port.
        self._webSockets: dict[int | None, WebSocketFactory] = {}
        self._origins: dict[int | None, tuple[PolicyFile, Callable[[str | None], bool]]] = {}
        if tls is not None:
            self._tls = ServerTLSFactory(tls, _InTLSFactory(self), self.clock)

    def buildProtocol(self, addr: IAddress | None) -> ConnectionWrapper:
        return ConnectionWrapper(_OnePortProtocol(self), self.clock)

    def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
        answer = None
        if ClientType.POLICY in self.accept:
            answer = firstAnswer(data, self.policy, peer, host, self.log)
        self.answered += answer is not None
        return answer

    @startMethod
    def doStart(self) -> None:
        if self.http is not None and self.http is not self.wrappedFactory:
            self.http.doStart()
        super().doStart()

    def doStop(self) -> None:
        if self.http is not None and self.http is not self.wrappedFactory:
            self.http.doStop()
        super().doStop()

    def buildHTTP(self, addr: IAddress, nextRequest: Callable[[bytes], object]) -> IProtocol | None:
        """
        Return the HTTP protocol for a connection, or C{None} if the HTTP factory refuses it.

        @param addr: the address of the client.
        @param nextRequest: called with the data after an answered request, if the protocol
            supports it. The protocol then ignores the connection.
        """
        protocol: IProtocol | None = buildProtocol(self.http, addr)
        if protocol is None or not isHTTPFactory(self.http):
            return protocol
        # twisted.web is imported already.
        from openfl_twisted.protocols.httpchannel import singleRequest

        channel: IProtocol = singleRequest(self.http, protocol, nextRequest, self.maxBody)
        return channel

    def buildTLS(self, addr: IAddress) -> IProtocol:
        """
        Return the TLS protocol for a connection. The client type is detected again in the decrypted
        data.

        @param addr: the address of the client.
        """
        return self._tls.buildProtocol(addr)

    def buildWebSocket(
        self, host: IAddress, otherwise: Callable[[bytes], HTTPAnswer | None] | None
    ) -> WebSocketProtocol:
        """
        Return the WebSocket protocol for a connection.

        @param host: the address to which the client has connected. The policy for its
            port decides which pages can connect.
        @param otherwise: see L{WebSocketProtocol}.
        """
        port = portOf(host)
        if port not in self._webSockets:
            self._webSockets[port] = self._makeWebSockets(
                self.wrappedFactory,
                origins=partial(self._permits, host),
                accept=ClientType.WEBSOCKET in self.accept,
                clock=self.clock,
            )
            self._webSockets[port].isDraining = self.isDraining
            self._webSockets[port].explainOrigin = partial(self._explain, host)
        return WebSocketProtocol(self._webSockets[port], otherwise)

    def drain(self) -> None:
        """
        Answer health checks with 503 from now on. If the C{http} factory has a method C{drain}, it
        is called.
        """
        self.isDraining = True
        for factory in self._webSockets.values():
            factory.isDraining = True
        drain = getattr(self.http, "drain", None)
        if drain is not None:
            drain()

    def _permits(self, host: IAddress, origin: str | None) -> bool:
        """
        Check whether a web page can open a WebSocket to an address of this server.
        """
        policy, port = policyFor(self.policy, host), portOf(host)
        if policy is None:
            return True
        known = self._origins.get(port)
        if known is None or known[0] != policy:
            known = self._origins[port] = (policy, originsOf(policy, port))
        return known[1](origin)

    def _explain(self, host: IAddress, origin: str | None) -> str:
        """
        Explain why a web page cannot open a WebSocket to an address of this server.
        """
        policy = policyFor(self.policy, host)
        return "" if policy is None else explainOrigin(policy, portOf(host), origin)

    @property
    def foreign(self) -> dict[str, int]:
        """
        Number of connections closed because the client used another protocol, by the
        value of its L{Signature}.
        """
        requests = sum(each.refusedRequests for each in self._webSockets.values())
        http = Signature.HTTP.value
        return {**self._foreign, http: self._foreign[http] + requests}

    def countRefused(self, signature: Signature) -> None:
        """
        Count a connection closed because the client used another protocol.
        """
        self._foreign[signature.value] += 1

    def refuse(self, peer: IAddress) -> None:
        """
        Count a client refused because of C{maxUndetected}. The first refusal is logged.
        The caller closes the connection.

        @param peer: the address of the client.
        """
        self.refusals += 1
        if not self._refusing:
            self._refusing = True
            self.log.warn(
                "{peer} refused: too many clients whose type is not detected yet ({limit}); "
                "further refusals are not logged",
                peer=peer,
                limit=self.maxUndetected,
            )

    def decided(self) -> None:
        """
        Called when the type of a client is detected: decrement L{undetected}.
        """
        self.undetected -= 1
        self._refusing = False


_SIGNATURES = {
    ClientType.POLICY: Signature.POLICY,
    ClientType.TLS: Signature.TLS,
    ClientType.WEBSOCKET: Signature.HTTP,
    ClientType.PLAIN: Signature.NONE,
}


def isHTTPFactory(factory: object) -> bool:
    """
    Check whether a factory is an C{HTTPFactory}, without importing C{twisted.web}.

    @return: whether the factory is an C{HTTPFactory}.
    """
    return any(
        (each.__module__, each.__name__) == ("twisted.web.http", "HTTPFactory")
        for each in type(factory).__mro__
    )


def _checkHTTP(http: object) -> None:
    """
    Check the factory for HTTP requests.

    @raise TypeError: if it is not a factory.
    """
    if isinstance(http, type) or not IProtocolFactory.providedBy(http):
        raise TypeError(
            f"http must be a factory, not {http!r:.80}: pass twisted.web.server.Site(root) for"
            " an IResource"
        )


class _InTLSFactory(Factory[Any]):
    """
    Creates protocols that detect the client type inside TLS.
    """

    noisy = False

    def __init__(self, factory: OnePortFactory) -> None:
        self._factory = factory

    def buildProtocol(self, addr: IAddress | None) -> ConnectionWrapper:
        return ConnectionWrapper(_OnePortProtocol(self._factory, inTLS=True), self._factory.clock)
