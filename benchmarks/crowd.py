"""
Cost of a server with many clients: C{python benchmarks/crowd.py}.

The benchmark starts C{twistd openfl-xml --rooms path} and connects 5,000 idle clients,
and 500 clients in one room. One of the 500 sends messages. Half of all clients are
WebSockets. CPU time and memory of the server's process are read from the system. The
times depend on the machine, but the memory does not.

The exit status is 1 if the server exceeds L{MAX_MEMORY} or L{MAX_CPU}.
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

MAX_MEMORY = 130_000_000
"""
Maximum memory of the process with all clients connected (bytes).
"""

MAX_CPU = 0.5
"""
Maximum share of a core while the room receives 20 messages per second.
"""

UPGRADE = (
    b"GET /%s HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class CountingClient(Protocol):
    """
    A client that counts the received messages.
    """

    transport: Any
    received = 0

    def dataReceived(self, data: bytes) -> None:
        self.received += data.count(b"\0")


def usage(pid: int) -> tuple[float, int]:
    """
    Return the CPU time (seconds) and the memory (bytes) of a process.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = os.sysconf("SC_CLK_TCK")
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return (int(fields[11]) + int(fields[12])) / ticks, pages * os.sysconf("SC_PAGE_SIZE")


async def connect(reactor: Any) -> CountingClient:
    """
    Connect a new client to the server.
    """
    client: CountingClient = await connectProtocol(
        TCP4ClientEndpoint(reactor, HOST, PORT), CountingClient()
    )
    return client


async def main(reactor: Any) -> None:
    """
    Start the server and measure it.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
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
    Connect the clients, send the messages, and print the results.
    """
    await deferLater(reactor, 3)
    _, empty = usage(pid)
    kinds = (("plain", b"idle\0"), ("WebSocket", UPGRADE % b"idle"))
    before = empty
    for kind, first in kinds:
        for number in range(IDLE // 2):
            client = await connect(reactor)
            # The number of members per room is limited.
            client.transport.write(first.replace(b"idle", b"idle%d" % (number // 400)))
        await deferLater(reactor, 2)
        _, after = usage(pid)
        each = (after - before) / (IDLE // 2)
        sys.stdout.write(f"an idle {kind} client in a room: {each / 1000:.1f} kB\n")
        before = after
    room = [await connect(reactor) for _ in range(ROOM)]
    for number, client in enumerate(room):
        client.transport.write(UPGRADE % b"busy" if number % 2 else b"busy\0")
    await deferLater(reactor, 2)
    begun, (cpu, _) = time.perf_counter(), usage(pid)
    for _ in range(MESSAGES):
        room[0].transport.write(b"x" * 99 + b"\0")
        await deferLater(reactor, SECONDS / MESSAGES)
    expected = MESSAGES * (ROOM - 1)
    while sum(client.received for client in room) < expected:
        await deferLater(reactor, 0.1)
    seconds, (later, memory) = time.perf_counter() - begun, usage(pid)
    share = (later - cpu) / seconds
    sys.stdout.write(
        f"{MESSAGES} messages to {ROOM - 1} of {IDLE + ROOM} clients in {seconds:.1f} s: "
        f"{share:.0%} of a core, "
        f"{(later - cpu) / expected * 1e6:.1f} \N{MICRO SIGN}s each; "
        f"{memory / 1e6:.0f} MB in all, {empty / 1e6:.0f} MB without clients\n"
    )
    if memory > MAX_MEMORY or share > MAX_CPU:
        sys.exit(f"limit exceeded: {MAX_MEMORY / 1e6:.0f} MB or {MAX_CPU:.0%} of a core")


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
