"""
Tests for L{openfl_twisted.telnetclient.prompt}.
"""

import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from typing import Any

from prompt_toolkit.filters import to_filter
from prompt_toolkit.formatted_text import to_plain_text
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.telnetclient import prompt
from openfl_twisted.telnetclient.prompt import (
    _MAX_HISTORY,
    _MAX_HISTORY_BYTES,
    _MAX_UNFINISHED,
    MAX_WAITING,
    PromptTerminal,
    _FileHistory,
    _historyFile,
)
from tests.telnetclient.doubles import connected

THREAD_TIMEOUT = 240
"""
Seconds to wait for the thread of a prompt before a test fails.
"""


class Reactor:
    """
    A reactor that runs calls from threads when the test asks for it.
    """

    def __init__(self) -> None:
        self.calls: Queue[tuple[Callable[..., object], tuple[Any, ...]]] = Queue()

    def callFromThread(self, function: Callable[..., object], *arguments: Any) -> None:
        self.calls.put((function, arguments))

    def turn(self) -> None:
        """
        Run the next call of a thread; wait for it if necessary.
        """
        function, arguments = self.calls.get(timeout=THREAD_TIMEOUT)
        function(*arguments)

    def turnUntil(self, happened: Callable[[], object]) -> None:
        """
        Run calls until a condition is met.
        """
        while not happened():
            self.turn()


class Screen(DummyOutput):
    """
    Records the text written above the prompt. The prompt itself ends lines with CR
    LF.
    """

    def __init__(self) -> None:
        self.written = ""

    def write(self, data: str) -> None:
        if data.endswith("\n") and not data.endswith("\r\n"):
            self.written += data


class PromptTestCase(SynchronousTestCase):
    """
    Base class: makes a folder for the history file.
    """

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "state" / "history"


class PromptTerminalTests(PromptTestCase):
    """
    L{PromptTerminal} reads lines from an interactive terminal.
    """

    def setUp(self) -> None:
        """
        Make a terminal and a connection.
        """
        super().setUp()
        opened = create_pipe_input()
        self.keys = opened.__enter__()
        self.addCleanup(opened.__exit__, None, None, None)
        self.screen = Screen()
        self.reactor = Reactor()
        self.connection, self.network = connected()
        self.terminal = PromptTerminal(self.reactor, self.path, input=self.keys, output=self.screen)

    def start(self) -> None:
        """
        Start the terminal; it ends with the test.
        """
        self.terminal.start(self.connection)
        self.addCleanup(self.end)

    def end(self) -> None:
        """
        Stop the terminal, and wait for its thread.
        """
        stopped = self.terminal.stop()
        self.reactor.turnUntil(lambda: stopped.called)
        self.successResultOf(stopped)

    def settle(self) -> None:
        """
        Wait until all text has been written.
        """
        self.reactor.turnUntil(lambda: self.terminal._idle and not self.terminal._waiting)

    def question(self) -> str:
        """
        Return the text of the prompt.
        """
        return to_plain_text(self.terminal._session.message)

    def test_lines(self) -> None:
        """
        A complete line is sent and added to the history.
        """
        self.start()
        self.keys.send_text("hello\rgrüße\r")
        self.reactor.turnUntil(lambda: len(self.connection.sent) == 2)
        self.assertEqual(self.connection.sent, ["hello", "grüße"])
        self.assertEqual(self.path.read_text(), "hello\ngrüße\n")

    def test_pasted(self) -> None:
        """
        Pasted text with newlines is sent as several lines.
        """
        self.start()
        self.keys.send_text("\x1b[200~a\nb\x1b[201~\r")
        self.reactor.turnUntil(lambda: len(self.connection.sent) == 2)
        self.assertEqual(self.connection.sent, ["a", "b"])

    def test_leave(self) -> None:
        """
        Ctrl-D and Ctrl-C close the connection; later text is not shown.
        """
        for key in "\x04\x03":
            self.setUp()
            self.start()
            self.keys.send_text(key)
            self.reactor.turnUntil(lambda: self.connection.ends)
            self.assertEqual(self.connection.ends, ["closed"])
            self.terminal.show("late\n")
            self.assertEqual(self.screen.written, "")

    def test_show(self) -> None:
        """
        Text is shown in complete lines, with visible control characters; an
        unfinished line is the prompt until the input is complete.
        """
        self.terminal.show("early\n")
        self.start()
        self.terminal.show("\x1b[1m\nlog")
        self.settle()
        self.terminal.show("in: ")
        self.settle()
        self.assertEqual(self.screen.written, "early\n^[[1m\n")
        self.assertEqual(self.question(), "login: ")
        self.keys.send_text("me\r")
        self.reactor.turnUntil(lambda: self.connection.sent)
        self.assertEqual(self.question(), "")

    def test_longUnfinishedLine(self) -> None:
        """
        A very long unfinished line is shown above the prompt.
        """
        self.start()
        text = "x" * (_MAX_UNFINISHED + 1)
        self.terminal.show("a\n" + text)
        self.reactor.turnUntil(lambda: self.screen.written)
        self.assertEqual(self.screen.written, f"a\n{text}\n")

    def test_secret(self) -> None:
        """
        A password is not added to the history.
        """
        self.start()
        self.terminal.show("user: bob\nPassword: ")
        self.settle()
        self.assertTrue(to_filter(self.terminal._session.is_password)())
        self.keys.send_text("secret\rhello\r")
        self.reactor.turnUntil(lambda: len(self.connection.sent) == 2)
        self.assertEqual(self.connection.sent, ["secret", "hello"])
        self.assertEqual(self.path.read_text(), "hello\n")

    def test_slowTerminal(self) -> None:
        """
        While much text is queued for the terminal, the connection is paused.
        """
        self.terminal._connection = self.connection
        self.terminal.show("x" * (MAX_WAITING - 1) + "\n")
        self.assertEqual(self.network.producerState, "producing")
        self.terminal.show("\n")
        self.terminal.show("\n")
        self.assertEqual(self.network.producerState, "paused")
        self.start()
        self.reactor.turnUntil(lambda: self.network.producerState == "producing")
        self.settle()
        self.assertEqual(len(self.screen.written), MAX_WAITING + 2)

    def test_stop(self) -> None:
        """
        All text is written before the terminal stops.
        """
        self.start()
        self.terminal.show("last words\n")
        self.end()
        self.assertEqual(self.screen.written, "last words\n")

    def test_stopAfterTheEnd(self) -> None:
        """
        An event loop that has ended already is not called.
        """
        self.start()
        self.keys.send_text("\x04")
        self.reactor.turn()
        self.terminal._thread.join(THREAD_TIMEOUT)
        self.terminal.show("too late\n")
        self.end()
        self.assertEqual(self.screen.written, "")

    def test_brokenTerminal(self) -> None:
        """
        An error of the terminal closes the connection, with a reason.
        """

        def fail(*arguments: Any, **options: Any) -> None:
            raise OSError("gone")

        self.patch(prompt, "PromptSession", fail)
        self.start()
        self.reactor.turnUntil(lambda: self.connection.ends)
        self.assertEqual(self.connection.ends, ["terminal error: gone"])


class FileHistoryTests(PromptTestCase):
    """
    L{_FileHistory} stores the history in a file.
    """

    def load(self) -> list[str]:
        """
        Read the file as the next process does.
        """
        return list(_FileHistory(self.path).load_history_strings())

    def test_remembered(self) -> None:
        """
        The latest line is offered first; other users cannot read the file.
        """
        history = _FileHistory(self.path)
        for line in ("a", "grüße \ud800", "pasted\nlines"):
            history.append_string(line)
        self.assertEqual(self.load(), ["pasted lines", "grüße ?", "a"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.path.parent).st_mode), 0o700)

    def test_manyLines(self) -> None:
        """
        The number of lines is limited, in memory and in the file.
        """
        history = _FileHistory(self.path)
        count = _MAX_HISTORY + 10
        for number in range(count):
            history.append_string(str(number))
        self.assertEqual(len(history.get_strings()), _MAX_HISTORY)
        expected = [str(number) for number in range(count)][-_MAX_HISTORY:]
        self.assertEqual(self.load()[::-1], expected)
        self.assertEqual(self.path.read_text().split(), expected)

    def test_longLines(self) -> None:
        """
        The number of bytes is limited, and the rest of a truncated line is dropped.
        """
        self.path.parent.mkdir()
        self.path.write_text("x" * _MAX_HISTORY_BYTES + "\n" + "a\n" * 10)
        self.assertEqual(self.load(), ["a"] * 10)
        self.assertEqual(self.path.read_text(), "a\n" * 10)

    def test_secret(self) -> None:
        """
        A secret is not stored.
        """
        _FileHistory(self.path, lambda: True).append_string("secret")
        self.assertEqual(self.load(), [])
        self.assertFalse(self.path.exists())

    def test_noFile(self) -> None:
        """
        If no file can be made, the history is kept in memory.
        """
        self.path.parent.write_text("in the way")
        history = _FileHistory(self.path)
        history.append_string("a")
        self.assertEqual(history.get_strings(), ["a"])
        self.assertEqual(self.load(), [])

    def test_place(self) -> None:
        """
        The file is in the folder that the XDG Base Directory Specification defines.
        """
        end = ("openfl-twisted", "telnet-history")
        self.patch(os, "environ", {"XDG_STATE_HOME": "/state", "HOME": "/home/me"})
        self.assertEqual(_historyFile(), Path("/state", *end))
        for relative in ({}, {"XDG_STATE_HOME": "state"}):
            self.patch(os, "environ", {"HOME": "/home/me", **relative})
            self.assertEqual(_historyFile(), Path("/home/me/.local/state", *end))

    def test_homeless(self) -> None:
        """
        Without a home directory the history is kept in memory.
        """
        self.patch(os, "environ", {"HOME": "nowhere"})
        history = _FileHistory(_historyFile())
        history.append_string("a")
        self.assertEqual(history.get_strings(), ["a"])
        self.assertEqual(list(_FileHistory(_historyFile()).load_history_strings()), [])
