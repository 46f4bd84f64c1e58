"""
Shell commands: programs that exit, and servers that continue to run.
"""

import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

TIMEOUT = 240
"""
Timeout until a command has exited or is listening (seconds).
"""

LISTENS = re.compile(rb"[Ll]istening on|Ready to accept connections|Serving HTTP on|starting on \d")
"""
Output of a server that is listening. The next command is then run.
"""

ADDRESS_IN_USE = re.compile(rb"in use|Another twistd server is running")
"""
Output of a server whose address is still in use by a previous one.
"""


class PageError(AssertionError):
    """
    A page is wrong.
    """


class Command:
    """
    A command of a page, run by a shell.
    """

    def __init__(self, line: str, folder: Path, environment: dict[str, str]) -> None:
        self.line = line
        self.printed = b""
        self._process = subprocess.Popen(
            ["bash", "-c", line],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._output = self._process.stdout
        os.set_blocking(self._output.fileno(), False)
        self._reading = threading.Lock()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._drain():
            select.select([self._output], [], [])

    def _drain(self) -> bool:
        """
        Read the output that is available.

        @return: whether all writers have closed the pipe.
        """
        with self._reading, suppress(BlockingIOError):
            while data := os.read(self._output.fileno(), 65536):
                self.printed += data
            return True
        return False

    @property
    def text(self) -> str:
        """
        The output so far.
        """
        return self.printed.decode(errors="replace")

    def isReady(self) -> bool:
        """
        Return whether the command has exited or is listening.
        """
        if self._process.poll() is not None:
            # The pipe can still contain output.
            self._drain()
            return True
        return LISTENS.search(self.printed) is not None

    @property
    def outputClosed(self) -> bool:
        """
        Whether the command and its background processes have closed their output.
        """
        return not self._reader.is_alive()

    @property
    def status(self) -> int | None:
        """
        The exit status, or C{None} while the command runs.
        """
        return self._process.poll()

    def stop(self) -> None:
        """
        Terminate the command and its background processes.
        """
        # The process group exists as long as the pipe has a writer.
        if self._process.poll() is None or not self.outputClosed:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(TIMEOUT)
        self._reader.join(TIMEOUT)
        if self.outputClosed:
            self._output.close()


def wait(until: Callable[[], bool], seconds: float, message: str) -> None:
    """
    Wait until a condition is true.

    @param message: the error after a timeout.
    """
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise PageError(message)
        time.sleep(0.02)


def commandsIn(text: str) -> Iterator[str]:
    """
    Yield the commands of a block. An incomplete command continues in the next line.
    """
    command = ""
    for line in text.splitlines():
        command += line
        unfinished = subprocess.run(["bash", "-n", "-c", command], capture_output=True).returncode
        if unfinished or command.endswith("\\"):
            command += "\n"
            continue
        if command.strip():
            yield command
        command = ""
    if command:
        raise PageError(f"incomplete command: {command}")


def matches(expected: str, printed: str) -> bool:
    """
    Return whether the output contains the expected lines in order. C{…} matches any text
    within a line.
    """
    pattern = ".*?\n[^\n]*?".join(
        re.escape(line.strip()).replace("…", "[^\n]*") for line in expected.strip().splitlines()
    )
    return re.search(pattern, printed, re.DOTALL) is not None
