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


def read(*chunks: bytes) -> list[object]:
    """
    Return the messages of a stream, up to an error, and the error.
    """
    reader = nats.NATSReader(4)
    found: list[object] = []
    try:
        for chunk in chunks:
            for each in reader.receive(chunk):
                found.append(each)  # noqa: PERF402 - an error must not take away what came before
    except StreamError as problem:
        found.append(str(problem))
    return found


class NATSReaderTests(SynchronousTestCase):
    """
    L{nats.NATSReader} parses the messages of a server.
    """

    @given(cutStreams(streams))
    def test_anySplit(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        The messages, and an error, do not depend on chunk boundaries.
        """
        stream, chunks = cut
        self.assertEqual(read(*chunks), read(stream))

    @given(st.binary())
    def test_anyBytes(self, stream: bytes) -> None:
        """
        Any bytes are parsed, or are a C{StreamError}.
        """
        read(stream)

    def test_words(self) -> None:
        """
        The names of control messages are case-insensitive; an error has a text.
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
        A delivery contains its subscription number; a reply subject is optional.
        """
        self.assertEqual(
            read(b"MSG a 1 2\r\n\r\n\r\nmsg b 22 c 0\r\n\r\n"),
            [nats.Delivery(1, b"\r\n"), nats.Delivery(22, b"")],
        )

    def test_info(self) -> None:
        """
        C{INFO} contains the maximum payload and TLS support; missing options have
        defaults.
        """
        self.assertEqual(
            read(b'INFO {"max_payload":7,"tls_required":true}\r\nINFO {"tls_available":true}\r\n'),
            [nats.ServerInfo(7, True, False), nats.ServerInfo(1024 * 1024, False, True)],
        )

    def test_pending(self) -> None:
        """
        The bytes of an incomplete message are counted.
        """
        reader = nats.NATSReader()
        self.assertEqual(list(reader.receive(b"PING\r\nPI")), [nats.ControlMessage("PING")])
        self.assertEqual(reader.pending, 2)

    def test_problems(self) -> None:
        """
        Messages that violate the protocol raise an error.
        """
        for line, message in [
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
            self.assertIn(message, str(problem))


class CommandTests(SynchronousTestCase):
    """
    The commands of a client.
    """

    def test_commands(self) -> None:
        """
        Commands have the format of the protocol.
        """
        self.assertEqual(nats.connect({"a": True}), b'CONNECT {"a":true}\r\n')
        self.assertEqual(nats.publish(b"a.b", b"\r\n"), b"PUB a.b 2\r\n\r\n\r\n")
        self.assertEqual(nats.subscribe(b"a.b", 3), b"SUB a.b 3\r\n")
        self.assertEqual(nats.unsubscribe(3), b"UNSUB 3\r\n")

    def test_subject(self) -> None:
        """
        Special characters are percent-encoded in a subject.
        """
        self.assertEqual(nats.subjectOf("a", "b.c *>é_1-"), b"a.b%2Ec%20%2A%3E%C3%A9_1-")
        self.assertEqual(nats.subjectOf("a", ""), b"a.%")

    @given(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2, unique=True))
    def test_subjects(self, topics: list[str]) -> None:
        """
        Any text becomes a valid subject, and different texts become different subjects.
        """
        one, other = (nats.subjectOf("openfl", topic) for topic in topics)
        self.assertNotEqual(one, other)
        self.assertTrue(re.fullmatch(rb"openfl\.[A-Za-z0-9_%\-]+", one), one)
