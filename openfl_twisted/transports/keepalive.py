"""
TCP keepalive: lets the kernel detect vanished peers. While a connection is not read, the reactor
does not report them.
"""

import contextlib
import select
import socket
import sys

from twisted.internet import tcp
from twisted.internet.interfaces import ITCPTransport, ITransport
from twisted.internet.main import CONNECTION_LOST
from twisted.python.failure import Failure

from openfl_twisted.transports.lowest import lowestTransport

_TCP_FAMILIES = (socket.AF_INET, socket.AF_INET6)

# The time until the kernel detects that an idle peer has vanished (60 + 4 * 15 = 120 seconds), and
# the maximum time until the peer acknowledges sent data (milliseconds).
_KEEP_ALIVE = (
    ("TCP_KEEPIDLE", 60),
    # The same option on macOS. Other systems do not have this name.
    ("TCP_KEEPALIVE", 60),
    ("TCP_KEEPINTVL", 15),
    ("TCP_KEEPCNT", 4),
    ("TCP_USER_TIMEOUT", 120_000),
)


def canHangUp(transport: ITransport) -> bool:
    """
    Return whether L{loseIfHungUp} can check a transport.
    """
    lowest = lowestTransport(transport)
    # The sockets of an in-memory network have no descriptor that the kernel knows.
    return (
        sys.platform == "linux"
        and isinstance(lowest, tcp.Connection)
        and isinstance(getattr(lowest, "socket", None), socket.socket)
    )


def loseIfHungUp(transport: ITransport) -> None:
    """
    Report that a connection is lost if its peer has reset it or has vanished. The reactor
    reports this only while it waits until the socket is readable or writable. Received data
    that was not read is dropped. After the EOF of the peer, the connection is not lost.

    Linux only; on other systems, this function does nothing.

    @param transport: any transport; transports that do not use TCP are ignored.
    """
    lowest = lowestTransport(transport)
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
    handle = getattr(lowestTransport(transport), "getHandle", lambda: None)()
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
