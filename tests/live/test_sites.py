"""
The metrics and the console of a command, by real sockets.
"""

import json
import re

from tests.live import live
from tests.live.peers import HOST, Buffered, dial, portOf, stop, twistd

ANY = f"tcp:0:interface={HOST}"


async def ask(port: int, method: str, path: str, body: str = "", *headers: str) -> Buffered:
    """
    Send a request.

    @return: what its answer will come to.
    """
    client = await dial(port)
    lines = [f"{method} {path} HTTP/1.0", f"Content-Length: {len(body)}", *headers, "", body]
    client.send("\r\n".join(lines).encode())
    return client


@live
async def test_sites() -> None:
    """
    The metrics show a client; the console shows it and what it says, says
    something to it, and closes it; and no open stream keeps the server from
    ending.
    """
    server = twistd("openfl-xml", f"--listen={ANY}", f"--metrics={ANY}", f"--console={ANY}")
    port = await portOf(server)
    await server.until(b"console on ")
    await server.until(b"#")
    printed = server.printed.decode()
    [metrics] = map(int, re.findall(r"metrics on http://127\.0\.0\.1:(\d+)/metrics", printed))
    [(console, token)] = re.findall(r"console on http://127\.0\.0\.1:(\d+)/#(\S+)", printed)
    key = f"Authorization: Bearer {token}"
    client = await dial(port)
    client.send(b"hello\0")
    state = await ask(int(console), "GET", "/state", "", key)
    await state.until(b'"bytesIn": 6')
    messages = await ask(int(console), "GET", "/messages/1", "", key)
    await messages.until(b"event: begin")
    client.send("gr\u00fc\u00dfe\0".encode())
    await messages.until(b'"text": "gr\\u00fc\\u00dfe"')
    scraped = await (await ask(metrics, "GET", "/metrics")).untilLost()
    assert b'openfl_clients{kind="plain"} 1.0' in scraped
    assert b"openfl_messages_received_total 2.0" in scraped
    json_ = "Content-Type: application/json"
    said = await ask(int(console), "POST", "/say", json.dumps({"text": "a"}), json_)
    assert b" 401 " in await said.untilLost()
    said = await ask(int(console), "POST", "/say", json.dumps({"text": "bye"}), json_, key)
    assert b'{"hearers": 1}' in await said.untilLost()
    await client.until(b"bye\0")
    kicked = await ask(int(console), "POST", "/kick", json.dumps({"id": 1}), json_, key)
    assert b'{"kicked": 1}' in await kicked.untilLost()
    await client.untilLost()
    assert b"event: gone" in await messages.untilLost()
    printed = await stop(server)
    await state.untilLost()
    assert "kicked: no reason (console, 127.0.0.1:" in printed
    assert len(re.findall(r" opened \(", printed)) == 1
