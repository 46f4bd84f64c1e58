"""
Listeners that are coroutine functions or return Deferreds.
"""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted import events
from openfl_twisted.errors import IOError
from openfl_twisted.events import (
    DataEvent,
    DatagramSocketDataEvent,
    Event,
    EventDispatcher,
    IOErrorEvent,
    ProgressEvent,
    ServerSocketConnectEvent,
    setReporter,
    setRunner,
)
from openfl_twisted.net import DatagramSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.protocols import AsyncDatagramProtocol
from openfl_twisted.testing import MemoryNetwork, Peer
from tests.doubles import linesOf


class AsyncListenerTests(SynchronousTestCase):
    """
    Asynchronous listeners of sockets on an in-memory network.
    """

    def setUp(self) -> None:
        self.network = MemoryNetwork()
        self.seen: list[Any] = []

    async def slow(self, name: object) -> None:
        """
        Record the begin and the end of one second.
        """
        self.seen.append(f"<{name}")
        try:
            await deferLater(self.network.reactor, 1)
        except CancelledError:
            self.seen.append("cancelled")
            raise
        self.seen.append(f"{name}>")

    def server(self) -> tuple[Peer, int]:
        """
        Listen with a peer.
        """
        from twisted.internet.protocol import Factory

        peer = Peer()
        factory = Factory.forProtocol(lambda: peer)
        port = self.network.reactor.listenTCP(0, factory)
        return peer, port.getHost().port

    def test_xmlSocket(self) -> None:
        """
        One C{data} listener runs at a time, in order. Messages are held meanwhile, and reading
        is paused. Other events are dispatched.
        """
        peer, port = self.server()
        socket = XMLSocket("127.0.0.1", port, reactor=self.network.reactor)

        async def received(event: DataEvent) -> None:
            await self.slow(event.data)

        socket.addEventListener(DataEvent.DATA, received)
        socket.addEventListener(Event.CLOSE, lambda event: self.seen.append("close"))
        self.network.flush()
        peer.send(b"a\0b\0")
        peer.send(b"c\0")
        peer.close()
        for _ in range(4):
            self.network.flush()
            self.network.advance(1)
        self.network.flush()
        self.assertEqual(self.seen, ["<a", "a>", "<b", "b>", "<c", "c>", "close"])

    def test_socket(self) -> None:
        """
        A C{socketData} listener may return a Deferred.
        """
        peer, port = self.server()
        socket = Socket("127.0.0.1", port, reactor=self.network.reactor)
        socket.addEventListener(
            ProgressEvent.SOCKET_DATA,
            lambda event: Deferred.fromCoroutine(self.slow(event.bytesLoaded)),
        )
        self.network.flush()
        peer.send(b"a")
        self.network.flush()
        peer.send(b"bc")
        self.network.flush()
        self.assertEqual(self.seen, ["<1"])
        self.network.advance(1)
        self.network.flush()
        self.assertEqual(self.seen, ["<1", "1>", "<2"])
        self.network.advance(1)
        self.assertEqual(self.seen, ["<1", "1>", "<2", "2>"])

    def test_closed(self) -> None:
        """
        A listener for received data is cancelled when the connection is closed.
        """
        peer, port = self.server()
        socket = XMLSocket("127.0.0.1", port, reactor=self.network.reactor)
        socket.addEventListener(DataEvent.DATA, lambda event: self.slow(event.data))
        self.network.flush()
        peer.send(b"a\0b\0")
        self.network.flush()
        socket.close()
        self.network.flush()
        self.network.advance(5)
        self.assertEqual(self.seen, ["<a", "cancelled"])

    def test_conversation(self) -> None:
        """
        A C{connect} listener can be the whole program: it does not delay received data.
        """
        peer, port = self.server()
        socket = XMLSocket(reactor=self.network.reactor)

        async def main(event: Event) -> None:
            socket.send("hello")
            async for message in socket.messages():
                self.seen.append(message)

        socket.addEventListener(Event.CONNECT, main)
        socket.connect("127.0.0.1", port)
        self.network.flush()
        peer.send(b"a\0b\0")
        peer.close()
        self.network.flush()
        self.assertEqual((peer.received, self.seen), (b"hello\0", ["a", "b"]))

    def test_server(self) -> None:
        """
        The C{connect} listener of a C{ServerSocket} can be a coroutine function.
        """
        server = ServerSocket(reactor=self.network.reactor)
        server.addEventListener(ServerSocketConnectEvent.CONNECT, lambda event: self.slow("in"))
        server.bind(0, "127.0.0.1")
        server.listen()
        Socket("127.0.0.1", server.localPort, reactor=self.network.reactor)
        self.network.flush()
        self.network.advance(1)
        self.assertEqual(self.seen, ["<in", "in>"])
        server.close()

    def test_awaitedError(self) -> None:
        """
        An error that C{whenConnected} reports needs no listener. If there is a listener, it is
        called, too.
        """
        for listens in (False, True):
            socket = XMLSocket("127.0.0.1", 1, reactor=self.network.reactor)
            if listens:
                socket.addEventListener(IOErrorEvent.IO_ERROR, self.seen.append)
            with capturedLogs() as logs:
                failed = socket.whenConnected()
                self.network.flush()
            self.failureResultOf(failed, IOError)
            self.assertEqual((logs, len(self.seen)), ([], listens))

    def test_stopped(self) -> None:
        """
        If the reactor stops during a connection attempt, one line says what to do, and no event
        is dispatched. After the attempt, nothing is left in the reactor.
        """
        reactor = self.network.reactor
        _, port = self.server()
        connected = XMLSocket("127.0.0.1", port, reactor=reactor)
        self.network.flush()
        connected.close()
        socket = XMLSocket(reactor=reactor)
        for name in (IOErrorEvent.IO_ERROR, Event.CLOSE, Event.CONNECT):
            socket.addEventListener(name, self.seen.append)
        socket.connect("127.0.0.1", port)
        with capturedLogs() as logs:
            reactor.fireSystemEvent("shutdown")
            self.network.flush()
        self.assertEqual(self.seen, [])
        self.assertEqual(len(logs), 1)
        self.assertIn(
            f"the program has ended while connecting to 127.0.0.1:{port}", linesOf(logs)[0]
        )

    def test_error(self) -> None:
        """
        The exception of an asynchronous listener is logged, and the connection stays open.
        """
        peer, port = self.server()
        socket = XMLSocket("127.0.0.1", port, reactor=self.network.reactor)

        async def received(event: DataEvent) -> None:
            await self.slow(event.data)
            raise ValueError("an error of the user's")

        socket.addEventListener(DataEvent.DATA, received)
        self.network.flush()
        peer.send(b"a\0b\0")
        with capturedLogs() as logs:
            for _ in range(3):
                self.network.flush()
                self.network.advance(1)
        self.assertEqual(linesOf(logs), ["a listener of data raised an error"] * 2)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        self.assertTrue(socket.connected)

    def datagrams(self) -> tuple[DatagramSocket, DatagramSocket]:
        """
        Create a sender and a receiver.
        """
        sender, receiver = (DatagramSocket(reactor=self.network.reactor) for _ in range(2))
        receiver.bind(0, "127.0.0.1")
        sender.bind(0, "127.0.0.1")
        sender.connect("127.0.0.1", receiver.localPort)
        return sender, receiver

    def test_datagrams(self) -> None:
        """
        One datagram is handled at a time, by all listeners in order.
        """
        sender, receiver = self.datagrams()
        for name in ("x", "y"):

            async def received(event: Any, name: str = name) -> None:
                await self.slow(f"{name}{bytes(event.data).decode()}")

            receiver.addEventListener(DatagramSocketDataEvent.DATA, received)
        receiver.receive()
        for data in (b"1", b"2"):
            sender.send(data)
        self.network.flush()
        self.assertEqual(self.seen, ["<x1"])
        sender.send(b"3")
        for _ in range(7):
            self.network.flush()
            self.network.advance(1)
        wanted = [f"{name}{number}" for number in (1, 2, 3) for name in "xy"]
        self.assertEqual(self.seen, [each for name in wanted for each in (f"<{name}", f"{name}>")])

    def test_datagramsClosed(self) -> None:
        """
        When the socket is closed, the running listener is cancelled, and held datagrams are
        dropped.
        """
        sender, receiver = self.datagrams()
        receiver.addEventListener(DatagramSocketDataEvent.DATA, lambda event: self.slow("a"))
        receiver.receive()
        sender.send(b"1")
        sender.send(b"2")
        self.network.flush()
        receiver.close()
        self.network.flush()
        self.network.advance(3)
        self.assertEqual(self.seen, ["<a", "cancelled"])

    def test_datagramProtocol(self) -> None:
        """
        The handler of an L{AsyncDatagramProtocol} can be a coroutine function, which can call
        the handler of its base class. Its error is logged with the sender.
        """

        class Base(AsyncDatagramProtocol):
            async def datagramReceived(protocol, datagram: bytes, addr: Any) -> None:  # noqa: N805
                await self.slow(datagram.decode())

        class Derived(Base):
            async def datagramReceived(self, datagram: bytes, addr: Any) -> None:
                await super().datagramReceived(datagram, addr)
                if datagram == b"1":
                    raise ValueError("an error of the user's")

        port = self.network.reactor.listenUDP(7000, Derived(), "127.0.0.1")
        sender, _ = self.datagrams()
        sender = DatagramSocket(reactor=self.network.reactor)
        sender.bind(5000, "127.0.0.1")
        for data in (b"1", b"2"):
            sender.send(data, 0, 0, "127.0.0.1", 7000)
        with capturedLogs() as logs:
            for _ in range(3):
                self.network.flush()
                self.network.advance(1)
        self.assertEqual(self.seen, ["<1", "1>", "<2", "2>"])
        self.assertEqual(
            linesOf(logs),
            ["unhandled error in Derived.datagramReceived while serving 127.0.0.1:5000"],
        )
        self.flushLoggedErrors(ValueError)
        port.stopListening()

    def test_datagramNotOverridden(self) -> None:
        """
        A missing handler is named.
        """
        with self.assertRaisesRegex(NotImplementedError, "must override datagramReceived"):
            AsyncDatagramProtocol().datagramReceived(b"", ("127.0.0.1", 1))

    def test_withoutTwisted(self) -> None:
        """
        Without a function that runs asynchronous listeners, an error is reported.
        """
        errors: list[str] = []
        runner = setRunner(events._closeCoroutine)
        self.addCleanup(setRunner, runner)
        reporter = setReporter(lambda error, event: errors.append(str(error)), lambda *a: None)
        self.addCleanup(setReporter, *reporter)
        dispatcher = EventDispatcher()
        dispatcher.addEventListener("a", lambda event: self.slow("never"))
        dispatcher.dispatchEvent(Event("a"))
        self.assertEqual((errors, self.seen), (
            ["asynchronous listeners need Twisted: import openfl_twisted.net"], [],
        ))  # fmt: skip

    def test_otherResults(self) -> None:
        """
        Other results of listeners are ignored.
        """
        dispatcher = EventDispatcher()
        dispatcher.addEventListener("a", lambda event: 5)
        self.assertTrue(dispatcher.dispatchEvent(Event("a")))
