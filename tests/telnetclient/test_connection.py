"""
Tests for L{openfl_twisted.telnetclient.connection}.
"""

from typing import Any

from twisted.internet import error
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.telnetclient.connection import (
    CLOSE_TIMEOUT,
    Call,
    TelnetCall,
    XMLCall,
    problemOf,
)
from openfl_twisted.tls import HandshakeFailed
from openfl_twisted.wire.certificates import Verdict
from tests.doubles import TightTransport


class CallTestCase(SynchronousTestCase):
    """
    Makes connections.
    """

    def connect(
        self, kind: type[Call] = TelnetCall, room: int = 1000, **options: Any
    ) -> tuple[Any, TightTransport, list[str]]:
        """
        Make one.

        @return: the connection, its transport, and what it shows.
        """
        self.clock = Clock()
        shown: list[str] = []
        call = kind(self.clock, **options)
        call.show = shown.append
        transport = TightTransport(call, room)
        transport.atOnce = False
        call.makeConnection(transport)
        return call, transport, shown


class TalkTests(CallTestCase):
    """
    Lines go out, and text is shown.
    """

    def test_telnet(self) -> None:
        """
        A line is a line of Telnet, and text is shown as it comes.
        """
        call, transport, shown = self.connect()
        call.say("a")
        call.dataReceived(b"b\r\nlogin: ")
        self.assertEqual((transport.value(), shown), (b"a\r\n", ["b\nlogin: "]))

    def test_xml(self) -> None:
        """
        A line is a message, and a message is shown on a line, whatever is in
        it.
        """
        call, transport, shown = self.connect(XMLCall)
        call.say("<a/>")
        call.dataReceived(b"<b/>\0<c>\r\n</c>\0<d")
        self.assertEqual(transport.value(), b"<a/>\0")
        self.assertEqual(shown, ["<b/>\n", "<c>^M^J</c>\n"])

    def test_abstract(self) -> None:
        """
        A subclass says how a line is sent.
        """
        self.assertRaises(NotImplementedError, Call(Clock()).say, "a")

    def test_nobodyLooks(self) -> None:
        """
        What comes before anybody looks is no error.
        """
        call = TelnetCall(Clock())
        call.makeConnection(StringTransport())
        call.dataReceived(b"a")


class EndTests(CallTestCase):
    """
    L{Call} ends in good order.
    """

    def test_closedByTheServer(self) -> None:
        """
        The server can end it, with all it has said, and a broken end is named.
        """
        for reason, line in [
            (error.ConnectionDone(), "closed"),
            (error.ConnectionLost(), "closed: the connection broke"),
        ]:
            call, _, shown = self.connect()
            call.dataReceived(b"a\xc3")
            call.connectionLost(Failure(reason))
            self.assertEqual(self.successResultOf(call.lost), line)
            self.assertEqual(shown, ["a", "\ufffd"])

    def test_finish(self) -> None:
        """
        After the last line it goes on while the server speaks, and closes after
        its silence.
        """
        call, transport, shown = self.connect(wait=3.0)
        call.finish()
        for _ in range(3):
            self.clock.advance(2)
            call.dataReceived(b"a")
        self.clock.advance(2)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)
        transport.drain()
        self.assertEqual(self.successResultOf(call.lost), "closed")
        self.assertEqual(shown, ["a"] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_finishSlowly(self) -> None:
        """
        While nobody takes what the server says, it is not called silent.
        """
        for wait in (3.0, 0.0):
            call, transport, shown = self.connect(wait=wait)
            call.transport.pauseProducing()
            call.finish()
            self.clock.pump([3.0] * 5)
            self.assertFalse(transport.disconnecting)
            call.transport.resumeProducing()
            call.dataReceived(b"a")
            self.clock.advance(3)
            self.assertTrue(transport.disconnecting)
            self.assertEqual(shown, ["a"])

    def test_finishUnheard(self) -> None:
        """
        While the server takes what was sent, it is not called silent; when it
        takes nothing more, it is given up.
        """
        for takes, line in [(True, "closed"), (False, "closed: the server does not read")]:
            call, transport, _ = self.connect(room=10, wait=3.0)
            call.say("x" * 20)
            call.say("y")
            call.finish()
            self.clock.advance(3)
            self.assertFalse(transport.disconnecting)
            if takes:
                transport.drainAll()
            self.clock.advance(3)
            self.clock.advance(CLOSE_TIMEOUT)
            self.assertEqual(self.successResultOf(call.lost), line)

    def test_finishLate(self) -> None:
        """
        When it is closing already, or is lost, there is nothing to finish.
        """
        call, transport, _ = self.connect(wait=3.0)
        call.hangUp("why")
        call.hangUp("again")
        transport.drain()
        self.assertEqual(self.successResultOf(call.lost), "closed: why")
        call.finish()
        call.hangUp()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_finishWhileClosing(self) -> None:
        """
        The end of the input changes nothing for a connection that is closing.
        """
        call, _, _ = self.connect(wait=1.0)
        call.hangUp()
        call.finish()
        [delayed] = self.clock.getDelayedCalls()
        self.assertEqual(delayed.getTime(), CLOSE_TIMEOUT)

    def test_serverThatTakesNothing(self) -> None:
        """
        A server that does not take what was sent is not waited for.
        """
        call, transport, _ = self.connect()
        call.say("a")
        call.hangUp()
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(transport.closed)
        self.assertEqual(self.successResultOf(call.lost), "closed")

    def test_queueExceeded(self) -> None:
        """
        A server that does not read is cut off, with a word.
        """
        call, _, _ = self.connect(room=10)
        call.maxQueue = 100
        for _ in range(3):
            call.say("x" * 60)
        self.assertEqual(self.successResultOf(call.lost), "closed: the server does not read")

    def test_messageTooLong(self) -> None:
        """
        A message that is too long ends the connection, with a word.
        """
        call, transport, shown = self.connect(XMLCall)
        call.dataReceived(b"a\0" + b"x" * (call.MAX_LENGTH + 1))
        transport.drain()
        self.assertEqual(
            self.successResultOf(call.lost), "closed: a message is longer than 1048576 bytes"
        )
        self.assertEqual(shown, ["a\n"])


class ProblemTests(SynchronousTestCase):
    """
    L{problemOf} speaks to people.
    """

    def test_problems(self) -> None:
        """
        Each kind of problem has a line that names the server.
        """
        verdict = Verdict()
        for problem, line in [
            (error.DNSLookupError("x"), "there is no address for h"),
            (error.ConnectionRefusedError(), "h:1 refuses connections"),
            (error.TimeoutError(), "h:1 has not answered within 2.5 seconds"),
            (error.NoRouteError(113, "No route"), "cannot reach h:1: No route"),
            (error.ConnectError(), "cannot reach h:1: An error occurred while connecting."),
            (
                HandshakeFailed([("", "", "wrong version number")], verdict),
                "h:1: the TLS handshake failed: the peer does not speak TLS",
            ),
            (ValueError("odd"), "cannot reach h:1: odd"),
        ]:
            self.assertEqual(problemOf(problem, "h", 1, 2.5), line)

    def test_addressOfVersion6(self) -> None:
        """
        An address of IPv6 stands in brackets.
        """
        refused = error.ConnectionRefusedError()
        self.assertEqual(problemOf(refused, "::1", 23, 20), "[::1]:23 refuses connections")
