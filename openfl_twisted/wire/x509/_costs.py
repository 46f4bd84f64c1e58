"""
Cost limits for certificate verification.

A server may send 100 KB of certificates before the client knows whether to trust the server.
L{findExcess} measures these certificates in a bounded number of steps, before they are
verified.
"""

from collections.abc import Iterable, Sequence

from openfl_twisted.wire.x509._der import Element, element, elements, fieldsOf, within

_MAX_ELEMENTS = 6144
"""
Maximum number of DER elements in all certificates that a server sends.
"""

MAX_COMPARISONS = 10_000
"""
Maximum product of the number of names and the number of name constraints.
"""

_MAX_RSA_BITS = 8192
"""
Maximum length of an RSA modulus.
"""

_MAX_EXPONENT_BITS = 33
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
Maximum number of invalid signatures that the search for a path finds.
"""

_EXTENSIONS, _OCTET_STRING, _CONSTRUCTED = 0xA3, 0x04, 0x20
_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d11")
_NAME_CONSTRAINTS = bytes.fromhex("551d1e")
# Nesting depth of the names in the value of each extension.
_DEPTHS = {_SUBJECT_ALTERNATIVE_NAME: 2, _NAME_CONSTRAINTS: 3}
_RSA_KEYS = {bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a864886f70d01010a")}
_DSA_KEY = bytes.fromhex("2a8648ce380401")


def findExcess(sent: Iterable[bytes], constraints: int = 0) -> str:
    """
    Check whether the verification of certificates would exceed a limit.

    @param sent: the certificates that a server sent (DER).
    @param constraints: the number of name constraints in the client's trust anchors and
        configured intermediate certificates.
    @return: a description of the exceeded limit; empty if no limit is exceeded.
    """
    left, names = _MAX_ELEMENTS, 0
    for der in dict.fromkeys(sent):
        try:
            left -= _countElements(der, left)
            if left < 0:
                return f"more than {_MAX_ELEMENTS} DER elements"
            fields = fieldsOf(der)
            problem = _keyProblem(der, fields[5])
            if problem:
                return problem
            found = _countIn(der, fields)
            names += 1 + len(within(der, [fields[4]], 2)) + found[_SUBJECT_ALTERNATIVE_NAME]
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
    Count the names that are compared with name constraints: the subject, each attribute of the
    subject, and each subject alternative name.

    @param certificate: the certificate (DER).
    @return: the number of names.
    @raise ValueError: if the certificate is not DER.
    """
    fields = fieldsOf(certificate)
    attributes = len(within(certificate, [fields[4]], 2))
    return 1 + attributes + _countIn(certificate, fields)[_SUBJECT_ALTERNATIVE_NAME]


def countConstraints(certificate: bytes) -> int:
    """
    Count the name constraints of a certificate.

    @param certificate: the certificate (DER).
    @return: the number of permitted and excluded subtrees.
    @raise ValueError: if the certificate is not DER.
    """
    return _countIn(certificate, fieldsOf(certificate))[_NAME_CONSTRAINTS]


def namesOf(certificate: bytes) -> tuple[bytes, bytes, bytes]:
    """
    Return the issuer, the subject and the public key of a certificate as bytes. Comparing
    these bytes is much cheaper than parsing them.

    @param certificate: the certificate (DER).
    @return: the DER content of each, without the tag and length.
    @raise ValueError: if the certificate is not DER.
    """
    fields = fieldsOf(certificate)
    issuer, subject, key = (certificate[fields[n][1] : fields[n][2]] for n in (2, 4, 5))
    return issuer, subject, key


def _keyProblem(certificate: bytes, key: Element) -> str:
    """
    Check whether verifying a signature with a key would be expensive.

    @param key: the field of the certificate that contains the key.
    @return: the reason; empty if the verification is not expensive.
    """
    parts = list(elements(certificate, key))
    if len(parts) < 2:
        raise ValueError("the public key is not valid DER")
    identifier = next(elements(certificate, parts[0]), (0, 0, 0))
    kind = certificate[identifier[1] : identifier[2]]
    if kind == _DSA_KEY:
        return "a DSA key"
    if kind not in _RSA_KEYS:
        return ""
    # The first byte of a BIT STRING is the number of unused bits in the last byte.
    _, start, end = parts[1]
    numbers = within(certificate, [(0, start + 1, end)], 2)
    if len(numbers) != 2:
        raise ValueError("the public key is not valid DER")
    modulus, exponent = (
        int.from_bytes(certificate[begin:stop]).bit_length() for _, begin, stop in numbers
    )
    if modulus > _MAX_RSA_BITS:
        return f"an RSA key of more than {_MAX_RSA_BITS} bits"
    if exponent > _MAX_EXPONENT_BITS:
        return f"an RSA key with an exponent of more than {_MAX_EXPONENT_BITS} bits"
    return ""


def _countIn(certificate: bytes, fields: Sequence[Element]) -> dict[bytes, int]:
    """
    Count the subject alternative names and the name constraints of a certificate.

    @return: the numbers, by extension. For an extension whose content is not DER, the number
        is the largest possible number.
    """
    counts = dict.fromkeys(_DEPTHS, 0)
    optional = [field for field in fields[6:] if field[0] == _EXTENSIONS]
    for extension in within(certificate, optional, 2):
        parts = list(elements(certificate, extension))
        kind = certificate[parts[0][1] : parts[0][2]] if parts else b""
        if kind in counts:
            try:
                counts[kind] += len(within(certificate, [parts[-1]], _DEPTHS[kind]))
            except ValueError:
                _, start, end = parts[-1]
                counts[kind] += (end - start) // 2
    return counts


def _countElements(data: bytes, limit: int) -> int:
    """
    Count all elements of a certificate, including the elements in its extensions.

    @param limit: counting stops above this number.
    @raise ValueError: if the certificate is not DER. The content of an extension need not be
        DER.
    """
    count = 0
    spans = [(0, len(data), False)]
    while spans:
        position, end, anything = spans.pop()
        while position < end and count <= limit:
            # Read short elements without a function call: most elements are short, and calls would
            # take most of the time.
            tag, stop = data[position], 0
            if position + 1 < end and tag & 0x1F != 0x1F and data[position + 1] < 0x80:
                start = position + 2
                stop = start + data[position + 1]
            if not position < stop <= end:
                try:
                    tag, start, stop = element(data, position, end)
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
