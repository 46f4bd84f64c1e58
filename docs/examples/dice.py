"""
Rooms with dice. Run it in this directory with
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
        Roll the dice for C{<roll/>}, and notify all members.
        """
        if line != b"<roll/>" or self.member is None or self.member.room is None:
            super().handleLine(line)
            return
        eyes = secrets.randbelow(6) + 1
        told = f'<rolled name={quoteattr(self.member.name)} eyes="{eyes}"/>\0'
        self.lobby.announce(self.member.room, told.encode())
