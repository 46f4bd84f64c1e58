"""
A Twisted application with a game among its services: C{twistd -ny embedding.py}.
"""

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application

# A file for twistd is run once the reactor is chosen.
from twisted.internet import reactor  # noqa: TID253
from twisted.internet.endpoints import serverFromString
from twisted.web import resource
from twisted.web.server import Site

from openfl_twisted.endpoints import openflEndpoint
from openfl_twisted.protocols.oneport import OnePortFactory
from openfl_twisted.protocols.xmlsocket import XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.guard import GuardFactory

application = Application("games")


class Player(XMLSocketProtocol):
    """
    What one says goes to all others.
    """

    def messageReceived(self, message: str) -> None:
        """
        Hand a message on.
        """
        self.factory.broadcast(message, exclude=[self])


class State(resource.Resource):
    """
    A page that says how many play.
    """

    isLeaf = True

    def __init__(self, guard: GuardFactory) -> None:
        super().__init__()
        self.guard = guard

    def render_GET(self, request: object) -> bytes:
        """
        Count them.
        """
        return b"%d are playing\n" % self.guard.connections


# The game, with all that the command openfl-xml would put in front of it.
guard = GuardFactory(OnePortFactory(XMLSocketFactory(Player)), maxConnections=1000)
game = serverFromString(reactor, "tcp:8080:interface=127.0.0.1")
StreamServerEndpointService(game, guard).setServiceParent(application)

# A web server that answers policy requests too.
web = openflEndpoint(serverFromString(reactor, "tcp:8081:interface=127.0.0.1"))
StreamServerEndpointService(web, Site(State(guard))).setServiceParent(application)
