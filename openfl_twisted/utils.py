"""
What C{openfl.utils} has: C{ByteArray}, and what it shares with the sockets.
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
from openfl_twisted.wire.text import decodeUTF8

_MAX_UINT = 0xFFFFFFFF

_SLOTS = ("_numbers", "_objectEncoding", "_position")

# What toString() drops, and how it reads the rest.
_marks: tuple[tuple[bytes, Callable[[bytes], str]], ...] = (
    (codecs.BOM_UTF8, decodeUTF8),
    (codecs.BOM_UTF16_LE, lambda data: data.decode("utf-16-le", "replace")),
    (codecs.BOM_UTF16_BE, lambda data: data.decode("utf-16-be", "replace")),
)


class Endian:
    """
    Byte orders.

    @cvar BIG_ENDIAN: the highest byte first, as in the network; the default of
        all that reads and writes here.
    @cvar LITTLE_ENDIAN: the lowest byte first.
    """

    BIG_ENDIAN = BIG_ENDIAN
    LITTLE_ENDIAN = LITTLE_ENDIAN


class CompressionAlgorithm:
    """
    Ways to compress.

    @cvar DEFLATE: the bare compressed data (RFC 1951).
    @cvar LZMA: a file as C{.lzma} has it.
    @cvar ZLIB: the same as C{DEFLATE}, with a header and a checksum (RFC 1950).
    """

    DEFLATE = compression.DEFLATE
    LZMA = compression.LZMA
    ZLIB = compression.ZLIB


@runtime_checkable
class IDynamicPropertyOutput(Protocol):
    """
    What an L{IDynamicPropertyWriter} writes the members of one object to.
    """

    def writeDynamicProperty(self, name: str, value: Any) -> None:
        """
        Write a member. It need not be one that the object has.

        @param name: its name.
        @param value: its value.
        @raise OSError: if the name is not text, or empty.
        """


@runtime_checkable
class IDynamicPropertyWriter(Protocol):
    """
    An object that decides which members of other objects are sent; see
    L{ObjectEncoding}.
    """

    def writeDynamicProperties(self, obj: Any, output: IDynamicPropertyOutput) -> None:
        """
        Write the members of an object. What is not written is not sent.

        @param obj: the object.
        @param output: takes its members until this method returns.
        """


class ObjectEncoding:
    """
    Versions of AMF. OpenFL's own C{HXSF} and C{JSON} are not spoken here.

    @cvar dynamicPropertyWriter: asked by every C{writeObject} for the members
        of each plain object, a C{dict} or another C{Mapping}, but not of arrays
        and of objects of a class; C{None}, the default, to send all members
        that are no functions.
    @cvar AMF0: the format of ActionScript 1 and 2.
    @cvar AMF3: the format of ActionScript 3.
    @cvar DEFAULT: what is taken if nobody says otherwise: C{AMF3}.
    """

    AMF0 = codec.AMF0
    AMF3 = codec.AMF3
    DEFAULT = codec.AMF3
    dynamicPropertyWriter: ClassVar[IDynamicPropertyWriter | None] = None


classAliases = ClassRegistry()
"""
The classes that every C{readObject} and C{writeObject} knows; see
C{openfl_twisted.net.registerClassAlias}.
"""


class _FlashProblems(Problems):
    """
    The errors of reading and writing, with Flash's numbers.
    """

    @staticmethod
    def null(parameter: str) -> Exception:
        return errors.TypeError.numbered(2007, parameter)

    @staticmethod
    def notAccepted(parameter: str) -> Exception:
        return errors.ArgumentError.numbered(2008, parameter)

    @staticmethod
    def outOfBounds() -> Exception:
        return errors.RangeError.numbered(2006)

    @staticmethod
    def endOfFile() -> Exception:
        return errors.EOFError()


class _ObjectEncoding:
    __slots__ = ()

    _objectEncoding: int = codec.AMF3
    _problems: type[Problems] = _FlashProblems

    @property
    def objectEncoding(self) -> int:
        """
        The version of AMF for objects: 0 or 3 (the default). Another is an
        L{errors.ArgumentError}, and the version stays as it was.
        """
        return self._objectEncoding

    @objectEncoding.setter
    def objectEncoding(self, value: int) -> None:
        if value not in (codec.AMF0, codec.AMF3):
            raise self._problems.notAccepted("objectEncoding")
        self._objectEncoding = value  # type: ignore[misc] # subclasses have the slot


class IDataInput(_ObjectEncoding, DataInput):
    """
    The reading methods, with Flash's errors, of whatever has bytes:
    L{ByteArray} and the sockets. A class that wants them gives C{_take},
    C{bytesAvailable} and C{_window}.

    @cvar amfLimits: the limits of L{readObject}. Override it in a subclass, or
        set it here for the whole program, to read larger values.
    """

    __slots__ = ()

    amfLimits: ClassVar[AMFLimits] = AMFLimits()

    def _window(self) -> tuple[bytes | bytearray, int]:
        """
        Get the bytes to read objects from, and where the next one begins.
        """
        raise NotImplementedError

    def readObject(self) -> Any:
        """
        Read a value in AMF, see L{openfl_twisted.wire.amf.values}. Classes are known by
        C{registerClassAlias}; a C{ByteArray} is a L{ByteArray}. The value takes at
        most 160 bytes of memory for each of its bytes, besides what the
        program's own classes take; see C{amfLimits}.

        @raise errors.EOFError: if the value is not all there; nothing is taken
            then, so that it can be read when the rest has come.
        @raise errors.IOError: if the bytes are no such value. It is #2173 for an
            object that only its class can read, if this class is not
            registered; Flash throws an C{ArgumentError} with this number.
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
            raise self._problems.endOfFile() from None
        except ExternalizableError as error:
            told = errors.IOError.numbered(2173, error.alias)
            raise errors.IOError(f"{told} ({error})", told.errorID) from error
        except AMFError as error:
            raise errors.IOError(str(error)) from error
        self._take(end - position)
        return value


class IDataOutput(_ObjectEncoding, DataOutput):
    """
    The writing methods, with Flash's errors, of whatever takes bytes:
    L{ByteArray} and the sockets. A class that wants them gives C{_put}.
    """

    __slots__ = ()

    def writeObject(self, object: Any) -> None:
        """
        Write a value in AMF, see L{openfl_twisted.wire.amf.values}. The members of
        plain objects are those that L{ObjectEncoding} has written.

        @param object: the value.
        @raise errors.IOError: if it has no such form; nothing is written then.
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
    An array of bytes with a position, at which it is read and written.

    It is a C{bytearray}: its length, slices, iteration, comparison and the
    buffer protocol are Python's. Copies and pickles of it keep the bytes, the
    position, the byte order and the object encoding. As in Flash, an index behind the end gives
    C{None}, and setting it extends the array with zeros.

    @cvar defaultObjectEncoding: the version of AMF of new arrays.
    @cvar defaultEndian: the byte order of new arrays. OpenFL has this; Flash is
        always big endian at first, and so is this class, other than OpenFL's.
    @cvar maxUncompressed: the most bytes that C{uncompress} makes.
    """

    # A value in AMF can contain a million of these; with a dictionary each, they take 450 bytes.
    __slots__ = ("__weakref__", *_SLOTS)

    defaultObjectEncoding: ClassVar[int] = codec.AMF3
    defaultEndian: ClassVar[str] = BIG_ENDIAN
    maxUncompressed: ClassVar[int] = compression.MAX_UNCOMPRESSED

    def __init__(self, length: int | bytes | bytearray | memoryview = 0) -> None:
        """
        @param length: how many zeros the array has at first (OpenFL has this),
            or its bytes.
        """
        super().__init__(length)
        self._position = 0
        self.endian = self.defaultEndian
        self.objectEncoding = self.defaultObjectEncoding

    # What an array is

    @property
    def length(self) -> int:
        """
        The number of bytes. A greater length adds zeros, a smaller one cuts the
        array. A position beyond the new length is moved to the end.

        @raise errors.MemoryError: if there is not so much memory.
        """
        return len(self)

    @length.setter
    def length(self, value: int) -> None:
        # Flash's length has no sign: less than 0 is far too much.
        if not 0 <= value < _MAX_UINT:
            raise errors.MemoryError.numbered(1000)
        if value <= len(self):
            del self[value:]
        else:
            self._grow(value)
        self._position = min(self._position, value)

    def _grow(self, length: int) -> None:
        """
        Add zeros up to a length. The position stays.
        """
        if length >= _MAX_UINT:
            raise errors.MemoryError.numbered(1000)
        try:
            self += bytes(length - len(self))
        except MemoryError:
            raise errors.MemoryError.numbered(1000) from None

    @property
    def position(self) -> int:
        """
        Where the next read or write begins. It can stand behind the end, up to
        4294967295.
        """
        return self._position

    @position.setter
    def position(self, value: int) -> None:
        self._position = value & _MAX_UINT

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
        if index >= len(self):
            self._grow(index + 1)
        isFinite = isinstance(value, int) or math.isfinite(value)
        super().__setitem__(index, int(value) & 0xFF if isFinite else 0)

    def clear(self) -> None:
        """
        Drop all bytes.
        """
        super().clear()
        self._position = 0

    def toString(self) -> str:
        """
        Read the whole array as text: UTF-8, or what a byte order mark at its
        beginning says. The position stays.
        """
        data = bytes(self)
        for mark, decode in _marks:
            if data.startswith(mark):
                return decode(data[len(mark) :])
        return decodeUTF8(data)

    __str__ = toString

    def __repr__(self) -> str:
        return f"<ByteArray of {len(self)} bytes at {self._position}>"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        # What is in the slots of this class, and all attributes of a subclass.
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
            raise self._problems.endOfFile()
        self._position = end
        return bytes(super().__getitem__(slice(start, end)))

    def _unpack(self, form: Any) -> Any:
        start = self._position
        end = start + form.size
        if end > len(self):
            raise self._problems.endOfFile()
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
        Compress the whole array. The position is then at its end.

        @param algorithm: one of L{CompressionAlgorithm}.
        @raise errors.IOError: if there is no such algorithm.
        """
        self._checkAlgorithm(algorithm)
        if self:
            self._replace(compression.compress(self, algorithm))
            self._position = len(self)

    def uncompress(self, algorithm: str = compression.ZLIB) -> None:
        """
        Uncompress the whole array. The position is then 0.

        @param algorithm: one of L{CompressionAlgorithm}.
        @raise errors.IOError: if there is no such algorithm, if the bytes are
            corrupt, or if they make more than C{maxUncompressed}; the array
            stays as it was.
        """
        self._checkAlgorithm(algorithm)
        # Flash leaves alone what is too short for the header of LZMA.
        if not self or (algorithm == compression.LZMA and len(self) < compression.LZMA_HEADER):
            return
        try:
            data = compression.uncompress(self, algorithm, self.maxUncompressed)
        except compression.CompressionError as error:
            raise errors.IOError.numbered(2058) from error
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
            raise errors.IOError.numbered(2058)

    def _replace(self, data: bytes) -> None:
        super().__setitem__(slice(None), data)


@runtime_checkable
class IExternalizable(Protocol):
    """
    An object that writes itself into AMF and reads itself from it. Its class
    must be known by C{registerClassAlias}, and is made without arguments.
    """

    def readExternal(self, input: Any) -> None:
        """
        Read this object.

        @param input: has the methods of L{IDataInput}.
        """

    def writeExternal(self, output: Any) -> None:
        """
        Write this object.

        @param output: has the methods of L{IDataOutput}.
        """
