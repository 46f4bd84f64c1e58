"""
TCP keepalive, with which the kernel detects vanished peers.
"""

import contextlib
import socket
from typing import Any

from twisted.internet.interfaces import ITCPTransport, ITransport

_TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)

# Time until the kernel detects that an idle peer has vanished (60 + 4 * 15 = 120 seconds), and time
# for the peer to acknowledge sent data (milliseconds).
_KEEP_ALIVE = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
    ("TCP_USER_TIMEOUT", 120_000),
)


def keepAlive(transport: ITransport) -> None:
    """
    Enable TCP keepalive: the kernel detects within two minutes that a peer has vanished
    or does not acknowledge data. The default of the kernel is two hours.

    @param transport: any transport; transports that do not use TCP are ignored.
    """
    if not ITCPTransport.providedBy(transport):
        return
    lowest: Any = transport
    # Find the TCP transport inside TLS and other wrappers.
    while ITCPTransport.providedBy(getattr(lowest, "transport", None)):
        lowest = lowest.transport
    handle = getattr(lowest, "getHandle", lambda: None)()
    # Twisted's UNIX sockets also provide ITCPTransport.
    if not isinstance(handle, socket.socket) or handle.family not in _TCP_FAMILIES:
        return
    # On some systems this fails for a lost connection.
    with contextlib.suppress(OSError):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            # Not all systems support all options.
            if hasattr(socket, option):
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
