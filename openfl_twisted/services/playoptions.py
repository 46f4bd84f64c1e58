"""
The options that serve web pages beside a game, and the HTTP server of a command.
"""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.interfaces import IAddress
from twisted.python import usage

from openfl_twisted.addresses import describe, portOf
from openfl_twisted.commandline import Group, Option
from openfl_twisted.services.configuration import readTable, toTOML
from openfl_twisted.services.options import DataServerOptions, count
from openfl_twisted.services.sitefiles import SiteFolder, contentTypeOf
from openfl_twisted.similar import similarTo
from openfl_twisted.transports.guard import MAX_HTTP
from openfl_twisted.wire.firstbytes import ClientType, Signature

# The table of the configuration file with settings of Ruffle.
_TABLE = "ruffle-config"

_PACKAGE = "node_modules/@ruffle-rs/ruffle"
_SIGNATURES = (b"FWS", b"CWS", b"ZWS")
_TWINS = {"localhost": "127.0.0.1", "127.0.0.1": "localhost"}
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "[::]": "localhost"}  # noqa: S104
_origin = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?|\*")
_socket = re.compile(r"(?:\[([0-9a-fA-F:.]+)\]|([^\s:/]+)):([0-9]{1,5})")
# Without the characters that separate the sources and directives of a Content-Security-Policy.
_url = re.compile(r"https://[A-Za-z0-9._~/@%:+-]+")


class PlayOptions(DataServerOptions):
    """
    Options of the servers that can serve web pages beside the game. After parsing, C{http} is the
    factory of the HTTP server, or C{None}; and C{play-sockets} contains the hosts and ports of
    C{--play-socket}.
    """

    ownTables = frozenset({_TABLE})

    options: ClassVar[list[Option]] = [
        Option(
            Group.SITE,
            "site",
            "FOLDER",
            "Folder with files to serve by HTTP on the same port.",
        ),
        Option(
            Group.SITE,
            "play",
            "FILE",
            "SWF file in the folder of --site, to run in Ruffle on the first page.",
        ),
        Option(
            Group.SITE,
            "ruffle",
            "FOLDER",
            "Folder of Ruffle, or its https:// URL.",
            shown=f"{_PACKAGE} in the folder of --site, or here",
        ),
        Option(
            Group.SITE,
            "play-socket",
            "HOST:PORT",
            "Host and port to which the SWF file connects, as written in it; can be repeated.",
        ),
        Option(
            Group.SITE,
            "cors",
            "ORIGIN",
            "Origin whose pages may read the files, such as https://games.example; * for all.",
        ),
        Option(
            Group.LIMITS,
            "max-site-connections",
            "N",
            "Maximum number of HTTP connections.",
            MAX_HTTP,
            count,
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self["play-sockets"] = []
        self._ruffleVersion = ""

    def opt_play_socket(self, address: str) -> None:
        """
        Add a host and port to which the SWF file connects; can be repeated.
        """
        found = _socket.fullmatch(address)
        if found is not None and not 1 <= int(found[3]) <= 65535:
            raise usage.UsageError(
                f"--play-socket={address}: the port must be a number from 1 to 65535"
            )
        if found is None:
            raise usage.UsageError(
                f"--play-socket={address}: must be HOST:PORT, such as localhost:8001"
            )
        self["play-sockets"].append((found[1] or found[2], int(found[3])))

    def playSockets(self) -> list[tuple[str, int, str]]:
        """
        Return the hosts and ports to which the SWF file connects, each with the path of its
        WebSocket relative to the page.
        """
        return [(host, port, "./") for host, port in self["play-sockets"]]

    def _allSockets(self) -> list[tuple[str, int, str]]:
        """
        Return the result of L{playSockets}, with C{localhost} for each C{127.0.0.1}, and vice
        versa: Ruffle compares the text.
        """
        sockets = self.playSockets()
        found: dict[tuple[str, int], str] = {}
        for twins in ({}, _TWINS):
            for host, port, path in sockets:
                found.setdefault((twins.get(host, host), port), path)
        return [(host, port, path) for (host, port), path in found.items()]

    def postOptions(self) -> None:
        super().postOptions()
        missing = "site" if self["site"] is None else "play"
        if self[missing] is None:
            self._refuseWithout(missing)
        if self["site"] is None:
            return
        self._checkSite()
        ruffle = None if self["play"] is None else self._checkPlay()
        self["http"] = self._makeFactory(ruffle)

    def _refuseWithout(self, missing: str) -> None:
        """
        Refuse options that require C{--site} or C{--play}.
        """
        if missing == "site" and self["play"] is not None:
            path = Path(self["play"])
            raise usage.UsageError(
                f"--play requires --site: --site={path.parent} --play={path.name}"
            )
        if missing == "site" and self["cors"] is not None:
            raise usage.UsageError("--cors requires --site")
        for name, value in (("ruffle", self["ruffle"]), ("play-socket", self["play-sockets"])):
            if value:
                raise usage.UsageError(f"--{name} requires --play")

    def _checkSite(self) -> None:
        """
        Check the folder, and the options that cannot be used with it.
        """
        site = self["site"]
        if not site:
            # An unset variable of a shell script would serve the current directory.
            raise usage.UsageError("--site=: must be a folder; --site=. for the current directory")
        if not Path(site).is_dir():
            problem = "not a folder" if Path(site).exists() else "folder not found"
            raise usage.UsageError(f"--site={site}: {problem}")
        if self["plain"]:
            raise usage.UsageError("--plain and --site cannot be used together")
        if Signature.HTTP in self["pass-through"]:
            raise usage.UsageError("--pass-through=http and --site cannot be used together")
        if self["cors"] is not None and not _origin.fullmatch(self["cors"]):
            raise usage.UsageError(
                f"--cors={self['cors']}: must be * or an origin, such as https://games.example"
            )
        # The service can change the current directory.
        self._folder = SiteFolder(site)
        self._checkSecrets("site", site)

    def _checkSecrets(self, option: str, folder: str) -> None:
        """
        Check that a folder contains no file that must not be served.

        @param option: the option of the folder.
        """
        root = SiteFolder(folder).path
        for name, path in self._secrets():
            if Path(path).resolve().is_relative_to(root):
                raise usage.UsageError(
                    f"--{option}={folder}: {path} of --{name} is inside; move it to another folder"
                )

    def _secrets(self) -> Iterator[tuple[str, str]]:
        """
        Return the files and folders that must not be in a folder that is served, with the names of
        their options.
        """
        for name in ("record", "block-file"):
            if self[name] is not None:
                yield name, self[name]
        if self["tls-key"] is not None:
            yield "tls-key", self["tls-key"]
        elif self["tls-certificate"] is not None:
            # The file contains the private key too.
            yield "tls-certificate", self["tls-certificate"]
        config = self["config"]
        # The file can contain tokens and passwords.
        if config is not None and contentTypeOf(Path(config)) is not None:
            yield "config", config

    def _checkPlay(self) -> str:
        """
        Check the SWF file and Ruffle.

        @return: the folder or URL of Ruffle.
        """
        play, site, folder = self["play"], self["site"], self._folder
        names = [name for name in play.split("/") if name != "."]
        path = folder.find(names)
        if path is None or not path.is_file():
            programs = [each.name for each in folder.path.glob("*.[sS][wW][fF]")]
            # The path can be relative to the current directory.
            similar = similarTo(Path(play).name, programs)
            suggestion = f" (did you mean {similar}?)" if similar else ""
            if ".." not in names and (folder.path / play).is_file():
                raise usage.UsageError(f"--play={play}: not a SWF file{suggestion}")
            raise usage.UsageError(f"--play={play}: file not found in {site}{suggestion}")
        try:
            with path.open("rb") as file:
                isSWF = file.read(3) in _SIGNATURES
        except OSError as problem:
            raise usage.UsageError(f"--play={play}: {problem.strerror}") from None
        if not isSWF:
            raise usage.UsageError(f"--play={play}: not a SWF file")
        self["play"] = "/".join(names)
        if ClientType.WEBSOCKET not in self["accept"]:
            raise usage.UsageError("--play requires the client type websocket in --accept")
        if not self.playSockets():
            raise usage.UsageError(
                f"--play: which host and port does {play} connect to? --play-socket HOST:PORT"
            )
        return self._findRuffle()

    def _findRuffle(self) -> str:
        site, given = self["site"], self["ruffle"]
        if given is not None and "://" in given:
            url = given.removesuffix("ruffle.js")
            if not _url.fullmatch(url):
                raise usage.UsageError(f"--ruffle={given}: must be a folder or an https:// URL")
            return str(url)
        if given is not None and Path(given).is_file():
            raise usage.UsageError(
                f"--ruffle={given}: must be a folder or an https:// URL; try --ruffle="
                f"{Path(given).parent}"
            )
        for folder in [Path(site, _PACKAGE), Path(_PACKAGE)] if given is None else [Path(given)]:
            if Path(folder, "ruffle.js").is_file():
                self._checkSecrets("ruffle", str(folder))
                self._ruffleVersion = _versionOf(folder)
                return str(folder)
        if given is not None:
            raise usage.UsageError(f"--ruffle={given}: ruffle.js not found")
        raise usage.UsageError(
            f'--play: Ruffle not found; run "npm install @ruffle-rs/ruffle" in {site}, '
            "or pass --ruffle"
        )

    def _ruffleConfig(self) -> dict[str, Any]:
        """
        Return the settings of Ruffle in the configuration file.
        """
        path = self["config"]
        table = {} if path is None else readTable(path).get(_TABLE, {})
        if not isinstance(table, dict):
            raise usage.UsageError(f"--config={path}: {_TABLE} must be a table")
        if "socketProxy" in table:
            raise usage.UsageError(f"--config={path}: use play-socket instead of socketProxy")
        try:
            json.dumps(table, allow_nan=False)
        except (TypeError, ValueError):
            raise usage.UsageError(
                f"--config={path}: [{_TABLE}] must not contain dates, inf or nan"
            ) from None
        return table

    def _makeFactory(self, ruffle: str | None) -> Any:
        # Import the module here: most servers do not serve pages.
        from openfl_twisted.services.play import PlayFactory, PlaySite

        return PlayFactory(
            PlaySite(
                self["site"],
                play=self["play"],
                ruffle=ruffle,
                sockets=[] if self["play"] is None else self._allSockets(),
                config=self._ruffleConfig(),
                cors=self["cors"],
            )
        )

    def _resolved(self, arguments: list[str]) -> str:
        table = self._ruffleConfig()
        lines = [f"{toTOML(name)} = {toTOML(value)}\n" for name, value in table.items()]
        return super()._resolved(arguments) + (f"\n[{_TABLE}]\n{''.join(lines)}" if lines else "")

    def describePorts(self, hosts: Sequence[IAddress]) -> list[str]:
        if self["http"] is None:
            return []
        scheme = "http" if self["tls"] is None else "https"
        urls = [
            f"{scheme}://{_visited(describe(host))}/" for host in hosts if portOf(host) is not None
        ]
        if self["play"] is None:
            return [f"pages at {url}" for url in urls]
        sockets = ", ".join(f"{host}:{port}" for host, port, _ in self.playSockets())
        details = f"(Ruffle{self._ruffleVersion}; sockets: {sockets})"
        # The folder's own page replaces the generated page.
        own = self._folder.find(["index.html"])
        page = f"play {self['play']}" if own is None else f"index.html of {self['site']}"
        return [f"{page} at {url}  {details}" for url in urls]


def _visited(address: str) -> str:
    """
    Return the address for a browser on the same machine.
    """
    host, colon, port = address.rpartition(":")
    return f"{_WILDCARDS.get(host, host)}{colon}{port}"


def _versionOf(folder: Path) -> str:
    """
    Return the version of Ruffle after a space; an empty text if it is unknown.
    """
    try:
        version = json.loads((folder / "package.json").read_bytes())["version"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return f" {version}" if isinstance(version, str) and version.isprintable() else ""
