"""
Round-trip time of a well-behaved client during attacks on the same server:
C{python -m benchmarks.hostile}. Arguments select the attacks whose descriptions contain
one of them.

The server and all clients share one process, so the round trips include the work of the
attackers. The last column contains the result of the attack.

Columns:

- median, p99, worst: round-trip times of the well-behaved client (milliseconds).
- MB sent: the data sent by the attackers.
- CPU s: CPU time of this process during the attack (seconds). It includes the work of all
  clients.
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

from benchmarks import hostilebroadcasts, hostilefloods, hostiletls
from openfl_twisted.protocols.broadcast import BroadcastProtocol, EchoProtocol
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
# Duration of a repeated attack (seconds).
ATTACKED = 1.5
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Attacker(Protocol):
    """
    A hostile client.

    @ivar received: number of bytes received.
    @ivar lost: fires when the connection is lost.
    """

    transport: Any

    def __init__(self, target: "Target") -> None:
        self.target = target
        self.received = 0
        self.lost: Deferred[None] = Deferred()

    def send(self, data: bytes) -> None:
        """
        Write bytes, and count them.
        """
        self.target.sent += len(data)
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.received += len(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost.callback(None)


class ProbeClient(Protocol):
    """
    A well-behaved client that measures its round-trip times.

    @ivar times: the measured times (seconds).
    @ivar ended: whether to close the connection instead of sending the next request.
    """

    transport: Any

    def __init__(self, reactor: Any, request: bytes) -> None:
        self.reactor = reactor
        self.request = request
        self.times: list[float] = []
        self.ended = False

    def connectionMade(self) -> None:
        self.sendRequest()

    def sendRequest(self) -> None:
        """
        Send the next request, and note the time.
        """
        if self.ended:
            self.transport.loseConnection()
            return
        self.start = time.perf_counter()
        self.transport.write(self.request)

    def dataReceived(self, data: bytes) -> None:
        """
        Record the round-trip time, and send the next request after a pause.
        """
        self.times.append(time.perf_counter() - self.start)
        self.reactor.callLater(PAUSE, self.sendRequest)


class Target:
    """
    A server under attack.

    @ivar request: a message that the server answers.
    @ivar sent: number of bytes sent by the attackers.
    @ivar spent: CPU time of the process during the attack (seconds).
    @ivar endpoint: the attacked port.
    @ivar host: the host of the attacked port.
    @ivar port: the number of the attacked port.
    @ivar probed: the port used by the well-behaved client.
    """

    def __init__(self, reactor: Any, port: int, request: bytes, probed: int | None = None) -> None:
        self.reactor = reactor
        self.request = request
        self.host, self.port = HOST, port
        self.endpoint = TCP4ClientEndpoint(reactor, HOST, port)
        self.probed = TCP4ClientEndpoint(reactor, HOST, port if probed is None else probed)

    async def start(self) -> None:
        """
        Connect the well-behaved client and start measuring.
        """
        self.probe = ProbeClient(self.reactor, self.request)
        await connectProtocol(self.probed, self.probe)
        self.begin()

    def begin(self) -> None:
        """
        Discard all measurements and start again.
        """
        self.sent, self._begun, self.spent = 0, time.process_time(), 0.0
        self.probe.times = []

    def end(self) -> None:
        """
        Stop measuring.
        """
        if not self.probe.ended:
            self.probe.ended = True
            self.spent = time.process_time() - self._begun

    async def attacker(self) -> Attacker:
        """
        Connect a new attacker.
        """
        attacker: Attacker = await connectProtocol(self.endpoint, Attacker(self))
        return attacker

    async def webSocket(self) -> Attacker:
        """
        Connect a new attacker with a WebSocket.
        """
        attacker = await self.attacker()
        attacker.send(UPGRADE)
        while not attacker.received:
            await self.pause(0.01)
        return attacker

    async def pause(self, seconds: float) -> None:
        """
        Wait for a number of seconds.
        """
        await deferLater(self.reactor, seconds)

    async def untilLost(self, attacker: Attacker, seconds: float) -> str:
        """
        Wait until an attacker's connection is lost.

        @param seconds: timeout. The connection is then closed.
        @return: the result of the attack.
        """
        start = time.perf_counter()
        while not attacker.lost.called:
            if time.perf_counter() - start > seconds:
                attacker.transport.loseConnection()
                return f"still open after {seconds:g} s"
            await self.pause(0.01)
        return f"closed after {time.perf_counter() - start:.1f} s"


async def incompleteRequest(target: Target) -> str:
    """
    An incomplete request line, byte by byte
    """
    attacker = await target.attacker()
    attacker.send(b"GET /")
    for _ in range(200):
        attacker.send(b"x")
        await target.pause(0.01)
    return "treated as a plain client; " + await target.untilLost(attacker, 0)


async def longHeader(target: Target) -> str:
    """
    A request header of 1 MB
    """
    attacker = await target.attacker()
    attacker.send(b"GET / HTTP/1.1\r\nHost: h\r\n")
    for _ in range(1024):
        if attacker.lost.called:
            break
        attacker.send(b"X-Header: " + b"x" * 1012 + b"\r\n")
        await target.pause(0)
    return await target.untilLost(attacker, 5)


async def hugeFrame(target: Target) -> str:
    """
    WebSocket: a frame with a length of 1 TB
    """
    attacker = await target.webSocket()
    attacker.send(b"\x82\xff" + (1 << 40).to_bytes(8) + bytes(4))
    return await target.untilLost(attacker, 10)


async def fragments(target: Target) -> str:
    """
    WebSocket: 5 MB in fragments of 100 bytes
    """
    attacker = await target.webSocket()
    count = 5 * MIB // 100
    for number in range(count):
        opcode = 0x82 if number == 0 else 0x00
        first = (opcode & 0x0F) | (0x80 if number == count - 1 else 0)
        attacker.send(bytes((first, 0x80 | 100)) + bytes(4) + b"x" * 100)
        if number % 500 == 0:
            await target.pause(0)
    before = attacker.received
    attacker.send(b"\x82\x81" + bytes(4) + b"\0")
    while attacker.received == before:
        await target.pause(0.01)
    return f"echoed; {await target.untilLost(attacker, 0)}"


async def neverReads(target: Target) -> str:
    """
    Replies of 150 MB that are never read
    """
    attacker = await target.attacker()
    transport: Any = attacker.transport
    transport.pauseProducing()
    message = b"x" * (MIB - 1) + b"\0"
    sent = 0
    while sent < 150 and not attacker.lost.called and not transport.dataBuffer:
        attacker.send(message)
        sent += 1
        await target.pause(0.01)
    transport.abortConnection()
    return f"paused after {sent} MB"


async def idle(target: Target) -> str:
    """
    2000 connections without data
    """
    attackers = [await target.attacker() for _ in range(2000)]
    await target.pause(1)
    remaining = sum(not attacker.lost.called for attacker in attackers)
    for attacker in attackers:
        attacker.transport.loseConnection()
        await target.pause(0)
    return f"{remaining} treated as plain clients"


async def noAttack(target: Target) -> str:
    """
    No attack
    """
    await target.pause(1)
    return ""


Attack = Callable[[Target], Awaitable[str]]

ATTACKS: list[Attack] = [
    noAttack,
    incompleteRequest,
    longHeader,
    hugeFrame,
    fragments,
    neverReads,
    idle,
]


def sayOf(part: bytes) -> bytes:
    """
    Return a C{<say>} of 1 MiB with repeated content.
    """
    return b"<say>%b</say>" % (part * ((MIB - 11) // len(part)))


def numbered(part: str, count: int) -> bytes:
    """
    Return numbered copies of a text.

    @param part: the text, with C{#} in place of the number.
    """
    return "".join(part.replace("#", str(number)) for number in range(count)).encode()


ROOM_MESSAGES = {
    "rooms: a <say> of 1 MiB of text": sayOf(b"x"),
    "rooms: 30 comments without an element": b"<!---->" * 30 + b"x",
    "rooms: a forged <say> after a DTD": b'<!DOCTYPE a><say from="Ann">hi</say>',
    "rooms: a <say> of 262,000 <a/>": sayOf(b"<a/>"),
    "rooms: a <say> of 80,000 attributes": b"<say " + numbered('a#="" ', 80_000) + b"/>",
    "rooms: 190 attributes, a namespace of 1 MB": (
        b"<x xmlns:a='" + b"u" * 1_000_000 + b"' " + numbered('a:b#="" ', 190) + b"/>"
    ),
    "rooms: a <say> of 1 MiB of line feeds": sayOf(b"\n"),
    "rooms: a <say> of 262,000 entities": sayOf(b"&lt;"),
    "rooms: a <say> of 1 MiB of xmlns:": sayOf(b"xmlns:="),
    "rooms: 1 MiB that is not UTF-8": b"\xed\xa0\x80a" * (MIB // 4),
    "rooms: the maximum number of elements": (
        b"<x>" + numbered("<a#/>", 500) + numbered('<b# c#=""/>', 990) + b"</x>"
    ),
    "rooms: the maximum number of attributes": b"<x " + numbered('a#="" ', 990) + b"/>",
}
"""
Messages sent repeatedly by a member of a room, by their descriptions.
"""


async def inRoom(message: bytes, target: Target) -> str:
    """
    Send a message repeatedly to a room with one other member.
    """
    attackers = [await target.attacker() for _ in range(2)]
    for attacker in attackers:
        attacker.send(b'<join room="attacked"/>\0')
    while not all(attacker.received for attacker in attackers):
        await target.pause(0.01)
    sender, other = attackers
    batch = (message + b"\0") * max(1, 65536 // len(message))
    start, sent, before = time.process_time(), 0, other.received
    until = time.perf_counter() + ATTACKED
    while time.perf_counter() < until and not sender.lost.called:
        if not sender.transport.dataBuffer:
            sender.send(batch)
            sent += batch.count(b"\0")
        await target.pause(0)
    each = (time.process_time() - start) / sent * 1000
    forwarded = "forwarded" if other.received - before > len(message) else "refused"
    for attacker in attackers:
        attacker.transport.abortConnection()
    return f"{forwarded}; {each:.3f} ms per message"


def attacksOnRooms() -> dict[str, Attack]:
    """
    Return the attacks on rooms, by their descriptions.
    """
    return {description: partial(inRoom, message) for description, message in ROOM_MESSAGES.items()}


async def measure(target: Target, description: str, attack: Attack) -> None:
    """
    Run an attack and print its row.
    """
    # Garbage of previous attacks must not be collected during this one.
    gc.collect()
    gc.freeze()
    await target.start()
    result = await attack(target)
    target.end()
    times = sorted(target.probe.times)
    median, worst = statistics.median(times) * 1000, times[-1] * 1000
    p99 = times[len(times) * 99 // 100] * 1000
    sys.stdout.write(
        f"{description:45}{median:9.2f}{p99:9.2f}{worst:9.2f}"
        f"{target.sent / 1e6:9.1f}{target.spent:9.2f}      {result}\n"
    )
    sys.stdout.flush()


def byDescription(attacks: list[Attack]) -> dict[str, Attack]:
    """
    Return attacks by their descriptions, which are their docstrings.
    """
    return {" ".join((attack.__doc__ or "").split()): attack for attack in attacks}


async def main(reactor: Any) -> None:
    """
    Start the servers, and run the selected attacks.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    limit = 8 * MIB
    factory = OnePortFactory(
        XMLSocketFactory(EchoProtocol, maxLength=limit),
        webSocket=partial(WebSocketFactory, maxFrame=limit),
    )
    tls = hostiletls.createAttacks()
    rooms = RoomFactory(XMLRoomProtocol, Lobby(clock=reactor), announces=True)
    objects = StreamFactory(hostilefloods.ObjectProtocol)
    broadcasts = OnePortFactory(
        XMLSocketFactory(BroadcastProtocol),
        webSocket=partial(WebSocketFactory, compress=True),
    )
    ports = [
        await TCP4ServerEndpoint(reactor, 0, interface=HOST, backlog=4096).listen(each)
        for each in (
            GuardFactory(factory),
            GuardFactory(rooms),
            GuardFactory(objects),
            ProxyProtocolFactory(GuardFactory(factory)),
            GuardFactory(broadcasts),
        )
    ]
    echoPort, roomPort, objectPort, proxyPort, broadcastPort = (
        port.getHost().port for port in ports
    )
    head = f"{'attack':45}{'median':>9}{'p99':>9}{'worst':>9}{'MB sent':>9}{'CPU s':>9}"
    sys.stdout.write(f"{head}      result\n")
    chosen = sys.argv[1:]

    async def measureAll(target: Target, attacks: dict[str, Attack]) -> None:
        for description, attack in attacks.items():
            if not chosen or any(each in description for each in chosen):
                await measure(target, description, attack)

    echoTarget = Target(reactor, echoPort, b"ping\0")
    await measureAll(echoTarget, byDescription([*ATTACKS, *tls, *hostilefloods.PLAIN]))
    for port, attacks in (
        (proxyPort, byDescription([hostilefloods.incompleteHeaders])),
        (objectPort, hostilefloods.attacksOnObjects()),
        (roomPort, hostilefloods.attacksOnLargeRooms()),
        (broadcastPort, byDescription(hostilebroadcasts.BROADCASTS)),
    ):
        await measureAll(Target(reactor, port, b"ping\0", echoPort), attacks)
    await measureAll(Target(reactor, roomPort, b"<rooms/>\0"), attacksOnRooms())
    for listening in ports:
        await listening.stopListening()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
