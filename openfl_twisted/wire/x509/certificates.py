"""
The C{CertificateStatus} of a server certificate, from all findings of its
verification.

OpenSSL reports the first problem that it finds. This module uses all findings, and the most
severe finding determines the status. The order of severity is similar to the order in
browsers: first the signers, then the name, then the dates.
"""

import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from operator import itemgetter

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from openfl_twisted.wire.x509 import _verifycodes as verifycodes

# OpenSSL's codes for a missing issuer certificate.
_UNABLE_TO_GET_ISSUER = frozenset({2, 20})
# OpenSSL's code for a certificate with an invalid signature.
_SIGNATURE_FAILURE = 7
# OpenSSL's code for a CRL with an invalid signature.
_CRL_SIGNATURE_FAILURE = 8

REVOKED = 23
"""
OpenSSL's code for a revoked certificate.
"""

HOSTNAME_MISMATCH = 62
"""
OpenSSL's code for a certificate that is for another host.
"""

_MAX_ISSUERS = 4
"""
Maximum number of certificates whose keys are tried to verify one signature.
"""

MALFORMED = (
    # KeyError is raised for a TLS feature with an unknown number.
    KeyError,
    # TypeError is raised for name constraints with an IP address that is not a network.
    TypeError,
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""
The exceptions that C{cryptography} raises for a malformed certificate.
"""

_MAX_DETAIL = 500
"""
Maximum length of the detail in the text of a finding (characters).
"""


class OwnCode(IntEnum):
    """
    Codes of findings, in addition to OpenSSL's codes.

    @cvar UNREADABLE: the certificate's extensions cannot be parsed.
    @cvar REFUSED_PATH: the second verifier rejects the path that OpenSSL has accepted.
    @cvar NOT_OWNED: the server does not have the private key of its certificate.
    @cvar MUST_STAPLE: the certificate requires a valid OCSP response, and the server sent
        none.
    @cvar UNPROVED: the client requires proof that the certificate is not revoked, and no
        revocation data proves it.
    @cvar UNCHECKED_CONSTRAINTS: the second verifier cannot check name constraints of the
        path.
    @cvar TOO_COSTLY: the verification would exceed a cost limit.
    @cvar REFUSED_LEAF: the second verifier rejects the server certificate that OpenSSL has
        accepted.
    @cvar NO_ANCHORS: the client has no trust anchors.
    @cvar UNTRUSTED_END: the path that OpenSSL has accepted does not end at a trust anchor.
    """

    UNREADABLE = -1
    REFUSED_PATH = -2
    NOT_OWNED = -3
    MUST_STAPLE = -4
    UNPROVED = -5
    UNCHECKED_CONSTRAINTS = -6
    TOO_COSTLY = -7
    REFUSED_LEAF = -8
    NO_ANCHORS = -9
    UNTRUSTED_END = -10


_DATE = "%Y-%m-%d %H:%M UTC"
_DESCRIPTIONS: dict[int, str] = {
    **verifycodes.VERIFY_ERRORS,
    OwnCode.UNREADABLE: "its extensions cannot be parsed",
    OwnCode.REFUSED_PATH: "its certification path violates RFC 5280",
    OwnCode.NOT_OWNED: "the server did not prove that it has the private key",
    OwnCode.MUST_STAPLE: "it requires a valid OCSP response from the server",
    OwnCode.UNPROVED: "its revocation status is unknown",
    OwnCode.UNCHECKED_CONSTRAINTS: "its name constraints cannot be checked",
    OwnCode.TOO_COSTLY: "its verification would cost too much",
    OwnCode.REFUSED_LEAF: "it violates RFC 5280",
    OwnCode.NO_ANCHORS: "no trusted certificate authority is installed on this machine",
    OwnCode.UNTRUSTED_END: "its certification path ends at a certificate that is not trusted",
}


class CertificateStatus:
    """
    The result of the verification of a server certificate (C{flash.security}).

    @cvar EXPIRED: the certificate has expired.
    @cvar INVALID: the content of the certificate cannot be trusted, or the certificate has a
        problem that has no separate status.
    @cvar INVALID_CHAIN: a CA certificate in the path has expired, or must not be used as a CA
        certificate.
    @cvar NOT_YET_VALID: the certificate is not yet valid.
    @cvar PRINCIPAL_MISMATCH: the certificate is for another server.
    @cvar REVOKED: the certificate was revoked by its issuer.
    @cvar TRUSTED: the certificate has no problem.
    @cvar UNKNOWN: the certificate was not verified, or the server has sent no certificate.
    @cvar UNTRUSTED_SIGNERS: the path does not end at a trust anchor.
    """

    EXPIRED = "expired"
    INVALID = "invalid"
    INVALID_CHAIN = "invalidChain"
    NOT_YET_VALID = "notYetValid"
    PRINCIPAL_MISMATCH = "principalMismatch"
    REVOKED = "revoked"
    TRUSTED = "trusted"
    UNKNOWN = "unknown"
    UNTRUSTED_SIGNERS = "untrustedSigners"


_WORDS = {
    CertificateStatus.EXPIRED: "has expired",
    CertificateStatus.INVALID: "is not valid",
    CertificateStatus.INVALID_CHAIN: "has an invalid certificate chain",
    CertificateStatus.NOT_YET_VALID: "is not valid yet",
    CertificateStatus.PRINCIPAL_MISMATCH: "is not valid for this server name",
    CertificateStatus.REVOKED: "has been revoked",
    CertificateStatus.TRUSTED: "is trusted",
    CertificateStatus.UNKNOWN: "was not verified",
    CertificateStatus.UNTRUSTED_SIGNERS: "is not signed by a trusted certificate authority",
}


class _Grade(IntEnum):
    """
    The severities of findings, the most severe first.
    """

    UNREADABLE = 0
    REVOKED = 1
    SIGNERS = 2
    CHAIN = 3
    NAME = 4
    EARLY = 5
    LATE = 6
    OTHER = 7


_STATUS = {
    # The content of a certificate whose signature is invalid cannot be trusted.
    _Grade.UNREADABLE: CertificateStatus.INVALID,
    _Grade.REVOKED: CertificateStatus.REVOKED,
    _Grade.SIGNERS: CertificateStatus.UNTRUSTED_SIGNERS,
    _Grade.CHAIN: CertificateStatus.INVALID_CHAIN,
    _Grade.NAME: CertificateStatus.PRINCIPAL_MISMATCH,
    _Grade.EARLY: CertificateStatus.NOT_YET_VALID,
    _Grade.LATE: CertificateStatus.EXPIRED,
    # Flash uses this status for all other problems.
    _Grade.OTHER: CertificateStatus.INVALID,
}


@dataclass(frozen=True)
class Finding:
    """
    A problem with a certificate.

    @ivar code: an C{X509_V_ERR_} code, or an L{OwnCode}.
    @ivar depth: position of the certificate in the path; 0 is the server certificate.
    @ivar detail: details of the problem (default: empty).
    @ivar subject: subject of the certificate, if the certificate is a CA certificate (default:
        empty).
    """

    code: int
    depth: int
    detail: str = ""
    subject: str = ""

    @property
    def words(self) -> str:
        """
        OpenSSL's description of the problem, and the CA whose certificate has the problem.
        """
        text = _DESCRIPTIONS.get(self.code, f"X.509 error {self.code}")
        if self.detail:
            # Make the detail printable, because verifiers quote data from the server.
            text = f"{text} ({printable(self.detail, _MAX_DETAIL)})"
        if self.depth <= 0:
            return text
        return f"{text}, in the certificate of the CA {self.subject or f'at depth {self.depth}'}"


@dataclass(frozen=True)
class Verdict:
    """
    The result of the verification of a certificate, with the reason.

    @ivar status: one of L{CertificateStatus}.
    @ivar finding: the finding that determined the status; C{None} for a trusted or missing
        certificate.
    @ivar certificate: the server certificate, if any.
    @ivar statuses: for each finding, the status that would result from this finding alone.
    """

    status: str = CertificateStatus.UNKNOWN
    finding: Finding | None = None
    certificate: x509.Certificate | None = None
    statuses: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """
        The result as human-readable text, with the certificate's subject.
        """
        subject = "" if self.certificate is None else f" of {subjectOf(self.certificate)}"
        reason = "" if self.finding is None else f": {self.finding.words}"
        return f"the certificate{subject} {_WORDS[self.status]}{reason}"


@contextmanager
def unwarned() -> Iterator[None]:
    """
    Ignore the warnings of C{cryptography} about the content of peers' certificates, such as a
    country code of three letters.

    @return: a context manager.
    """
    with warnings.catch_warnings():
        # The base class of cryptography's warnings.
        warnings.simplefilter("ignore", UserWarning)
        yield


def subjectOf(certificate: x509.Certificate) -> str:
    """
    Return the subject of a certificate for a log line.

    @param certificate: a certificate, which may be malformed.
    @return: the subject as in RFC 4514, at most 200 characters and an ellipsis.
        Characters that are not printable become U+FFFD.
    """
    try:
        with unwarned():
            subject = certificate.subject.rfc4514_string() or "an unnamed subject"
    except MALFORMED:
        subject = "a malformed subject"
    return printable(subject, 200)


def printable(text: str, length: int) -> str:
    """
    Make text from a peer safe for a log line.

    @param length: the maximum length (characters).
    @return: the text. Characters that are not printable become U+FFFD. Text that is too long
        is truncated, and an ellipsis is appended.
    """
    shown = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:length]
    )
    return shown if len(text) <= length else f"{shown}…"


def judge(
    findings: Collection[Finding],
    path: Mapping[int, x509.Certificate],
    *,
    atHand: Collection[x509.Certificate] = (),
    pinned: Collection[x509.Certificate] = (),
    hardRevocation: bool = False,
) -> Verdict:
    """
    Return the verdict on a server certificate.

    @param findings: all findings, in the order in which they were found.
    @param path: the known certificates of the path, by depth.
    @param atHand: all certificates that may complete the path: the certificates sent by the
        server, and the client's configured certificates.
    @param pinned: certificates that are trusted although they are not self-signed. A path can
        end at such a certificate.
    @param hardRevocation: whether a certificate is accepted only if it is known not
        to be revoked.
    @return: the verdict. The most severe finding determines the status. If every finding can
        be ignored, the status is C{TRUSTED}.
    """
    certificate = path.get(0)
    graded = _grades(findings, path, atHand, pinned, hardRevocation)
    if not graded:
        return Verdict(CertificateStatus.TRUSTED, None, certificate)
    finding, grade = min(graded, key=itemgetter(1))
    return Verdict(
        _STATUS[grade],
        _describe(finding, path),
        certificate,
        frozenset(_STATUS[each] for _, each in graded),
    )


def _describe(finding: Finding, path: Mapping[int, x509.Certificate]) -> Finding:
    """
    Return a finding with the subject of the certificate, and with the date to which the
    finding refers.
    """
    certificate = path.get(finding.depth)
    if certificate is None:
        return finding
    detail, subject = finding.detail, subjectOf(certificate) if finding.depth > 0 else ""
    if finding.code in verifycodes.EXPIRED:
        detail = detail or f"since {certificate.not_valid_after_utc:{_DATE}}"
    elif finding.code in verifycodes.NOT_YET_VALID:
        detail = detail or f"until {certificate.not_valid_before_utc:{_DATE}}"
    return replace(finding, detail=detail, subject=subject)


def _grades(
    findings: Collection[Finding],
    path: Mapping[int, x509.Certificate],
    atHand: Collection[x509.Certificate],
    pinned: Collection[x509.Certificate],
    hardRevocation: bool,
) -> list[tuple[Finding, _Grade]]:
    end = min((depth for depth, cert in path.items() if cert in pinned), default=None)
    leafDates = any(
        finding.depth == 0 and finding.code in verifycodes.NOT_YET_VALID | verifycodes.EXPIRED
        for finding in findings
    )
    # Findings about a missing issuer although the issuer is known: the problem is that the issuer
    # was rejected. An issuer that the path already contains is not counted, because the CAs have
    # signed each other.
    badIssuer = {
        finding
        for finding in findings
        if finding.code in _UNABLE_TO_GET_ISSUER
        and _hasIssuer(
            path.get(finding.depth),
            atHand,
            [certificate for at, certificate in path.items() if at <= finding.depth],
        )
    }
    forgedLists = {finding.depth for finding in findings if finding.code == _CRL_SIGNATURE_FAILURE}
    graded = []
    for finding in findings:
        code, depth = finding.code, finding.depth
        unsigned = code in verifycodes.NO_TRUSTED_SIGNER
        if end is not None and (depth > end or (unsigned and depth == end)):
            continue
        if code in verifycodes.UNKNOWN_REVOCATION and not hardRevocation:
            continue
        if code == REVOKED and depth in forgedLists:
            continue
        if unsigned and badIssuer:
            if finding in badIssuer:
                graded.append((finding, _Grade.CHAIN))
            continue
        if code in verifycodes.NOT_YET_VALID | verifycodes.EXPIRED and depth > 0 and leafDates:
            continue
        if code == _SIGNATURE_FAILURE and depth == 0 and _hasIssuer(path.get(0), atHand):
            graded.append((finding, _Grade.CHAIN))
            continue
        graded.append((finding, _gradeOf(code, depth)))
    return graded


def _gradeOf(code: int, depth: int) -> _Grade:
    if code in verifycodes.NO_TRUSTED_SIGNER or code in (OwnCode.NO_ANCHORS, OwnCode.UNTRUSTED_END):
        return _Grade.SIGNERS
    if code in verifycodes.BROKEN_CHAIN or code in (
        OwnCode.REFUSED_PATH,
        OwnCode.UNCHECKED_CONSTRAINTS,
    ):
        return _Grade.CHAIN
    if code in verifycodes.REVOKED:
        return _Grade.REVOKED
    if code in verifycodes.OTHER_NAME:
        return _Grade.NAME
    if code in verifycodes.BAD_CONFIGURATION | verifycodes.UNKNOWN_REVOCATION:
        return _Grade.OTHER
    if depth > 0:
        return _Grade.CHAIN
    if code in verifycodes.UNREADABLE_CERTIFICATE or code == OwnCode.UNREADABLE:
        return _Grade.UNREADABLE
    if code in verifycodes.NOT_YET_VALID:
        return _Grade.EARLY
    if code in verifycodes.EXPIRED:
        return _Grade.LATE
    return _Grade.OTHER


def _hasIssuer(
    certificate: x509.Certificate | None,
    others: Collection[x509.Certificate],
    ignored: Collection[x509.Certificate] = (),
) -> bool:
    """
    Check whether other certificates include the issuer of a certificate: a certificate with
    the issuer's name and a key that verifies the signature. At most L{_MAX_ISSUERS} keys are
    tried.
    """
    if certificate is None:
        return False
    tries = 0
    for other in others:
        if other == certificate or other in ignored:
            continue
        try:
            certificate.verify_directly_issued_by(other)
        except InvalidSignature:
            tries += 1
            if tries == _MAX_ISSUERS:
                return False
        except (UnsupportedAlgorithm, *MALFORMED):
            # No signature was verified, because the name or the type of the key is different.
            continue
        else:
            return True
    return False


def isSignedBy(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """
    Check whether a certificate is signed by a given issuer, which can be the certificate
    itself.

    @param issuer: the possible issuer. Its subject must equal the issuer name of
        C{certificate}.
    @return: whether C{issuer} has signed C{certificate}; C{False} if C{certificate} is
        malformed, or its signature algorithm is not supported.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, *MALFORMED):
        return False
    return True
