"""
Second verification of a certificate path, with C{cryptography}'s verifier. It finds
paths that OpenSSL misses because it does not backtrack, and checks name constraints
that OpenSSL ignores.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import cache

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import PublicKeyAlgorithmOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    Subject,
    VerificationError,
)

from openfl_twisted.wire.x509.certificates import MALFORMED

MAX_DEPTH = 16
"""
Maximum number of intermediate certificates in a path.
"""

# The words of C{cryptography} before a problem of an issuer.
_CANDIDATES = "candidates exhausted: "
# The words before the certificate that has the problem.
_PROCESSING = " (encountered processing"
# Extensions that C{cryptography} does not process, but OpenSSL does. They may be critical:
# RFC 5280 requires it for the first two.
_ISSUER_EXTENSIONS: tuple[type[x509.ExtensionType], ...] = (
    x509.PolicyConstraints,
    x509.InhibitAnyPolicy,
    x509.CertificatePolicies,
    x509.CRLDistributionPoints,
    x509.OCSPNoCheck,
)
# C{cryptography} has no class for it.
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
    No path keeps the rules. The message contains the reason.

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
    Find a valid path from a server certificate to a trust anchor. C{cryptography} limits
    the number of signatures that it verifies to 128.

    @param others: certificates that may be intermediates.
    @param subject: the host that the certificate must be for.
    @param time: the time at which the path must be valid.
    @param webPKI: whether all rules for web CAs apply. If not, extensions are not
        checked against them.
    @return: the path from the server certificate to the trust anchor, which may be the
        server certificate itself. No CA is in it twice.
    @raise PathError: if there is no valid path, or if the search takes too many
        steps.
    """
    if not anchors:
        raise PathError("no certificate authority is trusted")
    issuers, servers = _extensionPolicies(webPKI)
    builder = PolicyBuilder().store(Store(list(anchors))).time(time).max_chain_depth(MAX_DEPTH)
    builder = builder.extension_policies(ca_policy=issuers, ee_policy=servers)
    try:
        found = builder.build_server_verifier(subject).verify(certificate, list(others))
    except (VerificationError, ValueError) as problem:
        # The verifier checks the server certificate first, and names it. It names an issuer
        # only after the words for candidates.
        text = str(problem)
        blamesLeaf = _CANDIDATES not in text and _PROCESSING in text
        blamesLeaf = blamesLeaf or not _isReadable(certificate)
        raise PathError(_reason(problem), blamesLeaf=blamesLeaf) from None
    return _withoutLoops(found)


def _withoutLoops(path: list[x509.Certificate]) -> list[x509.Certificate]:
    """
    Remove the certificates between two of the same CA. Each of them only adds rules.
    """
    kept: list[x509.Certificate] = []
    passed: list[tuple[x509.Name, object]] = []
    for certificate in path[1:]:
        authority = (certificate.subject, certificate.public_key())
        if authority in passed:
            first = passed.index(authority)
            del kept[first:], passed[first:]
        kept.append(certificate)
        passed.append(authority)
    return [path[0], *kept]


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
    Make the rules for the extensions of CAs, and for those of servers.
    """
    agnostic = Criticality.AGNOSTIC
    if webPKI:
        issuers = ExtensionPolicy.webpki_defaults_ca()
        servers = ExtensionPolicy.webpki_defaults_ee()
    else:
        # The verifier does not allow less than these two.
        everything = ExtensionPolicy.permit_all()
        issuers = everything.require_present(x509.BasicConstraints, agnostic, None)
        servers = everything.require_present(x509.SubjectAlternativeName, agnostic, None)
    for extension in _ISSUER_EXTENSIONS:
        issuers = issuers.may_be_present(extension, agnostic, None)
    for extension in _SERVER_EXTENSIONS:
        servers = servers.may_be_present(extension, agnostic, None)
    return issuers, servers


def obstacleTo(path: Sequence[x509.Certificate]) -> str:
    """
    Return why C{cryptography} cannot verify a path that OpenSSL can verify.

    @param path: the path from the server certificate to the trust anchor.
    @return: the reason; empty if the verifier supports the whole path.
    """
    leaf, *issuers = path
    if not all(isUsual(each) for each in issuers):
        return "a CA of the path has a key that is neither RSA nor P-256, P-384 or P-521"
    if issuers and issuers[-1].version is x509.Version.v1:
        return "the trust anchor is an X.509 version 1 certificate"
    if any(map(_hasPolicyMappings, issuers)):
        return "a CA of the path has a critical policyMappings extension"
    if _hasDottedName(leaf):
        return "a name of the certificate ends with a dot"
    return ""


def isUsual(certificate: x509.Certificate) -> bool:
    """
    Check whether C{cryptography}'s verifier supports the key of a CA. It supports
    only the keys that CAs of the Web PKI may use.

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
            # A malformed key is left to the verifier, which refuses it.
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
    @return: C{True} also if its extensions cannot be parsed.
    """
    try:
        certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except x509.ExtensionNotFound:
        return False
    except MALFORMED:
        return True
    return True


def _reason(problem: Exception) -> str:
    """
    Extract the reason from an error of C{cryptography}.
    """
    text = str(problem)
    if "no interior errors" in text:
        return "no path leads to a trusted certificate authority"
    text = text.partition(_CANDIDATES)[2] or text.removeprefix("validation failed: ")
    text = text.partition(_PROCESSING)[0]
    if "DNS name constraint: ." in text:
        text += "; RFC 5280 does not allow a dot at the beginning"
    return text
