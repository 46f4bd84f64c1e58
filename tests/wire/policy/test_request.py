"""
Tests for L{openfl_twisted.wire.policy.request}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policy.request import REQUEST, isRequest, startsRequest

REQUESTS = [REQUEST[:-1], b"<policy-file-request />", b" \r\n<policy-file-request\t/>"]
ENDS = [b"\0", b"\n", b"\r\n", b"\r\n\0", b"\0more", b"x"]


class RequestTests(SynchronousTestCase):
    """
    A policy request is recognized, however the stream is split.
    """

    def test_whole(self) -> None:
        """
        White space is allowed in two places, and the next byte ends the request,
        whatever it is.
        """
        for request in REQUESTS:
            self.assertTrue(isRequest(request))
            for end in ENDS:
                self.assertTrue(startsRequest(request + end))
                self.assertTrue(isRequest(request + end))

    def test_notARequest(self) -> None:
        """
        Each character of the request counts, its case too, and so does its length.
        """
        for message in [
            b"<Policy-file-request/>", b"<policy-file-request>", b"x<policy-file-request/>",
            b"< policy-file-request/>", b"<policy-file-request//>", b"<policy-file-request/ >",
            b" " * 60 + b"<policy-file-request/>",
        ]:  # fmt: skip
            self.assertFalse(isRequest(message), message)
            self.assertIs(startsRequest(message + b"\0"), False, message)
        self.assertFalse(isRequest(b""))

    def test_beginnings(self) -> None:
        """
        Every beginning of a request can become one, and no other bytes can.
        """
        for request in REQUESTS:
            for length in range(len(request) + 1):
                self.assertIsNone(startsRequest(request[:length]))
            for length in range(1, len(request)):
                self.assertIs(startsRequest(request[:length] + b"!"), False, request[:length])
        self.assertIs(startsRequest(b"<policy-file-requesT/>"), False)
        self.assertIs(startsRequest(b" " * 64), False)

    def test_longest(self) -> None:
        """
        The limit includes the byte after the request.
        """
        request = REQUEST[:-1].rjust(63)
        self.assertEqual((isRequest(request), startsRequest(request + b"\0")), (True, True))
        self.assertEqual((isRequest(b" " + request), startsRequest(b" " + request)), (False, False))

    @given(st.sampled_from([b" ", b"\n", b"<", *REQUESTS]).flatmap(
        lambda start: st.binary(max_size=70).map(lambda rest: start + rest)
    ))  # fmt: skip
    def test_oneDecision(self, data: bytes) -> None:
        """
        The first result for a growing prefix is final.
        """
        decisions = [startsRequest(data[:length]) for length in range(len(data) + 1)]
        made = [decision for decision in decisions if decision is not None]
        self.assertEqual(decisions, [None] * (len(decisions) - len(made)) + made)
        self.assertLessEqual(len(set(made)), 1)
