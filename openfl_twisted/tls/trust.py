"""
Whom a TLS client believes.
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
from openfl_twisted.wire.x509.certificates import MALFORMED, unwarned
from openfl_twisted.wire.x509.costs import countConstraints

MAX_CONTEXTS = 32
"""
How many contexts of OpenSSL are kept, one for each way to trust: to make one
takes about a tenth of a second.
"""

_VARIABLES = {"SSL_CERT_FILE", "SSL_CERT_DIR"}
# How OpenSSL names a file in a folder of CA certificates: the hash of the subject, a number.
_hashed = re.compile(r"[0-9a-f]{8}\.[0-9]+")

Profile = Literal["default", "webpki"]
"""
How strict a client is. C{default} takes what browsers and OpenSSL take, such as
a self-signed certificate that was made known as trusted. C{webpki} demands
besides what the web's authorities have to keep.
"""


@dataclass(frozen=True)
class Trust:
    """
    Whom a client believes, and what for.

    @ivar platform: whether the CAs of this machine are trusted. The variables
        SSL_CERT_FILE and SSL_CERT_DIR select others. Without these variables, and on
        a machine without CA certificates, those of C{certifi} are trusted if it is
        installed.
    @ivar anchors: certificates that are trusted: of authorities, of
        intermediates, or of servers.
    @ivar intermediates: certificates with which a path may be built, and which
        are not trusted for that.
    @ivar revoked: revocation lists (CRLs). A certificate for which there is
        none, or an old one, is not taken for revoked.
    @ivar hardRevocation: whether a certificate is refused unless a list, or
        what the server sends along (OCSP stapling), shows that it is not
        revoked.
    @ivar profile: see L{Profile}.
    @ivar time: when certificates must be valid; C{None} means now.
    """

    platform: bool = True
    anchors: tuple[x509.Certificate, ...] = ()
    intermediates: tuple[x509.Certificate, ...] = ()
    # Lists can be compared, and not hashed.
    revoked: tuple[x509.CertificateRevocationList, ...] = field(default=(), hash=False)
    hardRevocation: bool = False
    profile: Profile = "default"
    time: datetime | None = None

    @classmethod
    def fromPEM(cls, path: str | Path) -> Self:
        """
        Trust the certificates in a file, and not those of this machine.

        @param path: a file of certificates in PEM.
        @return: the trust in these.
        @raise OSError: if it cannot be read.
        @raise ValueError: if there is no certificate in it.
        """
        try:
            anchors = x509.load_pem_x509_certificates(Path(path).read_bytes())
        except MALFORMED:
            raise ValueError(f"{path}: there is no certificate in PEM in it") from None
        return cls(platform=False, anchors=tuple(anchors))

    def adding(self, certificate: bytes, trusted: bool) -> Self:
        """
        Know one more certificate.

        @param certificate: the certificate, in DER.
        @param trusted: whether it is an anchor; if not, a path can be built
            with it.
        @raise ValueError: if it is no certificate.
        """
        try:
            known = x509.load_der_x509_certificate(certificate)
            # It is compared by these.
            _ = known.subject, known.issuer
        except MALFORMED as problem:
            raise ValueError(f"this is no certificate: {problem}") from None
        if trusted:
            return replace(self, anchors=(*self.anchors, known))
        return replace(self, intermediates=(*self.intermediates, known))

    def addingRevocationList(self, path: str | Path) -> Self:
        """
        Know one more revocation list.

        @param path: a file with the list, in PEM or DER.
        @raise OSError: if it cannot be read.
        @raise ValueError: if it is none.
        """
        data = Path(path).read_bytes()
        pem = b"-----BEGIN X509 CRL-----" in data
        load = x509.load_pem_x509_crl if pem else x509.load_der_x509_crl
        try:
            revoked = load(data)
        except ValueError:
            raise ValueError(f"{path}: this is no revocation list") from None
        return replace(self, revoked=(*self.revoked, revoked))

    def now(self) -> datetime:
        """
        Get the time at which certificates must be valid.
        """
        return datetime.now(UTC) if self.time is None else self.time.astimezone(UTC)

    @cached_property
    def allAnchors(self) -> tuple[x509.Certificate, ...]:
        """
        All that is trusted, that of this machine included.
        """
        return (*self.anchors, *(_platformAnchors() if self.platform else ()))

    @property
    def isEmpty(self) -> bool:
        """
        Whether there are no trust anchors at all.
        """
        return not self.allAnchors and not (self.platform and _hasFolder())

    @cached_property
    def pinned(self) -> frozenset[x509.Certificate]:
        """
        The anchors that are signed by others: a path ends there.
        """
        return frozenset(anchor for anchor in self.anchors if not isSelfIssued(anchor))

    @cached_property
    def helpers(self) -> tuple[x509.Certificate, ...]:
        """
        The intermediates of use: one that is signed by nobody else would be the
        end of a path, and it is not trusted for that.
        """
        return tuple(each for each in self.intermediates if not isSelfIssued(each))

    @property
    def constraints(self) -> int:
        """
        The number of name constraints that a path may meet in the client's own
        certificates. A path ends at one root.
        """
        return _constraintsOf(self)

    def context(self) -> Context:
        """
        Get OpenSSL's context for clients that trust so. It refuses all
        certificates; a connection sets its own judge.
        """
        return _contextFor(self)

    def setRules(self, store: X509Store) -> None:
        """
        Set how strict a store is, and its time.

        @param store: a store of OpenSSL; it is changed.
        """
        if self.profile == "webpki":
            store.set_flags(X509StoreFlags.X509_STRICT)
        if self.time is not None:
            store.set_time(self.now())

    def setLists(self, store: X509Store) -> None:
        """
        Make the revocation lists known to a store.

        @param store: a store of OpenSSL; it is changed.
        """
        for revoked in self.revoked:
            store.add_crl(revoked)
        if self.revoked:
            store.set_flags(X509StoreFlags.CRL_CHECK | X509StoreFlags.CRL_CHECK_ALL)


def isSelfIssued(certificate: x509.Certificate) -> bool:
    """
    Check whether a certificate names itself as its issuer.

    @param certificate: the certificate; its signature is not looked at.
    @return: whether subject and issuer are the same name for OpenSSL, which
        ignores case, spaces and the types of strings.
    """
    return _canonical(certificate.subject) == _canonical(certificate.issuer)


def _canonical(name: x509.Name) -> list[frozenset[tuple[x509.ObjectIdentifier, str | bytes]]]:
    """
    Get what OpenSSL compares of a name. C{x509.Name} compares more, so a certificate
    could be a root for OpenSSL alone.
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
    @return: C{False} also if the certificate of the CA is only in a folder.
    """
    return any(anchor.subject == name for anchor in _platformAnchors())


@cache
def _platformAnchors() -> tuple[x509.Certificate, ...]:
    """
    List the CAs of this machine. Those in a folder are missing: OpenSSL only opens
    the files that it needs.
    """
    found = ssl.create_default_context().get_ca_certs(binary_form=True)
    if not found and not _hasFolder() and not _VARIABLES & os.environ.keys():
        found = _bundledAnchors()
    anchors = []
    with unwarned():
        for der in found:
            try:
                anchors.append(x509.load_der_x509_certificate(der))
            except MALFORMED:  # pragma: no cover - depends on the machine
                # OpenSSL reads some that cryptography does not.
                continue
    return tuple(anchors)


def _hasFolder() -> bool:
    """
    Check whether there is a folder of CA certificates in which OpenSSL finds some.
    """
    folders = os.environ.get("SSL_CERT_DIR")
    if folders is None:
        if "SSL_CERT_FILE" in os.environ:
            return False
        folders = ssl.get_default_verify_paths().capath or ""
    for folder in folders.split(os.pathsep):
        with suppress(OSError):
            if any(_hashed.fullmatch(name) for name in os.listdir(folder)):
                return True
    return False


def _bundledAnchors() -> list[bytes]:
    """
    List the CAs that C{certifi} contains, in DER; none if it is not installed.
    """
    try:
        import certifi
    except ImportError:
        return []
    pem = Path(certifi.where()).read_text(encoding="utf-8")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=pem)
    return context.get_ca_certs(binary_form=True)


@lru_cache(maxsize=MAX_CONTEXTS)
def _contextFor(trust: Trust) -> Context:
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
        raise ValueError("a context without a store")
    for certificate in (*trust.allAnchors, *trust.helpers):
        store.add_cert(X509.from_cryptography(certificate))
    trust.setRules(store)
    trust.setLists(store)
    return context


@lru_cache(maxsize=MAX_CONTEXTS)
def _constraintsOf(trust: Trust) -> int:
    """
    Count the name constraints of the client's own certificates.
    """
    counts = {
        certificate: countConstraints(certificate.public_bytes(Encoding.DER))
        for certificate in (*trust.allAnchors, *trust.helpers)
    }
    roots = [count for certificate, count in counts.items() if isSelfIssued(certificate)]
    others = [count for certificate, count in counts.items() if not isSelfIssued(certificate)]
    return sum(others) + max(roots, default=0)


def _refuse(connection: Connection, certificate: X509, code: int, depth: int, ok: int) -> bool:
    return False


def _stapled(connection: Connection, staple: bytes, data: object) -> bool:
    """
    Hand a staple to the connection's judge.
    """
    accepted: bool = connection.judge.stapled(staple)
    return accepted
