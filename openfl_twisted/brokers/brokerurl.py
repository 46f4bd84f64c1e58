"""
URLs of brokers: C{redis://}, C{rediss://}, C{nats://},
C{nats+tls://} and C{memory:}.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from twisted.internet.interfaces import IStreamClientEndpoint

from openfl_twisted.brokers.brokerpubsub import PREFIX
from openfl_twisted.brokers.natspubsub import NATSLogin, NATSPubSub
from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.hostnames import hostEndpoint
from openfl_twisted.protocols.securesocket import SecureEndpoint
from openfl_twisted.rooms.presence import IPresence, MemoryPresence
from openfl_twisted.rooms.pubsub import IPubSub, MemoryPubSub
from openfl_twisted.tls import SecureConnectionCreator, Trust

if TYPE_CHECKING:
    # Importing it takes long, and few brokers require a certificate.
    from openfl_twisted.tls.identities import KeyPair

_SCHEMES = {
    "redis": (6379, False),
    "rediss": (6379, True),
    "nats": (4222, False),
    "nats+tls": (4222, True),
    "tls": (4222, True),
}
_KNOWN = "memory:, redis://, rediss://, nats:// or nats+tls://"


@dataclass(frozen=True)
class BrokerURL:
    """
    The address of a broker, and the login. The C{repr} contains no password.

    @ivar scheme: the scheme of the URL; empty for C{memory:}.
    @ivar host: the host.
    @ivar port: the port.
    @ivar user: the user; C{None} without a user.
    @ivar password: the password; C{None} without a password.
    @ivar secure: whether to use TLS.
    @ivar prefix: the prefix of all topics and keys.
    @ivar trust: the trust store for TLS.
    @ivar certificate: the certificate that this server presents to the broker (mutual TLS);
        C{None} for no certificate.
    """

    scheme: str = ""
    host: str = ""
    port: int = 0
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    secure: bool = False
    prefix: str = PREFIX
    trust: Trust | None = None
    certificate: "KeyPair | None" = None

    @property
    def description(self) -> str:
        """
        The address of the broker as shown in logs, without passwords.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    def endpoint(self, reactor: Any, limits: BrokerLimits) -> IStreamClientEndpoint:
        """
        Create the endpoint of the broker, without TLS.

        @param reactor: connects, and looks up the host.
        @param limits: C{connectTimeout} is used.
        """
        return hostEndpoint(reactor, self.host, self.port, limits.connectTimeout)

    def secured(self, reactor: Any, limits: BrokerLimits) -> IStreamClientEndpoint:
        """
        Create the endpoint of the broker, with TLS if C{secure} is set.

        @param reactor: connects, and looks up the host.
        @param limits: C{connectTimeout} is used, and C{loginTimeout} for the TLS handshake.
        @return: the endpoint. It verifies the server as a C{SecureSocket} does.
        """
        endpoint = self.endpoint(reactor, limits)
        if not self.secure:
            return endpoint
        return SecureEndpoint(
            endpoint,
            self.host,
            self.trust,
            timeout=limits.loginTimeout,
            certificate=self.certificate,
            clock=reactor,
        )


def parseBrokerURL(url: str) -> BrokerURL:
    """
    Parse the URL of a broker: C{memory:}, or
    C{redis://[user:password@]host[:port][?prefix=...][&ca=file]}, or the same with C{nats://}.
    C{rediss://} and C{nats+tls://} use TLS, and C{ca} is a PEM file of trusted certificates. For
    mutual TLS, C{certificate} is a PEM file with the certificate chain of this server, and C{key}
    the file with its private key, if it is not in the same file.
    Special characters in names and passwords are percent-encoded. In C{nats://token@host},
    C{token} is an access token.

    @param url: the URL. The default port is 6379 for Redis and 4222 for NATS; the
        default prefix is L{PREFIX<openfl_twisted.brokers.brokerpubsub.PREFIX>}.
        A prefix has at most 100 bytes.
    @return: the parts of the URL; the scheme is empty for C{memory:}.
    @raise ValueError: if the URL is invalid; the text contains no password.
    """
    if url in ("memory:", "memory://"):
        return BrokerURL()
    scheme = url.partition(":")[0].lower()
    if "sentinel" in scheme or "cluster" in scheme:
        raise ValueError(
            "Redis Sentinel and Redis Cluster are not supported: use redis://host:port with the"
            " address of one Redis server, or of a proxy, such as haproxy, in front of the master"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        query = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        # Omit the text of this error: it may contain the password.
        raise ValueError("the URL of the broker has an invalid host, port or query") from None
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"unknown URL scheme {parts.scheme!r}: must be one of {_KNOWN}")
    usual, secure = _SCHEMES[parts.scheme]
    if not host:
        raise ValueError(f"the URL must have a host, such as {parts.scheme}://broker.example")
    isRedis = parts.scheme.startswith("redis")
    _checkPath(parts.path, parts.fragment, isRedis)
    user = unquote(parts.username) if parts.username else None
    password = None if parts.password is None else unquote(parts.password)
    if isRedis and user is not None and password is None:
        raise ValueError("the URL has a user but no password: must be redis://user:password@host")
    if not isRedis and user is None and password is not None:
        raise ValueError("the URL has a password but no user: must be nats://user:password@host")
    prefix, trust, certificate = _optionsIn(query, secure)
    return BrokerURL(
        parts.scheme,
        host,
        usual if port is None else port,
        user,
        password,
        secure,
        prefix,
        trust,
        certificate,
    )


def _checkPath(path: str, fragment: str, isRedis: bool) -> None:
    if isRedis and path not in ("", "/", "/0"):
        raise ValueError("Redis pub/sub does not use databases: remove the path from the URL")
    if not isRedis and path not in ("", "/"):
        raise ValueError("a NATS URL must not have a path: remove it")
    if fragment:
        raise ValueError("a broker URL must not have a fragment: write # in a password as %23")


def _optionsIn(
    query: dict[str, list[str]], secure: bool
) -> tuple[str, Trust | None, "KeyPair | None"]:
    options = {name: values[-1] for name, values in query.items()}
    prefix = options.pop("prefix", PREFIX)
    if not prefix or len(prefix.encode(errors="replace")) > 100:
        raise ValueError("the prefix parameter must have 1 to 100 bytes, such as ?prefix=games")
    files = {name: options.pop(name, None) for name in ("ca", "certificate", "key")}
    if options:
        raise ValueError(
            f"unknown URL parameter {min(options)!r}: must be prefix, ca, certificate or key, such"
            " as ?prefix=games"
        )
    for name, file in files.items():
        if file is not None and not secure:
            raise ValueError(f"the {name} parameter requires TLS: use rediss:// or nats+tls://")
    if files["key"] is not None and files["certificate"] is None:
        raise ValueError("the key parameter requires the certificate parameter")
    trust = None if files["ca"] is None else _readTrust(files["ca"])
    return prefix, trust, _readCertificate(files["certificate"], files["key"])


def _readTrust(file: str) -> Trust:
    try:
        return Trust.fromPEM(file)
    except OSError as problem:
        raise ValueError(f"{file}: {problem.strerror}") from None


def _readCertificate(file: str | None, key: str | None) -> "KeyPair | None":
    """
    Read the certificate of this server, with its private key.

    @raise ValueError: if a file cannot be used.
    """
    if file is None:
        return None
    # Few brokers require a certificate.
    from openfl_twisted.tls.identities import KeyPair

    return KeyPair.fromFiles(Path(file), Path(key or file))


def _tlsOf(broker: BrokerURL) -> SecureConnectionCreator | None:
    if not broker.secure:
        return None
    return SecureConnectionCreator(broker.host, broker.trust, broker.certificate)


def pubSubFromURL(
    url: str,
    reactor: Any,
    *,
    node: bytes | None = None,
    limits: BrokerLimits | None = None,
) -> IPubSub:
    """
    Create the pub/sub object for the broker of a URL.

    @param url: see L{parseBrokerURL}.
    @param reactor: the reactor.
    @param node: the name of this node; C{None} for a random name.
    @param limits: the limits of the queue, and timeouts; C{None} for the defaults.
    @return: the implementation, not started yet.
    @raise ValueError: if the URL is invalid; the text contains no password.
    @raise ImportError: if the broker is Redis, and hiredis is not installed.
    """
    broker = parseBrokerURL(url)
    usual = limits or BrokerLimits()
    common: dict[str, Any] = {"node": node, "limits": usual, "clock": reactor}
    if not broker.scheme:
        return MemoryPubSub(node=node)
    common["prefix"] = broker.prefix
    if broker.scheme.startswith("redis"):
        # NATS does not need the library that these modules import.
        from openfl_twisted.brokers.redisconnection import RedisLogin
        from openfl_twisted.brokers.redispubsub import RedisPubSub

        endpoint = broker.secured(reactor, usual)
        return RedisPubSub(
            endpoint, broker.description, login=RedisLogin(broker.user, broker.password), **common
        )
    return NATSPubSub(
        broker.endpoint(reactor, usual),
        broker.description,
        login=NATSLogin(broker.user, broker.password),
        # A connection to NATS starts without TLS, and TLS is started later.
        tls=_tlsOf(broker),
        **common,
    )


def presenceFromURL(
    url: str, reactor: Any, node: bytes, *, limits: BrokerLimits | None = None
) -> IPresence | None:
    """
    Create the presence object for the broker of a URL.

    @param url: see L{parseBrokerURL}.
    @param reactor: the reactor.
    @param node: the name of this node, as passed to L{pubSubFromURL}.
    @param limits: timeouts; C{None} for the defaults.
    @return: the implementation, not started yet; C{None} for NATS, which stores
        nothing.
    @raise ValueError: if the URL is invalid; the text contains no password.
    @raise ImportError: if the broker is Redis, and hiredis is not installed.
    """
    broker = parseBrokerURL(url)
    if not broker.scheme:
        return MemoryPresence(node)
    if not broker.scheme.startswith("redis"):
        return None
    from openfl_twisted.brokers.redisconnection import RedisLogin
    from openfl_twisted.brokers.redispresence import RedisPresence

    usual = limits or BrokerLimits()
    return RedisPresence(
        broker.secured(reactor, usual),
        broker.description,
        node,
        login=RedisLogin(broker.user, broker.password),
        prefix=broker.prefix,
        limits=usual,
        clock=reactor,
    )
