"""
Tests for L{openfl_twisted.wire.amf.codec}: limits, properties, and malicious data.
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
    # Py3AMF uses deprecated features of Python and defusedxml, some of them only with the first
    # object.
    warnings.simplefilter("ignore")
    try:
        pyamf = importlib.import_module("pyamf")
        pyamf.encode({})
    except ImportError:
        pyamf = None


def refuse(alias: str) -> None:
    """
    Load no class. Py3AMF would import modules.
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
    Generate values that contain others.
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
    Return the properties of a value that equality ignores: types and flags, at
    all depths. Integers and floats are not distinguished.
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
    A class whose members accept any value.
    """

    a: Any
    b: Any


class Greedy:
    """
    A class that reads any data.
    """

    def readExternal(self, input: Any) -> None:
        self.text = input.readUTF()
        self.value = [input.readObject() for _ in range(input.readUnsignedByte() & 3)]

    def writeExternal(self, output: Any) -> None:
        """
        Write no bytes, whatever was read.
        """


registry = ClassRegistry()
registry.register("A", Loose)
registry.register("B", Greedy)

# Bytes that are more often valid AMF than random ones.
chunks = st.sampled_from(
    [bytes((marker,)) for marker in range(0x13)]
    + [bytes.fromhex(text) for text in (
        "0A0B01", "0A1303410361", "0A070342", "0A01", "0A00", "090501", "0901", "110500", "0600",
        "060361", "0361", "01", "0900", "0400", "04FFFFFFFF", "0C03", "0D0300", "10050001",
        "0A00000002", "0800000001", "000161", "000009", "1000014100016100", "070000", "11",
        "3FF0000000000000", "FF", "80",
    )]
)  # fmt: skip
noise = st.lists(chunks | st.binary(max_size=4), max_size=24).map(b"".join)


class PropertyTests(SynchronousTestCase):
    """
    Properties of all values.
    """

    @given(values, encodings, st.booleans())
    def test_roundTrip(self, value: Any, encoding: int, references: bool) -> None:
        """
        A value is read with all its types and flags, with references and without.
        """
        data = encode(value, objectEncoding=encoding, references=references)
        back, end = decode(data, objectEncoding=encoding)
        self.assertEqual(end, len(data))
        self.assertEqual(back, value)
        self.assertEqual(kindsOf(back), kindsOf(value))
        # The value that was read is written as the same bytes.
        if references:
            self.assertEqual(encode(back, objectEncoding=encoding), data)

    @given(texts.map(XMLDocument) | st.just(XMLDocument("")))
    def test_xmlDocument(self, value: XMLDocument) -> None:
        """
        XML of the older class is preserved in AMF3. AMF0 does not distinguish it
        from XML.
        """
        back = decode(encode(value))[0]
        self.assertEqual((back, type(back)), (value, XMLDocument))
        back = decode(encode(value, objectEncoding=AMF0), objectEncoding=AMF0)[0]
        self.assertEqual((back, type(back)), (value, XML))

    @given(values, encodings)
    def test_prefixes(self, value: Any, encoding: int) -> None:
        """
        Every proper prefix of a value raises C{EOFError}.
        """
        data = encode(value, objectEncoding=encoding)
        for length in range(len(data)):
            self.assertRaises(EOFError, decode, data[:length], objectEncoding=encoding)

    @given(st.text(), encodings)
    def test_anyText(self, text: str, encoding: int) -> None:
        """
        Any text can be written at any place, also with lone surrogates.
        """
        data = encode([text, {"a" + text: text}], objectEncoding=encoding)
        self.assertEqual(decode(data, objectEncoding=encoding)[1], len(data))

    @given(st.integers())
    def test_integers(self, value: int) -> None:
        """
        Every integer that a double can represent is preserved in both formats.
        """
        for encoding in (AMF0, AMF3):
            back = decode(encode(value, objectEncoding=encoding), objectEncoding=encoding)[0]
            self.assertEqual(back, float(value))


class FuzzTests(SynchronousTestCase):
    """
    Any data is a value, or is an C{AMFError} or C{EOFError}.
    """

    def check(self, data: bytes, encoding: int) -> None:
        """
        Read data in all bytes-like types, and write the values.
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
        Random bytes are read or refused.
        """
        self.check(data, encoding)

    @given(noise, encodings)
    def test_likely(self, data: bytes, encoding: int) -> None:
        """
        Bytes that resemble AMF are read or refused.
        """
        self.check(data, encoding)

    @given(values, encodings, st.data())
    def test_mutated(self, value: Any, encoding: int, choices: st.DataObject) -> None:
        """
        Valid data with some changed bytes is read or refused.
        """
        data = bytearray(encode(value, objectEncoding=encoding))
        for _ in range(choices.draw(st.integers(1, 3))):
            position = choices.draw(st.integers(0, len(data)))
            data[position : position + choices.draw(st.integers(0, 2))] = choices.draw(
                chunks | st.binary(max_size=2)
            )
        self.check(bytes(data), encoding)


class OtherTests(SynchronousTestCase):
    """
    Comparison with Py3AMF, for the values that both support.
    """

    def setUp(self) -> None:
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
        Each reads the data that the other has written.
        """
        theirs = pyamf.encode(value, encoding=encoding).read()
        back, end = decode(theirs, objectEncoding=encoding)
        self.assertEqual((back, end), (value, len(theirs)))
        ours = encode(value, objectEncoding=encoding)
        self.assertEqual([*pyamf.decode(ours, encoding=encoding)], [value])


class LimitTests(SynchronousTestCase):
    """
    The limits of one value.
    """

    def check(self, value: Any, good: AMFLimits, bad: AMFLimits, encodings: Sequence[int]) -> None:
        """
        Check that a limit allows a value, and that a smaller one does not, in
        both directions.
        """
        for encoding in encodings:
            data = encode(value, objectEncoding=encoding, limits=good)
            back = decode(data, objectEncoding=encoding, limits=good)
            self.assertEqual(back, (value, len(data)))
            self.assertRaises(AMFError, decode, data, objectEncoding=encoding, limits=bad)
            self.assertRaises(AMFError, encode, value, objectEncoding=encoding, limits=bad)

    def test_depth(self) -> None:
        """
        Every container adds a level.
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
        The default depth is far below the limit of Python's stack.
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
        Exceeding the limit of Python's stack raises the same error.
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
        # Destroying the nested list would exceed the stack too.
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
        The bytes of strings, names, aliases and XML count.
        """
        for value in ("\u00e9a", {"abc": None}, TypedObject("abc"), XML("abc"), ["a", "bc"]):
            self.check(value, AMFLimits(text=3), AMFLimits(text=2), (AMF0, AMF3))
        self.check(["ab", "ab"], AMFLimits(text=2), AMFLimits(text=1), (AMF3,))

    def test_total(self) -> None:
        """
        Only the bytes of the value count, not those before or after it.
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
        A length that exceeds a limit is refused immediately. One within the
        limits raises C{EOFError}, and takes no memory.
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
        Reading takes at most 160 times the memory of the data.
        """
        count = 5_000
        chunks = [
            ("090101", "090101"), ("0A0B0101", "0A0101"), ("0A030341", "0A01"), ("01", "060361"),
            ("0A0B0103610101", "0A01000101"), ("09010361" + "0101", "0901000101"), ("01", "110101"),
            ("01", "0D0101"), ("01", "10010001"), ("01", "0B01"), ("01", "0C01"), ("01", "04A000"),
            ("0A030341", "1103000A0101"), ("0A1303410361" + "01", "0A0101"), ("01", "0607C3A961"),
        ]  # fmt: skip
        streams = [
            (AMF3, bytes.fromhex("09CE1101" + first + chunk * (count - 1)))
            for first, chunk in chunks
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
