"""
Base classes of the two echo servers from Adobe's ActionScript guide: the servers send a
greeting, split the stream into messages, and answer each message. The framing can be selected.
"""

from collections.abc import Collection

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
from openfl_twisted.wire.firstbytes import FOREIGN, Signature
from openfl_twisted.wire.lines import MAX_LINE_LENGTH, NEWLINE, Line, LineSplitter
from openfl_twisted.wire.messages import END, MessageTooLong, receiveUpTo
from openfl_twisted.wire.text import cutLength

TERMINATORS: dict[str, bytes | None] = {
    "same": None,
    "none": b"",
    "nul": END,
    "newline": NEWLINE,
}
"""
Terminators of answers, by name; C{same} selects the terminator of the received message.
"""

# Maximum number of bytes that are split in one step: each byte can be a line.
_PIECE = 2048

# PROXY headers are not detected: a binary PROXY header begins like an empty line, which must be
# answered.
_FOREIGN = FOREIGN - {Signature.PROXY}

_ownEnds = {"raw": b"", "lines": NEWLINE, "nul": END, "auto": NEWLINE}

FRAMINGS = tuple(_ownEnds)
"""
The framings: C{raw}, where each received chunk is a message, or the terminator of
L{LineSplitter<openfl_twisted.wire.lines.LineSplitter>}.
"""


class LineEchoProtocol(StreamProtocol):
    """
    The server side of an echo connection. Subclasses override L{greet} and
    L{textReceived}.

    @cvar framing: how messages are terminated, one of L{FRAMINGS}.
    @cvar terminator: terminator of answers; C{None} for the terminator of the received
        message.
    @cvar MAX_LENGTH: maximum length of a message without its terminator (bytes; default
        64 KiB; 0 for no limit). Ignored with the framing C{raw}.
    """

    framing = "auto"
    terminator: bytes | None = None
    MAX_LENGTH = MAX_LINE_LENGTH
    _nulSeen = False

    def prepare(self) -> None:
        if isinstance(self.factory, LineEchoFactory):
            self.framing = self.factory.framing
            self.terminator = self.factory.terminator
        self._splitter = None
        # With the framing raw: the received bytes of an incomplete character.
        self._cut = b""
        if self.framing != "raw":
            self._splitter = LineSplitter(self.framing, self.limits.maxLength)

    def connectionMade(self) -> None:
        """
        Apply backpressure, and send the greeting.
        """
        self.transport.registerProducer(self.transport, True)
        self.greet()

    def greet(self) -> None:
        """
        Called when a client has connected. Subclasses override this method.
        """
        raise NotImplementedError

    def textReceived(self, text: bytes, end: bytes) -> None:
        """
        Called with each received message. Subclasses override this method.

        @param text: the message without its terminator.
        @param end: the terminator for the answer.
        """
        raise NotImplementedError

    @property
    def ownEnd(self) -> bytes:
        """
        The terminator for unsolicited text, such as a greeting.
        """
        return _ownEnds[self.framing] if self.terminator is None else self.terminator

    @property
    def unprocessed(self) -> int:
        begun = 0 if self._splitter is None else self._splitter.pending
        return super().unprocessed + len(self._cut) + begun

    def bytesReceived(self, data: bytes) -> None:
        if self._splitter is None:
            self._piecesReceived(data)
            return
        if self.refused:
            data = self.inspect(data)
        self.deliverEach(
            [data[at : at + _PIECE] for at in range(0, len(data), _PIECE)], self._pieceReceived
        )

    def _pieceReceived(self, data: bytes) -> None:
        """
        Split part of a chunk into messages, and deliver them.
        """
        splitter = self._splitter
        if splitter is not None:
            lines, tooLong = receiveUpTo(splitter, data)
            split: list[Line | MessageTooLong] = [*lines]
            if tooLong is not None:
                split.append(tooLong)
            self.deliverEach(split, self._splitReceived)

    def _splitReceived(self, split: Line | MessageTooLong) -> None:
        if isinstance(split, MessageTooLong):
            self._tooLong(split)
        else:
            self._lineReceived(split)

    def _lineReceived(self, line: Line) -> None:
        text, end = line
        if end == END:
            self._nulSeen = True
        if text is not None:
            self.textReceived(text, end if self.terminator is None else self.terminator)
        elif self.terminator is None:
            self.transport.write(end)

    def _tooLong(self, problem: MessageTooLong) -> None:
        self.log.warn("{peer} disconnected: {problem}", peer=self.describePeer(), problem=problem)
        self.transport.loseConnection()

    def _piecesReceived(self, data: bytes) -> None:
        """
        Process a chunk as one message, except an incomplete character at its end.
        """
        data = self._cut + data
        whole = len(data) - cutLength(data)
        self._cut = data[whole:]
        if whole:
            self.textReceived(data[:whole], self.ownEnd)

    def finalEnd(self, end: bytes) -> bytes:
        """
        Return the terminator of the last answer before the connection closes. If the client
        ends its messages with a newline and a NUL byte, the NUL byte is usually answered
        separately. After the last answer this is no longer possible.

        @param end: the terminator of the client's message.
        @return: C{end}, followed by a NUL byte for such a client, unless L{terminator} is set.
        """
        wanted = self.terminator is None and self._nulSeen and end == NEWLINE
        return end + END if wanted else end

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.finishReading(reason)
        super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        """
        Called at EOF: answer an unterminated message, and close the connection.
        """
        self.bytesReceived(self.heldBytes())
        rest = self._cut if self._splitter is None else self._splitter.finish()
        self._cut = b""
        if rest and not self.transport.disconnecting:
            self.textReceived(rest, self.ownEnd)
        super().readConnectionLost()


class LineEchoFactory(StreamFactory[LineEchoProtocol]):
    """
    Base class of factories for L{LineEchoProtocol}.

    @cvar echo: the class of the protocols.
    """

    echo: type[LineEchoProtocol]

    def __init__(
        self,
        *,
        framing: str | None = None,
        terminator: str = "same",
        maxLength: int | None = None,
        passThrough: Collection[Signature] = (),
    ) -> None:
        """
        @param framing: how messages are terminated, one of L{FRAMINGS} (default: C{framing} of
            the protocol).
        @param terminator: terminator of answers, one of L{TERMINATORS}.
        @param maxLength: maximum length of a message (bytes; default: C{MAX_LENGTH} of the
            protocol).
        @param passThrough: members of L{Signature} whose clients are not refused
            (default: none). With the framing C{raw}, no client is refused.
        @raise ValueError: if the framing is unknown.
        """
        super().__init__(self.echo, maxLength=maxLength)
        self.refused = _FOREIGN.difference(passThrough)
        self.framing = framing or self.echo.framing
        if self.framing not in FRAMINGS:
            raise ValueError(f"{framing!r:.80} is not a framing: use one of {', '.join(FRAMINGS)}")
        self.terminator = TERMINATORS[terminator]
