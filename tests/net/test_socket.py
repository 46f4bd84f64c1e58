"""
Tests for L{openfl_twisted.net.socket}.
"""

import gc
from typing import Any

import twisted.internet.error
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors, hostnames
from openfl_twisted.events import Event, OutputProgressEvent, ProgressEvent
from openfl_twisted.net import Socket, _link
from openfl_twisted.testing import EventRecorder
from openfl_twisted.utils import ByteArray, Endian
from tests.doubles import TightTransport, linesOf
from tests.net.network import Network, Peer
from tests.segments import cutStreams

REFUSED = (
    "Error #2031: Socket Error. "
    "The connection to 127.0.0.1:80 was refused: no server listens there."
)


class SocketTestCase(SynchronousTestCase):
    """
    A socket on an in-memory network.
    """

    def setUp(self) -> None:
        """
        Create a socket whose events are recorded.
        """
        self.network = Network()
        self.socket = Socket(reactor=self.network.reactor)
        self.recorder = EventRecorder(self.socket)

    def connect(self) -> Peer:
        """
        Connect the socket, and remove the event.
        """
        self.socket.connect("127.0.0.1", 80)
        peer = self.network.answer()
        self.recorder.clear()
        return peer

    def assertNotConnected(self, call: Any, *arguments: Any) -> None:
        """
        Check that a call fails because the socket is not connected.
        """
        error = self.assertRaises(errors.IOError, call, *arguments)
        self.assertEqual(error.errorID, 2002)


class RaisingListenerTests(SocketTestCase):
    """
    A listener that raises C{KeyboardInterrupt}.
    """

    def test_whenClosed(self) -> None:
        """
        C{whenClosed} fires nevertheless.
        """

        def interrupt(event: Event) -> None:
            raise KeyboardInterrupt

        peer = self.connect()
        self.socket.addEventListener(Event.CLOSE, interrupt)
        closed = self.socket.whenClosed()
        self.assertRaises(KeyboardInterrupt, peer.close)
        self.assertIsNone(self.successResultOf(closed))


class LifeTests(SocketTestCase):
    """
    Connecting and closing.
    """

    def test_constructor(self) -> None:
        """
        The constructor connects immediately if it has a host, to any port.
        """
        for port in (0, 65535):
            socket = Socket("192.0.2.1", port, reactor=self.network.reactor)
            self.assertEqual(self.network.dialled[-1], ("192.0.2.1", port))
            self.assertFalse(socket.connected)
        Socket(None, 80, reactor=self.network.reactor)
        self.assertEqual(len(self.network.dialled), 2)

    def test_closedByThePeer(self) -> None:
        """
        All data is dispatched before C{close}. During C{close}, C{connected} is
        C{False} and nothing can be read.
        """
        peer = self.connect()
        seen = []
        self.socket.addEventListener(
            Event.CLOSE,
            lambda event: seen.append((self.socket.connected, self.socket.bytesAvailable)),
        )
        peer.send(b"abc", b"de")
        peer.close()
        self.assertEqual(self.recorder.types, ["socketData", "socketData", "close"])
        self.assertEqual(seen, [(False, 0)])
        self.assertNotConnected(self.socket.readByte)

    def test_refused(self) -> None:
        """
        A failed attempt is an C{ioError} with Flash's text and the reason, and no
        C{close}.
        """
        self.socket.connect("127.0.0.1", 80)
        self.network.turnAway()
        [event] = self.recorder.events
        self.assertEqual(
            (event.type, event.text, event.errorID),  # type: ignore[attr-defined]
            ("ioError", REFUSED, 2031),
        )
        self.assertFalse(self.socket.connected)

    def test_timeout(self) -> None:
        """
        An attempt has a timeout of at least 250 milliseconds.
        """
        self.assertEqual(self.socket.timeout, 20000)
        self.socket.timeout = 0
        self.assertEqual(self.socket.timeout, 250)
        self.socket.connect("127.0.0.1", 80)
        self.socket.timeout = 60000
        self.network.reactor.advance(0.2)
        self.assertEqual(self.recorder.events, [])
        self.network.reactor.advance(0.1)
        self.assertEqual(self.recorder.types, ["ioError"])

    def test_connectAgainWhileConnecting(self) -> None:
        """
        A new attempt replaces the previous one, whose result is not dispatched.
        """
        self.socket.connect("127.0.0.1", 80)
        self.network.step()
        self.socket.connect("127.0.0.2", 81)
        self.network.answer().send(b"a")
        self.assertEqual(self.recorder.types, ["connect", "socketData"])

    def test_connectAgainWhileConnected(self) -> None:
        """
        A new attempt closes the connection without an event, and drops its buffers.
        """
        old = self.connect()
        old.send(b"abc")
        self.socket.writeByte(1)
        self.socket.connect("127.0.0.1", 81)
        self.assertFalse(self.socket.connected)
        self.assertTrue(old.closed)
        self.assertEqual(self.socket.bytesAvailable, 0)
        old.send(b"late")
        old.close()
        self.network.answer()
        self.assertEqual(self.recorder.types, ["socketData", "connect"])
        self.assertEqual(self.socket.bytesPending, 0)

    def test_closeWhileConnecting(self) -> None:
        """
        An attempt is cancelled without an event.
        """
        self.socket.connect("127.0.0.1", 80)
        self.network.step()
        self.socket.close()
        self.network.step()
        self.assertEqual(self.recorder.events, [])
        self.assertNotConnected(self.socket.close)

    def test_closeInTheSameIteration(self) -> None:
        """
        An attempt that is cancelled in the same reactor iteration, by C{close} or by
        another attempt, dispatches no event.
        """
        self.socket.connect("127.0.0.1", 80)
        self.socket.connect("127.0.0.2", 81)
        self.socket.close()
        with capturedLogs() as logs:
            self.network.step()
            gc.collect()
        self.assertEqual((self.recorder.events, logs), ([], []))

    def test_closeJustAsItConnects(self) -> None:
        """
        A connection established while the attempt is cancelled is closed without an
        event.
        """
        self.socket.connect("127.0.0.1", 80)
        self.network.flush()
        self.network.latency = 1
        peer = self.network.answer()
        self.socket.close()
        self.network.advance(2)
        self.assertTrue(peer.closed)
        self.assertEqual(self.recorder.events, [])
        self.assertFalse(self.socket.connected)

    def test_closeAfterImmediateConnection(self) -> None:
        """
        A connection established within the call of C{connect} is closed without an
        event.
        """
        transport = TightTransport()

        class AtOnce:
            def connect(self, factory: Any) -> Deferred[Any]:
                protocol = factory.buildProtocol(None)
                protocol.makeConnection(transport)
                return succeed(protocol)

        self.patch(_link, "hostEndpoint", lambda *arguments: AtOnce())
        self.socket.connect("127.0.0.1", 80)
        self.socket.close()
        self.network.step()
        self.assertTrue(transport.closed)
        self.assertEqual(self.recorder.events, [])

    def test_closeInConnect(self) -> None:
        """
        A listener of C{connect} can close the connection.
        """
        self.socket.addEventListener(Event.CONNECT, lambda event: self.socket.close())
        self.socket.connect("127.0.0.1", 80)
        peer = self.network.answer()
        peer.send(b"abc")
        peer.close()
        self.assertEqual(self.recorder.types, ["connect"])

    def test_reconnectInClose(self) -> None:
        """
        A listener of C{close} can connect the same object again.
        """
        peer = self.connect()
        self.socket.addEventListener(
            Event.CLOSE, lambda event: self.socket.connect("127.0.0.1", 81)
        )
        peer.close()
        self.network.answer().send(b"a")
        self.assertEqual(self.recorder.types, ["close", "connect", "socketData"])

    def test_textAsBytes(self) -> None:
        """
        C{writeBytes} refuses text immediately, and the socket can still be used.
        """
        peer = self.connect()
        text: Any = "abc"
        error = self.assertRaises(errors.TypeError, self.socket.writeBytes, text)
        self.assertIn("not 'abc': write text with writeUTFBytes", str(error))
        self.socket.writeUTFBytes("abc")
        self.socket.flush()
        self.network.flush()
        self.assertEqual(peer.received, b"abc")

    def test_wrongPort(self) -> None:
        """
        An invalid port raises an exception from the call.
        """
        for port in (-1, 65536):
            error = self.assertRaises(errors.SecurityError, self.socket.connect, "a", port)
            self.assertEqual(error.errorID, 2003)

    def test_hosts(self) -> None:
        """
        IP addresses are used unchanged, IPv6 with and without brackets. Text after a
        NUL is ignored.
        """
        for host, dialled in [
            ("127.0.0.1", "127.0.0.1"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("127.0.0.1\0.example", "127.0.0.1"),
        ]:
            self.socket.connect(host, 80)
            self.assertEqual(self.network.dialled[-1][0], dialled)

    def test_names(self) -> None:
        """
        A host name is looked up during the attempt. The default host is the local
        machine.
        """
        dialled = []

        class Endpoint:
            def __init__(
                self, reactor: Any, host: str, port: int, timeout: float, check: object
            ) -> None:
                dialled.append((host, port, timeout))

            def connect(self, factory: Any) -> Deferred[Any]:
                return Deferred()

        self.patch(hostnames, "_NamedEndpoint", Endpoint)
        self.socket.connect("a.example", 80)
        self.socket.timeout = 500
        self.socket.connect(None, 81)
        self.assertEqual(dialled, [("a.example", 80, 20), ("localhost", 81, 0.5)])

    def test_deferreds(self) -> None:
        """
        The Deferreds of C{whenConnected} and C{whenClosed} fire after the events.
        """
        self.assertIsNone(self.successResultOf(self.socket.whenClosed()))
        self.failureResultOf(self.socket.whenConnected(), errors.IOError)
        self.socket.connect("127.0.0.1", 80)
        connected, closed = self.socket.whenConnected(), self.socket.whenClosed()
        self.assertNoResult(connected)
        peer = self.network.answer()
        self.successResultOf(connected)
        self.successResultOf(self.socket.whenConnected())
        self.assertNoResult(closed)
        peer.close()
        self.successResultOf(closed)

    def test_whenConnectedFails(self) -> None:
        """
        C{whenConnected} fails with the error of the event, whose cause is the failure
        of the endpoint.
        """
        self.socket.connect("127.0.0.1", 80)
        connected, closed = self.socket.whenConnected(), self.socket.whenClosed()
        self.network.turnAway()
        error = self.failureResultOf(connected, errors.IOError, OSError).value
        self.assertEqual((str(error), error.errorID), (REFUSED, 2031))
        refused = twisted.internet.error.ConnectionRefusedError
        self.assertIsInstance(error.__cause__, refused)
        self.successResultOf(closed)
        self.socket.connect("127.0.0.1", 80)
        connected = self.socket.whenConnected()
        self.socket.close()
        self.failureResultOf(connected, errors.IOError)

    def test_ports(self) -> None:
        """
        A port is converted as in ActionScript. A value that is not a number or not a
        port is #2003.
        """
        port: Any
        for port in ("80", " 80 ", "0x50", "80.9", 80.9, "+80"):
            self.socket.connect("127.0.0.1", port)
            self.assertEqual(self.network.dialled[-1], ("127.0.0.1", 80))
        for port in ("", "http", "80a", "1e3", None, float("nan"), float("inf"), -1, "65536", []):
            with self.assertRaises(errors.SecurityError) as caught:
                self.socket.connect("127.0.0.1", port)
            self.assertEqual(caught.exception.errorID, 2003)

    def test_addresses(self) -> None:
        """
        The addresses of both sides are available while the socket is connected.
        """
        seen: list[list[Any]] = []

        def look(event: Event | None = None) -> None:
            names = ("localAddress", "localPort", "remoteAddress", "remotePort")
            seen.append([getattr(self.socket, name) for name in names])

        for type in (Event.CONNECT, ProgressEvent.SOCKET_DATA, Event.CLOSE):
            self.socket.addEventListener(type, look)
        look()
        self.socket.connect("127.0.0.1", 80)
        look()
        peer = self.network.answer()
        peer.send(b"a")
        peer.close()
        self.connect()
        self.socket.close()
        look()
        known, again = (["127.0.0.1", own, "127.0.0.1", 80] for own in (49152, 49153))
        unknown = [None, 0, None, 0]
        self.assertEqual(seen, [unknown, unknown, known, known, unknown, again, unknown])

    def test_withoutConnection(self) -> None:
        """
        Without a connection C{bytesAvailable} and C{bytesPending} are 0.
        """
        states = [(self.socket.bytesAvailable, self.socket.bytesPending)]
        self.socket.connect("127.0.0.1", 80)
        states.append((self.socket.bytesAvailable, self.socket.bytesPending))
        peer = self.network.answer()
        peer.send(b"abc")
        self.socket.writeByte(1)
        self.assertEqual((self.socket.bytesAvailable, self.socket.bytesPending), (3, 1))
        self.socket.close()
        states.append((self.socket.bytesAvailable, self.socket.bytesPending))
        self.assertEqual(states, [(0, 0)] * 3)

    def test_unhandledError(self) -> None:
        """
        An error event without a listener is logged.
        """
        Socket("127.0.0.1", 80, reactor=self.network.reactor)
        with capturedLogs() as logs:
            self.network.turnAway()
        self.assertEqual(
            linesOf(logs),
            [f"Error #2044: Unhandled IOErrorEvent:. text={REFUSED}"],
        )

    def test_faultyListener(self) -> None:
        """
        An exception of a listener is logged, and the other listeners are called.
        """
        peer = self.connect()

        def fault(event: Event) -> None:
            raise ValueError("a fault of the user's")

        self.socket.addEventListener(ProgressEvent.SOCKET_DATA, fault, priority=1)
        peer.send(b"a")
        self.assertEqual(self.recorder.types, ["socketData"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class ReadTests(SocketTestCase):
    """
    Reading data.
    """

    def test_unreadData(self) -> None:
        """
        Unread data can be read after the next event, and causes no event itself.
        """
        peer = self.connect()
        peer.send(b"ab")
        self.assertEqual(self.socket.readUTFBytes(1), "a")
        peer.send(b"c")
        self.assertEqual(self.socket.bytesAvailable, 2)
        self.assertEqual([event.bytesLoaded for event in self.recorder.events], [2, 1])  # type: ignore[attr-defined]

    def test_tooFew(self) -> None:
        """
        A read of more bytes than available consumes nothing, nor does an incomplete
        object.
        """
        peer = self.connect()
        peer.send(b"\x0a\x0b\x01")
        self.assertRaises(errors.EOFError, self.socket.readInt)
        self.assertRaises(errors.EOFError, self.socket.readObject)
        peer.send(b"\x01")
        self.assertEqual(self.socket.readObject(), {})

    def test_limit(self) -> None:
        """
        With C{maxUnread}, reading from the network is paused while too much data is
        unread.
        """
        peer = self.connect()
        self.socket.maxUnread = 3
        peer.send(b"abcd", b"e")
        self.assertEqual((self.socket.bytesAvailable, peer.outgoing.unread), (4, 1))
        self.socket.readByte()
        self.network.flush()
        self.assertEqual((self.socket.bytesAvailable, peer.outgoing.unread), (4, 0))

    def test_limitBoundaries(self) -> None:
        """
        Reading pauses above C{maxUnread} and not at it, and resumes when at most
        C{maxUnread} bytes are unread.
        """
        peer = self.connect()
        self.socket.maxUnread = 3
        peer.send(b"abc", b"def", b"g")
        self.assertEqual((self.socket.bytesAvailable, peer.outgoing.unread), (6, 1))
        for unread in (5, 4):
            self.socket.readByte()
            self.network.flush()
            self.assertEqual((self.socket.bytesAvailable, peer.outgoing.unread), (unread, 1))
        self.socket.readByte()
        self.network.flush()
        self.assertEqual((self.socket.bytesAvailable, peer.outgoing.unread), (4, 0))

    def test_limitRaised(self) -> None:
        """
        A higher C{maxUnread}, or 0, resumes reading immediately.
        """
        for limit in (10, 0):
            self.setUp()
            peer = self.connect()
            self.socket.maxUnread = 3
            peer.send(b"abcd", b"e")
            self.socket.maxUnread = 2
            self.network.flush()
            self.assertEqual((self.socket.bytesAvailable, peer.outgoing.unread), (4, 1))
            self.socket.maxUnread = limit
            self.network.flush()
            self.assertEqual((self.socket.bytesAvailable, peer.outgoing.unread), (5, 0))

    @given(cutStreams(st.binary(max_size=30)))
    def test_anySplit(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        The received bytes do not depend on how the stream is split.
        """
        stream, pieces = cut
        peer = self.connect()
        peer.send(*pieces)
        array = ByteArray()
        self.socket.readBytes(array)
        self.assertEqual(array, stream)


class WriteTests(SocketTestCase):
    """
    Writing data.
    """

    def test_autoflush(self) -> None:
        """
        Written data is sent at the end of the reactor iteration, in one write.
        """
        peer = self.connect()
        self.socket.writeByte(1)
        self.socket.writeByte(2)
        self.assertEqual(self.socket.bytesPending, 2)
        self.network.step()
        self.assertEqual(self.socket.bytesPending, 0)
        self.network.flush()
        self.assertEqual(peer.segments, [b"\1\2"])

    def test_strict(self) -> None:
        """
        Without C{autoflush} nothing is sent before C{flush}.
        """
        self.socket.autoflush = False
        peer = self.connect()
        self.socket.writeByte(1)
        self.assertEqual(peer.received, b"")
        self.socket.flush()
        self.assertEqual(peer.received, b"\1")

    def test_close(self) -> None:
        """
        Flushed data is delivered before the connection closes; other data is dropped.
        """
        peer = self.connect()
        self.socket.writeByte(1)
        self.socket.flush()
        self.socket.writeByte(2)
        self.socket.close()
        self.network.step()
        self.assertEqual(peer.received, b"\1")
        self.assertTrue(peer.closed)

    def test_closeWithQueuedData(self) -> None:
        """
        Flushed data is delivered completely to a peer that reads only after C{close},
        without C{outputProgress}.
        """
        peer = self.connect()
        peer.incoming.stall()
        self.socket.writeBytes(b"x" * 400_000)
        self.socket.flush()
        self.socket.close()
        self.assertFalse(peer.closed)
        peer.send(b"nobody listens")
        peer.incoming.resume()
        self.assertEqual(len(peer.received), 400_000)
        self.assertTrue(peer.closed)
        self.assertEqual(self.recorder.events, [])

    def test_progress(self) -> None:
        """
        While the peer does not read, C{bytesPending} and C{outputProgress} report the
        unsent bytes; 0 means that all are sent.
        """
        peer = self.connect()
        peer.incoming.stall()
        self.socket.writeBytes(b"x" * 400_000)
        self.socket.flush()
        waiting = self.socket.bytesPending
        self.assertGreater(waiting, 200_000)
        self.network.flush()
        peer.incoming.resume()
        self.network.flush()
        events = self.recorder.events
        progress = [event for event in events if isinstance(event, OutputProgressEvent)]
        pending = [event.bytesPending for event in progress]
        self.assertEqual(pending[0], waiting)
        self.assertEqual(pending, sorted(pending, reverse=True))
        self.assertEqual(pending[-1], 0)
        self.assertEqual({event.bytesTotal for event in progress}, {400_000})
        self.assertEqual(len(peer.received), 400_000)

    def test_tooMuchPending(self) -> None:
        """
        If too much data is pending for a peer that does not read, the connection is closed, with
        a log line.
        """

        class Limited(_link.LinkProtocol):
            maxQueue = 200_000

        self.patch(_link._LinkFactory, "protocol", Limited)
        peer = self.connect()
        peer.incoming.stall()
        with capturedLogs() as logs:
            for _ in range(6):
                self.socket.writeBytes(b"x" * 100_000)
                self.socket.flush()
            self.network.flush()
        self.assertEqual(
            linesOf(logs), ["127.0.0.1:80 disconnected: send queue exceeded 200000 bytes"]
        )
        self.assertEqual((self.socket.connected, self.recorder.types[-1]), (False, "close"))

    def test_progressOfSmallWrite(self) -> None:
        """
        A write that is sent immediately is reported once, and not within C{flush}.
        """
        self.connect()
        self.socket.writeByte(1)
        self.socket.flush()
        self.assertEqual(self.recorder.events, [])
        self.network.step()
        self.assertEqual(
            str(self.recorder.events[0]),
            '[OutputProgressEvent type="outputProgress" bubbles=false cancelable=false '
            "eventPhase=2 bytesPending=0 bytesTotal=1]",
        )

    def test_progressOfManyWrites(self) -> None:
        """
        Writes of one reactor iteration are reported together.
        """
        self.connect()
        for _ in range(3):
            self.socket.writeByte(1)
            self.socket.flush()
        self.network.step()
        [event] = self.recorder.events
        assert isinstance(event, OutputProgressEvent)
        self.assertEqual((event.bytesPending, event.bytesTotal), (0, 3))


class ErrorTests(SocketTestCase):
    """
    Errors without a connection, and of arguments.
    """

    def test_arguments(self) -> None:
        """
        With a connection, invalid arguments are errors.
        """
        self.connect()
        for call, arguments, errorID in [
            (self.socket.readBytes, (None,), 2007),
            (self.socket.writeBytes, (None,), 2007),
            (self.socket.readMultiByte, (1, None), 2007),
            (self.socket.writeUTF, (None,), 2007),
            (self.socket.writeBytes, (b"abc", 4), 2006),
        ]:
            error = self.assertRaises(errors.Error, call, *arguments)
            self.assertEqual(error.errorID, errorID, call)

    def test_settings(self) -> None:
        """
        Byte order and encoding accept valid values only, with or without a connection.
        """
        self.assertEqual((self.socket.endian, self.socket.objectEncoding), ("bigEndian", 3))
        with self.assertRaises(errors.ArgumentError) as caught:
            self.socket.endian = "middle"
        self.assertEqual(caught.exception.errorID, 2008)
        with self.assertRaises(errors.TypeError):
            self.socket.endian = None  # type: ignore[assignment]
        with self.assertRaises(errors.ArgumentError):
            self.socket.objectEncoding = 10
        self.assertEqual((self.socket.endian, self.socket.objectEncoding), (Endian.BIG_ENDIAN, 3))
        self.patch(ByteArray, "defaultObjectEncoding", 0)
        self.assertEqual(Socket(reactor=self.network.reactor).objectEncoding, 0)
