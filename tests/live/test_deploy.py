"""
The configurations of the deployment guide: each program accepts its configuration and
serves clients.
"""

import asyncio
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme
from twisted.internet.error import ConnectError, ProcessExitedAlready
from twisted.internet.threads import deferToThread
from websockets.asyncio.client import connect
from websockets.typing import Origin

from tests.clients.conftest import need
from tests.live import live
from tests.live.peers import HOST, Process, dial, pause, portOf, run, stop, twistd
from tests.live.test_brokers import freePort

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
TWISTD = Path(sys.executable).parent / "twistd"


def configured(name: str, folder: Path, *changes: tuple[str, str]) -> Path:
    """
    Write a configuration to a directory, with the ports and paths of the test.
    """
    text = (DEPLOY / name).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text)
    return folder / name


@asynccontextmanager
async def running(port: int, *command: str | Path) -> AsyncIterator[Process]:
    """
    Run a program in the foreground, and wait until its port is open.
    """
    process = run(*map(str, command))
    try:
        while True:
            try:
                client = await dial(port)
            except ConnectError:
                if process.ended.called:
                    raise AssertionError(process.printed.decode()) from None
                await pause(0.02)
                continue
            await client.close()
            break
        yield process
    finally:
        # A program that failed to start has already ended.
        with suppress(ProcessExitedAlready):
            process.transport.signalProcess("TERM")
        await process.ended


@live
async def test_nginx(tmp_path: Path) -> None:
    """
    A WebSocket with TLS is forwarded by nginx, with the client's address.
    """
    need(shutil.which("nginx"), "nginx is not installed (apt-get install nginx-light)")
    certificate, port = tmp_path / "certificate.pem", freePort()
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    server = twistd(
        "openfl-xml", "--echo", f"--listen=tcp:0:interface={HOST}", f"--trusted-proxy={HOST}"
    )
    site = configured(
        "nginx.conf",
        tmp_path,
        ("127.0.0.1:8080", f"127.0.0.1:{await portOf(server)}"),
        ("listen 443 ssl", f"listen {HOST}:{port} ssl"),
        ("/etc/letsencrypt/live/games.example/fullchain.pem", str(certificate)),
        ("/etc/letsencrypt/live/games.example/privkey.pem", str(certificate)),
        ("/var/www/game", str(tmp_path)),
    )
    whole = tmp_path / "whole.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; daemon off; error_log stderr; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {tmp_path}; "
        f"proxy_temp_path {tmp_path}; include {site}; }}"
    )
    subprocess.run(["nginx", "-t", "-q", "-p", tmp_path, "-c", whole], check=True)

    async def talk() -> object:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        caller = socket.create_connection((HOST, port), source_address=("127.0.0.2", 0))
        async with connect(
            "wss://localhost/play",
            sock=caller,
            ssl=context,
            origin=Origin("https://games.example"),
            open_timeout=None,
        ) as client:
            await client.send(b"<hello/>\0")
            answer = await client.recv()
            # The log contains the client's address.
            await client.send(b"\xff\0")
            await client.recv()
            return answer

    async with running(port, "nginx", "-p", tmp_path, "-c", whole):
        assert await deferToThread(asyncio.run, talk()) == b"<hello/>\0"
    printed = await stop(server)
    assert re.search(r"127\.0\.0\.2\S* sent invalid UTF-8", printed), printed


@live
async def test_haproxy(tmp_path: Path) -> None:
    """
    A plain client is forwarded by haproxy. The servers log its address, not haproxy's.
    """
    need(shutil.which("haproxy"), "haproxy is not installed (apt-get install haproxy)")
    port = freePort()
    listen = f"--listen=haproxy:tcp:0:interface={HOST}"
    servers = [twistd("openfl-xml", "--echo", listen) for _ in "ab"]
    ports = [await portOf(server) for server in servers]
    file = configured(
        "haproxy.cfg",
        tmp_path,
        ("bind :8080", f"bind {HOST}:{port}"),
        ("127.0.0.1:8081", f"127.0.0.1:{ports[0]}"),
        ("127.0.0.1:8082", f"127.0.0.1:{ports[1]}"),
    )
    subprocess.run(["haproxy", "-c", "-f", file], check=True, capture_output=True)
    async with running(port, "haproxy", "-db", "-f", file):
        client = await dial(port)
        assert client.transport is not None
        own = client.transport.getHost()
        client.send(b"<hello/>\0")
        assert await client.until(b"\0") == b"<hello/>\0"
        await client.close()
    printed = "".join([await stop(server) for server in servers])
    assert f"{HOST}:{own.port} " in printed  # type: ignore[attr-defined]


def test_systemd(tmp_path: Path) -> None:
    """
    Systemd reports no problems of the units.
    """
    need(
        shutil.which("systemd-analyze"),
        "systemd-analyze is not installed (apt-get install systemd)",
    )
    changes = ("/opt/game/.venv/bin/twistd", str(TWISTD)), ("WorkingDirectory=/opt/game", "")
    units = [
        configured("game.service", tmp_path, *changes),
        configured("openfl-policy.service", tmp_path, *changes),
        configured("shared@.service", tmp_path, *changes).rename(tmp_path / "shared@1.service"),
        configured("shared.socket", tmp_path),
    ]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", ["game.service", "openfl-policy.service", "shared@.service"])
def test_commandsOfUnits(name: str, tmp_path: Path) -> None:
    """
    The commands of the units have valid options.
    """
    found = re.search(r"ExecStart=\S+ (.*)", (DEPLOY / name).read_text())
    assert found is not None
    (tmp_path / "server.toml").write_text('listen = "tcp:8080"\nrooms = "xml"\n')
    (tmp_path / "policy.xml").write_text(
        '<cross-domain-policy><allow-access-from domain="*" to-ports="8080"/></cross-domain-policy>'
    )
    words = found[1].replace("/opt/game", str(tmp_path)).split()
    # The socket is only available under systemd.
    words = [word for word in words if "systemd:" not in word and word != "--listen"]
    words = [word for word in words if word != "tcp:843"]
    if name == "openfl-policy.service":
        words[-2:] = ["--check", words[-1]]
    else:
        words.append("--show-config")
    subprocess.run([TWISTD, *words], check=True, capture_output=True, cwd=tmp_path)
