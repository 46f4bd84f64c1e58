"""
Rooms that reach over several machines: what is said in a room of one is heard in
the room of the same name on the others.

Nothing is kept for a machine that cannot be reached: each message arrives at
most once. While the relay is down every machine goes on with its own members.
"""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from openfl_twisted.logs import packageLogger
from openfl_twisted.rooms import vocabulary
from openfl_twisted.rooms.lobby import Lobby, Watcher
from openfl_twisted.rooms.presence import IPresence, Present
from openfl_twisted.rooms.relay import IRelay, IRelayListener
from openfl_twisted.rooms.room import Member, Room

_ALL, _ONE = b"A", b"T"


@implementer(IRelayListener)
class SharedRooms(Watcher):
    """
    Joins the rooms of a lobby to those of other machines.
    """

    log = packageLogger()

    def __init__(
        self,
        lobby: Lobby,
        relay: IRelay,
        presence: IPresence | None = None,
        *,
        announces: bool = False,
    ) -> None:
        """
        @param lobby: the rooms of this machine.
        @param relay: the way to the others.
        @param presence: who is where on all machines; C{None} if nobody knows.
        @param announces: whether members are told in XML when messages from
            other machines were lost.
        """
        self._lobby = lobby
        self._relay = relay
        self._presence = presence
        self._announces = announces
        # Those that are called when the relay is drained.
        self._blocked: list[Callable[[], object]] = []
        # By the room that is looked up: who waits for the next look.
        self._asking: dict[str, list[Deferred[list[str]]]] = {}
        lobby.watchers.append(self)
        lobby.elsewhere = self
        relay.addListener(self)

    # From here to there

    def opened(self, room: Room) -> None:
        """
        Hear what is said in the room of this name elsewhere.
        """
        self._relay.subscribe(_topic(room.name), partial(self._arrived, room))

    def closed(self, room: Room) -> None:
        """
        Nobody is here any more who would hear it.
        """
        self._relay.unsubscribe(_topic(room.name))

    def joined(self, member: Member, room: Room) -> None:
        """
        Write down who is here.
        """
        if self._presence is not None:
            self._presence.set(room.name, member.name, b"")

    def left(self, member: Member, room: Room) -> None:
        """
        Write down who is here no more.
        """
        if self._presence is not None:
            self._presence.remove(room.name, member.name)

    def others(self, room: Room) -> Deferred[list[str]]:
        """
        Find out who is in the room of this name on other machines. A room is
        looked up once at a time, however many ask: who asks meanwhile waits for
        the next look, since this one may have missed what he knows already.

        @param room: the room of this machine.
        @return: fires with their names; with none if nobody knows.
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
        node = self._relay.node
        self._asking[name] = []

        def namesOf(present: list[Present]) -> list[str]:
            return [each.member for each in present if each.node != node]

        def failed(problem: Failure) -> list[str]:
            self.log.failure("while looking up who is in a room", problem)
            return []

        def answer(names: list[str]) -> None:
            following = self._asking.pop(name)
            if following:
                self._lookUp(presence, name, following)
            for each in asking:
                each.callback(names)

        looking = maybeDeferred(presence.membersOf, name)
        looking.addCallback(namesOf).addErrback(failed).addCallback(answer)

    def said(self, room: Room, message: bytes) -> None:
        """
        Hand it to the others.
        """
        self._relay.publish(_topic(room.name), _ALL + message)

    def tell(self, room: Room, name: str, message: bytes) -> None:
        """
        Hand something to somebody who is not here; whether he is anywhere is not
        known.

        @param room: the room of this machine.
        @param name: who is to hear it.
        @param message: the message with its end.
        """
        self._relay.publish(_topic(room.name), _ONE + name.encode() + b"\0" + message)

    # From there to here

    def _arrived(self, room: Room, payload: bytes) -> None:
        kind, rest = payload[:1], payload[1:]
        if kind == _ALL:
            self._lobby.deliverTo(room, rest)
        elif kind == _ONE:
            name, _, message = rest.partition(b"\0")
            member = room.members.get(name.decode(errors="replace"))
            if member is not None:
                self._lobby.deliver(member, message)

    def up(self) -> None:
        """
        The others can be reached.
        """

    def down(self, reason: str) -> None:
        """
        The others cannot be reached; everybody here goes on.
        """

    @property
    def congested(self) -> bool:
        """
        Whether senders are to wait until the broker has taken their messages.
        """
        return self._relay.congested

    def whenDrained(self, callback: Callable[[], object]) -> None:
        """
        Call a function once, when the relay is not congested any longer.

        @param callback: the function.
        """
        self._blocked.append(callback)

    def drained(self) -> None:
        """
        Let the senders continue.
        """
        blocked, self._blocked = self._blocked, []
        for callback in blocked:
            callback()

    def gap(self, topic: str, node: bytes, missed: int) -> None:
        """
        Messages of another machine were lost.
        """
        if self._announces:
            # A list of its own: a delivery can close a room.
            for room in list(self._lobby.rooms.values()):
                if _topic(room.name) == topic:
                    self._lobby.deliverTo(room, vocabulary.gap(missed))


def _topic(name: str) -> str:
    """
    Name a room for the relay, in letters that every one of them takes.
    """
    return f"openfl.room.{name.encode().hex()}"
