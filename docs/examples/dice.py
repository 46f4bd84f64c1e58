"""
Rooms in which one can roll dice. Run it in this folder with
C{twistd -n openfl-xml --app dice:Dice}.
"""

import secrets
from xml.sax.saxutils import quoteattr

from openfl_twisted.rooms.roomprotocol import XMLRoomProtocol


class Dice(XMLRoomProtocol):
    """
    Knows C{<roll/>} beside the usual elements.
    """

    def handleLine(self, line: bytes) -> None:
        """
        Deal with a message.
        """
        if line != b"<roll/>" or self.member is None or self.member.room is None:
            super().handleLine(line)
            return
        eyes = secrets.randbelow(6) + 1
        told = f'<rolled name={quoteattr(self.member.name)} eyes="{eyes}"/>\0'
        self.lobby.announce(self.member.room, told.encode())
