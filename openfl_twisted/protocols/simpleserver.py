"""
The guide's C{SimpleServer}, the Java program: it greets, echoes lines, and
leaves off after C{EXIT}.

The printed program does not compile, and once it does, it greets twice, serves
one client and one line, and never answers an C{XMLSocket}. Here it is repaired:
many clients, any number of lines, messages that are ended by a newline or by a
zero byte. The faithful mode does what the printed program would do.
"""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.addresses import describe
from openfl_twisted.logs import packageLogger
from openfl_twisted.protocols.lineecho import LineEchoFactory, LineEchoProtocol
from openfl_twisted.wire.lines import NEWLINE, Framing
from openfl_twisted.wire.messages import END

PORT = 8080
"""
The port of the guide's program.
"""

_GREETING = b"Enter EXIT to exit." + NEWLINE
# What Java's String.trim() removes.
_BLANKS = bytes(range(0x21))


class SimpleServerProtocol(LineEchoProtocol):
    """
    Greets, echoes each line behind C{Echo: }, and closes after a line that is
    C{EXIT}, blanks around it or not.
    """

    framing = Framing.AUTO

    def greet(self) -> None:
        """
        Tell the client how to leave.
        """
        self.transport.write(_GREETING + (END if self.ownEnd == END else b""))

    def textReceived(self, text: bytes, end: bytes) -> None:
        """
        Send the line back, and close after the last one.
        """
        last = self.isLast(text)
        self.transport.write(b"Echo: " + text + (self.finalEnd(end) if last else end))
        if last:
            self.transport.loseConnection()

    def isLast(self, text: bytes) -> bool:
        """
        Say whether to close after a line.

        @param text: the line, without its end. Blanks around it are those that
            Java's C{String.trim} takes away: everything up to the space.
        """
        return text.strip(_BLANKS) == b"EXIT"


class FaithfulServerProtocol(SimpleServerProtocol):
    """
    Does what the printed program does, once its one misplaced line is put
    right: it greets twice, takes lines only, and closes after the first.
    """

    framing = Framing.LINE
    factory: "FaithfulServerFactory"

    def greet(self) -> None:
        """
        Tell the client how to leave, twice.
        """
        self.transport.write(_GREETING * 2)

    def isLast(self, text: bytes) -> bool:
        """
        Close after any line: the printed program closes within its loop.
        """
        return True

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell the factory that its only client is gone.
        """
        super().connectionLost(reason)
        self.factory.ended.callback(None)


class SimpleServerFactory(LineEchoFactory):
    """
    Makes L{SimpleServerProtocol}s.
    """

    echo = SimpleServerProtocol


class FaithfulServerFactory(LineEchoFactory):
    """
    Serves one client, as the printed program does; a further one is sent away.

    @ivar ended: fires when that client is gone.
    """

    echo = FaithfulServerProtocol
    log = packageLogger()

    def __init__(self, *, maxLength: int | None = None) -> None:
        """
        @param maxLength: the longest line, in bytes; 64 KiB if not given.
        """
        super().__init__(maxLength=maxLength)
        self.ended: Deferred[None] = Deferred()
        self._used = False

    def buildProtocol(self, addr: IAddress | None) -> LineEchoProtocol | None:
        """
        Serve the first client.
        """
        if self._used:
            self.log.info("{peer} sent away: one client is served", peer=describe(addr))
            return None
        self._used = True
        return super().buildProtocol(addr)
