"""
The queue of messages for a broker, and its limits.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from openfl_twisted.wire.envelope import OVERHEAD

MAX_PAYLOAD = 1024 * 1024 - OVERHEAD
"""
Default maximum size of a payload (bytes). A payload of this size and its envelope together
have the default maximum size of a NATS server.
"""


@dataclass(frozen=True)
class BrokerLimits:
    """
    Limits of the queue for a broker, and timeouts. All times are in seconds.

    @ivar maxBytes: maximum size of the queued messages (bytes), while the broker
        cannot be reached or does not read. While the broker is connected, the last
        queued message may exceed this size.
    @ivar maxMessages: maximum number of queued messages.
    @ivar maxAge: maximum time for which a message is queued; then the message is dropped.
    @ivar maxPayload: maximum size of a payload, sent or received (bytes).
    @ivar connectTimeout: timeout of a connection attempt.
    @ivar loginTimeout: timeout for the TLS handshake, the first message from the broker
        and the login.
    @ivar pingInterval: interval between pings of the broker.
    @ivar pingTimeout: maximum time without received data after a ping; then the connection is
        closed.
    @ivar gatherTimeout: maximum time, after an interruption of the broker, to hold
        messages until the other nodes are connected again.
    @ivar retryDelay: delay before the first new connection attempt.
    @ivar maxRetryDelay: maximum of the delay before a connection attempt; each failure
        multiplies the delay by 1.5. A random time of up to one second is added.
    """

    maxBytes: int = 1024 * 1024
    maxMessages: int = 10_000
    maxAge: float = 30.0
    maxPayload: int = MAX_PAYLOAD
    connectTimeout: float = 10.0
    loginTimeout: float = 10.0
    pingInterval: float = 10.0
    pingTimeout: float = 5.0
    gatherTimeout: float = 15.0
    retryDelay: float = 0.5
    maxRetryDelay: float = 10.0


class Waiting(NamedTuple):
    """
    A queued message.

    @ivar since: the time at which it was queued (seconds).
    @ivar topic: the topic of the message.
    @ivar data: the message in its envelope.
    """

    since: float
    topic: str
    data: bytes


class Outbox:
    """
    A queue of messages, with limits.

    @ivar size: total size of the queued messages (bytes).
    """

    def __init__(self, limits: BrokerLimits) -> None:
        """
        @param limits: C{maxBytes}, C{maxMessages} and C{maxAge} are used.
        """
        self.size = 0
        self._limits = limits
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, message: Waiting, *, exceeding: bool = False) -> bool:
        """
        Append a message.

        @param message: the message; its C{since} must not be earlier than the C{since} of the
            previous message.
        @param exceeding: whether this message may exceed C{maxBytes}.
        @return: C{False} if the queue is full.
        """
        limits = self._limits
        size = self.size + (0 if exceeding else len(message.data))
        if size > limits.maxBytes or len(self._waiting) >= limits.maxMessages:
            return False
        self.size += len(message.data)
        self._waiting.append(message)
        return True

    def exceeds(self, part: float) -> bool:
        """
        Check how full the queue is.

        @param part: a fraction of the limits, such as 0.5.
        @return: whether more than that fraction of C{maxBytes} or C{maxMessages} is used.
        """
        limits = self._limits
        return self.size > limits.maxBytes * part or len(self._waiting) > limits.maxMessages * part

    def take(self) -> Waiting:
        """
        Remove the oldest message.

        @return: the message.
        @raise IndexError: if the queue is empty.
        """
        message = self._waiting.popleft()
        self.size -= len(message.data)
        return message

    def dropOld(self, now: float) -> int:
        """
        Drop the messages older than C{maxAge}.

        @param now: the current time, from the same clock as C{since} (seconds).
        @return: the number of dropped messages.
        """
        dropped = 0
        while self._waiting and now - self._waiting[0].since > self._limits.maxAge:
            self.take()
            dropped += 1
        return dropped

    def clear(self) -> int:
        """
        Drop all messages.

        @return: the number of dropped messages.
        """
        dropped = len(self._waiting)
        self._waiting.clear()
        self.size = 0
        return dropped
