"""
The commands in the environment of a container: the first process, a read-only file system, an
unprivileged user, no network and no name service.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import need
from tests.live import live
from tests.live.peers import HOST, TWISTD, Process, pause, run

pytestmark = pytest.mark.slow

# The capability lets the unprivileged user read the environment of the tests in any directory.
_CONTAINER = """
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


async def terminate(process: Process) -> None:
    """
    Stop a program in namespaces. C{unshare} ignores the signal, and so does process 1 before it has
    installed a handler.
    """
    children = Path(f"/proc/{process.transport.pid}/task/{process.transport.pid}/children")
    while not process.ended.called:
        for child in children.read_text().split() if children.exists() else []:
            os.kill(int(child), signal.SIGTERM)
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
            "stop the program that uses this port, or choose another port"
        )
    )
    assert not [*tmp_path.iterdir()]
    first.transport.signalProcess("TERM")
    await first.ended
