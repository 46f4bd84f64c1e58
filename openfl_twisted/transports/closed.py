"""
The transport of a protocol that is disconnected while its connection goes on
with another protocol.
"""

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IAddress, IConsumer, IProducer, IPushProducer, ITransport
from zope.interface import implementer


@implementer(ITransport, IConsumer, IPushProducer)
class ClosedTransport:
    """
    A closed connection: it ignores writes and requests to close, and stops
    producers.
    """

    # What a protocol of this package expects, see L{openfl_twisted.transports.connection}.
    preservesMessages = False
    disconnecting = True
    reading = False
    paused = False
    receiveBuffer: Any = None
    pending = 0
    work = 0

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

    def pauseProducing(self) -> None:
        """
        Do nothing: no further data is received.
        """

    def resumeProducing(self) -> None:
        """
        Do nothing: no further data is received.
        """

    def stopProducing(self) -> None:
        """
        Do nothing: the connection is closed.
        """
