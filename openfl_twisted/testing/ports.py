"""
The addresses and ports of a network in memory.
"""

import errno
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

from openfl_twisted.testing.memoryhandle import anyAddress, failure
from openfl_twisted.testing.memorysocket import MemorySocket

FIRST_PORT = 49152
"""
The first port that is chosen for who asks for any: the first one of those that
RFC 6335 leaves for that.
"""


class Ports:
    """
    Who has which port. IPv4 and IPv6 have their own ports: a server at C{::} is
    not reached over IPv4.

    @ivar addresses: the addresses of this machine, besides C{127.0.0.0/8} and
        C{::1}.
    """

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self._next = FIRST_PORT
        self._taken: dict[tuple[int, int, int], list[Any]] = {}

    def has(self, address: str) -> bool:
        """
        Check whether an address is one of this machine.

        @param address: an IP address.
        @return: whether it is in L{addresses}, or a loopback's.
        @raise ValueError: if it is no IP address.
        """
        return address in self.addresses or ipaddress.ip_address(address).is_loopback

    def take(self, taker: Any, host: str, port: int) -> tuple[str, int]:
        """
        Take a port at an address.

        @param taker: the socket.
        @param host: the address; empty for all.
        @param port: the port; 0 for any.
        @return: the address and the port.
        @raise OSError: EADDRNOTAVAIL or EADDRINUSE.
        """
        everywhere = anyAddress(taker.family)
        host = host or everywhere
        if host != everywhere and not self.has(host):
            raise failure(errno.EADDRNOTAVAIL)
        if not port:
            port = self._free(taker, host)
        elif any(not _agree(taker, other) for other in self._others(taker, host, port)):
            raise failure(errno.EADDRINUSE)
        self._taken.setdefault((taker.family, taker.type, port), []).append(taker)
        return host, port

    def release(self, taker: Any) -> None:
        """
        Give a port back.

        @param taker: the socket; it is no error if it has none.
        """
        if taker.local is not None:
            takers = self._taken.get((taker.family, taker.type, taker.local[1]), [])
            if taker in takers:
                takers.remove(taker)

    def find(self, family: int, type: int, host: str, port: int) -> Any:
        """
        Find who is at an address and port: who has just that address comes
        before who has all of them.

        @param family: C{AF_INET} or C{AF_INET6}.
        @param type: C{SOCK_STREAM}, of which only what listens is found, or
            C{SOCK_DGRAM}.
        @param host: the IP address.
        @param port: the port there.
        @return: the socket, or C{None}.
        """
        takers = self._taken.get((family, type, port), [])
        for wanted in (host, anyAddress(family)):
            for taker in takers:
                if taker.local[0] == wanted and getattr(taker, "listening", True):
                    return taker
        return None

    def listenerLike(self, asking: MemorySocket) -> MemorySocket | None:
        """
        Find who listens where a socket wants to listen.

        @param asking: the socket, which has its address.
        @return: who has the port at the same address, or where one of the two
            has all addresses; it can be the one that asks. C{None} if nobody
            has.
        """
        host, port = asking.local or ("", 0)
        for other in self._others(asking, host, port):
            if other.listening:
                return other  # type: ignore[no-any-return]
        return None

    def sourceFor(self, family: int, host: str) -> str:
        """
        Choose the address from which another is reached: itself, if it is one
        of this machine's besides the loopback's, else the loopback's.

        @param family: C{AF_INET} or C{AF_INET6}.
        @param host: the IP address that is to be reached.
        @return: an IP address of that family.
        """
        if host in self.addresses:
            return host
        return "::1" if family == socket.AF_INET6 else "127.0.0.1"

    def _others(self, taker: Any, host: str, port: int) -> Iterator[Any]:
        """
        List who has a port where somebody wants it.
        """
        everywhere = anyAddress(taker.family)
        for other in self._taken.get((taker.family, taker.type, port), []):
            if other.local[0] == host or everywhere in (other.local[0], host):
                yield other

    def _free(self, taker: Any, host: str) -> int:
        while True:
            port, self._next = self._next, self._next + 1
            if self._next > 65535:
                self._next = FIRST_PORT
            if not any(self._others(taker, host, port)):
                return port


def _agree(one: Any, other: Any) -> bool:
    """
    Check whether two sockets may have one address, as Linux does: both must
    allow it, and none may listen.
    """
    reuse = (socket.SOL_SOCKET, socket.SO_REUSEADDR)
    return (
        isinstance(one, MemorySocket)
        and bool(one.options.get(reuse) and other.options.get(reuse))
        and not other.listening
    )
