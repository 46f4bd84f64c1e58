"""
Opening handshake of a WebSocket: the checks of RFC 6455, and the response.
"""

from collections.abc import Sequence
from typing import cast

from websockets.datastructures import Headers
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from openfl_twisted.wire.httprequest import UPGRADE, HTTPAnswer, RequestHead

# The header fields that are passed to the websockets library. An empty list of subprotocols, which
# OpenFL's draft WebSocket client sends, is not passed, because the library refuses it.
_KEY_FIELDS = ("sec-websocket-key", "sec-websocket-version", "sec-websocket-extensions")
_SUBPROTOCOLS = "sec-websocket-protocol"

# Without context takeover, a message for many clients is compressed once, and the server keeps no
# compressor for each client. The window of 4 KiB is the default of the websockets library.
_WINDOW_BITS = 12
_compression = ServerPerMessageDeflateFactory(
    server_no_context_takeover=True,
    server_max_window_bits=_WINDOW_BITS,
    client_max_window_bits=_WINDOW_BITS,
)


def checkUpgrade(head: RequestHead) -> None:
    """
    Check a WebSocket handshake. The key, subprotocols and extensions are not checked.

    @raise OtherRequest: if the request does not request a WebSocket; see
        L{RequestHead.answer}.
    @raise HTTPAnswer: if the handshake is malformed.
    """
    # An HTTP/1.0 request cannot request a WebSocket.
    isUpgrade = "websocket" in head.tokens("upgrade") and head.version == "1"
    if not isUpgrade or head.method != "GET":
        raise head.answer()
    if not head.path.startswith("/"):
        raise HTTPAnswer(400, "The request has no path.")
    if "host" not in head.headers:
        raise HTTPAnswer(400, "The request has no Host header.")
    if "upgrade" not in head.tokens("connection"):
        raise HTTPAnswer(400, "The request has no Connection: Upgrade header.")
    if "transfer-encoding" in head.headers or head.headers.get("content-length", "0") != "0":
        raise HTTPAnswer(400, "The request has a body.")
    if head.headers.get("sec-websocket-version") != "13":
        raise HTTPAnswer(
            426,
            "The WebSocket version must be 13.",
            (*UPGRADE, ("Sec-WebSocket-Version", "13")),
        )


def acceptUpgrade(
    head: RequestHead, *, compress: bool = False, subprotocols: Sequence[str] = ()
) -> tuple[PerMessageDeflate | None, bytes]:
    """
    Accept a WebSocket handshake.

    @param head: the head of the request, already checked by L{checkUpgrade}.
    @param compress: whether to compress messages if the client offers compression.
    @param subprotocols: the supported subprotocols, in order of preference.
    @return: C{permessage-deflate} if it was negotiated, otherwise C{None}; and the response.
    @raise HTTPAnswer: if the key, an extension or a subprotocol is malformed.
    """
    fields = [(name, head.headers[name]) for name in _KEY_FIELDS if name in head.headers]
    if head.headers.get(_SUBPROTOCOLS):
        fields.append((_SUBPROTOCOLS, head.headers[_SUBPROTOCOLS]))
    protocol = ServerProtocol(
        extensions=[_compression] if compress else None,
        subprotocols=[Subprotocol(name) for name in subprotocols],
        select_subprotocol=_selectSubprotocol,
    )
    response = protocol.accept(Request(head.path, Headers([*UPGRADE, *fields])))
    if response.status_code != 101:
        raise HTTPAnswer(400, "The key, a subprotocol or an extension is malformed.")
    del response.headers["Date"]
    # The only supported extension.
    extension = cast("PerMessageDeflate | None", next(iter(protocol.extensions), None))
    return extension, response.serialize()


def _selectSubprotocol(
    protocol: ServerProtocol, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """
    Select a subprotocol. Unlike in the C{websockets} library, a client that offers no
    supported subprotocol is accepted.
    """
    return next((name for name in protocol.available_subprotocols or () if name in offered), None)
