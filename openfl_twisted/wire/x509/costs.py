"""
Cost limits for certificate verification.

A server may send 100 KB of certificates before the client knows whether to trust
it. L{findExcess} measures these certificates in a bounded number of steps, before
they are verified.
"""

from collections.abc import Iterable, Iterator, Sequence

MAX_ELEMENTS = 6144
"""
Maximum number of DER elements in all certificates that a server sends.
"""

MAX_COMPARISONS = 10_000
"""
Maximum number of names multiplied by the number of name constraints.
"""

MAX_RSA_BITS = 8192
"""
Maximum length of an RSA modulus.
"""

MAX_EXPONENT_BITS = 33
"""
Maximum length of the public exponent of an RSA key.
"""

MAX_DEPTH = 16
"""
Maximum number of intermediate certificates in a path.
"""

MAX_STEPS = 20
"""
Maximum number of signatures that the search for a path verifies.
"""

MAX_FAILURES = 4
"""
Maximum number of wrong signatures that the search for a path finds.
"""

_VERSION, _EXTENSIONS, _OCTET_STRING, _CONSTRUCTED = 0xA0, 0xA3, 0x04, 0x20
_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d11")
_NAME_CONSTRAINTS = bytes.fromhex("551d1e")
# Nesting depth of the names in the value of each extension.
_DEPTHS = {_SUBJECT_ALTERNATIVE_NAME: 2, _NAME_CONSTRAINTS: 3}
_RSA_KEYS = {bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a864886f70d01010a")}
_DSA_KEY = bytes.fromhex("2a8648ce380401")

# An element: its tag, and the positions of the beginning and the end of its content.
_Element = tuple[int, int, int]


def findExcess(sent: Iterable[bytes], constraints: int = 0) -> str:
    """
    Check whether the verification of certificates would exceed a limit.

    @param sent: the certificates that a server sent (DER).
    @param constraints: the number of name constraints in the client's own
        certificates.
    @return: a description of the exceeded limit; empty if none is exceeded.
    """
    left, names = MAX_ELEMENTS, 0
    for der in dict.fromkeys(sent):
        try:
            left -= _countElements(der, left)
            if left < 0:
                return f"more than {MAX_ELEMENTS} DER elements"
            fields = _fields(der)
            problem = _keyProblem(der, fields[5])
            if problem:
                return problem
            found = _countIn(der, fields)
            names += 1 + len(_within(der, [fields[4]], 2)) + found[_SUBJECT_ALTERNATIVE_NAME]
            constraints += found[_NAME_CONSTRAINTS]
        except ValueError as error:
            return str(error)
    if names * constraints > MAX_COMPARISONS:
        return (
            f"{names} names with {constraints} name constraints require more than "
            f"{MAX_COMPARISONS} comparisons"
        )
    return ""


def countNames(certificate: bytes) -> int:
    """
    Count the names that name constraints are compared with: the subject, each of
    its attributes, and each subject alternative name.

    @param certificate: the certificate (DER).
    @return: the number of names.
    @raise ValueError: if the certificate is not DER.
    """
    fields = _fields(certificate)
    attributes = len(_within(certificate, [fields[4]], 2))
    return 1 + attributes + _countIn(certificate, fields)[_SUBJECT_ALTERNATIVE_NAME]


def countConstraints(certificate: bytes) -> int:
    """
    Count the name constraints of a certificate.

    @param certificate: the certificate (DER).
    @return: the number of permitted and excluded subtrees.
    @raise ValueError: if the certificate is not DER.
    """
    return _countIn(certificate, _fields(certificate))[_NAME_CONSTRAINTS]


def namesOf(certificate: bytes) -> tuple[bytes, bytes, bytes]:
    """
    Get the issuer, the subject and the public key of a certificate. Comparing these
    bytes is much cheaper than parsing them.

    @param certificate: the certificate (DER).
    @return: each in DER, without its head.
    @raise ValueError: if the certificate is not DER.
    """
    fields = _fields(certificate)
    issuer, subject, key = (certificate[fields[n][1] : fields[n][2]] for n in (2, 4, 5))
    return issuer, subject, key


def _keyProblem(certificate: bytes, key: _Element) -> str:
    """
    Check whether a signature by a key would be expensive to verify.

    @param key: the field of the certificate with the key.
    @return: the reason; empty otherwise.
    """
    parts = list(_elements(certificate, key))
    if len(parts) < 2:
        raise ValueError("the public key is not valid DER")
    identifier = next(_elements(certificate, parts[0]), (0, 0, 0))
    kind = certificate[identifier[1] : identifier[2]]
    if kind == _DSA_KEY:
        return "a DSA key"
    if kind not in _RSA_KEYS:
        return ""
    # The first byte of a bit string is the number of unused bits.
    _, start, end = parts[1]
    numbers = _within(certificate, [(0, start + 1, end)], 2)
    if len(numbers) != 2:
        raise ValueError("the public key is not valid DER")
    modulus, exponent = (
        int.from_bytes(certificate[begin:stop]).bit_length() for _, begin, stop in numbers
    )
    if modulus > MAX_RSA_BITS:
        return f"an RSA key of more than {MAX_RSA_BITS} bits"
    if exponent > MAX_EXPONENT_BITS:
        return f"an RSA key with an exponent of more than {MAX_EXPONENT_BITS} bits"
    return ""


def _fields(certificate: bytes) -> list[_Element]:
    """
    Get the fields of a certificate that its issuer has signed: serial number,
    signature algorithm, issuer, validity, subject, key, and optional ones.
    """
    [outer, *_] = [*_elements(certificate, (0, 0, len(certificate))), (0, 0, 0)]
    signed = next(_elements(certificate, outer), (0, 0, 0))
    fields = list(_elements(certificate, signed))
    if fields and fields[0][0] == _VERSION:
        del fields[0]
    if len(fields) < 6:
        raise ValueError("the certificate is not valid DER")
    return fields


def _countIn(certificate: bytes, fields: Sequence[_Element]) -> dict[bytes, int]:
    """
    Count the subject alternative names and the name constraints.

    @return: the numbers; for content that is not DER, the largest possible ones.
    """
    counts = dict.fromkeys(_DEPTHS, 0)
    optional = [field for field in fields[6:] if field[0] == _EXTENSIONS]
    for extension in _within(certificate, optional, 2):
        parts = list(_elements(certificate, extension))
        kind = certificate[parts[0][1] : parts[0][2]] if parts else b""
        if kind in counts:
            try:
                counts[kind] += len(_within(certificate, [parts[-1]], _DEPTHS[kind]))
            except ValueError:
                _, start, end = parts[-1]
                counts[kind] += (end - start) // 2
    return counts


def _within(data: bytes, elements: Iterable[_Element], depth: int) -> list[_Element]:
    """
    Get the elements that are nested in others at a given depth.
    """
    found = list(elements)
    for _ in range(depth):
        found = [inner for element in found for inner in _elements(data, element)]
    return found


def _elements(data: bytes, parent: _Element) -> Iterator[_Element]:
    """
    Get the elements within another one.

    @raise ValueError: if they are not DER.
    """
    _, position, end = parent
    while position < end:
        element = _element(data, position, end)
        yield element
        position = element[2]


def _element(data: bytes, position: int, end: int) -> _Element:
    """
    Read the head of an element.

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


def _countElements(data: bytes, limit: int) -> int:
    """
    Count all elements of a certificate, those in its extensions included.

    @param limit: counting stops above this number.
    @raise ValueError: if the certificate is not DER. The content of an extension
        may be anything.
    """
    count = 0
    spans = [(0, len(data), False)]
    while spans:
        position, end, anything = spans.pop()
        while position < end and count <= limit:
            # Most elements are short, and a call for each would take most of the time.
            tag, stop = data[position], 0
            if position + 1 < end and tag & 0x1F != 0x1F and data[position + 1] < 0x80:
                start = position + 2
                stop = start + data[position + 1]
            if not position < stop <= end:
                try:
                    tag, start, stop = _element(data, position, end)
                except ValueError:
                    if anything:
                        break
                    raise
            count += 1
            if tag & _CONSTRUCTED:
                spans.append((start, stop, anything))
            elif tag == _OCTET_STRING and not anything:
                spans.append((start, stop, True))
            position = stop
        if count > limit:
            break
    return count
