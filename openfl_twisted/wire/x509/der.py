"""
The elements of a DER structure (X.690), to read the fields of a certificate
unchanged.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Element:
    """
    An element of DER.

    @ivar tag: its first byte: the type.
    @ivar content: the bytes inside.
    @ivar whole: all its bytes, tag and length too.
    """

    tag: int
    content: bytes
    whole: bytes


def elements(content: bytes) -> list[Element]:
    """
    Split the content of a structure into its elements.

    @param content: the bytes, which have been found to be good DER.
    @return: the elements, in order; their contents are not split. No
        elements for an empty input.
    """
    found = []
    start = 0
    while start < len(content):
        length, begin = content[start + 1], start + 2
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(content[start + 2 : begin])
        end = begin + length
        found.append(Element(content[start], content[begin:end], content[start:end]))
        start = end
    return found
