"""
The rooms of a server: L{Lobby}.

This module does no I/O. Messages are bytes with a terminator. Each message is encoded once,
whatever the number of members that receive it.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, Self, SupportsIndex

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from openfl_twisted.clocks import clockOrReactor
from openfl_twisted.coroutines import HandlerResult, startHandler
from openfl_twisted.logs import errorSink, packageLogger
from openfl_twisted.overrides import checkParameters, isOwnName, warnOfMethods
from openfl_twisted.rooms.membership import Membership
from openfl_twisted.rooms.room import (
    REFUSALS,
    LobbyError,
    Member,
    Recipient,
    Room,
    RoomLimits,
    displayed,
    exceeds,
)
from openfl_twisted.similar import similarTo
from openfl_twisted.types import AnyClock
from openfl_twisted.wire.text import describeValue

# The methods that a lobby calls, and other words for them.
_EVENTS = ("joined", "imported", "left", "messageSent", "roomOpened", "roomClosed")
_WORDS = {"leave": "left", "leaved": "left", "leaves": "left", "quit": "left"}


def _suggestEvent(name: str) -> str | None:
    """
    Return the method of an observer for which another name was probably written.
    """
    plain = name.removeprefix("on").lower()
    return similarTo(plain, _EVENTS, 0.75) or _WORDS.get(plain)


class LobbyObserver:
    """
    Observes a lobby; override the methods that you need. They can be coroutine functions. The
    lobby does not wait for them, so calls can overlap.
    """

    def __init_subclass__(cls, **keywords: Any) -> None:
        """
        Check the methods of the subclass. A method whose name is similar to that of a method of
        this class, such as C{join}, is a warning.

        @raise TypeError: if a method has the wrong parameters.
        """
        super().__init_subclass__(**keywords)
        checkParameters(cls, lambda name, method: name in _EVENTS)
        if not isOwnName(cls.__module__):
            warnOfMethods(cls, _suggestEvent)

    def joined(self, member: Member, room: Room) -> HandlerResult:
        """
        Called when a member has joined a room.

        @param member: the member; C{room.members} already contains it.
        """

    def imported(self, member: Member, room: Room) -> HandlerResult:
        """
        Called when a membership of another process is continued, see L{Lobby.importMember}.
        The member is not connected. By default, L{joined} is called.
        """
        return self.joined(member, room)

    def left(self, member: Member, room: Room) -> HandlerResult:
        """
        Called when a member has left a room.

        @param member: the member; C{member.room} is already C{None}.
        @param room: the room, which exists until C{roomClosed} is called.
        """

    def messageSent(self, room: Room, message: bytes) -> HandlerResult:
        """
        Called when a message from this node is sent to a room.
        """

    def roomOpened(self, room: Room) -> HandlerResult:
        """
        Called when a room is opened.

        @param room: the room, without members.
        """

    def roomClosed(self, room: Room) -> HandlerResult:
        """
        Called when a room is closed because its last member has left.

        @param room: the room; a new room with the same name can be opened.
        """


class _Observers(list[LobbyObserver]):
    """
    The observers of a lobby. A class instead of an observer is refused.
    """

    def append(self, observer: LobbyObserver) -> None:
        super().append(self._check(observer))

    def insert(self, index: SupportsIndex, observer: LobbyObserver) -> None:
        super().insert(index, self._check(observer))

    def extend(self, observers: Iterable[LobbyObserver]) -> None:
        super().extend([self._check(each) for each in observers])

    def __iadd__(self, observers: Iterable[LobbyObserver]) -> Self:  # type: ignore[override,misc]
        self.extend(observers)
        return self

    def _check(self, observer: Any) -> LobbyObserver:
        if isinstance(observer, type):
            raise TypeError(
                f"an observer must be an object, not the class {observer.__name__}: pass"
                f" {observer.__name__}()"
            )
        if not isinstance(observer, LobbyObserver):
            raise TypeError(
                "an observer must be an instance of your subclass of LobbyObserver, not "
                + describeValue(observer)
            )
        return observer


class RemoteRooms(Protocol):
    """
    The rooms with the same names on other nodes.
    """

    def sendTo(self, room: Room, name: str, message: bytes) -> None:
        """
        Send a private message to a member that is not on this node.

        @param name: the name of the member. Nothing happens if no member has this name.
        """

    @property
    def congested(self) -> bool:
        """
        Whether messages are sent faster than the broker accepts them. Senders must
        then wait until L{whenDrained} calls back.
        """

    def whenDrained(self, callback: Callable[[], object]) -> None:
        """
        Call a function once, when L{congested} becomes C{False}.

        @param callback: called without arguments.
        """

    def others(self, room: Room) -> Deferred[list[str]]:
        """
        Look up the members of a room on other nodes.

        @return: fires with the names of the members; with an empty list if the members are not
            known.
        """


class _HoldingRooms(RemoteRooms):
    """
    Remote rooms that are always congested, so that the messages of all clients are held.
    """

    congested = True

    def sendTo(self, room: Room, name: str, message: bytes) -> None:
        pass

    def whenDrained(self, callback: Callable[[], object]) -> None:
        pass

    def others(self, room: Room) -> Deferred[list[str]]:
        return succeed([])


class Sender(Protocol):
    """
    The source of a message: a client, see
    L{StreamProtocol<openfl_twisted.protocols.streamprotocol.StreamProtocol>}, or other nodes,
    see L{FanOutQueue<openfl_twisted.transports.fanout.FanOutQueue>}.
    """

    def countFanOut(self, receivers: int, length: int) -> bool:
        """
        Count the work of sending a message to several receivers.

        @param receivers: the number of receivers.
        @param length: the length of the message (bytes).
        @return: whether the message must be sent with L{fanOut}.
        """

    def fanOut(
        self, receivers: Iterable[Member], send: Callable[[Member], object], length: int
    ) -> None:
        """
        Send a message to many receivers, in several reactor iterations.

        @param receivers: the receivers.
        @param send: sends the message to a receiver.
        @param length: the length of the message (bytes).
        """


class Lobby:
    """
    The rooms of a server.

    @ivar limits: the limits.
    @ivar clock: the clock.
    @ivar rooms: the rooms by name. A room exists while it has members.
    @ivar refused: number of refused requests, by code (see L{REFUSALS}).
    @ivar lost: number of messages that a member did not receive because the member did not
        read or was disconnected for too long.
    @ivar notKept: number of disconnected members that had to leave because C{maxKept}
        memberships were already kept.
    @ivar deliveries: number of messages that were delivered to members or kept for them. A
        message counts once for each receiver.
    @ivar observers: the observers.
    @ivar remoteRooms: the rooms of other nodes; C{None} if this is the only node.
    """

    log = packageLogger()

    def __init__(
        self,
        limits: RoomLimits | None = None,
        clock: AnyClock | None = None,
        *,
        roomLimits: Mapping[str, RoomLimits] | None = None,
    ) -> None:
        """
        @param clock: an C{IReactorTime} provider (default: the global reactor).
        @param roomLimits: separate limits for some rooms, by the name of the room.
        @raise TypeError: if the limits are not C{RoomLimits}.
        """
        for each in (limits, *(roomLimits or {}).values()):
            if not (each is None or isinstance(each, RoomLimits)):
                raise TypeError(
                    "limits must be RoomLimits, such as RoomLimits(maxMembers=8), not "
                    + describeValue(each)
                )
        self.limits = limits or RoomLimits()
        self._roomLimits = roomLimits or {}
        self.rooms: dict[str, Room] = {}
        self.refused = dict.fromkeys(REFUSALS, 0)
        self.lost = 0
        self.deliveries = 0
        self.observers: list[LobbyObserver] = _Observers()
        self.remoteRooms: RemoteRooms | None = None
        self.clock = clockOrReactor(clock)
        self._tokens: dict[str, Member] = {}
        self._guests = 0
        # The number of memberships kept for disconnected members, and whether reaching maxKept has
        # already been logged.
        self._kept = 0
        self._full = False
        self.notKept = 0
        self._ending = False

    @property
    def members(self) -> int:
        """
        Total number of members in all rooms.
        """
        return sum(len(room.members) for room in self.rooms.values())

    # Membership

    def join(self, roomName: str, recipient: Recipient, name: str | None = None) -> Member:
        """
        Join a room. If the room does not exist, it is opened.

        @param recipient: the connection of the new member.
        @param name: the name of the new member; C{None} to generate an unused name.
        @return: the new member.
        @raise LobbyError: with the code C{name} if a name is invalid; C{taken} if another
            member has the same name, or a name that looks the same; C{full} if the room has
            its maximum number of members; C{rooms} if the lobby has its maximum number of
            rooms.
        @raise TypeError: if a name is not text.
        """
        member, room = self._add(roomName, recipient, name)
        self._notify("joined", member, room)
        return member

    def _add(
        self, roomName: str, recipient: Recipient | None, name: str | None, token: str | None = None
    ) -> tuple[Member, Room]:
        """
        Add a member to a room, see L{join}.

        @param recipient: the connection; C{None} for a disconnected member.
        @param token: the token to resume the membership; C{None} to generate one.
        """
        self._checkName(roomName)
        room = self.rooms.get(roomName)
        if name is None:
            name = self._guestName(room)
        else:
            self._checkName(name)
        if room is None:
            if exceeds(len(self.rooms) + 1, self.limits.maxRooms):
                raise self.refuse("rooms", f"the limit of {self.limits.maxRooms} rooms is reached")
            room = Room(roomName, self._roomLimits.get(roomName, self.limits))
        elif name in room.members or displayed(name) in room.displayedNames:
            raise self.refuse("taken", f"the name {name} is taken")
        if exceeds(len(room.members) + 1, room.limits.maxMembers):
            raise self.refuse("full", f"the room has {room.limits.maxMembers} members, the maximum")
        if roomName not in self.rooms:
            self.rooms[roomName] = room
            self._notify("roomOpened", room)
        member = Member(name, room, recipient)
        if token is not None:
            member.token = token
        room.members[name] = member
        room.displayedNames.add(displayed(name))
        self._tokens[member.token] = member
        return member, room

    def leave(self, member: Member) -> None:
        """
        Remove a member from its room; do nothing if the member has already left.

        @param member: the member. The member's missed messages are counted as lost, and its
            token becomes invalid.
        """
        room, member.room, member.recipient = member.room, None, None
        self._stopKeeping(member)
        if room is None:
            return
        del room.members[member.name]
        room.displayedNames.discard(displayed(member.name))
        del self._tokens[member.token]
        self.lose(member, len(member.missed))
        member.missed = ()
        self._notify("left", member, room)
        # An observer may have closed the room.
        if not room.members and self.rooms.get(room.name) is room:
            del self.rooms[room.name]
            self._notify("roomClosed", room)

    def closeRoom(self, room: Room, reason: str) -> int:
        """
        Remove all members from a room, which closes the room. The members are notified with
        L{Recipient.removed}. A client can join again, which opens a new room.

        @param room: one of L{rooms}. The rooms with the same name on other nodes stay open.
        @param reason: the reason for the members, as human-readable text.
        @return: the number of members.
        """
        members = [(member, member.recipient) for member in room.members.values()]
        # Empty the room first, so that no member is notified of all the others that leave.
        room.members.clear()
        room.displayedNames.clear()
        for member, _ in members:
            member.room = member.recipient = None
            self._stopKeeping(member)
            del self._tokens[member.token]
            self.lose(member, len(member.missed))
            member.missed = ()
        for member, recipient in members:
            if recipient is not None:
                try:
                    recipient.removed(reason)
                except Exception:
                    self.log.failure("error while {name} was removed from a room", name=member.name)
            self._notify("left", member, room)
        # A client may have joined again.
        if not room.members and self.rooms.get(room.name) is room:
            del self.rooms[room.name]
            self._notify("roomClosed", room)
        return len(members)

    def suspend(self, member: Member) -> None:
        """
        Detach a member whose connection was lost. The membership, and the messages sent to the
        member, are kept for C{resume} seconds. The member leaves immediately if C{resume} is
        0, if C{maxKept} memberships are kept already, or during shutdown.
        """
        if member.room is None or member.recipient is None:
            return
        if not member.room.limits.resume or self._ending or not self._mayKeep():
            self.leave(member)
            return
        member.recipient = None
        self._startKeeping(member, member.room.limits.resume)

    def _startKeeping(self, member: Member, seconds: float) -> None:
        self._kept += 1
        member.expiry = self.clock.callLater(seconds, self.leave, member)

    def _mayKeep(self) -> bool:
        """
        Check whether another membership can be kept. If not, count the membership in
        C{notKept}. Only the first membership that cannot be kept is logged, until a membership
        can be kept again.
        """
        if not exceeds(self._kept + 1, self.limits.maxKept):
            self._full = False
            return True
        self.notKept += 1
        if not self._full:
            self._full = True
            self.log.warn(
                "a disconnected member was removed: the limit of {limit} kept memberships is"
                " reached (--max-kept); further removals are not logged",
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
        Called when the server is started again after L{end}. From now on, the memberships of
        disconnected members are kept.
        """
        self._ending = False

    def end(self) -> None:
        """
        Called when the server shuts down. Removes the disconnected members. No further
        memberships of disconnected members are kept.
        """
        self._ending = True
        for room in list(self.rooms.values()):
            for member in list(room.members.values()):
                if not member.connected:
                    self.leave(member)

    def resume(self, token: str, recipient: Recipient) -> Member:
        """
        Resume a membership; see L{takeMissed}. If the member still has a connection, that
        connection is replaced, because the loss of that connection may not have been detected
        yet.

        @return: the member.
        @raise LobbyError: with the code C{token}, if no member has this token.
        """
        member = self._tokens.get(token)
        if member is None:
            raise self.refuse("token", "the resume token is invalid or has expired")
        self._stopKeeping(member)
        before, member.recipient = member.recipient, recipient
        if before is not None:
            try:
                before.replaced()
            except Exception:
                # The membership already belongs to the new connection.
                self.log.failure(
                    "error while the connection of {name} was replaced", name=member.name
                )
        return member

    def takeMissed(self, member: Member) -> list[bytes]:
        """
        Return the messages kept for a member, and remove them from the member.

        @param member: a member that has resumed.
        @return: the messages with their terminators, in order. C{member.lost} is reset, so
            read C{member.lost} before the call.
        """
        missed = list(member.missed)
        member.missed = ()
        member.missedBytes = member.lost = 0
        return missed

    # Continuing memberships in another process

    def exportMembers(self) -> list[Membership]:
        """
        Return all memberships that can be resumed, to continue them in another process. From
        now on, the clients' messages are held, until they are dropped with their connections:
        the other process would not receive them. Other messages still reach connected members.

        @return: the memberships, in the order in which the members joined. The membership of
            a connected member is kept for C{resume} seconds.
        """
        now = self.clock.seconds()
        members = [
            Membership(
                room.name,
                member.name,
                member.token,
                dict(member.data),
                tuple(member.missed),
                member.lost,
                room.limits.resume
                if member.expiry is None
                else max(0.0, member.expiry.getTime() - now),
            )
            for room in self.rooms.values()
            for member in room.members.values()
            if room.limits.resume
        ]
        if members:
            self.remoteRooms = _HoldingRooms()
        return members

    def endExport(self) -> None:
        """
        Called when another process has imported all members. The observers are removed, so that
        members that are still in a room there are not announced as having left.
        """
        self.observers.clear()

    def importMember(self, membership: Membership) -> Member:
        """
        Continue a membership of another process. It is kept like that of a disconnected
        member. Messages and attributes that exceed a limit are dropped.

        @return: the member.
        @raise LobbyError: as from L{join}, for example with the code C{taken} if another
            member has the same name; or with the code C{token} if the token is in use, or the
            membership cannot be kept.
        """
        limits = self._roomLimits.get(membership.room, self.limits)
        if membership.token in self._tokens:
            raise self.refuse("token", "the resume token is in use")
        if not limits.resume or self._ending or not self._mayKeep():
            raise self.refuse("token", "the membership cannot be kept")
        member, room = self._add(membership.room, None, membership.name, membership.token)
        self._startKeeping(member, min(membership.remaining, limits.resume))
        for key, value in membership.data.items():
            with suppress(LobbyError):
                self.setAttribute(member, key, value)
        member.lost = membership.lost
        for message in membership.missed:
            self._keep(member, message)
        self._notify("imported", member, room)
        return member

    # Messages

    def send(self, member: Member, message: bytes, sender: Sender | None = None) -> None:
        """
        Send a message to all other members of the room.

        @param member: the sender.
        @param sender: see L{deliverTo}.
        @raise LobbyError: with the code C{room} if the sender is in no room.
        """
        self.announce(self._roomOf(member), message, (member,), sender)

    def announce(
        self,
        room: Room,
        message: bytes,
        exclude: Iterable[Member] = (),
        sender: Sender | None = None,
    ) -> None:
        """
        Send a message to all members of a room, on all nodes.

        @param room: one of L{rooms}.
        @param message: the message with its terminator.
        @param exclude: members on this node that do not receive the message.
        @param sender: see L{deliverTo}.
        @raise TypeError: if the room is not a L{Room}, or the message is not C{bytes}.
        """
        if not isinstance(room, Room):
            raise TypeError(
                f"room must be a Room, such as self.member.room, not {room!r:.80}; lobby.rooms"
                " contains the rooms by name"
            )
        if not isinstance(message, bytes):
            raise TypeError(
                'message must be bytes with a NUL terminator, such as f"{text}\\0".encode(),'
                f" not {message!r:.80}"
            )
        self.deliverTo(room, message, exclude, sender)
        self._notify("messageSent", room, message)

    def sendTo(self, member: Member, name: str, message: bytes) -> None:
        """
        Send a private message to a member of the room.

        @param member: the sender.
        @param name: the name of the receiver.
        @raise LobbyError: with the code C{room} if the sender is in no room; C{nobody} if the room
            has no such member and there is only one node. With several nodes, nothing happens
            if the name is unknown.
        """
        room = self._roomOf(member)
        if exceeds(len(name), self.limits.maxName):
            # Check the length first, because the error, or the message to the broker, would contain
            # the name.
            raise LobbyError("nobody", f"a name must have 1 to {self.limits.maxName} characters")
        other = room.members.get(name)
        if other is not None:
            self.deliver(other, message)
        elif self.remoteRooms is not None:
            self.remoteRooms.sendTo(room, name, message)
        else:
            raise LobbyError("nobody", f"the room has no member {name}")

    def deliverTo(
        self,
        room: Room,
        message: bytes,
        exclude: Iterable[Member] = (),
        sender: Sender | None = None,
    ) -> None:
        """
        Deliver a message to the members of a room on this node.

        @param room: one of L{rooms}.
        @param exclude: members that do not receive the message.
        @param sender: the source from which the message was received (default: none). If it
            takes long to deliver the message to all members, the message is delivered in
            several reactor iterations, so that other clients are served in the meantime. A
            member that leaves in the meantime does not receive the message. Without a sender,
            the message is delivered immediately.
        """
        excluded = set(exclude)
        # Iterate over a copy, because a delivery can disconnect a slow member, which then leaves.
        members = [member for member in room.members.values() if member not in excluded]
        self.deliveries += len(members)
        if sender is not None and sender.countFanOut(len(members), len(message)):
            sender.fanOut(members, partial(self._deliverIn, room, message), len(message))
            return
        for member in members:
            self._deliver(member, message)

    def _deliverIn(self, room: Room, message: bytes, member: Member) -> None:
        """
        Deliver a message to a member that can have left the room.
        """
        if member.room is room:
            self._deliver(member, message)

    def deliver(self, member: Member, message: bytes) -> None:
        """
        Deliver a message to a member.

        @param member: the receiver. For a disconnected member, the newest messages are kept: at
            most C{maxMissed} messages, and at most C{maxMissedBytes} bytes in total. For a member
            that has left, no messages are kept.
        """
        self.deliveries += 1
        self._deliver(member, message)

    def _deliver(self, member: Member, message: bytes) -> None:
        recipient = member.recipient
        if recipient is None:
            self._keep(member, message)
            return
        try:
            recipient.deliverMessage(message)
        except Exception:
            # An exception must not prevent delivery to the other members.
            self.log.failure("error while a message was delivered to {name}", name=member.name)

    def _keep(self, member: Member, message: bytes) -> None:
        """
        Keep a message for a disconnected member.
        """
        if member.room is None:
            return
        missed = member.missed = member.missed or deque()
        missed.append(message)
        member.missedBytes += len(message)
        limits = member.room.limits
        while missed and (
            exceeds(len(missed), limits.maxMissed)
            or exceeds(member.missedBytes, limits.maxMissedBytes)
        ):
            member.missedBytes -= len(missed.popleft())
            self.lose(member, 1)

    def setAttribute(self, what: Member | Room, key: str, value: str) -> None:
        """
        Set an attribute of a member or a room.

        @param what: the member or room.
        @param key: the name of the attribute, at most C{maxName} characters.
        @param value: the value, at most C{maxName} characters; an empty value removes the
            attribute.
        @raise LobbyError: with the code C{data} if a limit is exceeded; C{room} if the member
            is in no room.
        @raise TypeError: if the key or the value is not text.
        """
        if not (isinstance(key, str) and isinstance(value, str)):
            name, wrong = ("value", value) if isinstance(key, str) else ("key", key)
            raise TypeError(
                f"the {name} of an attribute must be text, not {describeValue(wrong)}: convert it"
                " with str()"
            )
        limits = (what if isinstance(what, Room) else self._roomOf(what)).limits
        data = what.data
        if exceeds(max(len(key), len(value)), limits.maxName):
            raise self.refuse(
                "data", f"a key or value must have at most {limits.maxName} characters"
            )
        if not value:
            data.pop(key, None)
        elif key in data or not exceeds(len(data) + 1, limits.maxData):
            data[key] = value
        else:
            raise self.refuse("data", f"the limit of {limits.maxData} attributes is reached")

    # Limits

    def refuse(self, code: str, text: str) -> LobbyError:
        """
        Count a refusal.

        @param code: one of L{REFUSALS}.
        @param text: the reason, as human-readable text.
        @return: the exception to raise.
        """
        self.refused[code] += 1
        return LobbyError(code, text)

    def lose(self, member: Member, count: int) -> None:
        """
        Count messages that a member will never receive.

        @param count: the number of messages; 0 is allowed.
        """
        member.lost += count
        self.lost += count

    def _roomOf(self, member: Member) -> Room:
        if member.room is None:
            raise LobbyError("room", "you are not in a room")
        return member.room

    def _checkName(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(
                f"a room or member name must be text, not {describeValue(name)}: convert it with"
                " str()"
            )
        if not name:
            raise self.refuse("name", "a name must not be empty")
        if exceeds(len(name), self.limits.maxName):
            raise self.refuse("name", f"a name must have 1 to {self.limits.maxName} characters")
        if not name.isprintable() or name != name.strip():
            raise self.refuse(
                "name", "a name must not contain control characters, or begin or end with a space"
            )
        if not displayed(name):
            raise self.refuse("name", "a name must contain a visible character")

    def _guestName(self, room: Room | None) -> str:
        while True:
            self._guests += 1
            name = f"guest{self._guests}"
            if room is None or name not in room.displayedNames:
                return name

    def _notify(self, method: str, *arguments: object) -> None:
        for observer in list(self.observers):
            try:
                result = getattr(observer, method)(*arguments)
                handler = None if result is None else startHandler(result)
            except Exception:
                # An exception in an observer must not affect the room and its members.
                self._observerFailed(Failure(), method)
                continue
            if handler is not None:
                handler.deferred.addErrback(self._observerFailed, method)

    def _observerFailed(self, reason: Failure, method: str) -> None:
        errorSink.report(reason)
        self.log.failure("error in {method} of a lobby observer", reason, method=method)
