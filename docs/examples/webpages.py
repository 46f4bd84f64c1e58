"""
A chat and its web page on one port. Run it with `twistd -ny webpages.py`.
"""

from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application

# twistd runs this file after it has installed the reactor.
from twisted.internet import reactor  # noqa: TID253
from twisted.internet.endpoints import serverFromString
from twisted.web import resource
from twisted.web.server import Site

from openfl_twisted.protocols import OnePortFactory, XMLSocketFactory, XMLSocketProtocol
from openfl_twisted.transports.guard import GuardFactory

application = Application("chat")

PAGE = b"""<!DOCTYPE html>
<meta charset="utf-8">
<title>Chat</title>
<p>Players: %d</p>
<form><input autofocus></form>
<script>
const socket = new WebSocket(document.baseURI.replace(/^http/, "ws"));
// A client that has sent a text message is answered with text messages.
socket.onopen = () => socket.send("I am here.");
socket.onmessage = (event) => {
	const line = document.createElement("p");
	line.textContent = event.data;
	document.body.append(line);
};
const input = document.querySelector("input");
document.querySelector("form").onsubmit = () => {
	socket.send(input.value);
	input.value = "";
	return false;
};
</script>
"""


class Player(XMLSocketProtocol):
    """
    Forwards each message to all players.
    """

    def messageReceived(self, message: str) -> None:
        self.factory.broadcast(message, sender=self)


class Page(resource.Resource):
    """
    The page with the number of players.
    """

    isLeaf = True

    def __init__(self, chat: XMLSocketFactory[Player]) -> None:
        super().__init__()
        self.chat = chat

    def render_GET(self, request: object) -> bytes:
        return PAGE % len(self.chat.connections)


chat = XMLSocketFactory(Player)
guard = GuardFactory(OnePortFactory(chat, http=Site(Page(chat))), maxConnections=1000)
port = serverFromString(reactor, "tcp:8082:interface=127.0.0.1")
StreamServerEndpointService(port, guard).setServiceParent(application)
