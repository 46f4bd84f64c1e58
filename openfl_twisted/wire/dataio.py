"""
The numbers and strings of C{IDataInput} and C{IDataOutput}.

L{DataInput} and L{DataOutput} are mixins for classes that contain bytes. A subclass implements
the access to the bytes.

The default byte order is big-endian. Names, ranges and the order of checks are the same as in
Flash (avmplus, C{core/DataIO.cpp} and C{core/ByteArrayGlue.cpp}).
"""

import math
import struct
from typing import Any, Final

from openfl_twisted.wire.text import (
    BYTE_ORDER_MARK,
    decodeText,
    decodeUTF8,
    describeValue,
    encodeText,
    encodeUTF8,
)

BIG_ENDIAN: Final = "bigEndian"
"""
The most significant byte first (default): C{Endian.BIG_ENDIAN} of Flash.
"""

LITTLE_ENDIAN: Final = "littleEndian"
"""
The least significant byte first: C{Endian.LITTLE_ENDIAN} of Flash.
"""

_MAX_UTF_LENGTH = 0xFFFF
"""
Maximum length of the text for C{writeUTF} (bytes): the length field has 16 bits.
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

_BINARY = (bytes, bytearray)

# The bytes object for each byte value.
_bytes = [bytes((number,)) for number in range(256)]


class Problems:
    """
    Creates the exceptions that L{DataInput} and L{DataOutput} raise. This class creates
    Python's built-in exceptions. A subclass can create other exceptions.
    """

    @staticmethod
    def null(parameter: str) -> Exception:
        """
        Create the exception for a parameter that is C{None}.

        @return: a C{TypeError}; Flash throws error #2007.
        """
        return TypeError(f"{parameter} must be non-null")

    @staticmethod
    def notAccepted(parameter: str, words: str) -> Exception:
        """
        Create the exception for a parameter with an unknown value.

        @param words: the value, and the accepted values.
        @return: a C{ValueError}; Flash throws error #2008, an C{ArgumentError}.
        """
        return ValueError(f"{parameter}: {words}")

    @staticmethod
    def wrongType(text: str) -> Exception:
        """
        Create the exception for a parameter of the wrong type.

        @param text: the method, the value, and a hint.
        @return: a C{TypeError}; Flash converts the value, or throws error #1034.
        """
        return TypeError(text)

    @staticmethod
    def outOfBounds(words: str) -> Exception:
        """
        Create the exception for an index outside an array, or for text that is too long
        for its length field.

        @param words: the value, and the rule.
        @return: an C{IndexError}; Flash throws error #2006, a C{RangeError}.
        """
        return IndexError(words)

    @staticmethod
    def endOfFile(words: str) -> Exception:
        """
        Create the exception for a read of more bytes than are available.

        @param words: the number of bytes, and the remedy.
        @return: an C{EOFError}; Flash throws error #2030.
        """
        return EOFError(words)


def outside(offset: int, length: int, available: int) -> str:
    """
    Describe a part that is not inside an array.

    @param offset: the beginning of the part.
    @param length: the length of the part; 0 for the rest of the array.
    @param available: the length of the array.
    @return: the words for an error.
    """
    end = f" and length {length}" if length else ""
    return f"offset {offset}{end} must be inside the array of {available} bytes"


class _ByteOrder:
    # Empty slots allow subclasses without an instance dictionary, such as ByteArray.
    __slots__ = ()

    _numbers = _bigEndian
    _problems: type[Problems] = Problems

    def _notIndex(self, method: str, offset: object, length: object) -> Exception:
        """
        Create the exception for an offset or a length that is not an integer.
        """
        return self._problems.wrongType(
            f"{method}: offset and length must be integers, not {describeValue(offset)} and"
            f" {describeValue(length)}"
        )

    @property
    def endian(self) -> str:
        """
        The byte order of numbers: L{BIG_ENDIAN} (default) or L{LITTLE_ENDIAN}. Any other value
        is refused, and the byte order stays unchanged.
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
            raise self._problems.notAccepted(
                "endian",
                f"{describeValue(value)} must be Endian.BIG_ENDIAN or Endian.LITTLE_ENDIAN:"
                f" {BIG_ENDIAN!r} or {LITTLE_ENDIAN!r}",
            )


class DataInput(_ByteOrder):
    """
    The reading methods. A subclass implements C{_take} and C{bytesAvailable}.

    If too few bytes are available, a method raises C{EOFError} and consumes no bytes. C{readUTF}
    differs: it may already have consumed the length field, as in Flash. Exceptions are created
    by L{Problems} or a subclass.
    """

    __slots__ = ()

    @property
    def bytesAvailable(self) -> int:
        """
        Number of bytes that can be read.
        """
        raise NotImplementedError

    def _take(self, length: int) -> bytes:
        """
        Consume the next bytes.

        @return: exactly C{length} bytes.
        @raise EOFError: if fewer bytes are available. In this case, no bytes are consumed.
        """
        raise NotImplementedError

    def _endOfFile(self, length: int) -> Exception:
        """
        Create the exception for a read of more bytes than are available.

        @param length: the number of bytes to read.
        """
        if length < 0:
            return self._problems.endOfFile(f"the length must be from 0, not {length}")
        available = self.bytesAvailable
        return self._problems.endOfFile(
            f"{length} byte{'s' * (length != 1)} to read, {available} available: check"
            " bytesAvailable first"
        )

    def _notLength(self, method: str, length: object, error: TypeError) -> Exception:
        """
        Create the exception for a length that is not an integer.

        @param error: the exception that was raised; returned if the length is an integer.
        """
        if isinstance(length, int):
            return error
        return self._problems.wrongType(
            f"{method}: the length must be an integer, not {describeValue(length)}"
        )

    def _begin(self) -> None:
        """
        Called before a reading method checks its arguments. A subclass that is not readable
        raises an exception in this method.
        """

    def _unpack(self, form: struct.Struct) -> Any:
        return form.unpack(self._take(form.size))[0]

    def readBoolean(self) -> bool:
        """
        Read one byte: false for zero, true for any other value.
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
        Read eight bytes, signed. OpenFL has this method, Flash does not.
        """
        value: int = self._unpack(self._numbers.int64)
        return value

    def readFloat(self) -> float:
        """
        Read a 32-bit IEEE 754 number. The number written by C{writeFloat(76.65)} is read as
        76.6500015258789.
        """
        value: float = self._unpack(self._numbers.float)
        return value

    def readDouble(self) -> float:
        """
        Read a 64-bit IEEE 754 number.
        """
        value: float = self._unpack(self._numbers.double)
        return value

    def readBytes(self, bytes: bytearray, offset: int = 0, length: int = 0) -> None:
        """
        Read bytes into an array.

        @param bytes: the array. The array is padded with zeros to C{offset + length}, even if
            no bytes are read.
        @param offset: position in the array at which the bytes are stored (default 0).
        @param length: number of bytes; 0 for all available bytes (default).
        @raise EOFError: if fewer bytes are available. In this case, the array is unchanged.
        @raise IndexError: if the position is negative, or the array would be longer
            than 4294967295 bytes.
        @raise TypeError: if C{bytes} is C{None}, or not a C{bytearray}.
        """
        self._begin()
        if not isinstance(bytes, bytearray):
            if bytes is None:
                raise self._problems.null("bytes")
            raise self._problems.wrongType(
                "readBytes: bytes must be the ByteArray or bytearray that receives the data, not "
                + describeValue(bytes)
            )
        length = length or self.bytesAvailable
        try:
            isInside = 0 <= offset <= _MAX_ARRAY_LENGTH - length
        except TypeError:
            raise self._notIndex("readBytes", offset, length) from None
        if not isInside:
            raise self._problems.outOfBounds(
                f"the offset {offset} must be from 0 to {_MAX_ARRAY_LENGTH} minus the length"
            )
        try:
            data = self._take(length)
        except TypeError as error:
            raise self._notLength("readBytes", length, error) from None
        if len(bytes) < offset:
            bytes.extend(b"\0" * (offset - len(bytes)))
        bytes[offset : offset + len(data)] = data

    def readUTF(self) -> str:
        """
        Read text that is prefixed with its length, an unsigned number of two bytes.

        @raise EOFError: if the text is incomplete. If the length field is complete, it has been
            consumed.
        """
        return self.readUTFBytes(self.readUnsignedShort())

    def readUTFBytes(self, length: int) -> str:
        """
        Read text in UTF-8.

        @param length: number of bytes. A byte order mark at the beginning is dropped,
            and the text ends at the first NUL.
        @return: the text; for invalid UTF-8 see
            L{openfl_twisted.wire.text.decodeUTF8}.
        @raise EOFError: if fewer bytes are available. In this case, no bytes are consumed.
        """
        try:
            data = self._take(length)
        except TypeError as error:
            raise self._notLength("readUTFBytes", length, error) from None
        return decodeUTF8(data.removeprefix(BYTE_ORDER_MARK).partition(b"\0")[0])

    def readMultiByte(self, length: int, charSet: str) -> str:
        """
        Read text in a named character set.

        @param length: number of bytes. The text ends at the first NUL character.
        @param charSet: see L{openfl_twisted.wire.text.decodeText}.
        @raise EOFError: if fewer bytes are available. In this case, no bytes are consumed.
        @raise TypeError: if C{charSet} is C{None}.
        """
        self._begin()
        if charSet is None:
            raise self._problems.null("charSet")
        try:
            data = self._take(length)
        except TypeError as error:
            raise self._notLength("readMultiByte", length, error) from None
        return decodeText(data, charSet).partition("\0")[0]


class DataOutput(_ByteOrder):
    """
    The writing methods. A subclass implements C{_put}.
    """

    __slots__ = ()

    def _put(self, data: bytes | bytearray) -> None:
        """
        Append bytes to the destination.
        """
        raise NotImplementedError

    def _begin(self) -> None:
        """
        Called before a writing method checks its arguments. A subclass that is not writable
        raises an exception in this method.
        """

    def _toInteger(self, value: float, method: str) -> int:
        """
        Convert a number to an integer, like the first step of ECMAScript's ToInt32: the fraction
        is dropped, and NaN and infinity become zero.

        @param method: the name of the writing method, for the exception.
        """
        if isinstance(value, int):
            return value
        try:
            return int(value) if math.isfinite(value) else 0
        except TypeError:
            raise self._notNumber(value, method, "int") from None

    def _toFloat(self, value: float, method: str) -> float:
        """
        Convert a number to a float. As in ECMAScript, an integer that is too large becomes
        infinity.

        @param method: the name of the writing method, for the exception.
        """
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
        except (TypeError, ValueError):
            raise self._notNumber(value, method, "float") from None

    def _notNumber(self, value: object, method: str, conversion: str) -> Exception:
        return self._problems.wrongType(
            f"{method}: value must be a number, not {describeValue(value)}: convert text with"
            f" {conversion}()"
        )

    def _notText(self, value: object, method: str, parameter: str = "value") -> Exception:
        hint = "convert it with str()"
        if isinstance(value, _BINARY):
            hint = "write bytes with writeBytes"
        return self._problems.wrongType(
            f"{method}: {parameter} must be text, not {describeValue(value)}: {hint}"
        )

    def writeBoolean(self, value: object) -> None:
        """
        Write one byte: 1 for a true value, 0 for a false value.

        @param value: any value; its truth is tested as in Python.
        """
        self._put(b"\1" if value else b"\0")

    def writeByte(self, value: float) -> None:
        """
        Write one byte: the low 8 bits of a number.

        @param value: any number. As in ECMAScript's C{ToInt32}, a fraction is dropped,
            and NaN and infinity become 0.
        @raise TypeError: if the value is not a number. In this case, nothing is written.
        """
        number = value if type(value) is int else self._toInteger(value, "writeByte")
        self._put(_bytes[number & 0xFF])

    def writeShort(self, value: float) -> None:
        """
        Write two bytes: the low 16 bits of a number.

        @param value: any number; see L{writeByte}.
        """
        number = value if type(value) is int else self._toInteger(value, "writeShort")
        self._put(self._numbers.unsignedShort.pack(number & 0xFFFF))

    def writeInt(self, value: float) -> None:
        """
        Write four bytes: the low 32 bits of a number.

        @param value: any number; see L{writeByte}.
        """
        number = value if type(value) is int else self._toInteger(value, "writeInt")
        self._put(self._numbers.unsignedInt.pack(number & 0xFFFFFFFF))

    def writeUnsignedInt(self, value: float) -> None:
        """
        Write four bytes: the low 32 bits of a number, like C{writeInt}.

        @param value: any number; see L{writeByte}. C{readUnsignedInt} reads a written -1 as
            4294967295.
        """
        number = value if type(value) is int else self._toInteger(value, "writeUnsignedInt")
        self._put(self._numbers.unsignedInt.pack(number & 0xFFFFFFFF))

    def writeInt64(self, value: float) -> None:
        """
        Write eight bytes: the low 64 bits of a number. OpenFL has this method, Flash does
        not.

        @param value: any number; see L{writeByte}.
        """
        low = self._toInteger(value, "writeInt64") & 0xFFFFFFFFFFFFFFFF
        self._put(self._numbers.int64.pack(low - (low >> 63 << 64)))

    def writeFloat(self, value: float) -> None:
        """
        Write the nearest 32-bit IEEE 754 number; infinity if the number is too large.

        @param value: any number, including infinity and NaN.
        @raise TypeError: if the value is not a number. In this case, nothing is written.
        """
        number = self._toFloat(value, "writeFloat")
        try:
            data = self._numbers.float.pack(number)
        except OverflowError:
            data = self._numbers.float.pack(math.copysign(math.inf, number))
        self._put(data)

    def writeDouble(self, value: float) -> None:
        """
        Write a 64-bit IEEE 754 number.

        @param value: any number; an integer that is too large becomes infinity.
        @raise TypeError: if the value is not a number. In this case, nothing is written.
        """
        pack = self._numbers.double.pack
        try:
            data = pack(value)
        except (OverflowError, struct.error):
            data = pack(self._toFloat(value, "writeDouble"))
        self._put(data)

    def writeBytes(self, bytes: bytes | bytearray, offset: int = 0, length: int = 0) -> None:
        """
        Write part of an array.

        @param offset: beginning of the part (default 0).
        @param length: length of the part; 0 for the rest of the array (default).
        @raise IndexError: if the part is not inside the array.
        @raise TypeError: if C{bytes} is C{None}, text, or anything else that does not contain
            bytes.
        """
        self._begin()
        if not isinstance(bytes, _BINARY):
            bytes = self._toBinary(bytes)
        try:
            end = offset + length if length else len(bytes)
            isInside = 0 <= offset <= end <= len(bytes)
        except TypeError:
            raise self._notIndex("writeBytes", offset, length) from None
        if not isInside:
            raise self._problems.outOfBounds(outside(offset, length, len(bytes)))
        self._put(bytes[offset:end])

    def _toBinary(self, bytes: Any) -> bytes:
        """
        Copy the bytes of an object with the buffer protocol, such as C{array.array}.
        """
        if bytes is None:
            raise self._problems.null("bytes")
        try:
            return memoryview(bytes).tobytes()
        except TypeError:
            hint = ": write text with writeUTFBytes" if isinstance(bytes, str) else ""
            raise self._problems.wrongType(
                "writeBytes: bytes must be a ByteArray or bytes, not " + describeValue(bytes) + hint
            ) from None

    def writeUTF(self, value: str) -> None:
        """
        Write text, prefixed with its length, an unsigned number of two bytes.

        @param value: any text; for lone surrogates see
            L{openfl_twisted.wire.text.encodeUTF8}.
        @raise IndexError: if the text has more than 65535 bytes. In this case, no bytes are
            written.
        @raise TypeError: if the value is C{None}, or not text.
        """
        self._begin()
        if value is None:
            raise self._problems.null("value")
        try:
            data = encodeUTF8(value)
        except AttributeError:
            raise self._notText(value, "writeUTF") from None
        if len(data) > _MAX_UTF_LENGTH:
            raise self._problems.outOfBounds(
                f"the text has {len(data)} bytes, and writeUTF writes at most {_MAX_UTF_LENGTH}:"
                " use writeUTFBytes after writeInt with the length"
            )
        self._put(self._numbers.unsignedShort.pack(len(data)) + data)

    def writeUTFBytes(self, value: str) -> None:
        """
        Write text without a length and without a terminator.

        @param value: any text; see L{writeUTF}.
        @raise TypeError: if the value is C{None}, or not text.
        """
        self._begin()
        if value is None:
            raise self._problems.null("value")
        try:
            data = encodeUTF8(value)
        except AttributeError:
            raise self._notText(value, "writeUTFBytes") from None
        self._put(data)

    def writeMultiByte(self, value: str, charSet: str) -> None:
        """
        Write text in a named character set.

        @param value: any text.
        @param charSet: see L{openfl_twisted.wire.text.encodeText}.
        @raise TypeError: if a parameter is C{None}, or not text.
        """
        self._begin()
        if value is None or charSet is None:
            raise self._problems.null("value" if value is None else "charSet")
        # Some codecs convert any object with str().
        if not isinstance(value, str):
            raise self._notText(value, "writeMultiByte")
        if not isinstance(charSet, str):
            raise self._notText(charSet, "writeMultiByte", "charSet")
        self._put(encodeText(value, charSet))
