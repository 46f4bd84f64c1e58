"""
Lines of text for people, as the guide's Telnet client has them: Telnet without
any of its options, over TCP.

The commands of Telnet are those of L{openfl_twisted.wire.telnet}; a server that
knows nothing of Telnet is talked to as well.
"""

import codecs
from collections.abc import Callable

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
from openfl_twisted.wire.lines import NEWLINE
from openfl_twisted.wire.telnet import TelnetReader, escape

_SAMPLE = "\r\nA~"


def checkEncoding(encoding: str) -> str:
    """
    Check that lines can be written in a character set.

    @param encoding: a name that Python knows.
    @return: the name.
    @raise ValueError: if nobody knows the name, or if the character set does
        not have ASCII in it, as UTF-16 has not: then no line would end.
    """
    try:
        same = _SAMPLE.encode(encoding, "replace") == _SAMPLE.encode()
    except (LookupError, ValueError):
        # The second is for a NUL in the name, and for codecs that are not meant for text.
        raise ValueError(f"there is no character set {encoding!r}") from None
    if not same:
        raise ValueError(f"the character set {encoding!r} does not have ASCII in it")
    return encoding


class TelnetProtocol(StreamProtocol):
    """
    The client's end of a Telnet connection. Subclasses override
    L{textReceived}.

    @cvar encoding: the character set of the text, a name that Python knows.
        What it does not have becomes U+FFFD when it is read, and C{?} when it
        is written.
    @cvar newline: what ends a line that is sent.
    """

    encoding = "utf-8"
    newline = NEWLINE

    def prepare(self) -> None:
        """
        Use the character set and the newline of the factory.
        """
        if isinstance(self.factory, TelnetFactory):
            self.encoding = self.factory.encoding or self.encoding
            self.newline = self.factory.newline or self.newline
        self._reader = TelnetReader()
        self._decoder = codecs.getincrementaldecoder(self.encoding)("replace")

    def bytesReceived(self, data: bytes) -> None:
        """
        Take out the commands, refuse what the server wants, and read the text.
        """
        data, answers = self._reader.receive(data)
        self.transport.write(answers)
        self._decode(data)

    def _decode(self, data: bytes, final: bool = False) -> None:
        text = self._decoder.decode(data, final)
        if text:
            self.textReceived(text)

    def _decodeEnd(self) -> None:
        if not self.transport.disconnecting:
            self._decode(b"", final=True)

    def textReceived(self, text: str) -> None:
        """
        Text came; override this.

        @param text: whole characters, cut where the network cut them. A newline
            is LF.
        """
        raise NotImplementedError

    def readConnectionLost(self) -> None:
        """
        The server has closed its side: a character whose rest has not come is
        U+FFFD.
        """
        self._decodeEnd()
        super().readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The connection is lost: inside TLS the server closes both sides at once.

        A subclass that overrides this must call it.
        """
        self._decodeEnd()
        super().connectionLost(reason)

    def sendLine(self, line: str) -> None:
        """
        Send a line.

        @param line: its text, without its end.
        """
        self.transport.write(escape(line.encode(self.encoding, "replace")) + self.newline)


class TelnetFactory(StreamFactory[TelnetProtocol]):
    """
    Makes L{TelnetProtocol}s.
    """

    def __init__(
        self,
        protocol: Callable[[], TelnetProtocol],
        *,
        encoding: str | None = None,
        newline: bytes | None = None,
        maxQueue: int | None = None,
    ) -> None:
        """
        @param protocol: makes a protocol: your subclass of L{TelnetProtocol}.
        @param encoding: the character set of the text; the protocol's
            C{encoding} if not given.
        @param newline: what ends a line; the protocol's C{newline} if not
            given.
        @param maxQueue: how many bytes are held for a peer that does not read;
            the protocol's C{maxQueue} if not given.
        @raise ValueError: if lines cannot be written in this character set.
        """
        if encoding is not None:
            checkEncoding(encoding)
        super().__init__(protocol, maxQueue=maxQueue)
        self.encoding = encoding
        self.newline = newline
