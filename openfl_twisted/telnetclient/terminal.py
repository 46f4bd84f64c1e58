"""
How lines come in and text goes out: standard input and output, as they are.
"""

import contextlib
import os
import sys
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.telnetclient.connection import Call
from openfl_twisted.wire.lines import Framing, LineSplitter
from openfl_twisted.wire.messages import receiveUpTo

_CONTROLS = [number for number in range(0x20) if chr(number) not in "\t\n"] + [0x7F]
_visible = {number: f"^{chr(number ^ 0x40)}" for number in _CONTROLS}
# What a terminal that still knows C1 takes for ESC and another character.
_visible |= {number: f"M-^{chr(number - 0x40)}" for number in range(0x80, 0xA0)}


def visible(text: str) -> str:
    """
    Write control characters so that they can be read and do nothing: C{^[} for
    ESC, C{M-^[} for the one of C1 that begins a sequence. A tab and a newline
    stay what they are.

    @param text: what is to be shown.
    """
    return text.translate(_visible)


class Terminal(Protocol):
    """
    What somebody types at and reads from.
    """

    def start(self, call: Call) -> None:
        """
        Begin to take lines for a connection.

        @param call: the connection. L{Call.say} is to be called with each line;
            and L{Call.finish}, or L{Call.hangUp}, when there are no more.
        """

    def show(self, text: str) -> None:
        """
        Show what the server has said.

        @param text: the text, cut anywhere.
        """

    def stop(self) -> Deferred[None]:
        """
        Take no more lines.

        @return: fires when all text has been shown, and the terminal is as it
            was.
        """


@implementer(IHalfCloseableProtocol)
class PlainTerminal(protocol.Protocol):
    """
    Standard input and output, for scripts, and where C{prompt_toolkit} is not
    installed.

    Each waits for the other side of the connection: nothing is read from
    standard input while the server takes nothing, and nothing from the server
    while nobody takes standard output.
    """

    transport: Any

    def __init__(
        self,
        reactor: Any,
        *,
        safe: bool,
        inputEncoding: str = "utf-8",
        outputEncoding: str = "utf-8",
        descriptors: tuple[int, int] = (0, 1),
    ) -> None:
        """
        @param reactor: provides C{IReactorFDSet}.
        @param safe: whether control characters are made visible.
        @param inputEncoding: the character set of the lines that are typed.
        @param outputEncoding: the character set of what is shown.
        @param descriptors: the files of the two.
        """
        self._reactor = reactor
        self._safe = safe
        self._inputEncoding = inputEncoding
        self._outputEncoding = outputEncoding
        self._descriptors = descriptors
        self._splitter = LineSplitter(Framing.LINE)
        self._stopped: Deferred[None] = Deferred()

    def start(self, call: Call) -> None:
        """
        Begin to read.

        @param call: the connection. At the end of the input it is told to
            L{Call.finish}; when nobody takes the output any more, to
            L{Call.hangUp}.
        """
        self._call = call
        # The types know only the one for Windows, which has no descriptors.
        makeTransport: Any = StandardIO
        makeTransport(self, *self._descriptors, reactor=self._reactor)

    def connectionMade(self) -> None:
        """
        Have each side wait for the other.
        """
        self.transport.registerProducer(self._call.transport, True)
        self._call.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        """
        Send the lines that are complete.
        """
        lines, tooLong = receiveUpTo(self._splitter, data)
        for line in lines:
            self._send(line.text)
        if tooLong is not None:
            self._call.hangUp(f"a line is longer than {tooLong.limit} bytes")

    def _send(self, line: bytes | None) -> None:
        if line is not None:
            self._call.say(line.decode(self._inputEncoding, "replace"))

    def readConnectionLost(self) -> None:
        """
        Nothing more is typed: send a line that has no end, and wait for the
        answers.
        """
        self._send(self._splitter.finish() or None)
        self._call.transport.unregisterProducer()
        self._call.finish()

    def writeConnectionLost(self) -> None:
        """
        Nobody reads what is shown any more.
        """
        self._call.hangUp()

    def show(self, text: str) -> None:
        """
        Write text to standard output.

        @param text: the text, cut anywhere. What the character set does not have
            is written as C{?}.
        """
        text = visible(text) if self._safe else text
        self.transport.write(text.encode(self._outputEncoding, "replace"))

    def stop(self) -> Deferred[None]:
        """
        Stop reading, and write what is left.

        @return: fires when standard output has been given everything, or is
            closed.
        """
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        return self._stopped

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Leave standard input as it was: Twisted has it not wait for anybody, and
        whoever uses the same terminal next would not wait either.
        """
        with contextlib.suppress(OSError):
            os.set_blocking(self._descriptors[0], True)
        self._stopped.callback(None)


def chooseTerminal(reactor: Any) -> Terminal:
    """
    Choose how to take lines: with C{prompt_toolkit}, if there is a person at
    both ends and it is installed.

    @param reactor: provides C{IReactorFDSet} and C{IReactorFromThreads}.
    @return: L{PromptTerminal<openfl_twisted.telnetclient.prompt.PromptTerminal>} for
        a person, else L{PlainTerminal}; that makes control characters visible if
        the output goes to a terminal.
    """
    toTerminal = sys.stdout.isatty()
    if toTerminal and sys.stdin.isatty():
        with contextlib.suppress(ImportError):
            from openfl_twisted.telnetclient.prompt import PromptTerminal

            return PromptTerminal(reactor)
    return PlainTerminal(
        reactor,
        safe=toTerminal,
        inputEncoding=sys.stdin.encoding,
        outputEncoding=sys.stdout.encoding,
    )
