"""
A histogram with a fixed relative precision and bounded memory.
"""

import math

# Values below 2 ** _BITS have a bucket each. Above, each power of two has 2 ** (_BITS - 1) buckets.
_BITS = 8

LONGEST = 3600.0
"""
Maximum value (seconds); longer times count as this one.
"""


def bucketOf(value: int) -> int:
    """
    Return the bucket of a non-negative integer. Buckets are numbered in the order of their
    values, without gaps.
    """
    shift = max(value.bit_length() - _BITS, 0)
    return (shift << _BITS - 1) + (value >> shift)


def middleOf(bucket: int) -> float:
    """
    Return the middle of the values in a bucket.
    """
    shift = max((bucket >> _BITS - 1) - 1, 0)
    least = bucket - (shift << _BITS - 1) << shift
    return least + ((1 << shift) - 1) / 2


class Histogram:
    """
    A histogram of times. A percentile has an error of at most 0.4 % or half a microsecond. The
    memory is bounded: about 3,300 counters for times up to an hour.

    @ivar count: number of times.
    @ivar total: the sum of all times (seconds).
    @ivar longest: the longest time (seconds); 0 without times.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """
        Count a time.

        @param seconds: the time; a negative time counts as 0.
        """
        seconds = min(max(seconds, 0.0), LONGEST)
        bucket = bucketOf(round(seconds * 1e6))
        self._counts[bucket] = self._counts.get(bucket, 0) + 1
        self.count += 1
        self.total += seconds
        if seconds > self.longest:
            self.longest = seconds

    def percentile(self, percent: float) -> float | None:
        """
        Return the time that a percentage of the times does not exceed.

        @param percent: the percentage (0 to 100).
        @return: the time (seconds); C{None} without times.
        """
        left = max(math.ceil(self.count * percent / 100), 1)
        for bucket in sorted(self._counts):
            left -= self._counts[bucket]
            if left <= 0:
                return min(middleOf(bucket) / 1e6, self.longest)
        return None
