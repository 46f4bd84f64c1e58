"""
Plain Twisted server with C{LineReceiver} or C{LineOnlyReceiver}: echo, broadcast, policy
and datagrams.
"""

import sys
from typing import Any

from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.protocols.basic import LineOnlyReceiver, LineReceiver

REQUEST = b"<policy-file-request/>"
FILE = (
    b'<?xml version="1.0"?><cross-domain-policy>'
    b'<allow-access-from domain="*" to-ports="*"/></cross-domain-policy>'
)


class Settings:
    """
    Settings for messages of any length, terminated by a NUL byte.
    """

    transport: Any
    delimiter = b"\0"
    MAX_LENGTH = 1 << 30

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)


class LineServer(Settings, LineReceiver):
    """
    C{LineReceiver} with these settings.
    """


class OnlyLineServer(Settings, LineOnlyReceiver):
    """
    C{LineOnlyReceiver} with these settings.
    """


RECEIVERS = {"LineReceiver": LineServer, "LineOnlyReceiver": OnlyLineServer}


def echo(receiver: Any) -> type[Protocol]:
    """
    Return an echo protocol.
    """

    class Echo(receiver):  # type: ignore[misc]
        def lineReceived(self, line: bytes) -> None:
            self.sendLine(line)

    return Echo


def broadcast(receiver: Any) -> type[Protocol]:
    """
    Return a protocol that sends each message to all clients.
    """
    connections: set[Any] = set()

    class Broadcast(receiver):  # type: ignore[misc]
        def connectionMade(self) -> None:
            super().connectionMade()
            connections.add(self)

        def connectionLost(self, reason: object) -> None:
            connections.discard(self)

        def lineReceived(self, line: bytes) -> None:
            for each in connections:
                each.sendLine(line)

    return Broadcast


def policy(receiver: Any) -> type[Protocol]:
    """
    Return a protocol that answers a policy request and closes the connection.
    """

    class Policy(receiver):  # type: ignore[misc]
        def lineReceived(self, line: bytes) -> None:
            if line == REQUEST:
                self.sendLine(FILE)
            self.transport.loseConnection()

    return Policy


class Datagrams(DatagramProtocol):
    """
    Sends each datagram back.
    """

    transport: Any

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.transport.write(datagram, addr)


def main(receiver: str, mode: str) -> None:
    """
    Run the server of a mode until the process is terminated.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    if mode == "datagrams":
        loop.listenUDP(0, Datagrams(), "127.0.0.1", 65536)
    else:
        protocols = {"echo": echo, "broadcast": broadcast, "policy": policy}
        make = protocols[mode](RECEIVERS[receiver])
        loop.listenTCP(0, Factory.forProtocol(make), 1024, "127.0.0.1")
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
