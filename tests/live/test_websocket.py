"""
WebSockets on real sockets, with the client of the C{websockets} library.

The asyncio client runs in a thread: the library's threading client reads and writes one
TLS connection in two threads, and sometimes hangs.
"""

import asyncio
import ssl
from typing import Any

import trustme
from OpenSSL.SSL import TLS_METHOD, Context
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from tests.live import live
from tests.live.peers import HOST, dial, serving
from tests.support.tls import Contexts

MESSAGES = [b"one\0", b"x" * 300_000 + b"\0", b"last\0"]


def echoes(url: str, **options: Any) -> list[bytes | str]:
    """
    Send messages in one frame each, and return the received messages. Blocks.
    """

    async def exchange() -> list[bytes | str]:
        async with connect(url, open_timeout=None, **options) as client:
            await client.send(b"".join(MESSAGES))
            await client.ping()
            received = [await client.recv() for _ in MESSAGES]
            await client.send(["fragment", "s\0"])
            received.append(await client.recv())
        return received

    return asyncio.run(exchange())


@live
async def test_echo() -> None:
    """
    Each message is echoed as one message, also with compression, and the connection is
    closed gracefully.
    """
    for compress in (False, True):
        factory = WebSocketFactory(
            XMLSocketFactory(EchoProtocol, maxLength=1_000_000), compress=compress
        )
        async with serving(factory) as (port, guard):
            received = await deferToThread(echoes, f"ws://{HOST}:{port}/")
            assert received == [*MESSAGES, "fragments\0"]
            await guard.closeAll(5)


@live
async def test_tls() -> None:
    """
    Messages are also echoed with TLS.
    """
    authority = trustme.CA()
    context = Context(TLS_METHOD)
    authority.issue_cert("localhost").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    factory = WebSocketFactory(XMLSocketFactory(EchoProtocol, maxLength=1_000_000))
    secure = TLSMemoryBIOFactory(Contexts(context), False, factory)
    async with serving(secure) as (port, _):
        url = f"wss://{HOST}:{port}/"
        received = await deferToThread(echoes, url, ssl=trusting, server_hostname="localhost")
        assert received == [*MESSAGES, "fragments\0"]


def untilClosed(url: str, send: bytes) -> tuple[type[ConnectionClosed], int | None]:
    """
    Send a message, and return the close code and reason of the server. Blocks.
    """

    async def exchange() -> tuple[type[ConnectionClosed], int | None]:
        async with connect(url, open_timeout=None) as client:
            await client.send(send)
            try:
                while True:
                    await client.recv()
            except ConnectionClosed as closed:
                received = closed.rcvd
                return type(closed), None if received is None else received.code

    return asyncio.run(exchange())


@live
async def test_ends() -> None:
    """
    The client receives the reason: the server shuts down, or a message is too long.
    """

    class Ending(EchoProtocol):
        def messageReceived(self, text: str) -> None:
            super().messageReceived(text)
            self.transport.loseConnection()

    async with serving(WebSocketFactory(XMLSocketFactory(Ending, maxLength=100))) as (port, _):
        url = f"ws://{HOST}:{port}/"
        assert await deferToThread(untilClosed, url, b"a\0") == (ConnectionClosedOK, 1000)
        _, code = await deferToThread(untilClosed, url, b"x" * 101)
        assert code == 1009


@live
async def test_noWebSocket() -> None:
    """
    A web browser receives a description of the port.
    """
    async with serving(WebSocketFactory(XMLSocketFactory(EchoProtocol))) as (port, _):
        client = await dial(port)
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await client.untilLost()).startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
