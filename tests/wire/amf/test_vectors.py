"""
Values and their bytes from Flash Player, as recorded by Ruffle's tests.
L{tests.wire.amf.test_codec} has further ones.
"""

import math
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.amf.codec import AMF0, AMF3, decode, encode
from openfl_twisted.wire.amf.values import (
    XML,
    Date,
    ECMAArray,
    IntVector,
    NumberVector,
    ObjectVector,
    TypedObject,
    UIntVector,
    Undefined,
)


def bytesOf(text: str) -> bytes:
    """
    Convert hexadecimal digits to bytes, and text between single quotes to UTF-8.
    """
    parts = enumerate(text.split("'"))
    return b"".join(part.encode() if odd % 2 else bytes.fromhex(part) for odd, part in parts)


ELEMENT = (
    '<outer attr1="Foo" attr2="Bar"><inner attr="First inner">First content</inner>'
    '<inner attr="Second inner">Second content</inner></outer>'
)

# By the name of the test: the version of AMF, the bytes, and the value.
VECTORS: list[tuple[str, int, str, Any]] = [
    ("amf_custom_obj", AMF3, "0A0B0101", {}),
    ("amf_custom_obj", AMF3, "0A0B01 0B 'first' 060B 'Hello' 01", {"first": "Hello"}),
    (
        "amf_custom_obj",
        AMF3,
        (
            "0A33 19 'MyClassAlias' 13 'firstProp' 15 'secondProp' 13 'thirdProp' 060B 'Hello' 01 "
            "05C014666666666666"
        ),
        TypedObject("MyClassAlias", {"firstProp": "Hello", "secondProp": None, "thirdProp": -5.1}),
    ),
    ("amf_vector", AMF3, "0E0700 00000064 000000C8 0000012C", UIntVector([100, 200, 300])),
    ("amf_vector", AMF3, "0E0501 000001F4 00000258", UIntVector([500, 600], True)),
    ("amf_vector", AMF3, "0E0100", UIntVector()),
    ("amf_vector", AMF3, "0D0700 FFFFFFFF FFFFFF38 00000004", IntVector([-1, -200, 4])),
    ("amf_vector", AMF3, "0D0301 FFFFFF9C", IntVector([-100], True)),
    ("amf_xml", AMF3, f"0B820F '{ELEMENT}'", XML(ELEMENT)),
    ("amf_function", AMF3, "100100 01", ObjectVector()),
    ("amf_function", AMF3, "090101", []),
    # The following ones are arguments of calls, each a separate value.
    (
        "amf_array_serialization",
        AMF3,
        "090501 060F 'dense_0' 060F 'dense_1'",
        ["dense_0", "dense_1"],
    ),
    (
        "amf_array_serialization",
        AMF3,
        "0903 0335 0611 'sparse_5' 01 0611 'sparse_0'",
        ECMAArray(["sparse_0"], {"5": "sparse_5"}),
    ),
    (
        "amf_array_serialization",
        AMF3,
        "0903 17 'custom_prop' 0619 'custom_value' 01 060F 'mixed_0'",
        ECMAArray(["mixed_0"], {"custom_prop": "custom_value"}),
    ),
    (
        "amf_array_serialization",
        AMF3,
        "0A0B01 0330 060D 'fake_0' 0D 'length' 0401 01",
        {"0": "fake_0", "length": 1},
    ),
    ("amf_array_serialization", AMF3, "0801 427856AA0C800000", Date(1672531200000.0)),
    (
        "amf_array_serialization",
        AMF3,
        "090301 090501 060D 'deep_0' 060D 'deep_1'",
        [["deep_0", "deep_1"]],
    ),
    (
        "amf_array_serialization",
        AMF0,
        "0A00000002 020007 'dense_0' 020007 'dense_1'",
        ["dense_0", "dense_1"],
    ),
    (
        "amf_array_serialization",
        AMF0,
        "0A00000006 020008 'sparse_0' 06060606 020008 'sparse_5'",
        ["sparse_0", *[Undefined] * 4, "sparse_5"],
    ),
    (
        "amf_array_serialization",
        AMF0,
        "0800000001 000130 020007 'mixed_0' 000B 'custom_prop' 02000C 'custom_value' 000009",
        ECMAArray(["mixed_0"], {"custom_prop": "custom_value"}),
    ),
    (
        "amf_array_serialization",
        AMF0,
        "03 000130 020006 'fake_0' 0006 'length' 003FF0000000000000 000009",
        {"0": "fake_0", "length": 1.0},
    ),
    ("amf_array_serialization", AMF0, "0B 427856AA0C800000 0000", Date(1672531200000.0)),
    (
        "amf_array_serialization",
        AMF0,
        "0A00000001 0A00000002 020006 'deep_0' 020006 'deep_1'",
        [["deep_0", "deep_1"]],
    ),
    (
        "netconnection_send_remote",
        AMF0,
        (
            "0A00000004 02000A 'Argument 1' 0101 00405EC00000000000 "
            "03 0003 'key' 02000C 'Hello World!' 000009"
        ),
        ["Argument 1", True, 123.0, {"key": "Hello World!"}],
    ),
    ("netconnection_send_remote", AMF0, "0A00000000", []),
    ("netconnection_send_remote", AMF0, "020005 'value'", "value"),
    ("netconnection_send_remote", AMF0, "05", None),
    (
        "netconnection_serialize_arrays",
        AMF0,
        "0A00000001 0A00000002 020006 'real_0' 020006 'real_1'",
        [["real_0", "real_1"]],
    ),
    ("socket_read_write_object", AMF3, "0A0B0101", {}),
    ("socket_read_write_object", AMF0, "03000009", {}),
]


class VectorTests(SynchronousTestCase):
    """
    Recorded values of Flash Player.
    """

    def test_read(self) -> None:
        """
        The recorded bytes are read as the written values, with their types.
        """
        for name, encoding, text, value in VECTORS:
            data = bytesOf(text)
            back, end = decode(data, objectEncoding=encoding)
            self.assertEqual((back, end), (value, len(data)), name)
            self.assertIs(type(back), type(value), name)
            self.assertEqual(getattr(back, "fixed", None), getattr(value, "fixed", None), name)

    def test_written(self) -> None:
        """
        The values are written as the same bytes.
        """
        for name, encoding, text, value in VECTORS:
            data = encode(value, objectEncoding=encoding)
            self.assertEqual(data, bytesOf(text), name)

    def test_functions(self) -> None:
        """
        A function is C{undefined}. It is omitted from an array, and read back as
        C{null} from a vector (C{amf_function}).
        """
        for encoding, value, text in [
            (AMF0, len, "06"),
            (AMF3, len, "00"),
            (AMF3, [len, len], "090101"),
            (AMF3, ObjectVector([len, len, len]), "100700 01 000000"),
            (AMF3, ObjectVector([None, len]), "100500 01 0100"),
        ]:
            data = encode(value, objectEncoding=encoding)
            self.assertEqual(data, bytes.fromhex(text))
            if isinstance(value, ObjectVector):
                self.assertEqual(decode(data)[0], ObjectVector([None] * len(value)))

    def test_numbers(self) -> None:
        """
        A vector can contain negative zero, infinity and NaN, which Flash writes
        with a sign (C{amf_vector}).
        """
        data = bytes.fromhex(
            "0F0D00 8000000000000000 0000000000000000 BFF0000000000000 7FF0000000000000"
            "4014000000000000 FFF8000000000000"
        )
        value, end = decode(data)
        self.assertIs(type(value), NumberVector)
        self.assertEqual((value[:5], end), ([-0.0, 0.0, -1.0, math.inf, 5.0], len(data)))
        self.assertEqual([math.copysign(1, zero) for zero in value[:2]], [-1, 1])
        self.assertTrue(math.isnan(value[5]))
        again = encode(NumberVector(value[:5]))
        self.assertEqual(again[3:], data[3:-8])

    def test_invalidDate(self) -> None:
        """
        An invalid date is NaN after two bytes (C{amf_invalid_date}).
        """
        data = encode(Date(math.nan))
        self.assertTrue(math.isnan(decode(b"\x05" + data[2:])[0]))
        self.assertTrue(math.isnan(decode(data)[0].milliseconds))
