"""
Tests for L{openfl_twisted.security}.
"""

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.security import X500DistinguishedName, X509Certificate
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.x509._der import elements
from tests.laboratory import BEGIN, END, authority, parts, server, tlv


def nameOf(*attributes: tuple[x509.ObjectIdentifier, str]) -> X500DistinguishedName:
    return X500DistinguishedName(x509.Name([x509.NameAttribute(*each) for each in attributes]))


class DistinguishedNameTests(SynchronousTestCase):
    """
    Subjects and issuers.
    """

    def test_attributes(self) -> None:
        """
        Each attribute has a property, and the text is formatted as in OpenFL.
        """
        name = nameOf(
            (NameOID.COUNTRY_NAME, "DE"),
            (NameOID.STATE_OR_PROVINCE_NAME, "Bayern"),
            (NameOID.LOCALITY_NAME, "München"),
            (NameOID.ORGANIZATION_NAME, "Games"),
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "Chess"),
            (NameOID.COMMON_NAME, "games.example"),
        )
        self.assertEqual(name.commonName, "games.example")
        self.assertEqual(name.countryName, "DE")
        self.assertEqual(name.localityName, "München")
        self.assertEqual(name.organizationName, "Games")
        self.assertEqual(name.organizationalUnitName, "Chess")
        self.assertEqual(name.stateOrProvinceName, "Bayern")
        text = "/CN=games.example/C=DE/L=München/OU=Chess/O=Games/S=Bayern"
        self.assertEqual(name.toString(), text)
        self.assertEqual(str(name), text)

    def test_absent(self) -> None:
        """
        A missing attribute is C{None}, and not in the text.
        """
        name = nameOf()
        self.assertIsNone(name.commonName)
        self.assertEqual(name.toString(), "")

    def test_repeated(self) -> None:
        """
        Of a repeated attribute, the first value is used.
        """
        name = nameOf(
            (NameOID.ORGANIZATIONAL_UNIT_NAME, "a"), (NameOID.ORGANIZATIONAL_UNIT_NAME, "b")
        )
        self.assertEqual(name.organizationalUnitName, "a")

    def test_bits(self) -> None:
        """
        A binary attribute is returned in hexadecimal digits.
        """
        attribute = x509.NameAttribute(
            NameOID.X500_UNIQUE_IDENTIFIER, b"\x00\xff", x509.name._ASN1Type.BitString
        )
        name = X500DistinguishedName(x509.Name([attribute]))
        self.assertEqual(name._first(NameOID.X500_UNIQUE_IDENTIFIER), "00ff")


class CertificateTests(SynchronousTestCase):
    """
    The fields of a certificate.
    """

    def setUp(self) -> None:
        self.root = authority("Root")
        self.identity = server(self.root, name="server", serial=0xABC)
        self.certificate = X509Certificate(self.identity.certificate)

    def test_encoded(self) -> None:
        """
        C{encoded} contains the certificate in DER.
        """
        encoded = self.certificate.encoded
        self.assertIsInstance(encoded, ByteArray)
        self.assertEqual(bytes(encoded), self.identity.der)
        self.assertEqual(encoded.position, 0)

    def test_names(self) -> None:
        """
        Subject and issuer are those of the certificate.
        """
        self.assertEqual(self.certificate.subject.commonName, "server")
        self.assertEqual(self.certificate.issuer.commonName, "Root")

    def test_facts(self) -> None:
        """
        Serial number, version and dates are those of the certificate.
        """
        self.assertEqual(self.certificate.serialNumber, "abc")
        self.assertEqual(self.certificate.version, 2)
        self.assertEqual(self.certificate.validNotBefore, BEGIN)
        self.assertEqual(self.certificate.validNotAfter, END)

    def test_key(self) -> None:
        """
        The public key is in hexadecimal digits, with the OID of its algorithm.
        """
        point = self.identity.key.public_key().public_bytes(
            Encoding.X962, PublicFormat.UncompressedPoint
        )
        self.assertEqual(self.certificate.subjectPublicKey, point.hex())
        self.assertEqual(self.certificate.subjectPublicKeyAlgorithmOID, "1.2.840.10045.2.1")

    def test_signature(self) -> None:
        """
        ECDSA has no parameters; RSA has a NULL.
        """
        self.assertEqual(self.certificate.signatureAlgorithmOID, "1.2.840.10045.4.3.2")
        self.assertIsNone(self.certificate.signatureAlgorithmParams)
        signed = X509Certificate(authority("RSA", kind="RSA").certificate)
        parameters = signed.signatureAlgorithmParams
        assert parameters is not None
        self.assertEqual(bytes(parameters), b"\5\0")
        self.assertEqual(signed.signatureAlgorithmOID, "1.2.840.113549.1.1.11")

    def test_uniqueIDs(self) -> None:
        """
        The unique identifiers are C{None} or hexadecimal digits.
        """
        self.assertIsNone(self.certificate.issuerUniqueID)
        self.assertIsNone(self.certificate.subjectUniqueID)
        signed, algorithm, signature = parts(self.identity.der)
        fields = parts(signed)
        fields[7:7] = [tlv(0x81, b"\0\x12"), tlv(0x82, b"\0\x34")]
        altered = tlv(0x30, tlv(0x30, b"".join(fields)) + algorithm + signature)
        certificate = X509Certificate(x509.load_der_x509_certificate(altered))
        self.assertEqual(certificate.issuerUniqueID, "12")
        self.assertEqual(certificate.subjectUniqueID, "34")

    def test_oldVersion(self) -> None:
        """
        A certificate of version 1, which does not encode its version, can be read.
        """
        signed, algorithm, signature = parts(self.identity.der)
        # Neither the version nor the extensions.
        fields = parts(signed)[1:-1]
        altered = tlv(0x30, tlv(0x30, b"".join(fields)) + algorithm + signature)
        certificate = X509Certificate(x509.load_der_x509_certificate(altered))
        self.assertEqual(certificate.version, 0)
        self.assertEqual(certificate.subjectPublicKey, self.certificate.subjectPublicKey)
        self.assertIsNone(certificate.subjectUniqueID)


class PiecesTests(SynchronousTestCase):
    """
    The DER parser.
    """

    @given(st.lists(st.tuples(st.integers(0, 30), st.binary(max_size=300))))
    def test_pieces(self, values: list[tuple[int, bytes]]) -> None:
        """
        Concatenated elements are parsed, with short and long lengths.
        """
        written = [tlv(*value) for value in values]
        data = b"".join(written)
        found = [(tag, data[start:end]) for tag, start, end in elements(data, (0, 0, len(data)))]
        self.assertEqual(found, values)
        self.assertEqual(parts(tlv(0x30, data)), written)
