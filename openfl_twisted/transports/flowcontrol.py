"""
Producers that are registered with a transport, and notify the connection that wraps this
transport.
"""

from typing import Protocol

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer


class FlowListener(Protocol):
    """
    A connection that is notified when its underlying transport calls the registered producer.
    """

    def bufferFull(self) -> None:
        """
        Called when the buffer of the transport is full.
        """

    def bufferDrained(self) -> None:
        """
        Called when the transport has sent its buffer and accepts more data.
        """

    def produceOnce(self, producer: IPullProducer) -> None:
        """
        Called when the transport accepts data from a pull producer.

        @param producer: the pull producer.
        """

    def transportLost(self) -> None:
        """
        Called when the transport is lost.
        """


@implementer(IPushProducer)
class PushAdapter:
    """
    A push producer that is registered with a transport, and forwards the transport's calls to
    a connection.
    """

    __slots__ = ("_listener",)

    def __init__(self, listener: FlowListener) -> None:
        """
        @param listener: the connection.
        """
        self._listener = listener

    def pauseProducing(self) -> None:
        self._listener.bufferFull()

    def resumeProducing(self) -> None:
        self._listener.bufferDrained()

    def stopProducing(self) -> None:
        self._listener.transportLost()


@implementer(IPullProducer)
class PullAdapter:
    """
    A pull producer that is registered with a transport, and forwards the transport's calls to
    a connection.

    @ivar producer: the pull producer that the protocol has registered.
    @ivar asked: whether this adapter is registered with the transport.
    """

    __slots__ = ("_listener", "asked", "producer")

    def __init__(self, listener: FlowListener, producer: IPullProducer) -> None:
        """
        @param listener: the connection.
        @param producer: the pull producer that the protocol has registered.
        """
        self._listener = listener
        self.producer = producer
        self.asked = False

    def resumeProducing(self) -> None:
        self._listener.produceOnce(self.producer)

    def stopProducing(self) -> None:
        self._listener.transportLost()
