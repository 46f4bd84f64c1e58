"""
Protocol detection from the first bytes of a connection.

The result does not depend on chunk boundaries: the first byte that does not match a signature
excludes this signature.
"""

import enum
from collections.abc import Collection

from openfl_twisted.wire.httprequest import MAX_REQUEST_START, isPartialRequest, startsRequest
from openfl_twisted.wire.policy import request


class ClientType(enum.Enum):
    """
    The types of clients that a port can accept.

    @cvar POLICY: a client that requests the policy file.
    @cvar TLS: a client that starts a TLS handshake.
    @cvar WEBSOCKET: a client that starts a WebSocket handshake.
    @cvar PLAIN: any other client, whose bytes are delivered to the application.
    """

    POLICY = "policy"
    TLS = "tls"
    WEBSOCKET = "websocket"
    PLAIN = "plain"


ALL_TYPES = frozenset(ClientType)
"""
All types of clients.
"""


class Signature(enum.Enum):
    """
    The protocols that the first bytes of a connection can belong to.

    @cvar POLICY: a policy request.
    @cvar TLS: a TLS handshake: a C{ClientHello}.
    @cvar HTTP: an HTTP request: a WebSocket handshake or any other request.
    @cvar PROXY: a header of the PROXY protocol, version 1 or 2.
    @cvar NONE: none of these protocols: the bytes are delivered to the application.
    """

    POLICY = "policy"
    TLS = "tls"
    HTTP = "http"
    PROXY = "proxy"
    NONE = "none"


FOREIGN = frozenset((Signature.HTTP, Signature.TLS, Signature.PROXY))
"""
The protocols that no application protocol in this package implements.
"""

_PROXY_V1 = (b"PROXY TCP4 ", b"PROXY TCP6 ", b"PROXY UNKNOWN")
_PROXY_V2 = b"\r\n\r\n\0\r\nQUIT\n"

MOST_BYTES = max(request.MAX_REQUEST_LENGTH, MAX_REQUEST_START)
"""
The number of bytes after which L{recognize} always returns a protocol.
"""

# The beginning of a TLS record: content type, version, length, and the type of the message in the
# record.
_HANDSHAKE, _MAJOR, _CLIENT_HELLO = 0x16, 3, 1
_MINORS = range(5)
# The ClientHello can be split into several records, and the first record can have one byte.
_LENGTHS = range(1, 16385)


def recognize(data: bytes, among: Collection[Signature] = frozenset(Signature)) -> Signature | None:
    """
    Recognize the protocol of a connection.

    @param data: all bytes received so far.
    @param among: the signatures to look for.
    @return: the protocol; C{None} while more bytes are needed. Further bytes never
        change the result.
    """
    undecided = False
    for signature, find in _FIND.items():
        if signature in among:
            found = find(data)
            if found:
                return signature
            undecided = undecided or found is None
    return None if undecided else Signature.NONE


def isPartial(data: bytes) -> bool:
    """
    Check whether bytes that are not recognized yet must be part of an HTTP request, and not a
    short message that begins like an HTTP request.

    @param data: bytes for which L{recognize} returns C{None}.
    @return: whether the bytes contain a method and the beginning of a request target.
    """
    return startsRequest(data) is None and isPartialRequest(data)


def _isTLS(data: bytes) -> bool | None:
    """
    Check whether a connection begins with a C{ClientHello}.

    @return: whether the bytes are a C{ClientHello}; C{None} while more bytes are needed.
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


def _isProxyHeader(data: bytes) -> bool | None:
    """
    Check whether a connection begins with a header of the PROXY protocol; C{None} while more
    bytes are needed.
    """
    for signature in (*_PROXY_V1, _PROXY_V2):
        if data.startswith(signature):
            return True
        if signature.startswith(data):
            return None
    return False


_FIND = {
    Signature.POLICY: request.startsRequest,
    Signature.TLS: _isTLS,
    Signature.HTTP: startsRequest,
    Signature.PROXY: _isProxyHeader,
}
