"""
Limit for the number of connections from one host.
"""

from ipaddress import IPv6Address as Number
from ipaddress import IPv6Network

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

PREFIX = 64
"""
Length of an IPv6 network prefix (bits). A host can use any address in its network (RFC 4291,
2.5.1; RFC 8981).
"""


def hostOf(address: IAddress | None) -> str | None:
    """
    Return the host for which a connection is counted: an IPv4 address, or an IPv6
    network of L{PREFIX} bits, such as C{2001:db8::/64}.

    @param address: the address of the client. An IPv4-mapped IPv6 address
        (C{::ffff:192.0.2.1}) is counted as the IPv4 address.
    @return: the host; C{None} for any other type of address.
    """
    if isinstance(address, IPv4Address):
        return address.host
    if not isinstance(address, IPv6Address):
        return None
    found = Number(address.host)
    # A socket that accepts both IPv4 and IPv6 reports IPv4 addresses as IPv4-mapped addresses.
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), PREFIX), strict=False))


class HostLimit:
    """
    Limits the number of connections from each host, see L{hostOf}. Connections from clients
    without an IP address are not limited.

    @ivar limit: maximum number of connections from one host; 0 for no limit.
    """

    def __init__(self, limit: int) -> None:
        """
        @param limit: maximum number of connections from one host; 0 for no limit.
        """
        self.limit = limit
        self._open: dict[str, int] = {}
        self._refusing: set[str] = set()

    def isFull(self, host: str | None) -> bool:
        """
        Check whether a host has reached the limit.

        @param host: the host, from L{hostOf}.
        @return: whether the host has reached the limit; C{False} for C{None}.
        """
        return host is not None and 0 < self.limit <= self._open.get(host, 0)

    def refused(self, host: str | None) -> bool:
        """
        Record a refused connection.

        @param host: the host; C{None} is ignored.
        @return: whether this is the first refusal since a connection from this host was
            closed.
        """
        if host is None or host in self._refusing:
            return False
        self._refusing.add(host)
        return True

    def opened(self, host: str | None) -> None:
        """
        Count an opened connection.

        @param host: the host; C{None} is ignored.
        """
        if host is not None:
            self._open[host] = self._open.get(host, 0) + 1

    def closed(self, host: str | None) -> None:
        """
        Count a closed connection.

        @param host: the host; C{None} is ignored.
        """
        if host is None:
            return
        self._refusing.discard(host)
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]
