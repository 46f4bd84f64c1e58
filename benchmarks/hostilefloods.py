"""
Floods of small messages and connections, for C{python -m benchmarks.hostile}.

Each flood lasts L{ATTACKED} seconds.
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

# Duration of a flood (seconds).
ATTACKED = 1.5
# Number of concurrent connections of a flood.
CONCURRENT = 20
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
    A server of values in AMF, each with a length prefix. Each value is answered with one
    byte. Invalid data closes the connection.
    """

    def socketDataReceived(self, bytesLoaded: int) -> None:
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
    Return the first bytes of a TLS client.
    """
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="games.example")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


async def reconnect(target: Any, first: bytes) -> str:
    """
    Connect, send bytes, and wait until the server closes the connection, repeatedly and
    concurrently.
    """
    until = time.perf_counter() + ATTACKED
    count = 0

    async def connect() -> None:
        nonlocal count
        while time.perf_counter() < until:
            attacker = await target.attacker()
            attacker.send(first)
            await attacker.lost
            count += 1

    await gatherResults([Deferred.fromCoroutine(connect()) for _ in range(CONCURRENT)])
    return f"{count} connections closed by the server"


async def post(target: Any) -> str:
    """
    HTTP: POST with a message in its body
    """
    body = b'\0<say from="Ann">hi</say>\0'
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body)
    return await reconnect(target, head + body)


async def tlsWithoutCertificate(target: Any) -> str:
    """
    TLS: ClientHello, server without certificate
    """
    return await reconnect(target, clientHello())


async def incompleteHeaders(target: Any) -> str:
    """
    2000 incomplete PROXY protocol headers
    """
    return await connectSockets(target, b"PROXY TCP4 192.0.2.1 ")


async def concurrentConnects(target: Any) -> str:
    """
    2000 concurrent connections
    """
    return await connectSockets(target, b"")


async def connectSockets(target: Any, first: bytes) -> str:
    """
    Open many connections as fast as possible, then wait. The sockets are not managed by
    the reactor, since it would be slower than the server.
    """
    sockets = []
    start = time.perf_counter()
    for number in range(CONNECTS):
        each = socket.socket()
        each.setblocking(False)
        each.connect_ex((target.host, target.port))
        sockets.append(each)
        if number % 100 == 99:
            await target.pause(0)
    waiting = set(sockets)
    while waiting and time.perf_counter() - start < CONNECT_TIMEOUT:
        for each in list(waiting)[:100]:
            with suppress(BlockingIOError, OSError):
                each.getpeername()
                each.send(first)
                waiting.discard(each)
        target.sent += 100 * len(first)
        await target.pause(0)
    seconds = time.perf_counter() - start
    await target.pause(1)
    target.end()
    for each in sockets:
        each.close()
        await target.pause(0)
    return f"{CONNECTS - len(waiting)} connected after {seconds:.2f} s"


async def repeat(target: Any, attacker: Any, batch: bytes) -> str:
    """
    Send a batch again whenever the server has read the previous one.
    """
    until = time.perf_counter() + ATTACKED
    count = 0
    while time.perf_counter() < until and not attacker.lost.called:
        if not (attacker.transport.dataBuffer or attacker.transport._tempDataBuffer):  # noqa: SLF001
            attacker.send(batch)
            count += 1
        await target.pause(0)
    state = "closed" if attacker.lost.called else "still open"
    attacker.transport.abortConnection()
    return f"{count} times; {state}"


async def emptyMessages(target: Any) -> str:
    """
    Empty messages, 64 KiB per write
    """
    return await repeat(target, await target.attacker(), bytes(BATCH))


def frame(first: int, payload: bytes = b"") -> bytes:
    """
    Encode a short masked frame.
    """
    return bytes((first, 0x80 | len(payload))) + bytes(4) + payload


async def tinyFrames(target: Any) -> str:
    """
    WebSocket: messages of one byte
    """
    one = frame(0x82, b"\0")
    return await repeat(target, await target.webSocket(), one * (BATCH // len(one)))


async def tinyFragments(target: Any) -> str:
    """
    WebSocket: fragments of one byte
    """
    attacker = await target.webSocket()
    attacker.send(frame(0x02, b"x"))
    one = frame(0x00, b"x")
    return await repeat(target, attacker, one * (BATCH // len(one)))


async def emptyFragments(target: Any) -> str:
    """
    WebSocket: empty fragments
    """
    attacker = await target.webSocket()
    attacker.send(frame(0x02, b"x"))
    one = frame(0x00)
    return await repeat(target, attacker, one * (BATCH // len(one)))


async def pings(target: Any) -> str:
    """
    WebSocket: pings
    """
    one = frame(0x89, b"x")
    return await repeat(target, await target.webSocket(), one * (BATCH // len(one)))


PLAIN: list[Attack] = [
    post,
    tlsWithoutCertificate,
    concurrentConnects,
    emptyMessages,
    tinyFrames,
    tinyFragments,
    emptyFragments,
    pings,
]
"""
Attacks on an echo server.
"""


def strings(count: int, text: str) -> bytes:
    """
    Encode an array of equal strings in AMF3. All but the first are references.
    """
    return b"\x09" + u29(count << 1 | 1) + b"\x01\x06" + string(text) + b"\x06\x00" * (count - 1)


def string(text: str) -> bytes:
    """
    Encode a string without its marker.
    """
    return u29(len(text) << 1 | 1) + text.encode()


def u29(number: int) -> bytes:
    """
    Encode an integer in one to three bytes.
    """
    if number < 0x80:
        return bytes((number,))
    if number < 0x4000:
        return bytes((number >> 7 | 0x80, number & 0x7F))
    return bytes((number >> 14 | 0x80, number >> 7 & 0x7F | 0x80, number & 0x7F))


def array(*elements: bytes) -> bytes:
    """
    Encode an array of encoded values.
    """
    return b"\x09" + u29(len(elements) << 1 | 1) + b"\x01" + b"".join(elements)


OBJECTS = {
    "AMF: the maximum number of nulls": array(*[b"\x01"] * 120_000),
    "AMF: too many nulls": array(*[b"\x01"] * 500_000),
    "AMF: the maximum number of objects": array(*[b"\x0a\x0b\x01\x01"] * 24_000),
    "AMF: the maximum number of arrays": array(*[b"\x09\x01\x01"] * 24_000),
    "AMF: nested arrays": b"\x09\x03\x01" * 300_000,
    "AMF: 60,000 members": b"\x0a\x0b\x01"
    + b"".join(string(f"m{number}") + b"\x01" for number in range(60_000))
    + b"\x01",
    "AMF: references to a string of 64 KiB": strings(120_000, "x" * BATCH),
}
"""
Values sent to a server of AMF, by their descriptions.
"""


async def sendObject(value: bytes, target: Any) -> str:
    """
    Send a value repeatedly, and reconnect when the server closes the connection.
    """
    until = time.perf_counter() + ATTACKED
    count = refused = 0
    while time.perf_counter() < until:
        attacker = await target.attacker()
        before = -1
        while time.perf_counter() < until and not attacker.lost.called:
            if attacker.received > before:
                before = attacker.received
                attacker.send(len(value).to_bytes(LENGTH) + value)
                count += 1
            await target.pause(0)
        refused += attacker.lost.called
        attacker.transport.abortConnection()
    return f"{count} values of {len(value)} bytes, {refused} refused"


def attacksOnObjects() -> dict[str, Attack]:
    """
    Return the attacks on a server of AMF, by their descriptions.
    """
    return {description: partial(sendObject, value) for description, value in OBJECTS.items()}


async def joinRooms(target: Any, count: int, join: str) -> list[Any]:
    """
    Connect members and let them join rooms.

    @param join: the request of each member, with C{#} in place of its number.
    @return: the connected members.
    """
    members = []
    for number in range(count):
        member = await target.attacker()
        member.send(join.replace("#", str(number)).encode() + b"\0")
        members.append(member)
    while not all(member.received for member in members):
        await target.pause(0.01)
    return members


async def floodRoom(message: bytes, target: Any) -> str:
    """
    Send batches of small messages in a room of 500.
    """
    members = await joinRooms(target, CROWD, '<join room="crowd"/>')
    target.begin()
    result = await repeat(target, members[0], (message + b"\0") * (BATCH // len(message)))
    target.end()
    for member in members[1:]:
        member.transport.abortConnection()
    return result


async def listRooms(target: Any) -> str:
    """
    Request a list of 1000 rooms repeatedly, without reading it.
    """
    members = await joinRooms(target, ROOMS, '<join room="room #"/>')
    outsider = await target.attacker()
    target.begin()
    result = await repeat(target, outsider, b"<rooms/>\0" * (BATCH // 9))
    target.end()
    for member in members:
        member.transport.abortConnection()
    return result


async def listRoomsSlowly(target: Any) -> str:
    """
    Request a list of 1000 rooms, 20 times per packet, and read the replies.
    """
    members = await joinRooms(target, ROOMS, '<join room="room #"/>')
    outsider = await target.attacker()
    target.begin()
    until = time.perf_counter() + ATTACKED
    count = 0
    while time.perf_counter() < until and not outsider.lost.called:
        before = outsider.received
        outsider.send(b"<rooms/>\0" * 20)
        while outsider.received < before + 20 * ROOMS * 30 and not outsider.lost.called:
            await target.pause(0)
        count += 20
    target.end()
    state = "closed" if outsider.lost.called else "still open"
    for member in [outsider, *members]:
        member.transport.abortConnection()
    return f"{count} times; {state}"


async def listMembers(target: Any) -> str:
    """
    Request the list of a room of 500 members, all with the maximum number of attributes.
    """
    members = await joinRooms(target, CROWD, '<join room="crowd"/>')
    for number in range(16):
        for member in members:
            member.send(f'<set key="{number:064}" value="{"&lt;" * 64}"/>\0'.encode())
            await target.pause(0)
    await target.pause(0.5)
    target.begin()
    sender, until, count = members[0], time.perf_counter() + ATTACKED, 0
    while time.perf_counter() < until and not sender.lost.called:
        before = sender.received
        sender.send(b"<who/>\0")
        while sender.received < before + 2 * MIB and not sender.lost.called:
            await target.pause(0)
        # The rest of the answer is received during this pause.
        await target.pause(0.05)
        count += 1
    target.end()
    for member in members:
        member.transport.abortConnection()
    return f"{count} times; {'closed' if sender.lost.called else 'still open'}"


def attacksOnLargeRooms() -> dict[str, Attack]:
    """
    Return the attacks on rooms with many members, by their descriptions.
    """
    messages = {
        "rooms: 500 members, 64 KiB of NULs": b"",
        "rooms: 500 members, <who/>": b"<who/>",
        "rooms: 500 members, <set/>": b'<set key="a" value="b"/>',
        "rooms: 500 members, <say> to an unknown name": b'<say to="x"/>',
        "rooms: 500 members, refused": b"<error/>",
        "rooms: 500 members, leave and join": b'<leave/>\0<join room="crowd" name="x"/>',
        "rooms: 500 members, join again": b'<join room="crowd"/>',
    }
    return {
        **{
            description: partial(floodRoom, message or b"\0" * (BATCH - 1))
            for description, message in messages.items()
        },
        "rooms: 1000 rooms, <rooms/>": listRooms,
        "rooms: 1000 rooms, 20 <rooms/> per packet": listRoomsSlowly,
        "rooms: 500 members with data, <who/>": listMembers,
    }
