"""
A server that forwards all messages of one read together. Run it in this directory
with `openfl-xml --app batches:Relay`.
"""

from openfl_twisted.protocols import XMLSocketProtocol


class Relay(XMLSocketProtocol):
    """
    Forwards each message to all other clients.
    """

    def messagesReceived(self, messages: list[str]) -> None:
        """
        Encode the messages once for all clients.
        """
        self.factory.broadcastMessages(messages, exclude=[self])
