"""
C{openfl.net.SecureSocket}: a C{Socket} with TLS, which reports why a certificate was
refused.
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
from openfl_twisted.wire.text import describeValue
from openfl_twisted.wire.x509.certificates import CertificateStatus, Verdict


class SecureSocket(Socket):
    """
    A TLS connection to a server. C{connect} is dispatched only if the server's certificate is
    trusted. Otherwise C{ioError} is dispatched, with the reason as its text. C{timeout}
    includes the TLS handshake.

    @cvar isSupported: always C{True}.
    @ivar trust: the rules of verification and the trust anchors; certificates added to the
        socket are also used. A change takes effect at the next C{connect}.
    @ivar verdict: the result of verifying the server's certificate, with the reasons.
    """

    isSupported: ClassVar[bool] = True

    def __init__(
        self, *, trust: Trust | None = None, autoflush: bool = True, reactor: Any = None
    ) -> None:
        """
        @param trust: see L{trust} (default: the CAs of this machine).
        @param reactor: the reactor (default: the global reactor).
        @raise TypeError: if C{trust} is not a C{Trust}.
        """
        if not (trust is None or isinstance(trust, Trust)):
            raise TypeError(
                f"trust must be a Trust, not {trust!r:.80}: Trust.fromPEM reads a PEM file"
            )
        self.trust = trust or Trust()
        self.verdict = Verdict()
        super().__init__(autoflush=autoflush, reactor=reactor)

    def addBinaryChainBuildingCertificate(
        self, certificate: bytes | bytearray, trusted: bool
    ) -> None:
        """
        Add a certificate for verification. The change takes effect at the next C{connect}.

        @param certificate: the certificate in DER, as a C{ByteArray} or other bytes.
        @param trusted: whether the certificate is a trust anchor. If not, the certificate only
            completes the chain of the server's certificate.
        @raise errors.ArgumentError: #2004, if the bytes are not a certificate.
        """
        try:
            self.trust = self.trust.adding(bytes(certificate), trusted)
        except ValueError:
            raise errors.ArgumentError.numbered(
                2004, words=f"{describeValue(bytes(certificate))} is not a certificate in DER"
            ) from None

    @property
    def serverCertificateStatus(self) -> str:
        """
        The status of the server's certificate, one of C{CertificateStatus}. The status is kept
        after C{close} until the next C{connect}.
        """
        return self.verdict.status

    @property
    def serverCertificate(self) -> X509Certificate | None:
        """
        The server's certificate, if the certificate is trusted. The certificate is kept after
        C{close} until the next C{connect}.
        """
        return self._certificate(self.serverCertificateStatus == CertificateStatus.TRUSTED)

    @property
    def refusedCertificate(self) -> X509Certificate | None:
        """
        The server's certificate, if the certificate was refused. Not available in AIR.
        """
        return self._certificate(self.serverCertificateStatus != CertificateStatus.TRUSTED)

    def _certificate(self, wanted: bool) -> X509Certificate | None:
        certificate = self.verdict.certificate
        return X509Certificate(certificate) if wanted and certificate is not None else None

    def _wrapEndpoint(self, endpoint: IStreamClientEndpoint, host: str) -> IStreamClientEndpoint:
        self.verdict = Verdict()
        return SecureEndpoint(
            endpoint,
            host,
            self.trust,
            # This timeout is only an upper bound: the timeout of the connection attempt started
            # earlier, with the name lookup.
            timeout=self.timeout / 1000,
            judged=self._verified,
            clock=self._link.reactor,
        )

    def _verified(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def _explain(self, reason: Failure, host: str, port: int) -> str:
        if reason.check(HandshakeFailed):
            return reason.getErrorMessage()
        return super()._explain(reason, host, port)
