"""
Clients that send very many small things: rows of C{python benchmarks/hostile.py}.

Each flood is repeated for L{ATTACKED} seconds.
"""

import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, gatherResults

from openfl_twisted.protocols.binarysocket import BinarySocketProtocol
from openfl_twisted.wire.amf.codec import decode
from openfl_twisted.wire.amf.values import AMFError

# Seconds for which a flood is repeated.
ATTACKED = 1.5
# Connections of a flood at the same time.
TOGETHER = 20
CONNECTS = 2000
CONNECT_TIMEOUT = 20.0
CROWD = 500
ROOMS = 1000
BATCH = 64 * 1024
MIB = 1024 * 1024
LENGTH = 4

Attack = Callable[[Any], Awaitable[str]]


class ObjectProtocol(BinarySocketProtocol):
    """
    A server that reads values in AMF, each after its length, and answers each
    with a byte. Anything else ends the connection.
    """

    def socketDataReceived(self, bytesLoaded: int) -> None:
        """
        Read the values that have been received completely.
        """
        while self.bytesAvailable >= LENGTH:
            length = int.from_bytes(self._unread[:LENGTH])
            if self.bytesAvailable < LENGTH + length:
                return
            self.readUnsignedInt()
            try:
                decode(self._take(length))
            except (AMFError, EOFError):
                self.transport.loseConnection()
                return
            self.writeByte(1)
            self.flush()


def clientHello() -> bytes:
    """
    Make the first bytes of a client that speaks TLS.
    """
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="games.example")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def calling(scene: Any, first: bytes) -> str:
    """
    Connect, send something, and wait for the end of the connection; again and
    again, with some connections at the same time.
    """
    until = time.perf_counter() + ATTACKED
    count = 0

    async def call() -> None:
        nonlocal count
        while time.perf_counter() < until:
            attacker = await scene.attacker()
            attacker.send(first)
            await attacker.lost
            count += 1

    await gatherResults([Deferred.fromCoroutine(call()) for _ in range(TOGETHER)])
    return f"{count} connections closed by the server"


async def post(scene: Any) -> str:
    """
    HTTP: POST with a message in its body
    """
    body = b'\0<say from="Ann">hi</say>\0'
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
    return await calling(scene, head + body)


async def tlsWithoutCertificate(scene: Any) -> str:
    """
    TLS handshakes, without a certificate
    """
    return await calling(scene, clientHello())


async def halfHeaders(scene: Any) -> str:
    """
    2000 half PROXY headers
    """
    return await waitingConnects(scene, b"PROXY TCP4 192.0.2.1 ")


async def connects(scene: Any) -> str:
    """
    2000 connects at the same time
    """
    return await waitingConnects(scene, b"")


async def waitingConnects(scene: Any, first: bytes) -> str:
    """
    Connect very many sockets as fast as possible, and then wait. The sockets are
    not those of the reactor, since these would be slower than the server.
    """
    sockets = []
    begun = time.perf_counter()
    for number in range(CONNECTS):
        each = socket.socket()
        each.setblocking(False)
        each.connect_ex((scene.host, scene.port))
        sockets.append(each)
        if number % 100 == 99:
            await scene.pause(0)
    waiting = set(sockets)
    while waiting and time.perf_counter() - begun < CONNECT_TIMEOUT:
        for each in list(waiting)[:100]:
            with suppress(BlockingIOError, OSError):
                each.getpeername()
                each.send(first)
                waiting.discard(each)
        scene.sent += 100 * len(first)
        await scene.pause(0)
    seconds = time.perf_counter() - begun
    await scene.pause(1)
    scene.end()
    for each in sockets:
        each.close()
        await scene.pause(0)
    return f"{CONNECTS - len(waiting)} connected after {seconds:.2f} s"


async def repeat(scene: Any, attacker: Any, batch: bytes) -> str:
    """
    Send something as often as the server reads it.
    """
    until = time.perf_counter() + ATTACKED
    count = 0
    while time.perf_counter() < until and not attacker.lost.called:
        if not (attacker.transport.dataBuffer or attacker.transport._tempDataBuffer):  # noqa: SLF001
            attacker.send(batch)
            count += 1
        await scene.pause(0)
    ended = "closed" if attacker.lost.called else "still open"
    attacker.transport.abortConnection()
    return f"{count} times; {ended}"


async def nuls(scene: Any) -> str:
    """
    Empty messages, 64 KiB at once
    """
    return await repeat(scene, await scene.attacker(), bytes(BATCH))


def frame(first: int, payload: bytes = b"") -> bytes:
    """
    Write a small masked frame.
    """
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


async def tinyFrames(scene: Any) -> str:
    """
    WebSocket: messages of one byte
    """
    one = frame(0x82, b"\0")
    return await repeat(scene, await scene.webSocket(), one * (BATCH // len(one)))


async def tinyFragments(scene: Any) -> str:
    """
    WebSocket: fragments of one byte
    """
    attacker = await scene.webSocket()
    attacker.send(frame(0x02, b"x"))
    one = frame(0x00, b"x")
    return await repeat(scene, attacker, one * (BATCH // len(one)))


async def emptyFragments(scene: Any) -> str:
    """
    WebSocket: fragments of nothing
    """
    attacker = await scene.webSocket()
    attacker.send(frame(0x02, b"x"))
    one = frame(0x00)
    return await repeat(scene, attacker, one * (BATCH // len(one)))


async def pings(scene: Any) -> str:
    """
    WebSocket: pings
    """
    one = frame(0x89, b"x")
    return await repeat(scene, await scene.webSocket(), one * (BATCH // len(one)))


PLAIN: list[Attack] = [
    post,
    tlsWithoutCertificate,
    connects,
    nuls,
    tinyFrames,
    tinyFragments,
    emptyFragments,
    pings,
]
"""
Attacks on a port that echoes.
"""


def strings(count: int, text: str) -> bytes:
    """
    Write an array of equal strings in AMF3: all but the first are references.
    """
    return b"\x09" + u29(count << 1 | 1) + b"\x01\x06" + string(text) + b"\x06\x00" * (count - 1)


def string(text: str) -> bytes:
    """
    Write a string without its marker.
    """
    return u29(len(text) << 1 | 1) + text.encode()


def u29(number: int) -> bytes:
    """
    Write an integer of one to three bytes.
    """
    if number < 0x80:
        return bytes((number,))
    if number < 0x4000:
        return bytes((number >> 7 | 0x80, number & 0x7F))
    return bytes((number >> 14 | 0x80, number >> 7 & 0x7F | 0x80, number & 0x7F))


def array(*elements: bytes) -> bytes:
    """
    Write an array of values.
    """
    return b"\x09" + u29(len(elements) << 1 | 1) + b"\x01" + b"".join(elements)


OBJECTS = {
    "AMF: as many null as are allowed": array(*[b"\x01"] * 120_000),
    "AMF: too many null": array(*[b"\x01"] * 500_000),
    "AMF: as many objects as are allowed": array(*[b"\x0a\x0b\x01\x01"] * 24_000),
    "AMF: as many arrays as are allowed": array(*[b"\x09\x01\x01"] * 24_000),
    "AMF: nested arrays": b"\x09\x03\x01" * 300_000,
    "AMF: 60,000 members": b"\x0a\x0b\x01"
    + b"".join(string(f"m{number}") + b"\x01" for number in range(60_000))
    + b"\x01",
    "AMF: references to a string of 64 KiB": strings(120_000, "x" * BATCH),
}
"""
Values for a server that reads AMF.
"""


async def sendObject(value: bytes, scene: Any) -> str:
    """
    Send a value again and again, on a new connection whenever the server closes.
    """
    until = time.perf_counter() + ATTACKED
    count = refused = 0
    while time.perf_counter() < until:
        attacker = await scene.attacker()
        before = -1
        while time.perf_counter() < until and not attacker.lost.called:
            if attacker.received > before:
                before = attacker.received
                attacker.send(len(value).to_bytes(LENGTH) + value)
                count += 1
            await scene.pause(0)
        refused += attacker.lost.called
        attacker.transport.abortConnection()
    return f"{count} values of {len(value)} bytes, {refused} refused"


def attacksOnObjects() -> dict[str, Attack]:
    """
    Return the attacks on a server that reads AMF, by their descriptions.
    """
    return {words: partial(sendObject, value) for words, value in OBJECTS.items()}


async def crowd(scene: Any, count: int, join: str) -> list[Any]:
    """
    Have members join rooms.

    @param join: the request of each; C{#} is its number.
    """
    members = []
    for number in range(count):
        member = await scene.attacker()
        member.send(join.replace("#", str(number)).encode() + b"\0")
        members.append(member)
    while not all(member.received for member in members):
        await scene.pause(0.01)
    return members


async def inCrowd(message: bytes, scene: Any) -> str:
    """
    Send 64 KiB of small messages again and again, in a room of 500.
    """
    members = await crowd(scene, CROWD, '<join room="crowd"/>')
    scene.begin()
    ended = await repeat(scene, members[0], (message + b"\0") * (BATCH // len(message)))
    scene.end()
    for member in members[1:]:
        member.transport.abortConnection()
    return ended


async def listRooms(scene: Any) -> str:
    """
    Ask for a list of 1000 rooms again and again.
    """
    members = await crowd(scene, ROOMS, '<join room="room #"/>')
    outsider = await scene.attacker()
    scene.begin()
    ended = await repeat(scene, outsider, b"<rooms/>\0" * (BATCH // 9))
    scene.end()
    for member in members:
        member.transport.abortConnection()
    return ended


async def listRoomsSlowly(scene: Any) -> str:
    """
    Ask for a list of 1000 rooms, 20 times in one packet, and read it.
    """
    members = await crowd(scene, ROOMS, '<join room="room #"/>')
    outsider = await scene.attacker()
    scene.begin()
    until = time.perf_counter() + ATTACKED
    count = 0
    while time.perf_counter() < until and not outsider.lost.called:
        before = outsider.received
        outsider.send(b"<rooms/>\0" * 20)
        while outsider.received < before + 20 * ROOMS * 30 and not outsider.lost.called:
            await scene.pause(0)
        count += 20
    scene.end()
    ended = "closed" if outsider.lost.called else "still open"
    for member in [outsider, *members]:
        member.transport.abortConnection()
    return f"{count} times; {ended}"


async def describedCrowd(scene: Any) -> str:
    """
    A room of 500 of which as much is said as is allowed; one asks for the list.
    """
    members = await crowd(scene, CROWD, '<join room="crowd"/>')
    for number in range(16):
        for member in members:
            member.send(f'<set key="{number:064}" value="{"&lt;" * 64}"/>\0'.encode())
            await scene.pause(0)
    await scene.pause(0.5)
    scene.begin()
    asks, until, count = members[0], time.perf_counter() + ATTACKED, 0
    while time.perf_counter() < until and not asks.lost.called:
        before = asks.received
        asks.send(b"<who/>\0")
        while asks.received < before + 2 * MIB and not asks.lost.called:
            await scene.pause(0)
        # The rest of the answer is received in the meantime.
        await scene.pause(0.05)
        count += 1
    scene.end()
    for member in members:
        member.transport.abortConnection()
    return f"{count} times; {'closed' if asks.lost.called else 'still open'}"


def attacksOnCrowds() -> dict[str, Attack]:
    """
    Return the attacks on rooms with many members, by their descriptions.
    """
    messages = {
        "rooms: 500 members, 64 KiB of NULs": b"",
        "rooms: 500 members, <who/>": b"<who/>",
        "rooms: 500 members, <set/>": b'<set key="a" value="b"/>',
        "rooms: 500 members, <say to> nobody": b'<say to="x"/>',
        "rooms: 500 members, refused": b"<error/>",
        "rooms: 500 members, leave and join": b'<leave/>\0<join room="crowd" name="x"/>',
        "rooms: 500 members, join again": b'<join room="crowd"/>',
    }
    return {
        **{
            words: partial(inCrowd, message or b"\0" * (BATCH - 1))
            for words, message in messages.items()
        },
        "rooms: 1000 rooms, <rooms/>": listRooms,
        "rooms: 1000 rooms, 20 <rooms/> at once": listRoomsSlowly,
        "rooms: 500 members with data, <who/>": describedCrowd,
    }
