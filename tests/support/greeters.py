"""
Protocols that send a greeting when a client connects.
"""

from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

done = Failure(ConnectionDone())


class Greeter(Protocol):
    """
    Sends a greeting, and records its calls.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.received = b""

    def connectionMade(self) -> None:
        self.told.append("made")
        assert self.transport is not None
        self.transport.write(b"hello")

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = done) -> None:
        self.told.append("lost")


class Closer(Greeter):
    """
    Closes the connection immediately.
    """

    def connectionMade(self) -> None:
        super().connectionMade()
        assert self.transport is not None
        self.transport.loseConnection()


class GreeterFactory(Factory[Any]):
    """
    Keeps its protocols.
    """

    def __init__(self, protocol: type[Greeter]) -> None:
        self.inner = protocol
        self.made: list[Greeter] = []
        self.started = 0

    def doStart(self) -> None:
        self.started += 1

    def doStop(self) -> None:
        self.started -= 1

    def buildProtocol(self, addr: object) -> Greeter:
        self.made.append(self.inner())
        return self.made[-1]
