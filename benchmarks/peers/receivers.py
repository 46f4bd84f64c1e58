"""
Plain Twisted, with C{LineReceiver} or C{LineOnlyReceiver}: echo, broadcast,
policy and datagrams.
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
    Messages as C{XMLSocket} has them, of any length.
    """

    transport: Any
    delimiter = b"\0"
    MAX_LENGTH = 1 << 30

    def connectionMade(self) -> None:
        """
        Do as all the others do.
        """
        self.transport.setTcpNoDelay(True)


class Lines(Settings, LineReceiver):
    """
    C{LineReceiver}, for such messages.
    """


class OnlyLines(Settings, LineOnlyReceiver):
    """
    C{LineOnlyReceiver}, for such messages.
    """


RECEIVERS = {"LineReceiver": Lines, "LineOnlyReceiver": OnlyLines}


def echo(receiver: Any) -> type[Protocol]:
    """
    Send each message back.
    """

    class Echo(receiver):  # type: ignore[misc]
        def lineReceived(self, line: bytes) -> None:
            self.sendLine(line)

    return Echo


def broadcast(receiver: Any) -> type[Protocol]:
    """
    Send each message to all.
    """
    everybody: set[Any] = set()

    class Broadcast(receiver):  # type: ignore[misc]
        def connectionMade(self) -> None:
            super().connectionMade()
            everybody.add(self)

        def connectionLost(self, reason: object) -> None:
            everybody.discard(self)

        def lineReceived(self, line: bytes) -> None:
            for each in everybody:
                each.sendLine(line)

    return Broadcast


def policy(receiver: Any) -> type[Protocol]:
    """
    Answer a policy request and close.
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
        """
        Send it back.
        """
        self.transport.write(datagram, addr)


def main(receiver: str, what: str) -> None:
    """
    Serve until somebody ends the process.
    """
    from twisted.internet import reactor

    loop: Any = reactor
    if what == "datagrams":
        loop.listenUDP(0, Datagrams(), "127.0.0.1", 65536)
    else:
        protocols = {"echo": echo, "broadcast": broadcast, "policy": policy}
        make = protocols[what](RECEIVERS[receiver])
        loop.listenTCP(0, Factory.forProtocol(make), 1024, "127.0.0.1")
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
