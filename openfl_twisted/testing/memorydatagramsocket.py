"""
Sockets of UDP in memory.
"""

import errno
import socket
from collections import deque
from typing import TYPE_CHECKING, Any

from openfl_twisted.testing.memoryhandle import MemoryHandle, failure

if TYPE_CHECKING:
    from openfl_twisted.testing.kernel import Kernel

MAX_DATAGRAM = 65507
"""
The most bytes that a datagram can carry over IPv4; over IPv6 it is 20 more.
"""

DATAGRAM_ROOM = 212_992
"""
How many bytes of datagrams wait to be read before more are lost: the default of
Linux.
"""


class MemoryDatagramSocket(MemoryHandle):
    """
    A socket of UDP.
    """

    def __init__(self, kernel: "Kernel", family: int, type: int) -> None:
        """
        @param kernel: has its port, and carries what it sends.
        @param family: C{AF_INET} or C{AF_INET6}.
        @param type: C{SOCK_DGRAM}.
        """
        super().__init__(kernel, family, type)
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

        @param address: its address and port; datagrams of others are lost.
        """
        self.peer = (address[0], address[1])
        self._haveAddress()

    def send(self, data: bytes) -> int:
        """
        Send a datagram to the single peer.

        @param data: its bytes, as for L{sendto}.
        @return: how many bytes were sent: all.
        @raise OSError: ECONNREFUSED if the one before found nobody; EMSGSIZE.
        @raise OSError: EDESTADDRREQ without a single peer; ECONNREFUSED if the
            one before found nobody; else as L{sendto}.
        """
        if self.peer is None:
            raise failure(errno.EDESTADDRREQ)
        self.raiseError()
        return self.sendto(data, self.peer)

    def sendto(self, data: bytes, address: tuple[Any, ...]) -> int:
        """
        Send a datagram.

        @param data: its bytes: up to L{MAX_DATAGRAM}, and 20 more over IPv6.
        @param address: the address and port where it goes.
        @return: how many bytes were sent: all.
        @raise OSError: EMSGSIZE, if it is too long; ENETUNREACH, if there is no
            route.
        """
        longest = MAX_DATAGRAM + (20 if self.family == socket.AF_INET6 else 0)
        if len(data) > longest:
            raise failure(errno.EMSGSIZE)
        if self.kernel.faultAt(address[0], address[1]) == errno.ENETUNREACH:
            raise failure(errno.ENETUNREACH)
        self._haveAddress()
        self.kernel.network.datagrams.send(self, bytes(data), (address[0], address[1]))
        return len(data)

    def recvfrom(self, bufsize: int) -> tuple[bytes, tuple[Any, ...]]:
        """
        Get a datagram; what is longer is cut.

        @param bufsize: how many bytes are wanted at most.
        @return: its bytes, and where it comes from.
        @raise OSError: EWOULDBLOCK if none has come; ECONNREFUSED if the single
            peer is not there.
        """
        if not self._arrived:
            self.raiseError()
            raise failure(errno.EWOULDBLOCK)
        data, sender = self._arrived.popleft()
        self._unread -= len(data)
        return data[:bufsize], self.shown(sender)

    def arrive(self, data: bytes, sender: tuple[str, int]) -> None:
        """
        Take a datagram, if there is room, and if it comes from the single peer.

        @param data: its bytes. There is room for L{DATAGRAM_ROOM} bytes that
            nobody has read.
        @param sender: the address and port from which it comes.
        """
        if self.peer in (None, sender) and self._unread + len(data) <= DATAGRAM_ROOM:
            self._arrived.append((data, sender))
            self._unread += len(data)

    def _haveAddress(self) -> None:
        if self.local is None:
            self.bind(("", 0))

    def ended(self) -> None:
        """
        Lose what nobody has read.
        """
        self._arrived.clear()
