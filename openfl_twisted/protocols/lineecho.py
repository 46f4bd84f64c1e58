"""
What the guide's two echo servers have in common: they greet, take text in one
of several framings, and answer each text.
"""

from collections.abc import Collection

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.streamprotocol import StreamFactory, StreamProtocol
from openfl_twisted.wire.firstbytes import FOREIGN, Signature
from openfl_twisted.wire.lines import MAX_LINE_LENGTH, NEWLINE, Framing, Line, LineSplitter
from openfl_twisted.wire.messages import END, MessageTooLong, receiveUpTo
from openfl_twisted.wire.text import cutLength

TERMINATORS: dict[str, bytes | None] = {
    "same": None,
    "none": b"",
    "nul": END,
    "newline": NEWLINE,
}
"""
What can stand at the end of an answer, by name. C{same} is the end that the
text had.
"""

# Maximum length that is split at once: each byte can be a line.
_PIECE = 2048

# An empty line is the prefix of a PROXY header, and it must be answered.
_FOREIGN = FOREIGN - {Signature.PROXY}

_ownEnds = {Framing.NONE: b"", Framing.NUL: END, Framing.LINE: NEWLINE, Framing.AUTO: NEWLINE}


class LineEchoProtocol(StreamProtocol):
    """
    The server's end of an echo connection. Subclasses override L{greet} and
    L{textReceived}.

    @cvar framing: what ends a text.
    @cvar terminator: what ends an answer; C{None} for the end that the text
        had.
    @cvar MAX_LENGTH: maximum length of a text without its end (bytes); 0 for no
        limit. The default is 64 KiB.
        Without framing there is no limit, since nothing is kept.
    """

    framing = Framing.AUTO
    terminator: bytes | None = None
    MAX_LENGTH = MAX_LINE_LENGTH
    _nulSeen = False

    def prepare(self) -> None:
        """
        Use the framing of the factory.
        """
        if isinstance(self.factory, LineEchoFactory):
            self.framing = self.factory.framing
            self.terminator = self.factory.terminator
        self._splitter = None
        # Without framing: the beginning of a character whose rest was not received yet.
        self._cut = b""
        if self.framing is not Framing.NONE:
            self._splitter = LineSplitter(self.framing, self.limits.maxLength)

    def connectionMade(self) -> None:
        """
        Greet; and while the client does not read, do not read from it.
        """
        self.transport.registerProducer(self.transport, True)
        self.greet()

    def greet(self) -> None:
        """
        A client has come; override this.
        """
        raise NotImplementedError

    def textReceived(self, text: bytes, end: bytes) -> None:
        """
        A text came; override this.

        @param text: the text without its end.
        @param end: what to put at the end of the answer.
        """
        raise NotImplementedError

    @property
    def ownEnd(self) -> bytes:
        """
        What to put at the end of what answers nothing, like a greeting.
        """
        return _ownEnds[self.framing] if self.terminator is None else self.terminator

    @property
    def unprocessed(self) -> int:
        begun = 0 if self._splitter is None else self._splitter.pending
        return super().unprocessed + len(self._cut) + begun

    def bytesReceived(self, data: bytes) -> None:
        """
        Split the stream into texts.
        """
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
        Split a piece that is small enough to be split without a pause.
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
        Take what arrived together as a text, up to a character that is cut.
        """
        data = self._cut + data
        whole = len(data) - cutLength(data)
        self._cut = data[whole:]
        if whole:
            self.textReceived(data[:whole], self.ownEnd)

    def finalEnd(self, end: bytes) -> bytes:
        """
        Complete the end of the last answer: the zero byte that a client sends
        behind its newline will not be answered any more.

        @param end: the end that the answer would have.
        @return: C{end}; and a zero byte behind it, if it is a newline, the
            client ends texts with zero bytes, and L{terminator} is C{None}.
        """
        wanted = self.terminator is None and self._nulSeen and end == NEWLINE
        return end + END if wanted else end

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Handle what was received before the end.
        """
        self.finishReading(reason)
        super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        """
        The client has closed its side: answer what has no end, and close.
        """
        self.bytesReceived(self.heldBytes())
        rest = self._cut if self._splitter is None else self._splitter.finish()
        self._cut = b""
        if rest and not self.transport.disconnecting:
            self.textReceived(rest, self.ownEnd)
        super().readConnectionLost()


class LineEchoFactory(StreamFactory[LineEchoProtocol]):
    """
    Makes L{LineEchoProtocol}s. Subclasses say which.

    @cvar echo: the class of the protocols.
    """

    echo: type[LineEchoProtocol]

    def __init__(
        self,
        *,
        framing: Framing | None = None,
        terminator: str = "same",
        maxLength: int | None = None,
        passThrough: Collection[Signature] = (),
    ) -> None:
        """
        @param framing: what ends a text; the protocol's own C{framing} if not
            given.
        @param terminator: what ends an answer, one of L{TERMINATORS}.
        @param maxLength: the longest text, in bytes; the protocol's
            C{MAX_LENGTH} if not given.
        @param passThrough: the protocols whose clients are not refused, of
            L{Signature} (default none). Without framing no client is refused.
        """
        super().__init__(self.echo, maxLength=maxLength)
        self.refused = _FOREIGN.difference(passThrough)
        self.framing = framing or self.echo.framing
        self.terminator = TERMINATORS[terminator]
