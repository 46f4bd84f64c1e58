"""
Plain Twisted server with C{LineOnlyReceiver}: echo, broadcast, policy and datagrams.
"""

import sys
from typing import Any

from twisted.internet.protocol import DatagramProtocol, Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

REQUEST = b"<policy-file-request/>"
FILE = (
    b'<?xml version="1.0"?><cross-domain-policy>'
    b'<allow-access-from domain="*" to-ports="*"/></cross-domain-policy>'
)


class Receiver(LineOnlyReceiver):
    """
    Receives messages of any length, terminated by a NUL byte.
    """

    transport: Any
    delimiter = b"\0"
    MAX_LENGTH = 1 << 30

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)


class Echo(Receiver):
    """
    Sends each message back.
    """

    def lineReceived(self, line: bytes) -> None:
        self.sendLine(line)


connections: set["Broadcast"] = set()


class Broadcast(Receiver):
    """
    Sends each message to all clients.
    """

    def connectionMade(self) -> None:
        super().connectionMade()
        connections.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        connections.discard(self)

    def lineReceived(self, line: bytes) -> None:
        for each in connections:
            each.sendLine(line)


class Policy(Receiver):
    """
    Answers a policy request and closes the connection.
    """

    def lineReceived(self, line: bytes) -> None:
        if line == REQUEST:
            self.sendLine(FILE)
        self.transport.loseConnection()


class Datagrams(DatagramProtocol):
    """
    Sends each datagram back.
    """

    transport: Any

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.transport.write(datagram, addr)


def main(mode: str) -> None:
    """
    Run the server of a mode until the process is terminated.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    if mode == "datagrams":
        loop.listenUDP(0, Datagrams(), "127.0.0.1", 65536)
    else:
        protocols: dict[str, type[Receiver]]
        protocols = {"echo": Echo, "broadcast": Broadcast, "policy": Policy}
        loop.listenTCP(0, Factory.forProtocol(protocols[mode]), 1024, "127.0.0.1")
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
