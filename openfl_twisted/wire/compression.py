"""
The compressed forms that C{ByteArray} knows: zlib (RFC 1950), raw DEFLATE (RFC
1951) and LZMA with the header of an C{.lzma} file.

Games depend on some of the bytes: zlib data begins with 78 DA, and LZMA data
holds its length (avmplus, C{core/ByteArrayGlue.cpp}).
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
All of them; their names are Flash's.
"""

MAX_UNCOMPRESSED = 256 * 1024 * 1024
"""
The most bytes that are made of compressed ones if nobody says otherwise: 256
MiB. Flash has no limit.
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
# One byte for lc, lp and pb, the size of the dictionary, and the length of what was compressed.
_lzmaHeader = struct.Struct("<BIQ")
LZMA_HEADER = _lzmaHeader.size
"""
The length of the header of LZMA.
"""

_LZMA_PROPERTIES = (2 * 5 + 0) * 9 + 3
_MAX_LZMA_MEMORY = 128 * 1024 * 1024


class CompressionError(ValueError):
    """
    What was given cannot be uncompressed.
    """


def compress(data: bytes | bytearray, algorithm: str) -> bytes:
    """
    Compress bytes.

    @param data: the bytes.
    @param algorithm: one of L{ALGORITHMS}.
    @return: the compressed bytes, at level 9; LZMA with a dictionary of 1 MiB
        behind a header of 13 bytes.
    @raise KeyError: if there is no such algorithm.
    """
    if algorithm == LZMA:
        size = _LZMA_FILTER["dict_size"]
        header = _lzmaHeader.pack(_LZMA_PROPERTIES, size, len(data))
        return header + lzma.compress(data, lzma.FORMAT_RAW, filters=[_LZMA_FILTER])
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW[algorithm], _MEMORY_LEVEL)
    return compressor.compress(data) + compressor.flush()


def uncompress(data: bytes | bytearray, algorithm: str, maxLength: int = MAX_UNCOMPRESSED) -> bytes:
    """
    Uncompress bytes. What stands behind the end of the compressed ones is
    ignored.

    @param data: the bytes.
    @param algorithm: one of L{ALGORITHMS}.
    @param maxLength: the most bytes that may come out.
    @return: the bytes, at most C{maxLength}.
    @raise CompressionError: if the bytes are corrupt or not all there, or make
        more than C{maxLength}.
    @raise KeyError: if there is no such algorithm.
    """
    if algorithm == LZMA:
        return _uncompressLZMA(data, maxLength)
    decompressor = zlib.decompressobj(_WINDOW[algorithm])
    try:
        # One more than allowed, so that just as many are seen to be the end.
        result = decompressor.decompress(data, maxLength + 1)
    except zlib.error as error:
        raise CompressionError(str(error)) from None
    return _whole(result, decompressor.eof, maxLength)


def _uncompressLZMA(data: bytes | bytearray, maxLength: int) -> bytes:
    """
    Uncompress LZMA, whose header says how much comes out.
    """
    if len(data) < _lzmaHeader.size:
        raise CompressionError("the header is not all there")
    length = _lzmaHeader.unpack_from(data)[2]
    if length > maxLength:
        # A length of 64 set bits means that nobody knows it. Flash cannot read that either.
        raise CompressionError(f"it says that it makes {length} bytes")
    decompressor = lzma.LZMADecompressor(lzma.FORMAT_ALONE, _MAX_LZMA_MEMORY)
    try:
        result = decompressor.decompress(data, length + 1)
    except lzma.LZMAError as error:
        raise CompressionError(str(error)) from None
    return _whole(result, len(result) == length, length)


def _whole(result: bytes, ended: bool, maxLength: int) -> bytes:
    """
    Check that all has come out.
    """
    if len(result) > maxLength:
        raise CompressionError(f"it makes more than {maxLength} bytes")
    if not ended:
        raise CompressionError("it is not all there")
    return result
