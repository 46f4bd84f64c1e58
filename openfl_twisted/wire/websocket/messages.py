"""
WebSocket frame writer, server side: binary messages and control frames, without
masks.
"""

import struct
from collections.abc import Sequence

from websockets.extensions import Extension
from websockets.frames import Close, Frame, Opcode

# The highest bit of a frame's first byte is set in the last frame of a message.
_FIN = 0x80

# The bits of the first byte that contain the opcode.
_OPCODE = 0x0F

# The first byte of a binary message in one frame.
_BINARY = _FIN | Opcode.BINARY

# Longer frames are not cached for the next connection.
_MAX_SHARED = 64 * 1024

# The payload of a control frame has at most 125 bytes (RFC 6455, 5.5), including two bytes for the
# close code.
_MAX_REASON = 123

SHORT_HEADERS = [bytes((_BINARY, length)) for length in range(126)]
"""
The headers of short binary messages, by the length of their payloads.
"""

_packHeader = struct.Struct("!BBH").pack
_packLongHeader = struct.Struct("!BBQ").pack


def _header(length: int) -> bytes:
    """
    Encode the frame header of a binary message of at least 126 bytes.
    """
    if length < 65536:
        return _packHeader(_BINARY, 126, length)
    return _packLongHeader(_BINARY, 127, length)


def payloadsOf(frames: bytes, at: int, sent: int) -> list[bytes]:
    """
    Return the payloads of the binary messages in frames that were not sent completely.

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
        if first & _OPCODE == Opcode.BINARY and at > sent:
            payloads.append(frames[start:at])
    return payloads


PING = bytes((_FIN | Opcode.PING, 0))
"""
A ping without a payload.
"""


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


def compressMessages(payloads: Sequence[bytes], extension: Extension) -> bytes:
    """
    Encode each payload that is not empty as a compressed binary message.

    @param extension: the negotiated C{permessage-deflate}.
    """
    frames = [Frame(Opcode.BINARY, payload) for payload in payloads if payload]
    return b"".join([frame.serialize(mask=False, extensions=[extension]) for frame in frames])


class _Maker:
    """
    Encodes binary messages, and caches the last frames, so that a message for many connections
    is encoded once.
    """

    def __init__(self) -> None:
        self._payloads: tuple[bytes, ...] = ()
        self._frames = b""

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
        parts: list[bytes] = []
        for payload in payloads:
            length = len(payload)
            if length:
                parts.append(SHORT_HEADERS[length] if length < 126 else _header(length))
                parts.append(payload)
        frames = b"".join(parts)
        if len(frames) <= _MAX_SHARED:
            self._payloads, self._frames = tuple(payloads), frames
        return frames


makeMessages = _Maker().make
"""
Encode binary messages; see L{_Maker.make}.
"""
