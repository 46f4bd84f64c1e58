"""
UDP ports that look at an address once, and not for each datagram.

Twisted's own check each time that they are given an IP address, and of the right
kind; for a short datagram this is a third of the work.
"""

from typing import Any

from twisted.internet import udp
from twisted.internet.interfaces import IListeningPort
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.protocol import DatagramProtocol

# So many addresses are remembered, then all are forgotten.
_MAX_KNOWN = 1024


class Port(udp.Port):
    """
    A UDP port that remembers to which addresses it has written.

    @ivar socket: the socket of the system.
    """

    socket: Any

    def __init__(self, *arguments: Any, **named: Any) -> None:
        """
        @param arguments: those of C{twisted.internet.udp.Port}.
        @param named: the same, by name.
        """
        super().__init__(*arguments, **named)
        self._known: set[tuple[str, int]] = set()

    def write(self, datagram: bytes, addr: tuple[str, int] | None = None) -> None:
        """
        Send a datagram; see C{twisted.internet.udp.Port.write}, which this is in
        fewer steps.

        @param datagram: the datagram.
        @param addr: the IP address and the port; C{None} if it is connected.
        """
        if addr in self._known:
            try:
                self.socket.sendto(datagram, addr)
            except OSError:
                # Twisted's own code tries again, and says what it means.
                super().write(datagram, addr)
        else:
            super().write(datagram, addr)
            if addr is not None and not self._connectedAddr:
                if len(self._known) >= _MAX_KNOWN:
                    self._known.clear()
                self._known.add(addr)

    def connect(self, host: str, port: int) -> None:
        """
        Send to one address only from now on.
        """
        super().connect(host, port)
        self._known.clear()


def listenUDP(
    reactor: Any, port: int, protocol: DatagramProtocol, interface: str, maxPacketSize: int
) -> IListeningPort:
    """
    Listen on a UDP port, as C{IReactorUDP.listenUDP} does: with a L{Port} where
    the reactor would make one of Twisted's own.

    @param reactor: the reactor.
    @param port: the number of the port; 0 for any that is free.
    @param protocol: gets the datagrams.
    @param interface: the IP address; empty for all.
    @param maxPacketSize: the most bytes of a datagram that are read.
    @return: the port.
    @raise twisted.internet.error.CannotListenError: if it cannot be opened.
    """
    if getattr(type(reactor), "listenUDP", None) is not PosixReactorBase.listenUDP:
        listening: IListeningPort = reactor.listenUDP(port, protocol, interface, maxPacketSize)
        return listening
    opened = Port(port, protocol, interface, maxPacketSize, reactor)
    opened.startListening()
    return opened
