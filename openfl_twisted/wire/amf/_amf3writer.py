"""
AMF3: writer of one value.

@see: Adobe, C{Action Message Format -- AMF 3}.
"""

import datetime as dt
import math
import struct
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, ClassVar, TypeVar

from openfl_twisted.wire.amf._amf3 import (
    ARRAY,
    BYTE_ARRAY,
    DATE,
    DICTIONARY,
    DOUBLE,
    DYNAMIC_TRAITS,
    EXTERNAL_TRAITS,
    FALSE,
    INT_VECTOR,
    INTEGER,
    MAX_INTEGER,
    MIN_INTEGER,
    NULL,
    NUMBER_VECTOR,
    OBJECT,
    OBJECT_VECTOR,
    SEALED_TRAITS,
    STRING,
    TRUE,
    UINT_VECTOR,
    UNDEFINED,
    XML_DOCUMENT,
    XML_TEXT,
    callOwn,
)
from openfl_twisted.wire.amf._members import (
    DynamicOutput,
    declaredMembers,
    dynamicMembers,
    namedTwice,
    nameOf,
    normalArray,
)
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
from openfl_twisted.wire.dataio import DataOutput
from openfl_twisted.wire.text import encodeUTF8

_T = TypeVar("_T")
_double = struct.Struct(">d")
_packMarked = struct.Struct(">Bd").pack


def _writeU29(value: int) -> bytes:
    """
    Encode an integer as 1 to 4 bytes: each byte contains 7 bits of the integer, and a fourth
    byte contains 8 bits.

    @param value: the integer; not negative.
    @return: the bytes, the highest bits first.
    @raise AMFError: if the integer has more than 29 bits.
    """
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value >> 7 | 0x80, value & 0x7F))
    if value < 0x200000:
        return bytes((value >> 14 | 0x80, value >> 7 & 0x7F | 0x80, value & 0x7F))
    if value > 0x1FFFFFFF:
        raise AMFError("a length or an index is too large for AMF3")
    high = value >> 8
    return bytes((high >> 14 | 0x80, high >> 7 & 0x7F | 0x80, high & 0x7F | 0x80, value & 0xFF))


_SMALL_INTEGERS = [bytes((INTEGER, value)) for value in range(0x80)]
_REFERENCES = [_writeU29(number << 1) for number in range(0x40)]
_LENGTHS = [_writeU29(length << 1 | 1) for length in range(0x80)]


def packDouble(value: float) -> bytes:
    """
    Encode a double.

    @param value: a float or an integer. An integer of more than 53 bits is rounded.
    @return: 8 bytes (big-endian).
    @raise AMFError: if the value is not a number, or is an integer that is too large.
    """
    try:
        return _double.pack(value)
    except (OverflowError, struct.error):
        raise AMFError(
            f"cannot encode {type(value).__name__} as a double: not a number, or out of range"
        ) from None


def millisecondsOf(value: dt.datetime) -> float:
    """
    Return the encoded form of a C{datetime}.

    @param value: a C{datetime} with a time zone.
    @return: milliseconds since the beginning of 1970, UTC.
    @raise AMFError: if the C{datetime} has no time zone.
    """
    try:
        return Date.fromDatetime(value).milliseconds
    except ValueError as error:
        raise AMFError(str(error)) from None


def notWritable(value: Any) -> AMFError:
    """
    Return the error for a value that cannot be represented in AMF.

    @return: the error. For a C{date}, the text suggests an alternative.
    """
    if isinstance(value, dt.date):
        return AMFError(
            "datetime.date has no time of day and no time zone: write a datetime with a time "
            f"zone, such as datetime({value.year}, {value.month}, {value.day}, tzinfo=UTC)"
        )
    kind = type(value)
    return AMFError(f"{kind.__module__}.{kind.__qualname__} is not registered")


def subclassWriters(writers: dict[type[Any], _T]) -> list[tuple[Any, _T]]:
    """
    Return the writers for subclasses, mappings and functions.

    @param writers: the writers for the classes of AMF.
    @return: the classes with their writers. A class precedes its base classes.
    """
    return [
        *sorted(writers.items(), key=lambda entry: -len(entry[0].__mro__)),
        (Mapping, writers[dict]),
        (Callable, writers[type(Undefined)]),
    ]


class AMF3Writer:
    """
    Writes one value, and stores its reference tables. The counters are also used for AMF0.

    @ivar out: the encoded bytes.
    @ivar writeMembers: writes the members of plain objects; C{None} to write all members. See
        C{writeDynamicProperties} of L{openfl_twisted.wire.amf.codec.encode}.
    @ivar registry: the classes whose instances can be written.
    @ivar limits: the limits of the value.
    @ivar references: whether repeated objects are written as references.
    @ivar depth: number of further nested levels that are allowed.
    @ivar items: number of further values that are allowed.
    @ivar text: number of further bytes of text that are allowed.
    @ivar strings: the encoded reference to each string, without the marker.
    @ivar stringsFrozen: whether no reference numbers are assigned to new strings.
    @ivar objects: the reference numbers of objects, by identity.
    @ivar kept: the objects, by reference number; C{None} for a number that is never used.
    @ivar traits: the reference numbers of class descriptions.
    @ivar open: the identities of the enclosing values; only used if C{references} is false.
    """

    def __init__(
        self,
        registry: ClassRegistry,
        limits: AMFLimits,
        references: bool,
        writeMembers: Callable[[Any, DynamicOutput], object] | None,
    ) -> None:
        self.out = bytearray()
        self.writeMembers = writeMembers
        self.registry = registry
        self.limits = limits
        self.references = references
        self.depth = limits.depth
        self.items = limits.items
        self.text = limits.text
        # The empty text is never a reference.
        self.strings = {"": b"\1"}
        self.stringsFrozen = False
        # Keep the objects, so that no other object can get the same identity.
        self.objects: dict[int, int] = {}
        self.kept: list[Any] = []
        self.traits: dict[Hashable, int] = {}
        self.open: set[int] = set()
        self._found: dict[type[Any], _Write] = {}

    # Limits

    def checkTotal(self, length: int) -> None:
        """
        Check that bytes can be added.

        @param length: number of bytes to add; 0 to check only the bytes written so far.
        @raise AMFError: if the total number of bytes exceeds the limit C{total}.
        """
        if len(self.out) + length > self.limits.total:
            raise AMFError(f"the value is longer than {self.limits.total} bytes")

    def take(self, count: int) -> None:
        """
        Count values.

        @raise AMFError: if the number of values exceeds the limit.
        """
        self.items -= count
        if self.items < 0:
            raise AMFError(f"the value contains more than {self.limits.items} values")

    def takeText(self, value: str) -> bytes:
        """
        Encode text, and count its bytes.

        @param value: any string, even with lone surrogates.
        @raise AMFError: if the text exceeds the limit.
        """
        data = encodeUTF8(value)
        self.text -= len(data)
        self.checkText(len(data))
        return data

    def checkText(self, length: int) -> None:
        """
        Check that text can be added. The bytes of the text must already be counted.

        @param length: the length of the text in UTF-8 (bytes).
        @raise AMFError: if the text exceeds the limit C{text}, or the encoded value exceeds the
            limit C{total}.
        """
        if self.text < 0:
            raise AMFError(f"the value contains more than {self.limits.text} bytes of text")
        self.checkTotal(length)

    def enter(self, value: Any) -> None:
        """
        Enter a nested level.

        @param value: the value to write. If C{references} is false, the value is recorded
            until L{leave}, to detect a value that contains itself.
        @raise AMFError: if the depth exceeds the limit, or if C{references} is false and the
            value contains itself.
        """
        self.depth -= 1
        if self.depth < 0:
            raise AMFError(f"values are nested deeper than {self.limits.depth}")
        if not self.references:
            if id(value) in self.open:
                raise AMFError("the value contains itself and cannot be written without references")
            self.open.add(id(value))

    def leave(self, value: Any) -> None:
        """
        Leave a nested level.

        @param value: the value that was written.
        """
        self.depth += 1
        self.open.discard(id(value))

    # Values

    def write(self, value: Any) -> None:
        """
        Write a marker and its value.

        @param value: see the table in L{openfl_twisted.wire.amf.values}.
        @raise AMFError: if the value cannot be represented in AMF, or exceeds a limit.
        """
        self.take(1)
        self.writeMany((value,))

    def writeMany(self, values: Iterable[Any]) -> None:
        """
        Write consecutive values, which must already be counted with L{take}.

        @raise AMFError: if a value cannot be represented in AMF, or exceeds a limit.
        """
        out = self.out
        strings = self.strings
        writers = self._writers
        for value in values:
            kind = type(value)
            # The common types are written without a method call, because calls take most of the
            # time.
            if kind is str:
                out.append(STRING)
                known = strings.get(value)
                if known is None:
                    self.addString(value)
                else:
                    out += known
            elif kind is int and 0 <= value < 0x80:
                out += _SMALL_INTEGERS[value]
            else:
                (writers.get(kind) or self.writerOf(value))(self, value)

    def writerOf(self, value: Any) -> "_Write":
        """
        Return the method that writes a value whose class is not a class of AMF. The method is
        cached by class while the whole value is written.

        @param value: an instance of a registered class or of a subclass of AMF's types, a
            C{Mapping}, or a callable.
        @raise AMFError: if the value cannot be represented in AMF.
        """
        kind = type(value)
        found = self._found.get(kind)
        if found is None:
            if self.registry.forClass(kind) is not None:
                found = AMF3Writer.writeRegistered
            else:
                found = next((one for base, one in self._bases if isinstance(value, base)), None)
            if found is None:
                raise notWritable(value)
            self._found[kind] = found
        return found

    def addString(self, value: str) -> None:
        """
        Write a string inline, without a marker, and add it to the string table.

        @param value: the text; not empty. The text gets the next reference number if
            C{stringsFrozen} is not set.
        @raise AMFError: if the text exceeds the limit C{text}, or the encoded value exceeds the
            limit C{total}.
        """
        out = self.out
        strings = self.strings
        data = encodeUTF8(value)
        length = len(data)
        self.text -= length
        if self.text < 0 or len(out) + length > self.limits.total:
            self.checkText(length)
        out += _LENGTHS[length] if length < 0x80 else _writeU29(length << 1 | 1)
        out += data
        if not self.stringsFrozen:
            # The empty string is in the table, but has no number.
            number = len(strings) - 1
            strings[value] = _REFERENCES[number] if number < 0x40 else _writeU29(number << 1)

    def _writeName(self, name: str) -> None:
        known = self.strings.get(name)
        if known is None:
            self.addString(name)
        else:
            self.out += known

    def _refer(self, marker: int, value: Any) -> bool:
        """
        Write a marker. For a repeated object, also write a reference; otherwise assign the
        next reference number to the object.

        @return: whether a reference was written.
        """
        self.out.append(marker)
        if not self.references:
            return False
        known = self.objects.get(id(value))
        if known is None:
            self.objects[id(value)] = len(self.kept)
            self.kept.append(value)
            return False
        self.out += _writeU29(known << 1)
        return True

    def _begin(self, marker: int) -> None:
        """
        Begin an AMF3 object that represents an immutable Python value. Such an object is never
        written as a reference, because Python may use one object for equal values.
        """
        self.out.append(marker)
        # The AMF3 object takes a reference number that is never used.
        self.kept.append(None)

    def _writeUndefined(self, _: Any) -> None:
        self.out.append(UNDEFINED)

    def _writeNull(self, _: Any) -> None:
        self.out.append(NULL)

    def _writeBoolean(self, value: Any) -> None:
        self.out.append(TRUE if value else FALSE)

    def _writeInteger(self, value: Any) -> None:
        if 0x80 <= value < 0x4000:
            # Encode the integer in the same way as _writeU29.
            self.out += bytes((INTEGER, value >> 7 | 0x80, value & 0x7F))
        elif MIN_INTEGER <= value <= MAX_INTEGER:
            self.out.append(INTEGER)
            self.out += _writeU29(value & 0x1FFFFFFF)
        else:
            self.out.append(DOUBLE)
            self.out += packDouble(value)

    def _writeFloat(self, value: Any) -> None:
        # As in Flash, an integral number is written as an integer, except the negative zero.
        if (
            value.is_integer()
            and MIN_INTEGER <= value <= MAX_INTEGER
            and (value or math.copysign(1, value) > 0)
        ):
            self._writeInteger(int(value))
        else:
            self.out += _packMarked(DOUBLE, value)

    def _writeString(self, value: Any) -> None:
        self.out.append(STRING)
        self._writeName(value)

    def _writeXML(self, value: Any) -> None:
        self._writeText(XML_TEXT, value)

    def _writeXMLDocument(self, value: Any) -> None:
        self._writeText(XML_DOCUMENT, value)

    def _writeText(self, marker: int, value: str) -> None:
        if self._refer(marker, value):
            return
        data = self.takeText(value)
        self.out += _writeU29(len(data) << 1 | 1)
        self.out += data
        # OpenFL assigns a string reference to XML, so later strings would have other numbers.
        self.stringsFrozen = not self.references

    def _writeDate(self, value: Any) -> None:
        if not self._refer(DATE, value):
            self.out.append(1)
            self.out += packDouble(value.milliseconds)

    def _writeDatetime(self, value: Any) -> None:
        self._begin(DATE)
        self.out.append(1)
        self.out += packDouble(millisecondsOf(value))

    def _writeBytes(self, value: Any) -> None:
        self._begin(BYTE_ARRAY)
        self._addBytes(value)

    def _writeByteArray(self, value: Any) -> None:
        if not self._refer(BYTE_ARRAY, value):
            self._addBytes(value)

    def _addBytes(self, value: Any) -> None:
        data = value if isinstance(value, bytes | bytearray) else bytes(value)
        self.checkTotal(len(data))
        self.out += _writeU29(len(data) << 1 | 1)
        self.out += data

    def _writeTuple(self, value: Any) -> None:
        self._begin(ARRAY)
        self._addArray(value, value)

    def _writeArray(self, value: Any) -> None:
        if not self._refer(ARRAY, value):
            self._addArray(value, value)

    def _writeECMAArray(self, value: Any) -> None:
        if not self._refer(ARRAY, value):
            self._addArray(value, value.dense, value)

    def _addArray(
        self, value: Any, dense: "list[Any] | tuple[Any, ...]", named: Mapping[Any, Any] = {}
    ) -> None:
        self.enter(value)
        if named or any(map(callable, dense)):
            dense, members = normalArray(dense, named)
        else:
            members = {}
        count = len(dense)
        self.take(count)
        self.out += _writeU29(count << 1 | 1)
        self._addNamed(members.items())
        self.writeMany(dense)
        self.leave(value)

    def _addNamed(self, members: Iterable[tuple[str, Any]]) -> None:
        """
        Write members, each a name and a value, and the end marker.
        """
        for name, item in members:
            self.take(1)
            self._writeName(name)
            self.writeMany((item,))
        self.out.append(1)

    def _writeIntVector(self, value: Any) -> None:
        self._writeNumbers(INT_VECTOR, value, "i")

    def _writeUIntVector(self, value: Any) -> None:
        self._writeNumbers(UINT_VECTOR, value, "I")

    def _writeNumberVector(self, value: Any) -> None:
        self._writeNumbers(NUMBER_VECTOR, value, "d")

    def _writeNumbers(self, marker: int, value: Any, form: str) -> None:
        if self._refer(marker, value):
            return
        count = len(value)
        self.take(count // 8)
        self.checkTotal(struct.calcsize(form) * count)
        self.out += _writeU29(count << 1 | 1)
        self.out.append(1 if value.fixed else 0)
        try:
            self.out += struct.pack(f">{count}{form}", *value)
        except (OverflowError, struct.error) as error:
            raise AMFError(f"invalid element of {type(value).__name__}: {error}") from None

    def _writeObjectVector(self, value: Any) -> None:
        if self._refer(OBJECT_VECTOR, value):
            return
        self.enter(value)
        count = len(value)
        self.take(count)
        self.out += _writeU29(count << 1 | 1)
        self.out.append(1 if value.fixed else 0)
        self._writeName(value.typeName)
        # Elements cannot be undefined; but Flash writes functions as undefined.
        self.writeMany(None if item is Undefined else item for item in value)
        self.leave(value)

    def _writeDictionary(self, value: Any) -> None:
        if self._refer(DICTIONARY, value):
            return
        self.enter(value)
        pairs = value.pairs()
        self.take(2 * len(pairs))
        self.out += _writeU29(len(pairs) << 1 | 1)
        self.out.append(1 if value.weak else 0)
        for pair in pairs:
            self.writeMany(pair)
        self.leave(value)

    # Objects

    def membersOf(self, value: Any) -> Iterable[tuple[str, Any]]:
        """
        Return the members to be written for a plain object.

        @param value: a C{dict} or another C{Mapping}.
        @return: the names and values of the members, in order. If C{writeMembers} is set, these
            are the members that this function has written.
        @raise AMFError: if a name is neither an integer nor non-empty text, or if
            C{writeMembers} fails.
        """
        if self.writeMembers is None:
            return dynamicMembers(value)
        output = DynamicOutput(self.items)
        callOwn(self.writeMembers, value, output)
        return output.take()

    def _writeTraits(self, key: Hashable, header: int, alias: str, names: Iterable[str]) -> None:
        known = self.traits.get(key) if self.references else None
        if known is not None:
            self.out += _writeU29(known << 2 | 1)
            return
        self.traits[key] = len(self.traits)
        self.out += _writeU29(header)
        self._writeName(alias)
        for name in names:
            self._writeName(name)

    def _writeObject(self, value: Any) -> None:
        if self._refer(OBJECT, value):
            return
        self.enter(value)
        self._writeTraits(None, DYNAMIC_TRAITS, "", ())
        if self.writeMembers is not None:
            self._addNamed(self.membersOf(value))
            self.leave(value)
            return
        out = self.out
        strings = self.strings
        writers = self._writers
        for key, item in value.items():
            kind = type(item)
            writer = writers.get(kind)
            if writer is None:
                if callable(item):
                    continue
                writer = self.writerOf(item)
            self.items -= 1
            if self.items < 0:
                self.take(0)
            known = strings.get(key) if type(key) is str and key else None
            if known is None:
                if namedTwice(key, value):
                    continue
                self._writeName(nameOf(key))
            else:
                out += known
            # Write the common types without a method call, as in writeMany.
            if kind is str:
                out.append(STRING)
                known = strings.get(item)
                if known is None:
                    self.addString(item)
                else:
                    out += known
            elif kind is int and 0 <= item < 0x80:
                out += _SMALL_INTEGERS[item]
            else:
                writer(self, item)
        out.append(1)
        self.leave(value)

    def _writeTyped(self, value: Any) -> None:
        if self._refer(OBJECT, value):
            return
        names = tuple(value)
        if not value.alias or not all(isinstance(name, str) for name in names):
            raise AMFError("a TypedObject must have an alias, and its member names must be text")
        self.enter(value)
        header = len(names) << 4 | SEALED_TRAITS
        self._writeTraits((value.alias, names), header, value.alias, names)
        self.take(len(names))
        self.writeMany(value.values())
        self.leave(value)

    def writeRegistered(self, value: Any) -> None:
        """
        Write an instance of a registered class.

        @param value: an instance of exactly that class.
        @raise AMFError: if a declared member is missing, or C{writeExternal} fails.
        """
        registered = self.registry.forClass(type(value))
        # This method is only called for registered classes.
        assert registered is not None  # noqa: S101
        if self._refer(OBJECT, value):
            return
        self.enter(value)
        if registered.external:
            self._writeTraits(registered, EXTERNAL_TRAITS, registered.alias, ())
            callOwn(value.writeExternal, _ExternalOutput(self))
        else:
            names = registered.members
            header = len(names) << 4 | SEALED_TRAITS
            self._writeTraits(registered, header, registered.alias, names)
            self.take(len(names))
            self.writeMany(declaredMembers(value, registered))
        self.leave(value)

    _writers: ClassVar[dict[type[Any], "_Write"]] = {
        type(Undefined): _writeUndefined,
        type(None): _writeNull,
        bool: _writeBoolean,
        int: _writeInteger,
        float: _writeFloat,
        str: _writeString,
        XML: _writeXML,
        XMLDocument: _writeXMLDocument,
        Date: _writeDate,
        dt.datetime: _writeDatetime,
        bytes: _writeBytes,
        memoryview: _writeBytes,
        bytearray: _writeByteArray,
        tuple: _writeTuple,
        list: _writeArray,
        ECMAArray: _writeECMAArray,
        IntVector: _writeIntVector,
        UIntVector: _writeUIntVector,
        NumberVector: _writeNumberVector,
        ObjectVector: _writeObjectVector,
        Dictionary: _writeDictionary,
        dict: _writeObject,
        TypedObject: _writeTyped,
    }
    _bases = subclassWriters(_writers)


_Write = Callable[[AMF3Writer, Any], None]


class _ExternalOutput(DataOutput):
    """
    The argument of C{writeExternal}. The default byte order is big-endian.

    @ivar objectEncoding: always 3.
    """

    objectEncoding = 3

    def __init__(self, writer: AMF3Writer) -> None:
        self._writer = writer

    def _put(self, data: bytes | bytearray) -> None:
        self._writer.checkTotal(len(data))
        self._writer.out += data

    def writeObject(self, value: Any) -> None:
        """
        Write a value, which shares the reference tables of the enclosing value.

        @param value: see the table in L{openfl_twisted.wire.amf.values}.
        @raise AMFError: if the value cannot be represented in AMF.
        """
        self._writer.write(value)
