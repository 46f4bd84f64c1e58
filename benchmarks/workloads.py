"""
The workloads: their loads, references and goals.
"""

from collections.abc import Mapping
from dataclasses import dataclass

KIB, MIB = 1024, 1024 * 1024

MESSAGE = "\N{MICRO SIGN}s a message"
DELIVERY = "\N{MICRO SIGN}s a delivery"


@dataclass(frozen=True)
class Workload:
    """
    A load for servers.

    @ivar name: its name on the command line.
    @ivar title: its title in tables.
    @ivar plot: the plot that contains it.
    @ivar serves: the service that a server must provide.
    @ivar load: the kind of load, or C{"calls"} for a workload without a network.
    @ivar settings: the settings of the load generator.
    @ivar unit: the unit of the costs.
    @ivar units: number of units per count of the load generator.
    @ivar reference: the server to compare with, or C{None} if the goal is an absolute
        cost.
    @ivar mark: the result of a prototype.
    @ivar goal: the target.
    @ivar prototype: the cost of the first prototype relative to the server in C, measured
        on another machine.
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
    mark: float | None = None
    goal: float | None = None
    prototype: float | None = None


def load(connections: int, window: int, size: int = 64) -> dict[str, int]:
    """
    Return the settings of many connections.

    @param connections: number of connections.
    @param window: number of outstanding messages per connection.
    @param size: length of a message, including its NUL byte.
    """
    return {"connections": connections, "window": window, "size": size}


def large(size: int, chunk: int = 64 * KIB, pause: int = 0) -> Workload:
    """
    Create the workload of single large messages.

    @param size: length of a message (bytes).
    @param chunk: length of a chunk (bytes).
    @param pause: time between chunks (microseconds).
    """
    name = f"large-{size // MIB}"
    title = f"one message of {size // MIB} MiB"
    if chunk < 64 * KIB:
        name, title = f"{name}-{chunk}", f"{title}, chunks of {chunk} B"
    if pause:
        name, title = f"{name}-paced", f"{title} every {pause} \N{MICRO SIGN}s"
    return Workload(
        name,
        title,
        "large",
        "echo",
        "large",
        {"size": size, "chunk": chunk, "pause": pause},
        unit="\N{MICRO SIGN}s a MiB",
        units=size / MIB,
        reference="C",
        mark=2.5,
        goal=1.7,
    )


def webSocket(
    name: str, title: str, settings: dict[str, int], mark: float, prototype: float
) -> Workload:
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
        reference="Autobahn",
        mark=mark,
        goal=0.2,
        prototype=prototype,
    )


def broadcast(window: int, prototype: float) -> Workload:
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
        mark=1.2,
        goal=1.0,
        prototype=prototype,
    )


def policy(
    name: str,
    title: str,
    goal: float,
    mark: float | None = None,
    prototype: float | None = None,
) -> Workload:
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
        mark=mark,
        goal=goal,
        prototype=prototype,
    )


def idle(
    name: str, title: str, serves: str, mark: float | None = None, goal: float | None = None
) -> Workload:
    """
    Create the workload of idle connections.
    """
    settings = {"connections": 5000, "websocket": int(serves == "websocket")}
    return Workload(
        name,
        f"memory of an idle {title}",
        "idle",
        serves,
        "idle",
        settings,
        unit="B",
        reference=None,
        mark=mark,
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
        mark=0.5,
        goal=0.5,
    )


def echo(
    name: str,
    title: str,
    settings: dict[str, int],
    mark: float,
    goal: float,
    prototype: float,
) -> Workload:
    """
    Create a workload of echoed messages.
    """
    return Workload(
        name,
        title,
        "echo",
        "echo",
        "echo",
        settings,
        mark=mark,
        goal=goal,
        prototype=prototype,
    )


WORKLOADS = [
    echo("ping-pong", "ping-pong, 64 connections", load(64, 1), 1.3, 1.0, 2.25),
    echo("ping-pong-1000", "ping-pong, 1,000 connections", load(1000, 1), 1.3, 1.0, 18.8 / 11.2),
    echo("pipelined", "pipelined, 16 x 64 outstanding", load(16, 64), 1.0, 0.55, 3.6),
    broadcast(1, 10.0 / 5.6),
    broadcast(16, 0.72 / 0.82),
    # The marks are the costs of a minimal codec relative to Autobahn.
    webSocket("websocket", "64 B ping-pong", load(64, 1), 21 / 140, 2.3),
    webSocket("websocket-pipelined", "64 B pipelined", load(16, 64), 2.5 / 56, 9.5),
    webSocket("websocket-60k", "60 kB", load(16, 1, 60_000), 58 / 215, 58 / 118),
    policy("policy", "on a shared port", 1.4),
    policy("policy-port", "on a separate port", 0.7, 0.56, 1.1),
    Workload(
        "datagrams",
        "UDP echo, 16 x 8",
        "datagrams",
        "datagrams",
        "datagrams",
        load(16, 8),
        mark=1.0,
        goal=0.9,
        prototype=14.5 / 6.9,
    ),
    large(MIB),
    large(8 * MIB),
    large(64 * MIB),
    large(8 * MIB, 1448),
    # Paced like a transfer with 100 Mbit/s: each chunk is a separate read.
    large(8 * MIB, 1448, 116),
    idle("idle", "connection", "echo", 1100, 1200),
    idle("idle-websocket", "WebSocket", "websocket", 1100, 2000),
    idle("idle-rooms", "connection in a room", "members"),
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
        "echo",
        "large",
        {"size": size, "chunk": 64 * KIB},
        unit="\N{MICRO SIGN}s a KiB",
        units=size / KIB,
    )


def _room(members: int) -> Workload:
    title = f"a room of {members:,}"
    settings = load(members, 1)
    return Workload(f"rooms-{members}", title, "", "rooms", "broadcast", settings, unit=DELIVERY)


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
]
"""
The growths, in the order of the tables.
"""
