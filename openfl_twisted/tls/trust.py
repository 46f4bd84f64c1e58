"""
Trust anchors and verification rules of a TLS client.
"""

import os
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Literal, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL.crypto import X509, X509Store, X509StoreFlags
from OpenSSL.SSL import VERIFY_PEER, Connection, Context
from twisted.internet.ssl import CertificateOptions, TLSVersion, trustRootFromCertificates

from openfl_twisted.tls.ciphers import CIPHERS
from openfl_twisted.wire.x509._costs import countConstraints
from openfl_twisted.wire.x509.certificates import MALFORMED, unwarned

_MAX_CONTEXTS = 32
"""
Maximum number of cached OpenSSL contexts, one for each L{Trust}. Creating a context takes
about 0.1 seconds.
"""

_VARIABLES = {"SSL_CERT_FILE", "SSL_CERT_DIR"}
# Matches the names of files in a directory of CA certificates: the hash of the subject, and a
# number.
_hashed = re.compile(r"[0-9a-f]{8}\.[0-9]+")

_PEM_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)

Profile = Literal["default", "webpki"]
"""
Strictness of the verification. C{default} accepts what browsers and OpenSSL accept, such as a
self-signed certificate that is a trust anchor. C{webpki} additionally requires that the
certificates follow the rules for public CAs.
"""


@dataclass(frozen=True)
class Trust:
    """
    The trust anchors and verification rules of a client.

    @ivar platform: whether the CAs of this machine are trusted. The environment variables
        SSL_CERT_FILE and SSL_CERT_DIR select other CAs. If neither variable is set and the
        machine has no CA certificates, the CAs in C{certifi} are trusted, if C{certifi} is
        installed.
    @ivar anchors: the trust anchors: CA certificates, intermediate certificates or
        server certificates.
    @ivar intermediates: untrusted certificates that can be used to build a path.
    @ivar revoked: certificate revocation lists (CRLs). A certificate that is not covered by a
        current CRL counts as not revoked.
    @ivar hardRevocation: whether a CRL or a stapled OCSP response must show that a certificate
        is not revoked; otherwise the certificate is refused.
    @ivar profile: see L{Profile}.
    @ivar time: the time at which certificates must be valid; C{None} for now.
    """

    platform: bool = True
    anchors: tuple[x509.Certificate, ...] = ()
    intermediates: tuple[x509.Certificate, ...] = ()
    # CRLs are comparable but not hashable.
    revoked: tuple[x509.CertificateRevocationList, ...] = field(default=(), hash=False)
    hardRevocation: bool = False
    profile: Profile = "default"
    time: datetime | None = None

    @classmethod
    def fromPEM(cls, path: str | Path) -> Self:
        """
        Trust the certificates in a file, and not the CAs of this machine.

        @param path: a PEM file with certificates. Revocation lists (CRLs) in the file are
            also used.
        @raise OSError: if the file cannot be read.
        @raise ValueError: if the file contains no certificate, or a malformed CRL.
        """
        data = Path(path).read_bytes()
        try:
            anchors = x509.load_pem_x509_certificates(data)
        except MALFORMED:
            raise ValueError(f"{path}: the file contains no PEM certificate") from None
        try:
            revoked = [x509.load_pem_x509_crl(block) for block in _PEM_CRL.findall(data)]
        except ValueError:
            raise ValueError(f"{path}: malformed certificate revocation list (CRL)") from None
        return cls(platform=False, anchors=tuple(anchors), revoked=tuple(revoked))

    def adding(self, certificate: bytes, trusted: bool) -> Self:
        """
        Return a copy with one more certificate.

        @param certificate: the certificate, in DER.
        @param trusted: whether the certificate is a trust anchor; otherwise it is an
            intermediate certificate.
        @raise ValueError: if the bytes are not a certificate.
        """
        try:
            known = x509.load_der_x509_certificate(certificate)
            # Parse these fields now: certificates are compared by them, and parsing can fail.
            _ = known.subject, known.issuer
        except MALFORMED as problem:
            raise ValueError(f"not a certificate: {problem}") from None
        if trusted:
            return replace(self, anchors=(*self.anchors, known))
        return replace(self, intermediates=(*self.intermediates, known))

    def addingRevocationList(self, path: str | Path) -> Self:
        """
        Return a copy with one more revocation list.

        @param path: a file with the CRL, in PEM or DER.
        @raise OSError: if the file cannot be read.
        @raise ValueError: if the file is not a CRL.
        """
        data = Path(path).read_bytes()
        pem = b"-----BEGIN X509 CRL-----" in data
        load = x509.load_pem_x509_crl if pem else x509.load_der_x509_crl
        try:
            revoked = load(data)
        except ValueError:
            raise ValueError(f"{path}: not a certificate revocation list (CRL)") from None
        return replace(self, revoked=(*self.revoked, revoked))

    def now(self) -> datetime:
        """
        Return the time at which certificates must be valid.
        """
        return datetime.now(UTC) if self.time is None else self.time.astimezone(UTC)

    @cached_property
    def allAnchors(self) -> tuple[x509.Certificate, ...]:
        """
        The trust anchors, including the CAs of this machine.
        """
        return (*self.anchors, *(_platformAnchors() if self.platform else ()))

    @property
    def isEmpty(self) -> bool:
        """
        Whether there are no trust anchors.
        """
        return not self.allAnchors and not (self.platform and _hasDirectory())

    @cached_property
    def pinned(self) -> frozenset[x509.Certificate]:
        """
        The trust anchors that are not self-issued. A path can end at such a trust anchor.
        """
        return frozenset(anchor for anchor in self.anchors if not isSelfIssued(anchor))

    @cached_property
    def usableIntermediates(self) -> tuple[x509.Certificate, ...]:
        """
        The usable intermediate certificates. A self-issued certificate is not usable: a path could
        only end at it, and it is not a trust anchor.
        """
        return tuple(each for each in self.intermediates if not isSelfIssued(each))

    @property
    def constraints(self) -> int:
        """
        Maximum number of name constraints in one path that come from the trust anchors and
        from configured intermediate certificates.
        """
        return _constraintsOf(self)

    def context(self) -> Context:
        """
        Return the OpenSSL context for clients with these rules. The context refuses all
        certificates; each connection sets its own verification callback.
        """
        return _contextFor(self)

    def newContext(self) -> Context:
        """
        Return a new context like that of L{context}, which the caller can change.
        """
        return _makeContext(self)

    def setRules(self, store: X509Store) -> None:
        """
        Set the strictness and the verification time of a certificate store.

        @param store: the store; it is modified.
        """
        if self.profile == "webpki":
            store.set_flags(X509StoreFlags.X509_STRICT)
        if self.time is not None:
            store.set_time(self.now())

    def setLists(self, store: X509Store) -> None:
        """
        Add the revocation lists to a certificate store.

        @param store: the store; it is modified.
        """
        for revoked in self.revoked:
            store.add_crl(revoked)
        if self.revoked:
            store.set_flags(X509StoreFlags.CRL_CHECK | X509StoreFlags.CRL_CHECK_ALL)


def isSelfIssued(certificate: x509.Certificate) -> bool:
    """
    Check whether a certificate is self-issued.

    @param certificate: the certificate; its signature is not verified.
    @return: whether OpenSSL considers subject and issuer equal, ignoring case, spaces
        and string types.
    """
    return _canonical(certificate.subject) == _canonical(certificate.issuer)


def _canonical(name: x509.Name) -> list[frozenset[tuple[x509.ObjectIdentifier, str | bytes]]]:
    """
    Normalize a name for comparison, as OpenSSL does. Comparing C{x509.Name} objects is
    stricter: some roots that OpenSSL recognizes would not be recognized.
    """
    return [
        frozenset(
            (each.oid, " ".join(each.value.split()).lower())
            if isinstance(each.value, str)
            else (each.oid, each.value)
            for each in attributes
        )
        for attributes in name.rdns
    ]


def isPlatformAnchor(name: x509.Name) -> bool:
    """
    Check whether this machine trusts a CA.

    @param name: the subject of the CA.
    @return: whether the machine trusts the CA; C{False} if the CA certificate is only in a
        directory.
    """
    return any(anchor.subject == name for anchor in _platformAnchors())


@cache
def _platformAnchors() -> tuple[x509.Certificate, ...]:
    """
    Return the CAs of this machine. CA certificates in a directory are not included, because
    OpenSSL only opens the files that it needs.
    """
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not found and not _hasDirectory() and not _VARIABLES & os.environ.keys():
        found = _bundledAnchors()
    anchors = []
    with unwarned():
        for der in found:
            try:
                anchors.append(x509.load_der_x509_certificate(der))
            except MALFORMED:  # pragma: no cover - depends on the machine
                # OpenSSL accepts some certificates that cryptography cannot parse.
                continue
    return tuple(anchors)


def _hasDirectory() -> bool:
    """
    Check whether a directory contains CA certificates for OpenSSL.
    """
    directories = os.environ.get("SSL_CERT_DIR")
    if directories is None:
        if "SSL_CERT_FILE" in os.environ:
            return False
        directories = ssl.get_default_verify_paths().capath or ""
    for directory in directories.split(os.pathsep):
        with suppress(OSError):
            if any(_hashed.fullmatch(name) for name in os.listdir(directory)):
                return True
    return False


def _bundledAnchors() -> list[bytes]:
    """
    Return the CAs in C{certifi}, in DER; no CAs if C{certifi} is not installed.
    """
    try:
        import certifi
    except ImportError:
        return []
    pem = Path(certifi.where()).read_text(encoding="utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    return context.get_ca_certs(binary_form=True)


@lru_cache(maxsize=_MAX_CONTEXTS)
def _contextFor(trust: Trust) -> Context:
    return _makeContext(trust)


def _makeContext(trust: Trust) -> Context:
    context: Context = CertificateOptions(
        trustRoot=trustRootFromCertificates([]), raiseMinimumTo=TLSVersion.TLSv1_2
    ).getContext()
    context.set_cipher_list(CIPHERS)
    context.set_ocsp_client_callback(_stapled)
    context.set_verify(VERIFY_PEER, _refuse)
    if trust.platform:
        context.set_default_verify_paths()
    store = context.get_cert_store()
    if store is None:  # pragma: no cover - the type says so, a context has one
        raise ValueError("the context has no certificate store")
    for certificate in (*trust.allAnchors, *trust.usableIntermediates):
        store.add_cert(X509.from_cryptography(certificate))
    trust.setRules(store)
    trust.setLists(store)
    return context


@lru_cache(maxsize=_MAX_CONTEXTS)
def _constraintsOf(trust: Trust) -> int:
    """
    Count the name constraints of the trust anchors and of configured intermediate
    certificates. A path ends at one root, so only the root with the most constraints counts.
    """
    counts = {
        certificate: countConstraints(certificate.public_bytes(Encoding.DER))
        for certificate in (*trust.allAnchors, *trust.usableIntermediates)
    }
    roots = [count for certificate, count in counts.items() if isSelfIssued(certificate)]
    others = [count for certificate, count in counts.items() if not isSelfIssued(certificate)]
    return sum(others) + max(roots, default=0)


def _refuse(connection: Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    return False


def _stapled(connection: Connection, staple: bytes, data: object) -> bool:
    accepted: bool = connection.judge.stapled(staple)
    return accepted
