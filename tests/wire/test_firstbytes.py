"""
Tests for L{openfl_twisted.wire.firstbytes}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.firstbytes import MAX_TARGET, MOST_BYTES, Caller, recognize
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

    def test_http(self) -> None:
        """
        Only a request line of HTTP is one: what a person types after C{GET} is
        not.
        """
        for line in (
            b"GET / HTTP/1.1",
            b"GET /a/b?c=d HTTP/1.0",
            b"GET http://h/ HTTP/1.1",
            b"GET https://h/ HTTP/1.1",
            b"GET /" + b"x" * (MAX_TARGET - 1) + b" HTTP/1.1",
        ):
            self.assertIs(recognize(line), Caller.WEBSOCKET, line)
            self.assertIsNone(recognize(line[: line.index(b"/1.")]), line)
        for line in (
            b"GET\r\n",
            b"GET the lamp\r\n",
            b"GET  / HTTP/1.1",
            b"GET /lamp\r\n",
            b"GET /lamp please",
            b"GET h HTTP/1.1",
            b"GET / HTTP/2.0",
            b"get / HTTP/1.1",
            b"POST / HTTP/1.1",
            b"GET /" + b"x" * MAX_TARGET,
        ):
            self.assertIs(recognize(line), Caller.PLAIN, line)

    def test_tls(self) -> None:
        """
        A C{ClientHello} is recognized by the six bytes before its version, and
        what only looks a little like it is plain.
        """
        hello = b"\x16\x03\x01\x02\x00\x01"
        self.assertIs(recognize(hello), Caller.TLS)
        self.assertIsNone(recognize(hello[:-1]))
        for other in (
            b"\x16\x01binary",
            b"\x16\x03\x05",
            b"\x16\x03\x01\x00\x03\x01",
            b"\x16\x03\x01\x40\x01\x01",
            b"\x16\x03\x01\x02\x00\x02",
            b"\x17\x03\x03",
        ):
            self.assertIs(recognize(other), Caller.PLAIN, other)

    def test_among(self) -> None:
        """
        Who is not known here is plain, at once.
        """
        for data in (b"G", b"\x16", b"<"):
            self.assertIsNone(recognize(data))
            self.assertIs(recognize(data, {Caller.PLAIN}), Caller.PLAIN)
        self.assertIs(recognize(b"GET / HTTP/1.1", {Caller.TLS}), Caller.PLAIN)

    @given(
        st.sampled_from(
            [b"", b"<p", b"  ", REQUEST, b"GET ", b"GET /x", b"GET /x HTTP/1.1", b"\x16\x03\x01"]
        ),
        st.binary(max_size=80),
    )
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
