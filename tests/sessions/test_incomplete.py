"""
Sessions with incomplete messages, and sessions that the server has ended.
"""

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.sessions import Difference, Header, Masks, Message, Script, Session
from openfl_twisted.sessions._script import Candidates
from openfl_twisted.sessions._session import End

# The sizes of the chunks.
SIZES = (1, 3, 1000)


def sessionOf(end: str, *data: bytes, dialect: str = "xml") -> Session:
    """
    Create a session in which the client sends data; the last two messages are incomplete.
    """
    first = len(data) - 2
    messages = [
        Message(each, "client", n=n, line=n + 1, isPartial=n > first)
        for n, each in enumerate(data, 1)
    ]
    return Session(Header(dialect), messages, End(end, 1.0, len(data) + 1))


def receive(session: Session, data: bytes, size: int, masks: Masks | None = None) -> Script:
    """
    Play the server, and receive data in chunks.

    @return: the script.
    """
    script = Script(session, "server", masks)
    for at in range(0, len(data), size):
        script.receive(data[at : at + size])
    return script


class IncompleteTests(SynchronousTestCase):
    """
    A message that the server has not received completely.
    """

    def test_longer(self) -> None:
        """
        A server that has disconnected the client because of a long message does so again after
        the same bytes, although the client sends more of them, and other messages.
        """
        for dialect, first, second in (
            ("xml", b"<a/>\0", b"xxx"),
            ("u16", b"\0\1a", b"\0\x09xxx"),
            ("raw", b"a", b"xxx"),
        ):
            session = sessionOf("server", first, second, b"yyy", dialect=dialect)
            for size in SIZES:
                script = receive(session, first + second + b"yyyzz\0<b/>\0", size)
                self.assertTrue(script.isComplete)
                self.assertEqual(script.progress, (3, 3))
                script.peerClosed()

    def test_shorter(self) -> None:
        """
        The connection of a client that has sent less differs.
        """
        session = sessionOf("server", b"<a/>\0", b"xxx", b"yyy")
        for size in SIZES:
            script = receive(session, b"<a/>\0xxxyy", size)
            self.assertEqual(script.progress, (2, 3))
            problem = self.assertRaises(Difference, script.peerClosed)
            self.assertIn("message 3 of 3 had not been received", str(problem))

    def test_different(self) -> None:
        """
        A difference in an incomplete message is found before the message is complete.
        """
        session = sessionOf("server", b"<a/>\0", b"xxx", b"yyy")
        for size in SIZES:
            problem = self.assertRaises(Difference, receive, session, b"<a/>\0xxxyzy", size)
            self.assertIn("session:4: message 3 of 3", str(problem))
            self.assertIn("^ character 2", str(problem))

    def test_clientCloses(self) -> None:
        """
        A client that has closed the connection within a message must send nothing more.
        """
        session = sessionOf("client", b"<a/>\0", b"xxx", b"yyy")
        for size in SIZES:
            receive(session, b"<a/>\0xxxyyy", size).peerClosed()
            script = receive(session, b"<a/>\0xxxyyyz", size)
            problem = self.assertRaises(Difference, script.peerClosed)
            self.assertIn("said more than was recorded: z", str(problem))

    def test_further(self) -> None:
        """
        Messages after the last recorded one are ignored, unless the client has closed the recorded
        connection.
        """
        for size in SIZES:
            for end in ("server", "lost", "limit", "stopped"):
                receive(sessionOf(end, b"<a/>\0", b"x", b"y"), b"<a/>\0xy\0<b/>\0", size)
            session = sessionOf("client", b"<a/>\0", b"x", b"y")
            self.assertRaises(Difference, receive, session, b"<a/>\0xy\0<b/>\0", size)

    def test_masks(self) -> None:
        """
        An incomplete message with a hole is compared when the connection is closed.
        """
        masks = Masks.parse({"variable": [{"name": "time", "pattern": "t=([0-9]+)"}]})
        session = sessionOf("client", b"<a/>\0", b"t=1", b"")
        session.messages.pop()
        for size in SIZES:
            script = receive(session, b"<a/>\0t=23", size, masks)
            self.assertFalse(script.isComplete)
            script.peerClosed()
            self.assertTrue(script.isComplete)
            self.assertEqual(script.known.texts(), {"time": "23"})

    def test_candidates(self) -> None:
        """
        An incomplete message selects the session, like a complete one.
        """
        sessions = [sessionOf("server", b"<a/>\0", b"xxx", each) for each in (b"yyy", b"zz")]
        candidates = Candidates([Script(each, "server") for each in sessions])
        for data in (b"<a/>\0x", b"xx"):
            candidates.receive(data)
            self.assertEqual(len(candidates.scripts), 2)
        candidates.receive(b"z")
        self.assertIs(candidates.current.session, sessions[1])
        candidates.receive(b"zzz\0")
        self.assertTrue(candidates.current.isComplete)
