"""
A network in memory on which the test is every server.
"""

from twisted.internet.protocol import Factory

from openfl_twisted import testing
from openfl_twisted.testing import Flow, MemoryNetwork


class Peer(testing.Peer):
    """
    The server at the other end of a socket. What it does is done when its call
    returns: it has arrived, and what follows from it has happened.
    """

    def __init__(self, network: "Network") -> None:
        super().__init__()
        self._network = network

    @property
    def received(self) -> bytes:
        """
        What the socket has sent.
        """
        self._network.flush()
        return super().received

    @property
    def closed(self) -> bool:
        """
        Whether the connection has ended.
        """
        self._network.flush()
        return super().closed

    @property
    def incoming(self) -> Flow:
        """
        What comes from the socket.
        """
        return self.transport.socket.incoming  # type: ignore[no-any-return]

    @property
    def outgoing(self) -> Flow:
        """
        What goes to the socket.
        """
        return self.transport.socket.outgoing  # type: ignore[no-any-return]

    def send(self, *pieces: bytes) -> None:
        """
        Have pieces of data arrive at the socket.
        """
        for piece in pieces:
            super().send(piece)
            self._network.flush()

    def close(self) -> None:
        """
        Close the connection.
        """
        super().close()
        self._network.flush()


class Network(MemoryNetwork):
    """
    A network whose attempts to connect wait for the test.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attempts.hold()

    @property
    def dialled(self) -> list[tuple[str, int]]:
        """
        The addresses and ports to which somebody has tried to connect.
        """
        self.flush()
        return [(attempt.host, attempt.port) for attempt in self.attempts.made]

    def answer(self) -> Peer:
        """
        Have a server accept the last attempt to connect.
        """
        self.flush()
        peer = Peer(self)
        self.attempts.made[-1].answer(Factory.forProtocol(lambda: peer))
        return peer

    def turnAway(self) -> None:
        """
        Have the last attempt to connect fail.
        """
        self.flush()
        self.attempts.made[-1].refuse()
