"""
Client addresses reported by proxies: C{X-Forwarded-For}, C{Forwarded} (RFC 7239), and headers with
one address, such as C{X-Real-IP}.
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
An IP network.
"""

_MAX_REPORTED = 100
"""
Maximum number of addresses that L{reportedBy} returns for a header field.
"""

# The header fields with a list of addresses.
_LISTS = ("x-forwarded-for", "forwarded")
_node = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]+)")
# A quoted string without a closing quotation mark extends to the end of the text, and is invalid.
_part = re.compile(r'[^",]+|,|"(?:[^"\\]|\\.)*(?:"|\\?\Z)', re.DOTALL)
_pair = re.compile(
    r"""[ \t]*+(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*))?[ \t]*+(?:;|\Z)"""
)
_anyAddress = re.compile(r"[0-9A-Fa-f]*[:.][0-9A-Fa-f:.]+")
_escaped = re.compile(r"\\(.)")


class ForwardedAddress(NamedTuple):
    """
    A client address reported by a proxy.

    @ivar address: the IP address.
    @ivar port: the port; 0 if the proxy does not report it.
    """

    address: IPAddress
    port: int


def _parseAddress(text: str) -> IPAddress | None:
    """
    Parse an IP address. An IPv4-mapped IPv6 address is converted to IPv4.

    @param text: the address, without brackets and port.
    @return: the address; C{None} if the text is not an IP address.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def clientOf(
    headers: Mapping[str, str],
    peer: str,
    trustedProxies: Sequence[IPNetwork],
    only: str | None = None,
) -> ForwardedAddress | None:
    """
    Find the address of a client that is connected through trusted proxies.

    Each proxy appends the address of its client to the list in C{X-Forwarded-For} or
    C{Forwarded}, so the last address that is not a trusted proxy is the client's address.
    Earlier addresses can be forged. A request with both of these header fields is not trusted:
    a proxy updates only one of the fields, and forwards the other field unchanged.

    @param headers: the header fields of the request, names in lower case.
    @param peer: the IP address of the connection's peer.
    @param only: the name of the only header field that is read, in any case. A field other than
        C{X-Forwarded-For} and C{Forwarded} must contain one address.
    @return: the client's address; C{None} if the peer is not a trusted proxy, if both
        header fields are present, or if the field is missing or malformed.
    """
    address = _parseAddress(peer)
    if address is None or not _within(address, trustedProxies):
        return None
    if only is not None:
        name = only.lower()
        headers = {name: headers[name]} if name in headers else {}
        if name not in _LISTS:
            return _parse(headers.get(name, ""))
    client = None
    for text in reversed(_listed(headers)):
        client = _parse(text)
        if client is None or not _within(client.address, trustedProxies):
            break
    return client


def reportedBy(
    headers: Mapping[str, str],
    peer: str,
    trustedProxies: Sequence[IPNetwork],
    only: str | None = None,
) -> list[ForwardedAddress]:
    """
    Return all addresses in the header fields of a trusted proxy. One of them is the client's
    address, even if L{clientOf} returns C{None} because the client has added a field, or a
    malformed part of a field.

    @param headers: see L{clientOf}, as C{peer}, C{trustedProxies} and C{only}.
    @return: the addresses, at most the last L{_MAX_REPORTED} of each field; none if the peer is
        not a trusted proxy.
    """
    address = _parseAddress(peer)
    if address is None or not _within(address, trustedProxies):
        return []
    found: list[ForwardedAddress | None] = []
    for name in _LISTS if only is None else (only.lower(),):
        texts = _anyAddress.findall(headers.get(name, ""))
        found.extend(map(_parse, texts[-_MAX_REPORTED:]))
    return [client for client in found if client is not None]


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
    Split the value of C{Forwarded} at commas outside quoted strings.
    """
    elements: list[list[str]] = [[]]
    for part in _part.findall(text):
        if part == ",":
            elements.append([])
        else:
            elements[-1].append(part)
    return ["".join(parts) for parts in elements]


def _forOf(element: str) -> str:
    """
    Return the C{for} parameter of an element of C{Forwarded}.

    @return: the value; empty if the element is malformed, or does not have exactly one C{for}
        parameter.
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
