"""
Minimal runs of the benchmarks, with real servers.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import brokers
from benchmarks.comparing import Comparison
from benchmarks.results import Results
from benchmarks.servers import Server, buildLoad
from benchmarks.workloads import WORKLOADS

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("cc") is None, reason="the load is written in C"),
]

# One workload of each type, and each of our own servers.
NAMES = ["pipelined", "broadcast-16", "websocket", "policy", "datagrams", "large-8"]
OTHERS = ["say", "say-websocket", "tls", "idle-rooms", "idle-tls", "bytearray-read"]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1000,
    )


def test_speed(tmp_path: Path) -> None:
    """
    Each workload checks the answers of our servers and of the server in C, and returns
    their costs. Only servers that are not installed are skipped.
    """
    names = [*NAMES, *OTHERS]
    done = run(
        "--quick", "--servers=ours,C", f"--workloads={','.join(names)}", f"--write={tmp_path}"
    )
    assert done.returncode == 0, done.stderr
    results = Results.load(tmp_path / "topics" / "speed" / "speed.json")
    assert [*results.costs] == [each.name for each in WORKLOADS if each.name in names]
    for name, costs in results.costs.items():
        assert any(server.startswith("ours") for server in costs), name
        assert ("C" in costs) == (name in NAMES), name
        assert all(cost > 0 for each in costs.values() for cost in each), name
    assert {*results.missing} <= {"uvloop", "picows", "Node ws"}, results.missing


def test_growth() -> None:
    """
    A curve is measured for each server.
    """
    done = run("growth", "--quick", "--servers=ours twistd,C", "--workloads=rooms")
    assert done.returncode == 0, done.stderr
    assert "\nours twistd " in done.stdout
    assert "\nC " in done.stdout


def test_workers() -> None:
    """
    The cost and the throughput of worker processes are measured.
    """
    work = "--workloads=workers,workers-rate"
    done = run("growth", "--quick", "--servers=ours twistd", work)
    assert done.returncode == 0, done.stderr
    assert "more workers, CPU time of all processes" in done.stdout
    assert "more workers, throughput of all workers" in done.stdout
    assert "No server was skipped." in done.stdout


def test_unknown() -> None:
    """
    An unknown workload is an error, with a message.
    """
    done = run("--workloads=nothing")
    assert done.returncode == 2
    assert "unknown workload: nothing" in done.stderr


def test_broken(tmp_path: Path) -> None:
    """
    A server that exits or answers incorrectly is skipped with a reason; other servers
    are measured in each run.
    """
    assert buildLoad(tmp_path) == ""
    closing = (
        "import socket\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "while True: listener.accept()[0].close()"
    )
    peer = str(ROOT / "benchmarks" / "peers" / "loops.py")
    servers = [
        Server("ending", {"echo": [sys.executable, "-c", "raise SystemExit('no reason')"]}),
        Server("closing", {"echo": [sys.executable, "-c", closing]}),
        Server("asyncio", {"echo": [sys.executable, peer, "asyncio", "echo"]}),
    ]
    comparison = Comparison(tmp_path, servers, 0, 0.05, 2)
    comparison.run(WORKLOADS[0])
    title = WORKLOADS[0].title
    costs = comparison.results.costs["ping-pong"]
    assert {name: len(each) for name, each in costs.items()} == {"asyncio": 2}
    missing = comparison.results.missing
    assert missing[f"ending, {title}"] == "exited immediately: no reason"
    assert missing[f"closing, {title}"].startswith("load: ")


def test_brokers() -> None:
    """
    Messages are received in memory and through each installed broker, without loss.
    """
    done = subprocess.run(
        [sys.executable, "benchmarks/brokers.py", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=1000,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    installed = [name for name, command in brokers.PROGRAMS.items() if shutil.which(command[0])]
    expected = [[str(size), name] for size in brokers.SIZES for name in ["memory", *installed]]
    assert [row[:2] for row in rows] == expected
    assert all(float(rate) > 0 and lost == "0" for _, _, rate, *_, lost in rows)
