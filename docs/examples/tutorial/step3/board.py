"""
The server with a policy file, TLS and resumable memberships. Run it with
`python board.py tcp:8080 [certificate.pem]`.
"""

import re
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString

from openfl_twisted import run
from openfl_twisted.dispatch import XMLDispatchProtocol, handler
from openfl_twisted.protocols import OnePortFactory
from openfl_twisted.rooms.lobby import Lobby
from openfl_twisted.rooms.room import LobbyError, RoomLimits
from openfl_twisted.rooms.roomprotocol import RoomFactory, XMLRoomProtocol
from openfl_twisted.tls.server import ServerCertificates, ServerConnectionCreator
from openfl_twisted.transports.guard import GuardFactory
from openfl_twisted.wire.policy.file import PolicyFile

ENDPOINT = "tcp:8080:interface=127.0.0.1"
POLICY = Path(__file__).with_name("policy.xml")

_position = re.compile(r"(\d|1[0-5]),(\d|1[0-5])", re.ASCII)


class Player(XMLDispatchProtocol, XMLRoomProtocol):
    """
    A player, as in step 2.
    """

    @handler
    def set(self, key: str, value: str = "") -> None:
        """
        Set an attribute if it obeys the rules.
        """
        if key == "at" and not _position.fullmatch(value):
            raise LobbyError("move", "a position is two numbers from 0 to 15, such as 3,4")
        self.setAttribute(key, value)


def makeFactory(certificate: str | None = None) -> GuardFactory:
    """
    Make the factory. `certificate` is a PEM file with the certificate and the private key, or
    `None` for no TLS.
    """
    # A disconnected player can resume within 30 seconds.
    lobby = Lobby(RoomLimits(maxMembers=16, resume=30))
    tls = None if certificate is None else ServerConnectionCreator(ServerCertificates(certificate))
    onePort = OnePortFactory(
        RoomFactory(Player, lobby, announces=True, messageRate=20),
        policy=PolicyFile.fromXML(POLICY.read_bytes()),
        tls=tls,
    )
    return GuardFactory(onePort, maxConnections=1000, maxPerAddress=20, idleTimeout=600)


async def main(endpoint: str = ENDPOINT, certificate: str | None = None) -> None:
    """
    Listen until the program is stopped, then shut down gracefully.
    """
    from twisted.internet import reactor

    guard = makeFactory(certificate)
    port = await serverFromString(reactor, endpoint).listen(guard)
    sys.stdout.write(f"listening on {port.getHost().host}:{port.getHost().port}\n")
    sys.stdout.flush()

    async def shutDown() -> None:
        await port.stopListening()
        await guard.closeAll(5)

    reactor.addSystemEventTrigger("before", "shutdown", lambda: Deferred.fromCoroutine(shutDown()))
    await Deferred()


if __name__ == "__main__":
    run(main, *sys.argv[1:])
