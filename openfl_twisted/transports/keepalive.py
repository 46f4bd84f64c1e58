"""
TCP keepalive: lets the kernel detect vanished peers.
"""

import contextlib
import socket
from typing import Any

from twisted.internet.interfaces import ITCPTransport, ITransport

_TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)

# The time until the kernel detects that an idle peer has vanished (60 + 4 * 15 = 120 seconds), and
# the maximum time until the peer acknowledges sent data (milliseconds).
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
    # Find the underlying TCP transport of TLS and other wrappers.
    while ITCPTransport.providedBy(getattr(lowest, "transport", None)):
        lowest = lowest.transport
    handle = getattr(lowest, "getHandle", lambda: None)()
    # Check the address, because Twisted's UNIX sockets also provide ITCPTransport.
    if not isinstance(handle, socket.socket) or handle.family not in _TCP_FAMILIES:
        return
    # On some systems, setting the option fails for a lost connection.
    with contextlib.suppress(OSError):
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEP_ALIVE:
            # Some systems do not support all options.
            if hasattr(socket, option):
                handle.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
