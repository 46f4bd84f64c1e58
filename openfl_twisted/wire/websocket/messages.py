"""
WebSocket frame writer, server side: messages and control frames, without masks.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence

from websockets.frames import Close, Opcode

from openfl_twisted.wire.framing import Framing

# The highest bit of a frame's first byte is set in the last frame of a message.
_FIN = 0x80

# The bits of the first byte that contain the opcode.
_OPCODE = 0x0F

# The first byte of a message in one frame, and the opcodes of messages.
_BINARY, _TEXT = _FIN | Opcode.BINARY, _FIN | Opcode.TEXT
_MESSAGES = frozenset((Opcode.BINARY, Opcode.TEXT))

# This bit of a frame's first byte is set if the message is compressed (RSV1).
_COMPRESSED = 0x40

# The bytes at the end of a compressed message that are not sent (RFC 7692, 7.2.1).
_TAIL = b"\0\0\xff\xff"

# zlib's memory level for messages that are not long, as in the websockets library.
_MEMORY_LEVEL = 5

# Longer messages are compressed at level 1, because the default level takes up to 80 ms for 1 MiB.
# Frames up to this length are cached separately.
_MAX_SHORT = 64 * 1024

_MIN_COMPRESSED = 64
"""
Minimum length of a message that is compressed (bytes). Shorter messages rarely become shorter.
"""

_MAX_COMPRESSED = 1024 * 1024 + 1
"""
Maximum length of a message that is compressed (bytes): 1 MiB and a NUL byte. Compressing longer
messages would delay other connections.
"""

_MAX_CACHED = 8 * 1024 * 1024
"""
Maximum length of the messages and frames that are cached for other receivers of the same
messages (bytes).
"""

# The payload of a control frame has at most 125 bytes (RFC 6455, 5.5), including two bytes for the
# close code.
_MAX_REASON = 123

SHORT_HEADERS = [bytes((_BINARY, length)) for length in range(126)]
"""
The headers of short binary messages, by the length of their payloads.
"""

_packHeader = struct.Struct("!BBH").pack
_packLongHeader = struct.Struct("!BBQ").pack


def _header(length: int, first: int = _BINARY) -> bytes:
    """
    Encode the frame header of a message.

    @param first: the first byte.
    """
    if length < 126:
        return bytes((first, length))
    if length < 65536:
        return _packHeader(first, 126, length)
    return _packLongHeader(first, 127, length)


def payloadsOf(frames: bytes, at: int, sent: int) -> list[bytes]:
    """
    Return the payloads of the messages in frames that were not sent completely.

    @param frames: the frames, joined; other bytes may precede them.
    @param at: position of the first frame.
    @param sent: the number of bytes at the beginning of C{frames} that were sent.
    @return: the payloads, in order. Compressed payloads are returned without decompression.
    """
    payloads = []
    while at < len(frames):
        first, length, start = frames[at], frames[at + 1], at + 2
        if length >= 126:
            start = at + (4 if length == 126 else 10)
            length = int.from_bytes(frames[at + 2 : start])
        at = start + length
        if first & _OPCODE in _MESSAGES and at > sent:
            payloads.append(frames[start:at])
    return payloads


# The payload of a ping is the time at which it was sent (seconds).
_time = struct.Struct("!d")


def makePing(now: float) -> bytes:
    """
    Encode a ping that contains the time.

    @param now: the current time (seconds).
    """
    return makeControl(Opcode.PING, _time.pack(now))


def timeOf(payload: bytes) -> float | None:
    """
    Return the time in the payload of a ping, or of the answer of the peer.

    @return: the time, which can be any number; C{None} if the payload is of another length.
    """
    return _time.unpack(payload)[0] if len(payload) == _time.size else None


def makePongs(payloads: Sequence[bytes]) -> bytes:
    """
    Encode the answers to pings.

    @param payloads: the payloads of the pings, at most 125 bytes each.
    """
    return b"".join([makeControl(Opcode.PONG, payload) for payload in payloads])


def makeControl(opcode: Opcode, payload: bytes = b"") -> bytes:
    """
    Encode a control frame.

    @param payload: the payload, at most 125 bytes.
    """
    return bytes((_FIN | opcode, len(payload))) + payload


def makeClose(code: int, reason: str) -> bytes:
    """
    Encode a Close frame.

    @param code: the close code (RFC 6455, 7.4).
    @param reason: the reason, truncated to 123 bytes.
    @raise ProtocolError: if the code must not be sent.
    """
    reason = reason.encode()[:_MAX_REASON].decode(errors="ignore")
    return makeControl(Opcode.CLOSE, Close(code, reason).serialize())


class Compression:
    """
    Counts compressed bytes.

    @ivar length: total length of the messages that this process has compressed (bytes).
    """

    def __init__(self) -> None:
        self.length = 0


compression = Compression()
"""
The compression of this process.
"""


def _compress(payload: bytes, bits: int) -> bytes:
    """
    Compress a message as C{permessage-deflate} does (RFC 7692, 7.2.1), independently of other
    messages.

    @param bits: the base-2 logarithm of the window size, from 9 to 15.
    @return: the compressed message, without the bytes that are not sent.
    """
    compression.length += len(payload)
    isLong = len(payload) > _MAX_SHORT
    level, memory = (1, 8) if isLong else (zlib.Z_DEFAULT_COMPRESSION, _MEMORY_LEVEL)
    compressor = zlib.compressobj(level, zlib.DEFLATED, -bits, memory)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


def _isUTF8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _encode(payloads: Iterable[bytes], bits: int, framing: Framing | None) -> bytes:
    """
    Encode each payload that is not empty as a message.

    @param bits: see L{_compress}; 0 for no compression.
    @param framing: for text messages, the framing that is removed from each payload. A payload that
        is not UTF-8 becomes a binary message. C{None} for binary messages.
    """
    parts: list[bytes] = []
    for payload in filter(None, payloads):
        first, content = _BINARY, payload
        if framing is not None:
            content = framing.content(payload)
            first = _TEXT if content.isascii() or _isUTF8(content) else _BINARY
        length = len(content)
        if bits and _MIN_COMPRESSED <= length <= _MAX_COMPRESSED:
            compressed = _compress(content, bits)
            if len(compressed) < length:
                parts.append(_header(len(compressed), first | _COMPRESSED))
                parts.append(compressed)
                continue
        parts.append(_header(length, first))
        parts.append(content)
    return b"".join(parts)


class _Maker:
    """
    Encodes messages, and caches frames, so that a message for many connections is
    encoded once.

    @ivar _payloads: the messages that were encoded last without compression, if their frames
        are short.
    @ivar _frames: the frames of these messages.
    @ivar _shared: the frames of other messages, by the identity of the first message, the number
        of messages, the window size and the framing. The messages are stored with their frames, so
        that the identity stays valid.
    @ivar _size: the length of the messages and frames in C{_shared}.
    """

    def __init__(self) -> None:
        self._payloads: tuple[bytes, ...] = ()
        self._frames = b""
        self._shared: dict[
            tuple[int, int, int, Framing | None], tuple[tuple[bytes, ...], bytes, int]
        ] = {}
        self._size = 0

    def make(self, payloads: Sequence[bytes]) -> bytes:
        """
        Encode each payload that is not empty as a binary message.
        """
        if not payloads:
            return b""
        last = self._payloads
        # In nearly all cases, comparing the identity of the first payload is sufficient.
        if last and payloads[0] is last[0] and tuple(payloads) == last:
            return self._frames
        if len(payloads[0]) > _MAX_SHORT:
            return self.makeShared(payloads, 0)
        parts: list[bytes] = []
        for payload in payloads:
            length = len(payload)
            if length:
                parts.append(SHORT_HEADERS[length] if length < 126 else _header(length))
                parts.append(payload)
        frames = b"".join(parts)
        if len(frames) <= _MAX_SHORT:
            self._payloads, self._frames = tuple(payloads), frames
        return frames

    def makeShared(
        self, payloads: Sequence[bytes], bits: int, framing: Framing | None = None
    ) -> bytes:
        """
        Encode each payload that is not empty as a message. The frames are cached. A
        message is not compressed if this would not make it shorter, if it is very short, or if
        it is longer than L{_MAX_COMPRESSED}.

        @param bits: the base-2 logarithm of the window size of C{permessage-deflate}, from 9
            to 15; 0 for no compression.
        @param framing: see L{_encode}.
        """
        if not payloads:
            return b""
        key = (id(payloads[0]), len(payloads), bits, framing)
        entry = self._shared.pop(key, None)
        if entry is not None:
            if entry[0] == tuple(payloads):
                # Insert the entry again, so that the oldest entry is the one not used for longest.
                self._shared[key] = entry
                return entry[1]
            self._size -= entry[2]
        frames = _encode(payloads, bits, framing)
        size = len(frames) + sum(map(len, payloads))
        if size <= _MAX_CACHED:
            self._size += size
            while self._size > _MAX_CACHED:
                oldest = next(iter(self._shared))
                self._size -= self._shared.pop(oldest)[2]
            self._shared[key] = (tuple(payloads), frames, size)
        return frames


_maker = _Maker()
makeMessages = _maker.make
"""
Encode binary messages; see L{_Maker.make}.
"""

makeCompressed = _maker.makeShared
"""
Encode compressed binary messages; see L{_Maker.makeShared}.
"""

makeTexts = _maker.makeShared
"""
Encode text messages; see L{_Maker.makeShared}.
"""
