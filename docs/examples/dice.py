"""
Rooms in which members roll dice. Run it in this directory with
C{twistd -n openfl-xml --app dice:Dice}.
"""

import secrets
from xml.sax.saxutils import quoteattr

from openfl_twisted.rooms.roomprotocol import XMLRoomProtocol


class Dice(XMLRoomProtocol):
    """
    Adds the request C{<roll/>}.
    """

    def handleLine(self, line: bytes) -> None:
        """
        For C{<roll/>}, roll a die, and notify all members.
        """
        if line != b"<roll/>" or self.member is None or self.member.room is None:
            super().handleLine(line)
            return
        value = secrets.randbelow(6) + 1
        message = f'<rolled name={quoteattr(self.member.name)} value="{value}"/>\0'
        self.lobby.announce(self.member.room, message.encode())
