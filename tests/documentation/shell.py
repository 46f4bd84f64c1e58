"""
A shell as a reader has it: commands that end, and servers that go on.
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

PATIENCE = 240
"""
How many seconds a command may take until it has ended or listens: the last
resort against one that hangs.
"""

LISTENS = re.compile(rb"[Ll]istening on|Ready to accept connections|Serving HTTP on|starting on \d")
"""
What servers say when they can be reached: then the next command is typed.
"""

TAKEN = re.compile(rb"in use|Another twistd server is running")
"""
What a server says that takes the place of one that is still there.
"""


class Wrong(AssertionError):
    """
    A page does not do what it says.
    """


class Command:
    """
    A command that has been typed.
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
        Read the output that is in the pipe.

        @return: whether the pipe has no writer left.
        """
        with self._reading, suppress(BlockingIOError):
            while data := os.read(self._output.fileno(), 65536):
                self.printed += data
            return True
        return False

    @property
    def text(self) -> str:
        """
        What it has printed.
        """
        return self.printed.decode(errors="replace")

    def settled(self) -> bool:
        """
        Say whether it has ended, or can be reached.
        """
        if self._process.poll() is not None:
            # The end of its output may still be in the pipe.
            self._drain()
            return True
        return LISTENS.search(self.printed) is not None

    @property
    def silent(self) -> bool:
        """
        Whether no program is left that can print: neither the command nor a
        program that it started in the background.
        """
        return not self._reader.is_alive()

    @property
    def status(self) -> int | None:
        """
        Its exit status; C{None} while it runs.
        """
        return self._process.poll()

    def stop(self) -> None:
        """
        End it, with all that it has started.
        """
        # While the pipe has a writer, the process group exists.
        if self._process.poll() is None or not self.silent:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self.silent:
            self._output.close()


def wait(until: Callable[[], bool], seconds: float, what: str) -> None:
    """
    Wait until something is so.
    """
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise Wrong(what)
        time.sleep(0.02)


def commandsIn(text: str) -> Iterator[str]:
    """
    Read a block that is typed into a shell: a line is a command, but one whose
    end is still to come goes on.
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
        raise Wrong(f"this command has no end: {command}")


def matches(expected: str, printed: str) -> bool:
    """
    Say whether the lines stand in what was printed, one after the other; C{…} in
    them stands for anything.
    """
    pattern = ".*?\n[^\n]*?".join(
        re.escape(line.strip()).replace("…", "[^\n]*") for line in expected.strip().splitlines()
    )
    return re.search(pattern, printed, re.DOTALL) is not None
