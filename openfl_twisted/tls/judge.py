"""
Verification of a server's certificate: collects OpenSSL's results, makes additional checks,
and decides whether the certificate is trusted.
"""

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from cryptography import x509
from OpenSSL.crypto import (
    FILETYPE_ASN1,
    X509,
    X509Store,
    X509StoreContext,
    X509StoreContextError,
    dump_certificate,
)
from OpenSSL.SSL import Connection

from openfl_twisted.logs import packageLogger
from openfl_twisted.tls.trust import Trust
from openfl_twisted.wire.x509 import certificates
from openfl_twisted.wire.x509._costs import findExcess
from openfl_twisted.wire.x509._paths import (
    PathError,
    findPath,
    mayConstrainNames,
    obstacleTo,
    verifyPath,
)
from openfl_twisted.wire.x509._revocation import Revocation, demandsStaple, readLists, readStaple
from openfl_twisted.wire.x509._servernames import ServerName, describeNames
from openfl_twisted.wire.x509._verifycodes import (
    EXPIRED,
    NAME_CONSTRAINTS,
    NO_TRUSTED_SIGNER,
    NOT_YET_VALID,
    UNKNOWN_REVOCATION,
)
from openfl_twisted.wire.x509.certificates import (
    MALFORMED,
    CertificateStatus,
    Finding,
    OwnCode,
    Verdict,
    judge,
    unwarned,
)

_ALERT_CODES = {
    CertificateStatus.EXPIRED: 10,
    CertificateStatus.REVOKED: certificates.REVOKED,
    CertificateStatus.UNTRUSTED_SIGNERS: 20,
}
_UNSPECIFIED = 1
_BAD_CERTIFICATE = certificates.HOSTNAME_MISMATCH
_PATH_STATUSES = {CertificateStatus.UNTRUSTED_SIGNERS, CertificateStatus.INVALID_CHAIN}
_NO_ANCHORS = "set SSL_CERT_FILE to a PEM file of CA certificates, or install certifi"
_log = packageLogger()


class Judge:
    """
    Verifies the certificate of one connection. The certificate is trusted only if all checks
    are completed without an objection.

    @ivar verdict: the result so far. C{trusted} means that there is no objection yet. Whether
        the server has the private key is only known after the handshake.
    """

    def __init__(self, name: ServerName, trust: Trust) -> None:
        """
        @param name: the name for which the certificate must be valid.
        @param trust: the trust anchors and rules.
        """
        self.verdict = Verdict()
        self._name = name
        self._trust = trust
        self._findings: list[Finding] = []
        self._path: dict[int, x509.Certificate] = {}
        self._sent: list[x509.Certificate] = []
        self._costsChecked = False
        self._failed = False
        self._concluded = False

    @property
    def alertCode(self) -> int:
        """
        The C{X509_V_ERR_} code from which OpenSSL derives the TLS alert for a refused
        certificate.
        """
        if self._failed:
            return _UNSPECIFIED
        return _ALERT_CODES.get(self.verdict.status, _BAD_CERTIFICATE)

    def verify(
        self, connection: Connection, certificate: X509, code: int, depth: int, ok: int
    ) -> bool:
        """
        OpenSSL's verification callback. Called for each error, and for each certificate in the
        path, from the trust anchor to the server's certificate.

        @param code: OpenSSL's error code, or 0.
        @param depth: the position of the certificate in the path; 0 for the server's
            certificate.
        @param ok: whether OpenSSL accepts the certificate.
        @return: whether OpenSSL should continue the verification.
        """
        try:
            with unwarned():
                return self._record(connection, certificate, code, depth, ok)
        except Exception:
            # Log the exception: pyOpenSSL would only print it.
            _log.failure(
                "unhandled error while verifying a certificate; the certificate is refused"
            )
            self._failed = True
            self._refuse(Finding(OwnCode.UNREADABLE, 0, "internal error"))
            return False

    def _record(
        self, connection: Connection, certificate: X509, code: int, depth: int, ok: int
    ) -> bool:
        if not self._costsChecked:
            self._costsChecked = True
            if not self._checkCosts(connection):
                return False
        # OpenSSL can report an objection before it has chosen the path. A certificate that is
        # reported without an objection is in the path.
        if ok or depth not in self._path:
            try:
                self._path[depth] = certificate.to_cryptography()
            except MALFORMED as problem:
                self._findings.append(Finding(OwnCode.UNREADABLE, depth, str(problem)))
        if not ok:
            self._findings.append(Finding(code, depth))
            if self._concluded:
                # Name constraints are the last check of OpenSSL.
                self._decide()
                self._useOtherPath()
                return self.verdict.status == CertificateStatus.TRUSTED
        if not ok or depth > 0:
            return True
        self._conclude()
        return self.verdict.status == CertificateStatus.TRUSTED

    def _checkCosts(self, connection: Connection) -> bool:
        """
        Check that verifying the certificates is not too expensive. Called before OpenSSL
        verifies signatures and name constraints.

        @return: whether the certificates are within the limits.
        """
        sent = connection.get_peer_cert_chain() or ()
        # A server may send the same certificate hundreds of times.
        unique = dict.fromkeys(dump_certificate(FILETYPE_ASN1, each) for each in sent)
        excess = findExcess(unique, self._trust.constraints) if unique else "unknown certificates"
        if excess:
            self._refuse(Finding(OwnCode.TOO_COSTLY, 0, excess))
            return False
        for der in unique:
            try:
                self._sent.append(x509.load_der_x509_certificate(der))
            except MALFORMED:
                continue
        return True

    def _conclude(self) -> None:
        """
        Set the verdict when OpenSSL has reported the whole path. If the path is not trusted,
        try another path.
        """
        self._concluded = True
        leaf = self._path.get(0)
        if leaf is not None:
            self._checkName(leaf)
            self._checkPinned()
        unsigned = any(each.code in NO_TRUSTED_SIGNER for each in self._findings)
        if unsigned and self._trust.platform and self._trust.isEmpty:
            self._findings.insert(0, Finding(OwnCode.NO_ANCHORS, 0, _NO_ANCHORS))
        self._decide()
        if leaf is not None and self.verdict.status == CertificateStatus.TRUSTED:
            self._verifyPath(leaf)
        if self.verdict.status != CertificateStatus.TRUSTED:
            self._useOtherPath()

    def _checkName(self, leaf: x509.Certificate) -> None:
        """
        Check the host name, because OpenSSL is not configured to check it.
        """
        try:
            matches = self._name.matches(leaf)
        except MALFORMED as problem:
            self._findings.append(Finding(OwnCode.UNREADABLE, 0, str(problem)))
            return
        if not matches:
            detail = f"not valid for {self._name.text!r}; valid for {describeNames(leaf)}"
            self._findings.append(Finding(certificates.HOSTNAME_MISMATCH, 0, detail))

    def _checkPinned(self) -> None:
        """
        Check the validity period of the trust anchor if the trust anchor is not a root.
        OpenSSL does not check the last certificate of a path that ends before a root.
        """
        path = self._path
        depth = min((each for each in path if path[each] in self._trust.pinned), default=0)
        if depth == 0 or any(
            each.depth == depth and each.code in NOT_YET_VALID | EXPIRED for each in self._findings
        ):
            return
        time = self._trust.now()
        if time < path[depth].not_valid_before_utc:
            self._findings.append(Finding(min(NOT_YET_VALID), depth))
        elif time > path[depth].not_valid_after_utc:
            self._findings.append(Finding(min(EXPIRED), depth))

    def _decide(self) -> None:
        findings = self._findings
        if self._trust.hardRevocation:
            # A stapled OCSP response can still contain the status of the server's certificate.
            findings = [each for each in findings if not _isUnknownRevocation(each)]
        self.verdict = judge(
            findings,
            self._path,
            atHand=[*self._sent, *self._trust.usableIntermediates, *self._trust.allAnchors],
            pinned=self._trust.pinned,
            hardRevocation=self._trust.hardRevocation,
        )

    def _refuse(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._decide()

    # Verification of the path chosen by OpenSSL, and of other paths

    def _useOtherPath(self) -> None:
        """
        If the path is invalid, but the server's certificate is not, use another path.
        """
        if self.verdict.statuses <= _PATH_STATUSES and self._otherPath is not None:
            # Keep findings about an unknown revocation status: a stapled OCSP response can still
            # contain the status.
            self._findings = [each for each in self._findings if _isUnknownRevocation(each)]
            self._path = dict(enumerate(self._otherPath))
            if self._isUnlistedBelow(self._path[1]):
                self._findings.append(Finding(min(UNKNOWN_REVOCATION), 0))
            self._decide()

    @cached_property
    def _otherPath(self) -> Sequence[x509.Certificate] | None:
        """
        A valid path that OpenSSL has not found; C{None} if there is no such path.
        """
        trust, leaf, subject = self._trust, self._path.get(0), self._name.subject
        if leaf is None or subject is None:
            return None
        others = [*self._sent, *trust.intermediates]
        try:
            path = findPath(leaf, others, self._anchors(), subject, trust.now(), webPKI=True)
        except PathError:
            return None
        store = X509Store()
        store.add_cert(X509.from_cryptography(path[-1]))
        trust.setRules(store)
        chain = [X509.from_cryptography(each) for each in path]
        try:
            X509StoreContext(store, chain[0], chain[1:-1]).verify_certificate()
        except X509StoreContextError as problem:
            # Ignore this objection: after all other checks, OpenSSL compares the common name of the
            # server's certificate with DNS constraints. cryptography has already checked all
            # relevant names.
            code, depth, _ = problem.errors
            if depth != 0 or code not in NAME_CONSTRAINTS:
                return None
        return path if self._isUnrevoked(path) else None

    def _isUnlistedBelow(self, issuer: x509.Certificate) -> bool:
        """
        Check whether no revocation list of an issuer covers the server's certificate. OpenSSL
        may have used a revocation list from another CA with the same name.
        """
        trust = self._trust
        known = readLists(trust.revoked, self._path[0], issuer, trust.now())
        return known is Revocation.UNKNOWN

    def _isUnrevoked(self, path: Sequence[x509.Certificate]) -> bool:
        """
        Check that the revocation lists contain no certificate of a path.
        """
        trust = self._trust
        if not trust.revoked:
            return True
        known = [
            readLists(trust.revoked, certificate, issuer, trust.now())
            for certificate, issuer in pairwise(path)
        ]
        if Revocation.REVOKED in known:
            return False
        # If no list covers the server's certificate, a stapled OCSP response may contain its
        # status.
        return not trust.hardRevocation or Revocation.UNKNOWN not in known[1:]

    def _verifyPath(self, leaf: x509.Certificate) -> None:
        """
        Verify with C{cryptography} the path that OpenSSL has accepted. Other paths are
        not considered, because OpenSSL has not checked them.
        """
        trust, subject = self._trust, self._name.subject
        webPKI = trust.profile == "webpki"
        path, anchors = self._pathToAnchor(), self._anchors()
        if path[-1] not in anchors:
            # This only happens if OpenSSL treats an intermediate certificate as a root.
            self._refuse(Finding(OwnCode.UNTRUSTED_END, 0))
            return
        if not webPKI:
            if leaf in anchors:
                # The server's certificate is itself a trust anchor.
                return
            obstacle = (
                f"{self._name.text!r} is not a valid host name (RFC 1123)"
                if subject is None
                else obstacleTo(path)
            )
            if obstacle:
                if any(mayConstrainNames(each) for each in path):
                    self._refuse(Finding(OwnCode.UNCHECKED_CONSTRAINTS, 0, obstacle))
                return
        if subject is None:
            self._refuse(
                Finding(OwnCode.REFUSED_PATH, 0, "the host name is not valid in the Web PKI")
            )
            return
        try:
            verifyPath(path, subject, trust.now(), webPKI=webPKI)
        except PathError as problem:
            code = OwnCode.REFUSED_LEAF if problem.blamesLeaf else OwnCode.REFUSED_PATH
            self._refuse(Finding(code, 0, str(problem)))

    def _anchors(self) -> Sequence[x509.Certificate]:
        """
        Return the trust anchors. A directory of CA certificates is not read completely:
        OpenSSL opens the file of each issuer when the file is needed. A trust anchor from the
        directory is therefore only known if a path that OpenSSL has accepted ends with this
        trust anchor. For this purpose, findings about name constraints and unknown
        revocation status are ignored.
        """
        anchors = self._trust.allAnchors
        harmless = NAME_CONSTRAINTS | UNKNOWN_REVOCATION
        isPath = self._path and all(each.code in harmless for each in self._findings)
        if not self._trust.platform or not isPath:
            return anchors
        end = self._path[max(self._path)]
        return anchors if end in anchors else (*anchors, end)

    def _pathToAnchor(self) -> Sequence[x509.Certificate]:
        """
        Return the path that OpenSSL has chosen, up to the first trusted certificate.
        """
        path = [self._path[depth] for depth in sorted(self._path)]
        for number, certificate in enumerate(path):
            if certificate in self._trust.pinned:
                return path[: number + 1]
        return path

    # Revocation

    def stapled(self, staple: bytes) -> bool:
        """
        OpenSSL's OCSP callback. Called after the last call of L{verify}.

        @param staple: the stapled OCSP response; C{b""} if the server has sent none.
        @return: whether OpenSSL should continue the handshake.
        """
        if self.verdict.status != CertificateStatus.TRUSTED:
            return False
        try:
            with unwarned():
                self._checkStaple(staple)
        except Exception:
            _log.failure(
                "unhandled error while checking an OCSP response; the certificate is refused"
            )
            self._refuse(Finding(OwnCode.UNREADABLE, 0, "internal error"))
        return self.verdict.status == CertificateStatus.TRUSTED

    def _checkStaple(self, staple: bytes) -> None:
        leaf = self._path[0]
        read = readStaple(staple, leaf, self._path.get(1, leaf), self._trust.now())
        if read.revocation is Revocation.REVOKED:
            self._refuse(Finding(certificates.REVOKED, 0, "by OCSP"))
        elif read.revocation is Revocation.GOOD:
            return
        elif demandsStaple(leaf):
            self._refuse(Finding(OwnCode.MUST_STAPLE, 0, read.reason))
        elif self._trust.hardRevocation and (
            # No revocation list covers the server's certificate.
            not self._trust.revoked or any(map(_isUnknownRevocation, self._findings))
        ):
            reason = "" if not staple else f"OCSP: {read.reason}"
            self._refuse(Finding(OwnCode.UNPROVED, 0, reason))

    def keyNotProved(self) -> None:
        """
        Called when the server could not prove that it possesses the certificate's private key.
        """
        self._refuse(Finding(OwnCode.NOT_OWNED, 0))

    def unreadable(self, reason: str) -> None:
        """
        Called when OpenSSL cannot parse the certificates.

        @param reason: OpenSSL's error.
        """
        self._refuse(Finding(OwnCode.UNREADABLE, 0, reason))


def _isUnknownRevocation(finding: Finding) -> bool:
    """
    Check whether a finding only states that the revocation status of the server's certificate
    is unknown.
    """
    return finding.depth == 0 and finding.code in UNKNOWN_REVOCATION
