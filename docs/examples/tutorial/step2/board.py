"""
A server with named boards and named players. Run it with `python board.py tcp:8080`.
"""

import re
import sys

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString

from openfl_twisted import run
from openfl_twisted.dispatch import XMLDispatchProtocol, handler
from openfl_twisted.protocols import OnePortFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import LobbyError, RoomLimits
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.transports.guard import GuardFactory

ENDPOINT = "tcp:8080:interface=127.0.0.1"

_position = re.compile(r"(\d|1[0-5]),(\d|1[0-5])", re.ASCII)


class Player(XMLDispatchProtocol, XMLRoomProtocol):
    """
    A player. `XMLRoomProtocol` provides rooms, names and attributes.
    """

    @handler
    def set(self, key: str, value: str = "") -> None:
        """
        Set an attribute if it obeys the rules.
        """
        if key == "at" and not _position.fullmatch(value):
            raise LobbyError("move", "a position is two numbers from 0 to 15, such as 3,4")
        self.setAttribute(key, value)


def makeFactory() -> RoomFactory:
    """
    Make the factory. Members are notified when others join or leave.
    """
    return RoomFactory(Player, Lobby(RoomLimits(maxMembers=16)), announces=True)


async def main(endpoint: str = ENDPOINT) -> None:
    """
    Listen until the program is stopped.
    """
    from twisted.internet import reactor

    guard = GuardFactory(OnePortFactory(makeFactory()), maxConnections=1000)
    port = await serverFromString(reactor, endpoint).listen(guard)
    sys.stdout.write(f"listening on {port.getHost().host}:{port.getHost().port}\n")
    sys.stdout.flush()
    await Deferred()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
