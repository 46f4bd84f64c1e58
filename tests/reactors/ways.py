"""
The ways in which a server can run: reactors, and transports on them. None of
them is installed; a test turns them by hand.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.pollreactor import PollReactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.selectreactor import SelectReactor
from twisted.python.failure import Failure

from openfl_twisted.reactors.epoll import OpenFLReactor
from openfl_twisted.transports.tcp import coalesceWrites

HOST = "127.0.0.1"

MANY = 5000
"""
Maximum number of iterations to wait for a condition.
"""


def asyncioReactor() -> AsyncioSelectorReactor:
    return AsyncioSelectorReactor(asyncio.SelectorEventLoop())


STOCK = "Twisted's epoll reactor"
"""
The way with which all others are compared.
"""

WAYS: dict[str, tuple[Callable[[], Any], bool]] = {
    STOCK: (EPollReactor, False),
    "epoll, joined": (EPollReactor, True),
    "poll, joined": (PollReactor, True),
    "select, joined": (SelectReactor, True),
    "asyncio, joined": (asyncioReactor, True),
    "openfl": (OpenFLReactor, False),
}
"""
Each variant: the reactor, and whether its ports coalesce writes.
"""

JOINING = [name for name in WAYS if name != STOCK]


class Peer:
    """
    The other side of a connection; the test controls when it reads.

    @ivar received: the received bytes.
    @ivar end: how the connection ended: C{"closed"}; C{"reset"}; C{"gone"} if this side
        has closed it; C{None} if it is open.
    """

    def __init__(self, own: socket.socket) -> None:
        self.socket = own
        self.socket.setblocking(False)
        self.received = bytearray()
        self.end: str | None = None

    def send(self, data: bytes) -> None:
        self.socket.setblocking(True)
        self.socket.sendall(data)
        self.socket.setblocking(False)

    def read(self, most: int = 1 << 20) -> None:
        """
        Read the available data.
        """
        while self.end is None and most > 0:
            try:
                data = self.socket.recv(min(most, 1 << 16))
            except BlockingIOError:
                return
            except ConnectionResetError:
                self.end = "reset"
                return
            self.received += data
            most -= len(data)
            if not data:
                self.end = "closed"

    def halfClose(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """
        Close the connection.
        """
        self.end = "gone"
        self.socket.close()

    def reset(self) -> None:
        """
        Reset the connection.
        """
        linger = (1).to_bytes(4, "little") + bytes(4)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close()


class Way:
    """
    A reactor that the test turns.

    @ivar peers: all that were connected.
    """

    def __init__(self, name: str) -> None:
        make, self._joined = WAYS[name]
        self.reactor = make()
        self.peers: list[Peer] = []
        self._ports: list[Any] = []
        self._met: list[Any] = []

    def listen(self, factory: IProtocolFactory) -> int:
        """
        Open a port.
        """
        port = self.reactor.listenTCP(0, factory, interface=HOST)
        if self._joined:
            coalesceWrites(port)
        self._ports.append(port)
        return cast("int", port.getHost().port)

    def dial(self, port: int, room: int | None = None) -> Peer:
        """
        Connect a peer.

        @param room: the approximate receive buffer of the peer's kernel (bytes).
        """
        own = socket.socket()
        if room is not None:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
        own.connect((HOST, port))
        peer = Peer(own)
        self.peers.append(peer)
        return peer

    def meet(self, protocol: Protocol, room: int | None = None) -> Peer:
        """
        Connect to a protocol, and return it.
        """
        factory = Factory.forProtocol(lambda: protocol)
        factory.noisy = False
        self._met.append(protocol)
        peer = self.dial(self.listen(factory), room)
        self.turn(5)
        return peer

    def turn(self, times: int = 1) -> None:
        """
        Run reactor iterations.
        """
        for _ in range(times):
            self.reactor.iterate(0)

    def until(self, come: Callable[[], object]) -> None:
        """
        Run iterations, and let the peers read, until a condition is met.
        """
        for _ in range(MANY):
            if come():
                return
            self.reactor.iterate(0.001)
            for peer in self.peers:
                peer.read()
        raise AssertionError("it does not come")

    def close(self) -> None:
        """
        Close all peers, ports and connections.
        """
        for peer in self.peers:
            peer.close()
        for port in self._ports:
            port.stopListening()
        for protocol in self._met:
            # A paused connection does not detect that its peer has disconnected.
            protocol.transport.abortConnection()
        self.turn(5)
        for left in self.reactor.removeAll():
            left.connectionLost(Failure(ConnectionDone()))
        for internal in [*self.reactor._internalReaders]:
            self.reactor._internalReaders.discard(internal)
            internal.connectionLost(None)
        if hasattr(self.reactor, "_poller") and hasattr(self.reactor._poller, "close"):
            self.reactor._poller.close()
        if hasattr(self.reactor, "_asyncioEventloop"):
            self.reactor._asyncioEventloop.close()


@contextmanager
def way(name: str) -> Iterator[Way]:
    """
    Run a test with one variant, and clean up.
    """
    own = Way(name)
    try:
        yield own
    finally:
        own.close()
