"""
Copies the log of each worker to the log of the supervisor.

A worker writes each event as one line of JSON to its standard output. The line contains no
time, because the supervisor's log adds the time. Other lines, such as an error message from
the interpreter, are logged unchanged.
"""

import json
import sys
from typing import Any

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, eventAsText
from zope.interface import implementer

from openfl_twisted.wire.text import escape

_MARK = "\x1e"
"""
The first character of a line that is an event (RS in ASCII).
"""

MAX_LINE = 64 * 1024
"""
Maximum length of a line (bytes). The rest of a longer line is dropped.
"""

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

LogLine = tuple[str, str, str]
"""
The level, the namespace and the text of an event.
"""


def toLine(event: LogEvent) -> str:
    """
    Convert an event to a line. The middle of a very long text is left out, so that the line
    has at most L{MAX_LINE} bytes.

    @param event: the event.
    @return: the line, without a line break.
    """
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    level = event.get("log_level") or LogLevel.info
    # An event from Twisted's legacy log has a system instead of a namespace.
    name = event.get("log_system") or event.get("log_namespace", "-")
    line = _encode(level.name, str(name), text)
    if len(line) > MAX_LINE:
        # For example the traceback of a RecursionError: its last line is the error.
        shortened = f"{text[:_MAX_PART]}\n[...]\n{text[-_MAX_PART:]}"
        line = _encode(level.name, str(name)[:_MAX_NAME], shortened)
    return line


def _encode(*fields: str) -> str:
    return f"{_MARK}{json.dumps(fields)}"


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
            case [str() as named, str() as namespace, str() as written] if named in _LEVELS:
                return named, namespace, written
    return level, "openfl_twisted", escape(text)


@implementer(ILogObserver)
class EventWriter:
    """
    The log observer of a worker, for C{twistd --logger}: writes events to the standard output.
    """

    def __call__(self, event: LogEvent) -> None:
        """
        Write an event to the standard output as one line.

        @param event: the event.
        """
        if event.get("log_namespace") == _BANNERS:
            return
        # Twisted replaces sys.stdout with an object that logs.
        output: Any = sys.__stdout__
        output.write(f"{toLine(event)}\n")
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
    level, namespace, text = line
    Logger(namespace).emit(
        LogLevel.levelWithName(level), "worker {worker}: {text}", worker=worker, text=text
    )
