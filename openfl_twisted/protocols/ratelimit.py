"""
Rate limits.
"""

from twisted.internet.interfaces import IReactorTime

from openfl_twisted.wire.tokenbucket import TokenBucket


class RateLimiter:
    """
    Limits the messages and bytes per second received on one connection.
    """

    __slots__ = ("_bytes", "_clock", "_messages")

    def __init__(self, messageRate: float, byteRate: float, clock: IReactorTime) -> None:
        """
        @param messageRate: maximum number of messages per second; 0 for no limit.
        @param byteRate: maximum number of bytes per second; 0 for no limit.
        @param clock: the clock.
        """
        self._clock = clock
        now = clock.seconds()
        self._messages = TokenBucket(messageRate, now) if messageRate else None
        self._bytes = TokenBucket(byteRate, now) if byteRate else None

    def allows(self, messages: int, length: int) -> bool:
        """
        Count received messages and bytes.

        @param length: number of bytes.
        @return: whether neither limit is exceeded.
        """
        now = self._clock.seconds()
        return (self._messages is None or self._messages.take(messages, now)) and (
            self._bytes is None or self._bytes.take(length, now)
        )
