"""
Presence: the members of rooms on all nodes.
"""

from typing import NamedTuple, Protocol, runtime_checkable

from twisted.internet.defer import Deferred, succeed


class Present(NamedTuple):
    """
    A member of a room.

    @ivar node: the name of the member's node.
    @ivar member: the name of the member, unique on its node.
    @ivar data: further data of the member.
    """

    node: bytes
    member: str
    data: bytes


@runtime_checkable
class IPresence(Protocol):
    """
    The members of rooms on all nodes. Each node registers its own members. The members of a
    crashed node expire. There is no implementation for NATS, because NATS stores no data.
    """

    def start(self) -> Deferred[bool]:
        """
        Connect to the broker. Failed attempts are repeated.

        @return: fires when the first connection attempt has ended: with C{True} if the attempt
            has succeeded, otherwise with C{False}.
        """

    def stop(self) -> Deferred[None]:
        """
        Remove all members of this node, and disconnect.

        @return: fires when the connection is closed.
        """

    def set(self, room: str, member: str, data: bytes) -> None:
        """
        Register a member on this node, or replace the data of a registered member. After a
        reconnect, the implementation registers all members again.

        @param room: the name of the room.
        @param member: the name of the member, unique on this node.
        """

    def remove(self, room: str, member: str) -> None:
        """
        Remove a member on this node; do nothing if the member is not registered.

        @param room: the name of the room.
        """

    def membersOf(self, room: str) -> Deferred[list[Present]]:
        """
        Look up the members of a room.

        @param room: the name of the room; it need not exist.
        @return: fires with the members on all nodes, or only with the members on this node if
            the broker cannot be reached.
        """


class Members:
    """
    The members of one node, by room.

    @ivar node: the name of the node.
    @ivar rooms: the data of each member, by the name of the room and the name of the
        member. No room is empty.
    """

    def __init__(self, node: bytes) -> None:
        self.node = node
        self.rooms: dict[str, dict[str, bytes]] = {}

    def set(self, room: str, member: str, data: bytes) -> None:
        """
        Add a member to a room, or replace the member's data.
        """
        self.rooms.setdefault(room, {})[member] = data

    def remove(self, room: str, member: str) -> bool:
        """
        Remove a member from a room.

        @return: whether the member was registered.
        """
        members = self.rooms.get(room, {})
        if members.pop(member, None) is None:
            return False
        if not members:
            del self.rooms[room]
        return True

    def of(self, room: str) -> list[Present]:
        """
        Return the members of a room.

        @param room: the name of the room; it need not exist.
        @return: the members in the order in which they were added.
        """
        members = self.rooms.get(room, {})
        return [Present(self.node, member, data) for member, data in members.items()]


class MemoryPresence:
    """
    An L{IPresence} with the members of rooms on all nodes of one process.
    """

    def __init__(self, node: bytes, board: list[Members] | None = None) -> None:
        """
        @param board: a list shared by all nodes; C{None} for a single node.
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
