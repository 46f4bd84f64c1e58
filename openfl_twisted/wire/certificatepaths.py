"""
A second look at the path from a server's certificate to an authority, with
C{cryptography}'s verifier: it finds paths that OpenSSL misses, which never goes
back from a wrong turn, and sees constraints on names that OpenSSL overlooks.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from cryptography import x509
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

from openfl_twisted.wire.certificatecosts import (
    MAX_COMPARISONS,
    MAX_DEPTH,
    MAX_FAILURES,
    MAX_STEPS,
    countConstraints,
    countNames,
    namesOf,
)
from openfl_twisted.wire.certificates import MALFORMED, isSignedBy

_TOO_MANY_STEPS = (
    f"the search for a path takes more than {MAX_STEPS} signatures or {MAX_FAILURES} wrong ones"
)
_UNUSUAL_KEYS = {PublicKeyAlgorithmOID.ED25519, PublicKeyAlgorithmOID.ED448}


class PathError(Exception):
    """
    There is no path that keeps the rules; the text says why.
    """


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

    @param certificate: the server certificate.
    @param others: certificates that may be intermediates.
    @param anchors: the trust anchors.
    @param subject: the host that the certificate must be for.
    @param time: the time at which the path must be valid.
    @param webPKI: whether all rules for web CAs apply. If not, extensions are not
        checked against them.
    @return: the path from the server certificate to the trust anchor. No CA is in
        it twice.
    @raise PathError: if there is no valid path, or if the search takes too many
        steps.
    """
    if not anchors:
        raise PathError("no authority is trusted")
    problem = PathError("no authority that is trusted leads to it")
    names, constraints, left = _Counts(countNames), _Counts(countConstraints), MAX_COMPARISONS
    for path in _Search(others, anchors).paths([certificate]):
        limiting = sum(constraints[each] for each in path)
        if limiting:
            left -= limiting * sum(names[each] for each in path)
            if left < 0:
                raise PathError(f"its paths take more than {MAX_COMPARISONS} comparisons of names")
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
    @param subject: the host that the certificate must be for.
    @param time: the time at which the path must be valid.
    @param webPKI: whether all rules for web CAs apply.
    @raise PathError: if the path is not valid.
    """
    # The verifier tries each certificate with the name of the issuer.
    names = [namesOf(_der(each)) for each in path]
    tries = sum(subject == issuer for issuer, _, _ in names for _, subject, _ in names)
    if tries > MAX_STEPS:
        raise PathError(_TOO_MANY_STEPS)
    builder = PolicyBuilder().store(Store([path[-1]])).time(time).max_chain_depth(MAX_DEPTH)
    if not webPKI:
        # It does not allow less than these two.
        everything, any_ = ExtensionPolicy.permit_all(), Criticality.AGNOSTIC
        builder = builder.extension_policies(
            ca_policy=everything.require_present(x509.BasicConstraints, any_, None),
            ee_policy=everything.require_present(x509.SubjectAlternativeName, any_, None),
        )
    try:
        builder.build_server_verifier(subject).verify(path[0], list(path[1:-1]))
    except (VerificationError, ValueError) as problem:
        raise PathError(_reason(problem)) from None


class _Counts(dict[x509.Certificate, int]):
    """
    The numbers of names, or of name constraints, in the certificates of many paths.
    """

    def __init__(self, count: Callable[[bytes], int]) -> None:
        super().__init__()
        self._count = count

    def __missing__(self, certificate: x509.Certificate) -> int:
        self[certificate] = found = self._count(_der(certificate))
        return found


class _Search:
    """
    The search for paths to a trust anchor. It verifies at most L{MAX_STEPS}
    signatures and at most L{MAX_FAILURES} wrong ones. It first follows the
    certificates that are closest to an anchor by their names. C{cryptography} could
    search itself, but old versions try all paths: three certificates that sign each
    other would keep them busy for hours.
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
        # For each certificate that may lead to an anchor, the number of certificates to it.
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
        @param passed: the subjects and keys of the path.
        @return: the extended paths, in the order in which they are found.
        @raise PathError: if the search takes too many steps.
        """
        issuer, subject, key = namesOf(_der(path[-1]))
        # A path that returns to the same CA is never better than the path without the loop.
        passed |= {(subject, key)}
        # Certificates were added in the order of their distances.
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
    Get the names of the trust anchors, of which a machine has more than a hundred.
    """
    return {each: namesOf(_der(each)) for each in anchors}


def isUsual(certificate: x509.Certificate) -> bool:
    """
    Check whether C{cryptography}'s verifier supports the key of a CA. It refuses
    EdDSA keys, which web CAs may not use.

    @param certificate: the certificate of the CA.
    @return: C{False} for an Ed25519 or Ed448 key.
    """
    return certificate.public_key_algorithm_oid not in _UNUSUAL_KEYS


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


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _reason(problem: Exception) -> str:
    """
    Shorten what C{cryptography} says to its reason.
    """
    text = str(problem)
    if "no interior errors" in text:
        return "no authority that is trusted leads to it"
    _, _, reason = text.partition("candidates exhausted: ")
    return (reason or text).partition(" (encountered processing")[0]
