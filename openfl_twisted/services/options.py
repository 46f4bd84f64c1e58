"""
The options that the commands share.
"""

import re
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from ipaddress import ip_network
from typing import Any, NoReturn, TypeVar

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.logger import LogLevel
from twisted.python import usage

from openfl_twisted.endpoints import acceptOf, passThroughOf, policyOf, seconds, serverEndpoint
from openfl_twisted.logs import setLogLevel
from openfl_twisted.protocols.oneport import GREETING_DELAY
from openfl_twisted.protocols.websocket import PING_INTERVAL
from openfl_twisted.services.configuration import ConfiguredOptions
from openfl_twisted.tls.identities import CertificateError
from openfl_twisted.tls.server import ServerCertificates
from openfl_twisted.transports.guard import MAX_CONNECTIONS
from openfl_twisted.wire.firstbytes import ALL_TYPES, ClientType

MIN_TOKEN = 8
"""
Minimum length of the dashboard's access token (characters).
"""

_LEVELS = ("debug", "info", "warn", "error")
# A colon that is not part of a value.
_colon = re.compile(r"(?<!\\):")
# The endpoints that listen everywhere if they are not told where.
_LOOPBACK = {"tcp": "127.0.0.1", "tcp4": "127.0.0.1", "tcp6": r"\:\:1", "ssl": "127.0.0.1"}
_UNITS = {"": 1, "K": 1024, "M": 1024 * 1024}
# What can follow the word Bearer (RFC 6750).
_token = re.compile(r"[A-Za-z0-9._~+/=-]+")
_size = re.compile(r"([0-9]{1,15})([KM]?)", re.IGNORECASE)


def size(text: str) -> int:
    """
    Parse a maximum size: C{5000}, C{64K}, C{1M}; C{0} for no limit.

    @param text: digits (at most 15), and C{K} for KiB or C{M} for MiB, in any
        case.
    @return: the size (bytes); C{sys.maxsize} for no limit.
    @raise ValueError: if it is something else.
    """
    found = _size.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} must be a size in bytes, such as 5000, 64K or 1M")
    return int(found[1]) * _UNITS[found[2].upper()] or sys.maxsize


def rate(text: str) -> int:
    """
    Parse a number of bytes per second; 0 for no limit.

    @param text: see L{size}.
    @return: the rate; 0 for no limit.
    @raise ValueError: if it is something else.
    """
    number = size(text)
    return 0 if number == sys.maxsize else number


def count(text: str) -> int:
    """
    Read a number of things.

    @param text: decimal digits of ASCII, and nothing else; 0 is a number too.
    @raise ValueError: if it is something else.
    """
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(f"{text!r} is not a number from 0 on")
    return int(text)


def oneOf(option: str, value: str, allowed: tuple[str, ...]) -> str:
    """
    Check that an option has one of its values.

    @param option: its name, without the dashes.
    @param value: what it was given; capital letters count.
    @param allowed: the values that there are.
    @return: the value.
    @raise usage.UsageError: if it is not among them, which the text names.
    """
    if value not in allowed:
        raise usage.UsageError(f"--{option}={value}: there are {', '.join(allowed)}")
    return value


def _endpointOf(option: str, description: str, example: str) -> IStreamServerEndpoint:
    """
    Read where to listen.

    @raise usage.UsageError: if there is no such endpoint.
    """
    from twisted.internet import reactor

    try:
        endpoint = serverEndpoint(reactor, description)
    except KeyError as problem:
        # This is all that Twisted says of a name that systemd did not give.
        raise usage.UsageError(f"--{option}={description}: there is no {problem}") from None
    except Exception as problem:
        # Each kind of endpoint comes from another plugin, and fails in its own way.
        reason = str(problem) or type(problem).__name__
        raise usage.UsageError(
            f"--{option}={description}: {reason}; try for example {example}"
        ) from None
    return endpoint


def _adminEndpointOf(option: str, description: str, port: int) -> IStreamServerEndpoint:
    """
    Parse the endpoint of metrics or dashboard. The default interface is the
    loopback interface.

    @raise usage.UsageError: if the description is invalid.
    """
    kind, _, *more = [*_colon.split(description), ""]
    # A positional argument after the port is the interface.
    if kind in _LOOPBACK and all("=" in field and "interface=" not in field for field in more[:-1]):
        description += f":interface={_LOOPBACK[kind]}"
    return _endpointOf(option, description, f"tcp:{port}")


T = TypeVar("T")


def readPolicy(path: str, read: Callable[[str], T]) -> T:
    """
    Read the policy that an option names.

    @param path: what C{--policy} was given.
    @param read: reads it; raises C{OSError} or C{ValueError} if it cannot.
    @raise usage.UsageError: if it cannot be read, is none, or grants nothing.
    """
    try:
        return read(path)
    except OSError as error:
        raise usage.UsageError(f"--policy={path}: {error.strerror}") from None
    except ValueError as error:
        raise usage.UsageError(f"--policy={path}: {error}") from None


def _named(parameter: list[Any]) -> list[Any]:
    """
    Have a parameter say its name if its value is wrong.
    """
    name, short, default, words, *rest = parameter
    if not rest:
        return parameter

    def read(text: str) -> Any:
        try:
            return rest[0](text)
        except ValueError as problem:
            raise ValueError(f"--{name}: {problem}") from None

    return [name, short, default, words, read]


class ServerOptions(usage.Options):
    """
    Options of every server. After parsing, C{listen} is the list of endpoints,
    C{tls} the L{ServerCertificates} or C{None}, C{metrics} and C{dashboard} an
    endpoint or C{None} each, and C{policy-file} the path of the policy file or
    C{None}.

    @cvar defaultEndpoint: where the server listens if it is not told.
    """

    defaultEndpoint = ""

    def __init_subclass__(cls) -> None:
        """
        Have each option say its name if its value is wrong.
        """
        super().__init_subclass__()
        cls.optParameters = [_named(each) for each in vars(cls).get("optParameters", [])]

    optParameters: list[list[Any]] = [
        [
            "tls-certificate",
            None,
            None,
            "Speak TLS: a PEM file with the certificate and its chain, or a folder of *.pem files.",
        ],
        ["tls-key", None, None, "The PEM file with the private key, if it is a file of its own."],
        [
            "max-connections",
            None,
            MAX_CONNECTIONS,
            "Maximum number of clients; 0 for no limit.",
            count,
        ],
        [
            "max-per-address",
            None,
            0,
            "Maximum number of clients from one IP address, or IPv6 /64; 0 for no limit.",
            count,
        ],
        [
            "metrics",
            None,
            None,
            "Endpoint of the Prometheus metrics, such as tcp:9100; default interface: loopback.",
        ],
        [
            "dashboard",
            None,
            None,
            "Endpoint of the dashboard (HTTP), such as tcp:9101; default interface: loopback.",
        ],
        [
            "dashboard-token",
            None,
            None,
            "Token of the dashboard (at least 8 characters; default: generated and logged).",
        ],
        [
            "shutdown-timeout",
            None,
            5.0,
            "How many seconds the clients get to take what was sent when the server ends.",
            seconds,
        ],
        ["log-level", None, "info", "The least that is logged: debug, info, warn or error."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []
        self["policy-file"] = None

    def opt_listen(self, description: str) -> None:
        """
        Where to listen, as a Twisted endpoint; can be given several times.
        """
        endpoint = _endpointOf("listen", description, "tcp:8080:interface=127.0.0.1")
        self["listen"].append(endpoint)

    opt_l = opt_listen

    def opt_version(self) -> NoReturn:
        """
        Display the version of openfl-twisted and exit.
        """
        sys.stdout.write(f"openfl-twisted {version('openfl-twisted')}\n")
        sys.exit(0)

    def postOptions(self) -> None:
        level = oneOf("log-level", self["log-level"], _LEVELS)
        setLogLevel(LogLevel.levelWithName(level))
        if not self["listen"]:
            self.opt_listen(self.defaultEndpoint)
        self["tls"] = self._certificates()
        self._readAdminEndpoints()

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
        if len(token) < MIN_TOKEN or not _token.fullmatch(token):
            raise usage.UsageError(
                f"--dashboard-token must have at least {MIN_TOKEN} letters, digits or ._~+/=-"
            )

    def _certificates(self) -> ServerCertificates | None:
        certificate, key = self["tls-certificate"], self["tls-key"]
        if certificate is None:
            if key is not None:
                raise usage.UsageError(f"--tls-key={key}: --tls-certificate is missing")
            return None
        try:
            return ServerCertificates(certificate, key)
        except CertificateError as problem:
            raise usage.UsageError(f"--tls-certificate: {problem}") from None


class DataServerOptions(ConfiguredOptions, ServerOptions):
    """
    What every server can be told to which programs connect for their own data.
    Every kind of client can, unless it is said otherwise.

    After parsing, C{policy} is the L{PolicySource}, C{accept} the set of client
    types, C{pass-through} a set of L{Signature}, and C{trusted-proxies} a list of
    networks.
    """

    optFlags = [
        [
            "plain",
            None,
            "Disable protocol detection: plain TCP only, or TLS only with a certificate.",
        ],
        ["compress", None, "Compress the messages of WebSockets that offer it."],
    ]

    optParameters: list[list[Any]] = [
        [
            "policy",
            None,
            "port",
            "The answer to policy requests: a file, none, or port: all may connect to this port.",
        ],
        [
            "accept",
            None,
            "plain,websocket,tls",
            "Who may call, with commas; tls needs a certificate.",
        ],
        [
            "pass-through",
            None,
            "none",
            (
                "Protocols passed to the application instead of refusing their clients: none, or "
                "http, tls and proxy, comma-separated."
            ),
        ],
        [
            "ping-interval",
            None,
            PING_INTERVAL,
            "After how many silent seconds a WebSocket is sent a ping; 0 means never.",
            seconds,
        ],
        [
            "greeting-delay",
            None,
            GREETING_DELAY,
            "After how many seconds of silence a client is not one that asks for the policy file.",
            seconds,
        ],
        [
            "idle-timeout",
            None,
            0.0,
            "Seconds without data from a client until it is disconnected; 0 for no limit.",
            seconds,
        ],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["trusted-proxies"] = []

    def remarks(self) -> list[str]:
        certificates = self["tls"]
        if certificates is None:
            return []
        return [
            *(f"certificate {identity}" for identity in certificates.identities),
            *(f"warning: {problem}" for problem in certificates.problems()),
        ]

    def opt_trusted_proxy(self, network: str) -> None:
        """
        An address or network whose word is taken for who is behind it
        (X-Forwarded-For, Forwarded); can be given several times.
        """
        try:
            self["trusted-proxies"].append(ip_network(network))
        except ValueError as problem:
            raise usage.UsageError(f"--trusted-proxy={network}: {problem}") from None

    def postOptions(self) -> None:
        """
        Read who may call, and the policy file.

        @raise usage.UsageError: if a value is wrong, or if two options do not go
            together.
        """
        super().postOptions()
        try:
            self["accept"] = acceptOf(self["accept"])
        except ValueError as problem:
            raise usage.UsageError(f"--accept: {problem}") from None
        try:
            self["pass-through"] = passThroughOf(self["pass-through"])
        except ValueError as problem:
            raise usage.UsageError(f"--pass-through: {problem}") from None
        if self["tls"] is None and self["accept"] == {ClientType.TLS, ClientType.POLICY}:
            raise usage.UsageError("--accept=tls: --tls-certificate is missing")
        if self["plain"] and self["accept"] != ALL_TYPES:
            raise usage.UsageError("--plain and --accept: there can be one of them")
        if self["policy"] not in ("port", "none"):
            self["policy-file"] = self["policy"]
        self["policy"] = readPolicy(self["policy"], policyOf)
