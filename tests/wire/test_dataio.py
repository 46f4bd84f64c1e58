"""
Tests for L{openfl_twisted.wire.dataio}.
"""

import math
import struct
from array import array
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.errors import RangeError
from openfl_twisted.protocols.binarysocket import BinarySocketProtocol
from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.dataio import BIG_ENDIAN, LITTLE_ENDIAN, DataInput, DataOutput
from tests.support.byteorders import ORDERS


def arrayOf(data: bytes, order: str = BIG_ENDIAN) -> ByteArray:
    """
    Return an array with a byte order.
    """
    array = ByteArray(data)
    array.endian = order
    return array


def written(order: str, method: str, *arguments: Any) -> bytes:
    """
    Return the bytes that one call writes.
    """
    writer = arrayOf(b"", order)
    getattr(writer, method)(*arguments)
    return bytes(writer)


class WholeTests(SynchronousTestCase):
    """
    Consecutive values of every type.
    """

    def test_read(self) -> None:
        """
        The values are read as Flash Player reads them, in both byte orders.
        """
        for order, data in ORDERS:
            self.assertEqual(len(data), 78)
            reader = arrayOf(data, order)
            array = bytearray()
            self.assertIs(reader.readBoolean(), True)
            self.assertEqual(reader.readByte(), 67)
            self.assertEqual(reader.readUnsignedByte(), 255)
            reader.readBytes(array, 0, 3)
            self.assertEqual(array, bytes([10, 20, 65]))
            self.assertEqual(reader.readDouble(), 8090.76)
            self.assertEqual(reader.readFloat(), 76.6500015258789)
            self.assertEqual(reader.readInt(), -2076553554)
            self.assertEqual(reader.readMultiByte(6, "utf-8"), "Hello!")
            self.assertEqual(reader.readUnsignedShort(), 65535)
            self.assertEqual(reader.readShort(), -30562)
            self.assertEqual(reader.readUnsignedInt(), 4000565000)
            self.assertEqual(reader.readUTF(), "Hello from Ruffle Socket!")
            self.assertEqual(reader.readUTFBytes(15), "Raw UTF is cool")
            self.assertEqual(reader.bytesAvailable, 0)

    def test_write(self) -> None:
        """
        The values are written as Flash Player writes them, in both byte orders.
        """
        for order, data in ORDERS:
            writer = arrayOf(b"", order)
            writer.writeBoolean(True)
            writer.writeByte(67)
            writer.writeByte(255)
            writer.writeBytes(bytes([10, 20, 65]))
            writer.writeDouble(8090.76)
            writer.writeFloat(76.65)
            writer.writeInt(-2076553554)
            writer.writeMultiByte("Hello!", "utf-8")
            writer.writeShort(65535)
            writer.writeShort(-30562)
            writer.writeUnsignedInt(4000565000)
            writer.writeUTF("Hello from Ruffle Socket!")
            writer.writeUTFBytes("Raw UTF is cool")
            self.assertEqual(bytes(writer), data)


class NumberTests(SynchronousTestCase):
    """
    Numbers are truncated to their width.
    """

    def test_cut(self) -> None:
        """
        Only the low bits are written, whatever the sign.
        """
        for method, value, data in [
            ("writeByte", -257, "FF"),
            ("writeByte", -259, "FD"),
            ("writeByte", 256, "00"),
            ("writeShort", 65535, "FFFF"),
            ("writeShort", -30562, "889E"),
            ("writeShort", 65536 + 1, "0001"),
            ("writeInt", 2**32 - 1, "FFFFFFFF"),
            ("writeUnsignedInt", -1, "FFFFFFFF"),
            ("writeInt", 1.9, "00000001"),
            ("writeInt", -1.9, "FFFFFFFF"),
            ("writeInt", math.nan, "00000000"),
            ("writeUnsignedInt", -math.inf, "00000000"),
            ("writeInt64", -1, "FFFFFFFFFFFFFFFF"),
            ("writeInt64", 2**64 + 2, "0000000000000002"),
            ("writeFloat", 1e300, "7F800000"),
            ("writeFloat", -1e300, "FF800000"),
            ("writeFloat", 10**400, "7F800000"),
            ("writeDouble", -(10**400), "FFF0000000000000"),
            ("writeInt64", -1.5, "FFFFFFFFFFFFFFFF"),
            ("writeDouble", -0.0, "8000000000000000"),
            ("writeBoolean", "yes", "01"),
            ("writeBoolean", 0, "00"),
        ]:
            self.assertEqual(
                written(BIG_ENDIAN, method, value).hex().upper(), data, (method, value)
            )

    def test_booleans(self) -> None:
        """
        Any byte except zero is true.
        """
        reader = arrayOf(b"\0\1\x80")
        self.assertEqual([reader.readBoolean() for _ in range(3)], [False, True, True])

    @given(st.sampled_from([BIG_ENDIAN, LITTLE_ENDIAN]), st.integers(-(2**70), 2**70))
    def test_integers(self, order: str, value: int) -> None:
        """
        An integer is read with the low bits that were written, signed and unsigned.
        """
        for kind, size in [("Byte", 1), ("Short", 2), ("Int", 4), ("Int64", 8)]:
            data = written(order, "write" + kind, value)
            low = value % 2 ** (8 * size)
            signed = low - 2 ** (8 * size) if low >> (8 * size - 1) else low
            self.assertEqual(getattr(arrayOf(data, order), "read" + kind)(), signed)
            if size < 8:
                unsigned = getattr(arrayOf(data, order), "readUnsigned" + kind)()
                self.assertEqual(unsigned, low)

    @given(st.sampled_from([BIG_ENDIAN, LITTLE_ENDIAN]), st.floats())
    def test_floats(self, order: str, value: float) -> None:
        """
        A double is read with all bits that were written.
        """
        back = arrayOf(written(order, "writeDouble", value), order).readDouble()
        self.assertEqual(struct.pack(">d", back), struct.pack(">d", value))


class EndianTests(SynchronousTestCase):
    """
    The byte order can be changed at any time.
    """

    def test_default(self) -> None:
        """
        The default byte order is big-endian.
        """
        self.assertEqual(ByteArray().endian, BIG_ENDIAN)

    def test_wrongValue(self) -> None:
        """
        An invalid value raises an error, and does not change the byte order.
        """
        writer = arrayOf(b"", LITTLE_ENDIAN)
        with self.assertRaises(ValueError):
            writer.endian = "middle"
        with self.assertRaises(TypeError):
            writer.endian = None  # type: ignore[assignment]
        self.assertEqual(writer.endian, LITTLE_ENDIAN)


class ReaderTests(SynchronousTestCase):
    """
    Failed reads consume nothing.
    """

    def test_tooFewBytes(self) -> None:
        """
        A read of more bytes than are available raises C{EOFError}, and does not
        move the position.
        """
        for method, arguments, size in [
            ("readBoolean", (), 1), ("readByte", (), 1), ("readUnsignedByte", (), 1),
            ("readShort", (), 2), ("readUnsignedShort", (), 2), ("readInt", (), 4),
            ("readUnsignedInt", (), 4), ("readInt64", (), 8), ("readFloat", (), 4),
            ("readDouble", (), 8), ("readUTFBytes", (5,), 5), ("readUTFBytes", (-1,), 5),
            ("readMultiByte", (5, "latin1"), 5), ("readBytes", (bytearray(), 0, 5), 5),
        ]:  # fmt: skip
            reader = arrayOf(b"x" * size)
            reader.position = 1
            self.assertRaises(EOFError, getattr(reader, method), *arguments)
            self.assertEqual(reader.position, 1, method)

    def test_incompleteUTF(self) -> None:
        """
        C{readUTF} of incomplete text has consumed the length, as in Flash.
        """
        reader = arrayOf(b"\0\5abc")
        self.assertRaises(EOFError, reader.readUTF)
        self.assertEqual(reader.position, 2)

    def test_positionAfterTheEnd(self) -> None:
        """
        After the end, a read of any length raises C{EOFError}, even of length 0.
        """
        reader = arrayOf(b"abc")
        reader.position = 0xFFFFFFF0
        self.assertEqual(reader.bytesAvailable, 0)
        self.assertRaises(EOFError, reader.readInt)
        self.assertRaises(EOFError, reader.readUTFBytes, 0)

    def test_readBytes(self) -> None:
        """
        Without a length all bytes are read. The array is padded with zeros, even
        if nothing is read.
        """
        array = bytearray(b"12")
        arrayOf(b"abc").readBytes(array, 4)
        self.assertEqual(array, b"12\0\0abc")
        array = bytearray(b"12345")
        arrayOf(b"abc").readBytes(array, 1, 2)
        self.assertEqual(array, b"1ab45")
        array = bytearray()
        arrayOf(b"").readBytes(array, 8)
        self.assertEqual(array, b"\0" * 8)

    def test_readBytesTooFar(self) -> None:
        """
        A position outside an array, whose length has 32 bits, is refused, and
        nothing is consumed.
        """
        reader = arrayOf(b"abc")
        self.assertRaises(RangeError, reader.readBytes, bytearray(), 2**32 - 1, 3)
        self.assertRaises(RangeError, reader.readBytes, bytearray(), -1)
        self.assertEqual(reader.position, 0)


class WriterTests(SynchronousTestCase):
    """
    Bytes are written at the position.
    """

    def test_position(self) -> None:
        """
        A write at a position before the end overwrites. After the end, the gap is
        filled with zeros.
        """
        writer = ByteArray()
        writer.writeUTFBytes("abcdef")
        writer.position = 1
        writer.writeUTFBytes("XY")
        self.assertEqual((bytes(writer), writer.position), (b"aXYdef", 3))
        writer.position = 8
        writer.writeByte(33)
        self.assertEqual((bytes(writer), len(writer)), (b"aXYdef\0\0!", 9))

    def test_writeBytes(self) -> None:
        """
        A part of an array is written; one outside the array is refused.
        """
        writer = ByteArray()
        writer.writeBytes(b"abcdef", 2)
        writer.writeBytes(bytearray(b"abcdef"), 1, 2)
        writer.writeBytes(b"abc", 3)
        self.assertEqual(bytes(writer), b"cdefbc")
        self.assertRaises(RangeError, writer.writeBytes, b"abc", 4)
        self.assertRaises(RangeError, writer.writeBytes, b"abc", 4, 1)
        self.assertRaises(RangeError, writer.writeBytes, b"abc", 1, 3)
        self.assertEqual(bytes(writer), b"cdefbc")


class WrongTypeTests(SynchronousTestCase):
    """
    A value of the wrong type raises an exception that names the method and the value, and nothing
    is written.
    """

    def assertWrong(self, text: str, method: str, *arguments: Any) -> None:
        writer = ByteArray()
        error = self.assertRaises(TypeError, getattr(writer, method), *arguments)
        self.assertIsInstance(error, errors.TypeError)
        self.assertEqual(str(error), f"{method}: {text}")
        self.assertEqual(len(writer), 0)

    def test_bytes(self) -> None:
        """
        C{writeBytes} accepts objects with the buffer protocol only.
        """
        rule = "bytes must be a ByteArray or bytes, not"
        self.assertWrong(f"{rule} 'abc': write text with writeUTFBytes", "writeBytes", "abc")
        self.assertWrong(f"{rule} '': write text with writeUTFBytes", "writeBytes", "")
        self.assertWrong(f"{rule} [1, 2]", "writeBytes", [1, 2])
        self.assertWrong(f"{rule} 5", "writeBytes", 5)
        writer = ByteArray()
        for accepted in (memoryview(b"abc"), array("B", b"abc"), arrayOf(b"abc")):
            writer.clear()
            writer.writeBytes(cast("bytes", accepted), 1)
            self.assertEqual(writer, b"bc")

    def test_text(self) -> None:
        """
        Text must be a C{str}.
        """
        for method in ("writeUTF", "writeUTFBytes"):
            self.assertWrong(
                "value must be text, not b'abc': write bytes with writeBytes", method, b"abc"
            )
            self.assertWrong("value must be text, not 5: convert it with str()", method, 5)
        for charSet in ("utf-8", "gbk", "windows-1251"):
            self.assertWrong(
                "value must be text, not b'': write bytes with writeBytes",
                "writeMultiByte",
                b"",
                charSet,
            )
        self.assertWrong(
            "charSet must be text, not 936: convert it with str()", "writeMultiByte", "a", 936
        )

    def test_numbers(self) -> None:
        """
        Text that is not a number is not converted.
        """
        for method in ("Byte", "Short", "Int", "UnsignedInt", "Int64"):
            self.assertWrong(
                "value must be a number, not '5': convert text with int()", f"write{method}", "5"
            )
        for method in ("writeFloat", "writeDouble"):
            for value in ("abc", [1], None):
                self.assertWrong(
                    f"value must be a number, not {value!r}: convert text with float()",
                    method,
                    value,
                )

    def test_long(self) -> None:
        """
        A long value is truncated.
        """
        self.assertWrong(
            f"value must be a number, not '{'x' * 76}...: convert text with int()",
            "writeInt",
            "x" * 1000,
        )

    def test_protocol(self) -> None:
        """
        The protocol raises Python's exception.
        """
        protocol = BinarySocketProtocol()
        error = self.assertRaises(TypeError, protocol.writeBytes, "abc")
        self.assertNotIsInstance(error, errors.Error)
        self.assertIn("write text with writeUTFBytes", str(error))


class StringTests(SynchronousTestCase):
    """
    Strings are read and written as in Flash.
    """

    def test_nul(self) -> None:
        """
        A text ends at its first NUL, but all its bytes are consumed.
        """
        reader = arrayOf(b"ABC\0DEF\0\0GHI" + b"\0\4ABC\0")
        self.assertEqual(reader.readUTFBytes(12), "ABC")
        self.assertEqual(reader.readUTF(), "ABC")
        self.assertEqual(reader.bytesAvailable, 0)

    def test_byteOrderMark(self) -> None:
        """
        A byte order mark is dropped, but counts for the length.
        """
        reader = arrayOf(b"\xef\xbb\xbfabc")
        self.assertEqual(reader.readUTFBytes(5), "ab")

    def test_multiByteNul(self) -> None:
        """
        In another character set a text ends at the NUL character, not at the NUL byte.
        """
        self.assertEqual(arrayOf(b"A\0B\0\0\0C\0").readMultiByte(8, "unicode"), "AB")

    def test_multiByteChecks(self) -> None:
        """
        A missing name is reported before missing bytes, and missing bytes before
        an unknown name.
        """
        reader = arrayOf(b"")
        self.assertRaises(TypeError, reader.readMultiByte, 20, None)
        self.assertRaises(EOFError, reader.readMultiByte, 20, "no such name")
        self.assertEqual(reader.readMultiByte(0, "no such name"), "")

    def test_nulls(self) -> None:
        """
        C{None} instead of text raises an error, and nothing is written.
        """
        writer = ByteArray()
        self.assertRaises(TypeError, writer.writeUTF, None)
        self.assertRaises(TypeError, writer.writeUTFBytes, None)
        self.assertRaises(TypeError, writer.writeMultiByte, None, "utf-8")
        self.assertRaises(TypeError, writer.writeMultiByte, "a", None)
        self.assertEqual(len(writer), 0)

    def test_utfLimit(self) -> None:
        """
        The limit of C{writeUTF} is 65535 bytes, not characters. Nothing is
        written above it.
        """
        writer = ByteArray()
        self.assertRaises(RangeError, writer.writeUTF, "\u00e9" * 32768)
        self.assertEqual(len(writer), 0)
        writer.writeUTF("x" * 65535)
        self.assertEqual(len(writer), 65537)

    @given(
        st.sampled_from([BIG_ENDIAN, LITTLE_ENDIAN]),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff")),
    )
    def test_roundTrip(self, order: str, text: str) -> None:
        """
        A written text is read as the same text.
        """
        self.assertEqual(arrayOf(written(order, "writeUTF", text), order).readUTF(), text)


class MixinTests(SynchronousTestCase):
    """
    L{DataInput} and L{DataOutput} are mix-ins.
    """

    def test_abstract(self) -> None:
        """
        A subclass implements the access to its bytes.
        """
        self.assertRaises(NotImplementedError, DataInput().readByte)
        self.assertRaises(NotImplementedError, lambda: DataInput().bytesAvailable)
        self.assertRaises(NotImplementedError, DataOutput().writeByte, 1)

    def test_problems(self) -> None:
        """
        The exceptions are Python's own, unless a class has others.
        """
        output = DataOutput()
        self.assertRaises(TypeError, output.writeUTF, None)
        self.assertRaises(IndexError, output.writeUTF, "x" * 65536)
        self.assertRaises(ValueError, setattr, output, "endian", "middle")
