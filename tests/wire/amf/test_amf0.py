"""
Tests for L{openfl_twisted.wire.amf._amf0}: arrays with names, and reference numbers.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.amf.codec import AMF0, AMF3, decode, encode
from openfl_twisted.wire.amf.values import (
    XML,
    AMFError,
    AMFLimits,
    Date,
    ECMAArray,
    TypedObject,
    Undefined,
    XMLDocument,
)


def bytesOf(text: str) -> bytes:
    """
    Convert hexadecimal digits to bytes, and text between single quotes to UTF-8.
    """
    parts = enumerate(text.split("'"))
    return b"".join(part.encode() if odd % 2 else bytes.fromhex(part) for odd, part in parts)


def read(text: str) -> Any:
    """
    Decode hexadecimal digits that are exactly one AMF0 value.
    """
    data = bytesOf(text)
    value, end = decode(data, objectEncoding=AMF0)
    assert end == len(data), (end, len(data))
    return value


def written(value: Any, **settings: Any) -> str:
    """
    Return the AMF0 form of a value as hexadecimal digits.
    """
    return encode(value, objectEncoding=AMF0, **settings).hex()


def hexOf(text: str) -> str:
    """
    Normalize the form of L{bytesOf} to hexadecimal digits.
    """
    return bytesOf(text).hex()


ONE, TWO, THREE = "003FF0000000000000", "004000000000000000", "004008000000000000"

# Bytes of Flash Player for [a, b, c, c, b, a, "date1", date, "date2", date], recorded in
# issue 72 of ruffle-rs/rust-flash-lso; without the end, where the array contains itself.
RECORDED_DATE = (
    "08 0000000E 0001 '0' 08 00000001 0001 '0' 020001 'a' 000009 "
    "0001 '1' 08 00000001 0001 '0' 020001 'b' 000009 "
    "0001 '2' 08 00000001 0001 '0' 020001 'c' 000009 "
    "0001 '3' 070003 0001 '4' 070002 0001 '5' 070001 0001 '6' 020005 'date1' "
    "0001 '7' 0B 4028000000000000 FFC4 0001 '8' 020005 'date2' 0001 '9' 070004"
)

# The arguments of a call that Flash Player sends from ActionScript 2, from issue 124 there.
XML_TEXT = "<root><child id='avm1'>test</child></root>"
RECORDED_XML = (
    bytes.fromhex("0A00000001 03 0005")
    + b"n_xml"
    + bytes.fromhex("0F0000002A")
    + XML_TEXT.encode()
    + bytes.fromhex("0009")
    + b"n_xml_ref"
    + bytes.fromhex("070002 000009")
)


class ECMAArrayTests(SynchronousTestCase):
    """
    Arrays with names.
    """

    def test_onlyDense(self) -> None:
        """
        An array whose keys are exactly 0 to n - 1 is a list.
        """
        value = read(f"08 00000002 0001 '0' {ONE} 0001 '1' {TWO} 000009")
        self.assertEqual(value, [1.0, 2.0])
        self.assertIs(type(value), list)
        for text, wanted in [
            ("08 00000000 000009", []),
            (f"08 00000002 0001 '1' {TWO} 0001 '0' {ONE} 000009", [1.0, 2.0]),
            # The length is a hint, which may be wrong.
            (f"08 00000000 0001 '0' {ONE} 000009", [1.0]),
            (f"08 00000009 0001 '0' {ONE} 000009", [1.0]),
            # Ruffle's argument list of a call.
            ("08 00000001 0001 '0' 08 00000001 0001 '0' 03 000009 000009 000009", [[{}]]),
        ]:
            value = read(text)
            self.assertEqual(value, wanted, text)
            self.assertIs(type(value), list, text)

    def test_otherKeys(self) -> None:
        """
        Any other key, a gap, or a length without an element makes it an ECMAArray.
        """
        for text, wanted in [
            (f"08 00000002 0001 '0' {ONE} 0001 'a' {TWO} 000009", ECMAArray([1.0], {"a": 2.0})),
            (f"08 00000003 0001 '0' {ONE} 0001 '2' {TWO} 000009", ECMAArray([1.0], {"2": 2.0})),
            (f"08 00000002 0002 '00' {ONE} 000009", ECMAArray([], {"00": 1.0})),
            (f"08 00000001 0001 '1' {ONE} 000009", ECMAArray([], {"1": 1.0})),
            ("08 FFFFFFFF 000009", ECMAArray()),
        ]:
            value = read(text)
            self.assertEqual(value, wanted, text)
            self.assertIs(type(value), ECMAArray, text)

    def test_referenceToDense(self) -> None:
        """
        A later reference to an array that became a list returns this list.
        """
        value = read(f"0A 00000002 08 00000001 0001 '0' {ONE} 000009 07 0001")
        self.assertEqual(value, [[1.0], [1.0]])
        self.assertIs(value[0], value[1])
        value = read(f"0A 00000002 08 00000001 0001 '0' {ONE} 000009 0F 00000000")
        self.assertEqual(value, [[1.0], XML("")])

    def test_containsItself(self) -> None:
        """
        A dense array that contains itself stays an ECMAArray, and its element is
        this very array.
        """
        value = read(f"08 00000002 0001 '0' {ONE} 0001 '1' 070000 000009")
        self.assertIs(type(value), ECMAArray)
        self.assertEqual(value.dense[0], 1.0)
        self.assertIs(value.dense[1], value)

    def test_lengthOfSparse(self) -> None:
        """
        The length word of a sparse array is one more than its highest index.
        """
        for value, length in [
            (ECMAArray([1.0, 2.0], {"8": 3.0}), 9),
            (ECMAArray([], {"0": 3.0}), 1),
            (ECMAArray([1.0], {"name": 3.0}), 1),
            (ECMAArray([], {"4294967294": 1.0}), 0xFFFFFFFF),
            # Not one of these is an index in ActionScript.
            (ECMAArray([1.0], {"4294967295": 1.0, "08": 1.0, "-1": 1.0, "1.5": 1.0}), 1),
            (ECMAArray([1.0], {"9" * 5000: 1.0, "\u0665": 1.0}), 1),
            # A function leaves a gap.
            (ECMAArray([1.0, 2.0, len]), 3),
        ]:
            data = encode(value, objectEncoding=AMF0)
            self.assertEqual(data[:5].hex(), f"08{length:08x}", value)
        self.assertEqual(
            written(ECMAArray([1.0, 2.0], {"8": 3.0})),
            hexOf(f"08 00000009 0001 '0' {ONE} 0001 '1' {TWO} 0001 '8' {THREE} 000009"),
        )

    def test_nameOnce(self) -> None:
        """
        A name that is also an index of the dense part is written once, with the
        dense element.
        """
        self.assertEqual(
            written(ECMAArray(["dense"], {"0": "named"})),
            hexOf("08 00000001 0001 '0' 020005 'dense' 000009"),
        )

    def test_integerAndText(self) -> None:
        """
        If an integer and its decimal text are both keys, only the entry of the
        text is written, in both formats.
        """
        for value in (
            {1: "integer", "1": "text", "b": None},
            TypedObject("A", {1: "integer", "1": "text", "b": None}),  # type: ignore[dict-item]
            ECMAArray([], {1: "integer", "1": "text", "b": None}),  # type: ignore[dict-item]
        ):
            data = encode(value, objectEncoding=AMF0)
            self.assertEqual((data.count(b"integer"), data.count(b"text")), (0, 1), value)
            self.assertEqual(decode(data, objectEncoding=AMF0)[0]["1"], "text")
        data = encode({1: "integer", "1": "text", 2: None}, objectEncoding=AMF3)
        self.assertEqual(decode(data)[0], {"1": "text", "2": None})
        self.assertEqual(data.count(b"integer"), 0)

    @given(
        st.lists(st.none() | st.booleans(), max_size=4),
        st.dictionaries(st.integers(0, 12).map(str) | st.sampled_from("ab"), st.none()),
    )
    def test_asAMF3(self, dense: list[Any], named: dict[str, None]) -> None:
        """
        AMF0 and AMF3 read the same array, with any entries, and the length word
        includes every index.
        """
        value = ECMAArray(dense, named)
        data = encode(value, objectEncoding=AMF0)
        back = decode(data, objectEncoding=AMF0)[0]
        same = decode(encode(value))[0]
        self.assertEqual(back, same)
        self.assertIs(type(back), type(same))
        indexes = [*range(len(dense)), *(int(name) for name in named if name.isdecimal())]
        self.assertEqual(int.from_bytes(data[1:5], "big"), max(indexes, default=-1) + 1)


class ReferenceTests(SynchronousTestCase):
    """
    The reference numbers of Flash Player.
    """

    def test_recordedDate(self) -> None:
        """
        ActionScript 3 numbers dates: the recorded reference of Flash Player is the date.
        """
        value = read(RECORDED_DATE + "000009")
        a, b, c, date = ["a"], ["b"], ["c"], Date(12.0)
        self.assertEqual(value, [a, b, c, c, b, a, "date1", date, "date2", date])
        self.assertIs(value[7], value[9])
        self.assertIs(value[2], value[3])

    def test_recordedXML(self) -> None:
        """
        ActionScript 2 numbers XML: the recorded reference of Flash Player is the XML.
        """
        value, end = decode(RECORDED_XML, objectEncoding=AMF0)
        self.assertEqual(end, len(RECORDED_XML))
        self.assertEqual(value, [{"n_xml": XML(XML_TEXT), "n_xml_ref": XML(XML_TEXT)}])
        self.assertIs(value[0]["n_xml"], value[0]["n_xml_ref"])

    def test_bothBefore(self) -> None:
        """
        Of one date and one XML, exactly one takes a number.
        """
        value = read(
            "03 0001 'd' 0B 0000000000000000 0000 0001 'x' 0F 00000004 '<a/>' "
            "0001 'a' 0A 00000001 05 0001 'b' 070002 000009"
        )
        self.assertEqual(value, {"d": Date(0.0), "x": XML("<a/>"), "a": [None], "b": [None]})
        self.assertIs(value["a"], value["b"])

    def test_missing(self) -> None:
        """
        A number that is unknown in both counts is refused.
        """
        for text in ("070000", "0A 00000002 0B 0000000000000000 0000 070002"):
            self.assertRaises(AMFError, read, text)

    def test_written(self) -> None:
        """
        A date takes a number, and a repeated date is a reference. A datetime and
        a tuple take numbers too, XML does not.
        """
        date, array = Date(12.0), [None]
        self.assertEqual(
            written([date, array, XML(""), date, array]),
            hexOf("0A 00000005 0B 4028000000000000 0000 0A 00000001 05 0F 00000000 070001 070002"),
        )
        self.assertEqual(
            written([date.toDatetime(), array, array]),
            hexOf("0A 00000003 0B 4028000000000000 0000 0A 00000001 05 070002"),
        )
        self.assertNotIn("070001", written([date, date], references=False))

    @given(
        st.recursive(
            st.sampled_from([None, Date(0.0), Date(1.0), XML("<a/>"), XMLDocument(""), Undefined]),
            lambda items: (
                st.lists(items, max_size=5)
                | st.dictionaries(st.sampled_from("abc"), items)
                | st.builds(ECMAArray, st.lists(items, max_size=3), st.just({"n": None}))
            ),
        ),
        st.data(),
    )
    def test_identity(self, value: Any, data: st.DataObject) -> None:
        """
        Shared objects stay shared, whatever values precede them.
        """
        shared = data.draw(st.sampled_from([Date(5.0), [1.0], {"a": 1.0}]))
        value = [value, shared, value, shared]
        back = decode(encode(value, objectEncoding=AMF0), objectEncoding=AMF0)[0]
        self.assertEqual(back, value)
        self.assertIs(back[1], back[3])

    def test_limits(self) -> None:
        """
        Dates, XML and arrays with names count as objects.
        """
        limits = AMFLimits(objects=2)
        for item in (Date(0.0), XML(""), ECMAArray([None])):
            data = encode([item], objectEncoding=AMF0)
            decode(data, objectEncoding=AMF0, limits=limits)
            data = encode([item, [], []], objectEncoding=AMF0)
            self.assertRaises(AMFError, decode, data, objectEncoding=AMF0, limits=limits)
