"""
SIGHUP: reopens the log files, and reloads certificates and the policy file, without
closing connections.
"""

import gc
import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.python.logfile import BaseLogFile

from openfl_twisted.logs import packageLogger

_log = packageLogger()

# Windows has no SIGHUP.
_SIGHUP: int | None = getattr(signal, "SIGHUP", None)


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


# The running services that handle SIGHUP.
_services: list["ReloadService"] = []


def _signalled(number: int, frame: object) -> None:
    for service in _services:
        service.signalled()


class ReloadService(Service):
    """
    Handles SIGHUP while the service runs. If the program already has a handler for SIGHUP, the
    service does nothing. Several services can run in one process.
    """

    log = _log

    def __init__(self, reload: Callable[[], object], reactor: Any = None) -> None:
        """
        @param reload: called after the log files have been reopened.
        @param reactor: the reactor (default: the global reactor).
        """
        self._reload = reload
        self._reactor = reactor

    def startService(self) -> None:
        super().startService()
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        if _SIGHUP is None:
            return
        handler = signal.getsignal(_SIGHUP)
        if handler is signal.SIG_DFL:
            try:
                signal.signal(_SIGHUP, _signalled)
            except ValueError:
                # Python allows signal handlers to be set only in the main thread.
                return
            # Drop services that registered earlier: the program has reset the handler since then.
            _services.clear()
        elif handler is not _signalled:
            return
        _services.append(self)

    def signalled(self) -> None:
        """
        Called by the signal handler. Schedules L{reload} in the reactor thread.
        """
        self._reactor.callFromThread(self.reload)

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

    def stopService(self) -> None:
        super().stopService()
        if self in _services:
            _services.remove(self)
            if _SIGHUP is not None and not _services and signal.getsignal(_SIGHUP) is _signalled:
                signal.signal(_SIGHUP, signal.SIG_DFL)
