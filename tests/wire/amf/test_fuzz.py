"""
Tests for L{openfl_twisted.wire.amf.codec}: limits, properties, and bytes that mean
harm.
"""

import importlib
import tracemalloc
import warnings
from collections.abc import Sequence
from typing import Any
from unittest import SkipTest

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.amf.codec import AMF0, AMF3, decode, encode
from openfl_twisted.wire.amf.values import (
    XML,
    AMFError,
    AMFLimits,
    ClassRegistry,
    Date,
    Dictionary,
    ECMAArray,
    IntVector,
    NumberVector,
    ObjectVector,
    TypedObject,
    UIntVector,
    Undefined,
    XMLDocument,
)

pyamf: Any
with warnings.catch_warnings():
    # It uses what Python and defusedxml have deprecated, some of it with the first object only.
    warnings.simplefilter("ignore")
    try:
        pyamf = importlib.import_module("pyamf")
        pyamf.encode({})
    except ImportError:
        pyamf = None


def refuse(alias: str) -> None:
    """
    Load no class, other than Py3AMF would.
    """
    raise LookupError(alias)


names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)
numbers = st.floats(allow_nan=False) | st.integers(-(2**30), 2**30).map(float)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
plain = st.none() | st.booleans() | numbers | texts
leaves = (
    plain
    | st.just(Undefined)
    | numbers.map(Date)
    | texts.map(XML)
    | st.binary(max_size=20).map(bytearray)
    | st.builds(IntVector, st.lists(st.integers(-(2**31), 2**31 - 1)), st.booleans())
    | st.builds(UIntVector, st.lists(st.integers(0, 2**32 - 1)), st.booleans())
    | st.builds(NumberVector, st.lists(st.floats(allow_nan=False)), st.booleans())
)


def containers(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """
    Everything that holds values.
    """
    members = st.dictionaries(names.filter(lambda name: not name.isdecimal()), items, max_size=4)
    return (
        st.lists(items, max_size=4)
        | members
        | st.builds(ECMAArray, st.lists(items, max_size=3), members.filter(bool))
        | st.builds(TypedObject, names, members)
        | st.builds(
            ObjectVector,
            st.lists(items.filter(lambda item: item is not Undefined), max_size=3),
            texts,
            st.booleans(),
        )
        | st.builds(Dictionary, st.lists(st.tuples(items, items), max_size=3), st.booleans())
    )


values = st.recursive(leaves, containers, max_leaves=20)
plainValues = st.recursive(
    plain,
    lambda items: st.lists(items, max_size=4) | st.dictionaries(names, items, max_size=4),
    max_leaves=20,
)
encodings = st.sampled_from([AMF0, AMF3])


def kindsOf(value: Any) -> Any:
    """
    Say everything of a value that comparing does not: types and flags, in all
    depths. Integers and floats are one.
    """
    kind = float if type(value) is int else type(value)
    flags = tuple(getattr(value, name, None) for name in ("fixed", "weak", "typeName", "alias"))
    inside: list[Any] = []
    if isinstance(value, Dictionary):
        inside = [item for pair in value.pairs() for item in pair]
    elif isinstance(value, dict):
        inside = [*value.items(), *getattr(value, "dense", [])]
    elif isinstance(value, list | tuple):
        inside = [*value]
    elif isinstance(value, float | int):
        return kind, str(float(value))
    return kind, flags, [kindsOf(item) for item in inside]


class Loose:
    """
    Takes anything for its members.
    """

    a: Any
    b: Any


class Greedy:
    """
    Reads itself by reading whatever there is.
    """

    def readExternal(self, input: Any) -> None:
        """
        Read a bit of everything.
        """
        self.text = input.readUTF()
        self.value = [input.readObject() for _ in range(input.readUnsignedByte() & 3)]

    def writeExternal(self, output: Any) -> None:
        """
        Write nothing.
        """


registry = ClassRegistry()
registry.register("A", Loose)
registry.register("B", Greedy)

# Bytes that are AMF more often than random ones are.
pieces = st.sampled_from(
    [bytes((marker,)) for marker in range(0x13)]
    + [bytes.fromhex(text) for text in (
        "0A0B01", "0A1303410361", "0A070342", "0A01", "0A00", "090501", "0901", "110500", "0600",
        "060361", "0361", "01", "0900", "0400", "04FFFFFFFF", "0C03", "0D0300", "10050001",
        "0A00000002", "0800000001", "000161", "000009", "1000014100016100", "070000", "11",
        "3FF0000000000000", "FF", "80",
    )]
)  # fmt: skip
noise = st.lists(pieces | st.binary(max_size=4), max_size=24).map(b"".join)


class PropertyTests(SynchronousTestCase):
    """
    What holds for all values.
    """

    @given(values, encodings, st.booleans())
    def test_roundTrip(self, value: Any, encoding: int, references: bool) -> None:
        """
        A value comes back with all its types and flags, with references and
        without.
        """
        data = encode(value, objectEncoding=encoding, references=references)
        back, end = decode(data, objectEncoding=encoding)
        self.assertEqual(end, len(data))
        self.assertEqual(back, value)
        self.assertEqual(kindsOf(back), kindsOf(value))
        # What has been read is written as the same bytes.
        if references:
            self.assertEqual(encode(back, objectEncoding=encoding), data)

    @given(texts.map(XMLDocument) | st.just(XMLDocument("")))
    def test_xmlDocument(self, value: XMLDocument) -> None:
        """
        So does XML of the older class in AMF3; AMF0 cannot tell it from XML.
        """
        back = decode(encode(value))[0]
        self.assertEqual((back, type(back)), (value, XMLDocument))
        back = decode(encode(value, objectEncoding=AMF0), objectEncoding=AMF0)[0]
        self.assertEqual((back, type(back)), (value, XML))

    @given(values, encodings)
    def test_prefixes(self, value: Any, encoding: int) -> None:
        """
        A value that is cut anywhere is not all there, and nothing else.
        """
        data = encode(value, objectEncoding=encoding)
        for length in range(len(data)):
            self.assertRaises(EOFError, decode, data[:length], objectEncoding=encoding)

    @given(st.text(), encodings)
    def test_anyText(self, text: str, encoding: int) -> None:
        """
        Any text is written, with lone surrogates too, anywhere.
        """
        data = encode([text, {"a" + text: text}], objectEncoding=encoding)
        self.assertEqual(decode(data, objectEncoding=encoding)[1], len(data))

    @given(st.integers())
    def test_integers(self, value: int) -> None:
        """
        Every integer that a double can hold comes back from both versions.
        """
        for encoding in (AMF0, AMF3):
            back = decode(encode(value, objectEncoding=encoding), objectEncoding=encoding)[0]
            self.assertEqual(back, float(value))


class FuzzTests(SynchronousTestCase):
    """
    Whatever the bytes are, there is a value or one of two errors.
    """

    def check(self, data: bytes, encoding: int) -> None:
        """
        Read bytes in all ways, and write what has been read.
        """
        results: list[Any] = []
        for form in (data, bytearray(data), memoryview(data)):
            try:
                value, end = decode(form, objectEncoding=encoding, registry=registry)
            except (AMFError, EOFError) as error:
                results.append(type(error))
                continue
            results.append(end)
            self.assertLessEqual(end, len(data))
            try:
                encode(value, objectEncoding=encoding, registry=registry)
            except AMFError:
                # Not all that can be read can be written, such as an empty name.
                continue
        self.assertEqual(len(set(results)), 1)

    @given(st.binary(max_size=60), encodings)
    def test_random(self, data: bytes, encoding: int) -> None:
        """
        Random bytes.
        """
        self.check(data, encoding)

    @given(noise, encodings)
    def test_likely(self, data: bytes, encoding: int) -> None:
        """
        Bytes that look like AMF.
        """
        self.check(data, encoding)

    @given(values, encodings, st.data())
    def test_mutated(self, value: Any, encoding: int, choices: st.DataObject) -> None:
        """
        Good bytes of which some are changed.
        """
        data = bytearray(encode(value, objectEncoding=encoding))
        for _ in range(choices.draw(st.integers(1, 3))):
            place = choices.draw(st.integers(0, len(data)))
            data[place : place + choices.draw(st.integers(0, 2))] = choices.draw(
                pieces | st.binary(max_size=2)
            )
        self.check(bytes(data), encoding)


class OtherTests(SynchronousTestCase):
    """
    Side by side with Py3AMF, for the values that both have.
    """

    def setUp(self) -> None:
        """
        Let Py3AMF load no classes.
        """
        if pyamf is None:
            raise SkipTest("Py3AMF is not installed")
        loaders = set(pyamf.CLASS_LOADERS)
        pyamf.CLASS_LOADERS.clear()
        pyamf.register_class_loader(refuse)
        self.addCleanup(pyamf.CLASS_LOADERS.update, loaders)
        self.addCleanup(pyamf.CLASS_LOADERS.clear)

    @given(plainValues, encodings)
    def test_bothWays(self, value: Any, encoding: int) -> None:
        """
        Each reads what the other writes.
        """
        theirs = pyamf.encode(value, encoding=encoding).read()
        back, end = decode(theirs, objectEncoding=encoding)
        self.assertEqual((back, end), (value, len(theirs)))
        ours = encode(value, objectEncoding=encoding)
        self.assertEqual([*pyamf.decode(ours, encoding=encoding)], [value])


class LimitTests(SynchronousTestCase):
    """
    What one value may hold.
    """

    def check(self, value: Any, good: AMFLimits, bad: AMFLimits, encodings: Sequence[int]) -> None:
        """
        See that a limit lets a value pass, and one less does not, both ways.
        """
        for encoding in encodings:
            data = encode(value, objectEncoding=encoding, limits=good)
            back = decode(data, objectEncoding=encoding, limits=good)
            self.assertEqual(back, (value, len(data)))
            self.assertRaises(AMFError, decode, data, objectEncoding=encoding, limits=bad)
            self.assertRaises(AMFError, encode, value, objectEncoding=encoding, limits=bad)

    def test_depth(self) -> None:
        """
        Every container is one deeper.
        """
        nested: list[Any] = [
            [[]], {"a": {}}, [{}], ECMAArray([], {"a": []}), TypedObject("A", {"a": []}),
            [TypedObject("A", {})], ObjectVector([[]]), Dictionary([([], 1)]), [ObjectVector()],
            [Dictionary()],
        ]  # fmt: skip
        for value in nested:
            self.check(value, AMFLimits(depth=2), AMFLimits(depth=1), (AMF0, AMF3))
        self.check([[], [], []], AMFLimits(depth=2), AMFLimits(depth=1), (AMF0, AMF3))
        self.check([], AMFLimits(depth=1), AMFLimits(depth=0), (AMF0, AMF3))

    def test_defaultDepth(self) -> None:
        """
        The default depth is far from where Python's stack ends.
        """
        value: Any = []
        for _ in range(255):
            value = [value]
        for encoding in (AMF0, AMF3):
            data = encode(value, objectEncoding=encoding)
            self.assertEqual(decode(data, objectEncoding=encoding)[1], len(data))
            self.assertRaises(AMFError, encode, [value], objectEncoding=encoding)
        self.assertRaises(AMFError, decode, b"\x09\x03\x01" * 257 + b"\0")

    def test_stack(self) -> None:
        """
        A limit that Python's stack does not allow is no other error.
        """
        limits = AMFLimits(depth=10**6)
        value: Any = []
        for _ in range(100_000):
            value = [value]
        for encoding, data in [
            (AMF3, b"\x09\x03\x01" * 100_000 + b"\0"),
            (AMF0, b"\x0a\0\0\0\1" * 100_000 + b"\6"),
        ]:
            self.assertRaises(AMFError, decode, data, limits=limits, objectEncoding=encoding)
            self.assertRaises(AMFError, encode, value, limits=limits, objectEncoding=encoding)
        # Its own end would be as deep.
        while value:
            value = value.pop()

    def test_items(self) -> None:
        """
        Every value counts; eight numbers in a vector count as one.
        """
        three: list[Any] = [
            [1.0, 2.0], {"a": 1.0, "b": 2.0}, ECMAArray([1.0], {"a": 1.0}),
            TypedObject("A", {"a": 1.0, "b": 1.0}), [[1.0]],
            IntVector([1] * 16), NumberVector([1.0] * 23), ObjectVector([1, 2]),
            Dictionary([(1, 2)]),
        ]  # fmt: skip
        for value in three:
            self.check(value, AMFLimits(items=3), AMFLimits(items=2), (AMF0, AMF3))
        self.check(None, AMFLimits(items=1), AMFLimits(items=0), (AMF0, AMF3))
        self.check({"a": 300.0}, AMFLimits(items=2), AMFLimits(items=1), (AMF0, AMF3))

    def test_objects(self) -> None:
        """
        Every object that is received counts, in both versions of AMF.
        """
        values: list[Any] = [
            [[], []], [{}, {}], [Date(1.0), Date(2.0)], [XML("a"), XML("b")],
            [ECMAArray([], {"a": 1}), []], [TypedObject("A"), TypedObject("A")],
            [IntVector([1]), NumberVector([1.0])], [ObjectVector([]), Dictionary()],
            [bytearray(b"a"), bytearray(b"b")],
        ]  # fmt: skip
        for value in values:
            for encoding in (AMF0, AMF3):
                data = encode(value, objectEncoding=encoding)
                decode(data, objectEncoding=encoding, limits=AMFLimits(objects=3))
                error = self.assertRaises(
                    AMFError, decode, data, objectEncoding=encoding, limits=AMFLimits(objects=2)
                )
                self.assertEqual(str(error), "the value contains more than 2 objects")

    def test_text(self) -> None:
        """
        Bytes of strings, names, aliases and XML count.
        """
        for value in ("\u00e9a", {"abc": None}, TypedObject("abc"), XML("abc"), ["a", "bc"]):
            self.check(value, AMFLimits(text=3), AMFLimits(text=2), (AMF0, AMF3))
        self.check(["ab", "ab"], AMFLimits(text=2), AMFLimits(text=1), (AMF3,))

    def test_total(self) -> None:
        """
        The bytes of the value count, not those before and behind it.
        """
        for value in ("abc", [1.5], bytearray(b"abc"), IntVector([1]), {"a": None}, None, XML("a")):
            for encoding in (AMF0, AMF3):
                length = len(encode(value, objectEncoding=encoding))
                self.check(value, AMFLimits(total=length), AMFLimits(total=length - 1), (encoding,))
                data = b"\xff" + encode(value, objectEncoding=encoding) + b"\xff" * 9
                for kind in (bytes, bytearray):
                    got = decode(
                        kind(data), 1, objectEncoding=encoding, limits=AMFLimits(total=length)
                    )
                    self.assertEqual(got, (value, 1 + length))

    def test_claims(self) -> None:
        """
        A length over a limit is refused at once; one that is within the limits
        means to wait, and takes no memory.
        """
        for text in ["06FFFFFFFF", "0CFFFFFFFF", "09FFFFFFFF", "0DFFFFFFFF", "0BFFFFFFFF"]:
            self.assertRaises(AMFError, decode, bytes.fromhex(text))
        for text in ["0C7FFFFFFF", "0A7FFFFFFF"]:
            self.assertRaises(AMFError, decode, bytes.fromhex(text), objectEncoding=AMF0)
        huge = AMFLimits(256, 2**40, 2**40, 2**40)
        for text in [
            "06FFFFFFFF", "0CFFFFFFFF", "09FFFFFFFF01", "0DFFFFFFFF00", "0FFFFFFFFF00",
            "10FFFFFFFF0001", "11FFFFFFFF00", "0AFFFFFFF301", "0BFFFFFFFF",
        ]:  # fmt: skip
            tracemalloc.start()
            self.assertRaises(EOFError, decode, bytes.fromhex(text), limits=huge)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self.assertLess(peak, 100_000, text)

    def test_memory(self) -> None:
        """
        No bytes take more memory than 160 times their length.
        """
        count = 5_000
        pieces = [
            ("090101", "090101"), ("0A0B0101", "0A0101"), ("0A030341", "0A01"), ("01", "060361"),
            ("0A0B0103610101", "0A01000101"), ("09010361" + "0101", "0901000101"), ("01", "110101"),
            ("01", "0D0101"), ("01", "10010001"), ("01", "0B01"), ("01", "0C01"), ("01", "04A000"),
            ("0A030341", "1103000A0101"), ("0A1303410361" + "01", "0A0101"), ("01", "0607C3A961"),
        ]  # fmt: skip
        streams = [
            (AMF3, bytes.fromhex("09CE1101" + first + piece * (count - 1)))
            for first, piece in pieces
        ]
        typed = "0A0303410" + "1" + "0A0101" * (count - 1)
        streams += [
            (AMF3, bytes.fromhex("11CE1100" + typed)),
            (AMF3, bytes.fromhex("06CE11") + b"a" * (count - 4) + "\U0001f600".encode()),
            (AMF0, bytes.fromhex("0A00001388" + "03000009" * count)),
            (AMF0, bytes.fromhex("0A00001388" + "110A0B0101" + "110A0101" * (count - 1))),
        ]
        for encoding, data in streams:
            tracemalloc.start()
            value, end = decode(
                data, objectEncoding=encoding, limits=AMFLimits(objects=2 * count, items=10 * count)
            )
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            del value
            self.assertEqual(end, len(data), data[:20])
            self.assertLess(peak / len(data), 160, data[:20])
