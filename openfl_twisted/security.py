"""
X.509 certificates of servers (C{openfl.security}).
"""

from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.x509._der import Element, elements, fieldsOf
from openfl_twisted.wire.x509.certificates import CertificateStatus

__all__ = ["CertificateStatus", "X500DistinguishedName", "X509Certificate"]

_ISSUER_ID, _SUBJECT_ID = 0x81, 0x82


class X500DistinguishedName:
    """
    The subject or issuer of a certificate. A missing attribute is C{None}. For a repeated
    attribute, the first value is returned.
    """

    def __init__(self, name: x509.Name) -> None:
        self._name = name

    def _first(self, kind: x509.ObjectIdentifier) -> str | None:
        for attribute in self._name.get_attributes_for_oid(kind):
            value = attribute.value
            return value if isinstance(value, str) else value.hex()
        return None

    @property
    def commonName(self) -> str | None:
        """
        The name of a server or certificate authority (CN).
        """
        return self._first(NameOID.COMMON_NAME)

    @property
    def countryName(self) -> str | None:
        """
        The two-letter country code (C).
        """
        return self._first(NameOID.COUNTRY_NAME)

    @property
    def localityName(self) -> str | None:
        """
        The locality, such as a city (L).
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
        The organizational unit (OU).
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
        Return the name in one line, as OpenFL does: C{/CN=games.example/C=US}. Flash's
        format is not documented.
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
    A certificate as it was received.
    """

    def __init__(self, certificate: x509.Certificate) -> None:
        self._certificate = certificate

    @cached_property
    def _der(self) -> bytes:
        return self._certificate.public_bytes(Encoding.DER)

    @cached_property
    def _fields(self) -> list[Element]:
        return fieldsOf(self._der)

    @property
    def encoded(self) -> ByteArray:
        """
        The certificate in DER.
        """
        return ByteArray(self._der)

    @property
    def issuer(self) -> X500DistinguishedName:
        """
        The name of the certificate's issuer.
        """
        return X500DistinguishedName(self._certificate.issuer)

    @property
    def subject(self) -> X500DistinguishedName:
        """
        The name of the certificate's holder.
        """
        return X500DistinguishedName(self._certificate.subject)

    @property
    def issuerUniqueID(self) -> str | None:
        """
        The identifier that distinguishes issuers with the same name, in hexadecimal digits.
        This field is obsolete and rarely used.
        """
        return self._uniqueID(_ISSUER_ID)

    @property
    def subjectUniqueID(self) -> str | None:
        """
        The identifier that distinguishes subjects with the same name, in hexadecimal digits.
        This field is obsolete and rarely used.
        """
        return self._uniqueID(_SUBJECT_ID)

    def _uniqueID(self, tag: int) -> str | None:
        for kind, start, end in self._fields[6:]:
            if kind == tag:
                # The first byte of a BIT STRING is the number of unused bits in the last byte.
                return self._der[start + 1 : end].hex()
        return None

    @property
    def serialNumber(self) -> str:
        """
        The serial number, in hexadecimal digits.
        """
        return f"{self._certificate.serial_number:x}"

    @property
    def signatureAlgorithmOID(self) -> str:
        """
        The OID of the signature algorithm.
        """
        return str(self._certificate.signature_algorithm_oid.dotted_string)

    @property
    def signatureAlgorithmParams(self) -> ByteArray | None:
        """
        The parameters of the signature algorithm in DER; C{None} if the algorithm has none.
        """
        (_, _, start), *parameters = elements(self._der, self._fields[1])
        return ByteArray(self._der[start : parameters[0][2]]) if parameters else None

    @property
    def subjectPublicKey(self) -> str:
        """
        The public key in hexadecimal digits. Flash's format is not documented.
        """
        _, (_, start, end) = elements(self._der, self._fields[5])
        return self._der[start + 1 : end].hex()

    @property
    def subjectPublicKeyAlgorithmOID(self) -> str:
        """
        The OID of the public key's algorithm.
        """
        return str(self._certificate.public_key_algorithm_oid.dotted_string)

    @property
    def validNotBefore(self) -> datetime:
        """
        The beginning of the validity period (UTC).
        """
        return self._certificate.not_valid_before_utc

    @property
    def validNotAfter(self) -> datetime:
        """
        The end of the validity period (UTC).
        """
        return self._certificate.not_valid_after_utc

    @property
    def version(self) -> int:
        """
        The encoded version: 2 for X.509 v3, 0 for v1.
        """
        return int(self._certificate.version.value)
