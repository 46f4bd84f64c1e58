"""
A connection in memory.
"""

from openfl_twisted.testing.flow import Flow
from openfl_twisted.testing.memorysocket import MemorySocket


class MemoryConnection:
    """
    A connection in a network in memory.

    @ivar client: the socket that has connected.
    @ivar server: the socket that was accepted.
    @ivar toServer: what the client sends: see L{Flow<openfl_twisted.testing.Flow>}.
    @ivar toClient: what the server sends.
    """

    def __init__(
        self, client: MemorySocket, server: MemorySocket, toServer: Flow, toClient: Flow
    ) -> None:
        """
        @param client: see the attribute.
        @param server: see the attribute.
        @param toServer: see the attribute.
        @param toClient: see the attribute.
        """
        self.client = client
        self.server = server
        self.toServer = toServer
        self.toClient = toClient
        client.become(self, toClient, toServer)
        server.become(self, toServer, toClient)

    @property
    def closed(self) -> bool:
        """
        Whether both sides have closed it.
        """
        return self.client.closed and self.server.closed

    def reset(self) -> None:
        """
        Break it: what is on its way is lost, and both sides hear
        C{ConnectionLost} in the next turn, as with a router that has forgotten
        the connection.
        """
        self.client.resetByNetwork()
        self.server.resetByNetwork()

    def drop(self) -> None:
        """
        Have nothing arrive any more on either side, for good, as if the cable
        was pulled. Nobody is told.
        """
        self.toServer.drop()
        self.toClient.drop()
