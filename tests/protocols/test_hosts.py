"""
Tests for L{openfl_twisted.protocols.hosts}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols.hosts import HostLimit, hostOf


class HostTests(SynchronousTestCase):
    """
    Connections are counted by IP address.
    """

    def test_hostOf(self) -> None:
        """
        An address has a host if it is one of IP.
        """
        addresses = [
            IPv4Address("TCP", "10.0.0.1", 80), IPv6Address("TCP", "::1", 80),
            UNIXAddress(b"/socket"), None,
        ]  # fmt: skip
        self.assertEqual(list(map(hostOf, addresses)), ["10.0.0.1", "::1", None, None])

    @given(
        st.lists(st.tuples(st.sampled_from(["10.0.0.1", "::1", None]), st.booleans())),
        st.integers(0, 3),
    )
    def test_limit(self, events: list[tuple[str | None, bool]], limit: int) -> None:
        """
        A host is full if it has as many open as the limit says; without an
        address, or without a limit, none is.
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
        Nothing is kept of hosts that have gone.
        """
        hosts = HostLimit(1)
        hosts.opened("::1")
        hosts.refused("::1")
        hosts.closed("::1")
        self.assertEqual((hosts._open, hosts._refusing), ({}, set()))
