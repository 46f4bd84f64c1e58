"""
Second verification of a certificate path, with C{cryptography}'s verifier. This verification
finds paths that OpenSSL misses because OpenSSL does not backtrack, and checks name constraints
that OpenSSL ignores.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache, lru_cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import PublicKeyAlgorithmOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    Subject,
    VerificationError,
)

from openfl_twisted.wire.x509._costs import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_FAILURES,
    MAX_STEPS,
    countConstraints,
    countNames,
    namesOf,
)
from openfl_twisted.wire.x509.certificates import MALFORMED, isSignedBy

# The text in cryptography's error that precedes a problem of an issuer.
_CANDIDATES = "candidates exhausted: "
# The text in cryptography's error that precedes the certificate with the problem.
_PROCESSING = " (encountered processing"
_NO_PATH = "no path leads to a trusted certificate authority"
_TOO_MANY_STEPS = (
    f"path building exceeds {MAX_STEPS} signature checks or {MAX_FAILURES} invalid signatures"
)
# Extensions that OpenSSL processes, but cryptography does not. These extensions may be critical:
# RFC 5280 requires this for the first two.
_ISSUER_EXTENSIONS: tuple[type[x509.ExtensionType], ...] = (
    x509.PolicyConstraints,
    x509.InhibitAnyPolicy,
    x509.CertificatePolicies,
    x509.CRLDistributionPoints,
    x509.OCSPNoCheck,
)
# cryptography has no class for this extension.
_POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
_SERVER_EXTENSIONS = _ISSUER_EXTENSIONS[2:]
_UNUSUAL_KEYS = {
    PublicKeyAlgorithmOID.ED25519,
    PublicKeyAlgorithmOID.ED448,
    PublicKeyAlgorithmOID.RSASSA_PSS,
}
_USUAL_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)


class PathError(Exception):
    """
    No path satisfies the rules. The text of the exception contains the reason.

    @ivar blamesLeaf: whether the server certificate itself breaks a rule.
    """

    def __init__(self, reason: str, *, blamesLeaf: bool = False) -> None:
        """
        @param reason: the rule that is broken.
        """
        super().__init__(reason)
        self.blamesLeaf = blamesLeaf


def findPath(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    subject: Subject,
    time: datetime,
    *,
    webPKI: bool,
) -> list[x509.Certificate]:
    """
    Find a valid path from a server certificate to a trust anchor.

    @param others: certificates that may be intermediates.
    @param subject: the host for which the certificate must be valid.
    @param time: the time at which the path must be valid.
    @param webPKI: whether all rules for web CAs apply. If not, the rules for extensions do not
        apply.
    @return: the path from the server certificate to the trust anchor. No CA occurs twice in
        the path.
    @raise PathError: if there is no valid path, or if the search takes too many
        steps.
    """
    if not anchors:
        raise PathError("no certificate authority is trusted")
    problem = PathError(_NO_PATH)
    names, constraints, left = _Counts(countNames), _Counts(countConstraints), MAX_COMPARISONS
    for path in _Search(others, anchors).paths([certificate]):
        limiting = sum(constraints[each] for each in path)
        if limiting:
            left -= limiting * sum(names[each] for each in path)
            if left < 0:
                raise PathError(f"path building exceeds {MAX_COMPARISONS} name comparisons")
        try:
            verifyPath(path, subject, time, webPKI=webPKI)
        except PathError as reason:
            problem = reason
        else:
            return path
    raise problem


def verifyPath(
    path: Sequence[x509.Certificate], subject: Subject, time: datetime, *, webPKI: bool
) -> None:
    """
    Verify one path.

    @param path: the path from the server certificate to the trust anchor, which may
        be the server certificate itself.
    @param subject: the host for which the certificate must be valid.
    @param time: the time at which the path must be valid.
    @param webPKI: whether all rules for web CAs apply.
    @raise PathError: if the path is not valid.
    """
    # The verifier tries each certificate whose subject is the name of the issuer.
    names = [namesOf(_der(each)) for each in path]
    tries = sum(subject == issuer for issuer, _, _ in names for _, subject, _ in names)
    if tries > MAX_STEPS:
        raise PathError(_TOO_MANY_STEPS)
    issuers, servers = _extensionPolicies(webPKI)
    builder = PolicyBuilder().store(Store([path[-1]])).time(time).max_chain_depth(MAX_DEPTH)
    builder = builder.extension_policies(ca_policy=issuers, ee_policy=servers)
    try:
        builder.build_server_verifier(subject).verify(path[0], list(path[1:-1]))
    except (VerificationError, ValueError) as problem:
        # The verifier checks the server certificate first, and then names it in the error. It names
        # an issuer only after the text _CANDIDATES.
        text = str(problem)
        blamesLeaf = _CANDIDATES not in text and _PROCESSING in text
        blamesLeaf = blamesLeaf or not _isReadable(path[0])
        raise PathError(_reason(problem), blamesLeaf=blamesLeaf) from None


def _isReadable(certificate: x509.Certificate) -> bool:
    """
    Check whether the extensions of a certificate can be parsed.
    """
    try:
        _ = certificate.extensions
    except MALFORMED:
        return False
    return True


@cache
def _extensionPolicies(webPKI: bool) -> tuple[ExtensionPolicy, ExtensionPolicy]:
    """
    Return the rules for the extensions in CA certificates, and the rules for the extensions in
    server certificates.
    """
    agnostic = Criticality.AGNOSTIC
    if webPKI:
        issuers = ExtensionPolicy.webpki_defaults_ca()
        servers = ExtensionPolicy.webpki_defaults_ee()
    else:
        # The verifier requires a rule for at least these two extensions.
        everything = ExtensionPolicy.permit_all()
        issuers = everything.require_present(x509.BasicConstraints, agnostic, None)
        servers = everything.require_present(x509.SubjectAlternativeName, agnostic, None)
    for extension in _ISSUER_EXTENSIONS:
        issuers = issuers.may_be_present(extension, agnostic, None)
    for extension in _SERVER_EXTENSIONS:
        servers = servers.may_be_present(extension, agnostic, None)
    return issuers, servers


class _Counts(dict[x509.Certificate, int]):
    """
    The number of names, or of name constraints, in each certificate of many paths.
    """

    def __init__(self, count: Callable[[bytes], int]) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, certificate: x509.Certificate) -> int:
        self[certificate] = found = self._count(_der(certificate))
        return found


class _Search:
    """
    The search for paths to a trust anchor. The search fails after L{MAX_STEPS} signature
    checks, or after L{MAX_FAILURES} invalid signatures. Certificates with the fewest steps to a
    trust anchor, according to their issuer names, are tried first. C{cryptography} can also
    search for paths, but old versions try all paths: with three certificates that sign each
    other, this would take hours.
    """

    def __init__(
        self, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate]
    ) -> None:
        self._anchors = frozenset(anchors)
        self._left, self._failures = MAX_STEPS, 0
        self._names = dict(_namesOfAnchors(tuple(anchors)))
        for each in others:
            if each not in self._names:
                self._names[each] = namesOf(_der(each))
        # For each certificate that may lead to a trust anchor, the number of steps to the trust
        # anchor.
        self._distances = dict.fromkeys(anchors, 0)
        issued: dict[bytes, list[x509.Certificate]] = {}
        for certificate, (issuer, _, _) in self._names.items():
            issued.setdefault(issuer, []).append(certificate)
        found = deque(anchors)
        while found:
            nearer = found.popleft()
            for certificate in issued.pop(self._names[nearer][1], ()):
                if certificate not in self._distances:
                    self._distances[certificate] = self._distances[nearer] + 1
                    found.append(certificate)
        self._issuers: dict[bytes, list[x509.Certificate]] = {}
        for certificate in self._distances:
            self._issuers.setdefault(self._names[certificate][1], []).append(certificate)

    def paths(
        self, path: list[x509.Certificate], passed: frozenset[tuple[bytes, bytes]] = frozenset()
    ) -> Iterator[list[x509.Certificate]]:
        """
        Extend a path to the trust anchors.

        @param path: the path so far.
        @param passed: the subjects and keys of the certificates in the path.
        @return: the extended paths, in the order in which they are found.
        @raise PathError: if the search takes too many steps.
        """
        issuer, subject, key = namesOf(_der(path[-1]))
        # A path that returns to the same CA is never better than the path without the loop.
        passed |= {(subject, key)}
        # The candidates are in the order of their distances, because they were added in this order.
        for candidate in self._issuers.get(issuer, ()):
            if self._names[candidate][1:] in passed:
                continue
            self._left -= 1
            if self._left < 0 or self._failures == MAX_FAILURES:
                raise PathError(_TOO_MANY_STEPS)
            if not isSignedBy(path[-1], candidate):
                self._failures += 1
                continue
            longer = [*path, candidate]
            if candidate in self._anchors:
                yield longer
            elif len(longer) <= MAX_DEPTH + 1:
                yield from self.paths(longer, passed)


@lru_cache(maxsize=32)
def _namesOfAnchors(
    anchors: tuple[x509.Certificate, ...],
) -> Mapping[x509.Certificate, tuple[bytes, bytes, bytes]]:
    """
    Return the names of the trust anchors. The names are cached, because most systems have more
    than a hundred trust anchors.
    """
    return {each: namesOf(_der(each)) for each in anchors}


def obstacleTo(path: Sequence[x509.Certificate]) -> str:
    """
    Return why C{cryptography} cannot verify a path that OpenSSL can verify.

    @param path: the path from the server certificate to the trust anchor.
    @return: the reason; empty if the verifier supports the whole path.
    """
    leaf, *issuers = path
    if not all(_isUsual(each) for each in issuers):
        return "a CA of the path has a key that is neither RSA nor P-256, P-384 or P-521"
    if issuers and issuers[-1].version is x509.Version.v1:
        return "the trust anchor is an X.509 version 1 certificate"
    if any(map(_hasPolicyMappings, issuers)):
        return "a CA of the path has a critical policyMappings extension"
    if _hasDottedName(leaf):
        return "a name of the certificate ends with a dot"
    return ""


def _isUsual(certificate: x509.Certificate) -> bool:
    """
    Check whether C{cryptography}'s verifier supports the key of a CA. The verifier supports
    only keys that CAs of the Web PKI may use.

    @return: C{False} for Ed25519, Ed448 and RSASSA-PSS keys, and for elliptic
        curves other than P-256, P-384 and P-521.
    """
    algorithm = certificate.public_key_algorithm_oid
    if algorithm == PublicKeyAlgorithmOID.EC_PUBLIC_KEY:
        try:
            key = certificate.public_key()
        except UnsupportedAlgorithm:
            return False
        except ValueError:
            # Treat a malformed key as supported: the verifier then refuses it.
            return True
        return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _USUAL_CURVES)
    return algorithm not in _UNUSUAL_KEYS


def _hasPolicyMappings(certificate: x509.Certificate) -> bool:
    """
    Check whether a certificate has a critical policyMappings extension.
    """
    try:
        return certificate.extensions.get_extension_for_oid(_POLICY_MAPPINGS).critical
    except (x509.ExtensionNotFound, *MALFORMED):
        return False


def _hasDottedName(certificate: x509.Certificate) -> bool:
    """
    Check whether a DNS name of a certificate ends with a dot.
    """
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, *MALFORMED):
        return False
    names = extension.value.get_values_for_type(x509.DNSName)
    return any(name.endswith(".") for name in names)


def mayConstrainNames(certificate: x509.Certificate) -> bool:
    """
    Check whether a certificate has name constraints.

    @param certificate: the certificate of a server or CA.
    @return: whether the certificate has name constraints; C{True} if its extensions cannot be
        parsed.
    """
    try:
        certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return False
    except MALFORMED:
        return True
    return True


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _reason(problem: Exception) -> str:
    """
    Extract the reason from an exception raised by C{cryptography}.
    """
    text = str(problem)
    if "no interior errors" in text:
        return _NO_PATH
    text = text.partition(_CANDIDATES)[2] or text.removeprefix("validation failed: ")
    text = text.partition(_PROCESSING)[0]
    if "DNS name constraint: ." in text:
        text += "; RFC 5280 does not allow a dot at the beginning"
    return text
