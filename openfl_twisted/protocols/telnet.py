"""
A Telnet client for lines of text. Like the Telnet client in Adobe's ActionScript guide, it
refuses all Telnet options.

L{openfl_twisted.wire.telnet} parses the Telnet commands. Servers that do not use Telnet
commands are also supported.
"""

import codecs
from collections.abc import Callable

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.coroutines import HandlerResult
from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol, missingHandler
from openfl_twisted.wire.lines import NEWLINE
from openfl_twisted.wire.telnet import TelnetReader, escape

_SAMPLE = "\r\nA~"


def checkEncoding(encoding: str) -> str:
    """
    Check that an encoding can be used for lines.

    @param encoding: the name of a Python codec.
    @return: the name.
    @raise ValueError: if the codec is unknown, or not a superset of ASCII, such as
        UTF-16.
    """
    try:
        same = _SAMPLE.encode(encoding, "replace") == _SAMPLE.encode()
    except (LookupError, ValueError):
        # ValueError is raised for a NUL in the name, or for a codec that does not encode text.
        raise ValueError(f"unknown character set {encoding!r}") from None
    if not same:
        raise ValueError(f"character set {encoding!r} must be a superset of ASCII")
    return encoding


class TelnetProtocol(StreamProtocol):
    """
    The client side of a Telnet connection. Subclasses override L{textReceived}.

    @cvar encoding: the Python codec of the text. Undecodable bytes become U+FFFD, and
        unencodable characters become C{?}.
    @cvar newline: terminator of sent lines.
    """

    _handlerNames = ("textReceived",)
    _factoryName = "TelnetFactory"
    _settingNames = ("encoding", "newline")
    encoding = "utf-8"
    newline = NEWLINE

    def prepare(self) -> None:
        if isinstance(self.factory, TelnetFactory):
            self.encoding = self.factory.encoding or self.encoding
            self.newline = self.factory.newline or self.newline
        self._reader = TelnetReader()
        self._decoder = codecs.getincrementaldecoder(self.encoding)("replace")

    def bytesReceived(self, data: bytes) -> HandlerResult:
        """
        Remove the Telnet commands, refuse the options that the server requests, and
        decode the text.
        """
        data, answers = self._reader.receive(data)
        self.transport.write(answers)
        return self._decode(data)

    def _decode(self, data: bytes, final: bool = False) -> HandlerResult:
        text = self._decoder.decode(data, final)
        return self.textReceived(text) if text else None

    def _decodeEnd(self) -> None:
        if not self.transport.disconnecting:
            result = self._decode(b"", final=True)
            if result is not None:
                self.handlerReturned(result)

    def textReceived(self, text: str) -> HandlerResult:
        """
        Called with received text. Subclasses override this method.

        @param text: one or more complete characters. Newlines are LF.
        """
        raise missingHandler(self)

    def readConnectionLost(self) -> None:
        """
        Called at EOF. An incomplete character is delivered as U+FFFD.
        """
        self._decodeEnd()
        super().readConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Called when the connection is lost. Inside TLS, L{readConnectionLost} is not called
        before this method.
        """
        self._decodeEnd()
        super().connectionLost(reason)

    def sendLine(self, line: str) -> None:
        """
        Send a line.

        @param line: the line without its terminator.
        """
        self.transport.write(escape(line.encode(self.encoding, "replace")) + self.newline)


class TelnetFactory(StreamFactory[TelnetProtocol]):
    """
    The factory of L{TelnetProtocol}.
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
        @param protocol: creates a protocol: your subclass of L{TelnetProtocol}.
        @param encoding: the Python codec of the text (default: C{encoding} of the
            protocol).
        @param newline: terminator of sent lines (default: C{newline} of the protocol).
        @param maxQueue: maximum length of the send queue for a slow peer (bytes;
            default: C{maxQueue} of the protocol).
        @raise ValueError: if the encoding cannot be used for lines.
        """
        if encoding is not None:
            checkEncoding(encoding)
        super().__init__(protocol, maxQueue=maxQueue)
        self.encoding = encoding
        self.newline = newline
