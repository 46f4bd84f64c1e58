"""
Likely mistakes in programs with rooms.
"""

import warnings
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.rooms.lobby import Lobby, LobbyObserver
from openfl_twisted.rooms.room import RoomLimits
from openfl_twisted.rooms.roomprotocol import PathRoomProtocol, RoomFactory, XMLRoomProtocol
from openfl_twisted.testing import Peer, connectedPair
from tests.doubles import linesOf
from tests.support.recipients import RecordingObserver, RecordingRecipient

TEXT = "must be text, not 5: convert it with str()"


class MistakeTests(SynchronousTestCase):
    """
    Each mistake raises one helpful sentence where it is made.
    """

    def setUp(self) -> None:
        self.lobby: Any = Lobby(clock=Clock())

    def check(self, text: str, do: Callable[..., object], *arguments: Any, **named: Any) -> None:
        """
        Check that a call raises C{TypeError} with a text.
        """
        error = self.assertRaises(TypeError, do, *arguments, **named)
        self.assertEqual(str(error), text)

    def test_observerMethods(self) -> None:
        """
        A method of an observer whose name is similar to another name is a warning at its line.
        """
        for wrong, right in (
            ("join", "joined"),
            ("jioned", "joined"),
            ("onJoined", "joined"),
            ("leave", "left"),
            ("messagesent", "messageSent"),
            ("roomClose", "roomClosed"),
            ("openRoom", None),
            ("announce", None),
            ("_join", None),
        ):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                type("Own", (LobbyObserver,), {wrong: lambda self: None})
            self.assertEqual(
                [(str(warning.message), warning.filename) for warning in caught],
                [(f"Own.{wrong} is never called: did you mean {right}?", __file__)]
                * (right is not None),
            )

    def test_parameters(self) -> None:
        """
        The methods of an observer have parameters.
        """
        self.check(
            "Own.left has the wrong parameters: define it as def left(self, member, room)",
            lambda: type("Own", (LobbyObserver,), {"left": lambda self, member: None}),
        )

    def test_observers(self) -> None:
        """
        A class is not an observer, and neither is any other object.
        """
        observers = self.lobby.observers
        words = "an observer must be an object, not the class RecordingObserver: pass"
        for add in (observers.append, lambda each: observers.insert(0, each)):
            self.check(f"{words} RecordingObserver()", add, RecordingObserver)
        for extend in (observers.extend, observers.__iadd__):
            self.check(f"{words} RecordingObserver()", extend, [RecordingObserver])
        self.assertEqual(observers, [])
        first, second, third = (RecordingObserver() for _ in range(3))
        observers.append(second)
        observers.insert(0, first)
        self.lobby.observers += [third]
        self.assertEqual(self.lobby.observers, [first, second, third])
        self.check(
            "an observer must be an instance of your subclass of LobbyObserver, not 5",
            observers.append,
            5,
        )

    def test_settings(self) -> None:
        """
        The settings of a lobby and a factory.
        """
        wrong: Any = {"maxMembers": 8}
        limits = (
            "limits must be RoomLimits, such as RoomLimits(maxMembers=8), not {'maxMembers': 8}"
        )
        self.check(limits, Lobby, wrong)
        self.check(limits, Lobby, roomLimits={"chess": wrong})
        number: Any = "8"
        self.check("maxMembers must be a number from 0, not '8'", RoomLimits, maxMembers=number)
        self.check(
            "RoomFactory has no argument maxlength: did you mean maxLength?",
            RoomFactory,
            PathRoomProtocol,
            self.lobby,
            maxlength=5,
        )
        self.check(
            "RoomFactory has no argument colour",
            RoomFactory,
            PathRoomProtocol,
            self.lobby,
            colour=5,
        )
        self.check(
            f"lobby must be a Lobby, not {Lobby!r}: pass Lobby()",
            RoomFactory,
            PathRoomProtocol,
            Lobby,
        )
        self.check("lobby must be a Lobby, not None", RoomFactory, PathRoomProtocol, None)

    def test_text(self) -> None:
        """
        Names and attributes are text.
        """
        recipient = RecordingRecipient()
        for arguments in ((5, recipient), ("chess", recipient, 5)):
            self.check(f"a room or member name {TEXT}", self.lobby.join, *arguments)
        member = self.lobby.join("chess", recipient)
        self.check(f"the value of an attribute {TEXT}", self.lobby.setAttribute, member, "x", 5)
        self.check(f"the key of an attribute {TEXT}", self.lobby.setAttribute, member, 5, "x")
        protocol: Any = connectedPair(Peer(), RoomFactory(XMLRoomProtocol, self.lobby)).server
        self.check(f"a room or member name {TEXT}", protocol.joinRoom, 5)
        protocol.joinRoom("chess")
        self.check(f"the value of an attribute {TEXT}", protocol.setAttribute, "x", 5)

    def test_notJoined(self) -> None:
        """
        An override of C{joinRoom} that does not join a room is logged once.
        """
        for base, message in (
            (PathRoomProtocol, "chess"),
            (XMLRoomProtocol, "<join room='chess'/>"),
        ):

            class Player(base):  # type: ignore[valid-type,misc]
                def joinRoom(self, room: str, name: str | None = None) -> None:
                    if room == "none":
                        self.transport.loseConnection()

            with capturedLogs() as logs:
                for text in (message.replace("chess", "none"), message, message):
                    pair = connectedPair(Peer(), RoomFactory(Player, self.lobby))
                    pair.client.send(text.encode() + b"\0")
                    pair.network.flush()
            self.assertEqual(
                [line for line in linesOf(logs) if "joinRoom" in line],
                [
                    (
                        "Player.joinRoom has not joined a room: call super().joinRoom(room, name),"
                        " or raise a LobbyError"
                    )
                ],
            )

    def test_failingObserver(self) -> None:
        """
        An exception in an observer fails the test of a program with an in-memory network.
        """

        class Failing(LobbyObserver):
            def joined(self, member: Any, room: Any) -> None:
                raise LookupError

        class FailingLater(LobbyObserver):
            async def joined(self, member: Any, room: Any) -> None:
                raise LookupError

        for cls in (Failing, FailingLater):
            lobby = Lobby(clock=Clock())
            lobby.observers.append(cls())
            pair = connectedPair(Peer(), RoomFactory(PathRoomProtocol, lobby))
            pair.client.send(b"chess\0")
            pair.network.flush()
            self.assertRaises(LookupError, pair.network.check)
            self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)
