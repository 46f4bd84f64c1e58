"""
The policy request: the message that Flash Player sends to request the policy file.
"""

import re

REQUEST = b"<policy-file-request/>\0"
"""
The policy request of Flash Player.
"""

MAX_REQUEST_LENGTH = 64
"""
Maximum length of a request including its terminator of one byte (bytes). White space is
allowed before the request and before its slash.
"""

_request = re.compile(rb"\s*<policy-file-request\s*/>")
_beforeSlash = b"<policy-file-request"


def isRequest(data: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> bool:
    """
    Check whether data is a policy request: a complete message, or all data received
    before EOF or a timeout.

    @param data: the data. Any bytes may follow the request: C{nc} and old players send
        LF or CR LF.
    @param maxLength: maximum length of a request including its terminator of one byte (bytes).
    @return: whether the data is a policy request.
    """
    return _request.match(data, 0, maxLength - 1) is not None


def startsRequest(data: bytes, maxLength: int = MAX_REQUEST_LENGTH) -> bool | None:
    """
    Check whether a stream begins with a policy request. The byte after the request terminates
    it, whether NUL, LF or any other byte.

    @param data: all bytes received so far.
    @param maxLength: maximum length of a request including its terminator of one byte (bytes).
    @return: whether the stream begins with a policy request; C{None} while more bytes are
        needed.
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
