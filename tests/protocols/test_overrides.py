"""
Likely mistakes in overrides of the methods of a protocol.
"""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.protocols import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.roomprotocol import PathRoomProtocol, RoomFactory
from openfl_twisted.testing import Peer, connectedPair


class Waiting(XMLSocketProtocol):
    """
    Its handler waits indefinitely.

    @ivar calls: the names of the called methods.
    """

    def __init__(self) -> None:
        self.waiting: Deferred[None] = Deferred()
        self.calls: list[str] = []

    def messageReceived(self, message: str) -> Deferred[None]:
        return self.waiting


class Incomplete(Waiting):
    """
    Overrides C{connectionLost} without C{super}.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.calls.append("Incomplete")


class Twice(Incomplete):
    """
    Overrides the incomplete method without C{super}.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.calls.append("Twice")


class Complete(Incomplete):
    """
    Calls the incomplete method with C{super}.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.calls.append("Complete")


class Mixin:
    """
    A class of the application that is not a protocol.
    """

    def connectionLost(self: Any, reason: Failure = connectionDone) -> None:
        self.calls.append("Mixin")


class Mixed(Mixin, Waiting):
    """
    Inherits C{connectionLost} from the class of the application.
    """


class Raising(Waiting):
    """
    Raises an exception before it calls C{super}.
    """

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.calls.append("Raising")
        raise LookupError


class ConnectionLostTests(SynchronousTestCase):
    """
    An override of C{connectionLost} that does not call C{super}.
    """

    def test_completed(self) -> None:
        """
        The connection is removed from its factory, and its handlers are cancelled. Other
        overrides are not called.
        """
        for kind, calls in (
            (Incomplete, ["Incomplete"]),
            (Twice, ["Twice"]),
            (Complete, ["Incomplete", "Complete"]),
            (Mixed, ["Mixin"]),
            (Raising, ["Raising"]),
        ):
            factory = XMLSocketFactory(kind)
            pair = connectedPair(Peer(), factory)
            pair.client.send(b"a\0")
            pair.network.flush()
            [protocol] = factory.connections
            protocol.transport.abortConnection()
            pair.network.flush()
            self.assertEqual(protocol.calls, calls)
            self.assertEqual(list(factory.connections), [])
            self.assertTrue(protocol.waiting.called)
        self.flushLoggedErrors(LookupError)

    def test_room(self) -> None:
        """
        The member leaves its room after the override, which can still use the member.
        """
        names = []

        class Leaving(PathRoomProtocol):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                names.append(None if self.member is None else self.member.name)

        lobby = Lobby()
        pair = connectedPair(Peer(), RoomFactory(Leaving, lobby))
        pair.client.send(b"chess\0")
        pair.network.flush()
        self.assertEqual(lobby.members, 1)
        pair.client.close()
        pair.network.flush()
        self.assertEqual(lobby.members, 0)
        self.assertEqual(names, ["guest1"])

    def test_unconnected(self) -> None:
        """
        A test can call the override of a protocol that is not connected.
        """
        protocol = Incomplete()
        protocol.connectionLost(connectionDone)
        self.assertEqual(protocol.calls, ["Incomplete"])


class ParameterTests(SynchronousTestCase):
    """
    Overrides with the wrong parameters.
    """

    def test_wrong(self) -> None:
        """
        The error says how to define the method.
        """

        def none(self: Any) -> None: ...

        def two(self: Any, one: Any, other: Any) -> None: ...

        for name, method, how in (
            ("messageReceived", none, "messageReceived(self, message)"),
            ("messageReceived", two, "messageReceived(self, message)"),
            ("messagesReceived", none, "messagesReceived(self, messages)"),
            ("connectionLost", none, "connectionLost(self, reason)"),
            ("connectionMade", two, "connectionMade(self)"),
            ("sendQueueDropped", none, "sendQueueDropped(self, chunks)"),
        ):
            with self.assertRaises(TypeError) as caught:
                type("Player", (XMLSocketProtocol,), {name: method})
            self.assertEqual(
                str(caught.exception),
                f"Player.{name} has the wrong parameters: define it as def {how}",
            )

    def test_right(self) -> None:
        """
        Other names, defaults and variable parameters are accepted.
        """

        class Player(PathRoomProtocol):
            def handleLine(self, line: bytes, isFirst: bool = False) -> None: ...

            def joinRoom(self, name: str) -> None:  # type: ignore[override]
                ...

            def connectionLost(self, *arguments: Any, **named: Any) -> None: ...

        RoomFactory(Player, Lobby())
