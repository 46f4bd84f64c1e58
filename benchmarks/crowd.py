"""
What a crowd costs a server: C{python benchmarks/crowd.py}.

It starts C{twistd openfl-xml --rooms path} as a process of its own, connects
5,000 clients that say nothing and 500 in one room, of whom one speaks, and reads
from the system what the server takes; half of all are WebSockets. The other
numbers depend on the machine; those of the memory do not.

It ends with status 1 if the server takes more than L{MOST_MEMORY} or
L{MOST_CPU}.
"""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater, react

HOST = "127.0.0.1"
PORT = 18808
IDLE, ROOM = 5000, 500
MESSAGES, SECONDS = 200, 10

MOST_MEMORY = 130_000_000
"""
What the process may take with everybody connected, in bytes.
"""

MOST_CPU = 0.5
"""
What it may take of a core while the room hears 20 messages a second.
"""

UPGRADE = (
    b"GET /%s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Quiet(Protocol):
    """
    Counts the zero bytes that come.
    """

    transport: Any
    heard = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Count.
        """
        self.heard += data.count(b"\0")


def usage(pid: int) -> tuple[float, int]:
    """
    Read what a process has taken.

    @return: seconds of CPU, and bytes of memory.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) / ticks, pages * os.sysconf("SC_PAGE_SIZE")


async def connected(reactor: Any) -> Quiet:
    """
    Connect a client.
    """
    client: Quiet = await connectProtocol(TCP4ClientEndpoint(reactor, HOST, PORT), Quiet())
    return client


async def main(reactor: Any) -> None:
    """
    Measure.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    twistd = Path(sys.executable).parent / "twistd"
    server = subprocess.Popen(
        [
            *(twistd, "-n", "--pidfile=", "--logfile=/dev/null", "openfl-xml", "--rooms=path"),
            *(f"--listen=tcp:{PORT}:interface={HOST}:backlog=1000", "--log-level=warn"),
        ]
    )
    try:
        await measure(reactor, server.pid)
    finally:
        server.terminate()
        server.wait()


async def measure(reactor: Any, pid: int) -> None:
    """
    Let the clients do what they do.
    """
    await deferLater(reactor, 3)
    _, empty = usage(pid)
    kinds = (("plain", b"idle\0"), ("WebSocket", UPGRADE % b"idle"))
    before = empty
    for kind, first in kinds:
        for number in range(IDLE // 2):
            client = await connected(reactor)
            # Not all in one room: there are limits.
            client.transport.write(first.replace(b"idle", b"idle%d" % (number // 400)))
        await deferLater(reactor, 2)
        _, after = usage(pid)
        each = (after - before) / (IDLE // 2)
        sys.stdout.write(f"an idle {kind} client in a room: {each / 1000:.1f} kB\n")
        before = after
    room = [await connected(reactor) for _ in range(ROOM)]
    for number, client in enumerate(room):
        client.transport.write(UPGRADE % b"busy" if number % 2 else b"busy\0")
    await deferLater(reactor, 2)
    begun, (cpu, _) = time.perf_counter(), usage(pid)
    for _ in range(MESSAGES):
        room[0].transport.write(b"x" * 99 + b"\0")
        await deferLater(reactor, SECONDS / MESSAGES)
    expected = MESSAGES * (ROOM - 1)
    while sum(client.heard for client in room) < expected:
        await deferLater(reactor, 0.1)
    passed, (later, memory) = time.perf_counter() - begun, usage(pid)
    share = (later - cpu) / passed
    sys.stdout.write(
        f"{MESSAGES} messages to {ROOM - 1} of {IDLE + ROOM} clients in {passed:.1f} s: "
        f"{share:.0%} of a core, "
        f"{(later - cpu) / expected * 1e6:.1f} \N{MICRO SIGN}s each; "
        f"{memory / 1e6:.0f} MB in all, {empty / 1e6:.0f} MB without clients\n"
    )
    if memory > MOST_MEMORY or share > MOST_CPU:
        sys.exit(f"that is more than {MOST_MEMORY / 1e6:.0f} MB, or {MOST_CPU:.0%} of a core")


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
