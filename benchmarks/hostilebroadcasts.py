"""
Messages to many clients, for C{python -m benchmarks.hostile}.
"""

import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

RECEIVERS = 100
# Duration of an attack (seconds).
ATTACKED = 1.5
MIB = 1024 * 1024
SHORT = 30_000
UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)

Attack = Callable[[Any], Awaitable[str]]


def words(length: int) -> bytes:
    """
    Return text that takes long to compress, with a NUL byte.

    @param length: the length (bytes).
    """
    chosen = random.Random(0)  # noqa: S311 - not for security
    text = b" ".join(b"word%d" % chosen.randrange(1000) for _ in range(length // 5))
    return text[: length - 1] + b"\0"


def frame(message: bytes) -> bytes:
    """
    Return the frame of a client. The mask is 0.
    """
    length = len(message)
    head = bytes((0x82, 0x80 | length)) if length < 126 else b"\x82\xff" + length.to_bytes(8)
    return head + bytes(4) + message


async def flood(target: Any, data: bytes, opening: bytes) -> str:
    """
    Send data to many clients, repeatedly.

    @param opening: the first data of each client.
    """
    attackers = [await target.attacker() for _ in range(RECEIVERS + 1)]
    for attacker in attackers:
        attacker.send(opening)
        await target.pause(0)
    # Idle clients receive messages after protocol detection.
    await target.pause(1)
    target.begin()
    sender, *receivers = attackers
    before = sum(receiver.received for receiver in receivers)
    until = time.perf_counter() + ATTACKED
    while time.perf_counter() < until and not sender.lost.called:
        if not sender.transport.dataBuffer:
            sender.send(data)
        await target.pause(0)
    target.end()
    received = sum(receiver.received for receiver in receivers) - before
    for attacker in attackers:
        attacker.transport.abortConnection()
    return f"{received / 1e6:,.0f} MB received"


async def longMessages(target: Any) -> str:
    """
    broadcast: 1 MiB to 100 clients
    """
    return await flood(target, words(MIB), b"hello\0")


async def longCompressed(target: Any) -> str:
    """
    broadcast: 1 MiB to 100 compressed WebSockets
    """
    return await flood(target, frame(words(MIB)), UPGRADE)


async def shortCompressed(target: Any) -> str:
    """
    broadcast: 30,000 messages to compressed WebSockets
    """
    messages = b"".join(frame(b'<move x="%d" y="%d"/>\0' % (at, at)) for at in range(SHORT))
    return await flood(target, messages, UPGRADE)


BROADCASTS: list[Attack] = [longMessages, longCompressed, shortCompressed]
"""
The attacks.
"""
