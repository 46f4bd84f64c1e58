"""
Addresses as people write them.
"""

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress


def describe(address: object) -> str:
    """
    Write an address for a log line.

    @param address: an C{IAddress}, as C{getPeer} gives it.
    @return: C{127.0.0.1:8080}, C{[::1]:8080}, the path of a UNIX socket, or
        what the address says of itself.
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


def portOf(address: IAddress) -> int | None:
    """
    Get the TCP port of an address.

    @param address: an C{IAddress}, as C{getHost} gives it.
    @return: the port; C{None} if an address of this kind has none.
    """
    if isinstance(address, IPv4Address | IPv6Address):
        return int(address.port)
    return None
