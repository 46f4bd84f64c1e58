"""
Tests for L{openfl_twisted.transports.hostlimit}.
"""

import contextlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.transports.hostlimit import (
    MAX_HOSTS,
    QUIET,
    HostLimit,
    HostRate,
    hostOf,
    parseHost,
)


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

    @given(st.ip_addresses())
    def test_parseHost(self, address: Any) -> None:
        """
        The text of an address, and of a host, is the host of the address.
        """
        kind = IPv4Address if address.version == 4 else IPv6Address
        host = hostOf(kind("TCP", str(address), 80))
        assert host is not None
        self.assertEqual((parseHost(str(address)), parseHost(host)), (host, host))

    @given(st.text())
    def test_anyText(self, text: str) -> None:
        """
        Any other text is refused.
        """
        with contextlib.suppress(ValueError):
            self.assertEqual(parseHost(parseHost(text)), parseHost(text))

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


class RateTests(SynchronousTestCase):
    """
    The connections per second of a host are limited.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.rates = HostRate(2, self.clock)

    def test_rate(self) -> None:
        """
        A burst of five times the rate is permitted, then the rate. Other hosts, and clients
        without an IP address, are not limited.
        """
        self.assertEqual([self.rates.take("10.0.0.1") for _ in range(11)], [True] * 10 + [False])
        self.assertTrue(self.rates.take("10.0.0.2"))
        self.assertTrue(all(self.rates.take(None) for _ in range(20)))
        self.clock.advance(1)
        self.assertEqual([self.rates.take("10.0.0.1") for _ in range(3)], [True, True, False])

    def test_slow(self) -> None:
        """
        A rate below 1 permits the first connection.
        """
        rates = HostRate(0.1, self.clock)
        self.assertEqual([rates.take("10.0.0.1"), rates.take("10.0.0.1")], [True, False])
        self.clock.advance(10)
        self.assertTrue(rates.take("10.0.0.1"))

    def test_refused(self) -> None:
        """
        A refusal is the first of a burst after some time without refusals.
        """
        self.assertEqual([self.rates.refused("10.0.0.1") for _ in range(2)], [True, False])
        self.assertTrue(self.rates.refused("10.0.0.2"))
        self.clock.advance(QUIET - 1)
        self.assertFalse(self.rates.refused("10.0.0.1"))
        self.clock.advance(QUIET)
        self.assertTrue(self.rates.refused("10.0.0.1"))

    def test_memory(self) -> None:
        """
        The number of stored hosts is limited; the host with the oldest connection is dropped.
        """
        for _ in range(11):
            self.rates.take("::/64")
        self.rates.refused("::/64")
        for number in range(MAX_HOSTS - 1):
            self.rates.take(str(number))
        self.assertFalse(self.rates.take("::/64"))
        self.rates.take("one more")
        self.assertEqual((len(self.rates._buckets), "0" in self.rates._buckets), (MAX_HOSTS, False))
        for number in range(MAX_HOSTS):
            self.rates.take(str(number))
        self.assertEqual((len(self.rates._buckets), self.rates._refused), (MAX_HOSTS, {}))
