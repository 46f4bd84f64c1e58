"""
How much somebody may do in a time: a bucket that fills at a rate, and from which
each thing takes something.
"""


class TokenBucket:
    """
    Allows a rate, and a burst of C{burst} seconds' worth at once.
    """

    __slots__ = ("_capacity", "_level", "_rate", "_time")

    def __init__(self, rate: float, now: float, burst: float = 5.0) -> None:
        """
        @param rate: how much a second, for a long time.
        @param now: the time, in seconds.
        @param burst: how many seconds' worth may be done at once.
        """
        self._rate = rate
        self._capacity = self._level = max(1.0, rate * burst)
        self._time = now

    def take(self, amount: float, now: float) -> bool:
        """
        Do something.

        @param amount: how much it is.
        @param now: the time, in seconds.
        @return: whether it is allowed. If not, nothing is taken.
        """
        # A clock that is set back gives nothing, and takes nothing.
        passed, self._time = max(0.0, now - self._time), now
        self._level = min(self._capacity, self._level + passed * self._rate)
        if amount > self._level:
            return False
        self._level -= amount
        return True
