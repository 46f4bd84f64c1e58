"""
Clients of a load test.
"""

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol


class Walker(XMLSocketProtocol):
    """
    A bot that sends two messages at a time.
    """

    def act(self) -> None:
        self.sendMessage("<a/>")
        self.sendMessage("<b/>")

    def messageReceived(self, message: str) -> None:
        pass


class Unborn(Walker):
    """
    A bot that cannot be created.
    """

    def __init__(self) -> None:
        raise ValueError("no")
