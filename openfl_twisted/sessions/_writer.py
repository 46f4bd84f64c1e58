"""
Writes session files, in a thread of its own.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from math import inf
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from time import perf_counter, sleep
from typing import BinaryIO, NamedTuple, TypeAlias

from openfl_twisted.sessions._session import (
    SIDES,
    SUFFIX,
    Hider,
    dataLine,
    dataLines,
    endLine,
    gapLine,
)
from openfl_twisted.wire.dialects import Dialect

MIN_FILES = 64
"""
Maximum number of session files that are open at the same time, if the system allows few open files.
"""

MAX_FILES = 1024
"""
Maximum number of session files that are open at the same time. Files that were not used for the
longest time are closed, and opened again when needed, which takes longer than writing a line.
"""

# The time after which the thread pauses (seconds), so that the reactor is not delayed. The short
# system calls in between do not hand over Python's lock: a waiting thread gets it after 5 ms.
_SLICE = 0.0005
_PAUSE = 0.0001

# Most files of a process are the sockets of its clients.
_PART_OF_FILES = 8


THREAD_NAME = "openfl-sessions"
"""
The name of the thread that writes.
"""


class Event(NamedTuple):
    """
    An event of a session, to be written as a line.

    @ivar session: the number of the session.
    @ivar t: the time since the connection was made (seconds).
    @ivar n: the position in the run.
    @ivar kind: the side that has sent C{data}, or C{header}, C{partial client},
        C{partial server}, C{gap} or C{end}.
    @ivar data: the messages, the header line, or the end.
    @ivar length: the number of missing bytes of a gap.
    """

    session: int
    t: float
    n: int
    kind: str
    data: bytes
    length: int = 0


AnyEvent: TypeAlias = tuple[int, float, int, str, bytes, int]
"""
An L{Event}, or a tuple with the same items, which is created faster.
"""

PARTIAL = "partial "
"""
Begins the kind of an event with part of a message.
"""


class SessionWriter:
    """
    Writes events to the files of a run.

    @ivar written: the number of bytes written.
    """

    def __init__(self, folder: Path, dialect: Dialect, hider: Hider | None = None) -> None:
        """
        @param folder: the folder of the run, which exists.
        @param dialect: splits messages, to remove secrets.
        @param hider: removes secrets (default: remove nothing).
        """
        self._folder = folder
        self._dialect = dialect
        self._hider = hider
        self._files: OrderedDict[int, BinaryIO] = OrderedDict()
        self._maxFiles = _maxFiles()
        self.written = 0

    def write(self, events: Iterable[AnyEvent]) -> None:
        """
        Write events, and flush their files. The lines of each file are written together.

        @raise OSError: if a file cannot be written.
        """
        sessions: dict[int, list[AnyEvent]] = {}
        for event in events:
            sessions.setdefault(event[0], []).append(event)
        began = perf_counter()
        for session, ofSession in sessions.items():
            if perf_counter() - began > _SLICE:
                sleep(_PAUSE)
                began = perf_counter()
            stream = self._fileFor(session, isNew=ofSession[0][3] == "header")
            lines = self._linesOf(ofSession)
            stream.write(lines)
            self.written += len(lines)
            if ofSession[-1][3] == "end":
                self._files.pop(session).close()
            else:
                stream.flush()

    def _fileFor(self, session: int, *, isNew: bool) -> BinaryIO:
        stream = self._files.get(session)
        if stream is not None:
            self._files.move_to_end(session)
            return stream
        if len(self._files) >= self._maxFiles:
            _, oldest = self._files.popitem(last=False)
            oldest.close()
        path = self._folder / f"{session:06}{SUFFIX}"
        flags = (
            os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        )
        if isNew:
            flags |= os.O_CREAT | os.O_EXCL
        stream = os.fdopen(os.open(path, flags, 0o600), "ab")
        self._files[session] = stream
        return stream

    def _linesOf(self, events: list[AnyEvent]) -> bytes:
        """
        Return the lines of events of one session.
        """
        lines: list[bytes] = []
        messages: list[tuple[float, int, str, bytes]] = []
        for _, t, n, kind, data, length in events:
            if kind in SIDES:
                messages.append((t, n, kind, self._withoutSecrets(data)))
                continue
            if messages:
                lines.append(dataLines(messages))
                messages = []
            lines.append(self._lineOf(t, n, kind, data, length))
        if messages:
            lines.append(dataLines(messages))
        return b"".join(lines)

    def _lineOf(self, t: float, n: int, kind: str, data: bytes, length: int) -> bytes:
        if kind == "header":
            return data
        if kind == "end":
            return endLine(t, n, data.decode())
        if kind == "gap":
            return gapLine(t, n, length, data.decode())
        return dataLine(t, n, kind.removeprefix(PARTIAL), self._withoutSecrets(data), True)

    def _withoutSecrets(self, data: bytes) -> bytes:
        if self._hider is None:
            return data
        # A pattern must not match parts of two messages.
        return b"".join(map(self._hider.hide, self._dialect.split(data)))

    def close(self) -> None:
        """
        Close all files.

        @raise OSError: if a file cannot be written.
        """
        with ExitStack() as closing:
            while self._files:
                closing.callback(self._files.popitem()[1].close)


def _allowedFiles() -> float:
    """
    Return the number of files that the system allows this process to open.
    """
    try:
        import resource
    except ImportError:
        # On Windows, the C library has a limit of 512.
        return 512
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return inf if allowed == resource.RLIM_INFINITY else allowed


def _maxFiles() -> int:
    """
    Return the maximum number of session files: an eighth of the allowed files, from L{MIN_FILES} to
    L{MAX_FILES}.
    """
    return int(min(max(_allowedFiles() // _PART_OF_FILES, MIN_FILES), MAX_FILES))


class WriterThread:
    """
    Runs a L{SessionWriter} in a thread, so that a slow disk does not delay the reactor. After the
    first exception, nothing more is written.

    @ivar problem: the exception, such as an C{OSError}; C{None} if nothing has failed.
    @ivar taken: the number of bytes of the batches that have been written.
    """

    def __init__(self, writer: SessionWriter) -> None:
        self._writer = writer
        self._queue: SimpleQueue[tuple[list[AnyEvent], int] | Callable[[], object]] = SimpleQueue()
        self._thread = Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self.problem: Exception | None = None
        self.taken = 0

    def start(self) -> None:
        """
        Start the thread.
        """
        self._thread.start()

    def put(self, events: list[AnyEvent], length: int) -> None:
        """
        Write a batch of events.

        @param length: the number of bytes of the batch, for L{taken}.
        """
        self._queue.put((events, length))

    def stop(self, done: Callable[[], object]) -> None:
        """
        Write everything that was put so far, close the files, and end the thread.

        @param done: called in the thread at the end.
        """
        self._queue.put(done)

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if callable(item):
                self._try(self._writer.close)
                item()
                return
            events, length = item
            if self.problem is None:
                self._try(partial(self._writer.write, events))
            self.taken += length

    def _try(self, do: Callable[[], object]) -> None:
        try:
            do()
        except Exception as problem:
            if self.problem is None:
                self.problem = problem
