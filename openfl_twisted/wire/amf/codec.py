"""
Reads and writes AMF values: L{decode} and L{encode}. Flash and OpenFL programs use AMF
for sockets, C{ByteArray} and remote calls.

L{openfl_twisted.wire.amf.values} lists the Python type of each value.
"""

from collections.abc import Callable
from typing import Any, Final

from openfl_twisted.wire.amf._amf0 import AMF0Reader, AMF0Writer
from openfl_twisted.wire.amf._amf3 import AMF3Reader
from openfl_twisted.wire.amf._amf3writer import AMF3Writer
from openfl_twisted.wire.amf._members import DynamicOutput
from openfl_twisted.wire.amf.values import (
    AMFError,
    AMFLimits,
    ClassRegistry,
)

AMF0: Final = 0
"""
The older format, introduced with Flash Player 6.
"""

AMF3: Final = 3
"""
The format of ActionScript 3 and Flash Player 9 or later (default).
"""

_limits = AMFLimits()
# The limits for writing are higher: the application's own values need no limit for the reading
# time.
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

    The time is proportional to the number of bytes. On a 64-bit machine, a value uses at most
    160 bytes of memory per encoded byte, not counting the program's own classes and
    C{makeByteArray}. A value can contain the same object many times, and can even contain
    itself. Traversing a value can therefore take longer than reading it.

    @param data: the bytes, which are not copied. Bytes after the value are ignored.
    @param position: position of the value (default 0).
    @param objectEncoding: L{AMF0} or L{AMF3}.
    @param registry: the classes that may be created (default: none).
    @param makeByteArray: called with the bytes of a C{ByteArray}; creates the C{ByteArray}.
    @return: the value, and the position after it.
    @raise EOFError: if the value is incomplete. More bytes can complete the value, unless the
        exception was raised by a registered class.
    @raise ExternalizableError: if an object can be read only by its class, and this
        class is not registered.
    @raise AMFError: if the bytes are not a value, or exceed a limit, or if a registered class
        raises an exception, which becomes the C{__cause__}.
    @raise ValueError: if C{objectEncoding} is unknown, or C{position} is negative.
    """
    _checkEncoding(objectEncoding)
    if position < 0:
        raise ValueError(f"position must not be negative: {position}")
    last = position + limits.total
    if type(data) in (bytes, bytearray) and len(data) <= last:
        return _decode(data, position, objectEncoding, registry, limits, makeByteArray)
    # Do not pass a subclass: it may support an index after the end, like ByteArray.
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
    @param references: whether a repeated object or class description may be written as a
        reference. OpenFL 9.4 reads such references incorrectly. With C{False}, each object is
        written completely, so an object that contains itself cannot be written. References to
        strings are always written, because OpenFL reads them correctly. However, no reference
        to a new string is written after the first XML value, because OpenFL numbers strings
        differently after XML. OpenFL does not read L{XMLDocument}. In AMF0, OpenFL reads
        neither XML nor instances of classes nor AMF3 values.
    @param writeDynamicProperties: called with each C{Object} and a L{DynamicOutput}, whose
        C{writeDynamicProperty(name, value)} writes a member. Other members are not written. By
        default, all members except functions are written. The function is not called for
        arrays or instances of classes.
    @raise AMFError: if part of the value cannot be represented in AMF or exceeds a limit, or
        if an exception is raised while its members are read; this exception becomes the
        C{__cause__}.
    @raise ValueError: if C{objectEncoding} is unknown.
    """
    _checkEncoding(objectEncoding)
    writer = AMF3Writer(registry or _noClasses, limits, references, writeDynamicProperties)
    try:
        if objectEncoding == AMF3:
            writer.write(value)
        else:
            AMF0Writer(writer).write(value)
    except RecursionError:
        raise AMFError("the value is nested too deeply for Python's stack") from None
    writer.checkTotal(0)
    return bytes(writer.out)
