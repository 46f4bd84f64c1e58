"""
A connection to a server for somebody who types: why it could not be made, and
how it ends.
"""

import math
from collections.abc import Callable
from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.sending import SendingProtocol
from openfl_twisted.protocols.telnet import TelnetProtocol
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.tls import HandshakeFailed
from openfl_twisted.wire.messages import MessageTooLong

CLOSE_TIMEOUT = 5.0
"""
How long a server gets to take what was sent, when this side closes, in seconds.
"""

_PAUSE = 1.0
_DEAF = "the server does not read"


class Call(SendingProtocol):
    """
    One connection. Subclasses override L{say}, and call C{show} with what the
    server says.

    @ivar show: takes text.
    @ivar lost: fires when the connection is lost, with a line about how.
    """

    def __init__(self, clock: Any, *, wait: float = 0.0) -> None:
        """
        @param clock: provides C{IReactorTime}.
        @param wait: for how many seconds the server may be silent after
            L{finish}.
        """
        self.show: Callable[[str], object] = lambda text: None
        self.lost: Deferred[str] = Deferred()
        self._clock = clock
        self._wait = wait
        self._problem = ""
        # Until this side closes for the silence of the server, or gives up closing.
        self._ending: IDelayedCall | None = None
        # How many bytes the server had not taken when that was looked at last.
        self._unheard: float = math.inf

    def bytesReceived(self, data: bytes) -> None:
        """
        Note that the server is not silent.
        """
        if self._ending is not None:
            self._ending.reset(self._wait)
        super().bytesReceived(data)

    def say(self, line: str) -> None:
        """
        Send a line; override this.

        @param line: the line, without its end.
        """
        raise NotImplementedError

    def finish(self) -> None:
        """
        There is nothing more to send: listen for as long as the server speaks.

        The connection is not half-closed for that. Many servers, those of
        OpenFL and most of Twisted's among them, take the end of what they get
        for the end of the connection, and do not send their answer any more.
        """
        if not (self.transport.disconnecting or self.lost.called):
            self._ending = self._clock.callLater(self._wait, self._endOfSilence)

    def _endOfSilence(self) -> None:
        before, self._unheard = self._unheard, self.transport.pending
        # While this side does not listen, or the server has not heard all, that is no silence.
        if self.transport.paused or 0 < self._unheard < before:
            self._ending = self._clock.callLater(self._wait or _PAUSE, self._endOfSilence)
        else:
            self.hangUp(_DEAF if self._unheard else "")

    def hangUp(self, problem: str = "") -> None:
        """
        Close the connection when the server has got everything.

        @param problem: why, if that is not as it should be.
        """
        if self.transport.disconnecting or self.lost.called:
            return
        self._problem = problem
        self._stopWaiting()
        self._ending = self._clock.callLater(CLOSE_TIMEOUT, self.transport.abortConnection)
        self.transport.loseConnection()

    def _stopWaiting(self) -> None:
        if self._ending is not None and self._ending.active():
            self._ending.cancel()
        self._ending = None

    def sendQueueExceeded(self) -> None:
        """
        Say why the server is cut off.
        """
        self._problem = _DEAF
        super().sendQueueExceeded()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell who waits.
        """
        super().connectionLost(reason)
        self._stopWaiting()
        if not (
            self._problem or self.transport.disconnecting or reason.check(error.ConnectionDone)
        ):
            self._problem = "the connection broke"
        self.lost.callback(f"closed: {self._problem}" if self._problem else "closed")


class TelnetCall(Call, TelnetProtocol):
    """
    A connection that carries lines.
    """

    def textReceived(self, text: str) -> None:
        """
        Show it.
        """
        self.show(text)

    def say(self, line: str) -> None:
        """
        Send a line.
        """
        self.sendLine(line)


_lineBreaks = str.maketrans({"\n": "^J", "\r": "^M"})


class XMLCall(Call, XMLSocketProtocol):
    """
    A connection that carries messages of C{XMLSocket}: each line is one, and
    each is shown on one line, with C{^J} and C{^M} for the newlines in it.
    """

    def messageReceived(self, message: str) -> None:
        """
        Show it.
        """
        self.show(message.translate(_lineBreaks) + "\n")

    def lineLengthExceeded(self, line: MessageTooLong) -> None:
        """
        Say why the connection is closed.
        """
        self._problem = str(line)

    def say(self, line: str) -> None:
        """
        Send a message.
        """
        self.sendMessage(line)


def problemOf(problem: Exception, host: str, port: int, timeout: float) -> str:
    """
    Say in a line why there is no connection.

    @param problem: what the endpoint has failed with.
    @param host: the name or the IP address of the server, IPv6 without brackets.
    @param port: its port.
    @param timeout: how many seconds connecting was allowed to take.
    @return: the line, without its end; it names the server.
    """
    server = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    match problem:
        case error.DNSLookupError():
            return f"there is no address for {host}"
        case error.ConnectionRefusedError():
            return f"{server} refuses connections"
        case error.TimeoutError():
            return f"{server} has not answered within {timeout:g} seconds"
        case HandshakeFailed():
            return f"{server}: {problem}"
        case error.ConnectError(args=(str(reason), *_)) if reason:
            return f"cannot reach {server}: {reason}"
        case _:
            return f"cannot reach {server}: {problem}"
