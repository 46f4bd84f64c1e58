"""
Whether a certificate has been revoked: by what the server sends along (OCSP
stapling, RFC 6066 and RFC 6960), and by revocation lists (RFC 5280).
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum
from itertools import islice

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.ocsp import (
    OCSPCertStatus,
    OCSPResponse,
    OCSPResponseStatus,
    load_der_ocsp_response,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from openfl_twisted.wire.certificates import MALFORMED, isSignedBy

MAX_AGE = timedelta(days=7)
"""
How old a response may be that does not say how long it counts.
"""

MAX_RESPONSE = 16384
"""
Maximum length of an OCSP response, in bytes. A longer one is ignored.
"""

MAX_RESPONDERS = 4
"""
Maximum number of certificates that are tried as the signer of an OCSP response.
"""


class Revocation(Enum):
    """
    What is known of a certificate.

    @cvar GOOD: it was not revoked.
    @cvar REVOKED: it was revoked.
    @cvar UNKNOWN: nothing that can be believed says either.
    """

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


def readLists(
    lists: Iterable[x509.CertificateRevocationList],
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    time: datetime,
) -> Revocation:
    """
    Look a certificate up in revocation lists.

    @param lists: the lists, of whatever issuer.
    @param certificate: the certificate.
    @param issuer: its issuer.
    @param time: when the lists must be valid. An old one still revokes.
    @return: C{REVOKED} if a list of the issuer has it, C{GOOD} if one that is
        valid has it not, else C{UNKNOWN}.
    """
    known = Revocation.UNKNOWN
    for revoked in lists:
        if revoked.issuer != issuer.subject or not _isListOf(revoked, issuer):
            continue
        if revoked.get_revoked_certificate_by_serial_number(certificate.serial_number):
            return Revocation.REVOKED
        end = revoked.next_update_utc
        if revoked.last_update_utc <= time and (end is None or time <= end):
            known = Revocation.GOOD
    return known


def _isListOf(revoked: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """
    Check that a list is signed with an issuer's key.
    """
    try:
        return revoked.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def demandsStaple(certificate: x509.Certificate) -> bool:
    """
    Check whether a certificate is valid only with a staple (RFC 7633).

    @param certificate: one whose extensions can be read.
    @return: C{False} if it says nothing of that.
    """
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in features


def readStaple(
    staple: bytes, certificate: x509.Certificate, issuer: x509.Certificate, time: datetime
) -> Revocation:
    """
    Read a staple.

    @param staple: the OCSP response in DER; empty for none.
    @param certificate: the certificate it must be about.
    @param issuer: its issuer.
    @param time: when the response must be valid.
    @return: what it says; C{UNKNOWN} for one about another certificate, one
        that is not signed by the issuer or on its behalf, one that is out of
        date, and for no response at all.
    """
    if len(staple) > MAX_RESPONSE:
        return Revocation.UNKNOWN
    try:
        return _read(staple, certificate, issuer, time)
    except (TypeError, InvalidSignature, UnsupportedAlgorithm, *MALFORMED):
        return Revocation.UNKNOWN


def _read(
    staple: bytes, certificate: x509.Certificate, issuer: x509.Certificate, time: datetime
) -> Revocation:
    response = load_der_ocsp_response(staple)
    if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
        return Revocation.UNKNOWN
    if response.serial_number != certificate.serial_number or not _names(response, issuer):
        return Revocation.UNKNOWN
    if response.this_update_utc > time:
        return Revocation.UNKNOWN
    # One that does not say how long it counts could be of any age.
    if (response.next_update_utc or response.this_update_utc + MAX_AGE) < time:
        return Revocation.UNKNOWN
    _verify(response, _signer(response, issuer, time))
    match response.certificate_status:
        case OCSPCertStatus.GOOD:
            return Revocation.GOOD
        case OCSPCertStatus.REVOKED:
            return Revocation.REVOKED
        case _:
            return Revocation.UNKNOWN


def _names(response: OCSPResponse, issuer: x509.Certificate) -> bool:
    """
    Check that a response is about a certificate of an issuer.
    """
    algorithm = response.hash_algorithm
    name = hashes.Hash(algorithm)
    name.update(issuer.subject.public_bytes())
    return (
        name.finalize() == response.issuer_name_hash
        and _keyHash(issuer, algorithm) == response.issuer_key_hash
    )


def _keyHash(issuer: x509.Certificate, algorithm: hashes.HashAlgorithm) -> bytes:
    """
    Hash the bits of a certificate's key, as OCSP names a key.
    """
    key = issuer.public_key()
    form = (
        (Encoding.DER, PublicFormat.PKCS1)
        if isinstance(key, rsa.RSAPublicKey)
        else (Encoding.X962, PublicFormat.UncompressedPoint)
        if isinstance(key, ec.EllipticCurvePublicKey)
        else (Encoding.Raw, PublicFormat.Raw)
    )
    digest = hashes.Hash(algorithm)
    digest.update(key.public_bytes(*form))
    return digest.finalize()


def _signer(response: OCSPResponse, issuer: x509.Certificate, time: datetime) -> x509.Certificate:
    """
    Find the signer of a response: the issuer, or a responder that the issuer has
    authorized. At most L{MAX_RESPONDERS} certificates are tried.

    @raise ValueError: if it is neither.
    """
    # The server chooses the certificates, and to verify a signature is expensive.
    for certificate in islice(
        (each for each in response.certificates if _isResponder(response, each)), MAX_RESPONDERS
    ):
        if not isSignedBy(certificate, issuer):
            continue
        if not certificate.not_valid_before_utc <= time <= certificate.not_valid_after_utc:
            continue
        try:
            usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            continue
        if ExtendedKeyUsageOID.OCSP_SIGNING in usage:
            return certificate
    if not _isResponder(response, issuer):
        raise ValueError("the OCSP response is not signed by the issuer or a responder")
    return issuer


def _isResponder(response: OCSPResponse, certificate: x509.Certificate) -> bool:
    """
    Check that a response says it comes from the holder of a certificate.
    """
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    # RFC 6960 has no other way to name a key here; it is no matter of security.
    return response.responder_key_hash == _keyHash(certificate, hashes.SHA1())  # noqa: S303


def _verify(response: OCSPResponse, signer: x509.Certificate) -> None:
    """
    Verify the signature of a response.

    @raise InvalidSignature: if it is wrong.
    """
    key = signer.public_key()
    signature, signed = response.signature, response.tbs_response_bytes
    algorithm = response.signature_hash_algorithm
    match key:
        case rsa.RSAPublicKey() if algorithm is not None:
            key.verify(signature, signed, padding.PKCS1v15(), algorithm)
        case ec.EllipticCurvePublicKey() if algorithm is not None:
            key.verify(signature, signed, ec.ECDSA(algorithm))
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            key.verify(signature, signed)
        case _:
            raise ValueError("the response is signed in a way that is not known here")
