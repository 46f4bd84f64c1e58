"""
C{flash.net.IPVersion}: which IP an address belongs to.
"""


class IPVersion:
    """
    Versions of IP.

    @cvar IPV4: addresses of 32 bits, as C{192.0.2.1}.
    @cvar IPV6: addresses of 128 bits, as C{2001:db8::1}.
    """

    IPV4 = "IPv4"
    IPV6 = "IPv6"
