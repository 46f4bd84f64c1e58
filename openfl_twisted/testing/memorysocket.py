"""
Sockets in memory, with the behaviour that Twisted's transports find at those of
the system. What is said of errors and resets is what Linux does.
"""

import errno
import os
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from openfl_twisted.testing.flow import Flow

if TYPE_CHECKING:
    from openfl_twisted.testing.network import MemoryConnection, MemoryNetwork

MAX_DATAGRAM = 65507
"""
The most bytes that a datagram can carry over IPv4; over IPv6 it is 20 more.
"""

DATAGRAM_ROOM = 212_992
"""
How many bytes of datagrams wait to be read before more are lost: the default of
Linux.
"""


def failure(number: int) -> OSError:
    """
    Make an error of the system: the subclass of C{OSError} that belongs to its
    number.
    """
    return OSError(number, os.strerror(number))


class _Handle:
    """
    What every socket has: a number, an address, options, and an end.

    @ivar number: what L{fileno} gives while it is open.
    """

    def __init__(self, network: "MemoryNetwork", family: int, type: int) -> None:
        self.network = network
        self.family = family
        self.type = type
        self.local: tuple[str, int] | None = None
        self.peer: tuple[str, int] | None = None
        self.error = 0
        self.options: dict[tuple[int, int], Any] = {}
        self.closed = False
        self._handles = 1
        self.number = network.adopt(self)

    def fileno(self) -> int:
        """
        Get its number, which is none of the system; -1 once it is closed.
        """
        return -1 if self.closed else self.number

    def dup(self) -> Any:
        """
        Get it once more: it is closed when it has been closed as often.
        """
        self._handles += 1
        return self

    def setblocking(self, flag: bool) -> None:
        """
        Nothing: no call ever blocks.
        """

    def setsockopt(self, level: int, optname: int, value: Any) -> None:
        """
        Set an option. SO_REUSEADDR and SO_LINGER mean something here.
        """
        self.options[level, optname] = value

    def getsockopt(self, level: int, optname: int) -> Any:
        """
        Get an option; SO_ERROR is what has happened to it since.
        """
        if (level, optname) == (socket.SOL_SOCKET, socket.SO_ERROR):
            number, self.error = self.error, 0
            return number
        return self.options.get((level, optname), 0)

    def bind(self, address: tuple[Any, ...]) -> None:
        """
        Take an address.

        @raise OSError: EADDRINUSE, EADDRNOTAVAIL, or EINVAL if it has one.
        """
        if self.local is not None:
            raise failure(errno.EINVAL)
        self.local = self.network.ports.take(self, address[0], address[1])

    def getsockname(self) -> tuple[Any, ...]:
        """
        Get its address: a tuple of 2, or of 4 for IPv6.
        """
        return self._shown(self.local or (self.network.anyAddress(self.family), 0))

    def getpeername(self) -> tuple[Any, ...]:
        """
        Get the address of the other side.

        @raise OSError: ENOTCONN, if there is none.
        """
        if self.peer is None:
            raise failure(errno.ENOTCONN)
        return self._shown(self.peer)

    def close(self) -> None:
        """
        Be done with it.
        """
        self._handles -= 1
        if self._handles == 0:
            self.closed = True
            self.network.abandon(self)
            self._close()

    def _close(self) -> None:
        """
        Tell the other side.
        """
        raise NotImplementedError

    def _shown(self, address: tuple[str, int]) -> tuple[Any, ...]:
        return (*address, 0, 0) if self.family == socket.AF_INET6 else address

    def _raiseError(self) -> None:
        if self.error:
            number, self.error = self.error, 0
            raise failure(number)

    @property
    def readable(self) -> bool:
        """
        Whether C{recv}, C{recvfrom} or C{accept} has something to say.
        """
        raise NotImplementedError

    @property
    def writable(self) -> bool:
        """
        Whether C{send} or C{connect_ex} has something to say.
        """
        raise NotImplementedError


class MemorySocket(_Handle):
    """
    A socket of TCP: it listens, or connects, or comes from another that
    listens.

    @ivar connection: the connection it is an end of, or C{None}.
    @ivar incoming: what comes from the other side.
    @ivar outgoing: what goes there.
    """

    incoming: Flow
    outgoing: Flow

    def __init__(self, network: "MemoryNetwork", family: int, type: int) -> None:
        super().__init__(network, family, type)
        self.connection: MemoryConnection | None = None
        self._connecting = self._established = False
        self._shutRead = self._shutWrite = False
        self._backlog = 0
        self._listening = False
        # Who is to be accepted, and who waits for room there.
        self._accepted: deque[MemorySocket] = deque()
        self._knocking: deque[MemorySocket] = deque()

    # Listening

    @property
    def listening(self) -> bool:
        """
        Whether it takes connections.
        """
        return self._listening and not self.closed

    def listen(self, backlog: int) -> None:
        """
        Take connections.

        @param backlog: how many connections wait to be accepted, besides one;
            who comes when so many do gets no answer until there is room.
        @raise OSError: EADDRINUSE, if another one listens at this address.
        """
        if self.local is None:
            self.bind(("", 0))
        if self.network.ports.listenerLike(self) not in (None, self):
            raise failure(errno.EADDRINUSE)
        self._backlog = backlog
        self._listening = True

    def accept(self) -> tuple["MemorySocket", tuple[Any, ...]]:
        """
        Get the next connection.

        @return: its socket, and the address of the other side.
        """
        if not self._accepted:
            raise failure(errno.EWOULDBLOCK)
        accepted = self._accepted.popleft()
        while self._knocking and self._hasRoom():
            self._admit(self._knocking.popleft())
        return accepted, accepted.getpeername()

    def knock(self, client: "MemorySocket") -> None:
        """
        Hear of somebody who wants to connect.
        """
        if self._hasRoom():
            self._admit(client)
        else:
            self._knocking.append(client)

    def _hasRoom(self) -> bool:
        return len(self._accepted) <= self._backlog

    def _admit(self, client: "MemorySocket") -> None:
        if not client.closed:
            self._accepted.append(self.network.join(client))

    # Connecting

    def connect_ex(self, address: tuple[Any, ...]) -> int:
        """
        Begin to connect.

        @return: the number of an error; EINPROGRESS if it has begun, EISCONN if
            it is done.
        """
        if self._established:
            return errno.EISCONN
        if self._connecting:
            return errno.EALREADY
        number = self.network.dial(self, address[0], address[1])
        self._connecting = number == errno.EINPROGRESS
        return number

    def established(self) -> None:
        """
        Hear that the connection is there.
        """
        self._established = True

    def failed(self, number: int) -> None:
        """
        Hear that there will be no connection, or none any more.
        """
        if not self.closed:
            self.error = number

    def become(self, connection: "MemoryConnection", incoming: Flow, outgoing: Flow) -> None:
        """
        Be an end of a connection.
        """
        self.connection = connection
        self.incoming, self.outgoing = incoming, outgoing
        incoming.onReset = self._reset
        incoming.onRefused = self.outgoing.abort

    # Reading and writing

    @property
    def readable(self) -> bool:
        """
        Whether C{recv} or C{accept} has something to say.
        """
        if self._listening:
            return bool(self._accepted)
        if self.connection is None or not self._established:
            return bool(self.error)
        return (self.incoming.waiting or self._shutRead or bool(self.error)) and (
            not self.incoming.stalled
        )

    @property
    def writable(self) -> bool:
        """
        Whether C{send} or C{connect_ex} has something to say.
        """
        if self.connection is None or not self._established:
            return bool(self.error)
        return self.outgoing.room > 0 or self._shutWrite or bool(self.error)

    def recv(self, bufsize: int) -> bytes:
        """
        Read a segment. What has come before the end or a reset is read before
        that is told.

        @return: the bytes; none at the end.
        @raise OSError: EWOULDBLOCK if nothing has come, ECONNRESET after a
            reset.
        """
        data = self.incoming.read(bufsize)
        if not data and not self.incoming.finished and not self._shutRead:
            self._raiseError()
            raise failure(errno.EWOULDBLOCK)
        return data

    def send(self, data: bytes | memoryview) -> int:
        """
        Write.

        @return: how many bytes were taken.
        @raise OSError: EWOULDBLOCK if there is no room, ECONNRESET or EPIPE if
            nobody reads any more.
        """
        self._raiseError()
        if self._shutWrite:
            raise failure(errno.EPIPE)
        taken = self.outgoing.write(data)
        if data and not taken:
            raise failure(errno.EWOULDBLOCK)
        return taken

    # The end

    def shutdown(self, how: int) -> None:
        """
        End one direction, or both.

        @raise OSError: ENOTCONN, if there is no connection.
        """
        if self.connection is None:
            raise failure(errno.ENOTCONN)
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self._shutRead = True
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._shutWrite = True
            self.outgoing.finish()

    def _close(self) -> None:
        for waiting in self._accepted:
            waiting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            waiting.close()
        for waiting in self._knocking:
            waiting.failed(errno.ECONNREFUSED)
        if self.connection is None:
            return
        lingering = self.options.get((socket.SOL_SOCKET, socket.SO_LINGER))
        self.incoming.closed = True
        if lingering == struct.pack("ii", 1, 0):
            self.outgoing.abort()
        else:
            self.outgoing.finish()
            if self.incoming.unread:
                # Linux says so to whom it has not listened to the end.
                self.outgoing.abort()

    def _reset(self) -> None:
        """
        Hear that the other side knows nothing of the connection any more.
        """
        self.outgoing.lose()
        self._shutWrite = True
        self.failed(errno.EPIPE if self.incoming.finished else errno.ECONNRESET)

    def resetByNetwork(self) -> None:
        """
        Hear of a reset at once, before what is on its way.
        """
        self.incoming.lose()
        self._reset()


class MemoryDatagramSocket(_Handle):
    """
    A socket of UDP.
    """

    def __init__(self, network: "MemoryNetwork", family: int, type: int) -> None:
        super().__init__(network, family, type)
        self._arrived: deque[tuple[bytes, tuple[str, int]]] = deque()
        self._unread = 0

    @property
    def readable(self) -> bool:
        """
        Whether C{recvfrom} has something to say.
        """
        return bool(self._arrived) or bool(self.error)

    @property
    def writable(self) -> bool:
        """
        Always: what there is no room for is lost.
        """
        return True

    def connect(self, address: tuple[Any, ...]) -> None:
        """
        Have a single peer.
        """
        self.peer = (address[0], address[1])
        self._haveAddress()

    def send(self, data: bytes) -> int:
        """
        Send a datagram to the single peer.

        @raise OSError: ECONNREFUSED if the one before found nobody; EMSGSIZE.
        """
        if self.peer is None:
            raise failure(errno.EDESTADDRREQ)
        self._raiseError()
        return self.sendto(data, self.peer)

    def sendto(self, data: bytes, address: tuple[Any, ...]) -> int:
        """
        Send a datagram.

        @raise OSError: EMSGSIZE, if it is too long.
        """
        longest = MAX_DATAGRAM + (20 if self.family == socket.AF_INET6 else 0)
        if len(data) > longest:
            raise failure(errno.EMSGSIZE)
        self._haveAddress()
        self.network.datagrams.send(self, bytes(data), (address[0], address[1]))
        return len(data)

    def recvfrom(self, bufsize: int) -> tuple[bytes, tuple[Any, ...]]:
        """
        Get a datagram; what is longer is cut.

        @return: its bytes, and where it comes from.
        """
        if not self._arrived:
            self._raiseError()
            raise failure(errno.EWOULDBLOCK)
        data, sender = self._arrived.popleft()
        self._unread -= len(data)
        return data[:bufsize], self._shown(sender)

    def arrive(self, data: bytes, sender: tuple[str, int]) -> None:
        """
        Take a datagram, if there is room, and if it comes from the single peer.
        """
        if self.peer in (None, sender) and self._unread + len(data) <= DATAGRAM_ROOM:
            self._arrived.append((data, sender))
            self._unread += len(data)

    def _haveAddress(self) -> None:
        if self.local is None:
            self.bind(("", 0))

    def _close(self) -> None:
        self._arrived.clear()
