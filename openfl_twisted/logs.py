"""
The log of this package: what is below a level is left out before it goes
anywhere.

Each connection makes a line when it is opened and one when it is closed, at the
level C{info}; a limit that is reached makes one at C{warn}. Nothing is logged
for a message.
"""

from typing import Any

from twisted.logger import (
    FilteringLogObserver,
    Logger,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogPublisher,
)

_PACKAGE = "openfl_twisted"
_levels = LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)
_observer = FilteringLogObserver(globalLogPublisher, [_levels])


def packageLogger() -> Logger:
    """
    Make a logger for a module of this package, or for a class, to be an
    attribute of it.

    @return: a logger whose events have the name of the package or of that
        class, and go on to Twisted's log if their level is high enough.
    """
    return Logger(_PACKAGE, observer=_observer)


def setLogLevel(level: Any) -> None:
    """
    Leave out of the log what is less than C{level}, for the whole process.

    @param level: one of the constants of C{twisted.logger.LogLevel}; C{info} is
        the default.
    """
    _levels.setLogLevelForNamespace(_PACKAGE, level)
