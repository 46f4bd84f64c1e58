"""
Base class of the protocols that are themselves the transport of another protocol.
"""

from typing import Any

from twisted.internet.interfaces import IAddress, IConsumer, IPushProducer, ITransport
from twisted.internet.protocol import Protocol
from zope.interface import implementer


@implementer(ITransport, IConsumer, IPushProducer)
class Layer(Protocol):
    """
    Forwards the calls of the inner protocol to its own transport. Subclasses implement
    writing and closing.
    """

    transport: Any

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        raise NotImplementedError

    def getPeer(self) -> IAddress:
        peer: IAddress = self.transport.getPeer()
        return peer

    def getHost(self) -> IAddress:
        host: IAddress = self.transport.getHost()
        return host

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        self.loseConnection()
