"""
Tests with the Java server of OpenFL's guide: our clients connect to it, and our
compatible server behaves the same.
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from openfl_twisted.events import DataEvent, Event, ProgressEvent
from openfl_twisted.net import Socket, XMLSocket
from tests.live import live
from tests.live.peers import HOST, Process, dial, portOf, run, twistd

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).parent / "java" / "SimpleServer.java"
GREETINGS = "Enter EXIT to exit.\r\n" * 2
Java = Callable[[], Process]


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Java:
    """
    Compile the server.

    @return: a function that starts it.
    """
    javac = shutil.which("javac")
    if javac is None:
        pytest.skip("javac is not installed")
    compiled = tmp_path_factory.mktemp("java")
    subprocess.run([javac, "-d", compiled, SOURCE], check=True, capture_output=True)
    program = str(Path(javac).parent / "java")
    return lambda: run(program, "-cp", str(compiled), "SimpleServer", "0")


@live
async def test_socket(java: Java) -> None:
    """
    A C{Socket} sends a line, and receives the answer and EOF.
    """
    server = java()
    client = Socket(HOST, await portOf(server))
    received: list[str] = []

    def onData(event: Event) -> None:
        received.append(client.readUTFBytes(client.bytesAvailable))
        if "".join(received) == GREETINGS:
            client.writeUTFBytes("grüße\n")

    client.addEventListener(ProgressEvent.SOCKET_DATA, onData)
    await client.whenConnected()
    await client.whenClosed()
    assert "".join(received) == GREETINGS + "Echo: grüße\r\n"
    assert await server.ended == 0


@live
async def test_xmlSocket(java: Java) -> None:
    """
    An C{XMLSocket} must send a newline, and receives no message, since the server sends
    no NUL byte.
    """
    server = java()
    client = XMLSocket(HOST, await portOf(server))
    received: list[DataEvent] = []
    client.addEventListener(DataEvent.DATA, received.append)
    await client.whenConnected()
    client.send("hello\n")
    await client.whenClosed()
    assert received == []
    assert await server.ended == 0


@pytest.mark.parametrize(
    ("sent", "end"),
    [
        (b"hello\n", False),
        (b"EXIT\n", False),
        (b" EXIT \r\n", False),
        (b"\0EXIT\n", False),
        (b"hello\n\0", False),
        (b"no newline", True),
        (b"hello\0", True),
        (b"", True),
    ],
)
@live
async def test_faithful(java: Java, sent: bytes, end: bool) -> None:
    """
    Our compatible server sends the same bytes to every client.
    """
    options = ["--style=simple-server", "--faithful", f"--listen=tcp:0:interface={HOST}"]
    answers = []
    for server in (java(), twistd("openfl-echo", *options)):
        client = await dial(await portOf(server))
        await client.until(GREETINGS.encode())
        client.send(sent)
        if end:
            assert client.transport is not None
            client.transport.loseWriteConnection()  # type: ignore[attr-defined]
        answers.append(await client.untilLost())
        await server.ended
    assert answers[0] == answers[1]
