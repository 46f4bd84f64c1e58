"""
AMF3: writing one value.

@see: Adobe, C{Action Message Format -- AMF 3}.
"""

import datetime as dt
import math
import struct
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, ClassVar

from openfl_twisted.wire.amf.amf3 import (
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
from openfl_twisted.wire.amf.members import (
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

_double = struct.Struct(">d")
_packMarked = struct.Struct(">Bd").pack


def writeU29(value: int) -> bytes:
    """
    Write an integer of 1 to 4 bytes.

    @param value: from 0 on.
    @return: 7 bits a byte, the highest first; in a fourth byte there are 8.
    @raise AMFError: if it has more than 29 bits.
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
_REFERENCES = [writeU29(number << 1) for number in range(0x40)]
_LENGTHS = [writeU29(length << 1 | 1) for length in range(0x80)]


def packDouble(value: float) -> bytes:
    """
    Write a double.

    @param value: a float, or an integer, which is rounded if it has more than
        53 bits.
    @return: 8 bytes, big endian.
    @raise AMFError: if there is none for the number.
    """
    try:
        return _double.pack(value)
    except (OverflowError, struct.error):
        raise AMFError(f"{type(value).__name__} is no double, or too large for one") from None


def millisecondsOf(value: dt.datetime) -> float:
    """
    Get what a date is on the wire.

    @param value: one that knows its time zone.
    @return: milliseconds since the beginning of 1970, UTC.
    @raise AMFError: if the datetime has no time zone.
    """
    try:
        return Date.fromDatetime(value).milliseconds
    except ValueError as error:
        raise AMFError(str(error)) from None


def notWritable(value: Any) -> AMFError:
    """
    Make the error for a value without a form in AMF.

    @param value: the value.
    @return: the error, which says what to write instead of a C{date}.
    """
    if isinstance(value, dt.date):
        return AMFError(
            "datetime.date has no time of day and no time zone: write a datetime with a time "
            f"zone, such as datetime({value.year}, {value.month}, {value.day}, tzinfo=UTC)"
        )
    kind = type(value)
    return AMFError(f"{kind.__module__}.{kind.__qualname__} is not registered")


class AMF3Writer:
    """
    Writes one value, with its own tables. What is counted is counted down here
    for AMF0 too.

    @ivar out: the bytes.
    @ivar writeMembers: writes the members of plain objects, or C{None}; see
        C{writeDynamicProperties} of L{openfl_twisted.wire.amf.codec.encode}.
    @ivar registry: the classes whose instances can be written.
    @ivar limits: how much the value may hold.
    @ivar references: whether what comes again is written as a reference.
    @ivar depth: how much deeper values may be nested.
    @ivar items: how many more values there may be.
    @ivar text: how many more bytes of text there may be.
    @ivar strings: what stands behind the marker of a text that has been
        written: its reference.
    @ivar stringsFrozen: whether texts take no more numbers.
    @ivar objects: the numbers of the objects that have been written, by their
        identity.
    @ivar kept: what has taken a number, in order; C{None} for what nobody
        refers to.
    @ivar traits: the numbers of what was said of classes.
    @ivar open: the identities of what is being written, if there are no
        references.
    """

    def __init__(
        self,
        registry: ClassRegistry,
        limits: AMFLimits,
        references: bool,
        writeMembers: Callable[[Any, DynamicOutput], object] | None,
    ) -> None:
        """
        @param references: whether what comes again is written as a reference;
            see L{openfl_twisted.wire.amf.codec.encode}.
        """
        self.out = bytearray()
        self.writeMembers = writeMembers
        self.registry = registry
        self.limits = limits
        self.references = references
        self.depth = limits.depth
        self.items = limits.items
        self.text = limits.text
        # What follows the marker of a known string. The empty one is never a reference.
        self.strings = {"": b"\1"}
        self.stringsFrozen = False
        # Whoever is in the table is kept, so that nobody else can get the same identity.
        self.objects: dict[int, int] = {}
        self.kept: list[Any] = []
        self.traits: dict[Hashable, int] = {}
        self.open: set[int] = set()
        self._found: dict[type[Any], _Write] = {}

    # Limits

    def room(self, length: int) -> None:
        """
        Ask whether so many bytes can be added.

        @param length: how many; with 0 it says whether what there is was within
            the limit.
        @raise AMFError: if the limit C{total} is passed.
        """
        if len(self.out) + length > self.limits.total:
            raise AMFError(f"the value is longer than {self.limits.total} bytes")

    def take(self, count: int) -> None:
        """
        Count values.

        @param count: how many.
        @raise AMFError: if there are too many.
        """
        self.items -= count
        if self.items < 0:
            raise AMFError(f"there are more than {self.limits.items} values")

    def takeText(self, value: str) -> bytes:
        """
        Encode text.

        @param value: any text, also with lone surrogates.
        @return: it in UTF-8.
        @raise AMFError: if there is too much text.
        """
        data = encodeUTF8(value)
        self.text -= len(data)
        self.checkText(len(data))
        return data

    def checkText(self, length: int) -> None:
        """
        Ask whether text that has been counted can be added.

        @param length: its length in bytes of UTF-8.
        @raise AMFError: if there is too much text, or the value gets too long.
        """
        if self.text < 0:
            raise AMFError(f"there are more than {self.limits.text} bytes of text")
        self.room(length)

    def enter(self, value: Any) -> None:
        """
        Go one deeper.

        @param value: what is begun. Without references it is remembered until
            L{leave}, to find out if it contains itself.
        @raise AMFError: if that is too deep, or if it contains itself and there
            are no references.
        """
        self.depth -= 1
        if self.depth < 0:
            raise AMFError(f"values are nested deeper than {self.limits.depth}")
        if not self.references:
            if id(value) in self.open:
                raise AMFError("the value contains itself, which takes references to write")
            self.open.add(id(value))

    def leave(self, value: Any) -> None:
        """
        Go back.

        @param value: what is done with.
        """
        self.depth += 1
        self.open.discard(id(value))

    # Values

    def write(self, value: Any) -> None:
        """
        Write a marker and its value.

        @param value: see the table in L{openfl_twisted.wire.amf.values}.
        @raise AMFError: if it has no form in AMF, or passes a limit.
        """
        self.take(1)
        self.writeMany((value,))

    def writeMany(self, values: Iterable[Any]) -> None:
        """
        Write values one behind the other; they have been counted.

        @param values: as for L{write}.
        @raise AMFError: if one of them has no form in AMF, or passes a limit.
        """
        out = self.out
        strings = self.strings
        writers = self._writers
        for value in values:
            kind = type(value)
            # The common ones are written right here: calls are what costs most.
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
        Find who writes a value whose class is not one of AMF's own.

        @param value: an instance of a registered class, of a subclass of what
            AMF has, a C{Mapping}, or something that can be called.
        @return: the method that writes it. It is remembered for its class as
            long as this value is written.
        @raise AMFError: if nobody does.
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
        Write text, without a marker, for the first time.

        @param value: the text; not empty. As long as strings take numbers it
            gets the next one, by which it is referred to later.
        @raise AMFError: if there is too much text, or the value gets too long.
        """
        out = self.out
        strings = self.strings
        data = encodeUTF8(value)
        length = len(data)
        self.text -= length
        if self.text < 0 or len(out) + length > self.limits.total:
            self.checkText(length)
        out += _LENGTHS[length] if length < 0x80 else writeU29(length << 1 | 1)
        out += data
        if not self.stringsFrozen:
            # The empty string is in here, but has no number.
            number = len(strings) - 1
            strings[value] = _REFERENCES[number] if number < 0x40 else writeU29(number << 1)

    def _writeName(self, name: str) -> None:
        known = self.strings.get(name)
        if known is None:
            self.addString(name)
        else:
            self.out += known

    def _refer(self, marker: int, value: Any) -> bool:
        """
        Begin an object.

        @return: whether a reference says all, since it has been written before.
        """
        self.out.append(marker)
        if not self.references:
            return False
        known = self.objects.get(id(value))
        if known is None:
            self.objects[id(value)] = len(self.kept)
            self.kept.append(value)
            return False
        self.out += writeU29(known << 1)
        return True

    def _begin(self, marker: int) -> None:
        """
        Begin an object that is a plain value in Python: the same twice is two,
        since Python itself may share it.
        """
        self.out.append(marker)
        # It takes a number, which nobody uses.
        self.kept.append(None)

    def _writeUndefined(self, _: Any) -> None:
        self.out.append(UNDEFINED)

    def _writeNull(self, _: Any) -> None:
        self.out.append(NULL)

    def _writeBoolean(self, value: Any) -> None:
        self.out.append(TRUE if value else FALSE)

    def _writeInteger(self, value: Any) -> None:
        if 0x80 <= value < 0x4000:
            # As writeU29 does.
            self.out += bytes((INTEGER, value >> 7 | 0x80, value & 0x7F))
        elif MIN_INTEGER <= value <= MAX_INTEGER:
            self.out.append(INTEGER)
            self.out += writeU29(value & 0x1FFFFFFF)
        else:
            self.out.append(DOUBLE)
            self.out += packDouble(value)

    def _writeFloat(self, value: Any) -> None:
        # As Flash does; only the negative zero has no integer.
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
        self.out += writeU29(len(data) << 1 | 1)
        self.out += data
        # OpenFL takes it for a string that can be referred to: later ones would have other numbers.
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
        self.room(len(data))
        self.out += writeU29(len(data) << 1 | 1)
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
        self.out += writeU29(count << 1 | 1)
        self._addNamed(members.items())
        self.writeMany(dense)
        self.leave(value)

    def _addNamed(self, members: Iterable[tuple[str, Any]]) -> None:
        """
        Write names with their values, and the end of them.
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
        self.room(struct.calcsize(form) * count)
        self.out += writeU29(count << 1 | 1)
        self.out.append(1 if value.fixed else 0)
        try:
            self.out += struct.pack(f">{count}{form}", *value)
        except (OverflowError, struct.error) as error:
            raise AMFError(f"{type(value).__name__} holds something else: {error}") from None

    def _writeObjectVector(self, value: Any) -> None:
        if self._refer(OBJECT_VECTOR, value):
            return
        self.enter(value)
        count = len(value)
        self.take(count)
        self.out += writeU29(count << 1 | 1)
        self.out.append(1 if value.fixed else 0)
        self._writeName(value.typeName)
        # Its elements cannot be undefined; but Flash writes functions so.
        self.writeMany(None if item is Undefined else item for item in value)
        self.leave(value)

    def _writeDictionary(self, value: Any) -> None:
        if self._refer(DICTIONARY, value):
            return
        self.enter(value)
        pairs = value.pairs()
        self.take(2 * len(pairs))
        self.out += writeU29(len(pairs) << 1 | 1)
        self.out.append(1 if value.weak else 0)
        for pair in pairs:
            self.writeMany(pair)
        self.leave(value)

    # Objects

    def membersOf(self, value: Any) -> Iterable[tuple[str, Any]]:
        """
        List the members of a plain object as they are written.

        @param value: a C{dict} or another C{Mapping}.
        @return: names with their values, in order; what C{writeMembers} has
            written, if it is set.
        @raise AMFError: if a name is no text and no integer, or empty, or
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
            self.out += writeU29(known << 2 | 1)
            return
        self.traits[key] = len(self.traits)
        self.out += writeU29(header)
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
            # As in writeMany.
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
            raise AMFError("an object of a class has an alias, and names for its members")
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
        @raise AMFError: if it lacks a member that is declared, or fails to
            write itself.
        """
        registered = self.registry.forClass(type(value))
        # Whoever is sent here has been found there.
        assert registered is not None  # noqa: S101
        if self._refer(OBJECT, value):
            return
        self.enter(value)
        if registered.external:
            self._writeTraits(registered, EXTERNAL_TRAITS, registered.alias, ())
            callOwn(value.writeExternal, ExternalOutput(self))
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
    # For subclasses: those with bases in the table stand before their bases.
    _bases: ClassVar[list[tuple[Any, "_Write"]]] = [
        *sorted(_writers.items(), key=lambda entry: -len(entry[0].__mro__)),
        (Mapping, _writeObject),
        (Callable, _writeUndefined),
    ]


_Write = Callable[[AMF3Writer, Any], None]


class ExternalOutput(DataOutput):
    """
    What C{writeExternal} writes to, big endian until it says otherwise.

    @ivar objectEncoding: always 3.
    """

    objectEncoding = 3

    def __init__(self, writer: AMF3Writer) -> None:
        """
        @param writer: writes the value around it, and has its tables.
        """
        self._writer = writer

    def _put(self, data: bytes | bytearray) -> None:
        self._writer.room(len(data))
        self._writer.out += data

    def writeObject(self, value: Any) -> None:
        """
        Write a value. It shares the references of the value around it.

        @param value: see the table in L{openfl_twisted.wire.amf.values}.
        @raise AMFError: if it has no form in AMF.
        """
        self._writer.write(value)
