"""
Tests for the listen backlog.
"""

import socket
from contextlib import ExitStack

from twisted.internet.defer import maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol

from openfl_twisted.endpoints import _preparePort
from tests.live import live
from tests.live.peers import HOST


def connected(port: int, count: int) -> int:
    """
    Connect clients while the server does not accept connections.

    @return: the number of connections that the kernel establishes.
    """
    with ExitStack() as stack:
        for number in range(count):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex((HOST, port))
            # On loopback, a connection is established immediately unless the backlog is full.
            if client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) != b"\1":
                return number
    return count


@live
async def test_backlog() -> None:
    """
    The kernel holds many connections until they are accepted. A backlog set by the
    program is kept.
    """
    from twisted.internet import reactor

    for setting, least, most in [("", 300, 300), (":backlog=5", 5, 10)]:
        endpoint = serverFromString(reactor, f"tcp:0:interface={HOST}{setting}")
        port = _preparePort(await endpoint.listen(Factory.forProtocol(Protocol)))
        found = connected(port.getHost().port, 300)  # type: ignore[attr-defined]
        assert least <= found <= most
        await maybeDeferred(port.stopListening)
