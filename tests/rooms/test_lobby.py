"""
Tests for L{openfl_twisted.rooms.lobby}.
"""

from base64 import urlsafe_b64decode
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
from tests.support.recipients import RecordingObserver, RecordingRecipient


class LobbyTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self, **limits: Any) -> None:
        """
        Create the lobby with limits.
        """
        self.clock = Clock()
        self.lobby = Lobby(RoomLimits(**limits), self.clock)

    def join(
        self, room: str = "chess", name: str | None = None
    ) -> tuple[Member, RecordingRecipient]:
        """
        Join a room.

        @return: the new member and its recipient.
        """
        recipient = RecordingRecipient()
        return self.lobby.join(room, recipient, name), recipient

    def assertRefused(self, code: str, function: Any, *arguments: Any) -> None:
        """
        Check that a call raises L{LobbyError} with a code.
        """
        with self.assertRaises(LobbyError) as caught:
            function(*arguments)
        self.assertEqual(caught.exception.code, code)


class DeliveryTests(LobbyTestCase):
    """
    Delivery of messages to members.
    """

    def test_similarNames(self) -> None:
        """
        A name that looks like that of another member is taken until this member has left.
        A name without a visible character is refused.
        """
        lobby = Lobby(RoomLimits(), Clock())
        ann = lobby.join("a", RecordingRecipient(), "Ann\u0101")
        alike = (
            "Ann\u3164\u0101",
            "Ann\u0101\ufe0f",
            "\uff21nn\u0101",
            "Anna\u0304",
            "\u2800Ann\u0101",
        )
        for name in alike:
            with self.assertRaises(LobbyError) as caught:
                lobby.join("a", RecordingRecipient(), name)
            self.assertEqual(caught.exception.code, "taken")
        lobby.join("a", RecordingRecipient(), "ann\u0101")
        lobby.join("b", RecordingRecipient(), alike[0])
        lobby.leave(ann)
        lobby.join("a", RecordingRecipient(), alike[0])
        for name in ("\u3164", "\u2800\u034f"):
            with self.assertRaises(LobbyError) as caught:
                lobby.join("a", RecordingRecipient(), name)
            self.assertEqual(caught.exception.code, "name")

    def test_longSimilarNames(self) -> None:
        """
        Comparing a long name takes little time when the length is unlimited.
        """
        lobby = Lobby(RoomLimits(maxName=0), Clock())
        lobby.join("a", RecordingRecipient(), "a" + "\u0301\u0316" * 200_000)
        self.assertEqual(len(lobby.rooms["a"].displayedNames), 1)

    def test_say(self) -> None:
        """
        A message is delivered to all other members of the room, as the same bytes object.
        """
        one, recipient1 = self.join(name="one")
        _, recipient2 = self.join(name="two")
        _, recipient3 = self.join(name="three")
        _, elsewhere = self.join("go")
        message = b"hello\0"
        self.lobby.send(one, message)
        self.assertEqual([recipient1.received, elsewhere.received], [[], []])
        self.assertIs(recipient2.received[0], message)
        self.assertIs(recipient3.received[0], message)

    def test_private(self) -> None:
        """
        A private message is delivered to one member only. An unknown name is refused.
        """
        one, _ = self.join(name="one")
        _, recipient2 = self.join(name="two")
        _, recipient3 = self.join(name="three")
        self.lobby.sendTo(one, "two", b"psst\0")
        self.assertEqual((recipient2.received, recipient3.received), ([b"psst\0"], []))
        self.assertRefused("nobody", self.lobby.sendTo, one, "four", b"psst\0")

    def test_leftMember(self) -> None:
        """
        A member that has left cannot send messages.
        """
        one, _ = self.join()
        self.lobby.leave(one)
        self.assertRefused("room", self.lobby.send, one, b"hello\0")
        self.assertRefused("room", self.lobby.sendTo, one, "two", b"hello\0")

    def test_leaveWhileReceiving(self) -> None:
        """
        A member that leaves when it receives a message does not prevent delivery to the
        others.
        """
        one, _ = self.join(name="one")
        two, recipient2 = self.join(name="two")
        _, recipient3 = self.join(name="three")
        self.patch(recipient2, "deliverMessage", lambda message: self.lobby.leave(two))
        self.lobby.send(one, b"hello\0")
        self.assertEqual(recipient3.received, [b"hello\0"])

    def test_observers(self) -> None:
        """
        Observers are notified of all events in order. A room exists while it has members.
        """
        recorder = RecordingObserver()
        self.lobby.observers += [recorder, LobbyObserver()]
        one, _ = self.join(name="one")
        two, _ = self.join(name="two")
        self.lobby.send(one, b"hello")
        self.lobby.leave(one)
        self.lobby.leave(one)
        self.lobby.leave(two)
        self.assertEqual(
            recorder.lines,
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

    def test_deliveries(self) -> None:
        """
        Deliveries are counted once for each receiver, and not for the sender.
        """
        one, _ = self.join("x", "Ann")
        self.join("x", "Bob")
        self.join("x", "Cem")
        self.lobby.send(one, b"hello\0")
        self.assertEqual(self.lobby.deliveries, 2)
        self.lobby.sendTo(one, "Bob", b"hello\0")
        self.assertEqual(self.lobby.deliveries, 3)


class LimitTests(LobbyTestCase):
    """
    Limits of rooms and members.
    """

    def test_names(self) -> None:
        """
        A name is neither empty nor too long, and contains no control characters and no
        spaces at its ends.
        """
        for name in ("", "x" * 65, "a\nb", " a", "a "):
            self.assertRefused("name", self.join, "chess", name)
            self.assertRefused("name", self.join, name, "one")
        self.assertEqual(self.lobby.refused["name"], 10)
        self.assertEqual(self.lobby.rooms, {})

    def test_taken(self) -> None:
        """
        A name is unique within a room, but can be used in another room.
        """
        self.join("chess", "one")
        self.assertRefused("taken", self.join, "chess", "one")
        self.join("go", "one")

    def test_guests(self) -> None:
        """
        A member that joins without a name gets a unique guest name.
        """
        self.join("chess", "guest1")
        guest, _ = self.join()
        self.assertEqual(guest.name, "guest2")

    def test_full(self) -> None:
        """
        The number of members per room and the number of rooms are limited.
        """
        self.begin(maxMembers=2, maxRooms=2)
        self.join()
        self.join()
        self.assertRefused("full", self.join)
        self.join("go")
        self.assertRefused("rooms", self.join, "draughts")

    def test_data(self) -> None:
        """
        The number and length of a member's attributes are limited. An empty value removes
        an attribute.
        """
        self.begin(maxData=2, maxName=5)
        one, _ = self.join(name="one")
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
        A room can have separate limits, configured by name or assigned later. Other rooms
        have the limits of the lobby.
        """
        usual = RoomLimits(maxMembers=3, maxData=1)
        own = {
            "duel": replace(usual, maxMembers=2, maxData=2, resume=10, maxMissed=1),
        }
        self.lobby = Lobby(usual, self.clock, roomLimits=own)
        for name, members in [("chess", 3), ("duel", 2)]:
            for _ in range(members):
                self.join(name)
            self.assertRefused("full", self.join, name)
        chess, duel = self.lobby.rooms.values()
        self.assertEqual((chess.limits, duel.limits), (usual, own["duel"]))
        chess.limits = replace(usual, maxMembers=4)
        self.join("chess")
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

    def test_wrongTypes(self) -> None:
        """
        The name of a room, and a message that is text, are refused in one sentence.
        """
        self.begin()
        self.join("chess")
        announce: Any = self.lobby.announce
        text = "room must be a Room, such as self.member.room, not 'chess'"
        with self.assertRaisesRegex(TypeError, text):
            announce("chess", b"x\0")
        text = "message must be bytes with a NUL terminator, such as .*, not 'hello'"
        with self.assertRaisesRegex(TypeError, text):
            announce(self.lobby.rooms["chess"], "hello")
        self.assertEqual(self.lobby.deliveries, 0)


class ResumeTests(LobbyTestCase):
    """
    Disconnected members can resume their membership.
    """

    def setUp(self) -> None:
        self.begin(resume=10.0, maxMissed=3, maxMissedBytes=10)

    def test_token(self) -> None:
        """
        Each member has another token, of 128 random bits.
        """
        tokens = {self.join()[0].token for _ in range(100)}
        self.assertEqual(len(tokens), 100)
        self.assertEqual({len(urlsafe_b64decode(f"{each}==")) for each in tokens}, {16})
        bits = [0] * 128
        for each in tokens:
            number = int.from_bytes(urlsafe_b64decode(f"{each}=="))
            bits = [count + (number >> place & 1) for place, count in enumerate(bits)]
        self.assertTrue(all(0 < count < 100 for count in bits), bits)

    def test_resume(self) -> None:
        """
        A member that resumes with its token gets its missed messages, and then receives
        new ones.
        """
        one, _ = self.join(name="one")
        two, _ = self.join(name="two")
        self.lobby.suspend(two)
        self.assertFalse(two.connected)
        self.lobby.send(one, b"a")
        self.clock.advance(9.9)
        recipient = RecordingRecipient()
        self.assertIs(self.lobby.resume(two.token, recipient), two)
        self.assertEqual(self.lobby.takeMissed(two), [b"a"])
        self.clock.advance(100)
        self.lobby.send(one, b"b")
        self.assertEqual(recipient.received, [b"b"])

    def test_tooLate(self) -> None:
        """
        A membership expires after the resume time.
        """
        one, _ = self.join(name="one")
        self.lobby.suspend(one)
        self.clock.advance(10)
        self.assertRefused("token", self.lobby.resume, one.token, RecordingRecipient())
        self.assertEqual(self.lobby.rooms, {})

    def test_withoutTime(self) -> None:
        """
        Without a resume time, a disconnected member leaves immediately. Disconnecting it
        again does nothing.
        """
        self.begin()
        one, _ = self.join()
        self.lobby.suspend(one)
        self.lobby.suspend(one)
        self.assertEqual(self.lobby.rooms, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """
        The newest missed messages are kept, limited by number and bytes. The dropped
        messages are counted.
        """
        one, _ = self.join(name="one")
        two, _ = self.join(name="two")
        self.lobby.suspend(two)
        for message in (b"a", b"b", b"c", b"d", b"123456789", b"x" * 11):
            self.lobby.send(one, message)
        self.lobby.send(one, b"e")
        self.assertEqual(two.lost, 6)
        self.lobby.resume(two.token, RecordingRecipient())
        self.assertEqual(self.lobby.takeMissed(two), [b"e"])
        self.assertEqual((two.lost, two.missedBytes), (0, 0))

    def test_keptOnce(self) -> None:
        """
        A message is stored once for all disconnected members.
        """
        one, two, three = (self.join(name=name)[0] for name in ("one", "two", "three"))
        self.lobby.suspend(two)
        self.lobby.suspend(three)
        self.lobby.send(one, bytes(bytearray(b"abc")))
        [first], [second] = self.lobby.takeMissed(two), self.lobby.takeMissed(three)
        self.assertIs(first, second)

    def test_replaced(self) -> None:
        """
        A replaced connection is notified, and receives no further messages.
        """
        one, before = self.join(name="one")
        two, _ = self.join(name="two")
        after = RecordingRecipient()
        self.lobby.resume(one.token, after)
        self.lobby.send(two, b"a")
        self.assertTrue(before.isReplaced)
        self.assertEqual((before.received, after.received), ([], [b"a"]))

    def test_unlimited(self) -> None:
        """
        A limit of 0 means unlimited.
        """
        names = ("maxRooms", "maxMembers", "maxName", "maxData", "maxKept")
        self.begin(resume=10.0, maxMissed=0, maxMissedBytes=0, **dict.fromkeys(names, 0))
        members = [self.join("x" * 1000, name=f"{number}")[0] for number in range(3)]
        self.join("other room")
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
        When the maximum number of memberships is kept, a disconnected member leaves. This
        is counted, and logged once until a membership is resumed.
        """
        self.begin(resume=10.0, maxKept=1)
        one, two, three, four, five = (self.join(name=name)[0] for name in "12345")
        with capturedLogs() as logs:
            for member in (one, two, three):
                self.lobby.suspend(member)
        self.assertEqual((two.room, three.room, self.lobby.notKept), (None, None, 2))
        [line] = linesOf(logs)
        self.assertIn("the limit of 1 kept memberships is reached (--max-kept)", line)
        self.lobby.resume(one.token, RecordingRecipient())
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
        When the lobby ends, all kept memberships end.
        """
        one, _ = self.join(name="one")
        two, _ = self.join(name="two")
        self.lobby.suspend(one)
        self.lobby.end()
        self.assertIsNone(one.room)
        self.lobby.suspend(two)
        self.assertIsNone(two.room)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_leaveWhileLeaving(self) -> None:
        """
        An observer of a leaving member can let another member leave.
        """
        one, _ = self.join(name="one")
        two, _ = self.join(name="two")

        class Following(LobbyObserver):
            def left(self, member: Member, room: Room) -> None:
                lobby.leave(two)

        lobby = self.lobby
        lobby.observers.append(Following())
        lobby.leave(one)
        self.assertEqual(lobby.rooms, {})

    def test_leaveWhileDisconnected(self) -> None:
        """
        A disconnected member can leave: its timer is cancelled, and its missed messages
        are dropped.
        """
        one, _ = self.join(name="one")
        self.lobby.suspend(one)
        self.lobby.leave(one)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.lobby.deliver(one, b"late")
        self.assertEqual(len(one.missed), 0)


class LobbyMachine(RuleBasedStateMachine):
    """
    Calls the methods of a lobby in any order.
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
        Join a room, or be refused because of a limit.
        """
        try:
            self.known.append(self.lobby.join(room, RecordingRecipient(), name))
        except LobbyError as problem:
            assert problem.code in ("full", "rooms", "taken")

    @rule(index=st.integers(0, 20), action=st.sampled_from(["leave", "suspend", "say", "resume"]))
    def act(self, index: int, action: str) -> None:
        """
        Call a method of the lobby with a known member.
        """
        if not self.known:
            return
        member = self.known[index % len(self.known)]
        try:
            if action == "say":
                self.lobby.send(member, b"hello")
            elif action == "resume":
                self.lobby.resume(member.token, RecordingRecipient())
                self.lobby.takeMissed(member)
            else:
                getattr(self.lobby, action)(member)
        except LobbyError as problem:
            assert problem.code in ("room", "token")

    @rule(seconds=st.floats(0, 6))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def isConsistent(self) -> None:
        """
        Rooms are not empty, members and rooms refer to each other, and no limit is
        exceeded.
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
    def test_machine(self) -> None:
        """
        The lobby stays consistent for any sequence of calls.
        """
        run_state_machine_as_test(LobbyMachine)


class FaultTests(LobbyTestCase):
    """
    Exceptions raised by recipients and observers.
    """

    def test_recipient(self) -> None:
        """
        An exception of a recipient is logged, and the other members receive the message.
        """

        class RaisingRecipient(RecordingRecipient):
            def deliverMessage(self, message: bytes) -> None:
                raise ValueError("a fault of the user's")

        speaker = self.lobby.join("chess", RecordingRecipient())
        self.lobby.join("chess", RaisingRecipient())
        last = RecordingRecipient()
        self.lobby.join("chess", last)
        self.lobby.send(speaker, b"hello\0")
        self.assertEqual(last.received, [b"hello\0"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_observer(self) -> None:
        """
        An exception of an observer is logged. The member joins and leaves, the room
        closes, and the next observer is notified.
        """

        class RaisingObserver(LobbyObserver):
            def joined(self, member: Member, room: Room) -> None:
                raise ValueError("a fault of the user's")

            def left(self, member: Member, room: Room) -> None:
                raise ValueError("a fault of the user's")

        recorder = RecordingObserver()
        self.lobby.observers = [RaisingObserver(), recorder]
        self.lobby.leave(self.lobby.join("chess", RecordingRecipient(), "Ann"))
        self.assertEqual(self.lobby.rooms, {})
        self.assertEqual(
            recorder.lines, ["chess opened", "Ann joined chess", "Ann left chess", "chess closed"]
        )
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)

    def test_removed(self) -> None:
        """
        An exception of a removed connection is logged, and the other members are removed, too.
        """

        class RaisingRecipient(RecordingRecipient):
            def removed(self, reason: str) -> None:
                raise ValueError("a fault of the user's")

        member = self.lobby.join("chess", RaisingRecipient())
        _, other = self.join()
        assert member.room is not None
        self.assertEqual(self.lobby.closeRoom(member.room, "closed"), 2)
        self.assertEqual(other.reasons, ["closed"])
        self.assertEqual(self.lobby.rooms, {})
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_replaced(self) -> None:
        """
        An exception of the replaced connection is logged, and the new connection has the
        membership.
        """

        class RaisingRecipient(RecordingRecipient):
            def replaced(self) -> None:
                raise ValueError("a fault of the user's")

        member = self.lobby.join("chess", RaisingRecipient())
        after = RecordingRecipient()
        self.assertIs(self.lobby.resume(member.token, after), member)
        self.assertIs(member.recipient, after)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class CloseTests(LobbyTestCase):
    """
    L{Lobby.closeRoom}.
    """

    def close(self, name: str = "chess") -> int:
        """
        Close a room, and return the number of its members.
        """
        return self.lobby.closeRoom(self.lobby.rooms[name], "too loud")

    def test_close(self) -> None:
        """
        All members of the room are removed and notified, and no others. Observers are notified
        that each member has left, then that the room is closed.
        """
        (ann, one), (ben, two) = self.join(name="Ann"), self.join(name="Ben")
        _, other = self.join("go", "Ann")
        observer = RecordingObserver()
        self.lobby.observers.append(observer)
        self.assertEqual(self.close(), 2)
        self.assertEqual(
            (one.reasons, two.reasons, other.reasons), (["too loud"], ["too loud"], [])
        )
        self.assertEqual((ann.room, ben.room, ann.recipient), (None, None, None))
        self.assertEqual(observer.lines, ["Ann left chess", "Ben left chess", "chess closed"])
        self.assertEqual((set(self.lobby.rooms), self.lobby.members), ({"go"}, 1))
        self.lobby.leave(ann)

    def test_resume(self) -> None:
        """
        Disconnected members cannot resume. The messages kept for them are lost.
        """
        self.begin(resume=10)
        member, _ = self.join()
        other, _ = self.join()
        self.lobby.suspend(member)
        self.lobby.send(other, b"x\0")
        self.close()
        self.assertRefused("token", self.lobby.resume, member.token, RecordingRecipient())
        self.assertEqual((self.lobby.lost, self.clock.getDelayedCalls()), (1, []))

    def test_again(self) -> None:
        """
        A member that joins again while the room is closed is in the room afterwards.
        """
        lobby = self.lobby

        class ReturningRecipient(RecordingRecipient):
            def removed(self, reason: str) -> None:
                self.member = lobby.join("chess", RecordingRecipient(), "Ann")

        recipient = ReturningRecipient()
        lobby.join("chess", recipient, "Ann")
        self.join(name="Ben")
        self.assertEqual(self.close(), 2)
        self.assertEqual(list(lobby.rooms["chess"].members), ["Ann"])
        lobby.leave(recipient.member)
        self.assertEqual(lobby.rooms, {})

    def test_observer(self) -> None:
        """
        An observer can remove the other members while the room is closed.
        """
        lobby = self.lobby
        members = [self.join()[0] for _ in range(3)]

        class LeavingObserver(LobbyObserver):
            def left(self, member: Member, room: Room) -> None:
                for each in members:
                    lobby.leave(each)

        lobby.observers.append(LeavingObserver())
        self.assertEqual(self.close(), 3)
        self.assertEqual((lobby.rooms, lobby.members), ({}, 0))
