"""
The measured servers: their commands and requirements.
"""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from twisted.application.reactors import getReactorTypes

from benchmarks.workloads import Workload
from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol

ROOT = Path(__file__).parent
PEERS = ROOT / "peers"

OURS = "ours"
"""
The names of our own servers start with this word.
"""

Commands = Mapping[str, list[str]]

# The limits allow the largest measured message and number of connections.
_LIMITS = ["--max-message=256M", "--max-connections=20000"]
_QUEUE = ["--max-queue=256M"]
# Servers whose time grows with the square of the size are skipped in these workloads.
_QUADRATIC = frozenset({"large-64", "sizes-67108864"})


@dataclass(frozen=True)
class Server:
    """
    A server that can be measured.

    @ivar name: its name on the command line and in tables.
    @ivar commands: the commands to start it, by service (see L{Workload}).
    @ivar settings: additional settings of the load generator, by service.
    @ivar missing: the missing requirement, or an empty string.
    @ivar skips: names of workloads that would take too long.
    """

    name: str
    commands: Commands
    settings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: str = ""
    skips: frozenset[str] = frozenset()

    def plan(self, workload: Workload) -> tuple[list[str], dict[str, int]]:
        """
        Return the command of the server for a workload, and the settings of the load.
        """
        settings = {**workload.settings, **self.settings.get(workload.serves, {})}
        return self.commands[workload.serves], settings


def build(command: list[str]) -> str:
    """
    Run a compiler.

    @return: the reason for a failure, or an empty string.
    """
    program = shutil.which(command[0])
    if program is None:
        return f"{command[0]} is not installed"
    result = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return f"{command[0]} failed: {result.stderr}" if result.returncode else ""


def buildLoad(folder: Path) -> str:
    """
    Compile the load generator.

    @param folder: the folder for the program.
    @return: the reason for a failure, or an empty string.
    """
    sources = sorted(map(str, (ROOT / "load").glob("*.c")))
    return build(["cc", "-O2", "-o", str(folder / "load"), *sources])


def _module(name: str) -> str:
    """
    Return the missing requirement if a library is not installed, or an empty string.
    """
    return "" if importlib.util.find_spec(name) else f"{name} is not installed"


def _commands(modes: str, *command: str | Path) -> Commands:
    """
    Return the commands of a server whose last argument is the mode.

    @param modes: the supported services, separated by spaces.
    """
    # Without rooms, a message is sent to all clients.
    shared = {"policy-port": "policy", "rooms": "broadcast"}
    return {each: [*map(str, command), shared.get(each, each)] for each in modes.split()}


_STREAMS = "echo broadcast rooms policy policy-port datagrams"


def _python(*arguments: str) -> list[str]:
    return [sys.executable, str(PEERS / arguments[0]), *arguments[1:]]


def _cServer(folder: Path) -> Server:
    missing = build(["cc", "-O3", "-o", str(folder / "server"), str(PEERS / "server.c")])
    return Server("C", _commands(f"{_STREAMS} websocket", folder / "server"), missing=missing)


def _java(folder: Path) -> Server:
    missing = build(["javac", "-d", str(folder), str(PEERS / "Server.java")])
    command = ["java", "-XX:+UseSerialGC", "-cp", str(folder), "Server"]
    return Server("Java", _commands(_STREAMS, *command), missing=missing)


def _node() -> Iterator[Server]:
    program, script = shutil.which("node"), str(PEERS / "server.js")
    missing = "" if program else "node is not installed"
    yield Server("Node", _commands(_STREAMS, "node", script), missing=missing)
    if not missing and not (PEERS / "node_modules" / "ws").exists():
        missing = "ws is not installed: npm install --prefix benchmarks/peers"
    yield Server("Node ws", _commands("websocket", "node", script), missing=missing)


def _others(folder: Path) -> Iterator[Server]:
    """
    Yield the servers to compare with.
    """
    yield _cServer(folder)
    yield Server(
        "uvloop", _commands(_STREAMS, *_python("loops.py", "uvloop")), missing=_module("uvloop")
    )
    yield Server("asyncio", _commands(_STREAMS, *_python("loops.py", "asyncio")))
    for name in ("LineReceiver", "LineOnlyReceiver"):
        commands = _commands(_STREAMS, *_python("receivers.py", name))
        yield Server(f"Twisted {name}", commands, skips=_QUADRATIC)
    yield from _node()
    yield _java(folder)
    yield Server("Autobahn", {"websocket": _python("autobahns.py")}, missing=_module("autobahn"))
    yield Server(
        "picows",
        {"websocket": _python("picowsserver.py")},
        missing=_module("picows") or _module("uvloop"),
    )
    yield Server("websockets", {"websocket": _python("websocketsserver.py")})


def _twistd(reactor: str, command: str, *options: str) -> list[str]:
    twistd = str(Path(sys.executable).parent / "twistd")
    start = [*(twistd, "-n", "--pidfile=", "--logfile=-"), f"--reactor={reactor}", command]
    kind = "udp" if "--udp" in options else "tcp"
    backlog = "" if kind == "udp" else ":backlog=1024"
    return [*start, f"--listen={kind}:0:interface=127.0.0.1{backlog}", *options]


def _ownServers(reactor: str, suffix: str) -> Iterator[Server]:
    """
    Yield the servers of this package.

    @param reactor: the reactor, as named by C{twistd}.
    @param suffix: the suffix of their names.
    """
    protocols = {
        "bytes": ("echo",),
        "text": ("echo", "broadcast", "websocket", "policy", "policy-port"),
        "list": ("echo", "broadcast", "websocket"),
    }
    if not hasattr(XMLSocketProtocol, "messagesReceived"):
        del protocols["list"]
    modes = {"websocket": "oneport", "policy": "oneport"}
    for layer, services in protocols.items():
        commands = {
            each: _python("ours.py", reactor, modes.get(each, each), layer) for each in services
        }
        yield Server(f"{OURS} {layer}{suffix}", commands)
    echo = _twistd(reactor, "openfl-xml", "--echo", *_LIMITS, *_QUEUE)
    relay = _twistd(reactor, "openfl-xml", *_LIMITS)
    rooms = [*relay, "--rooms=path", "--max-members=10000"]
    commands = {
        **dict.fromkeys(("echo", "websocket", "policy"), echo),
        "broadcast": relay,
        **dict.fromkeys(("rooms", "members"), rooms),
        "policy-port": _twistd(reactor, "openfl-policy", "--allow=*:*"),
        "datagrams": _twistd(reactor, "openfl-echo", "--udp"),
    }
    # A message is not sent back to its sender, and is sent to idle clients only after
    # protocol detection. Replies to datagrams have a prefix of 8 bytes.
    toOthers = {"silent": 1, "settle": 1000}
    settings = {
        "broadcast": toOthers,
        "rooms": {**toOthers, "join": 1},
        "members": {"join": 1},
        "datagrams": {"prefix": 8},
    }
    yield Server(f"{OURS} twistd{suffix}", commands, settings)
    quiet = {each: [*commands[each], "--log-level=warn"] for each in ("policy", "policy-port")}
    yield Server(f"{OURS} twistd quiet{suffix}", quiet)


def servers(folder: Path) -> list[Server]:
    """
    Return all servers, and compile those that require it.

    @param folder: the folder for compiled programs.
    """
    installed = {each.shortName for each in getReactorTypes()}
    found = [*_ownServers("default", "")]
    for reactor in ("openfl", "openfl-uvloop"):
        if reactor in installed:
            found += _ownServers(reactor, f" on {reactor}")
    return [*found, *_others(folder)]
