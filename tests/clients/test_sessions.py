"""
Tests that record sessions of real clients, and serve the recordings to the same clients.
"""

import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.endpoints import TCP4ServerEndpoint

from openfl_twisted.endpoints import openflEndpoint
from openfl_twisted.protocols import OnePortFactory
from openfl_twisted.protocols.binarysocket import BinarySocketFactory
from openfl_twisted.sessions import PlayerFactory, Recorder, RecordingFactory, Session
from openfl_twisted.wire.dialects import DIALECTS
from tests.clients.conftest import Web
from tests.clients.inbrowser import ENDIANS, GREETING, NUMBERS, inBoth, inBrowser
from tests.clients.programs import ANY_PORT, Native, Numbers, command, lines
from tests.live import live
from tests.live.peers import HOST, portOf, run, serving, stop, theReactor, twistd, until

pytestmark = pytest.mark.slow

MESSAGES = ["<a/>", "", "gr\u00fc\u00dfe \u4e2d \U0001f600", "<b/>"]
LONG = 200_000

Client = Callable[[str], Awaitable[Any]]


def files(folder: Path) -> list[Path]:
    """
    Return the session files of a run, whose folder is in a folder.
    """
    return sorted(folder.glob("*/*.session"))


def load(folder: Path) -> list[Session]:
    """
    Load the sessions of a run, whose folder is in a folder.
    """
    sessions = [Session.load(path) for path in files(folder)]
    assert [session.warnings for session in sessions] == [[] for _ in sessions]
    return sessions


@asynccontextmanager
async def playing(sessions: list[Session]) -> AsyncIterator[tuple[str, PlayerFactory]]:
    """
    Context manager that serves sessions for all client types, as C{openfl-session serve} does.

    @return: the port and the factory.
    """
    factory = PlayerFactory(sessions)
    endpoint = openflEndpoint(TCP4ServerEndpoint(theReactor(), 0, interface=HOST))
    port: Any = await endpoint.listen(factory)
    try:
        yield str(port.getHost().port), factory
    finally:
        await port.stopListening()


async def verify(factory: PlayerFactory) -> None:
    """
    Wait until the connection of a client has ended, and check that it has played its session.
    """
    await until(lambda: factory.results)
    factory.verify()
    [played] = factory.results
    assert played.done == played.total


async def replayed(folder: Path, client: Client, *server: str) -> tuple[Any, list[Session]]:
    """
    Record a session of a client, and serve the recording to the same client. Check that the
    client gets the same result, and that it sends the recorded messages.

    @param folder: the folder of the recordings.
    @param client: runs the client for a port until its connection has ended.
    @param server: the recorded command.
    @return: the client's result, and the sessions.
    """
    async with command(*server, f"--record={folder}") as port:
        result = await client(port)
        # The recorder writes the end within its batch timeout.
        await until(lambda: b'"end"' in b"".join(path.read_bytes() for path in files(folder)))
    sessions = load(folder)
    async with playing(sessions) as (port, factory):
        assert await client(port) == result
        await verify(factory)
    return result, sessions


def endOf(session: Session) -> str:
    """
    Return how a session has ended.
    """
    assert session.end is not None
    return session.end.how


@inBoth
@inBrowser
async def test_echo(web: Web, tmp_path: Path, player: str) -> None:
    """
    A page receives the recorded messages as the same events, and closes the connection: an empty
    message, one with non-ASCII characters, and one that the browser splits.
    """

    async def client(port: str) -> list[list[Any]]:
        async with web(player, "XMLClient", port, message=MESSAGES, long=LONG) as page:
            return list(await page.until("data", "x" * LONG))

    reports, [session] = await replayed(tmp_path / "tapes", client, "openfl-xml", "--echo")
    assert reports == [["connect", True], *(["data", text] for text in [*MESSAGES, "x" * LONG])]
    assert (session.header.kind, len(session.messages)) == ("websocket", 10)
    assert endOf(session) in ("client", "lost")


@inBoth
@inBrowser
async def test_numbers(web: Web, tmp_path: Path, player: str) -> None:
    """
    A C{Socket} of a page receives the recorded greeting and numbers, and closes the connection.
    """
    for endian in ENDIANS:

        async def client(port: str) -> list[list[Any]]:
            values = {"endian": endian, "greeting": GREETING}  # noqa: B023 - called immediately
            async with web(player, "NumbersClient", port, **values) as page:
                return list(await page.until("numbers", *NUMBERS))

        reports, [session] = await replayed(tmp_path / endian, client, "openfl-echo")
        assert reports[:2] == [["greeting", GREETING], ["numbers", *NUMBERS]]
        assert endOf(session) == "client"


@inBoth
@inBrowser
async def test_serverCloses(web: Web, tmp_path: Path, player: str) -> None:
    """
    A page receives the recorded messages, and then the event of a connection that the server
    closes.
    """

    async def client(port: str) -> list[list[Any]]:
        async with web(player, "XMLClient", port, message=["abc", "EXIT"]) as page:
            return list(await page.until("close"))

    reports, [session] = await replayed(
        tmp_path / "tapes", client, "openfl-echo", "--style=simple-server", "--framing=nul"
    )
    assert reports[-1] == ["close"]
    assert len(reports) > 2
    assert endOf(session) == "server"


@inBoth
@inBrowser
async def test_limit(web: Web, tmp_path: Path, player: str) -> None:
    """
    A page sends a message that is too long, and gets the event of a closed connection also from
    the recording.
    """

    async def client(port: str) -> list[list[Any]]:
        async with web(player, "XMLClient", port, message=["<a/>"], long=LONG) as page:
            return list(await page.until("close"))

    reports, [session] = await replayed(
        tmp_path / "tapes", client, "openfl-xml", "--echo", "--max-message=1K"
    )
    assert reports == [["connect", True], ["data", "<a/>"], ["close"]]
    assert endOf(session) == "server"


@inBrowser
async def test_everyClient(native: Native, web: Web, tmp_path: Path) -> None:
    """
    A native program, OpenFL HTML5 and Ruffle exchange messages while they are recorded, until the
    server stops. Each of them gets the same messages from its recording.
    """
    ask = {"ask": "<native/>"}
    program = native("XMLClient")
    html5 = partial(web, "html5", "XMLClient", reply="<html5/>", **ask)
    ruffle = partial(web, "ruffle", "XMLClient", message="<here/>", reply="<ruffle/>", **ask)
    server = twistd("openfl-xml", ANY_PORT, f"--record={tmp_path / 'tapes'}")
    port = str(await portOf(server))
    async with html5(port) as one:
        await one.until("connect", True)
        async with ruffle(port) as two:
            await one.until("data", "<here/>")
            printed = await lines(run(*program, HOST, port, "2", "", "<native/>"))
            await one.until("data", "<ruffle/>")
            await two.until("data", "<html5/>")
            await stop(server)
            reports = [await page.until("close") for page in (one, two)]
    sessions = load(tmp_path / "tapes")
    assert [endOf(session) for session in sessions] == ["server", "server", "client"]
    for session, page, expected in zip(sessions, (html5, ruffle), reports, strict=False):
        async with playing([session]) as (port, factory), page(port) as shown:
            assert await shown.until("close") == expected
            await verify(factory)
    async with playing(sessions[2:]) as (port, factory):
        assert await lines(run(*program, HOST, port, "2", "", "<native/>")) == printed
        await verify(factory)


@live
async def test_native(native: Native, tmp_path: Path) -> None:
    """
    An C{XMLSocket} of a native program receives the recorded messages, and closes the connection.
    """
    sent = [*MESSAGES, "<c/>" * 20_000]

    async def client(port: str) -> list[str]:
        return await lines(run(*native("XMLClient"), HOST, port, str(len(sent)), "", *sent))

    printed, [session] = await replayed(tmp_path / "tapes", client, "openfl-xml", "--echo")
    assert len(printed) == 1 + len(sent)
    assert (session.header.kind, endOf(session)) == ("plain", "client")


@live
async def test_nativeServerCloses(native: Native, tmp_path: Path) -> None:
    """
    An C{XMLSocket} of a native program receives all messages from the recording of a connection
    that the server has closed.
    """

    async def client(port: str) -> list[str]:
        return await lines(run(*native("XMLClient"), HOST, port, "3", "", "abc", "EXIT"))

    server = ("openfl-echo", "--style=simple-server", "--framing=nul")
    printed, [session] = await replayed(tmp_path / "tapes", client, *server)
    assert printed[-1] == 'data "Echo: EXIT\0"'
    assert endOf(session) == "server"


@live
async def test_nativeSocket(native: Native, tmp_path: Path) -> None:
    """
    A C{Socket} of a native program receives the recorded bytes: text with and without a greeting
    that it waits for, and numbers in both byte orders.
    """
    clients = [("SocketClient", "Echo -- abc", each, "abc") for each in ("", "Connected.")]
    for number, arguments in enumerate(clients):

        async def client(port: str) -> list[str]:
            name, *rest = arguments  # noqa: B023 - called immediately
            return await lines(run(*native(name), HOST, port, *rest))

        folder = tmp_path / str(number)
        printed, [session] = await replayed(folder, client, "openfl-echo")
        assert printed == ['"Connected.Echo -- abc"']
        assert endOf(session) == "client"


@live
async def test_nativeNumbers(native: Native, tmp_path: Path) -> None:
    """
    A C{Socket} of a native program receives the recorded numbers, in both byte orders.
    """
    for endian in ENDIANS:
        factory = BinarySocketFactory(Numbers)
        factory.endian = endian  # type: ignore[attr-defined]
        recorder = Recorder(tmp_path / endian, "raw", DIALECTS["raw"])
        recorder.start()
        program = native("NumbersClient")
        async with serving(OnePortFactory(RecordingFactory(factory, recorder))) as (port, _):
            printed = await lines(run(*program, HOST, str(port), endian))
        await recorder.stop()
        [session] = load(tmp_path / endian)
        assert endOf(session) == "client"
        async with playing([session]) as (port, player):
            assert await lines(run(*program, HOST, port, endian)) == printed
            await verify(player)


@inBrowser
async def test_command(native: Native, web: Web, tmp_path: Path) -> None:
    """
    C{openfl-session serve} plays the sessions of a run for OpenFL HTML5 and a native program,
    which connect in another order.
    """
    folder = tmp_path / "tapes"
    program = native("XMLClient")

    async def visit(port: str) -> list[list[Any]]:
        async with web("html5", "XMLClient", port, message=["<html5/>", "<a/>"]) as page:
            return list(await page.until("data", "<a/>"))

    async with command("openfl-xml", "--echo", f"--record={folder}") as port:
        printed = await lines(run(*program, HOST, port, "1", "", "<native/>"))
        reports = await visit(port)
    [path] = folder.iterdir()
    session = str(Path(sys.executable).parent / "openfl-session")
    player = run(session, "serve", str(path), f"--listen=tcp:0:interface={HOST}")
    started = await player.until(b", listening on ")
    found = re.search(r"playing 2 sessions, listening on 127\.0\.0\.1:(\d+)", started)
    assert found is not None, started
    assert await visit(found[1]) == reports
    await player.until(b"played 000002: 4 of 4 messages")
    assert await lines(run(*program, HOST, found[1], "1", "", "<native/>")) == printed
    await player.until(b"played 000001: 2 of 2 messages")
    player.transport.signalProcess("INT")
    await player.ended
