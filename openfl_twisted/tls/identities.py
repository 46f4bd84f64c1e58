"""
Certificates of servers: loads certificates from files, and finds problems in certificates.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from openfl_twisted.tls.ciphers import CIPHERS
from openfl_twisted.tls.trust import isPlatformAnchor, isSelfIssued
from openfl_twisted.wire.x509._servernames import describeNames
from openfl_twisted.wire.x509.certificates import MALFORMED, isSignedBy, subjectOf, unwarned

EXPIRY_WARNING = timedelta(days=14)
"""
Time before expiry at which the server warns about a certificate.
"""

# Maximum validity of a short-lived certificate, which is renewed every few days. The server warns
# when less than a third of the validity period is left.
_SHORT_LIVED = timedelta(days=10)

_MIN_RSA_BITS = 2048
"""
Minimum length of an RSA key, as in OpenSSL and browsers (bits).
"""

_DATE = "%Y-%m-%d %H:%M UTC"
_SERVER_PURPOSES = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_MAX_NAMES = 20
_KINDS: tuple[tuple[type, str], ...] = (
    (rsa.RSAPublicKey, "RSA"),
    (ec.EllipticCurvePublicKey, "EC"),
    (ed25519.Ed25519PublicKey, "Ed25519"),
    (ed448.Ed448PublicKey, "Ed448"),
    (dsa.DSAPublicKey, "DSA"),
)


class CertificateError(ValueError):
    """
    A file does not contain a certificate and key that a server can use.
    """


class CertificateUnreadable(CertificateError):
    """
    A certificate file cannot be read: the operating system denies access.
    """


@dataclass(frozen=True)
class Identity:
    """
    A server's certificate chain, with the private key.

    @ivar path: the file from which the certificate was loaded.
    @ivar context: the OpenSSL context.
    @ivar chain: the certificates in the file, starting with the server's certificate.
    @ivar names: the DNS names of the certificate, in lower case.
    """

    path: Path
    context: SSL.Context
    chain: tuple[x509.Certificate, ...]
    names: frozenset[str]

    @property
    def expiry(self) -> datetime:
        """
        The end of the certificate's validity.
        """
        return self.chain[0].not_valid_after_utc

    def __str__(self) -> str:
        leaf = self.chain[0]
        return (
            f"{self.path}: for {_namesIn(leaf)}; valid from {leaf.not_valid_before_utc:{_DATE}} "
            f"to {leaf.not_valid_after_utc:{_DATE}}"
        )

    def problems(self, now: datetime) -> list[str]:
        """
        Return the reasons why clients refuse the certificate, or will refuse it soon.

        @param now: the current time (UTC).
        @return: a clause for each reason, such as C{expired on ...}.
        """
        with unwarned():
            leaf = self.chain[0]
            return [
                *_problemsOfDates(leaf, now),
                *_problemsOfUse(leaf),
                *_problemsOfChain(self.chain),
            ]


def _problemsOfDates(leaf: x509.Certificate, now: datetime) -> Iterator[str]:
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    validity = end - begin
    warning = EXPIRY_WARNING if validity > _SHORT_LIVED else validity / 3
    if end < now:
        yield f"expired on {end:{_DATE}}"
    elif end - now < warning:
        yield f"expires on {end:{_DATE}}"
    if begin > now:
        yield f"is not valid before {begin:{_DATE}}"


def _problemsOfUse(leaf: x509.Certificate) -> Iterator[str]:
    found = {type(each.value): each.value for each in leaf.extensions}
    purposes = found.get(x509.ExtendedKeyUsage)
    if isinstance(purposes, x509.ExtendedKeyUsage) and not _SERVER_PURPOSES.intersection(purposes):
        yield "is not valid for servers: its extendedKeyUsage lacks serverAuth"
    usage = found.get(x509.KeyUsage)
    if isinstance(usage, x509.KeyUsage) and not usage.digital_signature:
        yield "is not valid for TLS servers: its keyUsage lacks digitalSignature"
    if x509.SubjectAlternativeName not in found:
        yield "is not valid for any server name: it has no subjectAltName"
    key = _publicKey(leaf)
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, _CURVES):
        yield (
            f"has an EC key on the curve {key.curve.name}, which clients do not accept; use P-256"
        )


def _problemsOfChain(chain: tuple[x509.Certificate, ...]) -> Iterator[str]:
    for certificate, issuer in pairwise(chain):
        if not isSignedBy(certificate, issuer):
            yield (
                f"is followed by a chain in the wrong order: {subjectOf(issuer)} is not the "
                f"issuer of {subjectOf(certificate)}"
            )
            return
    leaf = chain[0]
    if len(chain) == 1 and not isSelfIssued(leaf) and not isPlatformAnchor(leaf.issuer):
        yield (
            "has no intermediate certificate in its file: only clients that know its issuer "
            f"{leaf.issuer.rfc4514_string()!r} accept it"
        )


@dataclass(frozen=True)
class KeyPair:
    """
    A certificate chain with the private key.

    @ivar path: the file that contains the chain.
    @ivar chain: the certificates in the file, starting with that of the key.
    @ivar key: the private key.
    """

    path: Path
    chain: tuple[x509.Certificate, ...]
    key: Any = field(repr=False)

    @classmethod
    def fromFiles(cls, path: Path, key: Path) -> Self:
        """
        Load a certificate chain and the private key.

        @param path: the PEM file with the certificate chain.
        @param key: the PEM file with the private key; can be the same file.
        @raise CertificateError: if a file cannot be read, or the key does not belong to the
            certificate.
        """
        certificates, secret = readFile(path), readFile(key)
        try:
            with unwarned():
                chain = tuple(x509.load_pem_x509_certificates(certificates))
        except MALFORMED:
            raise CertificateError(f"{path}: the file contains no PEM certificate") from None
        private = _loadKey(key, secret)
        _checkKey(path, chain, key, private)
        return cls(path, chain, private)

    def use(self, context: SSL.Context) -> None:
        """
        Use the certificate for the connections of an OpenSSL context.

        @raise CertificateError: if OpenSSL refuses the certificate.
        """
        try:
            context.use_certificate(self.chain[0])
            for other in self.chain[1:]:
                context.add_extra_chain_cert(other)
            context.use_privatekey(self.key)
            context.check_privatekey()
        except (SSL.Error, TypeError, ValueError) as problem:
            reason = problem.args[0][-1][2] if isinstance(problem, SSL.Error) else str(problem)
            raise CertificateError(
                f"{self.path}: OpenSSL cannot use this certificate: {reason}"
            ) from None


def load(path: Path, key: Path, contextFor: Callable[[str], SSL.Context]) -> Identity:
    """
    Load a certificate chain and the private key.

    @param path: the PEM file with the certificate chain.
    @param key: the PEM file with the private key; can be the same file.
    @param contextFor: called with the server name that a client sends (SNI), in lower case;
        returns the context to use for the connection.
    @return: the identity.
    @raise CertificateError: if a server cannot use the certificate.
    """
    pair = KeyPair.fromFiles(path, key)
    try:
        with unwarned():
            names = _names(pair.chain[0])
    except MALFORMED:
        raise CertificateError(f"{path}: the extensions of the certificate are malformed") from None
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(
        SSL.OP_NO_COMPRESSION
        | SSL.OP_NO_RENEGOTIATION
        | SSL.OP_NO_TICKET
        | SSL.OP_CIPHER_SERVER_PREFERENCE
    )
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    # An idle connection needs no buffers.
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    pair.use(context)

    def serverNamed(connection: SSL.Connection) -> None:
        name = connection.get_servername()
        if name is not None:
            connection.set_context(contextFor(name.decode("ascii", "replace").lower()))

    context.set_tlsext_servername_callback(serverNamed)
    return Identity(path, context, pair.chain, names)


def readFile(path: Path) -> bytes:
    """
    Read a file.

    @raise CertificateError: if the file cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as problem:
        kind = CertificateUnreadable if isinstance(problem, PermissionError) else CertificateError
        raise kind(f"{path}: {problem.strerror}") from None


def _loadKey(path: Path, secret: bytes) -> Any:
    try:
        return load_pem_private_key(secret, None)
    except TypeError:
        raise CertificateError(
            f"{path}: the private key is encrypted; decrypt it with "
            f"openssl pkey -in {path.name} -out decrypted.pem"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(f"{path}: the file contains no PEM private key") from None


def _checkKey(path: Path, chain: tuple[x509.Certificate, ...], key: Path, private: Any) -> None:
    public = private.public_key()
    keys = [_publicKey(each) for each in chain]
    if keys[0] != public:
        if public in keys:
            raise CertificateError(
                f"{path}: the chain is in the wrong order: the private key is that of certificate "
                f"{keys.index(public) + 1}; the server certificate must be the first, followed by "
                "its issuer"
            )
        reason = "key values mismatch: the certificate has another public key"
        if _kindOf(keys[0]) != _kindOf(public):
            reason = (
                f"the key is {_kindOf(public)}, the key of the certificate is {_kindOf(keys[0])}"
            )
        raise CertificateError(f"{key}: not the private key of {path}: {reason}")
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < _MIN_RSA_BITS:
        raise CertificateError(
            f"{key}: the RSA key of {public.key_size} bits is too short; it must have at least "
            f"{_MIN_RSA_BITS}"
        )


def _publicKey(certificate: x509.Certificate) -> Any:
    """
    Return the public key of a certificate; C{None} if its type is unknown.
    """
    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None


def _kindOf(key: Any) -> str:
    return next((name for kind, name in _KINDS if isinstance(key, kind)), "of an unknown type")


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in names.get_values_for_type(x509.DNSName))


def _namesIn(certificate: x509.Certificate) -> str:
    with unwarned():
        return describeNames(certificate, _MAX_NAMES)
