"""
Finding out that a peer is gone.
"""

import contextlib
import socket
from typing import Any

from twisted.internet.interfaces import ITCPTransport, ITransport

_TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)

# The times by which the kernel finds that a quiet peer is gone, in seconds: 60 + 4 * 15 = 120; and
# by which one must take what is sent to it, in milliseconds.
_KEEP_ALIVE = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
    ("TCP_USER_TIMEOUT", 120_000),
)


def keepAlive(transport: ITransport) -> None:
    """
    Have the kernel find out within two minutes that a peer is gone, or takes
    nothing of what is sent to it.

    A quiet client is nothing unusual, so no data can be asked of it; the
    kernel's own default would be two hours.

    @param transport: any transport; nothing is done if it is not a TCP one.
    """
    if not ITCPTransport.providedBy(transport):
        return
    lowest: Any = transport
    # Inside TLS, and behind other wrappers, the transport of TCP is further down.
    while ITCPTransport.providedBy(getattr(lowest, "transport", None)):
        lowest = lowest.transport
    handle = getattr(lowest, "getHandle", lambda: None)()
    # Twisted's UNIX sockets call themselves TCP transports too.
    if not isinstance(handle, socket.socket) or handle.family not in _TCP_FAMILIES:
        return
    # On some systems this fails for a connection that is lost already.
    with contextlib.suppress(OSError):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            # Each system has its own choice of these.
            if hasattr(socket, option):
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
