"""
Tests for L{openfl_twisted.wire.policyrequest}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.policyrequest import REQUEST, isRequest, mayBecomeRequest, requestLength

REQUESTS = [REQUEST, b"<policy-file-request />\0", b" \r\n<policy-file-request\t/>\0"]


class RequestTests(SynchronousTestCase):
    """
    A request is recognized as it comes.
    """

    def test_whole(self) -> None:
        """
        White space is allowed in two places; what follows does not count.
        """
        for request in REQUESTS:
            self.assertEqual(requestLength(request), len(request))
            self.assertEqual(requestLength(request + b"more"), len(request))
            self.assertTrue(isRequest(request[:-1]))

    def test_notARequest(self) -> None:
        """
        Case matters, so does every character, and the end.
        """
        for message in [
            b"", b"<Policy-file-request/>", b"<policy-file-request>", b"x<policy-file-request/>",
            b"<policy-file-request/>x", b"< policy-file-request/>", b"<policy-file-request//>",
            b"<policy-file-request/>\n", b" " * 60 + b"<policy-file-request/>",
        ]:  # fmt: skip
            self.assertFalse(isRequest(message), message)
            self.assertEqual(requestLength(message + b"\0"), 0, message)

    def test_beginnings(self) -> None:
        """
        Every beginning of a request is one, and no other is.
        """
        for request in REQUESTS:
            for length in range(len(request)):
                self.assertTrue(mayBecomeRequest(request[:length]))
            for length in range(1, len(request)):
                self.assertFalse(mayBecomeRequest(request[:length] + b"!"), request[:length])
        self.assertFalse(mayBecomeRequest(REQUEST))
        self.assertFalse(mayBecomeRequest(b"<policy-file-requesT/>"))
        self.assertFalse(mayBecomeRequest(b" " * 64))

    @given(st.sampled_from([b" ", b"\n", b"<", *REQUESTS]).flatmap(
        lambda start: st.binary(max_size=70).map(lambda rest: start + rest)
    ))  # fmt: skip
    def test_oneDecision(self, data: bytes) -> None:
        """
        Looked at byte by byte, a stream is decided once: either it becomes a
        request, or it cannot any more.
        """
        undecided = True
        for length in range(len(data) + 1):
            begun = data[:length]
            states = (mayBecomeRequest(begun), requestLength(begun) > 0)
            self.assertNotEqual(states, (True, True))
            if not undecided:
                self.assertEqual(states[0], False)
                self.assertEqual(states[1], requestLength(data) > 0)
            undecided = undecided and states == (True, False)
