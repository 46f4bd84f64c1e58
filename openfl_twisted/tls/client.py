"""
TLS clients that judge their server themselves.

Twisted's own check of the server's name is not used: in 26.10 a certificate
without a usable C{subjectAltName} passes it.
"""

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from openfl_twisted.tls.connection import BoundedConnection
from openfl_twisted.tls.judge import Judge
from openfl_twisted.tls.trust import Trust
from openfl_twisted.wire.x509.certificates import CertificateStatus, Verdict
from openfl_twisted.wire.x509.servernames import ServerName

_WORDS = {
    "wrong version number": "the peer does not speak TLS",
    "packet length too long": "the peer does not speak TLS",
    "http request": "the peer speaks HTTP and not TLS",
    "record layer failure": "the peer does not speak TLS",
    "unexpected message": "the peer does not answer as a TLS server does",
    "unsupported protocol": "the peer speaks no version of TLS that is safe",
    "tlsv1 alert protocol version": "the peer speaks no version of TLS that is safe",
    "excessive message size": "the peer sent more than a handshake may have",
}


class HandshakeFailed(SSL.Error):
    """
    The TLS handshake failed. The text says why, in words.

    @ivar verdict: what is thought of the server's certificate.
    """

    def __init__(self, problems: Any, verdict: Verdict) -> None:
        """
        @param problems: what OpenSSL says: tuples of library, function, reason.
        """
        super().__init__(problems)
        self.verdict = verdict

    def __str__(self) -> str:
        reason = _reasonOf(self)
        return f"the TLS handshake failed: {_WORDS.get(reason, reason)}"


class CertificateRefused(HandshakeFailed):
    """
    The TLS handshake was broken off, because of the server's certificate. The
    text says why, in words, and names its subject.
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
            # It was closed, in the manner of TLS. Twisted does not expect this one here.
            raise HandshakeFailed([("", "", "the peer has ended it")], self.verdict) from None
        except SSL.Error as error:
            raise self._explain(error) from None
        verdict = self.judge.verdict
        if verdict.status != CertificateStatus.TRUSTED:
            raise HandshakeFailed([("", "", "no certificate was judged")], verdict)
        self.verdict = verdict

    def _explain(self, error: SSL.Error) -> HandshakeFailed:
        judge = self.judge
        problems = error.args[0] if error.args else []
        if judge.verdict.status == CertificateStatus.TRUSTED and not _isAlert(error):
            judge.notOwned()
        elif judge.verdict.certificate is None and _isCertificateProblem(problems):
            judge.unreadable(_reasonOf(error))
        self.verdict = judge.verdict
        if judge.verdict.status in (CertificateStatus.UNKNOWN, CertificateStatus.TRUSTED):
            # It was not the certificate, and so nothing is said of it.
            self.verdict = Verdict()
            return HandshakeFailed(problems, self.verdict)
        return CertificateRefused(problems, self.verdict)


def _setAlert(connection: Any, judge: Judge) -> None:
    """
    Select the TLS alert that fits the verdict. OpenSSL derives the alert from an
    error code. pyOpenSSL resets this code whenever the judge lets the verification
    continue, so every alert would be C{internal_error}. pyOpenSSL has no public way
    to set the code. Without its private names the alert stays C{internal_error}.
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

    # OpenSSL does not keep it alive.
    connection.alertCallback = ffi.callback("int (*)(int, X509_STORE_CTX *)", verifyAndSetCode)
    setVerify(ssl, connection.get_verify_mode(), connection.alertCallback)


def _reasonOf(error: SSL.Error) -> str:
    """
    Get OpenSSL's words for what has happened last.
    """
    problems = error.args[0] if error.args else None
    return problems[-1][2] if problems else "the connection was closed"


def _isAlert(error: SSL.Error) -> bool:
    """
    Check whether it was the peer that has broken off the handshake.
    """
    return "alert" in _reasonOf(error)


def _isCertificateProblem(problems: Any) -> bool:
    """
    Check whether OpenSSL could not read a certificate.
    """
    return any(
        library in ("asn1 encoding routines", "x509 certificate routines")
        or reason == "cert length mismatch"
        for library, _, reason in problems
    )


@implementer(IOpenSSLClientConnectionCreator)
class SecureConnectionCreator:
    """
    Makes the TLS connections to one server, for C{wrapClientTLS} and all else
    in Twisted that takes a client's TLS options. It decides itself on the
    server's certificate, and no byte of the application leaves unless that is
    trusted.

    A connection that is refused is lost with L{CertificateRefused} as its
    reason, and one whose handshake fails otherwise with L{HandshakeFailed}.
    """

    def __init__(self, hostname: str, trust: Trust | None = None) -> None:
        """
        @param hostname: whom the certificate must be for: a DNS name or an IP
            address.
        @param trust: whom to believe; C{None} for the authorities of this
            machine.
        """
        self._name = ServerName(hostname)
        self._trust = trust or Trust()

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        judge = Judge(self._name, self._trust)
        connection = _JudgedConnection(self._trust.context(), tlsProtocol, judge)
        connection.set_options(SSL.OP_NO_RENEGOTIATION)
        if self._name.indication is not None:
            connection.set_tlsext_host_name(self._name.indication)
        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, judge.verify)
        _setAlert(connection, judge)
        connection.request_ocsp()
        return connection


def verdictOf(transport: Any) -> Verdict:
    """
    Get what is thought of the server of a connection.

    @param transport: the transport of a protocol whose handshake is completed.
    @return: the verdict; C{unknown} for a connection that has no judge.
    """
    handle = transport.getHandle()
    return handle.verdict if isinstance(handle, _JudgedConnection) else Verdict()
