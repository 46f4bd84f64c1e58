"""
Loggers of this package, their log level, the limit for frequent events, and the JSON format
of log lines. Events below the level are discarded before they reach Twisted's log.

Opening and closing a connection are logged at C{info}. For a policy request that is answered
on accept, one line replaces both. Reaching a limit is logged at C{warn}. Messages are not
logged.
"""

import json
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from inspect import iscoroutine
from math import isfinite
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.logger import LogEvent, Logger, LogLevel, formatEvent
from twisted.python.failure import Failure

import twisted
from openfl_twisted.addresses import describe
from openfl_twisted.coroutines import RunningHandler
from openfl_twisted.wire.text import escape

_MAX_EVENTS = 100
"""
Maximum number of C{info} events of one kind that are logged in L{_LOG_INTERVAL}, see
L{limitLog}.
"""

_LOG_INTERVAL = 10.0
"""
Time after which the number of events beyond L{_MAX_EVENTS} is logged: 10 seconds.
"""


# The folders of this package and of Twisted. Their frames precede those of the application.
_LIBRARIES = tuple(f"{Path(file).parent}{os.sep}" for file in (__file__, twisted.__file__))

# Added to the error of a handler that has called a function of asyncio under another reactor.
_ASYNCIO_HINT = (
    "; asyncio functions need the asyncio reactor (twistd --reactor=asyncio), and"
    " twisted.internet.task.deferLater waits with any reactor"
)

LATE_TIMEOUT = 60.0
"""
Time after which a warning is logged if an asynchronous handler still runs: 60 seconds. For stream
protocols, it begins with the first check for a lost connection.
"""

# Added to the error of an asyncio function to which a Deferred was passed.
_DEFERRED_HINT = (
    "; an asyncio function cannot wait for a Deferred: pass"
    " deferred.asFuture(asyncio.get_running_loop())"
)

# Matches a field of a log format.
_field = re.compile(r"\{[^{}]*\}")


class _PackageLogger(Logger):
    """
    A logger that does not create events below the log level. The logger escapes the values of
    an event, because they can contain text from a peer. The formats are constants and need no
    escaping.
    """

    minLevel: Any = LogLevel.info
    limit: "_EventLimit | None" = None

    def emit(self, level: Any, format: str | None = None, **keywords: object) -> None:  # noqa: A002 - Twisted names it so
        if level < _PackageLogger.minLevel:
            return
        limit = _PackageLogger.limit
        if (
            limit is not None
            and level is LogLevel.info
            and not limit.admits(format or "", _MAX_EVENTS, self, level)
        ):
            return
        super().emit(level, format, **{name: _safe(each) for name, each in keywords.items()})


class _Kind(NamedTuple):
    """
    A kind of events, which are counted together.

    @ivar most: the maximum number of events that are logged in an interval.
    @ivar logger: the logger of the events.
    @ivar level: the level of the events.
    @ivar text: describes the events.
    """

    most: int
    logger: Logger
    level: Any
    text: str


class _EventLimit:
    """
    Counts the events of each kind in an interval.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}
        self._counts: dict[str, int] = {}
        self._timer: IDelayedCall | None = None

    def admits(
        self, key: str, most: int, logger: Logger, level: Any, text: str | None = None
    ) -> bool:
        """
        Count an event, and decide whether it is logged.

        @param key: identifies the kind of the event, such as its format.
        @param most: the maximum number of events of this kind that are logged in an interval.
        @param text: describes the kind (default: the key, with dots for the fields).
        @return: whether the event is logged.
        """
        count = self._counts[key] = self._counts.get(key, 0) + 1
        if count == 1:
            described = _field.sub("...", key) if text is None else text
            self._kinds[key] = _Kind(most, logger, level, described)
            if self._timer is None:
                self._timer = self._clock.callLater(_LOG_INTERVAL, self.endInterval)
        return count <= most

    def endInterval(self) -> None:
        """
        Log the number of events that were not logged.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        counts, self._counts = self._counts, {}
        kinds, self._kinds = self._kinds, {}
        for key, count in counts.items():
            kind = kinds[key]
            if count > kind.most:
                # The event that reports the number is not counted.
                Logger.emit(
                    kind.logger,
                    kind.level,
                    "{count} more in the last {seconds:g} s: {kind}",
                    count=count - kind.most,
                    seconds=_LOG_INTERVAL,
                    kind=kind.text,
                )


class ErrorSink:
    """
    Passes each logged exception of a handler or listener to the in-memory network of a test.

    @ivar receive: called with each exception; C{None} to ignore the exceptions.
    """

    receive: Callable[[Failure], object] | None = None

    def report(self, reason: Failure) -> None:
        """
        Pass on an exception.

        @param reason: the exception.
        """
        if self.receive is not None:
            self.receive(reason)


errorSink = ErrorSink()
"""
The sink of this process.
"""


def logHandlerError(
    logger: Logger, reason: Failure, peer: object, consequence: str = "; connection closed"
) -> None:
    """
    Log an exception that was raised by an application's handler, with the traceback from the
    handler on. Repetitions of an error are only counted while L{limitLog} is in effect.

    @param logger: the logger.
    @param reason: the exception.
    @param peer: the address of the peer.
    @param consequence: the end of the log line.
    """
    errorSink.report(reason)
    traceback = reason.getTracebackObject()
    own = _ownTraceback(traceback)
    last = own or traceback
    place = "a handler"
    where = ""
    if last is not None:
        place = _qualifiedName(last.tb_frame)
        while last.tb_next is not None:
            last = last.tb_next
        where = f" {last.tb_frame.f_code.co_filename}:{last.tb_lineno}"
    consequence += asyncioHint(reason)
    reason = ownFailure(reason)
    limit = _PackageLogger.limit
    if limit is not None:
        text = f"unhandled {type(reason.value).__name__} in {place}"
        if not limit.admits(text + where, 1, logger, LogLevel.error, text):
            return
    logger.failure(
        "unhandled error in {place} while serving {peer}{consequence}",
        reason,
        place=place,
        peer=peer,
        consequence=consequence,
    )


def logLateHandler(
    logger: Logger,
    handler: RunningHandler,
    owner: type,
    peer: object,
    consequence: str = "no further input of it is handled",
) -> None:
    """
    Warn of a handler that has run for L{LATE_TIMEOUT}.

    @param logger: the logger.
    @param owner: the class of the protocol.
    @param peer: the address of the peer.
    @param consequence: the effect until the handler ends.
    """
    name, place = _describeHandler(handler)
    logger.warn(
        "{name} serves {peer} and has not ended after {seconds:g} s{place}: {consequence} before"
        " the handler ends; limit its time with Deferred.addTimeout",
        name=name if place else f"{name} of {owner.__name__}",
        seconds=LATE_TIMEOUT,
        place=place,
        peer=peer,
        consequence=consequence,
    )


def _describeHandler(handler: RunningHandler) -> tuple[str, str]:
    """
    Describe a running handler of an application.

    @return: the name of the handler, and the file and the line that it has reached, in
        parentheses after a space. For a handler that is not a coroutine function, the name is
        C{a handler}, and the place is empty.
    """
    coroutine: Any = handler.coroutine
    while iscoroutine(coroutine):
        frame = coroutine.cr_frame
        if frame is not None and not frame.f_code.co_filename.startswith(_LIBRARIES):
            name = coroutine.__qualname__.rpartition("<locals>.")[2]
            return name, f" ({Path(frame.f_code.co_filename).name}, line {frame.f_lineno})"
        coroutine = coroutine.cr_await
    return "a handler", ""


def buildProtocol(factory: Any, address: Any) -> Any:
    """
    Build the protocol for a client. An exception of the application is logged.

    @param factory: the factory of the application.
    @param address: the address of the client.
    @return: the protocol; C{None} if the factory refuses the client, or raises an exception.
    """
    try:
        return factory.buildProtocol(address)
    except Exception:
        logHandlerError(packageLogger(), Failure(), address)
        return None


def asyncioHint(reason: Failure) -> str:
    """
    Return a hint for the end of a log line if a function of asyncio was called under another
    reactor, or with a Deferred.

    @param reason: the exception.
    @return: the hint; empty for other exceptions.
    """
    if not isinstance(reason.value, RuntimeError):
        return ""
    text = str(reason.value)
    if "no running event loop" in text:
        return _ASYNCIO_HINT
    return _DEFERRED_HINT if text.startswith("Task got bad yield: <Deferred") else ""


def _ownTraceback(traceback: TracebackType | None) -> TracebackType | None:
    """
    Skip the frames of Twisted and this package at the beginning of a traceback.
    """
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_LIBRARIES):
        traceback = traceback.tb_next
    return traceback


def ownFailure(reason: Failure) -> Failure:
    """
    Return a failure whose traceback begins in the application. If the traceback has no frame of
    the application, the failure is returned unchanged.

    @param reason: the failure.
    """
    own = _ownTraceback(reason.getTracebackObject())
    if own is None or reason.value is None:
        return reason
    return Failure(reason.value.with_traceback(own), type(reason.value), own)


def _qualifiedName(frame: FrameType) -> str:
    """
    Return the name of a method with its class, or of a function.
    """
    name = frame.f_code.co_name
    owner = frame.f_locals.get("self")
    return name if owner is None else f"{type(owner).__name__}.{name}"


def _safe(value: object) -> object:
    """
    Escape a value of an event. A failure is returned unchanged, to keep its traceback. An
    address is converted to text.
    """
    if isinstance(value, int | float | Failure):
        return value
    return escape(describe(value))


def packageLogger() -> Logger:
    """
    Create a logger, to be assigned to an attribute of a module or class of this package.

    @return: a logger with the package or the class as namespace. It forwards events to
        Twisted's log if their level is high enough.
    """
    return _PackageLogger("openfl_twisted")


def setLogLevel(level: Any) -> None:
    """
    Set the minimum log level of this package, for the whole process.

    @param level: a constant of C{twisted.logger.LogLevel} (default C{info}).
    """
    _PackageLogger.minLevel = level


def limitLog(reactor: Any) -> None:
    """
    Limit the number of C{info} events, for the whole process: a log line costs more than
    answering a policy request. If an event occurs more than L{_MAX_EVENTS} times in
    L{_LOG_INTERVAL}, further events of this kind are only counted, and their number is logged.
    Events of other levels are not limited. The commands call this function unless
    C{--log-level=debug} is used.

    @param reactor: the clock. The last numbers are logged when the reactor stops.
    """
    limit = _PackageLogger.limit = _EventLimit(reactor)
    reactor.addSystemEventTrigger("after", "shutdown", limit.endInterval)


# The keys of a JSON line that are not fields of the event, and those that Twisted's older log adds
# to an event.
_NOT_FIELDS = frozenset(
    (
        *("time", "level", "text", "traceback"),
        *("message", "format", "system", "logLevel", "isError", "failure", "why", "printed"),
    )
)

RECORD = "log_record"
"""
The key of an event that contains the result of L{describeEvent} for this event.
"""


def _plain(value: object) -> Any:
    """
    Return a value for JSON; C{None} for an object that is not text, a number or an address.
    """
    if isinstance(value, str):
        # JSON readers refuse lone surrogates.
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, float) and not isfinite(value):
        return str(value)
    if isinstance(value, bool | int | float):
        return value
    return describe(value) if IAddress.providedBy(value) else None


def describeEvent(event: LogEvent) -> dict[str, Any]:
    """
    Describe an event as values for JSON.

    @return: C{text}, the message without a traceback; the fields of the event that are text,
        numbers or addresses; and C{traceback} if the event has a failure. Other objects, and
        Twisted's own fields, are left out.
    """
    described = {"text": _plain(formatEvent(event))}
    for name, value in event.items():
        plain = None if name.startswith("log_") or name in _NOT_FIELDS else _plain(value)
        if plain is not None:
            described[name] = plain
    failure = event.get("log_failure")
    if failure is not None:
        described["traceback"] = _plain(failure.getTraceback())
    return described


def formatJSON(event: LogEvent) -> str:
    """
    Format an event as one line of JSON. Twisted's C{eventAsJSON} is not used: its lines contain
    all fields of the event and of the failure, including the C{repr} of objects, but not the
    text of the message.

    @return: the line in printable ASCII, with its line break: C{time} (ISO 8601, UTC), C{level},
        and the values of L{describeEvent}.
    """
    level = event.get("log_level") or LogLevel.info
    at = datetime.fromtimestamp(event.get("log_time") or time.time(), UTC)
    line = {
        "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": level.name,
        **(event.get(RECORD) or describeEvent(event)),
    }
    # JSON escapes all control characters except DEL.
    return json.dumps(line).replace("\x7f", "\\u007f") + "\n"
