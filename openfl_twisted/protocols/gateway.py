"""
A gateway: WebSocket clients name the server to which they are connected, and a list of rules
decides which servers are permitted.

The request path is C{/to/HOST/PORT}. A name is resolved once, and the connection goes to an
address that was checked, so that a name cannot be changed between the check and the connection.
"""

import re
import socket
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Self, TypeAlias
from urllib.parse import unquote

from twisted.internet.defer import Deferred, fail
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.transports.hostlimit import hostOf
from openfl_twisted.wire.framing import NUL, Framing
from openfl_twisted.wire.tokenbucket import TokenBuckets
from openfl_twisted.wire.x509._servernames import ServerName

CONNECTION_RATE = 30
"""
Maximum number of connections per minute that the gateway opens for one client address, see
L{hostOf}: 30.
"""

_MAX_CLIENTS = 10_000
"""
Maximum number of client addresses whose rate is stored.
"""

_MIN_RANGE = 1024
_MAX_PORT = 65535

# IPv6 addresses that contain an IPv4 address in their last 32 bits: NAT64 (RFC 6052),
# and the deprecated addresses of RFC 4291, 2.5.5.1.
_CONTAIN_IPV4 = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))

# The IPv6 addresses that are public: global unicast, except those for documentation (RFC 9637),
# and NAT64. Python also takes site-local, translated and unassigned addresses for public ones.
_PUBLIC_IPV6 = (IPv6Network("2000::/3"), IPv6Network("64:ff9b::/96"))
_DOCUMENTATION = IPv6Network("3fff::/20")

_path = re.compile(r"/to/([^/?]{1,300})/([0-9]{1,5})(?:\?.*)?", re.DOTALL)
_rule = re.compile(r"(\*\.)?(.+):([0-9]{1,5})(?:-([0-9]{1,5}))?")
# The last label of a name cannot be a number: some resolvers take such names for addresses.
_number = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")

_Address: TypeAlias = IPv4Address | IPv6Address


class NotPermitted(Exception):
    """
    The gateway does not connect to a server.

    @ivar server: the server, for the client.
    @ivar reason: the reason, for the log.
    """

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(f"{server} is not permitted here")
        self.server = server
        self.reason = reason


def _inside(address: _Address) -> list[_Address]:
    """
    Return an address, and the IPv4 addresses that it contains: a router or the kernel can send its
    packets to them.
    """
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    found: list[_Address] = [address]
    if any(address in network for network in _CONTAIN_IPV4):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    return found


def isPublic(address: _Address) -> bool:
    """
    Return whether an address is on the public internet, with all the IPv4 addresses that it
    contains: mapped to IPv6, NAT64, 6to4 or Teredo.
    """
    return all(map(_isPublic, _inside(address)))


def _isPublic(address: _Address) -> bool:
    if isinstance(address, IPv4Address):
        return address.is_global and not address.is_multicast
    isUnicast = any(address in network for network in _PUBLIC_IPV6)
    return isUnicast and address.is_global and address not in _DOCUMENTATION


def _isLocal(address: str) -> bool:
    """
    Return whether an address belongs to this machine.
    """
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with closing(socket.socket(kind, socket.SOCK_STREAM)) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Rule:
    """
    A rule of a gateway: the servers that it permits.

    @ivar name: the name or the address, in lower case.
    @ivar isWildcard: whether the rule permits the names below C{name} instead of C{name}.
    @ivar ports: the ports.
    """

    name: str
    isWildcard: bool
    ports: range

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Parse a rule: C{game.example:9339}, C{*.old.example:1024-65535} or C{192.168.1.20:9339}. An
        IPv6 address is in brackets.

        @raise ValueError: if the rule is invalid; the text says why.
        """
        found = _rule.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r:.80} must be HOST:PORT or HOST:PORT-PORT")
        star, host, first, last = found.groups()
        name = ServerName(host)
        if "*" in host:
            raise ValueError(f"{text!r:.80}: * can only be the first label, as in *.game.example")
        if name.address is not None and star is None:
            return cls(str(name.address), False, _ports(text, first, last))
        if name.dns is None or _number.fullmatch(name.dns):
            raise ValueError(f"{text!r:.80}: {host!r:.80} must be a host name or an IP address")
        return cls(name.dns, star is not None, _ports(text, first, last))

    def permits(self, host: str, port: int) -> bool:
        """
        Return whether the rule permits a server.

        @param host: the name or the address, in lower case.
        @param port: the port.
        """
        if port not in self.ports:
            return False
        return host.endswith(f".{self.name}") if self.isWildcard else host == self.name


def _ports(text: str, first: str, last: str | None) -> range:
    """
    Return the ports of a rule.

    @raise ValueError: if a port is invalid, or the range contains ports below 1024.
    """
    begin, end = int(first), int(last or first)
    if not 1 <= begin <= end <= _MAX_PORT:
        raise ValueError(f"{text!r:.80}: ports are numbers from 1 to {_MAX_PORT}")
    if last is not None and begin < _MIN_RANGE:
        raise ValueError(f"{text!r:.80}: a range of ports must begin at {_MIN_RANGE} or above")
    return range(begin, end + 1)


class Gateway:
    """
    Decides to which servers clients can be connected.

    @ivar framing: how the streams from the servers are divided into messages.
    @ivar ownPorts: returns the port numbers of this server, which is never connected to itself.
    @ivar isLocal: returns whether an IP address belongs to this machine.
    """

    def __init__(
        self,
        rules: Iterable[Rule],
        reactor: Any,
        *,
        timeout: float,
        framing: Framing = NUL,
        ownPorts: Callable[[], Collection[int]] = tuple,
        isLocal: Callable[[str], bool] = _isLocal,
    ) -> None:
        """
        @param rules: the rules. A server must be permitted by one of them.
        @param reactor: connects to the servers, resolves their names, and is the clock of
            the rate limit.
        @param timeout: maximum time to connect to an address (seconds).
        """
        self._rules = tuple(rules)
        self._reactor = reactor
        self._timeout = timeout
        self.framing = framing
        self.ownPorts = ownPorts
        self.isLocal = isLocal
        # The rates of the client addresses.
        self._rates: TokenBuckets[str] = TokenBuckets(CONNECTION_RATE / 60, _MAX_CLIENTS, 60)

    def endpointFor(self, path: str, peer: IAddress) -> "GatewayEndpoint | None":
        """
        Return the endpoint of the server that a client has named.

        @param path: the request path.
        @param peer: the address of the client.
        @return: the endpoint, whose C{connect} fails with L{NotPermitted} if the server is not
            permitted; C{None} if the path is not that of a gateway.
        """
        found = _path.fullmatch(path)
        if found is None:
            return None
        name, port = ServerName(unquote(found[1])), int(found[2])
        host = str(name.address) if name.address is not None else name.dns
        problem = None
        if host is None or (_number.fullmatch(host) and name.address is None):
            host, problem = "this server", "not a host name or an IP address"
        elif not any(rule.permits(host, port) for rule in self._rules):
            problem = "no rule permits it"
        elif not self._allows(peer):
            problem = f"more than {CONNECTION_RATE} connections per minute from this address"
        return GatewayEndpoint(self, host, port, problem)

    def _allows(self, peer: IAddress) -> bool:
        """
        Return whether a client may open one more connection.
        """
        client = hostOf(peer)
        return client is None or self._rates.take(client, self._reactor.seconds())

    def check(self, host: str, port: int, addresses: Sequence[str]) -> None:
        """
        Check the addresses of a server.

        @param host: the name or the address.
        @param port: the port.
        @param addresses: all IP addresses of the server.
        @raise NotPermitted: if an address is not permitted.
        """
        for text in addresses:
            address = ip_address(text.partition("%")[0])
            named = any(rule.permits(str(address), port) for rule in self._rules)
            problem = None
            if not (named or isPublic(address)):
                problem = f"{text} is not a public address, and no rule names it"
            elif port in self.ownPorts() and self._isOwn(address):
                problem = f"{text}:{port} is a port of this server"
            if problem is not None:
                raise NotPermitted(f"{host}:{port}", problem)

    def _isOwn(self, address: _Address) -> bool:
        return any(self.isLocal(str(each)) for each in _inside(address))

    def connect(
        self, host: str, port: int, protocolFactory: IProtocolFactory
    ) -> Deferred[IProtocol]:
        """
        Resolve a name, check its addresses, and connect to one of them.

        @param host: the name or the address.
        @param port: the port.
        @param protocolFactory: the factory of the connection.
        @return: fires with the connected protocol; fails with L{NotPermitted} if an address is not
            permitted.
        """
        check = partial(self.check, host, port)
        endpoint = hostEndpoint(self._reactor, host, port, self._timeout, check)
        return endpoint.connect(protocolFactory)


@implementer(IStreamClientEndpoint)
class GatewayEndpoint:
    """
    The endpoint of a server that a client has named.

    @ivar server: the server, as text.
    """

    def __init__(self, gateway: Gateway, host: str, port: int, problem: str | None) -> None:
        """
        @param host: the name or the address.
        @param port: the port.
        @param problem: why the server is not permitted, if this is known.
        """
        self.server = f"{host}:{port}"
        self._gateway = gateway
        self._host = host
        self._port = port
        self._problem = problem

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        if self._problem is not None:
            return fail(NotPermitted(self.server, self._problem))
        connecting = self._gateway.connect(self._host, self._port, protocolFactory)
        return connecting.addErrback(self._hideLookup)

    def _hideLookup(self, reason: Failure) -> Failure:
        """
        Report a name that does not exist like a server that is not permitted, so that clients
        cannot find out which names exist.
        """
        if reason.check(DNSLookupError):
            return Failure(NotPermitted(self.server, reason.getErrorMessage()))
        return reason
