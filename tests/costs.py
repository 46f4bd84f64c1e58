"""
Cost of work, as counts instead of times, so that it does not depend on the machine:
calls of Python functions, system calls, and searched bytes.
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
    The counts.

    @ivar calls: number of calls of functions written in Python.
    @ivar functions: number of calls by module and function name.
    @ivar system: number of calls by method name, for methods of sockets and of
        C{epoll}. Most are one system call.
    @ivar searched: total length of the bytes and texts whose methods were called:
        C{find} and C{split} search all of them.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.functions: Counter[str] = Counter()
        self.system: Counter[str] = Counter()
        self.searched = 0

    def note(self, frame: FrameType, event: str, argument: Any) -> None:
        """
        Count an event of C{sys.setprofile}.
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
    Count the work of this thread in the block. In live tests this is the reactor
    thread.
    """
    costs = Costs()
    with profiled(costs.note):
        yield costs


def costsOf(work: Callable[[], object]) -> Costs:
    """
    Count the work of a function.
    """
    with counted() as costs:
        work()
    return costs


def growth(prepare: Callable[[int], Callable[[], object]], size: int) -> float:
    """
    Return the factor by which the work grows if the input doubles: 2 if it is linear, 4
    if it is quadratic.

    @param prepare: creates the work for an input size; not counted itself.
    @param size: the smaller size, large enough to make constant work negligible.
    @return: the larger factor, of calls and of searched bytes.
    """
    once, twice = costsOf(prepare(size)), costsOf(prepare(2 * size))
    return max(twice.calls / once.calls, twice.searched / max(once.searched, 1))
