"""
The elements of a DER structure (X.690), without copies of their content.
"""

from collections.abc import Iterable, Iterator

Element = tuple[int, int, int]
"""
An element: its tag, and the positions of the beginning and the end of its content.
"""

_VERSION = 0xA0


def fieldsOf(certificate: bytes) -> list[Element]:
    """
    Get the fields of a certificate that its issuer has signed: serial number,
    signature algorithm, issuer, validity, subject, key, and optional ones.

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
    Get the elements of the data at a depth below the parents: 1 for those directly
    inside a parent.
    """
    found = list(parents)
    for _ in range(depth):
        found = [inner for each in found for inner in elements(data, each)]
    return found


def elements(data: bytes, parent: Element) -> Iterator[Element]:
    """
    Get the elements of data within their parent.

    @raise ValueError: if they are not DER.
    """
    _, position, end = parent
    while position < end:
        found = element(data, position, end)
        yield found
        position = found[2]


def element(data: bytes, position: int, end: int) -> Element:
    """
    Read the head of an element.

    @param end: the position after the last byte that it may have.
    @raise ValueError: if it is not DER.
    """
    try:
        tag, length = data[position], data[position + 1]
        start = position + 2
        if tag & 0x1F == 0x1F:
            # The number of the tag is in the next bytes. No certificate has one of several bytes.
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
