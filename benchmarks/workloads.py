"""
The workloads: their loads, references and goals.
"""

from collections.abc import Mapping
from dataclasses import dataclass

KIB, MIB = 1024, 1024 * 1024

MESSAGE = "\N{MICRO SIGN}s a message"
DELIVERY = "\N{MICRO SIGN}s a delivery"

ROOM = 10

WORKERS = (1, 2)
"""
The measured numbers of worker processes.
"""


@dataclass(frozen=True)
class Workload:
    """
    A load for servers.

    @ivar name: its name on the command line.
    @ivar title: its title in tables.
    @ivar plot: the plot that contains it.
    @ivar serves: the service that a server must provide.
    @ivar load: the kind of load; C{"calls"} and C{"start"} are without a load generator.
    @ivar settings: the settings of the load generator.
    @ivar unit: the unit of the costs.
    @ivar units: number of units per count of the load generator.
    @ivar reference: the server to compare with, or C{None} if the goal is an absolute
        cost.
    @ivar goal: the maximum ratio to the reference, or the maximum cost.
    @ivar ahead: a server that must have a higher cost, as a second goal.
    @ivar isRate: whether the number of units per second is measured instead of the cost.
    """

    name: str
    title: str
    plot: str
    serves: str
    load: str
    settings: Mapping[str, int]
    unit: str = MESSAGE
    units: float = 1.0
    reference: str | None = "uvloop"
    goal: float | None = None
    ahead: str | None = None
    isRate: bool = False


def load(connections: int, window: int, size: int = 64) -> dict[str, int]:
    """
    Return the settings of many connections.

    @param connections: number of connections.
    @param window: number of outstanding messages per connection.
    @param size: length of a message, including its NUL byte.
    """
    return {"connections": connections, "window": window, "size": size}


def echo(
    name: str,
    title: str,
    settings: dict[str, int],
    goal: float,
    *,
    serves: str = "echo",
    ahead: str | None = None,
) -> Workload:
    """
    Create a workload of echoed messages.
    """
    return Workload(name, title, "echo", serves, "echo", settings, goal=goal, ahead=ahead)


def broadcast(window: int) -> Workload:
    """
    Create the workload of one sender and many receivers.

    @param window: number of messages sent together.
    """
    receivers = 200
    return Workload(
        f"broadcast-{window}",
        f"broadcast to {receivers}, {window} at a time",
        "broadcast",
        "broadcast",
        "broadcast",
        load(receivers, window),
        unit=DELIVERY,
        goal=1.08,
    )


def say(name: str, title: str, reference: str, goal: float) -> Workload:
    """
    Create the workload of C{<say>} in a room.
    """
    settings = {"say": 1, "silent": 1, "websocket": int(name == "say-websocket")}
    return Workload(
        name,
        f"<say> in a room of {ROOM}, {title}",
        "rooms",
        name,
        "broadcast",
        {**load(ROOM, 1), **settings},
        unit="\N{MICRO SIGN}s a <say>",
        # The load generator counts deliveries.
        units=1 / (ROOM - 1),
        reference=reference,
        goal=goal,
    )


def webSocket(name: str, title: str, settings: dict[str, int], goal: float) -> Workload:
    """
    Create a workload of WebSocket messages.
    """
    return Workload(
        name,
        f"WebSocket echo, {title}",
        "websocket",
        "websocket",
        "echo",
        {**settings, "websocket": 1},
        reference="picows",
        goal=goal,
        ahead="Node ws",
    )


def policy(name: str, title: str) -> Workload:
    """
    Create the workload of policy requests.
    """
    return Workload(
        name,
        f"policy request, {title}",
        "policy",
        name,
        "policy",
        load(16, 1),
        unit="\N{MICRO SIGN}s a connection",
        goal=1.3,
    )


def large(name: str, title: str, serves: str, goal: float, **settings: int) -> Workload:
    """
    Create the workload of single messages of 8 MiB.
    """
    return Workload(
        name,
        f"one message of 8 MiB{title}",
        "large",
        serves,
        "large",
        {"size": 8 * MIB, **settings},
        unit="\N{MICRO SIGN}s a MiB",
        units=8,
        reference="C",
        goal=goal,
    )


def idle(name: str, title: str, serves: str, goal: float) -> Workload:
    """
    Create the workload of idle connections.
    """
    secure = serves == "tls"
    return Workload(
        name,
        f"memory of an idle {title}",
        "idle",
        serves,
        "tls-idle" if secure else "idle",
        {"connections": 500 if secure else 5000, "websocket": int(serves == "websocket")},
        unit="B",
        reference=None,
        goal=goal,
    )


def start(name: str, title: str, goal: float | None = None) -> Workload:
    """
    Create the workload of starting a server.
    """
    settings = {"cpu": int(name == "start-cpu")}
    return Workload(
        name,
        f"start until listening, {title}",
        "start",
        "start",
        "start",
        settings,
        unit="s",
        reference=None,
        goal=goal,
    )


def calls(name: str, title: str) -> Workload:
    """
    Create a workload without a network.
    """
    return Workload(
        name,
        title,
        "amf",
        name,
        "calls",
        {},
        unit="\N{MICRO SIGN}s",
        reference="Py3AMF",
        goal=0.5,
    )


WORKLOADS = [
    echo("ping-pong", "ping-pong, 64 connections", load(64, 1), 1.05, ahead="Node"),
    echo("ping-pong-1000", "ping-pong, 1,000 connections", load(1000, 1), 1.1, ahead="Node"),
    echo("pipelined", "pipelined, 16 x 64 outstanding", load(16, 64), 0.85),
    echo(
        "pipelined-single",
        "pipelined, 16 x 64 outstanding, messageReceived",
        load(16, 64),
        1.8,
        serves="text",
    ),
    broadcast(1),
    broadcast(16),
    # A third of the cost of version 1.0.0.
    say("say", "TCP", "uvloop", 0.7),
    say("say-websocket", "WebSocket", "Node ws", 0.75),
    webSocket("websocket", "64 B ping-pong, 64 connections", load(64, 1), 1.1),
    webSocket("websocket-1000", "64 B ping-pong, 1,000 connections", load(1000, 1), 1.1),
    webSocket("websocket-pipelined", "64 B pipelined", load(16, 64), 0.22),
    webSocket("websocket-60k", "60 kB", load(16, 1, 60_000), 1.25),
    Workload(
        "tls",
        "TLS echo, 64 B ping-pong, 32 connections",
        "tls",
        "tls",
        "tls-echo",
        load(32, 1),
        reference="asyncio",
        goal=1.15,
    ),
    policy("policy", "on a shared port"),
    policy("policy-port", "on a separate port"),
    Workload(
        "datagrams",
        "UDP echo, 16 x 8",
        "datagrams",
        "datagrams",
        "datagrams",
        load(16, 8),
        goal=0.9,
    ),
    large("large-8", ", messageReceived", "large-text", 3),
    large("large-8-bytes", ", lineReceived", "large-bytes", 1.3),
    large("large-8-1448", ", lineReceived, chunks of 1448 B", "large-bytes", 1.7, chunk=1448),
    idle("idle", "connection", "echo", 1000),
    idle("idle-websocket", "WebSocket", "websocket", 1500),
    idle("idle-rooms", "connection in a room", "members", 2200),
    idle("idle-tls", "TLS connection", "tls", 40_000),
    start("start", "elapsed time", 0.35),
    start("start-cpu", "CPU time"),
    calls("amf-decode", "AMF3, decode 500 records"),
    calls("amf-encode", "AMF3, encode 500 records"),
    calls("bytearray-read", "ByteArray, read 1,000 x 4 numbers"),
    calls("bytearray-write", "ByteArray, write 1,000 x 4 numbers"),
]
"""
The compared workloads, in the order of the table.
"""


@dataclass(frozen=True)
class Growth:
    """
    Workloads that differ in one quantity.

    @ivar name: its name on the command line.
    @ivar title: its title in tables.
    @ivar axis: the quantity.
    @ivar points: workloads by quantity.
    """

    name: str
    title: str
    axis: str
    points: Mapping[int, Workload]

    @property
    def unit(self) -> str:
        """
        The unit of the costs.
        """
        return next(iter(self.points.values())).unit


def _connections(count: int) -> Workload:
    title = f"ping-pong, {count:,} connections"
    return Workload(f"connections-{count}", title, "", "echo", "echo", load(count, 1))


def _size(size: int) -> Workload:
    return Workload(
        f"sizes-{size}",
        f"messages of {size:,} B",
        "",
        "large-text",
        "large",
        {"size": size},
        unit="\N{MICRO SIGN}s a KiB",
        units=size / KIB,
    )


def _room(members: int) -> Workload:
    title = f"a room of {members:,}"
    settings = load(members, 1)
    return Workload(f"rooms-{members}", title, "", "rooms", "broadcast", settings, unit=DELIVERY)


def _workers(count: int, *, isRate: bool) -> Workload:
    """
    Create a workload for a server with several worker processes.

    @param isRate: see L{Workload}.
    """
    return Workload(
        f"{'workers-rate' if isRate else 'workers'}-{count}",
        f"ping-pong, 64 connections, {count} workers",
        "",
        f"workers-{count}",
        "echo",
        load(64, 1),
        unit="messages per second" if isRate else MESSAGE,
        reference=None,
        isRate=isRate,
    )


GROWTHS = [
    Growth(
        "connections",
        "more connections, one outstanding message each",
        "connections",
        {count: _connections(count) for count in (10, 100, 1000, 10_000)},
    ),
    Growth(
        "sizes",
        "longer messages, one outstanding",
        "bytes of a message",
        {size: _size(size) for size in (16, 256, 4 * KIB, 64 * KIB, MIB, 8 * MIB, 64 * MIB)},
    ),
    Growth(
        "rooms",
        "larger rooms, one sender",
        "members",
        {members: _room(members) for members in (10, 50, 200, 1000, 5000)},
    ),
    Growth(
        "workers",
        "more workers, CPU time of all processes",
        "workers",
        {count: _workers(count, isRate=False) for count in WORKERS},
    ),
    Growth(
        "workers-rate",
        "more workers, throughput of all workers",
        "workers",
        {count: _workers(count, isRate=True) for count in WORKERS},
    ),
]
"""
The growths, in the order of the tables.
"""
