"""
Tests for L{openfl_twisted.net._handlers}.
"""

from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.net import DatagramSocket, SecureSocket, ServerSocket, Socket, XMLSocket


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
