"""
The other end of a connection, for a test that is it itself.
"""

from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure


class Peer(Protocol):
    """
    A protocol that remembers what comes, and sends what the test wants.

    What it sends is on its way once the network has turns; and so is what it
    gets. Its C{transport} is Twisted's: it can be paused, and have a producer.

    @ivar segments: what has come, an item for each C{dataReceived}.
    @ivar reason: why the connection has ended, or C{None} while it has not.
    @ivar transport: Twisted's transport, once there is a connection.
    """

    transport: Any

    def __init__(self) -> None:
        self.segments: list[bytes] = []
        self.reason: BaseException | None = None

    @property
    def received(self) -> bytes:
        """
        All that has come.
        """
        return b"".join(self.segments)

    @property
    def closed(self) -> bool:
        """
        Whether the connection has ended.
        """
        return self.reason is not None

    def send(self, data: bytes) -> None:
        """
        Send bytes.

        @param data: the bytes; none are no error.
        """
        self.transport.write(data)

    def close(self) -> None:
        """
        Close the connection, once all is sent.
        """
        self.transport.loseConnection()

    def abort(self) -> None:
        """
        Reset the connection; what is not sent is lost.
        """
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Remember bytes.
        """
        self.segments.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Remember the end.
        """
        self.reason = reason.value
