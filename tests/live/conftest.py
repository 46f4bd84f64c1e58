"""
Fails live tests that log errors or leave objects in the reactor, as trial does.
"""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from tests.live.peers import killRunning


def leftovers() -> list[Any]:
    """
    Return the delayed calls and selectables that a test has left in the reactor.
    """
    from twisted.internet import reactor

    own: Any = reactor
    selectables = set(own.getReaders()) | set(own.getWriters())
    calls: list[Any] = list(own.getDelayedCalls())
    return calls + [found for found in selectables if found not in own._internalReaders]


def remove(left: Any) -> None:
    """
    Remove an object from the reactor, so that the next test does not find it.
    """
    from twisted.internet import reactor

    own: Any = reactor
    if IDelayedCall.providedBy(left):
        left.cancel()
    else:
        own.removeReader(left)
        own.removeWriter(left)


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """
    Fail a test that logs an error, or leaves an object in the reactor.
    """
    before = leftovers()
    errors: list[str] = []

    @implementer(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event.get("log_failure") is not None or event.get("isError"):
            errors.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    try:
        yield
    finally:
        killRunning()
    # An unhandled failure is logged when its Deferred is garbage-collected.
    gc.collect()
    globalLogPublisher.removeObserver(observe)
    left = [found for found in leftovers() if found not in before]
    # Format them before they are removed: a cancelled call has no function.
    described = [repr(found) for found in left]
    for found in left:
        remove(found)
    assert not errors, f"errors in the log: {errors}"
    assert not described, f"left in the reactor: {described}"
