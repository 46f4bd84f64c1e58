"""
Tests for L{openfl_twisted.wire.tokenbucket}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.tokenbucket import TokenBucket, TokenBuckets


class TokenBucketTests(SynchronousTestCase):
    """
    L{TokenBucket} limits a rate.
    """

    def test_burst(self) -> None:
        """
        A burst is allowed immediately, then the average rate.
        """
        bucket = TokenBucket(10, 0, burst=2)
        self.assertTrue(bucket.take(20, 0))
        self.assertFalse(bucket.take(1, 0))
        self.assertFalse(bucket.take(1, 0.09))
        self.assertTrue(bucket.take(1, 0.1))
        self.assertFalse(bucket.take(21, 100))
        self.assertTrue(bucket.take(20, 100))

    def test_slow(self) -> None:
        """
        The bucket contains at least one token, however low the rate is.
        """
        self.assertTrue(TokenBucket(0.01, 0).take(1, 0))

    def test_clockSetBack(self) -> None:
        """
        No tokens are added when the clock is set back.
        """
        bucket = TokenBucket(1, 100, burst=1)
        self.assertTrue(bucket.take(1, 100))
        self.assertFalse(bucket.take(1, 50))
        self.assertTrue(bucket.take(1, 51))

    @given(st.lists(st.tuples(st.floats(0, 2), st.integers(0, 30))))
    def test_never(self, steps: list[tuple[float, int]]) -> None:
        """
        The total never exceeds the rate and one burst.
        """
        bucket, now, done = TokenBucket(10, 0, burst=1), 0.0, 0
        for pause, amount in steps:
            now += pause
            done += amount if bucket.take(amount, now) else 0
            self.assertLessEqual(done, 10 * now + 10 + 1e-6)


class TokenBucketsTests(SynchronousTestCase):
    """
    L{TokenBuckets} limits the rate of each key.
    """

    def test_keys(self) -> None:
        """
        Each key has a bucket of its own, which can be reset.
        """
        buckets: TokenBuckets[str] = TokenBuckets(1, 10, burst=2)
        self.assertEqual([buckets.take("a", 0) for _ in range(3)], [True, True, False])
        self.assertTrue(buckets.take("b", 0))
        buckets.reset("a")
        self.assertTrue(buckets.take("a", 0))
        buckets.reset("unknown")

    def test_most(self) -> None:
        """
        Beyond the maximum, the least recently used bucket is dropped.
        """
        dropped: list[str] = []
        buckets: TokenBuckets[str] = TokenBuckets(1, 2, burst=1, dropped=dropped.append)
        for key in "abac":
            buckets.take(key, 0)
        self.assertEqual((dropped, len(buckets)), (["b"], 2))
        self.assertEqual([key in buckets for key in "abc"], [True, False, True])
        self.assertFalse(buckets.take("a", 0))
