"""
A server that shouts back. Run it in this folder with
C{twistd -n openfl-xml --app shouting:Shouter}.
"""

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol


class Shouter(XMLSocketProtocol):
    """
    Sends every message back in capitals.
    """

    def messageReceived(self, message: str) -> None:
        """
        Answer a message.
        """
        self.sendMessage(message.upper())
