"""
Tests for L{openfl_twisted.net._reasons}.
"""

from twisted.internet import error
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.net._reasons import reasonOf, socketError


class ReasonTests(SynchronousTestCase):
    """
    Reasons of failed connection attempts.
    """

    def test_reasons(self) -> None:
        """
        The reason contains the host, and the port if it is relevant.
        """
        for problem, words in [
            (error.ConnectionRefusedError(), "to h:80 was refused: no server listens there"),
            (error.DNSLookupError("no results"), "the host name 'h' is unknown"),
            (error.NoRouteError(), "h cannot be reached: no route to host"),
            (error.TCPTimedOutError(), "h:80: TCP connection timed out"),
            (
                error.TimeoutError(string="no answer within 2 seconds."),
                "no answer within 2 seconds",
            ),
            (OSError("something else"), "h:80: something else"),
        ]:
            self.assertIn(words, reasonOf(Failure(problem), "h", 80))

    def test_error(self) -> None:
        """
        The error has Flash's text and number, and the reason as a sentence.
        """
        found = socketError("the host name 'h' is unknown")
        expected = "Error #2031: Socket Error. The host name 'h' is unknown."
        self.assertEqual((str(found), found.errorID), (expected, 2031))
