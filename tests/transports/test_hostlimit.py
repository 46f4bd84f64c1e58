"""
Tests for L{openfl_twisted.transports.hostlimit}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.transports.hostlimit import HostLimit, hostOf


class HostTests(SynchronousTestCase):
    """
    Connections are counted by IP address, or by network.
    """

    def test_hostOf(self) -> None:
        """
        An IPv4 address is counted itself, also as a mapped address; an IPv6 address by
        its network; other addresses are not counted.
        """
        for address, host in [
            (IPv4Address("TCP", "10.0.0.1", 80), "10.0.0.1"),
            (IPv6Address("TCP", "::ffff:10.0.0.1", 80), "10.0.0.1"),
            (IPv6Address("TCP", "2001:db8:1:2::1", 80), "2001:db8:1:2::/64"),
            (IPv6Address("TCP", "2001:db8:1:2:ffff::", 80), "2001:db8:1:2::/64"),
            (IPv6Address("TCP", "2001:db8:1:3::1", 80), "2001:db8:1:3::/64"),
            (IPv6Address("TCP", "::1", 80), "::/64"),
            (IPv6Address("TCP", "fe80::1%eth0", 80, scopeID="eth0"), "fe80::/64"),
            (UNIXAddress(b"/socket"), None),
            (None, None),
        ]:
            self.assertEqual(hostOf(address), host)

    @given(
        st.lists(st.tuples(st.sampled_from(["10.0.0.1", "::1", None]), st.booleans())),
        st.integers(0, 3),
    )
    def test_limit(self, events: list[tuple[str | None, bool]], limit: int) -> None:
        """
        A host is full when its number of connections reaches the limit. Without an
        address or a limit, it never is.
        """
        hosts = HostLimit(limit)
        connected: list[str | None] = []
        for host, comes in events:
            if comes:
                hosts.opened(host)
                connected.append(host)
            elif host in connected:
                hosts.closed(host)
                connected.remove(host)
            full = limit > 0 and host is not None and connected.count(host) >= limit
            self.assertEqual(hosts.isFull(host), full)

    def test_forgets(self) -> None:
        """
        Hosts without connections use no memory.
        """
        hosts = HostLimit(1)
        hosts.opened("::1")
        hosts.refused("::1")
        hosts.closed("::1")
        self.assertEqual((hosts._open, hosts._refusing), ({}, set()))
