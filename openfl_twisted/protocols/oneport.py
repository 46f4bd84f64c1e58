"""
One port for every kind of client: who calls is recognized by the first bytes,
and any other protocol stands behind.

Two kinds are told apart: players that ask for the policy file are answered, and
everybody else is connected to the wrapped protocol.

The wrapped protocol hears of a connection when it is known to be for it. So a
server that speaks first speaks at once to a client that has sent something, and
after a short silence to one that waits; never into the answer to a policy
request.
"""

from typing import cast

from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    ILoggingContext,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.protocols.addresses import describe
from openfl_twisted.protocols.logs import packageLogger
from openfl_twisted.protocols.policyfile import PolicySource, answerRequest
from openfl_twisted.wire.firstbytes import Caller, recognize
from openfl_twisted.wire.policy import PolicyFile, isRequest

GRACE = 0.5
"""
After so many seconds of silence a caller counts as plain.
"""


@implementer(IHalfCloseableProtocol)
class OnePortProtocol(Protocol):
    """
    Recognizes the caller on one connection; made by L{OnePortFactory}.

    The wrapped protocol gets the transport itself. Its C{connectionMade} and
    C{connectionLost} are called once each, or never, if nobody was connected to
    it.
    """

    transport: ITransport
    factory: "OnePortFactory"
    # The first bytes, until they tell who is calling.
    _received = b""
    _recognized = False
    _silence: IDelayedCall | None = None
    _wrapped: IProtocol | None = None

    def logPrefix(self) -> str:
        """
        Name the wrapped factory too.
        """
        return self.factory.logPrefix()

    def connectionMade(self) -> None:
        """
        Give the caller time to say something.
        """
        self._expectMore()

    def _expectMore(self) -> None:
        """
        Wait for bytes, but not for ever.
        """
        self._waitNoMore()
        self._silence = self.factory.clock.callLater(self.factory.grace, self._silent)

    def _waitNoMore(self) -> None:
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        self._silence = None

    def dataReceived(self, data: bytes) -> None:
        """
        Recognize the caller; then pass everything on.
        """
        if self._recognized:
            if self._wrapped is not None:
                self._wrapped.dataReceived(data)
            return
        self._received += data
        match recognize(self._received):
            case Caller.POLICY:
                self._answer()
            case Caller.PLAIN:
                self._passOn()
            case None:
                self._expectMore()

    def _silent(self) -> None:
        """
        Decide, since the caller says no more.
        """
        if isRequest(self._received):
            # Only its zero byte is missing, and some clients never send that.
            self._answer()
        elif self._received:
            self.factory.log.info(
                "{peer} began a policy request and fell silent; it counts as a plain client",
                peer=describe(self.transport.getPeer()),
            )
            self._passOn()
        else:
            # What it says later can still be a policy request.
            self._connect()

    def _answer(self) -> None:
        """
        The caller asks for the policy file.
        """
        self._recognized = True
        self._waitNoMore()
        self._received = b""
        answerRequest(self.transport, self.factory.policy, self.factory.log)

    def _connect(self) -> None:
        """
        Connect the wrapped protocol.
        """
        self._waitNoMore()
        wrapped = self.factory.wrappedFactory.buildProtocol(self.transport.getPeer())
        if wrapped is None:
            self._recognized = True
            self.transport.loseConnection()
            return
        self._wrapped = wrapped
        wrapped.makeConnection(self.transport)

    def _passOn(self) -> None:
        """
        The caller is plain: what it has said is for the wrapped protocol.
        """
        self._waitNoMore()
        self._recognized = True
        received, self._received = self._received, b""
        if self._wrapped is None:
            self._connect()
        # It may have closed the connection at once.
        if self._wrapped is not None and not getattr(self.transport, "disconnecting", False):
            self._wrapped.dataReceived(received)

    def readConnectionLost(self) -> None:
        """
        The peer has closed its side: decide if nothing is decided, and close
        this side too, unless the wrapped protocol wants to do that itself.
        """
        if not self._recognized:
            if isRequest(self._received):
                self._answer()
                return
            self._passOn()
        half = IHalfCloseableProtocol(self._wrapped, None)
        if half is None:
            self.transport.loseConnection()
        else:
            half.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """
        Pass on that this side has been closed.
        """
        half = IHalfCloseableProtocol(self._wrapped, None)
        if half is not None:
            half.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end; and before it the bytes that were still being looked
        at.
        """
        self._waitNoMore()
        if self._received:
            self._passOn()
        wrapped, self._wrapped = self._wrapped, None
        if wrapped is not None:
            wrapped.connectionLost(reason)


class OnePortFactory(Factory[OnePortProtocol]):
    """
    Puts every kind of client in front of another factory.

    @ivar wrappedFactory: the factory whose protocols get what is not a policy
        request.
    @ivar policy: the answer to policy requests, see
        L{openfl_twisted.protocols.policyfile.PolicySource}.
    @ivar grace: after how many seconds of silence a caller counts as plain.
    """

    protocol = OnePortProtocol
    log = packageLogger()
    noisy = False

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        *,
        policy: PolicySource = PolicyFile.forPort,
        grace: float = GRACE,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param wrappedFactory: the factory for plain clients.
        @param policy: the answer to policy requests; the default lets everybody
            connect to the port on which they ask, and to no other.
        @param grace: after how many seconds of silence a caller counts as
            plain.
        @param clock: for the time; the reactor if there is none.
        """
        if clock is None:
            from twisted.internet import reactor

            clock = cast("IReactorTime", reactor)
        self.wrappedFactory = wrappedFactory
        self.policy = policy
        self.grace = grace
        self.clock = clock

    def logPrefix(self) -> str:
        """
        Name the wrapped factory too.
        """
        wrapped = ILoggingContext(self.wrappedFactory, None)
        name = type(self.wrappedFactory).__name__ if wrapped is None else wrapped.logPrefix()
        return f"{name} (one port)"

    def doStart(self) -> None:
        """
        Start the wrapped factory too.
        """
        self.wrappedFactory.doStart()
        super().doStart()

    def doStop(self) -> None:
        """
        Stop the wrapped factory too.
        """
        self.wrappedFactory.doStop()
        super().doStop()
