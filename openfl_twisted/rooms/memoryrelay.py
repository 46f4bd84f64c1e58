"""
A relay between nodes in one process: the default, which has nobody to talk to,
and the one for tests.
"""

from collections import deque

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from openfl_twisted.rooms.baserelay import Relay
from openfl_twisted.rooms.outbox import RelayLimits
from openfl_twisted.rooms.relay import RelayState


class MemoryBroker:
    """
    What L{MemoryRelay}s talk through.

    Everything is delivered before C{publish} returns, but for what is published
    while something else is delivered: that comes next.

    @ivar copies: how often each message is delivered; tests set it to 0 to lose
        messages, or to 2.
    """

    def __init__(self) -> None:
        self.copies = 1
        self._problem = ""
        self._relays: list[MemoryRelay] = []
        self._deliveries: deque[tuple[MemoryRelay, str, bytes]] = deque()
        self._delivering = False

    @property
    def reachable(self) -> bool:
        """
        Whether there is a way to it.
        """
        return not self._problem

    def cut(self, reason: str = "the broker is cut off") -> None:
        """
        Have nobody reach the broker.

        @param reason: what relays have for their C{problem}.
        """
        self._problem = reason
        for relay in list(self._relays):
            relay.wentDown(reason)

    def mend(self) -> None:
        """
        Have everybody reach the broker again.
        """
        self._problem = ""
        for relay in list(self._relays):
            relay.wentUp()

    def join(self, relay: "MemoryRelay") -> bool:
        """
        Let a relay take part.

        @param relay: the relay. It is told at once whether it is up or down.
        @return: whether it reaches the broker.
        """
        self._relays.append(relay)
        if self._problem:
            relay.wentDown(self._problem)
        else:
            relay.wentUp()
        return self.reachable

    def leave(self, relay: "MemoryRelay") -> None:
        """
        Let a relay take part no more.

        @param relay: the relay; it is no error if it does not take part.
        """
        if relay in self._relays:
            self._relays.remove(relay)

    def deliver(self, sender: "MemoryRelay", topic: str, data: bytes) -> None:
        """
        Give something to all relays but one.

        @param sender: the relay that does not get it.
        @param topic: where it is published.
        @param data: the envelope.
        """
        for _ in range(self.copies):
            self._deliveries.extend(
                (relay, topic, data) for relay in self._relays if relay is not sender
            )
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._deliveries:
                relay, topic, data = self._deliveries.popleft()
                relay.arrived(topic, data)
        finally:
            self._delivering = False


class MemoryRelay(Relay):
    """
    A relay through a L{MemoryBroker}.
    """

    def __init__(
        self,
        broker: MemoryBroker | None = None,
        *,
        node: bytes | None = None,
        limits: RelayLimits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        """
        @param broker: what it shares with others; C{None} for nobody.
        @param node: see L{Relay}.
        @param limits: see L{Relay}.
        @param clock: see L{Relay}.
        """
        super().__init__("memory:", node=node, limits=limits, clock=clock)
        self._broker = broker or MemoryBroker()

    def start(self) -> Deferred[bool]:
        """
        Take part.
        """
        return succeed(self._broker.join(self))

    def stop(self) -> Deferred[None]:
        """
        Take part no more.
        """
        self._broker.leave(self)
        self.wasStopped()
        return succeed(None)

    def isWritable(self) -> bool:
        """
        Check whether there is a way to the broker.
        """
        return self.state is RelayState.UP

    def transmit(self, topic: str, data: bytes) -> bool:
        """
        Give it to the others.
        """
        self._broker.deliver(self, topic, data)
        return True

    def listen(self, topic: str) -> None:
        """
        Do nothing: everything comes.
        """

    def ignore(self, topic: str) -> None:
        """
        Do nothing.
        """
