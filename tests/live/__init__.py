"""
Live tests: real sockets and real processes, on loopback.

The tests are functions for pytest and pytest-twisted; C{trial} does not run them.
"""

import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

from twisted.internet.defer import Deferred

P = ParamSpec("P")

PATIENCE = 240
"""
Maximum duration of a live test (seconds). It only ends tests that hang.
"""


def live(
    test: Callable[P, Coroutine[Deferred[Any], Any, None]], patience: float = PATIENCE
) -> Callable[P, Deferred[None]]:
    """
    Convert a coroutine function to a test with a timeout, which pytest-twisted runs in
    the reactor.
    """

    @functools.wraps(test)
    def run(*arguments: P.args, **options: P.kwargs) -> Deferred[None]:
        from twisted.internet import reactor

        result: Deferred[None] = Deferred.fromCoroutine(test(*arguments, **options))
        return result.addTimeout(patience, reactor)

    return run
