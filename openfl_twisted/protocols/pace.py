"""
How fast a peer may send.
"""

import time

from openfl_twisted.wire.tokenbucket import TokenBucket


class Pace:
    """
    Allows so many messages, and so many bytes, in a second.
    """

    __slots__ = ("_bytes", "_messages")

    def __init__(self, messageRate: float, byteRate: float) -> None:
        """
        @param messageRate: how many messages a second; 0 for any number.
        @param byteRate: how many bytes a second; 0 for any number.
        """
        now = time.monotonic()
        self._messages = TokenBucket(messageRate, now) if messageRate else None
        self._bytes = TokenBucket(byteRate, now) if byteRate else None

    def allows(self, messages: int, length: int) -> bool:
        """
        Take note of what has come.

        @param messages: how many messages.
        @param length: how many bytes.
        @return: whether that is allowed.
        """
        now = time.monotonic()
        return (self._messages is None or self._messages.take(messages, now)) and (
            self._bytes is None or self._bytes.take(length, now)
        )
