"""
HTTP on the port of a game, on the loopback interface.
"""

import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.web.resource import Resource
from twisted.web.server import Site

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.transports.guard import GuardFactory
from tests.clients.conftest import need
from tests.frames import BINARY, REQUEST, RESPONSE, frame
from tests.live import live
from tests.live.peers import HOST, dial, serving, theReactor, until
from tests.support.deployments import running
from tests.support.ports import freePort

LENGTH = 14_000_000
CLIENTS = 8


def filesIn(folder: Path) -> Any:
    """
    Return a resource that serves the files in a folder.
    """
    with warnings.catch_warnings():
        # Twisted's module uses a deprecated class of Twisted.
        warnings.simplefilter("ignore", DeprecationWarning)
        from twisted.web.static import File
    return File(str(folder))


class Reader(Protocol):
    """
    Counts the received bytes.
    """

    received = 0

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)


class Iterations:
    """
    Counts the iterations of the reactor, and the bytes that a server writes in each.

    @ivar count: number of iterations.
    @ivar most: maximum number of bytes written in one iteration.
    """

    def __init__(self, guard: GuardFactory) -> None:
        self._guard = guard
        self._written = 0
        self._call: Any = None
        self.count = self.most = 0

    def _next(self) -> None:
        traffic = self._guard.traffic().get("http")
        written = self._guard.waiting() + (0 if traffic is None else traffic.bytesOut)
        self.most = max(self.most, written - self._written)
        self._written = written
        self.count += 1
        self._call = theReactor().callLater(0, self._next)

    @contextmanager
    def counting(self) -> Iterator[None]:
        """
        Count the iterations during the block.
        """
        self._next()
        try:
            yield
        finally:
            self._call.cancel()


@pytest.mark.parametrize("coalesces", [False, True])
@live
async def test_downloads(tmp_path: Path, coalesces: bool) -> None:
    """
    Eight downloads of 14 MB are sent in small portions: in each iteration of the reactor, at
    most 160 KiB per client. A message of a player is answered within a few iterations.
    """
    with (tmp_path / "ruffle.wasm").open("wb") as file:
        file.truncate(LENGTH)
    game = XMLSocketFactory(EchoProtocol)
    factory = OnePortFactory(game, http=Site(filesIn(tmp_path)))
    async with serving(factory, coalesces=coalesces) as (port, guard):
        player = await dial(port)
        player.send(b"<a/>\0")
        await player.until(b"<a/>\0")
        readers = [Reader() for _ in range(CLIENTS)]
        iterations = Iterations(guard)
        longest = 0
        with iterations.counting():
            for reader in readers:
                endpoint = TCP4ClientEndpoint(theReactor(), HOST, port)
                await connectProtocol(endpoint, reader)
                assert reader.transport is not None
                reader.transport.write(b"GET /ruffle.wasm HTTP/1.1\r\nHost: h\r\n\r\n")
            while min(each.received for each in readers) < LENGTH:
                player.received = b""
                begin = iterations.count
                player.send(b"<b/>\0")
                await player.until(b"<b/>\0")
                longest = max(longest, iterations.count - begin)
        assert iterations.most <= CLIENTS * 160 * 1024
        assert longest <= 5
        assert guard.http == CLIENTS
        for reader in readers:
            assert reader.transport is not None
            reader.transport.loseConnection()
        await player.close()
        await until(lambda: not guard.protocols)


NGINX = """
pid {folder}/pid; daemon off; error_log stderr; worker_processes 1;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder};
    upstream game {{ server {host}:{server}; keepalive 1; }}
    map $http_upgrade $connection_header {{ default upgrade; "" ""; }}
    server {{
        listen {host}:{port};
        location / {{
            proxy_pass http://game;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_header;
            proxy_set_header Host $host;
        }}
    }}
}}
"""


class Page(Resource):
    """
    Answers with the path and the body of the request.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        body: bytes = b"<%s %s>" % (request.path, request.content.read())
        return body


@pytest.mark.slow
@live
async def test_nginx(tmp_path: Path) -> None:
    """
    With keep-alive, nginx uses one connection for pages and then for a WebSocket.
    """
    need(shutil.which("nginx"), "nginx is not installed (apt-get install nginx-light)")
    port = freePort()
    game = XMLSocketFactory(EchoProtocol)
    async with serving(OnePortFactory(game, http=Site(Page()))) as (server, guard):
        file = tmp_path / "nginx.conf"
        file.write_text(NGINX.format(folder=tmp_path, host=HOST, port=port, server=server))
        subprocess.run(["nginx", "-t", "-q", "-p", tmp_path, "-c", file], check=True)
        async with running(port, "nginx", "-p", tmp_path, "-c", file):
            for number in range(3):
                client = await dial(port)
                client.send(b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n")
                await client.until(b"</page >")
                client.send(b"POST /form HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi")
                await client.until(b"</form hi>")
                assert guard.opened == number + 1
                client.received = b""
                client.send(REQUEST)
                await client.until(b"\r\n\r\n")
                assert client.received.startswith(RESPONSE[: RESPONSE.index(b"\r\n")])
                client.send(frame(BINARY, b"<a/>\0"))
                await client.until(b"<a/>\0")
                # The pages and the WebSocket were on one connection.
                assert guard.opened == number + 1
                await client.close()
                await until(lambda: not guard.protocols)
