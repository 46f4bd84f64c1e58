"""
Rooms with JSON messages. Run it in this directory with `openfl-xml --app table:Player`.
"""

import json

from openfl_twisted.dispatch import JSONDispatchProtocol, handler
from openfl_twisted.rooms.lobby import Lobby, LobbyObserver
from openfl_twisted.rooms.room import LobbyError, Member, Room
from openfl_twisted.rooms.roomprotocol import PathRoomProtocol


def announce(lobby: Lobby, room: Room, **values: object) -> None:
    lobby.announce(room, json.dumps(values).encode() + b"\0")


class Announcer(LobbyObserver):
    def __init__(self, lobby: Lobby) -> None:
        self.lobby = lobby

    def left(self, member: Member, room: Room) -> None:
        announce(self.lobby, room, type="left", name=member.name)


class Player(JSONDispatchProtocol, PathRoomProtocol):
    def joinRoom(self, room: str, name: str | None = None) -> None:
        if not any(isinstance(each, Announcer) for each in self.lobby.observers):
            self.lobby.observers.append(Announcer(self.lobby))
        super().joinRoom(room, name)

    @handler
    def move(self, x: int) -> None:
        if self.member is None or self.member.room is None:
            raise LobbyError("room", "you are not in a room")
        announce(self.lobby, self.member.room, type="moved", name=self.member.name, x=x)
