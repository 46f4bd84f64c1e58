"""
The boards for everybody: pages and Flash programs of our own domain, TLS, and a
way back for who was cut off. C{python board.py tcp:8080 [certificate.pem]}.
"""

import re
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react

from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import RoomLimits
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.rooms.vocabulary import VocabularyError, parseRequest
from openfl_twisted.tls.server import ServerCertificates, ServerConnectionCreator
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile
from openfl_twisted.wire.text import decodeUTF8

POLICY = Path(__file__).with_name("policy.xml")

_field = re.compile(r"(\d|1[0-5]),(\d|1[0-5])", re.ASCII)


def breaksRules(message: str) -> bool:
    """
    Say whether a message wants a dot where no field is.
    """
    try:
        request = parseRequest(message)
    except VocabularyError:
        # The protocol tells what is wrong with it.
        return False
    if request is None or request.name != "set" or request.attributes.get("key") != "at":
        return False
    return _field.fullmatch(request.attributes.get("value", "")) is None


class Player(XMLRoomProtocol):
    """
    One player, as before.
    """

    def heard(self, line: bytes) -> None:
        """
        Let through what the rules allow.
        """
        if breaksRules(decodeUTF8(line)):
            self.refuse("move", "a field is two numbers from 0 to 15, such as 3,4")
        else:
            super().heard(line)


def makeFactory(certificate: str | None = None) -> GuardFactory:
    """
    Make what serves the players.

    @param certificate: a PEM file with the certificate and its key; without one
        nobody can speak TLS.
    """
    # Who is cut off keeps the place for 30 seconds.
    lobby = Lobby(RoomLimits(maxMembers=16, resume=30))
    tls = None if certificate is None else ServerConnectionCreator(ServerCertificates(certificate))
    door = OnePortFactory(
        RoomFactory(Player, lobby, announces=True, messageRate=20),
        policy=PolicyFile.fromXML(POLICY.read_bytes()),
        tls=tls,
    )
    return GuardFactory(door, maxConnections=1000, maxPerAddress=20, idleTimeout=600)


async def main(reactor: Any, endpoint: str, certificate: str | None = None) -> None:
    """
    Listen until the program is ended, and then close in good order.
    """
    guard = makeFactory(certificate)
    port = await serverFromString(reactor, endpoint).listen(guard)
    sys.stdout.write(f"listening on {port.getHost().host}:{port.getHost().port}\n")
    sys.stdout.flush()

    async def end() -> None:
        await port.stopListening()
        await guard.closeAll(5)

    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(end()))
    await Deferred()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
