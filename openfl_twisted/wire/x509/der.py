"""
The elements of a DER structure (X.690), for access to the unchanged fields of a
certificate.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Element:
    """
    A DER element.

    @ivar tag: the first byte, which is the type.
    @ivar content: the bytes of the value.
    @ivar whole: all bytes, including tag and length.
    """

    tag: int
    content: bytes
    whole: bytes


def elements(content: bytes) -> list[Element]:
    """
    Split the content of a structure into its elements.

    @param content: the content, which must be valid DER.
    @return: the elements, in order. Their contents are not split.
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
