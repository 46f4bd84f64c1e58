"""
Workloads without a network: AMF3 and the numbers of C{ByteArray}, compared with Py3AMF in
pure Python.
"""

import importlib
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from openfl_twisted.utils import ByteArray
from openfl_twisted.wire.amf.codec import decode, encode

Functions = dict[str, Callable[[], object]]

OURS, THEIRS = "ours", "Py3AMF"

RECORDS = [
    {"id": n, "name": f"player {n}", "x": n * 1.5, "y": n * 3, "alive": n % 3 > 0}
    for n in range(500)
]
NUMBERS = 1000


def microseconds(function: Callable[[], object], seconds: float) -> float:
    """
    Call a function repeatedly.

    @return: CPU time per call (microseconds).
    """
    count = 0
    began = now = time.process_time_ns()
    while now - began < seconds * 1e9 or not count:
        function()
        count += 1
        now = time.process_time_ns()
    return (now - began) / count / 1000


def _pyamf(name: str = "pyamf") -> Any:
    # The library has no type annotations.
    return importlib.import_module(name)


def _theirEncode(value: object) -> bytes:
    pyamf = _pyamf()
    data: bytes = pyamf.encode(value, encoding=pyamf.AMF3).read()
    return data


def _theirDecode(data: bytes) -> list[Any]:
    pyamf = _pyamf()
    return [*pyamf.decode(data, encoding=pyamf.AMF3)]


def amfDecode(value: object = RECORDS) -> Functions:
    """
    Return functions that decode their own library's encoding of a value.

    @raise ImportError: if Py3AMF is not installed.
    """
    return {
        OURS: partial(decode, encode(value)),
        THEIRS: partial(_theirDecode, _theirEncode(value)),
    }


def amfEncode(value: object = RECORDS) -> Functions:
    """
    Return functions that encode a value.

    @raise ImportError: if Py3AMF is not installed.
    """
    _pyamf()
    return {OURS: partial(encode, value), THEIRS: partial(_theirEncode, value)}


def _write(make: Callable[[], Any]) -> Any:
    array = make()
    for number in range(NUMBERS):
        array.writeInt(number)
        array.writeShort(number)
        array.writeDouble(float(number))
        array.writeByte(number & 127)
    return array


def byteArrayWrite() -> Functions:
    """
    Return functions that write numbers of four types.

    @raise ImportError: if Py3AMF is not installed.
    """
    theirs = _pyamf("pyamf.amf3").ByteArray
    return {OURS: partial(_write, ByteArray), THEIRS: partial(_write, theirs)}


def _readOurs(array: ByteArray) -> None:
    array.position = 0
    _read(array)


def _readTheirs(array: Any) -> None:
    array.seek(0)
    _read(array)


def _read(array: Any) -> None:
    for _ in range(NUMBERS):
        array.readInt()
        array.readShort()
        array.readDouble()
        array.readByte()


def byteArrayRead() -> Functions:
    """
    Return functions that read numbers of four types.

    @raise ImportError: if Py3AMF is not installed.
    """
    theirs = _pyamf("pyamf.amf3").ByteArray
    return {
        OURS: partial(_readOurs, _write(ByteArray)),
        THEIRS: partial(_readTheirs, _write(theirs)),
    }


CALLS: dict[str, Callable[[], Functions]] = {
    "amf-decode": amfDecode,
    "amf-encode": amfEncode,
    "bytearray-read": byteArrayRead,
    "bytearray-write": byteArrayWrite,
}
"""
Functions by workload. Each returns the functions to measure, by the name of their
library.
"""
