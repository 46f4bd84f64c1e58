"""
AMF0: reader and writer of one value. The names in capital letters are markers.

Limits and C{EOFError} are described in L{openfl_twisted.wire.amf._amf3}.

References. Objects, typed objects and arrays take a reference number, in the order in which
they begin; the first number is 0. According to the specification, dates and XML take no
number. Flash Player numbers some of them, and its two virtual machines differ:

  - ActionScript 3 numbers dates. Flash Player writes an array that contains
    three arrays and then the same C{Date} twice with C{07 0004} for the second
    date (recorded in issue 72 of C{ruffle-rs/rust-flash-lso}).
  - ActionScript 1 and 2 number XML, but not dates. In the argument list of a remote call, when
    an XML object from the first argument is used again, it is written as C{07 0002} (issue 124
    of the same project). In Ruffle's test C{avm1/amf0_serde_suite}, recorded with Flash
    Player, an object that follows one date, one XML object and 14 other objects has the number
    15, so either the date or the XML object was not counted.

Only ActionScript 3 has C{ByteArray} and C{Socket}. Therefore, the writer numbers dates, and
writes a repeated L{Date} as a reference, as Flash Player does. The reader also numbers dates.
If a reference number does not exist in this numbering, the reader uses the numbering of
ActionScript 2. No recording shows whether ActionScript 3 numbers XML. This module assumes that
it does not.

In an AMF0 shared object, the root object takes the number 0 although the root object itself is
not written. This module reads and writes single values, whose root object has the number 0.

@see: Adobe, C{Action Message Format -- AMF 0}.
"""

import datetime as dt
import struct
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from openfl_twisted.wire.amf._amf3 import AMF3Reader, assign, callOwn
from openfl_twisted.wire.amf._amf3writer import (
    AMF3Writer,
    millisecondsOf,
    notWritable,
    packDouble,
    subclassWriters,
)
from openfl_twisted.wire.amf._members import declaredMembers, namedTwice, nameOf, normalArray
from openfl_twisted.wire.amf.values import (
    XML,
    AMFError,
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

_NUMBER, _BOOLEAN, _STRING, _OBJECT, _MOVIE_CLIP, _NULL, _UNDEFINED, _REFERENCE = range(8)
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _DATE, _LONG_STRING, _UNSUPPORTED = range(0x08, 0x0E)
_RECORD_SET, _XML_TEXT, _TYPED_OBJECT, _AMF3_FOLLOWS = range(0x0E, 0x12)

_MAX_SHORT = 0xFFFF
_END = bytes((0, 0, _OBJECT_END))
_unpackDouble = struct.Struct(">d").unpack_from
_short = struct.Struct(">H")
_unpackShort = _short.unpack_from
_long = struct.Struct(">I")
_unpackLong = _long.unpack_from
# The largest array index in ActionScript; a larger number is an ordinary name.
_MAX_INDEX = 0xFFFFFFFE


def _lengthWith(name: str) -> int:
    """
    Return the length that an array must have to contain an entry with a given name.

    @return: the index plus 1; 0 if the name is not an array index in the decimal form
        of ActionScript.
    """
    if len(name) > 10 or not (name.isascii() and name.isdecimal()):
        return 0
    index = int(name)
    return index + 1 if index <= _MAX_INDEX and str(index) == name else 0


class AMF0Reader:
    """
    Reads one value.

    @param amf3: the reader for AMF3 values, whose counters also enforce the limits for
        AMF0.
    """

    def __init__(self, amf3: AMF3Reader) -> None:
        self._amf3 = amf3
        self._data = amf3.data
        # The objects in the numbering of ActionScript 3 and of ActionScript 2; see the module's
        # docstring.
        self._objects: list[Any] = []
        self._olderObjects: list[Any] = []
        # The identities of the objects to which a reference was read.
        self._referred: set[int] = set()

    def readValue(self, position: int) -> tuple[Any, int]:
        """
        Read a marker and its value.

        @return: the value, and the position after it.
        @raise AMFError: if the marker is unknown, or the value is invalid or exceeds a limit.
        """
        reader = self._readers.get(self._data[position])
        if reader is None:
            raise AMFError(f"unknown AMF0 marker {self._data[position]:02X}")
        return reader(self, position + 1)

    def _readNumber(self, position: int) -> tuple[Any, int]:
        return _unpackDouble(self._data, position)[0], position + 8

    def _readBoolean(self, position: int) -> tuple[Any, int]:
        return self._data[position] != 0, position + 1

    def _readString(self, position: int) -> tuple[str, int]:
        return self._amf3.takeText(position + 2, _unpackShort(self._data, position)[0])

    def _readLongString(self, position: int) -> tuple[str, int]:
        return self._amf3.takeText(position + 4, _unpackLong(self._data, position)[0])

    def _readNull(self, position: int) -> tuple[Any, int]:
        return None, position

    def _readUndefined(self, position: int) -> tuple[Any, int]:
        return Undefined, position

    def _readReference(self, position: int) -> tuple[Any, int]:
        index = _unpackShort(self._data, position)[0]
        known = self._objects if index < len(self._objects) else self._olderObjects
        try:
            value = known[index]
        except IndexError:
            raise AMFError(f"reference to unknown object {index}") from None
        self._referred.add(id(value))
        return value, position + 2

    def _keep(self, value: Any) -> None:
        """
        Count an object, and assign the next reference number to it.

        @raise AMFError: if the objects exceed the limit.
        """
        self._amf3.countObject()
        self._objects.append(value)
        self._olderObjects.append(value)

    def _readDate(self, position: int) -> tuple[Any, int]:
        self._amf3.countObject()
        value = Date(_unpackDouble(self._data, position)[0])
        # The time zone has no meaning, but must be present.
        _unpackShort(self._data, position + 8)
        self._objects.append(value)
        return value, position + 10

    def _readXML(self, position: int) -> tuple[Any, int]:
        self._amf3.countObject()
        text, position = self._readLongString(position)
        value = XML(text)
        self._olderObjects.append(value)
        return value, position

    def _readAMF3(self, position: int) -> tuple[Any, int]:
        return self._amf3.readValue(position)

    def _readStrictArray(self, position: int) -> tuple[Any, int]:
        count = _unpackLong(self._data, position)[0]
        position += 4
        self._amf3.enter()
        self._amf3.take(count, count, position)
        value: list[Any] = []
        self._keep(value)
        for _ in range(count):
            item, position = self.readValue(position)
            value.append(item)
        self._amf3.depth += 1
        return value, position

    def _readECMAArray(self, position: int) -> tuple[Any, int]:
        # The length is only a hint and may be wrong.
        length = _unpackLong(self._data, position)[0]
        value = ECMAArray()
        number, older = len(self._objects), len(self._olderObjects)
        position = self._readMembers(value, value, position + 4)
        value.gather()
        # Flash Player and Ruffle also use this format for arrays without names. An array that
        # contains itself stays an ECMAArray, because its elements refer to the ECMAArray object.
        if value or id(value) in self._referred or (length and not value.dense):
            return value, position
        self._objects[number] = self._olderObjects[older] = value.dense
        return value.dense, position

    def _readObject(self, position: int) -> tuple[Any, int]:
        value: dict[str, Any] = {}
        return value, self._readMembers(value, value, position)

    def _readTypedObject(self, position: int) -> tuple[Any, int]:
        alias, position = self._readString(position)
        registered = self._amf3.registry.forAlias(alias)
        if registered is None:
            typed = TypedObject(alias)
            return typed, self._readMembers(typed, typed, position)
        value = callOwn(registered.cls)
        members: dict[str, Any] = {}
        position = self._readMembers(value, members, position)
        assign(value, members, registered)
        return value, position

    def _readMembers(self, value: Any, members: dict[str, Any], position: int) -> int:
        """
        Read the members of an object, up to its end marker.

        @param value: the object, which gets the next reference number.
        """
        data = self._data
        amf3 = self._amf3
        self._keep(value)
        amf3.enter()
        while True:
            name, position = self._readString(position)
            # An empty name is valid if it is not followed by the end marker.
            if not name and data[position] == _OBJECT_END:
                break
            amf3.take(1, 1, position)
            members[name], position = self.readValue(position)
        amf3.depth += 1
        return position + 1

    _readers: ClassVar[dict[int, Callable[["AMF0Reader", int], tuple[Any, int]]]] = {
        _NUMBER: _readNumber,
        _BOOLEAN: _readBoolean,
        _STRING: _readString,
        _OBJECT: _readObject,
        _NULL: _readNull,
        _UNDEFINED: _readUndefined,
        _REFERENCE: _readReference,
        _ECMA_ARRAY: _readECMAArray,
        _STRICT_ARRAY: _readStrictArray,
        _DATE: _readDate,
        _LONG_STRING: _readLongString,
        # The marker for a value that the peer could not write.
        _UNSUPPORTED: _readUndefined,
        _XML_TEXT: _readXML,
        _TYPED_OBJECT: _readTypedObject,
        _AMF3_FOLLOWS: _readAMF3,
    }


class AMF0Writer:
    """
    Writes one value.

    @param amf3: the writer for AMF3 values, whose counters also enforce the limits for
        AMF0.
    """

    def __init__(self, amf3: AMF3Writer) -> None:
        self._amf3 = amf3
        self._out = amf3.out
        self._objects: dict[int, int] = {}
        # Keep the objects, so that no other object can get the same identity, as in AMF3Writer.
        self._kept: list[Any] = []

    def write(self, value: Any) -> None:
        """
        Write a marker and its value.

        @param value: see the table in L{openfl_twisted.wire.amf.values}.
        @raise AMFError: if the value cannot be represented in AMF, or exceeds a limit.
        """
        self._amf3.take(1)
        kind = type(value)
        writer = self._writers.get(kind)
        if writer is None:
            if self._amf3.registry.forClass(kind) is not None:
                writer = AMF0Writer.writeRegistered
            else:
                writer = next((one for base, one in self._bases if isinstance(value, base)), None)
            if writer is None:
                raise notWritable(value)
        writer(self, value)

    def _refer(self, value: Any) -> bool:
        """
        Write a reference to a repeated object, or assign the next reference number to a new
        object.

        @return: whether a reference was written.
        """
        if not self._amf3.references:
            return False
        known = self._objects.get(id(value))
        if known is not None and known <= _MAX_SHORT:
            self._out.append(_REFERENCE)
            self._out += _short.pack(known)
            return True
        self._objects[id(value)] = len(self._kept)
        self._kept.append(value)
        return False

    def _writeName(self, name: str) -> None:
        data = self._amf3.takeText(name)
        if len(data) > _MAX_SHORT:
            raise AMFError(f"a name has {len(data)} bytes; the maximum of AMF0 is {_MAX_SHORT}")
        self._out += _short.pack(len(data))
        self._out += data

    def _writeNull(self, _: Any) -> None:
        self._out.append(_NULL)

    def _writeUndefined(self, _: Any) -> None:
        self._out.append(_UNDEFINED)

    def _writeBoolean(self, value: Any) -> None:
        self._out += b"\1\1" if value else b"\1\0"

    def _writeNumber(self, value: Any) -> None:
        self._out.append(_NUMBER)
        self._out += packDouble(value)

    def _writeString(self, value: Any) -> None:
        data = self._amf3.takeText(value)
        if len(data) > _MAX_SHORT:
            self._addLong(_LONG_STRING, data)
        else:
            self._out.append(_STRING)
            self._out += _short.pack(len(data))
            self._out += data

    def _addLong(self, marker: int, data: bytes) -> None:
        self._out.append(marker)
        self._out += _long.pack(len(data))
        self._out += data

    def _writeXML(self, value: Any) -> None:
        self._addLong(_XML_TEXT, self._amf3.takeText(value))

    def _writeDate(self, value: Any) -> None:
        if not self._refer(value):
            self._addDate(value.milliseconds)

    def _writeDatetime(self, value: Any) -> None:
        # A datetime takes a reference number that is never used.
        self._kept.append(None)
        self._addDate(millisecondsOf(value))

    def _addDate(self, milliseconds: float) -> None:
        self._out.append(_DATE)
        self._out += packDouble(milliseconds)
        self._out += b"\0\0"

    def _writeAMF3(self, value: Any) -> None:
        self._out.append(_AMF3_FOLLOWS)
        self._amf3.writeMany((value,))

    def _writeTuple(self, value: Any) -> None:
        # A tuple takes a reference number that is never used.
        self._kept.append(None)
        self._addStrictArray(value)

    def _writeStrictArray(self, value: Any) -> None:
        if not self._refer(value):
            self._addStrictArray(value)

    def _addStrictArray(self, value: Any) -> None:
        self._amf3.enter(value)
        self._out.append(_STRICT_ARRAY)
        self._out += _long.pack(len(value))
        for item in value:
            self.write(item)
        self._amf3.leave(value)

    def _writeECMAArray(self, value: Any) -> None:
        if self._refer(value):
            return
        dense, named = normalArray(value.dense, value)
        self._amf3.enter(value)
        self._out.append(_ECMA_ARRAY)
        # Write the length of the array in ActionScript, not the number of its members.
        length = max(map(_lengthWith, named), default=0)
        self._out += _long.pack(max(len(value.dense), len(dense), length))
        self._addMembers([(str(index), item) for index, item in enumerate(dense)])
        self._addMembers(named.items())
        self._out += _END
        self._amf3.leave(value)

    def _writeObject(self, value: Any) -> None:
        if self._refer(value):
            return
        self._amf3.enter(value)
        self._out.append(_OBJECT)
        self._addMembers(self._amf3.membersOf(value))
        self._out += _END
        self._amf3.leave(value)

    def _writeTyped(self, value: Any) -> None:
        if self._refer(value):
            return
        if not value.alias:
            raise AMFError("the alias of a TypedObject must not be empty")
        members = [(nameOf(key), item) for key, item in value.items() if not namedTwice(key, value)]
        self._addTyped(value, value.alias, members)

    def writeRegistered(self, value: Any) -> None:
        """
        Write an instance of a registered class.

        @param value: an instance of exactly that class. An externalizable object is written in
            AMF3.
        """
        registered = self._amf3.registry.forClass(type(value))
        # This method is only called for registered classes.
        assert registered is not None  # noqa: S101
        if registered.external:
            self._writeAMF3(value)
        elif not self._refer(value):
            members = zip(registered.members, declaredMembers(value, registered), strict=True)
            self._addTyped(value, registered.alias, members)

    def _addTyped(self, value: Any, alias: str, members: Iterable[tuple[str, Any]]) -> None:
        self._amf3.enter(value)
        self._out.append(_TYPED_OBJECT)
        self._writeName(alias)
        self._addMembers(members)
        self._out += _END
        self._amf3.leave(value)

    def _addMembers(self, members: Iterable[tuple[str, Any]]) -> None:
        for name, item in members:
            self._writeName(name)
            self.write(item)

    _writers: ClassVar[dict[type[Any], "_Write"]] = {
        type(Undefined): _writeUndefined,
        type(None): _writeNull,
        bool: _writeBoolean,
        int: _writeNumber,
        float: _writeNumber,
        str: _writeString,
        XML: _writeXML,
        XMLDocument: _writeXML,
        Date: _writeDate,
        dt.datetime: _writeDatetime,
        bytes: _writeAMF3,
        memoryview: _writeAMF3,
        bytearray: _writeAMF3,
        IntVector: _writeAMF3,
        UIntVector: _writeAMF3,
        NumberVector: _writeAMF3,
        ObjectVector: _writeAMF3,
        Dictionary: _writeAMF3,
        tuple: _writeTuple,
        list: _writeStrictArray,
        ECMAArray: _writeECMAArray,
        dict: _writeObject,
        TypedObject: _writeTyped,
    }
    _bases = subclassWriters(_writers)


_Write = Callable[[AMF0Writer, Any], None]
