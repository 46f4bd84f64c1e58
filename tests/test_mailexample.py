"""
The mail client of the documentation, C{docs/examples/popclient.py}, with Twisted's POP3 server.
"""

import sys
from collections.abc import Iterable
from importlib import import_module

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.net import Socket
from openfl_twisted.testing import EVERY_BYTE, MemoryNetwork, ScriptedPeer
from tests.documentation.blocks import DOCS

HOST, PORT = "127.0.0.1", 110

MESSAGES = [
    "Subject: Grüße\r\n\r\n.\r\n".encode("iso-8859-1"),
    b"From: ben@example.com\r\nsubject: two\r\n\r\n..\r\n",
]


def atOnce(work: Iterable[object]) -> Deferred[None]:
    """
    Do the work of a long answer now.
    """
    for _ in work:
        pass
    return succeed(None)


class MailTests(SynchronousTestCase):
    """
    The program reads the subjects of all messages.
    """

    def setUp(self) -> None:
        self.patch(sys, "path", [str(DOCS / "examples"), *sys.path])
        self.Mailbox = import_module("popclient").Mailbox
        self.network = MemoryNetwork.forTest(self.addCleanup)

    def serve(self) -> None:
        """
        Listen with Twisted's server, which knows the user C{ann}.
        """
        server = import_module("popserver")
        self.patch(server.Inbox, "messages", MESSAGES)
        # Otherwise, long answers are divided into iterations of the global reactor.
        self.patch(server.POP3, "schedule", staticmethod(atOnce))
        self.network.reactor.listenTCP(PORT, server.POP3Factory(), interface=HOST)

    def read(self, password: str = "secret") -> list[str]:
        """
        Return the subjects that the program reads.
        """

        async def subjects() -> list[str]:
            socket = Socket(HOST, PORT, reactor=self.network.reactor)
            return [each async for each in self.Mailbox(socket).subjects("ann", password)]

        try:
            return self.network.run(subjects())
        finally:
            # The server is notified that the connection is closed.
            self.network.flush()

    def test_subjects(self) -> None:
        """
        The subjects are read, however the stream is split.
        """
        self.serve()
        self.assertEqual(self.read(), ["Grüße", "two"])
        self.network.segments = EVERY_BYTE
        self.assertEqual(self.read(), ["Grüße", "two"])

    def test_wrongPassword(self) -> None:
        """
        The answer of the server is the text of the error.
        """
        self.serve()
        problem = self.assertRaises(ConnectionError, self.read, "guessed")
        self.assertIn("-ERR Authentication failed", str(problem))
        self.flushLoggedErrors()

    def test_closed(self) -> None:
        """
        If the server closes the connection, the program does not wait for an answer.
        """
        server = ScriptedPeer().send(b"+OK hello\r\n").expect(b"USER ann\r\n").close()
        server.listen(self.network, PORT)
        problem = self.assertRaises(ConnectionError, self.read)
        self.assertEqual(str(problem), "the server has closed the connection")

    def test_longLine(self) -> None:
        """
        A line that never ends closes the connection.
        """
        ScriptedPeer().send(b"+" * 20_000).listen(self.network, PORT)
        problem = self.assertRaises(ConnectionError, self.read)
        self.assertEqual(str(problem), "the server has closed the connection")
