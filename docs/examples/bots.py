"""
Bots for a load test. Run them in this directory with
`openfl-load --app bots:Greeter tcp:127.0.0.1:8080`.
"""

from openfl_twisted.load import TimedBot
from openfl_twisted.protocols import XMLSocketProtocol


class Greeter(XMLSocketProtocol):
    """
    Sends a message; the next message is the answer.
    """

    def act(self) -> None:
        """
        Send a greeting, which the server must answer.
        """
        self.sendMessage("<hello/>")

    def messageReceived(self, message: str) -> None:
        pass


class Walker(TimedBot, XMLSocketProtocol):
    """
    A member of a room: moves, then requests the list of members.
    """

    def connectionMade(self) -> None:
        super().connectionMade()
        self.sendMessage('<join room="garden"/>')

    def act(self) -> None:
        """
        Move, and request the list.
        """
        self.sendMessage('<set key="at" value="3,4"/>')
        self.sendMessage("<who/>")

    def messageReceived(self, message: str) -> None:
        if message.startswith("<who"):
            self.countAnswer()
