"""
The pieces of a DER structure, X.690: what is needed to get at fields of a
certificate as they stand in it.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Piece:
    """
    A piece of DER.

    @ivar tag: its first byte: the type.
    @ivar content: the bytes inside.
    @ivar whole: all its bytes, tag and length too.
    """

    tag: int
    content: bytes
    whole: bytes


def pieces(content: bytes) -> list[Piece]:
    """
    Split what is inside a structure into its pieces.

    @param content: the bytes, which have been found to be good DER.
    @return: the pieces, in order; what is inside them is not split. There are
        none in no bytes.
    """
    found = []
    start = 0
    while start < len(content):
        length, begin = content[start + 1], start + 2
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(content[start + 2 : begin])
        end = begin + length
        found.append(Piece(content[start], content[begin:end], content[start:end]))
        start = end
    return found
