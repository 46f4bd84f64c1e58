"""
A server with named boards and named players. Run it with C{python board.py tcp:8080}.
"""

import re
import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react

from openfl_twisted.protocols import OnePortFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import RoomLimits
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.rooms.vocabulary import VocabularyError, parseRequest
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.text import decodeUTF8

_position = re.compile(r"(\d|1[0-5]),(\d|1[0-5])", re.ASCII)


def breaksRules(message: str) -> bool:
    """
    Check whether a message would move a dot off the board.
    """
    try:
        request = parseRequest(message)
    except VocabularyError:
        # XMLRoomProtocol answers a malformed message with an error.
        return False
    if request is None or request.name != "set" or request.attributes.get("key") != "at":
        return False
    return _position.fullmatch(request.attributes.get("value", "")) is None


class Player(XMLRoomProtocol):
    """
    A player. L{XMLRoomProtocol} provides rooms, names and attributes.
    """

    def handleLine(self, line: bytes) -> None:
        """
        Handle a message if it obeys the rules.
        """
        if breaksRules(decodeUTF8(line)):
            self.refuse("move", "a position is two numbers from 0 to 15, such as 3,4")
        else:
            super().handleLine(line)


def makeFactory() -> RoomFactory:
    """
    Make the factory. Members are notified when others join or leave.
    """
    return RoomFactory(Player, Lobby(RoomLimits(maxMembers=16)), announces=True)


async def main(reactor: Any, endpoint: str) -> None:
    """
    Listen until the program is stopped.
    """
    guard = GuardFactory(OnePortFactory(makeFactory()), maxConnections=1000)
    port = await serverFromString(reactor, endpoint).listen(guard)
    sys.stdout.write(f"listening on {port.getHost().host}:{port.getHost().port}\n")
    sys.stdout.flush()
    await Deferred()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
