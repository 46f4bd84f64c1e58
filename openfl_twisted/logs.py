"""
Loggers of this package, their log level, and the limit for frequent events. Events
below the level are discarded before they reach Twisted's log.

Opening and closing a connection are logged at C{info}. For a policy request that is answered
on accept, one line replaces both. Reaching a limit is logged at C{warn}. Messages are not
logged.
"""

import re
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from openfl_twisted.addresses import describe
from openfl_twisted.wire.text import escape

_MAX_EVENTS = 100
"""
Maximum number of C{info} events of one kind that are logged in L{_LOG_INTERVAL}, see
L{limitLog}.
"""

_LOG_INTERVAL = 10.0
"""
Time after which the number of events beyond L{_MAX_EVENTS} is logged: 10 seconds.
"""


# Matches a field of a log format.
_field = re.compile(r"\{[^{}]*\}")


class _PackageLogger(Logger):
    """
    A logger that does not create events below the log level. The logger escapes the values of
    an event, because they can contain text from a peer. The formats are constants and need no
    escaping.
    """

    minLevel: Any = LogLevel.info
    limit: "_EventLimit | None" = None

    def emit(self, level: Any, format: str | None = None, **keywords: object) -> None:  # noqa: A002 - Twisted names it so
        if level < _PackageLogger.minLevel:
            return
        limit = _PackageLogger.limit
        if limit is not None and level is LogLevel.info and not limit.admits(self, format or ""):
            return
        super().emit(level, format, **{name: _safe(each) for name, each in keywords.items()})


class _EventLimit:
    """
    Counts the C{info} events of each kind in an interval. Events with the same format have the
    same kind.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._counts: dict[str, int] = {}
        self._loggers: dict[str, Logger] = {}
        self._timer: IDelayedCall | None = None

    def admits(self, logger: Logger, kind: str) -> bool:
        """
        Count an event.

        @return: whether the event is logged.
        """
        count = self._counts[kind] = self._counts.get(kind, 0) + 1
        if count <= _MAX_EVENTS:
            self._loggers[kind] = logger
            if self._timer is None:
                self._timer = self._clock.callLater(_LOG_INTERVAL, self.endInterval)
        return count <= _MAX_EVENTS

    def endInterval(self) -> None:
        """
        Log the number of events that were not logged.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        counts, self._counts = self._counts, {}
        loggers, self._loggers = self._loggers, {}
        for kind, count in counts.items():
            if count > _MAX_EVENTS:
                # The event that reports the number is not counted.
                Logger.emit(
                    loggers[kind],
                    LogLevel.info,
                    "{count} more in the last {seconds:g} s: {kind}",
                    count=count - _MAX_EVENTS,
                    seconds=_LOG_INTERVAL,
                    kind=_field.sub("...", kind),
                )


def _safe(value: object) -> object:
    """
    Escape a value of an event. A failure is returned unchanged, to keep its traceback. An
    address is converted to text.
    """
    if isinstance(value, int | float | Failure):
        return value
    return escape(describe(value))


def packageLogger() -> Logger:
    """
    Create a logger, to be assigned to an attribute of a module or class of this package.

    @return: a logger with the package or the class as namespace. It forwards events to
        Twisted's log if their level is high enough.
    """
    return _PackageLogger("openfl_twisted")


def setLogLevel(level: Any) -> None:
    """
    Set the minimum log level of this package, for the whole process.

    @param level: a constant of C{twisted.logger.LogLevel} (default C{info}).
    """
    _PackageLogger.minLevel = level


def limitLog(reactor: Any) -> None:
    """
    Limit the number of C{info} events, for the whole process: a log line costs more than
    answering a policy request. If an event occurs more than L{_MAX_EVENTS} times in
    L{_LOG_INTERVAL}, further events of this kind are only counted, and their number is logged.
    Events of other levels are not limited. The commands call this function unless
    C{--log-level=debug} is used.

    @param reactor: the clock. The last numbers are logged when the reactor stops.
    """
    limit = _PackageLogger.limit = _EventLimit(reactor)
    reactor.addSystemEventTrigger("after", "shutdown", limit.endInterval)
