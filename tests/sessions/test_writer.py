"""
Tests for L{openfl_twisted.sessions._writer}, and for recordings on a disk that is slow, full or
gone.
"""

import errno
import os
from itertools import count
from pathlib import Path
from stat import S_IMODE
from threading import Event as Signal
from time import sleep
from typing import Any

from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.sessions import _recorder, _writer
from openfl_twisted.sessions._recorder import Recorder, RecorderError
from openfl_twisted.sessions._session import Header, Session, headerLine
from openfl_twisted.sessions._writer import Event, SessionWriter, WriterThread
from openfl_twisted.testing import Peer
from openfl_twisted.wire.dialects import DIALECTS
from tests.sessions.recordings import (
    Answering,
    DirectThread,
    RecordingCase,
    WebSocketPeer,
    dataOf,
    endOf,
    pairs,
    told,
)

HEADER = headerLine(Header(dialect="xml"))
XML = DIALECTS["xml"]


class SlowDiskTests(RecordingCase):
    """
    Tests with a disk that accepts nothing for a while.
    """

    def stick(self, isStuck: bool) -> DirectThread:
        """
        Set whether the disk accepts nothing.
        """
        thread = self.recorder._writer
        assert isinstance(thread, DirectThread)
        thread.isStuck = isStuck
        thread.work()
        return thread

    def test_gap(self) -> None:
        """
        While the disk accepts nothing, the server answers, and the memory is bounded. Later the
        session has a gap, and continues. There is one warning.
        """
        self.record()
        client = self.connect(self.serve(XMLSocketFactory(Answering, maxLength=1 << 20)))
        client.send(b"a\0")
        self.network.flush()
        self.network.advance(1)

        def talk() -> None:
            thread = self.stick(True)
            for number in range(40):
                client.send(b"x" * 500_000 + b"%d\0" % number)
                self.network.flush()
            given = sum(length for _, length in thread._held)
            self.assertLess(given, _recorder.MAX_WAITING + 2_000_000)
            self.stick(False)
            client.send(b"b\0")
            self.network.flush()

        self.assertEqual(
            self.warnings(talk),
            [f"recording has gaps: the disk is too slow for {self.recorder.folder}"],
        )
        self.assertIn(b"x39>", client.received)
        [session] = self.finish()
        self.assertEqual(told(session)[:2], list(pairs(["a"])))
        self.assertEqual(told(session)[-2:], list(pairs(["b"])))
        [gap] = session.gaps
        self.assertEqual(gap.why, "disk")
        recorded = len(dataOf(session, "client")) + len(dataOf(session, "server"))
        sent = 2 + 2 + sum(500_000 + len(str(number)) + 1 for number in range(40))
        self.assertEqual(recorded + gap.length, sent + len(client.received))

    def test_newConnections(self) -> None:
        """
        While the disk accepts nothing, new connections are served without being recorded, so that
        they do not use memory.
        """
        self.record()
        port = self.serve()
        self.patch(_recorder, "MAX_WAITING", 5000)
        thread = self.stick(True)
        counts = []
        for _ in range(100):
            client = self.connect(port)
            client.send(b"a\0")
            self.network.flush()
            self.assertEqual(client.received, b"<a>\0")
            client.close()
            self.network.advance(1)
            counts.append(thread.waiting)
        self.assertEqual(counts[-1], counts[50])
        self.stick(False)
        client = self.connect(port)
        client.send(b"b\0")
        self.network.flush()
        sessions = self.finish()
        self.assertEqual(told(sessions[-1]), list(pairs(["b"])))

    def test_stop(self) -> None:
        """
        A recorder stops after a timeout if the disk accepts nothing.
        """
        self.record()
        client = self.connect(self.serve())
        client.send(b"a\0")
        self.network.flush()
        thread = self.stick(True)
        stopped = self.recorder.stop(3)
        self.network.advance(2)
        self.assertNoResult(stopped)
        self.assertEqual(
            self.warnings(lambda: self.network.advance(2)),
            [f"recording is incomplete: the disk was too slow for 3 s: {self.recorder.folder}"],
        )
        self.successResultOf(stopped)
        thread.isStuck = False
        thread.work()
        self.network.flush()
        [session] = self.sessions()
        self.assertEqual(endOf(session), "stopped")
        self.successResultOf(self.recorder.stop())

    def test_batches(self) -> None:
        """
        A batch is written after a quarter of a second, or immediately if it is large.
        """
        self.record()
        client = self.connect(self.serve(XMLSocketFactory(Answering, maxLength=1 << 20)))
        client.send(b"a\0")
        self.network.flush()
        self.assertEqual(self.paths(), [])
        self.network.advance(0.2)
        self.assertEqual(self.paths(), [])
        self.network.advance(0.1)
        self.assertEqual(told(self.sessions()[0]), list(pairs(["a"])))
        client.send(b"x" * 300_000 + b"\0")
        self.network.flush()
        self.assertIn(b"x" * 300_000, self.bytesOnDisk())


class ThreadTests(RecordingCase):
    """
    Tests with a thread.
    """

    def setUp(self) -> None:
        super().setUp()
        self.patch(_recorder, "WriterThread", WriterThread)

    def stopThread(self) -> list[str]:
        """
        Stop the recorder, and wait for the thread.

        @return: the warnings and errors.
        """
        thread: Any = self.recorder._writer
        stopped = self.recorder.stop(1e9)

        def wait() -> None:
            thread._thread.join()
            self.network.flush()

        lines = self.warnings(wait)
        self.successResultOf(stopped)
        return lines

    def talk(self, port: int, text: str) -> Peer:
        """
        Connect a client, and check that the server answers.
        """
        client: Peer = self.connect(port)
        client.send(text.encode() + b"\0")
        self.network.flush()
        self.assertEqual(client.received, f"<{text}>\0".encode())
        return client

    def test_hang(self) -> None:
        """
        A thread that hangs does not block the reactor.
        """
        self.record()
        continues = Signal()
        self.addCleanup(continues.set)
        write = SessionWriter.write

        def hang(writer: SessionWriter, events: Any) -> None:
            continues.wait()
            write(writer, events)

        self.patch(SessionWriter, "write", hang)
        port = self.serve()
        self.talk(port, "a")
        self.network.advance(1)
        self.talk(port, "b")
        continues.set()
        self.assertEqual(self.stopThread(), [])
        self.assertEqual(
            [told(each) for each in self.sessions()], [list(pairs(["a"])), list(pairs(["b"]))]
        )

    def fail(self, *arguments: Any) -> Any:
        """
        Raise the error of a full disk.
        """
        raise OSError(errno.ENOSPC, "No space left on device")

    def checkFailure(self, reason: str) -> None:
        """
        Check that there is one error, and that the server is not affected.
        """
        port = self.serve()
        client = self.talk(port, "a")
        self.network.advance(1)
        self.waitForThread()

        def goOn() -> None:
            client.send(b"b\0")
            self.network.flush()
            self.network.advance(1)
            self.talk(port, "c")
            self.network.advance(1)

        lines = self.warnings(goOn) + self.stopThread()
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith(f"recording stopped: {reason}"), lines)
        self.assertIn(str(self.recorder.folder), lines[0])
        self.assertTrue(self.recorder.isStopped)
        self.assertEqual(client.received, b"<a>\0<b>\0")
        self.assertEqual(self.recorder._open, {})

    def waitForThread(self) -> None:
        """
        Wait until the thread has taken all batches.
        """
        thread: Any = self.recorder._writer
        while thread.taken < self.recorder._given:
            sleep(0.001)

    def test_fullDisk(self) -> None:
        """
        On a full disk, recording stops with one error.
        """
        self.record()
        self.patch(SessionWriter, "_lineOf", self.fail)
        self.checkFailure("No space left on device")

    def test_dialectFails(self) -> None:
        """
        If the dialect fails in the thread, recording stops with one error.
        """
        self.record(hide={"x": "x(y)"})

        def fail(*arguments: Any) -> Any:
            raise KeyError("no")

        self.patch(SessionWriter, "_lineOf", fail)
        self.checkFailure("KeyError: 'no'")

    def test_folderVanishes(self) -> None:
        """
        If the folder vanishes, recording stops with one error.
        """
        self.record()
        assert self.recorder.folder is not None
        self.recorder.folder.rmdir()
        self.checkFailure("No such file or directory")


class FileTests(RecordingCase):
    """
    Tests of the files and folders.
    """

    def test_modes(self) -> None:
        """
        Only the user of the server can read the files.
        """
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        self.record()
        self.connect(self.serve()).send(b"a\0")
        self.network.flush()
        self.finish()
        [path] = self.paths()
        modes = [S_IMODE(each.stat().st_mode) for each in (self.folder, path.parent, path)]
        self.assertEqual([*map(oct, modes)], ["0o700", "0o700", "0o600"])

    def refused(self, folder: Path) -> str:
        """
        Return why a folder is refused.
        """
        recorder = Recorder(folder, "xml", XML, clock=self.network.reactor)
        return str(self.assertRaises(RecorderError, recorder.start))

    def test_otherReaders(self) -> None:
        """
        A folder that others can read is refused.
        """
        for mode in (0o750, 0o705, 0o701, 0o770):
            folder = Path(self.mktemp())
            folder.mkdir()
            folder.chmod(mode)
            self.assertEqual(
                self.refused(folder), f"{folder}: others may read this folder: chmod 700 {folder}"
            )
            self.assertEqual(list(folder.iterdir()), [])

    def test_otherUser(self) -> None:
        """
        A folder of another user is refused: this user could read the recordings.
        """
        self.folder.mkdir(mode=0o700)
        self.patch(os, "geteuid", lambda: self.folder.stat().st_uid + 1)
        self.assertEqual(
            self.refused(self.folder), f"{self.folder}: this folder belongs to another user"
        )

    def test_notFolder(self) -> None:
        """
        A file instead of a folder is refused.
        """
        self.folder.write_bytes(b"")
        self.assertEqual(self.refused(self.folder), f"{self.folder}: must be a folder")
        inside = self.folder / "tapes"
        self.assertEqual(self.refused(inside), f"{inside}: Not a directory")

    def test_runs(self) -> None:
        """
        Each run has a folder of its own, also within a second.
        """
        names = []
        for _ in range(3):
            recorder = self.record(suffix="-worker1")
            assert recorder.folder is not None
            names.append(recorder.folder.name)
            self.finish()
        self.assertEqual(len(set(names)), 3)
        for name in names:
            self.assertRegex(name, r"^[0-9]{8}-[0-9]{6}-worker1(-[23])?$")

    def test_symlink(self) -> None:
        """
        A session is never written through a symlink, nor to an existing file.
        """
        folder, target = Path(self.mktemp()), Path(self.mktemp())
        folder.mkdir()
        target.write_bytes(b"before")
        header = [Event(1, 0.0, 1, "header", HEADER)]
        data = [Event(1, 0.0, 2, "client", b"a\0")]
        path = folder / "000001.session"
        path.symlink_to(target.resolve())
        for events in (header, data):
            self.assertRaises(OSError, SessionWriter(folder, XML).write, events)
        path.unlink()
        path.write_bytes(b"before")
        self.assertRaises(FileExistsError, SessionWriter(folder, XML).write, header)
        self.assertEqual((target.read_bytes(), path.read_bytes()), (b"before", b"before"))

    def test_manyConnections(self) -> None:
        """
        10,000 sessions are recorded at the same time with at most 64 open files, if the system
        allows few.
        """
        self.allow(256)
        folder = Path(self.mktemp())
        folder.mkdir()
        writer = SessionWriter(folder, XML)
        count = 10_000
        opened: list[int] = []
        for begin in range(0, 2 * count, 100):
            writer.write(
                Event(number % count + 1, 0.0, number, *entry)
                for number in range(begin, begin + 100)
                for entry in (
                    [("header", HEADER), ("client", b"a\0")]
                    if number < count
                    else [("server", b"b\0"), ("end", b"client")]
                )
            )
            opened.append(len(writer._files))
        self.assertEqual(max(opened), _writer.MIN_FILES)
        self.assertEqual(opened[-1], 0)
        for number in (1, 65, 5000, count):
            session = Session.load(folder / f"{number:06}.session")
            self.assertEqual(told(session), [("client", b"a\0"), ("server", b"b\0")])
        self.assertEqual(len(list(folder.iterdir())), count)

    def allow(self, files: int) -> None:
        """
        Let the system allow a number of open files.
        """
        self.patch(_writer, "_allowedFiles", lambda: files)

    def test_openFiles(self) -> None:
        """
        The number of open session files depends on the number of files that the system allows.
        """
        for allowed, expected in ((0, 64), (1024, 128), (4096, 512), (1_000_000, 1024)):
            self.allow(allowed)
            self.assertEqual(self.mostOpened(1100), expected)

    def test_pauses(self) -> None:
        """
        The thread pauses between sessions after each half millisecond, so that the reactor gets
        Python's lock.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        writer = SessionWriter(folder, XML)
        headers = [Event(number, 0.0, number, "header", HEADER) for number in range(1, 11)]
        pauses: list[float] = []
        self.patch(_writer, "sleep", pauses.append)
        for step, expected in ((0.0, 0), (0.0003, 5), (0.001, 10)):
            pauses.clear()
            self.patch(_writer, "perf_counter", count(0.0, step).__next__)
            writer.write(headers)
            self.assertEqual(len(pauses), expected)
            writer.close()
            headers = [each._replace(kind="client", data=b"a\0") for each in headers]

    def mostOpened(self, count: int) -> int:
        """
        Write a line to each of several sessions, and return the maximum number of open files.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        writer = SessionWriter(folder, XML)
        writer.write(Event(number, 0.0, number, "header", HEADER) for number in range(1, count + 1))
        opened = len(writer._files)
        writer.close()
        return opened

    def test_close(self) -> None:
        """
        All files are closed, also if one cannot be flushed.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        writer = SessionWriter(folder, XML)
        writer.write([Event(number, 0.0, number, "header", HEADER) for number in (1, 2, 3)])
        streams = [*writer._files.values()]

        def fail() -> None:
            streams.append(writer)  # type: ignore[arg-type]
            raise OSError(errno.EIO, "Input/output error")

        class Failing:
            close = staticmethod(fail)

        writer._files[2] = Failing()  # type: ignore[assignment]
        self.assertRaises(OSError, writer.close)
        self.assertEqual([streams[0].closed, streams[2].closed], [True, True])
        streams[1].close()

    def test_names(self) -> None:
        """
        Data of the peer is neither in file names nor in log lines.
        """
        self.record(sessionLimit=100)
        port = self.serve()

        def talk() -> None:
            client = WebSocketPeer(path="/../../secret%0a")
            self.connect(port, client)
            self.network.flush()
            client.say(b"../secret\0" * 20)
            self.network.flush()
            self.finish()

        lines = "".join(self.warnings(talk))
        self.assertIn("its limit is reached", lines)
        self.assertNotIn("secret", lines)
        self.assertEqual([path.name for path in self.paths()], ["000001.session"])

    def test_addresses(self) -> None:
        """
        The addresses of the clients are only recorded if they are wanted.
        """
        for wanted in (False, True):
            self.record(recordAddresses=wanted)
            self.connect(self.serve()).send(b"a\0")
            self.network.flush()
            [session] = self.finish()
            self.assertEqual(session.header.peer.startswith("127.0.0.1:"), wanted)
            self.assertEqual(b"127.0.0.1" in self.bytesOnDisk(), wanted)

    def test_cutLine(self) -> None:
        """
        If the last line is incomplete, everything before it is read.
        """
        self.record()
        client = self.connect(self.serve())
        client.send(b"a\0b\0")
        self.network.flush()
        self.network.advance(1)
        [path] = self.paths()
        whole = path.read_bytes()
        begin = whole.rindex(b"\n", 0, -1) + 1
        for at in range(begin + 1, len(whole) - 1):
            path.write_bytes(whole[:at])
            session = Session.load(path)
            self.assertEqual(
                told(session), [("client", b"a\0"), ("client", b"b\0"), ("server", b"<a>\0")]
            )
            self.assertIn("the last line is incomplete", session.warnings[0])
        path.write_bytes(whole)
        self.finish()
