"""
C{openfl.net.SecureSocket}: a C{Socket} in TLS, that knows exactly why it did
not trust a server.
"""

from typing import Any, ClassVar

from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure

from openfl_twisted import errors
from openfl_twisted.net.socket import Socket
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.security import X509Certificate
from openfl_twisted.tls import Trust
from openfl_twisted.tls.client import HandshakeFailed
from openfl_twisted.wire.x509.certificates import CertificateStatus, Verdict


class SecureSocket(Socket):
    """
    A connection in TLS to a server. It is as L{Socket}, but C{connect} is
    dispatched only if the server's certificate is trusted. If it is not, there
    is an C{ioError}, whose text says why; and C{timeout} covers the handshake
    too.

    @cvar isSupported: whether there can be any: always.
    @ivar trust: whom to believe besides the certificates that were added, and
        how strictly. It counts from the next C{connect} on.
    @ivar verdict: what is thought of the server's certificate, and why.
    """

    isSupported: ClassVar[bool] = True

    def __init__(
        self, *, trust: Trust | None = None, autoflush: bool = True, reactor: Any = None
    ) -> None:
        """
        @param trust: see the attribute; C{None} for the authorities of this
            machine.
        @param autoflush: see L{Socket}.
        @param reactor: the reactor, or C{None} for the one that runs.
        """
        self.trust = trust or Trust()
        self.verdict = Verdict()
        super().__init__(autoflush=autoflush, reactor=reactor)

    def addBinaryChainBuildingCertificate(
        self, certificate: bytes | bytearray, trusted: bool
    ) -> None:
        """
        Know one more certificate, from the next C{connect} on.

        @param certificate: the certificate in DER: a C{ByteArray}, or other
            bytes.
        @param trusted: whether it is believed; if not, it only helps to find
            who has signed the server's.
        @raise errors.ArgumentError: #2004, if it is no certificate.
        """
        try:
            self.trust = self.trust.adding(bytes(certificate), trusted)
        except ValueError:
            raise errors.ArgumentError.numbered(2004) from None

    @property
    def serverCertificateStatus(self) -> str:
        """
        What is thought of the server's certificate: one of
        C{CertificateStatus}. It stays after C{close}, until the next
        C{connect}.
        """
        return self.verdict.status

    @property
    def serverCertificate(self) -> X509Certificate | None:
        """
        The server's certificate, if it is trusted. It stays after C{close},
        until the next C{connect}.
        """
        return self._certificate(self.serverCertificateStatus == CertificateStatus.TRUSTED)

    @property
    def refusedCertificate(self) -> X509Certificate | None:
        """
        The server's certificate, if it was refused; AIR does not show it.
        """
        return self._certificate(self.serverCertificateStatus != CertificateStatus.TRUSTED)

    def _certificate(self, wanted: bool) -> X509Certificate | None:
        certificate = self.verdict.certificate
        return X509Certificate(certificate) if wanted and certificate is not None else None

    def _way(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        self.verdict = Verdict()
        return SecureEndpoint(
            endpoint,
            host,
            self.trust,
            # The attempt ends at this time in any case; it began with the name.
            timeout=self.timeout / 1000,
            judged=self._judged,
            clock=self._link.reactor,
        )

    def _judged(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def _explain(self, reason: Failure, host: str, port: int) -> str:
        if reason.check(HandshakeFailed):
            return reason.getErrorMessage()
        return super()._explain(reason, host, port)
