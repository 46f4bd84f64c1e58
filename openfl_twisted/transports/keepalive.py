"""
TCP keepalive: lets the kernel detect vanished peers. While a connection is not read, the reactor
does not report them.
"""

import contextlib
import select
import socket
import sys
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import ITCPTransport, ITransport
from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure

_TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)

# The time until the kernel detects that an idle peer has vanished (60 + 4 * 15 = 120 seconds), and
# the maximum time until the peer acknowledges sent data (milliseconds).
_KEEP_ALIVE = (
    ("TCP_KEEPIDLE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
    ("TCP_USER_TIMEOUT", 120_000),
)


def _lowest(transport: Any) -> Any:
    """
    Return the underlying TCP transport of TLS and other wrappers.
    """
    while ITCPTransport.providedBy(getattr(transport, "transport", None)):
        transport = transport.transport
    return transport


def canHangUp(transport: ITransport) -> bool:
    """
    Return whether L{loseIfHungUp} can check a transport.
    """
    return sys.platform == "linux" and isinstance(_lowest(transport), tcp.Connection)


def loseIfHungUp(transport: ITransport) -> None:
    """
    Report that a connection is lost if its peer has reset it or has vanished. The reactor
    reports this only while it waits until the socket is readable or writable. Received data
    that was not read is dropped. After the EOF of the peer, the connection is not lost.

    Linux only; on other systems, this function does nothing.

    @param transport: any transport; transports that do not use TCP are ignored.
    """
    lowest = _lowest(transport)
    if not (canHangUp(lowest) and lowest.connected):
        return
    poll = select.poll()
    # Without flags, poll() reports only errors and connections that are closed in both directions.
    poll.register(lowest.fileno(), 0)
    if poll.poll(0):
        lowest.connectionLost(Failure(CONNECTION_LOST))


def keepAlive(transport: ITransport) -> None:
    """
    Enable TCP keepalive: the kernel detects within two minutes that a peer has vanished
    or does not acknowledge data. The default of the kernel is two hours.

    @param transport: any transport; transports that do not use TCP are ignored.
    """
    if not ITCPTransport.providedBy(transport):
        return
    handle = getattr(_lowest(transport), "getHandle", lambda: None)()
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
