"""
Certificates of clients: a server with mutual TLS accepts only clients with a certificate.
"""

from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from OpenSSL.crypto import X509

from openfl_twisted.tls.identities import CertificateError, CertificateUnreadable
from openfl_twisted.tls.trust import Trust
from openfl_twisted.wire.x509.certificates import MALFORMED, subjectOf, unwarned

# OpenSSL's error codes for certificates (X509_V_ERR_...).
_REASONS = {
    3: "no current revocation list (CRL) covers it",
    9: "it is not valid yet",
    10: "it has expired",
    12: "no current revocation list (CRL) covers it",
    18: "it is not signed by a CA of the server",
    19: "it is not signed by a CA of the server",
    20: "it is not signed by a CA of the server",
    21: "it is not signed by a CA of the server",
    23: "it is revoked",
    26: "it is not valid for clients: its extendedKeyUsage lacks clientAuth",
}


class ClientCA:
    """
    The CAs whose certificates a server requires of its clients.
    """

    def __init__(self, path: Path) -> None:
        """
        @param path: a PEM file with the certificates of the CAs. If it also contains revocation
            lists (CRLs), a current list must cover each certificate.
        @raise CertificateUnreadable: if this process may not read the file.
        @raise CertificateError: if the file cannot be used.
        """
        try:
            self._trust = Trust.fromPEM(path)
        except PermissionError as problem:
            raise CertificateUnreadable(f"{path}: {problem.strerror}") from None
        except OSError as problem:
            raise CertificateError(f"{path}: {problem.strerror}") from None
        except ValueError as problem:
            raise CertificateError(str(problem)) from None

    def use(self, context: Any) -> None:
        """
        Trust the CAs in an OpenSSL context, and name them to clients.
        """
        store = context.get_cert_store()
        for certificate in self._trust.anchors:
            store.add_cert(X509.from_cryptography(certificate))
            context.add_client_ca(certificate)
        self._trust.setLists(store)


def requireCertificate(connection: Any) -> None:
    """
    Require a certificate of the client, signed by a CA of the connection's context.

    @param connection: the OpenSSL connection. Its attribute C{refusal} is set to the reason if the
        certificate is refused.
    """
    # The callback must belong to the connection: its context can be replaced, and freed.
    connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _verify)


def _verify(connection: Any, certificate: X509, code: int, depth: int, ok: int) -> bool:
    """
    Called by OpenSSL for each certificate, and for each problem. Store the first problem, for the
    log.
    """
    if not ok and not connection.refusal:
        reason = _REASONS.get(code, f"OpenSSL error {code}")
        connection.refusal = f"the server refused the certificate {shown(certificate)}: {reason}"
    return bool(ok)


def shown(certificate: X509) -> str:
    """
    Return the subject of a client's certificate for a log line. OpenSSL accepts certificates that
    cryptography cannot parse, or warns about.
    """
    try:
        with unwarned():
            return subjectOf(certificate.to_cryptography())
    except MALFORMED:
        return "(malformed)"


def clientNameOf(transport: Any) -> str | None:
    """
    Return the name of a client that has presented a certificate.

    @param transport: the transport of a protocol on a server with C{--tls-client-ca}.
    @return: the common name in the subject of the certificate; without a common name, the whole
        subject as in RFC 4514. C{None} if the client has presented no certificate.
    """
    get = getattr(transport, "getPeerCertificate", None)
    found: X509 | None = None if get is None else get()
    if found is None:
        return None
    with unwarned():
        return _nameOf(found.to_cryptography().subject)


def _nameOf(subject: x509.Name) -> str:
    for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
        return str(attribute.value)
    return subject.rfc4514_string()
