"""
The transport of a protocol whose connection was taken over by another protocol.
"""

from collections.abc import Iterable

from twisted.internet.interfaces import IAddress, IProducer, IReactorTime

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.transports.connection import Connection, Owner


class ClosedTransport(Connection):
    """
    A closed connection. This object drops writes, stops producers, and ignores all other
    calls.

    If an application's protocol was connected before the client type was detected, and another
    protocol then takes over the connection, protocol detection makes this object the transport
    of the application's protocol.
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
        return self._peer

    def getHost(self) -> IAddress:
        return self._host

    def write(self, data: bytes) -> None:
        pass

    def writeSequence(self, data: Iterable[bytes]) -> None:
        pass

    def loseConnection(self) -> None:
        pass

    def loseWriteConnection(self) -> None:
        """
        Do nothing: the connection is closed.
        """

    def abortConnection(self) -> None:
        """
        Do nothing: the connection is closed.
        """

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        producer.stopProducing()

    def unregisterProducer(self) -> None:
        pass

    def stopReading(self) -> None:
        pass

    startReading = stopReading

    def stopProducing(self) -> None:
        pass

    def bind(self, owner: Owner) -> bool:
        return True

    def getClock(self) -> IReactorTime:
        return clockOrReactor(None)
