"""
Tests for L{openfl_twisted.wire.envelope}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.envelope import (
    OVERHEAD,
    Envelope,
    EnvelopeError,
    LossCounter,
    Sequencer,
    decode,
    encode,
)

NODE, OTHER = b"n" * 16, b"o" * 16

envelopes = st.builds(
    Envelope,
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1),
    st.binary(),
    st.booleans(),
)


class EnvelopeTests(SynchronousTestCase):
    """
    Envelopes are serialized and parsed.
    """

    @given(envelopes)
    def test_roundTrip(self, envelope: Envelope) -> None:
        """
        A serialized envelope is parsed to the same envelope.
        """
        self.assertEqual(decode(encode(envelope)), envelope)

    @given(st.binary(max_size=40))
    def test_anyBytes(self, data: bytes) -> None:
        """
        Any bytes are an envelope, or are an C{EnvelopeError}.
        """
        try:
            envelope = decode(data)
        except EnvelopeError:
            self.assertTrue(len(data) < OVERHEAD or data[0] != 1)
        else:
            self.assertEqual((data[:1], data[26:]), (b"\1", envelope.payload))

    def test_format(self) -> None:
        """
        The header contains the version, the flags, the node and the sequence number.
        """
        self.assertEqual(
            encode(Envelope(NODE, 258, b"hi", True)), b"\1\1" + NODE + b"\0\0\0\0\0\0\1\2hi"
        )

    def test_unknownFlags(self) -> None:
        """
        Unknown flags are ignored.
        """
        self.assertFalse(decode(b"\1\xfe" + bytes(24)).first)

    def test_problems(self) -> None:
        """
        An invalid envelope or field raises an error with the reason.
        """
        for data, message in [
            (b"\1" * 25, "25 bytes are too few"), (b"\2" + bytes(40), "unknown envelope version 2"),
        ]:  # fmt: skip
            with self.assertRaisesRegex(EnvelopeError, message):
                decode(data)
        with self.assertRaisesRegex(EnvelopeError, "16 bytes, not 3"):
            encode(Envelope(b"abc", 1, b""))
        for number in (-1, 2**64):
            with self.assertRaisesRegex(EnvelopeError, "sequence number"):
                encode(Envelope(NODE, number, b""))


class SequencerTests(SynchronousTestCase):
    """
    L{Sequencer} assigns sequence numbers.
    """

    def test_numbers(self) -> None:
        """
        Each topic has separate numbers, and its first envelope is marked.
        """
        sequencer = Sequencer(NODE)
        sealed = [decode(sequencer.seal(topic, b"x")) for topic in ("a", "b", "a")]
        self.assertEqual(
            [(each.sequence, each.first) for each in sealed], [(1, True), (1, True), (2, False)]
        )
        self.assertEqual({(each.node, each.payload) for each in sealed}, {(NODE, b"x")})

    @given(st.lists(st.sampled_from("abcde")))
    def test_memory(self, topics: list[str]) -> None:
        """
        Only the last used topics are remembered, and no number is assigned twice
        on a topic.
        """
        sequencer = Sequencer(NODE, 3)
        numbers: dict[str, list[int]] = {}
        counter = LossCounter()
        for topic in topics:
            envelope = decode(sequencer.seal(topic, b""))
            numbers.setdefault(topic, []).append(envelope.sequence)
            if topic == "a":
                self.assertEqual(counter.note(envelope), 0)
        self.assertLessEqual(len(sequencer._numbers), 3)
        for given_ in numbers.values():
            self.assertEqual(given_, sorted(set(given_)))


class LossCounterTests(SynchronousTestCase):
    """
    L{LossCounter} counts missing messages.
    """

    def note(self, counter: LossCounter, *sequences: int, first: bool = False) -> list[int | None]:
        """
        Record envelopes with some numbers.
        """
        return [counter.note(Envelope(NODE, each, b"", first)) for each in sequences]

    def test_gap(self) -> None:
        """
        Numbers between two received ones are missing; numbers before the first are not.
        """
        self.assertEqual(self.note(LossCounter(), 7, 8, 11, 12), [0, 0, 2, 0])

    def test_duplicate(self) -> None:
        """
        A repeated or late message is recognized.
        """
        self.assertEqual(self.note(LossCounter(), 7, 7, 9, 8, 9, 10), [0, None, 1, None, None, 0])
        self.assertEqual(self.note(LossCounter(), 1, 1, first=True), [0, None])

    def test_restart(self) -> None:
        """
        A node that restarts, with lower or higher numbers, misses nothing.
        """
        counter = LossCounter()
        self.note(counter, 2**64 - 1)
        self.assertEqual(self.note(counter, 1, first=True), [0])
        self.assertEqual(self.note(counter, 2), [0])
        self.assertEqual(self.note(counter, 1000, first=True), [0])

    def test_eachNode(self) -> None:
        """
        Nodes are counted separately.
        """
        counter = LossCounter()
        self.assertEqual(self.note(counter, 5), [0])
        self.assertEqual(counter.note(Envelope(OTHER, 1, b"")), 0)
        self.assertEqual(counter.note(Envelope(OTHER, 3, b"")), 1)
        self.assertEqual(self.note(counter, 6), [0])

    def test_memory(self) -> None:
        """
        Only the last active nodes are remembered; a forgotten one begins anew.
        """
        counter = LossCounter(2)
        a, b, c = (bytes([number]) * 16 for number in range(3))
        for node in (a, b, a, c):
            counter.note(Envelope(node, 1, b""))
        self.assertEqual(set(counter._last), {a, c})
        self.assertEqual(counter.note(Envelope(b, 9, b"")), 0)
        self.assertEqual(counter.note(Envelope(c, 3, b"")), 1)

    @given(st.lists(st.booleans()))
    def test_lossy(self, arrives: list[bool]) -> None:
        """
        All losses between the first and the last received message are counted.
        """
        sequencer, counter = Sequencer(NODE), LossCounter()
        sealed = [sequencer.seal("a", b"") for _ in arrives]
        received = [number for number, each in enumerate(arrives) if each]
        missed = sum(counter.note(decode(sealed[number])) or 0 for number in received)
        expected = received[-1] - received[0] + 1 - len(received) if received else 0
        self.assertEqual(missed, expected)
