"""
Handlers that are coroutine functions or return Deferreds.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import Any, TypeVar
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.net import XMLSocket
from openfl_twisted.protocols import (
    BinarySocketProtocol,
    OnePortFactory,
    TelnetProtocol,
    XMLSocketFactory,
    XMLSocketProtocol,
)
from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.rooms.lobby import Lobby, LobbyObserver
from openfl_twisted.rooms.room import LobbyError, Member, Room
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.testing import MemoryNetwork, Peer, connectedPair
from openfl_twisted.transports.writebatch import currentBatch
from tests.doubles import linesOf
from tests.frames import BINARY, frame
from tests.segments import cuts
from tests.transports.lines import (
    BufferedLine,
    BufferedWebSocketLine,
    CompressedLine,
    EpollLine,
    Line,
    TCPLine,
    WebSocketLine,
    WrapperLine,
)

T = TypeVar("T", bound=Line)

PLAIN: tuple[Any, ...] = (TCPLine, EpollLine, BufferedLine, WrapperLine)
WEB_SOCKETS: tuple[Any, ...] = (WebSocketLine, CompressedLine, BufferedWebSocketLine)


class Gated(XMLSocketProtocol):
    """
    Waits in each handler until the test opens the gate.

    @ivar gate: fires when the running handler may end; C{None} if no handler is running.
    @ivar events: the beginnings and ends of handlers, and the loss of the connection.
    """

    clock: Clock

    def __init__(self) -> None:
        self.gate: Deferred[None] | None = None
        self.events: list[str] = []

    def getClock(self) -> Any:
        return self.clock

    async def messageReceived(self, message: str) -> None:
        assert self.gate is None
        self.events.append(f"<{message}")
        if message.startswith("now"):
            self.sendMessage(message)
            return
        self.gate = Deferred()
        try:
            await self.gate
        except CancelledError:
            self.events.append("cancelled")
            raise
        finally:
            self.gate = None
        if message.startswith("close"):
            self.transport.loseConnection()
        else:
            self.sendMessage(message)
        self.events.append(f"{message}>")
        if message.startswith("raise"):
            raise ValueError("an error of the user's")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.events.append("lost")

    def open(self) -> None:
        """
        Let the running handler end.
        """
        gate = self.gate
        if gate is not None:
            gate.callback(None)


class Returning(Gated):
    """
    The same with a handler that returns a Deferred.
    """

    def messageReceived(self, message: str) -> Deferred[None]:  # type: ignore[override]
        return Deferred.fromCoroutine(super().messageReceived(message))


class Inline(Gated):
    """
    The same with C{inlineCallbacks}.
    """

    @inlineCallbacks
    def messageReceived(self, message: str) -> Generator[Deferred[None], object, None]:  # type: ignore[override]
        yield Deferred.fromCoroutine(super().messageReceived(message))


class Lists(Gated):
    """
    The same with a handler of lists.
    """

    async def messagesReceived(self, messages: list[str]) -> None:
        for message in messages:
            if not self.transport.disconnecting:
                await super().messageReceived(message)


class Bytes(Gated):
    """
    The same with a handler of bytes.
    """

    async def lineReceived(self, line: bytes) -> None:
        await super().messageReceived(line.decode())


KINDS: tuple[type[Gated], ...] = (Gated, Returning, Inline, Lists, Bytes)
MESSAGES = ("a", "b", "c", "now", "raise", "close")


def connect(make: Callable[[Any], T], protocol: StreamProtocol) -> T:
    """
    Connect a protocol, outside a write batch.
    """
    currentBatch.waiting = None
    return make(protocol)


class HandlerTestCase(SynchronousTestCase):
    """
    Ends the batch that the line of the openfl reactor begins.
    """

    def tearDown(self) -> None:
        currentBatch.waiting = None


def joined(messages: list[str]) -> bytes:
    """
    Return messages with their terminators.
    """
    return b"".join(b"%s\0" % message.encode() for message in messages)


class OrderTests(HandlerTestCase):
    """
    One handler runs at a time, and messages are handled in order.
    """

    def finish(self, protocol: Gated, line: Line) -> None:
        """
        Open the gate until no handler is running.
        """
        for _ in range(12):
            line.turn(3)
            protocol.open()
        line.turn(3)

    @given(
        st.sampled_from(PLAIN),
        st.sampled_from(KINDS),
        st.lists(st.sampled_from(MESSAGES), min_size=1, max_size=8),
        st.data(),
    )
    def test_anySegmentation(
        self, make: Any, kind: type[Gated], messages: list[str], data: st.DataObject
    ) -> None:
        """
        Any segmentation and any time at which handlers end give the same events.
        """
        self.flushLoggedErrors(ValueError)
        protocol = kind()
        line = connect(make, protocol)
        for chunk in filter(None, data.draw(cuts(joined(messages)))):
            line.arrive(chunk)
            if data.draw(st.booleans()):
                protocol.open()
        self.finish(protocol, line)
        wanted: list[str] = []
        sent: list[str] = []
        for message in messages:
            wanted.append(f"<{message}")
            if message != "close":
                sent.append(message)
            if message != "now":
                wanted.append(f"{message}>")
            if message in ("close", "raise"):
                break
        hasRaised = "raise>" in wanted
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), hasRaised)
        if hasRaised or "close>" in wanted:
            wanted.append("lost")
        self.assertEqual((protocol.events, line.sent), (wanted, joined(sent)))

    def test_reading(self) -> None:
        """
        While a handler runs, reading is paused. Data that was already received is held.
        """
        for make in PLAIN:
            protocol = Gated()
            line = connect(make, protocol)
            line.arrive(b"a\0b\0")
            line.turn()
            self.assertEqual((protocol.events, line.isReading), (["<a"], False))
            protocol.open()
            line.turn()
            self.assertEqual((protocol.events, line.isReading), (["<a", "a>", "<b"], False))
            protocol.open()
            line.turn()
            self.assertTrue(line.isReading)
            self.assertIsNone(protocol.transport.receiveBuffer)

    def test_webSocket(self) -> None:
        """
        Messages of a WebSocket are handled one at a time. A Close is processed after the
        messages before it.
        """
        for make in WEB_SOCKETS:
            protocol = Gated()
            line = connect(make, protocol)
            line.arrive(frame(BINARY, b"a\0") + frame(BINARY, b"b\0") + frame(8, b"\x03\xe8"))
            line.turn()
            self.assertEqual(protocol.events, ["<a"])
            self.finish(protocol, line)
            line.endRead()
            line.turn(3)
            self.assertEqual(protocol.events, ["<a", "a>", "<b", "b>", "lost"])

    def test_webSocketError(self) -> None:
        """
        After an error, the close code of a WebSocket is 1011.
        """
        protocol = Gated()
        line = connect(WebSocketLine, protocol)
        line.arrive(frame(BINARY, b"raise\0"))
        self.finish(protocol, line)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(line.sent[-4:], b"\x88\x02\x03\xf3")

    def test_connectionMade(self) -> None:
        """
        If C{connectionMade} is a coroutine function, received data is held until it has
        ended.
        """

        class Login(Gated):
            async def connectionMade(self) -> None:
                await super().messageReceived("made")

        for make in PLAIN:
            protocol = Login()
            line = connect(make, protocol)
            line.arrive(b"a\0")
            self.assertEqual(protocol.events, ["<made"])
            self.finish(protocol, line)
            self.assertEqual(protocol.events, ["<made", "made>", "<a", "a>"])

    def test_manyAtOnce(self) -> None:
        """
        Many handlers that need not wait do not exhaust the stack, and other connections are
        served in between.
        """

        class Immediate(XMLSocketProtocol):
            count = 0

            async def messageReceived(self, message: str) -> None:
                await succeed(None)
                self.count += 1

        for make in PLAIN:
            protocol: Any = Immediate()
            line = connect(make, protocol)
            protocol.getClock = lambda line=line: line.clock
            line.arrive(b"x\0" * 3000)
            self.assertLess(protocol.count, 1000)
            line.turn(20)
            self.assertEqual(protocol.count, 3000)

    def test_fastClient(self) -> None:
        """
        A slow handler slows a fast client: only the messages of one read are held, and the
        rest stays in the network and with the client.
        """
        network = MemoryNetwork()
        pair = connectedPair(Peer(), Gated(), network=network)
        pair.server.clock = network.reactor
        for _ in range(100):
            pair.client.send(b"a\0" * 100_000)
        network.flush()
        buffer = pair.server.transport.receiveBuffer
        self.assertIsNotNone(buffer)
        held = 0 if buffer is None else sum(len(str(item)) + 1 for _, item in buffer.items())
        flow = pair.connection.toServer
        self.assertEqual(pair.server.events, ["<a"])
        self.assertLess(held, 200_000)
        self.assertLess(flow.delivered, 500_000)
        for number in range(1, 1000):
            pair.server.open()
            network.flush()
            self.assertEqual(len(pair.server.events), 2 * number + 1)
        self.assertLess(flow.delivered, 500_000)
        pair.client.abort()
        network.flush()


class EndTests(HandlerTestCase):
    """
    The end of the connection while a handler is running.
    """

    def test_cancelled(self) -> None:
        """
        A handler is cancelled when the connection is lost; held messages are dropped.
        """
        for kind in KINDS:
            protocol = kind()
            line = connect(TCPLine, protocol)
            line.arrive(b"a\0b\0")
            protocol.transport.abortConnection()
            line.turn(2)
            self.assertEqual(protocol.events[-2:], ["cancelled", "lost"])
            self.assertEqual(line.clock.getDelayedCalls(), [])

    def test_reset(self) -> None:
        """
        A connection that is reset while its handler runs is lost when the handler writes.
        """
        for make in PLAIN[:2]:
            protocol = Gated()
            line = connect(make, protocol)
            line.arrive(b"a\0b\0")
            line.reset()
            protocol.transport.write(b"x" * 100)
            line.turn(2)
            self.assertEqual(protocol.events, ["<a", "cancelled", "lost"])

    def test_peerCloses(self) -> None:
        """
        Messages that precede the EOF of the peer are handled.
        """
        for make in PLAIN:
            protocol = Gated()
            line = connect(make, protocol)
            line.arrive(b"a\0b\0")
            line.endRead()
            line.turn(2)
            protocol.open()
            line.turn(2)
            protocol.open()
            line.turn(3)
            self.assertEqual(protocol.events, ["<a", "a>", "<b", "b>", "lost"])

    def test_tooLate(self) -> None:
        """
        A connection that was closed cleanly waits for its handler for at most 30 seconds.
        """
        protocol = Gated()
        line = connect(WrapperLine, protocol)
        line.arrive(b"a\0")
        line.turn(3)
        protocol.transport.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(protocol.events, ["<a"])
        with capturedLogs() as logs:
            line.clock.advance(30)
        self.assertEqual(protocol.events, ["<a", "cancelled", "lost"])
        self.assertIn("left data unread", linesOf(logs)[0])

    def test_closedByHandler(self) -> None:
        """
        A handler that closes the connection, and then waits, is cancelled when the connection
        is lost.
        """

        class Closing(Gated):
            async def messageReceived(self, message: str) -> None:
                self.transport.loseConnection()
                await super().messageReceived(message)

        for make in PLAIN:
            protocol = Closing()
            line = connect(make, protocol)
            line.arrive(b"a\0b\0")
            line.turn(2)
            self.assertEqual(protocol.events, ["<a", "cancelled", "lost"])

    def test_lostInHandler(self) -> None:
        """
        A connection can be lost while the coroutine itself runs: it is cancelled when it
        awaits something.
        """
        for first in (True, False):
            events: list[str] = []
            clock = Clock()

            class Aborting(XMLSocketProtocol):
                def getClock(self, clock: Clock = clock) -> Any:
                    return clock

                async def messageReceived(
                    self, message: str, events: list[str] = events, clock: Clock = clock,
                    first: bool = first,
                ) -> None:  # fmt: skip
                    if not first:
                        await deferLater(clock, 1)
                    self.connectionLost(Failure(ConnectionDone()))
                    try:
                        await deferLater(clock, 5)
                    except CancelledError:
                        events.append("cancelled")
                        raise

            protocol = Aborting()
            protocol.makeConnection(StringTransport())
            protocol.dataReceived(b"a\0")
            clock.advance(1)
            clock.advance(0)
            self.assertEqual((events, clock.getDelayedCalls()), (["cancelled"], []))

    def test_errorAfterTheEnd(self) -> None:
        """
        The error of a handler that handles its cancellation is logged.
        """

        class Faulty(Gated):
            async def messageReceived(self, message: str) -> None:
                try:
                    await super().messageReceived(message)
                except CancelledError:
                    raise ValueError("while cancelling") from None

        protocol = Faulty()
        line = connect(TCPLine, protocol)
        line.arrive(b"a\0")
        protocol.transport.abortConnection()
        line.turn(2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_log(self) -> None:
        """
        The log line names the handler and the peer. The traceback begins in the handler.
        """

        class Sync(XMLSocketProtocol):
            def messageReceived(self, message: str) -> None:
                raise ValueError("an error of the user's")

        end = "while serving 127.0.0.1:1; connection closed"
        for kind in (Gated, Sync):
            protocol: Any = kind()
            line = connect(TCPLine, protocol)
            with capturedLogs() as logs:
                line.arrive(b"raise\0")
                if kind is Gated:
                    protocol.open()
            self.assertEqual(
                linesOf(logs),
                [f"unhandled error in {kind.__name__}.messageReceived {end}"],
            )
            [event] = logs
            traceback = event["log_failure"].getTraceback()
            self.assertEqual(traceback.count("  File "), 1, traceback)
            self.assertIn("in messageReceived", traceback)
            self.flushLoggedErrors(ValueError)


class OtherTests(HandlerTestCase):
    """
    Handlers of other protocols.
    """

    def test_binary(self) -> None:
        """
        Data written by a C{socketDataReceived} that is a coroutine function is flushed when
        it ends; then the number of unread bytes is checked.
        """

        class Asking(BinarySocketProtocol):
            maxUnread = 3
            gate: Deferred[None]

            async def socketDataReceived(self, bytesLoaded: int) -> None:
                self.gate = Deferred()
                self.writeUTFBytes("a")
                await self.gate
                self.writeUTFBytes(str(self.bytesAvailable))

        protocol = Asking()
        line = connect(TCPLine, protocol)
        line.arrive(b"x", b"yy")
        self.assertEqual(line.sent, b"")
        protocol.gate.callback(None)
        line.turn()
        self.assertEqual(line.sent, b"a1")
        protocol.gate.callback(None)
        line.arrive(b"z")
        self.assertEqual(line.sent, b"a1a3")
        with capturedLogs() as logs:
            line.turn()
            protocol.gate.callback(None)
            line.turn(2)
        self.assertTrue(line.isClosed)
        self.assertIn("unread data exceeded 3 bytes", linesOf(logs)[0])

    def test_stream(self) -> None:
        """
        C{bytesReceived} and C{textReceived} can be coroutine functions.
        """

        class Stream(StreamProtocol):
            events: list[Any]
            gate: Deferred[None]

            async def bytesReceived(self, data: bytes) -> None:
                self.events.append(data)
                self.gate = Deferred()
                await self.gate

        class Terminal(TelnetProtocol):
            events: list[Any]
            gate: Deferred[None]

            async def textReceived(self, text: str) -> None:
                self.events.append(text.encode())
                self.gate = Deferred()
                await self.gate

        for kind in (Stream, Terminal):
            protocol = kind()
            protocol.events = []
            line = connect(TCPLine, protocol)
            line.arrive(b"a", b"b")
            self.assertEqual(protocol.events, [b"a"])
            protocol.gate.callback(None)
            line.turn()
            self.assertEqual(protocol.events, [b"a", b"b"])
            protocol.gate.callback(None)
            protocol.transport.abortConnection()
            line.turn(2)

    def test_rooms(self) -> None:
        """
        C{joinRoom} and C{handleLine} can be coroutine functions, and the client receives their
        C{LobbyError}. Lobby observers can be coroutine functions, too.
        """
        clock = Clock()
        events: list[str] = []

        class Checked(XMLRoomProtocol):
            async def joinRoom(self, room: str, name: str | None = None) -> None:
                await deferLater(clock, 1)
                if name == "Mallory":
                    raise LobbyError("banned", "you are banned")
                super().joinRoom(room, name)

        class Observer(LobbyObserver):
            async def joined(self, member: Member, room: Room) -> None:
                await deferLater(clock, 1)
                events.append(f"{member.name} in {room.name}")
                if member.name == "Eve":
                    raise ValueError("an error of the user's")

        lobby = Lobby(clock=clock)
        lobby.observers.append(Observer())
        network = MemoryNetwork()
        factory = RoomFactory(Checked, lobby, clock=clock)
        for name in ("Mallory", "Alice", "Eve"):
            peer = connectedPair(Peer(), factory, network=network).client
            peer.send(f'<join room="r" name="{name}"/>\0<who/>\0'.encode())
            network.flush()
            self.assertEqual(peer.received, b"")
            clock.advance(1)
            clock.advance(1)
            network.flush()
            if name == "Mallory":
                self.assertIn(b'<error code="banned">you are banned</error>', peer.received)
                self.assertIn(b"you are not in a room", peer.received)
            else:
                self.assertTrue(peer.received.startswith(b"<welcome"), peer.received)
        self.assertEqual(events, ["Alice in r", "Eve in r"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_startTLS(self) -> None:
        """
        A handler that has started TLS continues; messages inside TLS wait for it.
        """

        class Upgrading(Gated):
            async def messageReceived(self, message: str) -> None:
                if message == "tls":
                    self.transport.startTLS(mock.sentinel.context)
                await super().messageReceived(message)

        protocol = Upgrading()
        line = connect(TCPLine, protocol)
        with mock.patch("twisted.internet.tcp.Server.startTLS", autospec=True):
            line.arrive(b"tls\0")
        protocol.dataReceived(b"a\0")
        self.assertEqual(protocol.events, ["<tls"])
        protocol.open()
        self.assertEqual(protocol.events, ["<tls", "tls>", "<a"])

    def test_broadcast(self) -> None:
        """
        A message that an asynchronous handler sends to all clients is sent while the handler
        runs, even if it is long. The next message waits for both.
        """

        class Sending(Gated):
            async def messageReceived(self, message: str) -> None:
                self.factory.broadcast(message * 200_000, (self,), sender=self)
                await super().messageReceived(message)

        clock = Clock()
        factory = XMLSocketFactory(Sending, clock=clock)
        clients: list[Any] = [factory.buildProtocol(None) for _ in range(41)]
        transports = [StringTransport() for _ in clients]
        for each, transport in zip(clients, transports, strict=True):
            each.clock = clock
            each.makeConnection(transport)
        sender = clients[0]
        sender.dataReceived(b"a\0b\0")
        while any(call.getTime() <= clock.seconds() for call in clock.getDelayedCalls()):
            clock.advance(0)
        received = [transport.value() for transport in transports[1:]]
        self.assertEqual({len(each) for each in received}, {200_001})
        self.assertEqual(sender.events, ["<a"])
        sender.open()
        self.assertEqual(sender.events, ["<a", "a>", "<b"])


class MemoryTests(SynchronousTestCase):
    """
    Factories without a clock on an in-memory network: the clock is that of the transport.
    """

    def test_manyMessages(self) -> None:
        """
        More messages than are handled in one reactor iteration are handled.
        """

        class Echo(XMLSocketProtocol):
            def messageReceived(self, message: str) -> None:
                self.sendMessage(message)

        for wrap in (lambda factory: factory, lambda factory: OnePortFactory(factory)):
            pair: Any = connectedPair(Peer(), wrap(XMLSocketFactory(Echo)))
            pair.client.send(b"a\0" * 3000)
            pair.network.advance(1)
            self.assertEqual(len(pair.client.received), 6000)

    def test_rateLimit(self) -> None:
        """
        The rate limit uses the time of the network.
        """

        class Quiet(XMLSocketProtocol):
            def messageReceived(self, message: str) -> None: ...

        pair: Any = connectedPair(Peer(), XMLSocketFactory(Quiet, messageRate=2))
        for _ in range(20):
            pair.client.send(b"one\0two\0")
            pair.network.advance(1)
        self.assertFalse(pair.client.closed)

    def test_check(self) -> None:
        """
        C{check} raises the exception of a handler or a listener.
        """

        class Failing(XMLSocketProtocol):
            def messageReceived(self, message: str) -> None:
                raise ValueError(message)

        class Async(XMLSocketProtocol):
            async def messageReceived(self, message: str) -> None:
                raise ValueError(message)

        for kind in (Failing, Async):
            pair: Any = connectedPair(Peer(), XMLSocketFactory(kind))
            pair.client.send(b"bad\0")
            pair.network.flush()
            with self.assertRaisesRegex(ValueError, "bad"):
                pair.network.check()
            self.flushLoggedErrors(ValueError)
        network = MemoryNetwork()
        socket = XMLSocket("127.0.0.1", 1, reactor=network.reactor)
        socket.addEventListener("ioError", lambda event: [][1])
        network.flush()
        with self.assertRaises(IndexError):
            network.check()
        self.flushLoggedErrors(IndexError)

    def test_longHandler(self) -> None:
        """
        A handler that runs for long does not lose its connection.
        """
        network = MemoryNetwork()
        gate: Deferred[None] = Deferred()

        class Waiting(XMLSocketProtocol):
            async def messageReceived(self, message: str) -> None:
                await gate
                self.sendMessage(message)

        for wrap in (lambda factory: factory, lambda factory: OnePortFactory(factory)):
            pair: Any = connectedPair(Peer(), wrap(XMLSocketFactory(Waiting)), network=network)
            pair.client.send(b"a\0")
            network.advance(60)
            gate.callback(None)
            network.flush()
            self.assertEqual(pair.client.received, b"a\0")
            gate = Deferred()


class AsyncioTests(SynchronousTestCase):
    """
    Handlers while an asyncio event loop is running.
    """

    def test_await(self) -> None:
        """
        A handler can await asyncio futures and Deferreds, and is a task. It is cancelled when
        the connection is lost.
        """
        events: list[str] = []

        class Mixed(XMLSocketProtocol):
            async def messageReceived(self, message: str) -> None:
                assert asyncio.current_task() is not None
                await asyncio.sleep(0)
                events.append(await succeed(message))
                waiting: Deferred[None] = Deferred()
                asyncio.get_running_loop().call_soon(waiting.errback, ValueError("expected"))
                try:
                    await waiting
                except ValueError as error:
                    events.append(str(error))
                try:
                    if message == "b":
                        await asyncio.sleep(100)
                    elif message == "c":
                        await asyncio.wait_for(Deferred().asFuture(asyncio.get_running_loop()), 100)
                except asyncio.CancelledError:
                    events.append("cancelled")
                    raise

        async def play(last: str) -> None:
            protocol = Mixed()
            protocol.makeConnection(StringTransport())
            protocol.dataReceived(b"a\0%s\0" % last.encode())
            for _ in range(20):
                await asyncio.sleep(0)
            protocol.connectionLost(Failure(ConnectionDone()))
            for _ in range(10):
                await asyncio.sleep(0)

        for last in ("b", "c"):
            events.clear()
            asyncio.run(play(last))
            self.assertEqual(events, ["a", "expected", last, "expected", "cancelled"])

    def test_cancelledDeferred(self) -> None:
        """
        A handler that awaits a Deferred is cancelled with Twisted's C{CancelledError}, which is
        also asyncio's. A timeout of asyncio is unchanged.
        """
        events: list[str] = []

        class Waiting(XMLSocketProtocol):
            async def messageReceived(self, message: str) -> None:
                try:
                    async with asyncio.timeout(0):
                        await Deferred()
                except TimeoutError:
                    events.append("timeout")
                try:
                    await Deferred()
                except CancelledError as error:
                    events.append(f"cancelled: {isinstance(error, asyncio.CancelledError)}")
                    raise

        async def play() -> None:
            protocol = Waiting()
            protocol.makeConnection(StringTransport())
            protocol.dataReceived(b"a\0")
            while not events:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            protocol.connectionLost(Failure(ConnectionDone()))
            for _ in range(10):
                await asyncio.sleep(0)

        asyncio.run(play())
        self.assertEqual(events, ["timeout", "cancelled: True"])

    def test_future(self) -> None:
        """
        A handler can return an asyncio future.
        """
        events: list[str] = []

        class Future(XMLSocketProtocol):
            def messageReceived(self, message: str) -> "asyncio.Future[None]":
                events.append(message)
                return asyncio.ensure_future(asyncio.sleep(0))

        async def play() -> None:
            protocol = Future()
            protocol.makeConnection(StringTransport())
            protocol.dataReceived(b"a\0b\0")
            events.append("held")
            for _ in range(10):
                await asyncio.sleep(0)

        asyncio.run(play())
        self.assertEqual(events, ["a", "held", "b"])
