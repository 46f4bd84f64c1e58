"""
The log of this package: what is below a level is left out before it goes
anywhere.

Each connection makes a line when it is opened and one when it is closed, at the
level C{info}; one on which a policy request was answered as it was accepted
makes only the line that says this. A limit that is reached makes one at
C{warn}. Nothing is logged for a message.
"""

from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from openfl_twisted.wire.text import escape


class _PackageLogger(Logger):
    """
    A logger that drops events below the level before it creates them, and
    escapes the values of an event: they can contain text from a peer. The formats
    are constants.
    """

    least: Any = LogLevel.info

    def emit(self, level: Any, format: str | None = None, **keywords: object) -> None:  # noqa: A002 - Twisted names it so
        if level >= _PackageLogger.least:
            super().emit(level, format, **{name: _safe(each) for name, each in keywords.items()})


def _safe(value: object) -> object:
    """
    Escape a value of an event. A failure stays as it is, for its traceback.
    """
    if isinstance(value, int | float | Failure):
        return value
    return escape(str(value))


def packageLogger() -> Logger:
    """
    Make a logger for a module of this package, or for a class, to be an
    attribute of it.

    @return: a logger whose events have the name of the package or of that
        class, and go on to Twisted's log if their level is high enough.
    """
    return _PackageLogger("openfl_twisted")


def setLogLevel(level: Any) -> None:
    """
    Leave out of the log what is less than C{level}, for the whole process.

    @param level: one of the constants of C{twisted.logger.LogLevel}; C{info} is
        the default.
    """
    _PackageLogger.least = level
