"""
The server of a board on which each player moves a dot. Run it in this directory with
C{twistd -n openfl-xml --app board:Player}.
"""

from itertools import count

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.protocols import XMLSocketProtocol
from openfl_twisted.wire.strictxml import readElement

SIZE = 16
"""
Number of squares of the board in each direction.
"""

_numbers = count(1)


def readMove(message: str) -> tuple[int, int]:
    """
    Parse a move: C{<move x="3" y="4"/>}.

    @return: the coordinates.
    @raise ValueError: if the message is not a move, or moves the dot off the board.
    """
    # XMLError is a ValueError.
    move = readElement(message.encode())
    x, y = (int(move.attributes.get(name, "-1")) for name in ("x", "y"))
    if move.name != "move" or not (0 <= x < SIZE and 0 <= y < SIZE):
        raise ValueError('the message must be a move on the board, such as <move x="3" y="4"/>')
    return x, y


class Player(XMLSocketProtocol):
    """
    A player. Its dot appears with the first move.
    """

    number = 0
    position = (0, 0)

    def where(self) -> str:
        """
        Return the message with the position of the player.
        """
        x, y = self.position
        return f'<at who="{self.number}" x="{x}" y="{y}"/>'

    def messageReceived(self, message: str) -> None:
        """
        Move the dot, and notify all players.
        """
        try:
            self.position = readMove(message)
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
        Notify the other players that this one has left.
        """
        super().connectionLost(reason)
        if self.number:
            self.factory.broadcast(f'<gone who="{self.number}"/>')
