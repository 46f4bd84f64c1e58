"""
Adapters between the producer interfaces of Twisted and a connection that stands
between a transport and a producer.
"""

from typing import Protocol

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer


class FlowListener(Protocol):
    """
    A connection that is told what its transport tells its producer.
    """

    def bufferFull(self) -> None:
        """
        Called when the transport has no room.
        """

    def bufferDrained(self) -> None:
        """
        Called when it has room again.
        """

    def produceOnce(self, producer: IPullProducer) -> None:
        """
        Called when it has room for a pull producer.

        @param producer: the pull producer.
        """

    def transportLost(self) -> None:
        """
        Called when the connection is lost.
        """


@implementer(IPushProducer)
class PushAdapter:
    """
    The producer of a transport, on behalf of a connection.
    """

    __slots__ = ("_listener",)

    def __init__(self, listener: FlowListener) -> None:
        """
        @param listener: the connection.
        """
        self._listener = listener

    def pauseProducing(self) -> None:
        """
        The transport has no room.
        """
        self._listener.bufferFull()

    def resumeProducing(self) -> None:
        """
        The transport has room again.
        """
        self._listener.bufferDrained()

    def stopProducing(self) -> None:
        """
        The connection is lost.
        """
        self._listener.transportLost()


@implementer(IPullProducer)
class PullAdapter:
    """
    The pull producer of a transport, on behalf of a connection.

    @ivar producer: the registered producer.
    @ivar asked: whether the transport has this adapter.
    """

    __slots__ = ("_listener", "asked", "producer")

    def __init__(self, listener: FlowListener, producer: IPullProducer) -> None:
        """
        @param listener: the connection.
        @param producer: the registered producer.
        """
        self._listener = listener
        self.producer = producer
        self.asked = False

    def resumeProducing(self) -> None:
        """
        The transport has room.
        """
        self._listener.produceOnce(self.producer)

    def stopProducing(self) -> None:
        """
        The connection is lost.
        """
        self._listener.transportLost()
