"""
Cost of work, as the number of function calls.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_CALLS = frozenset(("call", "c_call"))


def callsOf(do: Callable[[], object]) -> int:
    """
    Count the calls of functions in the block, including those written in C.
    """
    count = 0

    def see(_frame: FrameType, event: str, _about: Any) -> None:
        nonlocal count
        count += event in _CALLS

    with profiled(see):
        do()
        # Do not count the calls that end the block.
        return count


@contextmanager
def profiled(see: Callable[[FrameType, str, Any], object]) -> Iterator[None]:
    """
    Pass all calls of the block to a function, as C{sys.setprofile} does. The garbage
    collector is disabled: it calls its observers, such as Hypothesis's, at any time.

    @param see: the function.
    """
    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(see)
    try:
        yield
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()


class CountedBytes(bytes):
    """
    Bytes that count the bytes copied by slicing.
    """

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, bytes):
            self.copied += len(found)
        return found
