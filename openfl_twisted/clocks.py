"""
Clocks, and what takes too long by them.
"""

from typing import NoReturn, cast

from twisted.internet.error import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReactorTime


def clockOrReactor(clock: IReactorTime | None) -> IReactorTime:
    """
    Choose a clock.

    @param clock: the clock that somebody gave, if anybody did.
    @return: it, or the reactor; that is asked for only now, since a module that
        is imported must not choose one.
    """
    if clock is not None:
        return clock
    from twisted.internet import reactor

    return cast("IReactorTime", reactor)


def tookTooLong(outcome: object, timeout: float) -> NoReturn:
    """
    Fail in words: what C{Deferred.addTimeout} calls when the time is over.

    @param outcome: what came of cancelling; nobody wants to know.
    @param timeout: the time, in seconds.
    @raise TookTooLong: always; it is Twisted's C{TimeoutError}, and says the
        time.
    """
    raise TookTooLong(string=f"no answer within {timeout:g} seconds")
