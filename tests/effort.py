"""
How much work something is, without a clock: the calls that Python makes for it.
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
    Count the calls of functions, those in C too, while something is done.
    """
    count = 0

    def see(_frame: FrameType, event: str, _about: Any) -> None:
        nonlocal count
        count += event in _CALLS

    with profiled(see):
        do()
        # The calls that end the block do not count.
        return count


@contextmanager
def profiled(see: Callable[[FrameType, str, Any], object]) -> Iterator[None]:
    """
    Have a function see all calls that the block makes, as C{sys.setprofile} does. The
    garbage collector is off meanwhile: it calls its own observers, such as that of
    Hypothesis, at any time.

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
    Bytes that count how many of them are copied by slices.
    """

    copied = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        if isinstance(found, bytes):
            self.copied += len(found)
        return found
