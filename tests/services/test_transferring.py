"""
Tests for L{openfl_twisted.services.transferring}.
"""

import json

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import RoomLimits
from openfl_twisted.services.transferring import MembershipTransfer
from openfl_twisted.workers.link import MAX_LENGTH
from tests.doubles import linesOf
from tests.support.recipients import RecordingObserver, RecordingRecipient


class TransferTests(SynchronousTestCase):
    """
    L{MembershipTransfer}.
    """

    def setUp(self) -> None:
        self.closed = 0
        limits = RoomLimits(resume=10.0, maxMissedBytes=0)
        self.old, self.new = (Lobby(limits, Clock()) for _ in "ab")
        self.exporting = MembershipTransfer(self.old, self.close).answers()["export"]
        self.importing = MembershipTransfer(self.new, self.close).answers()["import"]

    def close(self) -> None:
        self.closed += 1

    def test_nothing(self) -> None:
        """
        Without members, the ports are not closed.
        """
        self.assertEqual(self.exporting(), [])
        self.assertEqual(self.closed, 0)

    def test_parts(self) -> None:
        """
        Many memberships are exported in several parts, which fit into responses. After the last
        part, the old lobby no longer notifies its observers.
        """
        members = [self.old.join("chess", RecordingRecipient()) for _ in range(20)]
        for member in members:
            self.old.suspend(member)
            self.old.deliver(member, b"\xff" * (MAX_LENGTH // 100))
        self.old.observers.append(RecordingObserver())
        parts = []
        while part := json.dumps(self.exporting()):
            if part == "[]":
                break
            parts.append(part)
            self.assertEqual(len(self.old.observers), 1)
        self.assertEqual(self.old.observers, [])
        self.assertEqual(self.closed, 1)
        self.assertTrue(1 < len(parts) < 20)
        for part in parts:
            self.assertLess(len(part), MAX_LENGTH)
            self.assertEqual(self.importing(json.loads(part)), 0)
        tokens = [each.token for each in self.new.rooms["chess"].members.values()]
        self.assertEqual(tokens, [each.token for each in members])

    def test_tooLong(self) -> None:
        """
        A membership that is too long for a response is not exported.
        """
        one, two = (self.old.join("chess", RecordingRecipient()) for _ in range(2))
        self.old.suspend(one)
        self.old.deliver(one, b"x" * MAX_LENGTH)
        with capturedLogs() as logs:
            [plain] = self.exporting()
        self.assertEqual(plain["name"], two.name)
        self.assertIn(f"membership of {one.name} dropped: longer than", linesOf(logs)[0])

    def test_dropped(self) -> None:
        """
        Memberships that are invalid or cannot be continued are counted.
        """
        self.old.join("chess", RecordingRecipient(), "ann")
        self.new.join("chess", RecordingRecipient(), "ann")
        self.assertEqual(self.importing([*self.exporting(), {}, "x"]), 3)
        self.assertEqual(self.new.members, 1)
