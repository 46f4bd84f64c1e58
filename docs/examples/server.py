"""
A program that forwards each message to all other clients. Run it with
`python server.py tcp:8080:interface=127.0.0.1`.
"""

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react

from openfl_twisted.protocols import OnePortFactory, XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.guard import GuardFactory


class Player(XMLSocketProtocol):
    """
    Forwards each message to all other players.
    """

    def messageReceived(self, message: str) -> None:
        self.factory.broadcast(message, exclude=[self], sender=self)


async def main(reactor: Any, endpoint: str) -> None:
    """
    Listen until the program is stopped.
    """
    factory = GuardFactory(OnePortFactory(XMLSocketFactory(Player)), maxConnections=100)
    port = await serverFromString(reactor, endpoint).listen(factory)
    sys.stdout.write(f"listening on {port.getHost().host}:{port.getHost().port}\n")
    sys.stdout.flush()
    await Deferred()


if __name__ == "__main__":
    react(lambda *arguments: Deferred.fromCoroutine(main(*arguments)), sys.argv[1:])
