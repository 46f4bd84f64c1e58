"""
C{XMLSocket} clients in rooms.

  - L{PathRoomProtocol}: the request path of a WebSocket or the first message names the room;
    all other messages are sent to the members of this room.
  - L{XMLRoomProtocol}: clients use rooms with XML messages, see
    L{openfl_twisted.rooms.vocabulary}.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from inspect import isawaitable
from typing import Any, Self
from urllib.parse import unquote
from weakref import WeakSet

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from typing_extensions import TypeVar

from openfl_twisted.coroutines import HandlerResult
from openfl_twisted.protocols.streamprotocol import POLICY_VIOLATION, missingHandler
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms import vocabulary
from openfl_twisted.rooms.lobby import Lobby, LobbyObserver
from openfl_twisted.rooms.room import REFUSALS, LobbyError, Member, Room
from openfl_twisted.rooms.vocabulary import Request, VocabularyError
from openfl_twisted.similar import similarTo
from openfl_twisted.wire.framing import NUL
from openfl_twisted.wire.messages import END
from openfl_twisted.wire.text import decodeUTF8, describeValue, encodeUTF8

# The number of deliveries, or of elements in a list, that count as one message; see
# StreamProtocol.spend.
_DELIVERIES_PER_WORK = 2
_ELEMENTS_PER_WORK = 8

# The methods that receive the messages.
_RECEIVERS = {"handleLine", "lineReceived", "dataReceived"}


# The classes whose joinRoom has not joined a room, and was logged.
_warned: "WeakSet[type]" = WeakSet()


class RoomProtocol(XMLSocketProtocol):
    """
    A client that can be a member of a room.

    @ivar member: the member; C{None} if the client is in no room.
    @ivar factory: the factory, with the rooms.
    """

    _handlerNames = ("handleLine",)
    factory: "RoomFactory[Self]"
    member: Member | None = None

    @classmethod
    def checkHandlers(cls) -> None:
        super().checkHandlers()
        if cls._dispatches:
            return
        definer = next(each for each in cls.__mro__ if _RECEIVERS & vars(each).keys())
        # An override of these methods can call messageReceived.
        if definer.__module__ == __name__:
            for name in ("messageReceived", "messagesReceived"):
                if getattr(cls, name) is not getattr(XMLSocketProtocol, name):
                    raise TypeError(
                        f"{cls.__name__}.{name} is never called in a room: override handleLine"
                        " instead, which receives bytes"
                    )

    @property
    def lobby(self) -> Lobby:
        """
        The lobby, which contains all rooms of the server.
        """
        return self.factory.lobby

    def makeConnection(self, transport: ITransport) -> None:
        """
        Join the room that the request path names, if the path names one.
        """
        super().makeConnection(transport)
        path = self.transport.requestPath.partition("?")[0].strip("/")
        if path and not self.transport.disconnecting:
            try:
                result = self._enter(unquote(path))
            except LobbyError as problem:
                self.refuse(problem.code, str(problem))
                return
            if result is not None:
                self.handlerReturned(self._reportLater(result))

    def sendQueueDropped(self, chunks: list[bytes]) -> None:
        """
        Count the messages in the send queue as lost. They stay lost even if the client resumes
        the membership later.
        """
        if self.member is not None:
            # Messages on a WebSocket can be compressed, so the terminators cannot be counted.
            apart = self.transport.preservesMessages
            lost = len(chunks) if apart else sum(chunk.count(END) for chunk in chunks)
            self.lobby.lose(self.member, lost)

    def joinRoom(self, room: str, name: str | None = None) -> HandlerResult:
        """
        Join a room. An override can also send messages, such as a greeting. It can be a
        coroutine function.

        @param room: the name of the room; it is opened if it does not exist.
        @param name: the name of the member; C{None} to generate an unused name.
        @raise LobbyError: if the client cannot join, see L{Lobby.join}.
        """
        self.member = self.lobby.join(room, self, name)
        return None

    def _enter(self, *arguments: Any) -> HandlerResult:
        """
        Call L{joinRoom}. The first time that a class does not join a room, this is logged.
        """
        result = self.joinRoom(*arguments)
        cls = type(self)
        isOutside = result is None and self.member is None and not self.transport.disconnecting
        if isOutside and cls not in _warned:
            _warned.add(cls)
            self.log.warn(
                "{name}.joinRoom has not joined a room: call super().joinRoom(room, name), or raise"
                " a LobbyError",
                name=cls.__name__,
            )
        return result

    def deliverMessage(self, message: bytes) -> None:
        """
        Send a message from the room to the client. While the connection is closing, the
        message is kept instead, in case the client resumes the membership.
        """
        transport = self.transport
        if not transport.disconnecting:
            self.factory.messagesOut += 1
            transport.write(message)
            return
        member, self.member = self.member, None
        if member is not None:
            # The client will not receive the message on this connection.
            self.lobby.suspend(member)
            self.lobby.deliver(member, message)

    def write(self, message: bytes) -> None:
        """
        Send a message, and count it as sent.
        """
        if not self.transport.disconnecting:
            self.factory.messagesOut += 1
            self.transport.write(message)

    def replaced(self) -> None:
        """
        Close the connection because the membership was resumed on another connection.
        """
        self.member = None
        self.transport.loseConnection()

    def removed(self, reason: str) -> None:
        """
        Report to the client that its room was closed, see L{refuse}. A client whose protocol has no
        error messages is disconnected.

        @param reason: the reason, as human-readable text.
        """
        self.member = None
        self.refuse("closed", reason)

    @property
    def labels(self) -> Mapping[str, str]:
        """
        The name of the member, and the name of its room.
        """
        member = self.member
        if member is None:
            return {}
        labels = {"name": member.name}
        if member.room is not None:
            labels["room"] = member.room.name
        return labels

    def disconnectedByOperator(self) -> None:
        """
        Leave the room; the membership cannot be resumed.
        """
        member, self.member = self.member, None
        if member is not None:
            self.lobby.leave(member)

    def limitExceeded(self, limit: str) -> None:
        """
        Leave the room if the client has sent too much. In this case, the membership cannot be
        resumed. A client that did not read may have had a bad connection, so it can resume the
        membership.
        """
        super().limitExceeded(limit)
        if limit != "queue":
            self.disconnectedByOperator()

    def closeFor(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        Log the reason and close the connection. The client cannot resume the membership.
        """
        super().closeFor(reason, code)
        self.disconnectedByOperator()

    def lineReceived(self, line: bytes) -> HandlerResult:
        """
        Handle a message, and report an error to the client. While the broker is congested, the
        message is held, and no further messages are read.
        """
        remote = self.lobby.remoteRooms
        if remote is not None and remote.congested and self.postpone(line, self.lineReceived):
            remote.whenDrained(self.unblockReading)
            return None
        before = self.lobby.deliveries
        result: HandlerResult = None
        try:
            result = self.handleLine(line)
        except LobbyError as problem:
            self.refuse(problem.code, str(problem))
        # Parsing and answering a room message costs more than handling a message without rooms.
        self.spend(1 + (self.lobby.deliveries - before) // _DELIVERIES_PER_WORK)
        return None if result is None else self._reportLater(result)

    async def _reportLater(self, result: HandlerResult) -> None:
        """
        Wait for an asynchronous handler, and report its C{LobbyError} to the client.
        """
        try:
            if isawaitable(result):
                await result
        except LobbyError as problem:
            self.refuse(problem.code, str(problem))

    def handleLine(self, line: bytes) -> HandlerResult:
        """
        Handle a message. Subclasses override this method; it can be a coroutine function.

        @param line: the message without its terminator.
        @raise LobbyError: if the client's request cannot be fulfilled.
        """
        raise missingHandler(self)

    def refuse(self, code: str, text: str) -> None:
        """
        Report an error to the client. Subclasses override this method.

        @param code: the reason in one word, see L{LobbyError}.
        @param text: the reason, as human-readable text.
        """
        raise NotImplementedError

    def sendToRoom(self, line: bytes) -> None:
        """
        Send a message to the other members of the room, as valid UTF-8.

        @param line: the message without its terminator.
        @raise LobbyError: with the code C{room} if the client is in no room.
        """
        if self.member is None:
            raise LobbyError("room", "you are not in a room")
        try:
            line.decode()
        except UnicodeDecodeError:
            line = encodeUTF8(decodeUTF8(line))
        self.lobby.send(self.member, line + END, self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Leave the room, or keep the membership for a client that can resume.
        """
        try:
            super().connectionLost(reason)
        finally:
            member, self.member = self.member, None
            if member is not None:
                self.lobby.suspend(member)


class PathRoomProtocol(RoomProtocol):
    """
    A client whose request path or first message names its room. All other messages are
    sent to the other members.
    """

    def handleLine(self, line: bytes) -> HandlerResult:
        """
        Send the message to the other members. Without a request path, the first message
        names the room.
        """
        if self.member is None:
            return self._enter(decodeUTF8(line))
        self.sendToRoom(line)
        return None

    def refuse(self, code: str, text: str) -> None:
        """
        Close the connection, because the protocol of these clients has no error message.
        """
        self.closeFor(text)


_EXCESSES = {
    "rate": "you have exceeded the rate limit",
    "message": "your message is too long",
}


class XMLRoomProtocol(RoomProtocol):
    """
    A client that uses rooms with XML messages.
    """

    # Whether a <who/> request has not been answered yet.
    _asking = False

    # The codes of the refusals that have already been logged for this client.
    _refused: frozenset[str] = frozenset()

    def joinRoom(self, room: str, name: str | None = None) -> HandlerResult:
        """
        Join a room, and leave the previous room. If the client cannot join the new room, it
        stays in the previous room.
        """
        before = self.member
        super().joinRoom(room, name)
        if before is not None:
            self.lobby.leave(before)
        self.write(vocabulary.welcome(*self._needMember()))
        return None

    def handleLine(self, line: bytes) -> HandlerResult:
        """
        Handle a request, or send any other message to the room. A message that is not valid
        UTF-8 is refused: it is not valid XML, and clients would decode it differently.
        """
        try:
            request = vocabulary.parseRequest(line.decode())
        except UnicodeDecodeError:
            self.refuse("xml", "the message is not UTF-8")
            return None
        except VocabularyError as problem:
            self.refuse("xml", str(problem))
            return None
        if request is None:
            self.sendToRoom(line)
            return None
        return self._do[request.name](self, request)

    def refuse(self, code: str, text: str) -> None:
        """
        Send an C{<error>}. Each code in L{REFUSALS} is logged at most once per client.
        """
        self.write(vocabulary.refusal(code, text))
        if code in REFUSALS and code not in self._refused:
            self._refused |= {code}
            self.log.info("{peer}: request refused: {text}", peer=self.describePeer(), text=text)

    def limitExceeded(self, limit: str) -> None:
        """
        Send the reason to the client before the connection is closed.
        """
        super().limitExceeded(limit)
        if limit in _EXCESSES:
            self.write(vocabulary.refusal(limit, _EXCESSES[limit]))

    def setAttribute(self, key: str, value: str) -> None:
        """
        Set an attribute of the member, and notify the other members of the room.

        @param key: the name of the attribute.
        @param value: the value; empty to remove the attribute.
        @raise LobbyError: if the client is in no room, or the lobby refuses the attribute.
        """
        member, room = self._needMember()
        self.lobby.setAttribute(member, key, value)
        self.lobby.announce(room, vocabulary.attributeSet(member, key, value), exclude=(member,))

    def _needMember(self) -> tuple[Member, Room]:
        if self.member is None or self.member.room is None:
            raise LobbyError("room", "you are not in a room")
        return self.member, self.member.room

    def _join(self, request: Request) -> HandlerResult:
        return self._enter(request.attributes.get("room", ""), request.attributes.get("name"))

    def _leave(self, request: Request) -> None:
        member, _ = self._needMember()
        self.member = None
        self.lobby.leave(member)

    def _say(self, request: Request) -> None:
        member, _ = self._needMember()
        to = request.attributes.get("to")
        if to is None:
            self.lobby.send(member, vocabulary.say(member, request.content), self)
        else:
            self.lobby.sendTo(member, to, vocabulary.say(member, request.content, private=True))

    def _who(self, request: Request) -> None:
        _, room = self._needMember()
        if self.lobby.remoteRooms is None:
            self._sendMembers(room, [])
            return
        if self._asking:
            raise self.lobby.refuse("busy", "the previous <who/> request is still pending")
        self._asking = True
        self.lobby.remoteRooms.others(room).addCallback(partial(self._sendMembers, room))

    def _sendMembers(self, room: Room, others: list[str]) -> None:
        self._asking = False
        self.write(vocabulary.who(room, others))
        members = room.members.values()
        elements = len(others) + len(members) + sum(len(member.data) for member in members)
        self.spend(elements // _ELEMENTS_PER_WORK)

    def _rooms(self, request: Request) -> None:
        rooms = self.lobby.rooms
        self.write(vocabulary.rooms(rooms))
        elements = len(rooms) + sum(len(room.data) for room in rooms.values())
        self.spend(elements // _ELEMENTS_PER_WORK)

    def _set(self, request: Request) -> None:
        self.setAttribute(request.attributes.get("key", ""), request.attributes.get("value", ""))

    def _resume(self, request: Request) -> None:
        if self.member is not None:
            raise LobbyError("room", "you are already in a room")
        self.member = self.lobby.resume(request.attributes.get("token", ""), self)
        lost = self.member.lost
        self.write(vocabulary.welcome(*self._needMember(), lost=lost))
        for message in self.lobby.takeMissed(self.member):
            self.write(message)

    _do: dict[str, Callable[["XMLRoomProtocol", Request], HandlerResult]] = {
        "join": _join,
        "leave": _leave,
        "say": _say,
        "who": _who,
        "rooms": _rooms,
        "set": _set,
        "resume": _resume,
    }


class _Announcer(LobbyObserver):
    def __init__(self, lobby: Lobby) -> None:
        self._lobby = lobby

    def joined(self, member: Member, room: Room) -> None:
        self._lobby.announce(room, vocabulary.joined(member), exclude=(member,))

    def imported(self, member: Member, room: Room) -> None:
        # The other imported members know this member already.
        for other in room.members.values():
            if other.connected:
                self._lobby.deliver(other, vocabulary.joined(member))
                self._lobby.deliver(member, vocabulary.joined(other))

    def left(self, member: Member, room: Room) -> None:
        self._lobby.announce(room, vocabulary.left(member))


# The keyword arguments of XMLSocketFactory.
_SETTINGS = tuple(inspect.signature(XMLSocketFactory).parameters)[1:]

_P = TypeVar("_P", bound=RoomProtocol, default=Any)


class RoomFactory(XMLSocketFactory[_P]):
    """
    The factory of clients in rooms.

    @ivar lobby: the rooms.
    """

    def __init__(
        self,
        protocol: Callable[[], _P],
        lobby: Lobby,
        *,
        announces: bool = False,
        **settings: object,
    ) -> None:
        """
        @param announces: whether members receive C{<joined>} and C{<left>}.
        @param settings: see L{XMLSocketFactory}.
        @raise ValueError: if the framing is not C{nul}: rooms send encoded messages.
        @raise TypeError: if the lobby is not a C{Lobby}, or a setting is unknown.
        """
        if not isinstance(lobby, Lobby):
            advice = ": pass Lobby()" if isinstance(lobby, type) else ""
            raise TypeError(f"lobby must be a Lobby, not {describeValue(lobby)}{advice}")
        wrong = next((name for name in settings if name not in _SETTINGS), None)
        if wrong is not None:
            right = similarTo(wrong, [*_SETTINGS, "announces"])
            advice = f": did you mean {right}?" if right else ""
            raise TypeError(f"RoomFactory has no argument {wrong}{advice}")
        super().__init__(protocol, **settings)  # type: ignore[arg-type]
        if self.framing not in (None, NUL):
            raise ValueError(f"rooms require the framing nul, not {self.framing.name}")
        self.lobby = lobby
        if announces:
            lobby.observers.append(_Announcer(lobby))
