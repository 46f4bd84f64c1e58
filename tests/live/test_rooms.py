"""
Rooms on two servers, connected by a real broker.
"""

import os
import re
import socket
from pathlib import Path

import pytest

from tests.live import live
from tests.live.peers import (
    HOST,
    TWISTD,
    Buffered,
    Process,
    pause,
    stop,
    theReactor,
)
from tests.support.brokers import REDIS, Kind, broker, everyBroker
from tests.support.ports import freePort
from tests.support.rooms import join, node

pytestmark = pytest.mark.slow


@everyBroker
@live
async def test_twoServers(kind: Kind, tmp_path: Path) -> None:
    """
    A message in a room on one server is received on the other. While the broker is
    down, members of one server still receive each other's messages. Afterwards lost
    messages are reported. At shutdown all clients receive the farewell.
    """
    port = freePort()
    command = kind.command(port)
    async with broker(kind, tmp_path, command):
        one, here = await node(kind, port, tmp_path, "--farewell=<bye/>")
        two, there = await node(kind, port, tmp_path)
        ann, ben, cleo = await join(here, "Ann"), await join(there, "Ben"), await join(here, "Cleo")
        # Messages are delivered after the broker has received the subscription.
        while b">?<" not in ben.received:
            ann.send(b"<say>?</say>\0")
            await pause(0.05)
        ann.send(b"<say>hello</say>\0")
        await ben.until(b'<say from="Ann">hello</say>\0')
        await cleo.until(b'<say from="Ann">hello</say>\0')
    for server in (one, two):
        await server.until(b"no connection to the broker")
    for number in range(3):
        ann.send(b"<say>%d</say>\0" % number)
    await cleo.until(b'<say from="Ann">2</say>\0')
    one.printed = two.printed = b""
    async with broker(kind, tmp_path, command):
        for server in (one, two):
            await server.until(b"connected to the broker")
        # The messages were queued; or they were lost, and members are notified.
        ann.send(b"<say>again</say>\0")
        received = await ben.until(b'<say from="Ann">again</say>\0')
        missed = sum(map(int, re.findall(rb'<gap missed="(\d)" />', received)))
        kept = len(re.findall(rb'<say from="Ann">\d</say>', received))
        assert missed + kept == 3
        await stop(one)
        await ann.until(b"<bye/>\0")
        await ben.until(b'<left name="Ann" />')
        await stop(two)
    for client in (ann, ben, cleo):
        await client.untilLost()


@live
async def test_oneSocket(tmp_path: Path) -> None:
    """
    Several processes can share a listening socket passed by systemd. Connected by a
    broker, they are one server for their clients.
    """
    port = freePort()
    shared = socket.create_server((HOST, 0))
    environment = {**os.environ, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "game"}
    command = [
        *(*TWISTD, "openfl-xml", "--rooms=xml", "--listen=systemd:domain=INET:index=0"),
        f"--broker=redis://{HOST}:{port}",
    ]
    async with broker(REDIS, tmp_path, REDIS.command(port)):
        servers = []
        for _ in "ab":
            server = Process()
            # LISTEN_PID is the process to which the socket belongs.
            theReactor().spawnProcess(
                server,
                "/bin/sh",
                ["sh", "-c", 'export LISTEN_PID=$$; exec "$0" "$@"', *command],
                env=environment,
                path=str(tmp_path),
                childFDs={0: "w", 1: "r", 2: "r", 3: shared.fileno()},
            )
            await server.until(b"connected to the broker")
            servers.append(server)
        clients: list[Buffered] = []
        # The kernel selects the process of a connection; soon both have accepted one.
        while not all(b"opened" in server.printed for server in servers) or len(clients) < 4:
            assert len(clients) < 200
            clients.append(await join(shared.getsockname()[1], f"client{len(clients)}"))
        while any(b">?<" not in client.received for client in clients[1:]):
            clients[0].send(b"<say>?</say>\0")
            await pause(0.05)
        clients[0].send(b"<say>hello</say>\0")
        for client in clients[1:]:
            await client.until(b'<say from="client0">hello</say>\0')
        for server in servers:
            await stop(server)
        for client in clients:
            await client.untilLost()
    shared.close()
