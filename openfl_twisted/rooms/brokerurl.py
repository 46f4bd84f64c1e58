"""
Brokers as people write them: C{redis://}, C{rediss://}, C{nats://},
C{nats+tls://} and C{memory:}.
"""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from twisted.internet.interfaces import IStreamClientEndpoint

from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.rooms.brokerrelay import PREFIX
from openfl_twisted.rooms.memoryrelay import MemoryRelay
from openfl_twisted.rooms.natsrelay import NATSLogin, NATSRelay
from openfl_twisted.rooms.outbox import RelayLimits
from openfl_twisted.rooms.presence import IPresence, MemoryPresence
from openfl_twisted.rooms.redisconnection import RedisLogin
from openfl_twisted.rooms.redispresence import RedisPresence
from openfl_twisted.rooms.redisrelay import RedisRelay
from openfl_twisted.rooms.relay import IRelay
from openfl_twisted.tls import SecureConnectionCreator, Trust

_SCHEMES = {
    "redis": (6379, False),
    "rediss": (6379, True),
    "nats": (4222, False),
    "nats+tls": (4222, True),
    "tls": (4222, True),
}
_KNOWN = "memory:, redis://, rediss://, nats:// and nats+tls://"


@dataclass(frozen=True)
class BrokerURL:
    """
    Where a broker is, and who we are there. Its text has no password in it.

    @ivar scheme: which broker it is; empty for none.
    @ivar host: its host.
    @ivar port: its port.
    @ivar user: the user, if there is one.
    @ivar password: the password, if there is one.
    @ivar secure: whether it is reached in TLS.
    @ivar prefix: what stands in front of all topics and keys.
    @ivar trust: whom to believe in TLS.
    """

    scheme: str = ""
    host: str = ""
    port: int = 0
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    secure: bool = False
    prefix: str = PREFIX
    trust: Trust | None = None

    @property
    def description(self) -> str:
        """
        Where it is, for people.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def endpoint(self, reactor: Any, limits: RelayLimits) -> IStreamClientEndpoint:
        """
        Find the way to it, without TLS.

        @param reactor: connects, and looks up the host.
        @param limits: how long connecting may take: C{connectTimeout}.
        @return: the endpoint.
        """
        return hostEndpoint(reactor, self.host, self.port, limits.connectTimeout)

    def secured(self, reactor: Any, limits: RelayLimits) -> IStreamClientEndpoint:
        """
        Find the way to it, in TLS if that is wanted.

        @param reactor: connects, and looks up the host.
        @param limits: how long it may take: C{connectTimeout}, and
            C{loginTimeout} for TLS.
        @return: the endpoint. It judges the server as a C{SecureSocket} does.
        """
        endpoint = self.endpoint(reactor, limits)
        if not self.secure:
            return endpoint
        return SecureEndpoint(
            endpoint, self.host, self.trust, timeout=limits.loginTimeout, clock=reactor
        )


def parseBrokerURL(url: str) -> BrokerURL:
    """
    Read where a broker is: C{memory:}, or
    C{redis://[user:password@]host[:port][?prefix=...][&ca=file]} and the like.
    C{rediss://} and C{nats+tls://} are in TLS, and C{ca} is a file of the
    certificates to trust in PEM. What is special in a URL is written as C{%} and
    two digits in a name or a password. C{nats://token@host} has a token.

    @param url: the URL. Without a port it is 6379 for Redis and 4222 for NATS;
        without a prefix it is
        L{PREFIX<openfl_twisted.rooms.brokerrelay.PREFIX>}, and one has at most
        100 bytes.
    @return: where it is; the scheme is empty for C{memory:}.
    @raise ValueError: if it is wrong; what it says has no password in it.
    """
    if url in ("memory:", "memory://"):
        return BrokerURL()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        # Its own words may repeat the password.
        raise ValueError("this is no URL of a broker: its host, port or query is wrong") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"{parts.scheme or 'this'}: there are {_KNOWN}")
    usual, secure = _SCHEMES[parts.scheme]
    if not host:
        raise ValueError(f"{parts.scheme}: the host is missing")
    isRedis = parts.scheme.startswith("redis")
    _checkPath(parts.path, parts.fragment, isRedis)
    user = unquote(parts.username) if parts.username else None
    password = None if parts.password is None else unquote(parts.password)
    if isRedis and user is not None and password is None:
        raise ValueError("a user without a password: redis://user:password@host")
    if not isRedis and user is None and password is not None:
        raise ValueError("a password without a user: nats://user:password@host")
    prefix, trust = _optionsIn(query, secure)
    return BrokerURL(
        parts.scheme, host, usual if port is None else port, user, password, secure, prefix, trust
    )


def _checkPath(path: str, fragment: str, isRedis: bool) -> None:
    """
    Make sure that nothing is asked for that there is not.
    """
    if isRedis and path not in ("", "/", "/0"):
        raise ValueError("publish and subscribe know no databases: leave out what is behind the /")
    if not isRedis and path not in ("", "/"):
        raise ValueError("there is nothing behind the / for NATS")
    if fragment:
        raise ValueError("there is nothing behind the #: a # in a password is written %23")


def _optionsIn(query: dict[str, list[str]], secure: bool) -> tuple[str, Trust | None]:
    """
    Read what is behind the question mark.
    """
    options = {name: values[-1] for name, values in query.items()}
    prefix = options.pop("prefix", PREFIX)
    if not prefix or len(prefix.encode(errors="replace")) > 100:
        raise ValueError("prefix is empty, or too long")
    file = options.pop("ca", None)
    if options:
        raise ValueError(f"{min(options)!r} is no option: there are prefix and ca")
    if file is None:
        return prefix, None
    if not secure:
        raise ValueError("ca is for TLS: the URL begins with rediss:// or nats+tls://")
    try:
        return prefix, Trust.fromPEM(file)
    except OSError as problem:
        raise ValueError(f"{file}: {problem.strerror}") from None


def relayFromURL(
    url: str,
    reactor: Any,
    *,
    node: bytes | None = None,
    limits: RelayLimits | None = None,
) -> IRelay:
    """
    Make the relay through a broker.

    @param url: see L{parseBrokerURL}.
    @param reactor: the reactor.
    @param node: the name of this node; C{None} for one that nobody else has.
    @param limits: what the relay may take; C{None} for the usual.
    @return: the relay, which has not been started.
    @raise ValueError: if the URL is wrong; what it says has no password in it.
    @raise ImportError: if it is Redis, and txredisapi is not installed.
    """
    broker = parseBrokerURL(url)
    usual = limits or RelayLimits()
    common: dict[str, Any] = {"node": node, "limits": usual, "clock": reactor}
    if not broker.scheme:
        return MemoryRelay(**common)
    common["prefix"] = broker.prefix
    if broker.scheme.startswith("redis"):
        endpoint = broker.secured(reactor, usual)
        return RedisRelay(
            endpoint, broker.description, login=RedisLogin(broker.user, broker.password), **common
        )
    return NATSRelay(
        broker.endpoint(reactor, usual),
        broker.description,
        login=NATSLogin(broker.user, broker.password),
        # NATS begins without TLS.
        tls=SecureConnectionCreator(broker.host, broker.trust) if broker.secure else None,
        **common,
    )


def presenceFromURL(
    url: str, reactor: Any, node: bytes, *, limits: RelayLimits | None = None
) -> IPresence | None:
    """
    Find out who is where through a broker.

    @param url: see L{parseBrokerURL}.
    @param reactor: the reactor.
    @param node: the name of this node: that of its relay.
    @param limits: how long connecting and the like may take; C{None} for the
        usual.
    @return: who is where, not started; C{None} if the broker cannot know that:
        NATS keeps nothing.
    @raise ValueError: if the URL is wrong; what it says has no password in it.
    @raise ImportError: if it is Redis, and txredisapi is not installed.
    """
    broker = parseBrokerURL(url)
    if not broker.scheme:
        return MemoryPresence(node)
    if not broker.scheme.startswith("redis"):
        return None
    usual = limits or RelayLimits()
    return RedisPresence(
        broker.secured(reactor, usual),
        broker.description,
        node,
        login=RedisLogin(broker.user, broker.password),
        prefix=broker.prefix,
        limits=usual,
        clock=reactor,
    )
