"""
Twisted's transports for TCP and UDP, on sockets in memory. What buffers,
producers, half-closed connections and aborted ones do is what Twisted does.
"""

import socket
from typing import TYPE_CHECKING, Any

from twisted.internet import tcp, udp

if TYPE_CHECKING:
    from openfl_twisted.testing.memoryreactor import MemoryReactor


class MemoryPort(tcp.Port):
    """
    A port for TCP.
    """

    reactor: Any

    def __init__(
        self,
        port: int,
        factory: Any,
        backlog: int,
        interface: str,
        reactor: "MemoryReactor",
        adopted: Any = None,
    ) -> None:
        """
        @param port: the port; 0 for any.
        @param factory: makes the protocols.
        @param backlog: how many connections wait to be accepted, besides one.
        @param interface: the IP address; empty for all of IPv4.
        @param reactor: makes the socket.
        @param adopted: a socket that listens already; C{None} to make one.
        """
        super().__init__(port, factory, backlog, interface, reactor)
        self._preexistingSocket = adopted

    def createInternetSocket(self) -> Any:
        """
        Make the socket.
        """
        made = self.reactor.makeSocket(self.addressFamily, self.socketType)
        # As Twisted does on POSIX: a port is free as soon as nobody listens there.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return made


class MemoryClient(tcp.Client):
    """
    A client for TCP.
    """

    reactor: Any

    def __init__(
        self,
        host: str,
        port: int,
        bindAddress: Any,
        connector: tcp.Connector,
        reactor: Any,
    ) -> None:
        """
        @param host: where to connect: a name or an IP address.
        @param port: the port there.
        @param bindAddress: the address and port from which to connect; C{None}
            for any.
        @param connector: hears of failure, and has the factory.
        @param reactor: makes the socket.
        """
        # Twisted's has it only after the socket is made.
        self.reactor = reactor
        super().__init__(host, port, bindAddress, connector, reactor)

    def createInternetSocket(self) -> Any:
        """
        Make the socket.
        """
        return self.reactor.makeSocket(self.addressFamily, self.socketType)


class MemoryConnector(tcp.Connector):
    """
    Makes such clients.
    """

    def _makeTransport(self) -> Any:
        return MemoryClient(self.host, self.port, self.bindAddress, self, self.reactor)


class MemoryDatagramPort(udp.Port):
    """
    A port for UDP.
    """

    reactor: Any

    def __init__(
        self,
        port: int,
        protocol: Any,
        interface: str,
        maxPacketSize: int,
        reactor: "MemoryReactor",
        adopted: Any = None,
    ) -> None:
        """
        @param port: the port; 0 for any.
        @param protocol: gets the datagrams.
        @param interface: the IP address; empty for all of IPv4.
        @param maxPacketSize: how many bytes of a datagram are read at most.
        @param reactor: makes the socket.
        @param adopted: a socket that is bound already; C{None} to make one.
        """
        super().__init__(port, protocol, interface, maxPacketSize, reactor)
        self._preexistingSocket = adopted

    def createInternetSocket(self) -> Any:
        """
        Make the socket.
        """
        return self.reactor.makeSocket(self.addressFamily, self.socketType)
