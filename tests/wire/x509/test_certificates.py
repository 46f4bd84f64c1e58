"""
Tests for L{openfl_twisted.wire.x509.certificates} and the table of codes.
"""

from itertools import combinations

from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.x509 import certificates
from openfl_twisted.wire.x509._verifycodes import UNKNOWN_REVOCATION, VERIFY_ERRORS
from openfl_twisted.wire.x509.certificates import (
    _MAX_DETAIL,
    CertificateStatus,
    Finding,
    OwnCode,
    Verdict,
    isSignedBy,
    judge,
    subjectOf,
)
from tests.laboratory import Identity, authority, keyFor, server

ROOT = authority("Root")
MIDDLE = authority("Intermediate", ROOT)
LEAF = server(MIDDLE)
STRANGER = authority("Stranger")
PATH = dict(enumerate(each.certificate for each in (LEAF, MIDDLE, ROOT)))

# The status for each code, which is the same for the server certificate and for a CA certificate.
SAME_EVERYWHERE = {
    CertificateStatus.UNTRUSTED_SIGNERS: {2, 18, 19, 20, 21, 27, 95},
    CertificateStatus.INVALID_CHAIN: {22, 25, 38, 40, 47, 48, 49, 51, 52, 53, 55, 67, 72},
    CertificateStatus.REVOKED: {23, 28},
    CertificateStatus.PRINCIPAL_MISMATCH: {62, 63, 64},
    CertificateStatus.INVALID: {
        5, 8, 11, 15, 16, 17, 33, 35, 36, 44, 54, 69, 73, 74, 75, 96, 97, 98, 99,
    },
    CertificateStatus.TRUSTED: {3, 12, 100},
}  # fmt: skip
DATES = {9: CertificateStatus.NOT_YET_VALID, 10: CertificateStatus.EXPIRED}
# All other codes of the table: the server's certificate is invalid, or the chain is.
OTHERS = {
    1, 4, 6, 7, 13, 14, 24, 26, 29, 30, 31, 32, 34, 37, 39, 41, 42, 43, 45, 46, 50, 56, 57, 58, 59,
    60, 61, 65, 66, 68, 70, 71, 76, 77, 78, *range(79, 95), 102, 103,
}  # fmt: skip
INTEGRITY = {4, 6, 7, 13, 14, 24, 76, 77, 78}

RANKED = [
    (4, CertificateStatus.INVALID),
    (23, CertificateStatus.REVOKED),
    (20, CertificateStatus.UNTRUSTED_SIGNERS),
    (25, CertificateStatus.INVALID_CHAIN),
    (62, CertificateStatus.PRINCIPAL_MISMATCH),
    (9, CertificateStatus.NOT_YET_VALID),
    (10, CertificateStatus.EXPIRED),
    (26, CertificateStatus.INVALID),
]
"""
One code of each grade, the most severe first.
"""


def statusOf(*findings: tuple[int, int], hard: bool = False) -> str:
    """
    Return the status for findings (code and depth) on a path without certificates.
    """
    return judge([Finding(*each) for each in findings], {}, hardRevocation=hard).status


class TableTests(SynchronousTestCase):
    """
    The status for each code.
    """

    def test_complete(self) -> None:
        """
        The table contains every code of OpenSSL.
        """
        listed = set().union(*SAME_EVERYWHERE.values(), DATES, OTHERS)
        self.assertEqual(set(VERIFY_ERRORS), listed)
        self.assertEqual(sum(map(len, SAME_EVERYWHERE.values())) + 2 + len(OTHERS), len(listed))

    def test_sameEverywhere(self) -> None:
        """
        Some codes mean the same status at every depth.
        """
        for status, codes in SAME_EVERYWHERE.items():
            for code in codes:
                for depth in (0, 1, 5):
                    self.assertEqual(statusOf((code, depth)), status, (code, depth))

    def test_dates(self) -> None:
        """
        Wrong dates of the server certificate have a status of their own; those of
        a CA certificate mean an invalid chain.
        """
        for code, status in DATES.items():
            self.assertEqual(statusOf((code, 0)), status)
            self.assertEqual(statusOf((code, 1)), CertificateStatus.INVALID_CHAIN)

    def test_others(self) -> None:
        """
        All other codes mean an invalid server certificate, or an invalid chain.
        """
        for code in OTHERS:
            self.assertEqual(statusOf((code, 0)), CertificateStatus.INVALID, code)
            self.assertEqual(statusOf((code, 1)), CertificateStatus.INVALID_CHAIN, code)

    def test_unknownCodes(self) -> None:
        """
        An unknown code is an objection too.
        """
        for code in (101, 104, 9999, -77):
            self.assertEqual(statusOf((code, 0)), CertificateStatus.INVALID)
            self.assertEqual(statusOf((code, 3)), CertificateStatus.INVALID_CHAIN)
        self.assertIn("X.509 error 9999", Finding(9999, 0).words)

    def test_ownCodes(self) -> None:
        """
        Each of our own codes has a status and a text.
        """
        for code, status in {
            OwnCode.UNREADABLE: CertificateStatus.INVALID,
            OwnCode.REFUSED_PATH: CertificateStatus.INVALID_CHAIN,
            OwnCode.NOT_OWNED: CertificateStatus.INVALID,
            OwnCode.MUST_STAPLE: CertificateStatus.INVALID,
            OwnCode.UNPROVED: CertificateStatus.INVALID,
            OwnCode.UNTRUSTED_END: CertificateStatus.UNTRUSTED_SIGNERS,
        }.items():
            self.assertEqual(statusOf((code, 0)), status)
            self.assertNotIn("X.509 error", Finding(code, 0).words)

    def test_integrity(self) -> None:
        """
        A certificate whose content cannot be trusted is more severe than a
        revoked one; any other invalid one is the least severe.
        """
        for code in OTHERS | {OwnCode.UNREADABLE}:
            grave = code in INTEGRITY or code == OwnCode.UNREADABLE
            verdict = judge([Finding(23, 0), Finding(code, 0), Finding(10, 0)], {})
            expected = CertificateStatus.INVALID if grave else CertificateStatus.REVOKED
            self.assertEqual(verdict.status, expected, code)
            self.assertEqual(statusOf((10, 0), (code, 0)) == expected, grave)

    def test_hardRevocation(self) -> None:
        """
        An unknown revocation status counts only if the client requires it to be known.
        """
        for code in UNKNOWN_REVOCATION:
            for depth in (0, 1):
                self.assertEqual(statusOf((code, depth)), CertificateStatus.TRUSTED)
                self.assertEqual(statusOf((code, depth), hard=True), CertificateStatus.INVALID)


class RankingTests(SynchronousTestCase):
    """
    The most severe finding decides.
    """

    def test_nothing(self) -> None:
        """
        A certificate without a finding is trusted.
        """
        verdict = judge([], PATH)
        self.assertEqual(verdict.status, CertificateStatus.TRUSTED)
        self.assertIs(verdict.certificate, LEAF.certificate)
        self.assertEqual(verdict.text, "the certificate of CN=the server is trusted")

    def test_everyPair(self) -> None:
        """
        The more severe of two findings decides, in any order.
        """
        for (graver, status), (other, less) in combinations(RANKED, 2):
            for codes in ((graver, other), (other, graver)):
                findings = [Finding(code, 0) for code in codes]
                verdict = judge(findings, PATH)
                self.assertEqual(verdict.status, status, codes)
                assert verdict.finding is not None
                self.assertEqual(verdict.finding.code, graver)
                self.assertEqual(verdict.statuses, {status, less})

    def test_firstOfOneGrade(self) -> None:
        """
        Of findings with equal severity the first one decides.
        """
        self.assertEqual(judge([Finding(20, 1), Finding(21, 0)], {}).finding, Finding(20, 1))

    @given(st.lists(st.tuples(st.sampled_from([*VERIFY_ERRORS, -1, -2, 101]), st.integers(0, 3))))
    def test_neverForgiven(self, found: list[tuple[int, int]]) -> None:
        """
        Further findings never make a certificate trusted, and the deciding
        finding is one of them.
        """
        findings = [Finding(*each) for each in found]
        verdict = judge(findings, {})
        soft = all(code in UNKNOWN_REVOCATION for code, _ in found)
        self.assertEqual(verdict.status == CertificateStatus.TRUSTED, soft)
        if not soft:
            self.assertIn(verdict.finding, findings)


class RuleTests(SynchronousTestCase):
    """
    Rules for combinations of findings.
    """

    def test_pinnedServer(self) -> None:
        """
        A pinned server certificate needs no issuer, and findings for its issuers
        are ignored.
        """
        findings = [Finding(20, 0), Finding(21, 0), Finding(10, 1), Finding(19, 2)]
        verdict = judge(findings, PATH, pinned=[LEAF.certificate])
        self.assertEqual(verdict.status, CertificateStatus.TRUSTED)
        for code, status in ((62, "principalMismatch"), (10, "expired"), (23, "revoked")):
            verdict = judge([*findings, Finding(code, 0)], PATH, pinned=[LEAF.certificate])
            self.assertEqual(verdict.status, status)

    def test_pinnedIntermediate(self) -> None:
        """
        A path ends at a pinned intermediate certificate; findings below it count.
        """
        pinned = [MIDDLE.certificate]
        findings = [Finding(20, 1), Finding(23, 2)]
        self.assertEqual(judge(findings, PATH, pinned=pinned).status, CertificateStatus.TRUSTED)
        for finding, status in (
            (Finding(21, 0), CertificateStatus.UNTRUSTED_SIGNERS),
            (Finding(10, 1), CertificateStatus.INVALID_CHAIN),
        ):
            verdict = judge([*findings, finding], PATH, pinned=pinned)
            self.assertEqual(verdict.status, status)

    def test_pinnedOther(self) -> None:
        """
        Another pinned certificate has no effect.
        """
        pinned = [server(MIDDLE).certificate]
        verdict = judge([Finding(20, 0)], PATH, pinned=pinned)
        self.assertEqual(verdict.status, CertificateStatus.UNTRUSTED_SIGNERS)

    def test_datesOfCA(self) -> None:
        """
        Wrong dates of a CA certificate count only if those of the server
        certificate are right: if all are wrong, the clock is.
        """
        for own in (9, 10):
            for its in (9, 10):
                self.assertEqual(statusOf((its, 1), (own, 0)), DATES[own])

    def test_issuerAvailable(self) -> None:
        """
        If the issuer that OpenSSL misses is available, it was rejected, and the
        chain is invalid.
        """
        findings = [Finding(20, 0), Finding(21, 0)]
        verdict = judge(findings, PATH, atHand=[LEAF.certificate, MIDDLE.certificate])
        self.assertEqual(verdict.status, CertificateStatus.INVALID_CHAIN)
        self.assertEqual(verdict.finding, Finding(20, 0))
        namesake = authority("Intermediate", ROOT, key=keyFor("another"))
        verdict = judge(findings, PATH, atHand=[LEAF.certificate, namesake.certificate])
        self.assertEqual(verdict.status, CertificateStatus.UNTRUSTED_SIGNERS)

    def test_loop(self) -> None:
        """
        CAs that have signed each other are untrusted signers: the available
        issuer is already in the path.
        """
        one = authority("One", authority("Two"))
        two = authority("Two", authority("One"))
        leaf = server(one)
        path = dict(enumerate(each.certificate for each in (leaf, one, two)))
        verdict = judge([Finding(20, 2)], path, atHand=path.values())
        self.assertEqual(verdict.status, CertificateStatus.UNTRUSTED_SIGNERS)
        longer = {**path, 3: one.certificate}
        verdict = judge([Finding(22, 3), Finding(2, 3)], longer, atHand=path.values())
        self.assertEqual(verdict.status, CertificateStatus.UNTRUSTED_SIGNERS)

    def test_ownIssuer(self) -> None:
        """
        A certificate is never found as its own issuer.
        """
        for code in (2, 20):
            verdict = judge([Finding(code, 0)], {0: ROOT.certificate}, atHand=[ROOT.certificate])
            self.assertEqual(verdict.status, CertificateStatus.UNTRUSTED_SIGNERS)

    def test_wrongIssuerTaken(self) -> None:
        """
        A signature that is wrong for the chosen issuer, but right for another
        available one, means an invalid chain.
        """
        verdict = judge([Finding(7, 0)], PATH, atHand=[MIDDLE.certificate])
        self.assertEqual(verdict.status, CertificateStatus.INVALID_CHAIN)
        verdict = judge([Finding(7, 0)], PATH, atHand=[ROOT.certificate, LEAF.certificate])
        self.assertEqual(verdict.status, CertificateStatus.INVALID)

    def test_manyIssuers(self) -> None:
        """
        Of many certificates with the issuer's name, only the first few keys are tried.
        """
        wrong = [
            authority("Intermediate", ROOT, key=keyFor(f"wrong {number}")).certificate
            for number in range(certificates._MAX_ISSUERS)
        ]
        right = [STRANGER.certificate] * 300 + [MIDDLE.certificate]
        for others, status in (
            ([*wrong[1:], *right], CertificateStatus.INVALID_CHAIN),
            ([*wrong, *right], CertificateStatus.UNTRUSTED_SIGNERS),
        ):
            verdict = judge([Finding(20, 0)], PATH, atHand=others)
            self.assertEqual(verdict.status, status)

    def test_forgedList(self) -> None:
        """
        A CRL with a wrong signature does not revoke, but is a problem itself.
        """
        self.assertEqual(statusOf((8, 0), (23, 0)), CertificateStatus.INVALID)
        self.assertEqual(statusOf((8, 1), (23, 0)), CertificateStatus.REVOKED)
        self.assertEqual(statusOf((8, 0), (28, 0)), CertificateStatus.REVOKED)


class WordsTests(SynchronousTestCase):
    """
    The texts of verdicts and findings.
    """

    def test_unknown(self) -> None:
        """
        Without a certificate the status is unknown.
        """
        self.assertEqual(Verdict().text, "the certificate was not verified")
        self.assertEqual(Verdict().status, CertificateStatus.UNKNOWN)

    def test_words(self) -> None:
        """
        A verdict names the subject, the status and the reason, with the
        certificate that has it.
        """
        verdict = judge([Finding(10, 1, "yesterday")], PATH)
        self.assertEqual(
            verdict.text,
            "the certificate of CN=the server has an invalid certificate chain: "
            "certificate has expired (yesterday), in the certificate of the CA "
            "CN=Intermediate",
        )
        verdict = judge([Finding(10, 2)], {})
        self.assertIn("in the certificate of the CA at depth 2", verdict.text)

    def test_dates(self) -> None:
        """
        The text contains the date on which a certificate expires or becomes valid.
        """
        self.assertIn("(since 2100-01-01 00:00 UTC)", judge([Finding(10, 0)], PATH).text)
        self.assertIn("(until 2000-01-01 00:00 UTC)", judge([Finding(9, 0)], PATH).text)

    def test_everyCode(self) -> None:
        """
        Every code has one line of text.
        """
        for code, words in VERIFY_ERRORS.items():
            self.assertEqual(Finding(code, 0).words, words)
            self.assertTrue(words.isprintable())
            self.assertTrue(words)

    def test_details(self) -> None:
        """
        The detail of a finding is printable, and has a limited length.
        """
        self.assertIn("(\ufffd[31mred\ufffd)", Finding(10, 0, "\x1b[31mred\n").words)
        self.assertIn(f"({'x' * _MAX_DETAIL}\u2026)", Finding(10, 0, "x" * 9000).words)

    def test_oddCountry(self) -> None:
        """
        A subject with a country of three letters causes no warning.
        """
        country = authority("USA").altered(bytes.fromhex("5504030c"), bytes.fromhex("55040613"))
        self.assertEqual(subjectOf(country.certificate), "C=USA")

    def test_subjects(self) -> None:
        """
        A subject is printable, and has a limited length.
        """

        def subject(name: str) -> str:
            return subjectOf(authority(name, key=keyFor("Root")).certificate)

        self.assertEqual(subject("a\r\nb\x1b[31m\u202e"), "CN=a\ufffd\ufffdb\ufffd[31m\ufffd")
        self.assertEqual(subject(""), "an unnamed subject")
        self.assertEqual(subject("\u00e9\U0001f4a9"), "CN=\u00e9\U0001f4a9")
        broken = authority("some name").altered(b"some name", b"\xff" * 9)
        self.assertEqual(subjectOf(broken.certificate), "a malformed subject")
        long = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x" * 60)] * 9)
        key = keyFor("Root")
        signed = (
            x509.CertificateBuilder(long, long, key.public_key(), 1)
            .not_valid_before(ROOT.certificate.not_valid_before_utc)
            .not_valid_after(ROOT.certificate.not_valid_after_utc)
            .sign(key, ROOT.certificate.signature_hash_algorithm)  # type: ignore[arg-type]
        )
        self.assertEqual(len(subjectOf(signed)), 201)
        self.assertTrue(subjectOf(signed).endswith("\u2026"))


class SignatureTests(SynchronousTestCase):
    """
    L{isSignedBy} verifies signatures.
    """

    def test_isSignedBy(self) -> None:
        """
        Name and key must both be the issuer's.
        """

        def signed(one: Identity, other: Identity) -> bool:
            return isSignedBy(one.certificate, other.certificate)

        self.assertTrue(signed(LEAF, MIDDLE))
        self.assertTrue(signed(ROOT, ROOT))
        self.assertFalse(signed(LEAF, ROOT))
        self.assertFalse(signed(LEAF, authority("Intermediate", key=keyFor("another"))))
        self.assertFalse(
            signed(LEAF, authority("Intermediate", kind="RSA", key=keyFor("R", "RSA")))
        )
        self.assertFalse(signed(LEAF.forged(), MIDDLE))
        renamed = authority("Other name", key=MIDDLE.key)
        self.assertFalse(signed(LEAF, renamed))

    def test_unreadable(self) -> None:
        """
        A certificate with malformed names is signed by no certificate.
        """
        broken = LEAF.altered(b"Intermediate", b"\xff" * 12).certificate
        self.assertFalse(isSignedBy(broken, MIDDLE.certificate))
        self.assertFalse(isSignedBy(LEAF.certificate, broken))
