"""
The elements of a DER structure (X.690), without copies of their content.
"""

from collections.abc import Iterable, Iterator

Element = tuple[int, int, int]
"""
An element: the tag, the position of the beginning of the content, and the position of its end.
"""

_VERSION = 0xA0


def fieldsOf(certificate: bytes) -> list[Element]:
    """
    Return the signed fields of a certificate: serial number, signature algorithm, issuer,
    validity, subject, key, and optional fields.

    @raise ValueError: if the certificate is not DER.
    """
    [outer, *_] = [*elements(certificate, (0, 0, len(certificate))), (0, 0, 0)]
    signed = next(elements(certificate, outer), (0, 0, 0))
    fields = list(elements(certificate, signed))
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    if len(fields) < 6:
        raise ValueError("the certificate is not valid DER")
    return fields


def within(data: bytes, parents: Iterable[Element], depth: int) -> list[Element]:
    """
    Return the elements of the data at a given depth below the parents; depth 1 means directly
    inside a parent.
    """
    found = list(parents)
    for _ in range(depth):
        found = [inner for each in found for inner in elements(data, each)]
    return found


def elements(data: bytes, parent: Element) -> Iterator[Element]:
    """
    Return the elements of the data that are directly inside a parent.

    @raise ValueError: if the elements are not DER.
    """
    _, position, end = parent
    while position < end:
        found = element(data, position, end)
        yield found
        position = found[2]


def element(data: bytes, position: int, end: int) -> Element:
    """
    Read the tag and the length of an element of the data.

    @param end: the position at which the element must have ended.
    @raise ValueError: if the element is not DER.
    """
    try:
        tag, length = data[position], data[position + 1]
        start = position + 2
        if tag & 0x1F == 0x1F:
            # This value means that the tag number follows in the next bytes. No certificate has
            # such a tag.
            length, start = data[start], start + 1
            if data[start - 2] & 0x80:
                raise ValueError("the certificate is not valid DER")
        if length > 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[start : start + size])
            start += size
        elif length == 0x80:
            raise ValueError("the certificate is not valid DER")
    except IndexError:
        raise ValueError("the certificate is not valid DER") from None
    if start + length > end:
        raise ValueError("the certificate is not valid DER")
    return tag, start, start + length
