"""
One port for every type of client: protocol detection by the first bytes of a
connection, in front of any other protocol.

  - Policy requests are answered.
  - A WebSocket handshake opens a WebSocket, which looks like any other
    connection to the wrapped protocol.
  - A TLS handshake starts TLS, and inside TLS detection begins again.
  - Any other HTTP request is answered and closed. So are TLS on a port without a
    certificate, and PROXY headers.
  - All other bytes are for the wrapped protocol.

The wrapped protocol is connected when the bytes are for it, or after a short
silence (C{greetingDelay}), so that a server that sends first can greet a client that
waits. Detection continues until the first bytes exclude every signature, for
10 seconds at most. A slow client is served like any other, unless the wrapped
protocol has written to it already.
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
    IReactorTime,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.addresses import describe, portOf
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.foreign import REASONS, refuse
from openfl_twisted.protocols.policyfile import (
    PolicySource,
    answerRequest,
    firstAnswer,
    policyFor,
)
from openfl_twisted.protocols.websocket import WebSocketFactory, WebSocketProtocol
from openfl_twisted.transports.acceptanswer import IAcceptAnswer
from openfl_twisted.transports.closed import ClosedTransport
from openfl_twisted.transports.connectioninfo import PLAIN, POLICY, UNDETECTED, WEBSOCKET
from openfl_twisted.transports.detection import DetectionProtocol
from openfl_twisted.transports.detectiontimer import DetectionTimer
from openfl_twisted.transports.wrapper import ConnectionWrapper, WrapperFactory
from openfl_twisted.wire.firstbytes import (
    ALL_TYPES,
    FOREIGN,
    ClientType,
    Signature,
    isPartial,
    recognize,
)
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.origins import originsOf
from openfl_twisted.wire.policy.request import isRequest

GREETING_DELAY = 0.5
"""
Default for the time without data after which the application may greet a client: 0.5
seconds.
"""

MAX_UNDETECTED = 5000
"""
Default for the maximum number of clients that protocol detection has not recognized
yet.
"""


@implementer(IHandshakeListener)
class OnePortProtocol(DetectionProtocol):
    """
    Detects the protocol of one connection; made by L{OnePortFactory}. Then it hands
    the connection over, and leaves.

    Inside TLS there is another one of these.
    """

    factory: "OnePortFactory"

    __slots__ = ("_detectionTimer", "_inTLS", "_isCounted")

    def __init__(self, factory: "OnePortFactory", *, inTLS: bool = False) -> None:
        """
        @param factory: has the settings, and counts.
        @param inTLS: whether the transport is TLS.
        """
        super().__init__(factory)
        self._detectionTimer: DetectionTimer | None = None
        # Whether it counts among those whose protocol is not detected.
        self._isCounted = False
        self._inTLS = inTLS

    def connectionMade(self) -> None:
        """
        Wait for data. In TLS this begins with the end of the handshake.
        """
        self.transport.clientType = UNDETECTED
        if not self._inTLS:
            self._begin()

    def handshakeCompleted(self) -> None:
        """
        Wait for data: the client can send now.
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
        Stop the timer.
        """
        if self._detectionTimer is not None:
            self._detectionTimer.cancel()
            self._detectionTimer = None
        if self._isCounted:
            self._isCounted = False
            self.factory.decided()

    def _expectMore(self) -> None:
        """
        Wait for data, for a limited time. A client that was greeted can still request
        the policy file, for a limited time, too.
        """
        if self._detectionTimer is None:
            self._detectionTimer = DetectionTimer(self.factory.clock, self.factory.greetingDelay)
        self._detectionTimer.expectMore(partial(self.callOrAbort, self._silent))

    # Recognizing

    def inspect(self) -> None:
        """
        Recognize the client type, if its first bytes suffice.
        """
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
                self._passOn()
            case None:
                self._expectMore()
            case signature:
                self._goOnIn(signature)

    def inspectAtEOF(self) -> bool:
        """
        Recognize the client type by what was received: nothing more will be.
        """
        if isRequest(self.received):
            self._answer()
            return False
        if self._isPartialRequest():
            self._refuse(Signature.HTTP)
            return False
        self._passOn()
        return True

    def _isPartialRequest(self) -> bool:
        """
        Check whether the first bytes are an HTTP request that is not complete,
        on a port where requests are refused.
        """
        return Signature.HTTP in self.factory.refused and isPartial(self.received)

    def _silent(self) -> None:
        """
        Decide after a silence. The greetingDelay only decides when the wrapped protocol can
        send first. Part of a signature is held until the end: the rest could be that
        of an HTTP request, a TLS handshake or a PROXY header.
        """
        if self.transport.disconnecting:
            self._endDetection()
        elif isRequest(self.received):
            # Only its zero byte is missing, and some clients never send that.
            self._answer()
        elif not self.received and self._acceptsPlain:
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
                    peer=describe(self.transport.getPeer()),
                )
            self._passOn()

    @property
    def _acceptsPlain(self) -> bool:
        """
        Whether a plain client is accepted. On a port for TLS only, one inside TLS
        is: otherwise the port would accept no client.
        """
        return ClientType.PLAIN in self.factory.accept or (self._inTLS and self.factory.requiresTLS)

    def _waitForDeadline(self) -> bool:
        """
        Wait for as long as a client may take at most. The greetingDelay can be 0, so this
        must not wait for it again and again.

        @return: whether there is time left.
        """
        if self._detectionTimer is None or self._detectionTimer.isExpired:
            return False
        self._detectionTimer.waitForDeadline(partial(self.callOrAbort, self._silent))
        return True

    def _answer(self) -> None:
        """
        Answer a policy request.
        """
        self._endDetection()
        self.decided = True
        connection = self.transport
        if connection.clientType == UNDETECTED:
            connection.clientType = POLICY
        self.received = b""
        self._disconnectWrapped()
        if answerRequest(connection, self.factory.policy, self.factory.log):
            self.factory.answered += 1
        else:
            self.factory.unanswered += 1

    def _refuse(self, signature: Signature) -> None:
        """
        Refuse a client of another protocol.
        """
        self._endDetection()
        self.decided = True
        self.received = b""
        self.factory.countRefused(signature)
        reason = REASONS[signature]
        if signature is Signature.HTTP:
            reason = "client sent an HTTP request late or incomplete"
            if self.factory.requiresTLS and not self._inTLS:
                reason = "client sent an HTTP request without TLS, which this port requires"
        elif signature is Signature.TLS and self._inTLS:
            reason = "client sent a TLS handshake inside TLS"
        elif signature is Signature.TLS and self.factory.hasTLS:
            reason = "client sent a TLS handshake, but this port does not accept TLS"
        self._disconnectWrapped()
        refuse(self.transport, signature, reason, self.factory.log)

    def _goOnIn(self, signature: Signature) -> None:
        """
        Hand the connection over to TLS or a WebSocket. A wrapped protocol that was
        connected during a silence is disconnected before, unless it has written
        already: then it is too late.
        """
        if self.wrappedProtocol is not None:
            if self.transport.hasWritten:
                if signature in self.factory.refused:
                    self._refuse(signature)
                else:
                    self._passOn()
                return
            self._disconnectWrapped()
            self.transport.clientType = UNDETECTED
        self._endDetection()
        protocol: IProtocol
        if signature is Signature.TLS:
            protocol = self.factory.buildTLS(self.transport.getPeer())
        else:
            self.transport.clientType = WEBSOCKET
            otherwise = None if Signature.HTTP in self.factory.refused else self._passHTTP
            protocol = self.factory.buildWebSocket(self.transport.getHost(), otherwise)
        self.switchProtocol(self.connect(protocol))

    def _disconnectWrapped(self) -> None:
        """
        Disconnect a wrapped protocol that was connected during a silence, so that it
        gets no bytes of another protocol, and cannot send any.
        """
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is None:
            return
        connection = self.transport
        wrapped.transport = ClosedTransport(connection.getPeer(), connection.getHost())
        connection.unbind()
        wrapped.connectionLost(Failure(ConnectionDone()))

    def _passHTTP(self, data: bytes) -> None:
        """
        Deliver an HTTP request that opens no WebSocket to the wrapped protocol.
        """
        self.received = data
        self._passOn()

    # Passing on

    def _connect(self) -> None:
        """
        Connect the wrapped protocol.
        """
        self._endDetection()
        connection = self.transport
        connection.clientType = PLAIN
        wrapped = self.factory.wrappedFactory.buildProtocol(connection.getPeer())
        if wrapped is None:
            self.decided = True
            self.received = b""
            connection.loseConnection()
            return
        self.wrappedProtocol = self.connect(wrapped)
        connection.switchProtocol(self)

    def _passOn(self) -> None:
        """
        Hand the connection of a plain client over to the wrapped protocol.
        """
        self._endDetection()
        if self.wrappedProtocol is None:
            if not self._acceptsPlain:
                self.factory.log.warn(
                    '{peer} disconnected: client type "plain" is not accepted on this port',
                    peer=describe(self.transport.getPeer()),
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
        Tell a protocol that was connected during a silence. A request that is held is
        not for it: in TLS, the connection ends without C{readConnectionLost}.
        """
        self._endDetection()
        if not self.decided and (self._isPartialRequest() or isRequest(self.received)):
            self.received = b""
        super().connectionLost(reason)


@implementer(IAcceptAnswer)
class OnePortFactory(WrapperFactory[Any]):
    """
    Puts every kind of client in front of another factory.

    @ivar wrappedFactory: the factory whose protocols get what is not a policy
        request.
    @ivar policy: the answer to policy requests, see
        L{openfl_twisted.protocols.policyfile.PolicySource}. It also decides which
        web pages can open a WebSocket. It can be changed at any time.
    @ivar accept: the types of clients to accept.
    @ivar refused: the protocols whose clients are refused.
    @ivar signatures: the signatures to look for in the first bytes.
    @ivar greetingDelay: seconds without data after which the wrapped protocol is
        connected, so that it can send first.
    @ivar maxUndetected: maximum number of clients that have not been recognized yet.
    @ivar undetected: how many are.
    @ivar refusals: number of clients refused because C{maxUndetected} was
        reached.
    @ivar answered: how many policy requests have been answered with the file.
    @ivar unanswered: how many have not, since there was none for the port.
    @ivar hasTLS: whether there is a certificate.
    @ivar requiresTLS: whether only TLS clients are accepted, besides policy
        requests.
    """

    log = packageLogger()
    kind = "one port"
    # Who is silent may wait for the server to speak.
    firstWait = 0

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        *,
        policy: PolicySource = PolicyFile.forPort,
        accept: Collection[ClientType] = ALL_TYPES,
        tls: IOpenSSLServerConnectionCreator | None = None,
        webSocket: Callable[..., WebSocketFactory] = WebSocketFactory,
        passThrough: Collection[Signature] = (),
        greetingDelay: float = GREETING_DELAY,
        maxUndetected: int = MAX_UNDETECTED,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param wrappedFactory: the factory of the protocols that serve.
        @param policy: the answer to policy requests; the default lets everybody
            connect to the port on which they ask, and to no other. With C{None}
            they are not answered.
        @param accept: the types of clients to accept. The others are answered in
            their own protocol, if that is possible, and closed.
        @param tls: makes the connections in TLS, see
            L{openfl_twisted.tls.server.ServerConnectionCreator}; without it
            nobody is recognized as speaking TLS.
        @param webSocket: makes the factory of WebSockets from the wrapped one;
            C{functools.partial(WebSocketFactory, ...)} for other limits.
        @param passThrough: the protocols that the wrapped protocol understands
            itself, of L{FOREIGN<openfl_twisted.wire.firstbytes.FOREIGN>}. Their
            clients are plain clients; with C{Signature.HTTP} it gets every
            request that is not a WebSocket handshake. The clients of the others
            are refused.
        @param greetingDelay: seconds without data after which the wrapped protocol is
            connected, so that it can send first.
        @param maxUndetected: maximum number of clients whose protocol is not
            recognized yet; further ones are closed immediately. 0 for no limit.
        @param clock: for the time; the reactor if there is none.
        """
        super().__init__(wrappedFactory)
        self.policy = policy
        self.accept = frozenset(accept)
        self.hasTLS = tls is not None
        if tls is None:
            self.accept -= {ClientType.TLS}
        if policy is None:
            self.accept -= {ClientType.POLICY}
        # Inside TLS the other types of clients are the same.
        self.requiresTLS = ClientType.TLS in self.accept <= {ClientType.TLS, ClientType.POLICY}
        self.refused = FOREIGN.difference(passThrough)
        self.signatures = self.refused | {_SIGNATURES[each] for each in self.accept}
        self.greetingDelay = greetingDelay
        self.maxUndetected = maxUndetected
        self.undetected = 0
        self.refusals = 0
        self._foreign = {signature.value: 0 for signature in FOREIGN}
        self.answered = 0
        self.unanswered = 0
        self._refusing = False
        self.clock = clockOrReactor(clock)
        self._makeWebSockets = webSocket
        # What is permitted depends on the port to which a page connects.
        self._webSockets: dict[int | None, WebSocketFactory] = {}
        self._origins: dict[int | None, tuple[PolicyFile, Callable[[str | None], bool]]] = {}
        if tls is not None:
            self._tls = TLSMemoryBIOFactory(tls, False, _InsideFactory(self), self.clock)

    def buildProtocol(self, addr: IAddress | None) -> ConnectionWrapper:
        """
        Make the protocol that detects. The wrapped factory makes one when the
        connection is for it.
        """
        return ConnectionWrapper(OnePortProtocol(self), self.clock)

    def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
        """
        Answer a policy request that is there when the connection is accepted,
        see L{IAcceptAnswer}.
        """
        answer = None
        if ClientType.POLICY in self.accept:
            answer = firstAnswer(data, self.policy, peer, host, self.log)
        self.answered += answer is not None
        return answer

    def buildTLS(self, addr: IAddress) -> IProtocol:
        """
        Make TLS for a connection, and inside it a door as outside.

        @param addr: who calls.
        """
        return self._tls.buildProtocol(addr)

    def buildWebSocket(
        self, host: IAddress, otherwise: Callable[[bytes], object] | None
    ) -> WebSocketProtocol:
        """
        Make a WebSocket for a connection.

        @param host: the address to which it came; the policy for its port says
            from which pages it may come.
        @param otherwise: gets what is not for a WebSocket.
        """
        port = portOf(host)
        if port not in self._webSockets:
            self._webSockets[port] = self._makeWebSockets(
                self.wrappedFactory,
                origins=partial(self._permits, host),
                accept=ClientType.WEBSOCKET in self.accept,
                clock=self.clock,
            )
        return WebSocketProtocol(self._webSockets[port], otherwise)

    def _permits(self, host: IAddress, origin: str | None) -> bool:
        """
        Check whether a web page can open a WebSocket to an address of this
        server.
        """
        policy, port = policyFor(self.policy, host), portOf(host)
        if policy is None:
            return True
        known = self._origins.get(port)
        if known is None or known[0] != policy:
            known = self._origins[port] = (policy, originsOf(policy, port))
        return known[1](origin)

    @property
    def foreign(self) -> dict[str, int]:
        """
        Number of connections closed because the client spoke another protocol,
        by L{Signature}.
        """
        requests = sum(each.refusedRequests for each in self._webSockets.values())
        http = Signature.HTTP.value
        return {**self._foreign, http: self._foreign[http] + requests}

    def countRefused(self, signature: Signature) -> None:
        """
        Count a connection that is closed because the client spoke another
        protocol.

        @param signature: the protocol.
        """
        self._foreign[signature.value] += 1

    def refuse(self, peer: IAddress) -> None:
        """
        Log that too many clients have not been recognized; once, until
        there are fewer.

        @param peer: who calls; its connection is not closed here.
        """
        self.refusals += 1
        if not self._refusing:
            self._refusing = True
            self.log.warn(
                "{peer} refused: {limit} clients have not been recognized yet",
                peer=describe(peer),
                limit=self.maxUndetected,
            )

    def decided(self) -> None:
        """
        Hear that one more is known.
        """
        self.undetected -= 1
        self._refusing = False


_SIGNATURES = {
    ClientType.POLICY: Signature.POLICY,
    ClientType.TLS: Signature.TLS,
    ClientType.WEBSOCKET: Signature.HTTP,
    ClientType.PLAIN: Signature.NONE,
}


class _InsideFactory(Factory[Any]):
    """
    Makes the doors inside TLS.
    """

    noisy = False

    def __init__(self, factory: OnePortFactory) -> None:
        self._factory = factory

    def buildProtocol(self, addr: IAddress | None) -> ConnectionWrapper:
        """
        Make the protocol that detects inside TLS.
        """
        return ConnectionWrapper(OnePortProtocol(self._factory, inTLS=True), self._factory.clock)
