"""
Tells Twisted's log what listeners did not deal with.
"""

from twisted.python.failure import Failure

from openfl_twisted.events import ErrorEvent, Event, setReporter
from openfl_twisted.logs import packageLogger

_log = packageLogger()


def _logUncaughtError(error: Exception, event: Event) -> None:
    _log.failure("a listener of {type} has failed", Failure(error), type=event.type)


def _logUnhandledError(message: str, event: ErrorEvent) -> None:
    _log.error("{text}", text=message)


def install() -> None:
    """
    Have Twisted's log hear of exceptions of listeners, and of errors for which
    there is no listener: #2044.
    """
    setReporter(_logUncaughtError, _logUnhandledError)
