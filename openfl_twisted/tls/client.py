"""
TLS clients that verify the server's certificate themselves.

Twisted's host name verification is not used, because Twisted 26.10 accepts a certificate
without a usable C{subjectAltName}.
"""

from typing import TYPE_CHECKING, Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from openfl_twisted.tls.connection import BoundedConnection
from openfl_twisted.tls.judge import Judge
from openfl_twisted.tls.trust import Trust
from openfl_twisted.wire.x509._servernames import ServerName
from openfl_twisted.wire.x509.certificates import CertificateStatus, Verdict

if TYPE_CHECKING:
    from openfl_twisted.tls.identities import KeyPair

_WORDS = {
    "wrong version number": "the peer does not speak TLS",
    "packet length too long": "the peer does not speak TLS",
    "http request": "the peer speaks HTTP instead of TLS",
    "record layer failure": "the peer does not speak TLS",
    "unexpected message": "the peer sent an unexpected TLS message",
    "unsupported protocol": "the peer supports neither TLS 1.2 nor TLS 1.3",
    "tlsv1 alert protocol version": "the peer supports neither TLS 1.2 nor TLS 1.3",
    "excessive message size": "the peer sent a TLS handshake message that is too long",
}


class HandshakeFailed(SSL.Error):
    """
    The TLS handshake has failed. The text of the exception is the reason.

    @ivar verdict: the result of verifying the server's certificate.
    """

    def __init__(self, problems: Any, verdict: Verdict) -> None:
        """
        @param problems: OpenSSL's errors: tuples of library, function and reason.
        """
        super().__init__(problems)
        self.verdict = verdict

    def __str__(self) -> str:
        reason = _reasonOf(self)
        return f"the TLS handshake failed: {_WORDS.get(reason, reason)}"


class CertificateRefused(HandshakeFailed):
    """
    The server's certificate was refused, and the TLS handshake was aborted. The text of the
    exception contains the reason and the certificate's subject.
    """

    def __str__(self) -> str:
        return self.verdict.text


class _JudgedConnection(BoundedConnection):
    def __init__(self, context: SSL.Context, protocol: TLSMemoryBIOProtocol, judge: Judge) -> None:
        super().__init__(context, protocol)
        self.judge = judge
        self.verdict = Verdict()

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (SSL.WantReadError, SSL.SysCallError):
            raise
        except SSL.ZeroReturnError:
            # The peer has sent close_notify. Twisted does not expect this exception during a
            # handshake.
            problems = [("", "", "the peer closed the connection")]
            raise HandshakeFailed(problems, self.verdict) from None
        except SSL.Error as error:
            raise self._explain(error) from None
        verdict = self.judge.verdict
        if verdict.status != CertificateStatus.TRUSTED:
            raise HandshakeFailed([("", "", "the server's certificate was not verified")], verdict)
        self.verdict = verdict

    def _explain(self, error: SSL.Error) -> HandshakeFailed:
        judge = self.judge
        problems = error.args[0] if error.args else []
        peerAborted = "alert" in _reasonOf(error)
        if judge.verdict.status == CertificateStatus.TRUSTED and not peerAborted:
            judge.keyNotProved()
        elif judge.verdict.certificate is None and _isCertificateProblem(problems):
            judge.unreadable(_reasonOf(error))
        self.verdict = judge.verdict
        if judge.verdict.status in (CertificateStatus.UNKNOWN, CertificateStatus.TRUSTED):
            # The handshake has failed for a reason other than the certificate.
            self.verdict = Verdict()
            return HandshakeFailed(problems, self.verdict)
        return CertificateRefused(problems, self.verdict)


def _setAlert(connection: Any, judge: Judge) -> None:
    """
    Select the TLS alert for a refused certificate. OpenSSL derives the alert from an error
    code, but pyOpenSSL resets this code, so that every alert is C{internal_error}. The code
    can only be set through private names of pyOpenSSL. If these names are missing, the alert
    stays C{internal_error}.
    """
    try:
        lib, ffi = SSL._lib, SSL._ffi  # type: ignore[attr-defined]  # noqa: SLF001
        verify, ssl = connection._verify_callback, connection._ssl  # noqa: SLF001
        setCode, setVerify = lib.X509_STORE_CTX_set_error, lib.SSL_set_verify
    except AttributeError:
        return

    def verifyAndSetCode(ok: int, context: Any) -> int:
        accepted: int = verify(ok, context)
        if not accepted:
            setCode(context, judge.alertCode)
        return accepted

    # Store a reference, because OpenSSL does not keep the object alive.
    connection.alertCallback = ffi.callback("int (*)(int, X509_STORE_CTX *)", verifyAndSetCode)
    setVerify(ssl, connection.get_verify_mode(), connection.alertCallback)


def _reasonOf(error: SSL.Error) -> str:
    """
    Return the text of OpenSSL's last error.
    """
    problems = error.args[0] if error.args else None
    return problems[-1][2] if problems else "the connection was closed"


def _isCertificateProblem(problems: Any) -> bool:
    """
    Check whether OpenSSL failed to parse a certificate.
    """
    return any(
        library in ("asn1 encoding routines", "x509 certificate routines")
        or reason == "cert length mismatch"
        for library, _, reason in problems
    )


@implementer(IOpenSSLClientConnectionCreator)
class SecureConnectionCreator:
    """
    Creates the TLS connections to one server, for C{wrapClientTLS} and other Twisted APIs that
    accept a client's TLS options. The server's certificate is verified by this package, and
    application data is sent only if the certificate is trusted.

    If the certificate is refused, the connection is lost with L{CertificateRefused} as the
    reason. If the handshake fails otherwise, the reason is L{HandshakeFailed}.
    """

    def __init__(
        self, hostname: str, trust: Trust | None = None, certificate: "KeyPair | None" = None
    ) -> None:
        """
        @param hostname: the DNS name or IP address that the certificate must be valid
            for.
        @param trust: the trust anchors and rules (default: the CAs of this machine).
        @param certificate: the certificate that this side presents if the server requests one
            (mutual TLS); C{None} for no certificate.
        @raise CertificateError: if OpenSSL refuses the certificate.
        """
        self._name = ServerName(hostname)
        self._trust = trust or Trust()
        # The contexts without a certificate are shared, and created when they are needed.
        self._context: SSL.Context | None = None
        if certificate is not None:
            self._context = self._trust.newContext()
            certificate.use(self._context)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        judge = Judge(self._name, self._trust)
        context = self._context or self._trust.context()
        connection = _JudgedConnection(context, tlsProtocol, judge)
        connection.set_options(SSL.OP_NO_RENEGOTIATION)
        if self._name.indication is not None:
            connection.set_tlsext_host_name(self._name.indication)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, judge.verify)
        _setAlert(connection, judge)
        connection.request_ocsp()
        return connection


def verdictOf(transport: Any) -> Verdict:
    """
    Return the verification result of a TLS connection.

    @param transport: the transport of a protocol; the TLS handshake must be complete.
    @return: the verdict; C{unknown} if the connection was not created by
        L{SecureConnectionCreator}.
    """
    handle = transport.getHandle()
    return handle.verdict if isinstance(handle, _JudgedConnection) else Verdict()
