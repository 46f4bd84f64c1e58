"""
A protocol that is a transport to another, and writes things of its own between:
it is the producer of its transport, and passes on what that says.
"""

from typing import Any, cast

from twisted.internet.interfaces import IProducer, IPullProducer, IPushProducer
from twisted.internet.protocol import Protocol

from openfl_twisted.protocols.producers import Pull, Room


class ProducingProtocol(Protocol):
    """
    Stands between a transport and a producer. Subclasses override L{roomAgain},
    L{producerGone} and L{transportClosing}.

    @ivar producer: who makes what is written here, if anybody does.
    @ivar registered: whether the transport has this for its producer.
    @ivar full: whether the transport has no room.
    """

    # What is asked for each message; what a program or a rare event adds has a dictionary.
    __slots__ = ("connected", "factory", "full", "producer", "registered", "transport")

    # Whether the transport asks a pull producer.
    _pulling = False

    def __init__(self) -> None:
        self.connected = 0
        self.factory: Any = None
        self.transport: Any = None
        self.producer: IProducer | None = None
        self.registered = False
        self.full = False

    def beginProducing(self) -> None:
        """
        Be the producer of the transport.
        """
        self.registered = True
        self.transport.registerProducer(Room(self), True)

    def endProducing(self) -> None:
        """
        Be it no more: a TLS transport does not close while it has one.
        """
        if self.registered:
            self.registered = False
            self.transport.unregisterProducer()
        self._stopProducer()

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Name who makes the bytes. While there is somebody, the connection is not
        closed.

        @param producer: the producer. It is stopped when nothing can be sent any
            more: at once, if that is so already.
        @param streaming: whether it is a push producer.
        @raise RuntimeError: if there is somebody already.
        """
        if self.producer is not None:
            raise RuntimeError("there is a producer already")
        if not self.registered:
            producer.stopProducing()
            return
        self.producer = producer
        if not streaming:
            # It is asked when there is room; a pong has to wait for that too.
            self._pulling = self.full = True
            self._registerAnew(Pull(self, cast("IPullProducer", producer)), False)
        elif self.full:
            cast("IPushProducer", producer).pauseProducing()

    def unregisterProducer(self) -> None:
        """
        Forget the producer.
        """
        self.producer = None
        pulling, self._pulling = self._pulling, False
        if pulling:
            self.full = False
            self.roomAgain()
        self.producerGone()
        if pulling:
            # Not before: a transport that has to close does so when its producer has gone.
            self._registerAnew(Room(self), True)

    def _registerAnew(self, producer: IProducer, streaming: bool) -> None:
        """
        Change the producer that the transport has.
        """
        if self.registered:
            self.transport.unregisterProducer()
        if self.registered:
            self.transport.registerProducer(producer, streaming)

    def transportFull(self) -> None:
        """
        There is no room.
        """
        self.full = True
        if self.producer is not None:
            cast("IPushProducer", self.producer).pauseProducing()

    def transportEmpty(self) -> None:
        """
        There is room again.
        """
        self.full = False
        self.roomAgain()
        if self.producer is not None:
            cast("IPushProducer", self.producer).resumeProducing()
        if not self._pulling and not self.full:
            # A TLS transport that has to close goes on with that only when its producer has gone.
            self._registerAnew(Room(self), True)

    def transportPulls(self, producer: IPullProducer) -> None:
        """
        There is room, and the pull producer is asked.

        @param producer: the producer that was registered; it writes here when it
            is asked.
        """
        self.full = False
        self.roomAgain()
        producer.resumeProducing()
        self.full = self.full or self._pulling

    def transportGone(self) -> None:
        """
        The connection is lost.
        """
        self.registered = False
        self._stopProducer()

    def _stopProducer(self) -> None:
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()

    # For subclasses

    def roomAgain(self) -> None:
        """
        There is room again; the producer hears it next.
        """

    def producerGone(self) -> None:
        """
        Who made the bytes has made them all.
        """

    def transportClosing(self) -> None:
        """
        The transport beneath was asked to close.
        """

    def transportClosingPulled(self) -> None:
        """
        It was, while it asks a pull producer.
        """
        self.transportClosing()
