"""
The options and the main function of C{openfl-load}.
"""

import contextlib
import gc
import json
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, ClassVar, NoReturn

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import Factory
from twisted.internet.task import LoopingCall, react
from twisted.logger import (
    ILogObserver,
    LogEvent,
    LogLevel,
    formatEvent,
    globalLogBeginner,
)
from twisted.python import usage
from zope.interface import implementer

from openfl_twisted.commandline import (
    Group,
    GroupedOptions,
    Option,
    describeError,
    loadObject,
    seconds,
)
from openfl_twisted.load._bots import MIN_SIZE, Bot, botFactory, echoFactory
from openfl_twisted.load._connection import BotError
from openfl_twisted.load._loadtest import LoadTest, Plan, Reasons
from openfl_twisted.load._report import describeProgress, toJSON, toText
from openfl_twisted.logs import setLogLevel
from openfl_twisted.protocols.clientendpoints import problemOf, readTrust
from openfl_twisted.protocols.target import Target
from openfl_twisted.protocols.websocketclient import HandshakeRefused
from openfl_twisted.reactors import installDefault
from openfl_twisted.tls import Trust
from openfl_twisted.wire.messages import MAX_LENGTH
from openfl_twisted.wire.text import escape

_MAX_CLIENTS = 60_000
"""
Maximum number of bots. One client address has about as many ports.
"""

_MAX_RATE = 10_000.0
"""
Maximum number of calls per second of one bot, and maximum number of connection attempts per
second.
"""

_MAX_UNANSWERED = 10
"""
Default maximum number of unanswered requests of a bot.
"""

# Exit status if a bot could not connect, or its connection was closed before the end.
_FAILED = 1

# Exit status after a usage error.
_WRONG_USAGE = 2

# The time between two progress lines (seconds).
_PROGRESS_ON_TERMINAL, _PROGRESS = 1.0, 10.0

# Files that the process needs for other purposes than connections.
_OTHER_FILES = 50

# Matches a rate: a decimal number, and the unit.
_rate = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:/(s|min))?")

# Clears the rest of a line of a terminal.
_CLEAR_LINE = "\x1b[K"


def _whole(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise ValueError(f"{text!r} must be a whole number from {least} to {most}")
    return int(text)


def clients(text: str) -> int:
    """
    Parse the number of bots.

    @param text: a number from 1 to L{_MAX_CLIENTS}.
    @raise ValueError: if the text is invalid.
    """
    return _whole(text, 1, _MAX_CLIENTS)


def unanswered(text: str) -> int:
    """
    Parse the maximum number of unanswered requests.

    @param text: a number from 1 to 1000.
    @raise ValueError: if the text is invalid.
    """
    return _whole(text, 1, 1000)


def size(text: str) -> int:
    """
    Parse the size of a message.

    @param text: a number from L{MIN_SIZE} to the maximum length of a message.
    @raise ValueError: if the text is invalid.
    """
    return _whole(text, MIN_SIZE, MAX_LENGTH)


def rate(text: str) -> float:
    """
    Parse a rate, such as C{10/s}, C{10} or C{30/min}.

    @param text: a number up to L{_MAX_RATE} per second; C{/s} can be omitted.
    @return: the number per second; 0 for none.
    @raise ValueError: if the text is invalid.
    """
    found = _rate.fullmatch(text)
    number = float(found[1]) / (60 if found[2] == "min" else 1) if found else -1.0
    if not 0 <= number <= _MAX_RATE:
        raise ValueError(
            f"{text!r} must be a rate up to {_MAX_RATE:g}/s, such as 10/s, 0.5/s or 30/min"
        )
    return number


def connectRate(text: str) -> float:
    """
    Parse the rate of connection attempts; unlike C{--rate}, it is not 0.

    @param text: see L{rate}.
    @raise ValueError: if the text is invalid.
    """
    number = rate(text)
    if not number:
        raise ValueError(f"{text!r} must be more than 0")
    return number


class Options(GroupedOptions):
    """
    The options of C{openfl-load}. After parsing, C{target} is a L{Target}, C{trust} a
    L{Trust}, and C{app} the class of the bots or C{None}.
    """

    synopsis = "Usage: openfl-load [options] TARGET"
    longdesc = (
        "Test a server under load: connect many simulated clients (bots), let each send messages "
        "at a fixed rate, and report the answer times. TARGET is tcp:HOST:PORT, tls:HOST:PORT, or "
        "a ws:// or wss:// URL. By default, each bot sends XMLSocket messages to an echo server, "
        "such as twistd openfl-xml --echo. Ctrl-C ends the test early. The exit status is 1 if a "
        "bot could not connect, or its connection was closed before the end."
    )

    options: ClassVar[list[Option]] = [
        Option(
            Group.APPLICATION,
            "app",
            "MODULE:CLASS",
            (
                "Your bot: a protocol class with a method act, such as bots:Walker for the class "
                "Walker in bots.py in the current directory."
            ),
        ),
        Option(
            Group.APPLICATION,
            "size",
            "N",
            "Size of a message of the default bot, in bytes without the NUL byte.",
            None,
            size,
            shown="64",
        ),
        Option(Group.LOAD, "clients", "N", "Number of bots.", 100, clients),
        Option(
            Group.LOAD,
            "rate",
            "RATE",
            (
                "Rate at which the method act of each bot is called, such as 10/s or 30/min; "
                "0 for never."
            ),
            1.0,
            rate,
            shown="1/s",
        ),
        Option(
            Group.LOAD,
            "for",
            "SECONDS",
            "Time for which the bots act, after all have connected.",
            10.0,
            seconds,
        ),
        Option(
            Group.LOAD,
            "connect-rate",
            "RATE",
            "Number of connection attempts of all bots, such as 100/s.",
            100.0,
            connectRate,
            shown="100/s",
        ),
        Option(
            Group.LOAD,
            "max-unanswered",
            "N",
            (
                "Maximum number of unanswered requests of a bot; at this number, act is not called "
                "until an answer arrives."
            ),
            _MAX_UNANSWERED,
            unanswered,
        ),
        Option(
            Group.LOAD,
            "yes-this-is-my-server",
            "",
            "Allow a target that is not on the loopback interface.",
        ),
        Option(Group.TLS, "ca", "FILE", "Trust only the CA certificates in this PEM file."),
        Option(
            Group.TIMEOUTS,
            "timeout",
            "SECONDS",
            "Maximum time to connect a bot, including the TLS and WebSocket handshakes.",
            10.0,
            seconds,
        ),
        Option(Group.GENERAL, "json", "", "Print the report as JSON."),
    ]

    def parseArgs(self, target: str = "", *rest: str) -> None:
        """
        Parse the target.

        @param target: see L{Target.parse}.
        @param rest: further arguments, which are not allowed.
        @raise usage.UsageError: if the target is missing or invalid, or if there are more
            arguments.
        """
        if not target or rest:
            raise usage.UsageError("the argument must be TARGET, such as tcp:127.0.0.1:8080")
        try:
            self["target"] = Target.parse(target)
        except ValueError as problem:
            raise usage.UsageError(str(problem)) from None

    def postOptions(self) -> None:
        """
        Validate the options, and import the class of the bots.

        @raise usage.UsageError: if a value is invalid, or if two options cannot be used
            together.
        """
        target = self["target"]
        if not (target.isLoopback or self["yes-this-is-my-server"]):
            raise usage.UsageError(
                f"{target.host} is not a loopback address; to test your own server there, add "
                "--yes-this-is-my-server"
            )
        self["trust"] = self._trust(self["ca"])
        if self["app"] is not None:
            if self["size"] is not None:
                raise usage.UsageError("--size and --app cannot be used together")
            self["app"] = _loadBot(self["app"])
        for name in ("for", "timeout"):
            if not self[name]:
                raise usage.UsageError(f"--{name}: must be more than 0")

    def _trust(self, path: str | None) -> Trust:
        if path is None:
            return Trust()
        if not self["target"].secure:
            raise usage.UsageError("--ca requires a target tls:HOST:PORT or wss://...")
        try:
            return readTrust(path)
        except ValueError as problem:
            raise usage.UsageError(f"--ca={problem}") from None


def _loadBot(name: str) -> type[Any]:
    """
    Import the class of C{--app}.

    @raise usage.UsageError: if the class is missing or unsuitable.
    """
    found = loadObject("app", name)
    if not (isinstance(found, type) and IProtocol.implementedBy(found)):
        raise usage.UsageError(
            f"--app={name}: must be a protocol class, such as a subclass of XMLSocketProtocol"
        )
    if not issubclass(found, Bot):
        raise usage.UsageError(f"--app={name}: the class must have a method act")
    return found


def _makeTest(reactor: Any, options: Options) -> LoadTest:
    """
    Create the load test.

    @param reactor: an C{IReactorTCP}, C{IReactorPluggableNameResolver} and C{IReactorTime}
        provider.
    @param options: the parsed options.
    """
    target, timeout = options["target"], options["timeout"]

    def describe(problem: Exception) -> str:
        match problem:
            case BotError():
                return str(problem)
            case HandshakeRefused():
                return f"{target.text}: {problem}"
            case _:
                return problemOf(problem, target.host, target.port, timeout)

    factory: Factory[Any]
    if options["app"] is None:
        factory = echoFactory(options["size"] or 64, reactor)
    else:
        factory = botFactory(options["app"], reactor)
    plan = Plan(
        options["clients"],
        options["rate"],
        options["for"],
        options["connect-rate"],
        timeout,
        options["max-unanswered"],
    )
    endpoint = target.endpoint(reactor, timeout, options["trust"])
    return LoadTest(reactor, perf_counter, endpoint, factory, plan, describe)


def _freeze() -> None:
    """
    Exclude all existing objects from garbage collection. Otherwise, collecting the objects of
    thousands of bots takes tens of milliseconds, which would count in the answer times.
    """
    gc.collect()
    gc.freeze()


class Progress:
    """
    Prints the progress: on a terminal, one line that is updated every second, otherwise one
    line every ten seconds. L{_runTest} also prints it when the bots begin to act.
    """

    def __init__(self, test: LoadTest, clock: Any, tell: Callable[[str], object], *, live: bool):
        """
        @param test: the load test.
        @param clock: the clock.
        @param tell: prints text.
        @param live: whether the text is printed on a terminal.
        """
        self._test = test
        self._tell = tell
        self._live = live
        self._messages = 0
        self._time = test.now()
        self._interval = _PROGRESS_ON_TERMINAL if live else _PROGRESS
        self._loop = LoopingCall(self.show)
        self._loop.clock = clock

    def start(self) -> None:
        """
        Start the timer. The progress is printed for the first time after one interval.
        """
        self._loop.start(self._interval, now=False)

    def stop(self) -> None:
        """
        Stop the timer, and remove the line from the terminal.
        """
        self._loop.stop()
        if self._live:
            self._tell(f"\r{_CLEAR_LINE}")

    def show(self) -> None:
        """
        Print the progress now, also between two intervals.
        """
        statistics, now = self._test.statistics, self._test.now()
        messages = statistics.messagesIn + statistics.messagesOut
        rate = (messages - self._messages) / max(now - self._time, 0.001)
        self._messages, self._time = messages, now
        line = describeProgress(self._test, rate)
        self._tell(f"\r{line}{_CLEAR_LINE}" if self._live else f"{line}\n")


@implementer(ILogObserver)
class ErrorCounter:
    """
    A log observer that only counts errors.

    @ivar errors: the errors by text.
    """

    def __init__(self) -> None:
        self.errors = Reasons()

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) < LogLevel.error:
            return
        failure = event.get("log_failure")
        text = formatEvent(event) if failure is None else describeError(failure.value)
        self.errors.add(escape(text.partition("\n")[0]))


def _raiseFileLimit(count: int) -> None:
    """
    Raise the number of files that the process may open, if necessary.

    @param count: the number of connections.
    @raise usage.UsageError: if the system does not allow so many files.
    """
    try:
        import resource
    except ImportError:
        # Windows has no such limit.
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise usage.UsageError(
            f"--clients={count}: the system allows this process {hard} open files (ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _tell(text: str) -> None:
    # Standard error may be missing or closed.
    with contextlib.suppress(AttributeError, OSError):
        sys.stderr.write(text)
        sys.stderr.flush()


async def _runTest(reactor: Any, options: Options, errors: Reasons) -> int:
    """
    Run the load test, and print the report.

    @param reactor: see L{_makeTest}.
    @param options: the parsed options.
    @param errors: the errors of the log, which are printed after the report.
    @return: the exit status.
    """
    test = _makeTest(reactor, options)
    live = sys.stderr is not None and sys.stderr.isatty()
    progress = Progress(test, reactor, _tell, live=live)
    ended: Deferred[None] = Deferred()

    def interrupted() -> Deferred[None]:
        test.stop()
        return ended

    # When a signal ends the program, print the report first.
    reactor.addSystemEventTrigger("before", "shutdown", interrupted)

    def ready() -> None:
        progress.show()
        _freeze()

    test.ready = ready
    progress.start()
    await test.run()
    progress.stop()
    text = options["target"].text
    report = json.dumps(toJSON(test, text), indent=2) if options["json"] else toText(test, text)
    with contextlib.suppress(AttributeError, OSError):
        sys.stdout.write(f"{report}\n")
        sys.stdout.flush()
    for error, count in errors.counts.items():
        _tell(f"openfl-load: {count} times: {error}\n")
    ended.callback(None)
    return 0 if test.succeeded else _FAILED


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """
    Run the program.

    @param arguments: the arguments, without the program's name (default: the arguments of the
        process).
    @raise SystemExit: always; with status 0, with 1 if a bot could not connect or its
        connection was closed before the end, or with 2 after a usage error.
    """
    # A module of the user can import the reactor.
    installDefault()
    options = Options()
    try:
        options.parseOptions(sys.argv[1:] if arguments is None else list(arguments))
        _raiseFileLimit(options["clients"])
    except usage.UsageError as problem:
        _tell(f"openfl-load: {problem}; see --help\n")
        sys.exit(_WRONG_USAGE)
    counter = ErrorCounter()
    setLogLevel(LogLevel.error)
    globalLogBeginner.beginLoggingTo([counter], redirectStandardIO=False)

    async def run(reactor: Any) -> None:
        try:
            status = await _runTest(reactor, options, counter.errors)
        except Exception:
            # An error of this program. The log would only count it.
            _tell(traceback.format_exc())
            status = _FAILED
        if status:
            raise SystemExit(status)

    react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
