"""
The metrics and the dashboard of a command, on real sockets.
"""

import json
import re
import shutil
from importlib.metadata import version
from pathlib import Path

import trustme

from tests.clients.conftest import need
from tests.live import live
from tests.live.asking import ask
from tests.live.peers import HOST, dial, portOf, run, stop, twistd

ANY = f"tcp:0:interface={HOST}"


@live
async def test_metricsAndPage() -> None:
    """
    The metrics show a client; the dashboard shows the client and its messages,
    sends it a message, and disconnects it. An open stream does not prevent the
    shutdown.
    """
    server = twistd("openfl-xml", f"--listen={ANY}", f"--metrics={ANY}", f"--dashboard={ANY}")
    port = await portOf(server)
    await server.until(b"dashboard on ")
    await server.until(b"#")
    printed = server.printed.decode()
    [metrics] = map(int, re.findall(r"metrics on http://127\.0\.0\.1:(\d+)/metrics", printed))
    [(dashboard, token)] = re.findall(r"dashboard on http://127\.0\.0\.1:(\d+)/#(\S+)", printed)
    key = f"Authorization: Bearer {token}"
    client = await dial(port)
    client.send(b"hello\0")
    state = await ask(int(dashboard), "GET", "/state", "", key)
    await state.until(b'"bytesIn": 6')
    about = f'"version": "{version("openfl-twisted")}", "ports": ["{HOST}:{port}"]'
    await state.until(f'"name": "openfl-xml", {about}'.encode())
    exported = await ask(int(dashboard), "GET", "/export.csv?table=clients", "", key)
    assert b"\r\n1,127.0.0.1:" in await exported.untilLost()
    messages = await ask(int(dashboard), "GET", "/messages/1", "", key)
    await messages.until(b"event: begin")
    client.send("gr\u00fc\u00dfe\0".encode())
    await messages.until(b'"text": "gr\\u00fc\\u00dfe"')
    scraped = await (await ask(metrics, "GET", "/metrics")).untilLost()
    assert b'openfl_clients{type="plain"} 1.0' in scraped
    assert b"openfl_messages_received_total 2.0" in scraped
    json_ = "Content-Type: application/json"
    response = await ask(int(dashboard), "POST", "/say", json.dumps({"text": "a"}), json_)
    assert b" 401 " in await response.untilLost()
    response = await ask(int(dashboard), "POST", "/say", json.dumps({"text": "bye"}), json_, key)
    assert b'{"hearers": 1}' in await response.untilLost()
    await client.until(b"bye\0")
    kicked = await ask(int(dashboard), "POST", "/kick", json.dumps({"id": 1}), json_, key)
    assert b'{"kicked": 1}' in await kicked.untilLost()
    await client.untilLost()
    assert b"event: gone" in await messages.untilLost()
    printed = await stop(server)
    await state.untilLost()
    assert "disconnected by operator: no reason (dashboard, 127.0.0.1:" in printed
    assert len(re.findall(r" opened \(", printed)) == 1


@live
async def test_tls(tmp_path: Path) -> None:
    """
    The dashboard works over TLS with ALPN; an open stream does not prevent the
    shutdown.
    """
    need(shutil.which("openssl"), "openssl is not installed (apt-get install openssl)")
    path = tmp_path / "server.pem"
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(path)
    endpoint = f"ssl:0:privateKey={path}:certKey={path}:interface={HOST}"
    token = "--dashboard-token=12345678"
    server = twistd("openfl-xml", f"--listen={ANY}", f"--dashboard={endpoint}", token)
    await server.until(b"dashboard on https://")
    await server.until(b"/\n")
    [port] = re.findall(rb"dashboard on https://\S+:(\d+)/", server.printed)
    browser = run(
        *("openssl", "s_client", "-connect", f"{HOST}:{int(port)}", "-alpn", "h2,http/1.1"),
        "-quiet",
    )
    browser.transport.write(b"GET /state HTTP/1.0\r\nAuthorization: Bearer 12345678\r\n\r\n")
    await browser.until(b"event: state")
    await stop(server)
    await browser.ended
