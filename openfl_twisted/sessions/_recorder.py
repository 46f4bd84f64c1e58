"""
Records the connections of a server.
"""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from openfl_twisted.addresses import describe
from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.sessions._limits import MAX_RUN, MAX_SESSION
from openfl_twisted.sessions._session import CLIENT, SERVER, SIDES, Header, Hider, headerLine
from openfl_twisted.sessions._writer import PARTIAL, AnyEvent, SessionWriter, WriterThread
from openfl_twisted.transports.connection import Connection
from openfl_twisted.transports.tap import Tap
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.dialects import Dialect
from openfl_twisted.wire.framing import Cutter

MAX_MESSAGE = 1024 * 1024
"""
Maximum length of an incomplete message that is held: 1 MiB. The parts of a longer message are
recorded as partial messages.
"""

MAX_WAITING = 8 * 1024 * 1024
"""
Maximum number of bytes that wait for the disk: 8 MiB. Above this limit, data is not recorded, and
the session has a gap.
"""

MAX_BATCH = 256 * 1024
"""
Number of bytes after which a batch is written immediately: 256 KiB.
"""

BATCH_TIMEOUT = 0.25
"""
Maximum time until a batch is written: 0.25 seconds.
"""

STOP_TIMEOUT = 5.0
"""
Default maximum time to write the rest when a recorder is stopped: 5 seconds.
"""

# The bytes that a line needs in addition to its data, for the limits.
_LINE = 64


class RecorderError(ValueError):
    """
    A recording cannot start. The text is one line.
    """


class Recorder:
    """
    Records connections as the files of a run. The reactor only collects the data; a thread writes
    it.

    @ivar folder: the folder of the run; C{None} before L{start}.
    @ivar dialect: the dialect of all sessions.
    @ivar sides: the side of the peer, and the own side.
    @ivar sessions: the number of sessions that have begun.
    @ivar gaps: the number of gaps.
    @ivar isStopped: whether nothing more is recorded.
    @ivar mayBeFull: whether many bytes wait for the disk.
    """

    log = packageLogger()

    def __init__(
        self,
        folder: str | Path,
        dialectName: str,
        dialect: Dialect,
        *,
        hide: Mapping[str, str] | None = None,
        sessionLimit: int = MAX_SESSION,
        limit: int = MAX_RUN,
        recordAddresses: bool = False,
        suffix: str = "",
        receivesFrom: str = CLIENT,
        clock: AnyClock | None = None,
    ) -> None:
        """
        @param folder: the folder of all runs. It is created if it does not exist.
        @param dialectName: the name of the dialect, for the header.
        @param dialect: the dialect.
        @param hide: patterns of secrets, by name; each pattern has one group. An incomplete
            message is then not recorded.
        @param sessionLimit: maximum number of recorded bytes of a connection.
        @param limit: maximum number of recorded bytes of the run.
        @param recordAddresses: whether the addresses of the clients are recorded.
        @param suffix: the end of the name of the run's folder.
        @param receivesFrom: the side that sends the received data: C{server}, to record the
            connections of a client (default: C{client}).
        @param clock: the clock (default: the global reactor).
        @raise ValueError: if a pattern is invalid, or the dialect is not text and there are
            patterns.
        """
        self.hidden = dict(hide or {})
        if self.hidden and not dialect.isText:
            raise ValueError(
                f"secrets cannot be removed from the dialect {dialectName}: use xml or lines"
            )
        self._hider = Hider(self.hidden) if self.hidden else None
        self._parent = Path(folder)
        self._suffix = suffix
        self.sides = (CLIENT, SERVER) if receivesFrom == CLIENT else (SERVER, CLIENT)
        self._dialectName = dialectName
        self.dialect = dialect
        self._sessionLimit = sessionLimit
        self._limit = limit
        self._recordAddresses = recordAddresses
        self._clock: Any = clockOrReactor(clock)
        self._seconds = self._clock.seconds
        self._by = f"openfl-twisted {version('openfl-twisted')}"
        self._writer: WriterThread | None = None
        self._batch: list[AnyEvent] = []
        self._batchLength = 0
        self._given = 0
        self._timer: IDelayedCall | None = None
        self._open: dict[int, Recording] = {}
        self._n = 0
        self.folder: Path | None = None
        self.sessions = self.gaps = 0
        self.isStopped = True
        self.mayBeFull = False
        # Whether the log already contains the warning or error.
        self._hasWarned = self._hasFailed = self._dialectHasFailed = False

    @property
    def recordedBytes(self) -> int:
        """
        The number of recorded bytes.
        """
        return self._given + self._batchLength

    def start(self) -> None:
        """
        Create the folder of the run, and start the thread.

        @raise RecorderError: if the folder cannot be created, or others can read it.
        """
        self.folder = self._makeFolder()
        writer = SessionWriter(self.folder, self.dialect, self._hider)
        self._writer = WriterThread(writer)
        self._writer.start()
        self.isStopped = False
        self.log.warn(
            "recording everything that clients and server say into {folder}{hidden}",
            folder=str(self.folder),
            hidden=f"; hidden: {', '.join(self.hidden)}" if self.hidden else "",
        )

    def _makeFolder(self) -> Path:
        parent = self._parent
        name = datetime.now(UTC).strftime("%Y%m%d-%H%M%S") + self._suffix
        try:
            if parent.exists() and not parent.is_dir():
                raise RecorderError(f"{parent}: must be a folder")
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.name == "posix":
                status = parent.stat()
                if status.st_uid != os.geteuid():
                    raise RecorderError(f"{parent}: this folder belongs to another user")
                if status.st_mode & 0o077:
                    raise RecorderError(
                        f"{parent}: others may read this folder: chmod 700 {parent}"
                    )
            for number in range(1, 1000):
                folder = parent / (name if number == 1 else f"{name}-{number}")
                try:
                    folder.mkdir(mode=0o700)
                except FileExistsError:
                    if not folder.is_dir():
                        raise
                else:
                    return folder
            raise RecorderError(f"{parent}: too many folders {name}")
        except OSError as problem:
            raise RecorderError(f"{problem.filename or parent}: {problem.strerror}") from None

    def stop(self, timeout: float = STOP_TIMEOUT) -> Deferred[None]:
        """
        End all sessions, and write everything.

        @param timeout: the maximum time to write the rest (seconds). After it, the rest is lost.
        @return: fires when the files are closed, or after the timeout.
        """
        writer = self._writer
        if writer is None:
            return succeed(None)
        self.isStopped = True
        for recording in list(self._open.values()):
            recording.finish("stopped")
        self._writer = None
        self._flush(writer)
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        stopped: Deferred[None] = Deferred()

        def finished() -> None:
            if late.active():
                late.cancel()
                self._report(writer)
                self._reportUnused()
                stopped.callback(None)

        def tooLate() -> None:
            self.log.error(
                "recording is incomplete: the disk was too slow for {seconds:g} s: {folder}",
                seconds=timeout,
                folder=str(self.folder),
            )
            stopped.callback(None)

        late = self._clock.callLater(timeout, tooLate)
        writer.stop(lambda: self._clock.callFromThread(finished))
        return stopped

    def record(self, connection: Connection) -> "Recording | None":
        """
        Record a connection, from now to its end.

        @param connection: the connection that the application uses, whose protocol is set.
        @return: the recording; C{None} if nothing more is recorded.
        """
        if self.isStopped:
            return None
        if self.recordedBytes >= self._limit:
            self._limitReached()
            return None
        if self.isFull():
            # Otherwise, the headers of new connections could fill the memory.
            self.gapBegins(_DISK)
            return None
        self.sessions += 1
        isWebSocket = connection.preservesMessages
        header = Header(
            dialect=self._dialectName,
            kind="websocket" if isWebSocket else "plain",
            path=self._hide(connection.requestPath) if isWebSocket else "",
            started=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            by=self._by,
            peer=describe(connection.getPeer()) if self._recordAddresses else "",
            hidden=self.hidden,
        )
        try:
            recording = Recording(self, self.sessions, self._clock.seconds(), self._sessionLimit)
        except Exception:
            self.dialectFailed()
            return None
        self._open[recording.number] = recording
        # Adding the header can reach the limit, which ends the recording.
        recording.tap = Tap.attach(connection, recording)
        self.add(recording, "header", headerLine(header))
        return recording

    def _hide(self, path: str) -> str:
        """
        Remove the secrets from a path.
        """
        if self._hider is None:
            return path
        return self._hider.hide(path.encode("utf-8", "replace")).decode("utf-8", "replace")

    def _limitReached(self) -> None:
        if not self.isStopped:
            self.isStopped = True
            self.log.warn(
                "recording stopped: the limit of {limit} bytes is reached", limit=self._limit
            )
            for recording in list(self._open.values()):
                recording.finish("limit")

    # Called by recordings

    def add(self, recording: "Recording", kind: str, data: bytes, length: int = 0) -> None:
        """
        Add an event to the batch.

        @param kind: see L{Event}.
        @param length: the number of missing bytes of a gap.
        """
        self._n = n = self._n + 1
        t = self._seconds() - recording.began
        self._batch.append((recording.number, t, n, kind, data, length))
        self._batchLength = total = self._batchLength + len(data) + _LINE
        if total >= MAX_BATCH:
            self._flushNow()
        elif self._timer is None:
            self._timer = self._clock.callLater(BATCH_TIMEOUT, self._timedOut)

    def isFull(self) -> bool:
        """
        Return whether too many bytes wait for the disk. While L{mayBeFull} is false, they do not.
        """
        writer = self._writer
        return writer is None or self._given + self._batchLength - writer.taken > MAX_WAITING

    def gapBegins(self, why: str) -> None:
        """
        Count a gap, and log the first one whose reason is the disk.

        @param why: the reason.
        """
        self.gaps += 1
        if why == _DISK and not self._hasWarned:
            self._hasWarned = True
            self.log.warn(
                "recording has gaps: the disk is too slow for {folder}", folder=str(self.folder)
            )

    def ended(self, recording: "Recording") -> None:
        """
        Called when a recording has ended.
        """
        self._open.pop(recording.number, None)

    def _timedOut(self) -> None:
        self._timer = None
        self._flushNow()

    def _flushNow(self) -> None:
        writer = self._writer
        if writer is None:
            return
        self._flush(writer)
        if writer.problem is not None and not self.isStopped:
            self._report(writer)
            for recording in list(self._open.values()):
                recording.drop()
        elif self.recordedBytes >= self._limit:
            self._limitReached()

    def _flush(self, writer: WriterThread) -> None:
        batch, self._batch = self._batch, []
        if batch:
            self._given += self._batchLength
            writer.put(batch, self._batchLength)
            self._batchLength = 0
            # One more batch can be added before this is computed again.
            self.mayBeFull = self._given - writer.taken > MAX_WAITING - 2 * MAX_BATCH

    def _reportUnused(self) -> None:
        """
        Warn of the patterns of secrets that have matched nothing.
        """
        if self._hider is None or not self.sessions or self._hasFailed:
            return
        for name in self.hidden:
            if f"{{{name}}}".encode() not in self._hider.used:
                self.log.warn(
                    "the pattern of the secret {name} has matched nothing: the recording may"
                    " contain the secret",
                    name=name,
                )

    def _report(self, writer: WriterThread) -> None:
        """
        Log why nothing more is recorded.
        """
        problem = writer.problem
        if problem is None or self._hasFailed:
            return
        self._hasFailed = True
        self.isStopped = True
        reason, folder = f"{type(problem).__name__}: {problem}", None
        if isinstance(problem, OSError) and problem.strerror:
            reason, folder = problem.strerror, problem.filename
        self.log.error(
            "recording stopped: {reason}: {folder}",
            reason=reason,
            folder=folder or str(self.folder),
        )

    def dialectFailed(self) -> None:
        """
        Log the first exception that the dialect has raised.
        """
        if not self._dialectHasFailed:
            self._dialectHasFailed = True
            self.log.failure(
                "recording: error in the dialect {dialect}; its messages are recorded as parts",
                dialect=self._dialectName,
            )


class _Direction:
    """
    One direction of a recorded connection.
    """

    __slots__ = ("_cutter", "_hasFailed", "_isBroken", "_recorder", "_recording", "_side")

    def __init__(
        self, recorder: Recorder, recording: "Recording", side: str, cutter: Cutter
    ) -> None:
        """
        @param side: the side that sends the data.
        """
        self._recorder = recorder
        self._recording = recording
        self._side = side
        self._cutter = cutter
        # Whether a message was too long: its rest is recorded as parts.
        self._isBroken = False
        # Whether the dialect could not cut the data.
        self._hasFailed = False

    def take(self, data: bytes) -> None:
        """
        Record the messages that the data completes.
        """
        recording, cutter = self._recording, self._cutter
        if self._isBroken:
            self._takeRest(data)
            return
        try:
            whole = cutter.feed(data)
            # A cutter that returns the same object holds as much as before.
            isLong = whole is not data and cutter.pending > MAX_MESSAGE
            part = cutter.rest() if isLong else b""
        except Exception:
            self._dialectFailed(data)
            return
        if whole:
            left = recording.left - len(whole)
            recorder = self._recorder
            if left < 0 or recording.gaps or recorder.mayBeFull:
                recording.add(self._side, whole)
            else:
                recording.left = left
                recorder.add(recording, self._side, whole)
        if part:
            self._isBroken = True
            recording.add(PARTIAL + self._side, part)

    def _takeRest(self, data: bytes) -> None:
        """
        Record the rest of a message that was too long.
        """
        recording, cutter = self._recording, self._cutter
        if self._hasFailed or not recording.dialect.isText:
            # The end of the message cannot be found.
            recording.add(PARTIAL + self._side, data)
            return
        try:
            whole = cutter.feed(data)
            rest, *messages = recording.dialect.split(whole) if whole else (cutter.rest(),)
        except Exception:
            self._dialectFailed(data)
            return
        recording.add(PARTIAL + self._side, rest)
        if whole:
            self._isBroken = False
        if messages:
            recording.add(self._side, b"".join(messages))

    def _dialectFailed(self, data: bytes) -> None:
        """
        Record everything in this direction as parts. The dialect can belong to the application,
        and the connection does not depend on it.
        """
        self._recording.dialectFailed()
        self._hasFailed = self._isBroken = True
        self._recording.add(PARTIAL + self._side, data)

    def end(self) -> None:
        """
        Record an incomplete message as a part.
        """
        rest = b"" if self._hasFailed else self._cutter.rest()
        if rest:
            self._recording.add(PARTIAL + self._side, rest)


class Recording:
    """
    The recording of one connection: an observer of its tap.

    @ivar number: the number of the session in the run, from 1.
    @ivar began: when the recording began (seconds).
    @ivar tap: the tap of the connection.
    @ivar dialect: the dialect.
    @ivar left: the number of bytes until the limit.
    @ivar gaps: the number of bytes that are missing since the last event, by reason.
    @ivar received: records data from the peer.
    @ivar written: records data to the peer.
    """

    __slots__ = (
        "_directions",
        "_recorder",
        "began",
        "dialect",
        "gaps",
        "left",
        "number",
        "received",
        "tap",
        "written",
    )

    received: Callable[[bytes], object]
    written: Callable[[bytes], object]

    def __init__(self, recorder: Recorder, number: int, began: float, limit: int) -> None:
        """
        @param limit: the maximum number of bytes.
        """
        self.number = number
        self.began = began
        self.tap: Tap | None = None
        self.dialect = recorder.dialect
        self._recorder = recorder
        self.left = limit
        self._directions = tuple(
            _Direction(recorder, self, side, recorder.dialect.cutter()) for side in recorder.sides
        )
        # Attributes instead of methods, because they are called for each message.
        self.received, self.written = (direction.take for direction in self._directions)
        self.gaps: dict[str, int] = {}

    def add(self, kind: str, data: bytes) -> None:
        """
        Add messages, or part of a message, and enforce the limits.

        @param kind: see L{Event}.
        """
        recorder = self._recorder
        # Part of a secret cannot be recognized.
        why = _HIDDEN if kind not in SIDES and recorder.hidden else _DISK
        if why is _HIDDEN or recorder.isFull():
            if not self.gaps:
                recorder.gapBegins(why)
            self.gaps[why] = self.gaps.get(why, 0) + len(data)
            return
        isOpen = self.tap is not None
        if self.gaps:
            self._addGaps()
            if isOpen and self.tap is None:
                # The gap has reached the limit.
                return
        self.left -= len(data)
        recorder.add(self, kind, data)
        if self.left < 0 and self.tap is not None:
            recorder.log.warn(
                "recording of session {number} stopped: its limit is reached", number=self.number
            )
            self.finish("limit")

    def _addGaps(self) -> None:
        gaps, self.gaps = self.gaps, {}
        for why, length in gaps.items():
            self._recorder.add(self, "gap", why.encode(), length)

    def dialectFailed(self) -> None:
        """
        Log the first exception that the dialect has raised.
        """
        self._recorder.dialectFailed()

    def ended(self, byPeer: bool, isLost: bool) -> None:
        self.finish("lost" if isLost else self._recorder.sides[not byPeer])

    def finish(self, how: str) -> None:
        """
        Record the incomplete messages and the end, and stop observing the connection.

        @param how: the end, see L{openfl_twisted.sessions._session.ENDS}.
        """
        if self.tap is None:
            return
        self.drop()
        directions, self._directions = self._directions, ()
        for direction in directions:
            direction.end()
        if self.gaps:
            self._addGaps()
        self._recorder.add(self, "end", how.encode())

    def drop(self) -> None:
        """
        Stop observing the connection.
        """
        tap, self.tap = self.tap, None
        # Break the reference cycle, so that the memory is freed immediately.
        self.received = self.written = _ignore
        if tap is not None:
            tap.detach(self)
            self._recorder.ended(self)


def _ignore(data: bytes) -> None:
    """
    Do nothing with data after the end of a recording.
    """


# The reasons of gaps.
_DISK = "disk"
_HIDDEN = "hidden"
