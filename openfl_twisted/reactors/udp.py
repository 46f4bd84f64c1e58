"""
UDP ports that check each destination address once.

Twisted's UDP ports check for every datagram that the address is an IP address of the right
family. For a short datagram, this check is a third of the work.
"""

from typing import Any

from twisted.internet import udp
from twisted.internet.interfaces import IListeningPort
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import DatagramProtocol

# Maximum number of cached addresses. When it is reached, the cache is cleared.
_MAX_KNOWN = 1024


class Port(udp.Port):
    """
    A UDP port that caches the addresses to which it has sent datagrams.

    @ivar socket: the socket.
    """

    socket: Any

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """
        @param arguments: arguments of C{twisted.internet.udp.Port}.
        @param named: keyword arguments of C{twisted.internet.udp.Port}.
        """
        super().__init__(*arguments, **named)
        self._known: set[tuple[str, int]] = set()

    def write(self, datagram: bytes, addr: tuple[str, int] | None = None) -> None:
        if addr in self._known:
            try:
                self.socket.sendto(datagram, addr)
            except OSError:
                # Call Twisted's code, which repeats the system call and raises the right exception.
                super().write(datagram, addr)
        else:
            super().write(datagram, addr)
            if addr is not None and not self._connectedAddr:
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known.add(addr)

    def connect(self, host: str, port: int) -> None:
        super().connect(host, port)
        self._known.clear()


def listenUDP(
    reactor: Any, port: int, protocol: DatagramProtocol, interface: str, maxPacketSize: int
) -> IListeningPort:
    """
    Listen on a UDP port, like C{IReactorUDP.listenUDP}. The result is a L{Port} if the reactor
    would otherwise create Twisted's UDP port.

    @param reactor: the reactor.
    @param port: the port number; 0 for any free port.
    @param protocol: receives the datagrams.
    @param interface: the IP address to bind to; empty for all.
    @param maxPacketSize: maximum number of bytes to read from a datagram.
    @return: the port.
    @raise twisted.internet.error.CannotListenError: if the port cannot be bound.
    """
    if getattr(type(reactor), "listenUDP", None) is not PosixReactorBase.listenUDP:
        listening: IListeningPort = reactor.listenUDP(port, protocol, interface, maxPacketSize)
        return listening
    opened = Port(port, protocol, interface, maxPacketSize, reactor)
    opened.startListening()
    return opened
