"""
Rooms in which members roll dice. Run it in this directory with
`openfl-xml --app dice:Dice`.
"""

import secrets

from openfl_twisted.dispatch import XMLDispatchProtocol, handler
from openfl_twisted.rooms.room import LobbyError
from openfl_twisted.rooms.roomprotocol import XMLRoomProtocol


class Dice(XMLDispatchProtocol, XMLRoomProtocol):
    """
    Adds the request `<roll/>`.
    """

    @handler
    def roll(self) -> None:
        """
        Roll a die, and notify all members.
        """
        if self.member is None or self.member.room is None:
            raise LobbyError("room", "you are not in a room")
        value = secrets.randbelow(6) + 1
        message = self.formatMessage("rolled", name=self.member.name, value=value)
        self.lobby.announce(self.member.room, f"{message}\0".encode())
