"""
Runs asynchronous listeners, and logs errors that no listener handles.
"""

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure

from openfl_twisted.coroutines import RunningHandler
from openfl_twisted.errors import Error
from openfl_twisted.events import ErrorEvent, Event, reportError, setReporter, setRunner
from openfl_twisted.logs import asyncioHint, errorSink, ownFailure, packageLogger

_log = packageLogger()


def _logUncaughtError(error: Exception, event: Event) -> None:
    reason = Failure(error)
    errorSink.report(reason)
    _log.failure(
        "a listener of {type} raised an error{hint}",
        ownFailure(reason),
        type=event.type,
        hint=asyncioHint(reason),
    )


def _logUnhandledError(message: str, event: ErrorEvent) -> None:
    if errorSink.receive is not None:
        errorSink.report(Failure(Error(message, 2044)))
    # Until a log is started, Twisted writes only critical events to the standard error.
    _log.critical("{text}", text=message)


async def awaitListener(awaitable: Awaitable[Any], event: Event) -> None:
    """
    Wait for an asynchronous listener. Its exception is reported like that of any listener.

    @param awaitable: the result of the listener.
    """
    try:
        await awaitable
    except CancelledError:
        pass
    except Exception as error:
        reportError(error, event)


def runListener(awaitable: Awaitable[Any], event: Event) -> None:
    """
    Run an asynchronous listener in the reactor.

    @param awaitable: the result of the listener.
    """
    RunningHandler(awaitListener(awaitable, event))


def install() -> None:
    """
    Run asynchronous listeners in the reactor. Log exceptions of listeners, and error events
    without a listener (Flash's error 2044), with Twisted's logger.
    """
    setReporter(_logUncaughtError, _logUnhandledError)
    setRunner(runListener)
