"""
Who is in which room, and who hears what: L{Lobby}.

There is no network in here. A member is somebody to whom bytes can be
delivered; a message is written out once, however many hear it.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.logs import packageLogger
from openfl_twisted.rooms.room import (
    REFUSALS,
    LobbyError,
    Member,
    Recipient,
    Room,
    RoomLimits,
    exceeds,
    lookOf,
)


class LobbyObserver:
    """
    Hears what happens in a lobby; override what you want to know.
    """

    def joined(self, member: Member, room: Room) -> None:
        """
        Somebody has come.

        @param member: who; it is in the room already.
        @param room: where.
        """

    def left(self, member: Member, room: Room) -> None:
        """
        Somebody has gone.

        @param member: who; it is in no room any more.
        @param room: where it was. It is there until L{closed}.
        """

    def said(self, room: Room, message: bytes) -> None:
        """
        Somebody of this lobby has said something to a room.

        @param room: to which.
        @param message: the message with its end.
        """

    def opened(self, room: Room) -> None:
        """
        There is a new room.

        @param room: the room; nobody is in it yet.
        """

    def closed(self, room: Room) -> None:
        """
        The last member of a room has gone, and with it the room.

        @param room: the room; another may be opened with its name.
        """


class RemoteRooms(Protocol):
    """
    The rooms of the same names on other nodes.
    """

    def sendTo(self, room: Room, name: str, message: bytes) -> None:
        """
        Send a private message to a member that is not on this node.

        @param room: the room of this node.
        @param name: the name of the member. Nothing happens if it does not exist.
        @param message: the message with its terminator.
        """

    @property
    def congested(self) -> bool:
        """
        Whether senders must wait until their messages have been taken.
        """

    def whenDrained(self, callback: Callable[[], object]) -> None:
        """
        Call a function once, when senders can continue.

        @param callback: the function.
        """

    def others(self, room: Room) -> Deferred[list[str]]:
        """
        Look up the members of a room on other nodes.

        @param room: the room of this node.
        @return: fires with their names; with an empty list if they are not known.
        """


class Lobby:
    """
    The rooms of a server.

    @ivar limits: how much there may be.
    @ivar rooms: the rooms by name. A room is there while somebody is in it.
    @ivar refused: how often something was refused, by its code in L{REFUSALS}.
    @ivar lost: how many messages have not reached members who did not read, or
        were away for too long.
    @ivar notKept: number of disconnected members that left because C{maxKept}
        memberships were kept.
    @ivar deliveries: number of messages that were delivered to members, each
        counted once for each receiver, or kept for them.
    @ivar observers: who hears what happens.
    @ivar remoteRooms: the rooms of other nodes; C{None} for one node.
    """

    log = packageLogger()

    def __init__(
        self,
        limits: RoomLimits | None = None,
        clock: IReactorTime | None = None,
        *,
        roomLimits: Mapping[str, RoomLimits] | None = None,
    ) -> None:
        """
        @param clock: for the time; the reactor if there is none.
        @param roomLimits: how much in rooms that have limits of their own, by
            their names.
        """
        self.limits = limits or RoomLimits()
        self._roomLimits = roomLimits or {}
        self.rooms: dict[str, Room] = {}
        self.refused = dict.fromkeys(REFUSALS, 0)
        self.lost = 0
        self.deliveries = 0
        self.observers: list[LobbyObserver] = []
        self.remoteRooms: RemoteRooms | None = None
        self._clock = clockOrReactor(clock)
        self._tokens: dict[str, Member] = {}
        self._guests = 0
        # How many members have no connection, and whether any may.
        self._kept = 0
        self._full = False
        self.notKept = 0
        self._ending = False

    @property
    def members(self) -> int:
        """
        How many members there are in all rooms.
        """
        return sum(len(room.members) for room in self.rooms.values())

    # Coming and going

    def join(self, roomName: str, recipient: Recipient, name: str | None = None) -> Member:
        """
        Come into a room, which is opened if there is none.

        @param roomName: the room.
        @param recipient: hears what is said there.
        @param name: how to be called; C{None} for a name that nobody has.
        @return: the new member.
        @raise LobbyError: C{name} if a name cannot be one, C{taken} if somebody
            is called so, or has a name that looks the same, C{full} if the
            room is, C{rooms} if there are too many.
        """
        self._checkName(roomName)
        room = self.rooms.get(roomName)
        if name is None:
            name = self._guestName(room)
        else:
            self._checkName(name)
        if room is None:
            if exceeds(len(self.rooms) + 1, self.limits.maxRooms):
                raise self.refuse("rooms", f"there are {self.limits.maxRooms} rooms already")
            room = Room(roomName, self._roomLimits.get(roomName, self.limits))
        elif name in room.members or lookOf(name) in room.looks:
            raise self.refuse("taken", f"somebody is called {name} already")
        if exceeds(len(room.members) + 1, room.limits.maxMembers):
            raise self.refuse("full", f"there are {room.limits.maxMembers} in the room already")
        if roomName not in self.rooms:
            self.rooms[roomName] = room
            self._tell("opened", room)
        member = Member(name, room, recipient)
        room.members[name] = member
        room.looks.add(lookOf(name))
        self._tokens[member.token] = member
        self._tell("joined", member, room)
        return member

    def leave(self, member: Member) -> None:
        """
        Go. Who has gone already may go again.

        @param member: who goes. What it has missed is counted as lost, and its
            token counts no more.
        """
        room, member.room, member.recipient = member.room, None, None
        self._stopKeeping(member)
        if room is None:
            return
        del room.members[member.name]
        room.looks.discard(lookOf(member.name))
        del self._tokens[member.token]
        self.lose(member, len(member.missed))
        member.missed.clear()
        self._tell("left", member, room)
        # Whoever was told may have gone too, and with him the room.
        if not room.members and self.rooms.get(room.name) is room:
            del self.rooms[room.name]
            self._tell("closed", room)

    def suspend(self, member: Member) -> None:
        """
        Detach a member whose connection was lost. Its membership and the messages
        sent to it are kept for C{resume} seconds. The member leaves immediately
        if C{resume} is 0, if C{maxKept} memberships are kept already, or during
        shutdown.

        @param member: the member.
        """
        if member.room is None or member.recipient is None:
            return
        if not member.room.limits.resume or self._ending or not self._mayKeep():
            self.leave(member)
            return
        resume = member.room.limits.resume
        self._kept += 1
        member.recipient = None
        member.expiry = self._clock.callLater(resume, self.leave, member)

    def _mayKeep(self) -> bool:
        """
        Check whether another membership can be kept; if not, count it, and log it
        once until there is room again.
        """
        if not exceeds(self._kept + 1, self.limits.maxKept):
            self._full = False
            return True
        self.notKept += 1
        if not self._full:
            self._full = True
            self.log.warn(
                "a disconnected member leaves: {limit} memberships are kept already"
                " (further ones are counted, not logged)",
                limit=self.limits.maxKept,
            )
        return False

    def _stopKeeping(self, member: Member) -> None:
        expiry, member.expiry = member.expiry, None
        if expiry is not None:
            self._kept -= 1
            if expiry.active():
                expiry.cancel()

    def begin(self) -> None:
        """
        Keep the memberships of disconnected members again: the server has been
        started again after L{end}.
        """
        self._ending = False

    def end(self) -> None:
        """
        Keep no places any more: the server ends.
        """
        self._ending = True
        for room in list(self.rooms.values()):
            for member in list(room.members.values()):
                if not member.connected:
                    self.leave(member)

    def resume(self, token: str, recipient: Recipient) -> Member:
        """
        Take one's place again; see L{takeMissed}. The connection that has had it
        is replaced: it may be dead without anybody knowing.

        @param token: that of the member.
        @param recipient: hears what is said from now on.
        @return: the member.
        @raise LobbyError: C{token} if nobody has it.
        """
        member = self._tokens.get(token)
        if member is None:
            raise self.refuse("token", "there is no place with this token")
        self._stopKeeping(member)
        before, member.recipient = member.recipient, recipient
        if before is not None:
            try:
                before.replaced()
            except Exception:
                # The membership belongs to the new connection already.
                self.log.failure(
                    "error while the connection of {name} was replaced", name=member.name
                )
        return member

    def takeMissed(self, member: Member) -> list[bytes]:
        """
        Get what a member has missed while it had no connection.

        @param member: who has come back.
        @return: the messages with their ends, in order; C{member.lost} says how
            many more there were.
        """
        missed = list(member.missed)
        member.missed.clear()
        member.missedBytes = member.lost = 0
        return missed

    # Talking

    def send(self, member: Member, message: bytes) -> None:
        """
        Say something to all others in the room.

        @param member: who says it.
        @param message: the message with its end.
        @raise LobbyError: C{room} if the member is in none.
        """
        self.announce(self._roomOf(member), message, exclude=(member,))

    def announce(self, room: Room, message: bytes, exclude: Iterable[Member] = ()) -> None:
        """
        Say something to a room, on all machines.

        @param room: one of L{rooms}.
        @param message: the message with its end.
        @param exclude: who does not get it; of those on this machine.
        """
        self.deliverTo(room, message, exclude)
        self._tell("said", room, message)

    def sendTo(self, member: Member, name: str, message: bytes) -> None:
        """
        Say something to one in the room.

        @param member: who says it.
        @param name: who is to hear it. With other machines it is not known
            whether anybody is called so.
        @param message: the message with its end.
        @raise LobbyError: C{room} if the member is in none, C{nobody} if nobody
            there is called so.
        """
        room = self._roomOf(member)
        if exceeds(len(name), self.limits.maxName):
            # An error that repeats the name would be as long, as would a message to the broker.
            raise LobbyError("nobody", f"a name has 1 to {self.limits.maxName} characters")
        other = room.members.get(name)
        if other is not None:
            self.deliver(other, message)
        elif self.remoteRooms is not None:
            self.remoteRooms.sendTo(room, name, message)
        else:
            raise LobbyError("nobody", f"nobody here is called {name}")

    def deliverTo(self, room: Room, message: bytes, exclude: Iterable[Member] = ()) -> None:
        """
        Deliver something to those of a room who are on this machine.

        @param room: one of L{rooms}.
        @param message: the message with its end.
        @param exclude: who does not get it.
        """
        left = set(exclude)
        # A list of its own: who does not read may be cut off, and leave, while this goes on.
        members = list(room.members.values())
        self.deliveries += len(members)
        for member in members:
            if member not in left:
                self._deliver(member, message)

    def deliver(self, member: Member, message: bytes) -> None:
        """
        Deliver something to somebody; keep it for one who was cut off.

        @param member: who gets it. For one that was cut off C{maxMissed}
            messages with C{maxMissedBytes} are kept, and the oldest are lost
            first; for one that has left nothing is kept.
        @param message: the message with its end.
        """
        self.deliveries += 1
        self._deliver(member, message)

    def _deliver(self, member: Member, message: bytes) -> None:
        if member.recipient is not None:
            try:
                member.recipient.deliverMessage(message)
            except Exception:
                # The other members still get the message.
                self.log.failure("error while a message was delivered to {name}", name=member.name)
            return
        if member.room is None:
            return
        member.missed.append(message)
        member.missedBytes += len(message)
        limits = member.room.limits
        while member.missed and (
            exceeds(len(member.missed), limits.maxMissed)
            or exceeds(member.missedBytes, limits.maxMissedBytes)
        ):
            member.missedBytes -= len(member.missed.popleft())
            self.lose(member, 1)

    def setAttribute(self, what: Member | Room, key: str, value: str) -> None:
        """
        Say something of a member, or of a room.

        @param what: of whom or what.
        @param key: what it is about; at most C{maxName} characters.
        @param value: what is said, at most C{maxName} characters; an empty text
            takes it back.
        @raise LobbyError: C{data} if that is too much; C{room} if the member is
            in none.
        """
        limits = (what if isinstance(what, Room) else self._roomOf(what)).limits
        data = what.data
        if exceeds(max(len(key), len(value)), limits.maxName):
            raise self.refuse("data", f"more than {limits.maxName} characters")
        if not value:
            data.pop(key, None)
        elif key in data or not exceeds(len(data) + 1, limits.maxData):
            data[key] = value
        else:
            raise self.refuse("data", f"more than {limits.maxData} things are said of it")

    # RoomLimits

    def refuse(self, code: str, text: str) -> LobbyError:
        """
        Count that something is refused.

        @param code: one of L{REFUSALS}.
        @param text: why, for people.
        @return: what to raise.
        """
        self.refused[code] += 1
        return LobbyError(code, text)

    def lose(self, member: Member, count: int) -> None:
        """
        Count messages that a member has missed for good.

        @param member: who has missed them.
        @param count: how many; 0 is no error.
        """
        member.lost += count
        self.lost += count

    def _roomOf(self, member: Member) -> Room:
        if member.room is None:
            raise LobbyError("room", "you are in no room")
        return member.room

    def _checkName(self, name: str) -> None:
        if not name:
            raise self.refuse("name", "a name has at least 1 character")
        if exceeds(len(name), self.limits.maxName):
            raise self.refuse("name", f"a name has 1 to {self.limits.maxName} characters")
        if not name.isprintable() or name != name.strip():
            raise self.refuse("name", "a name has neither control characters nor space around it")
        if not lookOf(name):
            raise self.refuse("name", "a name has at least 1 visible character")

    def _guestName(self, room: Room | None) -> str:
        while True:
            self._guests += 1
            name = f"guest{self._guests}"
            if room is None or name not in room.looks:
                return name

    def _tell(self, what: str, *about: object) -> None:
        for observer in list(self.observers):
            try:
                getattr(observer, what)(*about)
            except Exception:
                # The room and its members do not depend on the observers.
                self.log.failure("error in the method {what} of a observer of the rooms", what=what)
