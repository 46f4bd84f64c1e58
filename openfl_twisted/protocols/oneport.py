"""
One port for every kind of client: who calls is recognized by the first bytes,
and any other protocol stands behind.

  - Players that ask for the policy file are answered.
  - A browser's WebSocket becomes a connection like any other.
  - Who begins with TLS is answered in TLS, and inside it all is as outside.
  - Everybody else is connected to the wrapped protocol as he is.

The wrapped protocol hears of a connection when it is known to be for it. So a
server that speaks first speaks at once to a client that has sent something, and
after a short silence to one that waits; never into the answer to a policy
request, and never before a WebSocket is one.
"""

from collections.abc import Callable, Collection
from functools import partial
from typing import cast

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
from openfl_twisted.wire.firstbytes import EVERYBODY, Caller, recognize
from openfl_twisted.wire.origins import originsOf
from openfl_twisted.wire.policy import PolicyFile, isRequest

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

    __slots__ = ("_among", "_kind", "_patience", "_undecided")

    def __init__(self, factory: "OnePortFactory", *, inTLS: bool = False) -> None:
        """
        @param factory: has the settings, and counts.
        @param inTLS: whether the transport is TLS; then nobody who calls can
            begin with TLS once more.
        """
        super().__init__(factory)
        # Until it is known who is calling.
        self._patience: Patience | None = None
        self._undecided = False
        self._kind = UNDECIDED
        self._among: frozenset[Caller] = factory.accept
        if inTLS:
            self._inTLS = True
            self._among -= {Caller.TLS}

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
        if self.factory.undecided >= self.factory.maxUndecided:
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
        match recognize(self._received, self._among):
            case Caller.POLICY:
                self._answer()
            case Caller.TLS:
                self._goOnIn(self.factory.buildTLS(self.getPeer()))
            case Caller.WEBSOCKET:
                self._kind = WEBSOCKET
                otherwise = self._passHTTP if self.factory.http else None
                self._goOnIn(self.factory.buildWebSocket(self.getHost(), otherwise))
            case Caller.PLAIN:
                self._passOn()
            case _:
                self._expectMore()

    def lookAtLast(self) -> bool:
        """
        Recognize the caller by what has come, which is all.
        """
        if isRequest(self._received):
            self._answer()
            return False
        self._passOn()
        return True

    def _silent(self) -> None:
        """
        Decide, since the caller says no more.
        """
        if isRequest(self._received):
            # Only its zero byte is missing, and some clients never send that.
            self._answer()
        elif self._received:
            self.factory.log.info(
                "{peer} began as no plain client does and fell silent; it counts as one",
                peer=describe(self.getPeer()),
            )
            self._passOn()
        elif Caller.PLAIN in self._among:
            # What it says later can still be a policy request.
            self._among = self._among & {Caller.POLICY, Caller.PLAIN}
            self._connect()
        elif self._patience is not None and not self._patience.isOver:
            self._expectMore()
        else:
            self._passOn()

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

    def _goOnIn(self, protocol: IProtocol) -> None:
        """
        Let a protocol that is not the wrapped one go on with the connection.
        """
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
            if Caller.PLAIN not in self._among:
                self.factory.log.warn(
                    "{peer} closed: it is none of the callers that are accepted here",
                    peer=describe(self.getPeer()),
                )
                self._received = b""
                self.loseConnection()
                return
            self._connect()
        self._deliver()

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
            case WebSocketProtocol() as above:
                above.closeAs(GOING_AWAY)
                above.loseConnection()
            case _:
                self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end.
        """
        self._decided()
        super().connectionLost(reason)


@implementer(IFirstAnswer)
class OnePortFactory(FrontFactory[OnePortProtocol]):
    """
    Puts every kind of client in front of another factory.

    @ivar wrappedFactory: the factory whose protocols get what is not a policy
        request.
    @ivar policy: the answer to policy requests, see
        L{openfl_twisted.protocols.policyfile.PolicySource}. It also says from
        which pages a browser's WebSocket may come.
    @ivar accept: the kinds of callers that are known here.
    @ivar grace: after how many seconds of silence a caller counts as plain.
    @ivar maxUndecided: how many callers may be undecided at once.
    @ivar undecided: how many are.
    @ivar refused: how many have been closed since too many were.
    @ivar answered: how many policy requests have been answered with the file.
    @ivar unanswered: how many have not, since there was none for the port.
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
        http: bool = False,
        grace: float = GRACE,
        maxUndecided: int = MAX_UNDECIDED,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param wrappedFactory: the factory of the protocols that serve.
        @param policy: the answer to policy requests; the default lets everybody
            connect to the port on which they ask, and to no other. With C{None}
            they are not answered.
        @param accept: the kinds of callers that are known; the others are
            plain, and if these are not known either they are closed.
        @param tls: makes the connections in TLS, see
            L{openfl_twisted.tls.server.ServerConnectionCreator}; without it
            nobody is recognized as speaking TLS.
        @param webSocket: makes the factory of WebSockets from the wrapped one;
            C{functools.partial(WebSocketFactory, ...)} for other limits.
        @param http: whether the wrapped protocol speaks HTTP itself: then it
            gets every request that is not for a WebSocket. If not, such a
            request is refused in words.
        @param grace: after how many seconds of silence a caller counts as
            plain.
        @param maxUndecided: how many callers may be undecided at once; a
            further one is closed at once.
        @param clock: for the time; the reactor if there is none.
        """
        super().__init__(wrappedFactory)
        self.policy = policy
        self.accept = frozenset(accept)
        if tls is None:
            self.accept -= {Caller.TLS}
        if policy is None:
            self.accept -= {Caller.POLICY}
        self.http = http
        self.grace = grace
        self.maxUndecided = maxUndecided
        self.undecided = 0
        self.refused = 0
        self.answered = 0
        self.unanswered = 0
        self._refusing = False
        self.clock = clockOrReactor(clock)
        self._makeWebSockets = webSocket
        # What is permitted depends on the port to which a page connects.
        self._webSockets: dict[int | None, WebSocketFactory] = {}
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
            policy = policyFor(self.policy, host)
            origins = None if policy is None else originsOf(policy, port)
            self._webSockets[port] = self._makeWebSockets(
                self.wrappedFactory, origins=origins, clock=self.clock
            )
        return WebSocketProtocol(self._webSockets[port], otherwise)

    def refuse(self, peer: IAddress) -> None:
        """
        Say that there are too many callers of whom nothing is known; once, until
        there are fewer.

        @param peer: who calls; its connection is not closed here.
        """
        self.refused += 1
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
