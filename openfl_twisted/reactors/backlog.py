"""
The listen backlog: connections that the kernel holds until they are accepted.
"""

import socket
from typing import TypeVar

from twisted.internet import tcp
from twisted.internet.interfaces import IListeningPort

_P = TypeVar("_P", bound=IListeningPort)

# The default of Twisted. If the backlog is different, the user has set it.
_DEFAULT = 50


def deepenBacklog(port: _P) -> _P:
    """
    Increase the backlog of a listening TCP port from Twisted's default of 50 to the maximum of
    the system (C{SOMAXCONN}). Any other backlog stays unchanged. When many clients reconnect
    at the same time, the kernel drops connections above the backlog, and their clients retry
    for a minute or longer.

    @param port: the port.
    @return: the port.
    """
    if isinstance(port, tcp.Port) and port.backlog == _DEFAULT:
        port.socket.listen(socket.SOMAXCONN)
    return port
