"""
Tests for L{openfl_twisted.addresses}.
"""

from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.addresses import describe, portOf


class AddressTests(SynchronousTestCase):
    """
    L{describe} and L{portOf}.
    """

    def test_describe(self) -> None:
        """
        Each address type has its own format.
        """
        for address, text in [
            (IPv4Address("TCP", "127.0.0.1", 80), "127.0.0.1:80"),
            (IPv6Address("TCP", "::1", 80), "[::1]:80"),
            (UNIXAddress(b"/run/a"), "unix:/run/a"),
            (UNIXAddress(None), "unix socket"),
            (None, "None"),
        ]:
            self.assertEqual(describe(address), text)

    def test_portOf(self) -> None:
        """
        Addresses without a port return C{None}.
        """
        self.assertEqual(portOf(IPv4Address("TCP", "127.0.0.1", 80)), 80)
        self.assertEqual(portOf(IPv6Address("TCP", "::1", 81)), 81)
        self.assertIsNone(portOf(UNIXAddress(b"/run/a")))
        self.assertIsNone(portOf(HostnameAddress(b"a.example", 80)))
