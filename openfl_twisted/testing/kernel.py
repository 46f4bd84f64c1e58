"""
What the sockets in memory stand on.
"""

import errno
import heapq
import socket
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any

from twisted.internet.abstract import isIPv6Address

from openfl_twisted.testing.attempts import Attempt
from openfl_twisted.testing.connection import MemoryConnection
from openfl_twisted.testing.datagrams import Datagram
from openfl_twisted.testing.flow import Flow
from openfl_twisted.testing.memorydatagramsocket import MemoryDatagramSocket
from openfl_twisted.testing.memoryhandle import anyAddress
from openfl_twisted.testing.memorysocket import MemorySocket
from openfl_twisted.testing.ports import Ports

if TYPE_CHECKING:
    from openfl_twisted.testing.network import MemoryNetwork

# No file of this process will ever have such a number.
_FIRST_NUMBER = 1 << 24


class Kernel:
    """
    What the system of a machine does for its sockets: it knows them by their
    numbers, has their ports, makes their connections, and carries what they
    send.

    @ivar network: the network, which says how all this goes.
    @ivar ports: who has which port.
    @ivar faults: what is wrong with which address and port, as numbers of
        C{errno}; a port that is C{None} means all of them.
    """

    def __init__(self, network: "MemoryNetwork") -> None:
        """
        @param network: see the attribute.
        """
        self.network = network
        self.ports = Ports()
        self.faults: dict[tuple[str, int | None], int] = {}
        self._sockets: dict[int, Any] = {}
        self._numbers = count(_FIRST_NUMBER)
        self._moving: dict[Flow, None] = {}
        self._later: list[tuple[float, int, Callable[[], object]]] = []

    # What happens when

    def later(self, delay: float, call: Callable[[], object]) -> None:
        """
        Have the network do something.

        @param delay: when, in seconds from now on.
        @param call: called without arguments. What it raises comes out of the
            turn.
        """
        heapq.heappush(self._later, (self.network.seconds() + delay, next(self._numbers), call))

    def deliver(self) -> None:
        """
        Have arrive what is due.
        """
        now = self.network.seconds()
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        for flow in list(self._moving):
            flow.deliver(now)
            if flow.next is None:
                del self._moving[flow]
        self.network.datagrams.deliver(now)

    @property
    def next(self) -> float | None:
        """
        When something arrives next; C{None} if nothing does.
        """
        times = [flow.next for flow in self._moving]
        times += [self.network.datagrams.next, self._later[0][0] if self._later else None]
        return min((time for time in times if time is not None), default=None)

    # Sockets

    def makeSocket(self, family: int, type: int) -> Any:
        """
        Make a socket.

        @param family: C{AF_INET} or C{AF_INET6}.
        @param type: C{SOCK_STREAM}; anything else is a socket of UDP.
        @return: a socket with a number; it does not block.
        """
        kind = MemorySocket if type == socket.SOCK_STREAM else MemoryDatagramSocket
        return kind(self, family, type)

    def adopt(self, made: Any) -> int:
        """
        Give a socket its number.

        @param made: the socket.
        @return: the number, above that of any file of this process.
        """
        number = next(self._numbers)
        self._sockets[number] = made
        return number

    def abandon(self, closed: Any) -> None:
        """
        Forget a socket, and free its port.

        @param closed: a socket that is open no more.
        """
        del self._sockets[closed.number]
        self.ports.release(closed)

    def socketOf(self, number: int) -> Any:
        """
        Get a socket by its number.

        @param number: what its C{fileno} gives.
        @return: the socket, which is open.
        @raise ValueError: if it is none of this network.
        """
        try:
            return self._sockets[number]
        except KeyError:
            raise ValueError(f"{number} is no socket of this network in memory") from None

    def dial(self, client: MemorySocket, host: str, port: int) -> int:
        """
        Have a socket connect.

        @param client: the socket. It gets an address, if it has none.
        @param host: an IP address; that of all is the loopback's.
        @param port: the port there.
        @return: EINPROGRESS; ENETUNREACH if there is no route, unless attempts
            are held.
        """
        if host == anyAddress(client.family):
            host = self.ports.sourceFor(client.family, "::1" if ":" in host else "127.0.0.1")
        reachable = self.faultAt(host, port) != errno.ENETUNREACH and self.ports.has(host)
        if not reachable and not self.network.attempts.holding:
            return errno.ENETUNREACH
        if client.local is None:
            client.bind((self.ports.sourceFor(client.family, host), 0))
        elif client.local[0] == anyAddress(client.family):
            client.local = (self.ports.sourceFor(client.family, host), client.local[1])
        client.peer = (host, port)
        self.network.attempts.begin(Attempt(self, client, host, port))
        return errno.EINPROGRESS

    def join(self, client: MemorySocket) -> MemorySocket:
        """
        Make the connection of a client.

        @param client: the socket that connects. It hears of it after
            C{latency}.
        @return: the server's socket, which is connected.
        """
        server = MemorySocket(self, client.family, client.type)
        server.local, server.peer = client.peer, client.local
        server.established()
        connection = MemoryConnection(client, server, self._flow(), self._flow())
        self.network.connections.append(connection)
        self.later(self.network.latency, client.established)
        return server

    def _flow(self) -> Flow:
        return Flow(
            self.network.seconds,
            self._move,
            latency=self.network.latency,
            window=self.network.window,
            segments=self.network.segments(),
        )

    def _move(self, flow: Flow) -> None:
        self._moving[flow] = None

    def receiverOf(self, datagram: Datagram) -> MemoryDatagramSocket | None:
        """
        Find who gets a datagram.

        @param datagram: the datagram.
        @return: the socket at its destination; C{None} if there is none.
        """
        host, port = datagram.destination
        family = socket.AF_INET6 if isIPv6Address(host) else socket.AF_INET
        found: MemoryDatagramSocket | None = self.ports.find(family, socket.SOCK_DGRAM, host, port)
        return found

    def faultAt(self, host: str, port: int) -> int:
        """
        Say what is wrong with an address: a number of C{errno}, or 0.

        @param host: an IP address.
        @param port: the port there. What is wrong with it counts more than what
            is wrong with all.
        @return: the number; 0 if nothing is wrong.
        """
        return self.faults.get((host, port)) or self.faults.get((host, None), 0)
