"""
The core cases of x509-limbo, a test suite for the verification of certificate chains. The
suite is not part of this project. X509_LIMBO names its file (default: in the folder next
to this project).
"""

import json
import lzma
import os
import unittest
import warnings
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.tls import HandshakeFailed, SecureConnectionCreator, Trust
from openfl_twisted.tls.trust import Profile
from openfl_twisted.wire.x509.certificates import CertificateStatus
from tests.conformance.results import results
from tests.support.flights import flight

CASES = Path(
    os.environ.get("X509_LIMBO", Path(__file__).parents[3] / "shared/data/limbo-core.json.xz")
)

PAGE = Path(__file__).parents[2] / "docs" / "topics" / "certificates.rst"

# Minimum number of applicable cases with the expected result, by profile.
MIN_AGREED: dict[Profile, int] = {"default": 154, "webpki": 170}

# Cases that a profile accepts although the suite rejects them, and why this is secure.
TOLERATED_BY_BOTH = {
    # The length of a path has no separate limit.
    "pathlen::max-chain-depth-0-exhausted",
    "pathlen::max-chain-depth-1-exhausted",
    # An extension is missing, or is not marked as critical.
    "crl::crlnumber-missing",
    "rfc5280::aki::cross-signed-root-missing-aki",
    "rfc5280::nc::permitted-dns-match-noncritical",
    "rfc5280::pc::ica-noncritical-pc",
    # The serial number of a CA is 0.
    "rfc5280::serial::zero",
    # The commonName, which is not evaluated, is not one of the names.
    "webpki::cn::case-mismatch",
    "webpki::cn::ipv4-hex-mismatch",
    "webpki::cn::ipv4-leading-zeros-mismatch",
    "webpki::cn::ipv6-non-rfc5952-mismatch",
    "webpki::cn::ipv6-uncompressed-mismatch",
    "webpki::cn::ipv6-uppercase-mismatch",
    "webpki::cn::not-in-san",
    "webpki::cn::punycode-not-in-san",
    "webpki::cn::utf8-vs-punycode-mismatch",
    # The extended key usage is missing, or allows everything.
    "webpki::eku::ee-anyeku",
    "webpki::eku::ee-without-eku",
    "webpki::eku::root-has-eku",
    # RSA keys of an unusual length that is not short.
    "webpki::forbidden-rsa-key-not-divisible-by-8-in-leaf",
    "webpki::forbidden-rsa-not-divisible-by-8-in-root",
    # The public suffixes are not known here.
    "webpki::san::public-suffix-multi-label-wildcard-san",
    "webpki::san::public-suffix-private-namespace-wildcard-san",
}
TOLERATED: dict[Profile, set[str]] = {
    "webpki": TOLERATED_BY_BOTH,
    "default": TOLERATED_BY_BOTH
    | {
        "rfc5280::aki::intermediate-missing-aki",
        "rfc5280::aki::leaf-missing-aki",
        "rfc5280::leaf-ku-keycertsign",
        "rfc5280::nc::not-allowed-in-ee-critical",
        "rfc5280::nc::not-allowed-in-ee-noncritical",
        "rfc5280::root-non-critical-basic-constraints",
        # Many test machines and services have an underscore in their name. Browsers
        # accept it.
        "rfc5280::san::underscore-dns",
        "rfc5280::san::noncritical-with-empty-subject",
        "rfc5280::serial::negative",
        "rfc5280::ski::intermediate-missing-ski",
        "rfc5280::ski::root-missing-ski",
        "webpki::aki::root-with-aki-missing-keyidentifier",
        "webpki::ee-basicconstraints-ca",
        "webpki::eku::ee-critical-eku",
        # Name constraints without any effect.
        "webpki::nc::intermediate-permitted-excluded-subtrees-both-empty-sequences",
        "webpki::nc::intermediate-permitted-excluded-subtrees-both-null",
        "webpki::san::san-critical-with-nonempty-subject",
    },
}


@cache
def applicable() -> list[dict[str, Any]]:
    """
    Return the cases about a server's certificate and its name.
    """
    with lzma.open(CASES) as file:
        cases = json.load(file)["testcases"]
    return [
        case
        for case in cases
        if case["validation_kind"] == "SERVER" and case["expected_peer_name"] is not None
    ]


def certificateStatus(case: dict[str, Any], profile: Profile) -> str:
    """
    Verify the certificates of a case with a TLS client.

    @return: the certificate status.
    """
    load, time = x509.load_pem_x509_certificate, case["validation_time"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        leaf = load(case["peer_certificate"].encode())
        sent = [leaf, *(load(pem.encode()) for pem in case["untrusted_intermediates"])]
        trust = Trust(
            platform=False,
            anchors=tuple(load(pem.encode()) for pem in case["trusted_certs"]),
            revoked=tuple(x509.load_pem_x509_crl(pem.encode()) for pem in case["crls"]),
            profile=profile,
            time=time and datetime.fromisoformat(time),
        )
        key = leaf.public_key()
    creator = SecureConnectionCreator(case["expected_peer_name"]["value"], trust)
    connection: Any = creator.clientConnectionForTLS(None)  # type: ignore[arg-type]
    connection.set_connect_state()
    cipher = 0xC02B if isinstance(key, ec.EllipticCurvePublicKey) else 0xC02F
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        connection.bio_write(flight([each.public_bytes(Encoding.DER) for each in sent], cipher))
    try:
        connection.do_handshake()
    except SSL.WantReadError:
        return str(connection.judge.verdict.status)
    except HandshakeFailed as problem:
        return problem.verdict.status
    raise AssertionError("the client has not verified the certificates")


@unittest.skipUnless(CASES.exists(), f"the cases of x509-limbo are not at {CASES.name}")
class LimboTests(SynchronousTestCase):
    """
    The results agree with the suite.
    """

    def check(self, profile: Profile) -> None:
        """
        Verify all cases and compare the results.
        """
        accepted: set[str] = set()
        refused: set[str] = set()
        for case in applicable():
            trusted = certificateStatus(case, profile) == CertificateStatus.TRUSTED
            if trusted != (case["expected_result"] == "SUCCESS"):
                (accepted if trusted else refused).add(case["id"])
        cases = len(applicable())
        agreed = cases - len(accepted) - len(refused)
        results.append(
            f"x509-limbo, profile {profile}: {agreed} of {cases} as the suite, "
            f"{len(accepted)} accepted and {len(refused)} refused against it"
        )
        row = rf"``{profile}``\s+{agreed}\s+{len(accepted)}\s+{len(refused)}\n"
        self.assertRegex(PAGE.read_text(encoding="utf-8"), row)
        self.assertEqual(accepted - TOLERATED[profile], set())
        self.assertGreaterEqual(agreed, MIN_AGREED[profile])

    def test_default(self) -> None:
        """
        The default profile agrees in at least 154 cases, and accepts no other certificate
        that the suite rejects.
        """
        self.check("default")

    def test_webPKI(self) -> None:
        """
        The strict profile agrees in at least 170 cases, and accepts no other certificate
        that the suite rejects.
        """
        self.check("webpki")
