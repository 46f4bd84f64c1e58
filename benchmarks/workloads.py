"""
What is measured: the workloads, with what they are compared with and what they
should reach; and those of which there is more and more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

KIB, MIB = 1024, 1024 * 1024

MESSAGE = "\N{MICRO SIGN}s a message"
DELIVERY = "\N{MICRO SIGN}s a delivery"


@dataclass(frozen=True)
class Workload:
    """
    Something that servers are made to do.

    @ivar name: what it is called on the command line.
    @ivar title: what it is called in tables.
    @ivar plot: in which plot it is shown, with others that are like it.
    @ivar serves: what a server has to do for it.
    @ivar load: what the load generator does; C{"calls"} if nothing is sent.
    @ivar settings: for the load generator.
    @ivar unit: of what the costs are.
    @ivar units: how many units there are in what the load generator counts.
    @ivar reference: the server whose cost is 1; C{None} if the cost itself
        counts.
    @ivar mark: what a prototype has reached.
    @ivar goal: what should be reached.
    @ivar prototype: what the prototype of the first mark has cost beside the
        server in C, on a machine of its own.
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


def crowd(connections: int, window: int, size: int = 64) -> dict[str, int]:
    """
    Describe many who speak.

    @param connections: how many.
    @param window: how many messages of each are under way.
    @param size: the bytes of a message, with its end.
    """
    return {"connections": connections, "window": window, "size": size}


def large(size: int, piece: int = 64 * KIB, pause: int = 0) -> Workload:
    """
    Make the workload of one long message at a time.

    @param size: its bytes.
    @param piece: the bytes of the pieces in which it is sent.
    @param pause: microseconds between the pieces.
    """
    name = f"large-{size // MIB}"
    title = f"one message of {size // MIB} MiB"
    if piece < 64 * KIB:
        name, title = f"{name}-{piece}", f"{title}, pieces of {piece} B"
    if pause:
        name, title = f"{name}-paced", f"{title} every {pause} \N{MICRO SIGN}s"
    return Workload(
        name,
        title,
        "large",
        "echo",
        "large",
        {"size": size, "piece": piece, "pause": pause},
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
    Make a workload of messages in frames.
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
    Make the workload of one who speaks to many.

    @param window: how many messages are sent at once.
    """
    hearers = 200
    return Workload(
        f"broadcast-{window}",
        f"broadcast to {hearers}, {window} at a time",
        "broadcast",
        "broadcast",
        "broadcast",
        crowd(hearers, window),
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
    Make the workload of who asks for a policy file.
    """
    return Workload(
        name,
        f"policy request, {title}",
        "policy",
        name,
        "policy",
        crowd(16, 1),
        unit="\N{MICRO SIGN}s a connection",
        mark=mark,
        goal=goal,
        prototype=prototype,
    )


def idle(
    name: str, title: str, serves: str, mark: float | None = None, goal: float | None = None
) -> Workload:
    """
    Make the workload of who is connected and silent.
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
    Make a workload that needs no network.
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
    Make a workload of messages that come back.
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
    echo("ping-pong", "ping-pong, 64 connections", crowd(64, 1), 1.3, 1.0, 2.25),
    echo("ping-pong-1000", "ping-pong, 1,000 connections", crowd(1000, 1), 1.3, 1.0, 18.8 / 11.2),
    echo("pipelined", "pipelined, 16 x 64 outstanding", crowd(16, 64), 1.0, 0.55, 3.6),
    broadcast(1, 10.0 / 5.6),
    broadcast(16, 0.72 / 0.82),
    # What a minimal codec has taken, over what Autobahn has.
    webSocket("websocket", "64 B ping-pong", crowd(64, 1), 21 / 140, 2.3),
    webSocket("websocket-pipelined", "64 B pipelined", crowd(16, 64), 2.5 / 56, 9.5),
    webSocket("websocket-60k", "60 kB", crowd(16, 1, 60_000), 58 / 215, 58 / 118),
    policy("policy", "on a shared port", 1.4),
    policy("policy-port", "on a port of its own", 0.7, 0.56, 1.1),
    Workload(
        "datagrams",
        "UDP echo, 16 x 8",
        "datagrams",
        "datagrams",
        "datagrams",
        crowd(16, 8),
        mark=1.0,
        goal=0.9,
        prototype=14.5 / 6.9,
    ),
    large(MIB),
    large(8 * MIB),
    large(64 * MIB),
    large(8 * MIB, 1448),
    # As it comes over 100 Mbit/s: each piece is a read of its own.
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
The workloads that are compared, in the order of the table.
"""


@dataclass(frozen=True)
class Growth:
    """
    Workloads that are alike but for how much there is of something.

    @ivar name: what it is called on the command line.
    @ivar title: what it is called in tables.
    @ivar axis: of what there is more and more.
    @ivar points: the workloads, by how much there is of it.
    """

    name: str
    title: str
    axis: str
    points: Mapping[int, Workload]

    @property
    def unit(self) -> str:
        """
        Of what the costs are.
        """
        return next(iter(self.points.values())).unit


def _connections(count: int) -> Workload:
    title = f"ping-pong, {count:,} connections"
    return Workload(f"connections-{count}", title, "", "echo", "echo", crowd(count, 1))


def _size(size: int) -> Workload:
    return Workload(
        f"sizes-{size}",
        f"messages of {size:,} B",
        "",
        "echo",
        "large",
        {"size": size, "piece": 64 * KIB},
        unit="\N{MICRO SIGN}s a KiB",
        units=size / KIB,
    )


def _room(members: int) -> Workload:
    title = f"a room of {members:,}"
    settings = crowd(members, 1)
    return Workload(f"rooms-{members}", title, "", "rooms", "broadcast", settings, unit=DELIVERY)


GROWTHS = [
    Growth(
        "connections",
        "more connections, each with one message under way",
        "connections",
        {count: _connections(count) for count in (10, 100, 1000, 10_000)},
    ),
    Growth(
        "sizes",
        "longer messages, one at a time",
        "bytes of a message",
        {size: _size(size) for size in (16, 256, 4 * KIB, 64 * KIB, MIB, 8 * MIB, 64 * MIB)},
    ),
    Growth(
        "rooms",
        "larger rooms, in which one speaks",
        "members",
        {members: _room(members) for members in (10, 50, 200, 1000, 5000)},
    ),
]
"""
What there can be more and more of.
"""
