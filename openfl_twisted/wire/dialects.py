"""
Dialects: how a byte stream is divided into messages, and how a message is shown.

A dialect is a L{Dialect}. The dialects of this module are in L{DIALECTS}:

  - C{xml}: NUL-terminated text, such as XML, JSON and C{%xt%} messages;
  - C{lines}: text lines that end with LF;
  - C{u16} and C{u32}: a length in network byte order (2 or 4 bytes), then the content;
  - C{u16self} and C{u32self}: the same, and the length includes its own bytes;
  - C{amf0} and C{amf3}: one AMF value after another;
  - C{raw}: bytes without messages.

A program can define its own dialects. A dialect is not detected: some programs use several
formats on one connection.
"""

import re
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from openfl_twisted.wire.chunkbuffer import ChunkBuffer
from openfl_twisted.wire.text import decodeUTF8, escapeControls

MAX_SHOWN = 100_000
"""
Maximum length of a shown message (characters). A longer message is truncated.
"""

# An incomplete AMF value is decoded again after each chunk, which takes time in proportion to its
# length. So that the total time stays linear, each received byte and each chunk allow decoding a
# number of bytes, in addition to a constant. Only a value that arrives in thousands of tiny chunks
# is found later, together with the bytes that follow it.
_ALLOWED_PER_BYTE = 64
_ALLOWED_PER_CHUNK = 1024
_ALLOWED = 4 * 1024 * 1024

# Bytes of an AMF stream that cannot be decoded are one message.
_UNSHOWABLE = "not an AMF value"


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


@runtime_checkable
class Dialect(Protocol):
    """
    Divides streams into messages, and shows messages.
    """

    @property
    def hasMessages(self) -> bool:
        """
        Whether the stream consists of messages. If not, a message is any part of the stream.
        """

    @property
    def isText(self) -> bool:
        """
        Whether a part of a message can be replaced by text of another length.
        """

    def cutter(self) -> Cutter:
        """
        Create a cutter for one direction of a connection.
        """

    def split(self, whole: bytes) -> list[bytes]:
        """
        Split messages.

        @param whole: any number of complete messages, as returned by L{Cutter.feed}.
        @return: the messages, with their terminators: joined, they are C{whole} again.
        """

    def show(self, message: bytes) -> str:
        """
        Show a message.

        @return: one line of printable text, for any bytes.
        """


# Text


def printable(text: str) -> str:
    """
    Make text safe for one line of a terminal, see L{escapeControls}.

    @return: the text, truncated to L{MAX_SHOWN} characters before it is escaped.
    """
    return escapeControls(f"{text[:MAX_SHOWN]}..." if len(text) > MAX_SHOWN else text)


def _showBytes(data: bytes) -> str:
    """
    Show bytes as hexadecimal digits, then as text.
    """
    shown = data[: MAX_SHOWN // 4]
    text = "".join(chr(each) if 32 <= each < 127 else "." for each in shown)
    dots = "..." if len(shown) < len(data) else ""
    return f"{shown.hex(' ')}{dots}  {text}"


class _TerminatedCutter:
    """
    Cuts a stream after each terminator of one byte.
    """

    __slots__ = ("_end", "_holds", "_rest")

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


class _Terminated:
    """
    Messages that end with a terminator.
    """

    hasMessages = isText = True

    def __init__(self, end: bytes) -> None:
        """
        @param end: the terminator: one byte.
        """
        self._end = end

    def cutter(self) -> Cutter:
        return _TerminatedCutter(self._end)

    def split(self, whole: bytes) -> list[bytes]:
        parts = whole.split(self._end)
        last = parts.pop()
        messages = [part + self._end for part in parts]
        return [*messages, last] if last else messages

    def show(self, message: bytes) -> str:
        text = decodeUTF8(message.removesuffix(self._end).removesuffix(b"\r"))
        if not (text.startswith("%") and text.endswith("%") and len(text) > 2):
            return printable(text)
        name, *fields = text[1:-1].split("%")
        return printable(" ".join([name, *(repr(field) for field in fields)]))


class _PrefixedCutter:
    """
    Cuts a stream of messages that begin with their length.
    """

    __slots__ = ("_dialect", "_missing", "_rest")

    def __init__(self, dialect: "_Prefixed") -> None:
        self._dialect = dialect
        self._rest = ChunkBuffer()
        # The number of bytes after which the next message can be complete.
        self._missing = 0

    def feed(self, data: bytes) -> bytes:
        if len(data) < self._missing:
            self._rest.add(data)
            self._missing -= len(data)
            return b""
        if len(self._rest):
            data = self._rest.end(data)
        cut, length = 0, 0
        while True:
            length = self._dialect.lengthAt(data, cut)
            if cut + length > len(data):
                break
            cut += length
        self._missing = cut + length - len(data)
        if cut < len(data):
            self._rest.add(data[cut:])
        return data[:cut]

    def rest(self) -> bytes:
        self._missing = 0
        return self._rest.end()

    @property
    def pending(self) -> int:
        return len(self._rest)


class _Prefixed:
    """
    Messages that begin with their length, in network byte order.
    """

    hasMessages = True
    isText = False

    def __init__(self, size: int, countsItself: bool) -> None:
        """
        @param size: the size of the length (bytes).
        @param countsItself: whether the length includes its own bytes.
        """
        self._size = size
        self._added = 0 if countsItself else size

    def lengthAt(self, data: bytes, position: int) -> int:
        """
        Return the length of the message at a position, or the size of the length if the data is
        too short. A message is at least as long as its length.
        """
        end = position + self._size
        if end > len(data):
            return self._size
        length = int.from_bytes(data[position:end], "big") + self._added
        return max(self._size, length)

    def cutter(self) -> Cutter:
        return _PrefixedCutter(self)

    def split(self, whole: bytes) -> list[bytes]:
        messages, at = [], 0
        while at < len(whole):
            end = at + self.lengthAt(whole, at)
            messages.append(whole[at:end])
            at = end
        return messages

    def show(self, message: bytes) -> str:
        if self.lengthAt(message, 0) != len(message):
            return _showBytes(message)
        content = message[self._size :]
        try:
            text = content.decode()
        except UnicodeDecodeError:
            text = ""
        return (
            text if text and len(text) <= MAX_SHOWN and text.isprintable() else _showBytes(content)
        )


def _decode(data: bytes | bytearray, position: int, encoding: int) -> tuple[Any, int]:
    # Importing it takes long, and most servers do not need it.
    from openfl_twisted.wire.amf.codec import decode

    return decode(data, position, objectEncoding=encoding)


class _AMFCutter:
    """
    Cuts a stream of AMF values. When a value is invalid, the rest of the stream cannot be cut.
    """

    __slots__ = ("_allowed", "_data", "_encoding", "_failed")

    def __init__(self, encoding: int) -> None:
        self._encoding = encoding
        self._data = bytearray()
        self._failed = False
        # The number of bytes that may be decoded.
        self._allowed = _ALLOWED

    def feed(self, data: bytes) -> bytes:
        if self._failed:
            return data
        if not data:
            return b""
        self._data += data
        self._allowed += len(data) * _ALLOWED_PER_BYTE + _ALLOWED_PER_CHUNK
        length = len(self._data)
        if length > self._allowed:
            return b""
        cut = self._cut()
        # Complete values are decoded only once.
        self._allowed = min(_ALLOWED, self._allowed - (length - cut))
        whole = bytes(self._data[:cut])
        del self._data[:cut]
        return whole

    def _cut(self) -> int:
        """
        Return the end of the last complete value.
        """
        at = 0
        try:
            while at < len(self._data):
                _, at = _decode(self._data, at, self._encoding)
        except EOFError:
            return at
        except (OSError, ValueError):
            self._failed = True
            return len(self._data)
        return at

    def rest(self) -> bytes:
        whole = b"" if self._failed else bytes(self._data)
        self._data.clear()
        return whole

    @property
    def pending(self) -> int:
        return len(self._data)


class _AMF:
    """
    AMF values, one after another.
    """

    hasMessages = True
    isText = False

    def __init__(self, encoding: int) -> None:
        """
        @param encoding: the version of AMF: 0 or 3.
        """
        self._encoding = encoding

    def cutter(self) -> Cutter:
        return _AMFCutter(self._encoding)

    def split(self, whole: bytes) -> list[bytes]:
        messages, at = [], 0
        while at < len(whole):
            try:
                _, end = _decode(whole, at, self._encoding)
            except (OSError, EOFError, ValueError):
                end = len(whole)
            messages.append(whole[at:end])
            at = end
        return messages

    def show(self, message: bytes) -> str:
        try:
            value, end = _decode(message, 0, self._encoding)
            if end == len(message):
                # A value can contain itself, or the same object many times.
                return printable(_shorten(value))
        except Exception:  # noqa: S110 - the bytes are shown instead
            pass
        return f"{_UNSHOWABLE}: {_showBytes(message)}"


def _shorten(value: Any) -> str:
    """
    Return the C{repr} of a value, up to L{MAX_SHOWN} characters and 20 levels.
    """
    left = MAX_SHOWN

    def show(each: Any, depth: int) -> str:
        nonlocal left
        left -= 1
        if left < 0 or depth > 20:
            return "..."
        if isinstance(each, Mapping):
            items = (f"{show(k, depth + 1)}: {show(v, depth + 1)}" for k, v in each.items())
            text = f"{{{', '.join(items)}}}"
            if type(each) is dict:
                return text
            # The dense part of an ECMAArray, and the class of a TypedObject, are not items.
            own = [getattr(each, name) for name in ("alias", "dense") if hasattr(each, name)]
            shown = [*(show(part, depth + 1) for part in own), text]
            return f"{type(each).__name__}({', '.join(shown)})"
        if isinstance(each, list | tuple):
            return f"[{', '.join(show(item, depth + 1) for item in each)}]"
        text = repr(each[:MAX_SHOWN] if isinstance(each, str | bytes | bytearray) else each)
        left -= len(text)
        return text

    return show(value, 0)


class _RawCutter:
    """
    Returns each chunk unchanged.
    """

    __slots__ = ()

    pending = 0

    def feed(self, data: bytes) -> bytes:
        return data

    def rest(self) -> bytes:
        return b""


class _Raw:
    """
    Bytes without messages.
    """

    hasMessages = isText = False

    def cutter(self) -> Cutter:
        return _RawCutter()

    def split(self, whole: bytes) -> list[bytes]:
        return [whole] if whole else []

    def show(self, message: bytes) -> str:
        return _showBytes(message)


DIALECTS: Mapping[str, Dialect] = {
    "xml": _Terminated(b"\0"),
    "lines": _Terminated(b"\n"),
    "u16": _Prefixed(2, False),
    "u16self": _Prefixed(2, True),
    "u32": _Prefixed(4, False),
    "u32self": _Prefixed(4, True),
    "amf0": _AMF(0),
    "amf3": _AMF(3),
    "raw": _Raw(),
}
"""
The dialects of this package, by name.
"""

_module = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def isDialectName(name: str) -> bool:
    """
    Return whether a name is that of a dialect of this package, or has the form
    C{module:object}.
    """
    return name in DIALECTS or _module.fullmatch(name) is not None
