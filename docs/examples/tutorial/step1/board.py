"""
A board on which everybody moves a dot. Run it in this folder with
C{twistd -n openfl-xml --app board:Player}.
"""

from itertools import count

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol
from openfl_twisted.wire.strictxml import readElement

SIZE = 16
"""
How many fields the board has, across and down.
"""

_numbers = count(1)


def readMove(message: str) -> tuple[int, int]:
    """
    Read a move: C{<move x="3" y="4"/>}.

    @raise ValueError: if it is none, or leads off the board.
    """
    # Its XMLError is a ValueError.
    move = readElement(message.encode())
    x, y = (int(move.attributes.get(name, "-1")) for name in ("x", "y"))
    if move.name != "move" or not (0 <= x < SIZE and 0 <= y < SIZE):
        raise ValueError("this is no move on the board")
    return x, y


class Player(XMLSocketProtocol):
    """
    One player. Whoever has made a first move is on the board.
    """

    number = 0
    field = (0, 0)

    def where(self) -> str:
        """
        Tell where this player is.
        """
        x, y = self.field
        return f'<at who="{self.number}" x="{x}" y="{y}"/>'

    def messageReceived(self, message: str) -> None:
        """
        Move, and tell everybody.
        """
        try:
            self.field = readMove(message)
        except ValueError as problem:
            self.closeFor(str(problem))
            return
        if not self.number:
            self.number = next(_numbers)
            for other in self.factory.connections - {self}:
                if other.number:
                    self.sendMessage(other.where())
        self.factory.broadcast(self.where())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Leave the board.
        """
        super().connectionLost(reason)
        if self.number:
            self.factory.broadcast(f'<gone who="{self.number}"/>')
