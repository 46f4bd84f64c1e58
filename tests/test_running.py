"""
L{openfl_twisted.run}, and the reminder of users who forget to run the reactor.
"""

import errno
import io
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest import mock

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import CannotListenError, ReactorNotRestartable
from twisted.internet.task import Clock, deferLater
from twisted.logger import capturedLogs, globalLogBeginner
from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted
from openfl_twisted import errors, run
from openfl_twisted.net import XMLSocket
from openfl_twisted.net._reminder import _Reminder
from openfl_twisted.protocols import EchoProtocol, XMLSocketFactory
from openfl_twisted.testing import MemoryNetwork
from tests.doubles import linesOf


class Reactor(Clock):
    """
    A reactor whose clock advances while it runs.

    @ivar running: whether the reactor runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.running = False
        self._starting: list[Callable[[], object]] = []
        self._ending: list[Callable[[], Deferred[Any] | None]] = []

    def callWhenRunning(self, do: Callable[..., object], *arguments: Any) -> None:
        self._starting.append(partial(do, *arguments))

    def addSystemEventTrigger(self, phase: str, event: str, do: Any) -> None:
        self._ending.append(do)

    def run(self) -> None:
        """
        Advance the clock until the reactor is stopped, and until the triggers have ended.
        """
        self.running = True
        for do in self._starting:
            do()
        while self.running:
            self.advance(1)
        for end in self._ending:
            ended = end()
            over: list[Any] = [] if ended is not None else [None]
            if ended is not None:
                ended.addBoth(over.append)
            while not over:
                self.advance(1)

    def stop(self) -> None:
        self.running = False


class RunTests(SynchronousTestCase):
    """
    L{run} on an in-memory reactor.
    """

    def setUp(self) -> None:
        self.reactor: Any = Reactor()
        begin = mock.patch.object(globalLogBeginner, "beginLoggingTo")
        self.beginLoggingTo = begin.start()
        self.addCleanup(begin.stop)
        self.seen: list[Any] = []

    def test_coroutine(self) -> None:
        """
        The program ends with its coroutine; log lines are written to the standard error.
        """

        async def main(name: str) -> None:
            await deferLater(self.reactor, 1)
            self.seen.append(name)

        run(main, "a", reactor=self.reactor)
        self.assertEqual((self.seen, self.reactor.running), (["a"], False))
        self.beginLoggingTo.assert_called_once()

    def test_function(self) -> None:
        """
        After a function, the reactor runs until it is stopped.
        """

        def main() -> None:
            self.reactor.callLater(5, self.reactor.stop)
            self.reactor.callLater(4, self.seen.append, 4)

        run(main, reactor=self.reactor)
        self.assertEqual(self.seen, [4])

    def test_interrupted(self) -> None:
        """
        When the reactor is stopped, the coroutine is cancelled, and may finish its work.
        """

        async def main() -> None:
            try:
                await Deferred()
            except CancelledError:
                await deferLater(self.reactor, 1)
                self.seen.append("saved")
                raise

        self.reactor.callLater(1, self.reactor.stop)
        run(main(), reactor=self.reactor)
        self.assertEqual(self.seen, ["saved"])

    def test_error(self) -> None:
        """
        An exception is logged, and the exit status is 1.
        """

        async def later() -> None:
            await deferLater(self.reactor, 1)
            raise ValueError("an error of the user's")

        def now() -> None:
            raise ValueError("an error of the user's")

        for main in (later, now):
            self.setUp()
            with self.assertRaises(SystemExit) as raised:
                run(main, reactor=self.reactor)
            self.assertEqual(raised.exception.code, 1)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_socketError(self) -> None:
        """
        Of an error whose text is complete, the text and the line of the program are logged.
        """

        async def main() -> None:
            await deferLater(self.reactor, 1)
            raise errors.IOError("Error #2031: Socket Error. The server is off.")

        async def connecting() -> None:
            await XMLSocket("127.0.0.1", 1, reactor=network.reactor).whenConnected()

        def closed() -> None:
            XMLSocket(reactor=network.reactor).send("a")

        network = MemoryNetwork()
        text = "Error #2002: Operation attempted on invalid socket. (call connect first)"
        for program, line, words in (
            (main, 2, "Error #2031: Socket Error. The server is off."),
            (connecting, 1, "Error #2031: Socket Error. The connection to 127.0.0.1:1 was refused"),
            (closed, 1, text),
        ):
            self.setUp()
            self.reactor.callLater(0.5, network.flush)
            with capturedLogs() as logs, self.assertRaises(SystemExit) as raised:
                run(program, reactor=self.reactor)
            self.assertEqual(raised.exception.code, 1)
            [text] = linesOf(logs)
            self.assertIn(f"the program has ended: {words}", text)
            number = program.__code__.co_firstlineno + line
            self.assertTrue(text.endswith(f" (test_running.py, line {number})"), text)

    def test_ports(self) -> None:
        """
        A port that cannot be opened is one line, with the line of the program.
        """
        network = MemoryNetwork()
        factory = XMLSocketFactory(EchoProtocol)
        network.reactor.listenTCP(8080, factory)

        def taken() -> None:
            network.reactor.listenTCP(8080, factory)

        def privileged() -> None:
            raise CannotListenError("127.0.0.1", 80, PermissionError(errno.EACCES, "Denied"))

        for program, words in (
            (taken, "all interfaces, port 8080: Address already in use; another program or socket"),
            (privileged, "127.0.0.1, port 80: Denied; ports below 1024 require root privileges"),
        ):
            self.setUp()
            with capturedLogs() as logs, self.assertRaises(SystemExit):
                run(program, reactor=self.reactor)
            [line] = [each for each in linesOf(logs) if "program" in each]
            self.assertIn(f"the program has ended: cannot listen on {words}", line)
            number = program.__code__.co_firstlineno + 1
            self.assertTrue(line.endswith(f" (test_running.py, line {number})"), line)

    def test_deferredInAsyncio(self) -> None:
        """
        The error of an asyncio function that waits for a Deferred has a hint.
        """
        program = (
            "from twisted.internet import asyncioreactor\n"
            "asyncioreactor.install()\n"
            "import asyncio, openfl_twisted\n"
            "from twisted.internet.defer import Deferred\n"
            "async def main():\n"
            "    await asyncio.gather(Deferred())\n"
            "openfl_twisted.run(main)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        hint = "cannot wait for a Deferred: pass deferred.asFuture(asyncio.get_running_loop())"
        self.assertIn(hint, done.stderr)

    def test_twice(self) -> None:
        """
        A reactor cannot run twice.
        """
        with (
            mock.patch.object(self.reactor, "run", side_effect=ReactorNotRestartable),
            self.assertRaisesRegex(RuntimeError, r"run\(\) can be called only once"),
        ):
            run(mock.Mock(), reactor=self.reactor)

    def test_asyncio(self) -> None:
        """
        Under the asyncio reactor, the program can await asyncio futures.
        """
        program = (
            "from twisted.internet import asyncioreactor\n"
            "asyncioreactor.install()\n"
            "import asyncio, openfl_twisted\n"
            "async def main():\n"
            "    await asyncio.sleep(0)\n"
            "    print('slept')\n"
            "openfl_twisted.run(main)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, "slept\n"), done.stderr)

    def test_called(self) -> None:
        """
        The main function must not be called in the argument.
        """
        wrong: Any = None
        with self.assertRaisesRegex(TypeError, r"not None: write run\(main\), without paren"):
            run(wrong, reactor=self.reactor)

    def test_exit(self) -> None:
        """
        C{sys.exit} in the program sets the exit status.
        """
        for error, status in ((SystemExit("bad"), "bad"), (KeyboardInterrupt(), 130)):
            self.setUp()
            with self.assertRaises(SystemExit) as raised:
                run(mock.Mock(side_effect=error), reactor=self.reactor)
            self.assertEqual(raised.exception.code, status)
        run(mock.Mock(side_effect=SystemExit(0)), reactor=Reactor())

    def test_running(self) -> None:
        """
        L{run} cannot be called while the reactor is running.
        """

        async def main() -> None:
            with self.assertRaisesRegex(RuntimeError, "the reactor is already running"):
                run(main(), reactor=self.reactor)
            with self.assertRaisesRegex(RuntimeError, "the reactor is already running"):
                run(main, reactor=self.reactor)
            self.seen.append(1)

        run(main, reactor=self.reactor)
        self.assertEqual(self.seen, [1])

    def test_process(self) -> None:
        """
        A program in a process of its own uses the C{openfl} reactor where the system has it.
        Error events without a listener are written to the standard error.
        """
        program = (
            "import sys, openfl_twisted\n"
            "from openfl_twisted.net import XMLSocket\n"
            "async def main():\n"
            "    from twisted.internet import reactor\n"
            "    socket = XMLSocket('127.0.0.1', 1)\n"
            "    await socket.whenClosed()\n"
            "    print(type(reactor).__name__)\n"
            "openfl_twisted.run(main)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("Error #2044: Unhandled IOErrorEvent", done.stderr)
        if sys.platform == "linux":
            self.assertEqual(done.stdout.strip(), "OpenFLReactor")


class ReminderTests(SynchronousTestCase):
    """
    The line at exit.
    """

    def test_forgotten(self) -> None:
        """
        A program that opens a socket, but does not run the reactor, writes one line at exit.
        """
        program = "from openfl_twisted.net import XMLSocket\nXMLSocket('127.0.0.1', 1)\n"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(
            done.stderr,
            "openfl_twisted: sockets were opened, but the reactor has never run, so nothing was"
            " sent or received. Call openfl_twisted.run(main).\n",
        )

    def test_ran(self) -> None:
        """
        Nothing is written if the reactor has run.
        """
        for runs in (True, False):
            reactor = Reactor()
            reminder = _Reminder()
            with mock.patch("atexit.register") as register:
                for _ in range(2):
                    reminder.expectRun(reactor)
            register.assert_called_once_with(reminder.remind)
            if runs:
                reactor.callLater(0, reactor.stop)
                reactor.run()
            with mock.patch("sys.stderr", io.StringIO()) as error:
                reminder.remind()
            self.assertEqual(bool(error.getvalue()), not runs)

    def test_name(self) -> None:
        """
        The package has no other late names.
        """
        with self.assertRaisesRegex(AttributeError, "no attribute 'rnu'"):
            openfl_twisted.rnu  # noqa: B018
