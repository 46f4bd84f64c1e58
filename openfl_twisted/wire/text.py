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

# What a strict decoder takes, and encoded surrogates, which Flash lets through. ASCII is left out:
# it reads the same as Latin-1 and UTF-8.
_SEQUENCES = (
    rb"(?:[\xc2-\xdf][\x80-\xbf]"
    rb"|\xe0[\xa0-\xbf][\x80-\xbf]"
    rb"|[\xe1-\xef][\x80-\xbf]{2}"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]{2}"
    rb"|[\xf1-\xf3][\x80-\xbf]{3}"
    rb"|\xf4[\x80-\x8f][\x80-\xbf]{2})+"
)
# Four bytes whose value Unicode does not have. Flash takes F8 to FF for leads of four bytes too.
_BEYOND = rb"(?:\xf4[\x90-\xbf]|\xf8[\x90-\xbf]|[\xf5-\xf7\xf9-\xff][\x80-\xbf])[\x80-\xbf]{2}"
_runs = re.compile(rb"(" + _SEQUENCES + rb")|(" + _BEYOND + rb")")
_surrogate = re.compile("[\ud800-\udfff]")
# The beginning of a sequence that the end of the data has cut.
_cutSequence = re.compile(
    rb"(?:[\xc2-\xf4]|\xe0[\xa0-\xbf]|[\xe1-\xef][\x80-\xbf]"
    rb"|\xf0[\x90-\xbf][\x80-\xbf]?|[\xf1-\xf3][\x80-\xbf]{1,2}|\xf4[\x80-\x8f][\x80-\xbf]?)\Z"
)

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


def _decodeBroken(data: bytes) -> str:
    """
    Read bytes that are not valid UTF-8.
    """
    texts = []
    # Between the runs stands what is no sequence: each byte is its own code point.
    pieces: list[bytes | None] = _runs.split(data)
    for number, piece in enumerate(pieces):
        if not piece:
            continue
        match number % 3:
            case 0:
                texts.append(piece.decode("latin-1"))
            case 1:
                texts.append(piece.decode("utf-8", "surrogatepass"))
            case _:
                texts.append(_decodeBeyond(piece))
    text = "".join(texts)
    return _joinSurrogates(text, "surrogatepass") if _surrogate.search(text) else text


def decodeUTF8(data: bytes) -> str:
    """
    Read UTF-8 as Flash does: a byte that does not begin a valid sequence
    becomes the character with the number of that byte, and reading goes on
    behind it.

    Valid UTF-8 gives what Python's strict decoder gives. Overlong forms are
    not valid; encoded surrogates are let through, and a pair of them is one
    character.

    @param data: the bytes. A byte order mark is kept.
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


def escape(text: str, maxLength: int = MAX_SHOWN) -> str:
    """
    Make text from a peer safe to show in a log or on a terminal: control
    characters, and characters that change the direction of text, are written as
    escape sequences of Python.

    @param text: any text.
    @param maxLength: maximum number of characters to show (default 1000).
    @return: the text, shortened with C{...} if it is longer.
    """
    if len(text) > maxLength:
        text = f"{text[:maxLength]}..."
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
