"""
Tests for L{openfl_twisted.workers.watching} and L{openfl_twisted.workers.modules}.
"""

import json
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.internet.error import ProcessExitedAlready
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.workers import modules, watching
from openfl_twisted.workers.modules import applicationFiles, filesOfError
from openfl_twisted.workers.supervisor import START_TIMEOUT, Supervisor
from openfl_twisted.workers.watching import (
    _RELOAD_INTERVAL,
    RESULT,
    FileState,
    WatchService,
    _modulesIn,
    _signatureOf,
)
from tests.doubles import linesOf
from tests.support.workers import FakePort, FakeProcess, WorkerReactor

GAME, HELPER = os.path.abspath("game.py"), os.path.abspath("helper.py")
FOLDER = os.getcwd()


class WatchTests(SynchronousTestCase):
    """
    L{WatchService} with a supervisor of one worker.
    """

    def setUp(self) -> None:
        # trial changes the working directory after it has imported this module.
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(FOLDER)
        self.reactor = WorkerReactor()
        self.supervisor = Supervisor(
            lambda number: ["python", "worker"],
            1,
            stopTimeout=7,
            started=lambda: None,
            failed=self.fail,
            reactor=self.reactor,
        )
        self.supervisor.ports = [FakePort()]
        self.supervisor.startService()
        [self.worker] = self.reactor.started
        self.worker.notice("listening")
        self.files: dict[str, FileState] = {GAME: (1, 1, 1), HELPER: (1, 1, 1)}
        self.modules = frozenset({"game.py"})
        self.named: list[str] | None = None
        self.now = 1000.0
        self.watch = WatchService(
            self.supervisor,
            ["python", "check"],
            100,
            signature=self.files.get,
            modules=lambda folder: self.modules,
            wallClock=lambda: self.now,
        )
        self.watch.startService()

    def poll(self, files: Iterable[str] | None = None) -> None:
        """
        Let one interval pass. The workers answer.

        @param files: the files that they name, if these have changed.
        """
        if files is not None:
            self.named = [*files]
        for process in self.reactor.started:
            process.link.transport.clear()
        self.reactor.advance(_RELOAD_INTERVAL)
        for process in self.reactor.started:
            value = process.link.transport.value()
            start = value.find(b'{"ask": "files"')
            if start > 0 and self.named is not None:
                # The request can be followed by a check of the supervisor.
                number, _ = json.JSONDecoder().raw_decode(value[start:].decode(errors="replace"))
                answer = {"answer": number["number"], "value": self.named}
                process.link.stringReceived(json.dumps(answer).encode())

    def change(self, path: str, mtime: int = 2) -> FakeProcess:
        """
        Change a file.

        @return: the process that checks the application.
        """
        self.files[path] = (mtime, 1, 1)
        self.poll()
        self.poll()
        return self.reactor.started[-1]

    def finish(
        self, check: FakeProcess, problem: str | None = None, files: Iterable[str] = ()
    ) -> None:
        """
        End a process that checks the application.
        """
        result = json.dumps({"problem": problem, "files": [*files]}).encode()
        check.protocol.childDataReceived(RESULT, result[:5])
        check.protocol.childDataReceived(RESULT, result[5:])
        check.end(0)

    def test_reload(self) -> None:
        """
        When a file has changed, the application is checked, and a new worker is started. When
        it has opened its ports, the old one is asked to stop.
        """
        self.poll([GAME, HELPER])
        self.poll([GAME, HELPER])
        self.assertEqual(len(self.reactor.started), 1)
        with capturedLogs() as logs:
            check = self.change(GAME)
            self.assertEqual(check.options["arguments"], ("python", ["python", "check"]))
            self.assertEqual(set(check.options["childFDs"]), {0, 1, 2, RESULT})
            self.finish(check, None, [GAME])
        self.assertEqual(linesOf(logs), ["reloading: game.py has changed"])
        [_, _, new] = self.reactor.started
        self.assertEqual(new.options["arguments"], ("python", ["python", "worker"]))
        self.assertFalse(self.worker.isAskedToStop)
        self.poll()
        new.notice("listening")
        self.assertTrue(self.worker.isAskedToStop)
        self.worker.end(0)
        self.poll([GAME])
        # The new code does not import the other module.
        self.change(HELPER)
        self.assertEqual(len(self.reactor.started), 3)
        self.change(GAME, 3)
        self.assertEqual(len(self.reactor.started), 4)

    def test_coalesced(self) -> None:
        """
        Changes are handled together when the files have not changed during one interval. A
        change during the check is handled after it.
        """
        self.poll([GAME, HELPER])
        with capturedLogs() as logs:
            self.files[GAME] = None
            self.poll()
            self.files[GAME] = (2, 2, 2)
            self.files[HELPER] = (2, 2, 2)
            self.poll()
            self.assertEqual(logs, [])
            self.poll()
        self.assertEqual(linesOf(logs), ["reloading: game.py and helper.py have changed"])
        self.files[HELPER] = (3, 3, 3)
        self.finish(self.reactor.started[1], None, [GAME, HELPER])
        self.reactor.started[2].notice("listening")
        with capturedLogs() as logs:
            self.poll()
            self.poll()
        self.assertEqual(linesOf(logs), ["reloading: helper.py has changed"])

    def test_many(self) -> None:
        """
        The log names at most three of many files, outside the current directory with their
        paths.
        """
        paths = [f"/elsewhere/{number}.py" for number in range(5)]
        self.files.update(dict.fromkeys(paths, (1, 1, 1)))
        self.poll(paths)
        self.files.update(dict.fromkeys(paths, (2, 1, 1)))
        with capturedLogs() as logs:
            self.poll()
            self.poll()
        text = "reloading: /elsewhere/0.py, /elsewhere/1.py and 3 more files have changed"
        self.assertEqual(linesOf(logs), [text])

    def test_error(self) -> None:
        """
        Code with an error is not loaded. The error is logged once for each change of a file,
        and the files of the error are watched.
        """
        self.poll([GAME])
        with capturedLogs() as logs:
            self.finish(self.change(GAME), "wrong", [HELPER])
            self.poll()
            self.poll()
        text = "cannot reload: wrong; the previous code is still running"
        self.assertEqual(linesOf(logs), ["reloading: game.py has changed", text])
        with capturedLogs() as logs:
            self.finish(self.change(HELPER), "wrong", [HELPER])
        self.assertEqual(linesOf(logs), ["reloading: helper.py has changed", text])
        self.assertFalse(self.worker.isAskedToStop)
        self.finish(self.change(HELPER, 3), None, [GAME, HELPER])
        self.reactor.started[-1].notice("listening")
        self.assertTrue(self.worker.isAskedToStop)

    def test_created(self) -> None:
        """
        While a module is missing, a new module in the directory of a file is a change. If the
        error remains, it is not logged again.
        """
        self.poll([GAME])
        self.finish(self.change(GAME), "wrong", [GAME])
        for name in ("other.py", "helper.py"):
            self.modules |= {name}
            with capturedLogs() as logs:
                self.poll()
                self.poll()
                if name == "other.py":
                    self.finish(self.reactor.started[-1], "wrong", [GAME])
                    self.assertEqual(logs, [])
                    self.poll()
                    self.poll()
        count = len(self.reactor.started)
        with capturedLogs() as logs:
            self.finish(self.reactor.started[-1], None, [GAME, HELPER])
        self.assertEqual(linesOf(logs), ["reloading: a missing module was created"])
        self.reactor.started[-1].notice("listening")
        self.modules |= {"more.py"}
        self.poll()
        self.poll()
        self.assertEqual(len(self.reactor.started), count + 1)

    def test_startFails(self) -> None:
        """
        If the new worker ends before its ports are open, the old one continues.
        """
        self.poll([GAME])
        self.finish(self.change(GAME), None, [GAME])
        new = self.reactor.started[-1]
        with capturedLogs() as logs:
            new.print("no database\n", 2)
            new.end()
        reason = "worker 1 exited with status 1: no database"
        self.assertEqual(
            linesOf(logs), [f"cannot reload: {reason}; the previous code is still running"]
        )
        self.assertFalse(self.worker.isAskedToStop)
        self.assertEqual(len(self.supervisor.active), 1)
        self.finish(self.change(GAME, 3), None, [GAME])
        self.reactor.started[-1].notice("listening")
        self.assertTrue(self.worker.isAskedToStop)

    def test_checkDies(self) -> None:
        """
        A check that ends without a result is an error, with the last line of its output.
        """
        self.poll([GAME])
        for output, words in [("", ""), ("a\nb\x1b\n", r": b\x1b")]:
            check = self.change(GAME, len(self.reactor.started) + 5)
            check.protocol.childDataReceived(2, output.encode())
            with capturedLogs() as logs:
                check.end(3)
            [line] = linesOf(logs)
            self.assertIn(f"the application exited with status 3{words}; the previous", line)

    def test_malformed(self) -> None:
        """
        A result of another form is an error.
        """
        self.poll([GAME])
        check = self.change(GAME)
        check.protocol.childDataReceived(RESULT, b"[]")
        with capturedLogs() as logs:
            check.end(0)
        self.assertIn("exited with status 0", linesOf(logs)[0])

    def test_checkHangs(self) -> None:
        """
        A check that does not end is killed.
        """
        self.poll([GAME])
        check = self.change(GAME)
        self.reactor.advance(START_TIMEOUT)
        self.assertEqual(check.signals, ["KILL"])
        with capturedLogs() as logs:
            check.end(None, signal.SIGKILL)
        text = f"the application was not imported within {START_TIMEOUT:g} s"
        self.assertIn(text, linesOf(logs)[0])
        self.assertEqual(len(self.reactor.started), 2)
        self.change(GAME, 3)
        self.assertEqual(len(self.reactor.started), 3)

    def test_cannotSpawn(self) -> None:
        """
        If the system refuses a process, the old worker continues.
        """
        self.poll([GAME])
        self.reactor.refuse = True
        with capturedLogs() as logs:
            self.change(GAME)
        self.assertIn("cannot start a process: Resource temporarily", linesOf(logs)[-1])
        self.reactor.refuse = False
        self.finish(self.change(GAME, 3), None, [GAME])
        self.assertEqual(len(self.reactor.started), 3)

    def test_late(self) -> None:
        """
        A file that was written after the start of the worker is a change: the worker can have
        imported it before. A time in the future is not, since a clock can be wrong.
        """
        self.files[GAME] = (int(1001e9), 1, 1)
        self.poll([GAME])
        self.poll()
        self.poll()
        self.assertEqual(len(self.reactor.started), 1)
        self.files[HELPER] = (int(999e9), 1, 1)
        self.poll([GAME, HELPER])
        self.poll()
        self.poll()
        self.assertEqual(len(self.reactor.started), 2)

    def test_silent(self) -> None:
        """
        A worker that does not answer is not asked again before the first request has timed
        out. Then its files are still watched.
        """
        self.poll([GAME])
        self.named = None
        self.poll()
        self.assertIn(b"files", self.worker.link.transport.value())
        self.poll()
        self.assertNotIn(b"files", self.worker.link.transport.value())
        for _ in range(20):
            self.reactor.advance(_RELOAD_INTERVAL)
        self.assertEqual(self.watch._asking, 1)
        self.change(GAME)
        self.assertEqual(len(self.reactor.started), 2)

    def test_stop(self) -> None:
        """
        A service that stops no longer watches, and kills a check.
        """
        self.poll([GAME])
        self.watch.stopService()
        self.change(GAME)
        self.assertEqual(len(self.reactor.started), 1)
        self.watch.startService()
        check = self.change(GAME, 3)
        self.watch.stopService()
        self.assertEqual(check.signals, ["KILL"])
        self.finish(check, None, [GAME])
        self.assertEqual(len(self.reactor.started), 2)

    def test_stopEnded(self) -> None:
        """
        The check can have ended when it is killed.
        """
        self.poll([GAME])
        check = self.change(GAME)
        check.pid = None
        self.assertRaises(ProcessExitedAlready, check.signalProcess, "KILL")
        self.watch.stopService()
        self.assertEqual(check.signals, [])


class FileTests(SynchronousTestCase):
    """
    Files and their signatures.
    """

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.file = self.folder / "game.py"
        self.file.write_text("")

    def test_signature(self) -> None:
        """
        The signature differs if the time or the size of a file differs, or if another file has
        its name.
        """
        path = str(self.file)
        found = [_signatureOf(path)]
        os.utime(path, (1, 1))
        found.append(_signatureOf(path))
        self.file.write_text("x")
        os.utime(path, (1, 1))
        found.append(_signatureOf(path))
        other = self.folder / "other.py"
        other.write_text("y")
        os.utime(other, (1, 1))
        other.replace(self.file)
        found.append(_signatureOf(path))
        self.file.unlink()
        found.append(_signatureOf(path))
        self.assertEqual(len(set(found)), 5)
        self.assertIsNone(found[-1])

    def test_modules(self) -> None:
        """
        Python files and packages can be modules.
        """
        for name in ("x.txt", ".game.py.swp"):
            (self.folder / name).write_text("")
        (self.folder / "package").mkdir()
        self.assertEqual(_modulesIn(str(self.folder)), {"game.py", "package"})
        self.assertEqual(_modulesIn(str(self.folder / "none")), frozenset())

    def test_application(self) -> None:
        """
        The files of the application are those of modules outside this package and the
        installed libraries. Any object can be in sys.modules.
        """
        module = type(sys)("a_users_module")
        module.__file__ = "/home/user/game.py"
        entries: dict[str, Any] = {
            "a_users_module": module,
            "a_number": 3,
            "no_file": type(sys)("x"),
        }
        self.patch(sys, "modules", {**sys.modules, **entries})
        files = applicationFiles()
        self.assertIn("/home/user/game.py", files)
        for each in (watching, json):
            self.assertNotIn(each.__file__, files)

    def test_error(self) -> None:
        """
        The files of an error are those of its traceback and of its causes.
        """
        self.assertEqual(filesOfError(ValueError()), [])
        self.file.write_text("\n)")
        try:
            try:
                compile(self.file.read_text(), str(self.file), "exec")
            except SyntaxError:
                raise ValueError from None
        except ValueError as problem:
            problem.__context__.__context__ = problem  # type: ignore[union-attr]
            self.assertEqual(filesOfError(problem), sorted({str(self.file), __file__}))
        self.assertNotIn(modules.__file__, filesOfError(ValueError()))
