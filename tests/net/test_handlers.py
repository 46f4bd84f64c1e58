"""
Tests for L{openfl_twisted.net._handlers} and L{openfl_twisted.net._attributes}.
"""

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.net import DatagramSocket, SecureSocket, ServerSocket, Socket, XMLSocket
from openfl_twisted.net._attributes import CheckedAttributes
from openfl_twisted.protocols import EchoProtocol, XMLSocketFactory
from openfl_twisted.testing import MemoryNetwork


class HandlerTests(SynchronousTestCase):
    """
    Handlers in the style of ActionScript 2.
    """

    def make(self, cls: Any) -> Any:
        return cls(reactor=MemoryReactorClock())

    def test_refused(self) -> None:
        """
        The assignment of a handler raises an exception that names the event.
        """
        for cls, name, event in [
            (XMLSocket, "onConnect", "Event.CONNECT"),
            (XMLSocket, "onXML", "DataEvent.DATA"),
            (XMLSocket, "onData", "DataEvent.DATA"),
            (Socket, "onData", "ProgressEvent.SOCKET_DATA"),
            (SecureSocket, "onIOError", "IOErrorEvent.IO_ERROR"),
            (ServerSocket, "onConnect", "ServerSocketConnectEvent.CONNECT"),
            (DatagramSocket, "onData", "DatagramSocketDataEvent.DATA"),
        ]:
            socket = self.make(cls)
            text = f"{cls.__name__} has no attribute {name}: use addEventListener({event}, ...)"
            error = self.assertRaises(AttributeError, setattr, socket, name, print)
            self.assertEqual(str(error), text)
            error = self.assertRaises(AttributeError, getattr, socket, name)
            self.assertEqual(str(error), text)
            self.assertRaises(AttributeError, delattr, socket, name)
            self.assertFalse(hasattr(cls, name))

    def test_subclass(self) -> None:
        """
        A subclass can define methods and attributes with these names, and inherit them from
        another class.
        """

        class Handlers:
            def onClose(self) -> str:
                return "closed"

        class Game(XMLSocket, Handlers):
            def onConnect(self) -> str:
                return "connected"

        game = self.make(Game)
        self.assertEqual((game.onConnect(), game.onClose()), ("connected", "closed"))
        self.assertIs(Game.onClose, Handlers.onClose)
        self.assertFalse(hasattr(game, "onData"))
        game.onData = 5
        self.assertEqual(game.onData, 5)
        game.onClose = 6
        self.assertEqual(game.onClose, 6)
        del game.onData
        self.assertFalse(hasattr(game, "onData"))


class AttributeTests(SynchronousTestCase):
    """
    Misspelt attributes.
    """

    def setUp(self) -> None:
        self.reactor = MemoryNetwork().reactor

    def test_misspelt(self) -> None:
        """
        The error contains the right name.
        """
        cases: list[tuple[Any, str, str]] = [
            (XMLSocket, "timout", "timeout"),
            (XMLSocket, "maxlength", "maxLength"),
            (Socket, "endien", "endian"),
            (Socket, "autoFlush", "autoflush"),
            (Socket, "max_unread", "maxUnread"),
            (SecureSocket, "Trust", "trust"),
            (SecureSocket, "objectEncodeing", "objectEncoding"),
            (DatagramSocket, "broadcasts", "broadcast"),
        ]
        for cls, wrong, right in cases:
            socket = cls(reactor=self.reactor)
            error = self.assertRaises(AttributeError, setattr, socket, wrong, 1)
            self.assertEqual(
                str(error), f"{cls.__name__} has no attribute {wrong}: did you mean {right}?"
            )
            self.assertFalse(hasattr(socket, wrong))
            setattr(socket, right, getattr(socket, right))

    def test_others(self) -> None:
        """
        Other names can be used, and subclasses of a program have any attributes.
        """
        socket: Any = ServerSocket(reactor=self.reactor)
        socket.player = socket._timout = 5
        self.assertEqual(socket.player, 5)

        class Own(XMLSocket):
            timout = 0

        class Strict(XMLSocket):
            def __setattr__(self, name: str, value: object) -> None:
                super().__setattr__(name, value)

        own: Any = Own(reactor=self.reactor)
        own.timout = own.maxlength = 6
        self.assertEqual((own.timout, own.maxlength), (6, 6))
        self.assertIs(Own.__setattr__, object.__setattr__)
        strict: Any = Strict(reactor=self.reactor)
        self.assertRaises(AttributeError, setattr, strict, "timout", 1)

    def test_messages(self) -> None:
        """
        No attribute of a socket is set for a message, because this is slow.
        """
        network = MemoryNetwork()
        network.reactor.listenTCP(8080, XMLSocketFactory(EchoProtocol))
        datagrams = [DatagramSocket(reactor=network.reactor) for _ in range(2)]
        for number, each in enumerate(datagrams):
            each.bind(9000 + number, "127.0.0.1")
            each.addEventListener("data", lambda event: None)
            each.receive()
        binary = Socket("127.0.0.1", 8080, reactor=network.reactor)
        binary.addEventListener("socketData", lambda event: binary.readUTFBytes(2))
        text = XMLSocket("127.0.0.1", 8080, reactor=network.reactor)
        text.addEventListener("data", lambda event: None)
        network.flush()
        names: list[str] = []
        self.patch(CheckedAttributes, "__setattr__", lambda self, name, value: names.append(name))
        binary.writeUTFBytes("a\0")
        binary.flush()
        binary.writeByte(0)
        text.send("a")
        datagrams[0].send(b"a", 0, 0, "127.0.0.1", 9001)
        network.flush()
        self.assertEqual(names, [])
