"""
The two simplest servers for C{XMLSocket}: one hands each message on to everybody
else, the other hands it back.
"""

from openfl_twisted.protocols.xmlsocket import XMLSocketProtocol


class RelayProtocol(XMLSocketProtocol):
    """
    Hands each message on to all others that are connected.

    They get valid UTF-8, whatever was sent.
    """

    def messagesReceived(self, messages: list[str]) -> None:
        """
        Send them to the others. One that does not read is cut off when its queue
        is full; it never makes the rest wait.
        """
        self.factory.broadcastMessages(messages, exclude=(self,))


class EchoProtocol(XMLSocketProtocol):
    """
    Hands each message back to who sent it.
    """

    def connectionMade(self) -> None:
        """
        While the client does not read, do not read from it.
        """
        self.transport.registerProducer(self.transport, True)

    def messageReceived(self, message: str) -> None:
        """
        Send it back.
        """
        self.sendMessage(message)
