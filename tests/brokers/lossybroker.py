"""
An in-memory broker that a test can interrupt, and that loses or repeats messages.
"""

from collections import deque

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from openfl_twisted.brokers.outbox import BrokerLimits
from openfl_twisted.brokers.queuedpubsub import QueuedPubSub
from openfl_twisted.rooms.pubsub import PubSubState


class LossyBroker:
    """
    Connects the L{LossyPubSub}s of a test.

    @ivar copies: number of deliveries of each message: 0 to lose it, 2 to repeat it.
    """

    def __init__(self) -> None:
        self.copies = 1
        self._problem = ""
        self._nodes: list[LossyPubSub] = []
        self._deliveries: deque[tuple[LossyPubSub, str, bytes]] = deque()
        self._delivering = False

    def cut(self, reason: str = "the broker is cut off") -> None:
        """
        Interrupt all connections.

        @param reason: the problem reported to the nodes.
        """
        self._problem = reason
        for node in list(self._nodes):
            node.wentDown(reason)

    def mend(self) -> None:
        """
        End the interruption.
        """
        self._problem = ""
        for node in list(self._nodes):
            node.wentUp()

    def join(self, node: "LossyPubSub") -> bool:
        """
        Connect a node.

        @return: whether the broker can be reached.
        """
        self._nodes.append(node)
        if self._problem:
            node.wentDown(self._problem)
        else:
            node.wentUp()
        return not self._problem

    def leave(self, node: "LossyPubSub") -> None:
        """
        Disconnect a node, if it is connected.
        """
        if node in self._nodes:
            self._nodes.remove(node)

    def deliver(self, sender: "LossyPubSub", topic: str, data: bytes) -> None:
        """
        Deliver an envelope to all other nodes. Envelopes published during a delivery are
        delivered afterwards.
        """
        others = [node for node in self._nodes if node is not sender]
        self._deliveries.extend((node, topic, data) for node in others * self.copies)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._deliveries:
                node, topic, data = self._deliveries.popleft()
                node.arrived(topic, data)
        finally:
            self._delivering = False


class LossyPubSub(QueuedPubSub):
    """
    A node connected to a L{LossyBroker}.
    """

    def __init__(
        self,
        broker: LossyBroker | None = None,
        *,
        node: bytes | None = None,
        limits: BrokerLimits | None = None,
        clock: IReactorTime | None = None,
    ) -> None:
        super().__init__("memory:", node=node, limits=limits, clock=clock)
        self._broker = broker or LossyBroker()

    def start(self) -> Deferred[bool]:
        return succeed(self._broker.join(self))

    def stop(self) -> Deferred[None]:
        self._broker.leave(self)
        self.wasStopped()
        return succeed(None)

    def isWritable(self) -> bool:
        return self.state is PubSubState.UP

    def transmit(self, topic: str, data: bytes) -> bool:
        self._broker.deliver(self, topic, data)
        return True

    def listen(self, topic: str) -> None:
        pass

    def ignore(self, topic: str) -> None:
        pass
