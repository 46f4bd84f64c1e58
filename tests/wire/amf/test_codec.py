"""
Tests for L{openfl_twisted.wire.amf.codec}: the bytes of each value, and refused values.
"""

import copy
import datetime as dt
import math
import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.amf._amf3 import _readU29
from openfl_twisted.wire.amf._amf3writer import _writeU29
from openfl_twisted.wire.amf.codec import AMF0, AMF3, decode, encode
from openfl_twisted.wire.amf.values import (
    XML,
    AMFError,
    AMFLimits,
    ClassRegistry,
    Date,
    Dictionary,
    ECMAArray,
    ExternalizableError,
    IntVector,
    NumberVector,
    ObjectVector,
    TypedObject,
    UIntVector,
    Undefined,
    UndefinedType,
    XMLDocument,
)
from openfl_twisted.wire.text import MAX_BROKEN

# Values and their bytes, from Flash Player and from Adobe's specification.
VECTORS3: list[tuple[Any, str]] = [
    (Undefined, "00"),
    (None, "01"),
    (False, "02"),
    (True, "03"),
    (0, "0400"),
    (127, "047F"),
    (128, "048100"),
    (16383, "04FF7F"),
    (16384, "04818000"),
    (2097151, "04FFFF7F"),
    (2097152, "0480C08000"),
    (2**28 - 1, "04BFFFFFFF"),
    (2.0**28, "0541B0000000000000"),
    (-1, "04FFFFFFFF"),
    (-(2**28), "04C0808000"),
    (-(2.0**28) - 1, "05C1B0000001000000"),
    (-0.0, "058000000000000000"),
    (0.5, "053FE0000000000000"),
    ("", "0601"),
    ("hello", "060B68656C6C6F"),
    ("\u00e9", "0605C3A9"),
    (XMLDocument("<a/>"), "07093C612F3E"),
    (XML("<a/>"), "0B093C612F3E"),
    (XML(""), "0B01"),
    (Date(0.0), "08010000000000000000"),
    (Date(-1.5), "0801BFF8000000000000"),
    ([], "090101"),
    ([1, 2, 3], "090701040104020403"),
    (ECMAArray([1], {"a": 2}), "090303610402010401"),
    (ECMAArray([], {"5": 2}), "09010335040201"),
    ({}, "0A0B0101"),
    ({"first": "Hello"}, "0A0B010B6669727374060B48656C6C6F01"),
    (
        TypedObject("MyClassAlias", {"firstProp": "Hello"}),
        "0A13194D79436C617373416C69617313666972737450726F70060B48656C6C6F",
    ),
    (bytearray(b"\0\x0bhello world"), "0C1B000B68656C6C6F20776F726C64"),
    (IntVector([1, -1]), "0D050000000001FFFFFFFF"),
    (UIntVector([100, 200, 300]), "0E070000000064000000C80000012C"),
    (NumberVector([0.5], True), "0F03013FE0000000000000"),
    (ObjectVector(["a", None]), "10050001060361" + "01"),
    (ObjectVector([], "C", True), "1001010343"),
    (Dictionary([("a", 1), (2, None)], True), "110501060361040104" + "0201"),
]
VECTORS0: list[tuple[Any, str]] = [
    (1.0, "003FF0000000000000"),
    (-0.0, "008000000000000000"),
    (False, "0100"),
    (True, "0101"),
    ("hi", "0200026869"),
    ({}, "03000009"),
    ({"first": "Hello"}, "0300056669727374020005" + "48656C6C6F" + "000009"),
    (None, "05"),
    (Undefined, "06"),
    (ECMAArray([1.0], {"a": None}), "0800000001000130003FF0000000000000" + "00016105000009"),
    ([1.0, 2.0, 3.0], "0A00000003003FF0000000000000004000000000000000004008000000000000"),
    ([Undefined], "0A0000000106"),
    (Date(1.0), "0B3FF00000000000000000"),
    (XML("<a/>"), "0F000000043C612F3E"),
    (TypedObject("A", {"b": None}), "100001410001620500" + "0009"),
    (bytearray(b"a"), "110C0361"),
    (UIntVector([1]), "110E030000000001"),
    (Dictionary([("a", 1)]), "11110300060361" + "0401"),
    (ObjectVector(["a"]), "11100300010603" + "61"),
]


class Plain:
    """
    A class with annotations.
    """

    name: str
    count: int
    shared: ClassVar[int] = 3
    sharedText: "ClassVar[int]" = 4
    _private: int = 5


class Derived(Plain):
    """
    A class with one more annotation than its base.
    """

    extra: Any


@dataclass
class Point:
    """
    A dataclass.
    """

    x: float = 0
    y: float = 0
    children: list[Any] = field(default_factory=list)
    _secret: int = 0


class External:
    """
    A class that reads and writes its instances itself.
    """

    def __init__(self) -> None:
        self.number = 0
        self.value: Any = None

    def writeExternal(self, output: Any) -> None:
        output.writeShort(self.number)
        output.writeObject(self.value)

    def readExternal(self, input: Any) -> None:
        self.number = input.readShort()
        self.value = input.readObject()


def registryOf(**classes: type) -> ClassRegistry:
    """
    Return a registry of classes, by alias.
    """
    registry = ClassRegistry()
    for alias, cls in classes.items():
        registry.register(alias, cls)
    return registry


def read(text: str, **settings: Any) -> Any:
    """
    Decode hexadecimal digits that are exactly one value.
    """
    data = bytes.fromhex(text)
    value, end = decode(data, **settings)
    assert end == len(data), (end, len(data))
    return value


def written(value: Any, **settings: Any) -> str:
    """
    Return the encoded value as hexadecimal digits.
    """
    return encode(value, **settings).hex().upper()


class VectorTests(SynchronousTestCase):
    """
    The bytes of each type of value.
    """

    def test_bothWays(self) -> None:
        """
        Each value has the expected bytes, and the bytes have the value and type.
        """
        for encoding, vectors in [(AMF3, VECTORS3), (AMF0, VECTORS0)]:
            for value, text in vectors:
                self.assertEqual(written(value, objectEncoding=encoding), text, repr(value))
                back = read(text, objectEncoding=encoding)
                self.assertEqual(back, value)
                if type(value) is not int:
                    self.assertIs(type(back), type(value))
                for name in ("fixed", "weak", "typeName"):
                    self.assertEqual(getattr(back, name, None), getattr(value, name, None))

    def test_prefixes(self) -> None:
        """
        Every proper prefix of a value raises C{EOFError}.
        """
        for encoding, vectors in [(AMF3, VECTORS3), (AMF0, VECTORS0)]:
            for _, text in vectors:
                data = bytes.fromhex(text)
                for length in range(len(data)):
                    self.assertRaises(EOFError, decode, data[:length], objectEncoding=encoding)

    def test_position(self) -> None:
        """
        A value is read at any position of any bytes-like object. Bytes after it
        are ignored.
        """
        data = bytes.fromhex("FF 0A0B0101 03000009")
        kinds: list[Callable[[bytes], Any]] = [bytes, bytearray, memoryview]
        for kind in kinds:
            self.assertEqual(decode(kind(data), 1), ({}, 5))
            self.assertEqual(decode(kind(data), 5, objectEncoding=AMF0), ({}, 9))
            self.assertRaises(EOFError, decode, kind(data), 9)
            self.assertRaises(EOFError, decode, kind(data), 99)
        self.assertRaises(ValueError, decode, data, -1)
        self.assertRaises(ValueError, decode, data, objectEncoding=1)
        self.assertRaises(ValueError, encode, data, objectEncoding=10)

    def test_subclassOfBytes(self) -> None:
        """
        A C{bytearray} subclass that allows any index is read up to its end, and
        can grow afterwards.
        """

        class Endless(bytearray):
            def __getitem__(self, index: Any) -> Any:
                return super().__getitem__(index) if index < len(self) else None

        data = Endless(b"\x0a\x0b\x01\x03a\x06")
        self.assertRaises(EOFError, decode, data)
        data += b"\x03b\x01"
        self.assertEqual(decode(data), ({"a": "b"}, 9))
        data.clear()

    def test_onlyRead(self) -> None:
        """
        Other forms that a peer may use are read too.
        """
        for text, value in [
            ("0480808001", 1),
            ("068001", ""),
            ("053FF0000000000000", 1.0),
            ("0D0101", IntVector()),
        ]:
            self.assertEqual(read(text), value)
        # Sealed and dynamic members of an object without a class.
        self.assertEqual(read("0A1B0103610401" + "036204" + "0201"), {"a": 1, "b": 2})
        self.assertEqual(read("0D", objectEncoding=AMF0), Undefined)
        self.assertEqual(read("0C000000026869", objectEncoding=AMF0), "hi")
        self.assertEqual(read("0B3FF000000000000000FF", objectEncoding=AMF0), Date(1.0))
        self.assertEqual(
            read("030000050001610500" + "0009", objectEncoding=AMF0), {"": None, "a": None}
        )
        self.assertEqual(read("08FFFFFFFF000009", objectEncoding=AMF0), ECMAArray())
        self.assertEqual(read("0107", objectEncoding=AMF0), True)
        # A name that is an index is an element of the array.
        self.assertEqual(read("09010331" + "04010330" + "040001"), ECMAArray([0, 1]))
        self.assertEqual(
            read("0800000000" + "00013105" + "00013006" + "000009", objectEncoding=AMF0),
            [Undefined, None],
        )

    def test_onlyWritten(self) -> None:
        """
        Values that are read back in another form are written.
        """
        zone = dt.timezone(dt.timedelta(hours=2))
        for value, text in [
            (1.0, "0401"),
            (-1.0, "04FFFFFFFF"),
            (2**28, "0541B0000000000000"),
            (math.nan, "057FF8000000000000"),
            (math.inf, "057FF0000000000000"),
            (b"a", "0C0361"),
            (memoryview(b"abcd")[::2], "0C056163"),
            ((1, 2), "09050104010402"),
            ({1: 2}, "0A0B0103310402" + "01"),
            (MappingProxyType({"a": 1}), "0A0B0103610401" + "01"),
            (dt.datetime(1970, 1, 1, 2, 0, 0, 500000, zone), "0801407F400000000000"),
            (len, "00"),
            ([len, len], "090101"),
            ([1, len, 3], "09030332040301" + "0401"),
            ({"a": len, "b": partial(len), "c": 1}, "0A0B0103630401" + "01"),
            (TypedObject("A", {"b": len}), "0A13034103" + "6200"),
            (ObjectVector([Undefined, len]), "1005000101" + "00"),
            (Dictionary([("a", len)]), "11030006036100"),
            (ECMAArray([0], {"1": 1, "3": 3}), "09050333040301" + "04000401"),
            ("\ud800", "0607EFBFBD"),
        ]:
            self.assertEqual(written(value), text, repr(value))
        for value, text in [
            (7, "00401C000000000000"),
            (XMLDocument("a"), "0F0000000161"),
            ((None,), "0A0000000105"),
            ([len], "0A0000000106"),
            ({"a": len}, "03000009"),
            (b"a", "110C0361"),
            (dt.datetime(1970, 1, 1, 2, 0, 0, 1000, zone), "0B3FF00000000000000000"),
            (MappingProxyType({}), "03000009"),
            ("a" * 65536, "0C00010000" + "61" * 65536),
        ]:
            self.assertEqual(written(value, objectEncoding=AMF0), text, repr(value)[:99])

    def test_subclasses(self) -> None:
        """
        An instance of a subclass of a supported type is written like one of the type.
        """

        class Text(str):
            __slots__ = ()

        class Number(int):
            pass

        class Members(dict[str, Any]):
            pass

        class Row(IntVector):
            pass

        for encoding in (AMF0, AMF3):
            for value, plain in [
                (Text("a"), "a"),
                (Number(300), 300),
                (Members(a=Text("b")), {"a": "b"}),
                (Row([1]), IntVector([1])),
            ]:
                self.assertEqual(
                    encode(value, objectEncoding=encoding), encode(plain, objectEncoding=encoding)
                )

    def test_brokenText(self) -> None:
        """
        Invalid UTF-8 is decoded as in Flash.
        """
        self.assertEqual(read("0605FFC3"), "\u00ff\u00c3")
        self.assertEqual(read("020001FF", objectEncoding=AMF0), "\u00ff")
        self.assertEqual(decode(memoryview(b"\x06\x03\xff"))[0], "\u00ff")

    def test_notANumber(self) -> None:
        """
        The milliseconds of an invalid date are NaN.
        """
        self.assertTrue(math.isnan(read("08017FF8000000000000").milliseconds))
        self.assertEqual(written(Date(math.nan)), "08017FF8000000000000")

    def test_manyBrokenTexts(self) -> None:
        """
        The texts of a value share the limit of invalid places. Above it, their
        bytes become U+FFFD; valid texts are still read.
        """
        once = MAX_BROKEN // 100
        for encoding, head, text in (
            (AMF3, b"\x09\x81\x4d\x01", b"\x06\x81\x49"),
            (AMF0, b"\x0a" + struct.pack(">I", once + 2), b"\x02" + struct.pack(">H", 100)),
        ):
            data = head + (text + b"\xff" * 100) * (once + 1) + text + b"a" * 100
            value, _ = decode(data, objectEncoding=encoding)
            self.assertEqual(value[:once], ["\xff" * 100] * once)
            self.assertEqual(value[once:], ["\ufffd" * 100, "a" * 100])


class ReferenceTests(SynchronousTestCase):
    """
    Repeated objects stay the same object.
    """

    def test_strings(self) -> None:
        """
        Strings and names share their reference numbers; the empty string has none.
        """
        value = ["", "a", "b", "a", {"b": "a"}]
        text = "090B01" + "0601" + "060361" + "060362" + "0600" + "0A0B01020600" + "01"
        self.assertEqual(written(value), text)
        self.assertEqual(read(text), value)

    def test_manyStrings(self) -> None:
        """
        References of more than one byte are written and read.
        """
        names = [f"name {n}" for n in range(300)]
        value = [names, list(reversed(names)), dict.fromkeys(names, 1), dict.fromkeys(names, 2)]
        self.assertEqual(decode(encode(value))[0], value)

    def test_traits(self) -> None:
        """
        A class is described once.
        """
        for value, text in [
            ([{}, {}], "0905010A0B01010A0101"),
            (
                [TypedObject("A", {"b": 1}), TypedObject("A", {"b": 2}), TypedObject("A")],
                "0907010A1303410362" + "0401" + "0A010402" + "0A0300",
            ),
        ]:
            self.assertEqual(written(value), text)
            self.assertEqual(read(text), value)

    def test_circular(self) -> None:
        """
        An object can contain itself.
        """
        circle: dict[str, Any] = {}
        circle["self"] = circle
        for encoding, text in [
            (AMF3, "0A0B010973656C660A0001"),
            (AMF0, "0300047365" + "6C66070000000009"),
        ]:
            self.assertEqual(written(circle, objectEncoding=encoding), text)
            back = read(text, objectEncoding=encoding)
            self.assertIs(back["self"], back)

    def test_everyContainerCanContainItself(self) -> None:
        """
        Each container gets its number before its contents.
        """
        array: list[Any] = []
        array.append(array)
        mixed = ECMAArray()
        mixed["a"] = mixed
        mixed.dense.append(mixed)
        vector = ObjectVector()
        vector.append(vector)
        typed = TypedObject("A")
        typed["a"] = typed
        dictionary = Dictionary()
        dictionary[dictionary] = dictionary
        for encoding in (AMF3, AMF0):
            for value in (array, mixed, vector, typed, dictionary):
                back = decode(encode(value, objectEncoding=encoding), objectEncoding=encoding)[0]
                if isinstance(back, Dictionary):
                    self.assertEqual([*back], [back])
                    self.assertIs(back[back], back)
                    continue
                for item in [*back.values()] if isinstance(back, dict) else [*back]:
                    self.assertIs(item, back)
                for item in getattr(back, "dense", []):
                    self.assertIs(item, back)

    def test_everyKind(self) -> None:
        """
        Every repeated object is one object for the reader. A repeated plain value
        of Python is not, but takes a number.
        """
        shared = [
            bytearray(b"a"), IntVector([1]), UIntVector([1]), NumberVector([1.5]),
            ObjectVector([1]), Dictionary(), Date(1.0), XML("a"), XMLDocument("a"), [1],
            ECMAArray([], {"a": 1}), {"a": 1}, TypedObject("A"),
        ]  # fmt: skip
        for value in shared:
            first, second = decode(encode([value, value]))[0]
            self.assertEqual(first, value)
            self.assertIs(first, second)
        moment = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        last: list[Any] = []
        for encoding in (AMF3, AMF0):
            for plain in (b"a", memoryview(b"a"), (), moment):
                whole = [plain, plain, last, last]
                data = encode(whole, objectEncoding=encoding)
                first, second, third, fourth = decode(data, objectEncoding=encoding)[0]
                self.assertEqual(first, second)
                self.assertIsNot(first, second)
                self.assertEqual(third, [])
                self.assertIs(third, fourth)

    def test_amf0(self) -> None:
        """
        AMF0 counts its own objects; all AMF3 values share one table.
        """
        shared = bytearray(b"a")
        row: list[Any] = []
        value = [row, shared, shared, row]
        text = "0A00000004" + "0A00000000" + "110C0361" + "110C00" + "070001"
        self.assertEqual(written(value, objectEncoding=AMF0), text)
        back = read(text, objectEncoding=AMF0)
        self.assertEqual(back, value)
        self.assertIs(back[1], back[2])
        self.assertIs(back[0], back[3])

    def test_amf0ManyObjects(self) -> None:
        """
        AMF0 has reference numbers of 16 bits: a repeated object above them is
        written again.
        """
        rows: list[Any] = [[] for _ in range(65536)]
        data = encode([*rows, rows[-2], rows[-1]], objectEncoding=AMF0)
        self.assertTrue(data.endswith(bytes.fromhex("07FFFF" + "0A00000000")))

    def test_noSuch(self) -> None:
        """
        A reference to an unknown object is refused.
        """
        for text in [
            "0600", "0A00", "0A01", "0A0B0100", "0900", "0800", "0700", "0B00", "0C00", "0D00",
            "0E00", "0F00", "1000", "1100", "0A130000", "09010200", "0903010600", "0A0B0103610602",
        ]:  # fmt: skip
            self.assertRaises(AMFError, read, text)
        self.assertRaises(AMFError, read, "070000", objectEncoding=AMF0)

    def test_temporaryObjects(self) -> None:
        """
        An object that exists only while it is written is never mistaken for another.
        """

        class Fresh:
            @property
            def value(self) -> list[Any]:
                return [object.__repr__(self)]

        registry = ClassRegistry()
        registry.register("F", Fresh, ["value"])
        for encoding in (AMF0, AMF3):
            data = encode([Fresh() for _ in range(50)], registry=registry, objectEncoding=encoding)
            back = decode(data, objectEncoding=encoding)[0]
            self.assertEqual(len({id(item["value"]) for item in back}), 50)


class SafeTests(SynchronousTestCase):
    """
    C{references=False}: values that OpenFL reads correctly.
    """

    def test_noReferences(self) -> None:
        """
        Objects and traits are written whole; strings are not.
        """
        row = {"a": "b"}
        date = Date(0.0)
        self.assertEqual(
            written([row, row, date, date], references=False),
            "090901" + "0A0B0103610603" + "6201" + "0A0B0100060201" + "08010000000000000000" * 2,
        )
        typed = TypedObject("A", {"b": 1})
        self.assertEqual(
            written([typed, typed], references=False),
            "090501" + "0A13034103620401" + "0A1300020401",
        )
        shared: list[Any] = []
        self.assertEqual(
            written([shared, shared], references=False, objectEncoding=AMF0),
            "0A00000002" + "0A00000000" * 2,
        )

    def test_stringsAfterXML(self) -> None:
        """
        After XML, new strings are not referred to, since OpenFL gives XML a
        number among the strings.
        """
        value = ["a", XML("x"), "a", "b", "b"]
        self.assertEqual(
            written(value, references=False),
            "090B01" + "060361" + "0B0378" + "0600" + "060362" + "060362",
        )
        self.assertEqual(decode(encode(value, references=False))[0], value)

    def test_circular(self) -> None:
        """
        An object that contains itself is refused; a repeated object is not.
        """
        array: list[Any] = []
        array.append(array)
        vector = ObjectVector()
        vector.append({"a": (vector,)})
        for value in (array, vector, ECMAArray([array]), Dictionary([(array, 1)])):
            for encoding in (AMF0, AMF3):
                self.assertRaises(
                    AMFError, encode, value, references=False, objectEncoding=encoding
                )
        encode([[], [array[:0]] * 3], references=False)

    def test_doubling(self) -> None:
        """
        An exponential number of repeated objects exceeds the limits.
        """
        value: list[Any] = []
        for _ in range(60):
            value = [value, value]
        encode(value)
        few = AMFLimits(items=50_000)
        self.assertRaises(AMFError, encode, value, references=False, limits=few)


class RegistryTests(SynchronousTestCase):
    """
    Registered classes.
    """

    def test_bothWays(self) -> None:
        """
        An instance is written and read in both formats. Its members share
        references with other values.
        """
        registry = registryOf(Point=Point)
        point = Point(1.5, 2.5)
        point.children = [Point(3.5), point]
        for encoding in (AMF0, AMF3):
            data = encode([point, point], registry=registry, objectEncoding=encoding)
            first, second = decode(data, registry=registry, objectEncoding=encoding)[0]
            self.assertIs(first, second)
            self.assertEqual((first.x, first.y, first.children[0]), (1.5, 2.5, Point(3.5)))
            self.assertIs(first.children[1], first)
            # A reader without the class.
            typed = decode(data, objectEncoding=encoding)[0][0]
            self.assertEqual((typed.alias, [*typed]), ("Point", ["x", "y", "children"]))

    def test_bytes(self) -> None:
        """
        Members are sealed.
        """
        registry = registryOf(P=Plain)
        plain = Plain()
        plain.name, plain.count = "n", 1
        self.assertEqual(
            written(plain, registry=registry),
            "0A2303500" + "96E616D650B636F756E7406036E0401",
        )
        self.assertEqual(
            written(plain, registry=registry, objectEncoding=AMF0),
            "1000015000046E616D650200016E0005636F756E74003FF0000000000000000009",
        )

    def test_members(self) -> None:
        """
        The members are the fields of a dataclass, or the annotations of a class
        and its bases. Private names and class variables are omitted.
        """
        registry = registryOf(P=Plain, D=Derived, Point=Point)
        for alias, members in [
            ("P", ("name", "count")),
            ("D", ("name", "count", "extra")),
            ("Point", ("x", "y", "children")),
        ]:
            entry = registry.forAlias(alias)
            assert entry is not None
            self.assertEqual(entry.members, members)
            self.assertIs(registry.forClass(entry.cls), entry)

    def test_undeclared(self) -> None:
        """
        Only declared members are set, sealed or dynamic.
        """
        registry = registryOf(Point=Point)
        hostile = {"x": 1, "__class__": 2, "_secret": 3, "__dict__": {}, "other": 4}
        for sealed in (True, False):
            for encoding in (AMF0, AMF3):
                data = encode(TypedObject("Point", hostile), objectEncoding=encoding)
                if not sealed and encoding == AMF3:
                    data = bytes.fromhex("0A0B0B") + b"Point" + encode(hostile)[3:]
                back = decode(data, registry=registry, objectEncoding=encoding)[0]
                self.assertIs(type(back), Point)
                self.assertEqual(vars(back), {"x": 1, "y": 0, "children": [], "_secret": 0})

    def test_refusedRegistrations(self) -> None:
        """
        An invalid or contradictory registration is refused; a repeated one is not.
        """
        registry = registryOf(Point=Point)
        registry.register("Point", Point, ["x"])
        self.assertEqual(encode(Point(), registry=registry)[:1], b"\x0a")
        refused: list[tuple[str, type, Sequence[str] | None]] = [
            ("", Plain, None),
            ("Point", Plain, None),
            ("Other", Point, None),
            ("Nothing", type("Nothing", (), {}), None),
            ("Plain", Plain, ["__class__"]),
            ("Plain", Plain, [""]),
        ]
        for alias, cls, members in refused:
            self.assertRaises(ValueError, registry.register, alias, cls, members)

    def test_notRegistered(self) -> None:
        """
        An instance of another class or of a subclass is refused. The error names
        the class.
        """

        class Special(Point):
            pass

        registry = registryOf(Point=Point)
        for encoding in (AMF0, AMF3):
            for value in (Special(), Plain(), External(), object(), 1j, {1, 2}):
                error = self.assertRaises(
                    AMFError, encode, [value], registry=registry, objectEncoding=encoding
                )
                self.assertIn(type(value).__qualname__, str(error))

    def test_missingMember(self) -> None:
        """
        An instance without a declared member is refused.
        """
        registry = registryOf(P=Plain)
        for encoding in (AMF0, AMF3):
            error = self.assertRaises(
                AMFError, encode, Plain(), registry=registry, objectEncoding=encoding
            )
            self.assertIsInstance(error.__cause__, AttributeError)

    def test_failingClass(self) -> None:
        """
        The exception of a constructor or setter is the cause of the error, also
        if it resembles one for missing bytes.
        """

        class Failing:
            a: int
            broken: Exception = IndexError("mine")

            def __init__(self) -> None:
                if isinstance(self.broken, struct.error | EOFError | AMFError):
                    raise self.broken

            def __setattr__(self, name: str, value: Any) -> None:
                raise self.broken

        registry = ClassRegistry()
        registry.register("F", Failing, ["a"])
        for encoding in (AMF0, AMF3):
            data = encode(TypedObject("F", {"a": 1}), objectEncoding=encoding)
            for broken in (IndexError(), struct.error(), ValueError(), RecursionError()):
                Failing.broken = broken
                error = self.assertRaises(
                    AMFError, decode, data, registry=registry, objectEncoding=encoding
                )
                self.assertIs(error.__cause__, broken)
            for passed in (EOFError("mine"), AMFError("mine")):
                Failing.broken = passed
                error = self.assertRaises(
                    type(passed), decode, data, registry=registry, objectEncoding=encoding
                )
                self.assertIs(error, passed)


class ExternalTests(SynchronousTestCase):
    """
    Classes that read and write their instances themselves.
    """

    def setUp(self) -> None:
        self.registry = registryOf(E=External)

    def test_bytes(self) -> None:
        """
        The class is followed by the bytes of the object. They share the
        references of the enclosing value.
        """
        external = External()
        external.number = 258
        external.value = ["a", external]
        text = "0A0703450102" + "09050106036" + "1" + "0A00"
        self.assertEqual(written(external, registry=self.registry), text)
        for prefix, encoding in [("", AMF3), ("11", AMF0)]:
            back = read(prefix + text, registry=self.registry, objectEncoding=encoding)
            self.assertEqual((back.number, back.value[0]), (258, "a"))
            self.assertIs(back.value[1], back)
            data = bytes.fromhex(prefix + text)
            self.assertEqual(encode(back, registry=self.registry, objectEncoding=encoding), data)
            for length in range(len(data)):
                self.assertRaises(
                    EOFError,
                    decode,
                    data[:length],
                    registry=self.registry,
                    objectEncoding=encoding,
                )

    def test_many(self) -> None:
        """
        The class is described once, unless references are not allowed.
        """
        values = [External(), External()]
        self.assertEqual(
            written(values, registry=self.registry), "090501" + "0A070345000001" + "0A01000001"
        )
        safe = encode(values, registry=self.registry, references=False)
        self.assertEqual(safe.hex().upper(), "090501" + "0A070345000001" + "0A0700000001")
        for data in (encode(values, registry=self.registry), safe):
            self.assertEqual(len(decode(data, registry=self.registry)[0]), 2)

    def test_interfaces(self) -> None:
        """
        The objects get the methods of C{IDataInput} and C{IDataOutput}. The
        default byte order is big-endian.
        """
        seen: list[Any] = []

        class Curious(External):
            def writeExternal(self, output: Any) -> None:
                seen.append((output.endian, output.objectEncoding))
                output.endian = "littleEndian"
                output.writeInt(1)
                output.writeUTF("a")

            def readExternal(self, input: Any) -> None:
                seen.append((input.endian, input.objectEncoding, input.bytesAvailable))
                input.endian = "littleEndian"
                seen.append((input.readInt(), input.readUTF()))

        registry = registryOf(C=Curious)
        data = encode([Curious(), 5], registry=registry)
        back = decode(data + b"\0\0", registry=registry)
        self.assertEqual((back[0][1], back[1]), (5, len(data)))
        self.assertEqual(seen, [("bigEndian", 3), ("bigEndian", 3, 11), (1, "a")])

    def test_refused(self) -> None:
        """
        An externalizable object is refused if its class is not registered, or
        cannot read itself.
        """
        self.assertRaises(AMFError, read, "0A070345000001")
        self.assertRaises(AMFError, read, "0A0701")
        self.assertRaises(AMFError, read, "0A070345", registry=registryOf(E=Point))

    def test_plainObject(self) -> None:
        """
        Members that a peer sends for such a class are ignored.
        """
        back = read("0A1303450D" + "6E756D6265720405", registry=self.registry)
        self.assertEqual(back.number, 0)

    def test_failing(self) -> None:
        """
        Exceptions are wrapped, except C{EOFError} and C{AMFError}.
        """

        class Failing(External):
            broken: Exception

            def writeExternal(self, output: Any) -> None:
                raise self.broken

            def readExternal(self, input: Any) -> None:
                raise self.broken

        registry = registryOf(F=Failing)
        for broken in (IndexError(), KeyError()):
            Failing.broken = broken
            for function in (partial(encode, Failing()), partial(decode, b"\x0a\x07\x03F")):
                error = self.assertRaises(AMFError, function, registry=registry)
                self.assertIs(error.__cause__, broken)
        for passed in (EOFError(), AMFError()):
            Failing.broken = passed
            self.assertRaises(type(passed), decode, b"\x0a\x07\x03F", registry=registry)

    def test_oddReads(self) -> None:
        """
        A negative length is refused, and so is a value that exceeds a limit.
        """

        class Odd(External):
            def readExternal(self, input: Any) -> None:
                input.readUTFBytes(-1)

        self.assertRaises(EOFError, decode, b"\x0a\x07\x03O", registry=registryOf(O=Odd))
        data = encode(External(), registry=self.registry)
        limits = AMFLimits(items=1)
        self.assertRaises(AMFError, decode, data, registry=self.registry, limits=limits)
        self.assertRaises(AMFError, encode, External(), registry=self.registry, limits=limits)
        self.assertRaises(
            AMFError, encode, External(), registry=self.registry, limits=AMFLimits(total=5)
        )


class RefusedTests(SynchronousTestCase):
    """
    Invalid data and values.
    """

    def test_markers(self) -> None:
        """
        Unknown markers, and markers without a value, are refused.
        """
        for marker in range(0x12, 0x100):
            data = bytes((marker,))
            self.assertRaises(AMFError, decode, data)
            self.assertRaises(AMFError, decode, data, objectEncoding=AMF0)
            self.assertRaises(AMFError, decode, b"\x0a\x0b\x01\x03a" + data)
        for marker in (0x04, 0x09, 0x0E):
            self.assertRaises(AMFError, decode, bytes((marker,)), objectEncoding=AMF0)

    def test_values(self) -> None:
        """
        Values without a form in AMF are refused.
        """
        for encoding in (AMF0, AMF3):
            for value in (
                10**400, {"": 1}, {1.5: 1}, {None: 1}, {True: 1}, TypedObject(""), Date(10**400),
                TypedObject("A", {1.5: 1}),  # type: ignore[dict-item]
                Date("1"),  # type: ignore[arg-type]
                dt.datetime(2000, 1, 1),  # noqa: DTZ001
                dt.date(2000, 1, 1), IntVector([2**31]), UIntVector([-1]),
                IntVector([1.5]),  # type: ignore[list-item]
                NumberVector([10**400]), ECMAArray([], {"": 1}),
            ):  # fmt: skip
                self.assertRaises(AMFError, encode, value, objectEncoding=encoding)
        self.assertRaises(AMFError, encode, {"a" * 65536: 1}, objectEncoding=AMF0)
        self.assertRaises(AMFError, encode, TypedObject("a" * 65536), objectEncoding=AMF0)

    def test_tooLong(self) -> None:
        """
        A length in AMF3 has at most 29 bits.
        """
        limits = AMFLimits(text=2**40, total=2**40)
        self.assertRaises(AMFError, encode, bytes(2**28), limits=limits)
        self.assertEqual(_writeU29(2**29 - 1).hex(), "ffffffff")
        self.assertEqual(_readU29(b"\xff" * 4, 0), (2**29 - 1, 4))


class ValueTests(SynchronousTestCase):
    """
    The types that Python does not have.
    """

    def test_undefined(self) -> None:
        """
        Only one instance exists, and it is false.
        """
        self.assertFalse(Undefined)
        self.assertEqual(repr(Undefined), "Undefined")
        self.assertIs(UndefinedType(), Undefined)
        self.assertIs(copy.deepcopy(Undefined), Undefined)
        self.assertIs(pickle.loads(pickle.dumps(Undefined)), Undefined)

    def test_date(self) -> None:
        """
        A date is converted to a datetime and back, if datetime supports it.
        """
        zone = dt.timezone(dt.timedelta(hours=-5))
        moment = dt.datetime(2026, 11, 22, 10, 30, 0, 250000, zone)
        date = Date.fromDatetime(moment)
        self.assertEqual(date.milliseconds, 1795361400250.0)
        self.assertEqual(date.toDatetime(), moment)
        self.assertEqual(date.toDatetime().tzinfo, dt.UTC)
        self.assertEqual(Date(-1.0).toDatetime().year, 1969)
        for milliseconds in (math.nan, math.inf, -1e300, 1e17):
            self.assertRaises(ValueError, Date(milliseconds).toDatetime)
        self.assertRaises(ValueError, Date.fromDatetime, dt.datetime(2000, 1, 1))  # noqa: DTZ001

    def test_comparison(self) -> None:
        """
        Arrays with names and objects of classes are compared with all their parts.
        """
        self.assertEqual(ECMAArray([1], {"a": 2}), ECMAArray([1], {"a": 2}))
        self.assertNotEqual(ECMAArray([1], {"a": 2}), ECMAArray([2], {"a": 2}))
        self.assertNotEqual(ECMAArray([1], {"a": 2}), {"a": 2})
        self.assertEqual(TypedObject("A", {"a": 2}), TypedObject("A", {"a": 2}))
        self.assertNotEqual(TypedObject("A", {"a": 2}), TypedObject("B", {"a": 2}))
        self.assertEqual(repr(ECMAArray([1], {"a": 2})), "ECMAArray([1], {'a': 2})")
        self.assertEqual(repr(TypedObject("A", {"a": 2})), "TypedObject('A', {'a': 2})")

    def test_comparisonWithOthers(self) -> None:
        """
        An array with names and an object of a class differ from any other value
        than a dictionary, and from each other, in both orders.
        """
        array, typed = ECMAArray(), TypedObject("A")
        others = [5, None, "", [1], [], (), Undefined, Dictionary(), object()]
        for value in (array, typed):
            for other in others:
                self.assertIs(value == other, False, repr(other))
                self.assertIs(other == value, False, repr(other))
                self.assertIs(value != other, True, repr(other))
                self.assertIs(other != value, True, repr(other))
        for one, other in [(array, typed), (typed, array), (typed, {}), ({}, typed)]:
            self.assertIs(one == other, False)
            self.assertIs(one != other, True)
        self.assertEqual(array, {})
        self.assertEqual({}, array)
        self.assertNotEqual({}, ECMAArray([1]))

    def test_noDate(self) -> None:
        """
        A date without a time is refused with the alternative, in both formats; a
        subclass of datetime is written.
        """
        for encoding in (AMF0, AMF3):
            for value in (dt.date(2026, 11, 29), [dt.date(2026, 11, 29)]):
                error = self.assertRaises(AMFError, encode, value, objectEncoding=encoding)
                self.assertIn("datetime(2026, 11, 29, tzinfo=UTC)", str(error))
            error = self.assertRaises(AMFError, encode, dt.timedelta(), objectEncoding=encoding)
            self.assertIn("datetime.timedelta is not registered", str(error))
            naive = dt.datetime(2026, 11, 29)  # noqa: DTZ001
            error = self.assertRaises(AMFError, encode, naive, objectEncoding=encoding)
            self.assertIn("tzinfo=UTC", str(error))

    def test_copies(self) -> None:
        """
        Each value can be copied, deep-copied and pickled, with its flags. A copy
        has separate elements.
        """
        row = [1]
        values: list[Any] = [
            ECMAArray([1, row], {"a": row}), TypedObject("A", {"a": row}),
            IntVector([1], True), UIntVector([1]), NumberVector([0.5], True),
            ObjectVector([None, "a"], "C", True), Date(5.0), XML("<a/>"), XMLDocument("<b/>"),
            Dictionary([("a", 1), (2, row)], True),
        ]  # fmt: skip
        for value in values:
            for made in (
                copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)),
            ):  # fmt: skip
                self.assertEqual(made, value)
                self.assertIs(type(made), type(value))
                for name in ("fixed", "weak", "typeName", "alias", "dense"):
                    self.assertEqual(getattr(made, name, None), getattr(value, name, None))
        copied = copy.copy(values[0])
        copied.dense.append(2)
        copied["b"] = 2
        self.assertEqual(values[0], ECMAArray([1, row], {"a": row}))
        self.assertIs(copied["a"], row)
        copied = copy.copy(values[-1])
        copied["b"] = 2
        self.assertEqual(len(values[-1]), 2)
        error = ExternalizableError("A" * 100)
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((str(again), again.alias), (str(error), error.alias))

    def test_copiedKeys(self) -> None:
        """
        A deep copy and a pickle of a dictionary find their own keys by identity,
        also in a dictionary that contains itself.
        """
        row: list[Any] = [1]
        value = Dictionary([(row, "row")])
        value[Date(5.0)] = value
        for made in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
            key, date = made
            self.assertEqual(made[key], "row")
            self.assertIs(made[date], made)
            key.append(2)
            self.assertEqual(made[key], "row")
            made[key] = "new"
            self.assertEqual(len(made), 2)

    def test_keysWithArrays(self) -> None:
        """
        A dictionary finds a list that contains an array with names among lists
        of other values.
        """
        dictionary = Dictionary([([None], "null"), ([5], "number"), ([ECMAArray()], "array")])
        self.assertEqual(dictionary[[ECMAArray()]], "array")
        self.assertNotIn([TypedObject("A")], dictionary)

    def test_dictionary(self) -> None:
        """
        Keys are found by identity or equality, and need no hash.
        """
        row: list[Any] = [1]
        other: list[Any] = [1]
        dictionary = Dictionary([(row, "row"), ("a", 1), (1, 2), (True, 3), (Date(5.0), 4)])
        self.assertEqual(dictionary[row], "row")
        self.assertEqual(dictionary[[1]], "row")
        self.assertEqual(dictionary[1.0], 2)
        self.assertEqual(dictionary[True], 3)
        self.assertEqual(dictionary[Date(5.0)], 4)
        self.assertNotIn([2], dictionary)
        self.assertNotIn("b", dictionary)
        dictionary[other] = "new"
        self.assertEqual((len(dictionary), dictionary[row]), (5, "new"))
        self.assertIs(next(iter(dictionary)), row)
        del dictionary[other]
        self.assertEqual([*dictionary], ["a", 1, True, Date(5.0)])
        self.assertRaises(KeyError, dictionary.__delitem__, row)
        self.assertEqual(repr(Dictionary([("a", 1)])), "Dictionary([('a', 1)], weak=False)")
        self.assertNotEqual(Dictionary(), Dictionary(weak=True))
        self.assertNotEqual(Dictionary(), {})
        self.assertRaises(TypeError, hash, dictionary)

    def test_manyKeys(self) -> None:
        """
        Keys that require a search do not make reading slow.
        """
        value = Dictionary()
        for _ in range(20_000):
            value.addNew([], 1)
        back = decode(encode(value))[0]
        self.assertEqual(len(back), 20_000)
