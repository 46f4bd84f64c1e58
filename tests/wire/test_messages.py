"""
Tests for L{openfl_twisted.wire.messages}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.messages import END, MessageSplitter, MessageTooLong
from tests.segments import cutStreams

# Few different bytes, so that terminators are frequent.
streams = st.lists(st.sampled_from([b"\0", b"a", b"bc", b"\xc3\xa9", b"\r\n"])).map(b"".join)


def eventsOf(chunks: list[bytes], maxLength: int) -> list[bytes | str]:
    """
    Return the messages of a stream, up to the first message that is too long.
    """
    splitter = MessageSplitter(maxLength)
    events: list[bytes | str] = []
    for chunk in chunks:
        try:
            events += splitter.receive(chunk)
        except MessageTooLong as error:
            return [*events, *error.before, "too long"]
    return events


class MessageSplitterTests(SynchronousTestCase):
    """
    L{MessageSplitter} splits a stream into messages.
    """

    def test_segmented(self) -> None:
        """
        Ruffle's recorded stream C{avm1/xml_socket_segmented} has the same
        messages as in Flash.
        """
        splitter = MessageSplitter()
        received = []
        for chunk in [
            b"\0First\0", b"Hello", b"World!", b"\0", b"This", b" is", b" a ", b"test\0",
            b"One\0Two\0Three\0", b"\0\0\0", b"AA\0BB\0CC", b"DD\0",
        ]:  # fmt: skip
            received += splitter.receive(chunk)
        self.assertEqual(
            received,
            [
                b"", b"First", b"HelloWorld!", b"This is a test", b"One", b"Two", b"Three",
                b"", b"", b"", b"AA", b"BB", b"CCDD",
            ],
        )  # fmt: skip

    @given(
        st.lists(st.integers(0, 3000), max_size=6).flatmap(
            lambda lengths: cutStreams(st.just(b"".join(b"x" * each + b"\0" for each in lengths)))
        )
    )
    def test_long(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        Long messages, which are split by another method, do not depend on chunk
        boundaries.
        """
        stream, chunks = cut
        splitter = MessageSplitter()
        received = [message for chunk in chunks for message in splitter.receive(chunk)]
        self.assertEqual(received, stream.split(b"\0")[:-1])
        self.assertEqual(splitter.pending, 0)

    @given(cutStreams(streams), st.integers(1, 6))
    def test_anySplit(self, cut: tuple[bytes, list[bytes]], maxLength: int) -> None:
        """
        The messages, and the message that is too long, do not depend on chunk boundaries.
        """
        stream, chunks = cut
        expected: list[bytes | str] = []
        *messages, rest = stream.split(b"\0")
        for message in messages:
            if len(message) > maxLength:
                expected.append("too long")
                break
            expected.append(message)
        else:
            if len(rest) > maxLength:
                expected.append("too long")
        self.assertEqual(eventsOf(chunks, maxLength), expected)

    @given(cutStreams(streams), st.integers(1, 6), st.data())
    def test_together(
        self, cut: tuple[bytes, list[bytes]], maxLength: int, data: st.DataObject
    ) -> None:
        """
        C{receive} and C{receiveTogether} return the same messages, also if they
        are called alternately.
        """
        _, chunks = cut
        splitter = MessageSplitter(maxLength)
        events: list[bytes | str] = []
        for chunk in chunks:
            try:
                if data.draw(st.booleans()):
                    events += splitter.receive(chunk)
                else:
                    together = splitter.receiveTogether(chunk)
                    events += [] if together is None else together.split(b"\0")
            except MessageTooLong as error:
                events += [*error.before, "too long"]
                break
        self.assertEqual(events, eventsOf(chunks, maxLength))

    @given(st.lists(st.binary().filter(lambda message: b"\0" not in message)))
    def test_roundTrip(self, messages: list[bytes]) -> None:
        """
        Messages with terminators are split into the same messages.
        """
        stream = b"".join(message + END for message in messages)
        self.assertEqual(MessageSplitter().receive(stream), messages)

    def test_limitIsInclusive(self) -> None:
        """
        A message may have the maximum length; one byte more raises an error.
        """
        self.assertEqual(MessageSplitter(3).receive(b"abc\0"), [b"abc"])
        self.assertRaises(MessageTooLong, MessageSplitter(3).receive, b"abcd\0")

    def test_tooLongWithoutEnd(self) -> None:
        """
        An incomplete message raises an error as soon as it exceeds the limit. The
        complete messages before it are kept.
        """
        splitter = MessageSplitter(3)
        error = self.assertRaises(MessageTooLong, splitter.receive, b"a\0bc\0defg")
        self.assertEqual(error.before, [b"a", b"bc"])
        self.assertEqual(str(error), "a message is longer than 3 bytes")

    def test_pending(self) -> None:
        """
        The bytes of an incomplete message are counted until they are discarded.
        """
        splitter = MessageSplitter()
        splitter.receive(b"a\0bcd")
        self.assertEqual(splitter.pending, 3)
        splitter.clear()
        self.assertEqual(splitter.pending, 0)
        self.assertEqual(splitter.receive(b"e\0"), [b"e"])

    def test_oneSplitForManyMessages(self) -> None:
        """
        Each byte is searched once: buffered chunks of a long message are not
        searched again.
        """
        searched = []

        class Counted(bytes):
            def split(self, *arguments: Any) -> list[bytes]:
                searched.append(len(self))
                return super().split(*arguments)

            def find(self, sub: Any, start: Any = 0, *arguments: Any) -> int:
                found = super().find(sub, start, *arguments)
                searched.append((found if found >= 0 else len(self)) - start)
                return found

        splitter = MessageSplitter(10_000)
        for _ in range(9):
            splitter.receive(Counted(b"x" * 1000))
        splitter.receive(Counted(b"\0" * 1000))
        self.assertEqual(searched, [1000] * 9 + [0, 1000])
