"""
Tests for L{openfl_twisted.telnetclient.terminal}.
"""

import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.telnetclient import terminal
from openfl_twisted.telnetclient.terminal import PlainTerminal, visible
from openfl_twisted.wire.lines import MAX_LINE_LENGTH
from tests.doubles import TightTransport
from tests.telnetclient.doubles import FakeConnection, connected


class VisibleTests(SynchronousTestCase):
    """
    L{visible} makes control characters harmless.
    """

    def test_forms(self) -> None:
        """
        Control characters are written as C{cat -v} writes them.
        """
        self.assertEqual(visible("\x1b[1m\x07\r\x00\x7f"), "^[[1m^G^M^@^?")
        self.assertEqual(visible("\x80\x9b\x9f"), "M-^@M-^[M-^_")
        self.assertEqual(visible("a\tb\ngr\xfc\xdfe \xa0"), "a\tb\ngr\xfc\xdfe \xa0")

    @given(st.text())
    def test_noControls(self, text: str) -> None:
        """
        Only tabs and newlines remain as control characters.
        """
        left = visible(text).replace("\t", "").replace("\n", "")
        self.assertEqual([c for c in left if ord(c) < 32 or 127 <= ord(c) < 160], [])


class PlainTerminalTests(SynchronousTestCase):
    """
    L{PlainTerminal} reads lines from standard input.
    """

    def start(self, **options: Any) -> tuple[PlainTerminal, FakeConnection, TightTransport]:
        """
        Start a terminal.
        @return: the terminal, the connection, and the transport of standard input
            and output.
        """
        self.connection, self.network = connected()
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

        self.patch(terminal, "_StandardIO", makeStdio)
        made.start(self.connection)
        self.reading = reading
        return made, self.connection, stdio

    def test_lines(self) -> None:
        """
        Each line is sent, with any newline; the last line may lack one.
        """
        made, connection, _ = self.start()
        made.dataReceived(b"a\r\nb")
        made.dataReceived("c\nü\n\n".encode())
        self.assertEqual(connection.sent, ["a", "bc", "ü", ""])
        made.dataReceived(b"rest")
        made.readConnectionLost()
        self.assertEqual(connection.sent[4:], ["rest"])
        self.assertEqual(connection.ends, ["input ended"])

    def test_noRest(self) -> None:
        """
        After a complete last line no empty line is sent.
        """
        made, connection, _ = self.start()
        made.dataReceived(b"a\n")
        made.readConnectionLost()
        self.assertEqual((connection.sent, connection.ends), (["a"], ["input ended"]))

    def test_encodings(self) -> None:
        """
        Input and output have their own encodings; unsupported characters cause no
        error.
        """
        made, connection, stdio = self.start(inputEncoding="latin-1", outputEncoding="ascii")
        made.dataReceived(b"\xfc\n")
        made.show("a\xfc\ud800")
        self.assertEqual((connection.sent, stdio.value()), (["\xfc"], b"a??"))
        made, connection, _ = self.start()
        made.dataReceived(b"\xfc\n")
        self.assertEqual(connection.sent, ["\ufffd"])

    def test_lineTooLong(self) -> None:
        """
        A line that is too long closes the connection.
        """
        made, connection, _ = self.start()
        made.dataReceived(b"a\n" + b"x" * (MAX_LINE_LENGTH + 1))
        self.assertEqual(connection.sent, ["a"])
        self.assertEqual(connection.ends, ["a line is longer than 65536 bytes"])

    def test_controls(self) -> None:
        """
        Control characters are made visible only if requested.
        """
        for safe, written in [(True, b"^[[1m"), (False, b"\x1b[1m")]:
            made, _, stdio = self.start(safe=safe)
            made.show("\x1b[1m")
            self.assertEqual(stdio.value(), written)

    def test_inputWaitsForTheServer(self) -> None:
        """
        While the server does not read, the input is paused.
        """
        _, connection, stdio = self.start()
        connection.transport.write(b"x" * 11)
        self.assertEqual(stdio.producerState, "paused")
        self.network.drain()
        self.assertEqual(stdio.producerState, "producing")

    def test_serverWaitsForTheOutput(self) -> None:
        """
        While the output is blocked, the connection is paused.
        """
        made, _, stdio = self.start()
        made.show("x" * 11)
        self.assertEqual(self.network.producerState, "paused")
        stdio.drain()
        self.assertEqual(self.network.producerState, "producing")

    def test_outputClosed(self) -> None:
        """
        When the output is closed, the connection is closed.
        """
        made, connection, _ = self.start()
        made.writeConnectionLost()
        self.assertEqual(connection.ends, ["closed"])

    def test_stop(self) -> None:
        """
        Stopping flushes the output and makes standard input blocking again.
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
        A closed standard input causes no error.
        """
        made, _, _ = self.start()
        made._descriptors = (-1, -1)
        self.successResultOf(made.stop())
