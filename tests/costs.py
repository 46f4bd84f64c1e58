"""
What work costs, counted and not timed, so that a slow machine counts the same:
calls of Python's functions, calls of the system, and bytes that are searched.
"""

import select
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tests.effort import profiled

_SYSTEM = (socket.socket, select.epoll)
_TEXT = (bytes, bytearray, str)


class Costs:
    """
    What has been counted.

    @ivar calls: how many functions that are written in Python were called.
    @ivar functions: how often each of them was called, by module and name.
    @ivar system: how often each method of sockets and of C{epoll} was called, by
        its name. Each is a call of the system, or nearly.
    @ivar searched: the lengths of all bytes and texts of which a method was
        called, added up: C{find} and C{split} look at all of them.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.functions: Counter[str] = Counter()
        self.system: Counter[str] = Counter()
        self.searched = 0

    def note(self, frame: FrameType, event: str, argument: Any) -> None:
        """
        Count an event, as C{sys.setprofile} gives it.
        """
        if event == "call":
            self.calls += 1
            name = f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"
            self.functions[name] += 1
        elif event == "c_call":
            owner = getattr(argument, "__self__", None)
            if isinstance(owner, _SYSTEM):
                self.system[argument.__name__] += 1
            elif isinstance(owner, _TEXT):
                self.searched += len(owner)


@contextmanager
def counted() -> Iterator[Costs]:
    """
    Count what this thread does meanwhile; in a live test that is the reactor's.
    """
    costs = Costs()
    with profiled(costs.note):
        yield costs


def costsOf(work: Callable[[], object]) -> Costs:
    """
    Count what a function does.
    """
    with counted() as costs:
        work()
    return costs


def growth(prepare: Callable[[int], Callable[[], object]], size: int) -> float:
    """
    Say how many times as much work twice as much input is: 2 if work grows in
    proportion, 4 if it grows with the square.

    @param prepare: makes the work for an input of some size; that itself is not
        counted.
    @param size: of the smaller input; so much that what is done only once does
        not matter.
    @return: the larger of the growths of calls and of searched bytes.
    """
    once, twice = costsOf(prepare(size)), costsOf(prepare(2 * size))
    return max(twice.calls / once.calls, twice.searched / max(once.searched, 1))
