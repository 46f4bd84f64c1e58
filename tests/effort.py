"""
How much work something is, without a clock: the calls that Python makes for it.
"""

import gc
import sys
from collections.abc import Callable
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

    before, collects = sys.getprofile(), gc.isenabled()
    # Who watches the collection of garbage, as Hypothesis does, is called whenever there is one.
    gc.disable()
    sys.setprofile(see)
    try:
        do()
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return count


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
