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
    ClientProtocol,
    TelnetClientProtocol,
    XMLClientProtocol,
)
from openfl_twisted.transports.limits import ConnectionLimits
from tests.doubles import TightTransport


class ConnectionTestCase(SynchronousTestCase):
    """
    Base class: makes connections.
    """

    def connect(
        self, kind: type[ClientProtocol] = TelnetClientProtocol, room: int = 1000, **options: Any
    ) -> tuple[Any, TightTransport, list[str]]:
        """
        Make a connection.
        @return: the connection, its transport, and the text it shows.
        """
        self.clock = Clock()
        shown: list[str] = []
        connection = kind(self.clock, **options)
        connection.show = shown.append
        transport = TightTransport(connection, room)
        transport.atOnce = False
        connection.makeConnection(transport)
        return connection, transport, shown


class TalkTests(ConnectionTestCase):
    """
    Input is sent, and received text is shown.
    """

    def test_telnet(self) -> None:
        """
        Input is sent as a Telnet line; text is shown as it arrives.
        """
        connection, transport, shown = self.connect()
        connection.sendInput("a")
        connection.dataReceived(b"b\r\nlogin: ")
        self.assertEqual((transport.value(), shown), (b"a\r\n", ["b\nlogin: "]))

    def test_xml(self) -> None:
        """
        Input is sent as a message; a received message is shown on one line, even if
        it contains newlines.
        """
        connection, transport, shown = self.connect(XMLClientProtocol)
        connection.sendInput("<a/>")
        connection.dataReceived(b"<b/>\0<c>\r\n</c>\0<d")
        self.assertEqual(transport.value(), b"<a/>\0")
        self.assertEqual(shown, ["<b/>\n", "<c>^M^J</c>\n"])

    def test_abstract(self) -> None:
        """
        Subclasses define how input is sent.
        """
        self.assertRaises(NotImplementedError, ClientProtocol(Clock()).sendInput, "a")

    def test_noTerminal(self) -> None:
        """
        Text that arrives before a terminal is attached causes no error.
        """
        connection = TelnetClientProtocol(Clock())
        connection.makeConnection(StringTransport())
        connection.dataReceived(b"a")


class EndTests(ConnectionTestCase):
    """
    L{ClientProtocol} ends gracefully.
    """

    def test_closedByTheServer(self) -> None:
        """
        When the server closes the connection, all its text is shown, and an unclean
        close is reported.
        """
        for reason, line in [
            (error.ConnectionDone(), "closed"),
            (error.ConnectionLost(), "closed: the connection was lost"),
        ]:
            connection, _, shown = self.connect()
            connection.dataReceived(b"a\xc3")
            connection.connectionLost(Failure(reason))
            self.assertEqual(self.successResultOf(connection.lost), line)
            self.assertEqual(shown, ["a", "\ufffd"])

    def test_inputEnded(self) -> None:
        """
        After the end of the input the connection stays open until the server is
        idle.
        """
        connection, transport, shown = self.connect(wait=3.0)
        connection.inputEnded()
        for _ in range(3):
            self.clock.advance(2)
            connection.dataReceived(b"a")
        self.clock.advance(2)
        self.assertFalse(transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(transport.disconnecting)
        transport.drain()
        self.assertEqual(self.successResultOf(connection.lost), "closed")
        self.assertEqual(shown, ["a"] * 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_inputEndedWhilePaused(self) -> None:
        """
        The server does not count as idle while this side does not read.
        """
        for wait in (3.0, 0.0):
            connection, transport, shown = self.connect(wait=wait)
            connection.transport.pauseProducing()
            connection.inputEnded()
            self.clock.pump([3.0] * 5)
            self.assertFalse(transport.disconnecting)
            connection.transport.resumeProducing()
            connection.dataReceived(b"a")
            self.clock.advance(3)
            self.assertTrue(transport.disconnecting)
            self.assertEqual(shown, ["a"])

    def test_inputEndedWithPendingData(self) -> None:
        """
        The server does not count as idle while it reads pending data; when it stops
        reading, the connection is closed.
        """
        for takes, line in [(True, "closed"), (False, "closed: the server has stopped reading")]:
            connection, transport, _ = self.connect(room=10, wait=3.0)
            connection.sendInput("x" * 20)
            connection.sendInput("y")
            connection.inputEnded()
            self.clock.advance(3)
            self.assertFalse(transport.disconnecting)
            if takes:
                transport.drainAll()
            self.clock.advance(3)
            self.clock.advance(CLOSE_TIMEOUT)
            self.assertEqual(self.successResultOf(connection.lost), line)

    def test_inputEndedLate(self) -> None:
        """
        When the connection is closing or lost, the end of the input has no effect.
        """
        connection, transport, _ = self.connect(wait=3.0)
        connection.close("why")
        connection.close("again")
        transport.drain()
        self.assertEqual(self.successResultOf(connection.lost), "closed: why")
        connection.inputEnded()
        connection.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_inputEndedWhileClosing(self) -> None:
        """
        The end of the input does not change the timeout of a closing connection.
        """
        connection, _, _ = self.connect(wait=1.0)
        connection.close()
        connection.inputEnded()
        [delayed] = self.clock.getDelayedCalls()
        self.assertEqual(delayed.getTime(), CLOSE_TIMEOUT)

    def test_serverDoesNotRead(self) -> None:
        """
        A server that does not read the pending data cannot prevent closing.
        """
        connection, transport, _ = self.connect()
        connection.sendInput("a")
        connection.close()
        self.clock.advance(CLOSE_TIMEOUT)
        self.assertTrue(transport.closed)
        self.assertEqual(self.successResultOf(connection.lost), "closed")

    def test_queueExceeded(self) -> None:
        """
        A server that does not read is disconnected, with a reason.
        """
        connection, _, _ = self.connect(room=10)
        connection.limits = ConnectionLimits(maxQueue=100)
        for _ in range(3):
            connection.sendInput("x" * 60)
        self.assertEqual(
            self.successResultOf(connection.lost), "closed: the server has stopped reading"
        )

    def test_messageTooLong(self) -> None:
        """
        A message that is too long closes the connection, with a reason.
        """
        connection, transport, shown = self.connect(XMLClientProtocol)
        connection.dataReceived(b"a\0" + b"x" * (connection.limits.maxLength + 1))
        transport.drain()
        self.assertEqual(
            self.successResultOf(connection.lost), "closed: a message is longer than 1048576 bytes"
        )
        self.assertEqual(shown, ["a\n"])
