"""
How long another client waits while somebody does his worst:
C{python benchmarks/hostile.py}.

The server and all clients are in this one process, so a round trip includes the
work of those who attack. Each attack also says how it ended.
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

from benchmarks import hostiletls
from openfl_twisted.protocols.guard import GuardFactory
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.relay import EchoProtocol
from openfl_twisted.protocols.websocket import WebSocketFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory

HOST = "127.0.0.1"
MIB = 1024 * 1024
PAUSE = 0.002
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Attacker(Protocol):
    """
    Sends what it is told, and knows whether it was closed.
    """

    transport: Any

    def __init__(self) -> None:
        self.received = 0
        self.lost: Deferred[None] = Deferred()

    def send(self, data: bytes) -> None:
        """
        Send bytes.
        """
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

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
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
        self.transport.write(b"ping\0")

    def dataReceived(self, data: bytes) -> None:
        """
        Note how long it took.
        """
        self.times.append(time.perf_counter() - self.begun)
        self.reactor.callLater(PAUSE, self.ask)


class Scene:
    """
    A server, and how to get to it.
    """

    def __init__(self, reactor: Any, port: int) -> None:
        self.reactor = reactor
        self.endpoint = TCP4ClientEndpoint(reactor, HOST, port)

    async def attacker(self) -> Attacker:
        """
        Connect somebody.
        """
        attacker: Attacker = await connectProtocol(self.endpoint, Attacker())
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


ATTACKS: list[Callable[[Scene], Awaitable[str]]] = [
    nothing,
    halfALine,
    longHead,
    hugeFrame,
    fragments,
    neverReads,
    silent,
]


async def main(reactor: Any) -> None:
    """
    Measure each attack.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    limit = 8 * MIB
    factory = OnePortFactory(
        XMLSocketFactory(EchoProtocol, maxLength=limit),
        webSocket=partial(WebSocketFactory, maxMessage=limit),
    )
    endpoint = TCP4ServerEndpoint(reactor, 0, interface=HOST, backlog=4096)
    port = await endpoint.listen(GuardFactory(factory))
    tls = hostiletls.rows()
    scene = Scene(reactor, port.getHost().port)
    columns = f"{'median':>9}{'p99':>9}{'worst':>9}"
    sys.stdout.write(f"{'the attack':50}{columns} ms   how it ended\n")
    for attack in [*ATTACKS, *tls]:
        # The objects that other attacks have left are not a cost of this one.
        gc.collect()
        gc.freeze()
        good = Good(reactor)
        await connectProtocol(scene.endpoint, good)
        ended = await attack(scene)
        good.ends = True
        median, worst = statistics.median(good.times) * 1000, max(good.times) * 1000
        words = " ".join((attack.__doc__ or "").split())
        p99 = sorted(good.times)[len(good.times) * 99 // 100] * 1000
        sys.stdout.write(f"{words:50}{median:9.2f}{p99:9.2f}{worst:9.2f}      {ended}\n")
        sys.stdout.flush()
    await port.stopListening()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
