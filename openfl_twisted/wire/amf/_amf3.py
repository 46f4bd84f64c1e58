"""
AMF3: reader of one value. Names in capital letters without a docstring are markers.

The methods of the reader take the position of the data to read, and return the position after
this data. They do not check the number of bytes: L{AMF3Reader.read} converts an C{IndexError}
or C{struct.error} at the end of the data to C{EOFError}. A slice raises neither exception.
Therefore, methods that slice, or that read several items, check the number of bytes first.

@see: Adobe, C{Action Message Format -- AMF 3}.
"""

import struct
from collections.abc import Callable, Mapping
from itertools import repeat
from typing import Any, ClassVar

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
    RegisteredClass,
    TypedObject,
    UIntVector,
    Undefined,
    XMLDocument,
)
from openfl_twisted.wire.dataio import DataInput
from openfl_twisted.wire.text import MAX_BROKEN, decodeUTF8

UNDEFINED, NULL, FALSE, TRUE, INTEGER, DOUBLE, STRING, XML_DOCUMENT, DATE = range(9)
ARRAY, OBJECT, XML_TEXT, BYTE_ARRAY = range(0x09, 0x0D)
INT_VECTOR, UINT_VECTOR, NUMBER_VECTOR, OBJECT_VECTOR, DICTIONARY = range(0x0D, 0x12)

MIN_INTEGER = -(2**28)
"""
The smallest integer of 29 bits; smaller integers are written as doubles.
"""

MAX_INTEGER = 2**28 - 1
"""
The largest integer of 29 bits; larger integers are written as doubles.
"""

_CONSTANTS = (Undefined, None, False, True)
_unpackDouble = struct.Struct(">d").unpack_from

DYNAMIC_TRAITS = 0x0B
"""
Header of an object that contains the names of its members.
"""

EXTERNAL_TRAITS = 0x07
"""
Header of an externalizable object.
"""

SEALED_TRAITS = 0x03
"""
Header of an object whose class description contains all member names. The higher bits contain
the number of names.
"""


def callOwn(function: Callable[..., Any], *arguments: Any) -> Any:
    """
    Call a function of the application. Exceptions other than C{EOFError} and L{AMFError} become
    an L{AMFError}, so that callers only have to handle these two.

    @param function: a class, a method, or any other callable of the application.
    @param arguments: the arguments of the function.
    @return: the result of the function.
    @raise AMFError: if the function raises any exception other than C{EOFError} and
        L{AMFError}.
    """
    try:
        return function(*arguments)
    except (EOFError, AMFError):
        raise
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        # Do not use repr(): it would quote a nested message again, which doubles its length with
        # each nested call.
        raise AMFError(f"{name} failed: {type(error).__name__}: {error}") from error


class _Traits:
    """
    The description of a class: the AMF3 traits.
    """

    __slots__ = ("alias", "dynamic", "external", "names", "registered")

    def __init__(
        self,
        alias: str,
        names: tuple[str, ...],
        dynamic: bool,
        external: bool,
        registered: RegisteredClass | None,
    ) -> None:
        self.alias = alias
        self.names = names
        self.dynamic = dynamic
        self.external = external
        self.registered = registered


def _readU29(data: bytes | bytearray | memoryview, position: int) -> tuple[int, int]:
    """
    Read an integer of 1 to 4 bytes: each byte contains 7 bits of the integer, and a fourth
    byte contains 8 bits.

    @param data: the bytes. If the integer is incomplete, an C{IndexError} is raised.
    @return: the integer, 0 to 536870911, and the position after it.
    """
    first = data[position]
    if first < 0x80:
        return first, position + 1
    second = data[position + 1]
    if second < 0x80:
        return (first & 0x7F) << 7 | second, position + 2
    third = data[position + 2]
    value = (first & 0x7F) << 14 | (second & 0x7F) << 7
    if third < 0x80:
        return value | third, position + 3
    return (value | third & 0x7F) << 8 | data[position + 3], position + 4


class AMF3Reader:
    """
    Reads one value, and stores its reference tables. The counters are also used for AMF0.

    @ivar data: the bytes.
    @ivar end: the number of bytes.
    @ivar last: the last position at which the value may end, according to the limit
        C{total}.
    @ivar registry: the classes that may be created.
    @ivar limits: the limits of the value.
    @ivar makeByteArray: called with the bytes of a C{ByteArray}; creates the C{ByteArray}.
    @ivar depth: number of further nested levels that are allowed.
    @ivar items: number of further values that are allowed.
    @ivar left: number of further objects that are allowed.
    @ivar text: number of further bytes of text that are allowed.
    @ivar broken: number of further invalid UTF-8 sequences that are decoded as in Flash.
    @ivar strings: the strings that can be referred to, by number. The empty string has no
        number.
    @ivar objects: the objects that can be referred to, by number.
    @ivar traits: the class descriptions that can be referred to, by number.
    """

    def __init__(
        self,
        data: bytes | bytearray | memoryview,
        start: int,
        registry: ClassRegistry,
        limits: AMFLimits,
        makeByteArray: Callable[[bytes], Any],
    ) -> None:
        """
        @param data: the bytes, which are not copied.
        @param start: position of the value; the limit C{total} counts from here.
        """
        self.data = data
        self.registry = registry
        self.limits = limits
        self.makeByteArray = makeByteArray
        self.end = len(data)
        self.last = start + limits.total
        self.depth = limits.depth
        self.items = limits.items - 1
        self.left = limits.objects
        self.text = limits.text
        self.broken = MAX_BROKEN
        self.strings: list[str] = []
        self.objects: list[Any] = []
        self.traits: list[_Traits] = []

    # Limits

    def endError(self, needed: int) -> Exception:
        """
        Return the error for missing bytes.

        @param needed: the position where the bytes would end.
        @return: C{AMFError} if C{needed} is beyond the limit C{total}; otherwise C{EOFError},
            because further bytes can complete the value.
        """
        if needed > self.last:
            return AMFError(f"the value is longer than {self.limits.total} bytes")
        return EOFError("the value is incomplete")

    def read(self, function: Callable[[int], tuple[Any, int]], position: int) -> tuple[Any, int]:
        """
        Call a reading method, and convert built-in exceptions, such as the C{IndexError} at
        the end of the data.

        @param function: the method; called with a position, it returns a value and the
            position after the value.
        @return: the result of the method.
        @raise EOFError: if the value is incomplete.
        @raise AMFError: if the value is invalid, exceeds a limit, or is nested too deeply for
            Python's stack.
        """
        try:
            if self.items < 0:
                self.take(0, 0, position)
            return function(position)
        except (IndexError, struct.error):
            raise self.endError(self.end + 1) from None
        except RecursionError:
            raise AMFError("the value is nested too deeply for Python's stack") from None

    def take(self, count: int, least: int, position: int) -> None:
        """
        Count values before memory is allocated for them.

        @param count: number of values.
        @param least: minimum length of all values together (bytes).
        @param position: position of the first value.
        @raise AMFError: if the number of values exceeds the limit.
        @raise EOFError: if fewer bytes are available.
        """
        self.items -= count
        if self.items < 0:
            raise AMFError(f"the value contains more than {self.limits.items} values")
        if position + least > self.end:
            raise self.endError(position + least)

    def countObject(self) -> None:
        """
        Count an object.

        @raise AMFError: if the number of objects exceeds the limit.
        """
        self.left -= 1
        if self.left < 0:
            raise AMFError(f"the value contains more than {self.limits.objects} objects")

    def keep(self, value: Any) -> None:
        """
        Count an object, and assign the next reference number to it.

        @param value: the object.
        @raise AMFError: if the number of objects exceeds the limit.
        """
        self.countObject()
        self.objects.append(value)

    def enter(self) -> None:
        """
        Enter a nested level.

        @raise AMFError: if the depth exceeds the limit.
        """
        self.depth -= 1
        if self.depth < 0:
            raise AMFError(f"values are nested deeper than {self.limits.depth}")

    def takeText(self, position: int, length: int) -> tuple[str, int]:
        """
        Read text with a known length.

        @param position: position of the first byte of the text.
        @param length: the length of the text in UTF-8 (bytes).
        @return: the text, and the position after it.
        @raise AMFError: if the text exceeds the limit.
        @raise EOFError: if the text is incomplete.
        """
        end = position + length
        self.text -= length
        if self.text < 0:
            raise AMFError(f"the value contains more than {self.limits.text} bytes of text")
        if end > self.end:
            raise self.endError(end)
        try:
            # Beyond the limit of invalid sequences, avoid the decoding error, because handling it
            # takes most of the time.
            errors = "strict" if self.broken > 0 else "replace"
            return str(self.data[position:end], "utf-8", errors), end
        except UnicodeDecodeError:
            return self._readBroken(bytes(self.data[position:end])), end

    def _readBroken(self, data: bytes) -> str:
        """
        Read a string that is not valid UTF-8. All such strings in a value share one limit.
        """
        # This expression finds at least as many invalid sequences as decodeUTF8, in a fraction of
        # the time.
        self.broken -= data.decode("utf-8", "replace").count("\ufffd")
        return decodeUTF8(data)

    # Values

    def readValue(self, position: int) -> tuple[Any, int]:
        """
        Read a marker and its value.

        @return: the value, and the position after it.
        """
        values: list[Any] = []
        position = self.readMany(1, position, values)
        return values[0], position

    def readMany(self, count: int, position: int, values: list[Any]) -> int:
        """
        Read consecutive values.

        @param count: the number of values, which must already be counted with L{take}.
        @param position: position of the first marker.
        @return: the position after the values.
        @raise AMFError: if a value is invalid, or exceeds a limit.
        """
        data = self.data
        strings = self.strings
        readers = self._readers
        append = values.append
        for _ in repeat(None, count):
            marker = data[position]
            position += 1
            # The common types are read without a method call, because calls take most of the time.
            if marker == STRING:
                head = data[position]
                if head & 0x81:
                    text, position = self.readString(position)
                    append(text)
                else:
                    position += 1
                    try:
                        append(strings[head >> 1])
                    except IndexError:
                        raise AMFError(f"reference to unknown string {head >> 1}") from None
            elif marker == INTEGER:
                head = data[position]
                if head < 0x80:
                    position += 1
                    append(head)
                else:
                    head, position = _readU29(data, position)
                    append(head if head <= MAX_INTEGER else head - 0x20000000)
            elif marker <= TRUE:
                append(_CONSTANTS[marker])
            elif marker == DOUBLE:
                append(_unpackDouble(data, position)[0])
                position += 8
            elif marker <= DICTIONARY:
                head, position = _readU29(data, position)
                if head & 1:
                    value, position = readers[marker](self, head, position)
                    append(value)
                else:
                    append(self._object(head >> 1))
            else:
                raise AMFError(f"unknown AMF3 marker {marker:02X}")
        return position

    def readNamed(self, members: dict[str, Any], position: int) -> int:
        """
        Read members, each a name and a value, up to the empty name.

        @param members: receives the members. If a name occurs twice, the later value is used.
        @param position: position of the first name.
        @return: the position after the empty name.
        @raise AMFError: if a name or value is invalid, or exceeds a limit.
        """
        data = self.data
        strings = self.strings
        readers = self._readers
        while True:
            head = data[position]
            if head & 0x81:
                name, position = self.readString(position)
                if not name:
                    return position
            else:
                position += 1
                try:
                    name = strings[head >> 1]
                except IndexError:
                    raise AMFError(f"reference to unknown string {head >> 1}") from None
            self.items -= 1
            if self.items < 0:
                self.take(0, 0, position)
            # Read the common types without a method call, as in readMany.
            marker = data[position]
            position += 1
            if marker == STRING:
                members[name], position = self.readString(position)
            elif marker == INTEGER:
                head = data[position]
                if head < 0x80:
                    position += 1
                    members[name] = head
                else:
                    head, position = _readU29(data, position)
                    members[name] = head if head <= MAX_INTEGER else head - 0x20000000
            elif marker <= TRUE:
                members[name] = _CONSTANTS[marker]
            elif marker == DOUBLE:
                members[name] = _unpackDouble(data, position)[0]
                position += 8
            elif marker <= DICTIONARY:
                head, position = _readU29(data, position)
                if head & 1:
                    members[name], position = readers[marker](self, head, position)
                else:
                    members[name] = self._object(head >> 1)
            else:
                raise AMFError(f"unknown AMF3 marker {marker:02X}")

    def readString(self, position: int) -> tuple[str, int]:
        """
        Read text, or a reference to text.

        @return: the text, and the position after it.
        @raise AMFError: if the reference is unknown, or the text exceeds the limit.
        """
        head, position = _readU29(self.data, position)
        if not head & 1:
            try:
                return self.strings[head >> 1], position
            except IndexError:
                raise AMFError(f"reference to unknown string {head >> 1}") from None
        if head == 1:
            return "", position
        text, position = self.takeText(position, head >> 1)
        self.strings.append(text)
        return text, position

    def _object(self, index: int) -> Any:
        try:
            return self.objects[index]
        except IndexError:
            raise AMFError(f"reference to unknown object {index}") from None

    def _readXMLDocument(self, head: int, position: int) -> tuple[Any, int]:
        return self._readText(head, position, XMLDocument)

    def _readXML(self, head: int, position: int) -> tuple[Any, int]:
        return self._readText(head, position, XML)

    def _readText(self, head: int, position: int, kind: type[str]) -> tuple[Any, int]:
        text, position = self.takeText(position, head >> 1)
        value = kind(text)
        self.keep(value)
        return value, position

    def _readDate(self, head: int, position: int) -> tuple[Any, int]:
        value = Date(_unpackDouble(self.data, position)[0])
        self.keep(value)
        return value, position + 8

    def _readByteArray(self, head: int, position: int) -> tuple[Any, int]:
        end = position + (head >> 1)
        if end > self.end:
            raise self.endError(end)
        value = callOwn(self.makeByteArray, bytes(self.data[position:end]))
        self.keep(value)
        return value, end

    def _readArray(self, head: int, position: int) -> tuple[Any, int]:
        count = head >> 1
        self.enter()
        self.take(count, count + 1, position)
        value: ECMAArray | list[Any]
        if self.data[position] == 1:
            value = dense = []
            position += 1
            self.keep(value)
        else:
            value = ECMAArray()
            dense = value.dense
            self.keep(value)
            position = self.readNamed(value, position)
        position = self.readMany(count, position, dense)
        if isinstance(value, ECMAArray):
            value.gather()
        self.depth += 1
        return value, position

    def _readIntVector(self, head: int, position: int) -> tuple[Any, int]:
        return self._readNumbers(head, position, IntVector, "i", 4)

    def _readUIntVector(self, head: int, position: int) -> tuple[Any, int]:
        return self._readNumbers(head, position, UIntVector, "I", 4)

    def _readNumberVector(self, head: int, position: int) -> tuple[Any, int]:
        return self._readNumbers(head, position, NumberVector, "d", 8)

    def _readNumbers(
        self,
        head: int,
        position: int,
        kind: Callable[[tuple[Any, ...], bool], Any],
        form: str,
        size: int,
    ) -> tuple[Any, int]:
        count = head >> 1
        # Count eight numbers as one value: a number in a vector takes a fraction of the time of any
        # other value.
        self.take(count // 8, count * size + 1, position)
        numbers = struct.unpack_from(f">{count}{form}", self.data, position + 1)
        value = kind(numbers, self.data[position] != 0)
        self.keep(value)
        return value, position + 1 + count * size

    def _readObjectVector(self, head: int, position: int) -> tuple[Any, int]:
        count = head >> 1
        self.enter()
        self.take(count, count + 2, position)
        fixed = self.data[position] != 0
        typeName, position = self.readString(position + 1)
        value = ObjectVector((), typeName, fixed)
        self.keep(value)
        position = self.readMany(count, position, value)
        # Elements cannot be undefined, but Flash writes functions as undefined.
        value[:] = [None if item is Undefined else item for item in value]
        self.depth += 1
        return value, position

    def _readDictionary(self, head: int, position: int) -> tuple[Any, int]:
        count = head >> 1
        self.enter()
        self.take(2 * count, 2 * count + 1, position)
        value = Dictionary((), self.data[position] != 0)
        self.keep(value)
        both: list[Any] = []
        position = self.readMany(2 * count, position + 1, both)
        for key, item in zip(both[::2], both[1::2], strict=True):
            value.addNew(key, item)
        self.depth += 1
        return value, position

    # Objects

    def _readObject(self, head: int, position: int) -> tuple[Any, int]:
        self.depth -= 1
        if self.depth < 0:
            self.enter()
        if head & 2:
            traits, position = self._readTraits(head, position)
        else:
            try:
                traits = self.traits[head >> 2]
            except IndexError:
                raise AMFError(f"reference to unknown traits {head >> 2}") from None
        registered = traits.registered
        members: dict[str, Any]
        value: Any
        if registered is not None:
            value = callOwn(registered.cls)
            members = {}
        else:
            value = members = TypedObject(traits.alias) if traits.alias else {}
        # The object gets its reference number before its members are read, so that members can
        # refer to the object.
        self.keep(value)
        if traits.external:
            position = self._readExternal(value, position)
        else:
            names = traits.names
            if names:
                count = len(names)
                self.take(count, count, position)
                values: list[Any] = []
                position = self.readMany(count, position, values)
                members.update(zip(names, values, strict=True))
            if traits.dynamic:
                position = self.readNamed(members, position)
            if registered is not None:
                assign(value, members, registered)
        self.depth += 1
        return value, position

    def _readTraits(self, head: int, position: int) -> tuple[_Traits, int]:
        external = head & EXTERNAL_TRAITS == EXTERNAL_TRAITS
        count = 0 if external else head >> 4
        if position + 1 + count > self.end:
            raise self.endError(position + 1 + count)
        alias, position = self.readString(position)
        names = []
        for _ in repeat(None, count):
            name, position = self.readString(position)
            names.append(name)
        registered = self.registry.forAlias(alias)
        if external and (registered is None or not registered.external):
            raise ExternalizableError(alias)
        dynamic = not external and head & 8 != 0
        traits = _Traits(alias, tuple(names), dynamic, external, registered)
        self.traits.append(traits)
        return traits, position

    def _readExternal(self, value: Any, position: int) -> int:
        source = _ExternalInput(self, position)
        callOwn(value.readExternal, source)
        return source.position

    # The methods take the header of an object that is not a reference, and the position after the
    # header.
    _readers: ClassVar[dict[int, Callable[["AMF3Reader", int, int], tuple[Any, int]]]] = {
        XML_DOCUMENT: _readXMLDocument,
        DATE: _readDate,
        ARRAY: _readArray,
        OBJECT: _readObject,
        XML_TEXT: _readXML,
        BYTE_ARRAY: _readByteArray,
        INT_VECTOR: _readIntVector,
        UINT_VECTOR: _readUIntVector,
        NUMBER_VECTOR: _readNumberVector,
        OBJECT_VECTOR: _readObjectVector,
        DICTIONARY: _readDictionary,
    }


def assign(value: Any, members: Mapping[str, Any], registered: RegisteredClass) -> None:
    """
    Set the members that the class of an object declares.

    @param value: the object.
    @param members: the received members, by name. Undeclared members are ignored.
    @raise AMFError: if the class refuses a member.
    """
    for name in registered.members:
        if name in members:
            callOwn(setattr, value, name, members[name])


class _ExternalInput(DataInput):
    """
    The argument of C{readExternal}, which reads bytes up to the end of the data. The default
    byte order is big-endian.

    @ivar objectEncoding: always 3.
    @ivar position: position of the next read.
    """

    objectEncoding = 3

    def __init__(self, reader: AMF3Reader, position: int) -> None:
        """
        @param position: position of the bytes that the object reads itself.
        """
        self.position = position
        self._reader = reader

    @property
    def bytesAvailable(self) -> int:
        # The data does not contain the length of the object: only its class knows where the object
        # ends.
        return self._reader.end - self.position

    def _take(self, length: int) -> bytes:
        end = self.position + length
        if length < 0 or end > self._reader.end:
            raise self._reader.endError(end)
        data = bytes(self._reader.data[self.position : end])
        self.position = end
        return data

    def readObject(self) -> Any:
        """
        Read a value, which shares the reference tables of the enclosing value.

        @raise EOFError: if the value is incomplete.
        @raise AMFError: if the value is invalid.
        """
        reader = self._reader
        reader.items -= 1
        value, self.position = reader.read(reader.readValue, self.position)
        return value
