"""
The C{ServerSocketExample} of Adobe's ActionScript guide: sends C{Connected.}, and answers each
message with C{Echo -- } and the same message.

Without framing, this server answers each received chunk and adds no terminator, like the
guide's program. Two errors in the guide's program are corrected: a character that is split
between chunks is joined before it is sent back, and text after a NUL byte is also answered.
"""

from openfl_twisted.protocols.lineecho import LineEchoFactory, LineEchoProtocol

PORT = 8087
"""
The port of the program in the ActionScript guide.
"""


class _ServerSocketExampleProtocol(LineEchoProtocol):
    """
    Sends a greeting and echoes, like the program in the ActionScript guide.
    """

    framing = "raw"

    def greet(self) -> None:
        self.transport.write(b"Connected." + self.ownEnd)

    def textReceived(self, text: bytes, end: bytes) -> None:
        self.transport.write(b"Echo -- " + text + end)


class ServerSocketExampleFactory(LineEchoFactory):
    """
    The factory of the C{ServerSocketExample} from Adobe's ActionScript guide.
    """

    echo = _ServerSocketExampleProtocol
