"""
SIGHUP: reopens the log files, and reloads certificates and the policy file, without
closing connections.
"""

import gc
import os
from collections.abc import Callable
from typing import Any

from twisted.python.logfile import BaseLogFile

from openfl_twisted.logs import packageLogger
from openfl_twisted.services.signals import SignalService

_log = packageLogger()


def _reopenLogs() -> int:
    """
    Reopen all log files of the process, so that logging continues in a new file after
    an external program has rotated the logs. A log file that cannot be reopened, for
    example after C{twistd} has dropped privileges, stays open.

    @return: the number of log files that were reopened.
    """
    # twistd keeps its log file in a local variable, and has no function to reopen the file. type()
    # instead of isinstance(), which would raise for a dead weakref.proxy.
    found = [each for each in gc.get_objects() if issubclass(type(each), BaseLogFile)]
    return sum(_reopen(each) for each in found if not each.closed)


def _reopen(logFile: BaseLogFile) -> bool:
    mode = 0o666 if logFile.defaultMode is None else logFile.defaultMode
    try:
        # Twisted closes the old log file before it opens the new file, so a failure would stop
        # logging.
        os.close(os.open(logFile.path, os.O_RDWR | os.O_CREAT, mode))
    except OSError as problem:
        _log.warn(
            "cannot reopen the log file {path}: {problem}; still writing to the previous one",
            path=logFile.path,
            problem=problem.strerror,
        )
        return False
    logFile.reopen()
    return True


class ReloadService(SignalService):
    """
    Handles SIGHUP while the service runs.
    """

    log = _log

    def __init__(self, reload: Callable[[], object], reactor: Any = None) -> None:
        """
        @param reload: called after the log files have been reopened.
        @param reactor: the reactor (default: the global reactor).
        """
        super().__init__("SIGHUP", self.reload, reactor)
        self._reload = reload

    def reload(self) -> None:
        """
        Reopen the log files and call the reload function.
        """
        try:
            _reopenLogs()
            self.log.info("SIGHUP received: log files reopened; reloading certificates and policy")
            self._reload()
        except Exception:
            self.log.failure("reload after SIGHUP failed")
