"""
C{flash.net.IPVersion}: the IP version of an address.
"""


class IPVersion:
    """
    IP versions.

    @cvar IPV4: 32-bit addresses, such as C{192.0.2.1}.
    @cvar IPV6: 128-bit addresses, such as C{2001:db8::1}.
    """

    IPV4 = "IPv4"
    IPV6 = "IPv6"
