"""
Clocks.
"""

from typing import cast

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
