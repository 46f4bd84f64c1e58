"""
Client endpoints for host names and IP addresses.
"""

import ipaddress
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, cast

import idna
from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectingCancelledError, DNSLookupError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.wire.x509._servernames import ServerName

# Time after which the next address of a host is tried, while the previous attempt continues
# (seconds). RFC 8305 recommends 0.25; Twisted uses 0.3.
_ATTEMPT_DELAY = 0.3

_MAX_ADDRESSES = 16
"""
Maximum number of addresses of a host name that are tried. Otherwise, the owner of a name could
let a gateway connect to hundreds of servers.
"""


_Check: TypeAlias = Callable[[Sequence[str]], object]


def hostEndpoint(
    reactor: Any,
    host: str,
    port: int,
    timeout: float,
    check: _Check | None = None,
) -> IStreamClientEndpoint:
    """
    Create the client endpoint for a server.

    @param host: the server's host name or IP address. An IPv6 address can be in brackets. A
        host name can contain underscores, as in Docker Compose.
    @param timeout: maximum time to connect (seconds).
    @param check: called with the IP addresses of the host before connecting to one of them. If it
        raises an exception, connecting fails with this exception (default: no check).
    @return: an endpoint that is not connected yet. Connecting fails with C{ValueError} if
        C{host} cannot be a host name.
    """
    address = host.removeprefix("[").removesuffix("]")
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        return _endpointForName(reactor, host, port, timeout, check)
    if check is not None:
        return _CheckedEndpoint(hostEndpoint(reactor, host, port, timeout), address, check)
    if version == 4:
        return TCP4ClientEndpoint(reactor, address, port, timeout)
    return TCP6ClientEndpoint(reactor, address, port, timeout)


def _endpointForName(
    reactor: Any, host: str, port: int, timeout: float, check: _Check | None
) -> IStreamClientEndpoint:
    name = ServerName(host).dns
    if name is None:
        return _InvalidNameEndpoint(host)
    try:
        idna.encode(host)
    except UnicodeError:
        # Names that are not valid in IDNA 2008, such as those with underscores.
        return _NamedEndpoint(reactor, name, port, timeout, check)
    return _NamedEndpoint(reactor, host, port, timeout, check)


@implementer(IStreamClientEndpoint)
class _CheckedEndpoint:
    """
    The endpoint for an IP address that is checked before connecting.
    """

    def __init__(self, endpoint: IStreamClientEndpoint, address: str, check: _Check) -> None:
        self._endpoint = endpoint
        self._address = address
        self._check = check

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        try:
            self._check([self._address])
        except Exception:
            return fail()
        return self._endpoint.connect(protocolFactory)


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
    An endpoint for a host name. Unlike C{HostnameEndpoint}, it accepts names with underscores,
    and tries the next address as soon as an attempt has failed.
    """

    def __init__(
        self, reactor: Any, name: str, port: int, timeout: float, check: _Check | None
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.port = port
        self.timeout = timeout
        self.check = check

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        attempts = _Attempts(self, protocolFactory)
        self.reactor.nameResolver.resolveHostName(attempts, self.name, portNumber=self.port)
        return attempts.outcome


@implementer(IResolutionReceiver)
class _Attempts:
    """
    The attempts to connect to the addresses of a host name, in their order, until one
    succeeds (RFC 8305). The next attempt starts when the previous one has failed, or after
    0.3 seconds.

    @ivar outcome: fires with the connected protocol. Fails if all attempts have failed.
    """

    def __init__(self, endpoint: _NamedEndpoint, factory: IProtocolFactory) -> None:
        self.outcome: Deferred[IProtocol] = Deferred(self._cancelled)
        self._endpoint = endpoint
        self._factory = factory
        self._addresses: deque[IPv4Address | IPv6Address] = deque()
        self._pending: list[Deferred[IProtocol]] = []
        # Starts the next attempt; None if no address is left.
        self._timer: IDelayedCall | None = None
        self._isDone = False

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        pass

    def addressResolved(self, address: IAddress) -> None:
        isUsable = isinstance(address, IPv4Address | IPv6Address)
        if isUsable and len(self._addresses) < _MAX_ADDRESSES:
            self._addresses.append(cast("IPv4Address | IPv6Address", address))

    def resolutionComplete(self) -> None:
        if self._isDone:
            return
        if self._addresses:
            self._checkAndStart()
            return
        self._isDone = True
        words = f"no results for hostname lookup: {self._endpoint.name}"
        self.outcome.errback(DNSLookupError(words))

    def _checkAndStart(self) -> None:
        if self._endpoint.check is not None:
            try:
                self._endpoint.check([address.host for address in self._addresses])
            except Exception:
                self._isDone = True
                self.outcome.errback()
                return
        self._startNext()

    def _startNext(self) -> None:
        endpoint, reactor = self._endpoint, self._endpoint.reactor
        address = self._addresses.popleft()
        self._timer = None
        if self._addresses:
            self._timer = reactor.callLater(_ATTEMPT_DELAY, self._startNext)
        make: Any = TCP6ClientEndpoint if isinstance(address, IPv6Address) else TCP4ClientEndpoint
        attempt = make(reactor, address.host, address.port, endpoint.timeout).connect(self._factory)
        self._pending.append(attempt)
        attempt.addBoth(self._ended, attempt)

    def _ended(self, result: IProtocol | Failure, attempt: Deferred[IProtocol]) -> None:
        """
        Called with the result of an attempt.
        """
        self._pending.remove(attempt)
        if self._isDone:
            return
        if not isinstance(result, Failure):
            self._stop()
            self.outcome.callback(result)
        elif self._timer is not None:
            self._timer.reset(0)
        elif not self._pending:
            self._isDone = True
            self.outcome.errback(result)

    def _stop(self) -> None:
        self._isDone = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for attempt in list(self._pending):
            attempt.cancel()

    def _cancelled(self, outcome: Deferred[IProtocol]) -> None:
        self._stop()
        address = HostnameAddress(self._endpoint.name.encode(), self._endpoint.port)
        outcome.errback(ConnectingCancelledError(address))
