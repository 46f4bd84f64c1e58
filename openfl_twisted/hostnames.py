"""
Client endpoints for host names and IP addresses.
"""

import ipaddress
from collections.abc import Sequence
from typing import Any, NoReturn

import idna
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.wire.x509._servernames import ServerName

# RFC 6761: a name in this domain never belongs to a host.
_PLACEHOLDER = "placeholder.invalid"


def hostEndpoint(reactor: Any, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    """
    Create the client endpoint for a server.

    @param host: the server's host name or IP address. An IPv6 address can be in brackets. A
        host name can contain underscores, as in Docker Compose.
    @param timeout: maximum time to connect (seconds).
    @return: an endpoint that is not connected yet. Connecting fails with C{ValueError} if
        C{host} cannot be a host name.
    """
    address = host.removeprefix("[").removesuffix("]")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return _endpointForName(reactor, host, port, timeout)
    if version == 4:
        return TCP4ClientEndpoint(reactor, address, port, timeout)
    return TCP6ClientEndpoint(reactor, address, port, timeout)


def _endpointForName(reactor: Any, host: str, port: int, timeout: float) -> IStreamClientEndpoint:
    name = ServerName(host).dns
    if name is None:
        return _InvalidNameEndpoint(host)
    try:
        idna.encode(host)
    except UnicodeError:
        return _NamedEndpoint(reactor, name, port, timeout)
    return HostnameEndpoint(reactor, host, port, timeout)


@implementer(IStreamClientEndpoint)
class _InvalidNameEndpoint:
    """
    The endpoint for text that cannot be a host name.
    """

    def __init__(self, host: str) -> None:
        self._host = host

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return fail(
            ValueError(
                f"{self._host[:64]!r} is not a host name: each label must be 1 to 63 letters, "
                "digits, hyphens or underscores"
            )
        )


@implementer(IStreamClientEndpoint)
class _NamedEndpoint:
    """
    An endpoint for names that C{HostnameEndpoint} rejects as invalid in IDNA 2008, such as
    names with underscores.
    """

    def __init__(self, reactor: Any, name: str, port: int, timeout: float) -> None:
        self._name = name
        renaming = _RenamingReactor(reactor, name)
        self._endpoint = HostnameEndpoint(renaming, _PLACEHOLDER, port, timeout)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        connected: Deferred[IProtocol] = self._endpoint.connect(protocolFactory)
        return connected.addErrback(self._failed)

    def _failed(self, reason: Failure) -> NoReturn:
        if reason.check(DNSLookupError):
            raise DNSLookupError(f"no results for hostname lookup: {self._name}")
        reason.raiseException()


@implementer(IReactorPluggableNameResolver, IHostnameResolver)
class _RenamingReactor:
    """
    A reactor whose resolver always looks up the same host name, whatever name is requested.
    """

    def __init__(self, reactor: Any, name: str) -> None:
        self._reactor = reactor
        self._name = name

    @property
    def nameResolver(self) -> IHostnameResolver:
        return self

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        installed: IHostnameResolver = self._reactor.installNameResolver(resolver)
        return installed

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        resolution: IHostResolution = self._reactor.nameResolver.resolveHostName(
            resolutionReceiver, self._name, portNumber, addressTypes, transportSemantics
        )
        return resolution

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)
