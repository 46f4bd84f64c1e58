"""
Tests for L{openfl_twisted.rooms.lobby}.
"""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.rooms.lobby import Lobby, LobbyObserver
from openfl_twisted.rooms.room import LobbyError, Member, Room, RoomLimits
from openfl_twisted.transports.guard import MAX_CONNECTIONS
from tests.doubles import linesOf


class Ear:
    """
    Notes what is heard.
    """

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.isReplaced = False

    def deliverMessage(self, message: bytes) -> None:
        self.heard.append(message)

    def replaced(self) -> None:
        self.isReplaced = True


class Diary(LobbyObserver):
    """
    Notes what happens.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def joined(self, member: Member, room: Room) -> None:
        self.lines.append(f"{member.name} joined {room.name}")

    def left(self, member: Member, room: Room) -> None:
        self.lines.append(f"{member.name} left {room.name}")

    def messageSent(self, room: Room, message: bytes) -> None:
        self.lines.append(f"{message.decode()} in {room.name}")

    def roomOpened(self, room: Room) -> None:
        self.lines.append(f"{room.name} opened")

    def roomClosed(self, room: Room) -> None:
        self.lines.append(f"{room.name} closed")


class LobbyTestCase(SynchronousTestCase):
    """
    Has a lobby.
    """

    def setUp(self) -> None:
        self.begin()

    def begin(self, **limits: Any) -> None:
        """
        Open the lobby.
        """
        self.clock = Clock()
        self.lobby = Lobby(RoomLimits(**limits), self.clock)

    def come(self, room: str = "chess", name: str | None = None) -> tuple[Member, Ear]:
        """
        Come into a room.
        """
        ear = Ear()
        return self.lobby.join(room, ear, name), ear

    def assertRefused(self, code: str, do: Any, *arguments: Any) -> None:
        """
        Something cannot be done.
        """
        with self.assertRaises(LobbyError) as caught:
            do(*arguments)
        self.assertEqual(caught.exception.code, code)


class TalkTests(LobbyTestCase):
    """
    Who hears what.
    """

    def test_looks(self) -> None:
        """
        A name that looks like that of another member is taken, until this member
        has left. A name without a visible character is refused.
        """
        lobby = Lobby(RoomLimits(), Clock())
        ann = lobby.join("a", Ear(), "Ann\u0101")
        alike = (
            "Ann\u3164\u0101",
            "Ann\u0101\ufe0f",
            "\uff21nn\u0101",
            "Anna\u0304",
            "\u2800Ann\u0101",
        )
        for name in alike:
            with self.assertRaises(LobbyError) as caught:
                lobby.join("a", Ear(), name)
            self.assertEqual(caught.exception.code, "taken")
        lobby.join("a", Ear(), "ann\u0101")
        lobby.join("b", Ear(), alike[0])
        lobby.leave(ann)
        lobby.join("a", Ear(), alike[0])
        for name in ("\u3164", "\u2800\u034f"):
            with self.assertRaises(LobbyError) as caught:
                lobby.join("a", Ear(), name)
            self.assertEqual(caught.exception.code, "name")

    def test_longLooks(self) -> None:
        """
        A name without a limit of its length takes little time, whatever it
        contains.
        """
        lobby = Lobby(RoomLimits(maxName=0), Clock())
        lobby.join("a", Ear(), "a" + "\u0301\u0316" * 200_000)
        self.assertEqual(len(lobby.rooms["a"].displayedNames), 1)

    def test_say(self) -> None:
        """
        All others in the room hear it, and nobody else; to all it is the same
        bytes.
        """
        one, ear1 = self.come(name="one")
        _, ear2 = self.come(name="two")
        _, ear3 = self.come(name="three")
        _, elsewhere = self.come("go")
        message = b"hello\0"
        self.lobby.send(one, message)
        self.assertEqual([ear1.heard, elsewhere.heard], [[], []])
        self.assertIs(ear2.heard[0], message)
        self.assertIs(ear3.heard[0], message)

    def test_tell(self) -> None:
        """
        One in the room hears it; if there is none of this name, that is told.
        """
        one, _ = self.come(name="one")
        _, ear2 = self.come(name="two")
        _, ear3 = self.come(name="three")
        self.lobby.sendTo(one, "two", b"psst\0")
        self.assertEqual((ear2.heard, ear3.heard), ([b"psst\0"], []))
        self.assertRefused("nobody", self.lobby.sendTo, one, "four", b"psst\0")

    def test_outside(self) -> None:
        """
        Who is in no room has nobody to talk to.
        """
        one, _ = self.come()
        self.lobby.leave(one)
        self.assertRefused("room", self.lobby.send, one, b"hello\0")
        self.assertRefused("room", self.lobby.sendTo, one, "two", b"hello\0")

    def test_leaveWhileHearing(self) -> None:
        """
        Somebody who goes because of what he hears does not disturb the rest.
        """
        one, _ = self.come(name="one")
        two, ear2 = self.come(name="two")
        _, ear3 = self.come(name="three")
        self.patch(ear2, "deliverMessage", lambda message: self.lobby.leave(two))
        self.lobby.send(one, b"hello\0")
        self.assertEqual(ear3.heard, [b"hello\0"])

    def test_watched(self) -> None:
        """
        Observers hear of everything in order; a room is there while somebody is
        in it.
        """
        diary = Diary()
        self.lobby.observers += [diary, LobbyObserver()]
        one, _ = self.come(name="one")
        two, _ = self.come(name="two")
        self.lobby.send(one, b"hello")
        self.lobby.leave(one)
        self.lobby.leave(one)
        self.lobby.leave(two)
        self.assertEqual(
            diary.lines,
            [
                "chess opened",
                "one joined chess",
                "two joined chess",
                "hello in chess",
                "one left chess",
                "two left chess",
                "chess closed",
            ],
        )
        self.assertEqual((self.lobby.rooms, self.lobby.members), ({}, 0))


class LimitTests(LobbyTestCase):
    """
    How much there may be.
    """

    def test_names(self) -> None:
        """
        A name has something in it, is not too long, and looks like one.
        """
        for name in ("", "x" * 65, "a\nb", " a", "a "):
            self.assertRefused("name", self.come, "chess", name)
            self.assertRefused("name", self.come, name, "one")
        self.assertEqual(self.lobby.refused["name"], 10)
        self.assertEqual(self.lobby.rooms, {})

    def test_taken(self) -> None:
        """
        A name is used once in a room, and can be used in another one.
        """
        self.come("chess", "one")
        self.assertRefused("taken", self.come, "chess", "one")
        self.come("go", "one")

    def test_guests(self) -> None:
        """
        Who says no name gets one that nobody has.
        """
        self.come("chess", "guest1")
        guest, _ = self.come()
        self.assertEqual(guest.name, "guest2")

    def test_full(self) -> None:
        """
        There are so many members in a room, and so many rooms, and no more.
        """
        self.begin(maxMembers=2, maxRooms=2)
        self.come()
        self.come()
        self.assertRefused("full", self.come)
        self.come("go")
        self.assertRefused("rooms", self.come, "draughts")

    def test_data(self) -> None:
        """
        So much can be said of a member; what is empty is said no more.
        """
        self.begin(maxData=2, maxName=5)
        one, _ = self.come(name="one")
        self.lobby.setAttribute(one, "color", "red")
        self.lobby.setAttribute(one, "size", "5")
        self.assertRefused("data", self.lobby.setAttribute, one, "age", "5")
        self.assertRefused("data", self.lobby.setAttribute, one, "colors", "5")
        self.assertRefused("data", self.lobby.setAttribute, one, "size", "123456")
        self.lobby.setAttribute(one, "size", "6")
        self.lobby.setAttribute(one, "color", "")
        self.lobby.setAttribute(one, "color", "")
        self.assertEqual(one.data, {"size": "6"})
        self.lobby.leave(one)
        self.assertRefused("room", self.lobby.setAttribute, one, "age", "5")

    def test_ownLimits(self) -> None:
        """
        A room can have limits of its own, by its name or given to it later;
        others have those of the lobby.
        """
        usual = RoomLimits(maxMembers=3, maxData=1)
        own = {
            "duel": replace(usual, maxMembers=2, maxData=2, resume=10, maxMissed=1),
        }
        self.lobby = Lobby(usual, self.clock, roomLimits=own)
        for name, members in [("chess", 3), ("duel", 2)]:
            for _ in range(members):
                self.come(name)
            self.assertRefused("full", self.come, name)
        chess, duel = self.lobby.rooms.values()
        self.assertEqual((chess.limits, duel.limits), (usual, own["duel"]))
        chess.limits = replace(usual, maxMembers=4)
        self.come("chess")
        for room, things in [(chess, 1), (duel, 2)]:
            for number in range(things):
                self.lobby.setAttribute(room, str(number), "x")
            self.assertRefused("data", self.lobby.setAttribute, room, "more", "x")
        for room, kept in [(chess, 3), (duel, 2)]:
            member = next(iter(room.members.values()))
            self.lobby.suspend(member)
            self.assertEqual(len(room.members), kept)
        for _ in range(3):
            self.lobby.announce(duel, b"x")
        self.assertEqual((len(member.missed), member.lost), (1, 2))


class ResumeTests(LobbyTestCase):
    """
    Who was cut off can take his place again.
    """

    def setUp(self) -> None:
        self.begin(resume=10.0, maxMissed=3, maxMissedBytes=10)

    def test_resume(self) -> None:
        """
        With its token a member gets what it has missed, and then hears again.
        """
        one, _ = self.come(name="one")
        two, _ = self.come(name="two")
        self.lobby.suspend(two)
        self.assertFalse(two.connected)
        self.lobby.send(one, b"a")
        self.clock.advance(9.9)
        ear = Ear()
        self.assertIs(self.lobby.resume(two.token, ear), two)
        self.assertEqual(self.lobby.takeMissed(two), [b"a"])
        self.clock.advance(100)
        self.lobby.send(one, b"b")
        self.assertEqual(ear.heard, [b"b"])

    def test_tooLate(self) -> None:
        """
        After its time the place is gone.
        """
        one, _ = self.come(name="one")
        self.lobby.suspend(one)
        self.clock.advance(10)
        self.assertRefused("token", self.lobby.resume, one.token, Ear())
        self.assertEqual(self.lobby.rooms, {})

    def test_withoutTime(self) -> None:
        """
        If there is no time for it, who is cut off has left; and who has left is
        not cut off.
        """
        self.begin()
        one, _ = self.come()
        self.lobby.suspend(one)
        self.lobby.suspend(one)
        self.assertEqual(self.lobby.rooms, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """
        So many messages are kept, and so many bytes; the newest ones. How many
        there were besides is counted.
        """
        one, _ = self.come(name="one")
        two, _ = self.come(name="two")
        self.lobby.suspend(two)
        for message in (b"a", b"b", b"c", b"d", b"123456789", b"x" * 11):
            self.lobby.send(one, message)
        self.lobby.send(one, b"e")
        self.assertEqual(two.lost, 6)
        self.lobby.resume(two.token, Ear())
        self.assertEqual(self.lobby.takeMissed(two), [b"e"])
        self.assertEqual((two.lost, two.missedBytes), (0, 0))

    def test_replaced(self) -> None:
        """
        A connection whose place is taken is told, and hears nothing more.
        """
        one, before = self.come(name="one")
        two, _ = self.come(name="two")
        after = Ear()
        self.lobby.resume(one.token, after)
        self.lobby.send(two, b"a")
        self.assertTrue(before.isReplaced)
        self.assertEqual((before.heard, after.heard), ([], [b"a"]))

    def test_unlimited(self) -> None:
        """
        0 is no limit.
        """
        names = ("maxRooms", "maxMembers", "maxName", "maxData", "maxKept")
        self.begin(resume=10.0, maxMissed=0, maxMissedBytes=0, **dict.fromkeys(names, 0))
        members = [self.come("x" * 1000, name=f"{number}")[0] for number in range(3)]
        self.come("other room")
        for number in range(50):
            self.lobby.setAttribute(members[0], f"{number}", "y" * 1000)
        for member in members:
            self.lobby.suspend(member)
        for _ in range(200):
            self.lobby.deliver(members[0], b"z" * 1000)
        self.assertEqual(len(members[0].missed), 200)
        self.assertEqual((self.lobby.notKept, self.lobby.lost), (0, 0))

    def test_maxKept(self) -> None:
        """
        At the limit of memberships that are kept, a disconnected member leaves.
        That is counted, and logged once until there is room again.
        """
        self.begin(resume=10.0, maxKept=1)
        one, two, three, four, five = (self.come(name=name)[0] for name in "12345")
        with capturedLogs() as logs:
            for member in (one, two, three):
                self.lobby.suspend(member)
        self.assertEqual((two.room, three.room, self.lobby.notKept), (None, None, 2))
        [line] = linesOf(logs)
        self.assertIn("1 memberships are kept already", line)
        self.lobby.resume(one.token, Ear())
        self.lobby.suspend(four)
        self.assertIsNotNone(four.room)
        with capturedLogs() as logs:
            self.lobby.suspend(five)
        self.assertEqual(len(logs), 1)

    def test_manyKept(self) -> None:
        """
        By default, all clients of a full server can resume after an interruption
        of the network.
        """
        self.begin(resume=10.0)
        self.assertEqual(self.lobby.limits.maxKept, MAX_CONNECTIONS)

    def test_end(self) -> None:
        """
        When the server ends no places are kept.
        """
        one, _ = self.come(name="one")
        two, _ = self.come(name="two")
        self.lobby.suspend(one)
        self.lobby.end()
        self.assertIsNone(one.room)
        self.lobby.suspend(two)
        self.assertIsNone(two.room)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leaveWhileLeaving(self) -> None:
        """
        Somebody may go because another one has gone.
        """
        one, _ = self.come(name="one")
        two, _ = self.come(name="two")

        class Following(LobbyObserver):
            def left(self, member: Member, room: Room) -> None:
                lobby.leave(two)

        lobby = self.lobby
        lobby.observers.append(Following())
        lobby.leave(one)
        self.assertEqual(lobby.rooms, {})

    def test_leaveWhileAway(self) -> None:
        """
        Who leaves while it is away is waited for no more.
        """
        one, _ = self.come(name="one")
        self.lobby.suspend(one)
        self.lobby.leave(one)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.lobby.deliver(one, b"late")
        self.assertEqual(len(one.missed), 0)


class LobbyMachine(RuleBasedStateMachine):
    """
    Whatever happens, the lobby stays in order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.lobby = Lobby(
            RoomLimits(maxRooms=3, maxMembers=3, resume=5.0, maxMissed=2), self.clock
        )
        self.known: list[Member] = []

    @rule(room=st.sampled_from("abcd"), name=st.sampled_from(["x", "y", "z", None]))
    def join(self, room: str, name: str | None) -> None:
        """
        Somebody comes, or is refused.
        """
        try:
            self.known.append(self.lobby.join(room, Ear(), name))
        except LobbyError as problem:
            assert problem.code in ("full", "rooms", "taken")

    @rule(which=st.integers(0, 20), what=st.sampled_from(["leave", "suspend", "say", "resume"]))
    def act(self, which: int, what: str) -> None:
        """
        Somebody does something.
        """
        if not self.known:
            return
        member = self.known[which % len(self.known)]
        try:
            if what == "say":
                self.lobby.send(member, b"hello")
            elif what == "resume":
                self.lobby.resume(member.token, Ear())
                self.lobby.takeMissed(member)
            else:
                getattr(self.lobby, what)(member)
        except LobbyError as problem:
            assert problem.code in ("room", "token")

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        """
        Time passes.
        """
        self.clock.advance(seconds)

    @invariant()
    def inOrder(self) -> None:
        """
        Rooms have members, members are where they say, and nothing is over its
        limit.
        """
        assert len(self.lobby.rooms) <= 3
        for room in self.lobby.rooms.values():
            assert 0 < len(room.members) <= 3
            for name, member in room.members.items():
                assert (member.name, member.room) == (name, room)
                assert len(member.missed) <= 2
        for member in self.known:
            if member.room is None:
                assert not member.connected
                assert not member.missed
            else:
                assert self.lobby.rooms[member.room.name] is member.room


class MachineTests(SynchronousTestCase):
    """
    The machine as a test.
    """

    def test_machine(self) -> None:
        """
        Nothing that somebody can do brings the lobby into disorder.
        """
        run_state_machine_as_test(LobbyMachine)


class FaultTests(LobbyTestCase):
    """
    Recipients and observers raise errors.
    """

    def test_hearer(self) -> None:
        """
        An error of a recipient is logged, and the other members receive the message.
        """

        class Deaf(Ear):
            def deliverMessage(self, message: bytes) -> None:
                raise ValueError("a fault of the user's")

        speaker = self.lobby.join("chess", Ear())
        self.lobby.join("chess", Deaf())
        last = Ear()
        self.lobby.join("chess", last)
        self.lobby.send(speaker, b"hello\0")
        self.assertEqual(last.heard, [b"hello\0"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_watcher(self) -> None:
        """
        An error of a observer is logged: the member joins and leaves, the room closes,
        and the next observer is notified.
        """

        class Blind(LobbyObserver):
            def joined(self, member: Member, room: Room) -> None:
                raise ValueError("a fault of the user's")

            def left(self, member: Member, room: Room) -> None:
                raise ValueError("a fault of the user's")

        diary = Diary()
        self.lobby.observers = [Blind(), diary]
        self.lobby.leave(self.lobby.join("chess", Ear(), "Ann"))
        self.assertEqual(self.lobby.rooms, {})
        self.assertEqual(
            diary.lines, ["chess opened", "Ann joined chess", "Ann left chess", "chess closed"]
        )
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_replaced(self) -> None:
        """
        An error of the connection that is replaced is logged, and the new connection
        has the membership.
        """

        class Stubborn(Ear):
            def replaced(self) -> None:
                raise ValueError("a fault of the user's")

        member = self.lobby.join("chess", Stubborn())
        after = Ear()
        self.assertIs(self.lobby.resume(member.token, after), member)
        self.assertIs(member.recipient, after)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
