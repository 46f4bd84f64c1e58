"""
How much work it is to read and to write AMF3, side by side with Py3AMF in pure
Python: C{python benchmarks/amf.py}. Py3AMF has to be installed for it.

Each number is the median of several rounds in which both take turns, since
machines are noisy; the ratios are what counts.
"""

import importlib
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from openfl_twisted.wire.amf import decode, encode

# Without types, so it is imported without.
pyamf: Any = importlib.import_module("pyamf")

ROUNDS = 21


def measure(function: Callable[[], Any], times: int) -> float:
    """
    Call a function many times.

    @return: CPU microseconds for a call.
    """
    began = time.process_time_ns()
    for _ in range(times):
        function()
    return (time.process_time_ns() - began) / times / 1000


def theyEncode(value: Any) -> bytes:
    """
    Encode with Py3AMF.
    """
    data: bytes = pyamf.encode(value, encoding=pyamf.AMF3).read()
    return data


def theyDecode(data: bytes) -> list[Any]:
    """
    Decode with Py3AMF.
    """
    return [*pyamf.decode(data, encoding=pyamf.AMF3)]


def main() -> None:
    """
    Print the table.
    """
    small = {"action": "move", "x": 10, "y": 20.5, "id": 7, "name": "player"}
    records = [
        {"id": n, "name": f"player {n}", "x": n * 1.5, "y": n * 3, "alive": n % 3 > 0}
        for n in range(500)
    ]
    sys.stdout.write(f"{'us':36} {'ours':>9} {'Py3AMF':>9} {'ratio':>6}\n")
    for name, value, times in [("small object", small, 200), ("500 records", records, 2)]:
        data = encode(value)
        # Each reads what it writes itself.
        theirData = theyEncode(value)
        pairs: list[tuple[str, Callable[[], Any], Callable[[], Any]]] = [
            ("decode", partial(decode, data), partial(theyDecode, theirData)),
            ("encode", partial(encode, value), partial(theyEncode, value)),
        ]
        for verb, own, other in pairs:
            rounds = [(measure(own, times), measure(other, times)) for _ in range(ROUNDS)]
            ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
            ratio = statistics.median(second / first for first, second in rounds)
            label = f"{verb} {name}, {len(data)} bytes"
            sys.stdout.write(f"{label:36} {ours:9.1f} {theirs:9.1f} {ratio:6.1f}\n")


if __name__ == "__main__":
    main()
