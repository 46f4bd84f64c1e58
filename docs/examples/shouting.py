"""
A server that answers in capitals. Run it in this directory with
`openfl-xml --app shouting:Shouter`.
"""

from openfl_twisted.protocols import XMLSocketProtocol


class Shouter(XMLSocketProtocol):
    """
    Sends each message back in capitals.
    """

    def messageReceived(self, message: str) -> None:
        self.sendMessage(message.upper())
