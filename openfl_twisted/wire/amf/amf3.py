"""
AMF3: reading one value. The names in capital letters are its markers, but for
those that say something else.

The reader's methods take the place at which they read and return the place
behind, beside the value. They read without asking how many bytes there are: the
C{IndexError} or C{struct.error} of a read behind the end becomes C{EOFError} in
L{AMF3Reader.read}. What slices or counts asks before.

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
The least integer of 29 bits; what is less is a double.
"""

MAX_INTEGER = 2**28 - 1
"""
The largest integer of 29 bits; what is larger is a double.
"""

_CONSTANTS = (Undefined, None, False, True)
_unpackDouble = struct.Struct(">d").unpack_from

DYNAMIC_TRAITS = 0x0B
"""
What the header of an object begins with whose members have their names beside
them.
"""

EXTERNAL_TRAITS = 0x07
"""
The same for one that writes itself.
"""

SEALED_TRAITS = 0x03
"""
The same for one whose names all stand in front; how many is in the bits above.
"""


def callOwn(function: Callable[..., Any], *arguments: Any) -> Any:
    """
    Call what belongs to the program, so that its failure is not taken for that
    of the bytes.

    @param function: a class, a method, or what else the program has given.
    @param arguments: what it is called with.
    @return: what it returns.
    @raise AMFError: if it raises anything but C{EOFError} and L{AMFError}.
    """
    try:
        return function(*arguments)
    except (EOFError, AMFError):
        raise
    except Exception as error:
        name = getattr(function, "__qualname__", repr(function))
        # Not with repr(): it quotes what it quoted before, twice as long for each call in a call.
        raise AMFError(f"{name} failed: {type(error).__name__}: {error}") from error


class _Traits:
    """
    What a peer says of a class of objects.
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


def readU29(data: bytes | bytearray | memoryview, place: int) -> tuple[int, int]:
    """
    Read an integer of 1 to 4 bytes.

    @param data: the bytes; one behind their end is an C{IndexError}.
    @param place: where the integer begins. The fourth byte, if there is one,
        holds 8 bits, the others 7.
    @return: the integer, 0 to 536870911, and the place behind it.
    """
    first = data[place]
    if first < 0x80:
        return first, place + 1
    second = data[place + 1]
    if second < 0x80:
        return (first & 0x7F) << 7 | second, place + 2
    third = data[place + 2]
    value = (first & 0x7F) << 14 | (second & 0x7F) << 7
    if third < 0x80:
        return value | third, place + 3
    return (value | third & 0x7F) << 8 | data[place + 3], place + 4


class AMF3Reader:
    """
    Reads one value, with its own tables. What is counted is counted down here
    for AMF0 too.

    @ivar data: the bytes.
    @ivar end: how many bytes there are.
    @ivar last: where the value ends at the latest, by the limit C{total}.
    @ivar registry: the classes that may be made.
    @ivar limits: how much the value may hold.
    @ivar makeByteArray: makes a C{ByteArray} of its bytes.
    @ivar depth: how much deeper values may be nested.
    @ivar items: how many more values there may be.
    @ivar left: number of further objects that are allowed.
    @ivar text: how many more bytes of text there may be.
    @ivar broken: number of further places that are not valid UTF-8 and are read
        as Flash reads them.
    @ivar strings: the texts that have come, which can be referred to by their
        numbers from 0 on. The empty one has none.
    @ivar objects: the same for objects.
    @ivar traits: the same for what was said of classes.
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
        @param data: the bytes; they are not copied.
        @param start: where the value begins; the limit C{total} counts from
            here.
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

    def short(self, needed: int) -> Exception:
        """
        Make the error for bytes that are not there.

        @param needed: where the bytes would end.
        @return: C{AMFError} if that is beyond the limit C{total}, else
            C{EOFError}: more bytes can help then.
        """
        if needed > self.last:
            return AMFError(f"the value is longer than {self.limits.total} bytes")
        return EOFError("the value is not all there")

    def read(self, function: Callable[[int], tuple[Any, int]], place: int) -> tuple[Any, int]:
        """
        Read with one of the methods, and make the right error of one behind the
        end.

        @param function: the method: it takes a place, and returns a value and
            the place behind it.
        @param place: where the value begins.
        @return: what the method returns.
        @raise EOFError: if the value is not all there.
        @raise AMFError: if it is none, or passes a limit; Python's limit for
            calls in calls is one too.
        """
        try:
            if self.items < 0:
                self.take(0, 0, place)
            return function(place)
        except (IndexError, struct.error):
            raise self.short(self.end + 1) from None
        except RecursionError:
            raise AMFError("the value is nested too deep for Python's stack") from None

    def take(self, count: int, least: int, place: int) -> None:
        """
        Count values before there is memory for them.

        @param count: how many values follow.
        @param least: how many bytes they have at the least.
        @param place: where they begin.
        @raise AMFError: if there are too many values.
        @raise EOFError: if there are fewer bytes than they have.
        """
        self.items -= count
        if self.items < 0:
            raise AMFError(f"there are more than {self.limits.items} values")
        if place + least > self.end:
            raise self.short(place + least)

    def countObject(self) -> None:
        """
        Count an object.

        @raise AMFError: if there are more than the limit.
        """
        self.left -= 1
        if self.left < 0:
            raise AMFError(f"there are more than {self.limits.objects} objects")

    def keep(self, value: Any) -> None:
        """
        Count an object, and give it the next number, by which it can be referred
        to.

        @param value: the object.
        @raise AMFError: if there are more than the limit.
        """
        self.countObject()
        self.objects.append(value)

    def enter(self) -> None:
        """
        Go one deeper.

        @raise AMFError: if that is deeper than the limit.
        """
        self.depth -= 1
        if self.depth < 0:
            raise AMFError(f"values are nested deeper than {self.limits.depth}")

    def takeText(self, place: int, length: int) -> tuple[str, int]:
        """
        Read text whose length is known.

        @param place: where its first byte is.
        @param length: its length, in bytes of UTF-8.
        @return: the text, and the place behind it.
        @raise AMFError: if there is more text than the limit allows.
        @raise EOFError: if the text is not all there.
        """
        end = place + length
        self.text -= length
        if self.text < 0:
            raise AMFError(f"there are more than {self.limits.text} bytes of text")
        if end > self.end:
            raise self.short(end)
        try:
            # Beyond the limit of broken places no error is raised: that takes longest.
            errors = "strict" if self.broken > 0 else "replace"
            return str(self.data[place:end], "utf-8", errors), end
        except UnicodeDecodeError:
            return self._readBroken(bytes(self.data[place:end])), end

    def _readBroken(self, data: bytes) -> str:
        """
        Read text that is not valid UTF-8. A value can have very many of them, so
        its texts together have a limit.
        """
        # This counts at least as many places as decodeUTF8, and takes a small part of its time.
        self.broken -= data.decode("utf-8", "replace").count("\ufffd")
        return decodeUTF8(data)

    # Values

    def readValue(self, place: int) -> tuple[Any, int]:
        """
        Read a marker and its value.

        @param place: where the marker is.
        @return: the value, and the place behind it.
        """
        values: list[Any] = []
        place = self.readMany(1, place, values)
        return values[0], place

    def readMany(self, count: int, place: int, values: list[Any]) -> int:
        """
        Read values one behind the other.

        @param count: how many; they have been counted.
        @param place: where the first marker is.
        @param values: to what they are added.
        @return: the place behind them.
        @raise AMFError: if one of them is wrong, or passes a limit.
        """
        data = self.data
        strings = self.strings
        readers = self._readers
        append = values.append
        for _ in repeat(None, count):
            marker = data[place]
            place += 1
            # The common ones are read right here: calls are what costs most.
            if marker == STRING:
                head = data[place]
                if head & 0x81:
                    text, place = self.readString(place)
                    append(text)
                else:
                    place += 1
                    try:
                        append(strings[head >> 1])
                    except IndexError:
                        raise AMFError(f"there is no string {head >> 1}") from None
            elif marker == INTEGER:
                head = data[place]
                if head < 0x80:
                    place += 1
                    append(head)
                else:
                    head, place = readU29(data, place)
                    append(head if head <= MAX_INTEGER else head - 0x20000000)
            elif marker <= TRUE:
                append(_CONSTANTS[marker])
            elif marker == DOUBLE:
                append(_unpackDouble(data, place)[0])
                place += 8
            elif marker <= DICTIONARY:
                value, place = readers[marker](self, place)
                append(value)
            else:
                raise AMFError(f"there is no marker {marker:02X} in AMF3")
        return place

    def readNamed(self, members: dict[str, Any], place: int) -> int:
        """
        Read names with their values up to the empty name.

        @param members: gets them; of two with one name the later one stays.
        @param place: where the first name is.
        @return: the place behind it.
        @raise AMFError: if one of them is wrong, or passes a limit.
        """
        data = self.data
        strings = self.strings
        readers = self._readers
        while True:
            head = data[place]
            if head & 0x81:
                name, place = self.readString(place)
                if not name:
                    return place
            else:
                place += 1
                try:
                    name = strings[head >> 1]
                except IndexError:
                    raise AMFError(f"there is no string {head >> 1}") from None
            self.items -= 1
            if self.items < 0:
                self.take(0, 0, place)
            # As in readMany.
            marker = data[place]
            place += 1
            if marker == STRING:
                members[name], place = self.readString(place)
            elif marker == INTEGER:
                head = data[place]
                if head < 0x80:
                    place += 1
                    members[name] = head
                else:
                    head, place = readU29(data, place)
                    members[name] = head if head <= MAX_INTEGER else head - 0x20000000
            elif marker <= TRUE:
                members[name] = _CONSTANTS[marker]
            elif marker == DOUBLE:
                members[name] = _unpackDouble(data, place)[0]
                place += 8
            elif marker <= DICTIONARY:
                members[name], place = readers[marker](self, place)
            else:
                raise AMFError(f"there is no marker {marker:02X} in AMF3")

    def readString(self, place: int) -> tuple[str, int]:
        """
        Read text, or a reference to one.

        @param place: where its length or its number is.
        @return: the text, and the place behind it.
        @raise AMFError: if there is no text with that number, or too much text.
        """
        head, place = readU29(self.data, place)
        if not head & 1:
            try:
                return self.strings[head >> 1], place
            except IndexError:
                raise AMFError(f"there is no string {head >> 1}") from None
        if head == 1:
            return "", place
        text, place = self.takeText(place, head >> 1)
        self.strings.append(text)
        return text, place

    def _object(self, index: int) -> Any:
        try:
            return self.objects[index]
        except IndexError:
            raise AMFError(f"there is no object {index}") from None

    def _readXMLDocument(self, place: int) -> tuple[Any, int]:
        return self._readText(place, XMLDocument)

    def _readXML(self, place: int) -> tuple[Any, int]:
        return self._readText(place, XML)

    def _readText(self, place: int, kind: type[str]) -> tuple[Any, int]:
        head, place = readU29(self.data, place)
        if not head & 1:
            return self._object(head >> 1), place
        text, place = self.takeText(place, head >> 1)
        value = kind(text)
        self.keep(value)
        return value, place

    def _readDate(self, place: int) -> tuple[Any, int]:
        head, place = readU29(self.data, place)
        if not head & 1:
            return self._object(head >> 1), place
        value = Date(_unpackDouble(self.data, place)[0])
        self.keep(value)
        return value, place + 8

    def _readByteArray(self, place: int) -> tuple[Any, int]:
        head, place = readU29(self.data, place)
        if not head & 1:
            return self._object(head >> 1), place
        end = place + (head >> 1)
        if end > self.end:
            raise self.short(end)
        value = callOwn(self.makeByteArray, bytes(self.data[place:end]))
        self.keep(value)
        return value, end

    def _readArray(self, place: int) -> tuple[Any, int]:
        head, place = readU29(self.data, place)
        if not head & 1:
            return self._object(head >> 1), place
        count = head >> 1
        self.enter()
        self.take(count, count + 1, place)
        value: ECMAArray | list[Any]
        if self.data[place] == 1:
            value = dense = []
            place += 1
            self.keep(value)
        else:
            value = ECMAArray()
            dense = value.dense
            self.keep(value)
            place = self.readNamed(value, place)
        place = self.readMany(count, place, dense)
        if isinstance(value, ECMAArray):
            value.gather()
        self.depth += 1
        return value, place

    def _readIntVector(self, place: int) -> tuple[Any, int]:
        return self._readNumbers(place, IntVector, "i", 4)

    def _readUIntVector(self, place: int) -> tuple[Any, int]:
        return self._readNumbers(place, UIntVector, "I", 4)

    def _readNumberVector(self, place: int) -> tuple[Any, int]:
        return self._readNumbers(place, NumberVector, "d", 8)

    def _readNumbers(
        self, place: int, kind: Callable[[tuple[Any, ...], bool], Any], form: str, size: int
    ) -> tuple[Any, int]:
        head, place = readU29(self.data, place)
        if not head & 1:
            return self._object(head >> 1), place
        count = head >> 1
        # A number in a vector takes a fraction of the time of another value.
        self.take(count // 8, count * size + 1, place)
        numbers = struct.unpack_from(f">{count}{form}", self.data, place + 1)
        value = kind(numbers, self.data[place] != 0)
        self.keep(value)
        return value, place + 1 + count * size

    def _readObjectVector(self, place: int) -> tuple[Any, int]:
        head, place = readU29(self.data, place)
        if not head & 1:
            return self._object(head >> 1), place
        count = head >> 1
        self.enter()
        self.take(count, count + 2, place)
        fixed = self.data[place] != 0
        typeName, place = self.readString(place + 1)
        value = ObjectVector((), typeName, fixed)
        self.keep(value)
        place = self.readMany(count, place, value)
        # Its elements cannot be undefined; Flash writes functions so.
        value[:] = [None if item is Undefined else item for item in value]
        self.depth += 1
        return value, place

    def _readDictionary(self, place: int) -> tuple[Any, int]:
        head, place = readU29(self.data, place)
        if not head & 1:
            return self._object(head >> 1), place
        count = head >> 1
        self.enter()
        self.take(2 * count, 2 * count + 1, place)
        value = Dictionary((), self.data[place] != 0)
        self.keep(value)
        both: list[Any] = []
        place = self.readMany(2 * count, place + 1, both)
        for key, item in zip(both[::2], both[1::2], strict=True):
            value.addNew(key, item)
        self.depth += 1
        return value, place

    # Objects

    def _readObject(self, place: int) -> tuple[Any, int]:
        head, place = readU29(self.data, place)
        if not head & 1:
            return self._object(head >> 1), place
        self.depth -= 1
        if self.depth < 0:
            self.enter()
        if head & 2:
            traits, place = self._readTraits(head, place)
        else:
            try:
                traits = self.traits[head >> 2]
            except IndexError:
                raise AMFError(f"there are no traits {head >> 2}") from None
        registered = traits.registered
        members: dict[str, Any]
        value: Any
        if registered is not None:
            value = callOwn(registered.cls)
            members = {}
        else:
            value = members = TypedObject(traits.alias) if traits.alias else {}
        # It has its number before its members, so they can refer to it.
        self.keep(value)
        if traits.external:
            place = self._readExternal(value, place)
        else:
            names = traits.names
            if names:
                count = len(names)
                self.take(count, count, place)
                values: list[Any] = []
                place = self.readMany(count, place, values)
                members.update(zip(names, values, strict=True))
            if traits.dynamic:
                place = self.readNamed(members, place)
            if registered is not None:
                assign(value, members, registered)
        self.depth += 1
        return value, place

    def _readTraits(self, head: int, place: int) -> tuple[_Traits, int]:
        external = head & EXTERNAL_TRAITS == EXTERNAL_TRAITS
        count = 0 if external else head >> 4
        if place + 1 + count > self.end:
            raise self.short(place + 1 + count)
        alias, place = self.readString(place)
        names = []
        for _ in repeat(None, count):
            name, place = self.readString(place)
            names.append(name)
        registered = self.registry.forAlias(alias)
        if external and (registered is None or not registered.external):
            raise ExternalizableError(alias)
        dynamic = not external and head & 8 != 0
        traits = _Traits(alias, tuple(names), dynamic, external, registered)
        self.traits.append(traits)
        return traits, place

    def _readExternal(self, value: Any, place: int) -> int:
        source = ExternalInput(self, place)
        callOwn(value.readExternal, source)
        return source.position

    _readers: ClassVar[tuple[Callable[["AMF3Reader", int], tuple[Any, int]], ...]] = (
        # Up to strings, all are read where they are met.
        *[readValue] * XML_DOCUMENT,
        _readXMLDocument,
        _readDate,
        _readArray,
        _readObject,
        _readXML,
        _readByteArray,
        _readIntVector,
        _readUIntVector,
        _readNumberVector,
        _readObjectVector,
        _readDictionary,
    )


def assign(value: Any, members: Mapping[str, Any], registered: RegisteredClass) -> None:
    """
    Set those members of an object that its class declares.

    @param value: the object.
    @param members: what has come, by name. What the class does not declare is
        passed over.
    @param registered: its class, which says the names.
    @raise AMFError: if the class refuses one.
    """
    for name in registered.members:
        if name in members:
            callOwn(setattr, value, name, members[name])


class ExternalInput(DataInput):
    """
    What C{readExternal} reads from: the rest of the bytes, big endian until it
    says otherwise.

    @ivar objectEncoding: always 3.
    @ivar position: where the next read begins, in the bytes of the whole value.
    """

    objectEncoding = 3

    def __init__(self, reader: AMF3Reader, position: int) -> None:
        """
        @param reader: reads the value around it, and has its tables.
        @param position: where the object's own bytes begin.
        """
        self.position = position
        self._reader = reader

    @property
    def bytesAvailable(self) -> int:
        """
        The bytes that can be read. How many of them belong to the object, only
        its class knows.
        """
        return self._reader.end - self.position

    def _take(self, length: int) -> bytes:
        end = self.position + length
        if length < 0 or end > self._reader.end:
            raise self._reader.short(end)
        data = bytes(self._reader.data[self.position : end])
        self.position = end
        return data

    def readObject(self) -> Any:
        """
        Read a value. It shares the references of the value around it.

        @raise EOFError: if the value is not all there.
        @raise AMFError: if the bytes are no value.
        """
        reader = self._reader
        reader.items -= 1
        value, self.position = reader.read(reader.readValue, self.position)
        return value
