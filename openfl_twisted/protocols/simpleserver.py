"""
The C{SimpleServer} of Adobe's ActionScript guide, a Java program: sends a greeting,
echoes lines, and closes the connection after C{EXIT}.

The guide's program does not compile, because one line is misplaced. With this line corrected,
the program sends the greeting twice, serves one client and one line, and never answers an
C{XMLSocket}. The server in this module accepts many clients, and many lines that end with a
newline or a NUL byte.
L{FaithfulServerFactory} behaves like the guide's program.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.lineecho import LineEchoFactory, LineEchoProtocol
from openfl_twisted.wire.lines import NEWLINE
from openfl_twisted.wire.messages import END

PORT = 8080
"""
The port of the program in the ActionScript guide.
"""

_GREETING = b"Enter EXIT to exit." + NEWLINE
# The characters that Java's String.trim() removes.
_BLANKS = bytes(range(0x21))


class _SimpleServerProtocol(LineEchoProtocol):
    """
    Sends a greeting, answers each line with C{Echo: } and the line, and closes the
    connection after the line C{EXIT}.
    """

    framing = "auto"

    def greet(self) -> None:
        self.transport.write(_GREETING + (END if self.ownEnd == END else b""))

    def textReceived(self, text: bytes, end: bytes) -> None:
        last = self.isLast(text)
        self.transport.write(b"Echo: " + text + (self.finalEnd(end) if last else end))
        if last:
            self.transport.loseConnection()

    def isLast(self, text: bytes) -> bool:
        """
        Return whether to close the connection after a line.

        @param text: the line without its terminator. Leading and trailing characters from
            U+0000 to the space (U+0020) are ignored, as in Java's C{String.trim}.
        """
        return text.strip(_BLANKS) == b"EXIT"


class _FaithfulServerProtocol(_SimpleServerProtocol):
    """
    Behaves like the guide's program, with its compile error corrected: sends the greeting twice,
    accepts only messages that end with a newline, and closes the connection after the first.
    """

    framing = "lines"
    factory: "FaithfulServerFactory"

    def greet(self) -> None:
        self.transport.write(_GREETING * 2)

    def isLast(self, text: bytes) -> bool:
        """
        Return C{True}: like the program in Adobe's ActionScript guide, the server closes the
        connection after the first line.
        """
        return True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.ended.callback(None)


class SimpleServerFactory(LineEchoFactory):
    """
    The factory of the C{SimpleServer} from Adobe's ActionScript guide.
    """

    echo = _SimpleServerProtocol


class FaithfulServerFactory(LineEchoFactory):
    """
    Serves one client, like the program in the ActionScript guide. Further clients are refused.

    @ivar ended: fires when the client is disconnected.
    """

    echo = _FaithfulServerProtocol
    log = packageLogger()

    def __init__(self, *, maxLength: int | None = None) -> None:
        """
        @param maxLength: maximum length of a line (bytes; default 64 KiB).
        """
        super().__init__(maxLength=maxLength)
        self.ended: Deferred[None] = Deferred()
        self._used = False

    def buildProtocol(self, addr: IAddress | None) -> LineEchoProtocol | None:
        if self._used:
            self.log.info(
                "{peer} refused: this server serves only one client",
                peer=addr,
            )
            return None
        self._used = True
        return super().buildProtocol(addr)
