"""
The connection of the terminal client to a server.
"""

import math
from collections.abc import Callable
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.protocols.telnet import TelnetProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.wire.messages import MessageTooLong

CLOSE_TIMEOUT = 5.0
"""
Seconds to wait for the server to read the pending data before the connection is aborted.
"""

_POLL_DELAY = 1.0
_NOT_READING = "the server has stopped reading"


class ClientProtocol(StreamProtocol):
    """
    A connection to a server. Subclasses override L{sendInput}, and call C{show}
    with the text that the server sends.

    @ivar show: called with text to display.
    @ivar lost: fires when the connection is lost, with a line that gives the reason.
    """

    def __init__(self, clock: Any, *, wait: float = 0.0) -> None:
        """
        @param clock: an C{IReactorTime} provider.
        @param wait: maximum idle time of the server after L{inputEnded}; then the connection
            is closed (seconds).
        """
        self.show: Callable[[str], object] = lambda text: None
        self.lost: Deferred[str] = Deferred()
        self._clock = clock
        self._wait = wait
        self._problem = ""
        # The idle timeout after the end of the input, or the timeout for closing the connection.
        self._ending: IDelayedCall | None = None
        # The number of pending bytes when the idle timeout last expired.
        self._pending: float = math.inf

    def bytesReceived(self, data: bytes) -> None:
        if self._ending is not None:
            self._ending.reset(self._wait)
        super().bytesReceived(data)

    def sendInput(self, line: str) -> None:
        """
        Send a line of input. Subclasses must override this method.

        @param line: the line, without its newline.
        """
        raise NotImplementedError

    def inputEnded(self) -> None:
        """
        Called at the end of the input. Closes the connection once the server is
        idle.

        The connection is not half-closed. Many servers, including OpenFL's and most of
        Twisted's, treat EOF as the end of the connection and then do not send pending answers.
        """
        if not (self.transport.disconnecting or self.lost.called):
            self._ending = self._clock.callLater(self._wait, self._idle)

    def _idle(self) -> None:
        before, self._pending = self._pending, self.transport.pending
        # The server is not idle: reading is paused, or the server is still reading pending data.
        if self.transport.paused or 0 < self._pending < before:
            self._ending = self._clock.callLater(self._wait or _POLL_DELAY, self._idle)
        else:
            self.close(_NOT_READING if self._pending else "")

    def close(self, problem: str = "") -> None:
        """
        Send the pending data, then close the connection. The connection is
        aborted after L{CLOSE_TIMEOUT} seconds.

        @param problem: the reason, if the connection is closed because of an error.
        """
        if self.transport.disconnecting or self.lost.called:
            return
        self._problem = problem
        self._cancelTimeout()
        self._ending = self._clock.callLater(CLOSE_TIMEOUT, self.transport.abortConnection)
        self.transport.loseConnection()

    def _cancelTimeout(self) -> None:
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        self._ending = None

    def sendQueueExceeded(self) -> None:
        self._problem = _NOT_READING
        super().sendQueueExceeded()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._cancelTimeout()
        if not (
            self._problem or self.transport.disconnecting or reason.check(error.ConnectionDone)
        ):
            self._problem = "the connection was lost"
        self.lost.callback(f"closed: {self._problem}" if self._problem else "closed")


class TelnetClientProtocol(ClientProtocol, TelnetProtocol):
    """
    A connection to a Telnet server: each line of input is sent as a line.
    """

    def textReceived(self, text: str) -> None:
        self.show(text)

    def sendInput(self, line: str) -> None:
        self.sendLine(line)


_visibleNewlines = str.maketrans({"\n": "^J", "\r": "^M"})


class XMLClientProtocol(ClientProtocol, XMLSocketProtocol):
    """
    A connection to an C{XMLSocket} server: each line of input is sent as a message, and each
    received message is shown on one line, with C{^J} and C{^M} for its newlines.
    """

    def messageReceived(self, message: str) -> None:
        self.show(message.translate(_visibleNewlines) + "\n")

    def lineLengthExceeded(self, line: MessageTooLong) -> None:
        self._problem = str(line)

    def sendInput(self, line: str) -> None:
        self.sendMessage(line)
