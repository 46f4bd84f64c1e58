"""
The frames of a WebSocket, for a server: bytes in, payloads and what is to be
done out. RFC 6455.

Nearly all that comes are whole messages, each in one frame. These are read
here, and so are pings and their answers; everything else is left to the
C{websockets} library, see L{openfl_twisted.wire.websocket.parser}. It is this
module that finds where a frame ends: the library gets one whole frame at a
time, or the beginning of one that it refuses. So both can take turns.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import SEND_EOF, State

from openfl_twisted.wire.httprequest import RequestHead
from openfl_twisted.wire.websocket.messages import PING, PONG, makeControl, makeMessages
from openfl_twisted.wire.websocket.parser import FrameParser

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - the library was built without a C compiler
    from websockets.utils import apply_mask

MAX_FRAME = 1024 * 1024 + 1
"""
Maximum length of a frame that is held until it is complete (bytes): 1 MiB and a
NUL byte. It applies to text, fragments and compressed messages; a binary message in
one frame is delivered as it arrives, and needs no limit.
"""

# A longer payload is given in parts; smaller ones if it costs its sender little.
_MAX_PAYLOAD = 64 * 1024
_MAX_INFLATED = 16 * 1024

# A compressed piece of this size becomes about a thousand times as much at most.
_COMPRESSED_PIECE = 1024

# A control frame has 125 bytes at most, two of them for the code (RFC 6455, 5.5).
_MAX_CONTROL = 125
_MAX_REASON = 123

# The first byte of a frame that is a whole message.
_TEXT, _BINARY = 0x81, 0x82

_OPCODES = frozenset(Opcode)

# The second byte of a frame has this bit if there is a mask, as there has to be.
_MASK = 0x80

# The second byte of a frame whose length is in eight bytes, and the length of such a header.
_LONG_LENGTH, _LONG_HEADER = 127, 14

# Frames other than whole messages that are read in one call: they take longer.
_MAX_OTHERS = 256

# From so many bytes on a view costs less than a copy.
_MIN_VIEW = 4096


class Pings(NamedTuple):
    """
    Pings to be answered.

    @ivar payloads: what is to be sent back in each pong, in order.
    """

    payloads: list[bytes]


class End(NamedTuple):
    """
    Nothing more comes: the peer has sent its Close, or something that is not
    allowed.

    @ivar answer: what to send before the connection is closed.
    @ivar code: the code of the peer's Close; if there is none, that of ours.
    @ivar reason: the reason in it.
    @ivar fault: whether it was something that is not allowed.
    """

    answer: bytes
    code: int
    reason: str
    fault: bool


Arrival: TypeAlias = bytes | Pings | End
"""
What a piece of the stream has brought: bytes for the application, or something
to do.
"""


class WebSocketFrames:
    """
    The server's side of one WebSocket, without its connection.

    Without what has not come whole, and unless the library is needed, it takes
    some hundred bytes.

    @ivar compressed: whether messages are compressed.
    @ivar unfinished: whether L{receive} has left further frames, since there
        were very many: call it again with no data after others were served.
    """

    __slots__ = (
        "_held",
        "_key",
        "_left",
        "_maxFrame",
        "_over",
        "_parser",
        "_wanted",
        "compressed",
        "unfinished",
    )

    def __init__(self, maxFrame: int = MAX_FRAME, parser: FrameParser | None = None) -> None:
        """
        @param maxFrame: maximum length of a frame that is held until it is
            complete, also after it has been inflated (bytes); see L{MAX_FRAME}.
        @param parser: the library's side, if that has to be kept.
        """
        self._maxFrame = maxFrame
        self._parser = parser
        self.compressed = parser is not None and bool(parser.extensions)
        # The beginning of a frame, and with how many bytes it is worth looking at.
        self._held: bytes | bytearray = b""
        self._wanted = 0
        self._over = False
        self.unfinished = False
        # The number of bytes of a frame that are still to come, and their mask.
        self._left = 0
        self._key = b""

    @classmethod
    def accept(
        cls,
        head: RequestHead,
        maxFrame: int = MAX_FRAME,
        *,
        compress: bool = False,
        subprotocols: Sequence[str] = (),
    ) -> tuple["WebSocketFrames", bytes]:
        """
        Agree to be a WebSocket.

        @param head: a head that has been checked.
        @param maxFrame: see L{__init__}.
        @param compress: whether to compress messages for those who offer it.
        @param subprotocols: which to agree to, the best first.
        @return: the WebSocket, and the answer.
        @raise HTTPAnswer: if its key or its offers are malformed.
        """
        parser = FrameParser(maxFrame, compress=compress, subprotocols=subprotocols)
        response = parser.handshake(head)
        return cls(maxFrame, parser if parser.extensions else None), response

    # In

    @property
    def pieceLength(self) -> int | None:
        """
        How many bytes to give to L{receive} at once, so that what they bring is
        bounded; C{None} if it does not matter.
        """
        return _COMPRESSED_PIECE if self.compressed else None

    @property
    def maxPayload(self) -> int:
        """
        How many bytes for the application L{receive} gives in one.
        """
        return _MAX_INFLATED if self.compressed else _MAX_PAYLOAD

    def receive(self, data: bytes) -> list[Arrival]:
        """
        Take the next piece of the stream.

        Payloads are given as frames are complete, not as messages are. So any
        way to cut the stream gives the same bytes. Those that come one behind
        the other are given in one.

        @param data: the piece; of at most C{pieceLength} bytes, if that is not
            C{None}.
        @return: what it has brought, in order; nothing comes behind an L{End}.
        """
        if self._over:
            return []
        if self.compressed:
            return self._grouped(self._parse(data))
        self.unfinished = False
        if self._left:
            return self._continue(data)
        held = self._held
        if held:
            if len(held) + len(data) < self._wanted:
                held += data
                return []
            data = b"".join((held, data))
            self._held = b""
        payloads: list[bytes] = []
        at = self._readMessages(data, 0, payloads)
        if at == len(data):
            if len(payloads) == 1 and 0 < len(payloads[0]) <= _MAX_PAYLOAD:
                # So it is for one who waits for each answer.
                return [*payloads]
            return self._parts(payloads)
        arrived: list[Arrival] = [*payloads]
        others = 0
        while at < len(data) and not self._over:
            others += 1
            if others > _MAX_OTHERS:
                self._held, self._wanted = bytearray(memoryview(data)[at:]), 0
                self.unfinished = True
                break
            payload = self._beginPart(data, at)
            if payload is not None:
                arrived.append(payload)
                break
            length = self._lengthAt(data, at)
            if at + length > len(data):
                self._held, self._wanted = bytearray(memoryview(data)[at:]), length
                break
            arrived += self._readOther(data, at, length)
            payloads = []
            at = self._readMessages(data, at + length, payloads)
            arrived += payloads
        return self._grouped(arrived)

    def _beginPart(self, data: bytes, at: int) -> bytes | None:
        """
        Read the beginning of a long binary message in one frame, whose end has not
        arrived.

        @param at: where the frame begins.
        @return: the part of its payload; C{None} if the frame is of another kind.
        """
        start = at + _LONG_HEADER
        if (
            len(data) < start
            or data[at + 1] != _MASK | _LONG_LENGTH
            or not self._isStreamed(data, at)
        ):
            return None
        self._left, self._key = int.from_bytes(data[at + 2 : start - 4]), data[start - 4 : start]
        return self._takePart(data[start:])

    def _isStreamed(self, data: bytes, at: int) -> bool:
        """
        Whether a frame is a binary message of its own, so its payload can be
        delivered before its end arrives. The highest bit of a length must be 0
        (RFC 6455, 5.2): the library refuses such a frame as too long.

        @param at: where the frame begins.
        """
        isEndless = data[at + 1] == _MASK | _LONG_LENGTH and data[at + 2 : at + 3] >= b"\x80"
        return data[at] == _BINARY and not isEndless and not self._inMessage

    @property
    def _inMessage(self) -> bool:
        """
        Whether a message in fragments has begun.
        """
        return self._parser is not None and self._parser.current_size is not None

    def _takePart(self, data: bytes) -> bytes:
        """
        Unmask a part of a long frame.
        """
        payload = apply_mask(data, self._key)
        self._left -= len(data)
        turned = len(data) % 4
        self._key = self._key[turned:] + self._key[:turned]
        return payload

    def _continue(self, data: bytes) -> list[Arrival]:
        """
        Take the next part of a long frame, and what follows it.
        """
        end = min(self._left, len(data))
        part = self._parts((self._takePart(data[:end]),))
        return [*part, *self.receive(data[end:])] if end < len(data) else part

    def _readMessages(self, data: bytes, at: int, payloads: list[bytes]) -> int:
        """
        Read whole messages in whole frames, as far as nothing else comes.

        @param at: where the first begins.
        @param payloads: gets what is in them.
        @return: where something else begins, or what has not come whole.
        """
        if self._over or self._inMessage:
            return at
        limit, end = self._maxFrame, len(data)
        while end - at >= 6:
            first, length, start = data[at], data[at + 1] - _MASK, at + 6
            if length >= 126:
                start = at + (8 if length == 126 else 14)
                length = int.from_bytes(data[at + 2 : start - 4])
            stop = start + length
            if length < 0 or stop > end:
                break
            if first != _BINARY and (first != _TEXT or length > limit):
                break
            if length < _MIN_VIEW:
                payload = apply_mask(data[start:stop], data[start - 4 : start])
            else:
                payload = apply_mask(memoryview(data)[start:stop], data[start - 4 : start])
            if first == _TEXT and not payload.isascii():
                try:
                    payload.decode()
                except UnicodeDecodeError:
                    # The library has the words and the code for it.
                    break
            payloads.append(payload)
            at = stop
        return at

    def _lengthAt(self, data: bytes, at: int) -> int:
        """
        Find out how many bytes of a frame are needed to deal with it: all of it,
        if it is none that is refused at its header.

        @param at: where it begins.
        """
        left = len(data) - at
        if left < 2 or data[at] & 0x0F not in _OPCODES or not data[at + 1] & _MASK:
            return 2
        length, header = data[at + 1] & ~_MASK, 2
        if length >= 126:
            header = 4 if length == 126 else 10
            if left < header:
                return header
            length = int.from_bytes(data[at + 2 : at + header])
        if self._isStreamed(data, at):
            return _LONG_HEADER if header + 4 == _LONG_HEADER else header + 4 + length
        return header if length > self._maxFrame else header + 4 + length

    def _readOther(self, data: bytes, at: int, length: int) -> list[Arrival]:
        """
        Read a frame that is no whole message.

        @param at: where it begins.
        @param length: how much of it is needed, see L{_lengthAt}.
        """
        first, payloadLength = data[at], data[at + 1] & ~_MASK
        # What else has such a length says it in a way of its own, or is refused at its header.
        isShort = payloadLength <= _MAX_CONTROL and length == 6 + payloadLength
        if isShort and first == PONG:
            return []
        if isShort and first == PING:
            return [Pings([apply_mask(data[at + 6 : at + length], data[at + 2 : at + 6])])]
        return self._parse(data[at : at + length])

    def _parse(self, data: bytes) -> list[Arrival]:
        """
        Have the library read something.
        """
        parser = self._ensureParser()
        arrived: list[Arrival] = []
        for frame in parser.frames(data):
            if frame.opcode is Opcode.PING:
                arrived.append(Pings([bytes(frame.data)]))
            elif frame.opcode is not Opcode.CLOSE:
                arrived.append(bytes(frame.data))
        writes = parser.data_to_send()
        if SEND_EOF in writes:
            self._over = True
            arrived.append(_endOf(parser, b"".join(writes)))
        return arrived

    def _ensureParser(self) -> FrameParser:
        """
        Get the library's side; few connections ever need it.
        """
        if self._parser is None:
            self._parser = FrameParser(self._maxFrame)
        return self._parser

    def _grouped(self, arrived: list[Arrival]) -> list[Arrival]:
        """
        Put together what comes one behind the other.
        """
        grouped: list[Arrival] = []
        for _, items in itertools.groupby(arrived, type):
            alike = [*items]
            payloads = [each for each in alike if isinstance(each, bytes)]
            pings = [each for each in alike if isinstance(each, Pings)]
            if payloads:
                grouped += self._parts(payloads)
            elif pings:
                grouped.append(Pings([payload for each in pings for payload in each.payloads]))
            else:
                grouped += alike
        return grouped

    def _parts(self, payloads: Iterable[bytes]) -> list[Arrival]:
        """
        Join payloads, and cut what is too long for one.
        """
        data, length = b"".join(payloads), self.maxPayload
        if len(data) <= length:
            return [data] if data else []
        return [data[at : at + length] for at in range(0, len(data), length)]

    # Out

    def messages(self, payloads: Sequence[bytes]) -> bytes:
        """
        Make a binary message of each of some payloads; none of one that is
        empty.

        @param payloads: what becomes a message each, of any length.
        @return: the frames, one behind the other; one for each message, and
            without masks, as a server has to send them.
        """
        if not self.compressed:
            return makeMessages(payloads)
        extensions = self._ensureParser().extensions
        frames = [Frame(Opcode.BINARY, payload) for payload in payloads if payload]
        return b"".join(frame.serialize(mask=False, extensions=extensions) for frame in frames)

    def pongs(self, payloads: Sequence[bytes]) -> bytes:
        """
        Make the answers to some pings.

        @param payloads: those of the pings, as they came: up to 125 bytes.
        @return: the frames, one behind the other.
        """
        return b"".join([makeControl(PONG, payload) for payload in payloads])

    def ping(self) -> bytes:
        """
        Make a ping.

        @return: the frame; it has no payload.
        """
        return makeControl(PING)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bytes:
        """
        Make a Close.

        @param code: why; that all is well, if nothing else is said.
        @param reason: the same in words; what does not fit is cut off.
        @return: the frame; nothing if the peer has sent its own before, or has
            made a mistake: then the L{End} has it.
        """
        parser = self._ensureParser()
        if parser.state is not State.OPEN:
            return b""
        parser.send_close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))
        return b"".join(parser.data_to_send())


def _endOf(parser: FrameParser, answer: bytes) -> End:
    """
    Say why nothing more comes.
    """
    fault = parser.parser_exc
    close = parser.close_rcvd if fault is None else parser.close_sent
    if close is None or (fault is not None and not answer):
        # What is not allowed has come behind our own Close.
        return End(answer, CloseCode.ABNORMAL_CLOSURE, str(fault), True)
    return End(answer, int(close.code), close.reason, fault is not None)
