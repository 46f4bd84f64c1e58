"""
Tests for L{openfl_twisted.telnetclient.terminal}.
"""

import io
import os
import sys
from typing import Any
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.telnetclient import terminal
from openfl_twisted.telnetclient.prompt import PromptTerminal
from openfl_twisted.telnetclient.terminal import PlainTerminal, chooseTerminal, visible
from openfl_twisted.wire.lines import MAX_LINE_LENGTH
from tests.doubles import TightTransport
from tests.telnetclient.doubles import Line, connected


class VisibleTests(SynchronousTestCase):
    """
    L{visible} takes away the power of control characters.
    """

    def test_forms(self) -> None:
        """
        They have the forms that C{cat -v} gives them.
        """
        self.assertEqual(visible("\x1b[1m\x07\r\x00\x7f"), "^[[1m^G^M^@^?")
        self.assertEqual(visible("\x80\x9b\x9f"), "M-^@M-^[M-^_")
        self.assertEqual(visible("a\tb\ngr\xfc\xdfe \xa0"), "a\tb\ngr\xfc\xdfe \xa0")

    @given(st.text())
    def test_noControls(self, text: str) -> None:
        """
        None is left in any text, but tabs and newlines.
        """
        left = visible(text).replace("\t", "").replace("\n", "")
        self.assertEqual([c for c in left if ord(c) < 32 or 127 <= ord(c) < 160], [])


class PlainTerminalTests(SynchronousTestCase):
    """
    L{PlainTerminal} takes lines from standard input.
    """

    def start(self, **options: Any) -> tuple[PlainTerminal, Line, TightTransport]:
        """
        Start a terminal.

        @return: it, the connection, and standard input and output.
        """
        self.call, self.network = connected()
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        os.set_blocking(reading, False)
        made = PlainTerminal(
            MemoryReactorClock(), descriptors=(reading, writing), **{"safe": False, **options}
        )
        stdio = TightTransport(made, 10)

        def makeStdio(protocol: Any, stdin: int, stdout: int, reactor: Any) -> None:
            self.assertEqual((stdin, stdout), (reading, writing))
            protocol.makeConnection(stdio)

        self.patch(terminal, "StandardIO", makeStdio)
        made.start(self.call)
        self.reading = reading
        return made, self.call, stdio

    def test_lines(self) -> None:
        """
        Each line is sent, whatever ends it, and the last one without an end
        too.
        """
        made, call, _ = self.start()
        made.dataReceived(b"a\r\nb")
        made.dataReceived("c\nü\n\n".encode())
        self.assertEqual(call.said, ["a", "bc", "ü", ""])
        made.dataReceived(b"rest")
        made.readConnectionLost()
        self.assertEqual(call.said[4:], ["rest"])
        self.assertEqual(call.ends, ["finished"])

    def test_noRest(self) -> None:
        """
        Where the last line has an end, none is made up.
        """
        made, call, _ = self.start()
        made.dataReceived(b"a\n")
        made.readConnectionLost()
        self.assertEqual((call.said, call.ends), (["a"], ["finished"]))

    def test_encodings(self) -> None:
        """
        Lines are read and text is written as the two want it; what they do not
        have is not an error.
        """
        made, call, stdio = self.start(inputEncoding="latin-1", outputEncoding="ascii")
        made.dataReceived(b"\xfc\n")
        made.show("a\xfc\ud800")
        self.assertEqual((call.said, stdio.value()), (["\xfc"], b"a??"))
        made, call, _ = self.start()
        made.dataReceived(b"\xfc\n")
        self.assertEqual(call.said, ["\ufffd"])

    def test_lineTooLong(self) -> None:
        """
        A line that does not end is not kept for ever.
        """
        made, call, _ = self.start()
        made.dataReceived(b"a\n" + b"x" * (MAX_LINE_LENGTH + 1))
        self.assertEqual(call.said, ["a"])
        self.assertEqual(call.ends, ["a line is longer than 65536 bytes"])

    def test_controls(self) -> None:
        """
        Control characters are made visible if that is wanted, and else left.
        """
        for safe, written in [(True, b"^[[1m"), (False, b"\x1b[1m")]:
            made, _, stdio = self.start(safe=safe)
            made.show("\x1b[1m")
            self.assertEqual(stdio.value(), written)

    def test_inputWaitsForTheServer(self) -> None:
        """
        While the server takes nothing, no lines are taken.
        """
        _, call, stdio = self.start()
        call.transport.write(b"x" * 11)
        self.assertEqual(stdio.producerState, "paused")
        self.network.drain()
        self.assertEqual(stdio.producerState, "producing")

    def test_serverWaitsForTheOutput(self) -> None:
        """
        While nobody takes what is shown, nothing is taken from the server.
        """
        made, _, stdio = self.start()
        made.show("x" * 11)
        self.assertEqual(self.network.producerState, "paused")
        stdio.drain()
        self.assertEqual(self.network.producerState, "producing")

    def test_outputClosed(self) -> None:
        """
        When nobody reads what is shown any more, the connection is closed.
        """
        made, call, _ = self.start()
        made.writeConnectionLost()
        self.assertEqual(call.ends, ["hung up"])

    def test_stop(self) -> None:
        """
        At the end everything is written first, and standard input waits again
        for who reads it.
        """
        made, _, stdio = self.start()
        stdio.atOnce = False
        made.show("a" * 30)
        stopped = made.stop()
        self.assertNoResult(stopped)
        self.assertEqual(stdio.drainAll(), b"a" * 30)
        self.successResultOf(stopped)
        self.assertTrue(os.get_blocking(self.reading))

    def test_inputGone(self) -> None:
        """
        A standard input that is closed cannot be left as it was.
        """
        made, _, _ = self.start()
        made._descriptors = (-1, -1)
        self.successResultOf(made.stop())


class File(io.StringIO):
    """
    A file that may be a terminal.
    """

    encoding = "koi8-r"

    def __init__(self, isTerminal: bool) -> None:
        super().__init__()
        self.isTerminal = isTerminal

    def isatty(self) -> bool:
        return self.isTerminal


class ChoiceTests(SynchronousTestCase):
    """
    L{chooseTerminal} looks at standard input and output.
    """

    def choose(self, stdin: bool, stdout: bool) -> Any:
        """
        Choose, with terminals or without.
        """
        self.patch(sys, "stdin", File(stdin))
        self.patch(sys, "stdout", File(stdout))
        return chooseTerminal(MemoryReactorClock())

    def test_person(self) -> None:
        """
        A person has a prompt.
        """
        self.assertIsInstance(self.choose(True, True), PromptTerminal)

    def test_script(self) -> None:
        """
        A pipe at either end has none; control characters are made visible to a
        terminal only.
        """
        for stdin, stdout in [(False, False), (True, False), (False, True)]:
            chosen = self.choose(stdin, stdout)
            assert isinstance(chosen, PlainTerminal)
            self.assertEqual(chosen._safe, stdout)
            self.assertEqual(chosen._inputEncoding, "koi8-r")
            self.assertEqual(chosen._outputEncoding, "koi8-r")

    def test_notInstalled(self) -> None:
        """
        Without C{prompt_toolkit} a person types plain lines.
        """
        with patch.dict(sys.modules, {"openfl_twisted.telnetclient.prompt": None}):
            chosen = self.choose(True, True)
        assert isinstance(chosen, PlainTerminal)
        self.assertTrue(chosen._safe)
