"""
Sockets of TCP in memory. What is said of errors and resets is what Linux does.
"""

import errno
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING, Any

from openfl_twisted.testing.flow import Flow
from openfl_twisted.testing.memoryhandle import MemoryHandle, failure

if TYPE_CHECKING:
    from openfl_twisted.testing.connection import MemoryConnection
    from openfl_twisted.testing.kernel import Kernel

_ABORTING = struct.pack("ii", 1, 0)
"""
SO_LINGER for a close that is a reset.
"""


class MemorySocket(MemoryHandle):
    """
    A socket of TCP: it listens, or connects, or comes from another that
    listens.

    @ivar connection: the connection it is an end of, or C{None}.
    @ivar incoming: what comes from the other side.
    @ivar outgoing: what goes there.
    """

    incoming: Flow
    outgoing: Flow

    def __init__(self, kernel: "Kernel", family: int, type: int) -> None:
        """
        @param kernel: makes its connection, and has its port.
        @param family: C{AF_INET} or C{AF_INET6}.
        @param type: C{SOCK_STREAM}.
        """
        super().__init__(kernel, family, type)
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
        if self.kernel.ports.listenerLike(self) not in (None, self):
            raise failure(errno.EADDRINUSE)
        self._backlog = backlog
        self._listening = True

    def accept(self) -> tuple["MemorySocket", tuple[Any, ...]]:
        """
        Get the next connection.

        @return: its socket, and the address of the other side.
        @raise OSError: EWOULDBLOCK if nobody waits.
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

        @param client: the socket that connects. It waits without an answer
            while there is no room.
        """
        if self._hasRoom():
            self._admit(client)
        else:
            self._knocking.append(client)

    def _hasRoom(self) -> bool:
        return len(self._accepted) <= self._backlog

    def _admit(self, client: "MemorySocket") -> None:
        if not client.closed:
            self._accepted.append(self.kernel.join(client))

    # Connecting

    def connect_ex(self, address: tuple[Any, ...]) -> int:
        """
        Begin to connect.

        @param address: the IP address and the port; what is behind them does
            not matter.
        @return: the number of an error; EINPROGRESS if it has begun, EALREADY
            if it had begun before, EISCONN if it is done.
        """
        if self._established:
            return errno.EISCONN
        if self._connecting:
            return errno.EALREADY
        number = self.kernel.dial(self, address[0], address[1])
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

        @param number: why: one of C{errno}, which the next call raises, or
            SO_ERROR tells. A socket that is closed hears nothing.
        """
        if not self.closed:
            self.error = number

    def become(self, connection: "MemoryConnection", incoming: Flow, outgoing: Flow) -> None:
        """
        Be an end of a connection.

        @param connection: see the attribute.
        @param incoming: see the attribute.
        @param outgoing: see the attribute.
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
        return self.outgoing.hasRoom or self._shutWrite or bool(self.error)

    def recv(self, bufsize: int) -> bytes:
        """
        Read a segment. What has come before the end or a reset is read before
        that is told.

        @param bufsize: how many bytes are wanted at most; the rest of a longer
            segment is the next one.
        @return: the bytes; none at the end.
        @raise OSError: EWOULDBLOCK if nothing has come, ECONNRESET after a
            reset.
        """
        data = self.incoming.read(bufsize)
        if not data and not self.incoming.finished and not self._shutRead:
            self.raiseError()
            raise failure(errno.EWOULDBLOCK)
        return data

    def send(self, data: bytes | memoryview) -> int:
        """
        Write.

        @param data: the bytes; what there is no room for is not taken.
        @return: how many bytes were taken.
        @raise OSError: EWOULDBLOCK if there is no room, ECONNRESET or EPIPE if
            nobody reads any more.
        """
        self.raiseError()
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

        @param how: C{SHUT_RD}, C{SHUT_WR} or C{SHUT_RDWR}.
        @raise OSError: ENOTCONN, if there is no connection.
        """
        if self.connection is None:
            raise failure(errno.ENOTCONN)
        if how in (socket.SHUT_RD, socket.SHUT_RDWR):
            self._shutRead = True
        if how in (socket.SHUT_WR, socket.SHUT_RDWR):
            self._shutWrite = True
            self.outgoing.finish()

    def ended(self) -> None:
        """
        Send the end, or a reset, and send away who waits.
        """
        for waiting in self._accepted:
            waiting.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORTING)
            waiting.close()
        for waiting in self._knocking:
            waiting.failed(errno.ECONNREFUSED)
        if self.connection is None:
            return
        lingering = self.options.get((socket.SOL_SOCKET, socket.SO_LINGER))
        self.incoming.closed = True
        if lingering == _ABORTING:
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
