"""
Copies the log of each worker to the log of the supervisor.

A worker writes each event as one line of JSON to its standard output. The line contains no
time, because the supervisor's log adds the time. Other lines, such as an error message from
the interpreter, are logged unchanged.
"""

import atexit
import json
import os
import select
import stat
import sys
from threading import RLock
from typing import Any, NamedTuple

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel
from zope.interface import implementer

from openfl_twisted.logs import RECORD, describeEvent
from openfl_twisted.wire.text import escape

_MARK = "\x1e"
"""
The first character of a line that is an event (RS in ASCII).
"""

MAX_LINE = 64 * 1024
"""
Maximum length of a line (bytes). The rest of a longer line is dropped.
"""

_MAX_UNWRITTEN = 1024 * 1024
"""
Maximum length of the lines that a worker holds while its supervisor does not read them (bytes).
Further lines are dropped, and counted.
"""

# Seconds between attempts to write the held lines, and to write the last lines at the end of the
# process.
_RETRY_INTERVAL = 0.1
_LAST_TIMEOUT = 1.0

# If an event is too long for a line, this number of characters at its start and at its end is
# written. JSON takes at most 12 bytes for a character.
_MAX_PART = 2500
_MAX_NAME = 200

_BANNERS = "twisted.scripts._twistd_unix.UnixAppLogger"
"""
The namespace of the lines that C{twistd} logs when it starts and stops. They are dropped,
because the supervisor logs the same lines.
"""

_LEVELS = {level.name for level in LogLevel.iterconstants()}


class LogLine(NamedTuple):
    """
    An event of a worker.

    @ivar level: the name of the level.
    @ivar namespace: the namespace.
    @ivar text: the message, and the traceback.
    @ivar record: see L{describeEvent}; C{None} if the event has only a text.
    """

    level: str
    namespace: str
    text: str
    record: dict[str, Any] | None = None


def _toLine(event: LogEvent) -> str:
    """
    Convert an event to a line. The middle of a very long text is left out, so that the line
    has at most L{MAX_LINE} bytes.

    @param event: the event.
    @return: the line, without a line break.
    """
    record = describeEvent(event)
    level = event.get("log_level") or LogLevel.info
    # An event from Twisted's legacy log has a system instead of a namespace.
    name = event.get("log_system") or event.get("log_namespace", "-")
    line = _encode(level.name, str(name), record)
    if len(line) > MAX_LINE:
        # For example the traceback of a RecursionError: its last line is the error.
        text = _wholeText(record)
        shortened = f"{text[:_MAX_PART]}\n[...]\n{text[-_MAX_PART:]}"
        line = _encode(level.name, str(name)[:_MAX_NAME], {"text": shortened})
    return line


def _wholeText(record: dict[str, Any]) -> str:
    """
    Return the message of an event, and its traceback on the following lines.
    """
    return "\n".join(record[name] for name in ("text", "traceback") if name in record)


def _encode(level: str, namespace: str, record: dict[str, Any]) -> str:
    return f"{_MARK}{json.dumps((level, namespace, record))}"


def fromLine(line: bytes, level: str) -> LogLine:
    """
    Convert a line to an event.

    @param line: a line of a worker's output, without the line break.
    @param level: the log level to use if the line is not an encoded event.
    @return: the event.
    """
    text = line.decode(errors="replace")
    if text.startswith(_MARK):
        try:
            found = json.loads(text[1:])
        except (ValueError, RecursionError):
            found = None
        match found:
            case [str() as named, str() as namespace, {"text": str()} as record]:
                if named in _LEVELS and isinstance(record.get("traceback", ""), str):
                    return LogLine(named, namespace, _wholeText(record), record)
    return LogLine(level, "openfl_twisted", escape(text))


class PipeWriter:
    """
    Writes lines to a pipe without waiting for the reader: a supervisor that does not read, for
    example because it was stopped with SIGSTOP, must not stop its workers. This class can be
    used from any thread.
    """

    def __init__(self, descriptor: int, reactor: Any = None) -> None:
        """
        @param descriptor: the file descriptor of the pipe, which becomes non-blocking.
        @param reactor: the reactor (default: the global reactor).
        """
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._reactor = reactor
        self._lock = RLock()
        self._held = bytearray()
        self._dropped = 0
        self._isScheduled = False

    def write(self, line: bytes) -> None:
        """
        Write a line, or hold it until the reader has read previous lines. If too many bytes are
        held, the line is dropped.

        @param line: the line, with its line break.
        """
        with self._lock:
            if self._held and len(self._held) + len(line) > _MAX_UNWRITTEN:
                self._dropped += 1
                return
            self._held += line
            self._flush()

    def finish(self) -> None:
        """
        Write the held lines, and wait at most one second for the reader.
        """
        with self._lock:
            self._flush()
            if self._held:
                select.select([], [self._descriptor], [], _LAST_TIMEOUT)
                self._flush()

    def _flush(self) -> None:
        held = self._held
        try:
            while held:
                del held[: os.write(self._descriptor, held)]
                if not held and self._dropped:
                    count, self._dropped = self._dropped, 0
                    text = f"{count} log lines dropped: the supervisor did not read them"
                    held += f"{_encode('warn', 'openfl_twisted', {'text': text})}\n".encode()
        except BlockingIOError:
            if not self._isScheduled:
                self._isScheduled = True
                if self._reactor is None:
                    from twisted.internet import reactor

                    self._reactor = reactor
                self._reactor.callFromThread(
                    self._reactor.callLater, _RETRY_INTERVAL, self._tryAgain
                )
        except OSError:
            # The supervisor has ended.
            held.clear()

    def _tryAgain(self) -> None:
        with self._lock:
            self._isScheduled = False
            self._flush()


@implementer(ILogObserver)
class EventWriter:
    """
    The log observer of a worker, for C{twistd --logger}: writes events to the standard output.
    """

    def __init__(self) -> None:
        self._pipe: PipeWriter | None = None
        output: Any = sys.__stdout__
        # In a test, the output can be another object.
        if hasattr(output, "buffer") and stat.S_ISFIFO(os.fstat(output.fileno()).st_mode):
            self._pipe = PipeWriter(output.fileno())
            atexit.register(self._pipe.finish)

    def __call__(self, event: LogEvent) -> None:
        """
        Write an event to the standard output as one line.

        @param event: the event.
        """
        if event.get("log_namespace") == _BANNERS:
            return
        line = f"{_toLine(event)}\n"
        if self._pipe is not None:
            self._pipe.write(line.encode())
            return
        # Twisted replaces sys.stdout with an object that logs.
        output: Any = sys.__stdout__
        output.write(line)
        output.flush()


class LineBuffer:
    """
    Splits the output of a worker into lines of at most L{MAX_LINE} bytes.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._isLong = False

    def split(self, data: bytes) -> list[bytes]:
        """
        Return the complete lines.

        @param data: received data.
        @return: the lines without line breaks.
        """
        *lines, rest = data.split(b"\n")
        complete = []
        for line in lines:
            if not self._isLong:
                complete.append((self._rest + line)[:MAX_LINE])
            self._rest, self._isLong = b"", False
        if not self._isLong:
            self._rest += rest
            if len(self._rest) > MAX_LINE:
                complete.append(self._rest[:MAX_LINE])
                self._rest, self._isLong = b"", True
        return complete

    def end(self) -> list[bytes]:
        """
        Return the incomplete line at the end of the output.

        @return: the line, if any.
        """
        rest, self._rest = self._rest, b""
        return [rest] if rest else []


def emit(line: LogLine, worker: int) -> None:
    """
    Log an event of a worker.

    @param line: the event.
    @param worker: the number of the worker.
    """
    record = line.record or {"text": line.text}
    text = f"worker {worker}: {record['text']}"
    Logger(line.namespace).emit(
        LogLevel.levelWithName(line.level),
        "worker {worker}: {text}",
        worker=worker,
        text=line.text,
        **{RECORD: {**record, "text": text, "worker": worker}},
    )
