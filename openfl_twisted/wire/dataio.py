"""
Numbers and strings as C{IDataInput} and C{IDataOutput} have them.

L{DataInput} and L{DataOutput} hold the methods; a class that has bytes mixes them in
and says how to take bytes and how to put them.

Byte order is big endian until it is changed. Names, ranges and order of checks
are Flash's (avmplus, C{core/DataIO.cpp} and C{core/ByteArrayGlue.cpp}).
"""

import math
import struct
from typing import Any, Final

from openfl_twisted.wire.text import (
    BYTE_ORDER_MARK,
    decodeText,
    decodeUTF8,
    encodeText,
    encodeUTF8,
)

BIG_ENDIAN: Final = "bigEndian"
"""
The most significant byte comes first: the default, and C{Endian.BIG_ENDIAN} of
Flash.
"""

LITTLE_ENDIAN: Final = "littleEndian"
"""
The least significant byte comes first: C{Endian.LITTLE_ENDIAN} of Flash.
"""

MAX_UTF_LENGTH = 0xFFFF
"""
The most bytes that C{writeUTF} can write: its length has 16 bits.
"""

_MAX_ARRAY_LENGTH = 0xFFFFFFFF


class _Numbers:
    __slots__ = ("double", "float", "int", "int64", "short", "unsignedInt", "unsignedShort")

    def __init__(self, order: str) -> None:
        self.short = struct.Struct(order + "h")
        self.unsignedShort = struct.Struct(order + "H")
        self.int = struct.Struct(order + "i")
        self.unsignedInt = struct.Struct(order + "I")
        self.int64 = struct.Struct(order + "q")
        self.float = struct.Struct(order + "f")
        self.double = struct.Struct(order + "d")


_bigEndian = _Numbers(">")
_littleEndian = _Numbers("<")
_signedByte = struct.Struct("b")

# Each byte by itself.
_bytes = [bytes((number,)) for number in range(256)]


def _toFloat(value: float) -> float:
    """
    Make a float; an integer that is too large is infinite, as in ECMAScript.
    """
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _toInteger(value: float) -> int:
    """
    Make an integer as ECMAScript's ToInt32 begins: the fraction is cut, and
    what is not a finite number is zero.
    """
    if isinstance(value, int):
        return value
    return int(value) if math.isfinite(value) else 0


class Problems:
    """
    The exceptions of reading and writing: Python's own. Whoever has others
    gives them by a subclass.
    """

    @staticmethod
    def null(parameter: str) -> Exception:
        """
        A parameter is C{None}.

        @param parameter: its name.
        @return: C{TypeError}; in Flash it is #2007.
        """
        return TypeError(f"{parameter} must be non-null")

    @staticmethod
    def notAccepted(parameter: str) -> Exception:
        """
        A parameter is none of the accepted values.

        @param parameter: its name.
        @return: C{ValueError}; in Flash it is #2008, an C{ArgumentError}.
        """
        return ValueError(f"{parameter} must be one of the accepted values")

    @staticmethod
    def outOfBounds() -> Exception:
        """
        A place is not inside an array, or a text is longer than its length can
        say.

        @return: C{IndexError}; in Flash it is #2006, a C{RangeError}.
        """
        return IndexError("the supplied index is out of bounds")

    @staticmethod
    def endOfFile() -> Exception:
        """
        There are fewer bytes than are wanted.

        @return: C{EOFError}; in Flash it is #2030.
        """
        return EOFError("end of file was encountered")


class _ByteOrder:
    # So a class can do without a dictionary, as ByteArray does.
    __slots__ = ()

    _numbers = _bigEndian
    _problems: type[Problems] = Problems

    @property
    def endian(self) -> str:
        """
        The byte order of numbers: L{BIG_ENDIAN} (the default) or
        L{LITTLE_ENDIAN}. Another value is an error, and the order stays as it
        was.
        """
        return BIG_ENDIAN if self._numbers is _bigEndian else LITTLE_ENDIAN

    @endian.setter
    def endian(self, value: str) -> None:
        if value == BIG_ENDIAN:
            self._numbers = _bigEndian  # type: ignore[misc] # subclasses have the slot
        elif value == LITTLE_ENDIAN:
            self._numbers = _littleEndian  # type: ignore[misc]
        elif value is None:
            raise self._problems.null("endian")
        else:
            raise self._problems.notAccepted("endian")


class DataInput(_ByteOrder):
    """
    The reading methods, for a class that gives C{_take} and C{bytesAvailable}.

    A read for which there are too few bytes raises C{EOFError} and takes
    nothing; only C{readUTF} takes its length first, as Flash does. The
    exceptions are those of L{Problems}, or of a subclass of it.
    """

    __slots__ = ()

    @property
    def bytesAvailable(self) -> int:
        """
        The bytes that can be read.
        """
        raise NotImplementedError

    def _take(self, length: int) -> bytes:
        """
        Take the next bytes.

        @param length: how many.
        @return: exactly so many bytes.
        @raise EOFError: if there are fewer; none are taken then.
        """
        raise NotImplementedError

    def _begin(self) -> None:
        """
        Called before the arguments of a read are looked at; whoever cannot read
        at all raises here.
        """

    def _unpack(self, form: struct.Struct) -> Any:
        return form.unpack(self._take(form.size))[0]

    def readBoolean(self) -> bool:
        """
        Read one byte: anything but zero is true.
        """
        return self._take(1) != b"\0"

    def readByte(self) -> int:
        """
        Read one byte, -128 to 127.
        """
        value: int = self._unpack(_signedByte)
        return value

    def readUnsignedByte(self) -> int:
        """
        Read one byte, 0 to 255.
        """
        return self._take(1)[0]

    def readShort(self) -> int:
        """
        Read two bytes, -32768 to 32767.
        """
        value: int = self._unpack(self._numbers.short)
        return value

    def readUnsignedShort(self) -> int:
        """
        Read two bytes, 0 to 65535.
        """
        value: int = self._unpack(self._numbers.unsignedShort)
        return value

    def readInt(self) -> int:
        """
        Read four bytes, -2147483648 to 2147483647.
        """
        value: int = self._unpack(self._numbers.int)
        return value

    def readUnsignedInt(self) -> int:
        """
        Read four bytes, 0 to 4294967295.
        """
        value: int = self._unpack(self._numbers.unsignedInt)
        return value

    def readInt64(self) -> int:
        """
        Read eight bytes, signed. OpenFL has it, Flash has not.
        """
        value: int = self._unpack(self._numbers.int64)
        return value

    def readFloat(self) -> float:
        """
        Read four bytes of IEEE 754; 76.65 comes back as 76.6500015258789.
        """
        value: float = self._unpack(self._numbers.float)
        return value

    def readDouble(self) -> float:
        """
        Read eight bytes of IEEE 754.
        """
        value: float = self._unpack(self._numbers.double)
        return value

    def readBytes(self, bytes: bytearray, offset: int = 0, length: int = 0) -> None:
        """
        Read bytes into an array.

        @param bytes: the array; it is filled up with zeros as far as
            C{offset + length}, even if nothing is read.
        @param offset: where in the array the bytes go.
        @param length: how many; 0 means all that are available.
        @raise EOFError: if fewer are available; the array stays as it was.
        @raise IndexError: if the place is not one of an array, whose length has
            32 bits.
        @raise TypeError: if C{bytes} is C{None}.
        """
        self._begin()
        if bytes is None:
            raise self._problems.null("bytes")
        length = length or self.bytesAvailable
        if not 0 <= offset <= _MAX_ARRAY_LENGTH - length:
            raise self._problems.outOfBounds()
        data = self._take(length)
        if len(bytes) < offset:
            bytes.extend(b"\0" * (offset - len(bytes)))
        bytes[offset : offset + len(data)] = data

    def readUTF(self) -> str:
        """
        Read text behind its length, an unsigned number of two bytes.

        @raise EOFError: if the text is not all there. The length has been taken
            then.
        """
        return self.readUTFBytes(self.readUnsignedShort())

    def readUTFBytes(self, length: int) -> str:
        """
        Read text.

        @param length: how many bytes to take. A byte order mark at their
            beginning is dropped, and the text ends at the first NUL.
        @return: the text; broken UTF-8 is read as
            L{openfl_twisted.wire.text.decodeUTF8} has it.
        @raise EOFError: if fewer are available; none are taken then.
        """
        data = self._take(length)
        return decodeUTF8(data.removeprefix(BYTE_ORDER_MARK).partition(b"\0")[0])

    def readMultiByte(self, length: int, charSet: str) -> str:
        """
        Read text in a named character set.

        @param length: how many bytes to take. The text ends at the first NUL
            character.
        @param charSet: see L{openfl_twisted.wire.text.decodeText}.
        @return: the text, as C{decodeText} reads it.
        @raise EOFError: if fewer are available; none are taken then.
        @raise TypeError: if C{charSet} is C{None}.
        """
        self._begin()
        if charSet is None:
            raise self._problems.null("charSet")
        return decodeText(self._take(length), charSet).partition("\0")[0]


class DataOutput(_ByteOrder):
    """
    The writing methods, for a class that gives C{_put}.
    """

    __slots__ = ()

    def _put(self, data: bytes | bytearray) -> None:
        """
        Add bytes.
        """
        raise NotImplementedError

    def _begin(self) -> None:
        """
        Called before the arguments of a write are looked at; whoever cannot
        write at all raises here.
        """

    def writeBoolean(self, value: object) -> None:
        """
        Write one byte: 1 for what is true, else 0.

        @param value: anything; what is true is as Python has it.
        """
        self._put(b"\1" if value else b"\0")

    def writeByte(self, value: float) -> None:
        """
        Write one byte: the low 8 bits of a number.

        @param value: any number. A fraction is cut off, and infinite ones and
            NaN are 0: ECMAScript's C{ToInt32}.
        """
        number = value if type(value) is int else _toInteger(value)
        self._put(_bytes[number & 0xFF])

    def writeShort(self, value: float) -> None:
        """
        Write two bytes: the low 16 bits of a number.

        @param value: any number; see L{writeByte}.
        """
        number = value if type(value) is int else _toInteger(value)
        self._put(self._numbers.unsignedShort.pack(number & 0xFFFF))

    def writeInt(self, value: float) -> None:
        """
        Write four bytes: the low 32 bits of a number.

        @param value: any number; see L{writeByte}.
        """
        number = value if type(value) is int else _toInteger(value)
        self._put(self._numbers.unsignedInt.pack(number & 0xFFFFFFFF))

    def writeUnsignedInt(self, value: float) -> None:
        """
        Write four bytes: the low 32 bits of a number, as C{writeInt} does.

        @param value: any number; see L{writeByte}. C{readUnsignedInt} reads -1
            as 4294967295.
        """
        self.writeInt(value)

    def writeInt64(self, value: float) -> None:
        """
        Write eight bytes: the low 64 bits of a number. OpenFL has it, Flash has
        not.

        @param value: any number; see L{writeByte}.
        """
        low = _toInteger(value) & 0xFFFFFFFFFFFFFFFF
        self._put(self._numbers.int64.pack(low - (low >> 63 << 64)))

    def writeFloat(self, value: float) -> None:
        """
        Write four bytes of IEEE 754: the nearest number there is, or infinity.

        @param value: any number, also infinite ones and NaN.
        """
        number = _toFloat(value)
        try:
            data = self._numbers.float.pack(number)
        except OverflowError:
            data = self._numbers.float.pack(math.copysign(math.inf, number))
        self._put(data)

    def writeDouble(self, value: float) -> None:
        """
        Write eight bytes of IEEE 754.

        @param value: any number; an integer that is too large is infinite.
        """
        pack = self._numbers.double.pack
        try:
            data = pack(value)
        except (OverflowError, struct.error):
            data = pack(_toFloat(value))
        self._put(data)

    def writeBytes(self, bytes: bytes | bytearray, offset: int = 0, length: int = 0) -> None:
        """
        Write a part of an array.

        @param bytes: the array.
        @param offset: where the part begins.
        @param length: how many bytes it has; 0 means all from C{offset} on.
        @raise IndexError: if the part is not inside the array.
        @raise TypeError: if C{bytes} is C{None}.
        """
        self._begin()
        if bytes is None:
            raise self._problems.null("bytes")
        end = offset + length if length else len(bytes)
        if not 0 <= offset <= end <= len(bytes):
            raise self._problems.outOfBounds()
        self._put(bytes[offset:end])

    def writeUTF(self, value: str) -> None:
        """
        Write text behind its length, an unsigned number of two bytes.

        @param value: any text; a lone surrogate is written as
            L{openfl_twisted.wire.text.encodeUTF8} has it.
        @raise IndexError: if the text has more than 65535 bytes; nothing is
            written then.
        @raise TypeError: if it is C{None}.
        """
        self._begin()
        if value is None:
            raise self._problems.null("value")
        data = encodeUTF8(value)
        if len(data) > MAX_UTF_LENGTH:
            raise self._problems.outOfBounds()
        self._put(self._numbers.unsignedShort.pack(len(data)) + data)

    def writeUTFBytes(self, value: str) -> None:
        """
        Write text, with neither length nor end.

        @param value: any text; see L{writeUTF}.
        @raise TypeError: if it is C{None}.
        """
        self._begin()
        if value is None:
            raise self._problems.null("value")
        self._put(encodeUTF8(value))

    def writeMultiByte(self, value: str, charSet: str) -> None:
        """
        Write text in a named character set.

        @param value: any text.
        @param charSet: see L{openfl_twisted.wire.text.encodeText}.
        @raise TypeError: if one of them is C{None}.
        """
        self._begin()
        if value is None or charSet is None:
            raise self._problems.null("value" if value is None else "charSet")
        self._put(encodeText(value, charSet))
