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

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    ILoggingContext,
    IProtocolFactory,
    IReactorTime,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import directlyProvides, providedBy

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.policyfile import PolicySource, answerRequest
from openfl_twisted.protocols.wrapping import WrappedConnection
from openfl_twisted.wire.firstbytes import Caller, recognize
from openfl_twisted.wire.policy import PolicyFile, isRequest

GRACE = 0.5
"""
After so many seconds of silence a caller counts as plain.
"""


class OnePortProtocol(WrappedConnection):
    """
    Recognizes the caller on one connection; made by L{OnePortFactory}.

    To the wrapped protocol this is its transport. The protocol's
    C{connectionMade} and C{connectionLost} are called once each, or never, if
    nobody was connected to it.
    """

    factory: "OnePortFactory"
    # The first bytes: until they tell who is calling, and until the wrapped protocol takes them.
    _received = b""
    _recognized = False
    _paused = False
    # Whether the peer has closed its side while its first bytes are still kept.
    _halfClosed = False
    _silence: IDelayedCall | None = None

    def __init__(self, factory: "OnePortFactory") -> None:
        super().__init__(cast("Any", factory), cast("Any", None))

    def logPrefix(self) -> str:
        """
        Name the wrapped factory too.
        """
        return self.factory.logPrefix()

    def makeConnection(self, transport: ITransport) -> None:
        """
        Give the caller time to say something.
        """
        directlyProvides(self, providedBy(transport), IHalfCloseableProtocol)
        Protocol.makeConnection(self, transport)
        self._expectMore()

    def _expectMore(self) -> None:
        """
        Wait for bytes, but not for ever.
        """
        self._waitNoMore()
        self._silence = self.factory.clock.callLater(
            self.factory.grace, self._orAbort, self._silent
        )

    def _waitNoMore(self) -> None:
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        self._silence = None

    # Recognizing

    def dataReceived(self, data: bytes) -> None:
        """
        Recognize the caller; then pass everything on.
        """
        if self._recognized and not self._received:
            if self.wrappedProtocol is not None:
                self.wrappedProtocol.dataReceived(data)
            return
        self._received += data
        if self._recognized:
            return
        match recognize(self._received):
            case Caller.POLICY:
                self._answer()
            case Caller.PLAIN:
                self._passOn()
            case None:
                self._expectMore()

    def _orAbort(self, do: Callable[[], object]) -> None:
        """
        Do something outside a read, where the reactor would not end the
        connection if it fails.
        """
        try:
            do()
        except Exception:
            self.factory.log.failure("{peer} has failed", peer=describe(self.getPeer()))
            self.abortConnection()

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
                peer=describe(self.getPeer()),
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
        answerRequest(cast("ITransport", self), self.factory.policy, self.factory.log)

    # Passing on

    def _connect(self) -> None:
        """
        Connect the wrapped protocol.
        """
        self._waitNoMore()
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
        self._waitNoMore()
        self._recognized = True
        if self.wrappedProtocol is None:
            self._connect()
        self._deliver()

    def _deliver(self) -> None:
        """
        Give the first bytes to the wrapped protocol, unless it has paused, or
        closed the connection.
        """
        if self._received and not self._paused:
            received, self._received = self._received, b""
            if not self.disconnecting:
                self.wrappedProtocol.dataReceived(received)
            if self._halfClosed:
                self._passHalfClose()

    def pauseProducing(self) -> None:
        """
        Stop reading from the peer.
        """
        self._paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Read from the peer again.
        """
        self._paused = False
        if self.lost:
            return
        if self._recognized:
            self._orAbort(self._deliver)
        if not self._paused:
            self.transport.resumeProducing()

    # Ending

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
        if self._received and not self.disconnecting:
            self._halfClosed = True
        else:
            self._passHalfClose()

    def _passHalfClose(self) -> None:
        """
        Tell the wrapped protocol that the peer has closed its side.
        """
        half = IHalfCloseableProtocol(self.wrappedProtocol, None)
        if half is None:
            self.loseConnection()
        else:
            half.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """
        Pass on that this side has been closed.
        """
        half = IHalfCloseableProtocol(self.wrappedProtocol, None)
        if half is not None:
            half.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Pass on the end, and before it the bytes that were still being looked
        at; but nobody is connected to a connection that is lost.
        """
        self._waitNoMore()
        self.lost = True
        wrapped, self.wrappedProtocol = self.wrappedProtocol, None
        if wrapped is None:
            return
        try:
            if self._received and not self._recognized:
                wrapped.dataReceived(self._received)
        finally:
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
        self.wrappedFactory = wrappedFactory
        self.policy = policy
        self.grace = grace
        self.clock = clockOrReactor(clock)

    def buildProtocol(self, addr: IAddress | None) -> OnePortProtocol:
        """
        Make the door for a connection. The wrapped factory is asked when it is
        known that the connection is for it.
        """
        return OnePortProtocol(self)

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
