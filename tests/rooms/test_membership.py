"""
Tests for L{openfl_twisted.rooms.membership}, and for memberships that are continued in another
lobby.
"""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.membership import Membership
from openfl_twisted.rooms.room import LobbyError, RoomLimits
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from tests.doubles import linesOf
from tests.rooms.roomclient import Client
from tests.support.recipients import RecordingObserver, RecordingRecipient

ANN = Membership("chess", "ann", "t1", {"color": "red"}, (b"a\0", b"\xff\0"), 3, 5.0)

MEMBERSHIPS = st.builds(
    Membership,
    st.text(),
    st.text(),
    st.text(min_size=1, max_size=64),
    st.dictionaries(st.text(), st.text()),
    st.lists(st.binary()),
    st.integers(0),
    st.floats(0, allow_nan=False, allow_infinity=False),
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda values: st.lists(values) | st.dictionaries(st.text(), values),
    max_leaves=5,
)


class PlainTests(SynchronousTestCase):
    """
    Memberships as values for JSON.
    """

    @given(MEMBERSHIPS)
    def test_roundTrip(self, membership: Membership) -> None:
        """
        A membership is decoded unchanged.
        """
        plain = json.loads(json.dumps(membership.toPlain()))
        self.assertEqual(Membership.fromPlain(plain), membership)

    @given(st.sampled_from(sorted(ANN.toPlain())), JSON)
    def test_anyValue(self, key: str, value: Any) -> None:
        """
        A value of another type is refused, and any other value can be imported or refused.
        """
        clock = Clock()
        lobby = Lobby(RoomLimits(resume=9.0), clock)
        try:
            lobby.importMember(Membership.fromPlain({**ANN.toPlain(), key: value}))
        except (LobbyError, ValueError):
            self.assertEqual(lobby.rooms, {})
        self.assertEqual(lobby.members, len(clock.getDelayedCalls()))

    def test_invalid(self) -> None:
        """
        Missing and invalid values are refused.
        """
        plain = ANN.toPlain()
        wrong: dict[str, list[Any]] = {
            "token": ["", "x" * 65, 1],
            "lost": [-1, "1"],
            "remaining": [-0.1, float("nan")],
            "data": [{"a": 1}, []],
            "missed": [[1], ["\u0100"]],
        }
        for key, values in wrong.items():
            for value in values:
                self.assertRaises(ValueError, Membership.fromPlain, {**plain, key: value})
        for key in plain:
            fewer = {other: value for other, value in plain.items() if other != key}
            self.assertRaises(ValueError, Membership.fromPlain, fewer)
        self.assertRaises(ValueError, Membership.fromPlain, [])


class ContinueTests(SynchronousTestCase):
    """
    Export from a lobby, and import into another lobby.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.old = self.lobby(resume=10.0)
        self.new = self.lobby(resume=10.0)

    def lobby(self, **limits: Any) -> Lobby:
        return Lobby(RoomLimits(**limits), self.clock)

    def assertDropped(self, lobby: Lobby, code: str, membership: Membership = ANN) -> None:
        """
        Check that a membership is refused, and not kept.
        """
        before = lobby.members, len(self.clock.getDelayedCalls())
        with self.assertRaises(LobbyError) as caught:
            lobby.importMember(membership)
        self.assertEqual(caught.exception.code, code)
        self.assertEqual((lobby.members, len(self.clock.getDelayedCalls())), before)

    def test_continue(self) -> None:
        """
        All memberships continue with their tokens, attributes and missed messages. A connected
        member has the whole time to resume, a disconnected one the remaining time.
        """
        ann = self.old.join("chess", RecordingRecipient(), "ann")
        ben = self.old.join("chess", RecordingRecipient(), "ben")
        self.old.setAttribute(ben, "color", "red")
        self.old.suspend(ben)
        self.old.send(ann, b"hello\0")
        ben.lost = 2
        self.clock.advance(6)
        for each in self.old.exportMembers():
            self.assertFalse(self.new.importMember(each).connected)
        # An observer of the lobby in use is not notified of members that have not left.
        observer = RecordingObserver()
        self.old.observers.append(observer)
        self.old.endExport()
        self.old.end()
        self.assertEqual(observer.lines, [])
        self.assertEqual(list(self.new.rooms["chess"].members), ["ann", "ben"])
        recipient = RecordingRecipient()
        self.clock.advance(3.9)
        again = self.new.resume(ben.token, recipient)
        self.assertEqual((again.name, again.data, again.lost), ("ben", {"color": "red"}, 2))
        self.assertEqual(self.new.takeMissed(again), [b"hello\0"])
        self.clock.advance(6)
        self.new.send(self.new.resume(ann.token, RecordingRecipient()), b"hi\0")
        self.assertEqual(recipient.received, [b"hi\0"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_expiry(self) -> None:
        """
        A membership that is not resumed expires, at the latest after the time of the new
        lobby.
        """
        self.new.importMember(ANN)
        self.new.importMember(replace(ANN, name="ben", token="t2", remaining=1e9))
        self.clock.advance(5)
        self.assertEqual(list(self.new.rooms["chess"].members), ["ben"])
        self.clock.advance(5)
        self.assertEqual(self.new.rooms, {})

    def test_withoutTime(self) -> None:
        """
        Without a resume time, nothing is exported or imported.
        """
        lobby = self.lobby()
        lobby.join("chess", RecordingRecipient())
        self.assertEqual(lobby.exportMembers(), [])
        self.assertDropped(lobby, "token")
        self.new.end()
        self.assertDropped(self.new, "token")

    def test_conflicts(self) -> None:
        """
        A membership is refused if its name or token is in use in the new lobby.
        """
        self.new.join("chess", RecordingRecipient(), "ann")
        self.assertDropped(self.new, "taken")
        self.new.importMember(replace(ANN, name="ben"))
        self.assertDropped(self.new, "token", replace(ANN, name="cid"))

    def test_limits(self) -> None:
        """
        The limits of the new lobby apply. Attributes and missed messages above its limits are
        dropped.
        """
        self.assertDropped(self.new, "name", replace(ANN, room="\n"))
        self.assertDropped(self.lobby(resume=10.0, maxName=2), "name")
        limits = {"maxRooms": ("rooms", "go"), "maxMembers": ("full", "chess")}
        for limit, (code, room) in limits.items():
            lobby = self.lobby(resume=10.0, **{limit: 1})
            lobby.importMember(ANN)
            self.assertDropped(lobby, code, replace(ANN, room=room, name="ben", token="t2"))
        lobby = self.lobby(resume=10.0, maxKept=1)
        lobby.importMember(ANN)
        with capturedLogs() as logs:
            self.assertDropped(lobby, "token", replace(ANN, name="ben", token="t2"))
        self.assertIn("the limit of 1 kept memberships", linesOf(logs)[0])
        self.assertEqual(lobby.notKept, 1)
        lobby = self.lobby(resume=10.0, maxMissed=1, maxData=1)
        member = lobby.importMember(replace(ANN, data={"a": "1", "b": "2"}))
        self.assertEqual((list(member.missed), member.lost), ([b"\xff\0"], 4))
        self.assertEqual(member.data, {"a": "1"})

    def test_observers(self) -> None:
        """
        Observers are notified as of a member that joins.
        """
        observer = RecordingObserver()
        self.new.observers.append(observer)
        self.new.importMember(ANN)
        self.assertEqual(observer.lines, ["chess opened", "ann joined chess"])


class ClientTests(SynchronousTestCase):
    """
    Clients of lobbies whose memberships are continued.
    """

    def setUp(self) -> None:
        self.clock = Clock()
        self.old, self.new = (
            RoomFactory(XMLRoomProtocol, Lobby(RoomLimits(resume=10.0), self.clock), announces=True)
            for _ in "ab"
        )

    def test_held(self) -> None:
        """
        After the export, the messages of clients are held, and dropped when the connection is
        closed. Messages from the server are still sent.
        """
        ann, ben = (Client(self.old) for _ in range(2))
        ann.send('<join room="chess" name="ann"/>')
        ben.send('<join room="chess" name="ben"/>')
        ben.read()
        self.old.lobby.exportMembers()
        ann.send("1", "2")
        self.old.lobby.announce(self.old.lobby.rooms["chess"], b"news\0")
        self.assertEqual(ben.read(), ["news"])
        self.old.lobby.endExport()
        self.old.lobby.end()
        for client in (ann, ben):
            client.protocol.transport.loseConnection()
        ann.read()
        self.assertEqual(ben.read(), [])
        for client in (ann, ben):
            self.assertTrue(client.transport.closed)
        self.assertEqual(self.old.lobby.rooms, {})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_announced(self) -> None:
        """
        A client that joined the new lobby before the import and the imported members are
        announced to each other. Imported members are not announced to each other.
        """
        clients = [Client(self.old) for _ in range(2)]
        for client, name in zip(clients, ("ann", "ben"), strict=True):
            client.send(f'<join room="chess" name="{name}"/>')
        early = Client(self.new)
        early.send('<join room="chess" name="cid"/>')
        early.read()
        [ann, _] = [self.new.lobby.importMember(each) for each in self.old.lobby.exportMembers()]
        self.assertEqual(early.read(), ['<joined name="ann" />', '<joined name="ben" />'])
        again = Client(self.new)
        again.send(f'<resume token="{ann.token}"/>')
        [welcome, joined] = again.read()
        self.assertIn('name="ann"', welcome)
        self.assertEqual(joined, '<joined name="cid" />')
