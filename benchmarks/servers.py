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

from cryptography.hazmat.primitives.serialization import Encoding

from benchmarks.running import ANCHORS
from benchmarks.workloads import WORKERS, Workload
from openfl_twisted.testing import CertificateMaker

ROOT = Path(__file__).parent
PEERS = ROOT / "peers"

OURS = "ours"
"""
The names of our own servers start with this word.
"""

AS_TYPED = f"{OURS} twistd"
"""
The server that is compared with the goals: the C{twistd} commands with default options.
"""

Commands = Mapping[str, list[str]]

# The limits allow the largest measured message.
_LIMITS = ["--max-message=256M", "--max-queue=256M"]
# Servers whose time grows with the square of the size are skipped in these workloads.
_QUADRATIC = frozenset({"sizes-67108864"})


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


# Services that one mode of a server provides.
_SHARED = {
    **dict.fromkeys(("text", "large-text", "large-bytes", "tls", "start"), "echo"),
    # Without rooms, a message is sent to all clients.
    "rooms": "broadcast",
    "policy-port": "policy",
    "say-websocket": "say",
}


def _commands(services: str, *command: str | Path) -> dict[str, list[str]]:
    """
    Return the commands of a server whose last argument is the mode.

    @param services: the supported services, separated by spaces.
    """
    return {each: [*map(str, command), _SHARED.get(each, each)] for each in services.split()}


_STREAMS = "echo text large-text large-bytes broadcast rooms policy policy-port datagrams start"


def _python(*arguments: str) -> list[str]:
    return [sys.executable, str(PEERS / arguments[0]), *arguments[1:]]


def _cServer(folder: Path) -> Server:
    missing = build(["cc", "-O3", "-o", str(folder / "server"), str(PEERS / "server.c")])
    return Server("C", _commands(f"{_STREAMS} websocket", folder / "server"), missing=missing)


def _java(folder: Path) -> Server:
    missing = build(["javac", "-d", str(folder), str(PEERS / "Server.java")])
    command = ["java", "-XX:+UseSerialGC", "-cp", str(folder), "Server"]
    return Server("Java", _commands(_STREAMS, *command), missing=missing)


def _node(certificate: Path) -> Iterator[Server]:
    program, script = shutil.which("node"), str(PEERS / "server.js")
    missing = "" if program else "node is not installed"
    commands = _commands(f"{_STREAMS} say tls", "node", script)
    commands["tls"].append(str(certificate))
    yield Server("Node", commands, missing=missing)
    if not missing and not (PEERS / "node_modules" / "ws").exists():
        missing = "ws is not installed: npm install --prefix benchmarks/peers"
    commands = {
        "websocket": ["node", script, "echo", "websocket"],
        "say-websocket": ["node", script, "say", "websocket"],
    }
    yield Server("Node ws", commands, missing=missing)


def _others(folder: Path, certificate: Path) -> Iterator[Server]:
    """
    Yield the servers to compare with.
    """
    yield _cServer(folder)
    for name, missing in (("uvloop", _module("uvloop")), ("asyncio", "")):
        commands = _commands(f"{_STREAMS} say tls", *_python("loops.py", name))
        commands["tls"].append(str(certificate))
        yield Server(name, commands, missing=missing)
    receivers = _commands(_STREAMS, *_python("receivers.py"))
    yield Server("Twisted LineOnlyReceiver", receivers, skips=_QUADRATIC)
    yield from _node(certificate)
    yield _java(folder)
    yield Server("Autobahn", {"websocket": _python("autobahns.py")}, missing=_module("autobahn"))
    yield Server(
        "picows",
        {"websocket": _python("picowsserver.py")},
        missing=_module("picows") or _module("uvloop"),
    )
    yield Server("websockets", {"websocket": _python("websocketsserver.py")})


def _twistd(*arguments: str) -> list[str]:
    twistd = str(Path(sys.executable).parent / "twistd")
    kind = "udp" if "--udp" in arguments else "tcp"
    backlog = "" if kind == "udp" else ":backlog=1024"
    listen = f"--listen={kind}:0:interface=127.0.0.1{backlog}"
    return [twistd, "-n", "--pidfile=", "--logfile=-", *arguments, listen]


def _commandServer(certificate: Path, name: str, *reactor: str) -> Server:
    """
    Create the server of the C{twistd} commands.

    @param reactor: options of C{twistd}.
    """

    def xml(*options: str) -> list[str]:
        return _twistd(*reactor, "openfl-xml", *options)

    handlers, echo = "--app=benchmarks.peers.ours", xml("--echo")
    rooms, say = xml("--rooms=path", "--max-members=10000"), xml("--rooms=xml")
    commands = {
        **dict.fromkeys(("echo", "websocket", "policy"), echo),
        "text": xml(f"{handlers}:Text"),
        "large-text": xml(f"{handlers}:Text", *_LIMITS),
        "large-bytes": xml(f"{handlers}:Bytes", *_LIMITS),
        "broadcast": xml(),
        **dict.fromkeys(("rooms", "members"), rooms),
        **dict.fromkeys(("say", "say-websocket"), say),
        "tls": xml("--echo", f"--tls-certificate={certificate}"),
        "policy-port": _twistd(*reactor, "openfl-policy", "--allow=*:*"),
        "datagrams": _twistd(*reactor, "openfl-echo", "--udp"),
        "start": xml(),
        **{f"workers-{count}": xml("--echo", f"--workers={count}") for count in WORKERS},
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
    return Server(name, commands, settings)


def _recordingServer(folder: Path) -> Server:
    """
    Create the server of C{twistd openfl-xml} that records its sessions.

    @param folder: the folder of the recordings.
    """
    record = ["openfl-xml", f"--record={folder / 'tapes'}", "--record-limit=0"]
    echo = _twistd(*record, "--echo")
    commands = {
        **dict.fromkeys(("echo", "websocket"), echo),
        "text": _twistd(*record, "--app=benchmarks.peers.ours:Text"),
    }
    return Server(f"{AS_TYPED} recording", commands)


def _bareServer() -> Server:
    """
    Create the server of the protocols without C{twistd}.
    """
    modes = {
        "echo": ("echo", "Lists"),
        "text": ("echo", "Text"),
        "large-text": ("echo", "Text"),
        "large-bytes": ("echo", "Bytes"),
        "broadcast": ("echo", "Broadcast"),
        "websocket": ("oneport", "Lists"),
        "policy": ("oneport", "Lists"),
        "policy-port": ("policy-port", "Lists"),
    }
    commands = {service: _python("ours.py", *mode) for service, mode in modes.items()}
    return Server(f"{OURS} bare", commands)


def servers(folder: Path) -> list[Server]:
    """
    Return all servers. Compile those that require it, and make their certificate.

    @param folder: the folder for compiled programs and certificates.
    """
    credentials = CertificateMaker().make()
    certificate = credentials.save(folder / "server.pem")
    [anchor] = credentials.trust.anchors
    (folder / ANCHORS).write_bytes(anchor.public_bytes(Encoding.PEM))
    return [
        _commandServer(certificate, AS_TYPED),
        _commandServer(certificate, f"{AS_TYPED} on epoll", "--reactor=epoll"),
        _recordingServer(folder),
        _bareServer(),
        *_others(folder, certificate),
    ]
