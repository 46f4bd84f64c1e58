"""
L{run} starts the reactor and a program.
"""

import sys
from collections.abc import Callable, Coroutine
from inspect import iscoroutine
from typing import Any, TypeAlias, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ReactorNotRestartable
from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    LogEvent,
    LogLevel,
    PredicateResult,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.failure import Failure
from zope.interface import provider

from openfl_twisted.addresses import explainBind
from openfl_twisted.commandline import placeOf
from openfl_twisted.coroutines import RunningHandler, isCancellation, startHandler
from openfl_twisted.errors import Error
from openfl_twisted.logs import asyncioHint, ownFailure, packageLogger
from openfl_twisted.reactors import installDefault

# Namespaces whose info lines are not written. Twisted's old modules use log_legacy.
_QUIET = ("twisted.", "log_legacy", "openfl_twisted.reactors")

Main: TypeAlias = Callable[..., object] | Coroutine[Any, Any, object]


class _Program:
    """
    The program that L{run} runs.

    @ivar status: the exit status.
    """

    log = packageLogger()

    def __init__(self, main: Main, arguments: tuple[Any, ...], reactor: Any) -> None:
        self._main = main
        self._arguments = arguments
        self._reactor = reactor
        self._isStopping = False
        self._running: RunningHandler | None = None
        self.status: Any = 0

    def start(self) -> None:
        """
        Call the main function. Called when the reactor runs.
        """
        self._reactor.addSystemEventTrigger("before", "shutdown", self._cancel)
        try:
            result: Any = self._main
            if not iscoroutine(result):
                result = result(*self._arguments)
            self._running = None if result is None else startHandler(result)
        except BaseException:
            self._failed(Failure())
            self._reactor.stop()
            return
        if self._running is not None:
            self._running.deferred.addErrback(self._failed).addBoth(self._ended)

    def _failed(self, reason: Failure) -> None:
        if reason.check(SystemExit):
            self.status = reason.value.code  # type: ignore[union-attr]
        elif reason.check(KeyboardInterrupt):
            self.status = 130
        elif not (self._isStopping and isCancellation(reason)):
            self.status = 1
            if reason.check(CannotListenError):
                problem = cast("CannotListenError", reason.value)
                self.log.critical(
                    "the program has ended: cannot listen on {interface}, port {port}:"
                    " {reason}{place}",
                    interface=problem.interface or "all interfaces",
                    port=problem.port,
                    reason=explainBind(problem.socketError),
                    place=placeOf(problem),
                )
            elif reason.check(Error):
                # The text of these errors is complete, for example why a connection was refused.
                self.log.critical(
                    "the program has ended: {error}{place}",
                    error=reason.value,
                    place=placeOf(cast("Error", reason.value)),
                )
            else:
                self.log.failure(
                    "the program has ended with an error{hint}",
                    ownFailure(reason),
                    hint=asyncioHint(reason),
                )

    def _ended(self, result: object) -> None:
        self._running = None
        if not self._isStopping:
            self._reactor.stop()

    def _cancel(self) -> Deferred[Any] | None:
        """
        Cancel the main function before the reactor stops, and wait for its end.
        """
        self._isStopping = True
        running = self._running
        if running is None:
            return None
        running.cancel(self._reactor)
        return running.deferred


@provider(ILogFilterPredicate)
def _isOfProgram(event: LogEvent) -> Any:
    """
    Exclude the lines of Twisted and the reactor, such as "Main loop terminated".
    """
    isQuiet = event["log_level"] < LogLevel.warn
    if isQuiet and event["log_namespace"].startswith(_QUIET):
        return PredicateResult.no
    return PredicateResult.maybe


def run(main: Main, *arguments: Any, reactor: Any = None) -> None:
    """
    Start the log and the reactor, and call the main function of a program. Log lines are
    written to the standard error, except Twisted's own C{info} lines.

    If the main function is a coroutine function or returns a Deferred, the program ends with
    it. Otherwise, the program ends when C{reactor.stop} is called or it is interrupted with
    Ctrl-C.

    On Linux, the C{openfl} reactor is used, unless the program has installed another.

    @param main: the main function, or a coroutine.
    @param arguments: the arguments of the main function.
    @param reactor: the reactor (default: the global reactor).
    @raise TypeError: if the main function is not a function, for example in C{run(main())}.
    @raise RuntimeError: if the reactor is already running, or has already run.
    @raise SystemExit: with status 1, if the main function raises an exception.
    """
    if not (callable(main) or iscoroutine(main)):
        raise TypeError(
            f"run needs the main function, not {main!r:.80}: write run(main), without parentheses"
        )
    if reactor is None:
        installDefault()
        from twisted.internet import reactor
    if reactor.running:
        if iscoroutine(main):
            main.close()
        raise RuntimeError("the reactor is already running: call the function instead of run()")
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [_isOfProgram])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
    program = _Program(main, arguments, reactor)
    # With callLater, asyncio's event loop is already running when the program starts.
    reactor.callWhenRunning(reactor.callLater, 0, program.start)
    try:
        reactor.run()
    except ReactorNotRestartable:
        raise RuntimeError(
            "run() can be called only once in a program: call both functions in one main function"
        ) from None
    if program.status:
        raise SystemExit(program.status)
