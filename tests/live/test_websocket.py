"""
WebSockets on real sockets, with the client of the C{websockets} library.
"""

import ssl
from typing import Any

import trustme
from OpenSSL.SSL import TLS_METHOD, Context
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOFactory
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.sync.client import connect

from openfl_twisted.protocols.relay import EchoProtocol
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from tests.live import live
from tests.live.peers import HOST, dial, serving
from tests.protocols.test_tls import Contexts

MESSAGES = [b"one\0", b"x" * 300_000 + b"\0", b"last\0"]


def echoes(url: str, **options: Any) -> list[bytes | str]:
    """
    Send messages, all at once, and get what comes back; this blocks.
    """
    with connect(url, open_timeout=None, **options) as client:
        client.send(b"".join(MESSAGES))
        client.ping()
        received = [client.recv() for _ in MESSAGES]
        client.send(["fragment", "s\0"])
        received.append(client.recv())
    return received


@live
async def test_echo() -> None:
    """
    Each message comes back as a message of its own, also compressed, and the
    connection ends in good order.
    """
    for compress in (False, True):
        factory = WebSocketFactory(
            XMLSocketFactory(EchoProtocol, maxLength=1_000_000), compress=compress
        )
        async with serving(factory) as (port, guard):
            received = await deferToThread(echoes, f"ws://{HOST}:{port}/")
            assert received == [*MESSAGES, b"fragments\0"]
            await guard.closeAll(5)


@live
async def test_tls() -> None:
    """
    The same goes inside TLS.
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
        assert received == [*MESSAGES, b"fragments\0"]


def untilClosed(url: str, send: bytes) -> tuple[type[ConnectionClosed], int | None]:
    """
    Send something, and get how the server ends the connection; this blocks.
    """
    with connect(url, open_timeout=None) as client:
        client.send(send)
        try:
            while True:
                client.recv()
        except ConnectionClosed as closed:
            received = closed.rcvd
            return type(closed), None if received is None else received.code


@live
async def test_ends() -> None:
    """
    A client hears why the connection ends: since the server wants it, or since
    a message is too long.
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
    A web browser is told what is here.
    """
    async with serving(WebSocketFactory(XMLSocketFactory(EchoProtocol))) as (port, _):
        client = await dial(port)
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await client.untilLost()).startswith(b"HTTP/1.1 426 Upgrade Required\r\n")
