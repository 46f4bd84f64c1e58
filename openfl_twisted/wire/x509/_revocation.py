"""
Revocation of certificates: stapled OCSP responses (RFC 6066, RFC 6960) and CRLs
(RFC 5280).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from itertools import islice

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509.ocsp import (
    OCSPCertStatus,
    OCSPRequestBuilder,
    OCSPResponse,
    OCSPResponseStatus,
    load_der_ocsp_response,
)
from cryptography.x509.oid import ExtendedKeyUsageOID

from openfl_twisted.wire.x509.certificates import MALFORMED, isSignedBy

_MAX_AGE = timedelta(days=7)
"""
Maximum age of an OCSP response whose validity has no end.
"""

_MAX_SKEW = timedelta(minutes=5)
"""
Maximum clock skew: the validity of an OCSP response may begin in the future by this time.
"""

_MAX_RESPONSE = 16384
"""
Maximum length of an OCSP response (bytes). A longer response is ignored.
"""

_MAX_RESPONDERS = 4
"""
Maximum number of certificates that are tried as the signer of an OCSP response.
"""


# A signature with one of these hash algorithms may be a forgery.
_WEAK = (hashes.MD5, hashes.SHA1)
_DATE = "%Y-%m-%d %H:%M UTC"


class Revocation(Enum):
    """
    The revocation status of a certificate.

    @cvar GOOD: the certificate is not revoked.
    @cvar REVOKED: the certificate is revoked.
    @cvar UNKNOWN: no valid revocation data is available.
    """

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Staple:
    """
    The result of reading an OCSP response.

    @ivar revocation: the revocation status.
    @ivar reason: why the status is unknown (default: empty).
    """

    revocation: Revocation
    reason: str = ""


def readLists(
    lists: Iterable[x509.CertificateRevocationList],
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    time: datetime,
) -> Revocation:
    """
    Return the revocation status of a certificate according to CRLs.

    @param lists: the CRLs, from any issuers.
    @param time: the time at which a CRL must be valid. A certificate that is listed in an
        expired CRL is still revoked.
    @return: C{REVOKED} if a CRL from the issuer lists the certificate; C{GOOD} if a valid CRL
        from the issuer does not list the certificate; otherwise C{UNKNOWN}. A CRL with a
        critical extension may cover only some certificates, so it never results in C{GOOD}.
    """
    known = Revocation.UNKNOWN
    for revoked in lists:
        if revoked.issuer != issuer.subject or not _isListOf(revoked, issuer):
            continue
        if revoked.get_revoked_certificate_by_serial_number(certificate.serial_number):
            return Revocation.REVOKED
        end = revoked.next_update_utc
        if any(each.critical for each in revoked.extensions):
            continue
        if revoked.last_update_utc <= time and (end is None or time <= end):
            known = Revocation.GOOD
    return known


def _isListOf(revoked: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    try:
        return revoked.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False


def demandsStaple(certificate: x509.Certificate) -> bool:
    """
    Check whether a certificate requires a stapled OCSP response (RFC 7633).

    @param certificate: a certificate whose extensions can be parsed.
    @return: whether the certificate requires a response.
    """
    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return x509.TLSFeatureType.status_request in features


def readStaple(
    staple: bytes, certificate: x509.Certificate, issuer: x509.Certificate, time: datetime
) -> Staple:
    """
    Read an OCSP response.

    @param staple: the response (DER); empty if there is no response.
    @param certificate: the certificate whose status the response must contain.
    @param time: the time at which the response must be valid. The validity may begin up to
        L{_MAX_SKEW} later. A response with the status C{revoked} counts at any time, like an
        old CRL.
    @return: the result: C{UNKNOWN}, with the reason, if the response is missing, not valid at
        this time, about another certificate, or not signed by the issuer or an authorized
        responder.
    """
    if not staple:
        return _unknown("the server sent none")
    if len(staple) > _MAX_RESPONSE:
        return _unknown(f"the OCSP response is longer than {_MAX_RESPONSE} bytes")
    try:
        return _read(staple, certificate, issuer, time)
    except InvalidSignature:
        return _unknown("the signature of the OCSP response is invalid")
    except _SignerError as problem:
        return _unknown(str(problem))
    except (UnsupportedAlgorithm, *MALFORMED):
        return _unknown("the OCSP response cannot be parsed")


def _unknown(reason: str) -> Staple:
    return Staple(Revocation.UNKNOWN, reason)


class _SignerError(Exception):
    """
    The signature of a response is not accepted. The text of the exception contains the reason.
    """


def _read(
    staple: bytes, certificate: x509.Certificate, issuer: x509.Certificate, time: datetime
) -> Staple:
    response = load_der_ocsp_response(staple)
    if response.response_status is not OCSPResponseStatus.SUCCESSFUL:
        return _unknown(f"the OCSP server answered {response.response_status.name}")
    if not _isAbout(response, certificate, issuer):
        return _unknown("the OCSP response is about another certificate")
    begin = response.this_update_utc
    # Limit the age of a response whose validity has no end.
    end = response.next_update_utc or begin + _MAX_AGE
    early, late = begin > time + _MAX_SKEW, end < time
    status = response.certificate_status
    if status is not OCSPCertStatus.REVOKED and (early or late):
        return _unknown(
            f"the OCSP response is not valid before {begin:{_DATE}}"
            if early
            else f"the OCSP response has expired on {end:{_DATE}}"
        )
    # For an old response, use the time of the response: the responder's certificate may have
    # expired since then.
    _verify(response, _signer(response, issuer, begin if late else time))
    if status is OCSPCertStatus.GOOD and isinstance(response.signature_hash_algorithm, _WEAK):
        return _unknown("the OCSP response is signed with MD5 or SHA-1")
    match status:
        case OCSPCertStatus.GOOD:
            return Staple(Revocation.GOOD)
        case OCSPCertStatus.REVOKED:
            return Staple(Revocation.REVOKED)
        case _:
            return _unknown("the issuer does not know the certificate")


def _isAbout(
    response: OCSPResponse, certificate: x509.Certificate, issuer: x509.Certificate
) -> bool:
    """
    Check whether a response contains the status of a certificate from a given issuer.
    """
    algorithm = response.hash_algorithm
    request = OCSPRequestBuilder().add_certificate(certificate, issuer, algorithm).build()
    return (
        response.serial_number == request.serial_number
        and response.issuer_name_hash == request.issuer_name_hash
        and response.issuer_key_hash == request.issuer_key_hash
    )


def _signer(response: OCSPResponse, issuer: x509.Certificate, time: datetime) -> x509.Certificate:
    """
    Return the signer of a response: the issuer, or a responder that the issuer has
    authorized. At most L{_MAX_RESPONDERS} certificates are tried.

    @raise _SignerError: if the signer is neither the issuer nor an authorized responder.
    """
    # Limit the number: the server chooses these certificates, and verifying a signature is
    # expensive.
    for certificate in islice(
        (each for each in response.certificates if _isResponder(response, each)), _MAX_RESPONDERS
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
        raise _SignerError(
            "the OCSP response is not signed by the issuer or an authorized responder"
        )
    return issuer


def _isResponder(response: OCSPResponse, certificate: x509.Certificate) -> bool:
    """
    Check whether a response names a certificate as its signer.
    """
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    # RFC 6960 identifies a key by its SHA-1 hash, like RFC 5280. Security does not depend on this
    # hash.
    identifier = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
    return response.responder_key_hash == identifier.digest


def _verify(response: OCSPResponse, signer: x509.Certificate) -> None:
    """
    Verify the signature of a response.

    @raise InvalidSignature: if the signature is invalid.
    @raise _SignerError: if the signature algorithm is not supported.
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
            raise _SignerError("the OCSP response has an unsupported signature algorithm")
