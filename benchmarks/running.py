"""
Processes of servers, and of the load generator on another core.
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

from benchmarks.load.tls import cpuTime

# Timeouts for the start of a server, and of the load in addition to its duration
# (seconds).
START_TIMEOUT = 240.0
LOAD_TIMEOUT = 600.0

# Time between two checks whether a server listens (seconds).
_POLL_TIME = 0.002

# Length of a program's last output to include in an error.
_MAX_OUTPUT = 200

# A process is idle when its memory has not grown for this time (seconds).
_IDLE_TIME = 0.5

# Samples of the profiler per second.
_SAMPLE_RATE = 500

_TLS_LOAD = Path(__file__).parent / "load" / "tls.py"

ANCHORS = "anchors.pem"
"""
The file of the certificates that the load generator trusts.
"""

Settings = Mapping[str, int]


class MeasurementError(Exception):
    """
    A server or the load generator failed. The text is the reason.
    """


def _cores() -> tuple[set[int], set[int], set[int]]:
    """
    Return the cores of the servers, of the load, and of servers with workers. With fewer than
    three cores, they overlap.
    """
    cores = sorted(os.sched_getaffinity(0))
    return {cores[0]}, {cores[-1]}, set(cores[:-1] if len(cores) > 2 else cores)


_serverCores, _loadCores, _workerCores = _cores()

_WORKERS = "--workers="


@contextmanager
def _onCores(cores: set[int]) -> Iterator[None]:
    """
    Run the processes started within the context on some cores only.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class RunningServer:
    """
    The process of a server.

    @ivar pid: its process ID.
    @ivar port: the port on which it listens.
    @ivar elapsed: time until it listened (seconds).
    @ivar cpu: its CPU time until then (seconds).
    """

    def __init__(self, command: list[str]) -> None:
        """
        @raise MeasurementError: if the server does not listen within L{START_TIMEOUT}.
        """
        began = time.perf_counter()
        found = [each.removeprefix(_WORKERS) for each in command if each.startswith(_WORKERS)]
        self._workers = int(found[0]) if found else 1
        with _onCores(_serverCores if self._workers == 1 else _workerCores):
            # A pipe could fill up, since its output is not read during the measurement.
            self._log = tempfile.TemporaryFile()  # noqa: SIM115 It is closed in stop.
            self._process = subprocess.Popen(
                command, stdout=self._log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL
            )
        self.pid = self._process.pid
        self._processInfo = psutil.Process(self.pid)
        try:
            with _onCores(_loadCores):
                self.port = self._waitForPort(time.monotonic() + START_TIMEOUT)
        except MeasurementError:
            self.stop()
            raise
        self.elapsed, self.cpu = time.perf_counter() - began, cpuTime(self.pid)

    def _waitForPort(self, deadline: float) -> int:
        """
        Poll the system for the listening port, since each program reports it differently. With
        workers, wait until all of them listen.
        """
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                output = os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")
                raise MeasurementError(f"exited immediately: {output.strip()[-_MAX_OUTPUT:]}")
            # The process can exit at this point.
            with suppress(psutil.NoSuchProcess):
                ports = [
                    found.laddr.port
                    for found in self._processInfo.net_connections("inet")
                    if found.type == socket.SOCK_DGRAM or found.status == psutil.CONN_LISTEN
                ]
                if len(ports) >= self._workers:
                    return int(ports[0])
            time.sleep(_POLL_TIME)
        raise MeasurementError(f"not listening after {START_TIMEOUT:g} seconds")

    def pids(self) -> list[int]:
        """
        Return the process IDs of the process and its workers.
        """
        return [self.pid, *(child.pid for child in self._processInfo.children())]

    def memory(self) -> int:
        """
        Return the resident memory (bytes).
        """
        return int(self._processInfo.memory_info().rss)

    def isIdle(self) -> bool:
        """
        Return whether the process is sleeping. A process that waits for a core is not.
        """
        return self._processInfo.status() == psutil.STATUS_SLEEPING

    def stop(self) -> None:
        """
        Kill the process and wait for its exit.
        """
        self._process.kill()
        self._process.wait()
        self._log.close()


class Laboratory:
    """
    Context manager that runs servers and load, and stops them at its exit.

    @ivar folder: the folder of the load generator and the certificates.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[tuple[str, ...], RunningServer] = {}

    def __enter__(self) -> "Laboratory":
        # Child processes inherit the limit. Some workloads have ten thousand connections.
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
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
        Return the server of a command. It is started at the first use.

        @raise MeasurementError: if the server does not start.
        """
        key = tuple(command)
        if key not in self._running:
            self._running[key] = RunningServer(command)
        return self._running[key]

    def stop(self, command: list[str]) -> None:
        """
        Stop the server of a command.
        """
        server = self._running.pop(tuple(command), None)
        if server is not None:
            server.stop()

    def _load(
        self, load: str, server: RunningServer, settings: Settings
    ) -> "subprocess.Popen[str]":
        arguments = [f"{name}={value}" for name, value in settings.items()]
        arguments += [f"port={server.port}", *(f"pid={pid}" for pid in server.pids())]
        program = [str(self.folder / "load"), load]
        if load.startswith("tls"):
            program = [sys.executable, str(_TLS_LOAD), load, str(self.folder / ANCHORS)]
        with _onCores(_loadCores):
            return subprocess.Popen(
                [*program, *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

    def cost(self, load: str, server: RunningServer, settings: Settings, seconds: float) -> float:
        """
        Measure the CPU time that a load costs a server.

        @param load: the kind of load.
        @param settings: the settings of the load.
        @param seconds: duration of the measurement.
        @return: CPU time of the server and its workers per unit of the load (microseconds).
        @raise MeasurementError: if the load generator reports an error.
        """
        measured = self._run(load, server, settings, seconds)
        return measured["cpu"] / measured["count"] * 1e6

    def rate(self, load: str, server: RunningServer, settings: Settings, seconds: float) -> float:
        """
        Measure how fast a server completes a load.

        @param load: see L{cost}.
        @param settings: see L{cost}.
        @param seconds: see L{cost}.
        @return: units of the load per second.
        @raise MeasurementError: if the load generator reports an error.
        """
        measured = self._run(load, server, settings, seconds)
        return measured["count"] / measured["elapsed"]

    def _run(
        self, load: str, server: RunningServer, settings: Settings, seconds: float
    ) -> dict[str, float]:
        """
        Run the load generator.

        @return: its results: C{count}, C{cpu} and C{elapsed}.
        @raise MeasurementError: if the load generator reports an error.
        """
        # Opening the connections causes further work in the first half of a second.
        warmup = max(0.1, seconds / 4)
        times = {"duration": round(seconds * 1000), "warmup": round(warmup * 1000)}
        process = self._load(load, server, {**settings, **times})
        try:
            output, problem = process.communicate(timeout=LOAD_TIMEOUT + seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise MeasurementError("the load generator timed out") from None
        if process.returncode:
            raise MeasurementError(problem.strip())
        measured: dict[str, float] = json.loads(output)
        return measured

    def memory(self, load: str, server: RunningServer, settings: Settings) -> float:
        """
        Measure the memory of idle connections.

        @param load: the kind of load.
        @return: memory of the process per connection (bytes), without the kernel's.
        @raise MeasurementError: if the connections cannot be opened.
        """
        process = self._load(load, server, settings)
        try:
            before = self._memoryAt("begun", process, server)
            after = self._memoryAt("open", process, server)
        finally:
            process.kill()
            process.communicate()
        return (after - before) / settings["connections"]

    def _memoryAt(self, phase: str, process: "subprocess.Popen[str]", server: RunningServer) -> int:
        assert process.stdout and process.stdin and process.stderr  # noqa: S101, PT018 Pipes.
        if process.stdout.readline().strip() != phase:
            raise MeasurementError(process.stderr.read().strip())
        # Some servers send no reply, so this is the only sign that all connections were
        # accepted.
        value, before = server.memory(), -1
        while value != before or not server.isIdle():
            time.sleep(_IDLE_TIME)
            value, before = server.memory(), value
        process.stdin.write("\n")
        process.stdin.flush()
        return value

    def stacks(self, load: str, server: RunningServer, settings: Settings, seconds: float) -> str:
        """
        Sample the stacks of a Python server under a load.

        @param seconds: duration of the profile.
        @return: a line for each stack: functions from the outermost to the innermost,
            separated by C{;}, then a space and the number of samples.
        @raise MeasurementError: if py-spy is not installed or not permitted.
        """
        path, program = self.folder / "stacks", Path(sys.executable).parent / "py-spy"
        arguments = ["--format=raw", "--full-filenames", f"--rate={_SAMPLE_RATE}"]
        options = [
            f"--pid={server.pid}",
            f"--duration={max(1, round(seconds))}",
            f"--output={path}",
        ]
        try:
            with _onCores(_loadCores):
                profiler = subprocess.Popen(
                    [str(program), "record", *arguments, *options],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    text=True,
                )
        except FileNotFoundError:
            raise MeasurementError("py-spy is not installed") from None
        # With a lower priority than the load, hard samples would be taken in send.
        with suppress(psutil.Error):
            psutil.Process(profiler.pid).nice(-20)
        try:
            self.cost(load, server, settings, seconds)
        finally:
            _, problem = profiler.communicate()
        if profiler.returncode:
            raise MeasurementError(f"py-spy: {problem.strip()}")
        return path.read_text()
