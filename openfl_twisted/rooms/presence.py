"""
Who is where, on all nodes together.
"""

# The methods of an interface have no self.
# ruff: noqa: N805

from typing import NamedTuple

from twisted.internet.defer import Deferred, succeed
from zope.interface import Interface, implementer


class Present(NamedTuple):
    """
    Somebody who is in a room.

    @ivar node: on which node.
    @ivar member: who it is; a name that is used once on each node.
    @ivar data: what is to be known of that member.
    """

    node: bytes
    member: str
    data: bytes


class IPresence(Interface):
    """
    Who is where, on all nodes together. A node writes down its own members; what
    a node has written that is no more is forgotten after a while.

    There is none through NATS, which keeps nothing.
    """

    def start() -> Deferred[bool]:
        """
        Begin.

        @return: fires when the first attempt to reach the others has ended, with
            whether they are reached; if not, it goes on trying.
        """

    def stop() -> Deferred[None]:
        """
        Take all own members away, and end.

        @return: fires when it is done.
        """

    def set(room: str, member: str, data: bytes) -> None:
        """
        Write down that a member of this node is in a room, or what is to be known
        of that member now. It is written again when the others are reached again.

        @param room: the name of the room.
        @param member: the name of the member, which is used once on each node.
        @param data: what is to be known of it; any bytes.
        """

    def remove(room: str, member: str) -> None:
        """
        Write down that a member is there no more; it is no error if that was not
        the case.

        @param room: the name of the room.
        @param member: what L{set} was given.
        """

    def membersOf(room: str) -> Deferred[list[Present]]:
        """
        Look up who is in a room.

        @param room: its name; nobody has to be in it.
        @return: fires with the members of all nodes; with those of this one, if
            the others cannot be reached.
        """


class Members:
    """
    The members of one node, by room.

    @ivar node: the name of the node.
    @ivar rooms: what is to be known of each member, by the names of rooms and
        members. No room is empty.
    """

    def __init__(self, node: bytes) -> None:
        self.node = node
        self.rooms: dict[str, dict[str, bytes]] = {}

    def set(self, room: str, member: str, data: bytes) -> None:
        """
        Write down a member.

        @param room: the name of the room.
        @param member: the name of the member; one that is there already has new
            data.
        @param data: what is to be known of it.
        """
        self.rooms.setdefault(room, {})[member] = data

    def remove(self, room: str, member: str) -> bool:
        """
        Take a member away.

        @param room: the name of the room; it is forgotten with its last member.
        @param member: what L{set} was given.
        @return: whether it was there.
        """
        members = self.rooms.get(room, {})
        if members.pop(member, None) is None:
            return False
        if not members:
            del self.rooms[room]
        return True

    def of(self, room: str) -> list[Present]:
        """
        List who is in a room.

        @param room: its name; nobody has to be in it.
        @return: its members, in the order in which they came.
        """
        members = self.rooms.get(room, {})
        return [Present(self.node, member, data) for member, data in members.items()]


@implementer(IPresence)
class MemoryPresence:
    """
    Who is where, on the nodes in one process.
    """

    def __init__(self, node: bytes, board: list[Members] | None = None) -> None:
        """
        @param node: the name of this node.
        @param board: a list that is shared with the others; C{None} for no
            others.
        """
        self._members = Members(node)
        self._board = [] if board is None else board

    def start(self) -> Deferred[bool]:
        self._board.append(self._members)
        return succeed(True)

    def stop(self) -> Deferred[None]:
        self._members.rooms.clear()
        if self._members in self._board:
            self._board.remove(self._members)
        return succeed(None)

    def set(self, room: str, member: str, data: bytes) -> None:
        self._members.set(room, member, data)

    def remove(self, room: str, member: str) -> None:
        self._members.remove(room, member)

    def membersOf(self, room: str) -> Deferred[list[Present]]:
        return succeed([present for each in self._board for present in each.of(room)])
