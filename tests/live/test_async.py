"""
Asynchronous handlers under several reactors, as processes.
"""

import socket
import struct
import sys
from pathlib import Path

import pytest

from tests.live import live
from tests.live.peers import HOST, Process, dial, portOf, stop, twistd

REACTORS = ("openfl", "epoll", "asyncio")
ROOT = Path(__file__).parents[2]


def serve(reactor: str, *options: str) -> Process:
    """
    Start C{openfl-xml} under a reactor, with handlers that wait.
    """
    return twistd(
        f"--reactor={reactor}",
        "openfl-xml",
        "--app=tests.live.waiting:Waiting",
        f"--listen=tcp:0:interface={HOST}",
        *options,
        path=str(ROOT),
    )


@live
@pytest.mark.parametrize("reactor", REACTORS)
async def test_waiting(reactor: str) -> None:
    """
    Handlers wait for a time, a thread and, under the asyncio reactor, for asyncio futures. The
    answers are in order.
    """
    server = serve(reactor)
    client = await dial(await portOf(server))
    messages = ["time", "thread", "now", *["asyncio"] * (reactor == "asyncio"), "time", "end"]
    sent = b"".join(b"%s\0" % message.encode() for message in messages)
    client.send(sent)
    assert await client.until(b"end\0") == sent
    await stop(server)


@live
@pytest.mark.skipif(sys.platform != "linux", reason="the check requires Linux")
@pytest.mark.parametrize("reactor", REACTORS)
async def test_reset(reactor: str) -> None:
    """
    While a handler runs, reading is paused. If the client resets its connection, the handler is
    cancelled, and the connection is lost.
    """
    server = serve(reactor)
    client = socket.create_connection((HOST, await portOf(server)))
    client.sendall(b"forever\0more\0")
    await server.until(b"waiting")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    await server.until(b"cancelled")
    await server.until(b"(0 open)")
    assert "Connection lost" in await stop(server)


@live
async def test_shutdown() -> None:
    """
    When the server stops, it cancels the handlers that are running.
    """
    server = serve("openfl", "--shutdown-timeout=1")
    client = await dial(await portOf(server))
    client.send(b"forever\0")
    await server.until(b"waiting")
    assert "cancelled" in await stop(server)
    await client.untilLost()
