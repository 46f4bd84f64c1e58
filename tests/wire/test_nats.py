"""
Tests for L{openfl_twisted.wire.nats}.
"""

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.wire import nats
from openfl_twisted.wire.lineblocks import StreamError
from tests.segments import cutStreams

streams = st.lists(
    st.sampled_from(
        [
            b'INFO {"max_payload":9}\r\n', b"INFO {\r\n", b"MSG a 1 3\r\nabc\r\n",
            b"msg a.b\t2 reply 2\r\n\r\n\r\n", b"MSG a 1\r\n", b"MSG a 1 9\r\n",
            b"MSG a x 0\r\n\r\n", b"PING\r\n", b"pong\r\n", b"+OK\r\n", b"-ERR 'Stale'\r\n",
            b"HMSG\r\n", b"\r\n", b"a",
        ]
    )
).map(b"".join)  # fmt: skip


def read(*pieces: bytes) -> list[object]:
    """
    Read a stream, to its end or up to an error.
    """
    reader = nats.NATSReader(4)
    found: list[object] = []
    try:
        for piece in pieces:
            for each in reader.receive(piece):
                found.append(each)  # noqa: PERF402 - an error must not take away what came before
    except StreamError as problem:
        found.append(str(problem))
    return found


class NATSReaderTests(SynchronousTestCase):
    """
    L{nats.NATSReader} reads what a server says.
    """

    @given(cutStreams(streams))
    def test_anyCut(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        Any cut gives the same, up to the same error.
        """
        stream, pieces = cut
        self.assertEqual(read(*pieces), read(stream))

    @given(st.binary())
    def test_anyBytes(self, stream: bytes) -> None:
        """
        No bytes whatever are any other error.
        """
        read(stream)

    def test_words(self) -> None:
        """
        Short words are in any letters, and an error has a text.
        """
        self.assertEqual(
            read(b"PING\r\nPong\r\n+OK\r\n-err 'Authorization Violation'\r\n"),
            [
                nats.ControlMessage("PING"),
                nats.ControlMessage("PONG"),
                nats.ControlMessage("+OK"),
                nats.ControlMessage("-ERR", "Authorization Violation"),
            ],
        )

    def test_deliveries(self) -> None:
        """
        A message comes with the number of its subscription, and may have a
        subject for replies.
        """
        self.assertEqual(
            read(b"MSG a 1 2\r\n\r\n\r\nmsg b 22 c 0\r\n\r\n"),
            [nats.Delivery(1, b"\r\n"), nats.Delivery(22, b"")],
        )

    def test_info(self) -> None:
        """
        A server says what it takes and whether it has TLS; what it does not say
        is as usual.
        """
        self.assertEqual(
            read(b'INFO {"max_payload":7,"tls_required":true}\r\nINFO {"tls_available":true}\r\n'),
            [nats.ServerInfo(7, True, False), nats.ServerInfo(1024 * 1024, False, True)],
        )

    def test_pending(self) -> None:
        """
        What has not come to its end is known.
        """
        reader = nats.NATSReader()
        self.assertEqual(list(reader.receive(b"PING\r\nPI")), [nats.ControlMessage("PING")])
        self.assertEqual(reader.pending, 2)

    def test_problems(self) -> None:
        """
        What the protocol does not have is an error.
        """
        for line, says in [
            (b"HELLO", "is not a NATS message"),
            (b"MSG a 1", "is not a valid NATS message"),
            (b"MSG a 1 b c 5", "is not a valid NATS message"),
            (b"MSG a 1 5", "a block of 5 bytes exceeds 4 bytes"),
            (b"INFO []", "must be a JSON object"),
            (b"INFO " + b"[" * 60_000, "must be a JSON object"),
            (b'INFO {"max_payload":"x"}', "max_payload must be a number"),
            (b'INFO {"max_payload":-1}', "max_payload must be a number"),
        ]:
            [problem] = read(line + b"\r\n")
            self.assertIn(says, str(problem))


class CommandTests(SynchronousTestCase):
    """
    What a client says.
    """

    def test_commands(self) -> None:
        """
        Commands are written as the protocol has them.
        """
        self.assertEqual(nats.connect({"a": True}), b'CONNECT {"a":true}\r\n')
        self.assertEqual(nats.publish(b"a.b", b"\r\n"), b"PUB a.b 2\r\n\r\n\r\n")
        self.assertEqual(nats.subscribe(b"a.b", 3), b"SUB a.b 3\r\n")
        self.assertEqual(nats.unsubscribe(3), b"UNSUB 3\r\n")

    def test_subject(self) -> None:
        """
        What has a meaning in a subject is written otherwise.
        """
        self.assertEqual(nats.subjectOf("a", "b.c *>é_1-"), b"a.b%2Ec%20%2A%3E%C3%A9_1-")
        self.assertEqual(nats.subjectOf("a", ""), b"a.%")

    @given(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2, unique=True))
    def test_subjects(self, topics: list[str]) -> None:
        """
        Any text is a subject, and different texts are different ones.
        """
        one, other = (nats.subjectOf("openfl", topic) for topic in topics)
        self.assertNotEqual(one, other)
        self.assertTrue(re.fullmatch(rb"openfl\.[A-Za-z0-9_%\-]+", one), one)
