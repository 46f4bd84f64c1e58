"""
Tests for L{openfl_twisted.wire.text}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.text import (
    MAX_BROKEN,
    cutLength,
    decodeText,
    decodeUTF8,
    encodeText,
    encodeUTF8,
)


def isUTF8(data: bytes) -> bool:
    """
    Return whether bytes are valid UTF-8.
    """
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def decodeSlowly(data: bytes) -> str:
    """
    Decode bytes by the rule of Adobe's virtual machine, one byte at a time.
    """
    units = []
    position = 0
    while position < len(data):
        lead = data[position]
        length = 1 if lead < 0xC0 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
        value = lead if length == 1 else lead & (0x1F, 0x0F, 0x07)[length - 2]
        tail = data[position + 1 : position + length]
        for byte in tail:
            value = value << 6 | byte & 0x3F
        whole = len(tail) == length - 1 and all(byte & 0xC0 == 0x80 for byte in tail)
        if whole and value >= (0, 0x80, 0x800, 0x10000)[length - 1]:
            position += length
            if value > 0x10FFFF:
                value = 0x10000 + (value - 0x10000) % 0x100000
            units.append(chr(value))
        else:
            position += 1
            units.append(chr(lead))
    return "".join(units).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


# First and further bytes of sequences of every length, so that most sequences are nearly valid.
brokenTexts = st.lists(
    st.sampled_from(
        [b"a", b"\x80", b"\xbf", b"\xc2", b"\xe0\xa0", b"\xed\xa0\x80", b"\xed\xb0\x80"]
    )
    | st.integers(0xC0, 0xFF).map(lambda lead: bytes([lead]))
    | st.binary(min_size=3, max_size=3)
    | st.characters(codec="utf-8").map(str.encode)
).map(b"".join)


class DecodeUTF8Tests(SynchronousTestCase):
    """
    L{decodeUTF8} decodes any bytes.
    """

    def test_veryBroken(self) -> None:
        """
        The first invalid places are decoded as in Flash, the bytes of further
        ones become U+FFFD. Valid text between them is decoded.
        """
        for broken, text in [(b"\xff", "\xff"), (b"\xed\xa0\x80", "\ud800")]:
            data = (broken + b"a") * (MAX_BROKEN + 1) + "\u20ac".encode()
            expected = (text + "a") * MAX_BROKEN + "\ufffd" * len(broken) + "a\u20ac"
            self.assertEqual(decodeUTF8(data), expected)

    def test_manySurrogates(self) -> None:
        """
        Each encoded surrogate of a run counts as an invalid position.
        """
        data = b"a\xff" + b"\xed\xa0\x80" * (MAX_BROKEN + 1) + b"b"
        expected = "a\xff" + "\ud800" * (MAX_BROKEN - 1) + "\ufffd" * 6 + "b"
        self.assertEqual(decodeUTF8(data), expected)

    def test_table(self) -> None:
        """
        Examples from Adobe's tests and code are decoded as there.
        """
        for data, expected in [
            ("E4 B8 80 E4 E4 B8 80", "\u4e00\u00e4\u4e00"),
            ("E4 B8", "\u00e4\u00b8"),
            ("89 50 4E 47", "\x89PNG"),
            ("FB BF BF BF BF E4 B8 80", "\U000fffff\u00bf\u4e00"),
            ("C0 AF", "\u00c0\u00af"),
            ("ED A0 80", "\ud800"),
            ("ED A0 80 ED B0 80", "\U00010000"),
            ("F7 BF BF BF", "\U000fffff"),
            ("C2", "\u00c2"),
            ("", ""),
        ]:
            self.assertEqual(decodeUTF8(bytes.fromhex(data)), expected, data)

    @given(brokenTexts)
    def test_anyBytes(self, data: bytes) -> None:
        """
        Any bytes are decoded as by the rule for single bytes.
        """
        self.assertEqual(decodeUTF8(data), decodeSlowly(data))

    @given(st.text())
    def test_validText(self, text: str) -> None:
        """
        Valid UTF-8 is decoded as by Python.
        """
        self.assertEqual(decodeUTF8(text.encode()), text)


class EncodeUTF8Tests(SynchronousTestCase):
    """
    L{encodeUTF8} encodes any text.
    """

    def test_surrogates(self) -> None:
        """
        A surrogate pair becomes a character of four bytes; a lone surrogate
        becomes U+FFFD.
        """
        self.assertEqual(encodeUTF8("\ud83d\ude00"), b"\xf0\x9f\x98\x80")
        self.assertEqual(encodeUTF8("a\ud83db"), b"a\xef\xbf\xbdb")
        self.assertEqual(encodeUTF8("\ude00"), b"\xef\xbf\xbd")

    @given(st.text(st.characters(codec=None)))
    def test_alwaysValid(self, text: str) -> None:
        """
        The result is always valid UTF-8.
        """
        self.assertTrue(isUTF8(encodeUTF8(text)))

    @given(brokenTexts)
    def test_readBack(self, data: bytes) -> None:
        """
        Invalid bytes become valid by decoding and encoding them.
        """
        self.assertTrue(isUTF8(encodeUTF8(decodeUTF8(data))))


class CutLengthTests(SynchronousTestCase):
    """
    L{cutLength} finds an incomplete character.
    """

    @given(st.text(min_size=1), st.data())
    def test_everyCut(self, text: str, data: st.DataObject) -> None:
        """
        Without the incomplete character the chunk is valid, and with its missing
        bytes the rest is.
        """
        whole = text.encode()
        position = data.draw(st.integers(0, len(whole)))
        cut = cutLength(whole[:position])
        self.assertTrue(isUTF8(whole[: position - cut]))
        self.assertTrue(isUTF8(whole[position - cut :]))

    def test_broken(self) -> None:
        """
        Bytes that cannot be completed to a character are not incomplete.
        """
        for data in [
            b"\xff",
            b"\x80",
            b"\xc0",
            b"\xe0\x80",
            b"\xf4\x90",
            b"\xed\xa0\x80a",
            b"\xf5",
        ]:
            self.assertEqual(cutLength(data), 0, data)


class CharacterSetTests(SynchronousTestCase):
    """
    L{decodeText} and L{encodeText} support character sets by name.
    """

    def test_names(self) -> None:
        """
        Adobe's names and web names select the same codecs.
        """
        for name, data, text in [
            ("us-ascii", b"\x80", "\u20ac"),
            ("ISO-8859-1", b"\x80", "\u20ac"),
            ("windows-1252", b"\x80", "\u20ac"),
            ("iso-8859-2", b"\xb1", "\u0105"),
            ("koi8-r", b"\xc1", "\u0430"),
            ("unicode", b"A\0", "A"),
            ("utf-16", b"A\0", "A"),
            ("unicodeFEFF", b"A\0", "A"),
            ("unicodeFFFE", b"\0A", "A"),
            ("utf-16be", b"\0A", "A"),
            ("shift_jis", b"\x82\xa0", "\u3042"),
            ("x-sjis", b"\x82\xa0", "\u3042"),
            ("euc-jp", b"\xa4\xa2", "\u3042"),
            ("gb2312", b"\xd6\xd0", "\u4e2d"),
            ("cn-gb", b"\xd6\xd0", "\u4e2d"),
            ("big5", b"\xa4\xa4", "\u4e2d"),
            ("ks_c_5601-1987", b"\xb0\xa1", "\uac00"),
            ("utf-8", b"\xc3\xa9", "\u00e9"),
        ]:
            self.assertEqual(decodeText(data, name), text, name)
            self.assertEqual(encodeText(text, name), data, name)

    def test_unknownName(self) -> None:
        """
        An unknown or misspelt name, or one of a dangerous encoding, means UTF-8.
        """
        for name in ["iso-8859-01", "no such name", "", "utf-7", "hz-gb-2312"]:
            self.assertEqual(decodeText(b"\xc3\xa9", name), "\u00e9", name)
            self.assertEqual(encodeText("\u00e9", name), b"\xc3\xa9", name)

    def test_unsupportedCharacters(self) -> None:
        """
        A character that is not in the character set becomes a question mark;
        invalid bytes become U+FFFD.
        """
        self.assertEqual(encodeText("a\u3042", "iso-8859-1"), b"a?")
        self.assertEqual(decodeText(b"a\x81", "shift_jis"), "a\ufffd")
