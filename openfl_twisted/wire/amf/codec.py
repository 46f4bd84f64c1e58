"""
AMF, the format in which Flash and OpenFL programs write any value: to sockets, to
C{ByteArray}, and to servers. L{decode} reads one value, L{encode} writes one.

L{openfl_twisted.wire.amf.values} has the Python type of each value.
"""

from collections.abc import Callable
from typing import Any, Final

from openfl_twisted.wire.amf.amf0 import AMF0Reader, AMF0Writer
from openfl_twisted.wire.amf.amf3 import AMF3Reader
from openfl_twisted.wire.amf.amf3writer import AMF3Writer
from openfl_twisted.wire.amf.members import DynamicOutput
from openfl_twisted.wire.amf.values import (
    AMFError,
    AMFLimits,
    ClassRegistry,
)

AMF0: Final = 0
"""
The older form, of Flash Player 6.
"""

AMF3: Final = 3
"""
The form of ActionScript 3, from Flash Player 9 on; it is the default.
"""

_limits = AMFLimits()
# Values of the program itself are not limited by the time that reading them takes.
_writeLimits = AMFLimits(items=1_000_000, objects=1_000_000)
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
    limits: AMFLimits = _limits,
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
    limits: AMFLimits,
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
    limits: AMFLimits = _writeLimits,
    writeDynamicProperties: Callable[[Any, DynamicOutput], object] | None = None,
) -> bytes:
    """
    Write one value.

    @param value: the value; see the table in L{openfl_twisted.wire.amf.values}.
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
