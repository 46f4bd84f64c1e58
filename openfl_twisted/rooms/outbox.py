"""
What waits to be sent, and what it may come to.
"""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from openfl_twisted.wire.envelope import OVERHEAD

MAX_PAYLOAD = 1024 * 1024 - OVERHEAD
"""
The largest payload that is published, if nobody says otherwise: with its
envelope it is what a NATS server takes.
"""


@dataclass(frozen=True)
class RelayLimits:
    """
    What a relay may take, and how long. All times are in seconds.

    @ivar maxBytes: how many bytes wait while the broker cannot be reached, or
        does not read. While it is connected, the last message may exceed it.
    @ivar maxMessages: how many messages wait.
    @ivar maxAge: how long a message waits; then it is dropped.
    @ivar maxPayload: the largest payload in bytes, to be sent and received.
    @ivar connectTimeout: how long connecting may take.
    @ivar loginTimeout: how long the broker may take from there to the end of the
        greetings, TLS and passwords.
    @ivar pingInterval: how often the broker is asked whether it is alive.
    @ivar pingTimeout: how long it may be silent after that; then the connection
        is closed.
    @ivar gatherTimeout: maximum time, after an interruption of the broker, to hold
        messages until the other nodes are connected again.
    @ivar retryDelay: how long it takes until the relay connects again, at first.
    @ivar maxRetryDelay: how long at most; each failure makes it half as long
        again. Up to a second, by chance, is added.
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
    A message that waits.

    @ivar since: when it came.
    @ivar topic: where it is published.
    @ivar data: the message in its envelope.
    """

    since: float
    topic: str
    data: bytes


class Outbox:
    """
    Messages that wait, in order, within limits.

    @ivar size: the bytes of their data.
    """

    def __init__(self, limits: RelayLimits) -> None:
        """
        @param limits: C{maxBytes}, C{maxMessages} and C{maxAge} count here.
        """
        self.size = 0
        self._limits = limits
        self._waiting: deque[Waiting] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def offer(self, message: Waiting, *, exceeding: bool = False) -> bool:
        """
        Have a message wait.

        @param message: the message; its C{since} is not before that of the one
            in front of it.
        @param exceeding: whether this message may exceed C{maxBytes}.
        @return: C{False} if there is no room for it.
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

        @param part: a part of the limits, such as 0.5.
        @return: whether more than that part is used.
        """
        limits = self._limits
        return self.size > limits.maxBytes * part or len(self._waiting) > limits.maxMessages * part

    def take(self) -> Waiting:
        """
        Take the message that has waited for the longest time.

        @return: the message.
        @raise IndexError: if none waits.
        """
        message = self._waiting.popleft()
        self.size -= len(message.data)
        return message

    def dropOld(self, now: float) -> int:
        """
        Drop the messages that have waited for too long.

        @param now: the time, in seconds of the clock that C{since} is of.
        @return: how many those are.
        """
        dropped = 0
        while self._waiting and now - self._waiting[0].since > self._limits.maxAge:
            self.take()
            dropped += 1
        return dropped

    def clear(self) -> int:
        """
        Drop everything.

        @return: how many messages those are.
        """
        dropped = len(self._waiting)
        self._waiting.clear()
        self.size = 0
        return dropped
