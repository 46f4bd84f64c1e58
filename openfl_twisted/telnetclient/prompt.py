"""
A terminal with an input line at the bottom and scrolling text above the input line. The input
line has a history. This is the only module that imports C{prompt_toolkit}.

The prompt runs in a separate thread with its own event loop. The methods in the last section
of the class run in that thread; all other methods run in the reactor's thread.
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

from openfl_twisted.telnetclient.connection import ClientProtocol
from openfl_twisted.telnetclient.terminal import visible

_MAX_HISTORY = 1000
"""
Maximum number of lines in the history.
"""

_MAX_HISTORY_BYTES = 256 * 1024
"""
Maximum number of bytes read from the history file.
"""

MAX_WAITING = 256 * 1024
"""
Maximum number of characters queued for a slow terminal. Above this number, reading from the
connection is paused.
"""

_MAX_UNFINISHED = 4096
"""
Maximum length of an unfinished line from the server that is shown as the prompt (characters).
"""

_secret = re.compile("pass ?(word|wort|phrase|code)", re.IGNORECASE)


def _historyFile() -> Path:
    """
    Return the path of the history file, as in the XDG Base Directory
    Specification.
    """
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.expanduser("~/.local/state")
    # Without a home directory, use a path below os.devnull, where no file can be created.
    folder = Path(state if os.path.isabs(state) else os.devnull)
    return folder / "openfl-twisted" / "telnet-history"


class _FileHistory(History):
    """
    The input history, in a file that only its owner can read, one entry per
    line. Errors when reading or writing the file are ignored.
    """

    def __init__(self, path: Path, isSecret: Callable[[], bool] = lambda: False) -> None:
        """
        @param isSecret: returns whether the latest line of input is secret. A secret line is
            not added to the history.
        """
        super().__init__()
        self._path = path
        self._isSecret = isSecret

    def load_history_strings(self) -> Iterable[str]:
        """
        Read the history, latest line first. A file that has become too long is
        truncated.
        """
        with contextlib.suppress(OSError):
            with self._path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _MAX_HISTORY_BYTES))
                data = file.read(_MAX_HISTORY_BYTES)
            lines = data.decode(errors="replace").split("\n")[:-1]
            if len(lines) > _MAX_HISTORY or len(data) == _MAX_HISTORY_BYTES:
                # The first line of the tail may be incomplete.
                lines = lines[1:][-_MAX_HISTORY:]
                self._write("w", "".join(f"{line}\n" for line in lines))
            return lines[::-1]
        return []

    def append_string(self, string: str) -> None:
        if not self._isSecret():
            super().append_string(string)
            del self._loaded_strings[_MAX_HISTORY:]

    def store_string(self, string: str) -> None:
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
    An interactive terminal.

    An unfinished line from the server, such as C{login: }, is shown as the prompt. If this
    line asks for a password, the input is neither shown nor added to the history.
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
        @param reactor: an C{IReactorFromThreads} provider.
        @param history: the history file (default: L{_historyFile}).
        @param input: the input (default: the terminal).
        @param output: the output (default: the terminal).
        """
        self._reactor = reactor
        self._input = input
        self._output = output
        self._history = _FileHistory(history or _historyFile(), self._asksForSecret)
        self._stopped: Deferred[None] = Deferred()
        self._waiting = ""
        self._pausing = False
        self._stopping = False
        # Whether the prompt is running and has written all text.
        self._idle = False
        self._problem = ""
        # The following attributes are used by the thread of the prompt.
        self._unfinished = ""

    # The interface Terminal

    def start(self, connection: ClientProtocol) -> None:
        """
        Start prompting for lines.

        @param connection: the connection. Its C{sendInput} is called with each
            line, and its C{close} at the end of the input.
        """
        self._connection = connection
        self._thread = Thread(target=self._run, name="prompt", daemon=True)
        self._thread.start()

    def show(self, text: str) -> None:
        """
        Write text above the input line, with control characters made
        L{visible}.

        @param text: text from the server, in chunks of any size. While more than
            L{MAX_WAITING} characters are queued, reading from the connection is paused.
        """
        if self._stopped.called:
            return
        self._waiting += visible(text)
        if len(self._waiting) > MAX_WAITING and not self._pausing:
            self._pausing = True
            self._connection.transport.pauseProducing()
        self._process()

    def stop(self) -> Deferred[None]:
        """
        Stop the prompt.

        @return: fires when all text has been written, and the terminal is in its
            previous state.
        """
        self._stopping = True
        self._process()
        return self._stopped

    # Called in the reactor's thread by the prompt

    def _ready(self) -> None:
        self._idle = True
        if self._pausing and len(self._waiting) <= MAX_WAITING:
            self._pausing = False
            self._connection.transport.resumeProducing()
        self._process()

    def _process(self) -> None:
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
        # The event loop may have ended already. In this case, _ended() is called soon.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments, context=self._context)

    def _ended(self) -> None:
        self._idle = False
        self._connection.close(self._problem)
        self._stopped.callback(None)

    # Called in the thread of the prompt

    def _run(self) -> None:
        try:
            asyncio.run(self._ask())
        except (EOFError, asyncio.CancelledError):
            pass
        except Exception as problem:
            # A closed terminal can cause any exception, and cannot show a traceback.
            self._problem = f"terminal error: {problem}"
        self._reactor.callFromThread(self._ended)

    async def _ask(self) -> None:
        self._session: PromptSession[str] = PromptSession(
            lambda: self._unfinished,
            history=self._history,
            is_password=Condition(self._asksForSecret),
            input=self._input,
            output=self._output,
            # Ctrl-C acts like Ctrl-D: a KeyboardInterrupt could stop the event loop at any point.
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
            # Pasted text can contain several lines.
            for line in text.split("\n"):
                self._reactor.callFromThread(self._connection.sendInput, line)

    def _asksForSecret(self) -> bool:
        return _secret.search(self._unfinished) is not None

    def _write(self, text: str) -> None:
        lines, newline, rest = (self._unfinished + text).rpartition("\n")
        if len(rest) > _MAX_UNFINISHED:
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
