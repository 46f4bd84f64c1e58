"""
Options shared by several commands.
"""

import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.logger import LogLevel
from twisted.python import usage

from openfl_twisted.addresses import describe
from openfl_twisted.commandline import Group, Option
from openfl_twisted.endpoints import (
    describeEndpointError,
    parseClientTypes,
    parsePassThrough,
    parsePolicy,
    seconds,
    serverEndpoint,
)
from openfl_twisted.logs import limitLog, setLogLevel
from openfl_twisted.protocols.oneport import GREETING_DELAY
from openfl_twisted.protocols.websocket import PING_INTERVAL
from openfl_twisted.reactors import installDefault, socketLimit
from openfl_twisted.services.configuration import ConfiguredOptions
from openfl_twisted.services.draining import DRAIN_DELAY, DRAIN_TIMEOUT
from openfl_twisted.services.foreground import avoidPidFile, dropCacheErrors, logAsJSON
from openfl_twisted.services.memory import keepFreedMemory
from openfl_twisted.services.recording import makeRecorder, recordingOptions
from openfl_twisted.transports.blocklist import BlockList
from openfl_twisted.transports.guard import MAX_CONNECTIONS
from openfl_twisted.wire.firstbytes import ALL_TYPES, ClientType

if TYPE_CHECKING:
    # Importing it takes long, and a server without TLS does not need it.
    from openfl_twisted.tls.server import ServerCertificates

_MIN_TOKEN = 8
"""
Minimum length of the dashboard's access token (characters).
"""

_MAX_WORKERS = 256
"""
Maximum number of workers.
"""

_EXAMPLE = "tcp:8080:interface=127.0.0.1"
# Sockets that are not connections of clients: ports, brokers, metrics and the dashboard.
_OTHER_SOCKETS = 96
_LEVELS = ("debug", "info", "warn", "error")
_FORMATS = ("text", "json")
# Matches the port in the description of an endpoint.
_port = re.compile(r":(?:port=)?([0-9]+)")
# Matches a colon that is not escaped.
_colon = re.compile(r"(?<!\\):")
# The types of endpoints that listen on all interfaces by default.
_LOOPBACK = {"tcp": "127.0.0.1", "tcp4": "127.0.0.1", "tcp6": r"\:\:1", "ssl": "127.0.0.1"}
# The addresses that mean all interfaces.
_ANY = ("0.0.0.0", "::")  # noqa: S104
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}
# Matches an access token (RFC 6750), and the name of a subprotocol (RFC 6455, 4.1).
_token = re.compile(r"[A-Za-z0-9._~+/=-]+")
_subprotocol = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_size = re.compile(r"([0-9]{1,15})([KM]?)", re.IGNORECASE)


def size(text: str) -> int:
    """
    Parse a maximum size, such as C{5000}, C{64K} or C{1M}; C{0} for no limit.

    @param text: at most 15 digits, optionally followed by C{K} for KiB or C{M} for MiB,
        in either case.
    @return: the size (bytes); C{sys.maxsize} for no limit.
    @raise ValueError: if the text is invalid.
    """
    found = _size.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} must be a size in bytes, such as 5000, 64K or 1M")
    return int(found[1]) * _UNITS[found[2].upper()] or sys.maxsize


def _numberPerSecond(text: str, things: str, example: str) -> float:
    try:
        return seconds(text)
    except ValueError:
        raise ValueError(
            f"{text!r} must be a number of {things} per second, such as {example}"
        ) from None


def messageRate(text: str) -> float:
    """
    Parse a number of messages per second; 0 for no limit.

    @raise ValueError: if the text is not a finite decimal number.
    """
    return _numberPerSecond(text, "messages", "20")


def connectionRate(text: str) -> float:
    """
    Parse a number of connections per second; 0 for no limit.

    @raise ValueError: if the text is not a finite decimal number.
    """
    return _numberPerSecond(text, "connections", "2 or 0.5")


def rate(text: str) -> int:
    """
    Parse a number of bytes per second; 0 for no limit.

    @param text: see L{size}.
    @return: the rate; 0 for no limit.
    @raise ValueError: if the text is invalid.
    """
    number = size(text)
    return 0 if number == sys.maxsize else number


def count(text: str) -> int:
    """
    Parse a non-negative integer.

    @param text: ASCII digits.
    @raise ValueError: if the text is invalid.
    """
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{text!r} must be a whole number, such as 0 or 100")
    return int(text)


def oneOf(option: str, value: str, allowed: tuple[str, ...]) -> str:
    """
    Check that the value of an option is one of the allowed values.

    @param option: the name, without the dashes.
    @param value: the value; case-sensitive.
    @return: the value.
    @raise usage.UsageError: if the value is not allowed; the text lists the allowed values.
    """
    if value not in allowed:
        raise usage.UsageError(f"--{option}={value}: must be one of {', '.join(allowed)}")
    return value


def _workerCount(text: str) -> int:
    """
    Parse the number of workers.

    @param text: ASCII digits.
    @return: the number.
    @raise ValueError: if the text is not a number from 1 to L{_MAX_WORKERS}.
    """
    number = count(text)
    if not 1 <= number <= _MAX_WORKERS:
        raise ValueError(f"{text!r} is not a number from 1 to {_MAX_WORKERS}")
    return number


def _endpointOf(
    option: str, description: str, example: str, reactor: Any = None
) -> IStreamServerEndpoint:
    """
    Parse an endpoint.

    @param option: the name of the option, without the dashes.
    @param description: the description of the endpoint.
    @param example: the description of a valid endpoint.
    @param reactor: the reactor (default: the global reactor).
    @return: the endpoint.
    @raise usage.UsageError: if the description is invalid.
    """
    if reactor is None:
        from twisted.internet import reactor

    try:
        endpoint = serverEndpoint(reactor, description)
    except KeyError as problem:
        # For a "systemd:" endpoint, Twisted raises a KeyError with the name of the socket.
        raise usage.UsageError(f"--{option}={description}: unknown socket {problem}") from None
    except Exception as problem:
        # Plugins parse the endpoint, and can raise any exception.
        reason = describeEndpointError(description, problem)
        raise usage.UsageError(
            f"--{option}={description}: {reason}; try for example {example}"
        ) from None
    return endpoint


def _adminEndpointOf(option: str, description: str, port: int) -> IStreamServerEndpoint:
    """
    Parse the endpoint of the metrics or the dashboard. It listens on the loopback interface by
    default.

    @raise usage.UsageError: if the description is invalid.
    """
    kind, _, *more = [*_colon.split(description), ""]
    # The positional argument after the port is the interface.
    if kind in _LOOPBACK and all("=" in field and "interface=" not in field for field in more[:-1]):
        description += f":interface={_LOOPBACK[kind]}"
    return _endpointOf(option, description, f"tcp:{port}")


_T = TypeVar("_T")


def readPolicy(path: str, read: Callable[[str], _T]) -> _T:
    """
    Read the policy named by an option.

    @param path: the value of C{--policy}.
    @param read: reads the policy; raises C{OSError} or C{ValueError} on errors.
    @return: the result of C{read}.
    @raise usage.UsageError: if the file cannot be read, is not a policy file, or grants
        nothing.
    """
    try:
        return read(path)
    except OSError as error:
        raise usage.UsageError(f"--policy={path}: {error.strerror}") from None
    except ValueError as error:
        raise usage.UsageError(f"--policy={path}: {error}") from None


def listenOption(default: str) -> Option:
    """
    Create the option C{--listen} of a command.

    @param default: the default endpoint.
    """
    return Option(
        Group.LISTENING,
        "listen",
        "ENDPOINT",
        "Twisted endpoint to listen on; can be repeated.",
        shown=default,
    )


def describePort(host: IAddress) -> str:
    """
    Describe the address of an open port for the log.

    @param host: the address.
    @return: the address, and whether the port accepts clients on all interfaces.
    """
    isPublic = getattr(host, "host", None) in _ANY
    return f"{describe(host)} (all interfaces)" if isPublic else describe(host)


class IWorker(Protocol):
    """
    A worker process, see L{openfl_twisted.workers.worker.WorkerSide}.
    """

    @property
    def number(self) -> int:
        """
        The number of the worker, from 1.
        """

    def portReactor(self, reactor: Any, index: int) -> Any:
        """
        Return the reactor for an endpoint.

        @param reactor: the reactor of the process.
        @param index: the index of the endpoint on the command line, from 0.
        @return: the reactor.
        @raise ValueError: if the supervisor has no such port.
        """

    def start(self, answers: Mapping[str, Callable[..., Any]]) -> object:
        """
        Connect to the supervisor, and notify it that the ports are open.

        @param answers: maps the name of each request from the supervisor to the function that
            handles the request.
        """


class ServerOptions(ConfiguredOptions):
    """
    Options of all servers. After parsing, C{listen} is the list of endpoints, C{tls}
    the L{ServerCertificates} or C{None}, C{metrics} and C{dashboard} are an endpoint or
    C{None}, C{measurements} the L{Measurements<openfl_twisted.dashboard.measuring.Measurements>}
    for the metrics or C{None}, C{policy-file} is the path of the policy file or C{None}, and
    C{block-list} is the L{BlockList} or C{None}.

    @cvar serverDialect: the dialect of recordings and of the dashboard, see
        L{openfl_twisted.wire.dialects}.
    @cvar socketsPerClient: the number of sockets that each connection of a client requires.
    @cvar worker: this process's side of the link to the supervisor, if this process is a worker;
        otherwise C{None}. A worker inherits its ports, and serves neither metrics nor a dashboard.
    @ivar arguments: the arguments as they were given.
    @ivar supervisorPorts: in a worker, the ports of the metrics and the dashboard.
    """

    serverDialect = "raw"
    socketsPerClient = 1
    worker: ClassVar[IWorker | None] = None
    supervisorPorts: frozenset[int] = frozenset()

    options: ClassVar[list[Option]] = [
        Option(
            Group.TLS,
            "tls-certificate",
            "PATH",
            (
                "PEM file with the certificate and its chain, or a directory of *.pem files "
                "selected by SNI. Enables TLS."
            ),
        ),
        Option(
            Group.TLS,
            "tls-key",
            "FILE",
            "PEM file with the private key, if it is not in the certificate file.",
        ),
        Option(
            Group.TLS,
            "tls-client-ca",
            "FILE",
            (
                "PEM file with the CAs whose certificates clients must present (mutual TLS); "
                "clients without TLS are refused."
            ),
        ),
        Option(
            Group.LISTENING,
            "public",
            "",
            "Listen on the default port of all interfaces, not only on the loopback interface.",
        ),
        Option(
            Group.LISTENING,
            "workers",
            "N",
            (
                "Number of worker processes that share the ports; --max-connections, "
                "--max-per-address and --connection-rate apply to each."
            ),
            1,
            _workerCount,
        ),
        Option(
            Group.LIMITS,
            "max-connections",
            "N",
            "Maximum number of connections; fewer by default with the select reactor.",
            MAX_CONNECTIONS,
            count,
        ),
        Option(
            Group.LIMITS,
            "max-per-address",
            "N",
            "Maximum number of connections from one IPv4 address or IPv6 /64.",
            0,
            count,
        ),
        Option(
            Group.LIMITS,
            "connection-rate",
            "N",
            "Maximum number of connections per second from one IPv4 address or IPv6 /64.",
            0.0,
            connectionRate,
        ),
        Option(
            Group.ACCESS,
            "block-file",
            "FILE",
            (
                "File that keeps the addresses blocked on the dashboard; without it, they are "
                "blocked until the server stops."
            ),
        ),
        Option(
            Group.MONITORING,
            "metrics",
            "ENDPOINT",
            "Endpoint of the Prometheus metrics, such as tcp:9100; default interface: loopback.",
        ),
        Option(
            Group.MONITORING,
            "dashboard",
            "ENDPOINT",
            "Endpoint of the dashboard (HTTP), such as tcp:9101; default interface: loopback.",
        ),
        Option(
            Group.MONITORING,
            "dashboard-token",
            "TOKEN",
            "Access token of the dashboard, at least 8 characters.",
            shown="generated and logged",
        ),
        Option(
            Group.MONITORING,
            "log-level",
            "LEVEL",
            (
                "Minimum log level: debug, info, warn or error. At info, frequent events are "
                "summarized."
            ),
            "info",
        ),
        Option(
            Group.MONITORING,
            "log-format",
            "FORMAT",
            "Format of the log: text, or json for one JSON object per line.",
            "text",
        ),
        Option(
            Group.SHUTDOWN,
            "drain-timeout",
            "SECONDS",
            "After SIGUSR2: maximum time to wait until all clients have disconnected.",
            DRAIN_TIMEOUT,
            seconds,
        ),
        Option(
            Group.SHUTDOWN,
            "drain-delay",
            "SECONDS",
            (
                "After SIGUSR2: time in which clients are still accepted, until the load balancer "
                "has noticed that /healthz answers 503."
            ),
            DRAIN_DELAY,
            seconds,
        ),
        Option(
            Group.SHUTDOWN,
            "shutdown-timeout",
            "SECONDS",
            "Maximum time to send buffered data and close all connections.",
            5.0,
            seconds,
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["policy-file"] = None
        self["measurements"] = None
        self.arguments: list[str] = []
        self._descriptions: list[str] = []

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """
        Parse the options. Under C{twistd} and C{twist} without C{--reactor}, install
        the C{openfl} reactor first: parsing an endpoint imports the reactor. The process keeps
        freed memory, see L{keepFreedMemory}. In the foreground, C{twistd} then writes no pid file
        by default.
        """
        if self.parent is not None:
            installDefault()
            keepFreedMemory()
            avoidPidFile(self.parent)
        self.arguments = list(sys.argv[1:] if options is None else options)
        super().parseOptions(options)
        dropCacheErrors()

    def opt_listen(self, description: str) -> None:
        """
        Listen on a Twisted endpoint; can be repeated.
        """
        reactor: Any = None
        if self.worker is not None:
            from twisted.internet import reactor

            try:
                reactor = self.worker.portReactor(reactor, len(self["listen"]))
            except ValueError as problem:
                raise usage.UsageError(f"--listen={description}: {problem}") from None
        self["listen"].append(_endpointOf("listen", description, _EXAMPLE, reactor))
        self._descriptions.append(description)

    opt_l = opt_listen

    def describePorts(self, hosts: Sequence[IAddress]) -> list[str]:
        """
        Return more log lines about open ports. Subclasses can override this method.

        @param hosts: the addresses of the ports.
        """
        return []

    def sharedEndpoints(self, reactor: Any) -> list[tuple[IStreamServerEndpoint, str]]:
        """
        Create the endpoints of C{--listen} again, with another reactor.

        @param reactor: the reactor.
        @return: the endpoints and their descriptions.
        """
        return [
            (_endpointOf("listen", description, _EXAMPLE, reactor), description)
            for description in self._descriptions
        ]

    @property
    def warnsOfVariables(self) -> bool:
        """
        Whether this process is not a worker: the supervisor has logged them already.
        """
        return self.worker is None

    def _checkWorkers(self) -> None:
        if self.worker is not None:
            found = [_port.search(self[name] or "") for name in ("metrics", "dashboard")]
            self.supervisorPorts = frozenset(int(each[1]) for each in found if each is not None)
            self.update({"workers": 1, "metrics": None, "dashboard": None, "dashboard-token": None})
        elif self["workers"] > 1 and os.name != "posix":
            raise usage.UsageError("--workers requires Linux or another POSIX system")

    def _readBlocks(self) -> BlockList | None:
        """
        Create the list of blocked addresses. A worker begins with the addresses of the file, and
        the supervisor sends all addresses when the ports of the worker are open.
        """
        path = self["block-file"]
        if self["dashboard"] is None and path is None:
            return None
        if self.worker is not None:
            blocks = BlockList()
            with suppress(OSError, ValueError):
                blocks.replace(BlockList(path).blocks())
            return blocks
        try:
            return BlockList(path)
        except OSError as problem:
            raise usage.UsageError(f"--block-file={path}: {problem.strerror}") from None
        except ValueError as problem:
            raise usage.UsageError(f"--block-file={path}: {problem}") from None

    def _checkMaximum(self) -> None:
        """
        Limit the connections to those that the reactor can watch.
        """
        from twisted.internet import reactor

        sockets = socketLimit(reactor)
        if sockets is None:
            return
        most = (sockets - _OTHER_SOCKETS) // self.socketsPerClient
        if self["max-connections"] == MAX_CONNECTIONS:
            self["max-connections"] = most
        elif not 0 < self["max-connections"] <= most:
            raise usage.UsageError(
                f"--max-connections={self['max-connections']}: must be 1 to {most}, because the "
                f"{type(reactor).__name__} can watch only {sockets} sockets"
            )

    def postOptions(self) -> None:
        # A worker measures for the metrics of its supervisor.
        isMeasured = self["metrics"] is not None
        self["block-list"] = self._readBlocks()
        self._checkWorkers()
        self._checkMaximum()
        level = oneOf("log-level", self["log-level"], _LEVELS)
        setLogLevel(LogLevel.levelWithName(level))
        if self.parent is not None and level != "debug":
            from twisted.internet import reactor

            limitLog(reactor)
        self._setLogFormat()
        self._listenByDefault()
        self["tls"] = self._certificates()
        self._readAdminEndpoints()
        if isMeasured:
            from openfl_twisted.dashboard.measuring import Measurements

            self["measurements"] = Measurements()

    def _setLogFormat(self) -> None:
        """
        Check C{--log-format}, and use it. A worker writes its events to its supervisor.
        """
        isJSON = oneOf("log-format", self["log-format"], _FORMATS) == "json"
        if isJSON and self.parent is not None and self.worker is None:
            try:
                logAsJSON(self.parent)
            except ValueError as problem:
                raise usage.UsageError(f"--log-format=json: {problem}") from None

    def _listenByDefault(self) -> None:
        """
        Listen on the default endpoint if there is no other one.
        """
        if self["public"]:
            if self["listen"]:
                raise usage.UsageError(
                    "--public and --listen cannot be used together: an endpoint without "
                    "interface=, such as --listen=tcp:8080, listens on all interfaces"
                )
            self.defaultEndpoint = self.defaultEndpoint.partition(":interface=")[0]
        if not self["listen"]:
            self.opt_listen(self.defaultEndpoint)

    def _readAdminEndpoints(self) -> None:
        if self["metrics"] is not None:
            if find_spec("prometheus_client") is None:
                raise usage.UsageError(
                    "--metrics requires prometheus-client: pip install 'openfl-twisted[metrics]'"
                )
            self["metrics"] = _adminEndpointOf("metrics", self["metrics"], 9100)
        token = self["dashboard-token"]
        if self["dashboard"] is None:
            if token is not None:
                raise usage.UsageError("--dashboard-token requires --dashboard")
            return
        self["dashboard"] = _adminEndpointOf("dashboard", self["dashboard"], 9101)
        if token is None:
            return
        if len(token) < _MIN_TOKEN or not _token.fullmatch(token):
            raise usage.UsageError(
                f"--dashboard-token must have at least {_MIN_TOKEN} characters, "
                "all from A-Z a-z 0-9 ._~+/=-"
            )

    def _certificates(self) -> "ServerCertificates | None":
        certificate, key = self["tls-certificate"], self["tls-key"]
        if certificate is None:
            for name in ("tls-key", "tls-client-ca"):
                if self[name] is not None:
                    raise usage.UsageError(f"--{name} requires --tls-certificate")
            return None
        from openfl_twisted.tls.identities import CertificateError
        from openfl_twisted.tls.server import ServerCertificates

        try:
            return ServerCertificates(certificate, key, clientCA=self["tls-client-ca"])
        except CertificateError as problem:
            raise usage.UsageError(f"--tls-certificate: {problem}") from None


class DataServerOptions(ServerOptions):
    """
    Options of the servers for client programs. All client types are accepted by
    default.

    After parsing, C{policy} is the L{PolicySource}, C{accept} the set of client types,
    C{pass-through} a set of L{Signature}, and C{trusted-proxies} a list of networks. A command
    can set C{http} to a factory for HTTP requests, see
    L{OnePortFactory<openfl_twisted.protocols.oneport.OnePortFactory>}.

    @cvar defaultAccept: the default of C{--accept}.
    """

    defaultAccept = "plain,websocket,tls"

    options: ClassVar[list[Option]] = [
        Option(
            Group.LISTENING,
            "accept",
            "TYPES",
            "Client types to accept, comma-separated; tls requires a certificate.",
            shown="plain,websocket,tls",
        ),
        Option(
            Group.LISTENING,
            "plain",
            "",
            "Disable protocol detection: accept only plain TCP or, with a certificate, only TLS.",
        ),
        Option(
            Group.LISTENING,
            "pass-through",
            "LIST",
            (
                "Protocols to pass to the application instead of refusing them: none, or a "
                "comma-separated list of http, tls and proxy."
            ),
            "none",
        ),
        Option(
            Group.LISTENING,
            "greeting-delay",
            "SECONDS",
            (
                "Time to wait for the first data of a new client before the application may send; "
                "0 to send immediately."
            ),
            GREETING_DELAY,
            seconds,
        ),
        Option(
            Group.LISTENING,
            "compress",
            "",
            "Compress the messages of WebSocket clients that offer permessage-deflate.",
        ),
        Option(
            Group.LISTENING,
            "subprotocol",
            "NAME",
            "WebSocket subprotocol to agree to, in addition to binary; can be repeated.",
        ),
        Option(
            Group.ACCESS,
            "policy",
            "SOURCE",
            (
                "Policy file to send to Flash programs: a file name; port, to allow all domains to "
                "connect to this port; or none, to send none."
            ),
            "port",
        ),
        Option(
            Group.ACCESS,
            "trusted-proxy",
            "NETWORK",
            (
                "Address or network of a proxy whose X-Forwarded-For and Forwarded headers are "
                "trusted; can be repeated."
            ),
        ),
        Option(
            Group.ACCESS,
            "forwarded-header",
            "NAME",
            (
                "The only header in which a trusted proxy sends the client's address, such as "
                "X-Real-IP or CF-Connecting-IP."
            ),
            shown="X-Forwarded-For or Forwarded",
        ),
        Option(
            Group.LIMITS,
            "ping-interval",
            "SECONDS",
            "Time without data after which a WebSocket ping is sent; 0 for never.",
            PING_INTERVAL,
            seconds,
        ),
        Option(
            Group.LIMITS,
            "idle-timeout",
            "SECONDS",
            "Time without data from a client after which it is disconnected.",
            0.0,
            seconds,
        ),
        *recordingOptions(size),
    ]

    def __init__(self) -> None:
        super().__init__()
        self["trusted-proxies"] = []
        self["subprotocols"] = []
        self["http"] = None
        self["record-hide"] = {}

    def remarks(self) -> list[str]:
        certificates = self["tls"]
        if certificates is None:
            return []
        return [
            *(f"certificate {identity}" for identity in certificates.identities),
            *(f"warning: {problem}" for problem in certificates.problems()),
        ]

    def opt_record_hide(self, text: str) -> None:
        """
        Remove a secret from recordings; can be repeated.
        """
        name, equals, pattern = text.partition("=")
        if not (name and equals):
            raise usage.UsageError(f"--record-hide={text}: must have the form NAME=REGEX")
        self["record-hide"][name] = pattern

    def opt_subprotocol(self, name: str) -> None:
        """
        Agree to a WebSocket subprotocol; can be repeated.
        """
        if not _subprotocol.fullmatch(name):
            raise usage.UsageError(
                f"--subprotocol={name}: must be one name, such as chat, without spaces and commas"
            )
        self["subprotocols"].append(name)

    def opt_trusted_proxy(self, network: str) -> None:
        """
        Trust the forwarding headers of a proxy; can be repeated.
        """
        try:
            self["trusted-proxies"].append(ip_network(network))
        except ValueError as problem:
            raise usage.UsageError(f"--trusted-proxy={network}: {problem}") from None

    def postOptions(self) -> None:
        """
        Parse the client types, and read the policy file.

        @raise usage.UsageError: if a value is invalid, or if two options cannot be used
            together.
        """
        super().postOptions()
        try:
            self["accept"] = parseClientTypes(self["accept"] or self.defaultAccept)
        except ValueError as problem:
            raise usage.UsageError(f"--accept: {problem}") from None
        try:
            self["pass-through"] = parsePassThrough(self["pass-through"])
        except ValueError as problem:
            raise usage.UsageError(f"--pass-through: {problem}") from None
        if self["tls"] is None and self["accept"] == {ClientType.TLS, ClientType.POLICY}:
            raise usage.UsageError("--accept=tls requires --tls-certificate")
        if self["tls-client-ca"] is not None and ClientType.TLS not in self["accept"]:
            raise usage.UsageError("--tls-client-ca requires tls in --accept")
        if self["plain"] and self["accept"] != ALL_TYPES:
            raise usage.UsageError("--plain and --accept cannot be used together")
        self._checkForwardedHeader()
        if self["policy"] not in ("port", "none"):
            self["policy-file"] = self["policy"]
        self["policy"] = readPolicy(self["policy"], parsePolicy)
        self.readApplication()
        self["recorder"] = makeRecorder(self)

    def _checkForwardedHeader(self) -> None:
        name = self["forwarded-header"]
        if name is None:
            return
        if not _subprotocol.fullmatch(name):
            raise usage.UsageError(
                f"--forwarded-header={name}: must be the name of a header, such as X-Real-IP"
            )
        if not self["trusted-proxies"]:
            raise usage.UsageError(
                "--forwarded-header requires --trusted-proxy with the address of the proxy"
            )

    def readApplication(self) -> None:
        """
        Parse the options of the application. They are parsed before those of recordings, since the
        application can determine the dialect. The default does nothing.

        @raise usage.UsageError: if an option is invalid.
        """
