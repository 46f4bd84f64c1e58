"""
Tests for L{openfl_twisted.wire.firstbytes}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.firstbytes import MOST_BYTES, Caller, recognize
from openfl_twisted.wire.policy import REQUEST


class RecognizeTests(SynchronousTestCase):
    """
    L{recognize} says who is calling.
    """

    def test_callers(self) -> None:
        """
        A whole request is a policy request, a part of one is nothing yet, and
        what cannot become one is plain.
        """
        self.assertIs(recognize(REQUEST), Caller.POLICY)
        self.assertIsNone(recognize(b""))
        self.assertIsNone(recognize(REQUEST[:-1]))
        self.assertIs(recognize(b"<pol/>\0"), Caller.PLAIN)
        self.assertIs(recognize(b"\0"), Caller.PLAIN)

    @given(st.sampled_from([b"", b"<p", b"  ", REQUEST]), st.binary(max_size=80))
    def test_decidesOnce(self, start: bytes, rest: bytes) -> None:
        """
        Byte by byte, the first answer is the last one, and it comes in time.
        """
        data = start + rest
        answers = [recognize(data[:length]) for length in range(len(data) + 1)]
        known = [answer for answer in answers if answer is not None]
        self.assertEqual(len(set(known)), min(1, len(known)))
        self.assertNotIn(None, answers[len(answers) - len(known) :])
        self.assertLessEqual(len(answers) - len(known), MOST_BYTES)
