"""
Text forms of network addresses, and their ports.
"""

import errno

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress


def describe(address: object) -> str:
    """
    Return the text of an address for a log line.

    @param address: an C{IAddress}, such as the result of C{getPeer}.
    @return: C{127.0.0.1:8080}, C{[::1]:8080}, the path of a UNIX socket, or the C{str}
        of any other address.
    """
    match address:
        case IPv4Address(host=host, port=port):
            return f"{host}:{port}"
        case IPv6Address(host=host, port=port):
            return f"[{host}]:{port}"
        case UNIXAddress(name=name):
            return f"unix:{name.decode(errors='replace')}" if name else "unix socket"
        case _:
            return str(address)


# The remedies for ports that cannot be opened, by the number of the system's error.
_REMEDIES = {
    errno.EACCES: "; ports below 1024 require root privileges: use a higher port",
    errno.EADDRINUSE: "; another program or socket uses the port: stop it, or use another port",
    errno.EADDRNOTAVAIL: "; the address must be one of this machine",
}


def explainBind(problem: BaseException) -> str:
    """
    Explain why a port cannot be opened.

    @param problem: the C{OSError}, or another exception.
    @return: the reason and a remedy.
    """
    if not isinstance(problem, OSError) or problem.strerror is None:
        return str(problem)
    return f"{problem.strerror}{_REMEDIES.get(problem.errno or 0, '')}"


def portOf(address: IAddress) -> int | None:
    """
    Return the TCP port of an address.

    @param address: an C{IAddress}, such as the result of C{getHost}.
    @return: the port; C{None} for an address without a port.
    """
    if isinstance(address, IPv4Address | IPv6Address):
        return int(address.port)
    return None
