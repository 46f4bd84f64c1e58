"""
Pub/sub between the nodes of a server: the interface, a base class for its
implementations, and an implementation in memory.

The implementations for Redis and NATS are in L{openfl_twisted.brokers}.
"""

import enum
import os
from collections import deque
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from twisted.internet.defer import Deferred, succeed

from openfl_twisted.logs import packageLogger
from openfl_twisted.wire.envelope import NODE_LENGTH

Callback = Callable[[bytes], object]
"""
A function that is called with each payload that other nodes publish on a topic.
"""

_MAX_TOPIC = 1024
"""
Maximum length of a topic, in bytes of UTF-8.
"""

_log = packageLogger()
_delivering = _log.failureHandler("while a published message was delivered")
_notifying = _log.failureHandler("while a listener of the broker was notified")


class PubSubState(enum.Enum):
    """
    The state of an L{IPubSub}.

    @cvar STOPPED: not started, or stopped.
    @cvar CONNECTING: started, and connecting for the first time.
    @cvar UP: the broker is connected, and published messages are sent.
    @cvar DOWN: the broker cannot be reached. Connection attempts are repeated.
    """

    STOPPED = "stopped"
    CONNECTING = "connecting"
    UP = "up"
    DOWN = "down"


@runtime_checkable
class IPubSub(Protocol):
    """
    Sends messages to the other nodes, by topic.

    Delivery is B{at most once}: a lost message is not sent again. The receiver counts lost
    messages, and notifies its listeners of the loss when the next message from the same node
    on the same topic arrives. Messages from one node on one topic are delivered in order. A
    message is never delivered to the node that published it, so messages between members on
    the same node do not depend on the broker.
    """

    @property
    def node(self) -> bytes:
        """
        The name of this node: 16 random bytes.
        """

    @property
    def description(self) -> str:
        """
        The address of the broker for logs, without passwords.
        """

    @property
    def state(self) -> PubSubState:
        """
        The state of the connection to the broker.
        """

    @property
    def problem(self) -> str:
        """
        The reason why there is no connection to the broker, or its last error reply;
        otherwise empty.
        """

    @property
    def waiting(self) -> int:
        """
        Number of messages queued for the broker.
        """

    @property
    def congested(self) -> bool:
        """
        Whether messages are published faster than the connected broker accepts them. If so,
        stop publishing until the listeners are notified that the queue is drained.
        """

    @property
    def published(self) -> int:
        """
        Number of messages sent to the broker.
        """

    @property
    def received(self) -> int:
        """
        Number of messages of other nodes that were passed to callbacks.
        """

    @property
    def dropped(self) -> int:
        """
        Number of messages dropped before they were sent to the broker.
        """

    @property
    def gaps(self) -> int:
        """
        Number of gaps in the messages of other nodes.
        """

    @property
    def missed(self) -> int:
        """
        Number of messages missing in all gaps.
        """

    @property
    def duplicates(self) -> int:
        """
        Number of messages received twice or too late, and dropped.
        """

    @property
    def malformed(self) -> int:
        """
        Number of messages that no node has sent, and dropped.
        """

    @property
    def refused(self) -> int:
        """
        Number of times that the broker has refused something.
        """

    @property
    def reconnects(self) -> int:
        """
        Number of times that the broker was reached again.
        """

    def start(self) -> Deferred[bool]:
        """
        Connect to the broker, and reconnect whenever the connection is lost.

        @return: fires when the first attempt has ended: with C{True} if the broker is
            reached, otherwise with C{False}. Further attempts follow.
        """

    def stop(self) -> Deferred[None]:
        """
        Close the connection. Messages that are already written are sent; queued messages are
        dropped.

        @return: fires when the connection is closed.
        """

    def publish(self, topic: str, payload: bytes) -> bool:
        """
        Send a message to all other nodes that have subscribed to a topic.

        @param topic: 1 to 1024 bytes of UTF-8.
        @param payload: any bytes.
        @return: C{True} if the message is sent, now or when the broker can be reached;
            C{False} if the message is dropped because the queue is full or the payload is too
            large. Other nodes count a dropped message as lost.
        @raise ValueError: if the topic is empty or too long.
        """

    def subscribe(self, topic: str, callback: Callback) -> None:
        """
        Receive messages from other nodes on a topic, until L{unsubscribe} is called.

        @param topic: 1 to 1024 bytes of UTF-8.
        @param callback: called with each payload. Exceptions of the callback are logged.
        @raise ValueError: if the topic is empty, too long or already subscribed to.
        """

    def unsubscribe(self, topic: str) -> None:
        """
        Stop receiving messages on a topic. Do nothing if the topic is not subscribed to.

        @param topic: the topic passed to L{subscribe}.
        """

    def pauseReading(self) -> None:
        """
        Receive no further messages from the broker until L{resumeReading} is called. Messages
        that were already received are still delivered.
        """

    def resumeReading(self) -> None:
        """
        End the pause of L{pauseReading}. Without a pause, this call has no effect.
        """

    def addListener(self, listener: "IPubSubListener") -> None:
        """
        Add a listener, which is notified when the broker is reached or lost, when messages can
        be published again, and when messages have been lost.

        @param listener: the listener. Listeners cannot be removed.
        """


@runtime_checkable
class IPubSubListener(Protocol):
    """
    A listener for state changes and message losses of an L{IPubSub}.
    """

    def up(self) -> None:
        """
        Called when the broker is reached.
        """

    def down(self, reason: str) -> None:
        """
        Called when the broker cannot be reached.

        @param reason: the reason, as human-readable text.
        """

    def drained(self) -> None:
        """
        Called when the broker is no longer congested: messages can be published again.
        """

    def gap(self, topic: str, node: bytes, missed: int) -> None:
        """
        Called when messages from another node have been lost.

        @param topic: the topic of the lost messages.
        @param node: the name of the node that published the lost messages.
        @param missed: the number of lost messages.
        """


class BasePubSub:
    """
    Base class of L{IPubSub} implementations: manages the state, counters, subscriptions and
    listeners.
    """

    log = _log

    def __init__(self, description: str, node: bytes | None = None) -> None:
        """
        @param description: the address of the broker as shown in logs, without
            passwords.
        @param node: the name of this node; C{None} for a random name. A node that is restarted
            needs a new name.
        """
        self.node = node or os.urandom(NODE_LENGTH)
        self.description = description
        self.state = PubSubState.STOPPED
        self.problem = ""
        self.published = self.received = self.dropped = self.gaps = self.missed = 0
        self.duplicates = self.malformed = self.refused = self.reconnects = 0
        self._listeners: list[IPubSubListener] = []
        self._callbacks: dict[str, Callback] = {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.description} {self.state.value}>"

    @property
    def topics(self) -> list[str]:
        """
        The subscribed topics.
        """
        return list(self._callbacks)

    @property
    def waiting(self) -> int:
        return 0

    @property
    def congested(self) -> bool:
        return False

    def start(self) -> Deferred[bool]:
        raise NotImplementedError

    def stop(self) -> Deferred[None]:
        raise NotImplementedError

    def publish(self, topic: str, payload: bytes) -> bool:
        raise NotImplementedError

    def subscribe(self, topic: str, callback: Callback) -> None:
        if checkTopic(topic) in self._callbacks:
            raise ValueError(f"topic {topic!r} already has a callback; unsubscribe it first")
        self._callbacks[topic] = callback

    def unsubscribe(self, topic: str) -> None:
        self._callbacks.pop(topic, None)

    def pauseReading(self) -> None:
        """
        Do nothing. A subclass that receives messages from a broker overrides this method.
        """

    def resumeReading(self) -> None:
        """
        Ignore the call: this class has paused nothing.
        """

    def addListener(self, listener: IPubSubListener) -> None:
        self._listeners.append(listener)

    def deliver(self, topic: str, payload: bytes) -> None:
        """
        Call the callback of a topic.

        @param topic: a topic that is subscribed to.
        @param payload: the message from another node.
        """
        self.received += 1
        with _delivering:
            self._callbacks[topic](payload)

    def notify(self, call: Callable[[IPubSubListener], object]) -> None:
        """
        Notify all listeners. An exception raised by a listener is logged.

        @param call: called with each listener.
        """
        for listener in list(self._listeners):
            with _notifying:
                call(listener)


class MemoryBroker:
    """
    Connects the L{MemoryPubSub}s of one process.

    Messages are delivered before C{publish} returns. A message that a callback publishes is
    delivered after the current message.
    """

    def __init__(self) -> None:
        self._nodes: list[MemoryPubSub] = []
        self._deliveries: deque[tuple[MemoryPubSub, str, bytes]] = deque()
        self._delivering = False

    def join(self, node: "MemoryPubSub") -> None:
        """
        Connect a node.
        """
        self._nodes.append(node)

    def leave(self, node: "MemoryPubSub") -> None:
        """
        Disconnect a node.

        @param node: the node, connected or not.
        """
        if node in self._nodes:
            self._nodes.remove(node)

    def deliver(self, sender: "MemoryPubSub", topic: str, payload: bytes) -> None:
        """
        Deliver a message to all nodes except the sender.

        @param topic: the topic of the message.
        @param payload: the message.
        """
        nodes = [node for node in self._nodes if node is not sender]
        self._deliveries.extend((node, topic, payload) for node in nodes)
        if self._delivering:
            return
        self._delivering = True
        try:
            while self._deliveries:
                node, topic, payload = self._deliveries.popleft()
                if topic in node.topics:
                    node.deliver(topic, payload)
        finally:
            self._delivering = False


class MemoryPubSub(BasePubSub):
    """
    Pub/sub between the nodes of one process. Messages are never lost or queued, and never
    counted as missing.
    """

    def __init__(self, broker: MemoryBroker | None = None, *, node: bytes | None = None) -> None:
        """
        @param broker: connects this node to other nodes; C{None} if there are no other nodes.
        @param node: the name of this node; C{None} for a random name.
        """
        super().__init__("memory:", node)
        self._broker = broker or MemoryBroker()

    def start(self) -> Deferred[bool]:
        self._broker.join(self)
        self.state = PubSubState.UP
        self.notify(lambda listener: listener.up())
        return succeed(True)

    def stop(self) -> Deferred[None]:
        self._broker.leave(self)
        self.state = PubSubState.STOPPED
        return succeed(None)

    def publish(self, topic: str, payload: bytes) -> bool:
        checkTopic(topic)
        if self.state is not PubSubState.UP:
            self.dropped += 1
            return False
        self.published += 1
        self._broker.deliver(self, topic, payload)
        return True


def checkTopic(topic: str) -> str:
    """
    Check that a string can be a topic.

    @return: the topic.
    @raise ValueError: if the string is empty, cannot be encoded in UTF-8, or is longer than
        L{_MAX_TOPIC}.
    """
    try:
        length = len(topic.encode())
    except UnicodeEncodeError:
        raise ValueError(f"topic {topic!r} must be text without surrogates") from None
    if not 0 < length <= _MAX_TOPIC:
        raise ValueError(f"a topic must have 1 to {_MAX_TOPIC} bytes, not {length}")
    return topic
