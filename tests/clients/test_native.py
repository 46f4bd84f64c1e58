"""
Tests with native OpenFL programs as clients: OpenFL's sources, compiled by Haxe to neko,
one of OpenFL's targets.
"""

import json
import sys

import pytest

from openfl_twisted.events import ProgressEvent, ServerSocketConnectEvent
from openfl_twisted.net import ServerSocket
from openfl_twisted.protocols.binarysocket import BinarySocketFactory
from tests.clients.conftest import EXAMPLES
from tests.clients.programs import ANY_PORT, Native, Numbers, command, lines, messages
from tests.live import live
from tests.live.peers import HOST, pause, portOf, run, serving, stop, twistd
from tests.support.watched import ask, siteOf

pytestmark = pytest.mark.slow


@live
async def test_relay(native: Native) -> None:
    """
    Two programs exchange messages through C{openfl-xml}.
    """
    program = native("XMLClient")
    server = twistd("openfl-xml", "--greeting-delay=0.1", "--metrics=tcp:0", ANY_PORT)
    port, metrics = str(await portOf(server)), await siteOf(server, "metrics")
    one = run(*program, HOST, port, "1", "<welcome/>")
    await one.until(b"connect true")
    # The client has sent nothing, so it is accepted after the grace time.
    while (
        b'\nopenfl_clients{type="plain"} 1.0\n'
        not in await (await ask(metrics, "/metrics")).untilLost()
    ):
        await pause(0.02)
    two = run(*program, HOST, port, "1", "", "<hello from='two'/>")
    assert await messages(one) == ["<hello from='two'/>\0"]
    assert await messages(two) == ["<welcome/>\0"]
    await stop(server)


@live
async def test_echo(native: Native) -> None:
    """
    Every message is echoed in order, including an empty one and one with non-ASCII
    characters.
    """
    program = native("XMLClient")
    sent = ["<a/>", "", "gr\u00fc\u00dfe \u4e2d \U0001f600", "<b/>" * 20_000, "last"]
    async with command("openfl-xml", "--echo") as port:
        client = run(*program, HOST, port, str(len(sent)), "", *sent)
        assert await messages(client) == [message + "\0" for message in sent]


@live
async def test_serverSocketExample(native: Native) -> None:
    """
    A C{Socket} communicates with the guide's example, with and without waiting for the
    greeting.
    """
    program = native("SocketClient")
    async with command("openfl-echo") as port:
        for greeting in ["", "Connected."]:
            client = run(*program, HOST, port, "Echo -- abc", greeting, "abc")
            assert await lines(client) == ['"Connected.Echo -- abc"']


@live
async def test_simpleServer(native: Native) -> None:
    """
    A C{Socket} sends lines to the guide's other server. An C{XMLSocket} sends messages
    terminated by a newline, too, as the guide requires.
    """
    greeting = "Enter EXIT to exit.\r\n"
    async with command("openfl-echo", "--style=simple-server") as port:
        client = run(*native("SocketClient"), HOST, port, "Echo: EXIT\r\n", greeting, "abc\nEXIT\n")
        [line] = await lines(client)
        assert json.loads(line) == greeting + "Echo: abc\r\nEcho: EXIT\r\n"
        client = run(*native("XMLClient"), HOST, port, "2", "", "abc\n", "def\n")
        assert await messages(client) == [greeting + "Echo: abc\r\n\0", "Echo: def\r\n\0"]


@live
async def test_echoOfXMLSocket(native: Native) -> None:
    """
    With NUL framing, an C{XMLSocket} receives the greeting and each answer as a separate
    message.
    """
    async with command("openfl-echo", "--framing=nul") as port:
        client = run(*native("XMLClient"), HOST, port, "3", "", "<a/>", "<b/>")
        assert await messages(client) == ["Connected.\0", "Echo -- <a/>\0", "Echo -- <b/>\0"]


@live
async def test_serverSocket(native: Native) -> None:
    """
    The guide's ServerSocketExample, ported to our C{ServerSocket}, serves a C{Socket}.
    """
    example = EXAMPLES / "serversocketexample.py"
    server = run(sys.executable, str(example), "0")
    port = str(await portOf(server))
    client = run(*native("SocketClient"), HOST, port, "Echo -- abc", "Connected.", "abc")
    assert await lines(client) == ['"Connected.Echo -- abc"']
    server.transport.signalProcess("TERM")
    await server.ended


@live
async def test_json(native: Native) -> None:
    """
    The client of the guide to handlers sends a move in JSON, and receives it from the server of
    the guide.
    """
    server = twistd("openfl-xml", "--app=squares:Player", ANY_PORT, path=str(EXAMPLES))
    client = run(*native("SquaresMain"), HOST, str(await portOf(server)))
    printed = await client.until(b"a player has moved to 3, 4")
    # Haxe's trace prints the file.
    assert printed.startswith("SquaresClient.hx")
    client.transport.signalProcess("KILL")
    await client.ended
    await stop(server)


@live
async def test_sockets(native: Native) -> None:
    """
    Our C{ServerSocket} receives every message of an C{XMLSocket}, and a relay of our
    C{XMLSocket}s sends messages to it.
    """
    server = ServerSocket()
    server.bind(0, HOST)
    server.listen()
    received = bytearray()

    def onConnect(event: ServerSocketConnectEvent) -> None:
        def onData(_: object) -> None:
            socket = event.socket
            socket.readBytes(received, len(received))
            # Close only once: a native client fails if it closes with unread data.
            if received.endswith(b"<last/>\0"):
                socket.writeUTFBytes("<reply/>")
                socket.writeByte(0)

        event.socket.addEventListener(ProgressEvent.SOCKET_DATA, onData)

    server.addEventListener(ServerSocketConnectEvent.CONNECT, onConnect)
    client = run(
        *native("XMLClient"), HOST, str(server.localPort), "1", "", "gr\u00fc\u00dfe", "<last/>"
    )
    assert await messages(client) == ["<reply/>\0"]
    assert received == "gr\u00fc\u00dfe\0<last/>\0".encode()
    await server.close()


@live
async def test_numbers(native: Native) -> None:
    """
    Numbers and strings are encoded identically by OpenFL and L{BinarySocketProtocol}, in
    both byte orders.
    """
    for endian in ["bigEndian", "littleEndian"]:
        factory = BinarySocketFactory(Numbers)
        factory.endian = endian  # type: ignore[attr-defined]
        async with serving(factory) as (port, _):
            client = run(*native("NumbersClient"), HOST, str(port), endian)
            assert await lines(client) == ["true -2 -30562 -2076553554 0.5 8090.76 \u00e9!"]
