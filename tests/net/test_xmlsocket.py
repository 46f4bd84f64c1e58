"""
Tests for L{openfl_twisted.net.xmlsocket}.
"""

import gc
from collections.abc import AsyncIterator, Callable
from typing import Any
from xml.etree.ElementTree import fromstring

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import errors
from openfl_twisted.events import DataEvent, IOErrorEvent
from openfl_twisted.net import XMLSocket
from openfl_twisted.net.xmlsocket import MAX_WAITING
from openfl_twisted.testing import EventRecorder
from tests.net.network import Network, Peer
from tests.segments import cutStreams

streams = st.lists(st.sampled_from([b"\0", b"a", "\u00e9".encode(), b"\xff"])).map(b"".join)

REFUSED = (
    "Error #2031: Socket Error. "
    "The connection to 127.0.0.1:80 was refused: no server listens there."
)


class XMLSocketTestCase(SynchronousTestCase):
    """
    A socket on an in-memory network.
    """

    def setUp(self) -> None:
        """
        Create a socket whose events are recorded.
        """
        self.network = Network()
        self.socket = XMLSocket(reactor=self.network.reactor)
        self.recorder = EventRecorder(self.socket)

    def connect(self) -> Peer:
        """
        Connect the socket, and remove the event.
        """
        self.socket.connect("127.0.0.1", 80)
        peer = self.network.answer()
        self.recorder.clear()
        return peer

    def data(self) -> list[str]:
        return [event.data for event in self.recorder.events if isinstance(event, DataEvent)]


class ReceiveTests(XMLSocketTestCase):
    """
    Received messages.
    """

    @given(cutStreams(streams))
    def test_anySplit(self, cut: tuple[bytes, list[bytes]]) -> None:
        """
        The events do not depend on how the stream is split.
        """
        stream, pieces = cut
        self.connect().send(stream)
        whole = self.data()
        self.connect().send(*pieces)
        self.assertEqual(self.data(), whole)

    def test_event(self) -> None:
        """
        The event has Flash's type and fields.
        """
        self.connect().send(b"Hello!\0")
        self.assertEqual(
            str(self.recorder.events[0]),
            '[DataEvent type="data" bubbles=false cancelable=false eventPhase=2 data="Hello!"]',
        )

    def test_unterminated(self) -> None:
        """
        An unterminated message is dropped, and is not part of the next connection.
        """
        peer = self.connect()
        peer.send(b"half")
        peer.close()
        self.assertEqual(self.recorder.types, ["close"])
        self.connect().send(b"whole\0")
        self.assertEqual(self.data(), ["whole"])

    def test_closeInAListener(self) -> None:
        """
        After a listener has closed the connection, no further message is dispatched,
        even if it was received already.
        """
        peer = self.connect()
        self.socket.addEventListener(DataEvent.DATA, lambda event: self.socket.close())
        peer.send(b"one\0two\0", b"three\0")
        self.assertEqual(self.recorder.types, ["data"])

    def test_tooLong(self) -> None:
        """
        A message over the limit closes the connection, after earlier messages have been
        dispatched.
        """
        peer = self.connect()
        self.socket.maxLength = 5
        peer.send(b"one\0" + b"x" * 6)
        self.assertEqual(self.recorder.types, ["data", "ioError", "close"])
        self.assertTrue(peer.closed)
        self.assertFalse(self.socket.connected)


class SendTests(XMLSocketTestCase):
    """
    Sent messages.
    """

    def test_forms(self) -> None:
        """
        Text, bytes, elements and objects with a text form can be sent.
        """
        peer = self.connect()
        for object, sent in [
            ("gr\u00fc\u00dfe", "gr\u00fc\u00dfe".encode()),
            (b"\xff", b"\xff"),
            (bytearray(b"a"), b"a"),
            (fromstring("<a b='c'>\u00e9</a>"), '<a b="c">\u00e9</a>'.encode()),
            (42, b"42"),
            ("", b""),
            ("a\0b", b"a\0b"),
        ]:
            self.socket.send(object)
            self.network.flush()
            self.assertEqual(peer.segments[-1], sent + b"\0")

    def test_nothing(self) -> None:
        """
        C{None} cannot be sent.
        """
        self.connect()
        error = self.assertRaises(errors.TypeError, self.socket.send, None)
        self.assertEqual(error.errorID, 2007)

    def test_notConnected(self) -> None:
        """
        Without a connection, sending and closing are errors.
        """
        for call in (lambda: self.socket.send(None), self.socket.close):
            error = self.assertRaises(errors.IOError, call)
            self.assertEqual(error.errorID, 2002)

    def test_reasons(self) -> None:
        """
        The text of #2002 continues with the state of the socket.
        """

        def check(reason: str, *calls: Callable[[], object]) -> None:
            text = f"Error #2002: Operation attempted on invalid socket. ({reason})"
            for call in calls:
                self.assertEqual(str(self.assertRaises(errors.IOError, call)), text)

        def send() -> None:
            self.socket.send("a")

        def wait() -> None:
            raise self.failureResultOf(self.socket.whenConnected(), errors.IOError).value

        check("call connect first", send, self.socket.close, wait)
        self.socket.connect("127.0.0.1", 80)
        check("not connected yet: wait for the connect event", send)
        self.network.turnAway()
        check("the connection failed", send, self.socket.close, wait)
        self.connect().close()
        check("the connection is closed", send, self.socket.close, wait)
        self.connect()
        self.socket.close()
        check("the connection is closed", send, self.socket.close, wait)

    def test_containers(self) -> None:
        """
        A container is not sent as Python source code, unless its class defines C{__str__}.
        """
        peer = self.connect()
        for container in ({"type": "move"}, [1], (1,), {1}, frozenset((1,))):
            error = self.assertRaises(errors.TypeError, self.socket.send, container)
            self.assertEqual(
                str(error), f"send text, for example json.dumps(...), not {container!r}"
            )

        class Move(dict[str, int]):
            def __str__(self) -> str:
                return "move"

        self.socket.send(Move())
        self.network.flush()
        self.assertEqual(peer.received, b"move\0")


class LifeTests(XMLSocketTestCase):
    """
    Connecting and closing, as with L{openfl_twisted.net.Socket}.
    """

    def test_timeout(self) -> None:
        """
        The default timeout is 20 seconds, and the minimum 250 milliseconds.
        """
        self.assertEqual(self.socket.timeout, 20000)
        self.socket.timeout = 0
        self.assertEqual(self.socket.timeout, 250)

    def test_constructor(self) -> None:
        """
        The constructor connects immediately if it has a host, by default to port 0 as
        in Flash.
        """
        XMLSocket("192.0.2.1", reactor=self.network.reactor)
        self.assertEqual(self.network.dialled[-1], ("192.0.2.1", 0))
        socket = XMLSocket("127.0.0.1", 80, reactor=self.network.reactor)
        connected, closed = socket.whenConnected(), socket.whenClosed()
        peer = self.network.answer()
        self.successResultOf(connected)
        peer.close()
        self.successResultOf(closed)

    def test_close(self) -> None:
        """
        C{close} dispatches no event, delivers sent messages, and drops an incomplete
        received message. The socket can connect again.
        """
        peer = self.connect()
        peer.send(b"half")
        self.socket.send("last")
        self.socket.close()
        self.assertFalse(self.socket.connected)
        self.assertEqual(peer.received, b"last\0")
        self.assertTrue(peer.closed)
        self.assertEqual(self.recorder.events, [])
        self.connect().send(b"whole\0")
        self.assertEqual(self.data(), ["whole"])

    def test_wrongPort(self) -> None:
        """
        An invalid port raises an exception from the call.
        """
        for port in (-1, 65536, "8o80"):
            error = self.assertRaises(errors.SecurityError, self.socket.connect, "a", port)
            self.assertEqual(error.errorID, 2003)
            self.assertEqual(
                str(error),
                "Error #2003: Invalid socket port number specified."
                f" ({port!r} must be a port from 0 to 65535)",
            )

    def test_refused(self) -> None:
        """
        A failed attempt is an C{ioError} with Flash's text, and no C{close}.
        """
        self.socket.connect("127.0.0.1", 80)
        self.network.turnAway()
        [event] = self.recorder.events
        assert isinstance(event, IOErrorEvent)
        self.assertEqual((event.text, event.errorID), (REFUSED, 2031))
        self.assertFalse(self.socket.connected)


class MessagesTests(XMLSocketTestCase):
    """
    L{XMLSocket.messages}.
    """

    def collect(self, messages: AsyncIterator[str]) -> "tuple[list[str], Deferred[None]]":
        """
        Iterate until the end.

        @return: the list of messages, which grows, and a Deferred that fires at the
            end.
        """
        found: list[str] = []

        async def iterate() -> None:
            # Not a comprehension: the list is read during the iteration.
            async for message in messages:
                found.append(message)  # noqa: PERF401

        return found, Deferred.fromCoroutine(iterate())

    def test_iterate(self) -> None:
        """
        The iteration yields messages as they are received, and ends when the connection
        is closed.
        """
        peer = self.connect()
        peer.send(b"before\0")
        found, over = self.collect(self.socket.messages())
        peer.send(b"one\0two\0")
        self.assertEqual(found, ["one", "two"])
        peer.send(b"three\0")
        self.assertNoResult(over)
        peer.close()
        self.successResultOf(over)
        self.assertEqual(found, ["one", "two", "three"])

    def iterateOnce(self, messages: Any) -> Deferred[str]:
        """
        Iterate until the first message, as C{async for} with C{break} does.
        """

        async def iterate() -> str:
            async for message in messages:
                return str(message)
            return "over"

        return Deferred.fromCoroutine(iterate())

    def test_break(self) -> None:
        """
        After a C{break}, any number of messages is dispatched to other listeners.
        """
        peer = self.connect()
        first = self.iterateOnce(self.socket.messages())
        peer.send(b"one\0", *[b"x\0"] * MAX_WAITING * 2)
        self.assertEqual(self.successResultOf(first), "one")
        self.assertEqual(peer.outgoing.unread, 0)
        received: list[str] = []
        self.socket.addEventListener(DataEvent.DATA, lambda event: received.append(event.data))
        peer.send(*[b"x\0"] * 3 * MAX_WAITING)
        self.assertEqual(len(received), 3 * MAX_WAITING)

    def test_discarded(self) -> None:
        """
        Reading resumes when a full iterator is discarded or closed.
        """
        for discard in (True, False):
            self.setUp()
            peer = self.connect()
            messages: Any = self.socket.messages()
            peer.send(b"x\0" * MAX_WAITING, b"y\0")
            self.assertEqual(peer.outgoing.unread, 2)
            if discard:
                del messages
            else:
                messages.close()
                self.failureResultOf(messages.__anext__(), StopAsyncIteration)
            self.network.flush()
            self.assertEqual(peer.outgoing.unread, 0)

    def test_resumedWhileFull(self) -> None:
        """
        C{resumeReading} does not resume while an iterator is full.
        """
        peer = self.connect()
        messages = self.socket.messages()
        peer.send(b"x\0" * MAX_WAITING)
        self.socket.resumeReading()
        peer.send(b"y\0")
        self.assertEqual(peer.outgoing.unread, 2)
        messages.close()
        self.network.flush()
        self.assertEqual(peer.outgoing.unread, 0)

    def test_pausedWhileFull(self) -> None:
        """
        Reading that the program has paused does not resume when an iterator is no
        longer full. It resumes with C{resumeReading}, or with the next connection.
        """
        peer = self.connect()
        messages = self.socket.messages()
        peer.send(b"x\0" * MAX_WAITING)
        self.socket.pauseReading()
        messages.close()
        peer.send(b"y\0")
        self.assertEqual(peer.outgoing.unread, 2)
        self.socket.resumeReading()
        self.network.flush()
        self.assertEqual(peer.outgoing.unread, 0)
        self.socket.pauseReading()
        peer = self.connect()
        messages = self.socket.messages()
        peer.send(b"x\0" * MAX_WAITING)
        messages.close()
        peer.send(b"y\0")
        self.assertEqual(peer.outgoing.unread, 0)

    def test_closedWhileWaiting(self) -> None:
        """
        Closing an iterator ends an iteration that waits for a message.
        """
        self.connect()
        messages: Any = self.socket.messages()
        waiting = messages.__anext__()
        messages.close()
        self.failureResultOf(waiting, StopAsyncIteration)

    def test_heldWhileWaiting(self) -> None:
        """
        A coroutine that waits for a message is not garbage-collected.
        """
        peer = self.connect()
        found, _ = self.collect(self.socket.messages())
        gc.collect()
        peer.send(b"one\0")
        self.assertEqual(found, ["one"])

    def test_cancelled(self) -> None:
        """
        A message received after the wait for it was cancelled, for example by a
        timeout, is the next one.
        """
        peer = self.connect()
        messages: Any = self.socket.messages()
        waiting = messages.__anext__()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        peer.send(b"one\0")
        self.assertEqual(self.successResultOf(messages.__anext__()), "one")

    def test_twoWaits(self) -> None:
        """
        Two concurrent waits are an error.
        """
        self.connect()
        messages: Any = self.socket.messages()
        waiting = messages.__anext__()
        error = self.assertRaises(RuntimeError, messages.__anext__)
        self.assertIn("await it first", str(error))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)

    def test_leavesNothing(self) -> None:
        """
        Discarded iterators and cancelled waits leave no references in the socket.
        """
        self.connect()
        for _ in range(10):
            self.socket.messages()
            waiting = self.socket.whenClosed()
            waiting.cancel()
            self.failureResultOf(waiting, CancelledError)
        self.assertEqual(self.socket._link._whenClosed, [])

    def test_earlyMessages(self) -> None:
        """
        Messages received before the iteration starts are kept, also after the
        connection is closed.
        """
        peer = self.connect()
        messages = self.socket.messages()
        peer.send(b"one\0two\0")
        self.socket.close()
        found, over = self.collect(messages)
        self.successResultOf(over)
        self.assertEqual(found, ["one", "two"])
        self.assertFalse(self.socket.hasEventListener(DataEvent.DATA) and not self.recorder.events)

    def test_nextConnection(self) -> None:
        """
        An iterator ends with its connection, or immediately without one. It neither
        receives messages of the next connection nor pauses it.
        """
        before: Any = self.socket.messages()
        peer = self.connect()
        first: Any = self.socket.messages()
        peer.send(b"one\0")
        peer.close()
        peer = self.connect()
        peer.send(*[b"x\0"] * MAX_WAITING * 2)
        self.assertEqual(len(self.data()), MAX_WAITING * 2)
        self.assertEqual(peer.outgoing.unread, 0)
        self.failureResultOf(before.__anext__(), StopAsyncIteration)
        self.assertEqual(self.successResultOf(first.__anext__()), "one")
        self.failureResultOf(first.__anext__(), StopAsyncIteration)

    def test_fullBeforeTheNextConnection(self) -> None:
        """
        An iterator that was full when its connection was closed does not pause the next
        connection.
        """
        kept: list[Any] = []
        for _ in range(2):
            peer = self.connect()
            kept.append(self.socket.messages())
            peer.send(b"x\0" * MAX_WAITING, b"y\0")
            self.assertEqual(peer.outgoing.unread, 2)
            if len(kept) == 1:
                self.socket.close()
        for _ in range(MAX_WAITING):
            self.successResultOf(kept[0].__anext__())
        self.network.flush()
        self.assertEqual(peer.outgoing.unread, 2)

    def test_twoIterators(self) -> None:
        """
        While one of two iterators is full, reading stays paused, even if the other one
        is read.
        """
        peer = self.connect()
        read: Any = self.socket.messages()
        unread: Any = self.socket.messages()
        peer.send(b"x\0" * MAX_WAITING, b"y\0")
        for _ in range(MAX_WAITING):
            self.successResultOf(read.__anext__())
        self.network.flush()
        self.assertEqual(peer.outgoing.unread, 2)
        for _ in range(MAX_WAITING // 2):
            self.successResultOf(unread.__anext__())
        self.network.flush()
        self.assertEqual(self.successResultOf(read.__anext__()), "y")

    def test_closedByAListener(self) -> None:
        """
        An iterator closed by a listener does not receive the message that is being
        dispatched.
        """
        peer = self.connect()
        held: list[Any] = []
        self.socket.addEventListener(DataEvent.DATA, lambda event: held[0].close())
        held.append(self.socket.messages())
        peer.send(b"one\0")
        self.failureResultOf(held[0].__anext__(), StopAsyncIteration)

    def test_backpressure(self) -> None:
        """
        While too many messages are unread, reading from the network is paused.
        """
        peer = self.connect()
        messages: Any = self.socket.messages()
        peer.send(b"x\0" * MAX_WAITING, b"y\0")
        self.assertEqual(peer.outgoing.unread, 2)
        for _ in range(MAX_WAITING // 2):
            self.successResultOf(messages.__anext__())
        self.network.flush()
        self.assertEqual(peer.outgoing.unread, 0)
        peer.send(b"x\0" * MAX_WAITING)
        self.socket.close()
        self.socket.pauseReading()
        found, over = self.collect(messages)
        self.successResultOf(over)
        self.assertEqual(len(found), MAX_WAITING)
