"""
Text as Flash reads and writes it: UTF-8 with Flash's rules for invalid bytes, and other
character sets by their web names.

The rules are the same as in Adobe's virtual machine (avmplus, C{core/UnicodeUtils.cpp}): text
is written as strict UTF-8, and reading never fails.
"""

import codecs
import re

import webencodings

# Bytes that Flash decodes, but a strict decoder rejects: encoded surrogates; four bytes with a
# value above U+10FFFF, including four bytes that begin with F8 to FF; and bytes that cannot begin a
# sequence.
_irregular = re.compile(
    rb"((?:\xed[\xa0-\xbf][\x80-\xbf])+)"
    rb"|((?:\xf4[\x90-\xbf]|\xf8[\x90-\xbf]|[\xf5-\xf7\xf9-\xff][\x80-\xbf])[\x80-\xbf]{2})"
    rb"|[\x80-\xc1]+"
)
_surrogate = re.compile("[\ud800-\udfff]")
# The beginning of a sequence that is incomplete at the end of the data.
_cutSequence = re.compile(
    rb"(?:[\xc2-\xf4]|\xe0[\xa0-\xbf]|[\xe1-\xef][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]?|[\xf1-\xf3][\x80-\xbf]{1,2}|\xf4[\x80-\x8f][\x80-\xbf]?)\Z"
)

MAX_BROKEN = 10_000
"""
Maximum number of invalid UTF-8 sequences in a string that are decoded as in Flash. Each encoded
surrogate counts as one sequence. Further invalid sequences become U+FFFD, which limits the
decoding time.
"""

MAX_SHOWN = 1000
"""
Default maximum number of characters of a string that are shown in a log.
"""

_MAX_DESCRIBED = 80
"""
Maximum length of a value in the text of an exception (characters).
"""

BYTE_ORDER_MARK = codecs.BOM_UTF8
"""
The three bytes that may precede text in UTF-8.
"""


def _joinSurrogates(text: str, errors: str) -> str:
    """
    Replace each surrogate pair with the character that it represents in UTF-16.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors)


def _decodeBeyond(sequence: bytes) -> str:
    """
    Decode four bytes with a value above U+10FFFF. The value is reduced, modulo 0x100000, to a
    character above U+FFFF.
    """
    lead, second, third, fourth = sequence
    value = (lead & 7) << 18 | (second & 63) << 12 | (third & 63) << 6 | (fourth & 63)
    return chr(0x10000 + (value - 0x10000) % 0x100000)


def _readIrregular(error: UnicodeError) -> tuple[str, int]:
    """
    Decode bytes that the strict decoder rejects. This function is an error handler for
    C{codecs.register_error}.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data, start = error.object, error.start
    # The decoder uses the same exception object for all invalid sequences of a text, so the
    # exception can store a counter.
    sequences = error.__dict__["sequences"] = error.__dict__.get("sequences", 0) + 1
    if sequences > MAX_BROKEN:
        return data[start:].decode("utf-8", "replace"), len(data)
    found = _irregular.match(data, start)
    if found is not None and found[1]:
        # Count each surrogate as a sequence, because Python decodes it as slowly as a separate
        # sequence.
        end = min(found.end(), start + 3 * (MAX_BROKEN - sequences + 1))
        error.__dict__["sequences"] += (end - start) // 3 - 1
        return data[start:end].decode("utf-8", "surrogatepass"), end
    if found is None:
        return chr(data[start]), start + 1
    return _decodeBeyond(found[0]) if found[2] else found[0].decode("latin-1"), found.end()


_IRREGULAR = "openfl-twisted-irregular"
codecs.register_error(_IRREGULAR, _readIrregular)


def _decodeBroken(data: bytes) -> str:
    text = data.decode("utf-8", _IRREGULAR)
    return _joinSurrogates(text, "surrogatepass") if _surrogate.search(text) else text


def decodeUTF8(data: bytes) -> str:
    """
    Decode UTF-8 as Flash does: a byte that does not begin a valid sequence becomes the
    character whose code point is the value of the byte, and decoding continues after this
    byte.

    Overlong forms are invalid. Encoded surrogates are decoded, and a surrogate pair becomes
    one character. Valid UTF-8 is decoded as Python's strict decoder does.

    @param data: the bytes. A byte order mark is kept. After L{MAX_BROKEN} invalid sequences,
        further invalid sequences become U+FFFD.
    @return: the text; it can contain lone surrogates.
    @see: avmplus, C{UnicodeUtils::Utf8ToUtf16}, not strict.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _decodeBroken(data)


def encodeUTF8(text: str) -> bytes:
    """
    Encode text as UTF-8, as Flash does: a surrogate pair becomes the four bytes of the
    character that it represents, and a lone surrogate becomes U+FFFD.

    @return: valid UTF-8.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _joinSurrogates(text, "replace").encode()


def escapeControls(text: str) -> str:
    """
    Replace control characters, line breaks, and characters that change the direction of text with
    Python's escape sequences.

    @return: one line of printable text.
    """
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def escape(text: str) -> str:
    """
    Make text from a peer safe to show in a log or on a terminal, see L{escapeControls}.

    @return: the safe text. Text longer than L{MAX_SHOWN} characters is truncated, and C{...}
        is appended.
    """
    if len(text) > MAX_SHOWN:
        text = f"{text[:MAX_SHOWN]}..."
    return escapeControls(text)


def describeValue(value: object) -> str:
    """
    Return the C{repr} of an argument for the text of an exception.

    @param value: the argument.
    @return: the text. Text longer than 80 characters is truncated, and C{...} is
        appended.
    """
    if isinstance(value, (str, bytes)):
        # The repr() of a long string would be built only to be truncated.
        value = value[:_MAX_DESCRIBED]
    text = repr(value)
    return text if len(text) <= _MAX_DESCRIBED else f"{text[: _MAX_DESCRIBED - 3]}..."


def cutLength(data: bytes) -> int:
    """
    Return the length of an incomplete character at the end of a chunk.

    @param data: a chunk of a stream in UTF-8.
    @return: 0 to 3 (bytes); 0 if the last character is complete or invalid.
    """
    found = _cutSequence.search(data, max(0, len(data) - 3))
    return len(found[0]) if found else 0


def _codecNamed(charSet: str) -> codecs.CodecInfo | None:
    """
    Return the codec for the name of a character set.

    @return: the codec; C{None} for UTF-8 and for an unknown name. For an unknown name, Flash
        uses the system's code page instead of throwing an error.
    """
    # Adobe's list contains this name, but the WHATWG table does not.
    encoding = webencodings.lookup("gbk" if charSet.lower() == "cn-gb" else charSet)
    # The WHATWG table uses "replacement" for encodings that are too dangerous to decode.
    if encoding is None or encoding.name in ("utf-8", "replacement"):
        return None
    return encoding.codec_info


def decodeText(data: bytes, charSet: str) -> str:
    """
    Decode bytes in a named character set.

    @param data: the bytes. NUL bytes and byte order marks are also decoded.
    @param charSet: a label of the WHATWG Encoding Standard, or C{cn-gb};
        case-insensitive. An unknown name means UTF-8.
    @return: the text; invalid bytes become U+FFFD.
    """
    codec = _codecNamed(charSet)
    if codec is None:
        return decodeUTF8(data)
    return codec.decode(data, "replace")[0]


def encodeText(text: str, charSet: str) -> bytes:
    """
    Encode text in a named character set.

    @param charSet: see L{decodeText}.
    @return: the bytes, without a byte order mark. A character that is not in the character set
        becomes C{?}.
    """
    codec = _codecNamed(charSet)
    if codec is None:
        return encodeUTF8(text)
    return codec.encode(text, "replace")[0]
