"""
C{twistd openfl-bridge}: forwards WebSocket clients to TCP servers.
"""

import json
import re
import sys
from typing import ClassVar

from twisted.application.service import IService
from twisted.internet.endpoints import clientFromString
from twisted.python import usage

from openfl_twisted.commandline import Group, Option
from openfl_twisted.endpoints import describeEndpointError, seconds
from openfl_twisted.protocols.bridge import (
    CONNECT_TIMEOUT,
    BridgeFactory,
    Target,
)
from openfl_twisted.protocols.gateway import Gateway, Rule
from openfl_twisted.services.configuration import readTable, toTOML
from openfl_twisted.services.options import DataServerOptions, listenOption, oneOf, size
from openfl_twisted.services.playoptions import PlayOptions
from openfl_twisted.services.serving import serveData, supportsWorkers
from openfl_twisted.transports.buffered import MAX_QUEUE
from openfl_twisted.wire.dialects import dialectOfFraming
from openfl_twisted.wire.framing import FRAMINGS, NUL
from openfl_twisted.wire.messages import MAX_LENGTH

_KEYS = {"name", "connect", "framing"}
# Twisted requires a timeout; this is a day (seconds).
_DAY = 86400.0
_hostAndPort = re.compile(r"[A-Za-z0-9.-]+\.[A-Za-z0-9.-]+:[0-9]{1,5}|localhost:[0-9]{1,5}")
_name = re.compile(r"[A-Za-z0-9_.-]+")
_tcp = re.compile(r"(?:tcp|ssl|tls|hostname):(?:host=)?([^:]+):(?:port=)?([0-9]+)")


def _suggestionFor(connect: str) -> str:
    """
    Return the end of the error for a C{--connect} that is not an endpoint.
    """
    if _hostAndPort.fullmatch(connect):
        return f"did you mean tcp:{connect}?"
    return "try for example tcp:game.example:9339"


def _makeTarget(name: str, connect: str, framing: str) -> Target:
    """
    Create a bridge target from its name and the options C{connect} and C{framing}.

    @raise usage.UsageError: if an argument is invalid.
    """
    from twisted.internet import reactor

    if not _name.fullmatch(name):
        raise usage.UsageError(f"{name!r} is not a valid target name: use letters, digits and -._")
    oneOf("framing", framing, tuple(FRAMINGS))
    try:
        endpoint = clientFromString(reactor, connect)
    except Exception as problem:
        # Plugins parse the endpoint, and can raise any exception.
        reason = describeEndpointError(connect, problem)
        raise usage.UsageError(
            f"--connect={connect}: {reason}; {_suggestionFor(connect)}"
        ) from None
    return Target(name, endpoint, connect, FRAMINGS[framing])


def _readTargets(path: str, framing: str, rules: list[Rule]) -> dict[str, Target]:
    """
    Read the targets of a configuration file.

    @param rules: the rules of the gateway. Without a rule, there must be a target.
    @raise usage.UsageError: if the file or a target is invalid.
    """
    entries = readTable(path).get("target", [])
    if not isinstance(entries, list) or not (entries or rules):
        raise usage.UsageError(
            f"--config={path}: at least one [[target]] table, or one [[gateway]] table with a rule,"
            " is required"
        )
    targets: dict[str, Target] = {}
    for entry in entries:
        texts = isinstance(entry, dict) and all(isinstance(each, str) for each in entry.values())
        if not texts or not {"name", "connect"} <= set(entry) <= _KEYS:
            raise usage.UsageError(
                f"--config={path}: a target must have the strings name and connect, and may have"
                f" framing: {entry!r}"
            )
        target = _makeTarget(entry["name"], entry["connect"], entry.get("framing", framing))
        if target.name in targets:
            raise usage.UsageError(f"--config={path}: two targets are named {target.name}")
        targets[target.name] = target
    return targets


def _readRules(path: str) -> list[Rule]:
    """
    Read the rules of the gateway from a configuration file.

    @raise usage.UsageError: if a rule is invalid.
    """
    entries = readTable(path).get("gateway", [])
    rules: list[Rule] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        isTable = isinstance(entry, dict) and entry.keys() == {"allow"}
        allow = entry["allow"] if isTable else None
        if not isinstance(allow, list) or not all(isinstance(each, str) for each in allow):
            raise usage.UsageError(
                f"--config={path}: [[gateway]] must have only a list of texts named allow, such as"
                f' allow = ["game.example:9339"]: {entry!r:.80}'
            )
        try:
            rules += map(Rule.parse, allow)
        except ValueError as problem:
            raise usage.UsageError(f"--config={path}: [[gateway]]: {problem}") from None
    return rules


def _addressesOf(targets: dict[str, Target]) -> list[tuple[str, int, str]]:
    """
    Return the host, the port and the name of each target with a TCP endpoint.
    """
    found = ((target, _tcp.match(target.description)) for target in targets.values())
    return [(match[1], int(match[2]), target.name) for target, match in found if match]


def _ruffleConfig(targets: dict[str, Target], url: str) -> str:
    """
    Return Ruffle's configuration: the WebSocket URL for each host and port.
    """
    proxies = [
        {"host": host, "port": port, "proxyUrl": f"{url.rstrip('/')}/{name}"}
        for host, port, name in _addressesOf(targets)
    ]
    return json.dumps({"socketProxy": proxies}, indent=2)


class Options(PlayOptions):
    """
    The options of C{twistd openfl-bridge}. After parsing, C{targets} contains the
    targets by name.
    """

    ownTables = PlayOptions.ownTables | {"target", "gateway"}

    defaultEndpoint = "tcp:9000:interface=127.0.0.1"
    # A client, and its connection to the target.
    socketsPerClient = 2

    @property
    def serverDialect(self) -> str:  # type: ignore[override]
        """
        The dialect of recordings: that of the framing, if all targets have the same one.
        """
        dialects = {dialectOfFraming(each.framing.name) for each in self["targets"].values()}
        return dialects.pop() if len(dialects) == 1 else "raw"

    @property
    def defaultAccept(self) -> str:  # type: ignore[override]
        """
        The default of C{--accept}. With C{--play}, plain clients are not accepted: browsers open
        connections in advance, and each would be connected to the server of the game.
        """
        return "websocket,tls" if self["play"] is not None else DataServerOptions.defaultAccept

    longdesc = (
        "Bridge WebSocket clients, such as Ruffle and OpenFL HTML5, to TCP servers. Clients can "
        "reach only the server of --connect and those of [[target]] in the configuration file."
    )

    options: ClassVar[list[Option]] = [
        listenOption(defaultEndpoint),
        Option(
            Group.APPLICATION,
            "connect",
            "ENDPOINT",
            "Server to forward to: a Twisted endpoint such as tcp:game.example:9339.",
        ),
        Option(
            Group.APPLICATION,
            "framing",
            "FRAMING",
            (
                "How to split the server's data into WebSocket messages: nul (one for each "
                "NUL-terminated message), lines, crlf, u16, u32 (a length before each) or raw (as "
                "received)."
            ),
            NUL.name,
        ),
        Option(
            Group.APPLICATION,
            "proxy-protocol",
            "",
            "Send the client's address to the server in a PROXY protocol header (version 1).",
        ),
        Option(
            Group.APPLICATION,
            "show-ruffle-config",
            "URL",
            "Print Ruffle's configuration for pages that reach the bridge at this URL, and exit.",
        ),
        Option(
            Group.LIMITS,
            "connect-timeout",
            "SECONDS",
            "Maximum time to connect to the server.",
            CONNECT_TIMEOUT,
            seconds,
        ),
        Option(Group.LIMITS, "max-message", "BYTES", "Maximum message size.", MAX_LENGTH, size),
        Option(
            Group.LIMITS,
            "max-queue",
            "BYTES",
            "Maximum size of a peer's send queue; beyond it, the peer is disconnected.",
            MAX_QUEUE,
            size,
        ),
    ]

    def playSockets(self) -> list[tuple[str, int, str]]:
        """
        Return the hosts and ports of the targets, and those of C{--play-socket}, which are
        connected to the first target.
        """
        return [
            *super().playSockets(),
            *((host, port, f"./{name}") for host, port, name in _addressesOf(self["targets"])),
        ]

    def _resolved(self, arguments: list[str]) -> str:
        tables = [
            f"\n[[target]]\nname = {toTOML(target.name)}\n"
            f"connect = {toTOML(target.description)}\nframing = {toTOML(target.framing.name)}\n"
            for target in self["targets"].values()
        ]
        return super()._resolved(arguments) + "".join(tables)

    def postOptions(self) -> None:
        """
        Read the targets.

        @raise usage.UsageError: if a target is missing, or an option is invalid.
        @raise SystemExit: with status 0, after printing Ruffle's configuration.
        """
        self["rules"] = [] if self["config"] is None else _readRules(self["config"])
        if self["connect"] is None:
            if self["config"] is None:
                raise usage.UsageError("--connect is required, or --config with [[target]]")
            self["targets"] = _readTargets(self["config"], self["framing"], self["rules"])
        else:
            self["targets"] = {"game": _makeTarget("game", self["connect"], self["framing"])}
        url = self["show-ruffle-config"]
        if url is not None:
            if not url.startswith(("ws://", "wss://")):
                raise usage.UsageError(f"--show-ruffle-config={url}: must be a ws:// or wss:// URL")
            sys.stdout.write(_ruffleConfig(self["targets"], url) + "\n")
            sys.exit(0)
        super().postOptions()


@supportsWorkers
def makeService(options: Options) -> IService:
    """
    Create the service of C{twistd openfl-bridge}.

    @return: a L{ServerService<openfl_twisted.services.serving.ServerService>}, which
        opens its ports when it is started.
    """
    from twisted.internet import reactor

    gateway = None
    if options["rules"]:
        gateway = Gateway(
            options["rules"],
            reactor,
            timeout=options["connect-timeout"] or _DAY,
            framing=FRAMINGS[options["framing"]],
        )
    factory = BridgeFactory(
        options["targets"],
        gateway=gateway,
        connectTimeout=options["connect-timeout"],
        proxyProtocol=bool(options["proxy-protocol"]),
        maxMessage=options["max-message"],
        maxQueue=options["max-queue"],
    )
    service = serveData(options, factory)
    if gateway is not None:
        gateway.ownPorts = service.ownPorts
    return service
