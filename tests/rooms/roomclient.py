"""
A client of rooms, in memory.
"""

from typing import Any

from openfl_twisted.rooms.roomprotocol import RoomFactory, RoomProtocol
from tests.doubles import TightTransport
from tests.support.transports import PathTransport


class Client:
    """
    An in-memory client.

    @ivar closed: the close codes and reasons that the server has set.
    """

    def __init__(self, factory: RoomFactory, path: str | None = None) -> None:
        protocol: Any = factory.buildProtocol(None)
        self.protocol: RoomProtocol = protocol
        kind: Any = TightTransport if path is None else PathTransport
        self.transport = kind(protocol, 1 << 20)
        self.transport.atOnce = False
        if path is not None:
            self.transport.requestPath = path
        self.closed: list[tuple[int, str]] = []
        self.transport.setCloseReason = lambda code, reason: self.closed.append((code, reason))
        protocol.makeConnection(self.transport)
        self._seen = 0

    def send(self, *messages: str) -> None:
        for message in messages:
            self.transport.arrive(message.encode() + b"\0")

    def read(self) -> list[str]:
        """
        Return the messages received since the last call.
        """
        self.transport.drain()
        delivered = self.transport.delivered[self._seen :]
        self._seen += len(delivered)
        return [each.decode() for each in delivered.split(b"\0")[:-1]]

    def reset(self) -> None:
        """
        Lose the connection without a close.
        """
        self.transport._close(ConnectionError())
