"""
Writes session files, in a thread of its own.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import BinaryIO, NamedTuple

from openfl_twisted.sessions._session import SUFFIX, Hider, dataLine, endLine, gapLine
from openfl_twisted.wire.dialects import Dialect

MAX_FILES = 64
"""
Maximum number of session files that are open at the same time. Files that were not used for the
longest time are closed, and opened again when needed.
"""


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


_PARTIAL = "partial "


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
        self.written = 0

    def write(self, events: Iterable[Event]) -> None:
        """
        Write events, and flush their files.

        @raise OSError: if a file cannot be written.
        """
        touched: dict[int, BinaryIO] = {}
        for event in events:
            stream = self._fileFor(event)
            line = self._lineOf(event)
            stream.write(line)
            self.written += len(line)
            if event.kind == "end":
                touched.pop(event.session, None)
                self._files.pop(event.session).close()
            else:
                touched[event.session] = stream
        for session, stream in touched.items():
            if session in self._files:
                stream.flush()

    def _fileFor(self, event: Event) -> BinaryIO:
        stream = self._files.get(event.session)
        if stream is not None:
            self._files.move_to_end(event.session)
            return stream
        if len(self._files) >= MAX_FILES:
            _, oldest = self._files.popitem(last=False)
            oldest.close()
        path = self._folder / f"{event.session:06}{SUFFIX}"
        flags = (
            os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        )
        if event.kind == "header":
            flags |= os.O_CREAT | os.O_EXCL
        stream = os.fdopen(os.open(path, flags, 0o600), "ab")
        self._files[event.session] = stream
        return stream

    def _lineOf(self, event: Event) -> bytes:
        _, t, n, kind, data, length = event
        if kind == "header":
            return data
        if kind == "end":
            return endLine(t, n, data.decode())
        if kind == "gap":
            return gapLine(t, n, length, data.decode())
        if self._hider is not None:
            # A pattern must not match parts of two messages.
            data = b"".join(map(self._hider.hide, self._dialect.split(data)))
        return dataLine(t, n, kind.removeprefix(_PARTIAL), data, kind.startswith(_PARTIAL))

    def close(self) -> None:
        """
        Close all files.

        @raise OSError: if a file cannot be written.
        """
        with ExitStack() as closing:
            while self._files:
                closing.callback(self._files.popitem()[1].close)


class WriterThread:
    """
    Runs a L{SessionWriter} in a thread, so that a slow disk does not delay the reactor. After the
    first exception, nothing more is written.

    @ivar problem: the exception, such as an C{OSError}; C{None} if nothing has failed.
    @ivar taken: the number of bytes of the batches that have been written.
    """

    def __init__(self, writer: SessionWriter) -> None:
        self._writer = writer
        self._queue: SimpleQueue[tuple[list[Event], int] | Callable[[], object]] = SimpleQueue()
        self._thread = Thread(target=self._run, name=THREAD_NAME, daemon=True)
        self.problem: Exception | None = None
        self.taken = 0

    def start(self) -> None:
        """
        Start the thread.
        """
        self._thread.start()

    def put(self, events: list[Event], length: int) -> None:
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
