"""
SIGHUP: reopen the log files, and reload certificates and policy file, without
closing a connection.
"""

import gc
import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.python.logfile import BaseLogFile

from openfl_twisted.logs import packageLogger

# Windows has no such signal.
_SIGHUP: int | None = getattr(signal, "SIGHUP", None)


def reopenLogs() -> int:
    """
    Reopen all log files of the process, so that a log rotated by an external
    program is continued in a new file.

    @return: their number.
    """
    # twistd keeps its log file in a local variable, and has no function to reopen it.
    found = [each for each in gc.get_objects() if isinstance(each, BaseLogFile)]
    for logFile in found:
        logFile.reopen()
    return len(found)


class ReloadService(Service):
    """
    Handles SIGHUP while it runs, unless the program handles it already.
    """

    log = packageLogger()

    def __init__(self, reload: Callable[[], object], reactor: Any = None) -> None:
        """
        @param reload: called after the log files have been reopened.
        @param reactor: the reactor (default: the global reactor).
        """
        self._reload = reload
        self._reactor = reactor
        self._installed = False

    def startService(self) -> None:
        """
        Install the signal handler.
        """
        super().startService()
        if _SIGHUP is None or signal.getsignal(_SIGHUP) is not signal.SIG_DFL:
            return
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        try:
            signal.signal(_SIGHUP, self._signalled)
        except ValueError:
            # Python allows signal handlers only in the main thread.
            return
        self._installed = True

    def _signalled(self, number: int, frame: object) -> None:
        self._reactor.callFromThread(self.reload)

    def reload(self) -> None:
        """
        Reopen the log files and reload.
        """
        try:
            reopenLogs()
            self.log.info("SIGHUP received: log files reopened; reloading certificates and policy")
            self._reload()
        except Exception:
            self.log.failure("cannot reload")

    def stopService(self) -> None:
        """
        Restore the default of the signal.
        """
        super().stopService()
        if self._installed and _SIGHUP is not None:
            signal.signal(_SIGHUP, signal.SIG_DFL)
            self._installed = False
