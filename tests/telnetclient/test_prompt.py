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
    MAX_HISTORY,
    MAX_HISTORY_BYTES,
    MAX_UNFINISHED,
    MAX_WAITING,
    FileHistory,
    PromptTerminal,
    historyFile,
)
from tests.telnetclient.doubles import connected

PATIENCE = 240
"""
How long the thread of a prompt may say nothing before a test fails, in seconds.
"""


class Reactor:
    """
    A reactor for what threads call; the test turns it.
    """

    def __init__(self) -> None:
        self.calls: Queue[tuple[Callable[..., object], tuple[Any, ...]]] = Queue()

    def callFromThread(self, function: Callable[..., object], *arguments: Any) -> None:
        self.calls.put((function, arguments))

    def turn(self) -> None:
        """
        Do the next thing that a thread wants, when there is one.
        """
        function, arguments = self.calls.get(timeout=PATIENCE)
        function(*arguments)

    def turnUntil(self, happened: Callable[[], object]) -> None:
        """
        Go on until something has happened.
        """
        while not happened():
            self.turn()


class Screen(DummyOutput):
    """
    Remembers the lines that are written, and not what is drawn: drawing has CR
    LF at the end of a line.
    """

    def __init__(self) -> None:
        self.written = ""

    def write(self, data: str) -> None:
        if data.endswith("\n") and not data.endswith("\r\n"):
            self.written += data


class PromptTestCase(SynchronousTestCase):
    """
    Has a folder for the history.
    """

    def setUp(self) -> None:
        """
        Make the folder.
        """
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "state" / "history"


class PromptTerminalTests(PromptTestCase):
    """
    L{PromptTerminal} asks a person for lines.
    """

    def setUp(self) -> None:
        """
        Make a terminal, and a connection that is not used yet.
        """
        super().setUp()
        opened = create_pipe_input()
        self.keys = opened.__enter__()
        self.addCleanup(opened.__exit__, None, None, None)
        self.screen = Screen()
        self.reactor = Reactor()
        self.call, self.network = connected()
        self.terminal = PromptTerminal(self.reactor, self.path, input=self.keys, output=self.screen)

    def start(self) -> None:
        """
        Start, and end with the test.
        """
        self.terminal.start(self.call)
        self.addCleanup(self.end)

    def end(self) -> None:
        """
        Have the thread end.
        """
        stopped = self.terminal.stop()
        self.reactor.turnUntil(lambda: stopped.called)
        self.successResultOf(stopped)

    def settle(self) -> None:
        """
        Wait until all has been shown.
        """
        self.reactor.turnUntil(lambda: self.terminal._idle and not self.terminal._waiting)

    def question(self) -> str:
        """
        Get what stands in front of what is typed.
        """
        return to_plain_text(self.terminal._session.message)

    def test_lines(self) -> None:
        """
        A line is sent when it is complete, and remembered.
        """
        self.start()
        self.keys.send_text("hello\rgrüße\r")
        self.reactor.turnUntil(lambda: len(self.call.said) == 2)
        self.assertEqual(self.call.said, ["hello", "grüße"])
        self.assertEqual(self.path.read_text(), "hello\ngrüße\n")

    def test_pasted(self) -> None:
        """
        What is pasted with newlines in it is several lines.
        """
        self.start()
        self.keys.send_text("\x1b[200~a\nb\x1b[201~\r")
        self.reactor.turnUntil(lambda: len(self.call.said) == 2)
        self.assertEqual(self.call.said, ["a", "b"])

    def test_leave(self) -> None:
        """
        Ctrl-D and Ctrl-C end it, and the connection; what comes then is not
        shown any more.
        """
        for key in "\x04\x03":
            self.setUp()
            self.start()
            self.keys.send_text(key)
            self.reactor.turnUntil(lambda: self.call.ends)
            self.assertEqual(self.call.ends, ["hung up"])
            self.terminal.show("late\n")
            self.assertEqual(self.screen.written, "")

    def test_show(self) -> None:
        """
        Text is shown in whole lines, without its control characters; the rest
        stands in front of what is typed, until that is complete.
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
        self.reactor.turnUntil(lambda: self.call.said)
        self.assertEqual(self.question(), "")

    def test_longUnfinishedLine(self) -> None:
        """
        A line that does not end does not fill the screen below: it is shown as
        one that has ended.
        """
        self.start()
        text = "x" * (MAX_UNFINISHED + 1)
        self.terminal.show("a\n" + text)
        self.reactor.turnUntil(lambda: self.screen.written)
        self.assertEqual(self.screen.written, f"a\n{text}\n")

    def test_secret(self) -> None:
        """
        A password is not remembered.
        """
        self.start()
        self.terminal.show("user: bob\nPassword: ")
        self.settle()
        self.assertTrue(to_filter(self.terminal._session.is_password)())
        self.keys.send_text("secret\rhello\r")
        self.reactor.turnUntil(lambda: len(self.call.said) == 2)
        self.assertEqual(self.call.said, ["secret", "hello"])
        self.assertEqual(self.path.read_text(), "hello\n")

    def test_slowTerminal(self) -> None:
        """
        While much waits for the terminal, nothing is taken from the server.
        """
        self.terminal._call = self.call
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
        At the end of the connection everything is shown first.
        """
        self.start()
        self.terminal.show("last words\n")
        self.end()
        self.assertEqual(self.screen.written, "last words\n")

    def test_stopAfterTheEnd(self) -> None:
        """
        A loop that has ended by itself is not asked for anything.
        """
        self.start()
        self.keys.send_text("\x04")
        self.reactor.turn()
        self.terminal._thread.join(PATIENCE)
        self.terminal.show("too late\n")
        self.end()
        self.assertEqual(self.screen.written, "")

    def test_brokenTerminal(self) -> None:
        """
        A terminal that fails ends the connection, with a word.
        """

        def fail(*arguments: Any, **options: Any) -> None:
            raise OSError("gone")

        self.patch(prompt, "PromptSession", fail)
        self.start()
        self.reactor.turnUntil(lambda: self.call.ends)
        self.assertEqual(self.call.ends, ["the terminal failed: gone"])


class FileHistoryTests(PromptTestCase):
    """
    L{FileHistory} remembers lines.
    """

    def load(self) -> list[str]:
        """
        Read the file as the next program does.
        """
        return list(FileHistory(self.path).load_history_strings())

    def test_remembered(self) -> None:
        """
        The last line is the first that is offered; nobody else can read them.
        """
        history = FileHistory(self.path)
        for line in ("a", "grüße \ud800", "pasted\nlines"):
            history.append_string(line)
        self.assertEqual(self.load(), ["pasted lines", "grüße ?", "a"])
        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(self.path.parent).st_mode), 0o700)

    def test_manyLines(self) -> None:
        """
        Only so many lines are kept, in memory and in the file.
        """
        history = FileHistory(self.path)
        count = MAX_HISTORY + 10
        for number in range(count):
            history.append_string(str(number))
        self.assertEqual(len(history.get_strings()), MAX_HISTORY)
        expected = [str(number) for number in range(count)][-MAX_HISTORY:]
        self.assertEqual(self.load()[::-1], expected)
        self.assertEqual(self.path.read_text().split(), expected)

    def test_longLines(self) -> None:
        """
        Only so many bytes are read, and what remains of a line that was cut is
        dropped.
        """
        self.path.parent.mkdir()
        self.path.write_text("x" * MAX_HISTORY_BYTES + "\n" + "a\n" * 10)
        self.assertEqual(self.load(), ["a"] * 10)
        self.assertEqual(self.path.read_text(), "a\n" * 10)

    def test_secret(self) -> None:
        """
        What is a secret is not remembered.
        """
        FileHistory(self.path, lambda: True).append_string("secret")
        self.assertEqual(self.load(), [])
        self.assertFalse(self.path.exists())

    def test_noFile(self) -> None:
        """
        Where no file can be made, lines are remembered in memory.
        """
        self.path.parent.write_text("in the way")
        history = FileHistory(self.path)
        history.append_string("a")
        self.assertEqual(history.get_strings(), ["a"])
        self.assertEqual(self.load(), [])

    def test_place(self) -> None:
        """
        The file is in the user's folder for such things.
        """
        end = ("openfl-twisted", "telnet-history")
        self.patch(os, "environ", {"XDG_STATE_HOME": "/state", "HOME": "/home/me"})
        self.assertEqual(historyFile(), Path("/state", *end))
        for relative in ({}, {"XDG_STATE_HOME": "state"}):
            self.patch(os, "environ", {"HOME": "/home/me", **relative})
            self.assertEqual(historyFile(), Path("/home/me/.local/state", *end))

    def test_homeless(self) -> None:
        """
        Who has no folder is remembered in memory only.
        """
        self.patch(os, "environ", {"HOME": "nowhere"})
        history = FileHistory(historyFile())
        history.append_string("a")
        self.assertEqual(history.get_strings(), ["a"])
        self.assertEqual(list(FileHistory(historyFile()).load_history_strings()), [])
