"""
Replaces the workers of a supervisor when a module of the application changes, for development.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.application.service import Service
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from openfl_twisted.logs import packageLogger
from openfl_twisted.wire.text import escape
from openfl_twisted.workers.supervisor import START_TIMEOUT, Supervisor, describeEnd
from openfl_twisted.workers.worker import FILES

_RELOAD_INTERVAL = 0.5
"""
Seconds between two checks of the files. Several changes are handled together if the files have
not changed during this time.
"""

RESULT = 3
"""
The file descriptor to which the process that checks the application writes its result: a JSON
object with C{problem}, a text or C{null}, and C{files}, the list of the imported files.
"""

_MAX_RESULT = 1024 * 1024
_MAX_ERRORS = 64 * 1024
_MAX_NAMED = 3

_log = packageLogger()

FileState = tuple[int, int, int] | None


def _signatureOf(path: str) -> FileState:
    """
    Return the values that change when a file is written or replaced.

    @param path: the path of a file.
    @return: modification time (nanoseconds), size and inode; C{None} if the file does not exist.
    """
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _modulesIn(folder: str) -> frozenset[str]:
    """
    Return the names of the modules and packages in a directory.

    @param folder: the path of the directory.
    @return: the file names that end with C{.py}, and the names of possible packages, which contain
        no dot. The set is empty if the directory cannot be read.
    """
    try:
        names = os.listdir(folder)
    except OSError:
        return frozenset()
    return frozenset(name for name in names if name.endswith(".py") or "." not in name)


class _Check(ProcessProtocol):
    """
    A process that imports the application and reports the result.
    """

    def __init__(self, done: Callable[[str | None, list[str]], object]) -> None:
        """
        @param done: called with the problem, if any, and the files.
        """
        self._done = done
        self._received = {RESULT: bytearray(), 2: bytearray()}

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        received = self._received[childFD]
        received += data
        if childFD == 2:
            # The last line describes the error.
            del received[:-_MAX_ERRORS]
        else:
            del received[_MAX_RESULT:]

    def processEnded(self, reason: Failure) -> None:
        try:
            result = json.loads(self._received[RESULT])
        except ValueError:
            result = None
        match result:
            case {"problem": None | str() as problem, "files": list() as files}:
                self._done(problem, [str(each) for each in files])
            case _:
                # For example, a module has called os._exit().
                lines = self._received[2].decode(errors="replace").strip().splitlines()
                end = f"the process that imports the application {describeEnd(reason)}"
                self._done(f"{end}: {escape(lines[-1])}" if lines else end, [])


class WatchService(Service):
    """
    Watches the files of the application that the workers run. When a file has changed, another
    process checks that the application can be imported; then all workers are replaced.
    """

    def __init__(
        self,
        supervisor: Supervisor,
        command: Sequence[str],
        since: float,
        *,
        signature: Callable[[str], FileState] = _signatureOf,
        modules: Callable[[str], frozenset[str]] = _modulesIn,
        wallClock: Callable[[], float] = time.time,
    ) -> None:
        """
        @param supervisor: the supervisor.
        @param command: the program and the arguments of the process that checks the
            application, see L{RESULT}.
        @param since: when the workers were started, or an earlier time (seconds since the epoch).
        @param signature: returns the signature of a file, see L{_signatureOf}.
        @param modules: returns the modules in a directory, see L{_modulesIn}.
        @param wallClock: returns the current time (seconds since the epoch).
        """
        self._supervisor = supervisor
        self._reactor: Any = supervisor.reactor
        self._command = list(command)
        self._signature = signature
        self._modules = modules
        self._wallClock = wallClock
        self._timer: IDelayedCall | None = None
        self._check: Any = None
        # The signatures of the files as they were when the code was checked or first seen.
        self._known: dict[str, FileState] = {}
        # While the code has an error: the directories in which a missing module can be created,
        # and the present modules.
        self._folders: dict[str, frozenset[str]] = {}
        # The changed files in the previous poll.
        self._previous: dict[str, Any] = {}
        self._problem: str | None = None
        # When the running code was started.
        self._since = since
        self._asking = 0

    def startService(self) -> None:
        super().startService()
        self._wait()

    def stopService(self) -> None:
        super().stopService()
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        self._kill()

    def _kill(self) -> None:
        """
        Kill the process that checks the application.
        """
        if self._check is not None:
            try:
                self._check.signalProcess("KILL")
            except ProcessExitedAlready:
                # processEnded() will be called.
                return

    def _wait(self) -> None:
        if self.running:
            self._timer = self._reactor.callLater(_RELOAD_INTERVAL, self._poll)

    def _poll(self) -> None:
        """
        Ask the workers for their files, and compare the files.
        """
        self._timer = None
        if not self._asking:
            # Functions can import further modules at any time.
            for worker in self._supervisor.active:
                self._asking += 1
                worker.ask(FILES).addCallbacks(self._answered, lambda _: None).addBoth(self._asked)
        changed: dict[str, Any] = {
            path: signature
            for path, known in self._known.items()
            if (signature := self._signature(path)) != known
        }
        for folder, names in self._folders.items():
            found = self._modules(folder)
            if found != names:
                changed[folder] = found
        # A program can write several files, or one file in several steps.
        isComplete = bool(changed) and changed == self._previous
        self._previous = changed
        if isComplete:
            self._changed(changed)
        else:
            self._wait()

    def _asked(self, result: object) -> None:
        self._asking -= 1

    def _answered(self, files: list[str]) -> None:
        # The answer can be late, when the previous code is no longer running.
        if self._check is None:
            self._see(files, self._since)

    def _see(self, files: Iterable[str], since: float) -> None:
        """
        Watch files.

        @param files: the paths.
        @param since: when the process that has imported the files was started: a file that was
            written later may have been imported before.
        """
        now = self._wallClock()
        for path in files:
            if path in self._known:
                continue
            signature = self._signature(path)
            isNewer = signature is not None and since < signature[0] / 1e9 <= now
            self._known[path] = None if isNewer else signature

    def _changed(self, changed: Mapping[str, Any]) -> None:
        """
        Start the process that checks the application.
        """
        self._previous = {}
        names = [_shown(path) for path in changed if path not in self._folders]
        if names:
            self._problem = None
            _log.info("reloading: {files} changed", files=_joined(names))
        self._known.update((path, changed[path]) for path in changed if path in self._known)
        self._folders.update((path, changed[path]) for path in changed if path in self._folders)
        since = self._wallClock()
        try:
            with open(os.devnull, "r+b") as nothing:
                self._check = self._reactor.spawnProcess(
                    _Check(lambda problem, files: self._checked(problem, files, since)),
                    self._command[0],
                    self._command,
                    env=self._supervisor.environment,
                    path=self._supervisor.directory,
                    childFDs={0: nothing.fileno(), 1: nothing.fileno(), 2: "r", RESULT: "r"},
                )
        except OSError as error:
            self._failed(f"cannot start a process: {error.strerror}")
            return
        self._timer = self._reactor.callLater(START_TIMEOUT, self._timedOut)

    def _timedOut(self) -> None:
        self._timer = None
        self._kill()

    def _checked(self, problem: str | None, files: list[str], since: float) -> None:
        """
        Called when the process that checks the application has ended.
        """
        self._check = None
        timer, self._timer = self._timer, None
        if not self.running:
            return
        if timer is not None:
            timer.cancel()
        elif problem is not None:
            problem = f"the application was not imported within {START_TIMEOUT:g} s"
        self._see(files, since)
        if problem is not None:
            self._failed(problem)
            return
        self._known = {path: self._known[path] for path in files}
        self._folders = {}
        if self._problem is not None:
            self._problem = None
            _log.info("reloading: a missing module was created")
        self._since = since
        self._supervisor.replace().addCallback(self._replaced)

    def _replaced(self, problem: str | None) -> None:
        if problem is not None:
            self._failed(problem)
        else:
            self._wait()

    def _failed(self, problem: str) -> None:
        """
        Log why the application cannot be reloaded. A problem that remains when a directory has
        changed is logged once.
        """
        if problem != self._problem:
            self._problem = problem
            _log.error(
                "cannot reload: {problem}; the previous code is still running", problem=problem
            )
        self._folders = {
            folder: self._folders.get(folder) or self._modules(folder)
            for folder in {os.path.dirname(path) for path in self._known}
        }
        self._wait()


def _shown(path: str) -> str:
    """
    Return the relative path of a file in the current directory, or the absolute path.
    """
    relative = os.path.relpath(path)
    return path if relative.startswith(os.pardir) else relative


def _joined(names: Sequence[str]) -> str:
    """
    Return the subject of a sentence.
    """
    if len(names) == 1:
        return f"{names[0]} has"
    *first, last = sorted(names)
    if len(names) > _MAX_NAMED:
        first, last = first[: _MAX_NAMED - 1], f"{len(names) - _MAX_NAMED + 1} more files"
    return f"{', '.join(first)} and {last} have"
