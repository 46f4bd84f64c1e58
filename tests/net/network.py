"""
A network in memory for sockets.
"""

from typing import Any

from twisted.internet import error
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from openfl_twisted.events import (
    DataEvent,
    Event,
    EventDispatcher,
    IOErrorEvent,
    OutputProgressEvent,
    ProgressEvent,
    SecurityErrorEvent,
)
from tests.doubles import TightTransport

TYPES = (
    Event.CONNECT,
    Event.CLOSE,
    ProgressEvent.SOCKET_DATA,
    DataEvent.DATA,
    IOErrorEvent.IO_ERROR,
    SecurityErrorEvent.SECURITY_ERROR,
    OutputProgressEvent.OUTPUT_PROGRESS,
)


class Peer:
    """
    The server at the other end of a socket.
    """

    def __init__(self, protocol: Any, room: int = 1_000_000) -> None:
        self.protocol = protocol
        self.transport = TightTransport(protocol, room)
        self.transport.atOnce = False
        protocol.makeConnection(self.transport)

    def send(self, *pieces: bytes) -> None:
        """
        Have pieces of data arrive at the socket.
        """
        for piece in pieces:
            self.protocol.dataReceived(piece)

    @property
    def received(self) -> bytes:
        """
        What the socket has sent, read as far as it has come.
        """
        return self.transport.drainAll()

    def close(self) -> None:
        """
        Close the connection.
        """
        self.protocol.connectionLost(Failure(error.ConnectionDone()))


class Network:
    """
    A reactor in memory on which sockets connect.
    """

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()

    def turn(self) -> None:
        """
        Let a turn of the reactor pass.
        """
        self.reactor.advance(0)

    def answer(self, room: int = 1_000_000) -> Peer:
        """
        Have a server accept the last attempt to connect.
        """
        self.turn()
        factory = self.reactor.tcpClients[-1][2]
        return Peer(factory.buildProtocol(None), room)

    def refuse(self) -> None:
        """
        Have the last attempt to connect fail.
        """
        self.turn()
        factory: Any = self.reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(None, Failure(error.ConnectionRefusedError()))


def record(dispatcher: EventDispatcher) -> list[Event]:
    """
    Remember the events of a socket.
    """
    events: list[Event] = []
    for type in TYPES:
        dispatcher.addEventListener(type, events.append)
    return events


def types(events: list[Event]) -> list[str]:
    """
    Name events.
    """
    return [event.type for event in events]
