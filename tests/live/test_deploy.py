"""
The configurations of the deployment guide: each program accepts its configuration and
serves clients.
"""

import asyncio
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.threads import deferToThread
from websockets.asyncio.client import connect
from websockets.typing import Origin

from openfl_twisted.rooms.presence import IPresence
from tests.clients.conftest import need
from tests.live import live
from tests.live.nodes import node, present
from tests.live.peers import HOST, Buffered, Process, dial, pause, portOf, run, stop, twistd
from tests.support.brokers import REDIS, broker
from tests.support.deployments import DEPLOY, configured, running
from tests.support.ports import freePort

pytestmark = pytest.mark.slow

TWISTD = Path(sys.executable).parent / "twistd"


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


@pytest.mark.parametrize("check", ["option httpchk GET /healthz", "option httpchk", ""])
@live
async def test_haproxy(tmp_path: Path, check: str) -> None:
    """
    A plain client is forwarded by haproxy. The servers log its address, not haproxy's. Health
    checks, by HTTP or only a connection, are logged at level debug.
    """
    need(shutil.which("haproxy"), "haproxy is not installed (apt-get install haproxy)")
    port = freePort()
    listen = f"--listen=haproxy:tcp:0:interface={HOST}"
    servers = [twistd("openfl-xml", "--echo", "--log-level=debug", listen) for _ in "ab"]
    ports = [await portOf(server) for server in servers]
    file = configured(
        "haproxy.cfg",
        tmp_path,
        ("bind :8080", f"bind {HOST}:{port}"),
        ("127.0.0.1:8081", f"127.0.0.1:{ports[0]}"),
        ("127.0.0.1:8082", f"127.0.0.1:{ports[1]}"),
        ("option httpchk GET /healthz", check),
    )
    subprocess.run(["haproxy", "-c", "-f", file], check=True, capture_output=True)
    async with running(port, "haproxy", "-db", "-f", file):
        client = await dial(port)
        assert client.transport is not None
        own = client.transport.getHost()
        client.send(b"<hello/>\0")
        assert await client.until(b"\0") == b"<hello/>\0"
        await client.close()
        for server in servers:
            # haproxy has checked the server.
            await server.until(b"#debug] 127.0.0.1:")
    printed = "".join([await stop(server) for server in servers])
    assert f"{HOST}:{own.port} " in printed  # type: ignore[attr-defined]
    opened = re.findall(r"#info\] (\S+) opened", printed)
    assert opened == [f"{HOST}:{own.port}"], printed  # type: ignore[attr-defined]


@live
async def test_rollingRestart(tmp_path: Path) -> None:
    """
    Two servers with haproxy are restarted one after the other. Clients that connect at any time are
    served, and connected clients receive the farewell message.
    """
    need(shutil.which("haproxy"), "haproxy is not installed (apt-get install haproxy)")
    port, ports = freePort(), [freePort(), freePort()]
    file = configured(
        "haproxy.cfg",
        tmp_path,
        ("bind :8080", f"bind {HOST}:{port}"),
        ("127.0.0.1:8081", f"127.0.0.1:{ports[0]}"),
        ("127.0.0.1:8082", f"127.0.0.1:{ports[1]}"),
    )

    def start(number: int) -> Process:
        return twistd(
            "openfl-xml",
            "--echo",
            "--farewell=<restart/>",
            f"--listen=haproxy:tcp:{number}:interface={HOST}",
        )

    async def connected() -> Buffered:
        client = await dial(port)
        client.send(b"<hello/>\0")
        assert await client.until(b"\0") == b"<hello/>\0"
        return client

    async def connectAgain() -> None:
        # A player who connects again when the server says so.
        while True:
            player = await connected()
            await player.until(b"<restart/>\0")
            restarts.append(player)
            await player.close()

    async def connectOften() -> None:
        while not isDone:
            visitor = await connected()
            await visitor.close()
            visits.append(visitor)
            await pause(0.05)

    isDone: list[bool] = []
    visits: list[Buffered] = []
    restarts: list[Buffered] = []
    servers = [start(number) for number in ports]
    for server in servers:
        await portOf(server)
    async with running(port, "haproxy", "-db", "-f", file) as haproxy:
        players = [Deferred.fromCoroutine(connectAgain()) for _ in range(4)]
        often = Deferred.fromCoroutine(connectOften())
        for index, server in enumerate(servers):
            before = len(visits)
            server.transport.signalProcess(signal.SIGUSR2)
            assert await server.ended == 0, server.printed.decode()
            assert b"drained: all clients have disconnected" in server.printed
            assert b"health check" not in server.printed
            assert len(visits) > before
            servers[index] = start(ports[index])
            await haproxy.until(f"{['one', 'two'][index]} is UP".encode())
        isDone.append(True)
        await often
        assert len(restarts) >= 4
        for player in players:
            player.addErrback(lambda reason: reason.trap(CancelledError))
            player.cancel()
    for server in servers:
        await stop(server)
    assert haproxy.printed.count(b" is DOWN") == 2, haproxy.printed.decode()


@live
async def test_drainWorkers() -> None:
    """
    With workers, SIGUSR2 drains all of them, and the server ends when their clients have
    disconnected. Health checks are answered by the workers that still have clients.
    """
    listen = f"--listen=tcp:0:interface={HOST}"
    server = twistd("openfl-xml", "--echo", "--workers=2", "--drain-delay=0", listen)
    printed = await server.until(b"workers listening on")
    found = re.search(r"listening on 127\.0\.0\.1:(\d+)", printed)
    assert found is not None
    port = int(found[1])
    client = await dial(port)
    client.send(b"hello\0")
    await client.until(b"hello\0")
    server.transport.signalProcess(signal.SIGUSR2)
    await server.until(b"draining: new clients are refused")
    while True:
        # The other worker may still be closing its port.
        check = await dial(port)
        check.send(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        if b" 503 " in await check.untilLost():
            break
    client.send(b"still here\0")
    await client.until(b"still here\0")
    await client.close()
    assert await server.ended == 0
    assert "Traceback" not in server.printed.decode()


@live
async def test_logrotate(tmp_path: Path) -> None:
    """
    After logrotate has renamed the log file of a daemon, its command lets the server write a new
    one. A daemon writes a pid file.
    """
    file = configured(
        "logrotate.conf",
        tmp_path,
        ("/run/game.pid", f"{tmp_path}/game.pid"),
        ("/var/log/game", str(tmp_path)),
    )
    text = file.read_text()
    command = re.search(r"postrotate\n(.*)\n *endscript", text)
    options = re.search(r"twistd (--pidfile.*) openfl-xml", text)
    assert command is not None and options is not None
    log, pid = tmp_path / "twistd.log", tmp_path / "game.pid"
    arguments = [*options[1].split(), "openfl-xml", f"--listen=tcp:0:interface={HOST}"]
    assert await run(str(TWISTD), *arguments, path=str(tmp_path)).ended == 0
    while not (pid.exists() and log.exists() and b"listening on" in log.read_bytes()):
        await pause(0.02)
    log.rename(tmp_path / "twistd.log.1")
    assert await run("/bin/sh", "-c", command[1]).ended == 0
    while not (log.exists() and b"SIGHUP received" in log.read_bytes()):
        await pause(0.02)
    os.kill(int(pid.read_text()), signal.SIGTERM)
    while pid.exists():
        await pause(0.02)


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


def test_renewal(tmp_path: Path) -> None:
    """
    The script for C{certbot} copies both files; only their owner and the group of the folder
    can read the copies.
    """
    need(os.name == "posix", "requires a shell")
    copies, renewed = tmp_path / "tls", tmp_path / "renewed"
    copies.mkdir()
    copies.chmod(0o2750)
    renewed.mkdir()
    for name in ("fullchain.pem", "privkey.pem"):
        (renewed / name).write_text(name)
    script = configured("certbot-hook.sh", tmp_path, ("/opt/game/tls", str(copies)))
    for _ in range(2):
        subprocess.run(
            ["sh", script], check=True, env={**os.environ, "RENEWED_LINEAGE": str(renewed)}
        )
    for name in ("fullchain.pem", "privkey.pem"):
        copy = copies / name
        assert copy.read_text() == name
        assert (copy.stat().st_mode & 0o777, copy.stat().st_gid) == (0o640, copies.stat().st_gid)


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


@live
async def test_redisFailover(tmp_path: Path) -> None:
    """
    Behind haproxy, the nodes use the master of two Redis servers. When the master has ended and the
    replica is promoted, as Sentinel does, both nodes connect to the new master, and receive each
    other's messages and members again.
    """
    need(shutil.which("haproxy"), "haproxy is not installed (apt-get install haproxy)")
    first, second, port = freePort(), freePort(), freePort()
    file = configured(
        "redis-haproxy.cfg",
        tmp_path,
        ("bind 127.0.0.1:6379", f"bind {HOST}:{port}"),
        ("10.0.0.1:6379", f"{HOST}:{first}"),
        ("10.0.0.2:6379", f"{HOST}:{second}"),
    )
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        folder.mkdir()
    url = f"redis://{HOST}:{port}"
    replica = [*REDIS.command(second), "--replicaof", HOST, str(first)]

    async def seesMember(presence: IPresence) -> None:
        while [each.member for each in await presence.membersOf("hall")] != ["ann"]:
            await pause(0.02)

    async with AsyncExitStack() as master:
        await master.enter_async_context(broker(REDIS, folders[0], REDIS.command(first)))
        async with (
            broker(REDIS, folders[1], replica) as other,
            running(port, "haproxy", "-db", "-f", file) as haproxy,
        ):
            await other.until(b"Finished with success")
            await haproxy.until(b"two is DOWN")
            async with (
                node(url) as (one, oneWatcher),
                node(url) as (_, twoWatcher),
                present(url, b"1" * 16) as ours,
                present(url, b"2" * 16) as theirs,
            ):
                ours.set("hall", "ann", b"")
                await seesMember(theirs)
                watchers = (oneWatcher, twoWatcher)
                waiting = Deferred.fromCoroutine(twoWatcher.until(b"before"))
                assert one.publish("room", b"before")
                await waiting
                down = [Deferred.fromCoroutine(each.until("down")) for each in watchers]
                await master.aclose()
                for each in down:
                    await each
                up = [Deferred.fromCoroutine(each.until("up")) for each in watchers]
                subprocess.run(
                    ["redis-cli", "-p", str(second), "replicaof", "no", "one"], check=True
                )
                for each in up:
                    await each
                waiting = Deferred.fromCoroutine(twoWatcher.until(b"after"))
                assert one.publish("room", b"after")
                await waiting
                await seesMember(theirs)
