"""
Discovery of the other nodes that use a broker. After an interruption of the connection to the
broker, messages are held until all previously connected nodes have subscribed again.

A node that has connected announces itself on a shared topic. Each other node answers on the
topic of the new node. A node that stops announces this on the shared topic.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from openfl_twisted.wire.envelope import MAX_NODES, Envelope, EnvelopeError, decode, encode

_NODES = "openfl.nodes"
"""
The topic on which nodes announce themselves.
"""

HELLO, _HERE, _BYE = b"H", b"R", b"B"
"""
The announcement, the answer to an announcement, and the message of a node that stops.
"""


def _topicOf(node: bytes) -> str:
    """
    Return the topic on which a node receives the answers from other nodes.
    """
    return f"openfl.node.{node.hex()}"


class Gathering:
    """
    Tracks the other nodes. After an interruption of the connection to the broker, waits until
    all other nodes have reconnected.

    @ivar topics: the topics to subscribe to.
    @ivar expected: the nodes that have not reconnected since the last interruption.
    """

    def __init__(
        self,
        node: bytes,
        timeout: float,
        clock: IReactorTime,
        transmit: Callable[[str, bytes], object],
        complete: Callable[[], object],
    ) -> None:
        """
        @param node: the name of this node.
        @param timeout: maximum time to wait for the other nodes (seconds).
        @param clock: the clock.
        @param transmit: sends an envelope on a topic, if the broker is connected.
        @param complete: called when all nodes have reconnected, or after the timeout.
        """
        self.node = node
        self.topics = [_NODES, _topicOf(node)]
        self.expected: set[bytes] = set()
        self._timeout = timeout
        self._clock = clock
        self._transmit = transmit
        self._complete = complete
        # The known nodes, in the order of their last messages.
        self._known: dict[bytes, None] = {}
        self._deadline: IDelayedCall | None = None

    @property
    def waiting(self) -> bool:
        """
        Whether messages must be held until the other nodes have reconnected.
        """
        return self._deadline is not None

    def connected(self) -> None:
        """
        Announce this node, and wait for the nodes that were connected before the
        interruption.
        """
        if self.expected:
            self._deadline = self._clock.callLater(self._timeout, self._timedOut)
        self._send(_NODES, HELLO)

    def disconnected(self) -> None:
        """
        Expect all known nodes to reconnect.
        """
        self.expected |= self._known.keys()
        self._stopWaiting()

    def stop(self) -> None:
        """
        Announce that this node stops, and discard the list of other nodes.
        """
        self._send(_NODES, _BYE)
        self._stopWaiting()
        self._known.clear()
        self.expected.clear()

    def arrived(self, data: bytes) -> bool:
        """
        Handle a message from one of the L{topics}.

        @param data: the envelope.
        @return: whether the message is valid.
        """
        try:
            envelope = decode(data)
        except EnvelopeError:
            return False
        if envelope.node == self.node:
            return True
        if envelope.payload == _BYE:
            self._known.pop(envelope.node, None)
        else:
            self._known.pop(envelope.node, None)
            self._known[envelope.node] = None
            if len(self._known) > MAX_NODES:
                del self._known[next(iter(self._known))]
            if envelope.payload == HELLO:
                self._send(_topicOf(envelope.node), _HERE)
        self.expected.discard(envelope.node)
        if not self.expected and self.waiting:
            self._stopWaiting()
            self._complete()
        return True

    def _send(self, topic: str, payload: bytes) -> None:
        self._transmit(topic, encode(Envelope(self.node, 0, payload)))

    def _timedOut(self) -> None:
        self._deadline = None
        for node in self.expected:
            self._known.pop(node, None)
        self.expected.clear()
        self._complete()

    def _stopWaiting(self) -> None:
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._deadline = None
