"""
The transport of a protocol that is disconnected while its connection goes on
with another protocol.
"""

from collections.abc import Iterable

from twisted.internet.interfaces import IAddress, IProducer, IReactorTime

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.transports.connection import Connection, Owner


class ClosedTransport(Connection):
    """
    A closed connection: it ignores writes and requests to close, and stops
    producers.
    """

    disconnecting = True
    reading = False
    paused = False
    hasReceived = True
    isFull = False
    isLost = True
    isAborted = False
    receiveBuffer = None
    owner = None
    guard = None
    tap = None
    pending = 0
    work = 0
    bytesIn = bytesOut = 0

    def __init__(self, peer: IAddress, host: IAddress) -> None:
        """
        @param peer: the address of the peer.
        @param host: the local address.
        """
        self._peer = peer
        self._host = host

    def getPeer(self) -> IAddress:
        """
        Return the address of the peer.
        """
        return self._peer

    def getHost(self) -> IAddress:
        """
        Return the local address.
        """
        return self._host

    def write(self, data: bytes) -> None:
        """
        Drop the data.
        """

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """
        Drop the data.
        """

    def loseConnection(self) -> None:
        """
        Do nothing: the connection is closed.
        """

    def loseWriteConnection(self) -> None:
        """
        Do nothing: the connection is closed.
        """

    def abortConnection(self) -> None:
        """
        Do nothing: the connection is closed.
        """

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Stop the producer.
        """
        producer.stopProducing()

    def unregisterProducer(self) -> None:
        """
        Do nothing: no producer is registered.
        """

    def stopReading(self) -> None:
        """
        Do nothing: no further data is received.
        """

    startReading = stopReading

    def stopProducing(self) -> None:
        """
        Do nothing: the connection is closed.
        """

    def bind(self, owner: Owner) -> bool:
        """
        Do nothing: nothing is sent.
        """
        return True

    def getClock(self) -> IReactorTime:
        """
        Return the reactor.
        """
        return clockOrReactor(None)
