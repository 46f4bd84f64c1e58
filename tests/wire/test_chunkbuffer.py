"""
Tests for L{openfl_twisted.wire.chunkbuffer}.
"""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.chunkbuffer import ChunkBuffer

# Short ones, and such as are kept as they came.
pieces = st.lists(st.binary(max_size=5) | st.integers(4000, 5000).map(bytes))


class PiecesTests(SynchronousTestCase):
    """
    L{ChunkBuffer} keeps what has come.
    """

    @given(pieces, st.binary())
    def test_inOrder(self, begun: list[bytes], last: bytes) -> None:
        """
        Every byte is there, in order, and counted; then it begins anew.
        """
        kept = ChunkBuffer()
        for number, piece in enumerate(begun):
            kept.add(piece)
            self.assertEqual(len(kept), sum(map(len, begun[: number + 1])))
        for expected in (b"".join([*begun, last]), last):
            self.assertEqual(kept.end(last), expected)
            self.assertEqual(len(kept), 0)

    def test_changed(self) -> None:
        """
        What its owner changes afterwards is not changed here, nor here for him.
        """
        kept, owned = ChunkBuffer(), bytearray(5000)
        kept.add(owned)  # type: ignore[arg-type]
        owned[0] = 1
        kept.add(b"more")
        self.assertEqual(len(owned), 5000)
        self.assertEqual(kept.end(), bytes(5000) + b"more")

    def test_small(self) -> None:
        """
        What comes byte by byte takes little more than its bytes.
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
        What comes in large pieces is copied once: no other copy is there while
        they are put together.
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
