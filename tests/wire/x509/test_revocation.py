"""
Tests for L{openfl_twisted.wire.x509._revocation}.
"""

from datetime import timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import (
    OCSPCertStatus,
    OCSPResponseBuilder,
    OCSPResponseStatus,
    load_der_ocsp_response,
)
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.x509._revocation import (
    _MAX_RESPONDERS,
    _MAX_RESPONSE,
    _MAX_SKEW,
    Revocation,
    demandsStaple,
    readLists,
    readStaple,
)
from tests.extensions import UNKNOWN_1, UNKNOWN_2, purposes, unknown
from tests.laboratory import (
    BEGIN,
    END,
    FUTURE,
    PAST,
    SHA1_RSA,
    SHA256_RSA,
    Identity,
    authority,
    keyFor,
    server,
)

ROOT = authority("Root")
LEAF = server(ROOT)
OTHER = server(ROOT)
STRANGER = authority("Stranger")
NOW = PAST.replace(year=2020)
REVOKED = OCSPCertStatus.REVOKED


def look(*lists: x509.CertificateRevocationList, issuer: Identity = ROOT) -> Revocation:
    """
    Return the status of the server certificate by CRLs.
    """
    return readLists(lists, LEAF.certificate, issuer.certificate, NOW)


class ListTests(SynchronousTestCase):
    """
    CRLs.
    """

    def test_good(self) -> None:
        """
        A certificate that is not on the CRL of its issuer is good.
        """
        self.assertIs(look(ROOT.revocationList()), Revocation.GOOD)
        self.assertIs(look(ROOT.revocationList(OTHER)), Revocation.GOOD)

    def test_revoked(self) -> None:
        """
        A certificate on a CRL is revoked, whatever other CRLs say, and although
        the CRL has expired.
        """
        self.assertIs(look(ROOT.revocationList(OTHER, LEAF)), Revocation.REVOKED)
        self.assertIs(look(ROOT.revocationList(LEAF, ends=PAST)), Revocation.REVOKED)
        lists = [STRANGER.revocationList(), ROOT.revocationList(), ROOT.revocationList(LEAF)]
        self.assertIs(look(*lists), Revocation.REVOKED)
        self.assertIs(look(*reversed(lists)), Revocation.REVOKED)

    def test_unknown(self) -> None:
        """
        Without a valid CRL of the issuer the status is unknown.
        """
        for revoked in (
            [],
            [STRANGER.revocationList(LEAF)],
            [ROOT.revocationList(LEAF, key=keyFor("another"))],
            [authority("Root", key=keyFor("another")).revocationList(LEAF)],
            [authority("Another name", key=ROOT.key).revocationList(LEAF)],
            [authority("Root", key=keyFor("another", "RSA")).revocationList(LEAF)],
            [ROOT.revocationList(ends=PAST)],
            [ROOT.revocationList(begins=FUTURE)],
        ):
            self.assertIs(look(*revoked), Revocation.UNKNOWN)

    def test_scope(self) -> None:
        """
        A CRL with a critical extension revokes certificates, but never means that
        one is good.
        """
        builder = x509.CertificateRevocationListBuilder(
            ROOT.certificate.subject, BEGIN, END
        ).add_extension(x509.CRLNumber(1), critical=False)
        entry = x509.RevokedCertificateBuilder().serial_number(LEAF.certificate.serial_number)
        for extension in (
            x509.IssuingDistributionPoint(None, None, False, True, None, False, False),
            x509.DeltaCRLIndicator(1),
            unknown(),
        ):
            scoped = builder.add_extension(extension, critical=True)
            self.assertIs(look(scoped.sign(ROOT.key, hashes.SHA256())), Revocation.UNKNOWN)
            scoped = scoped.add_revoked_certificate(entry.revocation_date(BEGIN).build())
            self.assertIs(look(scoped.sign(ROOT.key, hashes.SHA256())), Revocation.REVOKED)

    def test_withoutEnd(self) -> None:
        """
        A CRL without an end of validity is valid indefinitely.
        """
        revoked = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(ROOT.certificate.subject)
            .last_update(BEGIN)
            .next_update(END)
            .sign(ROOT.key, hashes.SHA256())
        )
        der = revoked.public_bytes(Encoding.DER)
        self.assertIs(look(x509.load_der_x509_crl(der)), Revocation.GOOD)

    def test_unknownKey(self) -> None:
        """
        A CRL is ignored if the issuer's type of key cannot sign CRLs.
        """
        exchange = x509.ObjectIdentifier("1.3.101.110")
        weird = authority("Weird", kind="Ed25519")
        old = b"\x06\3\x2b\x65\x70\3\x21"
        altered = weird.altered(old, b"\x06\3\x2b\x65\x6e\3\x21")
        self.assertEqual(altered.certificate.public_key_algorithm_oid, exchange)
        self.assertIs(look(weird.revocationList(LEAF), issuer=altered), Revocation.UNKNOWN)


class StapleTests(SynchronousTestCase):
    """
    Stapled OCSP responses.
    """

    def read(self, staple: bytes, issuer: Identity = ROOT, leaf: Identity = LEAF) -> Revocation:
        """
        Return the status of a certificate by a staple, and check that an unknown
        status has a reason.
        """
        found = readStaple(staple, leaf.certificate, issuer.certificate, NOW)
        self.assertEqual(found.reason != "", found.revocation is Revocation.UNKNOWN)
        return found.revocation

    def both(
        self, expected: bool, issuer: Identity = ROOT, *, revokes: bool = False, **properties: Any
    ) -> None:
        """
        Check whether a staple counts, whatever its status is.

        @param revokes: whether C{revoked} counts in any case.
        """
        leaf = server(issuer)
        for status, meaning in (
            (OCSPCertStatus.GOOD, Revocation.GOOD),
            (REVOKED, Revocation.REVOKED),
        ):
            staple = issuer.staple(leaf, status, **properties)
            counts = expected or (revokes and status is REVOKED)
            self.assertIs(
                self.read(staple, issuer, leaf), meaning if counts else Revocation.UNKNOWN
            )

    def responder(self, *extensions: Any, issuer: Identity = ROOT, **properties: Any) -> Identity:
        """
        Return a responder that is authorized by a CA.
        """
        return server(issuer, purposes("OCSP_SIGNING"), *extensions, name="Responder", **properties)

    def test_issuer(self) -> None:
        """
        The issuer signs, identified by its name or its key.
        """
        self.both(True)
        self.both(True, byName=True)

    def test_age(self) -> None:
        """
        A response without an end of validity has a maximum age.
        """
        self.both(True, begins=NOW - timedelta(days=6), ends=None)
        self.both(False, begins=NOW - timedelta(days=8), ends=None, revokes=True)

    def test_manyResponders(self) -> None:
        """
        Of many certificates in a response, only the first few that name the
        responder are tried; other certificates do not count.
        """
        right = self.responder()
        forged = authority("Root", key=keyFor("another"))
        wrong = [
            server(forged, purposes("OCSP_SIGNING"), name="Responder").certificate
            for _ in range(_MAX_RESPONDERS)
        ]
        for sent, counts in (
            ([*wrong[1:], right.certificate], True),
            ([*wrong, right.certificate], False),
            ([*[OTHER.certificate] * 20, right.certificate], True),
        ):
            self.both(counts, responder=right, sent=sent, byName=True)

    def test_long(self) -> None:
        """
        A response that exceeds the maximum length is ignored.
        """
        right = self.responder()
        for copies, counts in ((20, True), (60, False)):
            sent = [right.certificate] * copies
            length = len(ROOT.staple(LEAF, responder=right, sent=sent))
            self.assertEqual(length <= _MAX_RESPONSE, counts)
            self.both(counts, responder=right, sent=sent)

    def test_responder(self) -> None:
        """
        A responder that is authorized by the issuer signs.
        """
        self.both(True, responder=self.responder())
        self.both(True, responder=self.responder(), byName=True)
        responder = self.responder()
        self.both(True, responder=responder, sent=[OTHER.certificate, responder.certificate])

    def test_keys(self) -> None:
        """
        All types of keys that sign certificates sign staples.
        """
        for kind in ("RSA", "P-384", "Ed25519"):
            self.both(True, issuer=authority(f"Root {kind}", kind=kind))

    def test_weakDigest(self) -> None:
        """
        A response that is signed with SHA-1 never means that a certificate is
        good, but revokes it.
        """
        root = authority("Root RSA", kind="RSA")
        assert isinstance(root.key, rsa.RSAPrivateKey)
        leaf = server(root)
        for status, expected in (
            (OCSPCertStatus.GOOD, Revocation.UNKNOWN),
            (REVOKED, Revocation.REVOKED),
        ):
            staple = root.staple(leaf, status)
            response = load_der_ocsp_response(staple)
            signature = root.key.sign(
                response.tbs_response_bytes, padding.PKCS1v15(), hashes.SHA1()
            )
            staple = staple.replace(response.signature, signature).replace(SHA256_RSA, SHA1_RSA)
            read = readStaple(staple, leaf.certificate, root.certificate, NOW)
            self.assertIs(read.revocation, expected, read.reason)

    def test_strangers(self) -> None:
        """
        A response is ignored if the signer is not authorized or not valid, or its
        certificate is missing.
        """
        for responder in (
            OTHER,
            STRANGER,
            self.responder(issuer=STRANGER),
            self.responder(ends=PAST),
            self.responder(begins=FUTURE),
            self.responder(without=[x509.ExtendedKeyUsage]),
            self.responder().forged(),
        ):
            self.both(False, responder=responder)
        self.both(False, responder=self.responder(), sent=[])

    def test_unreadableResponder(self) -> None:
        """
        A responder with a malformed certificate is ignored.
        """
        twice = self.responder(unknown(number=1), unknown(number=2))
        self.both(False, responder=twice.rewritten(UNKNOWN_2, UNKNOWN_1))

    def test_forged(self) -> None:
        """
        A response with a wrong signature is ignored.
        """
        staple = ROOT.staple(LEAF)
        self.assertIs(self.read(staple[:-1] + bytes([staple[-1] ^ 1])), Revocation.UNKNOWN)
        wrong = authority("Root", key=keyFor("another"))
        self.assertIs(self.read(wrong.staple(LEAF, byName=True)), Revocation.UNKNOWN)

    def test_otherCertificate(self) -> None:
        """
        A response about another certificate, or one of another issuer, is ignored.
        """
        self.assertIs(self.read(ROOT.staple(OTHER)), Revocation.UNKNOWN)
        namesake = server(STRANGER, serial=LEAF.certificate.serial_number)
        self.assertIs(self.read(STRANGER.staple(namesake)), Revocation.UNKNOWN)
        rekeyed = authority("Root", key=keyFor("another"))
        self.assertIs(self.read(rekeyed.staple(LEAF)), Revocation.UNKNOWN)
        for other in (STRANGER, rekeyed):
            # A response of our issuer about another issuer's certificate with the same serial
            # number.
            self.assertIs(self.read(other.staple(LEAF, responder=ROOT)), Revocation.UNKNOWN)

    def test_times(self) -> None:
        """
        A response that is not valid now never means that a certificate is good.
        C{revoked} counts at any time, as in an old CRL.
        """
        self.both(False, ends=PAST, revokes=True)
        self.both(False, begins=FUTURE, revokes=True)

    def test_oldResponder(self) -> None:
        """
        An old response with C{revoked} counts if the certificate of its responder
        was valid when it was signed.
        """
        old: dict[str, Any] = {"begins": BEGIN, "ends": BEGIN + timedelta(days=7)}
        self.both(False, responder=self.responder(ends=PAST), revokes=True, **old)
        self.both(False, responder=self.responder(begins=PAST), **old)

    def test_skew(self) -> None:
        """
        A response may begin at most five minutes later than our clock.
        """
        self.both(True, begins=NOW + timedelta(seconds=30))
        self.both(True, begins=NOW + _MAX_SKEW)
        self.both(False, begins=NOW + _MAX_SKEW + timedelta(seconds=1), revokes=True)

    def test_reasons(self) -> None:
        """
        A response that is ignored has a reason.
        """
        ahead = NOW + timedelta(hours=1)
        forged = ROOT.staple(LEAF)
        forged = forged[:-1] + bytes([forged[-1] ^ 1])
        refusal = OCSPResponseBuilder.build_unsuccessful(OCSPResponseStatus.TRY_LATER)
        unusual: Any = dsa.generate_private_key(1024)
        byDSA = server(ROOT, purposes("OCSP_SIGNING"), name="Responder", key=unusual)
        for staple, reason in (
            (b"", "the server sent none"),
            (b"\0" * (_MAX_RESPONSE + 1), "longer than 16384 bytes"),
            (b"garbage", "cannot be parsed"),
            (forged, "the signature of the OCSP response is invalid"),
            (ROOT.staple(OTHER), "is about another certificate"),
            (ROOT.staple(LEAF, begins=ahead), f"not valid before {ahead:%Y-%m-%d %H:%M} UTC"),
            (ROOT.staple(LEAF, ends=PAST), f"has expired on {PAST:%Y-%m-%d %H:%M} UTC"),
            (ROOT.staple(LEAF, responder=OTHER), "not signed by the issuer or an authorized"),
            (ROOT.staple(LEAF, responder=byDSA, byName=True), "unsupported signature algorithm"),
            (ROOT.staple(LEAF, OCSPCertStatus.UNKNOWN), "does not know the certificate"),
            (refusal.public_bytes(Encoding.DER), "the OCSP server answered TRY_LATER"),
        ):
            found = readStaple(staple, LEAF.certificate, ROOT.certificate, NOW)
            self.assertIn(reason, found.reason)

    def test_unsuccessful(self) -> None:
        """
        An unsuccessful response, or one about a certificate that the responder
        does not know, is ignored.
        """
        self.assertIs(self.read(ROOT.staple(LEAF, OCSPCertStatus.UNKNOWN)), Revocation.UNKNOWN)
        for status in OCSPResponseStatus:
            if status is not OCSPResponseStatus.SUCCESSFUL:
                refusal = OCSPResponseBuilder.build_unsuccessful(status)
                self.assertIs(self.read(refusal.public_bytes(Encoding.DER)), Revocation.UNKNOWN)

    def test_garbage(self) -> None:
        """
        A missing or malformed staple is ignored.
        """
        staple = ROOT.staple(LEAF)
        for data in (b"", b"\0", b"garbage", staple[:-5], staple + b"more", LEAF.der):
            self.assertIs(self.read(data), Revocation.UNKNOWN)

    def test_unknownKey(self) -> None:
        """
        A response is ignored if the signer's type of key cannot sign staples.
        """
        key: Any = dsa.generate_private_key(1024)
        self.both(False, issuer=authority("Unusual", key=key), byName=True)
        self.both(False, responder=self.responder(key=key), byName=True)

    @given(st.data())
    def test_oneBit(self, data: st.DataObject) -> None:
        """
        A staple with one changed bit never has the opposite status, and raises nothing.
        """
        staple = bytearray(GOOD)
        position = data.draw(st.integers(0, len(staple) - 1))
        staple[position] ^= 1 << data.draw(st.integers(0, 7))
        self.assertIsNot(self.read(bytes(staple)), Revocation.REVOKED)


GOOD = ROOT.staple(LEAF)


class FeatureTests(SynchronousTestCase):
    """
    Certificates that require a staple.
    """

    def test_demandsStaple(self) -> None:
        """
        A certificate can require a staple; other features do not.
        """
        status, other = (
            x509.TLSFeature([kind])
            for kind in (x509.TLSFeatureType.status_request, x509.TLSFeatureType.status_request_v2)
        )
        self.assertTrue(demandsStaple(server(ROOT, status).certificate))
        self.assertFalse(demandsStaple(server(ROOT, other).certificate))
        self.assertFalse(demandsStaple(LEAF.certificate))
