"""
A relay that deals with all messages of one read at once. Run it in this folder
with C{twistd -n openfl-xml --app batches:Relay}.
"""

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol


class Relay(XMLSocketProtocol):
    """
    Hands on what comes to everybody else.
    """

    def messagesReceived(self, messages: list[str]) -> None:
        """
        Write all of them out once, for all who hear them.
        """
        self.factory.broadcastMessages(messages, exclude=[self])
