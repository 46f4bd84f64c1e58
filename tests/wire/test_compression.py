"""
Tests for L{openfl_twisted.wire.compression}.
"""

import lzma
import tracemalloc
import zlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.compression import (
    ALGORITHMS,
    DEFLATE,
    LZMA,
    ZLIB,
    CompressionError,
    compress,
    uncompress,
)


class CompressionTests(SynchronousTestCase):
    """
    L{compress} and L{uncompress}.
    """

    def test_vectors(self) -> None:
        """
        The compressed bytes are the same as in Flash.
        """
        for data, zlibs, deflates in [
            (
                b"string",
                "78 DA 2B 2E 29 CA CC 4B 07 00 09 42 02 98",
                "2B 2E 29 CA CC 4B 07 00",
            ),
            (b"dddd", "78 DA 4B 49 49 49 01 00 03 EC 01 91", "4B 49 49 49 01 00"),
            (
                b"AABBCCDDEEFFGG",
                "78 DA 73 74 74 72 72 76 76 71 71 75 75 73 73 77 07 00 1B 82 03 B9",
                "73 74 74 72 72 76 76 71 71 75 75 73 73 77 07 00",
            ),
        ]:
            self.assertEqual(compress(data, ZLIB), bytes.fromhex(zlibs))
            self.assertEqual(compress(data, DEFLATE), bytes.fromhex(deflates))

    def test_lzmaHeader(self) -> None:
        """
        LZMA data begins with Flash's header, which contains the length.
        """
        data = compress(b"x" * 300, LZMA)
        self.assertEqual(data[:13].hex(" "), "5d 00 00 10 00 2c 01 00 00 00 00 00 00")
        self.assertEqual(lzma.decompress(data, lzma.FORMAT_ALONE), b"x" * 300)

    @given(st.binary(), st.sampled_from(ALGORITHMS), st.binary(max_size=3))
    def test_roundTrip(self, data: bytes, algorithm: str, following: bytes) -> None:
        """
        Compressed data is uncompressed to the same data, whatever follows it.
        """
        self.assertEqual(uncompress(compress(data, algorithm) + following, algorithm), data)
        self.assertEqual(uncompress(bytearray(compress(data, algorithm)), algorithm), data)

    @given(st.binary(min_size=1), st.sampled_from(ALGORITHMS), st.data())
    def test_cut(self, data: bytes, algorithm: str, choice: st.DataObject) -> None:
        """
        Incomplete data is refused. LZMA data without its check at the end may be
        accepted.
        """
        whole = compress(data, algorithm)
        cut = whole[: choice.draw(st.integers(0, len(whole) - 1))]
        try:
            self.assertEqual(uncompress(cut, algorithm), data)
        except CompressionError:
            pass
        else:
            self.assertEqual(algorithm, LZMA)

    @given(st.binary(), st.sampled_from(ALGORITHMS))
    def test_anyBytes(self, data: bytes, algorithm: str) -> None:
        """
        Any bytes are uncompressed, or are a C{CompressionError}.
        """
        try:
            uncompress(data, algorithm, 1000)
        except CompressionError as error:
            self.assertNotEqual(str(error), "")

    def test_limit(self) -> None:
        """
        The result may have the maximum length; one byte more is refused.
        """
        for algorithm in ALGORITHMS:
            data = compress(b"x" * 100, algorithm)
            self.assertEqual(len(uncompress(data, algorithm, 100)), 100)
            self.assertRaises(CompressionError, uncompress, data, algorithm, 99)

    def test_bomb(self) -> None:
        """
        Data that exceeds the limit after decompression is refused without
        uncompressing all of it.
        """
        bomb = zlib.compress(b"\0" * 50_000_000, 9)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertRaises(CompressionError, uncompress, bomb, ZLIB, 100_000)
        self.assertLess(tracemalloc.get_traced_memory()[1], 5_000_000)

    def test_unknownLength(self) -> None:
        """
        LZMA data with an unknown length is refused, as in Flash, and so is data
        that requires too much memory.
        """
        data = lzma.compress(b"abc", lzma.FORMAT_ALONE)
        self.assertRaises(CompressionError, uncompress, data, LZMA)
        greedy = compress(b"abc", LZMA)
        greedy = greedy[:1] + b"\xff\xff\xff\xff" + greedy[5:]
        self.assertRaises(CompressionError, uncompress, greedy, LZMA)
