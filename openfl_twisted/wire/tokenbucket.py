"""
Rate limits by a token bucket.
"""

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)


class TokenBucket:
    """
    Limits the average rate of an activity, and allows bursts.
    """

    __slots__ = ("_capacity", "_level", "_rate", "_time")

    def __init__(self, rate: float, now: float, burst: float = 5.0) -> None:
        """
        @param rate: the average rate allowed (per second).
        @param now: the current time (seconds).
        @param burst: the size of a burst, as a number of seconds at the average rate (default
            5).
        """
        self._rate = rate
        self._capacity = self._level = max(1.0, rate * burst)
        self._time = now

    def take(self, amount: float, now: float) -> bool:
        """
        Remove tokens, if enough tokens are available.

        @param amount: the number of tokens.
        @param now: the current time (seconds).
        @return: whether the tokens were removed.
        """
        # If the clock was set back, the number of tokens stays unchanged.
        passed, self._time = max(0.0, now - self._time), now
        self._level = min(self._capacity, self._level + passed * self._rate)
        if amount > self._level:
            return False
        self._level -= amount
        return True


class TokenBuckets(Generic[_K]):
    """
    A L{TokenBucket} for each of many keys, such as addresses. The number of buckets is limited:
    beyond it, the least recently used bucket is dropped.
    """

    def __init__(
        self,
        rate: float,
        most: int,
        burst: float = 5.0,
        dropped: Callable[[_K], object] | None = None,
    ) -> None:
        """
        @param rate: see L{TokenBucket}, as C{burst}.
        @param most: the maximum number of buckets.
        @param dropped: called with the key of each dropped bucket (default: no function).
        """
        self._rate = rate
        self._most = most
        self._burst = burst
        self._dropped = dropped
        # The least recently used bucket is the first one.
        self._buckets: dict[_K, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def __contains__(self, key: object) -> bool:
        return key in self._buckets

    def take(self, key: _K, now: float) -> bool:
        """
        Remove one token from the bucket of a key, if there is one.

        @param now: the current time (seconds).
        @return: whether the token was removed.
        """
        buckets = self._buckets
        bucket = buckets.pop(key, None) or TokenBucket(self._rate, now, self._burst)
        buckets[key] = bucket
        if len(buckets) > self._most:
            oldest = next(iter(buckets))
            del buckets[oldest]
            if self._dropped is not None:
                self._dropped(oldest)
        return bucket.take(1, now)

    def reset(self, key: _K) -> None:
        """
        Drop the bucket of a key, if there is one, so that it is full again.
        """
        self._buckets.pop(key, None)
