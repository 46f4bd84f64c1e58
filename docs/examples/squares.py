"""
Tells all players about each move, in JSON. Run it with `openfl-xml --app squares:Player`.
"""

from openfl_twisted.dispatch import JSONDispatchProtocol, handler


class Player(JSONDispatchProtocol):
    """
    A player.
    """

    @handler
    def move(self, x: int, y: int) -> None:
        """
        Tell all players.
        """
        self.factory.broadcast(self.formatMessage("moved", x=x, y=y))
