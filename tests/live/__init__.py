"""
What memory cannot show: real sockets and real processes, on loopback.

These are functions for pytest and pytest-twisted; C{trial} does not run them.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from twisted.internet.defer import Deferred

P = ParamSpec("P")

PATIENCE = 240
"""
How long a live test may take, in seconds: the last resort against one that
hangs.
"""


def live(
    test: Callable[P, Coroutine[Deferred[Any], Any, None]], patience: float = PATIENCE
) -> Callable[P, Deferred[None]]:
    """
    Make a test of an asynchronous function: pytest-twisted runs it in the
    reactor, and this gives it an end.
    """

    @functools.wraps(test)
    def run(*arguments: P.args, **options: P.kwargs) -> Deferred[None]:
        from twisted.internet import reactor

        result: Deferred[None] = Deferred.fromCoroutine(test(*arguments, **options))
        return result.addTimeout(patience, reactor)

    return run
