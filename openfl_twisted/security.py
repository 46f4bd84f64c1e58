"""
Certificates of servers: what C{openfl.security} has.
"""

from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.x509.certificates import CertificateStatus
from openfl_twisted.wire.x509.der import Element, elements

__all__ = ["CertificateStatus", "X500DistinguishedName", "X509Certificate"]

_ISSUER_ID, _SUBJECT_ID = 0x81, 0x82


class X500DistinguishedName:
    """
    The name of somebody in a certificate. What is not there is C{None}; of what
    is there several times it is the first.
    """

    def __init__(self, name: x509.Name) -> None:
        """
        @param name: the name.
        """
        self._name = name

    def _first(self, kind: x509.ObjectIdentifier) -> str | None:
        for attribute in self._name.get_attributes_for_oid(kind):
            value = attribute.value
            return value if isinstance(value, str) else value.hex()
        return None

    @property
    def commonName(self) -> str | None:
        """
        The name of a server or of an authority (CN).
        """
        return self._first(NameOID.COMMON_NAME)

    @property
    def countryName(self) -> str | None:
        """
        The country, in two letters (C).
        """
        return self._first(NameOID.COUNTRY_NAME)

    @property
    def localityName(self) -> str | None:
        """
        The town (L).
        """
        return self._first(NameOID.LOCALITY_NAME)

    @property
    def organizationName(self) -> str | None:
        """
        The organization (O).
        """
        return self._first(NameOID.ORGANIZATION_NAME)

    @property
    def organizationalUnitName(self) -> str | None:
        """
        The part of the organization (OU).
        """
        return self._first(NameOID.ORGANIZATIONAL_UNIT_NAME)

    @property
    def stateOrProvinceName(self) -> str | None:
        """
        The state or province (ST).
        """
        return self._first(NameOID.STATE_OR_PROVINCE_NAME)

    def toString(self) -> str:
        """
        Write it in one line, as OpenFL does: C{/CN=games.example/C=US}. How
        Flash does it is not known.
        """
        parts = {
            "CN": self.commonName,
            "C": self.countryName,
            "L": self.localityName,
            "OU": self.organizationalUnitName,
            "O": self.organizationName,
            "S": self.stateOrProvinceName,
        }
        return "".join(f"/{key}={value}" for key, value in parts.items() if value is not None)

    __str__ = toString


class X509Certificate:
    """
    A certificate as it came.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        """
        @param certificate: the certificate.
        """
        self._certificate = certificate

    @cached_property
    def _der(self) -> bytes:
        return self._certificate.public_bytes(Encoding.DER)

    @cached_property
    def _fields(self) -> list[Element]:
        """
        The fields of RFC 5280's C{TBSCertificate}, from the serial number on.
        """
        [certificate] = elements(self._der)
        fields = elements(elements(certificate.content)[0].content)
        # The version may be left out.
        return fields[1:] if fields[0].tag == 0xA0 else fields

    @property
    def encoded(self) -> ByteArray:
        """
        The whole certificate in DER.
        """
        return ByteArray(self._der)

    @property
    def issuer(self) -> X500DistinguishedName:
        """
        Who has signed it.
        """
        return X500DistinguishedName(self._certificate.issuer)

    @property
    def subject(self) -> X500DistinguishedName:
        """
        Whom it is about.
        """
        return X500DistinguishedName(self._certificate.subject)

    @property
    def issuerUniqueID(self) -> str | None:
        """
        What tells issuers of the same name apart, in hexadecimal digits; nobody
        uses it.
        """
        return self._uniqueID(_ISSUER_ID)

    @property
    def subjectUniqueID(self) -> str | None:
        """
        What tells subjects of the same name apart, in hexadecimal digits;
        nobody uses it.
        """
        return self._uniqueID(_SUBJECT_ID)

    def _uniqueID(self, tag: int) -> str | None:
        for field in self._fields[6:]:
            if field.tag == tag:
                # The first byte counts the bits of the last that are none.
                return field.content[1:].hex()
        return None

    @property
    def serialNumber(self) -> str:
        """
        Its number at the issuer, in hexadecimal digits.
        """
        return f"{self._certificate.serial_number:x}"

    @property
    def signatureAlgorithmOID(self) -> str:
        """
        How it is signed.
        """
        return str(self._certificate.signature_algorithm_oid.dotted_string)

    @property
    def signatureAlgorithmParams(self) -> ByteArray | None:
        """
        The parameters of the signature in DER, if there are any.
        """
        algorithm = elements(self._fields[1].content)
        return ByteArray(algorithm[1].whole) if len(algorithm) > 1 else None

    @property
    def subjectPublicKey(self) -> str:
        """
        The key in hexadecimal digits. What form Flash has is not known.
        """
        [_, key] = elements(self._fields[5].content)
        return key.content[1:].hex()

    @property
    def subjectPublicKeyAlgorithmOID(self) -> str:
        """
        What kind of key it is.
        """
        return str(self._certificate.public_key_algorithm_oid.dotted_string)

    @property
    def validNotBefore(self) -> datetime:
        """
        When its validity begins; UTC.
        """
        return self._certificate.not_valid_before_utc

    @property
    def validNotAfter(self) -> datetime:
        """
        When its validity ends; UTC.
        """
        return self._certificate.not_valid_after_utc

    @property
    def version(self) -> int:
        """
        The version as it stands there: 2 for X.509 v3, 0 for v1.
        """
        return int(self._certificate.version.value)
