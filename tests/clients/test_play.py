"""
Tests with the generated page of C{--play}: Ruffle plays a Flash program in Chromium, with one
command as the server.
"""

import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from tests.clients.browser import Page, shown
from tests.clients.conftest import WEB, need
from tests.clients.inbrowser import EXAMPLE, inBrowser
from tests.live.peers import HOST, Buffered, Process, dial, portOf, stop, twistd
from tests.support.deployments import configured, running
from tests.support.ports import freePort

pytestmark = pytest.mark.slow

LISTEN = f"--listen=tcp:0:interface={HOST}"
SOCKET = "--play-socket=localhost:8001"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, modules: Path) -> Path:
    """
    Create the folder of a game, as a user would: with a program, and with Ruffle from npm.
    """
    need(shutil.which("haxe"), "haxe is not installed (apt-get install haxe)")
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        ["haxe", "-cp", WEB, "-main", "PlayClient", "-swf", folder / "game.swf"],
        check=True,
        capture_output=True,
    )
    (folder / "node_modules").symlink_to(modules)
    return folder


@asynccontextmanager
async def played(
    client: Buffered, url: str, reply: bytes = b"<reply/>\0"
) -> AsyncIterator[Process]:
    """
    Open the page, and exchange messages with the program through the server. Then check that the
    browser has refused nothing.

    @param client: another client of the server.
    @param reply: the answer of the program.
    """
    page = Page({})
    async with shown(page, url):
        await client.until(b"<here/>\0")
        client.send(b"<ask/>\0")
        await client.until(reply)
        yield page.browser
        printed = page.browser.printed.decode(errors="replace")
        for problem in ("Content Security Policy", "Refused to", "Uncaught", "status of"):
            assert problem not in printed, printed


async def joined(port: int) -> Buffered:
    """
    Connect a client. A client receives messages after it has sent data.
    """
    client = await dial(port)
    client.send(b"<client/>\0")
    return client


@pytest.mark.parametrize("scheme", ["http", "https"])
@inBrowser
async def test_play(site: Path, scheme: str, tmp_path: Path) -> None:
    """
    C{openfl-xml} serves the page, Ruffle and the program, which exchanges messages with a TCP
    client on the same port, with and without TLS.
    """
    options = [f"--site={site}", "--play=game.swf", SOCKET]
    if scheme == "https":
        certificate = tmp_path / "server.pem"
        trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
        options.append(f"--tls-certificate={certificate}")
    server = twistd("openfl-xml", LISTEN, *options)
    port = await portOf(server)
    client = await joined(port)
    async with played(client, f"{scheme}://{HOST}:{port}/"):
        pass
    await client.close()
    printed = await stop(server)
    assert f"play game.swf at {scheme}://{HOST}:{port}/  (Ruffle 0." in printed
    assert "sockets: localhost:8001)" in printed


@inBrowser
async def test_missingRuffle(site: Path) -> None:
    """
    If Ruffle cannot be loaded, the page reports it.
    """
    url = f"https://{HOST}:{freePort()}/"
    server = twistd(
        *("openfl-xml", LISTEN, f"--site={site}", "--play=game.swf", SOCKET, f"--ruffle={url}")
    )
    page = Page({})
    async with shown(page, f"http://{HOST}:{await portOf(server)}/"):
        await page.browser.until(f"{url}ruffle.js could not be loaded".encode())
    await stop(server)


@inBrowser
async def test_unknownSocket(site: Path) -> None:
    """
    If the program connects to a host and port that the command does not know, the console of the
    browser names them.
    """
    server = twistd(
        *("openfl-xml", LISTEN, f"--site={site}", "--play=game.swf", "--play-socket=localhost:1")
    )
    page = Page({})
    async with shown(page, f"http://{HOST}:{await portOf(server)}/"):
        await page.browser.until(b"Missing WebSocket proxy for host localhost, port 8001")
    await stop(server)


@asynccontextmanager
async def bridged(site: Path, *options: str) -> AsyncIterator[tuple[Buffered, int, Process]]:
    """
    Run a TCP server, and a bridge to it.

    @return: a client of the server, the port of the bridge, and its process.
    """
    server = twistd("openfl-xml", "--plain", LISTEN)
    target = await portOf(server)
    client = await joined(target)
    bridge = twistd(
        *("openfl-bridge", f"--connect=tcp:{HOST}:{target}", f"--site={site}", "--play=game.swf"),
        *(SOCKET, *options),
    )
    yield client, await portOf(bridge), bridge
    await client.close()
    await stop(bridge)
    await stop(server)


@inBrowser
async def test_ownPage(site: Path, tmp_path: Path) -> None:
    """
    The page of the guide contains the game. It has settings of Ruffle, and the program connects to
    the host of the page.
    """
    shutil.copy(site / "game.swf", tmp_path)
    own = (EXAMPLE / "index.html").read_text()
    settings = '<script>window.RufflePlayer = { config: { quality: "low" } };</script>\n'
    (tmp_path / "index.html").write_text(own.replace("<script", f"{settings}<script", 1))
    server = twistd(
        "openfl-xml",
        LISTEN,
        f"--site={tmp_path}",
        "--play=game.swf",
        "--play-socket=other:8001",
        f"--ruffle={site}/node_modules/@ruffle-rs/ruffle",
    )
    port = await portOf(server)
    client = await joined(port)
    async with played(client, f"http://localhost:{port}/"):
        pass
    await client.close()
    assert f"index.html of {tmp_path} at http://{HOST}:{port}/" in await stop(server)


@inBrowser
async def test_remoteRuffle(site: Path, tmp_path: Path) -> None:
    """
    Ruffle can be loaded from another server, which permits this with C{--cors}. The policy of the
    page permits this server.
    """
    certificate = tmp_path / "server.pem"
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    folder = site / "node_modules" / "@ruffle-rs" / "ruffle"
    other = twistd(
        *("openfl-xml", LISTEN, f"--site={folder}", f"--tls-certificate={certificate}", "--cors=*")
    )
    server = twistd(
        *("openfl-xml", LISTEN, f"--site={site}", "--play=game.swf", SOCKET),
        f"--ruffle=https://{HOST}:{await portOf(other)}/",
    )
    port = await portOf(server)
    client = await joined(port)
    async with played(client, f"http://{HOST}:{port}/"):
        pass
    await client.close()
    await stop(server)
    await stop(other)


@inBrowser
async def test_bridge(site: Path, tmp_path: Path) -> None:
    """
    C{openfl-bridge} serves the page of a program for a TCP server. The program receives the
    parameters in the configuration file.
    """
    file = tmp_path / "play.toml"
    file.write_text('[ruffle-config]\nparameters = { reply = "<configured/>" }\n')
    async with (
        bridged(site, LISTEN, f"--config={file}") as (client, port, _),
        played(client, f"http://{HOST}:{port}/", b"<configured/>\0"),
    ):
        pass


@pytest.mark.parametrize("path", ["/", "/games/one/"])
@inBrowser
async def test_nginx(site: Path, path: str, tmp_path: Path) -> None:
    """
    Behind nginx, which terminates TLS and keeps its connections to the server, the page works
    below any path.
    """
    need(shutil.which("nginx"), "nginx is not installed (apt-get install nginx-light)")
    certificate, port = tmp_path / "certificate.pem", freePort()
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    async with bridged(site, LISTEN, f"--trusted-proxy={HOST}") as (client, inner, _):
        file = configured(
            "play.conf",
            tmp_path,
            ("127.0.0.1:9000", f"127.0.0.1:{inner}"),
            ("listen 443 ssl", f"listen {HOST}:{port} ssl"),
            ("/etc/letsencrypt/live/games.example/fullchain.pem", str(certificate)),
            ("/etc/letsencrypt/live/games.example/privkey.pem", str(certificate)),
            ("location / {", f"location {path} {{"),
            ("proxy_pass http://play;", "proxy_pass http://play/;"),
        )
        whole = tmp_path / "whole.conf"
        whole.write_text(
            f"pid {tmp_path}/pid; daemon off; error_log stderr; events {{}}\n"
            f"http {{ access_log off; client_body_temp_path {tmp_path}; "
            # The worker processes of nginx cannot write into this folder.
            f"proxy_temp_path {tmp_path}; proxy_max_temp_file_size 0; include {file}; }}"
        )
        async with (
            running(port, "nginx", "-p", tmp_path, "-c", whole),
            played(client, f"https://{HOST}:{port}{path}"),
        ):
            pass


@inBrowser
async def test_haproxy(site: Path, tmp_path: Path) -> None:
    """
    Behind haproxy, which sends the address of the browser, the page works.
    """
    need(shutil.which("haproxy"), "haproxy is not installed (apt-get install haproxy)")
    port = freePort()
    async with bridged(site, f"--listen=haproxy:tcp:0:interface={HOST}") as (client, inner, bridge):
        file = configured(
            "haproxy.cfg",
            tmp_path,
            ("bind :8080", f"bind {HOST}:{port}"),
            ("127.0.0.1:8081", f"127.0.0.1:{inner}"),
            ("    server two 127.0.0.1:8082 check send-proxy\n", ""),
        )
        async with (
            running(port, "haproxy", "-db", "-f", file),
            played(client, f"http://{HOST}:{port}/"),
        ):
            pass
        assert f"listening on {HOST}:{inner}" in bridge.printed.decode()
