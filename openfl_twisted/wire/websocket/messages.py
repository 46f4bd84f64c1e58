"""
The frames that a server sends: messages, pings and their answers.
"""

import struct
from collections.abc import Sequence

# The first byte of a frame that is a whole message of bytes.
_BINARY = 0x82

PING = 0x89
"""
The first byte of a ping (RFC 6455, 5.5.2).
"""

PONG = 0x8A
"""
The first byte of the answer to a ping (RFC 6455, 5.5.3).
"""

# Longer ones are not kept in case they go to somebody else too.
_MAX_SHARED = 64 * 1024

# What stands before the shortest payloads, by their length.
_HEADERS = [bytes((_BINARY, length)) for length in range(126)]

_packHeader = struct.Struct("!BBH").pack
_packLongHeader = struct.Struct("!BBQ").pack


def _header(length: int) -> bytes:
    """
    Write what stands before a binary message.
    """
    if length < 126:
        return _HEADERS[length]
    if length < 65536:
        return _packHeader(_BINARY, 126, length)
    return _packLongHeader(_BINARY, 127, length)


def makeControl(opcode: int, payload: bytes = b"") -> bytes:
    """
    Make a frame that controls.

    @param opcode: its first byte: L{PING} or L{PONG}.
    @param payload: 125 bytes at most.
    """
    return bytes((opcode, len(payload))) + payload


class _Maker:
    """
    Makes binary messages, and keeps what it has made last: messages that go to
    many are made once, by whichever of their connections they go first.
    """

    def __init__(self) -> None:
        self._payloads: tuple[bytes, ...] = ()
        self._frames = b""

    def make(self, payloads: Sequence[bytes]) -> bytes:
        """
        Make a binary message of each payload that is not empty.
        """
        if not payloads:
            return b""
        last = self._payloads
        # The first alone tells nearly always, without a look at what it contains.
        if last and payloads[0] is last[0] and tuple(payloads) == last:
            return self._frames
        parts: list[bytes] = []
        for payload in payloads:
            if payload:
                parts += (_header(len(payload)), payload)
        frames = b"".join(parts)
        if len(frames) <= _MAX_SHARED:
            self._payloads, self._frames = tuple(payloads), frames
        return frames


makeMessages = _Maker().make
"""
Make binary messages; see L{_Maker.make}.
"""
