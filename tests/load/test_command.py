"""
Tests for L{openfl_twisted.load.command} and L{openfl_twisted.load._report}.
"""

import gc
import io
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import trustme
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, globalLogBeginner
from twisted.python.failure import Failure
from twisted.python.usage import UsageError

from openfl_twisted.load import command
from openfl_twisted.load._bots import MIN_SIZE
from openfl_twisted.load._loadtest import Phase, Plan, Reasons
from openfl_twisted.load._report import describeProgress, milliseconds, toJSON, toText
from openfl_twisted.load.command import (
    _MAX_CLIENTS,
    ErrorCounter,
    Options,
    Progress,
    _makeTest,
    _raiseFileLimit,
    _runTest,
    connectRate,
    main,
    rate,
)
from openfl_twisted.protocols.broadcast import BroadcastProtocol
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.tls import Trust
from tests.load.loadcase import LoadTestCase
from tests.load.walkers import Unborn, Walker

TARGET = "tcp:127.0.0.1:8080"


class Actless(XMLSocketProtocol):
    """
    A protocol without C{act}.
    """


def parse(*arguments: str) -> Options:
    """
    Parse the arguments of the program.
    """
    options = Options()
    options.parseOptions(list(arguments))
    return options


def nameOf(cls: type[Any]) -> str:
    """
    Return the C{--app} of a class.
    """
    return f"--app={cls.__module__}:{cls.__name__}"


class OptionTests(LoadTestCase):
    """
    L{Options} validates the command line.
    """

    def assertUsage(self, arguments: list[str], words: str) -> None:
        """
        The arguments are refused in one line that contains these words.
        """
        error = self.assertRaises(UsageError, parse, *arguments)
        self.assertNotIn("\n", str(error))
        self.assertIn(words, str(error))

    def test_defaults(self) -> None:
        """
        Only the target is required.
        """
        options = parse(TARGET)
        test = _makeTest(self.reactor, options)
        self.assertEqual(test.plan, Plan(100, 1.0, 10.0, 100.0, 10.0, 10))
        self.assertEqual(options["trust"], Trust())

    def test_plan(self) -> None:
        """
        The options describe the plan.
        """
        arguments = "--clients=5 --rate=30/min --for=3 --connect-rate=7 --timeout=2"
        options = parse(*arguments.split(), "--max-unanswered=4", TARGET)
        plan = _makeTest(self.reactor, options).plan
        self.assertEqual(plan, Plan(5, 0.5, 3.0, 7.0, 2.0, 4))

    def test_wrong(self) -> None:
        """
        An invalid value is a usage error that names the option.
        """
        for arguments, words in [
            ([], "the argument must be TARGET"),
            ([TARGET, "x"], "the argument must be TARGET"),
            (["h:1"], "'h:1' must be tcp:HOST:PORT"),
            (["--clients=0", TARGET], "--clients: '0' must be a whole number from 1 to 60000"),
            ([f"--clients={_MAX_CLIENTS + 1}", TARGET], "--clients: "),
            (["--clients=1e3", TARGET], "--clients: "),
            (["--rate=fast", TARGET], "--rate: 'fast' must be a rate"),
            (["--rate=10001", TARGET], "--rate: "),
            (["--connect-rate=0/s", TARGET], "--connect-rate: '0/s' must be more than 0"),
            (["--for=0", TARGET], "--for: must be more than 0"),
            (["--timeout=0", TARGET], "--timeout: must be more than 0"),
            (["--for=x", TARGET], "--for: 'x' must be a number of seconds"),
            (["--max-unanswered=0", TARGET], "--max-unanswered: "),
            ([f"--size={MIN_SIZE - 1}", TARGET], "--size: "),
            (["--ca=x", TARGET], "--ca requires a target tls:HOST:PORT"),
            (["--ca=/no/such/file", "tls:localhost:1"], "--ca=/no/such/file: No such file"),
        ]:
            self.assertUsage(arguments, words)

    def test_rates(self) -> None:
        """
        A rate is per second or per minute.
        """
        for text, number in [
            ("10", 10.0), ("10/s", 10.0), ("0.5", 0.5), (".5/s", 0.5), ("30/min", 0.5), ("0", 0.0),
        ]:  # fmt: skip
            self.assertEqual(rate(text), number)
        for text in ("", "-1", "1/h", "1e3", "inf", "nan", "10 /s", "\u0663"):
            self.assertRaises(ValueError, rate, text)
        self.assertEqual(connectRate("2/s"), 2.0)

    def test_loopback(self) -> None:
        """
        A target that is not on the loopback interface must be confirmed.
        """
        self.assertUsage(["tcp:games.example:1"], "add --yes-this-is-my-server")
        self.assertUsage(["ws://10.0.0.1/"], "10.0.0.1 is not a loopback address")
        parse("--yes-this-is-my-server", "tcp:games.example:1")

    def test_ca(self) -> None:
        """
        Trust anchors are read from a file.
        """
        path = Path(self.mktemp())
        trustme.CA().cert_pem.write_to_path(path)
        options = parse(f"--ca={path}", "wss://localhost/")
        self.assertEqual(options["trust"], Trust.fromPEM(str(path)))

    def test_app(self) -> None:
        """
        A bot is a protocol class with a method C{act}.
        """
        self.assertIs(parse(nameOf(Walker), TARGET)["app"], Walker)
        for name, words in [
            (nameOf(Actless), "the class must have a method act"),
            ("--app=builtins:int", "must be a protocol class"),
            (f"--app={__name__}:parse", "must be a protocol class"),
            ("--app=no_such_module:Bot", "ModuleNotFoundError"),
            ("--app=bots", "must have the form package.module:Class"),
        ]:
            self.assertUsage([name, TARGET], words)
        self.assertUsage([nameOf(Walker), "--size=64", TARGET], "cannot be used together")


class ProgramTests(LoadTestCase):
    """
    L{_runTest} runs a test and prints the report.
    """

    def setUp(self) -> None:
        super().setUp()
        self.out, self.err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.out)
        self.patch(sys, "stderr", self.err)
        self.patch(command, "perf_counter", self.reactor.seconds)
        self.addCleanup(gc.unfreeze)

    def run_(self, *arguments: str, errors: Reasons | None = None) -> int:  # type: ignore[override]
        """
        Run the program in memory.

        @return: the exit status.
        """
        running = Deferred.fromCoroutine(
            _runTest(self.reactor, parse(*arguments), errors or Reasons())
        )
        return self.network.run(running)

    def test_text(self) -> None:
        """
        The report contains the counters and percentiles.
        """
        self.serve()
        self.network.latency = 0.01
        self.assertEqual(self.run_("--clients=10", "--rate=10", "--for=1", TARGET), 0)
        lines = self.out.getvalue().splitlines()
        for line in (
            "target              tcp:127.0.0.1:8080",
            "bots                10 connected, 0 failed, 0 closed early",
            "duration            1.0 s",
            "messages sent       100 (100/s)",
            "requests            100, 0 unanswered",
            "skipped requests    0",
        ):
            self.assertIn(line, lines)
        [times] = [line for line in lines if line.startswith("answer times")]
        self.assertRegex(times, r"p50 (19\.9|20\.0) ms, p95 .* ms, p99 .* ms, max 20\.0 ms")
        self.assertEqual(self.err.getvalue(), "running 0 s, 10 bots\n")

    def test_noAnswer(self) -> None:
        """
        If no answer was counted, the report contains advice.
        """
        self.serve(BroadcastProtocol)
        advice = "no answer was counted: call countAnswer in messageReceived, or test a server"
        self.run_("--clients=2", "--rate=2", "--for=1", TARGET)
        self.assertIn(f"\n{advice} that echoes\n", self.out.getvalue())
        self.out.truncate(0)
        self.run_("--clients=2", "--rate=0", "--for=1", TARGET)
        self.assertNotIn(advice, self.out.getvalue())

    def test_json(self) -> None:
        """
        The report can be JSON.
        """
        self.serve()
        arguments = ("--json", "--size=100", "--clients=10", "--rate=10", "--for=1")
        self.assertEqual(self.run_(*arguments, TARGET), 0)
        report = json.loads(self.out.getvalue())
        self.assertEqual(report["target"], TARGET)
        self.assertEqual(report["bots"], {"planned": 10, "connected": 10, "failed": 0, "closed": 0})
        self.assertEqual(report["bytes"], {"sent": 10_100, "received": 10_100})
        self.assertEqual(report["answers"]["count"], 100)
        self.assertEqual([*report["answers"]], ["count", "mean", "p50", "p95", "p99", "max"])

    def test_failure(self) -> None:
        """
        If a bot cannot connect, the status is 1, and the reasons are printed.
        """
        self.assertEqual(self.run_("--clients=3", TARGET), 1)
        self.assertIn(
            "not connected:\n       3  127.0.0.1:8080 refused the connection\n",
            self.out.getvalue(),
        )
        self.assertIn("p50 -, p95 -, p99 -, max -", self.out.getvalue())

    def test_descriptions(self) -> None:
        """
        An error in the bot, and a refused WebSocket, have their own descriptions.
        """
        inner = XMLSocketFactory(BroadcastProtocol)
        self.listen(WebSocketFactory(inner, accept=False, clock=self.reactor))
        self.assertEqual(self.run_("--clients=1", "ws://127.0.0.1:8080/"), 1)
        self.assertIn("  ws://127.0.0.1:8080/: the server has refused", self.out.getvalue())
        self.assertEqual(self.run_("--clients=1", nameOf(Unborn), TARGET), 1)
        self.assertIn("  error in the bot: ValueError: no (walkers", self.out.getvalue())

    def test_progress(self) -> None:
        """
        The progress is printed every ten seconds, and every second on a terminal.
        """
        self.serve()
        self.run_("--clients=1", "--for=25", TARGET)
        lines = self.err.getvalue().splitlines()
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[1].startswith("running 10 s, 1 bots, 2 messages/s, p50 "), lines[1])
        self.patch(self.err, "isatty", lambda: True)
        self.err.truncate(0)
        self.run_("--clients=1", "--for=5.5", TARGET)
        self.assertEqual(self.err.getvalue().count("\rrunning "), 6)
        self.assertTrue(self.err.getvalue().endswith("\r\x1b[K"))

    def test_errors(self) -> None:
        """
        Errors in the log are counted and printed after the report.
        """
        counter = ErrorCounter()
        logger = Logger(observer=counter)
        logger.error("bad {x}", x="\x1b")
        logger.error("bad {x}", x="\x1b")
        logger.warn("less bad")
        logger.failure("while", Failure(KeyError("x")))
        counter({"log_format": "without a level"})
        self.assertEqual(counter.errors.counts, {"bad \\x1b": 2, "KeyError: 'x'": 1})
        self.serve()
        self.run_("--clients=1", "--for=1", TARGET, errors=counter.errors)
        self.assertEqual(
            self.err.getvalue().splitlines()[1:],
            ["openfl-load: 2 times: bad \\x1b", "openfl-load: 1 times: KeyError: 'x'"],
        )

    def test_signal(self) -> None:
        """
        The end of the reactor ends the test with the report.
        """
        self.serve()
        running = Deferred.fromCoroutine(
            _runTest(self.reactor, parse("--clients=1", TARGET), Reasons())
        )
        self.network.advance(3)
        self.reactor.fireSystemEvent("shutdown")
        self.network.advance(1)
        self.assertEqual(self.successResultOf(running), 0)
        self.assertIn("requests            4, 0 unanswered", self.out.getvalue())


class ReportTests(LoadTestCase):
    """
    The texts of a report.
    """

    def test_milliseconds(self) -> None:
        """
        Times have three digits.
        """
        found = [milliseconds(each) for each in (None, 0.0, 0.00123, 0.0123, 0.123, 12.3)]
        self.assertEqual(found, ["-", "0.00 ms", "1.23 ms", "12.3 ms", "123 ms", "12,300 ms"])

    def test_reasons(self) -> None:
        """
        The most frequent reasons are first; text from a server is escaped.
        """
        test = self.load()
        for reason in ("a\x1b", "b", "b"):
            test.closed.add(reason)
        lines = toText(test, "t").splitlines()
        self.assertEqual(lines[-3:], ["closed early:", "       2  b", r"       1  a\x1b"])
        self.assertEqual(toJSON(test, "t")["closed"], {"a\x1b": 1, "b": 2})

    def test_progress(self) -> None:
        """
        Without messages, the progress line has no answer times. Problems are added.
        """
        test = self.load()
        self.assertEqual(describeProgress(test, 0), "connecting 0 s, 0 bots")
        test.failed.add("x")
        test.closed.add("x")
        test.statistics.skipped = 1234
        test.statistics.messagesOut = 1
        test.phase = Phase("running", 0.0)
        self.network.advance(3)
        self.assertEqual(
            describeProgress(test, 1234.5),
            "running 3 s, 0 bots, 1,234 messages/s, p50 -, p95 -, p99 -, max -, "
            "1 not connected, 1 closed early, 1,234 skipped",
        )

    def test_stopProgress(self) -> None:
        """
        The timer of the progress line is stopped.
        """
        clock = Clock()
        told: list[str] = []
        progress = Progress(self.load(), clock, told.append, live=False)
        progress.start()
        clock.advance(10)
        progress.stop()
        self.assertEqual(told, ["connecting 0 s, 0 bots\n"])
        self.assertEqual(clock.getDelayedCalls(), [])


class MainTests(LoadTestCase):
    """
    L{main} runs the program.
    """

    def main(self, *arguments: str) -> tuple[int, str]:
        """
        Run the program without a reactor.

        @return: the exit status, and the text on standard error.
        """
        told = io.StringIO()
        self.patch(sys, "stderr", told)
        self.patch(sys, "argv", ["openfl-load", *arguments])
        error = self.assertRaises(SystemExit, main)
        return error.code or 0, told.getvalue()

    def test_usage(self) -> None:
        """
        A usage error is one line, and has its own exit status.
        """
        status, told = self.main("tcp:h:1")
        self.assertEqual(status, 2)
        self.assertEqual(
            told.splitlines(),
            [
                (
                    "openfl-load: h is not a loopback address; to test your own server there, add "
                    "--yes-this-is-my-server; see --help"
                )
            ],
        )

    def test_noStandardError(self) -> None:
        """
        Without standard error only the exit status reports an error.
        """
        self.patch(sys, "stderr", None)
        self.assertEqual(self.assertRaises(SystemExit, main, ["x"]).code, 2)

    def test_status(self) -> None:
        """
        The program exits with the status of L{_runTest}.
        """
        for status in (0, 1):
            outcomes: list[Any] = []

            async def fakeTest(*_: object, status: int = status) -> int:
                return status

            def react(run: Any, outcomes: list[Any] = outcomes) -> None:
                run(self.reactor).addBoth(outcomes.append)

            with (
                patch.object(command, "_runTest", fakeTest),
                patch.object(command, "react", react),
                patch.object(command, "setLogLevel") as setLevel,
                patch.object(globalLogBeginner, "beginLoggingTo"),
            ):
                main([TARGET])
            setLevel.assert_called_once_with(LogLevel.error)
            if status:
                self.assertEqual(outcomes[0].value.code, status)
            else:
                self.assertEqual(outcomes, [None])

    def test_bug(self) -> None:
        """
        An unexpected exception is printed, although the log is quiet.
        """
        outcomes: list[Any] = []
        self.patch(command, "_runTest", lambda *_: self.fail("unexpected"))
        self.patch(command, "react", lambda run: run(self.reactor).addBoth(outcomes.append))
        self.patch(sys, "stderr", io.StringIO())
        with (
            patch.object(command, "setLogLevel"),
            patch.object(globalLogBeginner, "beginLoggingTo"),
        ):
            main([TARGET])
        self.assertIn("unexpected", sys.stderr.getvalue())
        self.assertEqual(outcomes[0].value.code, 1)

    def test_files(self) -> None:
        """
        The limit of open files is raised if the system allows it.
        """
        import resource

        limits: list[tuple[int, int]] = []
        self.patch(resource, "setrlimit", lambda _, limit: limits.append(limit))
        for soft, hard in ((1024, 4096), (1024, resource.RLIM_INFINITY)):
            self.patch(resource, "getrlimit", lambda _, found=(soft, hard): found)
            _raiseFileLimit(500)
            self.assertEqual(limits, [])
            _raiseFileLimit(2000)
            self.assertEqual(limits.pop(), (2050, hard))
        self.patch(resource, "getrlimit", lambda _: (1024, 1024))
        error = self.assertRaises(UsageError, _raiseFileLimit, 2000)
        self.assertIn("--clients=2000: the system allows this process 1024", str(error))
        with patch.dict(sys.modules, {"resource": None}):
            _raiseFileLimit(2000)
