"""
The client protocol of C{SecureSocket}: TLS with verification of the server's certificate.
Failures are reported with the exact reason.

A protocol is connected only when the TLS handshake is complete and the certificate is trusted.
A protocol therefore cannot send data to an untrusted server.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

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
from openfl_twisted.types import AnyClock, AnyEndpoint, AnyFactory
from openfl_twisted.wire.x509.certificates import Verdict

if TYPE_CHECKING:
    from openfl_twisted.tls.identities import KeyPair

HANDSHAKE_TIMEOUT = 20.0
"""
Default maximum time until the TLS handshake is complete (seconds).
"""


class SecureSocketProtocol(BinarySocketProtocol):
    """
    The client side of a C{SecureSocket} connection. Subclasses override
    C{socketDataReceived}, and may override L{handshakeFailed}.

    C{connectionMade} is called when the server is trusted. Otherwise only
    L{handshakeFailed} is called.

    @ivar verdict: the result of verifying the server's certificate; C{unknown} before
        the end of the handshake.
    """

    verdict = Verdict()

    @property
    def serverCertificateStatus(self) -> str:
        """
        The status of the server's certificate, one of C{CertificateStatus}.
        """
        return self.verdict.status

    def handshakeFailed(self, reason: Failure) -> None:
        """
        Called when the connection cannot be established. Subclasses can override this method.
        The default logs the reason.

        @param reason: contains a L{CertificateRefused
            <openfl_twisted.tls.CertificateRefused>}, a L{HandshakeFailed}, or Twisted's
            C{TimeoutError}.
        """
        self.log.warn("TLS connection failed: {reason}", reason=reason.getErrorMessage())


class SecureSocketFactory(BinarySocketFactory, ClientFactory):
    """
    Factory that runs L{SecureSocketProtocol} over TLS. Pass the factory to C{connectTCP} or to
    a TCP endpoint: the factory adds TLS itself.
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
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param protocol: creates a protocol: your subclass of L{SecureSocketProtocol}.
        @param hostname: the host name that the server's certificate must contain.
        @param trust: the trust anchors (default: the trust anchors of the system).
        @param timeout: maximum time until the handshake is complete (seconds).
        @param maxUnread: see L{BinarySocketFactory}.
        @param maxQueue: see L{BinarySocketFactory}.
        @param clock: the clock (default: the global reactor).
        """
        super().__init__(protocol, maxUnread=maxUnread, maxQueue=maxQueue)
        self._creator = SecureConnectionCreator(hostname, trust)
        self._timeout = timeout
        self._clock = clockOrReactor(clock)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        protocol = cast("SecureSocketProtocol", super().buildProtocol(addr))
        handshake = _ProtocolHandshake(protocol, self._timeout, self._clock)
        factory = Factory.forProtocol(lambda: handshake)
        factory.noisy = False
        secure = TLSMemoryBIOFactory(self._creator, True, factory, self._clock)
        return secure.buildProtocol(addr)


@implementer(IStreamClientEndpoint)
class SecureEndpoint:
    """
    Connects any protocol with TLS. Unlike Twisted's C{wrapClientTLS}, its C{connect}
    succeeds only when the server is trusted, and fails with the exact reason.
    """

    def __init__(
        self,
        endpoint: AnyEndpoint,
        hostname: str,
        trust: Trust | None = None,
        *,
        timeout: float = HANDSHAKE_TIMEOUT,
        judged: Callable[[Verdict], object] | None = None,
        certificate: "KeyPair | None" = None,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param hostname: the host name that the server's certificate must contain.
        @param trust: the trust anchors (default: the trust anchors of the system).
        @param certificate: the certificate that this side presents if the server requests one
            (default: no certificate).
        @param timeout: maximum time until the handshake is complete (seconds).
        @param judged: called with the result of verifying the server's certificate,
            before the protocol is connected or C{connect} fails.
        @param clock: the clock (default: the global reactor).
        """
        self._endpoint = endpoint
        self._creator = SecureConnectionCreator(hostname, trust, certificate)
        self._timeout = timeout
        self._judged = judged
        self._clock = clockOrReactor(clock)

    def connect(self, protocolFactory: AnyFactory) -> Deferred[IProtocol]:
        """
        Connect with TLS.

        @return: fires with the protocol; fails with L{HandshakeFailed}, or with the error from
            the wrapped endpoint.
        """
        made = cast("IProtocolFactory", protocolFactory)
        handshake = _EndpointHandshake(made, self._judged, self._timeout, self._clock)
        factory = _HandshakeFactory(handshake, made)
        secure = TLSMemoryBIOFactory(self._creator, True, factory, self._clock)
        connecting = self._endpoint.connect(secure)
        handshake.outcome = Deferred(lambda _: handshake.abandon(connecting))
        connecting.addErrback(handshake.end)
        return handshake.outcome


@implementer(IHandshakeListener)
class _Handshake(Protocol):
    """
    The protocol during the TLS handshake. After the handshake, it is replaced by the wrapped
    protocol.
    """

    transport: Any
    _timer: IDelayedCall | None = None
    _over = False
    # Whether the connection attempt was cancelled. A callback from the program can also cancel it.
    _abandoned = False

    def __init__(self, timeout: float, clock: IReactorTime) -> None:
        self._timeout = timeout
        self._clock = clock

    def trusted(self, verdict: Verdict) -> IProtocol | None:
        """
        Called when the server is trusted.

        @return: the protocol to connect; C{None} if there is no protocol.
        """
        raise NotImplementedError

    def established(self, protocol: IProtocol) -> None:
        """
        Called when the protocol is connected.
        """

    def failed(self, reason: Failure) -> None:
        """
        Called when the connection cannot be established.
        """
        raise NotImplementedError

    def connectionMade(self) -> None:
        self._timer = self._clock.callLater(self._timeout, self._timedOut)

    def _timedOut(self) -> None:
        self._timer = None
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
            # An error raised by the application must be reported to the caller of connect().
            self.failed(Failure())
            self.transport.abortConnection()
        else:
            if protocol is not None and not self._abandoned:
                self.established(protocol)

    def _connect(self) -> IProtocol | None:
        """
        Connect the protocol.

        @return: the protocol; C{None} if the connection attempt was cancelled.
        @raise NoProtocol: if the factory has created no protocol.
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
        Report why the connection cannot be established.
        """
        if reason.check(HandshakeFailed) is None:
            reason = Failure(HandshakeFailed([], Verdict()))
        self.end(reason)

    def end(self, reason: Failure) -> None:
        """
        Report a failure. Further calls have no effect.
        """
        if not self._over:
            self._stop()
            self.failed(reason)

    def abandon(self, connecting: Deferred[Any]) -> None:
        """
        Cancel the connection attempt.
        """
        self._stop()
        self._abandoned = True
        if self.transport is None:
            connecting.cancel()
        else:
            self.transport.abortConnection()

    def _stop(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _ProtocolHandshake(_Handshake):
    """
    The handshake of a L{SecureSocketProtocol}.
    """

    def __init__(self, protocol: SecureSocketProtocol, timeout: float, clock: IReactorTime) -> None:
        super().__init__(timeout, clock)
        self._protocol = protocol

    def trusted(self, verdict: Verdict) -> IProtocol:
        self._protocol.verdict = verdict
        return self._protocol

    def failed(self, reason: Failure) -> None:
        self._protocol.verdict = _failedVerdict(reason)
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
        self._judged(verdict)
        if self._abandoned:
            return None
        return self._factory.buildProtocol(self.transport.getPeer())

    def established(self, protocol: IProtocol) -> None:
        self.outcome.callback(protocol)

    def failed(self, reason: Failure) -> None:
        self._judged(_failedVerdict(reason))
        if not self._abandoned:
            self.outcome.errback(reason)


class _HandshakeFactory(Factory[_Handshake]):
    """
    Builds one handshake protocol. This factory starts and stops the wrapped factory.
    """

    noisy = False

    def __init__(self, handshake: _Handshake, factory: IProtocolFactory) -> None:
        self._handshake = handshake
        self._factory = factory

    def doStart(self) -> None:
        super().doStart()
        self._factory.doStart()

    def doStop(self) -> None:
        super().doStop()
        self._factory.doStop()

    def buildProtocol(self, addr: IAddress | None) -> _Handshake:
        return self._handshake


def _failedVerdict(reason: Failure) -> Verdict:
    """
    Return the verdict of a failed connection.

    @param reason: the failure. Without a L{HandshakeFailed}, the verdict is unknown.
    """
    return reason.value.verdict if isinstance(reason.value, HandshakeFailed) else Verdict()
