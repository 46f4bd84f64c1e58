"""
The judge of one TLS connection: it hears all that OpenSSL finds, looks for
itself, and decides.
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
from openfl_twisted.wire.x509.certificates import (
    MALFORMED,
    CertificateStatus,
    Finding,
    Verdict,
    judge,
    unwarned,
)
from openfl_twisted.wire.x509.costs import findExcess
from openfl_twisted.wire.x509.paths import (
    PathError,
    findPath,
    mayConstrainNames,
    obstacleTo,
    verifyPath,
)
from openfl_twisted.wire.x509.revocation import Revocation, demandsStaple, readLists, readStaple
from openfl_twisted.wire.x509.servernames import ServerName, describeNames
from openfl_twisted.wire.x509.verifycodes import (
    EXPIRED,
    NAME_CONSTRAINTS,
    NO_TRUSTED_SIGNER,
    NOT_YET_VALID,
    UNKNOWN_REVOCATION,
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
    Decides on the certificate of one connection. It denies unless it has
    reached its end without an objection.

    @ivar verdict: what is thought of the certificate so far. C{trusted} means
        that there is no objection; whether the server has the key only shows
        when the handshake is completed.
    """

    def __init__(self, name: ServerName, trust: Trust) -> None:
        """
        @param name: whom the certificate must be for.
        @param trust: whom to believe.
        """
        self.verdict = Verdict()
        self._name = name
        self._trust = trust
        self._findings: list[Finding] = []
        self._path: dict[int, x509.Certificate] = {}
        self._sent: list[x509.Certificate] = []
        self._measured = False
        self._failed = False
        self._concluded = False

    @property
    def alertCode(self) -> int:
        """
        The C{X509_V_ERR_} code from which OpenSSL derives the TLS alert for a
        certificate that was refused.
        """
        if self._failed:
            return _UNSPECIFIED
        return _ALERT_CODES.get(self.verdict.status, _BAD_CERTIFICATE)

    def verify(
        self, connection: Connection, certificate: X509, code: int, depth: int, ok: int
    ) -> bool:
        """
        Hear what OpenSSL thinks of a certificate of the path: its callback for
        verification, called once for each objection and, from the authority
        down to the server, once for each certificate.

        @param connection: where it is seen.
        @param certificate: the certificate that it is about.
        @param code: OpenSSL's number for the objection, 0 if there is none.
        @param depth: how far from the server's certificate it stands, which has 0.
        @param ok: whether OpenSSL has no objection.
        @return: whether OpenSSL shall go on.
        """
        try:
            with unwarned():
                return self._hear(connection, certificate, code, depth, ok)
        except Exception:
            # OpenSSL could only print it.
            _log.failure("while judging a certificate")
            self._failed = True
            self._refuse(Finding(certificates.UNREADABLE, 0, "an error of the judge"))
            return False

    def _hear(
        self, connection: Connection, certificate: X509, code: int, depth: int, ok: int
    ) -> bool:
        if not self._measured:
            self._measured = True
            if not self._measure(connection):
                return False
        # An objection may come before OpenSSL has chosen the path; a certificate without one
        # is in it.
        if ok or depth not in self._path:
            try:
                self._path[depth] = certificate.to_cryptography()
            except MALFORMED as problem:
                self._findings.append(Finding(certificates.UNREADABLE, depth, str(problem)))
        if not ok:
            self._findings.append(Finding(code, depth))
            if self._concluded:
                # Constraints on names come after everything else.
                self._decide()
                self._takeOtherPath()
                return self.verdict.status == CertificateStatus.TRUSTED
        if not ok or depth > 0:
            return True
        self._conclude()
        return self.verdict.status == CertificateStatus.TRUSTED

    def _measure(self, connection: Connection) -> bool:
        """
        Check the cost limits. Called before OpenSSL verifies signatures and name
        constraints.

        @return: whether the certificates are within the limits.
        """
        sent = connection.get_peer_cert_chain() or ()
        # A server may send one certificate hundreds of times.
        unique = dict.fromkeys(dump_certificate(FILETYPE_ASN1, each) for each in sent)
        excess = findExcess(unique, self._trust.constraints) if unique else "unknown certificates"
        if excess:
            self._refuse(Finding(certificates.TOO_COSTLY, 0, excess))
            return False
        for der in unique:
            try:
                self._sent.append(x509.load_der_x509_certificate(der))
            except MALFORMED:
                continue
        return True

    def _conclude(self) -> None:
        """
        Decide, now that OpenSSL has said it all.
        """
        self._concluded = True
        leaf = self._path.get(0)
        if leaf is not None:
            self._look(leaf)
            self._checkPinned()
        unsigned = any(each.code in NO_TRUSTED_SIGNER for each in self._findings)
        if unsigned and self._trust.platform and self._trust.isEmpty:
            self._findings.insert(0, Finding(certificates.NO_ANCHORS, 0, _NO_ANCHORS))
        self._decide()
        if leaf is not None and self.verdict.status == CertificateStatus.TRUSTED:
            self._lookAgain(leaf)
        if self.verdict.status != CertificateStatus.TRUSTED:
            self._takeOtherPath()

    def _look(self, leaf: x509.Certificate) -> None:
        """
        Look at what OpenSSL was not asked for: whom the certificate is for.
        """
        try:
            matches = self._name.matches(leaf)
        except MALFORMED as problem:
            self._findings.append(Finding(certificates.UNREADABLE, 0, str(problem)))
            return
        if not matches:
            detail = f"not for {self._name.text!r}, but for {describeNames(leaf)}"
            self._findings.append(Finding(certificates.HOSTNAME_MISMATCH, 0, detail))

    def _checkPinned(self) -> None:
        """
        Check the dates of the trust anchor if it is not a root. OpenSSL does not check
        the last certificate of a path that ends below a root.
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
            # A staple may still answer for the server's own certificate.
            findings = [each for each in findings if not _isOpen(each)]
        self.verdict = judge(
            findings,
            self._path,
            atHand=[*self._sent, *self._trust.helpers, *self._trust.allAnchors],
            pinned=self._trust.pinned,
            hardRevocation=self._trust.hardRevocation,
        )

    def _refuse(self, finding: Finding) -> None:
        self._findings.append(finding)
        self._decide()

    # The second look

    def _takeOtherPath(self) -> None:
        """
        If it is only its path that is wrong with the certificate, take another.
        """
        if self.verdict.statuses <= _PATH_STATUSES and self._otherPath is not None:
            # Only a staple may still answer whether the server's certificate is revoked.
            self._findings = [each for each in self._findings if _isOpen(each)]
            self._path = dict(enumerate(self._otherPath))
            if self._isUnlistedBelow(self._path[1]):
                self._findings.append(Finding(min(UNKNOWN_REVOCATION), 0))
            self._decide()

    @cached_property
    def _otherPath(self) -> Sequence[x509.Certificate] | None:
        """
        A path that OpenSSL has missed, one that keeps all rules.
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
            # OpenSSL compares the common name of the server certificate with DNS constraints,
            # after all other checks. C{cryptography} has compared the names that count.
            code, depth, _ = problem.errors
            if depth != 0 or code not in NAME_CONSTRAINTS:
                return None
        return path if self._isUnrevoked(path) else None

    def _isUnlistedBelow(self, issuer: x509.Certificate) -> bool:
        """
        Check whether no revocation list of an issuer answers for the server's
        certificate. OpenSSL may have found a list of another CA with the same name.
        """
        trust = self._trust
        known = readLists(trust.revoked, self._path[0], issuer, trust.now())
        return known is Revocation.UNKNOWN

    def _isUnrevoked(self, path: Sequence[x509.Certificate]) -> bool:
        """
        Check what the revocation lists say of a path.
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
        # For the server's own certificate there may be a staple.
        return not trust.hardRevocation or Revocation.UNKNOWN not in known[1:]

    def _lookAgain(self, leaf: x509.Certificate) -> None:
        """
        Verify with C{cryptography} the path that OpenSSL has accepted. Another path
        does not count, because OpenSSL has not checked it.
        """
        trust, subject = self._trust, self._name.subject
        webPKI = trust.profile == "webpki"
        path, anchors = self._pathToAnchor(), self._anchors()
        if path[-1] not in anchors:
            # OpenSSL accepts no other path. It would if it took a helper for a root.
            self._refuse(Finding(certificates.UNTRUSTED_END, 0))
            return
        if not webPKI:
            if leaf in anchors:
                # The client trusts this very certificate, so there is no path to verify.
                return
            obstacle = (
                f"{self._name.text!r} is not a host name of RFC 1123"
                if subject is None
                else obstacleTo(path)
            )
            if obstacle:
                if any(mayConstrainNames(each) for each in path):
                    self._refuse(Finding(certificates.UNCHECKED_CONSTRAINTS, 0, obstacle))
                return
        if subject is None:
            self._refuse(Finding(certificates.REFUSED_PATH, 0, "the name is none of the web"))
            return
        try:
            verifyPath(path, subject, trust.now(), webPKI=webPKI)
        except PathError as problem:
            code = certificates.REFUSED_LEAF if problem.blamesLeaf else certificates.REFUSED_PATH
            self._refuse(Finding(code, 0, str(problem)))

    def _anchors(self) -> Sequence[x509.Certificate]:
        """
        List the trust anchors. A folder of CA certificates cannot be listed: OpenSSL
        opens the file of the issuer that it looks for. So a certificate of the folder
        is only known as the end of a path that OpenSSL has found, and to which it had
        no objection but for the names.
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
        Get the path that OpenSSL has chosen, up to the first trusted certificate.
        """
        path = [self._path[depth] for depth in sorted(self._path)]
        for number, certificate in enumerate(path):
            if certificate in self._trust.pinned:
                return path[: number + 1]
        return path

    # The proof that it is not revoked

    def stapled(self, staple: bytes) -> bool:
        """
        Hear what the server has sent along: OpenSSL's callback for OCSP, called
        after all of L{verify}.

        @param staple: the OCSP response; empty for none.
        @return: whether OpenSSL shall go on.
        """
        if self.verdict.status != CertificateStatus.TRUSTED:
            return False
        try:
            with unwarned():
                self._checkStaple(staple)
        except Exception:
            _log.failure("while judging a staple")
            self._refuse(Finding(certificates.UNREADABLE, 0, "an error of the judge"))
        return self.verdict.status == CertificateStatus.TRUSTED

    def _checkStaple(self, staple: bytes) -> None:
        leaf = self._path[0]
        read = readStaple(staple, leaf, self._path.get(1, leaf), self._trust.now())
        if read.revocation is Revocation.REVOKED:
            self._refuse(Finding(certificates.REVOKED, 0, "by OCSP"))
        elif read.revocation is Revocation.GOOD:
            return
        elif demandsStaple(leaf):
            self._refuse(Finding(certificates.MUST_STAPLE, 0, read.reason))
        elif self._trust.hardRevocation and self._isUnlisted():
            reason = "" if not staple else f"OCSP: {read.reason}"
            self._refuse(Finding(certificates.UNPROVED, 0, reason))

    def _isUnlisted(self) -> bool:
        """
        Check whether no revocation list answers for the server's certificate.
        """
        return not self._trust.revoked or any(_isOpen(each) for each in self._findings)

    def notOwned(self) -> None:
        """
        Hear that the server could not show that it has the certificate's key.
        """
        self._refuse(Finding(certificates.NOT_OWNED, 0))

    def unreadable(self, reason: str) -> None:
        """
        Hear that OpenSSL cannot even read what the server sent.

        @param reason: what OpenSSL says of it.
        """
        self._refuse(Finding(certificates.UNREADABLE, 0, reason))


def _isOpen(finding: Finding) -> bool:
    """
    Check whether what is found is only that it is not known whether the
    server's certificate was revoked.
    """
    return finding.depth == 0 and finding.code in UNKNOWN_REVOCATION
