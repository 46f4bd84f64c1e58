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
    Times, and what takes too long.
    """

    def test_given(self) -> None:
        """
        The clock that was given is used, and else the reactor.
        """
        from twisted.internet import reactor

        clock = Clock()
        self.assertIs(clockOrReactor(clock), clock)
        self.assertIs(clockOrReactor(None), reactor)

    def test_tookTooLong(self) -> None:
        """
        What takes too long fails in words, whatever its cancelling makes of it.
        """
        clock = Clock()
        for cancel in (None, lambda waiting: waiting.errback(ValueError())):
            waiting: Deferred[None] = Deferred(cancel)
            waiting.addTimeout(2.5, clock, tookTooLong)
            clock.advance(2.5)
            failure = self.failureResultOf(waiting, error.TimeoutError)
            self.assertIn("within 2.5 seconds", failure.getErrorMessage())
