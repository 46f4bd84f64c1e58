"""
An in-memory network on which the test plays every server.
"""

from twisted.internet.protocol import Factory

from openfl_twisted import testing
from openfl_twisted.testing import Flow, MemoryNetwork


class Peer(testing.Peer):
    """
    A server for the socket under test. Its methods flush the network before they
    return.
    """

    def __init__(self, network: "Network") -> None:
        super().__init__()
        self._network = network

    @property
    def received(self) -> bytes:
        """
        Data that the socket has sent.
        """
        self._network.flush()
        return super().received

    @property
    def closed(self) -> bool:
        """
        Whether the connection is lost.
        """
        self._network.flush()
        return super().closed

    @property
    def incoming(self) -> Flow:
        """
        Flow from the socket.
        """
        return self.transport.socket.incoming  # type: ignore[no-any-return]

    @property
    def outgoing(self) -> Flow:
        """
        Flow to the socket.
        """
        return self.transport.socket.outgoing  # type: ignore[no-any-return]

    def send(self, *pieces: bytes) -> None:
        """
        Send segments to the socket.
        """
        for piece in pieces:
            # Unlike in the base class, the socket may have closed the connection.
            self.transport.write(piece)
            self._network.flush()

    def close(self) -> None:
        super().close()
        self._network.flush()


class Network(MemoryNetwork):
    """
    A network that holds all connection attempts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.attempts.hold()

    @property
    def dialled(self) -> list[tuple[str, int]]:
        """
        The addresses and ports of all connection attempts.
        """
        self.flush()
        return [(attempt.host, attempt.port) for attempt in self.attempts.made]

    def answer(self) -> Peer:
        self.flush()
        peer = Peer(self)
        self.attempts.made[-1].answer(Factory.forProtocol(lambda: peer))
        return peer

    def turnAway(self) -> None:
        self.flush()
        self.attempts.made[-1].refuse()
