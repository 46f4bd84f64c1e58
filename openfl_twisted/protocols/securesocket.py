"""
The client end of a C{SecureSocket}: a connection in TLS to a server whose
certificate is trusted, or the exact reason why there is none.

A protocol is connected only when the handshake is completed and the certificate
is trusted. So it cannot send anything to a stranger.
"""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import NoProtocol
from twisted.internet.error import TimeoutError as HandshakeTimedOut
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IProtocol,
    IProtocolFactory,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.protocols.binarysocket import BinarySocketFactory, BinarySocketProtocol
from openfl_twisted.tls import HandshakeFailed, SecureConnectionCreator, Trust, verdictOf
from openfl_twisted.wire.x509.certificates import Verdict

HANDSHAKE_TIMEOUT = 20.0
"""
How many seconds a handshake may take, if nobody says otherwise.
"""


class SecureSocketProtocol(BinarySocketProtocol):
    """
    The client end of a C{SecureSocket} connection. Subclasses override
    C{socketDataReceived}, and may override L{handshakeFailed}.

    C{connectionMade} is called when the server is trusted. Otherwise
    L{handshakeFailed} is called, and nothing else.

    @ivar verdict: what is thought of the server's certificate; C{unknown} until
        there is a connection or the handshake has failed.
    """

    verdict = Verdict()

    @property
    def serverCertificateStatus(self) -> str:
        """
        The verdict as one of C{CertificateStatus}.
        """
        return self.verdict.status

    def handshakeFailed(self, reason: Failure) -> None:
        """
        There is no connection; override this.

        @param reason: holds a L{CertificateRefused
            <openfl_twisted.tls.CertificateRefused>}, a L{HandshakeFailed}, or
            Twisted's C{TimeoutError}.
        """
        self.log.warn("no secure connection: {reason}", reason=reason.getErrorMessage())


class SecureSocketFactory(BinarySocketFactory, ClientFactory):
    """
    Makes L{SecureSocketProtocol}s, each inside TLS: for C{connectTCP} and for
    endpoints of TCP.
    """

    def __init__(
        self,
        protocol: Callable[[], SecureSocketProtocol],
        hostname: str,
        trust: Trust | None = None,
        *,
        timeout: float = HANDSHAKE_TIMEOUT,
        maxUnread: int | None = None,
        maxQueue: int | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param protocol: makes a protocol: your subclass of
            L{SecureSocketProtocol}.
        @param hostname: whom the server's certificate must be for.
        @param trust: whom to believe; C{None} for the authorities of this
            machine.
        @param timeout: how many seconds the handshake may take.
        @param maxUnread: see L{BinarySocketFactory}.
        @param maxQueue: see L{BinarySocketFactory}.
        @param clock: measures the time; C{None} for the reactor.
        """
        super().__init__(protocol, maxUnread=maxUnread, maxQueue=maxQueue)
        self._creator = SecureConnectionCreator(hostname, trust)
        self._timeout = timeout
        self._clock = clockOrReactor(clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Make a protocol, and TLS around it.
        """
        protocol = cast("SecureSocketProtocol", super().buildProtocol(addr))
        handshake = _ProtocolHandshake(protocol, self._timeout, self._clock)
        factory = Factory.forProtocol(lambda: handshake)
        factory.noisy = False
        return _inTLS(self._creator, factory, self._clock).buildProtocol(addr)


@implementer(IStreamClientEndpoint)
class SecureEndpoint:
    """
    Connects any protocol in TLS. Unlike Twisted's C{wrapClientTLS} its
    C{connect} succeeds only when the server is trusted, and fails with the
    exact reason.
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        hostname: str,
        trust: Trust | None = None,
        *,
        timeout: float = HANDSHAKE_TIMEOUT,
        judged: Callable[[Verdict], object] | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param endpoint: how to get to the server.
        @param hostname: whom its certificate must be for.
        @param trust: whom to believe; C{None} for the authorities of this
            machine.
        @param timeout: how many seconds the handshake may take.
        @param judged: called with what is thought of the server's certificate,
            before anything else hears of the connection.
        @param clock: measures the time; C{None} for the reactor.
        """
        self._endpoint = endpoint
        self._creator = SecureConnectionCreator(hostname, trust)
        self._timeout = timeout
        self._judged = judged
        self._clock = clockOrReactor(clock)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """
        Connect.

        @return: fires with the protocol; fails with L{HandshakeFailed}, or with
            what kept the endpoint from connecting.
        """
        handshake = _EndpointHandshake(protocolFactory, self._judged, self._timeout, self._clock)
        factory = _inTLS(self._creator, _HandshakeFactory(handshake, protocolFactory), self._clock)
        connecting = self._endpoint.connect(factory)
        handshake.outcome = Deferred(lambda _: handshake.abandon(connecting))
        connecting.addErrback(handshake.end)
        return handshake.outcome


def _inTLS(
    creator: SecureConnectionCreator, factory: IProtocolFactory, clock: IReactorTime
) -> TLSMemoryBIOFactory:
    """
    Put TLS around the protocols of a factory.
    """
    return TLSMemoryBIOFactory(creator, True, factory, clock)


@implementer(IHandshakeListener)
class _Handshake(Protocol):
    """
    Stands where the protocol will be, until the handshake is completed; then it
    gives up its place.
    """

    transport: Any
    _detectionTimer: IDelayedCall | None = None
    _over = False
    # Whether the connection was cancelled; a callback of the program can do that too.
    _abandoned = False

    def __init__(self, timeout: float, clock: IReactorTime) -> None:
        self._timeout = timeout
        self._clock = clock

    def trusted(self, verdict: Verdict) -> IProtocol | None:
        """
        The server is trusted.

        @return: the protocol to connect; C{None} for none.
        """
        raise NotImplementedError

    def established(self, protocol: IProtocol) -> None:
        """
        The protocol is connected.
        """

    def failed(self, reason: Failure) -> None:
        """
        There will be no connection.
        """
        raise NotImplementedError

    def connectionMade(self) -> None:
        """
        Wait, but not for ever.
        """
        self._detectionTimer = self._clock.callLater(self._timeout, self._timedOut)

    def _timedOut(self) -> None:
        self._detectionTimer = None
        reason = f"the TLS handshake was not completed within {self._timeout:g} seconds"
        self.end(Failure(HandshakeTimedOut(string=reason)))
        self.transport.abortConnection()

    def handshakeCompleted(self) -> None:
        """
        Connect the protocol.
        """
        self._stop()
        try:
            protocol = self._connect()
        except Exception:
            if self._abandoned:
                raise
            # It is the user's, and whoever waits must hear of it.
            self.failed(Failure())
            self.transport.abortConnection()
        else:
            if protocol is not None and not self._abandoned:
                self.established(protocol)

    def _connect(self) -> IProtocol | None:
        """
        Connect the protocol.

        @return: the protocol; C{None} if the connection was cancelled before.
        @raise NoProtocol: if there is none.
        """
        protocol = self.trusted(verdictOf(self.transport))
        if self._abandoned:
            return None
        if protocol is None:
            raise NoProtocol
        self.transport.wrappedProtocol = protocol
        protocol.makeConnection(self.transport)
        if IHandshakeListener.providedBy(protocol) and not self._abandoned:
            protocol.handshakeCompleted()
        return protocol

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Say why there is no connection.
        """
        if reason.check(HandshakeFailed) is None:
            reason = Failure(HandshakeFailed([], Verdict()))
        self.end(reason)

    def end(self, reason: Failure) -> None:
        """
        Fail, if that has not been said yet.
        """
        if not self._over:
            self._stop()
            self.failed(reason)

    def abandon(self, connecting: Deferred[Any]) -> None:
        """
        Be wanted no more.
        """
        self._stop()
        self._abandoned = True
        if self.transport is None:
            connecting.cancel()
        else:
            self.transport.abortConnection()

    def _stop(self) -> None:
        self._over = True
        if self._detectionTimer is not None:
            self._detectionTimer.cancel()
            self._detectionTimer = None


class _ProtocolHandshake(_Handshake):
    """
    The handshake of a L{SecureSocketProtocol}.
    """

    def __init__(self, protocol: SecureSocketProtocol, timeout: float, clock: IReactorTime) -> None:
        super().__init__(timeout, clock)
        self._protocol = protocol

    def trusted(self, verdict: Verdict) -> IProtocol:
        """
        Tell the protocol who is there.
        """
        self._protocol.verdict = verdict
        return self._protocol

    def failed(self, reason: Failure) -> None:
        """
        Tell the protocol why it is not connected.
        """
        self._protocol.verdict = verdictIn(reason)
        self._protocol.handshakeFailed(reason)


class _EndpointHandshake(_Handshake):
    """
    The handshake of a L{SecureEndpoint}.
    """

    outcome: Deferred[IProtocol]

    def __init__(
        self,
        factory: IProtocolFactory,
        judged: Callable[[Verdict], object] | None,
        timeout: float,
        clock: IReactorTime,
    ) -> None:
        super().__init__(timeout, clock)
        self._factory = factory
        self._judged = judged or (lambda verdict: None)

    def trusted(self, verdict: Verdict) -> IProtocol | None:
        """
        Make the protocol.
        """
        self._judged(verdict)
        if self._abandoned:
            return None
        return self._factory.buildProtocol(self.transport.getPeer())

    def established(self, protocol: IProtocol) -> None:
        """
        Tell who waits for the connection.
        """
        self.outcome.callback(protocol)

    def failed(self, reason: Failure) -> None:
        """
        Tell who waits for the connection why there is none.
        """
        self._judged(verdictIn(reason))
        if not self._abandoned:
            self.outcome.errback(reason)


class _HandshakeFactory(Factory[_Handshake]):
    """
    Makes one handshake, and starts and stops with the factory of the protocol
    behind it.
    """

    noisy = False

    def __init__(self, handshake: _Handshake, factory: IProtocolFactory) -> None:
        self._handshake = handshake
        self._factory = factory

    def doStart(self) -> None:
        """
        Start.
        """
        super().doStart()
        self._factory.doStart()

    def doStop(self) -> None:
        """
        Stop.
        """
        super().doStop()
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> _Handshake:
        """
        Get the handshake.
        """
        return self._handshake


def verdictIn(reason: Failure) -> Verdict:
    """
    Get what was thought of the server's certificate when there came no
    connection.

    @param reason: why there came none. Without a L{HandshakeFailed} in it
        nothing is known, as of a server that cannot be reached.
    """
    return reason.value.verdict if isinstance(reason.value, HandshakeFailed) else Verdict()
