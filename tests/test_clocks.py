"""
Tests for L{openfl_twisted.clocks}.
"""

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.clocks import clockOrReactor, tookTooLong


class ClockTests(SynchronousTestCase):
    """
    Default clocks and timeout errors.
    """

    def test_given(self) -> None:
        """
        The passed clock is returned, or the reactor by default.
        """
        from twisted.internet import reactor

        clock = Clock()
        self.assertIs(clockOrReactor(clock), clock)
        self.assertIs(clockOrReactor(None), reactor)

    def test_tookTooLong(self) -> None:
        """
        The error is Twisted's C{TimeoutError} with the timeout, for any result of the
        cancellation.
        """
        clock = Clock()
        for cancel in (None, lambda waiting: waiting.errback(ValueError())):
            waiting: Deferred[None] = Deferred(cancel)
            waiting.addTimeout(2.5, clock, tookTooLong)
            clock.advance(2.5)
            failure = self.failureResultOf(waiting, error.TimeoutError)
            self.assertIn("within 2.5 seconds", failure.getErrorMessage())
