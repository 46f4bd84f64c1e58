"""
The guide's C{ServerSocketExample}: it greets with C{Connected.} and answers
everything with C{Echo -- } and the same again.

The printed program answers whatever arrives together, and puts no end to what
it sends; so does this one unless a framing is chosen. What the printed one gets
wrong is right here: a character that the network has cut is put together before
it is answered, and what stands behind a NUL is answered too.
"""

from openfl_twisted.protocols.lineecho import LineEchoFactory, LineEchoProtocol
from openfl_twisted.wire.lines import Framing

PORT = 8087
"""
The port of the guide's program.
"""


class ServerSocketExampleProtocol(LineEchoProtocol):
    """
    Greets and echoes, as the guide's program does.
    """

    framing = Framing.NONE

    def greet(self) -> None:
        """
        Tell the client that it is connected.
        """
        self.transport.write(b"Connected." + self.ownEnd)

    def textReceived(self, text: bytes, end: bytes) -> None:
        """
        Send it back.
        """
        self.transport.write(b"Echo -- " + text + end)


class ServerSocketExampleFactory(LineEchoFactory):
    """
    Makes L{ServerSocketExampleProtocol}s.
    """

    echo = ServerSocketExampleProtocol
