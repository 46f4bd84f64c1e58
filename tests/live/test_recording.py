"""
Recording servers as processes.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.sessions import Session, _writer
from openfl_twisted.sessions._recorder import Recorder
from openfl_twisted.sessions._recording import RecordingFactory
from openfl_twisted.wire.dialects import DIALECTS
from tests.live import live
from tests.live.peers import HOST, Buffered, dial, portOf, serving, stop, twistd, until

ANY_PORT = f"--listen=tcp:0:interface={HOST}"


def sessionsIn(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.session"))


def messagesOf(path: Path) -> list[tuple[str, bytes]]:
    return [(message.side, message.data) for message in Session.load(path).messages]


async def talk(port: int, *messages: bytes) -> Buffered:
    """
    Send messages to an echo server, and wait for each answer.
    """
    client = await dial(port)
    for message in messages:
        client.send(message)
        await client.until(message)
    return client


@live
async def test_twistd(tmp_path: Path) -> None:
    """
    A server records until SIGTERM, warns of it, and exits without a traceback.
    """
    tapes = tmp_path / "tapes"
    server = twistd(
        "openfl-xml", "--echo", ANY_PORT, f"--record={tapes}", "--record-hide=p=<p>(.*?)</p>"
    )
    port = await portOf(server)
    await (await talk(port, b"<a/>\0", b"<p>secret</p>\0")).close()
    staying = await talk(port, b"<b/>\0")
    printed = await stop(server)
    await staying.untilLost()
    assert f"recording everything that clients and server say into {tapes}" in printed
    first, second = sessionsIn(tapes)
    hidden = b"<p>{p}</p>\0"
    assert messagesOf(first) == [
        ("client", b"<a/>\0"),
        ("server", b"<a/>\0"),
        ("client", hidden),
        ("server", hidden),
    ]
    assert b"secret" not in first.read_bytes()
    assert messagesOf(second) == [("client", b"<b/>\0"), ("server", b"<b/>\0")]
    ends = [session.end for session in map(Session.load, (first, second))]
    assert [end and end.how for end in ends] == ["client", "server"]


@live
async def test_kill(tmp_path: Path) -> None:
    """
    After SIGKILL, everything that was written before can be read.
    """
    server = twistd("openfl-xml", "--echo", ANY_PORT, f"--record={tmp_path}")
    port = await portOf(server)
    long = b"x" * 300_000 + b"\0"
    client = await talk(port, b"<a/>\0", long)
    await until(lambda: sessionsIn(tmp_path))
    [path] = sessionsIn(tmp_path)
    await until(lambda: path.read_bytes().count(b"\n") >= 5)
    client.send(long * 20)
    server.transport.signalProcess("KILL")
    assert await server.ended == -signal.SIGKILL
    await client.untilLost()
    session = Session.load(path)
    assert [message.data for message in session.messages][:4] == [b"<a/>\0", b"<a/>\0", long, long]
    assert session.end is None
    assert session.warnings


@pytest.mark.parametrize("kind", ["readable", "file", "inFile"])
def test_refusedFolder(kind: str, tmp_path: Path) -> None:
    """
    A folder that cannot be used ends the server with one line, without a traceback.
    """

    @live
    async def check() -> None:
        folder = tmp_path / "tapes"
        wanted = {
            "readable": f"--record={folder}: others may read this folder: chmod 700 {folder}",
            "file": f"--record={folder}: must be a folder",
            "inFile": f"--record={folder}/x: Not a directory",
        }[kind]
        if kind == "readable":
            folder.mkdir()
            folder.chmod(0o755)
        else:
            folder.write_text("")
        given = folder / "x" if kind == "inFile" else folder
        server = twistd("openfl-xml", "--echo", ANY_PORT, f"--record={given}")
        assert await server.ended == 1
        printed = server.printed.decode()
        assert wanted in printed, printed
        assert "Traceback" not in printed

    return check()  # type: ignore[return-value]


@live
async def test_workers(tmp_path: Path) -> None:
    """
    Each worker records into a folder of its own.
    """
    tapes = tmp_path / "tapes"
    server = twistd("openfl-xml", "--echo", ANY_PORT, f"--record={tapes}", "--workers=2")
    port = await portOf(server)
    clients = [await talk(port, b"<a/>\0") for _ in range(20)]
    await stop(server)
    for client in clients:
        await client.untilLost()
    names = sorted(path.name.rpartition("-")[2] for path in tapes.iterdir())
    assert names == ["worker1", "worker2"]
    sessions = sessionsIn(tapes)
    assert len(sessions) == 20
    for path in sessions:
        assert messagesOf(path) == [("client", b"<a/>\0"), ("server", b"<a/>\0")]


@live
async def test_manyConnections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    More connections than open files are recorded at the same time.
    """
    # The least maximum is 64 files.
    monkeypatch.setattr(_writer, "_allowedFiles", lambda: 0)
    recorder = Recorder(tmp_path, "xml", DIALECTS["xml"])
    recorder.start()
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    async with serving(RecordingFactory(XMLSocketFactory(EchoProtocol), recorder)) as (port, _):
        clients = [await talk(port, b"<a/>\0") for _ in range(200)]
        if before:
            assert len(os.listdir("/proc/self/fd")) <= before + 64 + 2 * 200 + 10
        for client in clients:
            client.send(b"<b/>\0")
        for client in clients:
            await client.until(b"<b/>\0")
            await client.close()
    await recorder.stop()
    sessions = sessionsIn(tmp_path)
    assert len(sessions) == 200
    for path in sessions:
        assert len(messagesOf(path)) == 4


@live
async def test_fullDisk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A server continues after an error of the disk, and can be stopped.
    """
    if not os.path.exists("/dev/full"):
        pytest.skip("requires /dev/full")
    recorder = Recorder(tmp_path, "xml", DIALECTS["xml"])
    open_: Callable[..., Any] = os.open

    def openFull(path: Any, flags: int, *arguments: Any) -> int:
        if str(path).endswith(".session"):
            path, flags = "/dev/full", os.O_WRONLY
        opened: int = open_(path, flags, *arguments)
        return opened

    monkeypatch.setattr(os, "open", openFull)
    recorder.start()
    async with serving(RecordingFactory(XMLSocketFactory(EchoProtocol), recorder)) as (port, _):
        client = await talk(port, b"x" * 300_000 + b"\0")
        await until(lambda: recorder._writer is not None and recorder._writer.problem)
        client.send(b"y" * 300_000 + b"\0")
        await client.until(b"y\0")
        await until(lambda: recorder.isStopped)
        client.send(b"<c/>\0")
        await client.until(b"<c/>\0")
        await client.close()
    await recorder.stop()
    assert recorder.isStopped
