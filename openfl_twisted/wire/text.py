"""
Text as Flash reads and writes it: UTF-8 with its own way to read broken bytes,
and the other character sets by their names on the web.

The rules are those of Adobe's virtual machine (avmplus,
C{core/UnicodeUtils.cpp}): text is written as strict UTF-8, and reading never
fails.
"""

import codecs
import re

import webencodings

# What Flash reads, and a strict decoder does not: encoded surrogates; four bytes whose value is
# above U+10FFFF, for which it takes F8 to FF for leads too; and bytes that can begin nothing.
_irregular = re.compile(
    rb"((?:\xed[\xa0-\xbf][\x80-\xbf])+)"
    rb"|((?:\xf4[\x90-\xbf]|\xf8[\x90-\xbf]|[\xf5-\xf7\xf9-\xff][\x80-\xbf])[\x80-\xbf]{2})"
    rb"|[\x80-\xc1]+"
)
_surrogate = re.compile("[\ud800-\udfff]")
# The beginning of a sequence that the end of the data has cut.
_cutSequence = re.compile(
    rb"(?:[\xc2-\xf4]|\xe0[\xa0-\xbf]|[\xe1-\xef][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]?|[\xf1-\xf3][\x80-\xbf]{1,2}|\xf4[\x80-\x8f][\x80-\xbf]?)\Z"
)

MAX_BROKEN = 10_000
"""
Maximum number of places in a text, where it is not valid UTF-8, that are read as
Flash reads them. Each encoded surrogate is one. The bytes of further places become
U+FFFD, so that reading takes limited time.
"""

MAX_SHOWN = 1000
"""
Default maximum number of characters of a text that is shown in a log.
"""

BYTE_ORDER_MARK = codecs.BOM_UTF8
"""
What can stand before a text in UTF-8: three bytes.
"""


def _joinSurrogates(text: str, errors: str) -> str:
    """
    Make one character of each surrogate pair, as a string of UTF-16 has it.
    """
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors)


def _decodeBeyond(sequence: bytes) -> str:
    """
    Read four bytes whose value is above U+10FFFF: it is folded into the planes
    above the first one.
    """
    lead, second, third, fourth = sequence
    value = (lead & 7) << 18 | (second & 63) << 12 | (third & 63) << 6 | (fourth & 63)
    return chr(0x10000 + (value - 0x10000) % 0x100000)


def _readIrregular(error: UnicodeError) -> tuple[str, int]:
    """
    Read the bytes at which the strict decoder has stopped: an error handler for
    C{codecs.register_error}.
    """
    if not isinstance(error, UnicodeDecodeError):
        raise error
    data, start = error.object, error.start
    # The decoder uses one exception for all places of a text.
    places = error.__dict__["places"] = error.__dict__.get("places", 0) + 1
    if places > MAX_BROKEN:
        return data[start:].decode("utf-8", "replace"), len(data)
    found = _irregular.match(data, start)
    if found is not None and found[1]:
        # Python decodes each surrogate as slowly as a place of its own.
        end = min(found.end(), start + 3 * (MAX_BROKEN - places + 1))
        error.__dict__["places"] += (end - start) // 3 - 1
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
    Read UTF-8 as Flash does: a byte that does not begin a valid sequence
    becomes the character with the number of that byte, and reading goes on
    behind it.

    Valid UTF-8 gives what Python's strict decoder gives. Overlong forms are
    not valid; encoded surrogates are let through, and a pair of them is one
    character.

    @param data: the bytes. A byte order mark is kept. After L{MAX_BROKEN} places
        that are not valid, the bytes of further ones become U+FFFD.
    @return: the text; any bytes at all give one. It can hold lone surrogates.
    @see: avmplus, C{UnicodeUtils::Utf8ToUtf16}, not strict.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _decodeBroken(data)


def encodeUTF8(text: str) -> bytes:
    """
    Write text as UTF-8 as Flash does: a surrogate pair as the four bytes of its
    character, a lone surrogate as U+FFFD.

    @param text: any text.
    @return: valid UTF-8, always.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        return _joinSurrogates(text, "replace").encode()


def escape(text: str) -> str:
    """
    Make text from a peer safe to show in a log or on a terminal: control
    characters, and characters that change the direction of text, are written as
    escape sequences of Python.

    @param text: any text.
    @return: the text, shortened to L{MAX_SHOWN} characters and C{...} if it is longer.
    """
    if len(text) > MAX_SHOWN:
        text = f"{text[:MAX_SHOWN]}..."
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def cutLength(data: bytes) -> int:
    """
    Count the bytes at the end of C{data} that begin a character whose rest has
    not come.

    @param data: a part of a stream of UTF-8.
    @return: 0 to 3. It is 0 where the end is whole, and where it is broken
        beyond repair.
    """
    found = _cutSequence.search(data, max(0, len(data) - 3))
    return len(found[0]) if found else 0


def _codecNamed(charSet: str) -> codecs.CodecInfo | None:
    """
    Find the codec for a name of a character set.

    @return: the codec, or C{None} for UTF-8, which has its own reading rule.
        A name that nobody knows means UTF-8 too: Flash takes the system's code
        page for it, and raises nothing.
    """
    # Adobe's list has this name, the table of the web has not.
    encoding = webencodings.lookup("gbk" if charSet.lower() == "cn-gb" else charSet)
    # The web's "replacement" stands for encodings that are too dangerous to read.
    if encoding is None or encoding.name in ("utf-8", "replacement"):
        return None
    return encoding.codec_info


def decodeText(data: bytes, charSet: str) -> str:
    """
    Read bytes in a named character set.

    @param data: the bytes; all of them are read, NULs and byte order marks
        too.
    @param charSet: a label of the WHATWG Encoding Standard, upper or lower
        case, or C{cn-gb}. An unknown name means UTF-8.
    @return: the text; what the character set does not have becomes U+FFFD.
    """
    codec = _codecNamed(charSet)
    if codec is None:
        return decodeUTF8(data)
    return codec.decode(data, "replace")[0]


def encodeText(text: str, charSet: str) -> bytes:
    """
    Write text in a named character set.

    @param text: any text.
    @param charSet: as for L{decodeText}.
    @return: the bytes, without a byte order mark; what the character set does
        not have becomes C{?}.
    """
    codec = _codecNamed(charSet)
    if codec is None:
        return encodeUTF8(text)
    return codec.encode(text, "replace")[0]
