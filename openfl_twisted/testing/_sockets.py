"""
In-memory sockets, with the behavior of Linux that Twisted's transports rely on.
"""

import errno
import heapq
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any

from openfl_twisted.testing._datagrams import Datagram, Datagrams
from openfl_twisted.testing._flow import WINDOW, Flow, MemoryConnection, checkSizes
from openfl_twisted.testing._ports import Ports, anyAddress, socketError
from openfl_twisted.testing._settings import Setting, Settings, checkCount, checkSeconds

# The first file descriptor of in-memory sockets, larger than all file descriptors of the process.
_FIRST_NUMBER = 1 << 24

# The SO_LINGER option of a socket whose close() sends a RST.
_ABORTING = struct.pack("ii", 1, 0)

# The maximum payload of a datagram over IPv4; over IPv6, it is 20 bytes larger.
MAX_DATAGRAM = 65507

# Maximum number of bytes in unread datagrams: the default receive buffer of Linux.
RECEIVE_BUFFER = 212_992


class NetworkSettings(Settings):
    """
    The settings of a network; see
    L{MemoryNetwork<openfl_twisted.testing.MemoryNetwork>}.
    """

    lookupTime = Setting(checkSeconds)
    latency = Setting(checkSeconds)
    window = Setting(checkCount)

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {"localhost": ["127.0.0.1"]}
        self.lookupTime = 0.0
        self.latency = 0.0
        self.window = WINDOW
        self._segments: Iterable[int] = ()

    @property
    def segments(self) -> Iterable[int]:
        """
        The sizes for L{Flow.split<openfl_twisted.testing.Flow.split>}, used for each direction
        of a new connection (default: no sizes).
        """
        return self._segments

    @segments.setter
    def segments(self, sizes: Iterable[int]) -> None:
        if isinstance(checkSizes("segments", sizes), Iterator):
            raise TypeError(
                "segments is used for several connections: assign a list, EVERY_BYTE or"
                f" atOffsets(...), not the iterator {sizes!r:.80}"
            )
        self._segments = sizes


class Kernel:
    """
    The part of an operating system below its sockets: file descriptors, ports,
    connections, and the delivery of packets.

    @ivar holding: whether connection attempts are held until C{attempted} continues or answers
        them. A held attempt needs no route.
    @ivar attempted: called with the client, the host and the port of each
        connection attempt. L{proceed} continues the attempt.
    """

    def __init__(self, settings: NetworkSettings, seconds: Callable[[], float]) -> None:
        self.ports = Ports()
        self.datagrams = Datagrams(self.ports, seconds)
        self.connections: list[MemoryConnection] = []
        self.holding = False
        self.attempted: Callable[[MemorySocket, str, int], object] = self.proceed
        self._settings = settings
        self._seconds = seconds
        self._sockets: dict[int, Any] = {}
        self._numbers = count(_FIRST_NUMBER)
        self._moving: dict[Flow, None] = {}
        self._later: list[tuple[float, int, Callable[[], object]]] = []

    def later(self, delay: float, call: Callable[[], object]) -> None:
        """
        Call a function after a delay (seconds). Exceptions of the function are raised in the
        test; the reactor would only log them.
        """
        heapq.heappush(self._later, (self._seconds() + delay, next(self._numbers), call))

    def deliver(self) -> None:
        """
        Deliver the packets that are due.
        """
        now = self._seconds()
        while self._later and self._later[0][0] <= now:
            heapq.heappop(self._later)[2]()
        for flow in list(self._moving):
            flow.deliver(now)
            if flow.next is None:
                del self._moving[flow]
        self.datagrams.deliver(now)

    @property
    def next(self) -> float | None:
        """
        Time of the next delivery; C{None} if nothing is in flight.
        """
        times = [flow.next for flow in self._moving]
        times += [self.datagrams.next, self._later[0][0] if self._later else None]
        return min((time for time in times if time is not None), default=None)

    def makeSocket(self, family: int, type: int) -> Any:
        kind = MemorySocket if type == socket.SOCK_STREAM else MemoryDatagramSocket
        return kind(self, family, type)

    def adopt(self, opened: "_BaseSocket") -> int:
        """
        Assign a file descriptor to a socket.
        """
        number = next(self._numbers)
        self._sockets[number] = opened
        return number

    def abandon(self, closed: "_BaseSocket") -> None:
        """
        Release the file descriptor and the port of a socket.
        """
        del self._sockets[closed.number]
        self.ports.release(closed)

    def socketOf(self, number: int) -> Any:
        """
        Return the socket of a file descriptor.
        """
        try:
            return self._sockets[number]
        except KeyError:
            raise ValueError(f"{number} is not a socket of this in-memory network") from None

    def dial(self, client: "MemorySocket", host: str, port: int) -> int:
        """
        Start a connection attempt. C{0.0.0.0} and C{::} represent the loopback
        interface.

        @return: the error number: EINPROGRESS, or ENETUNREACH without a route.
        """
        if host == anyAddress(client.family):
            host = self.ports.sourceFor(client.family, "::1" if ":" in host else "127.0.0.1")
        reachable = self.ports.has(host) and self.ports.faultAt(host, port) != errno.ENETUNREACH
        if not reachable and not self.holding:
            return errno.ENETUNREACH
        source = self.ports.sourceFor(client.family, host)
        if client.local is None:
            client.bind((source, 0))
        elif client.local[0] == anyAddress(client.family):
            client.local = (source, client.local[1])
        client.peer = (host, port)
        self.attempted(client, host, port)
        return errno.EINPROGRESS

    def proceed(self, client: "MemorySocket", host: str, port: int) -> None:
        """
        Let a connection attempt reach its destination.
        """
        latency = self._settings.latency
        fault = self.ports.faultAt(host, port)

        def arrived() -> None:
            if client.closed:
                return
            listener = self.ports.find(client.family, client.type, host, port)
            if fault or listener is None:
                self.later(latency, lambda: client.fail(fault or errno.ECONNREFUSED))
            else:
                listener.attempted(client)

        if fault != errno.ETIMEDOUT:
            self.later(latency, arrived)

    def join(self, client: "MemorySocket") -> "MemorySocket":
        """
        Accept a connection attempt. The client is connected after C{latency}.

        @return: the connected socket of the server.
        """
        server = MemorySocket(self, client.family, client.type)
        server.local, server.peer = client.peer, client.local
        server.established()
        toServer, toClient = self._makeFlow(), self._makeFlow()
        client.join(toClient, toServer)
        server.join(toServer, toClient)
        self.connections.append(MemoryConnection(toServer, toClient))
        self.later(self._settings.latency, client.established)
        return server

    def _makeFlow(self) -> Flow:
        settings = self._settings
        return Flow(
            self._seconds,
            self._move,
            latency=settings.latency,
            window=settings.window,
            segments=settings.segments,
        )

    def _move(self, flow: Flow) -> None:
        self._moving[flow] = None


class _BaseSocket:
    """
    The common part of TCP and UDP sockets: a file descriptor, addresses and
    options. No call ever blocks.

    @ivar error: the pending error: a number from C{errno}, or 0 if there is no error.
    """

    def __init__(self, kernel: Kernel, family: int, type: int) -> None:
        self.kernel = kernel
        self.family = family
        self.type = type
        self.local: tuple[str, int] | None = None
        self.peer: tuple[str, int] | None = None
        self.error = 0
        self.options: dict[tuple[int, int], Any] = {}
        self.closed = False
        self._handles = 1
        self.number = kernel.adopt(self)

    @property
    def listening(self) -> bool:
        return False

    def fileno(self) -> int:
        return -1 if self.closed else self.number

    def dup(self) -> Any:
        """
        Return this socket itself, which then needs one more call of C{close}.
        """
        self._handles += 1
        return self

    def setblocking(self, flag: bool) -> None:
        pass

    def setsockopt(self, level: int, optname: int, value: Any) -> None:
        self.options[level, optname] = value

    def getsockopt(self, level: int, optname: int) -> Any:
        if (level, optname) == (socket.SOL_SOCKET, socket.SO_ERROR):
            number, self.error = self.error, 0
            return number
        return self.options.get((level, optname), 0)

    def bind(self, address: tuple[Any, ...]) -> None:
        if self.local is not None:
            raise socketError(errno.EINVAL)
        self.local = self.kernel.ports.bind(self, address[0], address[1])

    def getsockname(self) -> tuple[Any, ...]:
        return self._sockaddr(self.local or (anyAddress(self.family), 0))

    def getpeername(self) -> tuple[Any, ...]:
        if self.peer is None:
            raise socketError(errno.ENOTCONN)
        return self._sockaddr(self.peer)

    def _sockaddr(self, address: tuple[str, int]) -> tuple[Any, ...]:
        return (*address, 0, 0) if self.family == socket.AF_INET6 else address

    def close(self) -> None:
        self._handles -= 1
        if self._handles == 0:
            self.closed = True
            self.kernel.abandon(self)
            self._closed()

    def _closed(self) -> None:
        raise NotImplementedError

    def _raiseError(self) -> None:
        if self.error:
            number, self.error = self.error, 0
            raise socketError(number)


class MemorySocket(_BaseSocket):
    """
    A TCP socket that listens, connects, or was accepted.

    @ivar connected: whether there is a connection.
    @ivar incoming: the flow to this socket.
    @ivar outgoing: the flow from this socket.
    """

    incoming: Flow
    outgoing: Flow

    def __init__(self, kernel: Kernel, family: int, type: int) -> None:
        super().__init__(kernel, family, type)
        self.connected = False
        # The state of the TCP handshake on this side. The handshake takes one round trip.
        self._connecting = self._established = False
        self._shutRead = self._shutWrite = False
        self._backlog: int | None = None
        # The connections that wait to be accepted, and the connection attempts beyond the backlog.
        self._accepted: deque[MemorySocket] = deque()
        self._waiting: deque[MemorySocket] = deque()

    @property
    def listening(self) -> bool:
        return self._backlog is not None and not self.closed

    def listen(self, backlog: int) -> None:
        if self.local is None:
            self.bind(("", 0))
        if self.kernel.ports.isTaken(self):
            raise socketError(errno.EADDRINUSE)
        self._backlog = backlog

    def accept(self) -> tuple["MemorySocket", tuple[Any, ...]]:
        if not self._accepted:
            raise socketError(errno.EWOULDBLOCK)
        accepted = self._accepted.popleft()
        while self._waiting and self._hasRoom():
            self._admit(self._waiting.popleft())
        return accepted, accepted.getpeername()

    def attempted(self, client: "MemorySocket") -> None:
        """
        Called when a connection attempt arrives. The attempt is not answered while the backlog
        is full.
        """
        if self._hasRoom():
            self._admit(client)
        else:
            self._waiting.append(client)

    def _hasRoom(self) -> bool:
        return len(self._accepted) <= (self._backlog or 0)

    def _admit(self, client: "MemorySocket") -> None:
        if not client.closed:
            self._accepted.append(self.kernel.join(client))

    def connect_ex(self, address: tuple[Any, ...]) -> int:
        if self._established:
            return errno.EISCONN
        if self._connecting:
            return errno.EALREADY
        number = self.kernel.dial(self, address[0], address[1])
        self._connecting = number == errno.EINPROGRESS
        return number

    def established(self) -> None:
        """
        Called when the TCP handshake is complete on this side.
        """
        self._established = True

    def fail(self, number: int) -> None:
        """
        Set the pending error.
        """
        if not self.closed:
            self.error = number

    def join(self, incoming: Flow, outgoing: Flow) -> None:
        """
        Connect this socket to the flows of a connection.
        """
        self.connected = True
        self.incoming, self.outgoing = incoming, outgoing
        incoming.onReset = self._reset
        incoming.onRefused = outgoing.abort

    @property
    def readable(self) -> bool:
        if self._backlog is not None:
            return bool(self._accepted)
        if not (self.connected and self._established):
            return bool(self.error)
        return (self.incoming.readable or self._shutRead or bool(self.error)) and (
            not self.incoming.stalled
        )

    @property
    def writable(self) -> bool:
        if not (self.connected and self._established):
            return bool(self.error)
        return self.outgoing.writable or self._shutWrite or bool(self.error)

    def recv(self, bufsize: int) -> bytes:
        """
        Read a segment. Data that arrived before a FIN or RST is read first.
        """
        data = self.incoming.read(bufsize)
        if not data and not self.incoming.finished and not self._shutRead:
            self._raiseError()
            raise socketError(errno.EWOULDBLOCK)
        return data

    def send(self, data: bytes | memoryview) -> int:
        self._raiseError()
        if self._shutWrite:
            raise socketError(errno.EPIPE)
        accepted = self.outgoing.write(data)
        if data and not accepted:
            raise socketError(errno.EWOULDBLOCK)
        return accepted

    def sendmsg(self, chunks: Iterable[bytes | memoryview]) -> int:
        return self.send(b"".join(chunks))

    def shutdown(self, how: int) -> None:
        if not self.connected:
            raise socketError(errno.ENOTCONN)
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self._shutRead = True
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._shutWrite = True
            self.outgoing.finish()

    def _closed(self) -> None:
        for accepted in self._accepted:
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTING)
            accepted.close()
        for client in self._waiting:
            client.fail(errno.ECONNREFUSED)
        if not self.connected:
            return
        self.incoming.closed = True
        if self.options.get((socket.SOL_SOCKET, socket.SO_LINGER)) == _ABORTING:
            self.outgoing.abort()
            return
        self.outgoing.finish()
        if self.incoming.unread:
            # Linux sends a RST if the socket is closed before all data was read.
            self.outgoing.abort()

    def _reset(self) -> None:
        self.outgoing.lose()
        self._shutWrite = True
        self.fail(errno.EPIPE if self.incoming.finished else errno.ECONNRESET)


class MemoryDatagramSocket(_BaseSocket):
    """
    A UDP socket.
    """

    writable = True

    def __init__(self, kernel: Kernel, family: int, type: int) -> None:
        super().__init__(kernel, family, type)
        self._arrived: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._unread = 0

    @property
    def readable(self) -> bool:
        return bool(self._arrived) or bool(self.error)

    def connect(self, address: tuple[Any, ...]) -> None:
        self.peer = (address[0], address[1])
        self._bindIfUnbound()

    def send(self, data: bytes) -> int:
        """
        Send a datagram to the peer.

        @raise OSError: ECONNREFUSED, if the previous datagram was refused.
        """
        if self.peer is None:
            raise socketError(errno.EDESTADDRREQ)
        self._raiseError()
        return self.sendto(data, self.peer)

    def sendto(self, data: bytes, address: tuple[Any, ...]) -> int:
        destination = (address[0], address[1])
        if len(data) > MAX_DATAGRAM + (20 if self.family == socket.AF_INET6 else 0):
            raise socketError(errno.EMSGSIZE)
        ports = self.kernel.ports
        if ports.faultAt(*destination) == errno.ENETUNREACH:
            raise socketError(errno.ENETUNREACH)
        host, port = self._bindIfUnbound()
        if host == anyAddress(self.family):
            host = ports.sourceFor(self.family, destination[0])
        datagram = Datagram(bytes(data), (host, port), destination)
        self.kernel.datagrams.send(datagram, self._refused)
        return len(data)

    def recvfrom(self, bufsize: int) -> tuple[bytes, tuple[Any, ...]]:
        if not self._arrived:
            self._raiseError()
            raise socketError(errno.EWOULDBLOCK)
        data, sender = self._arrived.popleft()
        self._unread -= len(data)
        return data[:bufsize], self._sockaddr(sender)

    def arrive(self, data: bytes, sender: tuple[str, int]) -> None:
        """
        Called when a datagram arrives. The datagram is dropped if the receive buffer is full,
        or if the socket is connected to another peer.
        """
        if self.peer in (None, sender) and self._unread + len(data) <= RECEIVE_BUFFER:
            self._arrived.append((data, sender))
            self._unread += len(data)

    def _refused(self) -> None:
        if self.peer is not None:
            self.error = errno.ECONNREFUSED

    def _bindIfUnbound(self) -> tuple[str, int]:
        if self.local is None:
            self.bind(("", 0))
        return self.local or ("", 0)

    def _closed(self) -> None:
        self._arrived.clear()
