"""
AMF, the form in which Flash and OpenFL programs write any value: to sockets, to
C{ByteArray}, and to servers. L{decode} reads one value, L{encode} writes one.

How the values of the two worlds match:

  - C{undefined} is L{Undefined}, C{null} is C{None}.
  - C{Boolean} is C{bool}, C{String} is C{str}. Broken UTF-8 and lone surrogates
    raise nothing, see L{openfl_twisted.wire.text.decodeUTF8}.
  - C{int}, C{uint} and C{Number} are C{int} and C{float}. In AMF0 every number
    is read as C{float}. AMF3 has integers of 29 bits, as which a C{float} that
    is integral is written too; the others are doubles, in which an integer of
    more than 53 bits is rounded.
  - C{Array} is C{list}; one with named entries, or with gaps, is L{ECMAArray}.
    A C{tuple} is written as an array. An AMF0 array with names, in which the
    names are exactly 0 to n - 1, is a C{list} too, unless it contains itself:
    Flash Player writes arrays like this to a C{ByteArray}, and Ruffle in remote
    calls. L{ECMAArray} is always written with names.
  - C{Object} is C{dict}. Another C{Mapping} is written as one. Names are texts
    that are not empty; an C{int} is written in decimal.
  - C{Date} is L{Date}. A C{datetime} that knows its time zone is written as
    one. A C{date} is refused, since it is no point in time.
  - C{ByteArray} is C{bytearray}, or what C{makeByteArray} makes. C{bytes} and
    C{memoryview} are written as one.
  - C{Vector} is L{IntVector}, L{UIntVector}, L{NumberVector} or
    L{ObjectVector}, C{Dictionary} is L{Dictionary}. In an L{ObjectVector}
    C{undefined} is C{None} too.
  - C{XML} and C{XMLDocument} are L{XML} and L{XMLDocument}: text. AMF0 has one
    form for both, which is read as L{XML}.
  - An instance of a class that L{ClassRegistry} knows is one; of another class
    it is L{TypedObject}. Nothing in the bytes can import a module, make an
    instance of a class that is not registered, or set a member that its class
    does not declare.
  - Whatever can be called is a function: it is written as C{undefined}, and
    left out of objects.

The same list, dictionary, L{Date} or other object is one object for the reader
too; C{bytes}, C{memoryview}, C{tuple} and C{datetime} are written again
whenever they come.

In AMF0 a L{Date} takes a reference number, as in Flash Player, and XML takes
none; L{openfl_twisted.wire.amf0} has the evidence.

AMF0 has no form for C{ByteArray}, C{Vector}, C{Dictionary} and objects that
write themselves: there AMF0 says that one value in AMF3 follows, and all of
these in one call share their tables.
"""

from collections.abc import Callable
from typing import Any, Final

from openfl_twisted.wire.amf0 import AMF0Reader, AMF0Writer
from openfl_twisted.wire.amf3 import AMF3Reader
from openfl_twisted.wire.amf3writer import AMF3Writer
from openfl_twisted.wire.amfmembers import DynamicOutput
from openfl_twisted.wire.amfvalues import (
    XML,
    AMFError,
    ClassRegistry,
    Date,
    Dictionary,
    ECMAArray,
    ExternalizableError,
    IntVector,
    Limits,
    NumberVector,
    ObjectVector,
    TypedObject,
    UIntVector,
    Undefined,
    UndefinedType,
    XMLDocument,
)

__all__ = [
    "AMF0",
    "AMF3",
    "XML",
    "AMFError",
    "ClassRegistry",
    "Date",
    "Dictionary",
    "ECMAArray",
    "ExternalizableError",
    "IntVector",
    "Limits",
    "NumberVector",
    "ObjectVector",
    "TypedObject",
    "UIntVector",
    "Undefined",
    "UndefinedType",
    "XMLDocument",
    "decode",
    "encode",
]

AMF0: Final = 0
"""
The older form, of Flash Player 6.
"""

AMF3: Final = 3
"""
The form of ActionScript 3, from Flash Player 9 on; it is the default.
"""

_limits = Limits()
# Values of the program itself are not limited by the time that reading them takes.
_writeLimits = Limits(items=1_000_000, objects=1_000_000)
_noClasses = ClassRegistry()


def _checkEncoding(objectEncoding: int) -> None:
    if objectEncoding not in (AMF0, AMF3):
        raise ValueError(f"objectEncoding must be {AMF0} or {AMF3}, not {objectEncoding!r}")


def decode(
    data: bytes | bytearray | memoryview,
    position: int = 0,
    *,
    objectEncoding: int = AMF3,
    registry: ClassRegistry | None = None,
    limits: Limits = _limits,
    makeByteArray: Callable[[bytes], Any] = bytearray,
) -> tuple[Any, int]:
    """
    Read one value.

    It takes time in proportion to its bytes, and at most 160 bytes of memory
    for each of them on a 64-bit machine, besides what the program's own classes
    and C{makeByteArray} take. A value can hold the same object many times or
    even itself, so walking through it can take longer than reading it.

    @param data: the bytes; they are not copied. What is behind the value does
        not matter.
    @param position: where the value begins, from 0 on.
    @param objectEncoding: L{AMF0} or L{AMF3}.
    @param registry: the classes that may be made; none by default.
    @param limits: how much the value may hold.
    @param makeByteArray: makes a C{ByteArray} of its bytes.
    @return: the value, and the position behind it.
    @raise EOFError: if the value is not all there. More bytes can complete it,
        unless a registered class raised this by itself.
    @raise ExternalizableError: if an object can be read by its class only, and
        this class is not registered.
    @raise AMFError: if the bytes are not a value, pass a limit, or if a
        registered class fails; its exception is the cause then.
    @raise ValueError: if C{objectEncoding} is neither, or C{position} is less
        than 0.
    """
    _checkEncoding(objectEncoding)
    if position < 0:
        raise ValueError(f"position is {position}, less than 0")
    last = position + limits.total
    if type(data) in (bytes, bytearray) and len(data) <= last:
        return _decode(data, position, objectEncoding, registry, limits, makeByteArray)
    # A subclass may have its own idea of an index behind the end: ByteArray has.
    with memoryview(data) as whole, whole.cast("B") as flat, flat[:last] as view:
        return _decode(view, position, objectEncoding, registry, limits, makeByteArray)


def _decode(
    data: bytes | bytearray | memoryview,
    position: int,
    objectEncoding: int,
    registry: ClassRegistry | None,
    limits: Limits,
    makeByteArray: Callable[[bytes], Any],
) -> tuple[Any, int]:
    reader = AMF3Reader(data, position, registry or _noClasses, limits, makeByteArray)
    if objectEncoding == AMF3:
        return reader.read(reader.readValue, position)
    return reader.read(AMF0Reader(reader).readValue, position)


def encode(
    value: Any,
    *,
    objectEncoding: int = AMF3,
    registry: ClassRegistry | None = None,
    references: bool = True,
    limits: Limits = _writeLimits,
    writeDynamicProperties: Callable[[Any, DynamicOutput], object] | None = None,
) -> bytes:
    """
    Write one value.

    @param value: the value; see the table in L{openfl_twisted.wire.amf}.
    @param objectEncoding: L{AMF0} or L{AMF3}.
    @param registry: the classes whose instances can be written.
    @param references: whether an object that comes again may be written as a
        reference, and so may what is said of its class. OpenFL 9.4 reads such
        references wrongly; C{False} writes each object whole wherever it comes,
        so that an object that contains itself cannot be written. References to
        strings, which OpenFL reads, are written either way, but to none behind
        the first XML, from where OpenFL counts them differently. OpenFL has
        other gaps, which this does not fill: it cannot read L{XMLDocument}, and
        in AMF0 neither XML, nor classes, nor what AMF0 writes as AMF3.
    @param limits: how much the value may hold.
    @param writeDynamicProperties: called with each C{Object}, and with what
        takes its members: C{writeDynamicProperty(name, value)}. What is not
        written so is not sent. By default all members are, without functions.
        It is not asked for arrays and for objects of a class.
    @return: the bytes of the value, and nothing else.
    @raise AMFError: if something in it has no form in AMF, passes a limit, or
        fails while it is asked for its members; its exception is the cause
        then.
    @raise ValueError: if C{objectEncoding} is neither.
    """
    _checkEncoding(objectEncoding)
    writer = AMF3Writer(registry or _noClasses, limits, references, writeDynamicProperties)
    try:
        if objectEncoding == AMF3:
            writer.write(value)
        else:
            AMF0Writer(writer).write(value)
    except RecursionError:
        raise AMFError("the value is nested too deep for Python's stack") from None
    writer.room(0)
    return bytes(writer.out)
