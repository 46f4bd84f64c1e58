"""
A line to type in at the bottom of a terminal, with history, while text scrolls
by above it: C{prompt_toolkit}, which is not needed elsewhere.

It runs in a thread of its own, with an event loop of its own; the connection
stays in the reactor's thread. What is written for the thread of the prompt is
marked so; everything else is called by the reactor.
"""

import asyncio
import contextlib
import contextvars
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Thread
from typing import Any

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output
from twisted.internet.defer import Deferred

from openfl_twisted.telnetclient.connection import Call
from openfl_twisted.telnetclient.terminal import visible

MAX_HISTORY = 1000
"""
How many lines are remembered.
"""

MAX_HISTORY_BYTES = 256 * 1024
"""
How many bytes of the file with the history are looked at.
"""

MAX_WAITING = 256 * 1024
"""
How many characters may wait for a slow terminal before nothing more is taken
from the server.
"""

MAX_UNFINISHED = 4096
"""
How long a line without an end may be to stand in front of what is typed.
"""

_secret = re.compile("pass ?(word|wort|phrase|code)", re.IGNORECASE)


def historyFile() -> Path:
    """
    Name the file with the history: in the user's folder for such things, by the
    XDG Base Directory Specification.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.expanduser("~/.local/state")
    # Who has no home has no file: none can be made in what is no folder.
    folder = Path(state if os.path.isabs(state) else os.devnull)
    return folder / "openfl-twisted" / "telnet-history"


class FileHistory(History):
    """
    The lines that were typed, in a file that only its owner can read, one on
    each line.

    A file that cannot be read or written is done without.
    """

    def __init__(self, path: Path, isSecret: Callable[[], bool] = lambda: False) -> None:
        """
        @param path: the file.
        @param isSecret: says whether the line that has just been typed is one
            to be forgotten.
        """
        super().__init__()
        self._path = path
        self._isSecret = isSecret

    def load_history_strings(self) -> Iterable[str]:
        """
        Read the lines, the last one first. A file that has become too long is
        cut.
        """
        with contextlib.suppress(OSError):
            with self._path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - MAX_HISTORY_BYTES))
                data = file.read(MAX_HISTORY_BYTES)
            lines = data.decode(errors="replace").split("\n")[:-1]
            if len(lines) > MAX_HISTORY or len(data) == MAX_HISTORY_BYTES:
                # The first of them may be the rest of one.
                lines = lines[1:][-MAX_HISTORY:]
                self._write("w", "".join(f"{line}\n" for line in lines))
            return lines[::-1]
        return []

    def append_string(self, string: str) -> None:
        """
        Remember a line, unless it is a secret.
        """
        if not self._isSecret():
            super().append_string(string)
            del self._loaded_strings[MAX_HISTORY:]

    def store_string(self, string: str) -> None:
        """
        Write a line to the file.
        """
        self._write("a", string.replace("\n", " ") + "\n")

    def _write(self, mode: str, text: str) -> None:
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(
                self._path, mode, encoding="utf-8", errors="replace", opener=_private
            ) as file:
                file.write(text)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class PromptTerminal:
    """
    A person at a terminal.

    The last line from the server, while it has no end, stands in front of what
    is typed, as in C{login: }. If it asks for a password, that is not shown,
    and not remembered.
    """

    def __init__(
        self,
        reactor: Any,
        history: Path | None = None,
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        """
        @param reactor: provides C{IReactorFromThreads}.
        @param history: the file with the history; L{historyFile} if not given.
        @param input: where lines are typed; the terminal if not given.
        @param output: where they are shown; the terminal if not given.
        """
        self._reactor = reactor
        self._input = input
        self._output = output
        self._history = FileHistory(history or historyFile(), self._asksForSecret)
        self._stopped: Deferred[None] = Deferred()
        self._waiting = ""
        self._pausing = False
        self._stopping = False
        # Whether the thread of the prompt is there and has nothing to write.
        self._idle = False
        self._problem = ""
        # The rest is of the thread of the prompt.
        self._unfinished = ""

    # What the program calls

    def start(self, call: Call) -> None:
        """
        Begin to ask for lines.

        @param call: the connection. L{Call.say} is called with each line, and
            L{Call.hangUp} when there are no more.
        """
        self._call = call
        self._thread = Thread(target=self._run, name="prompt", daemon=True)
        self._thread.start()

    def show(self, text: str) -> None:
        """
        Write text above the line that is being typed.

        @param text: what the server has said, cut anywhere; see L{visible} for
            what is shown of it. While more than L{MAX_WAITING} characters of it
            wait, nothing is read from the server.
        """
        if self._stopped.called:
            return
        self._waiting += visible(text)
        if len(self._waiting) > MAX_WAITING and not self._pausing:
            self._pausing = True
            self._call.transport.pauseProducing()
        self._pass()

    def stop(self) -> Deferred[None]:
        """
        Ask for no more lines.

        @return: fires when all text has been written, and the terminal is as it
            was.
        """
        self._stopping = True
        self._pass()
        return self._stopped

    # What the thread of the prompt has the reactor call

    def _ready(self) -> None:
        self._idle = True
        if self._pausing and len(self._waiting) <= MAX_WAITING:
            self._pausing = False
            self._call.transport.resumeProducing()
        self._pass()

    def _pass(self) -> None:
        """
        Give the other thread what it can do now.
        """
        if not self._idle:
            return
        if self._waiting:
            text, self._waiting = self._waiting, ""
            self._idle = False
            self._inPrompt(self._write, text)
        elif self._stopping:
            self._idle = False
            self._inPrompt(self._asking.cancel)

    def _inPrompt(self, function: Callable[..., object], *arguments: Any) -> None:
        # The loop may have ended by itself, and that is on its way to us.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments, context=self._context)

    def _ended(self) -> None:
        self._idle = False
        self._call.hangUp(self._problem)
        self._stopped.callback(None)

    # What the thread of the prompt does

    def _run(self) -> None:
        """
        Be the thread of the prompt.
        """
        try:
            asyncio.run(self._ask())
        except (EOFError, asyncio.CancelledError):
            pass
        except Exception as problem:
            # A terminal that went away can fail in any way, and nobody could read a traceback.
            self._problem = f"the terminal failed: {problem}"
        self._reactor.callFromThread(self._ended)

    async def _ask(self) -> None:
        """
        Ask for lines, until there are no more.
        """
        self._session: PromptSession[str] = PromptSession(
            lambda: self._unfinished,
            history=self._history,
            is_password=Condition(self._asksForSecret),
            input=self._input,
            output=self._output,
            # Ctrl-C as Ctrl-D: a KeyboardInterrupt would stop the loop wherever it is.
            interrupt_exception=EOFError,
        )
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._asking: asyncio.Future[None] = asyncio.ensure_future(self._askOn())
        self._reactor.callFromThread(self._ready)
        await self._asking

    async def _askOn(self) -> None:
        while True:
            text = await self._session.prompt_async()
            self._unfinished = ""
            # What is pasted can be many lines.
            for line in text.split("\n"):
                self._reactor.callFromThread(self._call.say, line)

    def _asksForSecret(self) -> bool:
        return _secret.search(self._unfinished) is not None

    def _write(self, text: str) -> None:
        lines, newline, rest = (self._unfinished + text).rpartition("\n")
        if len(rest) > MAX_UNFINISHED:
            lines, newline, rest = lines + newline + rest, "\n", ""
        self._unfinished = rest
        self._session.app.invalidate()
        self._writing = asyncio.ensure_future(self._writeAbove(lines + newline))

    async def _writeAbove(self, text: str) -> None:
        if text:
            await run_in_terminal(lambda: self._print(text))
        self._reactor.callFromThread(self._ready)

    def _print(self, text: str) -> None:
        self._session.app.output.write(text)
        self._session.app.output.flush()
