"""
C{flash.net.IPVersion}: which IP an address belongs to.
"""


class IPVersion:
    """
    Versions of IP.
    """

    IPV4 = "IPv4"
    IPV6 = "IPv6"
