"""
The way to a server.
"""

import ipaddress
from typing import Any

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint


def wayTo(reactor: Any, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    """
    Choose the way to a server.

    @param reactor: the reactor.
    @param host: its name or its address, IPv6 with or without brackets.
    @param port: its port.
    @param timeout: how long connecting may take, in seconds.
    @return: an endpoint; nothing is connected yet.
    """
    address = host.removeprefix("[").removesuffix("]")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return HostnameEndpoint(reactor, host, port, timeout)
    if version == 4:
        return TCP4ClientEndpoint(reactor, address, port, timeout)
    return TCP6ClientEndpoint(reactor, address, port, timeout)
