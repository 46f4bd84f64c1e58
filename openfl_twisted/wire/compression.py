"""
The compressed formats of C{ByteArray}: zlib (RFC 1950), raw DEFLATE (RFC 1951) and
LZMA with the header of an C{.lzma} file.

Some games depend on details of these formats: zlib data begins with 78 DA, and LZMA data
contains the uncompressed length (avmplus, C{core/ByteArrayGlue.cpp}).
"""

import lzma
import struct
import zlib
from typing import Final

DEFLATE: Final = "deflate"
"""
Raw DEFLATE, without header and checksum (RFC 1951).
"""

LZMA: Final = "lzma"
"""
LZMA with the header of an C{.lzma} file.
"""

ZLIB: Final = "zlib"
"""
DEFLATE with the header and the checksum of zlib (RFC 1950).
"""

ALGORITHMS = (DEFLATE, LZMA, ZLIB)
"""
All algorithms, by their Flash names.
"""

MAX_UNCOMPRESSED = 256 * 1024 * 1024
"""
Default maximum length of uncompressed data (bytes): 256 MiB. Flash has no limit.
"""

_LEVEL = 9
_WINDOW = {ZLIB: zlib.MAX_WBITS, DEFLATE: -zlib.MAX_WBITS}
_MEMORY_LEVEL = 8
_LZMA_FILTER = {
    "id": lzma.FILTER_LZMA1,
    "preset": 9,
    "dict_size": 1024 * 1024,
    "lc": 3,
    "lp": 0,
    "pb": 2,
}
# The LZMA header: one byte for lc, lp and pb, the dictionary size, and the uncompressed length.
_lzmaHeader = struct.Struct("<BIQ")
LZMA_HEADER = _lzmaHeader.size
"""
Length of the LZMA header (bytes).
"""

_LZMA_PROPERTIES = (2 * 5 + 0) * 9 + 3
_MAX_LZMA_MEMORY = 128 * 1024 * 1024


class CompressionError(ValueError):
    """
    Compressed data cannot be uncompressed.
    """


def compress(data: bytes | bytearray, algorithm: str) -> bytes:
    """
    Compress data at level 9.

    @param algorithm: one of L{ALGORITHMS}.
    @return: the compressed data. For LZMA, the dictionary has 1 MiB, and the data begins with
        a header of 13 bytes.
    @raise KeyError: if the algorithm is unknown.
    """
    if algorithm == LZMA:
        size = _LZMA_FILTER["dict_size"]
        header = _lzmaHeader.pack(_LZMA_PROPERTIES, size, len(data))
        return header + lzma.compress(data, lzma.FORMAT_RAW, filters=[_LZMA_FILTER])
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[algorithm], _MEMORY_LEVEL)
    return compressor.compress(data) + compressor.flush()


def uncompress(data: bytes | bytearray, algorithm: str, maxLength: int = MAX_UNCOMPRESSED) -> bytes:
    """
    Uncompress data. Bytes after the end of the compressed data are ignored.

    @param algorithm: one of L{ALGORITHMS}.
    @param maxLength: maximum length of the result (bytes).
    @return: the uncompressed data.
    @raise CompressionError: if the data is corrupt or incomplete, or exceeds
        C{maxLength}.
    @raise KeyError: if the algorithm is unknown.
    """
    if algorithm == LZMA:
        return _uncompressLZMA(data, maxLength)
    decompressor = zlib.decompressobj(_WINDOW[algorithm])
    try:
        # Allow one byte more than the limit, so that the decompressor also reaches the end of data
        # whose result has exactly the maximum length.
        result = decompressor.decompress(data, maxLength + 1)
    except zlib.error as error:
        raise CompressionError(str(error)) from None
    return _whole(result, decompressor.eof, maxLength)


def _uncompressLZMA(data: bytes | bytearray, maxLength: int) -> bytes:
    """
    Uncompress LZMA data, whose header contains the uncompressed length.
    """
    if len(data) < _lzmaHeader.size:
        raise CompressionError("the LZMA header is incomplete")
    length = _lzmaHeader.unpack_from(data)[2]
    if length > maxLength:
        # A length with all 64 bits set means that the length is unknown. Flash does not support
        # this either.
        raise CompressionError(f"the uncompressed length of {length} bytes exceeds {maxLength}")
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MAX_LZMA_MEMORY)
    try:
        result = decompressor.decompress(data, length + 1)
    except lzma.LZMAError as error:
        raise CompressionError(str(error)) from None
    return _whole(result, len(result) == length, length)


def _whole(result: bytes, ended: bool, maxLength: int) -> bytes:
    """
    Check that the uncompressed data is complete and within the limit, and return it.
    """
    if len(result) > maxLength:
        raise CompressionError(f"the uncompressed data exceeds {maxLength} bytes")
    if not ended:
        raise CompressionError("the compressed data is incomplete")
    return result
