"""
Rate limits by a token bucket.
"""


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
