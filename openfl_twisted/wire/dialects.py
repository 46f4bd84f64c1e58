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

from openfl_twisted.wire.framing import Cutter, Prefixed, Raw, Terminated
from openfl_twisted.wire.text import decodeUTF8, escapeControls

MAX_SHOWN = 100_000
"""
Maximum length of a shown message (characters). A longer message is truncated.
"""

MAX_VALUE = 64 * 1024
"""
Maximum length of an AMF value (bytes): 64 KiB. Decoding a longer one would delay other clients.
After it, the stream is not divided into messages.
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


class _Terminated(Terminated):
    """
    Text messages that end with a terminator.
    """

    hasMessages = isText = True

    def show(self, message: bytes) -> str:
        text = decodeUTF8(self.content(message).removesuffix(b"\r"))
        if not (text.startswith("%") and text.endswith("%") and len(text) > 2):
            return printable(text)
        name, *fields = text[1:-1].split("%")
        return printable(" ".join([name, *(repr(field) for field in fields)]))


class _Prefixed(Prefixed):
    """
    Messages that begin with their length, in network byte order.
    """

    hasMessages = True
    isText = False

    def show(self, message: bytes) -> str:
        if self.ends(message)[0] != [len(message)]:
            return _showBytes(message)
        content = self.content(message)
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
    Cuts a stream of AMF values. When a value is invalid or too long, the rest of the stream cannot
    be cut.
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
        if length - cut > MAX_VALUE:
            self._failed = True
            cut = length
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


class _Raw(Raw):
    """
    Bytes without messages.
    """

    hasMessages = isText = False

    def show(self, message: bytes) -> str:
        return _showBytes(message)


DIALECTS: Mapping[str, Dialect] = {
    "xml": _Terminated("xml", b"\0"),
    "lines": _Terminated("lines", b"\n"),
    "u16": _Prefixed("u16", 2),
    "u16self": _Prefixed("u16self", 2, countsItself=True),
    "u32": _Prefixed("u32", 4),
    "u32self": _Prefixed("u32self", 4, countsItself=True),
    "amf0": _AMF(0),
    "amf3": _AMF(3),
    "raw": _Raw(),
}
"""
The dialects of this package, by name.
"""


def dialectOfFraming(framing: str) -> str:
    """
    Return the name of the dialect for a framing.

    @param framing: the name of the framing, see L{openfl_twisted.wire.framing}.
    """
    return {"nul": "xml", "crlf": "lines"}.get(framing, framing)


_module = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def isDialectName(name: str) -> bool:
    """
    Return whether a name is that of a dialect of this package, or has the form
    C{module:object}.
    """
    return name in DIALECTS or _module.fullmatch(name) is not None
