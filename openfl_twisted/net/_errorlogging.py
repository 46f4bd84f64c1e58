"""
Logs errors that no listener handles.
"""

from twisted.python.failure import Failure

from openfl_twisted.events import ErrorEvent, Event, setReporter
from openfl_twisted.logs import packageLogger

_log = packageLogger()


def _logUncaughtError(error: Exception, event: Event) -> None:
    _log.failure("a listener of {type} raised an error", Failure(error), type=event.type)


def _logUnhandledError(message: str, event: ErrorEvent) -> None:
    _log.error("{text}", text=message)


def install() -> None:
    """
    Log exceptions of listeners, and error events without a listener (Flash's error
    2044), with Twisted's logger.
    """
    setReporter(_logUncaughtError, _logUnhandledError)
