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
# A quoted string that is not ended reaches to the end, where nothing is right.
_piece = re.compile(r'[^",]+|,|"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_pair = re.compile(
    r"""[ \t]*+(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*))?[ \t]*+(?:;|\Z)"""
)
_escaped = re.compile(r"\\(.)")


class ForwardedAddress(NamedTuple):
    """
    Who is behind a proxy.

    @ivar address: the address.
    @ivar port: the port; 0 if the proxy does not say it.
    """

    address: IPAddress
    port: int


def _parseAddress(text: str) -> IPAddress | None:
    """
    Read an address. One of IPv4 that is written as one of IPv6 is one of IPv4.

    @param text: the address alone, without brackets and port.
    @return: C{None} if it is not one.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def clientOf(
    headers: Mapping[str, str], peer: str, trustedProxies: Sequence[IPNetwork]
) -> ForwardedAddress | None:
    """
    Find out who is behind a proxy.

    Each proxy adds whom it serves at the end of the list. So the last one who is
    not a trusted proxy is the client; what stands before, anybody can have
    written. So can the whole of one list, if there are both: a proxy adds to one
    and passes on the other. Then neither is believed.

    @param headers: the header fields of the request, names in small letters.
    @param peer: the address from which the connection comes.
    @param trustedProxies: whose word is taken.
    @return: the client; C{None} if the connection does not come from a trusted
        proxy, or that does not say it properly.
    """
    address = _parseAddress(peer)
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
    proxies, elements = headers.get("x-forwarded-for"), headers.get("forwarded")
    if proxies is not None and elements is None:
        return proxies.split(",")
    if elements is not None and proxies is None:
        return [_forOf(element) for element in _elementsOf(elements)]
    return []


def _elementsOf(text: str) -> list[str]:
    """
    Cut C{Forwarded} at its commas; those within quoted strings are none.
    """
    elements: list[list[str]] = [[]]
    for piece in _piece.findall(text):
        if piece == ",":
            elements.append([])
        else:
            elements[-1].append(piece)
    return ["".join(pieces) for pieces in elements]


def _forOf(element: str) -> str:
    """
    Get what an element of C{Forwarded} has for C{for}.

    @return: nothing if it is malformed, or has none, or more than one.
    """
    found: list[str] = []
    end = 0
    while end < len(element):
        pair = _pair.match(element, end)
        if pair is None:
            return ""
        if pair[1] is not None and pair[1].lower() == "for":
            found.append(pair[2])
        end = pair.end()
    if len(found) != 1:
        return ""
    [value] = found
    return _escaped.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _parse(text: str) -> ForwardedAddress | None:
    node = _node.fullmatch(text.strip())
    if node is None:
        return None
    address = _parseAddress(node[1] or node[2] or node[4])
    port = int(node[3] or 0)
    return None if address is None or port > 65535 else ForwardedAddress(address, port)
