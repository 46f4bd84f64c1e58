"""
Tests of C{--site} on a real port: pages, WebSockets and other clients of one command.
"""

from pathlib import Path

import pytest

from tests.frames import BINARY, REQUEST, frame
from tests.live import live
from tests.live.peers import HOST, Buffered, connectThrough, dial, portOf, stop, twistd

POLICY = (
    '<cross-domain-policy><allow-access-from domain="games.example" to-ports="*"/>'
    "</cross-domain-policy>"
)


@pytest.fixture
def site(tmp_path: Path) -> list[str]:
    """
    Create a folder with a game.

    @return: the arguments of the command.
    """
    folder = tmp_path / "site"
    (folder / "node_modules" / "@ruffle-rs" / "ruffle").mkdir(parents=True)
    (folder / "node_modules" / "@ruffle-rs" / "ruffle" / "ruffle.js").write_text("ruffle")
    (folder / "game.swf").write_text("FWS")
    (folder / "long.bin").write_bytes(bytes(3_000_000))
    return [
        *(f"--listen=tcp:0:interface={HOST}", f"--site={folder}", "--play=game.swf"),
        "--play-socket=localhost:8001",
    ]


def upgrade(port: int) -> bytes:
    """
    Return the WebSocket handshake of the server's own page.
    """
    return REQUEST.replace(b":9301", b":%d" % port)


async def get(client: Buffered, path: str, end: bytes) -> bytes:
    """
    Request a file on a connection that stays open.

    @param end: the end of the answer.
    @return: the answer.
    """
    client.received = b""
    client.send(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    return await client.until(end)


@live
async def test_onePort(site: list[str]) -> None:
    """
    One connection gets the page, files and the health check, and then opens a WebSocket to the
    game, as through a proxy. Plain clients and policy requests use the same port.
    """
    server = twistd("openfl-xml", *site)
    port = await portOf(server)
    client, plain = await dial(port), await dial(port)
    plain.send(b"<plain/>\0")
    assert b'src="_openfl/play.js"' in await get(client, "/", b"</script>\n")
    assert b"Content-Length: 3\r\n" in await get(client, "/game.swf", b"\r\n\r\nFWS")
    assert b"localhost" in await get(client, "/_openfl/play.json", b"}")
    assert (await get(client, "/long.bin", b"\r\n\r\n" + bytes(3_000_000))).endswith(bytes(9))
    assert b"200 OK" in await get(client, "/healthz", b"ok\n")
    client.send(upgrade(port))
    await client.until(b"101 Switching Protocols")
    client.send(frame(BINARY, b"<here/>\0"))
    assert b"HTTP" not in await plain.until(b"<here/>\0")
    plain.send(b"<there/>\0")
    await client.until(b"<there/>\0")
    policy = await dial(port)
    policy.send(b"<policy-file-request/>\0")
    assert b"<cross-domain-policy>" in await policy.untilLost()
    await client.close()
    await plain.close()
    await stop(server)


@live
async def test_otherMethods(site: list[str]) -> None:
    """
    No other method reaches the game, and each is refused with 405.
    """
    server = twistd("openfl-xml", *site)
    port = await portOf(server)
    one, other = await dial(port), await dial(port)
    await connectThrough(one, other)
    for method in ("POST", "PUT", "CONNECT", "TRACE", "DELETE"):
        client = await dial(port)
        client.send(
            f"{method} / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 10\r\n\r\n\0<attack/>".encode()
        )
        assert b"HTTP/1.1 405 " in await client.untilLost()
    one.send(b"<end/>\0")
    assert b"attack" not in await other.until(b"<end/>\0")
    await one.close()
    await other.close()
    await stop(server)


@live
async def test_maxSiteConnections(site: list[str]) -> None:
    """
    Pages do not use up the connections of players. Over their own limit, requests are answered
    with 503.
    """
    server = twistd("openfl-xml", *site, "--max-site-connections=1", "--max-connections=3")
    port = await portOf(server)
    one, two, three = await dial(port), await dial(port), await dial(port)
    await get(one, "/healthz", b"ok\n")
    await connectThrough(two, three)
    page = await dial(port)
    page.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"503 Service Unavailable" in await page.untilLost()
    for client in (one, two, three):
        await client.close()
    assert "HTTP connection limit reached (1)" in await stop(server)


@live
async def test_ownPage(site: list[str], tmp_path: Path) -> None:
    """
    A policy file must permit the server's own page too. The log says so.
    """
    policy = tmp_path / "policy.xml"
    policy.write_text(POLICY)
    server = twistd("openfl-xml", *site, f"--policy={policy}")
    port = await portOf(server)
    client = await dial(port)
    client.send(upgrade(port))
    assert b"403 Forbidden" in await client.untilLost()
    assert "It has the address of this server: add a rule for it" in await stop(server)


@live
async def test_workers(site: list[str]) -> None:
    """
    With several workers, the supervisor logs the address of the page once.
    """
    server = twistd("openfl-xml", *site, "--workers=2", "--echo")
    await server.until(b"sockets: localhost:8001)")
    printed = await stop(server)
    assert printed.count("play game.swf at") == 1


@live
async def test_onlyBrowsers(site: list[str]) -> None:
    """
    If plain clients are excluded, pages and WebSockets are served. A connection that a browser
    opens in advance does not reach the game.
    """
    server = twistd("openfl-xml", *site, "--accept=websocket", "--greeting-delay=0")
    port = await portOf(server)
    early, client = await dial(port), await dial(port)
    assert b'src="_openfl/play.js"' in await get(client, "/", b"</script>\n")
    client.send(upgrade(port))
    await client.until(b"101 Switching Protocols")
    assert b"200 OK" in await get(early, "/healthz", b"ok\n")
    await early.close()
    await client.close()
    await stop(server)
