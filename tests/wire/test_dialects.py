"""
Tests for L{openfl_twisted.wire.dialects}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire import dialects
from openfl_twisted.wire.amf.codec import encode
from openfl_twisted.wire.amf.values import ECMAArray, IntVector, TypedObject
from openfl_twisted.wire.dialects import (
    DIALECTS,
    MAX_SHOWN,
    Dialect,
    isDialectName,
    printable,
)
from openfl_twisted.wire.framing import Cutter
from openfl_twisted.wire.text import escapeControls
from tests.segments import cuts
from tests.support.messages import messages

names = st.sampled_from(sorted(DIALECTS))


def feedAll(cutter: Cutter, dialect: Dialect, chunks: list[bytes]) -> list[bytes]:
    """
    Return the messages of a stream.
    """
    return [each for chunk in chunks for each in dialect.split(cutter.feed(chunk))]


def garbage() -> st.SearchStrategy[bytes]:
    """
    A strategy for bytes that are often nearly messages.
    """
    return st.one_of(
        st.binary(),
        st.lists(
            st.sampled_from([b"\0", b"\0\2", b"\n", b"\t\x03\x01", b"\x0a", b"%", b"\xff", b"\x1b"])
        ).map(b"".join),
    )


class CutterTests(SynchronousTestCase):
    """
    Cutters return the same messages, however the stream is split.
    """

    @given(st.data())
    def test_segments(self, data: Any) -> None:
        """
        Messages are the same, however the stream is split; the bytes after the last message are
        the rest.
        """
        name = data.draw(st.sampled_from(sorted(messages)))
        sent = data.draw(st.lists(messages[name], max_size=6))
        last = data.draw(messages[name])
        rest = last[: data.draw(st.integers(0, len(last) - 1))]
        dialect = DIALECTS[name]
        cutter = dialect.cutter()
        chunks = data.draw(cuts(b"".join(sent) + rest))
        self.assertEqual(feedAll(cutter, dialect, chunks), sent)
        self.assertEqual(cutter.pending, len(rest))
        self.assertEqual(cutter.rest(), rest)
        self.assertEqual(cutter.pending, 0)
        self.assertEqual(cutter.rest(), b"")

    @given(st.data())
    def test_eachByte(self, data: Any) -> None:
        """
        A message that is received byte by byte is complete with its last byte.
        """
        name = data.draw(st.sampled_from(sorted(messages)))
        sent = data.draw(st.lists(messages[name], max_size=6))
        cutter = DIALECTS[name].cutter()
        for message in sent:
            for at in range(len(message) - 1):
                self.assertEqual(cutter.feed(message[at : at + 1]), b"")
                self.assertEqual(cutter.pending, at + 1)
            self.assertEqual(cutter.feed(message[-1:]), message)

    @given(names, st.lists(garbage()))
    def test_nothingIsLost(self, name: str, chunks: list[bytes]) -> None:
        """
        The messages and the rest contain all received bytes, also if they are invalid.
        """
        dialect = DIALECTS[name]
        cutter = dialect.cutter()
        found = feedAll(cutter, dialect, chunks)
        self.assertEqual(b"".join([*found, cutter.rest()]), b"".join(chunks))

    @given(names, garbage())
    def test_split(self, name: str, data: bytes) -> None:
        """
        Joined, the messages of any bytes are these bytes; no message is empty.
        """
        parts = DIALECTS[name].split(data)
        self.assertEqual(b"".join(parts), data)
        self.assertNotIn(b"", parts)

    @given(names)
    def test_afterRest(self, name: str) -> None:
        """
        After the rest has been removed, a cutter begins with a new message.
        """
        message = {"lines": b"ab\n", "xml": b"ab\0", "amf0": b"\x05", "amf3": b"\x01"}.get(name)
        whole = message or bytes([0] * 10)
        dialect = DIALECTS[name]
        cutter = dialect.cutter()
        cutter.feed({"amf0": b"\x02\0", "amf3": b"\x04\xff"}.get(name, b"\0\0\0\x09a"))
        cutter.rest()
        self.assertEqual(cutter.feed(whole)[:1], whole[:1])

    def test_lengthTooShort(self) -> None:
        """
        A length that includes its own bytes, but is shorter than them, is a message of only the
        length.
        """
        self.assertEqual(
            DIALECTS["u16self"].split(b"\0\0\0\x01\0\x03a"), [b"\0\0", b"\0\1", b"\0\3a"]
        )
        self.assertEqual(DIALECTS["u32self"].cutter().feed(b"\0\0\0\2ab"), b"\0\0\0\2")

    def test_hasMessages(self) -> None:
        """
        Only the dialect raw has no messages, and only text can be replaced by text of another
        length.
        """
        self.assertEqual([name for name in DIALECTS if not DIALECTS[name].hasMessages], ["raw"])
        self.assertEqual([name for name in DIALECTS if DIALECTS[name].isText], ["xml", "lines"])
        for dialect in DIALECTS.values():
            self.assertIsInstance(dialect, Dialect)

    def test_invalidAMF(self) -> None:
        """
        After bytes that are not an AMF value, each chunk is returned when it is received.
        """
        cutter = DIALECTS["amf3"].cutter()
        self.assertEqual(cutter.feed(b"\x01\xff\x00"), b"\x01\xff\x00")
        self.assertEqual(cutter.feed(b"\x04"), b"\x04")
        self.assertEqual((cutter.feed(b""), cutter.rest(), cutter.pending), (b"", b"", 0))
        self.assertEqual(DIALECTS["amf3"].split(b"\x01\xff\x00"), [b"\x01", b"\xff\x00"])


class LinearTests(SynchronousTestCase):
    """
    The work of AMF cutters is linear.
    """

    def setUp(self) -> None:
        self.decoded = 0
        original = dialects._decode

        def decode(data: bytes, position: int, encoding: int) -> tuple[Any, int]:
            try:
                value, end = original(data, position, encoding)
            except EOFError:
                self.decoded += len(data) - position
                raise
            self.decoded += end - position
            return value, end

        self.patch(dialects, "_decode", decode)

    def test_manyValuesByteByByte(self) -> None:
        """
        Values of 1,000 bytes that are received byte by byte are complete with their last byte,
        also after many values.
        """
        message = encode("a" * 990, objectEncoding=3)
        cutter = DIALECTS["amf3"].cutter()
        for _ in range(50):
            for at in range(len(message) - 1):
                self.assertEqual(cutter.feed(message[at : at + 1]), b"")
            self.assertEqual(cutter.feed(message[-1:]), message)

    def test_longValue(self) -> None:
        """
        A long value in tiny chunks is decoded only sometimes. It is found at the latest with the
        bytes that follow it.
        """
        message = encode("a" * 30_000, objectEncoding=3)
        cutter = DIALECTS["amf3"].cutter()
        found = b""
        for at in range(len(message)):
            found += cutter.feed(message[at : at + 1])
        for _ in range(100):
            found += cutter.feed(b"\x01")
        self.assertEqual(found[: len(message)], message)
        allowed = dialects._ALLOWED + (len(message) + 100) * (
            dialects._ALLOWED_PER_BYTE + dialects._ALLOWED_PER_CHUNK
        )
        self.assertLess(self.decoded, allowed)

    def test_longChunks(self) -> None:
        """
        A long value in long chunks is complete with its last byte.
        """
        message = encode("a" * 65_000, objectEncoding=3)
        cutter = DIALECTS["amf3"].cutter()
        found = b"".join(
            cutter.feed(message[at : at + 5000]) for at in range(0, len(message), 5000)
        )
        self.assertEqual(found, message)

    def test_tooLong(self) -> None:
        """
        After a value that is too long, the stream is not divided, so that no more than twice the
        limit is decoded at a time.
        """
        first, long = (encode("a" * length, objectEncoding=3) for length in (10, 70_000))
        cutter = DIALECTS["amf3"].cutter()
        chunks = [first + long[:60_000], long[60_000:68_000], long[68_000:], first]
        found = [cutter.feed(chunk) for chunk in chunks]
        self.assertEqual(found[0], first)
        self.assertEqual(b"".join(found), b"".join(chunks))
        self.assertEqual(found[3], first)
        self.assertEqual((cutter.pending, cutter.rest()), (0, b""))
        self.assertLess(self.decoded, 2 * dialects.MAX_VALUE)

    def test_emptyChunk(self) -> None:
        """
        An empty chunk does not decode anything.
        """
        cutter = DIALECTS["amf3"].cutter()
        cutter.feed(b"\x04\xff")
        before = self.decoded
        self.assertEqual(cutter.feed(b""), b"")
        self.assertEqual(self.decoded, before)


class ShowTests(SynchronousTestCase):
    """
    C{show} returns one line of printable text.
    """

    @given(names, garbage())
    def test_anyBytes(self, name: str, data: bytes) -> None:
        """
        Any bytes are shown as one line of printable text.
        """
        shown = DIALECTS[name].show(data)
        self.assertTrue(shown.isprintable(), repr(shown))

    @given(st.data())
    def test_messages(self, data: Any) -> None:
        """
        Any message is shown as one line of printable text.
        """
        name = data.draw(st.sampled_from(sorted(messages)))
        self.assertTrue(DIALECTS[name].show(data.draw(messages[name])).isprintable())

    def test_text(self) -> None:
        """
        Text is shown without its terminator; control characters are escaped.
        """
        show = DIALECTS["xml"].show
        self.assertEqual(show(b"<a b='\xc3\xbc'/>\0"), "<a b='\u00fc'/>")
        self.assertEqual(show(b"a\x1b[2Jb\r\nc\0"), r"a\x1b[2Jb\r\nc")
        self.assertEqual(show("a\u202eb\u009b\u2028".encode()), r"a\u202eb\x9b\u2028")
        self.assertEqual(DIALECTS["lines"].show(b"hello\r\n"), "hello")

    def test_fields(self) -> None:
        """
        The fields of an C{%xt%} message are shown separately.
        """
        show = DIALECTS["xml"].show
        self.assertEqual(show(b"%xt%s%j#js%-1%it's%%\0"), """xt 's' 'j#js' '-1' "it's" ''""")
        self.assertEqual([show(b"%%\0"), show(b"%\0"), show(b"\0")], ["%%", "%", ""])

    def test_prefixed(self) -> None:
        """
        The content after the length is shown as text if it is printable; otherwise as bytes.
        """
        show = DIALECTS["u16"].show
        self.assertEqual(show(b"\0\x05hello"), "hello")
        self.assertEqual(show(b"\0\x02a\n"), "61 0a  a.")
        self.assertEqual(show(b"\0\x02a\xff"), "61 ff  a.")
        self.assertEqual(show(b"\0\0"), "  ")

    def test_amf(self) -> None:
        """
        AMF values are shown as Python values; other bytes as bytes.
        """

        def show(value: Any) -> str:
            return DIALECTS["amf3"].show(encode(value, objectEncoding=3))

        self.assertEqual(show({"a": [1, "b", None]}), "{'a': [1, 'b', None]}")
        self.assertEqual(show(TypedObject("Pet", {"a": 1})), "TypedObject('Pet', {'a': 1})")
        self.assertEqual(show(ECMAArray([1, 2], {"a": 3})), "ECMAArray([1, 2], {'a': 3})")
        self.assertEqual(show(IntVector([1, 2])), "[1, 2]")
        self.assertEqual(show(bytearray(b"ab")), "bytearray(b'ab')")
        self.assertEqual(DIALECTS["amf3"].show(b"\xff"), "not an AMF value: ff  .")
        self.assertEqual(DIALECTS["amf3"].show(b"\x01\x01"), "not an AMF value: 01 01  ..")

    def test_nestedAMF(self) -> None:
        """
        A value that contains itself is shown up to a depth.
        """
        itself: list[Any] = []
        itself.append(itself)
        shown = DIALECTS["amf3"].show(encode(itself, objectEncoding=3))
        self.assertEqual(shown, "[" * 21 + "..." + "]" * 21)

    def test_sharedAMF(self) -> None:
        """
        A short value that contains the same objects many times is truncated.
        """
        value: Any = ["x" * 100]
        for _ in range(15):
            value = [value] * 20
        shown = DIALECTS["amf3"].show(encode(value, objectEncoding=3))
        self.assertLess(len(shown), MAX_SHOWN + 10)

    def test_long(self) -> None:
        """
        Long messages are truncated, in each dialect.
        """
        data = b"\0\1" + b"a" * (4 * MAX_SHOWN)
        for name, dialect in DIALECTS.items():
            self.assertLess(len(dialect.show(data)), MAX_SHOWN * 4, name)
        self.assertEqual(DIALECTS["raw"].show(b"a\0"), "61 00  a.")

    @given(st.text())
    def test_printable(self, text: str) -> None:
        """
        Any text is made printable; printable text is unchanged.
        """
        self.assertTrue(printable(text).isprintable())
        if text.isprintable():
            self.assertEqual(printable(text), text)

    def test_printableLong(self) -> None:
        """
        Long text is truncated by C{printable}, but not by C{escapeControls}.
        """
        self.assertEqual(len(printable("a" * (MAX_SHOWN + 1))), MAX_SHOWN + 3)
        self.assertEqual(len(escapeControls("a" * (MAX_SHOWN + 1))), MAX_SHOWN + 1)


class NameTests(SynchronousTestCase):
    """
    L{isDialectName} accepts dialects, and objects of modules.
    """

    def test_names(self) -> None:
        """
        The names of this package and C{module:object} are accepted; other names are not.
        """
        for name in [*DIALECTS, "game:Dialect", "my.game_1:_d"]:
            self.assertTrue(isDialectName(name), name)
        for name in ["", "XML", "a:", ":b", "a:b.c", "a b:c", "a:b\n", "../a:b", "1a:b", "a:b:c"]:
            self.assertFalse(isDialectName(name), name)
