"""
Terminals: the input and output of the terminal client.
"""

import contextlib
import os
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.python import runtime
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.telnetclient.connection import ClientProtocol
from openfl_twisted.wire.lines import LineSplitter
from openfl_twisted.wire.messages import receiveUpTo

# Any, because the type stubs describe only the Windows version, which has no file descriptors.
_StandardIO: Any
if runtime.platform.isWindows():
    from openfl_twisted.telnetclient.threadedio import ThreadedIO as _StandardIO
else:
    from twisted.internet.stdio import StandardIO as _StandardIO

_CONTROLS = [number for number in range(0x20) if chr(number) not in "\t\n"] + [0x7F]
_visible = {number: f"^{chr(number ^ 0x40)}" for number in _CONTROLS}
# Terminals that support C1 control characters treat these characters as ESC followed by another
# character.
_visible |= {number: f"M-^{chr(number - 0x40)}" for number in range(0x80, 0xA0)}


def visible(text: str) -> str:
    """
    Make control characters visible and harmless: C{^[} for ESC, C{M-^[} for the C1
    control character CSI. Tabs and newlines are kept.

    @param text: the text to display.
    """
    return text.translate(_visible)


class Terminal(Protocol):
    """
    The interface of terminals.
    """

    def start(self, connection: ClientProtocol) -> None:
        """
        Start reading lines for a connection.

        @param connection: the connection. The terminal calls the connection's C{sendInput}
            with each line, and C{inputEnded} or C{close} at the end of the input.
        """

    def show(self, text: str) -> None:
        """
        Display text from the server.

        @param text: the text, in chunks of any size.
        """

    def stop(self) -> Deferred[None]:
        """
        Stop reading lines.

        @return: fires when all text has been displayed, and the terminal is in
            its previous state.
        """


@implementer(IHalfCloseableProtocol)
class PlainTerminal(protocol.Protocol):
    """
    Standard input and output: used in scripts, or if C{prompt_toolkit} is not installed.

    Backpressure works in both directions: standard input is not read while the
    server does not read, and the server's data is not read while standard output
    is blocked.
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
        @param reactor: an C{IReactorFDSet} provider.
        @param safe: whether control characters are made visible.
        @param inputEncoding: the character encoding of the input.
        @param outputEncoding: the character encoding of the output.
        @param descriptors: the file descriptors of input and output.
        """
        self._reactor = reactor
        self._safe = safe
        self._inputEncoding = inputEncoding
        self._outputEncoding = outputEncoding
        self._descriptors = descriptors
        self._splitter = LineSplitter("lines")
        self._stopped: Deferred[None] = Deferred()

    def start(self, connection: ClientProtocol) -> None:
        """
        Start reading standard input.

        @param connection: the connection. C{connection.inputEnded} is called at EOF of the
            input, and C{connection.close} when the output is closed.
        """
        self._connection = connection
        _StandardIO(self, *self._descriptors, reactor=self._reactor)

    def connectionMade(self) -> None:
        self.transport.registerProducer(self._connection.transport, True)
        self._connection.transport.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        lines, tooLong = receiveUpTo(self._splitter, data)
        for line in lines:
            self._send(line.text)
        if tooLong is not None:
            self._connection.close(f"a line is longer than {tooLong.limit} bytes")

    def _send(self, line: bytes | None) -> None:
        if line is not None:
            self._connection.sendInput(line.decode(self._inputEncoding, "replace"))

    def readConnectionLost(self) -> None:
        """
        Send the last line, which may lack a newline, and wait for the server's answers.
        """
        self._send(self._splitter.finish() or None)
        self._connection.transport.unregisterProducer()
        self._connection.inputEnded()

    def writeConnectionLost(self) -> None:
        self._connection.close()

    def show(self, text: str) -> None:
        """
        Write text to standard output.

        @param text: the text. Characters that do not exist in the encoding are replaced by
            C{?}.
        """
        text = visible(text) if self._safe else text
        self.transport.write(text.encode(self._outputEncoding, "replace"))

    def stop(self) -> Deferred[None]:
        """
        Stop reading, and flush the output.

        @return: fires when the output has been written or is closed.
        """
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        return self._stopped

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Make standard input blocking again, because other programs on the terminal expect this.
        """
        # On Windows, the function is missing in Python 3.11, and fails for a console.
        with contextlib.suppress(AttributeError, OSError):
            os.set_blocking(self._descriptors[0], True)
        self._stopped.callback(None)
