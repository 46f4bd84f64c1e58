"""
Certificates for tests: CAs, the certificates that they issue, revocation lists, and
OCSP responses. Each of these can be made invalid in many ways.

Validity is a century by default, so that no test depends on the date.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from itertools import count, pairwise
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from openfl_twisted.wire.x509._der import element, elements
from tests.extensions import Names, alternativeNames, critical, purposes, usage

BEGIN = datetime(2000, 1, 1, tzinfo=UTC)
END = datetime(2100, 1, 1, tzinfo=UTC)

PAST = datetime(2010, 1, 1, tzinfo=UTC)
"""
An end of validity in the past.
"""

FUTURE = datetime(2090, 1, 1, tzinfo=UTC)
"""
A begin of validity in the future.
"""

HOST = "games.example"
"""
The default server name.
"""

Kind = Literal["P-256", "P-384", "Ed25519", "RSA", "RSA-1024"]
PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
SHA1_RSA = bytes.fromhex("06092a864886f70d010105")
"""
Signature algorithm identifiers in DER.
"""

_serials = count(1000)


@cache
def keyFor(name: str, kind: Kind = "P-256") -> PrivateKey:
    """
    Return the private key of a name: always the same in one process.
    """
    match kind:
        case "P-256":
            return ec.generate_private_key(ec.SECP256R1())
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case "Ed25519":
            return ed25519.Ed25519PrivateKey.generate()
        case "RSA":
            return rsa.generate_private_key(65537, 2048)
        case "RSA-1024":
            return rsa.generate_private_key(65537, 1024)


def tlv(tag: int, content: bytes) -> bytes:
    """
    Encode a value in DER.
    """
    length = len(content)
    if length < 128:
        return bytes([tag, length]) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([tag, 128 + len(size)]) + size + content


def parts(whole: bytes) -> list[bytes]:
    """
    Return the elements of a structure in DER, with their heads.
    """
    _, start, end = element(whole, 0, len(whole))
    ends = [start, *(stop for _, _, stop in elements(whole, (0, start, end)))]
    return [whole[begin:stop] for begin, stop in pairwise(ends)]


def toPEM(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


@dataclass(frozen=True, eq=False)
class Identity:
    """
    A certificate with its private key.

    @ivar certificate: the certificate.
    @ivar key: its private key.
    @ivar issuer: the issuer; C{None} if self-signed.
    """

    certificate: x509.Certificate
    key: PrivateKey
    issuer: "Identity | None" = None

    @property
    def der(self) -> bytes:
        """
        The certificate in DER.
        """
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """
        The certificate chain that a correct server sends: all certificates but the
        root.
        """
        if self.issuer is None or self.issuer.issuer is None:
            return (self.certificate,)
        return (self.certificate, *self.issuer.chain)

    @property
    def name(self) -> str:
        """
        The common name.
        """
        [attribute] = self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return str(attribute.value)

    def save(self, path: Path, chain: Sequence[x509.Certificate] | None = None) -> Path:
        """
        Write the private key and the certificate chain to a PEM file.
        """
        key = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(key + toPEM(self.chain if chain is None else chain))
        return path

    # Changes of a signed certificate

    def forged(self) -> "Identity":
        """
        Change the last bit of the signature.
        """
        return self._with(self.der[:-1] + bytes([self.der[-1] ^ 1]))

    def altered(self, old: bytes, new: bytes) -> "Identity":
        """
        Change the signed part without changing the signature.
        """
        return self._with(_replaced(self.der, old, new))

    def rewritten(
        self, old: bytes, new: bytes, digest: hashes.HashAlgorithm | None = None
    ) -> "Identity":
        """
        Change the signed part, and have the issuer sign the result.

        @param digest: another digest for the signature.
        """
        return self._with(self.rewrittenDER(old, new, digest))

    def rewrittenDER(
        self, old: bytes, new: bytes, digest: hashes.HashAlgorithm | None = None
    ) -> bytes:
        """
        Change the signed part to something that C{cryptography} cannot parse, and sign
        the result with the issuer's key.

        @return: the certificate in DER.
        """
        certificate, signer = self.certificate, self.issuer or self
        signed = certificate.tbs_certificate_bytes
        signature = tlv(3, b"\0" + certificate.signature)
        algorithm = self.der[self.der.index(signed) + len(signed) : -len(signature)]
        signed = _replaced(signed, old, new)
        digest = digest or certificate.signature_hash_algorithm
        signature = tlv(3, b"\0" + _sign(signer.key, signed, digest))
        return tlv(0x30, signed + algorithm.replace(old, new) + signature)

    def rebuiltDER(self, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
        """
        Change the signed fields, and sign the result with the issuer's key.

        @param change: called with the fields of the C{TBSCertificate} in DER; returns
            the new fields.
        @return: the certificate in DER.
        """
        signed, algorithm, _ = parts(self.der)
        content = tlv(0x30, b"".join(change(parts(signed))))
        signer = self.issuer or self
        signature = _sign(signer.key, content, self.certificate.signature_hash_algorithm)
        return tlv(0x30, content + algorithm + tlv(3, b"\0" + signature))

    def numbered(self, serial: bytes) -> bytes:
        """
        Set a serial number of any length, and sign the result.
        """
        return self.rebuiltDER(lambda fields: [fields[0], tlv(2, serial), *fields[2:]])

    def versionOne(self) -> "Identity":
        """
        Remove the fields that version 1 lacks: the version and the extensions.
        """
        return self._with(self.rebuiltDER(lambda fields: fields[1:-1]))

    def _with(self, der: bytes) -> "Identity":
        return replace(self, certificate=x509.load_der_x509_certificate(der))

    # Operations of a CA

    def revocationList(
        self,
        *revoked: "Identity",
        begins: datetime = BEGIN,
        ends: datetime = END,
        key: PrivateKey | None = None,
    ) -> x509.CertificateRevocationList:
        """
        Create a revocation list.

        @param key: another key for the signature.
        """
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(begins)
            .next_update(ends)
            .add_extension(x509.CRLNumber(1), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(
                    self.certificate.public_key()  # type: ignore[arg-type]
                ),
                critical=False,
            )
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(each.certificate.serial_number)
            builder = builder.add_revoked_certificate(entry.revocation_date(BEGIN).build())
        key = key or self.key
        return builder.sign(key, _digest(key))

    def staple(
        self,
        about: "Identity",
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        *,
        begins: datetime = BEGIN,
        ends: datetime | None = END,
        responder: "Identity | None" = None,
        sent: Sequence[x509.Certificate] | None = None,
        byName: bool = False,
    ) -> bytes:
        """
        Create an OCSP response.

        @param responder: the delegated responder; C{None} for the CA.
        @param sent: the certificates in the response; C{None} for the responder's.
        @param byName: whether the responder is identified by name instead of by key.
        """
        speaker = responder or self
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response(
                about.certificate,
                self.certificate,
                hashes.SHA256(),
                status,
                begins,
                ends,
                BEGIN if revoked else None,
                None,
            )
            .responder_id(
                ocsp.OCSPResponderEncoding.NAME if byName else ocsp.OCSPResponderEncoding.HASH,
                speaker.certificate,
            )
        )
        if sent is None:
            sent = [] if responder is None else [responder.certificate]
        if sent:
            builder = builder.certificates(sent)
        return builder.sign(speaker.key, _digest(speaker.key)).public_bytes(Encoding.DER)


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data, "the old value is missing"
    assert len(old) == len(new), "all lengths in DER must stay"
    return data.replace(old, new)


def _digest(key: PrivateKey) -> hashes.SHA256 | None:
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


def _sign(key: PrivateKey, data: bytes, digest: hashes.HashAlgorithm | None) -> bytes:
    match key:
        case ed25519.Ed25519PrivateKey():
            return key.sign(data)
        case ec.EllipticCurvePrivateKey():
            return key.sign(data, ec.ECDSA(digest or hashes.SHA256()))
        case rsa.RSAPrivateKey():
            return key.sign(data, padding.PKCS1v15(), digest or hashes.SHA256())


def issue(
    name: str,
    issuer: Identity | None,
    extensions: Iterable[x509.ExtensionType | x509.Extension[Any]],
    *,
    begins: datetime = BEGIN,
    ends: datetime = END,
    kind: Kind = "P-256",
    key: PrivateKey | None = None,
    serial: int | None = None,
    issuerName: str | None = None,
    without: Iterable[type[x509.ExtensionType]] = (),
) -> Identity:
    """
    Issue a certificate.

    @param name: the common name of the subject; empty for an empty subject.
    @param issuer: the issuer; C{None} for a self-signed certificate.
    @param extensions: the extensions; a later one replaces one of the same type.
    @param begins: the begin of the validity.
    @param ends: the end of the validity.
    @param kind: the type of the key.
    @param key: another key than that of C{name}.
    @param issuerName: another issuer name than the issuer's subject.
    @param without: the types of extensions to omit.
    """
    key = key or keyFor(name, kind)
    signer = key if issuer is None else issuer.key
    values: dict[x509.ObjectIdentifier, tuple[x509.ExtensionType, bool]] = {}
    for extension in (
        x509.SubjectKeyIdentifier.from_public_key(key.public_key()),
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
        *extensions,
    ):
        if isinstance(extension, x509.Extension):
            values[extension.oid] = extension.value, extension.critical
        else:
            values[extension.oid] = extension, False
    for left in without:
        values.pop(left.oid, None)
    if issuerName is None:
        issuerName = name if issuer is None else issuer.name
    builder = (
        x509.CertificateBuilder()
        .subject_name(_distinguished(name))
        .issuer_name(_distinguished(issuerName))
        .not_valid_before(begins)
        .not_valid_after(ends)
        .public_key(key.public_key())
        .serial_number(next(_serials) if serial is None else serial)
    )
    for value, marked in values.values():
        builder = builder.add_extension(value, critical=marked)
    return Identity(builder.sign(signer, _digest(signer)), key, issuer)


def _distinguished(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])


def authority(
    name: str = "Root",
    issuer: Identity | None = None,
    *extensions: x509.ExtensionType | x509.Extension[Any],
    pathLength: int | None = None,
    **properties: Any,
) -> Identity:
    """
    Create a CA certificate.

    @param name: its name.
    @param issuer: the issuer; C{None} for a root.
    @param extensions: additional extensions, or replacements.
    @param pathLength: maximum number of intermediate certificates below it.
    @param properties: other parameters of L{issue}.
    """
    usual = (
        critical(x509.BasicConstraints(ca=True, path_length=pathLength)),
        critical(usage(digital_signature=True, key_cert_sign=True, crl_sign=True)),
    )
    return issue(name, issuer, (*usual, *extensions), **properties)


def server(
    issuer: Identity | None,
    *extensions: x509.ExtensionType | x509.Extension[Any],
    names: Names = (HOST,),
    name: str = "the server",
    **properties: Any,
) -> Identity:
    """
    Create a server certificate.

    @param issuer: the issuer; C{None} for a self-signed certificate.
    @param extensions: additional extensions, or replacements.
    @param names: the server names.
    @param name: the subject.
    @param properties: other parameters of L{issue}.
    """
    usual = (
        critical(x509.BasicConstraints(ca=False, path_length=None)),
        critical(usage(digital_signature=True)),
        purposes("SERVER_AUTH"),
        alternativeNames(names),
    )
    return issue(name, issuer, (*usual, *extensions), **properties)


@cache
def brokenKey(name: str) -> rsa.RSAPrivateKey:
    """
    Create an RSA private key with the public key of a name, which creates invalid
    signatures.
    """
    key = keyFor(name, "RSA")
    assert isinstance(key, rsa.RSAPrivateKey)
    own = key.private_numbers()
    # The private exponent of another public exponent.
    exponent = own.d + 2
    return rsa.RSAPrivateNumbers(
        own.p,
        own.q,
        exponent,
        exponent % (own.p - 1),
        exponent % (own.q - 1),
        own.iqmp,
        own.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)
