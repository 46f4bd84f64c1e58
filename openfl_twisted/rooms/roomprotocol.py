"""
C{XMLSocket} clients in rooms.

  - L{PathRoomProtocol}: the path of a WebSocket names the room, or the first
    message does; every other message goes to the others there.
  - L{XMLRoomProtocol}: clients speak of rooms in XML, see
    L{openfl_twisted.rooms.vocabulary}.
"""

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import unquote

from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.streamprotocol import POLICY_VIOLATION
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.rooms import vocabulary
from openfl_twisted.rooms.lobby import Lobby, LobbyObserver
from openfl_twisted.rooms.room import REFUSALS, LobbyError, Member, Room
from openfl_twisted.rooms.vocabulary import Request, VocabularyError
from openfl_twisted.wire.messages import END
from openfl_twisted.wire.text import decodeUTF8, encodeUTF8

# Number of deliveries, and of elements in a list, that count as one message, see
# StreamProtocol.spend.
_DELIVERIES_PER_WORK = 2
_ELEMENTS_PER_WORK = 8


class RoomProtocol(XMLSocketProtocol):
    """
    A client that can be in a room.

    @ivar member: who it is in its room; C{None} if it is in none.
    @ivar factory: has made it, and has the rooms.
    """

    factory: "RoomFactory"
    member: Member | None = None

    @property
    def lobby(self) -> Lobby:
        """
        The rooms.
        """
        return self.factory.lobby

    def makeConnection(self, transport: ITransport) -> None:
        """
        Come into the room that the path names, if there is a path.
        """
        super().makeConnection(transport)
        path = self.transport.requestPath.partition("?")[0].strip("/")
        if path and not self.transport.disconnecting:
            self._try(lambda: self.enter(unquote(path)))

    def sendQueueDropped(self, chunks: list[bytes]) -> None:
        """
        Count what waited here for a client that is cut off: it is lost, also if
        the client comes back.
        """
        if self.member is not None:
            # The messages of a WebSocket can be compressed, so that END cannot be counted in them.
            apart = self.transport.preservesMessages
            lost = len(chunks) if apart else sum(chunk.count(END) for chunk in chunks)
            self.lobby.lose(self.member, lost)

    def enter(self, room: str, name: str | None = None) -> None:
        """
        Come into a room; override this if you want to say something then.

        @param room: the name of the room, which is opened if there is none.
        @param name: how to be called; C{None} for a name that nobody has.
        @raise LobbyError: if that cannot be.
        """
        self.member = self.lobby.join(room, self, name)

    def deliverMessage(self, message: bytes) -> None:
        """
        Send what is said in the room.

        @param message: the message with its end. If the connection is being
            closed it is kept for who may come back.
        """
        member = self.member
        if self.transport.disconnecting and member is not None:
            # It will not arrive any more; who comes back gets it.
            self.member = None
            self.lobby.suspend(member)
            self.lobby.deliver(member, message)
            return
        self.write(message)

    def write(self, message: bytes) -> None:
        """
        Send a message, and count it.

        @param message: the message with its end.
        """
        if not self.transport.disconnecting:
            self.factory.messagesOut += 1
            self.transport.write(message)

    def replaced(self) -> None:
        """
        Somebody with the same token has taken the place.
        """
        self.member = None
        self.transport.loseConnection()

    @property
    def labels(self) -> Mapping[str, str]:
        """
        The name of the member, and that of its room.
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
        Leave for good: who is not wanted does not keep the place.
        """
        member, self.member = self.member, None
        if member is not None:
            self.lobby.leave(member)

    def limitExceeded(self, limit: str) -> None:
        """
        Keep no place for who sends more than it may. Who does not read may have
        a bad connection, and come back with a better one.
        """
        super().limitExceeded(limit)
        if limit != "queue":
            self.disconnectedByOperator()

    def closeFor(self, reason: str, code: int = POLICY_VIOLATION) -> None:
        """
        Close the connection because of what the client has done, and keep no
        place for it.
        """
        super().closeFor(reason, code)
        self.disconnectedByOperator()

    def _try(self, do: Callable[[], object]) -> None:
        """
        Do something, and tell if it cannot be done.
        """
        try:
            do()
        except LobbyError as problem:
            self.refuse(problem.code, str(problem))

    def lineReceived(self, line: bytes) -> None:
        """
        Handle a message; an error is reported to the client. While the broker
        takes messages more slowly than they arrive, the message waits, and no
        further ones are read.
        """
        remote = self.lobby.remoteRooms
        if remote is not None and remote.congested and self.postpone(line, self.lineReceived):
            remote.whenDrained(self.unblockReading)
            return
        before = self.lobby.deliveries
        self._try(lambda: self.heard(line))
        # Parsing and answering it costs more than a message of a protocol without rooms.
        self.spend(1 + (self.lobby.deliveries - before) // _DELIVERIES_PER_WORK)

    def heard(self, line: bytes) -> None:
        """
        A message came; override this.

        @param line: the message without its end.
        @raise LobbyError: if something cannot be done.
        """
        raise NotImplementedError

    def refuse(self, code: str, text: str) -> None:
        """
        Something cannot be done; override this.

        @param code: one word, see L{LobbyError}.
        @param text: why, for people.
        """
        raise NotImplementedError

    def say(self, line: bytes) -> None:
        """
        Say something to the others in the room. They get valid UTF-8, whatever
        was sent.

        @param line: the message without its end.
        @raise LobbyError: C{room}, if it is in none.
        """
        if self.member is None:
            raise LobbyError("room", "you are in no room")
        try:
            line.decode()
        except UnicodeDecodeError:
            line = encodeUTF8(decodeUTF8(line))
        self.lobby.send(self.member, line + END)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Leave the room; who was cut off may come back.
        """
        try:
            super().connectionLost(reason)
        finally:
            member, self.member = self.member, None
            if member is not None:
                self.lobby.suspend(member)


class PathRoomProtocol(RoomProtocol):
    """
    A client whose path, or whose first message, names its room. Everything else
    that it says goes to the others there.
    """

    def heard(self, line: bytes) -> None:
        """
        Hand it to the others; the first message names the room, if nothing else
        has.
        """
        if self.member is None:
            self.enter(decodeUTF8(line))
        else:
            self.say(line)

    def refuse(self, code: str, text: str) -> None:
        """
        Close the connection: this client knows no word for it.
        """
        self.closeFor(text)


_EXCESSES = {
    "rate": "you send more than is allowed",
    "message": "your message is too long",
}


class XMLRoomProtocol(RoomProtocol):
    """
    A client that speaks of rooms in XML.
    """

    # Whether it has asked who is where, and has no answer yet.
    _asking = False

    # What it was refused at least once.
    _refused: frozenset[str] = frozenset()

    def enter(self, room: str, name: str | None = None) -> None:
        """
        Come into a room, be welcomed, and have the others told.
        """
        before = self.member
        # If that cannot be, one stays where one is.
        super().enter(room, name)
        if before is not None:
            self.lobby.leave(before)
        self.write(vocabulary.welcome(*self._needMember()))

    def heard(self, line: bytes) -> None:
        """
        Handle a request, or forward any other message to the room. A message
        that is not UTF-8 is refused: XML does not allow it, and clients
        disagree about how to read it.
        """
        try:
            request = vocabulary.parseRequest(line.decode())
        except UnicodeDecodeError:
            self.refuse("xml", "the message is not UTF-8")
            return
        except VocabularyError as problem:
            self.refuse("xml", str(problem))
            return
        if request is None:
            self.say(line)
        else:
            self._do[request.name](self, request)

    def refuse(self, code: str, text: str) -> None:
        """
        Tell the client. Of a limit there is one line in the log, however often
        the client tries.
        """
        self.write(vocabulary.refusal(code, text))
        if code in REFUSALS and code not in self._refused:
            self._refused |= {code}
            self.log.info("{peer} refused: {text}", peer=self.describePeer(), text=text)

    def limitExceeded(self, limit: str) -> None:
        """
        Tell the client why it is closed, if it reads.
        """
        super().limitExceeded(limit)
        if limit in _EXCESSES:
            self.write(vocabulary.refusal(limit, _EXCESSES[limit]))

    def _needMember(self) -> tuple[Member, Room]:
        if self.member is None or self.member.room is None:
            raise LobbyError("room", "you are in no room")
        return self.member, self.member.room

    def _join(self, request: Request) -> None:
        self.enter(request.attributes.get("room", ""), request.attributes.get("name"))

    def _leave(self, request: Request) -> None:
        member, _ = self._needMember()
        self.member = None
        self.lobby.leave(member)

    def _say(self, request: Request) -> None:
        member, _ = self._needMember()
        to = request.attributes.get("to")
        if to is None:
            self.lobby.send(member, vocabulary.said(member, request.content))
        else:
            self.lobby.sendTo(member, to, vocabulary.said(member, request.content, alone=True))

    def _who(self, request: Request) -> None:
        _, room = self._needMember()
        if self.lobby.remoteRooms is None:
            self._tellWho(room, [])
            return
        if self._asking:
            raise self.lobby.refuse("busy", "the last <who/> has no answer yet")
        self._asking = True
        self.lobby.remoteRooms.others(room).addCallback(partial(self._tellWho, room))

    def _tellWho(self, room: Room, others: list[str]) -> None:
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
        member, room = self._needMember()
        key, value = (request.attributes.get(each, "") for each in ("key", "value"))
        self.lobby.setAttribute(member, key, value)
        self.lobby.announce(room, vocabulary.described(member, key, value), exclude=(member,))

    def _resume(self, request: Request) -> None:
        if self.member is not None:
            raise LobbyError("room", "you are in a room already")
        self.member = self.lobby.resume(request.attributes.get("token", ""), self)
        lost = self.member.lost
        self.write(vocabulary.welcome(*self._needMember(), lost=lost))
        for message in self.lobby.takeMissed(self.member):
            self.write(message)

    _do: dict[str, Callable[["XMLRoomProtocol", Request], None]] = {
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

    def left(self, member: Member, room: Room) -> None:
        self._lobby.announce(room, vocabulary.left(member))


class RoomFactory(XMLSocketFactory):
    """
    Makes the protocols of clients in rooms.

    @ivar lobby: the rooms.
    """

    def __init__(
        self,
        protocol: Callable[[], RoomProtocol],
        lobby: Lobby,
        *,
        announces: bool = False,
        **settings: object,
    ) -> None:
        """
        @param protocol: makes a protocol.
        @param announces: whether those in a room are told in XML who comes and
            goes.
        @param settings: see L{XMLSocketFactory}.
        """
        super().__init__(protocol, **settings)  # type: ignore[arg-type]
        self.lobby = lobby
        if announces:
            lobby.observers.append(_Announcer(lobby))
