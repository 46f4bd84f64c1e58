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
silence (C{grace}), so that a server that sends first can greet a client that
waits. Detection continues until the first bytes exclude every signature, for
10 seconds at most. A slow client is served like any other, unless the wrapped
protocol has written to it already.
"""

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from openfl_twisted.addresses import describe, portOf
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.clients import PLAIN, POLICY, UNDECIDED, WEBSOCKET, inTLS
from openfl_twisted.protocols.closedtransport import ClosedTransport
from openfl_twisted.protocols.foreign import REASONS, refuse
from openfl_twisted.protocols.holding import HoldingConnection
from openfl_twisted.protocols.patience import Patience
from openfl_twisted.protocols.policyfile import (
    PolicySource,
    answerRequest,
    firstAnswer,
    policyFor,
)
from openfl_twisted.protocols.websocket import WebSocketFactory, WebSocketProtocol
from openfl_twisted.protocols.wrapping import FrontFactory
from openfl_twisted.reactors.answering import IFirstAnswer
from openfl_twisted.wire.firstbytes import (
    EVERYBODY,
    FOREIGN,
    Caller,
    Signature,
    isPartial,
    recognize,
)
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.origins import originsOf
from openfl_twisted.wire.policy.request import isRequest

GRACE = 0.5
"""
After so many seconds of silence a caller counts as plain.
"""

MAX_UNDECIDED = 5000
"""
How many callers may be undecided at once, if nobody says otherwise.
"""

GOING_AWAY = 1001
"""
The code of WebSocket for a server that ends.
"""


@implementer(IHandshakeListener)
class OnePortProtocol(HoldingConnection):
    """
    Recognizes the caller on one connection; made by L{OnePortFactory}.

    To the wrapped protocol this is its transport. The protocol's
    C{connectionMade} and C{connectionLost} are called once each, or never, if
    nobody was connected to it.

    Inside TLS there is another one of these, whose transport is TLS.
    """

    factory: "OnePortFactory"

    __slots__ = ("_among", "_kind", "_patience", "_undecided", "_written")

    def __init__(self, factory: "OnePortFactory", *, inTLS: bool = False) -> None:
        """
        @param factory: has the settings, and counts.
        @param inTLS: whether the transport is TLS.
        """
        super().__init__(factory)
        # Until it is known who is calling.
        self._patience: Patience | None = None
        self._undecided = False
        self._kind = UNDECIDED
        # Whether the wrapped protocol has written, so that no other protocol can start.
        self._written = False
        if inTLS:
            self._inTLS = True

    def logPrefix(self) -> str:
        """
        Name the wrapped factory too.
        """
        return self.factory.logPrefix()

    @property
    def clientKind(self) -> str:
        """
        Who is calling, see L{openfl_twisted.protocols.clients.KINDS}.
        """
        match self.wrappedProtocol:
            case TLSMemoryBIOProtocol(wrappedProtocol=OnePortProtocol() as inside):
                return inTLS(inside.clientKind)
            case OnePortProtocol() as successor:
                return successor.clientKind
            case _:
                return self._kind

    def makeConnection(self, transport: ITransport) -> None:
        """
        Give the caller time to say something. In TLS it begins with the end of
        the handshake.
        """
        directlyProvides(self, providedBy(transport), IHalfCloseableProtocol)
        Protocol.makeConnection(self, transport)
        if not self._inTLS:
            self._begin()

    def handshakeCompleted(self) -> None:
        """
        Give the caller time to say something, now that it can.
        """
        self._begin()

    def _begin(self) -> None:
        if 0 < self.factory.maxUndecided <= self.factory.undecided:
            self.factory.refuse(self.getPeer())
            self.abortConnection()
            return
        self._undecided = True
        self.factory.undecided += 1
        self._expectMore()

    def _decided(self) -> None:
        """
        Wait for nothing more.
        """
        if self._patience is not None:
            self._patience.end()
            self._patience = None
        if self._undecided:
            self._undecided = False
            self.factory.decided()

    def _expectMore(self) -> None:
        """
        Wait for bytes, but not for ever. Who was greeted may still ask for the
        policy file, but not for ever either.
        """
        if self._patience is None:
            self._patience = Patience(self.factory.clock, self.factory.grace)
        self._patience.expectMore(partial(self._orAbort, self._silent))

    # Recognizing

    def look(self) -> None:
        """
        Recognize the caller, if that is possible yet.
        """
        match recognize(self._received, self.factory.signatures):
            case Signature.POLICY:
                self._answer()
            case Signature.TLS if Caller.TLS not in self.factory.accept or self._inTLS:
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
                self._handOver(signature)

    def lookAtLast(self) -> bool:
        """
        Recognize the caller by what has come, which is all.
        """
        if isRequest(self._received):
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
        return Signature.HTTP in self.factory.refused and isPartial(self._received)

    def _silent(self) -> None:
        """
        Decide after a silence. The grace only decides when the wrapped protocol can
        send first. Part of a signature is held until the end: the rest could be that
        of an HTTP request, a TLS handshake or a PROXY header.
        """
        if isRequest(self._received):
            # Only its zero byte is missing, and some clients never send that.
            self._answer()
        elif not self._received and self._acceptsPlain:
            self._connect()
        elif self._waitToTheEnd():
            pass
        elif self._isPartialRequest():
            self._refuse(Signature.HTTP)
        else:
            if self._received:
                self.factory.log.info(
                    "{peer}: protocol detection timed out after an incomplete request; "
                    "treating it as a plain client",
                    peer=describe(self.getPeer()),
                )
            self._passOn()

    @property
    def _acceptsPlain(self) -> bool:
        """
        Whether a plain client is accepted. On a port for TLS only, one inside TLS
        is: otherwise the port would accept no client.
        """
        return Caller.PLAIN in self.factory.accept or (self._inTLS and self.factory.requiresTLS)

    def _waitToTheEnd(self) -> bool:
        """
        Wait for as long as a client may take at most. The grace can be 0, so this
        must not wait for it again and again.

        @return: whether there is time left.
        """
        if self._patience is None or self._patience.isOver:
            return False
        self._patience.waitToTheEnd(partial(self._orAbort, self._silent))
        return True

    def _answer(self) -> None:
        """
        The caller asks for the policy file.
        """
        self._recognized = True
        self._decided()
        if self._kind == UNDECIDED:
            self._kind = POLICY
        self._received = b""
        if answerRequest(cast("ITransport", self), self.factory.policy, self.factory.log):
            self.factory.answered += 1
        else:
            self.factory.unanswered += 1
        self._disconnectWrapped()

    def _refuse(self, signature: Signature) -> None:
        """
        Refuse a client of another protocol.
        """
        self._decided()
        self._recognized = True
        self._received = b""
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
        refuse(self, signature, reason, self.factory.log)
        self._disconnectWrapped()

    def _handOver(self, signature: Signature) -> None:
        """
        Hand the connection over to TLS or a WebSocket. A wrapped protocol that
        was connected during a silence is disconnected before, unless it has
        written already: then it is too late.
        """
        if self.wrappedProtocol is None:
            self._goOnIn(signature)
        elif not self._written:
            self._replace()
        elif signature in self.factory.refused:
            self._refuse(signature)
        else:
            self._passOn()

    def _replace(self) -> None:
        """
        Disconnect the wrapped protocol, and begin again in its place.
        """
        self._decided()
        self._recognized = True
        received, self._received = self._received, b""
        transport = self.transport
        self._stopProducer()
        # The wrapped protocol may write later, as to a connection that is lost.
        self.transport = ClosedTransport(self.getPeer(), self.getHost())
        self.lost = True
        self._disconnectWrapped()
        successor = OnePortProtocol(self.factory, inTLS=self._inTLS)
        self.wrappedProtocol = successor
        successor.makeConnection(transport)
        if self._inTLS:
            successor.handshakeCompleted()
        successor.dataReceived(received)

    def _disconnectWrapped(self) -> None:
        """
        Disconnect a wrapped protocol that was connected during a silence, so that
        it gets no bytes of another protocol.
        """
        self._stopProducer()
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is not None:
            wrapped.connectionLost(Failure(ConnectionDone()))

    def _stopProducer(self) -> None:
        """
        Stop the producer of a wrapped protocol that is disconnected. A transport
        that closes does not end while it waits for a producer.
        """
        if self._producer is not None:
            self._producer.stopProducing()
            self.unregisterProducer()

    def _goOnIn(self, signature: Signature) -> None:
        """
        Hand the connection over to TLS or a WebSocket.
        """
        protocol: IProtocol
        if signature is Signature.TLS:
            protocol = self.factory.buildTLS(self.getPeer())
        else:
            self._kind = WEBSOCKET
            otherwise = None if Signature.HTTP in self.factory.refused else self._passHTTP
            protocol = self.factory.buildWebSocket(self.getHost(), otherwise)
        self._decided()
        self._recognized = True
        self.wrappedProtocol = protocol
        protocol.makeConnection(cast("ITransport", self))
        self._deliver()

    def _passHTTP(self, data: bytes) -> None:
        """
        It is HTTP, and not for a WebSocket: the wrapped protocol speaks it.
        """
        self.wrappedProtocol = None
        self._received = data
        self._connect()
        self._deliver()

    # Passing on

    def _connect(self) -> None:
        """
        Connect the wrapped protocol.
        """
        self._decided()
        self._kind = PLAIN
        wrapped = self.factory.wrappedFactory.buildProtocol(self.getPeer())
        if wrapped is None:
            self._recognized = True
            self._received = b""
            self.loseConnection()
            return
        self.wrappedProtocol = wrapped
        wrapped.makeConnection(cast("ITransport", self))

    def _passOn(self) -> None:
        """
        The caller is plain: what it has said is for the wrapped protocol.
        """
        self._decided()
        self._recognized = True
        if self.wrappedProtocol is None:
            if not self._acceptsPlain:
                self.factory.log.warn(
                    '{peer} disconnected: client type "plain" is not accepted on this port',
                    peer=describe(self.getPeer()),
                )
                self._received = b""
                self.loseConnection()
                return
            self._connect()
        self._deliver()

    def write(self, data: bytes) -> None:
        """
        Send bytes of the wrapped protocol.

        @param data: the bytes.
        """
        self._written = True
        self.transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Send bytes of the wrapped protocol.

        @param data: the chunks.
        """
        self._written = True
        self.transport.writeSequence(data)

    def pauseProducing(self) -> None:
        """
        Stop reading from the peer. It has no effect once the wrapped protocol has
        been replaced: the connection is that of its successor.
        """
        if not isinstance(self.transport, ClosedTransport):
            super().pauseProducing()

    # Ending

    def loseConnection(self) -> None:
        """
        Close the connection.
        """
        self._decided()
        super().loseConnection()

    def abortConnection(self) -> None:
        """
        Close the connection now.
        """
        self._decided()
        super().abortConnection()

    def finishConnection(self) -> None:
        """
        Close the connection, asked from beneath: TLS and WebSocket have their
        farewells, so whoever stands above them closes first.
        """
        match self.wrappedProtocol:
            case TLSMemoryBIOProtocol(wrappedProtocol=OnePortProtocol() as inside):
                inside.finishConnection()
            case OnePortProtocol() as successor:
                successor.finishConnection()
            case WebSocketProtocol() as above:
                above.closeAs(GOING_AWAY)
                above.loseConnection()
            case _:
                self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end. A request that is held is not for the wrapped protocol:
        in TLS, the connection ends without C{readConnectionLost}.
        """
        self._decided()
        if not self._recognized and (self._isPartialRequest() or isRequest(self._received)):
            self._received = b""
        super().connectionLost(reason)


@implementer(IFirstAnswer)
class OnePortFactory(FrontFactory[OnePortProtocol]):
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
    @ivar grace: seconds without data after which the wrapped protocol is
        connected, so that it can send first.
    @ivar maxUndecided: how many callers may be undecided at once.
    @ivar undecided: how many are.
    @ivar refusals: number of clients refused because C{maxUndecided} was
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
        accept: Collection[Caller] = EVERYBODY,
        tls: IOpenSSLServerConnectionCreator | None = None,
        webSocket: Callable[..., WebSocketFactory] = WebSocketFactory,
        passThrough: Collection[Signature] = (),
        grace: float = GRACE,
        maxUndecided: int = MAX_UNDECIDED,
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
        @param grace: seconds without data after which the wrapped protocol is
            connected, so that it can send first.
        @param maxUndecided: maximum number of clients whose protocol is not
            recognized yet; further ones are closed immediately. 0 for no limit.
        @param clock: for the time; the reactor if there is none.
        """
        super().__init__(wrappedFactory)
        self.policy = policy
        self.accept = frozenset(accept)
        self.hasTLS = tls is not None
        if tls is None:
            self.accept -= {Caller.TLS}
        if policy is None:
            self.accept -= {Caller.POLICY}
        # Inside TLS the other types of clients are the same.
        self.requiresTLS = Caller.TLS in self.accept <= {Caller.TLS, Caller.POLICY}
        self.refused = FOREIGN.difference(passThrough)
        self.signatures = self.refused | {_SIGNATURES[caller] for caller in self.accept}
        self.grace = grace
        self.maxUndecided = maxUndecided
        self.undecided = 0
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

    def buildProtocol(self, addr: IAddress | None) -> OnePortProtocol:
        """
        Make the door for a connection. The wrapped factory is asked when it is
        known that the connection is for it.
        """
        return OnePortProtocol(self)

    def firstAnswer(self, data: bytes, peer: IAddress, host: IAddress) -> bytes | None:
        """
        Answer a policy request that is there when the connection is accepted,
        see L{IFirstAnswer}.
        """
        answer = None
        if Caller.POLICY in self.accept:
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
                accept=Caller.WEBSOCKET in self.accept,
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
        Say that there are too many callers of whom nothing is known; once, until
        there are fewer.

        @param peer: who calls; its connection is not closed here.
        """
        self.refusals += 1
        if not self._refusing:
            self._refusing = True
            self.log.warn(
                "{peer} refused: {limit} callers have not said yet who they are",
                peer=describe(peer),
                limit=self.maxUndecided,
            )

    def decided(self) -> None:
        """
        Hear that one more is known.
        """
        self.undecided -= 1
        self._refusing = False


_SIGNATURES = {
    Caller.POLICY: Signature.POLICY,
    Caller.TLS: Signature.TLS,
    Caller.WEBSOCKET: Signature.HTTP,
    Caller.PLAIN: Signature.NONE,
}


class _InsideFactory(Factory[OnePortProtocol]):
    """
    Makes the doors inside TLS.
    """

    noisy = False

    def __init__(self, factory: OnePortFactory) -> None:
        self._factory = factory

    def buildProtocol(self, addr: IAddress | None) -> OnePortProtocol:
        """
        Make the door for a connection.
        """
        return OnePortProtocol(self._factory, inTLS=True)
