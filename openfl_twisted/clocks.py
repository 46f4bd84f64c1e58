"""
Default reactor and clock, and timeout errors.
"""

from collections.abc import Callable
from typing import Any, NoReturn, cast

from twisted.internet.error import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReactorTime

from openfl_twisted.types import AnyClock

# Called with each object that is created without a reactor; in tests, raises an exception.
_guards: list[Callable[[object], object]] = []


def globalReactor(user: object) -> Any:
    """
    Return the global reactor, for an object that was created without a reactor.

    @param user: the object.
    @raise RuntimeError: in a test with an in-memory network; see
        L{MemoryNetwork.forTest<openfl_twisted.testing.MemoryNetwork.forTest>}.
    """
    for guard in _guards:
        guard(user)
    from twisted.internet import reactor

    return reactor


def checkClock(name: str, clock: Any) -> Any:
    """
    Return a clock or reactor.

    @param name: the name of the parameter, for the error.
    @raise TypeError: if the object is not a clock.
    """
    if not hasattr(clock, "callLater"):
        owned = getattr(clock, "reactor", None)
        words = "" if owned is None else ": pass its attribute reactor"
        raise TypeError(f"{name} must be a reactor, not {clock!r:.80}{words}")
    return clock


def guardReactor(guard: Callable[[object], object]) -> Callable[[], None]:
    """
    Call a function whenever L{globalReactor} is called.

    @param guard: called with the object; can raise an exception.
    @return: a function that ends this.
    """
    _guards.append(guard)

    def end() -> None:
        _guards.remove(guard)

    return end


def clockOrReactor(clock: AnyClock | None) -> IReactorTime:
    """
    Return a clock, or the global reactor by default.

    @param clock: the clock; C{None} for the global reactor. Only this call imports the global
        reactor, because importing a module must not install a reactor.
    @raise TypeError: if the object is not a clock.
    """
    if clock is not None:
        return cast("IReactorTime", checkClock("clock", clock))
    from twisted.internet import reactor

    return cast("IReactorTime", reactor)


def tookTooLong(outcome: object, timeout: float) -> NoReturn:
    """
    Raise a timeout error with a message: a callback for C{Deferred.addTimeout}.

    @param outcome: the result of the cancelled Deferred; ignored.
    @param timeout: the timeout (seconds).
    @raise TookTooLong: always; Twisted's C{TimeoutError}, with the timeout in its text.
    """
    raise TookTooLong(string=f"no answer within {timeout:g} seconds")
