"""
C{ByteArray}, and the reading and writing methods that it shares with the sockets
(C{openfl.utils}).
"""

import codecs
import copyreg
import math
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, cast, runtime_checkable

from openfl_twisted import errors
from openfl_twisted.wire import compression
from openfl_twisted.wire.amf import codec
from openfl_twisted.wire.amf.values import AMFError, AMFLimits, ClassRegistry, ExternalizableError
from openfl_twisted.wire.dataio import (
    BIG_ENDIAN,
    LITTLE_ENDIAN,
    DataInput,
    DataOutput,
    Problems,
)
from openfl_twisted.wire.text import decodeUTF8, describeValue

_MAX_UINT = 0xFFFFFFFF

_SLOTS = ("_numbers", "_objectEncoding", "_position")

# The byte order marks that toString() drops, and the decoder for the text after each mark.
_byteOrderMarks: tuple[tuple[bytes, Callable[[bytes], str]], ...] = (
    (codecs.BOM_UTF8, decodeUTF8),
    (codecs.BOM_UTF16_LE, lambda data: data.decode("utf-16-le", "replace")),
    (codecs.BOM_UTF16_BE, lambda data: data.decode("utf-16-be", "replace")),
)


class Endian:
    """
    Byte orders.

    @cvar BIG_ENDIAN: the most significant byte first, the network byte order; the
        default of all methods that read or write.
    @cvar LITTLE_ENDIAN: the least significant byte first.
    """

    BIG_ENDIAN = BIG_ENDIAN
    LITTLE_ENDIAN = LITTLE_ENDIAN


class CompressionAlgorithm:
    """
    Compression formats.

    @cvar DEFLATE: raw compressed data (RFC 1951).
    @cvar LZMA: the C{.lzma} file format.
    @cvar ZLIB: C{DEFLATE} with a header and a checksum (RFC 1950).
    """

    DEFLATE = compression.DEFLATE
    LZMA = compression.LZMA
    ZLIB = compression.ZLIB


@runtime_checkable
class IDynamicPropertyOutput(Protocol):
    """
    The object to which an L{IDynamicPropertyWriter} writes members.
    """

    def writeDynamicProperty(self, name: str, value: Any) -> None:
        """
        Write a member of the object, or an additional member that the object does not have.

        @param value: the member's value.
        @raise OSError: if the name is empty or not text.
        """


@runtime_checkable
class IDynamicPropertyWriter(Protocol):
    """
    Selects which members of plain objects are sent; see L{ObjectEncoding}.
    """

    def writeDynamicProperties(self, obj: Any, output: IDynamicPropertyOutput) -> None:
        """
        Write the members of an object. Members that are not written are not sent.

        @param obj: the object.
        @param output: the destination; it accepts members only until this method returns.
        """


class ObjectEncoding:
    """
    AMF versions. OpenFL's own C{HXSF} and C{JSON} are not supported.

    @cvar dynamicPropertyWriter: called by each C{writeObject} for each plain object (a
        C{dict} or another C{Mapping}), but not for arrays and instances of registered
        classes. C{None}, the default, sends all members except functions.
    @cvar AMF0: the format of ActionScript 1 and 2.
    @cvar AMF3: the format of ActionScript 3.
    @cvar DEFAULT: the default version, C{AMF3}.
    """

    AMF0 = codec.AMF0
    AMF3 = codec.AMF3
    DEFAULT = codec.AMF3
    dynamicPropertyWriter: ClassVar[IDynamicPropertyWriter | None] = None


classAliases = ClassRegistry()
"""
The classes known to C{readObject} and C{writeObject}; see
C{openfl_twisted.net.registerClassAlias}.
"""


def _tooLong(length: int) -> errors.MemoryError:
    """
    Create the error for an invalid length of a C{ByteArray}.
    """
    words = f"a length must be from 0 to {_MAX_UINT - 1}, not {length}"
    return errors.MemoryError.numbered(1000, words=words)


class _FlashProblems(Problems):
    """
    Creates the exceptions that reading and writing methods raise, with Flash's error numbers.
    """

    @staticmethod
    def null(parameter: str) -> Exception:
        return errors.TypeError.numbered(2007, parameter)

    @staticmethod
    def notAccepted(parameter: str, words: str) -> Exception:
        return errors.ArgumentError.numbered(2008, parameter, words=words)

    @staticmethod
    def wrongType(text: str) -> Exception:
        return errors.TypeError(text)

    @staticmethod
    def outOfBounds(words: str) -> Exception:
        return errors.RangeError.numbered(2006, words=words)

    @staticmethod
    def endOfFile(words: str) -> Exception:
        return errors.EOFError.numbered(2030, words=words)


class _ObjectEncoding:
    __slots__ = ()

    _objectEncoding: int = codec.AMF3
    _problems: type[Problems] = _FlashProblems

    @property
    def objectEncoding(self) -> int:
        """
        The AMF version for objects: 0 or 3 (default). Any other value raises
        L{errors.ArgumentError} and is not stored.
        """
        return self._objectEncoding

    @objectEncoding.setter
    def objectEncoding(self, value: int) -> None:
        if value not in (codec.AMF0, codec.AMF3):
            raise self._problems.notAccepted(
                "objectEncoding",
                f"{describeValue(value)} must be ObjectEncoding.AMF0 or ObjectEncoding.AMF3:"
                f" {codec.AMF0} or {codec.AMF3}",
            )
        self._objectEncoding = value  # type: ignore[misc] # a slot of the subclasses


class IDataInput(_ObjectEncoding, DataInput):
    """
    The reading methods of L{ByteArray} and the sockets, with Flash's errors. A subclass
    implements C{_take}, C{bytesAvailable} and C{_window}.

    @cvar amfLimits: the limits of L{readObject}. To read larger values, override this
        attribute in a subclass, or set it on this class for the whole program.
    """

    __slots__ = ()

    amfLimits: ClassVar[AMFLimits] = AMFLimits()

    def _window(self) -> tuple[bytes | bytearray, int]:
        """
        Return the buffer to read objects from, and the position of the next object.
        """
        raise NotImplementedError

    def readObject(self) -> Any:
        """
        Read an AMF value; see L{openfl_twisted.wire.amf.values}. Classes are registered
        with C{registerClassAlias}; AMF's C{ByteArray} becomes a L{ByteArray}. A value
        takes at most 160 bytes of memory per encoded byte, not counting the program's
        own classes; see C{amfLimits}.

        @raise errors.EOFError: if the value is incomplete. No bytes are consumed, so the value
            can be read when the rest has been received.
        @raise errors.IOError: if the bytes are not an AMF value. The number is 2173 for an
            externalizable object whose class is not registered; Flash throws an
            C{ArgumentError} with this number.
        """
        data, position = self._window()
        try:
            value, end = codec.decode(
                data,
                position,
                objectEncoding=self.objectEncoding,
                registry=classAliases,
                limits=self.amfLimits,
                makeByteArray=ByteArray,
            )
        except EOFError:
            raise self._problems.endOfFile(
                "the AMF value is incomplete: read it again when more data is available"
            ) from None
        except ExternalizableError as error:
            raise errors.IOError.numbered(2173, error.alias, words=str(error)) from error
        except AMFError as error:
            raise errors.IOError(str(error)) from error
        self._take(end - position)
        return value


class IDataOutput(_ObjectEncoding, DataOutput):
    """
    The writing methods of L{ByteArray} and the sockets, with Flash's errors. A subclass
    implements C{_put}.
    """

    __slots__ = ()

    def writeObject(self, object: Any) -> None:
        """
        Write an AMF value; see L{openfl_twisted.wire.amf.values}. The members of plain
        objects can be selected with L{ObjectEncoding.dynamicPropertyWriter}.

        @raise errors.IOError: if the value cannot be encoded. In this case, nothing is written.
        """
        writer = ObjectEncoding.dynamicPropertyWriter
        try:
            data = codec.encode(
                object,
                objectEncoding=self.objectEncoding,
                registry=classAliases,
                writeDynamicProperties=None if writer is None else writer.writeDynamicProperties,
            )
        except AMFError as error:
            raise errors.IOError(str(error)) from error
        self._put(data)


class ByteArray(bytearray, IDataInput, IDataOutput):
    """
    An array of bytes with a position for reading and writing.

    It is a C{bytearray}: its length, slices, iteration, comparison and the buffer protocol are
    Python's. Copies and pickles keep the bytes, the position, the byte order and the object
    encoding. As in Flash, getting an item past the end returns C{None}, and setting an item
    past the end extends the array with zeros.

    @cvar defaultObjectEncoding: the AMF version of new arrays.
    @cvar defaultEndian: the byte order of new arrays (default: big-endian, as in Flash).
        OpenFL has the same attribute with another default.
    @cvar maxUncompressed: maximum size of the result of C{uncompress} (bytes).
    """

    # An AMF value can contain a million arrays; if each had a dictionary, an array would take 450
    # bytes.
    __slots__ = ("__weakref__", *_SLOTS)

    defaultObjectEncoding: ClassVar[int] = codec.AMF3
    defaultEndian: ClassVar[str] = BIG_ENDIAN
    maxUncompressed: ClassVar[int] = compression.MAX_UNCOMPRESSED

    def __init__(self, length: int | bytes | bytearray | memoryview = 0) -> None:
        """
        @param length: the initial number of zeros (an extension of OpenFL), or the
            initial bytes.
        """
        try:
            super().__init__(length)
        except TypeError:
            hint = ": write text with writeUTFBytes" if isinstance(length, str) else ""
            raise self._problems.wrongType(
                "ByteArray: length must be an integer or bytes, not " + describeValue(length) + hint
            ) from None
        self._position = 0
        self.endian = self.defaultEndian
        self.objectEncoding = self.defaultObjectEncoding

    @property
    def length(self) -> int:
        """
        The number of bytes. Setting a greater length adds zeros; setting a smaller length
        truncates the array. A position past the new length is moved to the end.

        @raise errors.MemoryError: if not enough memory is available.
        """
        return len(self)

    @length.setter
    def length(self, value: int) -> None:
        if not isinstance(value, int):
            raise self._notInteger("length", value)
        # Flash's length is unsigned: a negative value is very large.
        if not 0 <= value < _MAX_UINT:
            raise _tooLong(value)
        if value <= len(self):
            del self[value:]
        else:
            self._grow(value)
        self._position = min(self._position, value)

    def _grow(self, length: int) -> None:
        """
        Append zeros until the array has a given length.
        """
        if length >= _MAX_UINT:
            raise _tooLong(length)
        try:
            self += bytes(length - len(self))
        except MemoryError:
            raise errors.MemoryError.numbered(
                1000, words=f"the ByteArray needs {length} bytes"
            ) from None

    def _notInteger(self, name: str, value: object) -> Exception:
        return self._problems.wrongType(f"{name} must be an integer, not {describeValue(value)}")

    @property
    def position(self) -> int:
        """
        The position of the next read or write. The position can be past the end, up to
        4294967295.
        """
        return self._position

    @position.setter
    def position(self, value: int) -> None:
        try:
            self._position = value & _MAX_UINT
        except TypeError:
            raise self._notInteger("position", value) from None

    @property
    def bytesAvailable(self) -> int:
        return max(0, len(self) - self._position)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return super().__getitem__(index)
        try:
            return super().__getitem__(index)
        except IndexError:
            return None

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(index, slice):
            super().__setitem__(index, value)
            return
        try:
            isFinite = isinstance(value, int) or math.isfinite(value)
        except TypeError:
            raise self._problems.wrongType(
                f"an item must be a number, not {describeValue(value)}"
            ) from None
        try:
            isOutside = index >= len(self)
        except TypeError:
            raise self._notInteger("an index", index) from None
        if isOutside:
            self._grow(index + 1)
        super().__setitem__(index, int(value) & 0xFF if isFinite else 0)

    def clear(self) -> None:
        super().clear()
        self._position = 0

    def toString(self) -> str:
        """
        Decode the whole array as text, in the encoding of its byte order mark or in UTF-8. The
        position is unchanged.
        """
        data = bytes(self)
        for mark, decode in _byteOrderMarks:
            if data.startswith(mark):
                return decode(data[len(mark) :])
        return decodeUTF8(data)

    __str__ = toString

    def __repr__(self) -> str:
        return f"<ByteArray of {len(self)} bytes at {self._position}>"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # The slots of this class, and all attributes of a subclass.
        attributes, slots = cast("Any", super().__getstate__())
        own = {name: value for name, value in slots.items() if name not in _SLOTS}
        state = (bytes(self), self._position, self.endian, self.objectEncoding, attributes, own)
        return getattr(copyreg, "__newobj__"), (type(self),), state  # noqa: B009 # not in typeshed

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        data, self._position, self.endian, self.objectEncoding, attributes, own = state
        self._replace(data)
        if attributes:
            self.__dict__.update(attributes)
        for name, value in own.items():
            setattr(self, name, value)

    # Reading and writing

    def _take(self, length: int) -> bytes:
        start = self._position
        end = start + length
        if length < 0 or end > len(self):
            raise self._endOfFile(length)
        data = bytes(super().__getitem__(slice(start, end)))
        self._position = end
        return data

    def _unpack(self, form: Any) -> Any:
        start = self._position
        end = start + form.size
        if end > len(self):
            raise self._endOfFile(form.size)
        self._position = end
        return form.unpack_from(self, start)[0]

    def _window(self) -> tuple[bytes | bytearray, int]:
        return self, self._position

    def _put(self, data: bytes | bytearray) -> None:
        if not data:
            return
        start = self._position
        self._position = end = start + len(data)
        if start == len(self):
            self += data
            return
        if start > len(self):
            self._grow(start)
        super().__setitem__(slice(start, end), data)

    # Compressing

    def compress(self, algorithm: str = compression.ZLIB) -> None:
        """
        Compress the whole array. The position moves to the end.

        @param algorithm: one of L{CompressionAlgorithm}.
        @raise errors.IOError: if the algorithm is unknown.
        """
        self._checkAlgorithm(algorithm)
        if self:
            self._replace(compression.compress(self, algorithm))
            self._position = len(self)

    def uncompress(self, algorithm: str = compression.ZLIB) -> None:
        """
        Uncompress the whole array. The position moves to 0.

        @param algorithm: one of L{CompressionAlgorithm}.
        @raise errors.IOError: if the algorithm is unknown, the data is corrupt, or the
            result exceeds C{maxUncompressed}. In this case, the array is unchanged.
        """
        self._checkAlgorithm(algorithm)
        # Flash ignores data that is too short for an LZMA header.
        if not self or (algorithm == compression.LZMA and len(self) < compression.LZMA_HEADER):
            return
        try:
            data = compression.uncompress(self, algorithm, self.maxUncompressed)
        except compression.CompressionError as error:
            raise errors.IOError.numbered(2058, words=f"{algorithm}: {error}") from error
        self._replace(data)
        self._position = 0

    def deflate(self) -> None:
        """
        Compress the whole array to raw DEFLATE.
        """
        self.compress(compression.DEFLATE)

    def inflate(self) -> None:
        """
        Uncompress the whole array from raw DEFLATE.
        """
        self.uncompress(compression.DEFLATE)

    def _checkAlgorithm(self, algorithm: str) -> None:
        if algorithm is None:
            raise self._problems.null("algorithm")
        if algorithm not in compression.ALGORITHMS:
            raise errors.IOError.numbered(
                2058,
                words=f"{describeValue(algorithm)} must be one of CompressionAlgorithm:"
                f" {', '.join(map(repr, compression.ALGORITHMS))}",
            )

    def _replace(self, data: bytes) -> None:
        super().__setitem__(slice(None), data)


@runtime_checkable
class IExternalizable(Protocol):
    """
    An object that encodes and decodes itself in AMF. Its class must be registered with
    C{registerClassAlias}, and is instantiated without arguments.
    """

    def readExternal(self, input: Any) -> None:
        """
        Read the object's own data.

        @param input: has the methods of L{IDataInput}.
        """

    def writeExternal(self, output: Any) -> None:
        """
        Write the object's own data.

        @param output: has the methods of L{IDataOutput}.
        """
