"""
Tests for L{openfl_twisted.load._histogram}.
"""

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.load._histogram import LONGEST, Histogram, bucketOf, middleOf


class BucketTests(SynchronousTestCase):
    """
    The buckets.
    """

    def test_order(self) -> None:
        """
        Buckets are numbered without gaps, in the order of their values.
        """
        buckets = [bucketOf(value) for value in range(20_000)]
        self.assertEqual(buckets[0], 0)
        for one, other in pairwise(buckets):
            self.assertIn(other - one, (0, 1))

    def test_number(self) -> None:
        """
        The number of buckets is limited.
        """
        self.assertLess(bucketOf(int(LONGEST * 1e6)), 3400)

    @given(st.integers(0, int(LONGEST * 1e6)))
    def test_precision(self, value: int) -> None:
        """
        The middle of a bucket differs from each of its values by at most 0.4 %.
        """
        middle = middleOf(bucketOf(value))
        self.assertLessEqual(abs(middle - value), value / 256)
        self.assertEqual(bucketOf(math.floor(middle)), bucketOf(value))


class HistogramTests(SynchronousTestCase):
    """
    L{Histogram}.
    """

    @given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 100))
    def test_percentile(self, times: list[float], percent: float) -> None:
        """
        A percentile is the time in sorted order, with the documented precision.
        """
        histogram = Histogram()
        for time in times:
            histogram.add(time)
        exact = sorted(times)[max(math.ceil(len(times) * percent / 100), 1) - 1]
        found = histogram.percentile(percent)
        assert found is not None
        self.assertLessEqual(abs(found - exact), exact / 250 + 0.6e-6)
        self.assertLessEqual(found, histogram.longest)
        self.assertEqual(histogram.count, len(times))
        self.assertEqual(histogram.longest, max(times))

    def test_extremes(self) -> None:
        """
        Negative and very long times count as the limits.
        """
        histogram = Histogram()
        self.assertIsNone(histogram.percentile(50))
        histogram.add(-1.0)
        self.assertEqual(histogram.percentile(50), 0.0)
        histogram.add(1e9)
        self.assertEqual((histogram.longest, histogram.total), (LONGEST, LONGEST))
        found = histogram.percentile(100)
        assert found is not None
        self.assertLess(abs(found - LONGEST), LONGEST / 250)
