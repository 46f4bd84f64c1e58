"""
The policy request: what a player sends to get the policy file.
"""

import re

REQUEST = b"<policy-file-request/>\0"
"""
What a player sends.
"""

MAX_REQUEST_LENGTH = 64
"""
The most bytes that a request can have if nobody says otherwise: white space is
allowed before it and before its slash.
"""

_request = re.compile(rb"\s*<policy-file-request\s*/>\0")
_beforeSlash = b"<policy-file-request"


def requestLength(data: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> int:
    """
    Count the bytes of the policy request with which C{data} begins.

    @param maxLength: the most bytes that a request can have.
    @return: the length with its zero byte; 0 if C{data} does not begin with a
        whole request.
    """
    found = _request.match(data, 0, maxLength)
    return found.end() if found else 0


def isRequest(message: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> bool:
    """
    Say whether a message, as an C{XMLSocket} sees it, is a policy request.

    @param message: the message without its zero byte.
    @param maxLength: the most bytes that a request can have, its zero byte
        among them.
    """
    request = message + b"\0"
    return requestLength(request, maxLength) == len(request)


def mayBecomeRequest(data: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> bool:
    """
    Say whether C{data} is a beginning of a policy request whose rest has not
    come. One that lacks only its zero byte is such a beginning.

    The first byte that does not fit decides; so does length.

    @param maxLength: the most bytes that a request can have.
    """
    if len(data) >= maxLength:
        return False
    begun = data.lstrip()
    if len(begun) <= len(_beforeSlash):
        return _beforeSlash.startswith(begun)
    if not begun.startswith(_beforeSlash):
        return False
    return begun[len(_beforeSlash) :].lstrip() in (b"", b"/", b"/>")
