"""
Tests for L{openfl_twisted.wire.messages}.
"""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.messages import END, MessageSplitter, MessageTooLong
from tests.segments import cutStreams

# Few different bytes, so that ends are frequent.
streams = st.lists(st.sampled_from([b"\0", b"a", b"bc", b"\xc3\xa9", b"\r\n"])).map(b"".join)


def eventsOf(pieces: list[bytes], maxLength: int) -> list[bytes | str]:
    """
    Give a stream to a splitter as its users do: up to the first message that is
    too long.
    """
    splitter = MessageSplitter(maxLength)
    events: list[bytes | str] = []
    for piece in pieces:
        try:
            events += splitter.receive(piece)
        except MessageTooLong as error:
            return [*events, *error.before, "too long"]
    return events


class MessageSplitterTests(SynchronousTestCase):
    """
    L{MessageSplitter} finds the messages in a stream.
    """

    def test_segmented(self) -> None:
        """
        Messages come out the same as Flash gives them for Ruffle's recorded
        stream C{avm1/xml_socket_segmented}.
        """
        splitter = MessageSplitter()
        received = []
        for piece in [
            b"\0First\0", b"Hello", b"World!", b"\0", b"This", b" is", b" a ", b"test\0",
            b"One\0Two\0Three\0", b"\0\0\0", b"AA\0BB\0CC", b"DD\0",
        ]:  # fmt: skip
            received += splitter.receive(piece)
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
        Long messages, which are found in another way than short ones, come out
        the same in any pieces.
        """
        stream, pieces = cut
        splitter = MessageSplitter()
        received = [message for piece in pieces for message in splitter.receive(piece)]
        self.assertEqual(received, stream.split(b"\0")[:-1])
        self.assertEqual(splitter.pending, 0)

    @given(cutStreams(streams), st.integers(1, 6))
    def test_anyCut(self, cut: tuple[bytes, list[bytes]], maxLength: int) -> None:
        """
        Any cut gives the same messages, up to the same message that is too
        long.
        """
        stream, pieces = cut
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
        self.assertEqual(eventsOf(pieces, maxLength), expected)

    @given(cutStreams(streams), st.integers(1, 6), st.data())
    def test_together(
        self, cut: tuple[bytes, list[bytes]], maxLength: int, data: st.DataObject
    ) -> None:
        """
        Messages that are taken together are the same, also where both ways take
        turns.
        """
        _, pieces = cut
        splitter = MessageSplitter(maxLength)
        events: list[bytes | str] = []
        for piece in pieces:
            try:
                if data.draw(st.booleans()):
                    events += splitter.receive(piece)
                else:
                    together = splitter.receiveTogether(piece)
                    events += [] if together is None else together.split(b"\0")
            except MessageTooLong as error:
                events += [*error.before, "too long"]
                break
        self.assertEqual(events, eventsOf(pieces, maxLength))

    @given(st.lists(st.binary().filter(lambda message: b"\0" not in message)))
    def test_roundTrip(self, messages: list[bytes]) -> None:
        """
        What is written one behind the other, each with its end, a splitter reads.
        """
        stream = b"".join(message + END for message in messages)
        self.assertEqual(MessageSplitter().receive(stream), messages)

    def test_limitIsInclusive(self) -> None:
        """
        A message of just the limit is taken, one byte more is not.
        """
        self.assertEqual(MessageSplitter(3).receive(b"abc\0"), [b"abc"])
        self.assertRaises(MessageTooLong, MessageSplitter(3).receive, b"abcd\0")

    def test_tooLongWithoutEnd(self) -> None:
        """
        A message is too long as soon as it cannot end within the limit any
        more; what was complete before it is not lost.
        """
        splitter = MessageSplitter(3)
        error = self.assertRaises(MessageTooLong, splitter.receive, b"a\0bc\0defg")
        self.assertEqual(error.before, [b"a", b"bc"])
        self.assertEqual(str(error), "a message is longer than 3 bytes")

    def test_pending(self) -> None:
        """
        The bytes of a message whose end has not come are counted, until they
        are dropped.
        """
        splitter = MessageSplitter()
        splitter.receive(b"a\0bcd")
        self.assertEqual(splitter.pending, 3)
        splitter.clear()
        self.assertEqual(splitter.pending, 0)
        self.assertEqual(splitter.receive(b"e\0"), [b"e"])

    def test_oneSplitForManyMessages(self) -> None:
        """
        Each byte is looked at once: a piece of a long message is not searched
        again when the next one comes.
        """
        looked = []

        class Counted(bytes):
            def split(self, *arguments: Any) -> list[bytes]:
                looked.append(len(self))
                return super().split(*arguments)

            def find(self, what: Any, at: Any = 0, *arguments: Any) -> int:
                found = super().find(what, at, *arguments)
                looked.append((found if found >= 0 else len(self)) - at)
                return found

        splitter = MessageSplitter(10_000)
        for _ in range(9):
            splitter.receive(Counted(b"x" * 1000))
        splitter.receive(Counted(b"\0" * 1000))
        self.assertEqual(looked, [1000] * 9 + [0, 1000])
