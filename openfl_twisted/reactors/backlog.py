"""
The listen backlog: connections that the kernel holds until they are accepted.
"""

import socket
from typing import TypeVar

from twisted.internet import tcp
from twisted.internet.interfaces import IListeningPort

P = TypeVar("P", bound=IListeningPort)

# Twisted's default. Any other number was set by the user.
_DEFAULT = 50


def deepenBacklog(port: P) -> P:
    """
    Increase the backlog of a listening TCP port to the maximum of the system
    (C{SOMAXCONN}), if it is Twisted's default of 50. When many clients reconnect at the
    same time, the kernel drops the connections above the backlog, and they retry for a
    minute or longer.

    @param port: the port.
    @return: the port.
    """
    if isinstance(port, tcp.Port) and port.backlog == _DEFAULT:
        port.socket.listen(socket.SOMAXCONN)
    return port
