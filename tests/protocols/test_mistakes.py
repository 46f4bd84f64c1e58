"""
Likely mistakes of newcomers: each raises one helpful sentence where it is made.
"""

import warnings
from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint, serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.dispatch import handler
from openfl_twisted.endpoints import openflEndpoint
from openfl_twisted.net import DatagramSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.protocols import (
    BinarySocketFactory,
    BinarySocketProtocol,
    OnePortFactory,
    PolicyFileFactory,
    XMLSocketFactory,
    XMLSocketProtocol,
)
from openfl_twisted.protocols.streamprotocol import StreamProtocol
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import (
    PathRoomProtocol,
    RoomFactory,
    RoomProtocol,
    XMLRoomProtocol,
)
from openfl_twisted.testing import MemoryNetwork, Peer
from openfl_twisted.transports.guard import GuardFactory


class Shouter(XMLSocketProtocol):
    """
    A protocol without mistakes.
    """

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message.upper())


class Misspelt(XMLSocketProtocol):
    """
    A protocol with a misspelt handler.
    """

    def mesageReceived(self, message: str) -> None: ...


class Undispatched(Shouter):
    """
    A protocol that does not call its handlers.
    """

    @handler
    def move(self) -> None: ...


class Table(RoomProtocol):
    """
    A room protocol with a misspelt handler.
    """

    def handelLine(self, line: bytes) -> None: ...


class Deaf(PathRoomProtocol):
    """
    A room protocol with a method that is not called.
    """

    def messageReceived(self, message: str) -> None: ...


class Decoding(Deaf):
    """
    A room protocol that calls the method.
    """

    def handleLine(self, line: bytes) -> None:
        self.messageReceived(line.decode())


def asyncLost() -> None:
    """
    Define a handler as a coroutine function that cannot be one.
    """

    class Saving(XMLSocketProtocol):
        async def connectionLost(self, reason: Any) -> None:  # type: ignore[override]
            ...


def generator() -> None:
    """
    Define a handler as a generator.
    """

    class Yielding(XMLSocketProtocol):
        def messageReceived(self, message: str) -> Any:
            yield None


class MistakeTests(SynchronousTestCase):
    """
    The errors that name the mistake.
    """

    def test_atOnce(self) -> None:
        """
        Mistakes that are found when the server is set up.
        """
        reactor: Any = MemoryNetwork().reactor
        endpoint = serverFromString(reactor, "tcp:8080")
        make: Any = XMLSocketFactory
        onePort: Any = OnePortFactory
        guard: Any = GuardFactory
        policyFile: Any = PolicyFileFactory
        policy = "policy must be a PolicyFile, a function that returns one, or None for no answer"
        cases: list[tuple[Callable[[], object], type[Exception], str]] = [
            (
                lambda: reactor.listenTCP(0, Shouter),
                TypeError,
                "Shouter is a protocol, but a factory is needed: pass XMLSocketFactory(Shouter)",
            ),
            (
                lambda: reactor.listenTCP(0, StreamProtocol),
                TypeError,
                "pass Factory.forProtocol(StreamProtocol)",
            ),
            (
                lambda: reactor.listenTCP(0, BinarySocketProtocol),
                TypeError,
                "pass BinarySocketFactory(BinarySocketProtocol)",
            ),
            (
                lambda: onePort(Shouter),
                TypeError,
                (
                    "OnePortFactory needs a factory, not the class Shouter: pass an instance, such"
                    " as XMLSocketFactory(Shouter)"
                ),
            ),
            (lambda: guard(Shouter), TypeError, "GuardFactory needs a factory"),
            (lambda: make(Shouter, policy="none"), TypeError, f"{policy}, not 'none'"),
            (lambda: onePort(make(Shouter), policy="none"), TypeError, policy),
            (lambda: policyFile("<cross-domain-policy/>"), TypeError, policy),
            (
                lambda: make(Shouter()),
                TypeError,
                (
                    "XMLSocketFactory needs a protocol class, such as your subclass"
                    " of XMLSocketProtocol, not <"
                ),
            ),
            (lambda: make(XMLSocketFactory), TypeError, "needs a protocol class"),
            (
                lambda: BinarySocketFactory(None),  # type: ignore[arg-type]
                TypeError,
                (
                    "BinarySocketFactory needs a protocol class, such as your subclass"
                    " of BinarySocketProtocol, not None"
                ),
            ),
            (
                lambda: make(Misspelt),
                TypeError,
                "it defines mesageReceived, did you mean messageReceived?",
            ),
            (
                lambda: make(Undispatched),
                TypeError,
                (
                    "Undispatched.move is a handler, but Undispatched does not call handlers: make"
                    " it a subclass of XMLDispatchProtocol or JSONDispatchProtocol"
                ),
            ),
            (
                lambda: RoomFactory(Table, Lobby()),
                TypeError,
                "Table must override handleLine; it defines handelLine, did you mean handleLine?",
            ),
            (
                lambda: RoomFactory(Deaf, Lobby()),
                TypeError,
                "Deaf.messageReceived is never called in a room: override handleLine instead",
            ),
            (
                lambda: RoomProtocol().handleLine(b""),
                NotImplementedError,
                "RoomProtocol must override handleLine",
            ),
            (
                lambda: onePort(XMLSocketFactory),
                TypeError,
                "not the class XMLSocketFactory: pass XMLSocketFactory(YourProtocol)",
            ),
            (
                lambda: openflEndpoint("tcp:8080"),  # type: ignore[arg-type]
                TypeError,
                "not 'tcp:8080': pass serverFromString(reactor, 'tcp:8080')",
            ),
            (lambda: openflEndpoint(endpoint, policy="none"), TypeError, policy),
            (generator, TypeError, "Yielding.messageReceived is a generator function"),
            (asyncLost, TypeError, "Saving.connectionLost cannot be a coroutine function"),
            (
                lambda: serverFromString(reactor, "openfl:tcp:8080:plicy=none"),
                ValueError,
                "plicy= is not an argument of openfl: did you mean policy=?",
            ),
        ]
        for do, kind, text in cases:
            with self.assertRaises(kind) as raised:
                do()
            self.assertIn(text, str(raised.exception))
        self.failureResultOf(endpoint.listen(Shouter), TypeError)

    def test_sending(self) -> None:
        """
        Mistakes that are found when a message is sent.
        """
        protocol: Any = Shouter()
        for send in (protocol.sendMessage, protocol.sendLine):
            with self.assertRaisesRegex(RuntimeError, "is not connected yet: send messages in"):
                send("a")
        factory: Any = XMLSocketFactory(Shouter)
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        text = "a message must be text, not b'a"
        for data in (b"a", b"a" * 100_000):
            with self.assertRaisesRegex(TypeError, text):
                protocol.sendMessage(data)
            with self.assertRaisesRegex(TypeError, text):
                factory.broadcast(data)
            with self.assertRaisesRegex(TypeError, text):
                protocol.sendMessages([data, data])
            with self.assertRaisesRegex(TypeError, text):
                protocol.sendMessages([data])

    def test_working(self) -> None:
        """
        Correct programs are not refused.
        """

        class Sending(XMLSocketProtocol):
            def messageSent(self) -> None: ...

        class Inherited(Shouter):
            def mesageReceived(self) -> None: ...

        for kind in (Shouter, Inherited, Sending, lambda: Shouter()):
            XMLSocketFactory(kind)
        for room in (Decoding, PathRoomProtocol, XMLRoomProtocol):
            RoomFactory(room, Lobby())
        reactor = MemoryNetwork().reactor
        serverFromString(reactor, "openfl:tcp:8080:interface=127.0.0.1:policy=none")


class Broken(Shouter):
    """
    A protocol whose constructor fails.
    """

    def __init__(self) -> None:
        raise LookupError("no database")


class ConstructorTests(SynchronousTestCase):
    """
    An exception while a protocol is created.
    """

    def test_logged(self) -> None:
        """
        The client is disconnected, and the log names the method.
        """
        upgrade = (
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        factory: Any = XMLSocketFactory(Broken)
        for wrapped, data in (
            (factory, b"hello\0"),
            (OnePortFactory(factory), b"hello\0"),
            (OnePortFactory(factory), upgrade),
        ):
            network = MemoryNetwork()
            guard = GuardFactory(wrapped, clock=network.reactor)
            logs: list[Any] = []
            observer: Any = logs.append
            globalLogPublisher.addObserver(observer)
            self.addCleanup(globalLogPublisher.removeObserver, observer)
            network.reactor.listenTCP(8080, guard)
            endpoint = TCP4ClientEndpoint(network.reactor, "127.0.0.1", 8080)
            peer: Any = network.run(endpoint.connect(Factory.forProtocol(Peer)))
            peer.transport.write(data)
            network.advance(60)
            self.assertTrue(peer.closed)
            [text] = [formatEvent(event) for event in logs if event.get("log_failure")]
            self.assertIn("unhandled error in Broken.__init__ while serving 127.0.0.1:", text)
            self.assertIn("; connection closed", text)
            self.assertRaises(LookupError, network.check)
            self.flushLoggedErrors(LookupError)


class OptionalMethodTests(SynchronousTestCase):
    """
    Misspelt methods that need not be overridden.
    """

    def test_warning(self) -> None:
        """
        The warning is at the line of the method.
        """
        for wrong, right in (
            ("conectionMade", "connectionMade"),
            ("connectionmade", "connectionMade"),
            ("connection_lost", "connectionLost"),
            ("connectoinMade", "connectionMade"),
            ("disconnectedbyOperator", "disconnectedByOperator"),
        ):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                type("Chat", (Shouter,), {wrong: lambda self: None})
            [warning] = caught
            self.assertEqual(
                str(warning.message), f"Chat.{wrong} is never called: did you mean {right}?"
            )
            self.assertEqual(warning.filename, __file__)

    def test_otherNames(self) -> None:
        """
        Other names are those of the program.
        """
        for name in ("onConnectionMade", "connected", "sendMessages2", "made", "_connectionMade2"):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                type("Chat", (Shouter,), {name: lambda self: None})
            self.assertEqual(caught, [])


class EventTypeTests(SynchronousTestCase):
    """
    Listeners for events that a socket does not dispatch.
    """

    def warningOf(self, make: Any, type: str) -> str:
        """
        Add a listener, and return the text of the warning; empty without a warning.
        """
        socket = make(reactor=MemoryNetwork().reactor)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            socket.addEventListener(type, id)
        self.assertTrue(all(each.filename == __file__ for each in caught))
        self.assertTrue(socket.hasEventListener(type))
        return "".join(str(each.message) for each in caught)

    def test_wrongSocket(self) -> None:
        """
        The event of another socket.
        """
        self.assertEqual(
            self.warningOf(Socket, "data"),
            "Socket never dispatches 'data': its events are close, connect, ioError,"
            " outputProgress, securityError, socketData",
        )
        self.assertIn("never dispatches 'socketData'", self.warningOf(XMLSocket, "socketData"))
        self.assertIn("never dispatches 'ioError'", self.warningOf(ServerSocket, "ioError"))
        self.assertIn("never dispatches 'connect'", self.warningOf(DatagramSocket, "connect"))

    def test_misspelt(self) -> None:
        """
        A misspelt event.
        """
        for wrong, right in (("conect", "connect"), ("IOError", "ioError"), ("Data", "data")):
            self.assertEqual(
                self.warningOf(XMLSocket, wrong),
                f"XMLSocket never dispatches {wrong!r}: did you mean {right}?",
            )

    def test_others(self) -> None:
        """
        The socket's own events, and the events of a subclass.
        """
        for type in ("data", "close", "connect", "ioError", "securityError", "joined", "date2"):
            self.assertEqual(self.warningOf(XMLSocket, type), "")
