"""
Tests for L{openfl_twisted.wire.firstbytes}.
"""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire.firstbytes import FOREIGN, MOST_BYTES, Signature, isPartial, recognize
from openfl_twisted.wire.policy.request import REQUEST


class RecognizeTests(SynchronousTestCase):
    """
    L{recognize} finds the protocol of a connection.
    """

    def test_policy(self) -> None:
        """
        A complete policy request is recognized, a part of one is undecided, and
        other bytes match no signature.
        """
        self.assertIs(recognize(REQUEST), Signature.POLICY)
        self.assertIsNone(recognize(b""))
        self.assertIsNone(recognize(REQUEST[:-1]))
        self.assertIs(recognize(b"<pol/>\0"), Signature.NONE)
        self.assertIs(recognize(b"\0"), Signature.NONE)

    def test_http(self) -> None:
        """
        A request line is recognized; a NUL instead of the end of the line makes
        it a message.
        """
        self.assertIs(recognize(b"GET / HTTP/1.1\r\n"), Signature.HTTP)
        self.assertIsNone(recognize(b"GET / HTTP/1.1"))
        self.assertIs(recognize(b"GET / HTTP/1.1\0"), Signature.NONE)

    def test_partial(self) -> None:
        """
        Only the beginning of a request is a partial request.
        """
        self.assertTrue(isPartial(b"POST /a"))
        for data in (b"POST", b"<policy-file-request", b"POST the letter", b"P \0"):
            self.assertFalse(isPartial(data), data)

    def test_proxy(self) -> None:
        """
        Headers of both versions of the PROXY protocol are recognized.
        """
        for header in (
            b"PROXY TCP4 ",
            b"PROXY TCP6 ",
            b"PROXY UNKNOWN",
            b"\r\n\r\n\0\r\nQUIT\n",
        ):
            self.assertIs(recognize(header), Signature.PROXY)
            self.assertIs(recognize(header + b"x"), Signature.PROXY)
            for length in range(len(header)):
                self.assertIsNone(recognize(header[:length]), header[:length])
        for other in (b"PROXY x", b"\r\nx", b"\r\n\r\n\0\0"):
            self.assertIs(recognize(other), Signature.NONE)

    def test_tls(self) -> None:
        """
        A C{ClientHello} is recognized by the six bytes before its version. Other
        bytes match no signature.
        """
        hello = b"\x16\x03\x01\x02\x00\x01"
        self.assertIs(recognize(hello), Signature.TLS)
        self.assertIsNone(recognize(hello[:-1]))
        # The message is split into records of one byte.
        self.assertIs(recognize(b"\x16\x03\x01\x00\x01\x01"), Signature.TLS)
        for other in (
            b"\x16\x01binary",
            b"\x16\x03\x05",
            b"\x16\x03\x01\x00\x00\x01",
            b"\x16\x03\x01\x40\x01\x01",
            b"\x16\x03\x01\x02\x00\x02",
            b"\x17\x03\x03",
        ):
            self.assertIs(recognize(other), Signature.NONE, other)

    def test_among(self) -> None:
        """
        Signatures that are not looked for are not recognized.
        """
        for data in (b"G", b"\x16", b"<", b"PRO"):
            self.assertIsNone(recognize(data))
            self.assertIs(recognize(data, ()), Signature.NONE)
        self.assertIs(recognize(b"GET / HTTP/1.1\r\n", {Signature.TLS}), Signature.NONE)
        self.assertIs(recognize(REQUEST, FOREIGN), Signature.NONE)

    @given(
        st.sampled_from(
            [
                b"",
                b"<p",
                b"  ",
                REQUEST,
                b"GET ",
                b"GET /x",
                b"GET /x HTTP/1.1",
                b"\x16\x03\x01",
                b"PROXY TCP",
                b"\r\n\r\n\0",
            ]
        ),
        st.binary(max_size=80),
    )
    def test_decidesOnce(self, start: bytes, rest: bytes) -> None:
        """
        The first result for a growing prefix is final, and is returned within
        L{MOST_BYTES}.
        """
        data = start + rest
        answers = [recognize(data[:length]) for length in range(len(data) + 1)]
        known = [answer for answer in answers if answer is not None]
        self.assertEqual(len(set(known)), min(1, len(known)))
        self.assertNotIn(None, answers[len(answers) - len(known) :])
        self.assertLessEqual(len(answers) - len(known), MOST_BYTES)
