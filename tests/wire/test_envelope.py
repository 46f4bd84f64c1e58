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
    Envelopes are written and read.
    """

    @given(envelopes)
    def test_roundTrip(self, envelope: Envelope) -> None:
        """
        What is written can be read.
        """
        self.assertEqual(decode(encode(envelope)), envelope)

    @given(st.binary(max_size=40))
    def test_anyBytes(self, data: bytes) -> None:
        """
        Bytes are an envelope, or an error of its own.
        """
        try:
            envelope = decode(data)
        except EnvelopeError:
            self.assertTrue(len(data) < OVERHEAD or data[0] != 1)
        else:
            self.assertEqual((data[:1], data[26:]), (b"\1", envelope.payload))

    def test_format(self) -> None:
        """
        The version, flags, the node and the number stand in front.
        """
        self.assertEqual(
            encode(Envelope(NODE, 258, b"hi", True)), b"\1\1" + NODE + b"\0\0\0\0\0\0\1\2hi"
        )

    def test_unknownFlags(self) -> None:
        """
        Flags that nobody knows are passed over.
        """
        self.assertFalse(decode(b"\1\xfe" + bytes(24)).first)

    def test_problems(self) -> None:
        """
        What is wrong is said.
        """
        for data, says in [
            (b"\1" * 25, "25 bytes are too few"), (b"\2" + bytes(40), "unknown envelope version 2"),
        ]:  # fmt: skip
            with self.assertRaisesRegex(EnvelopeError, says):
                decode(data)
        with self.assertRaisesRegex(EnvelopeError, "16 bytes, not 3"):
            encode(Envelope(b"abc", 1, b""))
        for number in (-1, 2**64):
            with self.assertRaisesRegex(EnvelopeError, "sequence number"):
                encode(Envelope(NODE, number, b""))


class SequencerTests(SynchronousTestCase):
    """
    L{Sequencer} gives numbers.
    """

    def test_numbers(self) -> None:
        """
        Each topic has numbers of its own, and the first is marked.
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
        Of many topics the last ones are known, and no number is ever given twice
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
    L{LossCounter} counts what is missing.
    """

    def note(self, counter: LossCounter, *sequences: int, first: bool = False) -> list[int | None]:
        """
        Have envelopes come.
        """
        return [counter.note(Envelope(NODE, each, b"", first)) for each in sequences]

    def test_gap(self) -> None:
        """
        The numbers between two that have come are missing; before the first,
        nothing is.
        """
        self.assertEqual(self.note(LossCounter(), 7, 8, 11, 12), [0, 0, 2, 0])

    def test_duplicate(self) -> None:
        """
        What comes again, or too late, is known as such.
        """
        self.assertEqual(self.note(LossCounter(), 7, 7, 9, 8, 9, 10), [0, None, 1, None, None, 0])
        self.assertEqual(self.note(LossCounter(), 1, 1, first=True), [0, None])

    def test_beginsAnew(self) -> None:
        """
        A node that begins anew, with lower or higher numbers, misses nothing.
        """
        counter = LossCounter()
        self.note(counter, 2**64 - 1)
        self.assertEqual(self.note(counter, 1, first=True), [0])
        self.assertEqual(self.note(counter, 2), [0])
        self.assertEqual(self.note(counter, 1000, first=True), [0])

    def test_eachNode(self) -> None:
        """
        Nodes are counted apart.
        """
        counter = LossCounter()
        self.assertEqual(self.note(counter, 5), [0])
        self.assertEqual(counter.note(Envelope(OTHER, 1, b"")), 0)
        self.assertEqual(counter.note(Envelope(OTHER, 3, b"")), 1)
        self.assertEqual(self.note(counter, 6), [0])

    def test_memory(self) -> None:
        """
        Of many nodes those are known that spoke last, and one that is forgotten
        begins anew.
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
        Whatever is lost between the first and the last that come is counted.
        """
        sequencer, counter = Sequencer(NODE), LossCounter()
        sealed = [sequencer.seal("a", b"") for _ in arrives]
        come = [number for number, each in enumerate(arrives) if each]
        missed = sum(counter.note(decode(sealed[number])) or 0 for number in come)
        expected = come[-1] - come[0] + 1 - len(come) if come else 0
        self.assertEqual(missed, expected)
