"""
The PROXY protocol, versions 1 and 2: the header in which a proxy sends the address of its
client (haproxy's C{proxy-protocol.txt}).
"""

import ipaddress
import re
import struct
from typing import NamedTuple

from openfl_twisted.wire.forwarded import IPAddress

_MAX_HEADER = 4096
"""
Maximum length of a header (bytes). Version 1 has at most 107 bytes; version 2 can
contain extensions, which are ignored.
"""

_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V2_LENGTH = 16
_V1_LENGTH = 107
_tcp = re.compile(rb"PROXY TCP([46]) ([0-9A-Fa-f:.]{2,45}) ([0-9A-Fa-f:.]{2,45}) (\d+) (\d+)")
_UNKNOWN = b"PROXY UNKNOWN"
_MAX_PORT = 65535
_LOCAL, _PROXY = 0x20, 0x21
# The format of the addresses for each address family and transport in version 2.
_STREAMS = {0x11: "!4s4sHH", 0x21: "!16s16sHH"}


class ProxyHeaderError(Exception):
    """
    The bytes are not a valid PROXY header. The text of the exception contains the reason, but
    not the bytes.
    """


class ProxiedAddresses(NamedTuple):
    """
    The addresses in a PROXY header.

    @ivar source: IP address and port of the client.
    @ivar destination: IP address and port to which the client connected.
    """

    source: tuple[IPAddress, int]
    destination: tuple[IPAddress, int]


class ProxyHeader(NamedTuple):
    """
    A parsed PROXY header.

    @ivar addresses: the addresses; C{None} if the proxy opened the connection for itself, for
        example for a health check, or if the proxy does not know the addresses.
    @ivar length: length of the header (bytes).
    """

    addresses: ProxiedAddresses | None
    length: int


def parseProxyHeader(data: bytes) -> ProxyHeader | None:
    """
    Parse the header at the beginning of a connection.

    @param data: all bytes received so far.
    @return: the header; C{None} while it is not complete.
    @raise ProxyHeaderError: if the bytes do not begin with a valid header.
    """
    if data[: len(_V2)] == _V2[: len(data)]:
        return _parseV2(data)
    if b"PROXY "[: len(data)] == data[:6]:
        return _parseV1(data)
    raise ProxyHeaderError("the connection does not begin with a PROXY header")


def _parseV1(data: bytes) -> ProxyHeader | None:
    end = data.find(b"\r\n", 0, _V1_LENGTH)
    if end < 0:
        if len(data) >= _V1_LENGTH:
            raise ProxyHeaderError(f"the PROXY line is longer than {_V1_LENGTH} bytes")
        return None
    line, length = data[:end], end + 2
    if line == _UNKNOWN or line.startswith(_UNKNOWN + b" "):
        return ProxyHeader(None, length)
    found = _tcp.fullmatch(line)
    if found is None:
        raise ProxyHeaderError(
            "the PROXY line must have the form PROXY TCP4 (or TCP6) ADDRESS ADDRESS PORT PORT"
        )
    version, source, destination, sourcePort, destinationPort = found.groups()
    return ProxyHeader(
        ProxiedAddresses(
            (_address(source, int(version)), _port(sourcePort)),
            (_address(destination, int(version)), _port(destinationPort)),
        ),
        length,
    )


def _address(text: bytes, version: int) -> IPAddress:
    try:
        address = ipaddress.ip_address(text.decode("ascii"))
    except ValueError:
        raise ProxyHeaderError("invalid IP address in the PROXY header") from None
    if address.version != version:
        raise ProxyHeaderError(f"the TCP{version} addresses must be IPv{version} addresses")
    return address


def _port(digits: bytes) -> int:
    # A long number is not converted, because converting it would take quadratic time.
    if len(digits) > 5 or int(digits) > _MAX_PORT:
        raise ProxyHeaderError(f"a port in the PROXY header exceeds {_MAX_PORT}")
    return int(digits)


def _parseV2(data: bytes) -> ProxyHeader | None:
    if len(data) < _V2_LENGTH:
        return None
    command, family, length = struct.unpack_from("!BBH", data, len(_V2))
    if command not in (_LOCAL, _PROXY):
        raise ProxyHeaderError("unknown version or command in the PROXY header")
    total = _V2_LENGTH + length
    if total > _MAX_HEADER:
        raise ProxyHeaderError(f"the PROXY header is longer than {_MAX_HEADER} bytes")
    if len(data) < total:
        return None
    layout = _STREAMS.get(family)
    if command == _LOCAL or layout is None:
        return ProxyHeader(None, total)
    if length < struct.calcsize(layout):
        raise ProxyHeaderError("the addresses in the PROXY header are incomplete")
    source, destination, sourcePort, destinationPort = struct.unpack_from(layout, data, _V2_LENGTH)
    return ProxyHeader(
        ProxiedAddresses(
            (ipaddress.ip_address(source), sourcePort),
            (ipaddress.ip_address(destination), destinationPort),
        ),
        total,
    )
