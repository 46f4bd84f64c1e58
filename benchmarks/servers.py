"""
Who is measured: how each server is started, and what it lacks to be.
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

HERE = Path(__file__).parent
PEERS = HERE / "peers"

OURS = "ours"
"""
With this the names of our own servers begin.
"""

Commands = Mapping[str, list[str]]

# The largest message that is measured comes back whole; nobody is too many.
_LIMITS = ["--max-message=256M", "--max-connections=20000"]
_QUEUE = ["--max-queue=256M"]
# Beyond a MiB these take time with the square of the size.
_QUADRATIC = frozenset({"large-64", "sizes-67108864"})


@dataclass(frozen=True)
class Server:
    """
    A server that can be measured.

    @ivar name: what it is called on the command line and in tables.
    @ivar commands: the command for each thing that it can do.
    @ivar settings: for the load generator, beside those of a workload.
    @ivar missing: what it lacks; empty if nothing.
    @ivar skips: workloads that would take too long.
    """

    name: str
    commands: Commands
    settings: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: str = ""
    skips: frozenset[str] = frozenset()

    def toDo(self, workload: Workload) -> tuple[list[str], dict[str, int]]:
        """
        Say how a workload is done with it.

        @return: the command of the server, and the settings for the load.
        """
        settings = {**workload.settings, **self.settings.get(workload.serves, {})}
        return self.commands[workload.serves], settings


def build(command: list[str]) -> str:
    """
    Run a compiler.

    @return: what is missing; empty if it went well.
    """
    program = shutil.which(command[0])
    if program is None:
        return f"there is no {command[0]}"
    done = subprocess.run([program, *command[1:]], capture_output=True, text=True, check=False)
    return f"{command[0]} failed: {done.stderr}" if done.returncode else ""


def buildLoad(folder: Path) -> str:
    """
    Compile the load generator.

    @param folder: where to.
    @return: what is missing; empty if it went well.
    """
    sources = sorted(map(str, (HERE / "load").glob("*.c")))
    return build(["cc", "-O2", "-o", str(folder / "load"), *sources])


def _module(name: str) -> str:
    """
    Check whether a library is installed.

    @return: what is missing; empty if it is there.
    """
    return "" if importlib.util.find_spec(name) else f"{name} is not installed"


def _each(what: str, *command: str | Path) -> Commands:
    """
    Make the commands of a server whose last argument says what to do.
    """
    # Who knows no rooms sends to all.
    shared = {"policy-port": "policy", "rooms": "broadcast"}
    return {each: [*map(str, command), shared.get(each, each)] for each in what.split()}


_STREAMS = "echo broadcast rooms policy policy-port datagrams"


def _python(*arguments: str) -> list[str]:
    return [sys.executable, str(PEERS / arguments[0]), *arguments[1:]]


def _cServer(folder: Path) -> Server:
    missing = build(["cc", "-O3", "-o", str(folder / "server"), str(PEERS / "server.c")])
    return Server("C", _each(f"{_STREAMS} websocket", folder / "server"), missing=missing)


def _java(folder: Path) -> Server:
    missing = build(["javac", "-d", str(folder), str(PEERS / "Server.java")])
    command = ["java", "-XX:+UseSerialGC", "-cp", str(folder), "Server"]
    return Server("Java", _each(_STREAMS, *command), missing=missing)


def _node() -> Iterator[Server]:
    program, script = shutil.which("node"), str(PEERS / "server.js")
    missing = "" if program else "there is no node"
    yield Server("Node", _each(_STREAMS, "node", script), missing=missing)
    if not missing and not (PEERS / "node_modules" / "ws").exists():
        missing = "ws is not installed: npm install --prefix benchmarks/peers"
    yield Server("Node ws", _each("websocket", "node", script), missing=missing)


def _others(folder: Path) -> Iterator[Server]:
    """
    Name the peers.
    """
    yield _cServer(folder)
    yield Server(
        "uvloop", _each(_STREAMS, *_python("loops.py", "uvloop")), missing=_module("uvloop")
    )
    yield Server("asyncio", _each(_STREAMS, *_python("loops.py", "asyncio")))
    for name in ("LineReceiver", "LineOnlyReceiver"):
        commands = _each(_STREAMS, *_python("receivers.py", name))
        yield Server(f"Twisted {name}", commands, skips=_QUADRATIC)
    yield from _node()
    yield _java(folder)
    yield Server("Autobahn", {"websocket": _python("autobahns.py")}, missing=_module("autobahn"))
    yield Server("websockets", {"websocket": _python("websocketsserver.py")})


def _twistd(reactor: str, command: str, *options: str) -> list[str]:
    twistd = str(Path(sys.executable).parent / "twistd")
    start = [*(twistd, "-n", "--pidfile=", "--logfile=-"), f"--reactor={reactor}", command]
    kind = "udp" if "--udp" in options else "tcp"
    backlog = "" if kind == "udp" else ":backlog=1024"
    return [*start, f"--listen={kind}:0:interface=127.0.0.1{backlog}", *options]


def _ownServers(reactor: str, ending: str) -> Iterator[Server]:
    """
    Name our own servers.

    @param reactor: the reactor, as C{twistd} takes it.
    @param ending: what is added to their names.
    """
    alone = {
        "bytes": ("echo",),
        "text": ("echo", "broadcast", "websocket", "policy", "policy-port"),
        "list": ("echo", "broadcast", "websocket"),
    }
    if not hasattr(XMLSocketProtocol, "messagesReceived"):
        del alone["list"]
    words = {"websocket": "oneport", "policy": "oneport"}
    for layer, what in alone.items():
        commands = {
            each: _python("ours.py", reactor, words.get(each, each), layer) for each in what
        }
        yield Server(f"{OURS} {layer}{ending}", commands)
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
    # It sends to all others, once it knows of the silent ones that they are plain clients; and its
    # answers to datagrams have 8 bytes before them.
    relayed = {"silent": 1, "settle": 1000}
    settings = {
        "broadcast": relayed,
        "rooms": {**relayed, "join": 1},
        "members": {"join": 1},
        "datagrams": {"prefix": 8},
    }
    yield Server(f"{OURS} twistd{ending}", commands, settings)
    quiet = {each: [*commands[each], "--log-level=warn"] for each in ("policy", "policy-port")}
    yield Server(f"{OURS} twistd quiet{ending}", quiet)


def servers(folder: Path) -> list[Server]:
    """
    Name all servers, and compile those that want it.

    @param folder: where compiled programs go.
    """
    installed = {each.shortName for each in getReactorTypes()}
    found = [*_ownServers("default", "")]
    for reactor in ("openfl", "openfl-uvloop"):
        if reactor in installed:
            found += _ownServers(reactor, f" on {reactor}")
    return [*found, *_others(folder)]
