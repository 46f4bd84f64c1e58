"""
C{openfl-load} as a process.
"""

import json
import sys
from pathlib import Path
from typing import Any

import trustme

from tests.live import live
from tests.live.peers import HOST, Process, portOf, run, stop, twistd

LOAD = str(Path(sys.executable).parent / "openfl-load")
LISTEN = f"--listen=tcp:0:interface={HOST}"


async def ended(process: Process, status: int = 0) -> str:
    """
    Wait for the exit of the program, and check its status.

    @return: the printed text.
    """
    assert await process.ended == status, process.printed
    printed = process.printed.decode()
    assert "Traceback" not in printed
    return printed


async def reportOf(*arguments: str) -> Any:
    """
    Run the program, and return its JSON report.
    """
    printed = await ended(run(LOAD, "--json", *arguments))
    # The progress is printed before the report.
    return json.loads(printed[printed.index("{") :])


@live
async def test_echo(tmp_path: Path) -> None:
    """
    Bots connect over TCP, WebSocket and TLS, and each request is answered.
    """
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(certificate)
    server = twistd("openfl-xml", "--echo", f"--tls-certificate={certificate}", LISTEN)
    port = await portOf(server)
    plan = ("--clients=50", "--connect-rate=1000", "--rate=10", "--for=1")
    for target in (f"tcp:{HOST}:{port}", f"ws://{HOST}:{port}/"):
        report = await reportOf(*plan, target)
        assert report["bots"] == {"planned": 50, "connected": 50, "failed": 0, "closed": 0}
        # On a slow machine, some calls are late, and are dropped or skipped.
        left = report["late"]["dropped"] + report["skipped"]
        assert report["requests"] + left == 500
        assert report["answers"]["count"] + report["unanswered"] == report["requests"]
        assert 0 < report["answers"]["p50"] <= report["answers"]["p99"]
    secure = ("--clients=3", "--rate=10", "--for=0.5", f"--ca={tmp_path}/ca.pem")
    for target in (f"tls:{HOST}:{port}", f"wss://{HOST}:{port}/"):
        report = await reportOf(*secure, target)
        assert report["bots"]["connected"] == 3
        assert report["answers"]["count"] > 0
    await stop(server)


@live
async def test_interrupted() -> None:
    """
    Ctrl-C ends the test early, with the report.
    """
    server = twistd("openfl-xml", "--echo", LISTEN)
    port = await portOf(server)
    for name in ("INT", "TERM"):
        process = run(LOAD, "--clients=1", "--for=1000", f"tcp:{HOST}:{port}")
        await process.until(b"running 0 s, 1 bots")
        process.transport.signalProcess(name)
        assert "1 connected, 0 failed, 0 closed early" in await ended(process)
    await stop(server)


@live
async def test_closed() -> None:
    """
    If the server stops before the end, the status is 1.
    """
    server = twistd("openfl-xml", "--echo", LISTEN)
    port = await portOf(server)
    process = run(LOAD, "--clients=2", "--for=1000", f"tcp:{HOST}:{port}")
    await process.until(b"running 0 s, 2 bots")
    await stop(server)
    printed = await ended(process, 1)
    assert "       2  the server closed the connection" in printed


@live
async def test_errors(tmp_path: Path) -> None:
    """
    Mistakes of the user are errors of one line.
    """
    (tmp_path / "bots.py").write_text("class Walker:\n    pass\n\nx = (\n")
    for arguments, words in [
        (
            ["--app=bots:Walker", f"tcp:{HOST}:1"],
            "SyntaxError: '(' was never closed (bots.py, line 4)",
        ),
        (["--app=missing:Walker", f"tcp:{HOST}:1"], "No module named 'missing'"),
        (["tcp:games.example:1"], "games.example is not a loopback address"),
        (["--nonsense"], "option --nonsense not recognized"),
    ]:
        [line] = (await ended(run(LOAD, *arguments, path=str(tmp_path)), 2)).splitlines()
        assert words in line
        assert line.startswith("openfl-load: ")
        assert line.endswith("; see --help")
