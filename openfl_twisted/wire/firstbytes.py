"""
Who is calling? The first bytes of a connection tell.

Nothing is guessed from one piece: bytes are collected while they are a proper
beginning of something known, and the first byte that does not fit decides.
"""

import enum
import re
from collections.abc import Collection

from openfl_twisted.wire import policy


class Caller(enum.Enum):
    """
    The kinds of callers.
    """

    POLICY = "policy"
    """
    A player that asks for the policy file.
    """

    TLS = "tls"
    """
    Somebody who begins to shake hands for TLS.
    """

    WEBSOCKET = "websocket"
    """
    Somebody who speaks HTTP: most likely a browser that wants a WebSocket.
    """

    PLAIN = "plain"
    """
    Anybody else: the bytes are for the application.
    """


EVERYBODY = frozenset(Caller)
"""
All kinds of callers.
"""

MAX_TARGET = 4096
"""
The longest path of an HTTP request that is recognized, in bytes.
"""

_METHOD = b"GET "
_VERSION = b"HTTP/1."
_TARGETS = (b"/", b"http://", b"https://")
_endOfTarget = re.compile(rb"[^!-~]")

MOST_BYTES = max(policy.MAX_REQUEST_LENGTH, len(_METHOD) + MAX_TARGET + len(b" ") + len(_VERSION))
"""
With so many bytes a caller is always recognized.
"""

# A record of TLS: its kind, a version, its length, and in it the kind of the message.
_HANDSHAKE, _MAJOR, _CLIENT_HELLO = 0x16, 3, 1
_MINORS = range(5)
_LENGTHS = range(4, 16385)


def recognize(data: bytes, among: Collection[Caller] = EVERYBODY) -> Caller | None:
    """
    Recognize a caller.

    @param data: all the bytes that have come, from the first one on.
    @param among: the kinds that are known here; nobody else is recognized, so
        everybody else is plain.
    @return: who it is, or C{None} while this cannot be said. Once it is said,
        further bytes do not change it.
    """
    undecided = False
    for caller, find in _FIND.items():
        if caller in among:
            found = find(data)
            if found:
                return caller
            undecided = undecided or found is None
    return None if undecided else Caller.PLAIN


def _isPolicyRequest(data: bytes) -> bool | None:
    """
    Check for a policy request.

    @return: whether it is one; C{None} while this cannot be said.
    """
    if policy.requestLength(data):
        return True
    return None if policy.mayBecomeRequest(data) else False


def _isTLS(data: bytes) -> bool | None:
    """
    Check for a C{ClientHello}; see L{_isPolicyRequest}.
    """
    checks = (
        data[0:1] in (b"", bytes([_HANDSHAKE])),
        data[1:2] in (b"", bytes([_MAJOR])),
        len(data) < 3 or data[2] in _MINORS,
        len(data) < 5 or int.from_bytes(data[3:5]) in _LENGTHS,
        data[5:6] in (b"", bytes([_CLIENT_HELLO])),
    )
    if not all(checks):
        return False
    return True if len(data) >= 6 else None


def _isHTTP(data: bytes) -> bool | None:
    """
    Check for a request line of HTTP; see L{_isPolicyRequest}. C{GET} alone can
    stand at the beginning of anything.
    """
    if not _startsLike(data, _METHOD):
        return False
    end = _endOfTarget.search(data, len(_METHOD))
    target = data[len(_METHOD) : end.start() if end else None]
    if len(target) > MAX_TARGET or not any(_startsLike(target, each) for each in _TARGETS):
        return False
    if end is None:
        return None
    # The target must have come to its beginning before it ends.
    rest = data[end.end() :]
    if end[0] != b" " or not target.startswith(_TARGETS) or not _startsLike(rest, _VERSION):
        return False
    return True if rest.startswith(_VERSION) else None


def _startsLike(data: bytes, signature: bytes) -> bool:
    """
    Check that data has a beginning, as far as it has come.
    """
    return data.startswith(signature[: len(data)])


_FIND = {
    Caller.POLICY: _isPolicyRequest,
    Caller.TLS: _isTLS,
    Caller.WEBSOCKET: _isHTTP,
}
