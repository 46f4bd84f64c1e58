"""
Framings: how a byte stream is divided into messages.

  - C{nul}: a message ends with a NUL byte, as in C{XMLSocket};
  - C{lines}: a message ends with LF, or with CR LF; sent messages end with LF;
  - C{crlf}: the same, but sent messages end with CR LF;
  - C{u16} and C{u32}: the length in network byte order (2 or 4 bytes), then the content;
  - C{raw}: each received chunk is a message.
"""

import struct
import sys
from collections.abc import Mapping
from typing import Final, Protocol

from openfl_twisted.wire.chunkbuffer import ChunkBuffer
from openfl_twisted.wire.messages import END, MAX_LENGTH, MessageTooLong


class Cutter(Protocol):
    """
    Cuts one direction of a stream into messages.
    """

    def feed(self, data: bytes) -> bytes:
        """
        Add received bytes. The total time is linear in the length of the stream, however it is
        split into chunks.

        @param data: the bytes, of any length.
        @return: all messages that are complete now, together, with their terminators; empty if
            none is complete.
        """

    def rest(self) -> bytes:
        """
        Return the bytes of the incomplete message, and remove them.
        """

    @property
    def pending(self) -> int:
        """
        The length of the incomplete message (bytes).
        """


class FrameCutter(Cutter, Protocol):
    """
    Cuts one direction of a stream into frames.
    """

    @property
    def missing(self) -> int:
        """
        The number of bytes that the incomplete frame needs at least; 0 if this is unknown.
        """


class Framing(Protocol):
    """
    Divides a stream into messages. In this interface, a I{frame} is a message with its terminator
    or its length, and a I{content} is a message without them.

    @ivar name: the name of the framing.
    @ivar extra: maximum number of bytes that an incomplete frame has in addition to the content.
    """

    name: str
    extra: int

    def cutter(self) -> FrameCutter:
        """
        Create a cutter for one direction of a connection.
        """

    def split(self, whole: bytes) -> list[bytes]:
        """
        Split complete messages.

        @param whole: any number of frames, as returned by L{Cutter.feed}.
        @return: the frames: joined, they are C{whole} again.
        """

    def frame(self, content: bytes) -> bytes:
        """
        Return the frame of a message.

        @param content: the content.
        @raise ValueError: if the content is too long for its length.
        """

    def content(self, frame: bytes) -> bytes:
        """
        Return the content of a frame.

        @param frame: the frame.
        """

    def isFrame(self, data: bytes) -> bool:
        """
        Return whether data is already one or more complete frames that end with a terminator.

        @param data: the data.
        """


class _TerminatedCutter:
    """
    Cuts a stream after each terminator of one byte.
    """

    __slots__ = ("_end", "_holds", "_rest")

    missing = 0

    def __init__(self, end: bytes) -> None:
        self._end = end
        # Whether the buffer is not empty.
        self._holds = False
        self._rest = ChunkBuffer()

    def feed(self, data: bytes) -> bytes:
        if not self._holds and data.endswith(self._end):
            return data
        cut = data.rfind(self._end) + 1
        whole = data[:cut]
        if cut:
            whole = self._rest.end(whole)
            self._holds = False
        if cut < len(data):
            self._rest.add(data[cut:])
            self._holds = True
        return whole

    def rest(self) -> bytes:
        self._holds = False
        return self._rest.end()

    @property
    def pending(self) -> int:
        return len(self._rest)


class Terminated(Framing):
    """
    Messages that end with a terminator of one byte. For LF, a CR before it belongs to the
    terminator.
    """

    def __init__(self, name: str, end: bytes) -> None:
        """
        @param end: the terminator of sent messages; its last byte is that of received messages.
        """
        self.name = name
        self._sent = end
        self._end = end[-1:]
        self.extra = int(self._end == b"\n")

    def cutter(self) -> FrameCutter:
        return _TerminatedCutter(self._end)

    def split(self, whole: bytes) -> list[bytes]:
        parts = whole.split(self._end)
        last = parts.pop()
        messages = [part + self._end for part in parts]
        return [*messages, last] if last else messages

    def frame(self, content: bytes) -> bytes:
        return content + self._sent

    def content(self, frame: bytes) -> bytes:
        content = frame.removesuffix(self._end)
        return content.removesuffix(b"\r") if self._end == b"\n" else content

    def isFrame(self, data: bytes) -> bool:
        return data.endswith(self._end)


class _PrefixedCutter:
    """
    Cuts a stream of messages that begin with their length.
    """

    __slots__ = ("_framing", "_rest", "missing")

    def __init__(self, framing: "Prefixed") -> None:
        self._framing = framing
        self._rest = ChunkBuffer()
        self.missing = 0

    def feed(self, data: bytes) -> bytes:
        if len(data) < self.missing:
            self._rest.add(data)
            self.missing -= len(data)
            return b""
        if len(self._rest):
            data = self._rest.end(data)
        ends, length = self._framing.ends(data)
        cut = ends[-1] if ends else 0
        self.missing = cut + length - len(data)
        if cut < len(data):
            self._rest.add(data[cut:])
        return data[:cut]

    def rest(self) -> bytes:
        self.missing = 0
        return self._rest.end()

    @property
    def pending(self) -> int:
        return len(self._rest)


class Prefixed(Framing):
    """
    Messages that begin with their length, in network byte order.
    """

    def __init__(self, name: str, size: int, countsItself: bool = False) -> None:
        """
        @param size: the size of the length: 2 or 4 bytes.
        @param countsItself: whether the length includes its own bytes.
        """
        self.name = name
        self.extra = size
        self._size = size
        self._added = 0 if countsItself else size
        self._unpack = struct.Struct({2: "!H", 4: "!I"}[size]).unpack_from

    def ends(self, data: bytes) -> tuple[list[int], int]:
        """
        Find the complete frames at the beginning of data.

        @return: the position after each frame; and the length of the frame after them, or the size
            of the length if this frame has no complete length. A frame is at least as long as its
            length.
        """
        # One loop without calls of Python functions: a chunk can contain thousands of frames.
        unpack, size, added = self._unpack, self._size, self._added
        ends: list[int] = []
        at, end = 0, len(data)
        last = end - size
        while at <= last:
            length = unpack(data, at)[0] + added
            if length < size:
                length = size
            if at + length > end:
                return ends, length
            at += length
            ends.append(at)
        return ends, size

    def cutter(self) -> FrameCutter:
        return _PrefixedCutter(self)

    def split(self, whole: bytes) -> list[bytes]:
        ends, _ = self.ends(whole)
        starts = [0, *ends]
        messages = [whole[start:end] for start, end in zip(starts, ends, strict=False)]
        rest = whole[starts[-1] :]
        return [*messages, rest] if rest else messages

    def frame(self, content: bytes) -> bytes:
        length = len(content) + self._size - self._added
        if length >> 8 * self._size:
            raise ValueError(
                f"a message of {len(content)} bytes is too long for the framing {self.name}, whose"
                f" length has {self._size} bytes"
            )
        return length.to_bytes(self._size, "big") + content

    def content(self, frame: bytes) -> bytes:
        return frame[self._size :]

    def isFrame(self, data: bytes) -> bool:
        return False


class _RawCutter:
    """
    Returns each chunk unchanged.
    """

    __slots__ = ()

    pending = missing = 0

    def feed(self, data: bytes) -> bytes:
        return data

    def rest(self) -> bytes:
        return b""


class Raw(Framing):
    """
    Bytes without messages.
    """

    name = "raw"
    extra = 0

    def cutter(self) -> FrameCutter:
        return _RawCutter()

    def split(self, whole: bytes) -> list[bytes]:
        return [whole] if whole else []

    def frame(self, content: bytes) -> bytes:
        return content

    def content(self, frame: bytes) -> bytes:
        return frame

    def isFrame(self, data: bytes) -> bool:
        return True


NUL: Final = Terminated("nul", END)
"""
The framing of C{XMLSocket}.
"""

RAW: Final = Raw()
"""
No framing.
"""

FRAMINGS: Mapping[str, Framing] = {
    each.name: each
    for each in (
        NUL,
        Terminated("lines", b"\n"),
        Terminated("crlf", b"\r\n"),
        Prefixed("u16", 2),
        Prefixed("u32", 4),
        RAW,
    )
}
"""
The framings, by name.
"""


def framingOf(name: str) -> Framing:
    """
    Return a framing.

    @raise ValueError: if the name is unknown.
    """
    if name not in FRAMINGS:
        raise ValueError(f"{name!r:.80} is not a framing: use one of {', '.join(FRAMINGS)}")
    return FRAMINGS[name]


class FrameSplitter:
    """
    Splits a byte stream into frames. The frames do not depend on chunk boundaries, except those
    of C{raw}.

    @ivar maxLength: maximum length of the content of a message (bytes); C{sys.maxsize} for no
        limit.
    """

    __slots__ = ("_cutter", "_framing", "maxLength")

    def __init__(self, framing: Framing, maxLength: int = MAX_LENGTH) -> None:
        """
        @param maxLength: maximum length of the content of a message (bytes); 0 for no limit.
            With L{RAW}, there is no limit, since a chunk is not held.
        """
        self.maxLength = (0 if framing is RAW else maxLength) or sys.maxsize
        self._framing = framing
        self._cutter = framing.cutter()

    @property
    def pending(self) -> int:
        """
        Number of buffered bytes of an incomplete message.
        """
        return self._cutter.pending

    def receive(self, data: bytes) -> list[bytes]:
        """
        Parse the next chunk of the stream.

        @return: the completed frames.
        @raise MessageTooLong: if a message exceeds the limit. C{before} contains the frames before
            it. The splitter cannot be used again.
        """
        framing, cutter, limit = self._framing, self._cutter, self.maxLength
        frames = framing.split(cutter.feed(data))
        if frames and max(map(len, frames)) > limit:
            for number, frame in enumerate(frames):
                if len(framing.content(frame)) > limit:
                    raise MessageTooLong(limit, frames[:number])
        # The length at the beginning of a message is checked before its content is received: data
        # without lengths often looks like a very long message.
        if cutter.pending + cutter.missing > limit + framing.extra:
            raise MessageTooLong(limit, frames)
        return frames

    def takeRest(self) -> bytes:
        """
        Remove the bytes of the incomplete message.

        @return: the bytes; can be empty.
        """
        return self._cutter.rest()
