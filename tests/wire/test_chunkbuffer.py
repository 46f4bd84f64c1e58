"""
Tests for L{openfl_twisted.wire.chunkbuffer}.
"""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.chunkbuffer import ChunkBuffer

# Small chunks, which are joined, and larger ones.
chunks = st.lists(st.binary(max_size=5) | st.integers(4000, 5000).map(bytes))


class ChunkBufferTests(SynchronousTestCase):
    """
    L{ChunkBuffer} stores chunks.
    """

    @given(chunks, st.binary())
    def test_inOrder(self, begun: list[bytes], last: bytes) -> None:
        """
        All bytes are returned in order, and counted; then the buffer is empty.
        """
        kept = ChunkBuffer()
        for number, chunk in enumerate(begun):
            kept.add(chunk)
            self.assertEqual(len(kept), sum(map(len, begun[: number + 1])))
        for expected in (b"".join([*begun, last]), last):
            self.assertEqual(kept.end(last), expected)
            self.assertEqual(len(kept), 0)

    def test_changed(self) -> None:
        """
        A chunk that its owner changes later is not changed in the buffer, nor vice versa.
        """
        kept, owned = ChunkBuffer(), bytearray(5000)
        kept.add(owned)  # type: ignore[arg-type]
        owned[0] = 1
        kept.add(b"more")
        self.assertEqual(len(owned), 5000)
        self.assertEqual(kept.end(), bytes(5000) + b"more")

    def test_small(self) -> None:
        """
        Single bytes take little more memory than their number.
        """
        kept = ChunkBuffer()
        tracemalloc.start()
        try:
            for number in range(100_000):
                kept.add(b"%c" % (number % 128))
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(held, 150_000)

    def test_large(self) -> None:
        """
        Large chunks are copied once, when they are joined.
        """
        kept = ChunkBuffer()
        tracemalloc.start()
        try:
            for _ in range(20):
                kept.add(bytes(50_000))
            whole = kept.end()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertEqual(len(whole), 1_000_000)
        self.assertLess(most, 2_100_000)
