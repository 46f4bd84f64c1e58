"""
The HTTP request that opens a WebSocket: what RFC 6455 demands of it.
"""

from openfl_twisted.wire.httprequest import UPGRADE, HTTPAnswer, RequestHead


def isUpgrade(head: RequestHead) -> bool:
    """
    Check whether a request asks for a WebSocket. An HTTP/1.0 request cannot.

    @param head: the head of the request.
    @return: whether it does.
    """
    wanted = "websocket" in head.tokens("upgrade")
    return wanted and head.method == "GET" and head.version == "1"


def checkUpgrade(head: RequestHead) -> None:
    """
    Check a WebSocket handshake, except its key and its offers.

    @param head: the head of the request.
    @raise OtherRequest: if it does not ask for a WebSocket; see
        L{RequestHead.answer}.
    @raise HTTPAnswer: if it is malformed.
    """
    if not isUpgrade(head):
        raise head.answer()
    if not head.path.startswith("/"):
        raise HTTPAnswer(400, "The request has no path.")
    if "host" not in head.headers:
        raise HTTPAnswer(400, "The request has no Host.")
    if "upgrade" not in head.tokens("connection"):
        raise HTTPAnswer(400, "The request has no Connection: Upgrade.")
    if "transfer-encoding" in head.headers or head.headers.get("content-length", "0") != "0":
        raise HTTPAnswer(400, "The request has a body.")
    if head.headers.get("sec-websocket-version") != "13":
        raise HTTPAnswer(
            426,
            "The WebSocket version must be 13.",
            (*UPGRADE, ("Sec-WebSocket-Version", "13")),
        )
