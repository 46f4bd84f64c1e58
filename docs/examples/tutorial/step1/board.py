"""
The server of a board on which each player moves a dot. Run it in this directory with
`openfl-xml --app board:Player`.
"""

from itertools import count

from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from openfl_twisted.dispatch import XMLDispatchProtocol, handler

SIZE = 16
"""
Number of squares of the board in each direction.
"""

_numbers = count(1)


class Player(XMLDispatchProtocol):
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
        return self.formatMessage("at", who=self.number, x=x, y=y)

    @handler
    def move(self, x: int, y: int) -> None:
        """
        Move the dot, and notify all players.
        """
        if not (0 <= x < SIZE and 0 <= y < SIZE):
            self.sendError("move", f"a square has two coordinates from 0 to {SIZE - 1}")
            return
        self.position = x, y
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
            self.factory.broadcast(self.formatMessage("gone", who=self.number))
