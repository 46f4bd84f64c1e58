"""
A second look at the path from a server's certificate to an authority, with
C{cryptography}'s verifier: it finds paths that OpenSSL misses, which never goes
back from a wrong turn, and sees constraints on names that OpenSSL overlooks.
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import PublicKeyAlgorithmOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    Subject,
    VerificationError,
)

MAX_DEPTH = 16
"""
The most certificates between the server's and the authority's.
"""

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
    Find a path from a certificate to an authority.

    @param certificate: the server's certificate.
    @param others: certificates that may be on the path.
    @param anchors: the authorities.
    @param subject: whom the certificate must be for.
    @param time: when it must be valid.
    @param webPKI: whether all rules of the web's authorities apply. If not,
        extensions may be as they are.
    @return: the path, from the server's certificate to that of the authority.
        No authority is on it twice.
    @raise PathError: if there is none.
    """
    if not anchors:
        raise PathError("no authority is trusted")
    builder = PolicyBuilder().store(Store(list(anchors))).time(time).max_chain_depth(MAX_DEPTH)
    if not webPKI:
        # It does not allow less than these two.
        everything, any_ = ExtensionPolicy.permit_all(), Criticality.AGNOSTIC
        builder = builder.extension_policies(
            ca_policy=everything.require_present(x509.BasicConstraints, any_, None),
            ee_policy=everything.require_present(x509.SubjectAlternativeName, any_, None),
        )
    try:
        path = builder.build_server_verifier(subject).verify(certificate, list(others))
    except (VerificationError, ValueError) as problem:
        raise PathError(_reason(problem)) from None
    return _withoutLoops(path)


def isUsual(certificate: x509.Certificate) -> bool:
    """
    Check whether a certificate's key is of a kind that C{cryptography}'s
    verifier takes at all: the authorities of the web may not use EdDSA.

    @param certificate: the server's, or another.
    @return: C{False} for a key of Ed25519 or Ed448.
    """
    return certificate.public_key_algorithm_oid not in _UNUSUAL_KEYS


def _reason(problem: Exception) -> str:
    """
    Shorten what C{cryptography} says to its reason.
    """
    text = str(problem)
    if "no interior errors" in text:
        return "no authority that is trusted leads to it"
    _, _, reason = text.partition("candidates exhausted: ")
    return (reason or text).partition(" (encountered processing")[0]


def _withoutLoops(path: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """
    Cut what leads from an authority back to itself.
    """
    straight: list[x509.Certificate] = []
    for certificate in path:
        for number, earlier in enumerate(straight):
            if (
                earlier.subject == certificate.subject
                and earlier.public_key() == certificate.public_key()
            ):
                del straight[number:]
                break
        straight.append(certificate)
    return straight
