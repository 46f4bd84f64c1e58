"""
How long another client waits while somebody does his worst:
C{python -m benchmarks.hostile}. Words on the command line choose the attacks whose
descriptions contain one of them.

The server and all clients are in this one process, so a round trip includes the
work of those who attack. Each attack also says how it ended.

Columns:

  - median, p99, worst: the round trips of another client, in milliseconds.
  - MB sent: the cost to the attacker.
  - CPU s: the CPU time of this process during the attack, in seconds. It includes
    the work of the attacker and of the other client.
"""

import gc
import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater, react
from twisted.python.failure import Failure

from benchmarks import hostilefloods, hostiletls
from openfl_twisted.protocols.broadcast import EchoProtocol
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.proxyprotocol import ProxyProtocolFactory
from openfl_twisted.protocols.streamprotocol import StreamFactory
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.transports.guard import GuardFactory

HOST = "127.0.0.1"
MIB = 1024 * 1024
PAUSE = 0.002
# Seconds for which a message is sent again and again.
ATTACKED = 1.5
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Attacker(Protocol):
    """
    Sends what it is told, and knows whether it was closed.
    """

    transport: Any

    def __init__(self, scene: "Scene") -> None:
        self.scene = scene
        self.received = 0
        self.lost: Deferred[None] = Deferred()

    def send(self, data: bytes) -> None:
        """
        Send bytes.
        """
        self.scene.sent += len(data)
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        """
        Count.
        """
        self.received += len(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Tell who waits.
        """
        self.lost.callback(None)


class Good(Protocol):
    """
    Asks again as soon as it has an answer, and measures.
    """

    transport: Any

    def __init__(self, reactor: Any, question: bytes) -> None:
        self.reactor = reactor
        self.question = question
        self.times: list[float] = []
        self.ends = False

    def connectionMade(self) -> None:
        """
        Ask.
        """
        self.ask()

    def ask(self) -> None:
        """
        Send a message, and look at the clock.
        """
        if self.ends:
            self.transport.loseConnection()
            return
        self.begun = time.perf_counter()
        self.transport.write(self.question)

    def dataReceived(self, data: bytes) -> None:
        """
        Note how long it took.
        """
        self.times.append(time.perf_counter() - self.begun)
        self.reactor.callLater(PAUSE, self.ask)


class Scene:
    """
    A server, and how to get to it.

    @ivar question: a message that the server answers.
    @ivar sent: the number of bytes that attackers have sent.
    @ivar endpoint: the server that is attacked.
    @ivar host: its host.
    @ivar port: its port.
    @ivar asked: the port of the same process that another client uses.
    """

    def __init__(self, reactor: Any, port: int, question: bytes, asked: int | None = None) -> None:
        self.reactor = reactor
        self.question = question
        self.host, self.port = HOST, port
        self.endpoint = TCP4ClientEndpoint(reactor, HOST, port)
        self.asked = TCP4ClientEndpoint(reactor, HOST, port if asked is None else asked)

    async def start(self) -> None:
        """
        Let another client ask.
        """
        self.good = Good(self.reactor, self.question)
        await connectProtocol(self.asked, self.good)
        self.begin()

    def begin(self) -> None:
        """
        Measure from now on.
        """
        self.sent, self._begun, self.spent = 0, time.process_time(), 0.0
        self.good.times = []

    def end(self) -> None:
        """
        Measure nothing from now on.
        """
        if not self.good.ends:
            self.good.ends = True
            self.spent = time.process_time() - self._begun

    async def attacker(self) -> Attacker:
        """
        Connect somebody.
        """
        attacker: Attacker = await connectProtocol(self.endpoint, Attacker(self))
        return attacker

    async def webSocket(self) -> Attacker:
        """
        Connect somebody by WebSocket.
        """
        attacker = await self.attacker()
        attacker.send(UPGRADE)
        while not attacker.received:
            await self.pause(0.01)
        return attacker

    async def pause(self, seconds: float) -> None:
        """
        Let time pass.
        """
        await deferLater(self.reactor, seconds)

    async def untilLost(self, attacker: Attacker, seconds: float) -> str:
        """
        Wait for the end.

        @return: how it ended.
        """
        begun = time.perf_counter()
        while not attacker.lost.called:
            if time.perf_counter() - begun > seconds:
                attacker.transport.loseConnection()
                return f"still open after {seconds:g} s"
            await self.pause(0.01)
        return f"closed after {time.perf_counter() - begun:.1f} s"


async def halfALine(scene: Scene) -> str:
    """
    Half a request line, byte by byte.
    """
    attacker = await scene.attacker()
    attacker.send(b"GET /")
    for _ in range(200):
        attacker.send(b"x")
        await scene.pause(0.01)
    return "plain after its time; " + await scene.untilLost(attacker, 0)


async def longHead(scene: Scene) -> str:
    """
    A head of 1 MB.
    """
    attacker = await scene.attacker()
    attacker.send(b"GET / HTTP/1.1\r\nHost: h\r\n")
    for _ in range(1024):
        if attacker.lost.called:
            break
        attacker.send(b"X-Header: " + b"x" * 1012 + b"\r\n")
        await scene.pause(0)
    return await scene.untilLost(attacker, 5)


async def hugeFrame(scene: Scene) -> str:
    """
    A frame of 1 TB is announced.
    """
    attacker = await scene.webSocket()
    attacker.send(b"\x82\xff" + (1 << 40).to_bytes(8) + bytes(4))
    return await scene.untilLost(attacker, 10)


async def fragments(scene: Scene) -> str:
    """
    A message of 5 MB in fragments of 100 bytes.
    """
    attacker = await scene.webSocket()
    count = 5 * MIB // 100
    for number in range(count):
        opcode = 0x82 if number == 0 else 0x00
        first = (opcode & 0x0F) | (0x80 if number == count - 1 else 0)
        attacker.send(bytes((first, 0x80 | 100)) + bytes(4) + b"x" * 100)
        if number % 500 == 0:
            await scene.pause(0)
    before = attacker.received
    attacker.send(b"\x82\x81" + bytes(4) + b"\0")
    while attacker.received == before:
        await scene.pause(0.01)
    return f"echoed; {await scene.untilLost(attacker, 0)}"


async def neverReads(scene: Scene) -> str:
    """
    Somebody asks for 150 MB and never reads.
    """
    attacker = await scene.attacker()
    transport: Any = attacker.transport
    transport.pauseProducing()
    message = b"x" * (MIB - 1) + b"\0"
    sent = 0
    while sent < 150 and not attacker.lost.called and not transport.dataBuffer:
        attacker.send(message)
        sent += 1
        await scene.pause(0.01)
    transport.abortConnection()
    return f"read from no more after {sent} MB"


async def silent(scene: Scene) -> str:
    """
    2000 connections that never say anything.
    """
    attackers = [await scene.attacker() for _ in range(2000)]
    await scene.pause(1)
    still = sum(not attacker.lost.called for attacker in attackers)
    for attacker in attackers:
        attacker.transport.loseConnection()
        await scene.pause(0)
    return f"{still} are plain clients now"


async def nothing(scene: Scene) -> str:
    """
    Nobody does anything.
    """
    await scene.pause(1)
    return ""


Attack = Callable[[Scene], Awaitable[str]]

ATTACKS: list[Attack] = [
    nothing,
    halfALine,
    longHead,
    hugeFrame,
    fragments,
    neverReads,
    silent,
]


def filled(part: bytes) -> bytes:
    """
    Make a C{<say>} of 1 MiB that contains one part many times.
    """
    return b"<say>%b</say>" % (part * ((MIB - 11) // len(part)))


def numbered(part: str, count: int) -> bytes:
    """
    Make a text of parts that each contain a number.
    """
    return "".join(part.replace("#", str(number)) for number in range(count)).encode()


ROOM_MESSAGES = {
    "rooms: a <say> of 1 MiB of text": filled(b"x"),
    "rooms: 30 comments, and no element": b"<!---->" * 30 + b"x",
    "rooms: a forged <say> behind a DTD": b'<!DOCTYPE a><say from="Ann">hi</say>',
    "rooms: a <say> of 262,000 <a/>": filled(b"<a/>"),
    "rooms: a <say> of 80,000 attributes": b"<say " + numbered('a#="" ', 80_000) + b"/>",
    "rooms: 190 attributes, a namespace of 1 MB": (
        b"<x xmlns:a='" + b"u" * 1_000_000 + b"' " + numbered('a:b#="" ', 190) + b"/>"
    ),
    "rooms: a <say> of 1 MiB of line feeds": filled(b"\n"),
    "rooms: a <say> of 262,000 entities": filled(b"&lt;"),
    "rooms: a <say> of 1 MiB of xmlns:": filled(b"xmlns:="),
    "rooms: 1 MiB that is not UTF-8": b"\xed\xa0\x80a" * (MIB // 4),
    "rooms: as many elements as are allowed": (
        b"<x>" + numbered("<a#/>", 500) + numbered('<b# c#=""/>', 990) + b"</x>"
    ),
    "rooms: as many attributes as are allowed": b"<x " + numbered('a#="" ', 990) + b"/>",
}
"""
The messages that a member of a room sends repeatedly, by their descriptions.
"""


async def inRoom(message: bytes, scene: Scene) -> str:
    """
    Send a message again and again, to a room with one other member.
    """
    attackers = [await scene.attacker() for _ in range(2)]
    for attacker in attackers:
        attacker.send(b'<join room="attacked"/>\0')
    while not all(attacker.received for attacker in attackers):
        await scene.pause(0.01)
    sender, other = attackers
    batch = (message + b"\0") * max(1, 65536 // len(message))
    begun, sent, before = time.process_time(), 0, other.received
    until = time.perf_counter() + ATTACKED
    while time.perf_counter() < until and not sender.lost.called:
        if not sender.transport.dataBuffer:
            sender.send(batch)
            sent += batch.count(b"\0")
        await scene.pause(0)
    each = (time.process_time() - begun) / sent * 1000
    forwarded = "forwarded" if other.received - before > len(message) else "refused"
    for attacker in attackers:
        attacker.transport.abortConnection()
    return f"{forwarded}; {each:.3f} ms for each"


def attacksOnRooms() -> dict[str, Attack]:
    """
    Return the attacks on rooms, by their descriptions.
    """
    return {words: partial(inRoom, message) for words, message in ROOM_MESSAGES.items()}


async def measure(scene: Scene, words: str, attack: Attack) -> None:
    """
    Measure an attack, and print a row.
    """
    # The objects that other attacks have left are not a cost of this one.
    gc.collect()
    gc.freeze()
    await scene.start()
    ended = await attack(scene)
    scene.end()
    times = sorted(scene.good.times)
    median, worst = statistics.median(times) * 1000, times[-1] * 1000
    late = times[len(times) * 99 // 100] * 1000
    sys.stdout.write(
        f"{words:45}{median:9.2f}{late:9.2f}{worst:9.2f}{scene.sent / 1e6:9.1f}{scene.spent:9.2f}"
        f"      {ended}\n"
    )
    sys.stdout.flush()


def described(attacks: list[Attack]) -> dict[str, Attack]:
    """
    Return attacks by their docstrings.
    """
    return {" ".join((attack.__doc__ or "").split()): attack for attack in attacks}


async def main(reactor: Any) -> None:
    """
    Measure each attack.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    limit = 8 * MIB
    factory = OnePortFactory(
        XMLSocketFactory(EchoProtocol, maxLength=limit),
        webSocket=partial(WebSocketFactory, maxFrame=limit),
    )
    tls = hostiletls.rows()
    rooms = RoomFactory(XMLRoomProtocol, Lobby(clock=reactor), announces=True)
    objects = StreamFactory(hostilefloods.ObjectProtocol)
    ports = [
        await TCP4ServerEndpoint(reactor, 0, interface=HOST, backlog=4096).listen(each)
        for each in (
            GuardFactory(factory),
            GuardFactory(rooms),
            GuardFactory(objects),
            ProxyProtocolFactory(GuardFactory(factory)),
        )
    ]
    echo, crowded, objective, proxied = (port.getHost().port for port in ports)
    head = f"{'the attack':45}{'median':>9}{'p99':>9}{'worst':>9}{'MB sent':>9}{'CPU s':>9}"
    sys.stdout.write(f"{head}      how it ended\n")
    chosen = sys.argv[1:]

    async def measureAll(scene: Scene, attacks: dict[str, Attack]) -> None:
        for words, attack in attacks.items():
            if not chosen or any(each in words for each in chosen):
                await measure(scene, words, attack)

    await measureAll(Scene(reactor, echo, b"ping\0"), described([*ATTACKS, *tls]))
    await measureAll(Scene(reactor, echo, b"ping\0"), described(hostilefloods.PLAIN))
    await measureAll(
        Scene(reactor, proxied, b"ping\0", echo), described([hostilefloods.halfHeaders])
    )
    await measureAll(Scene(reactor, objective, b"ping\0", echo), hostilefloods.attacksOnObjects())
    await measureAll(Scene(reactor, crowded, b"<rooms/>\0"), attacksOnRooms())
    await measureAll(Scene(reactor, crowded, b"ping\0", echo), hostilefloods.attacksOnCrowds())
    for port in ports:
        await port.stopListening()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
