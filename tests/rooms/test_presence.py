"""
Tests for L{openfl_twisted.rooms.presence}.
"""

from twisted.trial.unittest import SynchronousTestCase

from openfl_twisted.rooms.presence import IPresence, Members, MemoryPresence, Present

NODE, OTHER = b"n" * 16, b"o" * 16


class MemoryPresenceTests(SynchronousTestCase):
    """
    L{MemoryPresence} connects the nodes of one process.
    """

    def test_presence(self) -> None:
        """
        All nodes see the members of all nodes, until a member is removed or its node
        stops.
        """
        board: list[Members] = []
        one, other = MemoryPresence(NODE, board), MemoryPresence(OTHER, board)
        self.assertIsInstance(one, IPresence)
        for each in (one, other):
            self.assertTrue(self.successResultOf(each.start()))
        one.set("hall", "ann", b"1")
        one.set("hall", "ann", b"2")
        other.set("hall", "bob", b"3")
        other.set("attic", "bob", b"4")
        ann, bob = Present(NODE, "ann", b"2"), Present(OTHER, "bob", b"3")
        self.assertEqual(self.successResultOf(one.membersOf("hall")), [ann, bob])
        one.remove("hall", "ann")
        one.remove("hall", "ann")
        self.assertEqual(self.successResultOf(one.membersOf("hall")), [bob])
        self.successResultOf(other.stop())
        self.successResultOf(other.stop())
        self.assertEqual(self.successResultOf(one.membersOf("hall")), [])

    def test_alone(self) -> None:
        """
        A node works without other nodes.
        """
        presence = MemoryPresence(NODE)
        presence.start()
        presence.set("hall", "ann", b"1")
        self.assertEqual(len(self.successResultOf(presence.membersOf("hall"))), 1)
