"""
The commands in the environment of a container: the first process, a read-only file system, an
unprivileged user, no network and no name service.
"""

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
import yaml

from tests.clients.conftest import need
from tests.live import live
from tests.live.peers import HOST, TWISTD, Process, pause, run

pytestmark = pytest.mark.slow

# The capability lets the unprivileged user read the environment of the tests in any directory.
_CONTAINER = """
ip link set lo up
mount --make-rprivate / && mount -o remount,bind,ro /
mount --bind /dev/null /etc/resolv.conf
mount --bind /dev/null /etc/hosts
cd "$1"; shift
exec setpriv --reuid 65534 --regid 65534 --clear-groups \
    --inh-caps +dac_read_search --ambient-caps +dac_read_search env HOME=/nonexistent "$@"
"""


def contained(folder: Path, *command: str) -> Process:
    """
    Run a program as the first process of new namespaces.

    @param folder: its current directory.
    """
    need(
        shutil.which("unshare") and shutil.which("setpriv") and os.getuid() == 0,
        "unshare and setpriv require root privileges",
    )
    found = shutil.which("unshare") or ""
    unshare = [found, "--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    allowed = subprocess.run([*unshare, "true"], capture_output=True)
    need(allowed.returncode == 0, "the system does not permit namespaces")
    return run(*unshare, "sh", "-ec", _CONTAINER, "sh", str(folder), *command)


def childOf(process: Process) -> int:
    """
    Return the process ID of a program in namespaces.
    """
    pid = process.transport.pid
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text())


async def terminate(process: Process) -> None:
    """
    Stop a program in namespaces. C{unshare} ignores the signal, and so does process 1 before it has
    installed a handler.
    """
    while not process.ended.called:
        with suppress(OSError, ValueError):
            os.kill(childOf(process), signal.SIGTERM)
        await pause(0.2)


@live
async def test_container(tmp_path: Path) -> None:
    """
    A server starts as process 1 in a read-only file system without network and name service, and
    prints no errors, although a pid file with its own process ID exists.
    """
    (tmp_path / "twistd.pid").write_text("1")
    tmp_path.chmod(0o755)
    command = (TWISTD[0], "-n", "openfl-xml", "--echo", f"--listen=tcp:0:interface={HOST}")
    for options in ((), ("--workers=2",)):
        server = contained(tmp_path, *command, *options)
        printed = await server.until(b"listening on 127.0.0.1:")
        await terminate(server)
        for word in ("Traceback", "Errno", "rror", "cache", "pid file", "running"):
            assert word not in printed, printed
    assert (tmp_path / "twistd.pid").read_text() == "1"


DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"


def instruction(name: str) -> list[str]:
    """
    Return the command of a line of the Dockerfile.
    """
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(rf"^{name}\b.*?(\[.*\])$", text, re.MULTILINE)
    assert found is not None
    command: list[str] = json.loads(found[1])
    return command


@live
async def test_dockerfile(tmp_path: Path) -> None:
    """
    The command of the Dockerfile serves clients of other machines, and the health check succeeds
    until the server drains.
    """
    need(shutil.which("nsenter"), "nsenter is not installed")
    twistd, *arguments = instruction("CMD")
    python, *check = instruction("HEALTHCHECK")
    assert (twistd, python) == ("twistd", "python")
    server = contained(tmp_path, "env", "OPENFL_PUBLIC=true", TWISTD[0], *arguments)
    printed = await server.until(b"listening on")
    assert "listening on 0.0.0.0:8080 (all interfaces)" in printed

    async def isHealthy() -> bool:
        pid = str(childOf(server))
        nsenter = shutil.which("nsenter") or ""
        checking = run(nsenter, "--target", pid, "--net", sys.executable, *check)
        return await checking.ended == 0

    while not await isHealthy():
        await pause(0.1)
    os.kill(childOf(server), signal.SIGUSR2)
    await server.until(b"draining")
    assert not await isHealthy()
    await terminate(server)


def test_compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The services of the Compose file have valid options, share the broker, and run without
    privileges. The build context contains the files that the Dockerfile copies.
    """
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    servers = [compose["services"][name] for name in ("one", "two")]
    assert [each["ports"] for each in servers] == [["8081:8080"], ["8082:8080"]]
    for each in servers:
        assert each["read_only"] and each["cap_drop"] == ["ALL"]
        assert each["restart"] == "on-failure"
        for name, value in each["environment"].items():
            monkeypatch.setenv(name, value)
        done = subprocess.run(
            [TWISTD[0], "openfl-xml", "--show-config"], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stdout
        assert tomllib.loads(done.stdout)["broker"] == "redis://redis:6379"
    build = servers[0]["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context / build["dockerfile"] == DEPLOY / "Dockerfile"
    text = (DEPLOY / "Dockerfile").read_text()
    for copied in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE):
        for name in copied.split():
            assert (context / name).exists(), name


@live
async def test_kubernetes(tmp_path: Path) -> None:
    """
    In the file for Kubernetes, the options are valid, the times suit each other, and the hook
    drains the server and waits for its end.
    """
    need(os.name == "posix", "requires signals")
    deployment, service = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"] == pod["metadata"]["labels"]
    [container] = pod["spec"]["containers"]
    environment = {each["name"]: each["value"] for each in container["env"]}
    done = subprocess.run(
        [TWISTD[0], "openfl-xml", "--public", "--show-config"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, **environment},
    )
    assert "warning" not in done.stdout
    options = tomllib.loads(done.stdout)
    probe = container["readinessProbe"]
    assert probe["httpGet"]["port"] == container["ports"][0]["containerPort"] == 8080
    assert probe["periodSeconds"] * probe["failureThreshold"] < options["drain-delay"]
    stopping = sum(options[name] for name in ("drain-delay", "drain-timeout", "shutdown-timeout"))
    assert stopping < pod["spec"]["terminationGracePeriodSeconds"]
    shell, dash, hook = container["lifecycle"]["preStop"]["exec"]["command"]
    server = run(
        *TWISTD[:1], "-n", "openfl-xml", "--drain-delay=0", f"--listen=tcp:0:interface={HOST}"
    )
    printed = await server.until(b"listening on 127.0.0.1:")
    port = int(printed.partition("listening on 127.0.0.1:")[2].split()[0])
    # The signal handler is installed when the reactor runs, and so when it answers.
    checking = http.client.HTTPConnection(HOST, port, timeout=10)
    checking.request("GET", "/healthz")
    assert checking.getresponse().status == 200
    checking.close()
    # In the container, the server is process 1.
    hook = re.sub(r"(?<=kill -USR2 )1\b|(?<=kill -0 )1\b", str(server.transport.pid), hook)
    stopped = run(shell, dash, hook)
    assert await server.ended == 0
    # The last kill fails, since the process does not exist any longer.
    await stopped.ended


@live
async def test_secondServer(tmp_path: Path) -> None:
    """
    A second server in the same directory and on the same port ends with one line that names the
    port and the cure.
    """
    need(os.name == "posix", "requires POSIX")
    command = (TWISTD[0], "-n", "openfl-xml")
    first = run(*command, f"--listen=tcp:0:interface={HOST}", path=str(tmp_path))
    printed = await first.until(b"listening on 127.0.0.1:")
    port = printed.partition("listening on 127.0.0.1:")[2].split()[0]
    second = run(*command, f"--listen=tcp:{port}:interface={HOST}", path=str(tmp_path))
    assert await second.ended == 1
    assert (
        second.printed.decode()
        .splitlines()[-1]
        .endswith(
            f"cannot listen on 127.0.0.1:{port}: Address already in use; "
            "another program or socket uses the port: stop it, or use another port"
        )
    )
    assert not [*tmp_path.iterdir()]
    first.transport.signalProcess("TERM")
    await first.ended
