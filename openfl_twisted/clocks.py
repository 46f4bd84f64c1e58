"""
Default clock and timeout errors.
"""

from typing import NoReturn, cast

from twisted.internet.error import TimeoutError as TookTooLong
from twisted.internet.interfaces import IReactorTime


def clockOrReactor(clock: IReactorTime | None) -> IReactorTime:
    """
    Return a clock, or the global reactor by default.

    @param clock: the clock; C{None} for the global reactor. Only this call imports the global
        reactor, because importing a module must not install a reactor.
    """
    if clock is not None:
        return clock
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
