"""
The policy request: what a player sends to get the policy file.
"""

import re

REQUEST = b"<policy-file-request/>\0"
"""
The policy request of Flash Player.
"""

MAX_REQUEST_LENGTH = 64
"""
Maximum length of a request, with the byte that ends it (bytes). White space is
allowed before the request and before its slash.
"""

_request = re.compile(rb"\s*<policy-file-request\s*/>")
_beforeSlash = b"<policy-file-request"


def isRequest(data: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> bool:
    """
    Check whether bytes that end here are a policy request: a message, or all that
    a peer has sent before EOF or a silence.

    @param data: the bytes. Anything can follow the request: C{nc} and old players
        send LF or CRLF.
    @param maxLength: maximum length of a request, with the byte that ends it
        (bytes).
    @return: whether they are one.
    """
    return _request.match(data, 0, maxLength - 1) is not None


def startsRequest(data: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> bool | None:
    """
    Check whether a stream begins with a policy request. The next byte ends
    the request: NUL, LF or any other.

    @param data: all bytes received so far.
    @param maxLength: maximum length of a request, with that byte (bytes).
    @return: whether it does; C{None} while further bytes can decide.
    """
    found = _request.match(data, 0, maxLength - 1)
    if found is not None:
        return True if len(data) > found.end() else None
    if len(data) >= maxLength:
        return False
    begun = data.lstrip()
    if len(begun) <= len(_beforeSlash):
        return None if _beforeSlash.startswith(begun) else False
    if not begun.startswith(_beforeSlash):
        return False
    return None if begun[len(_beforeSlash) :].lstrip() in (b"", b"/") else False
