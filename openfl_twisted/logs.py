"""
Loggers of this package, and their log level. Events below the level are discarded
before they reach Twisted's log.

Opening and closing a connection are logged at C{info}. A policy request that is
answered on accept is logged as one line instead. A reached limit is logged at C{warn}.
Messages are not logged.
"""

from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from openfl_twisted.wire.text import escape


class _PackageLogger(Logger):
    """
    A logger that discards events below the level before it creates them. It escapes the
    values of an event, which can contain text from a peer; the formats are constants.
    """

    minLevel: Any = LogLevel.info

    def emit(self, level: Any, format: str | None = None, **keywords: object) -> None:  # noqa: A002 - Twisted names it so
        if level >= _PackageLogger.minLevel:
            super().emit(level, format, **{name: _safe(each) for name, each in keywords.items()})


def _safe(value: object) -> object:
    """
    Escape a value of an event. A failure is unchanged, to keep its traceback.
    """
    if isinstance(value, int | float | Failure):
        return value
    return escape(str(value))


def packageLogger() -> Logger:
    """
    Create the logger of a module or class of this package, as an attribute of it.

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
