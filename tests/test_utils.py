"""
Tests for L{openfl_twisted.utils}.
"""

import copy
import math
import pickle
import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.utils import (
    ByteArray,
    CompressionAlgorithm,
    Endian,
    IDataInput,
    IDataOutput,
    IExternalizable,
    ObjectEncoding,
)
from tests.support.byteorders import ORDERS

# A model of a ByteArray for one position.
operations = st.lists(
    st.tuples(st.just("position"), st.integers(0, 30))
    | st.tuples(st.just("length"), st.integers(0, 30))
    | st.tuples(st.just("write"), st.binary(max_size=6))
    | st.tuples(st.just("read"), st.integers(0, 6)),
    max_size=20,
)


class MemoryTests(SynchronousTestCase):
    """
    Received values take a bounded amount of memory.
    """

    def test_byteArrays(self) -> None:
        """
        Many empty arrays of two bytes each take at most 160 bytes of memory per
        received byte, also in AMF0.
        """
        count = 20_000
        array = bytes.fromhex("0982B84101") + b"\x0c\x01" * count
        inAMF0 = bytes.fromhex("0A00004E20") + b"\x11\x0c\x01" * count
        for encoding, data in ((ObjectEncoding.AMF3, array), (ObjectEncoding.AMF0, inAMF0)):
            received = ByteArray(data)
            received.objectEncoding = encoding
            tracemalloc.start()
            value = received.readObject()
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            self.assertEqual(len(value), count)
            self.assertLess(peak / len(data), 160)


class Named(ByteArray):
    """
    A class with attributes, and a constructor with two parameters.
    """

    __slots__ = ("__dict__", "slot")

    def __init__(self, name: str, slot: str) -> None:
        super().__init__(name.encode())
        self.name = name
        self.slot = slot
        self.other: Any = None


class ArrayTests(SynchronousTestCase):
    """
    A L{ByteArray} is an array of bytes.
    """

    def test_python(self) -> None:
        """
        Length, slices, iteration, comparison and buffer are Python's.
        """
        array = ByteArray(b"abcdef")
        self.assertEqual((len(array), bytes(array), array[1:3]), (6, b"abcdef", b"bc"))
        self.assertEqual((list(array)[:2], array[0], array[-1]), ([97, 98], 97, 102))
        self.assertEqual(bytes(memoryview(array)[2:4]), b"cd")
        self.assertEqual(array, b"abcdef")
        array[1:3] = b"XYZ"
        self.assertEqual(array, b"aXYZdef")
        self.assertEqual(repr(array), "<ByteArray of 7 bytes at 0>")

    def test_new(self) -> None:
        """
        A new array is empty, or has the given number of zeros.
        """
        self.assertEqual((ByteArray(), ByteArray(3)), (b"", b"\0\0\0"))
        array = ByteArray()
        self.assertEqual((array.position, array.endian), (0, Endian.BIG_ENDIAN))
        self.assertEqual((array.length, array.objectEncoding), (0, 3))

    def test_defaults(self) -> None:
        """
        Class attributes are the defaults of new arrays.
        """
        self.patch(ByteArray, "defaultEndian", Endian.LITTLE_ENDIAN)
        self.patch(ByteArray, "defaultObjectEncoding", 0)
        array = ByteArray()
        self.assertEqual((array.endian, array.objectEncoding), (Endian.LITTLE_ENDIAN, 0))

    def test_index(self) -> None:
        """
        An index past the end is C{None}; setting it extends the array with zeros. Only
        the low 8 bits of the value are used, and the position is unchanged.
        """
        array = ByteArray(b"ab")
        self.assertIsNone(array[2])
        array[4] = 0x141
        array[0] = -1
        self.assertEqual((array, array.position), (b"\xffb\0\0A", 0))
        for value, stored in [(2.9, 2), (-2.9, 254), (True, 1), (math.nan, 0), (2**2000, 0)]:
            array[1] = value
            self.assertEqual(array[1], stored)

    def test_length(self) -> None:
        """
        A greater length adds zeros. A smaller length truncates the array and limits the
        position.
        """
        array = ByteArray(b"abcdef")
        array.position = 5
        array.length = 3
        self.assertEqual((array, array.position), (b"abc", 3))
        array.length = 5
        self.assertEqual((array, array.position), (b"abc\0\0", 3))
        array.length = 0
        self.assertEqual((array, array.position), (b"", 0))
        array = ByteArray(b"abc")
        for length in (0xFFFFFFFF, 2**40, -1):
            error = self.assertRaises(errors.MemoryError, setattr, array, "length", length)
            self.assertEqual((error.errorID, array, array.position), (1000, b"abc", 0))

    def test_lengthMovesPosition(self) -> None:
        """
        A position past the new length is moved to the end, also when the array grows.
        Other positions are unchanged.
        """
        array = ByteArray()
        array.position = 100
        array.length = 2
        self.assertEqual((array, array.position), (b"\0\0", 2))
        array.position = 9
        array.length = 9
        self.assertEqual(array.position, 9)
        array.position = 10
        array[20] = 1
        self.assertEqual((array.length, array.position), (21, 10))

    @given(
        st.binary(max_size=20),
        st.integers(0, 0xFFFFFFFF),
        st.sampled_from([Endian.BIG_ENDIAN, Endian.LITTLE_ENDIAN]),
        st.sampled_from([0, 3]),
        st.integers(0, pickle.HIGHEST_PROTOCOL),
    )
    def test_copies(
        self, data: bytes, position: int, endian: str, encoding: int, protocol: int
    ) -> None:
        """
        A copy, a deep copy and a pickle are independent arrays with the same bytes,
        position, byte order and object encoding.
        """
        array = ByteArray(data)
        array.position, array.endian, array.objectEncoding = position, endian, encoding
        for copied in (
            copy.copy(array),
            copy.deepcopy(array),
            pickle.loads(pickle.dumps(array, protocol)),
        ):
            self.assertIs(type(copied), ByteArray)
            self.assertEqual(copied, array)
            self.assertEqual(
                (copied.position, copied.endian, copied.objectEncoding),
                (position, endian, encoding),
            )
            copied.append(1)
            self.assertEqual(array, data)

    def test_copyOfSubclass(self) -> None:
        """
        A copy of a subclass keeps its attributes, in slots and in a dictionary, and
        does not call the constructor.
        """
        array = Named("name", "slot")
        array.position = 2
        array.other = array
        for copied in (copy.deepcopy(array), pickle.loads(pickle.dumps(array))):
            self.assertEqual((copied.name, copied.slot, copied.position), ("name", "slot", 2))
            self.assertEqual(copied, b"name")
            self.assertIs(copied.other, copied)

    def test_outOfMemory(self) -> None:
        """
        A length that exceeds the memory is Flash's error.
        """

        class Poor(ByteArray):
            def __iadd__(self, other: Any) -> Any:  # type: ignore[misc]
                raise MemoryError

        self.assertRaises(errors.MemoryError, setattr, Poor(), "length", 10)

    def test_clear(self) -> None:
        """
        C{clear} removes the bytes and resets the position.
        """
        array = ByteArray(b"abc")
        array.position = 2
        array.clear()
        self.assertEqual((array, array.position), (b"", 0))

    def test_position(self) -> None:
        """
        A position past the end has no bytes to read; a write there fills the gap with
        zeros.
        """
        array = ByteArray(b"abc")
        array.position = 0xFFFFFFF0
        self.assertEqual((array.length, array.bytesAvailable), (3, 0))
        self.assertRaises(errors.EOFError, array.readInt)
        self.assertRaises(errors.EOFError, array.readUTFBytes, 0)
        array.position = 5
        array.writeByte(33)
        self.assertEqual((array, array.position), (b"abc\0\0!", 6))

    @given(operations)
    def test_model(self, steps: list[tuple[str, Any]]) -> None:
        """
        Reads and writes at any position match a simple list of bytes.
        """
        array, model, position = ByteArray(), bytearray(), 0
        for step, value in steps:
            match step:
                case "position":
                    array.position = position = value
                case "length":
                    array.length = value
                    position = min(position, value)
                    model = bytearray(model[:value].ljust(value, b"\0"))
                case "write":
                    array.writeBytes(value)
                    if value:
                        model = bytearray(model.ljust(position, b"\0"))
                    model[position : position + len(value)] = value
                    position += len(value)
                case _:
                    if position + value > len(model):
                        self.assertRaises(errors.EOFError, array.readUTFBytes, value)
                    else:
                        target = ByteArray()
                        if value:
                            array.readBytes(target, 0, value)
                        self.assertEqual(target, model[position : position + value])
                        position += value
            self.assertEqual((array, array.position), (model, position))


class ValueTests(SynchronousTestCase):
    """
    Reading and writing values.
    """

    def test_values(self) -> None:
        """
        The 78 bytes of Ruffle's tests are written and read, in both byte orders.
        """
        for order, data in ORDERS:
            array = ByteArray()
            array.endian = order
            array.writeBoolean(True)
            array.writeByte(67)
            array.writeByte(255)
            array.writeBytes(bytes([10, 20, 65]))
            array.writeDouble(8090.76)
            array.writeFloat(76.65)
            array.writeInt(-2076553554)
            array.writeMultiByte("Hello!", "utf-8")
            array.writeShort(65535)
            array.writeShort(-30562)
            array.writeUnsignedInt(4000565000)
            array.writeUTF("Hello from Ruffle Socket!")
            array.writeUTFBytes("Raw UTF is cool")
            self.assertEqual(array, data)
            array.position = 6
            self.assertEqual(array.readDouble(), 8090.76)
            array.position = 18
            self.assertEqual(array.readInt(), -2076553554)
            array.position = 36
            self.assertEqual(array.readUTF(), "Hello from Ruffle Socket!")

    def test_readBytesIntoItself(self) -> None:
        """
        An array can be read or written into itself.
        """
        array = ByteArray(b"abcdef")
        array.position = 2
        array.readBytes(array, 0, 3)
        self.assertEqual((array, array.position), (b"cdedef", 5))
        array.position = 6
        array.writeBytes(array, 0, 2)
        self.assertEqual(array, b"cdedefcd")

    def test_readBytesLeavesTheTargetsPosition(self) -> None:
        """
        Reading into an array does not change its position.
        """
        target = ByteArray()
        source = ByteArray(b"abc")
        source.readBytes(target, 2)
        self.assertEqual((target, target.position, source.position), (b"\0\0abc", 0, 3))

    def test_toString(self) -> None:
        """
        The whole array is decoded as its byte order mark specifies. NULs and the
        position are kept.
        """
        for data, text in [
            (b"ABC\0", "ABC\0"),
            (b"\xef\xbb\xbf\xc3\xa9", "\u00e9"),
            (b"\xff\xfeA\0", "A"),
            (b"\xfe\xff\0A", "A"),
            (b"\x89PNG", "\x89PNG"),
            (b"", ""),
        ]:
            array = ByteArray(data)
            array.position = 1
            self.assertEqual((array.toString(), str(array), array.position), (text, text, 1))

    def test_errors(self) -> None:
        """
        Errors have Flash's numbers and order, as in Flash Player for an empty array.
        """
        array = ByteArray()
        for name, arguments, errorID in [
            ("compress", (None,), 2007),
            ("compress", ("abcdef",), 2058),
            ("uncompress", (None,), 2007),
            ("uncompress", ("abcdef",), 2058),
            ("uncompress", ("zlib",), None),
            ("writeUTF", (None,), 2007),
            ("writeUTFBytes", (None,), 2007),
            ("writeMultiByte", (None, "utf-8"), 2007),
            ("writeMultiByte", (None, "no such name"), 2007),
            ("readMultiByte", (0, ""), None),
            ("readMultiByte", (20, ""), 2030),
            ("readMultiByte", (0, None), 2007),
            ("readMultiByte", (20, None), 2007),
            ("readMultiByte", (0, "no such name"), None),
            ("readMultiByte", (20, "no such name"), 2030),
            ("writeBytes", (b"abc", 4), 2006),
            ("writeUTF", ("x" * 65536,), 2006),
            ("readObject", (), 2030),
        ]:
            if errorID is None:
                getattr(array, name)(*arguments)
            else:
                error = self.assertRaises(errors.Error, getattr(array, name), *arguments)
                self.assertEqual(error.errorID, errorID, (name, arguments))
        for name, value, errorID in [
            ("endian", None, 2007),
            ("endian", "abcdef", 2008),
            ("objectEncoding", 10, 2008),
        ]:
            error = self.assertRaises(errors.Error, setattr, array, name, value)
            self.assertEqual(error.errorID, errorID)
        array.writeMultiByte("abcd", "no such name")
        self.assertEqual(array, b"abcd")

    def test_readsCopyNothingElse(self) -> None:
        """
        A short read does not copy the whole array.
        """
        array = ByteArray(20_000_000)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        array.readInt()
        array.readUTFBytes(10)
        array.readObject()
        array.position = 10_000_000
        array.writeInt(1)
        self.assertLess(tracemalloc.get_traced_memory()[1], 1_000_000)


class ObjectTests(SynchronousTestCase):
    """
    AMF objects.
    """

    def test_roundTrip(self) -> None:
        """
        A value is decoded as it was encoded, in both versions. A C{ByteArray} is a
        L{ByteArray}.
        """
        for objectEncoding in (3, 0):
            array = ByteArray()
            array.objectEncoding = objectEncoding
            array.writeObject({"first": "Hello", "list": [1, 2.5, None, True]})
            array.writeObject(ByteArray(b"\0\x0bhello world"))
            array.position = 0
            self.assertEqual(array.readObject(), {"first": "Hello", "list": [1, 2.5, None, True]})
            back = array.readObject()
            self.assertIsInstance(back, ByteArray)
            self.assertEqual(back.readUTF(), "hello world")
            self.assertEqual(array.bytesAvailable, 0)

    def test_endian(self) -> None:
        """
        AMF is big-endian for both byte orders of the array.
        """
        array = ByteArray()
        array.endian = Endian.LITTLE_ENDIAN
        array.writeObject(0.5)
        self.assertEqual(array, bytes.fromhex("05 3F E0 00 00 00 00 00 00"))

    def test_incomplete(self) -> None:
        """
        Reading an incomplete object consumes nothing.
        """
        array = ByteArray(b"x\x06\x0bhel")
        array.position = 1
        self.assertRaises(errors.EOFError, array.readObject)
        self.assertEqual(array.position, 1)

    def test_broken(self) -> None:
        """
        Invalid data, and values that AMF cannot encode, are an L{IOError}.
        """
        self.assertRaises(errors.IOError, ByteArray(b"\x7f").readObject)
        array = ByteArray()
        self.assertRaises(errors.IOError, array.writeObject, object())
        self.assertEqual(array, b"")


class CompressionTests(SynchronousTestCase):
    """
    Compression of whole arrays.
    """

    def test_roundTrip(self) -> None:
        """
        After C{compress} the position is at the end; after C{uncompress} it is 0.
        """
        for algorithm in (
            CompressionAlgorithm.ZLIB,
            CompressionAlgorithm.DEFLATE,
            CompressionAlgorithm.LZMA,
        ):
            array = ByteArray(b"string" * 10)
            array.compress(algorithm)
            self.assertEqual(array.position, array.length)
            array.uncompress(algorithm)
            self.assertEqual((array, array.position), (b"string" * 10, 0))

    def test_deflate(self) -> None:
        """
        C{deflate} and C{inflate} use no header.
        """
        array = ByteArray(b"string")
        array.deflate()
        self.assertEqual(array, bytes.fromhex("2B 2E 29 CA CC 4B 07 00"))
        array.inflate()
        self.assertEqual(array, b"string")

    def test_empty(self) -> None:
        """
        Empty arrays, and arrays too short for LZMA, are unchanged.
        """
        array = ByteArray()
        array.compress()
        array.uncompress()
        self.assertEqual(array, b"")
        array = ByteArray(b"abc")
        array.uncompress(CompressionAlgorithm.LZMA)
        self.assertEqual(array, b"abc")

    def test_corrupt(self) -> None:
        """
        Arrays with corrupt data, or whose result would be too large, are unchanged.
        """
        array = ByteArray(b"abcdef")
        array.position = 3
        error = self.assertRaises(errors.IOError, array.uncompress)
        self.assertEqual((error.errorID, array, array.position), (2058, b"abcdef", 3))
        array = ByteArray(100)
        array.compress()
        self.patch(ByteArray, "maxUncompressed", 99)
        self.assertRaises(errors.IOError, array.uncompress)


class InterfaceTests(SynchronousTestCase):
    """
    Interfaces shared with the sockets.
    """

    def test_provided(self) -> None:
        """
        A L{ByteArray} is an L{IDataInput} and an L{IDataOutput}.
        """
        self.assertIsInstance(ByteArray(), IDataInput)
        self.assertIsInstance(ByteArray(), IDataOutput)
        self.assertRaises(NotImplementedError, IDataInput().readObject)

    def test_externalizable(self) -> None:
        """
        An externalizable object is recognized by its methods.
        """

        class Own:
            def readExternal(self, input: Any) -> None:
                pass

            def writeExternal(self, output: Any) -> None:
                pass

        self.assertIsInstance(Own(), IExternalizable)
        self.assertNotIsInstance(ByteArray(), IExternalizable)
