"""
C{openfl:} with Twisted's own services, and the bridge.
"""

import re
from pathlib import Path

from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.wire.policy.request import REQUEST as POLICY_REQUEST
from tests.frames import BINARY, RESPONSE, frame
from tests.frames import REQUEST as UPGRADE
from tests.live import live
from tests.live.peers import HOST, Buffered, Process, dial, portOf, serving, stop, twistd

OPENFL = f"openfl:tcp:0:interface={HOST}"


async def startedOn(server: Process) -> int:
    """
    Wait until a Twisted server logs its port.
    """
    await server.until(b" starting on ")
    found = re.search(rb" starting on (\d+)", server.printed)
    assert found is not None
    return int(found[1])


async def upgraded(port: int, path: bytes = b"/x/room?id=1") -> Buffered:
    client = await dial(port)
    client.send(UPGRADE.replace(b"/x/room?id=1", path))
    await client.until(RESPONSE)
    return client


@live
async def test_web(tmp_path: Path) -> None:
    """
    C{twistd web} still serves its pages, and also answers policy requests.
    """
    (tmp_path / "index.html").write_text("<p>a page</p>")
    server = twistd("web", f"--listen={OPENFL}", f"--path={tmp_path}")
    port = await startedOn(server)
    browser = await dial(port)
    browser.send(b"GET /index.html HTTP/1.0\r\n\r\n")
    assert b"<p>a page</p>" in await browser.untilLost()
    player = await dial(port)
    player.send(POLICY_REQUEST)
    assert b"<cross-domain-policy>" in await player.untilLost()
    await stop(server)


@live
async def test_portForward() -> None:
    """
    The target of C{twistd portforward} can be reached by WebSocket.
    """
    async with serving(XMLSocketFactory(EchoProtocol)) as (behind, _):
        server = twistd(
            "portforward", f"--port={OPENFL}", f"--host={HOST}", f"--dest_port={behind}"
        )
        port = await startedOn(server)
        browser = await upgraded(port)
        browser.send(frame(BINARY, b"hello\0"))
        await browser.until(b"\x82\x06hello\0")
        plain = await dial(port)
        plain.send(b"hello\0")
        await plain.until(b"hello\0")
        await stop(server)
        await browser.untilLost()
        await plain.untilLost()


@live
async def test_bridge(tmp_path: Path) -> None:
    """
    The bridge forwards each client to its target, and preserves message boundaries.
    """
    async with (
        serving(XMLSocketFactory(EchoProtocol)) as (first, _),
        serving(XMLSocketFactory(EchoProtocol)) as (second, _),
    ):
        table = tmp_path / "bridge.toml"
        table.write_text(
            f'[[target]]\nname = "one"\nconnect = "tcp:{HOST}:{first}"\n'
            f'[[target]]\nname = "two"\nconnect = "tcp:{HOST}:{second}"\n'
        )
        server = twistd(
            "openfl-bridge",
            f"--config={table}",
            f"--listen=tcp:0:interface={HOST}",
            "--shutdown-timeout=0.1",
        )
        port = await portOf(server)
        for path, target in ((b"/", first), (b"/two", second)):
            client = await upgraded(port, path)
            client.send(frame(BINARY, b"a\0b\0"))
            await client.until(b"\x82\x02a\0\x82\x02b\0")
            await server.until(f"connected to tcp:{HOST}:{target}".encode())
        plain = await dial(port)
        plain.send(b"hello\0")
        await plain.until(b"hello\0")
        await stop(server)
