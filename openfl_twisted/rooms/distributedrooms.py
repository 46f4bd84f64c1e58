"""
Distributed rooms: messages sent to a room on one node are delivered to the room of
the same name on every node.

Delivery is at most once: messages for a node that cannot be reached are lost. While the
broker is down, members on the same node still receive each other's messages.
"""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure

from openfl_twisted.logs import packageLogger
from openfl_twisted.rooms import vocabulary
from openfl_twisted.rooms.lobby import Lobby, LobbyObserver, RemoteRooms
from openfl_twisted.rooms.presence import IPresence, Present
from openfl_twisted.rooms.pubsub import IPubSub
from openfl_twisted.rooms.room import Member, Room
from openfl_twisted.transports.fanout import FanOutQueue

_ALL, _ONE = b"A", b"T"


class DistributedRooms(LobbyObserver, RemoteRooms):
    """
    Connects the rooms of a lobby to the rooms with the same names on other nodes. It is an
    L{IPubSubListener}.
    """

    log = packageLogger()

    def __init__(
        self,
        lobby: Lobby,
        pubSub: IPubSub,
        presence: IPresence | None = None,
        *,
        announces: bool = False,
    ) -> None:
        """
        @param pubSub: sends messages to the other nodes.
        @param presence: the lists of members on all nodes; C{None} if only the members on this
            node are known.
        @param announces: whether to send members the XML element C{gap} when messages from
            other nodes were lost.
        """
        self._lobby = lobby
        self._pubSub = pubSub
        self._presence = presence
        self._announces = announces
        # The callbacks to call when the broker is no longer congested.
        self._blocked: list[Callable[[], object]] = []
        # For each room with a running lookup: the Deferreds to fire with the result of the next
        # lookup.
        self._asking: dict[str, list[Deferred[list[str]]]] = {}
        # The messages from other nodes that take long to deliver.
        self._fanOuts = FanOutQueue(lobby.clock, pubSub.pauseReading, pubSub.resumeReading)
        lobby.observers.append(self)
        lobby.remoteRooms = self
        pubSub.addListener(self)

    # From this node to other nodes

    def roomOpened(self, room: Room) -> None:
        self._pubSub.subscribe(_topic(room.name), partial(self._arrived, room))

    def roomClosed(self, room: Room) -> None:
        self._pubSub.unsubscribe(_topic(room.name))

    def joined(self, member: Member, room: Room) -> None:
        if self._presence is not None:
            self._presence.set(room.name, member.name, b"")

    def left(self, member: Member, room: Room) -> None:
        if self._presence is not None:
            self._presence.remove(room.name, member.name)

    def others(self, room: Room) -> Deferred[list[str]]:
        """
        Look up the members of a room on other nodes. Only one lookup per room runs at a time.
        A call during a lookup waits for another lookup, because the running lookup may have
        missed a change.
        """
        if self._presence is None:
            return succeed([])
        answer: Deferred[list[str]] = Deferred()
        following = self._asking.get(room.name)
        if following is None:
            self._lookUp(self._presence, room.name, [answer])
        else:
            following.append(answer)
        return answer

    def _lookUp(self, presence: IPresence, name: str, asking: list[Deferred[list[str]]]) -> None:
        node = self._pubSub.node
        self._asking[name] = []

        def namesOf(present: list[Present]) -> list[str]:
            return [each.member for each in present if each.node != node]

        def failed(problem: Failure) -> list[str]:
            self.log.failure("error while looking up the members of a room", problem)
            return []

        def answer(names: list[str]) -> None:
            following = self._asking.pop(name)
            if following:
                self._lookUp(presence, name, following)
            for each in asking:
                each.callback(names)

        looking = maybeDeferred(presence.membersOf, name)
        looking.addCallback(namesOf).addErrback(failed).addCallback(answer)

    def messageSent(self, room: Room, message: bytes) -> None:
        self._pubSub.publish(_topic(room.name), _ALL + message)

    def sendTo(self, room: Room, name: str, message: bytes) -> None:
        self._pubSub.publish(_topic(room.name), _ONE + name.encode() + b"\0" + message)

    # From other nodes to this node

    def _arrived(self, room: Room, payload: bytes) -> None:
        kind, rest = payload[:1], payload[1:]
        if kind == _ALL:
            self._lobby.deliverTo(room, rest, sender=self._fanOuts)
        elif kind == _ONE:
            name, _, message = rest.partition(b"\0")
            member = room.members.get(name.decode(errors="replace"))
            if member is None:
                return
            if self._fanOuts.isBlocked:
                # The message must not overtake a previous message.
                self._fanOuts.fanOut((member,), partial(self._deliver, message), len(message))
            else:
                self._lobby.deliver(member, message)

    def _deliver(self, message: bytes, member: Member) -> None:
        if member.room is not None:
            self._lobby.deliver(member, message)

    # Do nothing: the rooms on this node work without the broker.

    def up(self) -> None:
        pass

    def down(self, reason: str) -> None:
        pass

    @property
    def congested(self) -> bool:
        return self._pubSub.congested

    def whenDrained(self, callback: Callable[[], object]) -> None:
        self._blocked.append(callback)

    def drained(self) -> None:
        blocked, self._blocked = self._blocked, []
        for callback in blocked:
            callback()

    def gap(self, topic: str, node: bytes, missed: int) -> None:
        if self._announces:
            # Iterate over a copy, because a delivery can close a room.
            for room in list(self._lobby.rooms.values()):
                if _topic(room.name) == topic:
                    self._lobby.deliverTo(room, vocabulary.gap(missed), sender=self._fanOuts)


def _topic(name: str) -> str:
    """
    Return the topic of a room. The topic only contains characters that every broker accepts.
    """
    return f"openfl.room.{name.encode().hex()}"
