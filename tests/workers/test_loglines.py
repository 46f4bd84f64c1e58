"""
Tests for L{openfl_twisted.workers.loglines} and L{openfl_twisted.workers.backoff}.
"""

import atexit
import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, LogPublisher, capturedLogs, eventAsText
from twisted.python import log
from twisted.scripts._twistd_unix import UnixAppLogger
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.logs import formatJSON
from openfl_twisted.workers import loglines
from openfl_twisted.workers.backoff import _FIRST_DELAY, _MAX_DELAY, Backoff
from openfl_twisted.workers.loglines import (
    _MAX_UNWRITTEN,
    MAX_LINE,
    EventWriter,
    LineBuffer,
    LogLine,
    PipeWriter,
    _toLine,
    emit,
    fromLine,
)
from twisted import internet


class LogLineTests(SynchronousTestCase):
    """
    The log lines of a worker.
    """

    def lines(self, write: Any) -> list[Any]:
        """
        Log something in a worker, and return its events in the supervisor.
        """
        output = io.StringIO()
        with patch.object(sys, "__stdout__", output):
            publisher = LogPublisher(EventWriter())
            write(publisher)
        found = output.getvalue()
        self.assertTrue(found.isascii())
        return [fromLine(each, "error") for each in LineBuffer().split(found.encode())]

    def test_event(self) -> None:
        """
        An event has its level, namespace and text, without a time.
        """

        def write(publisher: LogPublisher) -> None:
            logger = Logger("game", observer=publisher)
            logger.warn("{peer}: gr\u00fc\u00dfe\nline", peer="Ann")

        text = "Ann: gr\u00fc\u00dfe\nline"
        record = {"text": text, "peer": "Ann"}
        self.assertEqual(self.lines(write), [("warn", "game", text, record)])

    def test_banners(self) -> None:
        """
        The lines with which C{twistd} starts and ends are not written.
        """

        def write(publisher: LogPublisher) -> None:
            name = f"{UnixAppLogger.__module__}.{UnixAppLogger.__name__}"
            Logger(name, observer=publisher).info("starting up")

        self.assertEqual(self.lines(write), [])

    def test_legacy(self) -> None:
        """
        An event of Twisted's older log has its system.
        """

        def write(publisher: LogPublisher) -> None:
            observer = log.LogPublisher(publishPublisher=publisher)
            observer.msg("a", "b", system="-")

        self.assertEqual(self.lines(write), [("info", "-", "a b", {"text": "a b"})])

    def test_failure(self) -> None:
        """
        The traceback of a failure is a part of the text.
        """

        def write(publisher: LogPublisher) -> None:
            logger = Logger("game", observer=publisher)
            try:
                raise RuntimeError("broken")
            except RuntimeError:
                logger.failure("oops")

        [(level, _, text, record)] = self.lines(write)
        self.assertEqual((record["text"], text), ("oops", f"oops\n{record['traceback']}"))
        self.assertEqual(level, "critical")
        self.assertIn("RuntimeError: broken", text)

    def test_longEvent(self) -> None:
        """
        An event that is too long for a line keeps its level, its start and its end.
        """

        def recurse() -> None:
            recurse()

        def write(publisher: LogPublisher) -> None:
            logger = Logger("game", observer=publisher)
            try:
                recurse()
            except RecursionError:
                logger.failure("oops")
            logger.error("{text}", text="(" + "\U0001f600" * MAX_LINE + ")")

        (level, namespace, text, _), (other, _, smileys, _) = self.lines(write)
        self.assertEqual((level, namespace, other), ("critical", "game", "error"))
        self.assertEqual(text.split("\n")[0], "oops")
        self.assertIn("RecursionError: ", text.strip().split("\n")[-1])
        self.assertEqual((smileys[0], smileys[-1]), ("(", ")"))

    def test_otherLine(self) -> None:
        """
        A line that is not an event has the level of its stream, and is escaped.
        """
        loud = b'\x1e["loud", "a", {"text": "b"}]'
        for line in (b"hello \x1b[1m", b"\x1enot JSON", loud, b"\x1e{}", b""):
            level, namespace, text, record = fromLine(line, "error")
            self.assertIsNone(record)
            self.assertEqual((level, namespace), ("error", "openfl_twisted"))
            self.assertTrue(text.isprintable())

    def test_emit(self) -> None:
        """
        The supervisor logs an event with the number of the worker.
        """
        with capturedLogs() as logs:
            emit(LogLine("warn", "game", "{not} a format"), 2)
        [event] = logs
        self.assertEqual((event["log_level"], event["log_namespace"]), (LogLevel.warn, "game"))
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        self.assertEqual(text, "worker 2: {not} a format")
        line = json.loads(formatJSON(event))
        self.assertEqual((line["text"], line["worker"]), ("worker 2: {not} a format", 2))

    def test_json(self) -> None:
        """
        In JSON, the event of a worker has its fields, and its traceback apart from the text.
        """
        record = {"text": "a: oops", "peer": "a", "traceback": "Traceback"}
        with capturedLogs() as logs:
            emit(LogLine("error", "game", "a: oops\nTraceback", record), 2)
        [event] = logs
        line = json.loads(formatJSON(event))
        del line["time"]
        self.assertEqual(
            line, {**record, "level": "error", "text": "worker 2: a: oops", "worker": 2}
        )
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        self.assertEqual(text, "worker 2: a: oops\nTraceback")

    def test_noLevel(self) -> None:
        """
        An event without level and namespace can be logged.
        """
        self.assertEqual(fromLine(_toLine({}).encode(), "error")[:3], ("info", "-", ""))


class ThreadClock(Clock):
    """
    A clock that calls functions in the thread of the test.
    """

    def callFromThread(self, do: Callable[..., object], *arguments: object) -> None:
        do(*arguments)


class PipeTests(SynchronousTestCase):
    """
    L{PipeWriter}: a worker whose supervisor does not read its log.
    """

    def setUp(self) -> None:
        self.output, descriptor = os.pipe()
        self.clock = ThreadClock()
        self.writer = PipeWriter(descriptor, self.clock)
        self.opened = {self.output, descriptor}
        self.addCleanup(self.close)

    def close(self) -> None:
        for each in self.opened:
            os.close(each)

    def read(self) -> bytes:
        """
        Read everything that is in the pipe.
        """
        os.set_blocking(self.output, False)
        found = b""
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.output, 1 << 20):
                found += data
        return found

    def test_order(self) -> None:
        """
        Lines are written immediately. If the pipe is full, they are held, and written in
        order when the supervisor reads again.
        """
        self.writer.write(b"first\n")
        self.assertEqual(self.read(), b"first\n")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        lines = [b"%d%s\n" % (number, b"x" * 1000) for number in range(500)]
        for line in lines:
            self.writer.write(line)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        found = self.read()
        while self.clock.getDelayedCalls():
            self.clock.advance(1)
            found += self.read()
        self.assertEqual(found, b"".join(lines))

    def test_dropped(self) -> None:
        """
        Lines beyond the limit are dropped, and their number is written when the
        supervisor reads again.
        """
        count = 3 * _MAX_UNWRITTEN // 1000
        for _ in range(count):
            self.writer.write(b"x" * 999 + b"\n")
        found = b""
        while self.clock.getDelayedCalls():
            self.clock.advance(1)
            found += self.read()
        *lines, last, _ = found.split(b"\n")
        self.assertEqual({len(line) for line in lines}, {999})
        self.assertGreater(1000 * len(lines), _MAX_UNWRITTEN)
        text = f"{count - len(lines)} log lines dropped: the supervisor did not read them"
        self.assertEqual(fromLine(last, "error")[:3], ("warn", "openfl_twisted", text))

    def test_finish(self) -> None:
        """
        At the end of the process, the held lines are written if the supervisor reads.
        """
        self.patch(loglines, "_LAST_TIMEOUT", 0.0)
        self.writer.write(b"x" * 100_000 + b"\n")
        self.writer.finish()
        found = self.read()
        self.writer.finish()
        self.assertEqual(len(found + self.read()), 100_001)

    def test_ended(self) -> None:
        """
        After the supervisor has ended, lines are dropped.
        """
        self.opened.discard(self.output)
        os.close(self.output)
        self.writer.write(b"x\n")
        self.writer.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_observer(self) -> None:
        """
        The log observer does not wait if the standard output is a pipe, or uses the
        global reactor to try again.
        """
        registered: list[Any] = []
        self.patch(atexit, "register", registered.append)
        [descriptor] = self.opened - {self.output}
        with open(descriptor, "w", closefd=False) as output:
            self.patch(sys, "__stdout__", output)
            self.patch(internet, "reactor", self.clock)
            publisher = LogPublisher(EventWriter())
            for _ in range(3):
                Logger("game", observer=publisher).info("x" * 40_000)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(len(registered), 1)
        self.read()
        registered[0]()


class LineBufferTests(SynchronousTestCase):
    """
    L{LineBuffer} splits the output.
    """

    @given(st.binary(max_size=30), st.lists(st.integers(0, 30)))
    def test_split(self, data: bytes, cuts: list[int]) -> None:
        """
        The lines are the same, however the output is split.
        """
        buffer, found, start = LineBuffer(), [], 0
        for end in [*sorted(cuts), len(data)]:
            found += buffer.split(data[start:end])
            start = max(start, end)
        found += buffer.end()
        expected = data.split(b"\n")
        self.assertEqual(found, expected if expected[-1] else expected[:-1])

    def test_long(self) -> None:
        """
        The rest of a line that is too long is dropped.
        """
        for parts in ([b"x" * (MAX_LINE + 5) + b"\ny\n"], [b"x" * (MAX_LINE + 5), b"x", b"x\ny\n"]):
            buffer = LineBuffer()
            found = [line for part in parts for line in buffer.split(part)]
            self.assertEqual(found, [b"x" * MAX_LINE, b"y"])
            self.assertEqual(buffer.end(), [])


class BackoffTests(SynchronousTestCase):
    """
    L{Backoff}.
    """

    def test_delays(self) -> None:
        """
        The delay is doubled up to a maximum, and is reset after a long run.
        """
        backoff = Backoff()
        delays = [backoff.delay(0) for _ in range(8)]
        self.assertEqual(delays, [0.5, 1, 2, 4, 8, 16, 30, 30])
        self.assertEqual((delays[0], delays[-1]), (_FIRST_DELAY, _MAX_DELAY))
        self.assertEqual(backoff.delay(_MAX_DELAY + 1), _FIRST_DELAY)
        self.assertEqual(backoff.delay(_MAX_DELAY), 2 * _FIRST_DELAY)
