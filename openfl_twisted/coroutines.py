"""
Results of handlers that run asynchronously: coroutines, Deferreds and asyncio futures.
"""

import asyncio
from collections.abc import Awaitable, Generator
from inspect import isawaitable, iscoroutine
from types import CoroutineType
from typing import Any, TypeAlias

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

HandlerResult: TypeAlias = Awaitable[Any] | None
"""
The result of a handler. A handler is a function, a coroutine function, or a function that
returns a Deferred.
"""


class RunningHandler:
    """
    A handler that has returned a coroutine or another awaitable object. A coroutine is started
    immediately; under the asyncio reactor, it is started as a task.

    @ivar deferred: fires with the result of the handler.
    """

    __slots__ = ("_coroutine", "_inTask", "deferred")

    def __init__(self, awaitable: Awaitable[Any]) -> None:
        """
        @param awaitable: the result of the handler.
        """
        self._coroutine: CoroutineType[Any, Any, Any] | None = None
        # The coroutine in an asyncio task.
        self._inTask: _Deferreds | None = None
        self.deferred: Deferred[Any]
        if isinstance(awaitable, Deferred):
            self.deferred = awaitable
        elif asyncio.isfuture(awaitable):
            self.deferred = Deferred.fromFuture(awaitable)
        else:
            coroutine: Any = awaitable if iscoroutine(awaitable) else _await(awaitable)
            if _loopIsRunning():
                self._inTask = _Deferreds(coroutine)
                task = asyncio.ensure_future(_await(self._inTask))
                self.deferred = Deferred.fromFuture(task)
            else:
                self._coroutine = coroutine
                self.deferred = Deferred.fromCoroutine(coroutine)

    @property
    def coroutine(self) -> "CoroutineType[Any, Any, Any] | None":
        """
        The coroutine that the handler has returned; C{None} for another awaitable object.
        """
        return self._coroutine if self._inTask is None else self._inTask.coroutine

    @property
    def isRunning(self) -> bool:
        """
        Whether the handler has no result yet.
        """
        return not self.deferred.called or self.deferred.paused > 0

    def cancel(self, clock: IReactorTime) -> None:
        """
        Cancel the handler. If the handler itself is the caller, it is cancelled in the next
        reactor iteration, when it awaits something.

        @param clock: the clock.
        """
        if self._inTask is not None:
            self._inTask.isCancelled = True
        if self._coroutine is not None and self._coroutine.cr_running:
            clock.callLater(0, self.deferred.cancel)
        else:
            self.deferred.cancel()


def startHandler(result: object) -> RunningHandler | None:
    """
    Start the coroutine that a handler has returned.

    @param result: the result of the handler.
    @return: the running handler; C{None} if the result is not awaitable.
    """
    return RunningHandler(result) if isawaitable(result) else None


def isCancellation(reason: Failure) -> bool:
    """
    Return whether a handler has failed because it was cancelled.
    """
    return reason.check(CancelledError, asyncio.CancelledError) is not None


def _loopIsRunning() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _await(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


class _Cancelled(CancelledError, asyncio.CancelledError):
    """
    The cancellation of a handler that awaits a Deferred in an asyncio task.
    """


class _Deferreds:
    """
    Awaits a coroutine in an asyncio task. The coroutine can await Deferreds and asyncio
    futures.

    @ivar coroutine: the coroutine.
    @ivar isCancelled: whether the handler was cancelled. A Deferred that it awaits then fails
        with Twisted's C{CancelledError}, as under other reactors.
    """

    isCancelled = False

    def __init__(self, coroutine: "CoroutineType[Any, Any, Any]") -> None:
        self.coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine = self.coroutine
        loop = asyncio.get_running_loop()
        value: Any = None
        problem: BaseException | None = None
        while True:
            try:
                awaited = coroutine.throw(problem) if problem else coroutine.send(value)
            except StopIteration as stop:
                return stop.value
            value = problem = None
            try:
                if isinstance(awaited, Deferred):
                    value = yield from awaited.asFuture(loop)
                else:
                    value = yield awaited
            except asyncio.CancelledError as error:
                isOwn = self.isCancelled and isinstance(awaited, Deferred)
                problem = _Cancelled() if isOwn else error
            except BaseException as error:
                problem = error
