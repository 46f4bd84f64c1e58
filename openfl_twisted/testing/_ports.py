"""
The addresses and ports of an in-memory network.
"""

import errno
import ipaddress
import os
import socket
from collections.abc import Iterator
from typing import Any, Protocol

# The first dynamic port of RFC 6335.
_FIRST_PORT = 49152

_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - no socket is bound here
_REUSE = (socket.SOL_SOCKET, socket.SO_REUSEADDR)


def anyAddress(family: int) -> str:
    """
    Return the address that represents all addresses of the machine.
    """
    return _ANY[socket.AddressFamily(family)]


def socketError(number: int) -> OSError:
    """
    Create the C{OSError} for a number from C{errno}.
    """
    return OSError(number, os.strerror(number))


class _Bindable(Protocol):
    """
    The attributes of a socket that L{Ports} reads.
    """

    family: int
    type: int
    local: tuple[str, int] | None
    options: dict[tuple[int, int], Any]

    @property
    def listening(self) -> bool: ...


class Ports:
    """
    The addresses of the machine, their faults, and the sockets bound to them. IPv4 and IPv6
    have separate ports: a server at C{::} is not reachable over IPv4. The rules and error
    numbers are the same as in Linux.

    @ivar addresses: the addresses in addition to C{127.0.0.0/8} and C{::1}.
    @ivar faults: the error number (see C{errno}) of each faulty address and port; the port
        C{None} represents all ports.
    """

    def __init__(self) -> None:
        self.addresses: set[str] = set()
        self.faults: dict[tuple[str, int | None], int] = {}
        self._next = _FIRST_PORT
        self._bound: dict[tuple[int, int, int], list[Any]] = {}

    def has(self, address: str) -> bool:
        return address in self.addresses or ipaddress.ip_address(address).is_loopback

    def faultAt(self, host: str, port: int) -> int:
        """
        Return the fault of an address and port: a number from C{errno}, or 0 if there is no
        fault.
        """
        return self.faults.get((host, port)) or self.faults.get((host, None), 0)

    def bind(self, binding: _Bindable, host: str, port: int) -> tuple[str, int]:
        """
        Bind a socket.

        @param host: the address; empty for all addresses.
        @param port: the port; 0 for any free port.
        @return: the address and the port.
        @raise OSError: EADDRNOTAVAIL or EADDRINUSE.
        """
        everywhere = anyAddress(binding.family)
        host = host or everywhere
        if host != everywhere and not self.has(host):
            raise socketError(errno.EADDRNOTAVAIL)
        if not port:
            port = self._freePort(binding, host)
        elif not all(_canShare(binding, each) for each in self._at(binding, host, port)):
            raise socketError(errno.EADDRINUSE)
        self._bound.setdefault((binding.family, binding.type, port), []).append(binding)
        return host, port

    def release(self, bound: _Bindable) -> None:
        """
        Release the port of a socket, if the socket is bound.
        """
        if bound.local is not None:
            others = self._bound.get((bound.family, bound.type, bound.local[1]), [])
            if bound in others:
                others.remove(bound)

    def find(self, family: int, type: int, host: str, port: int) -> Any:
        """
        Find the socket that receives at an address: a listening TCP socket, or a UDP socket. A
        socket bound to this address precedes a socket bound to all addresses.

        @return: the socket; C{None} if there is no receiver.
        """
        for wanted in (host, anyAddress(family)):
            for each in self._bound.get((family, type, port), []):
                if each.local[0] == wanted and (each.listening or type == socket.SOCK_DGRAM):
                    return each
        return None

    def isTaken(self, bound: _Bindable) -> bool:
        """
        Check whether another socket already listens at the address of a socket.
        """
        host, port = bound.local or ("", 0)
        others = self._at(bound, host, port)
        return any(each.listening and each is not bound for each in others)

    def sourceFor(self, family: int, host: str) -> str:
        """
        Return the source address for packets to a host: the address of the host itself if it
        is in L{addresses}, otherwise the address of the loopback interface.
        """
        if host in self.addresses:
            return host
        return "::1" if family == socket.AF_INET6 else "127.0.0.1"

    def _at(self, binding: _Bindable, host: str, port: int) -> Iterator[Any]:
        everywhere = anyAddress(binding.family)
        for each in self._bound.get((binding.family, binding.type, port), []):
            if each.local[0] == host or everywhere in (each.local[0], host):
                yield each

    def _freePort(self, binding: _Bindable, host: str) -> int:
        while True:
            port, self._next = self._next, self._next + 1
            if self._next > 65535:
                self._next = _FIRST_PORT
            if not any(self._at(binding, host, port)):
                return port


def _canShare(one: _Bindable, other: _Bindable) -> bool:
    """
    Check whether two sockets can share an address: both sockets must allow sharing, and
    C{other} must not listen.
    """
    return (
        one.type == socket.SOCK_STREAM
        and bool(one.options.get(_REUSE) and other.options.get(_REUSE))
        and not other.listening
    )
