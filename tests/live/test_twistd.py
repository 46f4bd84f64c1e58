"""
The commands as processes.
"""

import json
import os
import re
import select
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import trustme
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ClientEndpoint, connectProtocol
from twisted.internet.ssl import CertificateOptions

from openfl_twisted.events import DatagramSocketDataEvent
from openfl_twisted.net import DatagramSocket
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.policy.request import REQUEST
from tests.clients.conftest import need
from tests.live import live
from tests.live.peers import (
    HOST,
    TWISTD,
    Buffered,
    connectThrough,
    dial,
    pause,
    portOf,
    run,
    stop,
    theReactor,
    twistd,
    until,
)

ANY_PORT = f"--listen=tcp:0:interface={HOST}"


@live
async def test_xml() -> None:
    """
    The server forwards messages, answers policy requests, and logs connections.
    """
    server = twistd("openfl-xml", ANY_PORT)
    port = await portOf(server)
    one, two = await dial(port), await dial(port)
    await connectThrough(one, two)
    one.send(b"hello\0")
    await two.until(b"hello\0")
    asking = await dial(port)
    asking.send(REQUEST[:5])
    await pause(0.05)
    asking.send(REQUEST[5:])
    assert await asking.untilLost() == PolicyFile.forPort(port).toXML() + b"\0"
    await one.close()
    printed = await stop(server)
    await two.untilLost()
    assert len(re.findall(r"127\.0\.0\.1:\d+ opened \(plain, \d open\)", printed)) == 2
    assert len(re.findall(r"127\.0\.0\.1:\d+ opened \(policy, \d open\)", printed)) == 1
    assert len(re.findall(r"127\.0\.0\.1:\d+ closed by the peer", printed)) == 1
    assert len(re.findall(r"127\.0\.0\.1:\d+ closed by the server", printed)) == 2


@live
async def test_badInput() -> None:
    """
    Invalid input of any kind closes at most its own connection, without a traceback.
    """
    server = twistd("openfl-xml", ANY_PORT, "--echo", "--max-message=1000")
    port = await portOf(server)
    good = await dial(port)
    lines = {
        b"disconnected: a message is longer than 1000 bytes": b"x" * 1001,
        b"sent invalid UTF-8": b"\xff\xfe\0",
    }
    for line, bad in lines.items():
        client = await dial(port)
        client.send(bad)
        await server.until(line)
        await client.close()
    # An incomplete message is only detected at EOF.
    client = await dial(port)
    client.send(b"half a message")
    await client.close()
    half = b"closed the connection in the middle of a message; 14 bytes dropped"
    await server.until(half)
    good.send(b"still here\0")
    await good.until(b"still here\0")
    await good.close()
    await stop(server)
    for line in [*lines, half]:
        assert server.printed.count(line) == 1, server.printed


@live
async def test_hangUp(tmp_path: Path) -> None:
    """
    SIGHUP reopens the log file and reloads the policy file, without closing
    connections.
    """
    log, policy = tmp_path / "server.log", tmp_path / "policy.xml"
    policy.write_bytes(PolicyFile.forPort(1).toXML())
    server = run(*TWISTD, f"--logfile={log}", "openfl-xml", ANY_PORT, f"--policy={policy}")
    port = await portIn(log)
    client, other = await dial(port), await dial(port)
    await connectThrough(client, other)
    log.rename(tmp_path / "server.log.1")
    policy.write_bytes(PolicyFile.forPort(2).toXML())
    server.transport.signalProcess("HUP")
    while not log.exists() or b"policy file reloaded" not in log.read_bytes():
        await pause(0.02)
    asking = await dial(port)
    asking.send(REQUEST)
    assert await asking.untilLost() == PolicyFile.forPort(2).toXML() + b"\0"
    client.send(b"still here\0")
    await other.until(b"still here\0")
    await stop(server)
    assert b"SIGHUP received" in log.read_bytes()
    assert b"Main loop terminated" in log.read_bytes()


@live
async def test_proxyProtocol() -> None:
    """
    With C{--plain} behind a proxy, the application sees the client's address when it is connected,
    and a health check with an UNKNOWN header is accepted.
    """
    listen = f"--listen=haproxy:tcp:0:interface={HOST}"
    server = twistd("openfl-xml", "--echo", "--plain", listen)
    port = await portOf(server)
    client, check = await dial(port), await dial(port)
    client.send(b"PROXY TCP4 192.0.2.1 192.0.2.2 5 6\r\nhello\0")
    await client.until(b"hello\0")
    assert b"192.0.2.1:5 opened" in server.printed
    check.send(b"PROXY UNKNOWN\r\nhello\0")
    await check.until(b"hello\0")
    for each in (client, check):
        await each.close()
    printed = await stop(server)
    assert "refused" not in printed


@live
async def test_rotate(tmp_path: Path) -> None:
    """
    SIGUSR1 starts a new log file.
    """
    log = tmp_path / "server.log"
    server = run(*TWISTD, f"--logfile={log}", "openfl-xml", ANY_PORT)
    await portIn(log)
    server.transport.signalProcess(signal.SIGUSR1)
    await until((tmp_path / "server.log.1").exists)
    server.transport.signalProcess("HUP")
    await until(lambda: log.exists() and b"SIGHUP received" in log.read_bytes())
    await stop(server)
    assert b"listening on" in (tmp_path / "server.log.1").read_bytes()


def eventsIn(text: str) -> list[dict[str, Any]]:
    """
    Parse a log in JSON.
    """
    assert text.isascii()
    return [json.loads(line) for line in text.splitlines()]


@live
async def test_json(tmp_path: Path) -> None:
    """
    With C{--log-format=json}, all lines of a daemon's log file are JSON, also after SIGUSR1 and
    SIGHUP.
    """
    log, pidFile = tmp_path / "server.log", tmp_path / "pid"
    starter = run(
        *[each for each in TWISTD if each not in ("-n", "--nodaemon", "--pidfile=")],
        *(f"--logfile={log}", f"--pidfile={pidFile}", "openfl-xml", "--echo", ANY_PORT),
        "--log-format=json",
    )
    assert await starter.ended == 0
    port = await portIn(log)
    pid = int(pidFile.read_text())
    try:
        client = await dial(port)
        client.send(b"hello\0")
        await client.until(b"hello\0")
        await client.close()
        await until(lambda: "closed by the peer" in log.read_text())
        os.kill(pid, signal.SIGUSR1)
        await until((tmp_path / "server.log.1").exists)
        os.kill(pid, signal.SIGHUP)
        await until(lambda: log.exists() and "SIGHUP received" in log.read_text())
    finally:
        os.kill(pid, signal.SIGTERM)
        await until(lambda: not pidFile.exists())
    events = eventsIn((tmp_path / "server.log.1").read_text())
    [opened] = [each for each in events if " opened " in each["text"]]
    assert (opened["level"], opened["kind"], opened["open"]) == ("info", "plain", 1)
    assert opened["text"] == f"{opened['peer']} opened (plain, 1 open)"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", opened["time"])
    assert eventsIn(log.read_text())[-1]["text"] == "Server Shut Down."


@live
async def test_jsonWorkers() -> None:
    """
    The events of workers are JSON, with their fields and the number of the worker.
    """
    server = twistd("openfl-xml", "--echo", "--workers=2", ANY_PORT, "--log-format=json")
    printed = await server.until(b"connection limits apply to each worker")
    found = re.search(r"2 workers listening on 127\.0\.0\.1:(\d+)", printed)
    assert found is not None, printed
    client = await dial(int(found[1]))
    client.send(b"hello\0")
    await client.until(b"hello\0")
    await server.until(b" opened ")
    await client.close()
    events = eventsIn(await stop(server))
    [opened] = [each for each in events if " opened " in each["text"]]
    assert opened["worker"] in (1, 2)
    assert opened["text"] == f"worker {opened['worker']}: {opened['peer']} opened (plain, 1 open)"


async def portIn(log: Path) -> int:
    """
    Wait until a log file contains the port.
    """
    while True:
        text = log.read_text() if log.exists() else ""
        found = re.search(r"listening on [0-9.]+:(\d+)", text)
        if found is not None:
            return int(found[1])
        await pause(0.02)


@live
async def test_quiet() -> None:
    """
    The log lines of connections can be disabled.
    """
    server = twistd("openfl-echo", ANY_PORT, "--log-level=warn")
    await server.until(b" starting on ")
    found = re.search(rb" starting on (\d+)", server.printed)
    assert found is not None
    client = await dial(int(found[1]))
    await client.until(b"Connected.")
    await client.close()
    assert "opened" not in await stop(server)


@live
async def test_tls(tmp_path: Path) -> None:
    """
    With a certificate a command accepts TLS from C{openssl s_client}. A client without
    TLS is refused.
    """
    need(shutil.which("openssl"), "openssl is not installed (apt-get install openssl)")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    server = twistd("openfl-echo", ANY_PORT, f"--tls-certificate={tmp_path / 'server.pem'}")
    port = await portOf(server)
    for version in ("-tls1_2", "-tls1_3"):
        client = run(
            *("openssl", "s_client", "-connect", f"{HOST}:{port}", version, "-quiet"),
            *("-CAfile", str(tmp_path / "authority.pem"), "-verify_return_error"),
            *("-verify_hostname", "localhost"),
        )
        await client.until(b"Connected.")
        client.transport.write(b"hello\n")
        await client.until(b"Echo -- hello\n")
        client.transport.signalProcess("KILL")
        await client.ended
    plain = await dial(port)
    plain.send(b"GET / HTTP/1.0\r\n\r\n")
    await plain.untilLost()
    await stop(server)


@live
async def test_rootOnlyCertificate(tmp_path: Path) -> None:
    """
    With a certificate that only root can read, C{twistd --uid} warns once at the start
    that renewals cannot be loaded, and not for each handshake.
    """
    if os.geteuid():
        pytest.skip("only root can drop privileges")
    folder = tmp_path / "certificates"
    folder.mkdir(mode=0o700)
    issued = trustme.CA().issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    certificate = f"--tls-certificate={folder / 'server.pem'}"
    server = run(*TWISTD, "--uid=65534", "openfl-echo", ANY_PORT, certificate)
    port = await portOf(server)
    for _ in range(2):
        client = Buffered()
        endpoint = SSL4ClientEndpoint(theReactor(), HOST, port, CertificateOptions())
        await connectProtocol(endpoint, client)
        await client.until(b"Connected.")
        await client.close()
    printed = await stop(server)
    assert printed.count("renewed certificates cannot be loaded") == 1
    assert "reload after SIGHUP failed" not in printed


@live
async def test_app(tmp_path: Path) -> None:
    """
    A user's protocol is found in the current directory.
    """
    (tmp_path / "shouting.py").write_text(
        "from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol\n"
        "class Shouter(XMLSocketProtocol):\n"
        "    def messageReceived(self, message):\n"
        "        self.sendMessage(message.upper())\n"
    )
    server = twistd("openfl-xml", ANY_PORT, "--app=shouting:Shouter", path=str(tmp_path))
    client = await dial(await portOf(server))
    client.send("grüße\0".encode())
    assert await client.until(b"\0") == "GRÜSSE\0".encode()
    await stop(server)
    await client.untilLost()


@live
async def test_faithful() -> None:
    """
    The faithful server serves one client and one line, and exits.
    """
    server = twistd("openfl-echo", "--style=simple-server", "--faithful", ANY_PORT)
    client = await dial(await portOf(server))
    await client.until(b"Enter EXIT to exit.\r\n" * 2)
    client.send(b"hello\n")
    assert (await client.untilLost()).endswith(b"Echo: hello\r\n")
    assert await server.ended == 0


@live
async def test_stuckClient() -> None:
    """
    A client that does not read does not prevent the shutdown.
    """
    server = twistd("openfl-xml", ANY_PORT, "--echo", "--shutdown-timeout=0.2")
    client = await dial(await portOf(server))
    assert client.transport is not None
    client.transport.pauseProducing()  # type: ignore[attr-defined]
    for _ in range(20):
        client.send(b"x" * 500_000 + b"\0")
    # The echo has started, and is larger than all buffers.
    transport: Any = client.transport
    await until(lambda: select.select([transport], [], [], 0)[0])
    await stop(server)
    client.transport.resumeProducing()  # type: ignore[attr-defined]
    await client.untilLost()


@live
async def test_portInUse() -> None:
    """
    A port in use is an error of one line, with status 1.
    """
    server = twistd("openfl-xml", ANY_PORT)
    port = await portOf(server)
    other = twistd("openfl-xml", f"--listen=tcp:{port}:interface={HOST}")
    assert await other.ended == 1
    printed = other.printed.decode()
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in printed
    assert "Traceback" not in printed
    await stop(server)


@live
async def test_portBelow1024() -> None:
    """
    A missing privilege for a port below 1024 is an error of one line that names it.
    """
    first = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if first.exists() and int(first.read_text()) <= 843:
        pytest.skip("port 843 is not privileged on this system")
    command = ["openfl-policy", "--allow=*:80"]
    if os.geteuid():
        server = twistd(*command)
    else:
        setpriv = shutil.which("setpriv")
        if setpriv is None:
            pytest.skip("runs as root, and setpriv is not installed")
        drop = [f"--{caps}=-net_bind_service" for caps in ("bounding-set", "inh-caps")]
        server = run(setpriv, *drop, *TWISTD, *command)
    assert await server.ended == 1
    assert "Permission denied; ports below 1024 require root privileges" in server.printed.decode()
    assert "Traceback" not in server.printed.decode()


@live
async def test_usage() -> None:
    """
    An invalid option is an error of one line.
    """
    for arguments in [
        ("openfl-xml", "--listen=nope:1"),
        ("openfl-xml", "--app=no_such_module:Class"),
        ("openfl-policy", "--policy=/no/such/file"),
        ("openfl-echo", "--style=nope"),
    ]:
        server = twistd(*arguments)
        assert await server.ended == 1
        printed = server.printed.decode()
        assert arguments[1] in printed.splitlines()[-1]
        assert "Traceback" not in printed


@live
async def test_datagrams() -> None:
    """
    The UDP echo server answers a C{DatagramSocket}, and shuts down.
    """
    server = twistd("openfl-echo", "--udp", f"--listen=udp:0:interface={HOST}")
    socket = DatagramSocket()
    arrived: Deferred[DatagramSocketDataEvent] = Deferred()
    socket.addEventListener(DatagramSocketDataEvent.DATA, arrived.callback)
    socket.bind(0, HOST)
    socket.receive()
    socket.send(b"hello", 0, 0, HOST, await portOf(server))
    assert (await arrived).data == b"Echo -- hello"
    await socket.close()
    await stop(server)
