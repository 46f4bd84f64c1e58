"""
Handlers that do not end.
"""

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import Factory
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.events import DataEvent
from openfl_twisted.net import XMLSocket
from openfl_twisted.protocols import AsyncDatagramProtocol, XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import PathRoomProtocol, RoomFactory
from openfl_twisted.testing import MemoryNetwork, Peer, connectedPair
from tests.doubles import linesOf

ADVICE = "before the handler ends; limit its time with Deferred.addTimeout"


def waiting() -> Deferred[None]:
    """
    Return a Deferred that never fires.
    """
    return Deferred()


class Waiting(XMLSocketProtocol):
    """
    Waits indefinitely.
    """

    async def messageReceived(self, message: str) -> None:
        await waiting()


class Generating(XMLSocketProtocol):
    """
    Waits indefinitely in a generator.
    """

    @inlineCallbacks
    def messageReceived(self, message: str) -> Generator[Deferred[Any], Any, None]:
        yield waiting()


class Joining(PathRoomProtocol):
    """
    Waits indefinitely in a room.
    """

    async def joinRoom(self, room: str, name: str | None = None) -> None:
        await waiting()


class Greeting(Peer):
    """
    Sends a message.
    """

    def connectionMade(self) -> None:
        self.send(b"a\0")


class Datagrams(AsyncDatagramProtocol):
    """
    Waits indefinitely if a datagram says so.
    """

    async def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.waiting = waiting()
        await self.waiting


def place(function: Any, line: int) -> str:
    """
    Describe a line of this file.

    @param line: the number of lines after the beginning of the function.
    """
    return f"(test_latehandlers.py, line {function.__code__.co_firstlineno + line})"


class LateTests(SynchronousTestCase):
    """
    The warning.
    """

    def test_stream(self) -> None:
        """
        One line names the handler, its line and the peer.
        """
        cases: list[tuple[Any, tuple[str, str | None]]] = [
            (
                XMLSocketFactory(Waiting),
                ("Waiting.messageReceived", place(Waiting.messageReceived, 1)),
            ),
            (XMLSocketFactory(Generating), ("a handler of Generating", None)),
            (RoomFactory(Joining, Lobby()), ("Joining.joinRoom", place(Joining.joinRoom, 1))),
        ]
        for factory, words in cases:
            pair = connectedPair(Peer(), factory)
            peer = pair.server.transport.getPeer()
            pair.client.send(b"a\0b\0")
            with capturedLogs() as logs:
                pair.network.advance(59)
                self.assertEqual(linesOf(logs), [])
                pair.network.advance(600)
            name, where = words
            reached = "" if where is None else f" {where}"
            self.assertEqual(
                linesOf(logs),
                [
                    (
                        f"{name} serves {peer.host}:{peer.port} and has not ended after 60 s"
                        f"{reached}: no further input of it is handled {ADVICE}"
                    )
                ],
            )

    def test_ended(self) -> None:
        """
        Handlers that end are not logged, even if they run all the time. After the connection, no
        timer remains.
        """

        class Short(XMLSocketProtocol):
            def messageReceived(self, message: str) -> Deferred[None]:
                ended: Deferred[None] = Deferred()
                pair.network.reactor.callLater(50, ended.callback, None)
                return ended

        pair = connectedPair(Peer(), XMLSocketFactory(Short))
        with capturedLogs() as logs:
            pair.client.send(10 * b"a\0")
            pair.network.advance(450)
        self.assertEqual(linesOf(logs), [])
        pair.server.transport.abortConnection()
        pair.network.advance(100)
        self.assertEqual(pair.network.reactor.getDelayedCalls(), [])

    def test_listener(self) -> None:
        """
        A listener for received data is a handler too.
        """

        async def onData(event: DataEvent) -> None:
            await waiting()

        network = MemoryNetwork()
        network.reactor.listenTCP(8080, Factory.forProtocol(Greeting))
        socket = XMLSocket("127.0.0.1", 8080, reactor=network.reactor)
        socket.addEventListener(DataEvent.DATA, onData)
        with capturedLogs() as logs:
            network.advance(600)
        [line] = linesOf(logs)
        self.assertIn("onData ", line)
        self.assertIn(
            f"serves 127.0.0.1:8080 and has not ended after 60 s {place(onData, 1)}", line
        )

    def test_datagrams(self) -> None:
        """
        A handler of datagrams is named with the sender.
        """
        network = MemoryNetwork()
        protocol = Datagrams()
        network.reactor.listenUDP(9000, protocol)
        sender = network.reactor.listenUDP(9001, AsyncDatagramProtocol())
        with capturedLogs() as logs:
            sender.write(b"a", ("127.0.0.1", 9000))
            network.advance(40)
            protocol.waiting.callback(None)
            sender.write(b"b", ("127.0.0.1", 9000))
            network.advance(79)
            self.assertEqual(linesOf(logs), [])
            network.advance(100)
        where = place(Datagrams.datagramReceived, 2)
        self.assertEqual(
            linesOf(logs),
            [
                (
                    "Datagrams.datagramReceived serves 127.0.0.1:9001 and has not ended after 60 s"
                    f" {where}: no datagrams are read {ADVICE}"
                )
            ],
        )
        protocol.waiting.callback(None)
        sender.write(b"c", ("127.0.0.1", 9000))
        network.flush()
        protocol.transport.stopListening()
        sender.stopListening()
        network.advance(0)
        self.assertEqual(network.reactor.getDelayedCalls(), [])
