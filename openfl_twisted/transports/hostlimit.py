"""
Limits for the connections from one host: their number, and their rate.
"""

from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from ipaddress import IPv6Address as Number

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IReactorTime

from openfl_twisted.wire.tokenbucket import TokenBuckets

PREFIX = 64
"""
Length of an IPv6 network prefix (bits). A host can use any address in its network (RFC 4291,
2.5.1; RFC 8981).
"""

MAX_HOSTS = 10_000
"""
Maximum number of hosts whose connection rate is stored. Beyond this number, the host with the
oldest connection is dropped.
"""

QUIET = 60.0
"""
Time without refused connections after which a refusal of a host is logged again (seconds).
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
    return _hostOf(Number(address.host))


def _hostOf(number: Number) -> str:
    # A socket that accepts both IPv4 and IPv6 reports IPv4 addresses as IPv4-mapped addresses.
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return str(IPv6Network((int(number), PREFIX), strict=False))


def parseHost(text: str) -> str:
    """
    Parse the text of a host.

    @param text: an IPv4 address, an IPv6 address, or an IPv6 network of L{PREFIX} bits.
    @return: the host, in the form of L{hostOf}.
    @raise ValueError: if the text is something else.
    """
    found: IPv4Network | IPv6Network | None = None
    with suppress(ValueError):
        found = ip_network(text, strict=False)
    if isinstance(found, IPv6Network):
        if found.prefixlen in (PREFIX, found.max_prefixlen):
            return _hostOf(found.network_address)
    elif found is not None and found.prefixlen == found.max_prefixlen:
        return str(found.network_address)
    raise ValueError(
        f"{text!r:.80} must be an IPv4 address, an IPv6 address or an IPv6 /{PREFIX} network, such"
        " as 192.0.2.1 or 2001:db8::/64"
    )


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


class HostRate:
    """
    Limits the number of connections per second from each host, see L{hostOf}. Bursts of five times
    the rate are allowed. Connections from clients without an IP address are not limited.

    @ivar rate: maximum number of connections per second from one host.
    """

    def __init__(self, rate: float, clock: IReactorTime) -> None:
        """
        @param rate: maximum number of connections per second from one host.
        @param clock: the clock.
        """
        self.rate = rate
        self._clock = clock
        # The time of the last refusal.
        self._refused: dict[str, float] = {}
        self._buckets: TokenBuckets[str] = TokenBuckets(
            rate, MAX_HOSTS, dropped=lambda host: self._refused.pop(host, None)
        )

    def take(self, host: str | None) -> bool:
        """
        Count a connection.

        @param host: the host, from L{hostOf}.
        @return: whether the limit permits the connection; C{True} for C{None}.
        """
        return host is None or self._buckets.take(host, self._clock.seconds())

    def refused(self, host: str | None) -> bool:
        """
        Record a refused connection.

        @param host: the host, after L{take} has returned C{False}.
        @return: whether this is the first refusal of a burst: the first one for L{QUIET} seconds.
        """
        now = self._clock.seconds()
        last = self._refused.get(host or "")
        self._refused[host or ""] = now
        return last is None or now - last >= QUIET
