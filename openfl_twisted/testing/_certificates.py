"""
Certificates for tests, for every certificate status.
"""

import ipaddress
import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from openfl_twisted.tls import Trust
from openfl_twisted.types import AnyClock, AnyFactory
from openfl_twisted.wire.x509.certificates import CertificateStatus

STATUSES = tuple(sorted(value for name, value in vars(CertificateStatus).items() if name.isupper()))
"""
All certificate statuses, in alphabetical order.
"""

# By default, certificates are valid for a century, so that no test depends on the date.
_BEGIN, _PAST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2010, 1, 1, tzinfo=UTC)
_FUTURE, _END = datetime(2090, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class _Party:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


@implementer(IOpenSSLContextFactory)
@dataclass(frozen=True)
class Credentials:
    """
    The certificate chain and the key of a server, and the trust anchors of a client. This
    object is also a context factory for C{listenSSL}.

    @ivar status: the result of the client's verification, one of
        C{CertificateStatus}.
    @ivar host: the host name or IP address that the client connects to.
    @ivar chain: the server certificate, then the intermediate certificates.
    @ivar key: the private key of the server.
    @ivar trust: the trust anchors, for C{SecureSocket(trust=…)} and all other
        clients of this package.
    """

    status: str
    host: str
    chain: tuple[x509.Certificate, ...]
    key: ec.EllipticCurvePrivateKey
    trust: Trust

    def getContext(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate(self.chain[0])
        for certificate in self.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(self.key)
        return context

    def serverFactory(self, factory: AnyFactory, clock: AnyClock) -> Any:
        """
        Wrap a factory in TLS. For the status C{unknown}, the factory is not wrapped, so that
        the client receives no certificate.

        @param clock: the reactor of the network.
        @return: the wrapped factory; for the status C{unknown}, the factory itself.
        """
        if self.status == CertificateStatus.UNKNOWN:
            return factory
        return TLSMemoryBIOFactory(self, False, cast("Any", factory), cast("Any", clock))

    def save(self, path: str | Path) -> Path:
        """
        Write the key and the certificate chain to a PEM file, which only its owner can read.

        @return: the path.
        """
        path = Path(path)
        chain = b"".join(each.public_bytes(Encoding.PEM) for each in self.chain)
        writePrivate(path, _pemOf(self.key) + chain)
        return path


class CertificateMaker:
    """
    Issues certificates from a private CA.

    @ivar host: the host name or IP address of the certificates.
    @ivar trust: the trust anchors, which contain only the private CA.
    """

    def __init__(self, host: str = "localhost") -> None:
        self.host = host
        # CAs need unique names, because clients regard two CAs with the same name as one CA.
        self._root = self._issue(f"Test Root {secrets.token_hex(4)}", authority=True)
        self.trust = Trust(platform=False, anchors=(self._root.certificate,))

    def make(self, status: str = CertificateStatus.TRUSTED) -> Credentials:
        """
        Create the credentials of a server. A TLS handshake with that server results in the
        given certificate status.

        @param status: a constant of C{CertificateStatus}.
        @return: the credentials, with a new key. Certificates are valid from 2000 to 2100,
            unless the status requires other dates.
        @raise ValueError: if the status is unknown.
        """
        trust = self.trust
        match status:
            case CertificateStatus.TRUSTED | CertificateStatus.UNKNOWN:
                parties = [self._issue("server", self._root)]
            case CertificateStatus.EXPIRED:
                parties = [self._issue("server", self._root, ends=_PAST)]
            case CertificateStatus.NOT_YET_VALID:
                parties = [self._issue("server", self._root, begins=_FUTURE)]
            case CertificateStatus.PRINCIPAL_MISMATCH:
                parties = [self._issue("server", self._root, host="other.invalid")]
            case CertificateStatus.UNTRUSTED_SIGNERS:
                parties = [self._issue("server", self._issue("Unknown Root", authority=True))]
            case CertificateStatus.INVALID_CHAIN:
                intermediate = self._issue(
                    "Test Intermediate", self._root, authority=True, ends=_PAST
                )
                parties = [self._issue("server", intermediate), intermediate]
            case CertificateStatus.INVALID:
                purpose = ExtendedKeyUsageOID.CLIENT_AUTH
                parties = [self._issue("server", self._root, purpose=purpose)]
            case CertificateStatus.REVOKED:
                parties = [self._issue("server", self._root)]
                revoked = self._revoke(parties[0])
                trust = Trust(platform=False, anchors=trust.anchors, revoked=(revoked,))
            case _:
                raise ValueError(f"{status!r} must be one of {', '.join(STATUSES)}")
        chain = tuple(party.certificate for party in parties)
        return Credentials(status, self.host, chain, parties[0].key, trust)

    def save(self, folder: str | Path) -> Path:
        """
        Write the CA and the credentials for all statuses, for programs that read PEM files:

          - C{ca.pem}: the trust anchors of clients, for L{Trust.fromPEM} and
            C{openfl-telnet --ca}: the certificate of the CA, and its CRL, which revokes
            C{revoked.pem}.
          - C{ca-key.pem}: the key of the CA.
          - C{expired.pem}, C{trusted.pem} and so on: the key and the certificate chain of a
            server. There is no file for C{unknown}, the status of a server without TLS.

        The files with keys can be read only by their owner.

        @param folder: the folder, which is created if necessary. Existing files are replaced.
        @return: the folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        anchors = self._root.certificate.public_bytes(Encoding.PEM)
        writePrivate(folder / "ca-key.pem", _pemOf(self._root.key))
        for status in STATUSES:
            if status != CertificateStatus.UNKNOWN:
                credentials = self.make(status)
                credentials.save(folder / f"{status}.pem")
                for revoked in credentials.trust.revoked:
                    anchors += revoked.public_bytes(Encoding.PEM)
        (folder / "ca.pem").write_bytes(anchors)
        return folder

    def _issue(
        self,
        name: str,
        issuer: _Party | None = None,
        *,
        authority: bool = False,
        host: str = "",
        purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
        begins: datetime = _BEGIN,
        ends: datetime = _END,
    ) -> _Party:
        """
        Issue a certificate. Without an issuer, the certificate is self-signed.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if issuer is None else issuer.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
        )
        if not authority:
            names = x509.SubjectAlternativeName([_nameOf(host or self.host)])
            builder = builder.add_extension(names, critical=False)
            builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        signer = key if issuer is None else issuer.key
        return _Party(builder.sign(signer, hashes.SHA256()), key)

    def _revoke(self, party: _Party) -> x509.CertificateRevocationList:
        entry = x509.RevokedCertificateBuilder().serial_number(party.certificate.serial_number)
        return (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self._root.certificate.subject)
            .last_update(_BEGIN)
            .next_update(_END)
            .add_revoked_certificate(entry.revocation_date(_BEGIN).build())
            .sign(self._root.key, hashes.SHA256())
        )


def _pemOf(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def writePrivate(path: Path, data: bytes) -> None:
    """
    Replace a file by one that only its owner can read.
    """
    path.unlink(missing_ok=True)
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(number, "wb") as file:
        file.write(data)


def _nameOf(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
