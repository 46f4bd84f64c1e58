"""
How many connections come from one host.
"""

from ipaddress import IPv6Address as Number
from ipaddress import IPv6Network

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress

PREFIX = 64
"""
So many bits of an IPv6 address say which network it is in; with the others its
host can have any number of addresses (RFC 4291, 2.5.1; RFC 8981).
"""


def hostOf(address: IAddress | None) -> str | None:
    """
    Find what a connection is counted for: an IPv4 address, or an IPv6 network
    of L{PREFIX} bits, as C{2001:db8::/64}.

    @param address: where the connection comes from. An IPv4 address that is
        written as IPv6 (C{::ffff:192.0.2.1}) is one of IPv4.
    @return: that; C{None} if an address of this kind has neither.
    """
    if isinstance(address, IPv4Address):
        return address.host
    if not isinstance(address, IPv6Address):
        return None
    found = Number(address.host)
    # So a socket for both has it.
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(IPv6Network((int(found), PREFIX), strict=False))


class HostLimit:
    """
    A limit to the connections of each host, see L{hostOf}. Those without an IP
    address have none.

    @ivar limit: how many may be open at once; 0 means any number.
    """

    def __init__(self, limit: int) -> None:
        """
        @param limit: how many may be open at once; 0 means any number.
        """
        self.limit = limit
        self._open: dict[str, int] = {}
        self._refusing: set[str] = set()

    def isFull(self, host: str | None) -> bool:
        """
        Check whether a host has as many as it may have.

        @param host: the host, as L{hostOf} names it.
        @return: whether it has; always C{False} for C{None}.
        """
        return host is not None and 0 < self.limit <= self._open.get(host, 0)

    def refused(self, host: str | None) -> bool:
        """
        Hear that a connection was refused.

        @param host: the host; nothing is counted for C{None}.
        @return: whether it is the first since one of this host has ended.
        """
        if host is None or host in self._refusing:
            return False
        self._refusing.add(host)
        return True

    def opened(self, host: str | None) -> None:
        """
        Count a connection in.

        @param host: the host; nothing is counted for C{None}.
        """
        if host is not None:
            self._open[host] = self._open.get(host, 0) + 1

    def closed(self, host: str | None) -> None:
        """
        Count a connection out.

        @param host: the host, which has been counted in; or C{None}.
        """
        if host is None:
            return
        self._refusing.discard(host)
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]
