"""
Servers that run on one core, and load for them from another.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import psutil

# How long a server may take until it listens, in seconds; and load, beside its own time.
PATIENCE = 240.0
LOAD_PATIENCE = 600.0

# What a program says at its end is the reason for it.
_SAID = 200

# Who takes no more memory for so long, in seconds, has come to rest.
_REST = 0.5

# How often the profiler looks, each second.
_LOOKS = 500

Settings = Mapping[str, int]


class Broken(Exception):
    """
    A server, or the load, did not do what it should. The text says what.
    """


def _cores() -> tuple[set[int], set[int]]:
    """
    Choose a core for the servers, and one for the load; the same if there is
    only one.
    """
    cores = sorted(os.sched_getaffinity(0))
    return {cores[0]}, {cores[-1]}


_serverCores, _loadCores = _cores()


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """
    Let what is started meanwhile run on some cores only.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class RunningServer:
    """
    A server's process.

    @ivar pid: its number.
    @ivar port: where it listens.
    """

    def __init__(self, command: list[str]) -> None:
        """
        @raise Broken: if it does not listen soon.
        """
        with _on(_serverCores):
            # A file, for nobody reads while the server is measured.
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 It is closed in stop.
            self._process = subprocess.Popen(
                command, stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        self.pid = self._process.pid
        self._seen = psutil.Process(self.pid)
        try:
            self.port = self._waitForPort(time.monotonic() + PATIENCE)
        except Broken:
            self.stop()
            raise

    def _waitForPort(self, deadline: float) -> int:
        """
        Ask the system where the process listens: what each program says of it is
        different.
        """
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                said = os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")
                raise Broken(f"ended at once: {said.strip()[-_SAID:]}")
            # It may end just now.
            with suppress(psutil.NoSuchProcess):
                for found in self._seen.net_connections("inet"):
                    datagrams = found.type == socket.SOCK_DGRAM
                    if datagrams or found.status == psutil.CONN_LISTEN:
                        return int(found.laddr.port)
            time.sleep(0.02)
        raise Broken("does not listen")

    def memory(self) -> int:
        """
        Read how many bytes of memory it has.
        """
        return int(self._seen.memory_info().rss)

    def resting(self) -> bool:
        """
        Say whether it has nothing to do. A process that waits for a core has.
        """
        return self._seen.status() == psutil.STATUS_SLEEPING

    def stop(self) -> None:
        """
        End it.
        """
        self._process.kill()
        self._process.wait()
        self._log.close()


class Laboratory:
    """
    Runs servers and load, and ends all of them at its own end.

    @ivar folder: where the load generator is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[tuple[str, ...], RunningServer] = {}

    def __enter__(self) -> "Laboratory":
        # What is started inherits it: there are workloads with ten thousand connections.
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for server in self._running.values():
            server.stop()

    def server(self, command: list[str]) -> RunningServer:
        """
        Get the server of a command; it is started once.

        @raise Broken: if it does not start.
        """
        key = tuple(command)
        if key not in self._running:
            self._running[key] = RunningServer(command)
        return self._running[key]

    def forget(self, command: list[str]) -> None:
        """
        End the server of a command.
        """
        server = self._running.pop(tuple(command), None)
        if server is not None:
            server.stop()

    def _load(
        self, load: str, server: RunningServer, settings: Settings
    ) -> "subprocess.Popen[str]":
        where = {"port": server.port, "pid": server.pid}
        words = [f"{name}={value}" for name, value in {**where, **settings}.items()]
        with _on(_loadCores):
            return subprocess.Popen(
                [str(self.folder / "load"), load, *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def cost(
        self,
        load: str,
        server: RunningServer,
        settings: Settings,
        seconds: float,
        warmup: float = 0.1,
    ) -> float:
        """
        Measure what a load costs a server.

        @param load: what the load generator does.
        @param settings: how much of it.
        @param seconds: how long.
        @param warmup: how long before that it does not count.
        @return: the server's CPU time in microseconds, for each that the load
            generator counts.
        @raise Broken: if the server did not do it.
        """
        times = {"duration": round(seconds * 1000), "warmup": round(warmup * 1000)}
        process = self._load(load, server, {**settings, **times})
        try:
            said, problem = process.communicate(timeout=LOAD_PATIENCE + seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise Broken("the load did not come to an end") from None
        if process.returncode:
            raise Broken(problem.strip())
        measured = json.loads(said)
        cost: float = measured["cpu"] / measured["count"] * 1e6
        return cost

    def memory(self, server: RunningServer, settings: Settings) -> float:
        """
        Measure what idle connections cost a server.

        @return: bytes of memory for each, without the kernel's.
        @raise Broken: if the server did not let them in.
        """
        process = self._load("idle", server, settings)
        try:
            before = self._when("begun", process, server)
            after = self._when("open", process, server)
        finally:
            process.kill()
            process.communicate()
        return (after - before) / settings["connections"]

    def _when(self, word: str, process: "subprocess.Popen[str]", server: RunningServer) -> int:
        assert process.stdout and process.stdin and process.stderr  # noqa: S101, PT018 Pipes.
        if process.stdout.readline().strip() != word:
            raise Broken(process.stderr.read().strip())
        # Some do not answer, so only this says that the server has taken all in.
        value, before = server.memory(), -1
        while value != before or not server.resting():
            time.sleep(_REST)
            value, before = server.memory(), value
        process.stdin.write("\n")
        process.stdin.flush()
        return value

    def stacks(self, load: str, server: RunningServer, settings: Settings, seconds: float) -> str:
        """
        Look again and again at what a server in Python does under a load.

        @param seconds: how long.
        @return: lines of stacks, from the outermost function to the innermost,
            with C{;} between them; and behind a space how often each was seen.
        @raise Broken: if there is no py-spy, or the system does not let it look.
        """
        path, program = self.folder / "stacks", Path(sys.executable).parent / "py-spy"
        words = ["--format=raw", "--full-filenames", f"--rate={_LOOKS}"]
        which = [f"--pid={server.pid}", f"--duration={max(1, round(seconds))}", f"--output={path}"]
        try:
            with _on(_loadCores):
                profiler = subprocess.Popen(
                    [str(program), "record", *words, *which],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
        except FileNotFoundError:
            raise Broken("py-spy is not installed") from None
        # If it looked only when the load lets it, it would see the server mostly in send.
        with suppress(psutil.Error):
            psutil.Process(profiler.pid).nice(-20)
        try:
            self.cost(load, server, settings, seconds, warmup=0.5)
        finally:
            _, problem = profiler.communicate()
        if profiler.returncode:
            raise Broken(f"py-spy: {problem.strip()}")
        return path.read_text()
