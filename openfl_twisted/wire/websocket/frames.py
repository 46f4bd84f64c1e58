"""
WebSocket frame reader (RFC 6455), server side. The reader converts bytes to events: payloads,
pings, and the end of the WebSocket.

One loop reads all frames. The C{websockets} library is used to unmask and inflate payloads,
and to parse the payload of a Close frame.
"""

import codecs
from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Close, CloseCode, Frame, Opcode

from openfl_twisted.wire.framing import FRAMINGS, RAW, Framing
from openfl_twisted.wire.websocket.messages import (
    makeClose,
    makeCompressed,
    makeControl,
    makeMessages,
    makeTexts,
)

try:
    from websockets.speedups import apply_mask
except ImportError:  # pragma: no cover - the library was built without a C compiler
    from websockets.utils import apply_mask

MAX_FRAME = 1024 * 1024 + 1
"""
Maximum length of a frame that is buffered until it is complete (bytes): 1 MiB and a NUL byte.
The limit applies to text messages, fragments and compressed messages. A binary message in one
frame has no limit, because its payload is delivered as it arrives.
"""

# Longer payloads are delivered in parts. The parts are smaller if messages can be compressed.
_MAX_PAYLOAD = 64 * 1024
_MAX_INFLATED = 16 * 1024

# Maximum length of compressed data for one call. Inflating increases the length at most about a
# thousand times.
_COMPRESSED_CHUNK = 1024

# The maximum payload of a control frame (RFC 6455, 5.5).
_MAX_CONTROL = 125

# The first byte of a frame: FIN, the reserved bits and the opcode. RSV1 means compressed.
_FIN, _RESERVED, _RSV1, _OPCODE = 0x80, 0x70, 0x40, 0x0F
_OPCODES = frozenset(Opcode)
_DATA_OPCODES = frozenset((Opcode.TEXT, Opcode.BINARY))

# The first byte of an uncompressed message in one frame, and of a control frame.
_TEXT, _BINARY = _FIN | Opcode.TEXT, _FIN | Opcode.BINARY
_CLOSE, _PING, _PONG = _FIN | Opcode.CLOSE, _FIN | Opcode.PING, _FIN | Opcode.PONG

# This bit of a frame's second byte is set if the payload is masked. A client must mask every
# payload.
_MASK = 0x80

# The length of the header of a frame whose payload length has eight bytes.
_LONG_HEADER = 14

# Maximum number of control frames, fragments and compressed frames in one call, because they take
# longer than other frames.
_MAX_OTHERS = 256

# For a payload of this length or longer, a memoryview costs less than a copy.
_MIN_VIEW = 16 * 1024

_makeDecoder = codecs.getincrementaldecoder("utf-8")


class Texts(NamedTuple):
    """
    How text messages are received and sent. A client that has sent a text message is answered
    with text messages.

    @ivar framing: the framing of the application. A received text message is one message of this
        framing, with or without the terminator.
    @ivar answers: whether the client has sent a text message.
    @ivar keepsEnd: whether the client's first text message had the terminator, so that the answers
        have it, too.
    """

    framing: Framing = RAW
    answers: bool = False
    keepsEnd: bool = True


_RAW_ANSWERS = Texts(RAW, answers=True)

TEXTS = {name: Texts(framing) for name, framing in FRAMINGS.items()}
"""
The L{Texts} before the first text message, by the name of the framing. All WebSockets share them,
to save memory.
"""


class _TextParts:
    """
    The fragments of a text message.
    """

    def __init__(self, maxLength: int) -> None:
        self._maxLength = maxLength
        self._decoder = _makeDecoder()
        self._joined = bytearray()

    def check(self, part: bytes, isLast: bool) -> None:
        """
        Check the encoding of a fragment.

        @raise UnicodeDecodeError: if the text is not UTF-8.
        """
        self._decoder.decode(part, isLast)

    def add(self, part: bytes) -> None:
        """
        Store a fragment.

        @raise PayloadTooBig: if the message exceeds the limit.
        """
        length = len(self._joined) + len(part)
        if length > self._maxLength:
            raise PayloadTooBig(length, self._maxLength)
        self._joined += part

    def whole(self) -> bytes:
        """
        Return the text of all fragments.
        """
        return bytes(self._joined)


class Pings(NamedTuple):
    """
    Pings to answer.

    @ivar payloads: the payloads of the pongs, in order.
    """

    payloads: list[bytes]


class Pong(NamedTuple):
    """
    The answer to a ping that has a payload.

    @ivar payload: the payload.
    """

    payload: bytes


class End(NamedTuple):
    """
    The end of the WebSocket: the peer has sent a Close frame or violated the protocol.

    @ivar answer: the bytes to send before the connection is closed.
    @ivar code: the code in the peer's Close frame; after a violation, the code in the answer.
    @ivar reason: the reason that belongs to the code.
    @ivar fault: whether the peer has violated the protocol.
    """

    answer: bytes
    code: int
    reason: str
    fault: bool


Arrival: TypeAlias = bytes | Pings | Pong | End
"""
An event from the frame reader: bytes for the application, pings, the answer to a ping, or the
end of the WebSocket.
"""


class WebSocketFrames:
    """
    The frame reader and writer of one WebSocket on the server, without I/O.

    @ivar compressed: whether messages are compressed.
    @ivar texts: how text messages are received and sent.
    @ivar others: number of control frames, fragments and compressed frames that the
        last call of L{receive} has read.
    @ivar unfinished: whether L{receive} has not read all frames, because there were too many.
        Call L{receive} again with no data after serving other connections.
    """

    __slots__ = (
        "_closeSent",
        "_extension",
        "_held",
        "_inMessage",
        "_key",
        "_left",
        "_maxFrame",
        "_over",
        "_text",
        "_wanted",
        "compressed",
        "others",
        "texts",
        "unfinished",
    )

    def __init__(
        self, maxFrame: int = MAX_FRAME, extension: PerMessageDeflate | None = None
    ) -> None:
        """
        @param maxFrame: maximum length of a frame that is buffered until it is complete, both
            before and after inflating (bytes); see L{MAX_FRAME}.
        @param extension: the negotiated C{permessage-deflate} (default: none).
        """
        self._maxFrame = maxFrame
        self._extension = extension
        self.compressed = extension is not None
        # The received bytes of an incomplete frame, and the number of bytes at which the frame must
        # be examined again.
        self._held: bytearray | None = None
        self._wanted = 0
        self.unfinished = False
        self.others = 0
        # For a frame that is delivered in parts: the number of missing bytes, and the mask.
        self._left = 0
        self._key = b""
        # Whether a fragmented message has begun, and its fragments if it is text.
        self._inMessage = False
        self._text: _TextParts | None = None
        self.texts = TEXTS[RAW.name]
        self._closeSent = False
        self._over = False

    # In

    @property
    def maxChunk(self) -> int | None:
        """
        Maximum number of bytes to pass to one call of L{receive}, so that its result has a
        limited length; C{None} for no limit.
        """
        return _COMPRESSED_CHUNK if self.compressed else None

    @property
    def maxPayload(self) -> int:
        """
        Maximum length of the bytes in one L{Arrival}.
        """
        return _MAX_INFLATED if self.compressed else _MAX_PAYLOAD

    def receiveShort(self, data: bytes) -> bytes | None:
        """
        Read a chunk that is exactly one short binary message. This is the usual case for a
        client that waits for each answer.

        @param data: the chunk.
        @return: the payload; C{None} for any other chunk, which L{receive} must read.
        """
        length = len(data) - 6
        if (
            not 0 < length < 126
            or data[1] != _MASK | length
            or self._held is not None
            or self._left
            or self._inMessage
            or self._over
        ):
            return None
        return apply_mask(data[6:], data[2:6]) if data[0] == _BINARY else None

    def receive(self, data: bytes) -> list[Arrival]:
        """
        Read the frames in the next chunk of the stream.

        A payload is returned when its frame is complete, even if the message is not.
        Consecutive payloads are joined. The returned bytes do not depend on chunk boundaries.

        @param data: the chunk; at most C{maxChunk} bytes, if C{maxChunk} is not C{None}.
        @return: the events, in order. No event follows an L{End}.
        """
        if self._over:
            return []
        if self._held is not None:
            self._held += data
            if len(self._held) < self._wanted:
                return []
        arrived: list[Arrival] = []
        payloads: list[bytes] = []
        end: End | None
        try:
            end = self._read(data, payloads, arrived)
        except ProtocolError as error:
            end = self._faultEnd(CloseCode.PROTOCOL_ERROR, str(error))
        except UnicodeDecodeError as error:
            reason = f"{error.reason} at position {error.start}"
            end = self._faultEnd(CloseCode.INVALID_DATA, reason)
        except PayloadTooBig as error:
            end = self._faultEnd(CloseCode.MESSAGE_TOO_BIG, str(error))
        if end is None and not arrived and len(payloads) == 1:
            # The usual case for a client that waits for each answer.
            limit = _MAX_INFLATED if self.compressed else _MAX_PAYLOAD
            if 0 < len(payloads[0]) <= limit:
                return [*payloads]
        arrived += self._parts(payloads)
        if end is not None:
            self._over = True
            arrived.append(end)
        return arrived

    def _read(self, data: bytes, payloads: list[bytes], arrived: list[Arrival]) -> End | None:
        """
        Read frames. Payloads are appended to C{payloads}. At a ping, they are moved to C{arrived},
        followed by the ping.

        @param payloads: the list that receives the payloads after the last ping.
        @param arrived: the list that receives all earlier payloads and the pings, in order.
        @return: the end of the WebSocket, if the peer has sent a Close frame; otherwise
            C{None}.
        @raise ProtocolError: if a frame violates the protocol.
        @raise UnicodeDecodeError: if text, or the reason in a Close frame, is not UTF-8.
        @raise PayloadTooBig: if a frame exceeds the limit.
        """
        self.unfinished = False
        self.others = 0
        stream: bytes | bytearray = data
        at = others = 0
        if self._left:
            at = min(self._left, len(data))
            payloads.append(self._unmaskPart(memoryview(data)[:at]))
        elif self._held is not None:
            stream, self._held = self._held, None
        end, limit, inMessage, wanted = len(stream), self._maxFrame, self._inMessage, 2
        last = end - 1
        while at < last:
            first, length, start = stream[at], stream[at + 1] - _MASK, at + 6
            source: bytes | bytearray | memoryview = stream
            if length >= 126:
                start = at + (8 if length == 126 else _LONG_HEADER)
                if start - 4 > end:
                    wanted = start - 4 - at
                    break
                if length == 126:
                    length = stream[at + 2] << 8 | stream[at + 3]
                else:
                    length = int.from_bytes(stream[at + 2 : start - 4])
                if length >= _MIN_VIEW:
                    source = memoryview(stream)
            if inMessage or length < 0 or (first != _BINARY and (first != _TEXT or length > limit)):
                if others == _MAX_OTHERS:
                    self.unfinished, wanted = True, 0
                    break
                self.others = others = others + 1
                self._checkHeader(first, length)
            stop = start + length
            if stop > end:
                wanted = stop - at
                if first == _BINARY and start == at + _LONG_HEADER:
                    # The highest bit of a length must be 0 (RFC 6455, 5.2).
                    if length >> 63:
                        raise PayloadTooBig(length, limit)
                    wanted = _LONG_HEADER
                    if start <= end:
                        self._left, self._key = length, bytes(stream[start - 4 : start])
                        payloads.append(self._unmaskPart(memoryview(stream)[start:]))
                        return None
                break
            payload = apply_mask(source[start:stop], stream[start - 4 : start])
            at = stop
            if first == _BINARY:
                payloads.append(payload)
            elif first == _TEXT:
                if not payload.isascii():
                    payload.decode()
                # The condition is only for speed.
                isRaw = self.texts is _RAW_ANSWERS
                payloads.append(payload if isRaw else self._frameText(payload))
            elif first == _PING:
                arrived += self._parts(payloads)
                payloads.clear()
                if arrived and isinstance(arrived[-1], Pings):
                    arrived[-1].payloads.append(payload)
                else:
                    arrived.append(Pings([payload]))
            elif first == _CLOSE:
                close = Close.parse(payload)
                answer = b"" if self._closeSent else makeControl(Opcode.CLOSE, payload)
                return End(answer, int(close.code), close.reason, False)
            elif first == _PONG:
                # The order of a pong and of data has no meaning.
                if payload:
                    arrived.append(Pong(payload))
            else:
                payloads.append(self._readFragment(first, payload))
                inMessage = self._inMessage
        if at < end:
            self._held, self._wanted = bytearray(memoryview(stream)[at:]), wanted
        return None

    def _checkHeader(self, first: int, length: int) -> None:
        """
        Check the header of any frame other than an unfragmented message.

        @param first: the first byte of the frame.
        @param length: the length of the payload; negative if the payload is not masked.
        @raise ProtocolError: if the frame violates the protocol.
        @raise PayloadTooBig: if the frame exceeds the limit.
        """
        opcode = first & _OPCODE
        compressible = self.compressed and opcode in _DATA_OPCODES
        if opcode not in _OPCODES:
            raise ProtocolError("invalid opcode")
        if length < 0:
            raise ProtocolError("incorrect masking")
        if first & (_RESERVED & ~_RSV1 if compressible else _RESERVED):
            raise ProtocolError("reserved bits must be 0")
        if opcode >= Opcode.CLOSE:
            if length > _MAX_CONTROL:
                raise ProtocolError("control frame too long")
            if first < _FIN:
                raise ProtocolError("fragmented control frame")
        elif self._inMessage and opcode != Opcode.CONT:
            raise ProtocolError("expected a continuation frame")
        elif not self._inMessage and opcode == Opcode.CONT:
            raise ProtocolError("unexpected continuation frame")
        elif length > self._maxFrame:
            raise PayloadTooBig(length, self._maxFrame)

    def _readFragment(self, first: int, payload: bytes) -> bytes:
        """
        Check and decode the payload of a fragment or a compressed message.

        @param first: the first byte of the frame.
        """
        opcode, isLast = first & _OPCODE, first >= _FIN
        if self._extension is not None:
            frame = Frame(Opcode(opcode), payload, isLast, bool(first & _RSV1))
            payload = bytes(self._extension.decode(frame, max_size=self._maxFrame).data)
        self._inMessage = not isLast
        if opcode == Opcode.TEXT:
            self._text = _TextParts(self._maxFrame)
        text = self._text
        if text is None:
            return payload
        text.check(payload, isLast)
        if isLast:
            self._text = None
        if self.texts.framing is RAW:
            return self._frameText(payload)
        text.add(payload)
        return self._frameText(text.whole()) if isLast else b""

    def _frameText(self, payload: bytes) -> bytes:
        """
        Return a text message as a message of the application's framing.

        @raise PayloadTooBig: if the text is too long for the framing.
        """
        texts = self.texts
        framing = texts.framing
        if framing is RAW:
            self.texts = _RAW_ANSWERS
            return payload
        isFrame = framing.isFrame(payload)
        if not texts.answers:
            self.texts = texts._replace(answers=True, keepsEnd=isFrame)
        if isFrame:
            return payload
        try:
            return framing.frame(payload)
        except ValueError:
            raise PayloadTooBig(len(payload), self._maxFrame) from None

    def _unmaskPart(self, part: memoryview) -> bytes:
        payload = apply_mask(part, self._key)
        self._left -= len(part)
        turned = len(part) % 4
        self._key = self._key[turned:] + self._key[:turned]
        return payload

    def _parts(self, payloads: list[bytes]) -> list[Arrival]:
        """
        Join payloads, and split the result if it is too long for one L{Arrival}.
        """
        data, length = b"".join(payloads), self.maxPayload
        if len(data) <= length:
            return [data] if data else []
        return [data[at : at + length] for at in range(0, len(data), length)]

    def _faultEnd(self, code: CloseCode, reason: str) -> End:
        """
        Create the L{End} after a protocol violation by the peer. The answer is a Close frame;
        if this side has already sent a Close frame, the answer is empty.
        """
        if self._closeSent:
            return End(b"", int(CloseCode.ABNORMAL_CLOSURE), reason, True)
        return End(makeClose(code, reason), int(code), reason, True)

    # Out

    def messages(self, payloads: Sequence[bytes]) -> bytes:
        """
        Encode each payload that is not empty as a message: binary, or text for a client that has
        sent text.

        @return: the frames, joined; one for each message.
        """
        bits = 0 if self._extension is None else self._extension.local_max_window_bits
        texts = self.texts
        if texts.answers:
            return makeTexts(payloads, bits, RAW if texts.keepsEnd else texts.framing)
        return makeCompressed(payloads, bits) if bits else makeMessages(payloads)

    def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> bytes:
        """
        Encode a Close frame.

        @param code: the close code (default 1000, normal closure).
        @param reason: the reason, truncated to 123 bytes.
        @return: the frame; empty if this method has already been called. The frame replaces the
            answer in an L{End} that was returned but not processed yet.
        """
        if self._closeSent:
            return b""
        frame = makeClose(code, reason)
        self._closeSent = True
        return frame
