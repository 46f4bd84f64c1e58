"""
What a transport knows as its producer, where something stands between it and who
makes the bytes: a queue, or a protocol that is a transport itself.
"""

from typing import Protocol

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer


class FlowListener(Protocol):
    """
    Stands between a transport and who makes the bytes, and hears what the
    transport says.
    """

    def bufferFull(self) -> None:
        """
        There is no room.
        """

    def bufferDrained(self) -> None:
        """
        There is room again.
        """

    def produceOnce(self, producer: IPullProducer) -> None:
        """
        There is room, and the pull producer is to be asked.

        @param producer: the pull producer.
        """

    def transportLost(self) -> None:
        """
        The connection is lost.
        """

    def transportClosing(self) -> None:
        """
        The transport was asked to close.
        """

    def transportClosingPulled(self) -> None:
        """
        It was, while it asks a pull producer.
        """


@implementer(IPushProducer)
class PushAdapter:
    """
    What a transport tells whether it has room for more.

    A TLS transport does not close while it has a producer, and does not tell it
    that it wants to. So who closes a transport beneath calls L{finish}.
    """

    __slots__ = ("_listener",)

    def __init__(self, listener: FlowListener) -> None:
        """
        @param listener: who hears what the transport says.
        """
        self._listener = listener

    def pauseProducing(self) -> None:
        """
        There is no room.
        """
        self._listener.bufferFull()

    def resumeProducing(self) -> None:
        """
        There is room again.
        """
        self._listener.bufferDrained()

    def stopProducing(self) -> None:
        """
        The connection is lost.
        """
        self._listener.transportLost()

    def finish(self) -> None:
        """
        The transport was asked to close.
        """
        self._listener.transportClosing()


@implementer(IPullProducer)
class PullAdapter:
    """
    A pull producer, which the transport asks itself while there is one.

    @ivar producer: the producer.
    @ivar asked: whether the transport asks it; for who makes this before.
    """

    __slots__ = ("_listener", "asked", "producer")

    def __init__(self, listener: FlowListener, producer: IPullProducer) -> None:
        """
        @param listener: who hears what the transport says.
        @param producer: the pull producer.
        """
        self._listener = listener
        self.producer = producer
        self.asked = False

    def resumeProducing(self) -> None:
        """
        There is room.
        """
        self._listener.produceOnce(self.producer)

    def stopProducing(self) -> None:
        """
        The connection is lost.
        """
        self._listener.transportLost()

    def finish(self) -> None:
        """
        The transport was asked to close: it does when the producer is done.
        """
        self._listener.transportClosingPulled()
