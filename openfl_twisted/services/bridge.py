"""
C{twistd openfl-bridge}: makes a server that only speaks TCP reachable from the
browser.
"""

import json
import re
import sys
from typing import Any

from twisted.application.service import IService
from twisted.internet.endpoints import clientFromString
from twisted.python import usage

from openfl_twisted.endpoints import seconds
from openfl_twisted.protocols.bridge import (
    CONNECT_TIMEOUT,
    BridgeFactory,
    BridgeFraming,
    Target,
)
from openfl_twisted.services.configuration import readTable, toTOML
from openfl_twisted.services.options import DataServerOptions, oneOf, size
from openfl_twisted.services.serving import serveData
from openfl_twisted.transports.buffered import MAX_QUEUE
from openfl_twisted.wire.messages import MAX_LENGTH

_FRAMINGS = tuple(framing.value for framing in BridgeFraming)
_KEYS = {"name", "connect", "framing"}
_name = re.compile(r"[A-Za-z0-9_.-]+")
_tcp = re.compile(r"(?:tcp|ssl|tls|hostname):(?:host=)?([^:]+):(?:port=)?([0-9]+)")


def _makeTarget(name: str, connect: str, framing: str) -> Target:
    """
    Read a target.

    @raise usage.UsageError: if one of these is wrong.
    """
    from twisted.internet import reactor

    if not _name.fullmatch(name):
        raise usage.UsageError(f"{name!r} is no name of a target: letters, digits and -._")
    oneOf("framing", framing, _FRAMINGS)
    try:
        endpoint = clientFromString(reactor, connect)
    except Exception as problem:
        # Each kind of endpoint comes from another plugin, and fails in its own way.
        reason = str(problem) or type(problem).__name__
        raise usage.UsageError(
            f"--connect={connect}: {reason}; try for example tcp:game.example:9339"
        ) from None
    return Target(name, endpoint, connect, BridgeFraming(framing))


def _readTargets(path: str, framing: str) -> dict[str, Target]:
    """
    Read a table of targets.

    @raise usage.UsageError: if it is no such file.
    """
    entries = readTable(path).get("target")
    if not isinstance(entries, list) or not entries:
        raise usage.UsageError(f"--config={path}: there must be [[target]]")
    targets: dict[str, Target] = {}
    for entry in entries:
        texts = isinstance(entry, dict) and all(isinstance(each, str) for each in entry.values())
        if not texts or not {"name", "connect"} <= set(entry) <= _KEYS:
            raise usage.UsageError(
                f"--config={path}: a target has name and connect, and can have framing: {entry!r}"
            )
        target = _makeTarget(entry["name"], entry["connect"], entry.get("framing", framing))
        if target.name in targets:
            raise usage.UsageError(f"--config={path}: there are two targets {target.name}")
        targets[target.name] = target
    return targets


def _ruffleConfig(targets: dict[str, Target], url: str) -> str:
    """
    Write what Ruffle has to be told: which of a program's connections go where.
    """
    found = ((target, _tcp.match(target.description)) for target in targets.values())
    proxies = [
        {
            "host": match[1],
            "port": int(match[2]),
            "proxyUrl": f"{url.rstrip('/')}/{target.name}",
        }
        for target, match in found
        if match
    ]
    return json.dumps({"socketProxy": proxies}, indent=2)


class Options(DataServerOptions):
    """
    The options of C{twistd openfl-bridge}. After parsing, C{targets} is the table
    of targets.
    """

    ownTables = frozenset({"target"})

    defaultEndpoint = "tcp:9000:interface=127.0.0.1"

    longdesc = (
        "A bridge: programs in a browser (OpenFL, Ruffle) reach a server that only speaks TCP, "
        "and so does everybody else. Nobody gets anywhere but to the servers named here, by "
        "--connect or by [[target]] in the file of --config. "
        f"Listens on {defaultEndpoint} if not told otherwise."
    )

    optFlags = [
        ["proxy-protocol", None, "Tell the server each client's address: PROXY protocol, v1."],
    ]

    optParameters: list[list[Any]] = [
        ["connect", None, None, "The server: a Twisted endpoint such as tcp:game.example:9339."],
        [
            "framing",
            None,
            "xml",
            "xml: each message of the server ends with a zero byte, and stays whole; or raw.",
        ],
        [
            "connect-timeout",
            None,
            CONNECT_TIMEOUT,
            "Seconds to connect to the server; 0 for no limit.",
            seconds,
        ],
        [
            "max-message",
            None,
            MAX_LENGTH,
            "Maximum message size in bytes (suffixes K and M allowed); 0 for no limit.",
            size,
        ],
        [
            "max-queue",
            None,
            MAX_QUEUE,
            "Maximum bytes queued for a slow peer, which is then disconnected; 0 for no limit.",
            size,
        ],
        [
            "show-ruffle-config",
            None,
            None,
            "Print Ruffle's configuration for pages that reach the bridge at this URL, and exit.",
        ],
    ]

    def _resolved(self, arguments: list[str]) -> str:
        tables = [
            f"\n[[target]]\nname = {toTOML(target.name)}\n"
            f"connect = {toTOML(target.description)}\nframing = {toTOML(target.framing.value)}\n"
            for target in self["targets"].values()
        ]
        return super()._resolved(arguments) + "".join(tables)

    def postOptions(self) -> None:
        """
        Read the table.

        @raise usage.UsageError: if there is no target, or one is wrong; or if
            another option is.
        @raise SystemExit: with 0, when Ruffle's configuration has been printed.
        """
        if self["connect"] is None:
            if self["config"] is None:
                raise usage.UsageError("give --connect or --config")
            self["targets"] = _readTargets(self["config"], self["framing"])
        else:
            self["targets"] = {"game": _makeTarget("game", self["connect"], self["framing"])}
        url = self["show-ruffle-config"]
        if url is not None:
            if not url.startswith(("ws://", "wss://")):
                raise usage.UsageError(f"--show-ruffle-config={url}: this must be a ws:// URL")
            sys.stdout.write(_ruffleConfig(self["targets"], url) + "\n")
            sys.exit(0)
        super().postOptions()


def makeService(options: Options) -> IService:
    """
    Make the service of C{twistd openfl-bridge}.

    @param options: the options, parsed.
    @return: a L{ServerService<openfl_twisted.services.serving.ServerService>},
        which opens its ports when it is started.
    """
    factory = BridgeFactory(
        options["targets"],
        connectTimeout=options["connect-timeout"],
        proxyProtocol=bool(options["proxy-protocol"]),
        maxMessage=options["max-message"],
        maxQueue=options["max-queue"],
    )
    return serveData(options, factory)
