"""
Who is behind a proxy, as the proxy says: C{X-Forwarded-For}, and C{Forwarded}
of RFC 7239.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
"""
An IP address.
"""

IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
"""
A range of IP addresses.
"""

_node = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)")
_for = re.compile(r'(?:^|;)\s*for\s*=\s*"?([^";]*)"?\s*(?=;|$)', re.IGNORECASE)


class Client(NamedTuple):
    """
    Who is behind a proxy.

    @ivar address: the address.
    @ivar port: the port; 0 if the proxy does not say it.
    """

    address: IPAddress
    port: int


def parseAddress(text: str) -> IPAddress | None:
    """
    Read an address. One of IPv4 that is written as one of IPv6 is one of IPv4.

    @return: C{None} if it is not one.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def clientOf(
    headers: Mapping[str, str], peer: str, trustedProxies: Sequence[IPNetwork]
) -> Client | None:
    """
    Find out who is behind a proxy.

    Each proxy adds whom it serves at the end of the list. So the last one who is
    not a trusted proxy is the client; what stands before, anybody can have
    written.

    @param headers: the header fields of the request, names in small letters.
    @param peer: the address from which the connection comes.
    @param trustedProxies: whose word is taken.
    @return: the client; C{None} if the connection does not come from a trusted
        proxy, or that does not say it properly.
    """
    address = parseAddress(peer)
    if address is None or not _within(address, trustedProxies):
        return None
    client = None
    for text in reversed(_listed(headers)):
        client = _parse(text)
        if client is None or not _within(client.address, trustedProxies):
            break
    return client


def _within(address: IPAddress, networks: Sequence[IPNetwork]) -> bool:
    return any(address in network for network in networks)


def _listed(headers: Mapping[str, str]) -> list[str]:
    """
    Get the list, as it is written.
    """
    if "x-forwarded-for" in headers:
        return headers["x-forwarded-for"].split(",")
    if "forwarded" not in headers:
        return []
    found = (_for.search(element) for element in headers["forwarded"].split(","))
    return [element[1] if element else "" for element in found]


def _parse(text: str) -> Client | None:
    """
    Read one of the list: an address, perhaps with a port.
    """
    node = _node.fullmatch(text.strip())
    if node is None:
        return None
    address = parseAddress(node[1] or node[2] or node[4])
    port = int(node[3] or 0)
    return None if address is None or port > 65535 else Client(address, port)
