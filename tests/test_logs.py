"""
Tests for L{openfl_twisted.logs}: data from a peer is never logged unescaped.
"""

import ast
import asyncio
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, LogLevel, capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.python.log import msg
from twisted.trial.unittest import SynchronousTestCase

import openfl_twisted
from openfl_twisted import logs
from openfl_twisted.logs import (
    _LOG_INTERVAL,
    _MAX_EVENTS,
    _PackageLogger,
    formatJSON,
    limitLog,
    logHandlerError,
    packageLogger,
)
from openfl_twisted.wire.text import MAX_SHOWN, escape

PACKAGE = Path(openfl_twisted.__file__).parent
LEVELS = {"debug", "info", "warn", "error", "critical", "emit", "failure"}

# Modules that log like the Twisted module that they replace, and the one that logs the events
# of another process, which are escaped there.
AS_TWISTED = {
    "reactors/epoll.py",
    "transports/tcp.py",
    "testing/_reactor.py",
    "logs.py",
    "workers/loglines.py",
}


class EscapeTests(SynchronousTestCase):
    """
    L{escape} makes text safe to show.
    """

    def test_characters(self) -> None:
        """
        Control characters, surrogates, and characters that change direction or line are
        escaped as in Python; other text is unchanged.
        """
        for text, shown in [
            ("", ""),
            ("Zo\u00eb \u65e5\u672c \U0001f600", "Zo\u00eb \u65e5\u672c \U0001f600"),
            ("a\x1b[31mb", "a\\x1b[31mb"),
            ("a\r\nb\tc\0", "a\\r\\nb\\tc\\x00"),
            ("\x7f\x9b\u202e\u2028\ud800", "\\x7f\\x9b\\u202e\\u2028\\ud800"),
        ]:
            self.assertEqual(escape(text), shown)

    def test_long(self) -> None:
        """
        Long text is shortened before it is escaped.
        """
        self.assertEqual(escape("x" * MAX_SHOWN), "x" * MAX_SHOWN)
        self.assertEqual(escape("x" * (MAX_SHOWN + 1)), "x" * MAX_SHOWN + "...")
        self.assertEqual(escape("\0" * 9999), "\\x00" * MAX_SHOWN + "...")

    @given(st.text())
    def test_any(self, text: str) -> None:
        """
        The result is printable.
        """
        self.assertTrue(escape(text).isprintable())


class LoggerTests(SynchronousTestCase):
    """
    L{packageLogger} escapes the values of events.
    """

    @given(
        st.text(), st.sampled_from([str, ValueError, lambda text: text.encode("utf-8", "replace")])
    )
    def test_values(self, text: str, make: type) -> None:
        """
        Values of any type are formatted as one printable line.
        """
        with capturedLogs() as logs:
            packageLogger().info(
                "{peer} sent {data}: {count:g}", peer="p", data=make(text), count=1
            )
        [event] = logs
        self.assertTrue(formatEvent(event).isprintable())

    def test_failure(self) -> None:
        """
        A failure is kept, for its traceback.
        """
        failure = Failure(ValueError("x"))
        packageLogger().failure("{peer} failed", failure, peer="\x1b")
        [logged] = self.flushLoggedErrors(ValueError)
        self.assertIs(logged, failure)

    def test_values_are_not_computed(self) -> None:
        """
        Below the level, values are not converted.
        """

        class Unprintable:
            def __str__(self) -> str:
                raise AssertionError

        packageLogger().emit(LogLevel.debug, "{data}", data=Unprintable())


class JSONTests(SynchronousTestCase):
    """
    L{formatJSON} formats an event as one line.
    """

    def lines(self, log: Callable[[Logger], object]) -> list[dict[str, Any]]:
        """
        Return the lines of the events that a function logs.
        """
        with capturedLogs() as logs:
            log(packageLogger())
        lines = [*map(formatJSON, logs)]
        for line in lines:
            self.assertTrue(line.isascii() and line.endswith("\n") and line[:-1].isprintable())
        return [*map(json.loads, lines)]

    def test_fields(self) -> None:
        """
        A line has the time in UTC, the level, the text, and the fields of the event that are text
        or numbers. The names of the first three cannot be replaced by fields.
        """
        event = {
            "log_time": 1e9,
            "log_level": LogLevel.warn,
            "log_format": "{name} sent {count}",
            "log_namespace": "game",
            "name": "Ann",
            "peer": IPv4Address("TCP", "192.0.2.1", 5),
            "count": 3,
            "rate": math.inf,
            "isNew": True,
            "level": "loud",
            "other": self,
            "nothing": None,
        }
        self.assertEqual(
            formatJSON(event),
            '{"time": "2001-09-09T01:46:40.000Z", "level": "warn", "text": "Ann sent 3",'
            ' "name": "Ann", "peer": "192.0.2.1:5", "count": 3, "rate": "inf", "isNew": true}\n',
        )

    def test_limit(self) -> None:
        """
        The line that counts further events has fields, too.
        """
        self.addCleanup(setattr, _PackageLogger, "limit", None)
        clock = MemoryReactorClock()
        limitLog(clock)

        def log(logger: Logger) -> None:
            for _ in range(_MAX_EVENTS + 2):
                logger.info("{peer} opened", peer="a")
            clock.advance(_LOG_INTERVAL)

        last = self.lines(log)[-1]
        self.assertEqual((last["count"], last["seconds"]), (2, 10))
        self.assertEqual(last["text"], "2 more in the last 10 s: ... opened")

    def test_failure(self) -> None:
        """
        The traceback of a failure is a text, apart from the message.
        """
        failure = Failure(ValueError("broken"))
        [line] = self.lines(lambda log: log.failure("{peer}: oops", failure, peer="a"))
        self.flushLoggedErrors(ValueError)
        self.assertEqual((line["level"], line["text"]), ("critical", "a: oops"))
        self.assertIn("ValueError: broken", line["traceback"])
        self.assertEqual(set(line), {"time", "level", "text", "peer", "traceback"})

    def test_legacy(self) -> None:
        """
        An event of Twisted's older log has only its text.
        """
        [line] = self.lines(lambda _: msg("hello", system="-"))
        self.assertEqual(set(line), {"time", "level", "text"})
        self.assertEqual((line["level"], line["text"]), ("info", "hello"))

    @given(st.text())
    def test_anyText(self, text: str) -> None:
        """
        Any text is one line of ASCII without control characters. Lone surrogates are replaced.
        """
        line = formatJSON({"log_format": "{text}", "text": text, "value": text})
        self.assertTrue(line.isascii() and line[:-1].isprintable())
        json.loads(line)["value"].encode()

    def test_empty(self) -> None:
        """
        An event without values is a line with the current time.
        """
        self.assertEqual(set(json.loads(formatJSON({}))), {"time", "level", "text"})


class LimitTests(SynchronousTestCase):
    """
    Frequent events are summarized.
    """

    def setUp(self) -> None:
        """
        Limit the log, with a clock.
        """
        self.clock = MemoryReactorClock()
        self.patch(_PackageLogger, "limit", None)
        limitLog(self.clock)
        self.log = packageLogger()

    def test_frequent(self) -> None:
        """
        Of a frequent event, the first ones are logged, and the number of the others at
        the end of the interval. Another event is not affected. In the next interval,
        events are logged again.
        """
        with capturedLogs() as logs:
            for number in range(_MAX_EVENTS + 1204):
                self.log.info("{peer} received the policy file", peer=number)
            self.log.info("{peer} opened", peer="a")
            self.assertEqual(len(logs), _MAX_EVENTS + 1)
            self.clock.advance(_LOG_INTERVAL)
            self.log.info("{peer} received the policy file", peer="b")
        self.assertEqual(
            [formatEvent(event) for event in logs[_MAX_EVENTS:]],
            [
                "a opened",
                "1204 more in the last 10 s: ... received the policy file",
                "b received the policy file",
            ],
        )

    def test_cost(self) -> None:
        """
        An event that is only counted is not described: frequent events must be cheap.
        """
        with (
            capturedLogs(),
            mock.patch.object(logs, "_field", wraps=logs._field) as field,
        ):
            for number in range(3 * _MAX_EVENTS):
                self.log.info("{peer} opened", peer=number)
            self.assertEqual(field.sub.call_count, 1)

    def test_otherLevels(self) -> None:
        """
        Warnings and errors are always logged.
        """
        with capturedLogs() as logs:
            for _ in range(_MAX_EVENTS + 5):
                self.log.warn("{peer} refused", peer="a")
        self.assertEqual(len(logs), _MAX_EVENTS + 5)

    def test_repeatedErrors(self) -> None:
        """
        The same error of a handler is logged once; its repetitions are counted. An error at
        another place is logged.
        """

        def first() -> None:
            raise ValueError("one")

        def second() -> None:
            raise ValueError("two")

        place = "LimitTests.test_repeatedErrors"
        with capturedLogs() as logs:
            for handler in (first, first, second, first):
                try:
                    handler()
                except ValueError:
                    logHandlerError(self.log, Failure(), "a")
            self.clock.advance(_LOG_INTERVAL)
            self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(
            [formatEvent(event) for event in logs],
            [
                *[f"unhandled error in {place} while serving a; connection closed"] * 2,
                f"2 more in the last 10 s: unhandled ValueError in {place}",
            ],
        )
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_asyncioHint(self) -> None:
        """
        A handler that calls a function of asyncio under another reactor gets a hint.
        """
        with capturedLogs() as logs:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                logHandlerError(self.log, Failure(), "a")
        self.assertIn("need the asyncio reactor", formatEvent(logs[0]))
        self.flushLoggedErrors(RuntimeError)

    def test_shutdown(self) -> None:
        """
        The last numbers are logged when the reactor stops, and no timer is left.
        """
        with capturedLogs() as logs:
            for _ in range(_MAX_EVENTS + 1):
                self.log.info("{peer} opened", peer="a")
            for triggers in self.clock.triggers["after"].values():
                for do, arguments, named in triggers:
                    do(*arguments, **named)
        self.assertEqual(formatEvent(logs[-1]), "1 more in the last 10 s: ... opened")
        self.assertEqual(self.clock.getDelayedCalls(), [])


def calls(path: Path) -> Iterator[ast.Call]:
    """
    Find the log calls in a module.
    """
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            owner = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else name
            if owner.rpartition(".")[2] in ("log", "_log") and (name in LEVELS or owner == name):
                yield node


class CallTests(SynchronousTestCase):
    """
    All log calls of the package.
    """

    def test_formats(self) -> None:
        """
        The format of each event is a constant, so that values are escaped and
        cannot contain fields.
        """
        found = 0
        for path in PACKAGE.glob("**/*.py"):
            for call in calls(path):
                if path.name == "logs.py":
                    continue
                level = isinstance(call.func, ast.Attribute) and call.func.attr == "emit"
                arguments = call.args[1:] if level else call.args
                where = f"{path}:{call.lineno}"
                self.assertTrue(arguments, where)
                self.assertIsInstance(arguments[0], ast.Constant, where)
                found += 1
        self.assertGreater(found, 50)

    def test_loggers(self) -> None:
        """
        Each module logs through L{packageLogger}, except those that replace a part
        of Twisted, and C{events}, which is independent of Twisted and escapes its
        text.
        """
        for path in PACKAGE.glob("**/*.py"):
            name = path.relative_to(PACKAGE).as_posix()
            if name in AS_TWISTED:
                continue
            source = path.read_text()
            self.assertNotIn("twisted.python import log", source, name)
            self.assertNotIn(" Logger(", source, name)
            if "logging.getLogger" in source:
                self.assertEqual(name, "events.py")
                self.assertIn('_log.error("%s", escape(message))', source)
