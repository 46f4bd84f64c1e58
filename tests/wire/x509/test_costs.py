"""
Tests for L{openfl_twisted.wire.x509._costs}.
"""

from functools import partial

from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.x509 import _costs as costs
from openfl_twisted.wire.x509._costs import (
    _MAX_ELEMENTS,
    MAX_COMPARISONS,
    countConstraints,
    countNames,
    findExcess,
    namesOf,
)
from tests.effort import callsOf
from tests.extensions import critical, unknown
from tests.laboratory import HOST, authority, server, tlv

ROOT = authority("Root")
LEAF = server(ROOT)
MAX_SIZE = 102_400
"""
The handshake limit: OpenSSL refuses a longer list of certificates.
"""


def constraining(count: int) -> x509.ExtensionType:
    """
    Make name constraints, half of them permitted and half excluded.
    """
    names = [x509.DNSName(f"n{number}.x") for number in range(count)]
    return x509.NameConstraints(names[: count // 2] or None, names[count // 2 :] or None)


def withExtension(kind: x509.ObjectIdentifier, value: bytes) -> bytes:
    """
    Make a server certificate with any value of an extension.
    """
    return server(ROOT, x509.UnrecognizedExtension(kind, value)).der


LIMITED = authority("Limited", ROOT, critical(constraining(4)))
RSA = server(ROOT, name="RSA", kind="RSA")


class CountTests(SynchronousTestCase):
    """
    Counting names and name constraints.
    """

    def test_names(self) -> None:
        """
        The names are the subject, its attributes, and the subject alternative names.
        """
        self.assertEqual(countNames(LEAF.der), 3)
        self.assertEqual(countNames(server(ROOT, names=[HOST] * 250).der), 252)
        self.assertEqual(countNames(server(ROOT, name="", key=LEAF.key).der), 2)
        self.assertEqual(countNames(ROOT.der), 2)
        self.assertEqual(countNames(authority("Root", without=[x509.KeyUsage]).der), 2)

    def test_constraints(self) -> None:
        """
        Permitted and excluded names count.
        """
        self.assertEqual(countConstraints(LEAF.der), 0)
        for count in (1, 2, 300):
            limited = authority("Limited", ROOT, critical(constraining(count)))
            self.assertEqual(countConstraints(limited.der), count)

    def test_malformed(self) -> None:
        """
        For a malformed extension the count is the largest possible number.
        """
        constraints = withExtension(x509.NameConstraints.oid, b"\x30\x80" + bytes(98))
        self.assertEqual(countConstraints(constraints), 50)
        names = withExtension(x509.SubjectAlternativeName.oid, b"\x30\x80" + bytes(98))
        self.assertEqual(countNames(names), 52)

    def test_namesOf(self) -> None:
        """
        The issuer of a certificate is the subject of its CA's certificate.
        """
        issuer, subject, key = namesOf(LEAF.der)
        self.assertEqual(namesOf(ROOT.der)[:2], (issuer, issuer))
        self.assertNotEqual(subject, issuer)
        self.assertNotEqual(key, namesOf(ROOT.der)[2])

    def test_notDER(self) -> None:
        """
        Data that is not DER is an error.
        """
        der = LEAF.der
        for data in (
            b"",
            b"\x30",
            b"\x30\x00",
            b"\x30\x80\x00\x00",
            b"\x30\x02\x30\x00",
            b"\x1f\xff\xff\x01\x00",
            b"\x1f",
            b"\x30\x84",
            der[:-1],
            der[:200],
            # A certificate without a key, and one whose key has no number in it.
            tlv(0x30, tlv(0x30, tlv(0x02, b"\1") * 5)),
        ):
            for function in (countNames, countConstraints, namesOf):
                self.assertRaises(ValueError, function, data)
            self.assertEqual(
                findExcess([data]),
                "the certificate is not valid DER",
            )


class ExcessTests(SynchronousTestCase):
    """
    The limits.
    """

    def test_none(self) -> None:
        """
        Usual certificates are within the limits, and so is a certificate that is
        sent hundreds of times.
        """
        self.assertEqual(findExcess([]), "")
        self.assertEqual(findExcess([LEAF.der, ROOT.der]), "")
        self.assertEqual(findExcess([LEAF.der] * 400), "")

    def test_comparisons(self) -> None:
        """
        All names of all certificates are multiplied by all name constraints, those
        in the client's own certificates included.
        """
        limited = authority("Limited", ROOT, critical(constraining(30)))
        leaf = server(limited, names=[f"n{number}.y" for number in range(196)])
        count = countNames(leaf.der) + countNames(limited.der)
        self.assertEqual(count, 200)
        own = MAX_COMPARISONS // count - 30
        self.assertEqual(findExcess([leaf.der, limited.der], own), "")
        self.assertEqual(
            findExcess([leaf.der, limited.der], own + 1),
            f"{count} names with {own + 31} name constraints require more than "
            f"{MAX_COMPARISONS} comparisons",
        )

    def test_elements(self) -> None:
        """
        The elements of all certificates count together, those in extensions included.
        """
        element = tlv(0x05, b"")

        def padded(count: int) -> bytes:
            return server(ROOT, unknown(tlv(0x30, element * count))).der

        usual = costs._countElements(padded(0), _MAX_ELEMENTS)
        fits = padded(_MAX_ELEMENTS - usual)
        self.assertEqual(findExcess([fits]), "")
        words = f"more than {_MAX_ELEMENTS} DER elements"
        self.assertEqual(findExcess([padded(_MAX_ELEMENTS - usual + 1)]), words)
        self.assertEqual(findExcess([fits, LEAF.der]), words)

    def test_keys(self) -> None:
        """
        A public key that is not DER is an error; the other fields are not read.
        """

        def certificate(key: bytes) -> bytes:
            fields = tlv(0x02, b"\1") + tlv(0x30, b"") * 4 + tlv(0x30, key)
            return tlv(0x30, tlv(0x30, fields))

        rsa = tlv(0x30, tlv(0x06, bytes.fromhex("2a864886f70d010101")))
        good = tlv(0x30, tlv(0x02, b"\7") * 2)
        self.assertEqual(findExcess([certificate(rsa + tlv(3, b"\0" + good))]), "")
        for key in (
            b"",
            rsa,
            rsa + tlv(3, b""),
            rsa + tlv(3, b"\0" + tlv(0x30, tlv(0x02, b"\7"))),
            rsa + tlv(3, b"\0" + good[:-1]),
        ):
            excess = findExcess([certificate(key)])
            self.assertIn(
                excess, ("the public key is not valid DER", "the certificate is not valid DER"), key
            )
        # A key of an unknown kind is not read.
        self.assertEqual(findExcess([certificate(tlv(0x30, b"") + tlv(3, b""))]), "")

    def test_steps(self) -> None:
        """
        The number of calls does not grow with the size of the certificates beyond
        the limits.
        """
        fill = 90_000
        hostile = [
            withExtension(x509.SubjectAlternativeName.oid, tlv(0x30, tlv(0x82, b"a") * 30_000)),
            withExtension(x509.NameConstraints.oid, tlv(0x30, tlv(0xA1, b"\x30\0" * 45_000))),
            withExtension(x509.NameConstraints.oid, b"\x30\0" * 45_000),
            withExtension(x509.SubjectKeyIdentifier.oid, b"\4\0" * 45_000),
            server(ROOT, unknown(bytes(fill))).der,
            server(ROOT, unknown(b"\x1f\x81" * (fill // 2))).der,
            server(ROOT, unknown(b"\x1f" * fill)).der,
            server(ROOT, unknown(_nested(fill))).der,
            bytes(fill),
            b"\x30\x83\x01\x5f\x90" + b"\x30\0" * (fill // 2),
        ]
        for der in hostile:
            self.assertLess(len(der), MAX_SIZE)
            self.assertLess(callsOf(partial(findExcess, [der])), 10 * _MAX_ELEMENTS)
        # As many certificates as fit.
        many = [server(ROOT, serial=number + 10).der for number in range(MAX_SIZE // len(LEAF.der))]
        self.assertLess(callsOf(partial(findExcess, many)), 10 * _MAX_ELEMENTS)

    @given(st.data())
    def test_mutated(self, data: st.DataObject) -> None:
        """
        For mutated certificates the result is a text, and no exception is raised.
        """
        der = bytearray(data.draw(st.sampled_from([LEAF.der, LIMITED.der, RSA.der])))
        for _ in range(data.draw(st.integers(0, 4))):
            der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(der)))
        self.assertIsInstance(findExcess([bytes(der)]), str)
        self.assertIsInstance(findExcess([bytes(der[:cut])]), str)

    @given(st.binary(max_size=300))
    def test_garbage(self, data: bytes) -> None:
        """
        For arbitrary bytes the result is a text.
        """
        self.assertIsInstance(findExcess([data, tlv(0x30, data), tlv(0x30, tlv(0x30, data))]), str)


def _nested(size: int) -> bytes:
    """
    Make elements that are nested in each other.
    """
    data = b""
    for _ in range(size // 5):
        # The length of everything within, in three bytes.
        data += b"\x30\x83" + (size - len(data) - 5).to_bytes(3)
    return data
