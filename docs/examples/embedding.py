"""
A Twisted application with a game as one of its services. Run it with
`twistd -ny embedding.py`.
"""

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application

# twistd runs this file after it has installed the reactor.
from twisted.internet import reactor  # noqa: TID253
from twisted.internet.endpoints import serverFromString
from twisted.web import resource
from twisted.web.server import Site

from openfl_twisted.endpoints import openflEndpoint
from openfl_twisted.protocols import OnePortFactory, XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.guard import GuardFactory

application = Application("games")


class Player(XMLSocketProtocol):
    """
    Forwards each message to all other players.
    """

    def messageReceived(self, message: str) -> None:
        self.factory.broadcast(message, exclude=[self], sender=self)


class State(resource.Resource):
    """
    A page with the number of players.
    """

    isLeaf = True

    def __init__(self, guard: GuardFactory) -> None:
        super().__init__()
        self.guard = guard

    def render_GET(self, request: object) -> bytes:
        return b"players: %d\n" % self.guard.connections


# The game, with the same wrappers as in the command openfl-xml.
guard = GuardFactory(OnePortFactory(XMLSocketFactory(Player)), maxConnections=1000)
game = serverFromString(reactor, "tcp:8080:interface=127.0.0.1")
StreamServerEndpointService(game, guard).setServiceParent(application)

# A web server that answers policy requests too.
web = openflEndpoint(serverFromString(reactor, "tcp:8081:interface=127.0.0.1"))
StreamServerEndpointService(web, Site(State(guard))).setServiceParent(application)
