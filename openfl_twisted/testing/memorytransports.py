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
        @param adopted: a socket that listens already.
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
        @param adopted: a socket that is bound already.
        """
        super().__init__(port, protocol, interface, maxPacketSize, reactor)
        self._preexistingSocket = adopted

    def createInternetSocket(self) -> Any:
        """
        Make the socket.
        """
        return self.reactor.makeSocket(self.addressFamily, self.socketType)
